//! Programmes: partners that belong to one get its sender, its links, its look and its limits; the others what holds without one.

use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, ndjson, partner};

fn two_looks(posthorn: &Posthorn) {
    posthorn
        .setting("mail.reply_to", "desk@portal.example")
        .setting("templates.branding.footer", "{ en = \"Portal Inc, 1 Main Street\" }")
        .setting("programmes.gold.name", "Gold Circle")
        .setting("programmes.gold.portal_url", "https://gold.example")
        .setting("programmes.gold.lead_url", "https://gold.example/leads/{id}")
        .setting("programmes.gold.from", "Gold <gold@gold.example>")
        .setting("programmes.gold.digest_threshold", "1")
        .setting("programmes.gold.branding.logo", "https://gold.example/logo.png")
        .setting("programmes.gold.branding.accent", "#7a5a00")
        .setting("programmes.gold.branding.link", "#6b4f00")
        .setting("programmes.gold.branding.background", "#f7f3ea")
        .setting(
            "programmes.gold.branding.footer",
            "{ en = \"Gold & Sons <Ltd>\\nLondon\", de = \"Gold & Söhne, Wien\" }",
        )
        .at("2026-03-02T10:00:00Z");
}

#[test]
fn a_partner_gets_the_sender_look_links_and_limits_of_its_programme() {
    both(|posthorn| {
        two_looks(posthorn);
        posthorn.partner_records([
            partner("plain"),
            partner("rich").with("programme", "gold"),
            partner("rich-de").with("programme", "gold").locale("de"),
            partner("rich-own").with("programme", "gold").threshold(9),
        ]);
        for id in ["plain", "rich", "rich-de", "rich-own"] {
            posthorn.leads([lead(&format!("{id}-1")).partner(id), lead(&format!("{id}-2")).partner(id)]);
        }
        posthorn.work();
        let mails = posthorn.mails_of("lead");
        let of = |lead: &str| mails.iter().find(|mail| mail.html.contains(&format!("/leads/{lead}\"")));
        let plain = of("plain-1").expect("the partner without a programme is told");
        assert_eq!(plain.from, "leads@portal.example");
        assert_eq!(plain.header("List-Id").as_deref(), Some("<leads.portal.example>"));
        for (part, expected) in [
            (&plain.html, "https://portal.example/leads/plain-1"),
            (&plain.html, "Portal Inc, 1 Main Street"),
            (&plain.html, "#1f5fbf"),
            (&plain.text, "Portal Inc, 1 Main Street"),
        ] {
            assert!(part.contains(expected), "{expected}: {part}");
        }
        assert!(!plain.html.contains("<img") && !plain.html.contains("gold"), "{}", plain.html);

        let rich = of("rich-1").expect("the partner of the programme is told");
        assert_eq!(rich.from, "gold@gold.example");
        assert_eq!(rich.header("List-Id").as_deref(), Some("<leads.gold.example>"));
        assert_eq!(
            rich.header("Reply-To").as_deref(),
            Some("desk@portal.example"),
            "as without a programme"
        );
        for (part, expected) in [
            (&rich.html, "https://gold.example/leads/rich-1"),
            (&rich.html, "src=\"https://gold.example/logo.png\""),
            (&rich.html, "alt=\"Gold Circle\""),
            (&rich.html, "#7a5a00"),
            (&rich.html, "#6b4f00"),
            (&rich.html, "#f7f3ea"),
            (&rich.html, "Gold &amp; Sons &lt;Ltd&gt;"),
            (&rich.text, "Gold & Sons <Ltd>\r\nLondon"),
        ] {
            assert!(part.contains(expected), "{expected}: {part}");
        }
        for other in ["#1f5fbf", "#1a56b0", "#eef1f5", "Portal Inc", "portal.example/"] {
            assert!(!rich.html.contains(other), "{other}: {}", rich.html);
        }
        assert!(
            rich.message_id.ends_with("@portal.example"),
            "one domain for all, so that threads hold: {}",
            rich.message_id
        );
        assert!(
            of("rich-de-1").is_some_and(|mail| mail.text.contains("Gold & Söhne, Wien")),
            "in the mail's language"
        );

        assert!(of("plain-2").is_some(), "ten of a day are mailed singly without a programme");
        assert!(
            of("rich-2").is_none(),
            "the second one waits for the digest, by the programme's limit"
        );
        assert!(of("rich-own-2").is_some(), "a partner's own limit stands above its programme's");
        posthorn.at("2026-03-02T17:00:00Z").work();
        let digest = posthorn.mails_of("digest").pop().expect("the digest goes out");
        assert_eq!(digest.from, "gold@gold.example");
        posthorn.audit_is_clean();
    });
}

