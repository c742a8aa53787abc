//! Drops what no database and no mail can carry: U+0000 and lone surrogates (domain.md, "Records that come in").
//!
//! The *text* is cleaned before it is parsed: serde_json refuses a lone surrogate, and one bad character is no reason to lose a lead.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Returns JSON text without NUL bytes, without `\u0000`, and without surrogate escapes that have no partner.
///
/// `\\u0000` stays: that is a backslash and five letters. Behind an escape that is not JSON the text is left alone, since it will be refused anyway.
///
/// ```
/// use posthorn::clean::clean_text;
/// assert_eq!(clean_text(r#""Con\u0000toso \ud83d, \ud83d\ude00, \\u0000""#), r#""Contoso , \ud83d\ude00, \\u0000""#);
/// ```
pub fn clean_text(text: &str) -> Cow<'_, str> {
    // NUL bytes go first: `\<NUL>u0000` must not become an escape once the scan is over.
    let text = without_nul(text);
    let mut kept = String::new();
    let mut copied_to = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        let drop = match unit_at(bytes, at) {
            Escape::Unit(high @ 0xD800..=0xDBFF) => match unit_at(bytes, at + 6) {
                Escape::Unit(0xDC00..=0xDFFF) => {
                    at += 12;
                    continue;
                }
                Escape::Unit(_) | Escape::Other | Escape::Broken => is_dropped(high),
            },
            Escape::Unit(unit) => is_dropped(unit),
            Escape::Other => {
                at += 2;
                continue;
            }
            Escape::Broken => break,
        };
        if drop {
            kept.push_str(&text[copied_to..at]);
            copied_to = at + 6;
        }
        at += 6;
    }
    if copied_to == 0 {
        return text;
    }
    kept.push_str(&text[copied_to..]);
    Cow::Owned(kept)
}

/// Returns a text without the byte order mark that some programs begin with (RFC 8259 §8.1 lets a reader ignore it).
pub fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns a text without U+0000.
pub fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// Drops U+0000 from the keys and texts of a value that did not come through [`clean_text`].
pub(crate) fn clean_value(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
        Value::String(text) => {
            if text.contains('\0') {
                text.retain(|character| character != '\0');
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(clean_value),
        Value::Object(map) => clean_map(map),
    }
}

/// Drops U+0000 from the keys and texts of an object; of two keys that become equal, the later one stays, as in any JSON text.
pub(crate) fn clean_map(map: &mut Map<String, Value>) {
    if map.keys().any(|key| key.contains('\0')) {
        *map = std::mem::take(map)
            .into_iter()
            .map(|(key, value)| (key.replace('\0', ""), value))
            .collect();
    }
    map.values_mut().for_each(clean_value);
}

/// What stands at a backslash.
enum Escape {
    /// `\uXXXX`: one UTF-16 unit.
    Unit(u16),
    /// A backslash and one character.
    Other,
    /// No backslash, or one that no JSON has.
    Broken,
}

fn unit_at(bytes: &[u8], at: usize) -> Escape {
    if bytes.get(at) != Some(&b'\\') {
        return Escape::Broken;
    }
    match bytes.get(at + 1) {
        Some(b'u') => hex_at(bytes, at + 2).map_or(Escape::Broken, Escape::Unit),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::Other,
        Some(_) | None => Escape::Broken,
    }
}

fn hex_at(bytes: &[u8], at: usize) -> Option<u16> {
    let mut unit = 0;
    for byte in bytes.get(at..at + 4)? {
        unit = unit << 4 | u16::try_from(char::from(*byte).to_digit(16)?).ok()?;
    }
    Some(unit)
}

const fn is_dropped(unit: u16) -> bool {
    matches!(unit, 0 | 0xD800..=0xDFFF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_and_a_lone_surrogate_are_dropped_and_nothing_else_is() {
        for (text, cleaned, why) in [
            (r#""plain""#, r#""plain""#, "nothing to drop"),
            (r#""a\u0000b""#, r#""ab""#, "an escaped NUL"),
            ("\"a\0b\"", r#""ab""#, "a raw NUL"),
            (r#""a\\u0000b""#, r#""a\\u0000b""#, "an escaped backslash before u0000"),
            (r#""a\\\u0000b""#, r#""a\\b""#, "an escaped backslash, then an escaped NUL"),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#, "a pair"),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#, "a pair in capitals"),
            (r#""\ud83d""#, r#""""#, "a lone high surrogate"),
            (r#""\ude00""#, r#""""#, "a lone low surrogate"),
            (r#""\ude00\ud83d""#, r#""""#, "a pair in the wrong order"),
            (r#""\ud83d\ud83d\ude00""#, r#""\ud83d\ude00""#, "a lone one before a pair"),
            (r#""\ud83d\u0000\ude00""#, r#""""#, "halves that a NUL keeps apart stay apart"),
            (r#""\ud83d\n""#, r#""\n""#, "a lone one before another escape"),
            (r#""\u00e9\u0001""#, r#""\u00e9\u0001""#, "other escapes"),
            (r#"{"k\u0000":"\ud800"}"#, r#"{"k":""}"#, "a key"),
            ("\"\\\0u0000\"", r#""""#, "a raw NUL inside an escape"),
            (r"\u00\u000000", r"\u00\u000000", "no JSON: left alone behind the broken escape"),
            (r"ends with \", r"ends with \", "a backslash at the end"),
            ("", "", "nothing"),
        ] {
            assert_eq!(clean_text(text), cleaned, "{why}");
        }
    }

    #[test]
    fn a_value_is_cleaned_in_keys_and_texts() {
        let mut value = json!({"a\0": ["x\0y", {"b": "\0"}], "c": 1});
        clean_value(&mut value);
        assert_eq!(value, json!({"a": ["xy", {"b": ""}], "c": 1}));
    }

    proptest! {
        #[test]
        fn cleaned_text_has_no_nul_and_stays_as_it_is(text in r#"([\\u0dD8cC"\x00ea]|\\u0000|\\ud83d|\\ude00|.){0,40}"#) {
            let once = clean_text(&text).into_owned();
            prop_assert!(!once.contains('\0'));
            prop_assert_eq!(clean_text(&once), once.as_str());
        }

        #[test]
        fn what_is_json_but_for_its_surrogates_parses_once_cleaned(body in r#"(\\u0000|\\ud83d|\\ude00|\\uDBFF|\\n|\\\\|[a-z]){0,20}"#) {
            let text = format!("\"{body}\"");
            let parsed: Result<String, _> = serde_json::from_str(&clean_text(&text));
            prop_assert!(parsed.is_ok_and(|text| !text.contains('\0')));
        }
    }
}
