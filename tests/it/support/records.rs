//! Leads and partners as a portal writes them: ordinary in everything that a test does not name.
#![allow(dead_code, reason = "verbs wait here for the test that needs them")]

use serde_json::{Map, Value, json};

/// Begins a contact lead of the partner `contoso`, from its business profile, created on Monday 2026-03-02 at eight.
pub fn lead(id: &str) -> Lead {
    Lead(json!({
        "id": id,
        "name": format!("Deal {id}"),
        "organizationId": "contoso",
        "organizationName": "Contoso",
        "direction": "Incoming",
        "createdDateTime": "2026-03-02T08:00:00.000Z",
        "status": "New",
        "substatus": "Received",
        "qualification": "Direct",
        "type": "Independent",
        "customerProfile": {
            "name": format!("Customer {id}"),
            "address": { "addressLine1": "1 Market Street", "city": "Leeds", "postalCode": "LS1 4AP", "country": "GB" },
            "team": [{ "firstName": "Ada", "lastName": "Byron", "phoneNumber": "+44 113 496 0000", "email": "ada@fabrikam.example" }],
        },
        "consent": { "consentToContact": false, "consentToShareInfoWithOthers": true },
        "details": { "notes": "Please call.", "dealValue": 1000, "currency": "GBP" },
    }))
}

/// Begins a partner with one referral admin, `admin@ID.example`, in UTC and English.
pub fn partner(id: &str) -> Partner {
    Partner(json!({
        "id": id,
        "name": id,
        "locale": "en",
        "timeZone": "UTC",
        "admins": [{ "name": "Admin", "email": format!("admin@{id}.example") }],
    }))
}

/// Writes records as NDJSON.
pub fn ndjson<I: IntoIterator>(records: I) -> String
where
    Value: From<I::Item>,
{
    records.into_iter().map(|record| format!("{}\n", Value::from(record))).collect()
}

/// A lead that is being described.
#[derive(Clone, Debug)]
pub struct Lead(Value);

/// A partner that is being described.
#[derive(Clone, Debug)]
pub struct Partner(Value);

impl Lead {
    /// Whose lead it is.
    pub fn partner(self, id: &str) -> Self {
        self.with("organizationId", id).with("organizationName", id)
    }

    /// The customer's name.
    pub fn customer(self, name: &str) -> Self {
        self.with("customerProfile.name", name)
    }

    /// The person at the customer: who is mailed when the lead is declined.
    pub fn contact(self, email: &str, locale: &str) -> Self {
        let person = json!({ "firstName": "Ada", "lastName": "Byron", "email": email, "contactPreference": { "locale": locale } });
        self.with("customerProfile.team", json!([person]))
    }

    /// When the customer sent it.
    pub fn created(self, at: &str) -> Self {
        self.with("createdDateTime", at)
    }

    /// When it was changed last (`R-INTAKE`: newer content replaces older).
    pub fn updated(self, at: &str) -> Self {
        self.with("updatedDateTime", at)
    }

    /// When it expires unanswered.
    pub fn expires(self, at: &str) -> Self {
        self.with("expirationDateTime", at)
    }

    /// The customer asked to be contacted (`R-URGENT`).
    pub fn urgent(self) -> Self {
        self.with("consent.consentToContact", true)
    }

    /// It came from a marketplace offer, by this call to action (`R-KIND`).
    pub fn offer(self, call_to_action: &str) -> Self {
        self.with("callToAction", call_to_action)
            .with("referralSource", "AppSource")
            .target("SolutionProfile", "offer-1")
    }

    /// It came from the profile page of this location.
    pub fn location(self, id: &str) -> Self {
        self.target("BusinessProfileLocation", id)
    }

    /// What it targets.
    pub fn target(self, kind: &str, id: &str) -> Self {
        self.with("target", json!([{ "type": kind, "id": id }]))
    }

    /// Another partner sent it.
    pub fn invited_by(self, id: &str) -> Self {
        self.with(
            "inviteContext",
            json!({ "invitedBy": { "organizationId": id, "organizationName": id } }),
        )
    }

    /// Where the portal says that it stands.
    pub fn status(self, status: &str, substatus: &str) -> Self {
        self.with("status", status).with("substatus", substatus)
    }

    /// Sets any field, by its dotted path.
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        set(&mut self.0, path, value.into());
        self
    }

    /// Takes a field away, by its dotted path.
    pub fn without(mut self, path: &str) -> Self {
        remove(&mut self.0, path);
        self
    }

    /// Returns the record.
    pub fn build(self) -> Value {
        self.0
    }
}

impl Partner {
    /// The IANA zone of its days.
    pub fn zone(self, zone: &str) -> Self {
        self.with("timeZone", zone)
    }

    /// Lets it take the configured zone.
    pub fn without_zone(mut self) -> Self {
        remove(&mut self.0, "timeZone");
        self
    }

    /// Its language.
    pub fn locale(self, locale: &str) -> Self {
        self.with("locale", locale)
    }

    /// Adds a preferred e-mail.
    pub fn preferred(self, email: &str) -> Self {
        self.push("preferredEmails", json!({ "email": email }))
    }

