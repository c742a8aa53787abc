//! Lists page by page: nothing lost, nothing twice; and edits that must not go over what was not seen.

use serde_json::{Value, json};

use crate::app::answer::{Action, Terms, answer};
use crate::app::leads::{Filter, Order, find, page};
use crate::app::page::Cursor;
use crate::app::partners::{Put, put_one};
use crate::app::testing::records::{lead, partner};
use crate::app::testing::{Portal, at, both};
use crate::app::{Error, roster};
use crate::lead::kind::Kind;
use crate::lead::values::{CallToAction, EmailValidity, Origin, PhoneValidity, Quality, ReferralSource, Tab};
use crate::lead::{LeadId, Stage};
use crate::partner::{Partner, PartnerId};
use crate::tag::IfMatch;

const NOW: &str = "2026-03-02T09:00:00.000Z";

async fn all(portal: &Portal, now: &str, filter: &Filter, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let read = page(&portal.store, at(now), filter, cursor.as_ref(), limit).await.expect("a page");
        assert!(read.value.len() <= limit);
        ids.extend(read.value.into_iter().map(|lead| lead.id.as_str().to_owned()));
        cursor = read.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

#[test]
fn leads_are_listed_newest_first_whatever_the_length_of_a_page() {
    both(async |portal| {
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso"), partner("other")])
            .await;
        // Three in the same millisecond, and one that came in last and was created first.
        let same = |id: &str| lead(id).created("2026-03-02T08:00:00.000Z");
        portal.import(NOW, [same("B"), same("A"), same("C")]).await;
        portal
            .import(
                NOW,
                [
                    lead("new").created("2026-03-02T08:30:00Z"),
                    lead("theirs").created("2026-03-02T08:10:00Z").partner("other"),
                ],
            )
            .await;
        portal.import(NOW, [lead("old").created("2026-03-01T08:00:00Z")]).await;
        portal.accept("2026-03-02T10:00:00Z", "A").await;
        let everything = ["new", "theirs", "C", "B", "A", "old"];
        for limit in 1..=7 {
            assert_eq!(all(&portal, NOW, &Filter::default(), limit).await, everything, "pages of {limit}");
        }
        let of_contoso = Filter {
            partner: Some(PartnerId::new("contoso")),
            ..Filter::default()
        };
        assert_eq!(all(&portal, NOW, &of_contoso, 2).await, ["new", "C", "B", "A", "old"]);
        for (filter, now, expected, why) in [
            (
                Filter {
                    stages: vec![Stage::Accepted],
                    ..of_contoso.clone()
                },
                NOW,
                vec!["A"],
                "accepted",
            ),
            (
                Filter {
                    stages: vec![Stage::Accepted, Stage::Received],
                    ..Filter::default()
                },
                NOW,
                everything.to_vec(),
                "either",
            ),
            (
                Filter {
                    stages: vec![Stage::Expired],
                    ..of_contoso.clone()
                },
                "2026-03-15T08:00:00.000Z",
                vec!["old"],
                "expired at the very instant, though nothing is written yet",
            ),
            (
                Filter {
                    stages: vec![Stage::Expired],
                    ..of_contoso.clone()
                },
                "2026-03-15T07:59:59.999Z",
                vec![],
                "a millisecond before",
            ),
            (
                Filter {
                    created_from: Some(at("2026-03-02T08:00:00.000Z")),
                    created_before: Some(at("2026-03-02T08:30:00.000Z")),
                    ..Filter::default()
                },
                NOW,
                vec!["theirs", "C", "B", "A"],
                "from inclusive, before exclusive",
            ),
        ] {
            assert_eq!(all(&portal, now, &filter, 2).await, expected, "{why}");
        }
        let foreign = page(&portal.store, at(NOW), &Filter::default(), Some(&Cursor::new("bm9uc2Vuc2U")), 10).await;
        assert!(matches!(foreign, Err(Error::Input(_))), "{foreign:?}");
    });
}

/// R-RECIPIENT: partners without an address, also those of which only leads are known, in one order over all pages.
#[test]
fn partners_are_listed_by_id_with_or_without_a_record() {
    both(async |portal| {
        let mute = |id: &str| partner(id).no_admins();
        portal
            .partners("2026-03-01T08:00:00Z", [partner("a"), mute("b"), partner("d"), mute("f")])
            .await;
        portal
            .import(NOW, [lead("L1").partner("c"), lead("L2").partner("e"), lead("L3").partner("g")])
            .await;
        for (unroutable, expected) in [(false, vec!["a", "b", "d", "f"]), (true, vec!["b", "c", "e", "f", "g"])] {
            for limit in 1..=6 {
                let (mut ids, mut cursor) = (Vec::new(), None);
                loop {
                    let read = roster::page(&portal.store, &portal.rules, None, unroutable, cursor.as_ref(), limit)
                        .await
                        .expect("a page");
                    ids.extend(read.value.into_iter().map(|one| one.id.as_str().to_owned()));
                    cursor = read.next;
                    if cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(ids, expected, "pages of {limit}");
            }
        }
    });
}

/// R-ACCEPT: an edit over what the editor has not seen is refused; the clock's own notes make no edit stale.
#[test]
fn an_edit_of_what_has_changed_meanwhile_is_refused() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("contoso")]).await;
        portal.import("2026-03-02T08:00:00Z", [lead("L1").urgent()]).await;
        let id = LeadId::new("L1");
        let tag = find(&portal.store, &id, None).await.expect("it is there").tag();
        assert_eq!(tag.len(), 64);
        portal.tick("2026-03-06T09:00:00Z").await;
        let cooled = find(&portal.store, &id, None).await.expect("it is there");
        assert_eq!((cooled.is_cooled, cooled.tag()), (true, tag.clone()), "the clock has written");
        let accept = Action::Accept(Terms::default());
        let by_tag = async |action: &Action, tag: &str| {
            answer(
                &portal.store,
                at("2026-03-06T10:00:00Z"),
                &portal.rules,
                &id,
                action,
                &IfMatch::OneOf(vec![tag.to_owned()]),
                None,
            )
            .await
        };
        let stale = by_tag(&accept, "another").await;
        assert!(matches!(stale, Err(Error::Stale(_))), "{stale:?}");
        let accepted = by_tag(&accept, &tag).await.expect("it is what was seen");
        assert_ne!(accepted.tag(), tag);
        let edit = Action::Edit(Terms {
            notes: Some("x".into()),
            ..Terms::default()
        });
        assert!(matches!(by_tag(&edit, &tag).await, Err(Error::Stale(_))));
        let edited = by_tag(&edit, &accepted.tag()).await.expect("it is what was seen");
        assert_eq!(edited.tag(), find(&portal.store, &id, None).await.expect("it is there").tag());
        assert!(
            matches!(by_tag(&accept, &tag).await, Err(Error::Refused(_))),
            "the state is in the way, seen or not"
        );
    });
}

