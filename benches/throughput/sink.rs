//! An SMTP sink that answers at once and keeps nothing: a thread a connection, commands and mails taken as they come, pipelined or not, and one
//! packet of answers to whatever one read brought. What it could take at most is measured beside (`senders::ceiling`), so that nobody mistakes
//! its limits for a client's.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a read may bring: more than the largest mail of the bench, so that most mails are one read.
const READ_BYTES: usize = 64 * 1024;

/// The end of a mail; its first two bytes end the mail's last line.
const FINAL_DOT: &[u8; 5] = b"\r\n.\r\n";

/// A running sink; it ends with the process.
pub struct Sink {
    address: SocketAddr,
    taken: Arc<Taken>,
}

/// What it has taken.
#[derive(Default)]
struct Taken {
    n_mails: AtomicU64,
    /// What stands before the number of a mail's lead, where it is noted when which lead's mail came.
    mark: Option<&'static [u8]>,
    arrivals: Mutex<Vec<(usize, Instant)>>,
}

impl Sink {
    /// Listens on a free port of this machine, and answers each turn `after` a while, as a relay does that is so far away.
    pub fn start(after: Duration) -> io::Result<Self> {
        Self::with(after, Taken::default())
    }

    /// Listens likewise, answers at once, and notes when which lead's mail came: by the twelve digits that follow `mark` in it.
    pub fn noting(mark: &'static str) -> io::Result<Self> {
        let taken = Taken {
            mark: Some(mark.as_bytes()),
            ..Taken::default()
        };
        Self::with(Duration::ZERO, taken)
    }

    fn with(after: Duration, taken: Taken) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let taken = Arc::new(taken);
        let counted = Arc::clone(&taken);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let taken = Arc::clone(&counted);
                // A client that goes away is the client's matter: what it had sent is counted.
                thread::spawn(move || converse(client, after, &taken).ok());
            }
        });
        Ok(Self { address, taken })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many mails it has taken so far.
    pub fn n_mails(&self) -> u64 {
        self.taken.n_mails.load(Ordering::SeqCst)
    }

    /// When which lead's mail came, where that is noted.
    pub fn arrivals(&self) -> Vec<(usize, Instant)> {
        self.taken.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Taken {
    fn take(&self, mail: &[u8]) {
        if let Some(number) = self.mark.and_then(|mark| number_behind(mark, mail)) {
            self.arrivals
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((number, Instant::now()));
        }
        self.n_mails.fetch_add(1, Ordering::SeqCst);
    }
}

/// Returns the number of twelve digits behind a mark, also where quoted-printable breaks a line within one.
fn number_behind(mark: &[u8], mail: &[u8]) -> Option<usize> {
    let whole = String::from_utf8_lossy(mail).replace("=\r\n", "");
    let mark = std::str::from_utf8(mark).ok()?;
    let behind = &whole[whole.find(mark)? + mark.len()..];
    behind.get(..12)?.parse().ok()
}

fn converse(mut client: TcpStream, after: Duration, taken: &Taken) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.write_all(b"220 sink.example ESMTP\r\n")?;
    let mut buffer = vec![0; READ_BYTES];
    let mut n_filled = 0;
    let mut is_in_mail = false;
    let mut answers = Vec::new();
    loop {
        if n_filled == buffer.len() {
            buffer.resize(2 * n_filled, 0);
        }
        let n_read = client.read(&mut buffer[n_filled..])?;
        if n_read == 0 {
            return Ok(());
        }
        // The final dot may have come in two pieces; before that there is nothing to look for again.
        let mut from = if is_in_mail {
            n_filled.saturating_sub(FINAL_DOT.len() - 1)
        } else {
            0
        };
        n_filled += n_read;
        let mut start = 0;
        while let Some(end) = if is_in_mail {
            find_final_dot(&buffer[from..n_filled]).map(|at| from + at + FINAL_DOT.len())
        } else {
            buffer[start..n_filled].iter().position(|b| *b == b'\n').map(|at| start + at + 1)
        } {
            let answer: &[u8] = if is_in_mail {
                taken.take(&buffer[start..end]);
                is_in_mail = false;
                b"250 2.0.0 Ok: queued\r\n"
            } else {
                // Both clients write their verbs in capitals.
                match buffer[start..end].first_chunk::<4>() {
                    Some(b"EHLO") => b"250-sink.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n",
                    Some(b"DATA") => {
                        is_in_mail = true;
                        b"354 End data with <CR><LF>.<CR><LF>\r\n"
                    }
                    Some(b"QUIT") => b"221 2.0.0 Bye\r\n",
                    Some(b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP") => b"250 2.1.0 Ok\r\n",
                    _ => b"500 5.5.2 unknown\r\n",
                }
            };
            answers.extend_from_slice(answer);
            start = end;
            from = end;
        }
        buffer.copy_within(start..n_filled, 0);
        n_filled -= start;
        if !answers.is_empty() {
            if !after.is_zero() {
                thread::sleep(after);
            }
            client.write_all(&answers)?;
            answers.clear();
        }
    }
}

/// Looks at every fifth byte, and closer only where it belongs to the dot's line: the sink must not be what is measured.
fn find_final_dot(bytes: &[u8]) -> Option<usize> {
    let mut at = FINAL_DOT.len() - 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\n' if bytes[..=at].ends_with(FINAL_DOT) => return Some(at + 1 - FINAL_DOT.len()),
            b'\n' => at += 3,
            b'\r' | b'.' => at += 1,
            _ => at += FINAL_DOT.len(),
        }
    }
    None
}
