//! What a relay does wrong, seen through the binary: whose fault it is, what becomes of the mail, and that nothing is lost.

use std::time::Duration;

use posthorn::time::Timestamp;

use crate::support::database::{number, query};
use crate::support::ledger::message_id;
use crate::support::posthorn::Posthorn;
use crate::support::records::{lead, partner};
use crate::support::sink::SmtpSink;
use crate::support::smtp::Relay;

const MONDAY: &str = "2026-03-02T09:00:00.000Z";
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

fn monday() -> i64 {
    MONDAY.parse::<Timestamp>().expect("a literal instant").as_millis()
}

/// A delivery as it stands: to whom, state, attempts, and how long after Monday at nine it is looked at again.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    to: String,
    state: String,
    attempt: i64,
    due_in_ms: i64,
    is_repeat: bool,
}

fn rows(posthorn: &Posthorn) -> Vec<Row> {
    let sql = "select address, state, cast(attempt as text), cast(due_at as text), case when is_repeat then 'yes' else 'no' end from delivery order by id";
    query(posthorn, sql)
        .into_iter()
        .map(|row| Row {
            to: row[0].clone(),
            state: row[1].clone(),
            attempt: row[2].parse().expect("a number"),
            due_in_ms: row[3].parse::<i64>().expect("a number") - monday(),
            is_repeat: row[4] == "yes",
        })
        .collect()
}

fn states(posthorn: &Posthorn) -> Vec<(String, String)> {
    rows(posthorn).into_iter().map(|row| (row.to, row.state)).collect()
}

fn suppressed(posthorn: &Posthorn) -> Vec<String> {
    query(posthorn, "select address from suppression order by address")
        .into_iter()
        .map(|row| row[0].clone())
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(to, state)| ((*to).to_owned(), (*state).to_owned())).collect()
}

/// A rehearsal that mails by `relay` as its `tls` says, with one partner whose first rung is a location's contact and whose second is an admin.
fn posthorn(relay: &Relay, more: &str) -> Posthorn {
    let posthorn = Posthorn::sqlite();
    posthorn.file("ca.pem", Relay::ca_pem());
    posthorn.file("password", "s3cret\n");
    let ca = posthorn.folder().join("ca.pem");
    posthorn
        .env("SSL_CERT_FILE", &ca.to_string_lossy())
        .setting("mail.transport", "smtp")
        .setting(
            "smtp.relays",
            &format!("[{{ host = \"localhost\", port = {}, {more} }}]", relay.port()),
        );
    let contoso = partner("contoso").location("leeds", true, &["desk@contoso.example"]);
    posthorn.rehearsal().at(MONDAY).partner_records([contoso]);
    posthorn
}

fn plain(relay: &Relay) -> Posthorn {
    posthorn(relay, "tls = \"none\"")
}

/// Does what is due some time after Monday at nine.
fn work_after(posthorn: &Posthorn, ms: i64) {
    posthorn.at(&Timestamp::from_millis(monday() + ms).to_string()).work();
}

#[test]
fn what_the_relay_refuses_before_a_recipient_is_its_own_fault_and_costs_no_attempt() {
    let none = "tls = \"none\"";
    let tls = "tls = \"required\"";
    let login = "tls = \"none\", username = \"ada\", password_file = \"password\"";
    for (place, reply, more) in [
        ("CONNECT", "554 5.7.1 not you", none),
        ("CONNECT", "554 no SMTP service here", none),
        ("EHLO", "550 5.7.1 not you", none),
        ("STARTTLS", "502 5.5.1 no such command", tls),
        ("AUTH", "535 5.7.8 wrong password", login),
        ("MAIL", "550 5.7.1 not from there", none),
        ("MAIL", "530 5.7.0 log in first", none),
    ] {
        let relay = if place == "STARTTLS" {
            Relay::start_with_starttls()
        } else {
            Relay::start()
        };
        if place == "AUTH" {
            relay.demand_login("PLAIN", "ada", "s3cret");
        }
        relay.refuse(place, reply, usize::MAX);
        let posthorn = posthorn(&relay, more);
        posthorn.leads([lead("L1"), lead("L2")]).work();
        for row in rows(&posthorn) {
            assert_eq!((row.state.as_str(), row.attempt), ("queued", 0), "{place} {reply}: {row:?}");
            assert!(
                (SECOND..=5 * MINUTE).contains(&row.due_in_ms),
                "{place}: the relay is left alone for a while: {row:?}"
            );
        }
        assert_eq!(rows(&posthorn).len(), 2);
        assert_eq!(suppressed(&posthorn), [""; 0], "{place}");
        // For as long as it takes people to repair it, even beyond give_up_after.
        work_after(&posthorn, 3 * DAY);
        assert!(
            rows(&posthorn).iter().all(|row| row.state == "queued" && row.attempt == 0),
            "{place}"
        );
        relay.behave();
        work_after(&posthorn, 3 * DAY + 5 * MINUTE);
        assert_eq!(relay.mails().len(), 2, "{place}");
        posthorn.audit_is_clean();
    }
}

