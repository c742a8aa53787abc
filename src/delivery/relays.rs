//! The relays: which of them a mail takes, and what its answers say of it.
//!
//! In: a mail that wants to go, and `now`. Out: an open connection to the first relay in the order of `smtp.relays` that is asked and has room, or until
//! when the mail waits.
//!
//! **Invariants:** a relay whose circuit is open is asked by one mail at a time; what counts towards a relay's hour and day is entered in the database
//! before it is sent; no lock is held across an await but that of a relay's allowance.
//! **Not here:** when a circuit opens (`outbox::circuit`), how a mail is handed over (`delivery::outlet`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, wall_now};
use crate::delivery::Error;
use crate::delivery::late::Late;
use crate::delivery::pace::{Paces, Pass, wait_for};
use crate::delivery::way::{Allowance, Hold, Kept, Way, answer_of, words};
use crate::mail::{Cause, Failed};
use crate::outbox::Reply;
use crate::outbox::circuit::{self, Answer};
use crate::outbox::pace::{Sent, hour_of};
use crate::outbox::reply::{Verdict, classify};
use crate::partner::EmailAddress;
use crate::settings::Settings;
use crate::store::{Store, relays};
use crate::telemetry;
use crate::time::Timestamp;

/// Mails that are entered as sent at once, at most: a commit for so many, and what a crash may count in vain.
const RESERVED_MAX: u32 = 100;
/// The share of a limit that is entered at once, at most: a small limit is not held by one worker alone.
const RESERVED_SHARE: u32 = 50;
/// How long a mail waits when its share cannot be entered: the database is away, and the worker with it.
const NOT_ENTERED_WAIT: Duration = Duration::from_secs(5);

/// The relays, and what they share.
pub struct Relays {
    ways: Vec<Arc<Way>>,
    pub(super) envelope_from: String,
    clock: Clock,
    store: Option<Store>,
    stop: CancellationToken,
    paces: Paces,
    /// Whether a circuit has changed since that was last asked for.
    has_news: AtomicBool,
    /// Conversations that are listened to after the time for their answer.
    pub(super) late: Late,
}

/// What a mail takes instead of a kept connection.
pub(super) enum Instead {
    /// The kept one is right.
    Nothing,
    /// Another one; held already, where it tries a relay.
    Another(Option<Hold>),
}

/// Why a relay is not held.
enum NotHeld {
    /// It has as many connections as it may.
    NoLine,
    /// It is not asked any more.
    NotAsked,
}

/// Why no connection was opened.
pub(super) enum Shut {
    /// The first relay that is asked takes no further connection while others are open: a mail for one of them.
    NoLine,
    /// This relay could not be opened, and there is no other; whether it was a relay that was left alone.
    Failed(String, Failed, bool),
    /// No relay is asked now.
    Wait(Wait),
}

/// Until when a mail waits.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Until when.
    pub until: Timestamp,
    /// Whether `give_up_after` ends the wait.
    pub gives_up: bool,
    /// For what, in plain words.
    pub why: String,
}

impl Relays {
    /// Sets up what the settings say; what is secret is read here once, so that a missing file is found at the start.
    pub(super) fn new(settings: &Settings, clock: Clock, store: Option<&Store>, stop: &CancellationToken) -> Result<Self, Error> {
        let now = clock.now();
        let ways = settings
            .smtp
            .relays
            .iter()
            .map(|relay| Ok(Arc::new(Way::new(now, settings, relay)?)));
        let from = settings.mail.from.address();
        // In ASCII (IDNA), as the header has it: a relay need not know of SMTPUTF8 for a domain's sake.
        let bounces_to: Option<EmailAddress> = settings.mail.envelope_from.clone().or_else(|| from.parse().ok());
        Ok(Self {
            ways: ways.collect::<Result<_, Error>>()?,
            envelope_from: bounces_to.map_or_else(|| from.to_owned(), |to| to.as_str().to_owned()),
            clock,
            store: store.cloned(),
            stop: stop.clone(),
            paces: Paces::new(wall_now(), &settings.smtp),
            has_news: AtomicBool::new(true),
            late: Late::new(settings.worker.resend_after),
        })
    }

