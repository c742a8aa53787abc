//! Lays newer records over leads that are here, and follows what the portal has decided about them elsewhere (`R-INTAKE`, `R-SYNC`).

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::app::known::Known;
use crate::app::new_lead::location_of;
use crate::app::take_in::Outcome;
use crate::app::verify::look_at;
use crate::app::withdraw::withdraw;
use crate::app::{Rules, about_lead, lead_item};
use crate::fault::Fault;
use crate::lead::kind::Kind;
use crate::lead::show::hide_contact;
use crate::lead::validity::mail_domain;
use crate::lead::values::EmailValidity;
use crate::lead::{Lead, LeadId, Record, Stage};
use crate::policy::due::remind_at;
use crate::store::Tx;
use crate::store::history::{Entry, insert_history};
use crate::store::items::update_items;
use crate::store::leads::{StateChange, update_contents, update_states};
use crate::time::Timestamp;

/// Writes newer content of leads that are here, and whatever the portal has decided about them elsewhere (`R-SYNC`).
pub(super) async fn write_updates<'a>(
    tx: &mut Tx,
    now: Timestamp,
    records: &[&'a Record],
    mut existing: HashMap<LeadId, Lead>,
    known: &Known,
    rules: &Rules,
    outcomes: &mut HashMap<&'a LeadId, Outcome>,
) -> Result<(), crate::store::Error> {
    let mut changed: Vec<(Lead, Stage)> = Vec::new();
    let mut closed: Vec<(Lead, Stage)> = Vec::new();
    let mut history = Vec::new();
    for record in records {
        let Some(mut lead) = existing.remove(&record.id) else { continue };
        if lead.partner_id != record.partner_id {
            // Whose it is does not concern whoever sends it: `explain` tells ops.
            let fault = Fault::wrong(
                "organizationId",
                &record.partner_id.as_str().into(),
                "the partner whose lead this is",
            );
            outcomes.insert(&record.id, Outcome::Rejected(vec![fault]));
            continue;
        }
        if record.version <= lead.version {
            outcomes.insert(&record.id, Outcome::Unchanged);
            continue;
        }
        outcomes.insert(&record.id, Outcome::Updated);
        let was = lead.stage;
        match lead.is_erased() {
            true => history.push(pass_over_content(now, &mut lead, record)),
            false => history.extend(update_content(now, &mut lead, record, rules)),
        }
        history.extend(sync(now, &mut lead, record, rules));
        if was == Stage::Received && lead.stage != Stage::Received {
            closed.push((lead, was));
        } else {
            changed.push((lead, was));
        }
    }
    let (mut leads, stages): (Vec<Lead>, Vec<Stage>) = closed.into_iter().unzip();
    withdraw(tx, now, &mut leads, "the portal's record says that it was answered elsewhere").await?;
    changed.extend(leads.into_iter().zip(stages));
    update_contents(tx, &changed.iter().map(|(lead, _)| lead).collect::<Vec<_>>()).await?;
    update_states(
        tx,
        &changed.iter().map(|(lead, was)| StateChange::new(lead, *was)).collect::<Vec<_>>(),
    )
    .await?;
    // The clock settles the item of a lead that has just expired as it writes that down: one that is set back finds them in step.
    let items: Vec<_> = changed
        .iter()
        .filter(|(lead, _)| lead.stage == lead.stage_at(now))
        .map(|(lead, _)| lead_item(lead, now, known.partner(&lead.partner_id), rules))
        .collect();
    update_items(tx, now, &items, rules.posts_items).await?;
    insert_history(tx, &history).await
}

/// Lays newer content over a lead. Its kind, channel and number stay as decided.
fn update_content(now: Timestamp, lead: &mut Lead, record: &Record, rules: &Rules) -> Vec<Entry> {
    let mut json = record.json.clone();
    let verified = look_at_newer(now, lead, record, rules);
    if lead.is_contact_hidden_at(now) {
        hide_contact(&mut json);
    }
    // When a lead was created does not change: its urgency, its expiry and its place in lists go by it.
    if record.created_at != lead.created_at {
        json.insert("createdDateTime".to_owned(), lead.created_at.to_string().into());
    }
    lead.version = record.version;
    lead.customer.clone_from(&record.customer);
    if lead.is_contact_hidden_at(now) {
        lead.customer = json["customerProfile"]["name"].as_str().unwrap_or_default().to_owned();
    }
    lead.deal.clone_from(&record.deal);
    lead.location = location_of(record);
    lead.sender_id = record.invited_by.as_ref().and_then(|by| by.id.clone());
    lead.record = Value::Object(json).to_string();
    if lead.is_unanswered_at(now) && lead.cool_at.is_some() != record.consent_to_contact {
        lead.cool_at = record.consent_to_contact.then(|| lead.created_at.plus(rules.policy.urgent_for));
        lead.is_cooled = false;
    }
    let replaced = about_lead(
        now,
        lead,
        "R-INTAKE",
        "a newer record replaced its content; nobody is notified a second time",
        json!({}),
    );
    std::iter::once(replaced).chain(verified).collect()
}

