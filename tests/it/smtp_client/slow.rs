//! The relay is slow, silent, or answers a byte at a time: each stage ends by its own timeout.

use posthorn::mail::{Cause, Timeouts, Tls};
use posthorn::outbox::Stage;

use super::*;

const SHORT: Duration = Duration::from_millis(200);

fn impatient(stage: Stage, relay: &smtp::Relay) -> Relay {
    let mut settings = settings(relay, Tls::None);
    let limits = &mut settings.timeouts;
    let limit = match stage {
        Stage::Connect | Stage::Ehlo => &mut limits.ehlo,
        Stage::StartTls => &mut limits.start_tls,
        Stage::Auth => &mut limits.auth,
        Stage::MailFrom => &mut limits.mail_from,
        Stage::RcptTo => &mut limits.rcpt_to,
        Stage::Data => &mut limits.data,
        Stage::FinalDot => &mut limits.final_dot,
    };
    *limit = SHORT;
    settings
}

#[tokio::test]
async fn silence_ends_by_the_timeout_of_its_stage() {
    for (place, stage) in [
        ("CONNECT", Stage::Connect),
        ("EHLO", Stage::Ehlo),
        ("MAIL", Stage::MailFrom),
        ("RCPT", Stage::RcptTo),
        ("DATA", Stage::Data),
        ("DOT", Stage::FinalDot),
    ] {
        let relay = smtp::Relay::start();
        relay.fall_silent(place, 1);
        let failed = match Connection::open(&impatient(stage, &relay)).await {
            Err(failed) => failed,
            Ok(mut connection) => {
                let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
                assert!(!connection.is_usable(), "{place}");
                failed
            }
        };
        assert_eq!(
            (failed.stage, failed.cause, failed.in_doubt),
            (stage, Cause::TimedOut, stage == Stage::FinalDot),
            "{place}: {failed}"
        );
    }
}

/// A timeout that began anew with each byte would wait for as long as the relay likes.
#[tokio::test]
async fn a_relay_that_drips_is_not_waited_for() {
    for (place, stage) in [("EHLO", Stage::Ehlo), ("RCPT", Stage::RcptTo), ("DOT", Stage::FinalDot)] {
        let relay = smtp::Relay::start();
        relay.drip(place, SHORT / 4, 1);
        let failed = match Connection::open(&impatient(stage, &relay)).await {
            Err(failed) => failed,
            Ok(mut connection) => send(&mut connection, "ada@contoso.example").await.unwrap_err(),
        };
        assert_eq!((failed.stage, failed.cause), (stage, Cause::TimedOut), "{place}: {failed}");
    }
}

#[tokio::test]
async fn a_drip_within_the_timeout_is_read_to_its_end() {
    let relay = smtp::Relay::start();
    for place in ["CONNECT", "EHLO", "MAIL", "DOT"] {
        relay.drip(place, Duration::from_millis(1), 1);
    }
    relay.delay("RCPT", Duration::from_millis(20), 1);
    send(&mut open(&relay).await, "ada@contoso.example").await.unwrap();
}

#[tokio::test]
async fn a_relay_that_does_not_say_goodbye_does_not_hold_us() {
    let relay = smtp::Relay::start();
    relay.fall_silent("QUIT", 1);
    let connection = open(&relay).await;
    tokio::time::timeout(Duration::from_secs(20), connection.close()).await.unwrap();
}

#[test]
fn the_final_dot_is_given_what_the_rfc_gives_it() {
    let limits = Timeouts::default();
    assert_eq!(limits.final_dot, Duration::from_secs(600));
    assert!(limits.connect < limits.ehlo);
}
