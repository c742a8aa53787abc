//! The feed that a portal polls: nothing is missed, nothing comes up again unchanged, and what was put away stays so (`R-ACTION`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::app::Error;
use crate::app::feed::{Changes, archive, changes, page};
use crate::app::testing::records::{lead, partner};
use crate::app::testing::{Portal, at, both};
use crate::partner::PartnerId;
use crate::store::items::{list_unnumbered, number_items};

const NOW: &str = "2026-03-02T09:00:00.000Z";

fn contoso() -> PartnerId {
    PartnerId::new("contoso")
}

async fn changed(portal: &Portal, since: i64, limit: usize) -> Changes {
    changes(&portal.store, at(NOW), &portal.rules, &contoso(), since, limit)
        .await
        .expect("the feed can be read")
}

fn leads_of(changes: &Changes) -> Vec<String> {
    changes.value.iter().filter_map(|item| item.lead_id.clone()).collect()
}

/// R-ACTION: what has changed since the last look, each item once and as it is now.
#[test]
fn the_feed_tells_what_has_changed_since_the_last_look() {
    both(async |portal| {
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso"), partner("other")])
            .await;
        portal.import(NOW, [lead("L1"), lead("L2"), lead("L3")]).await;
        let first = changed(&portal, 0, 2).await;
        assert_eq!((leads_of(&first), first.has_more), (vec!["L1".to_owned(), "L2".to_owned()], true));
        let rest = changed(&portal, first.since, 2).await;
        assert_eq!((leads_of(&rest), rest.has_more), (vec!["L3".to_owned()], false));
        let nothing = changed(&portal, rest.since, 2).await;
        assert_eq!((nothing.value.len(), nothing.since), (0, rest.since));

        portal.accept("2026-03-02T10:00:00Z", "L1").await;
        portal.import("2026-03-02T11:00:00Z", [lead("L2")]).await;
        let then = changed(&portal, rest.since, 10).await;
        assert_eq!(leads_of(&then), ["L1"], "L2 says nothing new");
        assert_eq!((then.value[0].state.as_str(), then.value[0].version), ("done", 2));
        assert_eq!(leads_of(&changed(&portal, 0, 10).await), ["L2", "L3", "L1"], "from the beginning");

        let ahead = changes(&portal.store, at(NOW), &portal.rules, &contoso(), then.since + 1, 10).await;
        assert!(
            matches!(&ahead, Err(Error::Refused(text)) if text.contains("lies ahead")),
            "{ahead:?}"
        );
        assert!(
            changes(&portal.store, at(NOW), &portal.rules, &PartnerId::new("other"), 0, 10)
                .await
                .is_ok_and(|feed| feed.value.is_empty())
        );
        let nobody = changes(&portal.store, at(NOW), &portal.rules, &PartnerId::new("nobody"), 0, 10).await;
        assert!(matches!(nobody, Err(Error::NotFound(_))), "{nobody:?}");
    });
}

/// R-EXPIRY, R-ACTION: an item is what its lead is, whether or not the clock has come round to write it, and the clock writes what was shown.
#[test]
fn an_item_is_shown_as_its_lead_is() {
    let person = serde_json::json!([{ "firstName": "Ada", "lastName": "Byron", "email": "ada@fabrikam.example" }]);
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let ada = lead("L1")
            .customer("Ada Byron")
            .with("customerProfile.team", person.clone())
            .urgent();
        portal.import("2026-03-02T08:00:00Z", [ada.created("2026-03-02T08:00:00Z")]).await;
        let shown = async |now: &str| {
            let items = page(&portal.store, at(now), &portal.rules, &contoso(), None, 10)
                .await
                .expect("a list")
                .value;
            let fed = changes(&portal.store, at(now), &portal.rules, &contoso(), 0, 10)
                .await
                .expect("a feed")
                .value;
            let item = &items[0];
            assert_eq!(
                (item.version, &item.title, &item.state),
                (fed[0].version, &fed[0].title, &fed[0].state)
            );
            (item.version, item.title.clone(), item.urgency.clone(), item.state.clone())
        };
        for (now, version, title, urgency, state) in [
            ("2026-03-05T07:59:59.999Z", 1, "New lead from Ada Byron", "urgent", "open"),
            ("2026-03-05T08:00:00.000Z", 2, "New lead from Ada Byron", "cooled", "open"),
            ("2026-03-16T08:00:00.000Z", 2, "New lead from (hidden)", "cooled", "withdrawn"),
        ] {
            let expected = (version, title.to_owned(), Some(urgency.to_owned()), state.to_owned());
            assert_eq!(shown(now).await, expected, "{now}");
        }
        let before = shown("2026-03-16T08:00:00.000Z").await;
        portal.tick("2026-03-16T08:00:00.000Z").await;
        assert_eq!(shown("2026-03-16T08:00:00.000Z").await, before);
    });
}

