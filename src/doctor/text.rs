//! How texts of the DNS are read and spoken of: tags with values, and what strangers wrote, cut to fit a sentence.

use crate::doctor::{Area, Check};

/// Reads `tag=value; tag=value` (RFC 6376 §3.2), as the records of DKIM and DMARC are written; white space around either means nothing.
///
/// # Errors
/// The piece that is no tag and value, or a tag that stands there twice.
pub(crate) fn tags(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for piece in text.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
        let Some((tag, value)) = piece.split_once('=') else {
            return Err(format!("{:?} is no tag with a value", cut(piece)));
        };
        let (tag, value) = (tag.trim(), value.trim());
        let is_name = tag.starts_with(|c: char| c.is_ascii_alphabetic()) && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(format!("{:?} is no name of a tag", cut(tag)));
        }
        if tags.iter().any(|(known, _)| *known == tag) {
            return Err(format!("{tag}= stands in it twice"));
        }
        tags.push((tag, value));
    }
    Ok(tags)
}

/// Says that the DNS gave no answer that one could go by.
pub(crate) fn unanswered(name: &'static str, what: &str, why: &str) -> Check {
    Check::not_checked(
        Area::Dns,
        name,
        format!("{what}: the DNS answers {why}."),
        "Ask again later; if it stays so, tell whoever runs that name's DNS.",
    )
}

/// Characters of a record that a sentence repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// Cuts what a stranger wrote, so that a sentence stays one.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
