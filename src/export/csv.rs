//! Leads as CSV (RFC 4180): UTF-8 with a byte-order mark, as spreadsheets guess the encoding wrongly without.

use crate::export::{Cell, HEADER, Row};
use crate::template::clean;

/// Returns what a file begins with.
pub fn head() -> Vec<u8> {
    let mut bytes = b"\xEF\xBB\xBF".to_vec();
    bytes.extend(written([HEADER.map(str::to_owned)]));
    bytes
}

/// Returns rows as they follow.
pub fn rows(rows: impl IntoIterator<Item = Row>) -> Vec<u8> {
    written(rows.into_iter().map(|row| {
        row.map(|cell| match cell {
            Cell::Text(text) => clean::defused(&text),
            Cell::Number(number) => number.to_string(),
        })
    }))
}

fn written(rows: impl IntoIterator<Item = [String; HEADER.len()]>) -> Vec<u8> {
    let mut writer = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("each row has as many cells as the header");
    }
    writer.into_inner().expect("writing to memory does not fail")
}
