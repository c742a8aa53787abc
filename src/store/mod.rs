//! The lead store: all SQL, on both engines. Core types go in and out; a row struct is private to the file that reads it.
//!
//! **Invariants:** a statement that changes a state names the state that it leaves. Whoever decides for partners locks them first
//! ([`partners::lock_partners`]), in a statement of its own; what depends on the lock is read in a later one. Lock order: partner_state, digest, lead,
//! notice, delivery, suppression, item. `now` is bound, never `now()`.
//! **Not here:** decisions.

mod engine;
mod error;
mod migrations;
mod packed;
mod rows;

pub mod attempts;
pub mod audit;
pub mod bounces;
pub mod condition;
pub mod deliveries;
pub mod digests;
pub mod facets;
pub mod history;
pub mod items;
pub mod kept;
pub mod leads;
pub mod links;
pub mod meta;
pub mod notices;
pub mod partners;
pub mod rejected;
pub mod relays;
pub mod requests;
pub mod resources;
pub mod suppressions;
pub mod verify;
mod wake;
pub mod workers;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub(crate) use engine::retried;
pub use engine::{Missing, Sql, Store, Tx, shown, sqlite_path};
pub use error::Error;

use crate::store::rows::Rows;
use crate::time::Timestamp;

/// Every statement, for the tests that prepare each on both engines and look at its plan.
pub fn statements() -> impl Iterator<Item = &'static Sql> {
    let rooms = [
        attempts::ALL,
        audit::ALL,
        bounces::ALL,
        condition::ALL,
        deliveries::ALL,
        digests::ALL,
        facets::ALL,
        history::ALL,
        items::ALL,
        kept::ALL,
        leads::ALL,
        links::ALL,
        meta::ALL,
        notices::ALL,
        partners::ALL,
        rejected::ALL,
        relays::ALL,
        requests::ALL,
        resources::ALL,
        suppressions::ALL,
        verify::ALL,
        workers::ALL,
    ];
    rooms.into_iter().flatten().copied()
}

#[derive(Serialize)]
struct TextId<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct NumberId {
    id: i64,
}

/// Returns texts as the rows `(id text)`.
fn id_rows<'a>(ids: impl IntoIterator<Item = &'a str>) -> Rows {
    engine::rows(&ids.into_iter().map(|id| TextId { id }).collect::<Vec<_>>())
}

/// Returns numbers as the rows `(id bigint)`.
fn number_rows(ids: &[i64]) -> Rows {
    engine::rows(&ids.iter().map(|&id| NumberId { id }).collect::<Vec<_>>())
}

/// Runs a statement whose one column `n` is an instant or null.
async fn instant(tx: &mut Tx, sql: &Sql, args: Vec<engine::Arg>) -> Result<Option<Timestamp>, Error> {
    struct Instant {
        n: Option<i64>,
    }
    engine::row!(Instant: n);
    Ok(tx
        .fetch_optional::<Instant>(sql, args)
        .await?
        .and_then(|row| row.n)
        .map(Timestamp::from_millis))
}
