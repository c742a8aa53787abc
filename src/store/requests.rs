//! Requests that came with an Idempotency-Key, and what they were answered.

use crate::store::engine::{Sql, Tx, args, row, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&FORGET, &BEGIN, &FIND, &BEGIN_AGAIN, &FINISH, &DROP];

/// A request that was made before.
#[derive(Clone, Debug)]
pub struct Request {
    /// Of path and body.
    pub fingerprint: String,
    /// When, in milliseconds.
    pub begun_at: i64,
    /// What it was answered; `None` while it is under way.
    pub status: Option<i64>,
    /// The body of the answer.
    pub answer: Option<String>,
}
row!(Request: fingerprint, begun_at, status, answer);

const FORGET: Sql = sql!("requests.forget": "delete from request_key where begun_at < $1");

/// Forgets what was begun before `until`.
pub async fn forget_requests(tx: &mut Tx, until: Timestamp) -> Result<u64, Error> {
    tx.execute(&FORGET, args![until]).await
}

const BEGIN: Sql = sql!("requests.begin":
    "insert into request_key (caller, key, fingerprint, begun_at) values ($1, $2, $3, $4) on conflict (caller, key) do nothing");

/// Notes that a request has begun; tells whether its key is new.
pub async fn begin_request(tx: &mut Tx, caller: &str, key: &str, fingerprint: &str, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(&BEGIN, args![caller, key, fingerprint, now]).await? > 0)
}

const FIND: Sql = sql!("requests.find": "select fingerprint, begun_at, status, answer from request_key where caller = $1 and key = $2");

/// Returns the request that was made with this key.
pub async fn find_request(tx: &mut Tx, caller: &str, key: &str) -> Result<Option<Request>, Error> {
    tx.fetch_optional(&FIND, args![caller, key]).await
}

const BEGIN_AGAIN: Sql = sql!("requests.begin_again":
    "update request_key set begun_at = $4 where caller = $1 and key = $2 and status is null and begun_at = $3");

/// Takes over a request that was begun and never answered; tells whether nobody else did.
pub async fn begin_request_again(tx: &mut Tx, caller: &str, key: &str, begun_at: i64, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(&BEGIN_AGAIN, args![caller, key, begun_at, now]).await? > 0)
}

const FINISH: Sql = sql!("requests.finish":
    "update request_key set status = $3, answer = $4 where caller = $1 and key = $2 and status is null");

/// Keeps what a request was answered.
pub async fn finish_request(tx: &mut Tx, caller: &str, key: &str, status: u16, answer: &str) -> Result<(), Error> {
    tx.execute(&FINISH, args![caller, key, i64::from(status), answer]).await.map(drop)
}

const DROP: Sql = sql!("requests.drop": "delete from request_key where caller = $1 and key = $2 and status is null");

/// Gives the key of a request back that could not be answered: it may be tried again at once.
pub async fn drop_request(tx: &mut Tx, caller: &str, key: &str) -> Result<(), Error> {
    tx.execute(&DROP, args![caller, key]).await.map(drop)
}
