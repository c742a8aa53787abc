//! What must hold of the dependencies: licences that can be shipped, one TLS stack and it is rustls with ring, heavy crates in one version, none
//! that nobody uses.
//!
//! `cargo tree` knows all of it; so nothing has to be installed, and nothing is downloaded but the crates themselves.
//! **Not here:** known vulnerabilities. Their list comes from the network; `cargo deny check advisories` reads it, outside of the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::run::{Result, cargo, note, output, root};

/// Licences under which a dependency may be linked into a program under Apache-2.0; a new one is a decision.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Crates that would bring a second TLS stack or a build need beside the C compiler, and why not.
const UNWANTED: &[(&str, &str)] = &[
    ("openssl-sys", "rustls is the one TLS stack"),
    ("native-tls", "rustls is the one TLS stack"),
    ("aws-lc-sys", "needs cmake; ring is the one provider"),
    ("async-std", "tokio is the one runtime"),
    ("cmake", "a C compiler is the only build need"),
    (
        "sqlx-macros-core",
        "needs both engines and a second SQLite for the build machine: 95 CPU seconds of a release build",
    ),
];

/// Crates that cost seconds to build or hold global state: two versions of one are a mistake.
const SINGLE: &[&str] = &[
    "chrono",
    "http",
    "hyper",
    "lettre",
    "libsqlite3-sys",
    "reqwest",
    "ring",
    "rustls",
    "serde",
    "serde_json",
    "sqlx-core",
    "tokio",
    "tracing",
];

/// Dependencies that no source file names, and what they are for.
const USED_UNNAMED: &[(&str, &str)] = &[];

/// One package that is built, for us or for a dependency.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Package {
    name: String,
    version: String,
    licence: String,
}

/// Checks them all, and prints each finding before it fails.
pub fn check() -> Result {
    let tree = output(&mut cargo(&[
        "tree",
        "--workspace",
        "--locked",
        "--prefix",
        "none",
        "--edges",
        "normal,build",
        "--format",
        "{p}|{l}",
    ]))?;
    let packages = read_tree(&tree);
    let mut findings = Vec::new();
    findings.extend(check_licences(&packages));
    findings.extend(check_unwanted(&packages));
    findings.extend(check_single(&packages));
    findings.extend(check_used()?);
    for finding in &findings {
        note(finding);
    }
    let twice = versions_of(&packages)
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| name)
        .collect::<Vec<_>>();
    note(&format!(
        "{} packages; in more than one version, from below: {}",
        packages.len(),
        or_none(&twice)
    ));
    if findings.is_empty() {
        Ok(())
    } else {
        Err(format!("{} findings about dependencies", findings.len()))
    }
}

fn or_none(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Reads lines such as `serde v1.0.228|MIT OR Apache-2.0`, with `(*)`, `(proc-macro)` or a path between.
fn read_tree(tree: &str) -> BTreeSet<Package> {
    let mut packages = BTreeSet::new();
    for line in tree.lines() {
        let Some((package, licence)) = line.split_once('|') else { continue };
        let mut words = package.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            continue;
        };
        let licence = licence.trim().trim_end_matches("(*)").trim();
        packages.insert(Package {
            name: name.into(),
            version: version.trim_start_matches('v').into(),
            licence: licence.into(),
        });
    }
    packages
}

fn check_licences(packages: &BTreeSet<Package>) -> Vec<String> {
    let refused = packages.iter().filter(|package| !is_allowed(&package.licence));
    refused
        .map(|Package { name, version, licence }| format!("{name} {version}: licence {licence:?} is not among those allowed"))
        .collect()
}

fn check_unwanted(packages: &BTreeSet<Package>) -> Vec<String> {
    let why = |name: &str| UNWANTED.iter().find(|(unwanted, _)| *unwanted == name).map(|(_, why)| *why);
    packages
        .iter()
        .filter_map(|package| why(&package.name).map(|why| format!("{}: {why}; see: cargo tree -i {}", package.name, package.name)))
        .collect()
}

fn check_single(packages: &BTreeSet<Package>) -> Vec<String> {
    let versions = versions_of(packages);
    let twice = SINGLE.iter().filter_map(|name| {
        versions
            .get(name)
            .filter(|versions| versions.len() > 1)
            .map(|versions| (name, versions))
    });
    twice
        .map(|(name, versions)| format!("{name} is built in {} versions: {}", versions.len(), versions.join(", ")))
        .collect()
}

