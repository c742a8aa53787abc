//! How fast mails may go: buckets for a rate, limits for hours and days, and the steps of a warm-up.
//!
//! A bucket is a worker's own and lives as long as it does; a limit is the fleet's, and what counts towards it is kept in the database.
//!
//! **Not here:** whom a pace is for and who waits (`delivery::relays`), where the counts are kept (`store::relays`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveDate;

use crate::time::Timestamp;

const SECOND_MS: i64 = 1000;
const HOUR_MS: i64 = 3600 * SECOND_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// So many mails in so long: `20/s`, `30/min`, `500/h`.
///
/// ```
/// use posthorn::outbox::pace::Rate;
/// assert_eq!("30/min".parse::<Rate>().map(|rate| rate.to_string()), Ok("30/min".to_owned()));
/// assert!("30".parse::<Rate>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    n: u32,
    per: Per,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Second,
    Minute,
    Hour,
}

/// Why a text is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate; write how many mails in how long, such as \"20/s\", \"30/min\" or \"500/h\"")]
pub struct NotARate(pub String);

/// The greatest number in a rate: above it a mail takes less than a processor takes to write it.
const RATE_MAX: u32 = 100_000;

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let read = || {
            let (n, per) = text.split_once('/')?;
            let n = n.trim().parse().ok().filter(|n| (1..=RATE_MAX).contains(n))?;
            let per = match per.trim() {
                "s" => Per::Second,
                "min" => Per::Minute,
                "h" => Per::Hour,
                _ => return None,
            };
            Some(Self { n, per })
        };
        read().ok_or_else(|| NotARate(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => "s",
            Per::Minute => "min",
            Per::Hour => "h",
        };
        write!(f, "{}/{per}", self.n)
    }
}

impl Rate {
    /// Returns how many mails a second that is.
    pub fn per_second(self) -> f64 {
        let seconds = match self.per {
            Per::Second => 1.0,
            Per::Minute => 60.0,
            Per::Hour => 3600.0,
        };
        f64::from(self.n) / seconds
    }
}

/// Lets mails go at a rate: what was not used for up to a second may go at once.
#[derive(Clone, Debug)]
pub struct Bucket {
    per_second: f64,
    n_tokens: f64,
    filled_at: Timestamp,
}

impl Bucket {
    /// Makes a bucket with one mail in it, so that a restart is no burst.
    pub fn new(now: Timestamp, rate: Rate) -> Self {
        Self {
            per_second: rate.per_second(),
            n_tokens: 1.0,
            filled_at: now,
        }
    }

    /// Takes a mail's share.
    ///
    /// # Errors
    /// How long it is until there is one.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        // A clock that was set back fills nothing.
        let grown = now.since(self.filled_at).as_secs_f64() * self.per_second;
        self.n_tokens = (self.n_tokens + grown).min(self.per_second.max(1.0));
        self.filled_at = now;
        if self.n_tokens >= 1.0 {
            self.n_tokens -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.n_tokens) / self.per_second;
        Err(Duration::from_secs_f64(wait).max(Duration::from_millis(1)))
    }

    /// Puts a share back that was not used.
    pub fn put_back(&mut self) {
        self.n_tokens = (self.n_tokens + 1.0).min(self.per_second.max(1.0));
    }
}

/// The pace towards one domain of recipients: who has to wait is given a time of its own, one after the other, so that they do not all come back at once.
#[derive(Clone, Debug)]
pub struct Queue {
    bucket: Option<Bucket>,
    n_at_once_max: u32,
    n_at_once: u32,
    interval: Duration,
    free_at: Timestamp,
}

/// How long a mail waits that finds all of a domain's connections in use; about as long as a mail takes there.
const BUSY_WAIT: Duration = Duration::from_millis(250);

