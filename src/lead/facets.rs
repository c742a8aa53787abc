//! What lists find a lead by (`R-TABS`, `R-FILTER`): a function of its row, which the store keeps beside it.
//!
//! Contact data is kept apart, as nobody finds a lead by what is hidden (`R-EXPIRY`).

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::fields::OneOf;
use crate::lead::country;
use crate::lead::model::Lead;
use crate::lead::show::{self, HIDDEN};
use crate::lead::values::{CallToAction, EmailValidity, Origin, PhoneValidity, Qualification, Quality, ReferralSource, Tab, TargetKind};
use crate::time::Timestamp;

/// Raised when what follows from a row changes: then a `migrate` makes them all anew.
pub const VERSION: &str = "1";

/// Bytes of a lead's words at most: notes may be as long as a mail.
const WORDS_MAX: usize = 4000;

/// What lists find a lead by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Marketplace or qualified; favourites are no function of the record.
    pub tab: Option<Tab>,
    /// Where it came from.
    pub origin: Option<Origin>,
    /// `callToAction`.
    pub call_to_action: Option<CallToAction>,
    /// The customer's country, by [`country_key`].
    pub country: Option<String>,
    /// `referralSource`.
    pub source: Option<ReferralSource>,
    /// `quality`.
    pub quality: Option<Quality>,
    /// Of the record, else as posthorn determined it.
    pub email_validity: Option<EmailValidity>,
    /// Likewise.
    pub phone_validity: Option<PhoneValidity>,
    /// The customer's name, folded.
    pub customer: String,
    /// Whether that name is a person's, so that it is contact data.
    pub is_person: bool,
    /// What free text finds the lead by, folded.
    pub words: String,
    /// What free text finds it by while its contact data is shown, folded.
    pub contact_words: String,
}

impl Facets {
    /// Returns a lead's facets.
    pub fn of(lead: &Lead) -> Self {
        let shown = lead.said();
        let is_person = show::people(&shown).any(|name| show::is_same_name(&name, &lead.customer));
        let words = [
            Some(lead.id.as_str()),
            Some(lead.partner_id.as_str()),
            text(&shown, "organizationName"),
            text(&shown, "name"),
            text(&shown, "engagementId"),
            text(&shown, "externalReferenceId"),
            text_at(&shown, "/customerProfile/address/city"),
            text_at(&shown, "/customerProfile/address/state"),
            text_at(&shown, "/details/notes"),
            (!is_person).then_some(lead.customer.as_str()),
        ];
        let offers = elements(&shown, "/target").filter_map(|target| text_of(target, "id"));
        let address = ["addressLine1", "addressLine2", "postalCode"]
            .map(|key| show::pointer(&shown, "/customerProfile/address").and_then(|address| text_of(address, key)));
        let people = elements(&shown, "/customerProfile/team")
            .flat_map(|person| ["firstName", "lastName", "email", "phoneNumber"].map(|key| text_of(person, key)));
        Self {
            tab: tab(&shown),
            origin: origin(&shown),
            call_to_action: one_of(&shown, "callToAction"),
            country: text_at(&shown, "/customerProfile/address/country").map(country_key),
            source: one_of(&shown, "referralSource"),
            quality: one_of(&shown, "quality"),
            email_validity: one_of(&shown, "emailValidity"),
            phone_validity: one_of(&shown, "phoneValidity"),
            customer: fold(&lead.customer),
            is_person,
            words: joined(words.into_iter().flatten().chain(offers)),
            contact_words: joined(
                people
                    .flatten()
                    .chain(address.into_iter().flatten())
                    .chain(is_person.then_some(lead.customer.as_str())),
            ),
        }
    }

    /// Returns what a list by customer sorts this lead by at `now`: a hidden name is not told by its place.
    pub fn customer_at(&self, lead: &Lead, now: Timestamp) -> String {
        if self.is_person && lead.is_contact_hidden_at(now) {
            HIDDEN.to_owned()
        } else {
            self.customer.clone()
        }
    }
}

