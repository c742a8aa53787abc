//! Turns MJML into the HTML that mail programs understand, once, when a set is loaded.
//!
//! The tags of a template are replaced by tokens that the conversion has no reason to touch, and put back afterwards. A tag that is gone
//! then stood where MJML drops text: that is refused, with its place. Conditions and loops may stand between MJML's elements; they are wrapped
//! into `mj-raw`, which is what MJML asks for there.

use std::collections::HashMap;

use mrml::prelude::parser::Error as ParseError;
use mrml::prelude::render::RenderOptions;

use crate::template::error::Error;
use crate::template::lex::{Piece, Place};
use crate::template::near::hint;

/// What MJML knows, as far as the crate converts it. It passes over others in silence.
const ELEMENTS: [&str; 32] = [
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-image",
    "mj-navbar",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-social",
    "mj-social-element",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-wrapper",
];

/// Elements that hold elements only: a tag between them needs `mj-raw` around it.
const HOLDS_ELEMENTS: [&str; 6] = ["mj-body", "mj-wrapper", "mj-section", "mj-group", "mj-column", "mj-hero"];

/// Converts a flat template.
///
/// # Errors
/// An element is unknown, MJML cannot be read, or a tag would be lost; with the place.
pub(crate) fn convert(pieces: &[Piece]) -> Result<Vec<Piece>, Error> {
    let tokens = Tokens::write(pieces)?;
    let parsed = mrml::parse(&tokens.text).map_err(|error| tokens.unreadable(&error))?;
    // MJML would have mail programs fetch Roboto and the like from Google, which would so learn who opens what. <mj-font> names others.
    let options = RenderOptions {
        fonts: HashMap::new(),
        ..RenderOptions::default()
    };
    let html = parsed
        .element
        .render(&options)
        .map_err(|error| Error::at(&tokens.place_of(0), format!("MJML cannot be converted: {error}")))?;
    // HTML knows numbers there; the style beside it says the same.
    tokens.put_back(&html.replace(" height=\"auto\"", ""))
}

struct Tokens<'a> {
    pieces: &'a [Piece],
    /// MJML with a token for each tag.
    text: String,
    /// Where each piece begins in `text`.
    starts: Vec<usize>,
    /// Which pieces say how elements look that a mail may not have.
    looks: Vec<bool>,
}

const OPEN: &str = "t4g";
const CLOSE: &str = "gt";

impl<'a> Tokens<'a> {
    fn write(pieces: &'a [Piece]) -> Result<Self, Error> {
        let mut written = Self {
            pieces,
            text: String::new(),
            starts: Vec::with_capacity(pieces.len()),
            looks: Vec::with_capacity(pieces.len()),
        };
        let mut scan = Scan::default();
        for (n, piece) in pieces.iter().enumerate() {
            written.starts.push(written.text.len());
            written.looks.push(scan.open.iter().any(|open| open == "mj-attributes"));
            match piece {
                Piece::Text(place, text) => {
                    scan.read(place, text)?;
                    written.text.push_str(text);
                }
                Piece::Print(place, body) | Piece::Statement(place, body) => {
                    if scan.is_inside_tag() {
                        let found = format!(
                            "\"{body}\" stands between the attributes of an element; it can stand in the value of one, or around the element"
                        );
                        return Err(Error::at(place, found));
                    }
                    let is_statement = matches!(piece, Piece::Statement(..));
                    if scan.is_between_elements() && !is_statement {
                        return Err(between_elements(place, body));
                    }
                    if scan.is_between_elements() {
                        written.text.push_str(&format!("<mj-raw>{OPEN}{n}{CLOSE}</mj-raw>"));
                    } else {
                        written.text.push_str(&format!("{OPEN}{n}{CLOSE}"));
                    }
                }
            }
        }
        Ok(written)
    }

    fn place_of(&self, at: usize) -> Place {
        let n = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        match self.pieces.get(n) {
            Some(Piece::Text(place, text)) => {
                let mut within = (at - self.starts[n]).min(text.len());
                while !text.is_char_boundary(within) {
                    within -= 1;
                }
                place.after(&text[..within])
            }
            Some(Piece::Print(place, _) | Piece::Statement(place, _)) => place.clone(),
            None => Place::start_of(&"templates".into()),
        }
    }

    fn unreadable(&self, error: &ParseError) -> Error {
        let (at, what) = match error {
            ParseError::UnexpectedElement { position, .. } => (position.start, "an element that may not stand here".to_owned()),
            ParseError::UnexpectedToken { position, .. } => (position.start, "something that may not stand here".to_owned()),
            ParseError::MissingAttribute { name, position, .. } => (position.start, format!("an element without its \"{name}\"")),
            ParseError::InvalidAttribute { position, .. } => (position.start, "an attribute that may not stand here".to_owned()),
            ParseError::InvalidFormat { position, .. } => (position.start, "a value that is not well-formed".to_owned()),
            ParseError::ParserError { source, .. } => {
                let at = source.pos();
                (
                    offset(&self.text, at.row as usize, at.col as usize),
                    format!("what is not well-formed: {source}"),
                )
            }
            ParseError::EndOfStream { .. } => (self.text.len(), "the end, and an element is still open".to_owned()),
            ParseError::NoRootNode => (0, "no <mjml> element".to_owned()),
            other => (0, other.to_string()),
        };
        Error::at(&self.place_of(at), format!("MJML finds {what}"))
    }

