//! What leaves the house: notices (somebody is to be told something) and deliveries (one message of a notice to one address).
//!
//! In: what happened to a notice or a delivery, and `now`. Out: what becomes of it, or why that cannot be. The shell keeps the states
//! and acts on the answers. What a bounce says is judged here, too, and by which marks a delivery is known again (`bounce`, `mark`).
//!
//! **Invariant:** each state machine is one function without a `_` arm; whoever adds a state or an event has to say what each pair
//! means. The reference pages are rendered from these functions.
//! **Not here:** who is told (`policy`), what a mail says (`template`), how it is sent (`mail`, `delivery`), where it is kept (`store`).

pub mod bounce;
pub mod circuit;
pub mod delivery;
pub mod kind;
pub mod mark;
pub mod notice;
pub mod pace;
pub mod reference;
pub mod reply;
pub mod retry;

pub use kind::Kind;
pub use reply::{Reply, Stage};
