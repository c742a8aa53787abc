//! Who is let in by `serve`, and what everybody else is told: nothing.

use serde_json::Value;

use crate::support::posthorn::Posthorn;
use crate::support::web::Web;

/// Makes a token as an operator does, and returns it with its entry for the configuration.
pub fn token(posthorn: &Posthorn, arguments: &[&str]) -> (String, String) {
    let mut all = vec!["token", "new"];
    all.extend(arguments);
    let made = posthorn.json(&all);
    let mut entry: Vec<String> = ["name", "sha256", "scopes", "partner", "expires"]
        .iter()
        .filter(|key| !made[**key].is_null())
        .map(|key| format!("{key} = {}", made[*key]))
        .collect();
    entry.sort();
    let secret = made["token"].as_str().expect("a token").to_owned();
    (secret, format!("{{ {} }}", entry.join(", ")))
}

/// Writes the entries into the configuration.
pub fn with_tokens(posthorn: &Posthorn, entries: &[String]) {
    posthorn.setting("http.tokens", &format!("[{}]", entries.join(", ")));
}

#[test]
fn each_wrong_door_says_nothing_more_than_that_it_is_shut() {
    let posthorn = Posthorn::sqlite();
    let (reader, reads) = token(&posthorn, &["--name", "grafana", "--scope", "read"]);
    let (bringer, brings) = token(&posthorn, &["--name", "crm", "--scope", "intake"]);
    let (one_of, limited) = token(&posthorn, &["--name", "contoso", "--scope", "read", "--partner", "contoso"]);
    let (old, expired) = token(
        &posthorn,
        &["--name", "old", "--scope", "read", "--expires", "2020-01-01T00:00:00Z"],
    );
    with_tokens(&posthorn, &[reads, brings, limited, expired]);
    let web = Web::start(&posthorn);
    for (token, path, status) in [
        ("", "/v1/status", 401),
        ("posthorn_wrong", "/v1/status", 401),
        (old.as_str(), "/v1/status", 401),
        (bringer.as_str(), "/v1/status", 403),
        (one_of.as_str(), "/v1/status", 403),
        (reader.as_str(), "/v1/status", 200),
        ("", "/v1/nothing", 404),
        ("", "/healthz", 200),
        ("", "/readyz", 200),
        ("", "/openapi.json", 200),
    ] {
        let answer = web.with_token(token).get(path);
        assert_eq!(answer.status, status, "{path} with {token:?}: {}", answer.text);
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            let problem: Value = answer.json();
            assert_eq!(problem["title"], "a token is needed");
        }
    }
    web.stop();
}

#[test]
fn no_port_is_opened_to_other_machines_without_a_token() {
    let posthorn = Posthorn::sqlite();
    posthorn.setting("http.listen", "0.0.0.0:0");
    let told = posthorn.refused(3, &["config", "check"]);
    assert!(told.contains("no token is set") && told.contains("posthorn token new"), "{told}");
}

/// A token that was taken out of the configuration opens nothing after a reload.
#[test]
fn a_token_that_is_taken_away_is_shut_out_by_a_reload() {
    let posthorn = Posthorn::sqlite();
    let (leaked, leaks) = token(&posthorn, &["--name", "old", "--scope", "read"]);
    let (kept, keeps) = token(&posthorn, &["--name", "new", "--scope", "read"]);
    with_tokens(&posthorn, &[leaks, keeps.clone()]);
    let mut web = Web::start(&posthorn);
    web.with_token(&leaked).get("/v1/status").expect(200);
    with_tokens(&posthorn, &[keeps]);
    posthorn.setting("http.patience", "20s");
    web.running().signal("HUP");
    let log = web.running().stderr_path();
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    web.running().until("it is reloaded", || told().contains("configuration reloaded"));
    assert!(told().contains("but for http.patience"), "{}", told());
    web.with_token(&leaked).get("/v1/status").problem(401);
    web.with_token(&kept).get("/v1/status").expect(200);
    web.stop();
}

/// Whoever may bring leads of one partner has nothing fetched in the portal's name.
#[test]
fn a_webhook_event_needs_a_token_without_a_limit() {
    let posthorn = Posthorn::sqlite();
    let (limited, entry) = token(&posthorn, &["--name", "contoso", "--scope", "intake", "--partner", "contoso"]);
    with_tokens(&posthorn, &[entry]);
    let web = Web::start(&posthorn);
    let event = serde_json::json!({ "EventName": "referral-created", "ResourceUri": "https://portal.example/L1" });
    web.with_token(&limited).post("/v1/leads", &event).problem(403);
    web.with_token(&limited)
        .post("/v1/partners/contoso/marketplace-leads", &event)
        .problem(403);
    let other = serde_json::Value::from(crate::support::records::lead("L1").partner("fabrikam"));
    web.with_token(&limited).post("/v1/leads", &other).problem(422);
    web.stop();
}
