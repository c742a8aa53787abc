//! Conservation: every contact lead is mailed, waiting or excused, and whatever is lost shows.

use posthorn::app::answer::Action;
use posthorn::app::record::TryResult;
use posthorn::outbox::{Reply, Stage};
use serde_json::{Value, json};

use crate::support::inside::Inside;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, partner};

const MONDAY: &str = "2026-03-02T09:00:00.000Z";
const FIRE: &str = "2026-03-02T17:00:00.000Z";

fn many(n: usize) -> impl Iterator<Item = Lead> {
    (1..=n).map(|i| lead(&format!("L{i:02}")))
}

/// Twelve leads of one partner at work: ten singles, two for the digest.
fn twelve(posthorn: &Posthorn) -> Inside {
    let inside = Inside::new(posthorn, MONDAY);
    inside.partners([partner("contoso")]).leads(many(12));
    inside
}

#[track_caller]
fn check_leads(posthorn: &Posthorn, mailed: Value, waiting: Value, excused: Value) {
    let books = posthorn.json(&["audit"]);
    let leads = &books["leads"];
    assert_eq!(
        (&leads["mailed"], &leads["waiting"], &leads["excused"]),
        (&mailed, &waiting, &excused),
        "{books:#}"
    );
    assert_eq!(books["orphans"], 0);
    assert!(posthorn.audit_is_clean().contains("orphans: 0\n"));
}

#[test]
fn an_empty_database_has_nothing_to_account_for() {
    both(|posthorn| {
        Inside::new(posthorn, MONDAY);
        check_leads(posthorn, json!({}), json!({}), json!({}));
    });
}

/// `R-CHANNEL`, `R-DIGEST`
#[test]
fn leads_wait_are_mailed_and_are_counted_once() {
    both(|posthorn| {
        let mut inside = twelve(posthorn);
        check_leads(posthorn, json!({}), json!({ "due": 10, "digest": 2 }), json!({}));
        let letters = inside.claim();
        check_leads(posthorn, json!({}), json!({ "sending": 10, "digest": 2 }), json!({}));
        for letter in letters {
            inside.outcome(letter, TryResult::Accepted(None));
        }
        check_leads(posthorn, json!({ "single": 10 }), json!({ "digest": 2 }), json!({}));
        inside.at(posthorn, FIRE).fire();
        check_leads(posthorn, json!({ "single": 10 }), json!({ "due": 2 }), json!({}));
        inside.send(&[]);
        check_leads(posthorn, json!({ "single": 10, "digest": 2 }), json!({}), json!({}));
        let books = posthorn.json(&["audit"]);
        assert_eq!(
            (&books["notices"], &books["digests"]),
            (&json!({ "done": 11 }), &json!({ "mailed": 1 }))
        );
        assert_eq!(
            (&books["deliveries"], &books["items"]),
            (&json!({ "sent": 11 }), &json!({ "open": 12 }))
        );
    });
}

