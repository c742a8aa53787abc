//! Where mails leave: kept connections to the relays, a Maildir, or nowhere (mode `dry`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::RwLock;

use crate::app::record::TryResult;
use crate::delivery::Error;
use crate::delivery::compose::Composed;
use crate::mail::{Cause, Connection, Failed, Maildir, Relay, Tls};
use crate::partner::EmailAddress;
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
    Smtp(Relays),
}

/// The relays, and what they share.
pub struct Relays {
    relays: Vec<Relay>,
    envelope_from: String,
    failure: Mutex<Option<(Instant, Failed, String)>>,
    /// Connections that are open.
    n_open: Arc<AtomicUsize>,
    /// Read by who opens one, written by who asks, after a failure, what came of the others that were being opened.
    opening: RwLock<()>,
}

/// One sender's way out: a connection of its own, kept while there is work.
pub struct Line {
    outlet: Arc<Outlet>,
    kept: Option<Kept>,
}

struct Kept {
    connection: Connection,
    relay: String,
    _counted: Counted,
}

/// Counts an open connection for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(n_open: &Arc<AtomicUsize>) -> Self {
        n_open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(n_open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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
            Transport::Smtp => Ok(Self::Smtp(Relays::new(settings)?)),
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

    /// Makes what was handed over durable, before it is recorded as sent. A relay has done so by its 250.
    pub async fn settle(&self) -> Result<(), Failed> {
        match self {
            Self::Maildir(maildir) => maildir.sync().await,
            Self::Nowhere | Self::Smtp(_) => Ok(()),
        }
    }
}

impl Line {
    /// Sets up a way out; a connection is opened by the first mail.
    pub fn new(outlet: &Arc<Outlet>) -> Self {
        Self {
            outlet: Arc::clone(outlet),
            kept: None,
        }
    }

    /// Hands one mail over; returns who was asked, and what came of it. The `next` one has to be handed over next, or the line cut.
    /// `None`: the relay takes no further connection while others are open, so this is a mail for one of them, and nothing was tried.
    pub async fn send(&mut self, mail: Composed, next: Option<&Composed>) -> Option<(String, TryResult)> {
        let outlet = Arc::clone(&self.outlet);
        match outlet.as_ref() {
            Outlet::Nowhere => Some(("dry".to_owned(), TryResult::Dry)),
            Outlet::Maildir(maildir) => {
                let result = match maildir.deliver(&mail.message_id, mail.bytes).await {
                    Ok(_) => TryResult::Accepted(None),
                    Err(failed) => result_of(failed),
                };
                Some(("maildir".to_owned(), result))
            }
            Outlet::Smtp(relays) => self.send_by(relays, &mail, next).await,
        }
    }

    async fn send_by(&mut self, relays: &Relays, mail: &Composed, next: Option<&Composed>) -> Option<(String, TryResult)> {
        loop {
            let was_kept = self.kept.is_some();
            let mut kept = match self.kept.take() {
                Some(kept) => kept,
                None => match relays.open().await {
                    Ok(kept) => kept,
                    Err(_) if relays.has_open() => return None,
                    Err((relay, failed)) => return Some((relay, result_of(failed))),
                },
            };
            let next = next.map(|next| (relays.sender_of(next), &next.to, next.bytes.as_slice()));
            let sent = kept
                .connection
                .send_before(relays.sender_of(mail), &mail.to, &mail.bytes, next)
                .await;
            let relay = kept.relay.clone();
            if kept.connection.is_usable() {
                self.kept = Some(kept);
            }
            match sent {
                Ok(reply) => return Some((relay, TryResult::Accepted(Some(reply)))),
                // The server had closed the kept connection: nothing was said, so this was no attempt.
                Err(failed) if failed.is_stale() && was_kept => {}
                Err(failed) => return Some((relay, result_of(failed))),
            }
        }
    }

    /// Tells whether the relay waits for the mail that was `next`.
    pub fn is_asked(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.connection.is_asked())
    }

    /// Ends the connection without a word: the relay forgets what it was asked for.
    pub fn cut(&mut self) {
        self.kept = None;
    }

    /// Tells whether a connection is kept.
    pub fn is_open(&self) -> bool {
        self.kept.is_some()
    }

    /// Ends the connection; the next mail opens another one.
    pub async fn close(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.connection.close().await;
        }
    }
}

impl Relays {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let mut relays = Vec::new();
        for configured in &settings.smtp.relays {
            relays.push(relay_of(configured)?);
        }
        let from = settings.mail.from.address();
        // In ASCII (IDNA), as the header has it: a relay need not know of SMTPUTF8 for a domain's sake.
        let bounces_to: Option<EmailAddress> = settings.mail.envelope_from.clone().or_else(|| from.parse().ok());
        Ok(Self {
            relays,
            envelope_from: bounces_to.map_or_else(|| from.to_owned(), |to| to.as_str().to_owned()),
            failure: Mutex::default(),
            n_open: Arc::default(),
            opening: RwLock::default(),
        })
    }

    /// Returns where bounces of a mail go.
    fn sender_of<'a>(&'a self, mail: &'a Composed) -> &'a str {
        mail.return_to.as_deref().unwrap_or(&self.envelope_from)
    }

    /// Tells whether a connection is open.
    fn has_open(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) > 0
    }

    /// Opens a connection to the first relay that takes one. Where none does, it is known by then what came of the others that were being opened.
    async fn open(&self) -> Result<Kept, (String, Failed)> {
        let opened = {
            let _opening = self.opening.read().await;
            self.try_open().await
        };
        if opened.is_err() {
            drop(self.opening.write().await);
        }
        opened
    }

    async fn try_open(&self) -> Result<Kept, (String, Failed)> {
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
                        _counted: Counted::new(&self.n_open),
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

/// Makes a relay of its settings; its password is read here.
///
/// # Errors
/// The password file cannot be read.
pub fn relay_of(configured: &settings::Relay) -> Result<Relay, secret::Error> {
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
    Ok(relay)
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
