//! Delivers into a Maildir: one file per mail, named after its Message-ID, so that a repeat replaces what it repeats.
//!
//! A mail is written to `tmp/`, synced and renamed into `new/`: whoever looks there sees it whole or not at all. The name of a synced file
//! lives in its folder, so [`Maildir::sync`] makes a batch of names durable with one more sync, before their outcomes are recorded.
//!
//! **Not here:** `cur/`. What a mail reader has moved there is its own; a repeat then lies in `new/` again, under the same Message-ID.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::fault_point::hit;
use crate::mail::{Cause, Failed};
use crate::outbox::Stage;

/// A Maildir; the folders are made when first needed.
#[derive(Clone, Debug)]
pub struct Maildir {
    dir: PathBuf,
}

impl Maildir {
    /// Names the Maildir at `dir`; nothing is touched yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the folders, where they are missing.
    ///
    /// # Errors
    /// Stage `Connect`: a folder cannot be made. A later try may find it repaired.
    pub async fn prepare(&self) -> Result<(), Failed> {
        let this = self.clone();
        off_the_async_threads(move || this.make_folders()).await
    }

    /// Writes one mail, and returns its file. It is durable after the next [`Maildir::sync`].
    ///
    /// # Errors
    /// Stage `Connect` or `FinalDot`, never in doubt: the file is there or it is not. [`Cause::DiskFull`] and [`Cause::Denied`] heal when somebody
    /// heals them; the mail is tried again.
    pub async fn deliver(&self, message_id: &str, bytes: Vec<u8>) -> Result<PathBuf, Failed> {
        let this = self.clone();
        let name = file_name(message_id);
        off_the_async_threads(move || this.write(&name, &bytes)).await
    }

    /// Makes the names of all mails delivered so far durable; once per batch, before their outcomes are recorded.
    ///
    /// # Errors
    /// Stage `FinalDot`: the mails since the last sync may be gone after a power cut; deliver them again, they replace themselves.
    pub async fn sync(&self) -> Result<(), Failed> {
        let folder = self.dir.join("new");
        off_the_async_threads(move || {
            File::open(&folder)
                .and_then(|dir| dir.sync_all())
                .map_err(|e| failed(Stage::FinalDot, "sync", &folder, &e))
        })
        .await
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failed> {
        let tmp = self.dir.join("tmp").join(name);
        let target = self.dir.join("new").join(name);
        hit("maildir.before");
        // The folders are there but for the first mail, and for whoever removes them while we run.
        let mut file = match File::create(&tmp) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_folders()?;
                File::create(&tmp)
            }
            other => other,
        }
        .map_err(|e| failed(Stage::FinalDot, "create", &tmp, &e))?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|e| failed(Stage::FinalDot, "write", &tmp, &e));
        hit("maildir.written");
        let moved = written.and_then(|()| fs::rename(&tmp, &target).map_err(|e| failed(Stage::FinalDot, "move a mail to", &target, &e)));
        hit("maildir.moved");
        if moved.is_err() {
            // Half a mail on a full disk is in the way of the next one; if even this fails, the next write replaces it.
            fs::remove_file(&tmp).ok();
        }
        moved.map(|()| target)
    }

    fn make_folders(&self) -> Result<(), Failed> {
        // `tmp` last: whoever finds it writes there at once, and then moves the mail to `new`.
        for folder in ["new", "cur", "tmp"] {
            let path = self.dir.join(folder);
            fs::create_dir_all(&path).map_err(|e| failed(Stage::Connect, "make the folder", &path, &e))?;
        }
        Ok(())
    }
}

/// Derives the file's name: the Message-ID itself where it is as plain as ours are, its hash where it is not.
fn file_name(message_id: &str) -> String {
    let is_plain = !message_id.is_empty()
        && message_id.len() <= 200
        && !message_id.starts_with('.')
        && message_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"@.-_".contains(&b));
    if is_plain {
        return format!("{message_id}.eml");
    }
    let digest = Sha256::digest(message_id.as_bytes());
    format!("{}.eml", digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

fn failed(stage: Stage, verb: &str, path: &Path, error: &io::Error) -> Failed {
    Failed::new(stage, Cause::of_io(error), format!("cannot {verb} {}: {error}", path.display()))
}

async fn off_the_async_threads<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failed> + Send + 'static) -> Result<T, Failed> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Only a runtime that shuts down drops such a task before it began.
        Err(_) => Err(Failed::new(Stage::Connect, Cause::Io, "the program is ending")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_repeat_replaces_the_mail_that_it_repeats() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::new(folder.path().join("mail"));
        let first = maildir.deliver("0a1b@portal.example", b"one\r\n".to_vec()).await.unwrap();
        let again = maildir.deliver("0a1b@portal.example", b"two\r\n".to_vec()).await.unwrap();
        maildir.sync().await.unwrap();
        assert_eq!(first, again);
        assert_eq!(fs::read(&again).unwrap(), b"two\r\n");
        assert_eq!(files(&maildir.dir().join("new")), ["0a1b@portal.example.eml"]);
        assert_eq!(files(&maildir.dir().join("tmp")), [""; 0]);
        assert!(maildir.dir().join("cur").is_dir());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mail");
        fs::write(&file, "not a folder").unwrap();
        let failed = Maildir::new(&file).prepare().await.unwrap_err();
        assert!(matches!(failed.stage, Stage::Connect));
        assert!(
            failed
                .detail
                .starts_with(&format!("cannot make the folder {}", file.join("new").display())),
            "{failed}"
        );
        assert!(!failed.in_doubt);
    }

    #[tokio::test]
    async fn a_full_disk_is_typed_and_leaves_no_half_mail() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::new(folder.path());
        maildir.prepare().await.unwrap();
        // Writing to the device that is always full, through the name that the mail will have.
        std::os::unix::fs::symlink("/dev/full", folder.path().join("tmp/a@b.eml")).unwrap();
        let failed = maildir.deliver("a@b", b"text\r\n".to_vec()).await.unwrap_err();
        assert_eq!(failed.cause, Cause::DiskFull, "{failed}");
        assert_eq!(files(&folder.path().join("new")), [""; 0]);
        maildir.deliver("a@b", b"text\r\n".to_vec()).await.unwrap();
    }

    #[test]
    fn no_message_id_leaves_the_folder() {
        for (id, expected) in [
            ("0a1b@portal.example", Some("0a1b@portal.example.eml")),
            ("../../etc/passwd@x", None),
            (".hidden@x", None),
            ("a:2,S@x", None),
            ("", None),
            ("ü@x", None),
        ] {
            let name = file_name(id);
            match expected {
                Some(expected) => assert_eq!(name, expected),
                None => assert!(
                    name.len() == 68 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'),
                    "{id} → {name}"
                ),
            }
        }
    }
}
