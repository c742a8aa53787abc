//! The clock's half of a worker process: digests whose fire has come, leads that time moves, leads whose personal data is to go, and kept mails whose time is over. Digests come first
//! (architecture, 6).
//!
//! **Invariant:** no schedule is held in memory: what is overdue is simply due, whoever was down in between.

use crate::app::{self, Rules, erase, fire, kept, tick};
use crate::clock::Next;
use crate::store::{Store, digests, leads};
use crate::time::Timestamp;

/// Moves what is due, at most one batch of each kind, and says when it is next needed.
///
/// # Errors
/// The database cannot be read or written; what was due is due at the next turn.
pub async fn turn(store: &Store, now: Timestamp, rules: &Rules) -> Result<Next, app::Error> {
    let n_fired = fire::fire(store, now, rules).await?;
    let n_ticked = tick::tick(store, now, rules).await?;
    let n_erased = erase::erase_due(store, now, rules).await?;
    let n_forgotten = kept::forget(store, now, rules).await?;
    if n_fired > 0 || n_ticked > 0 || n_erased > 0 || n_forgotten > 0 {
        return Ok(Next::Now);
    }
    let mut tx = store.read().await?;
    let due = [
        digests::next_due(&mut tx).await?,
        leads::next_due(&mut tx).await?,
        erase::next_due(&mut tx, rules).await?,
        kept::next_due(&mut tx, rules).await?,
    ];
    Ok(due.into_iter().flatten().min().map_or(Next::WhenWoken, Next::At))
}
