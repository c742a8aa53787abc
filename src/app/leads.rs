//! Leads as they are listed and shown, and what was decided about one.

use serde_json::Value;

use crate::app::Error;
use crate::app::explain::{Decision, decisions};
use crate::app::page::{Cursor, Page, key_or, one_more};
use crate::lead::{Lead, LeadId, Stage};
use crate::partner::PartnerId;
use crate::store::Store;
use crate::store::history::list_of_lead;
use crate::store::leads::{Wanted, find_lead, list_leads};
use crate::time::Timestamp;

const LIST: &str = "leads";

/// Which leads to list; what is empty does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this partner.
    pub partner: Option<PartnerId>,
    /// In one of these stages, as they are at the instant of the list.
    pub stages: Vec<Stage>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created before that.
    pub created_before: Option<Timestamp>,
}

/// Returns a page of leads as they are at `now`, the newest (by `createdDateTime`) first. [`Lead::show`] shows one.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(store: &Store, now: Timestamp, filter: &Filter, cursor: Option<&Cursor>, limit: usize) -> Result<Page<Lead>, Error> {
    let newest = filter
        .created_before
        .map_or((i64::MAX, i64::MAX), |before| (before.as_millis(), i64::MIN));
    let before: (i64, i64) = key_or(cursor, LIST, newest)?;
    let wanted = Wanted {
        partner: filter.partner.as_ref(),
        stages: &filter.stages,
        created_from: filter.created_from,
        now,
    };
    let mut tx = store.snapshot().await?;
    let found = list_leads(&mut tx, &wanted, before.min(newest), one_more(limit)).await?;
    Ok(Page::cut(found, limit, |lead| {
        Cursor::behind(LIST, &(lead.created_at.as_millis(), lead.seq))
    }))
}

/// Returns a lead; with `partner`, only one of that partner's.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn find(store: &Store, id: &LeadId, partner: Option<&PartnerId>) -> Result<Lead, Error> {
    let mut tx = store.read().await?;
    let found = find_lead(&mut tx, id).await?;
    found
        .filter(|lead| partner.is_none_or(|partner| lead.partner_id == *partner))
        .ok_or_else(|| unknown(id))
}

/// Returns what was decided about a lead, and by which rule, oldest first; with `partner`, only of one of that partner's.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn history(store: &Store, id: &LeadId, partner: Option<&PartnerId>) -> Result<Vec<Decision>, Error> {
    find(store, id, partner).await?;
    let mut tx = store.read().await?;
    Ok(decisions(list_of_lead(&mut tx, id).await?, partner))
}

/// Says that there is no such lead.
pub fn unknown(id: &LeadId) -> Error {
    Error::not_found(format!("there is no lead {id}"))
}

/// Returns leads as they are shown at `now`.
pub fn shown(leads: &[Lead], now: Timestamp) -> Vec<Value> {
    leads.iter().map(|lead| lead.show(now)).collect()
}
