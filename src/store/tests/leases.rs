//! Leases: who holds a delivery decides about it, and nobody holds one that another holds (architecture, 7).

use std::collections::BTreeSet;

use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::outbox::delivery::State;
use crate::partner::PartnerId;
use crate::store::deliveries::{
    Delivery, NewDelivery, Outcome, claim_deliveries, find_delivery, insert_deliveries, list_dead, mark_handed_over, move_deliveries,
    record_outcomes,
};
use crate::store::notices::{NewNotice, claim_notices, join_notices};
use crate::store::partners::{lock_free_partners, lock_partners};
use crate::store::testing::{both, on_postgres};
use crate::store::workers::{end_workers, insert_worker, list_live, lock_embedded, renew_worker, void_workers};
use crate::store::{Error, Store};
use crate::time::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a literal")
}

fn now() -> Timestamp {
    at("2026-03-02T09:00:00.000Z")
}

/// Makes `n` deliveries that the worker `owner` is sending.
async fn deliveries(store: &Store, owner: i64, n: usize) -> Vec<Delivery> {
    let mut tx = store.begin().await.expect("a transaction");
    let notices: Vec<NewNotice> = (0..n)
        .map(|index| NewNotice {
            kind: Kind::Lead,
            subject: format!("{owner}-{index}"),
            partner_id: PartnerId::new("contoso"),
            lead_id: Some(LeadId::new(format!("{owner}-{index}"))),
            digest_id: None,
            due_at: now(),
        })
        .collect();
    let ids = join_notices(&mut tx, now(), &notices).await.expect("notices");
    let new: Vec<NewDelivery> = ids.values().map(|notice| new_delivery(notice.id, "ada@contoso.example")).collect();
    let made = insert_deliveries(&mut tx, now(), owner, &new).await.expect("deliveries");
    tx.commit().await.expect("a commit");
    assert_eq!(made.len(), n);
    made
}

fn new_delivery(notice_id: i64, address: &str) -> NewDelivery {
    NewDelivery {
        forwarded_by: None,
        notice_id,
        kind: Kind::Lead,
        partner_id: PartnerId::new("contoso"),
        lead_id: None,
        leads: Vec::new(),
        address: address.parse().expect("a literal"),
        name: None,
        language: "en".into(),
    }
}

fn outcome(delivery: &Delivery, state: State, due_at: Timestamp) -> Outcome {
    Outcome {
        id: delivery.id,
        state,
        attempt: 1,
        due_at,
        is_repeat: false,
        is_resent: false,
        first_due_at: delivery.first_due_at,
        reason: None,
    }
}

async fn worker(store: &Store, alive_until: Timestamp) -> i64 {
    let mut tx = store.begin().await.expect("a transaction");
    let epoch = insert_worker(&mut tx, "host:1", now(), alive_until, false).await.expect("a worker");
    tx.commit().await.expect("a commit");
    epoch
}

async fn state_of(store: &Store, id: i64) -> (State, Option<i64>) {
    let mut tx = store.read().await.expect("a transaction");
    let delivery = find_delivery(&mut tx, id).await.expect("a read").expect("it is there");
    (delivery.state, delivery.owner)
}

#[test]
fn an_outcome_of_a_worker_that_does_not_hold_the_delivery_changes_nothing() {
    both(async |store| {
        let (first, second) = (worker(&store, now()).await, worker(&store, now()).await);
        let delivery = deliveries(&store, first, 1).await.remove(0);
        let mut tx = store.begin().await.expect("a transaction");
        let sent = [outcome(&delivery, State::Sent, now())];
        assert_eq!(
            record_outcomes(&mut tx, now(), second, &sent).await.expect("a write").all,
            BTreeSet::new()
        );
        for (owner, expected) in [(second, BTreeSet::new()), (first, BTreeSet::from([delivery.id]))] {
            let marked = mark_handed_over(&mut tx, now(), owner, &[delivery.id]).await.expect("a write");
            assert_eq!(marked, expected, "only its own is marked");
        }
        tx.commit().await.expect("a commit");
        assert_eq!(state_of(&store, delivery.id).await, (State::Sending, Some(first)));

        let mut tx = store.begin().await.expect("a transaction");
        assert_eq!(
            record_outcomes(&mut tx, now(), first, &sent).await.expect("a write").all,
            BTreeSet::from([delivery.id])
        );
        assert_eq!(
            record_outcomes(&mut tx, now(), first, &sent).await.expect("a write").all,
            BTreeSet::new(),
            "a second outcome of the same attempt"
        );
        tx.commit().await.expect("a commit");
        assert_eq!(state_of(&store, delivery.id).await, (State::Sent, None));
    });
}

