//! The checkers: follow every committed change, and hold it to the rules (`rules`).
//!
//! In: what was done ([`Op`]), and the rows that it changed. Out: sentences, one a broken rule.
//! Each field of a row that changes must have a cause in what was done; what a claim made of its notices is compared with what the rules say,
//! address by address and lead by lead.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use serde_json::Value;

use crate::database::{Change, key_of};
use crate::rules::{
    self, Cron, DAY, EXPIRE_AFTER, HOUR, Partner, REMIND_BEFORE, Record, THRESHOLD, Told, URGENT_FOR, archive_at, day_of, may_sync,
    next_fire, next_midnight, shown,
};

/// The lead desk, which no partner's record names.
pub const DESK: &str = "desk@portal.example";

/// What was done in a step.
#[derive(Clone, Debug)]
pub enum Op {
    TakeIn {
        records: Vec<Record>,
        is_quiet: bool,
    },
    Put(Vec<Partner>),
    Answer {
        lead: String,
        to: Option<&'static str>,
        notify: bool,
    },
    Tick,
    Fire,
    Run {
        is_dry: bool,
    },
    Claim {
        epoch: i64,
    },
    /// Deliveries by what came of each.
    Record {
        epoch: i64,
        results: BTreeMap<i64, Came>,
    },
    Recover,
    GiveBack {
        epoch: i64,
    },
    Suppress(String),
    Lift(String),
    OptOut,
    Resubscribe,
    ByHand {
        delivery: i64,
        is_retry: bool,
    },
    Archive,
    Lease,
    Post,
}

/// What came of handing a mail over, as far as rows may change by it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Came {
    Accepted,
    Later,
    RelayFault,
    DeadAddress,
    BareRefusal,
    Refused,
    BadMessage,
    ReplyLost,
    NothingLeft,
    Released,
}

type Rows = BTreeMap<String, Value>;

/// Leads by address.
type Leads = BTreeMap<String, BTreeSet<String>>;

/// All that the checkers know.
#[derive(Default)]
pub struct Model {
    rows: BTreeMap<String, Rows>,
    partners: BTreeMap<String, Partner>,
    /// The customer contact and sender of each lead, by its newest record.
    records: BTreeMap<String, Record>,
    /// How many numbers were given on each partner's day.
    counted: BTreeMap<(String, String), i64>,
    /// How often each lead's expiry was moved: after that it may be reminded of again.
    n_moved: BTreeMap<String, usize>,
    /// Leads that nobody wants to hear of: all of their addresses are silenced.
    unheard: BTreeSet<String>,
    /// When each address was first refused without a reason.
    bare_since: BTreeMap<String, i64>,
    /// By delivery: how often the relay may have taken it.
    pub arrived: BTreeMap<i64, usize>,
    /// By lead and address: the mails that named the one to the other, as kind and Message-ID.
    mailed: BTreeMap<(String, String), BTreeSet<(String, String)>>,
    /// Whether reminders are mailed, and doubts held.
    pub remind_by_mail: bool,
    pub is_hold: bool,
    pub n_repeats: usize,
    pub broken: Vec<String>,
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

fn number(row: &Value, name: &str) -> Option<i64> {
    row[name].as_i64()
}

fn is(row: &Value, name: &str) -> bool {
    row[name].as_bool().unwrap_or_default()
}

impl Model {
    fn fail(&mut self, sentence: impl Into<String>) {
        self.broken.push(sentence.into());
    }

    pub fn table(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.rows.get(name).into_iter().flat_map(Rows::values)
    }

    pub fn row(&self, table: &str, key: &str) -> Option<&Value> {
        self.rows.get(table)?.get(key)
    }

    fn zone(&self, partner: &str) -> Tz {
        self.partners.get(partner).and_then(|one| one.zone).unwrap_or(Tz::UTC)
    }

    fn cron(&self, partner: &str) -> Cron {
        let own = self.partners.get(partner).and_then(|one| one.cron.clone());
        own.unwrap_or(Cron {
            minute: 0,
            hours: vec![17],
            is_weekdays: false,
        })
    }

    /// What a lead is at an instant: inclusive at its expiry.
    pub fn stage_at(lead: &Value, now: i64) -> &str {
        match text(lead, "stage") {
            "received" if number(lead, "expires_at").is_some_and(|at| now >= at) => "expired",
            stage => stage,
        }
    }

    pub fn is_open(lead: &Value, now: i64) -> bool {
        text(lead, "kind") == "contact" && Self::stage_at(lead, now) == "received"
    }

    /// Tells whether a mail of this kind that is written now names the lead. A reminder leaves out one whose expiry was moved away since (`R-SYNC`).
    fn is_news(kind: &str, lead: &Value, now: i64) -> bool {
        Self::is_open(lead, now) && (kind != "reminder" || is(lead, "is_expiring") || number(lead, "remind_at").is_some_and(|at| at <= now))
    }

    pub fn suppressed(&self) -> BTreeSet<String> {
        self.rows
            .get("suppression")
            .map(|rows| rows.keys().cloned().collect())
            .unwrap_or_default()
    }

    fn opted_out(&self, partner: &str) -> BTreeSet<String> {
        let of = self.table("opt_out").filter(|row| text(row, "partner_id") == partner);
        of.map(|row| text(row, "address").to_owned()).collect()
    }

    /// Who would be told of a lead now; `failed` were tried in vain.
    pub fn resolve(&self, partner: &str, location: Option<&str>, failed: &BTreeSet<String>) -> Told {
        let mut gone = self.suppressed();
        gone.extend(failed.iter().cloned());
        rules::resolve(self.partners.get(partner), location, &gone, &self.opted_out(partner))
    }

    pub fn resolve_lead(&self, lead: &Value, failed: &BTreeSet<String>) -> Told {
        self.resolve(text(lead, "partner_id"), lead["location"].as_str(), failed)
    }

