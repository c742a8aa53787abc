//! What strangers may reach: the pages that links in mails lead to, over real sockets, as readers, scanners and mail programs use them.

use posthorn::clock::wall_now;

use crate::support::database::number;
use crate::support::posthorn::{Mail, Posthorn, both};
use crate::support::records::{Partner, lead, partner};
use crate::support::web::{Answer, Web, listening};

const BASE: &str = "https://mail.portal.example";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Sets up the public pages, and mails one lead of `contoso`, `L1`, to its admin.
fn mailed(posthorn: &Posthorn) -> Mail {
    mailed_to(posthorn, partner("contoso").locale("de-AT"))
}

/// As [`mailed`], to this partner.
fn mailed_to(posthorn: &Posthorn, partner: Partner) -> Mail {
    posthorn
        .setting("http.public_listen", "127.0.0.1:0")
        .setting("http.public_url", &format!("{BASE}/"));
    posthorn.partner_records([partner]);
    let now = wall_now().to_string();
    posthorn
        .leads([lead("L1")
            .customer("Fabrikam & Söhne")
            .contact("kim@fabrikam.example", "en")
            .created(&now)])
        .work();
    posthorn.mails().remove(0)
}

/// A running server and where strangers reach it.
struct Public {
    web: Web,
    base: String,
}

impl Public {
    fn start(posthorn: &Posthorn) -> Self {
        let mut web = Web::start(posthorn);
        let base = format!("http://{}", listening(web.running(), "listening to the public"));
        Self { web, base }
    }

    fn address(&self, link: &str) -> String {
        link.replacen(BASE, &self.base, 1)
    }

    #[track_caller]
    fn get(&self, link: &str) -> Answer {
        self.web.send("GET", &self.address(link), &[], None)
    }

    #[track_caller]
    fn post(&self, link: &str, body: &str) -> Answer {
        self.web.send("POST", &self.address(link), &[FORM], Some(body.to_owned()))
    }
}

