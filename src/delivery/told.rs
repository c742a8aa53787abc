//! What a mail tells of a lead's record. Only this is read of it: to read the whole record as a JSON value took 60,000 instructions a mail.

use serde::Deserialize;
use serde_json::Number;

use crate::lead::OneOf;
use crate::lead::values::{EmailValidity, Quality};
use crate::template::{ContactView, Formats};

/// The fields that mails show; intake has seen to it that each is of its kind, or null.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Told {
    customer_profile: Option<Profile>,
    details: Option<Details>,
    referral_source: Option<String>,
    call_to_action: Option<String>,
    quality: Option<String>,
    email_validity: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Profile {
    address: Option<Address>,
    team: Option<Vec<Option<Person>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    country: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Person {
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
    phone_number: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    notes: Option<String>,
    deal_value: Option<Number>,
    currency: Option<String>,
}

impl Told {
    /// Reads a record; nothing where the text is none.
    pub(super) fn read(record: &str) -> Self {
        serde_json::from_str(record).unwrap_or_default()
    }

    /// Returns the customer's first contact, empty texts left out.
    pub(super) fn contact(&self) -> Option<ContactView> {
        let person = self.customer_profile.as_ref()?.team.as_ref()?.first()?.as_ref()?;
        let names = [&person.first_name, &person.last_name].map(|name| name.as_deref().unwrap_or_default().trim());
        let contact = ContactView {
            name: text(&Some(names.join(" "))),
            email: text(&person.email),
            phone: text(&person.phone_number),
        };
        (contact != ContactView::default()).then_some(contact)
    }

    /// Returns what the customer wrote.
    pub(super) fn notes(&self) -> Option<String> {
        text(&self.details.as_ref()?.notes)
    }

    /// Returns the customer's country.
    pub(super) fn country(&self) -> Option<String> {
        text(&self.customer_profile.as_ref()?.address.as_ref()?.country)
    }

    /// Returns where the lead came from.
    pub(super) fn source(&self) -> Option<String> {
        text(&self.referral_source)
    }

    /// Returns what the customer clicked.
    pub(super) fn call_to_action(&self) -> Option<String> {
        text(&self.call_to_action)
    }

    /// Returns the deal's value with its currency.
    pub(super) fn value(&self, formats: &Formats) -> Option<String> {
        let details = self.details.as_ref()?;
        let value = details
            .deal_value
            .as_ref()
            .filter(|value| value.as_f64().is_some_and(|n| n > 0.0))?;
        let currency = details.currency.as_deref().unwrap_or_default();
        Some(formats.amount(value, currency))
    }

    /// Tells whether the lead is likely spam, as `Lead::is_likely_spam` does; `found` is what posthorn found out where the record says nothing.
    pub(super) fn is_spam(&self, found: Option<EmailValidity>) -> bool {
        let email = self.email_validity.as_deref().or(found.map(OneOf::as_str));
        self.quality.as_deref() == Some(Quality::Low.as_str()) || email == Some(EmailValidity::Spam.as_str())
    }
}

fn text(text: &Option<String>) -> Option<String> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_null_or_blank_is_not_told() {
        for record in [
            "{}",
            "not json",
            r#"{"customerProfile": null, "details": null, "referralSource": " "}"#,
            r#"{"customerProfile": {"team": [null], "address": null}, "details": {"notes": "\n", "dealValue": 0, "currency": "EUR"}}"#,
            r#"{"customerProfile": {"team": [{"firstName": " ", "email": ""}, {"email": "a@b.example"}]}, "quality": "High"}"#,
        ] {
            let told = Told::read(record);
            assert_eq!((told.contact(), told.notes(), told.country()), (None, None, None), "{record}");
            assert_eq!(
                (told.source(), told.value(Formats::built_in("en")), told.is_spam(None)),
                (None, None, false),
                "{record}"
            );
        }
    }

    #[test]
    fn a_record_is_told_by_what_mails_show_of_it() {
        let told = Told::read(
            r#"{"id": "L1", "unknown": [{}], "customerProfile": {"name": "Fabrikam", "address": {"city": "Leeds", "country": "GB"},
              "team": [{"firstName": " Ada", "lastName": "Byron ", "phoneNumber": "+44 1", "email": "ada@fabrikam.example", "contactPreference": {}}]},
              "details": {"notes": " Call. ", "dealValue": 12500.50, "currency": "GBP"}, "callToAction": "ContactMe", "emailValidity": "Spam"}"#,
        );
        let contact = told.contact().unwrap();
        assert_eq!(contact.name.as_deref(), Some("Ada Byron"));
        assert_eq!(contact.phone.as_deref(), Some("+44 1"));
        assert_eq!(told.notes().as_deref(), Some("Call."));
        assert_eq!(told.value(Formats::built_in("en")).as_deref(), Some("£12,500.50"));
        assert_eq!(told.value(Formats::built_in("de")).as_deref(), Some("12.500,50\u{a0}£"));
        assert_eq!(told.country().as_deref(), Some("GB"));
        assert_eq!(told.call_to_action().as_deref(), Some("ContactMe"));
        assert!(told.is_spam(None));
        assert!(told.is_spam(Some(EmailValidity::Valid)), "what the record says counts");
        assert!(
            Told::read("{}").is_spam(Some(EmailValidity::Spam)),
            "what was found out, where it says nothing"
        );
    }
}
