//! Takes records in: each once, whatever comes with it, in batches of one transaction (`R-INTAKE`, `R-SYNC`, `R-BACKFILL`, `R-KIND`, `R-CHANNEL`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tracing::Instrument;

use crate::app::known::Known;
use crate::app::new_lead::{decide_new, join_digests, single_notices};
use crate::app::sync::write_updates;
use crate::app::verify::make_ready;
use crate::app::{Error, Rules, lead_item, rejected};
use crate::fault::Fault;
use crate::lead::{LeadId, Record};
use crate::partner::PartnerId;
use crate::store::history::insert_history;
use crate::store::items::put_items;
use crate::store::leads::{find_leads, insert_leads};
use crate::store::notices::insert_notices;
use crate::store::partners::{lock_partners, set_days};
use crate::store::rejected::{NewRejected, insert_rejected};
use crate::store::{Store, Tx, retried};
use crate::telemetry;
use crate::time::Timestamp;

/// Records a transaction takes in at most: beyond that, the time a commit costs is spread thin enough (58,000 leads/s at 1,000).
pub const BATCH_MAX: usize = 1000;

/// A record as it came.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// Line, or place in the list.
    pub line: u64,
    /// Its text, kept whole where it is rejected.
    pub text: String,
    /// What was read of it.
    pub parsed: Result<Record, Vec<Fault>>,
}

/// Where records come from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// File name, or the way it came.
    pub source: String,
    /// What `--partner` said.
    pub partner: Option<PartnerId>,
    /// Whether nobody is to be told (`--no-notify`).
    pub is_quiet: bool,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is a new lead.
    New,
    /// It brought newer content of a lead that is here.
    Updated,
    /// It is not newer than what is here.
    Unchanged,
    /// It is kept in the list of rejected records.
    Rejected(Vec<Fault>),
}

/// What became of each record of a batch.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Line, or place in the list.
    pub line: u64,
    /// The lead, where the record could be read.
    pub id: Option<LeadId>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Takes a batch in. When it returns, everything is committed, the rejected records included.
///
/// # Errors
/// The database cannot record it; then nothing of this batch was taken in, or all of its records before a repeated id.
pub async fn take_in(store: &Store, now: Timestamp, rules: &Rules, batch: &[Incoming]) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::with_capacity(batch.len());
    let records = batch.iter().filter_map(|incoming| incoming.parsed.as_ref().ok());
    make_ready(records.map(|record| &record.json)).await;
    // The second record of an id is an update of the first, and so is decided after it is written.
    for round in rounds(batch) {
        let span = tracing::info_span!("app.take_in", n_rows = round.len());
        taken.extend(retried(|| take_in_once(store, now, rules, round)).instrument(span).await?);
    }
    Ok(taken)
}

/// Cuts a batch into runs in which no id stands twice.
fn rounds(batch: &[Incoming]) -> Vec<&[Incoming]> {
    let mut rounds = Vec::new();
    let mut seen: HashSet<&LeadId> = HashSet::new();
    let mut start = 0;
    for (index, incoming) in batch.iter().enumerate() {
        let Ok(record) = &incoming.parsed else { continue };
        if !seen.insert(&record.id) {
            rounds.push(&batch[start..index]);
            start = index;
            seen.clear();
            seen.insert(&record.id);
        }
    }
    rounds.push(&batch[start..]);
    rounds
}

