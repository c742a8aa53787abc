//! The Action Center as the binary serves it: signed, the newest state only, tried again, and never in mode dry (`R-ACTION`).

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::support::http::{Post, Receiver};
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MONDAY: &str = "2026-03-02T09:00:00.000Z";

fn begin(posthorn: &Posthorn, receiver: &Receiver) {
    let secret = posthorn.file("secret", &format!("{SECRET}\n"));
    posthorn
        .setting("action_center.url", &receiver.url("/actions"))
        .setting("action_center.secret_file", &secret);
    posthorn.at(MONDAY).partner_records([partner("contoso")]);
}

fn body(post: &Post) -> Value {
    serde_json::from_slice(&post.body).expect("a post is JSON")
}

/// What posts say, in short: lead, version, state, urgency.
fn said(receiver: &Receiver) -> Vec<(String, u64, String, Option<String>)> {
    let posts = receiver.posts();
    let said = posts.iter().map(body).map(|body| {
        let item = &body["data"];
        (
            item["leadId"].as_str().unwrap_or_default().to_owned(),
            item["version"].as_u64().expect("a version is a number"),
            item["state"].as_str().unwrap_or_default().to_owned(),
            item["urgency"].as_str().map(str::to_owned),
        )
    });
    let mut said: Vec<_> = said.collect();
    said.sort();
    said
}

fn open(id: &str, version: u64, urgency: Option<&str>) -> (String, u64, String, Option<String>) {
    (id.to_owned(), version, "open".to_owned(), urgency.map(str::to_owned))
}

fn done(id: &str, version: u64) -> (String, u64, String, Option<String>) {
    (id.to_owned(), version, "done".to_owned(), None)
}

/// R-ACTION: every open contact lead posts one action.
#[test]
fn each_lead_is_posted_once_and_signed() {
    both(|posthorn| {
        let receiver = Receiver::start();
        begin(posthorn, &receiver);
        posthorn.leads((1..=12).map(|n| lead(&format!("L{n:02}")))).work().work();
        let posts = receiver.posts();
        assert_eq!(posts.len(), 12, "singles and deferred ones alike");
        let webhook = standardwebhooks::Webhook::new(SECRET).expect("a secret");
        for post in &posts {
            let mut headers = HeaderMap::new();
            for (name, value) in &post.headers {
                let name = name.parse::<HeaderName>().expect("a header's name");
                headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
            }
            webhook
                .verify(&post.body, &headers)
                .expect("a receiver believes it, its time included");
            let item = &body(post)["data"];
            assert_eq!(item["partnerId"], "contoso");
            assert_eq!(item["category"], "recommended");
            let id = item["leadId"].as_str().expect("it is about a lead");
            assert_eq!(item["link"], format!("https://portal.example/leads/{id}"));
        }
    });
}

/// R-ACTION: updated on every transition with a rising version.
#[test]
fn only_the_newest_state_is_posted() {
    both(|posthorn| {
        let receiver = Receiver::start();
        begin(posthorn, &receiver);
        let answered = || lead("L1").updated("2026-03-02T08:30:00Z").status("Active", "Accepted");
        posthorn.leads([lead("L1"), lead("L2").urgent()]).leads([answered()]).work();
        let first = said(&receiver);
        assert_eq!(first.len(), 2, "{first:?}");
        assert_eq!(first[0], done("L1", 2));
        assert_eq!(first[1], open("L2", 1, Some("urgent")));
        // 72 h after its creation it has cooled.
        posthorn.at("2026-03-05T08:00:00.000Z").work();
        assert_eq!(said(&receiver)[2..], [open("L2", 2, Some("cooled"))]);
    });
}

#[test]
fn a_post_that_fails_is_tried_again_under_the_same_id_and_holds_nothing_up() {
    both(|posthorn| {
        let receiver = Receiver::start();
        begin(posthorn, &receiver);
        receiver.answer("500 Internal Server Error");
        posthorn.leads([lead("L1")]).work();
        assert_eq!(posthorn.mails().len(), 1, "mail does not wait for it");
        assert_eq!(receiver.posts().len(), 1);
        posthorn.work();
        assert_eq!(receiver.posts().len(), 1, "not before its time");
        posthorn.at("2026-03-02T09:02:00.000Z").work();
        let posts = receiver.posts();
        assert_eq!(posts.len(), 2);
        assert_eq!(posts[0].header("webhook-id"), posts[1].header("webhook-id"));
        posthorn.at("2026-03-02T12:00:00.000Z").work();
        assert_eq!(receiver.posts().len(), 2);
    });
}

#[test]
fn an_action_center_that_is_away_loses_nothing() {
    let receiver = Receiver::start();
    let posthorn = Posthorn::sqlite();
    begin(&posthorn, &receiver);
    posthorn.setting("action_center.url", "http://127.0.0.1:9/");
    posthorn.leads([lead("L1")]).work();
    assert_eq!(posthorn.mails().len(), 1);
    posthorn.setting("action_center.url", &receiver.url("/actions"));
    posthorn.at("2026-03-02T09:02:00.000Z").work();
    assert_eq!(said(&receiver), [open("L1", 1, None)]);
}

#[test]
fn nothing_is_posted_in_mode_dry() {
    for mode in ["dry", "redirect"] {
        let receiver = Receiver::start();
        let posthorn = Posthorn::sqlite();
        posthorn.setting("mode", mode).setting("mail.redirect_to", "ops@portal.example");
        begin(&posthorn, &receiver);
        posthorn.leads([lead("L1")]).work();
        assert!(receiver.posts().is_empty(), "{mode}");
        assert_eq!(posthorn.mails().len(), usize::from(mode == "redirect"));
    }
}