#[test]
fn what_may_pass_is_tried_again_with_backoff_wherever_it_came() {
    for (place, reply) in [
        ("CONNECT", "421 4.3.2 too busy"),
        ("EHLO", "421 4.3.2 too busy"),
        ("EHLO", "451 4.3.0 later"),
        ("MAIL", "451 4.3.0 later"),
        ("RCPT", "450 4.2.1 greylisted"),
        ("RCPT", "421 4.7.0 too many"),
        ("DATA", "451 4.3.0 later"),
        ("DOT", "452 4.3.1 disk full"),
    ] {
        let relay = Relay::start();
        relay.refuse(place, reply, usize::MAX);
        let posthorn = plain(&relay);
        posthorn.leads([lead("L1")]).work();
        let row = rows(&posthorn).remove(0);
        assert_eq!(
            (row.state.as_str(), row.attempt, row.is_repeat),
            ("queued", 1, false),
            "{place} {reply}"
        );
        assert!((48 * SECOND..=72 * SECOND).contains(&row.due_in_ms), "{place}: {row:?}");
        work_after(&posthorn, 40 * SECOND);
        assert_eq!(rows(&posthorn)[0], row, "{place}: not before its time");
        work_after(&posthorn, 72 * SECOND);
        let second = rows(&posthorn).remove(0);
        assert_eq!((second.state.as_str(), second.attempt), ("queued", 2), "{place} {reply}");
        assert!(
            (72 + 96..=72 + 144).contains(&(second.due_in_ms / SECOND)),
            "{place}: twice as long: {second:?}"
        );
        relay.behave();
        work_after(&posthorn, 10 * MINUTE);
        assert_eq!(relay.mails().len(), 1, "{place}");
        assert_eq!(states(&posthorn), pairs(&[("desk@contoso.example", "sent")]), "{place}");
        assert_eq!(suppressed(&posthorn), [""; 0], "{place}");
        posthorn.audit_is_clean();
    }
}

/// What one connection can carry is not tried, and counted, on those that the relay does not take.
#[test]
fn a_relay_that_takes_fewer_connections_than_are_set_costs_no_attempt() {
    for pause_ms in [0, 20] {
        let relay = Relay::start();
        relay.take_at_once(2);
        relay.delay("DOT", Duration::from_millis(pause_ms), usize::MAX);
        let posthorn = plain(&relay);
        posthorn
            .setting("worker.connections", "8")
            .setting("policy.digest_threshold", "1000");
        posthorn.leads((1..=60).map(|n| lead(&format!("L{n}")))).work();
        let sent = rows(&posthorn).iter().filter(|row| row.state == "sent" && row.attempt == 1).count();
        assert_eq!((sent, relay.mails().len()), (60, 60));
        posthorn.audit_is_clean();
    }
}

/// R-RECIPIENT: a hard failure suppresses the address and resolves that notice once more.
#[test]
fn a_dead_address_is_suppressed_and_the_next_rung_is_told() {
    let relay = Relay::start();
    relay.refuse_address("desk@contoso.example", "550 5.1.1 no such user", usize::MAX);
    let posthorn = plain(&relay);
    posthorn.leads([lead("L1")]).work();
    assert_eq!(
        states(&posthorn),
        pairs(&[("desk@contoso.example", "failed"), ("admin@contoso.example", "sent")])
    );
    assert_eq!(suppressed(&posthorn), ["desk@contoso.example"]);
    // The next lead does not knock there again.
    posthorn.leads([lead("L2")]).work();
    let knocked = relay.lines().iter().filter(|line| line.contains("desk@contoso.example")).count();
    assert_eq!((knocked, relay.mails().len()), (1, 2));
    posthorn.audit_is_clean();
}

