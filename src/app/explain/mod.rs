//! Tells why somebody was mailed, or was not: of a lead, a partner or an address, with a verdict in one sentence.
//!
//! What was decided is read from the history with its rule; only what will happen next is worked out anew, by the very functions that will decide it.
//!
//! **Not here:** how a story is laid out (`cli`); it goes out as JSON as it stands.

mod address;
mod lead;
mod partner;
mod told;

pub use address::AddressStory;
pub use lead::DigestFacts;
pub use lead::{LeadStory, deliveries_about};
pub use partner::{AtLocation, PartnerStory, Recipient, Silenced, Since, WhoIsTold, story as partner_story, who_is_told};
pub use told::{Mail, Told, mail_of, tell};

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{Error, Rules};
use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::partner::{EmailAddress, PartnerId, Zone};
use crate::store::history::Entry;
use crate::store::leads::find_lead;
use crate::store::rejected::list_newest;
use crate::store::resources::{Resource, list_of_id};
use crate::store::{Store, Tx};
use crate::time::Timestamp;

/// All that a partner is told of who hears of an expiry.
const SENDER_IS_TOLD: &str = "its sender is told";

/// Open rejected records that are searched for an id.
const REJECTED_MAX: i64 = 500;

/// Everything that is known of what was asked.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stories {
    /// The lead of that id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead: Option<LeadStory>,
    /// The partner of that id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerStory>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressStory>,
    /// Rejected records that name it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedStory>,
    /// Resources of that id which the portal's webhook named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceStory>,
}

/// A resource that the portal's webhook named.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStory {
    /// Its address.
    pub uri: String,
    /// Name of the newest event.
    pub event: String,
    /// When that came.
    pub known_date_time: Timestamp,
    /// `known`, `fetched` or `failed`.
    pub state: String,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_date_time: Option<Timestamp>,
    /// How often it was tried since.
    pub attempts: i64,
    /// How the last try went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A record that could not be taken in.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectedStory {
    /// As `rejected show` takes it.
    pub id: i64,
    /// File, or the way it came.
    pub source: String,
    /// Line, or place in the list.
    pub line: i64,
    /// When.
    pub received_date_time: Timestamp,
    /// All that is wrong with it.
    pub faults: Vec<String>,
}

/// A decision, as the history has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When.
    pub date_time: Timestamp,
    /// The rule's tag.
    pub rule: String,
    /// What happened.
    pub event: String,
    /// Who did it, where it was somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Something that will happen by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// When; `None`: as soon as something else happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_time: Option<Timestamp>,
    /// What.
    pub what: String,
}

/// Explains a lead's id, a partner's id or an address at `now`; `wall_now` tells whether a worker lives. With `partner`, only what is that partner's,
/// and of a lead of his only what he was told himself.
///
/// # Errors
/// Nothing is known of it, or the database cannot be read.
pub async fn explain(
    store: &Store,
    now: Timestamp,
    wall_now: Timestamp,
    rules: &Rules,
    what: &str,
    partner: Option<&PartnerId>,
) -> Result<Stories, Error> {
    let mut tx = store.snapshot().await?;
    let mut stories = Stories::default();
    let is_open = |id: &PartnerId| partner.is_none_or(|partner| partner == id);
    if let Some(lead) = find_lead(&mut tx, &LeadId::new(what))
        .await?
        .filter(|lead| is_open(&lead.partner_id))
    {
        stories.lead = Some(lead::story(&mut tx, now, wall_now, rules, lead, partner).await?);
    }
    let id = PartnerId::new(what);
    if is_open(&id) {
        stories.partner = partner::story(&mut tx, now, rules, &id).await?;
    }
    if partner.is_none() {
        if let Ok(address) = what.parse::<EmailAddress>() {
            stories.address = address::story(&mut tx, now, rules, &address).await?;
        }
        if stories.address.is_none() && stories.partner.is_none() {
            stories.rejected = rejected(&mut tx, what).await?;
        }
        stories.resources = list_of_id(&mut tx, what).await?.into_iter().map(ResourceStory::from).collect();
    }
    if stories.lead.is_none()
        && stories.partner.is_none()
        && stories.address.is_none()
        && stories.rejected.is_empty()
        && stories.resources.is_empty()
    {
        return Err(unknown(what));
    }
    Ok(stories)
}

/// Tells the story of a lead at `now`; with `partner`, only of one of that partner's, and only what that partner was told.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn explain_lead(
    store: &Store,
    now: Timestamp,
    wall_now: Timestamp,
    rules: &Rules,
    id: &LeadId,
    partner: Option<&PartnerId>,
) -> Result<LeadStory, Error> {
    let mut tx = store.snapshot().await?;
    let found = find_lead(&mut tx, id).await?;
    let lead = found.filter(|lead| partner.is_none_or(|partner| lead.partner_id == *partner));
    let lead = lead.ok_or_else(|| crate::app::leads::unknown(id))?;
    Ok(lead::story(&mut tx, now, wall_now, rules, lead, partner).await?)
}

/// Tells the story of a partner at `now`.
///
/// # Errors
/// Neither a record nor a lead of it ever came, or the database cannot be read.
pub async fn explain_partner(store: &Store, now: Timestamp, rules: &Rules, id: &PartnerId) -> Result<PartnerStory, Error> {
    let mut tx = store.snapshot().await?;
    let story = partner::story(&mut tx, now, rules, id).await?;
    story.ok_or_else(|| crate::app::roster::unknown(id))
}

