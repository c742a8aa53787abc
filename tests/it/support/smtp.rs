//! An SMTP relay on 127.0.0.1 that holds a real conversation, remembers each mail, and can be told to misbehave.
//!
//! ```ignore
//! let relay = Relay::start();
//! relay.refuse("RCPT", "451 4.3.0 try later", 1);
//! …
//! assert_eq!(relay.mails().len(), 1);
//! ```
//!
//! A misbehaviour names the place where it strikes: `CONNECT`, `EHLO`, `STARTTLS`, `AUTH`, `MAIL`, `RCPT`, `DATA`, `BODY` (in the middle of the mail),
//! `DOT` (the mail is in and remembered, its answer is due), `RSET`, `QUIT`; and how many times. The first that was told and is left strikes.
//! `refuse_address` refuses one recipient instead, whenever it comes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
const QUEUED: &str = "250 2.0.0 queued";

/// A mail that the relay has taken in (whether or not it said so).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The words of `MAIL FROM:` behind the colon, parameters included.
    pub from: String,
    /// Those of each accepted `RCPT TO:`.
    pub to: Vec<String>,
    /// Without the dots that transport added, with its last CRLF.
    pub data: Vec<u8>,
    /// The how manieth connection brought it, from 1.
    pub connection: usize,
    pub is_encrypted: bool,
    /// Who had logged in.
    pub user: Option<String>,
    /// When it was in, by the relay's clock.
    pub at: Instant,
}

