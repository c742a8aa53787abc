//! The next mail is asked for in the packet that ends the one before: whatever the relay says to either, nobody mistakes which it was said to.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use posthorn::mail::{Cause, Tls};
use posthorn::outbox::Stage;

use super::*;

const ADA: &str = "ada@contoso.example";
const BOB: &str = "bob@contoso.example";
const EVE: &str = "eve@contoso.example";

async fn send_before(connection: &mut Connection, to: &str, next: &str) -> Result<Reply, Failed> {
    let (to, next) = (address(to), address(next));
    connection.send_before(envelope(&to), MAIL, Some((envelope(&next), MAIL))).await
}

/// Makes the relay do its duty the first time that it comes to `place`: what is told after this strikes the second mail.
fn spare_the_first(relay: &smtp::Relay, place: &str) {
    let duty = if place == "DATA" { "354 go ahead" } else { "250 2.1.0 ok" };
    relay.refuse(place, duty, 1);
}

fn recipients(relay: &smtp::Relay) -> Vec<String> {
    relay.mails().iter().map(smtp::Mail::recipient).collect()
}

#[tokio::test]
async fn a_mail_takes_one_packet_from_the_second_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = Relay::new("127.0.0.1", listener.local_addr().unwrap().port(), Tls::None);
    settings.hello_name = "posthorn.test".into();
    let relay = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut packets = Vec::new();
        for answer in [
            "220 relay\r\n",
            "250-relay\r\n250 PIPELINING\r\n",
            "250 ok\r\n250 ok\r\n354 go\r\n",
            "250 taken\r\n250 ok\r\n250 ok\r\n354 go\r\n",
            "250 taken\r\n",
        ] {
            client.write_all(answer.as_bytes()).unwrap();
            let mut packet = [0; 4096];
            let n = client.read(&mut packet).unwrap();
            packets.push(String::from_utf8_lossy(&packet[..n]).into_owned());
        }
        packets
    });
    let mut connection = Connection::open(&settings).await.unwrap();
    send_before(&mut connection, ADA, BOB).await.unwrap();
    assert!(connection.is_usable() && connection.is_asked());
    send(&mut connection, BOB).await.unwrap();
    connection.close().await;
    let ask = |to: &str| format!("MAIL FROM:<{SENDER}>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
    let mail = format!("{}.\r\n", String::from_utf8_lossy(MAIL));
    assert_eq!(
        relay.join().unwrap(),
        [
            "EHLO posthorn.test\r\n".to_owned(),
            ask(ADA),
            mail.clone() + &ask(BOB),
            mail,
            "QUIT\r\n".to_owned()
        ]
    );
}

#[tokio::test]
async fn many_mails_in_a_row_share_one_connection() {
    for tls in [Tls::None, Tls::Required] {
        let relay = if tls == Tls::None {
            smtp::Relay::start()
        } else {
            smtp::Relay::start_with_starttls()
        };
        let mut connection = Connection::open(&settings(&relay, tls)).await.unwrap();
        let address = |n: usize| format!("p{n}@contoso.example");
        for n in 0..20 {
            assert_eq!((connection.is_usable(), connection.is_asked()), (true, n > 0));
            send_before(&mut connection, &address(n), &address(n + 1)).await.unwrap();
        }
        send(&mut connection, &address(20)).await.unwrap();
        assert_eq!(recipients(&relay), (0..=20).map(address).collect::<Vec<_>>());
        assert!(relay.mails().iter().all(|mail| mail.data == MAIL));
        assert_eq!(relay.n_connections(), 1);
    }
}

/// Each is told of what was said to it, and the third mail goes out over the same connection.
#[tokio::test]
async fn a_refusal_of_the_next_mail_is_told_of_the_next_mail() {
    for (place, reply, stage) in [
        ("MAIL", "451 4.3.0 later", Stage::MailFrom),
        ("MAIL", "550 5.7.1 we do not know you", Stage::MailFrom),
        ("RCPT", "550 5.1.1 no such user", Stage::RcptTo),
        ("RCPT", "450 4.2.1 greylisted", Stage::RcptTo),
        ("DATA", "554 5.5.1 no", Stage::Data),
        ("DATA", "451 4.3.0 later", Stage::Data),
        ("DOT", "554 5.6.0 smells of spam", Stage::FinalDot),
        ("DOT", "452 4.3.1 disk full", Stage::FinalDot),
    ] {
        let relay = smtp::Relay::start();
        if place != "DOT" {
            spare_the_first(&relay, place);
            relay.refuse(place, reply, 1);
        }
        let mut connection = open(&relay).await;
        send_before(&mut connection, ADA, BOB).await.unwrap();
        if place == "DOT" {
            relay.refuse(place, reply, 1);
        }
        let failed = send_before(&mut connection, BOB, EVE).await.unwrap_err();
        assert_eq!(
            (failed.stage, failed.cause, failed.in_doubt),
            (stage, Cause::Refused, false),
            "{place} {reply}"
        );
        assert_eq!(failed.reply.unwrap().code.to_string(), reply[..3], "{place}");
        assert!(connection.is_usable(), "{place} {reply}");
        send(&mut connection, EVE).await.unwrap();
        assert_eq!(recipients(&relay), [ADA, EVE], "{place} {reply}");
        assert_eq!(relay.n_connections(), 1, "{place} {reply}");
    }
}

/// What the relay says to the mail itself does not keep it from taking the next one.
#[tokio::test]
async fn a_mail_that_is_refused_at_its_end_does_not_touch_the_next_one() {
    let relay = smtp::Relay::start();
    relay.refuse("DOT", "554 5.6.0 smells of spam", 1);
    let mut connection = open(&relay).await;
    let failed = send_before(&mut connection, ADA, BOB).await.unwrap_err();
    assert_eq!((failed.stage, failed.reply.unwrap().code), (Stage::FinalDot, 554));
    assert!(connection.is_usable() && connection.is_asked());
    send(&mut connection, BOB).await.unwrap();
    assert_eq!((recipients(&relay), relay.n_connections()), (vec![BOB.to_owned()], 1));
}

