//! Records what became of attempts, in one transaction for many (architecture, 8); and takes back what dead workers held.
//!
//! What an event makes of a delivery is `outbox::delivery::next`; this file carries it out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tracing::Instrument;

use crate::app::suppress::{self, Suppress};
use crate::app::{Error, Rules};
use crate::lead::erase::ERASED;
use crate::outbox::Kind;
use crate::outbox::delivery::{Due, Event, Facts, InDoubt, Next, State, WAITS, next};
use crate::outbox::reply::{Reply, Stage, Verdict, classify};
use crate::partner::EmailAddress;
use crate::store::attempts::{Attempt, insert_attempts};
use crate::store::deliveries::{
    Delivery, Outcome, find_delivery, list_dead, list_doubtful, list_held_by, list_of_ids, move_deliveries, record_outcomes,
};
use crate::store::kept::{Packed, keep_mails};
use crate::store::notices::{reopen_notices, settle_undeliverable};
use crate::store::suppressions::{forget_faults, note_faults};
use crate::store::workers::{end_workers, find_marking};
use crate::store::{Store, retried};
use crate::telemetry;
use crate::time::Timestamp;

/// Deliveries that are taken back in one transaction.
const RECOVER_MAX: i64 = 1000;
/// Stands for "not by itself": 9999-12-31.
const NEVER: Timestamp = Timestamp::from_millis(253_402_214_400_000);

/// What came of handing one delivery over.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The delivery as claimed.
    pub delivery: Delivery,
    /// When.
    pub at: Timestamp,
    /// Who was asked.
    pub relay: String,
    /// What came of it.
    pub result: TryResult,
    /// From 0 to 1: spreads what failed together.
    pub jitter: f64,
    /// When the lead came in that is mailed singly; for the time that it took.
    pub arrived_at: Option<Timestamp>,
    /// The templates that wrote the mail; `None` where none was written.
    pub templates: Option<Arc<str>>,
    /// The mail itself, to be kept (`mail.keep_sent`); `None` where it is not, or nobody can have got it.
    pub mail: Option<Packed>,
}

/// What the other side did.
#[derive(Clone, Debug)]
pub enum TryResult {
    /// It took the mail.
    Accepted(Option<Reply>),
    /// It answered otherwise.
    Refused(Stage, Reply),
    /// No answer, before the mail was out.
    Unreachable(Stage, String),
    /// The relay cannot be used as it is set up: no STARTTLS, no AUTH.
    RelayUnfit(Stage, String),
    /// The mail was out, and no answer came.
    ReplyLost(String),
    /// There was nothing left to say when it was rendered.
    NothingLeft(String),
    /// The mail could not be written.
    Unwritable(String),
    /// Mode `dry`: it was rendered, and nothing leaves.
    Dry,
    /// The worker is shutting down, and had not begun with it.
    Released,
    /// It has to wait: no relay may be asked, or a pace does not let it go yet.
    Postponed(Postponed),
}

/// Until when a mail waits, and for what.
#[derive(Clone, Debug)]
pub struct Postponed {
    /// Until when.
    pub until: Timestamp,
    /// Whether `give_up_after` ends the wait.
    pub gives_up: bool,
    /// For what, in plain words.
    pub why: String,
    /// How far it came, and what it was answered, where it met the relay's trouble itself.
    pub met: Option<(Stage, Option<u16>)>,
}

impl TryResult {
    /// Tells whether somebody may have got the mail.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Accepted(_) | Self::ReplyLost(_) => true,
            Self::Refused(..)
            | Self::Unreachable(..)
            | Self::RelayUnfit(..)
            | Self::NothingLeft(_)
            | Self::Unwritable(_)
            | Self::Dry
            | Self::Released
            | Self::Postponed(_) => false,
        }
    }

    /// Returns how far a mail came that was not taken, and the reply's code; `None` where it was taken, or never offered.
    pub fn refusal(&self) -> Option<(&'static str, Option<u16>)> {
        match self {
            Self::Refused(stage, reply) => Some((stage.as_str(), Some(reply.code))),
            Self::Unreachable(stage, _) | Self::RelayUnfit(stage, _) => Some((stage.as_str(), None)),
            Self::ReplyLost(_) => Some((Stage::FinalDot.as_str(), None)),
            Self::Unwritable(_) => Some(("render", None)),
            Self::Postponed(postponed) => postponed.met.map(|(stage, code)| (stage.as_str(), code)),
            Self::Accepted(_) | Self::NothingLeft(_) | Self::Dry | Self::Released => None,
        }
    }
}

