//! Mails as they were handed over, compressed, for as long as `mail.keep_sent` says.

use std::sync::Arc;

use miniz_oxide::deflate::{CompressionLevel, compress_to_vec_zlib};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::Serialize;

use crate::outbox::mark::hex;
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&PUT, &FIND, &OF_DELIVERIES, &OLDEST, &FORGET, &ERASE];

/// A mail, compressed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Packed {
    n_bytes: usize,
    zlib: Arc<[u8]>,
}

impl Packed {
    /// Compresses a mail, at the fastest level: so a lead's mail of 19 kB became 6.4 kB in 76 µs; at the usual level 4.8 kB, in 353 µs.
    pub fn of(mail: &[u8]) -> Self {
        Self {
            n_bytes: mail.len(),
            zlib: compress_to_vec_zlib(mail, CompressionLevel::BestSpeed as u8).into(),
        }
    }
}

#[derive(Serialize)]
struct NewRow {
    delivery_id: i64,
    n_bytes: i64,
    mail: String,
}

// Rows are texts and numbers on their way in; both engines read hexadecimal digits.
const PUT: Sql = sql!("kept.put":
    "insert into kept_mail (delivery_id, kept_at, n_bytes, mail)
select r.delivery_id, $2, r.n_bytes, " ["unhex(r.mail)" | "decode(r.mail, 'hex')"] " from " (delivery_id bigint, n_bytes bigint, mail text) " where true
on conflict (delivery_id) do update set kept_at = excluded.kept_at, n_bytes = excluded.n_bytes, mail = excluded.mail");

/// Keeps mails, each in the place of what was kept of its delivery before.
pub async fn keep_mails(tx: &mut Tx, now: Timestamp, mails: &[(i64, Packed)]) -> Result<(), Error> {
    if mails.is_empty() {
        return Ok(());
    }
    let written: Vec<NewRow> = mails
        .iter()
        .map(|(delivery_id, packed)| NewRow {
            delivery_id: *delivery_id,
            n_bytes: size(packed.n_bytes),
            mail: hex(&packed.zlib),
        })
        .collect();
    tx.execute(&PUT, args![rows(&written), now]).await?;
    Ok(())
}

fn size(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// What is said of a mail that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose mail it is.
    pub delivery_id: i64,
    /// Since when.
    pub kept_at: Timestamp,
    /// Its size as it was handed over.
    pub n_bytes: i64,
}

struct KeptRow {
    delivery_id: i64,
    kept_at: i64,
    n_bytes: i64,
}
row!(KeptRow: delivery_id, kept_at, n_bytes);

const OF_DELIVERIES: Sql = sql!("kept.of_deliveries":
    "select delivery_id, kept_at, n_bytes from kept_mail where delivery_id in (select r.id from " (id bigint) ") order by delivery_id");

/// Returns which of these deliveries have a mail that is kept, the mails left where they are.
pub async fn list_kept(tx: &mut Tx, deliveries: &[i64]) -> Result<Vec<Kept>, Error> {
    let found: Vec<KeptRow> = tx.fetch_all(&OF_DELIVERIES, args![super::number_rows(deliveries)]).await?;
    let kept = found.into_iter().map(|row| Kept {
        delivery_id: row.delivery_id,
        kept_at: Timestamp::from_millis(row.kept_at),
        n_bytes: row.n_bytes,
    });
    Ok(kept.collect())
}

struct MailRow {
    kept_at: i64,
    n_bytes: i64,
    mail: Vec<u8>,
}
row!(MailRow: kept_at, n_bytes, mail);

const FIND: Sql = sql!("kept.find": "select kept_at, n_bytes, mail from kept_mail where delivery_id = $1");

/// Returns the mail of a delivery as it was handed over, and since when it is kept.
pub async fn find_kept(tx: &mut Tx, delivery_id: i64) -> Result<Option<(Timestamp, Vec<u8>)>, Error> {
    let Some(row) = tx.fetch_optional::<MailRow>(&FIND, args![delivery_id]).await? else {
        return Ok(None);
    };
    let n_bytes = usize::try_from(row.n_bytes).unwrap_or(0);
    // Bounded by its size, whatever somebody put there.
    let mail = decompress_to_vec_zlib_with_limit(&row.mail, n_bytes)
        .ok()
        .filter(|mail| mail.len() == n_bytes);
    let mail = mail.ok_or_else(|| Error::Corrupt {
        table: "kept_mail",
        id: delivery_id.to_string(),
        column: "mail",
        value: format!("{} bytes", row.mail.len()),
    })?;
    Ok(Some((Timestamp::from_millis(row.kept_at), mail)))
}

const OLDEST: Sql = sql!("kept.oldest": "select min(kept_at) as n from kept_mail");

/// Returns since when the oldest mail is kept.
pub async fn oldest_kept(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &OLDEST, args![]).await
}

// The plus and the array: see `deliveries.claim`. Two workers that forget at once take different rows.
const FORGET: Sql = Sql {
    name: "kept.forget",
    sqlite: "/* kept.forget */ delete from kept_mail
where delivery_id in (select delivery_id from kept_mail where kept_at < $1 order by kept_at limit +$2)",
    postgres: "/* kept.forget */ delete from kept_mail
where delivery_id = any (array(select delivery_id from kept_mail where kept_at < $1 order by kept_at limit $2 for update skip locked))",
};

/// Forgets what was kept before `until`, the oldest first, at most `limit` of them. Returns how many.
pub async fn forget_kept(tx: &mut Tx, until: Timestamp, limit: i64) -> Result<u64, Error> {
    tx.execute(&FORGET, args![until, limit]).await
}

const ERASE: Sql = sql!("kept.erase": "delete from kept_mail where delivery_id in (select r.id from " (id bigint) ")");

/// Forgets the mails of these deliveries (`R-ERASE`).
pub async fn erase_kept(tx: &mut Tx, deliveries: &[i64]) -> Result<(), Error> {
    tx.execute(&ERASE, args![super::number_rows(deliveries)]).await?;
    Ok(())
}
