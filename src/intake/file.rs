//! Reads an input file, or standard input, as a stream of records in constant memory. What kind of file it is shows in its content, never in
//! its name: NDJSON, one JSON value, a stream of them, an array, a list envelope, and for leads CSV.
//!
//! **Invariant:** a record that cannot be read is an item with a fault and its line, and the records behind it still come, wherever it can be
//! told where they begin. Only what concerns the file as a whole is an [`Error`].

use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::clean::{clean_text, without_bom, without_nul};
use crate::fault::Fault;
use crate::intake::scan::{Values, envelope_head, envelope_head_of, first_value};
use crate::intake::table::Table;
use crate::intake::window::Window;

/// Bytes of the largest record: a hundred times an ordinary one, and small enough to be kept, shown and taken in again.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that are kept of a record which is too long: enough to recognise it by.
const HEAD_BYTES: usize = 1024;

/// Bytes in which a file shows what it is.
const RECOGNISED_BYTES: usize = 64 * 1024;

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Records of leads; may be a CSV.
    Leads,
    /// Partner records.
    Partners,
}

/// One record of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The line, counted from 1, on which it begins.
    pub line: u64,
    /// The record as it came, less NUL bytes and with U+FFFD for what is no UTF-8; of a CSV row the JSON that it means. A record of more than
    /// [`RECORD_BYTES_MAX`] is only begun.
    pub text: String,
    /// What it says, cleaned, or why it cannot be read.
    pub content: Result<Value, Fault>,
}

/// Why a file as a whole cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error("{name}: cannot be opened for reading")]
    Open {
        /// The file.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Reading it failed half-way.
    #[error("{name}: cannot be read on behind line {line}")]
    Read {
        /// The file.
        name: String,
        /// The line that was being read.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is none of the accepted kinds.
    #[error("{name}: found {found}; expected {expected}")]
    NotRecognised {
        /// The file.
        name: String,
        /// What it looks like.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// The first line of a CSV is no header.
    #[error("{name}:{line}: the CSV header {why}")]
    Header {
        /// The file.
        name: String,
        /// Its line.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A list ends without its bracket.
    #[error("{name}:{line}: the list ends without its closing bracket; the file was cut short, what stood before that was read")]
    CutShort {
        /// The file.
        name: String,
        /// The last line.
        line: u64,
    },
}

/// What a reader of one kind answers: a record, or the end.
pub(super) type Reading = Result<Option<Item>, Error>;

/// The records of an input, in their order.
pub struct Records {
    name: String,
    window: Window,
    kind: Kind,
}

enum Kind {
    Lines,
    Values(Values),
    Table(Table),
    /// Nothing more comes.
    Done,
}

/// Opens a file, or standard input for `-`, and recognises what it is.
///
/// # Errors
/// It cannot be opened or read, or is none of the kinds that `what` accepts.
pub fn open(path: &Path, what: Input) -> Result<Records, Error> {
    if path == Path::new("-") {
        return read("standard input", io::stdin(), what);
    }
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read(name, file, what),
        Err(source) => Err(Error::Open { name, source }),
    }
}

/// Reads the records of any source; `name` stands in what is told of it.
///
/// # Errors
/// As [`open`].
pub fn read(name: impl Into<String>, source: impl io::Read + Send + 'static, what: Input) -> Result<Records, Error> {
    let name = name.into();
    let mut window = Window::new(Box::new(source));
    match recognise(&mut window, what) {
        Ok(kind) => Ok(Records { name, window, kind }),
        Err(error) => Err(error.of(name, window.line())),
    }
}

impl Records {
    /// Returns the name that was given, or the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many bytes of the input are behind the last record; for a progress bar.
    pub fn consumed_bytes(&self) -> u64 {
        self.window.consumed_bytes()
    }
}

impl Iterator for Records {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let reading = match &mut self.kind {
            Kind::Lines => next_line(&mut self.window),
            Kind::Values(values) => values.next(&mut self.window),
            Kind::Table(table) => table.next(&mut self.window),
            Kind::Done => return None,
        };
        match reading {
            Ok(Some(item)) => Some(Ok(item)),
            Ok(None) => {
                self.kind = Kind::Done;
                None
            }
            Err(error) => {
                self.kind = Kind::Done;
                Some(Err(error.of(self.name.clone(), self.window.line())))
            }
        }
    }
}

fn next_line(window: &mut Window) -> Reading {
    loop {
        let line = window.line();
        let Some(length) = window.line_end(0, RECORD_BYTES_MAX)? else {
            let item = Item::too_long(line, window.bytes());
            window.skip_line()?;
            return Ok(Some(item));
        };
        if length == 0 {
            return Ok(None);
        }
        let bytes = window.bytes()[..length].trim_ascii();
        let item = (!bytes.is_empty()).then(|| Item::from_json(line, bytes));
        window.consume(length);
        if item.is_some() {
            return Ok(item);
        }
    }
}

impl Item {
    /// Reads one JSON value.
    pub(crate) fn from_json(line: u64, bytes: &[u8]) -> Self {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => without_nul(without_bom(text)).into_owned(),
            Err(_) => return Self::not_utf8(line, bytes),
        };
        let content =
            serde_json::from_str(&clean_text(&text)).map_err(|error| Fault::unreadable(&text, format!("JSON: {}", place_of(&error, line))));
        Self { line, text, content }
    }

    pub(super) fn not_utf8(line: u64, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).replace('\0', "");
        let fault = Fault::unreadable(&text, "UTF-8 text; save the file in that encoding");
        Self {
            line,
            text,
            content: Err(fault),
        }
    }

    /// Says that a record is too long; `bytes` is its beginning at least.
    pub(super) fn too_long(line: u64, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES)]).replace('\0', "");
        let fault = Fault::unreadable(&text, "a record of at most 1 MiB");
        Self {
            line,
            text,
            content: Err(fault),
        }
    }
}

