//! A name server on 127.0.0.1 with a zone in lines, over UDP and TCP: real packets, whose bytes are written here and not by what reads them.
//!
//! ```ignore
//! let dns = Dns::start("contoso.com TXT v=spf1 -all\ncontoso.com MX 10 mx.contoso.com\nmx.contoso.com A 192.0.2.1");
//! ```
//!
//! `x.example SERVFAIL` is answered so; a name that no line begins with does not exist. What takes more than 512 bytes is cut off over UDP (RFC 1035 §4.2.1).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const NO_SUCH_NAME: u16 = 3;
const SERVER_FAILURE: u16 = 2;

/// The server; it goes when it is dropped.
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    zone: Vec<(String, String, String)>,
    /// What was asked.
    n_asked: usize,
    /// What of it over TCP.
    n_tcp: usize,
    is_stopped: bool,
}

impl Dns {
    pub fn start(zone: &str) -> Self {
        // A port that is free over UDP is mostly free over TCP.
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("a free port");
        let address = udp.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared {
            zone: Vec::new(),
            n_asked: 0,
            n_tcp: 0,
            is_stopped: false,
        }));
        let dns = Self {
            address,
            shared: Arc::clone(&shared),
        };
        dns.publish(zone);
        udp.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        tcp.set_nonblocking(true).expect("a listener that can be asked");
        thread::spawn(move || {
            let mut question = [0; 512];
            loop {
                if shared.lock().unwrap().is_stopped {
                    return;
                }
                if let Ok((n, from)) = udp.recv_from(&mut question) {
                    let mut shared = shared.lock().unwrap();
                    shared.n_asked += 1;
                    let answer = shared.answer(&question[..n], true);
                    udp.send_to(&answer, from).ok();
                }
                if let Ok((mut stream, _)) = tcp.accept() {
                    stream.set_nonblocking(false).ok();
                    let mut length = [0; 2];
                    stream.read_exact(&mut length).ok();
                    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                    if stream.read_exact(&mut question).is_ok() {
                        let mut shared = shared.lock().unwrap();
                        shared.n_tcp += 1;
                        let answer = shared.answer(&question, false);
                        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                        stream.write_all(&[&length[..], &answer].concat()).ok();
                    }
                }
            }
        });
        dns
    }

    /// Puts another zone in place of the one before.
    pub fn publish(&self, zone: &str) {
        let lines = zone.lines().map(str::trim).filter(|line| !line.is_empty());
        let records = lines.map(|line| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            (next(), next(), next())
        });
        self.shared.lock().unwrap().zone = records.collect();
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many questions came; one that is repeated over TCP counts once.
    pub fn n_asked(&self) -> usize {
        self.shared.lock().unwrap().n_asked
    }

    /// How many questions came over TCP.
    pub fn n_tcp(&self) -> usize {
        self.shared.lock().unwrap().n_tcp
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.lock().unwrap().is_stopped = true;
    }
}

impl Shared {
    fn answer(&self, question: &[u8], is_udp: bool) -> Vec<u8> {
        // Twelve bytes of head, then the name.
        let mut at = 12;
        let mut labels = Vec::new();
        while question[at] != 0 {
            let n = usize::from(question[at]);
            labels.push(String::from_utf8_lossy(&question[at + 1..=at + n]).to_lowercase());
            at += n + 1;
        }
        let name = labels.join(".");
        let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
        let asked = &question[12..at + 5];
        let of_name = || self.zone.iter().filter(|record| record.0 == name);
        let rcode = if of_name().any(|record| record.1 == "SERVFAIL") {
            SERVER_FAILURE
        } else if of_name().next().is_none() {
            NO_SUCH_NAME
        } else {
            0
        };
        let data: Vec<Vec<u8>> = of_name()
            .filter(|record| number(&record.1) == kind)
            .map(|record| data(&record.1, &record.2))
            .collect();
        let mut records = Vec::new();
        for data in &data {
            records.extend_from_slice(&[0xc0, 12]);
            records.extend_from_slice(&kind.to_be_bytes());
            records.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            records.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            records.extend_from_slice(data);
        }
        let is_cut = is_udp && 12 + asked.len() + records.len() > 512;
        // An answer, authoritative, recursion desired and available.
        let flags = 0x8580 | rcode | if is_cut { 0x0200 } else { 0 };
        let n_answers = if is_cut { 0 } else { u16::try_from(data.len()).unwrap() };
        let mut answer = question[..2].to_vec();
        for word in [flags, 1, n_answers, 0, 0] {
            answer.extend_from_slice(&word.to_be_bytes());
        }
        answer.extend_from_slice(asked);
        if !is_cut {
            answer.extend_from_slice(&records);
        }
        answer
    }
}

fn number(kind: &str) -> u16 {
    match kind {
        "A" => 1,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        "SERVFAIL" => 0,
        other => panic!("a record of kind {other}"),
    }
}

fn data(kind: &str, text: &str) -> Vec<u8> {
    match kind {
        "A" => text.parse::<Ipv4Addr>().expect("an address").octets().to_vec(),
        "AAAA" => text.parse::<Ipv6Addr>().expect("an address").octets().to_vec(),
        "MX" => {
            let (preference, name) = text.split_once(' ').expect("a preference and a name");
            let mut data = preference.parse::<u16>().expect("a number").to_be_bytes().to_vec();
            for label in name.split('.').filter(|label| !label.is_empty()) {
                data.push(u8::try_from(label.len()).unwrap());
                data.extend_from_slice(label.as_bytes());
            }
            data.push(0);
            data
        }
        // In pieces of 255 bytes at most.
        _ => text
            .as_bytes()
            .chunks(255)
            .flat_map(|piece| [&[u8::try_from(piece.len()).unwrap()][..], piece].concat())
            .collect(),
    }
}
