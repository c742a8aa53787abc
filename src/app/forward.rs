//! Sends a lead on to a colleague: a notice with an address of its own, told like any other and to nobody else.

use std::collections::BTreeSet;

use serde_json::json;

use crate::app::known::Known;
use crate::app::{Error, about_lead};
use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::outbox::delivery::State;
use crate::store::deliveries::{Filter, list_deliveries};
use crate::store::history::insert_history;
use crate::store::leads::find_lead;
use crate::store::notices::{Forward, count_forwards, insert_forward};
use crate::store::partners::lock_partners;
use crate::store::suppressions::find_suppression;
use crate::store::{Store, Tx};
use crate::time::Timestamp;

/// How often a lead may be sent on, or tried to: a team, and no mailing list.
pub const FORWARDS_MAX: i64 = 5;
/// Mails about one lead to one address that are looked at.
const MAILS_MAX: i64 = 20;

/// What became of the wish to send a lead on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// The mail will go out.
    Queued,
    /// The address has the lead, or is about to.
    ToldAlready,
    /// Mail cannot be sent to the address: it comes back, or is not wanted. Which one is not told: whoever has a link could ask about any address.
    Unreachable,
    /// The lead was sent on often enough.
    TooOften,
}

/// Sends an unanswered lead on to an address.
///
/// # Errors
/// There is no such lead, it needs no answer any more, or the database cannot record it.
pub async fn forward(store: &Store, now: Timestamp, id: &LeadId, forward: &Forward) -> Result<Forwarded, Error> {
    let mut tx = store.begin().await?;
    let unknown = || Error::not_found(format!("there is no lead {id}"));
    let partner_id = find_lead(&mut tx, id).await?.ok_or_else(unknown)?.partner_id;
    let partners = BTreeSet::from([partner_id.clone()]);
    lock_partners(&mut tx, &partners).await?;
    // Read again: whoever held the lock may have moved it.
    let lead = find_lead(&mut tx, id).await?.ok_or_else(unknown)?;
    if let Some(erased_at) = lead.erased_at {
        return Err(Error::Refused(format!("lead {id} was erased at {erased_at}; it cannot be sent on")));
    }
    if !lead.is_unanswered_at(now) {
        return Err(Error::Refused(format!(
            "lead {id} is {} since {}; only a lead in New/Received can be sent on",
            lead.stage_at(now),
            lead.stage_since_at(now)
        )));
    }
    let mut known = Known::default();
    known.read_more(&mut tx, &partners).await?;
    if is_told(&mut tx, id, forward).await? {
        return Ok(Forwarded::ToldAlready);
    }
    if count_forwards(&mut tx, id).await? >= FORWARDS_MAX {
        return Ok(Forwarded::TooOften);
    }
    let refusal = match find_suppression(&mut tx, &forward.address).await? {
        Some(_) => Some(format!("{} is suppressed", forward.address)),
        None => known
            .silence_of(&partner_id, &forward.address)
            .map(|silence| format!("{} {}", forward.address, silence.as_str())),
    };
    if let Some(why) = refusal {
        // It counts as one of the few, so that nobody asks about many.
        insert_forward(&mut tx, now, &partner_id, id, forward, Some(&why)).await?;
        tx.commit().await?;
        return Ok(Forwarded::Unreachable);
    }
    if !insert_forward(&mut tx, now, &partner_id, id, forward, None).await? {
        return Ok(Forwarded::ToldAlready);
    }
    let event = format!("sent on to {} by {}", forward.address, forward.by);
    let mut entry = about_lead(
        now,
        &lead,
        "R-RECIPIENT",
        event,
        json!({ "to": forward.address, "max": FORWARDS_MAX }),
    );
    entry.actor = Some(forward.by.to_string());
    insert_history(&mut tx, &[entry]).await?;
    tx.commit().await?;
    Ok(Forwarded::Queued)
}

/// Tells whether a mail about this lead alone has reached the address, or still may.
async fn is_told(tx: &mut Tx, id: &LeadId, forward: &Forward) -> Result<bool, Error> {
    let filter = Filter {
        states: vec![State::Queued, State::Sending, State::InDoubt, State::Sent],
        lead_id: Some(id.clone()),
        address: Some(forward.address.clone()),
        ..Filter::default()
    };
    let mails = list_deliveries(tx, &filter, i64::MAX, MAILS_MAX).await?;
    Ok(mails.iter().any(|mail| mail.kind == Kind::Lead))
}
