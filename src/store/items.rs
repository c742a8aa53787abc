//! The Action Center's items: one a subject, its version rising with each change (`R-ACTION`).

use serde::Serialize;

use crate::lead::LeadId;
use crate::partner::PartnerId;
use crate::policy::action::Content;
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::store::rows::Rows;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &UPSERT,
    &UPDATE,
    &LIST,
    &CLAIM,
    &POSTED,
    &FAILED,
    &NEXT_POST,
    &SETTLE,
    &RELEASE,
    &OF_LEAD,
    &POST_ALL,
    &COUNT_WAITING,
    &ARCHIVE,
    &FIND,
    &UNNUMBERED,
    &TAKE_VERSIONS,
    &NUMBER,
    &FEED_VERSION,
    &CHANGED,
];

/// An item's newest state, to be written.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// What it is about; one item each.
    pub subject: String,
    /// Whose bell it rings.
    pub partner_id: PartnerId,
    /// The lead, where it concerns one.
    pub lead_id: Option<LeadId>,
    /// What it says.
    pub content: Content,
}

/// An item as the feed shows it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its row.
    pub seq: i64,
    /// What it is about; its `id` in the feed.
    pub subject: String,
    /// Whose bell it rings.
    pub partner_id: String,
    /// The lead, where it concerns one.
    pub lead_id: Option<String>,
    /// Rises with each change.
    pub version: i64,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub text: String,
    /// Where it leads.
    pub link: String,
    /// When the lead expires.
    pub due_at: Option<i64>,
    /// `recommended` or `mandatory`.
    pub category: String,
    /// `urgent`, `cooled` or nothing.
    pub urgency: Option<String>,
    /// Whether the lead expires soon.
    pub is_expiring: bool,
    /// `open`, `done` or `withdrawn`.
    pub state: String,
    /// Whether a user has put it away.
    pub is_archived: bool,
    /// When it last changed.
    pub changed_at: i64,
    /// Posts that failed since it last changed.
    pub post_attempt: i64,
    /// Its place in the partner's feed; `None` until somebody looks, see [`number_items`].
    pub feed_version: Option<i64>,
}
row!(Item:
    seq, subject, partner_id, lead_id, version, title, text, link, due_at, category, urgency, is_expiring, state, is_archived,
    changed_at, post_attempt, feed_version
);

macro_rules! columns {
    () => {
        "seq, subject, partner_id, lead_id, version, title, text, link, due_at, category, urgency, is_expiring, state, is_archived, changed_at, post_attempt, feed_version"
    };
}

/// Returns the subject of a lead's item.
pub fn lead_subject(lead: &LeadId) -> String {
    format!("lead {lead}")
}

#[derive(Serialize)]
struct ItemRow<'a> {
    subject: &'a str,
    partner_id: &'a str,
    lead_id: Option<&'a str>,
    title: &'a str,
    text: &'a str,
    link: &'a str,
    due_at: Option<i64>,
    category: &'static str,
    urgency: Option<&'static str>,
    is_expiring: bool,
    state: &'static str,
    now: i64,
    post_due_at: Option<i64>,
}

fn item_rows(now: Timestamp, items: &[NewItem], is_posted: bool) -> Rows {
    let written: Vec<ItemRow<'_>> = items
        .iter()
        .map(|item| ItemRow {
            subject: &item.subject,
            partner_id: item.partner_id.as_str(),
            lead_id: item.lead_id.as_ref().map(LeadId::as_str),
            title: &item.content.title,
            text: &item.content.text,
            link: &item.content.link,
            due_at: item.content.due_at.map(Timestamp::as_millis),
            category: item.content.category.as_str(),
            urgency: item.content.urgency.map(|urgency| urgency.as_str()),
            is_expiring: item.content.is_expiring,
            state: item.content.state.as_str(),
            now: now.as_millis(),
            post_due_at: is_posted.then_some(now.as_millis()),
        })
        .collect();
    rows(&written)
}

// An item that is there already changes only where it says something new: a repeated import raises no version.
const UPSERT: Sql = sql!("items.upsert":
    "insert into item (subject, partner_id, lead_id, version, title, text, link, due_at, category, urgency, is_expiring, state, is_archived, changed_at,
  post_due_at, post_attempt, posted_version)
