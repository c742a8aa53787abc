//! What sort of lead a record is, and so whether anybody is told of it (`R-KIND`).

use crate::lead::record::Record;
use crate::lead::values::{CallToAction, Qualification, TargetKind};

/// The sorts of lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Somebody has to answer it.
    Contact,
    /// An offer lead that nobody has to answer.
    Informational,
    /// Outgoing or co-sell: kept, never told.
    Shared,
    /// The marketplace's probe: kept, flagged, never told.
    Test,
}

impl Kind {
    /// All sorts.
    pub const ALL: [Self; 4] = [Self::Contact, Self::Informational, Self::Shared, Self::Test];

    /// Returns the word that the store keeps and `posthorn.kind` shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Informational => "informational",
            Self::Shared => "shared",
            Self::Test => "test",
        }
    }

    /// Names one lead of this sort in a sentence.
    pub fn described(self) -> &'static str {
        match self {
            Self::Contact => "a contact lead",
            Self::Informational => "an informational lead",
            Self::Shared => "a shared lead",
            Self::Test => "a test lead",
        }
    }

    /// Returns the sort for a word of the store.
    pub fn from_stored(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Decides what sort of lead a record is, with the reason in plain words. The first rule that fits wins, in `R-KIND`'s order.
pub fn decide_kind(record: &Record) -> (Kind, &'static str) {
    if record.is_outgoing {
        return (Kind::Shared, "its direction is Outgoing");
    }
    if record.is_shared {
        return (Kind::Shared, "its type is Shared (co-sell)");
    }
    if record.is_test {
        return (Kind::Test, "its names and e-mail are MSFT_TEST_…");
    }
    if record.do_not_contact {
        return (Kind::Informational, "its source says DNC: do not contact");
    }
    match record.qualification {
        Qualification::MarketingQualified => return (Kind::Contact, "it is marketing-qualified"),
        Qualification::SalesQualified => return (Kind::Contact, "it is sales-qualified"),
        Qualification::Direct => {}
    }
    if record.targets.is_empty() {
        return (Kind::Contact, "it targets no offer");
    }
    if record
        .targets
        .iter()
        .any(|target| target.kind == TargetKind::BusinessProfileLocation)
    {
        return (Kind::Contact, "it came from a business profile");
    }
    match record.call_to_action {
        Some(CallToAction::GetItNow) => (Kind::Informational, "it is an offer lead whose call to action is GetItNow"),
        Some(CallToAction::FreeTrial) => (Kind::Informational, "it is an offer lead whose call to action is FreeTrial"),
        Some(CallToAction::TestDrive) => (Kind::Informational, "it is an offer lead whose call to action is TestDrive"),
        Some(CallToAction::ContactMe) => (Kind::Contact, "it is an offer lead whose call to action is ContactMe"),
        None => (Kind::Contact, "it is an offer lead without a call to action"),
    }
}
