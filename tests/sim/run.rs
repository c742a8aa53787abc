//! One run: from a seed, step by step, until all is quiet.
//!
//! A step is one thing that somebody does: the portal, a person, the clock, a worker. Which one, with what, and which call to the database fails in it, all
//! comes from the seed. Workers are epochs whose turns interleave over one store; a worker that dies is forgotten, and its lease runs out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use posthorn::app::answer::{Action, Terms, answer};
use posthorn::app::audit::audit;
use posthorn::app::claim::{Letter, claim, preview_digest};
use posthorn::app::record::{Tried, TryResult, by_hand, give_back, record, recover};
use posthorn::app::suppress::{self, Suppress};
use posthorn::app::take_in::{Incoming, Origin, take_in};
use posthorn::app::{Error, Rules, feed, fire, partners, tick};
use posthorn::fault_point::{self, Failure};
use posthorn::lead::LeadId;
use posthorn::lead::record::{Source, parse};
use posthorn::lead::spam::SpamDomains;
use posthorn::outbox::delivery::{Event, InDoubt};
use posthorn::outbox::retry::Retry;
use posthorn::partner::{EmailAddress, Partner, PartnerId};
use posthorn::policy::Policy;
use posthorn::store::Store;
use posthorn::store::deliveries::mark_handed_over;
use posthorn::store::items::{claim_items, record_post_failed, record_posted};
use posthorn::store::suppressions::OptOut;
use posthorn::store::workers::{end_workers, insert_worker, renew_worker};
use posthorn::tag::IfMatch;
use posthorn::time::Timestamp;
use serde_json::Value;

use crate::database::{Database, Engine};
use crate::model::{Came, DESK, Model, Op};
use crate::relay::{ActionCenter, Relay};
use crate::rng::Rng;
use crate::rules::{DAY, HOUR, MINUTE, shown};
use crate::world::{PARTNERS, World};

/// Steps of a run, unless it is told otherwise.
pub const STEPS: usize = 250;
/// `worker.lease`
const LEASE: i64 = 15_000;
/// How long a worker claims nothing after its relay was at fault: what `outbox::circuit` does in the worker, which is not played here.
const RELAY_RESTS_MS: i64 = 30_000;
/// Workers at once.
const WORKERS_MAX: usize = 3;
/// Items that are posted at once.
const POSTS_MAX: usize = 8;
/// Steps from one closing of the books to the next; a closing reads everything.
const AUDIT_EVERY: usize = 25;
/// Rounds in which all must be quiet.
const ROUNDS_MAX: usize = 5_000;

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub n_steps: usize,
    pub n_leads: usize,
    pub n_mails: usize,
    pub n_repeats: usize,
    pub n_faults: usize,
    pub journal: Vec<String>,
}

/// What was wrong, and what led to it.
#[derive(Debug)]
pub struct Broken {
    pub step: usize,
    pub sentences: Vec<String>,
    pub journal: Vec<String>,
}

/// Runs a seed.
pub fn simulate(seed: u64, n_steps: usize, engine: Engine) -> Result<Ran, Box<Broken>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut sim = runtime.block_on(Sim::new(seed, engine));
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(sim.run(n_steps))));
    fault_point::disarm();
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        sim.model.broken.push(format!("a panic: {}", text.unwrap_or_default()));
    }
    let Sim {
        db,
        model,
        journal,
        step,
        n_faults,
        ..
    } = sim;
    runtime.block_on(db.close());
    if model.broken.is_empty() {
        return Ok(Ran {
            n_steps: step,
            n_leads: model.table("lead").count(),
            n_mails: model.arrived.values().sum(),
            n_repeats: model.n_repeats,
            n_faults,
            journal,
        });
    }
    Err(Box::new(Broken {
        step,
        sentences: model.broken,
        journal,
    }))
}

/// A worker process's delivery half, as `delivery::worker` has it: what it holds in memory, and its lease.
struct Worker {
    epoch: i64,
    alive_until: i64,
    renewed_at: i64,
    is_paused: bool,
    letters: VecDeque<Letter>,
    /// Looked at its lease, and then stood still: this mail leaves it late.
    stalled: Option<Letter>,
    out: Vec<(Tried, Came)>,
    rests_until: i64,
    /// A claim failed, and may have been committed: what it claimed is given back once nothing else is under way.
    is_unsure: bool,
    /// Outcomes could not be recorded, or may have been: nothing is claimed before they are.
    has_unwritten: bool,
}

/// Who does something.
#[derive(Clone, Copy, Debug)]
enum Actor {
    Time,
    Intake,
    PartnerChange,
    Answer,
    Tick,
    Fire,
    Run,
    Suppress,
    Lift,
    OptOut,
    Resubscribe,
    ByHand,
    Archive,
    Worker,
    Recover,
    Post,
    Mailbox,
}

const ACTORS: [(Actor, u64); 17] = [
    (Actor::Time, 24),
    (Actor::Intake, 14),
    (Actor::PartnerChange, 6),
    (Actor::Answer, 8),
    (Actor::Tick, 7),
    (Actor::Fire, 6),
    (Actor::Run, 2),
    (Actor::Suppress, 2),
    (Actor::Lift, 2),
    (Actor::OptOut, 1),
    (Actor::Resubscribe, 1),
    (Actor::ByHand, 2),
    (Actor::Archive, 1),
    (Actor::Worker, 45),
    (Actor::Recover, 6),
    (Actor::Post, 4),
    (Actor::Mailbox, 2),
];

