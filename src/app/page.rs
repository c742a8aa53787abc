//! Pages of a list: what the command line walks to the end, and the API hands out one by one.
//!
//! A page is cut by a *keyset*: it begins strictly behind the last row of the one before, by that row's own key. Rows that come or go in between shift
//! nothing, and the tenth thousandth page costs as much as the first. The key travels as an opaque [`Cursor`], which names its list and its version, so
//! that one from another list, or from an older posthorn, is refused instead of misread.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::Error;

/// Rows of a page at most: a page of leads is then some hundred kilobytes, and 200 times the largest record still fits into memory.
pub const LIMIT_MAX: usize = 200;

/// Raised when a list's key changes its meaning.
const VERSION: u32 = 1;

/// Characters of a cursor at most: an id is the longest thing in it.
const CURSOR_CHARS_MAX: usize = 4096;

/// Some rows of a list, and where the next ones begin.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub value: Vec<T>,
    /// Where the next page begins; `None` behind the last row.
    pub next: Option<Cursor>,
}

/// Where a page begins. Whoever gets one hands it back as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl<T> Page<T> {
    /// Makes a page of rows of which one more than `limit` was asked for: the one too many says that there is a next page.
    pub(super) fn cut(mut rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> Cursor) -> Self {
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(cursor);
        Self { value: rows, next }
    }
}

impl Cursor {
    /// Takes over a cursor that was handed back.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns it as it travels: letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes the cursor that begins behind the row with this key.
    pub(super) fn behind(list: &str, key: &impl Serialize) -> Self {
        let text = serde_json::to_string(&(VERSION, list, key)).expect("a key is numbers and texts");
        Self(URL_SAFE_NO_PAD.encode(text))
    }

    /// Returns the key of the row behind which the page begins.
    ///
    /// # Errors
    /// The cursor is none of this list.
    pub(super) fn key<K: DeserializeOwned>(&self, list: &str) -> Result<K, Error> {
        let wrong = || {
            Error::wrong(
                "/cursor",
                "the cursor is none of this list; take it from nextLink as it is, or leave it out",
            )
        };
        if self.0.len() > CURSOR_CHARS_MAX {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| wrong())?;
        match serde_json::from_slice::<(u32, String, K)>(&bytes) {
            Ok((VERSION, of, key)) if of == list => Ok(key),
            Ok(_) | Err(_) => Err(wrong()),
        }
    }
}

/// Returns the key behind which a page begins, or where the list itself begins.
pub(super) fn key_or<K: DeserializeOwned>(cursor: Option<&Cursor>, list: &str, first: K) -> Result<K, Error> {
    cursor.map_or(Ok(first), |cursor| cursor.key(list))
}

/// Returns how many rows to ask for: one more than the page has.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, LIMIT_MAX)).unwrap_or(1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_back_to_its_own_list_alone() {
        let cursor = Cursor::behind("leads", &(1_772_409_600_000_i64, 7_i64));
        assert!(cursor.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        assert_eq!(cursor.key::<(i64, i64)>("leads").expect("its own list"), (1_772_409_600_000, 7));
        let older = Cursor(URL_SAFE_NO_PAD.encode("[0,\"leads\",[1,2]]"));
        for (cursor, why) in [
            (Cursor::behind("digests", &(1, 2)), "another list's"),
            (Cursor::behind("leads", &"L1"), "another key"),
            (Cursor::new("nonsense!"), "no base64"),
            (Cursor::new(""), "empty"),
            (Cursor::new("A".repeat(5000)), "too long"),
            (older, "an older version"),
        ] {
            let refused = cursor.key::<(i64, i64)>("leads").expect_err(why);
            assert!(matches!(&refused, Error::Input(wrongs) if wrongs[0].pointer == "/cursor"), "{why}");
        }
    }

    #[test]
    fn the_one_too_many_says_that_there_is_more() {
        let cursor = |n: &i64| Cursor::behind("numbers", n);
        let page = Page::cut(vec![1, 2, 3], 2, cursor);
        assert_eq!(page.value, [1, 2]);
        assert_eq!(page.next, Some(Cursor::behind("numbers", &2)));
        assert_eq!(Page::cut(vec![1, 2], 2, cursor).next, None);
        assert_eq!(Page::cut(vec![], 2, cursor).next, None);
    }
}
