//! A flat template as the engine gets it, and where each of its tags came from.

use std::collections::BTreeSet;

use crate::template::lex::{Piece, Place, Word, words};

/// A template in one piece.
#[derive(Debug)]
pub(crate) struct Flat {
    /// What the engine reads.
    pub(crate) text: String,
    /// Where each tag begins in `text`, and where it was written.
    tags: Vec<(usize, Place)>,
    /// The names in its tags, variables and others.
    names: BTreeSet<String>,
}

impl Flat {
    /// Joins pieces.
    pub(crate) fn new(pieces: Vec<Piece>) -> Self {
        let mut flat = Self {
            text: String::new(),
            tags: Vec::new(),
            names: BTreeSet::new(),
        };
        for piece in pieces {
            match piece {
                // Only a `raw` block can have left a mark of the engine's in a text.
                Piece::Text(_, text) if text.contains("{{") || text.contains("{%") || text.contains("{#") => {
                    flat.text.push_str(&format!("{{% raw %}}{text}{{% endraw %}}"));
                }
                Piece::Text(_, text) => flat.text.push_str(&text),
                Piece::Print(place, body) => flat.tag(place, ["{{ ", &body, " }}"]),
                Piece::Statement(place, body) => flat.tag(place, ["{% ", &body, " %}"]),
            }
        }
        flat
    }

    /// Joins pieces of HTML without indentation and blank lines: half of a long digest would be blanks.
    pub(crate) fn compact(pieces: Vec<Piece>) -> Self {
        let mut compacted = Vec::with_capacity(pieces.len());
        let mut lines = Lines::default();
        for piece in pieces {
            compacted.push(match piece {
                Piece::Text(place, text) => {
                    let text = without_indentation(&text);
                    Piece::Text(place, lines.text(&text).to_owned())
                }
                Piece::Statement(place, body) => {
                    lines.statement(&body);
                    Piece::Statement(place, body)
                }
                Piece::Print(place, body) => {
                    lines.is_at_start = false;
                    Piece::Print(place, body)
                }
            });
        }
        Self::new(compacted)
    }

    fn tag(&mut self, place: Place, tag: [&str; 3]) {
        self.tags.push((self.text.len(), place));
        self.text.extend(tag);
        for (_, word) in words(tag[1]) {
            if let Word::Name(name) = word {
                self.names.insert(name.to_owned());
            }
        }
    }

    /// Tells whether a tag mentions a name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Returns where it was written what stands at byte `at`.
    pub(crate) fn place_of(&self, at: usize) -> Option<Place> {
        let n = self.tags.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        let (start, place) = &self.tags[n];
        let body = start + "{{ ".len();
        let within = self.text.get(body..at).unwrap_or_default();
        Some(place.after(within))
    }
}

/// Knows where a line begins whichever way conditions go, so that a line break there would only leave a blank line.
#[derive(Default)]
struct Lines {
    is_at_start: bool,
    open: Vec<Open>,
}

/// A condition or loop that is open.
struct Open {
    /// Whether it began at a line's start.
    start: bool,
    /// Whether each of its branches so far ended at one.
    ends: bool,
}

impl Lines {
    fn text<'a>(&mut self, text: &'a str) -> &'a str {
        let text = match text.strip_prefix('\n') {
            Some(rest) if self.is_at_start => rest,
            _ => text,
        };
        if !text.is_empty() {
            self.is_at_start = text.ends_with('\n');
        }
        text
    }

    fn statement(&mut self, body: &str) {
        match body.split_whitespace().next() {
            Some("if" | "for" | "filter") => self.open.push(Open {
                start: self.is_at_start,
                ends: true,
            }),
            Some("elif" | "else") => {
                if let Some(open) = self.open.last_mut() {
                    open.ends &= self.is_at_start;
                    self.is_at_start = open.start;
                }
            }
            // Behind it one comes from one of its branches, or from before.
            Some("endif" | "endfor" | "endfilter") => {
                let open = self.open.pop();
                self.is_at_start &= open.is_some_and(|open| open.start && open.ends);
            }
            _ => {}
        }
    }
}

/// Makes one line break of a run of blanks with line breaks in it: it shows the same.
fn without_indentation(text: &str) -> String {
    let mut compacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_whitespace) {
        compacted.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(rest.len()).max(1);
        let end = rest.char_indices().map(|(at, _)| at).find(|at| *at >= end).unwrap_or(rest.len());
        let run = &rest[..end];
        compacted.push_str(if run.contains('\n') { "\n" } else { run });
        rest = &rest[end..];
    }
    compacted.push_str(rest);
    compacted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::lex::pieces;

    #[test]
    fn blank_lines_go_and_words_stay_apart() {
        let cases = [
            ("<a>\n  <b>\n\n\t</b>", "<a>\n<b>\n</b>"),
            ("a\n{% if x %}\n  b\n{% endif %}\nc", "a\n{% if x %}b\n{% endif %}c"),
            ("a{% if x %}\nb\n{% endif %}\nc", "a{% if x %}\nb\n{% endif %}\nc"),
            ("a\n{% if x %}b{% endif %}\nc", "a\n{% if x %}b{% endif %}\nc"),
            (
                "a\n{% if x %}b{% else %}\nc\n{% endif %}\nd",
                "a\n{% if x %}b{% else %}c\n{% endif %}\nd",
            ),
            (
                "a\n{% if x %}b\n{% else %}\nc\n{% endif %}\nd",
                "a\n{% if x %}b\n{% else %}c\n{% endif %}d",
            ),
            ("a\n{{ x }}\n\nb  c", "a\n{{ x }}\nb  c"),
            ("a \u{a0} b", "a \u{a0} b"),
        ];
        for (text, compact) in cases {
            let place = Place::start_of(&"f".into());
            assert_eq!(Flat::compact(pieces(&place, text)).text, compact, "{text:?}");
        }
    }
}
