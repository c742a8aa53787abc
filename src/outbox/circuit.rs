//! Whether a relay is asked, left alone, or tried by one mail: a circuit for each relay and worker.
//!
//! ```text
//!            refuses us, is out of reach, or answers nearly nobody
//!   closed ─────────────────────────────────────────────────────────> open
//!     ^                                                              │   ^
//!     │                                             pause over, one mail │ the same again: twice the pause
//!     │                       it serves                              v   │
//!     └────────────────────────────────────────────────────────── half open
//! ```
//!
//! In: what a relay's answers say of the relay itself, and `now`. Out: whether a mail may go to it.
//!
//! **Invariants:** a relay is never left alone for longer than [`PAUSE_MAX`] without a mail trying it, whatever the clock does; what says something of a
//! recipient, a message or a greylist alone opens no circuit.
//! **Not here:** which relay a mail takes (`delivery::relays`), what becomes of a mail (`delivery`).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::time::Timestamp;

/// The first pause: about as long as a mail server takes to restart.
pub const PAUSE_FIRST: Duration = Duration::from_secs(5);
/// The longest pause: what was repaired is found within it, and a relay that is away for a day is asked 288 times.
pub const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How long one mail tries a relay before another one may, too: a relay that takes minutes for a mail is slow, not away.
pub const PROBE_MAX: Duration = Duration::from_secs(60);
/// Troubles of the relay itself, one after the other, that open its circuit: a connection that breaks is an accident, three are none.
pub const TROUBLES: usize = 3;
/// The answers that are looked back at. Few, since each refused recipient among them has failed for good before it shows that it was the relay's fault.
pub const LAST: usize = 10;
/// How many of them are "nearly all".
pub const NEARLY_ALL: usize = 9;
/// For how many domains they have to be: one domain that greylists, or whose partner has left, says nothing of the relay.
pub const DOMAINS: usize = 5;

/// Whether a relay is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// It is.
    #[default]
    Closed,
    /// It is left alone.
    Open(Open),
    /// One mail tries it.
    HalfOpen(Open),
}

/// Since when and why a relay is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// Since when, through all tries.
    pub since: Timestamp,
    /// Why.
    pub cause: Cause,
    /// From when on a mail may try it (half open: a further one).
    pub until: Timestamp,
    /// How often it was tried in vain.
    pub n_tries: u32,
}

/// Why a circuit is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It refuses us, or cannot be used as it is set up: people have to repair that.
    Refuses,
    /// It cannot be reached, or does not answer.
    Away,
    /// It puts off or refuses nearly everything.
    Storm,
}

/// What happens to a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A mail wants to go.
    Asked,
    /// The mail that tried it ended before the relay had to say anything to it.
    Dropped,
    /// It took a mail, or said something of a recipient or a message.
    Served,
    /// It refuses us.
    Refused,
    /// There is no connection to it, and none is to be had.
    Unreached,
    /// It put a mail off, fell silent, cut a connection or refused a recipient.
    Trouble {
        /// Whether that says something of the relay itself, whatever the recipient.
        is_of_relay: bool,
        /// Whether it is the last of too many.
        is_too_much: bool,
    },
}

/// Says what becomes of a circuit.
pub fn next(now: Timestamp, state: State, event: Event) -> State {
    match (state, event) {
        (State::Closed, Event::Refused) => State::opened(now, Cause::Refuses),
        (State::Closed, Event::Unreached) => State::opened(now, Cause::Away),
        (State::Closed, Event::Trouble { is_too_much: true, .. }) => State::opened(now, Cause::Storm),
        (State::Closed, Event::Asked | Event::Dropped | Event::Served | Event::Trouble { is_too_much: false, .. }) => State::Closed,
        (State::Open(open), Event::Asked) if is_over(now, open.until) => State::HalfOpen(Open {
            until: now.plus(PROBE_MAX),
            ..open
        }),
        // What was under way when it opened, whichever way it ends, is older than what opened it; the next try is seconds away.
        (State::Open(open), Event::Asked | Event::Dropped | Event::Served | Event::Refused | Event::Unreached | Event::Trouble { .. }) => {
            State::Open(open)
        }
        (State::HalfOpen(_), Event::Served) => State::Closed,
        (State::HalfOpen(open), Event::Refused) => State::reopened(now, open, Cause::Refuses),
        (State::HalfOpen(open), Event::Unreached) => State::reopened(now, open, Cause::Away),
        (State::HalfOpen(open), Event::Trouble { is_of_relay: true, .. }) => State::reopened(now, open, open.cause),
        // Not the same again: a relay that was away and now greylists is back.
        (State::HalfOpen(open), Event::Trouble { is_of_relay: false, .. }) => match open.cause {
            Cause::Storm => State::reopened(now, open, Cause::Storm),
            Cause::Refuses | Cause::Away => State::Closed,
        },
        (State::HalfOpen(open), Event::Dropped) => State::Open(Open { until: now, ..open }),
        (State::HalfOpen(open), Event::Asked) if is_over(now, open.until) => State::HalfOpen(Open {
            until: now.plus(PROBE_MAX),
            ..open
        }),
        (State::HalfOpen(open), Event::Asked) => State::HalfOpen(open),
    }
}

