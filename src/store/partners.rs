//! Partners, their addresses, and the lock under which everything is decided for them (architecture, 3).

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::policy::recipient::AddressBook;
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::{LocalDay, Timestamp};

pub(super) const ALL: &[&Sql] = &[
    &STUBS,
    &LOCK,
    &LOCK_FREE,
    &SET_DAYS,
    &FIND,
    &UPSERT,
    &FORGET_ADDRESSES,
    &ADD_ADDRESSES,
    &SUPPRESSED,
    &OPTED_OUT,
    &OF_ADDRESSES,
    &LIST,
];

/// The partner's narrow row.
#[derive(Clone, Debug, Default)]
pub struct PartnerState {
    /// The local day that is counted.
    pub day: Option<LocalDay>,
    /// Leads counted on it.
    pub day_count: i64,
}

#[derive(Deserialize)]
struct StateRow {
    partner_id: String,
    day: Option<String>,
    day_count: i64,
}
row!(StateRow: partner_id, day, day_count);

const STUBS: Sql = sql!("partners.stubs":
    "insert into partner_state (partner_id, day_count) select r.id, 0 from " (id text) " where true order by r.id on conflict (partner_id) do nothing");
const LOCK: Sql = sql!("partners.lock":
    [packed partner_id text, day text, day_count bigint] " from partner_state where partner_id in (select r.id from " (id text) ") order by partner_id" lock end);

/// Locks partners in id order until the transaction ends, and returns their narrow rows. An unknown partner gets a stub.
pub async fn lock_partners(tx: &mut Tx, ids: &BTreeSet<PartnerId>) -> Result<HashMap<PartnerId, PartnerState>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted = super::id_rows(ids.iter().map(PartnerId::as_str));
    tx.execute(&STUBS, args![wanted.clone()]).await?;
    let found: Vec<StateRow> = tx.fetch_packed(&LOCK, args![wanted]).await?;
    Ok(found.into_iter().map(StateRow::into_pair).collect())
}

const LOCK_FREE: Sql = sql!("partners.lock_free":
    [packed partner_id text, day text, day_count bigint] " from partner_state where partner_id in (select r.id from " (id text) ") order by partner_id" skip_locked end);

/// Locks those of the partners that nobody else holds, without waiting: another worker is busy with the rest. On SQLite nobody else writes.
pub async fn lock_free_partners(tx: &mut Tx, ids: &BTreeSet<PartnerId>) -> Result<BTreeSet<PartnerId>, Error> {
    if tx.is_embedded() {
        return Ok(ids.clone());
    }
    let wanted = super::id_rows(ids.iter().map(PartnerId::as_str));
    tx.execute(&STUBS, args![wanted.clone()]).await?;
    let found: Vec<StateRow> = tx.fetch_packed(&LOCK_FREE, args![wanted]).await?;
    Ok(found.into_iter().map(|row| PartnerId::new(row.partner_id)).collect())
}

#[derive(Serialize)]
struct DayRow<'a> {
    id: &'a str,
    day: String,
    day_count: i64,
}

const SET_DAYS: Sql = sql!("partners.set_days":
    "update partner_state set day = r.day, day_count = r.day_count from " (id text, day text, day_count bigint) " where partner_state.partner_id = r.id");

/// Writes the counts of partners' days.
pub async fn set_days(tx: &mut Tx, days: &[(PartnerId, LocalDay, i64)]) -> Result<(), Error> {
    if days.is_empty() {
        return Ok(());
    }
    let counted: Vec<DayRow<'_>> = days
        .iter()
        .map(|(id, day, day_count)| DayRow {
            id: id.as_str(),
            day: day.to_string(),
            day_count: *day_count,
        })
        .collect();
    tx.execute(&SET_DAYS, args![rows(&counted)]).await?;
    Ok(())
}

#[derive(Deserialize)]
struct PartnerRow {
    id: String,
    record: String,
}
row!(PartnerRow: id, record);

const FIND: Sql = sql!("partners.find": [packed id text, record text] " from partner where id in (select r.id from " (id text) ")" end);

/// Returns the partners with these ids; an unknown one has none.
pub async fn find_partners<'a>(tx: &mut Tx, ids: impl IntoIterator<Item = &'a PartnerId>) -> Result<HashMap<PartnerId, Partner>, Error> {
    let found: Vec<PartnerRow> = tx
        .fetch_packed(&FIND, args![super::id_rows(ids.into_iter().map(PartnerId::as_str))])
        .await?;
    found
        .into_iter()
        .map(|row| row.into_partner().map(|partner| (partner.id.clone(), partner)))
        .collect()
}

const LIST: Sql = sql!("partners.list": "select id, record from partner where id > $1 order by id limit $2");

/// Lists partners by id, from after `after`.
pub async fn list_partners(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Partner>, Error> {
    let found: Vec<PartnerRow> = tx.fetch_all(&LIST, args![after, limit]).await?;
    found.into_iter().map(PartnerRow::into_partner).collect()
}

#[derive(Serialize)]
struct UpsertRow<'a> {
    id: &'a str,
    name: Option<&'a str>,
    record: String,
    updated_at: i64,
}

