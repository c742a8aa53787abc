//! No relay and no domain is mailed faster than is set, counted by the relay's own clock; nobody waits for another's pace; what counts for an hour or a
//! day outlives the process.

use std::time::{Duration, Instant};

use super::*;

/// The most mails that came within any span of time.
fn most_within(relay: &Relay, span: Duration) -> usize {
    let at: Vec<Instant> = relay.mails().iter().map(|mail| mail.at).collect();
    let within = |from: &Instant| at.iter().filter(|at| **at >= *from && at.duration_since(*from) < span).count();
    at.iter().map(within).max().unwrap_or(0)
}

/// What was not used for up to a second may go at once, so that a second sees at most two seconds' worth, and ten times the span at most eleven.
#[test]
fn a_rate_is_held_by_all_connections_together() {
    for (setting, more) in [("20/s", ""), ("", ", rate = \"20/s\"")] {
        let relay = Relay::start();
        let posthorn = rehearsal(&[entry(&relay, &format!(", connections = 8{more}"))], 60);
        if !setting.is_empty() {
            posthorn.setting("smtp.rate", setting);
        }
        let begun = Instant::now();
        posthorn.leads(leads("L", 60, 60)).work();
        assert!(
            begun.elapsed() >= Duration::from_secs_f64(59.0 / 20.0 - 1.0),
            "{:?}",
            begun.elapsed()
        );
        let most = most_within(&relay, Duration::from_secs(1));
        assert!(most <= 41, "{most} in a second");
        assert_eq!(counts(&posthorn, &[&relay]).n_told, 60);
    }
}

/// Ten for a domain that may have one a minute stand before one for another domain.
#[test]
fn a_domains_pace_holds_up_nobody_else_and_each_waits_with_a_time_of_its_own() {
    let relay = Relay::start();
    let posthorn = rehearsal(&[entry(&relay, "")], 2);
    posthorn
        .setting("smtp.domains", "[{ domain = \"P1.example\", rate = \"1/min\" }]")
        .setting("worker.connections", "1")
        .setting("worker.batch", "8");
    posthorn.leads((1..=10).map(|n| lead(&format!("L{n}")).partner("p1")));
    posthorn.leads([lead("M1").partner("p2")]).work();
    let got: Vec<String> = relay.mails().iter().map(|mail| mail.recipient()).collect();
    assert_eq!(got, ["admin@p1.example", "admin@p2.example"]);
    let due = query(
        &posthorn,
        "select cast(due_at as text) from delivery where state = 'queued' and attempt = 0 and reason = 'waits for the pace of p1.example (smtp.domains)'
         order by due_at",
    );
    let due: Vec<i64> = due.iter().map(|row| row[0].parse().expect("a number")).collect();
    assert_eq!(due.len(), 9);
    // The pace runs on the real clock, and each was sorted some milliseconds after the one before.
    assert!(due.windows(2).all(|pair| pair[1] - pair[0] >= MINUTE * 9 / 10), "{due:?}");
    // One more a minute; none is given up for waiting, and none counts an attempt.
    for n in 1..=40 {
        posthorn.at(&after(n * 2 * MINUTE)).work();
    }
    assert_eq!(counts(&posthorn, &[&relay]).n_told, 11);
    assert_eq!(number(&posthorn, "select max(attempt) as n from delivery"), 1);
}

#[test]
fn no_more_mails_are_under_way_to_a_domain_than_are_set() {
    let relay = Relay::start();
    relay.delay("DOT", Duration::from_millis(50), usize::MAX);
    let posthorn = Posthorn::sqlite();
    with_relays(&posthorn, &[entry(&relay, ", connections = 8")]);
    posthorn
        .setting("smtp.domains", "[{ domain = \"*\", connections = 1 }]")
        .partner_records(partners(1));
    let mut server = posthorn.start(&["serve"]);
    posthorn.leads(new_leads("L", 10, 1));
    finish(&posthorn, &mut server);
    // Each takes 50 ms: had two been under way at once, two would have come within less.
    let most = most_within(&relay, Duration::from_millis(45));
    assert_eq!((most, counts(&posthorn, &[&relay]).n_told), (1, 10));
}

