//! What becomes of a delivery when it is tried, given back, or its worker dies (architecture, "Delivery: state × event").

use crate::app::claim::{Letter, claim};
use crate::app::record::{TryResult, by_hand, give_back};
use crate::app::testing::records::{lead, partner};
use crate::app::testing::{OWNER, Portal, at, both, refused};
use crate::outbox::Stage;
use crate::outbox::delivery::{Event, InDoubt, State};
use crate::store::attempts::list_attempts;
use crate::store::deliveries::{Delivery, find_delivery, mark_handed_over};
use crate::store::items::claim_items;
use crate::store::workers::{end_workers, insert_worker, renew_worker};

const NOW: &str = "2026-03-02T09:00:00Z";

/// Takes one lead in and claims its mail.
async fn claimed(portal: &Portal) -> Letter {
    claimed_for(portal, "contoso").await
}

/// Takes one lead of this partner in, and claims its mail.
async fn claimed_for(portal: &Portal, id: &str) -> Letter {
    portal.partners("2026-03-02T08:00:00Z", [partner(id)]).await;
    portal
        .import(NOW, [lead(if id == "contoso" { "L1" } else { id }).partner(id)])
        .await;
    portal.claim(NOW).await.remove(0)
}

async fn delivery(portal: &Portal, id: i64) -> Delivery {
    let mut tx = portal.store.read().await.expect("a transaction");
    find_delivery(&mut tx, id).await.expect("a read").expect("it is there")
}

#[test]
fn what_the_relay_says_decides_what_becomes_of_a_delivery() {
    let cases = [
        (TryResult::Accepted(None), State::Sent, 1, None, 1, "taken"),
        (
            refused(450, "4.2.0 later"),
            State::Queued,
            1,
            Some("2026-03-02T09:01:00Z"),
            1,
            "for now",
        ),
        (
            TryResult::Unreachable(Stage::Connect, "refused".into()),
            State::Queued,
            1,
            Some("2026-03-02T09:01:00Z"),
            1,
            "nobody there",
        ),
        (
            refused(550, "5.7.1 you are spam"),
            State::Failed,
            1,
            None,
            1,
            "the address is refused, and not suppressed",
        ),
        (
            TryResult::ReplyLost("timed out".into()),
            State::InDoubt,
            1,
            Some("2026-03-02T09:15:00Z"),
            1,
            "in doubt",
        ),
        (
            TryResult::NothingLeft("answered".into()),
            State::Cancelled,
            0,
            None,
            0,
            "nothing left to say",
        ),
        (
            TryResult::Unwritable("no such filter".into()),
            State::Failed,
            1,
            None,
            1,
            "a broken template",
        ),
        (TryResult::Dry, State::Cancelled, 0, None, 0, "mode dry"),
        (TryResult::Released, State::Queued, 0, Some("2026-03-02T09:00:00Z"), 0, "given back"),
    ];
    both(async |portal| {
        for (index, (result, state, n_attempts, due, n_rows, why)) in cases.iter().enumerate() {
            let letter = claimed_for(&portal, &format!("partner-{index}")).await;
            portal.record(NOW, &letter, result.clone()).await;
            let after = delivery(&portal, letter.delivery.id).await;
            assert_eq!((after.state, after.attempt, after.owner), (*state, *n_attempts, None), "{why}");
            assert_eq!(after.finished_at.is_some(), after.state.is_final(), "{why}");
            if let Some(due) = due {
                assert_eq!(after.due_at, at(due), "{why}");
            }
            let mut tx = portal.store.read().await.expect("a transaction");
            let attempts = list_attempts(&mut tx, &[after.id]).await.expect("a read");
            assert_eq!(attempts.len(), *n_rows, "{why}");
        }
    });
}

/// 5xx at connect, EHLO, STARTTLS, AUTH or MAIL is the relay's fault: no attempt is counted, and the relay rests.
#[test]
fn a_fault_of_the_relay_is_no_attempt_of_the_delivery() {
    both(async |portal| {
        let letter = claimed(&portal).await;
        let fault = TryResult::Refused(Stage::Auth, crate::outbox::Reply::new(535, "5.7.8 bad credentials"));
        let tried = crate::app::testing::tried(NOW, &letter, fault);
        crate::app::record::record(&portal.store, at(NOW), &portal.rules, OWNER, &[tried])
            .await
            .expect("recorded");
        let after = delivery(&portal, letter.delivery.id).await;
        assert_eq!((after.state, after.attempt), (State::Queued, 0));
        assert!(after.due_at > at(NOW), "the relay rests");
    });
}

