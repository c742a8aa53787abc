//! Who is told, decided when a notice is claimed; and what becomes of addresses that cannot be reached or do not want mail (`R-RECIPIENT`, `R-OPTOUT`,
//! `R-LOCALE`).

use crate::app::database::apply_settings;
use crate::app::record::{self, TryResult};
use crate::app::suppress::{self, Suppress};
use crate::app::testing::records::{Partner, lead, partner};
use crate::app::testing::{Portal, address, at, both, refused};
use crate::outbox::delivery::Event;
use crate::partner::PartnerId;
use crate::policy::Rung;
use crate::store::suppressions::OptOut;

/// A partner with an address on every rung.
fn ladder() -> Partner {
    partner("contoso")
        .preferred("preferred@contoso.example")
        .location("berlin", true, &["profile@contoso.example"])
}

async fn suppress(portal: &Portal, now: &str, text: &str) {
    let one = Suppress {
        address: address(text),
        reason: "by hand".into(),
        detail: "left the company".into(),
        actor: None,
    };
    suppress::add(&portal.store, at(now), &portal.rules, one)
        .await
        .expect("it was not suppressed");
}

async fn lift(portal: &Portal, now: &str, text: &str) -> usize {
    suppress::lift(&portal.store, at(now), &portal.rules, &address(text), None)
        .await
        .expect("it was suppressed")
}

async fn opt_out(portal: &Portal, now: &str, text: &str) {
    let one = OptOut {
        partner_id: PartnerId::new("contoso"),
        address: address(text),
        at: at(now),
        delivery_id: None,
    };
    assert!(
        suppress::opt_out(&portal.store, at(now), &portal.rules, &one)
            .await
            .expect("it is written")
    );
}

/// R-RECIPIENT: the address is resolved when the notice is claimed, never when the lead arrives.
#[test]
fn the_address_is_the_one_that_stands_when_the_mail_goes_out() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1")]).await;
        portal.partners("2026-03-02T09:00:01Z", [ladder()]).await;
        assert_eq!(portal.send("2026-03-02T09:00:02Z").await, ["lead to preferred@contoso.example: L1"]);
    });
}

/// R-RECIPIENT: a suppressed address counts as absent and falls through to the next rung; a silenced one never does.
#[test]
fn suppressed_falls_through_and_silenced_does_not() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [ladder()]).await;
        suppress(&portal, "2026-03-02T08:10:00Z", "preferred@contoso.example").await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1")]).await;
        assert_eq!(portal.send("2026-03-02T09:00:00Z").await, ["lead to profile@contoso.example: L1"]);
        suppress(&portal, "2026-03-02T09:10:00Z", "profile@contoso.example").await;
        portal.import("2026-03-02T09:20:00Z", [lead("L2")]).await;
        assert_eq!(portal.send("2026-03-02T09:20:00Z").await, ["lead to admin@contoso.example: L2"]);
        opt_out(&portal, "2026-03-02T09:30:00Z", "admin@contoso.example").await;
        portal.import("2026-03-02T09:40:00Z", [lead("L3")]).await;
        assert_eq!(
            portal.send("2026-03-02T09:40:00Z").await,
            [""; 0],
            "only silenced: done, with that reason"
        );
        assert_eq!(portal.notices().await, [("lead done".to_owned(), 3)].into());
        let story = portal.story("L3").await;
        assert!(
            story[1].contains("no lead mail goes out: admin@contoso.example has unsubscribed"),
            "{story:#?}"
        );

        portal
            .partners("2026-03-02T09:50:00Z", [partner("quiet").preferred_silenced("q@quiet.example")])
            .await;
        portal.import("2026-03-02T10:00:00Z", [lead("L4").partner("quiet")]).await;
        assert_eq!(portal.send("2026-03-02T10:00:00Z").await, [""; 0], "the admins are not asked");
        let items = portal.items("contoso").await;
        assert_eq!(
            items["unreachable contoso preferred@contoso.example"].category, "mandatory",
            "a preferred e-mail that bounces"
        );
        assert_eq!(items["unreachable contoso profile@contoso.example"].category, "recommended");
        assert!(
            items.contains_key("opted-out contoso admin@contoso.example"),
            "R-OPTOUT posts an item"
        );
    });
}

