//! One relay: how it is found, its connections, and what its answers say of it.
//!
//! **Invariant:** a try of a relay that was left alone ends, whatever becomes of the connection: by an answer, or taken back when it is dropped.
//! **Not here:** which relay a mail takes (`delivery::relays`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, RwLock, Semaphore};

use crate::clock::{Clock, wall_now};
use crate::delivery::Error;
use crate::mail::{Cause, Connection, Failed, Identity, Relay, Tls};
use crate::outbox::Stage;
use crate::outbox::circuit::{self, Answer, Circuit};
use crate::outbox::pace::{Bucket, Limits};
use crate::outbox::reply::{Verdict, classify};
use crate::settings::{self, Settings, secret};
use crate::time::Timestamp;

/// A relay, and how it is found.
pub(super) struct Way {
    /// Host and port.
    pub(super) name: String,
    relay: Relay,
    pub(super) limits: Limits,
    age_max: Duration,
    n_mails_max: u32,
    pub(super) rate: Option<Mutex<Bucket>>,
    /// Connections that may still be opened.
    pub(super) lines: Arc<Semaphore>,
    /// Connections that are open.
    n_open: Arc<AtomicUsize>,
    /// Read by who opens one, written by who asks, after a failure, what came of the others that were being opened.
    opening: RwLock<()>,
    found: Mutex<Found>,
    pub(super) allowance: AsyncMutex<Allowance>,
}

/// How a relay is found.
pub(super) struct Found {
    pub(super) circuit: Circuit,
    pub(super) since: Timestamp,
    pub(super) why: Option<String>,
    /// Until when its hour or day is full.
    pub(super) full_until: Option<Timestamp>,
}

/// Mails that are entered as sent and not sent yet.
pub(super) struct Allowance {
    pub(super) entered_at: Timestamp,
    pub(super) n: u32,
}

/// A connection that is kept while there is work.
pub(super) struct Kept {
    pub(super) connection: Connection,
    pub(super) way: Arc<Way>,
    opened_at: Instant,
    n_mails: u32,
    hold: Hold,
}

/// Counts an open connection for as long as it lives, and takes back a try of the relay that came to nothing.
pub(super) struct Hold {
    way: Arc<Way>,
    clock: Clock,
    is_try: bool,
    is_open: bool,
    _line: OwnedSemaphorePermit,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.is_open {
            self.way.n_open.fetch_sub(1, Ordering::Relaxed);
        }
        if self.is_try {
            self.way.found().circuit.drop_try(self.clock.now());
        }
    }
}

impl Hold {
    /// Holds a line; `is_try`: for the mail that tries the relay.
    pub(super) fn new(way: &Arc<Way>, clock: Clock, line: OwnedSemaphorePermit, is_try: bool) -> Self {
        Self {
            way: Arc::clone(way),
            clock,
            is_try,
            is_open: false,
            _line: line,
        }
    }

    pub(super) fn way(&self) -> &Arc<Way> {
        &self.way
    }

    /// Whether it is for the mail that tries the relay.
    pub(super) fn is_try(&self) -> bool {
        self.is_try
    }

    /// Notes that the relay has answered the try.
    pub(super) fn tried(&mut self) {
        self.is_try = false;
    }
}

impl Kept {
    pub(super) fn new(connection: Connection, way: &Arc<Way>, hold: Hold) -> Self {
        Self {
            connection,
            way: Arc::clone(way),
            opened_at: Instant::now(),
            n_mails: 0,
            hold,
        }
    }

    /// Whether it has carried enough mails, or is old.
    pub(super) fn is_worn(&self) -> bool {
        self.n_mails >= self.way.n_mails_max || self.opened_at.elapsed() >= self.way.age_max
    }

    /// Whether its next mail tries a relay that was left alone.
    pub(super) fn is_try(&self) -> bool {
        self.hold.is_try
    }

    /// Counts a mail. It ends a try of the relay, unless the relay had nothing to say to it.
    pub(super) fn count(&mut self) {
        self.n_mails += 1;
        self.hold.is_try &= matches!(self.way.found().circuit.state(), circuit::State::HalfOpen(_));
    }
}

