//! What waits is told together, at the partner's fire.

use serde_json::{Value, json};

use super::{linked, n_mails};
use crate::support::posthorn::both;
use crate::support::records::{lead, partner};

/// `R-DIGEST`: urgent first, then newest; what was mailed singly today and is unanswered stands in a short section.
#[test]
fn a_digest_lists_urgent_ones_first_then_the_newest_and_names_what_was_mailed() {
    both(|posthorn| {
        posthorn
            .at("2026-03-01T10:00:00Z")
            .partner_records([partner("contoso").threshold(2)]);
        posthorn.leads([lead("yesterday").created("2026-03-01T09:00:00Z")]).work();
        posthorn.at("2026-03-02T10:00:00Z");
        posthorn.leads([
            lead("S1").created("2026-03-01T00:00:01Z"),
            lead("S2").created("2026-03-01T00:00:02Z"),
            lead("calm-old").created("2026-03-02T01:00:00Z"),
            lead("cools").created("2026-03-01T16:00:00.000Z").urgent(),
            lead("calm-new").created("2026-03-02T03:00:00Z"),
            lead("hot").created("2026-03-01T17:00:00.001Z").urgent(),
            lead("gone").created("2026-03-02T05:00:00Z"),
        ]);
        posthorn.work();
        posthorn.leads([
            lead("gone").updated("2026-03-02T11:00:00Z").status("Closed", "Declined"),
            lead("S2").updated("2026-03-02T11:00:00Z").status("Active", "Accepted"),
        ]);
        posthorn.at("2026-03-02T17:00:00Z").work();
        let digest = &posthorn.mails_of("digest")[0];
        assert_eq!(linked(digest), ["hot", "cools", "calm-new", "calm-old", "S1"], "{}", digest.text);
        for id in ["cools", "hot", "calm-new", "calm-old", "S1"] {
            assert!(digest.html.contains(&format!("https://portal.example/leads/{id}")), "{id}");
            assert!(digest.html.contains(&format!("Customer {id}")), "{id}");
        }
        posthorn
            .setting("policy.digest_includes_mailed", "false")
            .at("2026-03-02T18:00:00Z");
        posthorn
            .leads([lead("next").created("2026-03-02T17:30:00Z")])
            .at("2026-03-03T17:00:00Z")
            .work();
        let digests = posthorn.mails_of("digest");
        assert_eq!(linked(&digests[1]), ["next"]);
    });
}

/// `R-DIGEST`: nothing left: no mail.
#[test]
fn a_digest_with_nothing_left_to_say_is_no_mail() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(0)]);
        posthorn.leads([lead("A"), lead("B").expires("2026-03-02T17:00:00.000Z")]);
        posthorn.leads([lead("A").updated("2026-03-02T11:00:00Z").status("Closed", "Lost")]);
        posthorn.at("2026-03-02T17:00:00.000Z").work();
        assert!(posthorn.mails().is_empty(), "B expires at the very fire");
        posthorn
            .at("2026-03-02T18:00:00Z")
            .leads([lead("C")])
            .at("2026-03-03T17:00:00Z")
            .work();
        assert_eq!(linked(&posthorn.mails_of("digest")[0]), ["C"]);
    });
}

