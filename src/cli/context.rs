//! What every command is given besides its arguments.

use crate::cli::args::Global;
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::clock::Clock;
use crate::settings::{self, Loaded, Settings};
use crate::time::Timestamp;

/// The surroundings of one command.
pub struct Context {
    /// The settings in force, and where each came from.
    pub loaded: Loaded,
    /// What is wrong with the configuration, for a command that goes on all the same; the settings are then as far as they could be read.
    pub fault: Option<settings::Error>,
    /// The machine's clock, or the instant of `--now`.
    pub clock: Clock,
    /// Where the answer goes.
    pub out: Output,
}

impl Context {
    /// Loads the configuration.
    ///
    /// # Errors
    /// Exit 3 if it is wrong.
    pub fn load(global: &Global) -> Result<Self, Failure> {
        Ok(Self {
            loaded: settings::load(global.config.as_deref())?,
            ..Self::without_settings(global)
        })
    }

    /// Loads the configuration as far as it can be read: for a command that says what is wrong.
    pub fn load_partly(global: &Global) -> Self {
        let (loaded, fault) = settings::load_partly(global.config.as_deref());
        Self {
            loaded,
            fault,
            ..Self::without_settings(global)
        }
    }

    /// Takes the defaults: for commands that must work whatever the configuration says.
    pub fn without_settings(global: &Global) -> Self {
        let clock = global.now.map_or(Clock::Real, Clock::Fixed);
        Self {
            loaded: Loaded::default(),
            fault: None,
            clock,
            out: Output::to_stdout(global.json, global.quiet),
        }
    }

    /// Returns the settings in force.
    pub fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Returns the command's instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
