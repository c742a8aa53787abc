//! Mails that are kept as they were handed over: what exactly did they get?

use crate::api::{bring, fresh, put_partner};
use crate::doors::{token, with_tokens};
use crate::support::database::number;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};
use crate::support::smtp::Relay;
use crate::support::web::Web;

const NOW: &str = "2026-03-02T10:00:00Z";

/// Sends a lead's mail to a Maildir, which keeps it as it came, and keeps it for a week.
fn sent(posthorn: &Posthorn) {
    posthorn.setting("mail.keep_sent", "7d").at(NOW);
    posthorn.partner_records([partner("contoso")]).leads([lead("L1")]).work();
}

#[test]
fn a_mail_is_shown_byte_for_byte_until_its_time_is_over_and_then_forgotten() {
    both(|posthorn| {
        sent(posthorn);
        let mail = posthorn.mails().pop().expect("it was sent");
        posthorn.at("2026-03-09T09:59:59.999Z");
        assert_eq!(posthorn.ok(&["deliveries", "show", "1", "--mail"]).into_bytes(), mail.raw);
        let kept = serde_json::json!({
            "bytes": mail.raw.len(),
            "keptDateTime": "2026-03-02T10:00:00.000Z",
            "untilDateTime": "2026-03-09T10:00:00.000Z",
        });
        assert_eq!(posthorn.json(&["deliveries", "show", "1", "--mail"]), kept);
        let n_stored = number(posthorn, "select octet_length(mail) as n from kept_mail");
        assert!(n_stored * 5 < mail.raw.len() as i64 * 2, "{n_stored} of {}", mail.raw.len());
        assert_eq!(posthorn.json(&["deliveries", "show", "1"])["kept"], kept);
        for told in [posthorn.ok(&["deliveries", "show", "1"]), posthorn.ok(&["explain", "L1"])] {
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(told.contains("`posthorn deliveries show 1 --mail`"), "{told}");
        }

        // Nobody has come round to forget it.
        posthorn.at("2026-03-09T10:00:00Z");
        let refused = posthorn.refused(5, &["deliveries", "show", "1", "--mail"]);
        assert!(
            refused.contains("nothing was handed over within mail.keep_sent") && refused.contains("`posthorn deliveries show 1` tells"),
            "{refused}"
        );
        assert_eq!(posthorn.json(&["deliveries", "show", "1"])["kept"], serde_json::Value::Null);
        assert!(!posthorn.ok(&["explain", "L1"]).contains("--mail"));
        assert_eq!(kept_in(posthorn), 1);
        posthorn.at("2026-03-09T10:01:00Z").work();
        assert_eq!(kept_in(posthorn), 0);
        posthorn.audit_is_clean();
    });
}

/// Returns how many mails the database holds, whether or not they are shown.
fn kept_in(posthorn: &Posthorn) -> i64 {
    number(posthorn, "select count(*) as n from kept_mail")
}

#[test]
fn nothing_is_kept_unless_it_is_set_and_what_was_kept_goes_when_it_is_taken_back() {
    both(|posthorn| {
        posthorn.at(NOW).partner_records([partner("contoso")]).leads([lead("L1")]).work();
        assert_eq!((posthorn.mails().len(), kept_in(posthorn)), (1, 0));
        let refused = posthorn.refused(5, &["deliveries", "show", "1", "--mail"]);
        assert!(
            refused.contains("the mail of delivery 1 is not kept, as mail.keep_sent is not set")
                && refused.contains("mail.keep_sent = \"7d\""),
            "{refused}"
        );
        for unknown in ["99", "x"] {
            let refused = posthorn.refused(5, &["deliveries", "show", unknown, "--mail"]);
            assert!(refused.contains(&format!("there is no delivery {unknown}")), "{refused}");
        }
        posthorn.setting("mail.keep_sent", "7d").leads([lead("L2")]).work();
        assert_eq!(kept_in(posthorn), 1);
        posthorn.without_setting("mail.keep_sent");
        posthorn.refused(5, &["deliveries", "show", "2", "--mail"]);
        posthorn.at("2026-03-02T10:01:00Z").work();
        assert_eq!(kept_in(posthorn), 0);
    });
}

