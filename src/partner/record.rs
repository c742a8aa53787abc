//! The partner record (domain.md, "Partner"): what the portal tells of an organisation that receives leads.
//!
//! It is kept and shown in the shape in which it comes, less what posthorn does not know; [`Partner::parse`] reads what it writes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clean::clean_value;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::partner::{EmailAddress, PartnerId, Zone};
use crate::policy::schedule::Cron;
use crate::tag::tag_of;

/// A partner; what its record leaves out is `None` and takes the configured default when it is needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Partner {
    /// `id`: the `organizationId` of its leads.
    pub id: PartnerId,
    /// Shown in mails and lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The programme that it belongs to, as the configuration names it (`programmes.NAME`); none: what holds without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programme: Option<String>,
    /// BCP 47 language tag, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// IANA zone in which its days are counted and its digest fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
    /// When its digest fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_cron: Option<Cron>,
    /// How many leads of a day are mailed singly; 0 = digest only (`R-CHANNEL`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_threshold: Option<u32>,
    /// Whether urgent leads are mailed singly whatever the count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgent_singly: Option<bool>,
    /// The addresses that its users chose in the Action Center settings; they come first, alone (`R-RECIPIENT`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferred_emails: Vec<Mailbox>,
    /// The business profile's locations; on the wire `profile.locations`.
    #[serde(default, rename = "profile", with = "profile", skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// The referral admins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admins: Vec<Mailbox>,
}

/// One location of the business profile, with its contacts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// What a lead's target names.
    pub id: String,
    /// Whether its contacts stand in where the target is unknown or has none.
    #[serde(default)]
    pub primary: bool,
    /// Who is told.
    #[serde(default)]
    pub contacts: Vec<Mailbox>,
}

/// Somebody who can be mailed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mailbox {
    /// Shown in the greeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where mail goes.
    pub email: EmailAddress,
    /// His language; the partner's where missing (`R-LOCALE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Silences this address for good, without falling through to the next rung.
    #[serde(default)]
    pub disable_notifications: bool,
}

/// Wraps the locations as they stand on the wire.
mod profile {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Location;

    #[derive(Serialize, Deserialize)]
    struct Profile<L> {
        locations: L,
    }

    pub(super) fn serialize<S: Serializer>(locations: &[Location], serializer: S) -> Result<S::Ok, S::Error> {
        Profile { locations }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Location>, D::Error> {
        Profile::deserialize(deserializer).map(|profile| profile.locations)
    }
}

impl Partner {
    /// Reads a partner record. Null is missing, unknown fields are ignored.
    ///
    /// # Errors
    /// All faults of the record.
    ///
    /// ```
    /// use posthorn::partner::Partner;
    /// let partner = Partner::parse(serde_json::json!({"id": "contoso", "preferredEmail": "Ada@Contoso.example"})).unwrap();
    /// assert_eq!(partner.preferred_emails[0].email.as_str(), "ada@contoso.example");
    /// ```
    pub fn parse(mut value: Value) -> Result<Self, Vec<Fault>> {
        clean_value(&mut value);
        let Value::Object(mut map) = value else {
            return Err(vec![Fault::wrong("", &value, "an object: a partner record")]);
        };
        let mut faults = Vec::new();
        let partner = read(&mut map, &mut faults);
        match partner {
            Some(partner) if faults.is_empty() => Ok(partner),
            Some(_) | None => Err(faults),
        }
    }

    /// Returns the tag of this record: another one as soon as it says something else.
    pub fn tag(&self) -> String {
        tag_of(&serde_json::to_vec(self).expect("a partner is plain data"))
    }

