//! Reads the record of a lead, in either wire format, into what posthorn decides with and what it keeps and shows.
//!
//! The formats come from portals in the wild: enum values in any case, misspelled keys, seven fractional digits. What domain.md lists as an oddity
//! is taken and written canonically into [`Record::json`]; whatever else is wrong is a fault, and a record tells all of its faults at once.

use serde_json::{Map, Value};

use crate::clean::clean_value;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::lead::stage::Stage;
use crate::lead::values::{
    CallToAction, Direction, EmailValidity, PhoneValidity, Qualification, Quality, ReferralSource, ReferralType, Status, Substatus,
    TargetKind, TargetType,
};
use crate::lead::{LeadId, country, marketplace};
use crate::partner::PartnerId;
use crate::time::Timestamp;

/// Where a record comes from: what a marketplace lead, which has no id, date or partner of its own, takes over.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The partner that the URL or command names.
    pub partner: Option<&'a PartnerId>,
    /// File name and line (`leads.ndjson:17`), or the key of the request: the same content at the same place is the same lead.
    pub place: &'a str,
    /// When it came in.
    pub received_at: Timestamp,
}

/// A lead as its record tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// `id`: what makes it the same lead (`R-INTAKE`).
    pub id: LeadId,
    /// `organizationId`: the partner that receives it.
    pub partner_id: PartnerId,
    /// `organizationName`.
    pub partner_name: Option<String>,
    /// `createdDateTime`, or the receipt of a marketplace lead.
    pub created_at: Timestamp,
    /// `updatedDateTime`, else `createdDateTime`, in nanoseconds since the epoch; 0 for a marketplace lead.
    pub version: i64,
    /// `expirationDateTime`.
    pub expires_at: Option<Timestamp>,
    /// `acceptedDateTime`.
    pub accepted_at: Option<Timestamp>,
    /// `customerProfile.name`, trimmed.
    pub customer: String,
    /// `name`: what the deal is called.
    pub deal: Option<String>,
    /// `status` and `substatus`.
    pub stage: Stage,
    /// `qualification`; Direct where missing.
    pub qualification: Qualification,
    /// Whether `type` is Shared (co-sell).
    pub is_shared: bool,
    /// Whether `direction` is Outgoing.
    pub is_outgoing: bool,
    /// `referralSource`.
    pub source: Option<ReferralSource>,
    /// `callToAction`.
    pub call_to_action: Option<CallToAction>,
    /// Whether a marketplace lead's action is DNC: nobody may be mailed, ever.
    pub do_not_contact: bool,
    /// `target[]`, without elements that have no type.
    pub targets: Vec<Target>,
    /// `customerProfile.team[]`.
    pub contacts: Vec<Contact>,
    /// `consent.consentToContact`: the customer asked to be contacted directly (`R-URGENT`).
    pub consent_to_contact: bool,
    /// `inviteContext.invitedBy`: who sent it.
    pub invited_by: Option<Inviter>,
    /// Whether `quality` is Low: likely spam.
    pub quality_low: bool,
    /// `emailValidity`.
    pub email_validity: Option<EmailValidity>,
    /// `phoneValidity`.
    pub phone_validity: Option<PhoneValidity>,
    /// Whether names and e-mail begin with `MSFT_TEST_` (`R-KIND`).
    pub is_test: bool,
    /// The referral resource as it is kept and shown: unknown fields kept, spellings canonical, times in milliseconds. Its status is what
    /// the record said, which the stage that the store keeps overrides.
    pub json: Map<String, Value>,
}

/// One element of `target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Location or offer.
    pub kind: TargetKind,
    /// Which one; empty where the record does not say.
    pub id: String,
}

/// One person of the customer; everything is as written, a wrong address included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// `firstName`.
    pub first_name: Option<String>,
    /// `lastName`.
    pub last_name: Option<String>,
    /// `phoneNumber`.
    pub phone: Option<String>,
    /// `email`.
    pub email: Option<String>,
    /// `contactPreference.locale`.
    pub locale: Option<String>,
    /// `contactPreference.disableNotifications`.
    pub disable_notifications: bool,
}

/// The partner that sent the lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inviter {
    /// `organizationId`.
    pub id: Option<PartnerId>,
    /// `organizationName`.
    pub name: Option<String>,
}

