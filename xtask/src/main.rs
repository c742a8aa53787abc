//! The developer commands: `cargo xtask VERB`. Rust, not shell, and without dependencies, so that a fresh machine with Rust needs nothing else.
//!
//! Each step prints one line to standard error when it ends, with its duration; what a step runs writes to the terminal as if typed by hand.

#![forbid(unsafe_code)]

mod bench;
mod deps;
mod install;
mod look;
mod postgres;
mod run;
mod sim;

use std::process::{Command, ExitCode};

use run::{cargo, note, root, step};

const HELP: &str = "\
Developer commands of posthorn.

usage: cargo xtask VERB

  test [ARGS…]     all tests, on SQLite and on a throw-away PostgreSQL; installs what they need
                   (Debian, as root; otherwise says what is missing). ARGS go to `cargo test`:
                   cargo xtask test --test it, cargo xtask test digest, cargo xtask test -- --nocapture
  ci               formatting, clippy, dependencies, documentation, then `test`
  bench            how fast leads become mails, beside a bare loop over the same SMTP library
                   (--leads N, --rounds N, --engine sqlite|postgres|both, --build: a cold build, too)
  bench requests   how `serve` bears 200 clients at once (--leads N)
  sim              runs seeds of the simulation (docs/simulation.md): a hundred fresh ones, or
                   --seed N [--seeds N] [--steps N] [--engine sqlite|postgres] [--trace]
  pictures         all mails and pages, looked at in Chromium; the pictures are in target/pictures
  reference        writes docs/reference anew from the code
  pg up|down       keeps a PostgreSQL for developers, until `down`; `up` prints its address,
                   `up --fsync` makes one whose commits reach the disk, for figures
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["ci"] => ci(),
        ["bench", rest @ ..] => bench::bench(rest),
        ["sim", rest @ ..] => sim::sim(rest),
        ["pictures"] => look::pictures(),
        ["reference"] => reference(),
        ["pg", "up"] => postgres::up(postgres::Durability::Off),
        ["pg", "up", "--fsync"] => postgres::up(postgres::Durability::On),
        ["pg", "down"] => postgres::down(),
        [] | ["help" | "-h" | "--help"] => {
            print!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("unknown command: {}\n\n{HELP}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all tests on both engines, against a PostgreSQL that lives exactly as long as they do.
fn test(arguments: &[&str]) -> run::Result {
    let tools = step("what the tests need", install::tools)?;
    let server = step("PostgreSQL started", || {
        postgres::Server::throw_away(&tools.postgres_bin, postgres::Durability::Off)
    })?;
    let outcome = step("tests", || {
        let mut command = cargo(&["test", "--workspace", "--features", "fault-points"]);
        command.args(arguments);
        command.env("POSTHORN_TEST_POSTGRES", server.url());
        command.env("POSTHORN_TEST_SMTP_SINK", &tools.smtp_sink);
        command.env("POSTHORN_TEST_NATS", &tools.nats_server);
        if std::env::var_os("RUST_TEST_THREADS").is_none() {
            // The tests of the program wait for it a third of their time.
            let n_cores = std::thread::available_parallelism().map_or(2, usize::from);
            command.env("RUST_TEST_THREADS", (n_cores * 3 / 2).to_string());
        }
        if let Some(schemathesis) = &tools.schemathesis {
            command.env("POSTHORN_TEST_SCHEMATHESIS", schemathesis);
        }
        if let Some(look) = &tools.look {
            command.env("POSTHORN_TEST_LOOK", look);
        }
        if let Some(spamassassin) = &tools.spamassassin {
            command.env("POSTHORN_TEST_SPAMASSASSIN", spamassassin);
        }
        run::run(&mut command)
    });
    let stopped = step("PostgreSQL stopped", || server.stop());
    outcome.and(stopped)
}

/// Runs every check, the quick ones first; the tests come last, so that their lines end the output.
fn ci() -> run::Result {
    step("formatting", || run::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("dependencies", deps::check)?;
    step("clippy", || {
        run::run(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("documentation", || {
        let mut command = cargo(&["doc", "--workspace", "--no-deps", "--document-private-items", "--locked", "--quiet"]);
        run::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    test(&["--locked"])
}

/// Writes the generated reference pages: the tests that compare them replace them instead.
fn reference() -> run::Result {
    step("reference", || {
        let mut command: Command = cargo(&["test", "--package", "posthorn", "--test", "reference", "--quiet"]);
        run::run(command.env("POSTHORN_UPDATE_REFERENCE", "1"))
    })?;
    note(&format!("see: git diff {}", root().join("docs/reference").display()));
    Ok(())
}
