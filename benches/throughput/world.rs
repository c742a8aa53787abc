//! What a measure works on: a folder of its own, databases, configurations, and posthorn run as a program.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::measured::{self, Run};
use crate::{N_CONNECTIONS, Outcome, Wanted};

/// A folder with partners and leads to import, and the databases made of them.
pub struct World<'a> {
    wanted: &'a Wanted,
    folder: TempDir,
}

/// How posthorn hands mails over.
#[derive(Clone, Copy)]
pub enum Way {
    /// Into the world's Maildir.
    Maildir,
    /// To this sink.
    Smtp(SocketAddr),
    /// Mode `dry`: it writes each mail and records it, and nothing leaves.
    Nowhere,
}

impl<'a> World<'a> {
    pub fn new(wanted: &'a Wanted) -> Outcome<Self> {
        Ok(Self {
            wanted,
            folder: tempfile::tempdir()?,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn maildir(&self) -> PathBuf {
        self.path("mail")
    }

    /// Makes an empty database.
    pub fn database(&self, name: &'static str) -> Outcome<Database> {
        let url = match &self.wanted.postgres {
            None => format!("sqlite:{}", self.path(name).display()),
            Some(server) => {
                run_sql(server, format!("create database {name}"))?;
                sibling(server, name)?
            }
        };
        Ok(Database {
            name,
            url,
            server: self.wanted.postgres.clone(),
        })
    }

    /// Copies a database that nobody uses at the moment.
    pub fn copy(&self, database: &Database, name: &'static str) -> Outcome<Database> {
        let url = match &self.wanted.postgres {
            None => {
                let copy = self.path(name);
                fs::copy(self.path(database.name), &copy)?;
                // Else the disk would be busy with it while others are measured.
                fs::File::open(&copy)?.sync_all()?;
                format!("sqlite:{}", copy.display())
            }
            Some(server) => {
                run_sql(server, format!("create database {name} template {}", database.name))?;
                sibling(server, name)?
            }
        };
        Ok(Database {
            name,
            url,
            server: self.wanted.postgres.clone(),
        })
    }

    /// Writes a configuration for a database and a way out; leads past `threshold` a day wait for their digest.
    pub fn config(&self, database: &Database, way: Way, threshold: usize) -> Outcome<PathBuf> {
        let (mode, mail, smtp) = match way {
            Way::Maildir => (
                "live",
                format!("transport = \"maildir\"\nmaildir = {:?}", self.maildir()),
                String::new(),
            ),
            Way::Nowhere => ("dry", "transport = \"maildir\"".to_owned(), String::new()),
            Way::Smtp(relay) => {
                let relay = format!(
                    "[[smtp.relays]]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = {N_CONNECTIONS}",
                    relay.port()
                );
                ("live", "transport = \"smtp\"".to_owned(), relay)
            }
        };
        let text = format!(
            "mode = \"{mode}\"\n[database]\nurl = {:?}\n[mail]\nfrom = \"Partner portal <leads@portal.example>\"\n{mail}\n\
             [policy]\ndigest_threshold = {threshold}\n[worker]\nconnections = {N_CONNECTIONS}\n{smtp}\n",
            database.url
        );
        let path = self.path(&format!(
            "{}-{mode}-{}.toml",
            database.name,
            if smtp.is_empty() { "file" } else { "smtp" }
        ));
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Runs posthorn to its end.
    pub fn posthorn(&self, config: &Path, words: &[&str]) -> Outcome<Run> {
        Ok(measured::run(&mut self.command(config, words))?)
    }

    /// Returns the command that runs posthorn, to be watched otherwise.
    pub fn command(&self, config: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(&self.wanted.posthorn);
        command
            .current_dir(self.folder())
            .env_clear()
            .arg("--quiet")
            .arg("--config")
            .arg(config)
            .args(words);
        command
    }

    /// Runs one of the loops (`senders`) in a process of its own, over the mails of the world's Maildir.
    pub fn send(&self, which: &str, relay: SocketAddr, n_mails: usize) -> Outcome<Run> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["send", which, &relay.to_string()])
            .arg(self.maildir())
            .arg(n_mails.to_string());
        Ok(measured::run(&mut command)?)
    }
}

/// A database of one measure; PostgreSQL's is dropped with this value, SQLite's goes with the folder.
pub struct Database {
    name: &'static str,
    url: String,
    server: Option<String>,
}

impl Database {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement, which gives one text where anybody wants one.
    pub fn text(&self, sql: String) -> Outcome<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let query = sqlx::AssertSqlSafe(sql);
            let found: Option<(String,)> = if self.server.is_some() {
                let mut connection = PgConnection::connect(&self.url).await?;
                sqlx::query_as(query).fetch_optional(&mut connection).await?
            } else {
                let mut connection = SqliteConnection::connect(&self.url).await?;
                sqlx::query_as(query).fetch_optional(&mut connection).await?
            };
            Ok(found.map(|(text,)| text).unwrap_or_default())
        })
    }

    /// Has the engine count what is stored, and write out all that it has taken in: else what is measured next would pay for it.
    pub fn settle(&self) -> Outcome {
        self.text("analyze".to_owned())?;
        if self.server.is_some() {
            self.text("checkpoint".to_owned())?;
            return Ok(());
        }
        // The last connection to go has folded the log back.
        fs::File::open(self.url.trim_start_matches("sqlite:"))?.sync_all()?;
        Ok(())
    }

    /// Returns a table's columns but for some, by commas.
    pub fn columns(&self, table: &str, but: &[&str]) -> Outcome<String> {
        let but = but.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        self.text(if self.server.is_some() {
            format!("select string_agg(column_name, ', ') from information_schema.columns where table_name = '{table}' and column_name not in ({but})")
        } else {
            format!("select group_concat(name, ', ') from pragma_table_info('{table}') where name not in ({but})")
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            run_sql(server, format!("drop database {} with (force)", self.name)).ok();
        }
    }
}

fn sibling(server: &str, name: &str) -> Outcome<String> {
    let (server, _) = server.rsplit_once('/').ok_or("a database address has a path")?;
    Ok(format!("{server}/{name}"))
}

fn run_sql(url: &str, sql: String) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        connection.execute(AssertSqlSafe(sql)).await?;
        connection.close().await?;
        Ok(())
    })
}
