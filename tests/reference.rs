//! Compares the reference pages with what the code says.
//!
//! `cargo xtask reference` (or `POSTHORN_UPDATE_REFERENCE=1 cargo test --test reference`) writes them anew.

use std::path::Path;

/// Compares a page below `docs/reference/` with what it has to be, or writes it when told to by the environment.
#[track_caller]
fn check_page(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("POSTHORN_UPDATE_REFERENCE").is_some_and(|value| value == "1") {
        std::fs::write(&path, expected).expect("docs/reference can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    let line = differing.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1;
    assert!(
        found == expected,
        "docs/reference/{name}:{line} is not what the code says; run `cargo xtask reference` and read the diff"
    );
}

#[test]
fn the_states_of_a_delivery_are_documented_as_they_are() {
    check_page("delivery-states.md", &posthorn::outbox::reference::delivery_states());
}

#[test]
fn the_metrics_are_documented_as_they_are() {
    check_page("metrics.md", &posthorn::telemetry::metrics::reference());
}

#[test]
fn the_api_is_documented_as_it_is() {
    let api = posthorn::http::openapi().to_pretty_json().expect("a description is plain data");
    check_page("openapi.json", &format!("{api}\n"));
}

#[test]
fn the_states_of_a_notice_are_documented_as_they_are() {
    check_page("notice-states.md", &posthorn::outbox::reference::notice_states());
}

#[test]
fn the_circuits_of_relays_are_documented_as_they_are() {
    check_page("relay-circuits.md", &posthorn::outbox::reference::relay_circuits());
}

#[test]
fn what_templates_may_say_is_documented_as_it_is() {
    check_page("templates.md", &posthorn::template::contract::reference());
}