/// R-ACTION: of two writers the later may commit first. Whoever looks in between misses neither.
#[test]
fn a_change_that_commits_late_is_not_missed() {
    both(async |portal| {
        // SQLite has one writer, so there a change cannot commit late.
        if portal.store.is_embedded() {
            return;
        }
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal.import(NOW, [lead("L1"), lead("L2")]).await;
        let before = changed(&portal, 0, 10).await;
        // A writer that does not hold the partner's lock: an address was suppressed while another one's lead was answered.
        let mut slow = portal.store.begin().await.expect("a transaction");
        crate::store::items::archive_item(&mut slow, at(NOW), 1, false)
            .await
            .expect("it is written");
        portal.accept("2026-03-02T10:00:00Z", "L2").await;
        let between = changed(&portal, before.since, 10).await;
        assert_eq!(leads_of(&between), ["L2"]);
        slow.commit().await.expect("it commits late");
        let after = changed(&portal, between.since, 10).await;
        assert_eq!(leads_of(&after), ["L1"]);
    });
}

/// R-ACTION: two readers, many writers, and an end state that each reader has seen in full.
#[test]
fn readers_beside_writers_miss_nothing() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let done = Arc::new(AtomicBool::new(false));
        let mut readers = JoinSet::new();
        for _ in 0..2 {
            let (portal, done) = (portal.clone(), Arc::clone(&done));
            readers.spawn(async move {
                let (mut seen, mut since) = (BTreeMap::new(), 0);
                loop {
                    let is_last_look = done.load(Ordering::SeqCst);
                    loop {
                        let feed = changed(&portal, since, 7).await;
                        assert!(feed.since >= since);
                        since = feed.since;
                        seen.extend(feed.value.into_iter().map(|item| (item.id, (item.version, item.state))));
                        if !feed.has_more {
                            break;
                        }
                    }
                    if is_last_look {
                        return seen;
                    }
                }
            });
        }
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let portal = portal.clone();
            writers.spawn(async move {
                for n in 0..10 {
                    let id = format!("L{writer}-{n}");
                    portal.import(NOW, [lead(&id)]).await;
                    portal.accept("2026-03-02T10:00:00Z", &id).await;
                }
            });
        }
        writers.join_all().await;
        done.store(true, Ordering::SeqCst);
        let all = page(&portal.store, at(NOW), &portal.rules, &contoso(), None, 200)
            .await
            .expect("the list can be read");
        let expected: BTreeMap<_, _> = all.value.into_iter().map(|item| (item.id, (item.version, item.state))).collect();
        assert_eq!(expected.len(), 40);
        for seen in readers.join_all().await {
            assert_eq!(seen, expected);
        }
    });
}

/// R-ACTION: a place that was given is never given again, also when the item that had the last one moves on.
#[test]
fn a_place_is_given_once() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal.import(NOW, [lead("L1"), lead("L2")]).await;
        let before = changed(&portal, 0, 10).await;
        assert_eq!(before.since, 2);
        portal.accept("2026-03-02T10:00:00Z", "L2").await;
        let mut tx = portal.store.begin().await.expect("a transaction");
        let unnumbered = list_unnumbered(&mut tx, &contoso(), 10).await.expect("they are listed");
        number_items(&mut tx, &contoso(), &unnumbered).await.expect("they are numbered");
        tx.commit().await.expect("it commits");
        let then = changed(&portal, before.since, 10).await;
        assert_eq!((leads_of(&then), then.since), (vec!["L2".to_owned()], 3));
    });
}

/// R-ACTION: archived by a user, it stays archived through later versions.
#[test]
fn what_was_put_away_stays_away() {
    both(async |portal| {
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso"), partner("other")])
            .await;
        portal.import(NOW, [lead("L1")]).await;
        let before = changed(&portal, 0, 10).await;
        let id = before.value[0].id.clone();
        let away = archive(&portal.store, at(NOW), &portal.rules, &contoso(), &id, Some("ada"))
            .await
            .expect("it is there");
        assert!(away.archived && away.version == 2);
        let again = archive(&portal.store, at(NOW), &portal.rules, &contoso(), &id, Some("ada"))
            .await
            .expect("it is there");
        assert_eq!(again.version, 2, "nothing has changed");
        portal.accept("2026-03-02T10:00:00Z", "L1").await;
        let then = changed(&portal, before.since, 10).await;
        assert_eq!(
            (then.value[0].archived, then.value[0].state.as_str(), then.value[0].version),
            (true, "done", 3)
        );
        for (partner, id) in [
            ("other", id.as_str()),
            ("contoso", "item-99"),
            ("contoso", "99"),
            ("nobody", id.as_str()),
        ] {
            let refused = archive(&portal.store, at(NOW), &portal.rules, &PartnerId::new(partner), id, None).await;
            assert!(matches!(refused, Err(Error::NotFound(_))), "{partner} {id}");
        }
    });
}