/// Says what a JSON parser missed, and where: the record begins on `line`, which is told beside it.
fn place_of(error: &serde_json::Error, line: u64) -> String {
    let text = error.to_string();
    let why = text.split(" at line ").next().unwrap_or(&text);
    match error.line() {
        0 | 1 => format!("{why}, at column {}", error.column()),
        nth => format!("{why}, at line {} column {}", line + nth as u64 - 1, error.column()),
    }
}

impl Error {
    /// Says that a list has no end. The file's name is put in by [`Error::of`].
    pub(super) fn cut_short(line: u64) -> Self {
        Self::CutShort { name: String::new(), line }
    }

    pub(super) fn header(line: u64, why: String) -> Self {
        Self::Header {
            name: String::new(),
            line,
            why,
        }
    }

    /// Puts in which file it is, and for a failed read, where.
    fn of(mut self, file: String, at: u64) -> Self {
        if let Self::Read { line, .. } = &mut self {
            *line = at;
        }
        match &mut self {
            Self::Open { name, .. }
            | Self::Read { name, .. }
            | Self::NotRecognised { name, .. }
            | Self::Header { name, .. }
            | Self::CutShort { name, .. } => *name = file,
        }
        self
    }
}

/// The readers inside pass on what the system said; line and name are put in where they are known.
impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Read {
            name: String::new(),
            line: 0,
            source,
        }
    }
}

