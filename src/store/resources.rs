//! Resources that the portal's webhook named: known, and not or not yet fetched.

use crate::store::engine::{Sql, Tx, args, row, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&NOTE, &FORGET, &CLAIM, &NEXT_DUE, &SETTLE, &RETRY, &OF_ID, &COUNT_KNOWN];

/// A resource as it is known.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its address.
    pub uri: String,
    /// Last segment of the address.
    pub resource_id: String,
    /// Of the newest event.
    pub event_name: String,
    /// When the newest event came, in milliseconds.
    pub known_at: i64,
    /// `known`, `fetched` or `failed`.
    pub state: String,
    /// When it is fetched, in milliseconds.
    pub due_at: Option<i64>,
    /// Tries since the newest event.
    pub attempt: i64,
    /// How the last try went.
    pub detail: Option<String>,
}
row!(Resource: uri, resource_id, event_name, known_at, state, due_at, attempt, detail);

const NOTE: Sql = sql!("resources.note":
    "insert into known_resource (uri, resource_id, event_name, known_at, state, due_at, attempt) values ($1, $2, $3, $4, 'known', $4, 0)
on conflict (uri) do update set event_name = excluded.event_name, known_at = excluded.known_at, state = 'known', due_at = excluded.due_at, attempt = 0, detail = null");

/// Notes that something has happened to a resource: it is to be fetched, again if it was.
pub async fn note_resource(tx: &mut Tx, now: Timestamp, uri: &str, resource_id: &str, event_name: &str) -> Result<(), Error> {
    tx.execute(&NOTE, args![uri, resource_id, event_name, now]).await.map(drop)
}

const FORGET: Sql = sql!("resources.forget":
    "delete from known_resource
where uri in (select uri from known_resource where state <> 'known' and known_at < $1 order by known_at limit 20" skip_locked ") and state <> 'known'");

/// Forgets a few resources that are settled and of which nothing was heard since `until`. How few stands in the statement: PostgreSQL takes a parameter
/// there for a tenth of the table, and reads all of it.
pub async fn forget_resources(tx: &mut Tx, until: Timestamp) -> Result<u64, Error> {
    tx.execute(&FORGET, args![until]).await
}

const CLAIM: Sql = sql!("resources.claim":
    "update known_resource set due_at = $2, attempt = attempt + 1
where uri in (select uri from known_resource where state = 'known' and due_at <= $1 order by due_at limit $3" skip_locked ") and state = 'known'
returning uri, resource_id, event_name, known_at, state, due_at, attempt, detail");

/// Takes up to `limit` resources that are due; whoever takes one and dies leaves it due again at `until`.
pub async fn claim_resources(tx: &mut Tx, now: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<Resource>, Error> {
    tx.fetch_all(&CLAIM, args![now, until, limit]).await
}

const NEXT_DUE: Sql = sql!("resources.next_due": "select min(due_at) as n from known_resource where state = 'known'");

/// Returns when the next resource is due.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_DUE, args![]).await
}

const SETTLE: Sql = sql!("resources.settle":
    "update known_resource set state = $3, due_at = null, detail = $4 where uri = $1 and known_at = $2 and state = 'known'");

/// Says how it ended: `fetched` or `failed`; nothing where a newer event has come.
pub async fn settle_resource(tx: &mut Tx, resource: &Resource, state: &str, detail: &str) -> Result<(), Error> {
    tx.execute(&SETTLE, args![resource.uri.as_str(), resource.known_at, state, detail])
        .await
        .map(drop)
}

const RETRY: Sql = sql!("resources.retry":
    "update known_resource set due_at = $3, detail = $4 where uri = $1 and known_at = $2 and state = 'known'");

/// Says when it is tried again, and why.
pub async fn retry_resource(tx: &mut Tx, resource: &Resource, due_at: Timestamp, detail: &str) -> Result<(), Error> {
    tx.execute(&RETRY, args![resource.uri.as_str(), resource.known_at, due_at, detail])
        .await
        .map(drop)
}

const OF_ID: Sql = sql!("resources.of_id":
    "select uri, resource_id, event_name, known_at, state, due_at, attempt, detail from known_resource where resource_id = $1 order by uri limit 10");

/// Returns what is known of a resource by its id.
pub async fn list_of_id(tx: &mut Tx, resource_id: &str) -> Result<Vec<Resource>, Error> {
    tx.fetch_all(&OF_ID, args![resource_id]).await
}

const COUNT_KNOWN: Sql = sql!("resources.count_known": "select count(*) as n from known_resource where state = 'known'");

/// Counts those that are known and not fetched.
pub async fn count_known(tx: &mut Tx) -> Result<i64, Error> {
    tx.count(&COUNT_KNOWN, args![]).await
}
