//! Where mails leave: kept connections to the relays, a Maildir, or nowhere (mode `dry`).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app::record::TryResult;
use crate::delivery::Error;
use crate::delivery::compose::Composed;
use crate::mail::{Cause, Connection, Failed, Maildir, Relay, Tls};
use crate::settings::{self, Mode, Settings, Transport, secret};

/// How long a relay that could not be opened is not asked again: a batch behind it fails at once instead of knocking 500 times.
const REMEMBER_FAILURE: Duration = Duration::from_secs(1);

/// Where mails leave.
pub enum Outlet {
    /// Nowhere: they are composed, and that is all.
    Nowhere,
    /// A Maildir.
    Maildir(Maildir),
    /// SMTP relays, tried in their order.
    Smtp(Pool),
}

/// Connections to the relays, kept while there is work.
pub struct Pool {
    relays: Vec<Relay>,
    envelope_from: String,
    idle: Mutex<Vec<Kept>>,
    failure: Mutex<Option<(Instant, Failed, String)>>,
}

struct Kept {
    connection: Connection,
    relay: String,
}

impl Outlet {
    /// Sets up what the settings say; passwords are read here.
    ///
    /// # Errors
    /// A password file cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        if settings.mode == Mode::Dry {
            return Ok(Self::Nowhere);
        }
        match settings.mail.transport {
            Transport::Maildir => Ok(Self::Maildir(Maildir::new(&settings.mail.maildir))),
            Transport::Smtp => Ok(Self::Smtp(Pool::new(settings)?)),
        }
    }

    /// Returns how many mails may be handed over at once.
    pub fn n_connections(settings: &Settings) -> usize {
        let relays: u32 = settings
            .smtp
            .relays
            .first()
            .map_or(settings.worker.connections, |relay| relay.connections);
        match settings.mail.transport {
            Transport::Smtp => settings.worker.connections.min(relays) as usize,
            Transport::Maildir => settings.worker.connections as usize,
        }
    }

    /// Hands one mail over; returns who was asked, and what came of it.
    pub async fn send(&self, mail: Composed) -> (String, TryResult) {
        match self {
            Self::Nowhere => ("dry".to_owned(), TryResult::Dry),
            Self::Maildir(maildir) => {
                let sent = match maildir.prepare().await {
                    Ok(()) => maildir.deliver(&mail.message_id, mail.bytes).await.map(|_| ()),
                    Err(failed) => Err(failed),
                };
                let result = match sent {
                    Ok(()) => TryResult::Accepted(None),
                    Err(failed) => result_of(failed),
                };
                ("maildir".to_owned(), result)
            }
            Self::Smtp(pool) => pool.send(&mail).await,
        }
    }

    /// Makes what was handed over durable, before it is recorded as sent. A relay has done so by its 250.
    pub async fn settle(&self) -> Result<(), Failed> {
        match self {
            Self::Maildir(maildir) => maildir.sync().await,
            Self::Nowhere | Self::Smtp(_) => Ok(()),
        }
    }

    /// Ends the kept connections.
    pub async fn close(&self) {
        if let Self::Smtp(pool) = self {
            loop {
                let kept = pool.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(kept) = kept else { return };
                kept.connection.close().await;
            }
        }
    }
}

impl Pool {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let mut relays = Vec::new();
        for configured in &settings.smtp.relays {
            let tls = match configured.tls {
                settings::Tls::Required => Tls::Required,
                settings::Tls::Implicit => Tls::Implicit,
                settings::Tls::Opportunistic => Tls::Opportunistic,
                settings::Tls::None => Tls::None,
            };
            let mut relay = Relay::new(&configured.host, configured.port, tls);
            relay.username.clone_from(&configured.username);
            relay.password = match &configured.password_file {
                Some(path) => Some(secret::read(path)?),
                None => None,
            };
            relays.push(relay);
        }
        let from = settings
            .mail
            .envelope_from
            .as_ref()
            .map_or(settings.mail.from.address(), |from| from.as_str());
        Ok(Self {
            relays,
            envelope_from: from.to_owned(),
            idle: Mutex::default(),
            failure: Mutex::default(),
        })
    }

    async fn send(&self, mail: &Composed) -> (String, TryResult) {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let was_idle = idle.is_some();
            let mut kept = match idle {
                Some(kept) => kept,
                None => match self.open().await {
                    Ok(kept) => kept,
                    Err((relay, failed)) => return (relay, result_of(failed)),
                },
            };
            let sent = kept.connection.send(&self.envelope_from, &mail.to, &mail.bytes).await;
            let relay = kept.relay.clone();
            if kept.connection.is_usable() {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
            }
            match sent {
                Ok(reply) => return (relay, TryResult::Accepted(Some(reply))),
                // The server had closed the idle connection: nothing was said, so this was no attempt.
                Err(failed) if failed.is_stale() && was_idle => {}
                Err(failed) => return (relay, result_of(failed)),
            }
        }
    }

    /// Opens a connection to the first relay that takes one.
    async fn open(&self) -> Result<Kept, (String, Failed)> {
        let remembered = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, failed, relay)) = remembered
            && at.elapsed() < REMEMBER_FAILURE
        {
            return Err((relay, failed));
        }
        let mut last = None;
        for relay in &self.relays {
            match Connection::open(relay).await {
                Ok(connection) => {
                    return Ok(Kept {
                        connection,
                        relay: relay.to_string(),
                    });
                }
                Err(failed) => {
                    tracing::warn!(relay = %relay, stage = %failed.stage, cause = failed.cause.as_str(), "relay not opened: {failed}");
                    last = Some((relay.to_string(), failed));
                }
            }
        }
        let (relay, failed) = last.expect("the settings refuse smtp without a relay");
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), failed.clone(), relay.clone()));
        Err((relay, failed))
    }
}

/// Names what a failure was, for `app::record`.
fn result_of(failed: Failed) -> TryResult {
    let detail = failed.detail.clone();
    if failed.in_doubt {
        return TryResult::ReplyLost(detail);
    }
    if let Some(reply) = failed.reply {
        return TryResult::Refused(failed.stage, reply);
    }
    match failed.cause {
        Cause::NotOffered | Cause::Tls => TryResult::RelayUnfit(failed.stage, detail),
        Cause::Refused
        | Cause::TimedOut
        | Cause::Closed
        | Cause::Stale
        | Cause::Unreachable
        | Cause::Garbled
        | Cause::DiskFull
        | Cause::Denied
        | Cause::Io => TryResult::Unreachable(failed.stage, detail),
    }
}
