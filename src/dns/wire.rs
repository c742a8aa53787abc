//! Questions and answers of the DNS as bytes (RFC 1035 §4, EDNS by RFC 6891): as much as a stub that asks a resolver for TXT, MX, A and AAAA needs.
//!
//! Why not hickory-resolver: it and what it brings compile for 50 s on the project's two cores (0.26, `tokio` and `system-config` alone), and this asks
//! four kinds of question.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What fits a UDP answer that is not cut into pieces on its way (DNS flag day 2020).
pub(super) const UDP_BYTES_MAX: u16 = 1232;
/// A name in an answer is followed through this many pointers at most.
const POINTERS_MAX: usize = 64;
/// Bytes of a name (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// Records of an answer that are looked at.
const RECORDS_MAX: u16 = 200;

const CLASS_IN: u16 = 1;
const TYPE_OPT: u16 = 41;

/// The kinds of record that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Type {
    A = 1,
    Mx = 15,
    Txt = 16,
    Aaaa = 28,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    Exchange(u16, String),
    Text(String),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Records of the kind that was asked for; none where the name, or the kind, is not there.
    Records(Vec<Data>),
    /// It does not fit: ask again over TCP.
    Truncated,
    /// It is refused; the code's name.
    Refused(String),
}

/// Writes a question; none where the name cannot be one.
pub(super) fn question(id: u16, name: &str, kind: Type) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question, one additional record (OPT).
    bytes.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
    if name.len() > NAME_BYTES_MAX || name.is_empty() {
        return None;
    }
    for label in name.split('.') {
        let n = u8::try_from(label.len()).ok().filter(|n| (1..=63).contains(n))?;
        bytes.push(n);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&(kind as u16).to_be_bytes());
    bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
    // The root's name, OPT, what we take, and nothing else.
    bytes.push(0);
    bytes.extend_from_slice(&TYPE_OPT.to_be_bytes());
    bytes.extend_from_slice(&UDP_BYTES_MAX.to_be_bytes());
    bytes.extend_from_slice(&[0; 6]);
    Some(bytes)
}

