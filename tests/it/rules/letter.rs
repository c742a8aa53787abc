//! What every mail is: one message an address, honest in both halves, harmless whatever a stranger wrote into a lead.

use std::collections::HashSet;

use serde_json::json;

use crate::support::posthorn::{Mail, both};
use crate::support::records::{lead, partner};

const HOSTILE: &str =
    "<script>alert(1)</script>\r\nBcc: victim@x.example\r\n\r\n\"><img src=x onerror=alert(2)> {{ portal.url }} {% include \"x\" %}";

/// `R-WHO-MAILS`: customer and deal, urgency, due date, deep link and the warning, in HTML and plain text alike.
#[test]
fn both_halves_of_a_mail_say_the_same() {
    both(|posthorn| {
        posthorn
            .setting("policy.remind_by_mail", "true")
            .setting("portal.lead_desk", "desk@portal.example");
        posthorn.at("2026-03-02T10:00:00Z").partner_records([
            partner("contoso").threshold(1).zone("Asia/Kolkata"),
            partner("zwei").threshold(1).locale("de"),
        ]);
        for id in ["contoso", "zwei"] {
            posthorn.leads((1..=2).map(|n| {
                lead(&format!("{id} ü/{n}"))
                    .partner(id)
                    .urgent()
                    .created(&format!("2026-03-02T08:0{n}:00Z"))
            }));
        }
        for at in [
            "2026-03-02T10:00:00Z",
            "2026-03-02T17:00:00Z",
            "2026-03-13T09:00:00Z",
            "2026-03-14T00:00:00Z",
            "2026-03-16T09:00:00Z",
            "2026-03-16T10:00:00Z",
        ] {
            posthorn.at(at).work();
        }
        let mails = posthorn.mails();
        let mut ids = HashSet::new();
        for kind in ["lead", "digest", "reminder", "expiry"] {
            assert!(mails.iter().any(|mail| mail.kind == kind), "no {kind}");
        }
        for mail in &mails {
            let is_german = mail.header("Content-Language").as_deref() == Some("de");
            let warning = if is_german { "nicht überprüft" } else { "is not verified" };
            let due = match (mail.to.contains("contoso"), is_german) {
                (true, _) => "16 March 2026 at 13:3",
                (false, true) => "16. März 2026 um 08:0",
                (false, false) => "16 March 2026 at 08:0",
            };
            for (half, text) in [("text", &mail.text), ("html", &mail.html)] {
                for part in ["Customer ", "Deal ", "https://portal.example/leads/", "%20%C3%BC%2F", due, warning] {
                    assert!(text.contains(part), "{} to {}: no {part:?} in {half}:\n{text}", mail.kind, mail.to);
                }
            }
            assert!(ids.insert(mail.message_id.clone()), "{} twice", mail.message_id);
            assert_eq!(mail.header("Auto-Submitted").as_deref(), Some("auto-generated"), "{}", mail.kind);
            assert!(
                mail.header("List-Id").is_some_and(|id| id.contains("portal.example")),
                "{}",
                mail.kind
            );
            assert!(mail.message_id.ends_with("@portal.example"), "{}", mail.message_id);
            assert_eq!(mail.from, "leads@portal.example");
            for line in mail.raw.split(|byte| *byte == b'\n') {
                assert!(
                    line.len() <= 998 && (line.is_empty() || line.ends_with(b"\r")),
                    "every line ends in CRLF within 998 bytes"
                );
            }
        }
    });
}

/// What a stranger wrote stays text: no header, no markup, no template, no second recipient.
#[test]
fn hostile_text_in_a_lead_stays_text() {
    both(|posthorn| {
        posthorn.setting("policy.digest_max_listed", "1").at("2026-03-02T10:00:00Z");
        posthorn.partner_records([partner("contoso")
            .threshold(1)
            .with("name", HOSTILE)
            .with("admins", json!([{ "email": "a@x.example", "name": HOSTILE }]))]);
        let evil = |id: &str| {
            lead(id)
                .customer(HOSTILE)
                .with("name", HOSTILE)
                .with("details.notes", format!("{HOSTILE}\u{202e}\u{0}\u{7}{}", "x".repeat(5000)))
                .with(
                    "customerProfile.team",
                    json!([{ "firstName": HOSTILE, "email": "javascript:alert(3)", "phoneNumber": "\"><b>1</b>" }]),
                )
                .with("customerProfile.address.country", "GB")
                .with("details.currency", "GBP")
        };
        posthorn.leads([evil("L1"), evil("L2<b>/../x?y#z"), evil("L3")]);
        posthorn.work().at("2026-03-02T17:00:00Z").work();
        let mails = posthorn.mails();
        assert_eq!(mails.len(), 2);
        for mail in &mails {
            check_harmless(mail);
        }
        posthorn.ok(&["leads", "decline", "L1", "--reason", "x"]);
        posthorn.audit_is_clean();
    });
}

#[track_caller]
fn check_harmless(mail: &Mail) {
    let html = mail.html.to_lowercase();
    for tag in [
        "<script",
        "<img",
        "onerror=alert(2)>",
        "href=\"javascript",
        "href=\"mailto:javascript",
        "<b>1",
    ] {
        assert!(!html.contains(tag), "{tag} in the HTML of a {}", mail.kind);
    }
    assert!(mail.html.contains("&lt;script"), "it is shown, escaped");
    assert!(mail.html.contains("{{ portal.url }}"), "and no template");
    assert_eq!(mail.header("Bcc"), None);
    assert!(!mail.subject.contains(['\r', '\n', '\u{202e}']), "{:?}", mail.subject);
    let head_ends = mail.raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a mail has a head");
    let head = String::from_utf8_lossy(&mail.raw[..head_ends]).into_owned();
    assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
    assert!(!mail.text.contains(['\u{0}', '\u{7}', '\u{202e}']), "control characters are gone");
    for line in mail.text.lines() {
        assert!(!line.starts_with("Bcc:"), "a name stays on its line: {}", mail.text);
    }
}

/// The same mail, sent by two installations of the same history, has another Message-ID; within one it never changes.
#[test]
fn a_message_id_is_made_once_and_cannot_be_guessed() {
    let ids = std::cell::RefCell::new(Vec::new());
    for _ in 0..2 {
        both(|posthorn| {
            posthorn
                .at("2026-03-02T10:00:00Z")
                .partner_records([partner("contoso").preferred("a@x.example").preferred("b@x.example")]);
            posthorn.leads([lead("L1")]).work();
            ids.borrow_mut().extend(posthorn.mails().into_iter().map(|mail| mail.message_id));
        });
    }
    let ids = ids.into_inner();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
}
