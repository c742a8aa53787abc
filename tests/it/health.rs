//! What whoever watches over `serve` sees: that it runs, that it works, and by how much.

use std::time::Duration;

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};
use crate::support::smtp::Relay;
use crate::support::web::Web;

fn now() -> String {
    posthorn::clock::wall_now().to_string()
}

/// Returns the value of a series.
#[track_caller]
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {series} in\n{metrics}"))
}

#[test]
fn the_metrics_tell_what_came_in_and_what_became_of_it() {
    both(|posthorn| {
        posthorn.partner_records([partner("contoso")]);
        let mut web = Web::start(posthorn);
        let records = [
            lead("L1").created(&now()),
            lead("L2").created(&now()),
            lead("U1").partner("nobody").created(&now()),
        ];
        web.post(
            "/v1/leads",
            &records.iter().map(|one| serde_json::Value::from(one.clone())).collect(),
        )
        .expect(200);
        web.post("/v1/leads", &serde_json::json!({ "id": "wrong" })).problem(422);
        web.running().until("both are mailed", || posthorn.mails_of("lead").len() == 2);
        let metrics = || web.get("/metrics").expect(200).text;
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        // The mail lies in the Maildir before its outcome is committed.
        while !metrics().contains("posthorn_deliveries_total{kind=\"lead\",outcome=\"sent\"} 2") {
            assert!(std::time::Instant::now() < deadline, "{}", metrics());
        }
        let told = metrics();
        for (series, expected) in [
            ("posthorn_leads_total{outcome=\"new\"}", 3.0),
            ("posthorn_leads_total{outcome=\"rejected\"}", 1.0),
            ("posthorn_lead_to_sent_seconds_count", 2.0),
            ("posthorn_outbox_oldest_due_seconds", 0.0),
            ("posthorn_outbox_backlog{kind=\"lead\"}", 0.0),
            ("posthorn_leads_held", 1.0),
            ("posthorn_records_rejected", 1.0),
            ("posthorn_http_requests_total{path=\"/v1/leads\",status=\"4xx\"}", 1.0),
        ] {
            assert!((value(&told, series) - expected).abs() < f64::EPSILON, "{series}: {told}");
        }
        for line in told.lines().filter(|line| line.starts_with("# TYPE")) {
            let name = line.split(' ').nth(2).unwrap_or_default();
            assert!(told.contains(&format!("# HELP {name} ")), "{name} has no help");
        }
        assert!(!told.contains("contoso"), "no partner is a label");
        web.stop();
    });
}

#[test]
fn it_is_not_ready_when_what_is_due_is_not_done() {
    let posthorn = Posthorn::sqlite();
    let relay = Relay::start();
    relay.delay("DOT", Duration::from_secs(2), usize::MAX);
    posthorn
        .setting("mail.transport", "smtp")
        .setting("smtp.relays", &relay.relays())
        .setting("worker.connections", "1")
        .setting("worker.batch", "1")
        .setting("http.ready_within", "1s")
        .partner_records([partner("contoso")]);
    let web = Web::start(&posthorn);
    web.get("/readyz").expect(200);
    for n in 1..=8 {
        web.post("/v1/leads", &serde_json::Value::from(lead(&format!("L{n}")).created(&now())))
            .expect(201);
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while web.get("/readyz").status == 200 {
        assert!(std::time::Instant::now() < deadline, "it says that it is ready while mails wait");
        std::thread::sleep(Duration::from_millis(50));
    }
    web.get("/healthz").expect(200);
}

#[test]
fn it_is_not_ready_without_its_database_and_takes_nothing_that_it_could_lose() {
    let Some(posthorn) = Posthorn::postgres() else { return };
    posthorn.setting("worker.lease", "60s");
    let web = Web::start(&posthorn);
    web.get("/readyz").expect(200);
    posthorn.bar(true);
    let answer = web
        .post("/v1/leads", &serde_json::Value::from(lead("L1").created(&now())))
        .problem(503);
    assert!(!answer.to_string().contains("postgres"), "nothing of the inside is told: {answer}");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while web.get("/readyz").status == 200 {
        assert!(std::time::Instant::now() < deadline, "it says that it is ready without a database");
        std::thread::sleep(Duration::from_millis(50));
    }
    posthorn.bar(false);
    while web.get("/readyz").status != 200 {
        assert!(std::time::Instant::now() < deadline, "it does not get ready again");
        std::thread::sleep(Duration::from_millis(50));
    }
    web.post("/v1/leads", &serde_json::Value::from(lead("L1").created(&now())))
        .expect(201);
    web.stop();
}

/// No customer's name, address, phone or notes stands in any log, of a recipient no more than the domain, and no token.
#[test]
fn the_log_tells_programs_what_happened_and_nothing_of_people() {
    let posthorn = Posthorn::sqlite();
    let relay = Relay::start();
    relay.refuse("RCPT", "550 5.1.1 no private.person here", usize::MAX);
    posthorn
        .setting("mail.transport", "smtp")
        .setting("smtp.relays", &relay.relays())
        .setting("log.format", "json")
        .setting("log.level", "debug")
        .partner_records([partner("contoso").preferred("private.person@contoso.example")]);
    let (token, entry) = crate::doors::token(&posthorn, &["--name", "portal", "--scope", "intake", "--scope", "read"]);
    crate::doors::with_tokens(&posthorn, &[entry]);
    let mut running = posthorn.start(&["serve"]);
    let log = running.stderr_path();
    running.until("it listens", || {
        std::fs::read_to_string(&log)
            .unwrap_or_default()
            .contains("\"message\":\"listening\"")
    });
    let text = std::fs::read_to_string(&log).expect("a log");
    let line = text.lines().find(|line| line.contains("\"listening\"")).expect("it was there");
    let told: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
    let base = format!("http://{}", told["address"].as_str().expect("an address"));
    let record = serde_json::Value::from(
        lead("L1")
            .created(&now())
            .with("customerProfile.name", "Geheimrat Goethe")
            .with("details.notes", "my notes are mine"),
    );
    let posted = std::process::Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-H",
            "content-type: application/json",
            "-H",
            "client-request-id: follow-me",
            "-H",
        ])
        .arg(format!("authorization: Bearer {token}"))
        .args(["-d", &record.to_string(), &format!("{base}/v1/leads")])
        .status();
    if !posted.is_ok_and(|status| status.success()) {
        eprintln!("the log was not looked at: there is no curl; `cargo xtask test` installs it");
        return;
    }
    running.until("the refusal is logged", || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("delivery not sent")
    });
    running.signal("TERM");
    running.wait();
    let text = std::fs::read_to_string(&log).expect("a log");
    for line in text.lines() {
        let told: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(told["timestamp"].is_string() && told["level"].is_string(), "{line}");
    }
    for secret in [
        "Goethe",
        "my notes",
        "private.person",
        "ada@fabrikam",
        "0113",
        "496 0000",
        "Byron",
        token.as_str(),
    ] {
        assert!(!text.contains(secret), "{secret:?} stands in the log:\n{text}");
    }
    assert!(text.contains("follow-me"), "the request can be followed:\n{text}");
}
