//! A worker's lease: the epoch with which it claims, renewed every few seconds, on the real clock (architecture, 7).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::wall_now;
use crate::delivery::Error;
use crate::outbox::delivery::InDoubt;
use crate::settings;
use crate::store::workers::{EmbeddedLock, end_workers, insert_worker, lock_embedded, renew_worker, void_workers};
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
    renewed_at: Timestamp,
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

    /// Ends it, for all who look at it, before its time.
    pub fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
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
    pub async fn begin(store: &Store, database_url: &str, worker: &settings::Worker) -> Result<Self, Error> {
        let span = worker.lease;
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
        let epoch = insert_worker(&mut tx, &name(), wall_now, alive_until, worker.in_doubt == InDoubt::Hold).await?;
        tx.commit().await?;
        Ok(Self {
            epoch,
            span,
            alive: Alive(Arc::new(AtomicI64::new(alive_until.as_millis()))),
            renewed_at: wall_now,
            _lock: lock,
        })
    }

    /// Renews the lease where that is due.
    ///
    /// # Errors
    /// The lease ran out before, so what it held may be with others; or the database cannot be written and the lease has run out meanwhile.
    pub async fn keep(&mut self, store: &Store) -> Result<(), Error> {
        // A clock that is set back must not put the renewal off: others would wait for as long before they take over.
        if (self.renewed_at..self.renew_at()).contains(&wall_now()) && self.alive.holds() {
            return Ok(());
        }
        match self.renew(store).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                // The senders stop as well, even where it was not time that ended the lease.
                self.alive.end();
                Err(Error::LeaseLost { epoch: self.epoch })
            }
            // The database is away for a moment: the lease still holds, and the next turn tries again.
            Err(_) if self.alive.holds() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn renew(&mut self, store: &Store) -> Result<bool, crate::store::Error> {
        let mut tx = store.begin().await?;
        // Not before: a transaction may wait for seconds, and the lease run out meanwhile.
        let wall_now = wall_now();
        let alive_until = wall_now.plus(self.span);
        let is_renewed = renew_worker(&mut tx, self.epoch, wall_now, alive_until).await?;
        tx.commit().await?;
        // Until the commit others saw the old lease, and took over if it was past.
        let is_held = is_renewed && self.alive.holds();
        if is_held {
            self.alive.0.store(alive_until.as_millis(), Ordering::Relaxed);
            self.renewed_at = wall_now;
        }
        Ok(is_held)
    }

    /// Enters this process anew in place of a worker whose lease ran out: under another epoch, so that whatever that one did not record is
    /// taken back as a dead worker's. The embedded database's lock was never given away.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn begin_again(&mut self, store: &Store, in_doubt: InDoubt) -> Result<(), Error> {
        let mut tx = store.begin().await?;
        end_workers(&mut tx, &[self.epoch]).await?;
        let wall_now = wall_now();
        let alive_until = wall_now.plus(self.span);
        let epoch = insert_worker(&mut tx, &name(), wall_now, alive_until, in_doubt == InDoubt::Hold).await?;
        tx.commit().await?;
        self.epoch = epoch;
        // The former worker's tasks keep theirs, which is over.
        self.alive = Alive(Arc::new(AtomicI64::new(alive_until.as_millis())));
        self.renewed_at = wall_now;
        Ok(())
    }

    /// Returns a look at whether the lease holds.
    pub fn alive(&self) -> Alive {
        self.alive.clone()
    }

    fn renew_at(&self) -> Timestamp {
        self.renewed_at.plus(self.span / RENEWALS)
    }

    /// Ends the lease: what it still holds is taken back at once by whoever works next.
    ///
    /// # Errors
    /// The database cannot be written; then the lease runs out by itself.
    pub async fn end(self, store: &Store) -> Result<(), Error> {
        let mut tx = store.begin().await?;
        end_workers(&mut tx, &[self.epoch]).await?;
        Ok(tx.commit().await?)
    }
}

fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} {}", host.trim(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::both;
    use crate::store::workers::list_live;

    /// Whoever looks at the leases would otherwise wait for the hour by which the clock was wrong before he took over.
    #[test]
    fn a_lease_is_renewed_at_once_when_the_clock_was_set_back() {
        both(async |store| {
            let settings = settings::Worker::default();
            let mut lease = Lease::begin(&store, "postgres://nobody", &settings).await.expect("a lease");
            let in_an_hour = wall_now().plus(Duration::from_secs(3600));
            let mut tx = store.begin().await.expect("a transaction");
            assert!(renew_worker(&mut tx, lease.epoch, wall_now(), in_an_hour).await.expect("a write"));
            tx.commit().await.expect("a commit");
            lease.alive.0.store(in_an_hour.as_millis(), Ordering::Relaxed);
            lease.renewed_at = in_an_hour;
            lease.keep(&store).await.expect("it holds");
            assert!(lease.alive.until() <= wall_now().plus(settings.lease), "{}", lease.alive.until());
            let mut tx = store.read().await.expect("a transaction");
            assert!(list_live(&mut tx, in_an_hour).await.expect("a read").is_empty());
        });
    }

    /// The clock says that it holds, and whoever looked at another one took over.
    #[test]
    fn a_lease_that_others_ended_is_lost_at_the_next_look() {
        both(async |store| {
            let mut lease = Lease::begin(&store, "postgres://nobody", &settings::Worker::default())
                .await
                .expect("a lease");
            let mut tx = store.begin().await.expect("a transaction");
            end_workers(&mut tx, &[lease.epoch]).await.expect("a write");
            tx.commit().await.expect("a commit");
            lease.keep(&store).await.expect("it is not yet time to renew it");
            lease.alive().end();
            let kept = lease.keep(&store).await;
            assert!(matches!(kept, Err(Error::LeaseLost { .. })), "{kept:?}");
        });
    }

    /// Whoever looks at the leases while a renewal waits for the database sees one that has run out, and takes over.
    #[test]
    fn a_lease_that_runs_out_while_its_renewal_waits_is_lost() {
        both(async |store| {
            let worker = settings::Worker {
                lease: Duration::from_millis(300),
                ..settings::Worker::default()
            };
            let mut lease = Lease::begin(&store, "postgres://nobody", &worker).await.expect("a lease");
            let mut held_up = store.begin().await.expect("a transaction");
            renew_worker(&mut held_up, lease.epoch, wall_now(), lease.alive.until())
                .await
                .expect("a lock");
            let until = lease.alive.until();
            // Due, and not over yet.
            lease.renewed_at = Timestamp::from_millis(0);
            let (kept, ()) = tokio::join!(lease.keep(&store), async {
                while wall_now() <= until {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                held_up.rollback().await.expect("a rollback");
            });
            assert!(matches!(kept, Err(Error::LeaseLost { .. })), "{kept:?}");
            assert!(!lease.alive().holds());
        });
    }
}
