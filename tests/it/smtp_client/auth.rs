//! Logging in.

use posthorn::mail::{Cause, Tls};
use posthorn::outbox::Stage;

use super::*;

fn with_login(relay: &smtp::Relay, tls: Tls, password: &str) -> Relay {
    let mut settings = settings(relay, tls);
    settings.username = Some("posthorn".into());
    settings.password = Some(password.to_owned().into());
    settings
}

#[tokio::test]
async fn plain_is_preferred_and_login_will_do() {
    for (mechanisms, expected) in [
        ("PLAIN LOGIN", "AUTH PLAIN"),
        ("LOGIN", "AUTH LOGIN"),
        ("XOAUTH2 CRAM-MD5 plain", "AUTH PLAIN"),
    ] {
        let relay = smtp::Relay::start_with_starttls();
        relay.demand_login(mechanisms, "posthorn", "hunter2 ü");
        let mut connection = Connection::open(&with_login(&relay, Tls::Required, "hunter2 ü")).await.unwrap();
        send(&mut connection, "ada@contoso.example").await.unwrap();
        assert_eq!(relay.mails()[0].user.as_deref(), Some("posthorn"), "{mechanisms}");
        assert!(relay.lines().iter().any(|line| line.starts_with(expected)), "{mechanisms}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_the_relays_answer_and_is_not_repeated_in_the_error() {
    for mechanisms in ["PLAIN", "LOGIN"] {
        let relay = smtp::Relay::start_with_starttls();
        relay.demand_login(mechanisms, "posthorn", "hunter2");
        let failed = open_error(&with_login(&relay, Tls::Required, "wrongpass")).await;
        assert_eq!((failed.stage, failed.cause), (Stage::Auth, Cause::Refused));
        let reply = failed.reply.as_ref().unwrap();
        assert_eq!((reply.code, reply.enhanced), (535, Some((5, 7, 8))));
        assert!(!format!("{failed:?}").contains("wrongpass"));
    }
}

#[tokio::test]
async fn a_relay_that_does_not_know_how_is_told_apart_from_one_that_refuses() {
    for mechanisms in ["", "CRAM-MD5"] {
        let relay = smtp::Relay::start_with_starttls();
        if !mechanisms.is_empty() {
            relay.demand_login(mechanisms, "posthorn", "hunter2");
        }
        let failed = open_error(&with_login(&relay, Tls::Required, "hunter2")).await;
        assert_eq!(
            (failed.stage, failed.cause, failed.reply.is_none()),
            (Stage::Auth, Cause::NotOffered, true),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn no_password_goes_in_plain_unless_that_is_meant() {
    let relay = smtp::Relay::start();
    relay.demand_login("PLAIN", "posthorn", "hunter2");
    let failed = open_error(&with_login(&relay, Tls::Opportunistic, "hunter2")).await;
    assert_eq!((failed.stage, failed.cause), (Stage::Auth, Cause::NotOffered), "{failed}");
    assert!(!relay.verbs().contains(&"AUTH".to_owned()));

    let mut connection = Connection::open(&with_login(&relay, Tls::None, "hunter2")).await.unwrap();
    send(&mut connection, "ada@contoso.example").await.unwrap();
}

fn with_token(relay: &smtp::Relay, file: &std::path::Path) -> Relay {
    let mut settings = settings(relay, Tls::Required);
    settings.username = Some("posthorn".into());
    settings.token_file = Some(file.to_owned());
    settings
}

/// Tokens live for an hour: whoever renews one writes the file, and the next connection has it.
#[tokio::test]
async fn a_token_is_read_anew_for_each_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let relay = smtp::Relay::start_with_starttls();
    relay.demand_login("PLAIN XOAUTH2", "posthorn", "first");
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        relay.change_password(token);
        let mut connection = Connection::open(&with_token(&relay, &file)).await.unwrap();
        send(&mut connection, "ada@contoso.example").await.unwrap();
    }
    assert!(relay.lines().iter().any(|line| line.starts_with("AUTH XOAUTH2 ")));
    std::fs::write(&file, "stale").unwrap();
    let failed = open_error(&with_token(&relay, &file)).await;
    assert_eq!((failed.stage, failed.reply.map(|reply| reply.code)), (Stage::Auth, Some(535)));
    std::fs::remove_file(&file).unwrap();
    let failed = open_error(&with_token(&relay, &file)).await;
    assert_eq!((failed.stage, failed.cause), (Stage::Auth, Cause::NotOffered), "{failed}");
    relay.withdraw("AUTH");
    relay.offer("AUTH PLAIN");
    std::fs::write(&file, "second").unwrap();
    let failed = open_error(&with_token(&relay, &file)).await;
    assert_eq!((failed.stage, failed.cause), (Stage::Auth, Cause::NotOffered), "{failed}");
}
