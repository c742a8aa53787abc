//! Hears of work that another process has brought: PostgreSQL says so, and on SQLite a connection sees that the file has changed.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::store::engine::CHANNEL;
use crate::store::error::Error;

/// How often a SQLite file is looked at: a question to memory that both processes share, some 20 µs.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A connection that listens.
pub struct Wakeups(Inner);

enum Inner {
    Sqlite { connection: SqliteConnection, version: i64 },
    Postgres(PgListener),
}

const DATA_VERSION: &str = "pragma data_version";

impl Wakeups {
    pub(super) async fn of_sqlite(options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        // A connection of its own: what is told is whether *others* have written since it last asked.
        let mut connection = options.connect().await?;
        let version = sqlx::query_scalar(DATA_VERSION).fetch_one(&mut connection).await?;
        Ok(Self(Inner::Sqlite { connection, version }))
    }

    pub(super) async fn of_postgres(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        // Of no pool that others wait for: it is kept for as long as the process lives.
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(Inner::Postgres(listener)))
    }

    /// Waits until there may be work.
    ///
    /// # Errors
    /// The connection is lost; a new one is to be made.
    pub async fn next(&mut self) -> Result<(), Error> {
        match &mut self.0 {
            Inner::Sqlite { connection, version } => loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let found: i64 = sqlx::query_scalar(DATA_VERSION)
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(|e| Error::query("wakeups", e))?;
                if found != *version {
                    *version = found;
                    return Ok(());
                }
            },
            Inner::Postgres(listener) => listener.recv().await.map(drop).map_err(|e| Error::query("wakeups", e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::app::testing::both;
    use crate::store::notices::{NewNotice, insert_notices};

    /// Whoever sleeps hears of a notice that another connection has committed, and of it only then.
    #[test]
    fn a_commit_that_brings_work_wakes_whoever_listens() {
        both(async |portal| {
            let store = &portal.store;
            let mut wakeups = store.wakeups().await.expect("it listens");
            let mut tx = store.begin().await.expect("a transaction");
            let notice = NewNotice {
                kind: crate::outbox::Kind::Decline,
                subject: "L1".into(),
                partner_id: crate::partner::PartnerId::new("contoso"),
                lead_id: None,
                digest_id: None,
                due_at: crate::time::Timestamp::from_millis(0),
            };
            insert_notices(&mut tx, crate::time::Timestamp::from_millis(0), &[notice])
                .await
                .expect("it is written");
            let early = tokio::time::timeout(Duration::from_millis(200), wakeups.next()).await;
            assert!(early.is_err(), "nobody is woken before the commit");
            tx.commit().await.expect("it is committed");
            let woken = tokio::time::timeout(Duration::from_secs(20), wakeups.next()).await;
            woken.expect("it is woken").expect("the connection holds");
        });
    }
}
