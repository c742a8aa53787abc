//! The decisions: who is told, how, and when. Pure: facts and `now` in, a decision with its reason out.

pub mod action;
pub mod channel;
pub mod digest;
pub mod due;
mod field;
pub mod programme;
pub mod recipient;
pub mod schedule;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::partner::Zone;
use crate::policy::schedule::Cron;

/// The operator's settings that decisions read; table `policy` of the configuration, one field a key.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Leads of a partner's day that are mailed singly (`R-CHANNEL`).
    pub digest_threshold: u32,
    /// When digests fire, in the partner's zone (`R-DIGEST`).
    pub digest_cron: Cron,
    /// The zone of a partner that names none.
    pub time_zone: Zone,
    /// Whether urgent leads are mailed singly whatever the count.
    pub urgent_singly: bool,
    /// Leads that a digest lists before it only counts them.
    pub digest_max_listed: u32,
    /// Whether a digest names the leads mailed singly that day.
    pub digest_includes_mailed: bool,
    /// Mails above which an import or a digest run asks first (`R-BACKFILL`).
    pub confirm_above: u32,
    /// The rungs of `R-RECIPIENT` in order.
    pub recipient_rungs: Vec<Rung>,
    /// How long a lead is urgent (`R-URGENT`).
    pub urgent_for: Duration,
    /// When an unanswered lead without an expiry of its own expires (`R-EXPIRY`).
    pub expire_after: Duration,
    /// How long before its expiry a lead is marked as expiring (`R-REMIND`); zero = never.
    pub remind_before: Duration,
    /// Whether that is mailed, too.
    pub remind_by_mail: bool,
    /// Calendar months after which an informational lead is archived (`R-STAGES`).
    pub archive_after_months: u32,
    /// How long after it was closed a lead's personal data is erased (`R-ERASE`); `None` = never by itself.
    pub erase_after: Option<Duration>,
    /// The language where neither contact nor partner names one (`R-LOCALE`); `mail.locale`.
    pub locale: String,
    /// What the programmes set otherwise, by their names; from the tables `programmes`.
    pub programmes: BTreeMap<String, programme::Limits>,
}

/// One rung of the recipient's ladder (`R-RECIPIENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// The partner's preferred e-mail(s), alone.
    Preferred,
    /// The contacts of the business-profile location.
    Profile,
    /// The partner's referral admins.
    Admins,
}

impl Default for Policy {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            digest_threshold: 10,
            digest_cron: "0 17 * * *".parse().expect("the default cron is one of the tests' cases"),
            time_zone: Zone::UTC,
            urgent_singly: false,
            digest_max_listed: 100,
            digest_includes_mailed: true,
            confirm_above: 1000,
            recipient_rungs: vec![Rung::Preferred, Rung::Profile, Rung::Admins],
            urgent_for: Duration::from_secs(72 * HOUR),
            expire_after: Duration::from_secs(14 * 24 * HOUR),
            remind_before: Duration::from_secs(72 * HOUR),
            remind_by_mail: false,
            archive_after_months: 6,
            erase_after: None,
            locale: "en".into(),
            programmes: BTreeMap::new(),
        }
    }
}
