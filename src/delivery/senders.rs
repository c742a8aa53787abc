//! The senders: as many as there are connections, each composing and handing over one mail after another from one queue.
//!
//! In: letters, claimed. Out: what came of each, for the recorder, who is woken when there is enough for a commit and not for every mail.
//!
//! Why not a task a mail: starting one took 70,000 instructions, and the end of each woke the recorder.
//! **Invariant:** a mail is begun only while less than [`UNRECORDED_MAX`] others are begun and not recorded.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::app::claim::Letter;
use crate::app::record::{Tried, TryResult};
use crate::app::resolve::nothing_left;
use crate::clock::Clock;
use crate::delivery::compose::{Composed, Composer, NoMail};
use crate::delivery::lease::Alive;
use crate::delivery::outlet::{Line, Outlet};
use crate::outbox::Kind;
use crate::store::deliveries::Delivery;
use crate::store::kept::Packed;
use crate::time::Timestamp;

/// Mails handed over and not yet recorded, at most: what a crash at the worst moment makes uncertain. A worker that cannot record stops here.
pub(super) const UNRECORDED_MAX: usize = 100;

/// How long a sender to which the relay refused a connection leaves the mails to those that have one.
const NO_LINE_PAUSE: Duration = Duration::from_secs(2);

/// How long a connection is kept without a mail: relays end idle ones, some after a minute, and count them against whoever holds them.
pub(super) const LINE_KEPT_MAX: Duration = Duration::from_secs(30);

/// How long the goodbyes may take, said side by side.
const GOODBYE_MAX: Duration = Duration::from_secs(3);

/// A worker's senders, and what they have before and behind them.
pub(super) struct Senders {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    /// Letters begun whose outcome was not fetched yet.
    n_under_way: usize,
    /// Until when the outcomes that are there wait for company.
    company_until: Option<Instant>,
}

struct Shared {
    n_senders: usize,
    outlet: Arc<Outlet>,
    clock: Clock,
    alive: Alive,
    stop: CancellationToken,
    line_kept_max: Duration,
    waiting: Mutex<VecDeque<(Letter, Arc<Composer>)>>,
    /// A permit for each waiting letter.
    n_waiting: Semaphore,
    /// A permit for each mail that may still be begun before outcomes are recorded.
    n_free: Semaphore,
    back: Mutex<Back>,
    came_back: Notify,
}

struct Back {
    tried: Vec<Tried>,
    /// How many the recorder waits for.
    n_wanted: usize,
}

impl Senders {
    /// Sets up `n` senders; they start with the first letter.
    pub(super) fn new(
        n: usize,
        outlet: &Arc<Outlet>,
        clock: Clock,
        alive: Alive,
        stop: &CancellationToken,
        line_kept_max: Duration,
    ) -> Self {
        let shared = Shared {
            n_senders: n,
            outlet: Arc::clone(outlet),
            clock,
            alive,
            stop: stop.clone(),
            line_kept_max,
            waiting: Mutex::default(),
            n_waiting: Semaphore::new(0),
            n_free: Semaphore::new(UNRECORDED_MAX),
            back: Mutex::new(Back {
                tried: Vec::new(),
                n_wanted: usize::MAX,
            }),
            came_back: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
            tasks: JoinSet::new(),
            n_under_way: 0,
            company_until: None,
        }
    }

    /// Puts letters into the queue.
    pub(super) fn begin(&mut self, letters: impl IntoIterator<Item = Letter>, composer: &Arc<Composer>) {
        let n_before = self.n_under_way;
        {
            let mut waiting = lock(&self.shared.waiting);
            for letter in letters {
                waiting.push_back((letter, Arc::clone(composer)));
                self.n_under_way += 1;
            }
        }
        while self.tasks.len() < self.shared.n_senders.min(self.n_under_way) {
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn(async move { shared.send_on().await });
        }
        self.shared.n_waiting.add_permits(self.n_under_way - n_before);
    }

    /// Returns how many letters were begun whose outcome was not fetched yet.
    pub(super) fn n_under_way(&self) -> usize {
        self.n_under_way
    }

    /// Returns how many leads the letters tell of that wait to be written.
    pub(super) fn n_leads_waiting(&self) -> usize {
        lock(&self.shared.waiting).iter().map(|(letter, _)| letter.leads.len()).sum()
    }

