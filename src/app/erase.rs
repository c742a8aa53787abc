//! Erases the personal data of leads: on request, and by the clock once nobody has had to answer them for `policy.erase_after` (`R-ERASE`).
//!
//! What stays is a tombstone: the lead with what counts and names nobody, its history, and that it was mailed, when and to which partner's address.
//! **Invariant:** whoever writes down later what concerns an erased lead (an outcome, a bounce, a newer or a rejected record) keeps nothing of it either.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use tracing::Instrument;

use crate::app::known::Known;
use crate::app::withdraw::withdraw;
use crate::app::{Error, Rules, about_lead, lead_desk, lead_item, leads, rejected};
use crate::lead::erase::ERASED;
use crate::lead::show::usable_contacts;
use crate::lead::{Lead, LeadId, Stage};
use crate::outbox::Kind;
use crate::partner::{EmailAddress, PartnerId};
use crate::policy::channel::Channel;
use crate::store::attempts::erase_attempts;
use crate::store::bounces::erase_bounces;
use crate::store::deliveries::{cancel_decline_mails, erase_recipients, erase_replies, find_mailed_among, list_of_leads, list_of_notices};
use crate::store::digests::list_closed_within;
use crate::store::history::{Entry, Written, insert_history, list_of_addresses, list_of_leads as list_history, rewrite_history};
use crate::store::items::update_items;
use crate::store::kept::erase_kept;
use crate::store::leads::{
    StateChange, erase_leads, find_gathering_of, find_lead, find_leads_by_seq, list_to_erase, next_to_erase, update_states,
};
use crate::store::notices::cancel_declines;
use crate::store::partners::{list_of_addresses as list_partners_of, lock_partners};
use crate::store::suppressions::forget_addresses;
use crate::store::{Store, Tx, retried};
use crate::telemetry;
use crate::time::{LocalDay, Timestamp};

/// Leads that a transaction erases by the clock at most.
pub const BATCH_MAX: i64 = 1000;

const WHY_CANCELLED: &str = "the lead was erased before it was mailed";

/// Who wants a lead erased, and why.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// Who.
    pub by: Option<&'a str>,
    /// Why, as it is told in the history.
    pub reason: Option<&'a str>,
}

/// Erases a lead, and returns what is left of it. One that is erased already stays as it is.
///
/// # Errors
/// There is no such lead, or the database cannot record it.
pub async fn erase(store: &Store, now: Timestamp, rules: &Rules, id: &LeadId, wish: Wish<'_>) -> Result<Lead, Error> {
    let span = tracing::info_span!("app.erase");
    let erased = retried(|| erase_once(store, now, rules, id, wish)).instrument(span).await?;
    erased.ok_or_else(|| leads::unknown(id))
}

/// `None` where there is no such lead.
async fn erase_once(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    id: &LeadId,
    wish: Wish<'_>,
) -> Result<Option<Lead>, crate::store::Error> {
    let mut tx = store.begin().await?;
    let Some(lead) = find_lead(&mut tx, id).await? else {
        return Ok(None);
    };
    lock_partners(&mut tx, &concerned(&[lead])).await?;
    // Read again: whoever held the lock may have moved it.
    let lead = match find_lead(&mut tx, id).await? {
        Some(lead) if !lead.is_erased() => lead,
        found => return Ok(found),
    };
    let mut erased = erase_all(&mut tx, now, rules, vec![lead], |lead| on_request(now, lead, wish)).await?;
    tx.commit().await?;
    telemetry::leads_erased(erased.len());
    Ok(erased.pop())
}

/// Erases leads whose time is over, and returns how many were due: [`BATCH_MAX`] of them means that there may be more.
///
/// # Errors
/// The database cannot record it; then nothing was erased.
pub async fn erase_due(store: &Store, now: Timestamp, rules: &Rules) -> Result<usize, Error> {
    let due_at = next_due(&mut store.read().await?, rules).await?;
    if due_at.is_none_or(|at| now < at) {
        return Ok(0);
    }
    let span = tracing::info_span!("app.erase_due");
    let n_erased = retried(|| erase_due_once(store, now, rules)).instrument(span).await?;
    telemetry::leads_erased(n_erased);
    Ok(n_erased)
}

