//! A partner answers a lead: accepts, declines, wins, loses it, or edits an accepted deal (`R-STAGES`, `R-ACCEPT`, `R-DECLINE`).

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value, json};
use utoipa::ToSchema;

use crate::app::known::Known;
use crate::app::withdraw::withdraw;
use crate::app::{Error, Rules, Wrong, about_lead, lead_item};
use crate::lead::kind::Kind;
use crate::lead::show::first_usable_contact;
use crate::lead::{Lead, LeadId, Stage};
use crate::outbox::Kind as NoticeKind;
use crate::store::facets::put_facets;
use crate::store::history::{Entry, insert_history};
use crate::store::items::update_items;
use crate::store::leads::{StateChange, find_lead, update_states};
use crate::store::notices::{NewNotice, insert_notices};
use crate::store::partners::lock_partners;
use crate::store::{Store, Tx};
use crate::tag::IfMatch;
use crate::time::{LocalDay, Timestamp};

/// What a partner says of a deal (`R-ACCEPT`); what is `None` or empty says nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Terms {
    /// The deal's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deal_name: Option<String>,
    /// Estimated or final value; never without a currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, example = 12500)]
    pub deal_value: Option<Number>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "upper_case")]
    #[schema(pattern = "^[A-Za-z]{3}$", example = "EUR")]
    pub currency: Option<String>,
    /// When the deal is expected to close; of a date alone, its beginning in UTC.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "instant_or_day")]
    #[schema(value_type = Option<String>, example = "2026-12-31")]
    pub closing_date_time: Option<Timestamp>,
    /// The partner's notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Who works on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub team: Vec<Colleague>,
    /// Who else is to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub colleagues: Vec<Colleague>,
    /// The partner's own id of the deal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crm_id: Option<String>,
    /// The campaign that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<String>,
    /// What an edit takes away, by the names above.
    #[serde(skip)]
    pub cleared: BTreeSet<String>,
}

/// Reads a currency in any case, as the command line does.
pub fn upper_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let code: Option<String> = Option::deserialize(deserializer)?;
    Ok(code.map(|code| code.to_uppercase()))
}

/// Reads an instant or, as the command line does, a date.
fn instant_or_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    if let Some(day) = LocalDay::parse(&text) {
        return Ok(Some(day.beginning_in_utc()));
    }
    let wrong = |wrong| serde::de::Error::custom(format_args!("{wrong}, nor a date such as 2026-12-31"));
    text.parse().map(Some).map_err(wrong)
}

/// Where the notes of a deal stand whose end has notes of its own.
const DEAL_NOTES: &str = "dealNotes";

/// From here on a number is not carried through every reader of JSON unchanged, and no deal.
const DEAL_VALUE_END: f64 = 1e15;

impl Terms {
    /// Returns everything that makes no sense whatever the lead is.
    fn wrongs(&self) -> Vec<Wrong> {
        let mut wrongs = Vec::new();
        let mut say = |pointer: String, detail: &str| {
            wrongs.push(Wrong {
                pointer,
                detail: detail.to_owned(),
            });
        };
        let value = self.deal_value.as_ref().and_then(Number::as_f64);
        if value.is_some_and(|value| !(0.0..DEAL_VALUE_END).contains(&value)) {
            say("/dealValue".to_owned(), "a value is 0 or more, with 15 digits at most");
        }
        let is_code = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.currency.as_deref().is_some_and(|code| !is_code(code)) {
            let code = self.currency.as_deref().unwrap_or_default();
            say(
                "/currency".to_owned(),
                &format!("a currency is a code of three letters such as EUR, not {code:?}"),
            );
        }
        for (list, people) in [("team", &self.team), ("colleagues", &self.colleagues)] {
            let nameless = people.iter().enumerate().filter(|(_, person)| person.name.trim().is_empty());
            nameless.for_each(|(at, _)| say(format!("/{list}/{at}/name"), "somebody has no name"));
        }
        wrongs
    }
}

/// Somebody of the partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Colleague {
    /// First and last name.
    #[schema(min_length = 1, pattern = "\\S", example = "Ada Lovelace")]
    pub name: String,
    /// With country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// As given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Received → Accepted.
    Accept(Terms),
    /// Received → Declined.
    Decline {
        /// Why; never told to the customer.
        reason: String,
        /// Never told to the customer either.
        notes: Option<String>,
        /// Whether the customer is asked to choose another partner.
        notify_customer: bool,
    },
    /// Accepted → Won.
    Won(Terms),
    /// Accepted → Lost.
    Lost(Terms),
    /// Accepted stays Accepted.
    Edit(Terms),
}