/// What a flush of outcomes recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Deliveries whose outcome was recorded.
    pub n_recorded: usize,
}

/// Records outcomes of deliveries that the worker `owner` holds; those that it does not hold any more are left as they are.
///
/// # Errors
/// The database cannot record it; then nothing was.
pub async fn record(store: &Store, now: Timestamp, rules: &Rules, owner: i64, tried: &[Tried]) -> Result<Recorded, Error> {
    let span = tracing::info_span!("app.record", n_rows = tried.len());
    Ok(retried(|| record_once(store, now, rules, owner, tried)).instrument(span).await?)
}

async fn record_once(store: &Store, now: Timestamp, rules: &Rules, owner: i64, tried: &[Tried]) -> Result<Recorded, crate::store::Error> {
    let mut tx = store.begin().await?;
    let bare: Vec<EmailAddress> = tried
        .iter()
        .filter(|one| is_bare_refusal(&one.result))
        .map(|one| one.delivery.address.clone())
        .collect();
    let seen: HashMap<EmailAddress, Timestamp> = note_faults(&mut tx, now, &bare).await?.into_iter().collect();

    let mut outcomes = Vec::with_capacity(tried.len());
    let mut nexts = HashMap::new();
    for one in tried {
        let event = event_of(now, one, seen.get(&one.delivery.address).copied());
        let facts = facts(&one.delivery, rules, one.jitter);
        let next = next(now, State::Sending, event, &facts).expect("a delivery in sending takes every outcome of an attempt");
        outcomes.push(outcome(now, &one.delivery, &next, Some(reason(&one.result)), event));
        nexts.insert(one.delivery.id, next);
    }
    let held = record_outcomes(&mut tx, now, owner, &outcomes).await?;
    let ours: Vec<&Tried> = tried.iter().filter(|one| held.all.contains(&one.delivery.id)).collect();
    // Of a mail that told of a lead that was erased meanwhile neither bytes nor replies are kept (`R-ERASE`).
    let is_erased = |one: &Tried| held.erased.contains(&one.delivery.id);
    insert_attempts(
        &mut tx,
        &ours
            .iter()
            .filter_map(|one| attempt(one, nexts[&one.delivery.id].state, is_erased(one)))
            .collect::<Vec<_>>(),
    )
    .await?;
    let bytes = ours.iter().filter(|one| !is_erased(one));
    let kept: Vec<(i64, Packed)> = bytes.filter_map(|one| Some((one.delivery.id, one.mail.clone()?))).collect();
    keep_mails(&mut tx, now, &kept).await?;

    let gone: Vec<&EmailAddress> = ours
        .iter()
        .filter(|one| is_erased(one))
        .filter_map(|one| customer_of(one))
        .collect();
    if !gone.is_empty() {
        // The refusal that was noted above.
        forget_faults(&mut tx, gone).await?;
    }
    let dead = ours.iter().filter(|one| nexts[&one.delivery.id].suppresses);
    let dead = dead.filter(|one| !is_erased(one) || customer_of(one).is_none());
    let suppressions: Vec<Suppress> = dead
        .map(|one| Suppress {
            address: one.delivery.address.clone(),
            reason: "hard bounce".into(),
            detail: if is_erased(one) { ERASED.to_owned() } else { reason(&one.result) },
            actor: None,
        })
        .collect();
    suppress::apply(&mut tx, now, rules, &suppressions).await?;
    let again: BTreeSet<i64> = ours
        .iter()
        .filter(|one| nexts[&one.delivery.id].resolves_again)
        .map(|one| one.delivery.notice_id)
        .collect();
    reopen_notices(&mut tx, now, &again).await?;
    tx.commit().await?;
    for one in &ours {
        let (delivery, state) = (&one.delivery, nexts[&one.delivery.id].state);
        let since_arrival = one.arrived_at.filter(|_| state == State::Sent).map(|at| one.at.since(at));
        telemetry::delivery_recorded(delivery.id, delivery.kind.as_str(), told(state, &one.result), since_arrival);
    }
    Ok(Recorded { n_recorded: ours.len() })
}

