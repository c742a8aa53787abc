//! Rows on their way into a statement: taken from plain structs, and bound as each engine takes them fastest.
//!
//! PostgreSQL: one JSON array, unpacked by `json_to_recordset`. SQLite: a few rows as values that are bound one by one, more as one JSON
//! array, unpacked by `jsonb_each`; to unpack a row of ten columns took 22,000 instructions and to write it as JSON 3,000, to bind it takes 6,000.
//!
//! **Invariant:** both texts of a statement see the same columns with the same values, `ord` (the row's place, from 0) included.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::ser::{Error as _, Impossible, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::store::engine::Arg;

/// How many rows are bound one by one: a statement is prepared for so many, the smallest that fits; what is too many is left out by its condition.
const SIZES: [usize; 4] = [1, 8, 56, 128];

/// How a statement says that it unpacks rows, on SQLite.
const UNPACKS: &str = "jsonb_each($1)";

/// Rows of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    names: Vec<&'static str>,
    /// Row by row.
    cells: Vec<Arg>,
}

impl Rows {
    /// Takes rows from structs of numbers, booleans and texts.
    pub(crate) fn of<T: Serialize>(rows: &[T]) -> Self {
        let mut taken = Self {
            names: Vec::new(),
            cells: Vec::new(),
        };
        for row in rows {
            taken.names.clear();
            row.serialize(RowWriter(&mut taken)).expect("a row is a plain struct");
            if taken.cells.len() == taken.names.len() {
                taken.cells.reserve_exact(taken.cells.len() * (rows.len() - 1));
            }
        }
        taken
    }

    fn n_rows(&self) -> usize {
        self.cells.len().checked_div(self.names.len()).unwrap_or(0)
    }

    /// Returns the rows as a JSON array of objects.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::from("[");
        for row in self.cells.chunks(self.names.len().max(1)) {
            json.push_str(if json.len() > 1 { ",{" } else { "{" });
            for (n, (name, cell)) in self.names.iter().zip(row).enumerate() {
                json.push_str(if n > 0 { ",\"" } else { "\"" });
                json.push_str(name);
                json.push_str("\":");
                match cell {
                    Arg::Int(Some(value)) => json.push_str(&value.to_string()),
                    Arg::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
                    Arg::Text(Some(text)) => json.push_str(&serde_json::to_string(text.as_ref()).expect("a text is JSON")),
                    Arg::Int(None) | Arg::Text(None) | Arg::Rows(_) => json.push_str("null"),
                }
            }
            json.push('}');
        }
        json.push(']');
        json
    }
}

/// Returns the text and the values with which SQLite runs a statement that was written as `sqlite`.
pub(super) fn bound(sqlite: &'static str, mut args: Vec<Arg>) -> (&'static str, Vec<Arg>) {
    let Some(Arg::Rows(rows)) = args.first_mut() else {
        return (sqlite, args);
    };
    let n_rows = rows.n_rows();
    let Some(size) = SIZES.into_iter().find(|size| n_rows > 0 && n_rows <= *size) else {
        return (sqlite, args);
    };
    let (names, mut values) = (std::mem::take(&mut rows.names), std::mem::take(&mut rows.cells));
    let text = text_for(sqlite, &names, size, args.len() - 1);
    values.reserve_exact(size * names.len() - values.len() + args.len());
    values.resize(size * names.len(), Arg::Int(None));
    values.extend(args.into_iter().skip(1));
    values.push(Arg::from(n_rows as i64));
    (text, values)
}

/// Returns the text for so many rows; each is made once and kept.
fn text_for(sqlite: &'static str, names: &[&'static str], size: usize, n_others: usize) -> &'static str {
    static MADE: LazyLock<Mutex<HashMap<(&'static str, usize), &'static str>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry((sqlite, size))
        .or_insert_with(|| Box::leak(with_values(sqlite, names, size, n_others).into_boxed_str()))
}

/// Rewrites a statement that unpacks JSON rows with these names as one that takes `size` rows of values. The driver counts values without a number from
/// the first on, so the others come behind them, and then how many of the rows there are.
pub(super) fn with_values(sqlite: &str, names: &[&str], size: usize, n_others: usize) -> String {
    let row = ",?".repeat(names.len());
    let rows: Vec<String> = (0..size).map(|ord| format!("({ord}{row})")).collect();
    let n_cells = size * names.len();
    let mut text = sqlite.to_owned();
    for n in 0..n_others {
        text = text.replace(&format!("${}", n + 2), &format!("${}", n_cells + n + 1));
    }
    for (n, name) in names.iter().enumerate() {
        text = text.replace(&format!("value->>'{name}'"), &format!("column{}", n + 2));
    }
    let unpacked = format!("(values {}) where column1 < ${}", rows.join(","), n_cells + n_others + 1);
    text.replace("key as ord", "column1 as ord").replace(UNPACKS, &unpacked)
}

