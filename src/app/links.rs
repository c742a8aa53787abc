//! Links in mails: makes and replaces the keys that sign them, and finds the mail that a token stands for.

use crate::app::Error;
use crate::link::{self, Claim, SECRET_BYTES, Unverified};
use crate::store::deliveries::{Delivery, find_delivery};
use crate::store::links::{find_key, forget_keys, make_key, newest_key};
use crate::store::{Store, Tx};
use crate::time::Timestamp;

/// Sees to it that there is a key that signs links, not older than a quarter, and forgets those that verify nothing any more. `fresh` becomes the new
/// key where one is due. Returns when to look again.
///
/// # Errors
/// The database cannot be written.
pub async fn keep_keys(store: &Store, now: Timestamp, fresh: &[u8; SECRET_BYTES]) -> Result<Timestamp, Error> {
    let mut tx = store.read().await?;
    let newest = newest_key(&mut tx).await?;
    drop(tx);
    if let Some(newest) = newest.filter(|newest| !link::is_stale(newest.made_at, now)) {
        return Ok(link::stale_at(newest.made_at));
    }
    let mut tx = store.begin().await?;
    make_key(&mut tx, now, fresh, link::stale_before(now)).await?;
    forget_keys(&mut tx, link::retired_before(now)).await?;
    let made_at = newest_key(&mut tx).await?.map_or(now, |newest| newest.made_at);
    tx.commit().await?;
    Ok(link::stale_at(made_at))
}

/// Finds what a token was signed for and the mail that it stands in.
///
/// # Errors
/// [`Error::NotFound`] where it was not signed here, or too long ago; which of these is not told.
pub(super) async fn open(tx: &mut Tx, now: Timestamp, token: &str) -> Result<(Claim, Delivery), Error> {
    let nowhere = || Error::not_found("this link leads nowhere".to_owned());
    let token = Unverified::read(token).ok_or_else(nowhere)?;
    let key = find_key(tx, token.key_id()).await?.ok_or_else(nowhere)?;
    let claim = key.key.verify(&token).ok_or_else(nowhere)?;
    if link::is_retired(key.made_at, now) {
        return Err(nowhere());
    }
    let delivery = find_delivery(tx, claim.delivery_id).await?.ok_or_else(nowhere)?;
    Ok((claim, delivery))
}
