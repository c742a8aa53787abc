//! Which token opens which door, and what one that is limited to a partner sees of the others: nothing.

use posthorn::app::record::TryResult;
use posthorn::outbox::{Reply, Stage};
use serde_json::json;

use super::{ago, bring, fresh, put_partner};
use crate::doors::{token, with_tokens};
use crate::support::inside::Inside;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};
use crate::support::web::Web;

/// Every operation: who may, as letters of intake, portal, ops and read.
const DOORS: &[(&str, &str, &str)] = &[
    ("GET", "/v1/leads", "por"),
    ("GET", "/v1/leads/L1", "por"),
    ("PATCH", "/v1/leads/L1", "p"),
    ("POST", "/v1/leads/L1/accept", "p"),
    ("POST", "/v1/leads/L1/decline", "p"),
    ("POST", "/v1/leads/L1/won", "p"),
    ("POST", "/v1/leads/L1/lost", "p"),
    ("POST", "/v1/leads/L1/favourite", "p"),
    ("POST", "/v1/leads/L1/unfavourite", "p"),
    ("POST", "/v1/leads/L1/erase", "p"),
    ("GET", "/v1/leads/export.csv", "por"),
    ("GET", "/v1/leads/export.xlsx", "por"),
    ("GET", "/v1/report", "por"),
    ("GET", "/v1/leads/L1/explain", "por"),
    ("GET", "/v1/leads/L1/history", "por"),
    ("GET", "/v1/partners", "por"),
    ("GET", "/v1/partners/contoso", "por"),
    ("PUT", "/v1/partners/contoso", "p"),
    ("PUT", "/v1/partners/contoso/preferred-email", "p"),
    ("DELETE", "/v1/partners/contoso/preferred-email", "p"),
    ("POST", "/v1/partners/contoso/resubscribe", "p"),
    ("GET", "/v1/partners/contoso/explain", "por"),
    ("GET", "/v1/partners/contoso/actions", "por"),
    ("POST", "/v1/partners/contoso/actions/item-1/archive", "p"),
    ("PUT", "/v1/partners/contoso/actions/item-1/archive", "p"),
    ("GET", "/v1/digests", "or"),
    ("GET", "/v1/digests/preview?partner=contoso", "or"),
    ("POST", "/v1/digests/run", "o"),
    ("GET", "/v1/deliveries", "or"),
    ("GET", "/v1/deliveries/1", "or"),
    ("GET", "/v1/deliveries/1/mail", "o"),
    ("POST", "/v1/deliveries/1/retry", "o"),
    ("POST", "/v1/deliveries/1/cancel", "o"),
    ("GET", "/v1/suppressions", "or"),
    ("POST", "/v1/suppressions", "o"),
    ("DELETE", "/v1/suppressions/ada@contoso.example", "o"),
    ("GET", "/v1/bounces", "or"),
    ("POST", "/v1/bounces", "io"),
    ("GET", "/v1/bounces/1", "or"),
    ("GET", "/v1/rejected", "or"),
    ("GET", "/v1/rejected/1", "or"),
    ("POST", "/v1/rejected/1/retry", "o"),
    ("POST", "/v1/rejected/1/discard", "o"),
    ("GET", "/v1/explain?what=contoso", "or"),
    ("GET", "/v1/audit", "or"),
    ("GET", "/v1/status", "or"),
];

fn body(method: &str, path: &str) -> Option<String> {
    let body = match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("GET" | "DELETE", _) => return None,
        (_, "decline") => json!({ "reason": "x" }),
        (_, "preferred-email" | "resubscribe") => json!({ "email": "ada@contoso.example" }),
        (_, "run") => json!({ "partners": ["contoso"], "dryRun": true }),
        (_, "suppressions") => json!({ "address": "gone@contoso.example" }),
        (_, _) => json!({}),
    };
    Some(body.to_string())
}

