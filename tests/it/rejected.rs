//! Records that were refused are kept whole, and are taken in when they are right.

use serde_json::{Value, json};

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, ndjson, partner};

const NOW: &str = "2026-03-02T09:00:00.000Z";

#[track_caller]
fn import_bad<I: IntoIterator<Item = Lead>>(posthorn: &Posthorn, records: I) {
    let file = posthorn.file("leads.ndjson", &ndjson(records));
    posthorn.refused(1, &["import", &file]);
}

#[track_caller]
fn list(posthorn: &Posthorn) -> Vec<Value> {
    let answer = posthorn.json(&["rejected", "list"]);
    answer["value"].as_array().expect("a list").clone()
}

fn id_of(rejected: &Value) -> String {
    rejected["id"].to_string()
}

/// `R-INTAKE`
#[test]
fn a_rejected_record_is_kept_with_all_of_its_faults() {
    both(|posthorn| {
        posthorn.at(NOW);
        import_bad(
            posthorn,
            [
                lead("L1"),
                lead("L2").without("createdDateTime").with("callToAction", "Contact"),
                lead("L3").partner("fabrikam").with("quality", "Medium"),
            ],
        );
        let open = list(posthorn);
        assert_eq!(open.len(), 2, "{open:?}");
        assert_eq!((&open[0]["source"], &open[0]["line"]), (&json!("leads.ndjson"), &json!(2)));
        assert_eq!(open[0]["receivedDateTime"], NOW);
        assert_eq!(open[0]["faults"].as_array().map(Vec::len), Some(2), "{open:?}");
        let shown = posthorn.json(&["rejected", "show", &id_of(&open[0])]);
        assert_eq!((&shown["record"]["id"], &shown["state"]), (&json!("L2"), &json!("open")));
        let page = posthorn.ok(&["rejected", "show", &id_of(&open[0])]);
        assert!(page.contains("leads.ndjson:2") && page.contains("\"id\": \"L2\""), "{page}");
        let of_fabrikam = posthorn.json(&["rejected", "list", "--partner", "fabrikam"]);
        assert_eq!(of_fabrikam["value"], json!([open[1]]));

        import_bad(
            posthorn,
            [lead("L1"), lead("L2").without("createdDateTime").with("callToAction", "Contact")],
        );
        assert_eq!(list(posthorn).len(), 2, "the same line of the same file again is no second record");
        let row = posthorn.ok(&["rejected", "list"]);
        assert!(row.contains("\tleads.ndjson:2\t2\tcreatedDateTime: missing"), "{row}");
    });
}

/// Whatever comes, it is kept: long ones, and the same twice on one line.
#[test]
fn a_long_record_and_a_doubled_one_are_kept() {
    both(|posthorn| {
        posthorn.at(NOW);
        // Text that does not compress: an index entry of PostgreSQL holds a third of a page.
        let mut seed = 1_u64;
        let noise: String = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:016x}", seed ^ (seed >> 29))
        })
        .take(2000)
        .collect();
        let file = posthorn.file(
            "long.ndjson",
            &ndjson([lead("L1").with("details.notes", noise.as_str()).without("organizationId")]),
        );
        posthorn.refused(1, &["import", &file]);
        let doubled = posthorn.file("doubled.json", "[{}, {}, {\"id\": \"L2\"}]");
        posthorn.refused(1, &["import", &doubled]);
        let open = list(posthorn);
        assert_eq!(open.len(), 3, "{open:?}");
        let shown = posthorn.json(&["rejected", "show", &id_of(&open[0])]);
        assert_eq!(shown["record"]["details"]["notes"], noise);
    });
}

