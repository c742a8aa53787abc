//! A look into the database beside posthorn: what a test of crashes compares with what others have seen.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ColumnIndex, ConnectOptions, Connection, Decode, PgConnection, Row, SqliteConnection, Type};

use super::posthorn::Posthorn;

/// Runs a query whose columns are all texts (`cast(… as text)`), and returns its rows; null is the empty text.
#[track_caller]
pub fn query(posthorn: &Posthorn, sql: &str) -> Vec<Vec<String>> {
    let outcome = on(async {
        match &mut connect(posthorn).await? {
            Engine::Sqlite(connection) => {
                let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await?;
                Ok(rows.iter().map(texts).collect())
            }
            Engine::Postgres(connection) => {
                let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await?;
                Ok(rows.iter().map(texts).collect())
            }
        }
    });
    outcome.unwrap_or_else(|error: sqlx::Error| panic!("{sql}: {error}"))
}

/// Runs a query whose answer is one number.
#[track_caller]
pub fn number(posthorn: &Posthorn, sql: &str) -> i64 {
    let rows = query(posthorn, &format!("select cast(n as text) from ({sql}) as counted"));
    rows[0][0].parse().expect("the column n is a number")
}

/// Ends all leases, as if their time had passed: on PostgreSQL a killed worker's mails are taken back when it has; SQLite's lock tells at once.
#[track_caller]
pub fn end_leases(posthorn: &Posthorn) {
    if posthorn.is_postgres() {
        query(posthorn, "update worker set alive_until = 0");
    }
}

/// A table that nobody else may read until this goes: PostgreSQL's half.
pub struct Locked {
    runtime: tokio::runtime::Runtime,
    connection: Option<PgConnection>,
}

impl Locked {
    #[track_caller]
    pub fn table(posthorn: &Posthorn, name: &str) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(async {
            let mut connection = PgConnection::connect(&posthorn.database_url()).await?;
            let lock = format!("begin; lock table {name} in access exclusive mode");
            sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        });
        let connection = connection.unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            runtime,
            connection: Some(connection),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.runtime.block_on(connection.close()).ok();
        }
    }
}

enum Engine {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

async fn connect(posthorn: &Posthorn) -> Result<Engine, sqlx::Error> {
    let url = posthorn.database_url();
    match url.strip_prefix("sqlite:") {
        Some(path) => Ok(Engine::Sqlite(SqliteConnectOptions::new().filename(path).connect().await?)),
        None => Ok(Engine::Postgres(PgConnection::connect(&url).await?)),
    }
}

fn texts<R: Row>(row: &R) -> Vec<String>
where
    usize: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    (0..row.len())
        .map(|n| row.get_unchecked::<Option<String>, _>(n).unwrap_or_default())
        .collect()
}

fn on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
}
