//! Answers: which stage takes which, and who hears of a decline (`R-STAGES`, `R-ACCEPT`, `R-DECLINE`).

use crate::app::Error;
use crate::app::answer::{Action, Terms};
use crate::app::testing::records::{lead, partner};
use crate::app::testing::{at, both};
use crate::lead::Stage;

fn decline(notify_customer: bool) -> Action {
    Action::Decline {
        reason: "no capacity".into(),
        notes: Some("none until May".into()),
        notify_customer,
    }
}

/// R-STAGES: any other answer is refused with the state that the lead has.
#[test]
fn an_answer_that_does_not_fit_the_stage_is_refused_with_the_stage() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal
            .import("2026-03-02T08:00:00Z", [lead("L1"), lead("L2"), lead("info").offer("GetItNow")])
            .await;
        portal.accept("2026-03-02T09:00:00Z", "L1").await;
        portal
            .answer("2026-03-02T10:00:00Z", "L1", Action::Won(Terms::default()))
            .await
            .expect("an accepted lead can be won");
        for (id, action, expected) in [
            (
                "L1",
                Action::Accept(Terms::default()),
                "lead L1 is Closed/Won since 2026-03-02T10:00:00.000Z; only a lead in New/Received can be accepted",
            ),
            (
                "L1",
                Action::Edit(Terms::default()),
                "lead L1 is Closed/Won since 2026-03-02T10:00:00.000Z; only a lead in Active/Accepted can be edited",
            ),
            (
                "L2",
                Action::Lost(Terms::default()),
                "lead L2 is New/Received since 2026-03-02T08:00:00.000Z; only a lead in Active/Accepted can be lost",
            ),
            (
                "info",
                decline(true),
                "lead info is informational: nobody has to answer it, so it has no stages",
            ),
            ("nope", decline(true), "there is no lead nope"),
        ] {
            let refused = portal.answer("2026-03-02T11:00:00Z", id, action).await.expect_err(expected);
            assert_eq!(refused.to_string(), expected);
        }
    });
}

/// R-EXPIRY: from the very instant an answer is refused, whether or not the clock has come round to write it.
#[test]
fn an_answer_at_the_expiry_is_refused_though_nothing_is_written_yet() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T08:00:00Z", [lead("before"), lead("at")]).await;
        portal.accept("2026-03-16T07:59:59.999Z", "before").await;
        let refused = portal
            .answer("2026-03-16T08:00:00Z", "at", Action::Accept(Terms::default()))
            .await
            .expect_err("it is expired");
        assert!(
            matches!(&refused, Error::Refused(text) if text.contains("Closed/Expired since 2026-03-16T08:00:00.000Z")),
            "{refused}"
        );
        portal.tick("2026-03-16T08:00:00Z").await;
        assert_eq!(portal.lead("before").await.stage, Stage::Accepted);
        assert_eq!(portal.lead("at").await.stage, Stage::Expired);
    });
}

/// R-ACCEPT: terms stay editable while Accepted, and each is laid over what was said before.
#[test]
fn terms_are_laid_over_what_was_said_before() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T08:00:00Z", [lead("L1").without("details")]).await;
        let value = |currency: Option<&str>| Terms {
            deal_value: Some(5000.into()),
            currency: currency.map(str::to_owned),
            ..Terms::default()
        };
        let refused = portal
            .answer("2026-03-02T09:00:00Z", "L1", Action::Accept(value(None)))
            .await
            .expect_err("no currency");
        assert!(matches!(refused, Error::Input(_)), "{refused}");
        let named = Terms {
            deal_name: Some("Backup".into()),
            ..value(Some("EUR"))
        };
        portal
            .answer("2026-03-02T09:00:00Z", "L1", Action::Accept(named))
            .await
            .expect("it can be accepted");
        portal
            .answer("2026-03-02T09:10:00Z", "L1", Action::Edit(value(None)))
            .await
            .expect("the currency is known");
        let answer: serde_json::Value = serde_json::from_str(&portal.lead("L1").await.answer.expect("it was answered")).expect("JSON");
        assert_eq!(answer["dealName"], "Backup");
        assert_eq!(answer["acceptedDateTime"], "2026-03-02T09:00:00.000Z");
    });
}

/// R-ACCEPT: Won and Lost may note why; what was noted of the deal before is kept beside it.
#[test]
fn why_a_deal_ended_does_not_displace_its_notes() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T08:00:00Z", [lead("L1"), lead("L2"), lead("L3")]).await;
        let notes = |text: Option<&str>| Terms {
            notes: text.map(str::to_owned),
            ..Terms::default()
        };
        for (id, before, why, expected) in [
            (
                "L1",
                Some("calls on Monday"),
                Some("too dear"),
                [Some("too dear"), Some("calls on Monday")],
            ),
            ("L2", Some("calls on Monday"), None, [Some("calls on Monday"), None]),
            ("L3", None, Some("too dear"), [Some("too dear"), None]),
        ] {
            for action in [Action::Accept(notes(before)), Action::Lost(notes(why))] {
                portal
                    .answer("2026-03-02T09:00:00Z", id, action)
                    .await
                    .expect("its stage allows it");
            }
            let answer = portal.lead(id).await.show(at("2026-03-02T09:00:00Z"))["posthorn"]["answer"].clone();
            assert_eq!(["notes", "dealNotes"].map(|key| answer[key].as_str()), expected, "{id}: {answer}");
        }
    });
}

