//! What time does to a lead: cooled, reminded of, expired, archived.

use serde_json::{Value, json};

use super::{linked, n_mails, receivers};
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};

fn shown(posthorn: &Posthorn, id: &str) -> Value {
    posthorn.json(&["leads", "show", id])
}

/// `R-EXPIRY`: exactly 14 × 24 hours, whatever the clocks do, or its own instant; told whether or not the clock has come round.
#[test]
fn an_unanswered_lead_expires_to_the_millisecond() {
    both(|posthorn| {
        posthorn
            .at("2026-03-20T10:00:00Z")
            .partner_records([partner("contoso").zone("Europe/Berlin")]);
        posthorn.leads([
            lead("own")
                .created("2026-03-20T09:00:00.500Z")
                .expires("2026-04-04T00:00:00.0010000Z"),
            lead("default").created("2026-03-20T09:00:00.500Z"),
            lead("person").created("2026-03-20T09:00:00.500Z").customer("Ada Byron"),
        ]);
        for (at, own, default) in [
            ("2026-04-03T09:00:00.499Z", false, false),
            ("2026-04-03T09:00:00.500Z", false, true),
            ("2026-04-04T00:00:00.000Z", false, true),
            ("2026-04-04T00:00:00.001Z", true, true),
        ] {
            posthorn.at(at);
            for (id, is_expired) in [("own", own), ("default", default), ("person", default)] {
                let lead = shown(posthorn, id);
                assert_eq!(lead["substatus"] == "Expired", is_expired, "{id} at {at}");
                let text = lead.to_string();
                for private in ["ada@fabrikam.example", "Byron", "+44 113", "1 Market Street"] {
                    assert_eq!(text.contains(private), !is_expired, "{id} at {at}: {private}");
                }
                assert!(
                    text.contains("Leeds") && text.contains("Deal "),
                    "what is nobody's address stays: {text}"
                );
                if is_expired {
                    let told = posthorn.refused(5, &["leads", "accept", id]);
                    assert!(told.contains("Closed/Expired"), "{told}");
                    posthorn.refused(5, &["leads", "decline", id, "--reason", "No capacity"]);
                }
            }
        }
        posthorn.work();
        assert!(posthorn.mails().is_empty(), "expired before anything was sent: no mail about them");
    });
}

/// `R-EXPIRY`: the sender is told, gathered by the hour; the lead desk where no sender can be.
#[test]
fn the_sender_of_expired_leads_is_told_once_an_hour_else_the_lead_desk() {
    both(|posthorn| {
        posthorn
            .setting("portal.lead_desk", "desk@portal.example")
            .at("2026-03-02T10:00:00Z");
        posthorn.partner_records([
            partner("contoso"),
            partner("sender").preferred("sender@sender.example"),
            partner("mute").no_admins(),
            partner("silent").preferred_silenced("no@silent.example"),
        ]);
        let expiring = |id: &str, at: &str| lead(id).expires(at);
        posthorn.leads([
            expiring("S1", "2026-03-10T10:05:00Z").invited_by("sender"),
            expiring("S2", "2026-03-10T10:55:00Z").invited_by("sender").urgent(),
            expiring("S3", "2026-03-10T11:00:00.000Z").invited_by("sender"),
            expiring("Q1", "2026-03-10T10:20:00Z").invited_by("silent"),
            expiring("M1", "2026-03-10T10:30:00Z").invited_by("mute"),
            expiring("U1", "2026-03-10T10:31:00Z").invited_by("stranger"),
            expiring("N1", "2026-03-10T10:32:00Z"),
            expiring("A1", "2026-03-10T10:33:00Z").invited_by("sender"),
        ]);
        posthorn.work().ok(&["leads", "accept", "A1"]);
        for at in ["2026-03-10T10:05:00Z", "2026-03-10T10:31:00Z", "2026-03-10T10:59:59.999Z"] {
            posthorn.at(at).work();
        }
        assert!(posthorn.mails_of("expiry").is_empty(), "gathered until the hour is over");
        posthorn.at("2026-03-10T11:00:00.000Z").work().work();
        let told: Vec<(String, Vec<String>)> = posthorn
            .mails_of("expiry")
            .iter()
            .map(|mail| (mail.to.clone(), linked(mail)))
            .collect();
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        let told: Vec<(String, Vec<String>)> = told.into_iter().map(|(to, ids)| (to, sorted(ids))).collect();
        assert_eq!(
            told,
            [
                ("desk@portal.example".to_owned(), vec!["M1".to_owned(), "N1".into(), "U1".into()]),
                ("sender@sender.example".to_owned(), vec!["S1".to_owned(), "S2".into()]),
            ]
        );
        for mail in posthorn.mails_of("expiry") {
            for private in ["ada@fabrikam.example", "Byron", "+44 113", "1 Market Street", "Please call"] {
                assert!(
                    !mail.text.contains(private) && !mail.html.contains(private),
                    "{private}: {}",
                    mail.text
                );
            }
            assert!(
                mail.text.contains("contoso") || mail.text.contains("Contoso"),
                "who did not answer: {}",
                mail.text
            );
        }
        posthorn.at("2026-03-10T12:00:00Z").work();
        assert_eq!(n_mails(posthorn, "expiry", "sender@sender.example"), 2, "S3 is of the next hour");
        posthorn.audit_is_clean();
    });
}

