//! How it is: what waits, what is late, and what needs somebody.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::database::find_identity;
use crate::app::{Error, Rules, lead_desk};
use crate::outbox::delivery::InDoubt;
use crate::outbox::pace::{Limits, Sent};
use crate::store::deliveries::{self, list_backlog as list_queued};
use crate::store::notices::{self, list_backlog as list_pending, list_parked_partners};
use crate::store::workers::{Worker as LiveWorker, list_live};
use crate::store::{Store, Tx, digests, items, leads, rejected, relays, resources, suppressions, verify};
use crate::time::Timestamp;

/// Partners that are named; the rest is counted.
const PARTNERS_MAX: i64 = 10;

/// How it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The instant of which this is true.
    pub date_time: Timestamp,
    /// `live`, `redirect`, `dry`.
    pub mode: String,
    /// Whether `--now` may be anything.
    pub rehearsal: bool,
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Workers that are alive.
    pub workers: Vec<Worker>,
    /// What waits to be mailed, by kind.
    pub backlog: Vec<Backlog>,
    /// The next thing that is due.
    pub next_due: Option<NextDue>,
    /// Deliveries by state.
    pub deliveries: BTreeMap<String, i64>,
    /// Deliveries of which it is not known whether they arrived.
    pub in_doubt: i64,
    /// Notices by state.
    pub notices: BTreeMap<String, i64>,
    /// Notices whose partner has no address.
    pub parked: i64,
    /// The partners of which most are parked.
    pub parked_partners: Vec<PartnerCount>,
    /// Notices that are parked since no lead desk is set, or it cannot be reached.
    pub parked_for_lead_desk: i64,
    /// Whether `portal.lead_desk` is set.
    pub has_lead_desk: bool,
    /// Notices that came to nothing: all of their addresses failed.
    pub undeliverable: i64,
    /// Leads that wait for their partner to have an address.
    pub held_leads: i64,
    /// The partners that most of them belong to.
    pub held_partners: Vec<PartnerCount>,
    /// Records that could not be taken in, and that nobody has dealt with.
    pub rejected_open: i64,
    /// Resources that the portal's webhook named and that were not fetched yet.
    pub known_not_fetched: i64,
    /// Addresses that are not mailed any more.
    pub suppressions: i64,
    /// Action items whose newest state waits to be posted.
    pub items_to_post: i64,
    /// Leads whose e-mail is still to be looked at.
    pub to_verify: i64,
    /// Mails that wait for a relay or for the pace.
    pub waiting: i64,
    /// The relays, in the order in which they are asked, as each worker finds them, or found them when it ended.
    pub relays: Vec<Relay>,
    /// What is wrong with the templates in `templates.dir`; while that is so, mails are written from those that were in force before, if
    /// `serve` had any. For whoever has templates to look at: this room has none.
    pub template_fault: Option<String>,
}

/// A relay, as a worker finds it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Relay {
    /// Host and port.
    pub relay: String,
    /// The worker's epoch.
    pub worker: i64,
    /// Whether that worker is alive.
    pub is_live: bool,
    /// `closed` (it is asked), `open` (it is left alone), `half_open` (one mail tries it).
    pub state: String,
    /// Since when.
    pub since_date_time: Timestamp,
    /// When a mail may go to it again, where none may now: the end of its pause, or of its full hour or day.
    pub next_try_date_time: Option<Timestamp>,
    /// What it said last, where it is left alone.
    pub why: Option<String>,
    /// Mails that went this hour, of all workers, where it has a limit.
    pub sent_this_hour: Option<i64>,
    /// How many may.
    pub per_hour: Option<u32>,
    /// Mails that went today, in UTC, of all workers, where it has a limit.
    pub sent_today: Option<i64>,
    /// How many may.
    pub per_day: Option<u32>,
    /// The day of its warm-up, from 1, while that goes on.
    pub warm_up_day: Option<usize>,
}

/// A worker.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Its epoch.
    pub epoch: i64,
    /// Host and process.
    pub name: String,
    /// Since when.
    pub started_date_time: Timestamp,
}

/// What waits of one kind.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    /// The kind.
    pub kind: String,
    /// Notices that are not resolved to addresses yet.
    pub pending: i64,
    /// Mails that are to be tried again.
    pub queued: i64,
    /// How many of both are due.
    pub due: i64,
    /// For how long the oldest of them has been due.
    pub oldest_due_seconds: Option<i64>,
}

/// Something that is due.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextDue {
    /// When.
    pub date_time: Timestamp,
    /// What.
    pub what: &'static str,
}

/// How many things a partner has.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerCount {
    /// Which partner.
    pub partner_id: String,
    /// How many.
    pub n: i64,
}