#[test]
fn a_partner_record_is_not_written_over_one_that_was_not_seen() {
    both(async |portal| {
        let parse = |value: Value| Partner::parse(value).expect("no faults");
        let (first, second) = (parse(partner("contoso").into()), parse(partner("contoso").threshold(3).into()));
        let put =
            async |partner: &Partner, seen: &IfMatch| put_one(&portal.store, at(NOW), &portal.rules, partner, seen, Some("ada")).await;
        let tagged = |tag: &str| IfMatch::OneOf(vec![tag.to_owned()]);
        let missing = put(&first, &tagged("x")).await;
        assert!(matches!(missing, Err(Error::Stale(_))), "{missing:?}");
        assert!(
            matches!(put(&first, &IfMatch::Exists).await, Err(Error::Stale(_))),
            "it is not there"
        );
        assert_eq!(put(&first, &IfMatch::Unsaid).await.expect("it is new"), Put::New);
        assert_eq!(put(&first, &IfMatch::Exists).await.expect("it is there"), Put::Unchanged);
        assert_eq!(
            put(&second, &tagged(&first.tag())).await.expect("it is what was seen"),
            Put::Replaced
        );
        assert!(matches!(put(&first, &tagged(&first.tag())).await, Err(Error::Stale(_))));
        assert_eq!(
            put(&second, &tagged(&second.tag())).await.expect("it is what was seen"),
            Put::Unchanged
        );
    });
}

