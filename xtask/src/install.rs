//! Finds what the tests need beside Rust, and on Debian as root installs it: PostgreSQL's server, NATS' server, and `smtp-sink`, a real SMTP
//! server that keeps nothing.
//!
//! **Invariants:** no service is started and none is made to start at boot; another mail server on the machine stays what it is.
//! So PostgreSQL is installed without its default cluster, and of the packages `postfix`, which would replace the machine's mail server, and
//! `nats-server`, which would start at boot, only the files are unpacked below `target/`. What comes from PyPI lives in a Python environment of its own, below `target/`, too. What looks at mails:
//! [`crate::look`].

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::look;
use crate::run::{Result, note, output, scratch};

/// Where the tests find the servers that they talk to.
pub struct Tools {
    /// The folder with `initdb`, `postgres` and `pg_isready`.
    pub postgres_bin: PathBuf,
    /// The program `smtp-sink`.
    pub smtp_sink: PathBuf,
    /// The program `nats-server`.
    pub nats_server: PathBuf,
    /// The program `schemathesis`; `None` where there is no Python to run it, and none to be installed.
    pub schemathesis: Option<PathBuf>,
    /// The program that looks at mails in Chromium; `None` where there is none.
    pub look: Option<PathBuf>,
    /// The program `spamassassin`; `None` where there is none.
    pub spamassassin: Option<PathBuf>,
}

/// Returns everything that the tests need, installed if it has to be.
pub fn tools() -> Result<Tools> {
    if !has_program("curl") {
        install(&["curl"], "curl, by which the guides are run")?;
    }
    Ok(Tools {
        postgres_bin: postgres()?,
        smtp_sink: smtp_sink()?,
        nats_server: nats_server()?,
        schemathesis: unless("schemathesis", "the test of the API's description", schemathesis()),
        look: unless("Chromium", "pictures of the mails and what looks at them", look::program()),
        spamassassin: unless("SpamAssassin", "the test of what mails score", spamassassin()),
    })
}

/// Says which test is not run, where its tool cannot be had.
fn unless(tool: &str, test: &str, found: Result<PathBuf>) -> Option<PathBuf> {
    found
        .inspect_err(|why| note(&format!("without {tool}, and so without {test}: {why}")))
        .ok()
}

/// Returns the folder of PostgreSQL's server programs.
pub fn postgres() -> Result<PathBuf> {
    if let Some(found) = find_postgres() {
        return Ok(found);
    }
    install(&["postgresql"], "PostgreSQL's server (initdb, postgres) on the PATH")?;
    find_postgres().ok_or_else(|| "the package postgresql is installed, but /usr/lib/postgresql/*/bin has no postgres".into())
}

/// Returns whether this process may install packages and has to change users for PostgreSQL, which refuses root.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Looks where Debian puts it (the newest version wins), then along the PATH.
fn find_postgres() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut folders = versions.into_iter().rev().map(|(_, bin)| bin).chain(on_path);
    folders.find(|folder| {
        ["initdb", "postgres", "pg_isready"]
            .iter()
            .all(|program| folder.join(program).exists())
    })
}

/// What is tested with is what is pinned: a newer one finds other things, on a day that nobody chose.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Returns schemathesis, in a Python environment below `target/`.
fn schemathesis() -> Result<PathBuf> {
    Ok(python_environment("schemathesis", SCHEMATHESIS)?.join("bin/schemathesis"))
}

/// Returns a Python environment below `target/` that has a pinned package of PyPI.
pub fn python_environment(name: &str, requirement: &str) -> Result<PathBuf> {
    let folder = scratch()?.join(name);
    let marker = folder.join(requirement);
    if marker.exists() {
        return Ok(folder);
    }
    let make = || output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    if make().is_err() {
        install(&["python3-venv"], "Python 3 with venv")?;
        make()?;
    }
    let mut pip = Command::new(folder.join("bin/python"));
    output(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]))?;
    note(&format!("installed {name} from PyPI below target/"));
    fs::write(&marker, "").map_err(|error| format!("{}: {error}", marker.display()))?;
    Ok(folder)
}

/// Returns SpamAssassin; of Debian's package, whose daemon is not started.
fn spamassassin() -> Result<PathBuf> {
    let program = Path::new("/usr/bin/spamassassin");
    if !program.exists() {
        install(&["spamassassin"], "spamassassin")?;
    }
    Ok(program.into())
}

/// Returns postfix's `smtp-sink`: the machine's own, or one unpacked from Debian's package.
fn smtp_sink() -> Result<PathBuf> {
    let installed = Path::new("/usr/sbin/smtp-sink");
    if installed.exists() {
        return Ok(installed.into());
    }
    let folder = scratch()?.join("postfix");
    let wrapper = folder.join("smtp-sink");
    if !wrapper.exists() {
        unpack_postfix(&folder, &wrapper)?;
    }
    Ok(wrapper)
}

