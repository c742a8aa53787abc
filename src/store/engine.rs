//! One door to two engines: a pool, a transaction, and statements whose text is written once, or side by side where the engines differ.
//!
//! Rows go in as one parameter and are unpacked with typed columns: `json_to_recordset` on PostgreSQL, `jsonb_each` on SQLite (1,000 inserted rows took
//! 14 and 10 ms so, 29 and 11 ms by the obvious functions); few rows are bound one by one on SQLite (`rows`).
//!
//! Rows that are given by id are found by id. `state || '' = …` and `owner + 0 = …` keep both engines from an index of what is open instead: statistics of a
//! quiet hour call that empty, and then each of the rows would be compared with all that is open (a test looks at the plans).
//!
//! **Invariant:** whatever waits for an engine is boxed here and knows no row's type. An `async fn` is compiled into each part of the program that waits
//! for it, and so would be all of sqlx beneath it; behind a box it is compiled once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Database, PgPool, SqlitePool, Transaction};

use crate::store::error::Error;
use crate::store::migrations;
use crate::store::packed::unpack;
use crate::store::rows::{Rows, bound};
use crate::store::wake::Wakeups;
use crate::time::Timestamp;

/// How long a SQLite writer waits for another process before it says so.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take before the database counts as unreachable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of the write-ahead log after which it is folded back: 16 MiB. A page that many commits write is folded back once: with statements kept in memory,
/// a mail took 2.6 writes to the disk, at SQLite's own 1,000 pages 4.0.
const WAL_PAGES: &str = "4000";
/// Readers beside SQLite's one writer: lists and `explain` run while a batch is written.
const SQLITE_READERS: u32 = 4;
/// How often a transaction that lost against another one is built anew (architecture, 3).
const TRIES_MAX: u32 = 4;

/// A statement: its name, and its text on each engine.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// Writes a statement once for both engines. `(id text, n bigint)` unpacks the JSON rows in `$1` as `r`; `lock` and `skip_locked` are PostgreSQL's row locks.
/// `[packed id bigint, name text] " from …" end` selects these columns for [`Tx::fetch_packed`].
macro_rules! sql {
    (@s ($($n:ident $t:ident),+)) => { concat!("(select ", $("value->>'", stringify!($n), "' as ", stringify!($n), ", ",)+ "key as ord from jsonb_each($1)) as r") };
    (@p ($($n:ident $t:ident),+)) => { concat!("json_to_recordset($1::json) as r(", $(stringify!($n), " ", stringify!($t), ", ",)+ "ord bigint)") };
    (@s [packed $first:ident $t:ident $(, $n:ident $u:ident)*]) => {
        concat!($crate::store::engine::sql!(@pack $first $t $(, $n $u)*), " from (select ", stringify!($first), $(", ", stringify!($n)),*)
    };
    (@p [packed $first:ident $t:ident $(, $n:ident $u:ident)*]) => { concat!("select ", stringify!($first), $(", ", stringify!($n)),*) };
    (@pack $($n:ident $t:ident),+) => { concat!("select group_concat(concat(''", $($crate::store::engine::sql!(@cell $n $t)),+, "), '') as packed") };
    (@cell $n:ident text) => { concat!(", octet_length(", stringify!($n), "), ':', ", stringify!($n)) };
    (@cell $n:ident $t:ident) => { concat!(", ", stringify!($n), ", ','") };
    (@s end) => { ")" };
    (@p end) => { "" };
    (@s skip_locked) => { "" };
    (@p skip_locked) => { " for update skip locked" };
    (@s lock) => { "" };
    (@p lock) => { " for update" };
    (@s [$s:literal | $p:literal]) => { $s };
    (@p [$s:literal | $p:literal]) => { $p };
    (@s $l:literal) => { $l };
    (@p $l:literal) => { $l };
    ($name:literal: $($part:tt)+) => {
        $crate::store::engine::Sql {
            name: $name,
            sqlite: concat!("/* ", $name, " */ ", $($crate::store::engine::sql!(@s $part)),+),
            postgres: concat!("/* ", $name, " */ ", $($crate::store::engine::sql!(@p $part)),+),
        }
    };
}
pub(crate) use sql;

