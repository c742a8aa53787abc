//! What the use cases promise, rule by rule, on both engines.

mod answers;
mod bounces;
mod channel;
mod concurrency;
mod deliveries;
mod digest;
mod erase;
mod feed;
mod intake;
mod kept;
mod laws;
mod links;
mod lists;
mod recipient;
mod sync;
mod time;
mod verify;