/// Whether a wait is over; one that is longer than any that is ever set is the mark of a clock that was set back.
fn is_over(now: Timestamp, until: Timestamp) -> bool {
    until <= now || until.since(now) > PAUSE_MAX
}

/// Returns the pause after so many tries in vain: 5 s, 10 s, 20 s, … 5 min.
pub fn pause(n_tries: u32) -> Duration {
    let factor = 2_u32.checked_pow(n_tries).unwrap_or(u32::MAX);
    PAUSE_FIRST.checked_mul(factor).map_or(PAUSE_MAX, |pause| pause.min(PAUSE_MAX))
}

impl State {
    fn opened(now: Timestamp, cause: Cause) -> Self {
        Self::Open(Open {
            since: now,
            cause,
            until: now.plus(pause(0)),
            n_tries: 0,
        })
    }

    fn reopened(now: Timestamp, open: Open, cause: Cause) -> Self {
        let n_tries = open.n_tries.saturating_add(1);
        Self::Open(Open {
            since: open.since,
            cause,
            until: now.plus(pause(n_tries)),
            n_tries,
        })
    }

    /// Returns the state as the database and the API name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen(_) => "half_open",
        }
    }

    /// Returns since when and why it is not closed.
    pub const fn open(self) -> Option<Open> {
        match self {
            Self::Closed => None,
            Self::Open(open) | Self::HalfOpen(open) => Some(open),
        }
    }
}

impl Cause {
    /// Whether a mail that waits for the relay is given up in the end: what people have to repair is waited for.
    pub const fn gives_up(self) -> bool {
        match self {
            Self::Refuses => false,
            Self::Away | Self::Storm => true,
        }
    }

    /// Says what the relay does, as a sentence about it ends.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Refuses => "refuses posthorn",
            Self::Away => "cannot be reached",
            Self::Storm => "puts off or refuses nearly all mails",
        }
    }

    /// Returns the cause as logs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::Away => "away",
            Self::Storm => "storm",
        }
    }
}

impl Event {
    /// Every event, once for each case that makes a difference.
    pub const ALL: [Self; 8] = [
        Self::Asked,
        Self::Dropped,
        Self::Served,
        Self::Refused,
        Self::Unreached,
        Self::Trouble {
            is_of_relay: true,
            is_too_much: false,
        },
        Self::Trouble {
            is_of_relay: false,
            is_too_much: false,
        },
        Self::Trouble {
            is_of_relay: false,
            is_too_much: true,
        },
    ];

    /// Says what happens, in the words of the reference page.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Asked => "a mail that wants to go",
            Self::Dropped => "the end of the try before an answer",
            Self::Served => "a mail taken, or something said of its recipient or message",
            Self::Refused => "5xx at connect, EHLO, STARTTLS, AUTH or MAIL; bad certificate; STARTTLS or AUTH missing",
            Self::Unreached => "no connection to be had, and none open",
            Self::Trouble { is_too_much: true, .. } => "the last of too many: 3 of the relay itself in a row, or 9 of 10 for 5 domains",
            Self::Trouble { is_of_relay: true, .. } => "421, 4xx before RCPT, a cut or a silence",
            Self::Trouble { is_of_relay: false, .. } => "4xx from RCPT on, or 5xx at RCPT that names no dead address",
        }
    }
}

