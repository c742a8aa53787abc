//! Finds where JSON values begin and end without understanding them: lists, list envelopes and streams of values are cut into their elements,
//! so that a broken element is one rejected record and the ones behind it still come in.
//!
//! A missing bracket would swallow all that follows. Where elements begin on lines of their own, the next line that is indented as the
//! element was and opens an object is the next element: a nested object stands deeper. This is believed only of a text that does not parse.

use std::io;

use crate::intake::file::{Error, Item, RECORD_BYTES_MAX, Reading};
use crate::intake::window::Window;

/// Bytes that a scan goes through before it lets go of them, in an element that is skipped.
const SKIP_BYTES: usize = 64 * 1024;

/// Bytes in which the keys before an envelope's `value` must fit; they are a context and a count.
const ENVELOPE_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Cuts a text of JSON values.
pub(super) struct Values {
    level: Level,
    /// The blanks before the element being read; `None` where it does not begin its line.
    indent: Option<Vec<u8>>,
    /// Whether an element had to be cut off at the next one's line; from then on that is looked for at once, or a file that is broken
    /// throughout would be read over and over.
    is_cut_by_line: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Top,
    List { in_envelope: bool },
}

impl Values {
    pub(super) fn new() -> Self {
        Self {
            level: Level::Top,
            indent: Some(Vec::new()),
            is_cut_by_line: false,
        }
    }

    pub(super) fn next(&mut self, window: &mut Window) -> Reading {
        loop {
            self.skip_blanks(window)?;
            let Some(first) = window.first()? else {
                return match self.level {
                    Level::Top => Ok(None),
                    Level::List { .. } => {
                        self.level = Level::Top;
                        Err(Error::cut_short(window.line()))
                    }
                };
            };
            match (self.level, first) {
                (Level::Top, b'[') => {
                    window.consume(1);
                    self.indent = None;
                    self.level = Level::List { in_envelope: false };
                }
                (Level::List { in_envelope }, b']') => {
                    window.consume(1);
                    self.indent = None;
                    self.level = Level::Top;
                    if in_envelope {
                        skip_envelope_tail(window)?;
                    }
                }
                (Level::Top, b'{') => match envelope_head(window)? {
                    Some(length) => {
                        window.consume(length);
                        self.indent = None;
                        self.level = Level::List { in_envelope: true };
                    }
                    None => return self.element(window).map(Some),
                },
                (Level::List { .. }, b'{' | b'[') => return self.element(window).map(Some),
                (Level::Top | Level::List { .. }, _) => return self.scrap(window).map(Some),
            }
        }
    }

    /// Skips blanks and commas, and learns how the line that follows is indented. Commas are not counted: what is between them is.
    fn skip_blanks(&mut self, window: &mut Window) -> io::Result<()> {
        loop {
            let mut length = 0;
            for byte in window.bytes() {
                match byte {
                    b'\n' => self.indent = Some(Vec::new()),
                    b' ' | b'\t' | b'\r' => {
                        if let Some(indent) = &mut self.indent {
                            indent.push(*byte);
                        }
                    }
                    b',' => self.indent = None,
                    _ => break,
                }
                length += 1;
            }
            window.consume(length);
            if !window.bytes().is_empty() || !window.grow()? {
                return Ok(());
            }
        }
    }

    /// Reads an object or list.
    fn element(&mut self, window: &mut Window) -> Result<Item, Error> {
        let line = window.line();
        let mut scan = Scan::default();
        let indent = self.indent.take();
        let early = indent.as_deref().filter(|_| self.is_cut_by_line);
        let stop = scan.run(window, early, RECORD_BYTES_MAX)?;
        let length = scan.at;
        let item = Item::from_json(line, trim_end(&window.bytes()[..length]));
        if stop == Stop::End && item.content.is_ok() {
            window.consume(length);
            return Ok(item);
        }
        if let Some(indent) = &indent
            && let Some(length) = boundary(&window.bytes()[..length], indent)
        {
            self.is_cut_by_line = true;
            let item = Item::from_json(line, trim_end(&window.bytes()[..length]));
            window.consume(length);
            return Ok(item);
        }
        if stop == Stop::Limit {
            let item = Item::too_long(line, window.bytes());
            scan.skip(window, indent.as_deref())?;
            return Ok(item);
        }
        window.consume(length);
        Ok(item)
    }

    /// Reads what is neither object nor list: up to the next comma or bracket in a list, else the line.
    fn scrap(&mut self, window: &mut Window) -> Result<Item, Error> {
        self.indent = None;
        let line = window.line();
        let Some(length) = scrap_end(window, self.level != Level::Top)? else {
            let item = Item::too_long(line, window.bytes());
            window.skip_line()?;
            return Ok(item);
        };
        let item = Item::from_json(line, trim_end(&window.bytes()[..length]));
        window.consume(length);
        Ok(item)
    }
}

/// Finds the end of what is neither object nor list; `None` where it is too long for a record.
fn scrap_end(window: &mut Window, in_list: bool) -> io::Result<Option<usize>> {
    let mut scan = Scan {
        depth: 1,
        ..Scan::default()
    };
    loop {
        while let Some(byte) = window.bytes().get(scan.at).copied() {
            let is_outside = !scan.is_in_string;
            let closes = scan.step(byte);
            let ends = byte == b'\n' || (in_list && is_outside && (closes || byte == b','));
            // The first byte belongs to the scrap whatever it is, or a stray brace would be found for ever.
            if ends && scan.at > 0 {
                return Ok(Some(scan.at));
            }
            scan.depth = scan.depth.max(1);
            scan.at += 1;
        }
        if scan.at > RECORD_BYTES_MAX {
            return Ok(None);
        }
        if !window.grow()? {
            return Ok(Some(scan.at));
        }
    }
}