/// `R-DIGEST`: beyond the maximum the first are listed, the rest is counted, all are attached.
#[test]
fn a_long_digest_lists_the_first_counts_the_rest_and_attaches_all() {
    both(|posthorn| {
        posthorn.setting("policy.digest_max_listed", "3").at("2026-03-02T10:00:00Z");
        posthorn.partner_records([partner("many").threshold(0), partner("few").threshold(0)]);
        let of = |id: &str, n: u32| lead(&format!("{id}{n}")).partner(id).created(&format!("2026-03-02T0{n}:00:00Z"));
        posthorn.leads((1..=5).map(|n| of("many", n)).chain((1..=3).map(|n| of("few", n))));
        posthorn.leads([of("many", 1)
            .updated("2026-03-02T09:00:00Z")
            .customer("=HYPERLINK(\"https://evil.example\")")
            .urgent()]);
        posthorn.at("2026-03-02T17:00:00Z").work();
        let digests = posthorn.mails_of("digest");
        let [few, many] = digests.as_slice() else {
            panic!("two digests, not {}", digests.len())
        };
        assert_eq!(linked(few), ["few3", "few2", "few1"], "exactly the maximum is not cut");
        assert!(few.attachments.is_empty());
        assert_eq!(
            linked(many),
            ["many1", "many5", "many4"],
            "the urgent one is listed whatever its age"
        );
        assert!(
            many.subject.contains('5') && many.text.contains("2 more"),
            "{}\n{}",
            many.subject,
            many.text
        );
        let [(name, kind, bytes)] = many.attachments.as_slice() else {
            panic!("one attachment")
        };
        assert!(name.ends_with(".csv") && kind == "text/csv", "{name} {kind}");
        let csv = String::from_utf8(bytes.clone()).expect("it is text");
        let mut reader = csv::Reader::from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
        assert_eq!(rows.len(), 5, "{csv}");
        for cell in rows.iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "a formula: {cell}");
        }
    });
}

/// `R-DIGEST`: due at the next fire; one that was missed is made up once, at start.
#[test]
fn a_fire_missed_while_nobody_worked_is_made_up_once() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T17:00:00.000Z")
            .partner_records([partner("contoso").threshold(0)]);
        posthorn.leads([lead("A")]).work();
        assert!(posthorn.mails().is_empty(), "what comes at the very fire waits for the next");
        posthorn.at("2026-03-03T16:59:59.999Z").work();
        assert!(posthorn.mails().is_empty());
        posthorn
            .at("2026-03-06T09:00:00Z")
            .leads([lead("B").created("2026-03-06T08:00:00Z")])
            .work()
            .work();
        let digests = posthorn.mails_of("digest");
        assert_eq!(digests.len(), 1, "three fires were missed");
        assert_eq!(linked(&digests[0]), ["B", "A"], "B came before the digest was closed");
        posthorn
            .leads([lead("C").created("2026-03-06T08:00:00Z")])
            .at("2026-03-06T17:00:00Z")
            .work();
        let digests = posthorn.mails_of("digest");
        assert_eq!(linked(&digests[1]), ["C"]);
    });
}

/// `R-DIGEST`: a fixed time in a gap fires right after it, in an overlap at the first pass, once.
#[test]
fn a_fire_in_a_gap_or_an_overlap_comes_once() {
    both(|posthorn| {
        for (id, zone, cron, arrives, fires, next) in [
            (
                "ny-gap",
                "America/New_York",
                "15 2 * * *",
                "2026-03-08T00:00:00Z",
                "2026-03-08T07:00:00.000Z",
                "2026-03-09T06:15:00Z",
            ),
            (
                "gap",
                "Europe/Berlin",
                "30 2 * * *",
                "2026-03-28T12:00:00Z",
                "2026-03-29T01:00:00.000Z",
                "2026-03-30T00:30:00Z",
            ),
            (
                "lh-overlap",
                "Australia/Lord_Howe",
                "45 1 * * *",
                "2026-04-04T00:00:00Z",
                "2026-04-04T14:45:00.000Z",
                "2026-04-05T15:15:00Z",
            ),
            (
                "lh-gap",
                "Australia/Lord_Howe",
                "15 2 * * *",
                "2026-10-03T00:00:00Z",
                "2026-10-03T15:30:00.000Z",
                "2026-10-04T15:15:00Z",
            ),
            (
                "overlap",
                "Europe/Berlin",
                "30 2 * * *",
                "2026-10-24T12:00:00Z",
                "2026-10-25T00:30:00.000Z",
                "2026-10-26T01:30:00Z",
            ),
            (
                "ny-overlap",
                "America/New_York",
                "30 1 * * *",
                "2026-10-31T12:00:00Z",
                "2026-11-01T05:30:00.000Z",
                "2026-11-02T06:30:00Z",
            ),
        ] {
            let to = format!("admin@{id}.example");
            let one = |name: &str, created: &str| lead(&format!("{id}-{name}")).partner(id).created(created);
            posthorn
                .at(arrives)
                .partner_records([partner(id).threshold(0).zone(zone).cron(cron)]);
            posthorn.leads([one("A", arrives)]);
            let fire: chrono::DateTime<chrono::Utc> = fires.parse().expect("a literal");
            posthorn.at(&(fire - chrono::TimeDelta::milliseconds(1)).to_rfc3339()).work();
            assert_eq!(n_mails(posthorn, "digest", &to), 0, "{id}: a millisecond early");
            posthorn.at(fires).work();
            assert_eq!(n_mails(posthorn, "digest", &to), 1, "{id}: at its fire");
            posthorn.leads([one("B", fires)]);
            let next: chrono::DateTime<chrono::Utc> = next.parse().expect("a literal");
            posthorn.at(&(next - chrono::TimeDelta::milliseconds(1)).to_rfc3339()).work();
            assert_eq!(n_mails(posthorn, "digest", &to), 1, "{id}: no second fire that day");
            posthorn.at(&next.to_rfc3339()).work();
            assert_eq!(n_mails(posthorn, "digest", &to), 2, "{id}: the next day");
        }
    });
}

