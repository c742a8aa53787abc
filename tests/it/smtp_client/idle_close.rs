//! The relay ends a kept connection between two mails: that costs no attempt.

use std::time::Instant;

use posthorn::mail::Cause;
use posthorn::outbox::Stage;

use super::*;

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_seen_before_the_next_mail() {
    for last_word in [None, Some("421 4.4.2 idle for too long")] {
        let relay = smtp::Relay::start();
        let mut connection = open(&relay).await;
        send(&mut connection, "ada@contoso.example").await.unwrap();
        assert!(connection.is_usable());
        relay.hang_up(last_word);
        let deadline = Instant::now() + Duration::from_secs(20);
        while connection.is_usable() {
            assert!(Instant::now() < deadline, "still usable after {last_word:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Whoever does not look, or looks a moment too early, hears of it from `send`: stale, with nothing said.
#[tokio::test]
async fn a_kept_connection_that_closes_just_now_is_stale() {
    for last_word in [None, Some("421 4.4.2 idle for too long")] {
        let relay = smtp::Relay::start();
        let mut connection = open(&relay).await;
        send(&mut connection, "ada@contoso.example").await.unwrap();
        relay.hang_up(last_word);
        let failed = send(&mut connection, "bob@contoso.example").await.unwrap_err();
        assert!(failed.is_stale(), "{failed}");
        assert_eq!(
            (failed.stage, failed.cause, failed.in_doubt),
            (Stage::MailFrom, Cause::Stale, false)
        );
        assert!(failed.reply.is_none() && !connection.is_usable());

        send(&mut open(&relay).await, "bob@contoso.example").await.unwrap();
        assert_eq!(relay.mails().len(), 2);
    }
}

#[tokio::test]
async fn a_kept_connection_that_says_421_to_mail_is_stale_and_a_new_one_that_does_is_refused() {
    let relay = smtp::Relay::start();
    let mut kept = open(&relay).await;
    send(&mut kept, "ada@contoso.example").await.unwrap();
    relay.refuse("MAIL", "421 4.4.2 idle for too long", 2);
    assert!(send(&mut kept, "bob@contoso.example").await.unwrap_err().is_stale());
    let failed = send(&mut open(&relay).await, "bob@contoso.example").await.unwrap_err();
    assert_eq!((failed.is_stale(), failed.reply.unwrap().code), (false, 421));
}

#[tokio::test]
async fn a_refusal_on_a_kept_connection_is_no_staleness() {
    let relay = smtp::Relay::start();
    let mut connection = open(&relay).await;
    send(&mut connection, "ada@contoso.example").await.unwrap();
    relay.refuse("MAIL", "450 4.7.1 slow down", 1);
    let failed = send(&mut connection, "bob@contoso.example").await.unwrap_err();
    assert_eq!((failed.is_stale(), failed.reply.unwrap().code), (false, 450));
    assert!(connection.is_usable());
}
