//! Records that could not be taken in: listed, shown, dropped. Taking one in again is intake's (`intake::again`).

use std::collections::HashMap;

use chrono::DateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::Error;
use crate::app::page::{Cursor, LIMIT_MAX, Page, key_or};
use crate::fields::ID_CHARS_MAX;
use crate::lead::show::hide_contact;
use crate::lead::{Lead, LeadId, Record};
use crate::partner::PartnerId;
use crate::store::leads::{find_erased_among, find_lead};
use crate::store::rejected::{
    NewRejected, Rejected, erase_rejected, find_open_of_leads, find_rejected, list_of_leads, list_open, resolve_rejected,
};
use crate::store::{Store, Tx};
use crate::time::Timestamp;

const LIST: &str = "rejected";

/// Records that are read at a time: each may be a megabyte.
const READ_AT_A_TIME: i64 = 20;

/// Records that a page looks through for those of one partner; a page may so be short, and still have a next one.
const LOOKED_THROUGH_MAX: usize = 2_000;

/// The state of a record that is on the list.
pub const OPEN: &str = "open";

/// The state of a record that was rejected first and then taken in.
pub const TAKEN_IN: &str = "taken_in";

/// The state of a record that will never be taken in.
pub const DISCARDED: &str = "discarded";

/// A record as it is listed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedRejected {
    /// Its row.
    pub id: i64,
    /// When it came.
    pub received_date_time: Timestamp,
    /// File name, or the way it came.
    pub source: String,
    /// Line, or place in the list.
    pub line: i64,
    /// Whose it was said to be by whoever brought it, else whose it says it is.
    pub partner_id: Option<String>,
    /// All that is wrong with it.
    pub faults: Vec<String>,
}

/// A record as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownRejected {
    /// What the list says.
    #[serde(flatten)]
    pub listed: ListedRejected,
    /// `open`, `taken_in` or `discarded`.
    pub state: String,
    /// Whether it came as one that nobody is told of.
    pub no_notify: bool,
    /// As JSON; a text where it is none.
    pub record: Value,
}

/// Returns a page of the open rejected records, the longest waiting first.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(
    store: &Store,
    partner: Option<&PartnerId>,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page<ListedRejected>, Error> {
    let limit = limit.clamp(1, LIMIT_MAX);
    let mut after: i64 = key_or(cursor, LIST, 0)?;
    let mut value = Vec::new();
    for _ in 0..LOOKED_THROUGH_MAX / READ_AT_A_TIME as usize {
        let mut tx = store.read().await?;
        let found = list_open(&mut tx, after, READ_AT_A_TIME).await?;
        drop(tx);
        if found.is_empty() {
            return Ok(Page { value, next: None });
        }
        for rejected in found {
            if value.len() == limit {
                return Ok(Page {
                    value,
                    next: Some(Cursor::behind(LIST, &after)),
                });
            }
            after = rejected.id;
            if partner.is_none_or(|id| is_of(&rejected, id)) {
                value.push(ListedRejected::from(rejected));
            }
        }
    }
    Ok(Page {
        value,
        next: Some(Cursor::behind(LIST, &after)),
    })
}

/// Tells whose record it is: what whoever brought it said, else what it says itself.
fn is_of(rejected: &Rejected, id: &PartnerId) -> bool {
    partner_of(rejected).is_some_and(|partner| partner == id.as_str())
}

fn partner_of(rejected: &Rejected) -> Option<String> {
    rejected.partner_id.clone().or_else(|| {
        let record = serde_json::from_str::<Value>(&rejected.record).ok()?;
        record.get("organizationId")?.as_str().map(str::to_owned)
    })
}

/// Shows a record and everything that is wrong with it, whatever has become of it; with `partner`, only one of that partner's. Where its lead is here
/// and has expired by `now`, it shows no contact data either.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn show(store: &Store, now: Timestamp, id: i64, partner: Option<&PartnerId>) -> Result<ShownRejected, Error> {
    shown(store, now, find(store, id, partner).await?).await
}

async fn shown(store: &Store, now: Timestamp, rejected: Rejected) -> Result<ShownRejected, Error> {
    let is_hidden = match lead_of(&rejected.record) {
        Some(id) => {
            let lead = find_lead(&mut store.read().await?, &id).await?;
            lead.is_some_and(|lead| lead.is_contact_hidden_at(now) && is_of_partner(&rejected, &lead.partner_id))
        }
        None => false,
    };
    let mut shown = ShownRejected::from(rejected);
    if let (true, Value::Object(record)) = (is_hidden, &mut shown.record) {
        hide_contact(record);
    }
    Ok(shown)
}

/// Returns a record that waits to be corrected.
///
/// # Errors
/// There is none with this id, it has been dealt with, or the database cannot be read.
pub async fn find_open(store: &Store, id: i64, partner: Option<&PartnerId>) -> Result<Rejected, Error> {
    let rejected = find(store, id, partner).await?;
    match rejected.state.as_str() {
        OPEN => Ok(rejected),
        DISCARDED => Err(Error::Refused(format!(
            "record {id} was discarded; correct it where it came from, and import that"
        ))),
        _ => Err(Error::Refused(format!("record {id} has been taken in since"))),
    }
}

/// Drops a record that will never be taken in.
///
/// # Errors
/// There is none with this id, it has been dealt with, or the database cannot record it.
pub async fn discard(store: &Store, now: Timestamp, id: i64, partner: Option<&PartnerId>) -> Result<ShownRejected, Error> {
    let mut rejected = find_open(store, id, partner).await?;
    if discard_all(store, &[id]).await? == 0 {
        return Err(Error::Refused(format!("record {id} has just been dealt with; look at it again")));
    }
    DISCARDED.clone_into(&mut rejected.state);
    shown(store, now, rejected).await
}

