//! What posthorn finds out about a customer's e-mail and phone, where the record does not say it (`R-VERIFY`).
//!
//! In: the record of an offer lead, the lists. Out: [`Determined`], at once, but for what only the DNS knows: whether the domain takes mail.
//!
//! **Not here:** asking the DNS (`verify`), and writing down what it answers (`app::verify`).

use serde_json::{Map, Value};

use crate::lead::country::alpha_2;
use crate::lead::phone;
use crate::lead::show::pointer;
use crate::lead::spam::SpamDomains;
use crate::lead::values::{EmailValidity, Origin, PhoneValidity, Quality};
use crate::lead::{Lead, OneOf, facets};
use crate::partner::EmailAddress;

/// What a record leaves to be found out, and what was found; `None` where it says so itself, or is none of an offer lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Determined {
    /// Of the first contact that has an e-mail; `Unknown` while its domain is to be asked for.
    pub email: Option<EmailValidity>,
    /// Of the first contact that has a phone.
    pub phone: Option<PhoneValidity>,
    /// The domain of which the DNS has to be asked whether it takes mail.
    pub mail_domain: Option<String>,
}

/// Finds out what can be found out without asking anybody.
pub fn determine(record: &Map<String, Value>, domains: &SpamDomains) -> Determined {
    let (email, mail_domain) = email(record, domains).unzip();
    Determined {
        email,
        phone: phone(record),
        mail_domain: mail_domain.flatten(),
    }
}

/// Returns the domain of which the DNS has to be asked, as [`determine`] does.
pub fn mail_domain(record: &Map<String, Value>, domains: &SpamDomains) -> Option<String> {
    email(record, domains)?.1
}

/// Tells whether [`determine`] will look at a phone number of this record.
pub fn looks_at_phone(record: &Map<String, Value>) -> bool {
    is_open(record, "phoneValidity") && first_of_contacts(record, "phoneNumber").is_some()
}

fn email(record: &Map<String, Value>, domains: &SpamDomains) -> Option<(EmailValidity, Option<String>)> {
    if !is_open(record, "emailValidity") {
        return None;
    }
    Some(match first_of_contacts(record, "email").map(str::parse::<EmailAddress>) {
        None => (EmailValidity::Unknown, None),
        Some(Err(_)) => (EmailValidity::Invalid, None),
        Some(Ok(address)) if domains.is_listed(address.domain()) => (EmailValidity::Spam, None),
        Some(Ok(address)) => (EmailValidity::Unknown, Some(address.domain().to_owned())),
    })
}

fn phone(record: &Map<String, Value>) -> Option<PhoneValidity> {
    if !is_open(record, "phoneValidity") {
        return None;
    }
    let country = pointer(record, "/customerProfile/address/country").and_then(Value::as_str);
    let phone = first_of_contacts(record, "phoneNumber");
    Some(phone.map_or(PhoneValidity::Unknown, |phone| phone::validity(phone, country.and_then(alpha_2))))
}

impl Lead {
    /// Tells whether the lead is likely spam: its quality is low, or its e-mail is of a domain that is known for it.
    pub fn is_likely_spam(&self) -> bool {
        is_likely_spam(&self.said())
    }
}

pub(super) fn is_likely_spam(said: &Map<String, Value>) -> bool {
    let word = |key| said.get(key).and_then(Value::as_str);
    word("quality") == Some(Quality::Low.as_str()) || word("emailValidity") == Some(EmailValidity::Spam.as_str())
}

/// Tells whether a record leaves to be found out what an offer lead carries.
fn is_open(record: &Map<String, Value>, key: &str) -> bool {
    record.get(key).is_none_or(Value::is_null) && facets::origin(record) == Some(Origin::Offer)
}

