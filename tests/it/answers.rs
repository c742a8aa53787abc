//! A partner answers a lead, and the lead shows it.

use serde_json::{Value, json};

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};

const NOW: &str = "2026-03-02T09:00:00.000Z";
const AFTER_EXPIRY: &str = "2026-03-16T08:00:00.000Z";

fn ready(posthorn: &Posthorn) -> &Posthorn {
    posthorn.at(NOW).partner_records([partner("contoso")])
}

/// `R-ACCEPT`, `R-SYNC`: what is added later to a lead that was accepted in the portal leaves when that was.
#[test]
fn an_edit_does_not_move_when_a_lead_was_accepted() {
    both(|posthorn| {
        let accepted = lead("L1").status("Active", "Accepted").updated("2026-03-02T08:45:00Z");
        ready(posthorn)
            .leads([lead("L1")])
            .leads([accepted.with("acceptedDateTime", "2026-03-02T08:30:00Z")]);
        posthorn.at("2026-03-04T09:00:00Z");
        let edited = posthorn.json(&["leads", "edit", "L1", "--notes", "Called."]);
        let since = json!("2026-03-02T08:30:00.000Z");
        assert_eq!((&edited["acceptedDateTime"], &edited["posthorn"]["stageSince"]), (&since, &since));
        assert_eq!(edited["posthorn"]["answer"]["acceptedDateTime"], since);
    });
}

/// `R-ACCEPT`
#[test]
fn what_was_said_when_a_lead_was_accepted_is_shown_with_it() {
    both(|posthorn| {
        ready(posthorn).leads([lead("L1")]);
        let accept = [
            "leads",
            "accept",
            "L1",
            "--deal-name",
            "CRM for 40 seats",
            "--value",
            "12500.50",
            "--currency",
            "eur",
            "--by",
            "ada",
        ];
        let more = [
            "--closing",
            "2026-12-31",
            "--crm-id",
            "C7",
            "--campaign-id",
            "K1",
            "--notes",
            "Called.",
            "--team",
        ];
        let accepted = posthorn.json(&[&accept[..], &more, &["Ada Byron, +44 113 496 0000, ada@contoso.example"]].concat());
        assert_eq!(accepted, posthorn.json(&["leads", "show", "L1"]));
        for (pointer, expected) in [
            ("/status", json!("Active")),
            ("/substatus", json!("Accepted")),
            ("/acceptedDateTime", json!(NOW)),
            ("/name", json!("CRM for 40 seats")),
            ("/details/dealValue", json!(12500.5)),
            ("/details/currency", json!("EUR")),
            ("/details/closingDateTime", json!("2026-12-31T00:00:00.000Z")),
            ("/details/notes", json!("Please call.")),
            ("/posthorn/answer/notes", json!("Called.")),
            ("/posthorn/answer/crmId", json!("C7")),
            ("/posthorn/answer/campaignId", json!("K1")),
            ("/posthorn/answer/team/0/email", json!("ada@contoso.example")),
            ("/customerProfile/team/0/email", json!("ada@fabrikam.example")),
        ] {
            assert_eq!(accepted.pointer(pointer), Some(&expected), "{pointer}");
        }

        let edited = posthorn.json(&["leads", "edit", "L1", "--closing", "2027-01-31"]);
        assert_eq!(edited["details"]["closingDateTime"], "2027-01-31T00:00:00.000Z");
        assert_eq!(edited["details"]["dealValue"], 12500.5, "what is not named stays");
        let won = posthorn.json(&["leads", "won", "L1", "--value", "13000", "--currency", "EUR"]);
        assert_eq!((&won["substatus"], &won["details"]["dealValue"]), (&json!("Won"), &json!(13000)));
    });
}

/// `R-STAGES`
#[test]
fn each_stage_takes_the_answers_that_lead_on_from_it_and_no_others() {
    both(|posthorn| {
        ready(posthorn);
        let answers: [(&str, &[&str]); 5] = [
            ("accept", &[]),
            ("decline", &["--reason", "No capacity"]),
            ("won", &[]),
            ("lost", &["--notes", "Chose another"]),
            ("edit", &["--notes", "New"]),
        ];
        let ids = (0..5).flat_map(|nth| answers.map(|(verb, _)| format!("{nth}-{verb}")));
        posthorn.leads(ids.map(|id| lead(&id)));
        for (nth, (substatus, status, steps, taken)) in [
            ("Received", "New", &[][..], &["accept", "decline"][..]),
            ("Accepted", "Active", &["accept"], &["won", "lost", "edit"]),
            ("Declined", "Closed", &["decline"], &[]),
            ("Won", "Closed", &["accept", "won"], &[]),
            ("Lost", "Closed", &["accept", "lost"], &[]),
        ]
        .into_iter()
        .enumerate()
        {
            for (verb, rest) in answers {
                let id = format!("{nth}-{verb}");
                let say = |verb: &str, rest: &[&str]| posthorn.run(&[&["leads", verb, &id], rest].concat());
                for step in steps {
                    let rest = answers.iter().find(|(verb, _)| verb == step).map_or(&[][..], |(_, rest)| rest);
                    assert_eq!(say(step, rest).code, 0, "{step} on the way to {substatus}");
                }
                let output = say(verb, rest);
                if taken.contains(&verb) {
                    assert_eq!(output.code, 0, "{verb} of {substatus}\n{output}");
                } else {
                    assert_eq!(output.code, 5, "{verb} of {substatus}\n{output}");
                    let state = format!("lead {id} is {status}/{substatus} since {NOW}");
                    let since_created = state.replace(NOW, "2026-03-02T08:00:00.000Z");
                    assert!(output.stderr.contains(&state) || output.stderr.contains(&since_created), "{output}");
                }
            }
        }
    });
}

