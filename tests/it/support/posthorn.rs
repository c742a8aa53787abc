//! The binary as an operator has it: a folder, a configuration file, and commands.
//!
//! Nothing here waits for time to pass: `--now` is the time, and whatever runs has a deadline after which the test fails.
#![allow(dead_code, reason = "verbs wait here for the test that needs them")]

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::records::ndjson;

/// Where the server is on which PostgreSQL's half of the tests makes its databases; `cargo xtask test` sets it.
const POSTGRES: &str = "POSTHORN_TEST_POSTGRES";

/// How long one command may take; far above what any needs, even on a busy machine with two cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Commands before which no `migrate` is run.
const NO_DATABASE: &[&str] = &["migrate", "config", "completions", "man", "token", "demo", "--help", "--version"];

/// An installation of posthorn: a temporary folder, a configuration, an empty database.
pub struct Posthorn {
    folder: Option<tempfile::TempDir>,
    database: Database,
    settings: RefCell<Vec<(String, String)>>,
    env: RefCell<Vec<(String, String)>>,
    now: RefCell<Option<String>>,
    migrate: Cell<Migrate>,
}

enum Database {
    Sqlite,
    Postgres { server: String, name: String },
}

/// What is still to be done before the first command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Migrate {
    Plain,
    Rehearsal,
    Done,
}

/// What a command answered.
#[derive(Debug)]
pub struct Output {
    /// The exit code; the negative signal for a process that a signal ended (−9: killed).
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A command that goes on running beside the test; killed when dropped.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A mail as it lies in the Maildir.
#[derive(Debug, Clone)]
pub struct Mail {
    /// `X-Posthorn-Kind`.
    pub kind: String,
    /// Without the angle brackets, as are `references`.
    pub message_id: String,
    pub date: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub references: Vec<String>,
    /// File name, content type and content of what is attached.
    pub attachments: Vec<(String, String, Vec<u8>)>,
    pub raw: Vec<u8>,
    pub file: PathBuf,
}

/// Runs a test on both engines; where no PostgreSQL is at hand, says so in one line and runs the half on SQLite.
pub fn both(test: impl Fn(&Posthorn)) {
    test(&Posthorn::sqlite());
    if let Some(posthorn) = Posthorn::postgres() {
        test(&posthorn);
    }
}

impl Posthorn {
    /// An installation on SQLite.
    pub fn sqlite() -> Self {
        Self::on(Database::Sqlite)
    }

    /// An installation on a new database of the PostgreSQL at hand; `None` where none is.
    ///
    /// # Panics
    /// When one is named, but cannot be used.
    pub fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var(POSTGRES) else {
            say_once(&format!(
                "PostgreSQL: not run, as {POSTGRES} is not set; `cargo xtask test` runs both halves"
            ));
            return None;
        };
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("posthorn_it_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        execute(&server, &format!("create database {name}"));
        Some(Self::on(Database::Postgres { server, name }))
    }

    fn on(database: Database) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("posthorn-it-")
            .tempdir()
            .expect("a temporary folder can be made");
        let posthorn = Self {
            folder: Some(folder),
            database,
            settings: RefCell::default(),
            env: RefCell::default(),
            now: RefCell::default(),
            migrate: Cell::new(Migrate::Plain),
        };
        let maildir = posthorn.folder().join("mail");
        posthorn
            .setting("portal.name", "Partner Portal")
            .setting("portal.url", "https://portal.example")
            .setting("portal.lead_url", "https://portal.example/leads/{id}")
            .setting("database.url", &posthorn.database_url())
            .setting("mail.transport", "maildir")
            .setting("mail.maildir", &maildir.to_string_lossy())
            .setting("mail.from", "leads@portal.example")
            // Tests run side by side: each server has a port of its own, which the system chooses.
            .setting("http.listen", "127.0.0.1:0")
            // No test asks a name server but its own.
            .setting("verify.mx", "false");
        posthorn
    }

