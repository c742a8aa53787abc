//! Digests: opened, moved, closed once, sent to each address (`R-DIGEST`).

use crate::app::answer::{Action, Terms};
use crate::app::audit::audit;
use crate::app::claim::claim;
use crate::app::database::apply_settings;
use crate::app::fire::RunMail;
use crate::app::record::TryResult;
use crate::app::testing::records::{lead, partner};
use crate::app::testing::{Portal, at, both};
use crate::partner::PartnerId;
use crate::store::digests::Digest;

/// A partner with nothing but digests, in UTC.
async fn digest_only(portal: &Portal) {
    portal.partners("2026-03-01T08:00:00Z", [partner("contoso").threshold(0)]).await;
}

async fn only_digest(portal: &Portal) -> Digest {
    let mut digests = portal.digests("contoso").await;
    assert_eq!(digests.len(), 1);
    digests.remove(0)
}

/// R-DIGEST: the first deferred lead opens it, due at the next fire; a lead at the very instant of a fire waits for the one after.
#[test]
fn the_first_deferred_lead_opens_the_digest_due_at_the_next_fire() {
    let cases = [
        ("2026-03-02T16:59:59.999Z", "2026-03-02T17:00:00.000Z", "1 ms before the fire"),
        ("2026-03-02T17:00:00.000Z", "2026-03-03T17:00:00.000Z", "at the fire"),
        ("2026-03-02T17:00:00.001Z", "2026-03-03T17:00:00.000Z", "1 ms after it"),
    ];
    both(async |portal| {
        for (index, (now, due, why)) in cases.into_iter().enumerate() {
            let id = format!("partner-{index}");
            portal.partners("2026-03-01T08:00:00Z", [partner(&id).threshold(0)]).await;
            for n in 0..2 {
                portal.import(now, [lead(&format!("L{index}-{n}")).partner(&id)]).await;
            }
            let digests = portal.digests(&id).await;
            assert_eq!((digests.len(), digests[0].due_at), (1, at(due)), "{why}");
        }
    });
}

/// R-DIGEST: read in the partner's zone, across both DST changes.
#[test]
fn a_digest_fires_at_the_partners_local_time() {
    let cases = [
        (
            "Europe/Berlin",
            "0 17 * * *",
            "2026-03-28T17:00:00Z",
            "2026-03-29T15:00:00.000Z",
            "summer time since this morning",
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-28T17:00:00Z",
            "2026-03-29T01:00:00.000Z",
            "in the gap: right after it",
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T17:00:00Z",
            "2026-10-25T00:30:00.000Z",
            "in the overlap: at the first pass",
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00.000Z",
            "not at the second pass",
        ),
        (
            "Australia/Lord_Howe",
            "0 17 * * *",
            "2026-10-03T12:00:00Z",
            "2026-10-04T06:00:00.000Z",
            "half an hour",
        ),
    ];
    both(async |portal| {
        for (index, (zone, cron, now, due, why)) in cases.into_iter().enumerate() {
            let id = format!("partner-{index}");
            portal
                .partners("2026-01-01T00:00:00Z", [partner(&id).threshold(0).zone(zone).cron(cron)])
                .await;
            portal.import(now, [lead(&format!("L{index}")).partner(&id).created(now)]).await;
            let digests = portal.digests(&id).await;
            assert_eq!(digests[0].due_at, at(due), "{zone} {cron}: {why}");
        }
    });
}

/// R-DIGEST: a fire missed while the worker was down is made up once.
#[test]
fn a_missed_fire_is_made_up_once() {
    both(async |portal| {
        digest_only(&portal).await;
        portal.import_leads("2026-03-02T09:00:00Z", 1, 2).await;
        assert_eq!(
            portal.work("2026-03-05T03:00:00Z").await,
            ["digest to admin@contoso.example: L01 L02"]
        );
        assert_eq!(portal.work("2026-03-05T03:00:00Z").await, [""; 0]);
        assert_eq!(portal.work("2026-03-05T17:00:00Z").await, [""; 0]);
        let digest = only_digest(&portal).await;
        assert_eq!((digest.closed_by.as_deref(), digest.n_leads), (Some("fire"), Some(2)));
        assert_eq!(digest.day.map(|day| day.to_string()).as_deref(), Some("2026-03-05"));
    });
}

