//! A flat template as the engine gets it, and where each of its tags came from.

use crate::template::lex::{Piece, Place};

/// A template in one piece.
#[derive(Debug)]
pub(crate) struct Flat {
    /// What the engine reads.
    pub(crate) text: String,
    /// Where each tag begins in `text`, and where it was written.
    tags: Vec<(usize, Place)>,
}

impl Flat {
    /// Joins pieces.
    pub(crate) fn new(pieces: Vec<Piece>) -> Self {
        let mut flat = Self {
            text: String::new(),
            tags: Vec::new(),
        };
        for piece in pieces {
            match piece {
                // Only a `raw` block can have left a mark of the engine's in a text.
                Piece::Text(_, text) if text.contains("{{") || text.contains("{%") || text.contains("{#") => {
                    flat.text.push_str(&format!("{{% raw %}}{text}{{% endraw %}}"));
                }
                Piece::Text(_, text) => flat.text.push_str(&text),
                Piece::Print(place, body) => flat.tag(place, &format!("{{{{ {body} }}}}")),
                Piece::Statement(place, body) => flat.tag(place, &format!("{{% {body} %}}")),
            }
        }
        flat
    }

    /// Joins pieces of HTML without indentation and blank lines: half of a long digest would be blanks.
    pub(crate) fn compact(pieces: Vec<Piece>) -> Self {
        let compacted = pieces.into_iter().map(|piece| match piece {
            Piece::Text(place, text) => Piece::Text(place, without_indentation(&text)),
            tag => tag,
        });
        Self::new(compacted.collect())
    }

    fn tag(&mut self, place: Place, text: &str) {
        self.tags.push((self.text.len(), place));
        self.text.push_str(text);
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