/// Reads the answer to a question; none where it is the answer to another one, or damaged.
pub(super) fn answer(bytes: &[u8], id: u16, name: &str, kind: Type) -> Option<Said> {
    let mut reader = Reader { bytes, at: 0 };
    let is_ours = reader.u16()? == id;
    let flags = reader.u16()?;
    let is_answer = flags & 0x8000 != 0;
    let (n_questions, n_answers) = (reader.u16()?, reader.u16()?);
    reader.skip(4)?;
    if !is_ours || !is_answer || n_questions != 1 {
        return None;
    }
    let asked = reader.name()?;
    if !asked.eq_ignore_ascii_case(name) || reader.u16()? != kind as u16 || reader.u16()? != CLASS_IN {
        return None;
    }
    if flags & 0x0200 != 0 {
        return Some(Said::Truncated);
    }
    match flags & 0x000f {
        0 => {}
        // No such name.
        3 => return Some(Said::Records(Vec::new())),
        1 => return Some(Said::Refused("FORMERR".into())),
        2 => return Some(Said::Refused("SERVFAIL".into())),
        5 => return Some(Said::Refused("REFUSED".into())),
        code => return Some(Said::Refused(format!("error {code}"))),
    }
    let mut records = Vec::new();
    for _ in 0..n_answers.min(RECORDS_MAX) {
        // Whose it is: a resolver answers with the whole chain of aliases, at the end of which stands what was asked for.
        reader.name()?;
        let (of, class) = (reader.u16()?, reader.u16()?);
        reader.skip(4)?;
        let n = usize::from(reader.u16()?);
        let end = reader.at.checked_add(n).filter(|end| *end <= bytes.len())?;
        if of == kind as u16 && class == CLASS_IN {
            records.push(reader.data(kind, end)?);
        }
        reader.at = end;
    }
    Some(Said::Records(records))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.at = self.at.checked_add(n).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    fn take(&mut self, n: usize) -> Option<&[u8]> {
        let start = self.at;
        self.skip(n)?;
        self.bytes.get(start..self.at)
    }

    /// Reads a name, empty for the root; pointers lead back in the message.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut after = None;
        let mut n_pointers = 0;
        loop {
            let n = self.u8()?;
            match n {
                0 => break,
                1..=63 => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    let label = self.take(usize::from(n))?;
                    name.extend(label.iter().map(|byte| {
                        // A label may hold anything; what is no host's name is shown, not interpreted.
                        if byte.is_ascii_graphic() && *byte != b'.' {
                            char::from(*byte).to_ascii_lowercase()
                        } else {
                            '?'
                        }
                    }));
                    if name.len() > NAME_BYTES_MAX + 2 {
                        return None;
                    }
                }
                0xc0.. => {
                    let low = self.u8()?;
                    after.get_or_insert(self.at);
                    n_pointers += 1;
                    if n_pointers > POINTERS_MAX {
                        return None;
                    }
                    self.at = usize::from(n & 0x3f) << 8 | usize::from(low);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(name)
    }

    fn data(&mut self, kind: Type, end: usize) -> Option<Data> {
        match kind {
            Type::A => Some(Data::Address(
                Ipv4Addr::from(<[u8; 4]>::try_from(self.take(end - self.at)?).ok()?).into(),
            )),
            Type::Aaaa => Some(Data::Address(
                Ipv6Addr::from(<[u8; 16]>::try_from(self.take(end - self.at)?).ok()?).into(),
            )),
            Type::Mx => {
                let preference = self.u16()?;
                Some(Data::Exchange(preference, self.name()?))
            }
            Type::Txt => {
                let mut text = Vec::new();
                while self.at < end {
                    let n = usize::from(self.u8()?);
                    text.extend_from_slice(self.take(n)?);
                }
                Some(Data::Text(String::from_utf8_lossy(&text).into_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer with one record, whose owner is a pointer to the question's name.
    fn answered(name: &str, kind: Type, flags: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = question(7, name, kind).expect("a name");
        let end = bytes.len() - 11;
        bytes.truncate(end);
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
        bytes.extend_from_slice(&[0xc0, 12]);
        bytes.extend_from_slice(&(kind as u16).to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        bytes.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn records_are_read_and_pointers_followed() {
        let read = |kind, data: &[u8]| answer(&answered("contoso.com", kind, 0x8180, data), 7, "CONTOSO.com", kind);
        assert_eq!(
            read(Type::A, &[192, 0, 2, 1]),
            Some(Said::Records(vec![Data::Address("192.0.2.1".parse().expect("an address"))]))
        );
        let mx = [&[0, 10, 2][..], b"MX", &[0xc0, 12]].concat();
        assert_eq!(
            read(Type::Mx, &mx),
            Some(Said::Records(vec![Data::Exchange(10, "mx.contoso.com".into())]))
        );
        assert_eq!(
            read(Type::Mx, &[0, 0, 0]),
            Some(Said::Records(vec![Data::Exchange(0, String::new())])),
            "RFC 7505"
        );
        let long = [&[255][..], &[b'a'; 255], &[1], b"b"].concat();
        let text = format!("{}b", "a".repeat(255));
        assert_eq!(
            read(Type::Txt, &long),
            Some(Said::Records(vec![Data::Text(text)])),
            "pieces are put together"
        );
    }

    #[test]
    fn an_answer_to_something_else_is_none_and_a_refusal_is_one() {
        let bytes = |flags| answered("contoso.com", Type::A, flags, &[192, 0, 2, 1]);
        let read = |flags| answer(&bytes(flags), 7, "contoso.com", Type::A);
        assert_eq!(read(0x8182), Some(Said::Refused("SERVFAIL".into())));
        assert_eq!(read(0x8183), Some(Said::Records(vec![])));
        assert_eq!(read(0x8380), Some(Said::Truncated));
        assert_eq!(read(0x0180), None, "a question");
        assert_eq!(answer(&bytes(0x8180), 8, "contoso.com", Type::A), None, "another id");
        assert_eq!(answer(&bytes(0x8180), 7, "fabrikam.com", Type::A), None, "another name");
        assert_eq!(answer(&bytes(0x8180), 7, "contoso.com", Type::Aaaa), None, "another kind");
        // A name that points to itself.
        let mut looped = bytes(0x8180);
        let at = looped.len() - 16;
        looped[at..at + 2].copy_from_slice(&[0xc0, u8::try_from(at).expect("short")]);
        assert_eq!(answer(&looped, 7, "contoso.com", Type::A), None);
        for name in ["", "a..b", ".", &"a.".repeat(200), &"a".repeat(64)] {
            assert_eq!(question(7, name, Type::A), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..60) {
            for kind in [Type::A, Type::Aaaa, Type::Mx, Type::Txt] {
                answer(&bytes, 7, "a.b", kind);
                // With a head that is right, so that what follows is looked at.
                let right = answered("a.b", kind, 0x8180, &bytes);
                answer(&right, 7, "a.b", kind);
                answer(&right[..right.len().saturating_sub(cut)], 7, "a.b", kind);
            }
            bytes.clear();
        }
    }
}
