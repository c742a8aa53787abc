//! What is wrong with a record, in words that whoever sent it can act on: where, what was found, what would be right.
//!
//! A record reports all of its faults, not the first one. The value goes back to the sender and never into the log.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Characters of a wrong value that are shown: enough to find it, too few to copy a record into an answer.
const VALUE_CHARS_MAX: usize = 80;

/// One thing that is wrong with a record.
///
/// ```
/// use posthorn::fault::Fault;
/// let fault = Fault::wrong("callToAction", &"Contact".into(), "one of GetItNow, FreeTrial, TestDrive, ContactMe");
/// assert_eq!(fault.to_string(), r#"callToAction: "Contact" is not one of GetItNow, FreeTrial, TestDrive, ContactMe"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Where it stands, as `customerProfile.team[0].email`; empty for the record as a whole.
    pub path: String,
    /// What was found, as JSON text cut at 80 characters; `None` where something is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What would be right; completes "is not …", or "missing; expected …" where there is no value.
    pub expected: String,
}

impl Fault {
    /// Says that `value` is not what is expected at `path`.
    pub fn wrong(path: impl fmt::Display, value: &Value, expected: impl Into<String>) -> Self {
        let shown = match value {
            Value::String(text) => quoted(text),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            Value::Null | Value::Bool(_) | Value::Number(_) => cut(&value.to_string(), VALUE_CHARS_MAX),
        };
        Self {
            path: path.to_string(),
            value: Some(shown),
            expected: expected.into(),
        }
    }

    /// Says that nothing stands at `path`, and what should.
    pub fn missing(path: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self {
            path: path.to_string(),
            value: None,
            expected: expected.into(),
        }
    }

    /// Says that a whole record cannot be read: `text` is how it begins.
    pub fn unreadable(text: &str, expected: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            value: Some(cut(text, VALUE_CHARS_MAX)),
            expected: expected.into(),
        }
    }

    /// Returns the path as a JSON Pointer (RFC 6901), such as `/customerProfile/team/0/email`.
    pub fn pointer(&self) -> String {
        let mut pointer = String::with_capacity(self.path.len() + 1);
        for step in self.path.split(['.', '[']).filter(|step| !step.is_empty()) {
            pointer.push('/');
            pointer.push_str(&step.trim_end_matches(']').replace('~', "~0").replace('/', "~1"));
        }
        pointer
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        match &self.value {
            Some(value) => write!(f, "{value} is not {}", self.expected),
            None => write!(f, "missing; expected {}", self.expected),
        }
    }
}

impl std::error::Error for Fault {}

/// Writes a text in quotation marks, the closing one even where it is cut.
fn quoted(text: &str) -> String {
    // Before it is written out: it may be a megabyte long.
    let start: String = text.chars().take(VALUE_CHARS_MAX).collect();
    let written = Value::from(start).to_string();
    match written.strip_suffix('"') {
        Some(open) if written.chars().count() > VALUE_CHARS_MAX => format!("{}\"", cut(open, VALUE_CHARS_MAX - 1)),
        _ => cut(&written, VALUE_CHARS_MAX),
    }
}

/// Cuts a text at so many characters, on one line: a fault is one line of a list.
fn cut(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    let mut rest = text.chars();
    for character in rest.by_ref().take(chars_max - 1) {
        shown.push(if character.is_control() { ' ' } else { character });
    }
    match (rest.next(), rest.next()) {
        (Some(last), None) if !last.is_control() => shown.push(last),
        (Some(_), _) => shown.push('…'),
        (None, _) => (),
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_says_where_what_was_found_and_what_would_be_right() {
        for (fault, shown, pointer) in [
            (
                Fault::wrong("customerProfile.team[0].email", &json!(5), "a text"),
                "customerProfile.team[0].email: 5 is not a text",
                "/customerProfile/team/0/email",
            ),
            (
                Fault::wrong("consent", &json!({"a": 1}), "true or false"),
                "consent: an object is not true or false",
                "/consent",
            ),
            (
                Fault::wrong("target", &json!([1]), "an object"),
                "target: a list is not an object",
                "/target",
            ),
            (Fault::missing("id", "a text"), "id: missing; expected a text", "/id"),
            (Fault::unreadable("{\"a\n", "JSON"), "{\"a  is not JSON", ""),
        ] {
            assert_eq!(fault.to_string(), shown);
            assert_eq!(fault.pointer(), pointer);
        }
    }

    #[test]
    fn a_long_value_is_cut_at_eighty_characters() {
        let long = "ä".repeat(1_000_000);
        let value = Fault::wrong("name", &json!(long), "short").value.unwrap_or_default();
        assert_eq!(value.chars().count(), 80);
        assert!(value.starts_with("\"ä") && value.ends_with("ä…\""), "{value}");
        for (chars, shown) in [(78, "x\""), (79, "x…\""), (80, "x…\"")] {
            let value = Fault::wrong("name", &json!("x".repeat(chars)), "short").value.unwrap_or_default();
            assert!(value.chars().count() == 80 && value.ends_with(shown), "{chars}: {value}");
        }
        assert_eq!(
            Fault::unreadable(&"x".repeat(80), "JSON").value.unwrap_or_default().chars().count(),
            80
        );
    }
}
