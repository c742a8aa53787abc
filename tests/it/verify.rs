//! Customers' e-mail and phone, as whoever runs posthorn sees them looked at: `verify`, `serve`, lists, pages and mails (`R-VERIFY`).

use std::net::UdpSocket;
use std::time::Duration;

use posthorn::clock::wall_now;
use serde_json::{Value, json};

use crate::api::{bring, walk};
use crate::doors::{token, with_tokens};
use crate::support::database::number;
use crate::support::dns::Dns;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, partner};
use crate::support::web::Web;

const NOW: &str = "2026-03-02T10:00:00Z";

const ZONE: &str = "
    fabrikam.example MX 10 mx.fabrikam.example
    mx.fabrikam.example A 192.0.2.1
    bare.example AAAA 2001:db8::1
    null.example MX 0 .
    adrift.example MX 10 gone.example
    broken.example SERVFAIL";

fn offer(id: &str, email: &str, phone: &str) -> Lead {
    let person = json!({ "firstName": "Ada", "lastName": "Byron", "email": email, "phoneNumber": phone });
    lead(id).offer("ContactMe").with("customerProfile.team", json!([person]))
}

fn asking(posthorn: &Posthorn, server: &str) {
    posthorn
        .at(NOW)
        .setting("verify.mx", "true")
        .setting("verify.nameserver", server)
        .partner_records([partner("contoso")]);
}

fn validities(posthorn: &Posthorn, id: &str) -> String {
    let shown = posthorn.json(&["leads", "show", id]);
    let word = |key: &str| shown[key].as_str().unwrap_or("-").to_owned();
    format!("{} {}", word("emailValidity"), word("phoneValidity"))
}

fn ids(list: &Value) -> Vec<&str> {
    let leads = list["value"].as_array().expect("a list");
    leads.iter().map(|lead| lead["id"].as_str().expect("an id")).collect()
}

/// `R-VERIFY`: MX, else address, else none; each domain asked for once, and nothing by `work`.
#[test]
fn verify_asks_for_each_domain_once() {
    both(|posthorn| {
        let dns = Dns::start(ZONE);
        asking(posthorn, &dns.address());
        posthorn.leads([
            offer("a-mx", "ada@fabrikam.example", "+44 20 7946 0000"),
            offer("a-same", "eve@FABRIKAM.example", "12"),
            offer("bare", "ada@bare.example", "020 7946 0000"),
            offer("null", "ada@null.example", ""),
            offer("adrift", "ada@adrift.example", ""),
            offer("gone", "ada@nowhere.example", ""),
            offer("broken", "ada@broken.example", ""),
            offer("said", "ada@nowhere.example", "").with("emailValidity", "Valid"),
            offer("spam", "ada@mailinator.com", ""),
            lead("profile").location("hq"),
        ]);
        posthorn.work();
        assert_eq!(dns.n_asked(), 0, "`import` and `work` ask nobody");
        assert_eq!(validities(posthorn, "a-mx"), "Unknown Valid");
        assert_eq!(posthorn.json(&["status"])["toVerify"], 7);

        let first = posthorn.json(&["verify", "--limit", "2"]);
        assert_eq!((&first["valid"], &first["asksDns"]), (&json!(2), &json!(true)));
        let n_asked = dns.n_asked();
        assert_eq!(n_asked, 3, "MX, A and AAAA: once for two leads of a domain");
        let rest = posthorn.json(&["verify"]);
        let counts = ["valid", "invalid", "spam", "unknown", "later", "passedOver"].map(|key| rest[key].as_u64().expect("a count"));
        assert_eq!(counts, [1, 3, 0, 0, 1, 0]);
        assert_eq!(rest["nextDueDateTime"], "2026-03-02T10:05:00.000Z");
        for (id, expected) in [
            ("a-mx", "Valid Valid"),
            ("a-same", "Valid Invalid"),
            ("bare", "Valid Valid"),
            ("null", "Invalid Unknown"),
            ("adrift", "Invalid Unknown"),
            ("gone", "Invalid Unknown"),
            ("broken", "Unknown Unknown"),
            ("said", "Valid Unknown"),
            ("spam", "Spam Unknown"),
            ("profile", "- -"),
        ] {
            assert_eq!(validities(posthorn, id), expected, "{id}");
        }
        assert_eq!(
            ids(&posthorn.json(&["leads", "list", "--email-validity", "Invalid"])),
            ["null", "gone", "adrift"]
        );
        assert!(
            posthorn
                .ok(&["leads", "history", "null"])
                .contains("its domain takes no mail: it says so itself (RFC 7505)")
        );

        dns.publish("broken.example MX 10 mx.broken.example\nmx.broken.example A 192.0.2.2");
        assert_eq!(posthorn.json(&["verify"])["later"], 0, "not before it is due");
        let output = posthorn.at("2026-03-02T10:05:00Z").ok(&["verify"]);
        assert!(
            output.contains("1 lead was looked at.") && output.contains("valid        1"),
            "{output}"
        );
        assert_eq!(validities(posthorn, "broken"), "Valid Unknown");
        posthorn.audit_is_clean();
    });
}