/// Returns when the next lead is to be erased.
///
/// # Errors
/// The database cannot be read.
pub async fn next_due(tx: &mut Tx, rules: &Rules) -> Result<Option<Timestamp>, crate::store::Error> {
    let Some(erase_after) = rules.policy.erase_after else {
        return Ok(None);
    };
    Ok(next_to_erase(tx).await?.map(|since| since.plus(erase_after)))
}

async fn erase_due_once(store: &Store, now: Timestamp, rules: &Rules) -> Result<usize, crate::store::Error> {
    let Some(erase_after) = rules.policy.erase_after else {
        return Ok(0);
    };
    let until = now.minus(erase_after);
    let mut tx = store.begin().await?;
    let due = list_to_erase(&mut tx, until, BATCH_MAX).await?;
    let seqs: Vec<i64> = due.iter().map(|due| due.seq).collect();
    let found = find_leads_by_seq(&mut tx, &seqs).await?;
    lock_partners(&mut tx, &concerned(&found)).await?;
    // Somebody else may have erased one before the lock was had. None is answered any more, but its portal may say otherwise.
    let mut leads = find_leads_by_seq(&mut tx, &seqs).await?;
    leads.retain(|lead| !lead.is_erased() && lead.stage_since <= until && !lead.is_unanswered_at(now));
    if !leads.is_empty() {
        erase_all(&mut tx, now, rules, leads, |lead| by_clock(now, lead)).await?;
        tx.commit().await?;
    }
    Ok(due.len())
}

/// Returns the partners to lock: the leads' own, and who hears of those that have expired, whose mails are claimed under other locks.
fn concerned(leads: &[Lead]) -> BTreeSet<PartnerId> {
    let mut partners: BTreeSet<PartnerId> = leads.iter().map(|lead| lead.partner_id.clone()).collect();
    for lead in leads.iter().filter(|lead| lead.stage == Stage::Expired) {
        partners.extend(lead.sender_id.clone());
        partners.insert(lead_desk());
    }
    partners
}

fn on_request(now: Timestamp, lead: &Lead, wish: Wish<'_>) -> Entry {
    let who = wish.by.map(|by| format!(" by {by}")).unwrap_or_default();
    let why = wish.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let event = format!("its personal data was erased on request{who}{why}");
    let mut entry = about_lead(now, lead, "R-ERASE", event, json!({ "reason": wish.reason }));
    entry.actor = wish.by.map(str::to_owned);
    entry
}

fn by_clock(now: Timestamp, lead: &Lead) -> Entry {
    let event = format!(
        "its personal data was erased, since policy.erase_after is over: nobody has had to answer it since {}",
        lead.stage_since
    );
    about_lead(now, lead, "R-ERASE", event, json!({ "since": lead.stage_since }))
}

/// Erases leads whose partners are locked, all in one go; `why` says of each, as it is then, who wanted it.
async fn erase_all(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    mut leads: Vec<Lead>,
    why: impl Fn(&Lead) -> Entry,
) -> Result<Vec<Lead>, crate::store::Error> {
    let mut known = Known::default();
    known
        .read_more(tx, &leads.iter().map(|lead| lead.partner_id.clone()).collect())
        .await?;
    let told = find_told(tx, now, &leads).await?;
    let stages: Vec<Stage> = leads.iter().map(|lead| lead.stage).collect();
    let mut history = Vec::new();
    for lead in &mut leads {
        if lead.due_steps(now).expire {
            let event = "expired: nobody answered in time; it is erased, so its sender is not told";
            history.push(about_lead(now, lead, "R-EXPIRY", event, json!({ "expires": lead.expires_at })));
        }
        lead.erase(now);
        history.push(why(lead));
    }
    withdraw(tx, now, &mut leads, WHY_CANCELLED).await?;
    cancel_declines(tx, now, leads.iter().map(|lead| &lead.id), WHY_CANCELLED).await?;
    cancel_decline_mails(tx, now, leads.iter().map(|lead| &lead.id), WHY_CANCELLED).await?;
    let changes = leads.iter().zip(stages).map(|(lead, was)| StateChange::new(lead, was));
    update_states(tx, &changes.collect::<Vec<_>>()).await?;
    erase_leads(tx, &leads).await?;
    told.erase(tx).await?;
    rejected::erase_of(tx, &leads).await?;
    erase_history(tx, &leads, &told).await?;
    forget_customers(tx, &told.customers).await?;
    let items: Vec<_> = leads
        .iter()
        .map(|lead| lead_item(lead, now, known.partner(&lead.partner_id), rules))
        .collect();
    update_items(tx, now, &items, rules.posts_items).await?;
    insert_history(tx, &history).await?;
    Ok(leads)
}

