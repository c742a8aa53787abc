//! Instants and days, as the core sees them: UTC, whole milliseconds (`domain.md`, Time).
//!
//! **Not here:** the clock that is read (`clock`), zones (`partner::zone`), the cron of a digest (`policy::schedule`).

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC with millisecond precision.
///
/// ```
/// use posthorn::time::Timestamp;
/// let t: Timestamp = "2026-03-02T00:00:00.1234567+00:00".parse().unwrap();
/// assert_eq!(t.to_string(), "2026-03-02T00:00:00.123Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A calendar day in some zone; which zone is known to whoever holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalDay(pub NaiveDate);

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 date and time such as 2026-03-02T00:00:00.000Z")]
pub struct NotATimestamp(pub String);

impl Timestamp {
    /// Returns the instant that lies `ms` milliseconds after the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the same instant for chrono.
    ///
    /// # Panics
    /// Never for an instant that came from a text or a clock: chrono's range is 262,000 years.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).expect("instants are parsed from chrono's own range")
    }

    /// Returns the instant `span` later.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// Returns the instant `span` earlier.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// Returns how long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_millis())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Reads RFC 3339 with any offset and any number of fractional digits; what is finer than a millisecond is cut.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        match DateTime::parse_from_rfc3339(text.trim()) {
            Ok(at) => Ok(Self(at.timestamp_millis())),
            Err(_) => Err(NotATimestamp(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl LocalDay {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Returns the instant at which this day begins in UTC.
    pub fn beginning_in_utc(self) -> Timestamp {
        self.0.and_time(NaiveTime::MIN).and_utc().into()
    }
}

impl fmt::Display for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_what_portals_write_and_shows_milliseconds() {
        for (text, shown) in [
            ("2026-03-02T00:00:00Z", "2026-03-02T00:00:00.000Z"),
            ("2026-03-02T01:30:00.1234567+01:30", "2026-03-02T00:00:00.123Z"),
            ("2026-03-01T23:59:59.999999Z", "2026-03-01T23:59:59.999Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().map(|t| t.to_string()), Ok(shown.to_owned()));
        }
        assert!("2026-03-02".parse::<Timestamp>().is_err());
    }
}
