//! Makes text from strangers harmless on its way into a mail: one line where a name is meant, no control characters, nothing that is there and
//! not seen, no towers of accents, no direction tricks, and no domain that only looks like another one.
//!
//! ```text
//! line breaks, tabs, controls             one blank, where a name is meant
//! overrides (U+202D, U+202E)              shown as U+FFFD: nobody writes them but to turn words around
//! embeddings and isolates                 dropped: what they would do for the text, its own isolate does
//! zero-width, tags, fillers, selectors    dropped, but where a script or an emoji needs them
//! accents                                 as many as languages pile up
//! right-to-left text                      isolated (U+2068 … U+2069), so that it cannot reorder what stands around it (UAX 9)
//! domains in other scripts                followed by what a mail program asks the DNS for: `bücher.example (xn--bcher-kva.example)`
//! ```

use std::borrow::Cow;
use std::cell::Cell;

use serde::Serializer;
use unicode_normalization::char::is_combining_mark;

/// A name longer than this is cut; a subject as well. Long enough for any real name, short enough that no name takes over a page.
const LINE_CHARS_MAX: usize = 200;

/// Begins text whose direction is its own, and nobody else's.
const ISOLATE: char = '\u{2068}';
/// Ends it.
const END_OF_ISOLATE: char = '\u{2069}';

/// Returns `text` on one line: line breaks, tabs and runs of blanks become one space, the ends are trimmed, and what is longer than 200
/// characters is cut.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if is_one_line(text) {
        return Cow::Borrowed(text);
    }
    let line = scrubbed(text, false, is_isolate);
    Cow::Owned(cut(&line, LINE_CHARS_MAX).into_owned())
}

/// Returns a subject that is made of clean values: as [`one_line`], but with their isolates, each ended.
pub(crate) fn subject(text: &str) -> String {
    if is_one_line(text) {
        return text.to_owned();
    }
    let line = scrubbed(text, false, |_| false);
    cut(&line, LINE_CHARS_MAX).into_owned()
}

/// Tells quickly of most texts that there is nothing to do to them.
fn is_one_line(text: &str) -> bool {
    text.len() <= LINE_CHARS_MAX && is_plain(text, |c, before| c == '\n' || (is_blank(c) && is_blank(before)))
}

/// Tells of a text in Latin letters, digits and common signs, without control characters, that it neither begins nor ends with a blank, and
/// that no character is `wrong` behind the one before it. One look at each: searching for two blanks took longer than all else that a mail's
/// context costs.
fn is_plain(text: &str, wrong: impl Fn(char, char) -> bool) -> bool {
    let mut before = ' ';
    for c in text.chars() {
        if !(matches!(c, ' '..='~' | '\n') || is_common(c)) || wrong(c, before) {
            return false;
        }
        before = c;
    }
    !(is_blank(before) || before == '\n') || text.is_empty()
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\u{A0}' | '\u{202F}')
}

/// Latin letters of whole Europe, and what stands in names and amounts; no accents to pile up, and nothing that is not seen.
fn is_common(c: char) -> bool {
    matches!(c, '\u{A0}'..='\u{AC}' | '\u{AE}'..='\u{24F}' | '–' | '—' | '‘' | '’' | '“' | '”' | '„' | '…' | '€' | '\u{202F}')
}

/// Returns `text` with its lines kept, and without more than one blank line in a row.
pub(crate) fn many_lines(text: &str) -> Cow<'_, str> {
    // A blank line is left to the slow way: there may be two.
    let is_odd = |c, before| c == '\n' && (is_blank(before) || before == '\n');
    if is_plain(text, is_odd) && !text.starts_with(is_blank) {
        return Cow::Borrowed(text);
    }
    let kept = scrubbed(&text.replace("\r\n", "\n"), true, is_isolate);
    let mut lines: Vec<&str> = Vec::new();
    for line in kept.lines().map(str::trim_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    Cow::Owned(lines.join("\n").trim().to_owned())
}

/// England, Scotland and Wales: the flags that are written with tags, which otherwise hide text.
const FLAGS: [&str; 3] = [
    "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
    "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
    "\u{1F3F4}\u{E0067}\u{E0062}\u{E0077}\u{E006C}\u{E0073}\u{E007F}",
];