/// Reads a record in either format, recognised by its shape.
///
/// # Errors
/// All faults of the record, in the order of the reading.
///
/// ```
/// use posthorn::lead::record::{Source, parse};
/// let source = Source { partner: None, place: "leads.ndjson:1", received_at: Default::default() };
/// let faults = parse(serde_json::json!({"id": "L1", "createdDateTime": "today"}), &source).unwrap_err();
/// let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
/// assert_eq!(told, [
///     "organizationId: missing; expected a text of 1 to 200 characters",
///     r#"createdDateTime: "today" is not a date and time such as 2026-03-02T00:00:00.000Z"#,
///     "customerProfile.name: missing; expected a text",
/// ]);
/// ```
pub fn parse(mut value: Value, source: &Source<'_>) -> Result<Record, Vec<Fault>> {
    clean_value(&mut value);
    let Value::Object(map) = value else {
        return Err(vec![Fault::wrong(
            "",
            &value,
            "an object: a referral resource or a marketplace lead",
        )]);
    };
    if !marketplace::is_marketplace_lead(&map) {
        return read(map);
    }
    let converted = marketplace::convert(map, source)?;
    let record = read(converted.json)?;
    // Without a date of its own there is nothing to compare by: the first one that came in stays.
    Ok(Record {
        version: 0,
        do_not_contact: converted.do_not_contact,
        ..record
    })
}

/// Reads a referral resource.
fn read(mut map: Map<String, Value>) -> Result<Record, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut fields = Fields::new(&mut map, &mut faults);
    let head = Head::read(&mut fields);
    let customer = read_customer(&mut fields);
    let contacts = customer.contacts;
    let consent_to_contact = read_consent(&mut fields);
    let invited_by = read_inviter(&mut fields);
    let targets = read_targets(&mut fields);
    check_rest(&mut fields);

    let is_shared = fields.one_of("type") == Some(ReferralType::Shared);
    let is_outgoing = fields.one_of("direction") == Some(Direction::Outgoing);
    let qualification = fields.one_of("qualification").unwrap_or(Qualification::Direct);
    let source = fields.one_of("referralSource");
    let call_to_action = fields.one_of("callToAction");
    let quality_low = fields.one_of("quality") == Some(Quality::Low);
    let email_validity = fields.one_of("emailValidity");
    let phone_validity = fields.one_of("phoneValidity");
    let deal = fields.text("name");
    let partner_name = fields.text("organizationName");

    let (Some(head), Some(customer)) = (head, customer.name) else {
        return Err(faults);
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Record {
        id: head.id,
        partner_id: head.partner_id,
        partner_name,
        created_at: head.created_at,
        version: head.version,
        expires_at: head.expires_at,
        accepted_at: head.accepted_at,
        is_test: is_test(&customer, &contacts),
        customer,
        deal,
        stage: head.stage,
        qualification,
        is_shared,
        is_outgoing,
        source,
        call_to_action,
        do_not_contact: false,
        targets,
        contacts,
        consent_to_contact,
        invited_by,
        quality_low,
        email_validity,
        phone_validity,
        json: map,
    })
}

/// What identifies the lead and where it stands.
struct Head {
    id: LeadId,
    partner_id: PartnerId,
    created_at: Timestamp,
    version: i64,
    expires_at: Option<Timestamp>,
    accepted_at: Option<Timestamp>,
    stage: Stage,
}

impl Head {
    /// Reads all of it before it gives up on any, so that each fault is told.
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let id = fields.required_id("id");
        let partner_id = fields.required_id("organizationId");
        let created = fields.required_instant("createdDateTime");
        let updated = fields.instant("updatedDateTime");
        let version = match (created, updated) {
            (_, Some(updated)) => version(fields, "updatedDateTime", updated.nanos),
            (Some(created), None) => version(fields, "createdDateTime", created.nanos),
            (None, None) => None,
        };
        let expires = fields.instant("expirationDateTime");
        let accepted = fields.instant("acceptedDateTime");
        let stage = read_stage(fields);
        Some(Self {
            id: LeadId::new(id?),
            partner_id: PartnerId::new(partner_id?),
            created_at: created?.at,
            version: version?,
            expires_at: expires.map(|instant| instant.at),
            accepted_at: accepted.map(|instant| instant.at),
            stage: stage?,
        })
    }
}

/// Takes the full precision of the time that versions are compared by (`R-INTAKE`).
fn version(fields: &mut Fields<'_>, key: &str, nanos: Option<i64>) -> Option<i64> {
    if nanos.is_none() {
        fields.fault(key, "a time between 1677-09-22 and 2262-04-11");
    }
    nanos
}