/// A value bound to a statement.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A number, an instant in milliseconds, or null.
    Int(Option<i64>),
    /// A text, JSON text, or null.
    Text(Option<Arc<str>>),
    /// True or false.
    Bool(bool),
    /// Rows to unpack.
    Rows(Rows),
}

impl From<Rows> for Arg {
    fn from(rows: Rows) -> Self {
        Self::Rows(rows)
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl From<Timestamp> for Arg {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.as_millis()))
    }
}
impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(Arc::from(value)))
    }
}
impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(Arc::from(value)))
    }
}
impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(Arc::from))
    }
}
impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(Arc::from))
    }
}
impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// Makes the list of values for a statement, in the order of `$1, $2, …`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::engine::Arg::from($value)),*] };
}
pub(crate) use args;

/// A row as an engine gave it.
pub(crate) enum RawRow {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl RawRow {
    /// Returns what stands in a column.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    pub(crate) fn read<T: Value>(&self, column: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => sqlx::Row::try_get(row, column),
            Self::Postgres(row) => sqlx::Row::try_get(row, column),
        }
    }
}

/// What either engine can give.
pub(crate) trait Value: ValueOf<Sqlite> + ValueOf<Postgres> {}
impl<T: ValueOf<Sqlite> + ValueOf<Postgres>> Value for T {}

pub(crate) trait ValueOf<E: Database>: for<'r> sqlx::Decode<'r, E> + sqlx::Type<E> {}
impl<E: Database, T: for<'r> sqlx::Decode<'r, E> + sqlx::Type<E>> ValueOf<E> for T {}

/// A row as a store file reads it; [`row!`] makes a struct one.
pub(crate) trait Row: Sized {
    fn read(row: &RawRow) -> Result<Self, sqlx::Error>;
}

/// Makes a struct a row whose columns bear its fields' names. sqlx's derive would write each once for either engine, and to build it takes both engines
/// and a second SQLite for the build machine: 95 CPU seconds of a release build.
macro_rules! row {
    ($row:ident: $($column:ident),+) => {
        impl $crate::store::engine::Row for $row {
            fn read(row: &$crate::store::engine::RawRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($column: row.read(stringify!($column))?),+ })
            }
        }
    };
}
pub(crate) use row;

/// Returns rows as the one parameter that statements unpack.
pub(crate) fn rows<T: Serialize>(rows: &[T]) -> Rows {
    Rows::of(rows)
}

/// Returns a list as JSON text, for a column that holds one.
pub(crate) fn json<T: Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).expect("a list of texts is JSON")
}

/// The lead store.
#[derive(Clone, Debug)]
pub struct Store {
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    /// One writer behind a queue, readers beside.
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
    },
    Postgres(PgPool),
}

/// A transaction; dropped without [`Tx::commit`] it leaves no trace.
pub struct Tx {
    inner: Inner,
    /// Whether its commit is of interest to workers in other processes.
    brings_work: bool,
}

enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// What to do about a database that is not there, or older than this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Make it (SQLite), bring it up to date.
    Create,
    /// Say so, and name `migrate`.
    Refuse,
}

impl Store {
    /// Opens the database at `url`. With [`Missing::Create`] a missing SQLite file is made and its schema with it; a PostgreSQL schema is made by `migrate` alone.
    ///
    /// # Errors
    /// The database cannot be reached or used, or its schema is missing, older or newer.
    pub async fn open(url: &str, max_connections: u32, missing: Missing) -> Result<Self, Error> {
        let store = Self::connect(url, max_connections, missing == Missing::Create).await?;
        let is_sqlite = matches!(store.engine, Engine::Sqlite { .. });
        if is_sqlite && missing == Missing::Create {
            store.migrate().await?;
        } else {
            store.check_schema(url).await?;
        }
        Ok(store)
    }

