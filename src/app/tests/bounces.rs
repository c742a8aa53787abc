//! What comes back of mails, and what follows from it (`R-RECIPIENT`; architecture, "DSN matches").

use crate::app::audit::audit;
use crate::app::bounce::{Incoming, Taken, forget, take_in};
use crate::app::record::TryResult;
use crate::app::suppress;
use crate::app::testing::records::{Partner, lead, partner};
use crate::app::testing::{Portal, address, at, both};
use crate::outbox::bounce::{Action, Recipient, Report, Sort};
use crate::outbox::mark::Marks;
use crate::outbox::reply::parse_enhanced;
use crate::store::attempts::list_attempts;
use crate::store::bounces::{forget_all_but, list_bounces};
use crate::store::deliveries::{Delivery, Filter, list_deliveries};
use crate::store::suppressions::find_suppression;

const MONDAY: &str = "2026-03-02T09:00:00Z";
const LATER: &str = "2026-03-02T10:00:00Z";
const TUESDAY: &str = "2026-03-03T10:00:00Z";

fn marks() -> Marks {
    Marks::new(&[7; 32], Some("bounces+{id}@portal.example"))
}

/// A partner with an address on every rung.
fn ladder() -> Partner {
    partner("contoso")
        .preferred("preferred@contoso.example")
        .location("berlin", true, &["profile@contoso.example"])
}

/// A report about `to`, which came to the return address of `delivery`.
fn report(delivery: i64, to: &str, action: Action, status: &str, words: &str) -> Report {
    Report {
        sort: Sort::Report,
        message_id: Some(format!("{delivery}-{status}-{words}@mx.example")),
        came_to: marks().return_address(delivery).into_iter().collect(),
        recipients: vec![Recipient {
            last: Some(to.to_owned()),
            action: Some(action),
            status: parse_enhanced(status),
            diagnostic: (!words.is_empty()).then(|| words.to_owned()),
            remote: Some("mx.contoso.example".to_owned()),
            ..Recipient::default()
        }],
        ..Report::default()
    }
}

fn gone(delivery: i64, to: &str) -> Report {
    report(delivery, to, Action::Failed, "5.1.1", "550 5.1.1 no such user")
}

async fn bring(portal: &Portal, now: &str, report: Report) -> Taken {
    bring_by(portal, now, &marks(), report).await
}

async fn bring_by(portal: &Portal, now: &str, marks: &Marks, report: Report) -> Taken {
    let incoming = Incoming {
        source: "test",
        recipient: None,
        raw: b"the mail",
        report,
    };
    take_in(&portal.store, at(now), &portal.rules, marks, &incoming)
        .await
        .expect("it is taken in")
}

async fn deliveries(portal: &Portal) -> Vec<Delivery> {
    let mut tx = portal.store.read().await.expect("a transaction");
    let mut all = list_deliveries(&mut tx, &Filter::default(), i64::MAX, 1000).await.expect("a read");
    all.reverse();
    all
}

/// Each delivery as `address: state`.
async fn states(portal: &Portal) -> Vec<String> {
    let all = deliveries(portal).await;
    all.iter()
        .map(|delivery| format!("{}: {}", delivery.address, delivery.state))
        .collect()
}

/// The attempts of a delivery as `outcome: detail`.
async fn attempts(portal: &Portal, delivery: i64) -> Vec<String> {
    let mut tx = portal.store.read().await.expect("a transaction");
    let all = list_attempts(&mut tx, &[delivery]).await.expect("a read");
    all.iter()
        .map(|attempt| format!("{}: {}", attempt.outcome, attempt.detail))
        .collect()
}

async fn is_suppressed(portal: &Portal, text: &str) -> bool {
    let mut tx = portal.store.read().await.expect("a transaction");
    find_suppression(&mut tx, &address(text)).await.expect("a read").is_some()
}

async fn n_orphans(portal: &Portal, now: &str) -> i64 {
    audit(&portal.store, at(now), at(now)).await.expect("an audit").n_orphans
}

