//! Deliveries: one message of a notice to one address, and where it stands.
//!
//! **Invariant:** an outcome is recorded only by the worker that holds the delivery (`owner`), so a late worker changes nothing.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::outbox::delivery::State;
use crate::partner::{EmailAddress, PartnerId};
use crate::store::engine::{Sql, Tx, args, json, row, rows, sql};
use crate::store::error::Error;
use crate::store::notices::turn;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &INSERT,
    &CLAIM,
    &NEWEST,
    &MADE,
    &RECORD,
    &HELD,
    &HAND_OVER,
    &DEAD,
    &HELD_BY,
    &DOUBTFUL,
    &MOVE,
    &CANCEL,
    &CANCEL_DECLINES,
    &SUPPRESS,
    &NEXT_DUE,
    &NEXT_DOUBT,
    &LIST,
    &FIND,
    &OF_NOTICES,
    &COUNT_BY_STATE,
    &OF_LEAD_AND_ADDRESS,
    &SUPPRESSED_FOR,
    &OLDEST_DUE,
    &BACKLOG,
    &OF_IDS,
    &OF_LEADS,
    &ERASE,
    &ERASE_RECIPIENTS,
    &AMONG_ADDRESSES,
];

/// A delivery as stored.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its row; the Message-ID derives from it.
    pub id: i64,
    /// The notice that it delivers.
    pub notice_id: i64,
    /// What it says.
    pub kind: Kind,
    /// The receiving partner.
    pub partner_id: PartnerId,
    /// The lead that it is about, where it is about one.
    pub lead_id: Option<LeadId>,
    /// Gathered kinds: the leads that concern this address.
    pub leads: Vec<LeadId>,
    /// Where it goes; it keeps this address.
    pub address: EmailAddress,
    /// The recipient's name.
    pub name: Option<String>,
    /// The language that `R-LOCALE` gave.
    pub language: String,
    /// Where it stands.
    pub state: State,
    /// Attempts that counted.
    pub attempt: u32,
    /// When it is tried next, or sent again.
    pub due_at: Timestamp,
    /// The worker that sends it.
    pub owner: Option<i64>,
    /// When the hand-over mark was committed (`worker.in_doubt = hold`).
    pub handed_over_at: Option<Timestamp>,
    /// Whether this mail may have arrived before.
    pub is_repeat: bool,
    /// Whether it was sent again after a doubt; that is done once.
    pub is_resent: bool,
    /// When the wait of `give_up_after` began.
    pub first_due_at: Timestamp,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// When the claim made it.
    pub created_at: Timestamp,
    /// When it reached a final state.
    pub finished_at: Option<Timestamp>,
    /// Who sent the lead on to this address; `None` where `R-RECIPIENT` chose it.
    pub forwarded_by: Option<EmailAddress>,
    /// Told of a lead that was erased since: what comes back of it is not kept (`R-ERASE`).
    pub is_erased: bool,
}

/// From here on an instant means "not by itself" (2987).
const NEVER_FROM: Timestamp = Timestamp::from_millis(32_100_000_000_000);

impl Delivery {
    /// Returns when it is tried next, or sent again; `None` where it is not, by itself.
    pub fn next_at(&self) -> Option<Timestamp> {
        let waits = matches!(self.state, State::Queued | State::InDoubt) && self.due_at < NEVER_FROM;
        waits.then_some(self.due_at)
    }
}

/// A delivery that a claim makes; it begins in `sending`.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The notice that it delivers.
    pub notice_id: i64,
    /// What it says.
    pub kind: Kind,
    /// The receiving partner.
    pub partner_id: PartnerId,
    /// The lead that it is about, where it is about one.
    pub lead_id: Option<LeadId>,
    /// Gathered kinds: the leads that concern this address.
    pub leads: Vec<LeadId>,
    /// Where it goes.
    pub address: EmailAddress,
    /// The recipient's name.
    pub name: Option<String>,
    /// The language that `R-LOCALE` gave.
    pub language: String,
    /// Who sent the lead on to this address; `None` where `R-RECIPIENT` chose it.
    pub forwarded_by: Option<EmailAddress>,
}

