//! Reads the sources and fails, with file and line, where the house is not kept: an arrow that points outward, SQL outside the store, a clock read
//! where it must not be. What a machine can see is seen here, so that a review can look at the rest.
//!
//! Each check is a function from a source to findings, and has a test of its own with code that it must find fault with.

#[path = "house/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, line_of, occurrences};

/// The rooms that decide: they do no I/O, and know none of the others.
const CORE: &[&str] = &[
    "lead", "partner", "policy", "outbox", "link", "time", "tag", "fault", "fields", "clean",
];

/// What every room of the shell has at hand.
const AT_HAND: &[&str] = &["settings", "telemetry", "clock", "fault_point"];

/// Which other rooms of the shell a room may use, beside the core and what is at hand. A room that is not listed here is a finding.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "http",
            "app",
            "intake",
            "timers",
            "delivery",
            "store",
            "template",
            "mail",
            "action_center",
            "doctor",
            "export",
            "dns",
            "verify",
        ],
    ),
    (
        "doctor",
        &["app", "delivery", "store", "template", "mail", "action_center", "intake", "dns"],
    ),
    ("http", &["app", "intake", "delivery", "template", "store", "export"]),
    ("export", &["template"]),
    ("intake", &["app", "store"]),
    ("timers", &["app", "store"]),
    ("app", &["store"]),
    ("delivery", &["app", "store", "template", "mail", "action_center"]),
    ("action_center", &["webhook"]),
    ("verify", &["app", "store", "dns"]),
    ("template", &[]),
    ("mail", &[]),
    ("dns", &[]),
    ("webhook", &[]),
    ("store", &[]),
    ("settings", &[]),
    ("telemetry", &[]),
    ("clock", &[]),
    ("fault_point", &[]),
];

/// What the core must not name: whatever waits, does I/O, or gives another answer the next time.
const NOT_IN_THE_CORE: &[&str] = &[
    "tokio::",
    "futures_util::",
    "sqlx::",
    "reqwest::",
    "axum::",
    "tracing::",
    "async",
    "await",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "Instant::now",
];

/// Files of the shell that decide, and are held to what the core is held to.
const PURE_FILES: &[&str] = &[
    "src/dns/answers.rs",
    "src/dns/wire.rs",
    "src/doctor/der.rs",
    "src/doctor/dkim.rs",
    "src/doctor/dmarc.rs",
    "src/doctor/mailbox.rs",
    "src/doctor/report.rs",
    "src/doctor/spf.rs",
    "src/doctor/spf_record.rs",
    "src/doctor/text.rs",
    "src/verify/judge.rs",
];

/// The ways to read the wall clock. An id of time (UUID v7) made without saying which reads it, too.
const WALL_CLOCK: &[&str] = &["Utc::now", "Local::now", "SystemTime::now", "now_v7"];

/// What must not ship, and what to write instead.
const NOT_SHIPPED: &[(&str, &str)] = &[
    (
        ".unwrap()",
        "handle it, or say with expect(\"…\") which invariant makes it impossible",
    ),
    ("todo!", "write it"),
    ("unimplemented!", "write it"),
    ("dbg!", "remove it"),
    ("unbounded_channel", "bound it, by a constant with a reason"),
    ("unbounded", "bound it, by a constant with a reason"),
    (
        "mpsc::channel()",
        "std's channel() is unbounded; bound it, by a constant with a reason",
    ),
    ("super::super", "say crate::room, so that the arrow can be seen"),
];

/// The rules of which a test must say that it shows them. A rule is added here with the capability that keeps it.
const DEMANDED_RULES: &[&str] = &[
    "R-INTAKE",
    "R-SYNC",
    "R-BACKFILL",
    "R-KIND",
    "R-WHO-MAILS",
    "R-RECIPIENT",
    "R-LOCALE",
    "R-CHANNEL",
    "R-DIGEST",
    "R-ACTION",
    "R-OPTOUT",
    "R-STAGES",
    "R-ACCEPT",
    "R-DECLINE",
    "R-EXPIRY",
    "R-URGENT",
    "R-REMIND",
    "R-VERIFY",
    "R-TABS",
    "R-FILTER",
    "R-EXPORT",
    "R-ERASE",
];

