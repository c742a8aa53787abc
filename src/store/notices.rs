//! Notices: that somebody is to be told something. They are written with the fact that causes them, and resolved to addresses when they are claimed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::partner::{EmailAddress, PartnerId};
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::store::partners::lock_free_partners;
use crate::store::rows::Rows;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &INSERT,
    &JOIN,
    &DUE,
    &CLAIM,
    &FINISH,
    &REOPEN,
    &SETTLE,
    &UNPARK,
    &UNPARK_EXPIRIES,
    &CANCEL,
    &CANCEL_DECLINES,
    &NEXT_DUE,
    &COUNT_BY_STATE,
    &OF_LEAD,
    &OF_DIGESTS,
    &FIND,
    &OLDEST_DUE,
    &BACKLOG,
    &PARKED_PARTNERS,
    &PARKED_OF,
    &COUNT_PENDING_OF,
    &INSERT_FORWARD,
    &FORWARDS_OF,
];

/// A notice to be written.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// What it says.
    pub kind: Kind,
    /// What it is about: lead, digest, receiver and hour, partner and day. One notice a kind and subject.
    pub subject: String,
    /// The receiving partner; for a decline, the lead's; [`crate::app::lead_desk`] for the lead desk.
    pub partner_id: PartnerId,
    /// The lead that it is about, where it is about one.
    pub lead_id: Option<LeadId>,
    /// The digest that it sends.
    pub digest_id: Option<i64>,
    /// When it may be claimed.
    pub due_at: Timestamp,
}

/// A notice as stored.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its row.
    pub id: i64,
    /// What it says.
    pub kind: Kind,
    /// What it is about.
    pub subject: String,
    /// The receiving partner.
    pub partner_id: PartnerId,
    /// The lead that it is about, where it is about one.
    pub lead_id: Option<LeadId>,
    /// The digest that it sends.
    pub digest_id: Option<i64>,
    /// `pending`, `parked`, `done`, `cancelled`, `undeliverable`.
    pub state: String,
    /// When it may be claimed.
    pub due_at: Timestamp,
    /// Whether a hard failure has brought it back.
    pub is_reopened: bool,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// Whom a reader of its mail sent the lead on to; `None` where `R-RECIPIENT` says who is told.
    pub forward: Option<Forward>,
}

/// A lead that was sent on from its mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forward {
    /// To whom.
    pub address: EmailAddress,
    /// His name, where it was given.
    pub name: Option<String>,
    /// The language of the mail that it was sent on from.
    pub language: String,
    /// The address of whoever sent it on.
    pub by: EmailAddress,
}

/// What a claim made of a notice.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Which.
    pub id: i64,
    /// `done`, `parked`, `undeliverable`.
    pub state: &'static str,
    /// Why, in plain words.
    pub reason: Option<String>,
}

/// Singles go before digests, digests before the rest (architecture, 8).
pub(super) fn turn(kind: Kind) -> i64 {
    match kind {
        Kind::Lead => 0,
        Kind::Digest => 1,
        Kind::Reminder | Kind::Expiry | Kind::Decline => 2,
    }
}

#[derive(Serialize)]
struct NewRow<'a> {
    kind: &'static str,
    subject: &'a str,
    partner_id: &'a str,
    lead_id: Option<&'a str>,
    digest_id: Option<i64>,
    turn: i64,
    due_at: i64,
    created_at: i64,
}

/// A notice as it stands once it is written or joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its row.
    pub id: i64,
    /// Whether it is still to be sent; one that is not gathers nothing more.
    pub is_open: bool,
}

struct Inserted {
    id: i64,
    kind: String,
    subject: String,
    state: String,
}
row!(Inserted: id, kind, subject, state);

const INSERT: Sql = sql!("notices.insert":
    "insert into notice (kind, subject, partner_id, lead_id, digest_id, state, turn, due_at, is_reopened, created_at)
select r.kind, r.subject, r.partner_id, r.lead_id, r.digest_id, 'pending', r.turn, r.due_at, false, r.created_at
from " (kind text, subject text, partner_id text, lead_id text, digest_id bigint, turn bigint, due_at bigint, created_at bigint)
    " where true order by r.created_at on conflict (kind, subject) do nothing");

/// Writes notices. One that is there already stays as it is.
pub async fn insert_notices(tx: &mut Tx, now: Timestamp, new: &[NewNotice]) -> Result<(), Error> {
    if !new.is_empty() {
        tx.execute(&INSERT, args![new_rows(now, new)]).await?;
        tx.brings_work();
    }
    Ok(())
}