/// Each `work` is a process of its own: what counts is in the database.
#[test]
fn a_warm_up_goes_step_by_step_over_days_and_processes() {
    let relay = Relay::start();
    let posthorn = rehearsal(&[entry(&relay, ", warm_up = [2, 4, 3], warm_up_from = 2026-03-02")], 20);
    posthorn.leads(leads("L", 20, 20));
    let mut n_by_day = Vec::new();
    for day in 0..4 {
        let n_before = relay.mails().len();
        for hour in [0, 1, 5] {
            posthorn.at(&after(day * DAY + hour * 60 * MINUTE)).work();
        }
        n_by_day.push(relay.mails().len() - n_before);
        if day == 1 {
            let status = posthorn.json(&["status"]);
            let shown = &status["relays"][0];
            assert_eq!(
                (&shown["sentToday"], &shown["perDay"], &shown["warmUpDay"]),
                (&4.into(), &4.into(), &2.into()),
                "{status}"
            );
            let page = posthorn.ok(&["status"]).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(page.contains("4 of 4 sent today (day 2 of its warm-up)"), "{page}");
            let told = posthorn.ok(&["explain", "L20"]).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(told.contains("the hour or day of relay"), "{told}");
        }
    }
    assert_eq!(n_by_day, [2, 4, 3, 11]);
    assert_eq!(counts(&posthorn, &[&relay]).n_told, 20);
}

/// An hour is full, and the next one is not; what a relay refused does not count.
#[test]
fn an_hours_limit_is_held_and_counts_only_what_was_taken() {
    let relay = Relay::start();
    relay.refuse("DATA", "554 5.6.0 no", 2);
    let posthorn = rehearsal(&[entry(&relay, ", per_hour = 4, connections = 1")], 12);
    posthorn.leads(leads("L", 12, 12)).work();
    assert_eq!((relay.mails().len(), in_state(&posthorn, "failed")), (4, 2));
    posthorn.at(&after(60 * MINUTE - 1)).work();
    assert_eq!(relay.mails().len(), 4);
    posthorn.at(&after(60 * MINUTE)).work();
    assert_eq!(relay.mails().len(), 8);
    posthorn.at(&after(120 * MINUTE)).work();
    let counts = counts(&posthorn, &[&relay]);
    assert_eq!((counts.n_told, counts.n_failed), (10, 2));
}

/// The clock is set back by a day, and forward again: nothing more goes than the day has room for, nothing twice, and nothing is stuck.
#[test]
fn a_clock_that_is_set_back_and_forward_exceeds_no_limit_and_loses_nothing() {
    let relay = Relay::start();
    let posthorn = rehearsal(&[entry(&relay, ", per_day = 5")], 12);
    posthorn.leads(leads("L", 12, 12)).work();
    assert_eq!(relay.mails().len(), 5);
    posthorn.at(&after(-DAY)).work();
    assert_eq!(relay.mails().len(), 5, "what went counts on");
    posthorn.at(&after(DAY)).work();
    assert_eq!(relay.mails().len(), 10);
    posthorn.at(&after(9 * DAY)).work();
    assert_eq!(
        counts(&posthorn, &[&relay]),
        Counts {
            n_told: 12,
            n_repeats: 0,
            n_failed: 0,
            n_doubts: 0
        }
    );
}

/// Limits by the day are the fleet's.
#[test]
fn two_workers_together_do_not_exceed_a_relays_day() {
    let Some(posthorn) = Posthorn::postgres() else { return };
    let relay = Relay::start();
    with_relays(&posthorn, &[entry(&relay, ", per_day = 30")]);
    posthorn.partner_records(partners(60));
    relay.delay("DOT", Duration::from_millis(20), usize::MAX);
    let mut servers = [posthorn.start(&["serve"]), posthorn.start(&["serve"])];
    posthorn.leads(new_leads("L", 60, 60));
    for server in &mut servers {
        server.until("the rest waits", || {
            number(
                &posthorn,
                "select count(*) as n from delivery where state = 'queued' and reason like 'waits for the pace%'",
            ) == 30
        });
    }
    assert_eq!((relay.mails().len(), in_state(&posthorn, "sent")), (30, 30));
    let sent = number(&posthorn, "select today as n from relay_sent");
    assert!((30..=31).contains(&sent), "{sent}: not one more than is under way is entered");
    assert_eq!(relay_states(&posthorn).len(), 2, "each worker says how it finds the relay");
    for server in &mut servers {
        stop(server);
    }
}
