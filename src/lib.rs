//! posthorn stands beside a partner portal and sees to it that the right people hear of its new leads: once, in time, in their language.
//! A record comes in and is stored together with what it causes; a worker mails what is due; a clock moves what time alone moves.
//! Everything it decides is kept with its reason, so that "why did this partner get no mail?" has an answer.
//!
//! ```text
//!   intake ──> app ──> store          timers ──> app
//!               │        │ notices
//!               v        v
//!   lead · partner · policy · outbox   delivery ──> template, mail, action_center
//!   (pure: take `now`, do no I/O)
//! ```
//!
//! The rooms in reading order; arrows (`use`) point one way and `tests/house.rs` guards them.

#![forbid(unsafe_code)]

// The core: decides, and does no I/O.
pub mod clean;
pub mod fault;
pub mod fields;
pub mod lead;
pub mod link;
pub mod outbox;
pub mod partner;
pub mod policy;
pub mod tag;
pub mod time;

// The shell: does I/O, and decides nothing.
pub mod action_center;
pub mod app;
pub mod cli;
pub mod clock;
pub mod delivery;
pub mod dns;
pub mod doctor;
pub mod export;
#[cfg(not(feature = "fault-points"))]
mod fault_point;
#[cfg(feature = "fault-points")]
pub mod fault_point;
pub mod http;
pub mod intake;
pub mod mail;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod timers;
pub mod verify;
pub mod webhook;
