//! Turns a marketplace lead into a referral resource, so that everything behind the reader knows one shape.
//!
//! It comes without id, date and partner: the id is derived from partner, content and place, the date is the receipt, the partner is whoever
//! the URL or command names. What has no field of its own in the referral resource is kept under its own name.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::fields::OneOf;
use crate::lead::country;
use crate::lead::record::Source;
use crate::lead::values::{CallToAction, Direction, Qualification, ReferralSource, ReferralType};
use crate::partner::PartnerId;

const USER_DETAILS: &str = "UserDetails";
const LEAD_SOURCE: &str = "LeadSource";
const ACTION_CODE: &str = "ActionCode";

/// A marketplace lead as a referral resource.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) json: Map<String, Value>,
    /// Whether its action is DNC: informational, mails nobody, ever.
    pub(crate) do_not_contact: bool,
}

/// Says whether an object has the shape of a marketplace lead. Its keys are read in any case: the marketplace itself writes two.
pub(crate) fn is_marketplace_lead(map: &Map<String, Value>) -> bool {
    let has = |name: &str| map.keys().any(|key| key.eq_ignore_ascii_case(name));
    has(USER_DETAILS) || (has(LEAD_SOURCE) && !map.contains_key("organizationId"))
}

/// Converts a marketplace lead.
///
/// # Errors
/// All of its faults, by the paths that the sender knows.
pub(crate) fn convert(map: Map<String, Value>, source: &Source<'_>) -> Result<Converted, Vec<Fault>> {
    let content = canonical(&map);
    let mut faults = Vec::new();
    let mut root = Taken {
        map,
        path: None,
        faults: &mut faults,
    };
    let lead_source = root.text(LEAD_SOURCE);
    let action_code = root.text(ACTION_CODE);
    let offer_title = root.take_text("OfferTitle");
    let description = root.take_text("Description");
    let user = root.take_object(USER_DETAILS);
    let rest = root.map;

    let user_map = user.unwrap_or_default();
    let mut user = Taken {
        map: user_map,
        path: Some(USER_DETAILS),
        faults: &mut faults,
    };
    let faults_before = user.faults.len();
    let first_name = user.take_text("FirstName");
    let last_name = user.take_text("LastName");
    let company = user.take_text("Company");
    let has_name_fault = user.faults.len() > faults_before;
    let email = user.take_text("Email");
    let phone = user.take_text("Phone");
    let country = user.take_text("Country");
    let title = user.take_text("Title");
    let user_rest = user.map;

    let customer = company.or_else(|| full_name(first_name.as_deref(), last_name.as_deref()));
    if customer.is_none() && !has_name_fault {
        faults.push(Fault::missing("UserDetails.Company", "a company, or a person's name"));
    }
    if source.partner.is_none() {
        faults.push(Fault::missing(
            "organizationId",
            "a partner, which a marketplace lead does not name itself: --partner ID at the command line, /v1/partners/ID/marketplace-leads over HTTP",
        ));
    }
    let (Some(partner), true) = (source.partner, faults.is_empty()) else {
        return Err(faults);
    };

    let origin = Origin::read(lead_source.as_deref().unwrap_or_default(), action_code.as_deref());
    let mut json = Map::new();
    put(&mut json, "id", Some(id(partner, &content, source.place)));
    put(&mut json, "name", offer_title);
    put(&mut json, "organizationId", Some(partner.as_str().to_owned()));
    put(&mut json, "direction", Some(Direction::Incoming.as_str().into()));
    put(&mut json, "createdDateTime", Some(source.received_at.to_string()));
    put(&mut json, "qualification", Some(Qualification::Direct.as_str().into()));
    put(&mut json, "type", Some(ReferralType::Independent.as_str().into()));
    put(&mut json, "referralSource", origin.source.map(|source| source.as_str().into()));
    put(
        &mut json,
        "callToAction",
        origin.call_to_action().map(|action| action.as_str().into()),
    );

    let mut contact = Map::new();
    put(&mut contact, "firstName", first_name);
    put(&mut contact, "lastName", last_name);
    put(&mut contact, "email", email);
    put(&mut contact, "phoneNumber", phone);
    put(&mut contact, "title", title);
    // What else is told of the person stays with the person, where it is hidden and erased with the rest.
    keep(&mut contact, user_rest);
    let mut profile = Map::new();
    put(&mut profile, "name", customer);
    if let Some(country) = country {
        profile.insert(
            "address".into(),
            json!({ "country": country::alpha_2(&country).map_or(country.as_str(), |code| code) }),
        );
    }
    profile.insert("team".into(), json!([contact]));
    json.insert("customerProfile".into(), Value::Object(profile));
    if let Some(description) = description {
        json.insert("details".into(), json!({ "notes": description }));
    }
    // A marketplace lead comes from an offer page even where it does not say from which.
    let mut target = Map::new();
    put(&mut target, "type", Some("SolutionProfile".into()));
    put(&mut target, "id", origin.offer.map(str::to_owned));
    json.insert("target".into(), json!([target]));
    keep(&mut json, rest);
    Ok(Converted {
        do_not_contact: origin.action == Some(Action::DoNotContact),
        json,
    })
}