    /// Returns the current instant of the deliveries.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether something limits how fast mails go: then each is asked for alone.
    pub(super) fn is_paced(&self) -> bool {
        self.paces.is_set() || self.ways.iter().any(|way| way.rate.is_some() || !way.limits.is_none())
    }

    /// Returns the first relay in order that may be asked.
    fn best(&self, now: Timestamp) -> Option<usize> {
        self.ways.iter().position(|way| way.found().may_ask(now))
    }

    /// Says which connection the next mail takes instead of a kept one. A relay that was left alone is tried by one; the others stay where they are.
    pub(super) fn instead_of(&self, kept: &Kept) -> Instead {
        let now = self.now();
        if kept.is_try() && !kept.is_worn() {
            return Instead::Nothing;
        }
        for way in &self.ways {
            let (may_ask, state) = {
                let found = way.found();
                (found.may_ask(now), found.circuit.state())
            };
            if !may_ask {
                continue;
            }
            if state == circuit::State::Closed {
                let is_same = Arc::ptr_eq(way, &kept.way) && !kept.is_worn();
                return if is_same { Instead::Nothing } else { Instead::Another(None) };
            }
            if let Ok(hold) = self.hold(way, now) {
                return Instead::Another(Some(hold));
            }
        }
        Instead::Another(None)
    }

    /// Takes a line to a relay that may be asked, and with it the try, where it is one.
    fn hold(&self, way: &Arc<Way>, now: Timestamp) -> Result<Hold, NotHeld> {
        let line = Arc::clone(&way.lines).try_acquire_owned().map_err(|_| NotHeld::NoLine)?;
        let mut found = way.found();
        if !found.may_ask(now) {
            return Err(NotHeld::NotAsked);
        }
        let is_try = found.circuit.ask(now);
        drop(found);
        if is_try {
            self.changed();
        }
        Ok(Hold::new(way, self.clock, line, is_try))
    }

    /// Opens a connection to the relay that is `held`, else to the first one in order that may be asked and takes one.
    pub(super) async fn open(&self, mut held: Option<Hold>) -> Result<Kept, Shut> {
        let mut last = None;
        loop {
            let now = self.now();
            let mut hold = match (held.take(), self.best(now)) {
                (Some(hold), _) => hold,
                (None, Some(best)) => match self.hold(&self.ways[best], now) {
                    Ok(hold) => hold,
                    Err(NotHeld::NoLine) => return Err(Shut::NoLine),
                    Err(NotHeld::NotAsked) => continue,
                },
                (None, None) => {
                    return Err(match last {
                        Some((name, failed, was_left)) => Shut::Failed(name, failed, was_left),
                        None => Shut::Wait(self.wait(now)),
                    });
                }
            };
            let (way, is_try) = (&Arc::clone(hold.way()), hold.is_try());
            match way.connect(&mut hold).await {
                Ok(connection) => return Ok(Kept::new(connection, way, hold)),
                Err(_) if way.has_open() => return Err(Shut::NoLine),
                Err(failed) => {
                    tracing::warn!(relay = way.name, stage = %failed.stage, cause = failed.cause.as_str(), "relay not opened: {failed}");
                    let answer = match &failed.reply {
                        Some(reply) if classify(failed.stage, reply) == Verdict::Relay => Answer::Refused,
                        None if matches!(failed.cause, Cause::NotOffered | Cause::Tls) => Answer::Refused,
                        Some(_) | None => Answer::Unreached,
                    };
                    hold.tried();
                    self.hear(way, answer, &failed);
                    last = Some((way.name.clone(), failed, is_try));
                }
            }
        }
    }

