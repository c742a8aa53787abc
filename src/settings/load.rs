//! Finds the file, lays the environment over it, and answers with settings that are right as a whole, or with all faults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use toml::de::{DeTable, DeValue};

use crate::settings::keys::{Row, rows};
use crate::settings::read::{Fault, Origins, Place, line_of, read, variable, whole};
use crate::settings::secret::io_words;
use crate::settings::tables::Settings;
use crate::settings::{check, secret};

/// The variable that names the file. It is no override: it has one underscore.
const CONFIG_VARIABLE: &str = "POSTHORN_CONFIG";
const PREFIX: &str = "POSTHORN__";
/// Where the file is looked for when nothing names it; nothing there is no fault.
const STANDARD_FILES: [&str; 2] = ["posthorn.toml", "/etc/posthorn/posthorn.toml"];

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}{}: {}", path.display(), named_by, io_words(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Who named it, in brackets.
        named_by: &'static str,
        /// Why.
        source: io::Error,
    },
    /// What it says, or what the environment says, is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

/// The settings in force, and where each came from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    origins: Origins,
}

impl Loaded {
    /// Returns the file that was read; `None` where there was none to be found.
    pub fn file(&self) -> Option<&Path> {
        self.origins.file.as_deref()
    }

    /// Returns all keys with value and place, in the order of `config/posthorn.toml`; passwords are masked.
    pub fn rows(&self) -> Vec<(Row, Place)> {
        let placed = |row: Row| (self.origins.place(&row.key), row);
        rows(&self.settings)
            .into_iter()
            .map(placed)
            .map(|(place, row)| (row, place))
            .collect()
    }

    /// Returns what is allowed, but was hardly meant.
    pub fn notes(&self) -> Vec<String> {
        check::notes(&self.settings)
    }

    /// Says of a key what only its room finds out, with the place where it was set.
    pub fn fault(&self, key: &str, message: impl Into<String>) -> Fault {
        self.origins.fault(key, message)
    }

    /// Looks for the files that settings name but that are read only when they are needed.
    pub fn missing_files(&self) -> Vec<Fault> {
        let settings = &self.settings;
        let mut faults = Vec::new();
        let mut secret_at = |key: String, path: &Option<PathBuf>| {
            if let Some(Err(wrong)) = path.as_deref().map(secret::read) {
                faults.push(self.origins.fault(key, wrong.to_string()));
            }
        };
        for (i, relay) in settings.smtp.relays.iter().enumerate() {
            for (key, path) in [
                ("password_file", &relay.password_file),
                ("token_file", &relay.token_file),
                ("ca_file", &relay.ca_file),
                ("certificate_file", &relay.certificate_file),
                ("key_file", &relay.key_file),
            ] {
                secret_at(format!("smtp.relays[{i}].{key}"), path);
            }
        }
        secret_at("action_center.secret_file".into(), &settings.action_center.secret_file);
        secret_at("nats.password_file".into(), &settings.nats.password_file);
        secret_at("nats.token_file".into(), &settings.nats.token_file);
        secret_at("portal.resource_token_file".into(), &settings.portal.resource_token_file);
        secret_at("http.certificate_file".into(), &settings.http.certificate_file);
        secret_at("http.key_file".into(), &settings.http.key_file);
        let mut folder_at = |key: String, dir: &Option<PathBuf>| {
            if let Some(dir) = dir.as_deref().filter(|dir| !dir.is_dir()) {
                let message = format!("{:?} is not a folder", dir.display().to_string());
                faults.push(self.origins.fault(key, message));
            }
        };
        folder_at("templates.dir".into(), &settings.templates.dir);
        for (name, programme) in &settings.programmes {
            folder_at(format!("programmes.{name}.templates_dir"), &programme.templates_dir);
        }
        if let Err(wrong) = settings.verify.clone().read_file() {
            faults.push(self.origins.fault("verify.spam_domains_file", wrong));
        }
        faults
    }
}

