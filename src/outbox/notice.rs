//! What becomes of a notice: that somebody is to be told something, before and after it has addresses (architecture, decision 2).
//!
//! ```text
//!            partner changed
//!        ┌────────────────────┐
//!        v                    │
//!     pending ── no address ─> parked        pending, parked ── subject closed ─> cancelled
//!      │  ^ └─── nobody left after a hard failure ─> undeliverable
//!      v  │ hard failure of one of its deliveries
//!     done
//! ```
//!
//! A claim resolves a pending notice and finishes it in one transaction, so that there is no state "claimed".
//! A hard failure reopens its notice once; as each resolution can only reach addresses that this notice has not tried, that ends.

use std::fmt;

use crate::outbox::reference;

/// Where a notice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Is resolved when it is due.
    Pending,
    /// Unroutable: nobody has an address. Due again when the partner changes.
    Parked,
    /// Each of its addresses has its delivery, or is silenced, or there is nothing left to say.
    Done,
    /// Its subject closed before anybody was told, or ops took it back.
    Cancelled,
    /// Its addresses failed for good, and there is no other one.
    Undeliverable,
}

/// What happens to a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A claim found addresses. `n_new` of them got a delivery; the others, if this is a later resolution, have theirs in play.
    Resolved {
        /// Deliveries that the claim made.
        n_new: u32,
    },
    /// A claim found none but silenced addresses (`R-RECIPIENT`): they do not fall through.
    OnlySilenced,
    /// A claim found nothing to say: no lead of a digest, reminder or expiry is left.
    NothingLeft,
    /// A claim found no address, and none of this notice's ever failed.
    Unroutable,
    /// A claim after a hard failure found no address that this notice has not tried.
    NobodyLeft,
    /// The partner's record, an opt-out or a suppression of its addresses changed.
    PartnerChanged,
    /// The address of one of its deliveries failed for good, or was suppressed before it was sent.
    HardFailure,
    /// One of its deliveries was put back into the queue: a suppression was lifted, or ops retry it.
    DeliveryReopened,
    /// Its lead was answered, has expired or was erased. Not raised for what is gathered: that is rendered from what is left.
    SubjectClosed,
    /// Ops want it resolved now.
    OpsRetry,
    /// Ops do not want it any more.
    OpsCancel,
}

/// Why an event does not happen to a notice in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// The state that is in the way.
    pub state: State,
    /// What was to happen.
    pub event: Event,
}

