//! How a command ends: the one table between what went wrong and the exit code that scripts read.

use std::fmt;

use crate::settings;

/// The exit codes; their numbers are a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Done in part: something was refused, and is listed.
    InPart = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration, a template or an input file as a whole is wrong.
    Input = 3,
    /// The database, relay or bus cannot be reached or used.
    Unavailable = 4,
    /// The state forbids it.
    Forbidden = 5,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code to end with.
    pub exit: Exit,
    /// What a person is told on standard error: found, expected, way out; a line for each thing that is wrong.
    pub message: String,
}

impl Failure {
    /// The command line is wrong in a way that only its meaning shows.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.to_string(),
        }
    }

    /// The configuration, a template or an input file as a whole is wrong.
    pub fn input(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Input,
            message: message.to_string(),
        }
    }

    /// Something outside cannot be reached or used.
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Unavailable,
            message: message.to_string(),
        }
    }

    /// The state forbids it.
    pub fn forbidden(message: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Forbidden,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<settings::Error> for Failure {
    fn from(error: settings::Error) -> Self {
        Self::input(error)
    }
}

impl From<settings::secret::Error> for Failure {
    fn from(error: settings::secret::Error) -> Self {
        Self::input(error)
    }
}
