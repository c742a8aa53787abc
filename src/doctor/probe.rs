//! Looks at everything, each area beside the others, and puts the report together.

use std::net::SocketAddr;
use std::time::Duration;

use crate::clock::wall_now;
use crate::dns::Resolver;
use crate::doctor::report::{Area, Check, Report};
use crate::doctor::{probe_database, probe_dns, probe_files, probe_nats, probe_relay, probe_web};
use crate::settings::{Error, Loaded, Settings};
use crate::time::Timestamp;

/// How far two clocks may be apart before it is told: `Date` of HTTP has whole seconds, and an answer takes some time.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(3);
/// A clock that shows less stands where a machine without a battery begins: this program was written later.
const CLOCK_MIN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// What is to be looked at.
pub struct Asked<'a> {
    /// The configuration, as far as it could be read.
    pub loaded: &'a Loaded,
    /// What is wrong with it.
    pub fault: Option<&'a Error>,
    /// The command's instant: what is due is judged by it.
    pub now: Timestamp,
    /// Which resolvers the DNS is asked through.
    pub servers: Vec<SocketAddr>,
    /// Whether addresses that lie elsewhere are asked, too: `http.public_url`.
    pub is_online: bool,
}

impl Asked<'_> {
    /// Returns the settings.
    pub(super) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Tells whether one of these tables has a fault, or all of them: what is then in force is not what was meant.
    pub(super) fn is_faulty(&self, tables: &[&str]) -> bool {
        match self.fault {
            None => false,
            Some(Error::Unreadable { .. }) => true,
            Some(Error::Faults(faults)) => faults.iter().any(|fault| {
                let table = fault.key.split(['.', '[']).next().unwrap_or_default();
                fault.key.is_empty() || tables.contains(&table)
            }),
        }
    }
}

/// Another clock.
pub(super) struct OtherClock {
    /// Whose, as the end of a sentence.
    pub(super) whose: String,
    /// How far ours is before it at least, in milliseconds; see [`off_ms`].
    pub(super) off_ms: i64,
    /// Workers' leases are compared by it.
    pub(super) judges_leases: bool,
}

/// Returns by how many milliseconds our clock is before another one at least (negative: behind), which was asked between two instants of ours and
/// showed `theirs`, exactly or in whole units of `unit_ms`. That an answer took long does not count.
pub(super) fn off_ms(before: Timestamp, after: Timestamp, theirs: i64, unit_ms: i64) -> i64 {
    let (first, last) = (theirs, theirs + unit_ms - 1);
    if after.as_millis() < first {
        after.as_millis() - first
    } else {
        (before.as_millis() - last).max(0)
    }
}

/// What an area came to.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) checks: Vec<Check>,
    pub(super) clocks: Vec<OtherClock>,
}

impl From<Vec<Check>> for Seen {
    fn from(checks: Vec<Check>) -> Self {
        Self {
            checks,
            clocks: Vec::new(),
        }
    }
}

/// Looks at everything.
pub async fn examine(asked: &Asked<'_>) -> Report {
    let resolver = Resolver::new(asked.servers.clone());
    let (database, relays, dns, pages, actions, nats) = tokio::join!(
        unless_faulty(asked, Area::Database, "database", &["database"], probe_database::look(asked)),
        unless_faulty(asked, Area::Relays, "relay.reach", &["smtp", "mail"], probe_relay::look(asked)),
        unless_faulty(asked, Area::Dns, "dns", &["mail", "dkim"], probe_dns::look(asked, &resolver)),
        unless_faulty(asked, Area::PublicPages, "pages", &["http"], probe_web::look_at_pages(asked)),
        unless_faulty(
            asked,
            Area::ActionCenter,
            "action_center",
            &["action_center"],
            probe_web::look_at_actions(asked)
        ),
        unless_faulty(asked, Area::Nats, "nats", &["nats"], probe_nats::look(asked)),
    );
    let mut checks = probe_files::look(asked);
    let mut clocks = Vec::new();
    for seen in [database, relays, dns, pages, actions, nats] {
        checks.extend(seen.checks);
        clocks.extend(seen.clocks);
    }
    checks.extend(clock(wall_now(), &clocks, asked));
    Report::new(asked.now, checks)
}

/// Looks at an area, unless what it goes by is wrong.
async fn unless_faulty(asked: &Asked<'_>, area: Area, name: &'static str, tables: &[&str], look: impl Future<Output = Seen>) -> Seen {
    if asked.is_faulty(tables) {
        let found = "Not looked at: the configuration that says where is wrong.";
        return vec![Check::not_checked(area, name, found, "Correct the configuration first.")].into();
    }
    look.await
}

