//! Stops and resumes mail to an address: suppressed for everybody, or unsubscribed for one partner (`R-RECIPIENT`, `R-OPTOUT`).

use std::collections::{BTreeSet, HashMap};

use serde_json::json;

use crate::app::release::release;
use crate::app::{Error, Rules, about_lead, about_partner};
use crate::lead::{Lead, LeadId, Stage};
use crate::outbox::Kind;
use crate::outbox::delivery::State;
use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::policy::action;
use crate::policy::channel::Channel;
use crate::policy::recipient::languages;
use crate::store::deliveries::{Delivery, Outcome, list_suppressed_for, move_deliveries, suppress_deliveries};
use crate::store::history::{Entry, insert_history};
use crate::store::items::{NewItem, put_items, settle_items};
use crate::store::leads::{StateChange, find_leads, update_states};
use crate::store::notices::{find_notices, reopen_notices, settle_undeliverable};
use crate::store::partners::{find_partners, list_of_addresses, lock_partners};
use crate::store::suppressions::{
    OptOut, Suppression, delete_opt_out, delete_suppression, find_suppression, insert_opt_out, insert_suppressions,
    list_opt_outs_of_address,
};
use crate::store::{Store, Tx};
use crate::time::Timestamp;

/// Mails that come back when a suppression is lifted, at most: more than an address gets in years.
const LIFTED_MAX: i64 = 10_000;

/// An address to be suppressed.
#[derive(Clone, Debug)]
pub struct Suppress {
    /// Which.
    pub address: EmailAddress,
    /// Why.
    pub reason: String,
    /// The reply's text, or what a person said.
    pub detail: String,
    /// Who, where it was somebody.
    pub actor: Option<String>,
}

/// Suppresses addresses within a transaction: their queued mails leave the queue, those notices are resolved once more, and the partners are told.
pub(super) async fn apply(tx: &mut Tx, now: Timestamp, rules: &Rules, suppress: &[Suppress]) -> Result<(), crate::store::Error> {
    if suppress.is_empty() {
        return Ok(());
    }
    let rows: Vec<Suppression> = suppress
        .iter()
        .map(|one| Suppression {
            address: one.address.clone(),
            reason: one.reason.clone(),
            detail: one.detail.clone(),
            actor: one.actor.clone(),
            created_at: now,
        })
        .collect();
    let new = insert_suppressions(tx, &rows).await?;
    if new.is_empty() {
        return Ok(());
    }
    let notices = suppress_deliveries(tx, now, &new).await?;
    reopen_notices(tx, now, &notices).await?;
    let concerned = list_of_addresses(tx, &new).await?;
    let partners = find_partners(tx, concerned.iter().map(|(id, _)| id)).await?;
    let items: Vec<NewItem> = concerned
        .iter()
        .map(|(id, address)| unreachable_item(id, address, partners.get(id), rules))
        .collect();
    put_items(tx, now, &items, rules.posts_items).await?;
    let history: Vec<Entry> = suppress
        .iter()
        .filter(|one| new.contains(&one.address))
        .map(|one| {
            let event = format!("{} is suppressed ({}): {}", one.address, one.reason, one.detail);
            let mut entry = about_partner(
                now,
                &PartnerId::new(""),
                "R-RECIPIENT",
                event,
                json!({ "mailsTakenBack": notices.len() }),
            );
            entry.address = Some(one.address.clone());
            entry.actor.clone_from(&one.actor);
            entry
        })
        .collect();
    insert_history(tx, &history).await
}

fn unreachable_item(id: &PartnerId, address: &EmailAddress, partner: Option<&Partner>, rules: &Rules) -> NewItem {
    let is_preferred = partner.is_some_and(|p| p.preferred_emails.iter().any(|m| m.email == *address));
    NewItem {
        subject: unreachable_subject(id, address),
        partner_id: id.clone(),
        lead_id: None,
        content: action::unreachable_item(
            address,
            is_preferred,
            &languages(None, partner, &rules.policy.locale),
            rules.portal_url_of(partner),
        ),
    }
}

/// Returns the subject of the item that says that an address cannot be reached.
pub(super) fn unreachable_subject(id: &PartnerId, address: &EmailAddress) -> String {
    format!("unreachable {id} {address}")
}

