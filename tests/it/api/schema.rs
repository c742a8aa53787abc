//! The description of the API: complete, and held to by a tool that does nothing else (schemathesis).

use std::process::Command;

use serde_json::Value;

use super::{bring, fresh, put_partner, served};
use crate::support::records::partner;

/// Where `cargo xtask test` has put schemathesis (PyPI).
const SCHEMATHESIS: &str = "POSTHORN_TEST_SCHEMATHESIS";

/// What an answer is held to. Whether data that fits the description is also sensible is not the description's matter, so that is not asked.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,negative_data_rejection,unsupported_method";

#[test]
fn every_operation_says_what_it_answers() {
    let api: Value = serde_json::to_value(posthorn::http::openapi()).expect("plain data");
    assert_eq!(api["openapi"], "3.1.0");
    assert_eq!(api["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let mut ids = std::collections::BTreeSet::new();
    for (path, operations) in api["paths"].as_object().expect("paths") {
        for (verb, operation) in operations.as_object().expect("operations") {
            let name = format!("{verb} {path}");
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{name} has no operationId"));
            assert!(ids.insert(id.to_owned()), "{name}: there are two {id}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{name} has no summary"
            );
            let answers = operation["responses"].as_object().expect("responses");
            assert!(answers.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
            if path.starts_with("/v1/") {
                assert!(
                    answers.contains_key("4XX") && answers.contains_key("503"),
                    "{name} says nothing of refusals"
                );
            }
        }
    }
    assert!(ids.len() >= 38, "{ids:?}");
}

/// One record that is not new is answered 200, as a list is.
#[test]
fn what_brings_leads_may_be_answered_by_one_record_or_by_a_list() {
    let api: Value = serde_json::to_value(posthorn::http::openapi()).expect("plain data");
    for path in ["/v1/leads", "/v1/partners/{id}/marketplace-leads"] {
        let answers = &api["paths"][path]["post"]["responses"];
        let schema = &answers["200"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).expect("a name");
        let either: Vec<&str> = api["components"]["schemas"][name]["oneOf"]
            .as_array()
            .expect("alternatives")
            .iter()
            .filter_map(|one| one["$ref"].as_str())
            .collect();
        assert_eq!(
            either,
            ["#/components/schemas/RecordAnswer", "#/components/schemas/ListAnswer"],
            "{path}"
        );
        assert!(answers["201"]["headers"]["Location"].is_object(), "{path}");
    }
}

#[test]
fn no_answer_is_one_that_the_description_does_not_allow() {
    let Some(schemathesis) = std::env::var_os(SCHEMATHESIS) else {
        eprintln!("schemathesis: not run, as {SCHEMATHESIS} is not set; `cargo xtask test` runs it");
        return;
    };
    served(|posthorn, web| {
        put_partner(web, partner("contoso").threshold(1));
        bring(web, [fresh("L-1001"), fresh("L1")]);
        let output = Command::new(&schemathesis)
            .args(["run", &format!("{}/openapi.json", web.base()), "--no-color"])
            .args([
                "--checks",
                CHECKS,
                "--phases",
                "examples,coverage,fuzzing",
                "--max-examples",
                "5",
                "--workers",
                "1",
                "--seed",
                "1",
            ])
            // It cannot write message/rfc822; the black-box tests of bounces bring mails.
            .args(["--exclude-operation-id", "bringBounce"])
            .args(["-H", &format!("Authorization: Bearer {}", web.token())])
            .current_dir(posthorn.folder())
            .output()
            .expect("schemathesis runs");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    });
}
