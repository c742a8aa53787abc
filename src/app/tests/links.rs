//! Links in mails: unsubscribing and subscribing again, answering and sending on, and the keys that sign (`R-OPTOUT`, `R-ACCEPT`, `R-DECLINE`).

use crate::app::Error;
use crate::app::audit::audit;
use crate::app::claim::{Letter, preview_digest};
use crate::app::forward::{FORWARDS_MAX, Forwarded};
use crate::app::from_mail::{self, Question, Replied, Reply};
use crate::app::links::keep_keys;
use crate::app::suppress::{self, Suppress};
use crate::app::testing::records::{lead, partner};
use crate::app::testing::{Portal, address, at, both};
use crate::app::unsubscribe::{Subscription, look, subscribe_again, unsubscribe};
use crate::lead::Stage;
use crate::link::{Claim, Purpose, SECRET_BYTES};
use crate::partner::PartnerId;
use crate::store::history::list_of_lead;
use crate::store::links::{find_key, newest_key};
use crate::store::suppressions::list_opt_outs_of_partner;

/// A portal with `contoso`, one mail to its admin, and the letter of that mail.
async fn mailed(portal: &Portal) -> Letter {
    keep(portal, "2026-03-01T08:00:00Z", 1).await;
    portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
    portal
        .import("2026-03-02T08:00:00Z", [lead("L1").contact("kim@fabrikam.example", "en")])
        .await;
    let letters = portal.claim("2026-03-02T08:00:00Z").await;
    assert_eq!(letters.len(), 1);
    portal
        .record("2026-03-02T08:00:01Z", &letters[0], crate::app::record::TryResult::Accepted(None))
        .await;
    letters.into_iter().next().expect("one")
}

async fn keep(portal: &Portal, now: &str, secret: u8) -> String {
    let next = keep_keys(&portal.store, at(now), &[secret; SECRET_BYTES])
        .await
        .expect("it is kept");
    next.to_string()
}

fn token(letter: &Letter, purpose: Purpose, position: u16) -> String {
    let claim = Claim {
        purpose,
        delivery_id: letter.delivery.id,
        position,
    };
    letter.link_key.as_ref().expect("mails have links").sign(&claim)
}

async fn opt_outs(portal: &Portal) -> Vec<(String, Option<i64>)> {
    let mut tx = portal.store.read().await.expect("a transaction");
    let found = list_opt_outs_of_partner(&mut tx, &PartnerId::new("contoso")).await.expect("a read");
    found.into_iter().map(|one| (one.address.to_string(), one.delivery_id)).collect()
}

async fn reply(portal: &Portal, now: &str, token: &str, reply: Reply) -> Result<(Question, Replied), Error> {
    from_mail::reply(&portal.store, at(now), &portal.rules, token, reply).await
}

fn accept() -> Reply {
    Reply::Accept {
        deal_name: Some("Forty branches".into()),
        notes: None,
    }
}

fn send_on(to: &str) -> Reply {
    Reply::Forward {
        address: address(to),
        name: Some("Robin".into()),
    }
}

#[track_caller]
fn check_nowhere<T: std::fmt::Debug>(answer: Result<T, Error>, why: &str) {
    match answer {
        Err(Error::NotFound(said)) => assert_eq!(said.text, "this link leads nowhere", "{why}"),
        other => panic!("{why}: {other:?}"),
    }
}

