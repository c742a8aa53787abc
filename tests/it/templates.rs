//! Templates as an operator tunes them: looked at, changed, checked, sent to try, and taken over while the server runs.

use std::fs;
use std::path::PathBuf;

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};
use crate::support::web::Web;

/// Makes a folder of templates, and says so in the configuration.
fn tuned(posthorn: &Posthorn, files: &[(&str, &str)]) -> PathBuf {
    let folder = posthorn.folder().join("templates");
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }
    posthorn.setting("templates.dir", &folder.display().to_string());
    folder
}

const GREETING: &str = "hello = \"Ahoy{% if recipient.name %} {{ recipient.name }}{% endif %},\"\n";

#[test]
fn what_is_changed_is_listed_shown_compared_and_sent_to_try() {
    let posthorn = Posthorn::sqlite();
    tuned(
        &posthorn,
        &[("en/messages.toml", GREETING), ("en/lead.subject", "{{ lead.customer }} waits")],
    );
    let listed = posthorn.ok(&["template", "list"]);
    assert!(listed.contains("lead\ten\tlead.mjml\tbuilt-in lead.mjml\n"), "{listed}");
    assert!(listed.contains("/templates/en/lead.subject\n"), "{listed}");

    let shown = posthorn.ok(&["template", "preview", "lead"]);
    assert!(
        shown.starts_with("Subject: Contoso Ltd waits\n") && shown.contains("Ahoy Kim Abercrombie,"),
        "{shown}"
    );
    let german = posthorn.ok(&["template", "preview", "lead", "--lang", "de-AT", "--sample", "empty"]);
    assert!(german.starts_with("Subject: Neuer Lead: Litware\n"), "{german}");
    let data = posthorn.file("data.json", r#"{ "lead": { "customer": "Tailspin <Toys>" } }"#);
    let html = posthorn.ok(&["template", "preview", "lead", "--data", &data, "--format", "html"]);
    assert!(
        html.starts_with("<!doctype html>") && html.contains("Tailspin &lt;Toys&gt;"),
        "{html}"
    );
    let wrong = posthorn.file("wrong.json", r#"{ "lead": { "custmer": "x" } }"#);
    let refused = posthorn.refused(3, &["template", "preview", "lead", "--data", &wrong]);
    assert!(
        refused.contains("\"lead.custmer\" is not known; did you mean \"customer\"?"),
        "{refused}"
    );

    let diff = posthorn.ok(&["template", "diff", "lead"]);
    assert!(
        diff.contains("-Hello Kim Abercrombie,\n+Ahoy Kim Abercrombie,\n"),
        "of samples, as there are no leads: {diff}"
    );
    posthorn.partner_records([partner("contoso")]).leads([lead("L1")]);
    let diff = posthorn.ok(&["template", "diff", "lead"]);
    assert!(diff.contains("--- lead L1, before\n") && diff.contains("+Ahoy Admin,\n"), "{diff}");
    assert!(
        diff.contains("-Subject: New lead: Customer L1 – Deal L1\n+Subject: Customer L1 waits\n"),
        "{diff}"
    );
    let real = posthorn.ok(&["template", "preview", "lead", "--lead", "L1"]);
    assert!(
        real.starts_with("Subject: Customer L1 waits\n") && real.contains("Please call."),
        "{real}"
    );
    let checked = posthorn.ok(&["template", "check"]);
    let words = checked.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("and from 1 of the newest leads"), "{checked}");
    let diff = posthorn.json(&["template", "diff", "lead"]);
    assert_eq!(
        (&diff["mails"], &diff["changed"][0]["mail"]),
        (&1.into(), &"lead L1".into()),
        "{diff}"
    );

    posthorn.ok(&["template", "send-test", "digest", "kim@fabrikam.example", "--lang", "de"]);
    let mail = posthorn.mails_of("digest").remove(0);
    assert_eq!(mail.to, "kim@fabrikam.example");
    assert!(mail.subject.starts_with("144 neue Leads warten"), "{}", mail.subject);
}

#[test]
fn every_fault_is_told_at_once_with_its_place() {
    let posthorn = Posthorn::sqlite();
    tuned(
        &posthorn,
        &[
            ("lead.txt", "{{ lead.customer }}\n{% if lead.dael %}{{ led }}{% endif %}"),
            ("card.mjml", "<mj-txet>x</mj-txet>"),
            ("en/messages.toml", "helo = \"Hi\"\n"),
        ],
    );
    let output = posthorn.run(&["template", "check"]);
    assert_eq!(output.code, 3, "{output}");
    for fault in [
        "lead.txt:2:12: \"lead\" has no \"dael\"; did you mean \"deal\"?",
        "lead.txt:2:22: a mail of kind lead has no \"led\"; did you mean \"lead\"?",
        "card.mjml:1:2: MJML has no <mj-txet>; did you mean \"mj-text\"?",
        "en/messages.toml:1:1: no template uses the message \"helo\"; did you mean \"hello\"?",
    ] {
        assert_eq!(output.stderr.matches(fault).count(), 1, "{fault}: {output}");
    }
    // Nothing is mailed from such templates.
    let refused = posthorn.refused(3, &["work", "--until-idle"]);
    assert!(refused.contains("card.mjml:1:2: MJML has no"), "{refused}");
}

#[test]
fn the_built_in_templates_come_out_as_they_are_and_go_back_in() {
    let posthorn = Posthorn::sqlite();
    let folder = posthorn.folder().join("all").display().to_string();
    let written = posthorn.ok(&["template", "export-defaults", &folder]);
    assert!(
        written.contains("/all/en/messages.toml\n") && written.contains("/all/layout.mjml\n"),
        "{written}"
    );
    let diff = posthorn.ok(&["template", "diff", "digest", "--dir", &folder, "--html"]);
    assert_eq!(diff, "");
    fs::write(posthorn.folder().join("all/lead.subject"), "mine").expect("a file can be written");
    let again = posthorn.run(&["template", "export-defaults", &folder]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{again}");
    let mine = fs::read_to_string(posthorn.folder().join("all/lead.subject")).expect("it is there");
    assert_eq!(mine, "mine", "what is there is not touched");
}

/// A template that most leads pass and one does not: no sample is from France and without a deal's name.
#[test]
fn a_template_that_fails_for_one_lead_fails_its_mail_alone_and_says_so() {
    both(|posthorn| {
        let card = "{{ lead.customer }}{% if lead.country == \"FR\" %} {{ lead.deal }}{% endif %} {{ lead.link }}";
        tuned(posthorn, &[("card.txt", card)]);
        posthorn.at("2026-03-02T08:30:00Z").partner_records([partner("contoso")]);
        let nameless = lead("L2").with("customerProfile.address.country", "FR").without("name");
        posthorn.leads([lead("L1"), nameless, lead("L3")]).work();
        let mut subjects: Vec<String> = posthorn.mails_of("lead").into_iter().map(|mail| mail.subject).collect();
        subjects.sort();
        assert_eq!(subjects, ["New lead: Customer L1 – Deal L1", "New lead: Customer L3 – Deal L3"]);
        let told = posthorn.ok(&["explain", "L2"]);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("card.txt:1:58: field \"deal\" is not defined"), "{told}");

        let checked = posthorn.run(&["template", "check"]);
        assert_eq!(checked.code, 3, "{checked}");
        assert!(checked.stdout.contains("mails of leads like these cannot be written"), "{checked}");
        assert!(
            checked.stderr.contains("field \"deal\" is not defined") && checked.stderr.contains("(lead, en, lead L2)"),
            "{checked}"
        );

        // Which templates wrote the others is known.
        let mails = posthorn.json(&["deliveries", "list", "--state", "sent"]);
        let id = mails["value"][0]["id"].to_string();
        let shown = posthorn.json(&["deliveries", "show", &id]);
        let digest = shown["attempts"][0]["templates"].as_str().expect("it is told").to_owned();
        assert_eq!(digest.len(), 12, "{shown}");
        assert!(posthorn.ok(&["deliveries", "show", &id]).contains(&digest));
    });
}

#[test]
fn a_server_takes_changed_templates_over_and_keeps_the_old_ones_where_they_are_wrong() {
    let posthorn = Posthorn::sqlite();
    let folder = tuned(&posthorn, &[("en/messages.toml", GREETING)]);
    posthorn.partner_records([partner("contoso")]);
    let now = posthorn::clock::wall_now().to_string();
    let mut web = Web::start(&posthorn);
    let mut n = 0;
    let mut next_mail = |web: &mut Web| {
        n += 1;
        let id = format!("L{n}");
        posthorn.leads([lead(&id).created(&now)]);
        web.running().until("it is mailed", || posthorn.mails_of("lead").len() == n);
        let mails = posthorn.mails_of("lead");
        let mail = mails
            .into_iter()
            .find(|mail| mail.subject.contains(&format!("Customer {id} ")))
            .expect("its mail");
        mail.text
    };
    let refused = |web: &Web| {
        let metrics = web.get("/metrics").expect(200).text;
        let value = metrics.lines().find_map(|line| line.strip_prefix("posthorn_templates_refused "));
        value.and_then(|value| value.parse::<f64>().ok()) == Some(1.0)
    };
    let fault = |web: &Web| web.get("/v1/status").expect(200).json()["templateFault"].clone();
    assert!(next_mail(&mut web).contains("Ahoy Admin,"));

    fs::write(folder.join("en/messages.toml"), "hello = \"Hi {{ recipient.nam }},\"").expect("a file can be written");
    let path = web.running().stderr_path();
    let log = || fs::read_to_string(&path).unwrap_or_default();
    web.running().until("it is refused", || log().contains("templates not reloaded"));
    assert!(
        log().contains("messages.toml:1:26: \"recipient\" has no \"nam\"; did you mean \"name\"?"),
        "{}",
        log()
    );
    assert!(
        refused(&web) && fault(&web).as_str().is_some_and(|fault| fault.contains("messages.toml:1:26")),
        "{}",
        fault(&web)
    );
    assert!(next_mail(&mut web).contains("Ahoy Admin,"), "the old ones stay in force");
    let status = posthorn.ok(&["status"]);
    assert!(
        status
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains("the templates are wrong: "),
        "{status}"
    );

    fs::write(folder.join("en/messages.toml"), "hello = \"Servus,\"").expect("a file can be written");
    web.running().until("they are taken over", || log().contains("templates reloaded"));
    assert!(!refused(&web) && fault(&web).is_null());
    assert!(next_mail(&mut web).contains("Servus,"));
}
