//! Who is told.

use serde_json::json;

use super::{n_mails, receivers};
use crate::support::posthorn::both;
use crate::support::records::{Partner, lead, partner};

/// `R-RECIPIENT`: preferred alone, then the location, then the admins; one mail an address.
#[test]
fn the_first_rung_that_has_an_address_decides_alone() {
    let full = || {
        partner("x")
            .location("hq", true, &["hq@x.example"])
            .location("ulm", false, &["ulm@x.example", "ULM2@x.example"])
            .location("bare", false, &[])
    };
    let cases: Vec<(Partner, Option<&str>, &[&str], &str)> = vec![
        (
            full().preferred("a@x.example").preferred("b@x.example"),
            Some("ulm"),
            &["a@x.example", "b@x.example"],
            "preferred, alone",
        ),
        (full(), Some("ulm"), &["ulm2@x.example", "ulm@x.example"], "the targeted location"),
        (full(), Some("nowhere"), &["hq@x.example"], "an unknown location"),
        (full(), Some("bare"), &["hq@x.example"], "a location without contacts"),
        (full(), None, &["hq@x.example"], "no location"),
        (
            partner("x").location("hq", true, &[]),
            None,
            &["admin@x.example"],
            "a primary location without contacts",
        ),
        (
            partner("x")
                .location("ulm", false, &["u@x.example"])
                .location("hq", false, &["h@x.example"]),
            None,
            &["admin@x.example"],
            "none is primary",
        ),
        (
            partner("x").preferred_silenced("a@x.example").admin("c@x.example"),
            None,
            &[],
            "silenced does not fall through",
        ),
        (
            partner("x").preferred_silenced("a@x.example").preferred("b@x.example"),
            None,
            &["b@x.example"],
            "one of two is silenced",
        ),
        (
            partner("x").preferred("A@X.Example").preferred("a@x.example"),
            None,
            &["a@x.example"],
            "one address in two cases",
        ),
        (
            partner("x").preferred("a@Bücher.example").preferred("a@xn--bcher-kva.example"),
            None,
            &["a@xn--bcher-kva.example"],
            "IDNA",
        ),
        (
            partner("x").with("preferredEmail", "one@x.example"),
            None,
            &["one@x.example"],
            "the singular field, an address",
        ),
        (
            partner("x").with("preferredEmail", json!({ "email": "one@x.example", "locale": "de" })),
            None,
            &["one@x.example"],
            "an object",
        ),
        (partner("x").no_admins(), None, &[], "nobody"),
    ];
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        for (n, (partner, location, expected, why)) in cases.iter().enumerate() {
            let id = format!("p{n}");
            let record = partner.clone().with("id", id.clone());
            let before = posthorn.mails();
            posthorn.partner_records([record]);
            let one = lead(&format!("L{n}")).partner(&id);
            posthorn.leads([match location {
                Some(location) => one.location(location),
                None => one,
            }]);
            posthorn.work();
            let new = posthorn
                .mails()
                .into_iter()
                .filter(|mail| before.iter().all(|old| old.message_id != mail.message_id));
            let mut told: Vec<String> = new.map(|mail| mail.to).collect();
            told.sort();
            assert_eq!(told, *expected, "{why}");
        }
    });
}

/// `R-RECIPIENT`: the address is resolved when the notice is claimed, never when the lead arrives.
#[test]
fn an_address_that_changes_before_the_mail_goes_out_is_the_one_that_counts() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").preferred("old@x.example")]);
        posthorn.leads([lead("L1")]);
        posthorn.partner_records([partner("contoso").preferred("new@x.example")]).work();
        assert_eq!(receivers(posthorn, "lead"), ["new@x.example"]);
        posthorn.leads([lead("L2")]);
        posthorn.partner_records([partner("contoso").no_admins()]).work();
        assert_eq!(posthorn.mails().len(), 1, "nobody is left: it waits");
        posthorn
            .at("2026-03-03T10:00:00Z")
            .partner_records([partner("contoso").no_admins()])
            .work();
        assert_eq!(posthorn.mails().len(), 1);
        posthorn
            .partner_records([partner("contoso").no_admins().admin("late@x.example")])
            .work();
        assert_eq!(receivers(posthorn, "lead"), ["late@x.example", "new@x.example"]);
        posthorn.partner_records([partner("contoso").preferred("third@x.example")]).work();
        assert_eq!(posthorn.mails().len(), 2, "nothing is told twice since an address came");
    });
}

/// `R-RECIPIENT`: a location's contacts that are silenced silence; an unset one falls to the primary.
#[test]
fn a_silenced_contact_of_the_location_stops_there() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        let silent = json!({ "locations": [
            { "id": "hq", "primary": true, "contacts": [{ "email": "hq@x.example" }] },
            { "id": "ulm", "contacts": [{ "email": "ulm@x.example", "disableNotifications": true }] },
        ] });
        posthorn.partner_records([partner("contoso").with("profile", silent)]);
        posthorn.leads([lead("L1").location("ulm"), lead("L2").location("hq")]).work();
        assert_eq!(receivers(posthorn, "lead"), ["hq@x.example"]);
        posthorn.partner_records([partner("contoso").preferred("now@x.example")]).work();
        assert_eq!(posthorn.mails().len(), 1, "silenced is for good: no second try with another record");
        posthorn.at("2026-03-20T10:00:00Z").work();
        assert_eq!(posthorn.mails().len(), 1);
    });
}

