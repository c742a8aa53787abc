//! Marks that a mail carries out and a bounce brings back: its Message-ID, its envelope id, its return address (VERP). All are keyed hashes, so that
//! nobody can make up a bounce of a mail that he has not seen.
//!
//! ```text
//! Message-ID, ENVID   32 hex digits of HMAC-SHA-256(key, "posthorn delivery " id)
//! return address      bounces+4711-9f3c…@example.org: the delivery, and 20 hex digits of HMAC-SHA-256(key, "posthorn bounce " id)
//! ```
//!
//! In: the database's key, a delivery. Out: a mark, and for a mark of outside the delivery that it is of.
//!
//! **Invariants:** the same delivery and key give the same marks. A mark of one purpose is none of another. A mark is believed whole or not at all,
//! compared in constant time; case makes no difference, as mailboxes are lower-cased on the way.
//! **Not here:** what a bounce says (`bounce`), where it is looked up (`app::bounce`).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a Message-ID's hash.
const MESSAGE_BYTES: usize = 16;
/// 80 bits, the least that RFC 2104 §5 allows: an address has 64 characters before its `@` (RFC 5321 §4.5.3.1.1), and guessing needs a mail each.
const RETURN_BYTES: usize = 10;
/// Characters of a return address's mark: nineteen digits, a hyphen, the hash.
pub const MARK_CHARS_MAX: usize = 19 + 1 + 2 * RETURN_BYTES;
/// Stands in `mail.envelope_from` for the mark.
pub const PLACE: &str = "{id}";

/// Makes and reads the marks of one database.
#[derive(Clone)]
pub struct Marks {
    key: Vec<u8>,
    /// What stands before and behind the mark of a return address, lower-cased; `None` where `mail.envelope_from` has no place for it.
    return_address: Option<(String, String)>,
}

/// Whose mail a return address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// It is none of ours.
    Other,
    /// It has the form of ours, and its hash is wrong: made up, altered, or of another database.
    Forged,
    /// Of this delivery.
    Delivery(i64),
}

impl Marks {
    /// Takes the database's key, and `mail.envelope_from` as it is set.
    pub fn new(key: &[u8], envelope_from: Option<&str>) -> Self {
        let lower = envelope_from.map(str::to_lowercase);
        let return_address = lower.as_deref().and_then(|address| address.split_once(PLACE));
        Self {
            key: key.to_vec(),
            return_address: return_address.map(|(before, behind)| (before.to_owned(), behind.to_owned())),
        }
    }

    /// Returns what stands before the `@` of a delivery's Message-ID; it is the delivery's envelope id (RFC 3461 §4.4), too.
    pub fn message(&self, delivery_id: i64) -> String {
        message_mark(&self.key, delivery_id)
    }

    /// Tells whether a text is a delivery's [`message`](Self::message) mark.
    pub fn is_message(&self, text: &str, delivery_id: i64) -> bool {
        verifies(&self.key, b"posthorn delivery ", delivery_id, text, MESSAGE_BYTES)
    }

    /// Returns where a delivery's bounces go; `None` where all go to one address.
    pub fn return_address(&self, delivery_id: i64) -> Option<String> {
        let (before, behind) = self.return_address.as_ref()?;
        let hash = keyed(&self.key, b"posthorn bounce ", delivery_id).finalize().into_bytes();
        Some(format!("{before}{delivery_id}-{}{behind}", hex(&hash[..RETURN_BYTES])))
    }

    /// Says whose mail a return address is of.
    pub fn returned(&self, address: &str) -> Returned {
        let address = address.to_lowercase();
        let marked = self.return_address.as_ref().and_then(|(before, behind)| {
            let rest = address.strip_prefix(before.as_str())?.strip_suffix(behind.as_str())?;
            rest.split_once('-')
        });
        let Some((id, hash)) = marked else { return Returned::Other };
        // One spelling only: +1 and 01 are no marks.
        let delivery = id.parse::<i64>().ok().filter(|number| number.to_string() == id);
        match delivery {
            Some(delivery) if verifies(&self.key, b"posthorn bounce ", delivery, hash, RETURN_BYTES) => Returned::Delivery(delivery),
            Some(_) | None => Returned::Forged,
        }
    }
}

// The key stays out of logs.
impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks")
            .field("return_address", &self.return_address)
            .finish_non_exhaustive()
    }
}

