//! Rows reach the database whole and in their order, few or many, and come back so.

use crate::lead::LeadId;
use crate::lead::model::tests::lead_at;
use crate::store::attempts::{Attempt, insert_attempts, list_attempts};
use crate::store::leads::{find_leads, insert_leads};
use crate::store::testing::both;
use crate::time::Timestamp;

/// However many there are, and so however they are bound.
#[test]
fn few_rows_and_many_are_stored_as_they_are_and_in_their_order() {
    both(async |store| {
        for (delivery_id, n_rows) in [1, 2, 8, 9, 56, 57, 128, 129, 300].into_iter().enumerate() {
            let attempts: Vec<Attempt> = (0..n_rows)
                .map(|n: i64| Attempt {
                    delivery_id: delivery_id as i64,
                    at: Timestamp::from_millis(n),
                    relay: "relay.example:25".into(),
                    stage: String::new(),
                    code: (n % 2 == 0).then_some(250),
                    outcome: "sent".into(),
                    detail: format!("{n}: \"Grüße\"\\\n\u{1f}新 $2, ? 'x'"),
                    templates: (n % 3 == 0).then(|| "3f2a9c01b4de".into()),
                })
                .collect();
            let mut tx = store.begin().await.expect("a transaction");
            insert_attempts(&mut tx, &attempts).await.expect("a write");
            tx.commit().await.expect("a commit");
            let mut tx = store.read().await.expect("a transaction");
            let found = list_attempts(&mut tx, &[delivery_id as i64]).await.expect("a read");
            assert_eq!(format!("{found:?}"), format!("{attempts:?}"));
        }
    });
}

#[test]
fn a_lead_comes_back_as_it_was_stored() {
    both(async |store| {
        let mut leads: Vec<_> = (0..3).map(|n| lead_at(&format!("2026-03-0{}T00:00:00.000Z", n + 1))).collect();
        for (n, lead) in leads.iter_mut().enumerate() {
            (lead.id, lead.seq) = (LeadId::new(format!("L{n}")), n as i64 + 1);
        }
        leads[1].customer = "5:,新 \"Contoso\" & Söhne\n".into();
        leads[1].record = "{\"a\": \"5:lines,\\u001f\"}".into();
        (leads[2].deal, leads[2].location) = (Some(String::new()), Some("main".into()));
        let mut tx = store.begin().await.expect("a transaction");
        insert_leads(&mut tx, &leads).await.expect("a write");
        let mut found: Vec<_> = find_leads(&mut tx, leads.iter().map(|lead| &lead.id))
            .await
            .expect("a read")
            .into_values()
            .collect();
        found.sort_by_key(|lead| lead.seq);
        assert_eq!(format!("{found:?}"), format!("{leads:?}"));
    });
}
