//! Takes records from outside and hands them on one by one: files, requests, and messages of NATS.
//!
//! In: bytes. Out: JSON values with the line on which they stand, or a fault each; what a value means is read by `lead` and `partner`. Then batches, for
//! `app::take_in`.
//!
//! **Invariant:** memory is bounded by a batch of the largest record that is allowed, whatever the size of the input.

pub mod body;
pub mod fetch;
pub mod file;
pub mod gather;
pub mod lines;
pub mod nats;
mod scan;
mod table;
mod window;

pub mod batch;

pub mod again;
