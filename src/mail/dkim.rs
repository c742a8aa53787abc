//! Signs a mail for a domain (DKIM: RFC 6376, with RSA; RFC 8463, with Ed25519), over the very bytes that leave.
//!
//! Why not lettre's signer: it signs lettre's own `Message`, and a mail here is written without one; and its RSA is the crate of RUSTSEC-2023-0071.
//! `docs/decisions/0009-dkim-by-hand-over-ring.md` has the rest.
//! **Invariant:** the same mail and key give the same signature: there is no clock in it, and neither algorithm draws a random number that shows.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// What is signed where a mail has it: what people see, what threads and what unsubscribes. RFC 8058 §4 wants both `List-Unsubscribe` headers in it.
const SIGNED: [&str; 14] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Auto-Submitted",
];

/// Where the lines of a signature are folded, as RFC 5322 §2.1.1 likes them.
const LINE_BYTES_MAX: usize = 76;

/// `SEQUENCE { rsaEncryption, NULL }` (RFC 8017 §A.1), which stands before the key in a `SubjectPublicKeyInfo`.
const RSA_ENCRYPTION: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// Signs mails with one key of a domain.
pub struct Signer {
    domain: String,
    selector: String,
    key: Key,
    random: SystemRandom,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Why a key cannot sign. Completes "the file …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM, or nothing in it that signs.
    #[error("holds no private key as PEM; `openssl genrsa -out FILE 2048` makes one")]
    NoKey,
    /// The half that belongs into the DNS.
    #[error("holds a public key; the private one belongs here, the public one into the DNS")]
    Public,
    /// Behind a password.
    #[error("is encrypted, and nobody is there to type its password; `openssl pkey -in FILE -out NEW` takes it off")]
    Encrypted,
    /// A key of another kind.
    #[error("holds a key that is neither RSA nor Ed25519, and mailboxes verify no other")]
    Algorithm,
    /// RSA that is too easy to break, or too large for mailboxes to verify (RFC 8301 §3.2).
    #[error("holds an RSA key that is not of 2048 to 4096 bits with the usual exponent; `openssl genrsa -out FILE 2048` makes one")]
    Size,
    /// A damaged key.
    #[error("holds a private key that is damaged; copy it anew")]
    Damaged,
}

/// The system gave no random bytes, or the processor miscalculated; ring does not say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mail could not be signed (DKIM): the system gives no random bytes, or its processor miscalculates")]
pub struct SignFailed;

impl Signer {
    /// Takes the private key `pem` of `domain`, whose public half `selector` names.
    ///
    /// # Errors
    /// It is not a key that can sign.
    pub fn new(domain: &str, selector: &str, pem: &str) -> Result<Self, KeyError> {
        Ok(Self {
            // In the header and in the DNS it stands as ASCII (RFC 6376 §3.5).
            domain: idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned()),
            selector: selector.to_owned(),
            key: Key::read(pem)?,
            random: SystemRandom::new(),
        })
    }

    /// Tells whether a signature takes a millisecond of the processor, not the twentieth of it.
    pub fn is_slow(&self) -> bool {
        matches!(self.key, Key::Rsa(_))
    }

    /// Returns the TXT record by which mailboxes find the key: its name, and its text.
    pub fn record(&self) -> (String, String) {
        let (kind, key) = match &self.key {
            Key::Rsa(key) => ("rsa", public_key_info(key.public().as_ref())),
            Key::Ed25519(key) => ("ed25519", key.public_key().as_ref().to_vec()),
        };
        let name = format!("{}._domainkey.{}", self.selector, self.domain);
        (name, format!("v=DKIM1; k={kind}; p={}", BASE64_STANDARD.encode(key)))
    }

    /// Puts a signature before a mail that [`build`](super::build) wrote.
    ///
    /// # Errors
    /// `SignFailed`, which is no fault of the mail.
    pub fn sign(&self, mail: &mut Vec<u8>) -> Result<(), SignFailed> {
        let n_head = memchr::memmem::find(mail, b"\r\n\r\n").expect("a built mail has a head") + 2;
        let (head, body) = (&mail[..n_head], &mail[n_head + 2..]);
        let (names, mut data) = signed_fields(head);
        let mut header = self.unsigned_header(&names, &BASE64_STANDARD.encode(digest(&SHA256, &relaxed_body(body))));
        relax_field(header.as_bytes(), &mut data);
        fold_base64(&mut header, &BASE64_STANDARD.encode(self.signature(&data)?));
        header.push_str("\r\n");
        mail.splice(..0, header.into_bytes());
        Ok(())
    }

    /// Writes the header up to `b=`: the value itself is not signed (RFC 6376 §3.7).
    fn unsigned_header(&self, names: &[&str], body_hash: &str) -> String {
        let algorithm = match self.key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let mut header = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed;\r\n d={};\r\n s={};\r\n h=",
            self.domain, self.selector
        );
        let mut n_on_line = " h=".len();
        for (i, name) in names.iter().enumerate() {
            if i > 0 {
                header.push(':');
                n_on_line += 1;
            }
            if n_on_line + name.len() >= LINE_BYTES_MAX {
                header.push_str("\r\n ");
                n_on_line = 1;
            }
            header.push_str(name);
            n_on_line += name.len();
        }
        header.push_str(&format!(";\r\n bh={body_hash};\r\n b="));
        header
    }

    fn signature(&self, data: &[u8]) -> Result<Vec<u8>, SignFailed> {
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &self.random, data, &mut signature)
                    .map_err(|_| SignFailed)?;
                Ok(signature)
            }
            // RFC 8463 §3 signs the hash, not the text.
            Key::Ed25519(key) => Ok(key.sign(digest(&SHA256, data).as_ref()).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (domain, selector) = (&self.domain, &self.selector);
        f.debug_struct("Signer")
            .field("domain", domain)
            .field("selector", selector)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn read(pem: &str) -> Result<Self, KeyError> {
        match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs1(der)) => Self::rsa(RsaKeyPair::from_der(der.secret_pkcs1_der())),
            Ok(PrivateKeyDer::Pkcs8(der)) => {
                let der = der.secret_pkcs8_der();
                // OpenSSL writes version 1, in which there is no public key to compare with.
                match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    Ok(key) => Ok(Self::Ed25519(key)),
                    Err(wrong) if is(wrong, &["WrongAlgorithm"]) => Self::rsa(RsaKeyPair::from_pkcs8(der)),
                    Err(_) => Err(KeyError::Damaged),
                }
            }
            Ok(_) => Err(KeyError::Algorithm),
            Err(_) if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") => Err(KeyError::Encrypted),
            Err(_) if pem.contains("PRIVATE KEY-----") => Err(KeyError::Damaged),
            Err(_) if pem.contains("PUBLIC KEY-----") => Err(KeyError::Public),
            Err(_) => Err(KeyError::NoKey),
        }
        .map_err(|wrong| {
            if pem.contains("Proc-Type: 4,ENCRYPTED") {
                KeyError::Encrypted
            } else {
                wrong
            }
        })
    }

    fn rsa(key: Result<RsaKeyPair, KeyRejected>) -> Result<Self, KeyError> {
        match key {
            Ok(key) => Ok(Self::Rsa(Box::new(key))),
            Err(wrong) if is(wrong, &["TooSmall", "TooLarge", "PrivateModulusLenNotMultipleOf512Bits"]) => Err(KeyError::Size),
            Err(wrong) if is(wrong, &["WrongAlgorithm"]) => Err(KeyError::Algorithm),
            Err(_) => Err(KeyError::Damaged),
        }
    }
}

