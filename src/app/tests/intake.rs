//! Records come in once, whatever comes with them (`R-INTAKE`, `R-BACKFILL`, `R-KIND`, `R-ACTION`).

use serde_json::{Value, json};

use crate::app::mail_count::MailCount;
use crate::app::take_in::{BATCH_MAX, Origin, Outcome};
use crate::app::testing::records::{Lead, lead, partner};
use crate::app::testing::{at, both, incoming};
use crate::lead::{LeadId, Stage};
use crate::partner::PartnerId;
use crate::store::rejected::list_open;

fn marketplace(email: &str, action: &str) -> Value {
    json!({
        "UserDetails": { "FirstName": "Ada", "LastName": "Byron", "Email": email, "Phone": "1", "Country": "GB", "Company": "Fabrikam" },
        "LeadSource": format!("SPZA-{action}|Contoso Backup"), "ActionCode": action, "OfferTitle": "Contoso Backup"
    })
}

/// R-INTAKE, R-KIND: both formats come in by one way, and the same file again is the same leads.
#[test]
fn both_formats_are_taken_in_and_taken_in_once() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let file = || {
            [
                lead("L1").build(),
                marketplace("a@fabrikam.example", "PLT"),
                marketplace("a@fabrikam.example", "PLT"),
                marketplace("b@fabrikam.example", "INS"),
            ]
        };
        assert_eq!(
            portal.import("2026-03-02T09:00:00Z", file()).await,
            [Outcome::New, Outcome::New, Outcome::New, Outcome::New]
        );
        assert_eq!(
            portal.import("2026-03-05T09:00:00Z", file()).await,
            [Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged]
        );
        let kinds: Vec<&str> = portal.leads_of("contoso").await.iter().map(|lead| lead.kind.as_str()).collect();
        assert_eq!(kinds.len(), 4);
        assert_eq!(kinds.iter().filter(|kind| **kind == "informational").count(), 1);
        assert_eq!(
            portal.work("2026-03-02T09:00:00Z").await.len(),
            3,
            "an informational lead sends no mail (R-WHO-MAILS)"
        );
    });
}

/// R-INTAKE: newer content replaces, the same or an older one changes nothing, and nobody is notified twice. A version is compared at full precision.
#[test]
fn an_update_notifies_nobody_a_second_time() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let l1 = || lead("L1").updated("2026-03-02T08:00:00.1234567Z");
        portal.import("2026-03-02T09:00:00Z", [l1()]).await;
        assert_eq!(portal.work("2026-03-02T09:00:00Z").await.len(), 1);
        for (record, expected, customer, why) in [
            (l1().customer("Same"), Outcome::Unchanged, "Customer L1", "the same version"),
            (
                l1().customer("Older").updated("2026-03-02T08:00:00.1234566Z"),
                Outcome::Unchanged,
                "Customer L1",
                "100 ns older",
            ),
            (
                lead("L1").customer("Created"),
                Outcome::Unchanged,
                "Customer L1",
                "no updatedDateTime: createdDateTime",
            ),
            (
                l1().customer("Newer").updated("2026-03-02T08:00:00.1234568Z"),
                Outcome::Updated,
                "Newer",
                "100 ns newer",
            ),
        ] {
            assert_eq!(portal.import("2026-03-02T10:00:00Z", [record]).await, [expected], "{why}");
            assert_eq!(portal.lead("L1").await.customer, customer, "{why}");
        }
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await, [""; 0]);
        assert_eq!(portal.channels("contoso").await, ["L1 single 2026-03-02 #1"]);
        let story = portal.story("L1").await;
        assert!(story[2].starts_with("R-INTAKE a newer record"), "{story:#?}");
    });
}

/// R-INTAKE: of two records of one id in a batch, the second is an update of the first.
#[test]
fn a_batch_that_names_a_lead_twice_takes_it_in_and_updates_it() {
    both(async |portal| {
        let batch = [
            lead("L1"),
            lead("L2"),
            lead("L1").updated("2026-03-02T08:30:00Z").customer("Newer"),
            lead("L1").updated("2026-03-02T08:10:00Z").customer("Older"),
        ];
        let outcomes = portal.import("2026-03-02T09:00:00Z", batch).await;
        assert_eq!(outcomes, [Outcome::New, Outcome::New, Outcome::Updated, Outcome::Unchanged]);
        assert_eq!(portal.lead("L1").await.customer, "Newer");
    });
}

