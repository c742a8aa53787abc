//! Looks at the database, the disks, and at what a worker does with them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access, statvfs};

use crate::app::Rules;
use crate::app::status::{Status, status};
use crate::clock::wall_now;
use crate::doctor::probe::{Asked, OtherClock, Seen, off_ms, sentence};
use crate::doctor::report::{Area, Check};
use crate::settings::Transport;
use crate::store::condition::{Condition, Server, look as look_at_condition};
use crate::store::{Error, Missing, Store, sqlite_path};

const AREA: Area = Area::Database;

/// How long the database may take for all that is asked of it.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Free bytes below which a disk is about to be full: four times what the write-ahead log grows to between two foldings.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Free bytes below which somebody has to think of it: 100,000 mails of 9 kB, or the copy of a table that an upgrade makes.
const FREE_BYTES_ADVISED: u64 = 1 << 30;
/// For how long something may be due before it is told: a worker that lives takes up within a second what is due, and a retry is not due.
const DUE_SECONDS_MAX: i64 = 300;

pub(super) async fn look(asked: &Asked<'_>) -> Seen {
    let mut seen = match tokio::time::timeout(TIME_MAX, look_inside(asked)).await {
        Ok(seen) => seen,
        Err(_) => {
            let found = format!(
                "The database {} does not answer within {} s.",
                asked.settings().database.url,
                TIME_MAX.as_secs()
            );
            vec![Check::wrong(
                AREA,
                "database",
                found,
                "See what its server is busy with; posthorn waits meanwhile.",
            )]
            .into()
        }
    };
    seen.checks.extend(look_at_disks(asked));
    seen
}

async fn look_inside(asked: &Asked<'_>) -> Seen {
    let settings = asked.settings();
    let url = &settings.database.url;
    let mut seen = Seen::default();
    let store = match Store::open(url.expose(), settings.database.max_connections, Missing::Refuse).await {
        Ok(store) => store,
        Err(error) => {
            seen.checks.push(unusable(&error, url.is_postgres()));
            seen.checks.push(Check::passed_over(
                Area::Worker,
                "worker",
                "Not looked at: it stands in the database.",
            ));
            return seen;
        }
    };
    let before = wall_now();
    match look_at_condition(&store).await {
        Ok(condition) => {
            let found = format!("The database {url} is reached, its tables are those of this posthorn, and it can be written.");
            seen.checks.push(Check::ok(AREA, "database", found));
            seen.checks.push(match &condition {
                Condition::Sqlite { journal_mode, synchronous } => judge_sqlite(journal_mode, *synchronous),
                Condition::Postgres(server) => judge_postgres(server),
            });
            if let Condition::Postgres(server) = condition {
                seen.clocks.push(OtherClock {
                    whose: "the PostgreSQL server's".into(),
                    off_ms: off_ms(before, wall_now(), server.now_at, 1),
                    judges_leases: true,
                });
            }
        }
        Err(error) => {
            let found = format!("The database {url} is reached, and cannot be written: {error}.");
            seen.checks
                .push(Check::wrong(AREA, "database", found, write_advice(url.is_postgres())));
        }
    }
    let rules = Rules::from_settings(settings);
    match status(&store, asked.now, wall_now(), &rules, &settings.mode.to_string()).await {
        Ok(status) => {
            if !asked.is_faulty(&["mode"]) {
                seen.checks.extend(judge_mode(&status, &settings.mode.to_string()));
            }
            seen.checks.extend(judge_work(&status));
        }
        Err(error) => seen.checks.push(Check::wrong(
            Area::Worker,
            "worker",
            sentence(error),
            "Look at the database above first.",
        )),
    }
    store.close().await;
    seen
}

/// Says why the database cannot be used. The text of these errors has the way out in it, where there is one.
fn unusable(error: &Error, is_postgres: bool) -> Check {
    let (found, advice) = match error {
        Error::NoSchema { url } => (
            format!("The database {url} has no posthorn tables yet."),
            "Make them with `posthorn migrate`.",
        ),
        Error::OlderSchema { found, newest } => (
            format!("The database has the tables of an older posthorn (version {found}; this one needs {newest})."),
            "Make a backup, and bring it up to date with `posthorn migrate`.",
        ),
        Error::NewerSchema => (
            "The database was made by a newer posthorn.".into(),
            "Run that one, or restore a backup made before the upgrade.",
        ),
        error => (
            sentence(error),
            if is_postgres {
                "See that the server runs, and that `psql` with the same database.url reaches it."
            } else {
                "See that its folder is there, and that posthorn's user may write in it."
            },
        ),
    };
    Check::wrong(AREA, "database", found, advice)
}

