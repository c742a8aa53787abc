//! Cuts a template into text and tags, and a tag into words, with the place of each: the engine keeps its own syntax tree to itself.
//!
//! Only what the engine accepted comes here, so nothing is an error; what looks odd is passed on as it stands.

use std::sync::Arc;

/// Where something stands, as an editor counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What the operator calls the file.
    pub(crate) file: Arc<str>,
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Place {
    /// The first character of a file.
    pub(crate) fn start_of(file: &Arc<str>) -> Self {
        Self {
            file: Arc::clone(file),
            line: 1,
            column: 1,
        }
    }

    /// Where one is after `text`.
    pub(crate) fn after(&self, text: &str) -> Self {
        let n_lines = text.matches('\n').count();
        let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
        Self {
            file: Arc::clone(&self.file),
            line: self.line + n_lines,
            column: if n_lines == 0 { self.column + last } else { last + 1 },
        }
    }
}

/// A piece of a template.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// What is shown as it stands.
    Text(Place, String),
    /// `{{ … }}`: what is inside, trimmed.
    Print(Place, String),
    /// `{% … %}`: what is inside, trimmed.
    Statement(Place, String),
}

/// Cuts a template, comments gone and the blanks too that `{%-` and `-%}` ask to go.
pub(crate) fn pieces(start: &Place, text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut rest, mut place) = (text, start.clone());
    let mut trims_next = false;
    while !rest.is_empty() {
        let open = ["{{", "{%", "{#"]
            .iter()
            .filter_map(|mark| rest.find(mark))
            .min()
            .unwrap_or(rest.len());
        let (before, tag) = rest.split_at(open);
        push_text(&mut pieces, &place, before, trims_next, tag.as_bytes().get(2) == Some(&b'-'));
        place = place.after(before);
        if tag.is_empty() {
            break;
        }
        let (n_bytes, piece, trims) = tag_at(&place, tag);
        pieces.extend(piece);
        trims_next = trims;
        place = place.after(&tag[..n_bytes]);
        rest = &tag[n_bytes..];
    }
    pieces
}

fn push_text(pieces: &mut Vec<Piece>, place: &Place, text: &str, trims_start: bool, trims_end: bool) {
    let kept = if trims_start { text.trim_start() } else { text };
    let place = place.after(&text[..text.len() - kept.len()]);
    let kept = if trims_end { kept.trim_end() } else { kept };
    if !kept.is_empty() {
        pieces.push(Piece::Text(place, kept.to_owned()));
    }
}

/// Reads the tag at the start of `tag`: its length, what it is, and whether the blanks behind it go.
fn tag_at(place: &Place, tag: &str) -> (usize, Option<Piece>, bool) {
    let (close, is_print) = match &tag[..2] {
        "{{" => ("}}", true),
        "{%" => ("%}", false),
        _ => {
            let end = tag.find("#}").map_or(tag.len(), |at| at + 2);
            return (end, None, tag[..end].ends_with("-#}"));
        }
    };
    let end = end_of(tag, close);
    let inside = &tag[2..end.saturating_sub(2).max(2)];
    let trims = inside.ends_with('-');
    let inside = inside.strip_prefix('-').unwrap_or(inside);
    let inside = inside.strip_suffix('-').unwrap_or(inside);
    let lead = tag.find(inside).unwrap_or(2) + (inside.len() - inside.trim_start().len());
    let at = place.after(&tag[..lead]);
    let body = inside.trim().to_owned();
    if body == "raw" {
        return raw_at(place, tag, end);
    }
    let piece = if is_print {
        Piece::Print(at, body)
    } else {
        Piece::Statement(at, body)
    };
    (end, Some(piece), trims)
}

/// `{% raw %}…{% endraw %}` is text; whatever is wrong with it, the engine has said already.
fn raw_at(place: &Place, tag: &str, start: usize) -> (usize, Option<Piece>, bool) {
    let mut from = start;
    while let Some(at) = tag[from..].find("{%").map(|at| from + at) {
        let end = end_of(&tag[at..], "%}") + at;
        if tag[at + 2..end].trim_start_matches('-').trim_start().starts_with("endraw") {
            let text = Piece::Text(place.after(&tag[..start]), tag[start..at].to_owned());
            return (end, Some(text), tag[..end].ends_with("-%}"));
        }
        from = at + 2;
    }
    (tag.len(), None, false)
}

