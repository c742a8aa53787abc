//! The report: what became of each partner's leads, and who shows no sign of life.

use serde_json::{Value, json};

use crate::api::{bring, fresh, put_partner, served};
use crate::support::posthorn::both;
use crate::support::records::{lead, partner};

const MONDAY: &str = "2026-03-02T09:00:00.000Z";

#[test]
fn a_report_counts_what_became_of_each_partners_leads() {
    both(|posthorn| {
        posthorn.at(MONDAY);
        posthorn.partner_records(["busy", "silent", "bounced", "new"].map(partner));
        posthorn.leads((1..=6).map(|n| lead(&format!("B{n}")).partner("busy")));
        posthorn.leads([
            lead("S1").partner("silent"),
            lead("S2").partner("silent"),
            lead("old").partner("silent").created("2026-01-02T08:00:00Z"),
            lead("info").partner("silent").offer("GetItNow"),
            lead("X").partner("bounced"),
            lead("N").partner("new").created("2026-03-15T08:00:00Z"),
        ]);
        posthorn.ok(&["leads", "accept", "B1"]);
        posthorn.ok(&["leads", "accept", "B2"]);
        posthorn.ok(&["leads", "won", "B2"]);
        posthorn.ok(&["leads", "decline", "B3", "--reason", "no capacity"]);
        posthorn.ok(&["leads", "accept", "X"]);
        posthorn.ok(&["suppressions", "add", "admin@bounced.example"]);
        // The clock has not come round to write the expiries, and they are told all the same.
        posthorn.at("2026-03-16T08:00:00.000Z");
        let told = posthorn.json(&["report"]);
        let row = |id: &str| {
            told["value"]
                .as_array()
                .expect("a list")
                .iter()
                .find(|row| row["partnerId"] == id)
                .cloned()
                .expect(id)
        };
        let counts = |row: &Value| ["leads", "waiting", "accepted", "won", "declined", "expired"].map(|key| row[key].as_i64().expect(key));
        assert_eq!(counts(&row("busy")), [6, 0, 2, 1, 1, 3]);
        assert_eq!(
            counts(&row("silent")),
            [2, 0, 0, 0, 0, 2],
            "not the informational one, and none from before"
        );
        assert_eq!(counts(&row("new")), [1, 1, 0, 0, 0, 0]);
        assert_eq!(row("bounced")["bounced"], json!(["admin@bounced.example"]));
        let alive = ["busy", "silent", "bounced", "new"].map(|id| row(id)["proofOfLife"].as_bool().expect("a boolean"));
        assert_eq!(alive, [true, false, false, true]);
        let rows = posthorn.ok(&["report", "--silent"]);
        assert_eq!(
            rows,
            "bounced\t1\t0\t1\t0\t0\t0\tcannot be reached: admin@bounced.example\nsilent\t2\t0\t0\t0\t0\t2\tlet every lead expire\n"
        );
        let old = posthorn.json(&[
            "report",
            "--partner",
            "silent",
            "--created-from",
            "2026-01-01T00:00:00Z",
            "--created-before",
            "2026-02-01T00:00:00Z",
        ]);
        assert_eq!(old["value"].as_array().map(Vec::len), Some(1));
        assert_eq!(
            counts(&old["value"][0]),
            [0, 0, 0, 0, 0, 0],
            "one that came past its expiry is history: nobody was told"
        );
        posthorn.ok(&["erase", "N", "B1", "--yes"]);
        for (now, id, expected) in [
            ("2026-03-16T08:00:00.000Z", "new", [1, 0, 0, 0, 0, 0]),
            ("2026-03-30T08:00:00.000Z", "new", [1, 0, 0, 0, 0, 0]),
            ("2026-03-30T08:00:00.000Z", "busy", [6, 0, 2, 1, 1, 3]),
        ] {
            let told = posthorn.at(now).json(&["report", "--partner", id]);
            assert_eq!(counts(&told["value"][0]), expected, "R-ERASE: what is erased counts: {id} at {now}");
        }
    });
}

#[test]
fn a_portal_asks_for_the_report_page_by_page() {
    served(|_, web| {
        for n in 1..=3 {
            put_partner(web, partner(&format!("p{n}")));
        }
        bring(web, [fresh("L1").partner("p2")]);
        assert_eq!(crate::api::walk(web, "/v1/report?limit=1", "partnerId"), ["p1", "p2", "p3"]);
        assert_eq!(web.get_json("/v1/report?partner=p2")["value"][0]["waiting"], 1);
        assert_eq!(
            web.get("/v1/report?createdFrom=yesterday").problem(400)["errors"][0]["pointer"],
            "/createdFrom"
        );
    });
}
