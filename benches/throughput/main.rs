//! How fast leads become mails: posthorn, store and rendering included, beside a bare loop over the same SMTP library that does nothing but send.
//!
//! Run it by `cargo xtask bench`; `docs/reference/benchmarks.md` says what the figures mean. Each round measures everything once, one after another, so
//! that a machine that is busy for a while is busy for all of them; what counts is the ratio within a round, and the median of the rounds.

#![forbid(unsafe_code)]

mod measured;
mod records;
mod senders;
mod sink;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use measured::Run;
use posthorn::clock::wall_now;
use senders::Mails;
use sink::Sink;
use sqlx::{Connection, Executor, PgConnection};

/// Mails on the way at once, here and in the loops.
const N_CONNECTIONS: usize = 8;

/// How far away the far relay is.
const FAR: Duration = Duration::from_millis(5);
/// Of the leads, one in so many is mailed to the far relay: the bare loop takes four turns a mail there.
const FAR_SHARE: usize = 10;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Wanted {
    n_leads: usize,
    n_rounds: usize,
    /// The address of a PostgreSQL; none for SQLite.
    postgres: Option<String>,
    posthorn: PathBuf,
}

/// One round's figures.
struct Round {
    import: Run,
    maildir: Run,
    smtp: Run,
    sink_cpu_seconds: f64,
    bare: Run,
    ceiling: Run,
    far: Run,
    far_bare: Run,
    commits_per_second: f64,
    mail_bytes: usize,
}