impl Mail {
    /// The first accepted recipient, without its angle brackets.
    pub fn recipient(&self) -> String {
        let first = self.to.first().map_or("", String::as_str);
        first.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// What the relay does instead of its duty.
#[derive(Clone, Debug)]
enum Act {
    /// Answers this.
    Reply(String),
    /// Does its duty later; what else was told for the place still strikes.
    Delay(Duration),
    /// Ends the connection without an answer.
    Cut,
    /// Never answers, and holds the line.
    Silence,
    /// Answers a byte at a time.
    Drip(Duration),
    /// Puts this behind its answer, in the same packet.
    Append(String),
    /// Answers without an end: line after line, or one line.
    Endless(&'static str),
}

#[derive(Default)]
struct State {
    acts: Vec<(String, Act, usize)>,
    /// Recipients, what `RCPT` is answered for them, and how many times.
    refused: Vec<(String, String, usize)>,
    extensions: Vec<String>,
    login: Option<(String, String)>,
    mails: Vec<Mail>,
    /// Every line that a client said, credentials included.
    lines: Vec<String>,
    n_connections: usize,
    /// How many connections are taken at once.
    n_open_max: Option<usize>,
    speaks_latin1: bool,
    /// Connections that go on, by number.
    open: Vec<(usize, TcpStream)>,
    /// Connections that were told a last word, by number: what they bring after it is not taken in.
    dismissed: Vec<usize>,
    is_stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    tls: TlsRole,
}

enum TlsRole {
    Never,
    Start,
    Implicit,
    /// Implicit, and the client has to show a certificate of the tests' CA.
    Mutual,
    /// Implicit, with a certificate for somebody else.
    Stranger,
    /// Implicit, and the handshake is cut off.
    Cut,
}

/// The relay; it goes when it is dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Relay {
    /// Starts one that speaks plain and offers PIPELINING, 8BITMIME, SIZE, ENHANCEDSTATUSCODES.
    pub fn start() -> Self {
        Self::start_as(TlsRole::Never)
    }

    /// Starts one that offers STARTTLS as well.
    pub fn start_with_starttls() -> Self {
        Self::start_as(TlsRole::Start)
    }

    /// Starts one that speaks TLS from the first byte.
    pub fn start_with_implicit_tls() -> Self {
        Self::start_as(TlsRole::Implicit)
    }

    /// Starts one that speaks TLS from the first byte, and wants to see a certificate.
    pub fn start_with_mutual_tls() -> Self {
        Self::start_as(TlsRole::Mutual)
    }

    /// Starts one that speaks TLS from the first byte, with a certificate for another name.
    pub fn start_as_a_stranger() -> Self {
        Self::start_as(TlsRole::Stranger)
    }

    /// Starts one that ends each connection in the middle of the handshake.
    pub fn start_cutting_handshakes() -> Self {
        Self::start_as(TlsRole::Cut)
    }

    /// A certificate that a relay with mutual TLS takes, and its private key, in PEM.
    pub fn client_identity() -> (String, String) {
        let pki = pki();
        (pki.client_pem.clone(), pki.client_key_pem.clone())
    }

    fn start_as(tls: TlsRole) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let extensions = ["PIPELINING", "8BITMIME", "SIZE 10485760", "ENHANCEDSTATUSCODES"]
            .map(str::to_owned)
            .to_vec();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                extensions,
                ..State::default()
            }),
            changed: Condvar::new(),
            tls,
        });
        let for_listener = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&for_listener);
                let number = {
                    let mut state = shared.state.lock().unwrap();
                    if state.is_stopped {
                        return;
                    }
                    state.n_connections += 1;
                    let number = state.n_connections;
                    state.open.push((number, stream.try_clone().unwrap()));
                    number
                };
                thread::spawn(move || {
                    // A client that hangs up ends the conversation, whatever was being said.
                    Conversation::hold(&shared, stream, number).ok();
                    // The last handle goes, so that a cut is a cut: what is still in flight is answered by a reset.
                    shared.state.lock().unwrap().open.retain(|(n, _)| *n != number);
                });
            }
        });
        Self { address, shared }
    }

    pub fn host(&self) -> String {
        self.address.ip().to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The CA that signed the certificate of every relay of this test run, in PEM.
    pub fn ca_pem() -> &'static str {
        &pki().ca_pem
    }

    /// Answers the next `times` that come to `place` with `reply`, such as `451 4.3.0 try later`.
    pub fn refuse(&self, place: &str, reply: &str, times: usize) {
        self.act(place, Act::Reply(reply.to_owned()), times);
    }

    /// Answers `RCPT` with `reply` for this address, the next `times` that it comes.
    pub fn refuse_address(&self, address: &str, reply: &str, times: usize) {
        self.state(|s| s.refused.push((address.to_owned(), reply.to_owned(), times)));
    }

    /// Answers later.
    pub fn delay(&self, place: &str, by: Duration, times: usize) {
        self.act(place, Act::Delay(by), times);
    }

    /// Ends the connection instead of answering. `BODY`: in the middle of the mail; `DOT`: once the mail is in.
    pub fn cut(&self, place: &str, times: usize) {
        self.act(place, Act::Cut, times);
    }

    /// Never answers.
    pub fn fall_silent(&self, place: &str, times: usize) {
        self.act(place, Act::Silence, times);
    }

    /// Answers a byte every `each`.
    pub fn drip(&self, place: &str, each: Duration, times: usize) {
        self.act(place, Act::Drip(each), times);
    }

    /// Puts plaintext behind the answer, in the same packet, as somebody in the middle would.
    pub fn inject(&self, place: &str, plaintext: &str, times: usize) {
        self.act(place, Act::Append(plaintext.to_owned()), times);
    }

    /// Answers without an end: `piece` again and again, such as a line of an answer that goes on, or a text without a line end.
    pub fn never_end(&self, place: &str, piece: &'static str, times: usize) {
        self.act(place, Act::Endless(piece), times);
    }

    fn act(&self, place: &str, act: Act, times: usize) {
        self.state(|s| s.acts.push((place.to_owned(), act, times)));
    }

    /// Takes no more than `n` connections at once; further ones are told 421.
    pub fn take_at_once(&self, n: usize) {
        self.state(|s| s.n_open_max = Some(n));
    }

    /// Writes what it says in Latin-1.
    pub fn speak_latin1(&self) {
        self.state(|s| s.speaks_latin1 = true);
    }

    /// Forgets all misbehaviour that is left.
    pub fn behave(&self) {
        self.state(|s| {
            s.acts.clear();
            s.refused.clear();
        });
    }

    /// Offers one more extension, such as `SMTPUTF8` or `SIZE 1000` (which replaces the one of its name).
    pub fn offer(&self, extension: &str) {
        self.withdraw(extension.split(' ').next().unwrap());
        self.state(|s| s.extensions.push(extension.to_owned()));
    }

    /// Offers an extension no longer.
    pub fn withdraw(&self, name: &str) {
        self.state(|s| s.extensions.retain(|e| e.split(' ').next() != Some(name)));
    }

    /// Takes mail from nobody else, by `mechanisms` such as `PLAIN LOGIN`.
    pub fn demand_login(&self, mechanisms: &str, user: &str, password: &str) {
        self.offer(&format!("AUTH {mechanisms}"));
        self.state(|s| s.login = Some((user.to_owned(), password.to_owned())));
    }

    /// Ends all connections; politely with a last word, where one is given (plain ones only).
    pub fn hang_up(&self, last_word: Option<&str>) {
        self.state(|s| {
            for (number, mut stream) in std::mem::take(&mut s.open) {
                if let Some(word) = last_word {
                    s.dismissed.push(number);
                    stream.write_all(format!("{word}\r\n").as_bytes()).ok();
                }
                stream.shutdown(Shutdown::Both).ok();
            }
        });
    }

    /// Waits until every conversation is over, so that all that a dead client had sent is in.
    #[track_caller]
    pub fn wait_until_quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.state(|s| !s.open.is_empty()) {
            assert!(Instant::now() < deadline, "a conversation goes on");
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.state(|s| s.mails.clone())
    }

    /// Waits until at least `n` mails are in, and returns all.
    #[track_caller]
    pub fn wait_for_mails(&self, n: usize) -> Vec<Mail> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        while state.mails.len() < n {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let n_in = state.mails.len();
                // A panic under the lock would be met again when this relay is dropped, and end the whole program.
                drop(state);
                panic!("{n_in} mails came, not {n}");
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
        state.mails.clone()
    }

    /// What clients said, line by line, without the mails themselves.
    pub fn lines(&self) -> Vec<String> {
        self.state(|s| s.lines.clone())
    }

    /// The verbs of those lines.
    pub fn verbs(&self) -> Vec<String> {
        self.lines().iter().map(|line| verb_of(line)).collect()
    }

    /// The value of `smtp.relays` that leads here, in plain.
    pub fn relays(&self) -> String {
        format!("[{{ host = \"127.0.0.1\", port = {}, tls = \"none\" }}]", self.port())
    }

    /// Takes another password from now on.
    pub fn change_password(&self, password: &str) {
        self.state(|s| {
            if let Some((_, known)) = &mut s.login {
                password.clone_into(known);
            }
        });
    }

    pub fn n_connections(&self) -> usize {
        self.state(|s| s.n_connections)
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.shared.state.lock().unwrap())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state(|s| s.is_stopped = true);
        self.hang_up(None);
        // Wakes the listener, so that it sees that it is stopped.
        TcpStream::connect(self.address).ok();
    }
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