    /// Takes the changes of one step in, and checks them.
    pub fn follow(&mut self, now: i64, op: &Op, changes: &[Change]) {
        let suppressed_before = self.suppressed();
        let mut moved: Vec<String> = Vec::new();
        if let Op::Put(partners) = op
            && changes.iter().any(|change| change.table == "partner")
        {
            for partner in partners {
                let schedule = |model: &Self| (model.cron(&partner.id), model.zone(&partner.id));
                let before = schedule(self);
                self.partners.insert(partner.id.clone(), partner.clone());
                if before != schedule(self) {
                    moved.push(partner.id.clone());
                }
            }
        }
        if matches!(op, Op::Run { is_dry: true }) && !changes.is_empty() {
            self.fail("a dry run changed something");
        }
        let mut claimed: Vec<i64> = Vec::new();
        for change in changes {
            let (old, new) = (change.old.as_ref(), change.new.as_ref());
            match (change.table.as_str(), old, new) {
                ("lead", None, Some(new)) => self.lead_came(now, op, new),
                ("lead", Some(old), Some(new)) => self.lead_changed(now, op, old, new),
                ("digest", None, Some(new)) => self.digest_opened(now, new),
                ("digest", Some(old), Some(new)) => self.digest_changed(now, op, old, new),
                ("notice", None, Some(new)) => self.notice_came(now, op, new),
                ("notice", Some(old), Some(new)) => {
                    self.notice_changed(op, old, new);
                    if matches!(op, Op::Claim { .. }) && text(old, "state") == "pending" && text(new, "state") != "pending" {
                        claimed.extend(number(new, "id"));
                    }
                }
                ("delivery", None, Some(new)) => self.delivery_came(op, new),
                ("delivery", Some(old), Some(new)) => self.delivery_changed(now, op, old, new),
                ("item", None, Some(new)) if number(new, "version") != Some(1) => {
                    self.fail(format!("an item begins with version {}", new["version"]));
                }
                ("item", Some(old), Some(new)) => self.item_changed(old, new),
                ("suppression", None, Some(new)) => self.suppressed_now(now, op, text(new, "address")),
                ("suppression", Some(old), None) if !matches!(op, Op::Lift(address) if address == text(old, "address")) => {
                    self.fail(format!("the suppression of {} vanished by {op:?}", text(old, "address")));
                }
                ("lead" | "digest" | "notice" | "delivery" | "item", _, None) => {
                    self.fail(format!("a row of {} was deleted", change.table))
                }
                _ => {}
            }
            let key = key_of(&change.table, new.or(old).expect("a change has a row"));
            let rows = self.rows.entry(change.table.clone()).or_default();
            match new {
                Some(new) => rows.insert(key, new.clone()),
                None => rows.remove(&key),
            };
        }
        if let Op::Claim { .. } = op {
            // Nothing else has changed what an address is worth while it was claimed.
            debug_assert_eq!(suppressed_before, self.suppressed());
            let taken_up: BTreeSet<String> = changes
                .iter()
                .filter(|change| change.table == "delivery")
                .filter_map(|change| change.new.as_ref())
                .map(|new| new["id"].to_string())
                .collect();
            for id in taken_up {
                if let Some(row) = self.row("delivery", &id).filter(|row| text(row, "state") == "sending").cloned() {
                    self.may_be_sent(&row);
                }
            }
            claimed.sort_unstable();
            claimed.dedup();
            for id in claimed {
                self.notice_claimed(now, id, changes);
            }
        }
        self.items_fit(now, changes);
        self.closed_is_withdrawn(changes);
        self.failed_is_resolved_again(op, changes);
        for partner in moved {
            self.digest_moved(now, &partner);
        }
    }

    /// A lead that is closed is told of no more: its notices and queued mails are cancelled, and it has left its digest.
    fn closed_is_withdrawn(&mut self, changes: &[Change]) {
        let mut left = Vec::new();
        for change in changes.iter().filter(|change| change.table == "lead") {
            let (Some(old), Some(new)) = (&change.old, &change.new) else {
                continue;
            };
            if text(old, "stage") != "received" || text(new, "stage") == "received" {
                continue;
            }
            let id = text(new, "id");
            let of = |row: &&Value| text(row, "kind") == "lead" && text(row, "lead_id") == id;
            let waits = self
                .table("notice")
                .filter(of)
                .any(|row| matches!(text(row, "state"), "pending" | "parked"));
            let is_queued = self
                .table("delivery")
                .filter(of)
                .any(|row| matches!(text(row, "state"), "queued" | "in_doubt"));
            let row = self.row("lead", id).unwrap_or(new);
            let digest = self.row("digest", &row["digest_id"].to_string());
            let collects = digest.is_some_and(|digest| text(digest, "state") == "collecting");
            if waits || is_queued || collects {
                left.push(format!("the lead {id} is {}, and is still to be told of", text(new, "stage")));
            }
        }
        self.broken.extend(left);
    }

    /// Where an address fails for good, or is suppressed before its mail was sent, the notice is resolved once more.
    fn failed_is_resolved_again(&mut self, op: &Op, changes: &[Change]) {
        let mut left = Vec::new();
        for change in changes.iter().filter(|change| change.table == "delivery") {
            let (Some(old), Some(new)) = (&change.old, &change.new) else {
                continue;
            };
            if old["state"] == new["state"] {
                continue;
            }
            let came = match op {
                Op::Record { results, .. } => number(new, "id").and_then(|id| results.get(&id)),
                _ => None,
            };
            let has_failed = text(new, "state") == "failed" && matches!(came, Some(Came::DeadAddress | Came::BareRefusal | Came::Refused));
            let Some(notice) = self.row("notice", &new["notice_id"].to_string()) else {
                continue;
            };
            if (has_failed || text(new, "state") == "suppressed") && !is(notice, "is_reopened") && text(notice, "state") != "cancelled" {
                left.push(format!(
                    "the delivery {} is {}, and its notice is not resolved again",
                    new["id"],
                    text(new, "state")
                ));
            }
        }
        self.broken.extend(left);
    }

    /// Cron or zone have changed: a digest whose fire has not come is due at the next fire of the new ones.
    fn digest_moved(&mut self, now: i64, partner: &str) {
        let due = next_fire(&self.cron(partner), self.zone(partner), now);
        let digest = self
            .table("digest")
            .find(|row| text(row, "partner_id") == partner && text(row, "state") == "collecting");
        let late = digest
            .filter(|row| number(row, "due_at").is_some_and(|at| at > now && at != due))
            .map(|row| row["id"].clone());
        if let Some(id) = late {
            self.fail(format!("the digest {id} of {partner} did not move to {}", shown(due)));
        }
    }

    // Leads.

