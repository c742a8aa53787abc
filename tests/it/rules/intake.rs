//! Which record stands, of several with one id.

use serde_json::{Value, json};

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, ndjson, partner};

fn name_of(posthorn: &Posthorn, id: &str) -> Value {
    posthorn.json(&["leads", "show", id])["name"].clone()
}

/// `R-INTAKE`: newer replaces, the same or an older one changes nothing, compared at the record's full precision.
#[test]
fn a_record_replaces_an_older_one_to_the_last_digit() {
    let steps: &[(Option<&str>, bool, &str)] = &[
        (Some("2026-03-02T08:00:00.0000001Z"), true, "100 ns newer than createdDateTime"),
        (Some("2026-03-02T08:00:00.0000001Z"), false, "the same"),
        (Some("2026-03-02T08:00:00.000000Z"), false, "older by 100 ns"),
        (Some("2026-03-02T08:00:00.0000002Z"), true, "newer by 100 ns"),
        (None, false, "without updatedDateTime it is as old as createdDateTime"),
        (
            Some("2026-03-02T09:00:00.0000002+01:00"),
            false,
            "the same instant in another offset",
        ),
        (
            Some("2026-03-02T09:30:00+01:00"),
            true,
            "later, though its digits come with an offset",
        ),
        (
            Some("2026-03-02T08:45:00-01:00"),
            true,
            "later still, though its digits are smaller than an hour in UTC",
        ),
        (Some("2026-03-02T09:44:59.9999999+00:00"), false, "100 ns older"),
        (Some("2026-03-02T09:45:00.0000000Z"), false, "the same, with seven zeros"),
    ];
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso")])
            .leads([lead("L1")])
            .work();
        let mut current = "Deal L1".to_owned();
        for (n, (updated, is_newer, why)) in steps.iter().enumerate() {
            let name = format!("Step {n}");
            let record = lead("L1").with("name", name.clone());
            posthorn.leads([match updated {
                Some(at) => record.updated(at),
                None => record,
            }]);
            if *is_newer {
                current = name;
            }
            assert_eq!(name_of(posthorn, "L1"), current, "{why}");
        }
        posthorn.work();
        assert_eq!(posthorn.mails().len(), 1, "nobody is notified a second time");
    });
}

/// `R-INTAKE`: an id may stand several times in one file, in any order; one notification, the newest content.
#[test]
fn the_newest_of_several_records_in_one_file_stands() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z").partner_records([partner("contoso")]);
        let at = |minute: u32| {
            let at = format!("2026-03-02T08:{minute:02}:00Z");
            lead("L1").updated(&at).with("name", format!("Minute {minute}"))
        };
        let file = posthorn.file(
            "mixed.ndjson",
            &ndjson([at(5), lead("L2"), at(30), at(10), lead("L2"), at(30).partner("other"), at(20)]),
        );
        assert_eq!(posthorn.run(&["import", &file]).code, 1, "one belongs to another partner");
        posthorn.work();
        assert_eq!(name_of(posthorn, "L1"), "Minute 30");
        assert_eq!(posthorn.mails().len(), 2);
        let mails = posthorn.mails();
        assert!(
            mails[0].subject.ends_with("Minute 30") || mails[1].subject.ends_with("Minute 30"),
            "the mail has the newest content"
        );
    });
}

/// `R-INTAKE`: what the mail says is what is known when it is rendered, also of an update in between.
#[test]
fn an_update_before_the_mail_goes_out_is_in_the_mail() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso")])
            .leads([lead("L1")]);
        let newer = lead("L1")
            .updated("2026-03-02T09:00:00Z")
            .customer("Newer Ltd")
            .with("extra", json!({ "deep": [1, null, "x"] }));
        posthorn.leads([newer]).work();
        let mails = posthorn.mails();
        assert_eq!(mails.len(), 1);
        assert!(
            mails[0].text.contains("Newer Ltd") && !mails[0].text.contains("Customer L1"),
            "{}",
            mails[0].text
        );
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["extra"], json!({ "deep": [1, null, "x"] }));
    });
}

/// `R-INTAKE`: a bad record among good ones stops none of them, whatever is wrong with it.
#[test]
fn bad_records_stop_no_good_one() {
    let bad: &[(&str, Lead)] = &[
        ("organizationId", lead("B1").without("organizationId")),
        ("createdDateTime", lead("B2").with("createdDateTime", "yesterday")),
        ("callToAction", lead("B3").offer("Contact")),
        ("customerProfile.name", lead("B4").without("customerProfile.name")),
        ("id", lead("").with("id", 7)),
        ("substatus", lead("B6").with("status", "Closed").without("substatus")),
        ("customerProfile", lead("B7").with("customerProfile", "x")),
        ("createdDateTime", lead("B8").with("createdDateTime", "2026-02-30T00:00:00Z")),
        (
            "qualification",
            lead("B9").with("qualification", "Direkt").with("direction", "Sideways"),
        ),
    ];
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z").partner_records([partner("contoso")]);
        let mut text = String::new();
        for (n, (_, record)) in bad.iter().enumerate() {
            text += &ndjson([lead(&format!("G{n}")), record.clone()]);
        }
        text += "{\"id\": \"cut off\n[1]\nnull\n";
        let file = posthorn.file("mixed.ndjson", &text);
        let output = posthorn.run(&["import", &file]);
        assert_eq!(output.code, 1, "{output}");
        for (n, (path, _)) in bad.iter().enumerate() {
            let line = format!("line {}: {path}", 2 * n + 2);
            assert!(output.stderr.contains(&line), "{line}\n{output}");
        }
        let rejected = posthorn.json(&["rejected", "list"]);
        assert_eq!(rejected["value"].as_array().map(Vec::len), Some(bad.len() + 3), "{rejected}");
        assert_eq!(posthorn.work().mails().len(), bad.len());
    });
}
