//! Action items as the feed and the posts show them, the feed that a portal polls, and putting an item away (`R-ACTION`).
//!
//! **The feed** is the partner's items in the order of their last change. A portal asks for what has changed since the place that it was told last, and
//! misses nothing: a place is given when the feed is read, under the partner's lock, so it is given to committed changes alone, and behind all places
//! that were ever given. A number given while an item is written would not do: of two writers the one with the higher number may commit first, a reader
//! goes on from it, and never sees the lower one. An item that changes twice between two looks is told once, as it is then.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::page::{Cursor, LIMIT_MAX, Page, key_or, one_more};
use crate::app::{Error, Rules, about_partner, lead_item, roster};
use crate::lead::LeadId;
use crate::lead::model::DueSteps;
use crate::partner::PartnerId;
use crate::policy::action::{Content, State};
use crate::store::history::insert_history;
use crate::store::items::{Item, archive_item, find_feed_version, find_item, list_changed, list_items, list_unnumbered, number_items};
use crate::store::leads::find_leads;
use crate::store::partners::{find_partners, lock_partners};
use crate::store::{Store, Tx, retried};
use crate::time::Timestamp;

const LIST: &str = "actions";

/// Items that get their places in one go; what is left gets its own at the next look.
const NUMBERED_MAX: i64 = 1_000;

/// What stands before an item's row in its id.
const ID_PREFIX: &str = "item-";

/// An action item.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownItem {
    /// Stays the same through all versions.
    pub id: String,
    /// Rises with each change.
    pub version: i64,
    /// `None` where it concerns no lead.
    pub lead_id: Option<String>,
    /// Whose bell it rings.
    pub partner_id: String,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub text: String,
    /// Where it leads.
    pub link: String,
    /// When the lead expires.
    pub due_date_time: Option<Timestamp>,
    /// `recommended` or `mandatory`.
    pub category: String,
    /// `urgent`, `cooled` or nothing.
    pub urgency: Option<String>,
    /// Whether the lead expires soon.
    pub expiring: bool,
    /// `open`, `done` or `withdrawn`.
    pub state: String,
    /// Whether a user has put it away.
    pub archived: bool,
}

impl From<&Item> for ShownItem {
    fn from(item: &Item) -> Self {
        Self {
            id: format!("{ID_PREFIX}{}", item.seq),
            version: item.version,
            lead_id: item.lead_id.clone(),
            partner_id: item.partner_id.clone(),
            title: item.title.clone(),
            text: item.text.clone(),
            link: item.link.clone(),
            due_date_time: item.due_at.map(Timestamp::from_millis),
            category: item.category.clone(),
            urgency: item.urgency.clone(),
            expiring: item.is_expiring,
            state: item.state.clone(),
            archived: item.is_archived,
        }
    }
}

/// Returns items as they are at `now`: a lead's is what its lead is, whether or not the clock has come round to write it. After its expiry no person is
/// named (`R-EXPIRY`). It has the version that the clock will write it with.
pub(super) async fn as_of(tx: &mut Tx, now: Timestamp, rules: &Rules, items: &[Item]) -> Result<Vec<ShownItem>, crate::store::Error> {
    let open = items.iter().filter(|item| item.state == State::Open.as_str());
    let ids: Vec<LeadId> = open.filter_map(|item| item.lead_id.as_deref()).map(LeadId::new).collect();
    let mut due = find_leads(tx, &ids).await?;
    due.retain(|_, lead| lead.due_steps(now) != DueSteps::default());
    let partners = find_partners(tx, due.values().map(|lead| &lead.partner_id)).await?;
    let shown = items.iter().map(|item| {
        let shown = ShownItem::from(item);
        let lead = item.lead_id.as_deref().and_then(|id| due.get(&LeadId::new(id)));
        match lead {
            Some(lead) => shown.overlaid(lead_item(lead, now, partners.get(&lead.partner_id), rules).content),
            None => shown,
        }
    });
    Ok(shown.collect())
}

impl ShownItem {
    fn overlaid(self, content: Content) -> Self {
        Self {
            version: self.version + 1,
            title: content.title,
            text: content.text,
            link: content.link,
            due_date_time: content.due_at,
            category: content.category.as_str().to_owned(),
            urgency: content.urgency.map(|urgency| urgency.as_str().to_owned()),
            expiring: content.is_expiring,
            state: content.state.as_str().to_owned(),
            ..self
        }
    }
}

/// What has changed in a partner's feed.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The items, in the order of their change, each as it is now.
    pub value: Vec<ShownItem>,
    /// What to ask for the next time.
    pub since: i64,
    /// Whether there is more already.
    pub has_more: bool,
}