/// `R-DIGEST`: closed per partner, sent per address: each gets exactly the leads that it would have been mailed singly.
#[test]
fn each_address_of_a_digest_gets_exactly_its_leads() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        let record = partner("contoso")
            .threshold(0)
            .location("hq", true, &["hq@x.example", "both@x.example"])
            .location("ulm", false, &["ulm@x.example", "BOTH@x.example"]);
        posthorn.partner_records([record]);
        posthorn.leads([
            lead("H1").location("hq").created("2026-03-02T01:00:00Z"),
            lead("U1").location("ulm").created("2026-03-02T02:00:00Z"),
            lead("N1").created("2026-03-02T03:00:00Z"),
            lead("X1").location("gone").created("2026-03-02T04:00:00Z"),
        ]);
        posthorn.at("2026-03-02T17:00:00Z").work();
        let digests: Vec<(String, Vec<String>)> = posthorn
            .mails_of("digest")
            .iter()
            .map(|mail| (mail.to.clone(), linked(mail)))
            .collect();
        let expected = [
            ("both@x.example", vec!["X1", "N1", "U1", "H1"]),
            ("hq@x.example", vec!["X1", "N1", "H1"]),
            ("ulm@x.example", vec!["U1"]),
        ];
        let expected: Vec<(String, Vec<String>)> = expected
            .into_iter()
            .map(|(to, ids)| (to.to_owned(), ids.into_iter().map(str::to_owned).collect()))
            .collect();
        assert_eq!(digests, expected);
    });
}

/// `R-DIGEST`: the section of what was mailed names, to each address, what this address was mailed.
#[test]
fn the_mailed_section_is_each_addresss_own() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        let record = partner("contoso")
            .threshold(2)
            .location("hq", true, &["hq@x.example"])
            .location("ulm", false, &["ulm@x.example"]);
        posthorn.partner_records([record]);
        posthorn.leads([
            lead("H1").location("hq").created("2026-03-02T01:00:00Z"),
            lead("U1").location("ulm").created("2026-03-02T02:00:00Z"),
            lead("H2").location("hq").created("2026-03-02T03:00:00Z"),
            lead("U2").location("ulm").created("2026-03-02T04:00:00Z"),
        ]);
        posthorn.work().at("2026-03-02T17:00:00Z").work();
        let digests: Vec<(String, Vec<String>)> = posthorn
            .mails_of("digest")
            .iter()
            .map(|mail| (mail.to.clone(), linked(mail)))
            .collect();
        let expected = [("hq@x.example", ["H2", "H1"]), ("ulm@x.example", ["U2", "U1"])];
        assert_eq!(digests, expected.map(|(to, ids)| (to.to_owned(), ids.map(str::to_owned).to_vec())));
    });
}

