//! What becomes of a delivery: one message of a notice to one address (architecture, "Delivery: state × event").
//!
//! ```text
//!              ┌── transient, relay's fault, given back ──┐
//!              v                                          │
//!           queued ── claimed ──────────────────────> sending ── 250 ──> sent
//!            ^ │ ^                                      │  │
//!   lifted   │ │ └── resend_after ── in doubt <─────────┘  └─ 5xx ─────> failed
//!            │ └── address suppressed ─> suppressed                (or given up)
//!            └───────────────────────────────┘
//! ```
//!
//! **Invariant:** a delivery that may have been accepted is never sent again without a note that it may be a repeat, and never by a
//! path of retries: `sending` is left for `queued` only where the relay said no, or where its worker died.
//! **Not here:** whose fault a reply is (`reply`), how long a wait is (`retry`), who owns a lease (`store::workers`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::outbox::reference;
use crate::outbox::reply::{self, Verdict};
use crate::outbox::retry::Retry;
use crate::time::Timestamp;

/// How the reason of a delivery begins that was postponed: by it those that wait for a relay or a pace are counted.
pub const WAITS: &str = "waits for ";

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Is sent when it is due.
    Queued,
    /// A worker has it, under a lease.
    Sending,
    /// Handed over, and no reply came: the relay may have it.
    InDoubt,
    /// The relay has taken it.
    Sent,
    /// Refused for good, or given up.
    Failed,
    /// Not wanted any more before it was sent.
    Cancelled,
    /// Its address was suppressed before it was sent.
    Suppressed,
}

/// What happens to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker took it.
    Claimed,
    /// Its worker gave it back before it was handed over: it is shutting down.
    Released,
    /// 250 after the final dot.
    Accepted,
    /// 4xx, a connect error, or a time-out before the final dot.
    Transient,
    /// The relay refuses us, whatever the delivery.
    RelayFault,
    /// It has to wait: no relay may be asked, or a pace does not let it go yet. It was not tried, or what it met was no fault of its own.
    Postponed {
        /// Until when.
        until: Timestamp,
        /// Whether `give_up_after` ends it: not where people have to repair a relay, and not for a pace of our own.
        gives_up: bool,
    },
    /// The relay refuses the address.
    AddressFault {
        /// Whether that suppresses it (see [`Event::of`]).
        suppress: bool,
    },
    /// The relay refuses the message, or it cannot be written.
    MessageFault,
    /// The final dot was sent, and no reply came.
    ReplyLost,
    /// The lease of its worker is over.
    WorkerDied {
        /// Whether it may have been handed over: a mark is committed, or its worker made none; they are made under [`InDoubt::Hold`] only.
        handed_over: bool,
    },
    /// It has been in doubt for `resend_after`.
    DoubtOver,
    /// A bounce says that it was delivered, or passed on to where no word comes from: relayed, expanded.
    DsnDelivered,
    /// A bounce says that it was refused for good.
    DsnFailed {
        /// Whether that suppresses its address: only what says that the address is dead (see [`Event::of`]).
        suppress: bool,
    },
    /// A bounce says that it was not delivered yet, or that it failed for a reason that passes.
    DsnPending,
    /// When its worker rendered it, there was nothing left to say.
    NothingLeft,
    /// Its lead was answered, has expired or was erased. Not raised for what is gathered: that is rendered from what is left.
    SubjectClosed,
    /// Its address was suppressed.
    AddressSuppressed,
    /// Its address opted out, or its mailbox was silenced (`R-OPTOUT`).
    AddressSilenced,
    /// The suppression of its address was lifted.
    SuppressionLifted {
        /// Whether its subject is still open.
        is_of_use: bool,
    },
    /// Ops want it sent now.
    OpsRetry,
    /// Ops do not want it any more.
    OpsCancel,
}

/// What is done about a delivery that the relay may have: `worker.in_doubt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InDoubt {
    /// Sent again, once, with the same Message-ID: rather twice than never.
    #[default]
    Resend,
    /// Kept until ops decide: rather never than twice.
    Hold,
}

