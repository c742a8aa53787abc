//! What the link to unsubscribe does: shows whose mails go to whom, stops them, and lets them come again (`R-OPTOUT`).

use crate::app::suppress::{self, has_opted_out};
use crate::app::{Error, Rules, links};
use crate::link::Purpose;
use crate::partner::{EmailAddress, PartnerId};
use crate::store::deliveries::Delivery;
use crate::store::partners::find_partners;
use crate::store::suppressions::OptOut;
use crate::store::{Store, Tx};
use crate::time::Timestamp;

/// Who gets, or does not want, mails about whose leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Whose leads.
    pub partner_id: PartnerId,
    /// The partner's name, or its id where it has none.
    pub partner: String,
    /// The partner's programme.
    pub programme: Option<String>,
    /// Which address.
    pub address: EmailAddress,
    /// The language of the mail that the link stands in.
    pub language: String,
    /// Whether it has unsubscribed.
    pub is_opted_out: bool,
}

/// Returns what a link to unsubscribe is about. Changes nothing: link scanners follow it, too.
///
/// # Errors
/// [`Error::NotFound`] where the token opens nothing, or the database cannot be read.
pub async fn look(store: &Store, now: Timestamp, token: &str) -> Result<Subscription, Error> {
    let mut tx = store.read().await?;
    let delivery = open(&mut tx, now, token).await?;
    subscription(&mut tx, &delivery).await
}

/// Unsubscribes the address that the mail went to from this partner's leads. A second time changes nothing.
///
/// # Errors
/// As [`look`], or the database cannot record it.
pub async fn unsubscribe(store: &Store, now: Timestamp, rules: &Rules, token: &str) -> Result<Subscription, Error> {
    let delivery = opened(store, now, token).await?;
    let opt_out = OptOut {
        partner_id: delivery.partner_id.clone(),
        address: delivery.address.clone(),
        at: now,
        delivery_id: Some(delivery.id),
    };
    suppress::opt_out(store, now, rules, &opt_out).await?;
    subscription(&mut store.read().await?, &delivery).await
}

/// Lets mails come again to an address that unsubscribed. A second time changes nothing.
///
/// # Errors
/// As [`look`], or the database cannot record it.
pub async fn subscribe_again(store: &Store, now: Timestamp, rules: &Rules, token: &str) -> Result<Subscription, Error> {
    let delivery = opened(store, now, token).await?;
    let by = delivery.address.as_str();
    match suppress::resubscribe(store, now, rules, &delivery.partner_id, &delivery.address, Some(by)).await {
        // It had not unsubscribed, or somebody was faster: what was wanted is so.
        Ok(()) | Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    subscription(&mut store.read().await?, &delivery).await
}

async fn opened(store: &Store, now: Timestamp, token: &str) -> Result<Delivery, Error> {
    open(&mut store.read().await?, now, token).await
}

async fn open(tx: &mut Tx, now: Timestamp, token: &str) -> Result<Delivery, Error> {
    let (claim, delivery) = links::open(tx, now, token).await?;
    // No such link is written into a mail that nobody has a say in; one that was, was not written here.
    if claim.purpose != Purpose::Unsubscribe || delivery.kind.is_transactional() {
        return Err(Error::not_found("this link leads nowhere"));
    }
    Ok(delivery)
}

async fn subscription(tx: &mut Tx, delivery: &Delivery) -> Result<Subscription, Error> {
    let partner = find_partners(tx, [&delivery.partner_id]).await?.remove(&delivery.partner_id);
    Ok(Subscription {
        partner_id: delivery.partner_id.clone(),
        programme: partner.as_ref().and_then(|partner| partner.programme.clone()),
        partner: partner
            .and_then(|partner| partner.name)
            .unwrap_or_else(|| delivery.partner_id.to_string()),
        address: delivery.address.clone(),
        language: delivery.language.clone(),
        is_opted_out: has_opted_out(tx, &delivery.partner_id, &delivery.address).await?,
    })
}
