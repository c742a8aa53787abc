//! What time alone does: cooled, expiring, expired, archived, to the millisecond; and who is told (`R-URGENT`, `R-REMIND`, `R-EXPIRY`, `R-STAGES`).

use crate::app::record::TryResult;
use crate::app::testing::records::{Lead, lead, partner};
use crate::app::testing::{Portal, at, both};
use crate::lead::Stage;
use crate::lead::model::Urgency;

/// R-URGENT, R-REMIND, R-EXPIRY, R-STAGES: nothing is written a millisecond too early, nor asked for twice.
#[test]
fn time_moves_a_lead_at_its_boundary_and_once() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let batch = [lead("L1").urgent(), lead("info").offer("GetItNow").created("2026-08-31T08:00:00Z")];
        portal.import("2026-03-02T08:00:00Z", batch).await;
        let facts = async || {
            let (lead, info) = (portal.lead("L1").await, portal.lead("info").await);
            (lead.is_cooled, lead.is_expiring, lead.stage == Stage::Expired, info.is_archived)
        };
        for (now, n_moved, expected, why) in [
            ("2026-03-05T07:59:59.999Z", 0, (false, false, false, false), "72 h less 1 ms"),
            ("2026-03-05T08:00:00.000Z", 1, (true, false, false, false), "72 h"),
            ("2026-03-05T08:00:00.001Z", 0, (true, false, false, false), "once"),
            ("2026-03-13T07:59:59.999Z", 0, (true, false, false, false), "11 d less 1 ms"),
            ("2026-03-13T08:00:00.000Z", 1, (true, true, false, false), "11 d"),
            ("2026-03-16T07:59:59.999Z", 0, (true, true, false, false), "14 d less 1 ms"),
            ("2026-03-16T08:00:00.000Z", 1, (true, true, true, false), "14 d"),
            ("2026-03-16T08:00:00.001Z", 0, (true, true, true, false), "once"),
            (
                "2027-02-28T07:59:59.999Z",
                0,
                (true, true, true, false),
                "six months less 1 ms, the day clamped",
            ),
            ("2027-02-28T08:00:00.000Z", 1, (true, true, true, true), "six months"),
            ("2027-03-28T08:00:00.000Z", 0, (true, true, true, true), "nothing is left to come"),
        ] {
            assert_eq!(portal.tick(now).await, n_moved, "{why}");
            assert_eq!(facts().await, expected, "{why}");
        }
    });
}

/// R-URGENT, R-EXPIRY: a worker that was down for weeks writes all that has become true, in one turn.
#[test]
fn a_long_sleep_is_caught_up_in_one_turn() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T08:00:00Z", [lead("L1").urgent()]).await;
        assert_eq!(portal.tick("2026-05-01T00:00:00Z").await, 1);
        let lead = portal.lead("L1").await;
        assert_eq!(
            (lead.stage, lead.is_cooled, lead.stage_since),
            (Stage::Expired, true, at("2026-03-16T08:00:00Z"))
        );
        assert_eq!(portal.tick("2026-05-01T00:00:00Z").await, 0);
    });
}

/// R-URGENT: answered before 72 h: no change.
#[test]
fn an_answer_within_72_hours_keeps_the_flame() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal
            .import("2026-03-02T08:00:00Z", [lead("kept").urgent(), lead("late").urgent()])
            .await;
        portal.accept("2026-03-05T07:59:59.999Z", "kept").await;
        // The clock has not come round to write that it has cooled.
        portal.accept("2026-03-05T08:00:00Z", "late").await;
        assert_eq!(portal.tick("2026-04-05T08:00:00Z").await, 0);
        let now = at("2026-04-05T08:00:00Z");
        assert_eq!(portal.lead("kept").await.urgency_at(now), Some(Urgency::Urgent));
        assert_eq!(portal.lead("late").await.urgency_at(now), Some(Urgency::Cooled));
        assert_eq!(portal.items("contoso").await["lead kept"].urgency.as_deref(), Some("urgent"));
        assert_eq!(portal.items("contoso").await["lead late"].urgency.as_deref(), Some("cooled"));
    });
}

fn expiring(id: &str, sender: &str, expires: &str) -> Lead {
    let lead = lead(id).created("2026-03-02T08:00:00Z").expires(expires);
    if sender.is_empty() { lead } else { lead.invited_by(sender) }
}

