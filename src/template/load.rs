//! Makes a set of templates of its files: reads, checks, flattens, converts, and tries each on its samples.
//!
//! Each language gets an engine of its own, in which a mail's part is one flat template. That keeps language codes out of the templates, and
//! makes a mail cost what it says.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::thread;

use sha2::{Digest, Sha256};
use tera::Tera;

use crate::outbox::Kind;
use crate::settings::Branding;
use crate::template::brand::{BrandView, Look};
use crate::template::contract::{self, Variable};
use crate::template::error::Error;
use crate::template::flat::Flat;
use crate::template::flatten::Flattener;
use crate::template::formats::{self, Formats, Table};
use crate::template::lex::{Piece, Place, pieces};
use crate::template::lexicon::Lexicon;
use crate::template::messages::{self, Messages};
use crate::template::near::hint;
use crate::template::page::Page;
use crate::template::render::direction;
use crate::template::sample::{self, Sample};
use crate::template::sources::{BUILT_IN_MARK, Source, Sources};
use crate::template::view::View;
use crate::template::{clean, filters, mjml, strict};

/// The language of those whose own is not there.
pub(crate) const DEFAULT_LANGUAGE: &str = "en";

/// All kinds of mail.
pub(crate) const KINDS: [Kind; 5] = [Kind::Lead, Kind::Digest, Kind::Reminder, Kind::Expiry, Kind::Decline];

/// The parts of a mail: what the engine calls one, and the file that it is made of.
const PARTS: [(&str, &str); 3] = [("html", "mjml"), ("txt", "txt"), ("subject", "subject")];

/// The templates of all languages, ready to render.
pub struct Set {
    pub(crate) languages: BTreeMap<String, Made>,
    digest: Arc<str>,
}

/// A language that is made when it is first used.
pub(crate) type Made = LazyLock<Language, Box<dyn FnOnce() -> Language + Send>>;

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Set")
            .field("languages", &self.languages.keys())
            .finish_non_exhaustive()
    }
}

/// One language: its engine, and where each template came from.
pub(crate) struct Language {
    pub(crate) engine: Tera,
    /// How it writes dates, numbers and amounts.
    pub(crate) formats: Arc<Formats>,
    /// What the engine calls a template → what it was made of.
    pub(crate) flat: BTreeMap<String, Flat>,
    /// Of the contract of each kind of mail, the variables that its templates mention.
    pub(crate) mentioned: BTreeMap<Kind, Vec<&'static str>>,
    /// What its templates see of the look, as the engine takes it.
    pub(crate) brand_value: tera::Value,
    /// Template file → the file that it is read from.
    pub(crate) origins: BTreeMap<String, Arc<str>>,
    /// Messages that are taken from another language.
    pub(crate) gaps: Vec<String>,
    used_files: BTreeSet<String>,
    used_messages: BTreeSet<String>,
}

/// A template to make: what the engine calls it, its file, what an error calls it, and what it may say.
struct Part {
    name: String,
    file: String,
    what: String,
    contract: &'static [Variable],
}

fn parts() -> Vec<Part> {
    let mails = KINDS.into_iter().flat_map(|kind| {
        PARTS.map(|(part, ending)| Part {
            name: format!("{kind}.{part}"),
            file: format!("{kind}.{ending}"),
            what: format!("a mail of kind {kind}"),
            contract: contract::of_mail(kind),
        })
    });
    let pages = Page::ALL.into_iter().map(|page| Part {
        name: page.file().to_owned(),
        file: page.file().to_owned(),
        what: "a page".to_owned(),
        contract: contract::of_page(page),
    });
    mails.chain(pages).collect()
}

impl Set {
    /// Loads the built-in templates, and over them those of the look's folders, and writes its colours into them: `layout.mjml`, `lead.txt` and so on replace the built-in file of that
    /// name for all languages, `de/lead.txt` for one; the messages of `de/messages.toml` replace those of the same key. A folder with another
    /// language's name adds a language.
    ///
    /// # Errors
    /// The first fault: a file cannot be read, has no effect, uses a name that is not there, or cannot be rendered for a sample. It names
    /// file, line and column.
    pub fn load(look: impl Into<Look>) -> Result<Self, Error> {
        let (set, mut faults) = Self::load_all(look)?;
        if faults.is_empty() { Ok(set) } else { Err(faults.swap_remove(0)) }
    }

