//! Makes text from strangers harmless on its way into a mail: one line where a name is meant, no control characters, no direction tricks.

use std::borrow::Cow;

use serde::Serializer;

/// A name longer than this is cut; a subject as well. Long enough for any real name, short enough that no name takes over a page.
const LINE_CHARS_MAX: usize = 200;

/// Returns `text` on one line: line breaks, tabs and runs of blanks become one space, control and direction characters go, the ends are
/// trimmed, and what is longer than 200 characters is cut.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if is_one_line(text) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || is_control(c) {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !steers_direction(c) {
            line.push(c);
        }
    }
    line.truncate(line.trim_end().len());
    Cow::Owned(cut(&line, LINE_CHARS_MAX).into_owned())
}

/// Tells quickly of most texts that there is nothing to do to them.
fn is_one_line(text: &str) -> bool {
    text.len() <= LINE_CHARS_MAX && is_plain(text, |byte, before| byte == b'\n' || (byte == b' ' && before == b' '))
}

/// Tells of an ASCII text without control characters that it neither begins nor ends with a blank, and that no byte is `wrong` behind the one
/// before it. One look at each byte: searching for two blanks took longer than all else that a mail's context costs.
fn is_plain(text: &str, wrong: impl Fn(u8, u8) -> bool) -> bool {
    let mut before = b' ';
    for byte in text.bytes() {
        if !matches!(byte, b' '..=b'~' | b'\n') || wrong(byte, before) {
            return false;
        }
        before = byte;
    }
    !matches!(before, b' ' | b'\n') || text.is_empty()
}

/// Returns `text` with its lines kept, but without control and direction characters and without more than one blank line in a row.
pub(crate) fn many_lines(text: &str) -> Cow<'_, str> {
    // A blank line is left to the slow way: there may be two.
    let is_odd = |byte, before| byte == b'\n' && matches!(before, b' ' | b'\n');
    if is_plain(text, is_odd) && !text.starts_with(' ') {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    let kept: String = text
        .chars()
        .filter_map(|c| match c {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
            '\t' => Some(' '),
            c if is_control(c) || steers_direction(c) => None,
            c => Some(c),
        })
        .collect();
    let mut lines: Vec<&str> = Vec::new();
    for line in kept.lines().map(str::trim_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    Cow::Owned(lines.join("\n").trim().to_owned())
}

/// Returns at most `max` characters of `text`, cut at a blank where one is near, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let Some((end, _)) = text.char_indices().nth(max) else {
        return Cow::Borrowed(text);
    };
    let head = &text[..text[..end].char_indices().next_back().map_or(0, |(at, _)| at)];
    // A cut in the middle of a word only where the word is longer than a quarter of the room.
    let head = match head.rfind(char::is_whitespace) {
        Some(blank) if blank * 4 >= head.len() * 3 => &head[..blank],
        _ => head,
    };
    let head = head.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '.' | ':'));
    Cow::Owned(format!("{head}…"))
}

/// Returns the language of a tag without its region and script, in lower case: `de` for `de-AT` and `DE_at`.
pub(crate) fn primary(tag: &str) -> String {
    tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

/// Overrides and isolates (U+202A–202E, U+2066–2069) turn what follows them around: `exe.txt` reads `txt.exe`. The marks that right-to-left
/// names need (U+200E, U+200F) stay.
fn steers_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

/// Serializes a name ([`one_line`]).
pub(crate) fn line<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&one_line(text))
}

/// Tells whether nothing of a text would be left: then it is missing.
pub(crate) fn is_nothing(text: &Option<String>) -> bool {
    let is_seen = |c: char| !c.is_whitespace() && !is_control(c) && !steers_direction(c);
    !text.as_deref().is_some_and(|text| text.chars().any(is_seen))
}

/// Serializes a name that may be missing; one of which nothing is left is missing.
pub(crate) fn maybe_line<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    maybe(text.as_deref().map(one_line), serializer)
}

/// Serializes notes ([`many_lines`]).
pub(crate) fn maybe_lines<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    maybe(text.as_deref().map(many_lines), serializer)
}

/// Serializes a link: whole, but without blanks and control characters, which would end it early in plain text.
pub(crate) fn link<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&without_blanks(text))
}

/// Serializes a link that may be missing.
pub(crate) fn maybe_link<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    maybe(text.as_deref().map(without_blanks), serializer)
}

fn maybe<S: Serializer>(text: Option<Cow<'_, str>>, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) if !text.is_empty() => serializer.serialize_some(&text),
        _ => serializer.serialize_none(),
    }
}

/// Returns a link without what would end it early.
pub(crate) fn without_blanks(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Cow::Borrowed(text);
    }
    let is_kept = |c: &char| !c.is_whitespace() && !is_control(*c) && !steers_direction(*c);
    Cow::Owned(text.chars().filter(is_kept).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_without_tricks() {
        let long = "x".repeat(300);
        let cases = [
            ("Contoso", "Contoso"),
            ("  Contoso\r\nBcc: x@evil.example\t\tGmbH ", "Contoso Bcc: x@evil.example GmbH"),
            ("Con\u{0}to\u{7}so", "Con to so"),
            ("a\u{2028}b\u{85}c", "a b c"),
            ("invoice\u{202E}gpj.exe", "invoicegpj.exe"),
            ("\u{2066}abc\u{2069}", "abc"),
            ("شركة\u{200F} (Contoso)", "شركة\u{200F} (Contoso)"),
            ("\u{202E} \n", ""),
        ];
        for (text, line) in cases {
            assert_eq!(one_line(text), line, "{text:?}");
        }
        assert_eq!(one_line(&long).chars().count(), 200);
    }

    #[test]
    fn notes_keep_their_lines_and_lose_runs_of_blank_ones() {
        assert_eq!(many_lines("\n a\r\n\r\n\n\n\nb\u{0}\t \rc\u{202E}\u{2028}d\n\n"), "a\n\nb\nc\nd");
    }

    #[test]
    fn a_cut_falls_between_words_and_is_marked() {
        let cases = [
            ("short", 10, "short"),
            ("exactly ten", 11, "exactly ten"),
            ("we need help, soon", 14, "we need help…"),
            ("Donaudampfschifffahrt", 10, "Donaudamp…"),
            ("äöüäöüäöü", 5, "äöüä…"),
        ];
        for (text, max, cut_text) in cases {
            assert_eq!(cut(text, max), cut_text, "{text:?} at {max}");
            assert!(cut(text, max).chars().count() <= max);
        }
    }
}