#[test]
fn arrows_between_rooms_point_inward() {
    check_all(arrows);
}

#[test]
fn sql_stands_in_the_store_and_nowhere_else() {
    check_all(sql);
}

#[test]
fn the_wall_clock_is_read_in_one_place() {
    check_all(wall_clock);
}

#[test]
fn only_the_command_line_prints() {
    check_all(prints);
}

#[test]
fn nothing_ships_that_panics_unexplained_or_grows_without_bound() {
    check_all(not_shipped);
}

#[test]
fn the_core_does_no_io_and_does_not_wait() {
    check_all(core_is_pure);
}

#[test]
fn every_room_has_a_door_that_says_why_it_exists() {
    check_all(documented);
}

#[test]
fn every_rule_is_named_by_a_test() {
    let mut files = sources("src");
    files.extend(sources("tests"));
    let named: BTreeSet<String> = files.iter().flat_map(|file| rules_shown(&file.text)).collect();
    let missing: Vec<&str> = DEMANDED_RULES.iter().copied().filter(|rule| !named.contains(*rule)).collect();
    assert!(
        missing.is_empty(),
        "no test names these rules in its doc comment: {}",
        missing.join(", ")
    );
}

/// Something to change, and where.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

fn finding(source: &Source, line: usize, text: impl Into<String>) -> Finding {
    Finding {
        path: source.path.clone(),
        line,
        text: text.into(),
    }
}

#[track_caller]
fn check_all(check: fn(&Source) -> Vec<Finding>) {
    let findings: Vec<String> = sources("src").iter().flat_map(check).map(|finding| finding.to_string()).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// Reads all Rust files below a folder of the repository, in the order of their paths.
fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "{folder} has no sources: the check would pass on nothing");
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let below = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    paths.iter().map(|path| Source::new(&below(path), &read(path))).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn arrows(source: &Source) -> Vec<Finding> {
    let Some(room) = source.room() else { return Vec::new() };
    let is_core = CORE.contains(&room);
    let allowed = ARROWS.iter().find(|(from, _)| *from == room).map(|(_, to)| *to);
    if !is_core && allowed.is_none() {
        return vec![finding(
            source,
            1,
            format!("the room {room} is not among the arrows of tests/house.rs"),
        )];
    }
    let may_use = |other: &str| {
        other == room || CORE.contains(&other) || (!is_core && (AT_HAND.contains(&other) || allowed.unwrap_or_default().contains(&other)))
    };
    let mut findings = Vec::new();
    for (line, other) in rooms_used(&source.shipped) {
        let is_room = CORE.contains(&other.as_str()) || ARROWS.iter().any(|(from, _)| *from == other);
        // What is no room is a macro or a name at the crate's root, such as crate::Error: there are none, and none are wanted.
        if !is_room {
            findings.push(finding(source, line, format!("crate::{other} is not a room of tests/house.rs")));
        } else if !may_use(&other) {
            findings.push(finding(
                source,
                line,
                format!("{room} must not use {other}: the arrow points outward"),
            ));
        }
    }
    findings
}

/// Returns the rooms that code names after `crate::`, alone or in braces, with their lines.
fn rooms_used(code: &str) -> Vec<(usize, String)> {
    let mut rooms = Vec::new();
    for at in occurrences(code, "crate::") {
        let after = &code[at + "crate::".len()..];
        if after.starts_with('{') {
            rooms.extend(
                names_in_braces(after)
                    .into_iter()
                    .map(|(offset, name)| (line_of(code, at + "crate::".len() + offset), name)),
            );
        } else {
            rooms.push((line_of(code, at), name_at(after)));
        }
    }
    rooms.retain(|(_, name)| !name.is_empty());
    rooms
}

/// Returns the first name of each entry of `{a::b, c::{d, e}}`, with its offset.
fn names_in_braces(text: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut begins = false;
    for (offset, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        let is_name = character.is_alphanumeric() || character == '_';
        if begins && is_name {
            names.push((offset, name_at(&text[offset..])));
        }
        begins = depth == 1 && (matches!(character, '{' | ',') || (begins && character.is_whitespace()));
    }
    names
}

