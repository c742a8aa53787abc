//! `doctor` finds what keeps mail from arriving, one thing beside the other, and touches nothing.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::database::number;
use crate::support::dns::Dns;
use crate::support::http::Receiver;
use crate::support::posthorn::{Posthorn, both};
use crate::support::smtp::Relay;
use crate::support::web::{Web, listening};

const RSA: &str = include_str!("../data/dkim/rsa.pem");

/// What is published for a sender of whom nothing is wrong; `{key}` is the record that `config check` prints.
const ZONE: &str = "
    contoso.com TXT v=spf1 include:_spf.relay.example ~all
    _spf.relay.example TXT v=spf1 ip4:203.0.113.0/24 -all
    posthorn-2026._domainkey.contoso.com TXT {key}
    _dmarc.contoso.com TXT v=DMARC1; p=reject; rua=mailto:dmarc@contoso.com
    contoso.com MX 10 mx.contoso.com
    mx.contoso.com A 203.0.113.5";

/// An installation that sends as contoso.com, with the relay and the DNS that belong to it.
struct Bench {
    posthorn: Posthorn,
    relay: Relay,
    dns: Dns,
    zone: String,
}

impl Bench {
    fn new() -> Self {
        Self::on(Posthorn::sqlite(), Relay::start_with_starttls())
    }

    fn on(posthorn: Posthorn, relay: Relay) -> Self {
        for (name, content) in [("dkim.pem", RSA), ("password", "secret\n"), ("ca.pem", Relay::ca_pem())] {
            secret(&posthorn, name, content);
        }
        relay.demand_login("PLAIN", "posthorn", "secret");
        let ca = posthorn.folder().join("ca.pem");
        posthorn
            .env("SSL_CERT_FILE", &ca.to_string_lossy())
            .setting("portal.lead_desk", "desk@contoso.com")
            .setting("portal.lead_url", "https://portal.contoso.com/{id}")
            .setting("mail.transport", "smtp")
            .setting("mail.from", "Contoso Leads <leads@contoso.com>")
            .setting(
                "smtp.relays",
                &format!(
                    "[{{ host = \"localhost\", port = {}, username = \"posthorn\", password_file = \"password\" }}]",
                    relay.port()
                ),
            )
            .setting("dkim.domain", "contoso.com")
            .setting("dkim.selector", "posthorn-2026")
            .setting("dkim.key_file", "dkim.pem")
            .setting("http.public_url", "https://leads.contoso.com");
        let check = posthorn.json(&["config", "check"]);
        let zone = ZONE.replace("{key}", check["dkim"]["text"].as_str().expect("a record"));
        let dns = Dns::start(&zone);
        Self {
            posthorn,
            relay,
            dns,
            zone,
        }
    }

    /// Publishes the zone with this in place of that.
    fn republish(&self, line: &str, other: &str) -> &Self {
        assert!(self.zone.contains(line), "{line} is not in the zone");
        self.dns.publish(&self.zone.replace(line, other));
        self
    }

    fn examine(&self, code: i32, more: &[&str]) -> Value {
        let resolver = self.dns.address();
        let mut all = vec!["--json", "doctor", "--resolver", &resolver];
        all.extend(more);
        let output = self.posthorn.run(&all);
        let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
        assert_eq!(output.code, code, "{report:#}\n{}", output.stderr);
        report
    }

    /// Demands that exactly one check is wrong, or none is and one is a warning more than before; that it is this one and says so.
    #[track_caller]
    fn finds(&self, name: &str, state: &str, part: &str) {
        let report = self.examine(i32::from(state == "wrong"), &[]);
        let check = one(&report, name);
        assert_eq!(check["state"], state, "{check:#}");
        assert!(said(check).contains(part), "{part:?} is not in {check:#}");
        let others: Vec<&Value> = checks(&report)
            .iter()
            .filter(|other| other["state"] == "wrong" && other["name"] != name)
            .collect();
        assert!(others.is_empty(), "{name} was to be found, and these were, too: {others:#?}");
    }
}

