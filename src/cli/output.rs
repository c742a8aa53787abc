//! What a command answers: results to standard output, everything else to standard error.
//!
//! A list is a table on a terminal, tab-separated columns without a heading in a pipe, and with `--json` one JSON value. Writing never
//! fails where it is called: a reader that has gone away (`| head`) is no error, and any other fault is told once, by [`Output::finish`].

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, LineWriter, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::cli::exit::Failure;

/// Where answers go, and how they look there.
pub struct Output {
    json: bool,
    quiet: bool,
    look: Look,
    sink: Mutex<Sink>,
}

#[derive(Clone, Copy)]
enum Look {
    /// Aligned for people; the width where it is not the terminal's own.
    Table { width: Option<u16>, bold: bool },
    /// For `cut` and `while read`.
    Columns,
}

struct Sink {
    out: Box<dyn Write + Send>,
    fault: Option<io::Error>,
}

/// Columns that are assumed where a terminal does not tell.
const WIDTH_UNKNOWN: u16 = 80;

/// One column of a list.
pub struct Column<T> {
    title: &'static str,
    to_right: bool,
    cell: fn(&T) -> String,
}

impl<T> Column<T> {
    /// A column of text.
    pub fn text(title: &'static str, cell: fn(&T) -> String) -> Self {
        Self {
            title,
            to_right: false,
            cell,
        }
    }

    /// A column of numbers.
    pub fn number(title: &'static str, cell: fn(&T) -> String) -> Self {
        Self {
            title,
            to_right: true,
            cell,
        }
    }
}

impl Output {
    /// Writes to this process' standard output.
    pub fn to_stdout(json: bool, quiet: bool) -> Self {
        let stdout = io::stdout();
        // NO_COLOR: no-color.org asks for presence, whatever the value, as long as it is not empty.
        let bold = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        let (look, out): (_, Box<dyn Write + Send>) = if stdout.is_terminal() {
            (Look::Table { width: None, bold }, Box::new(LineWriter::new(stdout)))
        } else {
            (Look::Columns, Box::new(BufWriter::new(stdout)))
        };
        Self {
            json,
            quiet,
            look,
            sink: Mutex::new(Sink { out, fault: None }),
        }
    }

    /// Returns whether the answer is to be JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Returns whether nothing but the result and errors is to be said.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns whether nobody reads any more, or nothing can be written: a long answer may end.
    pub fn is_closed(&self) -> bool {
        self.sink().fault.is_some()
    }

    /// Writes a line for people; nothing with `--json`.
    pub fn line(&self, text: impl fmt::Display) {
        if !self.json {
            self.write(&format!("{}\n", readable(&text.to_string())));
        }
    }

    /// Writes the JSON value; nothing without `--json`.
    pub fn json(&self, value: &impl Serialize) {
        if self.json {
            let is_for_people = matches!(self.look, Look::Table { .. });
            let text = if is_for_people {
                serde_json::to_string_pretty(value)
            } else {
                serde_json::to_string(value)
            };
            self.write(&format!("{}\n", text.expect("answers are maps with text keys")));
        }
    }

    /// Writes one thing: itself as JSON, or what `text` says of it.
    pub fn one<T: Serialize>(&self, item: &T, text: impl FnOnce(&T) -> String) {
        if self.json {
            self.json(item);
        } else {
            self.line(text(item));
        }
    }

    /// Writes a list; where it is empty, `none` goes to standard error, unless JSON is wanted.
    pub fn list<T: Serialize>(&self, items: &[T], columns: &[Column<T>], none: &str) {
        match self.look {
            _ if self.json => self.json(&serde_json::json!({ "value": items })),
            _ if items.is_empty() => self.note(none),
            Look::Table { width, bold } => self.write(&table(items, columns, width, bold)),
            Look::Columns => {
                for item in items {
                    let cells: Vec<String> = columns.iter().map(|column| one_line(&(column.cell)(item))).collect();
                    self.write(&format!("{}\n", cells.join("\t")));
                }
            }
        }
    }

    /// Writes text as it is: a script, a manual page.
    pub fn raw(&self, text: &str) {
        self.write(text);
    }

    /// Writes bytes as they are: a mail.
    pub fn bytes(&self, bytes: &[u8]) {
        let mut sink = self.sink();
        if sink.fault.is_none() {
            sink.fault = sink.out.write_all(bytes).err();
        }
    }