#[derive(Serialize)]
struct AddressRow<'a> {
    id: &'a str,
    address: &'a str,
}

const UPSERT: Sql = sql!("partners.upsert":
    "insert into partner (id, name, record, updated_at) select r.id, r.name, r.record, r.updated_at from "
    (id text, name text, record text, updated_at bigint)
    " where true on conflict (id) do update set name = excluded.name, record = excluded.record, updated_at = excluded.updated_at");
const FORGET_ADDRESSES: Sql =
    sql!("partners.forget_addresses": "delete from partner_address where partner_id in (select r.id from " (id text) ")");
const ADD_ADDRESSES: Sql = sql!("partners.add_addresses":
    "insert into partner_address (partner_id, address) select r.id, r.address from " (id text, address text)
    " where true on conflict (partner_id, address) do nothing");

/// Replaces partner records, and with them the addresses by which they are found.
pub async fn put_partners(tx: &mut Tx, now: Timestamp, partners: &[Partner]) -> Result<(), Error> {
    let records: Vec<UpsertRow<'_>> = partners
        .iter()
        .map(|partner| UpsertRow {
            id: partner.id.as_str(),
            name: partner.name.as_deref(),
            record: serde_json::to_string(partner).expect("a partner is plain data"),
            updated_at: now.as_millis(),
        })
        .collect();
    tx.execute(&UPSERT, args![rows(&records)]).await?;
    tx.execute(
        &FORGET_ADDRESSES,
        args![super::id_rows(partners.iter().map(|partner| partner.id.as_str()))],
    )
    .await?;
    let addresses: Vec<AddressRow<'_>> = partners
        .iter()
        .flat_map(|partner| {
            partner.mailboxes().map(|m| AddressRow {
                id: partner.id.as_str(),
                address: m.email.as_str(),
            })
        })
        .collect();
    tx.execute(&ADD_ADDRESSES, args![rows(&addresses)]).await?;
    Ok(())
}

struct PartnerAddress {
    partner_id: String,
    address: String,
}
row!(PartnerAddress: partner_id, address);

const SUPPRESSED: Sql = sql!("partners.suppressed":
    "select partner_address.partner_id, partner_address.address from partner_address join suppression on suppression.address = partner_address.address
where partner_address.partner_id in (select r.id from " (id text) ")");
const OPTED_OUT: Sql = sql!("partners.opted_out":
    "select partner_id, address from opt_out where partner_id in (select r.id from " (id text) ")");

/// Returns, for each of the partners, its addresses that cannot be reached or do not want mail.
pub async fn find_address_books<'a>(
    tx: &mut Tx,
    ids: impl IntoIterator<Item = &'a PartnerId>,
) -> Result<HashMap<PartnerId, AddressBook>, Error> {
    let wanted = super::id_rows(ids.into_iter().map(PartnerId::as_str));
    let mut books: HashMap<PartnerId, AddressBook> = HashMap::new();
    for row in tx.fetch_all::<PartnerAddress>(&SUPPRESSED, args![wanted.clone()]).await? {
        books
            .entry(PartnerId::new(row.partner_id))
            .or_default()
            .suppressed
            .insert(EmailAddress::from_stored(row.address));
    }
    for row in tx.fetch_all::<PartnerAddress>(&OPTED_OUT, args![wanted]).await? {
        books
            .entry(PartnerId::new(row.partner_id))
            .or_default()
            .opted_out
            .insert(EmailAddress::from_stored(row.address));
    }
    Ok(books)
}

const OF_ADDRESSES: Sql = sql!("partners.of_addresses":
    "select partner_id, address from partner_address where address in (select r.id from " (id text) ") order by partner_id, address");

/// Lists the partners in whose records these addresses stand.
pub async fn list_of_addresses<'a>(
    tx: &mut Tx,
    addresses: impl IntoIterator<Item = &'a EmailAddress>,
) -> Result<Vec<(PartnerId, EmailAddress)>, Error> {
    let found: Vec<PartnerAddress> = tx
        .fetch_all(
            &OF_ADDRESSES,
            args![super::id_rows(addresses.into_iter().map(EmailAddress::as_str))],
        )
        .await?;
    Ok(found
        .into_iter()
        .map(|row| (PartnerId::new(row.partner_id), EmailAddress::from_stored(row.address)))
        .collect())
}

impl StateRow {
    fn into_pair(self) -> (PartnerId, PartnerState) {
        let day = self.day.as_deref().and_then(LocalDay::parse);
        (
            PartnerId::new(self.partner_id),
            PartnerState {
                day,
                day_count: self.day_count,
            },
        )
    }
}

impl PartnerRow {
    fn into_partner(self) -> Result<Partner, Error> {
        serde_json::from_str(&self.record).map_err(|_| Error::Corrupt {
            table: "partner",
            id: self.id,
            column: "record",
            value: self.record,
        })
    }
}