/// What an answer of a relay says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took a mail, or said something of a recipient or a message.
    Served,
    /// It refuses us.
    Refused,
    /// There is no connection to it.
    Unreached,
    /// It put a mail off, fell silent or cut a connection, whatever the recipient.
    Troubled,
    /// It put off, or refused, a recipient of this domain.
    TroubledFor(String),
}

/// A relay's circuit, and the last answers by which it opens.
#[derive(Clone, Debug, Default)]
pub struct Circuit {
    state: State,
    last: VecDeque<Answer>,
}

impl Circuit {
    /// Returns how it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether a mail may go now; one that does so has to [`ask`](Self::ask).
    pub fn may_ask(&self, now: Timestamp) -> bool {
        match self.state {
            State::Closed => true,
            State::Open(open) | State::HalfOpen(open) => is_over(now, open.until),
        }
    }

    /// Lets a mail go; returns whether it is the one that tries a relay which was left alone.
    pub fn ask(&mut self, now: Timestamp) -> bool {
        self.state = next(now, self.state, Event::Asked);
        matches!(self.state, State::HalfOpen(_))
    }

    /// Takes back a try that came to nothing: the relay was not asked after all.
    pub fn drop_try(&mut self, now: Timestamp) {
        self.state = next(now, self.state, Event::Dropped);
    }

    /// Takes in what the relay answered; returns whether the circuit's state is another one now.
    pub fn hear(&mut self, now: Timestamp, answer: Answer) -> bool {
        let before = self.state;
        let event = self.event(&answer);
        self.state = next(now, before, event);
        if self.state == before {
            if self.last.len() == LAST {
                self.last.pop_front();
            }
            self.last.push_back(answer);
        } else {
            self.last.clear();
        }
        self.state != before
    }

    fn event(&self, answer: &Answer) -> Event {
        let is_of_relay = match answer {
            Answer::Served => return Event::Served,
            Answer::Refused => return Event::Refused,
            Answer::Unreached => return Event::Unreached,
            Answer::Troubled => true,
            Answer::TroubledFor(_) => false,
        };
        Event::Trouble {
            is_of_relay,
            is_too_much: self.is_too_much(answer),
        }
    }

