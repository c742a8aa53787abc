//! How a table names its keys: once, in `visit`, for whoever comes by to read them, show them or count them.
//!
//! The alternative, serde's derive, names a key once too, but answers with its first fault only, in Rust's words (`invalid type: string
//! "ten", expected u32`), and knows no line once the environment is merged in.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::settings::secret::mask_web_address;
use crate::settings::tables::Settings;

/// A type that a key may have.
pub(crate) trait Setting: Sized {
    /// Reads a value of the file; the error says what was found and what is allowed.
    fn read(value: &toml::Value) -> Result<Self, String>;

    /// Returns the value as the file would write it, a password masked; `None` where it is unset.
    fn show(&self) -> Option<toml::Value>;

    /// Reads a value that has a least and a greatest one.
    fn read_within(value: &toml::Value, range: &RangeInclusive<Self>) -> Result<Self, String>
    where
        Self: PartialOrd,
    {
        let read = Self::read(value)?;
        if range.contains(&read) {
            return Ok(read);
        }
        Err(format!(
            "{} is out of bounds; allowed is {} to {}",
            shown(&read),
            shown(range.start()),
            shown(range.end())
        ))
    }
}

/// A table of the configuration.
pub(crate) trait Table {
    /// Brings each key, in the order of `config/posthorn.toml`, before `v`, which may change its field.
    fn visit<V: Visitor>(&mut self, v: &mut V);
}

/// Somebody who wants to see every key.
pub(crate) trait Visitor {
    /// A key whose values `read` understands.
    fn read_by<T: Setting>(&mut self, key: &'static str, field: &mut T, read: impl Fn(&toml::Value) -> Result<T, String>);

    /// A table below this one.
    fn table<T: Table>(&mut self, key: &'static str, field: &mut T);

    /// A list of tables.
    fn list<T: Table + Default>(&mut self, key: &'static str, field: &mut Vec<T>);

    /// Tables with names that the operator gives, at most `n_max`.
    fn tables<T: Table + Default>(
        &mut self,
        key: &'static str,
        field: &mut BTreeMap<String, T>,
        n_max: usize,
        is_name: fn(&str) -> Result<(), String>,
    );

    /// A key that takes every value of its type.
    fn key<T: Setting>(&mut self, key: &'static str, field: &mut T) {
        self.read_by(key, field, T::read);
    }

    /// A key whose value must pass `check` besides being of its type.
    fn checked<T: Setting>(&mut self, key: &'static str, field: &mut T, check: impl Fn(&T) -> Result<(), String>) {
        self.read_by(key, field, |value| {
            let read = T::read(value)?;
            check(&read).map(|()| read)
        });
    }

    /// A key with a least and a greatest value.
    fn bounded<T: Setting + PartialOrd>(&mut self, key: &'static str, field: &mut T, range: RangeInclusive<T>) {
        self.read_by(key, field, |value| T::read_within(value, &range));
    }
}

fn shown<T: Setting>(value: &T) -> String {
    value.show().map_or_else(String::new, |value| value.to_string())
}

/// One key as it is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The whole key, such as `mail.from`.
    pub key: String,
    /// Its value, a password masked; `None` where it is unset.
    pub value: Option<toml::Value>,
}

/// Returns all keys in the order of `config/posthorn.toml`.
pub(crate) fn rows(settings: &Settings) -> Vec<Row> {
    let mut show = Show {
        prefix: String::new(),
        rows: Vec::new(),
    };
    settings.clone().visit(&mut show);
    show.rows
}

struct Show {
    prefix: String,
    rows: Vec<Row>,
}

impl Visitor for Show {
    fn read_by<T: Setting>(&mut self, key: &'static str, field: &mut T, _: impl Fn(&toml::Value) -> Result<T, String>) {
        self.rows.push(Row {
            key: format!("{}{key}", self.prefix),
            value: field.show().map(|value| match value {
                toml::Value::String(text) => toml::Value::String(mask_web_address(&text)),
                other => other,
            }),
        });
    }

    fn table<T: Table>(&mut self, key: &'static str, field: &mut T) {
        let inner = format!("{}{key}.", self.prefix);
        let outer = std::mem::replace(&mut self.prefix, inner);
        field.visit(self);
        self.prefix = outer;
    }

    /// Shows what is set, and a table of which nothing is by its bare name: what is unset has no default of its own.
    fn tables<T: Table + Default>(
        &mut self,
        key: &'static str,
        field: &mut BTreeMap<String, T>,
        _: usize,
        _: fn(&str) -> Result<(), String>,
    ) {
        for (name, table) in field {
            let mut show = Self {
                prefix: format!("{}{key}.{name}.", self.prefix),
                rows: Vec::new(),
            };
            table.visit(&mut show);
            let n_rows = self.rows.len();
            self.rows.extend(show.rows.into_iter().filter(|row| row.value.is_some()));
            if self.rows.len() == n_rows {
                self.rows.push(Row {
                    key: format!("{}{key}.{name}", self.prefix),
                    value: Some(toml::Value::Table(toml::Table::new())),
                });
            }
        }
    }

    fn list<T: Table + Default>(&mut self, key: &'static str, field: &mut Vec<T>) {
        let entries = field.iter_mut().map(|entry| {
            let mut show = Self {
                prefix: String::new(),
                rows: Vec::new(),
            };
            entry.visit(&mut show);
            let table = show.rows.into_iter().filter_map(|row| Some((row.key, row.value?)));
            toml::Value::Table(table.collect())
        });
        let value = Some(toml::Value::Array(entries.collect()));
        self.rows.push(Row {
            key: format!("{}{key}", self.prefix),
            value,
        });
    }
}
