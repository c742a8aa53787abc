//! Finds the mail that a bounce speaks of, and says whether its word is believed (`R-RECIPIENT`).
//!
//! A mail is found by a mark that only this database could have made (`outbox::mark`), in this order: the return address that the bounce came to, the
//! envelope id that it names, the Message-ID of the mail that it brings back. The latter two are hashes, which do not say whose they are: they are
//! tried against the latest mails to the addresses that the bounce names. So a mark of one mail does not make a bounce of another's address believed.
//!
//! **Not here:** what follows (`bounce`).

use std::collections::BTreeSet;

use crate::app::bounce::plain;
use crate::outbox::bounce::{Class, Recipient, Report};
use crate::outbox::mark::{Marks, Returned};
use crate::partner::EmailAddress;
use crate::store::bounces::list_candidates;
use crate::store::deliveries::{Delivery, find_delivery};
use crate::store::{Error, Tx};

/// Deliveries to an address that a mark is tried against. A bounce comes within days; an address gets a dozen mails a day.
const CANDIDATES_MAX: i64 = 1000;
/// Addresses of a bounce that are looked up.
const ADDRESSES_MAX: usize = 10;

/// What a bounce was found to be about.
pub(super) struct Found {
    /// The mail.
    pub(super) delivery: Delivery,
    /// By which mark, as the database names it.
    pub(super) by: &'static str,
}

/// Returns what a report says of a mail, where it does. A list behind the address may make several recipients of one: whom it reached counts.
pub(super) fn believed(delivery: &Delivery, report: &Report) -> Result<(Recipient, Class), String> {
    let id = delivery.id;
    if report.recipients.is_empty() {
        return Err(format!("it comes from mail {id}, and says of no recipient what became of it"));
    }
    let of_it: Vec<&Recipient> = report
        .recipients
        .iter()
        .filter(|recipient| recipient.is_of(&delivery.address))
        .collect();
    if of_it.is_empty() {
        let named: Vec<String> = report.recipients.iter().take(3).map(|recipient| plain(recipient.names())).collect();
        return Err(format!(
            "it speaks of {}, and mail {id} went to {}: nothing in it says that the one was rewritten to the other, so it is not believed",
            named.join(", "),
            delivery.address
        ));
    }
    let best = of_it.into_iter().filter_map(|recipient| Some((recipient, recipient.class()?)));
    let best = best.min_by_key(|(_, class)| *class);
    best.map(|(recipient, class)| (recipient.clone(), class))
        .ok_or_else(|| format!("what it says of mail {id} is not clear: action and status contradict each other, or are missing"))
}

/// Finds the mail whose mark a bounce bears. The second: whether it bears one that is made up.
pub(super) async fn find(tx: &mut Tx, marks: &Marks, recipient: Option<&str>, report: &Report) -> Result<(Option<Found>, bool), Error> {
    let mut is_forged = false;
    for address in recipient.into_iter().chain(report.came_to.iter().map(String::as_str)) {
        match marks.returned(address) {
            Returned::Delivery(id) => {
                if let Some(delivery) = find_delivery(tx, id).await? {
                    let by = "return_address";
                    return Ok((Some(Found { delivery, by }), is_forged));
                }
            }
            Returned::Forged => is_forged = true,
            Returned::Other => {}
        }
    }
    let original = report.original_id.as_deref().and_then(|id| id.split('@').next());
    let wanted = [("envelope_id", report.envelope_id.as_deref()), ("message_id", original)];
    if wanted.iter().all(|(_, mark)| mark.is_none()) {
        return Ok((None, is_forged));
    }
    let mut candidates = Vec::new();
    for address in addresses(report) {
        candidates.extend(list_candidates(tx, address.as_str(), CANDIDATES_MAX).await?);
    }
    for (by, mark) in wanted {
        let Some(mark) = mark else { continue };
        let id = candidates.iter().find(|id| marks.is_message(mark, **id));
        if let Some(id) = id
            && let Some(delivery) = find_delivery(tx, *id).await?
        {
            return Ok((Some(Found { delivery, by }), is_forged));
        }
    }
    Ok((None, is_forged))
}

/// Lists whose mail it may be: of whom it speaks, and to whom the mail was addressed that it brings back.
fn addresses(report: &Report) -> BTreeSet<EmailAddress> {
    let named = report.recipients.iter().flat_map(Recipient::addresses);
    let headed = report.original_to.iter().filter_map(|address| address.parse().ok());
    let mut addresses = BTreeSet::new();
    for address in named.chain(headed) {
        if addresses.len() < ADDRESSES_MAX {
            addresses.insert(address);
        }
    }
    addresses
}