/// R-RECIPIENT: a rung that is set later gives the partner an address, and what waited for one is decided again.
#[test]
fn a_rung_that_is_added_releases_what_waits() {
    both(async |mut portal| {
        let all = std::mem::replace(&mut portal.rules.policy.recipient_rungs, vec![Rung::Preferred]);
        let other = partner("other").no_admins();
        portal
            .partners("2026-03-02T08:00:00Z", [partner("contoso").preferred("p@contoso.example"), other])
            .await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1")]).await;
        portal.partners("2026-03-02T09:00:00Z", [partner("contoso")]).await;
        assert_eq!(portal.send("2026-03-02T09:00:00Z").await, [""; 0], "parked");
        portal
            .import("2026-03-02T10:00:00Z", [lead("L2"), lead("L3").partner("other")])
            .await;
        let apply = async |portal: &Portal, now: &str| {
            apply_settings(&portal.store, at(now), &portal.rules)
                .await
                .expect("they can be applied");
            portal.send(now).await
        };
        assert_eq!(apply(&portal, "2026-03-02T11:00:00Z").await, [""; 0], "nothing has changed");
        portal.rules.policy.recipient_rungs = all;
        assert_eq!(
            apply(&portal, "2026-03-02T12:00:00Z").await,
            ["lead to admin@contoso.example: L1", "lead to admin@contoso.example: L2"]
        );
        assert_eq!(portal.channels("other").await, ["L3 held"]);
    });
}

/// R-RECIPIENT: a hard failure suppresses the address and resolves that notice once more; nobody left: undeliverable.
#[test]
fn a_hard_bounce_goes_to_the_next_rung_until_nobody_is_left() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [ladder()]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1")]).await;
        for expected in ["preferred@contoso.example", "profile@contoso.example", "admin@contoso.example"] {
            let letters = portal.claim("2026-03-02T09:00:00Z").await;
            let told: Vec<&str> = letters.iter().map(|letter| letter.delivery.address.as_str()).collect();
            assert_eq!(told, [expected]);
            portal.bounce("2026-03-02T09:00:00Z", &letters[0]).await;
        }
        assert_eq!(portal.send("2026-03-02T09:00:00Z").await, [""; 0]);
        assert_eq!(portal.notices().await, [("lead undeliverable".to_owned(), 1)].into());
        // A lead that comes now finds nobody: it is held, and the suppressions are shown.
        portal.import("2026-03-02T10:00:00Z", [lead("L2")]).await;
        assert_eq!(portal.channels("contoso").await, ["L1 single 2026-03-02 #1", "L2 held"]);
    });
}

/// R-RECIPIENT: a mail that ops send once more settles that nobody could be told; where its address fails again, that is said again.
#[test]
fn a_retry_by_hand_settles_an_undeliverable_notice() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1")]).await;
        let letter = portal.claim("2026-03-02T09:00:00Z").await.remove(0);
        portal.record("2026-03-02T09:00:00Z", &letter, refused(550, "go away")).await;
        portal.send("2026-03-02T09:00:01Z").await;
        assert_eq!(portal.notices().await, [("lead undeliverable".to_owned(), 1)].into());
        for (now, text, expected) in [
            ("2026-03-02T10:00:00Z", "5.1.1 unknown", "lead undeliverable"),
            ("2026-03-02T11:00:00Z", "", "lead done"),
        ] {
            let id = letter.delivery.id;
            record::by_hand(&portal.store, at(now), &portal.rules, id, Event::OpsRetry, None)
                .await
                .expect("a failed one can be retried");
            assert_eq!(portal.notices().await, [("lead done".to_owned(), 1)].into(), "on its way");
            if text.is_empty() {
                lift(&portal, now, "admin@contoso.example").await;
                assert_eq!(portal.send(now).await, ["lead to admin@contoso.example: L1"]);
            } else {
                let again = portal.claim(now).await.remove(0);
                portal.record(now, &again, refused(550, text)).await;
                portal.send(now).await;
            }
            assert_eq!(portal.notices().await, [(expected.to_owned(), 1)].into());
        }
    });
}

