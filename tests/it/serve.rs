//! `serve` as an operator runs it: it is stopped, told to reload, started twice, and held up for too long.

use std::time::{Duration, Instant};

use posthorn::clock::wall_now;

use crate::support::database::{Locked, end_leases, number, query};
use crate::support::ledger::Ledger;
use crate::support::posthorn::{Posthorn, Running, both};
use crate::support::records::{Lead, lead, partner};
use crate::support::smtp::Relay;

const UNFINISHED: &str = "select (select count(*) from notice where state = 'pending')
    + (select count(*) from delivery where state in ('queued', 'sending')) as n";

fn begin(posthorn: &Posthorn, relay: &Relay) {
    posthorn
        .setting("mail.transport", "smtp")
        .setting("smtp.relays", &relay.relays())
        .setting("worker.connections", "2")
        .setting("policy.digest_threshold", "1000");
    posthorn.partner_records([partner("contoso")]);
}

fn leads(name: &str, n: usize) -> Vec<Lead> {
    let now = wall_now().to_string();
    (1..=n).map(|i| lead(&format!("{name}{i}")).created(&now)).collect()
}

fn in_state(posthorn: &Posthorn, state: &str) -> i64 {
    number(posthorn, &format!("select count(*) as n from delivery where state = '{state}'"))
}

/// Waits until all mails are out, and ends the server.
#[track_caller]
fn finish(posthorn: &Posthorn, server: &mut Running) {
    server.until("all mails are out", || number(posthorn, UNFINISHED) == 0);
    server.signal("TERM");
    let output = server.wait();
    assert_eq!(output.code, 0, "{output}");
}

#[test]
fn a_stopped_server_ends_its_conversations_and_gives_the_rest_back() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        relay.delay("DOT", Duration::from_millis(100), usize::MAX);
        posthorn.leads(leads("L", 40));
        for signal in ["TERM", "INT"] {
            let n_before = relay.mails().len();
            let mut server = posthorn.start(&["serve"]);
            relay.wait_for_mails(n_before + 1);
            server.signal(signal);
            let output = server.wait();
            assert_eq!(output.code, 0, "{signal}: {output}");
            assert_eq!(in_state(posthorn, "sending"), 0, "{signal}: leases are given back");
            assert!(in_state(posthorn, "queued") > 0, "{signal}: mails not begun wait again");
            assert_eq!(in_state(posthorn, "sent"), relay.mails().len() as i64, "{signal}");
        }
        relay.behave();
        finish(posthorn, &mut posthorn.start(&["serve"]));
        let sums = Ledger::default().balance(posthorn, &[&relay]);
        assert_eq!((sums.n_mails, sums.n_repeats), (40, 0));
        assert_eq!(number(posthorn, "select count(*) as n from delivery where is_repeat"), 0);
        posthorn.audit_is_clean();
    });
}

#[test]
fn a_conversation_that_does_not_end_is_left_after_the_grace_and_repeated_by_the_next() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        posthorn.setting("worker.drain", "1 s");
        relay.fall_silent("DOT", 1);
        posthorn.leads(leads("L", 1));
        let mut server = posthorn.start(&["serve"]);
        relay.wait_for_mails(1);
        server.signal("TERM");
        let begun = Instant::now();
        let output = server.wait();
        assert_eq!(output.code, 0, "{output}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let mut ledger = Ledger::default();
        ledger.died(posthorn, &relay, 0);
        finish(posthorn, &mut posthorn.start(&["serve"]));
        let sums = ledger.balance(posthorn, &[&relay]);
        assert_eq!((sums.n_mails, sums.n_repeats), (2, 1));
        posthorn.audit_is_clean();
    });
}

