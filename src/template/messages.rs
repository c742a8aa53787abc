//! Reads a language's words: `messages.toml`, in which each sentence and short text has a key.
//!
//! ```toml
//! hello = "Hello{% if recipient.name %} {{ recipient.name }}{% endif %},"
//!
//! [digest.title]              # a text that depends on a number, by the plural rules of the language
//! count = "n_leads"
//! one = "A new lead is waiting"
//! other = "{{ n_leads }} new leads are waiting"
//!
//! [urgency]                   # a text that depends on a word
//! by = "lead.urgency"
//! urgent = "Contact the customer as soon as possible"
//! other = ""
//! ```
//!
//! A template says `{{ t.digest.title }}`. That is replaced when the set is loaded, never per mail: a text's own tags become tags of the
//! template, and the rest is escaped for where it stands. `**two stars**` are bold in HTML, and nothing in plain text.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::template::error::Error;
use crate::template::lex::{Piece, Place, pieces};
use crate::template::plural;

/// One language's words, by key.
pub(crate) type Messages = BTreeMap<String, Message>;

/// A text, in one form or several.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Where it is written.
    pub(crate) place: Place,
    /// What its forms are chosen by, if it has several.
    pub(crate) chosen: Option<Chosen>,
    /// Form → text; one without a choice has only `other`.
    pub(crate) forms: BTreeMap<String, Words>,
}

/// What a form is chosen by.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// A variable: `n_leads`, `lead.urgency`.
    pub(crate) variable: String,
    /// Whether it is a number, and the forms are plural forms.
    pub(crate) is_count: bool,
    /// Where that is written.
    pub(crate) place: Place,
}

/// A text and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// Of its first character.
    pub(crate) place: Place,
    /// As written.
    pub(crate) text: String,
}

const OTHER: &str = "other";

/// Reads a file of messages.
///
/// # Errors
/// It is no TOML, or an entry is no message; with its place.
pub(crate) fn read(file: &Arc<str>, language: &str, text: &str) -> Result<Messages, Error> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Error::at(&Place::start_of(file).after(&text[..at]), error.message().to_owned())
    })?;
    let mut reader = Reader {
        file,
        language,
        text,
        messages: Messages::new(),
    };
    reader.read_table("", table.get_ref())?;
    Ok(reader.messages)
}

struct Reader<'a> {
    file: &'a Arc<str>,
    language: &'a str,
    text: &'a str,
    messages: Messages,
}