    /// Loads as [`Set::load`] does, but goes on after a fault where it can, so that all are seen at once. A set with faults is not to be mailed
    /// from.
    ///
    /// # Errors
    /// A fault that nothing can be said after: a file cannot be read, or is not well-formed.
    pub fn load_all(look: impl Into<Look>) -> Result<(Self, Vec<Error>), Error> {
        let look = look.into();
        let files = Files::read(&look)?;
        let digest = files.digest().into();
        if files.is_built_in {
            let languages = files.make_when_used();
            return Ok((Self { languages, digest }, Vec::new()));
        }
        let (languages, mut faults) = files.make_all()?;
        let set = Self { languages, digest };
        set.find_unused(&files, &mut faults);
        if faults.is_empty() {
            faults.extend(set.render_samples().err());
        }
        Ok((set, faults))
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

    /// Returns what these templates are known by: equal for equal templates, wherever they are read from.
    pub fn digest(&self) -> Arc<str> {
        Arc::clone(&self.digest)
    }

    /// Returns the languages that are there.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(String::as_str)
    }

    /// Returns how dates, numbers and amounts are written in `language`, or where that is not there, in the one that stands in for it.
    pub fn formats(&self, language: &str) -> &Formats {
        &self.languages[self.language_for(&[language])].formats
    }

    /// Returns [`sample()`](crate::template::sample()) as a language of this set writes its dates.
    pub fn sample(&self, kind: Kind, language: &str) -> View {
        sample::sample_in(kind, self.formats(language))
    }

    /// Returns [`samples`](crate::template::samples()) as a language of this set writes their dates.
    pub fn samples(&self, kind: Kind, language: &str) -> [Sample; 6] {
        sample::samples_in(kind, self.formats(language))
    }

    /// Returns the messages that a language takes from another one, and what of its formats.
    pub fn gaps(&self, language: &str) -> &[String] {
        self.languages.get(language).map_or(&[], |language| language.gaps.as_slice())
    }

    /// Returns the files that a language's mails of a kind are made of: the template, and where it is read from.
    pub fn files(&self, language: &str, kind: Kind) -> Vec<(String, Arc<str>)> {
        let Some(language) = self.languages.get(language) else {
            return Vec::new();
        };
        PARTS
            .iter()
            .filter_map(|(_, ending)| {
                let file = format!("{kind}.{ending}");
                let origin = language.origins.get(&file)?;
                Some((file, Arc::clone(origin)))
            })
            .collect()
    }

    /// Renders each kind in each language, so that a broken template is found when it is loaded and not when it is needed.
    fn render_samples(&self) -> Result<(), Error> {
        for language in self.languages.keys() {
            for kind in KINDS {
                for sample in self.samples(kind, language) {
                    self.render(kind, language, &sample.view)?;
                }
            }
            for page in Page::ALL {
                for view in page.samples(self.formats(language)) {
                    self.render_page(page, &[language], &view)?;
                }
            }
        }
        Ok(())
    }

    /// Finds what the operator wrote without effect: a misspelt name would be missed in silence.
    fn find_unused(&self, files: &Files, faults: &mut Vec<Error>) {
        let Files { sources, messages, .. } = files;
        let any_uses = |name: &str| self.languages.values().any(|language| language.used_files.contains(name));
        let all_files: BTreeSet<&str> = self
            .languages
            .values()
            .flat_map(|language| language.origins.keys().map(String::as_str))
            .collect();
        let shared = sources.shared.files.iter().map(|file| ("", file));
        let own = sources
            .languages
            .iter()
            .flat_map(|(language, folder)| folder.files.iter().map(move |file| (language.as_str(), file)));
        for (language, (name, source)) in shared.chain(own) {
            let is_used = match self.languages.get(language) {
                Some(language) => language.used_files.contains(name),
                None => any_uses(name),
            };
            if let (Some(path), false) = (&source.path, is_used) {
                let others = all_files.iter().copied().filter(|other| other != name);
                faults.push(Error::Unused {
                    path: path.clone(),
                    hint: hint(name, others),
                });
            }
        }
        for source in sources.shared.messages.iter().chain(&sources.shared.formats) {
            let name = source.origin.rsplit(['/', '\\']).next().unwrap_or_default();
            let message = format!("this belongs to a language: put the file into its folder, such as en/{name}");
            faults.push(Error::at(&Place::start_of(&source.origin), message));
        }
        let used: BTreeSet<&str> = self
            .languages
            .values()
            .flat_map(|language| language.used_messages.iter().map(String::as_str))
            .collect();
        for message in messages.values().flatten() {
            let is_built_in = message.1.place.file.starts_with(BUILT_IN_MARK);
            // A template of the operator's may have no use for what is built in.
            if !is_built_in && !used.contains(message.0.as_str()) {
                let found = format!(
                    "no template uses the message \"{}\"{}",
                    message.0,
                    hint(message.0, used.iter().copied())
                );
                faults.push(Error::at(&message.1.place, found));
            }
        }
    }
}