    fn lead_came(&mut self, now: i64, op: &Op, row: &Value) {
        let id = text(row, "id").to_owned();
        let Op::TakeIn { records, is_quiet } = op else {
            return self.fail(format!("the lead {id} came by {op:?}"));
        };
        let found = records
            .iter()
            .find(|one| one.id == id && one.partner == text(row, "partner_id") && number(row, "version") == Some(one.version()));
        let Some(record) = found.cloned() else {
            return self.fail(format!("no record brought the lead {id}"));
        };
        if self.row("lead", &id).is_some() {
            self.fail(format!("the lead {id} came twice"));
        }
        let kind = record.kind();
        let own_expiry = record.expires.unwrap_or(record.created + EXPIRE_AFTER);
        let is_history = match kind {
            "contact" => record.stage != "received" || now >= own_expiry,
            "informational" => record.stage != "received" || now >= archive_at(record.created),
            _ => record.stage != "received",
        };
        let stage = if kind == "contact" && record.stage == "received" && now >= own_expiry {
            "expired"
        } else {
            record.stage
        };
        let is_told = kind == "contact" && !is_history && !is_quiet;
        let is_waiting = kind == "contact" && stage == "received";
        let expected = [
            ("kind", Value::from(kind)),
            ("stage", stage.into()),
            ("partner_id", record.partner.clone().into()),
            ("is_quiet", (*is_quiet || is_history).into()),
            ("expires_at", is_waiting.then_some(own_expiry).into()),
            (
                "cool_at",
                (kind == "contact" && record.is_urgent)
                    .then_some(record.created + URGENT_FOR)
                    .into(),
            ),
            (
                "remind_at",
                (is_told && now <= own_expiry - REMIND_BEFORE)
                    .then_some(own_expiry - REMIND_BEFORE)
                    .into(),
            ),
            ("archive_at", (kind == "informational").then(|| archive_at(record.created)).into()),
            (
                "location",
                (record.sort == rules::Sort::Profile)
                    .then(|| record.location.clone())
                    .flatten()
                    .into(),
            ),
        ];
        for (name, expected) in expected {
            if row[name] != expected {
                self.fail(format!("the lead {id} came with {name} {} instead of {expected}", row[name]));
            }
        }
        if is_told {
            self.placed(now, row);
        } else if !row["channel"].is_null() || !row["day_number"].is_null() || !row["digest_id"].is_null() {
            self.fail(format!("the lead {id} is not to be told, and has a channel, a number or a digest"));
        }
        self.records.insert(id, record);
    }

    /// A lead has got its channel, and is held or counted (`R-CHANNEL`).
    fn placed(&mut self, now: i64, row: &Value) {
        let (id, partner) = (text(row, "id").to_owned(), text(row, "partner_id").to_owned());
        let is_routable = self.resolve_lead(row, &BTreeSet::new()).is_routable;
        if text(row, "channel") == "held" {
            if is_routable || !row["day_number"].is_null() {
                self.fail(format!(
                    "the lead {id} is held, though its partner can be reached, or though it is counted"
                ));
            }
            return;
        }
        if !is_routable {
            self.fail(format!("the lead {id} is counted, though nobody can be reached"));
        }
        let day = day_of(self.zone(&partner), now);
        let counted = self.counted.entry((partner.clone(), day.clone())).or_default();
        *counted += 1;
        let n = *counted;
        if text(row, "day") != day || number(row, "day_number") != Some(n) {
            self.fail(format!(
                "the lead {id} is number {} of {} instead of {n} of {day}",
                row["day_number"],
                text(row, "day")
            ));
        }
        let known = self.partners.get(&partner);
        let threshold = known.and_then(|one| one.threshold).unwrap_or(THRESHOLD);
        let urgent_singly = known.and_then(|one| one.urgent_singly).unwrap_or(false);
        let is_urgent = number(row, "cool_at").is_some_and(|at| now < at);
        let channel = if n <= threshold || (urgent_singly && is_urgent) {
            "single"
        } else {
            "digest"
        };
        if text(row, "channel") != channel {
            self.fail(format!(
                "number {n} of {day}, the lead {id}, goes {} instead of {channel}",
                row["channel"]
            ));
        }
        if row["digest_id"].is_null() == (channel == "digest") {
            self.fail(format!("the lead {id} goes {channel} and is in the digest {}", row["digest_id"]));
        }
    }

    fn lead_changed(&mut self, now: i64, op: &Op, old: &Value, new: &Value) {
        let id = text(new, "id").to_owned();
        let moved = |name: &str| old[name] != new[name];
        for name in ["seq", "partner_id", "created_at", "received_at", "kind", "archive_at", "is_quiet"] {
            if moved(name) {
                self.fail(format!("the lead {id} changed its {name}"));
            }
        }
        // The record that raised the version, where one did.
        let mut record = self.records.get(&id).cloned();
        if let Op::TakeIn { records, .. } = op {
            let raised = records
                .iter()
                .find(|one| one.id == id && one.partner == text(new, "partner_id") && number(new, "version") == Some(one.version()));
            record = raised.cloned().or(record);
        }
        if moved("version") {
            if number(new, "version") <= number(old, "version") || !matches!(op, Op::TakeIn { .. }) {
                self.fail(format!("the lead {id} went from version {} to {}", old["version"], new["version"]));
            }
            if let Some(record) = record.clone() {
                self.records.insert(id.clone(), record);
            }
        }
        if moved("stage") {
            self.stage_changed(now, op, old, new, record.as_ref());
        }
        self.instants_changed(now, op, old, new, record.as_ref());
        self.channel_changed(now, op, old, new);
    }

    /// One stage of `R-STAGES` or `R-SYNC` to the next; of an answer and an expiry exactly one wins.
    fn stage_changed(&mut self, now: i64, op: &Op, old: &Value, new: &Value, record: Option<&Record>) {
        let (from, to) = (text(old, "stage").to_owned(), text(new, "stage").to_owned());
        let is_expired = Self::stage_at(old, now) == "expired" && from == "received";
        let is_right = match op {
            Op::Tick => is_expired && to == "expired" && new["stage_since"] == old["expires_at"],
            Op::Answer {
                lead, to: Some(wanted), ..
            } => {
                let may = matches!(
                    (from.as_str(), *wanted),
                    ("received", "accepted" | "declined") | ("accepted", "won" | "lost")
                );
                text(new, "id") == lead && to == *wanted && may && !is_expired
            }
            Op::TakeIn { .. } => {
                record.is_some_and(|record| record.stage == to && may_sync(&from, &to) && !is_expired && record.kind() != "informational")
            }
            _ => false,
        };
        if !is_right {
            self.fail(format!("the lead {} went from {from} to {to} by {op:?}", text(new, "id")));
        }
    }

