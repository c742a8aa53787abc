//! How long a delivery waits before it is tried again, and when that ends.
//!
//! RFC 5321 §4.5.4.1 asks for at least 30 minutes between tries and four to five days of them. A lead is worth most in its first hour,
//! so posthorn begins sooner and, by default, tells ops after two days what a mail server would keep to itself for five.

use std::time::Duration;

use crate::outbox::circuit::PAUSE_FIRST;
use crate::time::Timestamp;

/// The waiting times of the outbox, from the settings where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// `smtp.give_up_after`: how long after it first became due a delivery is still tried.
    pub give_up_after: Duration,
    /// `worker.resend_after`: how long a delivery stays in doubt before it is sent again.
    pub resend_after: Duration,
    /// The wait after the first attempt.
    pub first_wait: Duration,
    /// The longest wait, before jitter.
    pub wait_max: Duration,
    /// The wait after a fault of the relay, which is no attempt of the delivery: until its circuit is tried, or another relay takes it.
    pub relay_pause: Duration,
}

/// How far a wait is moved up or down by jitter, so that what failed together does not come back together.
const SPREAD: f64 = 0.2;

impl Retry {
    /// Returns how long to wait after the `attempt`-th attempt (the first is 1):
    /// `min(first_wait × 2^(attempt − 1), wait_max) × (0.8 + 0.4 × jitter)`.
    ///
    /// `jitter` is a random number from 0 to 1; what lies outside is taken as the nearer end.
    ///
    /// ```
    /// use posthorn::outbox::retry::Retry;
    /// let minutes = |attempt| Retry::default().backoff(attempt, 0.5).as_secs() / 60;
    /// assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(minutes), [1, 2, 4, 8, 16, 32, 60, 60]);
    /// ```
    pub fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let n_doublings = attempt.saturating_sub(1);
        let doubled = 2_u32
            .checked_pow(n_doublings)
            .and_then(|factor| self.first_wait.checked_mul(factor));
        let wait = doubled.unwrap_or(self.wait_max).min(self.wait_max);
        let jitter = if jitter.is_nan() { 0.5 } else { jitter.clamp(0.0, 1.0) };
        // A setting may be so long that its spread is no duration any more.
        Duration::try_from_secs_f64(wait.as_secs_f64() * (1.0 - SPREAD + 2.0 * SPREAD * jitter)).unwrap_or(wait)
    }

    /// Whether a delivery that was first due at `first_due_at` is tried no more.
    pub fn is_given_up(&self, now: Timestamp, first_due_at: Timestamp) -> bool {
        now.since(first_due_at) >= self.give_up_after
    }
}

impl Default for Retry {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        Self {
            give_up_after: Duration::from_secs(2 * 24 * 60 * MINUTE),
            resend_after: Duration::from_secs(15 * MINUTE),
            // Greylisting wants a minute at least; a relay's restart takes about one.
            first_wait: Duration::from_secs(MINUTE),
            // A relay that comes back finds what waited within the hour, and 10,000 waiting mails are three tries a second.
            wait_max: Duration::from_secs(60 * MINUTE),
            relay_pause: PAUSE_FIRST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What floating point may add to a wait.
    const ROUNDING: f64 = 1e-9;

    /// Boundaries are inclusive (domain.md, Time).
    #[test]
    fn a_delivery_is_given_up_at_exactly_the_end() {
        let retry = Retry::default();
        let first: Timestamp = "2026-03-02T00:00:00Z".parse().expect("an instant");
        for (now, expected) in [
            ("2026-03-01T00:00:00.000Z", false),
            ("2026-03-03T23:59:59.999Z", false),
            ("2026-03-04T00:00:00.000Z", true),
            ("2026-03-04T00:00:00.001Z", true),
        ] {
            assert_eq!(retry.is_given_up(now.parse().expect("an instant"), first), expected, "{now}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_grows_with_attempts_and_stays_within_its_bounds(attempt in any::<u32>(), more in 0_u32..40, jitter in 0.0_f64..=1.0) {
            let retry = Retry::default();
            let wait = retry.backoff(attempt, jitter);
            prop_assert!(wait >= retry.first_wait.mul_f64(1.0 - SPREAD - ROUNDING));
            prop_assert!(wait <= retry.wait_max.mul_f64(1.0 + SPREAD + ROUNDING));
            prop_assert!(retry.backoff(attempt.saturating_add(more), jitter) >= wait, "more attempts, no shorter wait");
            prop_assert!(retry.backoff(attempt, 1.0) >= wait && wait >= retry.backoff(attempt, 0.0), "jitter moves it one way");
        }

        #[test]
        fn any_setting_and_any_jitter_gives_a_wait(first_ms in any::<u64>(), max_ms in 0..u64::MAX / 2, attempt in any::<u32>(), jitter in any::<f64>()) {
            let (first_wait, wait_max) = (Duration::from_millis(first_ms), Duration::from_millis(max_ms));
            let wait = Retry { first_wait, wait_max, ..Retry::default() }.backoff(attempt, jitter);
            prop_assert!(wait <= wait_max.mul_f64(1.0 + SPREAD + ROUNDING));
        }
    }
}
