//! Whom mail reaches is set and stopped by hand; leads that waited for an address go on.

use serde_json::{Value, json};

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};

const NOW: &str = "2026-03-02T09:00:00.000Z";

#[track_caller]
fn channel(posthorn: &Posthorn, id: &str) -> Value {
    posthorn.json(&["leads", "show", id])["posthorn"]["channel"].clone()
}

/// `R-RECIPIENT`, `R-CHANNEL`: counted on the day on which the partner can be reached.
#[test]
fn a_preferred_email_releases_what_waited_for_an_address() {
    both(|posthorn| {
        posthorn
            .at(NOW)
            .partner_records([partner("contoso").no_admins()])
            .leads([lead("L1")]);
        assert_eq!(channel(posthorn, "L1"), "held");
        let said = posthorn.ok(&[
            "partners",
            "set-preferred-email",
            "contoso",
            "Leads@Contoso.example",
            "--locale",
            "de",
        ]);
        assert_eq!(said, "Mail about leads of contoso goes to leads@contoso.example alone.\n");
        assert_eq!(channel(posthorn, "L1"), "single");
        let cleared = posthorn.json(&["partners", "clear-preferred-email", "contoso"]);
        assert_eq!(cleared, json!({ "id": "contoso", "preferredEmails": [] }));
        posthorn.leads([lead("L2")]);
        assert_eq!(channel(posthorn, "L2"), "held");
        let unknown = posthorn.refused(5, &["partners", "set-preferred-email", "nobody", "a@b.example"]);
        assert!(unknown.contains("no partner nobody is known here"), "{unknown}");
    });
}

/// `R-RECIPIENT`
#[test]
fn a_suppressed_address_counts_as_absent_until_it_is_lifted() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        posthorn.ok(&["suppressions", "add", "Admin@contoso.example", "--reason", "left the company"]);
        let listed = posthorn.json(&["suppressions", "list"]);
        let expected = json!({ "address": "admin@contoso.example", "reason": "by hand", "detail": "left the company", "actor": null, "createdDateTime": NOW });
        assert_eq!(listed, json!({ "value": [expected] }));
        posthorn.leads([lead("L1")]);
        assert_eq!(channel(posthorn, "L1"), "held");
        let again = posthorn.refused(5, &["suppressions", "add", "admin@contoso.example"]);
        assert!(again.contains("admin@contoso.example is suppressed already"), "{again}");
        posthorn.ok(&["suppressions", "remove", "admin@contoso.example"]);
        assert_eq!(channel(posthorn, "L1"), "single");
        assert_eq!(posthorn.json(&["suppressions", "list"]), json!({ "value": [] }));
        posthorn.refused(5, &["suppressions", "remove", "admin@contoso.example"]);
    });
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        for (line, told) in [
            (
                &["partners", "resubscribe", "contoso", "a@contoso.example"][..],
                "a@contoso.example has not unsubscribed",
            ),
            (
                &["deliveries", "retry", "7"],
                "there is no delivery 7; `posthorn deliveries list` names them",
            ),
            (&["deliveries", "cancel", "x", "7"], "there is no delivery x"),
        ] {
            let stderr = posthorn.refused(5, line);
            assert!(stderr.contains(told), "{line:?}\n{stderr}");
        }
    });
}
