//! Reads the files of templates: the built-in ones, and over them, file by file, those of the operator's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use crate::template::error::Error;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// What the names of built-in files begin with, where they are told.
pub(crate) const BUILT_IN_MARK: &str = "built-in ";

/// The file with a language's words.
pub(crate) const MESSAGES: &str = "messages.toml";

/// The file that says how a language writes dates, numbers and amounts.
pub(crate) const FORMATS: &str = "formats.toml";

/// What else is a template, by its ending.
const ENDINGS: [&str; 5] = ["mjml", "html", "txt", "subject", "toml"];

/// A template of a megabyte is a mistake; the largest of ours has 8 kB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A file that was read: its text, and what to call it in an error.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) origin: Arc<str>,
    pub(crate) text: String,
    /// The operator's file, if it is not built in.
    pub(crate) path: Option<PathBuf>,
}

/// What belongs to one language, or to all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    /// Name → file; the operator's stands in for the built-in one.
    pub(crate) files: BTreeMap<String, Source>,
    /// Files of messages, the operator's after the built-in one.
    pub(crate) messages: Vec<Source>,
    /// Files of formats, likewise.
    pub(crate) formats: Vec<Source>,
}

/// All files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// For all languages.
    pub(crate) shared: Folder,
    /// For one each.
    pub(crate) languages: BTreeMap<String, Folder>,
}

impl Sources {
    /// Reads the built-in files, and those of the operator's folders over them, each over the one before it. Hidden files, other kinds of files and folders that are no
    /// language are passed over.
    ///
    /// # Errors
    /// A file cannot be read or is no text.
    pub(crate) fn read<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<Self, Error> {
        let mut sources = Self::built_in();
        for folder in folders {
            sources.read_folder(folder)?;
        }
        Ok(sources)
    }

    fn built_in() -> Self {
        let mut sources = Self::default();
        for dir in std::iter::once(&BUILT_IN).chain(BUILT_IN.dirs()) {
            for file in dir.files() {
                let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
                let text = file.contents_utf8().expect("built-in templates are UTF-8, a test renders them all");
                let source = Source {
                    origin: format!("{BUILT_IN_MARK}{}", file.path().display()).into(),
                    text: text.to_owned(),
                    path: None,
                };
                sources.add(&dir.path().to_string_lossy(), name, source);
            }
        }
        sources
    }

    fn add(&mut self, language: &str, name: String, source: Source) {
        let folder = if language.is_empty() {
            &mut self.shared
        } else {
            self.languages.entry(language.to_owned()).or_default()
        };
        match name.as_str() {
            MESSAGES => folder.messages.push(source),
            FORMATS => folder.formats.push(source),
            _ => _ = folder.files.insert(name, source),
        }
    }

    fn read_folder(&mut self, folder: &Path) -> Result<(), Error> {
        for (name, path) in entries(folder)? {
            if !path.is_dir() {
                self.read_file("", name, &path)?;
                continue;
            }
            // `EN` on a disk that knows no case, or `de_AT`: the language that is there already, however it is written.
            let Some(language) = as_language(&name) else { continue };
            let language = self
                .languages
                .keys()
                .find(|known| known.eq_ignore_ascii_case(&language))
                .cloned()
                .unwrap_or(language);
            for (name, path) in entries(&path)? {
                if !path.is_dir() {
                    self.read_file(&language, name, &path)?;
                }
            }
        }
        Ok(())
    }

    fn read_file(&mut self, language: &str, name: String, path: &Path) -> Result<(), Error> {
        if !ENDINGS
            .iter()
            .any(|ending| path.extension().is_some_and(|extension| extension == *ending))
        {
            return Ok(());
        }
        let source = Source {
            origin: path.display().to_string().into(),
            text: read_text(path)?,
            path: Some(path.to_owned()),
        };
        self.add(language, name, source);
        Ok(())
    }
}

/// Returns the built-in files with their paths inside a folder of templates, to be written out.
pub fn built_in_files() -> impl Iterator<Item = (&'static Path, &'static str)> {
    std::iter::once(&BUILT_IN)
        .chain(BUILT_IN.dirs())
        .flat_map(|dir| dir.files())
        .filter_map(|file| Some((file.path(), file.contents_utf8()?)))
}

fn read_text(path: &Path) -> Result<String, Error> {
    let unreadable = |source| Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    let n_bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if n_bytes > FILE_BYTES_MAX {
        return Err(Error::NotATemplate {
            path: path.to_owned(),
            found: "larger",
        });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::NotATemplate {
        path: path.to_owned(),
        found: "not UTF-8",
    })?;
    // Editors on Windows write a mark and CRLF; neither belongs into a mail's text.
    Ok(text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n"))
}

/// Lists what is not hidden, in the order of names, so that the same folder gives the same first error everywhere.
fn entries(folder: &Path) -> Result<BTreeMap<String, PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.insert(name, entry.path());
        }
    }
    Ok(found)
}

/// Returns the language that a folder's name stands for (`de`, `pt-BR`), if it looks like one.
fn as_language(name: &str) -> Option<String> {
    let tag = name.replace('_', "-");
    let mut parts = tag.split('-');
    let is_primary = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let is_subtag = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (parts.next().is_some_and(is_primary) && parts.all(is_subtag)).then_some(tag)
}

/// Returns a number that changes when a file of the folders does: name, size, and when it was written. An unreadable folder has one as well.
pub fn fingerprint<'a>(folders: impl IntoIterator<Item = &'a Path>) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    let top: Vec<PathBuf> = folders.into_iter().map(Path::to_owned).collect();
    let mut folders = top.clone();
    let is_top = |path: &Path| top.iter().any(|folder| folder == path);
    while let Some(path) = folders.pop() {
        for (name, entry) in entries(&path).unwrap_or_default() {
            let Ok(about) = std::fs::metadata(&entry) else { continue };
            if about.is_dir() {
                // Languages are the only folders that are read.
                if is_top(&path) {
                    folders.push(entry);
                }
                continue;
            }
            (path.as_os_str(), name, about.len(), about.modified().ok()).hash(&mut hasher);
        }
    }
    hasher.finish()
}
