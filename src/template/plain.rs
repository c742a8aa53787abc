//! Tidies what a template leaves behind: wraps plain text, closes the gaps where a condition said nothing.

/// RFC 5322 §2.1.1 asks for at most 78 columns; two are left for a reply's `> `.
const COLUMNS: usize = 76;

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
    let mut compacted = String::with_capacity(html.len());
    for line in html.lines().map(str::trim).filter(|line| !line.is_empty()) {
        compacted.push_str(line);
        compacted.push('\n');
    }
    compacted
}

fn wrap(line: &str, out: &mut String) {
    // Most lines: short, and without anything that could be taken for layout.
    if line.len() <= COLUMNS && line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !line.contains("  ") {
        out.push_str(line);
        out.push('\n');
        return;
    }
    let hang = hanging(line);
    let mut column = 0;
    // The blanks inside the head (`Due:     Monday`) are layout; only what follows it is broken.
    let (head, rest) = line.split_at(hang.head_bytes);
    out.push_str(head);
    column += head.chars().count();
    let mut is_first = true;
    for word in rest.split_whitespace() {
        let width = word.chars().count();
        if !is_first && column + 1 + width > COLUMNS {
            out.push('\n');
            out.push_str(&hang.indent);
            column = hang.indent.chars().count();
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

/// What a line begins with, and what its continuation begins with: `> ` again for a quotation, blanks for an indented line, a list item
/// (`- `), or a label with two blanks or more behind it (`Due:     `).
struct Hanging {
    head_bytes: usize,
    indent: String,
}

fn hanging(line: &str) -> Hanging {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    let rest = &line[blanks..];
    if rest.starts_with("> ") {
        return Hanging {
            head_bytes: blanks + 2,
            indent: line[..blanks + 2].to_owned(),
        };
    }
    if rest.starts_with("- ") {
        return Hanging {
            head_bytes: blanks + 2,
            indent: " ".repeat(blanks + 2),
        };
    }
    if let Some((label, value)) = rest.split_once(":  ")
        && label.chars().count() < 24
    {
        let head_bytes = line.len() - value.trim_start_matches(' ').len();
        return Hanging {
            head_bytes,
            indent: " ".repeat(line[..head_bytes].chars().count()),
        };
    }
    Hanging {
        head_bytes: blanks,
        indent: " ".repeat(blanks),
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