/// Determines e-mail and phone anew. Of contact data that is not taken back, what was found out before stays, unless the record says it now (`R-VERIFY`).
fn look_at_newer(now: Timestamp, lead: &mut Lead, record: &Record, rules: &Rules) -> Option<Entry> {
    let was = lead.clone();
    let entry = look_at(now, lead, &record.json, rules);
    if lead.is_contact_hidden_at(now) {
        lead.email_validity = lead.email_validity.and(was.email_validity);
        lead.phone_validity = lead.phone_validity.and(was.phone_validity);
        lead.verify_at = None;
        return None;
    }
    // What the DNS said of the domain counts for newer content of the same address.
    let is_settled = was.verify_at.is_none() && matches!(was.email_validity, Some(EmailValidity::Valid | EmailValidity::Invalid));
    let domain = mail_domain(&record.json, &rules.spam_domains);
    if is_settled && domain.is_some() && domain == mail_domain(&was.record_json(), &rules.spam_domains) {
        (lead.email_validity, lead.verify_at) = (was.email_validity, None);
    }
    entry
}

/// Notes that newer content of an erased lead came; none of it is kept (`R-ERASE`).
fn pass_over_content(now: Timestamp, lead: &mut Lead, record: &Record) -> Entry {
    lead.version = record.version;
    let event = "a newer record came; the lead was erased, so nothing of it is kept";
    about_lead(now, lead, "R-ERASE", event, json!({}))
}

/// Applies what the portal decided about a lead elsewhere: a stage that ours can reach, a moved expiry.
fn sync(now: Timestamp, lead: &mut Lead, record: &Record, rules: &Rules) -> Vec<Entry> {
    let mut history = Vec::new();
    if lead.kind == Kind::Informational || lead.kind == Kind::Test {
        return history;
    }
    let ours = lead.stage_at(now);
    let detail = json!({ "ours": ours.as_str(), "portals": record.stage.as_str() });
    if ours != record.stage && ours.can_sync_to(record.stage) {
        let event = format!(
            "the portal's record says {}; whoever decided that has told those concerned, so no mail goes out",
            record.stage
        );
        history.push(about_lead(now, lead, "R-SYNC", event, detail));
        lead.stage = record.stage;
        lead.stage_since = match record.stage {
            Stage::Accepted => record.accepted_at.unwrap_or(now).min(now),
            Stage::Received | Stage::Won | Stage::Lost | Stage::Declined | Stage::Expired => now,
        };
        if ours == Stage::Received {
            lead.cool_until(record.accepted_at.unwrap_or(now).min(now));
        }
        return history;
    }
    if ours != record.stage {
        let event = format!(
            "the portal's record says {}, which {ours} cannot become; the stage stays {ours}",
            record.stage
        );
        history.push(about_lead(now, lead, "R-SYNC", event, detail));
    }
    if let (Stage::Received, Some(from), Some(to)) = (ours, lead.expires_at, record.expires_at)
        && from != to
        && !lead.is_erased()
    {
        lead.expires_at = Some(to);
        // A lead that was to be marked is marked at once where the new instant has passed; only one that arrived late never is.
        lead.remind_at = match lead.remind_at {
            Some(_) => Some(to.minus(rules.policy.remind_before)),
            None => remind_at(now, to, &rules.policy).filter(|_| !lead.is_quiet),
        };
        lead.is_expiring &= lead.remind_at.is_some_and(|at| now >= at);
        let detail = json!({ "from": from, "to": to });
        history.push(about_lead(
            now,
            lead,
            "R-SYNC",
            format!("the portal moved its expiry from {from} to {to}"),
            detail,
        ));
    }
    history
}