/// `resend`: sent again once after `resend_after`, as a possible repeat; a second lost reply waits for ops.
#[test]
fn a_mail_in_doubt_is_sent_again_once() {
    both(async |portal| {
        let letter = claimed(&portal).await;
        portal.record(NOW, &letter, TryResult::ReplyLost("timed out".into())).await;
        assert_eq!(portal.recover("2026-03-02T09:14:59.999Z").await, 0);
        assert_eq!(portal.recover("2026-03-02T09:15:00Z").await, 1);
        let again = portal.claim("2026-03-02T09:15:00Z").await.remove(0);
        assert_eq!(
            (again.delivery.id, again.delivery.is_repeat, again.delivery.is_resent),
            (letter.delivery.id, true, true)
        );
        portal
            .record("2026-03-02T09:15:00Z", &again, TryResult::ReplyLost("timed out".into()))
            .await;
        assert_eq!(portal.recover("2027-03-02T09:15:00Z").await, 0);
        assert_eq!(delivery(&portal, letter.delivery.id).await.state, State::InDoubt);
    });
}

/// A lead answered while its mail is in doubt: a repeat is of no use any more.
#[test]
fn a_mail_in_doubt_about_an_answered_lead_is_not_sent_again() {
    both(async |portal| {
        let letter = claimed(&portal).await;
        portal.record(NOW, &letter, TryResult::ReplyLost("timed out".into())).await;
        portal.accept("2026-03-02T09:10:00Z", "L1").await;
        assert_eq!(portal.recover("2026-03-02T09:15:00Z").await, 0);
        assert_eq!(delivery(&portal, letter.delivery.id).await.state, State::Cancelled);
    });
}

/// The worker died: `resend` queues at once and notes a possible repeat; `hold` asks whether the mail was being handed over, which only a worker
/// that marks can tell: one that died under `resend` made no marks.
#[test]
fn what_a_dead_worker_held_comes_back() {
    for (in_doubt, is_marking, is_handed_over, state, is_repeat) in [
        (InDoubt::Resend, false, false, State::Queued, true),
        (InDoubt::Resend, true, false, State::Queued, true),
        (InDoubt::Hold, true, false, State::Queued, false),
        (InDoubt::Hold, true, true, State::InDoubt, false),
        (InDoubt::Hold, false, false, State::InDoubt, false),
    ] {
        both(async |mut portal| {
            portal.rules.in_doubt = in_doubt;
            let mut tx = portal.store.begin().await.expect("a transaction");
            let epoch = insert_worker(&mut tx, "host:1", at(NOW), at("2026-03-02T09:00:15Z"), is_marking)
                .await
                .expect("a worker");
            tx.commit().await.expect("a commit");
            assert_eq!(epoch, OWNER);
            let letter = claimed(&portal).await;
            let mut tx = portal.store.begin().await.expect("a transaction");
            if is_handed_over {
                mark_handed_over(&mut tx, at(NOW), OWNER, &[letter.delivery.id])
                    .await
                    .expect("a mark");
            }
            tx.commit().await.expect("a commit");
            assert_eq!(portal.recover("2026-03-02T09:00:15Z").await, 0, "alive to the end of its lease");
            let mut tx = portal.store.begin().await.expect("a transaction");
            end_workers(&mut tx, &[OWNER]).await.expect("a write");
            tx.commit().await.expect("a commit");
            assert_eq!(portal.recover("2026-03-02T09:00:16Z").await, 1);
            let after = delivery(&portal, letter.delivery.id).await;
            assert_eq!(
                (after.state, after.is_repeat, after.owner),
                (state, is_repeat, None),
                "{in_doubt:?} {is_handed_over}"
            );
            // The outcome of the dead worker, coming late, changes nothing.
            let late = crate::app::testing::tried(NOW, &letter, TryResult::Accepted(None));
            let recorded = crate::app::record::record(&portal.store, at(NOW), &portal.rules, OWNER, &[late])
                .await
                .expect("recorded");
            assert_eq!(recorded.n_recorded, 0);
            assert_eq!(delivery(&portal, letter.delivery.id).await.state, state);
        });
    }
}

