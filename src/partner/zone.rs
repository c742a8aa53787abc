//! A partner's IANA time zone: the calendar day of an instant, and the instant of a local time across both DST changes.
//!
//! An instant has one local time, but a local time may have none (the clock was put forward over it) or two (it was put back).
//! [`Zone::place`] answers both the way `R-DIGEST` wants it, and all else here rests on it.

use std::fmt;
use std::str::FromStr;

use chrono::{LocalResult, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use serde::{Deserialize, Deserializer, Serialize};

use crate::time::{LocalDay, Timestamp};

/// An IANA time zone, such as `Europe/Berlin`.
///
/// ```
/// use posthorn::partner::Zone;
/// let berlin: Zone = "Europe/Berlin".parse().unwrap();
/// assert_eq!(berlin.day_of("2026-03-28T23:00:00Z".parse().unwrap()).to_string(), "2026-03-29");
/// assert_eq!(
///     "Europe/Berlni".parse::<Zone>().unwrap_err().to_string(),
///     r#""Europe/Berlni" is not an IANA time zone; did you mean "Europe/Berlin"?"#
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Zone(pub chrono_tz::Tz);

/// Why a text is not a zone, with the zone that was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not an IANA time zone{}", match .meant { Some(name) => format!("; did you mean {name:?}?"), None => " such as Europe/Berlin".into() })]
pub struct NotAZone {
    /// What was given, cut at 80 characters.
    pub found: String,
    /// The nearest zone by edit distance, if one is near.
    pub meant: Option<&'static str>,
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// Returns the zone's IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns the calendar day that `at` falls on in this zone.
    pub fn day_of(self, at: Timestamp) -> LocalDay {
        LocalDay(self.local(at).date())
    }

    /// Returns what a clock on the wall of this zone shows at `at`.
    pub fn local(self, at: Timestamp) -> NaiveDateTime {
        at.to_utc().with_timezone(&self.0).naive_local()
    }

    /// Returns the instant at which the wall clock first shows `local`; where it skips `local`, the instant at which it skips.
    ///
    /// It never runs backwards: an earlier local time is placed earlier, or (within one gap) at the same instant.
    ///
    /// ```
    /// use posthorn::partner::Zone;
    /// let berlin: Zone = "Europe/Berlin".parse().unwrap();
    /// let placed = |local: &str| berlin.place(local.parse().unwrap()).to_string();
    /// assert_eq!(placed("2026-03-29T02:30:00"), "2026-03-29T01:00:00.000Z", "skipped: the clock jumps from 02:00 to 03:00");
    /// assert_eq!(placed("2026-10-25T02:30:00"), "2026-10-25T00:30:00.000Z", "shown twice: the first time");
    /// ```
    pub fn place(self, local: NaiveDateTime) -> Timestamp {
        match self.0.offset_from_local_datetime(&local) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => Timestamp::from((local - offset.fix()).and_utc()),
            LocalResult::None => self.end_of_gap(local),
        }
    }

    /// Returns the first instant of `day`: not always midnight, which a zone may skip, and for a day that the zone skipped as a
    /// whole (Pacific/Apia 2011-12-30) the first instant of the day after it.
    pub fn start_of_day(self, day: LocalDay) -> Timestamp {
        self.place(day.0.and_time(NaiveTime::MIN))
    }

    /// Returns the calendar day that follows `day` in this zone; a day that the zone skipped does not count.
    pub fn next_day(self, day: LocalDay) -> LocalDay {
        let mut next = day.0;
        loop {
            next = next
                .succ_opt()
                .expect("instants are parsed from years below 10000, chrono's days end far beyond");
            if self.day_of(self.start_of_day(LocalDay(next))) == LocalDay(next) {
                return LocalDay(next);
            }
        }
    }

    /// Finds the offset change that skipped `local`, by bisection.
    fn end_of_gap(self, local: NaiveDateTime) -> Timestamp {
        // No zone was ever further than 15 h 56 min from UTC (Manila before 1844), so that 16 h earlier the wall clock has not come
        // to `local` and 16 h later it is past it. It never shows `local`, so what lies between is the jump.
        const REACH: TimeDelta = TimeDelta::hours(16);
        let (mut before, mut after) = (
            Timestamp::from((local - REACH).and_utc()),
            Timestamp::from((local + REACH).and_utc()),
        );
        while after.as_millis() - before.as_millis() > 1 {
            let middle = Timestamp::from_millis(before.as_millis().midpoint(after.as_millis()));
            if self.local(middle) < local {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }
}

impl FromStr for Zone {
    type Err = NotAZone;

    fn from_str(text: &str) -> Result<Self, NotAZone> {
        let trimmed = text.trim();
        trimmed.parse().map(Self).map_err(|_| NotAZone {
            found: text.chars().take(80).collect(),
            meant: nearest(trimmed),
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Returns the zone whose name, or whose city alone, is nearest to `text`, if fewer than one character in four differs.
fn nearest(text: &str) -> Option<&'static str> {
    let wanted: Vec<char> = text
        .chars()
        .take(80)
        .map(|c| if c == ' ' { '_' } else { c.to_ascii_lowercase() })
        .collect();
    let distance_of = |name: &'static str| {
        let whole = name.to_ascii_lowercase();
        let city = whole.rsplit('/').next().unwrap_or_default();
        edit_distance(&wanted, &whole).min(edit_distance(&wanted, city))
    };
    // The shorter name on a tie: `UTC` rather than `Etc/UTC`.
    let (distance, _, name) = chrono_tz::TZ_VARIANTS
        .iter()
        .map(|tz| (distance_of(tz.name()), tz.name().len(), tz.name()))
        .min()?;
    (distance * 4 < wanted.len()).then_some(name)
}

/// Counts the single-character edits (Levenshtein) between two texts.
fn edit_distance(left: &[char], right: &str) -> usize {
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (n_right, wanted) in right.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = n_right + 1;
        for (at, found) in left.iter().enumerate() {
            let replaced = diagonal + usize::from(*found != wanted);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[left.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> Zone {
        name.parse().expect("the tests name zones that exist")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("the tests write instants in RFC 3339")
    }

    /// R-DIGEST: a local time that a zone skips or repeats has one instant.
    #[test]
    fn a_local_time_has_one_instant_even_in_a_gap_or_an_overlap() {
        let cases = [
            (
                "Europe/Berlin",
                "2026-03-29T01:59:59.999",
                "2026-03-29T00:59:59.999Z",
                "the last millisecond of winter",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T02:00:00",
                "2026-03-29T01:00:00.000Z",
                "the first skipped",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T02:59:59.999",
                "2026-03-29T01:00:00.000Z",
                "the last skipped",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T03:00:00",
                "2026-03-29T01:00:00.000Z",
                "the first of summer",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T02:00:00",
                "2026-10-25T00:00:00.000Z",
                "the first repeated, in its first pass",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T02:59:59.999",
                "2026-10-25T00:59:59.999Z",
                "the last repeated, in its first pass",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T03:00:00",
                "2026-10-25T02:00:00.000Z",
                "after the second pass",
            ),
            ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:00:00.000Z", "skipped"),
            ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00.000Z", "repeated"),
            (
                "Australia/Lord_Howe",
                "2026-10-04T02:15:00",
                "2026-10-03T15:30:00.000Z",
                "half an hour skipped",
            ),
            (
                "Australia/Lord_Howe",
                "2026-04-05T01:45:00",
                "2026-04-04T14:45:00.000Z",
                "half an hour repeated",
            ),
            ("Australia/Lord_Howe", "2026-04-05T02:00:00", "2026-04-04T15:30:00.000Z", "after it"),
            ("Asia/Kolkata", "2026-03-29T02:30:00", "2026-03-28T21:00:00.000Z", "no DST"),
            (
                "Pacific/Apia",
                "2011-12-30T12:00:00",
                "2011-12-30T10:00:00.000Z",
                "a whole day skipped",
            ),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .map(|(name, local, expected, why)| (name, local, why, zone(name).place(local.parse().expect("local")), at(expected)))
            .filter(|(.., found, expected)| found != expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// R-CHANNEL: leads are counted per calendar day, which need not begin at midnight.
    #[test]
    fn a_day_begins_at_its_first_instant_even_where_midnight_is_skipped_or_repeated() {
        let cases = [
            (
                "Europe/Berlin",
                "2026-03-29",
                "2026-03-28T23:00:00.000Z",
                "2026-03-30",
                "a day of 23 hours",
            ),
            (
                "America/Sao_Paulo",
                "2018-11-04",
                "2018-11-04T03:00:00.000Z",
                "2018-11-05",
                "from 00:00 to 01:00 at midnight",
            ),
            (
                "America/Sao_Paulo",
                "2018-02-18",
                "2018-02-18T03:00:00.000Z",
                "2018-02-19",
                "23:00 to 24:00 of the 17th comes twice",
            ),
            (
                "America/Havana",
                "2026-11-01",
                "2026-11-01T04:00:00.000Z",
                "2026-11-02",
                "00:00 to 01:00 comes twice",
            ),
            (
                "Pacific/Apia",
                "2011-12-29",
                "2011-12-29T10:00:00.000Z",
                "2011-12-31",
                "the 30th never was",
            ),
            (
                "Pacific/Apia",
                "2011-12-30",
                "2011-12-30T10:00:00.000Z",
                "2011-12-31",
                "the day that never was begins with the next",
            ),
            ("Asia/Kolkata", "2028-02-28", "2028-02-27T18:30:00.000Z", "2028-02-29", "a leap day"),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|(name, day, start, next, _)| {
                let day = LocalDay::parse(day).expect("day");
                zone(name).start_of_day(day) != at(start) || zone(name).next_day(day).to_string() != *next
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_wrong_zone_is_told_which_one_was_meant() {
        let cases = [
            ("Europe/Berlni", Some("Europe/Berlin")),
            ("europe/berlin", Some("Europe/Berlin")),
            ("Berlin", Some("Europe/Berlin")),
            ("New York", Some("America/New_York")),
            ("Asia/Calcuta", Some("Asia/Calcutta")),
            ("utc", Some("UTC")),
            ("W. Europe Standard Time", None),
            ("UTC+2", None),
            ("", None),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .map(|(text, meant)| (text, text.parse::<Zone>().map_err(|error| error.meant), meant))
            .filter(|(_, found, meant)| *found != Err(*meant))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(
            serde_json::from_str::<Zone>(r#""Mars/Olympus""#).map_err(|error| error.to_string()),
            Err(r#""Mars/Olympus" is not an IANA time zone such as Europe/Berlin"#.to_owned())
        );
        assert_eq!(
            serde_json::to_string(&zone("Asia/Kolkata")).ok().as_deref(),
            Some(r#""Asia/Kolkata""#)
        );
    }

    proptest! {
        /// R-DIGEST: over every zone, `place` agrees with the other direction, and never runs backwards.
        #[test]
        fn placing_a_local_time_inverts_reading_it(
            zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]).prop_map(Zone),
            ms in -3_000_000_000_000_i64..4_100_000_000_000,
            later_ms in 0_i64..200_000_000,
        ) {
            let instant = Timestamp::from_millis(ms);
            let local = zone.local(instant);
            let placed = zone.place(local);
            prop_assert!(placed <= instant, "the first pass is not after the second");
            prop_assert_eq!(zone.local(placed), local);
            let later = zone.place(local + TimeDelta::milliseconds(later_ms));
            prop_assert!(placed <= later);
        }

        /// R-CHANNEL: no instant of a day lies before its start.
        #[test]
        fn a_day_begins_where_the_day_before_it_ended(
            zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]).prop_map(Zone),
            ms in -3_000_000_000_000_i64..4_100_000_000_000,
        ) {
            let day = zone.day_of(Timestamp::from_millis(ms));
            let start = zone.start_of_day(day);
            prop_assert_eq!(zone.day_of(start), day);
            prop_assert!(start <= Timestamp::from_millis(ms));
            prop_assert!(zone.day_of(Timestamp::from_millis(start.as_millis() - 1)) < day);
            prop_assert!(zone.start_of_day(zone.next_day(day)) > start);
        }
    }
}