select r.subject, r.partner_id, r.lead_id, 1, r.title, r.text, r.link, r.due_at, r.category, r.urgency, r.is_expiring, r.state, false, r.now,
  r.post_due_at, 0, 0
from " (subject text, partner_id text, lead_id text, title text, text text, link text, due_at bigint, category text, urgency text, is_expiring boolean,
        state text, now bigint, post_due_at bigint)
    " where true
on conflict (subject) do update set version = item.version + 1, title = excluded.title, text = excluded.text, link = excluded.link,
  due_at = excluded.due_at, category = excluded.category, urgency = excluded.urgency, is_expiring = excluded.is_expiring, state = excluded.state,
  changed_at = excluded.changed_at, feed_version = null, post_due_at = excluded.post_due_at, post_attempt = 0
where item.title <> excluded.title or item.text <> excluded.text or item.link <> excluded.link or item.due_at is distinct from excluded.due_at
  or item.category <> excluded.category or item.urgency is distinct from excluded.urgency or item.is_expiring <> excluded.is_expiring
  or item.state <> excluded.state");

/// Writes items: new ones, and the newest state of those that are there.
pub async fn put_items(tx: &mut Tx, now: Timestamp, items: &[NewItem], is_posted: bool) -> Result<(), Error> {
    if !items.is_empty() {
        tx.execute(&UPSERT, args![item_rows(now, items, is_posted)]).await?;
    }
    Ok(())
}

const UPDATE: Sql = sql!("items.update":
    "update item set version = item.version + 1, title = r.title, text = r.text, link = r.link, due_at = r.due_at, category = r.category,
  urgency = r.urgency, is_expiring = r.is_expiring, state = r.state, changed_at = r.now, feed_version = null,
  post_due_at = r.post_due_at, post_attempt = 0
from " (subject text, partner_id text, lead_id text, title text, text text, link text, due_at bigint, category text, urgency text, is_expiring boolean,
        state text, now bigint, post_due_at bigint)
    " where item.subject = r.subject and (item.title <> r.title or item.text <> r.text or item.link <> r.link or item.due_at is distinct from r.due_at
  or item.category <> r.category or item.urgency is distinct from r.urgency or item.is_expiring <> r.is_expiring or item.state <> r.state)");

/// Writes the newest state of items that are there; a lead that never had one gets none.
pub async fn update_items(tx: &mut Tx, now: Timestamp, items: &[NewItem], is_posted: bool) -> Result<(), Error> {
    if !items.is_empty() {
        tx.execute(&UPDATE, args![item_rows(now, items, is_posted)]).await?;
    }
    Ok(())
}