/// A worker stood still, its mail was taken back, and the clock was set back before it woke: it still holds its first try's outcome, which must not be
/// taken for that of a second one.
#[test]
fn a_worker_whose_mails_were_taken_back_claims_nothing_more_whatever_its_clock_says() {
    both(async |portal| {
        let mut tx = portal.store.begin().await.expect("a transaction");
        let epoch = insert_worker(&mut tx, "host:1", at(NOW), at("2026-03-02T09:00:15Z"), false)
            .await
            .expect("a worker");
        tx.commit().await.expect("a commit");
        assert_eq!(epoch, OWNER);
        let letter = claimed(&portal).await;
        assert_eq!(portal.recover("2026-03-02T09:00:16Z").await, 1);
        portal.import(NOW, [lead("L2").partner("contoso")]).await;
        let claimed = claim(&portal.store, at(NOW), &portal.rules, OWNER, 10).await.expect("a look");
        assert!(claimed.is_over && claimed.letters.is_empty(), "{claimed:?}");
        let mut tx = portal.store.begin().await.expect("a transaction");
        let renewed = renew_worker(&mut tx, OWNER, at(NOW), at("2026-03-02T09:00:30Z"))
            .await
            .expect("a write");
        tx.rollback().await.expect("a rollback");
        assert!(!renewed);
        let after = delivery(&portal, letter.delivery.id).await;
        assert_eq!((after.state, after.is_repeat, after.owner), (State::Queued, true, None));
        // A worker that lives gets both.
        let mut tx = portal.store.begin().await.expect("a transaction");
        let next = insert_worker(&mut tx, "host:2", at(NOW), at("2026-03-02T09:00:15Z"), false)
            .await
            .expect("a worker");
        tx.commit().await.expect("a commit");
        let later = at("2026-03-02T09:00:16Z");
        let claimed = claim(&portal.store, later, &portal.rules, next, 10).await.expect("a claim");
        assert_eq!(claimed.letters.len(), 2);
    });
}

/// Tried until `give_up_after`, then failed and shown to ops, whose retry begins anew.
#[test]
fn a_delivery_is_given_up_after_its_time_and_ops_may_retry_it() {
    both(async |portal| {
        let letter = claimed(&portal).await;
        let id = letter.delivery.id;
        portal
            .record("2026-03-04T08:59:59.999Z", &letter, refused(450, "4.2.0 later"))
            .await;
        assert_eq!(delivery(&portal, id).await.state, State::Queued, "two days less 1 ms");
        let again = portal.claim("2026-03-04T10:00:00Z").await.remove(0);
        portal.record("2026-03-04T10:00:00Z", &again, refused(450, "4.2.0 later")).await;
        assert_eq!(delivery(&portal, id).await.state, State::Failed);
        let now = at("2026-03-05T09:00:00Z");
        by_hand(&portal.store, now, &portal.rules, id, Event::OpsRetry, None)
            .await
            .expect("a failed one can be retried");
        let retried = delivery(&portal, id).await;
        assert_eq!(
            (retried.state, retried.first_due_at, retried.finished_at),
            (State::Queued, now, None)
        );
        by_hand(&portal.store, now, &portal.rules, id, Event::OpsCancel, None)
            .await
            .expect("a queued one can be cancelled");
        let refused = by_hand(&portal.store, now, &portal.rules, id, Event::OpsRetry, None)
            .await
            .expect_err("it is cancelled");
        assert!(refused.to_string().contains("cancelled"), "{refused}");
    });
}

/// Singles before digests before the rest, and no more than was asked for.
#[test]
fn a_claim_takes_singles_first_and_no_more_than_its_limit() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso").threshold(3)]).await;
        portal.import_leads("2026-03-02T09:00:00Z", 1, 5).await;
        portal.fire("2026-03-02T17:00:00Z").await;
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let claimed = claim(&portal.store, at("2026-03-02T17:00:00Z"), &portal.rules, OWNER, 2)
                .await
                .expect("a claim");
            kinds.push(
                claimed
                    .letters
                    .iter()
                    .map(|letter| letter.delivery.kind.as_str())
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(kinds, [vec!["lead", "lead"], vec!["lead", "digest"]]);
    });
}

/// Its worker lives and does not know of it, so nobody else takes it back: a commit of which only the answer was lost.
#[test]
fn what_a_worker_did_not_hear_that_it_claimed_is_given_back() {
    both(async |portal| {
        let letter = claimed(&portal).await;
        let given_back = give_back(&portal.store, at(NOW), &portal.rules, OWNER).await.expect("a commit");
        let after = delivery(&portal, letter.delivery.id).await;
        assert_eq!(
            (given_back, after.state, after.attempt, after.is_repeat),
            (1, State::Queued, 0, false)
        );
        assert_eq!(portal.send(NOW).await, ["lead to admin@contoso.example: L1"]);
    });
}

/// R-ACTION: a post that could not be recorded, or a claim whose answer was lost, leaves an item with a worker that lives: it claims it again, nobody else.
#[test]
fn a_worker_claims_again_the_items_that_it_holds() {
    both(async |portal| {
        let rules = crate::app::Rules {
            posts_items: true,
            ..portal.rules.clone()
        };
        let portal = Portal { rules, ..portal };
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        portal.import(NOW, [lead("L1")]).await;
        let claimed_by = async |wanted: i64| {
            let mut tx = portal.store.begin().await.expect("a transaction");
            let items = claim_items(&mut tx, at(NOW), wanted, at(NOW), 8).await.expect("a claim");
            tx.commit().await.expect("a commit");
            items.len()
        };
        assert_eq!(
            (claimed_by(OWNER).await, claimed_by(OWNER + 1).await, claimed_by(OWNER).await),
            (1, 0, 1)
        );
    });
}