/// What `LeadSource` says: `Source-Action|Offer`.
#[derive(Debug, PartialEq)]
struct Origin<'a> {
    source: Option<ReferralSource>,
    action: Option<Action>,
    offer: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Call(CallToAction),
    DoNotContact,
}

impl<'a> Origin<'a> {
    /// Reads it; `action_code` counts where it names no action of its own. What is unknown is `None`, the record keeps the text.
    fn read(lead_source: &'a str, action_code: Option<&str>) -> Self {
        let (place, offer) = lead_source.split_once('|').unwrap_or((lead_source, ""));
        let (source, action) = place.rsplit_once('-').unwrap_or((place, ""));
        let source = source.trim();
        let source = if source.eq_ignore_ascii_case("SPZA") {
            Some(ReferralSource::AppSource)
        } else {
            ReferralSource::find(source)
        };
        let code = action_code.and_then(Action::find);
        let action = match code {
            // Whatever else is said, nobody is mailed, ever.
            Some(Action::DoNotContact) => code,
            _ => Action::find(action).or(code),
        };
        let offer = offer.trim();
        Self {
            source,
            action,
            offer: (!offer.is_empty()).then_some(offer),
        }
    }

    const fn call_to_action(&self) -> Option<CallToAction> {
        match self.action {
            Some(Action::Call(action)) => Some(action),
            Some(Action::DoNotContact) | None => None,
        }
    }
}

impl Action {
    fn find(code: &str) -> Option<Self> {
        let code = code.trim();
        let is = |name: &str| code.eq_ignore_ascii_case(name);
        if is("DNC") {
            Some(Self::DoNotContact)
        } else if is("INS") || is("Create") {
            Some(Self::Call(CallToAction::GetItNow))
        } else if is("PLT") {
            Some(Self::Call(CallToAction::ContactMe))
        } else if is("StartTestDrive") {
            Some(Self::Call(CallToAction::TestDrive))
        } else {
            CallToAction::find(code).map(Self::Call)
        }
    }
}

/// An object whose known fields are taken out of it, so that the unknown ones are left.
struct Taken<'a> {
    map: Map<String, Value>,
    path: Option<&'a str>,
    faults: &'a mut Vec<Fault>,
}

