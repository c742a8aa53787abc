//! Which leads somebody is told of.

use super::receivers;
use crate::support::posthorn::both;
use crate::support::records::{Lead, lead, partner};

/// `R-KIND`, in its order; `R-WHO-MAILS`: mail goes out for contact leads only.
#[test]
fn mail_goes_out_for_contact_leads_only() {
    let probe = |lead: Lead| {
        lead.customer("MSFT_TEST_Fabrikam").with(
            "customerProfile.team",
            serde_json::json!([{ "firstName": "MSFT_TEST_Ada", "lastName": "MSFT_TEST_Byron", "email": "MSFT_TEST_a@b.example" }]),
        )
    };
    let qualified = |lead: Lead, how: &str| lead.with("qualification", how);
    let cases = [
        (lead("").with("direction", "Outgoing"), false, "outgoing"),
        (lead("").with("direction", "outgoing").urgent(), false, "outgoing in another case"),
        (
            qualified(lead("").with("type", "Shared"), "SalesQualified"),
            false,
            "shared comes before qualified",
        ),
        (probe(lead("")), false, "a test lead"),
        (
            qualified(probe(lead("")), "MarketingQualified"),
            false,
            "a test lead comes before qualified",
        ),
        (
            qualified(lead("").offer("GetItNow"), "MarketingQualified"),
            true,
            "qualified comes before informational",
        ),
        (
            qualified(lead("").offer("DNC"), "SalesQualified"),
            false,
            "not a word of a referral's list: rejected",
        ),
        (lead(""), true, "no target"),
        (lead("").with("target", serde_json::json!([])), true, "an empty target"),
        (lead("").location("berlin"), true, "a profile lead"),
        (
            lead("").location("berlin").with("callToAction", "GetItNow"),
            true,
            "a profile lead comes before the call to action",
        ),
        (
            lead("").with("callToAction", "FreeTrial"),
            true,
            "no target comes before the call to action",
        ),
        (lead("").offer("GetItNow"), false, "informational"),
        (lead("").offer("FreeTrial"), false, "informational"),
        (lead("").offer("testdrive"), false, "informational, in another case"),
        (
            lead("").offer("GetItNow").urgent(),
            false,
            "informational, though the customer asked to be contacted",
        ),
        (lead("").offer("ContactMe"), true, "asks to be contacted"),
        (lead("").offer("None"), true, "any other"),
        (
            lead("")
                .offer("ContactMe")
                .with("qualification", "None")
                .with("direction", "None")
                .with("type", "None"),
            true,
            "None is missing",
        ),
        (
            lead("").offer("ContactMe").with("quality", "Low").with("emailValidity", "Spam"),
            true,
            "likely spam is flagged, and mailed",
        ),
    ];
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        let ids = || cases.iter().enumerate().map(|(n, case)| (format!("p{n}"), case));
        posthorn.partner_records(ids().map(|(id, _)| partner(&id)));
        let records = crate::support::records::ndjson(ids().map(|(id, (lead, ..))| lead.clone().partner(&id).with("id", id)));
        let file = posthorn.file("all.ndjson", &records);
        let output = posthorn.run(&["import", &file]);
        assert_eq!(output.code, 1, "one is rejected\n{output}");
        posthorn.work();
        let told = receivers(posthorn, "lead");
        for (id, (_, is_mailed, why)) in ids() {
            assert_eq!(told.contains(&format!("admin@{id}.example")), *is_mailed, "{why}");
        }
        posthorn.at("2026-09-30T10:00:00Z").work();
        assert_eq!(
            posthorn.mails().len(),
            told.len(),
            "nobody is told of their expiry without a lead desk"
        );
    });
}

/// `R-KIND`: a marketplace lead is told by what its source says.
#[test]
fn a_marketplace_lead_is_mailed_where_its_source_asks_for_contact() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        for (n, (source, code, is_mailed)) in [
            ("SPZA-ContactMe|Widget", "PLT", true),
            ("AzureMarketplace-PLT|Widget", "PLT", true),
            ("SPZA-INS|Widget", "INS", false),
            ("SPZA-Create|Widget", "Create", false),
            ("SPZA-StartTestDrive|Widget", "StartTestDrive", false),
            ("SPZA-DNC|Widget", "DNC", false),
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("m{n}");
            posthorn.partner_records([partner(&id)]);
            let record = serde_json::json!({
                "UserDetails": { "FirstName": "Ada", "LastName": "Byron", "Email": "ada@fabrikam.example", "Country": "US", "Company": "Fabrikam" },
                "LeadSource": source, "ActionCode": code, "OfferTitle": "Widget", "Description": "Hello",
            });
            let file = posthorn.file(&format!("{id}.json"), &record.to_string());
            for _ in 0..2 {
                posthorn.ok(&["import", "--partner", &id, &file]);
                posthorn.work();
            }
            let expected = usize::from(is_mailed);
            assert_eq!(
                super::n_mails(posthorn, "lead", &format!("admin@{id}.example")),
                expected,
                "{source}"
            );
        }
    });
}
