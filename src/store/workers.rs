//! Worker processes and their leases, which run on the real clock (architecture, 7).

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};

use crate::store::engine::{Sql, Tx, args, row, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&INSERT, &RENEW, &END, &ENDED, &VOID, &MARKING, &LIVE];

/// The lock on the file beside an embedded database. The system drops it with the process, so a lock that can be had means that no other worker lives.
#[derive(Debug)]
pub struct EmbeddedLock(#[expect(dead_code, reason = "held, not read")] File);

/// Takes the lock beside the database file at `path`.
///
/// # Errors
/// Another worker holds it, or the file cannot be made.
pub fn lock_embedded(path: &str) -> Result<EmbeddedLock, Error> {
    let path = format!("{path}.worker");
    let open = File::options().create(true).write(true).truncate(false).open(&path);
    let file = open.map_err(|source| Error::LockFile {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(EmbeddedLock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::WorkerThere { path }),
        Err(TryLockError::Error(source)) => Err(Error::LockFile { path, source }),
    }
}

/// Tells whether a worker of the embedded database lives.
///
/// # Errors
/// The file cannot be made.
pub fn is_embedded_locked(path: &str) -> Result<bool, Error> {
    match lock_embedded(path) {
        Ok(_) => Ok(false),
        Err(Error::WorkerThere { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

struct EpochRow {
    epoch: i64,
}
row!(EpochRow: epoch);

const INSERT: Sql =
    sql!("workers.insert": "insert into worker (name, started_at, alive_until, is_marking) values ($1, $2, $3, $4) returning epoch");

/// Enters a worker, and returns its epoch. `is_marking`: it marks deliveries before it hands them over.
pub async fn insert_worker(tx: &mut Tx, name: &str, wall_now: Timestamp, alive_until: Timestamp, is_marking: bool) -> Result<i64, Error> {
    let found: Option<EpochRow> = tx.fetch_optional(&INSERT, args![name, wall_now, alive_until, is_marking]).await?;
    Ok(found.expect("an insert returns its row").epoch)
}

const RENEW: Sql = sql!("workers.renew": "update worker set alive_until = $2 where epoch = $1 and alive_until >= $3");

/// Renews a lease that has not run out; tells whether it had not.
pub async fn renew_worker(tx: &mut Tx, epoch: i64, wall_now: Timestamp, alive_until: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(&RENEW, args![epoch, alive_until, wall_now]).await? > 0)
}

const END: Sql = sql!("workers.end": "update worker set alive_until = 0 where epoch in (select r.id from " (id bigint) ")");

/// Ends workers' leases for good: whatever their clocks say later, they are not renewed, and nothing is claimed under them.
pub async fn end_workers(tx: &mut Tx, epochs: &[i64]) -> Result<(), Error> {
    tx.execute(&END, args![super::number_rows(epochs)]).await?;
    Ok(())
}

const ENDED: Sql = sql!("workers.ended": "select epoch from worker where epoch = $1 and alive_until = 0");

/// Tells whether a worker's lease was ended.
pub async fn is_ended(tx: &mut Tx, epoch: i64) -> Result<bool, Error> {
    let found: Option<EpochRow> = tx.fetch_optional(&ENDED, args![epoch]).await?;
    Ok(found.is_some())
}

const VOID: Sql = sql!("workers.void": "update worker set alive_until = 0 where alive_until > 0");

/// Voids all leases: the embedded database's lock is ours, so no other worker lives.
pub async fn void_workers(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&VOID, args![]).await?;
    Ok(())
}

const MARKING: Sql = sql!("workers.marking": "select epoch from worker where is_marking and epoch in (select r.id from " (id bigint) ")");

/// Returns those of these workers that mark deliveries before they hand them over.
pub async fn find_marking(tx: &mut Tx, epochs: &[i64]) -> Result<BTreeSet<i64>, Error> {
    let found: Vec<EpochRow> = tx.fetch_all(&MARKING, args![super::number_rows(epochs)]).await?;
    Ok(found.into_iter().map(|row| row.epoch).collect())
}

/// A worker that is alive.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its epoch.
    pub epoch: i64,
    /// Host and process.
    pub name: String,
    /// Since when.
    pub started_at: i64,
    /// Until when, unless it renews.
    pub alive_until: i64,
}
row!(Worker: epoch, name, started_at, alive_until);

const LIVE: Sql = sql!("workers.live": "select epoch, name, started_at, alive_until from worker where alive_until >= $1 order by epoch");

/// Lists the workers that are alive.
pub async fn list_live(tx: &mut Tx, wall_now: Timestamp) -> Result<Vec<Worker>, Error> {
    tx.fetch_all(&LIVE, args![wall_now]).await
}
