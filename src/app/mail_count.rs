//! Counts the mails that a file would cause, before any of it is taken in (`R-BACKFILL`): the same decisions, and nothing written.

use std::collections::{BTreeSet, HashSet};

use crate::app::known::Known;
use crate::app::new_lead::decide_new;
use crate::app::take_in::{Incoming, Origin};
use crate::app::{Error, Rules};
use crate::lead::{LeadId, Record};
use crate::partner::{EmailAddress, PartnerId};
use crate::policy::channel::Channel;
use crate::store::Store;
use crate::store::leads::find_leads;
use crate::time::Timestamp;

/// Counts the mails that new records would cause, with the same decisions and nothing written (`R-BACKFILL`).
#[derive(Debug, Default)]
pub struct MailCount {
    known: Known,
    seen: HashSet<LeadId>,
    n_singles: u64,
    digests: HashSet<(PartnerId, EmailAddress)>,
}

impl MailCount {
    /// Counts one more batch.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn add(&mut self, store: &Store, now: Timestamp, rules: &Rules, origin: &Origin, batch: Vec<Incoming>) -> Result<(), Error> {
        let records: Vec<Record> = batch.into_iter().filter_map(|incoming| incoming.parsed.ok()).collect();
        let mut tx = store.read().await?;
        let known_leads = find_leads(&mut tx, records.iter().map(|record| &record.id)).await?;
        let partners: BTreeSet<PartnerId> = records.iter().map(|record| record.partner_id.clone()).collect();
        self.known.read_more(&mut tx, &partners).await?;
        let unknown = partners.into_iter().map(|id| (id, Default::default())).collect();
        self.known.open_days(&mut tx, now, &rules.policy, &unknown).await?;
        for record in records {
            if known_leads.contains_key(&record.id) || !self.seen.insert(record.id.clone()) {
                continue;
            }
            let new = decide_new(now, &record, &mut self.known, rules, origin);
            match new.lead.channel {
                Some(Channel::Single) => self.n_singles += new.told.len() as u64,
                Some(Channel::Digest) => self
                    .digests
                    .extend(new.told.into_iter().map(|address| (record.partner_id.clone(), address))),
                Some(Channel::Held) | None => {}
            }
        }
        Ok(())
    }

    /// Returns the mails counted so far: one a single lead and address, one a partner and address for the digest.
    pub fn n_mails(&self) -> u64 {
        self.n_singles + self.digests.len() as u64
    }
}