/// Suppresses an address by hand.
///
/// # Errors
/// It is suppressed already, or the database cannot record it.
pub async fn add(store: &Store, now: Timestamp, rules: &Rules, suppress: Suppress) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    if let Some(there) = find_suppression(&mut tx, &suppress.address).await? {
        return Err(Error::Refused(format!(
            "{} is suppressed already, since {} ({})",
            there.address, there.created_at, there.reason
        )));
    }
    apply(&mut tx, now, rules, &[suppress]).await?;
    Ok(tx.commit().await?)
}

/// Lifts a suppression: what was kept back and is still of use goes into the queue again, and partners whose only address it was are released.
/// Returns how many mails that is.
///
/// # Errors
/// The address is not suppressed, or the database cannot record it.
pub async fn lift(store: &Store, now: Timestamp, rules: &Rules, address: &EmailAddress, by: Option<&str>) -> Result<usize, Error> {
    let mut tx = store.begin().await?;
    let partners: BTreeSet<PartnerId> = list_of_addresses(&mut tx, [address]).await?.into_iter().map(|(id, _)| id).collect();
    lock_partners(&mut tx, &partners).await?;
    if !delete_suppression(&mut tx, address).await? {
        return Err(Error::not_found_try(
            format!("{address} is not suppressed"),
            "`posthorn suppressions list` names those that are",
        ));
    }
    let kept = list_suppressed_for(&mut tx, address, LIFTED_MAX).await?;
    let (moves, taken_back) = of_use(&mut tx, now, kept).await?;
    // Before the release, which would tell them by another mail besides.
    let changes: Vec<StateChange<'_>> = taken_back.iter().map(|lead| StateChange::new(lead, Stage::Received)).collect();
    update_states(&mut tx, &changes).await?;
    let notices: BTreeSet<i64> = moves.iter().map(|(notice, _)| *notice).collect();
    let outcomes: Vec<(State, Outcome)> = moves.into_iter().map(|(_, moved)| moved).collect();
    let n_queued = move_deliveries(&mut tx, now, &outcomes).await?.len();
    settle_undeliverable(&mut tx, now, &notices).await?;
    release(&mut tx, now, rules, &partners).await?;
    let subjects: Vec<String> = partners.iter().map(|id| unreachable_subject(id, address)).collect();
    settle_items(&mut tx, now, &subjects, rules.posts_items).await?;
    let event = format!("the suppression of {address} was lifted; mails that are still of use are queued again: {n_queued}");
    let mut entry = about_partner(now, &PartnerId::new(""), "R-RECIPIENT", event, json!({}));
    entry.address = Some(address.clone());
    entry.actor = by.map(str::to_owned);
    let again = format!("goes out with its digest after all, since {address} can be reached again");
    let mut history: Vec<Entry> = taken_back
        .iter()
        .map(|lead| about_lead(now, lead, "R-RECIPIENT", again.clone(), json!({ "digestId": lead.digest_id })))
        .collect();
    history.push(entry);
    insert_history(&mut tx, &history).await?;
    tx.commit().await?;
    Ok(n_queued)
}

/// What becomes of the kept mails: each of use with its notice and what it was, as queued again; and the leads that go out with them after all.
type Lifted = (Vec<(i64, (State, Outcome))>, Vec<Lead>);

/// Returns those of the kept mails whose subject is still open, as queued again. A digest's lead may have been held anew for want of an address: its
/// digest takes it back. One that went out by another mail meanwhile keeps none alive.
async fn of_use(tx: &mut Tx, now: Timestamp, kept: Vec<Delivery>) -> Result<Lifted, crate::store::Error> {
    let concerned = kept.iter().flat_map(|delivery| delivery.lead_id.iter().chain(&delivery.leads));
    let concerned: Vec<LeadId> = concerned.cloned().collect();
    let mut leads = find_leads(tx, &concerned).await?;
    let notices: Vec<i64> = kept.iter().map(|delivery| delivery.notice_id).collect();
    let notices = find_notices(tx, &notices).await?;
    let digest_of: HashMap<i64, i64> = notices
        .into_iter()
        .filter_map(|notice| notice.digest_id.map(|digest| (notice.id, digest)))
        .collect();
    let (mut moves, mut taken_back) = (Vec::new(), Vec::new());
    for delivery in kept {
        let digest_id = digest_of.get(&delivery.notice_id).copied();
        let mut is_open = false;
        for id in delivery.lead_id.iter().chain(&delivery.leads) {
            let Some(lead) = leads.get_mut(id).filter(|lead| lead.is_unanswered_at(now)) else {
                continue;
            };
            if digest_id.is_some() && lead.channel == Some(Channel::Held) {
                lead.channel = Some(Channel::Digest);
                lead.digest_id = digest_id;
                taken_back.push(lead.clone());
            }
            is_open |= digest_id.is_none() || lead.digest_id == digest_id;
        }
        let is_of_use = match delivery.kind {
            Kind::Lead | Kind::Digest | Kind::Reminder => is_open,
            Kind::Expiry | Kind::Decline => true,
        };
        if is_of_use {
            let outcome = Outcome {
                id: delivery.id,
                state: State::Queued,
                attempt: delivery.attempt,
                due_at: now,
                is_repeat: delivery.is_repeat,
                is_resent: delivery.is_resent,
                first_due_at: now,
                reason: Some("the suppression of its address was lifted".to_owned()),
            };
            moves.push((delivery.notice_id, (delivery.state, outcome)));
        }
    }
    Ok((moves, taken_back))
}