    fn instants_changed(&mut self, now: i64, op: &Op, old: &Value, new: &Value, record: Option<&Record>) {
        let id = text(new, "id").to_owned();
        let moved = |name: &str| old[name] != new[name];
        let reached = |name: &str| number(new, name).is_some_and(|at| now >= at);
        let is_intake = matches!(op, Op::TakeIn { .. });
        if moved("expires_at") {
            *self.n_moved.entry(id.clone()).or_default() += 1;
            if !is_intake || record.is_none_or(|record| record.expires != number(new, "expires_at")) || !Self::is_open(old, now) {
                self.fail(format!("the expiry of {id} moved to {} by {op:?}", new["expires_at"]));
            }
        }
        if moved("is_cooled") && is(new, "is_cooled") && !reached("cool_at") {
            self.fail(format!("the lead {id} cooled before its 72 hours were over"));
        }
        if moved("is_cooled") && !is(new, "is_cooled") && !is_intake {
            self.fail(format!("the lead {id} is urgent again by {op:?}"));
        }
        if moved("is_expiring") && is(new, "is_expiring") && !reached("remind_at") {
            self.fail(format!("the lead {id} is marked as expiring too early"));
        }
        if moved("is_archived") && (!is(new, "is_archived") || !reached("archive_at")) {
            self.fail(format!("the lead {id} was archived too early, or taken back"));
        }
        if moved("cool_at") && !is_intake {
            self.fail(format!("the urgency of {id} moved by {op:?}"));
        }
        // A claim passes a lead on to the next day's reminder, where the address that stands in had this one without it.
        let is_due = matches!(op, Op::Tick) || (matches!(op, Op::Claim { .. }) && !old["reminder_id"].is_null());
        if moved("reminder_id") && !(is_due && self.remind_by_mail && is(new, "is_expiring")) {
            self.fail(format!("the lead {id} is reminded of by {op:?}"));
        }
        if moved("expiry_id")
            && !(matches!(op, Op::Tick) && !is(new, "is_quiet") && text(new, "stage") == "expired" && old["expiry_id"].is_null())
        {
            self.fail(format!("the expiry of {id} is told by {op:?}"));
        }
        if matches!(op, Op::Tick) && moved("stage") && !is(new, "is_quiet") && new["expiry_id"].is_null() {
            self.fail(format!("the lead {id} expired, and its sender is not told"));
        }
    }

    fn channel_changed(&mut self, now: i64, op: &Op, old: &Value, new: &Value) {
        let id = text(new, "id").to_owned();
        let moved = |name: &str| old[name] != new[name];
        if !moved("channel") && !moved("day_number") && !moved("day") {
            let next = self.row("digest", &new["digest_id"].to_string());
            let waits_again = matches!(op, Op::Claim { .. }) && next.is_some_and(|digest| text(digest, "state") == "collecting");
            let has_left = new["digest_id"].is_null() && text(new, "stage") != "received";
            if moved("digest_id") && !has_left && !waits_again {
                self.fail(format!("the lead {id} went to the digest {} by {op:?}", new["digest_id"]));
            }
            return;
        }
        match (text(old, "channel"), text(new, "channel"), op) {
            ("held", "single" | "digest", Op::Put(_) | Op::Lift(_)) if moved("day_number") || moved("day") => self.placed(now, new),
            // A mail that was kept back goes out after all.
            ("held", "digest", Op::Lift(_)) => {}
            ("digest", "held", Op::Claim { .. }) if new["digest_id"].is_null() => {
                if self.resolve_lead(new, &self.failed_of_digest(old)).is_routable {
                    self.fail(format!("the lead {id} is held anew, though it can be told"));
                }
            }
            ("held", "", _) if text(new, "stage") != "received" => {}
            (from, to, _) => self.fail(format!("the lead {id} went from {from:?} to {to:?} by {op:?}")),
        }
    }

    /// Addresses that a digest has tried in vain.
    fn failed_of_digest(&self, lead: &Value) -> BTreeSet<String> {
        let notice = self
            .table("notice")
            .find(|row| row["digest_id"] == lead["digest_id"] && !row["digest_id"].is_null());
        notice.map(|notice| self.failed_of(notice)).unwrap_or_default()
    }

    fn failed_of(&self, notice: &Value) -> BTreeSet<String> {
        if !is(notice, "is_reopened") {
            return BTreeSet::new();
        }
        let of = self.table("delivery").filter(|row| row["notice_id"] == notice["id"]);
        let failed = of.filter(|row| matches!(text(row, "state"), "failed" | "suppressed"));
        failed.map(|row| text(row, "address").to_owned()).collect()
    }

    // Digests.

    fn digest_opened(&mut self, now: i64, row: &Value) {
        let partner = text(row, "partner_id").to_owned();
        let due = next_fire(&self.cron(&partner), self.zone(&partner), now);
        if number(row, "due_at") != Some(due) || text(row, "state") != "collecting" {
            let found = number(row, "due_at").map(shown);
            self.fail(format!("the digest {} is due at {found:?} instead of {}", row["id"], shown(due)));
        }
        if self
            .table("digest")
            .any(|one| text(one, "partner_id") == partner && text(one, "state") == "collecting")
        {
            self.fail(format!("{partner} collects two digests"));
        }
    }

    fn digest_changed(&mut self, now: i64, op: &Op, old: &Value, new: &Value) {
        let id = new["id"].clone();
        if text(old, "state") == "closed" {
            return self.fail(format!("the digest {id} was closed and is closed again by {op:?}"));
        }
        if text(new, "state") == "collecting" {
            let partner = text(new, "partner_id");
            let due = next_fire(&self.cron(partner), self.zone(partner), now);
            if !matches!(op, Op::Put(_)) || number(new, "due_at") != Some(due) || number(old, "due_at") <= Some(now) {
                self.fail(format!("the digest {id} moved to {:?} by {op:?}", number(new, "due_at").map(shown)));
            }
            return;
        }
        let is_right = match op {
            Op::Fire => number(old, "due_at").is_some_and(|at| now >= at) && text(new, "closed_by") == "fire",
            Op::Run { is_dry: false } => text(new, "closed_by") == "manual",
            _ => false,
        };
        let open = self
            .table("lead")
            .filter(|lead| lead["digest_id"] == id && Self::is_open(lead, now))
            .count();
        if !is_right || number(new, "n_leads") != Some(open as i64) {
            self.fail(format!("the digest {id} closed with {} of {open} leads by {op:?}", new["n_leads"]));
        }
    }

    // Notices.