/// Bytes of the digest that are told: twelve letters tell two sets of templates of one operator apart.
const DIGEST_BYTES: usize = 6;

/// What a set is made of.
struct Files {
    sources: Sources,
    /// Language → its words, the operator's over the built-in ones.
    messages: BTreeMap<String, Messages>,
    /// Language → its formats, the operator's before the built-in ones.
    tables: BTreeMap<String, Vec<Table>>,
    branding: Branding,
    /// Nothing of it is the operator's: it has no fault, a test makes and renders all of it.
    is_built_in: bool,
}

impl Files {
    fn read(look: &Look) -> Result<Self, Error> {
        let sources = Sources::read(look.folders.iter().map(PathBuf::as_path))?;
        let (mut messages, mut tables) = (BTreeMap::new(), BTreeMap::new());
        for (language, own) in &sources.languages {
            // The operator's comes last, and first where it is looked for.
            let read = own.formats.iter().rev().map(|source| formats::read(&source.origin, &source.text));
            tables.insert(language.clone(), read.collect::<Result<Vec<Table>, Error>>()?);
            let mut merged = Messages::new();
            for source in &own.messages {
                merged.extend(messages::read(&source.origin, language, &source.text)?);
            }
            messages.insert(language.clone(), merged);
        }
        Ok(Self {
            sources,
            messages,
            tables,
            branding: look.branding.clone(),
            is_built_in: look.folders.is_empty(),
        })
    }

    /// Has each language made when it is first used: most never are, and no start waits for five of them. A look makes no template wrong: colours and a
    /// width are all of it that is written into one.
    fn make_when_used(self) -> BTreeMap<String, Made> {
        let files = Arc::new(self);
        let languages = files.sources.languages.keys().cloned();
        let lazily = |language: String| {
            let (files, name) = (Arc::clone(&files), language.clone());
            let make = move || match build(&name, &files) {
                Ok((made, faults)) if faults.is_empty() => made,
                Ok((_, faults)) => panic!("the built-in templates have faults: {faults:?}"),
                Err(error) => panic!("the built-in templates cannot be made: {error}"),
            };
            (language, Made::new(Box::new(make)))
        };
        languages.map(lazily).collect()
    }

    /// Makes all languages, side by side, and tells all that is wrong with them.
    fn make_all(&self) -> Result<(BTreeMap<String, Made>, Vec<Error>), Error> {
        let built = thread::scope(|scope| {
            let names = self.sources.languages.keys();
            let builders: Vec<_> = names.map(|language| scope.spawn(move || build(language, self))).collect();
            let built = builders
                .into_iter()
                .map(|builder| builder.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)));
            built.collect::<Vec<_>>()
        });
        let (mut languages, mut faults) = (BTreeMap::new(), Vec::new());
        for (language, built) in self.sources.languages.keys().zip(built) {
            let (made, found) = built?;
            languages.insert(language.clone(), Made::new(Box::new(move || made)));
            faults.extend(found);
        }
        Ok((languages, faults))
    }

    /// Returns what these templates are known by: equal for equal words, files, formats and colours.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        // With lengths, so that no text can pass for another one's end.
        let mut add = |name: &str, text: &str| hash.update(format!("{name} {}\n{text}", text.len()));
        let shared = [(&String::new(), &self.sources.shared)];
        for (language, folder) in shared.into_iter().chain(&self.sources.languages) {
            for (name, source) in &folder.files {
                add(&format!("{language}/{name}"), &source.text);
            }
        }
        for (language, messages) in &self.messages {
            for (key, message) in messages {
                let chosen = message.chosen.as_ref().map_or("", |chosen| &chosen.variable);
                for (form, words) in &message.forms {
                    add(&format!("{language} {key} {chosen} {form}"), &words.text);
                }
            }
            add(
                language,
                &format!("{:?}", formats_of(language, &chain(language, &self.messages), &self.tables)),
            );
            let brand = BrandView::new(&self.branding, language);
            add(language, &serde_json::to_string(&brand).unwrap_or_default());
        }
        let bytes = hash.finalize();
        bytes.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Returns the languages that stand in for one another: itself, the one without region, English.
