//! Erasing the personal data of leads, in the operator's and the portal's hands (`R-ERASE`).

use serde_json::{Value, json};

use crate::api::{bring, fresh, put_partner, served};
use crate::doors::{token, with_tokens};
use crate::support::database::query;
use crate::support::posthorn::{Mail, Posthorn, both};
use crate::support::records::{lead, partner};
use crate::support::web::Web;

const NOW: &str = "2026-03-02T09:00:00.000Z";

/// What of an ordinary lead, and of what is said of it here, names or describes its customer.
const PERSONAL: [&str; 11] = [
    "Byron",
    "ada@fabrikam",
    "fabrikam.example",
    "496 0000",
    "Market Street",
    "LS1 4AP",
    "Leeds",
    "Please call",
    "Deal L",
    "Customer L",
    "too rude",
];

/// Returns every text that the database holds, as `table.column: text`.
fn texts(posthorn: &Posthorn) -> Vec<String> {
    let columns = match posthorn.is_postgres() {
        true => {
            "select table_name::text, column_name::text from information_schema.columns where table_schema = 'public' and data_type = 'text'"
        }
        false => {
            "select t.name, c.name from sqlite_master as t, pragma_table_info(t.name) as c where t.type = 'table' and lower(c.type) = 'text'"
        }
    };
    let mut texts = Vec::new();
    for column in query(posthorn, columns) {
        let (table, column) = (&column[0], &column[1]);
        let rows = query(posthorn, &format!("select {column} from {table} where {column} is not null"));
        texts.extend(rows.concat().into_iter().map(|text| format!("{table}.{column}: {text}")));
    }
    assert!(texts.len() > 50, "the database was not read: {texts:#?}");
    texts
}

/// Returns what of a customer is found in the database, and where.
fn found(posthorn: &Posthorn) -> Vec<String> {
    let named = |text: &String| PERSONAL.iter().any(|personal| text.contains(personal));
    texts(posthorn).into_iter().filter(named).collect()
}