/// What has to be known of a delivery, and of the settings, to say what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The attempts counted so far.
    pub n_attempts: u32,
    /// When it was first due, or due again after a lifted suppression or a retry by ops: the wait of `give_up_after` begins here.
    pub first_due_at: Timestamp,
    /// Whether it was sent again after a doubt before: that is done once.
    pub is_resent: bool,
    /// A random number from 0 to 1 that spreads what failed together.
    pub jitter: f64,
    /// What is done about doubt.
    pub in_doubt: InDoubt,
    /// The waiting times.
    pub retry: &'a Retry,
}

/// When a delivery is next looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// When it was to be, anyway.
    Unchanged,
    /// At this instant.
    At(Timestamp),
    /// Not by itself.
    Never,
}

/// What becomes of a delivery, and what has to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its state from now on.
    pub state: State,
    /// When it is next looked at.
    pub due: Due,
    /// Whether an attempt is counted.
    pub is_attempt: bool,
    /// Whether the next mail may be a repeat, which is noted with it.
    pub is_repeat: bool,
    /// Whether `first_due_at` is `now` from now on, so that `give_up_after` begins anew.
    pub restarts: bool,
    /// Whether its address is suppressed.
    pub suppresses: bool,
    /// Whether its notice is resolved once more (`notice::Event::HardFailure`).
    pub resolves_again: bool,
    /// Whether its relay is left alone for a while.
    pub opens_circuit: bool,
}

/// Why an event does not happen to a delivery in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// The state that is in the way.
    pub state: State,
    /// What was to happen.
    pub event: Event,
}

/// Says what becomes of a delivery in `state` when `event` happens to it; see [`Next::is_unchanged`] for "nothing".
///
/// # Errors
/// [`Refused`] where the event cannot happen: the outcome of a worker that lost its lease, or a wish of ops that comes too late.
pub fn next(now: Timestamp, state: State, event: Event, facts: &Facts<'_>) -> Result<Next, Refused> {
    let answer = match state {
        State::Queued => from_queued(now, event),
        State::Sending => from_sending(now, event, facts),
        State::InDoubt => from_in_doubt(now, event, facts),
        State::Sent => from_sent(event),
        State::Failed => from_failed(now, event),
        State::Cancelled => from_cancelled(event),
        State::Suppressed => from_suppressed(now, event),
    };
    answer.ok_or(Refused { state, event })
}

fn from_queued(now: Timestamp, event: Event) -> Option<Next> {
    match event {
        Event::Claimed => Some(Next::to(State::Sending)),
        Event::SubjectClosed | Event::AddressSilenced | Event::OpsCancel => Some(Next::to(State::Cancelled)),
        Event::AddressSuppressed => Some(Next::to(State::Suppressed).resolving_again()),
        Event::OpsRetry => Some(Next::queued(now).restarting()),
        // A copy that was in doubt is accounted for: no repeat is needed, or none would help.
        Event::DsnDelivered => Some(Next::to(State::Sent)),
        Event::DsnFailed { suppress } => Some(Next::to(State::Failed).suppressing_if(suppress).resolving_again()),
        Event::SuppressionLifted { .. } | Event::DsnPending => Some(Next::unchanged(State::Queued)),
        // No worker has it. One that lost its lease changes nothing, not even with a 250: the repeat bears the same Message-ID.
        Event::Released
        | Event::Accepted
        | Event::Transient
        | Event::RelayFault
        | Event::Postponed { .. }
        | Event::AddressFault { .. }
        | Event::MessageFault
        | Event::ReplyLost
        | Event::WorkerDied { .. }
        | Event::NothingLeft
        | Event::DoubtOver => None,
    }
}

