//! Relays: how the workers find them, and how many mails went by those that have a limit.
//!
//! **Invariant:** what counts towards a limit is entered before it is sent, so that a fleet never exceeds it, whoever crashes.

use serde::Serialize;

use crate::outbox::circuit::State;
use crate::outbox::pace::{Limits, Sent, day_of, hour_of};
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::store::workers::list_live;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &PUT_CIRCUITS,
    &FORGET_CIRCUITS,
    &LIST_CIRCUITS,
    &OPEN_SPAN,
    &FIND_SENT,
    &ADD_SENT,
    &LIST_SENT,
    &WAITING,
];

/// How a worker finds a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Host and port.
    pub relay: String,
    /// Its place in `smtp.relays`, from 0.
    pub position: usize,
    /// Whether it is asked.
    pub state: State,
    /// Since when it is so.
    pub since: Timestamp,
    /// When a mail may go to it again: the end of its pause, or of its full hour or day.
    pub try_at: Option<Timestamp>,
    /// What it said last, where it is left alone.
    pub why: Option<String>,
}

#[derive(Serialize)]
struct NewCircuit<'a> {
    relay: &'a str,
    position: i64,
    state: &'static str,
    since: i64,
    try_at: Option<i64>,
    why: Option<&'a str>,
}

const PUT_CIRCUITS: Sql = sql!("relays.put_circuits":
    "insert into relay_circuit (epoch, relay, position, state, since, try_at, why)
select $2, r.relay, r.position, r.state, r.since, r.try_at, r.why from " (relay text, position bigint, state text, since bigint, try_at bigint, why text)
    " where true on conflict (epoch, relay) do update
set position = excluded.position, state = excluded.state, since = excluded.since, try_at = excluded.try_at, why = excluded.why");

/// Writes how the worker `epoch` finds its relays.
pub async fn put_circuits(tx: &mut Tx, epoch: i64, circuits: &[Circuit]) -> Result<(), Error> {
    let written: Vec<NewCircuit<'_>> = circuits
        .iter()
        .map(|one| NewCircuit {
            relay: &one.relay,
            position: i64::try_from(one.position).unwrap_or(i64::MAX),
            state: one.state.as_str(),
            since: one.since.as_millis(),
            try_at: one.try_at.map(Timestamp::as_millis),
            why: one.why.as_deref(),
        })
        .collect();
    tx.execute(&PUT_CIRCUITS, args![rows(&written), epoch]).await?;
    Ok(())
}

const FORGET_CIRCUITS: Sql = sql!("relays.forget_circuits":
    "delete from relay_circuit where epoch <> $1 and not exists (select 1 from worker where worker.epoch = relay_circuit.epoch and worker.alive_until >= $2)");

/// Forgets how workers found their relays that are dead, but for `epoch`.
pub async fn forget_circuits(tx: &mut Tx, wall_now: Timestamp, epoch: i64) -> Result<(), Error> {
    tx.execute(&FORGET_CIRCUITS, args![epoch, wall_now]).await?;
    Ok(())
}

/// How a worker finds a relay, as stored.
#[derive(Clone, Debug)]
pub struct CircuitRow {
    /// The worker.
    pub epoch: i64,
    /// Host and port.
    pub relay: String,
    /// `closed`, `open`, `half_open`.
    pub state: String,
    /// Since when.
    pub since: i64,
    /// When a mail may go to it again; past or null: at any time.
    pub try_at: Option<i64>,
    /// What it said last.
    pub why: Option<String>,
}
row!(CircuitRow: epoch, relay, state, since, try_at, why);

const LIST_CIRCUITS: Sql =
    sql!("relays.list_circuits": "select epoch, relay, state, since, try_at, why from relay_circuit order by position, relay, epoch");

/// Lists how the workers find their relays, or found them when they ended, in the order of `smtp.relays`.
pub async fn list_circuits(tx: &mut Tx) -> Result<Vec<CircuitRow>, Error> {
    tx.fetch_all(&LIST_CIRCUITS, args![]).await
}

/// Returns until when no live worker may ask any relay; `None` where one may, or none has said how it finds them.
pub async fn rests_until(tx: &mut Tx, now: Timestamp, wall_now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let live: Vec<i64> = list_live(tx, wall_now).await?.into_iter().map(|worker| worker.epoch).collect();
    let circuits = list_circuits(tx).await?.into_iter().filter(|circuit| live.contains(&circuit.epoch));
    let later: Option<Vec<i64>> = circuits.map(|circuit| circuit.try_at.filter(|at| *at > now.as_millis())).collect();
    Ok(later.and_then(|later| later.into_iter().min()).map(Timestamp::from_millis))
}

struct SentRow {
    relay: String,
    hour_at: i64,
    this_hour: i64,
    day_at: i64,
    today: i64,
}
row!(SentRow: relay, hour_at, this_hour, day_at, today);

impl SentRow {
    /// Returns what counts at `now`. A row of a later hour was written before the clock was set back, and counts on.
    fn at(&self, now: Timestamp) -> Sent {
        let counts = |at: i64, begin: Timestamp, n| if at >= begin.as_millis() { n } else { 0 };
        Sent {
            this_hour: counts(self.hour_at, hour_of(now), self.this_hour),
            today: counts(self.day_at, day_of(now), self.today),
        }
    }
}

const OPEN_SPAN: Sql = sql!("relays.open_span":
    "insert into relay_sent (relay, hour_at, this_hour, day_at, today) values ($1, $2, 0, $3, 0) on conflict (relay) do update
set this_hour = case when relay_sent.hour_at < excluded.hour_at then 0 else relay_sent.this_hour end,
  hour_at = case when relay_sent.hour_at < excluded.hour_at then excluded.hour_at else relay_sent.hour_at end,
  today = case when relay_sent.day_at < excluded.day_at then 0 else relay_sent.today end,
  day_at = case when relay_sent.day_at < excluded.day_at then excluded.day_at else relay_sent.day_at end");
const FIND_SENT: Sql = sql!("relays.find_sent": "select relay, hour_at, this_hour, day_at, today from relay_sent where relay = $1");
const ADD_SENT: Sql = sql!("relays.add_sent":
    "update relay_sent set this_hour = this_hour + case when hour_at = $3 then $2 else 0 end, today = today + case when day_at = $4 then $2 else 0 end
where relay = $1");

/// Enters up to `n_wanted` mails as sent by a relay, as many as its limits leave room for, and returns how many, and what went before them.
pub async fn reserve_sent(tx: &mut Tx, now: Timestamp, relay: &str, limits: &Limits, n_wanted: u32) -> Result<(u32, Sent), Error> {
    // Locks the row, so that what is read next is nobody's guess.
    tx.execute(&OPEN_SPAN, args![relay, hour_of(now), day_of(now)]).await?;
    let Some(row) = tx.fetch_optional::<SentRow>(&FIND_SENT, args![relay]).await? else {
        return Ok((0, Sent::default()));
    };
    let sent = row.at(now);
    let n = limits.room(now, sent).unwrap_or(n_wanted).min(n_wanted);
    if n > 0 {
        tx.execute(&ADD_SENT, args![relay, i64::from(n), row.hour_at, row.day_at]).await?;
    }
    Ok((n, sent))
}

/// Takes back mails that were entered at `entered_at` and not sent; what was entered in an hour or day that is over stays.
pub async fn return_sent(tx: &mut Tx, entered_at: Timestamp, relay: &str, n: u32) -> Result<(), Error> {
    tx.execute(&ADD_SENT, args![relay, -i64::from(n), hour_of(entered_at), day_of(entered_at)])
        .await?;
    Ok(())
}

const LIST_SENT: Sql = sql!("relays.list_sent": "select relay, hour_at, this_hour, day_at, today from relay_sent order by relay");

/// Lists how many mails went, in the hour and on the day of `now`, by each relay that had a limit.
pub async fn list_sent(tx: &mut Tx, now: Timestamp) -> Result<Vec<(String, Sent)>, Error> {
    let found: Vec<SentRow> = tx.fetch_all(&LIST_SENT, args![]).await?;
    Ok(found.into_iter().map(|row| (row.relay.clone(), row.at(now))).collect())
}

const WAITING: Sql = sql!("relays.waiting": "select count(*) as n from delivery where state = 'queued' and reason like $1");

/// Counts the deliveries that wait for a relay or for the pace.
pub async fn count_waiting(tx: &mut Tx) -> Result<i64, Error> {
    tx.count(&WAITING, args![format!("{}%", crate::outbox::delivery::WAITS)]).await
}