const SETTLE: Sql = sql!("items.settle":
    "update item set state = 'done', version = version + 1, changed_at = $2, feed_version = null, post_due_at = case when $3 then $2 else post_due_at end, post_attempt = 0
where subject in (select r.id from " (id text) ") and state = 'open'");

/// Marks open items as done.
pub async fn settle_items(tx: &mut Tx, now: Timestamp, subjects: &[String], is_posted: bool) -> Result<(), Error> {
    if !subjects.is_empty() {
        tx.execute(&SETTLE, args![super::id_rows(subjects.iter().map(String::as_str)), now, is_posted])
            .await?;
    }
    Ok(())
}

const LIST: Sql = Sql {
    name: "items.list",
    sqlite: concat!(
        "/* items.list */ select ",
        columns!(),
        " from item where partner_id = $1 and (changed_at, seq) < ($2, $3) order by changed_at desc, seq desc limit $4"
    ),
    postgres: concat!(
        "/* items.list */ select ",
        columns!(),
        " from item where partner_id = $1 and (changed_at, seq) < ($2, $3) order by changed_at desc, seq desc limit $4"
    ),
};

/// Lists a partner's items of every state, latest change first, from before `(changed_at, seq)`.
pub async fn list_items(tx: &mut Tx, partner: &PartnerId, before: (i64, i64), limit: i64) -> Result<Vec<Item>, Error> {
    tx.fetch_all(&LIST, args![partner.as_str(), before.0, before.1, limit]).await
}

const FIND: Sql = Sql {
    name: "items.find",
    sqlite: concat!(
        "/* items.find */ select ",
        columns!(),
        " from item where seq = $1 and partner_id = $2"
    ),
    postgres: concat!(
        "/* items.find */ select ",
        columns!(),
        " from item where seq = $1 and partner_id = $2"
    ),
};

/// Returns an item of a partner's.
pub async fn find_item(tx: &mut Tx, partner: &PartnerId, seq: i64) -> Result<Option<Item>, Error> {
    tx.fetch_optional(&FIND, args![seq, partner.as_str()]).await
}

const ARCHIVE: Sql = sql!("items.archive":
    "update item set is_archived = true, version = version + 1, changed_at = $2, feed_version = null,
  post_due_at = case when $3 then $2 else post_due_at end, post_attempt = 0
where seq = $1 and not is_archived");

/// Puts an item away for good: later versions leave it so (`R-ACTION`). Tells whether it was still there to be put away.
pub async fn archive_item(tx: &mut Tx, now: Timestamp, seq: i64, is_posted: bool) -> Result<bool, Error> {
    Ok(tx.execute(&ARCHIVE, args![seq, now, is_posted]).await? > 0)
}

struct SeqRow {
    seq: i64,
}
row!(SeqRow: seq);

#[derive(Serialize)]
struct NumberRow {
    seq: i64,
    feed_version: i64,
}

const UNNUMBERED: Sql = sql!("items.unnumbered":
    "select seq from item where partner_id = $1 and feed_version is null order by seq limit $2");

/// Lists a partner's items that have changed and have no place in the feed yet.
pub async fn list_unnumbered(tx: &mut Tx, partner: &PartnerId, limit: i64) -> Result<Vec<i64>, Error> {
    let found: Vec<SeqRow> = tx.fetch_all(&UNNUMBERED, args![partner.as_str(), limit]).await?;
    Ok(found.into_iter().map(|row| row.seq).collect())
}

const TAKE_VERSIONS: Sql = sql!("items.take_versions": "update partner_state set feed_version = feed_version + $2 where partner_id = $1 returning feed_version as n");
const NUMBER: Sql = sql!("items.number":
    "update item set feed_version = r.feed_version from " (seq bigint, feed_version bigint) " where item.seq = r.seq and item.feed_version + 0 is null");

/// Gives changed items their places in the partner's feed, behind all that were ever given. The partner is locked, and only changes that are committed
/// are seen here: a later place is never seen before an earlier one.
pub async fn number_items(tx: &mut Tx, partner: &PartnerId, seqs: &[i64]) -> Result<(), Error> {
    let n = i64::try_from(seqs.len()).unwrap_or(i64::MAX);
    let last = tx.count(&TAKE_VERSIONS, args![partner.as_str(), n]).await?;
    let numbered: Vec<NumberRow> = seqs
        .iter()
        .zip(last - n + 1..)
        .map(|(&seq, feed_version)| NumberRow { seq, feed_version })
        .collect();
    tx.execute(&NUMBER, args![rows(&numbered)]).await?;
    Ok(())
}

const FEED_VERSION: Sql = sql!("items.feed_version": "select feed_version as n from partner_state where partner_id = $1");

/// Returns the last place that was given in a partner's feed; 0 where none ever was.
pub async fn find_feed_version(tx: &mut Tx, partner: &PartnerId) -> Result<i64, Error> {
    tx.count(&FEED_VERSION, args![partner.as_str()]).await
}

const CHANGED: Sql = Sql {
    name: "items.changed",
    sqlite: concat!(
        "/* items.changed */ select ",
        columns!(),
        " from item where partner_id = $1 and feed_version > $2 order by feed_version limit $3"
    ),
    postgres: concat!(
        "/* items.changed */ select ",
        columns!(),
        " from item where partner_id = $1 and feed_version > $2 order by feed_version limit $3"
    ),
};

/// Lists a partner's items by their places in the feed, from after `since`.
pub async fn list_changed(tx: &mut Tx, partner: &PartnerId, since: i64, limit: i64) -> Result<Vec<Item>, Error> {
    tx.fetch_all(&CHANGED, args![partner.as_str(), since, limit]).await
}

const OF_LEAD: Sql = Sql {
    name: "items.of_lead",
    sqlite: concat!("/* items.of_lead */ select ", columns!(), " from item where subject = $1"),
    postgres: concat!("/* items.of_lead */ select ", columns!(), " from item where subject = $1"),
};

/// Returns a lead's item.
pub async fn find_of_lead(tx: &mut Tx, lead: &LeadId) -> Result<Option<Item>, Error> {
    tx.fetch_optional(&OF_LEAD, args![lead_subject(lead)]).await
}

// An array on PostgreSQL for the reason that `deliveries.claim` gives.
const CLAIM: Sql = Sql {
    name: "items.claim",
    sqlite: concat!(
        "/* items.claim */ update item set post_owner = $2 where seq in (select seq from item where post_due_at is not null and post_due_at <= $1
  and (post_owner is null or post_owner = $2 or post_owner in (select epoch from worker where alive_until < $3)) order by post_due_at, seq limit $4) returning ",
        columns!()
    ),
    postgres: concat!(
        "/* items.claim */ update item set post_owner = $2 where seq = any (array(select seq from item where post_due_at is not null and post_due_at <= $1
  and (post_owner is null or post_owner = $2 or post_owner in (select epoch from worker where alive_until < $3)) order by post_due_at, seq limit $4
  for update skip locked)) returning ",
        columns!()
    ),
};

