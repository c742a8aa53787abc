//! What can be wrong with templates, said to the operator who edits them: file, line, column, found, expected.

use std::path::PathBuf;

use crate::outbox::Kind;
use crate::template::lex::Place;

/// Why templates cannot be used. All of these are the operator's to mend, in the named file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or a file in it cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is no template: not UTF-8, or far too big.
    #[error("{}: is {found}; a template is UTF-8 text of at most 1 MiB", path.display())]
    NotATemplate {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A file replaces nothing and no template uses it: most likely its name is misspelt.
    #[error("{}: replaces no built-in template, and no template uses it{hint}", path.display())]
    Unused {
        /// The file.
        path: PathBuf,
        /// A name that is near, if any.
        hint: String,
    },
    /// The engine refuses a template, when it is loaded or when it is rendered.
    #[error("{place}: {message}")]
    Template {
        /// `file:line:column`, as far as known.
        place: String,
        /// What was found there, and what is known there.
        message: String,
    },
    /// A subject is empty once it is on one line.
    #[error("{file}: the subject of a {kind} mail is empty; write one line of text")]
    EmptySubject {
        /// The file.
        file: String,
        /// Which mail.
        kind: Kind,
    },
}

impl Error {
    /// Says what is wrong at a place.
    pub(crate) fn at(place: &Place, message: String) -> Self {
        Self::Template {
            place: place.to_string(),
            message,
        }
    }
}
