//! A PostgreSQL of our own: made from the installed server, on a free port of 127.0.0.1, gone afterwards.
//!
//! **Invariant:** the server ends with the command that started it, also when that is interrupted or killed: it runs under `setpriv --pdeathsig`,
//! and is stopped by its process id. Only `pg up` makes one that stays, until `pg down`.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::install;
use crate::run::{Result, note, output, scratch, step};

/// How long a server may take to come up or go down; a busy machine with two cores needs about two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the folder of a throw-away server is called, before the process id of its owner.
const THROW_AWAY: &str = "posthorn-postgres-";

/// Whether a commit waits for the disk. Tests kill posthorn and never the server, so they need not; a benchmark does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `fsync = off`: for tests.
    Off,
    /// As in production.
    On,
}

/// A running server.
pub struct Server {
    child: Option<Child>,
    folder: PathBuf,
    url: String,
    keep: bool,
}

/// Who runs the server: nobody in particular, or, as PostgreSQL refuses root, another user.
struct User {
    uid: u32,
    gid: u32,
}

impl Server {
    /// Starts a new and empty server that is stopped and removed with this value.
    pub fn throw_away(bin: &Path, durability: Durability) -> Result<Self> {
        sweep();
        let folder = std::env::temp_dir().join(format!("{THROW_AWAY}{}", std::process::id()));
        Self::start(bin, durability, folder, false)
    }

    /// Returns the address of its database `postgres`, superuser and password included.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server and removes its files.
    pub fn stop(mut self) -> Result {
        self.end()
    }