    /// Opens the database whatever its schema, makes a missing SQLite file, and brings the schema up to date.
    ///
    /// # Errors
    /// The database cannot be reached or written, or its schema is newer.
    pub async fn open_and_migrate(url: &str, max_connections: u32) -> Result<Self, Error> {
        let store = Self::connect(url, max_connections, true).await?;
        store.migrate().await?;
        Ok(store)
    }

    fn connect(url: &str, max_connections: u32, create: bool) -> BoxFuture<'_, Result<Self, Error>> {
        Box::pin(async move {
            let away = |source| Error::Unreachable { url: shown(url), source };
            if let Some(path) = sqlite_path(url) {
                if !create && !std::path::Path::new(path).exists() {
                    return Err(Error::NoSchema { url: shown(url) });
                }
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(create)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT)
                    .pragma("wal_autocheckpoint", WAL_PAGES)
                    // Statements that write many rows keep their way back in memory, not in a file.
                    .pragma("temp_store", "memory")
                    .statement_cache_capacity(256);
                // A file does not hang up: to ask the connection whether it is still there would cost each transaction two thread switches.
                let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).test_before_acquire(false);
                let writer = pool().max_connections(1);
                let write = writer.connect_with(options.clone()).await.map_err(away)?;
                let reader = pool().max_connections(SQLITE_READERS);
                let read = reader.connect_lazy_with(options.create_if_missing(false).read_only(true));
                return Ok(Self {
                    engine: Engine::Sqlite { write, read },
                });
            }
            let options: PgConnectOptions = url.parse().map_err(away)?;
            // The pool would try a refused connection again until its time is up, and then say only that.
            let first = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await;
            first.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(away)?;
            let pool = PgPoolOptions::new()
                .max_connections(max_connections)
                .acquire_timeout(ACQUIRE_TIMEOUT);
            Ok(Self {
                engine: Engine::Postgres(pool.connect_with(options).await.map_err(away)?),
            })
        })
    }

    fn migrate(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let done = match &self.engine {
                Engine::Sqlite { write, .. } => migrations::sqlite().run(write).await,
                Engine::Postgres(pool) => migrations::postgres().run(pool).await,
            };
            done.map_err(|error| match error {
                sqlx::migrate::MigrateError::VersionMissing(_) | sqlx::migrate::MigrateError::VersionTooNew(..) => Error::NewerSchema,
                source => Error::Migrate { source: Box::new(source) },
            })?;
            super::facets::fill(self).await
        })
    }

    async fn check_schema(&self, url: &str) -> Result<(), Error> {
        let newest = migrations::newest();
        let found = match self.schema_version().await {
            Ok(found) => found,
            Err(Error::Query { source, .. }) if is_missing_table(&source) => None,
            Err(error) => return Err(error),
        };
        match found {
            None => Err(Error::NoSchema { url: shown(url) }),
            Some(found) if found < newest => Err(Error::OlderSchema { found, newest }),
            Some(found) if found > newest => Err(Error::NewerSchema),
            Some(_) => Ok(()),
        }
    }

    async fn schema_version(&self) -> Result<Option<i64>, Error> {
        struct Version {
            version: Option<i64>,
        }
        row!(Version: version);
        let mut tx = self.read().await?;
        let found: Option<Version> = tx.fetch_optional(&SCHEMA_VERSION, args![]).await?;
        Ok(found.and_then(|row| row.version))
    }

    /// Begins a transaction that writes. On SQLite it is the only one.
    pub fn begin(&self) -> BoxFuture<'_, Result<Tx, Error>> {
        Box::pin(async move {
            seam("begin")?;
            let inner = match &self.engine {
                Engine::Sqlite { write, .. } => Inner::Sqlite(begin_immediate(write).await.map_err(|e| Error::query("begin", e))?),
                Engine::Postgres(pool) => Inner::Postgres(pool.begin().await.map_err(|e| Error::query("begin", e))?),
            };
            Ok(Tx { inner, brings_work: false })
        })
    }

    /// Begins a transaction that only reads, beside the writer.
    pub fn read(&self) -> BoxFuture<'_, Result<Tx, Error>> {
        Box::pin(async move {
            seam("begin")?;
            let inner = match &self.engine {
                Engine::Sqlite { read, .. } => Inner::Sqlite(read.begin().await.map_err(|e| Error::query("begin", e))?),
                Engine::Postgres(pool) => Inner::Postgres(pool.begin().await.map_err(|e| Error::query("begin", e))?),
            };
            Ok(Tx { inner, brings_work: false })
        })
    }

    /// Begins a transaction that only reads, and reads one snapshot throughout: for sums that have to add up, and for a story without contradictions.
    /// SQLite's readers do so anyway.
    pub fn snapshot(&self) -> BoxFuture<'_, Result<Tx, Error>> {
        Box::pin(async move {
            let Engine::Postgres(pool) = &self.engine else {
                return self.read().await;
            };
            let begun = pool.begin_with("begin isolation level repeatable read read only").await;
            let inner = Inner::Postgres(begun.map_err(|e| Error::query("begin", e))?);
            Ok(Tx { inner, brings_work: false })
        })
    }

    /// Tells whether the database is the embedded one, which one worker process serves at a time.
    pub fn is_embedded(&self) -> bool {
        matches!(self.engine, Engine::Sqlite { .. })
    }

    /// Begins to listen for work that other processes bring (architecture, 6).
    ///
    /// # Errors
    /// The database gives no further connection.
    pub fn wakeups(&self) -> BoxFuture<'_, Result<Wakeups, Error>> {
        Box::pin(async move {
            let found = match &self.engine {
                Engine::Sqlite { read, .. } => Wakeups::of_sqlite(&read.connect_options()).await,
                Engine::Postgres(pool) => Wakeups::of_postgres(&pool.connect_options()).await,
            };
            found.map_err(|e| Error::query("wakeups", e))
        })
    }

    /// Returns the pool, where it is PostgreSQL: for tests that look at the database from outside.
    #[cfg(test)]
    pub(crate) fn postgres(&self) -> Option<&PgPool> {
        match &self.engine {
            Engine::Sqlite { .. } => None,
            Engine::Postgres(pool) => Some(pool),
        }
    }

    /// Returns the writer's pool, where it is SQLite: for tests that look at the database from outside.
    #[cfg(test)]
    pub(crate) fn sqlite(&self) -> Option<&SqlitePool> {
        match &self.engine {
            Engine::Sqlite { write, .. } => Some(write),
            Engine::Postgres(_) => None,
        }
    }

    /// Closes all connections; on SQLite the write-ahead log is folded back.
    pub fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match &self.engine {
                Engine::Sqlite { write, read } => {
                    read.close().await;
                    write.close().await;
                }
                Engine::Postgres(pool) => pool.close().await,
            }
        })
    }
}