/// R-DIGEST: a manual run closes the digest early; the next fire sends only what came later.
#[test]
fn after_a_manual_run_the_next_fire_sends_only_what_came_later() {
    both(async |portal| {
        digest_only(&portal).await;
        portal.import_leads("2026-03-02T09:00:00Z", 1, 2).await;
        let dry = portal.run("2026-03-02T10:00:00Z", "contoso", true).await;
        assert_eq!(
            dry.mails,
            [RunMail {
                address: "admin@contoso.example".to_owned(),
                leads: 2
            }]
        );
        assert!(only_digest(&portal).await.is_collecting, "a dry run changes nothing");
        assert_eq!(portal.send("2026-03-02T10:00:00Z").await, [""; 0], "and sends nothing");

        let run = portal.run("2026-03-02T10:00:00Z", "contoso", false).await;
        assert_eq!((run.leads, &run.mails, run.no_mail), (2, &dry.mails, None));
        assert_eq!(
            portal.send("2026-03-02T10:00:00Z").await,
            ["digest to admin@contoso.example: L01 L02"]
        );
        assert_eq!(
            portal.run("2026-03-02T10:00:01Z", "contoso", false).await.no_mail.as_deref(),
            Some("no lead waits for a digest")
        );
        portal.import_leads("2026-03-02T11:00:00Z", 3, 1).await;
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await, ["digest to admin@contoso.example: L03"]);
        let closed: Vec<_> = portal
            .digests("contoso")
            .await
            .into_iter()
            .map(|digest| digest.closed_by.unwrap_or_default())
            .collect();
        assert_eq!(closed, ["manual", "fire"]);
    });
}

/// R-DIGEST: nothing left: no mail, and a record that says so. What was answered between the closing and the mail is not in it.
#[test]
fn a_digest_lists_what_is_still_unanswered_when_it_is_claimed() {
    both(async |portal| {
        digest_only(&portal).await;
        portal.import_leads("2026-03-02T09:00:00Z", 1, 1).await;
        portal.accept("2026-03-02T10:00:00Z", "L01").await;
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await, [""; 0]);
        assert_eq!(only_digest(&portal).await.n_leads, Some(0));
        assert_eq!(portal.notices().await.len(), 0);

        portal.import_leads("2026-03-03T09:00:00Z", 2, 3).await;
        assert_eq!(portal.fire("2026-03-03T17:00:00Z").await, 1);
        portal.accept("2026-03-03T17:00:01Z", "L02").await;
        assert_eq!(
            portal.send("2026-03-03T17:00:02Z").await,
            ["digest to admin@contoso.example: L03 L04"]
        );

        portal.import_leads("2026-03-04T09:00:00Z", 5, 1).await;
        portal.fire("2026-03-04T17:00:00Z").await;
        portal.accept("2026-03-04T17:00:01Z", "L05").await;
        assert_eq!(portal.send("2026-03-04T17:00:02Z").await, [""; 0]);
        assert_eq!(portal.notices().await, [("digest done".to_owned(), 2)].into());
    });
}

/// Its way ends long after the digest that it left, and the books go by when it was answered.
#[test]
fn a_lead_that_was_answered_between_its_digests_closing_and_its_mail_is_excused_after_its_deal_is_lost_too() {
    both(async |portal| {
        digest_only(&portal).await;
        portal.import("2026-03-02T08:00:00Z", [lead("stays"), lead("answered")]).await;
        portal.fire("2026-03-02T17:00:00Z").await;
        portal.accept("2026-03-02T17:00:00Z", "answered").await;
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await.len(), 1);
        let n_orphans = async |now: &str| audit(&portal.store, at(now), at(now)).await.expect("an audit").n_orphans;
        assert_eq!(n_orphans("2026-03-02T18:00:00Z").await, 0);
        portal
            .answer("2026-03-05T09:00:00Z", "answered", Action::Lost(Terms::default()))
            .await
            .expect("its deal can be lost");
        assert_eq!(n_orphans("2026-03-05T09:00:00Z").await, 0);
    });
}

/// R-DIGEST, R-EXPIRY: a lead that expires at the very fire is not in it, whether or not that is written down.
#[test]
fn a_lead_that_expires_at_the_fire_is_not_in_the_digest() {
    for (expires, expected) in [("2026-03-02T17:00:00Z", 0), ("2026-03-02T17:00:00.001Z", 1)] {
        both(async |portal| {
            digest_only(&portal).await;
            portal
                .import(
                    "2026-03-02T09:00:00Z",
                    [lead("L01").created("2026-03-02T09:00:00Z").expires(expires)],
                )
                .await;
            assert_eq!(portal.fire("2026-03-02T17:00:00Z").await, 1);
            assert_eq!(portal.send("2026-03-02T17:00:00Z").await.len(), expected, "expires {expires}");
        });
    }
}

