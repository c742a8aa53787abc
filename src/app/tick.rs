//! Writes down what time alone has made of leads: cooled, expiring, expired, archived (`R-URGENT`, `R-REMIND`, `R-EXPIRY`, `R-STAGES`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use tracing::Instrument;

use crate::app::known::Known;
use crate::app::withdraw::withdraw;
use crate::app::{Error, Rules, about_lead, lead_desk, lead_item};
use crate::lead::model::DueSteps;
use crate::lead::{Lead, Stage};
use crate::outbox::Kind;
use crate::partner::PartnerId;
use crate::policy::channel::Channel;
use crate::store::history::{Entry, insert_history};
use crate::store::items::update_items;
use crate::store::leads::{StateChange, find_leads_by_seq, list_due, update_states};
use crate::store::notices::{NewNotice, join_notices};
use crate::store::partners::lock_partners;
use crate::store::{Store, Tx, retried};
use crate::time::Timestamp;

/// Leads a transaction moves at most.
pub const BATCH_MAX: i64 = 1000;
/// Expiries written within one hour (UTC) are gathered (`R-EXPIRY`).
const HOUR_MS: i64 = 3_600_000;

/// Moves leads whose next due instant has come, and returns how many were due: [`BATCH_MAX`] of them means that there may be more.
///
/// # Errors
/// The database cannot record it; then nothing was moved.
pub async fn tick(store: &Store, now: Timestamp, rules: &Rules) -> Result<usize, Error> {
    let span = tracing::info_span!("app.tick");
    Ok(retried(|| tick_once(store, now, rules)).instrument(span).await?)
}

/// A lead that moves, with what follows from it.
struct Move {
    lead: Lead,
    was: Stage,
    /// Subject of the notice that gathers its reminder.
    reminder: Option<String>,
    /// Subject of the notice that gathers its expiry.
    expiry: Option<String>,
}

async fn tick_once(store: &Store, now: Timestamp, rules: &Rules) -> Result<usize, crate::store::Error> {
    let mut tx = store.begin().await?;
    let due = list_due(&mut tx, now, BATCH_MAX).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let mut partners: BTreeSet<PartnerId> = due.iter().map(|due| PartnerId::new(due.partner_id.as_str())).collect();
    lock_partners(&mut tx, &partners).await?;
    let leads = find_leads_by_seq(&mut tx, &due.iter().map(|due| due.seq).collect::<Vec<_>>()).await?;
    partners.extend(leads.iter().filter_map(|lead| lead.sender_id.clone()));
    let mut known = Known::default();
    known.read_more(&mut tx, &partners).await?;

    let mut history = Vec::new();
    let mut notices: BTreeMap<(Kind, String), NewNotice> = BTreeMap::new();
    let (mut expired, mut moved) = (Vec::new(), Vec::new());
    for lead in leads {
        let steps = lead.due_steps(now);
        if steps == DueSteps::default() {
            continue;
        }
        let change = step(now, lead, steps, &known, rules, &mut notices, &mut history);
        if steps.expire { expired.push(change) } else { moved.push(change) }
    }
    let mut leads: Vec<Lead> = expired.iter().map(|change| change.lead.clone()).collect();
    withdraw(&mut tx, now, &mut leads, "the lead expired before it was mailed").await?;
    for (change, lead) in expired.iter_mut().zip(leads) {
        change.lead = lead;
    }
    moved.extend(expired);

    let ids = gather(&mut tx, now, notices, &known, rules).await?;
    let id_of = |kind: Kind, subject: &Option<String>| subject.as_ref().and_then(|subject| ids.get(&(kind, subject.clone())).copied());
    let changes: Vec<StateChange<'_>> = moved
        .iter()
        .map(|change| StateChange {
            lead: &change.lead,
            was: change.was,
            reminder_id: id_of(Kind::Reminder, &change.reminder),
            expiry_id: id_of(Kind::Expiry, &change.expiry),
        })
        .collect();
    update_states(&mut tx, &changes).await?;
    let items: Vec<_> = moved
        .iter()
        .map(|change| lead_item(&change.lead, now, known.partner(&change.lead.partner_id), rules))
        .collect();
    update_items(&mut tx, now, &items, rules.posts_items).await?;
    insert_history(&mut tx, &history).await?;
    tx.commit().await?;
    Ok(due.len())
}

/// Writes or joins the notices that gather what was moved, and returns the id of each by its key. One that was sent already gathers nothing more: a
/// transaction that waited for a lock, or a zone that went back to an earlier day, is a little late, and goes with the next hour or day.
async fn gather(
    tx: &mut Tx,
    now: Timestamp,
    mut notices: BTreeMap<(Kind, String), NewNotice>,
    known: &Known,
    rules: &Rules,
) -> Result<BTreeMap<(Kind, String), i64>, crate::store::Error> {
    let mut ids = BTreeMap::new();
    while !notices.is_empty() {
        let written = join_notices(tx, now, &notices.values().cloned().collect::<Vec<_>>()).await?;
        for (key, notice) in std::mem::take(&mut notices) {
            let there = written[&(notice.kind.as_str().to_owned(), notice.subject.clone())];
            if there.is_open {
                ids.insert(key, there.id);
            } else {
                notices.insert(key, after(&notice, known, rules));
            }
        }
    }
    Ok(ids)
}

