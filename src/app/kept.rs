//! What was handed over, kept byte for byte for as long as `mail.keep_sent` says: shown to whoever wonders what exactly somebody got, then forgotten.
//!
//! Keeping it is `record`'s, in the transaction of its outcome. What tells of a lead that has expired since is kept and not shown: the mail holds the
//! customer's contact data (`R-EXPIRY`).
//! **Invariant:** what is past its time is not shown, whether or not the clock has come round to forget it.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{Error, Rules, mails};
use crate::store::deliveries::find_delivery;
use crate::store::kept::{Kept, find_kept, forget_kept, list_kept, oldest_kept};
use crate::store::leads::find_leads;
use crate::store::{Store, Tx, retried};
use crate::time::Timestamp;

/// Mails that a transaction forgets at most.
const BATCH_MAX: i64 = 1000;
/// What is due within it is forgotten together: a transaction for each mail would cost as much as recording it did.
const TOGETHER_MS: i64 = 60_000;

/// A mail that is kept as it was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptMail {
    /// Its size.
    pub bytes: i64,
    /// Since when.
    pub kept_date_time: Timestamp,
    /// Until when.
    pub until_date_time: Timestamp,
}

/// A mail byte for byte.
#[derive(Clone, Debug)]
pub struct Bytes {
    /// What the lists say of it.
    pub kept: KeptMail,
    /// As it was handed over.
    pub bytes: Vec<u8>,
}

impl KeptMail {
    fn of(kept: &Kept, keep_sent: Duration) -> Self {
        Self {
            bytes: kept.n_bytes,
            kept_date_time: kept.kept_at,
            until_date_time: kept.kept_at.plus(keep_sent),
        }
    }
}

/// Returns what is kept of deliveries, by their ids.
pub(super) async fn of_deliveries(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    deliveries: &[i64],
) -> Result<Vec<(i64, KeptMail)>, crate::store::Error> {
    if rules.keep_sent.is_zero() || deliveries.is_empty() {
        return Ok(Vec::new());
    }
    let found = list_kept(tx, deliveries).await?;
    let kept = found.iter().map(|kept| (kept.delivery_id, KeptMail::of(kept, rules.keep_sent)));
    Ok(kept.filter(|(_, kept)| now < kept.until_date_time).collect())
}

/// Returns the mail of a delivery as it was handed over.
///
/// # Errors
/// There is no such delivery, its mail is not kept or tells of a lead that has expired, or the database cannot be read.
pub async fn mail(store: &Store, now: Timestamp, rules: &Rules, delivery_id: i64) -> Result<Bytes, Error> {
    let mut tx = store.snapshot().await?;
    let delivery = find_delivery(&mut tx, delivery_id)
        .await?
        .ok_or_else(|| mails::unknown(delivery_id))?;
    if delivery.is_erased {
        return Err(Error::not_found_try(
            format!("the mail of delivery {delivery_id} is not kept any more: it told of a lead that was erased"),
            format!("`posthorn deliveries show {delivery_id}` tells how it went"),
        ));
    }
    if rules.keep_sent.is_zero() {
        return Err(Error::not_found_try(
            format!("the mail of delivery {delivery_id} is not kept, as mail.keep_sent is not set"),
            "with mail.keep_sent = \"7d\" the mails that go out from then on are kept for seven days",
        ));
    }
    let found = find_kept(&mut tx, delivery_id).await?.map(|(kept_at, bytes)| Bytes {
        kept: KeptMail::of(
            &Kept {
                delivery_id,
                kept_at,
                n_bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            },
            rules.keep_sent,
        ),
        bytes,
    });
    let found = found.filter(|found| now < found.kept.until_date_time).ok_or_else(|| {
        Error::not_found_try(
            format!(
                "the mail of delivery {delivery_id} is not kept: nothing was handed over within mail.keep_sent, or before that was set"
            ),
            format!("`posthorn deliveries show {delivery_id}` tells what was tried"),
        )
    })?;
    let leads = find_leads(&mut tx, delivery.lead_id.iter().chain(&delivery.leads)).await?;
    if let Some(expired) = leads
        .values()
        .filter(|lead| lead.is_contact_hidden_at(now))
        .map(|lead| &lead.id)
        .min()
    {
        return Err(Error::not_found_try(
            format!(
                "the mail of delivery {delivery_id} is not shown: lead {expired}, of which it tells, has expired, and its contact data is hidden"
            ),
            format!("`posthorn deliveries show {delivery_id}` tells what was tried"),
        ));
    }
    Ok(found)
}

/// Forgets mails whose time is over, and returns how many, a batch at most: where there were some, there may be more.
///
/// # Errors
/// The database cannot be read or written; they are forgotten later.
pub async fn forget(store: &Store, now: Timestamp, rules: &Rules) -> Result<u64, Error> {
    let due = next_due(&mut store.read().await?, rules).await?;
    if due.is_none_or(|at| now < at) {
        return Ok(0);
    }
    Ok(retried(|| forget_once(store, now, rules)).await?)
}

async fn forget_once(store: &Store, now: Timestamp, rules: &Rules) -> Result<u64, crate::store::Error> {
    let mut tx = store.begin().await?;
    let n_forgotten = forget_kept(&mut tx, minute_of(now.minus(rules.keep_sent)), BATCH_MAX).await?;
    tx.commit().await?;
    Ok(n_forgotten)
}

/// Returns when mails are next to be forgotten.
///
/// # Errors
/// The database cannot be read.
pub async fn next_due(tx: &mut Tx, rules: &Rules) -> Result<Option<Timestamp>, crate::store::Error> {
    let oldest = oldest_kept(tx).await?;
    Ok(oldest.map(|at| Timestamp::from_millis(minute_of(at).as_millis() + TOGETHER_MS).plus(rules.keep_sent)))
}

fn minute_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(TOGETHER_MS) * TOGETHER_MS)
}
