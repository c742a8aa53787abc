//! What ops read: lists and single mails, digests, partners, action items, and how it is.

use posthorn::app::record::TryResult;
use posthorn::outbox::{Reply, Stage};
use serde_json::{Value, json};

use crate::support::inside::Inside;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};

const MONDAY: &str = "2026-03-02T09:00:00.000Z";

fn ids(answer: &Value) -> Vec<String> {
    let items = answer["value"].as_array().expect("a list");
    items.iter().map(|item| item["id"].to_string().replace('"', "")).collect()
}

/// Twelve leads of contoso of which two wait for the digest, and one of a partner without an address.
fn busy(posthorn: &Posthorn) -> Inside {
    let inside = Inside::new(posthorn, MONDAY);
    inside.partners([
        partner("contoso")
            .no_admins()
            .preferred("ada@contoso.example")
            .preferred("bob@contoso.example"),
        partner("nowhere").no_admins(),
    ]);
    inside.leads((1..=12).map(|i| lead(&format!("L{i:02}"))));
    inside.leads([lead("N").partner("nowhere"), lead("S").partner("stranger")]);
    inside
}

/// `R-STAGES`
#[test]
fn an_informational_lead_is_listed_without_a_status() {
    both(|posthorn| {
        posthorn.at(MONDAY).partner_records([partner("contoso")]);
        posthorn.leads([
            lead("C"),
            lead("I").offer("GetItNow"),
            lead("J").offer("FreeTrial").without("status").without("substatus"),
        ]);
        assert_eq!(
            ids(&posthorn.json(&["leads", "list", "--status", "New"])),
            ["C"],
            "the others have no stages"
        );
        let rows = posthorn.ok(&["leads", "list"]);
        let row = |id: &str| rows.lines().find(|row| row.starts_with(id)).expect("it is listed").to_owned();
        assert!(row("C\t").contains("New/Received"), "{rows}");
        assert!(!row("I\t").contains("New") && !row("J\t").contains("New"), "{rows}");
        posthorn.at("2026-03-20T09:00:00.000Z");
        let shown = posthorn.json(&["leads", "show", "I"]);
        assert_eq!(
            (&shown["status"], &shown["posthorn"]["stageSince"]),
            (&json!("New"), &Value::Null),
            "the portal's word"
        );
        assert_eq!(posthorn.json(&["leads", "show", "J"]).get("status"), None);
    });
}

/// `R-STAGES`
#[test]
fn leads_are_listed_as_they_are_now_newest_first() {
    both(|posthorn| {
        let mut inside = busy(posthorn);
        inside.at(posthorn, "2026-03-02T10:00:00.000Z").accept("L03");
        let listed = posthorn.json(&["leads", "list", "--partner", "contoso"]);
        assert_eq!(ids(&listed).len(), 12);
        assert_eq!(ids(&listed)[0], "L12", "of the same creation, the last taken in is the first");
        assert_eq!(
            listed["value"][9],
            posthorn.json(&["leads", "show", "L03"]),
            "the shape that `show` answers"
        );
        assert_eq!(ids(&posthorn.json(&["leads", "list", "--status", "active"])), ["L03"]);
        assert_eq!(
            ids(&posthorn.json(&["leads", "list", "--status", "New,Won", "--limit", "3"])),
            ["S", "N", "L12"]
        );
        posthorn.at("2026-03-16T08:00:00.000Z");
        assert_eq!(posthorn.ok(&["leads", "list", "--status", "Expired"]).lines().count(), 13);
        assert!(
            posthorn
                .refused(2, &["leads", "list", "--status", "Lots"])
                .contains("New, Active, Closed")
        );
    });
}

#[test]
fn the_history_of_a_lead_tells_what_was_decided_by_which_rule_and_by_whom() {
    both(|posthorn| {
        busy(posthorn);
        posthorn.at("2026-03-02T10:00:00.000Z");
        posthorn.ok(&["leads", "accept", "L03", "--by", "ada"]);
        let listed = posthorn.json(&["leads", "history", "L03"]);
        let decisions = listed["value"].as_array().expect("a list");
        let rules: Vec<&str> = decisions.iter().filter_map(|decision| decision["rule"].as_str()).collect();
        assert_eq!(rules.first(), Some(&"R-CHANNEL"), "the oldest first");
        assert_eq!(rules.last(), Some(&"R-ACCEPT"));
        assert_eq!(decisions[decisions.len() - 1]["by"], "ada");
        let text = posthorn.ok(&["leads", "history", "L03"]);
        assert_eq!(text.lines().count(), decisions.len(), "a line a decision");
        assert!(text.contains("\tR-ACCEPT\t"), "{text}");
        assert!(posthorn.refused(5, &["leads", "history", "L99"]).contains("L99"));
    });
}