struct Sim {
    rng: Rng,
    world: World,
    model: Model,
    db: Database,
    rules: Arc<Rules>,
    relay: Relay,
    center: ActionCenter,
    workers: Vec<Worker>,
    step: usize,
    journal: Vec<String>,
    weights: Vec<u64>,
    has_faults: bool,
    n_faults: usize,
    struck: Option<&'static str>,
    n_changes: usize,
}

impl Sim {
    async fn new(seed: u64, engine: Engine) -> Self {
        let mut rng = Rng::new(seed);
        let world = World::new(&mut rng);
        let is_hold = rng.percent(25);
        let remind_by_mail = rng.percent(50);
        let rules = Rules {
            policy: Policy {
                remind_by_mail,
                ..Policy::default()
            },
            portal_url: "https://portal.example".into(),
            lead_url: "https://portal.example/leads/{id}".into(),
            programme_links: std::collections::BTreeMap::new(),
            lead_desk: Some(address(DESK)),
            posts_items: rng.percent(50),
            in_doubt: if is_hold { InDoubt::Hold } else { InDoubt::Resend },
            retry: Retry::default(),
            public_url: None,
            answer_links: false,
            keep_bounces: Duration::from_secs(30 * 24 * 3600),
            keep_sent: Duration::ZERO,
            relays: Vec::new(),
            asks_dns: false,
            spam_domains: SpamDomains::default(),
        };
        let mut model = Model::default();
        (model.remind_by_mail, model.is_hold) = (remind_by_mail, is_hold);
        // A run in which something never happens, or happens all the time, goes where an even mix does not (swarm testing, Groce et al. 2012).
        let weights = ACTORS
            .iter()
            .map(|(actor, weight)| match actor {
                Actor::Time | Actor::Intake | Actor::Worker | Actor::PartnerChange => *weight,
                _ => weight * [0, 1, 1, 3][rng.below(4) as usize],
            })
            .collect();
        let relay = Relay::new(&mut rng);
        let has_faults = rng.percent(80);
        Self {
            world,
            model,
            db: Database::open(engine).await,
            rules: Arc::new(rules),
            relay,
            center: ActionCenter::default(),
            workers: Vec::new(),
            step: 0,
            journal: Vec::new(),
            weights,
            has_faults,
            n_faults: 0,
            struck: None,
            n_changes: 0,
            rng,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.world.now)
    }

    fn say(&mut self, line: impl Into<String>) {
        self.journal.push(line.into());
    }

    fn parts(&self) -> (Store, Timestamp, Arc<Rules>) {
        (self.db.store.clone(), self.now(), Arc::clone(&self.rules))
    }

    async fn run(&mut self, n_steps: usize) {
        self.say(format!(
            "begins {}, {:?}, reminders by mail: {}",
            shown(self.world.now),
            self.rules.in_doubt,
            self.model.remind_by_mail
        ));
        for _ in 0..3 {
            self.change_partner().await;
        }
        while self.step < n_steps && self.model.broken.is_empty() {
            self.step += 1;
            let (actor, _) = ACTORS[self.rng.weighted(&self.weights)];
            self.act(actor).await;
            if self.step.is_multiple_of(AUDIT_EVERY) {
                self.audit().await;
            }
        }
        if self.model.broken.is_empty() {
            self.finish().await;
        }
    }

    async fn act(&mut self, actor: Actor) {
        match actor {
            Actor::Time => self.pass_time().await,
            Actor::Intake => self.take_in().await,
            Actor::PartnerChange => self.change_partner().await,
            Actor::Answer => self.answer().await,
            Actor::Tick => self.tick().await,
            Actor::Fire => self.fire().await,
            Actor::Run => self.run_digest().await,
            Actor::Suppress => self.suppress().await,
            Actor::Lift => self.lift().await,
            Actor::OptOut => self.opt_out().await,
            Actor::Resubscribe => self.resubscribe().await,
            Actor::ByHand => self.by_hand().await,
            Actor::Archive => self.archive().await,
            Actor::Worker => self.some_worker().await,
            Actor::Recover => self.recover().await,
            Actor::Post => self.post().await,
            Actor::Mailbox => self.change_mailbox(),
        }
    }

    // Seams and checks.

    /// Has a call to the database in what comes next fail, perhaps.
    fn arm(&mut self) {
        if self.has_faults && self.rng.percent(10) {
            let failure = if self.rng.percent(30) { Failure::Conflict } else { Failure::Away };
            fault_point::arm(self.rng.below(24) as u32, failure);
        }
    }

    /// Follows what was done; `result`: an error that nobody wanted is a finding, unless it says that the state forbids it and that `may_refuse`.
    async fn done<T>(&mut self, op: Op, result: Result<T, Error>, may_refuse: bool) -> Option<T> {
        self.struck = fault_point::disarm();
        if let Some(struck) = self.struck {
            self.n_faults += 1;
            self.say(format!("    the database failed at {struck}"));
        }
        self.observe(&op).await;
        match result {
            Ok(value) => Some(value),
            Err(Error::Refused(_) | Error::NotFound(_)) if may_refuse => None,
            Err(_) if self.struck.is_some() => None,
            Err(error) => {
                self.model.broken.push(format!("{op:?}: {error}"));
                None
            }
        }
    }

