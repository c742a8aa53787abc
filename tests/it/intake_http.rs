//! Leads in over HTTP, as a portal's engineer sends them.

use serde_json::{Value, json};

use crate::support::database::number;
use crate::support::http::Receiver;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, ndjson, partner};
use crate::support::web::Web;

fn record(id: &str) -> Value {
    Value::from(lead(id).created(&posthorn::clock::wall_now().to_string()))
}

/// `R-INTAKE`
#[test]
fn a_posted_lead_is_answered_by_its_status_and_mailed() {
    both(|posthorn| {
        posthorn.partner_records([partner("contoso")]);
        let mut web = Web::start(posthorn);
        let first = record("L1");
        let answer = web.post("/v1/leads", &first).expect(201);
        assert_eq!(answer.header("location"), "/v1/leads/L1");
        assert_eq!(answer.json(), json!({ "line": 1, "id": "L1", "outcome": "new" }));
        assert_eq!(web.post("/v1/leads", &first).expect(200).json()["outcome"], "unchanged");
        let mut newer = first.clone();
        newer["updatedDateTime"] = "2099-01-01T00:00:00Z".into();
        newer["name"] = "Bigger deal".into();
        assert_eq!(web.post("/v1/leads", &newer).expect(200).json()["outcome"], "updated");
        web.running().until("the lead is mailed", || !posthorn.mails_of("lead").is_empty());
        web.stop();
        posthorn.audit_is_clean();
    });
}

/// `R-INTAKE`: all faults at once, each by its pointer; and what was wrong is kept, once.
#[test]
fn a_wrong_lead_is_told_each_fault_and_kept() {
    let posthorn = Posthorn::sqlite();
    let web = Web::start(&posthorn);
    let mut wrong = record("L1");
    wrong["callToAction"] = "Contact".into();
    wrong["customerProfile"]["name"] = Value::Null;
    for _ in 0..2 {
        let problem = web.post("/v1/leads", &wrong).problem(422);
        let pointers: Vec<&str> = problem["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .filter_map(|error| error["pointer"].as_str())
            .collect();
        assert_eq!(pointers, ["/customerProfile/name", "/callToAction"]);
    }
    assert_eq!(
        number(&posthorn, "select count(*) as n from rejected"),
        1,
        "the same again is the same"
    );
    web.stop();
}

/// `R-INTAKE`
#[test]
fn a_list_is_answered_record_by_record() {
    let posthorn = Posthorn::sqlite();
    let web = Web::start(&posthorn);
    let first = record("L1");
    let list = json!([first, { "id": "L2" }, record("L3"), first]);
    for (body, expected) in [
        (list.clone(), json!(["new", "rejected", "new", "unchanged"])),
        (
            json!({ "value": list, "@odata.nextLink": "…" }),
            json!(["unchanged", "rejected", "unchanged", "unchanged"]),
        ),
    ] {
        let answer = web.post("/v1/leads", &body).expect(200).json();
        let outcomes: Vec<&Value> = answer["value"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["outcome"])
            .collect();
        assert_eq!(json!(outcomes), expected);
        assert_eq!(answer["rejected"], 1);
    }
    web.stop();
}

#[test]
fn ndjson_is_answered_line_by_line() {
    both(|posthorn| {
        let web = Web::start(posthorn);
        let mut body = ndjson((1..=2500).map(|n| lead(&format!("L{n}"))));
        body.push_str("nonsense\n\n");
        body.push_str(&Value::from(lead("LAST")).to_string());
        let answer = web
            .send("POST", "/v1/leads", &[("content-type", "application/x-ndjson")], Some(body))
            .expect(200);
        let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2502);
        assert_eq!(lines[2499], json!({ "line": 2500, "id": "L2500", "outcome": "new" }));
        assert_eq!((&lines[2500]["line"], &lines[2500]["outcome"]), (&json!(2501), &json!("rejected")));
        assert_eq!(lines[2501], json!({ "line": 2503, "id": "LAST", "outcome": "new" }));
        assert_eq!(number(posthorn, "select count(*) as n from lead"), 2501);
        web.stop();
    });
}

