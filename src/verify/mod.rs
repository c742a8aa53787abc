//! Finds out whether customers' mail domains take mail, by asking the DNS (`R-VERIFY`).
//!
//! In: leads that are due, taken by `app::verify`. Out: what the DNS says of their domains, written down by `app::verify`.
//!
//! **Invariants:** nothing is held while the DNS is asked; each domain is asked for once a batch, and rarely within an hour; what the DNS does not answer
//! is never "invalid". Nothing else waits for it: `serve` runs it as a loop of its own, `work` and `demo` not at all.
//! **Not here:** syntax, lists, phones (`lead::validity`); when to ask again (`app::verify`).

pub mod judge;

mod ask;
mod verifier;

pub use verifier::Verifier;