fn main() -> ExitCode {
    // Cargo adds `--bench` to what it hands on.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["send", which, sink, maildir, n_mails] => send(which, sink, maildir, n_mails),
        words => wanted(words).and_then(|wanted| bench(&wanted)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(words: &[&str]) -> Outcome<Wanted> {
    let mut wanted = Wanted {
        n_leads: 100_000,
        n_rounds: 3,
        postgres: None,
        posthorn: PathBuf::from(env!("CARGO_BIN_EXE_posthorn")),
    };
    let (pairs, rest) = words.as_chunks::<2>();
    for [name, value] in pairs {
        match *name {
            "--leads" => wanted.n_leads = value.parse()?,
            "--rounds" => wanted.n_rounds = value.parse()?,
            "--postgres" => wanted.postgres = Some((*value).to_owned()),
            "--posthorn" => wanted.posthorn = PathBuf::from(value),
            other => return Err(format!("{other} is not one of --leads, --rounds, --postgres, --posthorn").into()),
        }
    }
    match rest {
        [] if wanted.n_leads > 0 && wanted.n_rounds > 0 => Ok(wanted),
        [] => Err("there is nothing to measure".into()),
        _ => Err(format!("{} lacks its value", rest.concat()).into()),
    }
}

/// What a process of its own does: one of the loops.
fn send(which: &str, sink: &str, maildir: &str, n_mails: &str) -> Outcome {
    let (sink, mails, n_mails): (SocketAddr, _, _) = (sink.parse()?, Mails::read(Path::new(maildir))?, n_mails.parse()?);
    match which {
        "bare" => senders::bare_loop(sink, mails, n_mails, N_CONNECTIONS),
        "ceiling" => senders::ceiling(sink, mails, n_mails, N_CONNECTIONS),
        other => Err(format!("there is no loop {other:?}").into()),
    }
}

fn bench(wanted: &Wanted) -> Outcome {
    let (sink, far_sink) = (Sink::start(Duration::ZERO)?, Sink::start(FAR)?);
    let mut rounds = Vec::new();
    for n in 1..=wanted.n_rounds {
        let round = round(wanted, &sink, &far_sink)?;
        eprintln!(
            "round {n} of {}: import {:.0}/s, Maildir {:.0}/s, SMTP {:.0}/s, bare loop {:.0}/s, ceiling {:.0}/s",
            wanted.n_rounds,
            wanted.per_second(round.import),
            wanted.per_second(round.maildir),
            wanted.per_second(round.smtp),
            wanted.per_second(round.bare),
            wanted.per_second(round.ceiling),
        );
        rounds.push(round);
    }
    print(wanted, &rounds);
    Ok(())
}

fn round(wanted: &Wanted, sink: &Sink, far_sink: &Sink) -> Outcome<Round> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let maildir = folder.join("mail");
    let (leads, partners) = (folder.join("leads.ndjson"), folder.join("partners.ndjson"));
    records::write_partners(&partners)?;
    records::write_leads(&leads, wanted.n_leads, wall_now())?;

    let imported = Database::new(wanted, folder, "imported")?;
    let to_maildir = config(
        folder,
        "maildir.toml",
        &imported.url,
        &format!("transport = \"maildir\"\nmaildir = {maildir:?}"),
        "",
    )?;
    let posthorn = |config: &Path, words: &[&str]| {
        let mut command = Command::new(&wanted.posthorn);
        command
            .current_dir(folder)
            .env_clear()
            .arg("--quiet")
            .arg("--config")
            .arg(config)
            .args(words);
        measured::run(&mut command)
    };
    posthorn(&to_maildir, &["migrate"])?;
    posthorn(&to_maildir, &["partners", "import", "partners.ndjson"])?;
    let import = posthorn(&to_maildir, &["import", "--yes", "leads.ndjson"])?;

    let copy = imported.copy(wanted, folder, "copied")?;
    let to_smtp = smtp_config(folder, "smtp.toml", &copy.url, sink.address())?;
    let maildir_run = posthorn(&to_maildir, &["work", "--until-idle"])?;

    let (n_before, cpu_before) = (sink.n_mails(), measured::own_cpu_seconds());
    let smtp = posthorn(&to_smtp, &["work", "--until-idle"])?;
    let sink_cpu_seconds = measured::own_cpu_seconds() - cpu_before;
    let n_sent = sink.n_mails() - n_before;
    if n_sent != wanted.n_leads as u64 {
        return Err(format!("{n_sent} mails came out of {} leads", wanted.n_leads).into());
    }

    let send = |which: &str, relay: SocketAddr, n_mails: usize| {
        let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        command
            .args(["send", which, &relay.to_string()])
            .arg(&maildir)
            .arg(n_mails.to_string());
        measured::run(&mut command)
    };
    let bare = send("bare", sink.address(), wanted.n_leads)?;
    let ceiling = send("ceiling", sink.address(), wanted.n_leads)?;

    let distant = Database::new(wanted, folder, "distant")?;
    let to_far = smtp_config(folder, "far.toml", &distant.url, far_sink.address())?;
    records::write_leads(&leads, wanted.n_far(), wall_now())?;
    posthorn(&to_far, &["migrate"])?;
    posthorn(&to_far, &["partners", "import", "partners.ndjson"])?;
    posthorn(&to_far, &["import", "--yes", "leads.ndjson"])?;
    let far = posthorn(&to_far, &["work", "--until-idle"])?;
    let far_bare = send("bare", far_sink.address(), wanted.n_far())?;
    let mail_bytes = Mails::read(&maildir)?.n_bytes_mean();
    let commits_per_second = measured::commits_per_second(folder)?;
    imported.remove(wanted)?;
    copy.remove(wanted)?;
    distant.remove(wanted)?;
    Ok(Round {
        import,
        maildir: maildir_run,
        smtp,
        sink_cpu_seconds,
        bare,
        ceiling,
        far,
        far_bare,
        commits_per_second,
        mail_bytes,
    })
}

fn smtp_config(folder: &Path, name: &str, database: &str, relay: SocketAddr) -> Outcome<PathBuf> {
    let relays = format!(
        "[[smtp.relays]]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = {N_CONNECTIONS}",
        relay.port()
    );
    config(folder, name, database, "transport = \"smtp\"", &relays)
}

fn config(folder: &Path, name: &str, database: &str, mail: &str, smtp: &str) -> Outcome<PathBuf> {
    let path = folder.join(name);
    let text = format!(
        "[database]\nurl = {database:?}\n[mail]\nfrom = \"Partner portal <leads@portal.example>\"\n{mail}\n\
         [policy]\ndigest_threshold = 1000000\n[worker]\nconnections = {N_CONNECTIONS}\n{smtp}\n"
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// A database of one round.
struct Database {
    name: &'static str,
    url: String,
}

impl Database {
    fn new(wanted: &Wanted, folder: &Path, name: &'static str) -> Outcome<Self> {
        let url = match &wanted.postgres {
            None => format!("sqlite:{}", folder.join(name).display()),
            Some(url) => {
                run_sql(url, format!("create database {name}"))?;
                let (server, _) = url.rsplit_once('/').ok_or("a database address has a path")?;
                format!("{server}/{name}")
            }
        };
        Ok(Self { name, url })
    }

    /// The same leads, still to be mailed, for the second way out.
    fn copy(&self, wanted: &Wanted, folder: &Path, name: &'static str) -> Outcome<Self> {
        match &wanted.postgres {
            None => {
                let copy = folder.join(name);
                fs::copy(folder.join(self.name), &copy)?;
                // Else the disk would be busy with it while others are measured.
                fs::File::open(&copy)?.sync_all()?;
                Self::new(wanted, folder, name)
            }
            Some(url) => {
                run_sql(url, format!("create database {name} template {}", self.name))?;
                let (server, _) = url.rsplit_once('/').ok_or("a database address has a path")?;
                Ok(Self {
                    name,
                    url: format!("{server}/{name}"),
                })
            }
        }
    }

    fn remove(self, wanted: &Wanted) -> Outcome {
        match &wanted.postgres {
            // It goes with the folder.
            None => Ok(()),
            Some(url) => run_sql(url, format!("drop database {}", self.name)),
        }
    }
}

fn run_sql(url: &str, sql: String) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        connection.execute(sqlx::AssertSqlSafe(sql)).await?;
        connection.close().await?;
        Ok(())
    })
}

