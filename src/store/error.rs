//! What can go wrong with the database, by what the caller can do about it.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be had.
    #[error("the database {url} cannot be reached or opened: {}", reason(source))]
    Unreachable {
        /// Without its password.
        url: String,
        /// What the engine said.
        source: sqlx::Error,
    },
    /// There is no schema.
    #[error("the database {url} has no posthorn tables yet; make them with `posthorn migrate`")]
    NoSchema {
        /// Without its password.
        url: String,
    },
    /// The schema is older than this program.
    #[error("the database has schema version {found} and this posthorn needs {newest}; bring it up to date with `posthorn migrate`")]
    OlderSchema {
        /// What the database has.
        found: i64,
        /// What this program needs.
        newest: i64,
    },
    /// The schema is newer than this program.
    #[error("the database was made by a newer posthorn; run that one, or restore a backup made before the upgrade")]
    NewerSchema,
    /// The schema could not be made.
    #[error("the database's tables could not be made or brought up to date: {source}")]
    Migrate {
        /// What the engine said.
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// A statement failed.
    #[error("the database refused the statement {statement}: {}", reason(source))]
    Query {
        /// The statement's name.
        statement: &'static str,
        /// What the engine said.
        source: sqlx::Error,
    },
    /// A row holds what this program never writes.
    #[error("{table} {id}: the stored {column} {value:?} is none that this posthorn knows; was the row edited by hand?")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// Which row.
        id: String,
        /// Which column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// The embedded database has a worker already.
    #[error("another worker is at work on this database ({path} is locked); the embedded database takes one at a time")]
    WorkerThere {
        /// The lock file.
        path: String,
    },
    /// The lock file beside the database cannot be made.
    #[error("the lock file {path} cannot be made or locked: {source}")]
    LockFile {
        /// The lock file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn query(statement: &'static str, source: sqlx::Error) -> Self {
        Self::Query { statement, source }
    }

    /// Tells whether the transaction lost against another one and may win when built anew.
    pub fn is_conflict(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        let code = source.as_database_error().and_then(|db| db.code());
        // PostgreSQL: serialization failure, deadlock. SQLite: busy, busy in a snapshot.
        code.is_some_and(|code| matches!(&*code, "40001" | "40P01" | "5" | "517"))
    }

    /// Tells whether what was to be written is at fault, rather than the database: the same alone would fail again, and others would not.
    pub fn is_of_content(&self) -> bool {
        let Self::Query { source, .. } = self else {
            return matches!(self, Self::Corrupt { .. });
        };
        let code = source.as_database_error().and_then(|db| db.code());
        // PostgreSQL: data exception, integrity, program limit. SQLite: too big, constraint (with its extensions), mismatch.
        code.is_some_and(|code| {
            ["22", "23", "54"].iter().any(|class| code.len() == 5 && code.starts_with(class))
                || code
                    .parse::<u32>()
                    .is_ok_and(|code| code < 10_000 && matches!(code & 0xff, 18..=20))
        })
    }

    /// Tells whether the state forbids what was asked, rather than the database being away.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::WorkerThere { .. })
    }
}

/// What an engine says of a transaction that lost against another one, for the simulation.
#[cfg(feature = "fault-points")]
#[derive(Debug, thiserror::Error)]
#[error("database is locked, since the simulation wants it so")]
pub(super) struct Conflict;

#[cfg(feature = "fault-points")]
impl sqlx::error::DatabaseError for Conflict {
    fn message(&self) -> &str {
        "database is locked, since the simulation wants it so"
    }

    fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some("5".into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> sqlx::error::ErrorKind {
        sqlx::error::ErrorKind::Other
    }
}

/// Returns the engine's own words without sqlx's frame around them.
fn reason(source: &sqlx::Error) -> String {
    match source {
        sqlx::Error::Database(db) => {
            let code = db.code().unwrap_or_default();
            match &*code {
                "5" | "6" => format!("{} (another process holds it; is a long import or a backup running?)", db.message()),
                "14" => format!("{} (is its folder there, and may this user write in it?)", db.message()),
                "8" | "1032" => format!("{} (the file or its folder is read-only for this user)", db.message()),
                "13" => format!("{} (make room, then try again; nothing that was taken in is lost)", db.message()),
                _ => db.message().to_owned(),
            }
        }
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        other => other.to_string(),
    }
}
