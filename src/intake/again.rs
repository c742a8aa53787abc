//! Takes a rejected record in once more, as it was or corrected (`R-INTAKE`).

use std::sync::Arc;

use crate::app::rejected::TAKEN_IN;
use crate::app::take_in::{Incoming, Origin, Outcome, Taken, take_in};
use crate::app::{Error, Rules};
use crate::intake::batch::incoming;
use crate::intake::file::Item;
use crate::partner::PartnerId;
use crate::store::Store;
use crate::store::rejected::{Rejected, resolve_rejected, update_faults};
use crate::time::Timestamp;

/// Takes one record in as if it had come now from where it came then, and takes it off the list if that goes well; else the list shows what is wrong
/// with it now. `corrected` stands in for its text; the text as it came is what is kept.
///
/// # Errors
/// The database cannot record it. Whatever was done is found done, and not done twice, when it is tried again.
pub async fn take_in_again(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    rejected: &Rejected,
    corrected: Option<Item>,
) -> Result<Taken, Error> {
    let origin = Arc::new(Origin {
        source: rejected.source.clone(),
        partner: rejected.partner_id.as_deref().map(PartnerId::new),
        is_quiet: rejected.is_quiet,
    });
    let line = u64::try_from(rejected.line).unwrap_or_default();
    let is_corrected = corrected.is_some();
    let item = match corrected {
        Some(item) => Item { line, ..item },
        None => Item::from_json(line, rejected.record.as_bytes()),
    };
    let read = incoming(now, item, &origin);
    if let Err(faults) = read.parsed {
        // The faults of another text would say of this one what is not so.
        if !is_corrected {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let mut tx = store.begin().await?;
            update_faults(&mut tx, rejected.id, &faults).await?;
            tx.commit().await?;
        }
        return Ok(Taken {
            line,
            id: None,
            outcome: Outcome::Rejected(faults),
        });
    }
    // Under its own text, a record that is rejected for what is stored keeps its row.
    let batch = [Incoming {
        text: rejected.record.clone(),
        ..read
    }];
    let mut taken = take_in(store, now, rules, &batch).await?;
    let taken = taken.pop().expect("one record goes in, one answer comes out");
    if !matches!(taken.outcome, Outcome::Rejected(_)) {
        let mut tx = store.begin().await?;
        resolve_rejected(&mut tx, &[rejected.id], TAKEN_IN).await?;
        tx.commit().await?;
    }
    Ok(taken)
}
