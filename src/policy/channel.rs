//! How a lead reaches its partner: singly, or in the digest (`R-CHANNEL`).
//!
//! **Not here:** the day's count, which is taken under the partner's lock (`app::take_in`).

/// How a lead is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A mail of its own, at once.
    Single,
    /// It waits for the partner's digest.
    Digest,
    /// Its partner has no address that can be reached; it is counted on the day that changes.
    Held,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Single, Self::Digest, Self::Held];

    /// Returns the word that the store keeps and `posthorn.channel` shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Digest => "digest",
            Self::Held => "held",
        }
    }

    /// Returns the channel for a word of the store.
    pub fn from_stored(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == word)
    }
}

/// Decides how the `day_number`th lead of a partner's day is told.
///
/// ```
/// use posthorn::policy::channel::{decide_channel, Channel};
/// assert_eq!(decide_channel(10, 10, false, false), Channel::Single);
/// assert_eq!(decide_channel(11, 10, false, false), Channel::Digest);
/// ```
pub fn decide_channel(day_number: i64, threshold: u32, is_urgent: bool, urgent_singly: bool) -> Channel {
    if day_number <= i64::from(threshold) || (is_urgent && urgent_singly) {
        Channel::Single
    } else {
        Channel::Digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `R-CHANNEL`
    #[test]
    fn the_eleventh_lead_of_a_day_waits_for_the_digest() {
        for (number, threshold, urgent, urgent_singly, expected, why) in [
            (1, 10, false, false, Channel::Single, "first"),
            (10, 10, false, false, Channel::Single, "tenth, inclusive"),
            (11, 10, false, false, Channel::Digest, "eleventh"),
            (1, 0, false, false, Channel::Digest, "0 = digest only"),
            (11, 10, true, false, Channel::Digest, "urgent, but not set to go singly"),
            (11, 10, true, true, Channel::Single, "urgent goes singly whatever the count"),
            (1, 0, true, true, Channel::Single, "also where all else is digest"),
        ] {
            assert_eq!(decide_channel(number, threshold, urgent, urgent_singly), expected, "{why}");
        }
    }
}
