//! Mails as they are listed and shown: to whom, about what, where each stands, and what was tried.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::explain::{Mail, deliveries_about, mail_of};
use crate::app::page::{Cursor, Page, key_or, one_more};
use crate::app::{Error, Rules};
use crate::lead::LeadId;
use crate::outbox::delivery::State;
use crate::partner::{EmailAddress, PartnerId};
use crate::store::deliveries::{self, Delivery, list_deliveries, list_of_ids};
use crate::store::leads::find_lead;
use crate::store::{Store, Tx};
use crate::time::Timestamp;

const LIST: &str = "deliveries";

/// Which mails to list; what is empty does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these states.
    pub states: Vec<State>,
    /// To this partner.
    pub partner: Option<PartnerId>,
    /// About this lead: of its own, or gathered with others.
    pub lead: Option<LeadId>,
    /// To this address.
    pub address: Option<EmailAddress>,
}

/// A mail as it is listed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedMail {
    /// Its row.
    pub id: i64,
    /// `lead`, `digest`, `reminder`, `expiry` or `decline`.
    pub kind: &'static str,
    /// Where it stands.
    pub state: &'static str,
    /// Where it goes.
    pub address: String,
    /// The receiving partner; empty for the lead desk and for a customer.
    pub partner_id: String,
    /// The lead that it is about, where it is about one.
    pub lead_id: Option<String>,
    /// The leads that it gathers.
    pub lead_ids: Vec<LeadId>,
    /// Attempts that counted.
    pub attempts: u32,
    /// When it was made.
    pub created_date_time: Timestamp,
    /// When it is tried next, or sent again.
    pub next_date_time: Option<Timestamp>,
    /// When it reached a final state.
    pub finished_date_time: Option<Timestamp>,
    /// Without angle brackets.
    pub message_id: String,
    /// Why it is in its state.
    pub reason: Option<String>,
}

/// A mail as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownMail {
    /// What it is, and every attempt.
    #[serde(flatten)]
    pub mail: Mail,
    /// Without angle brackets.
    pub message_id: String,
}

/// Derives the Message-ID of a mail from its row, as the worker does.
pub type MessageIds = dyn Fn(i64) -> String + Send + Sync;

/// Returns a page of mails, the latest first.
///
/// # Errors
/// There is no such lead, the cursor is none of this list, or the database cannot be read.
pub async fn page(
    store: &Store,
    filter: &Filter,
    message_ids: &MessageIds,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page<ListedMail>, Error> {
    let before = key_or(cursor, LIST, i64::MAX)?;
    let mut tx = store.snapshot().await?;
    let found = match &filter.lead {
        Some(lead) => of_lead(&mut tx, lead, filter, before).await?,
        None => {
            let filter = deliveries::Filter {
                states: filter.states.clone(),
                partner_id: filter.partner.clone(),
                address: filter.address.clone(),
                lead_id: None,
            };
            list_deliveries(&mut tx, &filter, before, one_more(limit)).await?
        }
    };
    let listed = found.into_iter().map(|delivery| listed(delivery, message_ids)).collect();
    Ok(Page::cut(listed, limit, |mail: &ListedMail| Cursor::behind(LIST, &mail.id)))
}

/// A lead's mails: those about it alone, and the gathered ones that name it. There are as many as it has addresses and stages, so they are all read.
async fn of_lead(tx: &mut Tx, id: &LeadId, filter: &Filter, before: i64) -> Result<Vec<Delivery>, Error> {
    let unknown = || {
        Error::not_found_try(
            format!("there is no lead {id}"),
            format!("`posthorn explain {id}` looks for it among the rejected records"),
        )
    };
    let lead = find_lead(tx, id).await?.ok_or_else(unknown)?;
    let ids: Vec<i64> = deliveries_about(tx, &lead).await?.into_iter().filter(|id| *id < before).collect();
    let mut found = list_of_ids(tx, &ids).await?;
    found.retain(|delivery| filter.states.is_empty() || filter.states.contains(&delivery.state));
    found.retain(|delivery| filter.partner.as_ref().is_none_or(|partner| delivery.partner_id == *partner));
    found.retain(|delivery| filter.address.as_ref().is_none_or(|address| delivery.address == *address));
    found.reverse();
    Ok(found)
}

/// Shows a mail with every attempt to hand it over.
///
/// # Errors
/// There is none with this id, or the database cannot be read.
pub async fn show(store: &Store, now: Timestamp, rules: &Rules, id: i64, message_ids: &MessageIds) -> Result<ShownMail, Error> {
    let mut tx = store.snapshot().await?;
    let mail = mail_of(&mut tx, now, rules, id).await?.ok_or_else(|| unknown(id))?;
    Ok(ShownMail {
        message_id: message_ids(mail.id),
        mail,
    })
}

/// Says that there is no such mail.
pub fn unknown(id: impl std::fmt::Display) -> Error {
    Error::not_found_try(format!("there is no delivery {id}"), "`posthorn deliveries list` names them")
}

fn listed(delivery: Delivery, message_ids: &MessageIds) -> ListedMail {
    let next = delivery.next_at();
    ListedMail {
        id: delivery.id,
        kind: delivery.kind.as_str(),
        state: delivery.state.as_str(),
        address: delivery.address.to_string(),
        partner_id: delivery.partner_id.as_str().to_owned(),
        lead_id: delivery.lead_id.map(|id| id.as_str().to_owned()),
        lead_ids: delivery.leads,
        attempts: delivery.attempt,
        created_date_time: delivery.created_at,
        next_date_time: next,
        finished_date_time: delivery.finished_at,
        message_id: message_ids(delivery.id),
        reason: delivery.reason,
    }
}
