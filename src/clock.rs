//! The one place that reads the wall clock. Everything else is told `now`.

use crate::time::Timestamp;

/// Tells what time it is: the machine's, or the instant of `--now`.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clock.
    Real,
    /// The instant that `--now` gave; it does not move.
    Fixed(Timestamp),
}

impl Clock {
    /// Returns the current instant.
    pub fn now(self) -> Timestamp {
        match self {
            Self::Real => wall_now(),
            Self::Fixed(at) => at,
        }
    }
}

/// Returns the machine's time, whatever `--now` says: leases run on it (architecture, 7).
pub fn wall_now() -> Timestamp {
    chrono::Utc::now().into()
}

/// When a loop is next needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to do.
    Now,
    /// Something is due then.
    At(Timestamp),
    /// Not before something new comes.
    WhenWoken,
}

impl Next {
    /// Returns the earlier of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(at), Self::WhenWoken) | (Self::WhenWoken, Self::At(at)) => Self::At(at),
            (Self::WhenWoken, Self::WhenWoken) => Self::WhenWoken,
        }
    }
}