    /// Adds a preferred e-mail that is silenced.
    pub fn preferred_silenced(self, email: &str) -> Self {
        self.push("preferredEmails", json!({ "email": email, "disableNotifications": true }))
    }

    /// Adds a location of the business profile with these contacts.
    pub fn location(mut self, id: &str, is_primary: bool, contacts: &[&str]) -> Self {
        let contacts: Vec<Value> = contacts.iter().map(|email| json!({ "name": "Contact", "email": email })).collect();
        let location = json!({ "id": id, "primary": is_primary, "contacts": contacts });
        let profile = self
            .0
            .as_object_mut()
            .expect("a partner is an object")
            .entry("profile")
            .or_insert_with(|| json!({ "locations": [] }));
        profile["locations"].as_array_mut().expect("locations are a list").push(location);
        self
    }

    /// Adds a referral admin.
    pub fn admin(self, email: &str) -> Self {
        self.push("admins", json!({ "name": "Admin", "email": email }))
    }

    /// Takes its referral admins away.
    pub fn no_admins(mut self) -> Self {
        remove(&mut self.0, "admins");
        self
    }

    /// When its digest fires.
    pub fn cron(self, cron: &str) -> Self {
        self.with("digestCron", cron)
    }

    /// How many leads of a day are mailed singly.
    pub fn threshold(self, n_leads: u32) -> Self {
        self.with("digestThreshold", n_leads)
    }

    /// Sets any field, by its dotted path.
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        set(&mut self.0, path, value.into());
        self
    }

    /// Returns the record.
    pub fn build(self) -> Value {
        self.0
    }

    fn push(mut self, list: &str, value: Value) -> Self {
        let list = self
            .0
            .as_object_mut()
            .expect("a partner is an object")
            .entry(list)
            .or_insert_with(|| json!([]));
        list.as_array_mut().expect("addresses are a list").push(value);
        self
    }
}

impl From<Lead> for Value {
    fn from(lead: Lead) -> Self {
        lead.build()
    }
}

impl From<Partner> for Value {
    fn from(partner: Partner) -> Self {
        partner.build()
    }
}

fn set(record: &mut Value, path: &str, value: Value) {
    let mut place = record;
    for name in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = place
            .as_object_mut()
            .expect("made an object above")
            .entry(name)
            .or_insert(Value::Null);
    }
    *place = value;
}

fn remove(record: &mut Value, path: &str) {
    let (parents, name) = path.rsplit_once('.').map_or((None, path), |(parents, name)| (Some(parents), name));
    let place = parents
        .into_iter()
        .flat_map(|parents| parents.split('.'))
        .try_fold(record, |place, name| place.get_mut(name));
    if let Some(object) = place.and_then(Value::as_object_mut) {
        object.shift_remove(name);
    }
}

#[test]
fn a_described_lead_is_the_ordinary_one_but_for_what_was_said() {
    let urgent = lead("L1")
        .partner("fabrikam")
        .customer("Adatum")
        .created("2026-03-03T00:00:00Z")
        .urgent()
        .with("details.closing.by", "May")
        .build();
    for (path, expected) in [
        ("/id", json!("L1")),
        ("/organizationId", json!("fabrikam")),
        ("/customerProfile/name", json!("Adatum")),
        ("/customerProfile/team/0/email", json!("ada@fabrikam.example")),
        ("/createdDateTime", json!("2026-03-03T00:00:00Z")),
        ("/consent/consentToContact", json!(true)),
        ("/details/closing/by", json!("May")),
        ("/details/currency", json!("GBP")),
    ] {
        assert_eq!(urgent.pointer(path), Some(&expected), "{path}");
    }
    assert_eq!(
        lead("L2")
            .without("customerProfile.name")
            .without("consent")
            .without("no.such")
            .build()
            .pointer("/customerProfile/name"),
        None
    );
}

#[test]
fn a_described_partner_has_the_addresses_that_were_named() {
    let described = partner("contoso")
        .zone("Europe/Berlin")
        .preferred("a@contoso.example")
        .preferred_silenced("b@contoso.example");
    let described = described
        .location("berlin", true, &["c@contoso.example"])
        .location("ulm", false, &[])
        .admin("d@contoso.example")
        .build();
    for (path, expected) in [
        ("/timeZone", json!("Europe/Berlin")),
        ("/preferredEmails/0", json!({ "email": "a@contoso.example" })),
        ("/preferredEmails/1/disableNotifications", json!(true)),
        ("/profile/locations/0/contacts/0/email", json!("c@contoso.example")),
        ("/profile/locations/1/primary", json!(false)),
        ("/admins/1/email", json!("d@contoso.example")),
    ] {
        assert_eq!(described.pointer(path), Some(&expected), "{path}");
    }
    assert_eq!(partner("contoso").no_admins().build().get("admins"), None);
}

#[test]
fn records_are_written_one_a_line() {
    let text = ndjson([lead("L1"), lead("L2")]);
    let ids: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is a record")["id"].clone())
        .collect();
    assert_eq!(ids, ["L1", "L2"]);
}
