//! A real SMTP server that is not ours: postfix's `smtp-sink`, which takes every mail and keeps it as a file.
#![allow(dead_code, reason = "verbs wait here for the test that needs them")]

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::posthorn::Mail;

/// Where the program is; `cargo xtask test` sets it.
const SMTP_SINK: &str = "POSTHORN_TEST_SMTP_SINK";

/// How the lines begin that it writes above a mail: its own fields, and the rest of its `Received`.
const THEIRS: &[&str] = &["X-Client-", "X-Helo-", "X-Mail-", "X-Rcpt-", "Received:", "\t", " "];

/// A running `smtp-sink`; ended when dropped.
pub struct SmtpSink {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl SmtpSink {
    /// Starts one on a free port of 127.0.0.1; `None`, and one line that says so, where the program is not at hand.
    pub fn start() -> Option<Self> {
        let Some(program) = std::env::var_os(SMTP_SINK) else {
            // Past the capture of the test runner, which shows nothing of a test that passes.
            writeln!(
                std::io::stderr(),
                "smtp-sink: not run, as {SMTP_SINK} is not set; `cargo xtask test` sets it"
            )
            .ok();
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("posthorn-sink-")
            .tempdir()
            .expect("a temporary folder can be made");
        // Started by root it becomes somebody else, who has to be able to write here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("our own folder can be opened");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port can be found");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        drop(listener);

        let mut command = Command::new(program);
        if Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n") {
            command.args(["-u", "nobody"]);
        }
        command
            .arg("-d")
            .arg(folder.path().join("mail."))
            .arg(format!("127.0.0.1:{port}"))
            .arg("128");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("smtp-sink can be started");
        let mut sink = Self { child, folder, port };
        sink.wait_until_up();
        Some(sink)
    }

    /// Returns the value of `smtp.relays` that leads here.
    pub fn relays(&self) -> String {
        format!("[{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}]", self.port)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns what it took, in the order of dates, receivers and subjects.
    #[track_caller]
    pub fn mails(&self) -> Vec<Mail> {
        let files = fs::read_dir(self.folder.path()).expect("our own folder can be read").flatten();
        let mut mails: Vec<Mail> = files
            .map(|file| Mail::parse(without_envelope(&file.path()), &file.path()))
            .collect();
        mails.sort_by(|one, other| (&one.date, &one.to, &one.subject).cmp(&(&other.date, &other.to, &other.subject)));
        mails
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "smtp-sink does not come up ({ended:?})"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Takes away what smtp-sink writes above a mail: the envelope as `X-…-Args` fields, and a `Received` of its own.
fn without_envelope(file: &PathBuf) -> Vec<u8> {
    let raw = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let text = String::from_utf8_lossy(&raw).into_owned();
    let is_theirs = |line: &str| THEIRS.iter().any(|field| line.starts_with(field));
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_once('\n')
        && is_theirs(line)
    {
        rest = after;
    }
    rest.as_bytes().to_vec()
}

#[test]
fn the_sink_keeps_what_it_is_told() {
    use std::io::{BufRead, BufReader};
    let Some(sink) = SmtpSink::start() else { return };
    let mut out = TcpStream::connect(("127.0.0.1", sink.port())).expect("it is up");
    let mut replies = BufReader::new(out.try_clone().expect("a socket can be shared"))
        .lines()
        .map(|line| line.expect("it answers"));
    let mut last_line = || {
        replies
            .by_ref()
            .find(|line| line.as_bytes().get(3) == Some(&b' '))
            .expect("it answers")
    };
    assert!(last_line().starts_with("220"));
    let message =
        "From: <p@portal.example>\r\nTo: <ada@contoso.example>\r\nSubject: one\r\nMessage-ID: <1@portal.example>\r\n\r\ntext\r\n.";
    for (command, code) in [
        ("EHLO test.example", "250"),
        ("MAIL FROM:<p@portal.example>", "250"),
        ("RCPT TO:<ada@contoso.example>", "250"),
        ("DATA", "354"),
        (message, "250"),
        ("QUIT", "221"),
    ] {
        out.write_all(format!("{command}\r\n").as_bytes()).expect("it listens");
        let reply = last_line();
        assert!(reply.starts_with(code), "{command}: {reply}");
    }
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (&*mails[0].message_id, &*mails[0].to, mails[0].text.trim()),
        ("1@portal.example", "ada@contoso.example", "text")
    );
    assert!(mails[0].raw.starts_with(b"From:"), "{}", String::from_utf8_lossy(&mails[0].raw));
}
