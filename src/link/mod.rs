//! Links in mails that somebody may act by without logging in: signed, so that nobody can make one up, and bound to one purpose of one mail.
//!
//! ```text
//! token = base64url( version 1 B | key id 4 B | purpose 1 B | position 2 B | delivery id 8 B | HMAC-SHA-256 of those 16 bytes, cut to 16 B )
//! ```
//!
//! In: a delivery, a purpose, a [`Key`]. Out: 43 characters for a URL, and back. The token names its key, so keys can rotate ([`is_stale`],
//! [`is_retired`]) without breaking links that lie in mailboxes.
//!
//! **Invariants:** a token of one purpose is no token of another, as the purpose is under the signature; signatures are compared in constant time;
//! a token has one spelling. The same delivery and key give the same token, so that a mail that is sent again is the same mail.
//! **Not here:** where keys are kept (`store::links`), what a link does (`app::unsubscribe`, `app::from_mail`).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::Timestamp;

/// What a key is made from: as many bytes as the hash has.
pub const SECRET_BYTES: usize = 32;

/// The first byte of every token; a token that is laid out otherwise will begin with another.
const VERSION: u8 = 1;
/// What is signed.
const CLAIM_BYTES: usize = 16;
/// 128 bits of the MAC: guessing one at a million tries a second takes longer than the sun burns (RFC 2104 §5 asks for half of the hash, 80 bits at least).
const MAC_BYTES: usize = 16;

/// A key signs for a quarter of a year.
const SIGNS_FOR: Duration = Duration::from_secs(90 * 86_400);
/// And verifies for 400 days more: a mail from a year ago can still be unsubscribed from.
const VERIFIES_FOR: Duration = Duration::from_secs((90 + 400) * 86_400);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// No more mails about this partner's leads (`R-OPTOUT`).
    Unsubscribe,
    /// Accept the lead (`R-ACCEPT`).
    Accept,
    /// Decline it (`R-DECLINE`).
    Decline,
    /// Send it on to a colleague.
    Forward,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Unsubscribe, Self::Accept, Self::Decline, Self::Forward];

    /// Returns the word that pages and logs know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribe => "unsubscribe",
            Self::Accept => "accept",
            Self::Decline => "decline",
            Self::Forward => "forward",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Unsubscribe => 1,
            Self::Accept => 2,
            Self::Decline => 3,
            Self::Forward => 4,
        }
    }
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What the link is for.
    pub purpose: Purpose,
    /// The mail that it stands in.
    pub delivery_id: i64,
    /// Which of the mail's leads it is about: its place in the delivery's list, 0 where there is one or none.
    pub position: u16,
}

/// A key that signs links.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: u32,
    secret: [u8; SECRET_BYTES],
}

impl Key {
    /// Takes over a key as the store keeps it.
    pub fn new(id: u32, secret: [u8; SECRET_BYTES]) -> Self {
        Self { id, secret }
    }

    /// Returns a key for mails that are shown and never sent. Its id is none that the store gives, so its links open nothing.
    pub fn for_show() -> Self {
        Self::new(0, [0; SECRET_BYTES])
    }

    /// Signs a claim.
    pub fn sign(&self, claim: &Claim) -> String {
        let said = said(self.id, claim);
        let mut token = said.to_vec();
        token.extend_from_slice(&self.mac(&said).finalize().into_bytes()[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Returns the claim of a token if this key has signed it.
    pub fn verify(&self, token: &Unverified) -> Option<Claim> {
        let is_ours = token.key_id == self.id && self.mac(&said(self.id, &token.claim)).verify_truncated_left(&token.mac).is_ok();
        is_ours.then_some(token.claim)
    }

    fn mac(&self, said: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(b"posthorn link ");
        mac.update(said);
        mac
    }
}

// The secret stays out of logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A token that has the right form. What it says is not to be believed before [`Key::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unverified {
    key_id: u32,
    claim: Claim,
    mac: [u8; MAC_BYTES],
}

impl Unverified {
    /// Reads a token; `None` where it cannot be one.
    pub fn read(token: &str) -> Option<Self> {
        let bytes: [u8; CLAIM_BYTES + MAC_BYTES] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (said, mac) = bytes.split_at(CLAIM_BYTES);
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.byte() == said[5])?;
        (said[0] == VERSION).then_some(())?;
        Some(Self {
            key_id: u32::from_be_bytes(said[1..5].try_into().ok()?),
            claim: Claim {
                purpose,
                position: u16::from_be_bytes(said[6..8].try_into().ok()?),
                delivery_id: i64::from_be_bytes(said[8..16].try_into().ok()?),
            },
            mac: mac.try_into().ok()?,
        })
    }

    /// Returns the key that it names.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }
}

fn said(key_id: u32, claim: &Claim) -> [u8; CLAIM_BYTES] {
    let mut said = [0; CLAIM_BYTES];
    said[0] = VERSION;
    said[1..5].copy_from_slice(&key_id.to_be_bytes());
    said[5] = claim.purpose.byte();
    said[6..8].copy_from_slice(&claim.position.to_be_bytes());
    said[8..16].copy_from_slice(&claim.delivery_id.to_be_bytes());
    said
}

/// Tells whether a key made at `made_at` has signed long enough at `now`: the next one takes its place.
pub fn is_stale(made_at: Timestamp, now: Timestamp) -> bool {
    now >= made_at.plus(SIGNS_FOR)
}

/// Tells whether a key made at `made_at` verifies no longer at `now`.
pub fn is_retired(made_at: Timestamp, now: Timestamp) -> bool {
    now >= made_at.plus(VERIFIES_FOR)
}

/// Returns when the key made at `made_at` becomes stale.
pub fn stale_at(made_at: Timestamp) -> Timestamp {
    made_at.plus(SIGNS_FOR)
}

/// Returns the latest instant at which a key was made that is stale at `now`.
pub fn stale_before(now: Timestamp) -> Timestamp {
    now.minus(SIGNS_FOR)
}

/// Returns the latest instant at which a key was made that is retired at `now`.
pub fn retired_before(now: Timestamp) -> Timestamp {
    now.minus(VERIFIES_FOR)
}

/// Returns an address as somebody sees it who may have been sent the link by another: `k••@fabrikam.example`.
pub fn masked(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}•••@{domain}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(id: u32) -> Key {
        Key::new(id, [7; SECRET_BYTES])
    }

