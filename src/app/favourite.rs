//! A user of the partner marks a lead as a favourite, or takes the mark away (`R-TABS`).

use serde_json::json;

use crate::app::{Error, about_lead, leads};
use crate::lead::{Lead, LeadId};
use crate::store::Store;
use crate::store::history::insert_history;
use crate::store::leads::{find_lead, mark_favourite};
use crate::time::Timestamp;

/// Marks a lead, or takes its mark away, and returns it as it is then. One that is so already stays so.
///
/// # Errors
/// There is no such lead, or the database cannot record it.
pub async fn favourite(store: &Store, now: Timestamp, id: &LeadId, is_favourite: bool, by: Option<&str>) -> Result<Lead, Error> {
    let mut tx = store.begin().await?;
    let is_new = mark_favourite(&mut tx, id, is_favourite).await?;
    let lead = find_lead(&mut tx, id).await?.ok_or_else(|| leads::unknown(id))?;
    if is_new {
        let done = if is_favourite {
            "marked as a favourite"
        } else {
            "no longer marked as a favourite"
        };
        let who = by.map(|by| format!(" by {by}")).unwrap_or_default();
        let mut entry = about_lead(now, &lead, "R-TABS", format!("{done}{who}"), json!({}));
        entry.actor = by.map(str::to_owned);
        insert_history(&mut tx, &[entry]).await?;
    }
    tx.commit().await?;
    Ok(lead)
}