const JOIN: Sql = sql!("notices.join":
    "insert into notice (kind, subject, partner_id, lead_id, digest_id, state, turn, due_at, is_reopened, created_at)
select r.kind, r.subject, r.partner_id, r.lead_id, r.digest_id, 'pending', r.turn, r.due_at, false, r.created_at
from " (kind text, subject text, partner_id text, lead_id text, digest_id bigint, turn bigint, due_at bigint, created_at bigint)
    " where true order by r.created_at
on conflict (kind, subject) do update set due_at = notice.due_at
returning id, kind, subject, state");

/// Writes gathering notices, and returns each by kind and subject. One that is there already is locked, to be joined if it is still open.
pub async fn join_notices(tx: &mut Tx, now: Timestamp, new: &[NewNotice]) -> Result<BTreeMap<(String, String), Written>, Error> {
    if new.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found: Vec<Inserted> = tx.fetch_all(&JOIN, args![new_rows(now, new)]).await?;
    let written = found.into_iter().map(|row| {
        let is_open = matches!(row.state.as_str(), "pending" | "parked");
        ((row.kind, row.subject), Written { id: row.id, is_open })
    });
    Ok(written.collect())
}

fn new_rows(now: Timestamp, new: &[NewNotice]) -> Rows {
    let written: Vec<NewRow<'_>> = new
        .iter()
        .map(|notice| NewRow {
            kind: notice.kind.as_str(),
            subject: &notice.subject,
            partner_id: notice.partner_id.as_str(),
            lead_id: notice.lead_id.as_ref().map(LeadId::as_str),
            digest_id: notice.digest_id,
            turn: turn(notice.kind),
            due_at: notice.due_at.as_millis(),
            created_at: now.as_millis(),
        })
        .collect();
    rows(&written)
}

#[derive(Deserialize)]
struct NoticeRow {
    id: i64,
    kind: String,
    subject: String,
    partner_id: String,
    lead_id: Option<String>,
    digest_id: Option<i64>,
    state: String,
    due_at: i64,
    is_reopened: bool,
    reason: Option<String>,
    created_at: i64,
    forward: Option<String>,
}
row!(NoticeRow: id, kind, subject, partner_id, lead_id, digest_id, state, due_at, is_reopened, reason, created_at, forward);

// The plus keeps SQLite from planning anew at each use, by what the limit is this time.
const DUE: Sql = sql!("notices.due":
    [packed id bigint, kind text, subject text, partner_id text, lead_id text, digest_id bigint, state text, due_at bigint, is_reopened boolean, reason text,
     created_at bigint, forward text]
    " from notice where state = 'pending' and due_at <= $1 and (turn, due_at) >= (0, $3) order by turn, due_at, id limit " ["+$2" | "$2"] end);
const CLAIM: Sql = sql!("notices.claim":
    [packed id bigint, kind text, subject text, partner_id text, lead_id text, digest_id bigint, state text, due_at bigint, is_reopened boolean, reason text,
     created_at bigint, forward text]
    "
from notice
where id in (select r.id from " (id bigint) ") and state || '' = 'pending'
order by turn, due_at, id" lock end);

/// Notices that were claimed.
#[derive(Debug)]
pub struct Due {
    /// Those of partners whom nobody else holds.
    pub notices: Vec<Notice>,
    /// Since when the longest waiting single has been due, be it claimed or held by somebody else; `None` where there is none.
    pub oldest_single: Option<Timestamp>,
}

/// Reads notices that are due, those of partners whom nobody else holds, and locks both. Singles are looked for from `from` on.
pub async fn claim_notices(tx: &mut Tx, now: Timestamp, limit: i64, from: Timestamp) -> Result<Due, Error> {
    let mut found: Vec<NoticeRow> = tx.fetch_packed(&DUE, args![now, limit, from]).await?;
    let oldest_single = found.first().filter(|row| row.kind == Kind::Lead.as_str());
    let oldest_single = oldest_single.map(|row| Timestamp::from_millis(row.due_at));
    // On SQLite nobody else writes, and so they are still as they were read.
    if !found.is_empty() && !tx.is_embedded() {
        let partner_of = |row: &NoticeRow| PartnerId::new(row.partner_id.clone());
        let free = lock_free_partners(tx, &found.iter().map(partner_of).collect()).await?;
        let ids: Vec<i64> = found
            .iter()
            .filter(|row| free.contains(&partner_of(row)))
            .map(|row| row.id)
            .collect();
        found = tx.fetch_all(&CLAIM, args![super::number_rows(&ids)]).await?;
    }
    let notices = found.into_iter().map(Notice::try_from).collect::<Result<_, _>>()?;
    Ok(Due { notices, oldest_single })
}

#[derive(Serialize)]
struct FinishRow<'a> {
    id: i64,
    state: &'static str,
    reason: Option<&'a str>,
    finished_at: Option<i64>,
}

const FINISH: Sql = sql!("notices.finish":
    "update notice set state = r.state, reason = r.reason, finished_at = r.finished_at
from " (id bigint, state text, reason text, finished_at bigint) " where notice.id = r.id and notice.state || '' = 'pending'");

/// Writes what claiming made of pending notices.
pub async fn finish_notices(tx: &mut Tx, now: Timestamp, finished: &[Finish]) -> Result<(), Error> {
    if finished.is_empty() {
        return Ok(());
    }
    let written: Vec<FinishRow<'_>> = finished
        .iter()
        .map(|finish| FinishRow {
            id: finish.id,
            state: finish.state,
            reason: finish.reason.as_deref(),
            finished_at: (finish.state != "parked").then_some(now.as_millis()),
        })
        .collect();
    tx.execute(&FINISH, args![rows(&written)]).await?;
    Ok(())
}

const REOPEN: Sql = sql!("notices.reopen":
    "update notice set state = 'pending', due_at = $2, reason = null, finished_at = null, is_reopened = true
where id in (select r.id from " (id bigint) ") and state in ('done', 'undeliverable')");

/// Brings notices back whose address turned out to be unreachable: they are resolved once more.
pub async fn reopen_notices(tx: &mut Tx, now: Timestamp, ids: &BTreeSet<i64>) -> Result<(), Error> {
    if !ids.is_empty() {
        let ids: Vec<i64> = ids.iter().copied().collect();
        tx.execute(&REOPEN, args![super::number_rows(&ids), now]).await?;
    }
    Ok(())
}

const SETTLE: Sql = sql!("notices.settle_undeliverable":
    "update notice set state = 'done', reason = null, finished_at = $2 where id in (select r.id from " (id bigint) ") and state = 'undeliverable'");

/// Marks undeliverable notices as done again: a delivery of theirs is queued once more.
pub async fn settle_undeliverable(tx: &mut Tx, now: Timestamp, ids: &BTreeSet<i64>) -> Result<(), Error> {
    if !ids.is_empty() {
        let ids: Vec<i64> = ids.iter().copied().collect();
        tx.execute(&SETTLE, args![super::number_rows(&ids), now]).await?;
    }
    Ok(())
}

const UNPARK: Sql = sql!("notices.unpark":
    "update notice set state = 'pending', due_at = case when due_at > $2 then due_at else $2 end, reason = null
where state = 'parked' and partner_id in (select r.id from " (id text) ")");

/// Makes the parked notices of these partners due again: the partner has changed.
pub async fn unpark_notices<'a>(tx: &mut Tx, now: Timestamp, partners: impl IntoIterator<Item = &'a PartnerId>) -> Result<u64, Error> {
    tx.execute(&UNPARK, args![super::id_rows(partners.into_iter().map(PartnerId::as_str)), now])
        .await
}

const UNPARK_EXPIRIES: Sql = sql!("notices.unpark_expiries":
    "update notice set state = 'pending', due_at = case when due_at > $1 then due_at else $1 end, reason = null
where state = 'parked' and kind = 'expiry'");

/// Makes the parked expiry notices due again: there is a lead desk now that hears of what no sender can.
pub async fn unpark_expiries(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    tx.execute(&UNPARK_EXPIRIES, args![now]).await
}

const CANCEL: Sql = sql!("notices.cancel":
    "update notice set state = 'cancelled', reason = $2, finished_at = $3
where lead_id in (select r.id from " (id text) ") and kind = 'lead' and state in ('pending', 'parked')");

/// Cancels what is still to be told of leads that need no answer any more.
pub async fn cancel_notices<'a>(
    tx: &mut Tx,
    now: Timestamp,
    leads: impl IntoIterator<Item = &'a LeadId>,
    reason: &str,
) -> Result<u64, Error> {
    tx.execute(&CANCEL, args![super::id_rows(leads.into_iter().map(LeadId::as_str)), reason, now])
        .await
}

const CANCEL_DECLINES: Sql = sql!("notices.cancel_declines":
    "update notice set state = 'cancelled', reason = $2, finished_at = $3
where lead_id in (select r.id from " (id text) ") and kind = 'decline' and state in ('pending', 'parked')");

/// Cancels what customers were still to be told of their declined leads.
pub async fn cancel_declines<'a>(
    tx: &mut Tx,
    now: Timestamp,
    leads: impl IntoIterator<Item = &'a LeadId>,
    reason: &str,
) -> Result<u64, Error> {
    let leads = super::id_rows(leads.into_iter().map(LeadId::as_str));
    tx.execute(&CANCEL_DECLINES, args![leads, reason, now]).await
}

// One look a turn: the claim's index serves both, and an index by `due_at` alone would tempt the claim to sort all that is due.
const NEXT_DUE: Sql = sql!("notices.next_due":
    "select min(n) as n from (select min(due_at) as n from notice where state = 'pending' and turn = 0
  union all select min(due_at) from notice where state = 'pending' and turn = 1
  union all select min(due_at) from notice where state = 'pending' and turn = 2) as t");

/// Returns when the next pending notice is due.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_DUE, args![]).await
}

const OLDEST_DUE: Sql = sql!("notices.oldest_due":
    "select min(n) as n from (select min(due_at) as n from notice where state = 'pending' and turn = 0 and due_at <= $1
  union all select min(due_at) from notice where state = 'pending' and turn = 1 and due_at <= $1
  union all select min(due_at) from notice where state = 'pending' and turn = 2 and due_at <= $1) as t");

/// Returns since when the longest waiting notice has been due.
pub async fn oldest_due(tx: &mut Tx, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &OLDEST_DUE, args![now]).await
}

struct StateCount {
    kind: String,
    state: String,
    n: i64,
}
row!(StateCount: kind, state, n);

const COUNT_BY_STATE: Sql =
    sql!("notices.count_by_state": "select kind, state, count(*) as n from notice group by kind, state order by kind, state");

/// Counts notices by kind and state.
pub async fn count_by_state(tx: &mut Tx) -> Result<Vec<(String, String, i64)>, Error> {
    let found: Vec<StateCount> = tx.fetch_all(&COUNT_BY_STATE, args![]).await?;
    Ok(found.into_iter().map(|row| (row.kind, row.state, row.n)).collect())
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

const BACKLOG: Sql = sql!("notices.backlog":
    "select kind, count(*) as n, count(*) filter (where due_at <= $1) as n_due, min(due_at) as first_due_at from notice
where state = 'pending' group by kind order by kind");

/// Sums up the pending notices by kind.
pub async fn list_backlog(tx: &mut Tx, now: Timestamp) -> Result<Vec<Backlog>, Error> {
    tx.fetch_all(&BACKLOG, args![now]).await
}

struct PartnerCount {
    partner_id: String,
    n: i64,
}
row!(PartnerCount: partner_id, n);

const PARKED_PARTNERS: Sql = sql!("notices.parked_partners":
    "select partner_id, count(*) as n from notice where state = 'parked' group by partner_id order by n desc, partner_id limit $1");

/// Lists the partners that have parked notices, and how many each has; most first.
pub async fn list_parked_partners(tx: &mut Tx, limit: i64) -> Result<Vec<(PartnerId, i64)>, Error> {
    let found: Vec<PartnerCount> = tx.fetch_all(&PARKED_PARTNERS, args![limit]).await?;
    Ok(found.into_iter().map(|row| (PartnerId::new(row.partner_id), row.n)).collect())
}

const PARKED_OF: Sql = sql!("notices.parked_of":
    "select id, kind, subject, partner_id, lead_id, digest_id, state, due_at, is_reopened, reason, created_at, forward from notice
where state = 'parked' and partner_id = $1 order by id limit $2");

/// Lists a partner's parked notices.
pub async fn list_parked_of(tx: &mut Tx, partner: &PartnerId, limit: i64) -> Result<Vec<Notice>, Error> {
    let found: Vec<NoticeRow> = tx.fetch_all(&PARKED_OF, args![partner.as_str(), limit]).await?;
    found.into_iter().map(Notice::try_from).collect()
}

const COUNT_PENDING_OF: Sql =
    sql!("notices.count_pending_of": "select count(*) as n from notice where state = 'pending' and partner_id = $1");

/// Counts a partner's pending notices.
pub async fn count_pending_of(tx: &mut Tx, partner: &PartnerId) -> Result<i64, Error> {
    tx.count(&COUNT_PENDING_OF, args![partner.as_str()]).await
}

const OF_LEAD: Sql = sql!("notices.of_lead":
    "select id, kind, subject, partner_id, lead_id, digest_id, state, due_at, is_reopened, reason, created_at, forward from notice where lead_id = $1 order by id");

/// Lists the notices about one lead.
pub async fn list_of_lead(tx: &mut Tx, lead: &LeadId) -> Result<Vec<Notice>, Error> {
    let found: Vec<NoticeRow> = tx.fetch_all(&OF_LEAD, args![lead.as_str()]).await?;
    found.into_iter().map(Notice::try_from).collect()
}

const OF_DIGESTS: Sql = sql!("notices.of_digests":
    "select id, kind, subject, partner_id, lead_id, digest_id, state, due_at, is_reopened, reason, created_at, forward from notice
where digest_id in (select r.id from " (id bigint) ") order by id");

/// Lists the notices that send these digests.
pub async fn list_of_digests(tx: &mut Tx, digests: &[i64]) -> Result<Vec<Notice>, Error> {
    let found: Vec<NoticeRow> = tx.fetch_all(&OF_DIGESTS, args![super::number_rows(digests)]).await?;
    found.into_iter().map(Notice::try_from).collect()
}

const INSERT_FORWARD: Sql = sql!("notices.insert_forward":
    "insert into notice (kind, subject, partner_id, lead_id, turn, due_at, is_reopened, created_at, forward, state, reason, finished_at)
values ('lead', $1, $2, $3, 0, $4, false, $4, $5, $6, $7, $8) on conflict (kind, subject) do nothing");

/// Writes that a lead is to be sent on, or that it was `refused` and why; tells whether it is new: one of each a lead and address.
pub async fn insert_forward(
    tx: &mut Tx,
    now: Timestamp,
    partner: &PartnerId,
    lead: &LeadId,
    forward: &Forward,
    refused: Option<&str>,
) -> Result<bool, Error> {
    // A notice about the lead itself has the bare id for its subject; a unit separator stands in no id that a portal gives.
    let mut subject = format!("{lead}\u{1f}{}", forward.address);
    let (mut state, mut finished_at) = ("pending", None);
    if refused.is_some() {
        // Another subject: the address may be reached some day.
        subject.push_str("\u{1f}refused");
        (state, finished_at) = ("cancelled", Some(now));
    }
    let written = serde_json::to_string(forward).expect("a forward is plain data");
    let values = args![
        subject,
        partner.as_str(),
        lead.as_str(),
        now,
        written,
        state,
        refused,
        finished_at.map(Timestamp::as_millis)
    ];
    Ok(tx.execute(&INSERT_FORWARD, values).await? > 0)
}

const FORWARDS_OF: Sql = sql!("notices.forwards_of": "select count(*) as n from notice where lead_id = $1 and forward is not null");

/// Counts how often a lead was sent on, refusals included.
pub async fn count_forwards(tx: &mut Tx, lead: &LeadId) -> Result<i64, Error> {
    tx.count(&FORWARDS_OF, args![lead.as_str()]).await
}

const FIND: Sql = sql!("notices.find":
    "select id, kind, subject, partner_id, lead_id, digest_id, state, due_at, is_reopened, reason, created_at, forward from notice
where id in (select r.id from " (id bigint) ") order by id");

/// Returns the notices with these ids.
pub async fn find_notices(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Notice>, Error> {
    let found: Vec<NoticeRow> = tx.fetch_all(&FIND, args![super::number_rows(ids)]).await?;
    found.into_iter().map(Notice::try_from).collect()
}

impl TryFrom<NoticeRow> for Notice {
    type Error = Error;

    fn try_from(row: NoticeRow) -> Result<Self, Error> {
        let corrupt = |column, value: &str| Error::Corrupt {
            table: "notice",
            id: row.id.to_string(),
            column,
            value: value.to_owned(),
        };
        let kind = row.kind.parse().map_err(|_| corrupt("kind", &row.kind))?;
        let forward = row.forward.as_deref().map(serde_json::from_str).transpose();
        let forward = forward.map_err(|_| corrupt("forward", row.forward.as_deref().unwrap_or_default()))?;
        Ok(Self {
            id: row.id,
            kind,
            subject: row.subject,
            partner_id: PartnerId::new(row.partner_id),
            lead_id: row.lead_id.map(LeadId::new),
            digest_id: row.digest_id,
            state: row.state,
            due_at: Timestamp::from_millis(row.due_at),
            is_reopened: row.is_reopened,
            reason: row.reason,
            created_at: Timestamp::from_millis(row.created_at),
            forward,
        })
    }
}