/// The channel on which workers on PostgreSQL listen.
pub(super) const CHANNEL: &str = "posthorn_work";

pub(super) const WAKE: Sql = sql!("store.wake": ["select 1" | "select pg_notify('posthorn_work', '')"]);

const SCHEMA_VERSION: Sql = sql!("store.schema_version": "select max(version) as version from _sqlx_migrations where success");

/// Begins the one writing transaction. On a full disk SQLite ends a transaction by itself, and the driver goes on counting it: such a connection is
/// closed, and another one made.
async fn begin_immediate(pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    match pool.begin_with("begin immediate").await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            // What its end complains of is of no use any more.
            pool.acquire().await?.close().await.ok();
            pool.begin_with("begin immediate").await
        }
        begun => begun,
    }
}

/// Runs a transaction again that lost against another one, up to three times (architecture, 3).
pub(crate) async fn retried<T, F: Future<Output = Result<T, Error>>>(mut once: impl FnMut() -> F) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match once().await {
            Err(error) if error.is_conflict() && tries < TRIES_MAX => tries += 1,
            answer => return answer,
        }
    }
}

/// Fails where the simulation wants this call to (`fault_point::arm`).
#[cfg(feature = "fault-points")]
fn seam(name: &'static str) -> Result<(), Error> {
    use crate::fault_point::{Failure, seam};
    let source = match seam(name) {
        None => return Ok(()),
        Some(Failure::Conflict) => sqlx::Error::Database(Box::new(super::error::Conflict)),
        Some(Failure::Away) => std::io::Error::other("the database is away, since the simulation wants it so").into(),
    };
    Err(Error::query(name, source))
}

