//! Finds what big mail programs drop of a mail's CSS and HTML: Outlook on Windows and in the browser, Gmail, Apple Mail.
//!
//! In: a mail's HTML. Out: [`Dropped`]. What is known of the programs is `support.tsv`: caniemail.com's data, of an npm package, offline.
//!
//! **Not here:** `<style>` and what is in conditional comments: who writes there knows that it is for some programs only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use crate::template::markup::{Piece, attribute, declarations, pieces};

const TABLE: &str = include_str!("support.tsv");

/// What the built-in templates, and what MJML makes of any, use all the same, and what a reader sees instead.
pub(crate) const BORNE: [(&str, &str); 7] = [
    ("border-radius", "corners are square"),
    ("cursor", "nothing: links have their pointer anyway"),
    ("max-height", "nothing: the line for the inbox is hidden by display, too"),
    ("opacity", "nothing, for the same reason"),
    ("overflow", "nothing, for the same reason"),
    ("table-layout", "nothing: it says what is so anyway"),
    ("word-spacing", "nothing: it says what is so anyway"),
];

/// What is used and dropped (`display:flex`, `<svg>`), with the programs that drop it.
pub(crate) type Dropped = BTreeMap<String, &'static str>;

type Key = (&'static str, &'static str);

static DROPPED: LazyLock<HashMap<Key, &'static str>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut columns = line.split('\t');
            Some(((columns.next()?, columns.next()?), columns.next()?))
        })
        .collect()
});

/// Returns what programs drop of the elements and inline styles.
pub(crate) fn dropped(html: &str) -> Dropped {
    let mut found = Dropped::new();
    // The same few styles stand at hundreds of elements.
    let mut seen = BTreeSet::new();
    for piece in pieces(html) {
        let Piece::Open { name, attributes } = piece else { continue };
        if let Some(clients) = DROPPED.get(&("element", name)) {
            found.insert(format!("<{name}>"), clients);
        }
        let style = attribute(attributes, "style").unwrap_or_default();
        if seen.insert(style) {
            note_style(style, &mut found);
        }
    }
    found
}

fn note_style(style: &str, found: &mut Dropped) {
    for (property, value) in declarations(style) {
        if let Some(clients) = DROPPED.get(&("property", property)) {
            found.insert(property.to_owned(), clients);
        }
        let pair = format!("{property}:{value}");
        let clients = DROPPED.get(&("value", pair.as_str())).copied();
        if let Some(clients) = clients {
            found.insert(pair, clients);
        }
        for (before, _) in value.match_indices('(').map(|(at, _)| value.split_at(at)) {
            let function = before
                .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                .next()
                .unwrap_or_default();
            if let Some(clients) = DROPPED.get(&("function", function)) {
                found.insert(format!("{function}()"), clients);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::load::Set;

    #[test]
    fn what_programs_drop_is_told_with_their_names() {
        let html = "<div style=\"display:flex;gap:4px;width:calc(1px + var(--x));color:red\"><svg></svg></div>\
                    <!--[if mso]><v:rect style=\"opacity:1\"></v:rect><![endif]--><style>p { gap: 4px }</style>";
        let found = dropped(html);
        assert_eq!(
            found.keys().map(String::as_str).collect::<Vec<_>>(),
            ["<svg>", "calc()", "display:flex", "gap", "var()"]
        );
        assert_eq!(found["display:flex"], "Outlook (Windows)");
        assert_eq!(found["<svg>"], "Outlook (Windows), Outlook.com, Gmail");
        assert!(dropped("<p style=\"color:#fff;margin:0\">x</p>").is_empty());
    }

    #[test]
    fn what_is_borne_is_what_the_built_in_templates_use() {
        let set = Set::load(None).unwrap();
        let mut used = Dropped::new();
        for specimen in set
            .specimens()
            .unwrap()
            .iter()
            .filter(|specimen| specimen.name.starts_with("mail."))
        {
            used.extend(dropped(&specimen.html));
        }
        let borne = BORNE.map(|(what, _)| what);
        assert_eq!(used.keys().map(String::as_str).collect::<Vec<_>>(), borne);
    }

    #[test]
    fn the_table_has_three_columns_and_a_source() {
        assert!(TABLE.starts_with("# What mail programs drop: caniemail.com"));
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert!(DROPPED.len() == lines && lines > 100, "{lines}");
    }
}