/// Finds the end of a tag, passing over strings that hold its closing mark.
fn end_of(tag: &str, close: &str) -> usize {
    let mut quote = None;
    let mut chars = tag.char_indices().skip(2);
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => _ = chars.next(),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, _) if tag[at..].starts_with(close) => return at + 2,
            (None, _) => {}
        }
    }
    tag.len()
}

/// A word of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// A name or keyword.
    Name(&'a str),
    /// A string, without its quotes.
    Quoted(&'a str),
    /// A number.
    Number(&'a str),
    /// Anything else: one operator or bracket.
    Mark(&'a str),
}

const MARKS: [&str; 12] = ["...", "//", "**", "==", "!=", ">=", "<=", "</", "/>", "?.", "?[", "->"];

/// Cuts the inside of a tag into words, each with its offset in bytes.
pub(crate) fn words(body: &str) -> Vec<(usize, Word<'_>)> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        let rest = &body[at..];
        let n_bytes = match c {
            c if c.is_whitespace() => c.len_utf8(),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                words.push((at, Word::Name(&rest[..end])));
                end
            }
            c if c.is_ascii_digit() => {
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                words.push((at, Word::Number(&rest[..end])));
                end
            }
            '"' | '\'' | '`' => {
                let end = quoted_end(rest, c);
                words.push((at, Word::Quoted(rest[1..end].trim_end_matches(c))));
                end
            }
            c => {
                let mark = MARKS
                    .iter()
                    .find(|mark| rest.starts_with(**mark))
                    .map_or(c.len_utf8(), |mark| mark.len());
                words.push((at, Word::Mark(&rest[..mark])));
                mark
            }
        };
        at += n_bytes;
    }
    words
}

fn quoted_end(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            _ = chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let file: Arc<str> = "f".into();
        let mut shown = String::new();
        for piece in pieces(&Place::start_of(&file), text) {
            let (mark, place, body) = match piece {
                Piece::Text(place, text) => ("text", place, text),
                Piece::Print(place, text) => ("print", place, text),
                Piece::Statement(place, text) => ("statement", place, text),
            };
            shown.push_str(&format!("{mark}@{}:{} {body:?}\n", place.line, place.column));
        }
        shown
    }

    #[test]
    fn text_and_tags_come_apart_with_their_places() {
        let cases = [
            ("a\n {{ b }}c", "text@1:1 \"a\\n \"\nprint@2:5 \"b\"\ntext@2:9 \"c\"\n"),
            ("a {%- if x -%} b", "text@1:1 \"a\"\nstatement@1:7 \"if x\"\ntext@1:16 \"b\"\n"),
            ("{{ \"}}\" ~ '%}' }}", "print@1:4 \"\\\"}}\\\" ~ '%}'\"\n"),
            ("a{# {{ b }} #}c", "text@1:1 \"a\"\ntext@1:15 \"c\"\n"),
            ("{% raw %}{{ b }}{% endraw %}c", "text@1:10 \"{{ b }}\"\ntext@1:29 \"c\"\n"),
            ("ä{{ö}}", "text@1:1 \"ä\"\nprint@1:4 \"ö\"\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_tag_comes_apart_into_words() {
        let body = "if lead.deal != \"a b\" and leads[:12] | length(x=1)";
        let words: Vec<Word<'_>> = words(body).into_iter().map(|(_, word)| word).collect();
        let (name, mark) = (Word::Name, Word::Mark);
        let expected = [
            name("if"),
            name("lead"),
            mark("."),
            name("deal"),
            mark("!="),
            Word::Quoted("a b"),
            name("and"),
            name("leads"),
            mark("["),
            mark(":"),
            Word::Number("12"),
            mark("]"),
            mark("|"),
            name("length"),
            mark("("),
            name("x"),
            mark("="),
            Word::Number("1"),
            mark(")"),
        ];
        assert_eq!(words, expected);
    }
}
