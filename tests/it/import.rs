//! Leads and partners come in: from any kind of file, once, and what is wrong with some keeps none of the others out.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, ndjson, partner};

const NOW: &str = "2026-03-02T09:00:00.000Z";

fn counts(n_new: u64, n_updated: u64, n_unchanged: u64) -> Value {
    json!({ "new": n_new, "updated": n_updated, "unchanged": n_unchanged, "rejected": [] })
}

/// `R-INTAKE`
#[test]
fn a_record_is_taken_in_once_and_replaced_by_a_newer_one() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let first = || lead("L1").updated("2026-03-02T08:00:00.000Z");
        let later = first().updated("2026-03-02T08:00:00.0000001Z").customer("Adatum");
        for (records, expected, why) in [
            (ndjson([first(), lead("L2")]), counts(2, 0, 0), "both are new"),
            (ndjson([first(), lead("L2")]), counts(0, 0, 2), "the same again"),
            (ndjson([later.clone()]), counts(0, 1, 0), "newer by a tenth of a microsecond"),
            (ndjson([first()]), counts(0, 0, 1), "an older one"),
            (ndjson([later, lead("L3"), lead("L3")]), counts(1, 0, 2), "twice in one file"),
        ] {
            let file = posthorn.file("leads.ndjson", &records);
            assert_eq!(posthorn.json(&["import", &file]), expected, "{why}");
        }
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["customerProfile"]["name"], "Adatum");
    });
}

/// When a lead was created does not change, whatever a newer record says: lists, urgency and expiry go by it.
#[test]
fn a_newer_record_does_not_move_when_a_lead_was_created() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let first = lead("L1").created("2026-03-02T08:00:00.000Z").urgent();
        let later = first
            .clone()
            .created("2026-02-01T08:00:00Z")
            .updated("2026-03-02T08:30:00Z")
            .customer("Adatum");
        posthorn.leads([first]).leads([later]);
        let shown = posthorn.json(&["leads", "show", "L1"]);
        assert_eq!(
            (&shown["customerProfile"]["name"], &shown["createdDateTime"]),
            (&json!("Adatum"), &json!("2026-03-02T08:00:00.000Z"))
        );
        let before = posthorn.json(&["leads", "list", "--created-before", "2026-02-15T00:00:00Z"]);
        assert_eq!(before["value"], json!([]), "{before}");
    });
}

#[test]
fn a_file_is_recognised_by_what_it_holds() {
    both(|posthorn| {
        posthorn.at(NOW);
        let csv = "id,organizationId,createdDateTime,customerProfile.name,customerProfile.team.0.email\n\
                   V1,contoso,2026-03-02T08:00:00Z,\"Fabrikam, Inc.\",ada@fabrikam.example\n";
        let pretty = serde_json::to_string_pretty(&lead("P1").build()).expect("a record can be written");
        for (name, content, n_new) in [
            ("lines", ndjson([lead("A1"), lead("A2")]), 2),
            ("one", pretty, 1),
            ("array", json!([lead("B1").build(), lead("B2").build()]).to_string(), 2),
            (
                "envelope",
                json!({ "value": [lead("C1").build()], "@odata.nextLink": "https://x.example" }).to_string(),
                1,
            ),
            ("csv", csv.to_owned(), 1),
            ("empty", String::new(), 0),
        ] {
            let file = posthorn.file(name, &content);
            assert_eq!(posthorn.json(&["import", &file]), counts(n_new, 0, 0), "{name}");
            let again = posthorn.run_with(&["--json", "import", "-"], &content);
            assert_eq!(again.code, 0, "{name}\n{again}");
            assert_eq!(
                serde_json::from_str::<Value>(&again.stdout).ok(),
                Some(counts(0, 0, n_new)),
                "{name} piped"
            );
        }
        assert_eq!(posthorn.json(&["leads", "show", "V1"])["customerProfile"]["name"], "Fabrikam, Inc.");
    });
}