    /// Waits for a first outcome, then for company, and returns up to `n_max` outcomes. Dropped at its await it loses nothing, and goes on waiting
    /// where it was: who calls it again and again gets the first outcome no later.
    pub(super) async fn outcomes(&mut self, n_max: usize, wait_first: Duration, wait_company: Duration) -> Vec<Tried> {
        if self.company_until.is_none() {
            self.wait_for(1, Instant::now() + wait_first).await;
        }
        let until = *self.company_until.get_or_insert_with(|| Instant::now() + wait_company);
        self.wait_for(n_max.min(self.n_under_way), until).await;
        self.company_until = None;
        let mut back = lock(&self.shared.back);
        let n = back.tried.len().min(n_max);
        self.n_under_way -= n;
        back.tried.drain(..n).collect()
    }

    async fn wait_for(&mut self, n_wanted: usize, until: Instant) {
        loop {
            if let Some(ended) = self.tasks.try_join_next() {
                ended.expect("a sender neither panics nor is aborted while its worker works");
            }
            {
                let mut back = lock(&self.shared.back);
                let is_there = back.tried.len() >= n_wanted.min(self.n_under_way);
                back.n_wanted = if is_there { usize::MAX } else { n_wanted };
                if is_there {
                    return;
                }
            }
            if timeout_at(until, self.shared.came_back.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Lets as many more mails be begun as were recorded.
    pub(super) fn recorded(&self, n: usize) {
        self.shared.n_free.add_permits(n);
    }

    /// Gives back letters that were never begun, and all that wait to be: senders that hang at a relay would come to them too late.
    pub(super) fn give_back(&mut self, letters: impl IntoIterator<Item = Letter>) {
        for letter in letters {
            self.n_under_way += 1;
            self.shared.give_back(letter.delivery);
        }
        while let Ok(permit) = self.shared.n_waiting.try_acquire() {
            permit.forget();
            self.shared.give_back(self.shared.pop().0.delivery);
        }
    }

    /// Ends the connections politely, or at once where something is still under way after all; then only what was being handed over has no outcome.
    pub(super) async fn end(&mut self) {
        self.shared.n_waiting.close();
        let until = Instant::now() + if self.n_under_way == 0 { GOODBYE_MAX } else { Duration::ZERO };
        while let Ok(Some(_)) = timeout_at(until, self.tasks.join_next()).await {}
        self.tasks.shutdown().await;
        let waiting = std::mem::take(&mut *lock(&self.shared.waiting));
        for (letter, _) in waiting {
            self.shared.give_back(letter.delivery);
        }
    }
}

/// A letter whose mail is written: ready to be handed over.
struct Ready {
    letter: Letter,
    composer: Arc<Composer>,
    arrived_at: Option<Timestamp>,
    mail: Composed,
}

/// A sender's next mail, as long as it is not begun. Where the sender is ended before, it is given back.
struct Unbegun<'a> {
    shared: &'a Shared,
    ready: Option<Ready>,
}

impl Drop for Unbegun<'_> {
    fn drop(&mut self) {
        if let Some(ready) = self.ready.take() {
            self.shared.give_back(ready.letter.delivery);
        }
    }
}

impl Shared {
    /// Sends one mail after another, each connection its own; the next one is written first, so that it can be asked for with the end of this one.
    async fn send_on(&self) {
        let mut line = Line::new(&self.outlet);
        let mut next = Unbegun { shared: self, ready: None };
        loop {
            let this = match next.ready.take() {
                Some(this) => this,
                None => match self.begin(&mut line).await {
                    Ok(Some(this)) => this,
                    Ok(None) => continue,
                    // No more letters come.
                    Err(_) => break,
                },
            };
            next.ready = self.begin_next();
            if let Some(this) = self.hand_over(&mut line, this, next.ready.as_ref()).await {
                let next = next.ready.take().map(|next| (next.letter, next.composer));
                self.put_back(next.into_iter().chain([this]));
                // Each may be dropped at its await.
                tokio::select! {
                    () = tokio::time::sleep(NO_LINE_PAUSE) => (),
                    () = self.stop.cancelled() => (),
                }
            }
        }
        line.close().await;
    }

