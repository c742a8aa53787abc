//! What the use cases promise, rule by rule, on both engines.

mod answers;
mod channel;
mod concurrency;
mod deliveries;
mod digest;
mod intake;
mod laws;
mod recipient;
mod sync;
mod time;