impl Action {
    fn wanted(&self) -> (Stage, Option<Stage>, &'static str, &'static str) {
        match self {
            Self::Accept(_) => (Stage::Received, Some(Stage::Accepted), "accepted", "R-ACCEPT"),
            Self::Decline { .. } => (Stage::Received, Some(Stage::Declined), "declined", "R-DECLINE"),
            Self::Won(_) => (Stage::Accepted, Some(Stage::Won), "won", "R-STAGES"),
            Self::Lost(_) => (Stage::Accepted, Some(Stage::Lost), "lost", "R-STAGES"),
            Self::Edit(_) => (Stage::Accepted, None, "edited", "R-ACCEPT"),
        }
    }
}

/// Answers a lead, and returns it as it is then. With tags ([`Lead::tag`]) only if the lead is still what whoever answers has seen.
///
/// # Errors
/// There is no such lead, its stage forbids the answer, it has changed, the terms make no sense, or the database cannot record it.
pub async fn answer(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    id: &LeadId,
    action: &Action,
    if_match: &IfMatch,
    by: Option<&str>,
) -> Result<Lead, Error> {
    let mut tx = store.begin().await?;
    let unknown = || Error::not_found(format!("there is no lead {id}"));
    let partner_id = find_lead(&mut tx, id).await?.ok_or_else(unknown)?.partner_id;
    let partners = BTreeSet::from([partner_id]);
    lock_partners(&mut tx, &partners).await?;
    // Read again: whoever held the lock may have moved it.
    let mut lead = find_lead(&mut tx, id).await?.ok_or_else(unknown)?;
    refuse(now, &lead, action)?;
    if !if_match.fits(Some(&lead.tag())) {
        return Err(Error::Stale(format!(
            "lead {id} has changed since it was read; read it again, and answer what it says then"
        )));
    }
    let said = said(&lead, action)?;
    let mut known = Known::default();
    known.read_more(&mut tx, &partners).await?;

    let was = lead.stage;
    if was == Stage::Received {
        lead.cool_until(now);
    }
    if let (_, Some(stage), ..) = action.wanted() {
        lead.stage = stage;
        lead.stage_since = now;
    }
    lead.answer = Some(Value::Object(with_stamp(said, &lead)).to_string());
    if was == Stage::Received {
        let mut leads = [lead];
        withdraw(&mut tx, now, &mut leads, "the lead was answered before it was mailed").await?;
        [lead] = leads;
    }
    update_states(&mut tx, &[StateChange::new(&lead, was)]).await?;
    // The partner may call the deal otherwise.
    put_facets(&mut tx, [&lead]).await?;
    let mut history = vec![entry(now, &lead, action, by)];
    if let Action::Decline { notify_customer, .. } = action {
        history.push(tell_customer(&mut tx, now, &lead, *notify_customer).await?);
    }
    update_items(
        &mut tx,
        now,
        &[lead_item(&lead, now, known.partner(&lead.partner_id), rules)],
        rules.posts_items,
    )
    .await?;
    insert_history(&mut tx, &history).await?;
    tx.commit().await?;
    Ok(lead)
}

/// Refuses an answer that the lead's stage forbids, with the state that it has (`R-STAGES`).
fn refuse(now: Timestamp, lead: &Lead, action: &Action) -> Result<(), Error> {
    let (from, _, done, _) = action.wanted();
    if let Some(erased_at) = lead.erased_at {
        return Err(Error::Refused(format!(
            "lead {} was erased at {erased_at}; nothing can be said of it any more",
            lead.id
        )));
    }
    if lead.kind == Kind::Informational {
        return Err(Error::Refused(format!(
            "lead {} is informational: nobody has to answer it, so it has no stages",
            lead.id
        )));
    }
    let stage = lead.stage_at(now);
    if stage != from {
        let since = lead.stage_since_at(now);
        return Err(Error::Refused(format!(
            "lead {} is {stage} since {since}; only a lead in {from} can be {done}",
            lead.id
        )));
    }
    Ok(())
}

