//! Favourites: marked and unmarked by a user of the partner (`R-TABS`).

use serde_json::json;

use crate::api::{bring, fresh, put_partner, served};
use crate::support::posthorn::both;
use crate::support::records::{lead, partner};

const MONDAY: &str = "2026-03-02T09:00:00.000Z";

/// `R-TABS`
#[test]
fn a_lead_is_marked_and_unmarked_and_its_history_says_by_whom() {
    both(|posthorn| {
        posthorn.at(MONDAY).partner_records([partner("contoso")]);
        posthorn.leads([lead("L1"), lead("L2")]);
        let favourites = || {
            let listed = posthorn.json(&["leads", "list", "--tab", "favourites"]);
            let leads = listed["value"].as_array().expect("a list").iter();
            leads.map(|lead| lead["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
        };
        assert!(favourites().is_empty());
        assert_eq!(
            posthorn.ok(&["leads", "favourite", "L2", "--by", "ada"]),
            "Lead L2 is a favourite.\n"
        );
        assert_eq!(
            posthorn.json(&["leads", "favourite", "L2", "--by", "bob"])["posthorn"]["favourite"],
            true
        );
        assert_eq!(favourites(), ["L2"]);
        assert_eq!(posthorn.json(&["leads", "unfavourite", "L2"])["posthorn"]["favourite"], false);
        assert!(favourites().is_empty());
        let history = posthorn.ok(&["leads", "history", "L2"]);
        let marks: Vec<&str> = history.lines().filter(|line| line.contains("R-TABS")).collect();
        assert_eq!(marks.len(), 2, "marked twice, and once it changed something: {history}");
        assert!(
            marks[0].contains("marked as a favourite by ada") && marks[0].ends_with("ada"),
            "{history}"
        );
        assert!(posthorn.refused(5, &["leads", "favourite", "L9"]).contains("L9"));
    });
}

/// `R-TABS`: over the API, each partner its own.
#[test]
fn a_portal_marks_leads_for_its_users() {
    served(|_, web| {
        put_partner(web, partner("contoso"));
        bring(web, [fresh("L1"), fresh("L2")]);
        let marked = web.post("/v1/leads/L1/favourite", &json!({})).expect(200).json();
        assert_eq!(marked["posthorn"]["favourite"], true);
        let listed = web.get_json("/v1/leads?tab=Favourites");
        assert_eq!(listed["value"].as_array().map(Vec::len), Some(1));
        assert_eq!(listed["value"][0]["id"], "L1");
        assert_eq!(
            web.post("/v1/leads/L1/unfavourite", &json!({})).expect(200).json()["posthorn"]["favourite"],
            false
        );
        web.post("/v1/leads/L9/favourite", &json!({})).problem(404);
    });
}
