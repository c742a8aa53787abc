//! What is true of the whole database: its mode, whether it is a rehearsal, the Message-ID key.

use crate::store::engine::{Sql, Tx, args, row, sql};
use crate::store::error::Error;

pub(super) const ALL: &[&Sql] = &[&FIND, &PUT, &MAKE, &HAS_LEADS];

/// The mode in force: `live`, `redirect`, `dry`.
pub const MODE: &str = "mode";
/// When `/readyz` last wrote: an instant.
pub const READY_AT: &str = "ready_at";
/// `yes` where `--now` may be anything.
pub const REHEARSAL: &str = "rehearsal";
/// The key of Message-IDs, hexadecimal; made once.
pub const MESSAGE_ID_KEY: &str = "message_id_key";
/// The default cron and zone that collecting digests were worked out with.
pub const DIGEST_DEFAULTS: &str = "digest_defaults";

/// By which version of `lead::facets` lists find leads; `none` before they were made.
pub const FACETS: &str = "facets";

struct ValueRow {
    value: String,
}
row!(ValueRow: value);

const FIND: Sql = sql!("meta.find": "select value from meta where key = $1");

/// Returns a value.
pub async fn find_meta(tx: &mut Tx, key: &str) -> Result<Option<String>, Error> {
    Ok(tx.fetch_optional::<ValueRow>(&FIND, args![key]).await?.map(|row| row.value))
}

const PUT: Sql = sql!("meta.put": "insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value");

/// Writes a value.
pub async fn put_meta(tx: &mut Tx, key: &str, value: &str) -> Result<(), Error> {
    tx.execute(&PUT, args![key, value]).await?;
    Ok(())
}

const HAS_LEADS: Sql = sql!("meta.has_leads": "select count(*) as n from (select 1 as one from lead limit 1) as l");

/// Tells whether any lead was ever taken in.
pub async fn has_leads(tx: &mut Tx) -> Result<bool, Error> {
    Ok(tx.count(&HAS_LEADS, args![]).await? > 0)
}

const MAKE: Sql = sql!("meta.make": "insert into meta (key, value) values ($1, $2) on conflict (key) do nothing");

/// Writes a value where there is none, and returns the one that stands.
pub async fn make_meta(tx: &mut Tx, key: &str, value: &str) -> Result<String, Error> {
    tx.execute(&MAKE, args![key, value]).await?;
    Ok(find_meta(tx, key).await?.unwrap_or_else(|| value.to_owned()))
}
