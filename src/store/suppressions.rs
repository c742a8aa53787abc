//! Addresses that cannot be reached (for everybody), and those that do not want mail (for one partner).

use std::collections::HashSet;

use serde::Serialize;

use crate::partner::{EmailAddress, PartnerId};
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &INSERT,
    &DELETE,
    &LIST,
    &FIND,
    &AMONG,
    &FAULTS,
    &NOTE_FAULTS,
    &OPT_OUT,
    &RESUBSCRIBE,
    &OPT_OUTS_OF_ADDRESS,
    &OPT_OUTS_OF_PARTNER,
    &COUNT,
    &FORGET,
    &FORGET_FAULTS,
];

/// An address that cannot be reached.
#[derive(Clone, Debug)]
pub struct Suppression {
    /// Which.
    pub address: EmailAddress,
    /// Why: a reply's enhanced code, or what a person said.
    pub reason: String,
    /// The reply's text.
    pub detail: String,
    /// Who, where it was somebody.
    pub actor: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
}

#[derive(Serialize)]
struct SuppressionRow {
    address: String,
    reason: String,
    detail: String,
    actor: Option<String>,
    created_at: i64,
}
row!(SuppressionRow: address, reason, detail, actor, created_at);

struct AddressRow {
    address: String,
}
row!(AddressRow: address);

const INSERT: Sql = sql!("suppressions.insert":
    "insert into suppression (address, reason, detail, actor, created_at) select r.address, r.reason, r.detail, r.actor, r.created_at
from " (address text, reason text, detail text, actor text, created_at bigint) " where true order by r.address on conflict (address) do nothing
returning address");

/// Suppresses addresses, and returns those that were not suppressed before.
pub async fn insert_suppressions(tx: &mut Tx, suppressions: &[Suppression]) -> Result<HashSet<EmailAddress>, Error> {
    if suppressions.is_empty() {
        return Ok(HashSet::new());
    }
    let written: Vec<SuppressionRow> = suppressions
        .iter()
        .map(|suppression| SuppressionRow {
            address: suppression.address.as_str().to_owned(),
            reason: suppression.reason.clone(),
            detail: suppression.detail.clone(),
            actor: suppression.actor.clone(),
            created_at: suppression.created_at.as_millis(),
        })
        .collect();
    let found: Vec<AddressRow> = tx.fetch_all(&INSERT, args![rows(&written)]).await?;
    Ok(found.into_iter().map(|row| EmailAddress::from_stored(row.address)).collect())
}

const DELETE: Sql = sql!("suppressions.delete": "delete from suppression where address = $1");

/// Lifts a suppression; tells whether there was one.
pub async fn delete_suppression(tx: &mut Tx, address: &EmailAddress) -> Result<bool, Error> {
    Ok(tx.execute(&DELETE, args![address.as_str()]).await? > 0)
}

const FORGET: Sql = sql!("suppressions.forget":
    "delete from suppression where address in (select r.id from " (id text) ") and reason = 'hard bounce'");
const FORGET_FAULTS: Sql =
    sql!("suppressions.forget_faults": "delete from address_fault where address in (select r.id from " (id text) ")");

/// Forgets that mail to these addresses came back (`R-ERASE`). One that somebody stopped by hand stays so: who wants no mail is to get none.
pub async fn forget_addresses<'a>(tx: &mut Tx, addresses: impl IntoIterator<Item = &'a EmailAddress>) -> Result<(), Error> {
    let addresses: Vec<&EmailAddress> = addresses.into_iter().collect();
    let rows = super::id_rows(addresses.iter().map(|address| address.as_str()));
    tx.execute(&FORGET, args![rows]).await?;
    forget_faults(tx, addresses).await
}

/// Forgets that these addresses were refused.
pub async fn forget_faults<'a>(tx: &mut Tx, addresses: impl IntoIterator<Item = &'a EmailAddress>) -> Result<(), Error> {
    let addresses = super::id_rows(addresses.into_iter().map(EmailAddress::as_str));
    tx.execute(&FORGET_FAULTS, args![addresses]).await?;
    Ok(())
}

const LIST: Sql = sql!("suppressions.list":
    "select address, reason, detail, actor, created_at from suppression where address > $1 order by address limit $2");

/// Lists suppressed addresses in order, from after `after`.
pub async fn list_suppressions(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Suppression>, Error> {
    let found: Vec<SuppressionRow> = tx.fetch_all(&LIST, args![after, limit]).await?;
    Ok(found.into_iter().map(Suppression::from).collect())
}

const FIND: Sql = sql!("suppressions.find": "select address, reason, detail, actor, created_at from suppression where address = $1");

/// Returns an address's suppression.
pub async fn find_suppression(tx: &mut Tx, address: &EmailAddress) -> Result<Option<Suppression>, Error> {
    Ok(tx
        .fetch_optional::<SuppressionRow>(&FIND, args![address.as_str()])
        .await?
        .map(Suppression::from))
}

const AMONG: Sql = sql!("suppressions.among": "select address from suppression where address in (select r.id from " (id text) ")");

/// Returns those of the addresses that are suppressed.
pub async fn find_among<'a>(tx: &mut Tx, addresses: impl IntoIterator<Item = &'a EmailAddress>) -> Result<HashSet<EmailAddress>, Error> {
    let addresses: Vec<&str> = addresses.into_iter().map(EmailAddress::as_str).collect();
    if addresses.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<AddressRow> = tx.fetch_all(&AMONG, args![super::id_rows(addresses)]).await?;
    Ok(found.into_iter().map(|row| EmailAddress::from_stored(row.address)).collect())
}

