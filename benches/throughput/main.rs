//! How fast leads become mails: posthorn, store and rendering included, beside loops that do nothing but send; and what that costs.
//!
//! Run it by `cargo xtask bench`; `docs/reference/benchmarks.md` says what the figures mean. Each round measures everything once, one after another, so
//! that a machine that is busy for a while is busy for all of them; what counts is the ratio within a round, and the median of the rounds.

#![forbid(unsafe_code)]

mod digests;
mod measured;
mod records;
mod report;
mod senders;
mod singly;
#[allow(dead_code, reason = "shared with the other bench")]
mod sink;
mod stored;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use senders::{Keep, Mails};

/// Mails on the way at once, here and in the loops.
const N_CONNECTIONS: usize = 8;

/// How far away the far relay is.
const FAR: Duration = Duration::from_millis(5);

/// A threshold that no partner's day comes to: each lead is mailed singly.
const SINGLY: usize = 1_000_000;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Wanted {
    /// `singly`, `digests`, `memory`, `claims`.
    measure: String,
    n_leads: usize,
    n_rounds: usize,
    /// Leads that wait, or are stored, where that is measured.
    n_stored: usize,
    /// The address of a PostgreSQL; none for SQLite.
    postgres: Option<String>,
    posthorn: PathBuf,
}

impl Wanted {
    fn engine(&self) -> &'static str {
        if self.postgres.is_some() { "PostgreSQL" } else { "SQLite" }
    }
}

fn main() -> ExitCode {
    // Cargo adds `--bench` to what it hands on.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["send", which, sink, maildir, n_mails] => send(which, sink, maildir, n_mails),
        words => wanted(words).and_then(|wanted| measure(&wanted)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: &Wanted) -> Outcome {
    match wanted.measure.as_str() {
        "singly" => singly::measure(wanted),
        "digests" => digests::measure(wanted),
        "memory" => stored::measure_memory(wanted, wanted.n_stored),
        "claims" => stored::measure_claims(wanted, wanted.n_stored),
        other => Err(format!("{other:?} is not one of singly, digests, memory, claims").into()),
    }
}

fn wanted(words: &[&str]) -> Outcome<Wanted> {
    let mut wanted = Wanted {
        measure: "singly".to_owned(),
        n_leads: 100_000,
        n_rounds: 3,
        n_stored: 1_000_000,
        postgres: None,
        posthorn: PathBuf::from(env!("CARGO_BIN_EXE_posthorn")),
    };
    let (pairs, rest) = words.as_chunks::<2>();
    for [name, value] in pairs {
        match *name {
            "--measure" => wanted.measure = (*value).to_owned(),
            "--leads" => wanted.n_leads = value.parse()?,
            "--rounds" => wanted.n_rounds = value.parse()?,
            "--stored" => wanted.n_stored = value.parse()?,
            "--postgres" => wanted.postgres = Some((*value).to_owned()),
            "--posthorn" => wanted.posthorn = PathBuf::from(value),
            other => return Err(format!("{other} is not one of --measure, --leads, --rounds, --stored, --postgres, --posthorn").into()),
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
        "bare" => senders::lettre_loop(sink, mails, n_mails, N_CONNECTIONS, Keep::Bare),
        "as-pool" => senders::lettre_loop(sink, mails, n_mails, N_CONNECTIONS, Keep::AsPool),
        "two-turns" => senders::pipelined(sink, mails, n_mails, N_CONNECTIONS, false),
        "one-turn" => senders::pipelined(sink, mails, n_mails, N_CONNECTIONS, true),
        other => Err(format!("there is no loop {other:?}").into()),
    }
}