    fn claims() -> impl Strategy<Value = Claim> {
        (0..4_usize, any::<i64>(), any::<u16>()).prop_map(|(purpose, delivery_id, position)| Claim {
            purpose: Purpose::ALL[purpose],
            delivery_id,
            position,
        })
    }

    #[track_caller]
    fn check_refused(token: &str, why: &str) {
        let claim = Unverified::read(token).and_then(|token| key(3).verify(&token));
        assert_eq!(claim, None, "{why}: {token}");
    }

    /// The form is in mailboxes for a year: it must not change unseen.
    #[test]
    fn a_token_looks_like_this() {
        let claim = Claim {
            purpose: Purpose::Unsubscribe,
            delivery_id: 4711,
            position: 0,
        };
        let token = key(3).sign(&claim);
        assert_eq!(token.len(), 43);
        insta::assert_snapshot!(token, @"AQAAAAMBAAAAAAAAAAASZ87EQqDpVDOVS1hG9ZJyyYE");
    }

    /// R-OPTOUT: a link to unsubscribe never accepts a lead, and the other way round.
    #[test]
    fn a_token_of_one_purpose_is_none_of_another() {
        for signed in Purpose::ALL {
            let claim = Claim {
                purpose: signed,
                delivery_id: 1,
                position: 0,
            };
            let token = key(3).sign(&claim);
            for wanted in Purpose::ALL.into_iter().filter(|wanted| *wanted != signed) {
                let mut bytes = URL_SAFE_NO_PAD.decode(&token).expect("it was encoded");
                bytes[5] = wanted.byte();
                check_refused(&URL_SAFE_NO_PAD.encode(bytes), wanted.as_str());
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let long = "A".repeat(5000);
        for (token, why) in [
            ("", "empty"),
            ("hello", "a word"),
            ("../../etc/passwd", "a path"),
            (long.as_str(), "too long"),
            ("AQAAAAMBAAAAAAAAAAASZ87EQqDpVDOVS1hG9ZJyyYE=", "padded"),
            ("ＡＱ", "not ASCII"),
        ] {
            check_refused(token, why);
        }
    }

    #[test]
    fn a_key_signs_for_a_quarter_and_verifies_for_more_than_a_year() {
        let made: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a literal");
        for (now, stale, retired, why) in [
            ("2026-01-01T00:00:00Z", false, false, "new"),
            ("2026-03-31T23:59:59.999Z", false, false, "90 days less a millisecond"),
            ("2026-04-01T00:00:00Z", true, false, "90 days"),
            ("2027-05-05T23:59:59.999Z", true, false, "490 days less a millisecond"),
            ("2027-05-06T00:00:00Z", true, true, "490 days"),
            ("2025-12-31T00:00:00Z", false, false, "a rehearsal that goes back in time"),
        ] {
            let now = now.parse().expect("a literal");
            assert_eq!((is_stale(made, now), is_retired(made, now)), (stale, retired), "{why}");
            assert_eq!(made <= retired_before(now), retired, "{why}");
        }
    }

    #[test]
    fn an_address_is_shown_to_whoever_knows_it() {
        for (address, shown) in [
            ("kim@fabrikam.example", "k•••@fabrikam.example"),
            ("k@fabrikam.example", "k•••@fabrikam.example"),
            ("\"a@b\"@fabrikam.example", "\"•••@fabrikam.example"),
            ("ünal@fabrikam.example", "ü•••@fabrikam.example"),
        ] {
            assert_eq!(masked(address), shown);
        }
    }

    proptest! {
        #[test]
        fn what_was_signed_is_read_back(claim in claims(), id in any::<u32>()) {
            let token = Unverified::read(&key(id).sign(&claim)).expect("it was signed");
            prop_assert_eq!(token.key_id(), id);
            prop_assert_eq!(key(id).verify(&token), Some(claim));
        }

        /// R-OPTOUT: no link can be made from another, by whatever change of it.
        #[test]
        fn a_token_with_any_change_is_refused(claim in claims(), at in 0..32_usize, flip in 1..=255_u8) {
            let mut bytes = URL_SAFE_NO_PAD.decode(key(3).sign(&claim)).expect("it was encoded");
            bytes[at] ^= flip;
            check_refused(&URL_SAFE_NO_PAD.encode(bytes), "changed");
        }

        #[test]
        fn a_token_cut_short_or_lengthened_is_refused(claim in claims(), length in 0..43_usize, more in "[A-Za-z0-9_-]{1,8}") {
            let token = key(3).sign(&claim);
            check_refused(&token[..length], "cut");
            check_refused(&format!("{token}{more}"), "lengthened");
        }

        #[test]
        fn another_key_signs_otherwise(claim in claims(), secret in any::<[u8; SECRET_BYTES]>()) {
            prop_assume!(secret != [7; SECRET_BYTES]);
            check_refused(&Key::new(3, secret).sign(&claim), "another secret");
            check_refused(&key(4).sign(&claim), "another id");
        }

        #[test]
        fn no_text_is_believed(token in ".{0,64}") {
            check_refused(&token, "made up");
        }
    }
}