/// `R-INTAKE`
#[test]
fn a_corrected_record_is_taken_in_where_the_first_one_stood() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        import_bad(
            posthorn,
            [
                lead("L1").with("callToAction", "Contact"),
                lead("L2").without("customerProfile.name"),
            ],
        );
        let open = list(posthorn);
        let [first, second] = [id_of(&open[0]), id_of(&open[1])];
        let told = posthorn.refused(1, &["rejected", "retry", &first, &second]);
        assert!(
            told.contains(&format!("record {first}: callToAction: \"Contact\" is not one of"))
                && told.contains(&format!("record {second}: customer")),
            "{told}"
        );
        assert_eq!(list(posthorn), open, "what is wrong still is still there, once");

        let worse = posthorn.file("worse.json", &lead("L1").with("callToAction", "Call").build().to_string());
        assert!(
            posthorn
                .refused(1, &["rejected", "retry", &first, "--with", &worse])
                .contains("\"Call\" is not one of")
        );
        assert_eq!(list(posthorn), open, "the faults of another text are not those of this one");

        let corrected = posthorn.file("corrected.json", &lead("L1").with("callToAction", "ContactMe").build().to_string());
        let answer = posthorn.json(&["rejected", "retry", &first, "--with", &corrected]);
        assert_eq!(answer["value"], json!([{ "id": open[0]["id"], "outcome": "new", "leadId": "L1" }]));
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["posthorn"]["dayNumber"], 1);
        assert_eq!(list(posthorn), open[1..]);
        assert_eq!(posthorn.json(&["rejected", "show", &first])["state"], "taken_in");
        assert!(
            posthorn
                .refused(5, &["rejected", "retry", &first])
                .contains("has been taken in since")
        );
        posthorn.refused(2, &["rejected", "retry", &first, &second, "--with", &corrected]);
        let several = posthorn.file("several.ndjson", &ndjson([lead("L1"), lead("L2")]));
        posthorn.refused(3, &["rejected", "retry", &second, "--with", &several]);
    });
}

/// `R-INTAKE`, `R-BACKFILL`: how it came then is how it comes now.
#[test]
fn a_record_that_is_tried_again_comes_as_it_came() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let good = json!({ "UserDetails": { "Company": "Fabrikam" }, "LeadSource": "SPZA-PLT|Offer" });
        let bad = json!({ "UserDetails": {}, "LeadSource": "SPZA-PLT|Offer" });
        let import = ["import", "--no-notify", "--partner", "contoso"];
        let file = posthorn.file("market.ndjson", &ndjson([bad.clone(), bad]));
        posthorn.refused(1, &[&import[..], &[&file]].concat());
        let open = list(posthorn);
        assert_eq!(open[1]["partnerId"], "contoso");
        let corrected = posthorn.file("corrected.json", &good.to_string());
        let answer = posthorn.json(&["rejected", "retry", &id_of(&open[1]), "--with", &corrected]);
        let lead_id = answer["value"][0]["leadId"].as_str().expect("it is taken in").to_owned();
        let shown = posthorn.json(&["leads", "show", &lead_id]);
        assert_eq!(
            (&shown["organizationId"], &shown["posthorn"]["quiet"]),
            (&json!("contoso"), &json!(true))
        );

        let whole = posthorn.file("market.ndjson", &ndjson([good.clone(), good]));
        let answer = posthorn.json(&[&import[..], &[&whole]].concat());
        assert_eq!(
            (&answer["new"], &answer["unchanged"]),
            (&json!(1), &json!(1)),
            "line 2 is here already"
        );
    });
}

/// `R-INTAKE`
#[test]
fn a_record_that_only_the_store_refuses_keeps_its_row() {
    both(|posthorn| {
        posthorn.at(NOW).leads([lead("L1")]);
        import_bad(posthorn, [lead("L1").partner("fabrikam"), lead("L2").without("organizationId")]);
        let open = list(posthorn);
        let told = posthorn.refused(1, &["rejected", "retry", "--all"]);
        assert!(told.contains("\"fabrikam\" is not the partner whose lead this is"), "{told}");
        let corrected = posthorn.file("corrected.json", &lead("L1").partner("adatum").build().to_string());
        posthorn.refused(1, &["rejected", "retry", &id_of(&open[0]), "--with", &corrected]);
        assert_eq!(list(posthorn).len(), 2, "no second row");
        let corrected = posthorn.file("corrected.json", &lead("L1").updated("2026-03-02T08:30:00Z").build().to_string());
        let answer = posthorn.json(&["rejected", "retry", &id_of(&open[0]), "--with", &corrected]);
        assert_eq!(answer["value"][0]["outcome"], "updated");
    });
}