fn secret(posthorn: &Posthorn, name: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = posthorn.file(name, content);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its owner may");
}

fn checks(report: &Value) -> &[Value] {
    report["checks"].as_array().expect("a list")
}

/// Returns the worst check of a name.
#[track_caller]
fn one<'a>(report: &'a Value, name: &str) -> &'a Value {
    let order = ["wrong", "warning", "notChecked", "ok"];
    let mut of_name: Vec<&Value> = checks(report).iter().filter(|check| check["name"] == name).collect();
    of_name.sort_by_key(|check| order.iter().position(|state| check["state"] == *state));
    of_name.first().unwrap_or_else(|| panic!("no check {name} in {report:#}"))
}

fn said(check: &Value) -> &str {
    check["found"].as_str().expect("a sentence")
}

/// The text as an operator reads it, whose command finds `./posthorn.toml` by itself; what differs from run to run is replaced by letters.
#[test]
fn what_an_operator_reads_when_all_is_right() {
    let bench = Bench::new();
    let folder = bench.posthorn.folder();
    bench.posthorn.setting("database.url", "sqlite:posthorn.db").ok(&["status"]);
    let output = Command::new(env!("CARGO_BIN_EXE_posthorn"))
        .current_dir(folder)
        .args(["doctor", "--resolver", &bench.dns.address()])
        .env("SSL_CERT_FILE", folder.join("ca.pem"))
        .env("NO_COLOR", "1")
        .env_remove("POSTHORN_CONFIG")
        .output()
        .expect("it can be started");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(output.status.code(), Some(0), "{text}");
    let mut shown = text.replace(&bench.relay.port().to_string(), "PPPPP");
    for (before, after, letter) in [
        ("clock says ", ";", 'T'),
        ("for another ", " ", 'D'),
        ("ok           ", " GiB are free", 'N'),
    ] {
        let Some((at, end)) = shown.match_indices(before).find_map(|(at, _)| {
            let start = at + before.len();
            let end = shown[start..].find(after)? + start;
            (!shown[start..end].contains('\n')).then_some((start, end))
        }) else {
            panic!("{before}…{after} is not in\n{shown}");
        };
        // One letter for each number: how many digits it has differs from machine to machine.
        let mut blind: Vec<char> = shown[at..end]
            .chars()
            .map(|c| if c.is_ascii_digit() { letter } else { c })
            .collect();
        blind.dedup_by(|c, before| *c == letter && *before == letter);
        shown.replace_range(at..end, &String::from_iter(blind));
    }
    insta::assert_snapshot!("all_is_right", shown);
}

#[test]
fn nothing_is_sent_written_or_logged_in_for_longer_than_a_goodbye() {
    let bench = Bench::new();
    bench.posthorn.ok(&["status"]);
    let database = bench.posthorn.folder().join("posthorn.db");
    let before = fs::read(&database).expect("a database");
    bench.examine(0, &[]);
    assert_eq!(bench.relay.verbs(), ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]);
    assert!(bench.relay.mails().is_empty());
    assert!(fs::read(&database).expect("a database") == before, "the database was written");
    assert!(!Path::new(&format!("{}.worker", database.display())).exists(), "no worker's lock");
}