fn from_sending(now: Timestamp, event: Event, facts: &Facts<'_>) -> Option<Next> {
    match event {
        Event::Accepted => Some(Next::to(State::Sent).counted()),
        Event::Transient => Some(after_transient(now, facts)),
        // Never given up: nothing is wrong with the delivery, and the relay is repaired by people.
        Event::RelayFault => Some(Next::queued(now.plus(facts.retry.relay_pause)).opening_circuit()),
        Event::Postponed { gives_up: true, .. } if facts.retry.is_given_up(now, facts.first_due_at) => Some(Next::to(State::Failed)),
        Event::Postponed { until, .. } => Some(Next::queued(until)),
        Event::AddressFault { suppress: true } => Some(Next::to(State::Failed).counted().suppressing().resolving_again()),
        Event::AddressFault { suppress: false } => Some(Next::to(State::Failed).counted().resolving_again()),
        Event::MessageFault => Some(Next::to(State::Failed).counted()),
        // The final dot left us and no reply came: the relay may have the mail, so this is no retry.
        Event::ReplyLost => Some(after_lost_reply(now, facts).counted()),
        Event::WorkerDied { handed_over } => Some(after_death(now, handed_over, facts)),
        Event::Released => Some(Next::queued(now)),
        Event::NothingLeft => Some(Next::to(State::Cancelled)),
        // What is being sent is a repeat, and the bounce tells of the copy before it: that settles it, whatever its worker says later.
        Event::DsnDelivered => Some(Next::to(State::Sent)),
        Event::DsnFailed { suppress } => Some(Next::to(State::Failed).suppressing_if(suppress).resolving_again()),
        // The mail is on its way, and its worker's outcome settles it. If it comes back to the queue, its next claim finds what changed.
        Event::SubjectClosed | Event::AddressSuppressed | Event::AddressSilenced | Event::SuppressionLifted { .. } | Event::DsnPending => {
            Some(Next::unchanged(State::Sending))
        }
        Event::Claimed | Event::DoubtOver | Event::OpsRetry | Event::OpsCancel => None,
    }
}

fn after_transient(now: Timestamp, facts: &Facts<'_>) -> Next {
    if facts.retry.is_given_up(now, facts.first_due_at) {
        return Next::to(State::Failed).counted();
    }
    let wait = facts.retry.backoff(facts.n_attempts.saturating_add(1), facts.jitter);
    Next::queued(now.plus(wait)).counted()
}

fn after_lost_reply(now: Timestamp, facts: &Facts<'_>) -> Next {
    match facts.in_doubt {
        InDoubt::Resend if !facts.is_resent => Next {
            due: Due::At(now.plus(facts.retry.resend_after)),
            ..Next::to(State::InDoubt)
        },
        // A second lost reply is no accident: rather than a third copy, ops decide.
        InDoubt::Resend | InDoubt::Hold => Next::to(State::InDoubt),
    }
}

fn after_death(now: Timestamp, handed_over: bool, facts: &Facts<'_>) -> Next {
    match (facts.in_doubt, handed_over) {
        (InDoubt::Resend, true | false) => Next::queued(now).repeating(),
        (InDoubt::Hold, true) => Next::to(State::InDoubt),
        (InDoubt::Hold, false) => Next::queued(now),
    }
}

fn from_in_doubt(now: Timestamp, event: Event, facts: &Facts<'_>) -> Option<Next> {
    match event {
        Event::Accepted | Event::DsnDelivered => Some(Next::to(State::Sent)),
        Event::DsnFailed { suppress } => Some(Next::to(State::Failed).suppressing_if(suppress).resolving_again()),
        Event::DoubtOver => match facts.in_doubt {
            InDoubt::Resend if !facts.is_resent => Some(Next::queued(now).repeating()),
            InDoubt::Resend | InDoubt::Hold => None,
        },
        // It may have arrived; a repeat is of no use any more.
        Event::SubjectClosed | Event::AddressSilenced | Event::OpsCancel => Some(Next::to(State::Cancelled)),
        Event::AddressSuppressed => Some(Next::to(State::Suppressed).resolving_again()),
        Event::OpsRetry => Some(Next::queued(now).repeating().restarting()),
        Event::SuppressionLifted { .. } | Event::DsnPending => Some(Next::unchanged(State::InDoubt)),
        // No worker has it.
        Event::Claimed
        | Event::Released
        | Event::Transient
        | Event::RelayFault
        | Event::Postponed { .. }
        | Event::AddressFault { .. }
        | Event::MessageFault
        | Event::ReplyLost
        | Event::NothingLeft
        | Event::WorkerDied { .. } => None,
    }
}

