//! Signs a webhook as Standard Webhooks says (<https://www.standardwebhooks.com>, specification 1.0): HMAC-SHA256 over id, time and body.
//!
//! The receiver recomputes it with the shared secret, refuses what is older than a few minutes, and drops an id that it has seen.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::time::Timestamp;

/// Signs with one secret.
#[derive(Clone)]
pub struct Signer {
    key: Vec<u8>,
}

/// Why a text is no secret to sign with. It does not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Not base64 behind the prefix.
    #[error("the webhook secret is not whsec_ followed by base64")]
    NotBase64,
    /// Outside of what the specification allows.
    #[error("the webhook secret has {0} bytes; 24 to 64 are allowed")]
    Length(usize),
}

/// The three headers of a signed webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// `webhook-id`
    pub id: String,
    /// `webhook-timestamp`, seconds since the epoch.
    pub timestamp: String,
    /// `webhook-signature`
    pub signature: String,
}

impl Signer {
    /// Takes the secret in its usual form, `whsec_` and base64; white space around it, as a file has it, is dropped.
    ///
    /// # Errors
    /// [`BadSecret`], for the configuration to report.
    pub fn new(secret: &SecretString) -> Result<Self, BadSecret> {
        let text = secret.expose_secret().trim();
        let key = STANDARD
            .decode(text.strip_prefix("whsec_").unwrap_or(text))
            .map_err(|_| BadSecret::NotBase64)?;
        if !(24..=64).contains(&key.len()) {
            return Err(BadSecret::Length(key.len()));
        }
        Ok(Self { key })
    }

    /// Signs `body` as sent at `now`. `id` names the event: the same for each try, and without a full stop.
    pub fn sign(&self, now: Timestamp, id: &str, body: &[u8]) -> Headers {
        // A full stop separates the signed parts; one inside the id would let two different messages bear one signature.
        assert!(!id.contains('.'), "a webhook id has no full stop");
        let timestamp = now.as_millis().div_euclid(1000).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        Headers {
            id: id.to_owned(),
            timestamp,
            signature,
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use standardwebhooks::Webhook;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn signer(secret: &str) -> Result<Signer, BadSecret> {
        Signer::new(&secret.to_owned().into())
    }

    #[test]
    fn the_published_vector_comes_out() {
        let signed = signer(SECRET).unwrap().sign(
            Timestamp::from_millis(1_614_265_330_999),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.timestamp, "1614265330");
        assert_eq!(signed.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_library_that_is_not_ours_agrees_both_ways() {
        let theirs = Webhook::new(SECRET).unwrap();
        let ours = signer(SECRET).unwrap();
        let now = crate::clock::wall_now();
        for body in ["", "{}", r#"{"title":"Müller \u0000 📬"}"#] {
            let signed = ours.sign(now, "item_17_3", body.as_bytes());
            assert_eq!(
                theirs.sign(&signed.id, now.as_millis() / 1000, body.as_bytes()).unwrap(),
                signed.signature
            );

            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("webhook-id", &signed.id),
                ("webhook-timestamp", &signed.timestamp),
                ("webhook-signature", &signed.signature),
            ] {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            theirs.verify(body.as_bytes(), &headers).unwrap();
            assert!(theirs.verify(format!("{body} ").as_bytes(), &headers).is_err());
        }
    }

    #[test]
    fn a_wrong_secret_is_told_without_being_shown() {
        assert!(signer(&format!("  {SECRET}\n")).is_ok());
        assert_eq!(signer("whsec_not base64").unwrap_err(), BadSecret::NotBase64);
        assert_eq!(signer("whsec_c2hvcnQ=").unwrap_err(), BadSecret::Length(5));
        assert_eq!(format!("{:?}", signer(SECRET).unwrap()), "Signer(***)");
    }
}
