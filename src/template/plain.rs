//! Tidies what a template leaves behind: wraps plain text, closes the gaps where a condition said nothing.

/// RFC 5322 §2.1.1 asks for at most 78 columns; two are left for a reply's `> `.
const COLUMNS: usize = 76;

/// What stands before a colon and two blanks is a label where it is shorter.
const LABEL_CHARS_MAX: usize = 24;

/// Returns plain text with lines of at most 76 columns (words are not broken, so a link stays whole), no blanks at their ends, at most one
/// blank line in a row, and one line end at the end.
pub(crate) fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len() + 16);
    let mut n_blank = 0;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            n_blank += 1;
            continue;
        }
        if n_blank > 0 && !tidied.is_empty() {
            tidied.push('\n');
        }
        n_blank = 0;
        wrap(line, &mut tidied);
    }
    tidied
}

/// Returns HTML without blank lines and indentation: half of a long digest would be blanks.
pub(crate) fn compact(html: &str) -> String {
    let mut compacted = String::with_capacity(html.len() + 1);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', html.as_bytes()).chain(std::iter::once(html.len())) {
        let line = &html[start..end];
        start = end + 1;
        let is_bare = |end: Option<&u8>| end.is_some_and(u8::is_ascii_graphic);
        let is_bare = is_bare(line.as_bytes().first()) && is_bare(line.as_bytes().last());
        let line = if is_bare { line } else { line.trim() };
        if !line.is_empty() {
            compacted.push_str(line);
            compacted.push('\n');
        }
    }
    compacted
}

fn wrap(line: &str, out: &mut String) {
    if line.len() <= COLUMNS && is_tidy(line) {
        out.push_str(line);
        out.push('\n');
        return;
    }
    let head_bytes = head_bytes(line);
    // The blanks inside the head (`Due:     Monday`) are layout; only what follows it is broken.
    let (head, rest) = line.split_at(head_bytes);
    out.push_str(head);
    if line.len() <= COLUMNS && is_tidy(rest) {
        out.push_str(rest);
        out.push('\n');
        return;
    }
    let indent = indent(head);
    let mut column = head.chars().count();
    let mut is_first = true;
    for word in rest.split_whitespace() {
        let width = word.chars().count();
        if !is_first && column + 1 + width > COLUMNS {
            out.push('\n');
            out.push_str(&indent);
            column = indent.chars().count();
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
        is_first = false;
    }
    out.push('\n');
}

/// Tells quickly of most texts that their blanks are single already.
fn is_tidy(text: &str) -> bool {
    let mut was_blank = true;
    for byte in text.bytes() {
        let is_blank = byte == b' ';
        if !matches!(byte, b' '..=b'~') || (is_blank && was_blank) {
            return false;
        }
        was_blank = is_blank;
    }
    true
}

/// Measures what a line begins with: blanks, a quotation's `> `, a list item's `- `, or a label with two blanks or more behind it (`Due:     `).
fn head_bytes(line: &str) -> usize {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    let rest = &line[blanks..];
    if rest.starts_with("> ") || rest.starts_with("- ") {
        return blanks + 2;
    }
    let mut colons = memchr::memchr_iter(b':', rest.as_bytes());
    match colons.find(|at| rest[at + 1..].starts_with("  ")) {
        Some(at) if at < LABEL_CHARS_MAX || rest[..at].chars().count() < LABEL_CHARS_MAX => {
            line.len() - rest[at + 1..].trim_start_matches(' ').len()
        }
        Some(_) | None => blanks,
    }
}

/// Returns what a line's continuation begins with: `> ` again for a quotation, blanks for everything else.
fn indent(head: &str) -> String {
    if head.ends_with("> ") {
        head.to_owned()
    } else {
        " ".repeat(head.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_wrap_under_what_they_continue_and_links_stay_whole() {
        let words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
        let link = format!("https://portal.example/{}", "x".repeat(100));
        let cases = [
            ("a\n\n\n\n\nb \n", "a\n\nb\n".to_owned()),
            ("\n\n  a\n", "  a\n".to_owned()),
            (words, format!("{}\n", words.replace(" fourteen", "\nfourteen"))),
            (&format!("> {words}"), format!("> {}\n", words.replace(" fourteen", "\n> fourteen"))),
            (&format!("- {words}"), format!("- {}\n", words.replace(" fourteen", "\n  fourteen"))),
            (
                &format!("Due:    {words}"),
                format!("Due:    {}\n", words.replace(" thirteen", "\n        thirteen")),
            ),
            (&format!("Open lead:  {link}"), format!("Open lead:  {link}\n")),
        ];
        for (text, expected) in cases {
            assert_eq!(tidy(text), expected);
        }
    }
}