/// R-RECIPIENT: one of two addresses failed; the other one was told, and nobody gets a second mail.
#[test]
fn a_bounce_of_one_of_two_addresses_tells_nobody_twice() {
    both(async |portal| {
        let two = partner("contoso").preferred("a@contoso.example").preferred("b@contoso.example");
        portal.partners("2026-03-02T08:00:00Z", [two]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1")]).await;
        let letters = portal.claim("2026-03-02T09:00:00Z").await;
        assert_eq!(letters.len(), 2);
        portal.bounce("2026-03-02T09:00:00Z", &letters[0]).await;
        portal
            .record("2026-03-02T09:00:00Z", &letters[1], crate::app::record::TryResult::Accepted(None))
            .await;
        assert_eq!(portal.send("2026-03-02T09:00:00Z").await, [""; 0]);
        assert_eq!(portal.notices().await, [("lead done".to_owned(), 1)].into());
    });
}

/// R-RECIPIENT: a bare 550 suppresses when a second one comes a day later, not before.
#[test]
fn a_second_bare_refusal_a_day_apart_suppresses() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [ladder()]).await;
        for (index, (now, expected, why)) in [
            ("2026-03-02T09:00:00.000Z", "preferred@contoso.example", "the first"),
            ("2026-03-03T08:59:59.999Z", "preferred@contoso.example", "a day less 1 ms"),
            ("2026-03-03T09:00:00.000Z", "preferred@contoso.example", "a day"),
            ("2026-03-03T09:00:00.001Z", "profile@contoso.example", "suppressed since"),
        ]
        .into_iter()
        .enumerate()
        {
            portal.import(now, [lead(&format!("L{index}")).created(now)]).await;
            let letters = portal.claim(now).await;
            assert_eq!(letters[0].delivery.address.as_str(), expected, "{why}");
            portal.record(now, &letters[0], refused(550, "go away")).await;
            // The notice goes to the next rung at once; that mail is taken.
            portal.send(now).await;
        }
    });
}

/// R-RECIPIENT: suppression lifted: what was kept back is queued again, where it is still of use.
#[test]
fn lifting_a_suppression_brings_back_what_is_still_of_use() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1"), lead("L2"), lead("L3")]).await;
        let letters = portal.claim("2026-03-02T09:00:00Z").await;
        for letter in &letters[1..] {
            portal.record("2026-03-02T09:00:00Z", letter, refused(450, "4.2.0 later")).await;
        }
        portal.bounce("2026-03-02T09:00:10Z", &letters[0]).await;
        portal.send("2026-03-02T09:00:20Z").await;
        assert_eq!(portal.notices().await, [("lead undeliverable".to_owned(), 3)].into());
        portal.accept("2026-03-02T10:00:00Z", "L2").await;
        portal.import("2026-03-02T10:00:00Z", [lead("L4")]).await;
        assert_eq!(portal.channels("contoso").await[3], "L4 held");

        assert_eq!(lift(&portal, "2026-03-02T11:00:00Z", "admin@contoso.example").await, 2);
        assert_eq!(
            portal.send("2026-03-02T11:00:00Z").await,
            [
                "lead to admin@contoso.example: L1",
                "lead to admin@contoso.example: L3",
                "lead to admin@contoso.example: L4"
            ]
        );
        assert_eq!(
            portal.items("contoso").await["unreachable contoso admin@contoso.example"].state,
            "done"
        );
        let states: Vec<_> = portal.notices().await.into_iter().collect();
        assert_eq!(
            states,
            [("lead done".to_owned(), 3), ("lead undeliverable".to_owned(), 1)],
            "L2 needs no telling any more"
        );
    });
}

