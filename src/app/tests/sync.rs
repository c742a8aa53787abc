//! What the portal decides elsewhere (`R-SYNC`).

use crate::app::answer::{Action, Terms};
use crate::app::testing::records::{Lead, lead, partner};
use crate::app::testing::{Portal, at, both};
use crate::lead::Stage;

const CREATED: &str = "2026-03-02T08:00:00Z";
const EXPIRY: &str = "2026-03-16T08:00:00Z";
const LATER: &str = "2026-03-20T08:00:00Z";

fn action(stage: Stage) -> Vec<Action> {
    let accept = Action::Accept(Terms::default());
    match stage {
        Stage::Received | Stage::Expired => vec![],
        Stage::Accepted => vec![accept],
        Stage::Won => vec![accept, Action::Won(Terms::default())],
        Stage::Lost => vec![accept, Action::Lost(Terms::default())],
        Stage::Declined => vec![Action::Decline {
            reason: "no capacity".into(),
            notes: None,
            notify_customer: false,
        }],
    }
}

fn at_stage(id: &str, stage: Stage) -> Lead {
    let (status, substatus) = stage.wire();
    lead(id).created(CREATED).status(status, substatus).invited_by("sender")
}

async fn bring(portal: &Portal, id: &str, stage: Stage) {
    portal.import(CREATED, [at_stage(id, Stage::Received)]).await;
    for action in action(stage) {
        portal.answer("2026-03-03T08:00:00Z", id, action).await.expect("the answer fits");
    }
}

/// R-EXPIRY, architecture 6: nobody but the clock writes an expiry down, and it may be set back before it does.
#[test]
fn an_update_leaves_the_item_of_a_lead_that_expired_this_moment_to_the_clock() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso"), partner("sender")]).await;
        bring(&portal, "late", Stage::Received).await;
        portal
            .import(EXPIRY, [at_stage("late", Stage::Received).updated("2026-03-15T08:00:00Z")])
            .await;
        let state = async || portal.items("contoso").await["lead late"].state.clone();
        assert_eq!(state().await, "open");
        portal.tick(EXPIRY).await;
        assert_eq!(state().await, "withdrawn");
    });
}

/// R-SYNC, R-STAGES: every pair of stages. What R-STAGES can reach is that transition (New to Won or Lost in one step is one); what it cannot reach
/// leaves the stage and is noted.
#[test]
fn an_update_moves_a_lead_where_the_stages_allow_it_and_mails_nobody() {
    use Stage::{Accepted, Declined, Expired, Lost, Received, Won};
    let moves = [
        (Received, Accepted),
        (Received, Won),
        (Received, Lost),
        (Received, Declined),
        (Received, Expired),
        (Accepted, Won),
        (Accepted, Lost),
    ];
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso"), partner("sender")]).await;
        for from in Stage::ALL {
            for to in Stage::ALL {
                bring(&portal, &format!("{}-{}", from.as_str(), to.as_str()), from).await;
            }
        }
        // Those from Expired were never answered.
        for from in Stage::ALL.into_iter().filter(|from| *from == Expired) {
            portal.tick(EXPIRY).await;
            assert_eq!(portal.lead(&format!("{}-won", from.as_str())).await.stage, Expired);
        }
        // The clock has expired the ones in Received as well; they are made anew.
        for to in Stage::ALL {
            let id = format!("new-{}", to.as_str());
            portal.import(LATER, [at_stage(&id, Received).created(LATER)]).await;
        }
        portal.send(LATER).await;
        for from in Stage::ALL {
            for to in Stage::ALL {
                let id = format!("{}-{}", if from == Received { "new" } else { from.as_str() }, to.as_str());
                let n_before = portal.story(&id).await.len();
                let outcomes = portal.import(LATER, [at_stage(&id, to).updated("2026-03-20T09:00:00Z")]).await;
                assert_eq!(outcomes, [crate::app::take_in::Outcome::Updated], "{id}");
                let expected = if moves.contains(&(from, to)) { to } else { from };
                assert_eq!(portal.lead(&id).await.stage, expected, "{id}");
                let story = portal.story(&id).await;
                let noted = story[n_before..].iter().filter(|line| line.starts_with("R-SYNC")).count();
                assert_eq!(noted, usize::from(from != to), "{id}: {story:#?}");
            }
        }
        let mails = portal.work("2026-03-20T10:00:00Z").await;
        assert!(
            mails.iter().all(|mail| !mail.starts_with("decline") && !mail.starts_with("expiry")),
            "{mails:#?}"
        );
    });
}