/// Says what becomes of a notice in `state` when `event` happens to it; the same state where it makes no difference.
///
/// # Errors
/// [`Refused`] where the event cannot happen: a second outcome of a claim, or a wish of ops that comes too late.
pub fn next(state: State, event: Event) -> Result<State, Refused> {
    let refused = Err(Refused { state, event });
    match (state, event) {
        (State::Pending, Event::Resolved { .. } | Event::OnlySilenced | Event::NothingLeft) => Ok(State::Done),
        (State::Pending, Event::Unroutable) => Ok(State::Parked),
        (State::Pending, Event::NobodyLeft) => Ok(State::Undeliverable),
        (State::Pending, Event::SubjectClosed | Event::OpsCancel) => Ok(State::Cancelled),
        // It will be resolved anyway, and finds what changed.
        (State::Pending, Event::PartnerChanged | Event::HardFailure | Event::DeliveryReopened | Event::OpsRetry) => Ok(State::Pending),

        (State::Parked, Event::PartnerChanged | Event::OpsRetry) => Ok(State::Pending),
        (State::Parked, Event::SubjectClosed | Event::OpsCancel) => Ok(State::Cancelled),
        // It has no deliveries that could fail or come back.
        (State::Parked, Event::HardFailure | Event::DeliveryReopened) => refused,

        (State::Done, Event::HardFailure) => Ok(State::Pending),
        // What was told stays told; only a hard failure resolves again.
        (State::Done, Event::PartnerChanged | Event::DeliveryReopened | Event::SubjectClosed) => Ok(State::Done),
        (State::Done, Event::OpsRetry | Event::OpsCancel) => refused,

        // Nobody is to be told any more, whatever becomes of a delivery that was under way.
        (State::Cancelled, Event::PartnerChanged | Event::HardFailure | Event::SubjectClosed) => Ok(State::Cancelled),
        (State::Cancelled, Event::DeliveryReopened | Event::OpsRetry | Event::OpsCancel) => refused,

        (State::Undeliverable, Event::DeliveryReopened) => Ok(State::Done),
        (State::Undeliverable, Event::OpsRetry) => Ok(State::Pending),
        (State::Undeliverable, Event::OpsCancel) => Ok(State::Cancelled),
        // A late bounce adds nothing; that nobody was told stays on record, though the lead is closed now.
        (State::Undeliverable, Event::PartnerChanged | Event::HardFailure | Event::SubjectClosed) => Ok(State::Undeliverable),

        // Another worker's claim, or this one's second: it was not pending when it was resolved.
        (
            State::Parked | State::Done | State::Cancelled | State::Undeliverable,
            Event::Resolved { .. } | Event::OnlySilenced | Event::NothingLeft | Event::Unroutable | Event::NobodyLeft,
        ) => refused,
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Parked, Self::Done, Self::Cancelled, Self::Undeliverable];

    /// Returns the state as the database keeps it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Undeliverable => "undeliverable",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing is to be done for it: exactly then `finished_at` is set. A hard failure may reopen one that is done.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Parked => false,
            Self::Done | Self::Cancelled | Self::Undeliverable => true,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// Every event, once.
    pub const ALL: [Self; 11] = [
        Self::Resolved { n_new: 1 },
        Self::OnlySilenced,
        Self::NothingLeft,
        Self::Unroutable,
        Self::NobodyLeft,
        Self::PartnerChanged,
        Self::HardFailure,
        Self::DeliveryReopened,
        Self::SubjectClosed,
        Self::OpsRetry,
        Self::OpsCancel,
    ];

    /// Says what happens, in the words of the reference page.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Resolved { .. } => "a claim that found addresses",
            Self::OnlySilenced => "a claim that found only silenced addresses",
            Self::NothingLeft => "a claim that found nothing left to say",
            Self::Unroutable => "a claim that found no address",
            Self::NobodyLeft => "a claim that found no other address after a hard failure",
            Self::PartnerChanged => "a change of the partner, an opt-out or a suppression",
            Self::HardFailure => "a hard failure of one of its addresses",
            Self::DeliveryReopened => "a delivery put back into the queue",
            Self::SubjectClosed => "its lead answered, expired or erased",
            Self::OpsRetry => "a retry by ops",
            Self::OpsCancel => "a cancellation by ops",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting: Vec<_> = State::ALL
            .into_iter()
            .filter(|state| next(*state, self.event).is_ok())
            .map(State::as_str)
            .collect();
        write!(
            f,
            "the notice is {}; {} wants one that is {}",
            self.state,
            self.event.describe(),
            reference::any_of(&fitting)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-RECIPIENT: a hard failure resolves once more, and who has no other address is undeliverable.
    #[test]
    fn a_notice_whose_address_fails_is_told_to_the_next_or_shown_to_ops() {
        let events = |events: &[Event]| events.iter().try_fold(State::Pending, |state, event| next(state, *event));
        let resolved = Event::Resolved { n_new: 1 };
        assert_eq!(events(&[resolved]), Ok(State::Done));
        assert_eq!(
            events(&[resolved, Event::HardFailure, resolved, Event::HardFailure, Event::NobodyLeft]),
            Ok(State::Undeliverable)
        );
        assert_eq!(
            events(&[Event::Unroutable, Event::PartnerChanged, resolved, Event::SubjectClosed]),
            Ok(State::Done)
        );
        assert_eq!(events(&[Event::Unroutable, Event::SubjectClosed]), Ok(State::Cancelled));
        assert_eq!(events(&[resolved, Event::HardFailure, Event::SubjectClosed]), Ok(State::Cancelled));
        assert_eq!(events(&[Event::NobodyLeft, Event::DeliveryReopened]), Ok(State::Done));
    }

    #[test]
    fn a_refusal_names_the_state_in_the_way_and_those_that_are_not() {
        assert_eq!(
            next(State::Done, Event::OpsRetry).map_err(|refused| refused.to_string()),
            Err("the notice is done; a retry by ops wants one that is pending, parked or undeliverable".to_owned())
        );
    }

    /// A claim's outcome is recorded once: whatever it becomes, a second outcome is refused.
    #[test]
    fn only_a_pending_notice_takes_the_outcome_of_a_claim() {
        for event in [
            Event::Resolved { n_new: 0 },
            Event::OnlySilenced,
            Event::NothingLeft,
            Event::Unroutable,
            Event::NobodyLeft,
        ] {
            let after = next(State::Pending, event).expect("a pending notice takes the outcome of a claim");
            assert!(Event::ALL[..5].iter().all(|second| next(after, *second).is_err()), "{event:?}");
        }
    }

    #[test]
    fn a_state_reads_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("Done"), None);
    }
}