struct Conversation<'a> {
    shared: &'a Shared,
    number: usize,
    wire: BufReader<Box<dyn Wire>>,
    /// Kept aside for STARTTLS, which takes the socket itself.
    socket: TcpStream,
    is_encrypted: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

impl<'a> Conversation<'a> {
    fn hold(shared: &'a Shared, socket: TcpStream, number: usize) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let pki = pki();
        let config = match shared.tls {
            TlsRole::Never | TlsRole::Start => None,
            TlsRole::Implicit => Some(&pki.server),
            TlsRole::Mutual => Some(&pki.mutual),
            TlsRole::Stranger => Some(&pki.stranger),
            TlsRole::Cut => {
                (&socket).read_exact(&mut [0; 16])?;
                return socket.shutdown(Shutdown::Both);
            }
        };
        let is_encrypted = config.is_some();
        let wire: Box<dyn Wire> = match config {
            Some(config) => encrypted(socket.try_clone()?, config)?,
            None => Box::new(socket.try_clone()?),
        };
        let wire = BufReader::new(wire);
        let mut this = Self {
            shared,
            number,
            wire,
            socket,
            is_encrypted,
            user: None,
            from: None,
            to: Vec::new(),
        };
        let result = this.talk();
        this.socket.shutdown(Shutdown::Both).ok();
        result
    }

    fn talk(&mut self) -> io::Result<()> {
        let is_one_too_many = {
            let state = self.shared.state.lock().unwrap();
            state.n_open_max.is_some_and(|n| state.open.len() > n)
        };
        if is_one_too_many {
            return self.say("421 4.7.0 too many connections");
        }
        self.answer("CONNECT", "220 relay.test ready")?;
        loop {
            let mut line = String::new();
            if self.wire.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            self.shared.state.lock().unwrap().lines.push(line.clone());
            let argument = line.split_once(':').map_or("", |(_, rest)| rest).to_owned();
            match verb_of(&line).as_str() {
                "EHLO" => {
                    let duty = self.greeting();
                    self.answer("EHLO", &duty)?;
                }
                "STARTTLS" if matches!(self.shared.tls, TlsRole::Start) && !self.is_encrypted => {
                    if self.answer("STARTTLS", "220 2.0.0 go ahead")? {
                        self.wire = BufReader::new(encrypted(self.socket.try_clone()?, &pki().server)?);
                        self.is_encrypted = true;
                        (self.user, self.from) = (None, None);
                    }
                }
                "AUTH" => self.log_in(&line)?,
                "MAIL" if self.shared.state.lock().unwrap().login.is_some() && self.user.is_none() => {
                    self.say("530 5.7.0 log in first")?;
                }
                "MAIL" => {
                    if self.answer("MAIL", "250 2.1.0 ok")? {
                        (self.from, self.to) = (Some(argument), Vec::new());
                    }
                }
                "RCPT" if self.from.is_none() => self.say("503 5.5.1 MAIL first")?,
                "RCPT" => {
                    if let Some(reply) = self.refusal_of(&argument) {
                        self.say(&reply)?;
                    } else if self.answer("RCPT", "250 2.1.5 ok")? {
                        self.to.push(argument);
                    }
                }
                "DATA" if self.from.is_none() => self.say("503 5.5.1 MAIL first")?,
                // Like Postfix without recipients when pipelined: 554, and like others when told so by `refuse("DATA", "354 …")`.
                "DATA" => {
                    let duty = if self.to.is_empty() {
                        "554 5.5.1 no valid recipients"
                    } else {
                        "354 go ahead"
                    };
                    if self.answer("DATA", duty)? {
                        self.take_mail()?;
                    }
                }
                "RSET" => {
                    (self.from, self.to) = (None, Vec::new());
                    self.answer("RSET", "250 2.0.0 ok")?;
                }
                "NOOP" => self.say("250 2.0.0 ok")?,
                "QUIT" => {
                    self.answer("QUIT", "221 2.0.0 bye")?;
                    return Ok(());
                }
                _ => self.say("500 5.5.2 what?")?,
            }
        }
    }