/// `R-EXPIRY`: without a lead desk the notice is parked, and goes out when one is set; without an address of the sender, likewise.
#[test]
fn without_a_lead_desk_the_notice_waits_for_one() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso"), partner("sender"), partner("lost")]);
        posthorn.leads([
            lead("L1").expires("2026-03-03T10:05:00Z"),
            lead("L2").expires("2026-03-03T10:05:00Z").invited_by("sender"),
            lead("L3").expires("2026-03-03T10:05:00Z").invited_by("lost"),
        ]);
        posthorn.at("2026-03-03T10:05:00Z").work();
        posthorn.partner_records([partner("sender").no_admins(), partner("lost").no_admins()]);
        posthorn.at("2026-03-03T12:00:00Z").work();
        assert!(posthorn.mails_of("expiry").is_empty());
        posthorn.audit_is_clean();
        posthorn
            .partner_records([partner("sender").no_admins().admin("back@sender.example")])
            .work();
        assert_eq!(receivers(posthorn, "expiry"), ["back@sender.example"]);
        posthorn.setting("portal.lead_desk", "desk@portal.example").work();
        let told = ["back@sender.example", "desk@portal.example", "desk@portal.example"];
        assert_eq!(
            receivers(posthorn, "expiry"),
            told,
            "the desk hears of L1, and of L3, whose sender was lost after it expired"
        );
        posthorn.at("2026-03-04T12:00:00Z").work();
        assert_eq!(posthorn.mails_of("expiry").len(), 3);
        posthorn.audit_is_clean();
    });
}

/// `R-URGENT`: urgent for 72 hours, then cooled; an answer before that freezes it.
#[test]
fn a_lead_is_urgent_for_72_hours_and_then_cools() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(0)]);
        posthorn.leads([
            lead("L1").urgent(),
            lead("answered").urgent(),
            lead("calm"),
            lead("soon").urgent().expires("2026-03-04T00:00:00Z"),
        ]);
        posthorn.ok(&["leads", "accept", "answered"]);
        let urgency = |id: &str| shown(posthorn, id)["posthorn"]["urgency"].clone();
        for (at, expected) in [
            ("2026-03-05T07:59:59.999Z", json!("urgent")),
            ("2026-03-05T08:00:00.000Z", json!("cooled")),
        ] {
            posthorn.at(at);
            assert_eq!(urgency("L1"), expected, "{at}, unwritten");
            posthorn.work();
            assert_eq!(urgency("L1"), expected, "{at}, written");
            assert_eq!(urgency("answered"), "urgent", "{at}");
            assert_eq!(urgency("calm"), json!(null), "{at}");
            assert_eq!(urgency("soon"), "urgent", "{at}: expired before it cooled");
        }
        let digest = &posthorn.mails_of("digest")[0];
        assert!(digest.text.contains("as soon as possible"), "{}", digest.text);
        posthorn.leads([lead("L2").urgent()]).at("2026-03-05T17:00:00Z").work();
        let digest = &posthorn.mails_of("digest")[1];
        assert!(
            digest.text.contains("if you are interested, contact the customer") && !digest.text.contains("as soon as"),
            "{}",
            digest.text
        );
        assert!(digest.html.contains("if you are interested, contact the customer") && !digest.html.contains("as soon as"));
        posthorn.leads([
            lead("calm").urgent().updated("2026-03-03T00:00:00Z"),
            lead("L1").updated("2026-03-03T00:00:00Z"),
        ]);
        assert_eq!(urgency("calm"), "cooled", "the customer asked after all, more than 72 hours ago");
        assert_eq!(urgency("L1"), json!(null), "he does not ask any more");
    });
}

