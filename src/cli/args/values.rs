//! What an argument may be: read once, here, so that no command sees a text that is no id, amount or person.

use std::path::PathBuf;
use std::str::FromStr;

use crate::lead::kind::Kind;
use crate::lead::{LeadId, Stage};
use crate::partner::PartnerId;
use crate::time::LocalDay;

/// Where input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// An amount of money, as decimal text that is kept as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount(pub String);

/// An ISO 4217 code, upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency(pub String);

/// Somebody at the partner, as `NAME, PHONE, E-MAIL`; the name is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Telephone number.
    pub phone: Option<String>,
    /// E-mail address, as written.
    pub email: Option<String>,
}

/// Where a lead stands: a status or substatus of the referral resource, which means one stage or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing(pub Vec<Stage>);

impl FromStr for Standing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Stage::from_wire(text.trim()) {
            stages if stages.is_empty() => {
                Err("a status is New, Active, Closed, or Received, Accepted, Won, Lost, Declined, Expired".into())
            }
            stages => Ok(Self(stages)),
        }
    }
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("a file name is empty; - is standard input".into()),
            "-" => Ok(Self::Stdin),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (whole, cents) = text.split_once('.').unwrap_or((text, "0"));
        // Fifteen digits are what a JSON number carries through every reader unchanged.
        let is_right = [whole, cents]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            && text.len() <= 16;
        if is_right {
            Ok(Self(text.into()))
        } else {
            Err("an amount is written like 12500 or 12500.50".into())
        }
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_right = text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic());
        if is_right {
            Ok(Self(text.to_uppercase()))
        } else {
            Err("a currency is a code of three letters such as EUR".into())
        }
    }
}

impl FromStr for Person {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut name, mut phone, mut email) = (None, None, None);
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let slot = if part.contains('@') {
                &mut email
            } else if part.starts_with(|c: char| c == '+' || c == '(' || c.is_ascii_digit()) {
                &mut phone
            } else {
                &mut name
            };
            if slot.replace(part.to_owned()).is_some() {
                return Err("a person is written like \"Ada Lovelace, +44 20 7946 0000, ada@contoso.com\"".into());
            }
        }
        let name = name.ok_or("there is no name; write \"Ada Lovelace, +44 20 7946 0000, ada@contoso.com\"")?;
        Ok(Self { name, phone, email })
    }
}

fn id(text: &str) -> Result<&str, String> {
    match text.trim() {
        "" => Err("the id is empty".into()),
        id => Ok(id),
    }
}

/// Reads the id of a lead.
pub(crate) fn lead_id(text: &str) -> Result<LeadId, String> {
    id(text).map(LeadId::new)
}

/// Reads the id of a partner.
pub(crate) fn partner_id(text: &str) -> Result<PartnerId, String> {
    id(text).map(PartnerId::new)
}

/// Reads a kind of lead.
pub(crate) fn kind(text: &str) -> Result<Kind, String> {
    let found = Kind::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text.trim()));
    found.ok_or_else(|| "a kind is contact, informational, shared or test".into())
}

/// Reads an id of any other kind.
pub(crate) fn other_id(text: &str) -> Result<String, String> {
    id(text).map(str::to_owned)
}

/// Reads how many rows a list has at most.
pub(crate) fn rows_max(text: &str) -> Result<u32, String> {
    let n_rows = text.parse().ok().filter(|n_rows| (1..=10_000).contains(n_rows));
    n_rows.ok_or_else(|| "a list has 1 to 10000 rows".into())
}

/// Reads a civil date.
pub(crate) fn day(text: &str) -> Result<LocalDay, String> {
    LocalDay::parse(text).ok_or_else(|| "a date is written like 2026-12-31".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_a_name_and_perhaps_ways_to_reach_him() {
        let person = |name: &str, phone: Option<&str>, email: Option<&str>| {
            Ok(Person {
                name: name.into(),
                phone: phone.map(Into::into),
                email: email.map(Into::into),
            })
        };
        for (text, expected) in [
            ("Ada Lovelace", person("Ada Lovelace", None, None)),
            ("Ada, ada@contoso.com", person("Ada", None, Some("ada@contoso.com"))),
            (
                "+44 20, Ada , ada@contoso.com",
                person("Ada", Some("+44 20"), Some("ada@contoso.com")),
            ),
        ] {
            assert_eq!(Person::from_str(text), expected, "{text}");
        }
        for text in ["", "ada@contoso.com", "Lovelace, Ada", "a@b, c@d, Ada"] {
            assert!(Person::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_is_kept_as_written() {
        for (text, is_right) in [
            ("12500", true),
            ("12500.50", true),
            ("0", true),
            ("1,5", false),
            ("-1", false),
            ("1.", false),
            (".5", false),
            ("1e3", false),
            ("", false),
        ] {
            assert_eq!(Amount::from_str(text).is_ok(), is_right, "{text}");
        }
        for (text, expected) in [
            ("0", None),
            ("1", Some(1)),
            ("10000", Some(10_000)),
            ("10001", None),
            ("-1", None),
            ("many", None),
        ] {
            assert_eq!(rows_max(text).ok(), expected, "{text}");
        }
        assert_eq!(Currency::from_str("eur"), Ok(Currency("EUR".into())));
    }
}
