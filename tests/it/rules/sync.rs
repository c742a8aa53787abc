//! The portal answers, too.

use serde_json::json;

use super::linked;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, ndjson, partner};

fn stage(posthorn: &Posthorn, id: &str) -> String {
    let shown = posthorn.json(&["leads", "show", id]);
    format!(
        "{}/{}",
        shown["status"].as_str().unwrap_or_default(),
        shown["substatus"].as_str().unwrap_or_default()
    )
}

fn quiet(posthorn: &Posthorn, lead: Lead) {
    let file = posthorn.file("quiet.ndjson", &ndjson([lead]));
    posthorn.ok(&["import", "--no-notify", &file]);
}

/// `R-SYNC`: every pair of stages: what ours can reach is a transition, what it cannot leaves the stage.
#[test]
fn an_update_moves_a_lead_where_its_stage_allows() {
    let stages = [
        ("New", "Received"),
        ("Active", "Accepted"),
        ("Closed", "Won"),
        ("Closed", "Lost"),
        ("Closed", "Declined"),
        ("Closed", "Expired"),
    ];
    both(|posthorn| {
        posthorn.setting("portal.lead_desk", "desk@portal.example");
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(100)]);
        let mut records = Vec::new();
        for (from, (status, substatus)) in stages.iter().enumerate() {
            for (to, (then, then_sub)) in stages.iter().enumerate() {
                let id = format!("L{from}{to}");
                records.push(lead(&id).status(status, substatus));
                records.push(lead(&id).status(then, then_sub).updated("2026-03-02T09:00:00Z"));
            }
        }
        posthorn.leads(records);
        for (from, (status, substatus)) in stages.iter().enumerate() {
            for (to, (then, then_sub)) in stages.iter().enumerate() {
                let is_reached = matches!((from, to), (0, _) | (1, 2 | 3)) || from == to;
                let expected = if is_reached {
                    format!("{then}/{then_sub}")
                } else {
                    format!("{status}/{substatus}")
                };
                assert_eq!(
                    stage(posthorn, &format!("L{from}{to}")),
                    expected,
                    "{status}/{substatus} to {then}/{then_sub}"
                );
            }
        }
        posthorn.work();
        assert_eq!(
            posthorn.mails().iter().flat_map(linked).collect::<Vec<_>>(),
            ["L00"],
            "only the one that is still open is mailed"
        );
        posthorn.at("2026-03-02T12:00:00Z").work();
        assert_eq!(
            posthorn.mails().len(),
            1,
            "no decline and no expiry mail: who decided it has told them"
        );
        posthorn.audit_is_clean();
    });
}

/// `R-SYNC`: a moved expiry moves what time does to an unanswered lead; it revives no expired one.
#[test]
fn a_moved_expiry_moves_the_due_instants() {
    both(|posthorn| {
        posthorn.setting("portal.lead_desk", "desk@portal.example");
        posthorn.at("2026-03-02T10:00:00Z").partner_records([partner("contoso")]);
        posthorn.leads([
            lead("later").expires("2026-03-10T00:00:00Z"),
            lead("sooner").expires("2026-03-30T00:00:00Z"),
            lead("past").expires("2026-03-30T00:00:00Z"),
            lead("unset"),
            lead("marked").expires("2026-03-05T11:00:00Z"),
        ]);
        posthorn.at("2026-03-03T10:00:00Z").work();
        let shown = |id: &str| posthorn.json(&["leads", "show", id]);
        assert_eq!(shown("marked")["posthorn"]["expiring"], true);
        let update = |id: &str| lead(id).updated("2026-03-03T09:00:00Z");
        posthorn.leads([
            update("later").expires("2026-03-20T00:00:00Z"),
            update("sooner").expires("2026-03-05T00:00:00.000Z"),
            update("past").expires("2026-03-03T10:00:00.000Z"),
            update("unset").with("name", "No expiry in this one either"),
            update("marked").expires("2026-03-05T12:00:00Z"),
        ]);
        assert_eq!(shown("past")["substatus"], "Expired", "at once, inclusive");
        assert_eq!(
            shown("marked")["posthorn"]["expiring"],
            true,
            "an hour more leaves it within its last 72"
        );
        assert_eq!(
            shown("sooner")["posthorn"]["expiring"],
            true,
            "38 hours are left, and it did not arrive so"
        );
        assert_eq!(shown("unset")["expirationDateTime"], "2026-03-16T08:00:00.000Z");
        for (at, expired) in [
            ("2026-03-04T23:59:59.999Z", &["past"][..]),
            ("2026-03-05T00:00:00.000Z", &["past", "sooner"]),
            ("2026-03-16T07:59:59.999Z", &["past", "sooner", "marked"]),
            ("2026-03-16T08:00:00.000Z", &["past", "sooner", "marked", "unset"]),
            ("2026-03-20T00:00:00.000Z", &["past", "sooner", "marked", "unset", "later"]),
        ] {
            posthorn.at(at).work();
            for id in ["past", "sooner", "marked", "unset", "later"] {
                assert_eq!(shown(id)["substatus"] == "Expired", expired.contains(&id), "{id} at {at}");
            }
        }
        posthorn.leads([lead("past")
            .updated("2026-03-19T00:00:00Z")
            .expires("2026-04-30T00:00:00Z")
            .customer("Ada Byron")
            .with("name", "Back?")]);
        let past = shown("past");
        assert_eq!(
            (&past["substatus"], &past["customerProfile"]["team"]),
            (&json!("Expired"), &json!([]))
        );
        assert!(
            !past.to_string().contains("ada@fabrikam") && !past.to_string().contains("Market Street"),
            "{past}"
        );
        assert!(
            !past.to_string().contains("Byron"),
            "a person's name as the customer's is contact data, too: {past}"
        );
        let desk: Vec<String> = posthorn
            .at("2026-03-20T01:00:00Z")
            .work()
            .mails_of("expiry")
            .iter()
            .flat_map(linked)
            .collect();
        assert_eq!(desk, ["past", "sooner", "marked", "unset", "later"], "each once, in its hour");
    });
}

