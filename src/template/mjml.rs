//! Turns MJML into the HTML that mail programs understand, once, when a set is loaded.
//!
//! The tags of a template are replaced by tokens that the conversion has no reason to touch, and put back afterwards. A tag that is gone
//! then stood where MJML drops text: that is refused, with its place. Conditions and loops may stand between MJML's elements; they are wrapped
//! into `mj-raw`, which is what MJML asks for there.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use mrml::prelude::parser::Error as ParseError;
use mrml::prelude::render::RenderOptions;

use crate::template::error::Error;
use crate::template::lex::{Piece, Place};
use crate::template::markup::is_void;
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

/// The attributes of MJML's elements. One that is near to one of them and is none is misspelt: MJML passes over it in silence, too.
static ATTRIBUTES: LazyLock<BTreeSet<&str>> = LazyLock::new(|| ATTRIBUTE_NAMES.split_whitespace().collect());

const ATTRIBUTE_NAMES: &str = "align alt async background-color background-height background-position background-position-x background-position-y \
     background-repeat background-size background-url background-width base-url border border-bottom border-color border-left border-radius \
     border-right border-style border-top border-width cellpadding cellspacing color container-background-color css-class dir direction \
     fluid-on-mobile font-family font-size font-style font-weight full-width hamburger height href ico-align ico-close ico-color \
     ico-font-family ico-font-size ico-line-height ico-open ico-padding ico-padding-bottom ico-padding-left ico-padding-right \
     ico-padding-top ico-text-decoration ico-text-transform icon-align icon-height icon-padding icon-position icon-size \
     icon-unwrapped-alt icon-unwrapped-url icon-width icon-wrapped-alt icon-wrapped-url id inline inner-background-color inner-border \
     inner-border-bottom inner-border-left inner-border-radius inner-border-right inner-border-top inner-padding lang left-icon \
     letter-spacing line-height max-height max-width min-width mj-class mode name navbar-base-url owa padding padding-bottom padding-left \
     padding-right padding-top path position rel right-icon role sizes src srcset table-layout target tb-border tb-border-radius \
     tb-hover-border-color tb-selected-border-color tb-width text-align text-decoration text-padding text-transform thumbnails \
     thumbnails-src title type usemap vertical-align width";

/// Elements that hold elements only: a tag between them needs `mj-raw` around it.
const HOLDS_ELEMENTS: [&str; 6] = ["mj-body", "mj-wrapper", "mj-section", "mj-group", "mj-column", "mj-hero"];

/// Converts a flat template. `start`: where the one begins that it was made of.
///
/// # Errors
/// An element is unknown, MJML cannot be read, or a tag would be lost; with the place.
pub(crate) fn convert(start: &Place, pieces: &[Piece]) -> Result<Vec<Piece>, Error> {
    let tokens = Tokens::write(start, pieces)?;
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
    start: &'a Place,
    pieces: &'a [Piece],
    /// MJML with a token for each tag.
    text: String,
    /// Where each piece begins in `text`.
    starts: Vec<usize>,
    /// Which pieces say how elements look that a mail may not have.
    looks: Vec<bool>,
    /// The first element that is not closed, or whose end closes nothing: MJML's parser finds that out far behind it, in another file.
    misfit: Option<(Place, String)>,
}

const OPEN: &str = "t4g";
const CLOSE: &str = "gt";

impl<'a> Tokens<'a> {
    fn write(start: &'a Place, pieces: &'a [Piece]) -> Result<Self, Error> {
        let mut written = Self {
            start,
            pieces,
            text: String::new(),
            starts: Vec::with_capacity(pieces.len()),
            looks: Vec::with_capacity(pieces.len()),
            misfit: None,
        };
        let mut scan = Scan::default();
        for (n, piece) in pieces.iter().enumerate() {
            written.starts.push(written.text.len());
            written.looks.push(scan.open.iter().any(|open| open.name == "mj-attributes"));
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
        written.misfit = scan.misfit();
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
            None => self.start.clone(),
        }
    }