/// What told of the leads.
#[derive(Default)]
struct Told {
    /// Deliveries to partners, their senders and the lead desk.
    partners: BTreeSet<i64>,
    /// Where those of them went that gather: what came back of them stands in the history of the address.
    gathered_to: BTreeSet<EmailAddress>,
    /// Deliveries to customers.
    declines: BTreeSet<i64>,
    /// The customers' addresses: of the records, and of the mails to them.
    customers: BTreeSet<EmailAddress>,
}

/// Finds the mails that told of these leads, gathered ones included.
async fn find_told(tx: &mut Tx, now: Timestamp, leads: &[Lead]) -> Result<Told, crate::store::Error> {
    let mut told = Told::default();
    for delivery in list_of_leads(tx, leads.iter().map(|lead| &lead.id)).await? {
        if delivery.kind == Kind::Decline {
            told.declines.insert(delivery.id);
            told.customers.insert(delivery.address);
        } else {
            told.partners.insert(delivery.id);
        }
    }
    let contacts = leads
        .iter()
        .flat_map(|lead| usable_contacts(&lead.record_json()).collect::<Vec<_>>());
    told.customers.extend(contacts.map(|mailbox| mailbox.email));

    let digests = list_closed_within(tx, &windows(now, leads)).await?;
    let gathering = find_gathering_of(tx, &leads.iter().map(|lead| lead.seq).collect::<Vec<_>>()).await?;
    let notices: BTreeSet<i64> = digests.iter().map(|digest| digest.notice_id).chain(gathering).collect();
    let ids: BTreeSet<&LeadId> = leads.iter().map(|lead| &lead.id).collect();
    // A digest names those mailed singly that day besides its own, and does not note which.
    let singles: BTreeSet<(&PartnerId, LocalDay)> = leads
        .iter()
        .filter(|lead| lead.channel == Some(Channel::Single))
        .filter_map(|lead| Some((&lead.partner_id, lead.day?)))
        .collect();
    let of_their_days = digests
        .iter()
        .filter(|digest| digest.day.is_some_and(|day| singles.contains(&(&digest.partner_id, day))));
    let of_their_days: BTreeSet<i64> = of_their_days.map(|digest| digest.notice_id).collect();
    for delivery in list_of_notices(tx, &notices.into_iter().collect::<Vec<_>>()).await? {
        if of_their_days.contains(&delivery.notice_id) || delivery.leads.iter().any(|id| ids.contains(id)) {
            told.partners.insert(delivery.id);
            told.gathered_to.insert(delivery.address);
        }
    }
    Ok(told)
}

/// Returns, for each partner, from when to when the digests were closed that may name these leads: a lead may have gone with one after the other.
fn windows(now: Timestamp, leads: &[Lead]) -> Vec<(PartnerId, Timestamp, Timestamp)> {
    let mut windows: HashMap<&PartnerId, (Timestamp, Timestamp)> = HashMap::new();
    for lead in leads.iter().filter(|lead| lead.day.is_some()) {
        let until = if lead.is_unanswered_at(now) {
            now
        } else {
            lead.stage_since_at(now)
        };
        let window = windows.entry(&lead.partner_id).or_insert((lead.received_at, until));
        *window = (window.0.min(lead.received_at), window.1.max(until));
    }
    windows
        .into_iter()
        .map(|(partner, (from, to))| (partner.clone(), from, to))
        .collect()
}

