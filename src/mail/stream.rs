//! The stream below an SMTP conversation: one packet per turn, TLS from the middle on, and nothing read too early.
//!
//! SMTP is a conversation of turns: we speak, then the relay does. [`Turn`] keeps what is written until somebody listens and then sends it
//! in one piece; lettre alone writes a mail and its final dot apart, which costs 44 ms a mail (Nagle against delayed acknowledgement).
//!
//! TLS lies *below* this stream, so that the conversation above never notices STARTTLS, and one TLS set-up serves both STARTTLS and implicit TLS.
//!
//! **Invariant:** before TLS is up a read ends at the end of a line. The reader above buffers; if it could take in more than the line it asked for,
//! plaintext that somebody slipped in behind the `220` of STARTTLS would be believed after the handshake (CVE-2011-0411 and its many heirs).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a turn keeps before it sends, and as much again at most: a mail without an attachment is one packet train, and one with is not held in memory twice.
const OUT_BYTES_MAX: usize = 64 * 1024;

/// The longest line that is looked for in one go before TLS; longer ones come in pieces. RFC 5321 §4.5.3.1.5 allows 512.
const LINE_BYTES_MAX: usize = 1024;

/// What is kept of a greeting or an EHLO answer. Real ones have a few hundred bytes.
const HEARD_BYTES_MAX: usize = 16 * 1024;

/// What a relay may answer to a turn. The reader above would gather a line without an end until its time is up, and takes an answer of many lines apart
/// anew with each of them: 100 kB, its own limit, keep a thread busy for minutes in a debug build. Four answers of some lines have two kilobytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// Where a final dot ends that is still to be written.
const NOT_WRITTEN: u64 = u64::MAX;

/// The line that ends a mail.
const FINAL_DOT: &[u8] = b".\r\n";

/// The stream. Its clones are one and the same: lettre owns one, the connection keeps another to look at it and to raise TLS.
#[derive(Clone, Debug)]
pub(super) struct Turn(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    io: Io,
    /// Written and not yet sent, from `n_sent` on.
    out: Vec<u8>,
    n_sent: usize,
    /// Whether TLS still has to put a sent record on the wire.
    is_unflushed: bool,
    /// Turns that were sent in full.
    n_turns: u64,
    /// Bytes of the turns before this one.
    n_before: u64,
    /// Where, in bytes from the beginning of the conversation, the last mail's final dot ends.
    dot_end: u64,
    /// Reads end at the end of a line.
    by_line: bool,
    /// Bytes that came in since the last turn was sent.
    n_answered: usize,
    /// What came in since the last turn was sent; kept only while the connection is being opened.
    heard: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// A handshake is under way, or failed.
    Gone,
}

