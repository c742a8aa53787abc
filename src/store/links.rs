//! The keys that sign links in mails (`link`). There are a handful: a new one each quarter, an old one gone after a year and more.

use crate::link::{Key, SECRET_BYTES};
use crate::store::engine::{Sql, Tx, args, row, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&NEWEST, &FIND, &MAKE, &FORGET];

/// A key as stored.
#[derive(Clone, Debug)]
pub struct LinkKey {
    /// The key.
    pub key: Key,
    /// When it was made.
    pub made_at: Timestamp,
}

struct KeyRow {
    id: i64,
    secret: String,
    made_at: i64,
}
row!(KeyRow: id, secret, made_at);

const NEWEST: Sql = sql!("links.newest": "select id, secret, made_at from link_key order by id desc limit 1");

/// Returns the key that signs.
pub async fn newest_key(tx: &mut Tx) -> Result<Option<LinkKey>, Error> {
    tx.fetch_optional::<KeyRow>(&NEWEST, args![])
        .await?
        .map(LinkKey::try_from)
        .transpose()
}

const FIND: Sql = sql!("links.find": "select id, secret, made_at from link_key where id = $1");

/// Returns the key that a token names.
pub async fn find_key(tx: &mut Tx, id: u32) -> Result<Option<LinkKey>, Error> {
    let found = tx.fetch_optional::<KeyRow>(&FIND, args![i64::from(id)]).await?;
    found.map(LinkKey::try_from).transpose()
}

// Of two processes that make one at the same time, both may: each then signs by the newer one, and both keys verify.
const MAKE: Sql = sql!("links.make":
    "insert into link_key (secret, made_at) select cast($1 as text), cast($2 as bigint)
where not exists (select 1 from link_key where made_at > $3)");

/// Makes a key at `now`, unless there is one that was made after `stale_before`.
pub async fn make_key(tx: &mut Tx, now: Timestamp, secret: &[u8; SECRET_BYTES], stale_before: Timestamp) -> Result<(), Error> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    tx.execute(&MAKE, args![hex, now, stale_before]).await?;
    Ok(())
}

const FORGET: Sql = sql!("links.forget": "delete from link_key where made_at <= $1 and id < (select max(id) from link_key)");

/// Forgets the keys made until `retired_before`, and never the newest: what they signed opens nothing any more.
pub async fn forget_keys(tx: &mut Tx, retired_before: Timestamp) -> Result<(), Error> {
    tx.execute(&FORGET, args![retired_before]).await?;
    Ok(())
}

impl TryFrom<KeyRow> for LinkKey {
    type Error = Error;

    fn try_from(row: KeyRow) -> Result<Self, Error> {
        let secret = unhex(&row.secret);
        let (Ok(id), Some(secret)) = (u32::try_from(row.id), secret) else {
            return Err(Error::Corrupt {
                table: "link_key",
                id: row.id.to_string(),
                column: "secret",
                // Not shown: it may be a secret all the same.
                value: String::new(),
            });
        };
        Ok(Self {
            key: Key::new(id, secret),
            made_at: Timestamp::from_millis(row.made_at),
        })
    }
}

fn unhex(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let digits = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}
