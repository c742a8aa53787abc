//! Where mail goes, and at which instants.

use crate::support::http::Receiver;
use crate::support::posthorn::both;
use crate::support::records::{lead, partner};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Mode `redirect`: every mail of every kind goes to one address, and says whom it was for.
#[test]
fn in_mode_redirect_every_mail_goes_to_one_address() {
    both(|posthorn| {
        let receiver = Receiver::start();
        posthorn
            .setting("mode", "redirect")
            .setting("mail.redirect_to", "Tester@Test.Example");
        posthorn
            .setting("portal.lead_desk", "desk@portal.example")
            .setting("action_center.url", &receiver.url("/"));
        posthorn.setting("action_center.secret_file", &posthorn.file("secret", SECRET));
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(1).preferred("a@x.example").preferred("b@x.example")]);
        posthorn
            .leads([lead("L1"), lead("L2"), lead("L3").expires("2026-03-02T12:00:00Z")])
            .work();
        posthorn.ok(&["leads", "decline", "L1", "--reason", "x"]);
        posthorn.at("2026-03-02T17:00:00Z").work();
        posthorn.at("2026-03-02T18:00:00Z").work();
        let mails = posthorn.mails();
        let mut told: Vec<(String, bool)> = Vec::new();
        for mail in &mails {
            assert_eq!(mail.to, "tester@test.example");
            let whom = ["a@x.example", "b@x.example", "ada@fabrikam.example", "desk@portal.example"];
            let whom = whom
                .iter()
                .find(|whom| mail.subject.contains(*whom))
                .expect("the subject says whom it was for");
            told.push((
                format!("{} {whom}", mail.kind),
                mail.raw.windows(8).any(|part| part.eq_ignore_ascii_case(b"\r\nbcc: a")),
            ));
        }
        told.sort();
        let expected = [
            "decline ada@fabrikam.example",
            "digest a@x.example",
            "digest b@x.example",
            "expiry desk@portal.example",
            "lead a@x.example",
            "lead b@x.example",
        ];
        assert_eq!(told.into_iter().map(|(told, _)| told).collect::<Vec<_>>(), expected);
        assert!(receiver.posts().is_empty(), "the Action Center is a way out, too");
    });
}

/// Mode `dry`: all is decided, nothing leaves; going live asks, and sends nothing of it later.
#[test]
fn in_mode_dry_nothing_leaves_then_or_later() {
    both(|posthorn| {
        let receiver = Receiver::start();
        posthorn.setting("mode", "dry").setting("action_center.url", &receiver.url("/"));
        posthorn.setting("action_center.secret_file", &posthorn.file("secret", SECRET));
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso")])
            .leads([lead("L1")])
            .work();
        assert!(posthorn.mails().is_empty() && receiver.posts().is_empty());
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["posthorn"]["dayNumber"], 1);
        posthorn.audit_is_clean();
        posthorn.setting("mode", "live");
        let told = posthorn.refused(5, &["work", "--until-idle"]);
        assert!(told.contains("live") && told.contains("--yes"), "{told}");
        posthorn.ok(&["migrate", "--yes"]);
        posthorn.work();
        assert!(posthorn.mails().is_empty(), "what was not sent then is not sent now");
        posthorn.leads([lead("L2")]).work();
        assert_eq!(posthorn.mails().len(), 1);
    });
}

/// What came in on the real clock cannot be played with afterwards.
#[test]
fn a_database_with_leads_becomes_no_rehearsal() {
    both(|posthorn| {
        posthorn.leads([lead("L1")]);
        let told = posthorn.refused(5, &["migrate", "--rehearsal"]);
        assert!(told.contains("holds leads") && told.contains("database.url"), "{told}");
        assert_eq!(posthorn.json(&["migrate"])["rehearsal"], false);
    });
    both(|posthorn| {
        posthorn.rehearsal().at("2026-03-02T10:00:00Z").leads([lead("L1")]);
        assert_eq!(posthorn.json(&["migrate", "--rehearsal"])["rehearsal"], true, "one stays one");
    });
}

/// `--now` is refused where mail could reach somebody, and taken where it cannot.
#[test]
fn another_instant_is_refused_where_mail_could_reach_somebody() {
    both(|posthorn| {
        posthorn
            .setting("mail.transport", "smtp")
            .setting("smtp.relays", "[{ host = \"127.0.0.1\", port = 9, tls = \"none\" }]");
        let leads = posthorn.file("leads.ndjson", &lead("L1").build().to_string());
        let partners = posthorn.file("partners.ndjson", &partner("contoso").build().to_string());
        posthorn.at("2026-03-02T10:00:00Z");
        for command in [
            &["import", &leads][..],
            &["partners", "import", &partners],
            &["work", "--until-idle"],
            &["leads", "accept", "L1"],
            &["leads", "show", "L1"],
        ] {
            let told = posthorn.refused(5, command);
            assert!(told.contains("--now") && told.contains("rehearsal"), "{command:?}: {told}");
        }
        posthorn.setting("mode", "redirect").setting("mail.redirect_to", "t@test.example");
        posthorn.ok(&["import", &leads]);
        posthorn.setting("mode", "dry");
        posthorn.ok(&["partners", "import", &partners]);
    });
    both(|posthorn| {
        posthorn.rehearsal().setting("mail.transport", "smtp");
        posthorn.setting("smtp.relays", "[{ host = \"127.0.0.1\", port = 9, tls = \"none\" }]");
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso")])
            .leads([lead("L1")]);
    });
    both(|posthorn| {
        posthorn.partner_records([partner("contoso")]);
        let mut serve = posthorn.start(&["serve"]);
        posthorn.at("2026-03-02T10:00:00Z");
        serve.until("a worker is live", || {
            posthorn.run(&["leads", "show", "L1"]).stderr.contains("worker is live")
        });
        let file = posthorn.file("leads.ndjson", &lead("L1").build().to_string());
        let told = posthorn.refused(5, &["import", &file]);
        assert!(told.contains("--now"), "{told}");
        serve.signal("TERM");
        assert_eq!(serve.wait().code, 0);
        posthorn.leads([lead("L1")]);
    });
}
