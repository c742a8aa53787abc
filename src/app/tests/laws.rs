//! Laws that hold whatever comes: small random histories on SQLite.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::app::answer::{Action, Terms};
use crate::app::suppress::{self, Suppress};
use crate::app::testing::records::{Lead, lead, partner};
use crate::app::testing::{Portal, address, at};
use crate::lead::LeadId;
use crate::store::testing::{on_sqlite, read};
use crate::time::Timestamp;

/// Cases a law: each is a database of its own, some 50 ms.
const CASES: u32 = 24;

fn config() -> Config {
    Config {
        cases: CASES,
        // A case prints itself; a file beside the source would be one more thing to keep.
        failure_persistence: None,
        ..Config::default()
    }
}

/// A record of one of five leads of two partners, in any state, of any version.
fn any_record() -> impl Strategy<Value = Lead> {
    let stages = prop::sample::select(vec![
        ("New", "Received"),
        ("New", "Received"),
        ("New", "Received"),
        ("Active", "Accepted"),
        ("Closed", "Won"),
        ("Closed", "Declined"),
        ("Closed", "Expired"),
    ]);
    (0..5_u8, 0..20_u8, stages, any::<bool>(), prop::option::of(0..3_u8), 0..10_u8).prop_map(
        |(id, updated, (status, substatus), is_urgent, offer, other)| {
            let partner = if id % 2 == 0 { "contoso" } else { "fabrikam" };
            let mut record = lead(&format!("L{id}"))
                .partner(partner)
                .created("2026-03-02T08:00:00Z")
                .updated(&format!("2026-03-02T08:{updated:02}:00Z"))
                .customer(&format!("Customer {updated}"))
                .status(status, substatus);
            if is_urgent {
                record = record.urgent();
            }
            if let Some(offer) = offer {
                record = record.offer(["GetItNow", "ContactMe", "FreeTrial"][usize::from(offer)]);
            }
            match other {
                0 => record.partner("fabrikam"),
                1 => record.without("customerProfile.name"),
                2 => record.with("createdDateTime", "yesterday"),
                _ => record,
            }
        },
    )
}

/// Everything that is kept, but for the history.
async fn dump(portal: &Portal) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let mut tables = BTreeMap::new();
    for (name, sql) in [
        (
            "lead",
            "select id, cast(seq as text), partner_id, cast(version as text), kind, stage, cast(stage_since as text), cast(expires_at as text),
               cast(next_due_at as text), channel, day, cast(day_number as text), cast(digest_id as text), customer, record from lead order by seq",
        ),
        ("notice", "select kind, subject, state, cast(due_at as text) from notice order by id"),
        ("digest", "select partner_id, state, cast(due_at as text) from digest order by id"),
        ("item", "select subject, cast(version as text), state, title, text from item order by seq"),
        ("partner_state", "select partner_id, day, cast(day_count as text) from partner_state order by partner_id"),
        ("rejected", "select source, cast(line as text), record, faults, state from rejected order by id"),
        ("history", "select lead_id, rule, event from history order by id"),
    ] {
        tables.insert(name, read(&portal.store, sql).await);
    }
    tables
}

proptest! {
    #![proptest_config(config())]

    /// R-INTAKE: import twice equals once, whatever the records and however they are cut into batches.
    #[test]
    fn an_import_twice_equals_once(records in prop::collection::vec(any_record(), 1..12), threshold in 0..4_u32, cut in 1..6_usize) {
        on_sqlite(async |store| {
            let portal = Portal::new(store);
            portal.partners("2026-03-01T08:00:00Z", [partner("contoso").threshold(threshold)]).await;
            for some in records.chunks(cut) {
                portal.import("2026-03-02T09:00:00Z", some.to_vec()).await;
            }
            let once = dump(&portal).await;
            // A lead that comes twice in a file is one version further when its first record comes again.
            for some in records.chunks(cut) {
                portal.import("2026-03-02T09:30:00Z", some.to_vec()).await;
            }
            assert_eq!(dump(&portal).await, once);
        });
    }
}

/// What may happen to a small portal.
#[derive(Clone, Debug)]
enum Happening {
    Import(Vec<Lead>),
    Partner { threshold: u32, address: u8, has_address: bool },
    Accept(u8),
    Run,
    Suppress(u8),
    Lift(u8),
    HoursPass(u8),
    Work { bounces: bool },
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let new = prop::collection::vec((0..40_u8, any::<bool>()), 1..6).prop_map(|leads| {
        let leads = leads.into_iter().map(|(id, is_urgent)| {
            let lead = lead(&format!("L{id:02}")).created("2026-03-02T08:00:00Z");
            if is_urgent { lead.urgent() } else { lead }
        });
        Happening::Import(leads.collect())
    });
    prop_oneof![
        4 => new,
        2 => (0..3_u32, 0..3_u8, any::<bool>()).prop_map(|(threshold, address, has_address)| Happening::Partner { threshold, address, has_address }),
        1 => (0..40_u8).prop_map(Happening::Accept),
        1 => Just(Happening::Run),
        1 => (0..3_u8).prop_map(Happening::Suppress),
        1 => (0..3_u8).prop_map(Happening::Lift),
        2 => (1..30_u8).prop_map(Happening::HoursPass),
        3 => any::<bool>().prop_map(|bounces| Happening::Work { bounces }),
    ]
}

