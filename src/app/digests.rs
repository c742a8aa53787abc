//! Digests as they are listed: which collect, and what became of those that are closed (`R-DIGEST`).

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::page::{Cursor, Page, key_or, one_more};
use crate::app::{Error, fire};
use crate::partner::PartnerId;
use crate::store::Store;
use crate::store::digests::{Digest, list_digests};
use crate::store::leads::count_unanswered_of_digests;
use crate::store::notices::{Notice, list_of_digests};
use crate::time::Timestamp;

const LIST: &str = "digests";

/// A digest as it is listed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedDigest {
    /// Its row.
    pub id: i64,
    /// Whose.
    pub partner_id: String,
    /// `collecting` or `closed`.
    pub state: &'static str,
    /// The fire at which it is due, or was.
    pub due_date_time: Timestamp,
    /// When its first lead came.
    pub opened_date_time: Timestamp,
    /// When it was closed.
    pub closed_date_time: Option<Timestamp>,
    /// `fire` or `manual`.
    pub closed_by: Option<String>,
    /// Unanswered ones: now while it collects, else at its closing.
    pub leads: i64,
    /// State of the notice that mails it.
    pub notice: Option<String>,
    /// Why that is in its state, or why there is none.
    pub reason: Option<String>,
}

/// Returns a page of digests, the latest first.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(
    store: &Store,
    now: Timestamp,
    partner: Option<&PartnerId>,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page<ListedDigest>, Error> {
    let before = key_or(cursor, LIST, i64::MAX)?;
    let mut tx = store.snapshot().await?;
    let found = list_digests(&mut tx, partner, before, one_more(limit)).await?;
    let ids: Vec<i64> = found.iter().map(|digest| digest.id).collect();
    let counts = count_unanswered_of_digests(&mut tx, now, &ids).await?;
    let notices: HashMap<i64, Notice> = list_of_digests(&mut tx, &ids)
        .await?
        .into_iter()
        .filter_map(|notice| notice.digest_id.map(|id| (id, notice)))
        .collect();
    let listed = found.into_iter().map(|digest| {
        let n_unanswered = counts.get(&digest.id).copied().unwrap_or(0);
        let notice = notices.get(&digest.id);
        as_listed(digest, n_unanswered, notice)
    });
    Ok(Page::cut(listed.collect(), limit, |digest| Cursor::behind(LIST, &digest.id)))
}

fn as_listed(digest: Digest, n_unanswered: i64, notice: Option<&Notice>) -> ListedDigest {
    ListedDigest {
        id: digest.id,
        partner_id: digest.partner_id.as_str().to_owned(),
        state: if digest.is_collecting { "collecting" } else { "closed" },
        due_date_time: digest.due_at,
        opened_date_time: digest.opened_at,
        closed_date_time: digest.closed_at,
        closed_by: digest.closed_by,
        leads: digest.n_leads.unwrap_or(n_unanswered),
        notice: notice.map(|notice| notice.state.clone()),
        reason: match notice {
            Some(notice) => notice.reason.clone(),
            None => (!digest.is_collecting).then(|| fire::NOTHING_LEFT.to_owned()),
        },
    }
}
