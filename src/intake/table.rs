//! Reads a CSV of leads: its header names dotted paths of the referral resource, such as `customerProfile.team.0.email`.
//!
//! Rows are cut here and not by the csv crate, which would read on to the end of the file, in memory, after one missing quote.

use serde_json::{Map, Value};

use crate::clean::without_nul;
use crate::fault::Fault;
use crate::intake::file::{Error, Item, RECORD_BYTES_MAX, Reading};
use crate::intake::window::Window;

/// Elements of a list that columns may name; a larger index is a slip, and would make each record that long.
const INDEX_MAX: usize = 99;

/// What separates cells: a comma, or what spreadsheets write where the comma is the decimal sign.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// What its header tells of a CSV.
#[derive(Debug)]
pub(super) struct Table {
    delimiter: u8,
    /// The path of each column; empty for one without a name.
    columns: Vec<Vec<Step>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Table {
    /// Says whether a line is the header of a CSV of leads.
    pub(super) fn is_header(line: &[u8]) -> bool {
        delimiter_of(line).is_some()
    }

    /// Reads the header and consumes it.
    pub(super) fn open(window: &mut Window) -> Result<Self, Error> {
        let line_number = window.line();
        let wrong = |why: String| Error::header(line_number, why);
        let length = window
            .line_end(0, RECORD_BYTES_MAX)?
            .ok_or_else(|| wrong("is longer than 1 MiB".into()))?;
        let line = trim_newline(&window.bytes()[..length]).to_vec();
        let delimiter = delimiter_of(&line).ok_or_else(|| wrong("names no field of a lead".into()))?;
        let text = String::from_utf8(line).map_err(|_| wrong("is not UTF-8".into()))?;
        window.consume(length);
        let mut columns: Vec<Vec<Step>> = Vec::new();
        for name in split(&text, delimiter) {
            let steps = steps(&name).map_err(wrong)?;
            for other in &columns {
                check_apart(other, &steps).map_err(|why| wrong(format!("has column {:?}, {why}", name.trim())))?;
            }
            columns.push(steps);
        }
        Ok(Self { delimiter, columns })
    }

    pub(super) fn next(&mut self, window: &mut Window) -> Reading {
        loop {
            let line = window.line();
            let row = self.row_end(window)?;
            let (length, is_whole) = match row {
                Row::Whole(0) => return Ok(None),
                Row::Whole(length) => (length, true),
                Row::Unclosed(length) => (length, false),
                Row::TooLong => {
                    let item = Item::too_long(line, window.bytes());
                    window.skip_line()?;
                    return Ok(Some(item));
                }
            };
            let bytes = trim_newline(&window.bytes()[..length]);
            if bytes.trim_ascii().is_empty() {
                window.consume(length);
                continue;
            }
            let item = if is_whole { self.item(line, bytes) } else { unclosed(line, bytes) };
            let first_line = bytes.iter().position(|byte| *byte == b'\n');
            if item.content.is_err()
                && let Some(first_line) = first_line
            {
                // A quote is missing, and another one further down has closed it: the lines between are rows of their own.
                let item = unclosed(line, trim_newline(&bytes[..=first_line]));
                window.consume(first_line + 1);
                return Ok(Some(item));
            }
            window.consume(length);
            return Ok(Some(item));
        }
    }

    /// Finds where the row ends: with its line, or with the line on which its last quoted cell ends.
    fn row_end(&self, window: &mut Window) -> Result<Row, Error> {
        let mut length = 0;
        let mut first_line = 0;
        let mut is_open = false;
        loop {
            let Some(end) = window.line_end(length, RECORD_BYTES_MAX)? else {
                return Ok(if length == 0 { Row::TooLong } else { Row::Unclosed(first_line) });
            };
            if end == length {
                return Ok(if is_open { Row::Unclosed(first_line) } else { Row::Whole(length) });
            }
            is_open = ends_open(&window.bytes()[length..end], self.delimiter, is_open);
            length = end;
            if first_line == 0 {
                first_line = end;
            }
            if !is_open {
                return Ok(Row::Whole(length));
            }
        }
    }

    fn item(&self, line: u64, bytes: &[u8]) -> Item {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => without_nul(text),
            Err(_) => return Item::not_utf8(line, bytes),
        };
        let fault = |expected| Item {
            line,
            text: text.to_string(),
            content: Err(Fault::unreadable(&text, expected)),
        };
        let is_one_line = !text.contains('\n');
        if !is_one_line && has_stray_quote(&text, self.delimiter) {
            return unclosed(line, bytes);
        }
        let cells = split(&text, self.delimiter);
        let n_columns = self.columns.len();
        // Spreadsheets leave out the delimiters of empty cells at the end of a row; in a row of several lines it is a missing quote.
        if cells.len() < n_columns && !is_one_line {
            return fault(format!(
                "a row of {n_columns} cells, as many as the header has, but of {}",
                cells.len()
            ));
        }
        if cells.iter().skip(n_columns).any(|cell| !cell.trim().is_empty()) {
            return fault(format!(
                "a row of {n_columns} cells, as many as the header has, but of {}",
                cells.len()
            ));
        }
        let mut record = Value::Object(Map::new());
        for (steps, cell) in self.columns.iter().zip(cells) {
            if !steps.is_empty() && !cell.trim().is_empty() {
                *slot(&mut record, steps) = Value::String(cell);
            }
        }
        // What is kept of a row is what the header made of it: alone, the row could not be taken in again.
        Item {
            line,
            text: record.to_string(),
            content: Ok(record),
        }
    }
}

