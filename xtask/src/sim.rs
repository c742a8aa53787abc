//! `cargo xtask sim`: runs seeds of the simulation (`tests/sim`), which has the libraries that it needs.

use crate::run::{Result, cargo, note, run, step};
use crate::{install, postgres};

/// What is run.
struct Wanted {
    seed: u64,
    n_seeds: u64,
    n_steps: u64,
    is_postgres: bool,
    is_traced: bool,
}

/// Steps of a run, as `tests/sim/run.rs` has it.
const STEPS: u64 = 250;

/// Runs seeds in the tests' own build, so that a seed that failed there fails here.
pub fn sim(arguments: &[&str]) -> Result {
    let wanted = wanted(arguments)?;
    let mut command = cargo(&[
        "test",
        "--package",
        "posthorn",
        "--test",
        "sim",
        "--features",
        "fault-points",
        "--quiet",
    ]);
    command.args(["--", "what_is_asked_for", "--exact", "--nocapture"]);
    let engine = if wanted.is_postgres { "postgres" } else { "sqlite" };
    let trace = if wanted.is_traced { "trace" } else { "short" };
    command.env(
        "POSTHORN_SIM",
        format!("{} {} {} {engine} {trace}", wanted.seed, wanted.n_seeds, wanted.n_steps),
    );
    note(&format!(
        "seeds {} to {}",
        wanted.seed,
        wanted.seed.saturating_add(wanted.n_seeds - 1)
    ));
    if !wanted.is_postgres || std::env::var_os("POSTHORN_TEST_POSTGRES").is_some() {
        return run(&mut command);
    }
    let bin = install::postgres()?;
    let server = step("PostgreSQL started", || {
        postgres::Server::throw_away(&bin, postgres::Durability::Off)
    })?;
    let outcome = run(command.env("POSTHORN_TEST_POSTGRES", server.url()));
    let stopped = step("PostgreSQL stopped", || server.stop());
    outcome.and(stopped)
}

fn wanted(arguments: &[&str]) -> Result<Wanted> {
    let mut seed = None;
    let mut wanted = Wanted {
        seed: 0,
        n_seeds: 0,
        n_steps: STEPS,
        is_postgres: false,
        is_traced: false,
    };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let mut value = || rest.next().copied().ok_or_else(|| format!("{name} wants a value"));
        match *name {
            "--seed" => seed = Some(number(name, value()?)?),
            "--seeds" => wanted.n_seeds = number(name, value()?)?,
            "--steps" => wanted.n_steps = number(name, value()?)?,
            "--engine" => {
                wanted.is_postgres = match value()? {
                    "sqlite" => false,
                    "postgres" => true,
                    other => return Err(format!("--engine: {other:?} is not one of sqlite, postgres")),
                }
            }
            "--trace" => wanted.is_traced = true,
            other => {
                return Err(format!(
                    "unknown option: {other}; there are --seed N, --seeds N, --steps N, --engine E, --trace"
                ));
            }
        }
    }
    // One seed is one run; without one, a hundred that nobody has tried before.
    wanted.n_seeds = match (wanted.n_seeds, seed) {
        (0, Some(_)) => 1,
        (0, None) => 100,
        (n, _) => n,
    };
    wanted.seed = match seed {
        Some(seed) => seed,
        None => fresh()?,
    };
    Ok(wanted)
}

fn fresh() -> Result<u64> {
    let time = std::time::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())?;
    u64::try_from(time.as_millis()).map_err(|error| error.to_string())
}

fn number(name: &str, text: &str) -> Result<u64> {
    text.parse().map_err(|_| format!("{name}: {text:?} is not a number"))
}
