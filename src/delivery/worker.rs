//! The worker: claims while mails are under way and outcomes are recorded, both in batches.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::Rules;
use crate::app::claim::{Claimed, Letter, Wanted, claim};
use crate::app::record::{Tried, TryResult, give_back, record, recover, settle_late};
use crate::clock::{Clock, Next, wall_now};
use crate::delivery::Error;
use crate::delivery::compose::Composer;
use crate::delivery::lease::{Alive, Lease};
use crate::delivery::outlet::Outlet;
use crate::delivery::senders::{LINE_KEPT_MAX, Senders, UNRECORDED_MAX};
use crate::outbox::delivery::InDoubt;
use crate::settings::Settings;
use crate::store::{Store, deliveries, notices, relays};
use crate::telemetry;
use crate::time::Timestamp;

/// Outcomes in one commit, at most: half of what may be unrecorded, so that sending goes on while the other half is committed.
const FLUSH_MAX: usize = UNRECORDED_MAX / 2;
/// How long a turn waits for a first outcome: a relay may take minutes, and the lease wants to be renewed meanwhile.
const OUTCOME_WAIT: Duration = Duration::from_millis(250);
/// Claims that fill a batch: at the default batch 125 letters each, some milliseconds in which SQLite, with its one writer, records no outcome.
const CLAIMS_PER_BATCH: usize = 4;
/// Leads in memory above which no more is claimed, about 3 kB each: digests have many, and a batch of those took 140 MiB.
const LEADS_WAITING_MAX: usize = 1_000;
/// How long outcomes wait for company before they are committed.
const FLUSH_WAIT: Duration = Duration::from_millis(5);
/// How long a worker waits when all that is due belongs to partners that others hold.
const CONTENDED_WAIT: Duration = Duration::from_millis(20);
/// How long a worker that ends by an error waits for replies to what is out already: what a relay has taken need not be sent again.
pub const GRACE_AFTER_ERROR: Duration = Duration::from_secs(5);
/// How often an idle worker looks for answers that come late.
const LISTENING_WAIT: Duration = Duration::from_secs(1);
/// How often a worker looks for what dead ones left, and for doubts that are over: a lease runs out after many times as long, and each look is one
/// more thing between a lead and its mail.
const RECOVER_EVERY: Duration = Duration::from_secs(1);
/// How often a worker that claims one share after another looks for singles that have been due for longer than those which it found last: a transaction
/// that took its time may bring one.
const LOOK_BACK_EVERY: Duration = Duration::from_secs(1);
/// Under `worker.in_doubt = hold`, mails marked as handed over by one commit, per connection: what a crash leaves to ops.
const MARKED_PER_CONNECTION: usize = 4;

/// A worker process's delivery half.
pub struct Worker {
    store: Store,
    rules: Arc<Rules>,
    composer: Arc<Composer>,
    outlet: Arc<Outlet>,
    senders: Senders,
    clock: Clock,
    epoch: i64,
    alive: Alive,
    batch: usize,
    n_connections: usize,
    stop: CancellationToken,
    /// Claimed and not begun: only under `hold`, where a mark is committed first.
    unmarked: Vec<Letter>,
    /// Outcomes that the database has not taken yet: kept while it is away, for as long as the lease holds.
    unwritten: Vec<Tried>,
    /// A claim has failed, and may have been committed: nobody else takes back what it claimed while this worker lives.
    is_unsure: bool,
    /// When it found nothing to take back.
    recovered_at: Option<Timestamp>,
    /// Where the next claim looks for singles, and until when it may: since when the oldest that the last one found was due, where there were more than
    /// it took; `None` for everywhere.
    looks_from: Option<(Timestamp, Instant)>,
    n_recorded: u64,
}

impl Worker {
    /// Sets a worker up under a lease.
    ///
    /// # Errors
    /// A password file cannot be read.
    pub fn new(
        store: &Store,
        rules: &Arc<Rules>,
        composer: &Arc<Composer>,
        settings: &Settings,
        clock: Clock,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        let n_connections = Outlet::n_connections(settings).max(1);
        let outlet = Arc::new(Outlet::new(settings, clock, Some(store), stop)?);
        Ok(Self {
            senders: Senders::new(n_connections, &outlet, clock, lease.alive(), stop, LINE_KEPT_MAX),
            store: store.clone(),
            rules: Arc::clone(rules),
            composer: Arc::clone(composer),
            outlet,
            clock,
            epoch: lease.epoch,
            alive: lease.alive(),
            batch: settings.worker.batch as usize,
            n_connections,
            stop: stop.clone(),
            unmarked: Vec::new(),
            unwritten: Vec::new(),
            is_unsure: false,
            recovered_at: None,
            looks_from: None,
            n_recorded: 0,
        })
    }