/// R-INTAKE: one bad record never stops a batch; it is kept with all of its faults, once, and another organisation's claim to a lead is one.
#[test]
fn a_bad_record_is_kept_and_the_rest_comes_in() {
    both(async |portal| {
        portal.import("2026-03-02T08:30:00Z", [lead("L1")]).await;
        let bad = lead("L2").without("createdDateTime").with("callToAction", "Contact\u{0}Us");
        let batch = || {
            [
                bad.clone(),
                lead("L1").partner("fabrikam").updated("2026-03-03T08:00:00Z"),
                lead("L3"),
            ]
        };
        for expected in [Outcome::New, Outcome::Unchanged] {
            let outcomes = portal.import("2026-03-02T09:00:00Z", batch()).await;
            assert!(
                matches!(&outcomes[0], Outcome::Rejected(faults) if faults.len() == 2),
                "{outcomes:?}"
            );
            assert!(
                matches!(&outcomes[1], Outcome::Rejected(faults) if faults[0].path == "organizationId"),
                "{outcomes:?}"
            );
            assert_eq!(outcomes[2], expected);
        }
        assert_eq!(portal.lead("L1").await.partner_id.as_str(), "contoso");
        let mut tx = portal.store.read().await.expect("a transaction");
        let kept = list_open(&mut tx, 0, 10).await.expect("a read");
        let lines: Vec<(i64, usize)> = kept.iter().map(|one| (one.line, one.faults.len())).collect();
        assert_eq!(lines, [(1, 2), (2, 1)]);
    });
}

/// R-BACKFILL: history is stored as it is; nobody is told, counted, mailed, reminded, and the sender neither.
#[test]
fn what_arrives_answered_closed_archived_or_expired_is_history() {
    both(async |mut portal| {
        portal.rules.policy.remind_by_mail = true;
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso"), partner("sender")])
            .await;
        let old = |id: &str| lead(id).created("2026-02-01T08:00:00Z").invited_by("sender");
        let batch = [
            old("accepted").status("Active", "Accepted"),
            old("won").status("Closed", "Won"),
            old("expired"),
            lead("expires-now").created("2026-02-16T09:00:00Z").invited_by("sender"),
            lead("archived").created("2025-09-02T09:00:00Z").offer("GetItNow"),
        ];
        portal.import("2026-03-02T09:00:00Z", batch).await;
        portal
            .import_quiet(
                "2026-03-02T09:00:00Z",
                [lead("quiet").created("2026-03-02T08:00:00Z").urgent().invited_by("sender")],
            )
            .await;
        for (id, stage) in [
            ("accepted", Stage::Accepted),
            ("won", Stage::Won),
            ("expired", Stage::Expired),
            ("expires-now", Stage::Expired),
            ("archived", Stage::Received),
            ("quiet", Stage::Received),
        ] {
            let lead = portal.lead(id).await;
            assert_eq!(
                (lead.stage, lead.is_quiet, lead.channel, lead.day_number),
                (stage, true, None, None),
                "{id}"
            );
        }
        assert!(portal.lead("archived").await.is_archived);
        assert_eq!(
            portal.items("contoso").await.keys().collect::<Vec<_>>(),
            ["lead quiet"],
            "an open contact lead has its item"
        );
        for now in [
            "2026-03-02T09:00:00Z",
            "2026-03-05T09:00:00Z",
            "2026-03-13T09:00:00Z",
            "2026-03-17T09:00:00Z",
            "2026-09-17T09:00:00Z",
        ] {
            assert_eq!(portal.work(now).await, [""; 0], "{now}");
        }
        assert_eq!(portal.lead("quiet").await.stage, Stage::Expired, "it expires all the same");
        portal
            .import("2026-09-17T09:00:00Z", [lead("L1").created("2026-09-17T09:00:00Z")])
            .await;
        assert_eq!(portal.channels("contoso").await[6], "L1 single 2026-09-17 #1");
    });
}

/// R-BACKFILL: the boundary, one millisecond before and at the expiry.
#[test]
fn a_lead_that_arrives_at_its_expiry_is_history_and_a_millisecond_before_it_is_news() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let new = |id: &str| lead(id).created("2026-03-01T09:00:00Z").expires("2026-03-02T09:00:00Z");
        portal.import("2026-03-02T08:59:59.999Z", [new("before")]).await;
        portal.import("2026-03-02T09:00:00Z", [new("at")]).await;
        assert_eq!(portal.channels("contoso").await, ["before single 2026-03-02 #1", "at -"]);
    });
}

/// R-KIND: in its order; only contact leads are counted, mailed and posted.
#[test]
fn only_contact_leads_are_counted_mailed_and_posted() {
    let test_lead = |id: &str| {
        let named = lead(id).customer("MSFT_TEST_Company");
        let person = json!([{ "firstName": "MSFT_TEST_Ada", "lastName": "MSFT_TEST_Byron", "email": "MSFT_TEST_a@fabrikam.example" }]);
        named.with("customerProfile.team", person)
    };
    let cases: Vec<(Lead, &str, &str)> = vec![
        (lead("outgoing").with("direction", "Outgoing"), "shared", "-"),
        (
            lead("co-sell").with("type", "Shared").with("qualification", "SalesQualified"),
            "shared",
            "-",
        ),
        (test_lead("test"), "test", "-"),
        (
            lead("qualified").offer("GetItNow").with("qualification", "MarketingQualified"),
            "contact",
            "single 2026-03-02 #1",
        ),
        (lead("profile").location("berlin"), "contact", "single 2026-03-02 #2"),
        (lead("no-target"), "contact", "single 2026-03-02 #3"),
        (lead("trial").offer("FreeTrial"), "informational", "-"),
        (lead("contact-me").offer("ContactMe"), "contact", "single 2026-03-02 #4"),
    ];
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        for (record, kind, expected) in &cases {
            portal.import("2026-03-02T09:00:00Z", [record.clone()]).await;
            let leads = portal.leads_of("contoso").await;
            let lead = leads.last().expect("it was taken in");
            assert_eq!(lead.kind.as_str(), *kind, "{}", lead.id);
            assert_eq!(crate::app::testing::channel(lead), format!("{} {expected}", lead.id));
        }
        portal
            .import("2026-03-02T09:00:00Z", [marketplace("a@fabrikam.example", "DNC")])
            .await;
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await.len(), 4);
        assert_eq!(portal.items("contoso").await.len(), 4);
    });
}