/// `R-VERIFY`: a server that is away makes nothing invalid.
#[test]
fn a_name_server_that_is_away_leaves_everything_open() {
    both(|posthorn| {
        // Bound and released: nobody answers there.
        let nobody = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port");
        asking(posthorn, &nobody.to_string());
        posthorn.leads((0..30).map(|n| offer(&format!("L{n}"), &format!("ada@c{n}.example"), "")));
        let verified = posthorn.json(&["verify"]);
        assert_eq!((&verified["later"], &verified["invalid"]), (&json!(30), &json!(0)));
        assert_eq!(validities(posthorn, "L0"), "Unknown Unknown");
        let n_spared = number(posthorn, "select count(*) as n from lead where verify_attempt = 0");
        assert!(
            (1..=22).contains(&n_spared),
            "after eight nobody is asked, and that is no try: {n_spared}"
        );
        let note = posthorn.run(&["verify"]).stderr;
        assert!(note.contains("asks again at 2026-03-02T10:05:00.000Z"), "{note}");
    });
}

/// `R-VERIFY`: with `verify.mx = false` nobody is asked.
#[test]
fn nobody_is_asked_without_mx() {
    let posthorn = Posthorn::sqlite();
    let dns = Dns::start(ZONE);
    asking(&posthorn, &dns.address());
    posthorn.leads([offer("before", "ada@fabrikam.example", "")]);
    posthorn
        .setting("verify.mx", "false")
        .leads([offer("since", "ada@fabrikam.example", "")]);
    let output = posthorn.run(&["verify", "--json"]);
    assert!(output.stderr.contains("verify.mx is false"), "{output}");
    assert_eq!(dns.n_asked(), 0);
    assert_eq!(posthorn.json(&["status"])["toVerify"], 0);
}