    /// Takes new settings for mails that are composed from here on.
    pub fn reload(&mut self, rules: &Arc<Rules>, composer: &Arc<Composer>) {
        self.rules = Arc::clone(rules);
        self.composer = Arc::clone(composer);
    }

    /// Does a bounded piece of work: takes back what dead workers held, claims what is due, records what came back. Says when it is next needed.
    /// `woken`: something has come in, which is claimed before what is under way has ended.
    ///
    /// # Errors
    /// The database cannot be read or written; what is under way stays under way, and is recorded by a later turn.
    pub async fn turn(&mut self, now: Timestamp, woken: &mut watch::Receiver<()>) -> Result<Next, Error> {
        let prepared = self.prepare(now).await;
        if !self.is_idle() {
            // Whatever keeps new mails from being begun must not keep those that are out from being written down.
            let claiming = if prepared.is_ok() { self.claiming(now) } else { None };
            let recorded = match claiming {
                Some(claiming) => self.record_beside(now, claiming, woken).await,
                None => self.record_some(now, OUTCOME_WAIT).await,
            };
            prepared?;
            recorded?;
            return Ok(Next::Now);
        }
        if prepared? + self.claim(now).await? > 0 {
            return Ok(Next::Now);
        }
        self.outlet.return_allowances().await?;
        self.next_due(now).await
    }

    /// Writes down how relays are found, where that has changed, and what they answered late.
    async fn tell_of_relays(&mut self, now: Timestamp) -> Result<(), Error> {
        if let Some(news) = self.outlet.news() {
            let told = tell(&self.store, self.epoch, &news).await;
            if told.is_err() {
                self.outlet.keep_news();
            }
            told?;
        }
        let heard = self.outlet.late_replies();
        if !heard.is_empty() {
            let early = settle_late(&self.store, now, &self.rules, heard.clone()).await;
            self.outlet.put_back_late(early.as_ref().map_or(heard, Clone::clone));
            early?;
        }
        Ok(())
    }

    /// Does what comes before a claim, and begins what is marked; returns how much it took back.
    async fn prepare(&mut self, now: Timestamp) -> Result<usize, Error> {
        self.tell_of_relays(now).await?;
        let n_recovered = self.recover(now).await?;
        self.begin_marked(now).await?;
        Ok(n_recovered)
    }

    /// Takes back what dead workers held.
    async fn recover(&mut self, now: Timestamp) -> Result<usize, Error> {
        let wall_now = wall_now();
        // A clock that is set back must not keep it from looking.
        if self.recovered_at.is_some_and(|at| (at..at.plus(RECOVER_EVERY)).contains(&wall_now)) {
            return Ok(0);
        }
        let n_recovered = recover(&self.store, now, wall_now, &self.rules).await?;
        self.recovered_at = (n_recovered == 0).then_some(wall_now);
        Ok(n_recovered)
    }