/// R-ACTION: one item a lead, updated with a rising version, never a second one; an import that says nothing new raises none.
#[test]
fn an_item_is_posted_once_and_updated_with_a_rising_version() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let urgent = || lead("L1").urgent();
        let versions = async |expected: i64, state: &str, urgency: Option<&str>, why: &str| {
            let items = portal.items("contoso").await;
            let item = &items["lead L1"];
            assert_eq!(
                (items.len(), item.version, item.state.as_str(), item.urgency.as_deref()),
                (1, expected, state, urgency),
                "{why}"
            );
        };
        portal.import("2026-03-02T09:00:00Z", [urgent()]).await;
        versions(1, "open", Some("urgent"), "taken in").await;
        portal.import("2026-03-02T09:10:00Z", [urgent()]).await;
        portal
            .import("2026-03-02T09:20:00Z", [urgent().updated("2026-03-02T09:20:00Z")])
            .await;
        versions(
            1,
            "open",
            Some("urgent"),
            "the same again, and newer content that the item does not show",
        )
        .await;
        portal.tick("2026-03-05T08:00:00Z").await;
        versions(2, "open", Some("cooled"), "72 h").await;
        portal.tick("2026-03-13T08:00:00Z").await;
        versions(3, "open", Some("cooled"), "expiring").await;
        portal.accept("2026-03-14T08:00:00Z", "L1").await;
        versions(4, "done", Some("cooled"), "answered").await;
        portal.tick("2026-03-16T08:00:00Z").await;
        versions(4, "done", Some("cooled"), "nothing more happens").await;
        portal.import("2026-03-02T09:00:00Z", [lead("L2")]).await;
        portal.tick("2026-03-16T08:00:00Z").await;
        assert_eq!(portal.items("contoso").await["lead L2"].state, "withdrawn", "expired");
    });
}

/// R-BACKFILL: what the count in a first pass says is what the import then sends.
#[test]
fn the_mails_of_an_import_are_counted_before_it() {
    both(async |portal| {
        let contoso = partner("contoso")
            .threshold(3)
            .preferred("a@contoso.example")
            .preferred("b@contoso.example");
        let quiet = partner("quiet").no_admins().preferred_silenced("q@quiet.example");
        portal
            .partners("2026-03-01T08:00:00Z", [contoso, quiet, partner("none").no_admins()])
            .await;
        portal.import("2026-03-02T09:00:00Z", [lead("known")]).await;
        let mut records: Vec<Value> = (1..=6).map(|n| lead(&format!("L{n}")).build()).collect();
        records.extend(
            [
                lead("known"),
                lead("L1"),
                lead("Q").partner("quiet"),
                lead("N").partner("none"),
                lead("won").status("Closed", "Won"),
            ]
            .map(Lead::build),
        );
        let origin = std::sync::Arc::new(Origin {
            source: "leads.ndjson".into(),
            partner: None,
            is_quiet: false,
        });
        let now = at("2026-03-02T09:30:00Z");
        let mut count = MailCount::default();
        for some in records.chunks(4) {
            let batch = incoming(now, &origin, some.iter().cloned());
            count.add(&portal.store, now, &portal.rules, &origin, batch).await.expect("a count");
        }
        assert_eq!(
            count.n_mails(),
            2 * 2 + 2,
            "two more singles to two addresses, and a digest to each"
        );
        portal.send("2026-03-02T09:30:00Z").await;
        portal.import("2026-03-02T09:30:00Z", records).await;
        let sent = portal.send("2026-03-02T09:30:00Z").await.len() + portal.work("2026-03-02T17:00:00Z").await.len();
        assert_eq!(sent as u64, count.n_mails());
    });
}

/// R-INTAKE: a file larger than a batch, in which a partner's leads lie batches apart.
#[test]
fn batches_go_on_counting_where_the_last_one_ended() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        let n = BATCH_MAX + 5;
        let records: Vec<Lead> = (1..=n).map(|number| lead(&format!("L{number:05}"))).collect();
        for some in records.chunks(BATCH_MAX) {
            portal.import("2026-03-02T09:00:00Z", some.to_vec()).await;
        }
        let last = portal.lead(&format!("L{n:05}")).await;
        assert_eq!((last.day_number, last.id), (Some(n as i64), LeadId::new(format!("L{n:05}"))));
        assert_eq!(portal.digests("contoso").await.len(), 1);
        assert_eq!(portal.run("2026-03-02T10:00:00Z", "contoso", true).await.leads, n as i64 - 10);
        assert_eq!(last.partner_id, PartnerId::new("contoso"));
    });
}