/// A portal that has mailed a lead to the preferred address of `contoso`; returns its delivery.
async fn mailed(portal: &Portal) -> i64 {
    portal.partners("2026-03-02T08:00:00Z", [ladder()]).await;
    portal.import(MONDAY, [lead("L1")]).await;
    assert_eq!(portal.send(MONDAY).await, ["lead to preferred@contoso.example: L1"]);
    deliveries(portal).await[0].id
}

/// R-RECIPIENT: a hard bounce of a sent mail suppresses its address and tells the next one; the same again changes nothing.
#[test]
fn a_mail_that_comes_back_for_good_goes_to_the_next_rung_once() {
    both(async |portal| {
        let id = mailed(&portal).await;
        let taken = bring(&portal, LATER, gone(id, "preferred@contoso.example")).await;
        assert_eq!(
            (
                taken.bounce.state.as_str(),
                taken.bounce.class.as_deref(),
                taken.bounce.matched_by.as_deref()
            ),
            ("matched", Some("hard"), Some("return_address"))
        );
        assert!(is_suppressed(&portal, "preferred@contoso.example").await);
        let items = portal.items("contoso").await;
        assert_eq!(
            items["unreachable contoso preferred@contoso.example"].category, "mandatory",
            "R-ACTION"
        );
        for _ in 0..2 {
            let again = bring(&portal, LATER, gone(id, "preferred@contoso.example")).await;
            assert!(again.is_repeat && again.bounce.id == taken.bounce.id);
        }
        assert_eq!(portal.send(LATER).await, ["lead to profile@contoso.example: L1"]);
        assert_eq!(
            states(&portal).await,
            ["preferred@contoso.example: failed", "profile@contoso.example: sent"]
        );
        assert_eq!(
            attempts(&portal, id).await.last().map(String::as_str),
            Some("hard: came back: 550 5.1.1 no such user; the address is suppressed")
        );
        let story = portal.story("L1").await;
        assert!(
            story.iter().any(|told| told
                .contains("the lead mail to preferred@contoso.example came back: 550 5.1.1 no such user; the address is suppressed")),
            "{story:#?}"
        );
        assert_eq!(n_orphans(&portal, LATER).await, 0);
    });
}

/// R-RECIPIENT: only what says that the address is dead suppresses it; a refusal by policy tells the next address and no more.
#[test]
fn a_refusal_by_policy_costs_the_mail_and_not_the_address() {
    both(async |portal| {
        let id = mailed(&portal).await;
        let refused = report(id, "preferred@contoso.example", Action::Failed, "5.7.1", "550 5.7.1 listed");
        bring(&portal, LATER, refused).await;
        assert!(!is_suppressed(&portal, "preferred@contoso.example").await);
        assert_eq!(portal.send(LATER).await, ["lead to profile@contoso.example: L1"]);
        portal.import(LATER, [lead("L2")]).await;
        assert_eq!(
            portal.send(LATER).await,
            ["lead to preferred@contoso.example: L2"],
            "it is tried with the next lead"
        );
        assert_eq!(n_orphans(&portal, LATER).await, 0);
    });
}

/// R-RECIPIENT: a bare 550 suppresses at the second time, a day apart.
#[test]
fn a_bare_refusal_suppresses_when_it_comes_again_a_day_later() {
    both(async |portal| {
        let first = mailed(&portal).await;
        let bare = |id: i64, words: &str| report(id, "preferred@contoso.example", Action::Failed, "5.0.0", words);
        bring(&portal, LATER, bare(first, "550 no")).await;
        assert!(!is_suppressed(&portal, "preferred@contoso.example").await);
        portal.send(LATER).await;
        portal.import(LATER, [lead("L2")]).await;
        portal.send(LATER).await;
        let second = deliveries(&portal).await.last().expect("a second mail").id;
        bring(&portal, TUESDAY, bare(second, "550 still no")).await;
        assert!(is_suppressed(&portal, "preferred@contoso.example").await);
    });
}

