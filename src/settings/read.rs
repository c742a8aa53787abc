//! Reads a table of values into [`Settings`](crate::settings::Settings), and collects every fault on the way, with the place it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::settings::keys::{Setting, Table, Visitor};
use crate::settings::values::{found, nearest};

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nowhere: it is the default.
    Default,
    /// In a line of the file; line 0 is the file as a whole.
    Line(PathBuf, usize),
    /// By a variable of the environment.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line(file, 0) => write!(f, "{}", file.display()),
            Self::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// The key; empty where the text is no TOML.
    pub key: String,
    /// What was found, what is allowed, what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Default => (),
            place => write!(f, "{place}: ")?,
        }
        let is_named = matches!(&self.place, Place::Variable(name) if *name == variable(&self.key));
        if !self.key.is_empty() && !is_named {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Returns the variable that overrides `key`.
pub(crate) fn variable(key: &str) -> String {
    format!("POSTHORN__{}", key.replace('.', "__").to_uppercase())
}

/// Which file was read, and what stands where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The line of each key of the file, such as `smtp.relays[0].host`.
    pub(crate) lines: BTreeMap<String, usize>,
    /// The variable of each key that the environment sets.
    pub(crate) variables: BTreeMap<String, String>,
}

impl Origins {
    /// Returns where `key` was set.
    pub(crate) fn place(&self, key: &str) -> Place {
        self.nearest_place(key, false)
    }

    /// Returns where a fault of `key` is best looked for: where it was set, else its table, else the file.
    fn place_of_fault(&self, key: &str) -> Place {
        self.nearest_place(key, true)
    }

    fn nearest_place(&self, key: &str, or_above: bool) -> Place {
        let file = || self.file.clone().unwrap_or_default();
        let mut at = key;
        loop {
            if let Some(name) = self.variables.get(at) {
                return Place::Variable(name.clone());
            }
            // A key may be set through the list or table that holds it; where it is not, its table is where to look.
            if let Some(line) = self.lines.get(at).filter(|_| at == key || or_above) {
                return Place::Line(file(), *line);
            }
            match at.rfind(['.', '[']) {
                Some(end) => at = &at[..end],
                None => break,
            }
        }
        // A variable for something inside a key makes it a table, whatever it should have been.
        let inside = self
            .variables
            .iter()
            .find(|(inner, _)| inner.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
        match (inside, &self.file) {
            (Some((_, name)), _) => Place::Variable(name.clone()),
            (_, Some(file)) if or_above => Place::Line(file.clone(), 0),
            _ => Place::Default,
        }
    }

    pub(crate) fn fault(&self, key: impl Into<String>, message: impl Into<String>) -> Fault {
        let key = key.into();
        Fault {
            place: self.place_of_fault(&key),
            message: message.into(),
            key,
        }
    }
}

/// Reads `values` into `root`; keys that no table names are faults. `texts` are those of the variables, by key: a text may look like TOML
/// and still be meant as text, as in `POSTHORN__PORTAL__NAME=2026`.
pub(crate) fn read<T: Table>(root: &mut T, values: &toml::Table, texts: &BTreeMap<String, String>, origins: &Origins) -> Vec<Fault> {
    let mut faults = Vec::new();
    Read {
        values,
        texts,
        prefix: String::new(),
        seen: Vec::new(),
        origins,
        faults: &mut faults,
    }
    .all_of(root);
    faults
}

struct Read<'a> {
    values: &'a toml::Table,
    texts: &'a BTreeMap<String, String>,
    prefix: String,
    seen: Vec<&'static str>,
    origins: &'a Origins,
    faults: &'a mut Vec<Fault>,
}

