//! The relay's answer to a mail comes after the time for it.

use std::time::Duration;

use super::*;

#[test]
fn a_250_that_comes_late_settles_the_doubt_and_no_repeat_goes_out() {
    let relay = Relay::start();
    let posthorn = Posthorn::sqlite();
    with_relays(&posthorn, &[entry(&relay, ", mail_timeout = \"1 s\"")]);
    posthorn.partner_records(partners(3));
    relay.delay("DOT", Duration::from_millis(3500), 1);
    let mut server = posthorn.start(&["serve"]);
    posthorn.leads(new_leads("L", 3, 3));
    server.until("one is in doubt", || in_state(&posthorn, "in_doubt") == 1);
    server.until("it is settled", || in_state(&posthorn, "sent") == 3);
    stop(&mut server);
    let counts = counts(&posthorn, &[&relay]);
    assert_eq!((counts.n_told, counts.n_repeats, counts.n_doubts), (3, 0, 1));
    let late = query(&posthorn, "select outcome, detail from attempt where detail like 'accepted late%'");
    assert_eq!(late, [["sent".to_owned(), "accepted late: 250 2.0.0 queued".to_owned()]]);
}

/// A refusal that comes late settles nothing: the relay may have changed its mind, and a repeat is sent when its time comes.
#[test]
fn a_refusal_that_comes_late_leaves_the_doubt() {
    let relay = Relay::start();
    let posthorn = Posthorn::sqlite();
    with_relays(&posthorn, &[entry(&relay, ", mail_timeout = \"1 s\"")]);
    posthorn.setting("worker.resend_after", "4 s").partner_records(partners(1));
    relay.delay("DOT", Duration::from_millis(2500), 1);
    relay.refuse("DOT", "451 4.3.0 try later", 1);
    let mut server = posthorn.start(&["serve"]);
    posthorn.leads(new_leads("L", 1, 1));
    finish(&posthorn, &mut server);
    let counts = counts(&posthorn, &[&relay]);
    assert_eq!((counts.n_told, counts.n_repeats, counts.n_doubts), (1, 0, 1));
    assert_eq!(number(&posthorn, "select count(*) as n from delivery where is_repeat"), 1);
}