    /// Whether what was done is committed, whatever was answered.
    fn is_committed<T>(&self, value: &Option<T>) -> bool {
        value.is_some() || self.struck == Some("commit.after")
    }

    async fn observe(&mut self, op: &Op) {
        let changes = self.db.changes().await;
        self.n_changes += changes.len();
        for change in &changes {
            let line = journal_line(&change.table, change.old.as_ref(), change.new.as_ref());
            self.journal.push(line);
        }
        self.model.follow(self.world.now, op, &changes);
    }

    async fn audit(&mut self) {
        let now = self.now();
        let books = audit(&self.db.store, now, now).await.expect("the books can be closed");
        for orphan in &books.orphans {
            self.model.broken.push(format!(
                "audit: {} {} of {}: {}",
                orphan.what, orphan.id, orphan.partner_id, orphan.why
            ));
        }
    }

    // The portal and its people.

    async fn take_in(&mut self) {
        let records = self.world.batch(&mut self.rng);
        let is_quiet = self.rng.percent(6);
        let (store, now, rules) = self.parts();
        let origin = Arc::new(Origin {
            source: format!("file-{}", self.step),
            partner: None,
            is_quiet,
        });
        let batch: Vec<Incoming> = records
            .iter()
            .zip(1_u64..)
            .map(|(record, line)| {
                let value = record.to_json();
                let place = format!("{}:{line}", origin.source);
                let source = Source {
                    partner: None,
                    place: &place,
                    received_at: now,
                };
                Incoming {
                    origin: Arc::clone(&origin),
                    line,
                    text: value.to_string(),
                    parsed: parse(value, &source),
                }
            })
            .collect();
        if let Some(faults) = batch.iter().find_map(|one| one.parsed.as_ref().err()) {
            self.model.broken.push(format!("a record has faults: {faults:?}"));
        }
        let ids: Vec<String> = records
            .iter()
            .map(|one| format!("{} of {} ({:?}, {})", one.id, one.partner, one.sort, one.stage))
            .collect();
        self.say(format!(
            "#{} {now} takes in{} {}",
            self.step,
            if is_quiet { " quietly" } else { "" },
            ids.join(", ")
        ));
        self.arm();
        let result = take_in(&store, now, &rules, &batch).await;
        self.done(Op::TakeIn { records, is_quiet }, result, false).await;
    }

