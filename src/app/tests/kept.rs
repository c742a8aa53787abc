//! Mails that are kept as they were handed over (`mail.keep_sent`).

use std::time::Duration;

use crate::app::kept::{forget, mail, next_due};
use crate::app::record::{Tried, TryResult, record};
use crate::app::testing::{OWNER, Portal, at, both, records, tried};
use crate::outbox::{Reply, Stage};
use crate::store::kept::{Packed, keep_mails};

const NOW: &str = "2026-03-02T09:00:00Z";

/// Records an attempt that handed these bytes over.
async fn handed_over(portal: &Portal, now: &str, owner: i64, bytes: &[u8], result: TryResult) -> usize {
    let letter = portal.claim(now).await.pop().expect("it is due");
    let tried = Tried {
        mail: result.may_have_arrived().then(|| Packed::of(bytes)),
        ..tried(now, &letter, result)
    };
    let recorded = record(&portal.store, at(now), &portal.rules, owner, &[tried]).await;
    recorded.expect("it is recorded").n_recorded
}

async fn kept(portal: &Portal, now: &str) -> Option<Vec<u8>> {
    mail(&portal.store, at(now), &portal.rules, 1).await.ok().map(|found| found.bytes)
}

/// A partner with a lead that is due.
async fn with_a_lead(portal: &mut Portal) {
    portal.rules.keep_sent = Duration::from_secs(7 * 24 * 3600);
    portal.partners(NOW, [records::partner("contoso")]).await;
    portal.import_leads(NOW, 1, 1).await;
}

/// What a relay may have passed on stays until another attempt may have arrived: a refused one was got by nobody.
#[test]
fn the_last_attempt_that_may_have_arrived_is_the_one_that_is_kept() {
    both(async |mut portal| {
        with_a_lead(&mut portal).await;
        let lost = TryResult::ReplyLost("the connection broke".into());
        handed_over(&portal, NOW, OWNER, b"first", lost).await;
        assert_eq!(kept(&portal, NOW).await.as_deref(), Some(&b"first"[..]));

        portal.recover("2026-03-02T09:15:00Z").await;
        let refused = TryResult::Refused(Stage::FinalDot, Reply::new(451, "4.3.0 later"));
        handed_over(&portal, "2026-03-02T09:15:00Z", OWNER, b"second", refused).await;
        assert_eq!(kept(&portal, NOW).await.as_deref(), Some(&b"first"[..]));

        let third = "third, \u{e9} and \0".repeat(1000);
        let n_recorded = handed_over(&portal, "2026-03-02T12:00:00Z", OWNER, third.as_bytes(), TryResult::Accepted(None)).await;
        assert_eq!(n_recorded, 1);
        assert_eq!(kept(&portal, "2026-03-09T11:59:59.999Z").await.as_deref(), Some(third.as_bytes()));
        assert_eq!(
            kept(&portal, "2026-03-09T12:00:00Z").await,
            None,
            "its time began with this attempt"
        );
    });
}

#[test]
fn a_worker_that_does_not_hold_the_delivery_keeps_nothing() {
    both(async |mut portal| {
        with_a_lead(&mut portal).await;
        let n_recorded = handed_over(&portal, NOW, OWNER + 1, b"late", TryResult::Accepted(None)).await;
        assert_eq!((n_recorded, kept(&portal, NOW).await), (0, None));
    });
}

/// A transaction a minute, however many mails go in it; and none while nothing is due.
#[test]
fn what_is_due_within_a_minute_is_forgotten_together_when_the_minute_is_over() {
    both(async |mut portal| {
        portal.rules.keep_sent = Duration::from_secs(3600);
        for (id, kept_at) in [
            (1, "2026-03-02T09:00:30.000Z"),
            (2, "2026-03-02T09:00:59.999Z"),
            (3, "2026-03-02T09:01:00.000Z"),
        ] {
            let mut tx = portal.store.begin().await.expect("a transaction");
            keep_mails(&mut tx, at(kept_at), &[(id, Packed::of(b"mail"))])
                .await
                .expect("a write");
            tx.commit().await.expect("a commit");
        }
        for (now, n_forgotten, next) in [
            ("2026-03-02T10:00:59.999Z", 0, Some("2026-03-02T10:01:00Z")),
            ("2026-03-02T10:01:00.000Z", 2, Some("2026-03-02T10:02:00Z")),
            ("2026-03-02T10:01:59.999Z", 0, Some("2026-03-02T10:02:00Z")),
            ("2026-03-02T10:02:00.000Z", 1, None),
        ] {
            assert_eq!(
                forget(&portal.store, at(now), &portal.rules).await.expect("a write"),
                n_forgotten,
                "{now}"
            );
            let mut tx = portal.store.read().await.expect("a transaction");
            assert_eq!(next_due(&mut tx, &portal.rules).await.expect("a read"), next.map(at), "{now}");
        }
    });
}