fn mailbox(number: u8) -> String {
    format!("user-{number}@contoso.example")
}

async fn happen(portal: &Portal, now: &mut Timestamp, happening: &Happening) {
    let text = now.to_string();
    match happening {
        Happening::Import(leads) => {
            portal.import(&text, leads.clone()).await;
        }
        Happening::Partner {
            threshold,
            address,
            has_address,
        } => {
            let mut contoso = partner("contoso")
                .no_admins()
                .threshold(*threshold)
                .with("urgentSingly", *threshold == 1);
            if *has_address {
                contoso = contoso.preferred(&mailbox(*address)).admin(&mailbox((address + 1) % 3));
            }
            portal.partners(&text, [contoso]).await;
        }
        Happening::Accept(id) => {
            portal
                .answer(&text, &format!("L{id:02}"), Action::Accept(Terms::default()))
                .await
                .ok();
        }
        Happening::Run => {
            let ids = [crate::partner::PartnerId::new("contoso")].into();
            crate::app::fire::run(&portal.store, *now, &portal.rules, &ids, false, None)
                .await
                .ok();
        }
        Happening::Suppress(number) => {
            let one = Suppress {
                address: address(&mailbox(*number)),
                reason: "by hand".into(),
                detail: String::new(),
                actor: None,
            };
            suppress::add(&portal.store, *now, &portal.rules, one).await.ok();
        }
        Happening::Lift(number) => {
            suppress::lift(&portal.store, *now, &portal.rules, &address(&mailbox(*number)), None)
                .await
                .ok();
        }
        Happening::HoursPass(hours) => *now = now.plus(std::time::Duration::from_secs(u64::from(*hours) * 3600)),
        Happening::Work { bounces } => {
            portal.tick(&text).await;
            portal.fire(&text).await;
            if *bounces {
                for letter in portal.claim(&text).await {
                    portal.bounce(&text, &letter).await;
                }
            }
            portal.send(&text).await;
        }
    }
}

/// Returns how often each address was sent each lead, singly or in a digest.
async fn told(portal: &Portal) -> BTreeMap<(LeadId, String), Vec<String>> {
    let sent = read(
        &portal.store,
        "select kind, lead_id, leads, address, cast(notice_id as text) from delivery where state = 'sent' and kind in ('lead', 'digest') order by id",
    )
    .await;
    let mut told: BTreeMap<(LeadId, String), Vec<String>> = BTreeMap::new();
    for row in sent {
        let mut leads: Vec<LeadId> = serde_json::from_str(&row[2]).expect("JSON");
        if row[1] != "-" {
            leads.push(LeadId::new(row[1].clone()));
        }
        for lead in leads {
            told.entry((lead, row[3].clone()))
                .or_default()
                .push(format!("{} {}", row[0], row[4]));
        }
    }
    told
}

proptest! {
    #![proptest_config(config())]

    /// R-CHANNEL, R-RECIPIENT: never two channels for one lead, never two mails of one lead to one address, and a lead that was counted keeps its number.
    #[test]
    fn a_lead_has_one_channel_and_an_address_hears_of_it_once(happenings in prop::collection::vec(any_happening(), 1..25)) {
        on_sqlite(async |store| {
            let portal = Portal::new(store);
            let mut now = at("2026-03-02T08:00:00Z");
            let mut counted: BTreeMap<LeadId, (String, i64)> = BTreeMap::new();
            for happening in &happenings {
                happen(&portal, &mut now, happening).await;
                for lead in portal.leads_of("contoso").await {
                    let Some(number) = lead.day_number.filter(|_| lead.channel != Some(crate::policy::channel::Channel::Held)) else { continue };
                    let day = lead.day.expect("a number is of a day").to_string();
                    let first = counted.entry(lead.id.clone()).or_insert((day.clone(), number)).clone();
                    assert_eq!(first, (day, number), "{} was counted twice", lead.id);
                }
            }
            let numbers: BTreeSet<&(String, i64)> = counted.values().collect();
            assert_eq!(numbers.len(), counted.len(), "two leads have one number: {counted:?}");
            for ((lead, address), mails) in told(&portal).await {
                assert_eq!(mails.len(), 1, "{lead} to {address}: {mails:?}");
            }
        });
    }
}