/// `R-RECIPIENT`, `R-KIND`, `R-BACKFILL`: every way in which nobody is mailed has its reason.
#[test]
fn whoever_is_not_mailed_is_excused_with_a_reason() {
    both(|posthorn| {
        let mut inside = Inside::new(posthorn, MONDAY);
        inside.partners([
            partner("contoso"),
            partner("silent").no_admins().preferred_silenced("ada@silent.example"),
            partner("nowhere").no_admins(),
            partner("bouncing"),
            partner("picky").threshold(0),
        ]);
        inside.leads([
            lead("answered"),
            lead("declined").partner("picky"),
            lead("silenced").partner("silent"),
            lead("held").partner("nowhere"),
            lead("held-and-answered").partner("nowhere"),
            lead("stranger").partner("unknown"),
            lead("bounces").partner("bouncing"),
            lead("fails"),
            lead("doubt"),
            lead("deferred").partner("picky"),
            lead("late").partner("picky").expires("2026-03-02T16:00:00Z"),
            lead("offer").offer("GetItNow"),
            lead("co-sell").with("type", "Shared"),
        ]);
        inside.quiet_leads([lead("old"), lead("won").status("Closed", "Won")]);
        inside.accept("answered").accept("held-and-answered");
        let decline = Action::Decline {
            reason: "full".into(),
            notes: None,
            notify_customer: true,
        };
        inside.answer("declined", &decline);
        for letter in inside.claim() {
            let result = match letter.delivery.lead_id.as_ref().map_or("", |id| id.as_str()) {
                "bounces" => TryResult::Refused(Stage::RcptTo, Reply::new(550, "5.1.1 no such user")),
                "fails" => TryResult::Refused(Stage::FinalDot, Reply::new(554, "5.6.0 no")),
                "doubt" => TryResult::ReplyLost("timed out".into()),
                _ => TryResult::Accepted(None),
            };
            inside.outcome(letter, result);
        }
        inside.send(&[]);
        inside.at(posthorn, FIRE).tick();
        inside.fire().send(&[]);
        check_leads(
            posthorn,
            json!({ "digest": 1 }),
            json!({ "inDoubt": 1, "held": 2 }),
            json!({ "answered": 3, "expired": 1, "silenced": 1, "failed": 2, "quiet": 2 }),
        );
        let books = posthorn.json(&["audit"]);
        assert_eq!(
            (&books["leads"]["contact"], &books["leads"]["others"]),
            (&json!(13), &json!({ "informational": 1, "shared": 1 })),
            "{books:#}"
        );
        assert_eq!(books["notices"]["undeliverable"], 1);
    });
}

/// `R-DIGEST`: a digest that goes to some of its leads' addresses forgets none of the others.
#[test]
fn a_digest_swallows_no_lead_that_has_no_address_or_a_silenced_one() {
    both(|posthorn| {
        let mut inside = Inside::new(posthorn, MONDAY);
        let contoso = || {
            partner("contoso")
                .no_admins()
                .threshold(0)
                .location("north", false, &["n@contoso.example"])
        };
        inside.partners([contoso()
            .location("south", false, &["s@contoso.example"])
            .location("west", false, &["w@contoso.example"])]);
        inside.leads([lead("N").location("north"), lead("S").location("south"), lead("W").location("west")]);
        // The south loses its people, the west wants no mail.
        let silent = json!([{ "name": "W", "email": "w@contoso.example", "disableNotifications": true }]);
        let mut record = Value::from(contoso());
        let locations = record["profile"]["locations"].as_array_mut().expect("a list");
        locations.push(json!({ "id": "west", "primary": false, "contacts": silent }));
        inside.partners([record]);
        inside.at(posthorn, FIRE).fire().send(&[]);
        check_leads(posthorn, json!({ "digest": 1 }), json!({ "held": 1 }), json!({ "silenced": 1 }));
    });
}

/// A mutation check: what is taken away by hand is missed.
#[test]
fn whatever_is_lost_is_an_orphan() {
    both(|posthorn| {
        let inside = twelve(posthorn);
        inside.claim();
        assert_eq!(posthorn.json(&["audit"])["orphans"], 0);
        let lost = [
            (
                "delete from delivery where lead_id = 'L02'",
                "lead L02 (partner contoso): its notice is done, and has neither a delivery nor a reason",
            ),
            (
                "update lead set digest_id = null where id = 'L11'",
                "lead L11 (partner contoso): it waits for a digest, and is in none",
            ),
            (
                "update lead set digest_id = 4711 where id = 'L12'",
                "lead L12 (partner contoso): its digest is not there",
            ),
            (
                "delete from delivery where lead_id = 'L03'",
                "lead L03 (partner contoso): nobody has decided how it is told",
            ),
            (
                "update lead set channel = null where id = 'L03'",
                "notice 3 (partner contoso): its notice is done, and has neither",
            ),
            (
                "delete from notice where subject = 'L01'",
                "delivery 1 (partner contoso): there is no notice for it",
            ),
            (
                "delete from delivery where lead_id = 'L10'",
                "lead L10 (partner contoso): there is no notice for it",
            ),
            ("delete from notice where subject = 'L10'", "orphans: 14"),
            (
                "delete from item where lead_id = 'L04'",
                "item L04 (partner contoso): its lead is unanswered and has no action item",
            ),
            (
                "update item set state = 'done' where lead_id = 'L05'",
                "item L05 (partner contoso): its lead is unanswered and its action item is not open",
            ),
            (
                "delete from lead where id = 'L06'",
                "notice 6 (partner contoso): its lead is not there",
            ),
            (
                "update delivery set owner = 4711 where lead_id = 'L07'",
                "delivery 7 (partner contoso): it is being sent by nobody",
            ),
            (
                "update delivery set owner = null where lead_id = 'L08'",
                "delivery 8 (partner contoso): it is being sent by nobody",
            ),
        ];
        for (statement, _) in lost {
            assert_eq!(inside.sql(statement), 1, "{statement}");
        }
        let output = posthorn.run(&["audit"]);
        assert_eq!(output.code, 1, "{output}");
        for (statement, named) in lost {
            assert!(output.stdout.contains(named), "{statement}: {named}\n{output}");
        }
    });
}

