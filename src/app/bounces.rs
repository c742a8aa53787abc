//! What came to where bounces go, as it is listed and shown. Taking it in is `bounce`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Error;
use crate::app::bounce::Taken;
use crate::app::page::{Cursor, Page, key_or, one_more};
use crate::store::Store;
use crate::store::bounces::{Bounce, find_bounce, list_bounces};
use crate::time::Timestamp;

const LIST: &str = "bounces";

/// A mail that came to where bounces go.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedBounce {
    /// Its row.
    pub id: i64,
    /// When it came.
    pub received_date_time: Timestamp,
    /// File name, or the way it came.
    pub source: String,
    /// `report`, `auto_reply`, `complaint` or `other`.
    pub sort: String,
    /// `matched`: it is believed, and has done what `outcome` says. `unmatched`: a report that is not. `ignored`: no report.
    pub state: String,
    /// What the report says: `delivered`, `expanded`, `relayed`, `delayed`, `soft` or `hard`.
    pub class: Option<String>,
    /// The mail that it is about, where it bears that mail's mark.
    pub delivery_id: Option<i64>,
    /// By which mark: `return_address`, `envelope_id` or `message_id`.
    pub matched_by: Option<String>,
    /// Of whom it speaks.
    pub address: Option<String>,
    /// The other side's words.
    pub said: String,
    /// What followed, or why nothing did.
    pub outcome: String,
}

/// A mail that came to where bounces go, as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownBounce {
    /// What the list says.
    #[serde(flatten)]
    pub listed: ListedBounce,
    /// The mail, cut at 64 KiB; kept of what was not matched, for `bounces.keep`.
    pub raw: Option<String>,
}

/// What came of a mail.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenBounce {
    /// As it is listed.
    #[serde(flatten)]
    pub listed: ListedBounce,
    /// Whether the same was taken in before, so that nothing was done now.
    pub is_repeat: bool,
}

/// Returns a page of what came, the latest first; with `state`, of what is in it.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(store: &Store, state: Option<&str>, cursor: Option<&Cursor>, limit: usize) -> Result<Page<ListedBounce>, Error> {
    let before = key_or(cursor, LIST, i64::MAX)?;
    let mut tx = store.read().await?;
    let found = list_bounces(&mut tx, state, before, one_more(limit)).await?;
    let listed = found.into_iter().map(ListedBounce::from).collect();
    Ok(Page::cut(listed, limit, |one: &ListedBounce| Cursor::behind(LIST, &one.id)))
}

/// Shows one, with the mail where it is kept.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn show(store: &Store, id: i64) -> Result<ShownBounce, Error> {
    let mut tx = store.read().await?;
    let mut found = find_bounce(&mut tx, id).await?.ok_or_else(|| unknown(id))?;
    let raw = found.raw.take();
    Ok(ShownBounce { listed: found.into(), raw })
}

/// Says that there is none.
pub fn unknown(id: impl std::fmt::Display) -> Error {
    Error::not_found_try(
        format!("there is no bounce {id}; what was not matched is kept for `bounces.keep` only"),
        "`posthorn bounces list` names them",
    )
}

impl From<Bounce> for ListedBounce {
    fn from(of: Bounce) -> Self {
        Self {
            id: of.id,
            received_date_time: Timestamp::from_millis(of.received_at),
            source: of.source,
            sort: of.sort,
            state: of.state,
            class: of.class,
            delivery_id: of.delivery_id,
            matched_by: of.matched_by,
            address: of.address,
            said: of.said,
            outcome: of.reason,
        }
    }
}

impl From<Taken> for TakenBounce {
    fn from(of: Taken) -> Self {
        Self {
            listed: of.bounce.into(),
            is_repeat: of.is_repeat,
        }
    }
}
