//! Lists over HTTP: every row once, whatever the length of a page, and filters that are understood or refused.

use super::{bring, fresh, put_partner, served, walk};
use crate::support::records::partner;

#[test]
fn a_list_is_walked_without_loss_or_repeat() {
    served(|posthorn, web| {
        for n in 1..=7 {
            put_partner(web, partner(&format!("p{n}")).threshold(1));
        }
        bring(
            web,
            (1..=21).map(|n| fresh(&format!("L{n:02}")).partner(&format!("p{}", 1 + n % 7))),
        );
        for n in 1..=7 {
            let suppress = serde_json::json!({ "address": format!("nobody{n}@contoso.example"), "reason": "gone" });
            web.post("/v1/suppressions", &suppress).expect(201);
            let rejected = serde_json::json!({ "id": format!("bad{n}"), "organizationId": "p1" });
            web.post("/v1/leads", &rejected).problem(422);
        }
        for (path, field, command) in [
            ("/v1/leads", "id", &["leads", "list"][..]),
            ("/v1/leads?partner=p3", "id", &["leads", "list", "--partner", "p3"]),
            ("/v1/partners", "id", &["partners", "list"]),
            ("/v1/digests", "id", &["digest", "list"]),
            ("/v1/suppressions", "address", &["suppressions", "list"]),
            ("/v1/rejected", "id", &["rejected", "list"]),
            ("/v1/rejected?partner=p1", "id", &["rejected", "list", "--partner", "p1"]),
        ] {
            let listed = posthorn.json(command);
            let text = |row: &serde_json::Value| row[field].as_str().map_or_else(|| row[field].to_string(), str::to_owned);
            let expected: Vec<String> = listed["value"].as_array().expect("a list").iter().map(text).collect();
            assert!(expected.len() > 2, "{path}: {listed}");
            for limit in [1, 2, 3, 200] {
                let sign = if path.contains('?') { '&' } else { '?' };
                assert_eq!(
                    walk(web, &format!("{path}{sign}limit={limit}"), field),
                    expected,
                    "{path}, pages of {limit}"
                );
            }
        }
    });
}

#[test]
fn what_is_asked_for_is_understood_or_refused_with_its_name() {
    served(|_, web| {
        put_partner(web, partner("contoso"));
        bring(web, [fresh("L1"), fresh("L2")]);
        web.post("/v1/leads/L2/accept", &serde_json::json!({})).expect(200);
        assert_eq!(walk(web, "/v1/leads?status=active", "id"), ["L2"]);
        assert_eq!(walk(web, "/v1/leads?status=New,Won", "id"), ["L1"]);
        assert_eq!(walk(web, "/v1/leads?createdBefore=2026-01-01T00:00:00Z", "id"), [""; 0]);
        for (path, parameter) in [
            ("/v1/leads?stage=won", "/stage"),
            ("/v1/leads?limit=0", "/limit"),
            ("/v1/leads?limit=201", "/limit"),
            ("/v1/leads?limit=many", "/limit"),
            ("/v1/leads?status=lots", "/status"),
            ("/v1/leads?partner=", "/partner"),
            ("/v1/leads?createdFrom=yesterday", "/createdFrom"),
            ("/v1/deliveries?state=lost", "/state"),
            ("/v1/deliveries?address=ada", "/address"),
            ("/v1/suppressions?partner=contoso", "/partner"),
            ("/v1/digests/preview", "/partner"),
            ("/v1/explain?what=", "/what"),
        ] {
            let problem = web.get(path).problem(400);
            assert_eq!(problem["errors"][0]["pointer"], parameter, "{path}: {problem}");
        }
        for path in ["/v1/leads?cursor=nonsense", "/v1/partners?cursor=WzEsImxlYWRzIixbMSwyXV0"] {
            assert_eq!(web.get(path).problem(422)["errors"][0]["pointer"], "/cursor", "{path}");
        }
        for path in [
            "/v1/leads/%00",
            "/v1/leads/nothing",
            "/v1/deliveries/abc",
            "/v1/rejected/99",
            "/v1/partners/%FF",
            "/v1/nothing",
        ] {
            web.get(path).problem(404);
        }
        web.get("/v1/leads?partner=%00").problem(400);
        let wrong_method = web.send("DELETE", "/v1/leads/L1", &[], None);
        assert!(wrong_method.header("allow").contains("PATCH"), "{wrong_method:?}");
        wrong_method.problem(405);
    });
}