#[test]
fn each_thing_that_is_published_wrongly_is_found_and_nothing_else() {
    let bench = Bench::new();
    let key = "posthorn-2026._domainkey.contoso.com TXT ";
    let voids: String = (0..3).map(|n| format!(" a:gone{n}.example")).collect();
    for (line, other, name, state, part) in [
        (
            "TXT v=spf1 include:_spf.relay.example ~all",
            "TXT no",
            "spf",
            "warning",
            "has no SPF record",
        ),
        (
            "include:_spf.relay.example ~all",
            "include:gone.example ~all",
            "spf",
            "wrong",
            "leads to no SPF record",
        ),
        (
            "include:_spf.relay.example ~all",
            &format!("{voids} ~all"),
            "spf",
            "wrong",
            "stop at the third",
        ),
        (
            "_spf.relay.example TXT",
            "_spf.relay.example SERVFAIL",
            "spf",
            "warning",
            "SERVFAIL",
        ),
        (
            "203.0.113.0/24 -all",
            "203.0.113.0/24 include:_spf.relay.example -all",
            "spf",
            "wrong",
            "stop at 10",
        ),
        (
            key,
            "elsewhere.example TXT ",
            "dkim",
            "wrong",
            "There is no DKIM key at posthorn-2026",
        ),
        (
            key,
            "posthorn-2026._domainkey.contoso.com.contoso.com TXT ",
            "dkim",
            "wrong",
            "was appended to a name",
        ),
        (key, "posthorn-2026._domainkey.contoso.com TXT t=y; ", "dkim", "wrong", "v=DKIM1"),
        ("p=MII", "p=; x=", "dkim", "wrong", "revoked"),
        (
            "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA",
            "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEB",
            "dkim",
            "wrong",
            "another key",
        ),
        (
            "_dmarc.contoso.com TXT",
            "_dmarc.contoso.com SERVFAIL",
            "dmarc",
            "notChecked",
            "SERVFAIL",
        ),
        (
            "_dmarc.contoso.com TXT",
            "elsewhere.example TXT",
            "dmarc",
            "warning",
            "has a DMARC record",
        ),
        ("p=reject", "p=refuse", "dmarc", "warning", "p=refuse is nothing"),
        (
            "contoso.com MX 10 mx.contoso.com",
            "contoso.com MX 0 .",
            "mx.from",
            "wrong",
            "takes no mail",
        ),
        ("mx.contoso.com A", "mx2.contoso.com A", "mx.from", "wrong", "does not exist"),
    ] {
        bench.republish(line, other).finds(name, state, part);
    }
    assert!(bench.dns.n_tcp() == 0, "all of it fits a packet");
}

#[test]
fn an_answer_that_does_not_fit_a_packet_is_asked_for_again() {
    let bench = Bench::new();
    let many: String = (0..8)
        .map(|n| format!("contoso.com TXT verification-{n}={}\n", "x".repeat(100)))
        .collect();
    bench.dns.publish(&format!("{many}{}", bench.zone));
    bench.examine(0, &[]);
    assert!(bench.dns.n_tcp() > 0);
}

#[test]
fn what_is_not_known_since_nobody_answers_is_not_called_wrong() {
    let bench = Bench::new();
    // A port at which nobody is.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let output = bench.posthorn.run(&["--json", "doctor", "--resolver", &nobody.to_string()]);
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let check = one(&report, "dns");
    assert_eq!((output.code, &check["state"]), (0, &Value::from("notChecked")), "{report:#}");
    assert!(said(check).contains(&nobody.to_string()), "{check:#}");
}

#[test]
fn from_envelope_and_signature_that_do_not_belong_together_are_told_with_and_without_the_dns() {
    let bench = Bench::new();
    let notes = || bench.posthorn.json(&["config", "check"])["notes"].to_string();
    assert_eq!(notes(), "[]");
    bench.posthorn.setting("mail.from", "leads@news.contoso.com");
    assert_eq!(notes(), "[]", "below the domain that signs");
    bench
        .posthorn
        .setting("mail.envelope_from", "bounce@contoso.com")
        .setting("mail.from", "leads@fabrikam.com");
    assert!(notes().contains("neither belongs with mail.from, and DMARC fails"), "{}", notes());
    let report = bench.examine(1, &[]);
    let check = one(&report, "alignment");
    assert_eq!(check["state"], "warning", "fabrikam.com has no policy that is enforced: {check:#}");
    assert_eq!(one(&report, "mx.from")["state"], "wrong", "nobody can answer");

    // The same with a policy that is enforced.
    bench.dns.publish(&format!(
        "{}\n_dmarc.fabrikam.com TXT v=DMARC1; p=reject\nfabrikam.com A 203.0.113.1",
        bench.zone
    ));
    bench.finds("alignment", "wrong", "mails are refused or put aside");
    bench.posthorn.setting("mail.envelope_from", "bounce@fabrikam.com");
    assert!(notes().contains("DMARC passes over the signature"), "{}", notes());
    bench
        .posthorn
        .without_setting("dkim.domain")
        .without_setting("dkim.selector")
        .without_setting("dkim.key_file");
    assert_eq!(notes(), "[]");
    bench.posthorn.setting("mail.envelope_from", "bounce@relay.example");
    assert!(
        notes().contains("DMARC fails unless the relay signs for fabrikam.com"),
        "{}",
        notes()
    );
}

