//! What was, or is to be, told: notices with their deliveries and attempts.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Rules;
use crate::app::kept::{self, KeptMail};
use crate::lead::{Lead, LeadId, Stage};
use crate::outbox::Kind;
use crate::outbox::delivery::State;
use crate::partner::{EmailAddress, PartnerId};
use crate::store::attempts::{Attempt, list_attempts};
use crate::store::deliveries::{Delivery, list_of_ids, list_of_notices};
use crate::store::notices::Notice;
use crate::store::{Error, Tx};
use crate::time::Timestamp;

/// A notice.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Its row.
    pub notice_id: i64,
    /// What it says.
    pub kind: Kind,
    /// The receiving partner; empty = the lead desk.
    pub partner_id: PartnerId,
    /// Where it stands.
    pub state: String,
    /// When it may be claimed.
    pub due_date_time: Timestamp,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// To whom a reader sent the lead on, where that is what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_to: Option<EmailAddress>,
    /// Its mails; of gathered ones those that name the lead in question.
    pub deliveries: Vec<Mail>,
}

/// A delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// As `deliveries show` takes it.
    pub id: i64,
    /// What it says.
    pub kind: Kind,
    /// The receiving partner.
    pub partner_id: PartnerId,
    /// The lead that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_id: Option<LeadId>,
    /// Gathered kinds: its leads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lead_ids: Vec<LeadId>,
    /// To whom.
    pub address: EmailAddress,
    /// Where it stands.
    pub state: &'static str,
    /// Attempts that counted.
    pub attempt: u32,
    /// When the claim made it.
    pub created_date_time: Timestamp,
    /// When it is tried next, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_date_time: Option<Timestamp>,
    /// When it reached a final state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_date_time: Option<Timestamp>,
    /// Why it is in its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it may have arrived before.
    pub is_repeat: bool,
    /// Who sent the lead on to this address, where somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_by: Option<EmailAddress>,
    /// What was tried.
    pub attempts: Vec<Try>,
    /// The mail as it was handed over, where it is kept (`mail.keep_sent`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptMail>,
}

/// An attempt.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    /// When.
    pub date_time: Timestamp,
    /// Who was asked.
    pub relay: String,
    /// How far it came.
    pub stage: String,
    /// The reply's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// What became of it.
    pub outcome: String,
    /// The reply's text.
    pub detail: String,
    /// The templates that wrote the mail: by the digest that `posthorn template check` shows, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<String>,
}

/// Tells what became of notices, with their deliveries; of gathered kinds only those that name `lead`.
///
/// # Errors
/// The database cannot be read.
pub async fn tell(tx: &mut Tx, now: Timestamp, rules: &Rules, notices: Vec<Notice>, lead: Option<&Lead>) -> Result<Vec<Told>, Error> {
    let deliveries = deliveries_of(tx, &notices, lead.map(|lead| &lead.id)).await?;
    let mut by_notice: HashMap<i64, Vec<Mail>> = HashMap::new();
    for (notice_id, mail) in mails(tx, now, rules, deliveries).await? {
        if lead.is_some_and(|lead| !mail.names(lead, now)) {
            continue;
        }
        by_notice.entry(notice_id).or_default().push(mail);
    }
    Ok(notices
        .into_iter()
        .map(|notice| Told {
            notice_id: notice.id,
            kind: notice.kind,
            partner_id: notice.partner_id,
            state: notice.state,
            due_date_time: notice.due_at,
            reason: notice.reason,
            forwarded_to: notice.forward.map(|forward| forward.address),
            deliveries: by_notice.remove(&notice.id).unwrap_or_default(),
        })
        .collect())
}

/// Reads the deliveries of notices; of gathered kinds only those that name `lead`.
pub(super) async fn deliveries_of(tx: &mut Tx, notices: &[Notice], lead: Option<&LeadId>) -> Result<Vec<Delivery>, Error> {
    let ids: Vec<i64> = notices.iter().map(|notice| notice.id).collect();
    let mut deliveries = list_of_notices(tx, &ids).await?;
    if let Some(lead) = lead {
        deliveries.retain(|delivery| delivery.leads.is_empty() || delivery.leads.contains(lead));
    }
    Ok(deliveries)
}