fn write_advice(is_postgres: bool) -> &'static str {
    if is_postgres {
        "See that it is no standby, and that its user may change posthorn's tables."
    } else {
        "See that posthorn's user may write the file and its folder, and that no long import or backup holds it."
    }
}

fn judge_sqlite(journal_mode: &str, synchronous: i64) -> Check {
    const NAME: &str = "durability";
    if journal_mode == "wal" && synchronous == 2 {
        return Check::ok(
            AREA,
            NAME,
            "Each commit is on the disk before it counts (write-ahead log, synchronous = full).",
        );
    }
    let found =
        format!("SQLite keeps its journal as {journal_mode:?} with synchronous = {synchronous}, where posthorn sets \"wal\" and 2 (full).");
    Check::wrong(
        AREA,
        NAME,
        found,
        "Put the database on a local disk: file systems over a network have no write-ahead log.",
    )
}

fn judge_postgres(server: &Server) -> Check {
    const NAME: &str = "durability";
    let Server {
        version,
        synchronous_commit,
        ..
    } = server;
    let advice = "Set it to on in postgresql.conf, and restart the server.";
    for (name, value) in [("fsync", &server.fsync), ("full_page_writes", &server.full_page_writes)] {
        if value == "off" {
            let found = format!("PostgreSQL {version} runs with {name} = off: a power cut may destroy the database.");
            return Check::wrong(AREA, NAME, found, advice);
        }
    }
    if synchronous_commit == "off" {
        let found = format!(
            "PostgreSQL {version} runs with synchronous_commit = off: leads that were answered for, and mails that were sent, may be forgotten by a crash."
        );
        return Check::wrong(AREA, NAME, found, "Set synchronous_commit = on for this database.");
    }
    Check::ok(
        AREA,
        NAME,
        format!("PostgreSQL {version} has each commit on the disk before it counts (fsync = on)."),
    )
}

fn look_at_disks(asked: &Asked<'_>) -> Vec<Check> {
    let settings = asked.settings();
    let mut places: Vec<(&'static str, &str, PathBuf)> = Vec::new();
    if let Some(path) = sqlite_path(settings.database.url.expose()) {
        places.push(("disk.database", "the database", path.into()));
    }
    if settings.mail.transport == Transport::Maildir && !asked.is_faulty(&["mail"]) {
        places.push(("disk.maildir", "the Maildir", settings.mail.maildir.clone()));
    }
    places.iter().map(|(name, what, path)| judge_disk(name, what, path)).collect()
}

fn judge_disk(name: &'static str, what: &str, path: &Path) -> Check {
    // What is not there yet will be made in the nearest folder that is.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `mail/` is not there where `mail` is a file.
    let absolute: PathBuf = absolute.components().collect();
    let Some(there) = absolute.ancestors().find(|folder| folder.exists()) else {
        return Check::passed_over(AREA, name, format!("The disk of {what} cannot be found: {}.", path.display()));
    };
    let shown = path.display();
    // The embedded database is a file; everything else on the way to it, and the Maildir, is a folder.
    let is_database = name == "disk.database" && there == absolute;
    if !is_database && !there.is_dir() {
        let found = format!("{} is no folder, where {what} is to be ({shown}).", there.display());
        return Check::wrong(AREA, name, found, "Move it out of the way, or set another path.");
    }
    if access(there, Access::WRITE_OK).is_err() {
        let found = format!("This user may not write {}, where {what} is to be ({shown}).", there.display());
        return Check::wrong(AREA, name, found, "Run this as posthorn's user, or give that user the folder.");
    }
    let free = match statvfs(there) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return Check::passed_over(AREA, name, format!("The free space for {what} ({shown}) cannot be asked: {error}.")),
    };
    let found = format!("{} are free for {what} ({shown})", in_words(free));
    if free < FREE_BYTES_MIN {
        Check::wrong(
            AREA,
            name,
            format!("Only {found}."),
            "Make room now: on a full disk nothing is taken in or recorded.",
        )
    } else if free < FREE_BYTES_ADVISED {
        Check::warning(
            AREA,
            name,
            format!("Only {found}."),
            format!("Make room: {} are advised.", in_words(FREE_BYTES_ADVISED)),
        )
    } else {
        Check::ok(AREA, name, format!("{found}."))
    }
}