struct DeliveryRow {
    id: i64,
    notice_id: i64,
    kind: String,
    partner_id: String,
    lead_id: Option<String>,
    leads: String,
    address: String,
    name: Option<String>,
    language: String,
    state: String,
    attempt: i64,
    due_at: i64,
    owner: Option<i64>,
    handed_over_at: Option<i64>,
    is_repeat: bool,
    is_resent: bool,
    first_due_at: i64,
    reason: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
    forwarded_by: Option<String>,
    is_erased: bool,
}
row!(DeliveryRow:
    id, notice_id, kind, partner_id, lead_id, leads, address, name, language, state, attempt, due_at, owner, handed_over_at, is_repeat,
    is_resent, first_due_at, reason, created_at, finished_at, forwarded_by, is_erased
);

macro_rules! columns {
    () => {
        "id, notice_id, kind, partner_id, lead_id, leads, address, name, language, state, attempt, due_at, owner, handed_over_at, is_repeat, is_resent, first_due_at, reason, created_at, finished_at, forwarded_by, is_erased"
    };
}

#[derive(Serialize)]
struct NewRow<'a> {
    notice_id: i64,
    kind: &'static str,
    turn: i64,
    partner_id: &'a str,
    lead_id: Option<&'a str>,
    leads: String,
    address: &'a str,
    name: Option<&'a str>,
    language: &'a str,
    forwarded_by: Option<&'a str>,
}

#[derive(Deserialize)]
struct InsertedRow {
    id: i64,
    notice_id: i64,
    address: String,
}
row!(InsertedRow: id, notice_id, address);

const INSERT: Sql = sql!("deliveries.insert":
    "insert into delivery (notice_id, kind, turn, partner_id, lead_id, leads, address, name, language, state, attempt, due_at, owner, is_repeat, is_resent,
  first_due_at, created_at, forwarded_by)
select r.notice_id, r.kind, r.turn, r.partner_id, r.lead_id, r.leads, r.address, r.name, r.language, 'sending', 0, $3, $2, false, false, $3, $3, r.forwarded_by
from " (notice_id bigint, kind text, turn bigint, partner_id text, lead_id text, leads text, address text, name text, language text, forwarded_by text)
    " where true order by " ["r.ord" | "r.notice_id"] " on conflict (notice_id, address) do nothing" ["" | " returning id, notice_id, address"]);

// What an insert made on SQLite, where nobody else writes meanwhile; PostgreSQL says so itself.
const NEWEST: Sql = sql!("deliveries.newest": "select max(id) as n from delivery");
const MADE: Sql = sql!("deliveries.made": [packed id bigint, notice_id bigint, address text] " from delivery where id > $1" end);

/// Makes deliveries, already claimed by the worker `owner`, and returns them. An address that the notice had before gets no second one.
pub async fn insert_deliveries(tx: &mut Tx, now: Timestamp, owner: i64, new: &[NewDelivery]) -> Result<Vec<Delivery>, Error> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let written: Vec<NewRow<'_>> = new
        .iter()
        .map(|delivery| NewRow {
            notice_id: delivery.notice_id,
            kind: delivery.kind.as_str(),
            turn: turn(delivery.kind),
            partner_id: delivery.partner_id.as_str(),
            lead_id: delivery.lead_id.as_ref().map(LeadId::as_str),
            leads: json(&delivery.leads),
            address: delivery.address.as_str(),
            name: delivery.name.as_deref(),
            language: &delivery.language,
            forwarded_by: delivery.forwarded_by.as_ref().map(EmailAddress::as_str),
        })
        .collect();
    let found: Vec<InsertedRow> = if tx.is_embedded() {
        let newest = tx.count(&NEWEST, args![]).await?;
        let n_made = tx.execute(&INSERT, args![rows(&written), owner, now]).await?;
        if n_made == new.len() as u64 {
            // SQLite numbers rows on from the highest, in the order in which they are inserted.
            let ids = newest + 1..;
            return Ok(new.iter().zip(ids).map(|(delivery, id)| delivery.made(id, now, owner)).collect());
        }
        tx.fetch_packed(&MADE, args![newest]).await?
    } else {
        tx.fetch_all(&INSERT, args![rows(&written), owner, now]).await?
    };
    let mut ids: HashMap<(i64, String), i64> = found.into_iter().map(|row| ((row.notice_id, row.address), row.id)).collect();
    let mut made: Vec<Delivery> = new
        .iter()
        .filter_map(|delivery| {
            let id = ids.remove(&(delivery.notice_id, delivery.address.as_str().to_owned()))?;
            Some(delivery.made(id, now, owner))
        })
        .collect();
    made.sort_by_key(|delivery| delivery.id);
    Ok(made)
}

