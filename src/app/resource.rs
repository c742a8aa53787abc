//! Keeps what the portal's webhook named until its content is here: known, fetched, or failed with the reason.

use std::time::Duration;

use crate::app::{Error, Rules};
use crate::store::Store;
use crate::store::resources::{Resource, claim_resources, forget_resources, next_due, note_resource, retry_resource, settle_resource};
use crate::time::Timestamp;

/// Resources that are fetched at once: a portal's API is a web application, and its answers lie in memory.
pub const FETCHES_MAX: i64 = 8;
/// After this a fetch that was begun is one whose process died.
const ABANDONED_AFTER: Duration = Duration::from_secs(120);
/// How long a resource is tried that cannot be fetched.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2 * 24 * 3600);
/// How long it is told how a fetch went: as long as somebody may ask why a lead is not here.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How a fetch went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Its content was taken in, or is kept among the rejected records.
    TakenIn(String),
    /// It may go well later.
    Later(String),
    /// It will not.
    Failed(String),
}

/// Returns what a resource is called: the last segment of its address.
pub fn resource_id(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or(uri).trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// Notes that something has happened to a resource, and forgets a few of which nothing was heard for long.
///
/// # Errors
/// The database cannot record it.
pub async fn note(store: &Store, now: Timestamp, uri: &str, event_name: &str) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    forget_resources(&mut tx, now.minus(KEPT_FOR)).await?;
    note_resource(&mut tx, now, uri, resource_id(uri), event_name).await?;
    Ok(tx.commit().await?)
}

/// Takes a few that are due; where none is, says when the next one will be.
///
/// # Errors
/// The database cannot record it.
pub async fn claim(store: &Store, now: Timestamp) -> Result<(Vec<Resource>, Option<Timestamp>), Error> {
    let mut tx = store.read().await?;
    let next = next_due(&mut tx).await?;
    drop(tx);
    if next.is_none_or(|at| at > now) {
        return Ok((Vec::new(), next));
    }
    let mut tx = store.begin().await?;
    let claimed = claim_resources(&mut tx, now, now.plus(ABANDONED_AFTER), FETCHES_MAX).await?;
    tx.commit().await?;
    Ok((claimed, None))
}

/// Records how fetches went.
///
/// # Errors
/// The database cannot record it; then they are fetched once more, which changes nothing.
pub async fn record(store: &Store, now: Timestamp, rules: &Rules, fetched: &[(Resource, Fetched)]) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    for (resource, how) in fetched {
        match how {
            Fetched::TakenIn(detail) => settle_resource(&mut tx, resource, "fetched", detail).await?,
            Fetched::Failed(detail) => settle_resource(&mut tx, resource, "failed", detail).await?,
            Fetched::Later(detail) if now.since(Timestamp::from_millis(resource.known_at)) >= GIVE_UP_AFTER => {
                settle_resource(&mut tx, resource, "failed", detail).await?;
            }
            Fetched::Later(detail) => {
                let attempt = u32::try_from(resource.attempt).unwrap_or(u32::MAX);
                retry_resource(&mut tx, resource, now.plus(rules.retry.backoff(attempt, 0.5)), detail).await?;
            }
        }
    }
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_called_by_the_end_of_its_address() {
        for (uri, expected) in [
            ("https://api.portal.example/v1/referrals/L1", "L1"),
            ("https://api.portal.example/v1/referrals/L1/", "L1"),
            ("https://api.portal.example/v1/referrals/L1?api=2", "L1"),
            ("L1", "L1"),
        ] {
            assert_eq!(resource_id(uri), expected, "{uri}");
        }
    }
}