fn chain<'a>(language: &'a str, all: &'a BTreeMap<String, Messages>) -> Vec<&'a str> {
    let mut chain = vec![language];
    let parent = clean::primary(language);
    for other in [parent.as_str(), DEFAULT_LANGUAGE] {
        if let Some((known, _)) = all.get_key_value(other)
            && !chain.contains(&known.as_str())
        {
            chain.push(known);
        }
    }
    chain
}

/// Returns how a language writes dates and amounts, by its own tables and those of the languages above it.
fn formats_of(language: &str, chain: &[&str], tables: &BTreeMap<String, Vec<Table>>) -> Formats {
    // English stands in for all; what comes from there is a gap, but in English itself.
    let n_own = chain.len().saturating_sub(1).max(1);
    let n_own = chain[..n_own].iter().map(|language| tables[*language].len()).sum();
    let all: Vec<&Table> = chain.iter().flat_map(|language| &tables[*language]).collect();
    Formats::new(&all, n_own, direction(language).0 == "rtl")
}

/// Makes one language's templates, and tells what is wrong with them.
fn build(language: &str, files: &Files) -> Result<(Language, Vec<Error>), Error> {
    let Files {
        sources,
        messages,
        tables,
        branding,
        is_built_in,
    } = files;
    let brand = BrandView::new(branding, language);
    let chain = chain(language, messages);
    let formats = Arc::new(formats_of(language, &chain, tables));
    let mut files: BTreeMap<String, &Source> = sources.shared.files.iter().map(|(name, source)| (name.clone(), source)).collect();
    // English is nobody's parent where files are concerned: its own are for English alone.
    for over in chain
        .iter()
        .rev()
        .filter(|over| **over == language || clean::primary(language) == **over)
    {
        let own = sources.languages.get(*over).map(|folder| &folder.files);
        files.extend(own.into_iter().flatten().map(|(name, source)| (name.clone(), source)));
    }
    let chain: Vec<(&str, &Messages)> = chain.into_iter().map(|language| (language, &messages[language])).collect();
    if !is_built_in {
        check_syntax(&files, &chain, &formats)?;
    }
    let lexicon = Lexicon::new(chain);
    let cut: BTreeMap<String, Vec<Piece>> = files
        .iter()
        .map(|(name, source)| (name.clone(), pieces(&Place::start_of(&source.origin), &source.text)))
        .collect();
    let flattener = Flattener {
        files: &cut,
        lexicon: &lexicon,
        used: RefCell::default(),
    };
    let (mut flat, mut faults) = (BTreeMap::new(), Vec::new());
    for part in parts() {
        let start = Place::start_of(&files[&part.file].origin);
        match make(&part, &start, language, &brand, &flattener) {
            Ok(made) => _ = flat.insert(part.name, made),
            Err(found) => faults.extend(found),
        }
    }
    let mut engine = engine(&formats);
    engine
        .add_raw_templates(flat.iter().map(|(name, flat)| (name.as_str(), flat.text.as_str())))
        .map_err(|error| Error::from_flat(&error, &flat, ""))?;
    let used_files = flattener.used.take();
    let built = Language {
        engine,
        mentioned: KINDS.into_iter().map(|kind| (kind, mentioned(kind, &flat))).collect(),
        flat,
        brand_value: tera::Value::from_serializable(&brand),
        origins: files
            .iter()
            .map(|(name, source)| (name.clone(), Arc::clone(&source.origin)))
            .collect(),
        gaps: lexicon.gaps().into_iter().chain(formats.gaps().map(str::to_owned)).collect(),
        formats,
        used_files,
        used_messages: lexicon.used(),
    };
    Ok((built, faults))
}

fn mentioned(kind: Kind, flat: &BTreeMap<String, Flat>) -> Vec<&'static str> {
    let parts: Vec<&Flat> = PARTS.iter().filter_map(|(part, _)| flat.get(&format!("{kind}.{part}"))).collect();
    let names = contract::of_mail(kind).iter().map(|variable| variable.name);
    names.filter(|name| parts.iter().any(|part| part.mentions(name))).collect()
}

