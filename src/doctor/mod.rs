//! Looks at everything that has to be right for mail to arrive, and says of each what was found and what to do.
//!
//! In: the settings, and whatever they name: files, the database, relays, the DNS, the Action Center, the public pages. Out: a [`Report`] of checks.
//!
//! **Invariants:** nothing is written, sent or changed; a relay is asked up to AUTH, then told goodbye; one thing that is wrong hides no other;
//! every question to the outside has a time-out; what cannot be known from here is said to be not checked, never to be right.
//! [`spf`], [`dkim`], [`dmarc`] and [`mailbox`] judge texts of the DNS and ask nobody: where they need an answer, they return the question.
//! **Not here:** what the configuration allows (`settings`), what waits and why (`app::status`, `app::explain`).

pub mod report;

mod der;
pub mod dkim;
pub mod dmarc;
pub mod mailbox;
pub mod spf;
mod spf_record;
mod text;

mod probe;
mod probe_database;
mod probe_dns;
mod probe_files;
mod probe_nats;
mod probe_relay;
mod probe_web;

pub use probe::{Asked, examine};
pub use report::{Area, Check, Report, State};
