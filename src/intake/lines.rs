//! Cuts a stream of bytes, as they come over a connection, into the records of an NDJSON.
//!
//! **Invariant:** no more is held than the record that is being read, and of one that is too long, its beginning.

use crate::intake::file::{Item, RECORD_BYTES_MAX};

/// The records of a stream.
#[derive(Debug)]
pub struct Lines {
    /// What has come of the line that has no end yet.
    begun: Vec<u8>,
    /// Its number, counted from 1.
    line: u64,
    /// Whether it was found too long already: the rest of it goes.
    is_skipping: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            begun: Vec::new(),
            line: 1,
            is_skipping: false,
        }
    }
}

impl Lines {
    /// Takes the next bytes and adds the records that they complete to `items`.
    pub fn push(&mut self, mut bytes: &[u8], items: &mut Vec<Item>) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.take(&bytes[..end], items);
            if !std::mem::take(&mut self.is_skipping) {
                self.complete(items);
            }
            self.begun.clear();
            self.line += 1;
            bytes = &bytes[end + 1..];
        }
        self.take(bytes, items);
    }

    /// Says that nothing more comes: the last line needs no end.
    pub fn end(&mut self, items: &mut Vec<Item>) {
        if !std::mem::take(&mut self.is_skipping) {
            self.complete(items);
        }
        self.begun.clear();
    }

    fn take(&mut self, bytes: &[u8], items: &mut Vec<Item>) {
        if self.is_skipping {
            return;
        }
        if self.begun.len() + bytes.len() > RECORD_BYTES_MAX {
            self.begun
                .extend_from_slice(&bytes[..bytes.len().min(RECORD_BYTES_MAX - self.begun.len())]);
            items.push(Item::too_long(self.line, &self.begun));
            self.is_skipping = true;
            self.begun = Vec::new();
            return;
        }
        self.begun.extend_from_slice(bytes);
    }

    fn complete(&mut self, items: &mut Vec<Item>) {
        let line = self.begun.trim_ascii();
        // A byte order mark is what some editors put before the first line.
        let line = if self.line == 1 {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        } else {
            line
        };
        if !line.is_empty() {
            items.push(Item::from_json(self.line, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<(u64, bool, usize)> {
        let mut lines = Lines::default();
        let mut items = Vec::new();
        for chunk in chunks {
            lines.push(chunk, &mut items);
        }
        lines.end(&mut items);
        items
            .iter()
            .map(|item| (item.line, item.content.is_ok(), item.text.len()))
            .collect()
    }

    #[test]
    fn a_line_is_a_record_wherever_the_stream_is_cut() {
        for (chunks, expected) in [
            (&[&b"{}\n{}\n"[..]][..], &[(1, true, 2), (2, true, 2)][..]),
            (&[b"{", b"}", b"\n", b"{}"], &[(1, true, 2), (2, true, 2)]),
            (&[b"\n\n{}\r\n  \n{}"], &[(3, true, 2), (5, true, 2)]),
            (&[b"\xEF\xBB\xBF{}\n"], &[(1, true, 2)]),
            (&[b"nonsense\n{}\n"], &[(1, false, 8), (2, true, 2)]),
            (&[b""], &[]),
        ] {
            assert_eq!(read(chunks), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_told_once_and_the_next_is_read() {
        let long = vec![b'x'; RECORD_BYTES_MAX / 2 + 1];
        let told = read(&[&long, &long, &long, b"\n{}\n"]);
        assert_eq!(told, [(1, false, 1024), (2, true, 2)]);
        let just = vec![b' '; RECORD_BYTES_MAX - 2];
        assert_eq!(read(&[&just, b"{}", b"\n"]), [(1, true, 2)]);
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_makes_no_difference(text in "(\\{\\}|[a-z]{0,5}|\n|\r\n| ){0,40}", cuts in prop::collection::vec(0usize..60, 0..8)) {
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            at.sort_unstable();
            at.push(bytes.len());
            let mut chunks = Vec::new();
            let mut from = 0;
            for to in at {
                chunks.push(&bytes[from..to]);
                from = to;
            }
            prop_assert_eq!(read(&chunks), read(&[bytes]));
        }
    }
}
