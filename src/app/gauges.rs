//! What the metrics ask of the database, and whether it can be written: by statements whose cost grows with what waits, not with what is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::app::Error;
use crate::outbox::Kind;
use crate::store::meta::{READY_AT, put_meta};
use crate::store::{Store, deliveries, items, leads, notices, rejected, relays, resources};
use crate::telemetry::metrics::Gauges;
use crate::time::Timestamp;

/// Reads them at `now`.
///
/// # Errors
/// The database cannot be read.
pub async fn gauges(store: &Store, now: Timestamp) -> Result<Gauges, Error> {
    let mut tx = store.read().await?;
    // Each kind is told, also where nothing waits: a series that goes is no zero.
    let mut backlog: BTreeMap<String, i64> = Kind::ALL.iter().map(|kind| (kind.as_str().to_owned(), 0)).collect();
    let mut oldest = now;
    for one in notices::list_backlog(&mut tx, now).await? {
        *backlog.entry(one.kind).or_default() += one.n;
        oldest = oldest.min(Timestamp::from_millis(one.first_due_at));
    }
    for one in deliveries::list_backlog(&mut tx, now).await? {
        *backlog.entry(one.kind).or_default() += one.n;
        oldest = oldest.min(Timestamp::from_millis(one.first_due_at));
    }
    let parked = notices::list_parked_partners(&mut tx, i64::MAX).await?;
    Ok(Gauges {
        oldest_due: now.since(oldest),
        backlog: backlog.into_iter().collect(),
        n_parked: parked.into_iter().map(|(_, n)| n).sum(),
        n_held: leads::count_held(&mut tx).await?,
        n_rejected: rejected::count_open(&mut tx).await?,
        n_known: resources::count_known(&mut tx).await?,
        n_items: items::count_waiting(&mut tx).await?,
        n_waiting: relays::count_waiting(&mut tx).await?,
        sent_today: relays::list_sent(&mut tx, now)
            .await?
            .into_iter()
            .map(|(relay, sent)| (relay, sent.today))
            .collect(),
    })
}

/// Why a process is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Nothing can be recorded.
    #[error("the database cannot be written: {0}")]
    NotWritable(Error),
    /// What is due is not done.
    #[error("a mail has been due for {} s and was not tried", .0.as_secs())]
    Late(Duration),
}

/// Tells whether work is done: something can be recorded, and nothing has been due for longer than `patience`. A mail that a relay puts off is due
/// later, and so is no reason to be late; nor is one that is not taken up because no relay may be asked, or all have sent what they may.
///
/// # Errors
/// Why not.
pub async fn ready(store: &Store, now: Timestamp, patience: Duration) -> Result<(), NotReady> {
    touch(store, now).await.map_err(NotReady::NotWritable)?;
    let mut tx = store.read().await.map_err(|error| NotReady::NotWritable(error.into()))?;
    let due = [notices::next_due(&mut tx).await, deliveries::next_due(&mut tx).await];
    let rests = relays::rests_until(&mut tx, now, now).await;
    drop(tx);
    if rests.map_err(|error| NotReady::NotWritable(error.into()))?.is_some() {
        return Ok(());
    }
    for due in due {
        let due = due.map_err(|error| NotReady::NotWritable(error.into()))?;
        let late = due.map_or(Duration::ZERO, |at| now.since(at));
        if late > patience {
            return Err(NotReady::Late(late));
        }
    }
    Ok(())
}

/// Writes a row: a full disk lets everything else be done.
async fn touch(store: &Store, now: Timestamp) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    put_meta(&mut tx, READY_AT, &now.to_string()).await?;
    Ok(tx.commit().await?)
}