    /// Sets a key of the configuration; the value is read as TOML, else as text.
    pub fn setting(&self, key: &str, value: &str) -> &Self {
        let is_toml = toml::from_str::<toml::Table>(&format!("value = {value}")).is_ok();
        let value = if is_toml {
            value.to_owned()
        } else {
            toml::Value::from(value).to_string()
        };
        let mut settings = self.settings.borrow_mut();
        settings.retain(|(known, _)| known != key);
        settings.push((key.to_owned(), value));
        drop(settings);
        self.write_config();
        self
    }

    /// Takes a key out of the configuration.
    pub fn without_setting(&self, key: &str) -> &Self {
        self.settings.borrow_mut().retain(|(known, _)| known != key);
        self.write_config();
        self
    }

    /// Sets the time of all later commands (`--now`).
    pub fn at(&self, now: &str) -> &Self {
        *self.now.borrow_mut() = Some(now.to_owned());
        self
    }

    /// Lets later commands read the machine's clock again.
    pub fn at_real_time(&self) -> &Self {
        *self.now.borrow_mut() = None;
        self
    }

    /// Sets an environment variable for all later commands.
    pub fn env(&self, key: &str, value: &str) -> &Self {
        let mut env = self.env.borrow_mut();
        env.retain(|(known, _)| known != key);
        env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Takes such a variable away again.
    pub fn no_env(&self, key: &str) -> &Self {
        self.env.borrow_mut().retain(|(known, _)| known != key);
        self
    }

    /// Makes the database a rehearsal, in which `--now` goes with any transport. To be said before the first command.
    pub fn rehearsal(&self) -> &Self {
        assert!(
            self.migrate.get() != Migrate::Done,
            "a database becomes a rehearsal before its first command"
        );
        self.migrate.set(Migrate::Rehearsal);
        self
    }

    /// Leaves it to the test to run `migrate`.
    pub fn unmigrated(&self) -> &Self {
        self.migrate.set(Migrate::Done);
        self
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    /// Runs a command to its end, with this on its standard input.
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut running = self.spawn(arguments, stdin);
        running.wait_for(arguments, PATIENCE)
    }

    /// Runs a command that must succeed, and returns its standard output.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.code, 0, "posthorn {}\n{output}", arguments.join(" "));
        output.stdout
    }

