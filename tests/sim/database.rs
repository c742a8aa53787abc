//! The database of one run, and every change that is committed to it: triggers write each row, before and after, into a table beside the
//! program's own. The checkers read nothing else of it, so they need none of the program's queries.
//!
//! SQLite: a copy of a migrated file, in memory (`/dev/shm`) where there is such a place. PostgreSQL: a copy of a migrated database.

use std::path::PathBuf;
use std::sync::OnceLock;

use posthorn::store::{Missing, Store};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row, SqliteConnection};
use tokio::sync::Mutex;

/// The tables that are watched, and the key of each.
const WATCHED: [(&str, &str); 10] = [
    ("lead", "id"),
    ("notice", "id"),
    ("delivery", "id"),
    ("digest", "id"),
    ("item", "seq"),
    ("suppression", "address"),
    ("opt_out", "address"),
    ("partner", "id"),
    ("rejected", "id"),
    ("worker", "epoch"),
];

/// Which engine a run is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A committed change of one row.
#[derive(Clone, Debug)]
pub struct Change {
    pub table: String,
    pub old: Option<Value>,
    pub new: Option<Value>,
}

/// A run's database.
pub struct Database {
    pub store: Store,
    seen: i64,
    eye: Eye,
}

enum Eye {
    Sqlite(
        SqliteConnection,
        #[expect(dead_code, reason = "the folder goes with it")] tempfile::TempDir,
    ),
    Postgres(PgConnection, String),
}

impl Database {
    pub async fn open(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = folder();
                let path = folder.path().join("posthorn.db");
                std::fs::write(&path, sqlite_template().await).expect("the template is copied");
                let store = Store::open(&format!("sqlite:{}", path.display()), 4, Missing::Refuse)
                    .await
                    .expect("the copy can be opened");
                let eye = SqliteConnectOptions::new()
                    .filename(&path)
                    .connect()
                    .await
                    .expect("a second connection");
                Self {
                    store,
                    seen: 0,
                    eye: Eye::Sqlite(eye, folder),
                }
            }
            Engine::Postgres => {
                let server = std::env::var("POSTHORN_TEST_POSTGRES").expect("POSTHORN_TEST_POSTGRES says where the server is");
                let template = postgres_template(&server).await;
                static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
                let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let name = format!("posthorn_sim_{}_{n}", std::process::id());
                administer(&server, &format!("create database {name} template {template}")).await;
                let url = with_name(&server, &name);
                let store = Store::open(&url, 4, Missing::Refuse).await.expect("the copy can be opened");
                let options: PgConnectOptions = url.parse().expect("an address");
                let eye = options.connect().await.expect("a second connection");
                Self {
                    store,
                    seen: 0,
                    eye: Eye::Postgres(eye, name),
                }
            }
        }
    }

    /// Returns what was committed since the last call, in the order in which it was written.
    pub async fn changes(&mut self) -> Vec<Change> {
        const NEW: &str = "select seq, tbl, old, new from sim_change where seq > $1 order by seq";
        let found: Vec<(i64, String, Option<String>, Option<String>)> = match &mut self.eye {
            Eye::Sqlite(eye, _) => sqlx::query(NEW)
                .bind(self.seen)
                .fetch_all(eye)
                .await
                .expect("the changes can be read")
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
                .collect(),
            Eye::Postgres(eye, _) => sqlx::query(NEW)
                .bind(self.seen)
                .fetch_all(eye)
                .await
                .expect("the changes can be read")
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
                .collect(),
        };
        let mut changes = Vec::with_capacity(found.len());
        for (seq, table, old, new) in found {
            self.seen = seq;
            let read = |text: Option<String>| text.map(|text| plain(serde_json::from_str(&text).expect("a trigger writes JSON")));
            changes.push(Change {
                table,
                old: read(old),
                new: read(new),
            });
        }
        // One statement changes many leads, on PostgreSQL in whatever order its plan comes upon them; the checkers count them as they came in.
        for leads in changes.chunk_by_mut(|one, next| one.table == "lead" && next.table == "lead") {
            leads.sort_by_key(|change| change.new.as_ref().or(change.old.as_ref()).and_then(|row| row["seq"].as_i64()));
        }
        changes
    }

    /// Ends it; on PostgreSQL it is dropped.
    pub async fn close(self) {
        self.store.close().await;
        if let Eye::Postgres(eye, name) = self.eye {
            eye.close().await.ok();
            let server = std::env::var("POSTHORN_TEST_POSTGRES").expect("it was there before");
            administer(&server, &format!("drop database if exists {name} with (force)")).await;
        }
    }
}

/// SQLite has numbers where PostgreSQL has truth values.
fn plain(mut row: Value) -> Value {
    if let Some(row) = row.as_object_mut() {
        for (name, value) in row.iter_mut() {
            if name.starts_with("is_") {
                *value = Value::Bool(value.as_bool().unwrap_or(value.as_i64() == Some(1)));
            }
        }
    }
    row
}

