//! Partner records over HTTP.

use serde_json::{Value, json};

use super::{put_partner, served};
use crate::support::inside::Inside;
use crate::support::records::partner;

/// `R-RECIPIENT`
#[test]
fn a_partner_is_put_shown_and_replaced_by_its_tag() {
    served(|posthorn, web| {
        let record = json!({ "name": "Contoso", "timeZone": "Europe/Vienna", "admins": [{ "email": "Admin@Contoso.example" }] });
        let put = web.put("/v1/partners/contoso", &record).expect(201);
        let first = put.header("etag").to_owned();
        assert_eq!(put.json()["posthorn"]["told"]["rung"], "admins");
        let shown = web.get("/v1/partners/contoso").expect(200);
        assert_eq!(shown.header("etag"), first);
        assert_eq!(
            shown.json(),
            posthorn.json(&["partners", "show", "contoso"]),
            "the shape of the command line"
        );
        assert_eq!(
            web.put("/v1/partners/contoso", &record).expect(200).header("etag"),
            first,
            "it says what was known"
        );

        let by_tag = |tag: &str, record: &Value| {
            let headers = [("if-match", tag), ("content-type", "application/json")];
            web.send("PUT", "/v1/partners/contoso", &headers, Some(record.to_string()))
        };
        let second = by_tag(&first, &json!({ "name": "Contoso Ltd" }))
            .expect(200)
            .header("etag")
            .to_owned();
        by_tag(&first, &record).problem(412);
        by_tag("nonsense", &record).problem(400);
        by_tag(&format!("W/{second}"), &json!({ "name": "Contoso Ltd" })).problem(412);
        by_tag(&format!("{first}, {second}"), &json!({ "name": "Contoso Ltd" })).expect(200);
        by_tag("*", &json!({ "name": "Contoso Ltd" })).expect(200);
        let unknown = [("if-match", "*"), ("content-type", "application/json")];
        web.send("PUT", "/v1/partners/nobody", &unknown, Some("{}".to_owned())).problem(412);
        assert_eq!(web.get("/v1/partners/contoso").header("etag"), second);

        let wrong = json!({ "timeZone": "Vienna", "admins": [{ "email": "ada" }], "digestCron": "0 17 31 2 *" });
        let problem = web.put("/v1/partners/contoso", &wrong).problem(422);
        let pointers: Vec<&str> = problem["errors"]
            .as_array()
            .expect("all faults")
            .iter()
            .filter_map(|at| at["pointer"].as_str())
            .collect();
        assert_eq!(pointers, ["/timeZone", "/digestCron", "/admins/0/email"]);
        assert_eq!(
            web.put("/v1/partners/contoso", &json!({ "id": "other" })).problem(422)["errors"][0]["pointer"],
            "/id"
        );
        assert_eq!(web.put("/v1/partners/contoso", &json!([])).problem(422)["errors"][0]["pointer"], "");
        web.get("/v1/partners/nobody").problem(404);
        assert_eq!(web.get_json("/v1/partners/contoso/explain")["record"]["name"], "Contoso Ltd");
    });
}

/// `R-RECIPIENT`, `R-OPTOUT`
#[test]
fn a_preferred_address_is_set_and_taken_back_and_an_opt_out_lifted() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        let path = "/v1/partners/contoso/preferred-email";
        let set = web
            .put(path, &json!({ "email": "Leads@Contoso.example", "locale": "de" }))
            .expect(200);
        assert_eq!(set.json()["preferredEmails"][0]["email"], "leads@contoso.example");
        let shown = web.get("/v1/partners/contoso").expect(200);
        assert_eq!(
            (shown.header("etag"), &shown.json()["posthorn"]["told"]["rung"]),
            (set.header("etag"), &json!("preferred"))
        );
        assert_eq!(
            web.put(path, &json!({ "email": "leads" })).problem(422)["errors"][0]["pointer"],
            "/email"
        );
        web.put("/v1/partners/nobody/preferred-email", &json!({ "email": "a@b.example" }))
            .problem(404);
        let cleared = web.send("DELETE", path, &[], None).expect(200).json();
        assert_eq!(cleared, json!({ "id": "contoso", "preferredEmails": [] }));

        let back = json!({ "email": "admin@contoso.example" });
        web.post("/v1/partners/contoso/resubscribe", &back).problem(404);
        Inside::new(posthorn, &super::ago(0))
            .sql("insert into opt_out (partner_id, address, at) values ('contoso', 'admin@contoso.example', 1)");
        assert_eq!(
            web.get_json("/v1/partners/contoso")["posthorn"]["optOuts"][0]["address"],
            "admin@contoso.example"
        );
        let lifted = web.post("/v1/partners/contoso/resubscribe", &back).expect(200).json();
        assert_eq!(
            lifted,
            json!({ "partnerId": "contoso", "email": "admin@contoso.example", "subscribed": true })
        );
        let history = web.get_json("/v1/explain?what=admin@contoso.example");
        assert!(history.to_string().contains("subscribed again"), "{history}");
    });
}