#[test]
fn what_is_late_or_passes_is_noted_and_changes_nothing() {
    both(async |portal| {
        let id = mailed(&portal).await;
        let late = report(id, "preferred@contoso.example", Action::Delayed, "4.4.1", "timed out");
        let soft = report(id, "preferred@contoso.example", Action::Failed, "4.4.7", "expired");
        bring(&portal, LATER, late).await;
        let taken = bring(&portal, LATER, soft).await;
        assert_eq!(taken.bounce.reason, "the mail stays sent");
        assert_eq!(states(&portal).await, ["preferred@contoso.example: sent"]);
        assert_eq!(
            attempts(&portal, id).await[1..],
            [
                "delayed: is delayed, and still tried: timed out (4.4.1)",
                "soft: came back, for a reason that passes: expired (4.4.7)"
            ]
        );
        assert_eq!(portal.send(LATER).await, [""; 0]);
        assert_eq!(n_orphans(&portal, LATER).await, 0);
    });
}

/// A report of success settles a mail whose relay fell silent: it is not sent again.
#[test]
fn a_report_of_delivery_settles_a_doubt() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [ladder()]).await;
        portal.import(MONDAY, [lead("L1")]).await;
        let letters = portal.claim(MONDAY).await;
        portal.record(MONDAY, &letters[0], TryResult::ReplyLost("cut".into())).await;
        let id = letters[0].delivery.id;
        assert_eq!(states(&portal).await, ["preferred@contoso.example: in_doubt"]);
        let delivered = report(id, "preferred@contoso.example", Action::Delivered, "2.0.0", "");
        let taken = bring(&portal, "2026-03-02T09:05:00Z", delivered).await;
        assert_eq!(taken.bounce.reason, "the mail is sent now");
        assert_eq!(portal.recover("2026-03-02T09:20:00Z").await, 0);
        assert_eq!(states(&portal).await, ["preferred@contoso.example: sent"]);
        assert_eq!(n_orphans(&portal, LATER).await, 0);
    });
}

/// Found by the return address, then by the envelope id, then by the Message-ID of the mail that it brings back.
#[test]
fn a_bounce_is_known_by_any_of_its_marks() {
    both(async |portal| {
        let id = mailed(&portal).await;
        let mark = marks().message(id);
        let late = |n: u8| Report {
            message_id: Some(format!("{n}@mx.example")),
            ..report(id, "preferred@contoso.example", Action::Delayed, "4.4.1", "")
        };
        let plain = |n: u8| Report {
            came_to: vec!["bounces@portal.example".into()],
            ..late(n)
        };
        for (report, expected) in [
            (late(1), "return_address"),
            (
                Report {
                    came_to: vec![marks().return_address(id).unwrap_or_default().to_uppercase()],
                    ..late(2)
                },
                "return_address",
            ),
            (
                Report {
                    envelope_id: Some(mark.clone()),
                    original_id: Some(format!("{mark}@portal.example")),
                    ..plain(3)
                },
                "envelope_id",
            ),
            (
                Report {
                    original_id: Some(format!("{mark}@portal.example")),
                    ..plain(4)
                },
                "message_id",
            ),
        ] {
            let taken = bring(&portal, LATER, report).await;
            assert_eq!(taken.bounce.matched_by.as_deref(), Some(expected));
            assert_eq!((taken.bounce.state.as_str(), taken.bounce.delivery_id), ("matched", Some(id)));
            assert_eq!(taken.bounce.raw, None, "what was matched is not kept");
        }
    });
}