fn name_at(text: &str) -> String {
    text.chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

fn sql(source: &Source) -> Vec<Finding> {
    if source.room() == Some("store") {
        return Vec::new();
    }
    let statements = source.literals.iter().filter(|(_, literal)| is_sql(literal));
    statements
        .map(|(line, _)| finding(source, *line, "SQL stands outside store/"))
        .collect()
}

/// Whether a text is a statement: it begins with a verb of SQL in one case, not as a sentence does, and has the words that belong to that verb.
fn is_sql(literal: &str) -> bool {
    let text = literal.trim_start().trim_start_matches('(');
    let first = text.split_whitespace().next().unwrap_or_default();
    if first != first.to_lowercase() && first != first.to_uppercase() {
        return false;
    }
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let has = |word: &str| words.contains(&word);
    match words.first().copied().unwrap_or_default() {
        "select" => has("from") && (lower.contains(',') || lower.contains('*') || lower.contains('(') || has("where") || words.len() == 4),
        "insert" => has("into"),
        "update" => has("set") && lower.contains('='),
        "delete" => words.get(1) == Some(&"from"),
        "with" => has("as") && lower.contains('(') && has("select"),
        "create" | "alter" | "drop" => ["table", "index", "database", "trigger", "view"]
            .iter()
            .any(|thing| words.iter().skip(1).take(2).any(|word| word == thing)),
        "begin" => words.get(1) == Some(&"immediate"),
        "pragma" => words.len() > 1,
        _ => false,
    }
}

fn wall_clock(source: &Source) -> Vec<Finding> {
    if source.path == "src/clock.rs" {
        return Vec::new();
    }
    words(source, WALL_CLOCK, |word| {
        format!("{word} reads the wall clock; take `now`, or ask crate::clock")
    })
}

fn prints(source: &Source) -> Vec<Finding> {
    if source.room() == Some("cli") {
        return Vec::new();
    }
    words(source, &["println!", "print!", "eprintln!", "eprint!"], |word| {
        format!("{word} stands outside cli/; log it, or return it")
    })
}

fn not_shipped(source: &Source) -> Vec<Finding> {
    NOT_SHIPPED
        .iter()
        .flat_map(|(word, instead)| words(source, &[word], |word| format!("{word} must not ship: {instead}")))
        .collect()
}

fn core_is_pure(source: &Source) -> Vec<Finding> {
    let is_core = source.room().is_some_and(|room| CORE.contains(&room));
    if !is_core && !PURE_FILES.contains(&source.path.as_str()) {
        return Vec::new();
    }
    words(source, NOT_IN_THE_CORE, |word| {
        format!("{word} stands in the core, which does no I/O and does not wait")
    })
}

fn documented(source: &Source) -> Vec<Finding> {
    let is_documented = source.path == "src/main.rs" || source.text.starts_with("//!");
    if is_documented {
        Vec::new()
    } else {
        vec![finding(source, 1, "the file does not begin by saying why it exists (//!)")]
    }
}

fn words(source: &Source, words: &[&str], say: impl Fn(&str) -> String) -> Vec<Finding> {
    let found = words
        .iter()
        .flat_map(|word| source.lines_with(word).into_iter().map(move |line| (line, *word)));
    found.map(|(line, word)| finding(source, line, say(word))).collect()
}

/// Returns the rule tags that stand in the doc comment of a test: lines of `///` before an attribute that says `test`.
fn rules_shown(text: &str) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    let (mut tags, mut is_test) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            tags.extend(tags_in(comment));
        } else if line.starts_with("#[") {
            is_test |= line.contains("test");
        } else {
            if is_test {
                shown.extend(tags.drain(..));
            }
            tags.clear();
            is_test = false;
        }
    }
    shown
}

/// Returns the words of the form `R-DIGEST`.
fn tags_in(text: &str) -> Vec<String> {
    let is_part = |character: char| character.is_ascii_uppercase() || character == '-';
    let words = text.split(|character: char| !(is_part(character) || character.is_ascii_lowercase()));
    words
        .filter(|word| word.len() > 2 && word.starts_with("R-") && word.chars().all(is_part))
        .map(|word| word.trim_end_matches('-').to_owned())
        .collect()
}

