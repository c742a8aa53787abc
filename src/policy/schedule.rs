//! When a digest fires: five-field cron, read in an IANA zone (`R-DIGEST`).
//!
//! In: the expression, a zone, an instant. Out: the next fire strictly after it.
//!
//! The `cron` crate searches, in local time as if it were UTC; the zone then places what it found. Asked in the zone itself it skips
//! the day on which a fixed time falls into a DST gap, and fires twice in an overlap.
//!
//! **Invariant:** a [`Cron`] fires at least every seven local days, for ever: whoever holds one may rely on a next fire.
//! **Not here:** which digest a fire closes, and whose cron it is (`policy::digest`, `store`).

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Weekday};
use serde::{Deserialize, Serialize};

use crate::partner::Zone;
use crate::policy::field::{self, DAY, Field, HOUR, MINUTE, MONTH, Values, WEEKDAY, WEEKDAYS};
use crate::time::Timestamp;

/// The most local days from one fire to the next (`R-DIGEST`): a lead that waits longer is as good as expired.
const DAYS_BETWEEN_FIRES_MAX: i64 = 7;

/// A five-field cron expression that is known to fire at least every seven local days.
///
/// Fields are minute, hour, day of month, month and weekday, each `*`, a value, a range `a-b`, a step `*/n` or `a-b/n`, or a list of
/// these. Months and weekdays may be named (`JAN`, `mon`); weekday 0 and 7 are Sunday, and a range of weekdays may run over the weekend
/// (`FRI-SUN`). Where neither day of month nor weekday begins with `*`, a day that either of them names will do (POSIX); otherwise
/// both must name it, as in crontab(5).
///
/// ```
/// use posthorn::{partner::Zone, policy::schedule::Cron};
/// let berlin: Zone = "Europe/Berlin".parse().unwrap();
/// let cron: Cron = "30 2 * * *".parse().unwrap();
/// let fire = cron.next_fire(berlin, "2026-03-28T12:00:00Z".parse().unwrap());
/// assert_eq!(fire.to_string(), "2026-03-29T01:00:00.000Z", "02:30 is skipped that day: right after the gap");
/// assert_eq!(
///     "0 17 31 2 *".parse::<Cron>().unwrap_err().to_string(),
///     r#""0 17 31 2 *" never fires; try "0 17 * * *""#
/// );
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    /// As written, but for white space.
    text: String,
    /// What the crate searches: one schedule, or two where a day of either will do.
    schedules: Vec<cron::Schedule>,
}

/// Why a text is not a cron expression that digests can fire by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error("{text:?} has {n_fields} field{} instead of minute, hour, day of month, month, weekday{}; try {instead:?}", if *.n_fields == 1 { "" } else { "s" }, seconds_hint(*.n_fields))]
    FieldCount {
        /// The expression.
        text: String,
        /// How many it has.
        n_fields: usize,
        /// One that is right.
        instead: String,
    },
    /// A macro such as `@daily`.
    #[error("{text:?} is a macro, and five fields are expected; try {instead:?}")]
    Macro {
        /// The macro.
        text: String,
        /// What it means, if that fires often enough.
        instead: String,
    },
    /// A field holds what it cannot.
    #[error("{text:?}: {complaint}")]
    Field {
        /// The expression.
        text: String,
        /// The field, what it holds, and what would be right.
        complaint: String,
    },
    /// No day of any year is named.
    #[error("{text:?} never fires; try {instead:?}")]
    NeverFires {
        /// The expression.
        text: String,
        /// The same time of day, daily.
        instead: String,
    },
    /// More than seven local days pass without a fire.
    #[error("{text:?} leaves {n_days} days between two fires, and {DAYS_BETWEEN_FIRES_MAX} is the most; try {instead:?}")]
    TooRare {
        /// The expression.
        text: String,
        /// The longest gap.
        n_days: i64,
        /// The same time of day, daily.
        instead: String,
    },
}

fn seconds_hint(n_fields: usize) -> &'static str {
    if n_fields == 6 { " (seconds are not supported)" } else { "" }
}