/// Returns text as it is compared and searched: without case, accents and forms of the same letter, blanks as one.
///
/// ```
/// use posthorn::lead::facets::fold;
/// assert_eq!(fold("  Müller &\tSÖHNE"), "muller & sohne");
/// ```
pub fn fold(text: &str) -> String {
    // Most texts are ASCII, where a letter has no other forms.
    if text.is_ascii() {
        let words: Vec<&str> = text.split_whitespace().collect();
        return words.join(" ").to_ascii_lowercase();
    }
    let folded: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a country as it is compared: its alpha-2 code, else its name, folded.
pub fn country_key(text: &str) -> String {
    country::alpha_2(text).map_or_else(|| fold(text), str::to_owned)
}

/// `R-TABS`
fn tab(record: &Map<String, Value>) -> Option<Tab> {
    match one_of(record, "qualification").unwrap_or(Qualification::Direct) {
        Qualification::MarketingQualified | Qualification::SalesQualified => Some(Tab::Qualified),
        Qualification::Direct => origin(record).map(|_| Tab::Marketplace),
    }
}

/// Returns where a record says that it came from, by the first target that says so; a location counts before an offer, as in `R-KIND`.
pub(super) fn origin(record: &Map<String, Value>) -> Option<Origin> {
    let kinds = || elements(record, "/target").filter_map(|target| target_kind(text_of(target, "type")?));
    if kinds().any(|kind| kind == TargetKind::BusinessProfileLocation) {
        return Some(Origin::Profile);
    }
    kinds().next().map(|_| Origin::Offer)
}

fn target_kind(word: &str) -> Option<TargetKind> {
    crate::lead::values::TargetType::find(word).map(|found| found.kind())
}

fn one_of<T: OneOf>(record: &Map<String, Value>, key: &str) -> Option<T> {
    T::find(text(record, key)?)
}

fn text<'a>(record: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    record.get(key)?.as_str()
}

fn text_at<'a>(record: &'a Map<String, Value>, pointer: &str) -> Option<&'a str> {
    show::pointer(record, pointer)?.as_str()
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn elements<'a>(record: &'a Map<String, Value>, pointer: &str) -> impl Iterator<Item = &'a Value> {
    show::pointer(record, pointer).and_then(Value::as_array).into_iter().flatten()
}

/// Folds texts into one, a line each, so that no search spans two of them.
fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut all = texts.map(fold).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    all.truncate(all.floor_char_boundary(WORDS_MAX));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lead::model::tests::lead_at;

    fn facets(record: Value) -> Facets {
        let mut lead = lead_at("2026-03-02T00:00:00Z");
        if let Some(name) = record.pointer("/customerProfile/name").and_then(Value::as_str) {
            name.clone_into(&mut lead.customer);
        }
        lead.record = record.to_string();
        Facets::of(&lead)
    }

    /// `R-TABS`
    #[test]
    fn a_tab_follows_from_qualification_and_origin() {
        for (record, tab, origin) in [
            (json!({}), None, None),
            (
                json!({"target": [{"type": "offer", "id": "o"}]}),
                Some(Tab::Marketplace),
                Some(Origin::Offer),
            ),
            (
                json!({"target": [{"type": "SolutionProfile"}, {"type": "BusinessProfileLocation"}]}),
                Some(Tab::Marketplace),
                Some(Origin::Profile),
            ),
            (json!({"qualification": "SalesQualified"}), Some(Tab::Qualified), None),
            (
                json!({"qualification": "MarketingQualified", "target": [{"type": "offer"}]}),
                Some(Tab::Qualified),
                Some(Origin::Offer),
            ),
        ] {
            let found = facets(record.clone());
            assert_eq!((found.tab, found.origin), (tab, origin), "{record}");
        }
    }

    /// `R-EXPIRY`: what is hidden finds nothing.
    #[test]
    fn contact_data_is_kept_apart_from_what_always_finds_a_lead() {
        let found = facets(json!({
            "name": "Café roll-out",
            "customerProfile": {"name": "Ada Byron", "address": {"city": "Zürich", "addressLine1": "Market Street 1", "country": "che"},
                "team": [{"firstName": "Ada", "lastName": "Byron", "email": "ada@fabrikam.example", "phoneNumber": "+41 44 000"}]},
        }));
        assert!(found.is_person);
        assert_eq!(found.words, "l1\ncontoso\ncafe roll-out\nzurich");
        assert_eq!(
            found.contact_words,
            "ada\nbyron\nada@fabrikam.example\n+41 44 000\nmarket street 1\nada byron"
        );
        assert_eq!(found.country.as_deref(), Some("CH"));
        let mut lead = lead_at("2026-03-02T00:00:00Z");
        let (before, after) = ("2026-03-03T00:00:00Z", "2026-03-16T00:00:00Z");
        assert_eq!(found.customer_at(&lead, before.parse().expect("a literal")), "ada byron");
        assert_eq!(found.customer_at(&lead, after.parse().expect("a literal")), HIDDEN);
        lead.stage = crate::lead::Stage::Won;
        assert_eq!(found.customer_at(&lead, after.parse().expect("a literal")), "ada byron");
    }
}