/// R-DIGEST: a change of cron or zone moves the collecting digest.
#[test]
fn a_change_of_cron_or_zone_moves_the_collecting_digest() {
    both(async |mut portal| {
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso").threshold(0).without_zone()])
            .await;
        portal.import_leads("2026-03-02T09:00:00Z", 1, 1).await;
        let now = "2026-03-02T10:00:00Z";
        apply_settings(&portal.store, at(now), &portal.rules)
            .await
            .expect("settings are applied");
        portal.rules.policy.time_zone = crate::app::testing::zone("Asia/Kolkata");
        apply_settings(&portal.store, at(now), &portal.rules)
            .await
            .expect("settings are applied");
        assert_eq!(only_digest(&portal).await.due_at, at("2026-03-02T11:30:00Z"), "the configured zone");
        portal.rules.policy.digest_cron = "0 20 * * *".parse().expect("a literal");
        apply_settings(&portal.store, at(now), &portal.rules)
            .await
            .expect("settings are applied");
        assert_eq!(only_digest(&portal).await.due_at, at("2026-03-02T14:30:00Z"), "the configured cron");
        portal.partners(now, [partner("contoso").threshold(0).zone("Europe/Berlin")]).await;
        assert_eq!(only_digest(&portal).await.due_at, at("2026-03-02T19:00:00Z"), "the partner's zone");
        portal
            .partners(now, [partner("contoso").threshold(0).zone("Europe/Berlin").cron("0 12 * * *")])
            .await;
        assert_eq!(only_digest(&portal).await.due_at, at("2026-03-02T11:00:00Z"), "the partner's cron");
        portal.rules.policy.digest_cron = "0 6 * * *".parse().expect("a literal");
        apply_settings(&portal.store, at(now), &portal.rules)
            .await
            .expect("settings are applied");
        assert_eq!(
            only_digest(&portal).await.due_at,
            at("2026-03-02T11:00:00Z"),
            "the partner's own is not moved by the configured one"
        );
        portal
            .partners(
                now,
                [partner("contoso")
                    .threshold(0)
                    .zone("Europe/Berlin")
                    .cron("0 12 * * *")
                    .locale("de")],
            )
            .await;
        assert_eq!(portal.work("2026-03-02T11:00:00Z").await.len(), 1);
    });
}

/// R-DIGEST: each address gets exactly the leads that it would have been mailed singly.
#[test]
fn each_address_gets_the_leads_of_its_location() {
    both(async |portal| {
        let contoso = partner("contoso")
            .threshold(0)
            .no_admins()
            .location("berlin", true, &["b@contoso.example", "both@contoso.example"])
            .location("ulm", false, &["u@contoso.example", "both@contoso.example"]);
        portal.partners("2026-03-01T08:00:00Z", [contoso]).await;
        let leads = [
            lead("L1").location("berlin"),
            lead("L2").location("ulm"),
            lead("L3"),
            lead("L4").location("nowhere"),
        ];
        portal.import("2026-03-02T09:00:00Z", leads).await;
        assert_eq!(
            portal.work("2026-03-02T17:00:00Z").await,
            [
                "digest to b@contoso.example: L1 L3 L4",
                "digest to both@contoso.example: L1 L2 L3 L4",
                "digest to u@contoso.example: L2"
            ]
        );
    });
}

/// R-DIGEST, R-RECIPIENT: leads without an address of their own, while others of their digest have one, are not swallowed by it.
#[test]
fn a_lead_of_a_digest_without_an_address_waits_for_one() {
    both(async |portal| {
        let contoso = |ulm: &[&str]| {
            partner("contoso")
                .threshold(0)
                .no_admins()
                .location("berlin", false, &["b@contoso.example"])
                .location("ulm", false, ulm)
        };
        portal.partners("2026-03-01T08:00:00Z", [contoso(&["u@contoso.example"])]).await;
        portal
            .import("2026-03-02T09:00:00Z", [lead("L1").location("berlin"), lead("L2").location("ulm")])
            .await;
        portal.partners("2026-03-02T10:00:00Z", [contoso(&[])]).await;
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await, ["digest to b@contoso.example: L1"]);
        assert_eq!(portal.lead("L2").await.channel, Some(crate::policy::channel::Channel::Held));
        portal.partners("2026-03-03T10:00:00Z", [contoso(&["v@contoso.example"])]).await;
        assert_eq!(portal.work("2026-03-03T17:00:00Z").await, ["digest to v@contoso.example: L2"]);
    });
}

