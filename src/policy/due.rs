//! The instants at which time alone moves a lead, worked out once, when its record comes in.
//!
//! They are kept with the lead, so that a setting changed later moves no lead that is already here ("what is decided stays decided").

use chrono::Months;

use crate::lead::kind::Kind;
use crate::lead::stage::Stage;
use crate::policy::Policy;
use crate::time::Timestamp;

/// What is known of a lead when its instants are worked out.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What sort of lead it is.
    pub kind: Kind,
    /// The stage in which it arrives.
    pub stage: Stage,
    /// When it was created.
    pub created_at: Timestamp,
    /// The record's own `expirationDateTime`.
    pub expires_at: Option<Timestamp>,
    /// Whether the customer asked to be contacted.
    pub is_urgent: bool,
    /// Whether nobody is to be told of anything.
    pub is_quiet: bool,
}

/// When time moves a lead; `None` = never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instants {
    /// `R-EXPIRY`
    pub expires_at: Option<Timestamp>,
    /// `R-URGENT`
    pub cool_at: Option<Timestamp>,
    /// `R-REMIND`
    pub remind_at: Option<Timestamp>,
    /// `R-STAGES`
    pub archive_at: Option<Timestamp>,
}

/// Works out the instants of a lead that arrives at `now`.
pub fn instants(now: Timestamp, facts: &Facts, policy: &Policy) -> Instants {
    match facts.kind {
        Kind::Shared | Kind::Test => Instants::default(),
        Kind::Informational => Instants {
            archive_at: Some(archive_at(facts.created_at, policy)),
            ..Instants::default()
        },
        Kind::Contact => {
            let unanswered = facts.stage == Stage::Received;
            let expires_at = facts.expires_at.unwrap_or_else(|| facts.created_at.plus(policy.expire_after));
            Instants {
                expires_at: unanswered.then_some(expires_at),
                cool_at: facts.is_urgent.then(|| facts.created_at.plus(policy.urgent_for)),
                remind_at: remind_at(now, expires_at, policy).filter(|_| unanswered && !facts.is_quiet),
                archive_at: None,
            }
        }
    }
}

/// Returns when a lead that expires at `expires_at` is marked as expiring; `None` where less than that is left already (`R-REMIND`).
pub fn remind_at(now: Timestamp, expires_at: Timestamp, policy: &Policy) -> Option<Timestamp> {
    let at = expires_at.minus(policy.remind_before);
    (!policy.remind_before.is_zero() && now <= at).then_some(at)
}

/// Returns when an informational lead is archived: calendar months later in UTC, the day clamped to the month (`R-STAGES`).
///
/// ```
/// use posthorn::policy::{due::archive_at, Policy};
/// let created = "2025-08-31T10:00:00.000Z".parse().unwrap();
/// assert_eq!(archive_at(created, &Policy::default()).to_string(), "2026-02-28T10:00:00.000Z");
/// ```
pub fn archive_at(created_at: Timestamp, policy: &Policy) -> Timestamp {
    match created_at.to_utc().checked_add_months(Months::new(policy.archive_after_months)) {
        Some(at) => at.into(),
        None => created_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a literal")
    }

    fn contact(created: &str, expires: Option<&str>) -> Facts {
        Facts {
            kind: Kind::Contact,
            stage: Stage::Received,
            created_at: at(created),
            expires_at: expires.map(at),
            is_urgent: false,
            is_quiet: false,
        }
    }

    /// `R-REMIND`
    #[test]
    fn a_lead_that_arrives_with_less_than_72_hours_left_is_not_reminded_of() {
        let facts = contact("2026-03-01T00:00:00.000Z", Some("2026-03-10T00:00:00.000Z"));
        for (now, expected) in [
            ("2026-03-07T00:00:00.000Z", Some(at("2026-03-07T00:00:00.000Z"))),
            ("2026-03-07T00:00:00.001Z", None),
        ] {
            assert_eq!(instants(at(now), &facts, &Policy::default()).remind_at, expected, "arrives {now}");
        }
    }

    /// `R-EXPIRY`
    #[test]
    fn a_lead_without_an_expiry_gets_14_times_24_hours() {
        let facts = contact("2026-03-20T12:00:00.000Z", None);
        let instants = instants(at("2026-03-20T12:00:00.000Z"), &facts, &Policy::default());
        assert_eq!(instants.expires_at, Some(at("2026-04-03T12:00:00.000Z")));
    }

    /// `R-STAGES`
    #[test]
    fn six_calendar_months_clamp_the_day() {
        for (created, archived) in [
            ("2025-08-29T00:00:00.000Z", "2026-02-28T00:00:00.000Z"),
            ("2027-08-31T23:59:59.999Z", "2028-02-29T23:59:59.999Z"),
            ("2026-01-15T08:00:00.000Z", "2026-07-15T08:00:00.000Z"),
        ] {
            assert_eq!(archive_at(at(created), &Policy::default()), at(archived), "{created}");
        }
    }
}
