//! What posthorn is compared with: loops that send mails which are written already, and do nothing else. Each runs in a process of its own.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::task::JoinSet;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Mails that are kept in memory and sent again and again: they differ, and they fit.
const MAILS_MAX: usize = 1000;

/// Mails that posthorn has written into a Maildir: same size, same shape.
pub struct Mails {
    mails: Vec<(Envelope, Vec<u8>)>,
}

impl Mails {
    /// Reads some of a Maildir.
    pub fn read(maildir: &Path) -> Outcome<Self> {
        let from: Address = "leads@portal.example".parse()?;
        let mut mails = Vec::new();
        for entry in fs::read_dir(maildir.join("new"))?.take(MAILS_MAX) {
            let bytes = fs::read(entry?.path())?;
            let text = String::from_utf8_lossy(&bytes);
            let to = text.lines().find_map(|line| line.strip_prefix("To: ")).unwrap_or_default();
            let to = to.rsplit('<').next().unwrap_or_default().trim_end_matches('>').parse()?;
            let envelope = Envelope::new(Some(from.clone()), vec![to])?;
            mails.push((envelope, bytes));
        }
        if mails.is_empty() {
            return Err(format!("{} holds no mail", maildir.display()).into());
        }
        Ok(Self { mails })
    }

    /// The size of a mail, on average.
    pub fn n_bytes_mean(&self) -> usize {
        self.mails.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() / self.mails.len()
    }

    fn nth(&self, n: usize) -> &(Envelope, Vec<u8>) {
        &self.mails[n % self.mails.len()]
    }
}

/// How the lettre loops keep their connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// With TCP_NODELAY, and without a question: the bare loop.
    Bare,
    /// As lettre's pool does: without TCP_NODELAY, which cannot be set there, and with a NOOP before each mail but the first. The pool itself is behind a
    /// feature of lettre's; with it here, every build of the tests would compile posthorn anew.
    AsPool,
}

/// Loops over lettre's connections, `n_connections` at once.
pub fn lettre_loop(sink: SocketAddr, mails: Mails, n_mails: usize, n_connections: usize, keep: Keep) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mails, begun) = (Arc::new(mails), Arc::new(AtomicUsize::new(0)));
        let mut senders: JoinSet<Outcome> = JoinSet::new();
        for _ in 0..n_connections {
            let (mails, begun) = (Arc::clone(&mails), Arc::clone(&begun));
            senders.spawn(async move {
                let tcp = tokio::net::TcpStream::connect(sink).await?;
                tcp.set_nodelay(keep == Keep::Bare)?;
                let hello = ClientId::Domain("bench.example".to_owned());
                let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(tcp), &hello).await?;
                let mut is_first = true;
                loop {
                    let n = begun.fetch_add(1, Ordering::Relaxed);
                    if n >= n_mails {
                        connection.quit().await?;
                        return Ok(());
                    }
                    if keep == Keep::AsPool && !is_first && !connection.test_connected().await {
                        return Err("the sink went away".into());
                    }
                    is_first = false;
                    let (envelope, bytes) = mails.nth(n);
                    connection.send(envelope, bytes).await?;
                }
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        Ok(())
    })
}

/// The pipelined conversation (RFC 2920) over blocking sockets: a mail's commands in one packet, and its end in another; or, with `with_next`, its end and
/// the next one's commands in one. That last is also what the sink takes at most.
pub fn pipelined(sink: SocketAddr, mails: Mails, n_mails: usize, n_connections: usize, with_next: bool) -> Outcome {
    let (mails, begun) = (Arc::new(mails), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<_> = (0..n_connections)
        .map(|_| {
            let (mails, begun) = (Arc::clone(&mails), Arc::clone(&begun));
            thread::spawn(move || -> Outcome {
                let mut tcp = TcpStream::connect(sink)?;
                tcp.set_nodelay(true)?;
                let mut answers = Answers::default();
                answers.expect(&mut tcp, 1)?;
                tcp.write_all(b"EHLO bench.example\r\n")?;
                answers.expect(&mut tcp, 4)?;
                let commands = b"MAIL FROM:<leads@portal.example>\r\nRCPT TO:<leads@p1.example>\r\nDATA\r\n";
                let mut is_asked = false;
                let mut packet = Vec::new();
                loop {
                    let n = begun.fetch_add(1, Ordering::Relaxed);
                    if n >= n_mails {
                        return Ok(());
                    }
                    if !is_asked {
                        tcp.write_all(commands)?;
                        answers.expect(&mut tcp, 3)?;
                    }
                    packet.clear();
                    packet.extend_from_slice(&mails.nth(n).1);
                    packet.extend_from_slice(b".\r\n");
                    if with_next {
                        packet.extend_from_slice(commands);
                    }
                    tcp.write_all(&packet)?;
                    answers.expect(&mut tcp, if with_next { 4 } else { 1 })?;
                    is_asked = with_next;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().map_err(|_| "a sender panicked")??;
    }
    Ok(())
}

/// Counts lines of answers; what they say is the sink's, which we know.
#[derive(Default)]
struct Answers {
    n_lines: usize,
}

impl Answers {
    fn expect(&mut self, tcp: &mut TcpStream, n_lines: usize) -> Outcome {
        let mut bytes = [0; 512];
        while self.n_lines < n_lines {
            let n = tcp.read(&mut bytes)?;
            if n == 0 {
                return Err("the sink went away".into());
            }
            self.n_lines += bytes[..n].iter().filter(|b| **b == b'\n').count();
        }
        self.n_lines -= n_lines;
        Ok(())
    }
}
