//! Compares the names in a template with the contract, also in branches that no sample takes: the engine looks at a name only when it comes by,
//! and finds `{% if lead.nope %}` merely false.
//!
//! It reads a flat template, in which everything that belongs to a mail stands in its order, so that a file which several kinds include is
//! looked at with the names of each.

use std::collections::BTreeMap;

use crate::template::contract::{Holds, Variable};
use crate::template::error::Error;
use crate::template::filters;
use crate::template::lex::{Piece, Place, Word, words};
use crate::template::near::hint;

/// Words with a meaning of their own inside a tag.
const KEYWORDS: [&str; 14] = [
    "and", "or", "not", "in", "is", "if", "else", "true", "false", "True", "False", "none", "None", "null",
];

/// Tests behind `is`, as the engine has them.
const TESTS: [&str; 17] = [
    "string",
    "number",
    "map",
    "bool",
    "array",
    "integer",
    "float",
    "none",
    "iterable",
    "defined",
    "undefined",
    "odd",
    "even",
    "divisible_by",
    "starting_with",
    "ending_with",
    "containing",
];

/// What `loop` offers.
const LOOP: [&str; 5] = ["index", "index0", "first", "last", "length"];

/// Loops inside one another: a list of a hundred leads gone through once for each of them is as much as a mail may take its time for.
const LOOPS_MAX: usize = 2;

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
enum Thing {
    /// By the contract.
    Known(Holds),
    /// One of a list by the contract.
    Loop,
    /// The template's own, of which nothing is known.
    Any,
}

/// Finds every name that the contract does not have. `what`: what the template is for, as an error says it.
pub(crate) fn faults(what: &str, contract: &'static [Variable], pieces: &[Piece]) -> Vec<Error> {
    let mut check = Check {
        what,
        contract,
        scopes: vec![BTreeMap::new()],
        faults: Vec::new(),
    };
    for piece in pieces {
        match piece {
            Piece::Text(..) => {}
            Piece::Print(place, body) => check.print(place, body),
            Piece::Statement(place, body) => check.statement(place, body),
        }
    }
    check.faults
}

struct Check<'a> {
    what: &'a str,
    contract: &'static [Variable],
    scopes: Vec<BTreeMap<String, Thing>>,
    faults: Vec<Error>,
}

/// The words of one tag, and where it stands.
#[derive(Clone, Copy)]
struct Tag<'a> {
    place: &'a Place,
    body: &'a str,
    words: &'a [(usize, Word<'a>)],
}

impl<'a> Tag<'a> {
    fn at(&self, n: usize) -> Option<Word<'a>> {
        self.words.get(n).map(|(_, word)| *word)
    }

    fn place_of(&self, n: usize) -> Place {
        let at = self.words.get(n).map_or(self.body.len(), |(at, _)| *at);
        self.place.after(&self.body[..at])
    }

    /// Returns the name at `n`.
    fn name(&self, n: usize) -> Option<&'a str> {
        match self.at(n) {
            Some(Word::Name(name)) => Some(name),
            _ => None,
        }
    }
}

