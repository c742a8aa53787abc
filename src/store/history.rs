//! What was decided, by which rule, from which inputs. `explain` reads it; nothing decides from it.

use serde::Serialize;
use serde_json::Value;

use crate::lead::LeadId;
use crate::partner::{EmailAddress, PartnerId};
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&INSERT, &OF_LEAD, &OF_PARTNER, &OF_ADDRESS, &OF_LEADS, &OF_ADDRESSES, &REWRITE];

/// One decision or fact.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub partner_id: PartnerId,
    /// About which lead, where it is about one.
    pub lead_id: Option<LeadId>,
    /// About which address, where it is about one.
    pub address: Option<EmailAddress>,
    /// The rule's tag.
    pub rule: String,
    /// What happened, as a sentence.
    pub event: String,
    /// Who did it, where it was somebody.
    pub actor: Option<String>,
    /// What it was decided from.
    pub detail: Value,
}

#[derive(Serialize)]
struct EntryRow {
    at: i64,
    partner_id: String,
    lead_id: Option<String>,
    address: Option<String>,
    rule: String,
    event: String,
    actor: Option<String>,
    detail: String,
}
row!(EntryRow: at, partner_id, lead_id, address, rule, event, actor, detail);

const INSERT: Sql = sql!("history.insert":
    "insert into history (at, partner_id, lead_id, address, rule, event, actor, detail)
select r.at, r.partner_id, r.lead_id, r.address, r.rule, r.event, r.actor, r.detail
from " (at bigint, partner_id text, lead_id text, address text, rule text, event text, actor text, detail text) " where true");

/// Writes entries down, in their order.
pub async fn insert_history(tx: &mut Tx, entries: &[Entry]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let written: Vec<EntryRow> = entries
        .iter()
        .map(|entry| EntryRow {
            at: entry.at.as_millis(),
            partner_id: entry.partner_id.as_str().to_owned(),
            lead_id: entry.lead_id.as_ref().map(|id| id.as_str().to_owned()),
            address: entry.address.as_ref().map(|address| address.as_str().to_owned()),
            rule: entry.rule.clone(),
            event: entry.event.clone(),
            actor: entry.actor.clone(),
            detail: entry.detail.to_string(),
        })
        .collect();
    tx.execute(&INSERT, args![rows(&written)]).await?;
    Ok(())
}

const OF_LEAD: Sql = sql!("history.of_lead":
    "select at, partner_id, lead_id, address, rule, event, actor, detail from history where lead_id = $1 order by id");

/// Lists what was decided about a lead, oldest first.
pub async fn list_of_lead(tx: &mut Tx, lead: &LeadId) -> Result<Vec<Entry>, Error> {
    let found: Vec<EntryRow> = tx.fetch_all(&OF_LEAD, args![lead.as_str()]).await?;
    Ok(found.into_iter().map(Entry::from).collect())
}

const OF_PARTNER: Sql = sql!("history.of_partner":
    "select at, partner_id, lead_id, address, rule, event, actor, detail from history where partner_id = $1 and lead_id is null order by id desc limit $2");

/// Lists what was decided about a partner itself, newest first.
pub async fn list_of_partner(tx: &mut Tx, partner: &PartnerId, limit: i64) -> Result<Vec<Entry>, Error> {
    let found: Vec<EntryRow> = tx.fetch_all(&OF_PARTNER, args![partner.as_str(), limit]).await?;
    Ok(found.into_iter().map(Entry::from).collect())
}

const OF_ADDRESS: Sql = sql!("history.of_address":
    "select at, partner_id, lead_id, address, rule, event, actor, detail from history where address = $1 order by id desc limit $2");

/// Lists what was decided about an address, newest first.
pub async fn list_of_address(tx: &mut Tx, address: &EmailAddress, limit: i64) -> Result<Vec<Entry>, Error> {
    let found: Vec<EntryRow> = tx.fetch_all(&OF_ADDRESS, args![address.as_str(), limit]).await?;
    Ok(found.into_iter().map(Entry::from).collect())
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            at: Timestamp::from_millis(row.at),
            partner_id: PartnerId::new(row.partner_id),
            lead_id: row.lead_id.map(LeadId::new),
            address: row.address.map(EmailAddress::from_stored),
            rule: row.rule,
            event: row.event,
            actor: row.actor,
            detail: serde_json::from_str(&row.detail).unwrap_or(Value::Null),
        }
    }
}

/// An entry with its row.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its row.
    pub id: i64,
    /// What it says.
    pub entry: Entry,
}

struct WrittenRow {
    id: i64,
    at: i64,
    partner_id: String,
    lead_id: Option<String>,
    address: Option<String>,
    rule: String,
    event: String,
    actor: Option<String>,
    detail: String,
}
row!(WrittenRow: id, at, partner_id, lead_id, address, rule, event, actor, detail);

impl From<WrittenRow> for Written {
    fn from(row: WrittenRow) -> Self {
        Self {
            id: row.id,
            entry: Entry::from(EntryRow {
                at: row.at,
                partner_id: row.partner_id,
                lead_id: row.lead_id,
                address: row.address,
                rule: row.rule,
                event: row.event,
                actor: row.actor,
                detail: row.detail,
            }),
        }
    }
}

const OF_LEADS: Sql = sql!("history.of_leads":
    "select history.id, at, partner_id, lead_id, address, rule, event, actor, detail from " (id text)
    " " ["cross" | ""] " join history on history.lead_id = r.id order by history.id");

/// Lists what was decided about these leads.
pub async fn list_of_leads<'a>(tx: &mut Tx, leads: impl IntoIterator<Item = &'a LeadId>) -> Result<Vec<Written>, Error> {
    let leads = super::id_rows(leads.into_iter().map(LeadId::as_str));
    let found: Vec<WrittenRow> = tx.fetch_all(&OF_LEADS, args![leads]).await?;
    Ok(found.into_iter().map(Written::from).collect())
}

const OF_ADDRESSES: Sql = sql!("history.of_addresses":
    "select history.id, at, partner_id, lead_id, address, rule, event, actor, detail from " (id text)
    " " ["cross" | ""] " join history on history.address = r.id order by history.id");

/// Lists what was decided about these addresses.
pub async fn list_of_addresses<'a>(tx: &mut Tx, addresses: impl IntoIterator<Item = &'a EmailAddress>) -> Result<Vec<Written>, Error> {
    let addresses = super::id_rows(addresses.into_iter().map(EmailAddress::as_str));
    let found: Vec<WrittenRow> = tx.fetch_all(&OF_ADDRESSES, args![addresses]).await?;
    Ok(found.into_iter().map(Written::from).collect())
}

#[derive(Serialize)]
struct RewriteRow<'a> {
    id: i64,
    address: Option<&'a str>,
    event: &'a str,
    detail: String,
}

const REWRITE: Sql = sql!("history.rewrite":
    "update history set address = r.address, event = r.event, detail = r.detail from " (id bigint, address text, event text, detail text)
    " where history.id = r.id");

/// Writes what is left of entries (`R-ERASE`); nothing else ever changes one.
pub async fn rewrite_history(tx: &mut Tx, entries: &[Written]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let left: Vec<RewriteRow<'_>> = entries
        .iter()
        .map(|Written { id, entry }| RewriteRow {
            id: *id,
            address: entry.address.as_ref().map(EmailAddress::as_str),
            event: &entry.event,
            detail: entry.detail.to_string(),
        })
        .collect();
    tx.execute(&REWRITE, args![rows(&left)]).await?;
    Ok(())
}
