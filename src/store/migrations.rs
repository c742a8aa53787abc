//! The schema's steps, as compiled in: one folder of SQL files an engine, `0001_name.sql`.
//!
//! sqlx has a macro for this; it takes both of its engines built for the build machine as well (see [`crate::store::engine::row`]).

use include_dir::{Dir, include_dir};
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

static SQLITE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/migrations/sqlite");
static POSTGRES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/migrations/postgres");

/// Returns the steps on SQLite.
pub(super) fn sqlite() -> Migrator {
    Migrator::with_migrations(steps(&SQLITE).collect())
}

/// Returns the steps on PostgreSQL.
pub(super) fn postgres() -> Migrator {
    Migrator::with_migrations(steps(&POSTGRES).collect())
}

/// Returns the number of the newest step, which is the schema's version.
pub(super) fn newest() -> i64 {
    steps(&SQLITE).map(|step| step.version).max().unwrap_or(0)
}

fn steps(folder: &'static Dir<'static>) -> impl Iterator<Item = Migration> {
    folder.files().map(|file| {
        let named = file
            .path()
            .file_stem()
            .and_then(|name| name.to_str())
            .and_then(|name| name.split_once('_'));
        let (version, description) = named.expect("a migration is called 0001_name.sql");
        let version = version.parse().expect("a migration's name begins with its number");
        let sql = file.contents_utf8().expect("a migration is UTF-8");
        Migration::new(
            version,
            description.replace('_', " ").into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    })
}
