//! Digests: one row a partner and fire. The first deferred lead opens it, the fire or a person closes it by compare-and-set (`R-DIGEST`).

use std::collections::HashMap;

use serde::Serialize;

use crate::partner::PartnerId;
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::{LocalDay, Timestamp};

pub(super) const ALL: &[&Sql] = &[
    &OPEN,
    &COLLECTING,
    &DUE,
    &NEXT_DUE,
    &CLOSE,
    &MOVE,
    &LIST,
    &FIND,
    &ALL_COLLECTING,
    &CLOSED_WITHIN,
];

/// A digest as stored.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Its row.
    pub id: i64,
    /// Whose.
    pub partner_id: PartnerId,
    /// Whether it still collects.
    pub is_collecting: bool,
    /// The fire at which it is due.
    pub due_at: Timestamp,
    /// When its first lead came.
    pub opened_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// `fire` or `manual`.
    pub closed_by: Option<String>,
    /// The partner's local day of the closing.
    pub day: Option<LocalDay>,
    /// Leads still unanswered at the closing.
    pub n_leads: Option<i64>,
}

struct DigestRow {
    id: i64,
    partner_id: String,
    state: String,
    due_at: i64,
    opened_at: i64,
    closed_at: Option<i64>,
    closed_by: Option<String>,
    day: Option<String>,
    n_leads: Option<i64>,
}
row!(DigestRow: id, partner_id, state, due_at, opened_at, closed_at, closed_by, day, n_leads);

#[derive(Serialize)]
struct OpenRow<'a> {
    partner_id: &'a str,
    due_at: i64,
    opened_at: i64,
}

const OPEN: Sql = sql!("digests.open":
    "insert into digest (partner_id, state, due_at, opened_at)
select r.partner_id, 'collecting', r.due_at, r.opened_at from " (partner_id text, due_at bigint, opened_at bigint)
    " where true on conflict (partner_id) where state = 'collecting' do nothing");

const COLLECTING: Sql = sql!("digests.collecting":
    "select id, partner_id, state, due_at, opened_at, closed_at, closed_by, day, n_leads from digest
where partner_id in (select r.id from " (id text) ") and state = 'collecting'");

/// Returns the collecting digest of each partner, opened where there is none, with the fire at which it is due. The partners are locked.
pub async fn open_digests(tx: &mut Tx, now: Timestamp, due: &[(PartnerId, Timestamp)]) -> Result<HashMap<PartnerId, i64>, Error> {
    if due.is_empty() {
        return Ok(HashMap::new());
    }
    let opened: Vec<OpenRow<'_>> = due
        .iter()
        .map(|(id, due_at)| OpenRow {
            partner_id: id.as_str(),
            due_at: due_at.as_millis(),
            opened_at: now.as_millis(),
        })
        .collect();
    tx.execute(&OPEN, args![rows(&opened)]).await?;
    let found = find_collecting(tx, due.iter().map(|(id, _)| id)).await?;
    Ok(found.into_iter().map(|digest| (digest.partner_id, digest.id)).collect())
}

/// Returns the collecting digests of these partners.
pub async fn find_collecting<'a>(tx: &mut Tx, partners: impl IntoIterator<Item = &'a PartnerId>) -> Result<Vec<Digest>, Error> {
    let found: Vec<DigestRow> = tx
        .fetch_all(&COLLECTING, args![super::id_rows(partners.into_iter().map(PartnerId::as_str))])
        .await?;
    Ok(found.into_iter().map(Digest::from).collect())
}