/// `R-ACTION`
#[test]
fn action_items_are_listed_in_every_state_latest_change_first() {
    both(|posthorn| {
        let mut inside = busy(posthorn);
        inside.at(posthorn, "2026-03-02T10:00:00.000Z").accept("L03");
        let answer = posthorn.json(&["actions", "list", "--partner", "contoso"]);
        let items = answer["value"].as_array().expect("a list");
        assert_eq!(items.len(), 12);
        assert_eq!(
            items[0],
            json!({
                "id": "item-3", "version": 2, "leadId": "L03", "partnerId": "contoso", "title": "New lead from Customer L03",
                "text": "Deal L03. This lead has been answered.", "link": items[0]["link"], "dueDateTime": "2026-03-16T08:00:00.000Z",
                "category": "recommended", "urgency": null, "expiring": false, "state": "done", "archived": false
            })
        );
        assert!(
            posthorn
                .refused(5, &["actions", "list", "--partner", "nobody"])
                .contains("no partner nobody is known here")
        );
        assert_eq!(
            posthorn.json(&["actions", "list", "--partner", "stranger"])["value"]
                .as_array()
                .map(Vec::len),
            Some(1)
        );
    });
}

/// `R-DIGEST`: urgent first, then newest.
#[test]
fn a_preview_names_the_leads_as_its_mail_lists_them() {
    let posthorn = Posthorn::sqlite();
    posthorn
        .at("2026-03-02T10:00:00Z")
        .partner_records([partner("contoso").threshold(0)]);
    posthorn.leads([
        lead("L1").created("2026-03-02T08:00:00Z"),
        lead("L2").created("2026-03-02T09:00:00Z"),
        lead("L3").created("2026-03-02T07:00:00Z").urgent(),
    ]);
    let preview = &posthorn.json(&["digest", "preview", "contoso"])["value"][0];
    assert_eq!(preview["leads"], json!(["L3", "L2", "L1"]));
}

/// `R-DIGEST`: a dry run is the run, rolled back.
#[test]
fn a_digest_is_previewed_dry_run_and_run_early() {
    both(|posthorn| {
        let inside = busy(posthorn);
        inside.sql("insert into opt_out (partner_id, address, at) values ('contoso', 'bob@contoso.example', 1)");
        let listed = posthorn.json(&["digest", "list"]);
        assert_eq!(
            (&listed["value"][0]["state"], &listed["value"][0]["leads"]),
            (&json!("collecting"), &json!(2))
        );

        let dry = posthorn.json(&["digest", "run", "--all", "--dry-run"]);
        assert_eq!(
            dry,
            json!({ "dryRun": true, "mails": 1, "value": [{
                "partnerId": "contoso", "digestId": 1, "leads": 2, "mails": [{ "address": "ada@contoso.example", "leads": 2 }],
                "silenced": [{ "address": "bob@contoso.example", "why": "has unsubscribed" }], "suppressed": [], "noMail": null
            }] })
        );
        let preview = posthorn.ok(&["digest", "preview", "contoso"]);
        assert!(
            preview.contains("To: ada@contoso.example") && preview.contains("Customer L11") && preview.contains("Customer L12"),
            "{preview}"
        );
        assert!(posthorn.ok(&["digest", "preview", "contoso", "--html"]).contains("</html>"));
        assert_eq!(
            posthorn.json(&["digest", "list"])["value"][0]["state"],
            "collecting",
            "nothing was changed"
        );

        let unknown = posthorn.refused(5, &["digest", "run", "--partner", "contoso", "nobody", "--yes"]);
        assert!(unknown.contains("no partner nobody is known here"), "{unknown}");
        let asked = posthorn.refused(5, &["digest", "run", "--partner", "contoso", "nowhere"]);
        assert!(asked.contains("this would close 1 digest and send 1 mail"), "{asked}");
        posthorn.setting("policy.confirm_above", "0");
        let asked = posthorn.refused(5, &["digest", "run", "--partner", "contoso"]);
        assert!(asked.contains("this would close 1 digest and send 1 mail"), "{asked}");
        posthorn
            .setting("policy.confirm_above", "1")
            .ok(&["digest", "run", "--partner", "contoso"]);
        let closed = posthorn.json(&["digest", "list", "--partner", "contoso"]);
        assert_eq!(
            (&closed["value"][0]["closedBy"], &closed["value"][0]["notice"]),
            (&json!("manual"), &json!("pending"))
        );
        let nothing = posthorn.ok(&["digest", "run", "--partner", "contoso"]);
        assert!(nothing.contains("no lead waits for a digest"), "{nothing}");
    });
}