impl Cron {
    /// Returns the expression as written, but for white space.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the first fire strictly after `after`, in `zone` (`R-DIGEST`).
    ///
    /// A time that the zone skips fires once, right after the gap; one that it repeats fires once, in the first pass.
    pub fn next_fire(&self, zone: Zone, after: Timestamp) -> Timestamp {
        // `place` never runs backwards, and places what the wall clock shows at `after` no later than `after`: an earlier local time
        // cannot be a later fire, so the search begins here. In the second pass of an overlap it walks over what the first one had.
        let mut local = zone.local(after);
        loop {
            local = self.next_local(local);
            let fire = zone.place(local);
            if fire > after {
                return fire;
            }
        }
    }

    /// Returns the first local time strictly after `after` that the expression names, whatever a zone makes of it.
    fn next_local(&self, after: NaiveDateTime) -> NaiveDateTime {
        let (year, stand_in) = (after.year(), stand_in_for(after.year()));
        let from = with_year(after, stand_in).and_utc();
        let found = self.schedules.iter().filter_map(|schedule| schedule.after(&from).next()).min();
        let found = found
            .expect("an expression that leaves more than seven days is refused when it is read")
            .naive_utc();
        with_year(found, found.year() - stand_in + year)
    }
}

/// Returns a year with the same calendar that the `cron` crate knows: it ends in 2100 and begins in 1970.
///
/// As a fire is at most seven days away, no more is asked of it than this year and the first days of the next one.
fn stand_in_for(year: i32) -> i32 {
    if (1970..2099).contains(&year) {
        return year;
    }
    let calendar = |year| NaiveDate::from_yo_opt(year, 1).map(|first| (first.weekday(), first.leap_year()));
    (2000..2028)
        .find(|stand_in| calendar(*stand_in) == calendar(year))
        .expect("28 years in a row hold all 14 calendars")
}

fn with_year(local: NaiveDateTime, year: i32) -> NaiveDateTime {
    local
        .with_year(year)
        .expect("years stand in for each other only where both or neither have a 29 February")
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let written: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = match written[..] {
            [name] if name.starts_with('@') => return Err(macro_error(name)),
            [minute, hour, day, month, weekday] => [minute, hour, day, month, weekday],
            ref other => return Err(count_error(other)),
        };
        let text = written.join(" ");
        let read = |field: &Field, value: &str| {
            field.parse(value).map_err(|complaint| CronError::Field {
                text: field::cut(&text),
                complaint,
            })
        };
        let (minutes, hours) = (read(&MINUTE, minute)?, read(&HOUR, hour)?);
        let (days, months, weekdays) = (read(&DAY, day)?, read(&MONTH, month)?, read(&WEEKDAY, weekday)?);
        let is_either = !day.starts_with('*') && !weekday.starts_with('*');
        let pairs = if is_either {
            vec![(days, WEEKDAY.all()), (DAY.all(), weekdays)]
        } else {
            vec![(days, weekdays)]
        };

        let instead = || format!("{minute} {hour} * * *");
        match longest_gap(months, &pairs) {
            None => Err(CronError::NeverFires {
                text: field::cut(&text),
                instead: instead(),
            }),
            Some(n_days) if n_days > DAYS_BETWEEN_FIRES_MAX => Err(CronError::TooRare {
                text: field::cut(&text),
                n_days,
                instead: instead(),
            }),
            Some(_) => {
                let schedules = pairs
                    .iter()
                    .map(|(days, weekdays)| schedule(minutes, hours, *days, months, *weekdays))
                    .collect();
                Ok(Self { text, schedules })
            }
        }
    }
}

fn macro_error(name: &str) -> CronError {
    let instead = match name.to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        // The others are rarer than a digest may be.
        _ => DAILY,
    };
    CronError::Macro {
        text: field::cut(name),
        instead: instead.into(),
    }
}

/// Offered where what was written gives no time of day; the built-in default.
const DAILY: &str = "0 17 * * *";

