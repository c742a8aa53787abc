//! What ops do over HTTP: digests, deliveries, suppressions, rejected records, and looking.

use serde_json::json;

use super::{bring, fresh, put_partner, served};
use crate::support::records::{lead, partner};

/// `R-DIGEST`
#[test]
fn a_digest_is_previewed_tried_and_run_early() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso").threshold(0));
        bring(web, [fresh("L1"), fresh("L2")]);
        assert_eq!(
            web.get_json("/v1/digests"),
            posthorn.json(&["digest", "list"]),
            "the shape of the command line"
        );
        let preview = web.get_json("/v1/digests/preview?partner=contoso");
        assert_eq!(
            (&preview["leads"], &preview["value"][0]["address"]),
            (&json!(2), &json!("admin@contoso.example"))
        );
        assert!(
            preview["value"][0]["html"]
                .as_str()
                .is_some_and(|html| html.contains("Customer L1"))
        );
        let tried = web
            .post("/v1/digests/run", &json!({ "all": true, "dryRun": true }))
            .expect(200)
            .json();
        assert_eq!((&tried["mails"], &tried["dryRun"]), (&json!(1), &json!(true)));
        assert_eq!(
            web.get_json("/v1/digests")["value"][0]["state"],
            "collecting",
            "nothing was changed"
        );
        for wrong in [
            json!({}),
            json!({ "all": true, "partners": ["contoso"] }),
            json!({ "all": true, "dry_run": true }),
        ] {
            web.post("/v1/digests/run", &wrong).problem(422);
        }
        web.post("/v1/digests/run", &json!({ "partners": ["nobody"] })).problem(404);
        let run = web.post("/v1/digests/run", &json!({ "partners": ["contoso"] })).expect(200).json();
        assert_eq!(
            run["value"][0]["mails"],
            json!([{ "address": "admin@contoso.example", "leads": 2 }])
        );
        assert_eq!(web.get_json("/v1/digests")["value"][0]["closedBy"], "manual");
    });
}

/// `R-INTAKE`
#[test]
fn a_rejected_record_is_looked_at_corrected_and_dropped() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        web.post("/v1/leads", &json!({ "id": "L1", "organizationId": "contoso" }))
            .problem(422);
        web.post("/v1/leads", &json!({ "id": "L2", "organizationId": "contoso" }))
            .problem(422);
        assert_eq!(
            web.get_json("/v1/rejected"),
            posthorn.json(&["rejected", "list"]),
            "the shape of the command line"
        );
        assert_eq!(web.get_json("/v1/rejected/1"), posthorn.json(&["rejected", "show", "1"]));
        let again = web.post("/v1/rejected/1/retry", &json!({})).problem(422);
        assert!(again["errors"].as_array().is_some_and(|faults| faults.len() == 2), "{again}");
        let corrected: serde_json::Value = fresh("L1").into();
        let taken = web.post("/v1/rejected/1/retry", &json!({ "record": corrected })).expect(200).json();
        assert_eq!(taken, json!({ "id": 1, "outcome": "new", "leadId": "L1" }));
        web.post("/v1/rejected/1/retry", &json!({})).problem(409);
        assert_eq!(
            web.send("POST", "/v1/rejected/2/discard", &[], None).expect(200).json()["state"],
            "discarded"
        );
        web.send("POST", "/v1/rejected/2/discard", &[], None).problem(409);
        web.send("POST", "/v1/rejected/3/discard", &[], None).problem(404);
        assert_eq!(web.get_json("/v1/rejected"), json!({ "value": [] }));
    });
}

#[test]
fn an_address_is_suppressed_and_mailed_again_by_somebody() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        let wish = json!({ "address": "Admin@contoso.example", "reason": "left" });
        let added = web.post("/v1/suppressions", &wish).expect(201).json();
        assert_eq!(
            (&added["address"], &added["actor"]),
            (&json!("admin@contoso.example"), &json!("all"))
        );
        web.post("/v1/suppressions", &wish).problem(409);
        assert_eq!(
            web.get_json("/v1/suppressions"),
            posthorn.json(&["suppressions", "list"]),
            "the shape of the command line"
        );
        bring(web, [fresh("L1")]);
        assert_eq!(web.get_json("/v1/status")["heldLeads"], 1);
        let lifted = web
            .send("DELETE", "/v1/suppressions/admin@contoso.example", &[], None)
            .expect(200)
            .json();
        assert_eq!(
            lifted,
            json!({ "address": "admin@contoso.example", "suppressed": false, "mailsQueued": 0 })
        );
        web.send("DELETE", "/v1/suppressions/admin@contoso.example", &[], None).problem(404);
        web.send("DELETE", "/v1/suppressions/nonsense", &[], None).problem(404);
        assert_eq!(web.get_json("/v1/status")["heldLeads"], 0);
        assert_eq!(web.get_json("/v1/audit")["orphans"], 0);
    });
}

#[test]
fn a_mail_is_looked_at_and_one_that_is_sent_is_neither_stopped_nor_repeated() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        bring(web, [fresh("L1")]);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while web.get_json("/v1/deliveries?state=sent")["value"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            assert!(std::time::Instant::now() < deadline, "the lead was not mailed");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(
            web.get_json("/v1/deliveries"),
            posthorn.json(&["deliveries", "list"]),
            "the shape of the command line"
        );
        assert_eq!(web.get_json("/v1/deliveries/1"), posthorn.json(&["deliveries", "show", "1"]));
        assert_eq!(
            web.get_json("/v1/deliveries?lead=L1&partner=contoso&address=admin@contoso.example")["value"][0]["id"],
            1
        );
        assert_eq!(web.get_json("/v1/deliveries?state=failed,queued")["value"], json!([]));
        web.get("/v1/deliveries?lead=nothing").problem(404);
        web.send("POST", "/v1/deliveries/1/cancel", &[], None).problem(409);
        web.send("POST", "/v1/deliveries/1/retry", &[], None).problem(409);
        web.send("POST", "/v1/deliveries/2/retry", &[], None).problem(404);
        let told = web.get_json("/v1/explain?what=L1");
        assert_eq!(told["lead"]["told"][0]["deliveries"][0]["state"], "sent", "{told}");
        web.get("/v1/explain?what=nothing").problem(404);
        // As a webhook of the portal brings it: answered elsewhere.
        let elsewhere: serde_json::Value = lead("L1")
            .created(&super::ago(10))
            .updated(&super::ago(1))
            .status("Active", "Accepted")
            .into();
        web.post("/v1/leads", &elsewhere).expect(200);
        assert_eq!(web.get_json("/v1/leads/L1")["substatus"], "Accepted");
    });
}