impl NewDelivery {
    /// Returns the row that [`INSERT`] makes.
    fn made(&self, id: i64, now: Timestamp, owner: i64) -> Delivery {
        Delivery {
            id,
            notice_id: self.notice_id,
            kind: self.kind,
            partner_id: self.partner_id.clone(),
            lead_id: self.lead_id.clone(),
            leads: self.leads.clone(),
            address: self.address.clone(),
            name: self.name.clone(),
            language: self.language.clone(),
            state: State::Sending,
            attempt: 0,
            due_at: now,
            owner: Some(owner),
            handed_over_at: None,
            is_repeat: false,
            is_resent: false,
            first_due_at: now,
            reason: None,
            created_at: now,
            finished_at: None,
            forwarded_by: self.forwarded_by.clone(),
            is_erased: false,
        }
    }
}

// A mail that gathers is written anew, without the leads that were erased. The plus: see `notices.due`. PostgreSQL may run a subquery under `in` once for each row that it compares, and so lock and claim more than the limit; as an array it runs once.
const CLAIM: Sql = Sql {
    name: "deliveries.claim",
    sqlite: concat!("/* deliveries.claim */ update delivery set state = 'sending', owner = $2, is_erased = is_erased and lead_id is not null
where id in (select id from delivery where state = 'queued' and due_at <= $1 order by turn, due_at, id limit +$3) and state = 'queued' returning ", columns!()),
    postgres: concat!("/* deliveries.claim */ update delivery set state = 'sending', owner = $2, is_erased = is_erased and lead_id is not null
where id = any (array(select id from delivery where state = 'queued' and due_at <= $1 order by turn, due_at, id limit $3 for update skip locked))
  and state = 'queued' returning ", columns!()),
};

/// Claims deliveries that are due again for the worker `owner`.
pub async fn claim_deliveries(tx: &mut Tx, now: Timestamp, owner: i64, limit: i64) -> Result<Vec<Delivery>, Error> {
    in_order(tx.fetch_all(&CLAIM, args![now, owner, limit]).await?)
}

/// What an attempt, or a person, made of a delivery.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub id: i64,
    /// Where it stands now.
    pub state: State,
    /// Attempts that counted so far.
    pub attempt: u32,
    /// When it is tried next, or sent again.
    pub due_at: Timestamp,
    /// Whether it may have arrived before.
    pub is_repeat: bool,
    /// Whether it was sent again after a doubt.
    pub is_resent: bool,
    /// When the wait of `give_up_after` began.
    pub first_due_at: Timestamp,
    /// Why, in plain words.
    pub reason: Option<String>,
}

#[derive(Serialize)]
struct OutcomeRow<'a> {
    id: i64,
    was: Option<&'static str>,
    state: &'static str,
    attempt: i64,
    due_at: i64,
    is_repeat: bool,
    is_resent: bool,
    first_due_at: i64,
    reason: Option<&'a str>,
    finished_at: Option<i64>,
}

fn outcome_row(now: Timestamp, outcome: &Outcome, was: Option<State>) -> OutcomeRow<'_> {
    OutcomeRow {
        id: outcome.id,
        was: was.map(State::as_str),
        state: outcome.state.as_str(),
        attempt: i64::from(outcome.attempt),
        due_at: outcome.due_at.as_millis(),
        is_repeat: outcome.is_repeat,
        is_resent: outcome.is_resent,
        first_due_at: outcome.first_due_at.as_millis(),
        reason: outcome.reason.as_deref(),
        finished_at: outcome.state.is_final().then_some(now.as_millis()),
    }
}

#[derive(Deserialize)]
struct IdRow {
    id: i64,
}
row!(IdRow: id);

#[derive(Deserialize)]
struct HeldRow {
    id: i64,
    is_erased: bool,
}
row!(HeldRow: id, is_erased);

// Of a mail that told of an erased lead it is only recorded how it stands, and why where posthorn itself stopped it: `audit` reads that.
const RECORD: Sql = sql!("deliveries.record":
    "update delivery
set state = r.state, attempt = r.attempt, due_at = r.due_at, owner = null, handed_over_at = null, is_repeat = r.is_repeat, is_resent = r.is_resent,
  first_due_at = r.first_due_at, reason = case when delivery.is_erased and r.state <> 'cancelled' then '(erased)' else r.reason end,
  finished_at = r.finished_at
from " (id bigint, state text, attempt bigint, due_at bigint, is_repeat boolean, is_resent boolean, first_due_at bigint, reason text, finished_at bigint)
    " where delivery.id = r.id and delivery.owner + 0 = $2 and delivery.state || '' = 'sending'" ["" | " returning delivery.id, delivery.is_erased"]);