/// Claims items whose newest state is to be posted; one post an item at a time. What `owner` holds already it gets again: it asks when it has nothing under
/// way, and so has lost the answer to a claim or to a record.
pub async fn claim_items(tx: &mut Tx, now: Timestamp, owner: i64, wall_now: Timestamp, limit: i64) -> Result<Vec<Item>, Error> {
    tx.fetch_all(&CLAIM, args![now, owner, wall_now, limit]).await
}

const POSTED: Sql = sql!("items.posted":
    "update item set posted_version = $2, post_owner = null, post_attempt = 0, post_due_at = case when version = $2 then null else post_due_at end
where seq = $1 and post_owner = $3");

/// Records that a version of an item was posted; a newer one stays due.
pub async fn record_posted(tx: &mut Tx, seq: i64, version: i64, owner: i64) -> Result<(), Error> {
    tx.execute(&POSTED, args![seq, version, owner]).await?;
    Ok(())
}

const FAILED: Sql = sql!("items.failed":
    "update item set post_owner = null, post_attempt = post_attempt + 1, post_due_at = case when version = $4 then $2 else post_due_at end
where seq = $1 and post_owner = $3");

/// Records that a post of a version failed, and when it is tried again; a newer one stays due as it is.
pub async fn record_post_failed(tx: &mut Tx, seq: i64, due_at: Timestamp, owner: i64, version: i64) -> Result<(), Error> {
    tx.execute(&FAILED, args![seq, due_at, owner, version]).await?;
    Ok(())
}

const RELEASE: Sql = sql!("items.release": "update item set post_owner = null where post_due_at is not null and post_owner = $1");

/// Gives back what a worker had claimed and not posted.
pub async fn release_items(tx: &mut Tx, owner: i64) -> Result<(), Error> {
    tx.execute(&RELEASE, args![owner]).await?;
    Ok(())
}

const NEXT_POST: Sql = sql!("items.next_post": "select min(post_due_at) as n from item where post_due_at is not null");

/// Returns when the next post is due.
pub async fn next_post(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_POST, args![]).await
}

const COUNT_WAITING: Sql = sql!("items.count_waiting": "select count(*) as n from item where post_due_at is not null");

/// Counts the items whose newest state waits to be posted.
pub async fn count_waiting(tx: &mut Tx) -> Result<i64, Error> {
    tx.count(&COUNT_WAITING, args![]).await
}

const POST_ALL: Sql = sql!("items.post_all":
    "update item set post_due_at = $1 where state = 'open' and post_due_at is null and posted_version < version");

/// Makes every open item due that was never posted: an Action Center has been configured since.
pub async fn post_all(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    tx.execute(&POST_ALL, args![now]).await?;
    Ok(())
}
