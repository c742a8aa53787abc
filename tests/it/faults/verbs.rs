//! Every verb is refused, left unanswered, cut off, dripped or answered with nonsense, once each, while forty mails go out.

use std::time::{Duration, Instant};

use super::*;

const N: usize = 40;
/// Each place at which a relay answers.
const PLACES: [&str; 6] = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT"];

/// Lets a relay misbehave once at each place, and works until all is settled.
fn after_all(misbehave: impl Fn(&Relay, &str)) -> Counts {
    let relay = Relay::start();
    let patience = ", timeout = \"1 s\", mail_timeout = \"1 s\", connections = 1";
    let posthorn = rehearsal(&[entry(&relay, patience)], N);
    posthorn.leads(leads("L", N, N));
    for place in PLACES {
        misbehave(&relay, place);
    }
    // Each time a new process: first backoffs, then the end of doubts, and what the circuit of the one before left.
    for n in 0..12 {
        posthorn.at(&after(n * 20 * MINUTE)).work();
    }
    counts(&posthorn, &[&relay])
}

fn told(n_told: usize, n_failed: i64, n_doubts: i64) -> Counts {
    Counts {
        n_told,
        n_repeats: usize::try_from(n_doubts).expect("a count"),
        n_failed,
        n_doubts,
    }
}

#[test]
fn put_off_at_every_verb_all_mails_go_and_none_twice() {
    let counts = after_all(|relay, place| relay.refuse(place, "451 4.3.0 try later", 1));
    assert_eq!(counts, told(N, 0, 0));
}

/// A recipient and a message are refused for good; what is refused before is the relay's fault.
#[test]
fn refused_at_every_verb_only_what_the_relay_said_of_mails_fails() {
    let counts = after_all(|relay, place| relay.refuse(place, "554 5.7.1 no", 1));
    // The relay says 554 to DATA for want of a recipient, to the mail whose recipient it has just refused.
    assert_eq!(counts, told(N - 2, 2, 0));
}

#[test]
fn cut_off_at_every_verb_only_the_mail_that_was_out_comes_twice() {
    let counts = after_all(|relay, place| relay.cut(place, 1));
    assert_eq!(counts, told(N, 0, 1));
}

#[test]
fn left_unanswered_at_every_verb_only_the_mail_that_was_out_comes_twice() {
    let counts = after_all(|relay, place| relay.fall_silent(place, 1));
    assert_eq!(counts, told(N, 0, 1));
}

/// Dripped so slowly that each answer takes longer than its time.
#[test]
fn dripped_at_every_verb_only_the_mail_that_was_out_comes_twice() {
    let counts = after_all(|relay, place| relay.drip(place, Duration::from_millis(200), 1));
    assert_eq!(counts, told(N, 0, 1));
}

/// Whatever that is, it is no SMTP.
#[test]
fn answered_with_nonsense_at_every_verb_only_the_mail_that_was_out_comes_twice() {
    let counts = after_all(|relay, place| relay.refuse(place, "HTTP/1.1 400 Bad Request", 1));
    // The nonsense after a final dot says neither yes nor no; this relay has not taken that mail, so that its second copy is the only one.
    assert_eq!((counts.n_told, counts.n_repeats, counts.n_failed, counts.n_doubts), (N, 0, 0, 1));
}

/// An answer without an end is not waited for until its time is up, nor kept.
#[test]
fn answered_without_an_end_the_relay_is_left_within_seconds() {
    for piece in ["250-go on\r\n", "250 go on and on and on and on"] {
        let relay = Relay::start();
        for place in PLACES {
            relay.never_end(place, piece, 1);
        }
        // With the usual time for each answer: minutes.
        let posthorn = rehearsal(&[entry(&relay, ", connections = 1")], N);
        posthorn.leads(leads("L", N, N));
        let begun = Instant::now();
        for n in 0..12 {
            posthorn.at(&after(n * 20 * MINUTE)).work();
        }
        assert!(begun.elapsed() < Duration::from_secs(100), "{:?}", begun.elapsed());
        let counts = counts(&posthorn, &[&relay]);
        assert_eq!((counts.n_told, counts.n_repeats, counts.n_doubts), (N, 1, 1), "{piece}");
    }
}
