//! The closed lists of the referral resource: each field's values in their canonical spelling (domain.md, "Records that come in").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fields::OneOf;

/// Defines a closed list whose names on the wire are the names of its variants.
macro_rules! one_of {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl OneOf for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            /// Reads a name in any case; the error says which names there are.
            fn from_str(text: &str) -> Result<Self, String> {
                Self::find(text).ok_or_else(|| format!("{text:?} is not {}", Self::expected()))
            }
        }
    };
}

one_of! {
    /// `status`, before the pair with `substatus` is read as a [`Stage`](crate::lead::Stage).
    Status { /** Not answered. */ New, /** Accepted. */ Active, /** Won, lost, declined or expired. */ Closed, }
}

one_of! {
    /// `substatus`.
    Substatus {
        /** Older word for Received. */ Pending,
        /** Not answered. */ Received,
        /** The partner works on it. */ Accepted,
        /** The deal was made. */ Won,
        /** The deal was not made. */ Lost,
        /** The partner does not want it. */ Declined,
        /** Nobody answered in time. */ Expired,
    }
}

one_of! {
    /// How far the portal has qualified the lead.
    Qualification { /** A customer's inquiry. */ Direct, /** Qualified by marketing. */ MarketingQualified, /** Qualified by a seller. */ SalesQualified, }
}

one_of! {
    /// `type`: whose deal it is.
    ReferralType { /** The partner's own. */ Independent, /** Co-sell. */ Shared, }
}

one_of! {
    /// Whether the partner receives the referral or sends it.
    Direction { /** To the partner. */ Incoming, /** From the partner. */ Outgoing, }
}

one_of! {
    /// The shop that the customer stood in.
    ReferralSource { /** AppSource. */ AppSource, /** Azure Marketplace. */ AzureMarketplace, /** The Azure portal. */ AzurePortal, }
}

one_of! {
    /// What the customer clicked on an offer page.
    CallToAction { /** Get it now. */ GetItNow, /** Free trial. */ FreeTrial, /** Test drive. */ TestDrive, /** Contact me. */ ContactMe, }
}

one_of! {
    /// What is known of the customer's e-mail address.
    EmailValidity { /** Can be reached. */ Valid, /** Cannot be reached. */ Invalid, /** Of a known spam domain. */ Spam, /** Not known. */ Unknown, }
}

one_of! {
    /// What is known of the customer's phone number.
    PhoneValidity { /** A possible number. */ Valid, /** No such number. */ Invalid, /** Not known. */ Unknown, }
}

one_of! {
    /// How likely the lead is meant.
    Quality { /** Meant. */ High, /** Likely spam. */ Low, }
}

one_of! {
    /// The page on which the customer asked (`R-FILTER`: lead type).
    Origin { /** A business profile. */ Profile, /** An offer. */ Offer, }
}

one_of! {
    /// The lists that a portal shows (`R-TABS`).
    Tab { /** Direct, from profile or offer pages. */ Marketplace, /** Marketing- or sales-qualified. */ Qualified, /** Marked by a user of the partner. */ Favourites, }
}

/// What a lead targets: decides, with the call to action, of which kind it is (`R-KIND`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TargetKind {
    /// A location of the partner's business profile: a profile lead.
    BusinessProfileLocation,
    /// An offer: an offer lead.
    Offer,
}

/// `target[].type`, which has two words for an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetType {
    BusinessProfileLocation,
    SolutionProfile,
    Offer,
}

impl TargetType {
    pub(crate) const fn kind(self) -> TargetKind {
        match self {
            Self::BusinessProfileLocation => TargetKind::BusinessProfileLocation,
            Self::SolutionProfile | Self::Offer => TargetKind::Offer,
        }
    }
}

impl OneOf for TargetType {
    const ALL: &'static [Self] = &[Self::BusinessProfileLocation, Self::SolutionProfile, Self::Offer];

    fn as_str(self) -> &'static str {
        match self {
            Self::BusinessProfileLocation => "BusinessProfileLocation",
            Self::SolutionProfile => "SolutionProfile",
            Self::Offer => "offer",
        }
    }
}

impl Status {
    /// Names the substatuses that belong to this status.
    pub(crate) const fn substatuses(self) -> &'static str {
        match self {
            Self::New => "Received (or Pending), as status New demands",
            Self::Active => "Accepted, as status Active demands",
            Self::Closed => "one of Won, Lost, Declined, Expired, as status Closed demands",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_by_its_own_name_in_any_case() {
        fn check<T: OneOf + PartialEq + fmt::Debug>() {
            for value in T::ALL {
                assert_eq!(T::find(value.as_str()), Some(*value));
                assert_eq!(T::find(&value.as_str().to_uppercase()), Some(*value));
            }
        }
        check::<Status>();
        check::<Substatus>();
        check::<Qualification>();
        check::<ReferralType>();
        check::<Direction>();
        check::<ReferralSource>();
        check::<CallToAction>();
        check::<EmailValidity>();
        check::<PhoneValidity>();
        check::<Quality>();
        check::<Origin>();
        check::<Tab>();
        check::<TargetType>();
        assert_eq!("high".parse(), Ok(Quality::High));
        assert_eq!("mid".parse::<Quality>(), Err(r#""mid" is not one of High, Low"#.to_owned()));
    }

    /// `R-STAGES`: of the 4 × 8 pairs that can be written, twelve mean something.
    #[test]
    fn a_pair_that_does_not_belong_together_is_no_stage() {
        use crate::lead::Stage::{self, Accepted, Declined, Expired, Lost, Received, Won};
        let statuses = [None, Some(Status::New), Some(Status::Active), Some(Status::Closed)];
        let substatuses = std::iter::once(None).chain(Substatus::ALL.iter().copied().map(Some));
        let mut read = Vec::new();
        for substatus in substatuses {
            for status in statuses {
                if let Some(stage) = Stage::from_pair(status, substatus) {
                    assert_eq!(stage.wire().0, status.unwrap_or(Status::New).as_str());
                    read.push(stage);
                }
            }
        }
        assert_eq!(
            read,
            [
                Received, Received, Accepted, Received, Received, Received, Received, Accepted, Won, Lost, Declined, Expired
            ]
        );
    }
}
