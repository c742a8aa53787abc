//! Mail that comes back, in the operator's hands: imported, brought over HTTP, taken from a Maildir, by the return address that a relay was given.

use serde_json::{Value, json};

use crate::support::posthorn::{Mail, Posthorn, both};
use crate::support::records::{Partner, lead, partner};
use crate::support::smtp::Relay;
use crate::support::web::Web;

const NOW: &str = "2026-03-02T09:00:00.000Z";

/// A partner with an address on two rungs.
fn ladder() -> Partner {
    partner("contoso").preferred("kim@contoso.example")
}

/// Writes a bounce of a mail as Postfix would.
fn bounce(mail: &Mail, message_id: &str, action: &str, status: &str, words: &str) -> String {
    format!(
        "Return-Path: <>\nDelivered-To: bounces@portal.example\nFrom: MAILER-DAEMON@relay.example\nTo: bounces@portal.example\n\
         Subject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMessage-ID: <{message_id}>\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nIt came back.\n\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.example\n\nFinal-Recipient: rfc822; {}\nAction: {action}\n\
         Status: {status}\nRemote-MTA: dns; mx.contoso.example\nDiagnostic-Code: smtp; {words}\n\n\
         --b\nContent-Type: text/rfc822-headers\n\nTo: {}\nMessage-ID: <{}>\n\n--b--\n",
        mail.to, mail.to, mail.message_id
    )
}

fn gone(mail: &Mail) -> String {
    bounce(mail, "gone@relay.example", "failed", "5.1.1", "550 5.1.1 no such user")
}

/// Mails a lead to Kim, and returns the mail.
#[track_caller]
fn mailed(posthorn: &Posthorn) -> Mail {
    posthorn.at(NOW).partner_records([ladder()]).leads([lead("L1")]).work();
    let mut mails = posthorn.mails();
    assert_eq!(mails.len(), 1);
    mails.remove(0)
}

