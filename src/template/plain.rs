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

/// Returns what a reader of HTML sees, as plain text: for a mail that has no template for it. Links are written out behind their words.
pub(crate) fn of_html(html: &str) -> String {
    let body = html.split_once("<body").map_or(html, |(_, body)| body);
    let body = body.split_once('>').map_or(body, |(_, body)| body);
    let mut text = String::with_capacity(body.len() / 4);
    let mut rest = body;
    let mut links: Vec<String> = Vec::new();
    while let Some((before, after)) = rest.split_once('<') {
        push_words(before, &mut text);
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let (tag, behind) = after.split_once('>').unwrap_or((after, ""));
        rest = behind;
        let name: String = tag.chars().take_while(|c| *c == '/' || c.is_ascii_alphanumeric()).collect();
        match name.to_ascii_lowercase().as_str() {
            "style" | "script" | "title" => rest = behind_end(rest, &format!("</{name}>")),
            // The line that mailboxes show beside the subject is no part of the mail.
            "div" if tag.contains("display:none") => rest = behind_end(rest, "</div>"),
            "a" => links.push(link_of(tag)),
            "/a" => {
                let link = links.pop().unwrap_or_default();
                if !link.is_empty() && !text.ends_with(&link) {
                    text.push_str(&format!(": {link}"));
                }
            }
            "br" | "br/" | "/tr" | "/li" => text.push('\n'),
            "/p" | "/div" | "/h1" | "/h2" | "/table" => text.push_str("\n\n"),
            "/td" => text.push(' '),
            _ => {}
        }
    }
    push_words(rest, &mut text);
    let lines = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    tidy(&lines)
}

fn behind_end<'a>(html: &'a str, end: &str) -> &'a str {
    html.split_once(end).map_or("", |(_, rest)| rest)
}

fn link_of(tag: &str) -> String {
    let link = tag.split_once("href=\"").and_then(|(_, rest)| rest.split_once('"'));
    let link = link.map_or("", |(link, _)| link);
    unescaped(link.strip_prefix("mailto:").or(link.strip_prefix("tel:")).map_or(link, |_| ""))
}

/// Adds words, with single blanks between them.
fn push_words(html: &str, text: &mut String) {
    for part in unescaped(html).split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        text.push_str(word);
        if word.len() < part.len() && !text.ends_with([' ', '\n']) && !text.is_empty() {
            text.push(' ');
        }
    }
}

fn unescaped(html: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x2F;", "/"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ];
    named.iter().fold(html.to_owned(), |text, (name, sign)| text.replace(name, sign))
}

fn wrap(line: &str, out: &mut String) {
    if line.len() <= COLUMNS || line.chars().count() <= COLUMNS {
        out.push_str(line);
        out.push('\n');
        return;
    }
    let head_bytes = head_bytes(line);
    // The blanks inside the head (`Due:     Monday`) are layout; only what follows it is broken.
    let (head, rest) = line.split_at(head_bytes);
    out.push_str(head);
    let indent = indent(head);
    let mut column = head.chars().count();
    let mut is_first = true;
    for word in rest.split_ascii_whitespace() {
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
    fn html_reads_as_text_without_markup_and_with_its_links() {
        let html = "<html><head><title>T</title><style>p { }</style></head><body class=\"x\"><div style=\"display:none;\">preview</div>\
                    <!--[if mso]><table><tr><td>x</td></tr></table><![endif]--><p>Dear\n  <strong>A &amp; B</strong>,</p><table><tr><td>Due</td><td>today</td></tr>\
                    <tr><td><a href=\"https://portal.example/?a=1&amp;b=2\">Open lead</a></td></tr></table>\
                    <a href=\"mailto:kim@a.example\">kim@a.example</a><br>1 &lt; 2</body></html>";
        assert_eq!(
            of_html(html),
            "Dear A & B,\n\nDue today\nOpen lead: https://portal.example/?a=1&b=2\n\nkim@a.example\n1 < 2\n"
        );
    }

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