fn versions_of(packages: &BTreeSet<Package>) -> BTreeMap<&str, Vec<&str>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let known = versions.entry(&package.name).or_default();
        if !known.contains(&package.version.as_str()) {
            known.push(&package.version);
        }
    }
    versions
}

/// Returns whether an SPDX expression can be met with the licences allowed.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let allowed = any_of(&words, &mut at);
    allowed && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = all_of(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= all_of(words, at);
    }
    allowed
}

fn all_of(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= one(words, at);
    }
    allowed
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let allowed = any_of(words, at);
        *at += 1; // the closing bracket
        return allowed;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return LICENCES.contains(&format!("{word} WITH {exception}").as_str());
    }
    LICENCES.contains(word)
}

/// Returns the dependencies of the main package that no source file names.
fn check_used() -> Result<Vec<String>> {
    let manifest_path = root().join("Cargo.toml");
    let manifest = fs::read_to_string(&manifest_path).map_err(|error| format!("{}: {error}", manifest_path.display()))?;
    let mut shipped = String::new();
    read_sources(&root().join("src"), &mut shipped)?;
    let mut all = shipped.clone();
    for folder in ["tests", "benches"] {
        read_sources(&root().join(folder), &mut all)?;
    }
    let mut findings = unused(&manifest, "dependencies", &shipped);
    findings.extend(unused(&manifest, "dev-dependencies", &all));
    Ok(findings)
}

fn unused(manifest: &str, table: &str, sources: &str) -> Vec<String> {
    let is_used = |name: &&str| USED_UNNAMED.iter().any(|(known, _)| known == name) || is_named(sources, &name.replace('-', "_"));
    let names = names_of(manifest, table).into_iter().filter(|name| !is_used(name));
    names
        .map(|name| format!("Cargo.toml: [{table}] {name} is named by no source file"))
        .collect()
}

/// Returns the keys of a table of the manifest.
fn names_of<'a>(manifest: &'a str, table: &str) -> Vec<&'a str> {
    let header = format!("[{table}]");
    let lines = manifest
        .lines()
        .skip_while(|line| line.trim() != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['=', '.']).next())
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Returns whether `name::` or `use name` stands in the text as a word of its own.
fn is_named(sources: &str, name: &str) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(|character| character.is_alphanumeric() || character == '_');
    sources.match_indices(name).any(|(at, _)| {
        let (before, after) = (&sources[..at], &sources[at + name.len()..]);
        let imported = before.ends_with("use ") && !is_word(after.chars().next());
        !is_word(before.chars().next_back()) && (after.starts_with("::") || imported)
    })
}

fn read_sources(folder: &Path, into: &mut String) -> Result {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_sources(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_allowed_when_one_of_its_alternatives_is() {
        for (expression, allowed) in [
            ("MIT", true),
            ("MIT OR GPL-3.0-only", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
            ("GPL-2.0-only WITH Classpath-exception-2.0", false),
            ("MIT GPL-3.0-only", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression), allowed, "{expression:?}");
        }
    }

    #[test]
    fn the_tree_is_read_and_what_must_not_be_there_is_found() {
        let packages = read_tree(
            "posthorn v0.1.0 (/home/ada/posthorn)|Apache-2.0\nserde v1.0.228|MIT OR Apache-2.0\nserde v1.0.228|MIT OR Apache-2.0 (*)\n\n\
             serde_derive v1.0.1 (proc-macro)|MIT\nrustls v0.22.0|ISC\nrustls v0.23.1|ISC\nopenssl-sys v0.9.1|MIT\nforbidden v1.0.0|AGPL-3.0-only\n",
        );
        assert_eq!(packages.len(), 7);
        assert_eq!(
            check_licences(&packages),
            ["forbidden 1.0.0: licence \"AGPL-3.0-only\" is not among those allowed"]
        );
        assert_eq!(
            check_unwanted(&packages),
            ["openssl-sys: rustls is the one TLS stack; see: cargo tree -i openssl-sys"]
        );
        assert_eq!(check_single(&packages), ["rustls is built in 2 versions: 0.22.0, 0.23.1"]);
    }

    #[test]
    fn a_dependency_that_no_source_names_is_found() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nused = \"1\"\nused-too = { version = \"1\" }\n# spare = \"1\"\nlonely = \"1\"\n[features]\nnone = []\n";
        let sources = "use used;\nfn f() { used_too::g(); not_lonely::h(); lonely_not::h(); }";
        assert_eq!(
            unused(manifest, "dependencies", sources),
            ["Cargo.toml: [dependencies] lonely is named by no source file"]
        );
    }
}