/// A page is wrapped for a terminal.
fn unwrapped(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// R-RECIPIENT: what came back is told everywhere that an operator looks, and the next rung is mailed.
#[test]
fn a_bounce_is_imported_told_and_answered_by_the_next_rung() {
    both(|posthorn| {
        let mail = mailed(posthorn);
        let file = posthorn.file("bounce.eml", &gone(&mail));
        posthorn.at("2026-03-02T10:00:00Z");
        let told = posthorn.ok(&["bounces", "import", &file]);
        assert_eq!(
            told,
            "bounce.eml: hard: mail 1 to kim@contoso.example: 550 5.1.1 no such user; the address is suppressed, and the next address is told instead, \
             where there is one\n"
        );
        let again = posthorn.json(&["bounces", "import", &file]);
        assert_eq!(again["value"][0]["isRepeat"], true, "{again}");
        posthorn.work();
        assert_eq!(
            posthorn.mails().last().map(|mail| mail.to.clone()).as_deref(),
            Some("admin@contoso.example")
        );
        posthorn.audit_is_clean();
        let verdict = posthorn.json(&["explain", "L1"])["lead"]["verdict"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(
            verdict,
            "Mailed to admin@contoso.example on 2026-03-02 10:00 UTC; the mail to kim@contoso.example came back on 2026-03-02 10:00 UTC: \
             550 5.1.1 no such user; the address is suppressed."
        );
        let address = unwrapped(&posthorn.ok(&["explain", "kim@contoso.example"]));
        assert!(address.contains("came back: 550 5.1.1 no such user"), "{address}");
        let shown = unwrapped(&posthorn.ok(&["deliveries", "show", "1"]));
        assert!(
            shown.contains("mx.contoso.example, hard: came back: 550 5.1.1 no such user"),
            "{shown}"
        );
        let suppressed = posthorn.json(&["suppressions", "list"]);
        assert_eq!(
            suppressed["value"],
            json!([{ "address": "kim@contoso.example", "reason": "hard bounce", "detail": "came back: 550 5.1.1 no such user", "actor": null,
                "createdDateTime": "2026-03-02T10:00:00.000Z" }])
        );
        let actions = posthorn.json(&["actions", "list", "--partner", "contoso"]).to_string();
        assert!(
            actions.contains("\"mandatory\"") && actions.contains("kim@contoso.example"),
            "{actions}"
        );
        let listed = posthorn.json(&["bounces", "list"]);
        assert_eq!(
            (
                &listed["value"][0]["state"],
                &listed["value"][0]["matchedBy"],
                &listed["value"][0]["deliveryId"]
            ),
            (&json!("matched"), &json!("message_id"), &json!(1))
        );
    });
}

/// What is not believed is refused with exit 1 and kept whole; what is no report is none of our business.
#[test]
fn what_is_not_believed_is_kept_and_shown() {
    let posthorn = Posthorn::sqlite();
    let mail = mailed(&posthorn);
    let forged = posthorn.file(
        "forged.eml",
        &gone(&mail).replace(&mail.message_id, "0123456789abcdef0123456789abcdef@portal.example"),
    );
    let told = posthorn.refused(1, &["bounces", "import", &forged]);
    assert!(told.contains("forged.eml: not matched: it bears no mark of a mail"), "{told}");
    let vacation = posthorn.file(
        "vacation.eml",
        "From kim Mon Mar  2 09:00:00 2026\nFrom: kim@contoso.example\nTo: leads@portal.example\nAuto-Submitted: auto-replied\nMessage-ID: <v@x.example>\n\nAway.\n",
    );
    assert!(
        posthorn
            .ok(&["bounces", "import", &vacation])
            .contains("an automatic answer: it changes nothing")
    );
    let listed = posthorn.json(&["bounces", "list", "--state", "unmatched"]);
    let id = listed["value"][0]["id"].to_string();
    assert_eq!(listed["value"].as_array().map(Vec::len), Some(1));
    let page = posthorn.ok(&["bounces", "show", &id]);
    assert!(
        page.contains("speaks of    kim@contoso.example") && page.contains("Reporting-MTA: dns; relay.example"),
        "{page}"
    );
    assert!(
        posthorn
            .refused(5, &["bounces", "show", "99"])
            .contains("`posthorn bounces list` names them")
    );
    assert_eq!(posthorn.json(&["suppressions", "list"])["value"], json!([]));
    posthorn.audit_is_clean();
}

#[test]
fn a_file_a_maildir_and_standard_input_are_read_and_nothing_else() {
    let posthorn = Posthorn::sqlite();
    let mail = mailed(&posthorn);
    let late = |n: u8| bounce(&mail, &format!("{n}@relay.example"), "delayed", "4.4.1", "timed out");
    let folder = posthorn.folder().join("bounces");
    for (name, n) in [("new/1.eml", 1), ("cur/2.eml:2,S", 2)] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        std::fs::write(&path, late(n)).expect("it can be written");
    }
    std::fs::create_dir_all(folder.join("new/3.eml")).expect("it can be made");
    let maildir = folder.to_string_lossy().into_owned();
    let output = posthorn.run(&["bounces", "import", &maildir]);
    assert_eq!(output.code, 1, "a folder in it is listed: {output}");
    assert!(
        output.stderr.contains("new/3.eml: it is no file") && output.stdout.matches("delayed: mail 1").count() == 2,
        "{output}"
    );
    assert!(folder.join("new/1.eml").exists(), "it is left as it is");
    let piped = posthorn.run_with(&["bounces", "import", "-", "--recipient", "bounces@portal.example"], &late(3));
    assert_eq!((piped.code, piped.stdout.starts_with("-: delayed: mail 1")), (0, true), "{piped}");
    let empty = posthorn.file("empty.eml", "");
    for (input, told) in [
        (empty.as_str(), "found nothing; expected a mail"),
        ("nowhere.eml", "No such file"),
        (&posthorn.folder().join("mail/tmp").to_string_lossy(), "is a folder and no Maildir"),
    ] {
        let said = posthorn.refused(3, &["bounces", "import", input]);
        assert!(said.contains(told), "{said}");
    }
}

/// Each mail has a return address of its own; a bounce that comes to it needs no more than a code.
#[test]
fn a_relay_is_given_a_return_address_by_which_the_bounce_is_known() {
    let posthorn = Posthorn::sqlite();
    let relay = Relay::start();
    posthorn
        .setting("mail.transport", "smtp")
        .setting("mail.envelope_from", "bounces+{id}@portal.example")
        .setting("smtp.relays", &relay.relays());
    posthorn.rehearsal().at(NOW).partner_records([ladder().threshold(10)]);
    posthorn.leads([lead("L1"), lead("L2"), lead("L3")]).work();
    let mails = relay.wait_for_mails(3);
    let mut senders: Vec<String> = mails.iter().map(|mail| mail.from.clone()).collect();
    senders.sort();
    senders.dedup();
    assert_eq!(
        senders.len(),
        3,
        "one a mail, also where the next is asked for in the same packet: {senders:?}"
    );
    let sender = senders[0].split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    let (id, hash) = sender
        .trim_start_matches("bounces+")
        .split('@')
        .next()
        .and_then(|mark| mark.split_once('-'))
        .expect("a mark");
    assert!(id.parse::<i64>().is_ok() && hash.len() == 20, "{sender}");
    let qmail = format!(
        "Return-Path: <>\nDelivered-To: {}\nFrom: MAILER-DAEMON@mx.contoso.example\nSubject: failure notice\n\n\
         Hi. This is the qmail-send program at mx.contoso.example.\n\n<kim@contoso.example>:\nNo mailbox here by that name. (#5.1.1)\n\n\
         --- Below this line is a copy of the message.\n\nSubject: cut\n",
        sender.to_uppercase()
    );
    let forged = posthorn.file("forged.eml", &qmail.replace(&hash.to_uppercase(), "00000000000000000000"));
    assert!(
        posthorn
            .refused(1, &["bounces", "import", &forged])
            .contains("a mark that this database has not made")
    );
    let file = posthorn.file("bounce.eml", &qmail);
    let told = posthorn.ok(&["bounces", "import", &file]);
    assert!(told.contains(&format!("hard: mail {id} to kim@contoso.example")), "{told}");
    posthorn.audit_is_clean();
}

/// In mode redirect the mail came to somebody else: his bounce is not the partner's.
#[test]
fn a_bounce_of_a_redirected_mail_suppresses_nobody() {
    let posthorn = Posthorn::sqlite();
    posthorn
        .setting("mode", "redirect")
        .setting("mail.redirect_to", "test@portal.example");
    let mail = mailed(&posthorn);
    assert_eq!(mail.to, "test@portal.example");
    let file = posthorn.file("bounce.eml", &gone(&mail));
    posthorn.refused(1, &["bounces", "import", &file]);
    assert_eq!(posthorn.json(&["suppressions", "list"])["value"], json!([]));
}

#[test]
fn a_bounce_is_brought_over_http_and_taken_from_a_watched_maildir() {
    both(|posthorn| {
        posthorn.setting("bounces.maildir", "bounces");
        let folder = posthorn.folder().join("bounces");
        std::fs::create_dir_all(folder.join("new")).expect("it can be made");
        posthorn.partner_records([ladder()]);
        let mut web = Web::start(posthorn);
        let record = Value::from(lead("L1").created(&posthorn::clock::wall_now().to_string()));
        web.post("/v1/leads", &record).expect(201);
        web.running().until("the lead is mailed", || posthorn.mails().len() == 1);
        let mail = posthorn.mails().remove(0);

        let bring = |body: String, kind: &str| web_send(&web, body, kind);
        bring(gone(&mail), "application/json").problem(415);
        bring(String::new(), "message/rfc822").problem(400);
        let late = bring(bounce(&mail, "late@relay.example", "delayed", "4.4.1", "later"), "message/rfc822")
            .expect(200)
            .json();
        assert_eq!(
            (&late["state"], &late["class"], &late["isRepeat"]),
            (&json!("matched"), &json!("delayed"), &json!(false))
        );
        let letter = bring("From: kim@contoso.example\nSubject: Hi\n\nHello.\n".into(), "message/rfc822")
            .expect(200)
            .json();
        assert_eq!(letter["state"], "ignored");

        std::fs::create_dir_all(folder.join("new/0-no-file")).expect("it can be made");
        std::fs::write(folder.join("new/1.eml"), gone(&mail)).expect("it can be written");
        web.running().until("the next rung is mailed", || posthorn.mails().len() == 2);
        web.running()
            .until("it is marked as seen", || folder.join("cur/1.eml:2,S").exists());
        assert!(folder.join("new/0-no-file").exists());
        assert_eq!(posthorn.mails().iter().filter(|mail| mail.to == "admin@contoso.example").count(), 1);

        let listed = web.get_json("/v1/bounces");
        assert_eq!(listed["value"].as_array().map(Vec::len), Some(3), "{listed}");
        assert_eq!(web.get_json("/v1/bounces?state=ignored")["value"][0]["id"], letter["id"]);
        assert_eq!(
            web.get_json(&format!("/v1/bounces/{}", letter["id"]))["raw"].as_str().map(str::len),
            Some(46)
        );
        web.get("/v1/bounces?state=lost").problem(400);
        web.get("/v1/bounces/99").problem(404);
        let metrics = web.get("/metrics").expect(200).text;
        assert!(
            metrics.contains("posthorn_bounces_total{class=\"hard\",state=\"matched\"} 1"),
            "{metrics}"
        );
        web.stop();
        posthorn.audit_is_clean();
    });
}

fn web_send(web: &Web, body: String, kind: &str) -> crate::support::web::Answer {
    web.send("POST", "/v1/bounces", &[("content-type", kind)], Some(body))
}
