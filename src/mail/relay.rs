//! A relay as the settings describe it: where it is, how it is encrypted, how long it may take.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::mail::{Cause, Failed, tls};
use crate::outbox::Stage;
use crate::settings::secret;

/// How a relay's connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// STARTTLS must be offered and its certificate valid (port 587).
    #[default]
    Required,
    /// TLS from the first byte, certificate valid (port 465).
    Implicit,
    /// STARTTLS where it is offered, whoever holds the key; plain otherwise. No password over plain.
    Opportunistic,
    /// Plain, the password too: for a relay on this machine.
    None,
}

/// How long each stage may take, the relay's answer included (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP.
    pub connect: Duration,
    /// The greeting and the answer to `EHLO`.
    pub ehlo: Duration,
    /// `STARTTLS`, handshake and the second `EHLO`; for implicit TLS the handshake.
    pub start_tls: Duration,
    /// The whole of `AUTH`.
    pub auth: Duration,
    /// `MAIL`, and `RSET`.
    pub mail_from: Duration,
    /// `RCPT`.
    pub rcpt_to: Duration,
    /// `DATA`.
    pub data: Duration,
    /// Sending the mail and the answer to its final dot. Too short, and mails that went out are sent twice.
    pub final_dot: Duration,
}

impl Timeouts {
    /// Returns these with `limit` for every answer but that to a mail.
    #[must_use]
    pub fn with_each(self, limit: Duration) -> Self {
        Self {
            connect: limit,
            ehlo: limit,
            start_tls: limit,
            auth: limit,
            mail_from: limit,
            rcpt_to: limit,
            data: limit,
            final_dot: self.final_dot,
        }
    }
}

impl Default for Timeouts {
    /// The RFC allows 5 minutes for most stages; its figures are for relays of 1982. A relay of one's own that is silent for a minute is away.
    /// The final dot keeps its 10 minutes: there impatience costs a duplicate.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect: minute / 2,
            ehlo: minute,
            start_tls: minute,
            auth: minute,
            mail_from: minute,
            rcpt_to: 2 * minute,
            data: 2 * minute,
            final_dot: 10 * minute,
        }
    }
}

/// What a client shows to a relay that asks who it is (mutual TLS).
#[derive(Clone)]
pub struct Identity {
    /// The certificate chain in PEM, its own first.
    pub certificates: Vec<u8>,
    /// Its private key in PEM.
    pub key: SecretString,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// A relay and how to talk to it; made once, its clones share what TLS trusts.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Name or address; the certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How it is encrypted.
    pub tls: Tls,
    /// Whether we log in.
    pub username: Option<String>,
    /// With what: a password.
    pub password: Option<SecretString>,
    /// Or the file that holds one; read for each connection, so that it may be changed at any time.
    pub password_file: Option<PathBuf>,
    /// Or the file that holds an OAuth 2 access token (XOAUTH2); read for each connection: such tokens live for an hour.
    pub token_file: Option<PathBuf>,
    /// What `EHLO` says we are.
    pub hello_name: String,
    /// How long a stage may take.
    pub timeouts: Timeouts,
    /// CA certificates in PEM that are trusted beside the system's.
    pub tls_roots: Option<Vec<u8>>,
    /// The certificate chain and the private key, in PEM, by which we show who we are.
    pub identity: Option<Identity>,
    /// Whether it is asked to report mails that were delivered, where it offers DSN (RFC 3461).
    pub notify_success: bool,
    tls_config: Arc<OnceLock<Result<Arc<ClientConfig>, String>>>,
}

impl Relay {
    /// Names a relay, with no login, the default timeouts and this machine's name.
    pub fn new(host: impl Into<String>, port: u16, tls: Tls) -> Self {
        let hello_name = match ClientId::default() {
            ClientId::Domain(name) if is_one_word(&name) => name,
            _ => "[127.0.0.1]".to_owned(),
        };
        Self {
            host: host.into(),
            port,
            tls,
            username: None,
            password: None,
            password_file: None,
            token_file: None,
            hello_name,
            timeouts: Timeouts::default(),
            tls_roots: None,
            identity: None,
            notify_success: false,
            tls_config: Arc::default(),
        }
    }

    pub(super) fn tls_config(&self) -> Result<Arc<ClientConfig>, Failed> {
        let make = || match self.tls {
            Tls::Opportunistic => tls::unverified(self.identity.as_ref()),
            Tls::Required | Tls::Implicit | Tls::None => tls::verifying(self.tls_roots.as_deref(), self.identity.as_ref()),
        };
        self.tls_config
            .get_or_init(make)
            .clone()
            .map_err(|detail| Failed::new(Stage::StartTls, Cause::Tls, detail))
    }

    /// Reads what proves the account; with it, whether it is a token.
    pub(super) fn secret(&self) -> Result<(SecretString, bool), Failed> {
        let (path, is_token) = match (&self.token_file, &self.password_file) {
            (Some(path), _) => (path, true),
            (None, Some(path)) => (path, false),
            (None, None) => return Ok((self.password.clone().unwrap_or_default(), false)),
        };
        let unread = |error: secret::Error| Failed::new(Stage::Auth, Cause::NotOffered, error.to_string());
        Ok((secret::read(path).map_err(unread)?, is_token))
    }

    pub(super) fn server_name(&self) -> Result<ServerName<'static>, Failed> {
        let wrong = |_| {
            Failed::new(
                Stage::StartTls,
                Cause::Tls,
                format!("{:?} is no name that a certificate can be for", self.host),
            )
        };
        ServerName::try_from(self.host.clone()).map_err(wrong)
    }
}

impl Display for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Tells whether a name can stand behind `EHLO`.
pub(super) fn is_one_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let mut relay = Relay::new("relay.example", 587, Tls::Required);
        relay.password = Some("hunter2".to_owned().into());
        assert!(!format!("{relay:?}").contains("hunter2"));
    }
}
