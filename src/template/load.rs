//! Reads the templates: the built-in ones, and over them, file by file, those of the operator's folder.
//!
//! Each language gets an engine of its own, in which the language's files stand beside the shared ones under their bare names. That keeps
//! language codes out of the templates, and lets a language replace the shared layout.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};
use tera::Tera;

use crate::outbox::Kind;
use crate::template::error::Error;
use crate::template::page::Page;
use crate::template::sample::samples;
use crate::template::{clean, filters};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The language of those whose own is not there.
pub(crate) const DEFAULT_LANGUAGE: &str = "en";

/// All kinds of mail, each of which a language must have.
pub(crate) const KINDS: [Kind; 5] = [Kind::Lead, Kind::Digest, Kind::Reminder, Kind::Expiry, Kind::Decline];

/// The parts of a mail, each of which is a file.
pub(crate) const PARTS: [&str; 3] = ["html", "txt", "subject"];

/// A template of a megabyte is a mistake; the largest of ours has 8 kB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The templates of all languages, ready to render.
pub struct Set {
    pub(crate) languages: BTreeMap<String, Language>,
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Set")
            .field("languages", &self.languages.keys())
            .finish_non_exhaustive()
    }
}

/// One language: its engine, and where each of its files came from.
pub(crate) struct Language {
    pub(crate) engine: Tera,
    pub(crate) origins: BTreeMap<String, String>,
}

/// A file that was read: its text, and what to call it in an error.
#[derive(Clone)]
struct Source {
    origin: String,
    text: String,
    is_override: bool,
}

/// Folder (a language, or "" for what is shared) → file name → source.
type Sources = BTreeMap<String, BTreeMap<String, Source>>;

impl Set {
    /// Loads the built-in templates, and over them those in `folder`: `layout.html`, `en/lead.txt` and so on replace the built-in file of
    /// that name, another folder with a language's name adds a language. Hidden files, other file types and other folders are passed over.
    ///
    /// # Errors
    /// A file cannot be read, is no template, or its name fits nothing; a language is incomplete; the engine refuses a template, or cannot
    /// render it for a sample. Each names the file.
    pub fn load(folder: Option<&Path>) -> Result<Self, Error> {
        let mut sources = built_in();
        if let Some(folder) = folder {
            read_folder(folder, &mut sources)?;
            check_complete(folder, &sources)?;
            check_used(folder, &sources)?;
        }
        let shared = sources.remove("").unwrap_or_default();
        let mut languages = BTreeMap::new();
        for (language, own) in sources {
            let mut files = shared.clone();
            files.extend(own);
            languages.insert(language, build(files)?);
        }
        let set = Self { languages };
        set.render_samples()?;
        Ok(set)
    }

    /// Returns the first of the `wanted` languages that is there, each with and then without its region (`de-AT` → `de`), in any case and
    /// with `_` for `-`; English where none is (`R-LOCALE`).
    pub fn language_for(&self, wanted: &[&str]) -> &str {
        let known = |tag: &str| {
            self.languages
                .keys()
                .find(|language| language.eq_ignore_ascii_case(tag))
                .map(String::as_str)
        };
        wanted
            .iter()
            .find_map(|wanted| {
                let tag = wanted.trim().replace('_', "-");
                known(&tag).or_else(|| known(&clean::primary(&tag)))
            })
            .unwrap_or(DEFAULT_LANGUAGE)
    }

    /// Returns the languages that are there.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(String::as_str)
    }

    /// Renders each kind in each language, so that a broken template is found when it is loaded and not when it is needed.
    fn render_samples(&self) -> Result<(), Error> {
        for language in self.languages.keys() {
            for kind in KINDS {
                for view in samples(kind, language) {
                    self.render(kind, language, &view)?;
                }
            }
            for page in Page::ALL {
                for view in page.samples(language) {
                    self.render_page(page, &[language], &view)?;
                }
            }
        }
        Ok(())
    }
}

fn build(files: BTreeMap<String, Source>) -> Result<Language, Error> {
    let origins: BTreeMap<String, String> = files.iter().map(|(name, source)| (name.clone(), source.origin.clone())).collect();
    let mut engine = Tera::new();
    engine.autoescape_on([".html"]);
    filters::register(&mut engine);
    engine
        .add_raw_templates(files.iter().map(|(name, source)| (name, &source.text)))
        .map_err(|error| Error::from_engine(&error, &origins, None))?;
    Ok(Language { engine, origins })
}

