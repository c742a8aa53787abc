//! How `posthorn serve` bears many clients at once: latency of a lead that is posted alone, leads a second as NDJSON, and the server's memory, while its
//! worker mails what comes in.
//!
//! Run it by `cargo xtask bench requests`; `docs/reference/benchmarks.md` says what the figures mean. How often in a second the same disk makes a page
//! durable is measured beside: every answer waits for a commit.

#![forbid(unsafe_code)]

#[path = "../throughput/measured.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod measured;
#[path = "../throughput/records.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod records;
#[path = "../throughput/sink.rs"]
#[allow(dead_code, reason = "shared with the other bench")]
mod sink;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthorn::clock::wall_now;
use sink::Sink;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Clients at once, each over one connection that it keeps.
const N_CLIENTS: usize = 200;
/// Lines of one NDJSON.
const N_LINES: usize = 100;
/// How many leads come in a second while their latency is measured.
const LEADS_PER_SECOND: u32 = 100;
/// Mails on the way at once.
const N_CONNECTIONS: usize = 8;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    // Cargo adds `--bench` to what it hands on.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mut measure, mut n_leads) = ("requests", None);
    let (pairs, rest) = words.as_chunks::<2>();
    for [name, value] in pairs {
        match (*name, value.parse()) {
            ("--measure", _) => measure = value,
            ("--leads", Ok(n)) => n_leads = Some(n),
            _ => return failed("usage: --measure requests|latency --leads N"),
        }
    }
    let outcome = match (measure, rest) {
        ("requests", []) => bench(n_leads.unwrap_or(20_000)),
        ("latency", []) => latency(n_leads.unwrap_or(3_000)),
        _ => return failed("usage: --measure requests|latency --leads N"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("bench: {why}");
    ExitCode::FAILURE
}

fn bench(n_leads: usize) -> Outcome {
    let folder = tempfile::tempdir()?;
    let commits = measured::commits_per_second(folder.path())?;
    let leads = folder.path().join("leads.ndjson");
    records::write_leads(&leads, 2 * n_leads, wall_now())?;
    let lines: Vec<Vec<u8>> = fs::read(&leads)?
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    let (alone, together) = lines.split_at(n_leads);

    let sink = Sink::start(Duration::ZERO)?;
    let mut server = Server::start(folder.path(), sink.address())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let alone = runtime.block_on(post(
        server.address,
        alone.iter().map(|line| request("application/json", line)).collect(),
    ))?;
    let bodies = together
        .chunks(N_LINES)
        .map(|lines| request("application/x-ndjson", &lines.join(&b'\n')));
    let together = runtime.block_on(post(server.address, bodies.collect()))?;
    server.mailed(2 * n_leads, &sink)?;
    let peak_mib = server.stop()?;

    println!("{N_CLIENTS} clients at once, each over one kept connection, SQLite (WAL, synchronous=FULL); the worker mails meanwhile.\n");
    println!("| | leads/s | p50 | p99 | most |\n|---|---|---|---|---|");
    for (name, n_each, run) in [("one lead a POST", 1, &alone), ("NDJSON of 100 leads", N_LINES, &together)] {
        println!(
            "| {name} | {:.0} | {:.1} ms | {:.1} ms | {:.1} ms |",
            (run.latencies.len() * n_each) as f64 / run.seconds,
            run.percentile(50),
            run.percentile(99),
            run.percentile(100),
        );
    }
    println!("\nresident memory of the server, at most: {peak_mib:.1} MiB");
    println!(
        "commits of one page on the same disk: {commits:.0}/s, {:.2} ms each",
        1000.0 / commits
    );
    Ok(())
}

/// Posts leads one by one at [`LEADS_PER_SECOND`], and sees how long each takes from the beginning of its request to its mail's final dot.
fn latency(n_leads: usize) -> Outcome {
    let folder = tempfile::tempdir()?;
    let commits = measured::commits_per_second(folder.path())?;
    let leads = folder.path().join("leads.ndjson");
    records::write_leads(&leads, n_leads, wall_now())?;
    let text = fs::read_to_string(&leads)?;
    let sink = Sink::noting(records::LEAD_PREFIX)?;
    let mut server = Server::start(folder.path(), sink.address())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let posted: Vec<Instant> = runtime.block_on(async {
        let mut stream = BufReader::new(TcpStream::connect(server.address).await?);
        stream.get_ref().set_nodelay(true)?;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / LEADS_PER_SECOND);
        let mut posted = Vec::new();
        for line in text.lines() {
            ticks.tick().await;
            posted.push(Instant::now());
            stream.write_all(&request("application/json", line.as_bytes())).await?;
            answered(&mut stream).await?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(posted)
    })?;
    server.mailed(n_leads, &sink)?;
    server.stop()?;
    let arrivals = sink.arrivals();
    let mut latencies: Vec<f64> = arrivals
        .iter()
        .map(|(n, at)| at.duration_since(posted[*n]).as_secs_f64() * 1000.0)
        .collect();
    if latencies.len() != n_leads {
        return Err(format!("{} of {n_leads} mails were recognised", latencies.len()).into());
    }
    latencies.sort_by(f64::total_cmp);
    let run = Posted { seconds: 0.0, latencies };
    println!("{n_leads} leads, {LEADS_PER_SECOND} a second, each posted alone; SQLite (WAL, synchronous=FULL)\n");
    println!(
        "from the request to the mail's final dot at the sink: p50 {:.1} ms, p99 {:.1} ms",
        run.percentile(50),
        run.percentile(99)
    );
    println!(
        "commits of one page on the same disk: {commits:.0}/s, {:.2} ms each",
        1000.0 / commits
    );
    Ok(())
}

/// A `posthorn serve` with a database of its own.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &Path, sink: SocketAddr) -> Outcome<Self> {
        let config = folder.join("posthorn.toml");
        fs::write(
            &config,
            format!(
                "database.url = \"sqlite:{}\"\nhttp.listen = \"127.0.0.1:0\"\nmail.transport = \"smtp\"\nmail.from = \"leads@portal.example\"\n\
                 smtp.relays = [{{ host = \"{}\", port = {}, tls = \"none\", connections = {N_CONNECTIONS} }}]\npolicy.digest_threshold = 1000000\n",
                folder.join("posthorn.db").display(),
                sink.ip(),
                sink.port()
            ),
        )?;
        let posthorn = PathBuf::from(env!("CARGO_BIN_EXE_posthorn"));
        let partners = folder.join("partners.ndjson");
        records::write_partners(&partners)?;
        let imported = Command::new(&posthorn)
            .arg("--config")
            .arg(&config)
            .args(["-q", "partners", "import"])
            .arg(&partners)
            .status()?;
        if !imported.success() {
            return Err("the partners were not taken in".into());
        }
        let log = folder.join("log");
        let child = Command::new(&posthorn)
            .arg("--config")
            .arg(&config)
            .arg("serve")
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            let text = fs::read_to_string(&log)?;
            let address = text.split_once("address=").and_then(|(_, rest)| rest.split_whitespace().next());
            if let Some(address) = address {
                return Ok(Self {
                    child,
                    address: address.parse()?,
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the server does not listen: {}", fs::read_to_string(&log)?).into())
    }

    /// Waits until everything is mailed.
    fn mailed(&mut self, n_mails: usize, sink: &Sink) -> Outcome {
        let began = Instant::now();
        while sink.n_mails() < n_mails as u64 {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            if began.elapsed() > Duration::from_secs(300) {
                return Err(format!("{} of {n_mails} mails came", sink.n_mails()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends it, and returns the most memory that was resident.
    fn stop(mut self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        let peak_kib: f64 = peak.trim().trim_end_matches(" kB").parse()?;
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let ended = self.child.wait()?;
        if !ended.success() {
            return Err(format!("the server ended with {ended}").into());
        }
        Ok(peak_kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn request(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What came of a number of requests.
struct Posted {
    seconds: f64,
    /// In milliseconds, in order.
    latencies: Vec<f64>,
}

impl Posted {
    fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent).div_ceil(100).max(1) - 1;
        self.latencies[at]
    }
}

/// Posts all requests, as many at once as there are clients; one that is not answered by 2xx is an error.
async fn post(address: SocketAddr, requests: Vec<Vec<u8>>) -> Outcome<Posted> {
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..N_CLIENTS {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        clients.spawn(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut stream = BufReader::new(stream);
            let mut latencies = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                stream.write_all(request).await?;
                answered(&mut stream).await?;
                latencies.push(sent.elapsed().as_secs_f64() * 1000.0);
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(latencies)
        });
    }
    let mut latencies = Vec::with_capacity(requests.len());
    while let Some(done) = clients.join_next().await {
        latencies.extend(done??);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(Posted {
        seconds: began.elapsed().as_secs_f64(),
        latencies,
    })
}

/// Reads one answer to its end.
async fn answered(stream: &mut BufReader<TcpStream>) -> Outcome {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.1 2") {
        return Err(format!("answered {line:?}").into());
    }
    let (mut n_bytes, mut is_chunked) = (0_usize, false);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(n) = header.strip_prefix("content-length:") {
            n_bytes = n.trim().parse()?;
        }
        is_chunked |= header == "transfer-encoding: chunked";
    }
    loop {
        if is_chunked {
            line.clear();
            stream.read_line(&mut line).await?;
            n_bytes = usize::from_str_radix(line.trim_end(), 16)?;
        }
        let mut body = vec![0; n_bytes];
        stream.read_exact(&mut body).await?;
        if is_chunked {
            stream.read_line(&mut line).await?;
            if String::from_utf8_lossy(&body).contains("\"rejected\"") {
                return Err("a lead was rejected".into());
            }
        }
        if !is_chunked || n_bytes == 0 {
            return Ok(());
        }
    }
}
