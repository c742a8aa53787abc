//! What stays of a lead whose personal data is erased (`R-ERASE`): a tombstone that counts, and names nobody.

use serde_json::{Map, Value, json};

use crate::lead::model::Lead;
use crate::lead::stage::Stage;
use crate::time::Timestamp;

/// What stands where something was erased.
pub const ERASED: &str = "(erased)";

/// Fields of a record that stay. A list of what goes would miss the fields that nobody here knows.
const KEPT: &[&str] = &[
    "id",
    "organizationId",
    "organizationName",
    "direction",
    "createdDateTime",
    "updatedDateTime",
    "expirationDateTime",
    "acceptedDateTime",
    "status",
    "substatus",
    "qualification",
    "type",
    "referralSource",
    "callToAction",
    "quality",
    "emailValidity",
    "phoneValidity",
];
const KEPT_OF_DETAILS: &[&str] = &["dealValue", "currency", "closingDateTime"];
const KEPT_OF_ANSWER: &[&str] = &["dealValue", "currency", "closingDateTime", "acceptedDateTime"];
const KEPT_OF_CONSENT: &[&str] = &["consentToContact", "consentToShareInfoWithOthers"];

impl Lead {
    /// Erases the personal data of this row at `now`. It stays in the stage that it has then, and time moves it no more.
    pub fn erase(&mut self, now: Timestamp) {
        if self.stage == Stage::Received {
            self.cool_until(self.expires_at.map_or(now, |expires_at| now.min(expires_at)));
        }
        self.is_archived = self.is_archived_at(now);
        (self.stage, self.stage_since) = (self.stage_at(now), self.stage_since_at(now));
        self.record = Value::Object(erased_record(&self.record_json())).to_string();
        let answer = self.answer.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        self.answer = answer.map(|answer| Value::Object(pick(Some(&answer), KEPT_OF_ANSWER)).to_string());
        ERASED.clone_into(&mut self.customer);
        self.deal = None;
        self.verify_at = None;
        self.erased_at = Some(now);
    }
}

/// Returns what stays of a record.
pub fn erased_record(record: &Map<String, Value>) -> Map<String, Value> {
    let whole = Value::Object(record.clone());
    let mut kept = pick(Some(&whole), KEPT);
    let mut profile = Map::from_iter([("name".to_owned(), Value::from(ERASED))]);
    put(
        &mut profile,
        "address",
        pick(whole.pointer("/customerProfile/address"), &["country"]),
    );
    put(&mut kept, "customerProfile", profile);
    put(&mut kept, "consent", pick(record.get("consent"), KEPT_OF_CONSENT));
    put(&mut kept, "details", pick(record.get("details"), KEPT_OF_DETAILS));
    let targets = record.get("target").and_then(Value::as_array);
    let targets: Vec<Value> = targets
        .into_iter()
        .flatten()
        .map(|target| Value::Object(pick(Some(target), &["type", "id"])))
        .collect();
    if !targets.is_empty() {
        kept.insert("target".to_owned(), targets.into());
    }
    let sender = pick(whole.pointer("/inviteContext/invitedBy"), &["organizationId", "organizationName"]);
    if !sender.is_empty() {
        kept.insert("inviteContext".to_owned(), json!({ "invitedBy": sender }));
    }
    kept
}

fn put(target: &mut Map<String, Value>, key: &str, value: Map<String, Value>) {
    if !value.is_empty() {
        target.insert(key.to_owned(), Value::Object(value));
    }
}

/// Takes those of the fields that are there and hold a plain value: what is below another name may be anything.
fn pick(from: Option<&Value>, keys: &[&str]) -> Map<String, Value> {
    let Some(from) = from.and_then(Value::as_object) else {
        return Map::new();
    };
    let is_plain = |value: &&Value| value.is_string() || value.is_number() || value.is_boolean();
    let found = keys
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), from.get(*key).filter(is_plain)?.clone())));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::model::tests::lead_at;

    const NOW: &str = "2026-03-06T00:00:00.000Z";

    fn now() -> Timestamp {
        NOW.parse().expect("a literal")
    }

    /// `R-ERASE`
    #[test]
    fn what_counts_stays_and_what_names_somebody_goes() {
        let record = json!({
            "id": "L1", "organizationId": "contoso", "name": "Ada's roll-out", "engagementId": "E1", "createdDateTime": "2026-03-02T00:00:00Z",
            "qualification": "Direct", "quality": "High", "statusReason": "Ada was rude", "emailValidity": "Valid",
            "customerProfile": {"name": "Byron Ltd", "size": "10", "ids": ["DE1"], "team": [{"email": "ada@byron.example"}],
                "address": {"addressLine1": "1 Market Street", "city": "Leeds", "country": "GB"}},
            "consent": {"consentToContact": true, "comment": "call Ada"}, "details": {"notes": "Please call.", "dealValue": 5, "currency": "GBP"},
            "target": [{"type": "offer", "id": "o1", "hint": "Ada"}], "inviteContext": {"notes": "Ada", "invitedBy": {"organizationId": "s", "by": "Bob"}},
            "quality2": "Ada", "status": {"nested": "Ada"},
        });
        let Value::Object(record) = record else {
            unreachable!("it is written as an object")
        };
        assert_eq!(
            Value::Object(erased_record(&record)),
            json!({
                "id": "L1", "organizationId": "contoso", "createdDateTime": "2026-03-02T00:00:00Z", "qualification": "Direct", "quality": "High",
                "emailValidity": "Valid", "customerProfile": {"name": "(erased)", "address": {"country": "GB"}}, "consent": {"consentToContact": true},
                "details": {"dealValue": 5, "currency": "GBP"}, "target": [{"type": "offer", "id": "o1"}],
                "inviteContext": {"invitedBy": {"organizationId": "s"}},
            })
        );
    }

    /// `R-ERASE`
    #[test]
    fn an_erased_lead_is_nobodys_and_time_moves_it_no_more() {
        let mut lead = lead_at("2026-03-02T00:00:00.000Z");
        lead.archive_at = Some("2026-09-02T00:00:00.000Z".parse().expect("a literal"));
        lead.answer = Some(json!({"dealValue": 5, "notes": "Ada", "team": [{"name": "Bob"}]}).to_string());
        lead.erase(now());
        let later = "2027-01-01T00:00:00.000Z".parse().expect("a literal");
        assert_eq!((lead.stage_at(later), lead.next_due_at()), (Stage::Received, None));
        assert_eq!(lead.due_steps(later), crate::lead::model::DueSteps::default());
        assert!(!lead.is_unanswered_at(now()) && !lead.is_expiring_at(later) && !lead.is_archived_at(later));
        assert_eq!(
            lead.urgency_at(later),
            Some(crate::lead::model::Urgency::Cooled),
            "it had cooled the day before"
        );
        assert_eq!(lead.answer.as_deref(), Some("{\"dealValue\":5}"));
        assert_eq!(lead.show(later)["posthorn"]["erasedDateTime"], NOW);
    }

    /// `R-ERASE`, `R-EXPIRY`: what time has made of it by then is what it stays.
    #[test]
    fn a_lead_that_had_expired_stays_expired() {
        let mut lead = lead_at("2026-03-02T00:00:00.000Z");
        let expires_at = lead.expires_at.expect("it has an expiry");
        lead.erase(expires_at);
        assert_eq!((lead.stage, lead.stage_since), (Stage::Expired, expires_at));
    }
}