/// `R-INTAKE`: whoever sent the records is told of each line, and of all of its faults.
#[test]
fn one_bad_record_never_stops_a_file() {
    both(|posthorn| {
        posthorn.at(NOW);
        let bad = lead("L2").with("callToAction", "Contact").without("organizationId");
        let content = format!("{}not json\n{}", ndjson([lead("L1"), bad]), ndjson([lead("L4")]));
        let file = posthorn.file("leads.ndjson", &content);
        let output = posthorn.run(&["import", &file]);
        assert_eq!(output.code, 1, "{output}");
        assert_eq!(output.stdout, "leads.ndjson: 2 new, 0 updated, 0 unchanged, 2 rejected.\n");
        for told in [
            "line 2: organizationId: missing; expected a text of 1 to 200 characters\n",
            "line 2: callToAction: \"Contact\" is not one of GetItNow, FreeTrial, TestDrive, ContactMe\n",
            "line 3: not json is not JSON",
            "`posthorn rejected list`",
        ] {
            assert!(output.stderr.contains(told), "{told}\n{output}");
        }
        let again = posthorn.run(&["--json", "import", &file]);
        let answer: Value = serde_json::from_str(&again.stdout).expect("one JSON value");
        assert_eq!(
            (&answer["unchanged"], &answer["rejected"][0]["line"]),
            (&json!(2), &json!(2)),
            "{again}"
        );
        assert_eq!(answer["rejected"][0]["faults"].as_array().map(Vec::len), Some(2), "{again}");
        assert_eq!(answer["rejected"][1]["line"], 3, "{again}");
        for id in ["L1", "L4"] {
            posthorn.ok(&["leads", "show", id]);
        }
    });
}

/// `R-INTAKE`
#[test]
fn the_lead_of_another_partner_is_not_taken_over() {
    both(|posthorn| {
        posthorn.at(NOW).leads([lead("L1")]);
        let file = posthorn.file(
            "other.ndjson",
            &ndjson([lead("L1").partner("fabrikam").updated("2026-03-02T08:30:00Z")]),
        );
        let stderr = posthorn.refused(1, &["import", &file]);
        assert!(
            stderr.contains("line 1: organizationId: \"fabrikam\" is not the partner whose lead this is\n"),
            "{stderr}"
        );
        assert!(!stderr.contains("contoso"), "{stderr}");
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["organizationId"], "contoso");
    });
}

#[test]
fn what_is_wrong_with_a_file_as_a_whole_is_told_and_what_came_before_stays() {
    both(|posthorn| {
        posthorn.at(NOW);
        let cut_short = json!([lead("L1").build(), lead("L2").build()]).to_string();
        let file = posthorn.file("cut.json", &cut_short[..cut_short.len() - 1]);
        let output = posthorn.run(&["--json", "import", &file]);
        assert_eq!(output.code, 3, "{output}");
        assert_eq!(
            serde_json::from_str::<Value>(&output.stdout).ok(),
            Some(counts(2, 0, 0)),
            "{output}"
        );
        assert!(
            output.stderr.contains("cut.json:1: the list ends without its closing bracket"),
            "{output}"
        );
        posthorn.ok(&["leads", "show", "L2"]);

        let zip = posthorn.file("leads.csv", "PK\u{3}\u{4}");
        assert!(posthorn.refused(3, &["import", &zip]).contains("found a zip archive or a workbook"));
        let missing = posthorn.refused(3, &["import", "no-such-file.ndjson"]);
        assert!(
            missing.contains("no-such-file.ndjson: cannot be opened for reading: No such file"),
            "{missing}"
        );
    });
}

#[test]
fn a_mistyped_name_makes_no_database() {
    let posthorn = Posthorn::sqlite();
    posthorn.unmigrated();
    posthorn.refused(3, &["import", "laeds.ndjson"]);
    posthorn.refused(3, &["partners", "import", "parntners.ndjson"]);
    assert!(!posthorn.folder().join("posthorn.db").exists());
    posthorn.at(NOW).leads([lead("L1")]);
    assert!(posthorn.folder().join("posthorn.db").exists());
}