enum Row {
    /// The row's length, its newline included; 0 at the end of the input.
    Whole(usize),
    /// A quoted cell does not end; the length of the first line.
    Unclosed(usize),
    TooLong,
}

fn unclosed(line: u64, bytes: &[u8]) -> Item {
    let text = String::from_utf8_lossy(bytes).replace('\0', "");
    let fault = Fault::unreadable(&text, "a row with as many cells as the header: a quoted cell does not end");
    Item {
        line,
        text,
        content: Err(fault),
    }
}

/// Finds the delimiter with which a line is a header: one of its cells is a field that every lead has.
fn delimiter_of(line: &[u8]) -> Option<u8> {
    let text = String::from_utf8_lossy(trim_newline(line));
    let is_known = |name: &String| {
        let name = name.trim();
        matches!(
            name,
            "id" | "organizationId" | "createdDateTime" | "customerProfile.name" | "LeadSource"
        ) || name.starts_with("UserDetails.")
    };
    DELIMITERS
        .into_iter()
        .find(|delimiter| split(&text, *delimiter).iter().any(is_known))
}

/// Reads a column's name as a path; `team[0]` is `team.0`.
fn steps(name: &str) -> Result<Vec<Step>, String> {
    let name = name.trim().replace('[', ".").replace(']', "");
    let mut steps = Vec::new();
    if name.is_empty() {
        return Ok(steps);
    }
    for step in name.split('.') {
        steps.push(match step.parse::<usize>() {
            Ok(index) if index <= INDEX_MAX && !steps.is_empty() => Step::Index(index),
            Ok(_) => return Err(format!("has column {name:?}; a list is counted from 0 to {INDEX_MAX}")),
            Err(_) if step.is_empty() => return Err(format!("has column {name:?}; a path has a name between its dots")),
            Err(_) => Step::Key(step.to_owned()),
        });
    }
    Ok(steps)
}

/// Checks that two columns can stand in one record.
fn check_apart(a: &[Step], b: &[Step]) -> Result<(), &'static str> {
    if a.is_empty() || b.is_empty() {
        return Ok(());
    }
    let n_shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    match (a.get(n_shared), b.get(n_shared)) {
        (None, None) => Err("which is there twice"),
        (None, Some(_)) | (Some(_), None) => Err("and another one inside or around it"),
        (Some(Step::Key(_)), Some(Step::Index(_))) | (Some(Step::Index(_)), Some(Step::Key(_))) => {
            Err("and another one that makes a list of an object")
        }
        (Some(Step::Key(_)), Some(Step::Key(_))) | (Some(Step::Index(_)), Some(Step::Index(_))) => Ok(()),
    }
}

fn slot<'a>(record: &'a mut Value, steps: &[Step]) -> &'a mut Value {
    let mut at = record;
    for step in steps {
        at = match step {
            Step::Key(key) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut()
                    .expect("made an object above")
                    .entry(key.as_str())
                    .or_insert(Value::Null)
            }
            Step::Index(index) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let elements = at.as_array_mut().expect("made a list above");
                if elements.len() <= *index {
                    elements.resize(*index + 1, Value::Null);
                }
                &mut elements[*index]
            }
        };
    }
    at
}

fn trim_newline(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Where a CSV reader stands. A quote opens a cell only as its first character: `5" pipe` is five inches of it.
#[derive(Clone, Copy, PartialEq)]
enum At {
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted cell: its end, or the first of two.
    Quote,
}

impl At {
    const fn next(self, byte: u8, delimiter: u8) -> Self {
        match self {
            Self::Quoted if byte == b'"' => Self::Quote,
            Self::Quote if byte == b'"' => Self::Quoted,
            Self::Quoted => Self::Quoted,
            Self::CellStart if byte == b'"' => Self::Quoted,
            Self::CellStart | Self::Plain | Self::Quote if byte == delimiter || byte == b'\n' => Self::CellStart,
            Self::CellStart | Self::Plain | Self::Quote => Self::Plain,
        }
    }
}

/// Says whether a quoted cell is still open behind a line.
fn ends_open(line: &[u8], delimiter: u8, is_open: bool) -> bool {
    let start = if is_open { At::Quoted } else { At::CellStart };
    line.iter().fold(start, |at, byte| at.next(*byte, delimiter)) == At::Quoted
}

/// Says whether a quoted cell goes on behind its closing quote. In one line that is sloppy writing; over several it is the opening quote of
/// a later row, which has closed a cell that was never closed itself.
fn has_stray_quote(row: &str, delimiter: u8) -> bool {
    let mut at = At::CellStart;
    row.bytes().any(|byte| {
        let before = at;
        at = at.next(byte, delimiter);
        before == At::Quote && at == At::Plain && byte != b'\r'
    })
}

/// Cuts a row into its cells.
fn split(row: &str, delimiter: u8) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut at = At::CellStart;
    for character in row.chars() {
        let byte = u8::try_from(character).ok().filter(u8::is_ascii).unwrap_or(b'x');
        let next = at.next(byte, delimiter);
        let is_opening = at == At::CellStart && next == At::Quoted;
        if next == At::CellStart {
            cells.push(String::new());
        } else if next != At::Quote
            && !is_opening
            && let Some(cell) = cells.last_mut()
        {
            cell.push(character);
        }
        at = next;
    }
    cells
}
