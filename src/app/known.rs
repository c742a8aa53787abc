//! What is known of the partners that a batch concerns: read once, after their lock, and counted on in memory while the batch is decided.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::partner::{EmailAddress, Partner, PartnerId, Zone};
use crate::policy::Policy;
use crate::policy::recipient::{AddressBook, Recipients, Silence, resolve, silence_of};
use crate::policy::schedule::Cron;
use crate::store::partners::{PartnerState, find_address_books, find_partners};
use crate::store::{Error, Tx, leads};
use crate::time::{LocalDay, Timestamp};

/// Partners as they stand, with the counts of their day.
#[derive(Debug, Default)]
pub struct Known {
    partners: HashMap<PartnerId, Partner>,
    books: HashMap<PartnerId, AddressBook>,
    days: HashMap<PartnerId, Day>,
}

#[derive(Debug)]
struct Day {
    day: LocalDay,
    n_counted: i64,
    is_changed: bool,
}

impl Known {
    /// Reads what is known of these partners; those that are known already keep what was counted.
    pub async fn read_more(&mut self, tx: &mut Tx, ids: &BTreeSet<PartnerId>) -> Result<(), Error> {
        let new: Vec<&PartnerId> = ids.iter().filter(|id| !self.books.contains_key(*id)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.partners.extend(find_partners(tx, new.iter().copied()).await?);
        let mut books = find_address_books(tx, new.iter().copied()).await?;
        for id in new {
            self.books.insert(id.clone(), books.remove(id).unwrap_or_default());
        }
        Ok(())
    }

    /// Starts counting each partner's day at `now`: from its narrow row where that counts this very day, else from the leads that were counted on it.
    pub async fn open_days(
        &mut self,
        tx: &mut Tx,
        now: Timestamp,
        policy: &Policy,
        states: &HashMap<PartnerId, PartnerState>,
    ) -> Result<(), Error> {
        for (id, state) in states {
            let day = self.zone(id, policy).day_of(now);
            if self.days.get(id).is_some_and(|open| open.day == day) {
                continue;
            }
            let n_counted = if state.day == Some(day) {
                state.day_count
            } else {
                leads::count_day(tx, id, day).await?
            };
            self.days.insert(
                id.clone(),
                Day {
                    day,
                    n_counted,
                    is_changed: false,
                },
            );
        }
        Ok(())
    }

    /// Counts one more lead of the partner's day, and returns the day and the lead's number on it (`R-CHANNEL`).
    pub fn count(&mut self, id: &PartnerId) -> (LocalDay, i64) {
        let day = self.days.get_mut(id).expect("the days of all partners of a batch are opened first");
        day.n_counted += 1;
        day.is_changed = true;
        (day.day, day.n_counted)
    }

    /// Returns the days whose count has changed.
    pub fn changed_days(&self) -> Vec<(PartnerId, LocalDay, i64)> {
        let changed = self.days.iter().filter(|(_, day)| day.is_changed);
        let mut days: Vec<_> = changed.map(|(id, day)| (id.clone(), day.day, day.n_counted)).collect();
        days.sort();
        days
    }

    /// Returns a partner's record; an unknown partner has none.
    pub fn partner(&self, id: &PartnerId) -> Option<&Partner> {
        self.partners.get(id)
    }

    /// Returns the zone in which a partner's days are counted.
    pub fn zone(&self, id: &PartnerId, policy: &Policy) -> Zone {
        zone_of(self.partner(id), policy)
    }

    /// Resolves who would be told of a lead of this partner.
    pub fn resolve(&self, id: &PartnerId, location: Option<&str>, policy: &Policy) -> Recipients {
        let none = AddressBook::default();
        resolve(
            self.partner(id),
            location,
            &policy.recipient_rungs,
            self.books.get(id).unwrap_or(&none),
        )
    }

    /// Resolves who would be told once `failed` addresses count as absent, too: they were tried in vain.
    pub fn resolve_without(&self, id: &PartnerId, location: Option<&str>, policy: &Policy, failed: &HashSet<EmailAddress>) -> Recipients {
        let mut book = self.books.get(id).cloned().unwrap_or_default();
        book.suppressed.extend(failed.iter().cloned());
        resolve(self.partner(id), location, &policy.recipient_rungs, &book)
    }

    /// Tells whether an address does not want mail of this partner's leads (any more).
    pub fn silence_of(&self, id: &PartnerId, address: &EmailAddress) -> Option<Silence> {
        silence_of(self.partner(id)?, address, self.books.get(id)?)
    }

    /// Returns the partner's next fire after `now` (`R-DIGEST`).
    pub fn next_fire(&self, id: &PartnerId, now: Timestamp, policy: &Policy) -> Timestamp {
        cron_of(self.partner(id), policy).next_fire(self.zone(id, policy), now)
    }
}

/// Returns a partner's zone, or the configured one.
pub fn zone_of(partner: Option<&Partner>, policy: &Policy) -> Zone {
    partner.and_then(|partner| partner.time_zone).unwrap_or(policy.time_zone)
}

/// Returns a partner's digest cron, its programme's, or the configured one.
pub fn cron_of<'a>(partner: Option<&'a Partner>, policy: &'a Policy) -> &'a Cron {
    policy.digest_cron_of(partner)
}