/// R-EXPIRY: gathered per receiver and hour (UTC), mailed when it is over; to the sender, or the lead desk where there is none or he cannot be reached.
#[test]
fn expiries_of_an_hour_are_told_to_their_sender_or_the_lead_desk() {
    both(async |portal| {
        portal
            .partners(
                "2026-03-01T08:00:00Z",
                [partner("contoso"), partner("sender"), partner("mute").no_admins()],
            )
            .await;
        let leads = [
            expiring("s1", "sender", "2026-03-10T10:00:00Z"),
            expiring("s2", "sender", "2026-03-10T10:59:59.999Z"),
            expiring("s3", "sender", "2026-03-10T11:00:00Z"),
            expiring("none", "", "2026-03-10T10:20:00Z"),
            expiring("unknown", "stranger", "2026-03-10T10:20:00Z"),
            expiring("unroutable", "mute", "2026-03-10T10:20:00Z"),
        ];
        portal.import("2026-03-02T08:00:00Z", leads).await;
        portal.send("2026-03-02T08:00:00Z").await;
        for (now, expected) in [
            ("2026-03-10T10:00:00Z", vec![]),
            ("2026-03-10T10:59:59.999Z", vec![]),
            (
                "2026-03-10T11:00:00Z",
                vec![
                    "expiry to admin@sender.example: s1 s2",
                    "expiry to desk@portal.example: none unknown unroutable",
                ],
            ),
            ("2026-03-10T11:59:59.999Z", vec![]),
            ("2026-03-10T12:00:00Z", vec!["expiry to admin@sender.example: s3"]),
            ("2026-03-11T12:00:00Z", vec![]),
        ] {
            assert_eq!(portal.work(now).await, expected, "{now}");
        }
    });
}

/// R-EXPIRY: without a lead desk such notices are parked, and due as soon as there is one.
#[test]
fn without_a_lead_desk_an_expiry_waits_for_one() {
    both(async |mut portal| {
        let desk = portal.rules.lead_desk.take();
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal
            .import("2026-03-02T08:00:00Z", [expiring("L1", "", "2026-03-10T10:00:00Z")])
            .await;
        portal.work("2026-03-10T10:00:00Z").await;
        assert_eq!(portal.work("2026-03-10T11:00:00Z").await, [""; 0]);
        assert_eq!(portal.notices().await.get("expiry parked"), Some(&1));
        portal.rules.lead_desk = desk;
        crate::app::database::apply_settings(&portal.store, at("2026-03-12T08:00:00Z"), &portal.rules)
            .await
            .expect("settings are applied");
        assert_eq!(portal.work("2026-03-12T08:00:00Z").await, ["expiry to desk@portal.example: L1"]);
    });
}

/// R-EXPIRY: an expiry that is written late, when its hour's notice has been mailed already, goes out with the next hour's.
#[test]
fn an_expiry_written_after_its_hour_was_mailed_is_told_in_the_next_one() {
    both(async |portal| {
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso"), partner("sender")])
            .await;
        let leads = [
            expiring("s1", "sender", "2026-03-10T10:00:00Z"),
            expiring("s2", "sender", "2026-03-10T10:30:00Z"),
        ];
        portal.import("2026-03-02T08:00:00Z", leads).await;
        portal.send("2026-03-02T08:00:00Z").await;
        portal.tick("2026-03-10T10:00:00Z").await;
        assert_eq!(portal.send("2026-03-10T11:00:00Z").await, ["expiry to admin@sender.example: s1"]);
        // A worker whose clock is a little behind, or that waited for a lock.
        assert_eq!(portal.tick("2026-03-10T10:59:59.999Z").await, 1);
        assert_eq!(portal.work("2026-03-10T12:00:00Z").await, ["expiry to admin@sender.example: s2"]);
    });
}

async fn reminded(portal: &mut Portal) {
    portal.rules.policy.remind_by_mail = true;
    let contoso = partner("contoso").zone("Europe/Berlin").no_admins();
    let contoso = contoso
        .location("berlin", true, &["b@contoso.example"])
        .location("ulm", false, &["u@contoso.example"]);
    portal.partners("2026-03-01T08:00:00Z", [contoso]).await;
}

/// R-REMIND: gathered per partner and local day, sent per address when the day is over; to none of those answered by then.
#[test]
fn reminders_of_a_local_day_go_to_each_address_when_it_is_over() {
    both(async |mut portal| {
        reminded(&mut portal).await;
        let new = |id: &str, expires: &str| lead(id).created("2026-03-02T08:00:00Z").expires(expires);
        let leads = [
            new("L1", "2026-03-12T22:59:59.999Z").location("berlin"),
            new("L2", "2026-03-12T10:00:00Z").location("ulm"),
            new("L3", "2026-03-12T23:00:00Z").location("ulm"),
            new("L4", "2026-03-12T10:00:00Z").location("ulm"),
        ];
        portal.import("2026-03-02T08:00:00Z", leads).await;
        portal.send("2026-03-02T08:00:00Z").await;
        portal.tick("2026-03-09T10:00:00Z").await;
        portal.accept("2026-03-09T11:00:00Z", "L4").await;
        assert_eq!(portal.work("2026-03-09T22:59:59.999Z").await, [""; 0]);
        assert_eq!(
            portal.work("2026-03-09T23:00:00Z").await,
            ["reminder to b@contoso.example: L1", "reminder to u@contoso.example: L2"],
            "midnight in Berlin"
        );
        assert_eq!(portal.work("2026-03-10T23:00:00Z").await, ["reminder to u@contoso.example: L3"]);
    });
}