#[test]
fn a_move_from_a_state_that_was_left_changes_nothing() {
    both(async |store| {
        let delivery = deliveries(&store, 1, 1).await.remove(0);
        let mut tx = store.begin().await.expect("a transaction");
        let cancel = (State::Queued, outcome(&delivery, State::Cancelled, now()));
        assert_eq!(move_deliveries(&mut tx, now(), &[cancel]).await.expect("a write"), BTreeSet::new());
        tx.commit().await.expect("a commit");
        assert_eq!(state_of(&store, delivery.id).await, (State::Sending, Some(1)));
    });
}

/// A lease is over when its `alive_until` has passed, not before: one millisecond before, at, and after.
#[test]
fn recovery_sees_the_deliveries_of_dead_epochs_only() {
    both(async |store| {
        let until = at("2026-03-02T09:00:15.000Z");
        let (dead, alive) = (worker(&store, until).await, worker(&store, at("2026-03-02T10:00:00.000Z")).await);
        let held = deliveries(&store, dead, 2).await;
        deliveries(&store, alive, 2).await;
        for (wall, expected, why) in [
            ("2026-03-02T09:00:14.999Z", 0, "1 ms before"),
            ("2026-03-02T09:00:15.000Z", 0, "at the end of the lease"),
            ("2026-03-02T09:00:15.001Z", 2, "1 ms after"),
        ] {
            let mut tx = store.begin().await.expect("a transaction");
            let found = list_dead(&mut tx, at(wall), 100).await.expect("a read");
            assert_eq!(found.len(), expected, "{why}");
            assert!(found.iter().all(|delivery| held.iter().any(|one| one.id == delivery.id)), "{why}");
            let live = list_live(&mut tx, at(wall)).await.expect("a read");
            assert_eq!(live.len(), if expected == 0 { 2 } else { 1 }, "{why}");
            let renewed = renew_worker(&mut tx, dead, at(wall), at("2026-03-02T09:30:00.000Z"))
                .await
                .expect("a write");
            assert_eq!(renewed, expected == 0, "{why}: a lease that has run out is not renewed");
            tx.rollback().await.expect("a rollback");
        }
        let mut tx = store.begin().await.expect("a transaction");
        end_workers(&mut tx, &[alive]).await.expect("a write");
        assert_eq!(
            list_dead(&mut tx, now(), 100).await.expect("a read").len(),
            2,
            "a lease that was given back"
        );
        void_workers(&mut tx).await.expect("a write");
        assert_eq!(list_dead(&mut tx, now(), 100).await.expect("a read").len(), 4, "all leases void");
        assert!(list_live(&mut tx, now()).await.expect("a read").is_empty());
    });
}

#[test]
fn the_embedded_database_takes_one_worker_at_a_time() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("posthorn.db").display().to_string();
    let first = lock_embedded(&path).expect("nobody holds it");
    for _ in 0..2 {
        let second = lock_embedded(&path).expect_err("the first one holds it");
        assert!(matches!(second, Error::WorkerThere { .. }) && second.is_refused(), "{second}");
    }
    drop(first);
    lock_embedded(&path).expect("the first one is gone");
}

#[test]
fn an_address_gets_one_delivery_of_a_notice() {
    both(async |store| {
        let first = deliveries(&store, 1, 1).await.remove(0);
        let mut tx = store.begin().await.expect("a transaction");
        let again = [
            new_delivery(first.notice_id, "ada@contoso.example"),
            new_delivery(first.notice_id, "bob@contoso.example"),
        ];
        let made = insert_deliveries(&mut tx, now(), 2, &again).await.expect("deliveries");
        let addresses: Vec<&str> = made.iter().map(|delivery| delivery.address.as_str()).collect();
        assert_eq!(addresses, ["bob@contoso.example"]);
    });
}