/// Looks at the beginning of the input and says what it is.
fn recognise(window: &mut Window, what: Input) -> Result<Kind, Error> {
    // A program that writes a lead now and then is not kept waiting for its hundredth.
    let first_line = window.line_end(0, RECOGNISED_BYTES)?.unwrap_or(0);
    if is_object_alone(&window.bytes()[..first_line]) {
        return Ok(Kind::Lines);
    }
    window.fill(RECOGNISED_BYTES)?;
    if let Some(found) = known_format(window.bytes()) {
        return Err(not_recognised(found.to_owned(), what));
    }
    if window.bytes().starts_with(b"\xEF\xBB\xBF") {
        window.consume(3);
    }
    let n_blank = loop {
        let n_blank = window.bytes().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if n_blank < window.bytes().len() || !window.grow()? {
            break n_blank;
        }
    };
    // Whole blank lines go; the blanks before the first value stay, as its indentation.
    let n_lines = window.bytes()[..n_blank]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    window.consume(n_lines);
    match window.bytes().trim_ascii_start().first() {
        None => Ok(Kind::Done),
        Some(b'[') => Ok(Kind::Values(Values::new())),
        Some(b'{') => Ok(if is_by_line(window)? {
            Kind::Lines
        } else {
            Kind::Values(Values::new())
        }),
        Some(_) => recognise_text(window, what),
    }
}

/// Says whether a line is a record and nothing else, as NDJSON has it.
fn is_object_alone(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.first() == Some(&b'{') && first_value(line) == Some(line.len()) && envelope_head_of(line).is_none()
}

/// Says whether an input that begins with an object is NDJSON: its first value ends on its own line, or that line is broken and objects on
/// lines of their own follow.
fn is_by_line(window: &mut Window) -> Result<bool, Error> {
    if envelope_head(window)?.is_some() {
        return Ok(false);
    }
    let bytes = window.bytes().trim_ascii_start();
    let line_length = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    match first_value(bytes) {
        Some(length) if length <= line_length => {
            let is_alone = bytes[length..line_length].trim_ascii().is_empty();
            Ok(is_alone || has_object_line(&bytes[line_length..]))
        }
        Some(length) if serde_json::from_slice::<serde::de::IgnoredAny>(&bytes[..length]).is_ok() => Ok(false),
        Some(_) | None => Ok(has_object_line(&bytes[line_length..]) || line_length == bytes.len()),
    }
}

/// Says whether a line holds an object and nothing else, from its first column on: in a text of several lines an object stands deeper.
fn has_object_line(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| line.first() == Some(&b'{'));
    lines.any(|line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok())
}

/// Recognises what does not begin as JSON.
fn recognise_text(window: &mut Window, what: Input) -> Result<Kind, Error> {
    let bytes = window.bytes();
    let line_length = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let first_line = &bytes[..line_length];
    if Table::is_header(first_line) {
        // Read as one line, the header would take all records in.
        if first_line.strip_suffix(b"\r").unwrap_or(first_line).contains(&b'\r') {
            return Err(not_recognised(
                "CSV whose lines end in CR alone (save it with LF or CRLF)".to_owned(),
                what,
            ));
        }
        return match what {
            Input::Leads => Table::open(window).map(Kind::Table),
            Input::Partners => Err(not_recognised("CSV, which is for leads only".to_owned(), what)),
        };
    }
    // One bad line at the top is a rejected record, as it is anywhere else.
    if has_object_line(&bytes[line_length..]) {
        return Ok(Kind::Lines);
    }
    let is_text = std::str::from_utf8(first_line).is_ok() && !bytes.contains(&0);
    let found = if is_text {
        Fault::unreadable(&String::from_utf8_lossy(first_line), "")
            .value
            .map_or_else(String::new, |start| format!("text that begins with {start:?}"))
    } else {
        "binary data".to_owned()
    };
    Err(not_recognised(found, what))
}

fn not_recognised(found: String, what: Input) -> Error {
    let expected = match what {
        Input::Leads => "NDJSON, a JSON object, array or list envelope, or CSV whose header names fields such as id and organizationId",
        Input::Partners => "NDJSON, or a JSON object, array or list envelope",
    };
    Error::NotRecognised {
        name: String::new(),
        found,
        expected,
    }
}