fn count_error(written: &[&str]) -> CronError {
    let without_seconds = written.get(1..).filter(|_| written.len() == 6).map(|fields| fields.join(" "));
    let instead = without_seconds
        .filter(|text| text.parse::<Cron>().is_ok())
        .unwrap_or_else(|| DAILY.into());
    CronError::FieldCount {
        text: field::cut(&written.join(" ")),
        n_fields: written.len(),
        instead,
    }
}

/// Writes the values down in the crate's dialect: seconds first, weekdays by name (its numbers begin at 1).
fn schedule(minutes: Values, hours: Values, days: Values, months: Values, weekdays: Values) -> cron::Schedule {
    let list = |field: &Field, values: Values, name: fn(u32) -> String| {
        if values == field.all() {
            "*".to_owned()
        } else {
            values.iter().map(name).collect::<Vec<_>>().join(",")
        }
    };
    let number = |value: u32| value.to_string();
    let weekday = |value: u32| WEEKDAYS[value as usize].to_owned();
    let text = format!(
        "0 {} {} {} {} {}",
        list(&MINUTE, minutes, number),
        list(&HOUR, hours, number),
        list(&DAY, days, number),
        list(&MONTH, months, number),
        list(&WEEKDAY, weekdays, weekday)
    );
    text.parse().expect("lists of values within each field's bounds are an expression")
}

/// Returns the most days from one fire to the next, `None` if there is none.
///
/// Looks at the 28 years after which the calendar repeats. A century's missing leap day makes no longer gap above seven: such a gap lies
/// within a year, and all 14 calendars are there, or spans a new year, and each weekday of a new year is there.
fn longest_gap(months: Values, pairs: &[(Values, Values)]) -> Option<i64> {
    if months == MONTH.all() && pairs.iter().any(|(days, _)| *days == DAY.all()) {
        // Some weekday in every week, and nearly every expression there is: no need to count.
        let widest = pairs
            .iter()
            .filter(|(days, _)| *days == DAY.all())
            .map(|(_, weekdays)| weekdays.iter().count())
            .max();
        return widest.map(|n_weekdays| if n_weekdays == 7 { 1 } else { 7 });
    }
    const CYCLE_DAYS: i64 = 28 * 365 + 7;
    let (mut weekday, mut day_number) = (Weekday::Sat.num_days_from_sunday(), 0); // 2000-01-01
    let (mut first, mut last, mut longest) = (None, 0, 0);
    for year in 2000..2028 {
        for month in 1..=12 {
            let n_days = NaiveDate::from_ymd_opt(year, month, 1).expect("a month").num_days_in_month();
            for day in 1..=u32::from(n_days) {
                if months.contains(month)
                    && pairs
                        .iter()
                        .any(|(days, weekdays)| days.contains(day) && weekdays.contains(weekday))
                {
                    longest = longest.max(first.map_or(0, |_| day_number - last));
                    first.get_or_insert(day_number);
                    last = day_number;
                }
                weekday = (weekday + 1) % 7;
                day_number += 1;
            }
        }
    }
    first.map(|first| longest.max(first + CYCLE_DAYS - last))
}

impl PartialEq for Cron {
    /// Two are equal if they are written alike: what they are searched by follows from that.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Cron {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        text.parse()
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::LocalDay;
    use proptest::prelude::*;

    fn cron(text: &str) -> Cron {
        text.parse().expect("the tests write expressions that are right")
    }

    fn zone(name: &str) -> Zone {
        name.parse().expect("the tests name zones that exist")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("the tests write instants in RFC 3339")
    }

    #[track_caller]
    fn check_fires(name: &str, text: &str, after: &str, expected: &[&str], why: &str) {
        let mut now = at(after);
        let mut found = Vec::new();
        for _ in expected {
            now = cron(text).next_fire(zone(name), now);
            found.push(now.to_string());
        }
        assert_eq!(found, expected, "{text} in {name}: {why}");
    }

