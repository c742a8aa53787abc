//! Reads the known fields of a JSON object, brings them to their canonical spelling in place, and collects every fault on the way.
//!
//! In: an object, where it stands, and the list that faults go to. Out: values; `None` where a field is missing, null or at fault. A record is
//! good when no fault was collected, so that a reader can go on behind the first one and the sender hears of all of them at once.

use std::fmt;

use chrono::DateTime;
use serde_json::{Map, Number, Value};

use crate::fault::Fault;
use crate::time::Timestamp;

/// Characters of an `id`: the portal's are 36; the store's keys and the message ids must stay short.
pub(crate) const ID_CHARS_MAX: usize = 200;

/// What a time looks like.
const TIME_EXPECTED: &str = "a date and time such as 2026-03-02T00:00:00.000Z";

/// A closed list of values that a field may have.
pub trait OneOf: Copy + 'static {
    /// All of them, in the order in which they are named to people.
    const ALL: &'static [Self];

    /// Returns the canonical spelling.
    fn as_str(self) -> &'static str;

    /// Finds the value that `text` names in any case.
    fn find(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|value| value.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// Names the whole list: `one of High, Low`.
    fn expected() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
        format!("one of {}", names.join(", "))
    }
}

/// Where an object stands; a chain on the stack, so that a good record pays nothing for it.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// An instant in both of its precisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    /// In milliseconds, as it is stored and shown.
    pub(crate) at: Timestamp,
    /// In nanoseconds since the epoch, as versions are compared (`R-INTAKE`); `None` outside of 1677 to 2262.
    pub(crate) nanos: Option<i64>,
}