/// `R-STAGES`
#[test]
fn what_has_no_stages_takes_no_answer() {
    both(|posthorn| {
        ready(posthorn).leads([lead("I1").offer("GetItNow")]);
        let told = posthorn.refused(5, &["leads", "accept", "I1"]);
        assert!(
            told.contains("lead I1 is informational: nobody has to answer it, so it has no stages"),
            "{told}"
        );
        for verb in ["show", "accept", "won", "lost"] {
            assert_eq!(
                posthorn.refused(5, &["leads", verb, "L9"]),
                "posthorn: there is no lead L9\n",
                "{verb}"
            );
        }
    });
}

/// `R-DECLINE`
#[test]
fn a_decline_says_why() {
    both(|posthorn| {
        ready(posthorn).leads([lead("L1"), lead("L2")]);
        let declined = posthorn.json(&[
            "leads",
            "decline",
            "L1",
            "--reason",
            "No capacity",
            "--notes",
            "Until May.",
            "--no-customer-mail",
        ]);
        assert_eq!(
            (&declined["substatus"], &declined["statusReason"]),
            (&json!("Declined"), &json!("No capacity"))
        );
        assert_eq!(declined["posthorn"]["answer"]["notes"], "Until May.");
        posthorn.refused(2, &["leads", "decline", "L2"]);
        posthorn.refused(2, &["leads", "decline", "L2", "--reason", " "]);
        assert_eq!(posthorn.json(&["leads", "show", "L2"])["substatus"], "Received");
    });
}

/// `R-EXPIRY`: from that instant on, whether or not the clock has written it.
#[test]
fn an_expired_lead_hides_the_customer_and_takes_no_answer() {
    both(|posthorn| {
        ready(posthorn).leads([lead("L1")]);
        posthorn.at("2026-03-16T07:59:59.999Z");
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["substatus"], "Received");
        posthorn.at(AFTER_EXPIRY);
        let shown = posthorn.json(&["leads", "show", "L1"]);
        assert_eq!((&shown["status"], &shown["substatus"]), (&json!("Closed"), &json!("Expired")));
        let page = posthorn.ok(&["leads", "show", "L1"]);
        for secret in ["ada@fabrikam.example", "Byron", "+44 113 496 0000", "1 Market Street"] {
            assert!(!shown.to_string().contains(secret), "{secret}: {shown}");
            assert!(!page.contains(secret), "{secret}\n{page}");
        }
        assert!(
            page.contains("Leeds") && page.contains("hidden, since the lead has expired"),
            "{page}"
        );
        let told = posthorn.refused(5, &["leads", "accept", "L1"]);
        assert!(
            told.contains("lead L1 is Closed/Expired since 2026-03-16T08:00:00.000Z; only a lead in New/Received can be accepted"),
            "{told}"
        );
    });
}

#[test]
fn a_lead_is_shown_as_it_came_unknown_fields_included() {
    both(|posthorn| {
        ready(posthorn).leads([lead("L1").urgent().with("custom.colour", "blue").with("eTag", "abc")]);
        let shown = posthorn.json(&["leads", "show", "L1"]);
        assert_eq!((&shown["custom"]["colour"], &shown["eTag"]), (&json!("blue"), &json!("abc")));
        assert_eq!(shown["posthorn"]["urgency"], "urgent");
        assert_eq!(shown["posthorn"]["channel"], "single");
        let page = posthorn.ok(&["leads", "show", "L1"]);
        for said in [
            "Customer L1",
            "New/Received since 2026-03-02T08:00:00.000Z",
            "urgent",
            "as number 1 of",
            "Ada Byron",
            "1000 GBP",
        ] {
            assert!(page.contains(said), "{said}\n{page}");
        }
        posthorn.at("2026-03-05T08:00:00.000Z");
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["posthorn"]["urgency"], "cooled", "72 h");
    });
}

#[test]
fn what_makes_no_sense_is_refused_before_it_is_asked_of_the_lead() {
    let posthorn = Posthorn::sqlite();
    ready(&posthorn).leads([lead("L1")]);
    posthorn.ok(&["leads", "accept", "L1"]);
    for line in [
        &["leads", "edit", "L1"][..],
        &["leads", "edit", "L1", "--value", "5"],
        &["leads", "won", "L1", "--value", "5,00", "--currency", "EUR"],
        &["leads", "edit", "L1", "--closing", "soon"],
    ] {
        posthorn.refused(2, line);
    }
    assert_eq!(posthorn.json(&["leads", "show", "L1"])["details"]["closingDateTime"], Value::Null);
}