fn from_sent(event: Event) -> Option<Next> {
    match event {
        // Accepted is not delivered: the bounce comes later.
        Event::DsnFailed { suppress } => Some(Next::to(State::Failed).suppressing_if(suppress).resolving_again()),
        Event::DsnDelivered
        | Event::DsnPending
        | Event::SubjectClosed
        | Event::AddressSuppressed
        | Event::AddressSilenced
        | Event::SuppressionLifted { .. } => Some(Next::unchanged(State::Sent)),
        Event::Claimed
        | Event::Released
        | Event::Accepted
        | Event::Transient
        | Event::RelayFault
        | Event::Postponed { .. }
        | Event::AddressFault { .. }
        | Event::MessageFault
        | Event::ReplyLost
        | Event::WorkerDied { .. }
        | Event::NothingLeft
        | Event::DoubtOver
        | Event::OpsRetry
        | Event::OpsCancel => None,
    }
}

fn from_failed(now: Timestamp, event: Event) -> Option<Next> {
    match event {
        Event::OpsRetry => Some(Next::queued(now).restarting()),
        // Given up after a doubt, and the copy in doubt had arrived.
        Event::DsnDelivered => Some(Next::to(State::Sent)),
        // Its notice was resolved again when its address failed; otherwise ops see it. The address is bad in any case.
        Event::DsnFailed { suppress } => Some(Next::unchanged(State::Failed).suppressing_if(suppress)),
        Event::SubjectClosed | Event::AddressSuppressed | Event::AddressSilenced | Event::SuppressionLifted { .. } | Event::DsnPending => {
            Some(Next::unchanged(State::Failed))
        }
        Event::Claimed
        | Event::Released
        | Event::Accepted
        | Event::Transient
        | Event::RelayFault
        | Event::Postponed { .. }
        | Event::AddressFault { .. }
        | Event::MessageFault
        | Event::ReplyLost
        | Event::WorkerDied { .. }
        | Event::NothingLeft
        | Event::DoubtOver
        | Event::OpsCancel => None,
    }
}

fn from_cancelled(event: Event) -> Option<Next> {
    match event {
        // A copy that was in doubt came back.
        Event::DsnFailed { suppress } => Some(Next::unchanged(State::Cancelled).suppressing_if(suppress)),
        Event::DsnDelivered
        | Event::DsnPending
        | Event::SubjectClosed
        | Event::AddressSuppressed
        | Event::AddressSilenced
        | Event::SuppressionLifted { .. } => Some(Next::unchanged(State::Cancelled)),
        Event::Claimed
        | Event::Released
        | Event::Accepted
        | Event::Transient
        | Event::RelayFault
        | Event::Postponed { .. }
        | Event::AddressFault { .. }
        | Event::MessageFault
        | Event::ReplyLost
        | Event::WorkerDied { .. }
        | Event::NothingLeft
        | Event::DoubtOver
        | Event::OpsRetry
        | Event::OpsCancel => None,
    }
}

fn from_suppressed(now: Timestamp, event: Event) -> Option<Next> {
    match event {
        Event::SuppressionLifted { is_of_use: true } => Some(Next::queued(now).restarting()),
        Event::OpsCancel => Some(Next::to(State::Cancelled)),
        Event::DsnFailed { suppress } => Some(Next::unchanged(State::Suppressed).suppressing_if(suppress)),
        Event::DsnDelivered => Some(Next::to(State::Sent)),
        Event::SuppressionLifted { is_of_use: false }
        | Event::SubjectClosed
        | Event::AddressSuppressed
        | Event::AddressSilenced
        | Event::DsnPending => Some(Next::unchanged(State::Suppressed)),
        // Ops lift the suppression instead.
        Event::OpsRetry => None,
        Event::Claimed
        | Event::Released
        | Event::Accepted
        | Event::Transient
        | Event::RelayFault
        | Event::Postponed { .. }
        | Event::AddressFault { .. }
        | Event::MessageFault
        | Event::ReplyLost
        | Event::WorkerDied { .. }
        | Event::NothingLeft
        | Event::DoubtOver => None,
    }
}

impl Next {
    const fn unchanged(state: State) -> Self {
        Self {
            state,
            due: Due::Unchanged,
            is_attempt: false,
            is_repeat: false,
            restarts: false,
            suppresses: false,
            resolves_again: false,
            opens_circuit: false,
        }
    }