fn folder() -> tempfile::TempDir {
    let shared = PathBuf::from("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("posthorn-sim-");
    let made = if shared.is_dir() {
        builder.tempdir_in(&shared)
    } else {
        builder.tempdir()
    };
    made.expect("a temporary folder can be made")
}

/// The bytes of a migrated database with its triggers, made once a process: it costs as much as hundreds of steps.
async fn sqlite_template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(bytes) = TEMPLATE.get() {
        return bytes;
    }
    let folder = folder();
    let path = folder.path().join("template.db");
    let store = Store::open_and_migrate(&format!("sqlite:{}", path.display()), 4)
        .await
        .expect("a new database can be made");
    store.close().await;
    let mut eye: SqliteConnection = SqliteConnectOptions::new().filename(&path).connect().await.expect("a connection");
    let mut script = "create table sim_change (seq integer primary key, tbl text not null, old text, new text);".to_owned();
    for (table, _) in WATCHED {
        let columns: Vec<String> = sqlx::query(AssertSqlSafe(format!("select name from pragma_table_info('{table}')")))
            .fetch_all(&mut eye)
            .await
            .expect("the columns are listed")
            .iter()
            .map(|row| row.get(0))
            .collect();
        let row = |which: &str| {
            let pairs: Vec<String> = columns
                .iter()
                .filter(|name| !NOT_WATCHED.contains(&(table, name.as_str())))
                .map(|name| format!("'{name}', {which}.{name}"))
                .collect();
            format!("json_object({})", pairs.join(", "))
        };
        for (verb, old, new) in [
            ("insert", "null".to_owned(), row("new")),
            ("update", row("old"), row("new")),
            ("delete", row("old"), "null".to_owned()),
        ] {
            script.push_str(&format!(
                "create trigger sim_{table}_{verb} after {verb} on {table} begin
                   insert into sim_change (tbl, old, new) values ('{table}', {old}, {new}); end;"
            ));
        }
    }
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut eye)
        .await
        .expect("the triggers are made");
    sqlx::raw_sql("pragma wal_checkpoint(truncate)")
        .execute(&mut eye)
        .await
        .expect("all is in one file");
    eye.close().await.expect("it can be closed");
    let bytes = std::fs::read(&path).expect("the template is read");
    TEMPLATE.get_or_init(|| bytes)
}

/// Columns that no checker looks at and that are long.
const NOT_WATCHED: [(&str, &str); 6] = [
    ("lead", "record"),
    ("lead", "answer"),
    ("partner", "record"),
    ("item", "text"),
    ("item", "link"),
    ("rejected", "record"),
];

async fn postgres_template(server: &str) -> String {
    // Held while it is made: two tests may be the first.
    static TEMPLATE: Mutex<Option<String>> = Mutex::const_new(None);
    let mut template = TEMPLATE.lock().await;
    if let Some(name) = &*template {
        return name.clone();
    }
    let name = format!("posthorn_sim_{}_template", std::process::id());
    administer(server, &format!("drop database if exists {name} with (force)")).await;
    administer(server, &format!("create database {name}")).await;
    let url = with_name(server, &name);
    let store = Store::open_and_migrate(&url, 2).await.expect("a new database can be made");
    store.close().await;
    let mut script = "create table sim_change (seq bigserial primary key, tbl text not null, old text, new text);
        create function sim_note() returns trigger language plpgsql as $$ begin
          insert into sim_change (tbl, old, new) values (tg_table_name,
            case when tg_op = 'INSERT' then null else to_json(old)::text end, case when tg_op = 'DELETE' then null else to_json(new)::text end);
          return null; end $$;"
        .to_owned();
    for (table, _) in WATCHED {
        script.push_str(&format!(
            "create trigger sim_note after insert or update or delete on {table} for each row execute function sim_note();"
        ));
    }
    let options: PgConnectOptions = url.parse().expect("an address");
    let mut eye = options.connect().await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut eye)
        .await
        .expect("the triggers are made");
    eye.close().await.ok();
    template.insert(name).clone()
}

/// Drops what the runs on PostgreSQL were copied from.
pub async fn drop_template() {
    if let Ok(server) = std::env::var("POSTHORN_TEST_POSTGRES") {
        let name = format!("posthorn_sim_{}_template", std::process::id());
        administer(&server, &format!("drop database if exists {name} with (force)")).await;
    }
}

fn with_name(server: &str, name: &str) -> String {
    let (before, query) = server.split_once('?').map_or((server, None), |(a, q)| (a, Some(q)));
    let base = before.rsplit_once('/').map_or(before, |(base, _)| base);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{base}/{name}{query}")
}

async fn administer(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server)
        .await
        .unwrap_or_else(|error| panic!("the server of POSTHORN_TEST_POSTGRES cannot be used: {error}"));
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.ok();
}

/// Returns the key of a row of a watched table.
pub fn key_of(table: &str, row: &Value) -> String {
    let key = WATCHED.iter().find(|(name, _)| *name == table).map_or("id", |(_, key)| *key);
    let text = |name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match table {
        "opt_out" => format!("{} {}", text("partner_id"), text("address")),
        _ => text(key),
    }
}