impl Reader<'_> {
    fn place(&self, at: usize) -> Place {
        Place::start_of(self.file).after(&self.text[..at])
    }

    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), Error> {
        for (key, value) in table {
            let place = self.place(key.span().start);
            let name = key.get_ref();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                let found = format!("\"{name}\" is no key; letters, digits and _ make one, such as \"due_date\"");
                return Err(Error::at(&place, found));
            }
            let key = if prefix.is_empty() {
                name.to_string()
            } else {
                format!("{prefix}.{name}")
            };
            let message = match value.get_ref() {
                DeValue::String(_) => Message {
                    chosen: None,
                    forms: BTreeMap::from([(OTHER.to_owned(), self.words(&key, value)?)]),
                    place,
                },
                DeValue::Table(table) => match self.chosen(table)? {
                    Some(chosen) => self.with_forms(&key, place, chosen, table)?,
                    None => {
                        self.read_table(&key, table)?;
                        continue;
                    }
                },
                other => {
                    return Err(Error::at(
                        &place,
                        format!("\"{key}\" is {}; a message is text in quotes", other.type_str()),
                    ));
                }
            };
            self.messages.insert(key, message);
        }
        Ok(())
    }

    fn chosen(&self, table: &DeTable<'_>) -> Result<Option<Chosen>, Error> {
        for (key, value) in table {
            let is_count = match key.get_ref().as_ref() {
                "count" => true,
                "by" => false,
                _ => continue,
            };
            let place = self.place(value.span().start + 1);
            let variable = value.get_ref().as_str().unwrap_or_default().to_owned();
            let is_path = variable
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            if !is_path {
                let found = format!("\"{}\" names a variable, such as \"lead.days_left\"", key.get_ref());
                return Err(Error::at(&place, found));
            }
            return Ok(Some(Chosen { variable, is_count, place }));
        }
        Ok(None)
    }

    fn with_forms(&self, key: &str, place: Place, chosen: Chosen, table: &DeTable<'_>) -> Result<Message, Error> {
        let mut forms = BTreeMap::new();
        for (form, value) in table {
            let name = form.get_ref().as_ref();
            if matches!(name, "count" | "by") {
                continue;
            }
            if chosen.is_count && !plural::is_form(self.language, name) {
                let known = plural::categories(self.language).join(", ");
                let found = format!(
                    "\"{name}\" is no plural form of \"{}\"; it has {known}, and numbers such as 0",
                    self.language
                );
                return Err(Error::at(&self.place(form.span().start), found));
            }
            forms.insert(name.to_owned(), self.words(&format!("{key}.{name}"), value)?);
        }
        if !forms.contains_key(OTHER) {
            return Err(Error::at(
                &place,
                format!("\"{key}\" lacks the form \"{OTHER}\", which is taken where no other one fits"),
            ));
        }
        Ok(Message {
            place,
            chosen: Some(chosen),
            forms,
        })
    }

    fn words(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Words, Error> {
        let start = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            let found = format!("\"{key}\" is {}; a message is text in quotes", value.get_ref().type_str());
            return Err(Error::at(&self.place(start), found));
        };
        let raw = &self.text[start..];
        let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") {
            3
        } else {
            1
        };
        let at_line_end = quotes == 3 && raw[quotes..].starts_with('\n');
        Ok(Words {
            place: self.place(start + quotes + usize::from(at_line_end)),
            text: text.replace("\r\n", "\n"),
        })
    }
}

impl Message {
    /// Returns the text of a message in one form.
    pub(crate) fn plain(&self) -> &str {
        self.forms.get(OTHER).map_or("", |words| words.text.as_str())
    }

    /// Returns what stands in a template for this message. `is_html`: whether text is escaped and may be bold.
    pub(crate) fn expand(&self, language: &str, is_html: bool) -> Vec<Piece> {
        let words = |words: &Words| -> Vec<Piece> {
            let mut bold = false;
            pieces(&words.place, &words.text)
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(place, text) => Piece::Text(place, written(&text, is_html, &mut bold)),
                    tag => tag,
                })
                .collect()
        };
        let Some(chosen) = &self.chosen else {
            return self.forms.get(OTHER).map(words).unwrap_or_default();
        };
        let mut expanded = Vec::new();
        for (name, form) in self.forms.iter().filter(|(name, _)| *name != OTHER) {
            let condition = if chosen.is_count {
                plural::condition(language, name, &chosen.variable)
            } else {
                format!("{} == \"{name}\"", chosen.variable)
            };
            let keyword = if expanded.is_empty() { "if " } else { "elif " };
            // The variable is what is written there, and what an error points at.
            let mut place = chosen.place.clone();
            place.column = place.column.saturating_sub(keyword.len());
            expanded.push(Piece::Statement(place, format!("{keyword}{condition}")));
            expanded.extend(words(form));
        }
        let other = self.forms.get(OTHER).map(words).unwrap_or_default();
        if expanded.is_empty() {
            return other;
        }
        if !other.is_empty() {
            expanded.push(Piece::Statement(chosen.place.clone(), "else".to_owned()));
            expanded.extend(other);
        }
        expanded.push(Piece::Statement(chosen.place.clone(), "endif".to_owned()));
        expanded
    }
}

/// Returns a text as it is written into HTML or plain text. `bold`: whether a `**` is open, since a tag may stand inside of it.
fn written(text: &str, is_html: bool, bold: &mut bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, part) in text.split("**").enumerate() {
        if n > 0 {
            *bold = !*bold;
            if is_html {
                out.push_str(if *bold { "<strong dir=\"auto\">" } else { "</strong>" });
            }
        }
        if is_html {
            escape_into(part, &mut out);
        } else {
            out.push_str(part);
        }
    }
    out
}

fn escape_into(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}