impl Taken<'_> {
    /// Reads a text and leaves it where it is.
    fn text(&mut self, name: &str) -> Option<String> {
        let key = self.map.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
        let value = self.map[&key].clone();
        self.text_of(&key, value)
    }

    fn take_text(&mut self, name: &str) -> Option<String> {
        let (key, value) = self.take(name)?;
        self.text_of(&key, value)
    }

    fn take_object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            (_, Value::Object(map)) => Some(map),
            (_, Value::Null) => None,
            (key, value) => {
                self.fault(&key, &value, "an object");
                None
            }
        }
    }

    /// Takes a field out under any spelling; where there are two, one of them is not worth a refusal: the first that says something counts.
    fn take(&mut self, name: &str) -> Option<(String, Value)> {
        let mut taken: Option<(String, Value)> = None;
        while let Some(key) = self.map.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned() {
            let value = self.map.shift_remove(&key).unwrap_or_default();
            if taken.as_ref().is_none_or(|(_, first)| first.is_null()) {
                taken = Some((key, value));
            }
        }
        taken
    }

    fn text_of(&mut self, key: &str, value: Value) -> Option<String> {
        match value {
            Value::Null => None,
            Value::String(text) => (!text.trim().is_empty()).then_some(text),
            other => {
                self.fault(key, &other, "a text");
                None
            }
        }
    }

    fn fault(&mut self, key: &str, value: &Value, expected: &str) {
        let path = self.path.map_or_else(|| key.to_owned(), |parent| format!("{parent}.{key}"));
        self.faults.push(Fault::wrong(path, value, expected));
    }
}