#[test]
fn a_cloud_event_is_taken_in_all_three_modes() {
    let posthorn = Posthorn::sqlite();
    let web = Web::start(&posthorn);
    let event = |id: &str| json!({ "specversion": "1.0", "id": id, "source": "/portal", "type": "lead", "data": record(id) });
    let structured = web.send(
        "POST",
        "/v1/leads",
        &[("content-type", "application/cloudevents+json; charset=utf-8")],
        Some(event("L1").to_string()),
    );
    assert_eq!(structured.expect(201).json()["id"], "L1");
    let batch = web.send(
        "POST",
        "/v1/leads",
        &[("content-type", "application/cloudevents-batch+json")],
        Some(json!([event("L1"), event("L2")]).to_string()),
    );
    assert_eq!(batch.expect(200).json()["new"], 1);
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/portal"),
        ("ce-type", "lead"),
    ];
    let binary = web.send("POST", "/v1/leads", &headers, Some(record("L3").to_string()));
    assert_eq!(binary.expect(201).json()["id"], "L3");
    let without_id: Vec<(&str, &str)> = headers.iter().filter(|(name, _)| *name != "ce-id").copied().collect();
    let problem = web
        .send("POST", "/v1/leads", &without_id, Some(record("L4").to_string()))
        .problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/id");
    web.stop();
}

/// A marketplace lead has no id: the key is what makes it the same one again.
#[test]
fn a_request_with_the_same_key_is_done_once() {
    both(|posthorn| {
        let web = Web::start(posthorn);
        let body = json!({ "UserDetails": { "FirstName": "Ada", "Email": "ada@fabrikam.example", "Company": "Fabrikam" }, "LeadSource": "SPZA-PLT|offer" });
        let send = |key: Option<&str>, body: &Value| {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(key.map(|key| ("idempotency-key", key)));
            web.send("POST", "/v1/partners/contoso/marketplace-leads", &headers, Some(body.to_string()))
        };
        let first = send(Some("k1"), &body).expect(201);
        let again = send(Some("k1"), &body).expect(201);
        assert_eq!(first.text, again.text);
        assert_eq!(first.header("location"), again.header("location"));
        let other = send(Some("k2"), &body).expect(201);
        assert_ne!(first.json()["id"], other.json()["id"]);
        assert_eq!(send(None, &body).expect(201).json()["outcome"], "new");
        assert_eq!(
            send(None, &body).expect(201).json()["outcome"],
            "new",
            "without a key each receipt is a lead of its own"
        );
        send(Some("k1"), &json!({ "UserDetails": { "Company": "Other" } })).problem(422);
        assert_eq!(number(posthorn, "select count(*) as n from lead"), 4);
        let refused = json!({ "UserDetails": {} });
        let told = send(Some("k3"), &refused).problem(422);
        assert_eq!(send(Some("k3"), &refused).problem(422), told);
        web.stop();
    });
}

#[test]
fn what_cannot_be_read_says_what_can() {
    let posthorn = Posthorn::sqlite();
    let web = Web::start(&posthorn);
    let send = |kind: &str, body: &str| web.send("POST", "/v1/leads", &[("content-type", kind)], Some(body.to_owned()));
    send("application/json", "{").problem(400);
    send("application/json", "3").problem(422);
    send("text/csv", "id\nL1\n").problem(415);
    send("application/json", &format!("\"{}\"", "x".repeat(1024 * 1024))).problem(413);
    web.send("POST", "/v1/leads", &[("content-encoding", "gzip")], Some("x".into()))
        .problem(415);
    web.post("/v1/leads", &vec![json!(0); 1001].into()).problem(413);
    web.send("PUT", "/v1/leads", &[], None).problem(405);
    let long = format!("{{\"id\": \"{}\"}}\n{}\n", "x".repeat(1024 * 1024), record("L1"));
    let answer = send("application/x-ndjson", &long).expect(200);
    let outcomes: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["rejected", "new"]);
    web.stop();
}

