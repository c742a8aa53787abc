//! What a use case answers when it cannot do what was asked.
//!
//! A text says what is so, in words that suit whoever asked, over the command line or over HTTP; a way out that only the command line has is kept apart.

use std::fmt;

use crate::store;

/// Why a use case did not do what was asked; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, full, locked or not ours.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Nothing has this id.
    #[error("{0}")]
    NotFound(NotFound),
    /// The state is in the way.
    #[error("{0}")]
    Refused(String),
    /// It has changed since whoever asked has seen it.
    #[error("{0}")]
    Stale(String),
    /// What was asked makes no sense as it stands; all that is wrong, never nothing.
    #[error("{}", lines(.0))]
    Input(Vec<Wrong>),
}

/// What is not there, and where the command line looks further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// What is not there.
    pub text: String,
    /// The command that helps; `None` where none does.
    pub way_out: Option<String>,
}

/// One thing that is wrong with what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where it stands, as a JSON Pointer (RFC 6901) into what was asked; empty for the whole.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl Error {
    /// Says that something is not there.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::NotFound(NotFound {
            text: text.into(),
            way_out: None,
        })
    }

    /// Says that something is not there, and which command helps.
    pub fn not_found_try(text: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self::NotFound(NotFound {
            text: text.into(),
            way_out: Some(way_out.into()),
        })
    }

    /// Says that one thing is wrong.
    pub fn wrong(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Input(vec![Wrong {
            pointer: pointer.into(),
            detail: detail.into(),
        }])
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.way_out {
            Some(way_out) => write!(f, "; {way_out}"),
            None => Ok(()),
        }
    }
}

fn lines(wrongs: &[Wrong]) -> String {
    let details: Vec<&str> = wrongs.iter().map(|wrong| wrong.detail.as_str()).collect();
    details.join("\n")
}