/// R-RECIPIENT: an address that is suppressed while a mail to it waits, or is under way, gets none of what comes after.
#[test]
fn a_mail_that_comes_back_to_the_queue_finds_its_address_suppressed() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [ladder()]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1"), lead("L2")]).await;
        let letters = portal.claim("2026-03-02T09:00:00Z").await;
        portal.bounce("2026-03-02T09:00:01Z", &letters[0]).await;
        // The second one was under way meanwhile, and comes back.
        portal
            .record("2026-03-02T09:00:02Z", &letters[1], refused(450, "4.2.0 later"))
            .await;
        assert_eq!(
            portal.send("2026-03-02T12:00:00Z").await,
            ["lead to profile@contoso.example: L1", "lead to profile@contoso.example: L2"]
        );
    });
}

/// R-OPTOUT: an address that opts out while a mail to it waits gets none.
#[test]
fn a_mail_that_waits_for_another_try_is_dropped_when_its_address_opts_out() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [ladder()]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1"), lead("L2")]).await;
        let letters = portal.claim("2026-03-02T09:00:00Z").await;
        portal
            .record("2026-03-02T09:00:00Z", &letters[0], refused(450, "4.2.0 later"))
            .await;
        opt_out(&portal, "2026-03-02T09:00:01Z", "preferred@contoso.example").await;
        portal
            .record("2026-03-02T09:00:02Z", &letters[1], refused(450, "4.2.0 later"))
            .await;
        assert_eq!(portal.send("2026-03-02T12:00:00Z").await, [""; 0]);
    });
}

/// R-OPTOUT: laid over the partner record, so that no partner import undoes it; lifted only by `resubscribe`.
#[test]
fn an_opt_out_outlives_partner_imports_until_it_is_lifted() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        opt_out(&portal, "2026-03-02T08:10:00Z", "admin@contoso.example").await;
        portal.partners("2026-03-02T08:20:00Z", [partner("contoso").locale("de")]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1")]).await;
        assert_eq!(portal.send("2026-03-02T09:00:00Z").await, [""; 0]);
        let contoso = PartnerId::new("contoso");
        suppress::resubscribe(
            &portal.store,
            at("2026-03-02T09:10:00Z"),
            &portal.rules,
            &contoso,
            &address("admin@contoso.example"),
            None,
        )
        .await
        .expect("it had opted out");
        portal.import("2026-03-02T09:20:00Z", [lead("L2")]).await;
        assert_eq!(portal.send("2026-03-02T09:20:00Z").await, ["lead to admin@contoso.example: L2"]);
        assert_eq!(
            portal.items("contoso").await["opted-out contoso admin@contoso.example"].state,
            "done"
        );
    });
}

/// R-RECIPIENT: a partner that loses its only address parks the notice, and gets it as soon as it has one again.
#[test]
fn a_notice_without_an_address_is_parked_until_the_partner_changes() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T09:00:00Z", [lead("L1"), lead("L2")]).await;
        portal.partners("2026-03-02T09:00:01Z", [partner("contoso").no_admins()]).await;
        assert_eq!(portal.send("2026-03-02T09:00:02Z").await, [""; 0]);
        assert_eq!(portal.notices().await, [("lead parked".to_owned(), 2)].into());
        portal.accept("2026-03-02T09:10:00Z", "L2").await;
        portal
            .partners(
                "2026-03-02T10:00:00Z",
                [partner("contoso").no_admins().admin("new@contoso.example")],
            )
            .await;
        assert_eq!(portal.send("2026-03-02T10:00:00Z").await, ["lead to new@contoso.example: L1"]);
    });
}

/// R-LOCALE: the contact's locale, else the partner's, else the configured one.
#[test]
fn the_language_is_the_contacts_the_partners_or_the_configured_one() {
    both(async |portal| {
        let contact = serde_json::json!([{ "email": "c@own.example", "locale": "fr-CA" }]);
        let own = partner("own").locale("de-AT").with("preferredEmails", contact);
        portal
            .partners(
                "2026-03-02T08:00:00Z",
                [
                    own,
                    partner("partners").locale("de-AT"),
                    partner("none").with("locale", serde_json::Value::Null),
                ],
            )
            .await;
        let leads = ["own", "partners", "none"].map(|id| lead(id).partner(id));
        portal.import("2026-03-02T09:00:00Z", leads).await;
        let letters = portal.claim("2026-03-02T09:00:00Z").await;
        let mut languages: Vec<(&str, &str)> = letters
            .iter()
            .map(|one| (one.delivery.partner_id.as_str(), one.delivery.language.as_str()))
            .collect();
        languages.sort_unstable();
        assert_eq!(languages, [("none", "en"), ("own", "fr-CA"), ("partners", "de-AT")]);
    });
}

