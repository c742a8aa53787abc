//! What can be wrong with templates, said to the operator who edits them: file, line, column, found, expected.

use std::path::PathBuf;

use crate::outbox::Kind;

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
    /// A language lacks files.
    #[error(
        "{}: the language \"{language}\" lacks {}; a language has .html, .txt and .subject of each kind: copy the folder of another one and \
         translate it", path.display(), missing.join(", ")
    )]
    Incomplete {
        /// The operator's folder of that language.
        path: PathBuf,
        /// The language.
        language: String,
        /// The names of the files.
        missing: Vec<String>,
    },
    /// A file replaces nothing and nobody includes it: most likely its name is misspelt.
    #[error("{}: replaces no built-in template, and no template includes it{hint}", path.display())]
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
