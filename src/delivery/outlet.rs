//! Where mails leave: kept connections to the relays, a Maildir, or nowhere (mode `dry`).

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::record::{Postponed, TryResult};
use crate::clock::Clock;
use crate::delivery::Error;
use crate::delivery::compose::Composed;
use crate::delivery::relays::{Admission, Held, Instead, Relays, Shut, Wait};
use crate::delivery::way::Kept;
use crate::mail::{Cause, Envelope, Failed, Maildir};
use crate::outbox::Reply;
use crate::settings::{Mode, Settings, Transport};
use crate::store::{Store, relays};
use crate::time::Timestamp;

/// Where mails leave.
pub enum Outlet {
    /// Nowhere: they are composed, and that is all.
    Nowhere,
    /// A Maildir.
    Maildir(Maildir),
    /// SMTP relays, tried in their order.
    Smtp(Box<Relays>),
}

/// One sender's way out: a connection of its own, kept while there is work.
pub struct Line {
    outlet: Arc<Outlet>,
    kept: Option<Kept>,
}

impl Outlet {
    /// Sets up what the settings say. `store` counts what goes by relays that have a limit; without one each counts for itself.
    ///
    /// # Errors
    /// A password file cannot be read.
    pub fn new(settings: &Settings, clock: Clock, store: Option<&Store>, stop: &CancellationToken) -> Result<Self, Error> {
        if settings.mode == Mode::Dry {
            return Ok(Self::Nowhere);
        }
        match settings.mail.transport {
            Transport::Maildir => Ok(Self::Maildir(Maildir::new(&settings.mail.maildir))),
            Transport::Smtp => Ok(Self::Smtp(Box::new(Relays::new(settings, clock, store, stop)?))),
        }
    }

    /// Returns how many mails may be handed over at once.
    pub fn n_connections(settings: &Settings) -> usize {
        let relays = settings.smtp.relays.iter().map(|relay| relay.connections).max();
        match settings.mail.transport {
            Transport::Smtp => settings.worker.connections.min(relays.unwrap_or(u32::MAX)) as usize,
            Transport::Maildir => settings.worker.connections as usize,
        }
    }

    /// Returns how many mails may be claimed at `now`: none while no relay may be asked, one where it tries a relay, else any number.
    pub fn n_claimable(&self, now: Timestamp) -> usize {
        match self {
            Self::Nowhere | Self::Maildir(_) => usize::MAX,
            Self::Smtp(relays) => relays.n_claimable(now),
        }
    }

