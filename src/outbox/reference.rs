//! Renders the state machines of notices and deliveries as reference pages, by asking them about each pair.
//!
//! `cargo xtask reference` writes the pages, `tests/reference.rs` compares them.

use std::fmt::Write as _;
use std::time::Duration;

use crate::outbox::circuit;
use crate::outbox::delivery::{self, Due, Event, Facts, InDoubt, Next, State};
use crate::outbox::notice;
use crate::outbox::retry::Retry;
use crate::time::Timestamp;

/// Renders the reference page `docs/reference/delivery-states.md`.
pub fn delivery_states() -> String {
    let retry = Retry::default();
    let header: Vec<_> = std::iter::once("event").chain(State::ALL.map(State::as_str)).collect();
    let rows = delivery_cases(&retry).into_iter().map(|(event, when, now, facts)| {
        let label = if when.is_empty() {
            event.describe().to_owned()
        } else {
            format!("{}: {when}", event.describe())
        };
        let cells = State::ALL.map(|state| match delivery::next(now, state, event, &facts) {
            Ok(after) => delivery_cell(now, state, &after, &retry),
            Err(_) => "–".to_owned(),
        });
        std::iter::once(label).chain(cells).collect()
    });
    format!(
        "# States of a delivery\n\n\
         <!-- Generated from src/outbox/delivery.rs by `cargo xtask reference`; do not edit. -->\n\n\
         A delivery is one message of a notice to one address. A delivery made by a claim begins as sending.\n\n\
         | state | meaning |\n|---|---|\n\
         | queued | is sent when it is due |\n\
         | sending | a worker has it, under a lease |\n\
         | in_doubt | handed over, and no reply came: the relay may have it |\n\
         | sent | the relay has taken it |\n\
         | failed | refused for good, or given up |\n\
         | cancelled | not wanted any more before it was sent |\n\
         | suppressed | its address was suppressed before it was sent |\n\n\
         What becomes of a delivery in a state when an event happens to it; `–` means that the event is refused.\n\
         *counted*: the attempt counts towards the next wait. *anew*: `give_up_after` begins anew. *suppress*: the address is suppressed.\n\
         *resolve*: the notice is resolved once more. *repeat*: the next mail may be a repeat, with the same Message-ID.\n\
         *circuit*: the relay is left alone for a while.\n\n{}",
        table(&header, rows)
    )
}

pub(super) type DeliveryCase<'a> = (Event, &'static str, Timestamp, Facts<'a>);

/// Lists each event of a delivery, once for each case that makes a difference, with an instant and what is known.
pub(super) fn delivery_cases(retry: &Retry) -> Vec<DeliveryCase<'_>> {
    let resend = delivery::example(retry);
    let (hold, resent) = (
        Facts {
            in_doubt: InDoubt::Hold,
            ..resend
        },
        Facts { is_resent: true, ..resend },
    );
    let now = resend.first_due_at;
    let given_up = now.plus(retry.give_up_after);
    vec![
        (Event::Claimed, "", now, resend),
        (Event::Released, "", now, resend),
        (Event::Accepted, "", now, resend),
        (Event::Transient, "within `give_up_after`", now, resend),
        (Event::Transient, "past `give_up_after`", given_up, resend),
        (Event::RelayFault, "", now, resend),
        (
            postponed(now, true),
            "within `give_up_after`, or until people repair a relay",
            now,
            resend,
        ),
        (postponed(given_up, true), "past `give_up_after`", given_up, resend),
        (Event::AddressFault { suppress: true }, "the address is dead", now, resend),
        (Event::AddressFault { suppress: false }, "any other", now, resend),
        (Event::MessageFault, "", now, resend),
        (Event::ReplyLost, "`resend`, the first time", now, resend),
        (Event::ReplyLost, "`resend`, once more", now, resent),
        (Event::ReplyLost, "`hold`", now, hold),
        (Event::WorkerDied { handed_over: false }, "`resend`", now, resend),
        (Event::WorkerDied { handed_over: true }, "`hold`, handed over", now, hold),
        (Event::WorkerDied { handed_over: false }, "`hold`, not handed over", now, hold),
        (Event::DoubtOver, "`resend`, the first time", now, resend),
        (Event::DoubtOver, "`resend`, once more", now, resent),
        (Event::DoubtOver, "`hold`", now, hold),
        (Event::DsnDelivered, "", now, resend),
        (Event::DsnFailed { suppress: true }, "the address is dead", now, resend),
        (Event::DsnFailed { suppress: false }, "any other", now, resend),
        (Event::DsnPending, "", now, resend),
        (Event::NothingLeft, "", now, resend),
        (Event::SubjectClosed, "", now, resend),
        (Event::AddressSuppressed, "", now, resend),
        (Event::AddressSilenced, "", now, resend),
        (Event::SuppressionLifted { is_of_use: true }, "still of use", now, resend),
        (Event::SuppressionLifted { is_of_use: false }, "of no use any more", now, resend),
        (Event::OpsRetry, "", now, resend),
        (Event::OpsCancel, "", now, resend),
    ]
}

/// How long a delivery is postponed in the table.
const POSTPONED_FOR: Duration = Duration::from_millis(1);

fn postponed(now: Timestamp, gives_up: bool) -> Event {
    Event::Postponed {
        until: now.plus(POSTPONED_FOR),
        gives_up,
    }
}

