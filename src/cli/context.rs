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

    /// Takes the defaults: for commands that must work whatever the configuration says.
    pub fn without_settings(global: &Global) -> Self {
        let clock = global.now.map_or(Clock::Real, Clock::Fixed);
        Self {
            loaded: Loaded::default(),
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
