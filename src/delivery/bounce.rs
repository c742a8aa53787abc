//! The ways in for bounces: a mail's bytes, or a Maildir that is watched.
//!
//! **Invariants:** a file of the Maildir is marked as seen after what it does is committed, so that a crash in between brings it again, which changes
//! nothing. A file that cannot be read stays, is told of once, and stops no other. Bytes of a mail and files of a turn are bounded.
//! **Not here:** reading a mail (`mail::dsn`), what follows from it (`app::bounce`).

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tokio::fs;

use crate::app::bounce::{Incoming, Taken, take_in};
use crate::app::{Error, Rules};
use crate::mail::dsn;
use crate::outbox::mark::Marks;
use crate::store::Store;
use crate::time::Timestamp;

/// Bytes of a mail that are read: a report stands before the mail that it brings back, whose end is of no interest.
pub const READ_BYTES_MAX: usize = 1024 * 1024;
/// Files that a turn takes.
const FILES_A_TURN: usize = 100;
/// Files that cannot be read and are remembered, so that they are told of once.
const BROKEN_MAX: usize = 10_000;

/// A mail as it came.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// File name, or the way it came.
    pub source: &'a str,
    /// Its envelope's recipient, where whoever brings it knows.
    pub recipient: Option<&'a str>,
    /// The mail.
    pub bytes: &'a [u8],
}

/// Reads a mail that came to where bounces go, and does what follows at `now`.
///
/// # Errors
/// The database cannot record it.
pub async fn take_in_raw(store: &Store, now: Timestamp, rules: &Rules, marks: &Marks, raw: Raw<'_>) -> Result<Taken, Error> {
    let bytes = without_mbox_line(raw.bytes).to_vec();
    // A mail of a mebibyte takes milliseconds to read.
    let reading = tokio::task::spawn_blocking(move || (dsn::read(&bytes), bytes));
    let (report, bytes) = reading.await.expect("the reader neither panics nor is aborted");
    let incoming = Incoming {
        source: raw.source,
        recipient: raw.recipient,
        raw: &bytes,
        report,
    };
    take_in(store, now, rules, marks, &incoming).await
}

/// Mail that is piped into a command begins with a line of the mailbox format (`From sender date`).
fn without_mbox_line(raw: &[u8]) -> &[u8] {
    if !raw.starts_with(b"From ") {
        return raw;
    }
    let end = raw.iter().position(|byte| *byte == b'\n').map_or(raw.len(), |at| at + 1);
    &raw[end..]
}

/// Reads as much of a mail as is looked at.
///
/// # Errors
/// It cannot be read.
pub fn read_up_to(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.by_ref().take(READ_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads as much of a mail's file as is looked at. What is no file is refused: a pipe would be waited for.
///
/// # Errors
/// It cannot be read.
pub async fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path).await?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_up_to(std::fs::File::open(path)?));
    reading.await.expect("the reader neither panics nor is aborted")
}

/// A Maildir that is watched.
#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    broken: HashSet<OsString>,
    is_missing: bool,
}

impl Inbox {
    /// Watches a Maildir.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            broken: HashSet::new(),
            is_missing: false,
        }
    }

    /// Takes in what is new, a bounded number of mails, and marks each as seen. Returns how many that were.
    ///
    /// # Errors
    /// The database cannot record it; what is not marked is taken in again.
    pub async fn turn(&mut self, store: &Store, now: Timestamp, rules: &Rules, marks: &Marks) -> Result<usize, Error> {
        let mut n_taken = 0;
        for name in self.new_files().await {
            let path = self.folder.join("new").join(&name);
            match read_file(&path).await {
                Ok(bytes) => {
                    let source = name.to_string_lossy();
                    let raw = Raw {
                        source: &source,
                        recipient: None,
                        bytes: &bytes,
                    };
                    take_in_raw(store, now, rules, marks, raw).await?;
                    n_taken += 1;
                    if let Err(error) = self.mark_seen(&path, &name).await {
                        self.tell(name, &error, "bounce taken in, and not marked as seen");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.tell(name, &error, "bounce not read, and left where it lies"),
            }
        }
        Ok(n_taken)
    }

    /// Lists new files, the oldest names first as far as they are seen.
    async fn new_files(&mut self) -> Vec<OsString> {
        let folder = self.folder.join("new");
        let mut names = Vec::new();
        let listed = async {
            let mut entries = fs::read_dir(&folder).await?;
            while let Some(entry) = entries.next_entry().await? {
                let name = entry.file_name();
                let is_hidden = name.to_string_lossy().starts_with('.');
                if !is_hidden && !self.broken.contains(&name) {
                    names.push(name);
                }
                if names.len() == FILES_A_TURN {
                    break;
                }
            }
            Ok::<(), io::Error>(())
        };
        match listed.await {
            Ok(()) => self.is_missing = false,
            Err(error) => {
                if !self.is_missing {
                    tracing::warn!(folder = %folder.display(), "bounces.maildir cannot be looked into: {error}");
                }
                self.is_missing = true;
            }
        }
        names.sort();
        names
    }

    /// Moves a file to `cur/` with the flag of what was seen.
    async fn mark_seen(&self, path: &Path, name: &OsString) -> io::Result<()> {
        let mut seen = name.clone();
        if !name.to_string_lossy().contains(":2,") {
            seen.push(":2,");
        }
        seen.push("S");
        let cur = self.folder.join("cur");
        fs::create_dir_all(&cur).await?;
        fs::rename(path, cur.join(seen)).await
    }

    fn tell(&mut self, name: OsString, error: &io::Error, what: &str) {
        tracing::warn!(file = %name.to_string_lossy(), "{what}: {error}");
        if self.broken.len() < BROKEN_MAX {
            self.broken.insert(name);
        }
    }
}
