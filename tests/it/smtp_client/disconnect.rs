//! The connection ends in the middle: before the mail is out it is a retry, after its final dot it is in doubt.

use posthorn::mail::{Cause, Tls};
use posthorn::outbox::Stage;

use super::*;

#[tokio::test]
async fn a_cut_before_the_mail_is_no_doubt() {
    for is_pipelined in [true, false] {
        for (place, stage) in [("MAIL", Stage::MailFrom), ("RCPT", Stage::RcptTo), ("DATA", Stage::Data)] {
            let relay = smtp::Relay::start();
            if !is_pipelined {
                relay.withdraw("PIPELINING");
            }
            relay.cut(place, 1);
            let mut connection = open(&relay).await;
            let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
            assert_eq!(
                (failed.stage, failed.cause, failed.in_doubt),
                (stage, Cause::Closed, false),
                "{failed}"
            );
            assert!(failed.reply.is_none() && !connection.is_usable());
        }
    }
}

#[tokio::test]
async fn a_cut_while_connecting_says_at_which_stage() {
    let relay = smtp::Relay::start();
    for (place, stage) in [("CONNECT", Stage::Connect), ("EHLO", Stage::Ehlo)] {
        relay.cut(place, 1);
        let failed = open_error(&settings(&relay, Tls::None)).await;
        assert_eq!((failed.stage, failed.cause), (stage, Cause::Closed), "{failed}");
    }
}

#[tokio::test]
async fn a_cut_after_the_final_dot_is_in_doubt() {
    let relay = smtp::Relay::start();
    relay.cut("DOT", 1);
    let mut connection = open(&relay).await;
    let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
    assert_eq!(
        (failed.stage, failed.cause, failed.in_doubt),
        (Stage::FinalDot, Cause::Closed, true),
        "{failed}"
    );
    assert!(failed.reply.is_none() && !connection.is_usable());
    assert_eq!(relay.mails().len(), 1, "the relay had it");
}

/// The whole mail is with the operating system and the cut comes while the relay reads: nobody on this side can tell that from a cut after the dot.
#[tokio::test]
async fn a_cut_in_a_small_mail_is_in_doubt() {
    let relay = smtp::Relay::start();
    relay.cut("BODY", 1);
    let failed = send(&mut open(&relay).await, "ada@contoso.example").await.unwrap_err();
    assert_eq!((failed.stage, failed.in_doubt), (Stage::FinalDot, true), "{failed}");
    assert_eq!(relay.mails(), []);
}

/// A mail that does not fit into what the operating system takes ahead: its end was never out, and that is known.
#[tokio::test]
async fn a_cut_in_a_large_mail_is_no_doubt() {
    let relay = smtp::Relay::start();
    relay.offer("SIZE 0");
    relay.cut("BODY", 1);
    let data = "x\r\n".repeat(6_000_000);
    let mut connection = open(&relay).await;
    let failed = connection
        .send(SENDER, &address("ada@contoso.example"), data.as_bytes())
        .await
        .unwrap_err();
    assert_eq!(
        (failed.stage, failed.cause, failed.in_doubt),
        (Stage::FinalDot, Cause::Closed, false),
        "{failed}"
    );
    assert!(!connection.is_usable());
}

#[tokio::test]
async fn garbage_after_the_final_dot_is_in_doubt() {
    for answer in ["what?", "354 more, please"] {
        let relay = smtp::Relay::start();
        relay.refuse("DOT", answer, 1);
        let mut connection = Connection::open(&settings(&relay, Tls::None)).await.unwrap();
        let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
        assert_eq!(
            (failed.stage, failed.cause, failed.in_doubt),
            (Stage::FinalDot, Cause::Garbled, true),
            "{failed}"
        );
        assert!(!connection.is_usable());
    }
}

#[tokio::test]
async fn a_cut_in_the_reset_after_a_refusal_keeps_the_refusal() {
    let relay = smtp::Relay::start();
    relay.refuse("RCPT", "550 5.1.1 no such user", 1);
    relay.cut("RSET", 1);
    let mut connection = open(&relay).await;
    let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
    assert_eq!((failed.stage, failed.reply.unwrap().code), (Stage::RcptTo, 550));
    assert!(!connection.is_usable());
}
