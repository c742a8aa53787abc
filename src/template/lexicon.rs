//! The words that one language's mails are written with: its own, and where it has none those of the language above it, down to English.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::template::messages::{Message, Messages};

/// Words of a language and of those that stand in for it.
pub(crate) struct Lexicon<'a> {
    /// Language and its messages: the language itself, the one without region, English.
    chain: Vec<(&'a str, &'a Messages)>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Lexicon<'a> {
    /// Takes the languages in the order in which they are asked.
    pub(crate) fn new(chain: Vec<(&'a str, &'a Messages)>) -> Self {
        Self {
            chain,
            used: RefCell::default(),
        }
    }

    /// Returns a message and the language that it is in.
    pub(crate) fn find(&self, key: &str) -> Option<(&'a str, &'a Message)> {
        let found = self
            .chain
            .iter()
            .find_map(|(language, messages)| messages.get(key).map(|message| (*language, message)));
        if found.is_some() {
            self.used.borrow_mut().insert(key.to_owned());
        }
        found
    }

    /// Returns every key that there is.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.chain.iter().flat_map(|(_, messages)| messages.keys().map(String::as_str))
    }

    /// Returns the keys that templates asked for.
    pub(crate) fn used(&self) -> BTreeSet<String> {
        self.used.borrow().clone()
    }

    /// Returns the keys that templates asked for and that the language takes from English.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let own = self.chain.len().saturating_sub(1).max(1);
        let has = |key: &String| self.chain[..own].iter().any(|(_, messages)| messages.contains_key(key));
        self.used.borrow().iter().filter(|key| !has(key)).cloned().collect()
    }

    /// Returns what comes behind a label in a list of plain text: a colon, and blanks up to where the values of its group begin.
    pub(crate) fn label_end(&self, key: &str) -> String {
        let colon = self
            .find("colon")
            .map_or_else(|| ":".to_owned(), |(_, message)| message.plain().to_owned());
        let group = key.rsplit_once('.').map_or("", |(group, _)| group);
        let width = |key: &str| self.find(key).map_or(0, |(_, message)| message.plain().chars().count());
        let is_sibling = |other: &&str| other.rsplit_once('.').map_or("", |(group, _)| group) == group;
        let widest = self.keys().filter(is_sibling).map(width).max().unwrap_or(0);
        format!("{colon}{}", " ".repeat(widest.saturating_sub(width(key)) + 2))
    }
}