/// `R-SYNC`: an answer elsewhere takes back what was still to be told, singly and in the digest.
#[test]
fn an_answer_elsewhere_takes_back_what_was_still_to_be_told() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(2)]);
        posthorn.leads([
            lead("A").created("2026-03-02T07:00:00Z"),
            lead("B").created("2026-03-02T07:00:01Z"),
            lead("C").created("2026-03-02T07:00:02Z"),
            lead("D").created("2026-03-02T07:00:03Z"),
        ]);
        let update = |id: &str, status: &str, substatus: &str| lead(id).updated("2026-03-02T10:00:00Z").status(status, substatus);
        posthorn.leads([update("A", "Closed", "Won"), update("C", "Active", "None")]).work();
        assert_eq!(posthorn.mails_of("lead").iter().flat_map(linked).collect::<Vec<_>>(), ["B"]);
        assert_eq!(stage(posthorn, "C"), "Active/Accepted");
        posthorn.at("2026-03-02T17:00:00Z").work();
        assert_eq!(posthorn.mails_of("digest").iter().flat_map(linked).collect::<Vec<_>>(), ["D", "B"]);
        posthorn.audit_is_clean();
    });
}

/// `R-BACKFILL`: taken in as history: nobody is told, then or later.
#[test]
fn history_tells_nobody_then_or_later() {
    both(|posthorn| {
        posthorn
            .setting("portal.lead_desk", "desk@portal.example")
            .setting("policy.remind_by_mail", "true");
        posthorn.at("2026-03-02T10:00:00Z").partner_records([partner("contoso")]);
        for id in ["open", "declined", "moved", "urgent"] {
            quiet(posthorn, lead(id).urgent());
        }
        posthorn.work();
        posthorn.leads([lead("moved").updated("2026-03-02T09:00:00Z").expires("2026-04-30T00:00:00Z")]);
        posthorn.ok(&["leads", "decline", "declined", "--reason", "No capacity"]);
        for at in [
            "2026-03-02T17:00:00Z",
            "2026-03-05T08:00:00Z",
            "2026-03-13T08:00:00Z",
            "2026-03-16T08:00:00Z",
            "2026-03-16T10:00:00Z",
            "2026-05-05T00:00:00Z",
        ] {
            posthorn.at(at).work();
        }
        assert!(posthorn.mails_of("lead").is_empty() && posthorn.mails_of("digest").is_empty());
        assert!(posthorn.mails_of("reminder").is_empty() && posthorn.mails_of("expiry").is_empty());
        assert_eq!(stage(posthorn, "open"), "Closed/Expired", "it expires all the same");
        let shown = posthorn.json(&["leads", "show", "open"]);
        assert_eq!(
            (&shown["posthorn"]["dayNumber"], &shown["posthorn"]["channel"]),
            (&json!(null), &json!(null))
        );
        posthorn.audit_is_clean();
    });
}

/// `R-BACKFILL`: what would send more mails than is sent unasked asks; each address counts, a digest counts once.
#[test]
fn the_mails_that_a_file_would_send_are_counted_first() {
    both(|posthorn| {
        posthorn.setting("policy.confirm_above", "5").at("2026-03-02T10:00:00Z");
        posthorn.partner_records([partner("contoso")
            .threshold(2)
            .preferred("a@x.example")
            .preferred("b@x.example")
            .preferred_silenced("c@x.example")]);
        let leads = |n: u32| -> String { ndjson((0..n).map(|n| lead(&format!("L{n}")))) };
        let noise = ndjson([
            lead("L0").updated("2026-03-02T09:00:00Z"),
            lead("i").offer("GetItNow"),
            lead("w").status("Closed", "Won"),
            lead("t").with("type", "Shared"),
        ]);
        let file = posthorn.file("six.ndjson", &format!("{}{noise}", leads(9)));
        let told = posthorn.refused(5, &["import", &file]);
        assert!(
            told.contains("6 mails") && told.contains("--yes"),
            "two singles and a digest, to two addresses each: {told}"
        );
        posthorn.refused(5, &["leads", "show", "L0"]);
        let file = posthorn.file("four.ndjson", &format!("{}{noise}", leads(2)));
        posthorn.ok(&["import", &file]);
        let file = posthorn.file("six.ndjson", &format!("{}{noise}", leads(9)));
        posthorn.ok(&["import", &file]);
        posthorn.at("2026-03-03T10:00:00Z");
        let next = |prefix: &str| ndjson((0..9).map(|n| lead(&format!("{prefix}{n}"))));
        let file = posthorn.file("quiet.ndjson", &next("Q"));
        posthorn.ok(&["import", "--no-notify", &file]);
        let file = posthorn.file("more.ndjson", &next("M"));
        posthorn.refused(5, &["import", &file]);
        let output = posthorn.run_with(&["import", "-"], &next("M"));
        assert_eq!(output.code, 0, "programs are not asked\n{output}");
        let file = posthorn.file("last.ndjson", &next("N"));
        posthorn.ok(&["import", "--yes", &file]);
        posthorn.audit_is_clean();
    });
}