/// Writes what is the same in each mail of a language and look.
fn settle(piece: &mut Piece, language: &str, brand: &BrandView) {
    let Piece::Print(place, body) = piece else { return };
    let (direction, start_side, end_side) = direction(language);
    let settled = match body.as_str() {
        "language" => Some(language.to_owned()),
        "direction" => Some(direction.to_owned()),
        "start_side" => Some(start_side.to_owned()),
        "end_side" => Some(end_side.to_owned()),
        other => brand.settled(other),
    };
    if let Some(settled) = settled {
        *piece = Piece::Text(place.clone(), settled);
    }
}

fn engine(formats: &Arc<Formats>) -> Tera {
    let mut engine = Tera::new();
    engine.autoescape_on([".html"]);
    filters::register(&mut engine, formats);
    engine
}

/// Lets the engine read each file and message by itself: it says best what is not well-formed, and where.
fn check_syntax(files: &BTreeMap<String, &Source>, chain: &[(&str, &Messages)], formats: &Arc<Formats>) -> Result<(), Error> {
    let mut scratch = engine(formats);
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    let mut texts: Vec<(String, &str)> = Vec::new();
    for (name, source) in files {
        places.insert(name.clone(), Place::start_of(&source.origin));
        texts.push((name.clone(), &source.text));
    }
    for (language, messages) in chain {
        for (key, message) in *messages {
            for (form, words) in &message.forms {
                let name = format!("{language}/messages.toml {key} {form}");
                places.insert(name.clone(), words.place.clone());
                texts.push((name, &words.text));
            }
        }
    }
    scratch
        .add_raw_templates(texts)
        .map_err(|error| Error::from_engine(&error, &places))
}

fn make(part: &Part, start: &Place, language: &str, brand: &BrandView, flattener: &Flattener<'_>) -> Result<Flat, Vec<Error>> {
    let mut flat = flattener.flat(&part.file).map_err(|error| vec![error])?;
    let faults = strict::faults(&part.what, part.contract, &flat);
    if !faults.is_empty() {
        return Err(faults);
    }
    flat.iter_mut().for_each(|piece| settle(piece, language, brand));
    if part.file.ends_with(".mjml") {
        let html = mjml::convert(start, &flat).map_err(|error| vec![error])?;
        return Ok(Flat::compact(html));
    }
    Ok(Flat::new(flat))
}