/// Returns one mail with its attempts, and what is kept of it.
///
/// # Errors
/// The database cannot be read.
pub async fn mail_of(tx: &mut Tx, now: Timestamp, rules: &Rules, id: i64) -> Result<Option<Mail>, Error> {
    let found = list_of_ids(tx, &[id]).await?;
    Ok(mails(tx, now, rules, found).await?.pop().map(|(_, mail)| mail))
}

/// Reads the attempts of deliveries, and what is kept of them; each comes with its notice.
pub(super) async fn mails(tx: &mut Tx, now: Timestamp, rules: &Rules, deliveries: Vec<Delivery>) -> Result<Vec<(i64, Mail)>, Error> {
    let ids: Vec<i64> = deliveries.iter().map(|delivery| delivery.id).collect();
    let mut tries: HashMap<i64, Vec<Try>> = HashMap::new();
    for attempt in list_attempts(tx, &ids).await? {
        tries.entry(attempt.delivery_id).or_default().push(Try::from(attempt));
    }
    let kept: HashMap<i64, KeptMail> = kept::of_deliveries(tx, now, rules, &ids).await?.into_iter().collect();
    Ok(deliveries
        .into_iter()
        .map(|delivery| {
            let tries = tries.remove(&delivery.id).unwrap_or_default();
            let kept = kept.get(&delivery.id).copied();
            (delivery.notice_id, Mail::new(delivery, tries, kept))
        })
        .collect())
}

impl Mail {
    /// Tells whether a mail that was made for a lead names it: each new attempt of a digest or a reminder leaves out what is answered or has expired since
    /// (`R-DIGEST`). The first one names all that it was made for.
    fn names(&self, lead: &Lead, now: Timestamp) -> bool {
        let is_retried = match self.kind {
            Kind::Digest | Kind::Reminder => !self.attempts.is_empty(),
            Kind::Lead | Kind::Expiry | Kind::Decline => false,
        };
        let left_at = match lead.stage_at(now) {
            Stage::Received => lead.erased_at,
            _ => Some(lead.accepted_at().unwrap_or_else(|| lead.stage_since_at(now))),
        };
        let (true, Some(left_at)) = (is_retried, left_at) else {
            return true;
        };
        let may_have_arrived = [State::Sent.as_str(), State::InDoubt.as_str()];
        let has_arrived = self
            .attempts
            .iter()
            .enumerate()
            .any(|(n, attempt)| may_have_arrived.contains(&attempt.outcome.as_str()) && (n == 0 || attempt.date_time < left_at));
        let is_still_to_go = self.state == State::Queued.as_str();
        let has_gone = may_have_arrived.contains(&self.state);
        has_arrived || !(is_still_to_go || has_gone)
    }

    fn new(delivery: Delivery, attempts: Vec<Try>, kept: Option<KeptMail>) -> Self {
        let next = delivery.next_at();
        Self {
            id: delivery.id,
            kind: delivery.kind,
            partner_id: delivery.partner_id,
            lead_id: delivery.lead_id,
            lead_ids: delivery.leads,
            address: delivery.address,
            state: delivery.state.as_str(),
            attempt: delivery.attempt,
            created_date_time: delivery.created_at,
            next_date_time: next,
            finished_date_time: delivery.finished_at,
            reason: delivery.reason,
            is_repeat: delivery.is_repeat,
            forwarded_by: delivery.forwarded_by,
            attempts,
            kept,
        }
    }
}

impl From<Attempt> for Try {
    fn from(attempt: Attempt) -> Self {
        Self {
            date_time: attempt.at,
            relay: attempt.relay,
            stage: attempt.stage,
            code: attempt.code,
            outcome: attempt.outcome,
            detail: attempt.detail,
            templates: attempt.templates,
        }
    }
}