    /// Tells something beside the result, on standard error; nothing with `-q`.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// Tells what went wrong, on standard error, `-q` or not.
    pub fn complain(&self, text: impl fmt::Display) {
        self.flush();
        // There is nowhere left to tell that standard error is gone.
        _ = writeln!(io::stderr().lock(), "{}", readable(&text.to_string()));
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// If an answer could not be written, other than to a reader that has gone away.
    pub fn finish(&self) -> Result<(), Failure> {
        self.flush();
        match &self.sink().fault {
            Some(fault) if fault.kind() != io::ErrorKind::BrokenPipe => Err(Failure::unavailable(format_args!(
                "cannot write the answer to standard output: {fault}"
            ))),
            _ => Ok(()),
        }
    }

    fn write(&self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes what is held back to its reader now: for a command that goes on.
    pub fn flush(&self) {
        let mut sink = self.sink();
        if sink.fault.is_none() {
            sink.fault = sink.out.flush().err();
        }
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        // A panic while writing leaves half a line, and nothing that could mislead who writes next.
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn table<T>(items: &[T], columns: &[Column<T>], width: Option<u16>, bold: bool) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    // A terminal that says it has no columns does not know its width.
    if let Some(width) = width.or_else(|| table.width().filter(|width| *width > 0).or(Some(WIDTH_UNKNOWN))) {
        table.set_width(width);
    }
    let title = |column: &Column<T>| {
        let cell = Cell::new(column.title);
        if bold { cell.add_attribute(Attribute::Bold) } else { cell }
    };
    table.set_header(columns.iter().map(title).collect::<Vec<_>>());
    for item in items {
        table.add_row(columns.iter().map(|column| one_line(&(column.cell)(item))).collect::<Vec<_>>());
    }
    for (i, column) in columns.iter().enumerate() {
        if let Some(cells) = table.column_mut(i) {
            // Two spaces between columns, none before the first.
            cells.set_padding((0, if i + 1 == columns.len() { 0 } else { 2 }));
            cells.set_cell_alignment(if column.to_right {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            });
        }
    }
    let lines: Vec<String> = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    lines.concat()
}

/// Makes foreign text harmless for a terminal: no escape sequences, no reordering of what is read.
fn readable(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' || c == '\t' || !is_hostile(c) { c } else { '\u{fffd}' })
        .collect()
}

/// As [`readable`], on one line and without tabs, so that a cell stays a cell.
fn one_line(text: &str) -> String {
    readable(text).replace(['\n', '\t'], " ")
}

fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(json: bool, look: Look, out: impl Write + Send + 'static) -> Output {
        Output {
            json,
            quiet: true,
            look,
            sink: Mutex::new(Sink {
                out: Box::new(out),
                fault: None,
            }),
        }
    }

    const LOOK_NARROW: Look = Look::Table {
        width: Some(40),
        bold: false,
    };

    #[derive(Serialize)]
    struct Lead {
        id: &'static str,
        customer: &'static str,
        n_mails: u32,
    }

    const LEADS: [Lead; 2] = [
        Lead {
            id: "L1",
            customer: "Ada\tand \u{1b}[31mSons\nLtd",
            n_mails: 2,
        },
        Lead {
            id: "L22",
            customer: "Grace Hopper and a very long name",
            n_mails: 10,
        },
    ];

    #[track_caller]
    fn check_list(json: bool, look: Look, leads: &[Lead], expected: &str) {
        let page = Page::default();
        let out = output(json, look, page.clone());
        let columns = [
            Column::text("ID", |lead: &Lead| lead.id.to_owned()),
            Column::text("CUSTOMER", |lead: &Lead| lead.customer.to_owned()),
            Column::number("MAILS", |lead: &Lead| lead.n_mails.to_string()),
        ];
        out.list(leads, &columns, "no leads");
        out.finish().expect("a page takes everything");
        assert_eq!(String::from_utf8_lossy(&page.0.lock().expect("no panic")), expected);
    }

    #[test]
    fn a_list_is_a_table_on_a_terminal() {
        let expected = "\
ID   CUSTOMER                      MAILS
L1   Ada and \u{fffd}[31mSons Ltd             2
L22  Grace Hopper and a very long     10
     name
";
        check_list(false, LOOK_NARROW, &LEADS, expected);
        check_list(false, LOOK_NARROW, &[], "");
    }

    #[test]
    fn a_list_is_plain_columns_in_a_pipe() {
        check_list(
            false,
            Look::Columns,
            &LEADS,
            "L1\tAda and \u{fffd}[31mSons Ltd\t2\nL22\tGrace Hopper and a very long name\t10\n",
        );
        check_list(false, Look::Columns, &[], "");
    }

    #[test]
    fn a_list_is_one_value_in_json() {
        let expected = "{\"value\":[{\"id\":\"L22\",\"customer\":\"Grace Hopper and a very long name\",\"n_mails\":10}]}\n";
        check_list(true, Look::Columns, &LEADS[1..], expected);
        check_list(true, Look::Columns, &[], "{\"value\":[]}\n");
    }

    #[test]
    fn what_is_said_to_people_stays_out_of_json() {
        let page = Page::default();
        let out = output(true, LOOK_NARROW, page.clone());
        out.line("for people");
        out.one(&LEADS[0].n_mails, |n| format!("{n} mails"));
        out.finish().expect("a page takes everything");
        assert_eq!(String::from_utf8_lossy(&page.0.lock().expect("no panic")), "2\n");
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_error_and_a_full_disk_is() {
        for (kind, is_fine) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
            let out = output(false, Look::Columns, Broken(kind));
            assert!(!out.is_closed());
            out.line("one");
            out.line("two");
            assert!(out.is_closed());
            assert_eq!(out.finish().is_ok(), is_fine, "{kind}");
        }
    }
}
