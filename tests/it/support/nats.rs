//! A real NATS server with JetStream on 127.0.0.1, and a publisher of its own.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::PullConsumer};

/// Where the program is; `cargo xtask test` sets it.
const PROGRAM: &str = "POSTHORN_TEST_NATS";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; ended when dropped.
pub struct Nats {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    arguments: Vec<String>,
    runtime: tokio::runtime::Runtime,
}

impl Nats {
    /// Starts one; `None`, and one line that says so, where the program is not at hand.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        if std::env::var_os(PROGRAM).is_none() {
            // Past the capture of the test runner, which shows nothing of a test that passes.
            writeln!(
                std::io::stderr(),
                "NATS: not run, as {PROGRAM} is not set; `cargo xtask test` sets it"
            )
            .ok();
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("posthorn-nats-")
            .tempdir()
            .expect("a temporary folder can be made");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port can be found");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        drop(listener);
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        Some(Self {
            child: run(&folder, port, &arguments),
            folder,
            port,
            arguments,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be had"),
        })
    }

    /// Kills it, and starts it again over what it had stored.
    pub fn restart(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.child = run(&self.folder, self.port, &self.arguments);
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Publishes a message, and waits until it is stored.
    pub fn publish(&self, subject: &str, headers: &[(&str, &str)], payload: &str) {
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            sent.insert(*name, *value);
        }
        self.runtime.block_on(async {
            let context = self.context().await;
            let stored = context
                .publish_with_headers(subject.to_owned(), sent, payload.to_owned().into())
                .await;
            stored.expect("a connection").await.expect("it is stored");
        });
    }

    /// Returns how many messages of posthorn's consumer are not acknowledged, whether or not they were handed out.
    pub fn n_left(&self) -> u64 {
        self.runtime.block_on(async {
            let stream = self.context().await.get_stream("LEADS").await.expect("a stream");
            let mut consumer: PullConsumer = stream.get_consumer("posthorn").await.expect("a consumer");
            let info = consumer.info().await.expect("it is told");
            info.num_pending + info.num_ack_pending as u64
        })
    }

    /// Waits until posthorn has made its consumer.
    pub fn until_listened_to(&self) {
        let begun = Instant::now();
        let is_there = || {
            self.runtime.block_on(async {
                let Ok(stream) = self.context().await.get_stream("LEADS").await else {
                    return false;
                };
                stream.get_consumer::<jetstream::consumer::pull::Config>("posthorn").await.is_ok()
            })
        };
        while !is_there() {
            assert!(begun.elapsed() < PATIENCE, "nobody listens");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    async fn context(&self) -> jetstream::Context {
        let mut options = async_nats::ConnectOptions::new();
        if let [.., user, password] = self.arguments.as_slice() {
            options = options.user_and_password(user.clone(), password.clone());
        }
        jetstream::new(options.connect(self.url()).await.expect("it listens"))
    }
}

fn run(folder: &tempfile::TempDir, port: u16, arguments: &[String]) -> Child {
    let mut command = Command::new(std::env::var_os(PROGRAM).expect("looked at before"));
    command
        .args(["-js", "-a", "127.0.0.1", "-p"])
        .arg(port.to_string())
        .arg("-sd")
        .arg(folder.path());
    if let [user, password] = arguments {
        command.args(["--user", user, "--pass", password]);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.expect("nats-server can be started");
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "nats-server does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
