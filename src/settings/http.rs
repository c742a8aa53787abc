//! Table `http`: where posthorn listens, and which tokens open which doors.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use crate::partner::PartnerId;
use crate::settings::keys::{Setting, Table, Visitor};
use crate::settings::values::{Words, found, is_web_address, text};
use crate::time::Timestamp;

/// Table `http`.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where the portal's systems reach `serve`; unset: nowhere.
    pub listen: Option<SocketAddr>,
    /// Where everybody may reach the pages that mails link to; unset: nowhere.
    pub public_listen: Option<SocketAddr>,
    /// What the links in mails begin with: how the world reaches `public_listen`.
    pub public_url: Option<String>,
    /// Certificate chain of `listen` (PEM); unset: no TLS.
    pub certificate_file: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    pub key_file: Option<PathBuf>,
    /// Connections served at once, on each of the two listeners.
    pub max_connections: u32,
    /// How long a client may take for a request's head, and between two pieces of its body or of its reading.
    pub patience: Duration,
    /// How long a mail may be due and not tried while `/readyz` still says yes.
    pub ready_within: Duration,
    /// Who may speak to `listen`.
    pub tokens: Vec<Token>,
}

/// A bearer token (RFC 6750): who has it may do what its scopes say.
#[derive(Clone, Debug, Default)]
pub struct Token {
    /// Who uses it: logged, and the *who* of what it does. Several tokens may share a name, so that one can be replaced without a gap.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: TokenHash,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// The one partner whose leads it may see and move; unset: all.
    pub partner: Option<PartnerId>,
    /// From when on it opens nothing any more.
    pub expires: Option<Timestamp>,
}

/// The SHA-256 of a token. No token of its own: what is in the configuration opens nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Bringing leads and bounces.
    Intake,
    /// Partners, answers, the Action Center feed: what the portal does for its users.
    Portal,
    /// Running digests, deliveries, suppressions, rejected records; and reading everything.
    Ops,
    /// Reading everything.
    Read,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8025)),
            public_listen: None,
            public_url: None,
            certificate_file: None,
            key_file: None,
            // Each costs a task and some 20 kB; a portal keeps a handful open.
            max_connections: 512,
            patience: Duration::from_secs(30),
            // A digest of a large portal fires for all partners at once, and takes minutes.
            ready_within: Duration::from_secs(15 * 60),
            tokens: Vec::new(),
        }
    }
}

impl Table for Http {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("listen", &mut self.listen);
        v.key("public_listen", &mut self.public_listen);
        v.checked("public_url", &mut self.public_url, |url| {
            url.as_deref().map_or(Ok(()), |url| is_web_address(url).and_then(|()| is_base(url)))
        });
        v.key("certificate_file", &mut self.certificate_file);
        v.key("key_file", &mut self.key_file);
        v.bounded("max_connections", &mut self.max_connections, 1..=10_000);
        v.bounded("patience", &mut self.patience, Duration::from_secs(1)..=Duration::from_secs(600));
        v.bounded(
            "ready_within",
            &mut self.ready_within,
            Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600),
        );
        v.list("tokens", &mut self.tokens);
    }
}

impl Table for Token {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("name", &mut self.name);
        v.key("sha256", &mut self.sha256);
        v.key("scopes", &mut self.scopes);
        v.key("partner", &mut self.partner);
        v.key("expires", &mut self.expires);
    }
}

/// Refuses an address to which no path can be added.
fn is_base(url: &str) -> Result<(), String> {
    if !url.is_ascii() {
        return Err(format!(
            "{url:?} has letters that no mail header may have; write its host as xn--… (IDNA) and the rest percent-encoded"
        ));
    }
    if url.contains(['?', '#']) {
        return Err(format!(
            "{url:?} has a query or fragment; write only what every link begins with, such as \"https://mail.portal.example\""
        ));
    }
    Ok(())
}

impl Setting for SocketAddr {
    fn read(value: &Value) -> Result<Self, String> {
        text(value)?.parse().map_err(|_| {
            format!(
                "{} is not an address with a port, such as \"127.0.0.1:8025\" or \"[::]:8025\"",
                found(value)
            )
        })
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

impl Setting for TokenHash {
    fn read(value: &Value) -> Result<Self, String> {
        let hex = text(value)?;
        let mut hash = [0; 32];
        let pairs = hex.as_bytes().chunks(2);
        let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            // A token in the clear may stand here by mistake: it is not repeated.
            return Err("is not a SHA-256 in 64 hexadecimal digits; `posthorn token new` writes one".into());
        }
        for (byte, pair) in hash.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
        }
        Ok(Self(hash))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

impl std::fmt::Display for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Setting for PartnerId {
    fn read(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "" => Err("\"\" is no partner's id".into()),
            id => Ok(Self::new(id)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.as_str().into()))
    }
}

impl Setting for Timestamp {
    fn read(value: &Value) -> Result<Self, String> {
        // TOML has instants of its own, with and without quotation marks around them.
        let written = value.as_datetime().map(ToString::to_string);
        let text = written.as_deref().map_or_else(|| text(value), Ok)?;
        text.parse()
            .map_err(|_| format!("{} is not an instant such as 2027-01-31T00:00:00Z", found(value)))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

impl Words for Scope {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("intake", Self::Intake),
        ("portal", Self::Portal),
        ("ops", Self::Ops),
        ("read", Self::Read),
    ];
}

impl Scope {
    /// Returns its name in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, scope)| *scope == self).map_or("", |(word, _)| word)
    }
}

impl Setting for Vec<Scope> {
    fn read(value: &Value) -> Result<Self, String> {
        let entries = value
            .as_array()
            .ok_or_else(|| format!("{} is not a list such as [\"intake\", \"read\"]", found(value)))?;
        entries.iter().map(Scope::read).collect()
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.iter().filter_map(Setting::show).collect()))
    }
}
