//! What happens in the portal: partners whose records change, and leads of all kinds. Few partners, few addresses and round instants, so that what is
//! rare in life (the same address twice, a fire on the day of a DST change, an answer at the instant of an expiry) is common here.

use chrono_tz::Tz;

use crate::rng::Rng;
use crate::rules::{Contact, Cron, DAY, HOUR, MINUTE, Partner, Record, Sort};

pub const PARTNERS: [&str; 5] = ["contoso", "fabrikam", "adatum", "northwind", "late"];

/// What the portal may say that became of a lead.
const ANSWERED: [&str; 5] = ["accepted", "won", "lost", "declined", "expired"];

/// Zones with a DST change near one of the beginnings, and some without.
const ZONES: [Tz; 7] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Asia__Kolkata,
    Tz::America__St_Johns,
    Tz::Pacific__Auckland,
    Tz::UTC,
];

/// Friday evenings before a DST change somewhere, and an ordinary Monday.
const BEGINNINGS: [&str; 6] = [
    "2026-03-27T18:00:00Z",
    "2026-03-06T18:00:00Z",
    "2026-10-23T18:00:00Z",
    "2026-10-02T06:00:00Z",
    "2026-04-03T06:00:00Z",
    "2026-06-01T08:00:00Z",
];

/// The portal's side.
pub struct World {
    pub now: i64,
    pub partners: Vec<Partner>,
    pub leads: Vec<Record>,
    n_leads: usize,
}

impl World {
    pub fn new(rng: &mut Rng) -> Self {
        let begin: &str = rng.pick::<&str>(&BEGINNINGS);
        let begin = chrono::DateTime::parse_from_rfc3339(begin).expect("a literal").timestamp_millis();
        Self {
            now: begin + rng.between(0, 2 * DAY / MINUTE) * MINUTE,
            partners: Vec::new(),
            leads: Vec::new(),
            n_leads: 0,
        }
    }

    /// An address that partners name: two of each, and one that all share.
    pub fn address(rng: &mut Rng) -> String {
        match rng.below(11) {
            0 => "shared@consultants.example".to_owned(),
            n => format!("user-{}@{}.example", n % 2 + 1, rng.pick(&PARTNERS)),
        }
    }

    fn contacts(rng: &mut Rng, partner: &str, n_max: u64) -> Vec<Contact> {
        let n = rng.below(n_max + 1);
        (0..n)
            .map(|_| Contact {
                email: match rng.below(8) {
                    0 => "shared@consultants.example".to_owned(),
                    n => format!("user-{}@{partner}.example", n % 3 + 1),
                },
                is_disabled: rng.percent(8),
            })
            .collect()
    }

    fn locations(rng: &mut Rng, partner: &str) -> Vec<(String, bool, Vec<Contact>)> {
        let n = rng.below(3);
        (0..n)
            .map(|n| (["berlin", "ulm"][n as usize].to_owned(), n == 0, Self::contacts(rng, partner, 2)))
            .collect()
    }

    fn cron(rng: &mut Rng) -> Cron {
        let mut hours: Vec<u32> = (0..=rng.below(2)).map(|_| *rng.pick(&[2, 3, 9, 17, 23])).collect();
        hours.sort_unstable();
        hours.dedup();
        Cron {
            minute: *rng.pick(&[0, 15, 30]),
            hours,
            is_weekdays: rng.percent(20),
        }
    }

    /// A partner's record as it becomes: a new one, or one with some of it changed.
    pub fn change_partner(&mut self, rng: &mut Rng) -> Partner {
        let id = *rng.pick(&PARTNERS);
        let known = self.partners.iter().find(|one| one.id == id).cloned();
        let mut partner = known.unwrap_or_else(|| Partner {
            id: id.to_owned(),
            zone: rng.percent(80).then(|| *rng.pick(&ZONES)),
            cron: rng.percent(60).then(|| Self::cron(rng)),
            threshold: rng.percent(75).then(|| rng.between(0, 4)),
            urgent_singly: rng.percent(40).then(|| rng.percent(60)),
            preferred: Self::contacts(rng, id, 2),
            locations: Self::locations(rng, id),
            admins: Self::contacts(rng, id, 2),
        });
        for _ in 0..=rng.below(2) {
            match rng.below(8) {
                0 => partner.zone = rng.percent(80).then(|| *rng.pick(&ZONES)),
                1 => partner.cron = rng.percent(70).then(|| Self::cron(rng)),
                2 => partner.threshold = rng.percent(75).then(|| rng.between(0, 4)),
                3 => partner.urgent_singly = rng.percent(60).then(|| rng.percent(60)),
                4 => partner.preferred = Self::contacts(rng, id, 2),
                5 => partner.preferred.clear(),
                6 => partner.locations = Self::locations(rng, id),
                _ => partner.admins = Self::contacts(rng, id, 2),
            }
        }
        self.partners.retain(|one| one.id != id);
        self.partners.push(partner.clone());
        partner
    }