/// RFC 2920 §3.1: a server may answer 354 although it refused every recipient.
#[tokio::test]
async fn a_relay_that_wants_the_next_mail_for_nobody_gets_an_empty_one() {
    let relay = smtp::Relay::start();
    relay.refuse_address(BOB, "550 5.1.1 no such user", 1);
    spare_the_first(&relay, "DATA");
    relay.refuse("DATA", "354 go ahead all the same", 1);
    let mut connection = open(&relay).await;
    send_before(&mut connection, ADA, BOB).await.unwrap();
    let failed = send_before(&mut connection, BOB, EVE).await.unwrap_err();
    assert_eq!((failed.stage, failed.reply.unwrap().code), (Stage::RcptTo, 550));
    send(&mut connection, EVE).await.unwrap();
    assert_eq!(
        (recipients(&relay), relay.n_connections()),
        (vec![ADA.to_owned(), EVE.to_owned()], 1)
    );
}

/// Only the mail whose final dot was out is in doubt; before its own `MAIL` was answered the next one was never begun.
#[tokio::test]
async fn a_cut_between_two_mails_leaves_no_doubt_about_either() {
    for (place, stage, cause) in [
        ("MAIL", Stage::MailFrom, Cause::Stale),
        ("RCPT", Stage::RcptTo, Cause::Closed),
        ("DATA", Stage::Data, Cause::Closed),
    ] {
        let relay = smtp::Relay::start();
        spare_the_first(&relay, place);
        relay.cut(place, 1);
        let mut connection = open(&relay).await;
        send_before(&mut connection, ADA, BOB).await.unwrap();
        let failed = send_before(&mut connection, BOB, EVE).await.unwrap_err();
        assert_eq!((failed.stage, failed.cause, failed.in_doubt), (stage, cause, false), "{failed}");
        assert!(!connection.is_usable() && !connection.is_asked(), "{place}");
        assert_eq!(recipients(&relay), [ADA], "{place}");
    }
}

#[tokio::test]
async fn a_cut_after_the_final_dot_is_a_doubt_about_that_mail_alone() {
    for (place, n_taken) in [("DOT", 1), ("BODY", 0)] {
        let relay = smtp::Relay::start();
        relay.cut(place, 1);
        let mut connection = open(&relay).await;
        let failed = send_before(&mut connection, ADA, BOB).await.unwrap_err();
        assert_eq!((failed.stage, failed.in_doubt), (Stage::FinalDot, true), "{place}: {failed}");
        assert!(!connection.is_usable() && !connection.is_asked(), "{place}");
        assert_eq!(relay.mails().len(), n_taken, "{place}");
    }
}

/// A mail that does not fit into what the operating system takes ahead, with the next one's commands behind it: its end was never out.
#[tokio::test]
async fn a_cut_in_a_large_mail_with_another_behind_it_is_no_doubt() {
    let relay = smtp::Relay::start();
    relay.offer("SIZE 0");
    relay.cut("BODY", 1);
    let data = "x\r\n".repeat(6_000_000);
    let mut connection = open(&relay).await;
    let (ada, bob) = (address(ADA), address(BOB));
    let failed = connection
        .send_before(envelope(&ada), data.as_bytes(), Some((envelope(&bob), MAIL)))
        .await
        .unwrap_err();
    assert_eq!(
        (failed.stage, failed.cause, failed.in_doubt),
        (Stage::FinalDot, Cause::Closed, false),
        "{failed}"
    );
}

#[tokio::test]
async fn after_421_or_garbage_nothing_is_asked_for() {
    for (reply, in_doubt) in [("421 4.3.2 shutting down", false), ("what?", true), ("354 more, please", true)] {
        let relay = smtp::Relay::start();
        relay.refuse("DOT", reply, 1);
        let mut connection = open(&relay).await;
        let failed = send_before(&mut connection, ADA, BOB).await.unwrap_err();
        assert_eq!((failed.stage, failed.in_doubt), (Stage::FinalDot, in_doubt), "{reply}");
        assert!(!connection.is_usable() && !connection.is_asked(), "{reply}");
    }
}

#[tokio::test]
async fn without_pipelining_each_mail_is_asked_for_in_its_turn() {
    let relay = smtp::Relay::start();
    relay.withdraw("PIPELINING");
    let mut connection = open(&relay).await;
    send_before(&mut connection, ADA, BOB).await.unwrap();
    assert!(connection.is_usable() && !connection.is_asked());
    assert_eq!(relay.verbs(), ["EHLO", "MAIL", "RCPT", "DATA"]);
    send(&mut connection, BOB).await.unwrap();
    assert_eq!(recipients(&relay), [ADA, BOB]);
}

/// What cannot be asked for is refused when its turn comes, not before.
#[tokio::test]
async fn a_next_mail_that_the_relay_cannot_take_does_not_touch_this_one() {
    let relay = smtp::Relay::start();
    relay.offer("SIZE 100");
    let mut connection = open(&relay).await;
    let (ada, bob) = (address(ADA), address(BOB));
    let large = [b'x'; 200];
    connection
        .send_before(envelope(&ada), MAIL, Some((envelope(&bob), &large)))
        .await
        .unwrap();
    assert!(!connection.is_asked());
    let failed = connection.send(SENDER, &bob, &large).await.unwrap_err();
    assert_eq!((failed.stage, failed.reply.unwrap().code), (Stage::Data, 552));
    assert!(connection.is_usable());
}
