//! Finds what makes filters and readers take a mail for spam: a subject that shouts, a mail that is a picture, a link that shows another
//! address than it leads to, no way to unsubscribe.
//!
//! In: subject, HTML, plain text, and the link to unsubscribe, where the mail must have it. Out: what is wrong with them.
//!
//! **Not here:** headers, signatures and the sender's name (`posthorn doctor` looks at those).

use crate::template::markup::{Piece, attribute, pieces};

/// A shorter subject in capitals is a name (`IBM`).
const SHOUTED_LETTERS_MIN: usize = 10;
/// With a picture and less to read than this, a mail is the picture.
const READ_CHARS_MIN: usize = 200;

/// Returns what is wrong. `unsubscribe`: the link that a mail about leads must show.
pub(crate) fn traits(subject: &str, html: &str, text: &str, unsubscribe: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    let letters: Vec<char> = subject.chars().filter(|c| c.is_lowercase() || c.is_uppercase()).collect();
    if letters.len() >= SHOUTED_LETTERS_MIN && letters.iter().all(|c| c.is_uppercase()) {
        found.push(format!("the subject is in capitals, as spam is: \"{subject}\""));
    }
    if ["!!", "??", "$$", "!?", "?!"].iter().any(|run| subject.contains(run)) {
        found.push(format!("the subject cries out, as spam does: \"{subject}\""));
    }
    let mut n_images = 0;
    let mut n_chars = 0;
    let mut link: Option<(&str, String)> = None;
    let mut has_unsubscribe = false;
    for piece in pieces(html) {
        match piece {
            Piece::Open { name: "img", .. } => n_images += 1,
            Piece::Open { name: "a", attributes } => {
                let target = attribute(attributes, "href").unwrap_or_default();
                has_unsubscribe |= unsubscribe.is_some_and(|link| link == target.replace("&amp;", "&"));
                link = Some((target, String::new()));
            }
            Piece::Text(words) => {
                n_chars += words.trim().chars().count();
                if let Some((_, shown)) = &mut link {
                    shown.push_str(words);
                }
            }
            Piece::Close("a") => {
                if let Some((target, shown)) = link.take()
                    && let Some(shown_host) = host(shown.trim())
                    && host(target).is_none_or(|host| !host.eq_ignore_ascii_case(shown_host))
                {
                    found.push(format!("a link shows \"{}\" and leads to \"{target}\"", shown.trim()));
                }
            }
            Piece::Open { .. } | Piece::Close(_) => {}
        }
    }
    if n_images > 0 && n_chars < READ_CHARS_MIN {
        found.push(format!(
            "it has {n_images} pictures and {n_chars} characters of text; filters distrust pictures of text"
        ));
    }
    if let Some(link) = unsubscribe
        && !(has_unsubscribe && text.contains(link))
    {
        let part = if has_unsubscribe { "plain text" } else { "HTML" };
        found.push(format!("its {part} has no link to unsubscribe (unsubscribe_url)"));
    }
    found
}

/// Returns the host of what is, or reads as, an address in the web.
fn host(address: &str) -> Option<&str> {
    let behind = ["https://", "http://"].iter().find_map(|scheme| address.strip_prefix(scheme));
    let address = behind.or_else(|| address.starts_with("www.").then_some(address))?;
    address.split(['/', ':', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSUBSCRIBE: &str = "https://mail.portal.example/u/x?a=1&b=2";

    fn all(subject: &str, html: &str) -> Vec<String> {
        traits(subject, html, "", None)
    }

    #[test]
    fn a_subject_that_shouts_is_told() {
        assert!(all("URGENT LEAD FOR YOU", "")[0].contains("in capitals"));
        assert!(all("A lead waits!!", "")[0].contains("cries out"));
        for fine in [
            "Urgent lead: CONTOSO LTD",
            "IBM: 3",
            "A lead!",
            "عميل محتمل جديد ينتظر",
            "新しいリード",
        ] {
            assert_eq!(all(fine, ""), [""; 0], "{fine}");
        }
    }

    #[test]
    fn a_picture_of_text_is_told() {
        assert!(all("x", "<img src=\"a.png\" alt=\"\"><p>Hello</p>")[0].starts_with("it has 1 pictures and 5 characters"));
        assert_eq!(all("x", &format!("<img src=\"a.png\"><p>{}</p>", "word ".repeat(50))), [""; 0]);
    }

    #[test]
    fn a_link_that_shows_another_address_is_told() {
        let found = all("x", "<a href=\"https://evil.example/\"><b>https://portal.example</b>/leads</a>");
        assert_eq!(
            found,
            ["a link shows \"https://portal.example/leads\" and leads to \"https://evil.example/\""]
        );
        for fine in [
            "<a href=\"https://Portal.example/a\">https://portal.example/</a>",
            "<a href=\"https://portal.example/a\">Open</a>",
            "<a href=\"mailto:a@b.example\">a@b.example</a>",
        ] {
            assert_eq!(all("x", fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn a_mail_that_must_be_unsubscribable_says_how_in_both_parts() {
        let html = "<a href=\"https://mail.portal.example/u/x?a=1&amp;b=2\">Unsubscribe</a>";
        assert_eq!(traits("x", html, UNSUBSCRIBE, Some(UNSUBSCRIBE)), [""; 0]);
        assert!(traits("x", html, "", Some(UNSUBSCRIBE))[0].starts_with("its plain text has no"));
        assert!(traits("x", "", UNSUBSCRIBE, Some(UNSUBSCRIBE))[0].starts_with("its HTML has no"));
    }
}