fn full_name(first_name: Option<&str>, last_name: Option<&str>) -> Option<String> {
    let names: Vec<_> = [first_name, last_name].into_iter().flatten().map(str::trim).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

fn put(map: &mut Map<String, Value>, key: &str, text: Option<String>) {
    if let Some(text) = text {
        map.insert(key.to_owned(), Value::String(text));
    }
}

/// Keeps unknown fields under their own names; what was derived stands.
fn keep(map: &mut Map<String, Value>, unknown: Map<String, Value>) {
    for (key, value) in unknown {
        map.entry(key).or_insert(value);
    }
}

/// Derives the id: the same content for the same partner from the same place is the same lead. Each part is preceded by its length, so that
/// no two different triples are one text.
fn id(partner: &PartnerId, content: &str, place: &str) -> String {
    let mut hash = Sha256::new();
    for part in [partner.as_str(), content, place] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut id = String::from("mp-");
    for byte in &hash.finalize()[..16] {
        write!(id, "{byte:02x}").expect("a String takes all that is written");
    }
    id
}

/// Writes an object with its keys in order, so that a portal that shuffles them makes no second lead.
fn canonical(map: &Map<String, Value>) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(sorted_map(map)),
            Value::Array(elements) => Value::Array(elements.iter().map(sorted).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
    fn sorted_map(map: &Map<String, Value>) -> Map<String, Value> {
        let mut pairs: Vec<_> = map.iter().collect();
        pairs.sort_by_key(|(key, _)| *key);
        pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
    }
    Value::Object(sorted_map(map)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::record::{Record, parse};
    use crate::lead::values::TargetKind;
    use crate::time::Timestamp;

    const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_772_438_400_123);

    fn read_at(value: Value, partner: &str, place: &str) -> Result<Record, Vec<String>> {
        let partner = PartnerId::new(partner);
        let source = Source {
            partner: Some(&partner),
            place,
            received_at: RECEIVED_AT,
        };
        parse(value, &source).map_err(|faults| faults.iter().map(Fault::to_string).collect())
    }

    #[track_caller]
    fn read(value: Value) -> Record {
        read_at(value, "contoso", "in:1").unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    fn lead() -> Value {
        json!({
            "UserDetails": {"FirstName": "Ada", "LastName": "Lovelace", "Email": "ada@fabrikam.example", "Phone": "+1 425 1", "Country": "usa",
                "Company": "Fabrikam", "Title": "CTO", "Shoe": 42},
            "LeadSource": "SPZA-INS|contoso.widget", "ActionCode": "INS", "OfferTitle": "Widget", "Description": "Please call", "Campaign": {"x": 1}
        })
    }

    #[test]
    fn a_marketplace_lead_becomes_a_referral_resource() {
        let record = read(lead());
        let id = record.id.as_str().to_owned();
        assert!(id.len() == 35 && id.starts_with("mp-"), "{id}");
        assert_eq!(
            Value::Object(record.json.clone()),
            json!({
                "id": id, "name": "Widget", "organizationId": "contoso", "direction": "Incoming", "createdDateTime": "2026-03-02T08:00:00.123Z",
                "qualification": "Direct", "type": "Independent", "referralSource": "AppSource", "callToAction": "GetItNow",
                "customerProfile": {"name": "Fabrikam", "address": {"country": "US"}, "team": [{"firstName": "Ada", "lastName": "Lovelace",
                    "email": "ada@fabrikam.example", "phoneNumber": "+1 425 1", "title": "CTO", "Shoe": 42}]},
                "details": {"notes": "Please call"}, "target": [{"type": "SolutionProfile", "id": "contoso.widget"}],
                "LeadSource": "SPZA-INS|contoso.widget", "ActionCode": "INS", "Campaign": {"x": 1}
            })
        );
        assert_eq!(
            (record.created_at, record.version, record.customer.as_str()),
            (RECEIVED_AT, 0, "Fabrikam")
        );
        assert_eq!(record.targets[0].kind, TargetKind::Offer);
        assert!(!record.do_not_contact);
    }

    #[test]
    fn a_marketplace_lead_is_recognised_by_its_shape() {
        for (value, is_one, why) in [
            (json!({"UserDetails": {}}), true, "its key"),
            (
                json!({"userDetails": {}, "leadSource": "x"}),
                true,
                "as the marketplace's webhook writes it",
            ),
            (json!({"LeadSource": "SPZA-INS|x"}), true, "its source alone"),
            (
                json!({"LeadSource": "SPZA-INS|x", "organizationId": "p"}),
                false,
                "a referral resource that was one",
            ),
            (json!({"id": "L1"}), false, "a referral resource"),
        ] {
            assert_eq!(is_marketplace_lead(value.as_object().unwrap()), is_one, "{why}");
        }
        let lower = json!({"userDetails": {"firstName": "Ada", "lastName": "L", "email": "a@b.example"}, "leadSource": "AzurePortal-Create|o", "offerTitle": "O"});
        let record = read(lower);
        assert_eq!((record.customer.as_str(), record.deal.as_deref()), ("Ada L", Some("O")));
        assert_eq!(
            (record.source, record.call_to_action),
            (Some(ReferralSource::AzurePortal), Some(CallToAction::GetItNow))
        );
        assert_eq!(record.contacts[0].email.as_deref(), Some("a@b.example"));
    }

    #[test]
    fn a_lead_source_says_source_action_and_offer() {
        use CallToAction::{ContactMe, FreeTrial, GetItNow, TestDrive};
        use ReferralSource::{AppSource, AzureMarketplace, AzurePortal};
        let call = |action| Some(Action::Call(action));
        for (lead_source, action_code, source, action, offer, why) in [
            ("SPZA-INS|a.b", None, Some(AppSource), call(GetItNow), Some("a.b"), "install"),
            ("spza-plt|a", None, Some(AppSource), call(ContactMe), Some("a"), "any case"),
            (
                "AzureMarketplace-StartTestDrive|a|b",
                None,
                Some(AzureMarketplace),
                call(TestDrive),
                Some("a|b"),
                "an offer with a bar",
            ),
            ("AzurePortal-Create|a", None, Some(AzurePortal), call(GetItNow), Some("a"), "create"),
            (
                "AppSource-FreeTrial|a",
                None,
                Some(AppSource),
                call(FreeTrial),
                Some("a"),
                "plain names",
            ),
            (
                "SPZA-DNC|a",
                Some("INS"),
                Some(AppSource),
                Some(Action::DoNotContact),
                Some("a"),
                "its own action counts",
            ),
            (
                "SPZA-PLT|a",
                Some("dnc"),
                Some(AppSource),
                Some(Action::DoNotContact),
                Some("a"),
                "do not contact, wherever it is said",
            ),
            (
                "SPZA|a",
                Some("DNC"),
                Some(AppSource),
                Some(Action::DoNotContact),
                Some("a"),
                "the code stands in",
            ),
            (
                "SPZA-XYZ|a",
                Some("ContactMe"),
                Some(AppSource),
                call(ContactMe),
                Some("a"),
                "the code stands in for an unknown action",
            ),
            ("SPZA-XYZ|a", Some("?"), Some(AppSource), None, Some("a"), "both unknown"),
            ("My-Own-Shop-INS|a", None, None, call(GetItNow), Some("a"), "an unknown source"),
            ("SPZA-INS", None, Some(AppSource), call(GetItNow), None, "no offer"),
            ("", None, None, None, None, "nothing"),
        ] {
            assert_eq!(
                Origin::read(lead_source, action_code),
                Origin { source, action, offer },
                "{why}: {lead_source}"
            );
        }
        let mut do_not_contact = lead();
        do_not_contact["LeadSource"] = json!("SPZA-DNC|x");
        let record = read(do_not_contact);
        assert!(record.do_not_contact && record.call_to_action.is_none());
    }

    /// `R-INTAKE`: the same file again is the same leads.
    #[test]
    fn an_id_is_derived_from_partner_content_and_place() {
        let id_at = |value: Value, partner: &str, place: &str| read_at(value, partner, place).map(|record| record.id.as_str().to_owned());
        let id = id_at(lead(), "contoso", "in:1").unwrap();
        let shuffled = Value::Object(lead().as_object().unwrap().clone().into_iter().rev().collect());
        assert_eq!(id_at(shuffled, "contoso", "in:1").as_ref(), Ok(&id), "the order of keys");
        let mut other_content = lead();
        other_content["UserDetails"]["Shoe"] = json!(43);
        for (other, why) in [
            (id_at(lead(), "contoso2", "in:1"), "partner"),
            (id_at(lead(), "contoso", "in:2"), "place"),
            (id_at(other_content, "contoso", "in:1"), "content"),
        ] {
            assert_ne!(other.as_ref(), Ok(&id), "{why}");
        }
        assert_eq!(
            super::id(&PartnerId::new("p"), "{}", "in:1"),
            "mp-fb4086639211d9c50a7bde392e4640d2",
            "as it always was: imports of older files depend on it"
        );
        assert_ne!(
            super::id(&PartnerId::new("p"), "ab", "c"),
            super::id(&PartnerId::new("p"), "a", "bc")
        );
    }

    #[test]
    fn what_is_wrong_with_a_marketplace_lead_is_told_in_its_own_words() {
        let wrong = json!({"UserDetails": {"Email": 5, "Phone": [], "Country": " "}, "LeadSource": 1, "OfferTitle": {}});
        let faults = parse(
            wrong,
            &Source {
                partner: None,
                place: "in:1",
                received_at: RECEIVED_AT,
            },
        )
        .unwrap_err();
        assert_eq!(
            faults.iter().map(Fault::to_string).collect::<Vec<_>>(),
            [
                "LeadSource: 1 is not a text",
                "OfferTitle: an object is not a text",
                "UserDetails.Email: 5 is not a text",
                "UserDetails.Phone: a list is not a text",
                "UserDetails.Company: missing; expected a company, or a person's name",
                "organizationId: missing; expected a partner, which a marketplace lead does not name itself: --partner ID at the command line, /v1/partners/ID/marketplace-leads over HTTP",
            ]
        );
        assert_eq!(
            read_at(json!({"userDetails": 5}), "p", "in:1").unwrap_err()[0],
            "userDetails: 5 is not an object"
        );
    }

    #[test]
    fn a_field_of_the_same_name_does_not_displace_what_was_derived() {
        let mut sly = lead();
        sly["id"] = json!("L1");
        sly["organizationId"] = json!("fabrikam");
        sly["createdDateTime"] = json!("1999-01-01T00:00:00Z");
        sly["updatedDateTime"] = json!("2030-01-01T00:00:00Z");
        let record = read(sly);
        assert!(record.id.as_str().starts_with("mp-"));
        assert_eq!(
            (record.partner_id.as_str(), record.created_at, record.version),
            ("contoso", RECEIVED_AT, 0)
        );
    }
}