impl Way {
    pub(super) fn new(now: Timestamp, settings: &Settings, configured: &settings::Relay) -> Result<Self, Error> {
        let mut relay = relay_of(configured)?;
        relay.notify_success = settings.smtp.notify_success;
        if let Some(limit) = configured.timeout {
            relay.timeouts = relay.timeouts.with_each(limit);
        }
        relay.timeouts.final_dot = configured.mail_timeout;
        Ok(Self {
            name: configured.name(),
            relay,
            limits: configured.limits(),
            age_max: configured.connection_age,
            n_mails_max: configured.mails_per_connection,
            rate: configured.rate.map(|rate| Mutex::new(Bucket::new(wall_now(), rate))),
            lines: Arc::new(Semaphore::new(configured.connections as usize)),
            n_open: Arc::default(),
            opening: RwLock::default(),
            found: Mutex::new(Found {
                circuit: Circuit::default(),
                since: now,
                why: None,
                full_until: None,
            }),
            allowance: AsyncMutex::new(Allowance { entered_at: now, n: 0 }),
        })
    }

    /// Opens a connection. Where that fails it is known by then what came of the others that were being opened.
    pub(super) async fn connect(&self, hold: &mut Hold) -> Result<Connection, Failed> {
        let opened = {
            let _opening = self.opening.read().await;
            let opened = Connection::open(&self.relay).await;
            if opened.is_ok() {
                self.n_open.fetch_add(1, Ordering::Relaxed);
                hold.is_open = true;
            }
            opened
        };
        if opened.is_err() {
            drop(self.opening.write().await);
        }
        opened
    }

    /// Tells whether a connection is open.
    pub(super) fn has_open(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) > 0
    }

    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    pub(super) fn may_ask(&self, now: Timestamp) -> bool {
        self.full_until.is_none_or(|until| until <= now) && self.circuit.may_ask(now)
    }

    pub(super) fn gives_up(&self, now: Timestamp) -> bool {
        self.full_until.is_none_or(|until| until <= now) && self.circuit.state().open().is_none_or(|open| open.cause.gives_up())
    }

    /// Returns until when a mail waits for it, and for what.
    pub(super) fn wait(&self, now: Timestamp, name: &str) -> (Timestamp, String) {
        if let Some(full) = self.full_until.filter(|until| *until > now) {
            return (full, format!("the pace: the hour or day of relay {name} is full"));
        }
        match self.circuit.state().open() {
            Some(open) if !self.circuit.may_ask(now) => {
                // Not in the relay's own words: they may name another mail's recipient.
                let why = open.cause.describe();
                // While a mail tries it, the answer may be there at any moment.
                let until = match self.circuit.state() {
                    circuit::State::HalfOpen(_) => open.until.min(now.plus(circuit::PAUSE_FIRST)),
                    circuit::State::Open(_) | circuit::State::Closed => open.until,
                };
                (until, format!("relay {name}, which {why}"))
            }
            Some(_) | None => (now, format!("relay {name}")),
        }
    }
}

/// Says what went wrong, with the relay's own words where it had some.
pub(super) fn words(failed: &Failed) -> String {
    match &failed.reply {
        Some(reply) => format!("refused at {}: {reply}", failed.stage),
        None => format!("failed at {}: {}", failed.stage, failed.detail),
    }
}

/// Says what a failed mail for `domain` tells of its relay; nothing where it was refused on the relay's behalf, or nothing was said.
pub(super) fn answer_of(failed: &Failed, domain: &str) -> Option<Answer> {
    let Some(reply) = &failed.reply else {
        return match failed.cause {
            Cause::Stale => None,
            Cause::NotOffered | Cause::Tls => Some(Answer::Refused),
            Cause::Refused
            | Cause::TimedOut
            | Cause::Closed
            | Cause::Unreachable
            | Cause::Garbled
            | Cause::DiskFull
            | Cause::Denied
            | Cause::Io => Some(Answer::Troubled),
        };
    };
    if reply.text.ends_with("(posthorn)") {
        return None;
    }
    let is_before_recipient = match failed.stage {
        Stage::Connect | Stage::Ehlo | Stage::StartTls | Stage::Auth | Stage::MailFrom => true,
        Stage::RcptTo | Stage::Data | Stage::FinalDot => false,
    };
    Some(match classify(failed.stage, reply) {
        Verdict::Relay => Answer::Refused,
        // 421 is said of the service, whatever it was asked (RFC 5321 §3.8).
        Verdict::Transient if reply.code == 421 || is_before_recipient => Answer::Troubled,
        Verdict::Transient | Verdict::Address { suppress: false, .. } => Answer::TroubledFor(domain.to_owned()),
        Verdict::Accepted | Verdict::Address { suppress: true, .. } | Verdict::Message => Answer::Served,
    })
}