    /// Takes a letter as soon as there is one, and writes its mail; none where there is no mail to send.
    async fn begin(&self, line: &mut Line) -> Result<Option<Ready>, AcquireError> {
        self.wait_for_letter(line).await?;
        // Given back when the outcome is recorded.
        self.n_free.acquire().await?.forget();
        Ok(self.compose())
    }

    /// Takes a permit for a letter; a line that is kept is ended where none comes for long.
    async fn wait_for_letter(&self, line: &mut Line) -> Result<(), AcquireError> {
        if line.is_open() {
            // Dropped at its await it has taken no permit.
            match timeout(self.line_kept_max, self.n_waiting.acquire()).await {
                Ok(permit) => return permit.map(SemaphorePermit::forget),
                Err(_) => line.close().await,
            }
        }
        self.n_waiting.acquire().await.map(SemaphorePermit::forget)
    }

    /// Takes a letter where there are enough for every sender: the last ones are not left to one connection while others have nothing to do.
    fn begin_next(&self) -> Option<Ready> {
        if !self.may_begin() || lock(&self.waiting).len() < self.n_senders {
            return None;
        }
        let (waiting, free) = (self.n_waiting.try_acquire().ok()?, self.n_free.try_acquire().ok()?);
        waiting.forget();
        free.forget();
        self.compose()
    }

    /// Tells whether a letter may be begun. Past its lease others may be sending it already.
    fn may_begin(&self) -> bool {
        !self.stop.is_cancelled() && self.alive.holds()
    }

    fn compose(&self) -> Option<Ready> {
        let (letter, composer) = self.pop();
        let at = self.clock.now();
        let result = if self.may_begin() {
            match written(|| composer.compose(&letter, at)) {
                Ok(mail) => {
                    // Only of a mail of its own is it known when its news came.
                    let arrived_at = letter
                        .leads
                        .first()
                        .filter(|_| letter.delivery.kind == Kind::Lead)
                        .map(|lead| lead.received_at);
                    return Some(Ready {
                        letter,
                        composer,
                        arrived_at,
                        mail,
                    });
                }
                Err(NoMail::NothingLeft) => TryResult::NothingLeft(nothing_left(letter.delivery.kind).to_owned()),
                Err(NoMail::Unwritable(why)) => TryResult::Unwritable(why),
            }
        } else {
            TryResult::Released
        };
        self.tell(unasked(letter.delivery, at, result));
        None
    }

    /// Hands a mail over. What the relay has been asked for is sent even when the worker stops; but never past the lease.
    /// Returns the letter where this line cannot be opened and others are.
    async fn hand_over(&self, line: &mut Line, this: Ready, next: Option<&Ready>) -> Option<(Letter, Arc<Composer>)> {
        let at = self.clock.now();
        let templates = this.composer.of_letter(&this.letter).templates().digest();
        // Before it is handed over: some who take it take it whole.
        let copy = this.composer.keeps_sent().then(|| this.mail.bytes.clone());
        let may_go = self.may_begin() || (line.is_asked() && self.alive.holds());
        let (relay, result) = if may_go {
            match line.send(this.mail, next.map(|next| &next.mail)).await {
                Some(sent) => sent,
                None => return Some((this.letter, this.composer)),
            }
        } else {
            if line.is_asked() {
                line.cut();
            }
            (String::new(), TryResult::Released)
        };
        self.tell(Tried {
            arrived_at: this.arrived_at,
            templates: Some(templates),
            mail: copy.filter(|_| result.may_have_arrived()).map(|mail| Packed::of(&mail)),
            relay,
            ..unasked(this.letter.delivery, at, result)
        });
        None
    }

    /// Puts letters that were begun back to where they were taken from, the last one to the very front.
    fn put_back(&self, letters: impl Iterator<Item = (Letter, Arc<Composer>)>) {
        let mut n = 0;
        for letter in letters {
            lock(&self.waiting).push_front(letter);
            n += 1;
        }
        self.n_free.add_permits(n);
        self.n_waiting.add_permits(n);
    }

    /// Takes the letter for which a permit was taken.
    fn pop(&self) -> (Letter, Arc<Composer>) {
        lock(&self.waiting).pop_front().expect("there is a permit for each letter")
    }

