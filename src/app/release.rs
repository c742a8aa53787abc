//! What becomes possible when a partner has an address (again): held leads are counted on this day, parked notices are due (`R-RECIPIENT`, `R-CHANNEL`).

use std::collections::BTreeSet;

use serde_json::json;

use crate::app::known::Known;
use crate::app::new_lead::{join_digests, place, single_notices, why_channel};
use crate::app::{Rules, about_lead};
use crate::lead::{Lead, Stage};
use crate::partner::PartnerId;
use crate::policy::channel::Channel;
use crate::store::history::insert_history;
use crate::store::leads::{StateChange, list_held, update_states};
use crate::store::notices::{insert_notices, unpark_notices};
use crate::store::partners::{lock_partners, set_days};
use crate::store::{Error, Tx};
use crate::time::Timestamp;

/// Held leads released in one transaction, at most; a partner that was unreachable for so many is an incident, and its rest follows its next change.
const RELEASE_MAX: i64 = 100_000;

/// Releases what waited for these partners to have an address. They are locked, and their change is written.
pub(super) async fn release(tx: &mut Tx, now: Timestamp, rules: &Rules, partners: &BTreeSet<PartnerId>) -> Result<usize, Error> {
    unpark_notices(tx, now, partners).await?;
    let ids: Vec<PartnerId> = partners.iter().cloned().collect();
    let held = list_held(tx, &ids, RELEASE_MAX).await?;
    if held.is_empty() {
        return Ok(0);
    }
    let states = lock_partners(tx, partners).await?;
    let mut known = Known::default();
    known.read_more(tx, partners).await?;
    known.open_days(tx, now, &rules.policy, &states).await?;
    let mut released: Vec<Lead> = Vec::new();
    for mut lead in held.into_iter().filter(|lead| lead.is_unanswered_at(now)) {
        if !known
            .resolve(&lead.partner_id, lead.location.as_deref(), &rules.policy)
            .is_unroutable()
        {
            place(now, &mut lead, false, &mut known, rules);
            released.push(lead);
        }
    }
    join_digests(tx, now, &mut released, &known, rules).await?;
    update_states(
        tx,
        &released
            .iter()
            .map(|lead| StateChange::new(lead, Stage::Received))
            .collect::<Vec<_>>(),
    )
    .await?;
    set_days(tx, &known.changed_days()).await?;
    insert_notices(tx, now, &single_notices(now, &released)).await?;
    let entries: Vec<_> = released
        .iter()
        .map(|lead| {
            let due_at = (lead.channel == Some(Channel::Digest)).then(|| known.next_fire(&lead.partner_id, now, &rules.policy));
            let event = format!("the partner has an address now: {}", why_channel(lead, &known, rules, due_at));
            let detail = json!({ "channel": lead.channel.map(Channel::as_str), "dayNumber": lead.day_number });
            about_lead(now, lead, "R-CHANNEL", event, detail)
        })
        .collect();
    insert_history(tx, &entries).await?;
    Ok(released.len())
}