/// Ring says why it refuses a key in its text alone.
fn is(wrong: KeyRejected, reasons: &[&str]) -> bool {
    reasons.contains(&wrong.to_string().as_str())
}

/// Wraps an RSA key as `SubjectPublicKeyInfo`, the form in which everybody publishes it.
fn public_key_info(key: &[u8]) -> Vec<u8> {
    let bits = [&[0][..], key].concat();
    der(0x30, &[&RSA_ENCRYPTION[..], &der(0x03, &bits)].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let n = u16::try_from(content.len())
        .expect("a key of 4096 bits takes half a kilobyte")
        .to_be_bytes();
    let length = match n {
        [0, n @ ..0x80] => vec![n],
        [0, n] => vec![0x81, n],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag][..], &length, content].concat()
}

/// Returns the names of the headers that are signed, and these headers in their canonical form. `From` is named once more than it is there, so that nobody
/// can add a second one that is shown instead (RFC 6376 §8.15).
fn signed_fields(head: &[u8]) -> (Vec<&'static str>, Vec<u8>) {
    let (mut names, mut canonical) = (Vec::with_capacity(SIGNED.len() + 1), Vec::with_capacity(head.len()));
    let fields = fields(head);
    for name in SIGNED {
        // Of several with a name, the last one comes first (RFC 6376 §5.4.2).
        for field in fields.iter().rev().filter(|field| is_named(field, name)) {
            names.push(name);
            relax_field(field, &mut canonical);
            canonical.extend_from_slice(b"\r\n");
        }
    }
    names.push("From");
    (names, canonical)
}

/// Returns the headers of a mail, folded as they are, without their last line end.
fn fields(head: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    let mut start = 0;
    for end in memchr::memmem::find_iter(head, b"\r\n") {
        let goes_on = matches!(head.get(end + 2), Some(b' ' | b'\t'));
        if !goes_on {
            fields.push(&head[start..end]);
            start = end + 2;
        }
    }
    fields
}

fn is_named(field: &[u8], name: &str) -> bool {
    field.len() > name.len() && field[..name.len()].eq_ignore_ascii_case(name.as_bytes()) && field[name.len()] == b':'
}

/// Writes a header in the form that survives what relays do to it (RFC 6376 §3.4.2), without its line end.
fn relax_field(field: &[u8], out: &mut Vec<u8>) {
    let colon = memchr::memchr(b':', field).expect("a built header has a name");
    out.extend(field[..colon].trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let words = field[colon + 1..].split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    for (i, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// Returns a body in the form that survives what relays do to it (RFC 6376 §3.4.4): blanks as one, none at the end of a line, no empty lines at the end.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 2);
    let mut n_empty = 0_usize;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let n_kept = line.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
        if n_kept == 0 {
            n_empty += 1;
            continue;
        }
        (0..std::mem::take(&mut n_empty)).for_each(|_| out.extend_from_slice(b"\r\n"));
        relax_line(&line[..n_kept], &mut out);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn relax_line(mut line: &[u8], out: &mut Vec<u8>) {
    while let Some(blank) = memchr::memchr2(b' ', b'\t', line) {
        out.extend_from_slice(&line[..blank]);
        out.push(b' ');
        let n_blank = line[blank..].iter().take_while(|byte| is_blank(**byte)).count();
        line = &line[blank + n_blank..];
    }
    out.extend_from_slice(line);
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Writes a value of any length behind `b=`, blanks in which mean nothing.
fn fold_base64(header: &mut String, value: &str) {
    for (i, piece) in value.as_bytes().chunks(LINE_BYTES_MAX - " b=".len()).enumerate() {
        if i > 0 {
            header.push_str("\r\n ");
        }
        header.push_str(std::str::from_utf8(piece).expect("base64 is ASCII"));
    }
}
