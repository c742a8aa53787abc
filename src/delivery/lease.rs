//! A worker's lease: the epoch with which it claims, renewed every few seconds, on the real clock (architecture, 7).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::wall_now;
use crate::delivery::Error;
use crate::store::workers::{EmbeddedLock, end_worker, insert_worker, lock_embedded, renew_worker, void_workers};
use crate::store::{Store, sqlite_path};
use crate::time::Timestamp;

/// A lease is renewed when a third of it has passed: two renewals may fail before it is lost.
const RENEWALS: u32 = 3;

/// The lease of this process.
#[derive(Debug)]
pub struct Lease {
    /// The worker's epoch.
    pub epoch: i64,
    span: Duration,
    alive: Alive,
    renew_at: Timestamp,
    /// The embedded database's file lock, held as long as the lease.
    _lock: Option<EmbeddedLock>,
}

/// Whether a lease still holds, for the tasks that hand mails over: a process that stood still is the last to learn that others took over.
#[derive(Clone, Debug)]
pub struct Alive(Arc<AtomicI64>);

impl Alive {
    /// Tells whether the lease holds at this moment of the real clock.
    pub fn holds(&self) -> bool {
        wall_now() < self.until()
    }

    fn until(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl Lease {
    /// Enters this process as a worker.
    ///
    /// # Errors
    /// The embedded database has a worker already, or cannot be written.
    pub async fn begin(store: &Store, database_url: &str, span: Duration) -> Result<Self, Error> {
        let lock = match sqlite_path(database_url) {
            Some(path) => Some(lock_embedded(path)?),
            None => None,
        };
        let wall_now = wall_now();
        let mut tx = store.begin().await?;
        if lock.is_some() {
            void_workers(&mut tx).await?;
        }
        let alive_until = wall_now.plus(span);
        let epoch = insert_worker(&mut tx, &name(), wall_now, alive_until).await?;
        tx.commit().await?;
        Ok(Self {
            epoch,
            span,
            alive: Alive(Arc::new(AtomicI64::new(alive_until.as_millis()))),
            renew_at: wall_now.plus(span / RENEWALS),
            _lock: lock,
        })
    }

    /// Renews the lease where that is due.
    ///
    /// # Errors
    /// The lease ran out before, so what it held may be with others; or the database cannot be written and the lease has run out meanwhile.
    pub async fn keep(&mut self, store: &Store) -> Result<(), Error> {
        let wall_now = wall_now();
        if wall_now < self.renew_at {
            return Ok(());
        }
        match self.renew(store, wall_now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::LeaseLost { epoch: self.epoch }),
            // The database is away for a moment: the lease still holds, and the next turn tries again.
            Err(_) if wall_now < self.alive.until() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn renew(&mut self, store: &Store, wall_now: Timestamp) -> Result<bool, crate::store::Error> {
        let alive_until = wall_now.plus(self.span);
        let mut tx = store.begin().await?;
        let is_held = renew_worker(&mut tx, self.epoch, wall_now, alive_until).await?;
        tx.commit().await?;
        if is_held {
            self.alive.0.store(alive_until.as_millis(), Ordering::Relaxed);
            self.renew_at = wall_now.plus(self.span / RENEWALS);
        }
        Ok(is_held)
    }

    /// Returns a look at whether the lease holds.
    pub fn alive(&self) -> Alive {
        self.alive.clone()
    }

    /// Returns when the lease is to be renewed, on the real clock.
    pub fn renew_at(&self) -> Timestamp {
        self.renew_at
    }

    /// Ends the lease: what it still holds is taken back at once by whoever works next.
    ///
    /// # Errors
    /// The database cannot be written; then the lease runs out by itself.
    pub async fn end(self, store: &Store) -> Result<(), Error> {
        let mut tx = store.begin().await?;
        end_worker(&mut tx, self.epoch).await?;
        Ok(tx.commit().await?)
    }
}

fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} {}", host.trim(), std::process::id())
}