/// `R-RECIPIENT`: whoever was released is mailed once, and nobody who answered or expired meanwhile.
#[test]
fn a_released_partner_is_told_of_what_is_still_open() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        posthorn.leads([
            lead("open"),
            lead("answered"),
            lead("expired").expires("2026-03-04T00:00:00Z"),
            lead("due").expires("2026-03-05T10:00:00.000Z"),
        ]);
        posthorn
            .leads([lead("answered").updated("2026-03-03T00:00:00Z").status("Active", "Accepted")])
            .work();
        posthorn.at("2026-03-05T10:00:00.000Z").partner_records([partner("contoso")]).work();
        assert_eq!(
            posthorn.mails_of("lead").iter().flat_map(super::linked).collect::<Vec<_>>(),
            ["open"]
        );
        assert_eq!(n_mails(posthorn, "lead", "admin@contoso.example"), 1);
        posthorn.partner_records([partner("contoso").admin("more@contoso.example")]).work();
        assert_eq!(posthorn.mails().len(), 1);
    });
}

/// `R-RECIPIENT`: a preferred e-mail that is set by hand releases what waited, and a partner import replaces it.
#[test]
fn a_preferred_e_mail_set_by_hand_decides_until_the_next_record() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").no_admins()])
            .leads([lead("L1")])
            .work();
        assert!(posthorn.mails().is_empty());
        let told = posthorn.ok(&["explain", "L1"]);
        assert!(told.contains("partners set-preferred-email contoso ADDRESS"), "{told}");
        posthorn.ok(&["partners", "set-preferred-email", "contoso", "Hand@X.example", "--locale", "de"]);
        posthorn.work();
        let mails = posthorn.mails();
        assert_eq!(
            (mails.len(), mails[0].to.as_str(), mails[0].header("Content-Language").as_deref()),
            (1, "hand@x.example", Some("de"))
        );
        posthorn.ok(&["partners", "clear-preferred-email", "contoso"]);
        posthorn.leads([lead("L2")]).work();
        assert_eq!(posthorn.mails().len(), 1, "nobody again");
        posthorn.partner_records([partner("contoso")]).work();
        assert_eq!(n_mails(posthorn, "lead", "admin@contoso.example"), 1);
        for wrong in ["no address", "a@b@c", "", "x@", "a@x.example\nBcc: b@x.example"] {
            assert_eq!(
                posthorn.run(&["partners", "set-preferred-email", "contoso", wrong]).code,
                2,
                "{wrong:?}"
            );
        }
        posthorn.leads([lead("L3").partner("gamma")]);
        posthorn.refused(5, &["partners", "set-preferred-email", "gamma", "a@x.example"]);
        let told = posthorn.ok(&["explain", "L3"]);
        assert!(told.contains("partners import FILE"), "what is advised can be done: {told}");
    });
}

/// `explain` says in its first line why nobody was mailed, for each reason that there is.
#[test]
fn explain_says_why_nobody_was_mailed() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z").partner_records([
            partner("contoso"),
            partner("p-mute").no_admins(),
            partner("p-silent").preferred_silenced("q@x.example"),
            partner("p-dead").no_admins().admin("dead@x.example"),
            partner("p-digest").threshold(0),
        ]);
        posthorn.ok(&["suppressions", "add", "dead@x.example"]);
        posthorn.leads([
            lead("info").offer("GetItNow"),
            lead("shared").with("type", "Shared"),
            lead("history").status("Closed", "Won"),
            lead("late").created("2026-02-01T00:00:00Z"),
            lead("mute").partner("p-mute"),
            lead("silent").partner("p-silent"),
            lead("dead").partner("p-dead"),
            lead("unknown").partner("stranger"),
            lead("digest").partner("p-digest"),
            lead("accepted"),
            lead("gone").expires("2026-03-02T10:00:00.001Z"),
        ]);
        posthorn.ok(&["leads", "accept", "accepted"]);
        posthorn.at("2026-03-02T10:00:00.001Z").work();
        assert!(posthorn.mails().is_empty(), "{:?}", posthorn.mails());
        for (id, reason) in [
            ("info", "informational"),
            ("shared", "co-sell"),
            ("history", "history"),
            ("late", "expir"),
            ("mute", "no address"),
            ("silent", "disableNotifications"),
            ("dead", "dead@x.example"),
            ("unknown", "not known"),
            ("digest", "digest"),
            ("accepted", "answered"),
            ("gone", "expired"),
        ] {
            let told = posthorn.ok(&["explain", id]);
            let first = told.split("\n\n").next().unwrap_or_default().replace('\n', " ");
            assert!(first.contains(reason), "{id}: {reason:?} is not in {first:?}");
        }
        posthorn.audit_is_clean();
    });
}