#[test]
fn a_relay_that_does_not_take_mail_is_told_by_the_step_at_which_it_does_not() {
    let bench = Bench::new();
    let relay = &bench.relay;
    relay.refuse("CONNECT", "554 5.7.1 not from there", 1);
    bench.finds("relay.reach", "wrong", "refuses this machine: it answers 554 5.7.1 not from there");
    relay.refuse("EHLO", "550 5.7.1 who are you", 1);
    bench.finds("relay.reach", "wrong", "it answers 550 5.7.1 who are you");
    relay.refuse("STARTTLS", "454 4.7.0 not now", 1);
    bench.finds("relay.tls", "wrong", "cannot be encrypted: it answers 454 4.7.0 not now");
    relay.cut("AUTH", 1);
    bench.finds("relay.login", "wrong", "is not possible");
    secret(&bench.posthorn, "password", "wrong");
    bench.finds("relay.login", "wrong", "it answers 535 5.7.8 wrong name or password");
    secret(&bench.posthorn, "password", "secret");
    relay.withdraw("PIPELINING");
    bench.finds("relay.extensions", "ok", "without PIPELINING each mail takes four round trips");
    relay.offer("SIZE 100000");
    bench.finds("relay.extensions", "warning", "mails of up to 97 KiB");
    bench.posthorn.no_env("SSL_CERT_FILE");
    bench.finds("relay.tls", "wrong", "certificate");
    let elsewhere = "[{ host = \"no-such-relay.invalid\" }]";
    bench.posthorn.setting("smtp.relays", elsewhere);
    bench.finds("relay.reach", "wrong", "has no address");
    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    bench
        .posthorn
        .setting("smtp.relays", &format!("[{{ host = \"127.0.0.1\", port = {} }}]", closed.port()));
    bench.finds("relay.reach", "wrong", "cannot be reached: Connection refused.");

    let plain = Relay::start();
    bench
        .posthorn
        .setting("smtp.relays", &format!("[{{ host = \"127.0.0.1\", port = {} }}]", plain.port()));
    bench.finds("relay.tls", "wrong", "does not offer STARTTLS");
    bench.posthorn.setting("smtp.relays", &plain.relays());
    bench.finds("relay.reach", "ok", "in the clear, on this machine");
    assert!(plain.mails().is_empty() && relay.mails().is_empty());
}

#[test]
fn a_wrong_configuration_or_database_hides_nothing_else() {
    let bench = Bench::new();
    bench.posthorn.setting("database.url", "sqlite:elsewhere.db").unmigrated();
    let report = bench.examine(4, &[]);
    assert!(said(one(&report, "database")).contains("no posthorn tables yet"));
    assert_eq!(one(&report, "dkim")["state"], "ok", "the rest was looked at");

    bench.posthorn.setting("log.level", "loud").setting("worker.batch", "0");
    let report = bench.examine(3, &[]);
    let faults = checks(&report).iter().filter(|check| check["name"] == "settings").count();
    assert_eq!(faults, 2, "each fault is one: {report:#}");
    assert_eq!(one(&report, "relay.login")["state"], "ok", "the rest was looked at: {report:#}");

    bench.posthorn.setting("dkim.domain", "nonsense");
    let report = bench.examine(3, &[]);
    assert_eq!(one(&report, "dns")["state"], "notChecked", "what would say whose is wrong");

    fs::remove_file(bench.posthorn.folder().join("posthorn.toml")).expect("a file");
    let report = bench.examine(3, &[]);
    assert!(
        said(one(&report, "settings")).contains("Cannot read the configuration"),
        "{report:#}"
    );
    assert_eq!(one(&report, "clock")["state"], "ok");
    assert_eq!(one(&report, "relay.reach")["state"], "notChecked");
}