impl Wanted {
    fn per_second(&self, run: Run) -> f64 {
        self.n_leads as f64 / run.wall_seconds
    }

    fn n_far(&self) -> usize {
        self.n_leads.div_ceil(FAR_SHARE)
    }

    fn cpu_micros(&self, cpu_seconds: f64) -> f64 {
        1e6 * cpu_seconds / self.n_leads as f64
    }
}

fn print(wanted: &Wanted, rounds: &[Round]) {
    let engine = if wanted.postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    println!(
        "{} leads of {} partners, {engine}, {N_CONNECTIONS} connections, {} rounds; a mail has {} bytes\n",
        wanted.n_leads,
        records::N_PARTNERS,
        rounds.len(),
        rounds[0].mail_bytes,
    );
    let line = |what: &str, unit: &str, n_decimals: usize, figure: &dyn Fn(&Round) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        let (low, high) = (figures[0], figures[figures.len() - 1]);
        let median = (figures[(figures.len() - 1) / 2] + figures[figures.len() / 2]) / 2.0;
        println!("{what:<42} {median:>9.n_decimals$} {unit:<10} ({low:.n_decimals$} to {high:.n_decimals$})");
    };
    line("import", "leads/s", 0, &|r| wanted.per_second(r.import));
    line("posthorn to a Maildir", "mails/s", 0, &|r| wanted.per_second(r.maildir));
    line("posthorn to the sink", "mails/s", 0, &|r| wanted.per_second(r.smtp));
    line("bare loop to the sink", "mails/s", 0, &|r| wanted.per_second(r.bare));
    line("the sink's ceiling", "mails/s", 0, &|r| wanted.per_second(r.ceiling));
    line("posthorn / bare loop", "", 2, &|r| r.bare.wall_seconds / r.smtp.wall_seconds);
    println!();
    let n_far = wanted.n_far() as f64;
    line("posthorn to a sink 5 ms away", "mails/s", 0, &|r| n_far / r.far.wall_seconds);
    line("bare loop to a sink 5 ms away", "mails/s", 0, &|r| n_far / r.far_bare.wall_seconds);
    line("posthorn / bare loop, 5 ms away", "", 2, &|r| {
        r.far_bare.wall_seconds / r.far.wall_seconds
    });
    println!();
    line("peak resident memory, import", "MiB", 1, &|r| r.import.peak_mib);
    line("peak resident memory, Maildir", "MiB", 1, &|r| r.maildir.peak_mib);
    line("peak resident memory, SMTP", "MiB", 1, &|r| r.smtp.peak_mib);
    println!();
    line("processor time, import", "µs/lead", 1, &|r| {
        wanted.cpu_micros(r.import.cpu_seconds)
    });
    line("processor time, posthorn to the sink", "µs/mail", 1, &|r| {
        wanted.cpu_micros(r.smtp.cpu_seconds)
    });
    line("processor time, the sink meanwhile", "µs/mail", 1, &|r| {
        wanted.cpu_micros(r.sink_cpu_seconds)
    });
    line("processor time, bare loop", "µs/mail", 1, &|r| {
        wanted.cpu_micros(r.bare.cpu_seconds)
    });
    println!();
    line("commits of 4 kB to the same disk", "1/s", 0, &|r| r.commits_per_second);
}
