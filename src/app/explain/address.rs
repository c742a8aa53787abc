//! The story of an address: whose it is, whether mail reaches it, what it got.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Rules;
use crate::app::explain::told::{Mail, mails};
use crate::app::explain::{Decision, when};
use crate::app::known::Known;
use crate::partner::{EmailAddress, Partner, PartnerId, Zone};
use crate::policy::Rung;
use crate::store::deliveries::{Filter, list_deliveries};
use crate::store::history::list_of_address as list_history;
use crate::store::partners::list_of_addresses;
use crate::store::suppressions::{find_suppression, list_opt_outs_of_address};
use crate::store::{Error, Tx};
use crate::time::Timestamp;

/// Mails and decisions that a story lists.
const LISTED_MAX: i64 = 20;
/// Partners that are looked at: an address stands in one or two records, a forwarder's in hundreds.
const PARTNERS_MAX: usize = 1000;

/// Everything about one address.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressStory {
    /// Whether mail goes there, or why not, in a sentence or two.
    pub verdict: String,
    /// The address as it is compared: lower-cased, IDNA-encoded.
    pub address: EmailAddress,
    /// Why no mail goes there at all, where it is suppressed.
    pub suppression: Option<SuppressionFacts>,
    /// Partners whose record names it.
    pub partners: Vec<Use>,
    /// Partners from whose mail it has unsubscribed.
    pub opt_outs: Vec<OptOutFacts>,
    /// The latest mails.
    pub deliveries: Vec<Mail>,
    /// The latest decisions about it, oldest first.
    pub decisions: Vec<Decision>,
}

/// A suppression.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionFacts {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
    /// The reply's text, or what a person said.
    pub detail: String,
    /// Who, where it was somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What an address is to a partner.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// Whose record names it.
    pub partner_id: PartnerId,
    /// As what: one rung or more.
    pub rungs: Vec<Rung>,
    /// Whether it is mailed about the partner's leads now.
    pub is_mailed: bool,
    /// Why, or why not.
    pub why: String,
}

/// An opt-out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptOutFacts {
    /// From whose mail.
    pub partner_id: PartnerId,
    /// Since when.
    pub since: Timestamp,
    /// By which mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<i64>,
}

/// Tells the story of an address; `None` where nothing is known of it.
pub(super) async fn story(tx: &mut Tx, now: Timestamp, rules: &Rules, address: &EmailAddress) -> Result<Option<AddressStory>, Error> {
    let suppression = find_suppression(tx, address).await?;
    let named: BTreeSet<PartnerId> = list_of_addresses(tx, [address])
        .await?
        .into_iter()
        .map(|(id, _)| id)
        .take(PARTNERS_MAX)
        .collect();
    let mut known = Known::default();
    known.read_more(tx, &named).await?;
    let opt_outs = list_opt_outs_of_address(tx, address).await?;
    let filter = Filter {
        address: Some(address.clone()),
        ..Filter::default()
    };
    let latest = list_deliveries(tx, &filter, i64::MAX, LISTED_MAX).await?;
    if suppression.is_none() && named.is_empty() && opt_outs.is_empty() && latest.is_empty() {
        return Ok(None);
    }
    let mut decisions = list_history(tx, address, LISTED_MAX).await?;
    decisions.reverse();
    let uses = named
        .iter()
        .filter_map(|id| known.partner(id).map(|partner| use_of(address, partner, &known, rules)));
    let mut story = AddressStory {
        verdict: String::new(),
        address: address.clone(),
        suppression: suppression.map(|found| SuppressionFacts {
            since: found.created_at,
            reason: found.reason,
            detail: found.detail,
            by: found.actor,
        }),
        partners: uses.collect(),
        opt_outs: opt_outs
            .into_iter()
            .map(|out| OptOutFacts {
                partner_id: out.partner_id,
                since: out.at,
                delivery_id: out.delivery_id,
            })
            .collect(),
        deliveries: mails(tx, now, rules, latest).await?.into_iter().map(|(_, mail)| mail).collect(),
        decisions: decisions.into_iter().map(Decision::from).collect(),
    };
    story.verdict = story.judge();
    Ok(Some(story))
}