/// Says how it is at `now`; `wall_now` tells which workers live. Writes nothing.
///
/// # Errors
/// The database cannot be read.
pub async fn status(store: &Store, now: Timestamp, wall_now: Timestamp, rules: &Rules, configured_mode: &str) -> Result<Status, Error> {
    let identity = find_identity(store).await?;
    let mut tx = store.snapshot().await?;
    let deliveries = by_state(deliveries::count_by_state(&mut tx).await?);
    let notices = by_state(notices::count_by_state(&mut tx).await?);
    let n = |states: &BTreeMap<String, i64>, state: &str| states.get(state).copied().unwrap_or(0);
    let parked = list_parked_partners(&mut tx, PARTNERS_MAX + 1).await?;
    let parked_for_lead_desk = parked.iter().find(|(id, _)| *id == lead_desk()).map_or(0, |(_, n)| *n);
    let held = leads::list_held_partners(&mut tx, PARTNERS_MAX).await?;
    let live = list_live(&mut tx, wall_now).await?;
    let workers = live.iter().map(|worker| Worker {
        epoch: worker.epoch,
        name: worker.name.clone(),
        started_date_time: Timestamp::from_millis(worker.started_at),
    });
    let partner_count = |(id, n): (crate::partner::PartnerId, i64)| PartnerCount {
        partner_id: id.as_str().to_owned(),
        n,
    };
    let parked_partners = parked.into_iter().filter(|(id, _)| *id != lead_desk());
    Ok(Status {
        date_time: now,
        mode: identity.as_ref().map_or(configured_mode, |identity| &identity.mode).to_owned(),
        rehearsal: identity.is_some_and(|identity| identity.is_rehearsal),
        engine: if store.is_embedded() { "sqlite" } else { "postgres" },
        workers: workers.collect(),
        backlog: backlog(&mut tx, now).await?,
        next_due: next_due(&mut tx, rules).await?,
        in_doubt: n(&deliveries, "in_doubt"),
        parked: n(&notices, "parked") - parked_for_lead_desk,
        parked_partners: parked_partners.take(PARTNERS_MAX as usize).map(partner_count).collect(),
        parked_for_lead_desk,
        has_lead_desk: rules.lead_desk.is_some(),
        undeliverable: n(&notices, "undeliverable"),
        held_leads: leads::count_held(&mut tx).await?,
        held_partners: held.into_iter().map(partner_count).collect(),
        rejected_open: rejected::count_open(&mut tx).await?,
        known_not_fetched: resources::count_known(&mut tx).await?,
        suppressions: suppressions::count_suppressions(&mut tx).await?,
        items_to_post: items::count_waiting(&mut tx).await?,
        to_verify: verify::count_waiting(&mut tx).await?,
        waiting: relays::count_waiting(&mut tx).await?,
        relays: list_relays(&mut tx, now, &live, rules).await?,
        template_fault: None,
        deliveries,
        notices,
    })
}

fn by_state(counts: Vec<(String, String, i64)>) -> BTreeMap<String, i64> {
    let mut states = BTreeMap::new();
    for (_, state, n) in counts {
        *states.entry(state).or_insert(0) += n;
    }
    states
}

/// Returns when a mail may go to a relay again. A pause that is over ends with the next mail.
fn try_at(now: Timestamp, at: Option<Timestamp>, state: &str) -> Option<Timestamp> {
    at.filter(|at| *at > now || state == "open").map(|at| at.max(now))
}

async fn list_relays(tx: &mut Tx, now: Timestamp, live: &[LiveWorker], rules: &Rules) -> Result<Vec<Relay>, Error> {
    let sent: BTreeMap<String, Sent> = relays::list_sent(tx, now).await?.into_iter().collect();
    let found = relays::list_circuits(tx).await?.into_iter().map(|row| {
        let limits = rules.relays.iter().find(|(name, limits)| *name == row.relay && !limits.is_none());
        let (limits, sent) = match limits {
            Some((_, limits)) => (limits.clone(), Some(sent.get(&row.relay).copied().unwrap_or_default())),
            None => (Limits::default(), None),
        };
        Relay {
            worker: row.epoch,
            is_live: live.iter().any(|worker| worker.epoch == row.epoch),
            since_date_time: Timestamp::from_millis(row.since),
            next_try_date_time: try_at(now, row.try_at.map(Timestamp::from_millis), &row.state),
            state: row.state,
            why: row.why,
            sent_this_hour: sent.map(|sent| sent.this_hour),
            per_hour: limits.per_hour,
            sent_today: sent.map(|sent| sent.today),
            per_day: limits.on_day(now),
            warm_up_day: limits.step(now).map(|(day, _)| day),
            relay: row.relay,
        }
    });
    Ok(found.collect())
}

async fn backlog(tx: &mut Tx, now: Timestamp) -> Result<Vec<Backlog>, Error> {
    let mut kinds: BTreeMap<String, Backlog> = BTreeMap::new();
    let age = |first_due_at: i64| (first_due_at <= now.as_millis()).then(|| (now.as_millis() - first_due_at) / 1000);
    for pending in list_pending(tx, now).await? {
        let one = kinds.entry(pending.kind).or_default();
        one.pending = pending.n;
        one.due += pending.n_due;
        one.oldest_due_seconds = one.oldest_due_seconds.max(age(pending.first_due_at));
    }
    for queued in list_queued(tx, now).await? {
        let one = kinds.entry(queued.kind).or_default();
        one.queued = queued.n;
        one.due += queued.n_due;
        one.oldest_due_seconds = one.oldest_due_seconds.max(age(queued.first_due_at));
    }
    Ok(kinds.into_iter().map(|(kind, backlog)| Backlog { kind, ..backlog }).collect())
}

/// Returns the soonest of everything that is due by itself.
async fn next_due(tx: &mut Tx, rules: &Rules) -> Result<Option<NextDue>, Error> {
    let doubt = match rules.in_doubt {
        InDoubt::Resend => deliveries::next_doubt(tx).await?,
        InDoubt::Hold => None,
    };
    let posts = if rules.posts_items { items::next_post(tx).await? } else { None };
    let all = [
        (deliveries::next_due(tx).await?, "a mail is tried again"),
        (notices::next_due(tx).await?, "a notice is taken up and mailed"),
        (digests::next_due(tx).await?, "a digest fires"),
        (
            leads::next_due(tx).await?,
            "time moves a lead: it cools, is marked as expiring, expires or is archived",
        ),
        (doubt, "a mail in doubt is sent once more"),
        (posts, "an action item is posted"),
    ];
    let due = all
        .into_iter()
        .filter_map(|(at, what)| at.map(|date_time| NextDue { date_time, what }));
    Ok(due.min_by_key(|due| due.date_time))
}
