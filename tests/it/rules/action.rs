//! The portal's bell: one item a lead, always its newest state.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::http::Receiver;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, ndjson, partner};

fn with_action_center(posthorn: &Posthorn) -> Receiver {
    let receiver = Receiver::start();
    posthorn.setting("action_center.url", &receiver.url("/"));
    posthorn.setting(
        "action_center.secret_file",
        &posthorn.file("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    );
    receiver
}

/// Returns what was posted of each lead's item, in order; checks that an item keeps its id and its version rises.
#[track_caller]
fn posted(receiver: &Receiver) -> BTreeMap<String, Vec<Value>> {
    let mut items: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut webhook_ids = Vec::new();
    for post in receiver.posts() {
        webhook_ids.push(post.header("webhook-id").expect("each post has an id").to_owned());
        let body: Value = serde_json::from_slice(&post.body).expect("a post is JSON");
        let item = body["data"].clone();
        let subject = item["leadId"].as_str().unwrap_or("(none)").to_owned();
        let before = items.entry(subject).or_default();
        if let Some(last) = before.last() {
            assert_eq!(last["id"], item["id"], "never a second item");
            assert!(item["version"].as_i64() > last["version"].as_i64(), "{last} then {item}");
        }
        before.push(item);
    }
    let n = webhook_ids.len();
    webhook_ids.sort();
    webhook_ids.dedup();
    assert_eq!(webhook_ids.len(), n, "a version is posted once");
    items
}

fn states(items: &[Value]) -> Vec<(String, Value, bool)> {
    items
        .iter()
        .map(|item| {
            (
                item["state"].as_str().unwrap_or_default().to_owned(),
                item["urgency"].clone(),
                item["expiring"] == true,
            )
        })
        .collect()
}

/// `R-ACTION`: one item an open contact lead, updated on every transition, with a rising version.
#[test]
fn an_item_follows_its_lead_through_every_transition() {
    both(|posthorn| {
        let receiver = with_action_center(posthorn);
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(0)]);
        posthorn.leads([
            lead("expires").urgent(),
            lead("accepted").urgent(),
            lead("elsewhere"),
            lead("declined"),
            lead("stranger").partner("stranger"),
            lead("info").offer("GetItNow"),
            lead("shared").with("type", "Shared"),
            lead("outgoing").with("direction", "Outgoing"),
            lead("history").status("Active", "Accepted"),
            lead("late").created("2026-02-01T00:00:00Z"),
            lead("probe").customer("MSFT_TEST_F").with(
                "customerProfile.team",
                json!([{ "firstName": "MSFT_TEST_A", "lastName": "MSFT_TEST_B", "email": "MSFT_TEST_a@b.example" }]),
            ),
        ]);
        posthorn.work().work();
        let first = posted(&receiver);
        let ids: Vec<&str> = first.keys().map(String::as_str).collect();
        assert_eq!(
            ids,
            ["accepted", "declined", "elsewhere", "expires", "stranger"],
            "also where nobody can be mailed"
        );
        assert!(first.values().all(|items| items.len() == 1 && items[0]["state"] == "open"));
        let item = &first["expires"][0];
        for (field, expected) in [
            ("partnerId", json!("contoso")),
            ("link", json!("https://portal.example/leads/expires")),
            ("dueDateTime", json!("2026-03-16T08:00:00.000Z")),
            ("category", json!("recommended")),
            ("urgency", json!("urgent")),
            ("expiring", json!(false)),
            ("archived", json!(false)),
        ] {
            assert_eq!(item[field], expected, "{field}");
        }
        assert!(
            item["title"].as_str().is_some_and(|title| title.contains("Customer expires")),
            "{item}"
        );
        assert!(
            item["text"]
                .as_str()
                .is_some_and(|text| text.contains("as soon as possible") && text.contains("Deal expires")),
            "{item}"
        );
        assert!(
            !item.to_string().contains("ada@") && !item.to_string().contains("Byron"),
            "no contact data in an item: {item}"
        );

        posthorn.leads([
            lead("expires").urgent(),
            lead("elsewhere").updated("2026-03-02T09:00:00Z").status("Closed", "Won"),
        ]);
        posthorn.ok(&["leads", "accept", "accepted"]);
        posthorn.ok(&["leads", "decline", "declined", "--reason", "x"]);
        posthorn.work();
        posthorn.at("2026-03-05T08:00:00.000Z").work();
        posthorn.ok(&["leads", "won", "accepted"]);
        posthorn.work().at("2026-03-13T08:00:00.000Z").work();
        posthorn.at("2026-03-16T08:00:00.000Z").work().at("2026-04-16T08:00:00.000Z").work();
        let all = posted(&receiver);
        let none = json!(null);
        let say = |state: &str, urgency: &Value, expiring: bool| (state.to_owned(), urgency.clone(), expiring);
        assert_eq!(
            states(&all["expires"]),
            [
                say("open", &json!("urgent"), false),
                say("open", &json!("cooled"), false),
                say("open", &json!("cooled"), true),
                say("withdrawn", &json!("cooled"), false)
            ]
        );
        assert!(
            all["expires"][1]["text"]
                .as_str()
                .is_some_and(|text| text.to_lowercase().contains("still active")),
            "{}",
            all["expires"][1]
        );
        for id in ["elsewhere", "declined"] {
            assert_eq!(states(&all[id]), [say("open", &none, false), say("done", &none, false)], "{id}");
        }
        assert_eq!(
            states(&all["accepted"])[..2],
            [say("open", &json!("urgent"), false), say("done", &json!("urgent"), false)]
        );
        assert!(
            all["accepted"]
                .iter()
                .skip(1)
                .all(|item| item["state"] == "done" && item["urgency"] == "urgent"),
            "an answer freezes it"
        );
        assert_eq!(all["stranger"].last().expect("it was posted")["state"], "withdrawn");
        assert_eq!(all.len(), 5);
    });
}