    /// Takes what was told for a recipient.
    fn refusal_of(&self, argument: &str) -> Option<String> {
        let mut state = self.shared.state.lock().unwrap();
        let found = state
            .refused
            .iter_mut()
            .find(|(address, _, times)| *times > 0 && argument.contains(&format!("<{address}>")))?;
        found.2 -= 1;
        Some(found.1.clone())
    }

    fn greeting(&self) -> String {
        let mut lines = vec!["relay.test".to_owned()];
        lines.extend(self.shared.state.lock().unwrap().extensions.iter().cloned());
        if matches!(self.shared.tls, TlsRole::Start) && !self.is_encrypted {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.pop().unwrap();
        lines.into_iter().map(|line| format!("250-{line}\r\n")).collect::<String>() + "250 " + &last
    }

    fn log_in(&mut self, line: &str) -> io::Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let decoded = |text: &str| BASE64.decode(text).ok().and_then(|b| String::from_utf8(b).ok()).unwrap_or_default();
        let (user, password) = match words.as_slice() {
            [_, "PLAIN", response] => {
                let text = decoded(response);
                let mut parts = text.split('\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            [_, "LOGIN"] => (decoded(&self.ask("334 VXNlcm5hbWU6")?), decoded(&self.ask("334 UGFzc3dvcmQ6")?)),
            [_, "XOAUTH2", response] => {
                let text = decoded(response);
                let mut parts = text.split('\x01');
                let user = parts
                    .next()
                    .and_then(|part| part.strip_prefix("user="))
                    .unwrap_or_default()
                    .to_owned();
                let token = parts
                    .next()
                    .and_then(|part| part.strip_prefix("auth=Bearer "))
                    .unwrap_or_default()
                    .to_owned();
                if self.shared.state.lock().unwrap().login != Some((user.clone(), token.clone())) {
                    // As Google and Microsoft do: the reason in JSON, then the refusal once the client has answered with an empty line.
                    let answer = self.ask("334 eyJzdGF0dXMiOiI0MDAifQ==")?;
                    assert_eq!(answer, "");
                }
                (user, token)
            }
            _ => return self.say("504 5.5.4 no such mechanism"),
        };
        let is_right = self.shared.state.lock().unwrap().login == Some((user.clone(), password));
        let duty = if is_right {
            "235 2.7.0 welcome"
        } else {
            "535 5.7.8 wrong name or password"
        };
        if self.answer("AUTH", duty)? && is_right {
            self.user = Some(user);
        }
        Ok(())
    }

    fn ask(&mut self, prompt: &str) -> io::Result<String> {
        self.say(prompt)?;
        let mut line = String::new();
        self.wire.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn take_mail(&mut self) -> io::Result<()> {
        let mut data = Vec::new();
        if let Some(Act::Cut) = self.next_act("BODY") {
            // Some of it has come, the rest is in flight.
            let mut some = [0; 16];
            self.wire.read_exact(&mut some)?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        loop {
            let start = data.len();
            if self.wire.read_until(b'\n', &mut data)? == 0 {
                return Ok(());
            }
            if data[start..] == *b".\r\n" {
                data.truncate(start);
                break;
            }
            if data[start] == b'.' {
                data.remove(start);
            }
        }
        let mail = Mail {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            data,
            connection: self.number,
            is_encrypted: self.is_encrypted,
            user: self.user.clone(),
            at: Instant::now(),
        };
        // A mail that is refused at its end is not taken in; one whose answer gets lost is.
        let act = self.next_act("DOT");
        let is_taken = !mail.to.is_empty() && !matches!(act, Some(Act::Reply(_)));
        if is_taken {
            let mut state = self.shared.state.lock().unwrap();
            if state.dismissed.contains(&self.number) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            state.mails.push(mail);
            self.shared.changed.notify_all();
            if act.is_none() {
                // Under the same lock: no last word comes between a mail that is in and its answer.
                return self.write(format!("{QUEUED}\r\n").as_bytes());
            }
        }
        self.perform(act, QUEUED).map(|_| ())
    }

    /// Answers as told, else as its duty is; tells whether that was a 2xx or 3xx.
    fn answer(&mut self, place: &str, duty: &str) -> io::Result<bool> {
        let act = self.next_act(place);
        self.perform(act, duty)
    }

    fn perform(&mut self, act: Option<Act>, duty: &str) -> io::Result<bool> {
        let is_positive = |reply: &str| reply.starts_with(['2', '3']);
        match act {
            None | Some(Act::Delay(_)) => self.say(duty)?,
            Some(Act::Reply(reply)) => {
                self.say(&reply)?;
                if reply.starts_with("421") {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                return Ok(is_positive(&reply));
            }
            Some(Act::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Act::Silence) => {
                // Holds the line until the other side, or the test, gives up.
                io::copy(&mut self.wire, &mut io::sink())?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(Act::Drip(each)) => {
                for byte in format!("{duty}\r\n").bytes() {
                    thread::sleep(each);
                    self.wire.get_mut().write_all(&[byte])?;
                    self.wire.get_mut().flush()?;
                }
            }
            Some(Act::Endless(piece)) => {
                // Until the other side has had enough.
                let wire = self.wire.get_mut();
                while wire.write_all(piece.as_bytes()).and_then(|()| wire.flush()).is_ok() {}
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(Act::Append(plaintext)) => self.say(&format!("{duty}\r\n{plaintext}"))?,
        }
        Ok(is_positive(duty))
    }

    /// Takes what was told for a place; delays are slept through here.
    fn next_act(&self, place: &str) -> Option<Act> {
        // A delay strikes once at each visit, however often it was told to.
        let mut from = 0;
        loop {
            let act = {
                let mut state = self.shared.state.lock().unwrap();
                let is_left = |(p, _, times): &(String, Act, usize)| p == place && *times > 0;
                let at = from + state.acts.get(from..)?.iter().position(is_left)?;
                state.acts[at].2 -= 1;
                from = at + 1;
                state.acts[at].1.clone()
            };
            match act {
                Act::Delay(by) => thread::sleep(by),
                act => return Some(act),
            }
        }
    }

    fn say(&mut self, reply: &str) -> io::Result<()> {
        let line = format!("{reply}\r\n");
        let bytes = if self.shared.state.lock().unwrap().speaks_latin1 {
            line.chars().map(|c| u8::try_from(c).unwrap()).collect()
        } else {
            line.into_bytes()
        };
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.wire.get_mut();
        wire.write_all(bytes)?;
        wire.flush()
    }
}

fn verb_of(line: &str) -> String {
    line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase()
}

fn encrypted(socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Box<dyn Wire>> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    Ok(Box::new(StreamOwned::new(connection, socket)))
}

struct Pki {
    ca_pem: String,
    server: Arc<ServerConfig>,
    mutual: Arc<ServerConfig>,
    stranger: Arc<ServerConfig>,
    client_pem: String,
    client_key_pem: String,
}

/// A CA and leaves for 127.0.0.1 and localhost, for a stranger and for a client: rustls takes no certificate that is its own CA.
fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let leaf = |names: &[&str]| {
            let key = KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
            (leaf, key)
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(issuer.as_ref().der().clone()).unwrap();
        let known = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let server = |names: &[&str], clients: Arc<dyn ClientCertVerifier>| {
            let (leaf, key) = leaf(names);
            let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(clients)
                .with_single_cert(
                    vec![leaf.der().clone()],
                    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
                )
                .unwrap();
            Arc::new(config)
        };
        let here = ["127.0.0.1", "localhost"];
        let (client, client_key) = leaf(&["posthorn.test"]);
        Pki {
            ca_pem: issuer.as_ref().pem(),
            server: server(&here, WebPkiClientVerifier::no_client_auth()),
            mutual: server(&here, known),
            stranger: server(&["other.example"], WebPkiClientVerifier::no_client_auth()),
            client_pem: client.pem(),
            client_key_pem: client_key.serialize_pem(),
        }
    })
}