const DUE: Sql = sql!("digests.due":
    "select id, partner_id, state, due_at, opened_at, closed_at, closed_by, day, n_leads from digest
where state = 'collecting' and due_at <= $1 order by due_at, id limit $2");

/// Lists the digests whose fire has come, before anything is locked.
pub async fn list_due(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<Digest>, Error> {
    let found: Vec<DigestRow> = tx.fetch_all(&DUE, args![now, limit]).await?;
    Ok(found.into_iter().map(Digest::from).collect())
}

const NEXT_DUE: Sql = sql!("digests.next_due": "select min(due_at) as n from digest where state = 'collecting'");

/// Returns when the next digest is due.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_DUE, args![]).await
}

const ALL_COLLECTING: Sql = sql!("digests.all_collecting":
    "select id, partner_id, state, due_at, opened_at, closed_at, closed_by, day, n_leads from digest
where state = 'collecting' and partner_id > $1 order by partner_id limit $2");

/// Lists the collecting digests by partner, from after `after`.
pub async fn list_collecting(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Digest>, Error> {
    let found: Vec<DigestRow> = tx.fetch_all(&ALL_COLLECTING, args![after, limit]).await?;
    Ok(found.into_iter().map(Digest::from).collect())
}

/// A closing of a digest.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Which.
    pub id: i64,
    /// `fire` or `manual`.
    pub by: &'static str,
    /// The partner's local day.
    pub day: LocalDay,
    /// Leads still unanswered.
    pub n_leads: i64,
}

#[derive(Serialize)]
struct CloseRow {
    id: i64,
    closed_at: i64,
    closed_by: &'static str,
    day: String,
    n_leads: i64,
}

const CLOSE: Sql = sql!("digests.close":
    "update digest set state = 'closed', closed_at = r.closed_at, closed_by = r.closed_by, day = r.day, n_leads = r.n_leads
from " (id bigint, closed_at bigint, closed_by text, day text, n_leads bigint) " where digest.id = r.id and digest.state || '' = 'collecting'");

/// Closes digests that collect. The partners are locked, so each closes here or was closed before the lock was had.
pub async fn close_digests(tx: &mut Tx, now: Timestamp, closings: &[Closing]) -> Result<(), Error> {
    if closings.is_empty() {
        return Ok(());
    }
    let closed: Vec<CloseRow> = closings
        .iter()
        .map(|closing| CloseRow {
            id: closing.id,
            closed_at: now.as_millis(),
            closed_by: closing.by,
            day: closing.day.to_string(),
            n_leads: closing.n_leads,
        })
        .collect();
    let n_rows = tx.execute(&CLOSE, args![rows(&closed)]).await?;
    assert_eq!(n_rows, closed.len() as u64, "a digest was closed without its partner's lock");
    Ok(())
}

#[derive(Serialize)]
struct MoveRow {
    id: i64,
    due_at: i64,
}

const MOVE: Sql = sql!("digests.move":
    "update digest set due_at = r.due_at from " (id bigint, due_at bigint) " where digest.id = r.id and digest.state || '' = 'collecting'");

/// Moves collecting digests to another fire: cron or zone have changed.
pub async fn move_digests(tx: &mut Tx, moves: &[(i64, Timestamp)]) -> Result<(), Error> {
    if moves.is_empty() {
        return Ok(());
    }
    let moved: Vec<MoveRow> = moves
        .iter()
        .map(|&(id, due_at)| MoveRow {
            id,
            due_at: due_at.as_millis(),
        })
        .collect();
    tx.execute(&MOVE, args![rows(&moved)]).await?;
    Ok(())
}

const LIST: Sql = sql!("digests.list":
    "select id, partner_id, state, due_at, opened_at, closed_at, closed_by, day, n_leads from digest
where id < $1 and (cast($2 as text) is null or partner_id = $2) order by id desc limit $3");

/// Lists digests, the latest first, from before `before_id`.
pub async fn list_digests(tx: &mut Tx, partner: Option<&PartnerId>, before_id: i64, limit: i64) -> Result<Vec<Digest>, Error> {
    let found: Vec<DigestRow> = tx.fetch_all(&LIST, args![before_id, partner.map(PartnerId::as_str), limit]).await?;
    Ok(found.into_iter().map(Digest::from).collect())
}

const FIND: Sql = sql!("digests.find":
    "select id, partner_id, state, due_at, opened_at, closed_at, closed_by, day, n_leads from digest where id in (select r.id from " (id bigint) ")");

/// Returns the digests with these ids.
pub async fn find_digests(tx: &mut Tx, ids: &[i64]) -> Result<HashMap<i64, Digest>, Error> {
    let found: Vec<DigestRow> = tx.fetch_all(&FIND, args![super::number_rows(ids)]).await?;
    Ok(found.into_iter().map(|row| (row.id, Digest::from(row))).collect())
}

/// A notice that sent a digest.
#[derive(Clone, Debug)]
pub struct SentDigest {
    /// The notice.
    pub notice_id: i64,
    /// Whose digest.
    pub partner_id: PartnerId,
    /// The partner's local day of the closing.
    pub day: Option<LocalDay>,
}

struct SentRow {
    notice_id: i64,
    partner_id: String,
    day: Option<String>,
}
row!(SentRow: notice_id, partner_id, day);

#[derive(Serialize)]
struct WindowRow<'a> {
    partner_id: &'a str,
    from_at: i64,
    to_at: i64,
}

const CLOSED_WITHIN: Sql = sql!("digests.closed_within":
    "select notice.id as notice_id, digest.partner_id, digest.day from " (partner_id text, from_at bigint, to_at bigint)
    " " ["cross" | ""] " join digest on digest.partner_id = r.partner_id and digest.state = 'closed' and digest.closed_at >= r.from_at
  and digest.closed_at <= r.to_at join notice on notice.digest_id = digest.id");

/// Lists the notices of the digests that partners had within a while, each partner's from and to an instant, both inclusive.
pub async fn list_closed_within(tx: &mut Tx, windows: &[(PartnerId, Timestamp, Timestamp)]) -> Result<Vec<SentDigest>, Error> {
    if windows.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<WindowRow<'_>> = windows
        .iter()
        .map(|(partner, from, to)| WindowRow {
            partner_id: partner.as_str(),
            from_at: from.as_millis(),
            to_at: to.as_millis(),
        })
        .collect();
    let found: Vec<SentRow> = tx.fetch_all(&CLOSED_WITHIN, args![rows(&wanted)]).await?;
    let sent = found.into_iter().map(|row| SentDigest {
        notice_id: row.notice_id,
        partner_id: PartnerId::new(row.partner_id),
        day: row.day.as_deref().and_then(LocalDay::parse),
    });
    Ok(sent.collect())
}

impl From<DigestRow> for Digest {
    fn from(row: DigestRow) -> Self {
        Self {
            id: row.id,
            partner_id: PartnerId::new(row.partner_id),
            is_collecting: row.state == "collecting",
            due_at: Timestamp::from_millis(row.due_at),
            opened_at: Timestamp::from_millis(row.opened_at),
            closed_at: row.closed_at.map(Timestamp::from_millis),
            closed_by: row.closed_by,
            day: row.day.as_deref().and_then(LocalDay::parse),
            n_leads: row.n_leads,
        }
    }
}
