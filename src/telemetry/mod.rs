//! What operators see of a running posthorn: its log, on standard error.
//!
//! In: format and weight from settings and flags. Out: one subscriber for the process; every room writes through `tracing`.
//!
//! **Invariants:** no line holds a customer's name, address, phone or notes, of a recipient more than the domain, or a credential.
//! **Not here:** results of commands, which are standard output and `cli`'s.

pub mod metrics;
mod series;

use std::io;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use crate::settings::Level;
use crate::settings::LogFormat;

/// Starts the log of this process; a second start changes nothing.
pub fn start(format: LogFormat, level: Level) {
    // Libraries have their say when something is wrong; their details are of use at the wire's level only.
    let libraries = if level == Level::Trace {
        Level::Debug
    } else {
        level.min(Level::Warn)
    };
    let filter = Targets::new()
        .with_default(as_filter(libraries))
        .with_target("posthorn", as_filter(level));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => registry
            .with(layer().with_writer(io::stderr).with_target(false).with_ansi(is_for_people()))
            .try_init(),
        LogFormat::Json => registry.with(layer().json().flatten_event(true).with_writer(io::stderr)).try_init(),
    };
    // A test of the same process was first.
    started.ok();
}

fn is_for_people() -> bool {
    use std::io::IsTerminal;
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Returns what `-q` and `-v` make of the usual weight: only errors, or a step more for each `v`.
pub fn level(usual: Level, quiet: bool, n_verbose: u8) -> Level {
    const STEPS: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
    if quiet {
        return Level::Error;
    }
    let wanted = STEPS.iter().position(|step| *step == usual).unwrap_or_default() + usize::from(n_verbose);
    STEPS[wanted.min(STEPS.len() - 1)]
}

fn as_filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// Outcomes of a batch were committed.
pub fn outcomes_recorded(n_rows: usize, n_recorded: usize, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(n_rows, n_recorded, duration_ms, "outcomes recorded");
}

/// Records were taken in, or rejected, and committed.
pub fn records_taken_in(outcomes: &[(&'static str, u64)]) {
    metrics::records_taken_in(outcomes);
    tracing::debug!(?outcomes, "records taken in");
}

/// The personal data of leads was erased, and that was committed.
pub fn leads_erased(n_rows: usize) {
    tracing::info!(n_rows, "leads erased");
}

/// The outcome of a mail was committed.
pub fn delivery_recorded(delivery_id: i64, kind: &'static str, outcome: &'static str, since_arrival: Option<Duration>) {
    metrics::delivery_recorded(kind, outcome, since_arrival);
    tracing::debug!(delivery_id, kind, outcome, "delivery recorded");
}

/// A mail that came to where bounces go was taken in.
pub fn bounce_taken_in(class: &str, state: &str, is_repeat: bool) {
    metrics::bounce_taken_in(class, if is_repeat { "repeat" } else { state });
    tracing::info!(class, state, is_repeat, "bounce taken in");
}

/// What was found out about customers' e-mail and phone was committed.
pub fn leads_verified(outcomes: &[(&'static str, u64)]) {
    metrics::leads_verified(outcomes);
    tracing::debug!(?outcomes, "leads verified");
}

/// The books were closed.
pub fn audited(n_orphans: i64, at: crate::time::Timestamp, took: Duration) {
    metrics::audited(n_orphans, at);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if n_orphans > 0 {
        tracing::error!(n_orphans, duration_ms, "audit found orphans; `posthorn audit` lists them");
    } else {
        tracing::info!(n_orphans, duration_ms, "audited");
    }
}

/// A request was answered; its span says which.
pub fn request_answered(path: &str, status: u16, took: Duration) {
    metrics::request_answered(path, status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(status, duration_ms, "request answered");
    } else {
        tracing::debug!(status, duration_ms, "request answered");
    }
}

/// A mail was not taken. The reply's text stays in the database: it may name the recipient.
pub fn delivery_not_sent(delivery_id: i64, partner_id: &str, relay: &str, stage: &str, reply_code: Option<u16>) {
    tracing::info!(delivery_id, partner_id, relay, stage, reply_code, "delivery not sent");
}

/// A relay is not asked until a mail tries it then. What it said stays in the database: it may name a recipient.
pub fn relay_left_alone(relay: &str, cause: &'static str, until: crate::time::Timestamp, stage: &str, reply_code: Option<u16>) {
    metrics::relay_rests(relay, true);
    tracing::warn!(relay, cause, %until, stage, reply_code, "relay left alone");
}

/// A relay that was left alone is asked again.
pub fn relay_asked_again(relay: &str) {
    metrics::relay_rests(relay, false);
    tracing::info!(relay, "relay asked again");
}

/// Templates that had changed were taken over, or refused because of a fault.
pub fn templates_reloaded(fault: Option<&str>) {
    metrics::templates_reloaded(fault.is_none());
    match fault {
        None => tracing::info!("templates reloaded"),
        Some(fault) => tracing::error!("templates not reloaded, the old ones stay in force: {fault}"),
    }
}

/// A relay's hour or day is full.
pub fn relay_full(relay: &str, until: crate::time::Timestamp) {
    tracing::info!(relay, %until, "relay full");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_move_the_weight_from_the_usual_one() {
        for (usual, quiet, n_verbose, expected) in [
            (Level::Info, false, 0, Level::Info),
            (Level::Warn, false, 1, Level::Info),
            (Level::Warn, false, 2, Level::Debug),
            (Level::Info, false, 9, Level::Trace),
            (Level::Debug, true, 0, Level::Error),
        ] {
            assert_eq!(level(usual, quiet, n_verbose), expected, "{usual:?} {quiet} {n_verbose}");
        }
    }
}
