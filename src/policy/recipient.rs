//! Who is told (`R-RECIPIENT`), and in which language (`R-LOCALE`).
//!
//! **Not here:** when this is asked. A notice is resolved when it is claimed for sending, never when its lead arrives.

use std::collections::{BTreeMap, HashSet};

use crate::partner::record::Mailbox;
use crate::partner::{EmailAddress, Partner};
use crate::policy::Rung;

/// What is known of addresses besides the partner's record.
#[derive(Clone, Debug, Default)]
pub struct AddressBook {
    /// Addresses that cannot be reached, for everybody.
    pub suppressed: HashSet<EmailAddress>,
    /// Addresses that do not want mail, for this partner.
    pub opted_out: HashSet<EmailAddress>,
}

/// Why an address that would be mailed is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// `disableNotifications` is set.
    Disabled,
    /// It has unsubscribed.
    OptedOut,
}

impl Silence {
    /// Returns the reason in plain words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "has disableNotifications set",
            Self::OptedOut => "has unsubscribed",
        }
    }
}

/// Who is told, and why nobody else is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipients {
    /// The rung that decided; `None`: nobody has an address.
    pub rung: Option<Rung>,
    /// Who is mailed, one message each.
    pub told: Vec<Mailbox>,
    /// Who would be mailed and does not want to be.
    pub silenced: Vec<(EmailAddress, Silence)>,
    /// Addresses passed over since they cannot be reached.
    pub suppressed: Vec<EmailAddress>,
}

impl Recipients {
    /// Tells whether no rung has an address that can be reached: the lead is *unroutable*.
    pub fn is_unroutable(&self) -> bool {
        self.rung.is_none()
    }
}

/// Resolves who is told of a lead that targets `location`. The first rung with an address that can be reached decides, alone.
pub fn resolve(partner: Option<&Partner>, location: Option<&str>, rungs: &[Rung], book: &AddressBook) -> Recipients {
    let mut suppressed = Vec::new();
    let Some(partner) = partner else { return Recipients::default() };
    for &rung in rungs {
        for group in groups(partner, rung, location) {
            let mut reachable: BTreeMap<&EmailAddress, &Mailbox> = BTreeMap::new();
            for mailbox in group {
                if book.suppressed.contains(&mailbox.email) {
                    if !suppressed.contains(&mailbox.email) {
                        suppressed.push(mailbox.email.clone());
                    }
                } else {
                    reachable.entry(&mailbox.email).or_insert(mailbox);
                }
            }
            if !reachable.is_empty() {
                return told(partner, rung, reachable.into_values(), suppressed, book);
            }
        }
    }
    Recipients {
        suppressed,
        ..Recipients::default()
    }
}

/// The groups of a rung, each of which stands in where the one before has nobody: the targeted location, then the primary one.
fn groups<'a>(partner: &'a Partner, rung: Rung, location: Option<&str>) -> Vec<&'a [Mailbox]> {
    match rung {
        Rung::Preferred => vec![&partner.preferred_emails],
        Rung::Admins => vec![&partner.admins],
        Rung::Profile => {
            let targeted = location.and_then(|id| partner.locations.iter().find(|at| at.id == id));
            let only = partner.locations.first().filter(|_| partner.locations.len() == 1);
            let primary = partner.locations.iter().find(|at| at.primary).or(only);
            targeted.into_iter().chain(primary).map(|at| at.contacts.as_slice()).collect()
        }
    }
}

fn told<'a>(
    partner: &Partner,
    rung: Rung,
    reachable: impl Iterator<Item = &'a Mailbox>,
    suppressed: Vec<EmailAddress>,
    book: &AddressBook,
) -> Recipients {
    let mut answer = Recipients {
        rung: Some(rung),
        suppressed,
        ..Recipients::default()
    };
    for mailbox in reachable {
        match silence_of(partner, &mailbox.email, book) {
            Some(silence) => answer.silenced.push((mailbox.email.clone(), silence)),
            None => answer.told.push(mailbox.clone()),
        }
    }
    answer
}

/// Tells whether an address does not want mail of this partner's leads. `disableNotifications` holds wherever in the record it stands.
pub fn silence_of(partner: &Partner, address: &EmailAddress, book: &AddressBook) -> Option<Silence> {
    if partner
        .mailboxes()
        .any(|mailbox| mailbox.disable_notifications && mailbox.email == *address)
    {
        return Some(Silence::Disabled);
    }
    book.opted_out.contains(address).then_some(Silence::OptedOut)
}

