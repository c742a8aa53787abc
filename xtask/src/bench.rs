//! Measures what `docs/reference/benchmarks.md` claims; the measuring itself is `benches/throughput`, which has the libraries that it needs.

use std::process::Command;
use std::time::Instant;

use crate::run::{Result, cargo, note, output, root, run, scratch, step};
use crate::{install, postgres};

/// What can be measured, and by which bench: each alone, by its name behind `cargo xtask bench`.
const MEASURES: &[&str] = &["singly", "digests", "memory", "claims"];

/// What is measured.
struct Wanted {
    measure: String,
    n_stored: String,
    n_leads: String,
    n_rounds: String,
    engines: &'static [Engine],
    measures_build: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// Builds everything in release mode, measures, and prints the figures with the commit that they belong to.
pub fn bench(arguments: &[&str]) -> Result {
    if let [measure @ ("requests" | "latency"), rest @ ..] = arguments {
        let mut command = cargo(&["bench", "--locked", "--package", "posthorn", "--bench", "requests", "--"]);
        run(command.args(["--measure", measure]).args(rest))?;
        print_source(arguments);
        return Ok(());
    }
    if arguments == ["render"] {
        run(&mut cargo(&["bench", "--locked", "--package", "posthorn", "--bench", "render"]))?;
        print_source(arguments);
        return Ok(());
    }
    let wanted = wanted(arguments)?;
    if wanted.measures_build {
        cold_build()?;
    }
    for engine in wanted.engines {
        measure(&wanted, *engine)?;
    }
    print_source(arguments);
    Ok(())
}

fn print_source(arguments: &[&str]) {
    let commit = output(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root()));
    println!("commit {}", commit.as_deref().map_or("unknown", str::trim));
    println!("command: cargo xtask bench {}", arguments.join(" "));
}

fn measure(wanted: &Wanted, engine: Engine) -> Result {
    let server = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => {
            let bin = install::postgres()?;
            Some(step("PostgreSQL started", || {
                postgres::Server::throw_away(&bin, postgres::Durability::On)
            })?)
        }
    };
    let mut command = cargo(&["bench", "--locked", "--package", "posthorn", "--bench", "throughput", "--"]);
    command.args(["--measure", &wanted.measure, "--leads", &wanted.n_leads]);
    command.args(["--rounds", &wanted.n_rounds, "--stored", &wanted.n_stored]);
    if let Some(server) = &server {
        command.args(["--postgres", server.url()]);
    }
    let outcome = run(&mut command);
    if let Some(server) = server {
        server.stop()?;
    }
    println!();
    outcome
}

fn wanted(arguments: &[&str]) -> Result<Wanted> {
    let mut wanted = Wanted {
        measure: "singly".to_owned(),
        n_stored: "1000000".to_owned(),
        n_leads: "100000".to_owned(),
        n_rounds: "3".to_owned(),
        engines: &[Engine::Sqlite],
        measures_build: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .map(|value| (*value).to_owned())
                .ok_or_else(|| format!("{word} lacks its value"))
        };
        match *word {
            "--leads" => wanted.n_leads = value()?,
            "--rounds" => wanted.n_rounds = value()?,
            "--stored" => wanted.n_stored = value()?,
            "--engine" => {
                wanted.engines = match value()?.as_str() {
                    "sqlite" => &[Engine::Sqlite],
                    "postgres" => &[Engine::Postgres],
                    "both" => &[Engine::Sqlite, Engine::Postgres],
                    other => return Err(format!("{other} is not one of sqlite, postgres, both")),
                }
            }
            "--build" => wanted.measures_build = true,
            measure if MEASURES.contains(&measure) => measure.clone_into(&mut wanted.measure),
            other => {
                let measures = MEASURES.join(", ");
                return Err(format!(
                    "{other} is not one of {measures}, requests, latency, --leads, --rounds, --stored, --engine, --build"
                ));
            }
        }
    }
    Ok(wanted)
}

/// Builds the program in an empty folder: what a newcomer waits for.
fn cold_build() -> Result {
    let folder = scratch()?.join("cold");
    std::fs::remove_dir_all(&folder).ok();
    let began = Instant::now();
    let outcome = step("cold release build", || {
        run(cargo(&["build", "--release", "--locked", "--quiet", "--package", "posthorn"]).env("CARGO_TARGET_DIR", &folder))
    });
    std::fs::remove_dir_all(&folder).ok();
    outcome?;
    println!("cold release build: {:.0} s", began.elapsed().as_secs_f64());
    note("the crates were downloaded before; how many processors there are decides the rest");
    Ok(())
}