#[test]
fn what_will_never_be_taken_in_is_discarded() {
    both(|posthorn| {
        posthorn.at(NOW);
        let bad: Vec<Lead> = (1..=45).map(|n| lead(&format!("L{n}")).without("organizationId")).collect();
        import_bad(posthorn, bad);
        let open = list(posthorn);
        posthorn.refused(5, &["rejected", "discard", &id_of(&open[0]), "999999"]);
        assert_eq!(list(posthorn).len(), 45, "a mistyped id stops all of it");
        let said = posthorn.ok(&["rejected", "discard", &id_of(&open[0]), &id_of(&open[1])]);
        assert_eq!(said, "2 records are discarded.\n");
        let told = posthorn.refused(5, &["rejected", "discard", "--all"]);
        assert!(told.contains("this would discard 43 records for good"), "{told}");
        assert_eq!(
            posthorn.json(&["rejected", "discard", "--all", "--yes"]),
            json!({ "discarded": 43 })
        );
        assert_eq!(list(posthorn), Vec::<Value>::new());
        posthorn.refused(5, &["rejected", "retry", &id_of(&open[0])]);
        let unknown = posthorn.refused(5, &["rejected", "show", "x"]);
        assert!(
            unknown.contains("there is no rejected record x; `posthorn rejected list` names them"),
            "{unknown}"
        );
    });
}

/// `R-INTAKE`: what is refused for what is stored is kept whole as well, though it could be read.
#[test]
fn a_record_of_another_partners_lead_is_kept_with_its_content() {
    both(|posthorn| {
        posthorn.leads([lead("L1")]);
        let file = posthorn.file(
            "other.ndjson",
            &ndjson([lead("L1").partner("fabrikam").with("details.notes", "mine")]),
        );
        let output = posthorn.run(&["import", "--yes", &file]);
        assert_eq!(output.code, 1, "{output}");
        let shown = posthorn.ok(&["rejected", "show", "1"]);
        assert!(shown.contains("fabrikam") && shown.contains("mine"), "{shown}");
    });
}

/// `R-EXPIRY`: what came wrong of a lead shows no more of its customer than the lead itself.
#[test]
fn a_rejected_record_of_an_expired_lead_shows_no_contact_data() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let wrong = |id: &str| lead(id).with("callToAction", "Contact");
        import_bad(posthorn, [wrong("corrected"), wrong("wrong")]);
        posthorn.leads([lead("corrected")]);
        let is_shown = |id: &str| {
            let texts = [
                posthorn.ok(&["rejected", "show", id]),
                posthorn.json(&["rejected", "show", id]).to_string(),
            ];
            let [page, json] = texts.map(|text| text.contains("ada@fabrikam.example"));
            assert_eq!(page, json);
            page
        };
        posthorn.at("2026-03-16T07:59:59.999Z");
        assert_eq!((is_shown("1"), is_shown("2")), (true, true));
        posthorn.at("2026-03-16T08:00:00.000Z");
        assert_eq!(
            (is_shown("1"), is_shown("2")),
            (false, true),
            "the second one has to be corrected, and is no lead"
        );
        assert_eq!(
            posthorn.json(&["rejected", "show", "1"])["record"]["customerProfile"]["team"],
            json!([])
        );
    });
}

/// `R-INTAKE`: the corrected record is imported like any other, and nobody has to tell the list of it.
#[test]
fn a_rejected_record_leaves_the_list_when_its_lead_comes_in_corrected() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]);
        let wrong = |id: &str| lead(id).with("callToAction", "Contact");
        import_bad(
            posthorn,
            [
                wrong("L1"),
                wrong("L2").updated("2026-03-02T08:30:00.0000002Z"),
                wrong("L3").partner("fabrikam"),
                wrong("L4").without("organizationId"),
                wrong("L5"),
            ],
        );
        let names = || -> Vec<i64> { list(posthorn).iter().filter_map(|one| one["line"].as_i64()).collect() };
        assert_eq!(names(), [1, 2, 3, 4, 5]);
        posthorn.leads([
            lead("L1"),
            lead("L2").updated("2026-03-02T08:30:00.0000001Z"),
            lead("L3"),
            lead("L4"),
        ]);
        assert_eq!(
            names(),
            [2, 3, 5],
            "L2's was newer, L3's is of another partner, and of L5 nothing came"
        );
        let first = posthorn.json(&["rejected", "show", "1"]);
        assert_eq!(first["state"], "taken_in");
        posthorn.leads([lead("L2").updated("2026-03-02T08:30:00.0000002Z")]);
        assert_eq!(names(), [3, 5]);
        import_bad(posthorn, [wrong("L1")]);
        assert_eq!(
            names(),
            [3, 5],
            "the same wrong line again is the same record, and that was corrected"
        );
    });
}
