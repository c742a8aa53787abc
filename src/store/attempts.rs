//! Attempts: when a delivery was tried, who was asked, and what he said.

use serde::Serialize;

use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[&INSERT, &OF_DELIVERIES, &ERASE];

/// One attempt of a delivery.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which delivery.
    pub delivery_id: i64,
    /// When.
    pub at: Timestamp,
    /// Who was asked: a relay's host and port, or the Maildir.
    pub relay: String,
    /// How far it came.
    pub stage: String,
    /// The reply's code, where there was a reply.
    pub code: Option<u16>,
    /// What became of it.
    pub outcome: String,
    /// The reply's text.
    pub detail: String,
    /// The templates that wrote the mail, by their digest; `None` where it was not written for this.
    pub templates: Option<String>,
}

#[derive(Serialize)]
struct AttemptRow {
    delivery_id: i64,
    at: i64,
    relay: String,
    stage: String,
    code: Option<i64>,
    outcome: String,
    detail: String,
    templates: Option<String>,
}
row!(AttemptRow: delivery_id, at, relay, stage, code, outcome, detail, templates);

const INSERT: Sql = sql!("attempts.insert":
    "insert into attempt (delivery_id, at, relay, stage, code, outcome, detail, templates)
select r.delivery_id, r.at, r.relay, r.stage, r.code, r.outcome, r.detail, r.templates
from " (delivery_id bigint, at bigint, relay text, stage text, code bigint, outcome text, detail text, templates text) " where true");

/// Writes down attempts.
pub async fn insert_attempts(tx: &mut Tx, attempts: &[Attempt]) -> Result<(), Error> {
    if attempts.is_empty() {
        return Ok(());
    }
    let written: Vec<AttemptRow> = attempts
        .iter()
        .map(|attempt| AttemptRow {
            delivery_id: attempt.delivery_id,
            at: attempt.at.as_millis(),
            relay: attempt.relay.clone(),
            stage: attempt.stage.clone(),
            code: attempt.code.map(i64::from),
            outcome: attempt.outcome.clone(),
            detail: attempt.detail.clone(),
            templates: attempt.templates.clone(),
        })
        .collect();
    tx.execute(&INSERT, args![rows(&written)]).await?;
    Ok(())
}

const OF_DELIVERIES: Sql = sql!("attempts.of_deliveries":
    "select delivery_id, at, relay, stage, code, outcome, detail, templates from attempt where delivery_id in (select r.id from " (id bigint) ") order by delivery_id, id");

/// Lists the attempts of deliveries, oldest first.
pub async fn list_attempts(tx: &mut Tx, deliveries: &[i64]) -> Result<Vec<Attempt>, Error> {
    let found: Vec<AttemptRow> = tx.fetch_all(&OF_DELIVERIES, args![super::number_rows(deliveries)]).await?;
    Ok(found
        .into_iter()
        .map(|row| Attempt {
            delivery_id: row.delivery_id,
            at: Timestamp::from_millis(row.at),
            relay: row.relay,
            stage: row.stage,
            code: row.code.and_then(|code| u16::try_from(code).ok()),
            outcome: row.outcome,
            detail: row.detail,
            templates: row.templates,
        })
        .collect())
}

// A bounce names the host that reported, which may be the customer's own.
const ERASE: Sql = sql!("attempts.erase":
    "update attempt set detail = '(erased)', relay = case when stage = 'bounce' then 'a bounce' else relay end
where delivery_id in (select r.id from " (id bigint) ")");

/// Takes what the other side said out of the attempts of deliveries (`R-ERASE`).
pub async fn erase_attempts(tx: &mut Tx, deliveries: &[i64]) -> Result<(), Error> {
    tx.execute(&ERASE, args![super::number_rows(deliveries)]).await?;
    Ok(())
}