#[test]
fn each_scope_opens_its_own_doors_alone() {
    let posthorn = Posthorn::sqlite();
    let made: Vec<(char, String, String)> = ["intake", "portal", "ops", "read"]
        .into_iter()
        .map(|scope| {
            let (secret, entry) = token(&posthorn, &["--name", scope, "--scope", scope]);
            (scope.chars().next().unwrap_or_default(), secret, entry)
        })
        .collect();
    with_tokens(&posthorn, &made.iter().map(|(_, _, entry)| entry.clone()).collect::<Vec<_>>());
    let web = Web::start(&posthorn);
    let json_body = [("content-type", "application/json")];
    for (method, path, who) in DOORS {
        web.with_token("").send(method, path, &json_body, body(method, path)).problem(401);
        for (letter, secret, _) in &made {
            let answer = web.with_token(secret).send(method, path, &json_body, body(method, path));
            if who.contains(*letter) {
                assert!(
                    !matches!(answer.status, 401 | 403 | 400 | 405 | 500..),
                    "{method} {path} by {letter}: {answer:?}"
                );
            } else {
                let problem = answer.problem(403);
                assert_eq!(problem["detail"], "this token does not open this", "{method} {path} by {letter}");
                // Nor is he told what is wrong with what he sent.
                if *method != "GET" {
                    let wrong = Some("{ \"wrong\": 1 }".to_owned());
                    web.with_token(secret).send(method, path, &json_body, wrong).problem(403);
                }
            }
        }
    }
    let described = web.get_json("/openapi.json");
    let mut operations = Vec::new();
    for (path, verbs) in described["paths"].as_object().expect("paths") {
        let verbs = verbs.as_object().expect("verbs").keys();
        operations.extend(verbs.map(|verb| {
            (
                verb.to_uppercase(),
                path.replace("{id}", "x").replace("{item}", "x").replace("{address}", "x"),
            )
        }));
    }
    let is_tried = |(verb, path): &(String, String)| {
        DOORS.iter().any(|(method, tried, _)| {
            let tried = tried.split('?').next().unwrap_or_default();
            let same = tried.split('/').zip(path.split('/')).all(|(a, b)| a == b || b == "x");
            method == verb && same && tried.matches('/').count() == path.matches('/').count()
        })
    };
    let untried: Vec<_> = operations.iter().filter(|one| !is_tried(one)).collect();
    // Leads in: shown by `doors` and `intake`.
    let known = |path: &str| path == "/v1/leads" || path.ends_with("/marketplace-leads") || !path.starts_with("/v1/");
    assert!(untried.iter().all(|(_, path)| known(path)), "no door was tried of {untried:?}");
    web.stop();
}

#[test]
fn a_token_of_one_partner_sees_and_does_only_what_is_that_partners() {
    let posthorn = Posthorn::sqlite();
    let scopes = ["--scope", "portal", "--scope", "ops", "--scope", "read"];
    let all = |name: &'static str| [&["--name", name][..], &scopes, &["--scope", "intake"]].concat();
    let (every, of_every) = token(&posthorn, &all("every"));
    let (mine, of_mine) = token(&posthorn, &[&["--name", "contoso", "--partner", "contoso"][..], &scopes].concat());
    with_tokens(&posthorn, &[of_every, of_mine]);
    let web = Web::start(&posthorn);
    web.with_token(&every);
    put_partner(&web, partner("contoso").threshold(0));
    put_partner(&web, partner("other").threshold(0));
    bring(&web, [fresh("L1"), fresh("theirs").partner("other")]);
    web.post("/v1/leads", &json!({ "id": "bad", "organizationId": "other" }))
        .problem(422);
    web.post("/v1/digests/run", &json!({ "partners": ["other"] })).expect(200);
    let their_item = web.get_json("/v1/partners/other/actions")["value"][0]["id"]
        .as_str()
        .expect("an item")
        .to_owned();

    web.with_token(&mine);
    for path in ["/v1/leads", "/v1/partners", "/v1/digests"] {
        let listed = web.get_json(path);
        assert_eq!(listed["value"].as_array().map(Vec::len), Some(1), "{path}: {listed}");
        assert!(!listed.to_string().contains("other"), "{path}: {listed}");
    }
    assert_eq!(web.get_json("/v1/deliveries")["value"], json!([]));
    assert_eq!(web.get_json("/v1/rejected")["value"], json!([]));
    for (method, path) in [
        ("GET", "/v1/leads/theirs"),
        ("PATCH", "/v1/leads/theirs"),
        ("POST", "/v1/leads/theirs/accept"),
        ("POST", "/v1/leads/theirs/decline"),
        ("GET", "/v1/leads/theirs/explain"),
        ("GET", "/v1/leads/theirs/history"),
        ("GET", "/v1/leads?partner=other"),
        ("GET", "/v1/partners/other"),
        ("PUT", "/v1/partners/other"),
        ("PUT", "/v1/partners/other/preferred-email"),
        ("DELETE", "/v1/partners/other/preferred-email"),
        ("GET", "/v1/partners/other/explain"),
        ("GET", "/v1/partners/other/actions"),
        ("GET", "/v1/digests?partner=other"),
        ("GET", "/v1/digests/preview?partner=other"),
        ("GET", "/v1/rejected/1"),
        ("POST", "/v1/rejected/1/discard"),
        ("GET", "/v1/explain?what=theirs"),
        ("GET", "/v1/explain?what=other"),
    ] {
        web.send(method, path, &[("content-type", "application/json")], body(method, path))
            .problem(404);
    }
    web.post(&format!("/v1/partners/contoso/actions/{their_item}/archive"), &json!({}))
        .problem(404);
    web.post("/v1/digests/run", &json!({ "partners": ["other"], "dryRun": true }))
        .problem(404);
    let runs = web
        .post("/v1/digests/run", &json!({ "all": true, "dryRun": true }))
        .expect(200)
        .json();
    assert_eq!(runs["value"].as_array().map(Vec::len), Some(1), "{runs}");
    // An address may be several partners': not even its own is told, rather than that nothing is known of it.
    for path in [
        "/v1/suppressions",
        "/v1/audit",
        "/v1/status",
        "/v1/explain?what=admin@contoso.example",
        "/v1/explain?what=admin@other.example",
        "/v1/explain?what=nobody@nowhere.example",
    ] {
        web.get(path).problem(403);
    }
    assert_eq!(web.get_json("/v1/explain?what=contoso")["partner"]["id"], "contoso");
    assert_eq!(
        web.post("/v1/leads/L1/accept", &json!({})).expect(200).json()["substatus"],
        "Accepted"
    );
    web.stop();
}