fn clock(at: Timestamp, others: &[OtherClock], asked: &Asked<'_>) -> Vec<Check> {
    const NAME: &str = "clock";
    let set = "Set this machine's clock, and keep it set (NTP): `timedatectl` says how it is.";
    let shown = at.to_utc().format("%Y-%m-%d %H:%M:%S UTC");
    if at < CLOCK_MIN {
        let found = format!("This machine's clock says {shown}, which cannot be: mails, expiry and leases go by it.");
        return vec![Check::wrong(Area::Clock, NAME, found, set)];
    }
    if others.is_empty() {
        let more = if asked.is_online || asked.settings().http.public_url.is_none() {
            ""
        } else {
            "; --online compares it with the server of http.public_url"
        };
        let found = format!("This machine's clock says {shown}; there is nothing here to compare it with{more}.");
        return vec![Check::ok(Area::Clock, NAME, found)];
    }
    let lease = asked.settings().worker.lease;
    let judged = others.iter().map(|other| {
        let off = Duration::from_millis(other.off_ms.unsigned_abs());
        let which = if other.off_ms > 0 { "ahead of" } else { "behind" };
        let (seconds, whose) = (off.as_secs(), &other.whose);
        if off <= CLOCK_OFF_MAX {
            return Check::ok(Area::Clock, NAME, format!("This machine's clock says {shown}, as does {whose}."));
        }
        let found = format!("This machine's clock says {shown} and is {seconds} s {which} {whose}.");
        if other.judges_leases && off >= lease {
            let found = format!(
                "{found} Workers on other machines would take its mails for given up: worker.lease is {} s.",
                lease.as_secs()
            );
            return Check::wrong(Area::Clock, NAME, found, set);
        }
        Check::warning(Area::Clock, NAME, found, set)
    });
    judged.collect()
}

/// Returns a sentence that begins with a capital and ends with a full stop, of an error's text; a key or a path at its beginning stays as it is.
pub(super) fn sentence(text: impl std::fmt::Display) -> String {
    let text = text.to_string().replace('\n', "; ");
    let first_word = text.split(' ').next().unwrap_or_default();
    let is_name = first_word.contains(['.', '/', ':', '_', '[']);
    let mut chars = text.chars();
    let first = match chars.next() {
        Some(first) if !is_name => first.to_uppercase().to_string(),
        first => first.map(String::from).unwrap_or_default(),
    };
    let rest = chars.as_str();
    let end = if rest.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{rest}{end}")
}

/// Takes Rust's number off the words of the system: nobody looks it up.
pub(super) fn without_number(text: &str) -> &str {
    text.find(" (os error ").map_or(text, |at| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        let at = Timestamp::from_millis;
        for (before, after, theirs, unit_ms, expected) in [
            (10_000, 10_000, 10_000, 1, 0),
            (10_000, 19_000, 15_000, 1, 0),
            (10_000, 19_000, 19_000, 1, 0),
            (10_000, 19_000, 9_999, 1, 1),
            (10_000, 19_000, 19_001, 1, -1),
            (10_999, 10_999, 10_000, 1000, 0),
            (11_000, 11_000, 10_000, 1000, 1),
            (9_999, 9_999, 10_000, 1000, -1),
        ] {
            assert_eq!(
                off_ms(at(before), at(after), theirs, unit_ms),
                expected,
                "{before} {after} {theirs}"
            );
        }
    }

    #[test]
    fn a_sentence_leaves_keys_and_paths_as_they_are() {
        for (text, expected) in [
            ("the database is away", "The database is away."),
            ("posthorn.toml:3: mode: wrong", "posthorn.toml:3: mode: wrong."),
            ("mail.from is not set: so", "mail.from is not set: so."),
            ("one\ntwo.", "One; two."),
            ("", "."),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much_and_wrong_where_leases_hang_on_it() {
        let loaded = Loaded::default();
        let asked = Asked {
            loaded: &loaded,
            fault: None,
            now: Timestamp::from_millis(0),
            servers: Vec::new(),
            is_online: false,
        };
        let at: Timestamp = "2026-11-29T06:00:00Z".parse().expect("an instant");
        let judged = |at, off_ms, judges_leases| {
            let whose = "the server's".to_owned();
            let checks = clock(
                at,
                &[OtherClock {
                    whose,
                    off_ms,
                    judges_leases,
                }],
                &asked,
            );
            (checks[0].state.as_str(), checks[0].found.clone())
        };
        assert_eq!(judged(at, 3_000, true).0, "ok");
        assert_eq!(
            judged(at, -3_001, false),
            (
                "warning",
                "This machine's clock says 2026-11-29 06:00:00 UTC and is 3 s behind the server's.".into()
            )
        );
        assert_eq!(judged(at, 20_000, false).0, "warning");
        assert_eq!(judged(at, 20_000, true).0, "wrong");
        assert_eq!(judged(Timestamp::from_millis(0), 0, false).0, "wrong", "1970");
        assert_eq!(clock(at, &[], &asked)[0].state.as_str(), "ok");
    }
}