/// R-OPTOUT: a look changes nothing, a second time changes nothing, and what was unsubscribed can be subscribed again.
#[test]
fn a_reader_unsubscribes_by_the_link_in_his_mail_and_comes_back_by_it() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let token = token(&letter, Purpose::Unsubscribe, 0);
        let expected = |is_opted_out| Subscription {
            programme: None,
            partner_id: PartnerId::new("contoso"),
            partner: letter
                .partner
                .as_ref()
                .and_then(|partner| partner.name.clone())
                .unwrap_or_else(|| "contoso".into()),
            address: address("admin@contoso.example"),
            language: letter.delivery.language.clone(),
            is_opted_out,
        };
        let now = at("2026-03-03T08:00:00Z");
        assert_eq!(look(&portal.store, now, &token).await.expect("it is ours"), expected(false));
        assert_eq!(opt_outs(&portal).await, []);
        for _ in 0..2 {
            let done = unsubscribe(&portal.store, now, &portal.rules, &token).await.expect("it is ours");
            assert_eq!(done, expected(true));
            assert_eq!(
                opt_outs(&portal).await,
                [("admin@contoso.example".into(), Some(letter.delivery.id))]
            );
        }
        assert_eq!(
            portal.items("contoso").await.len(),
            2,
            "the partner is told once, beside the lead's own item"
        );
        portal.import("2026-03-03T09:00:00Z", [lead("L2")]).await;
        assert!(portal.send("2026-03-03T09:00:00Z").await.is_empty());
        for _ in 0..2 {
            let back = subscribe_again(&portal.store, now, &portal.rules, &token)
                .await
                .expect("it is ours");
            assert_eq!(back, expected(false));
        }
        portal.import("2026-03-03T10:00:00Z", [lead("L3")]).await;
        assert_eq!(portal.send("2026-03-03T10:00:00Z").await, ["lead to admin@contoso.example: L3"]);
    });
}

/// R-OPTOUT: a link is good for one purpose of one mail, whatever else is asked of it.
#[test]
fn a_link_opens_nothing_but_what_it_was_made_for() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let now = at("2026-03-03T08:00:00Z");
        for purpose in [Purpose::Accept, Purpose::Decline, Purpose::Forward] {
            let token = token(&letter, purpose, 0);
            check_nowhere(look(&portal.store, now, &token).await, purpose.as_str());
            check_nowhere(unsubscribe(&portal.store, now, &portal.rules, &token).await, purpose.as_str());
            check_nowhere(subscribe_again(&portal.store, now, &portal.rules, &token).await, purpose.as_str());
        }
        let unsubscribes = token(&letter, Purpose::Unsubscribe, 0);
        check_nowhere(
            from_mail::look(&portal.store, now, &portal.rules, &unsubscribes).await,
            "unsubscribe",
        );
        for (signed, said) in [
            (Purpose::Unsubscribe, accept()),
            (Purpose::Decline, accept()),
            (Purpose::Accept, send_on("robin@contoso.example")),
        ] {
            let token = token(&letter, signed, 0);
            check_nowhere(reply(&portal, "2026-03-03T08:00:00Z", &token, said).await, signed.as_str());
        }
        let elsewhere = token(&letter, Purpose::Accept, 7);
        check_nowhere(
            from_mail::look(&portal.store, now, &portal.rules, &elsewhere).await,
            "a lead that is not on the list",
        );
        for token in ["", "AQAAAAEBAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAA", "x"] {
            check_nowhere(look(&portal.store, now, token).await, token);
            check_nowhere(from_mail::look(&portal.store, now, &portal.rules, token).await, token);
        }
        let mut off = portal.clone();
        off.rules.answer_links = false;
        let accepts = token(&letter, Purpose::Accept, 0);
        check_nowhere(from_mail::look(&off.store, now, &off.rules, &accepts).await, "answer links are off");
        check_nowhere(
            reply(&off, "2026-03-03T08:00:00Z", &accepts, accept()).await,
            "answer links are off",
        );
        assert_eq!(portal.lead("L1").await.stage, Stage::Received);
    });
}