    /// Runs a command that must be refused with this exit code, and returns its standard error.
    #[track_caller]
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.code, code, "posthorn {}\n{output}", arguments.join(" "));
        output.stderr
    }

    /// Runs a command with `--json` that must succeed, and returns its answer.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let stdout = self.ok(&all);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("posthorn {}: {error}\n{stdout}", all.join(" ")))
    }

    /// Starts a command that goes on beside the test, such as `serve`.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.spawn(arguments, "")
    }

    /// Imports leads, all of which must be taken in.
    #[track_caller]
    pub fn import(&self, records: &str) -> &Self {
        let file = self.file("leads.ndjson", records);
        self.ok(&["import", "--yes", &file]);
        self
    }

    /// Imports leads that were described.
    #[track_caller]
    pub fn leads<I: IntoIterator>(&self, leads: I) -> &Self
    where
        Value: From<I::Item>,
    {
        self.import(&ndjson(leads))
    }

    /// Imports partners, all of which must be taken in.
    #[track_caller]
    pub fn partners(&self, records: &str) -> &Self {
        let file = self.file("partners.ndjson", records);
        self.ok(&["partners", "import", &file]);
        self
    }

    /// Imports partners that were described.
    #[track_caller]
    pub fn partner_records<I: IntoIterator>(&self, partners: I) -> &Self
    where
        Value: From<I::Item>,
    {
        self.partners(&ndjson(partners))
    }

    /// Does all that is due.
    #[track_caller]
    pub fn work(&self) -> &Self {
        self.ok(&["work", "--until-idle"]);
        self
    }

    /// Returns all mails that lie in the Maildir, in the order of their dates, receivers and subjects.
    #[track_caller]
    pub fn mails(&self) -> Vec<Mail> {
        let folder = self.folder().join("mail/new");
        let mut mails: Vec<Mail> = fs::read_dir(&folder)
            .map(|entries| entries.flatten().map(|entry| Mail::read(&entry.path())).collect())
            .unwrap_or_default(); // none was written yet
        mails.sort_by(|one, other| (&one.date, &one.to, &one.subject).cmp(&(&other.date, &other.to, &other.subject)));
        mails
    }

    /// Returns the mails of one kind: `lead`, `digest`, `reminder`, `expiry` or `decline`.
    #[track_caller]
    pub fn mails_of(&self, kind: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.kind == kind).collect()
    }

    /// Demands that every contact lead is mailed, waiting or excused, and returns the sums.
    #[track_caller]
    pub fn audit_is_clean(&self) -> String {
        self.ok(&["audit"])
    }

    /// Writes a file into the installation's folder and returns its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder().join(name);
        fs::write(&path, content).expect("a file can be written");
        path.to_string_lossy().into_owned()
    }

    /// Returns the folder of the installation; it stays for a look when the test fails.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("the folder is there until the value is dropped").path()
    }

    /// Returns `database.url`.
    pub fn database_url(&self) -> String {
        match &self.database {
            Database::Sqlite => format!("sqlite:{}", self.folder().join("posthorn.db").display()),
            Database::Postgres { server, name } => with_database(server, name),
        }
    }

    /// Whether this is PostgreSQL's half.
    pub fn is_postgres(&self) -> bool {
        matches!(self.database, Database::Postgres { .. })
    }

    /// Takes PostgreSQL away, as an outage would, or brings it back: its connections end, and new ones are refused.
    pub fn bar(&self, is_barred: bool) {
        let Database::Postgres { server, name } = &self.database else {
            panic!("SQLite cannot be away");
        };
        execute(server, &format!("alter database {name} allow_connections {}", !is_barred));
        if is_barred {
            execute(
                server,
                &format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"),
            );
        }
    }

    fn config(&self) -> PathBuf {
        self.folder().join("posthorn.toml")
    }

    fn write_config(&self) {
        let lines: String = self
            .settings
            .borrow()
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        fs::write(self.config(), lines).expect("the configuration can be written");
    }

    #[track_caller]
    fn spawn(&self, arguments: &[&str], stdin: &str) -> Running {
        let needs_database = !arguments.iter().any(|argument| NO_DATABASE.contains(argument));
        let migrate = if needs_database {
            self.migrate.replace(Migrate::Done)
        } else {
            Migrate::Done
        };
        if migrate != Migrate::Done {
            let rehearsal: &[&str] = if migrate == Migrate::Rehearsal {
                &["migrate", "--rehearsal"]
            } else {
                &["migrate"]
            };
            let output = self.spawn_now(rehearsal, "", false).wait_for(rehearsal, PATIENCE);
            assert_eq!(output.code, 0, "posthorn {}\n{output}", rehearsal.join(" "));
        }
        self.spawn_now(arguments, stdin, true)
    }

    fn spawn_now(&self, arguments: &[&str], stdin: &str, with_now: bool) -> Running {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = |stream: &str| self.folder().join(format!("{n}.{stream}"));
        let (stdout, stderr, stdin_path) = (path("stdout"), path("stderr"), path("stdin"));
        fs::write(&stdin_path, stdin).expect("standard input can be written");

        let mut command = Command::new(env!("CARGO_BIN_EXE_posthorn"));
        command.current_dir(self.folder()).arg("--config").arg(self.config());
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("POSTHORN")) {
            command.env_remove(key);
        }
        command
            .envs(self.env.borrow().iter().map(|(key, value)| (key, value)))
            .env("NO_COLOR", "1");
        if let Some(now) = self.now.borrow().as_deref().filter(|_| with_now) {
            command.args(["--now", now]);
        }
        command
            .args(arguments)
            .stdin(File::open(&stdin_path).expect("standard input can be read"));
        command.stdout(File::create(&stdout).expect("standard output can be kept"));
        command.stderr(File::create(&stderr).expect("standard error can be kept"));
        Running {
            child: command.spawn().expect("the binary can be started"),
            stdout,
            stderr,
        }
    }
}