/// How far a value has been followed.
#[derive(Default)]
struct Scan {
    at: usize,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stop {
    /// The value's last bracket.
    End,
    /// A line that looks like the next element.
    Boundary,
    /// More bytes than were to be looked at.
    Limit,
    /// The end of the input.
    Input,
}

impl Scan {
    /// Follows the value by one byte; true where it ends with it.
    fn step(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            // No JSON text has a raw newline: the quote that would end it is missing. It costs this line and not the file.
            self.is_in_string = false;
            self.is_escaped = false;
        } else if self.is_escaped {
            self.is_escaped = false;
        } else if self.is_in_string {
            self.is_escaped = byte == b'\\';
            self.is_in_string = byte != b'"';
        } else {
            match byte {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    return self.depth == 0;
                }
                _ => (),
            }
        }
        false
    }

    /// Follows the value to its end, or for `length_max` bytes; `indent` is that of a line which would cut it off.
    fn run(&mut self, window: &mut Window, indent: Option<&[u8]>, length_max: usize) -> io::Result<Stop> {
        loop {
            while let Some(byte) = window.bytes().get(self.at).copied() {
                if self.at >= length_max {
                    return Ok(Stop::Limit);
                }
                if byte == b'\n'
                    && let Some(indent) = indent
                {
                    window.fill(self.at + 1 + indent.len() + 1)?;
                    if opens_element(&window.bytes()[self.at + 1..], indent) {
                        return Ok(Stop::Boundary);
                    }
                }
                self.at += 1;
                if self.step(byte) {
                    return Ok(Stop::End);
                }
            }
            if !window.grow()? {
                return Ok(Stop::Input);
            }
        }
    }

    /// Consumes the rest of a value that is too long to be kept.
    fn skip(mut self, window: &mut Window, indent: Option<&[u8]>) -> io::Result<()> {
        loop {
            window.consume(self.at);
            self.at = 0;
            let stop = self.run(window, indent, SKIP_BYTES)?;
            if stop != Stop::Limit {
                window.consume(self.at);
                return Ok(());
            }
        }
    }
}

/// Returns the length of the first value of a text, if it ends there.
pub(super) fn first_value(bytes: &[u8]) -> Option<usize> {
    let mut scan = Scan::default();
    bytes.iter().position(|byte| scan.step(*byte)).map(|found| found + 1)
}

/// Finds the first line break behind which the next element begins.
fn boundary(bytes: &[u8], indent: &[u8]) -> Option<usize> {
    let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    breaks.into_iter().find(|at| opens_element(&bytes[at + 1..], indent))
}

fn opens_element(line: &[u8], indent: &[u8]) -> bool {
    line.strip_prefix(indent).is_some_and(|rest| rest.first() == Some(&b'{'))
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let is_kept = |byte: &u8| !byte.is_ascii_whitespace() && *byte != b',';
    &bytes[..bytes.iter().rposition(is_kept).map_or(0, |last| last + 1)]
}

/// Says whether the window begins with a list envelope, `{"@odata.context": …, "value": [`, and how long that head is.
pub(super) fn envelope_head(window: &mut Window) -> io::Result<Option<usize>> {
    window.fill(ENVELOPE_HEAD_BYTES_MAX)?;
    Ok(envelope_head_of(window.bytes()))
}

/// The same for a text that is all there.
pub(super) fn envelope_head_of(bytes: &[u8]) -> Option<usize> {
    Head { bytes, at: 0 }.read()
}

struct Head<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Head<'a> {
    fn read(mut self) -> Option<usize> {
        self.expect(b'{')?;
        loop {
            let key = self.text()?;
            self.expect(b':')?;
            if key == b"value" {
                return self.expect(b'[').map(|()| self.at);
            }
            // Any other key makes it a record, which may have a `value` of its own further down.
            let is_list_key = key.starts_with(b"@") || key.starts_with(b"odata.") || matches!(key, b"nextLink" | b"count" | b"totalCount");
            if !is_list_key {
                return None;
            }
            self.scalar()?;
            self.expect(b',')?;
        }
    }

    fn skip_blanks(&mut self) {
        self.at += self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_blanks();
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let from = self.at;
        let mut is_escaped = false;
        let length = self.bytes[from..].iter().position(|byte| {
            let ends = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            ends
        })?;
        self.at = from + length + 1;
        Some(&self.bytes[from..from + length])
    }

    fn scalar(&mut self) -> Option<()> {
        self.skip_blanks();
        if self.bytes.get(self.at) == Some(&b'"') {
            return self.text().map(|_| ());
        }
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = self.bytes[self.at..].iter().take_while(is_part).count();
        self.at += length;
        (length > 0).then_some(())
    }
}

/// Consumes what stands behind an envelope's list, its last bracket included.
fn skip_envelope_tail(window: &mut Window) -> Result<(), Error> {
    let mut scan = Scan {
        depth: 1,
        ..Scan::default()
    };
    loop {
        let stop = scan.run(window, None, SKIP_BYTES)?;
        window.consume(scan.at);
        scan.at = 0;
        match stop {
            Stop::End => return Ok(()),
            Stop::Limit => (),
            Stop::Boundary | Stop::Input => return Err(Error::cut_short(window.line())),
        }
    }
}
