//! What goes wrong between the binary and its relays, one file per group of faults. Each test ends in counts: mails lost, which is none, and mails that
//! came twice, which are those that were in doubt.
//!
//! Elsewhere: what a single refusal means (`relay`), deaths (`kill`, `crash`), a full disk (`disk_full`), a worker that stands still (`serve`).

mod failover;
mod late;
mod pacing;
mod restart;
mod storm;
mod tls;
mod verbs;

use std::collections::BTreeSet;

use posthorn::clock::wall_now;
use posthorn::time::Timestamp;

use crate::support::database::{number, query};
use crate::support::ledger::message_id;
use crate::support::posthorn::{Posthorn, Running};
use crate::support::records::{Lead, Partner, lead, partner};
use crate::support::smtp::Relay;

const MONDAY: &str = "2026-03-02T09:00:00.000Z";
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Returns an instant so many milliseconds after Monday at nine.
fn after(ms: i64) -> String {
    let monday: Timestamp = MONDAY.parse().expect("a literal instant");
    Timestamp::from_millis(monday.as_millis() + ms).to_string()
}

/// Names a relay in `smtp.relays`, in plain, with more keys such as `, rate = "5/s"`.
fn entry(relay: &Relay, more: &str) -> String {
    format!("{{ host = \"127.0.0.1\", port = {}, tls = \"none\"{more} }}", relay.port())
}

/// Sets the relays, and a threshold below which no lead waits for a digest.
fn with_relays(posthorn: &Posthorn, entries: &[String]) {
    posthorn
        .setting("mail.transport", "smtp")
        .setting("smtp.relays", &format!("[{}]", entries.join(", ")))
        .setting("policy.digest_threshold", "1000");
}

/// Partners `p1` … `pN`, each with one address in a domain of its own.
fn partners(n: usize) -> Vec<Partner> {
    (1..=n)
        .map(|i| partner(&format!("p{i}")).no_admins().admin(&format!("admin@p{i}.example")))
        .collect()
}

/// Leads `NAME1` … `NAMEn`, one for each of so many partners in turn.
fn leads(name: &str, n: usize, n_partners: usize) -> Vec<Lead> {
    (0..n)
        .map(|i| lead(&format!("{name}{}", i + 1)).partner(&format!("p{}", i % n_partners + 1)))
        .collect()
}

/// The same, created just now: for workers on the real clock.
fn new_leads(name: &str, n: usize, n_partners: usize) -> Vec<Lead> {
    let now = wall_now().to_string();
    leads(name, n, n_partners).into_iter().map(|lead| lead.created(&now)).collect()
}

/// A rehearsal on Monday at nine.
fn rehearsal(entries: &[String], n_partners: usize) -> Posthorn {
    let posthorn = Posthorn::sqlite();
    with_relays(&posthorn, entries);
    posthorn.rehearsal().at(MONDAY).partner_records(partners(n_partners));
    posthorn
}

fn in_state(posthorn: &Posthorn, state: &str) -> i64 {
    number(posthorn, &format!("select count(*) as n from delivery where state = '{state}'"))
}

/// What came of a test: mails that relays have, of them repeats, mails that failed for good, attempts after which a mail was in doubt.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    n_told: usize,
    n_repeats: usize,
    n_failed: i64,
    n_doubts: i64,
}

/// Counts, and demands that nothing is lost: what is recorded as sent is what relays have, and nothing is unfinished.
#[track_caller]
fn counts(posthorn: &Posthorn, relays: &[&Relay]) -> Counts {
    let mails: Vec<String> = relays
        .iter()
        .flat_map(|relay| relay.mails())
        .map(|mail| message_id(&mail))
        .collect();
    let told: BTreeSet<&String> = mails.iter().collect();
    let open = query(
        posthorn,
        "select cast(id as text), state, reason from delivery where state in ('queued', 'sending', 'in_doubt')",
    );
    assert!(open.is_empty(), "unfinished: {open:#?}");
    assert_eq!(
        in_state(posthorn, "sent") as usize,
        told.len(),
        "recorded as sent is what relays have"
    );
    posthorn.audit_is_clean();
    Counts {
        n_told: told.len(),
        n_repeats: mails.len() - told.len(),
        n_failed: in_state(posthorn, "failed"),
        n_doubts: number(posthorn, "select count(*) as n from attempt where outcome = 'in_doubt'"),
    }
}

/// The relays as `status` shows them: name and state.
fn relay_states(posthorn: &Posthorn) -> Vec<String> {
    let status = posthorn.json(&["status"]);
    let relays = status["relays"].as_array().expect("a list");
    relays
        .iter()
        .map(|relay| relay["state"].as_str().expect("a text").to_owned())
        .collect()
}

/// Waits until nothing is unfinished, and ends a server.
#[track_caller]
fn finish(posthorn: &Posthorn, server: &mut Running) {
    server.until("all mails are out", || {
        number(
            posthorn,
            "select (select count(*) from notice where state = 'pending')
             + (select count(*) from delivery where state in ('queued', 'sending', 'in_doubt')) as n",
        ) == 0
    });
    stop(server);
}

#[track_caller]
fn stop(server: &mut Running) {
    server.signal("TERM");
    let output = server.wait();
    assert_eq!(output.code, 0, "{output}");
}