    fn put_back(&self, html: &str) -> Result<Vec<Piece>, Error> {
        let mut back = Vec::with_capacity(self.pieces.len() * 2);
        let mut n_seen = vec![0_usize; self.pieces.len()];
        let start = self.place_of(0);
        let mut rest = html;
        while let Some((before, number, after)) = next_token(rest) {
            if !before.is_empty() {
                back.push(Piece::Text(start.clone(), before.to_owned()));
            }
            if let Some(piece) = self.pieces.get(number) {
                back.push(piece.clone());
                n_seen[number] += 1;
            }
            rest = after;
        }
        back.push(Piece::Text(start, rest.to_owned()));
        for (n, piece) in self.pieces.iter().enumerate() {
            let is_lost = n_seen[n] == 0 && !self.looks[n];
            if let (Piece::Print(place, body) | Piece::Statement(place, body), true) = (piece, is_lost) {
                let found = format!("\"{body}\" stands where MJML drops text; put it into an element such as <mj-text>");
                return Err(Error::at(place, found));
            }
        }
        Ok(back)
    }
}

fn next_token(html: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    while let Some(at) = html[from..].find(OPEN).map(|at| from + at) {
        let inside = &html[at + OPEN.len()..];
        let n_digits = inside.bytes().take_while(u8::is_ascii_digit).count();
        if let (Ok(number), Some(after)) = (inside[..n_digits].parse(), inside[n_digits..].strip_prefix(CLOSE)) {
            return Some((&html[..at], number, after));
        }
        from = at + OPEN.len();
    }
    None
}

fn offset(text: &str, row: usize, column: usize) -> usize {
    let line = text.split_inclusive('\n').take(row.saturating_sub(1)).map(str::len).sum::<usize>();
    let within = text[line..].char_indices().nth(column.saturating_sub(1)).map_or(0, |(at, _)| at);
    (line + within).min(text.len())
}

fn between_elements(place: &Place, found: &str) -> Error {
    Error::at(
        place,
        format!("\"{found}\" stands between elements; put it into one that holds text, such as <mj-text>"),
    )
}

/// Follows elements through text that comes in pieces.
#[derive(Default)]
struct Scan {
    open: Vec<String>,
    /// What of an element's tag was read, while it is not closed.
    tag: Option<String>,
    quote: Option<char>,
    in_comment: bool,
}

impl Scan {
    /// Whether one is inside `<…>`, and not in a value.
    fn is_inside_tag(&self) -> bool {
        self.tag.is_some() && self.quote.is_none()
    }

    fn is_between_elements(&self) -> bool {
        let parent = self.open.last().map_or("", String::as_str);
        self.tag.is_none() && HOLDS_ELEMENTS.contains(&parent)
    }

    fn read(&mut self, place: &Place, text: &str) -> Result<(), Error> {
        for (at, c) in text.char_indices() {
            if self.in_comment {
                if text[at..].starts_with("-->") {
                    self.in_comment = false;
                }
                continue;
            }
            let is_between = self.is_between_elements();
            match (&mut self.tag, self.quote, c) {
                (None, _, '<') if text[at..].starts_with("<!--") => self.in_comment = true,
                (None, _, '<') => {
                    self.check_name(&place.after(&text[..at + 1]), &text[at + 1..])?;
                    self.tag = Some(String::new());
                }
                (None, _, c) if is_between && !c.is_whitespace() => {
                    let word = text[at..].split([' ', '\n', '<']).next().unwrap_or_default();
                    return Err(between_elements(&place.after(&text[..at]), word));
                }
                (None, _, _) => {}
                (Some(_), Some(quote), c) if c == quote => self.quote = None,
                (Some(_), Some(_), _) => {}
                (Some(tag), None, '>') => {
                    let tag = std::mem::take(tag);
                    self.tag = None;
                    self.close(&tag);
                }
                (Some(_), None, '"' | '\'') => self.quote = Some(c),
                (Some(tag), None, c) => tag.push(c),
            }
        }
        Ok(())
    }

    fn check_name(&self, place: &Place, rest: &str) -> Result<(), Error> {
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let name = &rest[..end];
        if name == "mj-include" {
            let found = "<mj-include> reads no files here; write {% include \"card.mjml\" %}".to_owned();
            return Err(Error::at(place, found));
        }
        // Inside mj-attributes each name stands for itself; it is known or not all the same.
        if name.starts_with("mj-") && !ELEMENTS.contains(&name) {
            return Err(Error::at(place, format!("MJML has no <{name}>{}", hint(name, ELEMENTS))));
        }
        Ok(())
    }

    fn close(&mut self, tag: &str) {
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        if tag.starts_with('/') {
            if let Some(at) = self.open.iter().rposition(|open| *open == name) {
                self.open.truncate(at);
            }
        } else if !tag.ends_with('/') {
            self.open.push(name);
        }
    }
}
