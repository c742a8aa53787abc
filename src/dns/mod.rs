//! Asks the DNS, for whoever has to know what is published of a domain: `doctor` of the sender, `verify` of a customer's mail domain.
//!
//! In: a [`Question`](answers::Question). Out: an [`Answer`](answers::Answer), of the system's resolvers or of those that were named.
//!
//! **Invariants:** every question has a time-out; what no server answers is a failure, never "nothing is there".
//! **Not here:** what an answer means (`doctor`, `verify`): whoever judges does so by [`Answers`](answers::Answers), and asks nobody.

pub mod answers;
mod wire;

mod resolver;

pub use resolver::{Resolver, default_servers};