impl Queue {
    /// Makes one for a rate and a number of mails under way, both as far as they are set.
    pub fn new(now: Timestamp, rate: Option<Rate>, n_at_once_max: Option<u32>) -> Self {
        let n_at_once_max = n_at_once_max.unwrap_or(u32::MAX);
        let by_rate = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate.per_second()));
        Self {
            bucket: rate.map(|rate| Bucket::new(now, rate)),
            n_at_once_max,
            n_at_once: 0,
            interval: by_rate.max(BUSY_WAIT / n_at_once_max.max(1)),
            free_at: now,
        }
    }

    /// Lets a mail go; it has to [`leave`](Self::leave) in the end.
    ///
    /// # Errors
    /// When it may come again.
    pub fn enter(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        let wait = if self.n_at_once >= self.n_at_once_max {
            Err(BUSY_WAIT)
        } else {
            self.bucket.as_mut().map_or(Ok(()), |bucket| bucket.take(now))
        };
        match wait {
            Ok(()) => {
                self.n_at_once += 1;
                Ok(())
            }
            Err(wait) => {
                // A clock that was set back leaves no hole.
                let is_ahead = self.free_at.since(now) <= self.interval.saturating_mul(QUEUED_MAX);
                let from = if is_ahead {
                    self.free_at.max(now.plus(wait))
                } else {
                    now.plus(wait)
                };
                self.free_at = from.plus(self.interval);
                Err(from)
            }
        }
    }

    /// Whether nobody is under way, or has been given a time that is to come.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.n_at_once == 0 && self.free_at <= now
    }

    /// Tells that a mail is no longer under way.
    pub fn leave(&mut self) {
        self.n_at_once = self.n_at_once.saturating_sub(1);
    }
}

/// Mails that are given times one after the other; further ones share those times. They come back, and are sorted again.
const QUEUED_MAX: u32 = 10_000;

/// How many mails may go by a relay in an hour and on a day, by the clock in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In an hour.
    pub per_hour: Option<u32>,
    /// On a day.
    pub per_day: Option<u32>,
    /// On the first day, the second, …; `per_day` after the last.
    pub warm_up: Vec<u32>,
    /// The first day.
    pub warm_up_from: Option<NaiveDate>,
}

impl Limits {
    /// Whether anything is limited.
    pub fn is_none(&self) -> bool {
        self.per_hour.is_none() && self.per_day.is_none() && self.warm_up.is_empty()
    }

    /// Returns how many mails may go on the day of `now`. Before the first day of a warm-up it is as on the first.
    pub fn on_day(&self, now: Timestamp) -> Option<u32> {
        [self.per_day, self.step(now).map(|(_, limit)| limit)].into_iter().flatten().min()
    }

    /// Returns the day of the warm-up, from 1, and its limit, while it goes on.
    pub fn step(&self, now: Timestamp) -> Option<(usize, u32)> {
        let from = self.warm_up_from?;
        let n_days = now.to_utc().date_naive().signed_duration_since(from).num_days();
        let step = usize::try_from(n_days).unwrap_or(0);
        self.warm_up.get(step).map(|limit| (step + 1, *limit))
    }

