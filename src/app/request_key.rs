//! Answers a request that is sent again as it was answered before, instead of doing it twice: by its Idempotency-Key, for a day.

use std::time::Duration;

use crate::app::Error;
use crate::store::Store;
use crate::store::requests::{begin_request, begin_request_again, drop_request, find_request, finish_request, forget_requests};
use crate::time::Timestamp;

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// After this a request without an answer is one whose process died: longer than any request may take.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is new: do it.
    New,
    /// It was done: answer this.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
    /// The first one is still being done.
    UnderWay,
    /// The key was used for something else.
    Different,
}

/// A request, by whom and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Name of the token.
    pub caller: &'a str,
    /// The Idempotency-Key.
    pub key: &'a str,
    /// Of path and body.
    pub fingerprint: &'a str,
}

/// Says what is to be done about a request at `now`, and notes that it has begun.
///
/// # Errors
/// The database cannot record it.
pub async fn begin(store: &Store, now: Timestamp, request: Key<'_>) -> Result<Begun, Error> {
    let Key { caller, key, fingerprint } = request;
    let mut tx = store.begin().await?;
    forget_requests(&mut tx, now.minus(KEPT_FOR)).await?;
    if begin_request(&mut tx, caller, key, fingerprint, now).await? {
        tx.commit().await?;
        return Ok(Begun::New);
    }
    let Some(first) = find_request(&mut tx, caller, key).await? else {
        // Given back in between.
        return Ok(Begun::UnderWay);
    };
    if first.fingerprint != fingerprint {
        return Ok(Begun::Different);
    }
    if let (Some(status), Some(answer)) = (first.status, first.answer) {
        let status = u16::try_from(status).unwrap_or(200);
        return Ok(Begun::Answered { status, answer });
    }
    let is_abandoned = now.since(Timestamp::from_millis(first.begun_at)) > ABANDONED_AFTER;
    if is_abandoned && begin_request_again(&mut tx, caller, key, first.begun_at, now).await? {
        tx.commit().await?;
        return Ok(Begun::New);
    }
    Ok(Begun::UnderWay)
}

/// Keeps the answer of a request that has begun.
///
/// # Errors
/// The database cannot record it.
pub async fn finish(store: &Store, request: Key<'_>, status: u16, answer: &str) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    finish_request(&mut tx, request.caller, request.key, status, answer).await?;
    Ok(tx.commit().await?)
}

/// Gives the key of a request back that could not be done.
///
/// # Errors
/// The database cannot record it.
pub async fn give_back(store: &Store, request: Key<'_>) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    drop_request(&mut tx, request.caller, request.key).await?;
    Ok(tx.commit().await?)
}
