//! Reads a mail's HTML as mail programs do: elements, attributes, text. For checks; nothing is built from it.
//!
//! **Not here:** what stands in comments, also conditional ones, which only Outlook reads, and in `<style>`, which is for programs that read
//! it: neither is a piece.

/// A piece of HTML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// `<a href="…">`: its name and what stands behind that.
    Open { name: &'a str, attributes: &'a str },
    /// `</a>`: its name.
    Close(&'a str),
    /// Text, as it is written (`&amp;`).
    Text(&'a str),
}

/// Elements that are never closed.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "!doctype",
];

/// Tells whether an element holds nothing, and so has no end.
pub(crate) fn is_void(name: &str) -> bool {
    VOID.iter().any(|void| void.eq_ignore_ascii_case(name))
}

/// Returns the pieces, in their order.
pub(crate) fn pieces(html: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = html;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            if let Some(comment) = rest.strip_prefix("<!--") {
                rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
                continue;
            }
            let Some(tag) = rest.strip_prefix('<') else {
                let (text, behind) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
                rest = behind;
                return Some(Piece::Text(text));
            };
            let (tag, behind) = tag.split_at(end_of(tag));
            rest = behind.strip_prefix('>').unwrap_or(behind);
            // The end of a comment that some programs do not see: `<![endif]-->`.
            if tag.starts_with("![") {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                return Some(Piece::Close(name.trim()));
            }
            let tag = tag.strip_suffix('/').unwrap_or(tag);
            let (name, attributes) = tag.split_at(tag.find(char::is_whitespace).unwrap_or(tag.len()));
            if ["style", "script"].contains(&name) {
                let end = format!("</{name}>");
                rest = rest.split_once(end.as_str()).map_or("", |(_, rest)| rest);
            }
            return Some(Piece::Open { name, attributes });
        }
        None
    })
}

/// Returns where a tag ends: the first `>` that stands in no quotes.
fn end_of(tag: &str) -> usize {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match quote {
            None if c == '>' => return at,
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
    }
    tag.len()
}

/// Returns an attribute's value, as it is written.
pub(crate) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = attributes;
    while let Some((before, behind)) = rest.split_once('=') {
        let found = before.trim().rsplit(char::is_whitespace).next().unwrap_or_default();
        let behind = behind.trim_start();
        let (value, after) = match behind.chars().next() {
            Some(quote @ ('"' | '\'')) => behind[1..].split_once(quote).unwrap_or((&behind[1..], "")),
            _ => behind.split_at(behind.find(char::is_whitespace).unwrap_or(behind.len())),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// Returns the properties of a `style`, and their values: `("color", "#fff")`.
pub(crate) fn declarations(style: &str) -> impl Iterator<Item = (&str, &str)> {
    style
        .split(';')
        .filter_map(|one| one.split_once(':'))
        .map(|(property, value)| (property.trim(), value.trim().trim_end_matches("!important").trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_style_are_no_pieces_and_quotes_hide_an_end() {
        let html =
            "<!doctype html><style>p > a {}</style><!--[if mso]><table><![endif]--><p title=\"a > b\">x &amp; y<br/></p><![endif]-->";
        let seen: Vec<Piece<'_>> = pieces(html).skip(1).collect();
        let open = |name, attributes| Piece::Open { name, attributes };
        assert_eq!(
            seen,
            [
                open("style", ""),
                open("p", " title=\"a > b\""),
                Piece::Text("x &amp; y"),
                open("br", ""),
                Piece::Close("p"),
            ]
        );
    }

    #[test]
    fn attributes_and_declarations_are_found_by_name() {
        let attributes = " href='x?a=b' data-style=\"no\" STYLE=\"color: #fff !important;margin:0\" hidden";
        assert_eq!(attribute(attributes, "href"), Some("x?a=b"));
        let style = attribute(attributes, "style").unwrap();
        assert_eq!(declarations(style).collect::<Vec<_>>(), [("color", "#fff"), ("margin", "0")]);
        assert_eq!((attribute(attributes, "alt"), attribute("", "alt")), (None, None));
    }
}
