//! Runs every command of the guides as a reader does: top to bottom, in one shell and an empty folder.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the commands of a page: what stands in its blocks marked `sh`.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut block: Option<String> = None;
    for line in page.lines() {
        match &mut block {
            None if line == "```sh" => block = Some(String::new()),
            None => {}
            Some(_) if line == "```" => commands.extend(block.take()),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    commands
}

/// Runs a guide with the port of its own in place of the usual one, and returns what it printed and where it ran.
#[track_caller]
fn run(name: &str) -> (String, tempfile::TempDir) {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides").join(name)).expect("the guide is there");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let mut script = String::from("set -eu\ntrap 'kill %1 2>/dev/null || true; wait' EXIT\n");
    let all = commands(&page);
    assert!(!all.is_empty(), "{name} has no commands");
    for command in all {
        script.push_str(&command.replace("127.0.0.1:8025", &format!("127.0.0.1:{port}")));
        script.push('\n');
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_posthorn")).parent().expect("it lies in a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("POSTHORN__HTTP__LISTEN", format!("127.0.0.1:{port}"))
        .env_remove("POSTHORN_CONFIG")
        .stdin(Stdio::null())
        .output()
        .expect("bash can be started");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
    (out.into_owned(), folder)
}

#[test]
fn the_guide_to_integrate_leads_to_the_first_mail() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("the guide was not run: there is no curl; `cargo xtask test` installs it");
        return;
    }
    let (out, folder) = run("integrate.md");
    assert_eq!(
        fs::read_dir(folder.path().join("mail/new")).expect("mails").count(),
        4,
        "four leads: {out}"
    );
    for told in [
        "\"outcome\":\"new\"",
        "Subject: ",
        "\"substatus\":\"Accepted\"",
        "\"substatus\":\"Declined\"",
        "posthorn_",
    ] {
        assert!(out.contains(told), "{told} is not in\n{out}");
    }
}

#[test]
fn the_guide_to_bounces_leads_to_the_next_address() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("the guide was not run: there is no curl; `cargo xtask test` installs it");
        return;
    }
    let (out, folder) = run("bounces.md");
    assert_eq!(fs::read_dir(folder.path().join("mail/new")).expect("mails").count(), 2, "{out}");
    for told in [
        "hard: mail 1 to kim@contoso.com: 550 5.1.1 no such user; the address is suppressed",
        "Mailed to ada@contoso.com on 2026-03-02 10:00 UTC",
        "\"isRepeat\":true",
    ] {
        assert!(out.contains(told), "{told} is not in\n{out}");
    }
}

/// `R-ERASE`
#[test]
fn the_guide_to_erasure_leaves_a_tombstone() {
    let (out, _folder) = run("erasure.md");
    // A page is wrapped for a terminal.
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    let (before, after) = out.split_once("The personal data of lead L-1001 is erased.").expect("it is erased");
    assert!(before.contains("Fabrikam"), "{out}");
    for told in [
        "(erased)",
        "erased on request by ada: the customer asked for it, ticket 4711",
        "erase_after = \"730d\"",
    ] {
        assert!(after.contains(told), "{told} is not in\n{out}");
    }
    assert!(!after.contains("Fabrikam") && !after.contains("Byron"), "{out}");
}

#[test]
fn the_guide_to_relays_names_what_can_be_set() {
    let (out, _folder) = run("relays.md");
    for told in ["backup.contoso.com", "warm_up = [50, 100, 200, 400, 800, 1600, 3200]", "60/min"] {
        assert!(out.contains(told), "{told} is not in\n{out}");
    }
}

#[test]
fn the_guide_to_sign_mail_leads_to_a_signed_mail_and_its_record() {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        eprintln!("the guide was not run: there is no openssl");
        return;
    }
    let (out, folder) = run("sign-mail.md");
    for told in [
        "posthorn-2026._domainkey.contoso.com",
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;",
        " d=contoso.com;",
    ] {
        assert!(out.contains(told), "{told} is not in\n{out}");
    }
    let public = Command::new("openssl")
        .args(["pkey", "-in", "dkim.pem", "-pubout"])
        .current_dir(folder.path())
        .output()
        .expect("openssl can be started");
    let pem = String::from_utf8(public.stdout).expect("PEM");
    let key: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    // Once as posthorn's record, once as openssl says it: the two agree.
    assert!(out.contains(&format!("v=DKIM1; k=rsa; p={key}\n")), "{key} is not in\n{out}");
    assert_eq!(out.matches(&key).count(), 2, "{out}");
}

#[test]
fn the_guide_to_templates_leads_to_words_looks_and_a_language_of_ones_own() {
    let (out, folder) = run("templates.md");
    for told in [
        "lead\ten\tlead.mjml\tbuilt-in lead.mjml",
        "Dear partner Kim Abercrombie,",
        "Subject: A customer is waiting for you: Contoso Ltd",
        "lead.contact.email",
        "Subject: Dringende lead: Contoso Ltd",
        "texts that it takes from another language: ",
        "-Subject: Urgent lead: Contoso Ltd",
        "+Subject: A customer is waiting for you: Contoso Ltd",
        "exit code 3",
    ] {
        assert!(out.contains(told), "{told} is not in\n{out}");
    }
    let mails: Vec<Vec<u8>> = fs::read_dir(folder.path().join("mail/new"))
        .expect("mails")
        .map(|entry| fs::read(entry.expect("a file").path()).expect("a mail"))
        .collect();
    assert_eq!(mails.len(), 2, "the one that was tried, and the lead's: {out}");
    let got = fs::read(folder.path().join("got.eml")).expect("the mail that was shown");
    assert!(mails.contains(&got), "what was shown is what went");
}