async fn take_in_once(store: &Store, now: Timestamp, rules: &Rules, round: &[Incoming]) -> Result<Vec<Taken>, crate::store::Error> {
    let read = round
        .iter()
        .filter_map(|incoming| Some((incoming.parsed.as_ref().ok()?, &*incoming.origin)));
    let records: Vec<(&Record, &Origin)> = read.collect();
    let partners: BTreeSet<PartnerId> = records.iter().map(|(record, _)| record.partner_id.clone()).collect();

    let mut tx = store.begin().await?;
    let states = lock_partners(&mut tx, &partners).await?;
    let existing = find_leads(&mut tx, records.iter().map(|(record, _)| &record.id)).await?;
    let mut known = Known::default();
    known.read_more(&mut tx, &partners).await?;
    known.open_days(&mut tx, now, &rules.policy, &states).await?;

    let mut outcomes: HashMap<&LeadId, Outcome> = HashMap::new();
    let (old, mut new): (Vec<_>, Vec<_>) = records.into_iter().partition(|(record, _)| existing.contains_key(&record.id));
    let old: Vec<&Record> = old.into_iter().map(|(record, _)| record).collect();
    new.sort_by(|(a, _), (b, _)| a.created_at.cmp(&b.created_at).then_with(|| a.id.cmp(&b.id)));
    write_new(&mut tx, now, &new, &mut known, rules).await?;
    outcomes.extend(new.iter().map(|(record, _)| (&record.id, Outcome::New)));
    write_updates(&mut tx, now, &old, existing, &known, rules, &mut outcomes).await?;
    set_days(&mut tx, &known.changed_days()).await?;

    let mut taken = Vec::with_capacity(round.len());
    for incoming in round {
        taken.push(match &incoming.parsed {
            Ok(record) => {
                let outcome = outcomes.get(&record.id).cloned().unwrap_or(Outcome::Unchanged);
                Taken {
                    line: incoming.line,
                    id: Some(record.id.clone()),
                    outcome,
                }
            }
            Err(faults) => Taken {
                line: incoming.line,
                id: None,
                outcome: Outcome::Rejected(faults.clone()),
            },
        });
    }
    let accepted = round.iter().filter_map(|incoming| incoming.parsed.as_ref().ok());
    // What changes nothing corrects nothing: the same file again is to leave the list as it is.
    let accepted = accepted.filter(|record| matches!(outcomes.get(&record.id), Some(Outcome::New | Outcome::Updated)));
    rejected::settle_corrected(&mut tx, accepted).await?;
    let mut kept = rejected_rows(round, &taken);
    rejected::keep_no_erased(&mut tx, &mut kept).await?;
    insert_rejected(&mut tx, now, &kept).await?;
    tx.commit().await?;
    let count = |is: fn(&Outcome) -> bool| taken.iter().filter(|one| is(&one.outcome)).count() as u64;
    telemetry::records_taken_in(&[
        ("new", count(|outcome| *outcome == Outcome::New)),
        ("updated", count(|outcome| *outcome == Outcome::Updated)),
        ("unchanged", count(|outcome| *outcome == Outcome::Unchanged)),
        ("rejected", count(|outcome| matches!(outcome, Outcome::Rejected(_)))),
    ]);
    Ok(taken)
}

fn rejected_rows(round: &[Incoming], taken: &[Taken]) -> Vec<NewRejected> {
    let mut kept = Vec::new();
    for (incoming, taken) in round.iter().zip(taken) {
        if let Outcome::Rejected(faults) = &taken.outcome {
            let origin = &incoming.origin;
            kept.push(NewRejected {
                source: origin.source.clone(),
                line: i64::try_from(incoming.line).unwrap_or(i64::MAX),
                partner_id: origin.partner.as_ref().map(|id| id.as_str().to_owned()),
                lead_id: match &incoming.parsed {
                    Ok(record) => Some(record.id.clone()),
                    Err(_) => rejected::lead_of(&incoming.text),
                },
                record: incoming.text.replace('\0', ""),
                faults: faults.iter().map(Fault::to_string).collect(),
                is_quiet: origin.is_quiet,
            });
        }
    }
    kept
}

/// Writes new leads with everything that they cause: notices, the digests that they wait for, items, history.
async fn write_new(
    tx: &mut Tx,
    now: Timestamp,
    records: &[(&Record, &Origin)],
    known: &mut Known,
    rules: &Rules,
) -> Result<(), crate::store::Error> {
    let mut leads = Vec::with_capacity(records.len());
    let mut history = Vec::with_capacity(records.len());
    for (record, origin) in records {
        let new = decide_new(now, record, known, rules, origin);
        leads.push(new.lead);
        history.push(new.entry);
        history.extend(new.verified);
    }
    join_digests(tx, now, &mut leads, known, rules).await?;
    insert_leads(tx, &leads).await?;
    insert_notices(tx, now, &single_notices(now, &leads)).await?;
    let posted = leads.iter().filter(|lead| lead.is_unanswered_at(now));
    let items: Vec<_> = posted
        .map(|lead| lead_item(lead, now, known.partner(&lead.partner_id), rules))
        .collect();
    put_items(tx, now, &items, rules.posts_items).await?;
    insert_history(tx, &history).await
}