/// R-OPTOUT: keys rotate, and a link of a year ago still unsubscribes.
#[test]
fn a_link_outlives_its_key_by_more_than_a_year_and_no_longer() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let token = token(&letter, Purpose::Unsubscribe, 0);
        assert_eq!(
            keep(&portal, "2026-03-02T08:00:00Z", 2).await,
            "2026-05-30T08:00:00.000Z",
            "it is young"
        );
        assert_eq!(
            keep(&portal, "2026-05-30T08:00:00Z", 3).await,
            "2026-08-28T08:00:00.000Z",
            "a quarter has passed"
        );
        let mut tx = portal.store.read().await.expect("a transaction");
        let newest = newest_key(&mut tx).await.expect("a read").expect("there is one");
        assert_eq!(newest.made_at, at("2026-05-30T08:00:00Z"));
        drop(tx);
        portal
            .import("2026-06-01T08:00:00Z", [lead("L2").created("2026-06-01T08:00:00Z")])
            .await;
        let second = portal.claim("2026-06-01T08:00:00Z").await.remove(0);
        assert_eq!(second.link_key, Some(newest.key));
        let year_later = at("2027-03-02T08:00:00Z");
        assert!(look(&portal.store, year_later, &token).await.is_ok());
        let too_late = at("2027-07-04T08:00:00Z");
        check_nowhere(
            look(&portal.store, too_late, &token).await,
            "490 days, though nobody has forgotten the key",
        );
        keep(&portal, "2027-07-04T08:00:00Z", 4).await;
        check_nowhere(look(&portal.store, year_later, &token).await, "the key is gone");
        let mut tx = portal.store.read().await.expect("a transaction");
        assert!(find_key(&mut tx, 1).await.expect("a read").is_none());
    });
}

/// A preview shows a mail that never was: its delivery's number will be another's.
#[test]
fn links_that_are_only_shown_open_nothing() {
    both(async |portal| {
        keep(&portal, "2026-03-01T08:00:00Z", 1).await;
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso").threshold(0)]).await;
        portal.import_leads("2026-03-02T08:00:00Z", 1, 2).await;
        let shown = preview_digest(&portal.store, at("2026-03-02T09:00:00Z"), &portal.rules, &PartnerId::new("contoso"))
            .await
            .expect("a preview");
        let token = token(&shown[0], Purpose::Unsubscribe, 0);
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await.len(), 1);
        check_nowhere(look(&portal.store, at("2026-03-02T18:00:00Z"), &token).await, "a preview's link");
    });
}

/// R-ACCEPT, R-STAGES: an answer from the mail is an answer like any other, by the address of the mail; a second one comes too late.
#[test]
fn a_lead_is_accepted_from_its_mail_once() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let (accepts, declines) = (token(&letter, Purpose::Accept, 0), token(&letter, Purpose::Decline, 0));
        let now = "2026-03-03T08:00:00Z";
        let question = from_mail::look(&portal.store, at(now), &portal.rules, &accepts)
            .await
            .expect("it is ours");
        assert_eq!((question.lead.id.as_str(), question.purpose), ("L1", Purpose::Accept));
        assert_eq!(portal.lead("L1").await.stage, Stage::Received, "a look changes nothing");
        let (question, replied) = reply(&portal, now, &accepts, accept()).await.expect("it is accepted");
        assert_eq!((replied, question.lead.stage), (Replied::Answered, Stage::Accepted));
        for (token, said) in [
            (&accepts, accept()),
            (
                &declines,
                Reply::Decline {
                    reason: "no capacity".into(),
                    notes: None,
                },
            ),
        ] {
            let (question, replied) = reply(&portal, "2026-03-03T08:01:00Z", token, said).await.expect("it is told");
            assert_eq!((replied, question.lead.stage), (Replied::TooLate, Stage::Accepted));
        }
        assert!(portal.lead("L1").await.answer.expect("it is kept").contains("Forty branches"));
        let mut tx = portal.store.read().await.expect("a transaction");
        let story = list_of_lead(&mut tx, &letter.leads[0].id).await.expect("a read");
        let entry = story.iter().find(|entry| entry.rule == "R-ACCEPT").expect("it is written down");
        assert_eq!(entry.actor.as_deref(), Some("admin@contoso.example"));
    });
}