    /// Lets a mail of an address go at the pace of its domain and of `smtp.rate`.
    pub(super) async fn enter(&self, to: &EmailAddress) -> Result<Pass, Held> {
        let pass = self.paces.enter(wall_now(), to.domain()).map_err(|(for_ms, why)| {
            Held::Wait(Wait {
                until: self.now().plus(for_ms),
                gives_up: false,
                why,
            })
        })?;
        if self.paces.wait(&self.stop).await {
            Ok(pass)
        } else {
            Err(Held::Stopped)
        }
    }

    /// Lets a mail go by a relay: at its rate, and as its hour and day have room. Where they have none the relay is passed over until they have.
    pub(super) async fn admit(&self, way: &Way) -> Admission {
        if !way.limits.is_none() && !self.take_allowance(way).await {
            return Admission::Full;
        }
        match &way.rate {
            Some(rate) if !wait_for(rate, &self.stop).await => Admission::Stopped,
            Some(_) | None => Admission::Go,
        }
    }

    async fn take_allowance(&self, way: &Way) -> bool {
        let mut allowance = way.allowance.lock().await;
        let now = self.now();
        if allowance.n > 0 && hour_of(allowance.entered_at) != hour_of(now) {
            // It was not sent in the hour that it was entered for; the day, where it is the same, has it back.
            if let Err(error) = self.give_back(way, &mut allowance).await {
                tracing::warn!(relay = way.name, "a relay's limit cannot be counted: {error}");
            }
            allowance.n = 0;
        }
        if allowance.n == 0 {
            let smallest = way
                .limits
                .per_hour
                .into_iter()
                .chain(way.limits.on_day(now))
                .min()
                .unwrap_or(u32::MAX);
            let n_wanted = (smallest / RESERVED_SHARE).clamp(1, RESERVED_MAX);
            let (n, full_until) = match self.reserve(way, now, n_wanted).await {
                Ok((n, sent)) => (n, way.limits.opens_at(now, sent)),
                Err(error) => {
                    tracing::warn!(relay = way.name, "a relay's limit cannot be counted: {error}");
                    (0, now.plus(NOT_ENTERED_WAIT))
                }
            };
            if n == 0 {
                way.found().full_until = Some(full_until);
                self.changed();
                telemetry::relay_full(&way.name, full_until);
                return false;
            }
            *allowance = Allowance { entered_at: now, n };
        }
        allowance.n -= 1;
        true
    }

    async fn reserve(&self, way: &Way, now: Timestamp, n: u32) -> Result<(u32, Sent), crate::store::Error> {
        let Some(store) = &self.store else {
            return Ok((n, Sent::default()));
        };
        let mut tx = store.begin().await?;
        let reserved = relays::reserve_sent(&mut tx, now, &way.name, &way.limits, n).await?;
        tx.commit().await?;
        Ok(reserved)
    }

    /// Takes back a mail's share of a relay that did not take it.
    pub(super) async fn not_sent(&self, way: &Way) {
        if !way.limits.is_none() {
            way.allowance.lock().await.n += 1;
        }
    }

    /// Gives back what was entered as sent and was not.
    pub(super) async fn return_allowances(&self) -> Result<(), crate::store::Error> {
        for way in self.ways.iter().filter(|way| !way.limits.is_none()) {
            self.give_back(way, &mut *way.allowance.lock().await).await?;
        }
        Ok(())
    }

    async fn give_back(&self, way: &Way, allowance: &mut Allowance) -> Result<(), crate::store::Error> {
        if let Some(store) = self.store.as_ref().filter(|_| allowance.n > 0) {
            let mut tx = store.begin().await?;
            relays::return_sent(&mut tx, allowance.entered_at, &way.name, allowance.n).await?;
            tx.commit().await?;
            allowance.n = 0;
        }
        Ok(())
    }