    /// Tells whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        !self.awaits_outcomes() && self.unmarked.is_empty()
    }

    /// Tells whether there are outcomes to record, or will be.
    fn awaits_outcomes(&self) -> bool {
        self.senders.n_under_way() > 0 || !self.unwritten.is_empty()
    }

    /// Returns how many outcomes this worker has recorded.
    pub fn n_recorded(&self) -> u64 {
        self.n_recorded
    }

    fn n_share(&self) -> usize {
        (self.batch / CLAIMS_PER_BATCH).max(1)
    }

    /// Tells whether another share of the batch may be claimed.
    fn has_room(&self, now: Timestamp) -> bool {
        let n_held = self.senders.n_under_way() + self.unmarked.len();
        let n_leads = self.senders.n_leads_waiting() + self.unmarked.iter().map(|letter| letter.leads.len()).sum::<usize>();
        let has_room = n_held + self.n_share() <= self.batch && n_leads <= LEADS_WAITING_MAX;
        has_room && !self.stop.is_cancelled() && self.outlet.n_claimable(now) > 0
    }

    /// Claims with nothing under way; returns how much it touched.
    async fn claim(&mut self, now: Timestamp) -> Result<usize, Error> {
        if self.is_unsure && self.has_room(now) {
            give_back(&self.store, now, &self.rules, self.epoch).await?;
            self.is_unsure = false;
        }
        // Where it may turn out that there is nothing, that is to be said of everything.
        self.looks_from = None;
        let Some(claiming) = self.claiming(now) else { return Ok(0) };
        let claimed = claiming.await;
        let n_touched = self.begin(claimed)?;
        self.begin_marked(now).await?;
        Ok(n_touched)
    }

    /// Returns a claim to be awaited once there is room for a share of the batch: a claim a mail would cost a commit a mail, and while a whole batch is
    /// claimed, the outcomes of what is under way would wait for the database, and the senders for them.
    fn claiming(&self, now: Timestamp) -> Option<impl Future<Output = Result<Claimed, crate::app::Error>> + use<>> {
        // After a claim that failed, what it holds cannot be told from what it does not know of: first all that is under way ends. Likewise outcomes that
        // could not be recorded may have been, and would be recorded once more, on the next attempt of a delivery that is claimed again.
        if !self.has_room(now) || self.is_unsure || !self.unwritten.is_empty() {
            return None;
        }
        let mut wanted = Wanted::from(self.n_share().min(self.outlet.n_claimable(now)));
        if let Some((from, _)) = self.looks_from.filter(|(_, until)| Instant::now() < *until) {
            wanted.from = from;
        }
        let (store, rules, epoch) = (self.store.clone(), Arc::clone(&self.rules), self.epoch);
        Some(async move { claim(&store, now, &rules, epoch, wanted).await })
    }

    /// Begins what a claim brought, or under `hold` keeps it to be marked first; returns how much the claim touched.
    fn begin(&mut self, claimed: Result<Claimed, crate::app::Error>) -> Result<usize, Error> {
        self.is_unsure = claimed.is_err();
        let looked_from = self.looks_from.take();
        let claimed = claimed?;
        if claimed.is_over {
            // Nothing more is handed over; the lease finds out for itself when it is next kept.
            self.alive.end();
        }
        if let Some(oldest) = claimed.oldest_single
            && claimed.n_touched >= self.n_share()
        {
            let now = Instant::now();
            let until = looked_from.map(|(_, until)| until).filter(|until| now < *until);
            self.looks_from = Some((oldest, until.unwrap_or(now + LOOK_BACK_EVERY)));
        }
        if self.rules.in_doubt == InDoubt::Hold {
            self.unmarked.extend(claimed.letters);
        } else {
            self.senders.begin(claimed.letters, &self.composer);
        }
        Ok(claimed.n_touched)
    }

    /// Records outcomes while the database claims, on PostgreSQL on two connections at once, then begins what the claim brought. Where
    /// that is less than a share, there is no more for now: it goes on recording until something comes in.
    async fn record_beside(
        &mut self,
        now: Timestamp,
        claiming: impl Future<Output = Result<Claimed, crate::app::Error>>,
        woken: &mut watch::Receiver<()>,
    ) -> Result<(), Error> {
        let mut claiming = pin!(claiming);
        let mut recorded = Ok(());
        let claimed = loop {
            let tried = tokio::select! {
                biased;
                tried = self.outcomes(OUTCOME_WAIT), if recorded.is_ok() && self.awaits_outcomes() => tried,
                claimed = &mut claiming => break claimed,
            };
            let mut recording = pin!(self.record(now, tried));
            tokio::select! {
                biased;
                done = &mut recording => recorded = done,
                claimed = &mut claiming => {
                    recorded = recording.await;
                    break claimed;
                }
            }
        };
        let n_touched = self.begin(claimed)?;
        recorded?;
        if n_touched >= self.n_share() {
            return Ok(());
        }
        tokio::select! {
            biased;
            tried = self.outcomes(OUTCOME_WAIT) => self.record(now, tried).await,
            Ok(()) = woken.changed() => Ok(()),
        }
    }

    /// Under `hold`, begins a few letters at a time, each marked as handed over by a commit before it can be.
    async fn begin_marked(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.unmarked.is_empty() || self.senders.n_under_way() >= self.n_connections {
            return Ok(());
        }
        let n_begun = self.unmarked.len().min(self.n_connections * MARKED_PER_CONNECTION);
        let ids: Vec<i64> = self.unmarked.iter().take(n_begun).map(|letter| letter.delivery.id).collect();
        let mut tx = self.store.begin().await?;
        let marked = deliveries::mark_handed_over(&mut tx, now, self.epoch, &ids).await?;
        tx.commit().await?;
        // What has no mark is not ours any more, and there is nothing to give back.
        let letters = self.unmarked.drain(..n_begun);
        self.senders
            .begin(letters.filter(|letter| marked.contains(&letter.delivery.id)), &self.composer);
        Ok(())
    }

    /// Waits for outcomes, and records up to [`FLUSH_MAX`] of them in one commit.
    async fn record_some(&mut self, now: Timestamp, wait: Duration) -> Result<(), Error> {
        let tried = self.outcomes(wait).await;
        self.record(now, tried).await
    }

    /// Returns outcomes to record: those that the database has not taken yet, else what comes back. Dropped at its await it loses nothing.
    async fn outcomes(&mut self, wait: Duration) -> Vec<Tried> {
        if self.unwritten.is_empty() {
            self.senders.outcomes(FLUSH_MAX, wait, FLUSH_WAIT).await
        } else {
            std::mem::take(&mut self.unwritten)
        }
    }

    /// Records outcomes. A mail that is out is not forgotten for a database that is away: after a few tries the outcomes wait for the next turn,
    /// so that the lease is kept in between.
    async fn record(&mut self, now: Timestamp, mut tried: Vec<Tried>) -> Result<(), Error> {
        if tried.is_empty() {
            return Ok(());
        }
        if let Err(failed) = self.outlet.settle().await {
            for one in &mut tried {
                if matches!(one.result, TryResult::Accepted(_)) {
                    one.result = TryResult::ReplyLost(failed.detail.clone());
                }
            }
        }
        let begun = Instant::now();
        let mut n_tries = 0_u32;
        let recorded = loop {
            match record(&self.store, now, &self.rules, self.epoch, &tried).await {
                Ok(recorded) => break recorded,
                Err(error) if n_tries < RECORD_TRIES_MAX => {
                    n_tries += 1;
                    tracing::warn!(n_rows = tried.len(), "outcomes not recorded yet: {error}");
                    tokio::time::sleep(RECORD_PAUSE).await;
                }
                Err(error) => {
                    self.unwritten = tried;
                    return Err(error.into());
                }
            }
        };
        self.senders.recorded(tried.len());
        self.n_recorded += recorded.n_recorded as u64;
        telemetry::outcomes_recorded(tried.len(), recorded.n_recorded, begun.elapsed());
        for one in &tried {
            if let Some((stage, code)) = one.result.refusal() {
                telemetry::delivery_not_sent(one.delivery.id, one.delivery.partner_id.as_str(), &one.relay, stage, code);
            }
        }
        Ok(())
    }

    async fn next_due(&self, now: Timestamp) -> Result<Next, Error> {
        let mut tx = self.store.read().await?;
        let mut due = vec![notices::next_due(&mut tx).await?, deliveries::next_due(&mut tx).await?];
        if self.rules.in_doubt == InDoubt::Resend {
            due.push(deliveries::next_doubt(&mut tx).await?);
        }
        let listening = self.outlet.is_listening().then(|| now.plus(LISTENING_WAIT));
        let Some(at) = due.into_iter().flatten().min() else {
            return Ok(listening.map_or(Next::WhenWoken, Next::At));
        };
        let resting = self.outlet.rests_until(now).filter(|until| now < *until);
        let at = match resting {
            Some(until) => at.max(until),
            // Due and not claimed: another worker holds the partner for a moment.
            None if at <= now => now.plus(CONTENDED_WAIT),
            None => at,
        };
        Ok(Next::At(listening.map_or(at, |listening| at.min(listening))))
    }

    /// Lets what is under way end within `grace`, the lease kept meanwhile, records it, gives the rest back, and ends the connections.
    ///
    /// An outcome is recorded by its owner's epoch, so that is safe without a lease, too: what others have taken over stays theirs.
    ///
    /// # Errors
    /// The database cannot be written, or the lease ran out; then others take over.
    pub async fn drain(mut self, lease: &mut Lease, grace: Duration) -> Result<(), Error> {
        self.stop.cancel();
        self.senders.give_back(std::mem::take(&mut self.unmarked));
        let mut until = tokio::time::Instant::now() + grace;
        let mut lost = None;
        while !self.is_idle() && tokio::time::Instant::now() < until {
            if lost.is_none()
                && let Err(error) = lease.keep(&self.store).await
            {
                until = until.min(tokio::time::Instant::now() + GRACE_AFTER_ERROR);
                lost = Some(error);
            }
            match self.record_some(self.clock.now(), OUTCOME_WAIT).await {
                Ok(()) => {}
                Err(error) if tokio::time::Instant::now() < until => tracing::warn!("outcomes not recorded yet: {error}"),
                Err(error) => return Err(error),
            }
        }
        // What has not ended stays `sending`, and is taken back when the lease is over.
        self.senders.end().await;
        loop {
            let mut tried = std::mem::take(&mut self.unwritten);
            if tried.is_empty() {
                tried = self.senders.outcomes(FLUSH_MAX, Duration::ZERO, Duration::ZERO).await;
            }
            if tried.is_empty() {
                self.outlet.return_allowances().await?;
                self.tell_of_relays(self.clock.now()).await?;
                return lost.map_or(Ok(()), Err);
            }
            self.record(self.clock.now(), tried).await?;
        }
    }
}