/// `R-ACTION`: newest state only, retried, never posted twice.
#[test]
fn an_action_center_that_was_away_gets_the_newest_state_only() {
    both(|posthorn| {
        let receiver = with_action_center(posthorn);
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").locale("de-AT")]);
        receiver.answer("503 Service Unavailable");
        posthorn.leads([lead("L1").urgent()]).work();
        assert_eq!(receiver.posts().len(), 1);
        posthorn.work();
        assert_eq!(receiver.posts().len(), 1, "it is left alone for a while");
        posthorn.ok(&["leads", "accept", "L1"]);
        posthorn.at("2026-03-02T16:00:00Z").work().work();
        let posts = receiver.posts();
        let last: Value = serde_json::from_slice(&posts.last().expect("some").body).expect("JSON");
        assert_eq!((posts.len(), &last["data"]["state"]), (2, &json!("done")));
        assert!(
            last["data"]["title"].as_str().is_some_and(|title| title.starts_with("Neuer Lead")),
            "the partner's language: {last}"
        );
        assert_eq!(posthorn.mails().len(), 1, "mail does not wait for it");
    });
}

/// `R-ACTION`, `R-BACKFILL`: a lead of a file that notifies nobody is still to be answered.
#[test]
fn an_open_lead_taken_in_quietly_has_its_item() {
    both(|posthorn| {
        let receiver = with_action_center(posthorn);
        posthorn.at("2026-03-02T10:00:00Z").partner_records([partner("contoso")]);
        let file = posthorn.file("quiet.ndjson", &ndjson([lead("open"), lead("won").status("Closed", "Won")]));
        posthorn.ok(&["import", "--no-notify", &file]);
        posthorn.work();
        assert_eq!(posted(&receiver).into_keys().collect::<Vec<_>>(), ["open"]);
        assert!(posthorn.mails().is_empty());
    });
}