    /// Returns until when no mail leaves; `None` where one may.
    pub fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Nowhere | Self::Maildir(_) => None,
            Self::Smtp(relays) => relays.rests_until(now),
        }
    }

    /// Returns how the relays are found, where that has changed since it was last asked for.
    pub fn news(&self) -> Option<Vec<relays::Circuit>> {
        match self {
            Self::Nowhere | Self::Maildir(_) => None,
            Self::Smtp(relays) => relays.news(),
        }
    }

    /// Tells that the news could not be written: they are still news.
    pub fn keep_news(&self) {
        if let Self::Smtp(relays) = self {
            relays.keep_news();
        }
    }

    /// Whether answers are listened to that did not come in time, or were heard and not taken.
    pub fn is_listening(&self) -> bool {
        matches!(self, Self::Smtp(relays) if relays.late.is_listening())
    }

    /// Takes the answers that came late: delivery, relay and reply.
    pub fn late_replies(&self) -> Vec<(i64, String, Reply)> {
        match self {
            Self::Nowhere | Self::Maildir(_) => Vec::new(),
            Self::Smtp(relays) => relays.late.take(),
        }
    }

    /// Puts late answers back that could not be recorded yet.
    pub fn put_back_late(&self, heard: Vec<(i64, String, Reply)>) {
        if let Self::Smtp(relays) = self {
            relays.late.put_back(heard);
        }
    }

    /// Gives back what was entered as sent by a relay with a limit and was not.
    ///
    /// # Errors
    /// The database cannot be written; it stays entered.
    pub async fn return_allowances(&self) -> Result<(), crate::store::Error> {
        match self {
            Self::Nowhere | Self::Maildir(_) => Ok(()),
            Self::Smtp(relays) => relays.return_allowances().await,
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
        let is_asked = self.is_asked();
        let _pass = match relays.enter(&mail.to).await {
            Ok(pass) => pass,
            Err(Held::Stopped) => return Some((String::new(), TryResult::Released)),
            Err(Held::Wait(wait)) => return Some((String::new(), postponed(wait, None))),
        };
        // Asked in one packet with the end of this one, the next mail could not wait any more.
        let next = next.filter(|_| !relays.is_paced());
        loop {
            let mut held = None;
            if let Some(kept) = self.kept.as_ref().filter(|_| !is_asked)
                && let Instead::Another(hold) = relays.instead_of(kept)
            {
                held = hold;
                self.close().await;
            }
            let was_kept = self.kept.is_some();
            let mut kept = match self.kept.take() {
                Some(kept) => kept,
                None => match relays.open(held).await {
                    Ok(kept) => kept,
                    Err(Shut::NoLine) => return None,
                    Err(Shut::Wait(wait)) => return Some((String::new(), postponed(wait, None))),
                    // A relay that was left alone is still away: that says nothing of this mail.
                    Err(Shut::Failed(relay, failed, true)) => return Some((relay, postponed(relays.wait_now(), Some(&failed)))),
                    Err(Shut::Failed(relay, failed, false)) => return Some((relay, result_of(failed))),
                },
            };
            match relays.admit(&kept.way).await {
                Admission::Go => {}
                Admission::Full => {
                    kept.connection.close().await;
                    continue;
                }
                Admission::Stopped => {
                    relays.not_sent(&kept.way).await;
                    self.kept = Some(kept);
                    return Some((String::new(), TryResult::Released));
                }
            }
            let next = next.map(|next| (envelope(relays, next), next.bytes.as_slice()));
            let sent = kept.connection.send_before(envelope(relays, mail), &mail.bytes, next).await;
            let way = Arc::clone(&kept.way);
            let relay = way.name.clone();
            match sent {
                Ok(reply) => {
                    relays.answered(&way, &mail.to, Ok(&reply));
                    kept.count();
                    self.keep(kept);
                    return Some((relay, TryResult::Accepted(Some(reply))));
                }
                // The server had closed the kept connection: nothing was said, so this was no attempt.
                Err(failed) if failed.is_stale() && was_kept => relays.not_sent(&way).await,
                Err(failed) => {
                    let wait = relays.answered(&way, &mail.to, Err(&failed));
                    kept.count();
                    if failed.in_doubt {
                        if failed.cause == Cause::TimedOut {
                            relays.late.listen(mail.delivery_id, relay.clone(), kept.connection);
                        }
                        return Some((relay, result_of(failed)));
                    }
                    relays.not_sent(&way).await;
                    self.keep(kept);
                    let result = match wait {
                        Some(wait) => postponed(wait, Some(&failed)),
                        None => result_of(failed),
                    };
                    return Some((relay, result));
                }
            }
        }
    }

    fn keep(&mut self, kept: Kept) {
        if kept.connection.is_usable() {
            self.kept = Some(kept);
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

fn envelope<'a>(relays: &'a Relays, mail: &'a Composed) -> Envelope<'a> {
    Envelope {
        from: mail.return_to.as_deref().unwrap_or(&relays.envelope_from),
        to: &mail.to,
        id: mail.message_id.split('@').next(),
    }
}

/// Says that a mail waits; `met` is what it met all the same, and is noted.
fn postponed(wait: Wait, met: Option<&Failed>) -> TryResult {
    TryResult::Postponed(Postponed {
        until: wait.until,
        gives_up: wait.gives_up,
        why: wait.why,
        met: met.map(|failed| (failed.stage, failed.reply.as_ref().map(|reply| reply.code))),
    })
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
