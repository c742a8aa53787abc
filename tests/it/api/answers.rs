//! A partner's answers over HTTP: who did it, what was seen, and what forbids it.

use serde_json::json;

use super::{bring, fresh, put_partner, served};
use crate::support::records::partner;

/// `R-STAGES`, `R-ACCEPT`: from new to won, each step by the tag of what was seen.
#[test]
fn a_lead_is_accepted_edited_and_won() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        bring(web, [fresh("L1").without("details")]);
        let seen = web.get("/v1/leads/L1").expect(200);
        let first = seen.header("etag").to_owned();
        assert!(first.len() == 66 && first.starts_with('"'), "{first}");
        assert_eq!(
            seen.json(),
            posthorn.json(&["leads", "show", "L1"]),
            "the shape of the command line"
        );

        let by_ada = |tag: &str, method: &str, path: &str, body: &str| {
            let headers = [
                ("if-match", tag),
                ("posthorn-actor", "ada@contoso.example"),
                ("content-type", "application/json"),
            ];
            web.send(method, path, &headers, Some(body.to_owned()))
        };
        let stale = by_ada("\"0123\"", "POST", "/v1/leads/L1/accept", "{}").problem(412);
        assert_eq!(stale["type"], "urn:posthorn:problem:stale");
        let wrong = by_ada(&first, "POST", "/v1/leads/L1/accept", r#"{"dealValue":5000}"#).problem(422);
        assert_eq!(wrong["errors"][0]["pointer"], "/currency");
        assert!(!wrong.to_string().contains("--"), "no words of the command line: {wrong}");
        let terms =
            r#"{"dealName":"Backup","dealValue":5000,"currency":"EUR","colleagues":[{"name":"Bob","email":"bob@contoso.example"}]}"#;
        let accepted = by_ada(&first, "POST", "/v1/leads/L1/accept", terms).expect(200);
        let second = accepted.header("etag").to_owned();
        assert_ne!(second, first);
        assert_eq!(
            (&accepted.json()["substatus"], &accepted.json()["name"]),
            (&json!("Accepted"), &json!("Backup"))
        );
        assert_eq!(
            by_ada(&second, "POST", "/v1/leads/L1/accept", "").problem(409)["type"],
            "urn:posthorn:problem:state"
        );

        by_ada(&first, "PATCH", "/v1/leads/L1", r#"{"notes":"x"}"#).problem(412);
        let edited = by_ada(
            &second,
            "PATCH",
            "/v1/leads/L1",
            r#"{"notes":"signed","closingDateTime":"2027-01-31T00:00:00Z"}"#,
        )
        .expect(200);
        assert_eq!(web.get("/v1/leads/L1").header("etag"), edited.header("etag"));
        let won = web
            .post("/v1/leads/L1/won", &json!({ "dealValue": 6000, "notes": "in time" }))
            .expect(200)
            .json();
        assert_eq!((&won["status"], &won["substatus"]), (&json!("Closed"), &json!("Won")));
        let closed = web.post("/v1/leads/L1/lost", &json!({})).problem(409);
        assert!(
            closed["detail"].as_str().is_some_and(|text| text.contains("Closed/Won")),
            "{closed}"
        );

        let history = web.get_json("/v1/leads/L1/history");
        let by: Vec<&str> = history["value"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|entry| entry["by"].as_str())
            .collect();
        assert_eq!(by, ["ada@contoso.example", "ada@contoso.example", "all"], "{history}");
        assert!(web.get_json("/v1/leads/L1/explain")["verdict"].is_string());
    });
}