    /// Returns every mailbox of the record, whatever its rung.
    pub fn mailboxes(&self) -> impl Iterator<Item = &Mailbox> {
        let contacts = self.locations.iter().flat_map(|at| &at.contacts);
        self.preferred_emails.iter().chain(contacts).chain(&self.admins)
    }
}

fn read(map: &mut Map<String, Value>, faults: &mut Vec<Fault>) -> Option<Partner> {
    let mut fields = Fields::new(map, faults);
    let id = fields.required_id("id");
    let name = fields.text("name");
    let programme = fields.text("programme").map(|name| name.trim().to_owned());
    let locale = fields.text("locale");
    let time_zone = read_zone(&mut fields);
    let digest_cron = read_cron(&mut fields);
    let digest_threshold = read_threshold(&mut fields);
    let urgent_singly = fields.flag("urgentSingly");
    let mut preferred_emails = read_mailboxes(&mut fields, "preferredEmails", Missing::IsFault);
    if let Some(preferred) = read_preferred_email(&mut fields)
        && preferred_emails.iter().all(|other| other.email != preferred.email)
    {
        preferred_emails.push(preferred);
    }
    let locations = match fields.object("profile") {
        Some(mut profile) => profile.objects("locations", read_location).into_iter().flatten().collect(),
        None => Vec::new(),
    };
    let admins = read_mailboxes(&mut fields, "admins", Missing::IsFault);
    let id = PartnerId::new(id?);
    Some(Partner {
        id,
        name,
        programme,
        locale,
        time_zone,
        digest_cron,
        digest_threshold,
        urgent_singly,
        preferred_emails,
        locations,
        admins,
    })
}

fn read_zone(fields: &mut Fields<'_>) -> Option<Zone> {
    let text = fields.text("timeZone")?;
    match text.trim().parse() {
        Ok(zone) => Some(Zone(zone)),
        Err(_) => {
            fields.fault("timeZone", format!("an IANA time zone; try {:?}", suggest_zone(&text)));
            None
        }
    }
}

/// Finds the zone that a text most likely means: its name in another case, its city alone, the nearest spelling.
fn suggest_zone(text: &str) -> &'static str {
    let plain = |name: &str| name.trim().to_lowercase().replace([' ', '-'], "_");
    let city = |name: &str| plain(name.rsplit('/').next().unwrap_or(name));
    let wanted = plain(text);
    let wanted_city = city(text);
    let zones = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    if let Some(name) = zones()
        .find(|name| plain(name) == wanted)
        .or_else(|| zones().find(|name| name.contains('/') && city(name) == wanted_city))
    {
        return name;
    }
    // Two slips at most: what is further off is another place, and a wrong hint is worse than an example.
    let nearest = zones()
        .map(|name| (distance(&plain(name), &wanted).min(distance(&city(name), &wanted_city)), name))
        .min();
    nearest
        .filter(|(slips, name)| *slips <= 2 && name.len() > 4)
        .map_or("Europe/Berlin", |(_, name)| name)
}

/// Counts the letters to insert, delete or change between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // A zone's name has at most 32 letters; a longer text is no slip of one.
    let b: Vec<char> = b.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn read_cron(fields: &mut Fields<'_>) -> Option<Cron> {
    let text = fields.text("digestCron")?;
    match text.parse::<Cron>() {
        Ok(cron) => Some(cron),
        Err(why) => {
            fields.fault("digestCron", format!("a digest's cron expression: {why}"));
            None
        }
    }
}

fn read_threshold(fields: &mut Fields<'_>) -> Option<u32> {
    let threshold = fields
        .value("digestThreshold")?
        .as_u64()
        .and_then(|number| u32::try_from(number).ok());
    if threshold.is_none() {
        fields.fault("digestThreshold", "a whole number of leads, 0 or more (0 = digest only)");
    }
    threshold
}

/// What a mailbox without an address is.
#[derive(Clone, Copy)]
enum Missing {
    /// Wrong: the list is there for its addresses.
    IsFault,
    /// Left out: a contact of a profile may have a phone number only.
    IsLeftOut,
}

fn read_mailboxes(fields: &mut Fields<'_>, key: &str, missing: Missing) -> Vec<Mailbox> {
    fields
        .objects(key, |mailbox| read_mailbox(mailbox, missing))
        .into_iter()
        .flatten()
        .collect()
}

fn read_mailbox(mut fields: Fields<'_>, missing: Missing) -> Option<Mailbox> {
    let name = fields.text("name");
    let locale = fields.text("locale");
    let disable_notifications = fields.flag("disableNotifications").unwrap_or(false);
    let text = match missing {
        Missing::IsFault => fields.required_text("email"),
        Missing::IsLeftOut => fields.text("email"),
    };
    let email = read_address(&mut fields, "email", &text?)?;
    Some(Mailbox {
        name,
        email,
        locale,
        disable_notifications,
    })
}

fn read_address(fields: &mut Fields<'_>, key: &str, text: &str) -> Option<EmailAddress> {
    match text.parse() {
        Ok(email) => Some(email),
        Err(_) => {
            fields.fault(key, "an e-mail address such as ada@example.com");
            None
        }
    }
}

