//! The port itself: TLS, clients that are slow or many, and an end that lets requests end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::posthorn::Posthorn;
use crate::support::records::lead;
use crate::support::web::{Web, listening};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(web: &Web) -> TcpStream {
    let address: SocketAddr = web.base().trim_start_matches("http://").parse().expect("an address");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    stream
}

/// Reads until the other side ends it; says how long that took.
fn until_closed(stream: &mut TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the connection was not cut: {error}"),
        }
    }
    (String::from_utf8_lossy(&all).into_owned(), began.elapsed())
}

#[test]
fn a_client_that_does_not_finish_its_head_is_cut() {
    let posthorn = Posthorn::sqlite();
    posthorn.setting("http.patience", "1s");
    let web = Web::start(&posthorn);
    let mut silent = connect(&web);
    let mut slow = connect(&web);
    slow.write_all(b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow")
        .expect("it is read");
    for stream in [&mut silent, &mut slow] {
        let (_, took) = until_closed(stream);
        assert!(took < PATIENCE / 2, "{took:?}");
    }
    web.get("/healthz").expect(200);
    web.stop();
}

#[test]
fn a_client_that_does_not_finish_its_body_is_cut() {
    let posthorn = Posthorn::sqlite();
    posthorn.setting("http.patience", "1s");
    let web = Web::start(&posthorn);
    for kind in ["application/json", "application/x-ndjson"] {
        let mut stream = connect(&web);
        let head = format!("POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n{{\"id\"");
        stream.write_all(head.as_bytes()).expect("it is read");
        let (answer, took) = until_closed(&mut stream);
        assert!(took < PATIENCE / 2, "{kind}: {took:?}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 2"), "{kind}: {answer}");
    }
    web.stop();
}

/// A client that sends and never reads its answers is held back, and then cut: nobody keeps them for it.
#[test]
fn a_client_that_does_not_read_is_cut() {
    let posthorn = Posthorn::sqlite();
    posthorn.setting("http.patience", "1s");
    let web = Web::start(&posthorn);
    let mut stream = connect(&web);
    stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
    stream
        .write_all(
            b"POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
        )
        .expect("it is read");
    // Wrong records are answered at length.
    let line = "{\"id\":3,\"organizationId\":3,\"createdDateTime\":3,\"status\":\"x\",\"type\":\"y\",\"direction\":\"z\"}\n".repeat(500);
    let chunk = format!("{:x}\r\n{line}\r\n", line.len());
    let began = Instant::now();
    let cut = loop {
        if let Err(error) = stream.write_all(chunk.as_bytes()) {
            break error;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "it takes in without end");
    };
    assert!(
        matches!(cut.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset),
        "{cut}"
    );
    web.stop();
}

#[test]
fn more_clients_than_are_served_at_once_wait_their_turn() {
    let posthorn = Posthorn::sqlite();
    posthorn.setting("http.max_connections", "2").setting("http.patience", "1s");
    let web = Web::start(&posthorn);
    let held: Vec<TcpStream> = (0..2).map(|_| connect(&web)).collect();
    // Both are cut when their patience is over, and this one is served then.
    web.get("/healthz").expect(200);
    drop(held);
    web.stop();
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let posthorn = Posthorn::sqlite();
    let web = Web::start(&posthorn);
    let mut stream = connect(&web);
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    // It may be cut while it is still being sent.
    stream.write_all(head.as_bytes()).ok();
    let (answer, _) = until_closed(&mut stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    web.stop();
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let posthorn = Posthorn::sqlite();
    let mut web = Web::start(&posthorn);
    let mut stream = connect(&web);
    let body = serde_json::Value::from(lead("L1")).to_string();
    let head = format!(
        "POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("it is read");
    // The request has begun once its head was answered with nothing yet; a second one shows that the server is past the first.
    web.get("/healthz").expect(200);
    web.running().signal("TERM");
    stream.write_all(body.as_bytes()).expect("it is still read");
    let (answer, _) = until_closed(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let output = web.running().wait();
    assert_eq!(output.code, 0, "{output}");
}

/// A stream that has no end is no reason not to stop: what was answered is taken in, and the client is told to send the rest again.
#[test]
fn a_stream_without_end_ends_when_the_server_is_stopped() {
    let posthorn = Posthorn::sqlite();
    let mut web = Web::start(&posthorn);
    let mut stream = connect(&web);
    let record = format!("{}\n", serde_json::Value::from(lead("L1")));
    let head = "POST /v1/leads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    let first = format!("{head}{:x}\r\n{record}\r\n", record.len());
    stream.write_all(first.as_bytes()).expect("it is read");
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    while !String::from_utf8_lossy(&answer).contains("\"outcome\":\"new\"") {
        let n = stream.read(&mut chunk).expect("it is answered");
        assert!(n > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..n]);
    }
    web.running().signal("TERM");
    let (rest, _) = until_closed(&mut stream);
    assert!(rest.contains("posthorn is stopping"), "{rest}");
    let output = web.running().wait();
    assert_eq!(output.code, 0, "{output}");
}

#[test]
fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let posthorn = Posthorn::sqlite();
    let authority = rcgen::Issuer::new(
        {
            let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("a CA");
            parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            parameters
        },
        rcgen::KeyPair::generate().expect("a key"),
    );
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("a CA");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = parameters.self_signed(authority.key()).expect("a certificate");
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .expect("a name")
        .signed_by(&key, &authority)
        .expect("a certificate");
    let certificate_file = posthorn.file("tls.pem", &leaf.pem());
    let key_file = posthorn.file("tls.key", &key.serialize_pem());
    posthorn
        .setting("http.certificate_file", &certificate_file)
        .setting("http.key_file", &key_file);
    let mut running = posthorn.start(&["serve"]);
    let address: SocketAddr = listening(&mut running, "listening").parse().expect("an address");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.der().clone()).expect("a root");
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut tcp = TcpStream::connect(address).expect("it listens");
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let mut plain = TcpStream::connect(address).expect("it listens");
    plain.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it is sent");
    let (answer, _) = until_closed(&mut plain);
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    running.signal("TERM");
    running.wait();

    let wrong = posthorn.file("tls.key", "no key\n");
    posthorn.setting("http.key_file", &wrong);
    let told = posthorn.refused(3, &["serve"]);
    assert!(told.contains("tls.key"), "{told}");
}
