//! Tags: what a thing is, in so few characters that whoever changes it can say which state he has seen.

use sha2::{Digest, Sha256};

/// Returns the tag of these bytes: the SHA-256, in hexadecimal.
///
/// ```
/// assert!(posthorn::tag::tag_of(b"abc").starts_with("ba7816bf"));
/// ```
pub fn tag_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