    /// Takes in what a relay answered to a mail for `to`. Returns until when the mail waits, where its trouble was not its own after all.
    pub(super) fn answered(&self, way: &Arc<Way>, to: &EmailAddress, sent: Result<&Reply, &Failed>) -> Option<Wait> {
        let failed = match sent {
            Ok(_) => {
                self.served(way);
                return None;
            }
            Err(failed) => failed,
        };
        let answer = answer_of(failed, to.domain())?;
        let is_trouble = matches!(answer, Answer::Troubled | Answer::TroubledFor(_));
        if answer == Answer::Served {
            self.served(way);
        } else {
            self.hear(way, answer, failed);
        }
        let is_open = way.found().circuit.state() != circuit::State::Closed;
        (is_trouble && is_open && !failed.in_doubt).then(|| self.wait(self.now()))
    }

    fn served(&self, way: &Arc<Way>) {
        let mut found = way.found();
        if found.circuit.hear(self.now(), Answer::Served) {
            found.since = self.now();
            found.why = None;
            telemetry::relay_asked_again(&way.name);
            self.changed();
        }
    }

    fn hear(&self, way: &Way, answer: Answer, failed: &Failed) {
        let now = self.now();
        let mut found = way.found();
        telemetry::metrics::relay_trouble(&way.name, &answer);
        if !found.circuit.hear(now, answer) {
            return;
        }
        found.since = found.circuit.state().open().map_or(now, |open| open.since);
        found.why = Some(words(failed));
        match found.circuit.state().open() {
            Some(open) => telemetry::relay_left_alone(
                &way.name,
                open.cause.as_str(),
                open.until,
                failed.stage.as_str(),
                failed.reply.as_ref().map(|reply| reply.code),
            ),
            None => telemetry::relay_asked_again(&way.name),
        }
        self.changed();
    }

    fn changed(&self) {
        self.has_news.store(true, Ordering::Relaxed);
    }

    /// Returns how many mails may be claimed at `now`: none while no relay may be asked, one where it tries a relay, else any number.
    pub(super) fn n_claimable(&self, now: Timestamp) -> usize {
        match self.best(now).map(|best| self.ways[best].found().circuit.state()) {
            None => 0,
            Some(circuit::State::Closed) => self.paces.n_at_once().unwrap_or(usize::MAX),
            Some(circuit::State::Open(_) | circuit::State::HalfOpen(_)) => 1,
        }
    }

    /// Returns until when no relay may be asked.
    pub(super) fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.best(now).is_none().then(|| self.wait(now).until)
    }

    /// Returns until when a mail that wants to go now waits.
    pub(super) fn wait_now(&self) -> Wait {
        self.wait(self.now())
    }

    /// Returns until when a mail waits for the first relay that may be asked again.
    fn wait(&self, now: Timestamp) -> Wait {
        let waits = self.ways.iter().map(|way| way.found().wait(now, &way.name));
        let gives_up = self.ways.iter().all(|way| way.found().gives_up(now));
        let first = waits.min_by_key(|(until, _)| *until);
        let (until, why) = first.expect("the settings refuse smtp without a relay");
        Wait { until, gives_up, why }
    }

    /// Returns how the relays are found, where that has changed since it was last asked for.
    pub(super) fn news(&self) -> Option<Vec<relays::Circuit>> {
        if !self.has_news.swap(false, Ordering::Relaxed) {
            return None;
        }
        let circuits = self.ways.iter().enumerate().map(|(position, way)| {
            let found = way.found();
            relays::Circuit {
                relay: way.name.clone(),
                position,
                state: found.circuit.state(),
                since: found.since,
                try_at: found.circuit.state().open().map(|open| open.until).max(found.full_until),
                why: found.why.clone(),
            }
        });
        Some(circuits.collect())
    }

    /// Tells that the news could not be written: they are still news.
    pub(super) fn keep_news(&self) {
        self.changed();
    }
}

/// Why a mail is not let go.
pub(super) enum Held {
    /// It has to wait.
    Wait(Wait),
    /// The worker stops.
    Stopped,
}

/// Whether a mail goes by a relay.
pub(super) enum Admission {
    /// It does.
    Go,
    /// The relay's hour or day is full.
    Full,
    /// The worker stops.
    Stopped,
}
