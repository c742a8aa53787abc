//! Records that could not be taken in, whole, with all of their faults (`R-INTAKE`).

use std::collections::HashSet;
use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::lead::LeadId;
use crate::store::engine::{Sql, Tx, args, json, row, rows, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &INSERT,
    &LIST,
    &FIND,
    &RESOLVE,
    &UPDATE_FAULTS,
    &COUNT_OPEN,
    &NEWEST,
    &OPEN_OF_LEADS,
    &OF_LEADS,
    &ERASE,
];

/// A record to be kept.
#[derive(Clone, Debug)]
pub struct NewRejected {
    /// File name, or the way it came.
    pub source: String,
    /// Line, or place in the list.
    pub line: i64,
    /// What `--partner` said.
    pub partner_id: Option<String>,
    /// The lead that it names.
    pub lead_id: Option<LeadId>,
    /// The record's text.
    pub record: String,
    /// All of its faults.
    pub faults: Vec<String>,
    /// Whether it came with `--no-notify`.
    pub is_quiet: bool,
}

/// A record as kept.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Its row.
    pub id: i64,
    /// When it came.
    pub received_at: Timestamp,
    /// File name, or the way it came.
    pub source: String,
    /// Line, or place in the list.
    pub line: i64,
    /// What `--partner` said.
    pub partner_id: Option<String>,
    /// The record's text.
    pub record: String,
    /// All of its faults.
    pub faults: Vec<String>,
    /// `open`, `taken_in` or `discarded`.
    pub state: String,
    /// Whether it came with `--no-notify`.
    pub is_quiet: bool,
}

#[derive(Serialize)]
struct NewRow<'a> {
    received_at: i64,
    source: &'a str,
    line: i64,
    partner_id: Option<&'a str>,
    lead_id: Option<&'a str>,
    record: &'a str,
    record_hash: String,
    faults: String,
    is_quiet: bool,
}

struct RejectedRow {
    id: i64,
    received_at: i64,
    source: String,
    line: i64,
    partner_id: Option<String>,
    record: String,
    faults: String,
    state: String,
    is_quiet: bool,
}
row!(RejectedRow: id, received_at, source, line, partner_id, record, faults, state, is_quiet);

// The same line of the same file again is the same rejected record, not a second one.
const INSERT: Sql = sql!("rejected.insert":
    "insert into rejected (received_at, source, line, partner_id, lead_id, record, record_hash, faults, state, is_quiet)
select r.received_at, r.source, r.line, r.partner_id, r.lead_id, r.record, r.record_hash, r.faults, 'open', r.is_quiet
from " (received_at bigint, source text, line bigint, partner_id text, lead_id text, record text, record_hash text, faults text, is_quiet boolean)
    " where true on conflict (source, line, record_hash) do update set faults = excluded.faults");

/// Keeps records that could not be taken in.
pub async fn insert_rejected(tx: &mut Tx, now: Timestamp, records: &[NewRejected]) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    // A list may stand on one line and hold a record twice; a statement meets a row once only.
    let mut seen = HashSet::with_capacity(records.len());
    let mut written = Vec::with_capacity(records.len());
    for record in records {
        let row = NewRow {
            received_at: now.as_millis(),
            source: &record.source,
            line: record.line,
            partner_id: record.partner_id.as_deref(),
            lead_id: record.lead_id.as_ref().map(LeadId::as_str),
            record: &record.record,
            record_hash: hash(&record.record),
            faults: json(&record.faults),
            is_quiet: record.is_quiet,
        };
        if seen.insert((row.source, row.line, row.record_hash.clone())) {
            written.push(row);
        }
    }
    tx.execute(&INSERT, args![rows(&written)]).await?;
    Ok(())
}

fn hash(record: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(record.as_bytes()) {
        _ = write!(hex, "{byte:02x}");
    }
    hex
}

const LIST: Sql = sql!("rejected.list":
    "select id, received_at, source, line, partner_id, record, faults, state, is_quiet from rejected where state = 'open' and id > $1 order by id limit $2");

/// Lists the open rejected records by id, from after `after_id`.
pub async fn list_open(tx: &mut Tx, after_id: i64, limit: i64) -> Result<Vec<Rejected>, Error> {
    let found: Vec<RejectedRow> = tx.fetch_all(&LIST, args![after_id, limit]).await?;
    Ok(found.into_iter().map(Rejected::from).collect())
}

const NEWEST: Sql = sql!("rejected.newest":
    "select id, received_at, source, line, partner_id, record, faults, state, is_quiet from rejected where state = 'open' order by id desc limit $1");