impl Check<'_> {
    fn fault(&mut self, place: Place, found: String) {
        self.faults.push(Error::at(&place, found));
    }

    fn print(&mut self, place: &Place, body: &str) {
        let words = words(body);
        let tag = Tag {
            place,
            body,
            words: &words,
        };
        let is_component = tag.at(0) == Some(Word::Mark("<"));
        if is_component {
            let found = "components are not known here; put it into a file of its own and {% include %} it".to_owned();
            return self.fault(place.clone(), found);
        }
        let (thing, end) = self.expression(tag, 0);
        if end < words.len() {
            return;
        }
        if let Some(Thing::Known(Holds::Fields(fields) | Holds::List(fields))) = thing {
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            self.fault(place.clone(), format!("\"{body}\" is no text, but holds {}", known.join(", ")));
        }
    }

    fn statement(&mut self, place: &Place, body: &str) {
        let words = words(body);
        let tag = Tag {
            place,
            body,
            words: &words,
        };
        match tag.name(0) {
            Some("if" | "elif") => _ = self.expression(tag, 1),
            Some("for") => self.begin_for(tag),
            Some("endfor") => _ = self.scopes.pop(),
            Some("set") => self.set(tag),
            // A loop that doubles a text a hundred times would take all memory there is; what is set inside a loop ends with it.
            Some("set_global") => {
                let found = "\"set_global\" is not known here; {% set %} holds to the end of the loop, or of the mail, that it stands in"
                    .to_owned();
                self.fault(place.clone(), found);
            }
            Some("filter") => _ = self.filter_at(tag, 1),
            Some("else" | "endif" | "endset" | "endfilter" | "break" | "continue") => {}
            _ => {
                let found = format!("\"{}\" is not known here", tag.name(0).unwrap_or(body));
                self.fault(place.clone(), found);
            }
        }
    }

    /// `for x in list`, `for key, value in fields`.
    fn begin_for(&mut self, tag: Tag<'_>) {
        let Some(at_in) = (1..tag.words.len()).find(|n| tag.name(*n) == Some("in")) else {
            return;
        };
        // The first scope is the mail's.
        if self.scopes.len() > LOOPS_MAX {
            let found = format!("loops stand at most {LOOPS_MAX} deep inside one another, so that no mail takes for ever");
            self.fault(tag.place.clone(), found);
        }
        let (thing, end) = self.expression(tag, at_in + 1);
        let thing = match thing {
            Some(Thing::Known(Holds::List(fields))) => Thing::Known(Holds::Fields(fields)),
            Some(Thing::Known(holds)) if end >= tag.words.len() => {
                let found = format!("\"{}\" is no list, but {}", tag.body[tag.words[at_in + 1].0..].trim(), holds.name());
                self.fault(tag.place_of(at_in + 1), found);
                Thing::Any
            }
            _ => Thing::Any,
        };
        let names: Vec<&str> = (1..at_in).filter_map(|n| tag.name(n)).collect();
        let mut scope = BTreeMap::from([("loop".to_owned(), Thing::Loop)]);
        let is_single = names.len() == 1;
        scope.extend(
            names
                .iter()
                .map(|name| ((*name).to_owned(), if is_single { thing } else { Thing::Any })),
        );
        self.scopes.push(scope);
    }

    fn set(&mut self, tag: Tag<'_>) {
        let Some(name) = tag.name(1) else { return };
        // `{% set x %}…{% endset %}` has no expression.
        let thing = match tag.at(2) {
            Some(Word::Mark("=")) => match self.expression(tag, 3) {
                (Some(thing), end) if end >= tag.words.len() => thing,
                _ => Thing::Any,
            },
            _ => Thing::Any,
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), thing);
        }
    }

    /// Looks at all names from word `n` on. Returns what the first one stands for, and where that ends.
    fn expression(&mut self, tag: Tag<'_>, n: usize) -> (Option<Thing>, usize) {
        let mut first = None;
        let mut at = n;
        while let Some(word) = tag.at(at) {
            let start = at;
            let mut thing = None;
            at = match word {
                Word::Name("is") => self.test_at(tag, at + 1),
                Word::Name(name) if KEYWORDS.contains(&name) => at + 1,
                Word::Name(name) if tag.at(at + 1) == Some(Word::Mark("(")) => {
                    let found = format!("\"{name}\" is no function that templates have; they have none");
                    self.fault(tag.place_of(at), found);
                    at + 1
                }
                Word::Name(_) if tag.at(at + 1) == Some(Word::Mark("=")) => at + 2,
                Word::Name(_) => {
                    let (found, end) = self.path_at(tag, at);
                    thing = found;
                    self.compared_at(tag, at, thing, end);
                    end
                }
                Word::Mark("|") => self.filter_at(tag, at + 1),
                _ => at + 1,
            };
            if start == n {
                first = thing.map(|thing| (thing, at));
            }
        }
        first.map_or((None, at), |(thing, end)| (Some(thing), end))
    }

    /// Looks at the word that a variable of a few words is compared with: a misspelt one would never be it, in silence.
    fn compared_at(&mut self, tag: Tag<'_>, n: usize, thing: Option<Thing>, end: usize) {
        let (Some(Thing::Known(Holds::OneOf(words))), Some(Word::Mark("==" | "!=")), Some(Word::Quoted(word))) =
            (thing, tag.at(end), tag.at(end + 1))
        else {
            return;
        };
        if words.contains(&word) {
            return;
        }
        let path = tag.body[tag.words[n].0..tag.words[end].0].trim();
        let hint = hint(word, words.iter().copied());
        let hint = if hint.is_empty() {
            format!("; it is one of {}", words.join(", "))
        } else {
            hint
        };
        self.fault(tag.place_of(n), format!("\"{path}\" is never \"{word}\"{hint}"));
    }

    fn test_at(&mut self, tag: Tag<'_>, n: usize) -> usize {
        let n = if tag.name(n) == Some("not") { n + 1 } else { n };
        if let Some(name) = tag.name(n).filter(|name| !TESTS.contains(name)) {
            self.fault(tag.place_of(n), format!("unknown test \"{name}\"{}", hint(name, TESTS)));
        }
        n + 1
    }

    fn filter_at(&mut self, tag: Tag<'_>, n: usize) -> usize {
        if let Some(name) = tag.name(n).filter(|name| !filters::names().any(|known| known == *name)) {
            self.fault(
                tag.place_of(n),
                format!("unknown filter \"{name}\"{}", hint(name, filters::names())),
            );
        }
        n + 1
    }

    /// Follows `lead.contact.email`, `leads[0].deal`, `leads[:3]`.
    fn path_at(&mut self, tag: Tag<'_>, n: usize) -> (Option<Thing>, usize) {
        let Some(name) = tag.name(n) else { return (None, n + 1) };
        let Some(mut thing) = self.look_up(tag, n, name) else {
            // Named once; its fields are not known either.
            let mut end = n + 1;
            while matches!(tag.at(end), Some(Word::Mark("." | "?."))) {
                end += 2;
            }
            return (None, end);
        };
        let mut path = name.to_owned();
        let mut at = n + 1;
        loop {
            match (tag.at(at), tag.name(at + 1)) {
                (Some(Word::Mark("." | "?.")), Some(field)) => {
                    match self.field(tag, at + 1, &path, thing, field) {
                        Some(found) => thing = found,
                        None => return (None, at + 2),
                    }
                    path = format!("{path}.{field}");
                    at += 2;
                }
                (Some(Word::Mark("[" | "?[")), _) => {
                    let end = closing(tag, at);
                    let is_slice = (at..end).any(|n| tag.at(n) == Some(Word::Mark(":")));
                    let inside = Tag {
                        words: &tag.words[..end.min(tag.words.len())],
                        ..tag
                    };
                    self.expression(inside, at + 1);
                    thing = match thing {
                        Thing::Known(Holds::List(fields)) if !is_slice => Thing::Known(Holds::Fields(fields)),
                        Thing::Known(Holds::List(_)) => thing,
                        _ => Thing::Any,
                    };
                    at = end + 1;
                }
                _ => return (Some(thing), at),
            }
        }
    }

    fn look_up(&mut self, tag: Tag<'_>, n: usize, name: &str) -> Option<Thing> {
        if let Some(thing) = self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            return Some(*thing);
        }
        if let Some(variable) = self.contract.iter().find(|variable| variable.name == name) {
            return Some(Thing::Known(variable.holds));
        }
        let place = tag.place_of(n);
        if name == "t" {
            let found = "a message stands for itself: {{ t.key }}, without filters and not in a condition".to_owned();
            self.fault(place, found);
            return None;
        }
        let known: Vec<&str> = self.contract.iter().map(|variable| variable.name).collect();
        let own: Vec<String> = self.scopes.iter().flat_map(BTreeMap::keys).cloned().collect();
        let hint = hint(name, known.iter().copied().chain(own.iter().map(String::as_str)));
        let hint = if hint.is_empty() {
            format!("; it has {}", known.join(", "))
        } else {
            hint
        };
        self.fault(place, format!("{} has no \"{name}\"{hint}", self.what));
        None
    }

    fn field(&mut self, tag: Tag<'_>, n: usize, path: &str, thing: Thing, field: &str) -> Option<Thing> {
        let fields = match thing {
            Thing::Any => return Some(Thing::Any),
            Thing::Loop if LOOP.contains(&field) => return Some(Thing::Any),
            Thing::Loop => {
                self.fault(tag.place_of(n), format!("\"loop\" has no \"{field}\"{}", hint(field, LOOP)));
                return None;
            }
            Thing::Known(Holds::Fields(fields)) => fields,
            Thing::Known(Holds::List(_)) => {
                let found = format!("\"{path}\" is a list; its \"{field}\" is for {{% for lead in {path} %}}");
                self.fault(tag.place_of(n), found);
                return None;
            }
            Thing::Known(holds) => {
                self.fault(tag.place_of(n), format!("\"{path}\" is a {} and has no \"{field}\"", holds.name()));
                return None;
            }
        };
        if let Some(variable) = fields.iter().find(|variable| variable.name == field) {
            return Some(Thing::Known(variable.holds));
        }
        let known: Vec<&str> = fields.iter().map(|variable| variable.name).collect();
        let hint = hint(field, known.iter().copied());
        let hint = if hint.is_empty() {
            format!("; it has {}", known.join(", "))
        } else {
            hint
        };
        self.fault(tag.place_of(n), format!("\"{path}\" has no \"{field}\"{hint}"));
        None
    }
}

/// Finds the bracket that closes the one at `n`.
fn closing(tag: Tag<'_>, n: usize) -> usize {
    let mut depth = 0;
    for at in n..tag.words.len() {
        match tag.at(at) {
            Some(Word::Mark("[" | "?[")) => depth += 1,
            Some(Word::Mark("]")) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tag.words.len()
}
