//! The feed of a partner's Action Center over HTTP.

use serde_json::json;

use super::{bring, fresh, put_partner, served};
use crate::support::records::partner;

/// `R-ACTION`: a portal that polls sees each change once, and what a user put away stays away.
#[test]
fn a_portal_keeps_up_with_the_feed() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        bring(web, (1..=5).map(|n| fresh(&format!("L{n}"))));
        let (mut leads, mut since, mut path) = (Vec::new(), 0, "/v1/partners/contoso/actions?since=0&limit=2".to_owned());
        loop {
            let page = web.get_json(&path);
            let rows = page["value"].as_array().expect("a list");
            leads.extend(rows.iter().map(|item| item["leadId"].as_str().unwrap_or_default().to_owned()));
            since = page["since"].as_i64().unwrap_or(since);
            match page["nextLink"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        leads.sort();
        assert_eq!(leads, ["L1", "L2", "L3", "L4", "L5"]);
        let later = format!("/v1/partners/contoso/actions?since={since}");
        assert_eq!(web.get_json(&later), json!({ "value": [], "since": since }), "nothing has changed");

        let all = web.get_json("/v1/partners/contoso/actions");
        assert_eq!(
            all,
            posthorn.json(&["actions", "list", "--partner", "contoso"]),
            "the shape of the command line"
        );
        let item = all["value"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|item| item["leadId"] == "L3")
            .expect("L3's item");
        let archive = format!("/v1/partners/contoso/actions/{}/archive", item["id"].as_str().expect("an id"));
        assert_eq!(web.post(&archive, &json!({})).expect(200).json()["archived"], true);
        assert_eq!(
            web.send("PUT", &archive, &[], None).expect(200).json()["version"],
            2,
            "again changes nothing"
        );
        web.post("/v1/leads/L3/accept", &json!({})).expect(200);
        let changed = web.get_json(&later);
        let rows = changed["value"].as_array().expect("a list");
        assert_eq!(rows.len(), 1, "{changed}");
        assert_eq!(
            (&rows[0]["state"], &rows[0]["archived"], &rows[0]["version"]),
            (&json!("done"), &json!(true), &json!(3))
        );

        web.get("/v1/partners/contoso/actions?since=99").problem(409);
        web.get("/v1/partners/contoso/actions?since=-1").problem(400);
        web.get("/v1/partners/contoso/actions?since=1&cursor=x").problem(400);
        web.get("/v1/partners/nobody/actions").problem(404);
        web.post("/v1/partners/contoso/actions/item-99/archive", &json!({})).problem(404);
    });
}