/// Writes an opt-out: the address gets no more mail about this partner's leads (`R-OPTOUT`). Tells whether it is new.
///
/// # Errors
/// The database cannot record it.
pub async fn opt_out(store: &Store, now: Timestamp, rules: &Rules, opt_out: &OptOut) -> Result<bool, Error> {
    let mut tx = store.begin().await?;
    let partners = BTreeSet::from([opt_out.partner_id.clone()]);
    lock_partners(&mut tx, &partners).await?;
    if !insert_opt_out(&mut tx, opt_out).await? {
        return Ok(false);
    }
    let known: HashMap<PartnerId, Partner> = find_partners(&mut tx, &partners).await?;
    let partner = known.get(&opt_out.partner_id);
    let languages = languages(None, partner, &rules.policy.locale);
    let item = NewItem {
        subject: opted_out_subject(&opt_out.partner_id, &opt_out.address),
        partner_id: opt_out.partner_id.clone(),
        lead_id: None,
        content: action::opted_out_item(&opt_out.address, &languages, rules.portal_url_of(partner)),
    };
    put_items(&mut tx, now, &[item], rules.posts_items).await?;
    let event = format!(
        "{} has unsubscribed from mails about leads of {}",
        opt_out.address, opt_out.partner_id
    );
    let mut entry = about_partner(
        now,
        &opt_out.partner_id,
        "R-OPTOUT",
        event,
        json!({ "deliveryId": opt_out.delivery_id }),
    );
    entry.address = Some(opt_out.address.clone());
    // A reader's own doing, unlike what an operator writes down for him.
    entry.actor = opt_out.delivery_id.map(|_| opt_out.address.to_string());
    insert_history(&mut tx, &[entry]).await?;
    tx.commit().await?;
    Ok(true)
}

/// Lifts an opt-out.
///
/// # Errors
/// There is none, or the database cannot record it.
pub async fn resubscribe(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    partner: &PartnerId,
    address: &EmailAddress,
    by: Option<&str>,
) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    lock_partners(&mut tx, &BTreeSet::from([partner.clone()])).await?;
    if !delete_opt_out(&mut tx, partner, address).await? {
        return Err(Error::not_found(format!(
            "{address} has not unsubscribed from mails about leads of {partner}"
        )));
    }
    settle_items(&mut tx, now, &[opted_out_subject(partner, address)], rules.posts_items).await?;
    let mut entry = about_partner(now, partner, "R-OPTOUT", format!("{address} is subscribed again"), json!({}));
    entry.address = Some(address.clone());
    entry.actor = by.map(str::to_owned);
    insert_history(&mut tx, &[entry]).await?;
    Ok(tx.commit().await?)
}

/// Tells whether an address has unsubscribed from mails about a partner's leads.
pub(super) async fn has_opted_out(tx: &mut Tx, partner: &PartnerId, address: &EmailAddress) -> Result<bool, crate::store::Error> {
    let opt_outs = list_opt_outs_of_address(tx, address).await?;
    Ok(opt_outs.iter().any(|opt_out| opt_out.partner_id == *partner))
}

fn opted_out_subject(partner: &PartnerId, address: &EmailAddress) -> String {
    format!("opted-out {partner} {address}")
}