/// R-DECLINE: the customer is asked to choose another partner, unless he or the partner does not want that, or he has no usable address.
#[test]
fn a_decline_is_told_to_the_first_usable_customer_contact() {
    let silenced =
        serde_json::json!([{ "firstName": "A", "email": "a@fabrikam.example", "contactPreference": { "disableNotifications": true } }]);
    let second = serde_json::json!([{ "firstName": "A", "email": "not an address" }, { "firstName": "B", "email": "b@fabrikam.example", "contactPreference": { "locale": "de-AT" } }]);
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let leads = [
            lead("plain"),
            lead("second").with("customerProfile.team", second.clone()),
            lead("silenced").with("customerProfile.team", silenced.clone()),
            lead("nobody").without("customerProfile.team"),
            lead("unwanted"),
        ];
        portal.import("2026-03-02T08:00:00Z", leads).await;
        portal.send("2026-03-02T08:00:00Z").await;
        for id in ["plain", "second", "silenced", "nobody", "unwanted"] {
            portal
                .answer("2026-03-02T09:00:00Z", id, decline(id != "unwanted"))
                .await
                .expect("it can be declined");
        }
        let letters = portal.claim("2026-03-02T09:00:00Z").await;
        let mails: Vec<(&str, &str)> = letters
            .iter()
            .map(|one| (one.delivery.address.as_str(), one.delivery.language.as_str()))
            .collect();
        assert_eq!(mails, [("ada@fabrikam.example", "en"), ("b@fabrikam.example", "de-AT")]);
        for id in ["silenced", "nobody", "unwanted"] {
            let story = portal.story(id).await;
            assert!(
                story.iter().any(|line| line.starts_with("R-DECLINE the customer is not mailed: ")),
                "{id}: {story:#?}"
            );
        }
        assert_eq!(portal.lead("plain").await.stage_since, at("2026-03-02T09:00:00Z"));
    });
}

/// R-DECLINE, R-RECIPIENT: a customer's address that cannot be reached counts as absent; the next contact's is asked, unless he does not want that.
#[test]
fn a_decline_passes_over_a_customer_address_that_cannot_be_reached() {
    let team = |second: serde_json::Value| {
        let first = serde_json::json!({ "firstName": "A", "email": "a@fabrikam.example" });
        lead(second["firstName"].as_str().unwrap_or_default()).with("customerProfile.team", serde_json::json!([first, second]))
    };
    let silent = serde_json::json!({ "disableNotifications": true });
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let leads = [
            team(serde_json::json!({ "firstName": "B", "email": "b@fabrikam.example" })),
            team(serde_json::json!({ "firstName": "C", "email": "c@fabrikam.example", "contactPreference": silent.clone() })),
            lead("D").with("customerProfile.team", serde_json::json!([{ "email": "a@fabrikam.example" }])),
        ];
        portal.import("2026-03-02T08:00:00Z", leads).await;
        portal.send("2026-03-02T08:00:00Z").await;
        portal
            .answer("2026-03-02T09:00:00Z", "B", decline(true))
            .await
            .expect("it can be declined");
        let first = portal.claim("2026-03-02T09:00:00Z").await.remove(0);
        assert_eq!(first.delivery.address.as_str(), "a@fabrikam.example");
        portal.bounce("2026-03-02T09:00:00Z", &first).await;
        for id in ["C", "D"] {
            portal
                .answer("2026-03-02T09:00:00Z", id, decline(true))
                .await
                .expect("it can be declined");
        }
        assert_eq!(portal.send("2026-03-02T09:00:10Z").await, ["decline to b@fabrikam.example: B"]);
        for (id, why) in [("C", "has disableNotifications set"), ("D", "cannot be reached")] {
            let story = portal.story(id).await;
            assert!(story.iter().any(|line| line.contains(why)), "{id}: {story:#?}");
        }
    });
}

/// R-DIGEST, R-CHANNEL: what was not told yet is taken back.
#[test]
fn an_answered_lead_leaves_its_digest_and_its_notice() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso").threshold(1)]).await;
        portal.import("2026-03-02T08:00:00Z", [lead("L1"), lead("L2"), lead("L3")]).await;
        portal.accept("2026-03-02T08:00:00Z", "L1").await;
        portal.accept("2026-03-02T08:00:00Z", "L2").await;
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await, ["digest to admin@contoso.example: L3"]);
        assert_eq!(portal.notices().await.get("lead cancelled"), Some(&1));
    });
}