/// Returns a page of a partner's items of every state, latest change first.
///
/// # Errors
/// The partner is unknown, the cursor is none of this list, or the database cannot be read.
pub async fn page(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    partner: &PartnerId,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page<ShownItem>, Error> {
    let before: (i64, i64) = key_or(cursor, LIST, (i64::MAX, i64::MAX))?;
    let mut tx = store.snapshot().await?;
    let found = list_items(&mut tx, partner, before, one_more(limit)).await?;
    if found.is_empty() && cursor.is_none() {
        demand_partner(&mut tx, partner).await?;
    }
    let page = Page::cut(found, limit, |item| Cursor::behind(LIST, &(item.changed_at, item.seq)));
    Ok(Page {
        value: as_of(&mut tx, now, rules, &page.value).await?,
        next: page.next,
    })
}

/// Returns what has changed in a partner's feed since the place `since` (0: from its beginning), and where to go on.
///
/// # Errors
/// The partner is unknown, `since` lies ahead of the feed, or the database cannot be read or written.
pub async fn changes(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    partner: &PartnerId,
    since: i64,
    limit: usize,
) -> Result<Changes, Error> {
    let limit = limit.clamp(1, LIMIT_MAX);
    let mut tx = store.read().await?;
    if !list_unnumbered(&mut tx, partner, 1).await?.is_empty() {
        drop(tx);
        retried(|| number(store, partner)).await?;
        tx = store.read().await?;
    }
    let found = list_changed(&mut tx, partner, since, one_more(limit)).await?;
    if found.is_empty() {
        demand_partner_or_items(&mut tx, partner).await?;
        let reached = find_feed_version(&mut tx, partner).await?;
        if since > reached {
            return Err(Error::Refused(format!(
                "the feed of {partner} goes to {reached}, and {since} lies ahead of it; was a backup restored? read it again from since=0"
            )));
        }
    }
    let has_more = found.len() > limit || !list_unnumbered(&mut tx, partner, 1).await?.is_empty();
    let told = &found[..found.len().min(limit)];
    Ok(Changes {
        since: told.last().and_then(|item| item.feed_version).unwrap_or(since),
        value: as_of(&mut tx, now, rules, told).await?,
        has_more,
    })
}

/// Gives the items that have changed their places. The partner has items, so it has the narrow row that is locked.
async fn number(store: &Store, partner: &PartnerId) -> Result<(), crate::store::Error> {
    let mut tx = store.begin().await?;
    lock_partners(&mut tx, &BTreeSet::from([partner.clone()])).await?;
    let changed = list_unnumbered(&mut tx, partner, NUMBERED_MAX).await?;
    number_items(&mut tx, partner, &changed).await?;
    // Only what is committed is told: a place that was rolled back would be given again.
    tx.commit().await
}

/// Puts an item away for a user of the partner; it stays so, whatever becomes of its lead. Doing it again changes nothing.
///
/// # Errors
/// The partner has no such item, or the database cannot record it.
pub async fn archive(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    partner: &PartnerId,
    id: &str,
    by: Option<&str>,
) -> Result<ShownItem, Error> {
    let unknown = || Error::not_found(format!("{partner} has no action item {id}"));
    let seq: i64 = id.strip_prefix(ID_PREFIX).and_then(|seq| seq.parse().ok()).ok_or_else(unknown)?;
    let mut tx = store.begin().await?;
    // Before the lock, which would leave a narrow row behind for any word that is asked for.
    find_item(&mut tx, partner, seq).await?.ok_or_else(unknown)?;
    lock_partners(&mut tx, &BTreeSet::from([partner.clone()])).await?;
    if archive_item(&mut tx, now, seq, rules.posts_items).await? {
        let mut entry = about_partner(
            now,
            partner,
            "R-ACTION",
            format!("the action item {id} was archived"),
            json!({ "item": id }),
        );
        entry.actor = by.map(str::to_owned);
        insert_history(&mut tx, &[entry]).await?;
    }
    let item = find_item(&mut tx, partner, seq).await?.ok_or_else(unknown)?;
    let shown = as_of(&mut tx, now, rules, &[item]).await?;
    tx.commit().await?;
    shown.into_iter().next().ok_or_else(unknown)
}

async fn demand_partner(tx: &mut Tx, partner: &PartnerId) -> Result<(), Error> {
    match find_partners(tx, [partner]).await?.is_empty() {
        true => Err(roster::unknown(partner)),
        false => Ok(()),
    }
}

/// A partner of which no record was taken in has a feed as soon as a lead of it came.
async fn demand_partner_or_items(tx: &mut Tx, partner: &PartnerId) -> Result<(), Error> {
    match list_items(tx, partner, (i64::MAX, i64::MAX), 1).await?.is_empty() {
        true => demand_partner(tx, partner).await,
        false => Ok(()),
    }
}