/// R-RECIPIENT: what says nothing about the address itself costs nobody the address.
#[test]
fn an_address_that_is_refused_for_policy_is_not_suppressed() {
    let relay = Relay::start();
    relay.refuse_address("desk@contoso.example", "550 5.7.1 looks like spam", 1);
    let posthorn = plain(&relay);
    posthorn.leads([lead("L1")]).work();
    assert_eq!(rows(&posthorn)[0].state, "failed");
    assert_eq!(suppressed(&posthorn), [""; 0]);
    posthorn.leads([lead("L2")]).work();
    assert!(relay.mails().iter().any(|mail| mail.recipient() == "desk@contoso.example"));
    posthorn.audit_is_clean();
}

#[test]
fn a_bare_refusal_suppresses_the_address_when_it_comes_again_a_day_later() {
    let relay = Relay::start();
    relay.refuse_address("desk@contoso.example", "550 no", usize::MAX);
    let posthorn = plain(&relay);
    for (id, after, expected) in [("L1", 0, 0), ("L2", DAY - MINUTE, 0), ("L3", DAY, 1)] {
        let now = Timestamp::from_millis(monday() + after).to_string();
        posthorn.at(&now).leads([lead(id)]).work();
        assert_eq!(suppressed(&posthorn).len(), expected, "{id}");
    }
    posthorn.audit_is_clean();
}

#[test]
fn a_message_that_is_refused_fails_and_its_address_is_untouched() {
    for (place, reply) in [
        ("DATA", "554 5.5.0 no"),
        ("DOT", "554 5.6.0 content refused"),
        ("DOT", "550 5.7.1 spam"),
    ] {
        let relay = Relay::start();
        relay.refuse(place, reply, 1);
        let posthorn = plain(&relay);
        posthorn.leads([lead("L1")]).work();
        assert_eq!(states(&posthorn), pairs(&[("desk@contoso.example", "failed")]), "{place} {reply}");
        assert_eq!(suppressed(&posthorn), [""; 0]);
        posthorn.leads([lead("L2")]).work();
        assert_eq!(relay.mails()[0].recipient(), "desk@contoso.example");
        posthorn.audit_is_clean();
    }
}

#[test]
fn a_mail_whose_reply_was_lost_is_sent_once_more_with_the_same_message_id() {
    let relay = Relay::start();
    relay.cut("DOT", 1);
    let posthorn = plain(&relay);
    posthorn.leads([lead("L1")]).work();
    let row = rows(&posthorn).remove(0);
    assert_eq!((row.state.as_str(), row.due_in_ms), ("in_doubt", 15 * MINUTE));
    work_after(&posthorn, 15 * MINUTE - 1);
    assert_eq!(relay.mails().len(), 1);
    work_after(&posthorn, 15 * MINUTE);
    let ids: Vec<String> = relay.mails().iter().map(message_id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    let row = rows(&posthorn).remove(0);
    assert_eq!((row.state.as_str(), row.is_repeat), ("sent", true));
    posthorn.audit_is_clean();
}

#[test]
fn a_mail_whose_reply_is_lost_twice_waits_for_ops() {
    let relay = Relay::start();
    relay.cut("DOT", usize::MAX);
    let posthorn = plain(&relay);
    posthorn.leads([lead("L1")]).work();
    for minutes in [15, 30, 60, 600] {
        work_after(&posthorn, minutes * MINUTE);
    }
    assert_eq!(relay.mails().len(), 2);
    assert_eq!(states(&posthorn), pairs(&[("desk@contoso.example", "in_doubt")]));
    posthorn.audit_is_clean();
}

#[test]
fn a_mail_in_doubt_is_kept_where_that_is_set() {
    let relay = Relay::start();
    relay.cut("DOT", 1);
    let posthorn = plain(&relay);
    posthorn.setting("worker.in_doubt", "hold");
    posthorn.leads([lead("L1")]).work();
    work_after(&posthorn, DAY);
    assert_eq!(states(&posthorn), pairs(&[("desk@contoso.example", "in_doubt")]));
    assert_eq!(relay.mails().len(), 1);
    posthorn.audit_is_clean();
}

#[test]
fn a_mail_cut_off_before_its_final_dot_is_no_doubt() {
    for place in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"] {
        let relay = Relay::start();
        relay.cut(place, 1);
        let posthorn = plain(&relay);
        posthorn.leads([lead("L1")]).work();
        let row = rows(&posthorn).remove(0);
        assert_eq!((row.state.as_str(), row.attempt, row.is_repeat), ("queued", 1, false), "{place}");
        work_after(&posthorn, 2 * MINUTE);
        assert_eq!(states(&posthorn), pairs(&[("desk@contoso.example", "sent")]), "{place}");
        assert_eq!(relay.mails().len(), 1, "{place}");
    }
}

