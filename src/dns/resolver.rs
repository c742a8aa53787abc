//! Asks the DNS: over UDP, and over TCP what does not fit.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::dns::answers::{Answer, Kind, Question};
use crate::dns::wire::{self, Data, Said, Type};

/// How long one server may take for one try. Resolvers that have to look far take a second.
const TRY_TIME_MAX: Duration = Duration::from_secs(3);
/// Tries of each server: a packet may get lost.
const TRIES: usize = 2;
/// Servers that are asked, as many as the system's own resolver asks (resolv.conf(5), MAXNS).
const SERVERS_MAX: usize = 3;
const PORT: u16 = 53;

/// Asks these servers, in their order.
pub struct Resolver {
    servers: Vec<SocketAddr>,
    random: SystemRandom,
    /// Set once none of them has answered.
    is_away: AtomicBool,
    /// Whether later questions then wait for that, too.
    is_patient: bool,
}

/// Returns the servers of `/etc/resolv.conf`; the local one where it names none.
pub fn default_servers() -> Vec<SocketAddr> {
    servers_in(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
}

fn servers_in(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        // Of a link-local address the interface is left away: such a server is asked where it is the only interface.
        let address: IpAddr = address.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    });
    let mut servers: Vec<SocketAddr> = named.take(SERVERS_MAX).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
    }
    servers
}

impl Resolver {
    /// One that asks nothing more once none of the servers has answered a question: for somebody who waits.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            random: SystemRandom::new(),
            is_away: AtomicBool::new(false),
            is_patient: false,
        }
    }

    /// One that asks every question: a server may be silent about one name only.
    pub fn patient(servers: Vec<SocketAddr>) -> Self {
        Self {
            is_patient: true,
            ..Self::new(servers)
        }
    }

    /// Names the servers, for sentences.
    pub fn shown(&self) -> String {
        let shown: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        shown.join(", ")
    }

    /// Tells whether none of the servers answers.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Asks a question.
    pub async fn ask(&self, question: &Question) -> Answer {
        match question.kind {
            Kind::Texts => self.ask_one(&question.name, Type::Txt).await,
            Kind::Exchanges => self.ask_one(&question.name, Type::Mx).await,
            Kind::Addresses => {
                let found = (
                    self.ask_one(&question.name, Type::A).await,
                    self.ask_one(&question.name, Type::Aaaa).await,
                );
                match found {
                    (Answer::Addresses(mut v4), Answer::Addresses(v6)) => {
                        v4.extend(v6);
                        Answer::Addresses(v4)
                    }
                    (Answer::Addresses(one), _) | (_, Answer::Addresses(one)) => Answer::Addresses(one),
                    (failed @ Answer::Failed(_), _) | (_, failed @ Answer::Failed(_)) => failed,
                    _ => Answer::Nothing,
                }
            }
        }
    }

    async fn ask_one(&self, name: &str, kind: Type) -> Answer {
        if self.is_away() && !self.is_patient {
            return Answer::Failed("nothing".into());
        }
        let mut refused = None;
        for server in self.servers.iter().flat_map(|server| [server; TRIES]) {
            let Some((id, bytes)) = self.question(name, kind) else {
                return Answer::Failed(format!("nothing to {name:?}, which is no name"));
            };
            match timeout(TRY_TIME_MAX, exchange(*server, &bytes, id, name, kind)).await {
                Ok(Some(Said::Records(records))) => return answer_of(records),
                Ok(Some(Said::Refused(code))) => refused = Some(code),
                Ok(Some(Said::Truncated) | None) | Err(_) => {}
            }
        }
        match refused {
            Some(code) => Answer::Failed(code),
            None => {
                self.is_away.store(true, Ordering::Relaxed);
                Answer::Failed("nothing".into())
            }
        }
    }

    fn question(&self, name: &str, kind: Type) -> Option<(u16, Vec<u8>)> {
        let mut id = [0; 2];
        // Without random bytes an answer could be forged by whoever guesses the port: nothing here is worth that trouble.
        self.random.fill(&mut id).ok();
        let id = u16::from_be_bytes(id);
        wire::question(id, name, kind).map(|bytes| (id, bytes))
    }
}

fn answer_of(records: Vec<Data>) -> Answer {
    let (mut texts, mut addresses, mut exchanges) = (Vec::new(), Vec::new(), Vec::new());
    for record in records {
        match record {
            Data::Text(text) => texts.push(text),
            Data::Address(address) => addresses.push(address),
            Data::Exchange(preference, name) => exchanges.push((preference, name)),
        }
    }
    if !texts.is_empty() {
        Answer::Texts(texts)
    } else if !addresses.is_empty() {
        Answer::Addresses(addresses)
    } else if !exchanges.is_empty() {
        Answer::Exchanges(exchanges)
    } else {
        Answer::Nothing
    }
}

/// Asks one server once; none where it could not be asked.
async fn exchange(server: SocketAddr, bytes: &[u8], id: u16, name: &str, kind: Type) -> Option<Said> {
    match over_udp(server, bytes, id, name, kind).await {
        Some(Said::Truncated) => over_tcp(server, bytes, id, name, kind).await,
        said => said,
    }
}

async fn over_udp(server: SocketAddr, bytes: &[u8], id: u16, name: &str, kind: Type) -> Option<Said> {
    let local: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((local, 0)).await.ok()?;
    // Connected, it takes answers from there only.
    socket.connect(server).await.ok()?;
    socket.send(bytes).await.ok()?;
    let mut answer = [0; wire::UDP_BYTES_MAX as usize];
    loop {
        let n = socket.recv(&mut answer).await.ok()?;
        // Whatever does not fit is late, or forged: the right one may still come.
        if let Some(said) = wire::answer(&answer[..n], id, name, kind) {
            return Some(said);
        }
    }
}

async fn over_tcp(server: SocketAddr, bytes: &[u8], id: u16, name: &str, kind: Type) -> Option<Said> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let length = u16::try_from(bytes.len()).ok()?;
    stream.write_all(&[&length.to_be_bytes()[..], bytes].concat()).await.ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.ok()?;
    wire::answer(&answer, id, name, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_servers_are_found() {
        for (text, expected) in [
            (
                "# comment\nsearch contoso.com\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\noptions edns0",
                "192.0.2.1:53 [2001:db8::1]:53",
            ),
            ("nameserver fe80::1%eth0\n", "[fe80::1]:53"),
            ("nameserver nonsense\n", "127.0.0.1:53"),
            ("", "127.0.0.1:53"),
        ] {
            let servers: Vec<String> = servers_in(text).iter().map(ToString::to_string).collect();
            assert_eq!(servers.join(" "), expected, "{text}");
        }
    }
}
