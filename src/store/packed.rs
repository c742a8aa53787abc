//! Rows on their way out of SQLite, packed into one text: numbers as `17,`, texts as `5:lines`, null as `,` and `:` (netstrings, almost).
//!
//! Why not JSON: to write a lead's 28 columns and its record as JSON and read it again took 75,000 instructions, so it takes 30,000.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

/// Why a text does not hold such rows: the statement and the row's struct disagree.
#[derive(Debug)]
pub(super) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl serde::de::Error for Unreadable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Reads rows, whose structs name their fields in the order of the columns.
pub(super) fn unpack<T: DeserializeOwned>(packed: &str) -> Result<Vec<T>, Unreadable> {
    let mut reader = Reader { rest: packed };
    let mut rows = Vec::new();
    while !reader.rest.is_empty() {
        rows.push(T::deserialize(&mut reader)?);
    }
    Ok(rows)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Takes what stands before a mark, and the mark.
    fn take_to(&mut self, mark: char) -> Result<&'a str, Unreadable> {
        let (taken, rest) = self
            .rest
            .split_once(mark)
            .ok_or_else(|| Unreadable::custom("a column is missing"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_number(&mut self) -> Result<i64, Unreadable> {
        let digits = self.take_to(',')?;
        digits.parse().map_err(|_| Unreadable(format!("{digits:?} is no number")))
    }

    fn take_text(&mut self) -> Result<&'a str, Unreadable> {
        let n_bytes = self.take_to(':')?;
        let n_bytes: usize = n_bytes.parse().map_err(|_| Unreadable(format!("{n_bytes:?} is no length")))?;
        let (text, rest) = self
            .rest
            .split_at_checked(n_bytes)
            .ok_or_else(|| Unreadable::custom("a text is cut"))?;
        self.rest = rest;
        Ok(text)
    }
}

impl<'de> SeqAccess<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unreadable> {
        seed.deserialize(&mut **self).map(Some)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_seq(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.rest.strip_prefix([',', ':']) {
            Some(rest) => {
                self.rest = rest;
                visitor.visit_none()
            }
            None => visitor.visit_some(self),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_i64(self.take_number()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_bool(self.take_number()? != 0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_str(self.take_text()?)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unreadable> {
        Err(Unreadable::custom(
            "a packed column is a number, a boolean, a text or one of them that may be null",
        ))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        id: i64,
        name: Option<String>,
        is_open: bool,
        n: Option<i64>,
        text: String,
    }

    fn row(id: i64, name: Option<&str>, is_open: bool, n: Option<i64>, text: &str) -> Row {
        Row {
            id,
            name: name.map(str::to_owned),
            is_open,
            n,
            text: text.to_owned(),
        }
    }

    /// Whatever stands in a text, of whatever length.
    #[test]
    fn rows_come_out_as_they_were_packed() {
        assert_eq!(unpack::<Row>("").unwrap(), []);
        assert_eq!(
            unpack::<Row>("-7,:1,,0:8,4:ü:,0,17,5:1,2:\n").unwrap(),
            [row(-7, None, true, None, ""), row(8, Some("ü:,"), false, Some(17), "1,2:\n")]
        );
    }

    #[test]
    fn what_is_no_row_is_said_to_be_none() {
        for packed in ["1", "1,", "x,:1,,0:", "1,:1,,5:abc", "1,:1,,1:ü", "1,9999:a"] {
            assert!(unpack::<Row>(packed).is_err(), "{packed}");
        }
    }
}