/// Writes down how the worker `epoch` finds its relays, and forgets what dead workers wrote.
async fn tell(store: &Store, epoch: i64, news: &[relays::Circuit]) -> Result<(), crate::store::Error> {
    let mut tx = store.begin().await?;
    relays::forget_circuits(&mut tx, wall_now(), epoch).await?;
    relays::put_circuits(&mut tx, epoch, news).await?;
    tx.commit().await
}

/// How often a flush is tried again within one turn: with the pauses well below a lease's third.
const RECORD_TRIES_MAX: u32 = 3;
/// The pause before each.
const RECORD_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::records::{lead, partner};
    use crate::app::testing::{Portal, at, both, tried};
    use crate::settings::Mode;

    const NOW: &str = "2026-03-02T09:00:00Z";

    /// Between two claims of a busy time a transaction is committed that began long before: its lead is older than those which the last claim found.
    #[test]
    fn a_lead_that_comes_late_to_a_busy_worker_is_mailed_before_it_is_idle() {
        both(async |portal: Portal| {
            let mut settings = Settings {
                mode: Mode::Dry,
                ..Settings::default()
            };
            // A claim takes one at a time.
            settings.worker.batch = CLAIMS_PER_BATCH as u32;
            let (clock, stop) = (Clock::Fixed(at(NOW)), CancellationToken::new());
            let composer = Arc::new(Composer::new(&settings, b"key").expect("the built-in templates"));
            let lease = Lease::begin(&portal.store, "", &settings.worker).await.expect("a lease");
            let rules = Arc::new(portal.rules.clone());
            let mut worker =
                Worker::new(&portal.store, &rules, &composer, &settings, clock, &lease, &stop).expect("no password is to be read");
            let (_, mut never_woken) = watch::channel(());

            portal.partners("2026-03-02T07:00:00Z", [partner("contoso")]).await;
            portal.import("2026-03-02T08:30:00Z", [lead("soon")]).await;
            portal.import("2026-03-02T08:40:00Z", [lead("later")]).await;
            let mut turn = async || worker.turn(at(NOW), &mut never_woken).await.expect("the database is there");
            assert!(matches!(turn().await, Next::Now), "the first one is claimed");
            portal.import("2026-03-02T08:00:00Z", [lead("late")]).await;
            while matches!(turn().await, Next::Now) {}
            assert_eq!(worker.n_recorded(), 3);
        });
    }

    /// They may have been recorded, with only the answer lost: whatever is claimed again meanwhile must not get them.
    #[test]
    fn nothing_is_claimed_while_outcomes_wait_to_be_recorded() {
        both(async |portal: Portal| {
            let settings = Settings {
                mode: Mode::Dry,
                ..Settings::default()
            };
            let (clock, stop) = (Clock::Fixed(at(NOW)), CancellationToken::new());
            let composer = Arc::new(Composer::new(&settings, b"key").expect("the built-in templates"));
            let lease = Lease::begin(&portal.store, "", &settings.worker).await.expect("a lease");
            let rules = Arc::new(portal.rules.clone());
            let mut worker =
                Worker::new(&portal.store, &rules, &composer, &settings, clock, &lease, &stop).expect("no password is to be read");
            portal.partners("2026-03-02T07:00:00Z", [partner("contoso")]).await;
            portal.import("2026-03-02T08:30:00Z", [lead("L1")]).await;
            let letter = portal.claim("2026-03-02T08:30:00Z").await.remove(0);
            portal.import("2026-03-02T08:40:00Z", [lead("L2")]).await;
            worker.unwritten = vec![tried(NOW, &letter, TryResult::Dry)];
            assert!(worker.claiming(at(NOW)).is_none());
            let (_, mut never_woken) = watch::channel(());
            while matches!(
                worker.turn(at(NOW), &mut never_woken).await.expect("the database is there"),
                Next::Now
            ) {}
            assert_eq!(worker.n_recorded(), 2, "they are recorded, and then it goes on");
        });
    }
}