#[test]
fn a_mail_is_given_up_in_the_end() {
    let relay = Relay::start();
    relay.refuse("RCPT", "450 4.2.1 later", usize::MAX);
    let posthorn = plain(&relay);
    posthorn.setting("smtp.give_up_after", "1h");
    posthorn.leads([lead("L1")]).work();
    for minutes in [5, 15, 30, 59] {
        work_after(&posthorn, minutes * MINUTE);
        assert_eq!(rows(&posthorn)[0].state, "queued", "after {minutes} minutes");
    }
    work_after(&posthorn, 120 * MINUTE);
    assert_eq!(rows(&posthorn)[0].state, "failed");
    assert_eq!(suppressed(&posthorn), [""; 0]);
    assert!(relay.mails().is_empty());
    posthorn.audit_is_clean();
}

#[test]
fn an_unreachable_relay_loses_nothing_and_is_no_error() {
    // A port at which nobody listens any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    let relay = Relay::start();
    let posthorn = plain(&relay);
    posthorn.setting(
        "smtp.relays",
        &format!("[{{ host = \"127.0.0.1\", port = {port}, tls = \"none\" }}]"),
    );
    posthorn.setting("worker.connections", "1");
    posthorn.leads((1..=5).map(|n| lead(&format!("L{n}")))).work();
    let waiting: Vec<(String, i64)> = rows(&posthorn).into_iter().map(|row| (row.state, row.attempt)).collect();
    let queued = |attempt| ("queued".to_owned(), attempt);
    // The first one finds out; the others wait for the relay without an attempt.
    assert_eq!(waiting, [queued(1), queued(0), queued(0), queued(0), queued(0)]);
    posthorn.audit_is_clean();
    // With a second relay, the first one's absence costs nothing.
    posthorn.setting(
        "smtp.relays",
        &format!(
            "[{{ host = \"127.0.0.1\", port = {port}, tls = \"none\" }}, {{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}]",
            relay.port()
        ),
    );
    work_after(&posthorn, 2 * MINUTE);
    assert_eq!(relay.mails().len(), 5);
    posthorn.audit_is_clean();
}

#[test]
fn a_relay_that_is_no_server_of_ours_takes_two_hundred_mails() {
    let Some(sink) = SmtpSink::start() else { return };
    let posthorn = Posthorn::sqlite();
    posthorn.setting("mail.transport", "smtp").setting("smtp.relays", &sink.relays());
    let partners: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    posthorn
        .rehearsal()
        .at(MONDAY)
        .partner_records(partners.iter().map(|id| partner(id)));
    posthorn
        .leads((0..200).map(|n| lead(&format!("L{n}")).partner(&partners[n / 10])))
        .work();
    let mails = sink.mails();
    assert_eq!(mails.len(), 200);
    let ids: std::collections::BTreeSet<&String> = mails.iter().map(|mail| &mail.message_id).collect();
    assert_eq!(ids.len(), 200);
    assert_eq!(
        number(&posthorn, "select count(*) as n from delivery where state = 'sent' and attempt = 1"),
        200
    );
    posthorn.audit_is_clean();
}