    /// Returns how many more may go, given how many went this hour and this day; `None` without a limit.
    pub fn room(&self, now: Timestamp, sent: Sent) -> Option<u32> {
        let left = |limit: Option<u32>, n: i64| limit.map(|limit| u32::try_from(i64::from(limit) - n).unwrap_or(0));
        [left(self.per_hour, sent.this_hour), left(self.on_day(now), sent.today)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns when there may be room again, where there is none.
    pub fn opens_at(&self, now: Timestamp, sent: Sent) -> Timestamp {
        let is_day_full = self.on_day(now).is_some_and(|limit| sent.today >= i64::from(limit));
        let span_ms = if is_day_full { DAY_MS } else { HOUR_MS };
        Timestamp::from_millis(begin(now, span_ms) + span_ms)
    }
}

/// How many mails went by a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// In the hour of the clock.
    pub this_hour: i64,
    /// On the day in UTC.
    pub today: i64,
}

/// Returns when the hour of `now` began.
pub fn hour_of(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(begin(now, HOUR_MS))
}

/// Returns when the day of `now` began, in UTC.
pub fn day_of(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(begin(now, DAY_MS))
}

fn begin(now: Timestamp, span_ms: i64) -> i64 {
    now.as_millis() - now.as_millis().rem_euclid(span_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("the tests write instants in RFC 3339")
    }

    #[test]
    fn a_rate_reads_as_it_is_written() {
        for text in ["20/s", "30/min", "500/h", "1/h", "100000/s"] {
            assert_eq!(text.parse::<Rate>().map(|rate| rate.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "20", "0/s", "-1/s", "2/d", "1.5/s", "100001/s", "/s", "20/ sec"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_warm_up_goes_step_by_step_and_ends_in_the_limit_of_a_day() {
        let limits = Limits {
            per_hour: None,
            per_day: Some(1000),
            warm_up: vec![50, 200, 5000],
            warm_up_from: NaiveDate::from_ymd_opt(2026, 3, 2),
        };
        for (now, step, on_day) in [
            ("2026-02-01T12:00:00Z", Some((1, 50)), 50),
            ("2026-03-02T00:00:00.000Z", Some((1, 50)), 50),
            ("2026-03-02T23:59:59.999Z", Some((1, 50)), 50),
            ("2026-03-03T00:00:00.000Z", Some((2, 200)), 200),
            ("2026-03-04T12:00:00Z", Some((3, 5000)), 1000),
            ("2026-03-05T00:00:00Z", None, 1000),
        ] {
            assert_eq!((limits.step(at(now)), limits.on_day(at(now))), (step, Some(on_day)), "{now}");
        }
    }

    #[test]
    fn a_full_hour_opens_at_the_next_and_a_full_day_on_the_next() {
        let limits = Limits {
            per_hour: Some(10),
            per_day: Some(100),
            ..Limits::default()
        };
        let now = at("2026-03-02T09:59:59.999Z");
        for (this_hour, today, room, opens) in [
            (0, 0, 10, "2026-03-02T10:00:00Z"),
            (10, 50, 0, "2026-03-02T10:00:00Z"),
            (4, 97, 3, "2026-03-02T10:00:00Z"),
            (5, 100, 0, "2026-03-03T00:00:00Z"),
            (99, 999, 0, "2026-03-03T00:00:00Z"),
        ] {
            let sent = Sent { this_hour, today };
            assert_eq!(
                (limits.room(now, sent), limits.opens_at(now, sent)),
                (Some(room), at(opens)),
                "{sent:?}"
            );
        }
        assert_eq!(Limits::default().room(now, Sent::default()), None);
    }

    #[test]
    fn who_waits_for_a_domain_is_given_a_time_one_after_the_other() {
        let now = at("2026-03-02T09:00:00Z");
        let mut queue = Queue::new(now, "1/s".parse().ok(), None);
        assert_eq!(queue.enter(now), Ok(()));
        let seconds: Vec<u64> = (0..5)
            .map(|_| queue.enter(now).expect_err("it has to wait").since(now).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 3, 4, 5]);
        let mut queue = Queue::new(now, None, Some(2));
        assert_eq!((queue.enter(now), queue.enter(now)), (Ok(()), Ok(())));
        assert!(queue.enter(now).is_err());
        queue.leave();
        assert_eq!(queue.enter(now), Ok(()));
    }

    proptest! {
        /// In no window go more than a second's worth and what the window allows; a bucket never refuses for longer than a mail's share.
        #[test]
        fn no_window_sees_more_than_its_rate(n in 1_u32..50, steps in proptest::collection::vec(0_i64..400, 1..200), from in 0_usize..200) {
            let rate: Rate = format!("{n}/s").parse().expect("a rate");
            let mut now = at("2026-03-02T09:00:00Z");
            let mut bucket = Bucket::new(now, rate);
            let mut went = Vec::new();
            for step in steps {
                now = Timestamp::from_millis(now.as_millis() + step);
                match bucket.take(now) {
                    Ok(()) => went.push(now),
                    Err(wait) => prop_assert!(wait.as_secs_f64() <= 1.0 / rate.per_second() + 0.001),
                }
            }
            if let Some(first) = went.get(from) {
                let n_in_window = went[from..].len() as f64;
                let window = went[went.len() - 1].since(*first).as_secs_f64();
                prop_assert!(n_in_window <= rate.per_second() * (window + 1.0) + 1.0, "{n_in_window} in {window} s");
            }
        }

        /// A clock that is set back gives nobody a second share, and keeps nobody waiting for it to catch up.
        #[test]
        fn a_clock_set_back_is_survived(back_ms in 1_i64..10_000_000_000) {
            let now = at("2026-03-02T09:00:00Z");
            let mut bucket = Bucket::new(now, "1/s".parse().expect("a rate"));
            prop_assert_eq!(bucket.take(now), Ok(()));
            let earlier = Timestamp::from_millis(now.as_millis() - back_ms);
            prop_assert!(bucket.take(earlier).is_err());
            prop_assert_eq!(bucket.take(earlier.plus(Duration::from_secs(1))), Ok(()));
        }
    }
}