/// `R-BACKFILL`
#[test]
fn a_file_that_would_send_many_mails_asks() {
    both(|posthorn| {
        posthorn.at(NOW).setting("policy.confirm_above", "2");
        posthorn.partner_records([partner("contoso").admin("second@contoso.example"), partner("fabrikam").threshold(0)]);
        let of_fabrikam = |ids: [&str; 3]| ids.map(|id| lead(id).partner("fabrikam"));
        let one = posthorn.file("one.ndjson", &ndjson([lead("A1")]));
        let digest = posthorn.file("digest.ndjson", &ndjson(of_fabrikam(["D1", "D2", "D3"])));
        let two = ndjson([lead("B1"), lead("B2")]);
        let many = posthorn.file("many.ndjson", &two);
        assert_eq!(posthorn.json(&["import", &one]), counts(1, 0, 0), "two mails are not above two");
        assert_eq!(posthorn.json(&["import", &digest]), counts(3, 0, 0), "a digest is one mail");
        let stderr = posthorn.refused(5, &["import", &many]);
        assert!(stderr.contains("this would send 4 mails") && stderr.contains("--yes"), "{stderr}");
        posthorn.refused(5, &["leads", "show", "B1"]);
        assert_eq!(posthorn.json(&["import", "--yes", &many]), counts(2, 0, 0));

        let known = posthorn.json(&["import", &many]);
        assert_eq!(known, counts(0, 0, 2), "what is here sends no second mail, and so nobody is asked");
        let quiet = posthorn.file("quiet.ndjson", &ndjson([lead("Q1"), lead("Q2")]));
        assert_eq!(posthorn.json(&["import", "--no-notify", &quiet]), counts(2, 0, 0));
        let piped = posthorn.run_with(&["import", "-"], &ndjson([lead("P1"), lead("P2")]));
        assert_eq!(piped.code, 0, "standard input, the way in for programs, does not ask\n{piped}");
    });
}

/// `R-BACKFILL`
#[test]
fn a_file_taken_in_quietly_is_history() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let file = posthorn.file("last-year.ndjson", &ndjson([lead("Q1").urgent()]));
        posthorn.ok(&["import", "--no-notify", &file]);
        posthorn.leads([
            lead("L1"),
            lead("D1").status("Closed", "Declined"),
            lead("E1").created("2026-02-01T00:00:00Z"),
        ]);
        for (id, quiet, day_number, substatus) in [
            ("Q1", true, Value::Null, "Received"),
            ("L1", false, json!(1), "Received"),
            ("D1", true, Value::Null, "Declined"),
            ("E1", true, Value::Null, "Expired"),
        ] {
            let shown = posthorn.json(&["leads", "show", id]);
            assert_eq!(shown["posthorn"]["quiet"], quiet, "{id}");
            assert_eq!(shown["posthorn"]["dayNumber"], day_number, "{id}");
            assert_eq!(shown["substatus"], substatus, "{id}");
        }
    });
}

/// `R-CHANNEL`: counted in the order of creation within a batch, wherever the records stand in it, and on from batch to batch.
#[test]
fn a_days_leads_are_numbered_across_batches() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let of = |n: u32| lead(&format!("L{n:04}")).created(&format!("2026-03-02T{:02}:{:02}:00Z", 1 + n / 600, n / 10 % 60));
        let records: Vec<Lead> = (1..=1000).rev().chain(1001..=1050).map(of).collect();
        let file = posthorn.file("leads.ndjson", &ndjson(records));
        assert_eq!(posthorn.json(&["import", &file]), counts(1050, 0, 0));
        for (id, number, channel) in [
            ("L0001", 1, "single"),
            ("L0010", 10, "single"),
            ("L0011", 11, "digest"),
            ("L1000", 1000, "digest"),
            ("L1050", 1050, "digest"),
        ] {
            let shown = posthorn.json(&["leads", "show", id]);
            assert_eq!(shown["posthorn"]["dayNumber"], number, "{id}");
            assert_eq!(shown["posthorn"]["channel"], channel, "{id}");
        }
    });
}

