//! A relay that puts off or refuses nearly everything: whose fault that is shows only over many mails.

use super::*;

/// A greylist puts off whom it does not know: each is tried again for itself, and nobody else waits.
#[test]
fn a_greylist_of_one_domain_is_no_storm() {
    let relay = Relay::start();
    relay.refuse_address("admin@p1.example", "451 4.7.1 greylisted, try again in five minutes", usize::MAX);
    let posthorn = rehearsal(&[entry(&relay, ", connections = 1")], 2);
    posthorn.leads((1..=30).map(|n| lead(&format!("L{n}")).partner("p1")));
    posthorn.leads([lead("M1").partner("p2")]).work();
    assert_eq!(relay.mails().len(), 1);
    assert_eq!(
        number(
            &posthorn,
            "select count(*) as n from delivery where attempt = 1 and state = 'queued'"
        ),
        30
    );
    assert_eq!(relay_states(&posthorn), ["closed"]);
}

#[test]
fn a_storm_of_451_costs_the_mails_behind_its_first_ones_no_attempt() {
    for (place, reply, n_counted) in [
        ("RCPT", "451 4.7.1 try again later", 8),
        ("DOT", "451 4.3.0 queue file write error", 8),
        ("MAIL", "421 4.7.0 too many connections", 2),
    ] {
        let relay = Relay::start();
        relay.refuse(place, reply, usize::MAX);
        let posthorn = rehearsal(&[entry(&relay, ", connections = 1")], 40);
        posthorn.leads(leads("L", 40, 40)).work();
        assert_eq!(in_state(&posthorn, "queued"), 40, "{place}");
        assert_eq!(
            number(&posthorn, "select count(*) as n from delivery where attempt > 0"),
            n_counted,
            "{place}: those before the one that showed it"
        );
        let status = posthorn.json(&["status"]);
        assert_eq!(
            (&status["relays"][0]["state"], &status["waiting"]),
            (&"open".into(), &(40 - n_counted).into()),
            "{status}"
        );
        relay.behave();
        posthorn.at(&after(10 * MINUTE)).work();
        assert_eq!(
            counts(&posthorn, &[&relay]),
            Counts {
                n_told: 40,
                n_repeats: 0,
                n_failed: 0,
                n_doubts: 0
            },
            "{place}"
        );
    }
}

/// 5xx to nearly all recipients, for different domains, and none of them called dead: it is us, or the relay, who is refused.
#[test]
fn a_relay_that_refuses_nearly_all_recipients_fails_no_more_than_showed_it() {
    let relay = Relay::start();
    relay.refuse("RCPT", "554 5.7.1 relay access denied", usize::MAX);
    let posthorn = rehearsal(&[entry(&relay, ", connections = 1")], 40);
    posthorn.leads(leads("L", 40, 40)).work();
    assert_eq!((in_state(&posthorn, "failed"), in_state(&posthorn, "queued")), (8, 32));
    relay.behave();
    posthorn.at(&after(10 * MINUTE)).work();
    let counts = counts(&posthorn, &[&relay]);
    assert_eq!((counts.n_told, counts.n_failed), (32, 8));
    assert_eq!(number(&posthorn, "select count(*) as n from suppression"), 0);
}

/// A list of addresses that are dead says nothing of the relay.
#[test]
fn many_dead_addresses_are_no_fault_of_the_relay() {
    let relay = Relay::start();
    relay.refuse("RCPT", "550 5.1.1 no such user", 30);
    let posthorn = rehearsal(&[entry(&relay, ", connections = 1")], 40);
    posthorn.leads(leads("L", 40, 40)).work();
    let counts = counts(&posthorn, &[&relay]);
    assert_eq!((counts.n_told, counts.n_failed), (10, 30));
    assert_eq!(relay_states(&posthorn), ["closed"]);
}