/// R-DECLINE, R-EXPIRY: each lead of a digest has links of its own; once it has expired they do nothing.
#[test]
fn each_lead_of_a_digest_is_answered_by_links_of_its_own() {
    both(async |portal| {
        keep(&portal, "2026-03-01T08:00:00Z", 1).await;
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso").threshold(0)]).await;
        portal.import_leads("2026-03-02T08:00:00Z", 1, 3).await;
        portal.fire("2026-03-02T17:00:00Z").await;
        let digest = portal.claim("2026-03-02T17:00:00Z").await.remove(0);
        let position = digest
            .delivery
            .leads
            .iter()
            .position(|id| id.as_str() == "L02")
            .expect("it is listed");
        let declines = token(&digest, Purpose::Decline, u16::try_from(position).expect("there are three"));
        let said = Reply::Decline {
            reason: "no capacity".into(),
            notes: None,
        };
        let (question, replied) = reply(&portal, "2026-03-03T08:00:00Z", &declines, said)
            .await
            .expect("it is declined");
        assert_eq!((question.lead.id.as_str(), replied), ("L02", Replied::Answered));
        let stages: Vec<Stage> = portal.leads_of("contoso").await.iter().map(|lead| lead.stage).collect();
        assert_eq!(stages, [Stage::Received, Stage::Declined, Stage::Received]);
        let accepts = token(&digest, Purpose::Accept, 0);
        let (_, replied) = reply(&portal, "2026-03-16T08:00:00Z", &accepts, accept())
            .await
            .expect("it is told");
        assert_eq!(replied, Replied::TooLate, "at that very instant it has expired");
    });
}

/// R-RECIPIENT: a lead that is sent on goes to that address, once, and to nobody else; whoever was told stays told.
#[test]
fn a_lead_is_sent_on_to_a_colleague_once() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let sends = token(&letter, Purpose::Forward, 0);
        let now = "2026-03-03T08:00:00Z";
        let (_, replied) = reply(&portal, now, &sends, send_on("robin@contoso.example"))
            .await
            .expect("it is sent on");
        assert_eq!(replied, Replied::Forwarded(Forwarded::Queued));
        for to in ["robin@contoso.example", "admin@contoso.example"] {
            let (_, replied) = reply(&portal, now, &sends, send_on(to)).await.expect("it is told");
            assert_eq!(replied, Replied::Forwarded(Forwarded::ToldAlready), "{to}");
        }
        let letters = portal.claim(now).await;
        assert_eq!(letters.len(), 1);
        let delivery = &letters[0].delivery;
        assert_eq!(
            (delivery.address.as_str(), delivery.name.as_deref()),
            ("robin@contoso.example", Some("Robin"))
        );
        assert_eq!(delivery.forwarded_by, Some(address("admin@contoso.example")));
        portal.record(now, &letters[0], crate::app::record::TryResult::Accepted(None)).await;
        let story = portal.story("L1").await;
        assert!(
            story
                .iter()
                .any(|said| said == "R-RECIPIENT sent on to robin@contoso.example by admin@contoso.example"),
            "{story:?}"
        );
        // The colleague can answer as the first reader could.
        let accepts = token(&letters[0], Purpose::Accept, 0);
        let (_, replied) = reply(&portal, "2026-03-03T09:00:00Z", &accepts, accept())
            .await
            .expect("it is accepted");
        assert_eq!(replied, Replied::Answered);
        let (_, replied) = reply(&portal, "2026-03-03T09:00:00Z", &sends, send_on("sam@contoso.example"))
            .await
            .expect("it is told");
        assert_eq!(replied, Replied::TooLate);
        assert_balanced(&portal, "2026-03-03T09:00:00Z").await;
    });
}