fn first_of_contacts<'a>(record: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let team = pointer(record, "/customerProfile/team")?.as_array()?;
    let mut texts = team.iter().filter_map(|person| person.get(key)?.as_str());
    texts.find(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::lead::model::tests::lead_at;

    fn map(record: Value) -> Map<String, Value> {
        let Value::Object(record) = record else {
            panic!("a record is an object")
        };
        record
    }

    fn offer(team: Value) -> Value {
        json!({"target": [{"type": "offer", "id": "o"}], "customerProfile": {"team": team, "address": {"country": "deu"}}})
    }

    /// `R-VERIFY`
    #[test]
    fn an_e_mail_is_judged_by_syntax_and_lists_and_else_left_to_the_dns() {
        use EmailValidity::{Invalid, Spam, Unknown};
        let lists = SpamDomains::new(["casino.example"], []);
        for (team, email, domain, why) in [
            (json!(null), Unknown, None, "no contact"),
            (json!([]), Unknown, None, "no contact"),
            (json!([{"email": " "}]), Unknown, None, "an empty one is none"),
            (json!([{"email": "ada"}]), Invalid, None, "syntax"),
            (json!([{"email": "ada@localhost"}]), Invalid, None, "no domain"),
            (json!([{"email": "ada@mailinator.com"}]), Spam, None, "disposable"),
            (json!([{"email": "Ada@Win.CASINO.example"}]), Spam, None, "the operator's list"),
            (
                json!([{"email": "ada@B\u{fc}cher.example"}]),
                Unknown,
                Some("xn--bcher-kva.example"),
                "to be asked",
            ),
            (
                json!([null, {"firstName": "Ada"}, {"email": "ada@fabrikam.example"}, {"email": "x@mailinator.com"}]),
                Unknown,
                Some("fabrikam.example"),
                "the first that has one",
            ),
            (
                json!([{"email": "ada"}, {"email": "ada@fabrikam.example"}]),
                Invalid,
                None,
                "the first, not the first right one",
            ),
        ] {
            let found = determine(&map(offer(team.clone())), &lists);
            assert_eq!((found.email, found.mail_domain.as_deref()), (Some(email), domain), "{team}: {why}");
        }
    }

    /// `R-VERIFY`
    #[test]
    fn a_phone_is_judged_by_the_customers_country() {
        use PhoneValidity::{Invalid, Unknown, Valid};
        for (team, expected, why) in [
            (json!([]), Unknown, "no contact"),
            (json!([{"phoneNumber": ""}]), Unknown, "none"),
            (json!([{"phoneNumber": "030 901820"}]), Valid, "German, as the customer is"),
            (
                json!([{"firstName": "Ada"}, {"phoneNumber": "+44 20 7946 0000"}]),
                Valid,
                "of the first that has one",
            ),
            (
                json!([{"phoneNumber": "1"}, {"phoneNumber": "030 901820"}]),
                Invalid,
                "the first, not the first right one",
            ),
        ] {
            assert_eq!(
                determine(&map(offer(team.clone())), &SpamDomains::default()).phone,
                Some(expected),
                "{team}: {why}"
            );
        }
        let mut nowhere = offer(json!([{"phoneNumber": "030 901820"}]));
        for country in [json!(null), json!("Germany"), json!("")] {
            nowhere["customerProfile"]["address"]["country"] = country.clone();
            assert_eq!(
                determine(&map(nowhere.clone()), &SpamDomains::default()).phone,
                Some(Unknown),
                "{country}"
            );
        }
    }

    /// `R-VERIFY`
    #[test]
    fn only_what_an_offer_leads_record_leaves_open_is_determined() {
        let contact = json!([{"email": "ada@mailinator.com", "phoneNumber": "030 901820"}]);
        let (spam, valid) = (Some(EmailValidity::Spam), Some(PhoneValidity::Valid));
        for (more, email, phone, why) in [
            (json!({}), spam, valid, "an offer lead that says nothing"),
            (
                json!({"emailValidity": null, "phoneValidity": null}),
                spam,
                valid,
                "null is nothing",
            ),
            (json!({"emailValidity": "Unknown"}), None, valid, "what the record says counts"),
            (json!({"phoneValidity": "Invalid"}), spam, None, "likewise"),
            (
                json!({"target": [{"type": "SolutionProfile"}]}),
                spam,
                valid,
                "the other word for an offer",
            ),
            (
                json!({"target": [{"type": "BusinessProfileLocation", "id": "l"}]}),
                None,
                None,
                "a profile lead",
            ),
            (json!({"target": []}), None, None, "neither"),
        ] {
            let mut record = offer(contact.clone());
            for (key, value) in map(more) {
                record[key] = value;
            }
            let found = determine(&map(record.clone()), &SpamDomains::default());
            assert_eq!((found.email, found.phone), (email, phone), "{why}");
            assert_eq!(looks_at_phone(&map(record)), phone.is_some(), "{why}");
        }
    }

    /// `R-VERIFY`: quality Low, or an e-mail that is spam, whoever says so.
    #[test]
    fn a_lead_is_likely_spam_by_quality_or_e_mail() {
        for (record, found, expected) in [
            (json!({}), None, false),
            (json!({"quality": "Low"}), None, true),
            (json!({"quality": "High"}), None, false),
            (json!({"emailValidity": "Spam"}), None, true),
            (json!({}), Some(EmailValidity::Spam), true),
            (json!({}), Some(EmailValidity::Invalid), false),
            (json!({"emailValidity": "Valid"}), Some(EmailValidity::Spam), false),
            (json!({"quality": "Low", "emailValidity": "Valid"}), None, true),
        ] {
            let mut lead = lead_at("2026-03-02T00:00:00Z");
            (lead.record, lead.email_validity) = (record.to_string(), found);
            assert_eq!(lead.is_likely_spam(), expected, "{record} {found:?}");
            let shown = lead.show("2026-03-02T00:00:00Z".parse().expect("a literal"));
            assert_eq!(shown["posthorn"]["likelySpam"], expected, "{record} {found:?}");
        }
    }

    proptest! {
        /// `R-VERIFY`: the DNS is asked exactly where nothing else can tell, and of a domain that can be asked for.
        #[test]
        fn the_dns_is_asked_only_where_the_answer_is_open(email in "[a-z@. \u{e9}-]{0,30}", phone in any::<String>()) {
            let found = determine(&map(offer(json!([{"email": email, "phoneNumber": phone}]))), &SpamDomains::default());
            prop_assert!(found.email.is_some() && found.phone.is_some());
            if let Some(domain) = &found.mail_domain {
                prop_assert_eq!(found.email, Some(EmailValidity::Unknown));
                prop_assert!(domain.is_ascii() && domain.contains('.'));
            }
        }
    }
}