/// Goes through a text character by character. `has_lines`: whether line breaks stay. `is_dropped`: which isolates go.
fn scrubbed(text: &str, has_lines: bool, is_dropped: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut before = '\0';
    let mut n_marks = 0;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\u{1F3F4}'
            && let Some(flag) = FLAGS.iter().find(|flag| rest.starts_with(**flag))
        {
            clean.push_str(flag);
            (before, n_marks) = ('\u{1F3F4}', 0);
            rest = &rest[flag.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let kept = match c {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' if has_lines => '\n',
            '\t' if has_lines => ' ',
            c if c.is_control() && has_lines => continue,
            // A blank that does not break stands in amounts, and in front of French punctuation.
            '\u{A0}' | '\u{202F}' => c,
            c if !has_lines && (c.is_whitespace() || c.is_control()) => ' ',
            '\u{202D}' | '\u{202E}' => '\u{FFFD}',
            c if is_isolate(c) && is_dropped(c) => continue,
            c if is_unseen(c, before) => continue,
            c => c,
        };
        let is_blank = kept.is_whitespace();
        if !has_lines && is_blank && (before == '\0' || before.is_whitespace()) {
            continue;
        }
        if kept > '\u{2FF}' && is_combining_mark(kept) {
            // One without a letter before it would change what stands before the text.
            if before == '\0' || n_marks == marks_max(kept) {
                continue;
            }
            n_marks += 1;
        } else {
            n_marks = 0;
        }
        clean.push(kept);
        before = kept;
    }
    if !has_lines {
        clean.truncate(clean.trim_end().len());
    }
    clean
}

/// Returns how many accents may stand on a letter: no spelling of a language needs more of those that go with any letter, while scripts
/// with vowel signs of their own pile up more.
fn marks_max(mark: char) -> usize {
    match mark {
        '\u{300}'..='\u{36F}'
        | '\u{483}'..='\u{489}'
        | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}' => 3,
        _ => 6,
    }
}

/// Tells whether a character takes no room and does nothing for the one before it.
fn is_unseen(c: char, before: char) -> bool {
    match c {
        // Joiners shape Arabic, Persian and Indic letters, and tie emoji together.
        '\u{200C}' | '\u{200D}' => before < '\u{600}' || matches!(before, '\u{200C}' | '\u{200D}'),
        // Text or picture, for emoji and keycaps; other variants for nothing that mails show.
        '\u{FE0E}' | '\u{FE0F}' => {
            let is_letter = before.is_alphabetic() && !matches!(before, '\u{2100}'..='\u{2BFF}' | '\u{1F000}'..);
            is_letter || before == '\0' || before.is_whitespace()
        }
        // Variants of ideographs, as names in Japan have them.
        '\u{E0100}'..='\u{E01EF}' => !matches!(before, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}'),
        '\u{180B}'..='\u{180D}' | '\u{180F}' => !matches!(before, '\u{1800}'..='\u{18AF}'),
        '\u{AD}'
        | '\u{34F}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{17B4}'
        | '\u{17B5}'
        | '\u{180E}'
        | '\u{200B}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202A}'..='\u{202C}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206A}'..='\u{206F}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{FE00}'..='\u{FE0D}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}' => true,
        _ => false,
    }
}

/// Isolates end at a mark of their own, which a stranger must not set.
fn is_isolate(c: char) -> bool {
    matches!(c, '\u{2066}'..='\u{2069}')
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
    let is_open = head.matches(is_isolate).count() > 2 * head.matches(END_OF_ISOLATE).count();
    Cow::Owned(format!("{head}…{}", if is_open { "\u{2069}" } else { "" }))
}

/// Returns the language of a tag without its region and script, in lower case: `de` for `de-AT` and `DE_at`.
pub(crate) fn primary(tag: &str) -> String {
    tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

thread_local! {
    /// Whether the values that are serialized now go into a right-to-left mail.
    static IS_RIGHT_TO_LEFT: Cell<bool> = const { Cell::new(false) };
}

/// Serializes values for a mail of that direction: serde hands nothing down to the fields that would tell them.
pub(crate) fn in_direction<T>(direction: &str, serialize: impl FnOnce() -> T) -> T {
    let before = IS_RIGHT_TO_LEFT.replace(direction == "rtl");
    let done = serialize();
    IS_RIGHT_TO_LEFT.set(before);
    done
}

/// Isolates what would reorder the words around it: right-to-left text anywhere, and in a right-to-left mail everything, since names and
/// numbers there are seldom of one direction.
fn isolated(text: Cow<'_, str>) -> Cow<'_, str> {
    if (IS_RIGHT_TO_LEFT.get() && !text.is_empty()) || (!text.is_ascii() && text.chars().any(is_right_to_left)) {
        return Cow::Owned(format!("{ISOLATE}{text}{END_OF_ISOLATE}"));
    }
    text
}

/// The blocks whose letters Unicode gives the classes R and AL, and the marks that count as such.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{200E}' | '\u{200F}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}' | '\u{10800}'..='\u{10FFF}'
        | '\u{1E800}'..='\u{1EFFF}')
}