/// A page is wrapped for a terminal.
fn unwrapped(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes a bounce of a mail as Postfix would.
fn bounce(mail: &Mail, words: &str) -> String {
    format!(
        "Return-Path: <>\nDelivered-To: bounces@portal.example\nFrom: MAILER-DAEMON@mx.fabrikam.example\nTo: bounces@portal.example\n\
         Subject: Undelivered\nAuto-Submitted: auto-replied\nMessage-ID: <{}>\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nAda Byron is gone.\n\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.fabrikam.example\n\nFinal-Recipient: rfc822; {}\nAction: failed\n\
         Status: 5.1.1\nRemote-MTA: dns; mx.fabrikam.example\nDiagnostic-Code: smtp; {words}\n\n\
         --b\nContent-Type: text/rfc822-headers\n\nTo: {}\nMessage-ID: <{}>\n\n--b--\n",
        mail.message_id.replace('@', ".bounce@"),
        mail.to,
        mail.to,
        mail.message_id
    )
}

/// `R-ERASE`: after all that may happen to leads, no text of the database names the customer any more; what counts is still there.
#[test]
fn nothing_that_names_the_customer_is_left_in_the_database() {
    both(|posthorn| {
        posthorn
            .setting("mail.keep_sent", "60d")
            .setting("portal.lead_desk", "desk@portal.example")
            .setting("policy.remind_by_mail", "true")
            .setting("policy.digest_threshold", "2");
        posthorn.at(NOW).partner_records([partner("contoso")]);
        posthorn.leads(["L1", "L2", "L3", "L4", "L5"].map(lead));
        let marketplace = json!({
            "UserDetails": { "FirstName": "Ada", "LastName": "Byron", "Email": "ada@fabrikam.example", "Phone": "+44 113 496 0000", "Company": "Byron Ltd" },
            "LeadSource": "SPZA-PLT|Offer", "Description": "Please call.",
        });
        let file = posthorn.file("market.json", &marketplace.to_string());
        posthorn.ok(&["import", "--partner", "contoso", &file]);
        let wrong = posthorn.file("wrong.json", &lead("L1").with("callToAction", "Call Byron").build().to_string());
        posthorn.refused(1, &["import", &wrong]);
        posthorn.work();
        posthorn.ok(&[
            "leads",
            "accept",
            "L1",
            "--deal-name",
            "For Ada Byron",
            "--notes",
            "Please call Ada",
            "--value",
            "5",
            "--currency",
            "EUR",
        ]);
        posthorn.ok(&["leads", "decline", "L2", "--reason", "Byron was too rude", "--by", "kim"]);
        posthorn.work();
        let declined = posthorn.mails_of("decline").remove(0);
        let file = posthorn.file("bounce.eml", &bounce(&declined, "550 5.1.1 no Ada Byron here"));
        posthorn.ok(&["bounces", "import", &file]);
        posthorn.at("2026-03-02T17:00:00Z").work();
        let digest = posthorn.mails_of("digest").remove(0);
        let file = posthorn.file("digest.eml", &bounce(&digest, "552 5.2.2 too much of Byron"));
        posthorn.ok(&["bounces", "import", &file]);
        for later in [
            "2026-03-13T08:00:00Z",
            "2026-03-14T00:00:00Z",
            "2026-03-16T08:00:00Z",
            "2026-03-16T09:00:00Z",
        ] {
            posthorn.at(later).work();
        }
        assert!(found(posthorn).len() > 20, "else there is nothing to erase: {:#?}", found(posthorn));

        let listed = posthorn.json(&["leads", "list"]);
        let ids: Vec<&str> = listed["value"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|lead| lead["id"].as_str())
            .collect();
        assert_eq!(ids.len(), 6);
        posthorn.ok(&[&["erase", "--yes", "--by", "dpo", "--reason", "asked for"][..], &ids].concat());
        assert_eq!(found(posthorn), Vec::<String>::new());
        assert_eq!(query(posthorn, "select 'a mail' from kept_mail").len(), 0);

        let again = posthorn.json(&["leads", "list"]);
        assert_eq!(again["value"].as_array().map(Vec::len), Some(6), "tombstones are listed");
        let accepted = posthorn.json(&["leads", "show", "L1"]);
        assert_eq!(
            (
                &accepted["substatus"],
                &accepted["details"],
                &accepted["posthorn"]["erasedDateTime"]
            ),
            (
                &json!("Accepted"),
                &json!({ "dealValue": 5, "currency": "EUR" }),
                &json!("2026-03-16T09:00:00.000Z")
            )
        );
        for id in &ids {
            let told = unwrapped(&posthorn.ok(&["explain", id]));
            assert!(
                told.contains("R-ERASE") && told.contains("erased on request by dpo: asked for"),
                "{told}"
            );
        }
        posthorn.audit_is_clean();
        posthorn.at("2026-03-17T09:00:00Z").work().audit_is_clean();
        // What comes again, be it newer, wrong or a bounce, brings nothing back.
        posthorn.leads([lead("L3").updated("2026-03-16T10:00:00Z")]);
        posthorn.refused(1, &["import", &wrong]);
        let late = bounce(&digest, "552 5.2.2 too much of Byron").replace(".bounce@", ".late@");
        let late = posthorn.file("late.eml", &late);
        posthorn.ok(&["bounces", "import", &late]);
        assert_eq!(found(posthorn), Vec::<String>::new());
        assert_eq!(posthorn.json(&["leads", "list"])["value"].as_array().map(Vec::len), Some(6));
        posthorn.audit_is_clean();
    });
}

/// `R-ERASE`: it asks, tells of unknown leads one by one and does the others, and does it once.
#[test]
fn leads_are_erased_by_hand_one_by_one() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]).leads(["L1", "L2"].map(lead));
        let asked = posthorn.refused(5, &["erase", "L1"]);
        assert!(
            asked.contains("erase the personal data of lead L1 for good") && asked.contains("--yes"),
            "{asked}"
        );
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["posthorn"]["erasedDateTime"], Value::Null);
        let output = posthorn.run(&["erase", "L1", "L8", "L9", "L2", "--yes"]);
        assert_eq!(output.code, 1, "{output}");
        assert_eq!(
            output.stdout,
            "The personal data of lead L1 is erased.\nThe personal data of lead L2 is erased.\n"
        );
        assert!(
            output.stderr.contains("there is no lead L8") && output.stderr.contains("there is no lead L9"),
            "{output}"
        );
        posthorn.refused(5, &["erase", "L9", "--yes"]);
        posthorn.at("2026-03-03T09:00:00Z");
        let again = posthorn.json(&["erase", "L1", "--yes"]);
        assert_eq!(again["value"][0], posthorn.json(&["leads", "show", "L1"]));
        assert_eq!(again["value"][0]["posthorn"]["erasedDateTime"], NOW, "once");
        for line in [
            &["leads", "accept", "L1"][..],
            &["leads", "decline", "L1", "--reason", "No capacity"],
            &["leads", "won", "L1"],
        ] {
            let told = posthorn.refused(5, line);
            assert!(told.contains(&format!("lead L1 was erased at {NOW}")), "{told}");
        }
        let page = posthorn.ok(&["leads", "show", "L1"]);
        assert!(page.contains("(erased)") && page.contains(&format!("Erased     {NOW}")), "{page}");
        let history = posthorn.ok(&["leads", "history", "L1"]);
        assert!(history.contains("R-ERASE"), "{history}");
        posthorn.work();
        assert!(posthorn.mails().is_empty(), "nobody is told any more");
        let items = posthorn.json(&["actions", "list", "--partner", "contoso"]);
        for item in items["value"].as_array().expect("a list") {
            assert_eq!(
                (&item["state"], &item["title"], &item["version"]),
                (&json!("withdrawn"), &json!("Erased lead"), &json!(2)),
                "{item}"
            );
        }
        let told = unwrapped(&posthorn.ok(&["explain", "L1"]));
        assert!(told.contains("Its personal data was erased on 2026-03-02 09:00"), "{told}");
    });
}