    fn notice_came(&mut self, now: i64, op: &Op, row: &Value) {
        let (kind, subject, partner) = (
            text(row, "kind").to_owned(),
            text(row, "subject").to_owned(),
            text(row, "partner_id").to_owned(),
        );
        let due = number(row, "due_at").unwrap_or_default();
        let lead = self.row("lead", text(row, "lead_id"));
        let is_right = match (kind.as_str(), op) {
            ("lead", Op::TakeIn { .. } | Op::Put(_) | Op::Lift(_)) => {
                due == now && lead.is_some_and(|lead| text(lead, "channel") == "single" && Self::is_open(lead, now))
            }
            (
                "decline",
                Op::Answer {
                    lead,
                    to: Some("declined"),
                    notify: true,
                },
            ) => {
                *lead == subject
                    && due == now
                    && self
                        .records
                        .get(lead)
                        .is_some_and(|record| !record.customer.is_disabled && record.kind() == "contact")
            }
            ("digest", Op::Fire | Op::Run { is_dry: false }) => self
                .row("digest", &subject)
                .is_some_and(|digest| text(digest, "state") == "closed" && number(digest, "n_leads") > Some(0)),
            ("reminder", Op::Tick | Op::Claim { .. }) => due > now && due <= next_midnight(self.zone(&partner), now + 2 * DAY),
            ("expiry", Op::Tick) => due > now && due % HOUR == 0 && due <= now + 3 * HOUR,
            _ => false,
        };
        if !is_right {
            self.fail(format!("a notice {kind} about {subject:?}, due {}, came by {op:?}", shown(due)));
        }
    }

    fn notice_changed(&mut self, op: &Op, old: &Value, new: &Value) {
        let (from, to) = (text(old, "state"), text(new, "state"));
        let is_right = match (from, to) {
            (from, to) if from == to => true,
            ("pending", "done" | "parked" | "undeliverable") => matches!(op, Op::Claim { .. }),
            ("pending" | "parked", "cancelled") => matches!(op, Op::Answer { .. } | Op::Tick | Op::TakeIn { .. }),
            ("parked", "pending") => matches!(op, Op::Put(_) | Op::Lift(_)),
            // Its address failed for good, or was suppressed before it was sent.
            ("done" | "undeliverable", "pending") => {
                is(new, "is_reopened") && matches!(op, Op::Record { .. } | Op::Suppress(_) | Op::Claim { .. })
            }
            ("undeliverable", "done") => matches!(op, Op::Lift(_) | Op::ByHand { is_retry: true, .. }),
            _ => false,
        };
        if !is_right {
            self.fail(format!("the notice {} went from {from} to {to} by {op:?}", new["id"]));
        }
    }

    /// A claim has resolved a notice: to exactly whom the rules say, with exactly the leads that they say.
    fn notice_claimed(&mut self, now: i64, id: i64, changes: &[Change]) {
        let Some(notice) = self.row("notice", &id.to_string()).cloned() else {
            return;
        };
        let kind = text(&notice, "kind").to_owned();
        let mut had: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in self.table("delivery").filter(|row| number(row, "notice_id") == Some(id)) {
            let is_new = changes.iter().any(|change| {
                change.table == "delivery" && change.old.is_none() && change.new.as_ref().is_some_and(|new| new["id"] == row["id"])
            });
            let of = if is_new { &mut made } else { &mut had };
            of.insert(text(row, "address").to_owned(), leads_of(row));
        }
        let failed = self.failed_of(&notice);
        let leads: Vec<Value> = match kind.as_str() {
            // It was in the digest when this claim began, though it may be held anew now; and in the reminder.
            "digest" | "reminder" => {
                let is_in = |lead: &Value| match kind.as_str() {
                    "digest" => !lead["digest_id"].is_null() && lead["digest_id"] == notice["digest_id"],
                    _ => number(lead, "reminder_id") == Some(id),
                };
                let was = changes
                    .iter()
                    .filter(|change| change.table == "lead")
                    .filter_map(|change| change.old.as_ref());
                let mut leads: Vec<Value> = self.table("lead").chain(was).filter(|lead| is_in(lead)).cloned().collect();
                leads.sort_by_key(|lead| number(lead, "seq"));
                leads.dedup_by_key(|lead| number(lead, "seq"));
                leads
            }
            "expiry" => self
                .table("lead")
                .filter(|lead| number(lead, "expiry_id") == Some(id))
                .cloned()
                .collect(),
            _ => self.row("lead", text(&notice, "lead_id")).cloned().into_iter().collect(),
        };
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut is_reached = false;
        match kind.as_str() {
            "lead" | "digest" | "reminder" => {
                for lead in leads.iter().filter(|lead| Self::is_news(&kind, lead, now)) {
                    let told = self.resolve_lead(lead, &failed);
                    is_reached |= told.is_routable;
                    if told.is_routable && told.told.is_empty() {
                        self.unheard.insert(text(lead, "id").to_owned());
                    }
                    for address in told.told {
                        wanted.entry(address).or_default().insert(text(lead, "id").to_owned());
                    }
                }
                is_reached |= !leads.iter().any(|lead| Self::is_news(&kind, lead, now));
            }
            "expiry" => {
                let told = self.resolve(text(&notice, "partner_id"), None, &failed);
                let all: BTreeSet<String> = leads.iter().map(|lead| text(lead, "id").to_owned()).collect();
                is_reached = told.is_routable;
                wanted.extend(told.told.into_iter().map(|address| (address, all.clone())));
                if !is_reached && !failed.contains(DESK) && !self.suppressed().contains(DESK) {
                    is_reached = true;
                    wanted.insert(DESK.to_owned(), all);
                }
            }
            _ => {
                is_reached = true;
                let customer = self
                    .records
                    .get(text(&notice, "lead_id"))
                    .map(|record| record.customer.email.clone());
                let customer = customer.filter(|email| !email.is_empty() && !failed.contains(email) && !self.suppressed().contains(email));
                wanted.extend(customer.map(|email| (email, BTreeSet::from([text(&notice, "lead_id").to_owned()]))));
            }
        }
        let state = text(&notice, "state").to_owned();
        if is_reached != (state == "done") && !had.iter().any(|(address, _)| !failed.contains(address)) {
            self.fail(format!(
                "the notice {id} ({kind}) is {state}; somebody can be reached: {is_reached}"
            ));
        }
        let new: BTreeMap<_, _> = wanted.iter().filter(|(address, _)| !had.contains_key(*address)).collect();
        if new != made.iter().collect() {
            self.fail(format!("the notice {id} ({kind}) goes to {made:?} instead of {new:?}"));
        }
        if kind == "digest" || kind == "reminder" {
            self.nobody_left_out(&notice, &leads, &wanted, &had);
        }
    }