/// Names what people hand over by mistake.
fn known_format(bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 7] = [
        (b"\xFF\xFE", "UTF-16 text (save it as UTF-8)"),
        (b"\xFE\xFF", "UTF-16 text (save it as UTF-8)"),
        (b"\x1F\x8B", "gzip data (unpack it first)"),
        (b"PK\x03\x04", "a zip archive or a workbook (unpack it, or save it as CSV)"),
        (b"\x28\xB5\x2F\xFD", "zstd data (unpack it first)"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"%PDF", "a PDF document"),
    ];
    KNOWN.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use proptest::prelude::*;

    use super::*;

    /// Reads a text; a row is `LINE id` of a good record, `LINE ! fault` of a bad one, `error` for the file.
    fn rows_of(source: impl Read + Send + 'static, what: Input) -> Vec<String> {
        let records = match read("in", source, what) {
            Ok(records) => records,
            Err(error) => return vec![error.to_string()],
        };
        let shown = |item: Result<Item, Error>| match item {
            Ok(Item {
                line, content: Ok(value), ..
            }) => {
                let id = value
                    .get("id")
                    .and_then(Value::as_str)
                    .map_or_else(|| value.to_string(), str::to_owned);
                format!("{line} {id}")
            }
            Ok(Item {
                line, content: Err(fault), ..
            }) => format!("{line} ! {fault}"),
            Err(error) => error.to_string(),
        };
        records.map(shown).collect()
    }

    /// Gives a byte at a time, so that every boundary lies between two reads.
    struct Dripping(Cursor<Vec<u8>>);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    #[track_caller]
    fn check(text: impl AsRef<[u8]>, expected: &[&str], why: &str) {
        let bytes = text.as_ref().to_vec();
        assert_eq!(rows_of(Cursor::new(bytes.clone()), Input::Leads), expected, "{why}");
        assert_eq!(rows_of(Dripping(Cursor::new(bytes)), Input::Leads), expected, "{why}, byte by byte");
    }

    #[test]
    fn what_a_file_is_shows_in_its_content() {
        check("", &[], "an empty file");
        check("\u{feff} \r\n\n", &[], "blanks only");
        check("{\"id\":\"a\"}", &["1 a"], "one object");
        check("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", &["1 a", "2 b"], "NDJSON");
        check(
            "\u{feff}{\"id\":\"a\"}\r\n\r\n  {\"id\":\"b\"}\r\n",
            &["1 a", "3 b"],
            "NDJSON with BOM, CRLF, a blank line, indented",
        );
        check("\n\n{\n  \"id\": \"a\"\n}\n", &["3 a"], "one object over several lines");
        check("{\n  \"id\": \"a\"\n}\n{\n  \"id\": \"b\"\n}\n", &["1 a", "4 b"], "several of them");
        check(
            "{\"id\":\"a\"}{\"id\":\"b\"} {\"id\":\"c\"}",
            &["1 a", "1 b", "1 c"],
            "several on a line",
        );
        check("[]", &[], "an empty array");
        check("[{\"id\":\"a\"},{\"id\":\"b\"}]\n", &["1 a", "1 b"], "an array on a line");
        check(
            "[\n  {\n    \"id\": \"a\"\n  },\n  {\"id\": \"b\"}\n]\n",
            &["2 a", "5 b"],
            "an array over several lines",
        );
        check("[{\"id\":\"a\"}]\n[{\"id\":\"b\"}]", &["1 a", "2 b"], "an array a line");
        check(
            "{\"value\":[{\"id\":\"a\"}],\"@odata.nextLink\":\"https://p/?a=]}\"}",
            &["1 a"],
            "an envelope",
        );
        check(
            "{\"@odata.context\":\"x\\\"]\",\"@odata.count\":2,\n\"value\":[\n{\"id\":\"a\"},\n{\"id\":\"b\"}\n]\n}\n",
            &["3 a", "4 b"],
            "with its head",
        );
        check(
            "{\"value\":[{\"id\":\"a\"}]}\n{\"value\":[{\"id\":\"b\"}]}\n",
            &["1 a", "2 b"],
            "an envelope a line",
        );
        check(
            "{\"id\":\"a\",\"value\":[{\"id\":\"b\"}]}",
            &["1 a"],
            "a record with a value of its own",
        );
        check("id,organizationId\na,p\nb,p\n", &["2 a", "3 b"], "CSV");
        check(
            "\"id\"\t\"organizationId\"\r\n\"a\"\t\"p\"",
            &["2 a"],
            "CSV, quoted throughout, with tabs",
        );
        check(
            "\"LeadSource\",UserDetails.Company\nSPZA-INS|o,Fabrikam\n",
            &["2 {\"LeadSource\":\"SPZA-INS|o\",\"UserDetails\":{\"Company\":\"Fabrikam\"}}"],
            "CSV of marketplace leads",
        );
    }

    #[test]
    fn a_file_that_is_nothing_of_the_kind_is_refused_as_a_whole() {
        const EXPECTED: &str =
            "NDJSON, a JSON object, array or list envelope, or CSV whose header names fields such as id and organizationId";
        for (bytes, found) in [
            (b"\x1f\x8b\x08\x00".as_slice(), "gzip data (unpack it first)"),
            (b"PK\x03\x04abc", "a zip archive or a workbook (unpack it, or save it as CSV)"),
            (b"\xff\xfe{\0", "UTF-16 text (save it as UTF-8)"),
            (b"\x00\x01\x02", "binary data"),
            (b"\xde\xad\xbe\xef", "binary data"),
            (b"hello, world\nthis is text\n", "text that begins with \"hello, world\""),
            (b"<html>\n", "text that begins with \"<html>\""),
            (b"5\n", "text that begins with \"5\""),
            (
                b"id,organizationId\ra,p\rb,p\r",
                "CSV whose lines end in CR alone (save it with LF or CRLF)",
            ),
        ] {
            assert_eq!(rows_of(bytes, Input::Leads), [format!("in: found {found}; expected {EXPECTED}")]);
        }
        assert_eq!(
            rows_of(b"id,name\np,P\n".as_slice(), Input::Partners),
            ["in: found CSV, which is for leads only; expected NDJSON, or a JSON object, array or list envelope"]
        );
    }

    /// `R-INTAKE`: one bad record never stops a batch.
    #[test]
    fn a_broken_line_of_ndjson_is_one_rejected_record() {
        check(
            "{\"id\":\"a\"}\n{\"id\":\"b\n{\"id\":\"c\"}\noops\n[1]\n{\"id\":\"d\"}{}\n{\"id\":\"e\"}",
            &[
                "1 a",
                "2 ! {\"id\":\"b is not JSON: EOF while parsing a string, at column 8",
                "3 c",
                "4 ! oops is not JSON: expected value, at column 1",
                "5 [1]",
                "6 ! {\"id\":\"d\"}{} is not JSON: trailing characters, at column 11",
                "7 e",
            ],
            "in the middle",
        );
        check(
            "{\"id\":\"a\n{\"id\":\"b\"}\n",
            &["1 ! {\"id\":\"a is not JSON: EOF while parsing a string, at column 8", "2 b"],
            "at the top, without its bracket",
        );
        check(
            "# leads\n{\"id\":\"b\"}\n",
            &["1 ! # leads is not JSON: expected value, at column 1", "2 b"],
            "at the top, a comment",
        );
        check(
            "{\"id\":\"a\"}}\n{\"id\":\"b\"}\n",
            &["1 ! {\"id\":\"a\"}} is not JSON: trailing characters, at column 11", "2 b"],
            "a bracket too many",
        );
    }

    #[test]
    fn a_broken_element_of_a_list_is_one_rejected_record_where_its_end_can_be_told() {
        check(
            "[{\"id\":\"a\"},{\"id\":tru},5,\"x,]\",oops,,{\"id\":\"b\"}]",
            &[
                "1 a",
                "1 ! {\"id\":tru} is not JSON: expected ident, at column 10",
                "1 5",
                "1 \"x,]\"",
                "1 ! oops is not JSON: expected value, at column 1",
                "1 b",
            ],
            "brackets balanced",
        );
        check(
            "[\n  {\n    \"id\": \"a\n  },\n  {\n    \"id\": \"b\"\n  },\n  { \"id\": \"c\", \"x\": { },\n  { \"id\": \"d\" }\n]\n",
            &[
                "2 ! {     \"id\": \"a   } is not JSON: control character (\\u0000-\\u001F) found while parsing a string, at line 4 column 0",
                "5 b",
                "8 ! { \"id\": \"c\", \"x\": { } is not JSON: EOF while parsing an object, at column 21",
                "9 d",
            ],
            "a quote and a bracket missing, an element a line",
        );
        check(
            "{\n  \"id\": \"a\",\n  \"x\": {\n}\n{\n  \"id\": \"b\"\n}\n",
            &[
                "1 ! {   \"id\": \"a\",   \"x\": { } is not JSON: EOF while parsing an object, at line 4 column 1",
                "5 b",
            ],
            "a bracket missing in a stream of objects",
        );
        check(
            "[{\"id\":\"a\"}},{\"id\":\"b\"}]",
            &["1 a", "1 ! } is not JSON: expected value, at column 1", "1 b"],
            "a bracket too many",
        );
        check(
            "[{\"id\":\"a\"}] rest\n",
            &["1 a", "1 ! rest is not JSON: expected value, at column 1"],
            "something behind the list",
        );
    }

    #[test]
    fn a_list_that_was_cut_short_is_told_once_its_records_are_read() {
        const CUT: &str = "the list ends without its closing bracket; the file was cut short, what stood before that was read";
        check(
            "[{\"id\":\"a\"},\n{\"id\":\"b\"}\n",
            &["1 a", "2 b", &format!("in:3: {CUT}")],
            "between two",
        );
        check(
            "[{\"id\":\"a\"},{\"id\"",
            &[
                "1 a",
                "1 ! {\"id\" is not JSON: EOF while parsing an object, at column 5",
                &format!("in:1: {CUT}"),
            ],
            "inside one",
        );
        check(
            "{\"value\":[{\"id\":\"a\"}],",
            &["1 a", &format!("in:1: {CUT}")],
            "in an envelope's tail",
        );
    }

    #[test]
    fn what_is_no_utf8_or_no_text_costs_its_own_record_only() {
        check(
            b"{\"id\":\"a\"}\n{\"id\":\"\xff\"}\n{\"id\":\"c\"}\n",
            &[
                "1 a",
                "2 ! {\"id\":\"\u{fffd}\"} is not UTF-8 text; save the file in that encoding",
                "3 c",
            ],
            "Latin-1 in a line",
        );
        check(
            "{\"id\":\"a\0\\u0000\\ud800\"}\n{\"id\":\"\\\\ud800\"}",
            &["1 a", "2 \\ud800"],
            "NUL and lone surrogates",
        );
        let deep = format!("{}{}\n{{\"id\":\"b\"}}\n", "{\"a\":".repeat(200), "}".repeat(200));
        let rows = rows_of(Cursor::new(deep), Input::Leads);
        assert!(rows[0].contains("recursion limit exceeded") && rows[1] == "2 b", "{rows:?}");
    }

    #[test]
    fn a_record_over_one_mebibyte_is_a_fault_and_the_next_one_is_read() {
        let fits = format!("{{\"id\":\"a\",\"x\":\"{}\"}}", "x".repeat(RECORD_BYTES_MAX - 17));
        assert_eq!(fits.len(), RECORD_BYTES_MAX);
        let long = fits.replace("\"a\"", "\"aa\"");
        let good = "{\"id\":\"b\"}";
        for (text, expected, why) in [
            (format!("{fits}\n{good}\n"), vec!["1 a", "2 b"], "a line that just fits"),
            (format!("{long}\n{good}\n"), vec!["1 !", "2 b"], "a line"),
            (
                format!("{good}\r\n{long}\r\n{good}"),
                vec!["1 b", "2 !", "3 b"],
                "a line between others",
            ),
            (format!("[{fits},{good}]"), vec!["1 a", "1 b"], "an element that just fits"),
            (format!("[{long},{good}]"), vec!["1 !", "1 b"], "an element"),
            (
                format!("{{\"value\":[\n{long}{long},\n{good}]}}"),
                vec!["2 !", "2 !", "3 b"],
                "two of an envelope",
            ),
            (
                format!("[{},{good}]", "9".repeat(RECORD_BYTES_MAX)),
                vec!["1 !"],
                "a scrap, whose end cannot be told",
            ),
            (
                format!("id,x\na,{}\nb,\n", "x".repeat(RECORD_BYTES_MAX)),
                vec!["2 !", "3 b"],
                "a row",
            ),
            (
                format!("id,x\na,\"{}\nb,\n", format!("{}\n", "x".repeat(1000)).repeat(2000)),
                vec!["2 !"],
                "a row without its quote",
            ),
        ] {
            let mut rows = rows_of(Cursor::new(text), Input::Leads);
            for row in &mut rows {
                if let Some(cut) = row.find('!') {
                    row.truncate(cut + 1);
                }
            }
            rows.retain(|row| !row.ends_with("{\"id\":\"x\"}"));
            rows.truncate(expected.len());
            rows.retain(|row| !row.contains("in:"));
            assert_eq!(rows, expected, "{why}");
        }
    }

    #[test]
    fn a_csv_becomes_the_json_that_its_header_names() {
        let text = "\u{feff}id;organizationId;customerProfile.name;customerProfile.team[0].email;customerProfile.team.1.email;\"consent.consentToContact\";\r\n\
                    a;p;\"Contoso; \"\"C\"\"\";;ada@b.example;TRUE;\r\n\
                    \r\n\
                    b;p;5\" pipe;x@b.example\r\n\
                    c;p;\"two\nlines\";;;false;\r\n";
        let items: Vec<_> = read("in", Cursor::new(text), Input::Leads)
            .unwrap()
            .map(|item| item.unwrap())
            .collect();
        let shown: Vec<_> = items.iter().map(|item| (item.line, item.text.as_str())).collect();
        assert_eq!(
            shown,
            [
                (
                    2,
                    r#"{"id":"a","organizationId":"p","customerProfile":{"name":"Contoso; \"C\"","team":[null,{"email":"ada@b.example"}]},"consent":{"consentToContact":"TRUE"}}"#
                ),
                (
                    4,
                    r#"{"id":"b","organizationId":"p","customerProfile":{"name":"5\" pipe","team":[{"email":"x@b.example"}]}}"#
                ),
                (
                    5,
                    r#"{"id":"c","organizationId":"p","customerProfile":{"name":"two\nlines"},"consent":{"consentToContact":"false"}}"#
                ),
            ]
        );
        for item in items {
            assert_eq!(
                serde_json::from_str::<Value>(&item.text).ok(),
                item.content.ok(),
                "the text can be taken in again"
            );
        }
    }

    #[test]
    fn a_broken_row_of_a_csv_is_one_rejected_record() {
        const UNCLOSED: &str = "is not a row with as many cells as the header: a quoted cell does not end";
        check(
            "id,name,x\na,\"A,1\nb,B,2\nc,\"C\",3\n",
            &[&format!("2 ! a,\"A,1 {UNCLOSED}"), "3 b", "4 c"],
            "a quote missing, closed by the next one's",
        );
        check(
            "id,name,x\na,A,1\nb,\"B,2\nc,C,3",
            &["2 a", &format!("3 ! b,\"B,2 {UNCLOSED}"), "4 c"],
            "a quote missing, never closed",
        );
        check(
            "id,name\na,A,1\nb,B,,\n",
            &["2 ! a,A,1 is not a row of 2 cells, as many as the header has, but of 3", "3 b"],
            "a cell too many",
        );
        check(
            b"id,name\na,\xff\nb,B\n",
            &["2 ! a,\u{fffd} is not UTF-8 text; save the file in that encoding", "3 b"],
            "Latin-1",
        );
    }

    #[test]
    fn a_csv_header_that_makes_no_record_is_refused_as_a_whole() {
        for (header, why) in [
            ("id,id", "has column \"id\", which is there twice"),
            (
                "id,details,details.notes",
                "has column \"details.notes\", and another one inside or around it",
            ),
            (
                "id,team.0.email,team.lead",
                "has column \"team.lead\", and another one that makes a list of an object",
            ),
            ("id,team.100.email", "has column \"team.100.email\"; a list is counted from 0 to 99"),
            (
                "id,details..notes",
                "has column \"details..notes\"; a path has a name between its dots",
            ),
        ] {
            assert_eq!(
                rows_of(Cursor::new(format!("{header}\na,b\n")), Input::Leads),
                [format!("in:1: the CSV header {why}")]
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_or_read_says_so() {
        let folder = std::env::temp_dir();
        assert!(matches!(open(&folder.join("no such file"), Input::Leads), Err(Error::Open { .. })));
        assert!(matches!(open(&folder, Input::Leads), Err(Error::Read { .. })));
    }

    /// A pipe that has nothing more to say yet must not be asked for it.
    #[test]
    fn a_lead_on_standard_input_is_read_as_soon_as_its_line_is_there() {
        struct Waiting;
        impl Read for Waiting {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
        let source = b"{\"id\":\"a\"}\n{\"id\":\"b\"}\n".chain(Waiting);
        let lines: Vec<_> = read("in", source, Input::Leads)
            .unwrap()
            .map(|item| item.map(|item| item.line).map_err(|error| error.to_string()))
            .collect();
        assert_eq!(lines, [Ok(1), Ok(2), Err("in: cannot be read on behind line 3".to_owned())]);
    }

    #[test]
    fn a_large_file_is_read_in_little_memory() {
        let line = b"{\"id\":\"a\",\"x\":{\"y\":[1,2]}},\n".repeat(100);
        let source = b"[\n".chain(Repeat { line, left: 500 }).chain(b"]".as_slice());
        let mut records = read("in", source, Input::Leads).unwrap();
        assert_eq!(
            records
                .by_ref()
                .filter(|item| item.as_ref().is_ok_and(|item| item.content.is_ok()))
                .count(),
            50_000
        );
        assert!(records.window.capacity() < 4 * RECOGNISED_BYTES, "{}", records.window.capacity());
    }

    struct Repeat {
        line: Vec<u8>,
        left: usize,
    }

    impl Read for Repeat {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            buffer[..self.line.len()].copy_from_slice(&self.line);
            Ok(self.line.len())
        }
    }

    proptest! {
        #[test]
        fn ndjson_with_garbage_yields_one_item_a_line(lines in prop::collection::vec(r#"(\{"id":"[a-z]"\}|[^\n]{0,30}|[{}\[\]",:\\a]{1,20})"#, 0..12)) {
            let mut text = String::from("{\"id\":\"first\"}\n");
            let mut expected = vec![1];
            for (index, line) in lines.iter().enumerate() {
                text.push_str(line);
                text.push('\n');
                if !line.as_bytes().trim_ascii().is_empty() {
                    expected.push(index as u64 + 2);
                }
            }
            let found: Vec<_> = read("in", Cursor::new(text), Input::Leads).unwrap().map(|item| item.unwrap().line).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_at_all_make_the_reader_panic_or_go_on_for_ever(
            bytes in prop::collection::vec(prop_oneof![prop::sample::select(b"{}[]\",:\\\n\r id;\0\xef".to_vec()), any::<u8>()], 0..300),
            start in prop::sample::select(vec!["", "[", "{\"value\":[", "{\"id\":1}\n", "{\n", "id,name\n", "\u{feff}"]),
        ) {
            let text = [start.as_bytes(), &bytes].concat();
            let n_bytes = text.len();
            for what in [Input::Leads, Input::Partners] {
                if let Ok(records) = read("in", Cursor::new(text.clone()), what) {
                    prop_assert!(records.count() <= n_bytes + 1);
                }
            }
        }
    }
}