/// Returns the customer's address, where the mail was to a customer.
fn customer_of(one: &Tried) -> Option<&EmailAddress> {
    (one.delivery.kind == Kind::Decline).then_some(&one.delivery.address)
}

/// Returns how the metrics name what became of a mail.
fn told(state: State, result: &TryResult) -> &'static str {
    match (state, result) {
        (State::Queued, TryResult::Postponed(_)) => "postponed",
        (State::Queued, _) => "retried",
        (other, _) => other.as_str(),
    }
}

fn is_bare_refusal(result: &TryResult) -> bool {
    matches!(result, TryResult::Refused(stage, reply) if matches!(classify(*stage, reply), Verdict::Address { bare: true, .. }))
}

/// Names what an attempt's result is to its delivery.
fn event_of(now: Timestamp, one: &Tried, bare_seen_at: Option<Timestamp>) -> Event {
    match &one.result {
        TryResult::Accepted(_) => Event::Accepted,
        TryResult::Refused(stage, reply) => Event::of(now, classify(*stage, reply), bare_seen_at),
        TryResult::Unreachable(..) => Event::Transient,
        TryResult::RelayUnfit(..) => Event::RelayFault,
        TryResult::ReplyLost(_) => Event::ReplyLost,
        // A dry run leaves nothing to be sent; the reason says so.
        TryResult::NothingLeft(_) | TryResult::Dry => Event::NothingLeft,
        TryResult::Unwritable(_) => Event::MessageFault,
        TryResult::Released => Event::Released,
        TryResult::Postponed(postponed) => Event::Postponed {
            until: postponed.until,
            gives_up: postponed.gives_up,
        },
    }
}

pub(super) fn facts<'a>(delivery: &Delivery, rules: &'a Rules, jitter: f64) -> Facts<'a> {
    Facts {
        n_attempts: delivery.attempt,
        first_due_at: delivery.first_due_at,
        is_resent: delivery.is_resent,
        jitter,
        in_doubt: rules.in_doubt,
        retry: &rules.retry,
    }
}

/// Returns the row that a delivery becomes.
pub(super) fn outcome(now: Timestamp, delivery: &Delivery, next: &Next, reason: Option<String>, event: Event) -> Outcome {
    Outcome {
        id: delivery.id,
        state: next.state,
        attempt: delivery.attempt + u32::from(next.is_attempt),
        due_at: match next.due {
            Due::Unchanged => delivery.due_at,
            Due::At(at) => at,
            Due::Never => NEVER,
        },
        is_repeat: delivery.is_repeat || next.is_repeat,
        is_resent: delivery.is_resent || event == Event::DoubtOver,
        first_due_at: if next.restarts { now } else { delivery.first_due_at },
        reason,
    }
}

/// Says what the other side did, in plain words.
fn reason(result: &TryResult) -> String {
    match result {
        TryResult::Accepted(Some(reply)) => format!("accepted: {reply}"),
        TryResult::Accepted(None) => "written to the Maildir".to_owned(),
        TryResult::Refused(stage, reply) => format!("refused at {stage}: {reply}"),
        TryResult::Unreachable(stage, detail) | TryResult::RelayUnfit(stage, detail) => format!("failed at {stage}: {detail}"),
        TryResult::ReplyLost(detail) => format!("the mail was handed over and no reply came: {detail}"),
        TryResult::NothingLeft(why) => why.clone(),
        TryResult::Unwritable(why) => format!("the mail could not be written: {why}"),
        TryResult::Dry => "mode dry: rendered, and not sent".to_owned(),
        TryResult::Released => "given back by a worker that was shutting down".to_owned(),
        TryResult::Postponed(postponed) => format!("{WAITS}{}", postponed.why),
    }
}