    /// A digest or reminder that is resolved again gives no address a second mail: a lead that only such addresses would hear of waits for the next one.
    fn nobody_left_out(&mut self, notice: &Value, leads: &[Value], wanted: &Leads, had: &Leads) {
        for lead in leads {
            let id = text(lead, "id");
            let mut told = wanted.iter().filter(|(_, leads)| leads.contains(id)).peekable();
            if told.peek().is_none() || told.any(|(address, _)| had.get(address).is_none_or(|leads| leads.contains(id))) {
                continue;
            }
            let row = self.row("lead", id);
            let waits = row.is_some_and(|row| {
                let of = |table: &str, column: &str, state: &str| {
                    self.row(table, &row[column].to_string())
                        .is_some_and(|row| text(row, "state") == state)
                };
                if text(notice, "kind") == "digest" {
                    of("digest", "digest_id", "collecting")
                } else {
                    of("notice", "reminder_id", "pending")
                }
            });
            if !waits {
                self.fail(format!(
                    "the notice {} goes to addresses that had their mail of it, and leaves out {id}",
                    notice["id"]
                ));
            }
        }
    }

    // Deliveries.

    fn delivery_came(&mut self, op: &Op, row: &Value) {
        let is_right = matches!(op, Op::Claim { epoch } if number(row, "owner") == Some(*epoch)) && text(row, "state") == "sending";
        if !is_right {
            self.fail(format!("the delivery {} came as {} by {op:?}", row["id"], text(row, "state")));
        }
    }

    /// No mail to an address that is suppressed, opted out or silenced when it is taken up.
    fn may_be_sent(&mut self, row: &Value) {
        let (address, partner) = (text(row, "address").to_owned(), text(row, "partner_id").to_owned());
        if self.suppressed().contains(&address) {
            self.fail(format!("the delivery {} is taken up for {address}, which is suppressed", row["id"]));
        }
        let is_silent =
            self.opted_out(&partner).contains(&address) || self.partners.get(&partner).is_some_and(|one| one.silences(&address));
        if text(row, "kind") != "decline" && is_silent {
            self.fail(format!("the delivery {} is taken up for {address}, which wants none", row["id"]));
        }
    }

    fn delivery_changed(&mut self, now: i64, op: &Op, old: &Value, new: &Value) {
        let id = number(new, "id").unwrap_or_default();
        for name in ["notice_id", "kind", "partner_id", "lead_id", "leads", "address", "created_at"] {
            if old[name] != new[name] {
                self.fail(format!("the delivery {id} changed its {name}"));
            }
        }
        let (from, to) = (text(old, "state"), text(new, "state"));
        let came = match op {
            Op::Record { results, .. } => results.get(&id).copied(),
            _ => None,
        };
        let is_right = match (from, to, op) {
            ("queued", "sending", Op::Claim { epoch }) => {
                number(new, "owner") == Some(*epoch) && number(old, "due_at").is_some_and(|at| at <= now)
            }
            // A claim sorts out what became unwanted while it waited.
            ("queued" | "sending", "cancelled" | "suppressed", Op::Claim { .. }) => true,
            ("queued", "suppressed", Op::Suppress(_) | Op::Record { .. }) => self.suppressed().contains(text(new, "address")),
            ("queued" | "in_doubt", "cancelled", Op::Answer { .. } | Op::Tick | Op::TakeIn { .. }) => {
                let lead = self.row("lead", text(new, "lead_id"));
                text(new, "kind") == "lead" && lead.is_some()
            }
            ("queued" | "in_doubt" | "suppressed", "cancelled", Op::ByHand { delivery, is_retry: false }) => *delivery == id,
            ("queued" | "in_doubt" | "failed", "queued", Op::ByHand { delivery, is_retry: true }) => *delivery == id,
            ("sending", _, Op::Record { epoch, .. }) => {
                number(old, "owner") == Some(*epoch) && came.is_some_and(|came| self.follows(now, came, old, new))
            }
            ("sending", "queued", Op::GiveBack { epoch }) => number(old, "owner") == Some(*epoch) && old["attempt"] == new["attempt"],
            ("sending", "queued", Op::Recover) => self.is_dead(now, old) && (self.is_hold || is(new, "is_repeat")),
            ("sending", "in_doubt", Op::Recover) => self.is_dead(now, old) && self.is_hold,
            ("in_doubt", "queued", Op::Recover) => {
                !self.is_hold
                    && is(new, "is_repeat")
                    && is(new, "is_resent")
                    && !is(old, "is_resent")
                    && number(old, "due_at").is_some_and(|at| at <= now)
            }
            ("suppressed" | "failed", "queued", Op::Lift(address)) => text(new, "address") == address,
            ("sending", "sending", Op::Lease) => true,
            _ => false,
        };
        if !is_right {
            self.fail(format!("the delivery {id} went from {from} to {to} by {op:?} ({came:?})"));
        }
    }

    /// Whether the lease of a delivery's worker is over.
    fn is_dead(&self, now: i64, row: &Value) -> bool {
        let worker = self.row("worker", &row["owner"].to_string());
        worker
            .and_then(|worker| number(worker, "alive_until"))
            .is_some_and(|until| until < now)
    }

    /// What each answer of the relay makes of a delivery.
    fn follows(&mut self, now: i64, came: Came, old: &Value, new: &Value) -> bool {
        let to = text(new, "state");
        let attempts = number(new, "attempt").unwrap_or_default() - number(old, "attempt").unwrap_or_default();
        let wait = number(new, "due_at").unwrap_or_default() - now;
        match came {
            Came::Accepted => to == "sent" && attempts == 1,
            Came::Later => {
                let is_over = now - number(old, "first_due_at").unwrap_or_default() >= 2 * DAY;
                let base = (rules::MINUTE << number(old, "attempt").unwrap_or_default().min(10)).min(HOUR);
                let is_in_bounds = wait * 10 >= base * 8 - 10 && wait * 10 <= base * 12 + 10;
                attempts == 1 && if is_over { to == "failed" } else { to == "queued" && is_in_bounds }
            }
            Came::RelayFault => to == "queued" && attempts == 0,
            Came::DeadAddress | Came::BareRefusal | Came::Refused | Came::BadMessage => to == "failed" && attempts == 1,
            Came::ReplyLost => to == "in_doubt" && attempts == 1,
            Came::NothingLeft => to == "cancelled" && attempts == 0,
            Came::Released => to == "queued" && attempts == 0,
        }
    }