/// `R-INTAKE`: a marketplace lead has no id; partner, content and place make one.
#[test]
fn the_same_file_of_marketplace_leads_is_the_same_leads() {
    both(|posthorn| {
        posthorn.at(NOW);
        let record = json!({
            "UserDetails": { "FirstName": "Ada", "LastName": "Byron", "Email": "ada@fabrikam.example", "Company": "Fabrikam" },
            "LeadSource": "SPZA-PLT|Offer",
        });
        let twice = ndjson([record.clone(), record]);
        let file = posthorn.file("market.ndjson", &twice);
        let stderr = posthorn.refused(1, &["import", &file]);
        assert!(
            stderr.contains("line 2: organizationId: missing") && stderr.contains("--partner ID"),
            "{stderr}"
        );

        let import = ["import", "--partner", "contoso"];
        assert_eq!(
            posthorn.json(&[&import[..], &[&file]].concat()),
            counts(2, 0, 0),
            "two lines are two leads"
        );
        fs::create_dir(posthorn.folder().join("again")).expect("a folder can be made");
        let moved = posthorn.file("again/market.ndjson", &twice);
        assert_eq!(
            posthorn.json(&[&import[..], &[&moved]].concat()),
            counts(0, 0, 2),
            "wherever it lies"
        );
        let other = posthorn.file("other.ndjson", &twice);
        assert_eq!(posthorn.json(&[&import[..], &[&other]].concat()), counts(2, 0, 0), "another file");
        assert_eq!(
            posthorn.json(&["import", "--partner", "fabrikam", &file]),
            counts(2, 0, 0),
            "another partner"
        );
    });
}

/// A pipe may stay open for days: what was written to it is taken in meanwhile.
#[test]
fn a_lead_in_a_pipe_is_taken_in_before_the_pipe_ends() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let pipe = posthorn.folder().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run").success());
        let mut import = posthorn.start(&["import", &pipe.to_string_lossy()]);
        let mut writer = OpenOptions::new().write(true).open(&pipe).expect("the pipe is read");
        for id in ["L1", "L2"] {
            writer.write_all(ndjson([lead(id)]).as_bytes()).expect("the pipe takes it");
            import.until("the lead is there", || posthorn.run(&["leads", "show", id]).code == 0);
        }
        drop(writer);
        let output = import.wait();
        assert_eq!(
            (output.code, &*output.stdout),
            (0, "pipe: 2 new, 0 updated, 0 unchanged, 0 rejected.\n"),
            "{output}"
        );
    });
}

#[test]
fn partners_are_told_apart_by_what_became_of_them() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso"), partner("fabrikam")]);
        let bad = partner("adatum").with("timeZone", "Mars/Olympus").with("digestThreshold", -1);
        let records = ndjson([
            partner("contoso"),
            partner("fabrikam").zone("Europe/Berlin"),
            bad,
            partner("woodgrove"),
        ]);
        let file = posthorn.file("partners.ndjson", &records);
        let output = posthorn.run(&["partners", "import", &file]);
        assert_eq!(output.code, 1, "{output}");
        assert_eq!(output.stdout, "partners.ndjson: 1 new, 1 replaced, 1 unchanged, 1 rejected.\n");
        for told in ["line 3: timeZone: \"Mars/Olympus\" is not", "line 3: digestThreshold: -1 is not"] {
            assert!(output.stderr.contains(told), "{told}\n{output}");
        }
        let again = posthorn.run(&["--json", "partners", "import", &file]);
        let answer: Value = serde_json::from_str(&again.stdout).expect("one JSON value");
        assert_eq!(
            (&answer["unchanged"], &answer["rejected"][0]["line"]),
            (&json!(3), &json!(3)),
            "{again}"
        );
        let csv = posthorn.file("partners.csv", "id,name\ncontoso,Contoso\n");
        assert!(
            posthorn
                .refused(3, &["partners", "import", &csv])
                .contains("CSV, which is for leads only")
        );
    });
}
