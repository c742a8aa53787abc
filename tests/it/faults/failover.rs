//! Two relays: the second takes over while the first is away or refuses us, and hands back.

use std::time::{Duration, Instant};

use super::*;

/// The first one's faults, and what `status` calls them.
#[test]
fn the_second_relay_takes_over_and_the_first_is_asked_again_when_it_serves() {
    let (first, second) = (Relay::start(), Relay::start());
    let posthorn = Posthorn::sqlite();
    with_relays(&posthorn, &[entry(&first, ""), entry(&second, "")]);
    posthorn.partner_records(partners(20));
    first.refuse("MAIL", "550 5.7.1 your account is blocked", usize::MAX);
    let mut server = posthorn.start(&["serve"]);
    posthorn.leads(new_leads("A", 20, 20));
    server.until("the second has them", || second.mails().len() == 20);
    assert_eq!(first.mails().len(), 0);
    let status = posthorn.json(&["status"]);
    let relays = status["relays"].as_array().expect("a list");
    assert_ne!(relays[0]["state"], "closed", "{status}");
    assert_eq!(relays[1]["state"], "closed", "{status}");
    assert!(
        relays[0]["why"].as_str().is_some_and(|why| why.contains("your account is blocked")),
        "{status}"
    );
    assert!(relays[0]["nextTryDateTime"].is_string() && relays[0]["isLive"] == true, "{status}");
    let page = posthorn.ok(&["status"]);
    assert!(
        page.contains("is left alone since") || page.contains("is tried by one mail since"),
        "{page}"
    );

    // A mail tries it every few seconds; once it is served the others follow, and the second one has nothing more to do.
    first.behave();
    let mut n = 0;
    server.until("the first has taken one", || {
        n += 1;
        posthorn.leads(new_leads(&format!("B{n}-"), 1, 20));
        !first.mails().is_empty()
    });
    let n_second = second.mails().len();
    posthorn.leads(new_leads("C", 20, 20));
    finish(&posthorn, &mut server);
    assert_eq!(second.mails().len(), n_second, "the first one is asked again");
    let counts = counts(&posthorn, &[&first, &second]);
    assert_eq!((counts.n_told, counts.n_repeats, counts.n_failed), (40 + n, 0, 0));
    assert_eq!(relay_states(&posthorn), ["closed", "closed"]);
}

/// A kept connection is no way round a circuit.
#[test]
fn a_relay_that_refuses_us_is_tried_by_one_mail_after_each_pause() {
    let relay = Relay::start();
    relay.refuse("MAIL", "550 5.7.1 not from there", usize::MAX);
    let posthorn = Posthorn::sqlite();
    with_relays(&posthorn, &[entry(&relay, ", connections = 2")]);
    posthorn.partner_records(partners(20)).leads(new_leads("L", 20, 20));
    let mut server = posthorn.start(&["serve"]);
    let n_asked = || relay.verbs().iter().filter(|verb| *verb == "MAIL").count();
    server.until("it has refused", || n_asked() > 0);
    let begun = Instant::now();
    // Both connections may have been refused at once; then come 5 s, and 10 s more.
    server.until("it was tried again", || n_asked() >= 3);
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(n_asked(), 3);
    relay.behave();
    server.until("all are out", || in_state(&posthorn, "sent") == 20);
    stop(&mut server);
    assert_eq!(number(&posthorn, "select max(attempt) as n from delivery"), 1);
}

/// Nobody is asked, so that nobody counts an attempt; the lead's mail says for what it waits, and until when.
#[test]
fn while_no_relay_may_be_asked_mails_wait_and_explain_says_so() {
    let relay = Relay::start();
    relay.refuse("CONNECT", "554 5.7.1 not you", usize::MAX);
    let posthorn = rehearsal(&[entry(&relay, ", connections = 1")], 3);
    posthorn.leads(leads("L", 3, 3)).work();
    let reasons = query(&posthorn, "select reason, cast(attempt as text) from delivery order by id");
    assert!(reasons[0][0].contains("not you"), "{reasons:?}");
    let waits = format!("waits for relay 127.0.0.1:{}, which refuses posthorn", relay.port());
    assert_eq!(reasons[1..], [[waits.clone(), "0".to_owned()], [waits.clone(), "0".to_owned()]]);
    let told = posthorn.ok(&["explain", "L2"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(&format!("the mail to admin@p2.example {waits}, until")), "{told}");
    let status = posthorn.json(&["status"]);
    assert_eq!(
        (&status["waiting"], &status["relays"][0]["state"]),
        (&2.into(), &"open".into()),
        "{status}"
    );
    let page = posthorn.ok(&["status"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("2 mails wait for a relay or for the pace"), "{page}");
    assert!(page.contains("refused at connect: 554 5.7.1 not you; next try"), "{page}");
}

/// What is away is given up in the end, tried or not; what refuses us is not (`relay`).
#[test]
fn give_up_after_ends_the_wait_for_a_relay_that_is_away() {
    let relay = Relay::start();
    relay.cut("CONNECT", usize::MAX);
    let posthorn = rehearsal(&[entry(&relay, ", connections = 1")], 3);
    posthorn.leads(leads("L", 3, 3)).work();
    posthorn.at(&after(2 * DAY - 1)).work();
    assert_eq!(in_state(&posthorn, "queued"), 3);
    posthorn.at(&after(3 * DAY)).work();
    assert_eq!(in_state(&posthorn, "failed"), 3);
}

/// A relay in front of which a share is kept for later is passed over, not waited for.
#[test]
fn what_exceeds_the_first_relays_day_goes_by_the_second() {
    let (first, second) = (Relay::start(), Relay::start());
    let posthorn = rehearsal(&[entry(&first, ", per_day = 5"), entry(&second, "")], 12);
    posthorn.leads(leads("L", 12, 12)).work();
    assert_eq!((first.mails().len(), second.mails().len()), (5, 7));
    assert_eq!(
        counts(&posthorn, &[&first, &second]),
        Counts {
            n_told: 12,
            n_repeats: 0,
            n_failed: 0,
            n_doubts: 0
        }
    );
}
