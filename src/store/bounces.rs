//! What came to where bounces go. What was matched stays as the record of what it did; the rest is kept whole, cut in length, number and age.

use serde::Serialize;

use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &INSERT,
    &FIND_SAME,
    &SETTLE,
    &LIST,
    &LIST_STATE,
    &FIND,
    &FORGET,
    &FORGET_OLDEST,
    &CANDIDATES,
    &ERASE,
];

/// What came to where bounces go.
#[derive(Clone, Debug)]
pub struct Bounce {
    /// Its row; 0 where it is none yet.
    pub id: i64,
    /// When it came, in milliseconds.
    pub received_at: i64,
    /// File name, or the way it came.
    pub source: String,
    /// What two copies of it have in common.
    pub identity: String,
    /// `report`, `auto_reply`, `complaint` or `other`.
    pub sort: String,
    /// `matched`, `unmatched` or `ignored`.
    pub state: String,
    /// What it says, where it is a report: `hard` and so on.
    pub class: Option<String>,
    /// The mail that it is about.
    pub delivery_id: Option<i64>,
    /// By which mark: `return_address`, `envelope_id` or `message_id`.
    pub matched_by: Option<String>,
    /// Of whom it speaks.
    pub address: Option<String>,
    /// The other side's words.
    pub said: String,
    /// What followed, or why nothing did.
    pub reason: String,
    /// The mail itself, where it is kept.
    pub raw: Option<String>,
}
row!(Bounce: id, received_at, source, identity, sort, state, class, delivery_id, matched_by, address, said, reason, raw);

const INSERT: Sql = sql!("bounces.insert":
    "insert into bounce (received_at, source, identity, sort, state, class, delivery_id, matched_by, address, said, reason, raw)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (identity) do nothing
returning id, received_at, source, identity, sort, state, class, delivery_id, matched_by, address, said, reason, raw");

/// Writes one down; `None` where the same is there already.
pub async fn insert_bounce(tx: &mut Tx, bounce: &Bounce) -> Result<Option<Bounce>, Error> {
    let values = args![
        bounce.received_at,
        bounce.source.as_str(),
        bounce.identity.as_str(),
        bounce.sort.as_str(),
        bounce.state.as_str(),
        bounce.class.as_deref(),
        bounce.delivery_id,
        bounce.matched_by.as_deref(),
        bounce.address.as_deref(),
        bounce.said.as_str(),
        bounce.reason.as_str(),
        bounce.raw.as_deref()
    ];
    tx.fetch_optional(&INSERT, values).await
}

const FIND_SAME: Sql = sql!("bounces.find_same":
    "select id, received_at, source, identity, sort, state, class, delivery_id, matched_by, address, said, reason, raw from bounce where identity = $1" lock);

/// Returns the one that is the same.
pub async fn find_same(tx: &mut Tx, identity: &str) -> Result<Option<Bounce>, Error> {
    tx.fetch_optional(&FIND_SAME, args![identity]).await
}

const SETTLE: Sql = sql!("bounces.settle":
    "update bounce set state = 'matched', class = $2, delivery_id = $3, matched_by = $4, address = $5, said = $6, reason = $7, raw = null
where id = $1 and state = 'unmatched'");

/// Marks one as matched that was not when it came first; what it was kept for is over.
pub async fn settle_bounce(tx: &mut Tx, bounce: &Bounce) -> Result<bool, Error> {
    let values = args![
        bounce.id,
        bounce.class.as_deref(),
        bounce.delivery_id,
        bounce.matched_by.as_deref(),
        bounce.address.as_deref(),
        bounce.said.as_str(),
        bounce.reason.as_str()
    ];
    Ok(tx.execute(&SETTLE, values).await? > 0)
}

const LIST: Sql = sql!("bounces.list":
    "select id, received_at, source, identity, sort, state, class, delivery_id, matched_by, address, said, reason, cast(null as text) as raw from bounce
where id < $1 order by id desc limit $2");
const LIST_STATE: Sql = sql!("bounces.list_state":
    "select id, received_at, source, identity, sort, state, class, delivery_id, matched_by, address, said, reason, cast(null as text) as raw from bounce
where state = $3 and id < $1 order by id desc limit $2");

/// Lists them without the mails, the latest first, from before `before_id`; with `state`, those in it.
pub async fn list_bounces(tx: &mut Tx, state: Option<&str>, before_id: i64, limit: i64) -> Result<Vec<Bounce>, Error> {
    match state {
        Some(state) => tx.fetch_all(&LIST_STATE, args![before_id, limit, state]).await,
        None => tx.fetch_all(&LIST, args![before_id, limit]).await,
    }
}

const FIND: Sql = sql!("bounces.find":
    "select id, received_at, source, identity, sort, state, class, delivery_id, matched_by, address, said, reason, raw from bounce where id = $1");

/// Returns one.
pub async fn find_bounce(tx: &mut Tx, id: i64) -> Result<Option<Bounce>, Error> {
    tx.fetch_optional(&FIND, args![id]).await
}

const FORGET: Sql = sql!("bounces.forget": "delete from bounce where state <> 'matched' and received_at < $1");

/// Forgets what was not matched and came before `until`.
pub async fn forget_bounces(tx: &mut Tx, until: Timestamp) -> Result<u64, Error> {
    tx.execute(&FORGET, args![until]).await
}

// The plus, and the state that $1 never is, keep PostgreSQL from walking all that was ever matched: the index of what is kept is short.
const FORGET_OLDEST: Sql = sql!("bounces.forget_oldest":
    "delete from bounce where state <> 'matched' and state = $1
  and id <= (select id from bounce where state <> 'matched' and state = $1 order by id + 0 desc limit 1 offset $2)");

/// Forgets all but the newest `n_max` in a state, which is not `matched`.
pub async fn forget_all_but(tx: &mut Tx, state: &str, n_max: i64) -> Result<u64, Error> {
    tx.execute(&FORGET_OLDEST, args![state, n_max]).await
}

struct IdRow {
    id: i64,
}
row!(IdRow: id);

const CANDIDATES: Sql = sql!("bounces.candidates": "select id from delivery where address = $1 order by id desc limit $2");

/// Lists the latest deliveries to an address: one of them is the mail whose mark a bounce bears, as the hash does not say which.
pub async fn list_candidates(tx: &mut Tx, address: &str, limit: i64) -> Result<Vec<i64>, Error> {
    let found: Vec<IdRow> = tx.fetch_all(&CANDIDATES, args![address, limit]).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

#[derive(Serialize)]
struct EraseRow {
    delivery_id: i64,
    is_customers: bool,
}

// What followed is posthorn's word; why something is not believed names addresses.
const ERASE: Sql = sql!("bounces.erase":
    "update bounce set said = '(erased)', raw = null, reason = case when bounce.state = 'matched' then bounce.reason else '(erased)' end,
  address = case when r.is_customers then null else bounce.address end
from " (delivery_id bigint, is_customers boolean) " where bounce.delivery_id = r.delivery_id");

/// Takes what was said out of the bounces of deliveries, and of whom it was, where that is a customer (`R-ERASE`).
pub async fn erase_bounces(tx: &mut Tx, deliveries: &[(i64, bool)]) -> Result<(), Error> {
    let erased: Vec<EraseRow> = deliveries
        .iter()
        .map(|&(delivery_id, is_customers)| EraseRow { delivery_id, is_customers })
        .collect();
    tx.execute(&ERASE, args![rows(&erased)]).await?;
    Ok(())
}