    /// R-DIGEST: once right after a gap, once in the first pass of an overlap, and a leap day is a day.
    #[test]
    fn a_digest_fires_once_a_day_over_both_clock_changes() {
        for (name, text, after, expected, why) in [
            (
                "Europe/Berlin",
                "30 2 * * *",
                "2026-03-28T00:00:00Z",
                ["2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"],
                "skipped on the 29th",
            ),
            (
                "Europe/Berlin",
                "30 2 * * *",
                "2026-10-24T12:00:00Z",
                ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z", "2026-10-27T01:30:00.000Z"],
                "shown twice on the 25th",
            ),
            (
                "Europe/Berlin",
                "*/20 2,3 * * *",
                "2026-03-29T00:50:00Z",
                ["2026-03-29T01:00:00.000Z", "2026-03-29T01:20:00.000Z", "2026-03-29T01:40:00.000Z"],
                "three skipped ones and 03:00 are one fire",
            ),
            (
                "Europe/Berlin",
                "*/20 * * * *",
                "2026-10-25T00:30:00Z",
                ["2026-10-25T00:40:00.000Z", "2026-10-25T02:00:00.000Z", "2026-10-25T02:20:00.000Z"],
                "a step does not repeat either",
            ),
            (
                "America/New_York",
                "30 2 * * *",
                "2026-03-07T12:00:00Z",
                ["2026-03-08T07:00:00.000Z", "2026-03-09T06:30:00.000Z", "2026-03-10T06:30:00.000Z"],
                "skipped on the 8th",
            ),
            (
                "America/New_York",
                "30 1 * * *",
                "2026-10-31T12:00:00Z",
                ["2026-11-01T05:30:00.000Z", "2026-11-02T06:30:00.000Z", "2026-11-03T06:30:00.000Z"],
                "shown twice on the 1st",
            ),
            (
                "Australia/Lord_Howe",
                "15 2 * * *",
                "2026-10-03T00:00:00Z",
                ["2026-10-03T15:30:00.000Z", "2026-10-04T15:15:00.000Z", "2026-10-05T15:15:00.000Z"],
                "half an hour is skipped",
            ),
            (
                "Australia/Lord_Howe",
                "45 1 * * *",
                "2026-04-04T00:00:00Z",
                ["2026-04-04T14:45:00.000Z", "2026-04-05T15:15:00.000Z", "2026-04-06T15:15:00.000Z"],
                "half an hour is shown twice",
            ),
            (
                "Asia/Kolkata",
                "0 17 * * *",
                "2026-03-28T11:30:00Z",
                ["2026-03-29T11:30:00.000Z", "2026-03-30T11:30:00.000Z", "2026-03-31T11:30:00.000Z"],
                "no DST, and strictly after",
            ),
            (
                "Pacific/Apia",
                "0 17 * * *",
                "2011-12-29T12:00:00Z",
                ["2011-12-30T03:00:00.000Z", "2011-12-30T10:00:00.000Z", "2011-12-31T03:00:00.000Z"],
                "the 30th was skipped as a whole, so that its fire comes right after it",
            ),
            (
                "America/Sao_Paulo",
                "0 0 * * *",
                "2018-11-03T12:00:00Z",
                ["2018-11-04T03:00:00.000Z", "2018-11-05T02:00:00.000Z", "2018-11-06T02:00:00.000Z"],
                "midnight was skipped",
            ),
            (
                "Europe/Berlin",
                "0 17 * * *",
                "2028-02-28T12:00:00Z",
                ["2028-02-28T16:00:00.000Z", "2028-02-29T16:00:00.000Z", "2028-03-01T16:00:00.000Z"],
                "a leap day",
            ),
            (
                "UTC",
                "0 17 1-7,14,21,28 * SUN",
                "2026-02-21T17:00:00Z",
                ["2026-02-22T17:00:00.000Z", "2026-02-28T17:00:00.000Z", "2026-03-01T17:00:00.000Z"],
                "day of month or weekday",
            ),
            (
                "UTC",
                "0 17 */1 * MON",
                "2026-03-01T17:00:00Z",
                ["2026-03-02T17:00:00.000Z", "2026-03-09T17:00:00.000Z", "2026-03-16T17:00:00.000Z"],
                "a day of month that begins with * does not restrict",
            ),
            (
                "UTC",
                "59 23 * * FRI-SUN",
                "2026-12-31T00:00:00Z",
                ["2027-01-01T23:59:00.000Z", "2027-01-02T23:59:00.000Z", "2027-01-03T23:59:00.000Z"],
                "over the new year and the weekend",
            ),
            (
                "UTC",
                "0 0 * * *",
                "2100-02-27T00:00:00Z",
                ["2100-02-28T00:00:00.000Z", "2100-03-01T00:00:00.000Z", "2100-03-02T00:00:00.000Z"],
                "a century without its leap day, where the crate's years end",
            ),
            (
                "UTC",
                "0 0 * * 4",
                "2399-12-29T00:00:00Z",
                ["2399-12-30T00:00:00.000Z", "2400-01-06T00:00:00.000Z", "2400-01-13T00:00:00.000Z"],
                "far beyond the crate's years, over a new year",
            ),
            (
                "UTC",
                "0 0 * * *",
                "1969-12-30T12:00:00Z",
                ["1969-12-31T00:00:00.000Z", "1970-01-01T00:00:00.000Z", "1970-01-02T00:00:00.000Z"],
                "before the crate's years",
            ),
        ] {
            check_fires(name, text, after, &expected, why);
        }
    }