    fn unreadable(&self, error: &ParseError) -> Error {
        if let (ParseError::EndOfStream { .. } | ParseError::UnexpectedElement { .. }, Some((place, found))) = (error, &self.misfit) {
            return Error::at(place, found.clone());
        }
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
                    format!("what is not well-formed: {}", without_place(&source.to_string())),
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

/// Takes ` at 72:24` out: the parser counts in what was put together of many files, which nobody has seen.
fn without_place(told: &str) -> String {
    let is_place = |word: &str| {
        word.split_once(':')
            .is_some_and(|(row, column)| [row, column].iter().all(|n| n.parse::<usize>().is_ok()))
    };
    let mut kept = Vec::new();
    let mut words = told.split(' ').peekable();
    while let Some(word) = words.next() {
        if word == "at" && words.peek().is_some_and(|next| is_place(next)) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
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
    open: Vec<Open>,
    /// What of an element's tag was read, without its values, while it is not closed, and where it begins.
    tag: Option<(Place, String)>,
    quote: Option<char>,
    in_comment: bool,
    misfit: Option<(Place, String)>,
}

/// An element that was begun.
struct Open {
    name: String,
    place: Place,
}

impl Scan {
    /// Whether one is inside `<…>`, and not in a value.
    fn is_inside_tag(&self) -> bool {
        self.tag.is_some() && self.quote.is_none()
    }

    fn is_between_elements(&self) -> bool {
        let parent = self.open.last().map_or("", |open| open.name.as_str());
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
                    let place = place.after(&text[..=at]);
                    self.check_name(&place, &text[at + 1..])?;
                    self.tag = Some((place, String::new()));
                }
                (None, _, c) if is_between && !c.is_whitespace() => {
                    let word = text[at..].split([' ', '\n', '<']).next().unwrap_or_default();
                    return Err(between_elements(&place.after(&text[..at]), word));
                }
                (None, _, _) => {}
                (Some(_), Some(quote), c) if c == quote => self.quote = None,
                (Some(_), Some(_), _) => {}
                (Some(_), None, '>') => {
                    if let Some((place, tag)) = self.tag.take() {
                        check_attributes(&place, &tag)?;
                        self.close(place, &tag);
                    }
                }
                (Some((_, tag)), None, '"' | '\'') => {
                    self.quote = Some(c);
                    tag.push(' ');
                }
                (Some((_, tag)), None, c) => tag.push(c),
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

    fn close(&mut self, place: Place, tag: &str) {
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        if tag.starts_with('/') {
            let at = self.open.iter().rposition(|open| open.name == name);
            if self.misfit.is_none() {
                self.misfit = match at.map(|at| self.open.get(at + 1)) {
                    Some(Some(inner)) => Some((inner.place.clone(), format!("<{}> is not closed before </{name}>", inner.name))),
                    Some(None) => None,
                    None => Some((place, format!("</{name}> closes nothing that is open here"))),
                };
            }
            if let Some(at) = at {
                self.open.truncate(at);
            }
        } else if !tag.ends_with('/') && !is_void(&name) {
            self.open.push(Open { name, place });
        }
    }

    /// Returns the first end or beginning that has no other.
    fn misfit(self) -> Option<(Place, String)> {
        let never_closed = |open: &Open| (open.place.clone(), format!("<{}> is not closed", open.name));
        self.misfit.or_else(|| self.open.last().map(never_closed))
    }
}

/// Refuses an attribute of one of MJML's elements that is misspelt.
fn check_attributes(place: &Place, tag: &str) -> Result<(), Error> {
    let mut words = tag.split(|c: char| c.is_whitespace() || matches!(c, '=' | '/'));
    let name = words.next().unwrap_or_default();
    if !name.starts_with("mj-") {
        return Ok(());
    }
    for word in words.filter(|word| !word.is_empty()) {
        if ATTRIBUTES.contains(word) {
            continue;
        }
        let hint = hint(word, ATTRIBUTES.iter().copied());
        if !hint.is_empty() {
            return Err(Error::at(place, format!("<{name}> has no \"{word}\"{hint}")));
        }
    }
    Ok(())
}