    async fn change_partner(&mut self) {
        let before = self.world.partners.clone();
        let mut changed = vec![self.world.change_partner(&mut self.rng)];
        if self.rng.percent(20) {
            let other = self.world.change_partner(&mut self.rng);
            changed.retain(|one| one.id != other.id);
            changed.push(other);
        }
        let (store, now, rules) = self.parts();
        let records: Vec<Value> = changed.iter().map(crate::rules::Partner::to_json).collect();
        for record in &records {
            self.say(format!("#{} {now} partner {record}", self.step));
        }
        let parsed: Result<Vec<Partner>, _> = records.into_iter().map(Partner::parse).collect();
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(faults) => return self.model.broken.push(format!("a partner has faults: {faults:?}")),
        };
        self.arm();
        let result = partners::put(&store, now, &rules, &parsed, None).await;
        let put = self.done(Op::Put(changed), result, false).await;
        if !self.is_committed(&put) {
            self.world.partners = before;
        }
    }

    async fn answer(&mut self) {
        let Some(id) = self.world.some_lead(&mut self.rng) else { return };
        let notify = self.rng.percent(80);
        let terms = Terms {
            notes: Some("called".to_owned()),
            ..Terms::default()
        };
        let (to, action) = match self.rng.below(8) {
            0..=2 => (Some("accepted"), Action::Accept(Terms::default())),
            3 | 4 => (
                Some("declined"),
                Action::Decline {
                    reason: "no capacity".into(),
                    notes: None,
                    notify_customer: notify,
                },
            ),
            5 => (Some("won"), Action::Won(Terms::default())),
            6 => (Some("lost"), Action::Lost(Terms::default())),
            _ => (None, Action::Edit(terms)),
        };
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} answers {id}: {}", self.step, to.unwrap_or("edited")));
        let lead = self.model.row("lead", &id);
        let wants = if matches!(to, Some("accepted" | "declined")) {
            "received"
        } else {
            "accepted"
        };
        let may = lead.is_some_and(|lead| lead["kind"] != "informational" && Model::stage_at(lead, now.as_millis()) == wants);
        self.arm();
        let result = answer(&store, now, &rules, &LeadId::new(id.clone()), &action, &IfMatch::Unsaid, None).await;
        let is_refused = matches!(result, Err(Error::Refused(_) | Error::NotFound(_)));
        let is_taken = result.is_ok();
        self.done(
            Op::Answer {
                lead: id.clone(),
                to,
                notify,
            },
            result,
            true,
        )
        .await;
        if (is_taken && !may) || (is_refused && may) {
            self.model
                .broken
                .push(format!("the answer {to:?} to {id} was {}", if may { "refused" } else { "taken" }));
        }
    }

    async fn tick(&mut self) {
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} the clock comes round", self.step));
        self.arm();
        let result = tick::tick(&store, now, &rules).await;
        if self.done(Op::Tick, result, false).await.is_some() {
            self.model.all_ticked(self.world.now);
        }
    }

    async fn fire(&mut self) {
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} digests fire", self.step));
        self.arm();
        let result = fire::fire(&store, now, &rules).await;
        if self.done(Op::Fire, result, false).await.is_some() {
            self.model.all_fired(self.world.now);
        }
    }

    async fn run_digest(&mut self) {
        let partner = PartnerId::new(*self.rng.pick(&PARTNERS));
        let is_dry = self.rng.percent(40);
        let (store, now, rules) = self.parts();
        self.say(format!(
            "#{} {now} runs the digest of {partner}{}",
            self.step,
            if is_dry { ", dry" } else { "" }
        ));
        self.arm();
        if is_dry && self.rng.percent(50) {
            let result = preview_digest(&store, now, &rules, &partner).await;
            self.done(Op::Run { is_dry }, result, false).await;
            return;
        }
        let result = fire::run(&store, now, &rules, &BTreeSet::from([partner]), is_dry, None).await;
        self.done(Op::Run { is_dry }, result, true).await;
    }

    async fn suppress(&mut self) {
        let wanted = match self.rng.below(12) {
            0 => DESK.to_owned(),
            1 => format!("ada-{}@customer.example", self.rng.below(6)),
            _ => World::address(&mut self.rng),
        };
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} suppresses {wanted}", self.step));
        let one = Suppress {
            address: address(&wanted),
            reason: "by hand".into(),
            detail: String::new(),
            actor: None,
        };
        self.arm();
        let result = suppress::add(&store, now, &rules, one).await;
        self.done(Op::Suppress(wanted), result, true).await;
    }

    async fn lift(&mut self) {
        let all: Vec<String> = self.model.suppressed().into_iter().collect();
        if all.is_empty() {
            return;
        }
        let wanted = self.rng.pick(&all).clone();
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} lifts the suppression of {wanted}", self.step));
        if self.rng.percent(70) {
            self.relay.dead.remove(&wanted);
        }
        self.arm();
        let result = suppress::lift(&store, now, &rules, &address(&wanted), None).await;
        self.done(Op::Lift(wanted), result, true).await;
    }

    async fn opt_out(&mut self) {
        let partner = PartnerId::new(*self.rng.pick(&PARTNERS));
        let wanted = World::address(&mut self.rng);
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} {wanted} unsubscribes from {partner}", self.step));
        let one = OptOut {
            partner_id: partner,
            address: address(&wanted),
            at: now,
            delivery_id: None,
        };
        self.arm();
        let result = suppress::opt_out(&store, now, &rules, &one).await;
        self.done(Op::OptOut, result, true).await;
    }

    async fn resubscribe(&mut self) {
        let all: Vec<(String, String)> = self
            .model
            .table("opt_out")
            .map(|row| {
                (
                    row["partner_id"].as_str().unwrap_or_default().to_owned(),
                    row["address"].as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect();
        if all.is_empty() {
            return;
        }
        let (partner, wanted) = self.rng.pick(&all).clone();
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} {wanted} subscribes to {partner} again", self.step));
        self.arm();
        let result = suppress::resubscribe(&store, now, &rules, &PartnerId::new(partner), &address(&wanted), None).await;
        self.done(Op::Resubscribe, result, true).await;
    }

    async fn by_hand(&mut self) {
        let all: Vec<i64> = self
            .model
            .table("delivery")
            .filter(|row| !matches!(row["state"].as_str(), Some("sent" | "sending")))
            .filter_map(|row| row["id"].as_i64())
            .collect();
        if all.is_empty() {
            return;
        }
        let delivery = *self.rng.pick(&all);
        let is_retry = self.rng.percent(70);
        let event = if is_retry { Event::OpsRetry } else { Event::OpsCancel };
        let (store, now, rules) = self.parts();
        self.say(format!(
            "#{} {now} ops {} delivery {delivery}",
            self.step,
            if is_retry { "retry" } else { "cancel" }
        ));
        self.arm();
        let result = by_hand(&store, now, &rules, delivery, event, None).await;
        self.done(Op::ByHand { delivery, is_retry }, result, true).await;
    }

    async fn archive(&mut self) {
        let all: Vec<(i64, String)> = self
            .model
            .table("item")
            .filter_map(|row| Some((row["seq"].as_i64()?, row["partner_id"].as_str()?.to_owned())))
            .collect();
        if all.is_empty() {
            return;
        }
        let (seq, partner) = self.rng.pick(&all).clone();
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} archives item {seq}", self.step));
        self.arm();
        let result = feed::archive(&store, now, &rules, &PartnerId::new(partner), &format!("item-{seq}"), None).await;
        self.done(Op::Archive, result, false).await;
    }

    fn change_mailbox(&mut self) {
        let wanted = World::address(&mut self.rng);
        let is_gone = !self.relay.dead.remove(&wanted);
        self.say(format!(
            "#{} the mailbox {wanted} is {}",
            self.step,
            if is_gone { "gone" } else { "there again" }
        ));
        if is_gone {
            self.relay.dead.insert(wanted);
        }
    }

    // Time.

    async fn pass_time(&mut self) {
        let before = self.world.now;
        let (later, is_jump) = match self.rng.below(100) {
            0..=29 => (before + self.rng.between(1, 120) * 1000, false),
            30..=54 => (before + self.rng.between(1, 180) * MINUTE, false),
            55..=69 => (before + self.rng.between(1, 30) * HOUR, false),
            70..=84 => (self.some_instant(), false),
            85..=89 => (before + self.rng.between(1, 4) * DAY, false),
            90..=94 => (before + self.rng.between(1, 48) * HOUR, true),
            _ => (before - self.rng.between(1, 7200) * 1000, true),
        };
        self.move_to(later, is_jump).await;
    }

    /// Moves the clock. Workers that are awake renew their leases meanwhile, but not while a clock is set.
    async fn move_to(&mut self, later: i64, is_jump: bool) {
        let before = self.world.now;
        self.world.now = later;
        self.say(format!(
            "#{} {} time {}",
            self.step,
            shown(later),
            if is_jump { "jumps" } else { "passes" }
        ));
        if is_jump || later <= before {
            return;
        }
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.is_paused || worker.alive_until < before {
                continue;
            }
            let epoch = worker.epoch;
            let until = later + LEASE;
            let store = self.db.store.clone();
            let result = renew(&store, epoch, before, until).await;
            if self.done(Op::Lease, result, false).await == Some(true) {
                (self.workers[index].alive_until, self.workers[index].renewed_at) = (until, later);
            }
        }
    }

    /// An instant at which something is due, or a millisecond beside it.
    fn some_instant(&mut self) -> i64 {
        let due = self.due_after(self.world.now, 20 * DAY);
        if due.is_empty() {
            return self.world.now;
        }
        let at = if self.rng.percent(50) { due[0] } else { *self.rng.pick(&due) };
        (at + self.rng.between(-1, 1)).max(self.world.now)
    }

    /// When something is due next, soonest first.
    fn due_after(&self, now: i64, within: i64) -> Vec<i64> {
        let mut due: BTreeSet<i64> = BTreeSet::new();
        for (table, state, names) in [
            ("lead", "", &["expires_at", "cool_at", "remind_at", "archive_at"][..]),
            ("digest", "collecting", &["due_at"][..]),
            ("notice", "pending", &["due_at"][..]),
            ("delivery", "queued", &["due_at"][..]),
            ("delivery", "in_doubt", &["due_at"][..]),
            ("item", "", &["post_due_at"][..]),
        ] {
            let rows = self.model.table(table).filter(|row| state.is_empty() || row["state"] == state);
            due.extend(rows.flat_map(|row| names.iter().filter_map(|name| row[*name].as_i64())));
        }
        due.into_iter().filter(|at| *at > now && *at <= now + within).collect()
    }

    // Workers.

    async fn start_worker(&mut self) -> Option<usize> {
        let until = self.world.now + LEASE;
        let (store, now, rules) = self.parts();
        let is_marking = rules.in_doubt == InDoubt::Hold;
        let result: Result<i64, Error> = async {
            let mut tx = store.begin().await?;
            let epoch = insert_worker(&mut tx, "simulated", now, Timestamp::from_millis(until), is_marking).await?;
            tx.commit().await?;
            Ok(epoch)
        }
        .await;
        let epoch = self.done(Op::Lease, result, false).await?;
        self.say(format!("#{} {now} worker {epoch} starts", self.step));
        self.workers.push(Worker {
            epoch,
            alive_until: until,
            renewed_at: self.world.now,
            is_paused: false,
            letters: VecDeque::new(),
            stalled: None,
            out: Vec::new(),
            rests_until: i64::MIN,
            is_unsure: false,
            has_unwritten: false,
        });
        Some(self.workers.len() - 1)
    }

    async fn some_worker(&mut self) {
        if self.workers.is_empty() || (self.workers.len() < WORKERS_MAX && self.rng.percent(8)) {
            self.start_worker().await;
            return;
        }
        let index = self.rng.below(self.workers.len() as u64) as usize;
        let worker = &mut self.workers[index];
        let epoch = worker.epoch;
        if worker.is_paused {
            if self.rng.percent(25) {
                worker.is_paused = false;
                let stalled = worker.stalled.take();
                self.say(format!("#{} worker {epoch} wakes up", self.step));
                if let Some(letter) = stalled {
                    self.hand_over(index, letter, true).await;
                }
            }
            return;
        }
        if !self.keep_lease(index).await {
            return;
        }
        match self.rng.below(100) {
            0..=29 => self.claim(index).await,
            30..=69 => {
                for _ in 0..=self.rng.below(4) {
                    if let Some(letter) = self.workers[index].letters.pop_front() {
                        self.hand_over(index, letter, false).await;
                    }
                }
            }
            70..=89 => {
                self.record(index, usize::MAX).await;
            }
            90..=92 => {
                self.workers[index].is_paused = true;
                self.say(format!("#{} worker {epoch} stands still", self.step));
            }
            93..=94 => {
                let Some(letter) = self.workers[index].letters.pop_front() else {
                    return;
                };
                if letter.leads.is_empty() || self.mark(index, letter.delivery.id).await {
                    self.workers[index].stalled = Some(letter);
                }
                self.workers[index].is_paused = true;
                self.say(format!("#{} worker {epoch} stands still with a mail in its hand", self.step));
            }
            95..=97 => {
                self.workers.remove(index);
                self.say(format!("#{} worker {epoch} dies", self.step));
            }
            _ => self.end_worker(index).await,
        }
    }

    /// Looks at the lease before a turn; a worker that lost it records what is out, and is gone.
    async fn keep_lease(&mut self, index: usize) -> bool {
        let (store, now, _) = self.parts();
        let until = self.world.now + LEASE;
        let Worker {
            epoch,
            alive_until,
            renewed_at,
            ..
        } = self.workers[index];
        self.arm();
        if (renewed_at..renewed_at + LEASE / 3).contains(&self.world.now) && self.world.now < alive_until {
            self.struck = fault_point::disarm();
            return true;
        }
        let result = renew(&store, epoch, now.as_millis(), until).await;
        match self.done(Op::Lease, result, false).await {
            Some(true) => {
                (self.workers[index].alive_until, self.workers[index].renewed_at) = (until, now.as_millis());
                true
            }
            None if self.workers[index].alive_until >= self.world.now => true,
            Some(false) | None => {
                self.say(format!("#{} worker {epoch} has lost its lease", self.step));
                self.workers[index].alive_until = 0;
                self.end_worker(index).await;
                false
            }
        }
    }

    /// Gives back what it has not begun, records what is out, and ends the lease: once; what fails then, the next worker finds.
    async fn end_worker(&mut self, index: usize) {
        let letters: Vec<Letter> = self.workers[index].letters.drain(..).collect();
        for letter in letters {
            let tried = tried(self.now(), &letter, TryResult::Released, 0.5);
            self.workers[index].out.push((tried, Came::Released));
        }
        self.record(index, usize::MAX).await;
        if index >= self.workers.len() {
            return;
        }
        let worker = self.workers.remove(index);
        let (store, now, _) = self.parts();
        self.say(format!("#{} {now} worker {} ends", self.step, worker.epoch));
        self.arm();
        let result: Result<(), Error> = async {
            let mut tx = store.begin().await?;
            end_workers(&mut tx, &[worker.epoch]).await?;
            Ok(tx.commit().await?)
        }
        .await;
        self.done(Op::Lease, result, false).await;
    }

    async fn claim(&mut self, index: usize) {
        if self.world.now < self.workers[index].rests_until || self.workers[index].has_unwritten {
            return;
        }
        let epoch = self.workers[index].epoch;
        let (store, now, rules) = self.parts();
        let worker = &self.workers[index];
        if worker.is_unsure {
            if !worker.letters.is_empty() || !worker.out.is_empty() || worker.stalled.is_some() {
                return;
            }
            self.say(format!("#{} {now} worker {epoch} gives back what it may have claimed", self.step));
            self.arm();
            let result = give_back(&store, now, &rules, epoch).await;
            if self.done(Op::GiveBack { epoch }, result, false).await.is_none() {
                return;
            }
            self.workers[index].is_unsure = false;
        }
        let limit = 1 + self.rng.below(20) as usize;
        self.say(format!("#{} {now} worker {epoch} claims up to {limit}", self.step));
        self.arm();
        let result = claim(&store, now, &rules, epoch, limit).await;
        let Some(claimed) = self.done(Op::Claim { epoch }, result, false).await else {
            self.workers[index].is_unsure = true;
            return;
        };
        if claimed.is_over {
            self.say(format!("#{} worker {epoch} hears that its lease was ended", self.step));
            self.workers[index].alive_until = 0;
        }
        for letter in claimed.letters {
            let leads = ids(&letter);
            self.say(format!(
                "    claimed {} {} to {}: {}",
                letter.delivery.id,
                letter.delivery.kind,
                letter.delivery.address,
                leads.join(" ")
            ));
            self.model.letter_fits(self.world.now, letter.delivery.id, &leads);
            self.workers[index].letters.push_back(letter);
        }
        self.nothing_forgotten(index);
    }

    /// What a worker that lives holds in the database it holds in memory, too: nobody else takes it back.
    fn nothing_forgotten(&mut self, index: usize) {
        let worker = &self.workers[index];
        let letters = worker.letters.iter().chain(&worker.stalled).map(|letter| letter.delivery.id);
        let known: BTreeSet<i64> = letters.chain(worker.out.iter().map(|(tried, _)| tried.delivery.id)).collect();
        let held = self
            .model
            .table("delivery")
            .filter(|row| row["state"] == "sending" && row["owner"] == worker.epoch);
        let forgotten: Vec<i64> = held.filter_map(|row| row["id"].as_i64()).filter(|id| !known.contains(id)).collect();
        if !forgotten.is_empty() {
            let sentence = format!("worker {} lives, holds {forgotten:?} and does not know it", worker.epoch);
            self.model.broken.push(sentence);
        }
    }

    /// Hands one mail over; `is_late`: its worker looked at the lease before it stood still.
    async fn hand_over(&mut self, index: usize, letter: Letter, is_late: bool) {
        let (id, epoch) = (letter.delivery.id, self.workers[index].epoch);
        let holds = is_late || self.world.now < self.workers[index].alive_until;
        let (result, came) = if letter.leads.is_empty() {
            (TryResult::NothingLeft("nothing is left to say".into()), Came::NothingLeft)
        } else if !holds {
            (TryResult::Released, Came::Released)
        } else if !is_late && !self.mark(index, id).await {
            self.say(format!("#{} worker {epoch} has no mark for {id}, and leaves it", self.step));
            return;
        } else {
            let to = letter.delivery.address.as_str();
            let (result, came, has_it) = self.relay.deliver(&mut self.rng, to);
            if has_it {
                let message_id = posthorn::mail::message_id(b"key", id, "portal.example");
                let kind = letter.delivery.kind.as_str();
                let is_forward = letter.delivery.forwarded_by.is_some();
                self.model.arrived(id, kind, to, &message_id, &ids(&letter), is_forward);
            }
            (result, came)
        };
        self.say(format!("#{} worker {epoch} hands {id} over: {came:?}", self.step));
        let jitter = self.rng.below(1001) as f64 / 1000.0;
        let tried = tried(self.now(), &letter, result, jitter);
        self.workers[index].out.push((tried, came));
    }

    /// Under `hold` a mark is committed before a mail is handed over; without one it is not.
    async fn mark(&mut self, index: usize, id: i64) -> bool {
        if !self.model.is_hold {
            return true;
        }
        let epoch = self.workers[index].epoch;
        let (store, now, _) = self.parts();
        let result: Result<bool, Error> = async {
            let mut tx = store.begin().await?;
            let marked = mark_handed_over(&mut tx, now, epoch, &[id]).await?;
            tx.commit().await?;
            Ok(marked.contains(&id))
        }
        .await;
        self.done(Op::Lease, result, false).await == Some(true)
    }

    /// Records what is out, up to `n_max` in one commit. What cannot be recorded is kept for the next time, unless the worker dies of it.
    async fn record(&mut self, index: usize, n_max: usize) -> bool {
        let n = self.workers[index].out.len().min(n_max);
        if n == 0 {
            return true;
        }
        let epoch = self.workers[index].epoch;
        let some: Vec<(Tried, Came)> = self.workers[index].out.drain(..n).collect();
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} worker {epoch} records {n}", self.step));
        let results: BTreeMap<i64, Came> = some.iter().map(|(tried, came)| (tried.delivery.id, *came)).collect();
        let all: Vec<Tried> = some.iter().map(|(tried, _)| tried.clone()).collect();
        self.arm();
        let result = record(&store, now, &rules, epoch, &all).await;
        let bare: Vec<String> = some
            .iter()
            .filter(|(_, came)| *came == Came::BareRefusal)
            .map(|(tried, _)| tried.delivery.address.to_string())
            .collect();
        let recorded = self.done(Op::Record { epoch, results }, result, false).await;
        if self.is_committed(&recorded) {
            for address in bare {
                self.model.note_bare(self.world.now, &address);
            }
        }
        match recorded {
            Some(_) => {
                self.workers[index].has_unwritten = false;
                if some.iter().any(|(_, came)| *came == Came::RelayFault) {
                    self.workers[index].rests_until = self.world.now + RELAY_RESTS_MS;
                }
                true
            }
            None if self.rng.percent(30) => {
                self.say(format!("#{} worker {epoch} dies of it", self.step));
                self.workers.remove(index);
                false
            }
            None => {
                self.workers[index].out.splice(0..0, some);
                self.workers[index].has_unwritten = true;
                false
            }
        }
    }

    async fn recover(&mut self) {
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} somebody takes back what dead workers held", self.step));
        self.arm();
        let result = recover(&store, now, now, &rules).await;
        self.done(Op::Recover, result, false).await;
    }

    /// A worker posts items: claims them, posts each, records how that went.
    async fn post(&mut self) {
        let awake: Vec<i64> = self.workers.iter().filter(|one| !one.is_paused).map(|one| one.epoch).collect();
        if awake.is_empty() || !self.rules.posts_items {
            return;
        }
        let epoch = *self.rng.pick(&awake);
        self.post_by(epoch).await;
    }

    async fn post_by(&mut self, epoch: i64) {
        let (store, now, rules) = self.parts();
        self.say(format!("#{} {now} worker {epoch} posts items", self.step));
        self.arm();
        let result: Result<_, Error> = async {
            let mut tx = store.begin().await?;
            let items = claim_items(&mut tx, now, epoch, now, POSTS_MAX as i64).await?;
            tx.commit().await?;
            Ok(items)
        }
        .await;
        let Some(items) = self.done(Op::Post, result, false).await else {
            return;
        };
        let known: BTreeSet<i64> = items.iter().map(|item| item.seq).collect();
        let is_due = |row: &&Value| row["post_due_at"].as_i64().is_some_and(|at| at <= now.as_millis());
        let held = self
            .model
            .table("item")
            .filter(|row| row["post_owner"] == epoch && items.len() < POSTS_MAX)
            .filter(is_due);
        let forgotten: Vec<i64> = held
            .filter_map(|row| row["seq"].as_i64())
            .filter(|seq| !known.contains(seq))
            .collect();
        if !forgotten.is_empty() {
            self.model.broken.push(format!(
                "worker {epoch} lives, is to post the items {forgotten:?} and does not know it"
            ));
        }
        let mut done = Vec::new();
        for item in items {
            let is_posted = self.relay.is_well || self.rng.percent(80);
            if is_posted || self.rng.percent(50) {
                self.center.post(item.seq, item.version, &item.state);
            }
            done.push((item, is_posted));
        }
        self.arm();
        let result: Result<(), Error> = async {
            let mut tx = store.begin().await?;
            for (item, is_posted) in &done {
                if *is_posted {
                    record_posted(&mut tx, item.seq, item.version, epoch).await?;
                } else {
                    let again = now.plus(rules.retry.backoff(1, 0.5));
                    record_post_failed(&mut tx, item.seq, again, epoch, item.version).await?;
                }
            }
            Ok(tx.commit().await?)
        }
        .await;
        self.done(Op::Post, result, false).await;
    }

    // The end.

    /// Without faults, by one worker, over a relay that is well: until nothing is due.
    async fn finish(&mut self) {
        self.has_faults = false;
        self.relay.is_well = true;
        self.workers.clear();
        self.say("the faults end".to_owned());
        let now = self.world.now;
        self.settle(now + 30 * HOUR).await;
        if self.model.broken.is_empty() {
            self.audit().await;
            self.model.conserved(self.world.now);
        }
        if self.model.broken.is_empty() {
            self.settle(now + 220 * DAY).await;
        }
        if self.model.broken.is_empty() {
            self.audit().await;
            self.model.finished(self.world.now);
            self.posted();
        }
    }

    async fn settle(&mut self, until: i64) {
        for _ in 0..ROUNDS_MAX {
            if !self.model.broken.is_empty() {
                return;
            }
            let n_changes = self.n_changes;
            if self.workers.is_empty() && self.start_worker().await.is_none() {
                return;
            }
            self.tick().await;
            self.fire().await;
            self.recover().await;
            self.claim(0).await;
            while let Some(letter) = self.workers[0].letters.pop_front() {
                self.hand_over(0, letter, false).await;
            }
            self.record(0, usize::MAX).await;
            let epoch = self.workers[0].epoch;
            if self.rules.posts_items {
                self.post_by(epoch).await;
            }
            if self.n_changes > n_changes {
                continue;
            }
            // Leases of workers that are gone run out on the way.
            let next = self.due_after(self.world.now, until - self.world.now).first().copied();
            match next {
                Some(next) => self.move_to(next.max(self.workers[0].rests_until), false).await,
                None if self.world.now < until => self.move_to(until, false).await,
                None => return,
            }
        }
        self.model.broken.push(format!("it does not come to rest in {ROUNDS_MAX} rounds"));
    }

    /// The Action Center has the newest state of every item.
    fn posted(&mut self) {
        if !self.rules.posts_items {
            return;
        }
        let mut late = Vec::new();
        for row in self.model.table("item") {
            let newest = (
                row["version"].as_i64().unwrap_or_default(),
                row["state"].as_str().unwrap_or_default().to_owned(),
            );
            let posted = self.center.items.get(&row["seq"].as_i64().unwrap_or_default());
            if posted != Some(&newest) {
                late.push(format!(
                    "the Action Center has {posted:?} of {} instead of {newest:?}",
                    row["subject"]
                ));
            }
        }
        self.model.broken.extend(late);
    }
}

