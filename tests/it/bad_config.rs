//! What an operator is told when the configuration is wrong: each folder of `tests/bad-config` holds a `posthorn.toml`, perhaps an
//! `environment` (NAME=text, one a line), and the `expected` answer. A new case needs no Rust.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use posthorn::settings::{Environment, load_from};

#[test]
fn a_wrong_configuration_is_answered_with_place_key_and_what_is_allowed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-config");
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .expect("the cases")
        .map(|entry| entry.expect("a case").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 20, "only {} cases in {}", cases.len(), folder.display());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let answer = answer_to(&case);
        let expected = fs::read_to_string(case.join("expected")).unwrap_or_default();
        if answer != expected {
            wrong.push(format!("--- {name}: expected\n{expected}--- answered\n{answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn answer_to(case: &Path) -> String {
    let variables = fs::read_to_string(case.join("environment")).unwrap_or_default();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let environment = Environment::new(variables.map(|(name, text)| (name.to_owned(), OsString::from(text))));
    match load_from(Some(&case.join("posthorn.toml")), &environment, &[]) {
        Ok(_) => "nothing: it was taken\n".into(),
        // The folder differs from machine to machine.
        Err(error) => format!("{error}\n").replace(&format!("{}/", case.display()), ""),
    }
}