/// Reads `status` and `substatus` as one stage. Each that is there is written canonically, Pending as Received.
fn read_stage(fields: &mut Fields<'_>) -> Option<Stage> {
    let faults_before = fields.n_faults();
    let status: Option<Status> = fields.one_of("status");
    let substatus: Option<Substatus> = fields.one_of("substatus");
    if fields.n_faults() > faults_before {
        return None;
    }
    let stage = Stage::from_pair(status, substatus);
    match stage {
        None => fields.fault("substatus", status.unwrap_or(Status::New).substatuses()),
        Some(stage) if substatus.is_some() => fields.replace("substatus", Value::from(stage.wire().1)),
        Some(_) => (),
    }
    stage
}

#[derive(Default)]
struct Customer {
    name: Option<String>,
    contacts: Vec<Contact>,
}

fn read_customer(fields: &mut Fields<'_>) -> Customer {
    let is_missing = fields.value("customerProfile").is_none();
    let Some(mut profile) = fields.object("customerProfile") else {
        if is_missing {
            fields.add(Fault::missing("customerProfile.name", "a text"));
        }
        return Customer::default();
    };
    let name = profile.required_text("name").map(|name| name.trim().to_owned());
    if let Some(mut address) = profile.object("address") {
        address.check_texts(&["addressLine1", "addressLine2", "city", "state", "postalCode", "region"]);
        // A name that is no code stays as it is: a filter that misses it is better than a lead that is refused.
        if let Some(code) = address.text("country").as_deref().and_then(country::alpha_2) {
            address.replace("country", Value::from(code));
        }
    }
    Customer {
        name,
        contacts: profile.objects("team", read_contact),
    }
}

fn read_contact(mut fields: Fields<'_>) -> Contact {
    let mut contact = Contact {
        first_name: fields.text("firstName"),
        last_name: fields.text("lastName"),
        phone: fields.text("phoneNumber"),
        email: fields.text("email"),
        ..Contact::default()
    };
    if let Some(mut preference) = fields.object("contactPreference") {
        contact.locale = preference.text("locale");
        contact.disable_notifications = preference.flag("disableNotifications").unwrap_or(false);
    }
    contact
}

/// Reads the consents; one key is misspelled by some portals, at the root by others.
fn read_consent(fields: &mut Fields<'_>) -> bool {
    const MISSPELLED: &str = "consentToToShareInfoWithOthers";
    const SHARE: &str = "consentToShareInfoWithOthers";
    fields.rename(MISSPELLED, SHARE);
    fields.flag(SHARE);
    let Some(mut consent) = fields.object("consent") else {
        return false;
    };
    consent.rename(MISSPELLED, SHARE);
    consent.flag(SHARE);
    consent.flag("consentToContact").unwrap_or(false)
}

fn read_inviter(fields: &mut Fields<'_>) -> Option<Inviter> {
    let mut context = fields.object("inviteContext")?;
    context.check_texts(&["notes"]);
    let mut invited_by = context.object("invitedBy")?;
    // A blank id names nobody; here, other than in the lead's own, that is no fault.
    let has_id = invited_by
        .value("organizationId")
        .is_some_and(|id| id.as_str().is_none_or(|id| !id.trim().is_empty()));
    let id = if has_id {
        invited_by.id("organizationId").map(PartnerId::new)
    } else {
        None
    };
    let name = invited_by.text("organizationName");
    (id.is_some() || name.is_some()).then_some(Inviter { id, name })
}

/// Reads the targets. One without a type says nothing about the lead's kind and is left to the record.
fn read_targets(fields: &mut Fields<'_>) -> Vec<Target> {
    let targets = fields.objects("target", |mut target| {
        let id = target.text("id").unwrap_or_default().trim().to_owned();
        let kind = target.one_of("type").map(TargetType::kind)?;
        Some(Target { kind, id })
    });
    targets.into_iter().flatten().collect()
}

/// Checks the types of what is only kept and shown. `ids`, `size` and unknown fields are as the portal likes them.
fn check_rest(fields: &mut Fields<'_>) {
    fields.check_texts(&["engagementId", "externalReferenceId", "statusReason", "eTag"]);
    fields.objects("team", |mut member| {
        member.check_texts(&["firstName", "lastName", "email", "phoneNumber"])
    });
    let Some(mut details) = fields.object("details") else { return };
    details.check_texts(&["notes", "currency"]);
    details.check_number("dealValue");
    details.instant("closingDateTime");
    if let Some(mut requirements) = details.object("requirements") {
        requirements.check_lists(&["industries", "products", "services", "solutions"]);
    }
}