/// `R-ACCEPT`: all terms stay editable while Accepted, and null takes one away, whoever said it first (RFC 7396).
#[test]
fn null_takes_a_term_away() {
    served(|_, web| {
        put_partner(web, partner("contoso"));
        bring(web, [fresh("L1")]);
        // As the command line takes them: a date alone, a currency in any case, a byte order mark before it all.
        let terms = "\u{feff}{\"dealName\":\"Backup\",\"dealValue\":5000,\"currency\":\"eur\",\"closingDateTime\":\"2026-12-31\",\"notes\":\"N\",\"team\":[{\"name\":\"Ada\"}],\"crmId\":null}";
        let json_type = [("content-type", "application/json")];
        let accepted = web
            .send("POST", "/v1/leads/L1/accept", &json_type, Some(terms.to_owned()))
            .expect(200)
            .json();
        let details = &accepted["details"];
        assert_eq!(
            (&details["currency"], &details["closingDateTime"]),
            (&json!("EUR"), &json!("2026-12-31T00:00:00.000Z"))
        );
        let patch = |body: serde_json::Value| web.send("PATCH", "/v1/leads/L1", &json_type, Some(body.to_string()));
        let refused = patch(json!({ "currency": null })).problem(422);
        assert_eq!(
            refused["errors"][0]["pointer"], "/currency",
            "a value needs its currency: {refused}"
        );
        let cleared = json!({ "dealName": null, "dealValue": null, "currency": null, "notes": null, "team": [], "closingDateTime": null });
        let edited = patch(cleared).expect(200).json();
        assert_eq!(
            (edited.get("name"), &edited["details"]),
            (None, &json!({ "notes": "Please call." }))
        );
        let answer = edited["posthorn"]["answer"].as_object().expect("it was answered");
        assert_eq!(answer.keys().collect::<Vec<_>>(), ["acceptedDateTime"]);
        let again = patch(json!({ "dealName": "Archive" })).expect(200).json();
        assert_eq!(again["name"], "Archive");
        patch(json!({ "status": null })).problem(422);
        let day = patch(json!({ "closingDateTime": "31.12.2026" })).problem(422);
        assert_eq!(day["errors"][0]["pointer"], "/closingDateTime", "{day}");
    });
}

/// `R-DECLINE`: the reason is needed, and the customer hears of it unless nobody wants that.
#[test]
fn a_lead_is_declined_with_a_reason() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        bring(web, [fresh("L1"), fresh("L2")]);
        for (body, pointer) in [
            (json!({}), "/reason"),
            (json!({ "reason": " " }), "/reason"),
            (json!({ "reason": 5 }), "/reason"),
            (json!({ "reason": "x", "reasons": "y" }), "/reasons"),
        ] {
            let problem = web.post("/v1/leads/L1/decline", &body).problem(422);
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        }
        // Read in order, a list would say the same as an object, and one without anything would accept for good.
        for (path, body) in [
            ("decline", json!(["x"])),
            ("accept", json!([])),
            ("accept", json!(["My deal", 5, "EUR"])),
        ] {
            let problem = web.post(&format!("/v1/leads/L1/{path}"), &body).problem(422);
            assert!(problem.to_string().contains("the body is a list"), "{body}: {problem}");
        }
        for (path, body, pointer, detail) in [
            ("decline", json!("x"), "", "invalid type: string \"x\", expected an object"),
            ("accept", json!("x"), "", "invalid type: string \"x\", expected an object"),
            ("accept", json!({ "team": {} }), "/team", "invalid type: an object, expected a list"),
            (
                "accept",
                json!({ "team": [5] }),
                "/team/0",
                "invalid type: integer `5`, expected an object",
            ),
        ] {
            let problem = web.post(&format!("/v1/leads/L1/{path}"), &body).problem(422);
            assert_eq!(problem["errors"], json!([{ "pointer": pointer, "detail": detail }]), "{body}");
        }
        // U+0000 is dropped wherever it comes (PostgreSQL takes none).
        let declined = web
            .post(
                "/v1/leads/L1/decline",
                &json!({ "reason": "no\u{0}capacity", "notifyCustomer": false }),
            )
            .expect(200)
            .json();
        assert_eq!(declined["posthorn"]["answer"]["reason"], "nocapacity");
        web.post("/v1/leads/L2/decline", &json!({ "reason": "no capacity" })).expect(200);
        posthorn_declines(posthorn, web);
        web.post("/v1/leads/nothing/decline", &json!({ "reason": "x" })).problem(404);
    });
}

fn posthorn_declines(posthorn: &crate::support::posthorn::Posthorn, web: &crate::support::web::Web) {
    // The worker beside mails it at once.
    let told = || {
        let mails = web.get_json("/v1/deliveries?lead=L2")["value"].clone();
        let is_sent = |mail: &serde_json::Value| mail["kind"] == "decline" && mail["state"] == "sent";
        mails.as_array().is_some_and(|mails| mails.iter().any(is_sent))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !told() {
        assert!(std::time::Instant::now() < deadline, "the customer was not mailed");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let declines = posthorn.mails_of("decline");
    assert_eq!(declines.len(), 1, "not for L1: {declines:?}");
}