#[cfg(not(feature = "fault-points"))]
#[inline]
fn seam(_name: &'static str) -> Result<(), Error> {
    Ok(())
}

macro_rules! bind {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Bool(value) => query.bind(value),
                Arg::Rows(rows) => query.bind(rows.to_json()),
            };
        }
        query
    }};
}

impl Tx {
    /// Makes everything written so far permanent.
    pub fn commit(mut self) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            if self.brings_work && !self.is_embedded() {
                self.execute(&WAKE, args![]).await?;
            }
            seam("commit.before")?;
            crate::fault_point::hit("commit.before");
            let done = match self.inner {
                Inner::Sqlite(tx) => tx.commit().await,
                Inner::Postgres(tx) => tx.commit().await,
            };
            crate::fault_point::hit("commit.after");
            done.map_err(|e| Error::query("commit", e))?;
            seam("commit.after")
        })
    }

    /// Says that there is work behind its commit: whoever sleeps is woken by it. On SQLite everybody sees each commit by himself.
    pub(crate) fn brings_work(&mut self) {
        self.brings_work = true;
    }

    /// Forgets everything written so far.
    pub fn rollback(self) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let done = match self.inner {
                Inner::Sqlite(tx) => tx.rollback().await,
                Inner::Postgres(tx) => tx.rollback().await,
            };
            done.map_err(|e| Error::query("rollback", e))
        })
    }

    /// Runs a statement and returns how many rows it changed.
    pub(crate) fn execute<'t>(&'t mut self, sql: &Sql, args: Vec<Arg>) -> BoxFuture<'t, Result<u64, Error>> {
        let sql = *sql;
        Box::pin(async move {
            seam(sql.name)?;
            let done = match &mut self.inner {
                Inner::Sqlite(tx) => on_sqlite(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected()),
                Inner::Postgres(tx) => on_postgres(sql, args).execute(&mut **tx).await.map(|done| done.rows_affected()),
            };
            done.map_err(|e| Error::query(sql.name, e))
        })
    }

    fn fetch<'t>(&'t mut self, sql: &Sql, args: Vec<Arg>) -> BoxFuture<'t, Result<Vec<RawRow>, Error>> {
        let sql = *sql;
        Box::pin(async move {
            seam(sql.name)?;
            let found = match &mut self.inner {
                Inner::Sqlite(tx) => on_sqlite(sql, args).map(RawRow::Sqlite).fetch_all(&mut **tx).await,
                Inner::Postgres(tx) => on_postgres(sql, args).map(RawRow::Postgres).fetch_all(&mut **tx).await,
            };
            found.map_err(|e| Error::query(sql.name, e))
        })
    }

    fn fetch_one<'t>(&'t mut self, sql: &Sql, args: Vec<Arg>) -> BoxFuture<'t, Result<Option<RawRow>, Error>> {
        let sql = *sql;
        Box::pin(async move {
            seam(sql.name)?;
            let found = match &mut self.inner {
                Inner::Sqlite(tx) => on_sqlite(sql, args).map(RawRow::Sqlite).fetch_optional(&mut **tx).await,
                Inner::Postgres(tx) => on_postgres(sql, args).map(RawRow::Postgres).fetch_optional(&mut **tx).await,
            };
            found.map_err(|e| Error::query(sql.name, e))
        })
    }

    /// Runs a statement and returns its rows.
    pub(crate) async fn fetch_all<T: Row>(&mut self, sql: &Sql, args: Vec<Arg>) -> Result<Vec<T>, Error> {
        let found = self.fetch(sql, args).await?;
        let read: Result<Vec<T>, sqlx::Error> = found.iter().map(T::read).collect();
        read.map_err(|e| Error::query(sql.name, e))
    }

    /// Runs a statement that gives many rows, on SQLite as one text in one row (`packed`): its thread hands rows over one by one, and each may cost the two
    /// threads a wake-up (unpacked, a claim and its outcome took five futex calls a mail).
    pub(crate) async fn fetch_packed<T: Row + DeserializeOwned>(&mut self, sql: &Sql, args: Vec<Arg>) -> Result<Vec<T>, Error> {
        struct Packed {
            packed: Option<String>,
        }
        row!(Packed: packed);
        if matches!(self.inner, Inner::Postgres(_)) {
            return self.fetch_all(sql, args).await;
        }
        let packed = self
            .fetch_first::<Packed>(sql, args)
            .await?
            .and_then(|row| row.packed)
            .unwrap_or_default();
        unpack(&packed).map_err(|e| Error::query(sql.name, sqlx::Error::Decode(e.into())))
    }

    /// Tells whether the database is the embedded one.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.inner, Inner::Sqlite(_))
    }

    /// Runs a statement and returns its first row, if any.
    pub(crate) async fn fetch_optional<T: Row>(&mut self, sql: &Sql, args: Vec<Arg>) -> Result<Option<T>, Error> {
        let found = self.fetch(sql, args).await?;
        let read = found.first().map(T::read).transpose();
        read.map_err(|e| Error::query(sql.name, e))
    }

    /// Runs a statement that only reads and has one row, and does not wait to be told that there is no second one.
    async fn fetch_first<T: Row>(&mut self, sql: &Sql, args: Vec<Arg>) -> Result<Option<T>, Error> {
        let found = self.fetch_one(sql, args).await?;
        let read = found.as_ref().map(T::read).transpose();
        read.map_err(|e| Error::query(sql.name, e))
    }

    /// Runs a statement that counts, and returns the number in its column `n`.
    pub(crate) async fn count(&mut self, sql: &Sql, args: Vec<Arg>) -> Result<i64, Error> {
        struct Count {
            n: Option<i64>,
        }
        row!(Count: n);
        Ok(self.fetch_first::<Count>(sql, args).await?.and_then(|row| row.n).unwrap_or(0))
    }
}

fn on_sqlite(sql: Sql, args: Vec<Arg>) -> Query<'static, Sqlite, <Sqlite as Database>::Arguments> {
    let (text, args) = bound(sql.sqlite, args);
    bind!(sqlx::query(text), args)
}

fn on_postgres(sql: Sql, args: Vec<Arg>) -> Query<'static, Postgres, <Postgres as Database>::Arguments> {
    bind!(sqlx::query(sql.postgres), args)
}

/// Returns the file of a SQLite URL, `None` for PostgreSQL.
pub fn sqlite_path(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

/// Returns a database URL without its password.
pub fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((credentials, host))) => {
            let user = credentials
                .split_once("://")
                .map_or("", |(_, rest)| rest)
                .split(':')
                .next()
                .unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        _ => url.to_owned(),
    }
}

fn is_missing_table(error: &sqlx::Error) -> bool {
    let Some(db) = error.as_database_error() else { return false };
    db.code().is_some_and(|code| code == "42P01") || db.message().starts_with("no such table")
}