/// R-RECIPIENT, R-OPTOUT: who cannot be reached, or does not want these mails, gets none by way of a colleague.
#[test]
fn a_lead_is_sent_on_to_nobody_who_cannot_get_it_or_does_not_want_it() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let sends = token(&letter, Purpose::Forward, 0);
        let now = "2026-03-03T08:00:00Z";
        let away = partner("contoso").with(
            "preferredEmails",
            serde_json::json!([{ "email": "away@contoso.example", "disableNotifications": true }]),
        );
        portal.partners(now, [away]).await;
        let dead = Suppress {
            address: address("gone@contoso.example"),
            reason: "5.1.1".into(),
            detail: "no such user".into(),
            actor: None,
        };
        suppress::add(&portal.store, at(now), &portal.rules, dead)
            .await
            .expect("it was not suppressed");
        let unsubscribes = token(&letter, Purpose::Unsubscribe, 0);
        unsubscribe(&portal.store, at(now), &portal.rules, &unsubscribes)
            .await
            .expect("it is ours");
        for (to, expected) in [
            ("gone@contoso.example", Forwarded::Unreachable),
            ("away@contoso.example", Forwarded::Unreachable),
            ("gone@contoso.example", Forwarded::Unreachable),
            // He has it, whether he wants more or not.
            ("admin@contoso.example", Forwarded::ToldAlready),
        ] {
            let (_, replied) = reply(&portal, now, &sends, send_on(to)).await.expect("it is told");
            assert_eq!(replied, Replied::Forwarded(expected), "{to}");
        }
        // Two were asked about in vain: that counts, so that nobody learns of many.
        for n in 2..FORWARDS_MAX {
            let (_, replied) = reply(&portal, now, &sends, send_on(&format!("r{n}@contoso.example")))
                .await
                .expect("it is sent on");
            assert_eq!(replied, Replied::Forwarded(Forwarded::Queued), "{n}");
        }
        for to in ["one-more@contoso.example", "gone@contoso.example", "home@contoso.example"] {
            let (_, replied) = reply(&portal, now, &sends, send_on(to)).await.expect("it is told");
            assert_eq!(replied, Replied::Forwarded(Forwarded::TooOften), "{to}");
        }
        assert_balanced(&portal, "2026-03-03T09:00:00Z").await;
    });
}

/// R-RECIPIENT: a colleague's address that fails is suppressed like any other, and the partner's own are not mailed a second time for it.
#[test]
fn a_colleague_who_does_not_exist_brings_nobody_a_second_mail() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let sends = token(&letter, Purpose::Forward, 0);
        reply(&portal, "2026-03-03T08:00:00Z", &sends, send_on("typo@contoso.example"))
            .await
            .expect("it is sent on");
        let letters = portal.claim("2026-03-03T08:00:00Z").await;
        portal.bounce("2026-03-03T08:00:00Z", &letters[0]).await;
        assert!(portal.send("2026-03-03T08:00:01Z").await.is_empty());
        let story = portal.story("L1").await;
        assert!(
            story
                .iter()
                .any(|said| said.contains("typo@contoso.example, to whom it was sent on, cannot be reached")),
            "{story:?}"
        );
        assert_balanced(&portal, "2026-03-03T09:00:00Z").await;
    });
}

/// R-STAGES: an answer takes back what was sent on and not mailed yet.
#[test]
fn an_answer_comes_before_a_mail_that_was_sent_on() {
    both(async |portal| {
        let letter = mailed(&portal).await;
        let sends = token(&letter, Purpose::Forward, 0);
        reply(&portal, "2026-03-03T08:00:00Z", &sends, send_on("robin@contoso.example"))
            .await
            .expect("it is sent on");
        portal.accept("2026-03-03T08:00:01Z", "L1").await;
        assert!(portal.send("2026-03-03T08:00:02Z").await.is_empty());
        assert_balanced(&portal, "2026-03-03T09:00:00Z").await;
    });
}

async fn assert_balanced(portal: &Portal, now: &str) {
    let books = audit(&portal.store, at(now), at(now)).await.expect("the books are closed");
    assert_eq!(books.n_orphans, 0, "{:?}", books.orphans);
}