/// `R-VERIFY`: `serve` looks at what comes in, beside everything else, and the API shows it.
#[test]
fn serve_looks_at_what_comes_in() {
    both(|posthorn| {
        let dns = Dns::start(ZONE);
        asking(posthorn, &dns.address());
        posthorn.at_real_time();
        let (secret, entry) = token(
            posthorn,
            &["--name", "all", "--scope", "intake", "--scope", "ops", "--scope", "read"],
        );
        with_tokens(posthorn, &[entry]);
        let mut web = Web::start(posthorn);
        web.with_token(&secret);
        let now = wall_now().to_string();
        let leads = [
            ("yes", "ada@fabrikam.example"),
            ("no", "ada@nowhere.example"),
            ("spam", "ada@mailinator.com"),
        ];
        bring(&web, leads.map(|(id, email)| offer(id, email, "+44 20 7946 0000").created(&now)));
        web.running()
            .until("the DNS has answered", || posthorn.json(&["status"])["toVerify"] == 0);
        for (id, email, is_spam) in [("yes", "Valid", false), ("no", "Invalid", false), ("spam", "Spam", true)] {
            let shown = web.get_json(&format!("/v1/leads/{id}"));
            assert_eq!(
                (&shown["emailValidity"], &shown["phoneValidity"]),
                (&json!(email), &json!("Valid")),
                "{id}"
            );
            assert_eq!(shown["posthorn"]["likelySpam"], is_spam, "{id}");
        }
        assert_eq!(walk(&web, "/v1/leads?emailValidity=Spam", "id"), ["spam"]);
        let n_asked = dns.n_asked();
        bring(&web, [offer("again", "eve@fabrikam.example", "").created(&now)]);
        web.running()
            .until("it is looked at", || validities(posthorn, "again") == "Valid Unknown");
        assert_eq!(dns.n_asked(), n_asked, "what was said is remembered");
        let metrics = web.get("/metrics").text;
        for line in ["outcome=\"valid\"} 2", "outcome=\"invalid\"} 1"] {
            assert!(metrics.contains(&format!("posthorn_leads_verified_total{{{line}")), "{metrics}");
        }
        web.stop();
    });
}

/// `R-VERIFY`: a name server that says nothing holds nobody up, and a stop puts back what was to be asked for.
#[test]
fn a_silent_name_server_holds_up_neither_mails_nor_a_stop() {
    both(|posthorn| {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
        silent.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        asking(posthorn, &silent.local_addr().expect("an address").to_string());
        posthorn
            .at_real_time()
            .leads([offer("L1", "ada@fabrikam.example", "").created(&wall_now().to_string())]);
        let mut server = posthorn.start(&["serve"]);
        silent.recv(&mut [0; 512]).expect("a question");
        server.until("the lead is mailed", || posthorn.mails().len() == 1);
        server.signal("TERM");
        assert_eq!(server.wait().code, 0);
        let put_back = format!(
            "select count(*) as n from lead where verify_attempt = 0 and verify_at < {}",
            wall_now().as_millis() + 301_000
        );
        assert_eq!(number(posthorn, &put_back), 1);
    });
}

