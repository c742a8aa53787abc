//! The way to the portal's Action Center.
//!
//! **Not here:** which items there are and what state they have (`store`, `policy`), the order of posts and retries (`delivery`).

pub mod post;
pub use post::{Error as PosterError, PostFailed, Poster};