/// What is made up, altered, of another mail or no report at all changes nothing; it is kept and says why.
#[test]
fn what_is_not_believed_changes_nothing_and_is_kept() {
    both(async |portal| {
        let id = mailed(&portal).await;
        let real = marks().return_address(id).unwrap_or_default();
        let to = "preferred@contoso.example";
        let from = |came_to: String| Report {
            came_to: vec![came_to],
            ..gone(id, to)
        };
        let other = Marks::new(&[8; 32], Some("bounces+{id}@portal.example"));
        let rewritten = |original: Option<&str>| {
            let mut report = gone(id, "kim@elsewhere.example");
            report.recipients[0].original = original.map(str::to_owned);
            report
        };
        let cases = [
            (from(real.replace('-', "-0")), "unmatched", "a mark that this database has not made"),
            (
                from(other.return_address(id).unwrap_or_default()),
                "unmatched",
                "a mark that this database has not made",
            ),
            (from("bounces@portal.example".into()), "unmatched", "no mark of a mail"),
            (
                from(marks().return_address(id + 1000).unwrap_or_default()),
                "unmatched",
                "no mark of a mail",
            ),
            (rewritten(None), "unmatched", "speaks of kim@elsewhere.example, and mail"),
            (
                rewritten(Some("ada@contoso.example")),
                "unmatched",
                "speaks of ada@contoso.example, and mail",
            ),
            (
                Report {
                    recipients: Vec::new(),
                    ..gone(id, to)
                },
                "unmatched",
                "says of no recipient what became of it",
            ),
            (report(id, to, Action::Delivered, "5.1.1", "no"), "unmatched", "is not clear"),
            (
                Report {
                    sort: Sort::AutoReply,
                    ..gone(id, to)
                },
                "ignored",
                "an automatic answer",
            ),
            (
                Report {
                    sort: Sort::Complaint,
                    ..gone(id, to)
                },
                "ignored",
                "a complaint",
            ),
            (
                Report {
                    sort: Sort::Other,
                    ..gone(id, to)
                },
                "ignored",
                "no report",
            ),
        ];
        let n_cases = cases.len();
        for (n, (report, state, why)) in cases.into_iter().enumerate() {
            let message_id = Some(format!("{n}@mx.example"));
            let taken = bring(&portal, LATER, Report { message_id, ..report }).await;
            assert_eq!(taken.bounce.state, state, "{why}");
            assert!(taken.bounce.reason.contains(why), "{why}: {}", taken.bounce.reason);
            assert_eq!(taken.bounce.raw.as_deref(), Some("the mail"), "{why}");
        }
        assert_eq!(states(&portal).await, ["preferred@contoso.example: sent"]);
        assert!(!is_suppressed(&portal, to).await && !is_suppressed(&portal, "kim@elsewhere.example").await);
        assert_eq!(portal.send(LATER).await, [""; 0]);
        assert_eq!(n_orphans(&portal, LATER).await, 0);
        // Rewritten on its way, and it says so.
        let told = bring(&portal, LATER, rewritten(Some("Preferred@Contoso.example"))).await;
        assert_eq!(told.bounce.state, "matched", "{}", told.bounce.reason);
        let mut tx = portal.store.read().await.expect("a transaction");
        let kept = list_bounces(&mut tx, Some("unmatched"), i64::MAX, 100).await.expect("a read");
        assert_eq!(kept.len(), n_cases - 3);
    });
}

/// Of an alias's members the best counts: somebody was reached.
#[test]
fn an_alias_of_which_one_member_is_gone_was_reached() {
    both(async |portal| {
        let id = mailed(&portal).await;
        let mut both = gone(id, "ada@contoso.example");
        both.recipients[0].original = Some("preferred@contoso.example".into());
        let mut reached = both.recipients[0].clone();
        reached.action = Some(Action::Delivered);
        reached.status = parse_enhanced("2.0.0");
        both.recipients.push(reached);
        let taken = bring(&portal, LATER, both).await;
        assert_eq!(taken.bounce.class.as_deref(), Some("delivered"));
        assert!(!is_suppressed(&portal, "preferred@contoso.example").await);
    });
}

/// R-DIGEST: the digest that came back is told to the next address, with what is still unanswered.
#[test]
fn a_digest_that_comes_back_goes_to_the_next_rung() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [ladder().threshold(0)]).await;
        portal.import(MONDAY, [lead("L1"), lead("L2")]).await;
        assert_eq!(
            portal.work("2026-03-02T17:00:00Z").await,
            ["digest to preferred@contoso.example: L1 L2"]
        );
        portal.accept("2026-03-02T17:30:00Z", "L1").await;
        let id = deliveries(&portal).await[0].id;
        bring(&portal, "2026-03-02T18:00:00Z", gone(id, "preferred@contoso.example")).await;
        assert_eq!(portal.send("2026-03-02T18:00:00Z").await, ["digest to profile@contoso.example: L2"]);
        assert_eq!(n_orphans(&portal, "2026-03-02T18:00:00Z").await, 0);
    });
}

