//! A window that slides over an input: what is being looked at is in memory, what was consumed is not, so that a file of any size is read in
//! the space of its largest record.

use std::io::{self, Read};

/// Bytes asked of the input at a time: a few hundred records, and a call to the system for each is not felt.
const CHUNK_BYTES: usize = 64 * 1024;

/// The input from the first byte not consumed.
pub(super) struct Window {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    line: u64,
    consumed_bytes: u64,
    is_at_end: bool,
}

impl Window {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            line: 1,
            consumed_bytes: 0,
            is_at_end: false,
        }
    }

    /// Returns what is in memory; more may come with [`Self::grow`].
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Returns the line, counted from 1, on which the first byte stands.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns how many bytes were consumed.
    pub(super) fn consumed_bytes(&self) -> u64 {
        self.consumed_bytes
    }

    /// Reads a chunk more; false at the end of the input.
    pub(super) fn grow(&mut self) -> io::Result<bool> {
        if self.is_at_end {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK_BYTES, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                answer => break answer,
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.is_at_end = read? == 0;
        Ok(!self.is_at_end)
    }

    /// Reads until `length` bytes are in memory, or the input ends.
    pub(super) fn fill(&mut self, length: usize) -> io::Result<()> {
        while self.bytes().len() < length && self.grow()? {}
        Ok(())
    }

    /// Returns the first byte; `None` at the end of the input.
    pub(super) fn first(&mut self) -> io::Result<Option<u8>> {
        self.fill(1)?;
        Ok(self.bytes().first().copied())
    }

    /// Lets go of the first `length` bytes.
    pub(super) fn consume(&mut self, length: usize) {
        let gone = &self.buffer[self.start..self.start + length];
        self.line += gone.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.start += length;
        self.consumed_bytes += length as u64;
    }

    /// Returns the offset behind the line that begins at `from`, its newline included; `None` where that is further than `length_max`.
    pub(super) fn line_end(&mut self, from: usize, length_max: usize) -> io::Result<Option<usize>> {
        let mut at = from;
        loop {
            if let Some(found) = self.bytes()[at..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(at + found + 1).filter(|end| *end <= length_max + 1));
            }
            at = self.bytes().len();
            if at > length_max {
                return Ok(None);
            }
            if !self.grow()? {
                return Ok(Some(at));
            }
        }
    }

    /// Consumes what is left of the line, however long that is.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let length = self.bytes().len();
            match self.bytes().iter().position(|byte| *byte == b'\n') {
                Some(found) => {
                    self.consume(found + 1);
                    return Ok(());
                }
                None => self.consume(length),
            }
            if !self.grow()? {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
impl Window {
    /// Returns the bytes that the window takes.
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}