/// `R-VERIFY`: known spam domains and low quality are flagged in list, detail and mail, in every language, in both halves.
#[test]
fn likely_spam_is_flagged_in_list_detail_and_mails() {
    both(|posthorn| {
        posthorn
            .at(NOW)
            .setting("policy.remind_by_mail", "true")
            .setting("verify.spam_domains", "[\"casino.example\"]");
        let languages = [
            ("en", "Likely spam: look twice", "Likely spam"),
            ("de", "Wahrscheinlich Spam: Vor", "Wahrscheinlich Spam"),
            ("fr", "Probablement indésirable", "Probablement indésirable"),
            ("es", "Probable spam: revíselo", "Probable spam"),
            ("ar", "بريد مزعج على الأرجح: تحقّق", "بريد مزعج على الأرجح"),
        ];
        posthorn.partner_records(languages.map(|(tag, ..)| partner(tag).locale(tag).threshold(3)));
        let leads = |tag: &str| {
            let of = |name: &str, email: &str| offer(&format!("{tag}-{name}"), email, "").partner(tag);
            [
                of("built-in", "ada@mailinator.com"),
                of("own", "ada@win.casino.example"),
                of("low", "ada@fabrikam.example").with("quality", "Low"),
                // From the fourth on they wait for the digest.
                of("plain", "ada@fabrikam.example").created("2026-03-02T09:00:00Z"),
                of("digest", "ada@mailinator.com").created("2026-03-02T09:30:00Z"),
            ]
        };
        posthorn.leads(languages.iter().flat_map(|(tag, ..)| leads(tag)));
        posthorn.work();
        posthorn.at("2026-03-02T17:00:00Z").work();
        // Their reminders go when the day is over on which they are marked as expiring.
        posthorn.at("2026-03-13T10:00:00Z").work();
        posthorn.at("2026-03-14T00:00:00Z").work();
        for (tag, long, short) in languages {
            let mails: Vec<_> = posthorn
                .mails()
                .into_iter()
                .filter(|mail| mail.to.contains(&format!("admin@{tag}.")))
                .collect();
            let singles: Vec<_> = mails.iter().filter(|mail| mail.kind == "lead").collect();
            assert_eq!(singles.len(), 3, "{tag}");
            for mail in singles {
                assert!(mail.text.contains(long) && mail.html.contains(long), "{tag}: {}", mail.text);
            }
            for kind in ["digest", "reminder"] {
                let mail = mails
                    .iter()
                    .find(|mail| mail.kind == kind)
                    .unwrap_or_else(|| panic!("{tag}: no {kind}"));
                let n_flags = |half: &str| half.matches(short).count();
                // In full or in short: four of the five leads are flagged, each once.
                assert_eq!((n_flags(&mail.text), n_flags(&mail.html)), (4, 4), "{tag} {kind}: {}", mail.text);
            }
        }
        posthorn.at(NOW);
        let listed = posthorn.ok(&["leads", "list", "--partner", "en"]);
        for line in listed.lines().skip(1) {
            assert_eq!(line.ends_with("\tlikely"), !line.starts_with("en-plain"), "{line}");
        }
        let page = posthorn.ok(&["leads", "show", "en-own"]);
        assert!(
            page.contains("Spam       likely: its e-mail is of a domain that is known for spam"),
            "{page}"
        );
        assert!(page.contains("E-mail     Spam"), "{page}");
        let page = posthorn.ok(&["leads", "show", "en-low"]);
        assert!(page.contains("Spam       likely: its quality is low"), "{page}");
        assert!(!posthorn.ok(&["leads", "show", "en-plain"]).contains("\nSpam"));
        assert_eq!(posthorn.json(&["leads", "show", "en-low"])["posthorn"]["likelySpam"], true);
    });
}

/// `R-VERIFY`: the operator's own domains, in the configuration and in a file.
#[test]
fn an_operator_adds_domains_and_takes_others_off() {
    let posthorn = Posthorn::sqlite();
    let file = posthorn.file("spam.txt", "# ours\n\ncasino.example\nb\u{fc}cher.example\n");
    posthorn
        .at(NOW)
        .setting("verify.spam_domains", "[\"lottery.example\"]")
        .setting("verify.spam_domains_file", &file)
        .setting("verify.allowed_domains", "[\"mailinator.com\"]");
    posthorn.partner_records([partner("contoso")]).leads([
        offer("file", "ada@win.casino.example", ""),
        offer("idna", "ada@B\u{fc}cher.example", ""),
        offer("setting", "ada@lottery.example", ""),
        offer("allowed", "ada@mailinator.com", ""),
        offer("built-in", "ada@guerrillamail.com", ""),
    ]);
    assert_eq!(
        ids(&posthorn.json(&["leads", "list", "--email-validity", "Spam", "--sort", "created"])),
        ["built-in", "file", "idna", "setting"]
    );
    assert_eq!(validities(&posthorn, "allowed"), "Unknown Unknown");

    posthorn.file("spam.txt", "casino.example\nada@casino.example\n");
    let wrong = posthorn.refused(3, &["leads", "list"]);
    assert!(
        wrong.contains("verify.spam_domains_file: ") && wrong.contains("spam.txt:2: \"ada@casino.example\" is not a domain"),
        "{wrong}"
    );
    posthorn.setting("verify.spam_domains_file", "gone.txt");
    assert!(posthorn.refused(3, &["leads", "list"]).contains("cannot read gone.txt: "));
}
