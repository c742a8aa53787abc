//! Letters of leads that are there, to look at what mails would say of them. Nothing is claimed, and nothing is written.
//!
//! A mail is written while its lead is open, or when it has just expired. A stored lead may be long past both, so a letter shows it as it was
//! then; that instant is the delivery's `due_at`.

use std::collections::{BTreeSet, HashMap};

use crate::app::claim::Letter;
use crate::app::known::Known;
use crate::app::leads::{Filter, page, unknown};
use crate::app::{Error, Rules};
use crate::lead::kind::Kind as LeadKind;
use crate::lead::{Lead, LeadId, Stage};
use crate::link;
use crate::outbox::Kind;
use crate::outbox::delivery::State;
use crate::partner::{EmailAddress, PartnerId};
use crate::policy::recipient::languages;
use crate::store::deliveries::Delivery;
use crate::store::leads::find_lead;
use crate::store::{Store, Tx};
use crate::time::Timestamp;

/// Returns the letter of a kind that would tell of one lead.
///
/// # Errors
/// There is no such lead, or the database cannot be read.
pub async fn of_lead(store: &Store, rules: &Rules, kind: Kind, id: &LeadId) -> Result<Letter, Error> {
    let mut tx = store.snapshot().await?;
    let lead = find_lead(&mut tx, id).await?.ok_or_else(|| unknown(id))?;
    Ok(letters(&mut tx, rules, kind, vec![lead]).await?.swap_remove(0))
}

/// Returns the letters of a kind that would tell of the newest contact leads, one each.
///
/// # Errors
/// The database cannot be read.
pub async fn of_newest(store: &Store, now: Timestamp, rules: &Rules, kind: Kind, limit: usize) -> Result<Vec<Letter>, Error> {
    let mut leads = page(store, now, &Filter::default(), None, limit).await?.value;
    leads.retain(|lead| lead.kind == LeadKind::Contact);
    let mut tx = store.snapshot().await?;
    letters(&mut tx, rules, kind, leads).await
}

async fn letters(tx: &mut Tx, rules: &Rules, kind: Kind, leads: Vec<Lead>) -> Result<Vec<Letter>, Error> {
    let mut known = Known::default();
    let partners: BTreeSet<PartnerId> = leads
        .iter()
        .flat_map(|lead| lead.sender_id.iter().chain([&lead.partner_id]))
        .cloned()
        .collect();
    known.read_more(tx, &partners).await?;
    Ok(leads.into_iter().map(|lead| letter(rules, kind, lead, &known)).collect())
}

fn letter(rules: &Rules, kind: Kind, lead: Lead, known: &Known) -> Letter {
    let (lead, at) = at_its_mail(rules, kind, lead);
    // An expiry is told to whoever sent the lead; the other kinds concern the partner that has it.
    let about = match kind {
        Kind::Expiry => lead.sender_id.as_ref(),
        Kind::Lead | Kind::Digest | Kind::Reminder | Kind::Decline => Some(&lead.partner_id),
    };
    let partner = about.and_then(|id| known.partner(id)).cloned();
    let told = about.map(|id| known.resolve(id, lead.location.as_deref(), &rules.policy).told);
    let mailbox = told.and_then(|told| told.into_iter().next());
    let wanted = languages(
        mailbox.as_ref().and_then(|to| to.locale.as_deref()),
        partner.as_ref(),
        &rules.policy.locale,
    );
    let language = wanted
        .first()
        .map_or_else(|| rules.policy.locale.clone(), |language| (*language).to_owned());
    let address = mailbox.as_ref().map_or_else(nobody, |to| to.email.clone());
    let delivery = Delivery {
        id: 0,
        notice_id: 0,
        kind,
        partner_id: lead.partner_id.clone(),
        lead_id: Some(lead.id.clone()),
        leads: vec![lead.id.clone()],
        address,
        name: mailbox.and_then(|to| to.name),
        language,
        state: State::Queued,
        attempt: 0,
        due_at: at,
        owner: None,
        handed_over_at: None,
        is_repeat: false,
        is_resent: false,
        first_due_at: at,
        reason: None,
        created_at: at,
        finished_at: None,
        forwarded_by: None,
        is_erased: false,
    };
    let name = known.partner(&lead.partner_id).and_then(|partner| partner.name.clone());
    let name = name.unwrap_or_else(|| lead.partner_id.as_str().to_owned());
    Letter {
        delivery,
        partner_names: HashMap::from([(lead.partner_id.clone(), name)]),
        zone: known.zone(&lead.partner_id, &rules.policy),
        leads: vec![lead],
        mailed: Vec::new(),
        partner,
        thread: Vec::new(),
        link_key: Some(link::Key::for_show()),
    }
}

/// Returns a lead as it was when its mail of that kind was due, and when that was.
fn at_its_mail(rules: &Rules, kind: Kind, lead: Lead) -> (Lead, Timestamp) {
    // One that had expired when it came has no expiry of its own.
    let expires_at = lead.expires_at.unwrap_or_else(|| lead.created_at.plus(rules.policy.expire_after));
    let (stage, at) = match kind {
        Kind::Lead | Kind::Digest | Kind::Decline => (Stage::Received, lead.created_at),
        Kind::Reminder => (Stage::Received, expires_at.minus(rules.policy.remind_before).max(lead.created_at)),
        Kind::Expiry => (Stage::Expired, expires_at),
    };
    let lead = Lead {
        expires_at: Some(expires_at),
        stage,
        is_cooled: lead.cool_at.is_some_and(|cool_at| at >= cool_at),
        ..lead
    };
    (lead, at)
}

/// Stands in where nobody would be told.
fn nobody() -> EmailAddress {
    "nobody@partner.example".parse().expect("a plain address is one")
}