/// R-SYNC: notices are cancelled, the digest is left, the item is settled.
#[test]
fn a_lead_answered_elsewhere_is_told_to_nobody_any_more() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso").threshold(1)]).await;
        portal.import(CREATED, [lead("L1"), lead("L2"), lead("L3")]).await;
        let won = |id: &str| lead(id).updated("2026-03-02T09:00:00Z").status("Closed", "Won");
        portal.import("2026-03-02T09:00:00Z", [won("L1"), won("L2")]).await;
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await, ["digest to admin@contoso.example: L3"]);
        assert_eq!(
            portal.notices().await,
            [("lead cancelled".to_owned(), 1), ("digest done".to_owned(), 1)].into()
        );
        let items = portal.items("contoso").await;
        let states: Vec<&str> = items.values().map(|item| item.state.as_str()).collect();
        assert_eq!(states, ["done", "done", "open"]);
        assert_eq!(portal.lead("L2").await.digest_id, None);
    });
}

/// R-SYNC: a moved `expirationDateTime` moves the due instants of an unanswered lead, both ways.
#[test]
fn a_moved_expiry_moves_the_due_instants() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso")]).await;
        let moved = |updated: &str, expires: &str| lead("L1").created(CREATED).updated(updated).expires(expires);
        portal.import(CREATED, [lead("L1").created(CREATED)]).await;
        portal
            .import("2026-03-13T08:00:00Z", [moved("2026-03-13T07:00:00Z", "2026-03-20T08:00:00Z")])
            .await;
        portal.tick("2026-03-16T08:00:00Z").await;
        let lead = portal.lead("L1").await;
        assert_eq!(
            (lead.stage, lead.expires_at, lead.remind_at),
            (Stage::Received, Some(at(LATER)), Some(at("2026-03-17T08:00:00Z")))
        );
        portal.tick("2026-03-17T08:00:00Z").await;
        assert!(portal.lead("L1").await.is_expiring);
        portal
            .import("2026-03-18T08:00:00Z", [moved("2026-03-18T07:00:00Z", "2026-03-18T09:00:00Z")])
            .await;
        let lead = portal.lead("L1").await;
        assert_eq!(
            (lead.is_expiring, lead.remind_at),
            (true, Some(at("2026-03-15T09:00:00Z"))),
            "marked already, and still due within 72 h"
        );
        portal.tick("2026-03-18T08:59:59.999Z").await;
        assert_eq!(portal.lead("L1").await.stage, Stage::Received);
        portal.tick("2026-03-18T09:00:00Z").await;
        assert_eq!(portal.lead("L1").await.stage, Stage::Expired);
    });
}

/// R-SYNC, R-EXPIRY: an expired lead takes no contact data back, whether or not the clock has written that it is expired.
#[test]
fn an_expired_lead_takes_no_contact_data_back() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso")]).await;
        portal
            .import(CREATED, [lead("written").created(CREATED), lead("unwritten").created(CREATED)])
            .await;
        portal.tick("2026-03-16T07:59:59.999Z").await;
        let update = |id: &str| {
            lead(id)
                .created(CREATED)
                .updated("2026-03-16T08:00:00Z")
                .contact("secret@fabrikam.example", "en")
        };
        portal.import(EXPIRY, [update("unwritten")]).await;
        portal.tick(EXPIRY).await;
        portal.import(EXPIRY, [update("written")]).await;
        for id in ["written", "unwritten"] {
            let lead = portal.lead(id).await;
            assert_eq!(lead.stage, Stage::Expired, "{id}");
            assert!(!lead.record.contains("secret@"), "{id}: {}", lead.record);
        }
    });
}