/// `R-REMIND`: marked 72 hours before; by mail where set, per partner and day, in the thread of the mail that this address got.
#[test]
fn a_lead_about_to_expire_is_marked_and_its_address_reminded_in_the_same_thread() {
    both(|posthorn| {
        posthorn.setting("policy.remind_by_mail", "true").at("2026-03-02T10:00:00Z");
        posthorn.partner_records([partner("contoso")
            .threshold(2)
            .zone("Europe/Berlin")
            .preferred("a@x.example")
            .preferred("b@x.example")]);
        posthorn.leads([
            lead("single").created("2026-03-02T01:00:00Z").expires("2026-03-10T20:00:00Z"),
            lead("answered").created("2026-03-02T02:00:00Z").expires("2026-03-10T20:00:00Z"),
            lead("digest").created("2026-03-02T03:00:00Z").expires("2026-03-10T22:59:59.999Z"),
            lead("nextday").created("2026-03-02T04:00:00Z").expires("2026-03-10T23:00:00.000Z"),
            lead("late").created("2026-03-02T05:00:00Z").expires("2026-03-05T09:59:59.999Z"),
            lead("exactly").created("2026-03-02T06:00:00Z").expires("2026-03-05T10:00:00.000Z"),
        ]);
        assert_eq!(
            shown(posthorn, "late")["posthorn"]["expiring"],
            false,
            "arrives with less than 72 hours left"
        );
        assert_eq!(
            shown(posthorn, "exactly")["posthorn"]["expiring"],
            true,
            "arrives with exactly that left"
        );
        posthorn.work().at("2026-03-02T16:00:00Z").work();
        assert_eq!(posthorn.mails_of("digest").len(), 2, "17:00 in Berlin");
        posthorn.at("2026-03-02T23:00:00Z").work();
        assert_eq!(
            posthorn.mails_of("reminder").len(),
            2,
            "of the one that arrived with exactly 72 hours left"
        );
        posthorn.at("2026-03-07T19:59:59.999Z").work();
        assert_eq!(shown(posthorn, "single")["posthorn"]["expiring"], false);
        posthorn.at("2026-03-07T20:00:00.000Z").work();
        assert_eq!(shown(posthorn, "single")["posthorn"]["expiring"], true);
        posthorn.ok(&["leads", "accept", "answered"]);
        posthorn.at("2026-03-07T22:59:59.999Z").work();
        assert_eq!(posthorn.mails_of("reminder").len(), 2, "gathered until the partner's day is over");
        posthorn.at("2026-03-07T23:00:00.000Z").work();
        let reminders: Vec<_> = posthorn
            .mails_of("reminder")
            .into_iter()
            .filter(|mail| mail.date.starts_with("2026-03-07"))
            .collect();
        assert_eq!(
            reminders.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(),
            ["a@x.example", "b@x.example"]
        );
        for reminder in &reminders {
            let mut ids = linked(reminder);
            ids.sort();
            assert_eq!(ids, ["digest", "single"], "{}", reminder.text);
            let earlier = posthorn.mails();
            let told = earlier
                .iter()
                .filter(|mail| mail.to == reminder.to && ["lead", "digest"].contains(&mail.kind.as_str()));
            let about: Vec<&str> = told
                .filter(|mail| linked(mail).iter().any(|id| id == "single" || id == "digest"))
                .map(|mail| mail.message_id.as_str())
                .collect();
            assert!(!about.is_empty());
            for id in &reminder.references {
                assert!(
                    about.contains(&id.as_str()),
                    "{id} is no mail that {} got about these leads",
                    reminder.to
                );
            }
            assert_eq!(reminder.references.len(), 2, "the single mail and the digest");
            let reply_to = reminder.header("In-Reply-To").expect("it threads");
            assert!(reminder.references.iter().any(|id| reply_to.contains(id)), "{reply_to}");
        }
        posthorn.at("2026-03-08T23:00:00Z").work();
        assert_eq!(
            posthorn
                .mails_of("reminder")
                .iter()
                .filter(|mail| linked(mail) == ["nextday"])
                .count(),
            2
        );
        posthorn.at("2026-03-12T00:00:00Z").work();
        assert_eq!(posthorn.mails_of("reminder").len(), 6, "nobody is reminded twice");
        posthorn.audit_is_clean();
    });
}