/// Lists the open rejected records, the latest first.
pub async fn list_newest(tx: &mut Tx, limit: i64) -> Result<Vec<Rejected>, Error> {
    let found: Vec<RejectedRow> = tx.fetch_all(&NEWEST, args![limit]).await?;
    Ok(found.into_iter().map(Rejected::from).collect())
}

const FIND: Sql = sql!("rejected.find":
    "select id, received_at, source, line, partner_id, record, faults, state, is_quiet from rejected where id = $1");

/// Returns one rejected record.
pub async fn find_rejected(tx: &mut Tx, id: i64) -> Result<Option<Rejected>, Error> {
    Ok(tx.fetch_optional::<RejectedRow>(&FIND, args![id]).await?.map(Rejected::from))
}

const OPEN_OF_LEADS: Sql = sql!("rejected.find_open_of_leads":
    "select rejected.id, received_at, source, line, partner_id, record, faults, state, is_quiet from " (id text)
    " " ["cross" | ""] " join rejected on rejected.lead_id = r.id and rejected.state = 'open' order by rejected.id");

/// Returns the open rejected records that name these leads.
pub async fn find_open_of_leads<'a>(tx: &mut Tx, leads: impl IntoIterator<Item = &'a LeadId>) -> Result<Vec<Rejected>, Error> {
    let leads = super::id_rows(leads.into_iter().map(LeadId::as_str));
    let found: Vec<RejectedRow> = tx.fetch_all(&OPEN_OF_LEADS, args![leads]).await?;
    Ok(found.into_iter().map(Rejected::from).collect())
}

const OF_LEADS: Sql = sql!("rejected.of_leads":
    "select rejected.id, received_at, source, line, partner_id, record, faults, state, is_quiet from " (id text)
    " " ["cross" | ""] " join rejected on rejected.lead_id = r.id order by rejected.id");

/// Returns the rejected records that name these leads, whatever has become of them.
pub async fn list_of_leads<'a>(tx: &mut Tx, leads: impl IntoIterator<Item = &'a LeadId>) -> Result<Vec<Rejected>, Error> {
    let leads = super::id_rows(leads.into_iter().map(LeadId::as_str));
    let found: Vec<RejectedRow> = tx.fetch_all(&OF_LEADS, args![leads]).await?;
    Ok(found.into_iter().map(Rejected::from).collect())
}

#[derive(Serialize)]
struct EraseRow<'a> {
    id: i64,
    record: &'a str,
    record_hash: String,
    faults: String,
}

const ERASE: Sql = sql!("rejected.erase":
    "update rejected set record = r.record, record_hash = r.record_hash, faults = r.faults
from " (id bigint, record text, record_hash text, faults text) " where rejected.id = r.id");

/// Writes what is left of records that name erased leads (`R-ERASE`).
pub async fn erase_rejected(tx: &mut Tx, records: &[Rejected]) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    let erased: Vec<EraseRow<'_>> = records
        .iter()
        .map(|rejected| EraseRow {
            id: rejected.id,
            record: &rejected.record,
            // A hash of what was said would still tell whoever guesses it that he is right.
            record_hash: format!("erased {}", rejected.id),
            faults: json(&rejected.faults),
        })
        .collect();
    tx.execute(&ERASE, args![rows(&erased)]).await?;
    Ok(())
}

const RESOLVE: Sql =
    sql!("rejected.resolve": "update rejected set state = $2 where id in (select r.id from " (id bigint) ") and state || '' = 'open'");

/// Marks open records as `taken_in` or `discarded`, and returns how many were open.
pub async fn resolve_rejected(tx: &mut Tx, ids: &[i64], state: &'static str) -> Result<u64, Error> {
    tx.execute(&RESOLVE, args![super::number_rows(ids), state]).await
}

const UPDATE_FAULTS: Sql = sql!("rejected.update_faults": "update rejected set faults = $2 where id = $1 and state = 'open'");

/// Writes the faults that a record has now.
pub async fn update_faults(tx: &mut Tx, id: i64, faults: &[String]) -> Result<(), Error> {
    tx.execute(&UPDATE_FAULTS, args![id, json(faults)]).await?;
    Ok(())
}

const COUNT_OPEN: Sql = sql!("rejected.count_open": "select count(*) as n from rejected where state = 'open'");

/// Counts the open rejected records.
pub async fn count_open(tx: &mut Tx) -> Result<i64, Error> {
    tx.count(&COUNT_OPEN, args![]).await
}

impl From<RejectedRow> for Rejected {
    fn from(row: RejectedRow) -> Self {
        Self {
            id: row.id,
            received_at: Timestamp::from_millis(row.received_at),
            source: row.source,
            line: row.line,
            partner_id: row.partner_id,
            record: row.record,
            faults: serde_json::from_str(&row.faults).unwrap_or_default(),
            state: row.state,
            is_quiet: row.is_quiet,
        }
    }
}
