//! STARTTLS and implicit TLS: encrypted or not at all, and nothing believed that was said in plain.

use posthorn::mail::{Cause, Tls};
use posthorn::outbox::Stage;

use super::*;

#[tokio::test]
async fn a_mail_goes_encrypted_in_every_way_that_there_is() {
    for (relay, tls, is_encrypted) in [
        (smtp::Relay::start_with_starttls(), Tls::Required, true),
        (smtp::Relay::start_with_starttls(), Tls::Opportunistic, true),
        (smtp::Relay::start_with_implicit_tls(), Tls::Implicit, true),
        (smtp::Relay::start(), Tls::Opportunistic, false),
        (smtp::Relay::start_with_starttls(), Tls::None, false),
    ] {
        let mut connection = Connection::open(&settings(&relay, tls)).await.unwrap();
        assert_eq!(connection.is_encrypted(), is_encrypted, "{tls:?}");
        for to in ["ada@contoso.example", "bob@contoso.example"] {
            send(&mut connection, to).await.unwrap();
            assert!(connection.is_usable(), "{tls:?}");
        }
        connection.close().await;
        let mails = relay.mails();
        assert!(
            mails.len() == 2 && mails.iter().all(|mail| mail.is_encrypted == is_encrypted && mail.data == MAIL),
            "{tls:?}: {mails:?}"
        );
    }
}

#[tokio::test]
async fn a_large_mail_arrives_whole_through_tls() {
    let relay = smtp::Relay::start_with_starttls();
    let data = format!("Subject: big\r\n\r\n{}", format!("{}\r\n", "x".repeat(76)).repeat(20_000));
    let mut connection = Connection::open(&settings(&relay, Tls::Required)).await.unwrap();
    connection
        .send(SENDER, &address("ada@contoso.example"), data.as_bytes())
        .await
        .unwrap();
    assert!(relay.mails()[0].text() == data, "1.5 MB came out changed");
}

#[tokio::test]
async fn required_means_that_nothing_goes_in_plain() {
    let relay = smtp::Relay::start();
    let failed = open_error(&settings(&relay, Tls::Required)).await;
    assert_eq!((failed.stage, failed.cause), (Stage::StartTls, Cause::NotOffered));
    assert_eq!(
        failed.detail,
        format!("127.0.0.1:{} does not offer STARTTLS, and its tls is \"required\"", relay.port())
    );
    assert_eq!(relay.mails(), []);
}

