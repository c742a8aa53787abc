//! Every mail and every public page, looked at in a browser: on a phone and a desktop, light and dark, and by checkers of others.
//!
//! `tests/pictures/look.mjs` looks (Chromium, axe, html-validate); here is what it is given, and what becomes of its faults. The pictures are in
//! `target/pictures`, with `index.html` for all of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use posthorn::outbox::Kind;
use posthorn::template::{Set, Specimen};

use crate::support::posthorn::Posthorn;

/// Where `cargo xtask test` has put what looks: a program that takes the folder of mails and the folder for pictures.
const LOOK: &str = "POSTHORN_TEST_LOOK";
/// Where `cargo xtask test` has found SpamAssassin.
const SPAMASSASSIN: &str = "POSTHORN_TEST_SPAMASSASSIN";
/// Mailboxes take 5 points for spam, and add some of their own for the sender's host.
const SPAM_POINTS_MAX: f64 = 2.0;

#[test]
fn every_mail_and_page_is_fit_to_be_seen_on_phone_and_desktop_light_and_dark() {
    let Some(look) = std::env::var_os(LOOK) else {
        eprintln!("pictures: not run, as {LOOK} is not set; `cargo xtask test` runs it where Chromium and Node are");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let set = Set::load(None).expect("the built-in templates load");
    for specimen in set.specimens().expect("samples render") {
        fs::write(folder.path().join(specimen.name + ".html"), specimen.html).expect("a file can be written");
    }
    for Specimen { name, html } in branded().specimens().expect("samples render") {
        let parts: Vec<&str> = name.split('.').collect();
        let [what, kind, language, state] = parts[..] else {
            panic!("{name}")
        };
        // The elements are those of the others; what differs is logo, colours and footer.
        if let ("lead", "en" | "ar", "full") | ("answer", "de", "ask-accept") = (kind, language, state) {
            let name = format!("{what}.{kind}-branded.{language}.{state}.html");
            fs::write(folder.path().join(name), html).expect("a file can be written");
        }
    }
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures");
    let _ = fs::remove_dir_all(&pictures);
    fs::create_dir_all(&pictures).expect("a folder for pictures");
    let output = Command::new(look).arg(folder.path()).arg(&pictures).output().expect("it runs");
    let (faults, notes) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{faults}\n{notes}");
    eprintln!("{notes}pictures: {}", pictures.join("index.html").display());
}

/// Returns the built-in templates in the look of a programme.
fn branded() -> Set {
    let posthorn = Posthorn::sqlite();
    posthorn
        .setting("programmes.gold.branding.logo", "https://gold.example/logo.png")
        .setting("programmes.gold.branding.accent", "#7a5a00")
        .setting("programmes.gold.branding.accent_dark", "#8a6600")
        .setting("programmes.gold.branding.link", "#6b4f00")
        .setting("programmes.gold.branding.link_dark", "#f0c85a")
        .setting("programmes.gold.branding.background", "#f7f3ea")
        .setting("programmes.gold.branding.background_dark", "#17140c")
        .setting(
            "programmes.gold.branding.footer",
            "{ en = \"Gold & Sons <Ltd>, 1 Main Street\\nLondon (UK)\", de = \"Gold & Söhne, Wien\" }",
        );
    assert_eq!(
        posthorn.run(&["config", "check"]).stdout.matches("hard to read").count(),
        0,
        "a look that is seen to be fit is one without notes"
    );
    let config = posthorn.folder().join("posthorn.toml");
    let loaded = posthorn::settings::load(Some(&config)).expect("settings");
    let gold = loaded.settings.of_programme("gold");
    Set::load(&gold.templates).expect("a look makes no template wrong")
}

/// SpamAssassin's local rules; those of the network judge the sender's host.
#[test]
fn no_mail_looks_like_spam() {
    let Some(spamassassin) = std::env::var_os(SPAMASSASSIN) else {
        eprintln!("spam: not run, as {SPAMASSASSIN} is not set; `cargo xtask test` runs it where SpamAssassin is");
        return;
    };
    let posthorn = Posthorn::sqlite();
    let set = Set::load(None).expect("the built-in templates load");
    let mut files = Vec::new();
    for language in set.languages() {
        for kind in Kind::ALL {
            let file = posthorn.folder().join(format!("{kind}.{language}.eml"));
            let path = file.display().to_string();
            posthorn.ok(&[
                "template",
                "preview",
                kind.as_str(),
                "--lang",
                language,
                "--format",
                "eml",
                "--out",
                &path,
            ]);
            files.push(file);
        }
    }
    // Its home is where it writes to.
    let output = Command::new(spamassassin)
        .args(["--local", "--test-mode"])
        .args(&files)
        .env("HOME", posthorn.folder())
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let scores: Vec<f64> = told
        .lines()
        .filter_map(|line| {
            line.strip_prefix("X-Spam-Status: ")?
                .split_once("score=")?
                .1
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(scores.len(), files.len(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    for (file, score) in files.iter().zip(scores) {
        let name = file.file_name().unwrap_or_default().display();
        let hits: Vec<&str> = told
            .lines()
            .filter(|line| line.starts_with(' ') || line.starts_with('-'))
            .filter(|line| line.contains("BODY:") || line.contains("HEADER:"))
            .collect();
        eprintln!("spam: {score} points for {name}");
        assert!(
            score < SPAM_POINTS_MAX,
            "{name} has {score} points, of at most {SPAM_POINTS_MAX}:\n{}",
            hits.join("\n")
        );
    }
}