    fn start(bin: &Path, durability: Durability, folder: PathBuf, keep: bool) -> Result<Self> {
        let user = User::for_server()?;
        let password = random_hex()?;
        make_folder(&folder, user.as_ref())?;
        let mut server = Self {
            child: None,
            folder,
            url: String::new(),
            keep: false,
        };

        let data = server.folder.join("data");
        let password_file = server.folder.join("password");
        write_for(&password_file, &password, user.as_ref())?;
        let mut init = as_user(user.as_ref(), &bin.join("initdb"), false);
        init.args([
            "--username=postgres",
            // The password in the clear, on loopback: a debug build spends four fifths of a short command on SCRAM (4.9 s for ten, 1.1 s without).
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        ]);
        output(
            init.arg("--pwfile")
                .arg(&password_file)
                .arg("--pgdata")
                .arg(&data)
                .current_dir(&server.folder),
        )?;

        let port = free_port()?;
        let log = scratch()?.join("postgres.log");
        let log_file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = as_user(user.as_ref(), &bin.join("postgres"), !keep);
        command.arg("-D").arg(&data).current_dir(&server.folder);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}")]);
        command.args(["-c", &format!("unix_socket_directories={}", server.folder.display())]);
        // One connection pool for each test that runs at a time, and a few to spare.
        command.args(["-c", "max_connections=200", "-c", "cluster_name=posthorn-tests"]);
        if durability == Durability::Off {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        if keep {
            // A group of its own, so that ctrl-C in the terminal does not end it.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let errors = log_file.try_clone().map_err(|error| error.to_string())?;
        let child = command.stdin(Stdio::null()).stdout(log_file).stderr(errors).spawn();
        server.child = Some(child.map_err(|error| format!("{}: {error}", bin.display()))?);
        server.url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        server.wait_until_ready(bin, port, &log)?;
        server.keep = keep;
        Ok(server)
    }

    fn wait_until_ready(&mut self, bin: &Path, port: u16, log: &Path) -> Result {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = port.to_string();
            let ready = output(Command::new(bin.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port])).is_ok();
            if ready {
                return Ok(());
            }
            let ended = self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || Instant::now() > deadline {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("PostgreSQL did not come up:\n{}", said.trim()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&mut self) -> Result {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if self.keep {
            return Ok(());
        }
        let ended = end_process(child.id(), || matches!(child.try_wait(), Ok(Some(_)) | Err(_)));
        let removed = fs::remove_dir_all(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()));
        ended.and(removed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let running = self.child.is_some();
        if let Err(error) = self.end() {
            note(&error);
        }
        if !running && !self.keep {
            // It never came to run: nothing but its folder is there. Gone already after `stop`.
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

/// `pg up`: starts a server that stays, and says where it is; one that is up already is named again.
pub fn up(durability: Durability) -> Result {
    let state = scratch()?.join("pg");
    if let Ok(known) = Known::read(&state) {
        if known.is_running() {
            note("PostgreSQL is up already; cargo xtask pg down stops it");
            println!("export POSTHORN_TEST_POSTGRES={}", known.url);
            return Ok(());
        }
        fs::remove_dir_all(&known.folder).ok();
    }
    let bin = step("PostgreSQL's server", install::postgres)?;
    // Root's folders are closed to the user that the server runs as.
    let folder = if install::is_root() {
        std::env::temp_dir().join(format!("posthorn-pg-{}", std::process::id()))
    } else {
        scratch()?.join("pg-data")
    };
    fs::remove_dir_all(&folder).ok();
    let server = step("PostgreSQL started", || Server::start(&bin, durability, folder, true))?;
    let pid = server.child.as_ref().map_or(0, Child::id);
    fs::write(&state, format!("{pid}\n{}\n{}\n", server.folder.display(), server.url))
        .map_err(|error| format!("{}: {error}", state.display()))?;
    note("cargo test now runs both halves, once you have set:");
    println!("export POSTHORN_TEST_POSTGRES={}", server.url);
    Ok(())
}

/// `pg down`: stops the server of `pg up` and removes its files.
pub fn down() -> Result {
    let state = scratch()?.join("pg");
    let Ok(known) = Known::read(&state) else {
        note("no PostgreSQL is up");
        return Ok(());
    };
    step("PostgreSQL stopped", || {
        if known.is_running() {
            end_process(known.pid, || !known.is_running())?;
        }
        fs::remove_dir_all(&known.folder).ok();
        fs::remove_file(&state).map_err(|error| format!("{}: {error}", state.display()))
    })
}

/// What `pg up` left for `pg down`.
struct Known {
    pid: u32,
    folder: PathBuf,
    url: String,
}

impl Known {
    fn read(state: &Path) -> Result<Self> {
        let text = fs::read_to_string(state).map_err(|error| error.to_string())?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or("cut short");
        Ok(Self {
            pid: line()?.parse().map_err(|_| "no process id")?,
            folder: line()?.into(),
            url: line()?.to_owned(),
        })
    }

    /// Whether that process is still ours: a process id is given to others later, the folder in its arguments is not.
    fn is_running(&self) -> bool {
        let arguments = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&*self.folder.to_string_lossy())
    }
}

impl User {
    /// Returns whom to run the server as; `None`: as ourselves.
    fn for_server() -> Result<Option<Self>> {
        if !install::is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            let id = |flag| {
                output(Command::new("id").args([flag, name]))
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
            };
            if let (Some(uid), Some(gid)) = (id("-u"), id("-g")) {
                return Ok(Some(Self { uid, gid }));
            }
        }
        Err("PostgreSQL refuses to run as root, and there is no user postgres or nobody".into())
    }
}

/// Prepares `program` to run as `user`; `bound` ends it (fast shutdown) with the process that started it, however that ends.
fn as_user(user: Option<&User>, program: &Path, bound: bool) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(User { uid, gid }) = user {
        command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
    }
    if bound {
        command.args(["--pdeathsig", "INT"]);
    }
    command.arg("--").arg(program);
    command
}

/// Asks a PostgreSQL to shut down fast, and ends it the hard way if it does not.
fn end_process(pid: u32, mut is_gone: impl FnMut() -> bool) -> Result {
    let deadline = Instant::now() + PATIENCE;
    for signal in ["-INT", "-KILL"] {
        // The shell's own `kill`: the program comes with procps, which a small machine lacks. It fails where the process is gone already.
        output(Command::new("sh").args(["-c", &format!("kill {signal} {pid}")])).ok();
        while Instant::now() < deadline {
            if is_gone() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    if is_gone() {
        Ok(())
    } else {
        Err(format!("process {pid} (postgres) does not end"))
    }
}

/// Removes what servers left whose owner was killed: they are ended, their files are not.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(THROW_AWAY))
            .and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn make_folder(folder: &Path, user: Option<&User>) -> Result {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir(folder).map_err(told)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(told)?;
    user.map_or(Ok(()), |user| chown(folder, Some(user.uid), Some(user.gid)))
        .map_err(told)
}

fn write_for(path: &Path, text: &str, user: Option<&User>) -> Result {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    fs::write(path, text).map_err(told)?;
    user.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
        .map_err(told)
}

/// Lets the system choose; between here and the server's start another program could take it, which shows as a failed start.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("no free port: {error}"))?;
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(|error| error.to_string())
}

fn random_hex() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