#[derive(Serialize)]
struct FaultRow {
    address: String,
    first_at: i64,
}
row!(FaultRow: address, first_at);

const NOTE_FAULTS: Sql = sql!("suppressions.note_faults":
    "insert into address_fault (address, first_at) select r.address, r.first_at from " (address text, first_at bigint)
    " where true order by r.address on conflict (address) do nothing");
const FAULTS: Sql =
    sql!("suppressions.faults": "select address, first_at from address_fault where address in (select r.id from " (id text) ")");

/// Notes bare refusals of addresses at `now`, and returns since when each has been refused.
pub async fn note_faults(tx: &mut Tx, now: Timestamp, addresses: &[EmailAddress]) -> Result<Vec<(EmailAddress, Timestamp)>, Error> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let noted: Vec<FaultRow> = addresses
        .iter()
        .map(|address| FaultRow {
            address: address.as_str().to_owned(),
            first_at: now.as_millis(),
        })
        .collect();
    tx.execute(&NOTE_FAULTS, args![rows(&noted)]).await?;
    let found: Vec<FaultRow> = tx
        .fetch_all(&FAULTS, args![super::id_rows(addresses.iter().map(EmailAddress::as_str))])
        .await?;
    Ok(found
        .into_iter()
        .map(|row| (EmailAddress::from_stored(row.address), Timestamp::from_millis(row.first_at)))
        .collect())
}

/// An address that does not want mail of one partner's leads.
#[derive(Clone, Debug)]
pub struct OptOut {
    /// Whose leads.
    pub partner_id: PartnerId,
    /// Which address.
    pub address: EmailAddress,
    /// Since when.
    pub at: Timestamp,
    /// By which mail.
    pub delivery_id: Option<i64>,
}

struct OptOutRow {
    partner_id: String,
    address: String,
    at: i64,
    delivery_id: Option<i64>,
}
row!(OptOutRow: partner_id, address, at, delivery_id);

const OPT_OUT: Sql = sql!("suppressions.opt_out":
    "insert into opt_out (partner_id, address, at, delivery_id) values ($1, $2, $3, $4) on conflict (partner_id, address) do nothing");

/// Writes an opt-out; tells whether it is new (`R-OPTOUT`).
pub async fn insert_opt_out(tx: &mut Tx, opt_out: &OptOut) -> Result<bool, Error> {
    let values = args![
        opt_out.partner_id.as_str(),
        opt_out.address.as_str(),
        opt_out.at,
        opt_out.delivery_id
    ];
    Ok(tx.execute(&OPT_OUT, values).await? > 0)
}

const RESUBSCRIBE: Sql = sql!("suppressions.resubscribe": "delete from opt_out where partner_id = $1 and address = $2");

/// Lifts an opt-out; tells whether there was one.
pub async fn delete_opt_out(tx: &mut Tx, partner: &PartnerId, address: &EmailAddress) -> Result<bool, Error> {
    Ok(tx.execute(&RESUBSCRIBE, args![partner.as_str(), address.as_str()]).await? > 0)
}

const OPT_OUTS_OF_ADDRESS: Sql = sql!("suppressions.opt_outs_of_address": "select partner_id, address, at, delivery_id from opt_out where address = $1 order by partner_id");
const OPT_OUTS_OF_PARTNER: Sql = sql!("suppressions.opt_outs_of_partner": "select partner_id, address, at, delivery_id from opt_out where partner_id = $1 order by address");

/// Lists the opt-outs of an address.
pub async fn list_opt_outs_of_address(tx: &mut Tx, address: &EmailAddress) -> Result<Vec<OptOut>, Error> {
    let found: Vec<OptOutRow> = tx.fetch_all(&OPT_OUTS_OF_ADDRESS, args![address.as_str()]).await?;
    Ok(found.into_iter().map(OptOut::from).collect())
}

/// Lists the opt-outs of a partner.
pub async fn list_opt_outs_of_partner(tx: &mut Tx, partner: &PartnerId) -> Result<Vec<OptOut>, Error> {
    let found: Vec<OptOutRow> = tx.fetch_all(&OPT_OUTS_OF_PARTNER, args![partner.as_str()]).await?;
    Ok(found.into_iter().map(OptOut::from).collect())
}

const COUNT: Sql = sql!("suppressions.count": "select count(*) as n from suppression");

/// Counts the suppressed addresses.
pub async fn count_suppressions(tx: &mut Tx) -> Result<i64, Error> {
    tx.count(&COUNT, args![]).await
}

impl From<SuppressionRow> for Suppression {
    fn from(row: SuppressionRow) -> Self {
        Self {
            address: EmailAddress::from_stored(row.address),
            reason: row.reason,
            detail: row.detail,
            actor: row.actor,
            created_at: Timestamp::from_millis(row.created_at),
        }
    }
}

impl From<OptOutRow> for OptOut {
    fn from(row: OptOutRow) -> Self {
        Self {
            partner_id: PartnerId::new(row.partner_id),
            address: EmailAddress::from_stored(row.address),
            at: Timestamp::from_millis(row.at),
            delivery_id: row.delivery_id,
        }
    }
}