    /// R-DIGEST: against a table that was made by walking through real time in Python's zoneinfo (`tests/data/fires.py`).
    #[test]
    fn fires_are_those_of_an_outside_oracle() {
        let table = include_str!("../../tests/data/fires.csv");
        let rows: Vec<[String; 4]> = csv::Reader::from_reader(table.as_bytes())
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("zone,cron,after,next");
        let wrong: Vec<_> = rows
            .iter()
            .map(|[name, text, after, next]| (name, text, after, next, cron(text).next_fire(zone(name), at(after)).to_string()))
            .filter(|(.., next, found)| *next != found)
            .collect();
        assert!(rows.len() > 600, "only {} rows", rows.len());
        assert!(wrong.is_empty(), "zone, cron, after, oracle, ours: {wrong:#?}");
    }

    /// R-DIGEST: what never fires, or too seldom, is a configuration error that names the way out.
    #[test]
    fn an_expression_that_digests_cannot_fire_by_is_refused_with_one_that_they_can() {
        let cases = [
            ("0 17 31 2 *", r#""0 17 31 2 *" never fires; try "0 17 * * *""#),
            ("30 8 31 4,6,9,11 *", r#""30 8 31 4,6,9,11 *" never fires; try "30 8 * * *""#),
            (
                "0 17 1 * *",
                r#""0 17 1 * *" leaves 31 days between two fires, and 7 is the most; try "0 17 * * *""#,
            ),
            (
                "0 17 29 2 *",
                r#""0 17 29 2 *" leaves 1461 days between two fires, and 7 is the most; try "0 17 * * *""#,
            ),
            (
                "0 17 1,8,15,22 * *",
                r#""0 17 1,8,15,22 * *" leaves 10 days between two fires, and 7 is the most; try "0 17 * * *""#,
            ),
            (
                "0 17 * 1-11 *",
                r#""0 17 * 1-11 *" leaves 32 days between two fires, and 7 is the most; try "0 17 * * *""#,
            ),
            (
                "0 17 */2 * MON",
                r#""0 17 */2 * MON" leaves 21 days between two fires, and 7 is the most; try "0 17 * * *""#,
            ),
            (
                "0 0 17 * * *",
                r#""0 0 17 * * *" has 6 fields instead of minute, hour, day of month, month, weekday (seconds are not supported); try "0 17 * * *""#,
            ),
            (
                "0 17 * *",
                r#""0 17 * *" has 4 fields instead of minute, hour, day of month, month, weekday; try "0 17 * * *""#,
            ),
            (
                "",
                r#""" has 0 fields instead of minute, hour, day of month, month, weekday; try "0 17 * * *""#,
            ),
            (
                "17:00",
                r#""17:00" has 1 field instead of minute, hour, day of month, month, weekday; try "0 17 * * *""#,
            ),
            ("@daily", r#""@daily" is a macro, and five fields are expected; try "0 0 * * *""#),
            ("@yearly", r#""@yearly" is a macro, and five fields are expected; try "0 17 * * *""#),
            ("0 25 * * *", r#""0 25 * * *": hour "25" is not 0 to 23"#),
            ("0 17 L * *", r#""0 17 L * *": day of month "L" is not 1 to 31"#),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .map(|(text, expected)| (text.parse::<Cron>().map_err(|error| error.to_string()), expected))
            .filter(|(found, expected)| *found != Err((*expected).to_owned()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// R-DIGEST: seven days are not too many.
    #[test]
    fn an_expression_that_fires_every_week_is_taken_as_written() {
        for text in [
            "0 17 * * *",
            "0 17 * * 7",
            "*/5 * * * *",
            "0 17 1-31/3,31 * *",
            "0 9 1,8,15,22,29 * *",
            "0 0 1 * fri",
            "0 9 * jan-dec mon-fri",
        ] {
            let read = text.parse::<Cron>();
            assert_eq!(read.map(|cron| cron.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(serde_json::from_str::<Cron>(r#"" 0  17 * * * ""#).ok(), Some(cron("0 17 * * *")));
        assert_eq!(serde_json::to_string(&cron("0 17 * * *")).ok().as_deref(), Some(r#""0 17 * * *""#));
    }

    fn any_zone() -> impl Strategy<Value = Zone> {
        prop::sample::select(&chrono_tz::TZ_VARIANTS[..]).prop_map(Zone)
    }

    fn any_cron() -> impl Strategy<Value = Cron> {
        prop::sample::select(vec![
            "0 17 * * *",
            "*/20 * * * *",
            "30 1-3 * * *",
            "0 0 * * SUN",
            "59 23 1-7,14,21,28 * MON",
            "7 */5 * * 1-5",
        ])
        .prop_map(cron)
    }

    proptest! {
        /// R-DIGEST: a fire lies ahead, no further than seven local days, and on a minute that the expression names.
        #[test]
        fn the_next_fire_is_after_now_and_fires_never_run_backwards(
            zone in any_zone(),
            cron in any_cron(),
            ms in -100_000_000_000_i64..8_000_000_000_000,
        ) {
            let mut now = Timestamp::from_millis(ms);
            for _ in 0..20 {
                let fire = cron.next_fire(zone, now);
                prop_assert!(fire > now);
                // Seven days, and one for the days that zones have skipped as a whole.
                prop_assert!((zone.day_of(fire).0 - zone.day_of(now).0).num_days() <= DAYS_BETWEEN_FIRES_MAX + 1);
                // There is no fire between the two: asked in between, the answer is the same.
                let between = Timestamp::from_millis(now.as_millis().midpoint(fire.as_millis()));
                prop_assert_eq!(cron.next_fire(zone, between), fire);
                now = fire;
            }
        }

        /// R-DIGEST: a daily cron fires once on each calendar day of each zone, whatever its clocks do (no zone skipped a day since 2012).
        #[test]
        fn a_daily_cron_fires_once_on_each_calendar_day(
            zone in any_zone(),
            hour in 0_u32..24,
            minute in 0_u32..60,
            first in 0_i64..10_000,
        ) {
            let cron = cron(&format!("{minute} {hour} * * *"));
            let first = NaiveDate::from_ymd_opt(2012, 1, 1).expect("a day") + chrono::TimeDelta::days(first);
            let mut day = LocalDay(first);
            let mut now = Timestamp::from_millis(zone.start_of_day(day).as_millis() - 1);
            for _ in 0..200 {
                now = cron.next_fire(zone, now);
                prop_assert_eq!(zone.day_of(now), day);
                day = zone.next_day(day);
            }
        }
    }
}