/// The variables that matter: `POSTHORN_CONFIG` and `POSTHORN__…`. No `Debug`: one may hold a password.
#[derive(Clone, Default)]
pub struct Environment(Vec<(String, OsString)>);

impl Environment {
    /// Takes them from this process.
    pub fn of_this_process() -> Self {
        Self::new(env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text))))
    }

    /// Takes them from a list.
    pub fn new(variables: impl IntoIterator<Item = (String, OsString)>) -> Self {
        let ours = |(name, _): &(String, OsString)| name == CONFIG_VARIABLE || name.starts_with(PREFIX);
        let mut variables: Vec<_> = variables.into_iter().filter(ours).collect();
        // The longer name is the deeper key: a table is set before a key in it, whatever order the system keeps them in.
        variables.sort();
        Self(variables)
    }

    fn config(&self) -> Option<PathBuf> {
        let named = self.0.iter().find(|(name, text)| name == CONFIG_VARIABLE && !text.is_empty());
        named.map(|(_, text)| text.into())
    }
}

/// Loads what this process is to run by: `--config`, else `$POSTHORN_CONFIG`, else a file in a standard place, else the defaults; and the
/// environment over it.
///
/// # Errors
/// [`Error::Unreadable`] if a file that was named, or that is there, cannot be read; [`Error::Faults`] with everything that is wrong, in
/// `verify.spam_domains_file`, too.
pub fn load(config: Option<&Path>) -> Result<Loaded, Error> {
    let mut loaded = load_from(config, &Environment::of_this_process(), &STANDARD_FILES.map(Path::new))?;
    match loaded.settings.verify.read_file() {
        Ok(()) => Ok(loaded),
        Err(wrong) => Err(Error::Faults(vec![loaded.fault("verify.spam_domains_file", wrong)])),
    }
}

/// As [`load`], but what is wrong comes beside what could be read: a key that is wrong has its default. For whoever looks for more that is wrong.
pub fn load_partly(config: Option<&Path>) -> (Loaded, Option<Error>) {
    read_partly(config, &Environment::of_this_process(), &STANDARD_FILES.map(Path::new))
}

/// As [`load`], with the environment and the standard places given.
///
/// # Errors
/// As [`load`].
pub fn load_from(config: Option<&Path>, environment: &Environment, standard: &[&Path]) -> Result<Loaded, Error> {
    match read_partly(config, environment, standard) {
        (loaded, None) => Ok(loaded),
        (_, Some(error)) => Err(error),
    }
}

fn read_partly(config: Option<&Path>, environment: &Environment, standard: &[&Path]) -> (Loaded, Option<Error>) {
    let mut origins = Origins::default();
    let mut faults = Vec::new();
    let mut values = toml::Table::new();
    match find(config, environment, standard) {
        Ok(None) => {}
        Ok(Some((path, text))) => {
            match parse(&path, &text, &mut origins) {
                Ok(parsed) => values = parsed,
                Err(fault) => return (Loaded::default(), Some(Error::Faults(vec![fault]))),
            }
            origins.file = Some(path);
        }
        Err(error) => return (Loaded::default(), Some(error)),
    }
    let texts = override_by(environment, &mut values, &mut origins, &mut faults);
    let mut settings = Settings::default();
    faults.extend(read(&mut settings, &values, &texts, &origins));
    // Half-read settings would be found wrong for what was not read.
    if faults.is_empty() {
        faults = check::check(&settings, &origins);
    }
    faults.sort_by(|a, b| a.place.cmp(&b.place));
    let error = (!faults.is_empty()).then_some(Error::Faults(faults));
    (Loaded { settings, origins }, error)
}

fn find(config: Option<&Path>, environment: &Environment, standard: &[&Path]) -> Result<Option<(PathBuf, String)>, Error> {
    let named = match (config, environment.config()) {
        (Some(path), _) => Some((path.to_owned(), " (--config)")),
        (None, Some(path)) => Some((path, " ($POSTHORN_CONFIG)")),
        (None, None) => None,
    };
    if let Some((path, named_by)) = named {
        return match fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(source) => Err(Error::Unreadable { path, named_by, source }),
        };
    }
    for path in standard {
        match fs::read_to_string(path) {
            Ok(text) => return Ok(Some(((*path).to_owned(), text))),
            Err(source) if source.kind() == io::ErrorKind::NotFound => (),
            Err(source) => {
                return Err(Error::Unreadable {
                    path: (*path).to_owned(),
                    named_by: "",
                    source,
                });
            }
        }
    }
    Ok(None)
}

