//! Countries as two letters: portals write alpha-2, alpha-3 or `USA`, the lead store filters by one spelling.

use std::collections::HashMap;
use std::sync::LazyLock;

/// ISO 3166-1 codes, a country a line.
const COUNTRIES: &str = include_str!("countries.txt");

/// Either code to alpha-2.
static ALPHA_2: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let mut codes = HashMap::new();
    for line in COUNTRIES.lines() {
        if let Some((alpha_2, alpha_3)) = line.split_once(' ').filter(|(alpha_2, _)| alpha_2.len() == 2) {
            codes.insert(alpha_2, alpha_2);
            codes.insert(alpha_3, alpha_2);
        }
    }
    codes
});

/// Returns the alpha-2 code that an alpha-2 or alpha-3 code of any case means; `None` for any other text.
///
/// ```
/// use posthorn::lead::country::alpha_2;
/// assert_eq!(alpha_2("usa"), Some("US"));
/// assert_eq!(alpha_2("Germany"), None);
/// ```
pub fn alpha_2(text: &str) -> Option<&'static str> {
    let text = text.trim();
    // Most texts are codes; a name is refused before anything is copied.
    if !(2..=3).contains(&text.len()) {
        return None;
    }
    ALPHA_2.get(text.to_ascii_uppercase().as_str()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_read_from_either_code() {
        for (text, code) in [
            ("DE", Some("DE")),
            ("de", Some("DE")),
            (" deu ", Some("DE")),
            ("USA", Some("US")),
            ("GBR", Some("GB")),
            ("XKX", Some("XK")),
            ("UK", None),
            ("", None),
            ("Ö", None),
            ("Deutschland", None),
        ] {
            assert_eq!(alpha_2(text), code, "{text:?}");
        }
        assert_eq!(ALPHA_2.len(), 2 * 250, "249 countries and Kosovo, no code twice");
    }
}