const HELD: Sql = sql!("deliveries.held": [packed id bigint, is_erased boolean] " from delivery where id in (select r.id from " (id bigint) ")
  and owner + 0 = $2 and state || '' = 'sending'" end);

/// The deliveries of a worker whose outcomes were recorded.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// All of them.
    pub all: BTreeSet<i64>,
    /// Those that told of a lead that was erased meanwhile.
    pub erased: BTreeSet<i64>,
}

/// Records what became of deliveries that the worker `owner` holds, and returns those that it did hold.
pub async fn record_outcomes(tx: &mut Tx, now: Timestamp, owner: i64, outcomes: &[Outcome]) -> Result<Held, Error> {
    if outcomes.is_empty() {
        return Ok(Held::default());
    }
    let written: Vec<OutcomeRow<'_>> = outcomes.iter().map(|outcome| outcome_row(now, outcome, None)).collect();
    let found: Vec<HeldRow> = if tx.is_embedded() {
        let ids: Vec<i64> = outcomes.iter().map(|outcome| outcome.id).collect();
        let held = tx.fetch_packed(&HELD, args![super::number_rows(&ids), owner]).await?;
        tx.execute(&RECORD, args![rows(&written), owner]).await?;
        held
    } else {
        tx.fetch_all(&RECORD, args![rows(&written), owner]).await?
    };
    Ok(Held {
        erased: found.iter().filter(|row| row.is_erased).map(|row| row.id).collect(),
        all: found.into_iter().map(|row| row.id).collect(),
    })
}

const MOVE: Sql = sql!("deliveries.move":
    "update delivery
set state = r.state, attempt = r.attempt, due_at = r.due_at, owner = null, handed_over_at = null, is_repeat = r.is_repeat, is_resent = r.is_resent,
  first_due_at = r.first_due_at, reason = case when delivery.is_erased and r.state <> 'cancelled' then '(erased)' else r.reason end,
  finished_at = r.finished_at
from " (id bigint, was text, state text, attempt bigint, due_at bigint, is_repeat boolean, is_resent boolean, first_due_at bigint, reason text, finished_at bigint)
    " where delivery.id = r.id and delivery.state = r.was returning delivery.id");

