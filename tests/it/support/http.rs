//! A small HTTP receiver on 127.0.0.1 that remembers posts and answers as it is told.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Post {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Post {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// Status and further header lines.
    Answer(String, String),
    Delay(Duration),
    Cut,
    /// A body without end.
    Flood,
}

#[derive(Default)]
struct State {
    acts: VecDeque<Act>,
    posts: Vec<Post>,
    is_stopped: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The receiver; it goes when it is dropped. Told nothing, it answers 204.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_listener = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if for_listener.state.lock().unwrap().is_stopped {
                    return;
                }
                let shared = Arc::clone(&for_listener);
                thread::spawn(move || {
                    // A client that hangs up is the test's business.
                    serve(&shared, stream).ok();
                });
            }
        });
        Self { address, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next request with a status, such as `503 Service Unavailable`; header lines may follow behind `\r\n`.
    pub fn answer(&self, status: &str) {
        self.then(Act::Answer(status.to_owned(), String::new()));
    }

    /// Answers the next request with a status and a body.
    pub fn answer_with(&self, status: u16, body: &str) {
        self.then(Act::Answer(format!("{status} As Told"), body.to_owned()));
    }

    /// Answers the next request later.
    pub fn delay(&self, by: Duration) {
        self.then(Act::Delay(by));
    }

    /// Ends the next request's connection without an answer.
    pub fn cut(&self) {
        self.then(Act::Cut);
    }

    /// Answers the next request with 200 and a body that does not end.
    pub fn flood(&self) {
        self.then(Act::Flood);
    }

    fn then(&self, act: Act) {
        self.shared.state.lock().unwrap().acts.push_back(act);
    }

    pub fn posts(&self) -> Vec<Post> {
        self.shared.state.lock().unwrap().posts.clone()
    }

    /// Waits until at least `n` posts are in, and returns all.
    #[track_caller]
    pub fn wait_for_posts(&self, n: usize) -> Vec<Post> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        while state.posts.len() < n {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let n_in = state.posts.len();
                // A panic under the lock would be met again when this receiver is dropped, and end the whole program.
                drop(state);
                panic!("{n_in} posts came, not {n}");
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
        state.posts.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().is_stopped = true;
        TcpStream::connect(self.address).ok();
    }
}

/// One request per connection.
fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    let mut wire = BufReader::new(stream);
    let first = line(&mut wire)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let header = line(&mut wire)?;
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let n_bytes = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, n)| n.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; n_bytes];
    wire.read_exact(&mut body)?;

    let act = {
        let mut state = shared.state.lock().unwrap();
        state.posts.push(Post {
            method,
            path,
            headers,
            body,
        });
        shared.changed.notify_all();
        state.acts.pop_front()
    };
    let (status, body) = match act {
        Some(Act::Cut) => return Ok(()),
        Some(Act::Delay(by)) => {
            thread::sleep(by);
            ("204 No Content".to_owned(), String::new())
        }
        Some(Act::Flood) => {
            wire.get_mut().write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                wire.get_mut().write_all(&[b'x'; 4096])?;
            }
        }
        Some(Act::Answer(status, body)) => (status, body),
        None => ("204 No Content".to_owned(), String::new()),
    };
    wire.get_mut().write_all(
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    )
}

fn line(wire: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if wire.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