/// `R-REMIND`, `R-SYNC`: a lead whose expiry moves away between its mark and the end of the day is reminded of when the new one is near, not before.
#[test]
fn a_lead_whose_expiry_moved_away_is_not_reminded_of_before_its_time() {
    both(|posthorn| {
        posthorn.setting("policy.remind_by_mail", "true").at("2026-03-02T10:00:00Z");
        posthorn.partner_records([partner("contoso"), partner("alone")]);
        let leads = [lead("stays"), lead("moves"), lead("only").partner("alone")].map(|lead| lead.expires("2026-03-10T20:00:00Z"));
        posthorn.leads(leads).work().at("2026-03-07T20:00:00Z").work();
        let moved =
            [lead("moves"), lead("only").partner("alone")].map(|lead| lead.updated("2026-03-07T21:00:00Z").expires("2026-03-20T20:00:00Z"));
        posthorn.at("2026-03-07T22:00:00Z").leads(moved);
        assert_eq!(shown(posthorn, "moves")["posthorn"]["expiring"], false);
        let reminded = |posthorn: &Posthorn| {
            let reminders = posthorn.mails_of("reminder");
            let mut ids: Vec<_> = reminders.iter().map(|mail| (mail.date[..10].to_owned(), linked(mail))).collect();
            ids.sort();
            ids
        };
        let first = ("2026-03-08".to_owned(), vec!["stays".to_owned()]);
        posthorn.at("2026-03-08T00:00:00Z").work();
        assert_eq!(reminded(posthorn), std::slice::from_ref(&first));
        posthorn.at("2026-03-17T20:00:00Z").work();
        assert_eq!(shown(posthorn, "moves")["posthorn"]["expiring"], true);
        posthorn.at("2026-03-18T00:00:00Z").work();
        let second = |id: &str| ("2026-03-18".to_owned(), vec![id.to_owned()]);
        assert_eq!(reminded(posthorn), [first, second("moves"), second("only")]);
        posthorn.audit_is_clean();
    });
}

/// `R-REMIND`: by default nobody is mailed, and 0 turns the mark off.
#[test]
fn reminders_are_marks_unless_mail_is_set() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso")])
            .leads([lead("L1")])
            .work();
        posthorn.at("2026-03-13T08:00:00.000Z").work();
        assert_eq!(shown(posthorn, "L1")["posthorn"]["expiring"], true);
        posthorn.at("2026-03-15T08:00:00Z").work();
        assert!(posthorn.mails_of("reminder").is_empty());
        posthorn.ok(&["leads", "accept", "L1"]);
        assert_eq!(shown(posthorn, "L1")["posthorn"]["expiring"], false, "answered");
    });
}

/// `R-STAGES`: an informational lead is archived after six calendar months, the day clamped, in UTC.
#[test]
fn an_informational_lead_is_archived_after_six_calendar_months() {
    both(|posthorn| {
        posthorn
            .at("2025-09-01T00:00:00Z")
            .partner_records([partner("contoso").zone("Pacific/Auckland")]);
        posthorn.leads([
            lead("L1").offer("GetItNow").created("2025-08-31T10:00:00.001Z"),
            lead("L2")
                .offer("FreeTrial")
                .created("2025-08-28T10:00:00.000Z")
                .urgent()
                .expires("2025-09-02T00:00:00Z"),
        ]);
        let archived = |id: &str| shown(posthorn, id)["posthorn"]["archived"] == true;
        for (at, l1, l2) in [
            ("2026-02-28T09:59:59.999Z", false, false),
            ("2026-02-28T10:00:00.000Z", false, true),
            ("2026-02-28T10:00:00.001Z", true, true),
        ] {
            posthorn.at(at);
            for _ in 0..2 {
                assert_eq!((archived("L1"), archived("L2")), (l1, l2), "{at}");
                posthorn.work();
            }
        }
        let lead = shown(posthorn, "L2");
        assert!(
            lead.to_string().contains("ada@fabrikam.example"),
            "it has no expiry that hides anything: {lead}"
        );
        assert_eq!(lead["posthorn"]["urgency"], json!(null), "nobody has to answer it");
        assert!(posthorn.mails().is_empty());
        let told = posthorn.refused(5, &["leads", "accept", "L2"]);
        assert!(told.contains("informational"), "{told}");
    });
}