fn unknown(what: &str) -> Error {
    if what.contains('@') {
        return Error::not_found_try(
            format!("no partner's record names {what}, nothing was ever mailed to it, and it is not suppressed"),
            format!("if a partner is to use it, `posthorn partners set-preferred-email PARTNER {what}` says so"),
        );
    }
    Error::not_found_try(
        format!("there is no lead and no partner {what}, and no rejected record names it, so nothing of that id was ever taken in"),
        "`posthorn partners list` and `posthorn rejected list` show what was",
    )
}

/// Looks for an id in the latest rejected records.
async fn rejected(tx: &mut Tx, what: &str) -> Result<Vec<RejectedStory>, Error> {
    let records = list_newest(tx, REJECTED_MAX).await?;
    let naming = records.into_iter().filter(|record| names(&record.record, what));
    Ok(naming
        .take(10)
        .map(|record| RejectedStory {
            id: record.id,
            source: record.source,
            line: record.line,
            received_date_time: record.received_at,
            faults: record.faults,
        })
        .collect())
}

/// Tells whether `what` stands in a record as a word of its own: `L1` is not in `L12`.
fn names(record: &str, what: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    record.match_indices(what).any(|(at, _)| {
        let before = record[..at].chars().next_back();
        let after = record[at + what.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

impl From<Resource> for ResourceStory {
    fn from(resource: Resource) -> Self {
        Self {
            uri: resource.uri,
            event: resource.event_name,
            known_date_time: Timestamp::from_millis(resource.known_at),
            state: resource.state,
            next_date_time: resource.due_at.map(Timestamp::from_millis),
            attempts: resource.attempt,
            detail: resource.detail,
        }
    }
}

/// Returns the decisions about a lead as `partner` may read them, where it may read no others: what its sender, the lead desk and the customer are told
/// is theirs, addresses and all.
pub fn decisions(entries: Vec<Entry>, partner: Option<&PartnerId>) -> Vec<Decision> {
    let is_open =
        |entry: &Entry| partner.is_none_or(|partner| entry.partner_id == *partner && entry.detail["kind"] != Kind::Decline.as_str());
    let shown = entries.into_iter().filter(is_open).map(Decision::from);
    shown
        .map(|mut decision| {
            let told = decision.event.split_once("; ").filter(|(_, whom)| whom.contains(" is told at "));
            if let Some((expired, _)) = told.filter(|_| partner.is_some() && decision.rule == "R-EXPIRY") {
                decision.event = format!("{expired}; {SENDER_IS_TOLD}");
            }
            decision
        })
        .collect()
}

impl From<Entry> for Decision {
    fn from(entry: Entry) -> Self {
        Self {
            date_time: entry.at,
            rule: entry.rule,
            event: entry.event,
            by: entry.actor,
        }
    }
}

/// Writes an instant in UTC and, where that differs, as the wall clock of `zone` shows it.
pub fn when(at: Timestamp, zone: Zone) -> String {
    let utc = at.to_utc().naive_utc();
    let local = zone.local(at);
    let seconds = if at.as_millis() % 60_000 == 0 { "" } else { ":%S" };
    let stamp = |time: chrono::NaiveDateTime, format: &str| time.format(format).to_string();
    let shown = stamp(utc, &format!("%Y-%m-%d %H:%M{seconds} UTC"));
    if local == utc {
        return shown;
    }
    let format = if local.date() == utc.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    format!("{shown} ({} {zone})", stamp(local, format))
}

/// Rewrites the RFC 3339 instants in a sentence of the history for people.
pub fn for_people(sentence: &str, zone: Zone) -> String {
    let words = sentence.split(' ').map(|word| {
        let core = word.trim_end_matches([',', ';', '.', ')', ':']);
        let is_instant = core.len() >= 20 && core.ends_with('Z') && core.as_bytes()[0].is_ascii_digit();
        match core.parse::<Timestamp>() {
            Ok(at) if is_instant => format!("{}{}", when(at, zone), &word[core.len()..]),
            Ok(_) | Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Joins names as people do: `a, b and c`.
fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_told_in_utc_and_on_the_partners_wall() {
        for (at, zone, told) in [
            ("2026-03-02T16:00:00Z", "UTC", "2026-03-02 16:00 UTC"),
            ("2026-03-02T16:00:05.5Z", "Europe/London", "2026-03-02 16:00:05 UTC"),
            (
                "2026-03-02T16:00:00Z",
                "Europe/Berlin",
                "2026-03-02 16:00 UTC (17:00 Europe/Berlin)",
            ),
            (
                "2026-03-02T20:00:00Z",
                "Asia/Kolkata",
                "2026-03-02 20:00 UTC (2026-03-03 01:30 Asia/Kolkata)",
            ),
        ] {
            let zone = zone.parse().expect("a zone");
            assert_eq!(when(at.parse().expect("a literal"), zone), told);
        }
        assert_eq!(
            for_people("it waits for the digest, due 2026-03-02T17:00:00.000Z; all is well.", Zone::UTC),
            "it waits for the digest, due 2026-03-02 17:00 UTC; all is well."
        );
    }

    #[test]
    fn an_id_is_found_as_a_word_of_its_own() {
        for (record, id, is_there) in [
            (r#"{"id":"L1","x":1}"#, "L1", true),
            (r#"{"id":"L12"}"#, "L1", false),
            (r#"{"id":"AL1"}"#, "L1", false),
            (r#"{"id":"L12","other":"L1"}"#, "L1", true),
            ("L1", "L1", true),
            ("ref-1-2", "ref-1", false),
        ] {
            assert_eq!(names(record, id), is_there, "{record} {id}");
        }
    }
}
