//! Addresses that are not mailed any more, as they are listed. Stopping and resuming is `suppress`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Error;
use crate::app::page::{Cursor, Page, key_or, one_more};
use crate::app::suppress::Suppress;
use crate::partner::EmailAddress;
use crate::store::Store;
use crate::store::suppressions::{Suppression, list_suppressions};
use crate::time::Timestamp;

const LIST: &str = "suppressions";

/// An address that is not mailed any more.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedSuppression {
    /// Which.
    pub address: EmailAddress,
    /// Why: a reply's enhanced code, or `by hand`.
    pub reason: String,
    /// The reply's text, or what a person said.
    pub detail: String,
    /// Who, where it was somebody.
    pub actor: Option<String>,
    /// Since when.
    pub created_date_time: Timestamp,
}

/// Returns a page of suppressed addresses, in their order.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(store: &Store, cursor: Option<&Cursor>, limit: usize) -> Result<Page<ListedSuppression>, Error> {
    let after: String = key_or(cursor, LIST, String::new())?;
    let mut tx = store.read().await?;
    let found = list_suppressions(&mut tx, &after, one_more(limit)).await?;
    let listed = found.into_iter().map(ListedSuppression::from).collect();
    Ok(Page::cut(listed, limit, |one: &ListedSuppression| {
        Cursor::behind(LIST, &one.address)
    }))
}

impl ListedSuppression {
    /// Makes one that a person wants.
    pub fn by_hand(address: EmailAddress, reason: Option<String>, actor: Option<String>, now: Timestamp) -> Self {
        Self {
            address,
            reason: "by hand".to_owned(),
            detail: reason.unwrap_or_else(|| "no reason was given".to_owned()),
            actor,
            created_date_time: now,
        }
    }
}

impl From<&ListedSuppression> for Suppress {
    fn from(wanted: &ListedSuppression) -> Self {
        Self {
            address: wanted.address.clone(),
            reason: wanted.reason.clone(),
            detail: wanted.detail.clone(),
            actor: wanted.actor.clone(),
        }
    }
}

impl From<Suppression> for ListedSuppression {
    fn from(of: Suppression) -> Self {
        Self {
            address: of.address,
            reason: of.reason,
            detail: of.detail,
            actor: of.actor,
            created_date_time: of.created_at,
        }
    }
}
