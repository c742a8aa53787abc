//! What was decided, by which rule, from which inputs. `explain` reads it; nothing decides from it.

use serde::Serialize;
use serde_json::Value;

use crate::lead::LeadId;
use crate::partner::{EmailAddress, PartnerId};
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&INSERT, &OF_LEAD, &OF_PARTNER, &OF_ADDRESS];

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
