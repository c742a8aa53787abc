//! Makes one flat template of many files: parents, blocks, includes and messages are put in when a set is loaded, so that a mail is
//! rendered in one go.
//!
//! The engine has read each file before and found it well-formed; here only messages can be missing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::template::error::Error;
use crate::template::lex::{Piece, Place, Word, words};
use crate::template::lexicon::Lexicon;
use crate::template::near::hint;

/// Messages may mention messages; more than this is a circle.
const DEPTH_MAX: usize = 8;

type Blocks = BTreeMap<String, Vec<Piece>>;

/// Flattens the templates of one language.
pub(crate) struct Flattener<'a> {
    /// File → its pieces.
    pub(crate) files: &'a BTreeMap<String, Vec<Piece>>,
    /// The language's words.
    pub(crate) lexicon: &'a Lexicon<'a>,
    /// The files that were used.
    pub(crate) used: RefCell<BTreeSet<String>>,
}

impl Flattener<'_> {
    /// Returns a template with all that belongs to it.
    ///
    /// # Errors
    /// It uses a message that no language has.
    pub(crate) fn flat(&self, name: &str) -> Result<Vec<Piece>, Error> {
        let is_html = !(name.ends_with(".txt") || name.ends_with(".subject"));
        let mut walk = Walk {
            flattener: self,
            is_html,
            flat: Vec::new(),
        };
        walk.file(name, Blocks::new())?;
        Ok(walk.flat)
    }
}

struct Walk<'a> {
    flattener: &'a Flattener<'a>,
    is_html: bool,
    flat: Vec<Piece>,
}

impl Walk<'_> {
    fn file(&mut self, name: &str, mut blocks: Blocks) -> Result<(), Error> {
        let mut name = name.to_owned();
        loop {
            self.flattener.used.borrow_mut().insert(name.clone());
            let pieces = self.flattener.files.get(&name).map(Vec::as_slice).unwrap_or_default();
            let Some(parent) = pieces.iter().find_map(|piece| named(piece, "extends")) else {
                return self.walk(pieces, &blocks, 0);
            };
            for (block, inside) in blocks_of(pieces) {
                let over = match blocks.remove(&block) {
                    Some(over) => with_super(over, &inside),
                    None => inside,
                };
                blocks.insert(block, over);
            }
            name = parent;
        }
    }

    fn walk(&mut self, pieces: &[Piece], blocks: &Blocks, depth: usize) -> Result<(), Error> {
        let mut at = 0;
        while let Some(piece) = pieces.get(at) {
            at += 1;
            if let Some(block) = named(piece, "block") {
                let end = at + end_of_block(&pieces[at..]);
                let inside = blocks.get(&block).map_or(&pieces[at..end], Vec::as_slice);
                self.walk(inside, blocks, depth)?;
                at = end + 1;
            } else if let Some(file) = named(piece, "include") {
                self.file(&file, Blocks::new())?;
            } else if let Some((place, key, is_label)) = message_of(piece) {
                self.message(place, &key, is_label, blocks, depth)?;
            } else {
                self.flat.push(piece.clone());
            }
        }
        Ok(())
    }

    fn message(&mut self, place: &Place, key: &str, is_label: bool, blocks: &Blocks, depth: usize) -> Result<(), Error> {
        let lexicon = self.flattener.lexicon;
        let Some((language, message)) = lexicon.find(key) else {
            return Err(Error::at(
                place,
                format!("there is no message \"{key}\"{}", hint(key, lexicon.keys())),
            ));
        };
        if depth >= DEPTH_MAX {
            return Err(Error::at(&message.place, format!("\"{key}\" leads back to itself")));
        }
        let expanded = message.expand(language, self.is_html);
        self.walk(&expanded, blocks, depth + 1)?;
        if is_label {
            self.flat.push(Piece::Text(place.clone(), lexicon.label_end(key)));
        }
        Ok(())
    }
}

/// Returns the name in `extends "x"`, `include "x"` or `block x`.
fn named(piece: &Piece, keyword: &str) -> Option<String> {
    let Piece::Statement(_, body) = piece else { return None };
    match words(body).as_slice() {
        [(_, Word::Name(first)), (_, Word::Name(name) | Word::Quoted(name)), ..] if *first == keyword => Some((*name).to_owned()),
        _ => None,
    }
}

/// Returns the key in `{{ t.key }}`, and whether it is a label: `{{ t.key | label }}`.
fn message_of(piece: &Piece) -> Option<(&Place, String, bool)> {
    let Piece::Print(place, body) = piece else { return None };
    let path = body.strip_prefix("t.")?;
    let (path, is_label) = match path.split_once('|') {
        Some((path, filter)) if filter.trim() == "label" => (path.trim_end(), true),
        _ => (path, false),
    };
    let is_key = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    is_key.then(|| (place, path.to_owned(), is_label))
}

fn is_statement(piece: &Piece, keyword: &str) -> bool {
    matches!(piece, Piece::Statement(_, body) if body.split_whitespace().next() == Some(keyword))
}

/// Finds the `endblock` of the block that begins before `pieces`.
fn end_of_block(pieces: &[Piece]) -> usize {
    let mut depth = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if is_statement(piece, "block") {
            depth += 1;
        } else if is_statement(piece, "endblock") {
            if depth == 0 {
                return at;
            }
            depth -= 1;
        }
    }
    pieces.len()
}

/// Returns the blocks of a file, and those inside of them.
fn blocks_of(pieces: &[Piece]) -> Blocks {
    let mut blocks = Blocks::new();
    for (at, piece) in pieces.iter().enumerate() {
        if let Some(name) = named(piece, "block") {
            let inside = &pieces[at + 1..];
            blocks.insert(name, inside[..end_of_block(inside)].to_vec());
        }
    }
    blocks
}

/// Puts the parent's block where the child says `{{ super() }}`.
fn with_super(pieces: Vec<Piece>, parent: &[Piece]) -> Vec<Piece> {
    let mut with = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match &piece {
            Piece::Print(_, body) if body.replace(' ', "") == "super()" => with.extend_from_slice(parent),
            _ => with.push(piece),
        }
    }
    with
}
