//! Where a lead stands, and where it can go from there (`R-STAGES`, `R-SYNC`).

use std::fmt;

use crate::lead::values::{Status, Substatus};

/// The stages of a contact lead. An informational lead stays `Received` and has none that anybody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// `New/Received`: nobody has answered yet.
    Received,
    /// `Active/Accepted`.
    Accepted,
    /// `Closed/Won`.
    Won,
    /// `Closed/Lost`.
    Lost,
    /// `Closed/Declined`.
    Declined,
    /// `Closed/Expired`: nobody answered in time.
    Expired,
}

impl Stage {
    /// All stages, in the order of a lead's life.
    pub const ALL: [Self; 6] = [Self::Received, Self::Accepted, Self::Won, Self::Lost, Self::Declined, Self::Expired];

    /// Returns the word that the store keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Accepted => "accepted",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }

    /// Returns the stages that a word of the wire means, in any case: a status (`New`, `Active`, `Closed`) or a substatus (`Received` … `Expired`);
    /// none where it is no such word.
    pub fn from_wire(word: &str) -> Vec<Self> {
        let means = |stage: &Self| {
            let (status, substatus) = stage.wire();
            status.eq_ignore_ascii_case(word) || substatus.eq_ignore_ascii_case(word)
        };
        Self::ALL.into_iter().filter(means).collect()
    }

    /// Returns the stage for a word of the store.
    pub fn from_stored(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }

    /// Reads the record's pair: a missing status is New, a missing substatus Received or Accepted. `None` where the two do not belong together.
    pub fn from_pair(status: Option<Status>, substatus: Option<Substatus>) -> Option<Self> {
        match (status.unwrap_or(Status::New), substatus) {
            (Status::New, None | Some(Substatus::Received | Substatus::Pending)) => Some(Self::Received),
            (Status::Active, None | Some(Substatus::Accepted)) => Some(Self::Accepted),
            (Status::Closed, Some(Substatus::Won)) => Some(Self::Won),
            (Status::Closed, Some(Substatus::Lost)) => Some(Self::Lost),
            (Status::Closed, Some(Substatus::Declined)) => Some(Self::Declined),
            (Status::Closed, Some(Substatus::Expired)) => Some(Self::Expired),
            (Status::New | Status::Active | Status::Closed, _) => None,
        }
    }

    /// Returns `status` and `substatus` of the referral resource.
    pub fn wire(self) -> (&'static str, &'static str) {
        match self {
            Self::Received => ("New", "Received"),
            Self::Accepted => ("Active", "Accepted"),
            Self::Won => ("Closed", "Won"),
            Self::Lost => ("Closed", "Lost"),
            Self::Declined => ("Closed", "Declined"),
            Self::Expired => ("Closed", "Expired"),
        }
    }

    /// Tells whether the stage is final.
    pub fn is_closed(self) -> bool {
        match self {
            Self::Received | Self::Accepted => false,
            Self::Won | Self::Lost | Self::Declined | Self::Expired => true,
        }
    }

    /// Tells whether somebody here may move a lead from `self` to `to` (`R-STAGES`).
    pub fn can_become(self, to: Self) -> bool {
        match self {
            Self::Received => matches!(to, Self::Accepted | Self::Declined | Self::Expired),
            Self::Accepted => matches!(to, Self::Won | Self::Lost),
            Self::Won | Self::Lost | Self::Declined | Self::Expired => false,
        }
    }

    /// Tells whether the portal's record may move a lead from `self` to `to`: what may be done here, and New to Won or Lost in one step (`R-SYNC`).
    pub fn can_sync_to(self, to: Self) -> bool {
        self.can_become(to) || (self == Self::Received && matches!(to, Self::Won | Self::Lost))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, substatus) = self.wire();
        write!(f, "{status}/{substatus}")
    }
}

#[cfg(test)]
mod tests {
    use super::Stage::{self, *};

    /// `R-STAGES`, `R-SYNC`
    #[test]
    fn a_lead_moves_forward_only_and_a_closed_one_not_at_all() {
        let ours = [
            (Received, Accepted),
            (Received, Declined),
            (Received, Expired),
            (Accepted, Won),
            (Accepted, Lost),
        ];
        let only_the_portals = [(Received, Won), (Received, Lost)];
        for from in Stage::ALL {
            for to in Stage::ALL {
                assert_eq!(from.can_become(to), ours.contains(&(from, to)), "{from} to {to} here");
                let synced = ours.contains(&(from, to)) || only_the_portals.contains(&(from, to));
                assert_eq!(from.can_sync_to(to), synced, "{from} to {to} by the portal");
            }
            assert_eq!(Stage::from_stored(from.as_str()), Some(from));
        }
    }
}