impl Drop for Posthorn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = self.folder.take().map(tempfile::TempDir::keep).unwrap_or_default();
            eprintln!(
                "kept for a look: {} ({})",
                kept.join("posthorn.toml").display(),
                if self.is_postgres() { "PostgreSQL" } else { "SQLite" }
            );
        } else if let Database::Postgres { server, name } = &self.database {
            execute(server, &format!("drop database if exists {name} with (force)"));
        }
    }
}

impl Running {
    /// Returns what was written to standard error so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Returns where standard error goes.
    pub fn stderr_path(&self) -> PathBuf {
        self.stderr.clone()
    }

    /// Sends a signal by name: `TERM`, `INT`, `HUP`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .stderr(Stdio::null())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "SIG{name} cannot be sent: the process has ended\n{}",
            self.stderr()
        );
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) -> Output {
        self.child.kill().ok();
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> Output {
        self.wait_for(&["(started)"], PATIENCE)
    }

    /// Waits until `is_so` holds, or fails with what was written to standard error.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "waited in vain until {what} (ended: {ended:?})\n{}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn wait_for(&mut self, arguments: &[&str], patience: Duration) -> Output {
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().ok();
                panic!(
                    "posthorn {} did not end within {patience:?}\n{}",
                    arguments.join(" "),
                    self.stderr()
                );
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        Output {
            code: code_of(status),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

impl Output {
    /// Returns both streams, for a look at whatever was said.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

impl Mail {
    /// Reads one file of a Maildir.
    #[track_caller]
    pub fn read(file: &Path) -> Self {
        let raw = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::parse(raw, file)
    }

    /// Takes a message apart, wherever it comes from.
    #[track_caller]
    pub fn parse(raw: Vec<u8>, file: &Path) -> Self {
        let message = MessageParser::default()
            .parse(&raw)
            .unwrap_or_else(|| panic!("{}: not a message", file.display()));
        let first = |addresses: Option<&mail_parser::Address>| {
            addresses
                .and_then(|list| list.first())
                .and_then(|one| one.address())
                .unwrap_or_default()
                .to_owned()
        };
        let attachments = message.attachments().map(|part| {
            use mail_parser::MimeHeaders;
            let kind = part
                .content_type()
                .map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()));
            (
                part.attachment_name().unwrap_or_default().to_owned(),
                kind.unwrap_or_default(),
                part.contents().to_vec(),
            )
        });
        Self {
            kind: message.header_raw("X-Posthorn-Kind").unwrap_or_default().trim().to_owned(),
            message_id: message.message_id().unwrap_or_default().to_owned(),
            date: message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
            from: first(message.from()),
            to: first(message.to()),
            subject: message.subject().unwrap_or_default().to_owned(),
            text: message.body_text(0).unwrap_or_default().into_owned(),
            html: message.body_html(0).unwrap_or_default().into_owned(),
            references: ids(message.references()),
            attachments: attachments.collect(),
            file: file.to_owned(),
            raw,
        }
    }

    /// Returns a header as it is written, without its line end.
    pub fn header(&self, name: &str) -> Option<String> {
        MessageParser::default()
            .parse(&self.raw)?
            .header_raw(name.to_owned())
            .map(|value| value.trim().to_owned())
    }
}

fn ids(value: &mail_parser::HeaderValue) -> Vec<String> {
    let one = value.as_text().map(str::to_owned);
    let list = value.as_text_list().into_iter().flatten().map(|id| id.to_string());
    let mut ids: Vec<String> = list.collect();
    if ids.is_empty() {
        ids.extend(one);
    }
    ids
}

fn code_of(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(i32::MIN)
}

/// Returns the server's address with another database.
fn with_database(server: &str, name: &str) -> String {
    let (base, parameters) = server
        .split_once('?')
        .map_or((server, None), |(base, parameters)| (base, Some(parameters)));
    let authority_at = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority_at..].find('/').map_or(base.len(), |at| authority_at + at);
    let parameters = parameters.map(|parameters| format!("?{parameters}")).unwrap_or_default();
    format!("{}/{name}{parameters}", &base[..end])
}

