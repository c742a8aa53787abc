//! What was looked at, and what came of it.

use serde::Serialize;

use crate::time::Timestamp;

/// What a check is about; in the order in which a report has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Area {
    /// The file, the templates, the secrets.
    Configuration,
    /// The database, its disk, and the Maildir's.
    Database,
    /// This machine's clock.
    Clock,
    /// Whether somebody works, and what waits.
    Worker,
    /// The relays.
    Relays,
    /// What the DNS says of the sender.
    Dns,
    /// What strangers reach.
    PublicPages,
    /// Where action items are posted.
    ActionCenter,
    /// Where leads come from, beside files and HTTP.
    Nats,
}

impl Area {
    /// Returns the heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Database => "Database and disk",
            Self::Clock => "Clock",
            Self::Worker => "Worker",
            Self::Relays => "Relays",
            Self::Dns => "Sender's DNS",
            Self::PublicPages => "Public pages",
            Self::ActionCenter => "Action Center",
            Self::Nats => "Leads from NATS",
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It cannot be seen from here, or something else has to be right first.
    NotChecked,
    /// Mail goes out; something is missing that may be missed.
    Warning,
    /// Mail does not go out or does not arrive, or will soon not.
    Wrong,
}

impl State {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What it is about.
    pub area: Area,
    /// Its name, for programs: `spf`, `relay.login`.
    pub name: &'static str,
    /// What came of it.
    pub state: State,
    /// What was found, as a sentence.
    pub found: String,
    /// What to do, as a sentence; none where there is nothing to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    /// Says that something is as it should be.
    pub fn ok(area: Area, name: &'static str, found: impl Into<String>) -> Self {
        Self::new(area, name, State::Ok, found, None)
    }

    /// Says that something may be missed, and what to do.
    pub fn warning(area: Area, name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(area, name, State::Warning, found, Some(advice.into()))
    }

    /// Says that something is wrong, and what to do.
    pub fn wrong(area: Area, name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(area, name, State::Wrong, found, Some(advice.into()))
    }

    /// Says that something could not be seen, and by what it can be.
    pub fn not_checked(area: Area, name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(area, name, State::NotChecked, found, Some(advice.into()))
    }

    /// Says that something was not looked at, where there is nothing to be done about it.
    pub fn passed_over(area: Area, name: &'static str, found: impl Into<String>) -> Self {
        Self::new(area, name, State::NotChecked, found, None)
    }

    fn new(area: Area, name: &'static str, state: State, found: impl Into<String>, advice: Option<String>) -> Self {
        Self {
            area,
            name,
            state,
            found: found.into(),
            advice,
        }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// When.
    pub date_time: Timestamp,
    /// How many checks came to what.
    pub counts: Counts,
    /// The checks, by area.
    pub checks: Vec<Check>,
}

/// How many checks came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// As it should be.
    pub ok: usize,
    /// May be missed.
    pub warning: usize,
    /// Wrong.
    pub wrong: usize,
    /// Not seen.
    pub not_checked: usize,
}

impl Report {
    /// Sums up the checks, which keep their order within an area.
    pub fn new(date_time: Timestamp, mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| check.area);
        let n = |state| checks.iter().filter(|check| check.state == state).count();
        let counts = Counts {
            ok: n(State::Ok),
            warning: n(State::Warning),
            wrong: n(State::Wrong),
            not_checked: n(State::NotChecked),
        };
        Self { date_time, counts, checks }
    }

    /// Returns the state of a check by its name; the worst where there are several of that name.
    pub fn state_of(&self, name: &str) -> Option<State> {
        self.checks.iter().filter(|check| check.name == name).map(|check| check.state).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_counted_and_stand_by_area_in_the_order_in_which_they_were_made() {
        let report = Report::new(
            Timestamp::from_millis(0),
            vec![
                Check::wrong(Area::Dns, "spf", "b", "do"),
                Check::ok(Area::Configuration, "file", "a"),
                Check::warning(Area::Dns, "dkim", "c", "do"),
                Check::ok(Area::Dns, "spf", "d"),
                Check::passed_over(Area::Clock, "clock", "e"),
            ],
        );
        let found: Vec<&str> = report.checks.iter().map(|check| check.found.as_str()).collect();
        assert_eq!(found, ["a", "e", "b", "c", "d"]);
        assert_eq!(
            report.counts,
            Counts {
                ok: 2,
                warning: 1,
                wrong: 1,
                not_checked: 1
            }
        );
        assert_eq!(report.state_of("spf"), Some(State::Wrong));
        assert_eq!(report.state_of("mx"), None);
    }
}