/// The same once a digest has gone out.
#[test]
fn what_a_closed_digest_loses_is_an_orphan() {
    let posthorn = Posthorn::sqlite();
    let mut inside = twelve(&posthorn);
    inside.send(&[]);
    inside.at(&posthorn, FIRE).fire().send(&[]);
    assert_eq!(posthorn.json(&["audit"])["orphans"], 0);
    for (statement, back, named) in [
        (
            "update delivery set leads = '[\"L12\"]' where kind = 'digest'",
            "update delivery set leads = '[\"L11\",\"L12\"]' where kind = 'digest'",
            "lead L11 (partner contoso): its digest went out without it",
        ),
        (
            "update digest set n_leads = 0",
            "update digest set n_leads = 2",
            "digest 1 (partner contoso): it had nothing to say, and has a notice",
        ),
        (
            "update delivery set notice_id = 4711 where kind = 'digest'",
            "update delivery set notice_id = 11 where kind = 'digest'",
            "delivery 11 (partner contoso): there is no notice for it",
        ),
        (
            "delete from notice where kind = 'digest'",
            "delete from notice where id = 4711",
            "digest 1 (partner contoso): there is no notice for it",
        ),
        (
            "delete from delivery where kind = 'digest'",
            "",
            "lead L11 (partner contoso): there is no notice for it",
        ),
    ] {
        assert!(inside.sql(statement) > 0, "{statement}");
        let output = posthorn.run(&["audit"]);
        assert!(output.code == 1 && output.stdout.contains(named), "{statement}\n{output}");
        inside.sql(back);
    }
}

/// `R-EXPIRY`, `R-REMIND`: what is gathered is not lost either.
#[test]
fn an_expiry_that_nobody_tells_is_an_orphan() {
    both(|posthorn| {
        let mut inside = Inside::new(posthorn, MONDAY);
        inside.partners([partner("contoso"), partner("sender")]);
        inside.leads([lead("L1").invited_by("sender"), lead("L2")]);
        inside.send(&[]);
        inside.at(posthorn, "2026-03-16T08:00:00.000Z").tick();
        check_leads(posthorn, json!({ "single": 2 }), json!({}), json!({}));
        inside.at(posthorn, "2026-03-16T09:00:00.000Z").send(&[]);
        let books = posthorn.json(&["audit"]);
        // No lead desk is set, so that L2's notice is parked.
        assert_eq!(books["notices"], json!({ "done": 3, "parked": 1 }));
        assert_eq!(books["orphans"], 0);
        inside.sql("delete from notice where kind = 'expiry' and state = 'parked'");
        let output = posthorn.run(&["audit"]);
        assert!(output.code == 1 && output.stdout.contains("lead L2"), "{output}");
    });
}

/// Architecture, 7: what a dead worker held waits for the next pass.
#[test]
fn mails_of_a_dead_worker_are_waiting() {
    let posthorn = Posthorn::sqlite();
    let inside = twelve(&posthorn);
    let letters = inside.claim();
    let books = posthorn.json(&["audit"]);
    assert_eq!(books["deliveries"], json!({ "dead": letters.len() }), "{books:#}");
    assert_eq!(books["orphans"], 0);
}
