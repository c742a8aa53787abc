//! What a template may say: the values that the delivery room hands over, as plain text in the receiver's language and zone.
//!
//! Lead text is written by strangers. Each field says here how it is made harmless on its way into a template (`clean`), so that neither the
//! builder of a view nor the author of a template can forget it: names on one line and within their own direction, notes without control
//! characters, links without blanks.
//! HTML escaping comes on top, from the engine.
//!
//! Text that is missing does not reach a template: `{% if lead.deal %}` asks for it, and printing it without asking is a fault that the sample
//! with little to say shows. What has fields (`lead.contact`) is `none` where it is missing, so that `{% if lead.contact.email %}` may ask.

use serde::{Deserialize, Deserializer, Serialize};

use crate::template::clean;
use crate::time::Timestamp;

/// Everything that a mail of any kind can mention; what a kind has no use for stays at its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The partner portal.
    pub portal: Portal,
    /// To whom this one message goes.
    pub recipient: Recipient,
    /// lead, digest, reminder: the partner that received the leads. expiry: the partner that sent them, `None` for the lead desk.
    /// decline: the partner that declined.
    pub partner: Option<PartnerView>,
    /// lead, decline: the lead.
    pub lead: Option<LeadView>,
    /// digest, reminder, expiry: the leads that are listed, in their order.
    pub leads: Vec<LeadView>,
    /// digest: leads mailed singly today and still unanswered.
    pub mailed: Vec<LeadView>,
    /// digest, reminder, expiry: how many leads there are, listed or not.
    pub n_leads: usize,
    /// How many of them are urgent.
    pub n_urgent: usize,
    /// How many are listed: the length of `leads`.
    pub n_listed: usize,
    /// How many are not listed: `n_leads - n_listed`.
    pub n_more: usize,
    /// digest: whether a CSV of all leads is attached ([`super::digest_csv`]); true as well where rendering lists fewer than it was given.
    pub has_attachment: bool,
    /// Where the receiver unsubscribes; `None` for transactional mail (`R-OPTOUT`).
    #[serde(serialize_with = "clean::maybe_link", skip_serializing_if = "clean::is_nothing")]
    pub unsubscribe_url: Option<String>,
    /// lead: the address of whoever sent the lead on to the receiver; `None` where he gets it by right.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub forwarded_by: Option<String>,
}

/// The partner portal, as configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Portal {
    /// Shown at the head of a mail.
    #[serde(serialize_with = "clean::line")]
    pub name: String,
    /// Its front page.
    #[serde(serialize_with = "clean::link")]
    pub url: String,
}

/// To whom a message goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipient {
    /// Used in the greeting.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub name: Option<String>,
    /// Named in the footer.
    #[serde(serialize_with = "clean::line")]
    pub address: String,
}

/// A partner, as a mail names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartnerView {
    /// Its `organizationId`.
    #[serde(serialize_with = "clean::word")]
    pub id: String,
    /// Its name, or its id where it has none.
    #[serde(serialize_with = "clean::line")]
    pub name: String,
}

/// A lead, as a mail names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeadView {
    /// Its id.
    #[serde(serialize_with = "clean::word")]
    pub id: String,
    /// The customer's name.
    #[serde(serialize_with = "clean::line")]
    pub customer: String,
    /// The deal's name.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub deal: Option<String>,
    /// expiry: the partner that did not answer.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub partner: Option<String>,
    /// `urgent` or `cooled` (`R-URGENT`).
    #[serde(deserialize_with = "urgency", skip_serializing_if = "Option::is_none")]
    pub urgency: Option<Word>,
    /// When it came, by [`Formats::instant`](super::Formats::instant).
    pub created: String,
    /// When it expires or expired, by [`Formats::instant`](super::Formats::instant).
    pub due: String,
    /// How much time is left, by [`days_left`].
    pub days_left: i64,
    /// The deep link into the portal; whatever of it comes from a record is percent-encoded already.
    #[serde(serialize_with = "clean::link")]
    pub link: String,
    /// The customer's contact; `None` where it is hidden (`R-EXPIRY`).
    pub contact: Option<ContactView>,
    /// What the customer or the sender wrote; may have several lines.
    #[serde(serialize_with = "clean::maybe_lines", skip_serializing_if = "clean::is_nothing")]
    pub notes: Option<String>,
    /// The customer's country.
    #[serde(serialize_with = "clean::maybe_word", skip_serializing_if = "clean::is_nothing")]
    pub country: Option<String>,
    /// `referralSource`, as on the wire; the templates have words for the known ones.
    #[serde(serialize_with = "clean::maybe_word", skip_serializing_if = "clean::is_nothing")]
    pub source: Option<String>,
    /// `callToAction`, as on the wire; the templates have words for the known ones.
    #[serde(serialize_with = "clean::maybe_word", skip_serializing_if = "clean::is_nothing")]
    pub call_to_action: Option<String>,
    /// The deal's value with its currency, by [`Formats::amount`](super::Formats::amount).
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub value: Option<String>,
    /// Whether the lead is flagged as likely spam (`R-VERIFY`).
    pub is_spam: bool,
    /// lead, digest, reminder: the pages where the receiver answers; `None` where he does so in the portal (`mail.answer_links`).
    pub answers: Option<AnswersView>,
}

/// Where a lead is answered from its mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswersView {
    /// The page to accept it.
    #[serde(serialize_with = "clean::link")]
    pub accept: String,
    /// The page to decline it.
    #[serde(serialize_with = "clean::link")]
    pub decline: String,
    /// The page to send it on to a colleague.
    #[serde(serialize_with = "clean::link")]
    pub forward: String,
}

/// Whom to contact at the customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactView {
    /// First and last name.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub name: Option<String>,
    /// As written in the record.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub email: Option<String>,
    /// As written in the record.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub phone: Option<String>,
}

/// A word of ours, not of the data's. By a name of its own, since serde would borrow a bare `&str` from what it reads.
pub type Word = &'static str;

fn urgency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None => Ok(None),
        Some("urgent") => Ok(Some("urgent")),
        Some("cooled") => Ok(Some("cooled")),
        Some(other) => Err(serde::de::Error::custom(format_args!("\"{other}\" is not one of urgent, cooled"))),
    }
}

/// Returns how many days are left until `due`, begun ones counted: 14 right after a lead came that expires in 14 × 24 h, 1 within the last
/// 24 hours, 0 from the due instant on.
///
/// Rounded up, because a mail is rendered moments after the instant that it counts from: rounded down, a new lead would show 13.
pub fn days_left(now: Timestamp, due: Timestamp) -> i64 {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let left_ms = due.as_millis().saturating_sub(now.as_millis()).max(0);
    left_ms / DAY_MS + i64::from(left_ms % DAY_MS > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_days_count_and_nothing_is_left_at_the_due_instant() {
        let due = "2026-03-15T00:00:00Z".parse().unwrap();
        let cases = [
            ("2026-03-01T00:00:00Z", 14, "exactly 14 × 24 h"),
            ("2026-03-01T00:00:00.001Z", 14, "a millisecond later"),
            ("2026-03-13T23:59:59.999Z", 2, "a millisecond more than a day"),
            ("2026-03-14T00:00:00Z", 1, "exactly a day"),
            ("2026-03-14T23:59:59.999Z", 1, "the last millisecond"),
            ("2026-03-15T00:00:00Z", 0, "due"),
            ("2026-03-20T00:00:00Z", 0, "past"),
        ];
        for (now, days, why) in cases {
            assert_eq!(days_left(now.parse().unwrap(), due), days, "{why}");
        }
    }
}