    /// Whether `answer` and those before it are too much to be about mails.
    fn is_too_much(&self, answer: &Answer) -> bool {
        let latest = || std::iter::once(answer).chain(self.last.iter().rev()).take(LAST);
        if latest().take_while(|one| **one == Answer::Troubled).count() >= TROUBLES {
            return true;
        }
        let n_troubles = latest()
            .filter(|one| matches!(one, Answer::Troubled | Answer::TroubledFor(_)))
            .count();
        let domains: BTreeSet<&String> = latest()
            .filter_map(|one| match one {
                Answer::TroubledFor(domain) => Some(domain),
                Answer::Served | Answer::Refused | Answer::Unreached | Answer::Troubled => None,
            })
            .collect();
        n_troubles >= NEARLY_ALL && domains.len() >= DOMAINS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_772_000_000_000 + seconds * 1000)
    }

    fn troubled_for(n: usize) -> Answer {
        Answer::TroubledFor(format!("d{n}.example"))
    }

    /// Hears answers, and tells after which one the circuit was open.
    fn opens_after(answers: impl IntoIterator<Item = Answer>) -> Option<usize> {
        let mut circuit = Circuit::default();
        answers.into_iter().position(|answer| circuit.hear(at(0), answer)).map(|n| n + 1)
    }

    #[test]
    fn a_refusal_and_a_relay_out_of_reach_open_at_once_and_troubles_when_they_are_too_many() {
        use Answer::{Refused, Served, Troubled, Unreached};
        assert_eq!(opens_after([Refused]), Some(1));
        assert_eq!(opens_after([Served, Unreached]), Some(2));
        assert_eq!(opens_after([Troubled, Troubled, Troubled]), Some(3));
        assert_eq!(opens_after([Troubled, Troubled, Served, Troubled, Troubled]), None);
        // A greylist puts off whom it does not know, whoever relays it.
        assert_eq!(opens_after(vec![troubled_for(1); 50]), None, "one domain");
        assert_eq!(opens_after((0..50).map(|n| troubled_for(n % (DOMAINS - 1)))), None, "four domains");
        assert_eq!(opens_after((0..50).map(troubled_for)), Some(NEARLY_ALL), "different domains");
        let one_in_three = (0..60).map(|n| if n % 3 == 0 { Served } else { troubled_for(n) });
        assert_eq!(opens_after(one_in_three), None);
        let one_in_ten = (0..20).map(|n| if n % 10 == 4 { Served } else { troubled_for(n) });
        assert_eq!(opens_after(one_in_ten), Some(10), "nearly all");
    }

    #[test]
    fn one_mail_tries_it_after_a_pause_that_grows_and_closes_it_when_served() {
        let mut circuit = Circuit::default();
        assert!(circuit.hear(at(0), Answer::Refused));
        assert!(!circuit.may_ask(Timestamp::from_millis(at(5).as_millis() - 1)));
        assert!(circuit.may_ask(at(5)) && circuit.ask(at(5)));
        assert!(!circuit.may_ask(at(6)), "one mail");
        assert!(circuit.hear(at(6), Answer::Refused));
        assert!(!circuit.may_ask(at(15)) && circuit.may_ask(at(16)), "twice the pause");
        assert!(circuit.ask(at(16)));
        circuit.drop_try(at(17));
        assert!(circuit.may_ask(at(17)) && circuit.ask(at(17)), "it was not asked after all");
        assert_eq!(circuit.state().open().map(|open| open.since), Some(at(0)));
        assert!(circuit.hear(at(18), Answer::Served));
        assert!(circuit.may_ask(at(18)) && !circuit.ask(at(18)), "no try");
        assert_eq!(
            [0, 1, 2, 5, 6, 60, u32::MAX].map(|n| pause(n).as_secs()),
            [5, 10, 20, 160, 300, 300, 300]
        );
    }

    #[test]
    fn what_tries_a_relay_says_whether_it_is_the_same_again() {
        for (cause, answer, expected) in [
            (Answer::Refused, troubled_for(1), "closed"),
            (Answer::Unreached, troubled_for(1), "closed"),
            (Answer::Unreached, Answer::Troubled, "open"),
            (Answer::Refused, Answer::Unreached, "open"),
        ] {
            let mut circuit = Circuit::default();
            circuit.hear(at(0), cause.clone());
            circuit.ask(at(5));
            circuit.hear(at(6), answer.clone());
            assert_eq!(circuit.state().as_str(), expected, "{cause:?}, then {answer:?}");
        }
        let mut circuit = Circuit::default();
        (0..NEARLY_ALL).for_each(|n| _ = circuit.hear(at(0), troubled_for(n)));
        circuit.ask(at(5));
        circuit.hear(at(6), troubled_for(99));
        assert_eq!(circuit.state().as_str(), "open", "a storm goes on");
    }

    fn any_answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            3 => Just(Answer::Served),
            1 => Just(Answer::Refused),
            1 => Just(Answer::Unreached),
            2 => Just(Answer::Troubled),
            4 => (0_usize..8).prop_map(troubled_for),
        ]
    }

    proptest! {
        /// Whatever was heard, and however the clock was set: within the longest pause a mail may go, and if it is served the relay is asked again.
        #[test]
        fn a_relay_is_never_left_alone_for_good(
            steps in proptest::collection::vec((any_answer(), -100_000_i64..100_000, any::<bool>()), 0..60),
            now in -1_000_000_i64..1_000_000,
        ) {
            let mut circuit = Circuit::default();
            for (answer, when, asks) in steps {
                if asks && circuit.may_ask(at(when)) {
                    circuit.ask(at(when));
                }
                circuit.hear(at(when), answer);
                prop_assert!(circuit.last.len() <= LAST);
            }
            let later = at(now).plus(PAUSE_MAX);
            prop_assert!(circuit.may_ask(at(now)) || circuit.may_ask(later));
            let then = if circuit.may_ask(at(now)) { at(now) } else { later };
            circuit.ask(then);
            circuit.hear(then, Answer::Served);
            prop_assert_eq!(circuit.state(), State::Closed);
        }

        /// Only one mail tries at a time.
        #[test]
        fn while_a_mail_tries_no_other_may(answer in any_answer(), wait_ms in 0_i64..60_000) {
            let mut circuit = Circuit::default();
            circuit.hear(at(0), Answer::Refused);
            circuit.hear(at(0), answer);
            prop_assert!(circuit.ask(at(5)));
            prop_assert!(!circuit.may_ask(Timestamp::from_millis(at(5).as_millis() + wait_ms)));
        }
    }
}