/// Returns what stands before the `@` of a delivery's Message-ID.
pub fn message_mark(key: &[u8], delivery_id: i64) -> String {
    let hash = keyed(key, b"posthorn delivery ", delivery_id).finalize().into_bytes();
    hex(&hash[..MESSAGE_BYTES])
}

fn keyed(key: &[u8], purpose: &[u8], delivery_id: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(purpose);
    mac.update(&delivery_id.to_be_bytes());
    mac
}

fn verifies(key: &[u8], purpose: &[u8], delivery_id: i64, text: &str, n_bytes: usize) -> bool {
    let Some(bytes) = unhex(text).filter(|bytes| bytes.len() == n_bytes) else {
        return false;
    };
    keyed(key, purpose, delivery_id).verify_truncated_left(&bytes).is_ok()
}

/// Writes bytes as two hexadecimal digits each, in small letters.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks() -> Marks {
        Marks::new(&[7; 32], Some("Bounces+{id}@example.org"))
    }

    /// The form lies in mailboxes and logs of others: it must not change unseen.
    #[test]
    fn marks_look_like_this() {
        insta::assert_snapshot!(marks().return_address(4711).unwrap_or_default(), @"bounces+4711-289a5e1a5319fad604e0@example.org");
        insta::assert_snapshot!(marks().message(4711), @"d011fd3c635f3a2dfbea98168d678fdd");
        let longest = marks().return_address(i64::MAX).unwrap_or_default();
        let local = longest.split('@').next().unwrap_or_default();
        assert!(local.len() <= 64, "{local}: RFC 5321 §4.5.3.1.1");
        assert_eq!(Marks::new(&[7; 32], Some("bounces@example.org")).return_address(1), None);
        assert_eq!(Marks::new(&[7; 32], None).returned("bounces+1-00@example.org"), Returned::Other);
    }

    #[test]
    fn what_is_no_mark_is_told_from_one_that_is_made_up() {
        let real = marks().return_address(1).unwrap_or_default();
        let token = real.split(['+', '@']).nth(1).unwrap_or_default();
        let hash = &token[2..];
        for (address, expected, why) in [
            (real.clone(), Returned::Delivery(1), "as it was made"),
            (real.to_uppercase(), Returned::Delivery(1), "upper case"),
            ("ada@example.org".to_owned(), Returned::Other, "another mailbox"),
            ("bounces@example.org".to_owned(), Returned::Other, "no mark"),
            (real.replace("example.org", "example.com"), Returned::Other, "another domain"),
            (format!("bounces+2-{hash}@example.org"), Returned::Forged, "another delivery"),
            (format!("bounces+01-{hash}@example.org"), Returned::Forged, "another spelling"),
            (format!("bounces+1-{}@example.org", &hash[1..]), Returned::Forged, "cut"),
            (format!("bounces+1-{hash}00@example.org"), Returned::Forged, "longer"),
            ("bounces+1-@example.org".to_owned(), Returned::Forged, "no hash"),
            (
                format!("bounces+1-{}@example.org", &marks().message(1)[..20]),
                Returned::Forged,
                "the hash of another purpose",
            ),
        ] {
            assert_eq!(marks().returned(&address), expected, "{why}: {address}");
        }
    }

    proptest! {
        #[test]
        fn a_mark_is_read_back_and_with_any_change_is_not(id in 0..i64::MAX, other in 0..i64::MAX, at in 0..20_usize) {
            let address = marks().return_address(id).expect("the setting has a place for it");
            prop_assert_eq!(marks().returned(&address), Returned::Delivery(id));
            prop_assert!(marks().is_message(&marks().message(id), id));
            prop_assert!(id == other || !marks().is_message(&marks().message(id), other));
            let hash_at = address.rfind('-').expect("a mark has one") + 1 + at;
            let mut changed = address.into_bytes();
            changed[hash_at] = if changed[hash_at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("it was ASCII");
            prop_assert_eq!(marks().returned(&changed), Returned::Forged);
        }

        #[test]
        fn no_text_is_believed(text in ".{0,64}") {
            prop_assert!(!matches!(marks().returned(&text), Returned::Delivery(_)));
            prop_assert!(!marks().is_message(&text, 1));
        }
    }
}