/// The built-in templates, loaded once for all tests.
#[cfg(test)]
pub(crate) fn built_in() -> &'static Set {
    static BUILT_IN: std::sync::LazyLock<Set> = std::sync::LazyLock::new(|| Set::load(None).unwrap_or_else(|error| panic!("{error}")));
    &BUILT_IN
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
    fn an_operator_replaces_a_single_file_or_a_single_text() {
        let set = load(&[
            ("en/lead.subject", "Hot: {{ lead.customer }}\n"),
            (
                "de/messages.toml",
                "hello = \"Servus,\"\n[lead.heading]\nby = \"lead.urgency\"\nother = \"Anfrage & mehr\"",
            ),
            (".git/x.html", "{{"),
            ("README.md", "{{"),
            ("branding/x.html", "{{"),
        ]);
        let built_in = built_in();
        let view = sample(Kind::Lead, "en");
        let (mine, theirs) = (
            set.render(Kind::Lead, "en", &view).unwrap(),
            built_in.render(Kind::Lead, "en", &view).unwrap(),
        );
        assert_eq!(mine.subject, "Hot: Contoso Ltd");
        assert_eq!((mine.html, mine.text), (theirs.html, theirs.text));
        let mine = set.render(Kind::Lead, "de", &view).unwrap();
        assert_eq!(mine.subject, "Anfrage & mehr: Contoso Ltd – Cloud migration of 40 branch offices");
        assert!(
            mine.html.contains("Servus,") && mine.html.contains("Anfrage &amp; mehr"),
            "{}",
            mine.html
        );
        assert!(mine.text.contains("ein Kunde wartet"), "the other texts stay: {}", mine.text);
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
    }

    #[test]
    fn a_folder_with_a_few_texts_is_a_new_language_and_takes_the_rest_from_those_above_it() {
        let set = load(&[
            (
                "pt_BR/messages.toml",
                "hello = \"Olá{% if recipient.name %} {{ recipient.name }}{% endif %},\"",
            ),
            ("de-AT/messages.toml", "hello = \"Servus,\""),
            ("de/lead.txt", "DE {{ t.hello }} {{ t.label.due }}"),
        ]);
        let mail = set.render(Kind::Lead, "pt-br", &sample(Kind::Lead, "en")).unwrap();
        assert_eq!(mail.language, "pt-BR");
        assert!(
            mail.text.contains("Olá Kim Abercrombie,") && mail.text.contains("Please accept"),
            "{}",
            mail.text
        );
        assert!(mail.html.contains("<html lang=\"pt-BR\" dir=\"ltr\""), "{}", mail.html);
        let mail = set.render(Kind::Lead, "de-AT", &sample(Kind::Lead, "de")).unwrap();
        assert_eq!(
            mail.text, "DE Servus, Frist\n",
            "the file and the texts of the language without region"
        );
        assert_eq!(set.language_for(&["pt"]), "en");
        assert!(set.gaps("pt-BR").iter().any(|key| key == "lead.intro"), "{:?}", set.gaps("pt-BR"));
        assert!(!set.gaps("pt-BR").iter().any(|key| key == "hello"));
        assert!(
            set.gaps("pt-BR").iter().any(|key| key == "formats.months"),
            "dates, too, come from English"
        );
        assert_eq!(set.gaps("de-AT"), [""; 0], "what German has is no gap");
    }

    #[test]
    fn what_is_built_in_renders_every_sample_in_every_language() {
        built_in().render_samples().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whatever is built in is complete and used.
    #[test]
    fn the_built_in_languages_lack_nothing_and_have_nothing_too_much() {
        let sources = Sources::read(None).unwrap();
        let set = built_in();
        let mut messages = BTreeMap::new();
        for (language, folder) in &sources.languages {
            assert_eq!(set.gaps(language), [""; 0], "{language}");
            messages.insert(
                language.as_str(),
                messages::read(&folder.messages[0].origin, language, &folder.messages[0].text).unwrap(),
            );
        }
        for name in sources.shared.files.keys() {
            assert!(
                set.languages.values().all(|language| language.used_files.contains(name)),
                "{name} is used by nothing"
            );
        }
        for key in messages["en"].keys() {
            assert!(set.languages["en"].used_messages.contains(key), "{key} is used by nothing");
        }
        let english: Vec<&String> = messages["en"].keys().collect();
        for (language, messages) in &messages {
            assert_eq!(messages.keys().collect::<Vec<_>>(), english, "{language}");
        }
    }

    #[test]
    fn what_is_wrong_is_found_at_load_and_named_with_its_place() {
        let cases = [
            ("en/lead.txt", "a\n  {% if lead %}", "DIR/en/lead.txt:2:16: unexpected end of input"),
            (
                "en/lead.txt",
                "a\n  {{ lead.customer | quot }}",
                "DIR/en/lead.txt:2:22: unknown filter \"quot\"; did you mean \"quote\"?",
            ),
            (
                "en/lead.txt",
                "{{ lead.custmer }}",
                "DIR/en/lead.txt:1:9: \"lead\" has no \"custmer\"; did you mean \"customer\"?",
            ),
            (
                "lead.mjml",
                "<mjml><mj-body><mj-section><mj-column>\n<mj-text>{{ led.customer }}</mj-text></mj-column></mj-section></mj-body></mjml>",
                "DIR/lead.mjml:2:13: a mail of kind lead has no \"led\"; did you mean \"lead\"?",
            ),
            (
                "lead.txt",
                "{{ leads[0].customer }}",
                "DIR/lead.txt:1:4: a mail of kind lead has no \"leads\"; did you mean \"lead\"?",
            ),
            (
                "en/lead.txt",
                "{% if lead.nope %}never{% endif %}",
                "DIR/en/lead.txt:1:12: \"lead\" has no \"nope\"; did you mean \"notes\"?",
            ),
            (
                "digest.txt",
                "{% for lead in leads %}{% if false %}{{ lead.contact.emial }}{% endif %}{% endfor %}",
                "DIR/digest.txt:1:54: \"lead.contact\" has no \"emial\"; did you mean \"email\"?",
            ),
            (
                "digest.txt",
                "{{ leads }}",
                "DIR/digest.txt:1:4: \"leads\" is no text, but holds id, customer, deal, partner, urgency, created, due, days_left, link, contact, notes, \
                 country, source, call_to_action, value, is_spam, answers",
            ),
            (
                "en/lead.txt",
                "{{ lead.contact.email }}",
                "DIR/en/lead.txt:1:17: field \"email\" is not defined; what it belongs to may be missing: put {% if … %} around it",
            ),
            (
                "en/lead.txt",
                "{% include \"crad.txt\" %}",
                "DIR/en/lead.txt:1:12: unknown template \"crad.txt\"; did you mean \"card.txt\"?",
            ),
            (
                "en/lead.txt",
                "{% extends \"nope.txt\" %}",
                "DIR/en/lead.txt:1:1: extends \"nope.txt\", which is not there",
            ),
            (
                "en/lead.txt",
                "{% include \"lead.txt\" %}",
                "DIR/en/lead.txt:1:1: leads back to itself: lead.txt → lead.txt",
            ),
            (
                "en/lead.txt",
                "{% if true %}{% else %}{{ t.helo }}{% endif %}",
                "DIR/en/lead.txt:1:27: there is no message \"helo\"; did you mean \"hello\"?",
            ),
            (
                "en/lead.txt",
                "{% if t.hello %}{% endif %}",
                "DIR/en/lead.txt:1:7: a message stands for itself: {{ t.key }}, without filters and not in a condition",
            ),
            (
                "en/lead.txt",
                "{{ range(end=1000000000) }}",
                "DIR/en/lead.txt:1:4: \"range\" is no function that templates have; they have none",
            ),
            (
                "en/digest.txt",
                "{% for a in leads %}\n{% for b in leads %}\n{% for c in mailed %}{% endfor %}{% endfor %}{% endfor %}",
                "DIR/en/digest.txt:3:4: loops stand at most 2 deep inside one another, so that no mail takes for ever",
            ),
            (
                "en/lead.txt",
                "{% set_global a = 1 %}",
                "DIR/en/lead.txt:1:4: \"set_global\" is not known here; {% set %} holds to the end of the loop, or of the mail, that it stands in",
            ),
            (
                "en/lead.subject",
                "{# nothing #}\n",
                "DIR/en/lead.subject: the subject of a lead mail is empty; write one line of text",
            ),
            (
                "en/messages.toml",
                "# words\nhello = \"Hi {{ recipient.nam }},\"",
                "DIR/en/messages.toml:2:26: \"recipient\" has no \"nam\"; did you mean \"name\"?",
            ),
            (
                "en/messages.toml",
                "helo = \"Hi\"",
                "DIR/en/messages.toml:1:1: no template uses the message \"helo\"; did you mean \"hello\"?",
            ),
            (
                "en/messages.toml",
                "[n_more]\ncount = \"n_more\"\nfew = \"x\"\nother = \"y\"",
                "DIR/en/messages.toml:3:1: \"few\" is no plural form of \"en\"; it has one, other, and numbers such as 0",
            ),
            (
                "en/messages.toml",
                "[n_more]\ncount = \"n_more\"\none = \"x\"",
                "DIR/en/messages.toml:1:2: \"n_more\" lacks the form \"other\", which is taken where no other one fits",
            ),
            (
                "en/messages.toml",
                "hello = Hi",
                "DIR/en/messages.toml:1:9: string values must be quoted, expected literal string",
            ),
            (
                "en/messages.toml",
                "comma = \"{{ t.comma }}\"",
                "DIR/en/messages.toml:1:1: \"comma\" leads back to itself",
            ),
            (
                "card.mjml",
                "<mj-text>a</mj-text>\n<mj-txet>b</mj-txet>",
                "DIR/card.mjml:2:2: MJML has no <mj-txet>; did you mean \"mj-text\"?",
            ),
            (
                "card.mjml",
                "<mj-text>a</mj-text>\n{{ lead.customer }}",
                "DIR/card.mjml:2:4: \"lead.customer\" stands between elements; put it into one that holds text, such as <mj-text>",
            ),
            (
                "card.mjml",
                "<mj-text>a</mj-text>\n by hand <br>",
                "DIR/card.mjml:2:2: \"by\" stands between elements; put it into one that holds text, such as <mj-text>",
            ),
            (
                "card.mjml",
                "<mj-text {% if lead.deal %}align=\"left\"{% endif %}>a</mj-text>",
                "DIR/card.mjml:1:13: \"if lead.deal\" stands between the attributes of an element; it can stand in the value of one, or around the element",
            ),
            (
                "card.mjml",
                "<mj-text>a\n",
                "DIR/card.mjml:1:2: <mj-text> is not closed before </mj-column>",
            ),
            (
                "card.mjml",
                "<mj-text>a\n<b>b<br>\n</mj-text>",
                "DIR/card.mjml:2:2: <b> is not closed before </mj-text>",
            ),
            (
                "card.mjml",
                "<mj-text>a</mj-text>\n</mj-text>",
                "DIR/card.mjml:2:2: </mj-text> closes nothing that is open here",
            ),
            (
                "card.mjml",
                "<mj-text>a</mj-text>\n<mj-text>a < b</mj-text>",
                "DIR/card.mjml:2:12: MJML finds what is not well-formed: invalid element cause invalid name token",
            ),
            (
                "card.mjml",
                "<mj-text>a</mj-text>\n<mj-text align=\"left\" colour=\"#fff\">a</mj-text>",
                "DIR/card.mjml:2:2: <mj-text> has no \"colour\"; did you mean \"color\"?",
            ),
            ("lead.mjml", "", "DIR/lead.mjml:1:1: MJML finds no <mjml> element"),
            (
                "layout.mjml",
                "<mjml>\n<mj-body><mj-section><mj-column><mj-text>{% block title %}{% endblock %}{% block preheader %}{% endblock %}</mj-text>\
                 {% block content %}{% endblock %}{% block footer %}{% endblock %}</mj-column></mj-section>",
                "DIR/layout.mjml:2:2: <mj-body> is not closed",
            ),
            (
                "en/messages.toml",
                "hello = \"**Hi\"",
                "DIR/en/messages.toml:1:11: <strong> is not closed before </mj-text>",
            ),
            (
                "en/messages.toml",
                "[lead.heading]\nby = \"lead.urgenc\"\nurgent = \"x\"\nother = \"y\"",
                "DIR/en/messages.toml:2:12: \"lead\" has no \"urgenc\"; did you mean \"urgency\"?",
            ),
            (
                "en/messages.toml",
                "[lead.heading]\nby = \"lead.urgency\"\nurgnt = \"x\"\nother = \"y\"",
                "DIR/en/messages.toml:2:7: \"lead.urgency\" is never \"urgnt\"; did you mean \"urgent\"?",
            ),
            (
                "en/lead.txt",
                "{% if lead.urgency != \"hot\" %}x{% endif %}",
                "DIR/en/lead.txt:1:7: \"lead.urgency\" is never \"hot\"; it is one of urgent, cooled",
            ),
            (
                "en/laed.txt",
                "x",
                "DIR/en/laed.txt: replaces no built-in template, and no template uses it; did you mean \"lead.txt\"?",
            ),
            (
                "en/signature.txt",
                "x",
                "DIR/en/signature.txt: replaces no built-in template, and no template uses it",
            ),
        ];
        let mut wrong = Vec::new();
        for (name, text, expected) in cases {
            let folder = folder(&[(name, text)]);
            let found = Set::load(Some(folder.path())).map_or_else(|error| error.to_string(), |_| "nothing".to_owned());
            let found = found.replace(&folder.path().display().to_string(), "DIR");
            if found != expected {
                wrong.push(format!("expected: {expected}\n   found: {found}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let folder = folder(&[("lead.txt", "{{ led }}{{ lead.deel }}"), ("digest.txt", "{{ lead }}")]);
        let (_, faults) = Set::load_all(Some(folder.path())).unwrap();
        // Each language has them.
        assert!(faults.len() >= 6, "{faults:?}");
    }

    #[test]
    fn what_is_no_text_is_refused() {
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
            Set::load(Some(missing.as_path())).unwrap_err().to_string(),
            format!("{}: cannot be read", missing.display())
        );
    }

    /// R-LOCALE.
    #[test]
    fn a_language_is_found_by_its_region_then_without_then_english() {
        let set = built_in();
        let cases: [(&[&str], &str); 11] = [
            (&["de-AT", "en"], "de"),
            (&["DE_at"], "de"),
            (&["De"], "de"),
            (&["de-Latn-DE-1996"], "de"),
            (&["it", "de"], "de"),
            (&["it"], "en"),
            (&["en-CA"], "en"),
            (&["fr-CA", "en"], "fr"),
            (&["", "de"], "de"),
            (&["deu"], "en"),
            (&[], "en"),
        ];
        for (wanted, found) in cases {
            assert_eq!(set.language_for(wanted), found, "{wanted:?}");
        }
    }
}
