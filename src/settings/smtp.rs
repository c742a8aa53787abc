//! Table `smtp`: the relays, how fast they and the domains of recipients are mailed, and how they are logged in to.

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;

use crate::outbox::pace::{Limits, Rate};
use crate::settings::keys::{Table, Visitor};
use crate::settings::tables::{DAY, MINUTE, SECOND};
use crate::settings::values::{COUNT_MAX, is_within};

/// Table `smtp`.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// The relays, in order of preference.
    pub relays: Vec<Relay>,
    /// How fast a worker hands mails over, over all relays.
    pub rate: Option<Rate>,
    /// How fast domains of recipients are mailed.
    pub domains: Vec<Domain>,
    /// How long a delivery is tried before it has failed.
    pub give_up_after: Duration,
    /// Whether relays are asked to report mails that were delivered.
    pub notify_success: bool,
}

/// One relay.
#[derive(Clone, Debug, PartialEq)]
pub struct Relay {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Who posthorn is to it; unset: nobody.
    pub username: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The file that holds an OAuth 2 access token, in place of a password.
    pub token_file: Option<PathBuf>,
    /// CA certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate chain (PEM) that posthorn shows to it.
    pub certificate_file: Option<PathBuf>,
    /// The certificate's private key (PEM).
    pub key_file: Option<PathBuf>,
    /// Connections kept to it at most, by each worker.
    pub connections: u32,
    /// How old a connection gets.
    pub connection_age: Duration,
    /// How many mails a connection carries.
    pub mails_per_connection: u32,
    /// How fast a worker hands mails over to it.
    pub rate: Option<Rate>,
    /// Mails in an hour, of all workers.
    pub per_hour: Option<u32>,
    /// Mails on a day, of all workers.
    pub per_day: Option<u32>,
    /// Mails on the first day, the second, …
    pub warm_up: Vec<u32>,
    /// The first day.
    pub warm_up_from: Option<NaiveDate>,
    /// How long it may take for an answer; unset: as long as fits the command.
    pub timeout: Option<Duration>,
    /// How long it may take for the answer to a mail.
    pub mail_timeout: Duration,
}

impl Relay {
    /// Returns how the relay is named in `status`, logs and attempts.
    pub fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns its limits by the hour and the day.
    pub fn limits(&self) -> Limits {
        Limits {
            per_hour: self.per_hour,
            per_day: self.per_day,
            warm_up: self.warm_up.clone(),
            warm_up_from: self.warm_up_from,
        }
    }
}

/// How a connection to a relay is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// STARTTLS, and no mail without it.
    #[default]
    Required,
    /// TLS from the first byte (port 465).
    Implicit,
    /// STARTTLS where the relay offers it.
    Opportunistic,
    /// In the clear.
    None,
}

/// How fast a domain of recipients is mailed by a worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Domain {
    /// What stands behind the `@`; `*`: each domain that has no entry of its own.
    pub domain: String,
    /// How fast.
    pub rate: Option<Rate>,
    /// Mails under way to it at once.
    pub connections: Option<u32>,
}

impl Default for Smtp {
    fn default() -> Self {
        // Two days: RFC 5321 §4.5.4.1 asks for four to five, but a lead that is told of after two is no news any more.
        Self {
            relays: Vec::new(),
            rate: None,
            domains: Vec::new(),
            give_up_after: 2 * DAY,
            notify_success: false,
        }
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: Tls::Required,
            username: None,
            password_file: None,
            token_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            // Four connections: what public relays commonly allow one client, and thousands of mails a second when pipelined.
            connections: 4,
            // Relays behind one name are reached by new connections only: after ten minutes a changed name, or a repaired member, counts.
            connection_age: 10 * MINUTE,
            // A new connection takes about seven round trips, TLS and goodbye included: below a hundredth of those of a thousand mails.
            mails_per_connection: 1000,
            rate: None,
            per_hour: None,
            per_day: None,
            warm_up: Vec::new(),
            warm_up_from: None,
            timeout: None,
            // RFC 5321 §4.5.3.2.6: there impatience costs a duplicate.
            mail_timeout: 10 * MINUTE,
        }
    }
}

impl Table for Smtp {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.list("relays", &mut self.relays);
        v.key("rate", &mut self.rate);
        v.list("domains", &mut self.domains);
        v.bounded("give_up_after", &mut self.give_up_after, SECOND..=30 * DAY);
        v.key("notify_success", &mut self.notify_success);
    }
}

impl Table for Relay {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("host", &mut self.host);
        v.bounded("port", &mut self.port, 1..=u16::MAX);
        v.key("tls", &mut self.tls);
        v.key("username", &mut self.username);
        v.key("password_file", &mut self.password_file);
        v.key("token_file", &mut self.token_file);
        v.key("ca_file", &mut self.ca_file);
        v.key("certificate_file", &mut self.certificate_file);
        v.key("key_file", &mut self.key_file);
        v.bounded("connections", &mut self.connections, 1..=200);
        v.bounded("connection_age", &mut self.connection_age, SECOND..=DAY);
        v.bounded("mails_per_connection", &mut self.mails_per_connection, 1..=1_000_000);
        v.key("rate", &mut self.rate);
        v.checked("per_hour", &mut self.per_hour, |n| is_within(*n, &(1..=COUNT_MAX)));
        v.checked("per_day", &mut self.per_day, |n| is_within(*n, &(1..=COUNT_MAX)));
        v.key("warm_up", &mut self.warm_up);
        v.key("warm_up_from", &mut self.warm_up_from);
        v.checked("timeout", &mut self.timeout, |span| is_within(*span, &(SECOND..=10 * MINUTE)));
        v.bounded("mail_timeout", &mut self.mail_timeout, SECOND..=60 * MINUTE);
    }
}

impl Table for Domain {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("domain", &mut self.domain);
        v.key("rate", &mut self.rate);
        v.checked("connections", &mut self.connections, |n| is_within(*n, &(1..=200)));
    }
}
