//! `posthorn::mail`'s SMTP client against a relay that does as it is told, one module per group of faults.

mod ahead;
mod auth;
mod disconnect;
mod dsn;
mod idle_close;
mod limits;
mod refusal;
mod sending;
mod slow;
mod tls;

use std::time::Duration;

use posthorn::mail::{Connection, Envelope, Failed, Relay, Timeouts, Tls};
use posthorn::outbox::Reply;
use posthorn::partner::EmailAddress;

use crate::support::smtp;

const SENDER: &str = "bounces@portal.example";
const MAIL: &[u8] = b"Subject: hi\r\n\r\nA lead.\r\n";

/// The client's settings for a relay of the tests, with timeouts that no healthy answer comes near.
fn settings(relay: &smtp::Relay, tls: Tls) -> Relay {
    let mut settings = Relay::new(relay.host(), relay.port(), tls);
    settings.hello_name = "posthorn.test".into();
    settings.timeouts = all(Duration::from_secs(20));
    settings.tls_roots = Some(smtp::Relay::ca_pem().into());
    settings
}

fn all(limit: Duration) -> Timeouts {
    Timeouts {
        connect: limit,
        ehlo: limit,
        start_tls: limit,
        auth: limit,
        mail_from: limit,
        rcpt_to: limit,
        data: limit,
        final_dot: limit,
    }
}

async fn open(relay: &smtp::Relay) -> Connection {
    Connection::open(&settings(relay, Tls::None)).await.unwrap()
}

async fn open_error(settings: &Relay) -> Failed {
    match Connection::open(settings).await {
        Ok(_) => panic!("the connection opened"),
        Err(failed) => failed,
    }
}

async fn send(connection: &mut Connection, to: &str) -> Result<Reply, Failed> {
    connection.send(SENDER, &address(to), MAIL).await
}

fn envelope(to: &EmailAddress) -> Envelope<'_> {
    Envelope {
        from: SENDER,
        to,
        id: Some("abc+def"),
    }
}

fn address(text: &str) -> EmailAddress {
    text.parse().unwrap()
}