/// Returns a value as it stands in a sentence: without its isolate.
pub(crate) fn bare(text: &str) -> &str {
    text.trim_matches(is_isolate)
}

/// Puts the ASCII form behind each address and link whose domain has other characters: it may only look like another one, and a reader who
/// sees `xn--` knows.
fn with_ascii_domains(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() {
        return text;
    }
    let mut shown = String::new();
    let mut copied_to = 0;
    for word in text.split(char::is_whitespace).filter(|word| !word.is_ascii()) {
        if let Some(ascii) = ascii_domain(word) {
            let end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
            shown.push_str(&text[copied_to..end]);
            shown.push_str(&format!(" ({ascii})"));
            copied_to = end;
        }
    }
    if copied_to == 0 {
        return text;
    }
    shown.push_str(&text[copied_to..]);
    Cow::Owned(shown)
}

/// Finds the domain in what looks like a link or an address, and returns its ASCII form where that is another one.
fn ascii_domain(word: &str) -> Option<String> {
    let after = |mark: &str| word.rsplit_once(mark).map(|(_, rest)| rest);
    let start = match word.split_once("://") {
        Some((_, rest)) => rest,
        None => match word.find("www.") {
            Some(at) => &word[at..],
            None => after("@")?,
        },
    };
    let host = start.split(['/', '?', '#', ':', '\\', '>', '<', '"', ')', ',', ';']).next()?;
    let host = host.rsplit('@').next()?.trim_end_matches(['.', '!', '…', '。']);
    let ascii = idna::domain_to_ascii(host).ok()?;
    (!host.is_ascii() && host.contains(['.', '。', '．', '｡'])).then_some(ascii)
}

/// Returns an address without the ASCII form that is shown beside it.
pub(crate) fn without_ascii_domain(address: &str) -> &str {
    match address.split_once(" (") {
        Some((address, ascii)) if ascii.contains("xn--") && ascii.ends_with(')') => address,
        _ => address,
    }
}

fn shown(text: &str) -> Cow<'_, str> {
    with_ascii_domains(one_line(text))
}

/// Returns a name as a mail shows it: on one line, and isolated where it has to be.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    isolated(shown(text))
}

/// Serializes a name ([`one_line`]).
pub(crate) fn line<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&name(text))
}

/// Serializes what is looked up or stands in a link as well: never with an isolate.
pub(crate) fn word<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&one_line(text))
}

/// Serializes what a message may be chosen by, such as `AppSource`, and may be missing: with an isolate only where it is no such word.
pub(crate) fn maybe_word<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let is_word = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let text = text.as_deref();
    maybe(text.filter(is_word).map(one_line).or_else(|| text.map(name)), serializer)
}

/// Tells whether nothing of a text would be left: then it is missing.
pub(crate) fn is_nothing(text: &Option<String>) -> bool {
    // Most texts begin with something to see.
    let begins_to_show = |c: char| c.is_ascii_graphic() || c == '€' || c.is_alphanumeric();
    let is_seen = |text: &str| text.starts_with(begins_to_show) || !one_line(text).is_empty();
    !text.as_deref().is_some_and(is_seen)
}

/// Serializes a name that may be missing; one of which nothing is left is missing.
pub(crate) fn maybe_line<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    maybe(text.as_deref().map(name), serializer)
}

/// Serializes notes ([`many_lines`]).
pub(crate) fn maybe_lines<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    // Each line is a paragraph of its own, at whose end an isolate would end.
    maybe(text.as_deref().map(|text| with_ascii_domains(many_lines(text))), serializer)
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
    let is_kept = |c: &char| !c.is_whitespace() && !c.is_control() && !is_unseen(*c, '\0') && !is_steering(*c);
    Cow::Owned(text.chars().filter(is_kept).collect())
}

fn is_steering(c: char) -> bool {
    matches!(c, '\u{202D}' | '\u{202E}' | '\u{200E}' | '\u{200F}' | '\u{61C}') || is_isolate(c)
}