#[test]
fn a_programme_is_listed_shown_explained_and_found_wrong_where_there_is_none() {
    let posthorn = Posthorn::sqlite();
    two_looks(&posthorn);
    posthorn.setting("programmes.silver.name", "Silver");
    let wrong = ndjson([
        partner("right").with("programme", "gold").build(),
        partner("wrong").with("programme", "glod").build(),
    ]);
    let refused = posthorn.run_with(&["partners", "import", "-"], &wrong);
    assert!(
        refused
            .stderr
            .contains("line 2: programme: \"glod\" is not one of the programmes gold, silver"),
        "{refused}"
    );
    let listed = posthorn.ok(&["partners", "list"]);
    assert!(listed.contains("\tgold\t") && !listed.contains("wrong"), "{listed}");
    assert_eq!(posthorn.json(&["partners", "list"])["value"][0]["programme"], "gold");
    assert_eq!(posthorn.json(&["partners", "show", "right"])["programme"], "gold");
    for command in [&["partners", "show", "right"][..], &["explain", "right"]] {
        let shown = posthorn.ok(command);
        assert!(shown.contains("gold: its mail is from Gold <gold@gold.example>"), "{shown}");
    }
    let shown = posthorn.ok(&["partners", "show", "right"]);
    assert!(shown.contains("1 lead of a day singly (its programme's)"), "{shown}");

    // It is taken out of the configuration while a partner still belongs to it.
    for key in ["name", "portal_url", "lead_url", "from", "digest_threshold"] {
        posthorn.without_setting(&format!("programmes.gold.{key}"));
    }
    for key in ["logo", "accent", "link", "background", "footer"] {
        posthorn.without_setting(&format!("programmes.gold.branding.{key}"));
    }
    posthorn.leads([lead("L1").partner("right")]).work();
    assert_eq!(posthorn.mails_of("lead")[0].from, "leads@portal.example");
    let shown = posthorn.ok(&["partners", "show", "right"]);
    assert!(shown.contains("gold, which is not configured (any more)"), "{shown}");
}

#[test]
fn a_programmes_mail_is_previewed_and_its_folder_replaces_single_files() {
    let posthorn = Posthorn::sqlite();
    two_looks(&posthorn);
    let folder = posthorn.folder().join("gold/en");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    std::fs::write(folder.join("lead.subject"), "Gold: {{ lead.customer }}").expect("a file can be written");
    let gold = posthorn.folder().join("gold");
    posthorn.setting("programmes.gold.templates_dir", &gold.display().to_string());
    let plain = posthorn.ok(&["template", "preview", "lead"]);
    assert!(plain.starts_with("Subject: Urgent lead: Contoso Ltd"), "{plain}");
    let shown = posthorn.ok(&["template", "preview", "lead", "--programme", "gold"]);
    assert!(
        shown.starts_with("Subject: Gold: Contoso Ltd\n\nGold Circle\n") && shown.contains("Gold & Sons <Ltd>"),
        "{shown}"
    );
    posthorn.partner_records([partner("rich").with("programme", "gold")]);
    posthorn.leads([lead("L1").partner("rich")]).work();
    assert!(posthorn.mails_of("lead")[0].subject.starts_with("Gold: "));
    let of_lead = posthorn.ok(&["template", "preview", "lead", "--lead", "L1"]);
    assert!(
        of_lead.starts_with("Subject: Gold: "),
        "a lead's mail looks as its partner's do: {of_lead}"
    );
    let refused = posthorn.refused(2, &["template", "preview", "lead", "--programme", "silver"]);
    assert!(refused.contains("\"silver\" is not one of the programmes gold"), "{refused}");

    let listed = posthorn.ok(&["template", "list", "--programme", "gold"]);
    let own = format!("lead\ten\tlead.subject\t{}", folder.join("lead.subject").display());
    assert!(listed.contains(&own), "{own} is not in {listed}");
    assert!(!posthorn.ok(&["template", "list"]).contains(&own));
    let diff = posthorn.ok(&["template", "diff", "lead", "--programme", "gold"]);
    assert!(
        diff.contains("-Subject: New lead: Customer L1 – Deal L1\n+Subject: Gold: Customer L1\n") && !diff.contains("Gold & Sons"),
        "what is configured is the same on both sides: {diff}"
    );
    let new = posthorn.folder().join("new-gold");
    std::fs::create_dir_all(new.join("en")).expect("a folder can be made");
    std::fs::write(new.join("en/lead.subject"), "Golden: {{ lead.customer }}").expect("a file can be written");
    let general = posthorn.folder().join("general");
    std::fs::create_dir_all(general.join("en")).expect("a folder can be made");
    std::fs::write(general.join("en/lead.txt"), "Ahoy\n").expect("a file can be written");
    posthorn.setting("templates.dir", &general.display().to_string());
    let (new, old) = (new.display().to_string(), gold.display().to_string());
    let diff = posthorn.ok(&["template", "diff", "lead", "--programme", "gold", "--dir", &new, "--against", &old]);
    assert_eq!(
        diff,
        "--- lead L1, before\n+++ lead L1, after\n@@ -1,3 +1,3 @@\n-Subject: Gold: Customer L1\n+Subject: Golden: Customer L1\n \n Ahoy\n",
        "both above the general folder"
    );
    posthorn.without_setting("templates.dir");
    for command in [
        &["template", "list", "--programme", "silver"][..],
        &["template", "diff", "lead", "--programme", "silver"],
    ] {
        let refused = posthorn.refused(2, command);
        assert!(refused.contains("\"silver\" is not one of the programmes gold"), "{refused}");
    }

    std::fs::write(folder.join("lead.subject"), "{{ lead.custmer }}").expect("a file can be written");
    let refused = posthorn.run(&["template", "check", "--leads", "0"]);
    assert!(
        refused.stderr.contains("programme gold: ") && refused.stderr.contains("did you mean \"customer\""),
        "{refused}"
    );
}