/// Writes or joins the reminders of these leads' partners that go out next, and returns the id of each.
pub(super) async fn join_reminders(
    tx: &mut Tx,
    now: Timestamp,
    leads: &[Lead],
    known: &Known,
    rules: &Rules,
) -> Result<BTreeMap<PartnerId, i64>, crate::store::Error> {
    let notices: BTreeMap<(Kind, String), NewNotice> = leads
        .iter()
        .map(|lead| reminder_notice(now, &lead.partner_id, known, rules))
        .map(|notice| ((notice.kind, notice.subject.clone()), notice))
        .collect();
    let partners: BTreeMap<(Kind, String), PartnerId> = notices
        .iter()
        .map(|(key, notice)| (key.clone(), notice.partner_id.clone()))
        .collect();
    let ids = gather(tx, now, notices, known, rules).await?;
    Ok(partners
        .into_iter()
        .filter_map(|(key, partner)| Some((partner, *ids.get(&key)?)))
        .collect())
}

/// Returns the notice of the hour or day that follows a gathering notice's.
fn after(notice: &NewNotice, known: &Known, rules: &Rules) -> NewNotice {
    match notice.kind {
        Kind::Reminder => reminder_notice(notice.due_at, &notice.partner_id, known, rules),
        Kind::Expiry => expiry_notice(notice.due_at, notice.partner_id.clone()),
        Kind::Lead | Kind::Digest | Kind::Decline => unreachable!("only reminders and expiries are gathered"),
    }
}

/// Moves one lead, and notes what follows.
fn step(
    now: Timestamp,
    mut lead: Lead,
    steps: DueSteps,
    known: &Known,
    rules: &Rules,
    notices: &mut BTreeMap<(Kind, String), NewNotice>,
    history: &mut Vec<Entry>,
) -> Move {
    let was = lead.stage;
    let (mut reminder, mut expiry) = (None, None);
    if steps.cool {
        lead.is_cooled = true;
        history.push(about_lead(
            now,
            &lead,
            "R-URGENT",
            "cooled: it is no longer urgent, and still active",
            json!({ "since": lead.cool_at }),
        ));
    }
    if steps.mark_expiring {
        lead.is_expiring = true;
        let is_mailed = rules.policy.remind_by_mail && matches!(lead.channel, Some(Channel::Single | Channel::Digest));
        let event = match is_mailed {
            true => "marked as expiring; a reminder is mailed when the partner's day is over",
            false => "marked as expiring in the Action Center",
        };
        history.push(about_lead(now, &lead, "R-REMIND", event, json!({ "expires": lead.expires_at })));
        if is_mailed {
            let notice = reminder_notice(now, &lead.partner_id, known, rules);
            reminder = Some(notice.subject.clone());
            notices.insert((notice.kind, notice.subject.clone()), notice);
        }
    }
    if steps.expire {
        lead.stage = Stage::Expired;
        lead.stage_since = lead.expires_at.unwrap_or(now);
        let event = if lead.is_quiet {
            "expired: nobody answered in time; it came in as history, so its sender is not told".to_owned()
        } else {
            let notice = expiry_notice(now, receiver(&lead, known, rules));
            let event = format!(
                "expired: nobody answered in time; {} at {}",
                teller(&lead, &notice.partner_id),
                notice.due_at
            );
            expiry = Some(notice.subject.clone());
            notices.insert((notice.kind, notice.subject.clone()), notice);
            event
        };
        history.push(about_lead(
            now,
            &lead,
            "R-EXPIRY",
            event,
            json!({ "expires": lead.expires_at, "sender": lead.sender_id }),
        ));
    }
    if steps.archive {
        lead.is_archived = true;
        history.push(about_lead(
            now,
            &lead,
            "R-STAGES",
            "archived: six months have passed since it was created, and nobody has to answer it",
            json!({ "since": lead.archive_at }),
        ));
    }
    Move {
        lead,
        was,
        reminder,
        expiry,
    }
}

fn teller(lead: &Lead, receiver: &PartnerId) -> String {
    match &lead.sender_id {
        Some(sender) if sender == receiver => format!("its sender, the partner {sender}, is told"),
        Some(sender) => format!("its sender, the partner {sender}, is unknown or has no address, so the lead desk is told"),
        None => "it has no sending partner, so the lead desk is told".to_owned(),
    }
}

/// Reminders are gathered per partner and local day, and go out when that day is over (`R-REMIND`).
fn reminder_notice(at: Timestamp, partner: &PartnerId, known: &Known, rules: &Rules) -> NewNotice {
    let zone = known.zone(partner, &rules.policy);
    let day = zone.day_of(at);
    NewNotice {
        kind: Kind::Reminder,
        subject: format!("{partner} {day}"),
        partner_id: partner.clone(),
        lead_id: None,
        digest_id: None,
        due_at: zone.start_of_day(zone.next_day(day)),
    }
}

/// Returns who hears of an expiry: the sender, or the lead desk where there is none or he cannot be reached (`R-EXPIRY`).
fn receiver(lead: &Lead, known: &Known, rules: &Rules) -> PartnerId {
    let reachable = |id: &&PartnerId| !known.resolve(id, None, &rules.policy).is_unroutable();
    lead.sender_id.as_ref().filter(reachable).cloned().unwrap_or_else(lead_desk)
}

/// Expiries written within one hour are gathered per receiver, and go out when it is over (`R-EXPIRY`).
fn expiry_notice(at: Timestamp, receiver: PartnerId) -> NewNotice {
    let hour = Timestamp::from_millis(at.as_millis().div_euclid(HOUR_MS) * HOUR_MS);
    NewNotice {
        kind: Kind::Expiry,
        subject: format!("{receiver} {hour}"),
        partner_id: receiver,
        lead_id: None,
        digest_id: None,
        due_at: Timestamp::from_millis(hour.as_millis() + HOUR_MS),
    }
}