#[test]
fn mails_are_listed_and_shown_with_every_attempt() {
    both(|posthorn| {
        let mut inside = busy(posthorn);
        for letter in inside.claim() {
            let result = match letter.delivery.id {
                1 => TryResult::Refused(Stage::FinalDot, Reply::new(554, "5.6.0 no")),
                2 => TryResult::ReplyLost("timed out".into()),
                _ => TryResult::Accepted(Some(Reply::new(250, "2.0.0 ok"))),
            };
            inside.outcome(letter, result);
        }
        inside.at(posthorn, "2026-03-02T17:00:00.000Z").fire().send(&[]);
        let all = posthorn.json(&["deliveries", "list"]);
        assert_eq!(
            ids(&all),
            (1..=22).rev().map(|id| id.to_string()).collect::<Vec<_>>(),
            "latest first, complete"
        );
        assert_eq!(ids(&posthorn.json(&["deliveries", "list", "--limit", "2"])), ["22", "21"]);
        assert_eq!(
            ids(&posthorn.json(&["deliveries", "list", "--state", "failed,in_doubt"])),
            ["2", "1"]
        );
        assert_eq!(ids(&posthorn.json(&["deliveries", "list", "--partner", "nowhere"])).len(), 0);
        assert_eq!(
            ids(&posthorn.json(&["deliveries", "list", "--lead", "L11"])),
            ["22", "21"],
            "also in a digest"
        );
        let failed = &posthorn.json(&["deliveries", "list", "--state", "failed"])["value"][0];
        assert_eq!(
            (&failed["kind"], &failed["leadId"], &failed["attempts"], &failed["reason"]),
            (
                &json!("lead"),
                &json!("L01"),
                &json!(1),
                &json!("refused at final dot: 554 5.6.0 no")
            )
        );
        let shown = posthorn.json(&["deliveries", "show", "1"]);
        assert_eq!(
            (&shown["messageId"], &shown["attempts"][0]["code"]),
            (&failed["messageId"], &json!(554))
        );
        assert!(failed["messageId"].as_str().is_some_and(|id| id.ends_with("@portal.example")));
        assert!(posthorn.ok(&["deliveries", "show", "2"]).contains("is in doubt"));
        assert!(posthorn.refused(5, &["deliveries", "show", "x"]).contains("there is no delivery x"));
        assert!(
            posthorn
                .refused(5, &["deliveries", "list", "--lead", "nope"])
                .contains("there is no lead nope")
        );
    });
}

/// `R-RECIPIENT`
#[test]
fn partners_are_listed_with_where_their_mail_goes() {
    both(|posthorn| {
        busy(posthorn);
        assert_eq!(ids(&posthorn.json(&["partners", "list"])), ["contoso", "nowhere"]);
        let unroutable = posthorn.json(&["partners", "list", "--unroutable"]);
        assert_eq!(ids(&unroutable), ["nowhere", "stranger"]);
        assert_eq!(unroutable["value"][1]["isKnown"], false);
        let shown = posthorn.json(&["partners", "show", "contoso"]);
        assert_eq!(shown["preferredEmails"][0]["email"], "ada@contoso.example");
        assert_eq!(
            (&shown["posthorn"]["dayCount"], &shown["posthorn"]["digestLeads"]),
            (&json!(12), &json!(2))
        );
        assert!(
            posthorn
                .ok(&["partners", "show", "contoso"])
                .contains("goes to ada@contoso.example and bob@contoso.example")
        );
        posthorn.refused(5, &["partners", "show", "stranger"]);
    });
}

#[test]
fn status_says_what_waits_and_what_needs_somebody() {
    both(|posthorn| {
        let mut inside = busy(posthorn);
        inside.leads([lead("bad").without("createdDateTime")]);
        let status = posthorn.json(&["status"]);
        let engine = if posthorn.is_postgres() { "postgres" } else { "sqlite" };
        assert_eq!(
            (&status["mode"], &status["engine"], &status["rehearsal"], &status["workers"]),
            (&json!("live"), &json!(engine), &json!(false), &json!([]))
        );
        assert_eq!(
            status["backlog"],
            json!([{ "kind": "lead", "pending": 10, "queued": 0, "due": 10, "oldestDueSeconds": 0 }])
        );
        assert_eq!(
            (&status["heldLeads"], &status["rejectedOpen"], &status["nextDue"]["dateTime"]),
            (&json!(2), &json!(1), &json!(MONDAY))
        );
        inside.at(posthorn, "2026-03-02T09:30:00.000Z").send(&[]);
        let page = posthorn.ok(&["status"]);
        for said in [
            "Next due 2026-03-02 17:00 UTC: a digest fires.",
            "sent         20",
            "2 leads wait for their partners to have an address: nowhere (1), stranger (1)",
            "1 record is rejected: `posthorn rejected list`",
        ] {
            assert!(page.contains(said), "{said}\n{page}");
        }
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    });
}

/// The health check of a container: 0 where the database can be read, else 4.
#[test]
fn status_fails_where_the_database_cannot_be_read() {
    let posthorn = Posthorn::sqlite();
    posthorn.unmigrated();
    assert!(posthorn.refused(4, &["status"]).contains("posthorn migrate"));
    Inside::new(&posthorn, MONDAY);
    posthorn.setting("mode", "dry").ok(&["status"]);
    assert!(posthorn.ok(&["status"]).contains("Mode "));
}