/// Returns a cell of a CSV file, in one line, that no spreadsheet takes for a formula: where it begins like one, a `'` stands before it (`R-EXPORT`).
pub fn defused(cell: &str) -> String {
    let line = one_line(cell);
    // Looked at before and after: blanks that were trimmed may have hidden the sign, or been it.
    // Spreadsheets in East Asia take the full-width signs as well.
    let is_formula = |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    if is_formula(cell) || is_formula(&line) {
        format!("'{line}")
    } else {
        line.into_owned()
    }
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
            ("invoice\u{202E}gpj.exe", "invoice\u{FFFD}gpj.exe"),
            ("\u{2066}abc\u{2069}\u{202A}d\u{202C}", "abcd"),
            ("شركة\u{200F} (Contoso)", "شركة\u{200F} (Contoso)"),
            ("\u{2066} \n\u{200B}\u{3164}", ""),
            ("pay\u{200B}p\u{200D}al\u{FEFF}\u{AD}\u{2060}", "paypal"),
            ("نامه\u{200C}ای", "نامه\u{200C}ای"),
            (
                "👩\u{200D}💻 ❤\u{FE0F}\u{200D}🔥 1\u{FE0F}\u{20E3}",
                "👩\u{200D}💻 ❤\u{FE0F}\u{200D}🔥 1\u{FE0F}\u{20E3}",
            ),
            (
                "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
                "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            ),
            ("🏴\u{E0073}\u{E0065}\u{E0063}ret\u{E007F}", "🏴ret"),
            ("葛\u{E0100}城 a\u{E0100}\u{FE0F}", "葛\u{E0100}城 a"),
            ("Z\u{300}\u{301}\u{302}\u{303}\u{304}o", "Z\u{300}\u{301}\u{302}o"),
            ("\u{338}x", "x"),
            ("50\u{A0}000\u{202F}€\u{A0}", "50\u{A0}000\u{202F}€"),
        ];
        for (text, line) in cases {
            assert_eq!(one_line(text), line, "{text:?}");
        }
        assert_eq!(one_line(&long).chars().count(), 200);
    }

    #[test]
    fn notes_keep_their_lines_and_lose_runs_of_blank_ones() {
        assert_eq!(
            many_lines("\n a\r\n\r\n\n\n\nb\u{0}\t \rc\u{202E}\u{2028}d\n\n"),
            "a\n\nb\nc\u{FFFD}\nd"
        );
    }

    #[test]
    fn a_domain_of_other_letters_is_shown_with_what_it_is() {
        let cases = [
            ("kim@bücher.example", "kim@bücher.example (xn--bcher-kva.example)"),
            (
                "see https://раураl.example/login?x=ü now",
                "see https://раураl.example/login?x=ü (xn--l-7sba6dbr.example) now",
            ),
            (
                "https://contoso.example@еvil.example:8443/",
                "https://contoso.example@еvil.example:8443/ (xn--vil-qdd.example)",
            ),
            ("www.bücher.example.", "www.bücher.example. (www.xn--bcher-kva.example)"),
            ("jörg@contoso.example", "jörg@contoso.example"),
            ("https://contoso.example/ü", "https://contoso.example/ü"),
            ("Bücher AG", "Bücher AG"),
        ];
        for (text, expected) in cases {
            let found = shown(text);
            assert_eq!(found, expected);
            assert_eq!(
                without_ascii_domain("kim@bücher.example (xn--bcher-kva.example)"),
                "kim@bücher.example"
            );
        }
    }

    #[test]
    fn what_would_reorder_its_surroundings_is_isolated() {
        let isolate = |text: &'static str, direction| in_direction(direction, || name(text).into_owned());
        assert_eq!(isolate("Contoso (40)", "ltr"), "Contoso (40)");
        assert_eq!(isolate("חברה (40)", "ltr"), "\u{2068}חברה (40)\u{2069}");
        assert_eq!(isolate("a\u{200F}b", "ltr"), "\u{2068}a\u{200F}b\u{2069}");
        assert_eq!(isolate("+49 30 1-2", "rtl"), "\u{2068}+49 30 1-2\u{2069}");
        assert_eq!(
            isolate("\u{2069}חברה\u{2066}", "ltr"),
            "\u{2068}חברה\u{2069}",
            "a stranger cannot end it"
        );
        assert_eq!(isolate("", "rtl"), "");
        assert_eq!(bare("\u{2068}x\u{2069}"), "x");
        let cut = subject(&format!("Expires: \u{2068}{}", "שלום ".repeat(100)));
        assert!(cut.ends_with("…\u{2069}") && cut.chars().count() <= 201, "{cut}");
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