    fn suppressed_now(&mut self, now: i64, op: &Op, address: &str) {
        let is_right = match op {
            Op::Suppress(wanted) => wanted == address,
            Op::Record { results, .. } => results.iter().any(|(id, came)| {
                let is_its = self
                    .row("delivery", &id.to_string())
                    .is_some_and(|row| text(row, "address") == address);
                let is_old = self.bare_since.get(address).is_some_and(|since| now - since >= DAY);
                is_its && (*came == Came::DeadAddress || (*came == Came::BareRefusal && is_old))
            }),
            _ => false,
        };
        if !is_right {
            self.fail(format!("{address} was suppressed by {op:?}"));
        }
    }

    /// Notes a bare refusal that is recorded: the second one, a day later, suppresses.
    pub fn note_bare(&mut self, now: i64, address: &str) {
        self.bare_since.entry(address.to_owned()).or_insert(now);
    }

    // Items.

    fn item_changed(&mut self, old: &Value, new: &Value) {
        let subject = text(new, "subject").to_owned();
        let shown = ["title", "due_at", "category", "urgency", "is_expiring", "state", "is_archived"];
        let is_changed = shown.iter().any(|name| old[*name] != new[*name]);
        let (from, to) = (number(old, "version"), number(new, "version"));
        if to < from || (is_changed && to == from) {
            self.fail(format!("the item of {subject} changed from version {from:?} to {to:?}"));
        }
        if is(old, "is_archived") && !is(new, "is_archived") {
            self.fail(format!("the item of {subject} was archived, and came back"));
        }
    }

    /// The item of each lead that changed says what the lead is.
    fn items_fit(&mut self, now: i64, changes: &[Change]) {
        let leads: BTreeSet<String> = changes
            .iter()
            .filter(|change| change.table == "lead")
            .filter_map(|change| Some(text(change.new.as_ref()?, "id").to_owned()))
            .collect();
        for id in leads {
            let Some(lead) = self.row("lead", &id).cloned() else { continue };
            if text(&lead, "kind") != "contact" {
                if self.item_of(&id).is_some() {
                    self.fail(format!("the lead {id} is {} and has an item", text(&lead, "kind")));
                }
                continue;
            }
            let Some(item) = self.item_of(&id).cloned() else {
                if Self::is_open(&lead, now) {
                    self.fail(format!("the lead {id} is open and has no item"));
                }
                continue;
            };
            if text(&lead, "stage") != Self::stage_at(&lead, now) {
                // It has just expired: the clock settles its item as it writes that down.
                continue;
            }
            let state = match Self::stage_at(&lead, now) {
                "received" => "open",
                "expired" => "withdrawn",
                _ => "done",
            };
            if text(&item, "state") != state {
                self.fail(format!("the item of {id} is {} instead of {state}", text(&item, "state")));
            }
            let is_said_now = changes
                .iter()
                .any(|change| change.table == "item" && change.new.as_ref().is_some_and(|new| new["seq"] == item["seq"]));
            // Else it is the clock's business, which comes round.
            let is_open = Self::is_open(&lead, now) && is_said_now;
            if is_open && is(&item, "is_expiring") != is(&lead, "is_expiring") && is(&lead, "is_expiring") {
                self.fail(format!("the item of {id} does not say that it expires soon"));
            }
            let urgency = number(&lead, "cool_at").map(|at| if now >= at || is(&lead, "is_cooled") { "cooled" } else { "urgent" });
            if is_open && item["urgency"].as_str() != urgency {
                self.fail(format!("the item of {id} says {} instead of {urgency:?}", item["urgency"]));
            }
        }
    }

    fn item_of(&self, lead: &str) -> Option<&Value> {
        self.table("item").find(|item| text(item, "subject") == format!("lead {lead}"))
    }

    // Instants, after time was written down.

    /// After the clock has come round, everything that is due at `now` is written down: the boundaries are inclusive.
    pub fn all_ticked(&mut self, now: i64) {
        let mut late = Vec::new();
        for lead in self.table("lead") {
            let reached = |name: &str| number(lead, name).is_some_and(|at| now >= at);
            let is_waiting = text(lead, "stage") == "received";
            if is_waiting && reached("expires_at") {
                late.push(format!("the lead {} has not expired", text(lead, "id")));
            } else if is_waiting && reached("cool_at") && !is(lead, "is_cooled") {
                late.push(format!("the lead {} has not cooled", text(lead, "id")));
            } else if is_waiting && reached("remind_at") && !is(lead, "is_expiring") {
                late.push(format!("the lead {} is not marked as expiring", text(lead, "id")));
            }
            if reached("archive_at") && !is(lead, "is_archived") {
                late.push(format!("the lead {} is not archived", text(lead, "id")));
            }
        }
        self.broken.extend(late);
    }

    /// After the digests were fired, none is due.
    pub fn all_fired(&mut self, now: i64) {
        let due = self
            .table("digest")
            .find(|row| text(row, "state") == "collecting" && number(row, "due_at").is_some_and(|at| now >= at));
        if let Some(id) = due.map(|row| row["id"].clone()) {
            self.fail(format!("the digest {id} is due and open"));
        }
    }

    // Mails.

    /// The relay has, or may have, taken a mail: once, or again with a doubt on record and the same Message-ID.
    pub fn arrived(&mut self, delivery: i64, kind: &str, address: &str, message_id: &str, leads: &[String], is_forward: bool) {
        let n = self.arrived.entry(delivery).or_default();
        *n += 1;
        if *n > 1 {
            self.n_repeats += 1;
            let is_noted = self.row("delivery", &delivery.to_string()).is_some_and(|row| is(row, "is_repeat"));
            if !is_noted {
                self.fail(format!("the delivery {delivery} arrived a second time, and no doubt was on record"));
            }
        }
        if is_forward {
            return;
        }
        for lead in leads {
            let key = (lead.clone(), address.to_owned());
            let mails = self.mailed.entry(key).or_default();
            mails.insert((kind.to_owned(), message_id.to_owned()));
            let n_news = mails.iter().filter(|(kind, _)| kind == "lead" || kind == "digest").count();
            let n_same = mails.iter().filter(|(other, _)| other == kind).count();
            let n_max = 1 + if kind == "reminder" {
                self.n_moved.get(lead).copied().unwrap_or_default()
            } else {
                0
            };
            if n_news > 1 || n_same > n_max {
                let told = format!("{address} is told of {lead} by two mails: {mails:?}");
                self.fail(told);
            }
            let kind_of_lead = self.row("lead", lead).map(|lead| text(lead, "kind").to_owned()).unwrap_or_default();
            if kind_of_lead != "contact" {
                self.fail(format!("{address} is told of {lead}, which is {kind_of_lead}"));
            }
        }
    }