/// Says whether this is one of the portal's own probes: the e-mail of each contact and the names that are there begin with `MSFT_TEST_`.
/// All contacts must: to silence a real lead is worse than to mail a probe.
fn is_test(customer: &str, contacts: &[Contact]) -> bool {
    let is_probe = |contact: &Contact| {
        let mut names = [&contact.first_name, &contact.last_name].into_iter().flatten().peekable();
        let names_are = if names.peek().is_some() {
            names.all(|name| has_test_prefix(name))
        } else {
            has_test_prefix(customer)
        };
        names_are && contact.email.as_deref().is_some_and(has_test_prefix)
    };
    !contacts.is_empty() && contacts.iter().all(is_probe)
}

fn has_test_prefix(text: &str) -> bool {
    const PREFIX: &str = "MSFT_TEST_";
    text.trim_start()
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SOURCE: Source<'static> = Source {
        partner: None,
        place: "leads.ndjson:1",
        received_at: Timestamp::from_millis(0),
    };

    /// An ordinary lead, with `change` laid over it: objects are merged, null takes a field away.
    fn lead(change: Value) -> Value {
        fn merge(into: &mut Value, change: Value) {
            match (into, change) {
                (Value::Object(into), Value::Object(change)) => {
                    for (key, value) in change {
                        merge(into.entry(key).or_insert(Value::Null), value);
                    }
                }
                (into, change) => *into = change,
            }
        }
        let mut lead = json!({
            "id": "L1", "organizationId": "contoso", "createdDateTime": "2026-03-02T08:00:00Z",
            "customerProfile": {"name": "Fabrikam", "team": [{"firstName": "Ada", "lastName": "L", "email": "ada@fabrikam.example"}]}
        });
        merge(&mut lead, change);
        lead
    }

    #[track_caller]
    fn read(change: Value) -> Record {
        let value = lead(change);
        parse(value.clone(), &SOURCE).unwrap_or_else(|faults| panic!("{value}: {faults:?}"))
    }

    #[track_caller]
    fn check_faults(change: Value, expected: &[&str]) {
        let value = lead(change);
        match parse(value.clone(), &SOURCE) {
            Ok(_) => panic!("{value} was taken"),
            Err(faults) => assert_eq!(faults.iter().map(Fault::to_string).collect::<Vec<_>>(), expected, "{value}"),
        }
    }

    #[test]
    fn an_ordinary_lead_is_read_and_kept_as_it_came() {
        let record = read(
            json!({"name": "Deal", "organizationName": "Contoso", "expirationDateTime": "2026-03-16T08:00:00Z", "colour": {"of": ["sky"]}}),
        );
        assert_eq!(
            (record.id.as_str(), record.partner_id.as_str(), record.customer.as_str()),
            ("L1", "contoso", "Fabrikam")
        );
        assert_eq!(
            (record.deal.as_deref(), record.partner_name.as_deref()),
            (Some("Deal"), Some("Contoso"))
        );
        assert_eq!((record.stage, record.qualification), (Stage::Received, Qualification::Direct));
        assert_eq!(record.contacts[0].email.as_deref(), Some("ada@fabrikam.example"));
        assert!(!record.is_shared && !record.is_outgoing && !record.consent_to_contact && !record.is_test && !record.do_not_contact);
        assert_eq!(record.json["colour"], json!({"of": ["sky"]}));
        assert_eq!(record.json["expirationDateTime"], "2026-03-16T08:00:00.000Z");
        assert_eq!(record.version, record.created_at.as_millis() * 1_000_000);
    }

    #[test]
    fn what_was_kept_reads_as_the_same_record_again() {
        let record = read(
            json!({"status": "closed", "substatus": "WON", "callToAction": "None", "details": {"dealValue": "1e3"}, "target": [null, {"type": "OFFER"}]}),
        );
        let again = parse(Value::Object(record.json.clone()), &SOURCE);
        assert_eq!(again, Ok(record));
    }

    /// `R-STAGES`.
    #[test]
    fn a_stage_is_read_from_status_and_substatus() {
        for (status, substatus, stage, why) in [
            (json!(null), json!(null), Stage::Received, "both missing"),
            (json!("None"), json!("none"), Stage::Received, "both None"),
            (json!("New"), json!("Pending"), Stage::Received, "the older word"),
            (json!("new"), json!("RECEIVED"), Stage::Received, "any case"),
            (json!("Active"), json!(null), Stage::Accepted, "Accepted goes without saying"),
            (json!("Closed"), json!("Expired"), Stage::Expired, "its own"),
        ] {
            assert_eq!(read(json!({"status": status, "substatus": substatus})).stage, stage, "{why}");
        }
        assert_eq!(read(json!({"status": "New", "substatus": "Pending"})).json["substatus"], "Received");
        assert!(!read(json!({})).json.contains_key("status"));
        for (status, substatus, fault) in [
            (
                json!("Closed"),
                json!(null),
                "substatus: missing; expected one of Won, Lost, Declined, Expired, as status Closed demands",
            ),
            (
                json!("Closed"),
                json!("Accepted"),
                r#"substatus: "Accepted" is not one of Won, Lost, Declined, Expired, as status Closed demands"#,
            ),
            (
                json!("Active"),
                json!("Received"),
                r#"substatus: "Received" is not Accepted, as status Active demands"#,
            ),
            (
                json!(null),
                json!("Won"),
                r#"substatus: "Won" is not Received (or Pending), as status New demands"#,
            ),
            (json!("Open"), json!("Won"), r#"status: "Open" is not one of New, Active, Closed"#),
            (
                json!("New"),
                json!(3),
                "substatus: 3 is not one of Pending, Received, Accepted, Won, Lost, Declined, Expired",
            ),
        ] {
            check_faults(json!({"status": status, "substatus": substatus}), &[fault]);
        }
    }

    /// `R-INTAKE`: a version is compared at full precision, times are kept in milliseconds.
    #[test]
    fn a_version_is_finer_than_the_time_that_is_shown() {
        for (created, updated, version, why) in [
            ("1970-01-01T00:00:01Z", json!(null), 1_000_000_000, "created stands in"),
            (
                "1970-01-01T00:00:01Z",
                json!("1970-01-01T00:00:02.1234567Z"),
                2_123_456_700,
                "seven digits",
            ),
            (
                "1970-01-01T00:00:01Z",
                json!("1970-01-01T00:00:02.123456+00:00"),
                2_123_456_000,
                "six digits and an offset",
            ),
            (
                "1970-01-01T00:00:01Z",
                json!("1970-01-01t02:00:02.123456789+02:00"),
                2_123_456_789,
                "nine digits",
            ),
            (
                "1970-01-01T00:00:01Z",
                json!("1970-01-01T00:00:02.1234567891234Z"),
                2_123_456_789,
                "more than there are",
            ),
            ("1969-12-31T23:59:59.9999999Z", json!(""), -100, "before the epoch"),
        ] {
            let record = read(json!({"createdDateTime": created, "updatedDateTime": updated}));
            assert_eq!(record.version, version, "{why}");
        }
        let record = read(json!({
            "createdDateTime": "2026-03-02T08:00:00.9999999+00:00", "updatedDateTime": "2026-03-02T08:00:00.1234567Z",
            "acceptedDateTime": "2026-03-02T08:00:00Z", "details": {"closingDateTime": "2026-06-30T00:00:00.000000-01:00"}
        }));
        assert_eq!(record.json["createdDateTime"], "2026-03-02T08:00:00.999Z");
        assert_eq!(record.json["updatedDateTime"], "2026-03-02T08:00:00.123Z");
        assert_eq!(record.json["acceptedDateTime"], "2026-03-02T08:00:00.000Z");
        assert_eq!(record.json["details"]["closingDateTime"], "2026-06-30T01:00:00.000Z");
        check_faults(
            json!({"updatedDateTime": "0001-01-01T00:00:00Z"}),
            &[r#"updatedDateTime: "0001-01-01T00:00:00.000Z" is not a time between 1677-09-22 and 2262-04-11"#],
        );
        check_faults(
            json!({"createdDateTime": "2300-01-01T00:00:00Z"}),
            &[r#"createdDateTime: "2300-01-01T00:00:00.000Z" is not a time between 1677-09-22 and 2262-04-11"#],
        );
    }

    #[test]
    fn a_list_of_values_is_read_in_any_case_and_kept_in_its_own_spelling() {
        let record = read(json!({
            "qualification": "SALESQUALIFIED", "type": "shared", "direction": "outgoing", "referralSource": "appsource", "callToAction": " contactme ",
            "emailValidity": "SPAM", "phoneValidity": "valid", "quality": "LOW", "target": [{"type": "solutionprofile", "id": "o"}, {"type": "Offer", "id": "p"},
            {"type": "businessProfileLocation"}, {"id": "q"}, null]
        }));
        assert_eq!(
            (record.qualification, record.is_shared, record.is_outgoing),
            (Qualification::SalesQualified, true, true)
        );
        assert_eq!(
            (record.source, record.call_to_action),
            (Some(ReferralSource::AppSource), Some(CallToAction::ContactMe))
        );
        assert_eq!(
            (record.email_validity, record.phone_validity, record.quality_low),
            (Some(EmailValidity::Spam), Some(PhoneValidity::Valid), true)
        );
        let target = |kind, id: &str| Target { kind, id: id.into() };
        let location = target(TargetKind::BusinessProfileLocation, "");
        assert_eq!(
            record.targets,
            [target(TargetKind::Offer, "o"), target(TargetKind::Offer, "p"), location]
        );
        for (key, spelling) in [
            ("qualification", "SalesQualified"),
            ("type", "Shared"),
            ("direction", "Outgoing"),
            ("callToAction", "ContactMe"),
            ("quality", "Low"),
        ] {
            assert_eq!(record.json[key], spelling);
        }
        assert_eq!(
            record.json["target"],
            json!([{"type": "SolutionProfile", "id": "o"}, {"type": "offer", "id": "p"}, {"type": "BusinessProfileLocation"}, {"id": "q"}])
        );
        let nothing = read(json!({"callToAction": "None", "referralSource": "none", "quality": null, "type": "", "qualification": "None"}));
        assert_eq!((nothing.call_to_action, nothing.source, nothing.is_shared), (None, None, false));
        assert_eq!(nothing.json["callToAction"], Value::Null);
    }

    #[test]
    fn a_consent_is_read_under_its_misspelled_name_too() {
        for (change, kept, why) in [
            (
                json!({"consent": {"consentToToShareInfoWithOthers": true}}),
                json!({"consentToShareInfoWithOthers": true}),
                "misspelled",
            ),
            (
                json!({"consent": {"consentToToShareInfoWithOthers": "True"}}),
                json!({"consentToShareInfoWithOthers": true}),
                "misspelled, as a text",
            ),
            (
                json!({"consent": {"consentToShareInfoWithOthers": false, "consentToToShareInfoWithOthers": true}}),
                json!({"consentToShareInfoWithOthers": false}),
                "both: the right one counts",
            ),
        ] {
            assert_eq!(read(change).json["consent"], kept, "{why}");
        }
        let at_root = read(json!({"consentToToShareInfoWithOthers": true}));
        assert_eq!(at_root.json["consentToShareInfoWithOthers"], true);
        assert!(!at_root.json.contains_key("consentToToShareInfoWithOthers"));
        assert!(read(json!({"consent": {"consentToContact": true}})).consent_to_contact);
        assert!(read(json!({"consent": {"consentToContact": "TRUE"}})).consent_to_contact);
        assert!(!read(json!({"consent": null})).consent_to_contact);
    }

    #[test]
    fn a_country_becomes_two_letters_and_an_unknown_one_stays() {
        for (country, kept) in [
            ("usa", "US"),
            ("DEU", "DE"),
            ("fr", "FR"),
            ("Deutschland", "Deutschland"),
            ("XX", "XX"),
        ] {
            let record = read(json!({"customerProfile": {"address": {"country": country}}}));
            assert_eq!(record.json["customerProfile"]["address"]["country"], kept);
        }
    }

    #[test]
    fn a_text_loses_what_no_database_takes_and_its_spaces_only_where_they_hurt() {
        let record = read(json!({"id": " L\u{0}1 ", "customerProfile": {"name": " Fab\u{0}rikam "}, "a\u{0}b": ["\u{0}"]}));
        assert_eq!((record.id.as_str(), record.customer.as_str()), ("L1", "Fabrikam"));
        assert_eq!((&record.json["id"], &record.json["ab"]), (&json!("L1"), &json!([""])));
        assert_eq!(record.json["customerProfile"]["name"], " Fabrikam ");
    }

    #[test]
    fn what_is_only_passed_on_stays_as_it_is() {
        let record = read(json!({
            "customerProfile": {"ids": [{"profileType": "Tpid", "id": "1"}], "size": 500, "team": [null, {"email": "not an address"}, {}]},
            "details": {"dealValue": "12500.50", "currency": "EUR", "requirements": {"industries": [{"id": "retail"}], "products": ["x"], "services": null}},
            "team": [{"email": "x"}], "eTag": "\"7\""
        }));
        assert_eq!(record.json["customerProfile"]["ids"], json!([{"profileType": "Tpid", "id": "1"}]));
        assert_eq!(record.json["details"]["dealValue"], json!(12500.5));
        assert_eq!(record.json["details"]["requirements"]["industries"], json!([{"id": "retail"}]));
        assert_eq!(record.contacts.len(), 2);
        assert_eq!(record.contacts[0].email.as_deref(), Some("not an address"));
        assert_eq!(
            read(json!({"customerProfile": {"ids": {"External": "1"}}})).json["customerProfile"]["ids"],
            json!({"External": "1"})
        );
    }

    #[test]
    fn a_contact_and_an_inviter_are_read_with_what_is_there() {
        let record = read(json!({
            "customerProfile": {"team": [{"phoneNumber": "+49 30 1", "email": " ", "contactPreference": {"locale": "de", "disableNotifications": "true"}}]},
            "inviteContext": {"notes": "hi", "invitedBy": {"organizationId": " fabrikam ", "organizationName": "Fabrikam"}}
        }));
        let expected = Contact {
            phone: Some("+49 30 1".into()),
            locale: Some("de".into()),
            disable_notifications: true,
            ..Contact::default()
        };
        assert_eq!(record.contacts, [expected]);
        assert_eq!(
            record.invited_by,
            Some(Inviter {
                id: Some(PartnerId::new("fabrikam")),
                name: Some("Fabrikam".into())
            })
        );
        for nobody in [
            json!(null),
            json!({}),
            json!({"invitedBy": null}),
            json!({"invitedBy": {"organizationId": ""}}),
        ] {
            assert_eq!(read(json!({"inviteContext": nobody})).invited_by, None);
        }
    }

    #[test]
    fn every_fault_of_a_record_is_told_at_once_by_its_path() {
        check_faults(
            json!({
                "id": 5, "organizationId": "", "createdDateTime": "2026-03-02", "updatedDateTime": 7, "status": "Closed", "name": {},
                "customerProfile": {"name": " ", "address": {"country": 1, "city": []}, "team": [{"email": 5, "contactPreference": {"disableNotifications": 1}}, "x"]},
                "consent": {"consentToContact": "perhaps"}, "inviteContext": {"invitedBy": {"organizationId": 9}}, "target": [{"type": "Planet"}],
                "team": {}, "details": {"notes": 1, "dealValue": "12,50", "closingDateTime": "soon", "requirements": {"products": "x"}},
                "callToAction": "Contact", "quality": "Medium", "engagementId": 1
            }),
            &[
                "id: 5 is not a text of 1 to 200 characters",
                r#"organizationId: "" is not a text of 1 to 200 characters"#,
                r#"createdDateTime: "2026-03-02" is not a date and time such as 2026-03-02T00:00:00.000Z"#,
                "updatedDateTime: 7 is not a date and time such as 2026-03-02T00:00:00.000Z",
                "substatus: missing; expected one of Won, Lost, Declined, Expired, as status Closed demands",
                "customerProfile.name: missing; expected a text",
                "customerProfile.address.city: a list is not a text",
                "customerProfile.address.country: 1 is not a text",
                "customerProfile.team[0].email: 5 is not a text",
                "customerProfile.team[0].contactPreference.disableNotifications: 1 is not true or false",
                r#"customerProfile.team[1]: "x" is not an object"#,
                r#"consent.consentToContact: "perhaps" is not true or false"#,
                "inviteContext.invitedBy.organizationId: 9 is not a text of 1 to 200 characters",
                r#"target[0].type: "Planet" is not one of BusinessProfileLocation, SolutionProfile, offer"#,
                "engagementId: 1 is not a text",
                "team: an object is not a list",
                "details.notes: 1 is not a text",
                r#"details.dealValue: "12,50" is not a number such as 12500.50"#,
                r#"details.closingDateTime: "soon" is not a date and time such as 2026-03-02T00:00:00.000Z"#,
                r#"details.requirements.products: "x" is not a list"#,
                r#"callToAction: "Contact" is not one of GetItNow, FreeTrial, TestDrive, ContactMe"#,
                r#"quality: "Medium" is not one of High, Low"#,
                "name: an object is not a text",
            ],
        );
        check_faults(
            json!({"id": null, "organizationId": null, "createdDateTime": null, "customerProfile": null}),
            &[
                "id: missing; expected a text of 1 to 200 characters",
                "organizationId: missing; expected a text of 1 to 200 characters",
                "createdDateTime: missing; expected a date and time such as 2026-03-02T00:00:00.000Z",
                "customerProfile.name: missing; expected a text",
            ],
        );
        check_faults(json!({"customerProfile": []}), &["customerProfile: a list is not an object"]);
        check_faults(
            json!({"id": "x".repeat(201)}),
            &[&format!("id: \"{}…\" is not a text of 1 to 200 characters", "x".repeat(77))],
        );
        assert_eq!(read(json!({"id": "ä".repeat(200)})).id.as_str().chars().count(), 200);
        let faults = parse(json!([1]), &SOURCE).unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "a list is not an object: a referral resource or a marketplace lead"
        );
    }

    /// `R-KIND`.
    #[test]
    fn a_lead_is_a_test_when_its_names_and_e_mail_say_so() {
        for (customer, first_name, last_name, email, is_test, why) in [
            (
                "Fabrikam",
                "MSFT_TEST_Ada",
                "msft_test_L",
                "Msft_Test_a@b.example",
                true,
                "any case",
            ),
            ("Fabrikam", "MSFT_TEST_Ada", "", "MSFT_TEST_a@b.example", true, "one name"),
            (
                "MSFT_TEST_Fabrikam",
                "",
                "",
                "MSFT_TEST_a@b.example",
                true,
                "the customer's name alone",
            ),
            ("Fabrikam", "", "", "MSFT_TEST_a@b.example", false, "no name at all that says so"),
            ("Fabrikam", "MSFT_TEST_Ada", "L", "MSFT_TEST_a@b.example", false, "one of two names"),
            (
                "MSFT_TEST_Fabrikam",
                "MSFT_TEST_Ada",
                "MSFT_TEST_L",
                "a@b.example",
                false,
                "another e-mail",
            ),
            ("MSFT_TEST_Fabrikam", "MSFT_TEST_Ada", "MSFT_TEST_L", "", false, "no e-mail"),
            ("Fabrikam", "MSFT_TEST", "", "MSFT_TEST_a@b.example", false, "the prefix cut short"),
            (
                "Fabrikam",
                "MSFT_TESTÄ",
                "",
                "MSFT_TEST_a@b.example",
                false,
                "a letter across the prefix",
            ),
        ] {
            let team = json!([{"firstName": first_name, "lastName": last_name, "email": email}]);
            assert_eq!(
                read(json!({"customerProfile": {"name": customer, "team": team}})).is_test,
                is_test,
                "{why}"
            );
        }
        let both = json!([{"firstName": "MSFT_TEST_A", "email": "MSFT_TEST_a@b.example"}, {"firstName": "Ada", "email": "ada@b.example"}]);
        assert!(
            !read(json!({"customerProfile": {"team": both}})).is_test,
            "a real person beside the probe"
        );
        assert!(
            !read(json!({"customerProfile": {"name": "MSFT_TEST_", "team": []}})).is_test,
            "nobody at all"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::sample::select(vec![
                "",
                "None",
                "New",
                "Closed",
                "Won",
                "L1",
                "0001-01-01T00:00:00Z",
                "2026-03-02T08:00:00.1234567Z",
                "SPZA-DNC|x",
                "\0"
            ])
            .prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let keys = vec![
            "id",
            "organizationId",
            "createdDateTime",
            "updatedDateTime",
            "status",
            "substatus",
            "customerProfile",
            "name",
            "team",
            "email",
            "firstName",
            "address",
            "country",
            "consent",
            "consentToContact",
            "consentToToShareInfoWithOthers",
            "target",
            "type",
            "details",
            "dealValue",
            "inviteContext",
            "invitedBy",
            "UserDetails",
            "userDetails",
            "LeadSource",
            "Company",
            "FirstName",
            "quality",
            "a\0",
        ];
        leaf.prop_recursive(4, 60, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(keys.clone()), inner), 0..12)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
            ]
        })
    }

    proptest! {
        /// `R-INTAKE`: a record is taken with all that it says, or refused with what is wrong; and what was taken can be taken again.
        #[test]
        fn any_json_is_read_or_has_faults(value in any_json(), whole in any::<bool>()) {
            let partner = PartnerId::new("contoso");
            let source = Source { partner: Some(&partner), ..SOURCE };
            let value = if whole && value.is_object() { lead(value) } else { value };
            match parse(value, &source) {
                Ok(record) => {
                    prop_assert!(!Value::Object(record.json.clone()).to_string().contains("\\u0000"));
                    let again = parse(Value::Object(record.json.clone()), &source);
                    prop_assert_eq!(again.map(|record| (record.id, record.json)), Ok((record.id, record.json)));
                }
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }
}