/// R-REMIND, R-RECIPIENT: an address that fails hands its leads on; the one that stands in has had its reminder of that day, and gets them with the next.
#[test]
fn a_reminder_whose_address_failed_goes_with_the_next_day() {
    both(async |mut portal| {
        reminded(&mut portal).await;
        let new = |id: &str, at: &str| {
            lead(id)
                .created("2026-03-02T08:00:00Z")
                .expires("2026-03-12T10:00:00Z")
                .location(at)
        };
        portal.import("2026-03-02T08:00:00Z", [new("L1", "ulm"), new("L2", "berlin")]).await;
        portal.send("2026-03-02T08:00:00Z").await;
        portal.tick("2026-03-09T10:00:00Z").await;
        let letters = portal.claim("2026-03-09T23:00:00Z").await;
        assert_eq!(letters.len(), 2);
        for letter in &letters {
            match letter.delivery.address.as_str() {
                "u@contoso.example" => portal.bounce("2026-03-09T23:00:00Z", letter).await,
                _ => portal.record("2026-03-09T23:00:00Z", letter, TryResult::Accepted(None)).await,
            }
        }
        assert_eq!(
            portal.work("2026-03-09T23:00:10Z").await,
            [""; 0],
            "nobody is reminded twice of a day"
        );
        assert_eq!(portal.work("2026-03-10T23:00:00Z").await, ["reminder to b@contoso.example: L1"]);
        let story = portal.story("L1").await;
        assert!(
            story.iter().any(|line| line.contains("is reminded of with the next day")),
            "{story:?}"
        );
    });
}

/// R-REMIND: a reminder threads under the mail by which this address was told before.
#[test]
fn a_reminder_names_the_mails_that_told_of_its_leads() {
    both(async |mut portal| {
        reminded(&mut portal).await;
        portal.rules.policy.digest_threshold = 1;
        let new = |id: &str| {
            lead(id)
                .created("2026-03-02T08:00:00Z")
                .location("ulm")
                .expires("2026-03-12T10:00:00Z")
        };
        portal.import("2026-03-02T08:00:00Z", [new("L1"), new("L2"), new("L3")]).await;
        assert_eq!(portal.work("2026-03-02T08:00:00Z").await.len(), 1);
        assert_eq!(portal.work("2026-03-02T15:59:59.999Z").await, [""; 0]);
        assert_eq!(portal.work("2026-03-02T16:00:00Z").await.len(), 1, "five in Berlin");
        portal.tick("2026-03-09T10:00:00Z").await;
        let letters = portal.claim("2026-03-09T23:00:00Z").await;
        assert_eq!((letters.len(), letters[0].thread.len()), (1, 2), "the single mail and the digest");
    });
}

/// R-REMIND: by mail only where set, and not for a lead that arrives with less than 72 h left.
#[test]
fn nobody_is_reminded_by_default_nor_of_a_lead_that_came_late() {
    both(async |mut portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let new = |id: &str, expires: &str| lead(id).created("2026-03-02T08:00:00Z").expires(expires);
        portal
            .import(
                "2026-03-02T08:00:00Z",
                [new("in-time", "2026-03-05T08:00:00Z"), new("late", "2026-03-05T07:59:59.999Z")],
            )
            .await;
        portal.send("2026-03-02T08:00:00Z").await;
        portal.tick("2026-03-02T09:00:00Z").await;
        assert!(portal.lead("in-time").await.is_expiring);
        assert!(!portal.lead("late").await.is_expiring);
        assert_eq!(portal.work("2026-03-03T08:00:00Z").await, [""; 0]);
        portal.rules.policy.remind_by_mail = true;
        assert_eq!(
            portal.work("2026-03-04T08:00:00Z").await,
            [""; 0],
            "what was marked stays as it was decided"
        );
    });
}

/// R-REMIND: a partner whose zone goes back to a day that is over is still reminded, on the next one.
#[test]
fn a_reminder_of_a_day_that_was_mailed_already_goes_out_with_the_next() {
    both(async |mut portal| {
        portal.rules.policy.remind_by_mail = true;
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso").zone("Pacific/Kiritimati")])
            .await;
        let new = |id: &str, expires: &str| lead(id).created("2026-03-02T08:00:00Z").expires(expires);
        portal
            .import(
                "2026-03-02T08:00:00Z",
                [new("L1", "2026-03-12T09:00:00Z"), new("L2", "2026-03-12T12:00:00Z")],
            )
            .await;
        portal.send("2026-03-02T08:00:00Z").await;
        portal.tick("2026-03-09T09:00:00Z").await;
        assert_eq!(
            portal.work("2026-03-09T10:00:00Z").await,
            ["reminder to admin@contoso.example: L1"],
            "the 9th is over in Kiritimati"
        );
        portal.partners("2026-03-09T10:30:00Z", [partner("contoso").zone("UTC")]).await;
        portal.tick("2026-03-09T12:00:00Z").await;
        assert_eq!(portal.work("2026-03-11T00:00:00Z").await, ["reminder to admin@contoso.example: L2"]);
    });
}