/// Says whether an address is mailed about a partner's leads: in general, or where they target a location of its own.
fn use_of(address: &EmailAddress, partner: &Partner, known: &Known, rules: &Rules) -> Use {
    let is_in = |mailboxes: &[crate::partner::record::Mailbox]| mailboxes.iter().any(|mailbox| mailbox.email == *address);
    let mut rungs = Vec::new();
    if is_in(&partner.preferred_emails) {
        rungs.push(Rung::Preferred);
    }
    if partner.locations.iter().any(|location| is_in(&location.contacts)) {
        rungs.push(Rung::Profile);
    }
    if is_in(&partner.admins) {
        rungs.push(Rung::Admins);
    }
    let places = std::iter::once(None).chain(partner.locations.iter().map(|location| Some(location.id.as_str())));
    let mut why = None;
    for place in places {
        let recipients = known.resolve(&partner.id, place, &rules.policy);
        let at = place.map(|place| format!(" that target the location {place}")).unwrap_or_default();
        if recipients.told.iter().any(|mailbox| mailbox.email == *address) {
            return Use {
                partner_id: partner.id.clone(),
                rungs,
                is_mailed: true,
                why: format!("mailed about its leads{at}, as {}", recipients.rung.map(role).unwrap_or_default()),
            };
        }
        if let Some((_, silence)) = recipients.silenced.iter().find(|(silenced, _)| silenced == address) {
            why = Some(format!("it {} and gets none", silence.as_str()));
        } else if recipients.suppressed.contains(address) {
            why = Some("it is suppressed, so it counts as absent".to_owned());
        } else if let Some(rung) = recipients.rung.filter(|_| why.is_none()) {
            why = Some(format!("the partner's {} alone, before all others", first(rung)));
        }
    }
    Use {
        partner_id: partner.id.clone(),
        rungs,
        is_mailed: false,
        why: why.unwrap_or_else(|| "no rung in force names it".to_owned()),
    }
}

/// What an address is by which it is mailed.
fn role(rung: Rung) -> &'static str {
    match rung {
        Rung::Preferred => "preferred e-mail",
        Rung::Profile => "contact of the business profile",
        Rung::Admins => "referral admin",
    }
}

/// Who is mailed instead.
fn first(rung: Rung) -> &'static str {
    match rung {
        Rung::Preferred => "preferred e-mail is mailed",
        Rung::Profile => "contacts of the business profile are mailed",
        Rung::Admins => "referral admins are mailed",
    }
}

impl AddressStory {
    fn judge(&self) -> String {
        let address = &self.address;
        let mut sentences = Vec::new();
        if let Some(suppression) = &self.suppression {
            sentences.push(format!(
                "No mail goes to {address}: it is suppressed since {} ({}): {}.",
                when(suppression.since, Zone::UTC),
                suppression.reason,
                suppression.detail.trim_end_matches('.')
            ));
        } else if self.partners.is_empty() {
            sentences.push(format!("No partner's record names {address}, so it is mailed about no leads."));
        } else {
            for used in self.partners.iter().take(3) {
                let not = if used.is_mailed { "" } else { "not mailed about its leads: " };
                sentences.push(format!("For the partner {}, {address} is {not}{}.", used.partner_id, used.why));
            }
            if self.partners.len() > 3 {
                sentences.push(format!("{} more partners name it.", self.partners.len() - 3));
            }
        }
        let sent = self.deliveries.iter().find(|mail| mail.state == "sent");
        match (sent, self.deliveries.first()) {
            (Some(mail), _) => {
                let at = mail.finished_date_time.map(|at| when(at, Zone::UTC)).unwrap_or_default();
                sentences.push(format!("The last mail ({}) was sent on {at}.", mail.kind));
            }
            (None, Some(mail)) => sentences.push(format!(
                "None of its latest mails was sent; the last one is {}.",
                mail.state.replace('_', " ")
            )),
            (None, None) => sentences.push("Nothing was ever mailed to it.".to_owned()),
        }
        sentences.join(" ")
    }
}
