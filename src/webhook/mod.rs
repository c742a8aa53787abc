//! The one signer of everything that posthorn posts to others: Standard Webhooks.
//!
//! **Not here:** posting (`action_center::post`), and what is posted.

pub mod sign;
pub use sign::{BadSecret, Signer};