/// `R-DIGEST`: a change of cron or zone, the partner's or the configured one, moves the digest that is being collected.
#[test]
fn a_change_of_cron_or_zone_moves_the_collecting_digest() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        let of = |id: &str| partner(id).threshold(0);
        posthorn.partner_records([
            of("cron"),
            of("zone"),
            of("default").with("timeZone", json!(null)),
            of("own").cron("0 17 * * *"),
        ]);
        for id in ["cron", "zone", "default", "own"] {
            posthorn.leads([lead(id).partner(id)]);
        }
        posthorn.partner_records([of("cron").cron("0 11 * * *"), of("zone").zone("America/New_York")]);
        posthorn.setting("policy.digest_cron", "0 12 * * *");
        for (at, expected) in [
            ("2026-03-02T11:00:00Z", vec!["cron"]),
            ("2026-03-02T11:59:59.999Z", vec!["cron"]),
            ("2026-03-02T12:00:00Z", vec!["cron", "default"]),
            ("2026-03-02T17:00:00Z", vec!["cron", "default", "own", "zone"]),
        ] {
            posthorn.at(at).work();
            let mut told: Vec<String> = posthorn.mails_of("digest").iter().flat_map(linked).collect();
            told.sort();
            assert_eq!(told, expected, "{at}: in New York noon is 17:00 UTC");
        }
    });
}

/// `R-DIGEST`: a cron that never fires, or leaves more than seven local days between two fires, is an error where it is set.
#[test]
fn a_cron_that_never_fires_or_too_rarely_is_refused() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        for (cron, is_taken) in [
            ("0 17 * * *", true),
            ("0 17 * * 1", true),
            ("0 9 1,8,15,22,29 * *", true),
            ("*/5 8-18 * * MON-FRI", true),
            ("0 17 31 2 *", false),
            ("0 17 1 * *", false),
            ("0 17 29 2 *", false),
            ("0 17 1-22 * *", false),
            ("0 17 * 1-11 *", false),
            ("61 * * * *", false),
            ("0 17 * *", false),
            ("0 0 17 * * *", false),
        ] {
            let file = posthorn.file("partner.json", &partner("contoso").cron(cron).build().to_string());
            let output = posthorn.run(&["partners", "import", &file]);
            assert_eq!(output.code, i32::from(!is_taken), "{cron:?}\n{output}");
            assert!(is_taken || output.all().contains("digestCron"), "{cron:?}\n{output}");
            posthorn.setting("policy.digest_cron", cron);
            let output = posthorn.run(&["work", "--until-idle"]);
            assert_eq!(output.code, if is_taken { 0 } else { 3 }, "{cron:?}\n{output}");
            assert!(is_taken || output.stderr.contains("policy.digest_cron"), "{cron:?}\n{output}");
            posthorn.setting("policy.digest_cron", "0 17 * * *");
        }
    });
}

/// `R-DIGEST`: a cron that changes after the fire was missed does not lose it.
#[test]
fn a_change_of_cron_moves_no_digest_past_a_fire_that_has_come() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        posthorn.partner_records([partner("own").threshold(0), partner("default").threshold(0)]);
        posthorn.leads([lead("A").partner("own"), lead("B").partner("default")]).work();
        posthorn
            .at("2026-03-02T17:00:01Z")
            .partner_records([partner("own").threshold(0).cron("0 9 * * *")]);
        posthorn.setting("policy.digest_cron", "0 9 * * *").work();
        let mut told: Vec<String> = posthorn.mails_of("digest").iter().flat_map(linked).collect();
        told.sort();
        assert_eq!(told, ["A", "B"]);
        posthorn.leads([lead("C").partner("own"), lead("D").partner("default")]);
        posthorn.at("2026-03-03T08:59:59.999Z").work();
        assert_eq!(posthorn.mails().len(), 2);
        posthorn.at("2026-03-03T09:00:00Z").work();
        assert_eq!(posthorn.mails().len(), 4);
    });
}