async fn renew(store: &Store, epoch: i64, wall_now: i64, until: i64) -> Result<bool, Error> {
    let mut tx = store.begin().await?;
    let is_renewed = renew_worker(&mut tx, epoch, Timestamp::from_millis(wall_now), Timestamp::from_millis(until)).await?;
    tx.commit().await?;
    Ok(is_renewed)
}

fn address(text: &str) -> EmailAddress {
    text.parse().expect("a literal address")
}

fn ids(letter: &Letter) -> Vec<String> {
    letter.leads.iter().map(|lead| lead.id.as_str().to_owned()).collect()
}

fn tried(now: Timestamp, letter: &Letter, result: TryResult, jitter: f64) -> Tried {
    Tried {
        delivery: letter.delivery.clone(),
        at: now,
        relay: "relay.example:25".into(),
        result,
        arrived_at: None,
        templates: None,
        mail: None,
        jitter,
    }
}

/// One line of the journal: what a row became.
fn journal_line(table: &str, old: Option<&Value>, new: Option<&Value>) -> String {
    let row = new.or(old).and_then(Value::as_object).cloned().unwrap_or_default();
    let key = crate::database::key_of(table, &Value::Object(row.clone()));
    let mut line = format!("    {table} {key}");
    let was = old.and_then(Value::as_object);
    for (name, value) in &row {
        let before = was.and_then(|was| was.get(name));
        let is_new = was.is_none() && !value.is_null() && !name.ends_with("created_at");
        if (is_new || before.is_some_and(|before| before != value))
            && !matches!(name.as_str(), "reason" | "detail" | "title" | "record" | "faults")
        {
            let shown_value = match value.as_i64() {
                Some(at) if name.ends_with("_at") && at < 32_100_000_000_000 && at > 1_000_000_000_000 => shown(at),
                _ => value.to_string(),
            };
            line.push_str(&format!(" {name}={shown_value}"));
        }
    }
    if new.is_none() {
        line.push_str(" gone");
    }
    line
}
