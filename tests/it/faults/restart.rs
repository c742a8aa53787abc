//! The relay is restarted again and again while mails go out.

use std::time::Duration;

use super::*;

#[test]
fn a_relay_that_restarts_under_load_loses_nothing_and_repeats_only_what_was_in_doubt() {
    const N: usize = 200;
    let relay = Relay::start();
    let posthorn = Posthorn::sqlite();
    with_relays(&posthorn, &[entry(&relay, ", connections = 4")]);
    posthorn.setting("worker.resend_after", "1 s").partner_records(partners(40));
    relay.delay("DOT", Duration::from_millis(5), usize::MAX);
    posthorn.leads(new_leads("L", N, 40));
    let mut server = posthorn.start(&["serve"]);
    for (n, last_word) in [(20, None), (60, Some("421 4.3.2 shutting down")), (100, None)] {
        server.until("some are out", || relay.mails().len() >= n);
        // Down: whoever connects is turned away, and who was connected is cut off.
        relay.cut("CONNECT", 3);
        relay.hang_up(last_word);
    }
    server.until("all are out", || {
        // A mail that was put off waits for minutes, and nobody has to: it is due now.
        query(&posthorn, "update delivery set due_at = 1 where state = 'queued' and due_at > 1");
        number(&posthorn, "select count(*) as n from delivery where state = 'sent'") == N as i64
    });
    stop(&mut server);
    let counts = counts(&posthorn, &[&relay]);
    assert_eq!((counts.n_told, counts.n_failed), (N, 0));
    assert!(counts.n_repeats as i64 <= counts.n_doubts, "{counts:?}");
    // Three restarts cut off at most four conversations each.
    assert!(counts.n_doubts <= 12, "{counts:?}");
    assert_eq!(
        number(&posthorn, "select count(*) as n from delivery where is_repeat"),
        number(
            &posthorn,
            "select count(distinct delivery_id) as n from attempt where outcome = 'in_doubt'"
        ),
        "each repeat is noted, and was in doubt before"
    );
}