/// R-RECIPIENT: a digest's lead that was held again for want of an address is told once when that address is back: by the mail that was kept, and by no
/// other.
#[test]
fn a_lifted_suppression_tells_a_lead_of_a_digest_once() {
    both(async |portal| {
        let two_places = partner("contoso")
            .no_admins()
            .threshold(0)
            .location("berlin", false, &["berlin@contoso.example"])
            .location("paris", false, &["paris@contoso.example"]);
        portal.partners("2026-03-02T08:00:00Z", [two_places]).await;
        portal
            .import(
                "2026-03-02T09:00:00Z",
                [lead("L1").location("berlin"), lead("L2").location("paris")],
            )
            .await;
        portal.fire("2026-03-02T17:00:00Z").await;
        for letter in portal.claim("2026-03-02T17:00:00Z").await {
            let result = match letter.delivery.address.as_str() {
                "paris@contoso.example" => refused(451, "4.3.0 later"),
                _ => TryResult::Accepted(None),
            };
            portal.record("2026-03-02T17:00:00Z", &letter, result).await;
        }
        suppress(&portal, "2026-03-02T17:00:10Z", "paris@contoso.example").await;
        assert!(portal.send("2026-03-02T17:00:20Z").await.is_empty());
        assert_eq!(portal.channels("contoso").await[1], "L2 held 2026-03-02 #2");
        assert_eq!(lift(&portal, "2026-03-03T09:00:00Z", "paris@contoso.example").await, 1);
        assert_eq!(portal.work("2026-03-03T09:00:00Z").await, ["digest to paris@contoso.example: L2"]);
        for later in ["2026-03-03T17:00:00Z", "2026-03-04T17:00:00Z"] {
            assert!(portal.work(later).await.is_empty(), "a second mail at {later}");
        }
        assert_eq!(portal.channels("contoso").await[1], "L2 digest 2026-03-02 #2");
    });
}

/// R-RECIPIENT: what was told by another mail meanwhile is not told again by the one that was kept.
#[test]
fn a_lifted_suppression_does_not_tell_what_has_been_told_meanwhile() {
    both(async |portal| {
        let two_places = partner("contoso")
            .no_admins()
            .threshold(0)
            .location("berlin", false, &["berlin@contoso.example"])
            .location("paris", false, &["paris@contoso.example"]);
        portal.partners("2026-03-02T08:00:00Z", [two_places]).await;
        portal
            .import(
                "2026-03-02T09:00:00Z",
                [lead("L1").location("berlin"), lead("L2").location("paris")],
            )
            .await;
        portal.fire("2026-03-02T17:00:00Z").await;
        for letter in portal.claim("2026-03-02T17:00:00Z").await {
            let result = match letter.delivery.address.as_str() {
                "paris@contoso.example" => refused(451, "4.3.0 later"),
                _ => TryResult::Accepted(None),
            };
            portal.record("2026-03-02T17:00:00Z", &letter, result).await;
        }
        suppress(&portal, "2026-03-02T17:00:10Z", "paris@contoso.example").await;
        portal.send("2026-03-02T17:00:20Z").await;
        portal
            .partners(
                "2026-03-03T08:00:00Z",
                [partner("contoso").threshold(0).preferred("all@contoso.example")],
            )
            .await;
        assert_eq!(portal.work("2026-03-03T17:00:00Z").await, ["digest to all@contoso.example: L2"]);
        assert_eq!(lift(&portal, "2026-03-03T18:00:00Z", "paris@contoso.example").await, 0);
        assert!(portal.work("2026-03-04T17:00:00Z").await.is_empty());
    });
}
