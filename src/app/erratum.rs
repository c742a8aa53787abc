//! What a use case answers when it cannot do what was asked.

use crate::store;

/// Why a use case did not do what was asked; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, full, locked or not ours.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Nothing has this id.
    #[error("{0}")]
    NotFound(String),
    /// The state is in the way.
    #[error("{0}")]
    Refused(String),
    /// What was asked makes no sense as it stands.
    #[error("{0}")]
    Input(String),
}