fn in_words(bytes: u64) -> String {
    match bytes {
        0..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

fn judge_mode(status: &Status, configured: &str) -> Option<Check> {
    (status.mode != configured && configured == "live").then(|| {
        let found = format!(
            "The database is in mode {}, and the configuration says live: posthorn does not start.",
            status.mode
        );
        Check::wrong(
            Area::Worker,
            "mode",
            found,
            "If mail is to go out to partners, run `posthorn migrate --yes`.",
        )
    })
}

fn judge_work(status: &Status) -> Vec<Check> {
    let mut checks = Vec::new();
    let area = Area::Worker;
    match status.workers.as_slice() {
        [] => checks.push(Check::warning(
            area,
            "worker",
            "No worker is alive: nothing goes out.",
            "Start `posthorn serve`, or run `posthorn work --until-idle` by a timer.",
        )),
        [worker] => checks.push(Check::ok(area, "worker", format!("A worker is alive ({}).", worker.name))),
        workers => checks.push(Check::ok(area, "worker", format!("{} workers are alive.", workers.len()))),
    }
    let due: i64 = status.backlog.iter().map(|kind| kind.due).sum();
    let oldest = status.backlog.iter().filter_map(|kind| kind.oldest_due_seconds).max().unwrap_or(0);
    if due > 0 && oldest > DUE_SECONDS_MAX {
        let found = format!(
            "{} due and not taken up, the oldest for {} minutes.",
            are(due, "mail", "mails"),
            oldest / 60
        );
        let advice = if status.workers.is_empty() {
            "Start a worker."
        } else {
            "Look at the worker's log: it is alive, and does not get on."
        };
        checks.push(Check::warning(area, "waiting", found, advice));
    } else {
        let waiting: i64 = status.backlog.iter().map(|kind| kind.pending + kind.queued).sum();
        let found = match waiting {
            0 => "Nothing waits to be mailed.".to_owned(),
            n => format!("{} waiting, none of them overdue.", are(n, "mail", "mails")),
        };
        checks.push(Check::ok(area, "waiting", found));
    }
    let needs = [
        (
            status.in_doubt,
            "mail is",
            "mails are",
            "in doubt: the relay may have them",
            "Look at them: `posthorn deliveries list --state in_doubt`.",
        ),
        (
            status.parked + status.held_leads,
            "notice or lead waits",
            "notices or leads wait",
            "for an address of the partner",
            "See whose: `posthorn status`; then set a preferred e-mail.",
        ),
        (
            status.parked_for_lead_desk,
            "expired lead has",
            "expired leads have",
            "nobody to be told",
            "Set portal.lead_desk.",
        ),
        (
            status.undeliverable,
            "notice came",
            "notices came",
            "to nothing: every address failed",
            "Look at them: `posthorn deliveries list --state failed,suppressed`.",
        ),
        (
            status.rejected_open,
            "record was",
            "records were",
            "rejected",
            "Look at them: `posthorn rejected list`.",
        ),
    ];
    let n_before = checks.len();
    for (n, one, many, what, advice) in needs.into_iter().filter(|need| need.0 > 0) {
        let noun = if n == 1 { one } else { many };
        checks.push(Check::warning(area, "needs_somebody", format!("{n} {noun} {what}."), advice));
    }
    if checks.len() == n_before {
        checks.push(Check::ok(
            area,
            "needs_somebody",
            "Nothing is in doubt, without an address, undeliverable or rejected.",
        ));
    }
    checks
}

fn are(n: i64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one} is"),
        n => format!("{n} {many} are"),
    }
}