/// `R-DIGEST`: a manual run closes a digest early; a dry run says the same and changes nothing; the next fire sends only what came later.
#[test]
fn a_manual_run_closes_early_and_a_dry_run_changes_nothing() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        let hq = partner("contoso")
            .threshold(0)
            .location("hq", true, &["hq@x.example", "dead@x.example"])
            .location("ulm", false, &["ulm@x.example"]);
        posthorn.partner_records([hq, partner("quiet").threshold(0).preferred_silenced("q@x.example"), partner("idle")]);
        posthorn.ok(&["suppressions", "add", "dead@x.example"]);
        posthorn.leads([
            lead("A").location("hq"),
            lead("B").location("ulm"),
            lead("C").location("hq"),
            lead("Q").partner("quiet"),
        ]);
        posthorn.ok(&["leads", "accept", "C"]);
        let without_flags = |mut answer: Value| {
            answer["dryRun"] = json!(null);
            answer
        };
        let dry = posthorn.json(&["digest", "run", "--all", "--dry-run"]);
        assert_eq!(
            posthorn.json(&["digest", "run", "--all", "--dry-run"]),
            dry,
            "a dry run changes nothing"
        );
        let runs = dry["value"].as_array().expect("a list");
        assert_eq!(runs.len(), 2, "who has nothing waiting is left out: {dry}");
        assert_eq!(
            runs[0]["mails"],
            json!([{ "address": "hq@x.example", "leads": 1 }, { "address": "ulm@x.example", "leads": 1 }]),
            "{dry}"
        );
        assert_eq!((&runs[0]["leads"], &runs[0]["suppressed"]), (&json!(2), &json!(["dead@x.example"])));
        assert_eq!(
            (&runs[1]["mails"], &runs[1]["silenced"][0]["address"]),
            (&json!([]), &json!("q@x.example"))
        );
        posthorn.work();
        assert!(posthorn.mails().is_empty());
        posthorn.refused(5, &["digest", "run", "--all"]);
        posthorn.refused(5, &["digest", "run", "--partner", "nobody"]);
        let real = posthorn.json(&["digest", "run", "--all", "--yes"]);
        assert_eq!(without_flags(real), without_flags(dry), "the same code");
        posthorn.leads([lead("D")]).work();
        let told: Vec<Vec<String>> = posthorn.mails_of("digest").iter().map(linked).collect();
        assert_eq!(told, [["A"], ["B"]]);
        posthorn.at("2026-03-02T17:00:00Z").work();
        let digests = posthorn.mails_of("digest");
        assert_eq!(digests.last().map(linked), Some(vec!["D".to_owned()]));
        assert_eq!(digests.len(), 3, "the next fire sends only what came later");
        let alone = posthorn.json(&["digest", "run", "--partner", "contoso"]);
        assert_eq!(
            alone["value"][0]["digestId"],
            json!(null),
            "one partner is not asked for, and has nothing waiting"
        );
        posthorn.audit_is_clean();
    });
}

/// `R-DIGEST`: a digest with nothing left has a record that says so; the list tells how each was closed.
#[test]
fn the_list_of_digests_says_what_became_of_each() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z").partner_records([
            partner("empty").threshold(0),
            partner("full").threshold(0),
            partner("later").threshold(0).cron("0 18 * * *"),
        ]);
        posthorn.leads(["empty", "full", "later"].map(|id| lead(id).partner(id)));
        posthorn.ok(&["leads", "decline", "empty", "--reason", "x", "--no-customer-mail"]);
        posthorn.at("2026-03-02T17:00:00Z").work();
        let list = posthorn.json(&["digest", "list"]);
        let of = |id: &str| -> Value {
            let rows = list["value"].as_array().expect("a list");
            rows.iter().find(|row| row["partnerId"] == id).cloned().unwrap_or_default()
        };
        assert_eq!(
            (&of("empty")["state"], &of("empty")["closedBy"], &of("empty")["leads"]),
            (&json!("closed"), &json!("fire"), &json!(0)),
            "{list}"
        );
        assert_eq!(of("empty")["reason"], "none of its leads is still unanswered");
        assert_eq!(
            (&of("full")["state"], &of("full")["leads"], &of("full")["notice"]),
            (&json!("closed"), &json!(1), &json!("done")),
            "{list}"
        );
        assert_eq!(
            (&of("later")["state"], &of("later")["dueDateTime"]),
            (&json!("collecting"), &json!("2026-03-02T18:00:00.000Z")),
            "{list}"
        );
        let shown = posthorn.json(&["leads", "show", "full"]);
        assert_eq!(shown["posthorn"]["digestId"], of("full")["id"]);
        posthorn.audit_is_clean();
    });
}