fn delivery_cell(now: Timestamp, before: State, after: &Next, retry: &Retry) -> String {
    let mut words = match after.due {
        Due::Unchanged => vec!["stays"],
        Due::Never if after.state == State::InDoubt => vec!["until ops decide"],
        Due::Never => vec![],
        Due::At(at) if at == now => vec!["at once"],
        Due::At(at) if at == now.plus(POSTPONED_FOR) => vec!["until then"],
        Due::At(at) if at == now.plus(retry.relay_pause) => vec!["after a pause"],
        Due::At(at) if at == now.plus(retry.resend_after) => vec!["for `resend_after`"],
        Due::At(_) => vec!["after backoff"],
    };
    for (applies, word) in [
        (after.is_attempt, "*counted*"),
        (after.restarts, "*anew*"),
        (after.suppresses, "*suppress*"),
        (after.resolves_again, "*resolve*"),
        (after.is_repeat, "*repeat*"),
        (after.opens_circuit, "*circuit*"),
    ] {
        if applies {
            words.push(word);
        }
    }
    if after.is_unchanged() {
        debug_assert_eq!(before, after.state, "what is unchanged keeps its state");
        return words.join(", ");
    }
    std::iter::once(format!("**{}**", after.state))
        .chain(words.into_iter().map(str::to_owned))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Renders the reference page `docs/reference/notice-states.md`.
pub fn notice_states() -> String {
    let header: Vec<_> = std::iter::once("event")
        .chain(notice::State::ALL.map(notice::State::as_str))
        .collect();
    let rows = notice::Event::ALL.map(|event| {
        let cells = notice::State::ALL.map(|state| match notice::next(state, event) {
            Ok(after) if after == state => "stays".to_owned(),
            Ok(after) => format!("**{after}**"),
            Err(_) => "–".to_owned(),
        });
        std::iter::once(event.describe().to_owned()).chain(cells).collect()
    });
    format!(
        "# States of a notice\n\n\
         <!-- Generated from src/outbox/notice.rs by `cargo xtask reference`; do not edit. -->\n\n\
         A notice says that somebody is to be told something: its kind, its subject and the partner who receives it.\n\
         It is resolved to addresses when it is claimed, and gets one delivery for each of them.\n\n\
         | state | meaning |\n|---|---|\n\
         | pending | is resolved when it is due |\n\
         | parked | unroutable: nobody has an address; due again when the partner changes |\n\
         | done | each of its addresses has its delivery, or is silenced, or there is nothing left to say |\n\
         | cancelled | its subject closed before anybody was told, or ops took it back |\n\
         | undeliverable | its addresses failed for good, and there is no other one |\n\n\
         What becomes of a notice in a state when an event happens to it; `–` means that the event is refused.\n\n{}",
        table(&header, rows)
    )
}

/// Renders the reference page `docs/reference/relay-circuits.md`.
pub fn relay_circuits() -> String {
    use circuit::{Cause, LAST, NEARLY_ALL, Open, PAUSE_FIRST, PAUSE_MAX, PROBE_MAX, State, TROUBLES};
    let now = Timestamp::default().plus(PAUSE_MAX);
    let open = |cause, until| Open {
        since: Timestamp::default(),
        cause,
        until,
        n_tries: 0,
    };
    let states = [
        ("closed", State::Closed),
        ("open, pause not over", State::Open(open(Cause::Away, now.plus(PAUSE_FIRST)))),
        ("open, pause over", State::Open(open(Cause::Away, now))),
        (
            "half open after a refusal or an absence",
            State::HalfOpen(open(Cause::Away, now.plus(PROBE_MAX))),
        ),
        ("half open after a storm", State::HalfOpen(open(Cause::Storm, now.plus(PROBE_MAX)))),
    ];
    let header: Vec<&str> = std::iter::once("event").chain(states.map(|(name, _)| name)).collect();
    let rows = circuit::Event::ALL.map(|event| {
        let cells = states.map(|(_, before)| {
            let after = circuit::next(now, before, event);
            match after {
                after if after == before => "stays".to_owned(),
                State::Closed => "**closed**".to_owned(),
                State::HalfOpen(_) => "**half open**: this mail tries it".to_owned(),
                State::Open(open) if open.until == now => "**open**, pause over".to_owned(),
                State::Open(open) => format!("**open** for {} s", open.until.since(now).as_secs()),
            }
        });
        std::iter::once(event.describe().to_owned()).chain(cells).collect()
    });
    format!(
        "# Circuits of relays\n\n\
         <!-- Generated from src/outbox/circuit.rs by `cargo xtask reference`; do not edit. -->\n\n\
         Each worker keeps a circuit for each relay. While it is open, mails go to the next relay in the order of `smtp.relays`; where all are open, they wait,\n\
         and no attempt is counted. One mail then tries the first relay whose pause is over; the others follow when it is served.\n\n\
         | state | meaning |\n|---|---|\n\
         | closed | mails go to it |\n\
         | open | it is left alone: {} s, and twice as long after each try in vain, up to {} s |\n\
         | half open | one mail tries it; after {} s without an answer a further one does |\n\n\
         Too many are {TROUBLES} troubles of the relay itself in a row, or {NEARLY_ALL} troubles among its last {LAST} answers for at least {} domains of recipients:\n\
         a greylist (451 at RCPT) puts off one domain, or one recipient after the other among others that are taken, and opens nothing.\n\
         A mail whose trouble opens the circuit, or comes while it is open, waits without a counted attempt; those before it were counted, or failed.\n\n{}",
        PAUSE_FIRST.as_secs(),
        PAUSE_MAX.as_secs(),
        PROBE_MAX.as_secs(),
        circuit::DOMAINS,
        table(&header, rows)
    )
}

/// Renders rows of cells under a header as a Markdown table.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("a String takes what is written to it");
    }
    text
}

/// Joins names as a sentence does: `a, b or c`.
pub(super) fn any_of(names: &[&str]) -> String {
    match names {
        [] => "in no state".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