/// R-EXPIRY: from that instant on, wherever the lead would be shown.
#[test]
fn a_kept_mail_is_not_shown_once_its_lead_has_expired() {
    both(|posthorn| {
        sent(posthorn);
        posthorn.setting("mail.keep_sent", "60d").at("2026-03-16T07:59:59.999Z");
        let kept = posthorn.ok(&["deliveries", "show", "1", "--mail"]);
        assert!(kept.contains("Message-ID:"), "{kept}");
        posthorn.at("2026-03-16T08:00:00Z");
        let refused = posthorn.refused(5, &["deliveries", "show", "1", "--mail"]);
        assert!(refused.contains("lead L1, of which it tells, has expired"), "{refused}");
    });
}

/// In mode redirect what was handed over is what is kept; in mode dry nothing was.
#[test]
fn what_is_kept_is_what_left() {
    for (mode, n_kept) in [("redirect", 1), ("dry", 0)] {
        let posthorn = Posthorn::sqlite();
        posthorn
            .setting("mode", mode)
            .setting("mail.redirect_to", "rehearsal@portal.example");
        sent(&posthorn);
        assert_eq!(kept_in(&posthorn), n_kept, "{mode}");
        for mail in posthorn.mails() {
            assert_eq!(posthorn.ok(&["deliveries", "show", "1", "--mail"]).into_bytes(), mail.raw);
            assert!(mail.subject.contains("[for admin@contoso.example]"), "{}", mail.subject);
        }
    }
}

/// A relay that takes a mail and says nothing may have passed it on; one that refuses it has not.
#[test]
fn a_mail_in_doubt_is_kept_and_a_refused_one_is_not() {
    let relay = Relay::start();
    let posthorn = Posthorn::sqlite();
    posthorn
        .setting("mail.transport", "smtp")
        .setting(
            "smtp.relays",
            &format!("[{{ host = \"{}\", port = {}, tls = \"none\" }}]", relay.host(), relay.port()),
        )
        .setting("mode", "redirect")
        .setting("mail.redirect_to", "rehearsal@portal.example");
    relay.cut("DOT", 1);
    sent(&posthorn);
    assert_eq!(posthorn.json(&["deliveries", "show", "1"])["state"], "in_doubt");
    let taken = relay.wait_for_mails(1).remove(0);
    assert_eq!(posthorn.ok(&["deliveries", "show", "1", "--mail"]).into_bytes(), taken.data);

    relay.refuse("DOT", "554 5.7.1 no", 1);
    posthorn.leads([lead("L2")]).work();
    assert_eq!(posthorn.json(&["deliveries", "show", "2"])["state"], "failed");
    posthorn.refused(5, &["deliveries", "show", "2", "--mail"]);
}

#[test]
fn a_kept_mail_is_given_over_http_to_ops() {
    both(|posthorn| {
        let (ops, entry) = token(posthorn, &["--name", "ops", "--scope", "ops"]);
        let (limited, limited_entry) = token(posthorn, &["--name", "fabrikam", "--scope", "ops", "--partner", "fabrikam"]);
        let (portal, portal_entry) = token(posthorn, &["--name", "portal", "--scope", "intake", "--scope", "portal"]);
        with_tokens(posthorn, &[entry, limited_entry, portal_entry]);
        posthorn.setting("mail.keep_sent", "1h");
        let mut web = Web::start(posthorn);
        web.with_token(&portal);
        put_partner(&web, partner("contoso"));
        bring(&web, [fresh("L1")]);
        web.running().until("its outcome is recorded", || kept_in(posthorn) == 1);
        web.with_token(&ops);
        let mail = posthorn.mails().remove(0);
        assert_eq!(web.get_json("/v1/deliveries/1")["kept"]["bytes"], mail.raw.len());
        let answer = web.get("/v1/deliveries/1/mail").expect(200);
        assert_eq!(
            (answer.header("content-type"), answer.text.as_bytes()),
            ("message/rfc822", mail.raw.as_slice())
        );
        web.get("/v1/deliveries/99/mail").problem(404);
        web.with_token(&limited).get("/v1/deliveries/1/mail").problem(404);
        web.stop();
    });
}