#[test]
fn secrets_that_everybody_reads_and_files_that_are_not_there_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    fs::set_permissions(bench.posthorn.folder().join("password"), fs::Permissions::from_mode(0o644)).expect("its owner may");
    bench.finds(
        "secrets",
        "warning",
        "password holds a secret, and everybody on this machine can read it",
    );
    fs::remove_file(bench.posthorn.folder().join("dkim.pem")).expect("a file");
    bench.finds("secrets", "wrong", "dkim.key_file: cannot read the secret in dkim.pem");
}

#[test]
fn a_maildir_that_is_a_file_is_told() {
    let bench = Bench::new();
    bench.posthorn.setting("mail.transport", "maildir").setting("mail.maildir", "out/");
    bench.posthorn.file("out", "");
    bench.finds("disk.maildir", "wrong", "out is no folder, where the Maildir is to be (out/)");
}

/// Beside a running server, on both engines: the worker is seen, the pages answer, the clocks are compared.
#[test]
fn a_running_server_goes_on_and_is_seen() {
    both(|posthorn| {
        posthorn.setting("portal.lead_desk", "desk@contoso.com");
        let public = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port");
        let url = format!("http://{public}");
        posthorn
            .setting("http.public_listen", &public.to_string())
            .setting("http.public_url", &url);
        let center = Receiver::start();
        secret(posthorn, "secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        posthorn
            .setting("action_center.url", &center.url("/actions"))
            .setting("action_center.secret_file", "secret");
        let mut web = Web::start(posthorn);
        listening(web.running(), "listening to the public");
        let output = posthorn.run(&["--json", "doctor"]);
        let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
        // The tests' PostgreSQL may run without fsync, and then it has to be told.
        let is_durable = one(&report, "durability")["state"] == "ok";
        assert_eq!(output.code, i32::from(!is_durable), "{report:#}");
        assert!(is_durable || said(one(&report, "durability")).contains("fsync = off"), "{report:#}");
        for (name, part) in [
            ("worker", "A worker is alive ("),
            ("pages", "it is posthorn that does"),
            ("action_center", "is reached, and posts to it are signed"),
            ("waiting", "Nothing waits to be mailed"),
        ] {
            let check = one(&report, name);
            assert!(check["state"] == "ok" && said(check).contains(part), "{name}: {check:#}");
        }
        let clocks: Vec<&str> = checks(&report).iter().filter(|check| check["name"] == "clock").map(said).collect();
        assert!(
            clocks.iter().any(|found| found.ends_with("as does the server of http.public_url.")),
            "{clocks:?}"
        );
        assert_eq!(
            clocks.iter().any(|found| found.ends_with("as does the PostgreSQL server's.")),
            posthorn.is_postgres(),
            "{clocks:?}"
        );
        assert!(center.posts().iter().all(|post| post.method == "HEAD"), "{:?}", center.posts());
        web.stop();
        assert_eq!(number(posthorn, "select count(*) as n from delivery"), 0);
    });
}

#[test]
fn work_that_waits_for_somebody_is_told() {
    let bench = Bench::new();
    let rejected = bench.posthorn.file("rejected.ndjson", "{\"id\": \"x\"}\n");
    assert_eq!(bench.posthorn.run(&["import", &rejected]).code, 1);
    bench.finds("needs_somebody", "warning", "1 record was rejected.");
    bench.finds("worker", "warning", "No worker is alive");
}