/// Returns a header of a mail, unfolded.
fn header(mail: &Mail, name: &str) -> Option<String> {
    let raw = String::from_utf8_lossy(&mail.raw).replace("\r\n ", " ");
    let head = raw.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    head.lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

/// Returns the link to unsubscribe from, as a mail program finds it.
#[track_caller]
fn unsubscribe_link(mail: &Mail) -> String {
    let header = header(mail, "List-Unsubscribe").unwrap_or_else(|| panic!("no List-Unsubscribe in {mail:?}"));
    header.trim_start_matches('<').trim_end_matches('>').to_owned()
}

/// Returns the links below a path in a mail's text, in their order: accept, decline, send on.
fn links(mail: &Mail, path: &str) -> Vec<String> {
    let start = format!("{BASE}{path}");
    let words = mail.text.split_whitespace().filter(|word| word.starts_with(&start));
    words.map(str::to_owned).collect()
}

fn opt_outs(posthorn: &Posthorn) -> i64 {
    number(posthorn, "select count(*) as n from opt_out where delivery_id is not null")
}

/// Returns what `explain` says, without its line ends.
#[track_caller]
fn explained(posthorn: &Posthorn, what: &str) -> String {
    posthorn.ok(&["explain", what]).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn is_well_mannered(answer: &Answer) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-robots-tag", "noindex, nofollow"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.header(name), value, "{}", answer.text);
    }
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

/// R-OPTOUT: the headers of RFC 8058 and a link to see, in mails about leads; a mail program's one click is enough.
#[test]
fn one_click_unsubscribes_and_a_scanner_does_not() {
    both(|posthorn| {
        let mail = mailed(posthorn);
        let link = unsubscribe_link(&mail);
        assert!(
            link.starts_with(&format!("{BASE}/u/")) && link.len() == BASE.len() + 3 + 43,
            "{link}"
        );
        assert_eq!(
            header(&mail, "List-Unsubscribe-Post").as_deref(),
            Some("List-Unsubscribe=One-Click")
        );
        assert_eq!(links(&mail, "/u/"), [link.as_str()]);
        assert!(mail.html.contains(&link) && links(&mail, "/a/").is_empty());
        let public = Public::start(posthorn);
        for method in ["GET", "HEAD"] {
            for _ in 0..2 {
                let answer = public
                    .web
                    .send(method, &public.address(&link), &[("accept-language", "en")], None)
                    .expect(200);
                is_well_mannered(&answer);
                assert_eq!(
                    answer.header("content-language"),
                    "de",
                    "as the mail, whatever the reader's browser prefers"
                );
            }
        }
        public
            .web
            .send("PUT", &public.address(&link), &[FORM], Some("List-Unsubscribe=One-Click".into()))
            .expect(404);
        public.post(&link, "something=else").expect(400);
        public.post(&link, "").expect(400);
        for (kind, body) in [
            (FORM, ""),
            (FORM, "List-Unsubscribe=no"),
            (("content-type", "application/json"), "{}"),
            (("accept", "*/*"), ""),
        ] {
            let told = public
                .web
                .send("POST", &public.address(&link), &[kind], Some(body.into()))
                .expect(400);
            is_well_mannered(&told);
            assert!(
                told.text.contains("value=\"unsubscribe\""),
                "the page says what can be done: {}",
                told.text
            );
        }
        assert_eq!(opt_outs(posthorn), 0);

        let answer = public.post(&link, "List-Unsubscribe=One-Click").expect(200);
        assert!(
            answer.header("content-type").starts_with("text/plain") && answer.text.len() < 40,
            "{}",
            answer.text
        );
        is_well_mannered(&answer);
        public.post(&link, "List-Unsubscribe=One-Click").expect(200);
        assert_eq!(opt_outs(posthorn), 1);
        let page = public.get(&link).expect(200).text;
        assert!(
            page.contains("Mails sind abbestellt") && page.contains("value=\"resubscribe\""),
            "{page}"
        );
        public.web.stop();
        let story = explained(posthorn, "admin@contoso.example");
        assert!(story.contains("unsubscribed"), "{story}");
    });
}

/// A partner of a programme sees its look and comes to its portal; whoever has a link of nobody's sees no programme's.
#[test]
fn the_pages_of_a_programme_bear_its_look_and_lead_to_its_portal() {
    let posthorn = Posthorn::sqlite();
    posthorn
        .setting("mail.answer_links", "true")
        .setting("templates.branding.background", "#eaf3f7")
        .setting("templates.branding.footer", "{ en = \"Portal Inc\" }")
        .setting("programmes.gold.name", "Gold Circle")
        .setting("programmes.gold.portal_url", "https://gold.example")
        .setting("programmes.gold.lead_url", "https://gold.example/leads/{id}")
        .setting("programmes.gold.branding.accent", "#7a5a00")
        .setting("programmes.gold.branding.logo", "https://gold.example/logo.png")
        .setting("programmes.gold.branding.background_dark", "#17140c")
        .setting(
            "programmes.gold.branding.footer",
            "{ en = \"Gold & Sons <Ltd>\\nLondon\", de = \"Gold & Söhne, Wien\" }",
        );
    let mail = mailed_to(&posthorn, partner("contoso").locale("de-AT").with("programme", "gold"));
    let (unsubscribe, accept) = (unsubscribe_link(&mail), links(&mail, "/a/").remove(0));
    let public = Public::start(&posthorn);
    for link in [&unsubscribe, &accept] {
        let page = public.get(link).expect(200);
        is_well_mannered(&page);
        for part in [
            "<header><a href=\"https://gold.example\">Gold Circle</a></header>",
            "--go: #7a5a00;",
            "--bg: #eaf3f7;",
            "--bg: #17140c;",
            "<p class=\"imprint\">Gold &amp; Söhne, Wien</p>",
        ] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        for other in ["portal.example", "Portal Inc", "#1f5fbf", "<img"] {
            assert!(!page.text.contains(other), "{other}: {}", page.text);
        }
    }
    let accepted = public.post(&accept, "do=accept&read=yes").expect(200).text;
    assert!(accepted.contains("<a href=\"https://gold.example/leads/L1\">"), "{accepted}");
    let nowhere = public.get(&format!("{BASE}/u/x")).expect(404).text;
    assert!(
        nowhere.contains("--bg: #eaf3f7;") && nowhere.contains("--go: #1f5fbf;"),
        "{nowhere}"
    );
    for whose in ["Gold", "gold", "Portal Inc", "portal.example"] {
        assert!(!nowhere.contains(whose), "{whose}: {nowhere}");
    }
    public.web.stop();
}

/// R-OPTOUT: RFC 8058 lets a mail program send its one click as multipart/form-data.
#[test]
fn one_click_may_come_in_parts() {
    let posthorn = Posthorn::sqlite();
    let link = unsubscribe_link(&mailed(&posthorn));
    let public = Public::start(&posthorn);
    let kind = ("content-type", "multipart/form-data; boundary=x");
    let body = |value: &str| format!("--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n{value}\r\n--x--\r\n");
    public
        .web
        .send("POST", &public.address(&link), &[kind], Some(body("Two-Clicks")))
        .expect(400);
    assert_eq!(opt_outs(&posthorn), 0);
    public
        .web
        .send("POST", &public.address(&link), &[kind], Some(body("One-Click")))
        .expect(200);
    assert_eq!(opt_outs(&posthorn), 1);
    public.web.stop();
}

/// R-OPTOUT: the page says whose mails go where, its button stops them, and the next one lets them come again.
#[test]
fn a_reader_unsubscribes_on_the_page_and_subscribes_again() {
    both(|posthorn| {
        let link = unsubscribe_link(&mailed(posthorn));
        let public = Public::start(posthorn);
        let page = public.get(&link).expect(200).text;
        for part in [
            "Mails abbestellen?",
            "a•••@contoso.example",
            "<button name=\"do\" value=\"unsubscribe\">",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(
            !page.contains("admin@contoso.example"),
            "the whole address is for its owner: {page}"
        );
        let page = public.post(&link, "do=unsubscribe").expect(200).text;
        assert!(page.contains("Mails sind abbestellt"), "{page}");
        assert_eq!(opt_outs(posthorn), 1);
        let page = public.post(&link, "do=resubscribe").expect(200).text;
        assert!(page.contains("Sie erhalten wieder Mails"), "{page}");
        let page = public.post(&link, "do=resubscribe").expect(200).text;
        assert!(page.contains("Sie erhalten wieder Mails"), "a second time changes nothing: {page}");
        assert_eq!(opt_outs(posthorn), 0);
        public.web.stop();
    });
}

/// R-OPTOUT: whatever is wrong with a link, the answer is the same, and says nothing of whose it is.
#[test]
fn a_wrong_link_gets_the_same_bare_page_as_any_other_path() {
    let posthorn = Posthorn::sqlite();
    posthorn.setting("mail.answer_links", "true");
    let mail = mailed(&posthorn);
    let link = unsubscribe_link(&mail);
    let accept = links(&mail, "/a/").remove(0);
    let token = link.rsplit('/').next().expect("a token").to_owned();
    let forged = format!("{}{}", &token[..42], if token.ends_with('A') { "E" } else { "A" });
    let public = Public::start(&posthorn);
    let nowhere = public.get(&format!("{BASE}/")).expect(404);
    is_well_mannered(&nowhere);
    assert!(
        nowhere.text.contains("This link leads nowhere") && !nowhere.text.contains("Partner Portal"),
        "{}",
        nowhere.text
    );
    for path in [
        format!("/u/{forged}"),
        format!("/u/{}", &token[..40]),
        format!("/u/{token}x"),
        format!("/a/{token}"),
        format!("/u/{}", accept.rsplit('/').next().expect("a token")),
        "/u/".to_owned(),
        "/u/%ff".to_owned(),
        "/a/%ff".to_owned(),
        "/a/%00".to_owned(),
        "/a/x".to_owned(),
        "/v1/status".to_owned(),
        "/healthz".to_owned(),
        "/openapi.json".to_owned(),
        "/static/../posthorn.toml".to_owned(),
    ] {
        let address = format!("{BASE}{path}");
        assert_eq!(public.get(&address).expect(404).text, nowhere.text, "{path}");
        assert_eq!(
            public.post(&address, "List-Unsubscribe=One-Click&do=accept").expect(404).text,
            nowhere.text,
            "{path}"
        );
    }
    let german = public.web.send(
        "GET",
        &public.address(&format!("{BASE}/u/x")),
        &[("accept-language", "de-CH, en;q=0.5")],
        None,
    );
    assert!(german.expect(404).text.contains("Dieser Link führt nirgendwohin"));
    public
        .post(&link, &format!("do=unsubscribe&notes={}", "x".repeat(64 * 1024)))
        .expect(413);
    assert_eq!(opt_outs(&posthorn), 0);
    public.web.stop();
}

/// R-ACCEPT: looking asks and does nothing; the form acts, once, for the address of the mail.
#[test]
fn a_lead_is_accepted_from_its_mail() {
    both(|posthorn| {
        posthorn.setting("mail.answer_links", "true");
        let mail = mailed(posthorn);
        let links = links(&mail, "/a/");
        assert_eq!(links.len(), 3, "{}", mail.text);
        assert!(links.iter().all(|link| mail.html.contains(link)));
        let public = Public::start(posthorn);
        for link in &links {
            let page = public.get(link).expect(200);
            is_well_mannered(&page);
            public.web.send("HEAD", &public.address(link), &[], None).expect(200);
            for part in [
                "Fabrikam &amp; Söhne",
                "kim@fabrikam.example",
                "<form method=\"post\">",
                "a•••@contoso.example",
            ] {
                assert!(page.text.contains(part), "{part}: {}", page.text);
            }
        }
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["substatus"], "Received");
        for unmeant in ["", "do=decline&reason=x", "List-Unsubscribe=One-Click"] {
            public.post(&links[0], unmeant).expect(400);
        }
        // A program that fills in no more than it must has not read the lead.
        let page = public.post(&links[0], "do=accept&notes=eins").expect(422).text;
        assert!(
            page.contains("Bitte setzen Sie das Häkchen")
                && page.contains("name=\"read\" value=\"yes\" required")
                && page.contains("contoso</strong>")
                && page.contains(">eins</textarea>"),
            "{page}"
        );
        let cross_site = [FORM, ("sec-fetch-site", "cross-site")];
        public
            .web
            .send("POST", &public.address(&links[0]), &cross_site, Some("do=accept&read=yes".into()))
            .expect(403);
        assert_eq!(posthorn.json(&["leads", "show", "L1"])["substatus"], "Received");
        let page = public
            .post(&links[0], "do=accept&read=yes&deal_name=Vierzig+Filialen&notes=eins%0D%0Azwei")
            .expect(200)
            .text;
        assert!(
            page.contains("Sie haben den Lead angenommen") && !page.contains("kim@fabrikam.example"),
            "{page}"
        );
        let shown = posthorn.json(&["leads", "show", "L1"]);
        assert_eq!(
            (&shown["substatus"], &shown["name"]),
            (&"Accepted".into(), &"Vierzig Filialen".into())
        );
        assert_eq!(shown["posthorn"]["answer"]["notes"], "eins\nzwei");
        let story = explained(posthorn, "L1");
        assert!(story.contains("[R-ACCEPT] accepted by admin@contoso.example"), "{story}");
        for link in &links {
            let page = public.get(link).expect(200).text;
            assert!(
                page.contains("Dieser Lead ist bereits angenommen") && !page.contains("<form"),
                "{page}"
            );
            let page = public.post(link, "do=accept&reason=x&address=a%40b.example").expect(409).text;
            assert!(page.contains("Dieser Lead ist bereits angenommen"), "{page}");
        }
        public.web.stop();
        posthorn.audit_is_clean();
    });
}

/// R-DECLINE: a decline needs a reason, and its customer hears of it without the reason.
#[test]
fn a_lead_is_declined_from_its_mail_with_a_reason() {
    let posthorn = Posthorn::sqlite();
    posthorn.setting("mail.answer_links", "true");
    let decline = links(&mailed(&posthorn), "/a/").remove(1);
    let public = Public::start(&posthorn);
    let page = public.post(&decline, "do=decline&reason=+&notes=bis+Mai").expect(422).text;
    assert!(
        page.contains("Bitte nennen Sie einen Grund") && page.contains(">bis Mai</textarea>"),
        "{page}"
    );
    assert_eq!(posthorn.json(&["leads", "show", "L1"])["substatus"], "Received");
    let page = public.post(&decline, "do=decline&reason=ausgelastet").expect(200).text;
    assert!(page.contains("Sie haben den Lead abgelehnt"), "{page}");
    public.web.stop();
    let shown = posthorn.json(&["leads", "show", "L1"]);
    assert_eq!(
        (&shown["substatus"], &shown["statusReason"]),
        (&"Declined".into(), &"ausgelastet".into())
    );
    posthorn.work();
    let told = posthorn.mails_of("decline").remove(0);
    assert!(
        told.to.contains("kim@fabrikam.example") && !told.text.contains("ausgelastet"),
        "{told:?}"
    );
    assert!(
        header(&told, "List-Unsubscribe").is_none() && !told.text.contains(BASE),
        "nobody unsubscribes from that: {told:?}"
    );
}

/// R-RECIPIENT: a colleague gets the lead once, with who sent it on, and may answer; the books stay balanced.
#[test]
fn a_lead_is_sent_on_from_its_mail() {
    both(|posthorn| {
        posthorn.setting("mail.answer_links", "true");
        let mail = mailed(posthorn);
        let send_on = links(&mail, "/a/").remove(2);
        let public = Public::start(posthorn);
        let page = public.post(&send_on, "do=forward&address=nobody").expect(422).text;
        assert!(page.contains("value=\"nobody\""), "{page}");
        let page = public
            .post(&send_on, "do=forward&address=Robin%40Contoso.example&name=Robin+Counts")
            .expect(200)
            .text;
        assert!(page.contains("Der Lead ist unterwegs"), "{page}");
        public.post(&send_on, "do=forward&address=robin%40contoso.example").expect(409);
        public.web.stop();
        posthorn.work();
        let mails = posthorn.mails_of("lead");
        assert_eq!(mails.len(), 2);
        let sent_on = mails
            .iter()
            .find(|mail| mail.to.contains("robin@contoso.example"))
            .expect("it is there");
        assert!(sent_on.text.contains("Guten Tag Robin Counts"), "{}", sent_on.text);
        assert!(
            sent_on.text.contains("admin@contoso.example gibt diesen Lead an Sie weiter"),
            "{}",
            sent_on.text
        );
        assert_ne!(links(sent_on, "/a/"), links(&mail, "/a/"), "with links of its own");
        assert_ne!(unsubscribe_link(sent_on), unsubscribe_link(&mail));
        let told = explained(posthorn, "L1");
        assert!(told.contains("sent on to robin@contoso.example by admin@contoso.example"), "{told}");
        let audit = posthorn.audit_is_clean();
        assert!(audit.contains("mailed"), "{audit}");
    });
}

#[test]
fn mails_have_no_links_where_nobody_could_follow_them() {
    let posthorn = Posthorn::sqlite();
    posthorn.partner_records([partner("contoso")]);
    posthorn.leads([lead("L1").created(&wall_now().to_string())]).work();
    let mail = posthorn.mails().remove(0);
    assert!(header(&mail, "List-Unsubscribe").is_none() && header(&mail, "List-Unsubscribe-Post").is_none());
    assert!(!mail.text.contains("Unsubscribe") && !mail.html.contains("Unsubscribe"));
    posthorn.setting("mail.answer_links", "true");
    let told = posthorn.refused(3, &["work", "--until-idle"]);
    assert!(
        told.contains("mail.answer_links") && told.contains("needs http.public_url"),
        "{told}"
    );
}