    fn give_back(&self, delivery: Delivery) {
        self.tell(unasked(delivery, self.clock.now(), TryResult::Released));
    }

    fn tell(&self, tried: Tried) {
        let mut back = lock(&self.back);
        back.tried.push(tried);
        if back.tried.len() >= back.n_wanted {
            back.n_wanted = usize::MAX;
            self.came_back.notify_one();
        }
    }
}

/// Returns the outcome of a delivery for which nobody was asked.
fn unasked(delivery: Delivery, at: Timestamp, result: TryResult) -> Tried {
    Tried {
        at,
        relay: String::new(),
        result,
        jitter: jitter_of(delivery.id, delivery.attempt),
        arrived_at: None,
        templates: None,
        mail: None,
        delivery,
    }
}

/// Writes a mail. One on which our code panics is one mail that cannot be written: a service that ended over it would meet it again at once.
fn written(compose: impl FnOnce() -> Result<Composed, NoMail>) -> Result<Composed, NoMail> {
    let unwritable = |_| {
        Err(NoMail::Unwritable(
            "a panic, which is a fault of posthorn's; its log says where".to_owned(),
        ))
    };
    panic::catch_unwind(AssertUnwindSafe(compose)).unwrap_or_else(unwritable)
}

/// Spreads what failed together: from 0 to 1, different for each delivery and attempt, the same at every run.
fn jitter_of(delivery_id: i64, attempt: u32) -> f64 {
    // A golden-ratio step (Knuth) scatters neighbouring ids evenly.
    let step = (delivery_id as u64)
        .wrapping_add(u64::from(attempt))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (step >> 11) as f64 / (1_u64 << 53) as f64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "../../tests/it/support/smtp.rs"]
#[expect(dead_code, reason = "the tests of the binary need more of it")]
mod smtp;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::{Portal, at, records};
    use crate::delivery::lease::Lease;
    use crate::settings::{Relay, Sender, Settings, Tls, Transport};
    use crate::store::testing::on_sqlite;

    const NOW: &str = "2026-03-02T09:00:00Z";

    /// Relays end idle connections, and count them: a line is kept for the mails that come soon.
    #[test]
    fn a_line_without_a_letter_is_ended_and_the_next_letter_opens_another() {
        on_sqlite(async |store| {
            let portal = Portal::new(store);
            let relay = smtp::Relay::start();
            let mut settings = Settings::default();
            settings.mail.transport = Transport::Smtp;
            settings.mail.from = Sender("leads@portal.example".parse().expect("a mailbox"));
            settings.smtp.relays = vec![Relay {
                host: relay.host(),
                port: relay.port(),
                tls: Tls::None,
                connections: 1,
                ..Relay::default()
            }];
            let composer = Arc::new(Composer::new(&settings, b"key").expect("the built-in templates"));
            let (clock, stop) = (Clock::Fixed(at(NOW)), CancellationToken::new());
            let outlet = Arc::new(Outlet::new(&settings, clock, None, &stop).expect("no password is to be read"));
            let lease = Lease::begin(&portal.store, "", &settings.worker).await.expect("a lease");
            let mut senders = Senders::new(1, &outlet, clock, lease.alive(), &stop, Duration::from_millis(20));
            portal.partners(NOW, [records::partner("contoso")]).await;
            for n in 0..2 {
                portal.import_leads(NOW, n, 1).await;
                senders.begin(portal.claim(NOW).await, &composer);
                let tried = senders.outcomes(1, Duration::from_secs(20), Duration::ZERO).await;
                assert!(matches!(tried[0].result, TryResult::Accepted(_)), "{tried:?}");
                // By itself, with nothing else to do.
                let ended = async {
                    while relay.verbs().iter().filter(|verb| *verb == "QUIT").count() <= n {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                timeout(Duration::from_secs(20), ended).await.expect("the line ends");
                assert_eq!(relay.n_connections(), n + 1);
            }
            senders.end().await;
        });
    }

    #[test]
    fn a_mail_on_which_the_writer_panics_is_one_that_cannot_be_written() {
        let answer = written(|| panic!("out of paper"));
        assert!(matches!(answer, Err(NoMail::Unwritable(_))), "{answer:?}");
        assert!(matches!(written(|| Err(NoMail::NothingLeft)), Err(NoMail::NothingLeft)));
    }
}
