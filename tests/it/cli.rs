//! The binary as a shell sees it: exit codes, streams, and a reader that goes away.

use std::process::{Command, Output, Stdio};

fn posthorn(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthorn"));
    command
        .args(line.split_whitespace())
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_remove("POSTHORN_CONFIG");
    command
}

fn texts(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[track_caller]
fn check(line: &str, variables: &[(&str, &str)], exit: i32, on_stdout: &str, on_stderr: &str) {
    let output = posthorn(line).envs(variables.iter().copied()).output().expect("the binary");
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(exit), "{line}\n{stdout}\n{stderr}");
    assert!(
        stdout.contains(on_stdout) && stdout.is_empty() == on_stdout.is_empty(),
        "{line}: standard output\n{stdout}"
    );
    assert!(
        stderr.contains(on_stderr) && stderr.is_empty() == on_stderr.is_empty(),
        "{line}: standard error\n{stderr}"
    );
}

#[test]
fn each_end_has_its_exit_code_and_its_stream() {
    for (line, variables, exit, on_stdout, on_stderr) in [
        ("--help", &[][..], 0, "Usage: posthorn", ""),
        ("--version", &[], 0, "posthorn ", ""),
        ("", &[], 2, "", "Usage: posthorn"),
        ("improt leads.json", &[], 2, "", "a similar subcommand exists: 'import'"),
        ("config check", &[], 0, "the defaults are in force", ""),
        (
            "config check --now 2026-03-02T16:59:00Z",
            &[],
            0,
            "The next fire in UTC is on Monday, 2 March 2026, at 17:00.",
            "",
        ),
        (
            "config check",
            &[("POSTHORN__MODE", "redirect")],
            3,
            "",
            "posthorn: POSTHORN__MODE: \"redirect\" needs mail.redirect_to",
        ),
        ("config show", &[("POSTHORN__PORTAL__NAME", "Contoso")], 0, "name = \"Contoso\"", ""),
        (
            "config show --json",
            &[("POSTHORN__DATABASE__URL", "postgres://a:hush@h/d")],
            0,
            "\"url\":\"postgres://a:***@h/d\"",
            "",
        ),
        (
            "--config nowhere.toml config show",
            &[],
            3,
            "",
            "posthorn: cannot read the configuration nowhere.toml (--config): it does not exist",
        ),
        (
            "config show",
            &[("POSTHORN_CONFIG", "nowhere.toml")],
            3,
            "",
            "nowhere.toml ($POSTHORN_CONFIG): it does not exist",
        ),
        ("completions bash", &[("POSTHORN__MODE", "nonsense")], 0, "_posthorn()", ""),
        ("man", &[("POSTHORN__MODE", "nonsense")], 0, ".TH posthorn 1", ""),
    ] {
        check(line, variables, exit, on_stdout, on_stderr);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = posthorn("completions zsh")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert_eq!((output.status.code(), texts(&output).1.as_str()), (Some(0), ""));
}
