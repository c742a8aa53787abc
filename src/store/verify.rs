//! Leads whose e-mail is still to be looked at, and what was found out (`R-VERIFY`). What is due is taken by whoever asks first; what is found is written
//! under the partner's lock, as everything about a lead is.

use serde::Serialize;

use crate::lead::{Lead, OneOf};
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::store::facets::put_facets;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&CLAIM, &NEXT_DUE, &RECORD, &COUNT];

/// A lead that was taken, to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its row.
    pub seq: i64,
    /// How often its domain was asked for in vain.
    pub verify_attempt: i64,
}
row!(Taken: seq, verify_attempt);

// index: lead_verify
const CLAIM: Sql = sql!("verify.claim":
    "update lead set verify_at = $2
where seq in (select seq from lead where verify_at is not null and verify_at <= $1 order by verify_at, seq limit $3" skip_locked ") and verify_at <= $1
returning seq, verify_attempt");

/// Takes up to `limit` leads that are due, longest overdue first; whoever takes one and dies leaves it due again at `until`.
pub async fn claim_due(tx: &mut Tx, now: Timestamp, until: Timestamp, limit: i64) -> Result<Vec<Taken>, Error> {
    tx.fetch_all(&CLAIM, args![now, until, limit]).await
}

const NEXT_DUE: Sql = sql!("verify.next_due": "select min(verify_at) as n from lead where verify_at is not null");

/// Returns when the next lead is due.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_DUE, args![]).await
}

const COUNT: Sql = sql!("verify.count": "select count(*) as n from lead where verify_at is not null");

/// Counts the leads that are still to be looked at.
pub async fn count_waiting(tx: &mut Tx) -> Result<i64, Error> {
    tx.count(&COUNT, args![]).await
}

#[derive(Serialize)]
struct FoundRow {
    seq: i64,
    version: i64,
    email_validity: Option<&'static str>,
    phone_validity: Option<&'static str>,
    verify_at: Option<i64>,
    verify_attempt: i64,
}

const RECORD: Sql = sql!("verify.record":
    "update lead
set email_validity = r.email_validity, phone_validity = r.phone_validity, verify_at = r.verify_at, verify_attempt = r.verify_attempt
from " (seq bigint, version bigint, email_validity text, phone_validity text, verify_at bigint, verify_attempt bigint)
    " where lead.seq = r.seq and lead.version = r.version and lead.verify_at is not null");

/// Writes what was found out about leads, each with the tries that it took so far. They were read under their partners' locks, and are still to be looked at.
pub async fn record_found(tx: &mut Tx, found: &[(Lead, i64)]) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    let found_rows: Vec<FoundRow> = found.iter().map(|(lead, attempt)| found_row(lead, *attempt)).collect();
    let n_rows = tx.execute(&RECORD, args![rows(&found_rows)]).await?;
    assert_eq!(n_rows, found.len() as u64, "a lead's content changed without its partner's lock");
    put_facets(tx, found.iter().map(|(lead, _)| lead)).await
}

fn found_row(lead: &Lead, attempt: i64) -> FoundRow {
    FoundRow {
        seq: lead.seq,
        version: lead.version,
        email_validity: lead.email_validity.map(OneOf::as_str),
        phone_validity: lead.phone_validity.map(OneOf::as_str),
        verify_at: lead.verify_at.map(Timestamp::as_millis),
        verify_attempt: attempt,
    }
}