/// Moves deliveries that nobody sends at the moment, each from the state in which it was read. Returns those that were still in it.
pub async fn move_deliveries(tx: &mut Tx, now: Timestamp, moves: &[(State, Outcome)]) -> Result<BTreeSet<i64>, Error> {
    if moves.is_empty() {
        return Ok(BTreeSet::new());
    }
    let written: Vec<OutcomeRow<'_>> = moves.iter().map(|(was, outcome)| outcome_row(now, outcome, Some(*was))).collect();
    let found: Vec<IdRow> = tx.fetch_all(&MOVE, args![rows(&written)]).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

const HAND_OVER: Sql = sql!("deliveries.hand_over":
    "update delivery set handed_over_at = $2 where id in (select r.id from " (id bigint) ") and state = 'sending' and owner = $3 returning id");

/// Marks deliveries as about to be handed over: after a crash they are in doubt, the others are not (`worker.in_doubt = hold`). Returns those that
/// the worker `owner` still holds.
pub async fn mark_handed_over(tx: &mut Tx, now: Timestamp, owner: i64, ids: &[i64]) -> Result<BTreeSet<i64>, Error> {
    let found: Vec<IdRow> = tx.fetch_all(&HAND_OVER, args![super::number_rows(ids), now, owner]).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

const DEAD: Sql = Sql {
    name: "deliveries.dead",
    sqlite: concat!(
        "/* deliveries.dead */ select ",
        columns!(),
        " from delivery where state = 'sending'
  and owner in (select epoch from worker where alive_until < $1) order by id limit $2"
    ),
    postgres: concat!(
        "/* deliveries.dead */ select ",
        columns!(),
        " from delivery where state = 'sending'
  and owner in (select epoch from worker where alive_until < $1) order by id limit $2 for update skip locked"
    ),
};

/// Lists deliveries whose worker has died.
pub async fn list_dead(tx: &mut Tx, wall_now: Timestamp, limit: i64) -> Result<Vec<Delivery>, Error> {
    in_order(tx.fetch_all(&DEAD, args![wall_now, limit]).await?)
}

const HELD_BY: Sql = Sql {
    name: "deliveries.held_by",
    sqlite: concat!(
        "/* deliveries.held_by */ select ",
        columns!(),
        " from delivery where state = 'sending' and owner = $1 order by id limit $2"
    ),
    postgres: concat!(
        "/* deliveries.held_by */ select ",
        columns!(),
        " from delivery where state = 'sending' and owner = $1 order by id limit $2"
    ),
};

/// Lists deliveries that a worker holds.
pub async fn list_held_by(tx: &mut Tx, owner: i64, limit: i64) -> Result<Vec<Delivery>, Error> {
    in_order(tx.fetch_all(&HELD_BY, args![owner, limit]).await?)
}

const DOUBTFUL: Sql = Sql {
    name: "deliveries.doubtful",
    sqlite: concat!(
        "/* deliveries.doubtful */ select ",
        columns!(),
        " from delivery where state = 'in_doubt' and due_at <= $1 order by due_at, id limit $2"
    ),
    postgres: concat!(
        "/* deliveries.doubtful */ select ",
        columns!(),
        " from delivery where state = 'in_doubt' and due_at <= $1 order by due_at, id limit $2
for update skip locked"
    ),
};

/// Lists deliveries in doubt whose time to be sent again has come.
pub async fn list_doubtful(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<Delivery>, Error> {
    in_order(tx.fetch_all(&DOUBTFUL, args![now, limit]).await?)
}

const CANCEL: Sql = sql!("deliveries.cancel":
    "update delivery set state = 'cancelled', reason = $2, finished_at = $3
where lead_id in (select r.id from " (id text) ") and kind = 'lead' and state in ('queued', 'in_doubt')");

/// Cancels the queued mails about leads that need no answer any more.
pub async fn cancel_deliveries<'a>(
    tx: &mut Tx,
    now: Timestamp,
    leads: impl IntoIterator<Item = &'a LeadId>,
    reason: &str,
) -> Result<u64, Error> {
    tx.execute(&CANCEL, args![super::id_rows(leads.into_iter().map(LeadId::as_str)), reason, now])
        .await
}

const CANCEL_DECLINES: Sql = sql!("deliveries.cancel_declines":
    "update delivery set state = 'cancelled', reason = $2, finished_at = $3
where lead_id in (select r.id from " (id text) ") and kind = 'decline' and state in ('queued', 'in_doubt')");

/// Cancels the queued mails to the customers of declined leads.
pub async fn cancel_decline_mails<'a>(
    tx: &mut Tx,
    now: Timestamp,
    leads: impl IntoIterator<Item = &'a LeadId>,
    reason: &str,
) -> Result<u64, Error> {
    let leads = super::id_rows(leads.into_iter().map(LeadId::as_str));
    tx.execute(&CANCEL_DECLINES, args![leads, reason, now]).await
}

struct NoticeIdRow {
    notice_id: i64,
}
row!(NoticeIdRow: notice_id);

const SUPPRESS: Sql = sql!("deliveries.suppress":
    "update delivery set state = 'suppressed', reason = 'the address is suppressed', finished_at = $2
where address in (select r.id from " (id text) ") and state = 'queued' returning notice_id");

/// Takes the queued mails to addresses that cannot be reached out of the queue, and returns the notices to resolve once more.
pub async fn suppress_deliveries<'a>(
    tx: &mut Tx,
    now: Timestamp,
    addresses: impl IntoIterator<Item = &'a EmailAddress>,
) -> Result<BTreeSet<i64>, Error> {
    let wanted = super::id_rows(addresses.into_iter().map(EmailAddress::as_str));
    let found: Vec<NoticeIdRow> = tx.fetch_all(&SUPPRESS, args![wanted, now]).await?;
    Ok(found.into_iter().map(|row| row.notice_id).collect())
}

const SUPPRESSED_FOR: Sql = Sql {
    name: "deliveries.suppressed_for",
    sqlite: concat!(
        "/* deliveries.suppressed_for */ select ",
        columns!(),
        " from delivery where address = $1 and (state = 'suppressed' or (state = 'failed'
  and exists (select 1 from notice where notice.id = delivery.notice_id and notice.state = 'undeliverable'))) order by id limit $2"
    ),
    postgres: concat!(
        "/* deliveries.suppressed_for */ select ",
        columns!(),
        " from delivery where address = $1 and (state = 'suppressed' or (state = 'failed'
  and exists (select 1 from notice where notice.id = delivery.notice_id and notice.state = 'undeliverable'))) order by id limit $2"
    ),
};