fn built_in() -> Sources {
    let mut sources = Sources::new();
    for dir in std::iter::once(&BUILT_IN).chain(BUILT_IN.dirs()) {
        let files = sources.entry(dir.path().to_string_lossy().into_owned()).or_default();
        for file in dir.files() {
            let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = file
                .contents_utf8()
                .expect("built-in templates are UTF-8, a test renders them all")
                .to_owned();
            let origin = format!("built-in {}", file.path().display());
            files.insert(
                name,
                Source {
                    origin,
                    text,
                    is_override: false,
                },
            );
        }
    }
    sources
}

fn read_folder(folder: &Path, sources: &mut Sources) -> Result<(), Error> {
    for (name, path) in entries(folder)? {
        if !path.is_dir() {
            read_file("", name, &path, sources)?;
            continue;
        }
        // `EN` on a disk that knows no case, or `de_AT`: the language that is there already, however it is written.
        let Some(language) = as_language(&name) else { continue };
        let language = sources
            .keys()
            .find(|known| known.eq_ignore_ascii_case(&language))
            .cloned()
            .unwrap_or(language);
        for (name, path) in entries(&path)? {
            if !path.is_dir() {
                read_file(&language, name, &path, sources)?;
            }
        }
    }
    Ok(())
}

/// Lists what is not hidden, in the order of names, so that the same folder gives the same first error everywhere.
fn entries(folder: &Path) -> Result<BTreeMap<String, std::path::PathBuf>, Error> {
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

fn read_file(language: &str, name: String, path: &Path, sources: &mut Sources) -> Result<(), Error> {
    if !PARTS
        .iter()
        .any(|part| path.extension().is_some_and(|extension| extension == *part))
    {
        return Ok(());
    }
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
    let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n");
    let source = Source {
        origin: path.display().to_string(),
        text,
        is_override: true,
    };
    sources.entry(language.to_owned()).or_default().insert(name, source);
    Ok(())
}

/// Returns the language that a folder's name stands for (`de`, `pt-BR`), if it looks like one.
fn as_language(name: &str) -> Option<String> {
    let tag = name.replace('_', "-");
    let mut parts = tag.split('-');
    let is_primary = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let is_subtag = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (parts.next().is_some_and(is_primary) && parts.all(is_subtag)).then_some(tag)
}

fn check_complete(folder: &Path, sources: &Sources) -> Result<(), Error> {
    for (language, files) in sources.iter().filter(|(language, _)| !language.is_empty()) {
        let missing: Vec<String> = all_mails().filter(|name| !files.contains_key(name)).collect();
        if !missing.is_empty() {
            return Err(Error::Incomplete {
                path: folder.join(language),
                language: language.clone(),
                missing,
            });
        }
    }
    Ok(())
}

/// Finds the operator's files that have no effect: an override whose name is misspelt would be missed in silence.
fn check_used(folder: &Path, sources: &Sources) -> Result<(), Error> {
    let built_in = built_in();
    let known: Vec<&String> = built_in.values().flat_map(BTreeMap::keys).collect();
    let all: Vec<&Source> = sources.values().flat_map(BTreeMap::values).collect();
    for (language, files) in sources {
        for (name, source) in files.iter().filter(|(_, source)| source.is_override) {
            let is_used = known.contains(&name)
                || source.text.contains("{% component") // its components are called by name, wherever they are
                || all.iter().any(|other| other.text.contains(&format!("\"{name}\"")) || other.text.contains(&format!("'{name}'")));
            if !is_used {
                let near = known
                    .iter()
                    .map(|known| (distance(known, name), known))
                    .min()
                    .filter(|(distance, _)| *distance <= 2);
                let hint = near.map(|(_, near)| format!("; did you mean {near}?")).unwrap_or_default();
                return Err(Error::Unused {
                    path: folder.join(language).join(name),
                    hint,
                });
            }
        }
    }
    Ok(())
}

fn all_mails() -> impl Iterator<Item = String> {
    KINDS.into_iter().flat_map(|kind| PARTS.map(|part| format!("{kind}.{part}")))
}

/// Counts the edits between two names; two swapped letters are one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swapped = if is_swap { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swapped)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::template::sample::sample;

    /// Writes files into a new folder.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn load(files: &[(&str, &str)]) -> Set {
        Set::load(Some(folder(files).path())).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn check_refused(files: &[(&str, &str)], expected: &str) {
        let folder = folder(files);
        let error = Set::load(Some(folder.path())).expect_err("is refused").to_string();
        let error = error.replace(&folder.path().display().to_string(), "DIR");
        assert_eq!(error, expected);
    }

    #[test]
    fn an_operator_replaces_a_single_file() {
        let set = load(&[
            ("en/lead.subject", "Hot: {{ lead.customer }}\n"),
            (".git/x.html", "{{"),
            ("README.md", "{{"),
            ("branding/x.html", "{{"),
        ]);
        let built_in = Set::load(None).unwrap();
        let view = sample(Kind::Lead, "en");
        let (mine, theirs) = (
            set.render(Kind::Lead, "en", &view).unwrap(),
            built_in.render(Kind::Lead, "en", &view).unwrap(),
        );
        assert_eq!(mine.subject, "Hot: Contoso Ltd");
        assert_eq!((mine.html, mine.text), (theirs.html, theirs.text));
        assert_eq!(
            set.render(Kind::Lead, "de", &view).unwrap(),
            built_in.render(Kind::Lead, "de", &view).unwrap()
        );
    }

    #[test]
    fn a_replaced_shared_file_serves_all_languages_and_a_language_may_have_its_own() {
        let layout = "{{ language }} {% block content %}{% endblock %}{% block footer %}{% endblock %}";
        let set = load(&[
            ("layout.txt", &format!("SHARED {layout}")),
            ("DE/layout.txt", &format!("EIGEN {layout}")),
        ]);
        for (language, start) in [("en", "SHARED en "), ("de", "EIGEN de ")] {
            let mail = set.render(Kind::Lead, language, &sample(Kind::Lead, language)).unwrap();
            assert!(mail.text.starts_with(start), "{}", mail.text);
        }
        assert_eq!(set.languages().collect::<Vec<_>>(), ["de", "en"]);
    }

    #[test]
    fn a_copied_and_translated_folder_is_a_new_language() {
        let mut files: Vec<(String, &str)> = Vec::new();
        for file in BUILT_IN.get_dir("en").unwrap().files() {
            files.push((
                file.path().display().to_string().replace("en/", "pt_BR/"),
                file.contents_utf8().unwrap(),
            ));
        }
        files.push(("pt_BR/hello.txt".to_owned(), "Olá"));
        files.retain(|(name, _)| name != "pt_BR/lead.txt");
        files.push((
            "pt_BR/lead.txt".to_owned(),
            "{% include \"hello.txt\" %} {{ recipient.name | default(value=\"\") }}",
        ));
        let set = load(&files.iter().map(|(name, text)| (name.as_str(), *text)).collect::<Vec<_>>());
        let mail = set.render(Kind::Lead, "pt-br", &sample(Kind::Lead, "en")).unwrap();
        assert_eq!((mail.language.as_str(), mail.text.as_str()), ("pt-BR", "Olá Kim Abercrombie\n"));
        assert_eq!(set.language_for(&["pt"]), "en");
    }

    #[test]
    fn what_is_wrong_with_an_override_is_found_at_load_and_named_with_its_place() {
        let cases = [
            ("en/lead.txt", "a\n  {% if lead %}", "DIR/en/lead.txt:2:16: unexpected end of input"),
            (
                "en/lead.txt",
                "a\n  {{ lead.customer | shout }}",
                "DIR/en/lead.txt:2:22: unknown filter \"shout\"",
            ),
            (
                "en/lead.txt",
                "{{ lead.custmer }}",
                "DIR/en/lead.txt:1:9: field \"custmer\" is not defined; available fields: answers, call_to_action, contact, country, created, customer, \
                 days_left, deal, due, id, is_spam, link, notes, partner, source, urgency, value",
            ),
            (
                "en/lead.html",
                "{{ led.customer }}",
                "DIR/en/lead.html:1:4: variable \"led\" is not defined; available variables: forwarded_by, has_attachment, kind, language, lead, leads, mailed, \
                 n_leads, n_listed, n_more, n_urgent, partner, portal, recipient, unsubscribe_url",
            ),
            (
                "en/lead.txt",
                "{{ lead.contact.email }}",
                "DIR/en/lead.txt:1:17: field \"email\" is not defined; what it belongs to may be missing: put {% if … %} around it",
            ),
            (
                "en/card.txt",
                "{{ lead.nope | upper }}",
                "DIR/en/card.txt:1:4: invalid type for the value, expected \"string\" but got \"undefined\"",
            ),
            (
                "en/lead.txt",
                "{% include \"nope.txt\" %}",
                "DIR/en/lead.txt:1:12: unknown template \"nope.txt\"",
            ),
            (
                "en/lead.txt",
                "{% extends \"nope.txt\" %}",
                "DIR/en/lead.txt: extends \"nope.txt\", which is not there",
            ),
            (
                "en/lead.txt",
                "{% include \"lead.txt\" %}",
                "DIR/en/lead.txt: leads back to itself: lead.txt → lead.txt",
            ),
            (
                "en/lead.subject",
                "{# nothing #}\n",
                "DIR/en/lead.subject: the subject of a lead mail is empty; write one line of text",
            ),
            (
                "en/laed.html",
                "x",
                "DIR/en/laed.html: replaces no built-in template, and no template includes it; did you mean lead.html?",
            ),
            (
                "en/signature.txt",
                "x",
                "DIR/en/signature.txt: replaces no built-in template, and no template includes it",
            ),
        ];
        for (name, text, expected) in cases {
            check_refused(&[(name, text)], expected);
        }
    }

    #[test]
    fn a_folder_that_is_no_set_of_templates_is_refused() {
        check_refused(
            &[
                ("fr/lead.html", "x"),
                ("fr/lead.txt", "x"),
                ("fr/lead.subject", "x"),
                ("fr/digest.html", "x"),
            ],
            "DIR/fr: the language \"fr\" lacks digest.txt, digest.subject, reminder.html, reminder.txt, reminder.subject, expiry.html, expiry.txt, \
             expiry.subject, decline.html, decline.txt, decline.subject; a language has .html, .txt and .subject of each kind: copy the folder \
             of another one and translate it",
        );
        let big = "x".repeat(1024 * 1024 + 1);
        check_refused(
            &[("en/lead.txt", &big)],
            "DIR/en/lead.txt: is larger; a template is UTF-8 text of at most 1 MiB",
        );
        let latin = folder(&[]);
        fs::write(latin.path().join("layout.txt"), b"Gr\xFC\xDFe").unwrap();
        let error = Set::load(Some(latin.path())).unwrap_err().to_string();
        assert!(
            error.ends_with("layout.txt: is not UTF-8; a template is UTF-8 text of at most 1 MiB"),
            "{error}"
        );
        let missing = latin.path().join("missing");
        assert_eq!(
            Set::load(Some(&missing)).unwrap_err().to_string(),
            format!("{}: cannot be read", missing.display())
        );
    }

    #[test]
    fn a_condition_on_a_misspelt_name_is_false_in_silence() {
        // The engine's limit that the module docs name; if this fails one day, the docs may promise more.
        load(&[("en/lead.txt", "{% if lead.nope %}never{% endif %}{{ lead.nope or \"x\" }}")]);
    }

    /// R-LOCALE.
    #[test]
    fn a_language_is_found_by_its_region_then_without_then_english() {
        let set = Set::load(None).unwrap();
        let cases: [(&[&str], &str); 9] = [
            (&["de-AT", "en"], "de"),
            (&["DE_at"], "de"),
            (&["De"], "de"),
            (&["de-Latn-DE-1996"], "de"),
            (&["fr", "de"], "de"),
            (&["fr"], "en"),
            (&["", "de"], "de"),
            (&["deu"], "en"),
            (&[], "en"),
        ];
        for (wanted, found) in cases {
            assert_eq!(set.language_for(wanted), found, "{wanted:?}");
        }
    }
}
