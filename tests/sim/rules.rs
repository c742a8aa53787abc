//! The rules once more, written from their text and as plainly as possible: what the checkers hold the program to. Nothing here calls the program:
//! a checker that asked the code under test would prove nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// How long a lead is urgent (`R-URGENT`), lives without an expiry of its own (`R-EXPIRY`), and is marked before it expires (`R-REMIND`).
pub const URGENT_FOR: i64 = 72 * HOUR;
pub const EXPIRE_AFTER: i64 = 14 * DAY;
pub const REMIND_BEFORE: i64 = 72 * HOUR;
/// `policy.digest_threshold`
pub const THRESHOLD: i64 = 10;

/// Somebody in a partner's record.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    pub email: String,
    pub is_disabled: bool,
}

/// A partner as the portal knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Partner {
    pub id: String,
    pub zone: Option<Tz>,
    pub cron: Option<Cron>,
    pub threshold: Option<i64>,
    pub urgent_singly: Option<bool>,
    pub preferred: Vec<Contact>,
    pub locations: Vec<(String, bool, Vec<Contact>)>,
    pub admins: Vec<Contact>,
}

/// A cron of fixed times of day, on all days or on working days.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    pub minute: u32,
    pub hours: Vec<u32>,
    pub is_weekdays: bool,
}

/// A lead as the portal sends it.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: String,
    pub partner: String,
    pub created: i64,
    pub updated: i64,
    pub expires: Option<i64>,
    /// `received`, `accepted`, `won`, `lost`, `declined`, `expired`
    pub stage: &'static str,
    pub sort: Sort,
    pub is_urgent: bool,
    pub location: Option<String>,
    pub sender: Option<String>,
    pub customer: Contact,
}

/// What makes a lead what it is (`R-KIND`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sort {
    Profile,
    NoTarget,
    OfferContactMe,
    OfferGetItNow,
    OfferTrial,
    OfferQualified,
    Shared,
    Outgoing,
    Test,
}

impl Record {
    /// `R-KIND`
    pub fn kind(&self) -> &'static str {
        match self.sort {
            Sort::Shared | Sort::Outgoing => "shared",
            Sort::Test => "test",
            Sort::Profile | Sort::NoTarget | Sort::OfferContactMe | Sort::OfferQualified => "contact",
            Sort::OfferGetItNow | Sort::OfferTrial => "informational",
        }
    }

    /// The version in nanoseconds (`R-INTAKE`).
    pub fn version(&self) -> i64 {
        self.updated * 1_000_000
    }

    /// The record as the portal writes it.
    pub fn to_json(&self) -> Value {
        let (status, substatus) = match self.stage {
            "received" => ("New", "Received"),
            "accepted" => ("Active", "Accepted"),
            "won" => ("Closed", "Won"),
            "lost" => ("Closed", "Lost"),
            "declined" => ("Closed", "Declined"),
            _ => ("Closed", "Expired"),
        };
        let is_test = self.sort == Sort::Test;
        let name = |word: &str| if is_test { format!("MSFT_TEST_{word}") } else { word.to_owned() };
        let email = if is_test {
            "MSFT_TEST_ada@fabrikam.example"
        } else {
            &self.customer.email
        };
        let mut record = json!({
            "id": self.id,
            "name": format!("Deal {}", self.id),
            "organizationId": self.partner,
            "direction": if self.sort == Sort::Outgoing { "Outgoing" } else { "Incoming" },
            "type": if self.sort == Sort::Shared { "Shared" } else { "Independent" },
            "createdDateTime": shown(self.created),
            "updatedDateTime": shown(self.updated),
            "status": status,
            "substatus": substatus,
            "qualification": if self.sort == Sort::OfferQualified { "MarketingQualified" } else { "Direct" },
            "customerProfile": {
                "name": name(&format!("Customer{}", self.id)),
                "team": [{ "firstName": name("Ada"), "lastName": name("Byron"), "email": email,
                           "contactPreference": { "disableNotifications": self.customer.is_disabled } }],
            },
            "consent": { "consentToContact": self.is_urgent },
        });
        if let Some(expires) = self.expires {
            record["expirationDateTime"] = shown(expires).into();
        }
        let offer = |action: &str| (json!([{ "type": "SolutionProfile", "id": "offer" }]), action.to_owned());
        let target = match self.sort {
            Sort::Profile => Some((json!([{ "type": "BusinessProfileLocation", "id": self.location }]), String::new())),
            Sort::OfferContactMe => Some(offer("ContactMe")),
            Sort::OfferGetItNow | Sort::OfferQualified => Some(offer("GetItNow")),
            Sort::OfferTrial => Some(offer("FreeTrial")),
            Sort::NoTarget | Sort::Shared | Sort::Outgoing | Sort::Test => None,
        };
        if let Some((target, action)) = target {
            record["target"] = target;
            if !action.is_empty() {
                record["callToAction"] = action.into();
            }
        }
        if let Some(sender) = &self.sender {
            record["inviteContext"] = json!({ "invitedBy": { "organizationId": sender } });
        }
        record
    }
}