/// Lists the mails that an address did not get since it was suppressed.
pub async fn list_suppressed_for(tx: &mut Tx, address: &EmailAddress, limit: i64) -> Result<Vec<Delivery>, Error> {
    in_order(tx.fetch_all(&SUPPRESSED_FOR, args![address.as_str(), limit]).await?)
}

// One look a turn: the claim's index serves both, and an index by `due_at` alone would tempt the claim to sort all that is due.
const NEXT_DUE: Sql = sql!("deliveries.next_due":
    "select min(n) as n from (select min(due_at) as n from delivery where state = 'queued' and turn = 0
  union all select min(due_at) from delivery where state = 'queued' and turn = 1
  union all select min(due_at) from delivery where state = 'queued' and turn = 2) as t");
const NEXT_DOUBT: Sql = sql!("deliveries.next_doubt": "select min(due_at) as n from delivery where state = 'in_doubt'");
const OLDEST_DUE: Sql = sql!("deliveries.oldest_due":
    "select min(n) as n from (select min(due_at) as n from delivery where state = 'queued' and turn = 0 and due_at <= $1
  union all select min(due_at) from delivery where state = 'queued' and turn = 1 and due_at <= $1
  union all select min(due_at) from delivery where state = 'queued' and turn = 2 and due_at <= $1) as t");

/// Returns when the next queued delivery is due.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_DUE, args![]).await
}

/// Returns when the next delivery in doubt is to be sent again.
pub async fn next_doubt(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_DOUBT, args![]).await
}

/// Returns since when the longest waiting delivery has been due.
pub async fn oldest_due(tx: &mut Tx, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &OLDEST_DUE, args![now]).await
}

/// Which deliveries to list; what is `None` does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these states; empty = in any.
    pub states: Vec<State>,
    /// To this partner.
    pub partner_id: Option<PartnerId>,
    /// About this lead, singly.
    pub lead_id: Option<LeadId>,
    /// To this address.
    pub address: Option<EmailAddress>,
}

const LIST: Sql = Sql {
    name: "deliveries.list",
    sqlite: concat!(
        "/* deliveries.list */ select ",
        columns!(),
        " from delivery where id < $1 and (cast($2 as text) is null or $2 like '%,' || state || ',%') and (cast($3 as text) is null or partner_id = $3)
  and (cast($4 as text) is null or lead_id = $4) and (cast($5 as text) is null or address = $5) order by id desc limit $6"
    ),
    postgres: concat!(
        "/* deliveries.list */ select ",
        columns!(),
        " from delivery where id < $1 and (cast($2 as text) is null or $2 like '%,' || state || ',%') and (cast($3 as text) is null or partner_id = $3)
  and (cast($4 as text) is null or lead_id = $4) and (cast($5 as text) is null or address = $5) order by id desc limit $6"
    ),
};

/// Lists deliveries, the latest first, from before `before_id`.
pub async fn list_deliveries(tx: &mut Tx, filter: &Filter, before_id: i64, limit: i64) -> Result<Vec<Delivery>, Error> {
    let states: String = filter.states.iter().map(|state| format!(",{}", state.as_str())).collect();
    let values = args![
        before_id,
        (!states.is_empty()).then(|| format!("{states},")),
        filter.partner_id.as_ref().map(PartnerId::as_str),
        filter.lead_id.as_ref().map(LeadId::as_str),
        filter.address.as_ref().map(EmailAddress::as_str),
        limit
    ];
    let mut found = in_order(tx.fetch_all(&LIST, values).await?)?;
    found.reverse();
    Ok(found)
}

/// What waits of one kind.
#[derive(Clone, Debug)]
pub struct Backlog {
    /// The kind.
    pub kind: String,
    /// How many wait.
    pub n: i64,
    /// How many of them are due.
    pub n_due: i64,
    /// When the first of them is, or was, due.
    pub first_due_at: i64,
}
row!(Backlog: kind, n, n_due, first_due_at);