/// `R-EXPIRY`: an item outlives its lead's contact data.
#[test]
fn an_expired_leads_item_names_no_person() {
    both(|posthorn| {
        let receiver = with_action_center(posthorn);
        posthorn.at("2026-03-02T10:00:00Z").partner_records([partner("contoso")]);
        posthorn
            .leads([lead("L1").customer("Ada Byron"), lead("L2").customer("ada  BYRON")])
            .work();
        posthorn.at("2026-03-16T08:00:00Z").work();
        let items = posted(&receiver);
        for id in ["L1", "L2"] {
            let last = items[id].last().expect("it was posted").to_string();
            let shown = posthorn.json(&["leads", "show", id]).to_string();
            for told in [last, shown] {
                assert!(!told.to_lowercase().contains("byron"), "{told}");
            }
        }
    });
}

/// `R-RECIPIENT`, `R-ACTION`: a suppressed address counts as absent, and an item tells the partner.
#[test]
fn a_suppressed_address_is_passed_over_and_the_partner_is_told() {
    both(|posthorn| {
        let receiver = with_action_center(posthorn);
        posthorn.at("2026-03-02T10:00:00Z").partner_records([
            partner("contoso").preferred("dead@x.example"),
            partner("other").preferred("Dead@X.example"),
        ]);
        posthorn.ok(&["suppressions", "add", "DEAD@x.example"]);
        posthorn.leads([lead("L1"), lead("L2").partner("other")]).work();
        assert_eq!(super::receivers(posthorn, "lead"), ["admin@contoso.example", "admin@other.example"]);
        let told: Vec<(Value, Value, Value)> = receiver
            .posts()
            .iter()
            .map(|post| serde_json::from_slice::<Value>(&post.body).expect("JSON")["data"].clone())
            .filter(|item| item["leadId"].is_null())
            .map(|item| (item["partnerId"].clone(), item["category"].clone(), item["state"].clone()))
            .collect();
        let mut told: Vec<String> = told.into_iter().map(|item| format!("{item:?}")).collect();
        told.sort();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter().all(|item| item.contains("mandatory") && item.contains("open")),
            "{told:?}"
        );
        posthorn.partner_records([partner("contoso").preferred("alive@x.example")]);
        posthorn.ok(&["suppressions", "remove", "dead@x.example"]);
        posthorn.leads([lead("L3").partner("other"), lead("L4")]).work();
        assert_eq!(
            super::receivers(posthorn, "lead"),
            ["admin@contoso.example", "admin@other.example", "alive@x.example", "dead@x.example"]
        );
        let settled = receiver
            .posts()
            .iter()
            .filter(|post| String::from_utf8_lossy(&post.body).contains("\"done\""))
            .count();
        assert_eq!(settled, 2, "both items are settled");
        posthorn.audit_is_clean();
    });
}

/// `R-ACTION`: the list gives items of every state, the latest change first, of this partner only.
#[test]
fn the_list_of_items_shows_every_state_and_the_latest_change_first() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso"), partner("other")]);
        posthorn.leads([
            lead("open"),
            lead("done"),
            lead("expired").expires("2026-03-03T00:00:00Z"),
            lead("foreign").partner("other"),
        ]);
        posthorn.at("2026-03-02T11:00:00Z").ok(&["leads", "accept", "done"]);
        posthorn.at("2026-03-03T00:00:00Z").work();
        let list = posthorn.json(&["actions", "list", "--partner", "contoso"]);
        let items: Vec<(Value, Value, Value)> = list["value"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| (item["leadId"].clone(), item["state"].clone(), item["version"].clone()))
            .collect();
        let row = |id: &str, state: &str, version: i64| (json!(id), json!(state), json!(version));
        assert_eq!(
            items,
            [row("expired", "withdrawn", 2), row("done", "done", 2), row("open", "open", 1)]
        );
        let of_other = posthorn.json(&["actions", "list", "--partner", "other"]);
        assert_eq!(of_other["value"].as_array().map(Vec::len), Some(1));
    });
}
