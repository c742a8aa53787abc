//! The relay says no: the stage is right, the reply is kept, and the connection serves the next mail.

use posthorn::mail::{Cause, Tls};
use posthorn::outbox::Stage;

use super::*;

#[tokio::test]
async fn a_refusal_is_typed_by_its_stage_and_costs_one_mail() {
    for is_pipelined in [true, false] {
        for (place, reply, stage, code, enhanced) in [
            ("MAIL", "550 5.7.1 we do not know you", Stage::MailFrom, 550, Some((5, 7, 1))),
            (
                "RCPT",
                "550 5.1.1 <ada@contoso.example>: no such user",
                Stage::RcptTo,
                550,
                Some((5, 1, 1)),
            ),
            ("RCPT", "451 4.3.0 try later", Stage::RcptTo, 451, Some((4, 3, 0))),
            ("RCPT", "553 no", Stage::RcptTo, 553, None),
            ("DATA", "554 5.5.1 no", Stage::Data, 554, Some((5, 5, 1))),
            ("DOT", "554 5.6.0 smells of spam", Stage::FinalDot, 554, Some((5, 6, 0))),
            ("DOT", "452 4.3.1 disk full", Stage::FinalDot, 452, Some((4, 3, 1))),
        ] {
            let relay = smtp::Relay::start();
            if !is_pipelined {
                relay.withdraw("PIPELINING");
            }
            relay.refuse(place, reply, 1);
            let mut connection = open(&relay).await;
            let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
            let said = failed.reply.clone().unwrap();
            assert_eq!(
                (failed.stage, said.code, said.enhanced),
                (stage, code, enhanced),
                "{place} {reply}, pipelined: {is_pipelined}"
            );
            assert_eq!(said.text, reply.split_once(' ').unwrap().1);
            assert_eq!((failed.cause, failed.in_doubt), (Cause::Refused, false));
            assert!(!failed.to_string().contains("ada"), "{failed}");

            assert!(connection.is_usable(), "{place} {reply}");
            send(&mut connection, "bob@contoso.example").await.unwrap();
            assert_eq!(relay.mails().len(), 1);
            assert_eq!(
                (relay.mails()[0].connection, relay.mails()[0].to.as_slice()),
                (1, ["<bob@contoso.example>".to_owned()].as_slice())
            );
        }
    }
}

/// The code is what counts: of a text that is not even UTF-8 the rest is kept.
#[tokio::test]
async fn a_reply_in_latin_1_is_a_reply() {
    let relay = smtp::Relay::start();
    relay.speak_latin1();
    relay.refuse("RCPT", "550 5.1.1 Empfänger unbekannt", 1);
    relay.refuse("DOT", "250 2.0.0 für Ada angenommen", 1);
    let mut connection = open(&relay).await;
    let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
    let said = failed.reply.clone().unwrap();
    assert_eq!(
        (failed.stage, said.code, said.text.as_str()),
        (Stage::RcptTo, 550, "5.1.1 Empf?nger unbekannt")
    );
    let accepted = send(&mut connection, "ada@contoso.example").await.unwrap();
    assert_eq!((accepted.code, accepted.text.as_str()), (250, "2.0.0 f?r Ada angenommen"));
    relay.refuse("CONNECT", "220 relay.test grüßt", 1);
    open(&relay).await;
}

/// RFC 2920 §3.1: a server may answer 354 although it refused every recipient.
#[tokio::test]
async fn a_relay_that_wants_a_mail_for_nobody_gets_an_empty_one() {
    let relay = smtp::Relay::start();
    relay.refuse("RCPT", "550 5.1.1 no such user", 1);
    relay.refuse("DATA", "354 go ahead all the same", 1);
    let mut connection = open(&relay).await;
    let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
    assert_eq!((failed.stage, failed.reply.unwrap().code), (Stage::RcptTo, 550));
    assert_eq!(relay.mails(), []);
    send(&mut connection, "bob@contoso.example").await.unwrap();
    assert_eq!(relay.mails()[0].data, MAIL);
}

#[tokio::test]
async fn a_reply_of_many_lines_keeps_its_text() {
    let relay = smtp::Relay::start();
    relay.refuse("RCPT", "550-5.7.1 first\r\n550-5.7.1 second\r\n550 5.7.1 third", 1);
    let failed = send(&mut open(&relay).await, "ada@contoso.example").await.unwrap_err();
    let reply = failed.reply.unwrap();
    assert_eq!((reply.enhanced, reply.text.as_str()), (Some((5, 7, 1)), "5.7.1 first second third"));
}

#[tokio::test]
async fn after_421_the_connection_is_over() {
    for (place, stage) in [
        ("MAIL", Stage::MailFrom),
        ("RCPT", Stage::RcptTo),
        ("DATA", Stage::Data),
        ("DOT", Stage::FinalDot),
    ] {
        let relay = smtp::Relay::start();
        relay.refuse(place, "421 4.3.2 shutting down", 1);
        let mut connection = open(&relay).await;
        let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
        assert_eq!((failed.stage, failed.reply.unwrap().code, failed.in_doubt), (stage, 421, false));
        assert!(!connection.is_usable(), "{place}");
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_says_at_which_stage() {
    let relay = smtp::Relay::start();
    for (place, reply, stage) in [
        ("CONNECT", "554 5.7.1 blocked", Stage::Connect),
        ("CONNECT", "421 4.3.2 too many connections", Stage::Connect),
        ("EHLO", "550 5.7.1 who are you", Stage::Ehlo),
    ] {
        relay.refuse(place, reply, 1);
        let failed = open_error(&settings(&relay, Tls::None)).await;
        assert_eq!(
            (failed.stage, format!("{}", failed.reply.unwrap().code)),
            (stage, reply[..3].to_owned()),
            "{place}"
        );
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named() {
    let relay = smtp::Relay::start();
    let settings = settings(&relay, Tls::None);
    let at = format!("{}:{}", relay.host(), relay.port());
    drop(relay);
    // The listener ends when it has noticed.
    let failed = loop {
        match Connection::open(&settings).await {
            Err(failed) if failed.cause == Cause::Unreachable => break failed,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(failed.stage, Stage::Connect);
    assert!(failed.detail.starts_with(&format!("cannot reach {at}: ")), "{failed}");
}

#[tokio::test]
async fn an_answer_that_is_no_smtp_ends_the_conversation() {
    for (place, answer, stage) in [
        ("CONNECT", "HTTP/1.1 400 Bad Request", Stage::Connect),
        ("RCPT", "what?", Stage::RcptTo),
        ("MAIL", "354 go ahead", Stage::MailFrom),
        ("DATA", "250 ok", Stage::Data),
    ] {
        let relay = smtp::Relay::start();
        relay.refuse(place, answer, 1);
        let failed = match Connection::open(&settings(&relay, Tls::None)).await {
            Err(failed) => failed,
            Ok(mut connection) => {
                let failed = send(&mut connection, "ada@contoso.example").await.unwrap_err();
                assert!(!connection.is_usable(), "{place}");
                failed
            }
        };
        assert_eq!(
            (failed.stage, failed.cause, failed.reply.is_none(), failed.in_doubt),
            (stage, Cause::Garbled, true, false),
            "{place}: {failed}"
        );
    }
}