/// Leads of every sort, for `R-FILTER`; numbered by their creation.
async fn assorted(portal: &Portal) {
    portal
        .partners("2026-03-01T00:00:00Z", [partner("contoso"), partner("other")])
        .await;
    let made = |id: &str, hour: u32, change: Value| {
        let mut record = Value::from(lead(id).created(&format!("2026-03-02T{hour:02}:00:00Z")));
        merge(&mut record, change);
        record
    };
    let offer = |call: &str, source: &str| json!({"target": [{"type": "offer", "id": "cloud-backup"}], "callToAction": call, "referralSource": source});
    portal
        .import(
            "2026-03-02T09:00:00Z",
            [
                made("1", 0, json!({"name": "Migration", "customerProfile": {"name": "Müller & Söhne", "address": {"city": "Köln", "country": "deu"}}})),
                made("2", 1, offer("ContactMe", "AppSource")),
                made("3", 2, offer("GetItNow", "AzurePortal")),
                made("4", 3, json!({"qualification": "SalesQualified", "quality": "Low", "target": [{"type": "BusinessProfileLocation", "id": "hq"}],
                    "customerProfile": {"name": "Ada Byron", "address": {"country": "FR"}}})),
                made("5", 4, json!({"target": [{"type": "offer", "id": "o"}], "callToAction": "ContactMe", "quality": "High", "emailValidity": "Spam",
                    "phoneValidity": "Invalid", "customerProfile": {"name": "Zeta", "team": [{"firstName": "Grace", "lastName": "Hopper",
                    "email": "grace@zeta.example"}]}})),
                made("6", 5, json!({"organizationId": "other", "qualification": "MarketingQualified", "emailValidity": "Valid"})),
            ],
        )
        .await;
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

/// `R-FILTER`, `R-TABS`
#[test]
fn each_filter_finds_what_it_names_and_nothing_else() {
    both(async |portal| {
        assorted(&portal).await;
        let none = Filter::default;
        let early = "2026-03-02T10:00:00Z";
        for (filter, expected, why) in [
            (none(), vec!["6", "5", "4", "3", "2", "1"], "no filter"),
            (
                Filter {
                    tabs: vec![Tab::Marketplace],
                    ..none()
                },
                vec!["5", "3", "2"],
                "direct, from an offer page",
            ),
            (
                Filter {
                    tabs: vec![Tab::Qualified],
                    ..none()
                },
                vec!["6", "4"],
                "marketing- and sales-qualified",
            ),
            (
                Filter {
                    tabs: vec![Tab::Favourites],
                    ..none()
                },
                vec![],
                "nobody marked any",
            ),
            (
                Filter {
                    origins: vec![Origin::Offer],
                    ..none()
                },
                vec!["5", "3", "2"],
                "offer",
            ),
            (
                Filter {
                    origins: vec![Origin::Profile],
                    ..none()
                },
                vec!["4"],
                "profile",
            ),
            (
                Filter {
                    kinds: vec![Kind::Informational],
                    ..none()
                },
                vec!["3"],
                "kind",
            ),
            (
                Filter {
                    calls_to_action: vec![CallToAction::ContactMe],
                    ..none()
                },
                vec!["5", "2"],
                "call to action",
            ),
            (
                Filter {
                    calls_to_action: vec![CallToAction::ContactMe, CallToAction::GetItNow],
                    ..none()
                },
                vec!["5", "3", "2"],
                "either call",
            ),
            (
                Filter {
                    countries: vec!["DE".into()],
                    ..none()
                },
                vec!["1"],
                "a country by its code",
            ),
            (
                Filter {
                    countries: vec!["fra".into(), "deu".into()],
                    ..none()
                },
                vec!["4", "1"],
                "by the other code",
            ),
            (
                Filter {
                    sources: vec![ReferralSource::AppSource],
                    ..none()
                },
                vec!["2"],
                "source",
            ),
            (
                Filter {
                    qualities: vec![Quality::Low],
                    ..none()
                },
                vec!["4"],
                "quality",
            ),
            (
                Filter {
                    email_validities: vec![EmailValidity::Spam],
                    ..none()
                },
                vec!["5"],
                "e-mail",
            ),
            (
                Filter {
                    phone_validities: vec![PhoneValidity::Invalid],
                    ..none()
                },
                vec!["5"],
                "phone",
            ),
            (
                Filter {
                    customer: Some("MULLER".into()),
                    ..none()
                },
                vec!["1"],
                "a name without case and accents",
            ),
            (
                Filter {
                    customer: Some("ada".into()),
                    ..none()
                },
                vec!["4"],
                "a name, not the contacts",
            ),
            (
                Filter {
                    search: Some("migration köln".into()),
                    ..none()
                },
                vec!["1"],
                "each of the words",
            ),
            (
                Filter {
                    search: Some("migration paris".into()),
                    ..none()
                },
                vec![],
                "not each of the words",
            ),
            (
                Filter {
                    search: Some("Grace@Zeta".into()),
                    ..none()
                },
                vec!["5"],
                "a contact",
            ),
            (
                Filter {
                    search: Some("cloud-backup".into()),
                    ..none()
                },
                vec!["3", "2"],
                "an offer",
            ),
            (
                Filter {
                    search: Some("100%".into()),
                    ..none()
                },
                vec![],
                "no wildcards",
            ),
            (
                Filter {
                    partner: Some(PartnerId::new("other")),
                    tabs: vec![Tab::Qualified],
                    ..none()
                },
                vec!["6"],
                "both",
            ),
            (
                Filter {
                    created_from: Some(at("2026-03-02T02:00:00Z")),
                    created_before: Some(at("2026-03-02T04:00:00Z")),
                    ..none()
                },
                vec!["4", "3"],
                "from inclusive, before exclusive",
            ),
        ] {
            for limit in [1, 7] {
                assert_eq!(all(&portal, early, &filter, limit).await, expected, "{why}, pages of {limit}");
            }
        }
    });
}

/// `R-EXPIRY`: what is hidden finds nothing, and nobody learns it from the order.
#[test]
fn what_is_hidden_after_the_expiry_is_not_found() {
    both(async |portal| {
        assorted(&portal).await;
        let expired = "2026-03-20T00:00:00Z";
        let search = |text: &str| Filter {
            search: Some(text.into()),
            ..Filter::default()
        };
        let customer = |text: &str| Filter {
            customer: Some(text.into()),
            ..Filter::default()
        };
        assert_eq!(all(&portal, expired, &search("grace"), 5).await, Vec::<String>::new());
        assert_eq!(all(&portal, expired, &search("zeta"), 5).await, ["5"], "a company is no person");
        assert_eq!(all(&portal, "2026-03-02T10:00:00Z", &search("migration"), 5).await, ["1"]);

        assert_eq!(
            all(&portal, expired, &customer("ada"), 5).await,
            Vec::<String>::new(),
            "the name of its contact"
        );
        portal.accept("2026-03-02T11:00:00Z", "5").await;
        assert_eq!(
            all(&portal, expired, &search("grace"), 5).await,
            ["5"],
            "an accepted lead hides nothing"
        );
    });
}

/// `R-FILTER`: by each order, page by page.
#[test]
fn leads_are_sorted_by_date_customer_and_validity() {
    both(async |portal| {
        assorted(&portal).await;
        for (order, expected) in [
            ("created", ["1", "2", "3", "4", "5", "6"]),
            ("-created", ["6", "5", "4", "3", "2", "1"]),
            // Equal ones: the newest first.
            ("customer", ["4", "2", "3", "6", "1", "5"]),
            ("-customer", ["5", "1", "6", "3", "2", "4"]),
            ("emailValidity", ["4", "1", "5", "3", "2", "6"]),
            ("-EMAILVALIDITY", ["6", "3", "2", "5", "4", "1"]),
            ("phoneValidity", ["6", "4", "1", "5", "3", "2"]),
        ] {
            let filter = Filter {
                order: order.parse().expect("an order"),
                ..Filter::default()
            };
            for limit in 1..=7 {
                assert_eq!(
                    all(&portal, "2026-03-02T10:00:00Z", &filter, limit).await,
                    expected,
                    "{order}, pages of {limit}"
                );
            }
        }
        assert!("name".parse::<Order>().is_err());
    });
}

/// The deal's name that the partner gave it is the one that is shown, so it is the one that is found; and a newer record is found by its own words.
#[test]
fn a_lead_is_found_by_what_it_says_now() {
    both(async |portal| {
        assorted(&portal).await;
        let search = |text: &str| Filter {
            search: Some(text.into()),
            ..Filter::default()
        };
        let terms = Terms {
            deal_name: Some("Renamed".into()),
            ..Terms::default()
        };
        let id = LeadId::new("1");
        answer(
            &portal.store,
            at("2026-03-02T10:00:00Z"),
            &portal.rules,
            &id,
            &Action::Accept(terms),
            &IfMatch::Unsaid,
            None,
        )
        .await
        .expect("an answer");
        assert_eq!(all(&portal, "2026-03-02T10:00:00Z", &search("renamed"), 5).await, ["1"]);
        assert_eq!(
            all(&portal, "2026-03-02T10:00:00Z", &search("migration"), 5).await,
            Vec::<String>::new()
        );
        let mut newer = Value::from(lead("2").created("2026-03-02T01:00:00Z"));
        merge(
            &mut newer,
            json!({"updatedDateTime": "2026-03-02T10:00:00Z", "details": {"notes": "Please use quantum"}}),
        );
        portal.import("2026-03-02T10:00:00Z", [newer]).await;
        assert_eq!(all(&portal, "2026-03-02T10:00:00Z", &search("quantum"), 5).await, ["2"]);
    });
}