/// Reads the text twice: once for where each key stands, once for the values.
fn parse(path: &Path, text: &str, origins: &mut Origins) -> Result<toml::Table, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let wrong = |error: &toml::de::Error| {
        let place = error
            .span()
            .map_or(whole(path), |span| Place::Line(path.into(), line_of(text, span.start)));
        // The parser's own text shows the line, which may hold a password.
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        Fault {
            place,
            key: String::new(),
            message: format!("not TOML: {message}"),
        }
    };
    let spanned = DeTable::parse(text).map_err(|error| wrong(&error))?;
    note_lines(text, "", spanned.get_ref(), origins);
    toml::from_str(text).map_err(|error| wrong(&error))
}

fn note_lines(text: &str, prefix: &str, table: &DeTable<'_>, origins: &mut Origins) {
    for (key, value) in table {
        let path = format!("{prefix}{}", key.get_ref());
        origins.lines.insert(path.clone(), line_of(text, key.span().start));
        match value.get_ref() {
            DeValue::Table(inner) => note_lines(text, &format!("{path}."), inner, origins),
            DeValue::Array(entries) => {
                for (i, entry) in entries.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    origins.lines.insert(path.clone(), line_of(text, entry.span().start));
                    if let DeValue::Table(inner) = entry.get_ref() {
                        note_lines(text, &format!("{path}."), inner, origins);
                    }
                }
            }
            _ => (),
        }
    }
}

/// Lays the variables over the file's values; returns their texts by key.
fn override_by(
    environment: &Environment,
    values: &mut toml::Table,
    origins: &mut Origins,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (name, text) in &environment.0 {
        let Some(key) = name.strip_prefix(PREFIX).map(|rest| rest.to_lowercase().replace("__", ".")) else {
            continue;
        };
        let set = match text.to_str() {
            Some(text) => set(values, &key, &key, value_of(text)).map(|()| text.to_owned()),
            None => Err("is not UTF-8 text".into()),
        };
        match set {
            Ok(text) => {
                origins.variables.insert(key.clone(), name.clone());
                texts.insert(key, text);
            }
            Err(message) => faults.push(Fault {
                place: Place::Variable(name.clone()),
                key,
                message,
            }),
        }
    }
    texts
}

/// Reads a variable's text as TOML, else as itself.
fn value_of(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    // A text of several lines could bring keys of its own.
    let only = parsed
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"));
    only.unwrap_or_else(|| toml::Value::String(text.into()))
}

/// Tells whether a key is none of a table of settings, but a table itself: a text for each language.
fn holds_texts(key: &str) -> bool {
    key == "footer"
}