/// A worker that waits for a reply is alive: while it does, nobody else may take its mail for a dead one's.
#[test]
fn a_server_that_waits_for_its_last_replies_keeps_its_lease() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        posthorn.setting("worker.lease", "4 s");
        relay.drip("DOT", Duration::from_millis(400), 1);
        posthorn.leads(leads("L", 1));
        let mut server = posthorn.start(&["serve"]);
        relay.wait_for_mails(1);
        server.signal("TERM");
        let over = || {
            format!(
                "select count(*) as n from delivery where state = 'sending' and owner in (select epoch from worker where alive_until < {})",
                wall_now().as_millis()
            )
        };
        server.until("the reply is recorded", || {
            assert_eq!(number(posthorn, &over()), 0, "the lease ran out while the server waited");
            in_state(posthorn, "sending") == 0
        });
        let output = server.wait();
        assert_eq!((output.code, in_state(posthorn, "sent")), (0, 1), "{output}");
    });
}

/// Only what was being handed over is uncertain: what waited behind it, marked or asked for or neither, has not left.
#[test]
fn a_relay_that_hangs_at_the_end_makes_nothing_uncertain_but_what_it_was_given() {
    both(|posthorn| {
        for (in_doubt, expected) in [("resend", "is_repeat"), ("hold", "state = 'in_doubt'")] {
            let relay = Relay::start();
            begin(posthorn, &relay);
            posthorn.setting("worker.in_doubt", in_doubt).setting("worker.drain", "1 s");
            relay.fall_silent("DOT", usize::MAX);
            posthorn.leads(leads(in_doubt, 40));
            let mut server = posthorn.start(&["serve"]);
            relay.wait_for_mails(2);
            server.signal("TERM");
            let output = server.wait();
            assert_eq!(output.code, 0, "{output}");
            assert_eq!((in_state(posthorn, "sending"), in_state(posthorn, "queued")), (2, 38), "{in_doubt}");
            relay.behave();
            finish(posthorn, &mut posthorn.start(&["serve"]));
            assert_eq!(
                number(posthorn, &format!("select count(*) as n from delivery where {expected}")),
                2,
                "{in_doubt}"
            );
        }
    });
}

/// The grace is for conversations; what is known at its end is still written down.
#[test]
fn a_server_without_any_grace_gives_back_what_it_has_not_begun() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        posthorn.setting("worker.drain", "0 s");
        relay.fall_silent("DOT", usize::MAX);
        posthorn.leads(leads("L", 40));
        let mut server = posthorn.start(&["serve"]);
        relay.wait_for_mails(2);
        server.signal("TERM");
        let output = server.wait();
        assert_eq!(output.code, 0, "{output}");
        assert_eq!((in_state(posthorn, "sending"), in_state(posthorn, "queued")), (2, 38));
    });
}

/// A 250 that is on its way when the lease is found to be lost is the worker's own as long as nobody has taken the mail over.
#[test]
fn a_worker_that_loses_its_lease_still_records_what_the_relay_takes() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        posthorn.setting("worker.lease", "3 s");
        relay.drip("DOT", Duration::from_millis(200), 1);
        posthorn.leads(leads("L", 1));
        let mut worker = posthorn.start(&["work", "--until-idle"]);
        relay.wait_for_mails(1);
        query(posthorn, "delete from worker");
        let output = worker.wait();
        assert_eq!(output.code, 4, "{output}");
        assert!(output.stderr.contains("lease"), "{output}");
        assert_eq!((in_state(posthorn, "sent"), in_state(posthorn, "sending")), (1, 0), "{output}");
        posthorn.audit_is_clean();
    });
}

