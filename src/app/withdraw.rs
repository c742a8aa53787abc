//! What follows when leads need no answer any more: what was still to be told of them is taken back.

use std::collections::{BTreeSet, HashSet};

use crate::lead::Lead;
use crate::partner::PartnerId;
use crate::policy::channel::Channel;
use crate::store::{Error, Tx, deliveries, digests, notices};
use crate::time::Timestamp;

/// Takes back what is still to be told of these leads: notices and queued mails are cancelled, collecting digests are left. The leads' rows are the
/// caller's to write. Their partners are locked.
pub async fn withdraw(tx: &mut Tx, now: Timestamp, leads: &mut [Lead], reason: &str) -> Result<(), Error> {
    if leads.is_empty() {
        return Ok(());
    }
    let deferred: BTreeSet<PartnerId> = leads
        .iter()
        .filter(|lead| lead.digest_id.is_some())
        .map(|lead| lead.partner_id.clone())
        .collect();
    let collecting: HashSet<i64> = match deferred.is_empty() {
        true => HashSet::new(),
        false => digests::find_collecting(tx, &deferred)
            .await?
            .into_iter()
            .map(|digest| digest.id)
            .collect(),
    };
    for lead in leads.iter_mut() {
        if lead.digest_id.is_some_and(|id| collecting.contains(&id)) {
            lead.digest_id = None;
        }
        if lead.channel == Some(Channel::Held) {
            lead.channel = None;
        }
    }
    notices::cancel_notices(tx, now, leads.iter().map(|lead| &lead.id), reason).await?;
    deliveries::cancel_deliveries(tx, now, leads.iter().map(|lead| &lead.id), reason).await?;
    Ok(())
}
