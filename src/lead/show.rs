//! The referral resource as it is at an instant: stage applied, contact data hidden where `R-EXPIRY` says so, unknown fields kept.

use serde_json::{Map, Value, json};

use crate::fields::OneOf;
use crate::lead::kind::Kind;
use crate::lead::model::Lead;
use crate::lead::stage::Stage;
use crate::lead::validity::is_likely_spam;
use crate::partner::record::Mailbox;
use crate::time::Timestamp;

/// What stands where a name is hidden.
pub(super) const HIDDEN: &str = "(hidden)";

impl Lead {
    /// Returns the lead as `leads show --json` and the API answer it at `now`.
    pub fn show(&self, now: Timestamp) -> Value {
        let (mut json, answer) = self.said_with_answer();
        let stage = self.stage_at(now);
        // An informational lead has no stage (`R-STAGES`); what its record says is the portal's.
        if self.kind != Kind::Informational {
            let (status, substatus) = stage.wire();
            json.insert("status".into(), status.into());
            json.insert("substatus".into(), substatus.into());
        }
        if let Some(expires_at) = self.expires_at {
            json.insert("expirationDateTime".into(), expires_at.to_string().into());
        }
        if self.is_contact_hidden_at(now) {
            hide_contact(&mut json);
        }
        let own = self.own_fields(now, stage, &answer, is_likely_spam(&json));
        json.insert("posthorn".into(), own);
        Value::Object(json)
    }

    /// Returns the record with what the partner and posthorn found to say laid over it, whatever the instant.
    pub(super) fn said(&self) -> Map<String, Value> {
        self.said_with_answer().0
    }

    fn said_with_answer(&self) -> (Map<String, Value>, Map<String, Value>) {
        let mut json = self.record_json();
        let answer: Map<String, Value> = self
            .answer
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        apply_answer(&mut json, &answer);
        // `R-VERIFY`: what the record says counts before what posthorn found out.
        let validities = [
            ("emailValidity", self.email_validity.map(OneOf::as_str)),
            ("phoneValidity", self.phone_validity.map(OneOf::as_str)),
        ];
        for (key, found) in validities {
            if let Some(found) = found
                && json.get(key).is_none_or(Value::is_null)
            {
                json.insert(key.to_owned(), found.into());
            }
        }
        (json, answer)
    }

    /// What posthorn adds to the resource.
    fn own_fields(&self, now: Timestamp, stage: Stage, answer: &Map<String, Value>, is_likely_spam: bool) -> Value {
        let mut own = json!({
            "kind": self.kind.as_str(),
            "isTest": self.kind == Kind::Test,
            "stageSince": (self.kind != Kind::Informational).then(|| self.stage_since_at(now)),
            "urgency": self.urgency_at(now).map(|u| u.as_str()),
            "expiring": self.is_expiring_at(now),
            "archived": self.is_archived_at(now),
            "channel": self.channel.map(|c| c.as_str()),
            "day": self.day.map(|d| d.to_string()),
            "dayNumber": self.day_number,
            "digestId": self.digest_id,
            "quiet": self.is_quiet,
            "favourite": self.is_favourite,
            "likelySpam": is_likely_spam,
            "receivedDateTime": self.received_at,
            "contactHidden": self.is_contact_hidden_at(now),
            "erasedDateTime": self.erased_at,
        });
        let said: Map<String, Value> = answer.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        if stage != Stage::Received && !said.is_empty() {
            own["answer"] = Value::Object(said);
        }
        own
    }

    /// Returns the customer's name as it may be shown at `now`: a name that is a person's is contact data (`R-EXPIRY`).
    pub fn shown_customer(&self, now: Timestamp) -> String {
        if self.is_contact_hidden_at(now) && people(&self.record_json()).any(|name| is_same_name(&name, &self.customer)) {
            return HIDDEN.to_owned();
        }
        self.customer.clone()
    }
}

/// Returns the first contact of a record whose address mail can be sent to (`R-DECLINE`).
pub fn first_usable_contact(record: &Map<String, Value>) -> Option<Mailbox> {
    usable_contacts(record).next()
}

/// Returns the contacts of a record whose addresses mail can be sent to, in their order.
pub fn usable_contacts(record: &Map<String, Value>) -> impl Iterator<Item = Mailbox> + '_ {
    let team = record.get("customerProfile").and_then(|p| p.get("team")).and_then(Value::as_array);
    team.into_iter().flatten().filter_map(|person| {
        let email = person.get("email").and_then(Value::as_str)?.parse().ok()?;
        let preference = person.get("contactPreference");
        Some(Mailbox {
            name: full_name(person),
            email,
            locale: preference.and_then(|p| p.get("locale")).and_then(Value::as_str).map(str::to_owned),
            disable_notifications: preference
                .and_then(|p| p.get("disableNotifications"))
                .and_then(Value::as_bool)
                .unwrap_or(false),
        })
    })
}

pub(super) fn people(record: &Map<String, Value>) -> impl Iterator<Item = String> + '_ {
    let team = record.get("customerProfile").and_then(|p| p.get("team")).and_then(Value::as_array);
    team.into_iter().flatten().filter_map(full_name)
}

/// Returns what stands at a pointer (RFC 6901) in a record.
pub(super) fn pointer<'a>(record: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let mut keys = pointer.strip_prefix('/')?.split('/');
    let first = record.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

fn full_name(person: &Value) -> Option<String> {
    let part = |key: &str| person.get(key).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let name = format!("{} {}", part("firstName"), part("lastName")).trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// Compares names as a reader does, whatever their case and the spaces in them.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    let words = |name: &str| name.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    words(one) == words(other)
}

/// Lays what the partner said over the record, and takes out of it what he took away (`R-ACCEPT`).
fn apply_answer(json: &mut Map<String, Value>, answer: &Map<String, Value>) {
    for (said, shown) in [
        ("dealName", "name"),
        ("acceptedDateTime", "acceptedDateTime"),
        ("reason", "statusReason"),
    ] {
        lay_over(json, shown, answer.get(said));
    }
    let details = ["dealValue", "currency", "closingDateTime"];
    if details.iter().any(|key| answer.contains_key(*key)) {
        let target = json.entry("details").or_insert_with(|| Value::Object(Map::new()));
        if let Some(target) = target.as_object_mut() {
            for key in details {
                lay_over(target, key, answer.get(key));
            }
        }
    }
}

fn lay_over(json: &mut Map<String, Value>, key: &str, said: Option<&Value>) {
    match said {
        Some(Value::Null) => {
            json.shift_remove(key);
        }
        Some(value) => {
            json.insert(key.to_owned(), value.clone());
        }
        None => {}
    }
}

/// Takes the people, e-mail, phone and street of the customer out of a record (`R-EXPIRY`).
pub fn hide_contact(json: &mut Map<String, Value>) {
    let names: Vec<String> = people(json).collect();
    for key in ["UserDetails", "userDetails"] {
        json.remove(key);
    }
    let Some(profile) = json.get_mut("customerProfile").and_then(Value::as_object_mut) else {
        return;
    };
    if profile.contains_key("team") {
        profile.insert("team".into(), Value::Array(Vec::new()));
    }
    if let Some(address) = profile.get_mut("address").and_then(Value::as_object_mut) {
        address.retain(|key, _| !key.to_ascii_lowercase().starts_with("addressline"));
    }
    let is_person = profile
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|name| names.iter().any(|n| is_same_name(n, name)));
    if is_person {
        profile.insert("name".into(), HIDDEN.into());
    }
}