/// R-DIGEST: a short section names the leads that were mailed singly today, to this address, and are still unanswered.
#[test]
fn a_digest_names_what_was_mailed_singly_that_day() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso").threshold(2)]).await;
        portal.import_leads("2026-03-01T09:00:00Z", 1, 1).await;
        portal.import_leads("2026-03-02T09:00:00Z", 2, 3).await;
        portal.send("2026-03-02T09:00:00Z").await;
        portal.accept("2026-03-02T10:00:00Z", "L02").await;
        portal.fire("2026-03-02T17:00:00Z").await;
        let letters = portal.claim("2026-03-02T17:00:00Z").await;
        let mailed: Vec<&str> = letters[0].mailed.iter().map(|lead| lead.id.as_str()).collect();
        assert_eq!((letters.len(), mailed), (1, vec!["L03"]), "L01 is yesterday's, L02 is answered");
    });
}

/// R-DIGEST: a partner that is not known here cannot be run by hand, and the answer says so.
#[test]
fn a_digest_of_an_unknown_partner_cannot_be_run() {
    both(async |portal| {
        let ids = [PartnerId::new("nobody")].into();
        let refused = crate::app::fire::run(&portal.store, at("2026-03-02T10:00:00Z"), &portal.rules, &ids, false, None).await;
        assert_eq!(
            refused.expect_err("there is no such partner").to_string(),
            "no partner nobody is known here; `posthorn partners list` names them"
        );
    });
}

/// R-RECIPIENT, R-DIGEST: an address that fails hands its leads on; the one that stands in has had its mail of this digest, and gets them with the next.
#[test]
fn a_lead_whose_address_fails_goes_with_the_next_digest_where_the_next_address_had_its_mail() {
    both(async |portal| {
        let contoso = partner("contoso")
            .no_admins()
            .threshold(0)
            .location("berlin", false, &["b@contoso.example"])
            .location("ulm", true, &["u@contoso.example"]);
        portal.partners("2026-03-02T08:00:00Z", [contoso]).await;
        portal
            .import("2026-03-02T09:00:00Z", [lead("L1").location("berlin"), lead("L2").location("ulm")])
            .await;
        portal.fire("2026-03-02T17:00:00Z").await;
        for letter in portal.claim("2026-03-02T17:00:00Z").await {
            match letter.delivery.address.as_str() {
                "b@contoso.example" => portal.bounce("2026-03-02T17:00:00Z", &letter).await,
                _ => portal.record("2026-03-02T17:00:00Z", &letter, TryResult::Accepted(None)).await,
            }
        }
        assert_eq!(portal.send("2026-03-02T17:00:00Z").await, Vec::<String>::new());
        assert!(portal.lead("L1").await.digest_id > portal.lead("L2").await.digest_id);
        assert_eq!(portal.work("2026-03-03T17:00:00Z").await, ["digest to u@contoso.example: L1"]);
    });
}

/// A digest's hundreds of leads are in memory until its mails are written: the others wait for the next claim, and stay pending.
#[test]
fn a_claim_takes_few_digests_and_the_next_ones_the_others() {
    both(async |portal| {
        let now = "2026-03-02T17:00:00Z";
        for n in 0..20 {
            let id = format!("partner-{n:02}");
            portal.partners("2026-03-01T08:00:00Z", [partner(&id).threshold(0)]).await;
            portal
                .import("2026-03-02T09:00:00Z", [lead(&format!("L{n:02}")).partner(&id)])
                .await;
        }
        portal.fire(now).await;
        let mut told = Vec::new();
        for n_expected in [8, 8, 4] {
            let letters = claim(&portal.store, at(now), &portal.rules, 1, 100).await.expect("a claim").letters;
            assert_eq!(letters.len(), n_expected);
            told.extend(letters.into_iter().map(|letter| letter.leads[0].id.clone()));
        }
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), 20);
    });
}
