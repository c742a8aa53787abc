//! Makes mails and hands them over: to an SMTP relay, or into a Maildir. And reads those that come back ([`dsn`]).
//!
//! In: an [`Outgoing`] (what the templates rendered, and to whom), then its bytes and an envelope. Out: the relay's [`Reply`](crate::outbox::Reply),
//! or a [`Failed`] that says at which stage and whether the mail may be out all the same.
//!
//! **Invariants:**
//! - the same [`Outgoing`] gives the same bytes: no clock, no random boundary, so that a repeat is recognised everywhere;
//! - no field of a mail can add a header, an address or a line of its own;
//! - a signature covers the bytes that leave, and is the same for the same mail and key;
//! - a reply is typed by its stage; `in_doubt` is set exactly when the final dot has left us and no reply came;
//! - a refused recipient costs the recipient, not the connection;
//! - nothing believed after STARTTLS was heard before it.
//!
//! **Not here:** where the key of a signature is read (`delivery::signing`), whose fault a reply is (`outbox::reply`), retries, pacing and the pool of kept connections (`delivery`).

mod answer;
mod dkim;
pub mod dsn;
mod encode;
mod failed;
mod maildir;
mod message;
mod relay;
mod smtp;
mod stream;
mod tls;

pub use dkim::{KeyError, Signer};
pub use failed::{Cause, Failed};
pub use maildir::Maildir;
pub use message::{Attachment, Error, Letterhead, Outgoing, build, domain_of, message_id};
pub use relay::{Identity, Relay, Timeouts, Tls};
pub use smtp::{Connection, Envelope};