/// R-RECIPIENT: nobody left after a bounce is undeliverable; lifting the suppression mails what is still of use.
#[test]
fn what_came_back_is_sent_again_when_the_suppression_is_lifted() {
    both(async |portal| {
        let only = partner("contoso").preferred("preferred@contoso.example").no_admins();
        portal.partners("2026-03-02T08:00:00Z", [only]).await;
        portal.import(MONDAY, [lead("L1"), lead("L2")]).await;
        portal.send(MONDAY).await;
        for delivery in deliveries(&portal).await {
            bring(&portal, LATER, gone(delivery.id, "preferred@contoso.example")).await;
        }
        assert_eq!(portal.send(LATER).await, [""; 0]);
        assert_eq!(portal.notices().await, [("lead undeliverable".to_owned(), 2)].into());
        assert_eq!(n_orphans(&portal, LATER).await, 0);
        portal.accept(LATER, "L1").await;
        let address = address("preferred@contoso.example");
        let n_queued = suppress::lift(&portal.store, at(TUESDAY), &portal.rules, &address, None)
            .await
            .expect("it was suppressed");
        assert_eq!(n_queued, 1, "L1 is answered");
        assert_eq!(portal.send(TUESDAY).await, ["lead to preferred@contoso.example: L2"]);
        assert_eq!(n_orphans(&portal, TUESDAY).await, 0);
    });
}

/// A bounce that nothing came of may come again when more is known: here the return address was not configured.
#[test]
fn an_unmatched_bounce_is_judged_anew_when_it_comes_again() {
    both(async |portal| {
        let id = mailed(&portal).await;
        let unset = Marks::new(&[7; 32], None);
        let first = bring_by(&portal, LATER, &unset, gone(id, "preferred@contoso.example")).await;
        assert_eq!(first.bounce.state, "unmatched");
        let same = bring_by(&portal, LATER, &unset, gone(id, "preferred@contoso.example")).await;
        assert!(same.is_repeat && same.bounce.id == first.bounce.id);
        let second = bring(&portal, LATER, gone(id, "preferred@contoso.example")).await;
        assert_eq!((second.bounce.id, second.bounce.state.as_str()), (first.bounce.id, "matched"));
        assert!(!second.is_repeat && is_suppressed(&portal, "preferred@contoso.example").await);
    });
}

#[test]
fn what_was_not_matched_is_kept_in_a_bounded_number_and_for_a_while() {
    both(async |portal| {
        let id = mailed(&portal).await;
        bring(&portal, MONDAY, gone(id, "preferred@contoso.example")).await;
        for n in 0..5 {
            let report = Report {
                message_id: Some(format!("{n}@mx.example")),
                ..Report::default()
            };
            bring(&portal, MONDAY, report).await;
        }
        let count = async |state: Option<&str>| {
            let mut tx = portal.store.read().await.expect("a transaction");
            list_bounces(&mut tx, state, i64::MAX, 100).await.expect("a read").len()
        };
        assert_eq!(count(None).await, 6);
        let mut tx = portal.store.begin().await.expect("a transaction");
        assert_eq!(forget_all_but(&mut tx, "ignored", 3).await.expect("a write"), 2);
        assert_eq!(forget_all_but(&mut tx, "ignored", 3).await.expect("a write"), 0);
        tx.commit().await.expect("a commit");
        assert_eq!(count(Some("ignored")).await, 3);
        forget(&portal.store, at("2026-04-01T09:00:00Z"), &portal.rules)
            .await
            .expect("a write");
        assert_eq!(count(Some("ignored")).await, 3, "30 days to the millisecond");
        forget(&portal.store, at("2026-04-01T09:00:00.001Z"), &portal.rules)
            .await
            .expect("a write");
        assert_eq!((count(Some("ignored")).await, count(None).await), (0, 1), "what was matched stays");
    });
}
