//! What a notice is about; it decides which template it is written from and what its reader may do about it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of a notice and of its mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One contact lead, mailed singly (`R-CHANNEL`).
    Lead,
    /// A partner's deferred leads (`R-DIGEST`).
    Digest,
    /// A partner's leads that are about to expire (`R-REMIND`).
    Reminder,
    /// Leads that nobody answered, told to whoever sent them (`R-EXPIRY`).
    Expiry,
    /// A declined lead, told to its customer (`R-DECLINE`).
    Decline,
}

/// Why a text is not a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of lead, digest, reminder, expiry, decline")]
pub struct NotAKind(pub String);

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Lead, Self::Digest, Self::Reminder, Self::Expiry, Self::Decline];

    /// Returns the kind as it is written in the database, in headers, labels and paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Digest => "digest",
            Self::Reminder => "reminder",
            Self::Expiry => "expiry",
            Self::Decline => "decline",
        }
    }

    /// Whether its reader has no say in getting it, so that it carries no unsubscribe link (`R-OPTOUT`).
    pub const fn is_transactional(self) -> bool {
        match self {
            Self::Lead | Self::Digest | Self::Reminder => false,
            Self::Expiry | Self::Decline => true,
        }
    }
}

impl FromStr for Kind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Self, NotAKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| NotAKind(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-OPTOUT: who is told of an expiry or a decline cannot unsubscribe from it.
    #[test]
    fn a_kind_reads_as_it_is_written_and_only_news_can_be_unsubscribed() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).ok(), Some(kind.as_str().into()));
            assert_eq!(kind.is_transactional(), ["expiry", "decline"].contains(&kind.as_str()));
        }
        assert_eq!(
            "Lead".parse::<Kind>().map_err(|error| error.to_string()),
            Err("\"Lead\" is not one of lead, digest, reminder, expiry, decline".to_owned())
        );
    }
}
