//! What counts towards a relay's limits, on both engines: by the hour and the day, across workers, and with a clock that is set back.

use crate::outbox::circuit::{Answer, Circuit as Pure, State};
use crate::outbox::pace::Limits;
use crate::store::Store;
use crate::store::relays::{Circuit, forget_circuits, list_circuits, list_sent, put_circuits, reserve_sent, rests_until, return_sent};
use crate::store::testing::both;
use crate::store::workers::{end_workers, insert_worker};
use crate::time::Timestamp;

const RELAY: &str = "mail.contoso.com:587";

fn at(text: &str) -> Timestamp {
    text.parse().expect("the tests write instants in RFC 3339")
}

fn limits(per_hour: u32, per_day: u32) -> Limits {
    Limits {
        per_hour: Some(per_hour),
        per_day: Some(per_day),
        ..Limits::default()
    }
}

async fn reserve(store: &Store, now: &str, limits: &Limits, n: u32) -> u32 {
    let mut tx = store.begin().await.expect("a transaction");
    let (n, _) = reserve_sent(&mut tx, at(now), RELAY, limits, n).await.expect("a share");
    tx.commit().await.expect("a commit");
    n
}

async fn sent(store: &Store, now: &str) -> (i64, i64) {
    let mut tx = store.read().await.expect("a transaction");
    let all = list_sent(&mut tx, at(now)).await.expect("the counts");
    let (_, sent) = all.into_iter().find(|(relay, _)| relay == RELAY).expect("the relay's");
    (sent.this_hour, sent.today)
}

#[test]
fn an_hour_and_a_day_have_room_for_so_many_and_no_more() {
    both(async |store| {
        let limits = limits(5, 8);
        for (now, wanted, expected, counted) in [
            ("2026-03-02T09:00:00.000Z", 3, 3, (3, 3)),
            ("2026-03-02T09:59:59.999Z", 3, 2, (5, 5)),
            ("2026-03-02T09:59:59.999Z", 1, 0, (5, 5)),
            ("2026-03-02T10:00:00.000Z", 9, 3, (3, 8)),
            ("2026-03-02T11:00:00.000Z", 9, 0, (0, 8)),
            // The clock is set back: what went counts on.
            ("2026-03-01T23:00:00.000Z", 9, 0, (0, 8)),
            ("2026-03-03T00:00:00.000Z", 9, 5, (5, 5)),
        ] {
            assert_eq!(reserve(&store, now, &limits, wanted).await, expected, "{now}");
            assert_eq!(sent(&store, now).await, counted, "{now}");
        }
    });
}

#[test]
fn what_was_entered_and_not_sent_is_given_back_to_its_own_hour_and_day() {
    both(async |store| {
        let limits = limits(50, 80);
        let first = "2026-03-02T09:00:00Z";
        assert_eq!(reserve(&store, first, &limits, 10).await, 10);
        let give_back = async |entered_at: &str, n| {
            let mut tx = store.begin().await.expect("a transaction");
            return_sent(&mut tx, at(entered_at), RELAY, n).await.expect("given back");
            tx.commit().await.expect("a commit");
        };
        give_back("2026-03-02T09:30:00Z", 4).await;
        assert_eq!(sent(&store, first).await, (6, 6));
        assert_eq!(reserve(&store, "2026-03-02T10:00:00Z", &limits, 1).await, 1);
        give_back(first, 2).await;
        assert_eq!(
            sent(&store, "2026-03-02T10:00:00Z").await,
            (1, 5),
            "the hour is over, the day is not"
        );
    });
}

#[test]
fn shares_that_are_entered_at_once_exceed_no_limit() {
    both(async |store| {
        let limits = limits(100, 37);
        let now = "2026-03-02T09:00:00Z";
        let all = futures_util::future::join_all((0..8).map(|_| reserve(&store, now, &limits, 10))).await;
        assert_eq!(all.iter().sum::<u32>(), 37, "{all:?}");
        assert_eq!(sent(&store, now).await, (37, 37));
    });
}

#[test]
fn how_workers_find_relays_is_kept_by_worker_and_forgotten_with_the_next_one() {
    both(async |store| {
        let now = at("2026-03-02T09:00:00Z");
        let mut circuit = Pure::default();
        circuit.hear(now, Answer::Unreached);
        let found = |position, state: State| Circuit {
            relay: format!("relay{position}:25"),
            position,
            state,
            since: now,
            try_at: state.open().map(|open| open.until),
            why: Some("away".to_owned()),
        };
        let mut tx = store.begin().await.expect("a transaction");
        let first = insert_worker(&mut tx, "first", now, now, false).await.expect("a worker");
        let second = insert_worker(&mut tx, "second", now, now, false).await.expect("a worker");
        put_circuits(&mut tx, first, &[found(1, circuit.state()), found(0, Pure::default().state())])
            .await
            .expect("written");
        put_circuits(&mut tx, second, &[found(0, circuit.state())]).await.expect("written");
        put_circuits(&mut tx, second, &[found(0, Pure::default().state())])
            .await
            .expect("written anew");
        let listed = async |tx: &mut crate::store::Tx| {
            let rows = list_circuits(tx).await.expect("a list").into_iter();
            rows.map(|row| (row.epoch, row.relay, row.state, row.try_at)).collect::<Vec<_>>()
        };
        let closed = |epoch| (epoch, "relay0:25".to_owned(), "closed".to_owned(), None);
        let open = (first, "relay1:25".to_owned(), "open".to_owned(), Some(now.as_millis() + 5000));
        assert_eq!(listed(&mut tx).await, [closed(first), closed(second), open]);
        let rests = async |tx: &mut crate::store::Tx, now| rests_until(tx, now, at("2026-03-02T09:00:00Z")).await.expect("a read");
        assert_eq!(rests(&mut tx, now).await, None, "the first relay may be asked");
        put_circuits(&mut tx, first, &[found(0, circuit.state())]).await.expect("written");
        put_circuits(&mut tx, second, &[found(0, circuit.state())]).await.expect("written");
        assert_eq!(rests(&mut tx, now).await, Some(at("2026-03-02T09:00:05Z")));
        assert_eq!(rests(&mut tx, at("2026-03-02T09:00:05Z")).await, None, "the pause is over");
        end_workers(&mut tx, &[first]).await.expect("ended");
        forget_circuits(&mut tx, now, second).await.expect("forgotten");
        assert_eq!(listed(&mut tx).await.len(), 1);
        tx.rollback().await.expect("a rollback");
    });
}