    /// A batch of records: new leads, and news of those that are here, of which some are old news.
    pub fn batch(&mut self, rng: &mut Rng) -> Vec<Record> {
        let n = 1 + rng.below(6);
        let mut batch = Vec::new();
        for _ in 0..n {
            let is_news = !self.leads.is_empty() && rng.percent(35);
            let record = if is_news { self.news(rng) } else { self.new_lead(rng) };
            batch.push(record);
        }
        batch
    }

    fn new_lead(&mut self, rng: &mut Rng) -> Record {
        self.n_leads += 1;
        let sort = match rng.below(20) {
            0 => Sort::Shared,
            1 => Sort::Outgoing,
            2 => Sort::Test,
            3 => Sort::OfferGetItNow,
            4 => Sort::OfferTrial,
            5 => Sort::OfferQualified,
            6 | 7 => Sort::OfferContactMe,
            8..=12 => Sort::NoTarget,
            _ => Sort::Profile,
        };
        let age = match rng.below(10) {
            0 => rng.between(0, 20 * DAY),
            1 => rng.between(0, 4 * DAY),
            2 => 0,
            _ => rng.between(0, HOUR),
        };
        let created = self.now - age;
        let expires = match rng.below(5) {
            0 => Some(self.now + rng.between(-HOUR, 5 * DAY)),
            1 => Some(self.now + rng.between(1, 3) * DAY),
            2 => Some(self.now + rng.between(1, 60) * MINUTE),
            _ => None,
        };
        let record = Record {
            id: format!("L{:03}", self.n_leads),
            partner: (*rng.pick(&PARTNERS)).to_owned(),
            created,
            updated: created,
            expires,
            stage: if rng.percent(93) { "received" } else { rng.pick::<&str>(&ANSWERED) },
            sort,
            is_urgent: rng.percent(40),
            location: (sort == Sort::Profile).then(|| (*rng.pick(&["berlin", "ulm", "nowhere"])).to_owned()),
            sender: rng.percent(50).then(|| (*rng.pick(&PARTNERS)).to_owned()),
            customer: Contact {
                email: if rng.percent(80) {
                    format!("ada-{}@customer.example", rng.below(6))
                } else {
                    String::new()
                },
                is_disabled: rng.percent(15),
            },
        };
        self.leads.push(record.clone());
        record
    }

    /// News of a lead: newer or older, as it was or answered elsewhere, its expiry moved, its location another.
    fn news(&mut self, rng: &mut Rng) -> Record {
        let at = rng.below(self.leads.len() as u64) as usize;
        let mut record = self.leads[at].clone();
        match rng.below(10) {
            0 => record.updated -= rng.between(0, HOUR),
            1 => {}
            _ => record.updated = self.now.max(record.updated + rng.between(1, 1000)),
        }
        match rng.below(6) {
            0 => record.stage = rng.pick::<&str>(&ANSWERED),
            1 => record.expires = Some(self.now + rng.between(-HOUR, 6 * DAY)),
            2 => record.is_urgent = !record.is_urgent,
            3 if record.sort == Sort::Profile => record.location = Some((*rng.pick(&["berlin", "ulm"])).to_owned()),
            4 if rng.percent(20) => record.partner = (*rng.pick(&PARTNERS)).to_owned(),
            _ => {}
        }
        if record.updated > self.leads[at].updated && record.partner == self.leads[at].partner {
            self.leads[at] = record.clone();
        }
        record
    }

    /// The id of some lead, the younger the likelier.
    pub fn some_lead(&self, rng: &mut Rng) -> Option<String> {
        let n = self.leads.len() as u64;
        if n == 0 {
            return None;
        }
        let back = rng.below(n).min(rng.below(n));
        Some(self.leads[(n - 1 - back) as usize].id.clone())
    }
}
