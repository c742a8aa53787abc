//! A store for a test, on both engines: SQLite in a temporary folder, PostgreSQL as a database of its own in the server that the tests were given.

use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row as _};

use crate::store::Store;

/// Where the server is in which PostgreSQL's half of the tests makes its databases; `cargo xtask test` sets it.
const POSTGRES: &str = "POSTHORN_TEST_POSTGRES";

/// Runs a test on both engines; without a PostgreSQL at hand it says so in one line and runs the half on SQLite.
#[track_caller]
pub(crate) fn both(test: impl AsyncFn(Store)) {
    on_sqlite(&test);
    on_postgres(&test);
}

/// Runs a test on SQLite.
#[track_caller]
pub(crate) fn on_sqlite(test: impl AsyncFn(Store)) {
    let folder = tempfile::Builder::new()
        .prefix("posthorn-store-")
        .tempdir()
        .expect("a temporary folder can be made");
    let url = format!("sqlite:{}", folder.path().join("posthorn.db").display());
    run(&url, &test);
}

/// Runs a test on a new database of the PostgreSQL at hand, if there is one.
#[track_caller]
pub(crate) fn on_postgres(test: impl AsyncFn(Store)) {
    let Ok(server) = std::env::var(POSTGRES) else {
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            let line = format!("PostgreSQL: not run, as {POSTGRES} is not set; `cargo xtask test` runs both halves");
            writeln!(std::io::stderr(), "{line}").ok();
        });
        return;
    };
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("posthorn_store_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    administer(&server, &format!("create database {name}"));
    let database = Database { server, name };
    run(&database.url(), &test);
}

fn run(url: &str, test: &impl AsyncFn(Store)) {
    runtime().block_on(async {
        let store = Store::open_and_migrate(url, 10).await.expect("a new database can be made");
        test(store.clone()).await;
        store.close().await;
    });
}

// Several threads, so that tests of concurrency are concurrent.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4).enable_all().build().expect("a runtime can be made")
}

/// A database that is dropped with this value, also when its test fails.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn url(&self) -> String {
        let (before, query) = self
            .server
            .split_once('?')
            .map_or((self.server.as_str(), None), |(a, q)| (a, Some(q)));
        let base = before.rsplit_once('/').map_or(before, |(base, _)| base);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{base}/{}{query}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        administer(&self.server, &format!("drop database if exists {} with (force)", self.name));
    }
}

fn administer(server: &str, sql: &str) {
    runtime().block_on(async {
        let mut connection = PgConnection::connect(server)
            .await
            .unwrap_or_else(|error| panic!("the server that {POSTGRES} names cannot be used: {error}"));
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    });
}

/// Runs a script that both engines understand, outside the store's own statements.
pub(crate) async fn execute(store: &Store, script: &str) {
    let done = match (store.sqlite(), store.postgres()) {
        (Some(pool), _) => sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await.map(|_| ()),
        (None, Some(pool)) => sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await.map(|_| ()),
        (None, None) => unreachable!("a store is one of the two"),
    };
    done.unwrap_or_else(|error| panic!("{script}: {error}"));
}

/// Reads rows of texts, outside the store's own statements; null is `-`.
pub(crate) async fn read(store: &Store, sql: &str) -> Vec<Vec<String>> {
    macro_rules! texts {
        ($pool:expr) => {
            sqlx::query(AssertSqlSafe(sql)).fetch_all($pool).await.map(|rows| {
                let texts = rows.into_iter().map(|row| {
                    (0..row.len())
                        .map(|at| row.get::<Option<String>, _>(at).unwrap_or_else(|| "-".to_owned()))
                        .collect()
                });
                texts.collect()
            })
        };
    }
    let found: Result<Vec<Vec<String>>, sqlx::Error> = match (store.sqlite(), store.postgres()) {
        (Some(pool), _) => texts!(pool),
        (None, Some(pool)) => texts!(pool),
        (None, None) => unreachable!("a store is one of the two"),
    };
    found.unwrap_or_else(|error| panic!("{sql}: {error}"))
}
