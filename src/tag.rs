//! Tags: what a thing is, in so few characters that whoever changes it can say which state he has seen.

use sha2::{Digest, Sha256};

/// Which state whoever changes a thing has seen (`If-Match`, RFC 9110 §13.1.1).
///
/// ```
/// use posthorn::tag::IfMatch;
/// let seen = IfMatch::parse(r#""a1", "b2""#).expect("a list of tags");
/// assert!(seen.fits(Some("b2")) && !seen.fits(Some("c3")) && !seen.fits(None));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// He does not say.
    #[default]
    Unsaid,
    /// `*`: the thing is there, whatever it is.
    Exists,
    /// One of these; weak tags are not among them, since they never match.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// Reads what a header says: `*`, or tags in quotation marks with commas between them; `None` where it says neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Exists);
        }
        let (mut tags, mut has_tag) = (Vec::new(), false);
        let mut rest = text.trim_start();
        loop {
            // A tag may hold a comma, so the text is not split at them.
            let (is_weak, opened) = match rest.strip_prefix("W/") {
                Some(opened) => (true, opened),
                None => (false, rest),
            };
            if let Some(opened) = opened.strip_prefix('"') {
                let (tag, after) = opened.split_once('"')?;
                has_tag = true;
                if !is_weak {
                    tags.push(tag.to_owned());
                }
                rest = after.trim_start();
            }
            // Empty places in a list are passed over (RFC 9110 §5.6.1).
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.is_empty() && has_tag => return Some(Self::OneOf(tags)),
                None => return None,
            }
        }
    }

    /// Tells whether a thing may be changed that has the tag `current`, or is not there.
    pub fn fits(&self, current: Option<&str>) -> bool {
        match self {
            Self::Unsaid => true,
            Self::Exists => current.is_some(),
            Self::OneOf(tags) => current.is_some_and(|current| tags.iter().any(|tag| tag == current)),
        }
    }
}

/// Returns the tag of these bytes: the SHA-256, in hexadecimal.
///
/// ```
/// assert!(posthorn::tag::tag_of(b"abc").starts_with("ba7816bf"));
/// ```
pub fn tag_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_changes_a_thing_may_say_that_it_exists_or_which_of_several_states_it_has() {
        for (said, current, expected) in [
            ("*", Some("a"), Some(true)),
            (" * ", None, Some(false)),
            (r#""a""#, Some("a"), Some(true)),
            (r#""a""#, Some("b"), Some(false)),
            (r#""a""#, None, Some(false)),
            (r#""b", "a""#, Some("a"), Some(true)),
            (r#""b" ,,"a","#, Some("a"), Some(true)),
            (r#""b,a""#, Some("a"), Some(false)),
            (r#"W/"a""#, Some("a"), Some(false)),
            (r#"W/"a", "a""#, Some("a"), Some(true)),
            ("a", Some("a"), None),
            (r#""a"#, Some("a"), None),
            (r#""a" "b""#, Some("a"), None),
            (r#"*, "a""#, Some("a"), None),
            ("W/a", Some("a"), None),
            (",", Some("a"), None),
            ("", Some("a"), None),
        ] {
            let fits = IfMatch::parse(said).map(|seen| seen.fits(current));
            assert_eq!(fits, expected, "{said} of {current:?}");
        }
        assert!(IfMatch::Unsaid.fits(None));
    }
}