    /// A claim hands a letter to its worker: its leads are open, and are those of its delivery.
    pub fn letter_fits(&mut self, now: i64, delivery: i64, leads: &[String]) {
        let Some(row) = self.row("delivery", &delivery.to_string()).cloned() else {
            return self.fail(format!("the letter {delivery} has no delivery"));
        };
        let own = leads_of(&row);
        for id in leads {
            let Some(lead) = self.row("lead", id) else { continue };
            let is_wanted = match text(&row, "kind") {
                "expiry" => text(lead, "stage") == "expired",
                "decline" => text(lead, "stage") == "declined",
                kind => Self::is_news(kind, lead, now) && !is(lead, "is_quiet"),
            };
            if !is_wanted || !own.contains(id) {
                self.fail(format!(
                    "the letter {delivery} ({}) names {id}, which is {}",
                    text(&row, "kind"),
                    Self::stage_at(lead, now)
                ));
            }
        }
    }

    fn is_mailed(&self, lead: &str, kinds: &[&str]) -> bool {
        let mut of = self.mailed.iter().filter(|((id, _), _)| id == lead);
        of.any(|(_, mails)| mails.iter().any(|(kind, _)| kinds.contains(&kind.as_str())))
    }

    // The end.

    /// All is quiet, and nothing is broken: every lead that waits for an answer was mailed, waits for an address, or has an excuse.
    pub fn conserved(&mut self, now: i64) {
        let mut lost = Vec::new();
        for row in self.table("delivery") {
            let is_due = number(row, "due_at").is_some_and(|at| at <= now);
            if text(row, "state") == "sending" || (text(row, "state") == "queued" && is_due) {
                lost.push(format!("the delivery {} is {} when all is quiet", row["id"], text(row, "state")));
            }
        }
        for row in self.table("notice") {
            let is_due = number(row, "due_at").is_some_and(|at| at <= now);
            if text(row, "state") == "pending" && is_due {
                lost.push(format!("the notice {} is pending when all is quiet", row["id"]));
            }
            let partner = text(row, "partner_id");
            if text(row, "state") == "parked" && text(row, "kind") != "expiry" {
                let lead = self.row("lead", text(row, "lead_id"));
                let location = lead.and_then(|lead| lead["location"].as_str());
                if text(row, "kind") == "lead" && self.resolve(partner, location, &BTreeSet::new()).is_routable {
                    lost.push(format!("the notice {} is parked, and its partner can be reached", row["id"]));
                }
            }
        }
        for lead in self.table("lead").filter(|lead| Self::is_open(lead, now) && !is(lead, "is_quiet")) {
            let id = text(lead, "id");
            if let Err(why) = self.excuse(lead, now)
                && !self.is_mailed(id, &["lead", "digest"])
            {
                lost.push(format!("nobody was mailed of {id}, and nothing excuses that: {why}"));
            }
        }
        self.broken.extend(lost);
    }

    /// Why nobody was mailed of an open lead.
    fn excuse(&self, lead: &Value, now: i64) -> Result<&'static str, String> {
        let id = text(lead, "id");
        if self.unheard.contains(id) {
            return Ok("all of its addresses are silenced");
        }
        let is_routable = self.resolve_lead(lead, &BTreeSet::new()).is_routable;
        match text(lead, "channel") {
            "held" if !is_routable => return Ok("nobody can be reached"),
            "held" => return Err("it is held, and its partner can be reached".to_owned()),
            _ => {}
        }
        let digest = self.row("digest", &lead["digest_id"].to_string());
        if digest.is_some_and(|digest| text(digest, "state") == "collecting" && number(digest, "due_at") > Some(now)) {
            return Ok("it waits for its digest");
        }
        let notice = self.table("notice").find(|notice| match text(lead, "channel") {
            "single" => text(notice, "kind") == "lead" && text(notice, "subject") == id,
            _ => !lead["digest_id"].is_null() && notice["digest_id"] == lead["digest_id"],
        });
        let Some(notice) = notice else {
            return Err("it has no notice".to_owned());
        };
        if text(notice, "state") == "parked" {
            return Ok("its notice is parked");
        }
        let tried: Vec<&str> = self
            .table("delivery")
            .filter(|row| row["notice_id"] == notice["id"] && leads_of(row).contains(id))
            .map(|row| text(row, "state"))
            .collect();
        if tried
            .iter()
            .any(|state| matches!(*state, "failed" | "cancelled" | "suppressed" | "in_doubt" | "queued"))
        {
            return Ok("its mails came to nothing");
        }
        Err(format!("its notice is {}, its mails are {tried:?}", text(notice, "state")))
    }

    /// Half a year later: every lead is closed, and whoever sent one that expired has heard of it.
    pub fn finished(&mut self, now: i64) {
        let mut lost = Vec::new();
        for lead in self.table("lead") {
            let id = text(lead, "id");
            if Self::is_open(lead, now) || (text(lead, "kind") == "contact" && text(lead, "stage") == "received") {
                lost.push(format!("the lead {id} is still open"));
            }
            if !lead["expiry_id"].is_null() && !self.is_mailed(id, &["expiry"]) {
                let notice = self.row("notice", &lead["expiry_id"].to_string());
                let state = notice.map(|notice| text(notice, "state")).unwrap_or_default();
                let of = self.table("delivery").filter(|row| row["notice_id"] == lead["expiry_id"]);
                let tried: Vec<&str> = of.map(|row| text(row, "state")).collect();
                let is_silenced = state == "done" && tried.is_empty();
                let is_in_vain = !tried.is_empty() && tried.iter().all(|state| !matches!(*state, "sent" | "queued" | "sending"));
                if !matches!(state, "parked" | "undeliverable") && !is_silenced && !is_in_vain {
                    lost.push(format!(
                        "the lead {id} expired, and nobody heard of it: its notice is {state}, its mails are {tried:?}"
                    ));
                }
            }
        }
        for row in self.table("digest").filter(|row| text(row, "state") != "closed") {
            lost.push(format!("the digest {} is still open", row["id"]));
        }
        self.broken.extend(lost);
    }
}

/// The leads that a delivery is about.
fn leads_of(row: &Value) -> BTreeSet<String> {
    let gathered: Vec<String> = serde_json::from_str(text(row, "leads")).unwrap_or_default();
    let own = row["lead_id"].as_str().map(str::to_owned);
    gathered.into_iter().chain(own).collect()
}