/// Runs one statement on the server; databases are made and dropped outside of any transaction.
fn execute(server: &str, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let outcome = runtime.block_on(async {
        let mut connection = PgConnection::connect(server).await?;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        connection.close().await
    });
    if let Err(error) = outcome {
        panic!("{POSTGRES} names a server on which the tests cannot run {statement:?}: {error}");
    }
}

/// Says something past the capture of the test runner, which shows nothing of a test that passes.
fn say_once(text: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        writeln!(std::io::stderr(), "{text}").ok();
    });
}

#[test]
fn a_database_is_named_in_the_servers_address() {
    for (server, expected) in [
        ("postgres://u:p@127.0.0.1:5432/postgres", "postgres://u:p@127.0.0.1:5432/x"),
        ("postgres://127.0.0.1", "postgres://127.0.0.1/x"),
        ("postgres:///postgres?host=/run/postgresql", "postgres:///x?host=/run/postgresql"),
    ] {
        assert_eq!(with_database(server, "x"), expected);
    }
}

#[test]
fn settings_are_written_as_toml_and_the_last_one_counts() {
    let posthorn = Posthorn::sqlite();
    posthorn
        .setting("policy.digest_threshold", "3")
        .setting("policy.digest_cron", "0 9 * * *")
        .setting("policy.digest_threshold", "4");
    posthorn
        .setting("smtp.relays", "[{ host = \"127.0.0.1\", port = 25, tls = \"none\" }]")
        .setting("mail.reply_to", "a \"b\" <c@d.example>");
    let written: toml::Table = toml::from_str(&fs::read_to_string(posthorn.config()).expect("it was written")).expect("it is TOML");
    assert_eq!(written["policy"]["digest_threshold"].as_integer(), Some(4));
    assert_eq!(written["policy"]["digest_cron"].as_str(), Some("0 9 * * *"));
    assert_eq!(written["smtp"]["relays"][0]["port"].as_integer(), Some(25));
    assert_eq!(written["mail"]["reply_to"].as_str(), Some("a \"b\" <c@d.example>"));
    assert_eq!(written["mail"]["transport"].as_str(), Some("maildir"));
}

#[test]
fn both_gives_each_engine_a_database_of_its_own() {
    let urls = RefCell::new(Vec::new());
    both(|posthorn| urls.borrow_mut().push((posthorn.is_postgres(), posthorn.database_url())));
    let urls = urls.into_inner();
    assert!(!urls[0].0 && urls[0].1.starts_with("sqlite:/"));
    assert_eq!(urls.len(), if std::env::var_os(POSTGRES).is_some() { 2 } else { 1 });
    assert!(
        urls.iter()
            .skip(1)
            .all(|(is_postgres, url)| *is_postgres && url.contains("/posthorn_it_"))
    );
}

#[test]
fn a_mail_of_the_maildir_is_taken_apart() {
    let posthorn = Posthorn::sqlite();
    assert!(posthorn.mails().is_empty());
    let raw = "From: P <leads@portal.example>\r\nTo: <ada@contoso.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 2 Mar 2026 08:00:00 +0000\r\n\
        Message-ID: <one@portal.example>\r\nReferences: <zero@portal.example>\r\n <half@portal.example>\r\nX-Posthorn-Kind: lead\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--b--\r\n";
    fs::create_dir_all(posthorn.folder().join("mail/new")).expect("a folder can be made");
    posthorn.file("mail/new/1", raw);
    let mails = posthorn.mails_of("lead");
    let mail = mails.first().expect("one mail lies there");
    assert_eq!(
        (&*mail.message_id, &*mail.to, &*mail.subject),
        ("one@portal.example", "ada@contoso.example", "Grüße")
    );
    assert_eq!((mail.text.trim(), mail.html.trim()), ("plain", "<p>rich</p>"));
    assert_eq!(mail.references, ["zero@portal.example", "half@portal.example"]);
    assert_eq!(mail.header("X-Posthorn-Kind").as_deref(), Some("lead"));
    assert!(posthorn.mails_of("digest").is_empty());
}