/// Two claims at the same time share what is due; on SQLite the second one waits, on PostgreSQL it skips what the first has locked.
#[test]
fn a_queued_delivery_is_claimed_by_one_worker() {
    both(async |store| {
        let made = deliveries(&store, 1, 40).await;
        let mut tx = store.begin().await.expect("a transaction");
        let back: Vec<Outcome> = made.iter().map(|delivery| outcome(delivery, State::Queued, now())).collect();
        record_outcomes(&mut tx, now(), 1, &back).await.expect("a write");
        let early = claim_deliveries(&mut tx, now().minus(std::time::Duration::from_millis(1)), 2, 100).await;
        assert_eq!(early.expect("a claim").len(), 0, "1 ms before they are due");
        tx.commit().await.expect("a commit");

        let claims: Vec<_> = (2..10)
            .map(|owner| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut tx = store.begin().await.expect("a transaction");
                    let claimed = claim_deliveries(&mut tx, now(), owner, 10).await.expect("a claim");
                    tokio::task::yield_now().await;
                    tx.commit().await.expect("a commit");
                    assert!(claimed.iter().all(|delivery| delivery.owner == Some(owner)));
                    claimed.into_iter().map(|delivery| delivery.id).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut ids = Vec::new();
        for claim in claims {
            ids.extend(claim.await.expect("no panic"));
        }
        let distinct: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!((ids.len(), distinct.len()), (40, 40));
    });
}

/// The same with the transactions interleaved by hand.
#[test]
fn two_open_claims_do_not_see_each_others_rows() {
    on_postgres(async |store| {
        let made = deliveries(&store, 1, 4).await;
        let mut tx = store.begin().await.expect("a transaction");
        let back: Vec<Outcome> = made.iter().map(|delivery| outcome(delivery, State::Queued, now())).collect();
        record_outcomes(&mut tx, now(), 1, &back).await.expect("a write");
        tx.commit().await.expect("a commit");

        let mut first = store.begin().await.expect("a transaction");
        let mut second = store.begin().await.expect("a transaction");
        let one = claim_deliveries(&mut first, now(), 2, 3).await.expect("a claim");
        let other = claim_deliveries(&mut second, now(), 3, 3).await.expect("a claim");
        assert_eq!((one.len(), other.len()), (3, 1));
        assert!(other.iter().all(|delivery| one.iter().all(|taken| taken.id != delivery.id)));
    });
}

/// A worker that finds a partner locked leaves its notices to whoever holds it.
#[test]
fn a_claim_passes_over_partners_that_somebody_else_holds() {
    on_postgres(async |store| {
        let ids: BTreeSet<PartnerId> = ["contoso", "fabrikam"].map(PartnerId::new).into();
        let mut first = store.begin().await.expect("a transaction");
        lock_partners(&mut first, &ids).await.expect("a lock");
        first.commit().await.expect("a commit");

        let mut first = store.begin().await.expect("a transaction");
        lock_partners(&mut first, &[PartnerId::new("contoso")].into())
            .await
            .expect("a lock");
        let mut second = store.begin().await.expect("a transaction");
        let free = lock_free_partners(&mut second, &ids).await.expect("a lock");
        assert_eq!(free, [PartnerId::new("fabrikam")].into());
    });
}

#[test]
fn a_notice_is_claimed_while_it_is_pending() {
    both(async |store| {
        let delivery = deliveries(&store, 1, 1).await.remove(0);
        let mut tx = store.begin().await.expect("a transaction");
        assert_eq!(claim_notices(&mut tx, now(), 0, now()).await.expect("a read").notices.len(), 0);
        assert_eq!(claim_notices(&mut tx, now(), 10, now()).await.expect("a read").notices.len(), 1);
        let finish = crate::store::notices::Finish {
            id: delivery.notice_id,
            state: "done",
            reason: None,
        };
        crate::store::notices::finish_notices(&mut tx, now(), &[finish])
            .await
            .expect("a write");
        assert_eq!(claim_notices(&mut tx, now(), 10, now()).await.expect("a read").notices.len(), 0);
    });
}