impl Partner {
    /// The record as the portal writes it; addresses in any case (`R-RECIPIENT`: compared lower-cased).
    pub fn to_json(&self) -> Value {
        let contacts = |all: &[Contact]| -> Value {
            all.iter()
                .map(|one| json!({ "email": one.email.replace("user-1", "User-1"), "disableNotifications": one.is_disabled }))
                .collect()
        };
        let locations: Vec<Value> = self
            .locations
            .iter()
            .map(|(id, is_primary, all)| json!({ "id": id, "primary": is_primary, "contacts": contacts(all) }))
            .collect();
        let mut record = json!({
            "id": self.id,
            "preferredEmails": contacts(&self.preferred),
            "profile": { "locations": locations },
            "admins": contacts(&self.admins),
        });
        if let Some(zone) = self.zone {
            record["timeZone"] = zone.name().into();
        }
        if let Some(cron) = &self.cron {
            record["digestCron"] = cron.to_text().into();
        }
        if let Some(threshold) = self.threshold {
            record["digestThreshold"] = threshold.into();
        }
        if let Some(urgent_singly) = self.urgent_singly {
            record["urgentSingly"] = urgent_singly.into();
        }
        record
    }

    fn everybody(&self) -> impl Iterator<Item = &Contact> {
        let located = self.locations.iter().flat_map(|(_, _, all)| all);
        self.preferred.iter().chain(located).chain(&self.admins)
    }

    /// Whether the record silences an address, wherever in it that stands.
    pub fn silences(&self, address: &str) -> bool {
        self.everybody().any(|one| one.is_disabled && one.email == address)
    }
}

impl Cron {
    pub fn to_text(&self) -> String {
        let hours: Vec<String> = self.hours.iter().map(u32::to_string).collect();
        format!(
            "{} {} * * {}",
            self.minute,
            hours.join(","),
            if self.is_weekdays { "1-5" } else { "*" }
        )
    }
}

/// Who would be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Whether anybody can be reached at all; who is silenced counts as reached.
    pub is_routable: bool,
    pub told: BTreeSet<String>,
}

/// `R-RECIPIENT`: preferred alone; then the targeted location, or the primary one where that is unknown or has none; then the admins.
/// `gone`: suppressed, or tried in vain by this very notice. `opted_out`: of this partner.
pub fn resolve(partner: Option<&Partner>, location: Option<&str>, gone: &BTreeSet<String>, opted_out: &BTreeSet<String>) -> Told {
    let Some(partner) = partner else { return Told::default() };
    let mut rungs: Vec<&[Contact]> = vec![&partner.preferred];
    if let Some((_, _, all)) = partner.locations.iter().find(|(id, _, _)| Some(id.as_str()) == location) {
        rungs.push(all);
    }
    let primary = partner.locations.iter().find(|(_, is_primary, _)| *is_primary);
    let alone = (partner.locations.len() == 1).then(|| &partner.locations[0]);
    if let Some((_, _, all)) = primary.or(alone) {
        rungs.push(all);
    }
    rungs.push(&partner.admins);
    for rung in rungs {
        let reached: BTreeSet<&String> = rung.iter().map(|one| &one.email).filter(|email| !gone.contains(*email)).collect();
        if !reached.is_empty() {
            let told = reached
                .into_iter()
                .filter(|email| !partner.silences(email) && !opted_out.contains(*email));
            return Told {
                is_routable: true,
                told: told.cloned().collect(),
            };
        }
    }
    Told::default()
}

/// The calendar day of an instant in a zone.
pub fn day_of(zone: Tz, at: i64) -> String {
    instant(at).with_timezone(&zone).date_naive().to_string()
}

/// The first instant of the day after that of `at`.
pub fn next_midnight(zone: Tz, at: i64) -> i64 {
    let next = instant(at).with_timezone(&zone).date_naive() + TimeDelta::days(1);
    place(zone, next, 0, 0)
}

/// `R-DIGEST`: the first fire strictly after `after`.
pub fn next_fire(cron: &Cron, zone: Tz, after: i64) -> i64 {
    let today = instant(after).with_timezone(&zone).date_naive();
    let days = (-2..12).map(|n| today + TimeDelta::days(n));
    let wanted = days.filter(|day| !cron.is_weekdays || day.weekday().number_from_monday() <= 5);
    let fires = wanted.flat_map(|day| cron.hours.iter().map(move |hour| place(zone, day, *hour, cron.minute)));
    fires.filter(|at| *at > after).min().expect("a week has a working day")
}

/// The instant of a wall-clock time: the first of two; right after the gap where there is none.
fn place(zone: Tz, day: NaiveDate, hour: u32, minute: u32) -> i64 {
    let mut local = day.and_hms_opt(hour, minute, 0).expect("a time of day");
    loop {
        match zone.from_local_datetime(&local) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => return at.timestamp_millis(),
            MappedLocalTime::None => local += TimeDelta::minutes(1),
        }
    }
}

/// Six calendar months later, in UTC, the day clamped (`R-STAGES`).
pub fn archive_at(created: i64) -> i64 {
    let at = instant(created);
    let months = at.year() * 12 + at.month0() as i32 + 6;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
    let day = (1..=at.day())
        .rev()
        .find_map(|day| NaiveDate::from_ymd_opt(year, month, day))
        .expect("a month has days");
    day.and_time(at.time()).and_utc().timestamp_millis()
}

/// `R-STAGES`, `R-SYNC`: whether the portal may have moved a lead from one stage to another.
pub fn may_sync(from: &str, to: &str) -> bool {
    matches!(
        (from, to),
        ("received", "accepted" | "declined" | "expired" | "won" | "lost") | ("accepted", "won" | "lost")
    )
}

pub fn instant(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).expect("the simulation stays in this century")
}

pub fn shown(at: i64) -> String {
    instant(at).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