#[tokio::test]
async fn a_relay_that_refuses_starttls_is_left_or_used_in_plain_as_set() {
    let relay = smtp::Relay::start_with_starttls();
    relay.refuse("STARTTLS", "454 4.7.0 TLS not available", 2);
    let failed = open_error(&settings(&relay, Tls::Required)).await;
    assert_eq!((failed.stage, failed.reply.unwrap().code), (Stage::StartTls, 454));
    let mut connection = Connection::open(&settings(&relay, Tls::Opportunistic)).await.unwrap();
    send(&mut connection, "ada@contoso.example").await.unwrap();
    assert!(!connection.is_encrypted());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_where_it_matters() {
    for (relay, tls) in [
        (smtp::Relay::start_with_starttls(), Tls::Required),
        (smtp::Relay::start_with_implicit_tls(), Tls::Implicit),
    ] {
        let mut settings = settings(&relay, tls);
        // Only the system's roots are left, and they do not know the tests' CA.
        settings.tls_roots = None;
        let failed = open_error(&settings).await;
        assert_eq!((failed.stage, failed.cause), (Stage::StartTls, Cause::Tls), "{failed}");
        assert_eq!(relay.mails(), []);
    }
    let relay = smtp::Relay::start_with_starttls();
    let mut settings = settings(&relay, Tls::Opportunistic);
    settings.tls_roots = None;
    assert!(Connection::open(&settings).await.unwrap().is_encrypted());
}

/// Plaintext behind the `220` would be read after the handshake as if the relay had said it encrypted (CVE-2011-0411).
#[tokio::test]
async fn plaintext_behind_the_answer_to_starttls_is_refused() {
    for tls in [Tls::Required, Tls::Opportunistic] {
        for forged in ["250-relay.test\r\n250 AUTH PLAIN", "250 relay.test", "x", "220 2.0.0 go ahead"] {
            let relay = smtp::Relay::start_with_starttls();
            relay.inject("STARTTLS", forged, 1);
            let mut settings = settings(&relay, tls);
            settings.username = Some("posthorn".into());
            settings.password = Some("hunter2".to_owned().into());
            let failed = open_error(&settings).await;
            assert_eq!((failed.stage, failed.cause), (Stage::StartTls, Cause::Tls), "{forged:?}: {failed}");
            assert!(!relay.verbs().contains(&"AUTH".to_owned()));
        }
    }
}

/// The same, slipped in one answer earlier: read as the answer to STARTTLS, with the forged EHLO behind it.
#[tokio::test]
async fn plaintext_behind_the_answer_to_ehlo_is_refused() {
    let relay = smtp::Relay::start_with_starttls();
    relay.inject("EHLO", "220 2.0.0 go ahead\r\n250-relay.test\r\n250 AUTH PLAIN", 1);
    let failed = open_error(&settings(&relay, Tls::Required)).await;
    assert_eq!((failed.stage, failed.cause), (Stage::StartTls, Cause::Tls), "{failed}");
}

/// What was offered in plain may be a lie; only what is offered encrypted counts (RFC 3207 §4.2).
#[tokio::test]
async fn offers_made_in_plain_are_forgotten() {
    let relay = smtp::Relay::start_with_starttls();
    relay.refuse("EHLO", "250-relay.test\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n250 SIZE 10", 1);
    let mut connection = Connection::open(&settings(&relay, Tls::Required)).await.unwrap();
    send(&mut connection, "ada@contoso.example").await.unwrap();
    assert_eq!(relay.verbs().iter().filter(|verb| *verb == "EHLO").count(), 2);
}

#[tokio::test]
async fn an_extra_ca_that_is_none_is_told() {
    let relay = smtp::Relay::start_with_starttls();
    let mut settings = settings(&relay, Tls::Required);
    settings.tls_roots = Some(b"not a certificate".to_vec());
    let failed = open_error(&settings).await;
    assert_eq!(failed.detail, "the extra CA holds no certificate in PEM");
}

#[tokio::test]
async fn a_plain_relay_on_the_implicit_port_is_a_tls_error() {
    let relay = smtp::Relay::start();
    let failed = open_error(&settings(&relay, Tls::Implicit)).await;
    assert_eq!((failed.stage, failed.cause), (Stage::StartTls, Cause::Tls), "{failed}");
}

/// A relay that knows its clients by their certificates.
#[tokio::test]
async fn a_relay_that_asks_who_we_are_is_shown_the_certificate() {
    let relay = smtp::Relay::start_with_mutual_tls();
    let failed = {
        let mut connection = Connection::open(&settings(&relay, Tls::Implicit)).await;
        match &mut connection {
            // In TLS 1.3 the refusal comes after the client's last word.
            Ok(connection) => send(connection, "ada@contoso.example").await.map(|_| ()).unwrap_err(),
            Err(failed) => failed.clone(),
        }
    };
    assert!(failed.reply.is_none(), "{failed}");
    let (certificates, key) = smtp::Relay::client_identity();
    let mut shown = settings(&relay, Tls::Implicit);
    shown.identity = Some(posthorn::mail::Identity {
        certificates: certificates.into_bytes(),
        key: key.into(),
    });
    let mut connection = Connection::open(&shown).await.unwrap();
    send(&mut connection, "ada@contoso.example").await.unwrap();
    let mut wrong = settings(&relay, Tls::Implicit);
    wrong.identity = Some(posthorn::mail::Identity {
        certificates: b"none".to_vec(),
        key: String::new().into(),
    });
    assert_eq!(open_error(&wrong).await.cause, Cause::Tls);
}