const BACKLOG: Sql = sql!("deliveries.backlog":
    "select kind, count(*) as n, count(*) filter (where due_at <= $1) as n_due, min(due_at) as first_due_at from delivery
where state = 'queued' group by kind order by kind");

/// Sums up the queued deliveries by kind.
pub async fn list_backlog(tx: &mut Tx, now: Timestamp) -> Result<Vec<Backlog>, Error> {
    tx.fetch_all(&BACKLOG, args![now]).await
}

const FIND: Sql = Sql {
    name: "deliveries.find",
    sqlite: concat!("/* deliveries.find */ select ", columns!(), " from delivery where id = $1"),
    postgres: concat!("/* deliveries.find */ select ", columns!(), " from delivery where id = $1"),
};

/// Returns one delivery.
pub async fn find_delivery(tx: &mut Tx, id: i64) -> Result<Option<Delivery>, Error> {
    Ok(in_order(tx.fetch_all(&FIND, args![id]).await?)?.pop())
}

const OF_IDS: Sql = Sql {
    name: "deliveries.of_ids",
    sqlite: concat!(
        "/* deliveries.of_ids */ select ",
        columns!(),
        " from delivery where id in (select value->>'id' from jsonb_each($1)) order by id"
    ),
    postgres: concat!(
        "/* deliveries.of_ids */ select ",
        columns!(),
        " from delivery where id in (select r.id from json_to_recordset($1::json) as r(id bigint)) order by id"
    ),
};

/// Returns the deliveries with these ids.
pub async fn list_of_ids(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Delivery>, Error> {
    in_order(tx.fetch_all(&OF_IDS, args![super::number_rows(ids)]).await?)
}

const OF_NOTICES: Sql = Sql {
    name: "deliveries.of_notices",
    sqlite: concat!(
        "/* deliveries.of_notices */ select ",
        columns!(),
        " from delivery where notice_id in (select value->>'id' from jsonb_each($1)) order by id"
    ),
    postgres: concat!(
        "/* deliveries.of_notices */ select ",
        columns!(),
        " from delivery
where notice_id in (select r.id from json_to_recordset($1::json) as r(id bigint)) order by id"
    ),
};

/// Lists the deliveries of notices.
pub async fn list_of_notices(tx: &mut Tx, notices: &[i64]) -> Result<Vec<Delivery>, Error> {
    in_order(tx.fetch_all(&OF_NOTICES, args![super::number_rows(notices)]).await?)
}

const OF_LEADS: Sql = Sql {
    name: "deliveries.of_leads",
    sqlite: concat!(
        "/* deliveries.of_leads */ select ",
        columns!(),
        " from delivery where lead_id in (select value->>'id' from jsonb_each($1)) order by id"
    ),
    postgres: concat!(
        "/* deliveries.of_leads */ select ",
        columns!(),
        " from delivery where lead_id in (select r.id from json_to_recordset($1::json) as r(id text)) order by id"
    ),
};

/// Lists the mails about these leads alone.
pub async fn list_of_leads<'a>(tx: &mut Tx, leads: impl IntoIterator<Item = &'a LeadId>) -> Result<Vec<Delivery>, Error> {
    let leads = super::id_rows(leads.into_iter().map(LeadId::as_str));
    in_order(tx.fetch_all(&OF_LEADS, args![leads]).await?)
}

// Why posthorn itself stopped a mail stays: `audit` reads it.
const ERASE: Sql = sql!("deliveries.erase":
    "update delivery set is_erased = true,
  reason = case when reason is null or state = 'cancelled' or state = 'suppressed' then reason else '(erased)' end
where id in (select r.id from " (id bigint) ")");

/// Takes what the other side said out of deliveries that told of erased leads; what comes back of them from now on is not kept either.
pub async fn erase_replies(tx: &mut Tx, ids: &[i64]) -> Result<(), Error> {
    tx.execute(&ERASE, args![super::number_rows(ids)]).await?;
    Ok(())
}

const ERASE_RECIPIENTS: Sql = sql!("deliveries.erase_recipients":
    "update delivery set address = 'erased-' || id || '@erased.invalid', name = null where id in (select r.id from " (id bigint) ")");

/// Takes the customers out of the mails to them; each gets an address that reaches nobody (RFC 2606) and is no other mail's.
pub async fn erase_recipients(tx: &mut Tx, ids: &[i64]) -> Result<(), Error> {
    tx.execute(&ERASE_RECIPIENTS, args![super::number_rows(ids)]).await?;
    Ok(())
}

struct AddressRow {
    address: String,
}
row!(AddressRow: address);

const AMONG_ADDRESSES: Sql = sql!("deliveries.among_addresses":
    "select distinct address from delivery where address in (select r.id from " (id text) ")");

/// Returns those of the addresses that a delivery goes, or went, to.
pub async fn find_mailed_among<'a>(
    tx: &mut Tx,
    addresses: impl IntoIterator<Item = &'a EmailAddress>,
) -> Result<BTreeSet<EmailAddress>, Error> {
    let addresses = super::id_rows(addresses.into_iter().map(EmailAddress::as_str));
    let found: Vec<AddressRow> = tx.fetch_all(&AMONG_ADDRESSES, args![addresses]).await?;
    Ok(found.into_iter().map(|row| EmailAddress::from_stored(row.address)).collect())
}

struct StateCount {
    kind: String,
    state: String,
    n: i64,
}
row!(StateCount: kind, state, n);

const COUNT_BY_STATE: Sql =
    sql!("deliveries.count_by_state": "select kind, state, count(*) as n from delivery group by kind, state order by kind, state");

/// Counts deliveries by kind and state.
pub async fn count_by_state(tx: &mut Tx) -> Result<Vec<(String, String, i64)>, Error> {
    let found: Vec<StateCount> = tx.fetch_all(&COUNT_BY_STATE, args![]).await?;
    Ok(found.into_iter().map(|row| (row.kind, row.state, row.n)).collect())
}

#[derive(Serialize)]
struct LeadAddress<'a> {
    lead_id: &'a str,
    digest_id: Option<i64>,
    address: &'a str,
}