/// Says what a check finds in a text, as `line: text`.
#[track_caller]
fn check_finds(check: fn(&Source) -> Vec<Finding>, path: &str, text: &str, expected: &[(usize, &str)]) {
    let findings = check(&Source::new(path, text));
    let found: Vec<(usize, &str)> = findings.iter().map(|finding| (finding.line, finding.text.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{path}\n{text}\n{found:?}");
    for ((line, said), (expected_line, part)) in found.iter().zip(expected) {
        assert!(
            line == expected_line && said.contains(part),
            "{path}\n{text}\nfound {line}: {said}\nexpected {expected_line}: … {part} …"
        );
    }
}

#[test]
fn an_arrow_that_points_outward_is_found() {
    for (path, text, expected) in [
        (
            "src/policy/digest.rs",
            "use crate::lead::LeadId;\nuse crate::store::Store;\n",
            &[(2, "policy must not use store")][..],
        ),
        (
            "src/policy/digest.rs",
            "use crate::clock::Clock;",
            &[(1, "policy must not use clock")],
        ),
        ("src/fault.rs", "use crate::lead::Lead;", &[]),
        ("src/lead/record.rs", "use crate::fault::Fault;", &[]),
        (
            "src/store/leads.rs",
            "use crate::lead::Lead;\nfn f() { crate::app::take_in(); }",
            &[(2, "store must not use app")],
        ),
        (
            "src/app/tick.rs",
            "use crate::{\n    lead::Lead,\n    store::{Store, app},\n    delivery::Worker,\n};",
            &[(4, "app must not use delivery")],
        ),
        (
            "src/delivery/send.rs",
            "use crate::mail::smtp;\nuse crate::webhook::sign;",
            &[(2, "delivery must not use webhook")],
        ),
        ("src/action_center/post.rs", "pub(crate) use crate::webhook::sign;", &[]),
        ("src/http/leads.rs", "use crate::cli;", &[(1, "http must not use cli")]),
        ("src/cli/work.rs", "use crate::{app, delivery, timers, clock, settings};", &[]),
        (
            "src/mail/smtp.rs",
            "use crate::settings::Smtp; // use crate::store\n#[cfg(test)]\nmod tests { use crate::store::Store; }",
            &[],
        ),
        (
            "src/mail/smtp.rs",
            "use crate::prelude::Thing;",
            &[(1, "crate::prelude is not a room")],
        ),
        ("src/utils/text.rs", "", &[(1, "the room utils is not among the arrows")]),
        ("src/lib.rs", "pub mod anything;", &[]),
    ] {
        check_finds(arrows, path, text, expected);
    }
}

#[test]
fn a_statement_outside_the_store_is_found() {
    for (path, text, expected) in [
        ("src/app/x.rs", "let q = \"select id from lead where id = $1\";", &[(1, "SQL")][..]),
        ("src/app/x.rs", "let q = \"SELECT * FROM lead\";", &[(1, "SQL")]),
        ("src/app/x.rs", "let q = \"\n    update lead\n    set stage = 'x'\";", &[(1, "SQL")]),
        (
            "src/app/x.rs",
            "f(r\"insert into lead (id) values ($1)\");\ng(\"delete from lead\");",
            &[(1, "SQL"), (2, "SQL")],
        ),
        (
            "src/app/x.rs",
            "f(\"with due as (select 1) select * from due\");\nf(\"pragma data_version\");\nf(\"begin immediate\");",
            &[(1, "SQL"), (2, "SQL"), (3, "SQL")],
        ),
        ("src/app/x.rs", "f(\"create unique index a on b (c)\");", &[(1, "SQL")]),
        ("src/store/leads.rs", "let q = \"select id from lead where id = $1\";", &[]),
        (
            "src/app/x.rs",
            "// select id, x from lead\n#[cfg(test)]\nmod tests { fn f() { q(\"delete from lead\"); } }",
            &[],
        ),
        (
            "src/cli/x.rs",
            "f(\"select a lead from the list\"); f(\"Delete from here\"); f(\"update\"); f(\"with two contacts as given\"); f(\"set it with --at\");",
            &[],
        ),
    ] {
        check_finds(sql, path, text, expected);
    }
}

#[test]
fn a_clock_that_is_read_elsewhere_is_found() {
    for (path, text, expected) in [
        (
            "src/app/x.rs",
            "let now = chrono::Utc::now();\nlet at = std::time::SystemTime::now();",
            &[(1, "Utc::now"), (2, "SystemTime::now")][..],
        ),
        ("src/store/x.rs", "let id = Uuid::now_v7();", &[(1, "now_v7")]),
        ("src/clock.rs", "let now = chrono::Utc::now();", &[]),
        ("src/delivery/x.rs", "let started = Instant::now(); let n = clock.now();", &[]),
    ] {
        check_finds(wall_clock, path, text, expected);
    }
}

#[test]
fn a_print_outside_the_command_line_is_found() {
    for (path, text, expected) in [
        (
            "src/app/x.rs",
            "println!(\"x\");\neprintln!(\"y\");",
            &[(1, "println!"), (2, "eprintln!")][..],
        ),
        ("src/cli/x.rs", "println!(\"x\");", &[]),
        ("src/app/x.rs", "pretty_print!(x); // print!\n", &[]),
    ] {
        check_finds(prints, path, text, expected);
    }
}

#[test]
fn what_must_not_ship_is_found() {
    for (path, text, expected) in [
        ("src/app/x.rs", "f()\n    .unwrap();", &[(2, ".unwrap()")][..]),
        ("src/app/x.rs", "f().unwrap_or(0); g().expect(\"a lead has a partner\");", &[]),
        (
            "src/app/x.rs",
            "fn f() { todo!() }\nfn g() { unimplemented!(); dbg!(x); }",
            &[(1, "todo!"), (2, "unimplemented!"), (2, "dbg!")],
        ),
        (
            "src/app/x.rs",
            "let (a, b) = mpsc::unbounded_channel();\nlet (c, d) = std::sync::mpsc::channel();",
            &[(1, "unbounded_channel"), (2, "mpsc::channel()")],
        ),
        ("src/app/x.rs", "let (a, b) = mpsc::channel(64);", &[]),
        ("src/app/x.rs", "use super::super::store::Store;", &[(1, "super::super")]),
        (
            "src/app/x.rs",
            "/// `x.unwrap()`\nfn f() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn g() { f().unwrap(); }\n}\n",
            &[],
        ),
        ("src/app/testing.rs", "f().unwrap();", &[]),
    ] {
        check_finds(not_shipped, path, text, expected);
    }
}

#[test]
fn io_in_the_core_is_found() {
    for (path, text, expected) in [
        (
            "src/outbox/x.rs",
            "use tokio::sync::mpsc;\npub async fn f() {}",
            &[(1, "tokio::"), (2, "async")][..],
        ),
        ("src/lead/x.rs", "let t = std::fs::read_to_string(p);", &[(1, "std::fs")]),
        ("src/policy/x.rs", "/// Not async: see tokio::spawn.\nfn asynchronous() {}", &[]),
        ("src/store/x.rs", "pub async fn f() { sqlx::query(q).await }", &[]),
    ] {
        check_finds(core_is_pure, path, text, expected);
    }
}

#[test]
fn a_file_that_does_not_say_why_it_exists_is_found() {
    check_finds(documented, "src/app/x.rs", "use std::fmt;\n", &[(1, "//!")]);
    check_finds(documented, "src/app/x.rs", "//! Takes a lead in.\n", &[]);
}

#[test]
fn a_rule_is_shown_by_a_test_that_names_it_and_by_nothing_else() {
    let text = "/// R-INTAKE is kept here.\nfn helper() {}\n\n/// `R-DIGEST`, R-WHO-MAILS: twelve leads.\n#[test]\nfn twelve() {}\n\n/// R-URGENT\n#[tokio::test(start_paused = true)]\nasync fn cools() {}\n// R-ACTION\n#[test]\nfn other() {}\n";
    let shown: Vec<String> = rules_shown(text).into_iter().collect();
    assert_eq!(shown, ["R-DIGEST", "R-URGENT", "R-WHO-MAILS"]);
}