fn unpack_postfix(folder: &Path, wrapper: &Path) -> Result {
    let wanted = "smtp-sink (Debian's package postfix)";
    let package = unpack("postfix", folder, wanted)?;
    let program = folder.join("files/usr/sbin/smtp-sink");
    let libraries = folder.join("files/usr/lib/postfix");
    let linked = output(Command::new("ldd").arg(&program).env("LD_LIBRARY_PATH", &libraries))?;
    if linked.contains("not found") {
        let depends = output(Command::new("dpkg-deb").arg("-f").arg(&package).arg("Depends"))?;
        install(&libraries_of(&depends), wanted)?;
    }

    // Written last: its presence says that all of the above is done. `exec` keeps the process id, by which the tests end it.
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n",
        libraries.display(),
        program.display()
    );
    fs::write(wrapper, script).map_err(|error| format!("{}: {error}", wrapper.display()))?;
    fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755)).map_err(|error| format!("{}: {error}", wrapper.display()))
}

/// Returns NATS' server: the machine's own, or one unpacked from Debian's package, which would start it at boot. It needs no libraries.
fn nats_server() -> Result<PathBuf> {
    let installed = Path::new("/usr/sbin/nats-server");
    if installed.exists() {
        return Ok(installed.into());
    }
    let folder = scratch()?.join("nats-server");
    let program = folder.join("files/usr/sbin/nats-server");
    if !program.exists() {
        unpack("nats-server", &folder, "nats-server (Debian's package of that name)")?;
    }
    Ok(program)
}

/// Unpacks a Debian package's files below `folder`, installs nothing, and returns the package.
fn unpack(name: &str, folder: &Path, wanted: &str) -> Result<PathBuf> {
    if !has_program("apt-get") {
        return Err(format!("not found: {wanted}; install it by hand"));
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let download = || {
        output(
            Command::new("apt-get")
                .args(["-o", "APT::Sandbox::User=root", "download", name])
                .current_dir(folder),
        )
    };
    if download().is_err() {
        update()?;
        download()?;
    }
    let package = fs::read_dir(folder)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| format!("apt-get download {name} left no package behind"))?;
    output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(folder.join("files")))?;
    note(&format!("unpacked Debian's package {name} below target/ (not installed)"));
    Ok(package)
}

/// Returns the shared libraries among the packages of a `Depends` line.
fn libraries_of(depends: &str) -> Vec<&str> {
    depends
        .split(',')
        .filter_map(|one| one.split_whitespace().next())
        .filter(|name| name.starts_with("lib"))
        .collect()
}

/// Installs Debian packages without starting a service; where that cannot be done, names them.
pub fn install(packages: &[&str], wanted: &str) -> Result {
    let names = packages.join(" ");
    if !has_program("apt-get") {
        return Err(format!("not found: {wanted}; install it by hand"));
    }
    if !is_root() {
        return Err(format!(
            "not found: {wanted}; install it with: sudo apt-get install --no-install-recommends {names}"
        ));
    }
    note(&format!("installing {names}"));
    let _no_start = Placed::new(
        "/usr/sbin/policy-rc.d",
        "#!/bin/sh\n# Placed while packages for tests are installed: start nothing.\nexit 101\n",
    )?;
    let _no_cluster = Placed::new(
        "/etc/postgresql-common/createcluster.d/posthorn-tests.conf",
        "create_main_cluster = false\n",
    )?;
    if apt_install(packages).is_err() {
        update()?;
        apt_install(packages)?;
    }
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result {
    let mut command = Command::new("apt-get");
    command
        .args(["install", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"])
        .args(packages);
    output(command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null())).map(drop)
}

fn update() -> Result {
    if !is_root() {
        return Err("Debian's package lists are missing or old; run: sudo apt-get update".into());
    }
    note("apt-get update");
    output(Command::new("apt-get").arg("update").stdin(Stdio::null())).map(drop)
}

pub fn has_program(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).exists()))
}

/// A file that exists while packages are installed, and is gone afterwards; one that was there before is left alone.
struct Placed {
    path: Option<PathBuf>,
}

impl Placed {
    fn new(path: &str, content: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        if path.exists() {
            return Ok(Self { path: None });
        }
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(told)?;
        fs::write(&path, content).map_err(told)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(told)?;
        Ok(Self { path: Some(path) })
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
        {
            note(&format!("{} is left over, please remove it: {error}", path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_of_a_package_are_the_names_that_begin_so() {
        let depends = "libc6 (>= 2.34), libdb5.3, debconf (>= 0.5) | debconf-2.0, netbase, libicu72 (>= 72.1~rc-1~)";
        assert_eq!(libraries_of(depends), ["libc6", "libdb5.3", "libicu72"]);
    }
}