/// The object being read.
pub(crate) struct Fields<'a> {
    map: &'a mut Map<String, Value>,
    path: Path<'a>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(map: &'a mut Map<String, Value>, faults: &'a mut Vec<Fault>) -> Self {
        Self {
            map,
            path: Path::Root,
            faults,
        }
    }

    /// Returns what stands at `key`; null is missing.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Notes that what stands at `key` is wrong, or missing.
    pub(crate) fn fault(&mut self, key: &str, expected: impl Into<String>) {
        let path = Path::Key(&self.path, key);
        self.faults.push(match self.map.get(key) {
            None | Some(Value::Null) => Fault::missing(path, expected),
            Some(value) => Fault::wrong(path, value, expected),
        });
    }

    /// Notes a fault that stands elsewhere.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Returns how many faults were found so far.
    pub(crate) fn n_faults(&self) -> usize {
        self.faults.len()
    }

    /// Reads a text as written; one of spaces only counts as missing.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
            _ => {
                self.fault(key, "a text");
                None
            }
        }
    }

    /// Reads a text that must be there.
    pub(crate) fn required_text(&mut self, key: &str) -> Option<String> {
        let faults_before = self.faults.len();
        let text = self.text(key);
        if text.is_none() && self.faults.len() == faults_before {
            // One of spaces counts as missing, and `"" is not a text` would say what is not so.
            self.faults.push(Fault::missing(Path::Key(&self.path, key), "a text"));
        }
        text
    }

    /// Checks fields that are only passed on: each is a text or missing.
    pub(crate) fn check_texts(&mut self, keys: &[&str]) {
        for key in keys {
            if self.value(key).is_some_and(|value| !value.is_string()) {
                self.fault(key, "a text");
            }
        }
    }

    /// Reads an id: a text of 1 to 200 characters, trimmed, in place too. What is missing is no fault yet.
    pub(crate) fn id(&mut self, key: &str) -> Option<String> {
        let text = match self.value(key)? {
            Value::String(text) => text.trim().to_owned(),
            _ => {
                self.fault(key, "a text of 1 to 200 characters");
                return None;
            }
        };
        if text.is_empty() || text.chars().count() > ID_CHARS_MAX {
            self.fault(key, "a text of 1 to 200 characters");
            return None;
        }
        if text.contains(char::is_control) {
            self.fault(key, "a text without control characters");
            return None;
        }
        self.replace(key, Value::from(text.as_str()));
        Some(text)
    }

    /// Reads an id that must be there.
    pub(crate) fn required_id(&mut self, key: &str) -> Option<String> {
        if self.value(key).is_none() {
            self.fault(key, "a text of 1 to 200 characters");
        }
        self.id(key)
    }

    /// Reads true or false; the texts `true` and `false`, which is what a CSV cell holds, become booleans.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        let flag = match self.value(key)? {
            Value::Bool(flag) => return Some(*flag),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) if text.trim().eq_ignore_ascii_case("true") => true,
            Value::String(text) if text.trim().eq_ignore_ascii_case("false") => false,
            _ => {
                self.fault(key, "true or false");
                return None;
            }
        };
        self.replace(key, Value::Bool(flag));
        Some(flag)
    }

    /// Checks a number; a numeric text becomes one.
    pub(crate) fn check_number(&mut self, key: &str) {
        let number = match self.value(key) {
            None | Some(Value::Number(_)) => return,
            Some(Value::String(text)) if text.trim().is_empty() => return,
            Some(Value::String(text)) => number_from(text.trim()),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_) | Value::Null) => None,
        };
        match number {
            Some(number) => self.replace(key, Value::Number(number)),
            None => self.fault(key, "a number such as 12500.50"),
        }
    }

    /// Reads one of a closed list in any case and writes it in its canonical spelling; `None` and blank texts are missing, and become null.
    pub(crate) fn one_of<T: OneOf>(&mut self, key: &str) -> Option<T> {
        let text = match self.value(key)? {
            Value::String(text) => text.trim(),
            _ => {
                self.fault(key, T::expected());
                return None;
            }
        };
        if text.is_empty() || text.eq_ignore_ascii_case("none") || text.eq_ignore_ascii_case("null") {
            self.replace(key, Value::Null);
            return None;
        }
        let Some(found) = T::find(text) else {
            self.fault(key, T::expected());
            return None;
        };
        self.replace(key, Value::from(found.as_str()));
        Some(found)
    }

    /// Reads an RFC 3339 instant and writes it as `….123Z`; its full precision is in the answer.
    pub(crate) fn instant(&mut self, key: &str) -> Option<Instant> {
        let parsed = match self.value(key)? {
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => DateTime::parse_from_rfc3339(text.trim()).ok(),
            _ => None,
        };
        let Some(parsed) = parsed else {
            self.fault(key, TIME_EXPECTED);
            return None;
        };
        let at = Timestamp::from(parsed.to_utc());
        let shown = at.to_string();
        if shown.len() != "2026-03-02T00:00:00.000Z".len() {
            // The offset has carried it out of the years that four digits can write.
            self.fault(key, TIME_EXPECTED);
            return None;
        }
        self.replace(key, Value::from(shown));
        Some(Instant {
            at,
            nanos: parsed.timestamp_nanos_opt(),
        })
    }

    /// Reads an instant that must be there.
    pub(crate) fn required_instant(&mut self, key: &str) -> Option<Instant> {
        let faults_before = self.faults.len();
        let instant = self.instant(key);
        if instant.is_none() && self.faults.len() == faults_before {
            self.fault(key, TIME_EXPECTED);
        }
        instant
    }

    /// Opens a nested object.
    pub(crate) fn object(&mut self, key: &'a str) -> Option<Fields<'_>> {
        match self.value(key)? {
            Value::Object(_) => (),
            _ => {
                self.fault(key, "an object");
                return None;
            }
        }
        let Some(Value::Object(map)) = self.map.get_mut(key) else {
            return None;
        };
        Some(Fields {
            map,
            path: Path::Key(&self.path, key),
            faults: self.faults,
        })
    }

    /// Reads a list of objects with `read`; null elements are dropped, as a CSV leaves them where a column of the list is empty.
    pub(crate) fn objects<T>(&mut self, key: &str, mut read: impl FnMut(Fields<'_>) -> T) -> Vec<T> {
        let mut found = Vec::new();
        self.elements(key, "an object", |element, path, faults| {
            let Value::Object(map) = element else { return false };
            found.push(read(Fields { map, path, faults }));
            true
        });
        found
    }

    /// Walks over a list's elements; `read` says whether an element has the right type, `expected` which that is.
    pub(crate) fn elements(&mut self, key: &str, expected: &str, mut read: impl FnMut(&mut Value, Path<'_>, &mut Vec<Fault>) -> bool) {
        if self.value(key).is_some_and(|value| !value.is_array()) {
            self.fault(key, "a list");
        }
        let Some(Value::Array(elements)) = self.map.get_mut(key) else {
            return;
        };
        let list = Path::Key(&self.path, key);
        for (index, element) in elements.iter_mut().enumerate() {
            let path = Path::Index(&list, index);
            if !element.is_null() && !read(element, path, self.faults) {
                self.faults.push(Fault::wrong(path, element, expected));
            }
        }
        elements.retain(|element| !element.is_null());
    }

    /// Checks fields that are only passed on: each is a list or missing.
    pub(crate) fn check_lists(&mut self, keys: &[&str]) {
        for key in keys {
            self.elements(key, "anything", |_, _, _| true);
        }
    }

    /// Writes the canonical spelling over what stands at `key`.
    pub(crate) fn replace(&mut self, key: &str, value: Value) {
        if let Some(slot) = self.map.get_mut(key)
            && *slot != value
        {
            *slot = value;
        }
    }

    /// Gives a misspelled key its right name. Where both are there the right one counts, unless it is null.
    pub(crate) fn rename(&mut self, wrong: &str, right: &str) {
        if !self.map.contains_key(wrong) {
            return;
        }
        let is_taken = self.value(right).is_some();
        // Rebuilt rather than removed and inserted, so that the field keeps its place.
        let fields = std::mem::take(self.map);
        for (key, value) in fields {
            if key != wrong && (is_taken || key != right) {
                self.map.insert(key, value);
            } else if key == wrong && !is_taken {
                self.map.insert(right.to_owned(), value);
            }
        }
    }
}

/// Reads a JSON number from a text; an integer stays one.
fn number_from(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    // `f64` would take "inf" and "nan" too; `from_f64` refuses what is not finite.
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fruit {
        Fig,
    }

    impl OneOf for Fruit {
        const ALL: &'static [Self] = &[Self::Fig];
        fn as_str(self) -> &'static str {
            "Fig"
        }
    }

    /// Reads `value` as the field `f` of an object; returns the field afterwards, and the faults.
    #[track_caller]
    fn check(value: Value, read: impl FnOnce(&mut Fields<'_>), after: Value, faults: &[&str]) {
        let mut map = Map::new();
        map.insert("f".into(), value);
        let mut found = Vec::new();
        read(&mut Fields::new(&mut map, &mut found));
        assert_eq!(map["f"], after);
        assert_eq!(found.iter().map(Fault::to_string).collect::<Vec<_>>(), faults);
    }

    #[test]
    fn a_field_is_read_leniently_and_written_canonically() {
        let one = |f: &mut Fields<'_>| {
            f.one_of::<Fruit>("f");
        };
        let flag = |f: &mut Fields<'_>| {
            f.flag("f");
        };
        let number = |f: &mut Fields<'_>| f.check_number("f");
        let instant = |f: &mut Fields<'_>| {
            f.instant("f");
        };
        let id = |f: &mut Fields<'_>| {
            f.id("f");
        };
        check(json!(" fIG "), one, json!("Fig"), &[]);
        check(json!("None"), one, Value::Null, &[]);
        check(json!("plum"), one, json!("plum"), &[r#"f: "plum" is not one of Fig"#]);
        check(json!(1), one, json!(1), &["f: 1 is not one of Fig"]);
        check(json!("TRUE"), flag, json!(true), &[]);
        check(json!("yes"), flag, json!("yes"), &[r#"f: "yes" is not true or false"#]);
        check(json!(1), flag, json!(1), &["f: 1 is not true or false"]);
        check(json!("12500.50"), number, json!(12500.5), &[]);
        check(json!("12500"), number, json!(12500), &[]);
        check(
            json!("1e400"),
            number,
            json!("1e400"),
            &[r#"f: "1e400" is not a number such as 12500.50"#],
        );
        check(
            json!("nan"),
            number,
            json!("nan"),
            &[r#"f: "nan" is not a number such as 12500.50"#],
        );
        check(
            json!("2026-03-02T00:00:00.1239999+00:00"),
            instant,
            json!("2026-03-02T00:00:00.123Z"),
            &[],
        );
        check(
            json!("9999-12-31T23:59:59-01:00"),
            instant,
            json!("9999-12-31T23:59:59-01:00"),
            &[r#"f: "9999-12-31T23:59:59-01:00" is not a date and time such as 2026-03-02T00:00:00.000Z"#],
        );
        check(
            json!("0000-01-01T00:00:00+01:00"),
            instant,
            json!("0000-01-01T00:00:00+01:00"),
            &[r#"f: "0000-01-01T00:00:00+01:00" is not a date and time such as 2026-03-02T00:00:00.000Z"#],
        );
        check(json!(" L1 "), id, json!("L1"), &[]);
        check(json!(7), id, json!(7), &["f: 7 is not a text of 1 to 200 characters"]);
        check(
            json!("a\nb"),
            id,
            json!("a\nb"),
            &[r#"f: "a\nb" is not a text without control characters"#],
        );
        check(Value::Null, id, Value::Null, &[]);
    }

    #[test]
    fn a_misspelled_key_gets_its_right_name_and_keeps_its_place() {
        for (before, after) in [
            (r#"{"a":1,"wrogn":2,"b":3}"#, r#"{"a":1,"wrong":2,"b":3}"#),
            (r#"{"wrogn":2,"wrong":3}"#, r#"{"wrong":3}"#),
            (r#"{"wrong":null,"wrogn":2}"#, r#"{"wrong":2}"#),
            (r#"{"wrong":3}"#, r#"{"wrong":3}"#),
        ] {
            let mut map: Map<String, Value> = serde_json::from_str(before).unwrap();
            Fields::new(&mut map, &mut Vec::new()).rename("wrogn", "wrong");
            assert_eq!(Value::Object(map).to_string(), after);
        }
    }
}