impl Read<'_> {
    fn all_of<T: Table>(mut self, table: &mut T) {
        table.visit(&mut self);
        for key in self.values.keys().filter(|key| !self.seen.contains(&key.as_str())) {
            let path = format!("{}{key}", self.prefix);
            let what = if self.prefix.is_empty() { "top-level key" } else { "key" };
            let message = match nearest(key, self.seen.iter().copied()) {
                Some(near) => format!("unknown {what}; did you mean {near:?}?"),
                None => format!("unknown {what}; there {}", list(&self.seen)),
            };
            self.faults.push(self.origins.fault(path, message));
        }
    }

    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(self.origins.fault(path, message));
    }

    fn table_at<T: Table>(&mut self, path: String, values: &toml::Table, field: &mut T) {
        Read {
            values,
            texts: self.texts,
            prefix: format!("{path}."),
            seen: Vec::new(),
            origins: self.origins,
            faults: &mut *self.faults,
        }
        .all_of(field);
    }
}

impl Visitor for Read<'_> {
    fn read_by<T: Setting>(&mut self, key: &'static str, field: &mut T, read: impl Fn(&Value) -> Result<T, String>) {
        self.seen.push(key);
        let Some(value) = self.values.get(key) else { return };
        let path = format!("{}{key}", self.prefix);
        let as_text = || self.texts.get(&path).map(|text| Value::String(text.clone()));
        match read(value).or_else(|wrong| as_text().and_then(|text| read(&text).ok()).ok_or(wrong)) {
            Ok(value) => *field = value,
            Err(message) => self.fault(&path, message),
        }
    }

    fn table<T: Table>(&mut self, key: &'static str, field: &mut T) {
        self.seen.push(key);
        let path = format!("{}{key}", self.prefix);
        match self.values.get(key) {
            None => (),
            Some(Value::Table(values)) => self.table_at(path, values, field),
            Some(other) => self.fault(&path, format!("{} is not a table; write [{path}] and its keys below", found(other))),
        }
    }

    fn tables<T: Table + Default>(
        &mut self,
        key: &'static str,
        field: &mut BTreeMap<String, T>,
        n_max: usize,
        is_name: fn(&str) -> Result<(), String>,
    ) {
        self.seen.push(key);
        let path_of_all = format!("{}{key}", self.prefix);
        let all = match self.values.get(key) {
            None => return,
            Some(Value::Table(all)) => all,
            Some(other) => {
                return self.fault(
                    &path_of_all,
                    format!("{} is not a table; write [{path_of_all}.NAME] and its keys below", found(other)),
                );
            }
        };
        if all.len() > n_max {
            self.fault(&path_of_all, format!("{} tables are too many; allowed are {n_max}", all.len()));
        }
        for (name, values) in all {
            let path = format!("{path_of_all}.{name}");
            let mut read = T::default();
            match (is_name(name), values) {
                (Err(message), _) => self.fault(&path, message),
                (Ok(()), Value::Table(values)) => self.table_at(path, values, &mut read),
                (Ok(()), other) => {
                    let message = format!("{} is not a table; write [{path}] and its keys below", found(other));
                    self.fault(&path, message);
                }
            }
            field.insert(name.clone(), read);
        }
    }

    fn list<T: Table + Default>(&mut self, key: &'static str, field: &mut Vec<T>) {
        self.seen.push(key);
        let path = format!("{}{key}", self.prefix);
        let entries = match self.values.get(key) {
            None => return,
            Some(Value::Array(entries)) => entries,
            Some(other) => {
                return self.fault(
                    &path,
                    format!("{} is not a list; write [[{path}]] and the keys of one entry below", found(other)),
                );
            }
        };
        field.clear();
        let path_of_list = path;
        for (i, entry) in entries.iter().enumerate() {
            let path = format!("{path_of_list}[{i}]");
            let mut read = T::default();
            match entry {
                Value::Table(values) => self.table_at(path, values, &mut read),
                other => self.fault(
                    &path,
                    format!(
                        "{} is not a table; write {{ … }} with its keys, or [[{}]]",
                        found(other),
                        path_of_list
                    ),
                ),
            }
            field.push(read);
        }
    }
}

fn list(keys: &[&str]) -> String {
    match keys {
        [only] => format!("is only {only}"),
        [init @ .., last] => format!("are {} and {last}", init.join(", ")),
        [] => "is none".into(),
    }
}

/// Returns the line, counted from 1, in which the byte at `offset` stands.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// Returns the place of a file as a whole.
pub(crate) fn whole(file: &Path) -> Place {
    Place::Line(file.into(), 0)
}