/// Makes a relay of its settings. What proves our account is read for each connection, and here once, so that a missing file is found at the start.
///
/// # Errors
/// A file that the settings name cannot be read.
pub fn relay_of(configured: &settings::Relay) -> Result<Relay, secret::Error> {
    let tls = match configured.tls {
        settings::Tls::Required => Tls::Required,
        settings::Tls::Implicit => Tls::Implicit,
        settings::Tls::Opportunistic => Tls::Opportunistic,
        settings::Tls::None => Tls::None,
    };
    let read = |path: &Option<PathBuf>| path.as_deref().map(read_bytes).transpose();
    let mut relay = Relay::new(&configured.host, configured.port, tls);
    relay.username.clone_from(&configured.username);
    relay.password_file.clone_from(&configured.password_file);
    relay.token_file.clone_from(&configured.token_file);
    for path in configured.password_file.iter().chain(&configured.token_file) {
        secret::read(path)?;
    }
    relay.tls_roots = read(&configured.ca_file)?;
    if let (Some(certificates), Some(key)) = (read(&configured.certificate_file)?, &configured.key_file) {
        relay.identity = Some(Identity {
            certificates,
            key: secret::read(key)?,
        });
    }
    Ok(relay)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, secret::Error> {
    Ok(secret::read(path)?.expose_secret().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Reply;

    fn failed(stage: Stage, cause: Cause, reply: Option<(u16, &str)>) -> Failed {
        Failed {
            stage,
            reply: reply.map(|(code, text)| Reply::new(code, text)),
            cause,
            detail: String::new(),
            in_doubt: false,
        }
    }

    #[test]
    fn an_answer_tells_of_the_relay_what_it_does_not_tell_of_recipient_or_message() {
        use Answer::{Refused, Served, Troubled};
        let troubled_for = || Some(Answer::TroubledFor("contoso.example".to_owned()));
        for (stage, code, text, expected) in [
            (Stage::MailFrom, 550, "5.7.1 blocked", Some(Refused)),
            (Stage::MailFrom, 451, "4.3.0 later", Some(Troubled)),
            (Stage::RcptTo, 421, "4.7.0 too many", Some(Troubled)),
            (Stage::RcptTo, 451, "4.7.1 greylisted", troubled_for()),
            (Stage::RcptTo, 550, "5.1.1 no such user", Some(Served)),
            (Stage::RcptTo, 554, "5.7.1 relay access denied", troubled_for()),
            (Stage::RcptTo, 550, "no", troubled_for()),
            (Stage::RcptTo, 553, "not an address (posthorn)", None),
            (Stage::FinalDot, 554, "5.6.0 spam", Some(Served)),
            (Stage::FinalDot, 452, "4.3.1 disk full", troubled_for()),
        ] {
            let failed = failed(stage, Cause::Refused, Some((code, text)));
            assert_eq!(answer_of(&failed, "contoso.example"), expected, "{stage} {code} {text}");
        }
        for (cause, expected) in [
            (Cause::Stale, None),
            (Cause::Tls, Some(Refused)),
            (Cause::NotOffered, Some(Refused)),
            (Cause::TimedOut, Some(Troubled)),
            (Cause::Closed, Some(Troubled)),
            (Cause::Garbled, Some(Troubled)),
        ] {
            assert_eq!(
                answer_of(&failed(Stage::MailFrom, cause, None), "contoso.example"),
                expected,
                "{cause:?}"
            );
        }
    }
}