/// The portal's webhook names a lead; the lead itself is fetched from the portal, and from nobody else.
#[test]
fn a_webhook_event_is_known_and_its_lead_is_fetched() {
    both(|posthorn| {
        let portal = Receiver::start();
        posthorn.partner_records([partner("contoso")]);
        let event = |uri: &str| json!({ "EventName": "referral-created", "ResourceUri": uri, "ResourceName": "Referral" });
        let web = Web::start(posthorn);
        assert_eq!(
            web.post("/v1/leads", &json!({ "EventName": "test-created" })).expect(200).json()["outcome"],
            "received"
        );
        let uri = portal.url("/v1/referrals/L1");
        assert_eq!(
            web.post("/v1/leads", &event(&uri)).expect(202).json()["outcome"],
            "known, not fetched"
        );
        web.post("/v1/leads", &event(&portal.url("/elsewhere/L2"))).expect(202);
        assert_eq!(web.get_json("/v1/status")["knownNotFetched"], 2);
        web.stop();
        assert!(posthorn.ok(&["explain", "L1"]).contains("known, not fetched"));
        assert!(posthorn.ok(&["status"]).contains("portal.resource_url is not set"));

        let token = posthorn.file("portal-token", "hush\n");
        posthorn
            .setting("portal.resource_url", &portal.url("/v1/referrals"))
            .setting("portal.resource_token_file", &token);
        portal.answer_with(503, "");
        portal.answer_with(200, &record("L1").to_string());
        let mut web = Web::start(posthorn);
        web.running().until("the address elsewhere is refused", || {
            number(posthorn, "select count(*) as n from known_resource where state = 'failed'") == 1
        });
        assert_eq!(
            number(posthorn, "select attempt as n from known_resource where resource_id = 'L1'"),
            1
        );
        // The portal tells of it again: that is tried at once.
        web.post("/v1/leads", &event(&uri)).expect(202);
        web.running().until("the lead is mailed", || !posthorn.mails_of("lead").is_empty());
        web.stop();
        let asked = portal.posts();
        assert!(
            asked
                .iter()
                .all(|request| request.path == "/v1/referrals/L1" && request.header("authorization") == Some("Bearer hush"))
        );
        assert!(posthorn.ok(&["explain", "L1"]).contains("fetched: it is a new lead"));
        assert!(posthorn.ok(&["explain", "L2"]).contains("is not below portal.resource_url"));
    });
}

/// A database that is away is told to everybody who waits, at once and not one after another.
#[test]
fn without_a_database_nobody_waits_for_the_others() {
    let Some(posthorn) = Posthorn::postgres() else { return };
    posthorn.setting("worker.lease", "120s");
    let web = Web::start(&posthorn);
    web.post("/v1/leads", &record("L0")).expect(201);
    posthorn.bar(true);
    let began = std::time::Instant::now();
    let clients: Vec<_> = (0..12)
        .map(|n| {
            let (address, body) = (format!("{}/v1/leads", web.base()), record(&format!("L{n}")).to_string());
            std::thread::spawn(move || {
                let output = std::process::Command::new("curl")
                    .args([
                        "-s",
                        "-o",
                        "/dev/null",
                        "-w",
                        "%{http_code}",
                        "-H",
                        "content-type: application/json",
                        "-d",
                        &body,
                        &address,
                    ])
                    .output();
                output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            })
        })
        .collect();
    for client in clients {
        match client.join().expect("no panic") {
            Ok(status) => assert_eq!(status, "503"),
            Err(_) => eprintln!("there is no curl; `cargo xtask test` installs it"),
        }
    }
    // One after another they would wait for two minutes; together, for one or two time-outs of ten seconds.
    assert!(began.elapsed() < std::time::Duration::from_secs(45), "{:?}", began.elapsed());
    posthorn.bar(false);
}