/// What was out is recorded, what comes next goes out, and who asks over HTTP hears nothing of it.
#[test]
fn a_server_that_loses_its_lease_goes_on_under_another_one() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        posthorn.setting("worker.lease", "3 s");
        let mut server = posthorn.start(&["serve"]);
        server_log(&mut server, "serving");
        for n in 1..=2 {
            relay.drip("DOT", Duration::from_millis(200), 1);
            posthorn.leads(leads(&format!("L{n}"), 1));
            relay.wait_for_mails(n);
            query(posthorn, "delete from worker");
            server.until("another worker is there", || {
                number(posthorn, "select count(*) as n from worker") == 1
            });
            assert_eq!(
                (in_state(posthorn, "sent"), in_state(posthorn, "sending")),
                (n as i64, 0),
                "the mail that was out is recorded, once"
            );
        }
        assert!(server_log(&mut server, "working again").contains("lease"));
        posthorn.leads(leads("L3", 1));
        relay.wait_for_mails(3);
        finish(posthorn, &mut server);
        assert_eq!(relay.mails().len(), 3);
        posthorn.audit_is_clean();
    });
}

/// Under `hold` a mail is begun only with its mark, and marked only while it is the worker's own.
#[test]
fn a_mail_that_others_took_over_before_it_was_marked_is_not_sent() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        posthorn.setting("worker.in_doubt", "hold").setting("worker.connections", "1");
        relay.drip("DOT", Duration::from_millis(100), 1);
        posthorn.leads(leads("L", 10));
        let mut server = posthorn.start(&["serve"]);
        relay.wait_for_mails(1);
        let far = wall_now().plus(Duration::from_secs(3600)).as_millis();
        query(
            posthorn,
            &format!(
                "update delivery set state = 'queued', owner = null, due_at = {far} where state = 'sending' and handed_over_at is null"
            ),
        );
        let n_marked = 10 - in_state(posthorn, "queued");
        assert!((1..10).contains(&n_marked), "{n_marked} were marked before the first reply");
        server.until("the marked ones are out", || in_state(posthorn, "sent") == n_marked);
        server.signal("TERM");
        let output = server.wait();
        assert_eq!(output.code, 0, "{output}");
        assert_eq!(
            (relay.mails().len() as i64, in_state(posthorn, "queued")),
            (n_marked, 10 - n_marked)
        );
    });
}

#[test]
fn a_row_that_no_claim_can_read_does_not_keep_outcomes_from_being_recorded() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        relay.refuse("RCPT", "451 4.3.0 later", 1);
        posthorn.leads(leads("A", 1));
        let mut server = posthorn.start(&["serve"]);
        server.until("the first mail waits", || in_state(posthorn, "queued") == 1);
        relay.drip("DOT", Duration::from_millis(100), 1);
        posthorn.leads(leads("B", 1));
        relay.wait_for_mails(1);
        query(posthorn, "update delivery set leads = 'broken', due_at = 0 where state = 'queued'");
        server.until("the mail that is out is recorded", || in_state(posthorn, "sent") == 1);
        assert!(server_log(&mut server, "turn failed").contains("broken"));
        query(posthorn, "update delivery set leads = '[]' where leads = 'broken'");
        finish(posthorn, &mut server);
    });
}

/// A mark that is missing says nothing where none was made.
#[test]
fn a_mail_of_a_worker_that_died_under_resend_is_held_under_hold() {
    both(|posthorn| {
        let relay = Relay::start();
        begin(posthorn, &relay);
        relay.fall_silent("DOT", 1);
        posthorn.leads(leads("L", 1));
        let mut server = posthorn.start(&["serve"]);
        relay.wait_for_mails(1);
        posthorn.setting("worker.in_doubt", "hold");
        server.signal("HUP");
        let log = server_log(&mut server, "not reloaded");
        assert!(log.contains("worker.in_doubt"), "{log}");
        server.kill();
        end_leases(posthorn);
        let mut next = posthorn.start(&["serve"]);
        next.until("it is taken back", || in_state(posthorn, "sending") == 0);
        finish(posthorn, &mut next);
        assert_eq!((in_state(posthorn, "in_doubt"), relay.mails().len()), (1, 1));
    });
}