/// Reads the older field: one object, or the address alone. Blank, it is no address, which is what a cleared setting looks like.
fn read_preferred_email(fields: &mut Fields<'_>) -> Option<Mailbox> {
    const KEY: &str = "preferredEmail";
    if fields.value(KEY)?.is_string() {
        let text = fields.text(KEY)?;
        let email = read_address(fields, KEY, &text)?;
        return Some(Mailbox {
            name: None,
            email,
            locale: None,
            disable_notifications: false,
        });
    }
    read_mailbox(fields.object(KEY)?, Missing::IsLeftOut)
}

fn read_location(mut fields: Fields<'_>) -> Option<Location> {
    let id = fields.required_id("id");
    let primary = fields.flag("primary").unwrap_or(false);
    let contacts = read_mailboxes(&mut fields, "contacts", Missing::IsLeftOut);
    Some(Location {
        id: id?,
        primary,
        contacts,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn parse(value: Value) -> Partner {
        Partner::parse(value).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    #[track_caller]
    fn check_faults(value: Value, expected: &[&str]) {
        let faults = Partner::parse(value).expect_err("the record has faults");
        assert_eq!(faults.iter().map(Fault::to_string).collect::<Vec<_>>(), expected);
    }

    fn whole() -> Value {
        json!({
            "id": "contoso", "name": "Contoso", "programme": "gold", "locale": "de-AT", "timeZone": "Europe/Berlin", "digestCron": "0 17 * * *", "digestThreshold": 0,
            "urgentSingly": true, "preferredEmails": [{"email": "ada@contoso.example", "locale": "de", "disableNotifications": true}],
            "profile": {"locations": [{"id": "loc-1", "primary": true, "contacts": [
                {"name": "Ben", "email": "ben@contoso.example", "disableNotifications": false}]}]},
            "admins": [{"name": "Cleo", "email": "cleo@contoso.example", "disableNotifications": false}]
        })
    }

    #[test]
    fn a_partner_is_kept_in_the_shape_in_which_it_came() {
        let partner = parse(whole());
        assert_eq!(partner.locations[0].contacts[0].email.as_str(), "ben@contoso.example");
        let kept = serde_json::to_value(&partner).unwrap();
        assert_eq!(kept, whole());
        assert_eq!(parse(kept.clone()), partner);
        assert_eq!(serde_json::from_value::<Partner>(kept).unwrap(), partner);
    }

    #[test]
    fn all_but_the_id_may_be_missing_or_null_and_unknown_fields_are_ignored() {
        let bare = parse(json!({"id": " contoso "}));
        let nulls = parse(json!({
            "id": "contoso", "name": null, "locale": "", "timeZone": null, "digestCron": null, "digestThreshold": null, "urgentSingly": null,
            "preferredEmails": null, "preferredEmail": null, "profile": {"locations": null, "slogan": "!"}, "admins": [null], "region": {"a": 1}
        }));
        assert_eq!(bare, nulls);
        assert_eq!(serde_json::to_value(&bare).unwrap(), json!({"id": "contoso"}));
        assert_eq!(serde_json::from_value::<Partner>(json!({"id": "contoso"})).unwrap(), bare);
    }

    /// `R-RECIPIENT`: equal addresses get one mail.
    #[test]
    fn the_older_preferred_email_is_read_as_object_and_as_address() {
        for (value, addresses, why) in [
            (
                json!({"id": "p", "preferredEmail": "Ada@P.example"}),
                vec!["ada@p.example"],
                "an address",
            ),
            (
                json!({"id": "p", "preferredEmail": {"email": "ada@p.example", "locale": "de"}}),
                vec!["ada@p.example"],
                "an object",
            ),
            (json!({"id": "p", "preferredEmail": {"email": null}}), vec![], "a cleared one"),
            (json!({"id": "p", "preferredEmail": " "}), vec![], "a blank one"),
            (
                json!({"id": "p", "preferredEmails": [{"email": "a@p.example"}], "preferredEmail": "A@p.example"}),
                vec!["a@p.example"],
                "both, equal",
            ),
            (
                json!({"id": "p", "preferredEmails": [{"email": "a@p.example"}], "preferredEmail": "b@p.example"}),
                vec!["a@p.example", "b@p.example"],
                "both",
            ),
        ] {
            let partner = parse(value);
            assert_eq!(
                partner
                    .preferred_emails
                    .iter()
                    .map(|mailbox| mailbox.email.as_str())
                    .collect::<Vec<_>>(),
                addresses,
                "{why}"
            );
        }
    }

    #[test]
    fn a_profile_contact_without_an_address_is_left_out() {
        let partner = parse(
            json!({"id": "p", "profile": {"locations": [{"id": "l", "contacts": [{"phone": "+49 30 1"}, {"email": "b@p.example"}]}]}}),
        );
        assert_eq!(partner.locations[0].contacts.len(), 1);
    }

    #[test]
    fn every_fault_of_a_partner_is_told_at_once_by_its_path() {
        check_faults(
            json!({
                "id": 7, "name": [], "timeZone": "europe/berlin", "digestThreshold": -1, "urgentSingly": "perhaps",
                "preferredEmails": [{"email": "ada"}, {"locale": "de"}, "x"], "preferredEmail": 5,
                "profile": {"locations": [{"primary": 1, "contacts": [{"email": "a@b"}]}]}, "admins": {"email": "a@b.example"}
            }),
            &[
                "id: 7 is not a text of 1 to 200 characters",
                "name: a list is not a text",
                r#"timeZone: "europe/berlin" is not an IANA time zone; try "Europe/Berlin""#,
                "digestThreshold: -1 is not a whole number of leads, 0 or more (0 = digest only)",
                r#"urgentSingly: "perhaps" is not true or false"#,
                r#"preferredEmails[0].email: "ada" is not an e-mail address such as ada@example.com"#,
                "preferredEmails[1].email: missing; expected a text",
                r#"preferredEmails[2]: "x" is not an object"#,
                "preferredEmail: 5 is not an object",
                "profile.locations[0].id: missing; expected a text of 1 to 200 characters",
                "profile.locations[0].primary: 1 is not true or false",
                r#"profile.locations[0].contacts[0].email: "a@b" is not an e-mail address such as ada@example.com"#,
                "admins: an object is not a list",
            ],
        );
        check_faults(json!(["id"]), &["a list is not an object: a partner record"]);
        check_faults(json!({}), &["id: missing; expected a text of 1 to 200 characters"]);
        check_faults(
            json!({"id": "p", "digestThreshold": 1.5}),
            &["digestThreshold: 1.5 is not a whole number of leads, 0 or more (0 = digest only)"],
        );
    }

    /// `R-DIGEST`: which expressions are right is the schedule's to say; here its words reach the sender.
    #[test]
    fn a_wrong_cron_is_told_with_its_reason() {
        let wrong = "0 17 31 2 *";
        if let Err(why) = wrong.parse::<Cron>() {
            let fault = format!("digestCron: {wrong:?} is not a digest's cron expression: {why}");
            check_faults(json!({"id": "p", "digestCron": wrong}), &[&fault]);
        }
        check_faults(json!({"id": "p", "digestCron": 5}), &["digestCron: 5 is not a text"]);
    }

    #[test]
    fn a_wrong_zone_is_answered_with_the_likely_one() {
        for (text, suggested) in [
            ("europe/berlin", "Europe/Berlin"),
            ("Berlin", "Europe/Berlin"),
            ("New York", "America/New_York"),
            ("America/New York", "America/New_York"),
            ("Asia/Calcuta", "Asia/Calcutta"),
            ("Europe/Belrin", "Europe/Berlin"),
            ("W. Europe Standard Time", "Europe/Berlin"),
            ("Australia/Sidney", "Australia/Sydney"),
            ("+01:00", "Europe/Berlin"),
        ] {
            assert_eq!(suggest_zone(text), suggested, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_json_at_all_makes_the_reader_panic(text in r#"\{("(id|timeZone|digestThreshold|preferredEmail|preferredEmails|profile|admins)":(1|-1|"[a-z@./]{0,9}"|null|\[\{"email":"[a-z@.]{0,9}"\}\]|\{\}|\[1\]),){0,6}"z":0\}"#) {
            if let Ok(value) = serde_json::from_str(&text)
                && let Ok(partner) = Partner::parse(value)
            {
                let kept = serde_json::to_value(&partner).unwrap();
                prop_assert_eq!(Partner::parse(kept), Ok(partner));
            }
        }
    }
}
