//! Whether a phone number can be one (`R-VERIFY`), by the numbering plans that Google's libphonenumber knows.

use crate::lead::values::PhoneValidity;

/// Characters of a number with everything that is written around one; libphonenumber's own limit is as high.
const PHONE_CHARS_MAX: usize = 250;

/// Brings the numbering plans into memory, 8 MiB of it. That takes 70 ms, and so is nothing to do while others wait.
pub fn make_ready() {
    std::hint::black_box(phonenumber::metadata::DATABASE.by_code(&49));
}

/// Says whether a number is one of its country: that of its own `+49`, else the customer's (alpha-2). Without either it cannot be told.
///
/// ```
/// use posthorn::lead::phone::validity;
/// use posthorn::lead::values::PhoneValidity::{Invalid, Unknown, Valid};
/// assert_eq!(validity("+44 20 7946 0000", None), Valid);
/// assert_eq!(validity("030 901820", Some("DE")), Valid);
/// assert_eq!(validity("030 901820", None), Unknown);
/// assert_eq!(validity("12", Some("DE")), Invalid);
/// ```
pub fn validity(phone: &str, country: Option<&str>) -> PhoneValidity {
    let phone = phone.trim();
    if phone.chars().count() > PHONE_CHARS_MAX {
        return PhoneValidity::Invalid;
    }
    // Whoever types in Japan or China may write a full-width plus sign.
    let is_international = phone.starts_with(['+', '\u{ff0b}']);
    let country: Option<phonenumber::country::Id> = country.and_then(|code| code.parse().ok());
    if country.is_none() && !is_international {
        return PhoneValidity::Unknown;
    }
    // It parses whatever has digits: only the second question is one about the number.
    match phonenumber::parse(country, phone) {
        Ok(number) if number.is_valid() => PhoneValidity::Valid,
        _ => PhoneValidity::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `R-VERIFY`
    #[test]
    fn a_number_is_judged_by_the_plan_of_its_country() {
        use PhoneValidity::{Invalid, Unknown, Valid};
        for (phone, country, expected, why) in [
            ("+49 30 901820", None, Valid, "a + needs no country"),
            ("+49 30 901820", Some("US"), Valid, "a + stands above the customer's country"),
            ("+49 (0)30 / 901820", Some("DE"), Valid, "as people write it"),
            ("\u{ff0b}49 30 901820", None, Valid, "a full-width plus"),
            ("030 901820", Some("DE"), Valid, "national"),
            ("0049 30 901820", Some("DE"), Valid, "with the country's own prefix for abroad"),
            ("(425) 555-0100", Some("US"), Valid, "national, in the United States"),
            ("425-882-8080 ext. 12", Some("US"), Valid, "an extension"),
            ("020 7946 0000", Some("GB"), Valid, "national, in Britain"),
            ("020 7946 0000", Some("US"), Invalid, "a British number in the United States"),
            ("020 7946 0000", None, Unknown, "nobody knows whose plan"),
            ("020 7946 0000", Some("AQ"), Unknown, "a country without a plan of its own"),
            ("020 7946 0000", Some("Utopia"), Unknown, "no country"),
            ("+1 555 0100", None, Invalid, "too short"),
            ("+999 123456789", None, Invalid, "no country has it"),
            ("+", None, Invalid, "nothing behind the +"),
            ("12", Some("DE"), Invalid, "too short"),
            ("n/a", Some("DE"), Invalid, "no digits"),
            ("00000000000", Some("DE"), Invalid, "noughts"),
            ("123456789012345678901234567890", Some("DE"), Invalid, "too long"),
            (&"1".repeat(300), Some("DE"), Invalid, "much too long"),
        ] {
            assert_eq!(validity(phone, country), expected, "{phone} in {country:?}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), number in "[+0-9 ()./xext;,-]{0,40}", index in 0_usize..3) {
            let country = [None, Some("DE"), Some("US")][index];
            validity(&text, country);
            validity(&number, country);
        }
    }
}