/// Returns the attempt that a result was; a mail that was never handed to anybody was none.
fn attempt(one: &Tried, state: State, is_erased: bool) -> Option<Attempt> {
    let (stage, code) = match &one.result {
        TryResult::Accepted(reply) => (Stage::FinalDot.as_str(), reply.as_ref().map(|reply| reply.code)),
        TryResult::Refused(stage, reply) => (stage.as_str(), Some(reply.code)),
        TryResult::Unreachable(stage, _) | TryResult::RelayUnfit(stage, _) => (stage.as_str(), None),
        TryResult::ReplyLost(_) => (Stage::FinalDot.as_str(), None),
        TryResult::Unwritable(_) => ("render", None),
        TryResult::Postponed(postponed) => {
            let (stage, code) = postponed.met?;
            (stage.as_str(), code)
        }
        TryResult::NothingLeft(_) | TryResult::Dry | TryResult::Released => return None,
    };
    Some(Attempt {
        delivery_id: one.delivery.id,
        at: one.at,
        relay: one.relay.clone(),
        stage: stage.to_owned(),
        code,
        outcome: state.as_str().to_owned(),
        detail: if is_erased { ERASED.to_owned() } else { reason(&one.result) },
        templates: one.templates.as_deref().map(str::to_owned),
    })
}

/// Takes back deliveries whose worker has died, and sends again those in doubt whose time has come. Returns how many moved.
///
/// # Errors
/// The database cannot record it.
pub async fn recover(store: &Store, now: Timestamp, wall_now: Timestamp, rules: &Rules) -> Result<usize, Error> {
    Ok(retried(|| recover_once(store, now, wall_now, rules)).await?)
}

async fn recover_once(store: &Store, now: Timestamp, wall_now: Timestamp, rules: &Rules) -> Result<usize, crate::store::Error> {
    let mut tx = store.begin().await?;
    let mut moves = Vec::new();
    let dead = list_dead(&mut tx, wall_now, RECOVER_MAX).await?;
    let owners = Vec::from_iter(dead.iter().filter_map(|delivery| delivery.owner).collect::<BTreeSet<i64>>());
    let mut marking = BTreeSet::new();
    if !owners.is_empty() {
        // A worker that only stood still must not wake up as their owner, by a clock that was set back meanwhile.
        end_workers(&mut tx, &owners).await?;
        marking = find_marking(&mut tx, &owners).await?;
    }
    for delivery in dead {
        let is_marked_first = delivery.owner.is_some_and(|owner| marking.contains(&owner));
        let event = Event::WorkerDied {
            handed_over: delivery.handed_over_at.is_some() || !is_marked_first,
        };
        moves.extend(moved(now, &delivery, event, rules, "its worker died"));
    }
    if rules.in_doubt == InDoubt::Resend {
        for delivery in list_doubtful(&mut tx, now, RECOVER_MAX).await? {
            moves.extend(moved(
                now,
                &delivery,
                Event::DoubtOver,
                rules,
                "no reply came in time; sent once more with the same Message-ID",
            ));
        }
    }
    if moves.is_empty() {
        return Ok(0);
    }
    let n_moved = move_deliveries(&mut tx, now, &moves).await?.len();
    tx.commit().await?;
    Ok(n_moved)
}

/// Puts back into the queue whatever the worker `owner` holds, and returns how many that is: for one that has nothing under way. A claim whose answer was lost
/// may have been committed, and nobody else takes those deliveries back while their worker lives.
///
/// # Errors
/// The database cannot record it.
pub async fn give_back(store: &Store, now: Timestamp, rules: &Rules, owner: i64) -> Result<usize, Error> {
    Ok(retried(|| give_back_once(store, now, rules, owner)).await?)
}