/// Sets `key`, which is what is left of the `whole` one in the table `values`.
fn set(values: &mut toml::Table, whole: &str, key: &str, value: toml::Value) -> Result<(), String> {
    let Some((outer, inner)) = key.split_once('.') else {
        let is_table = value.is_table() || values.get(key).is_some_and(toml::Value::is_table);
        if is_table && !(value.is_table() && holds_texts(key)) {
            return Err(format!(
                "{whole} is a table; set its keys one by one, as {}",
                variable(&format!("{whole}.…"))
            ));
        }
        values.insert(key.into(), value);
        return Ok(());
    };
    match values.entry(outer).or_insert_with(|| toml::Value::Table(toml::Table::new())) {
        toml::Value::Table(table) => set(table, whole, inner, value),
        toml::Value::Array(_) => Err(format!(
            "{outer} is a list; set it whole, such as '[{{ host = \"mail.example\" }}]'"
        )),
        _ => Err(format!("{outer} is no table, so that no key can be set in it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, text)| ((*name).to_owned(), OsString::from(text))))
    }

    #[track_caller]
    fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("posthorn.toml");
        fs::write(&path, text).expect("a file");
        load_from(Some(&path), &environment(variables), &[])
    }

    fn shown(loaded: &Loaded, key: &str) -> (Option<String>, String) {
        let (row, place) = loaded.rows().into_iter().find(|(row, _)| row.key == key).expect("a key");
        let place = place.to_string();
        (
            row.value.map(|value| value.to_string()),
            place.rsplit('/').next().unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn without_file_and_environment_the_defaults_run() {
        let loaded = load_from(None, &Environment::default(), &[Path::new("/nowhere/posthorn.toml")]).expect("the defaults");
        assert_eq!(loaded.file(), None);
        assert_eq!(rows(&loaded.settings), rows(&Settings::default()));
    }

    #[test]
    fn the_commented_file_says_exactly_what_is_built_in() {
        let text = include_str!("../../config/posthorn.toml");
        let loaded = load_text(text, &[]).expect("the file as it is");
        assert_eq!(rows(&loaded.settings), rows(&Settings::default()), "as it is");

        let is_setting = |line: &&str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase());
        let n_commented = text.lines().filter(is_setting).count();
        let all: Vec<&str> = text.lines().map(|line| if is_setting(&line) { &line[1..] } else { line }).collect();
        let loaded = load_text(&all.join("\n"), &[]).expect("the file with everything set");
        assert_eq!(rows(&loaded.settings), rows(&Settings::default()), "with everything set");
        let n_set = loaded.rows().iter().filter(|(_, place)| *place != Place::Default).count();
        assert_eq!(n_set, n_commented, "a key is set twice, or not where it belongs");
    }

    #[test]
    fn the_commented_file_explains_every_key_in_order() {
        let text = include_str!("../../config/posthorn.toml");
        let (mut table, mut prose, mut explained) = (String::new(), String::new(), Vec::new());
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = format!("{name}.");
            }
            let example = line.strip_prefix("# Example: ");
            let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).or(example);
            match setting.and_then(|setting| setting.split_once(" = ")) {
                Some((key, _)) => {
                    assert!(prose.contains("Default: "), "{table}{key} has no default in its prose");
                    assert!(
                        prose.contains("Allowed: ") || key == "name",
                        "{table}{key} does not say what is allowed"
                    );
                    explained.push(format!("{table}{key}"));
                    prose.clear();
                }
                None => prose.push_str(line),
            }
        }
        let keys: Vec<String> = rows(&Settings::default()).into_iter().map(|row| row.key).collect();
        assert_eq!(explained, keys);
    }

    #[test]
    fn the_examples_in_the_commented_file_are_right() {
        let text = include_str!("../../config/posthorn.toml");
        let all: Vec<&str> = text.lines().map(|line| line.strip_prefix("# Example: ").unwrap_or(line)).collect();
        let loaded = load_text(&all.join("\n"), &[]).expect("the file with its examples");
        assert_eq!(
            shown(&loaded, "mail.reply_to").0.as_deref(),
            Some("\"Lead desk <leads@contoso.com>\"")
        );
        let n_unset = loaded.rows().iter().filter(|(row, _)| row.value.is_none()).count();
        assert_eq!(n_unset, 0);
    }

    #[test]
    fn the_example_of_a_programme_in_the_commented_file_is_right() {
        let text = include_str!("../../config/posthorn.toml");
        let example = text.lines().skip_while(|line| *line != "#   [programmes.gold]");
        let example: Vec<&str> = example.map_while(|line| line.strip_prefix("#   ")).collect();
        let loaded = load_text(&example.join("\n"), &[("POSTHORN__PROGRAMMES__GOLD__DIGEST_THRESHOLD", "7")]).expect("right");
        let gold = loaded.settings.of_programme("gold");
        assert_eq!(gold.mail.from.to_string(), "Contoso Gold <gold@contoso.com>");
        assert_eq!(gold.portal.lead_url, "https://gold.contoso.com/leads/{id}");
        assert_eq!(loaded.settings.policy.programmes["gold"].digest_threshold, Some(7));
        assert_eq!(
            shown(&loaded, "programmes.gold.branding.accent"),
            (Some("\"#7a5a00\"".into()), "posthorn.toml:13".into())
        );
        let n_keys = {
            let mut read = Settings::default();
            read.programmes.insert("gold".into(), loaded.settings.programmes["gold"].clone());
            rows(&read).iter().filter(|row| row.key.starts_with("programmes.gold.")).count()
        };
        assert_eq!(n_keys, example.len() - 2, "each line but the names of the tables sets a key");
    }

    #[test]
    fn colours_that_are_hard_to_read_are_noted_and_so_is_a_programme_that_nobody_vouches_for() {
        let text = "[portal]\nlead_desk = \"a@b.example\"\n[mail]\nfrom = \"a@contoso.com\"\n[dkim]\ndomain = \"contoso.com\"\nselector = \"s\"\n\
                    key_file = \"k\"\n[templates.branding]\naccent = \"#ff9900\"\n[programmes.gold]\nfrom = \"gold@fabrikam.com\"\n\
                    [programmes.silver.branding]\naccent = \"#333333\"";
        let notes = load_text(text, &[]).expect("right").notes();
        assert_eq!(notes.len(), 2, "{notes:?}");
        let (contrast, sender) = match notes[0].contains("contrast") {
            true => (&notes[0], &notes[1]),
            false => (&notes[1], &notes[0]),
        };
        assert_eq!(
            contrast,
            "templates.branding.accent is #ff9900, and what is written on buttons (accent_text) is #ffffff: their contrast is 2.1 to 1, and hard \
             to read below 4.5 (WCAG 2.2, 1.4.3)"
        );
        assert!(
            sender.contains("programmes.gold.from is of fabrikam.com and dkim.domain is contoso.com"),
            "{sender}"
        );
    }

    #[test]
    fn the_file_is_the_first_that_is_named_or_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("[portal]\nname = \"{name}\"\n")).expect("a file");
            path
        };
        let (flag, named, here, etc) = (file("flag"), file("named"), file("here"), file("etc"));
        let gone = folder.path().join("gone");
        let by_variable = environment(&[("POSTHORN_CONFIG", named.to_str().expect("a path"))]);
        let empty = environment(&[("POSTHORN_CONFIG", "")]);
        let none = Environment::default();
        for (config, environment, standard, name) in [
            (Some(&flag), &by_variable, [&here, &etc], "flag"),
            (None, &by_variable, [&here, &etc], "named"),
            (None, &empty, [&here, &etc], "here"),
            (None, &none, [&here, &etc], "here"),
            (None, &none, [&gone, &etc], "etc"),
            (None, &none, [&gone, &gone], "Partner portal"),
        ] {
            let loaded = load_from(config.map(PathBuf::as_path), environment, &standard.map(PathBuf::as_path)).expect(name);
            assert_eq!(loaded.settings.portal.name, name);
        }
        let refused = load_from(Some(&gone), &none, &[&here])
            .expect_err("a named file that is not there")
            .to_string();
        assert_eq!(
            refused,
            format!("cannot read the configuration {} (--config): it does not exist", gone.display())
        );
        let refused = load_from(None, &none, &[folder.path()]).expect_err("a folder").to_string();
        assert_eq!(
            refused,
            format!("cannot read the configuration {}: it is a folder", folder.path().display())
        );
    }

    #[test]
    fn a_variable_that_is_a_table_is_told_its_whole_name() {
        for (name, expected) in [
            (
                "POSTHORN__PROGRAMMES__GOLD",
                "programmes.gold is a table; set its keys one by one, as POSTHORN__PROGRAMMES__GOLD__…",
            ),
            ("POSTHORN__MAIL", "mail is a table; set its keys one by one, as POSTHORN__MAIL__…"),
        ] {
            let found = load_text("", &[(name, "{ from = \"c@contoso.com\" }")])
                .expect_err("is refused")
                .to_string();
            assert_eq!(found, format!("{name}: {expected}"));
        }
    }

    #[test]
    fn a_variable_wins_over_the_file_and_is_read_as_toml_else_as_text() {
        let text = "[mail]\nfrom = \"a@contoso.com\"\nreply_to = \"b@contoso.com\"\n[portal]\nname = \"Contoso\"\n";
        for (name, set, key, value) in [
            ("POSTHORN__MAIL__FROM", "c@contoso.com", "mail.from", Some("\"c@contoso.com\"")),
            ("POSTHORN__MAIL__FROM", "\"c@contoso.com\"", "mail.from", Some("\"c@contoso.com\"")),
            ("POSTHORN__MAIL__REPLY_TO", "", "mail.reply_to", None),
            ("POSTHORN__PORTAL__NAME", "2026", "portal.name", Some("\"2026\"")),
            ("POSTHORN__PORTAL__NAME", "true", "portal.name", Some("\"true\"")),
            ("POSTHORN__MODE", "dry", "mode", Some("\"dry\"")),
            ("POSTHORN__POLICY__DIGEST_THRESHOLD", "0", "policy.digest_threshold", Some("0")),
            ("POSTHORN__POLICY__URGENT_FOR", "1 h", "policy.urgent_for", Some("\"1h\"")),
            (
                "POSTHORN__POLICY__DIGEST_CRON",
                "0 9 * * *",
                "policy.digest_cron",
                Some("\"0 9 * * *\""),
            ),
            (
                "POSTHORN__TEMPLATES__BRANDING__FOOTER",
                "{ en = \"London\", pt-BR = \"Lisboa\" }",
                "templates.branding.footer",
                Some("{ en = \"London\", pt-BR = \"Lisboa\" }"),
            ),
            (
                "POSTHORN__TEMPLATES__BRANDING__FOOTER__EN",
                "London",
                "templates.branding.footer",
                Some("{ en = \"London\" }"),
            ),
            (
                "POSTHORN__POLICY__RECIPIENT_RUNGS",
                "[\"admins\"]",
                "policy.recipient_rungs",
                Some("[\"admins\"]"),
            ),
            (
                "POSTHORN__DATABASE__URL",
                "postgres://a:hush@h/d",
                "database.url",
                Some("\"postgres://a:***@h/d\""),
            ),
        ] {
            let loaded = load_text(text, &[(name, set)]).expect(name);
            assert_eq!(shown(&loaded, key), (value.map(str::to_owned), name.to_owned()), "{set}");
        }
        let loaded = load_text(text, &[("POSTHORN__MAIL__FROM", "c@contoso.com")]).expect("right");
        assert_eq!(
            shown(&loaded, "mail.reply_to"),
            (Some("\"b@contoso.com\"".into()), "posthorn.toml:3".into())
        );
        assert_eq!(shown(&loaded, "mail.maildir"), (Some("\"mail/\"".into()), "default".into()));
    }

    #[test]
    fn a_whole_list_of_relays_comes_from_the_environment() {
        let loaded = load_text(
            "",
            &[(
                "POSTHORN__SMTP__RELAYS",
                "[{ host = \"a\", tls = \"none\" }, { host = \"b\", port = 25 }]",
            )],
        )
        .expect("right");
        let relays: Vec<_> = loaded
            .settings
            .smtp
            .relays
            .iter()
            .map(|relay| (relay.host.as_str(), relay.port))
            .collect();
        assert_eq!(relays, [("a", 587), ("b", 25)]);
        assert_eq!(shown(&loaded, "smtp.relays").1, "POSTHORN__SMTP__RELAYS");
    }

    /// `R-LOCALE`
    #[test]
    fn the_language_of_mails_is_known_to_decisions() {
        let loaded = load_text("[mail]\nlocale = \"de\"", &[]).expect("right");
        assert_eq!(loaded.settings.policy.locale, "de");
    }

    #[test]
    fn what_is_printed_of_settings_holds_no_password() {
        let loaded = load_text("[database]\nurl = \"postgres://a:hush@h/d\"", &[]).expect("right");
        assert!(!format!("{loaded:?}").contains("hush"));
        assert_eq!(loaded.settings.database.url.expose(), "postgres://a:hush@h/d");
        let loaded = load_text("", &[("POSTHORN__DATABASE__URL", "postgres://a:hush@h/d")]).expect("right");
        assert!(!format!("{loaded:?}").contains("hush"), "{loaded:?}");
    }

    #[test]
    fn a_check_finds_the_files_that_are_needed_later() {
        let text =
            "[templates]\ndir = \"/nowhere/templates\"\n[action_center]\nurl = \"https://a.example\"\nsecret_file = \"/nowhere/key\"";
        let loaded = load_text(text, &[]).expect("right but for its files");
        let faults: Vec<String> = loaded
            .missing_files()
            .iter()
            .map(|fault| format!("{}: {}", fault.key, fault.message))
            .collect();
        assert_eq!(
            faults,
            [
                "action_center.secret_file: cannot read the secret in /nowhere/key: it does not exist",
                "templates.dir: \"/nowhere/templates\" is not a folder"
            ]
        );
    }

    #[test]
    fn what_was_hardly_meant_is_noted() {
        let relay = |entry: &str| {
            format!("[portal]\nlead_desk = \"a@b.example\"\n[mail]\ntransport = \"smtp\"\n[smtp]\nrelays = [{{ host = \"r\", {entry} }}]")
        };
        let signed =
            |domain: &str, from: &str| format!("[mail]\nfrom = {from:?}\n[dkim]\ndomain = {domain:?}\nselector = \"s\"\nkey_file = \"k\"");
        for (text, notes) in [
            (relay("port = 465"), &["mail.from", "portal.lead_url", "implicit"][..]),
            (
                relay("tls = \"none\", username = \"a\", password_file = \"b\""),
                &["mail.from", "portal.lead_url", "in the clear"],
            ),
            (String::new(), &["portal.lead_desk"]),
            (
                "[portal]\nlead_desk = \"a@b.example\"\n[policy]\nremind_before = \"20 d\"".into(),
                &["remind_before"],
            ),
            (
                "[portal]\nlead_desk = \"a@b.example\"\n[http]\npublic_url = \"http://mail.portal.example\"".into(),
                &["RFC 8058"],
            ),
            (signed("contoso.com", "leads@contoso.com"), &["portal.lead_desk"]),
            (signed("Contoso.com", "leads@mail.contoso.COM"), &["portal.lead_desk"]),
            (signed("xn--bcher-kva.example", "leads@bücher.example"), &["portal.lead_desk"]),
            (signed("contoso.com", "leads@notcontoso.com"), &["portal.lead_desk", "RFC 9989"]),
            // Of one organization, which is all that DMARC asks for, unless its record is strict: `doctor` knows.
            (signed("mail.contoso.com", "leads@contoso.com"), &["portal.lead_desk"]),
            (signed("mail.contoso.com", "leads@news.contoso.com"), &["portal.lead_desk"]),
            (signed("contoso.com", "leads@fabrikam.com"), &["portal.lead_desk", "contoso.com"]),
            (
                "[mail]\nfrom = \"leads@contoso.com\"\nenvelope_from = \"b@bounce.contoso.com\"".into(),
                &["portal.lead_desk"],
            ),
            (
                "[mail]\nfrom = \"leads@contoso.com\"\nenvelope_from = \"b@relay.example\"".into(),
                &["portal.lead_desk", "DMARC fails unless the relay signs"],
            ),
            (
                signed("fabrikam.com", "leads@contoso.com").replace("[dkim]", "envelope_from = \"b@relay.example\"\n[dkim]"),
                &["portal.lead_desk", "neither belongs with mail.from"],
            ),
        ] {
            let said = load_text(&text, &[]).expect("right").notes();
            assert!(
                said.len() == notes.len() && said.iter().zip(notes).all(|(said, note)| said.contains(note)),
                "{text}: {said:?}"
            );
        }
    }
}