    const fn to(state: State) -> Self {
        Self {
            due: Due::Never,
            ..Self::unchanged(state)
        }
    }

    const fn queued(due_at: Timestamp) -> Self {
        Self {
            due: Due::At(due_at),
            ..Self::unchanged(State::Queued)
        }
    }

    const fn counted(self) -> Self {
        Self { is_attempt: true, ..self }
    }

    const fn repeating(self) -> Self {
        Self { is_repeat: true, ..self }
    }

    const fn restarting(self) -> Self {
        Self { restarts: true, ..self }
    }

    const fn suppressing(self) -> Self {
        Self { suppresses: true, ..self }
    }

    const fn suppressing_if(self, suppresses: bool) -> Self {
        Self { suppresses, ..self }
    }

    const fn resolving_again(self) -> Self {
        Self {
            resolves_again: true,
            ..self
        }
    }

    const fn opening_circuit(self) -> Self {
        Self {
            opens_circuit: true,
            ..self
        }
    }

    /// Whether the delivery stays as it is. Its address may still have to be suppressed.
    pub const fn is_unchanged(&self) -> bool {
        matches!(self.due, Due::Unchanged)
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Sending,
        Self::InDoubt,
        Self::Sent,
        Self::Failed,
        Self::Cancelled,
        Self::Suppressed,
    ];

    /// Returns the state as the database keeps it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::InDoubt => "in_doubt",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Suppressed => "suppressed",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing more happens to it by itself: exactly then `finished_at` is set.
    ///
    /// Some can be reopened: a bounce fails what was sent, ops retry what failed, and what was suppressed comes back when the
    /// suppression is lifted. In doubt is not final, though under `hold` it waits for ops.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Sending | Self::InDoubt => false,
            Self::Sent | Self::Failed | Self::Cancelled | Self::Suppressed => true,
        }
    }

    /// Returns the state as a sentence names it.
    const fn in_words(self) -> &'static str {
        match self {
            Self::InDoubt => "in doubt",
            Self::Queued | Self::Sending | Self::Sent | Self::Failed | Self::Cancelled | Self::Suppressed => self.as_str(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// Returns the event that a reply's verdict is for its delivery. `bare_seen_at` is when a bare refusal of the address was first
    /// seen: two of them, a day apart, suppress it.
    ///
    /// [`Verdict::Accepted`] means the reply to the final dot; to any earlier stage it is no event.
    pub fn of(now: Timestamp, verdict: Verdict, bare_seen_at: Option<Timestamp>) -> Self {
        match verdict {
            Verdict::Accepted => Self::Accepted,
            Verdict::Transient => Self::Transient,
            Verdict::Relay => Self::RelayFault,
            Verdict::Address { suppress, bare } => Self::AddressFault {
                suppress: suppress || (bare && reply::is_second_bare_refusal(now, bare_seen_at)),
            },
            Verdict::Message => Self::MessageFault,
        }
    }

    /// Says what happens, in the words of the reference page.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Claimed => "a claim",
            Self::Released => "a release by its worker",
            Self::Accepted => "250 after the final dot",
            Self::Transient => "4xx, connect error or time-out before the final dot",
            Self::RelayFault => "a fault of the relay",
            Self::Postponed { .. } => "a wait for a relay or for the pace",
            Self::AddressFault { .. } => "5xx at RCPT",
            Self::MessageFault => "5xx to DATA or the final dot",
            Self::ReplyLost => "a lost reply to the final dot",
            Self::WorkerDied { .. } => "its worker's death",
            Self::DoubtOver => "the end of `resend_after`",
            Self::DsnDelivered => "a bounce that says delivered, relayed or expanded",
            Self::DsnFailed { .. } => "a bounce that says failed",
            Self::DsnPending => "a bounce that says delayed, or failed with 4.x.x",
            Self::NothingLeft => "nothing left to say when it was rendered",
            Self::SubjectClosed => "its lead answered, expired or erased",
            Self::AddressSuppressed => "a suppression of its address",
            Self::AddressSilenced => "an opt-out of its address",
            Self::SuppressionLifted { .. } => "a lifted suppression",
            Self::OpsRetry => "a retry by ops",
            Self::OpsCancel => "a cancellation by ops",
        }
    }
}