impl Told {
    /// Takes the mails that are kept, and what the other side said, away; and the customers out of the mails to them.
    async fn erase(&self, tx: &mut Tx) -> Result<(), crate::store::Error> {
        let all: Vec<i64> = self.partners.iter().chain(&self.declines).copied().collect();
        let declines: Vec<i64> = self.declines.iter().copied().collect();
        let with_whose: Vec<(i64, bool)> = all.iter().map(|&id| (id, self.declines.contains(&id))).collect();
        erase_replies(tx, &all).await?;
        erase_recipients(tx, &declines).await?;
        erase_attempts(tx, &all).await?;
        erase_kept(tx, &all).await?;
        erase_bounces(tx, &with_whose).await
    }
}

/// Takes out of the history of leads what names their customers, or was said by somebody in his own words.
async fn erase_history(tx: &mut Tx, leads: &[Lead], told: &Told) -> Result<(), crate::store::Error> {
    let mut entries = list_history(tx, leads.iter().map(|lead| &lead.id)).await?;
    let of_addresses = list_of_addresses(tx, &told.gathered_to).await?;
    entries.extend(of_addresses.into_iter().filter(|written| {
        let delivery = written.entry.detail.get("deliveryId").and_then(Value::as_i64);
        written.entry.lead_id.is_none() && delivery.is_some_and(|id| told.partners.contains(&id))
    }));
    let left: Vec<Written> = entries
        .into_iter()
        .filter_map(|written| left_of(written, &told.customers))
        .collect();
    rewrite_history(tx, &left).await
}

/// Returns what is left of an entry; `None` where that is all of it.
fn left_of(mut written: Written, customers: &BTreeSet<EmailAddress>) -> Option<Written> {
    let entry = &mut written.entry;
    let before = (entry.event.clone(), entry.address.clone());
    let who = entry.actor.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let text = |detail: &Value, key: &str| detail.get(key).and_then(Value::as_str).map(str::to_owned);
    let kind = text(&entry.detail, "kind");
    if entry.rule == "R-DECLINE" && entry.event.starts_with(&format!("declined{who}: ")) {
        entry.event = format!("declined{who}");
    } else if let Some(class) = text(&entry.detail, "class") {
        let kind = kind.unwrap_or_default();
        entry.event = format!("a report of its {kind} mail came ({class}); what it said was erased");
    } else if kind.as_deref() == Some(Kind::Decline.as_str()) && entry.event.starts_with("decline goes to ") {
        "decline goes to the customer".clone_into(&mut entry.event);
        entry.detail["told"] = json!([]);
    }
    for customer in customers.iter().map(EmailAddress::as_str) {
        entry.event = entry.event.replace(customer, ERASED);
    }
    entry.address = entry.address.take().filter(|address| !customers.contains(address));
    (before != (entry.event.clone(), entry.address.clone())).then_some(written)
}

/// Forgets what is known of customers' addresses that came with no other mail and stand in no partner's record.
async fn forget_customers(tx: &mut Tx, customers: &BTreeSet<EmailAddress>) -> Result<(), crate::store::Error> {
    if customers.is_empty() {
        return Ok(());
    }
    let mut used = find_mailed_among(tx, customers).await?;
    used.extend(list_partners_of(tx, customers).await?.into_iter().map(|(_, address)| address));
    let gone: BTreeSet<EmailAddress> = customers.difference(&used).cloned().collect();
    if gone.is_empty() {
        return Ok(());
    }
    forget_addresses(tx, &gone).await?;
    let mut entries = list_of_addresses(tx, &gone).await?;
    for Written { entry, .. } in &mut entries {
        // What was said of it stands behind the colon.
        let event = entry.event.split(": ").next().unwrap_or_default();
        entry.event = gone
            .iter()
            .fold(event.to_owned(), |event, address| event.replace(address.as_str(), ERASED));
        entry.address = None;
    }
    rewrite_history(tx, &entries).await
}