/// Minutes until a lead expires.
const FORTNIGHT: i64 = 14 * 24 * 60;

/// `R-EXPIRY`: what a lead's story tells the partner who received it stops at that partner's own mails.
#[test]
fn a_partner_reads_no_address_of_those_who_sent_its_leads() {
    let old = |id: &str| lead(id).created(&ago(FORTNIGHT + 180));
    both(|posthorn| {
        posthorn.setting("portal.lead_desk", "desk@portal.example");
        let mut inside = Inside::new(posthorn, &ago(FORTNIGHT + 120));
        inside.rules.lead_desk = "desk@portal.example".parse().ok();
        inside.partners([
            partner("contoso"),
            partner("fabrikam").no_admins().preferred("boss@fabrikam.example"),
        ]);
        inside.leads([
            old("L1").invited_by("fabrikam"),
            old("L2"),
            old("open").invited_by("fabrikam").expires("2100-01-01T00:00:00Z"),
            old("openDesk").expires("2100-01-01T00:00:00Z"),
            old("declined"),
        ]);
        inside.send(&[]);
        inside.answer(
            "declined",
            &posthorn::app::answer::Action::Decline {
                reason: "no capacity".to_owned(),
                notes: None,
                notify_customer: true,
            },
        );
        inside.at(posthorn, &ago(120)).tick();
        // So late that what is tried again is not yet when it is asked for.
        inside.at(posthorn, &ago(0));
        for letter in inside.claim() {
            let later = TryResult::Refused(Stage::Data, Reply::new(451, "4.3.0 try later"));
            inside.outcome(letter, later);
        }
        drop(inside);
        let (mine, of_mine) = token(
            posthorn,
            &["--name", "contoso", "--partner", "contoso", "--scope", "portal", "--scope", "read"],
        );
        let (every, of_every) = token(posthorn, &["--name", "every", "--scope", "portal", "--scope", "read"]);
        with_tokens(posthorn, &[of_mine, of_every]);
        posthorn.at_real_time();
        let web = Web::start(posthorn);
        for (id, theirs) in [
            ("L1", "the expiry mail to boss@fabrikam.example is tried again"),
            ("L2", "the expiry mail to desk@portal.example is tried again"),
            ("open", "fabrikam"),
            ("openDesk", "desk@portal.example"),
            ("declined", "the decline mail to ada@fabrikam.example is tried again"),
        ] {
            web.with_token(&every);
            let told = web.get(&format!("/v1/leads/{id}/explain")).expect(200).text;
            assert!(told.contains(theirs), "{id}: {told}");
            web.with_token(&mine);
            for path in [
                format!("/v1/leads/{id}/explain"),
                format!("/v1/leads/{id}/history"),
                format!("/v1/explain?what={id}"),
            ] {
                let told = web.get(&path).expect(200).text;
                for hidden in ["fabrikam", "desk", "decline mail", "decline goes to"] {
                    assert!(!told.contains(hidden), "{path}: {hidden}: {told}");
                }
            }
        }
        web.stop();
    });
}