/// Returns every shape of text that SQLite may be given for a statement: for tests that prepare each, and look at its plan.
#[cfg(test)]
pub(super) fn sqlite_texts(sql: &crate::store::Sql) -> Vec<String> {
    let mut texts = vec![sql.sqlite.to_owned()];
    if sql.sqlite.contains(UNPACKS) {
        let names: std::collections::BTreeSet<&str> = sql
            .sqlite
            .split("value->>'")
            .skip(1)
            .filter_map(|rest| rest.split('\'').next())
            .collect();
        let n_others = (2..10).take_while(|n| sql.sqlite.contains(&format!("${n}"))).count();
        texts.extend(SIZES.map(|size| with_values(sql.sqlite, &Vec::from_iter(names.iter().copied()), size, n_others)));
    }
    texts
}

/// Writes a struct as a row.
struct RowWriter<'a>(&'a mut Rows);

/// Writes a field as a cell.
struct CellWriter;

/// A value that no row holds.
#[derive(Debug)]
struct NoCell(String);

impl fmt::Display for NoCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoCell {}

impl serde::ser::Error for NoCell {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl SerializeStruct for RowWriter<'_> {
    type Ok = ();
    type Error = NoCell;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), NoCell> {
        self.0.names.push(name);
        self.0.cells.push(value.serialize(CellWriter)?);
        Ok(())
    }

    fn end(self) -> Result<(), NoCell> {
        Ok(())
    }
}

/// Refuses what a row, or a cell, is not.
macro_rules! refuse {
    ($ok:ty; $($method:ident($($argument:ty),*) $(-> $answer:ty)?),+ $(,)?) => {
        $(fn $method(self, $(_: $argument),*) -> Result<refuse!(@ $ok $(, $answer)?), NoCell> {
            Err(NoCell::custom(stringify!($method)))
        })+
    };
    (@ $ok:ty, $answer:ty) => { $answer };
    (@ $ok:ty) => { $ok };
}

/// What neither a row nor a cell is.
macro_rules! refuse_both {
    ($ok:ty) => {
        type Ok = $ok;
        type Error = NoCell;
        type SerializeSeq = Impossible<$ok, NoCell>;
        type SerializeTuple = Impossible<$ok, NoCell>;
        type SerializeTupleStruct = Impossible<$ok, NoCell>;
        type SerializeTupleVariant = Impossible<$ok, NoCell>;
        type SerializeMap = Impossible<$ok, NoCell>;
        type SerializeStructVariant = Impossible<$ok, NoCell>;
        refuse!($ok; serialize_f32(f32), serialize_f64(f64), serialize_char(char), serialize_bytes(&[u8]), serialize_unit(),
            serialize_unit_struct(&'static str), serialize_unit_variant(&'static str, u32, &'static str),
            serialize_seq(Option<usize>) -> Self::SerializeSeq, serialize_tuple(usize) -> Self::SerializeTuple,
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct,
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant,
            serialize_map(Option<usize>) -> Self::SerializeMap,
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant);

        fn serialize_newtype_variant<T: ?Sized + Serialize>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Result<$ok, NoCell> {
            Err(NoCell::custom("serialize_newtype_variant"))
        }
    };
}

impl<'a> Serializer for RowWriter<'a> {
    type SerializeStruct = RowWriter<'a>;
    refuse_both!(());
    refuse!((); serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64), serialize_u8(u8), serialize_u16(u16),
        serialize_u32(u32), serialize_u64(u64), serialize_str(&str), serialize_none());

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<(), NoCell> {
        Err(NoCell::custom("serialize_some"))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), NoCell> {
        value.serialize(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NoCell> {
        Ok(self)
    }
}

impl Serializer for CellWriter {
    type SerializeStruct = Impossible<Arg, NoCell>;
    refuse_both!(Arg);
    refuse!(Arg; serialize_struct(&'static str, usize) -> Self::SerializeStruct);

    fn serialize_bool(self, value: bool) -> Result<Arg, NoCell> {
        Ok(Arg::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Arg, NoCell> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i16(self, value: i16) -> Result<Arg, NoCell> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i32(self, value: i32) -> Result<Arg, NoCell> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i64(self, value: i64) -> Result<Arg, NoCell> {
        Ok(Arg::Int(Some(value)))
    }

    fn serialize_u8(self, value: u8) -> Result<Arg, NoCell> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_u16(self, value: u16) -> Result<Arg, NoCell> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_u32(self, value: u32) -> Result<Arg, NoCell> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_u64(self, value: u64) -> Result<Arg, NoCell> {
        self.serialize_i64(i64::try_from(value).map_err(NoCell::custom)?)
    }

    fn serialize_str(self, text: &str) -> Result<Arg, NoCell> {
        Ok(Arg::Text(Some(Arc::from(text))))
    }

    fn serialize_none(self) -> Result<Arg, NoCell> {
        Ok(Arg::Int(None))
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Arg, NoCell> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<Arg, NoCell> {
        value.serialize(self)
    }
}