/// Why a text is not a setting of [`InDoubt`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of resend, hold")]
pub struct NotInDoubt(pub String);

impl FromStr for InDoubt {
    type Err = NotInDoubt;

    fn from_str(text: &str) -> Result<Self, NotInDoubt> {
        match text {
            "resend" => Ok(Self::Resend),
            "hold" => Ok(Self::Hold),
            other => Err(NotInDoubt(other.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting: Vec<_> = State::ALL
            .into_iter()
            .filter(|state| takes(*state, self.event))
            .map(State::in_words)
            .collect();
        let (state, event) = (self.state.in_words(), self.event.describe());
        write!(
            f,
            "the delivery is {state}; {event} wants one that is {}",
            reference::any_of(&fitting)
        )
    }
}

/// Whether a state takes an event at all, under the default settings.
fn takes(state: State, event: Event) -> bool {
    next(Timestamp::default(), state, event, &example(&Retry::default())).is_ok()
}

/// A delivery that was never tried, under the default settings.
pub(super) fn example(retry: &Retry) -> Facts<'_> {
    Facts {
        n_attempts: 0,
        first_due_at: Timestamp::default(),
        is_resent: false,
        jitter: 0.5,
        in_doubt: InDoubt::Resend,
        retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("the tests write instants in RFC 3339")
    }

    #[track_caller]
    fn after(state: State, event: Event, facts: &Facts<'_>) -> Next {
        next(at("2026-03-02T12:00:00Z"), state, event, facts).expect("the tests ask for what is taken")
    }

    fn facts(retry: &Retry) -> Facts<'_> {
        Facts {
            first_due_at: at("2026-03-02T11:00:00Z"),
            ..example(retry)
        }
    }

    #[test]
    fn a_transient_refusal_waits_longer_each_time_until_it_is_given_up() {
        let retry = Retry::default();
        let cases = [
            (0, "2026-03-02T11:00:00Z", State::Queued, Due::At(at("2026-03-02T12:01:00Z"))),
            (3, "2026-03-02T11:00:00Z", State::Queued, Due::At(at("2026-03-02T12:08:00Z"))),
            (99, "2026-03-02T11:00:00Z", State::Queued, Due::At(at("2026-03-02T13:00:00Z"))),
            (99, "2026-02-28T12:00:00.001Z", State::Queued, Due::At(at("2026-03-02T13:00:00Z"))),
            (99, "2026-02-28T12:00:00.000Z", State::Failed, Due::Never),
        ];
        for (n_attempts, first, state, due) in cases {
            let next = after(
                State::Sending,
                Event::Transient,
                &Facts {
                    n_attempts,
                    first_due_at: at(first),
                    ..facts(&retry)
                },
            );
            assert_eq!(
                (next.state, next.due, next.is_attempt),
                (state, due, true),
                "{n_attempts} attempts since {first}"
            );
        }
    }

    #[test]
    fn a_fault_of_the_relay_is_no_attempt_and_is_never_given_up() {
        let retry = Retry::default();
        let next = after(
            State::Sending,
            Event::RelayFault,
            &Facts {
                first_due_at: at("2025-01-01T00:00:00Z"),
                ..facts(&retry)
            },
        );
        assert_eq!((next.state, next.due), (State::Queued, Due::At(at("2026-03-02T12:00:05Z"))));
        assert!(next.opens_circuit && !next.is_attempt);
    }

    #[test]
    fn a_mail_in_doubt_is_sent_again_once() {
        let retry = Retry {
            resend_after: Duration::from_secs(900),
            ..Retry::default()
        };
        let first = facts(&retry);
        let lost = after(State::Sending, Event::ReplyLost, &first);
        assert_eq!((lost.state, lost.due), (State::InDoubt, Due::At(at("2026-03-02T12:15:00Z"))));
        let again = after(State::InDoubt, Event::DoubtOver, &first);
        assert!(again.state == State::Queued && again.is_repeat);
        let resent = Facts { is_resent: true, ..first };
        let lost_again = after(State::Sending, Event::ReplyLost, &resent);
        assert_eq!((lost_again.state, lost_again.due), (State::InDoubt, Due::Never));
        assert!(next(at("2026-03-02T12:30:00Z"), State::InDoubt, Event::DoubtOver, &resent).is_err());
    }

    /// Whatever brings a delivery back to the queue from a state in which the relay may have it notes that the next mail may be a repeat.
    #[test]
    fn nothing_that_may_have_been_accepted_is_sent_again_without_a_note() {
        let retry = Retry::default();
        for (event, when, now, facts) in reference::delivery_cases(&retry) {
            if let Ok(next) = next(now, State::InDoubt, event, &facts) {
                assert!(next.state != State::Queued || next.is_repeat, "{event:?} {when}");
            }
        }
        for in_doubt in [InDoubt::Resend, InDoubt::Hold] {
            let died = after(
                State::Sending,
                Event::WorkerDied { handed_over: true },
                &Facts { in_doubt, ..facts(&retry) },
            );
            assert!(died.state == State::InDoubt || died.is_repeat, "{in_doubt:?}");
        }
    }

    /// R-RECIPIENT: an address that fails for good has its notice resolved once more, and never twice for one failure.
    #[test]
    fn a_notice_is_resolved_again_exactly_when_its_delivery_leaves_for_a_bad_address() {
        let retry = Retry::default();
        for (event, when, now, facts) in reference::delivery_cases(&retry) {
            for state in State::ALL {
                let Ok(next) = next(now, state, event, &facts) else { continue };
                let is_of_address = matches!(
                    event,
                    Event::AddressFault { .. } | Event::DsnFailed { .. } | Event::AddressSuppressed
                );
                assert_eq!(
                    next.resolves_again,
                    is_of_address && !next.is_unchanged(),
                    "{state} {event:?} {when}"
                );
                assert!(!next.is_unchanged() || next.state == state, "{state} {event:?} {when}");
                let is_due = matches!(next.due, Due::At(_));
                assert!(!next.state.is_final() || !is_due, "{state} {event:?} {when}: final, and due");
                assert!(
                    next.state != State::Queued || is_due || next.is_unchanged(),
                    "{state} {event:?} {when}: queued, and not due"
                );
            }
        }
    }

    /// R-RECIPIENT: a bare refusal suppresses at the second time, a day apart.
    #[test]
    fn a_verdict_becomes_the_event_of_its_delivery() {
        let now = at("2026-03-02T12:00:00Z");
        let bare = Verdict::Address {
            suppress: false,
            bare: true,
        };
        for (verdict, seen, expected) in [
            (Verdict::Accepted, None, Event::Accepted),
            (Verdict::Transient, None, Event::Transient),
            (Verdict::Relay, None, Event::RelayFault),
            (Verdict::Message, None, Event::MessageFault),
            (
                Verdict::Address {
                    suppress: true,
                    bare: false,
                },
                None,
                Event::AddressFault { suppress: true },
            ),
            (bare, None, Event::AddressFault { suppress: false }),
            (bare, Some("2026-03-02T11:00:00Z"), Event::AddressFault { suppress: false }),
            (bare, Some("2026-03-01T12:00:00Z"), Event::AddressFault { suppress: true }),
        ] {
            assert_eq!(Event::of(now, verdict, seen.map(at)), expected, "{verdict:?} seen {seen:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_state_in_the_way_and_those_that_are_not() {
        let retry = Retry::default();
        let refusal = |state, event| next(Timestamp::default(), state, event, &facts(&retry)).map_err(|refused| refused.to_string());
        assert_eq!(
            refusal(State::Sent, Event::OpsRetry),
            Err("the delivery is sent; a retry by ops wants one that is queued, in doubt or failed".to_owned())
        );
        assert_eq!(
            refusal(State::Failed, Event::DoubtOver),
            Err("the delivery is failed; the end of `resend_after` wants one that is in doubt".to_owned())
        );
    }

    #[test]
    fn states_and_settings_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("in doubt"), None);
        assert_eq!("hold".parse(), Ok(InDoubt::Hold));
        assert_eq!("resend".parse(), Ok(InDoubt::default()));
        assert_eq!(
            "Hold".parse::<InDoubt>().map_err(|e| e.to_string()),
            Err("\"Hold\" is not one of resend, hold".to_owned())
        );
    }
}