/// Lays what is said now over what was said before.
fn said(lead: &Lead, action: &Action) -> Result<Map<String, Value>, Error> {
    let mut said: Map<String, Value> = lead
        .answer
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    match action {
        Action::Accept(terms) | Action::Won(terms) | Action::Lost(terms) | Action::Edit(terms) => {
            let wrongs = terms.wrongs();
            if !wrongs.is_empty() {
                return Err(Error::Input(wrongs));
            }
            if matches!(action, Action::Edit(_)) && *terms == Terms::default() {
                return Err(Error::wrong("", "nothing is named that is to change"));
            }
            if matches!(action, Action::Won(_) | Action::Lost(_))
                && terms.notes.is_some()
                && let Some(notes) = said.shift_remove("notes").filter(Value::is_string)
            {
                // Why it ended so is another thing than what was noted of the deal.
                said.insert(DEAL_NOTES.into(), notes);
            }
            // Null hides what the record says, too; without an entry, that would show again.
            said.extend(terms.cleared.iter().map(|key| (key.clone(), Value::Null)));
            if let Value::Object(terms) = json!(terms) {
                said.extend(terms);
            }
            give_currency(&mut said, lead)?;
        }
        Action::Decline { reason, notes, .. } => {
            if reason.trim().is_empty() {
                return Err(Error::wrong("/reason", "a decline needs a reason, such as \"no capacity\""));
            }
            said.insert("reason".into(), reason.clone().into());
            if let Some(notes) = notes {
                said.insert("notes".into(), notes.clone().into());
            }
        }
    }
    Ok(said)
}

/// Sees to it that a value has a currency of its own: the record's, where nobody said one, may be another one tomorrow.
fn give_currency(said: &mut Map<String, Value>, lead: &Lead) -> Result<(), Error> {
    if said.get("dealValue").is_none_or(Value::is_null) || said.get("currency").is_some_and(Value::is_string) {
        return Ok(());
    }
    let kept = lead.record_json();
    let currency = kept.get("details").and_then(|details| details.get("currency"));
    match currency.filter(|code| code.is_string() && !said.contains_key("currency")) {
        Some(code) => said.insert("currency".into(), code.clone()),
        None => {
            return Err(Error::wrong(
                "/currency",
                "a value needs its currency, a code of three letters such as EUR",
            ));
        }
    };
    Ok(())
}

/// Notes when the lead was accepted: now, or, where the portal's record said so, then; an edit of what was said does not move that.
fn with_stamp(mut said: Map<String, Value>, lead: &Lead) -> Map<String, Value> {
    if lead.stage == Stage::Accepted && !said.contains_key("acceptedDateTime") {
        said.insert("acceptedDateTime".into(), lead.stage_since.to_string().into());
    }
    said
}

fn entry(now: Timestamp, lead: &Lead, action: &Action, by: Option<&str>) -> Entry {
    let (_, _, done, rule) = action.wanted();
    let who = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let event = match action {
        Action::Decline { reason, .. } => format!("declined{who}: {reason}"),
        Action::Accept(_) | Action::Won(_) | Action::Lost(_) | Action::Edit(_) => format!("{done}{who}"),
    };
    let mut entry = about_lead(now, lead, rule, event, json!({}));
    entry.actor = by.map(str::to_owned);
    entry
}

/// Has the customer asked to choose another partner, unless he or the partner does not want that (`R-DECLINE`).
async fn tell_customer(tx: &mut Tx, now: Timestamp, lead: &Lead, notify_customer: bool) -> Result<Entry, crate::store::Error> {
    let say = |event: &str| about_lead(now, lead, "R-DECLINE", event, json!({}));
    if !notify_customer {
        return Ok(say("the customer is not mailed: the partner asked for that"));
    }
    if lead.kind != Kind::Contact {
        return Ok(say("the customer is not mailed: nobody is told of this lead"));
    }
    let Some(contact) = first_usable_contact(&lead.record_json()) else {
        return Ok(say(
            "the customer is not mailed: the lead has no contact with an address that mail can be sent to",
        ));
    };
    if contact.disable_notifications {
        return Ok(say("the customer is not mailed: the contact has disableNotifications set"));
    }
    let notice = NewNotice {
        kind: NoticeKind::Decline,
        subject: lead.id.as_str().to_owned(),
        partner_id: lead.partner_id.clone(),
        lead_id: Some(lead.id.clone()),
        digest_id: None,
        due_at: now,
    };
    insert_notices(tx, now, &[notice]).await?;
    Ok(say(
        "the customer is asked to choose another partner, without the partner's reason or notes",
    ))
}
