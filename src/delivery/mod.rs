//! Turns what is due into mails, and hands them over: claim → compose → send → record, in batches, on a bounded number of kept connections.
//!
//! In: notices and deliveries that are due (`app::claim`). Out: mails at a relay or in a Maildir, posts at the Action Center, and what became of each
//! (`app::record`). And the other way round: bounces, and what came of them (`app::bounce`).
//!
//! **Invariants:** nothing is sent that is not claimed in the database first; an outcome is recorded with the worker's own epoch; a worker that cannot
//! record, or whose lease has run out, stops handing over. Memory is bounded by the batch.
//! **Not here:** who is told (`app::resolve`), what an outcome means (`outbox`), the wire (`mail`).

pub mod bounce;
pub mod compose;
mod late;
pub mod lease;
pub mod outlet;
mod pace;
pub mod pages;
pub mod post;
pub mod preview;
mod relays;
mod senders;
pub mod signing;
pub mod specimen;
mod told;
mod way;
pub mod worker;

pub use way::relay_of;

/// Why the delivery room cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, or another worker is there.
    #[error(transparent)]
    App(#[from] crate::app::Error),
    /// The templates are wrong.
    #[error(transparent)]
    Template(#[from] crate::template::Error),
    /// A password or secret cannot be read.
    #[error(transparent)]
    Secret(#[from] crate::settings::secret::Error),
    /// What every mail begins with cannot be written.
    #[error("mail.{0}")]
    Letterhead(#[from] crate::mail::Error),
    /// The key that mails are signed with is wrong.
    #[error("dkim.key_file: {0}")]
    Dkim(#[from] signing::KeyFault),
    /// The Action Center is set up wrongly.
    #[error(transparent)]
    Post(#[from] crate::action_center::PosterError),
    /// The lease ran out while the worker stood still; others may have taken over.
    #[error(
        "the lease of worker {epoch} ran out: the process stood still, or the database was away, for longer than worker.lease; what it held is taken back"
    )]
    LeaseLost {
        /// The worker.
        epoch: i64,
    },
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::App(error.into())
    }
}