#[test]
fn a_changed_configuration_is_taken_over_and_a_wrong_one_is_not() {
    let posthorn = Posthorn::sqlite();
    let relay = Relay::start();
    begin(&posthorn, &relay);
    let mut server = posthorn.start(&["serve"]);
    posthorn.leads(leads("A", 1));
    let first = relay.wait_for_mails(1).remove(0).text();
    assert!(!first.contains("Harbour"), "{first}");

    posthorn.setting("portal.name", "Harbour").setting("policy.digest_treshold", "3");
    server.signal("HUP");
    let log = server_log(&mut server, "not reloaded");
    assert!(log.contains("digest_treshold"), "{log}");
    posthorn.setting("policy.digest_treshold", "3"); // still there: commands refuse it, the server goes on
    let refused = posthorn.run(&["partners", "list"]);
    assert_eq!(refused.code, 3, "{refused}");

    posthorn.without_setting("policy.digest_treshold");
    posthorn.setting("portal.name", "Partner Portal").leads(leads("B", 1));
    let second = relay.wait_for_mails(2).remove(1).text();
    assert!(!second.contains("Harbour"), "the wrong configuration was taken over in part");

    posthorn.setting("portal.name", "Harbour");
    server.signal("HUP");
    server_log(&mut server, "configuration reloaded");
    posthorn.leads(leads("C", 1));
    let third = relay.wait_for_mails(3).remove(2).text();
    assert!(third.contains("Harbour"), "{third}");
    finish(&posthorn, &mut server);
}

/// Waits for words in the log, and returns it.
#[track_caller]
fn server_log(server: &mut Running, words: &str) -> String {
    let path = server.stderr_path();
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    server.until(&format!("it says {words:?}"), || read().contains(words));
    read()
}

#[test]
fn sqlite_has_one_worker_at_a_time_and_other_commands_go_on() {
    let posthorn = Posthorn::sqlite();
    let relay = Relay::start();
    begin(&posthorn, &relay);
    let mut server = posthorn.start(&["serve"]);
    server_log(&mut server, "serving");
    for command in [&["serve"][..], &["work", "--until-idle"]] {
        let words = posthorn.refused(5, command);
        assert!(words.contains("worker"), "{words}");
    }
    posthorn.leads(leads("L", 3));
    relay.wait_for_mails(3);
    posthorn.ok(&["leads", "show", "L1"]);
    finish(&posthorn, &mut server);
    posthorn.work();
}

#[test]
fn postgresql_has_as_many_workers_as_are_started() {
    let Some(posthorn) = Posthorn::postgres() else { return };
    let relay = Relay::start();
    begin(&posthorn, &relay);
    let mut servers = [posthorn.start(&["serve"]), posthorn.start(&["serve"])];
    for server in &mut servers {
        server_log(server, "serving");
    }
    posthorn.leads(leads("L", 100));
    for server in &mut servers {
        finish(&posthorn, server);
    }
    let sums = Ledger::default().balance(&posthorn, &[&relay]);
    assert_eq!((sums.n_mails, sums.n_repeats), (100, 0));
    posthorn.audit_is_clean();
}

#[test]
fn a_database_that_is_away_for_a_while_costs_no_repeat() {
    let Some(posthorn) = Posthorn::postgres() else { return };
    let relay = Relay::start();
    begin(&posthorn, &relay);
    relay.delay("DOT", Duration::from_millis(20), usize::MAX);
    posthorn.setting("worker.lease", "5 m").leads(leads("L", 200));
    let mut server = posthorn.start(&["serve"]);
    relay.wait_for_mails(10);
    posthorn.bar(true);
    // Until the worker has given up recording within one turn, and has to keep the outcomes for a later one.
    let path = server.stderr_path();
    server.until("it has given up for a turn", || {
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        let tries: Vec<&str> = log.split("outcomes not recorded yet").collect();
        let n_failed = log.matches("turn failed").count();
        // An outage that begins between two commits is met by the claim, and no outcome has to be kept.
        (tries.len() > 3 && tries[3].contains("turn failed")) || (tries.len() == 1 && n_failed >= 6)
    });
    let n_out = relay.mails().len();
    assert!(n_out < 200, "it goes on handing over although it cannot record");
    posthorn.bar(false);
    finish(&posthorn, &mut server);
    let sums = Ledger::default().balance(&posthorn, &[&relay]);
    assert_eq!((sums.n_mails, sums.n_repeats), (200, 0));
    posthorn.audit_is_clean();
}

