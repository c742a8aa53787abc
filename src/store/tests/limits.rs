//! Boundaries in time, mirrored from the core at −1 ms, 0 and +1 ms; and texts longer than an index takes.

use std::time::Duration;

use crate::lead::model::tests::lead_at;
use crate::lead::{Lead, LeadId, Stage};
use crate::outbox::Kind;
use crate::partner::PartnerId;
use crate::policy::channel::Channel;
use crate::store::leads::{StateChange, count_unanswered_of_digests, find_lead, insert_leads, list_due, next_due, update_states};
use crate::store::notices::{NewNotice, insert_notices};
use crate::store::rejected::{NewRejected, insert_rejected, list_open};
use crate::store::testing::both;
use crate::store::{digests, notices};
use crate::time::Timestamp;

const MILLISECOND: Duration = Duration::from_millis(1);

fn around(boundary: Timestamp) -> [(Timestamp, bool, &'static str); 3] {
    [
        (boundary.minus(MILLISECOND), false, "1 ms before"),
        (boundary, true, "exactly then"),
        (boundary.plus(MILLISECOND), true, "1 ms after"),
    ]
}

/// `R-URGENT`, `R-EXPIRY`: what is due in the database is due in the core, to the millisecond.
#[test]
fn a_lead_is_due_from_its_next_due_instant_on() {
    both(async |store| {
        let lead = lead_at("2026-03-02T00:00:00.000Z");
        let boundary = lead.next_due_at().expect("it is unanswered");
        let mut tx = store.begin().await.expect("a transaction");
        insert_leads(&mut tx, std::slice::from_ref(&lead)).await.expect("a write");
        assert_eq!(next_due(&mut tx).await.expect("a read"), Some(boundary));
        for (now, is_due, why) in around(boundary) {
            assert_eq!(
                list_due(&mut tx, now, 10).await.expect("a read").len(),
                usize::from(is_due),
                "{why}"
            );
            assert_eq!(lead.due_steps(now) != Default::default(), is_due, "{why}, in the core");
        }
    });
}

/// `R-EXPIRY`, `R-DIGEST`: a digest counts as unanswered what the core calls unanswered.
#[test]
fn a_digest_counts_a_lead_until_it_expires() {
    both(async |store| {
        let partner = PartnerId::new("contoso");
        let expires_at: Timestamp = "2026-03-16T00:00:00.000Z".parse().expect("a literal");
        let mut tx = store.begin().await.expect("a transaction");
        let opened = digests::open_digests(&mut tx, expires_at, &[(partner.clone(), expires_at)])
            .await
            .expect("a write");
        let digest = opened[&partner];
        let stages = [Stage::Received, Stage::Accepted, Stage::Declined];
        let leads: Vec<Lead> = stages
            .into_iter()
            .map(|stage| Lead {
                id: LeadId::new(stage.as_str()),
                stage,
                channel: Some(Channel::Digest),
                digest_id: Some(digest),
                ..lead_at("2026-03-02T00:00:00.000Z")
            })
            .collect();
        insert_leads(&mut tx, &leads).await.expect("a write");
        for (now, is_over, why) in around(expires_at) {
            let counts = count_unanswered_of_digests(&mut tx, now, &[digest]).await.expect("a read");
            assert_eq!(counts.get(&digest).copied().unwrap_or(0), i64::from(!is_over), "{why}");
            let in_the_core = leads.iter().filter(|lead| lead.is_unanswered_at(now)).count();
            assert_eq!(in_the_core, usize::from(!is_over), "{why}, in the core");
        }
    });
}

/// `R-DIGEST`
#[test]
fn a_digest_is_due_from_its_fire_on() {
    both(async |store| {
        let fire: Timestamp = "2026-03-02T17:00:00.000Z".parse().expect("a literal");
        let partner = PartnerId::new("contoso");
        let mut tx = store.begin().await.expect("a transaction");
        let first = digests::open_digests(&mut tx, fire, &[(partner.clone(), fire)])
            .await
            .expect("a write");
        let later = digests::open_digests(&mut tx, fire, &[(partner.clone(), fire.plus(MILLISECOND))])
            .await
            .expect("a write");
        assert_eq!(first, later, "a partner collects into one digest");
        for (now, is_due, why) in around(fire) {
            assert_eq!(
                digests::list_due(&mut tx, now, 10).await.expect("a read").len(),
                usize::from(is_due),
                "{why}"
            );
        }
    });
}

#[test]
fn a_notice_is_due_from_its_instant_on_and_singles_go_first() {
    both(async |store| {
        let due: Timestamp = "2026-03-02T17:00:00.000Z".parse().expect("a literal");
        let notice = |kind, subject: &str, due_at| NewNotice {
            kind,
            subject: subject.into(),
            partner_id: PartnerId::new(subject),
            lead_id: None,
            digest_id: None,
            due_at,
        };
        let new = [
            notice(Kind::Expiry, "c", due.minus(MILLISECOND)),
            notice(Kind::Digest, "b", due.minus(MILLISECOND)),
            notice(Kind::Lead, "a", due),
        ];
        let mut tx = store.begin().await.expect("a transaction");
        insert_notices(&mut tx, due, &new).await.expect("a write");
        for (now, is_due, why) in around(due) {
            let found = notices::claim_notices(&mut tx, now, 10, due.minus(MILLISECOND))
                .await
                .expect("a read")
                .notices;
            let partners: Vec<&str> = found.iter().map(|notice| notice.partner_id.as_str()).collect();
            assert_eq!(partners, if is_due { vec!["a", "b", "c"] } else { vec!["b", "c"] }, "{why}");
        }
        let passed_over = notices::claim_notices(&mut tx, due, 10, due.plus(MILLISECOND))
            .await
            .expect("a read");
        assert_eq!(
            (passed_over.notices.len(), passed_over.oldest_single),
            (2, None),
            "singles of before are passed over, the others are not"
        );
        let all = notices::claim_notices(&mut tx, due, 1, due).await.expect("a read");
        assert_eq!((all.notices.len(), all.oldest_single), (1, Some(due)));
    });
}

#[test]
fn a_lead_read_without_its_lock_is_not_written_over() {
    both(async |store| {
        let mut tx = store.begin().await.expect("a transaction");
        insert_leads(&mut tx, &[lead_at("2026-03-02T00:00:00.000Z")])
            .await
            .expect("a write");
        let mut lead = find_lead(&mut tx, &LeadId::new("L1")).await.expect("a read").expect("it is there");
        lead.stage = Stage::Won;
        let stale = StateChange::new(&lead, Stage::Accepted);
        let written = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(update_states(&mut tx, &[stale]))).await;
        assert!(written.is_err(), "it stands in Received, not in Accepted");
    });
}

/// `R-INTAKE`: a rejected record is kept whole, however long; PostgreSQL's index takes no key above 2,704 bytes.
#[test]
fn a_long_rejected_record_is_kept_whole_and_once() {
    both(async |store| {
        // Numbers that no compression makes short.
        let long: String = (0_u64..40_000).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_string()).collect();
        let records = ["", &long, &format!("{long}1")].map(|record| NewRejected {
            source: "leads.ndjson".into(),
            line: 7,
            partner_id: None,
            lead_id: None,
            record: record.to_owned(),
            faults: vec!["id: missing".into()],
            is_quiet: false,
        });
        let now = Timestamp::from_millis(0);
        for _ in 0..2 {
            let mut tx = store.begin().await.expect("a transaction");
            insert_rejected(&mut tx, now, &records).await.expect("a write");
            tx.commit().await.expect("a commit");
        }
        let mut tx = store.read().await.expect("a transaction");
        let kept: Vec<String> = list_open(&mut tx, 0, 10)
            .await
            .expect("a read")
            .into_iter()
            .map(|one| one.record)
            .collect();
        assert!(kept.len() == 3 && kept.iter().zip(&records).all(|(kept, record)| *kept == record.record));
    });
}