struct Told {
    lead_id: String,
    address: String,
    delivery_id: i64,
}
row!(Told: lead_id, address, delivery_id);

// A lead was told either by a mail of its own or by the digest that it went out with.
const OF_LEAD_AND_ADDRESS: Sql = sql!("deliveries.of_lead_and_address":
    "select r.lead_id, r.address, max(delivery.id) as delivery_id
from " (lead_id text, digest_id bigint, address text)
    " join delivery on delivery.address = r.address and delivery.state = 'sent'
  and ((delivery.kind = 'lead' and delivery.lead_id = r.lead_id)
    or (delivery.kind = 'digest' and delivery.notice_id in (select notice.id from notice where notice.digest_id = r.digest_id)))
group by r.lead_id, r.address");

/// Returns the mail by which each address was told of each lead before: what a reminder threads under.
pub async fn find_told(tx: &mut Tx, pairs: &[(LeadId, Option<i64>, EmailAddress)]) -> Result<Vec<(LeadId, EmailAddress, i64)>, Error> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<LeadAddress<'_>> = pairs
        .iter()
        .map(|(lead, digest_id, address)| LeadAddress {
            lead_id: lead.as_str(),
            digest_id: *digest_id,
            address: address.as_str(),
        })
        .collect();
    let found: Vec<Told> = tx.fetch_all(&OF_LEAD_AND_ADDRESS, args![rows(&wanted)]).await?;
    Ok(found
        .into_iter()
        .map(|row| (LeadId::new(row.lead_id), EmailAddress::from_stored(row.address), row.delivery_id))
        .collect())
}

fn in_order(found: Vec<DeliveryRow>) -> Result<Vec<Delivery>, Error> {
    let mut deliveries = found.into_iter().map(Delivery::try_from).collect::<Result<Vec<_>, _>>()?;
    deliveries.sort_by_key(|delivery| delivery.id);
    Ok(deliveries)
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = Error;

    fn try_from(row: DeliveryRow) -> Result<Self, Error> {
        let corrupt = |column, value: &str| Error::Corrupt {
            table: "delivery",
            id: row.id.to_string(),
            column,
            value: value.to_owned(),
        };
        Ok(Self {
            id: row.id,
            notice_id: row.notice_id,
            kind: row.kind.parse().map_err(|_| corrupt("kind", &row.kind))?,
            partner_id: PartnerId::new(row.partner_id),
            lead_id: row.lead_id.map(LeadId::new),
            leads: serde_json::from_str(&row.leads).map_err(|_| corrupt("leads", &row.leads))?,
            address: EmailAddress::from_stored(row.address),
            name: row.name,
            language: row.language,
            state: State::parse(&row.state).ok_or_else(|| corrupt("state", &row.state))?,
            attempt: u32::try_from(row.attempt).unwrap_or(0),
            due_at: Timestamp::from_millis(row.due_at),
            owner: row.owner,
            handed_over_at: row.handed_over_at.map(Timestamp::from_millis),
            is_repeat: row.is_repeat,
            is_resent: row.is_resent,
            first_due_at: Timestamp::from_millis(row.first_due_at),
            reason: row.reason,
            created_at: Timestamp::from_millis(row.created_at),
            finished_at: row.finished_at.map(Timestamp::from_millis),
            forwarded_by: row.forwarded_by.map(EmailAddress::from_stored),
            is_erased: row.is_erased,
        })
    }
}
