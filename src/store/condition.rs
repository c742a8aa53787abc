//! In which state the database itself is: whether it can be written, how it keeps what is committed, what time its server has.

use crate::store::engine::{Sql, Store, args, row, sql};
use crate::store::error::Error;

pub(super) const ALL: &[&Sql] = &[&WRITABLE, &JOURNAL, &SYNCHRONOUS, &SERVER];

/// The state of the database itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The embedded one.
    Sqlite {
        /// Its pragma; `wal` is what posthorn sets.
        journal_mode: String,
        /// Its pragma; 2 (full) is what posthorn sets.
        synchronous: i64,
    },
    /// A server.
    Postgres(Server),
}

/// What a PostgreSQL server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Such as `15.8`.
    pub version: String,
    /// `on` or `off`.
    pub fsync: String,
    /// `on` or `off`.
    pub full_page_writes: String,
    /// `on`, `off`, `local`, …
    pub synchronous_commit: String,
    /// Its time in milliseconds.
    pub now_at: i64,
}
row!(Server: version, fsync, full_page_writes, synchronous_commit, now_at);

const WRITABLE: Sql = sql!("condition.writable": "update meta set value = value where 1 = 0");
const JOURNAL: Sql = sql!("condition.journal": ["pragma journal_mode" | "select '' as journal_mode"]);
const SYNCHRONOUS: Sql = sql!("condition.synchronous": ["pragma synchronous" | "select cast(0 as bigint) as synchronous"]);
const SERVER: Sql = sql!("condition.server": [
    "select '' as version, '' as fsync, '' as full_page_writes, '' as synchronous_commit, 0 as now_at"
    |
    "select split_part(current_setting('server_version'), ' ', 1) as version, current_setting('fsync') as fsync,
        current_setting('full_page_writes') as full_page_writes, current_setting('synchronous_commit') as synchronous_commit,
        cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as now_at"
]);

/// Looks at the database itself; that it can be written is tried with a statement that changes no row, and taken back.
///
/// # Errors
/// It cannot be written, or not be asked.
pub async fn look(store: &Store) -> Result<Condition, Error> {
    struct Journal {
        journal_mode: String,
    }
    row!(Journal: journal_mode);
    struct Synchronous {
        synchronous: i64,
    }
    row!(Synchronous: synchronous);
    let mut tx = store.begin().await?;
    tx.execute(&WRITABLE, args![]).await?;
    let condition = if store.is_embedded() {
        let journal: Option<Journal> = tx.fetch_optional(&JOURNAL, args![]).await?;
        let synchronous: Option<Synchronous> = tx.fetch_optional(&SYNCHRONOUS, args![]).await?;
        Condition::Sqlite {
            journal_mode: journal.map(|row| row.journal_mode).unwrap_or_default(),
            synchronous: synchronous.map_or(0, |row| row.synchronous),
        }
    } else {
        Condition::Postgres(
            tx.fetch_optional(&SERVER, args![])
                .await?
                .expect("a select without a table has one row"),
        )
    };
    tx.rollback().await?;
    Ok(condition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::both;

    #[test]
    fn each_engine_says_how_it_keeps_what_is_committed() {
        both(async |store| match look(&store).await.expect("a database that can be written") {
            Condition::Sqlite { journal_mode, synchronous } => assert_eq!((journal_mode.as_str(), synchronous), ("wal", 2)),
            Condition::Postgres(server) => {
                assert!(server.version.starts_with(|c: char| c.is_ascii_digit()), "{server:?}");
                assert!(matches!(server.fsync.as_str(), "on" | "off"), "{server:?}");
                assert!(server.now_at > 1_700_000_000_000, "{server:?}");
            }
        });
    }
}