/// Waits until no lease holds, on the clock that leases run on.
fn wait_until_leases_are_over(posthorn: &Posthorn) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let live = || {
        number(
            posthorn,
            &format!("select count(*) as n from worker where alive_until >= {}", wall_now().as_millis()),
        )
    };
    while live() > 0 {
        assert!(Instant::now() < deadline, "a lease does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// It hands nothing more over under that lease, and goes on under another one with what nobody has taken over.
#[test]
fn a_server_that_stood_still_beyond_its_lease_repeats_no_more_than_was_in_conversation() {
    const IN_CONVERSATION: usize = 2;
    both(|posthorn| {
        let (first_relay, second_relay) = (Relay::start(), Relay::start());
        begin(posthorn, &first_relay);
        posthorn.setting("worker.lease", "5 s");
        first_relay.delay("DOT", Duration::from_millis(50), usize::MAX);
        posthorn.leads(leads("L", 40));
        let mut first = posthorn.start(&["serve"]);
        first_relay.wait_for_mails(3);
        first.signal("STOP");
        wait_until_leases_are_over(posthorn);

        let n_out = first_relay.mails().len();
        let n_uncertain = n_out - usize::try_from(in_state(posthorn, "sent")).expect("a count");
        // Whatever it still has to say when it wakes up, it can say fast.
        first_relay.behave();
        posthorn.setting("smtp.relays", &second_relay.relays());
        if posthorn.is_postgres() {
            // Another one has taken over and sent everything before the first one wakes up.
            finish(posthorn, &mut posthorn.start(&["serve"]));
        }
        let n_sent = in_state(posthorn, "sent");
        first.signal("CONT");
        assert!(server_log(&mut first, "working again").contains("lease"));
        finish(posthorn, &mut first);
        if posthorn.is_postgres() {
            let n_late = first_relay.mails().len() - n_out;
            assert!(
                n_late <= IN_CONVERSATION,
                "{n_late} mails were handed over after the lease: more than were in conversation"
            );
            assert_eq!(in_state(posthorn, "sent"), n_sent, "what others hold is not recorded");
        }
        assert_eq!(in_state(posthorn, "sent"), 40);
        let n_mails = first_relay.mails().len() + second_relay.mails().len();
        let n_repeats = n_mails - 40;
        assert!(
            n_repeats <= n_uncertain + IN_CONVERSATION,
            "{n_repeats} repeats of {n_uncertain} + {IN_CONVERSATION}"
        );
        posthorn.audit_is_clean();
    });
}

/// What a claim waits for must not keep the outcomes of mails that are out from being written down: a crash would make each of them a repeat.
#[test]
fn outcomes_are_recorded_while_a_claim_waits_for_the_database() {
    let Some(posthorn) = Posthorn::postgres() else { return };
    let relay = Relay::start();
    begin(&posthorn, &relay);
    posthorn.setting("http.public_url", "https://portal.example/posthorn");
    relay.delay("DOT", Duration::from_secs(2), 1);
    let mut server = posthorn.start(&["serve"]);
    posthorn.leads(leads("A", 1));
    server.until("the first mail is under way", || in_state(&posthorn, "sending") == 1);
    // A claim reads the key that signs links, an outcome does not.
    let locked = Locked::table(&posthorn, "link_key");
    posthorn.leads(leads("B", 1));
    server.until("its outcome is recorded", || in_state(&posthorn, "sent") == 1);
    assert_eq!(number(&posthorn, "select count(*) as n from delivery"), 1, "the claim still waits");
    drop(locked);
    finish(&posthorn, &mut server);
    assert_eq!(relay.mails().len(), 2);
}