async fn give_back_once(store: &Store, now: Timestamp, rules: &Rules, owner: i64) -> Result<usize, crate::store::Error> {
    let mut tx = store.begin().await?;
    let held = list_held_by(&mut tx, owner, RECOVER_MAX).await?;
    let moves: Vec<(State, Outcome)> = held
        .iter()
        .filter_map(|delivery| {
            moved(
                now,
                delivery,
                Event::Released,
                rules,
                "its worker did not hear that it had claimed it",
            )
        })
        .collect();
    if moves.is_empty() {
        return Ok(0);
    }
    let n_moved = move_deliveries(&mut tx, now, &moves).await?.len();
    tx.commit().await?;
    Ok(n_moved)
}

fn moved(now: Timestamp, delivery: &Delivery, event: Event, rules: &Rules, why: &str) -> Option<(State, Outcome)> {
    let next = next(now, delivery.state, event, &facts(delivery, rules, 0.5)).ok()?;
    Some((delivery.state, outcome(now, delivery, &next, Some(why.to_owned()), event)))
}

/// Records answers to final dots that came after the time for them: they settle what is in doubt. Returns those whose doubt is not written yet.
///
/// # Errors
/// The database cannot record it; then nothing was.
pub async fn settle_late(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    heard: Vec<(i64, String, Reply)>,
) -> Result<Vec<(i64, String, Reply)>, Error> {
    let mut tx = store.begin().await?;
    let ids: Vec<i64> = heard.iter().map(|(id, ..)| *id).collect();
    let (mut moves, mut attempts, mut early) = (Vec::new(), Vec::new(), Vec::new());
    for delivery in list_of_ids(&mut tx, &ids).await? {
        let Some((id, relay, reply)) = heard.iter().find(|(id, ..)| *id == delivery.id) else {
            continue;
        };
        match delivery.state {
            State::InDoubt => {
                let why = if delivery.is_erased {
                    ERASED.to_owned()
                } else {
                    format!("accepted late: {reply}")
                };
                moves.extend(moved(now, &delivery, Event::Accepted, rules, &why));
                attempts.push(Attempt {
                    delivery_id: *id,
                    at: now,
                    relay: relay.clone(),
                    stage: Stage::FinalDot.as_str().to_owned(),
                    code: Some(reply.code),
                    outcome: State::Sent.as_str().to_owned(),
                    detail: why,
                    templates: None,
                });
            }
            State::Sending => early.push((*id, relay.clone(), reply.clone())),
            // Settled by others, or on its way once more: the repeat bears the same Message-ID.
            State::Queued | State::Sent | State::Failed | State::Cancelled | State::Suppressed => {}
        }
    }
    if moves.is_empty() {
        return Ok(early);
    }
    let settled = move_deliveries(&mut tx, now, &moves).await?;
    attempts.retain(|attempt| settled.contains(&attempt.delivery_id));
    insert_attempts(&mut tx, &attempts).await?;
    tx.commit().await?;
    Ok(early)
}

/// Does what ops want of a delivery: [`Event::OpsRetry`] or [`Event::OpsCancel`].
///
/// # Errors
/// There is no such delivery, its state forbids it, or the database cannot record it.
pub async fn by_hand(store: &Store, now: Timestamp, rules: &Rules, id: i64, event: Event, by: Option<&str>) -> Result<State, Error> {
    let mut tx = store.begin().await?;
    let Some(delivery) = find_delivery(&mut tx, id).await? else {
        return Err(crate::app::mails::unknown(id));
    };
    let next = next(now, delivery.state, event, &facts(&delivery, rules, 0.5))
        .map_err(|refused| Error::Refused(format!("delivery {id}: {refused}")))?;
    let who = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let why = format!("{}{who}", event.describe());
    let moved = move_deliveries(&mut tx, now, &[(delivery.state, outcome(now, &delivery, &next, Some(why), event))]).await?;
    if moved.is_empty() {
        return Err(Error::Refused(format!("delivery {id} has just changed; look at it again")));
    }
    if next.state == State::Queued {
        // Somebody can be told after all (`notice::Event::DeliveryReopened`); if the address fails once more, its notice says so again.
        settle_undeliverable(&mut tx, now, &BTreeSet::from([delivery.notice_id])).await?;
    }
    tx.commit().await?;
    Ok(next.state)
}