/// Drops those of the records that still wait to be corrected, and returns how many that are.
///
/// # Errors
/// The database cannot record it.
pub async fn discard_all(store: &Store, ids: &[i64]) -> Result<u64, Error> {
    let mut tx = store.begin().await?;
    let n_discarded = resolve_rejected(&mut tx, ids, DISCARDED).await?;
    tx.commit().await?;
    Ok(n_discarded)
}

/// Takes off the list what these records, which brought something new, say correctly (`R-INTAKE`): a rejected record of the same lead and partner that is not
/// newer. One that names no lead, as no marketplace lead does, waits for a retry or a discard.
pub(super) async fn settle_corrected<'a>(tx: &mut Tx, accepted: impl Iterator<Item = &'a Record>) -> Result<(), crate::store::Error> {
    let accepted: HashMap<&LeadId, &Record> = accepted.map(|record| (&record.id, record)).collect();
    if accepted.is_empty() {
        return Ok(());
    }
    let open = find_open_of_leads(tx, accepted.keys().copied()).await?;
    let settled: Vec<i64> = open
        .iter()
        .filter(|rejected| lead_of(&rejected.record).is_some_and(|id| is_corrected_by(rejected, accepted.get(&id).copied())))
        .map(|rejected| rejected.id)
        .collect();
    if !settled.is_empty() {
        resolve_rejected(tx, &settled, TAKEN_IN).await?;
    }
    Ok(())
}

/// Takes out of records that are to be kept what they say of leads that were erased (`R-ERASE`). Whoever brought them is told what is wrong with them
/// all the same.
pub(super) async fn keep_no_erased(tx: &mut Tx, records: &mut [NewRejected]) -> Result<(), crate::store::Error> {
    let erased = find_erased_among(tx, records.iter().filter_map(|record| record.lead_id.as_ref())).await?;
    for record in records {
        if let Some(id) = record.lead_id.as_ref().filter(|id| erased.contains(*id)) {
            record.record = erased_text(&record.record, id);
            record.faults = vec![erased_fault(id)];
        }
    }
    Ok(())
}

/// Erases what the rejected records of these leads say; that they came stays on the list.
pub(super) async fn erase_of(tx: &mut Tx, leads: &[Lead]) -> Result<(), crate::store::Error> {
    let mut records = list_of_leads(tx, leads.iter().map(|lead| &lead.id)).await?;
    for rejected in &mut records {
        // Each was found by the lead that it names.
        let Some(id) = lead_of(&rejected.record) else { continue };
        rejected.record = erased_text(&rejected.record, &id);
        rejected.faults = vec![erased_fault(&id)];
    }
    erase_rejected(tx, &records).await
}

/// Returns what is left of a record: which lead it names, and whose it says that it is.
fn erased_text(text: &str, id: &LeadId) -> String {
    let record: Value = serde_json::from_str(text).unwrap_or_default();
    let partner = record.get("organizationId").and_then(Value::as_str);
    json!({ "id": id, "organizationId": partner }).to_string()
}

fn erased_fault(id: &LeadId) -> String {
    format!("what it said is not kept, as lead {id} was erased")
}

fn is_corrected_by(rejected: &Rejected, record: Option<&Record>) -> bool {
    let Some(record) = record else { return false };
    is_of_partner(rejected, &record.partner_id) && version_of(&rejected.record).is_none_or(|version| version <= record.version)
}

/// Tells whether a record is of this partner, or does not say whose it is.
fn is_of_partner(rejected: &Rejected, id: &PartnerId) -> bool {
    partner_of(rejected).is_none_or(|partner| partner == id.as_str())
}

/// Returns the lead that the text of a rejected record names, where it can be read and be one.
pub(super) fn lead_of(text: &str) -> Option<LeadId> {
    let record: Value = serde_json::from_str(text).ok()?;
    let id = record.get("id")?.as_str()?.trim();
    (1..=ID_CHARS_MAX).contains(&id.chars().count()).then(|| LeadId::new(id))
}

/// Returns the version that a rejected record has, in nanoseconds since the epoch, where it can be read.
fn version_of(text: &str) -> Option<i64> {
    let record: Value = serde_json::from_str(text).ok()?;
    let at = ["updatedDateTime", "createdDateTime"]
        .iter()
        .find_map(|key| record.get(*key)?.as_str())?;
    DateTime::parse_from_rfc3339(at.trim()).ok()?.timestamp_nanos_opt()
}

async fn find(store: &Store, id: i64, partner: Option<&PartnerId>) -> Result<Rejected, Error> {
    let mut tx = store.read().await?;
    let found = find_rejected(&mut tx, id).await?;
    found
        .filter(|rejected| partner.is_none_or(|partner| is_of(rejected, partner)))
        .ok_or_else(|| unknown(id))
}

/// Says that there is no such record.
pub fn unknown(id: impl std::fmt::Display) -> Error {
    Error::not_found_try(format!("there is no rejected record {id}"), "`posthorn rejected list` names them")
}

impl From<Rejected> for ListedRejected {
    fn from(of: Rejected) -> Self {
        Self {
            id: of.id,
            received_date_time: of.received_at,
            partner_id: partner_of(&of),
            source: of.source,
            line: of.line,
            faults: of.faults,
        }
    }
}

impl From<Rejected> for ShownRejected {
    fn from(of: Rejected) -> Self {
        let record = serde_json::from_str(&of.record).unwrap_or_else(|_| Value::from(of.record.clone()));
        Self {
            state: of.state.clone(),
            no_notify: of.is_quiet,
            record,
            listed: of.into(),
        }
    }
}