/// Returns the languages to try for a mailbox, best first (`R-LOCALE`).
pub fn languages<'a>(contact: Option<&'a str>, partner: Option<&'a Partner>, configured: &'a str) -> Vec<&'a str> {
    let partners = partner.and_then(|p| p.locale.as_deref());
    [contact, partners, Some(configured)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::partner::PartnerId;
    use crate::partner::record::Location;

    fn address(number: u8) -> EmailAddress {
        format!("user-{number}@contoso.example").parse().expect("a literal")
    }

    fn mailboxes() -> impl Strategy<Value = Vec<Mailbox>> {
        let mailbox = (0..8_u8, prop::bool::weighted(0.2)).prop_map(|(number, disable_notifications)| Mailbox {
            name: None,
            email: address(number),
            locale: None,
            disable_notifications,
        });
        prop::collection::vec(mailbox, 0..4)
    }

    fn partner() -> impl Strategy<Value = Partner> {
        (mailboxes(), mailboxes(), mailboxes(), mailboxes()).prop_map(|(preferred_emails, berlin, ulm, admins)| Partner {
            id: PartnerId::new("contoso"),
            name: None,
            programme: None,
            locale: None,
            time_zone: None,
            digest_cron: None,
            digest_threshold: None,
            urgent_singly: None,
            preferred_emails,
            locations: vec![location("berlin", true, berlin), location("ulm", false, ulm)],
            admins,
        })
    }

    fn location(id: &str, primary: bool, contacts: Vec<Mailbox>) -> Location {
        Location {
            id: id.into(),
            primary,
            contacts,
        }
    }

    fn book() -> impl Strategy<Value = AddressBook> {
        let addresses = || prop::collection::hash_set((0..8_u8).prop_map(address), 0..4);
        (addresses(), addresses()).prop_map(|(suppressed, opted_out)| AddressBook { suppressed, opted_out })
    }

    fn target() -> impl Strategy<Value = Option<&'static str>> {
        prop::sample::select(vec![None, Some("berlin"), Some("ulm"), Some("nowhere")])
    }

    const RUNGS: [Rung; 3] = [Rung::Preferred, Rung::Profile, Rung::Admins];

    proptest! {
        /// R-RECIPIENT: whoever is told can be reached, wants to be told, and is told once; whoever is silenced is not suppressed.
        #[test]
        fn nobody_is_told_who_is_suppressed_or_silenced(partner in partner(), target in target(), book in book()) {
            let answer = resolve(Some(&partner), target, &RUNGS, &book);
            let mut told: Vec<&EmailAddress> = answer.told.iter().map(|mailbox| &mailbox.email).collect();
            for address in &told {
                let is_disabled = partner.mailboxes().any(|mailbox| mailbox.email == **address && mailbox.disable_notifications);
                prop_assert!(!book.suppressed.contains(*address) && !book.opted_out.contains(*address) && !is_disabled);
            }
            prop_assert!(answer.silenced.iter().all(|(address, _)| !book.suppressed.contains(address)));
            prop_assert!(answer.suppressed.iter().all(|address| book.suppressed.contains(address)));
            told.extend(answer.silenced.iter().map(|(address, _)| address));
            let n_told = told.len();
            told.sort();
            told.dedup();
            prop_assert_eq!(told.len(), n_told, "an address stands in the answer twice");
            prop_assert_eq!(answer.is_unroutable(), n_told == 0, "who is silenced does not fall through, and nobody else is unroutable");
        }

        /// R-RECIPIENT: the order in which mailboxes stand in the record, and how often, makes no difference.
        #[test]
        fn the_order_of_mailboxes_makes_no_difference(partner in partner(), target in target(), book in book()) {
            let mut turned = partner.clone();
            for list in [&mut turned.preferred_emails, &mut turned.admins] {
                list.reverse();
                list.extend(list.clone());
            }
            for location in &mut turned.locations {
                location.contacts.reverse();
            }
            let emails = |answer: &Recipients| answer.told.iter().map(|mailbox| mailbox.email.clone()).collect::<Vec<_>>();
            let (one, other) = (resolve(Some(&partner), target, &RUNGS, &book), resolve(Some(&turned), target, &RUNGS, &book));
            prop_assert_eq!(emails(&one), emails(&other));
            prop_assert_eq!((one.rung, one.silenced), (other.rung, other.silenced));
        }
    }
}