/// `R-ERASE`: `policy.erase_after`; a lead that is not closed stays.
#[test]
fn the_clock_erases_closed_leads_after_a_set_time() {
    both(|posthorn| {
        posthorn
            .at(NOW)
            .partner_records([partner("contoso")])
            .leads(["L1", "L2"].map(lead))
            .work();
        posthorn.ok(&["leads", "decline", "L1", "--reason", "No capacity", "--no-customer-mail"]);
        posthorn.ok(&["leads", "accept", "L2"]);
        let is_erased = |id: &str| !posthorn.json(&["leads", "show", id])["posthorn"]["erasedDateTime"].is_null();
        posthorn.at("2036-03-02T09:00:00Z").work();
        assert!(!is_erased("L1"), "unset, it is never");
        posthorn.setting("policy.erase_after", "30d").at("2026-04-01T08:59:59.999Z").work();
        assert!(!is_erased("L1"));
        posthorn.at("2026-04-01T09:00:00Z").work();
        assert!(is_erased("L1") && !is_erased("L2"));
        posthorn.audit_is_clean();
    });
}

/// `R-ERASE`
#[test]
fn a_lead_is_erased_over_http() {
    served(|posthorn, web| {
        put_partner(web, partner("contoso"));
        bring(web, [fresh("L1"), fresh("L2")]);
        let headers = [("posthorn-actor", "ada@contoso.example"), ("content-type", "application/json")];
        let body = r#"{"reason":"the customer asked for it"}"#.to_owned();
        let erased = web.send("POST", "/v1/leads/L1/erase", &headers, Some(body)).expect(200);
        assert_eq!(
            erased.json(),
            posthorn.json(&["leads", "show", "L1"]),
            "the shape of the command line"
        );
        assert!(erased.json()["posthorn"]["erasedDateTime"].is_string() && erased.json()["customerProfile"]["name"] == "(erased)");
        assert_eq!(web.get("/v1/leads/L1").header("etag"), erased.header("etag"));
        let again = web.send("POST", "/v1/leads/L1/erase", &[], None).expect(200);
        assert_eq!(again.json(), erased.json());
        let refused = web.post("/v1/leads/L1/accept", &json!({})).problem(409);
        assert!(
            refused["detail"]
                .as_str()
                .is_some_and(|text| text.contains("lead L1 was erased at")),
            "{refused}"
        );
        web.post("/v1/leads/L2/erase", &json!({ "by": "dpo" })).expect(200);
        for (id, by) in [("L1", "ada@contoso.example"), ("L2", "dpo")] {
            let history = web.get_json(&format!("/v1/leads/{id}/history"));
            let last = history["value"].as_array().and_then(|entries| entries.last()).expect("an entry");
            assert_eq!((&last["rule"], &last["by"]), (&json!("R-ERASE"), &json!(by)), "{history}");
        }
        web.post("/v1/leads/L9/erase", &json!({})).problem(404);
        web.post("/v1/leads/L2/erase", &json!({ "why": "x" })).problem(422);
    });
}

/// `R-ERASE`: with the portal's scope, and a limited token its own partner's leads only.
#[test]
fn a_lead_is_erased_by_nobody_whom_it_does_not_concern() {
    let posthorn = Posthorn::sqlite();
    let (all, all_entry) = token(&posthorn, &["--name", "all", "--scope", "intake", "--scope", "portal"]);
    let (reader, reader_entry) = token(&posthorn, &["--name", "reader", "--scope", "read", "--scope", "intake"]);
    let (limited, limited_entry) = token(&posthorn, &["--name", "other", "--scope", "portal", "--partner", "fabrikam"]);
    with_tokens(&posthorn, &[all_entry, reader_entry, limited_entry]);
    let web = Web::start(&posthorn);
    web.with_token(&all);
    put_partner(&web, partner("contoso"));
    bring(&web, [fresh("L1")]);
    web.with_token(&reader).post("/v1/leads/L1/erase", &json!({})).problem(403);
    web.with_token(&limited).post("/v1/leads/L1/erase", &json!({})).problem(404);
    assert_eq!(
        web.with_token(&all).get_json("/v1/leads/L1")["posthorn"]["erasedDateTime"],
        Value::Null
    );
    web.stop();
}
