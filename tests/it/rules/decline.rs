//! A declined customer is asked to choose another partner.

use serde_json::{Value, json};

use super::receivers;
use crate::support::posthorn::both;
use crate::support::records::{Lead, lead, partner};

fn team(people: Value) -> Lead {
    lead("").customer("Fabrikam").with("customerProfile.team", people)
}

/// `R-DECLINE`: the first contact with a usable address, in his own language; not where he or the partner does not want it.
#[test]
fn the_customers_first_usable_contact_is_mailed() {
    let silent = json!({ "disableNotifications": true });
    type Case<'a> = (Lead, &'a [&'a str], Option<(&'a str, &'a str)>, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (
            team(json!([{ "email": "a@c.example" }, { "email": "b@c.example" }])),
            &[],
            Some(("a@c.example", "de")),
            "the first, in the partner's language",
        ),
        (
            team(
                json!([{ "email": "none" }, { "firstName": "No" }, { "email": "b@c.example", "contactPreference": { "locale": "de-AT" } }]),
            ),
            &[],
            Some(("b@c.example", "de")),
            "the first usable",
        ),
        (
            team(json!([{ "email": "A@Bücher.example", "contactPreference": { "locale": "it" } }])),
            &[],
            Some(("a@xn--bcher-kva.example", "en")),
            "IDNA; no Italian",
        ),
        (
            team(json!([{ "email": "a@c.example", "contactPreference": silent }, { "email": "b@c.example" }])),
            &[],
            None,
            "he does not want it",
        ),
        (
            team(json!([{ "email": "a@c.example" }])),
            &["--no-customer-mail"],
            None,
            "the partner does not want it",
        ),
        (team(json!([{ "email": "not an address" }])), &[], None, "nobody is usable"),
        (team(json!([])), &[], None, "nobody"),
        (lead("").without("customerProfile.team"), &[], None, "no list"),
    ];
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(100).locale("de")]);
        posthorn.leads(
            cases
                .iter()
                .enumerate()
                .map(|(n, (lead, ..))| lead.clone().with("id", format!("L{n}"))),
        );
        posthorn.work();
        for (n, (_, flags, expected, why)) in cases.iter().enumerate() {
            let before = posthorn.mails_of("decline");
            let id = format!("L{n}");
            let decline = [
                "leads",
                "decline",
                &id,
                "--reason",
                "Too small for us",
                "--notes",
                "internal-remark",
                "--by",
                "ada",
            ];
            posthorn.ok(&[&decline[..], flags].concat());
            posthorn.work();
            let new: Vec<_> = posthorn
                .mails_of("decline")
                .into_iter()
                .filter(|mail| before.iter().all(|old| old.message_id != mail.message_id))
                .collect();
            let told: Vec<(String, String)> = new
                .iter()
                .map(|mail| (mail.to.clone(), mail.header("Content-Language").unwrap_or_default()))
                .collect();
            let expected: Vec<(String, String)> = expected
                .iter()
                .map(|(to, language)| (to.to_string(), language.to_string()))
                .collect();
            assert_eq!(told, expected, "{why}");
            for mail in new {
                let all = format!("{}{}{}", mail.subject, mail.text, mail.html);
                for private in ["Too small", "internal-remark", "ada", "admin@"] {
                    assert!(!all.contains(private), "{why}: {private} in {}", mail.text);
                }
                assert!(all.contains("Fabrikam") && all.contains("contoso"), "{}", mail.text);
                assert_eq!(mail.header("List-Unsubscribe"), None, "transactional");
            }
        }
        posthorn.work();
        posthorn.audit_is_clean();
    });
}

/// `R-DECLINE`, `R-SYNC`: once, whatever comes after it.
#[test]
fn a_decline_is_told_once_and_takes_back_what_was_not_mailed() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(1)])
            .leads([lead("A"), lead("B")]);
        posthorn.ok(&["leads", "decline", "A", "--reason", "x"]);
        posthorn.ok(&["leads", "decline", "B", "--reason", "x"]);
        posthorn.refused(5, &["leads", "decline", "A", "--reason", "x"]);
        posthorn.leads([lead("A").updated("2026-03-02T11:00:00Z").status("Closed", "Declined")]);
        posthorn.leads([lead("B").updated("2026-03-02T11:00:00Z").status("Active", "Accepted")]);
        posthorn.work().at("2026-03-02T17:00:00Z").work();
        assert_eq!(receivers(posthorn, "decline"), ["ada@fabrikam.example", "ada@fabrikam.example"]);
        assert_eq!(posthorn.mails().len(), 2, "neither was mailed to the partner any more");
        posthorn.audit_is_clean();
    });
}