impl Turn {
    /// Takes over a connected socket. `will_start_tls`: read line by line until TLS is up.
    pub(super) fn over(tcp: TcpStream, will_start_tls: bool) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let state = State {
            io: Io::Plain(tcp),
            out: Vec::new(),
            n_sent: 0,
            is_unflushed: false,
            n_turns: 0,
            n_before: 0,
            dot_end: 0,
            by_line: will_start_tls,
            n_answered: 0,
            heard: Some(Vec::new()),
        };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Performs the handshake and goes on encrypted.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] when the relay has said something already: in TLS the client speaks first, so that was somebody else.
    pub(super) async fn start_tls(&self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<()> {
        let tcp = match std::mem::replace(&mut self.state().io, Io::Gone) {
            Io::Plain(tcp) => tcp,
            Io::Tls(_) | Io::Gone => return Err(io::Error::new(ErrorKind::NotConnected, "there is no plain connection to encrypt")),
        };
        match tcp.try_read(&mut [0]) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "relay closed the connection")),
            Ok(_) => {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "plaintext follows the relay's answer to STARTTLS",
                ));
            }
        }
        // Plaintext that arrives only now is no TLS record, and fails the handshake.
        let stream = TlsConnector::from(config).connect(name, tcp).await?;
        let mut state = self.state();
        state.io = Io::Tls(Box::new(stream));
        state.by_line = false;
        Ok(())
    }

    /// Tells whether the conversation is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.state().io, Io::Tls(_))
    }

    /// Returns the certificate of the other side, where the conversation is encrypted.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        match &self.state().io {
            Io::Tls(tls) => tls.get_ref().1.peer_certificates()?.first().map(|certificate| certificate.to_vec()),
            Io::Plain(_) | Io::Gone => None,
        }
    }

    /// Returns how many turns have been sent in full.
    pub(super) fn n_turns(&self) -> u64 {
        self.state().n_turns
    }

    /// Writes commands; they leave with the turn.
    pub(super) fn say(&self, words: &str) {
        self.state().out.extend_from_slice(words.as_bytes());
    }

    /// Writes a mail and its final dot, lines that begin with a dot doubled (RFC 5321 §4.5.2). What does not fit a turn leaves at once.
    pub(super) async fn write_mail(&self, mail: &[u8]) -> io::Result<()> {
        self.state().dot_end = NOT_WRITTEN;
        if mail.starts_with(b".") {
            self.keep(b".").await?;
        }
        let mut start = 0;
        for at in memchr::memmem::find_iter(mail, b"\n.") {
            // The dot that begins the line comes once more with what follows.
            self.keep(&mail[start..at + 2]).await?;
            start = at + 1;
        }
        self.keep(&mail[start..]).await?;
        if !mail.ends_with(b"\r\n") {
            self.keep(b"\r\n").await?;
        }
        self.keep(FINAL_DOT).await?;
        let mut state = self.state();
        state.dot_end = state.n_before + state.out.len() as u64;
        Ok(())
    }

    /// Keeps bytes for the turn; what does not fit leaves at once.
    async fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(OUT_BYTES_MAX) {
            let is_full = {
                let mut state = self.state();
                let is_full = state.out.len() >= OUT_BYTES_MAX;
                if !is_full {
                    state.out.extend_from_slice(piece);
                }
                is_full
            };
            if is_full {
                std::future::poll_fn(|cx| self.state().poll_send(cx)).await?;
                self.state().out.extend_from_slice(piece);
            }
        }
        Ok(())
    }

    /// Tells whether the last mail's final dot has been handed to the operating system.
    pub(super) fn is_dot_sent(&self) -> bool {
        let state = self.state();
        let n_sent = state.n_before + state.n_sent as u64;
        // A sealed record of which a part is still here cannot be read; where something follows the dot, the dot may be in the record before.
        let is_held = state.is_unflushed && state.dot_end == n_sent;
        n_sent >= state.dot_end && !is_held
    }

    /// Returns what came in since the last turn.
    pub(super) fn heard(&self) -> String {
        self.state()
            .heard
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default()
            .into_owned()
    }

    /// Stops keeping what comes in.
    pub(super) fn forget_heard(&self) {
        self.state().heard = None;
    }

    /// Tells whether the relay has been silent: between two mails it has nothing to say but goodbye.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        let tcp = match &state.io {
            Io::Plain(tcp) => tcp,
            Io::Tls(tls) => tls.get_ref().0,
            Io::Gone => return false,
        };
        // What this takes off the socket is not missed: the connection is not used again.
        matches!(tcp.try_read(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        #[cfg(feature = "fault-points")]
        self.die_in_the_mail(cx);
        while self.n_sent < self.out.len() {
            let n = ready!(self.io.poll_write(cx, &self.out[self.n_sent..]))?;
            if n == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.n_sent += n;
            self.is_unflushed = true;
        }
        if self.is_unflushed {
            ready!(self.io.poll_flush(cx))?;
            self.is_unflushed = false;
        }
        if !self.out.is_empty() {
            if self.has_dot() {
                crate::fault_point::hit("smtp.dot.sent");
            }
            self.n_before += self.out.len() as u64;
            self.out.clear();
            self.n_sent = 0;
            self.n_turns += 1;
            self.n_answered = 0;
            if let Some(heard) = &mut self.heard {
                heard.clear();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Tells whether a final dot ends in this turn.
    fn has_dot(&self) -> bool {
        let end = self.n_before + self.out.len() as u64;
        self.n_before < self.dot_end && self.dot_end <= end
    }

    /// Kill points in the middle of a mail and before its final dot: what precedes them is on the wire, although a mail leaves in one piece.
    #[cfg(feature = "fault-points")]
    fn die_in_the_mail(&mut self, cx: &mut Context<'_>) {
        if self.n_sent > 0 || !self.has_dot() {
            return;
        }
        let n_bytes = usize::try_from(self.dot_end - self.n_before).expect("it ends in what is kept");
        for (name, n_out) in [("smtp.body", n_bytes / 2), ("smtp.dot.before", n_bytes - FINAL_DOT.len())] {
            if crate::fault_point::is_due(name) {
                _ = self.io.poll_write(cx, &self.out[..n_out]);
                _ = self.io.poll_flush(cx);
                std::process::abort();
            }
        }
    }
}

impl Io {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
            Self::Gone => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Self::Gone => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    /// Reads up to the end of a line, and leaves what follows in the socket.
    fn poll_read_line(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self::Plain(tcp) = self else { return self.poll_read(cx, buf) };
        let mut bytes = [0; LINE_BYTES_MAX];
        let n_room = buf.remaining().min(LINE_BYTES_MAX);
        let n_seen = ready!(tcp.poll_peek(cx, &mut ReadBuf::new(&mut bytes[..n_room])))?;
        let n_line = bytes[..n_seen].iter().position(|b| *b == b'\n').map_or(n_seen, |at| at + 1);
        let mut line = ReadBuf::new(&mut bytes[..n_line]);
        ready!(Pin::new(tcp).poll_read(cx, &mut line))?;
        buf.put_slice(line.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Turn {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if state.out.len() >= OUT_BYTES_MAX {
            ready!(state.poll_send(cx))?;
        }
        let n = bytes.len().min(OUT_BYTES_MAX - state.out.len());
        state.out.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    /// Does nothing: the turn is not over before somebody listens.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        ready!(state.poll_send(cx))?;
        match &mut state.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Io::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Turn {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        let state = &mut *state;
        ready!(state.poll_send(cx))?;
        let n_before = buf.filled().len();
        if state.by_line {
            ready!(state.io.poll_read_line(cx, buf))?;
        } else {
            ready!(state.io.poll_read(cx, buf))?;
        }
        state.n_answered += buf.filled().len() - n_before;
        if state.n_answered > ANSWER_BYTES_MAX {
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, "the relay's answer has no end")));
        }
        // Replies are ASCII, and lettre takes no other: a relay that greets in Latin-1 has still answered.
        for byte in buf.filled_mut()[n_before..].iter_mut().filter(|byte| !byte.is_ascii()) {
            *byte = b'?';
        }
        if let Some(heard) = &mut state.heard {
            let new = &buf.filled()[n_before..];
            heard.extend_from_slice(&new[..new.len().min(HEARD_BYTES_MAX - heard.len())]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncTokioStream for Turn {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.state().io {
            Io::Plain(tcp) => tcp.peer_addr(),
            Io::Tls(tls) => tls.get_ref().0.peer_addr(),
            Io::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}
