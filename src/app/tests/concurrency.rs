//! Several at once: writers of one partner, fires, claims, an answer and an expiry.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use crate::app::answer::{Action, Terms};
use crate::app::testing::records::{lead, partner};
use crate::app::testing::{Portal, at, both};
use crate::lead::{LeadId, Stage};
use crate::policy::channel::Channel;

const NOW: &str = "2026-03-02T09:00:00.000Z";

/// R-CHANNEL, R-DIGEST: 1,000 leads in the same millisecond, from eight writers: ten singles, one digest with 990, each number once.
#[test]
fn a_thousand_leads_from_eight_writers_are_each_counted_once() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let portal = portal.clone();
            writers.spawn(async move {
                for batch in 0..5 {
                    let leads = (0..25).map(|n| lead(&format!("L{writer}-{batch}-{n}")).created(NOW));
                    portal.import(NOW, leads).await;
                }
            });
        }
        writers.join_all().await;
        let leads = portal.leads_of("contoso").await;
        let numbers: BTreeSet<i64> = leads.iter().filter_map(|lead| lead.day_number).collect();
        assert_eq!((leads.len(), numbers), (1000, (1..=1000).collect()));
        let singles = leads.iter().filter(|lead| lead.channel == Some(Channel::Single));
        assert_eq!(singles.filter(|lead| lead.day_number <= Some(10)).count(), 10);
        let digests: BTreeSet<Option<i64>> = leads
            .iter()
            .filter(|lead| lead.channel == Some(Channel::Digest))
            .map(|lead| lead.digest_id)
            .collect();
        assert_eq!(digests.len(), 1);
        assert_eq!(portal.run(NOW, "contoso", true).await.leads, 990);
    });
}

/// R-INTAKE: the same file taken in by several at once is taken in once.
#[test]
fn the_same_file_from_several_writers_is_taken_in_once() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        let mut writers = JoinSet::new();
        for _ in 0..6 {
            let portal = portal.clone();
            writers.spawn(async move { portal.import(NOW, (0..20).map(|n| lead(&format!("L{n}")).created(NOW))).await });
        }
        let outcomes: Vec<_> = writers.join_all().await.concat();
        let n_new = outcomes
            .iter()
            .filter(|outcome| **outcome == crate::app::take_in::Outcome::New)
            .count();
        assert_eq!((n_new, portal.leads_of("contoso").await.len()), (20, 20));
        assert_eq!(portal.send(NOW).await.len(), 10);
    });
}

/// R-DIGEST: however many workers run, a fire closes one digest.
#[test]
fn a_fire_closes_one_digest_however_many_workers_run() {
    both(async |portal| {
        let ids: Vec<String> = (0..20).map(|n| format!("partner-{n:02}")).collect();
        portal
            .partners("2026-03-02T08:00:00Z", ids.iter().map(|id| partner(id).threshold(0)))
            .await;
        portal
            .import(NOW, ids.iter().map(|id| lead(&format!("lead-{id}")).partner(id).created(NOW)))
            .await;
        let mut workers = JoinSet::new();
        for id in &ids[..8] {
            let (portal, id) = (portal.clone(), id.clone());
            workers.spawn(async move {
                portal.fire("2026-03-02T17:00:00Z").await;
                portal.run("2026-03-02T17:00:00Z", &id, false).await;
            });
        }
        workers.join_all().await;
        for id in &ids {
            assert_eq!(portal.digests(id).await.len(), 1, "{id}");
        }
        assert_eq!(portal.notices().await, [("digest pending".to_owned(), 20)].into());
        assert_eq!(portal.send("2026-03-02T17:00:00Z").await.len(), 20);
    });
}

/// Whoever claims, a notice goes to each address once.
#[test]
fn several_workers_send_each_mail_once() {
    both(async |portal| {
        let ids: Vec<String> = (0..10).map(|n| format!("partner-{n:02}")).collect();
        portal.partners("2026-03-02T08:00:00Z", ids.iter().map(|id| partner(id))).await;
        for id in &ids {
            portal
                .import(NOW, (0..10).map(|n| lead(&format!("{id}-{n}")).partner(id).created(NOW)))
                .await;
        }
        let mut workers = JoinSet::new();
        for worker in 1..=6 {
            let portal = portal.clone();
            workers.spawn(async move { claim_all(&portal, worker).await });
        }
        let mut ids = workers.join_all().await.concat();
        // What every worker passed over, as another one held its partner.
        ids.extend(claim_all(&portal, 7).await);
        let distinct: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!((ids.len(), distinct.len()), (100, 100));
    });
}

async fn claim_all(portal: &Portal, owner: i64) -> Vec<i64> {
    let mut ids = Vec::new();
    loop {
        let claimed = crate::app::claim::claim(&portal.store, at(NOW), &portal.rules, owner, 7)
            .await
            .expect("a claim");
        if claimed.n_touched == 0 {
            return ids;
        }
        ids.extend(claimed.letters.into_iter().map(|letter| letter.delivery.id));
    }
}

/// R-EXPIRY: an answer and an expiry at the same moment: exactly one wins, and what follows is the winner's.
#[test]
fn an_answer_and_an_expiry_at_the_same_moment_have_one_winner() {
    both(async |portal| {
        portal
            .partners("2026-03-02T08:00:00Z", [partner("contoso"), partner("sender")])
            .await;
        let ids: Vec<String> = (0..20).map(|n| format!("L{n:02}")).collect();
        portal
            .import(NOW, ids.iter().map(|id| lead(id).created(NOW).invited_by("sender")))
            .await;
        portal.send(NOW).await;
        let mut racers = JoinSet::new();
        for id in ids.clone() {
            let portal = portal.clone();
            racers.spawn(async move {
                let won = portal
                    .answer("2026-03-16T08:59:59.999Z", &id, Action::Accept(Terms::default()))
                    .await
                    .is_ok();
                (id, won)
            });
        }
        let clock = {
            let portal = portal.clone();
            tokio::spawn(async move { portal.tick("2026-03-16T09:00:00Z").await })
        };
        let answered = racers.join_all().await;
        clock.await.expect("no panic");
        let mut expired = BTreeSet::new();
        for (id, won) in answered {
            let lead = portal.lead(&id).await;
            assert_eq!(lead.stage, if won { Stage::Accepted } else { Stage::Expired }, "{id}");
            if !won {
                expired.insert(lead.id);
            }
        }
        portal.tick("2026-03-16T09:00:00Z").await;
        let told: BTreeSet<LeadId> = portal
            .claim("2026-03-16T10:00:00Z")
            .await
            .into_iter()
            .flat_map(|letter| letter.delivery.leads)
            .collect();
        assert_eq!(told, expired, "the sender is told of those that expired, and of no other");
    });
}

/// R-CHANNEL, R-RECIPIENT: a partner that becomes known while its leads come in leaves none behind.
#[test]
fn no_lead_is_left_behind_when_its_partner_becomes_known_meanwhile() {
    both(async |portal| {
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let portal = portal.clone();
            writers.spawn(async move {
                for n in 0..5 {
                    portal.import(NOW, [lead(&format!("L{writer}-{n}")).created(NOW)]).await;
                }
            });
        }
        let known = portal.clone();
        writers.spawn(async move { known.partners(NOW, [partner("contoso")]).await });
        writers.join_all().await;
        let leads = portal.leads_of("contoso").await;
        let numbers: BTreeSet<i64> = leads.iter().filter_map(|lead| lead.day_number).collect();
        assert_eq!(numbers, (1..=20).collect(), "{:?}", portal.channels("contoso").await);
    });
}
