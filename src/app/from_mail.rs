//! Answers from the mail: what the links to accept, decline or send on show and do, where `mail.answer_links` is on.
//!
//! Whoever has the mail may answer for its address, as he could by forwarding it; so each link is good for one purpose and one lead, and the history
//! names the address. Looking changes nothing: link scanners look, too.

use crate::app::answer::{Action, Terms, answer};
use crate::app::forward::{Forwarded, forward};
use crate::app::known::zone_of;
use crate::app::{Error, Rules, links};
use crate::lead::{Lead, LeadId};
use crate::link::Purpose;
use crate::outbox::Kind;
use crate::partner::{EmailAddress, Partner, Zone};
use crate::store::Store;
use crate::store::deliveries::Delivery;
use crate::store::leads::find_lead;
use crate::store::notices::Forward;
use crate::store::partners::find_partners;
use crate::tag::IfMatch;
use crate::time::Timestamp;

/// What a link asks about.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the link is for.
    pub purpose: Purpose,
    /// The lead, as it is.
    pub lead: Lead,
    /// Its partner.
    pub partner: Option<Partner>,
    /// The address that the mail went to.
    pub address: EmailAddress,
    /// The language of the mail.
    pub language: String,
    /// The zone in which instants are told.
    pub zone: Zone,
}

/// What somebody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Accept the lead.
    Accept {
        /// What the partner calls the deal.
        deal_name: Option<String>,
        /// The partner's notes.
        notes: Option<String>,
    },
    /// Decline it.
    Decline {
        /// Why; never told to the customer.
        reason: String,
        /// Never told to the customer either.
        notes: Option<String>,
    },
    /// Send it on.
    Forward {
        /// To whom.
        address: EmailAddress,
        /// His name.
        name: Option<String>,
    },
}

impl Reply {
    /// Returns the purpose of the links by which this may be said.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Accept { .. } => Purpose::Accept,
            Self::Decline { .. } => Purpose::Decline,
            Self::Forward { .. } => Purpose::Forward,
        }
    }
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replied {
    /// The lead is accepted or declined.
    Answered,
    /// What became of sending it on.
    Forwarded(Forwarded),
    /// It needs no answer any more.
    TooLate,
}

/// Returns what a link asks about. Changes nothing.
///
/// # Errors
/// [`Error::NotFound`] where the token opens nothing, or answer links are off.
pub async fn look(store: &Store, now: Timestamp, rules: &Rules, token: &str) -> Result<Question, Error> {
    Ok(open(store, now, rules, token).await?.0)
}

/// Does what somebody says by a link, and returns the lead as it is then.
///
/// # Errors
/// As [`look`]; [`Error::Input`] where what he says makes no sense; or the database cannot record it.
pub async fn reply(store: &Store, now: Timestamp, rules: &Rules, token: &str, reply: Reply) -> Result<(Question, Replied), Error> {
    let (mut question, delivery) = open(store, now, rules, token).await?;
    if question.purpose != reply.purpose() {
        return Err(nowhere());
    }
    let id = question.lead.id.clone();
    let by = Some(delivery.address.as_str());
    let done = match reply {
        Reply::Accept { deal_name, notes } => {
            let terms = Terms {
                deal_name,
                notes,
                ..Terms::default()
            };
            answered(answer(store, now, rules, &id, &Action::Accept(terms), &IfMatch::Unsaid, by).await)?
        }
        Reply::Decline { reason, notes } => {
            let decline = Action::Decline {
                reason,
                notes,
                notify_customer: true,
            };
            answered(answer(store, now, rules, &id, &decline, &IfMatch::Unsaid, by).await)?
        }
        Reply::Forward { address, name } => {
            let wish = Forward {
                address,
                name,
                language: delivery.language.clone(),
                by: delivery.address.clone(),
            };
            match forward(store, now, &id, &wish).await {
                Ok(forwarded) => Replied::Forwarded(forwarded),
                Err(Error::Refused(_)) => Replied::TooLate,
                Err(error) => return Err(error),
            }
        }
    };
    question.lead = find(store, &id).await?;
    Ok((question, done))
}

fn answered(answer: Result<Lead, Error>) -> Result<Replied, Error> {
    match answer {
        Ok(_) => Ok(Replied::Answered),
        Err(Error::Refused(_)) => Ok(Replied::TooLate),
        Err(error) => Err(error),
    }
}

async fn open(store: &Store, now: Timestamp, rules: &Rules, token: &str) -> Result<(Question, Delivery), Error> {
    if !rules.answer_links {
        return Err(nowhere());
    }
    let mut tx = store.read().await?;
    let (claim, delivery) = links::open(&mut tx, now, token).await?;
    let lead_id = lead_of(&delivery, claim.position).filter(|_| claim.purpose != Purpose::Unsubscribe);
    let lead = find_lead(&mut tx, &lead_id.ok_or_else(nowhere)?).await?.ok_or_else(nowhere)?;
    let partner = find_partners(&mut tx, [&lead.partner_id]).await?.remove(&lead.partner_id);
    let question = Question {
        purpose: claim.purpose,
        zone: zone_of(partner.as_ref(), &rules.policy),
        address: delivery.address.clone(),
        language: delivery.language.clone(),
        lead,
        partner,
    };
    Ok((question, delivery))
}

/// Returns the lead that a link is about: the mail's own, or the one in its place on the mail's list.
fn lead_of(delivery: &Delivery, position: u16) -> Option<LeadId> {
    match delivery.kind {
        Kind::Lead => delivery.lead_id.clone().filter(|_| position == 0),
        Kind::Digest | Kind::Reminder => delivery.leads.get(usize::from(position)).cloned(),
        Kind::Expiry | Kind::Decline => None,
    }
}

async fn find(store: &Store, id: &LeadId) -> Result<Lead, Error> {
    find_lead(&mut store.read().await?, id).await?.ok_or_else(nowhere)
}

fn nowhere() -> Error {
    Error::not_found("this link leads nowhere".to_owned())
}
