//! What an operator may set: one file, overridden by the environment, checked in full before anything starts.
//!
//! In: `--config`, `$POSTHORN_CONFIG`, `./posthorn.toml` or `/etc/posthorn/posthorn.toml`, and variables such as `POSTHORN__MAIL__FROM`.
//! Out: [`Settings`], with a default for every key, so that nothing has to be set; or every fault at once, with file, line and key.
//!
//! **Invariants:** a key that has no effect does not exist, and an unknown one is refused; each key is named once, in the `visit` of its
//! table ([`tables`]), from which it is read, shown and checked against `config/posthorn.toml`; no error and no `Debug` shows a password.
//! **Not here:** what follows from a setting (its room knows), reading a password file before it is needed ([`secret`] reads on use).

pub mod tables;

mod check;
pub mod http;
mod keys;
mod load;
mod programmes;
mod read;
pub mod secret;
mod smtp;
mod span;
mod values;

pub use http::{Http, Scope, Token, TokenHash};
pub use keys::Row;
pub use load::{Environment, Error, Loaded, load, load_from, load_partly};
pub use programmes::{Branding, Colour, Programme};
pub use read::{Fault, Place};
pub use tables::{
    ActionCenter, Bounces, Database, DatabaseUrl, Dkim, Domain, InDoubt, Level, Log, LogFormat, Mail, Mode, Nats, Portal, Relay, Sender,
    Settings, Smtp, Templates, Tls, Transport, Verify, Worker,
};
