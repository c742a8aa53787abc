//! The filters that our templates need beyond the engine's own: `tel`, `mailto`, `cut`, `breaks`, `quote`.
//!
//! A filter that returns markup escapes its input itself and marks the result as safe; no template needs `safe` for lead text.

use std::sync::Arc;

use tera::{Kwargs, State, StringInput, Tera, TeraResult, Value};

use crate::template::clean;
use crate::template::formats::Formats;

/// Every filter that a template may use, and what it does. There are no functions: `range` and `throw` are not among what templates have.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    ("tel", "the link that dials a phone number; empty where it is none"),
    ("mailto", "the link that writes to an address; empty where it is none"),
    ("number", "a whole number as the language groups it: `12,345`, `12.345`"),
    ("cut", "`cut(length=280)`: at most so many characters, cut between words"),
    ("breaks", "in HTML: `<br>` between the lines of a text"),
    (
        "quote",
        "in plain text: `> ` before each line, so that somebody else's words cannot pass for ours",
    ),
    (
        "label",
        "behind a message in plain text, `{{ t.label.due | label }}`: colon and blanks, so that the values of its group stand below each other",
    ),
    ("default", "`default(value=\"–\")`: stands in for what is missing"),
    ("upper", "in capitals"),
    ("lower", "in small letters"),
    ("capitalize", "the first letter a capital"),
    ("title", "each word's first letter a capital"),
    ("trim", "without blanks at the ends"),
    ("trim_start", "without blanks at the start"),
    ("trim_end", "without blanks at the end"),
    ("replace", "`replace(from=\"a\", to=\"b\")`"),
    (
        "truncate",
        "`truncate(length=20)`: at most so many characters; `cut` is kinder to words",
    ),
    ("indent", "`indent(width=4)`: blanks before each line"),
    ("length", "how many characters or list items"),
    ("first", "the first of a list"),
    ("last", "the last of a list"),
    ("nth", "`nth(n=2)`: one of a list, counted from 0"),
    ("join", "`join(sep=\", \")`: a list as text"),
    ("reverse", "a list from its end"),
    ("sort", "a list in order"),
    ("unique", "a list without what it holds twice"),
    ("split", "`split(pat=\",\")`: text as a list"),
    ("round", "a number without its fraction"),
    ("abs", "a number without its sign"),
    ("int", "text as a whole number"),
    ("float", "text as a number"),
    ("str", "anything as text"),
    ("wordcount", "how many words"),
    ("pluralize", "`s` where a number is not 1; messages with forms do better"),
    ("newlines_to_br", "as `breaks`, of text that is safe already"),
    ("escape", "escaped for HTML; every value is, so there is no need"),
    ("escape_html", "as `escape`"),
    ("escape_xml", "escaped for XML"),
    ("safe", "not escaped: never for text of a lead"),
];

/// Returns the names of the filters.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().map(|(name, _)| *name)
}

/// Adds the filters to an engine.
pub(crate) fn register(tera: &mut Tera, formats: &Arc<Formats>) {
    let formats = Arc::clone(formats);
    tera.register_filter("number", move |n: i64, _: Kwargs, _: &State| formats.count(n.unsigned_abs()));
    tera.register_filter("tel", |phone: &str, _: Kwargs, _: &State| tel(phone));
    tera.register_filter("mailto", |address: &str, _: Kwargs, _: &State| mailto(address));
    tera.register_filter("cut", cut);
    tera.register_filter("breaks", breaks);
    tera.register_filter("quote", |text: &str, _: Kwargs, _: &State| quote(text));
    // `{{ t.due | label }}` is replaced when the set is loaded; here it only has to be known.
    tera.register_filter("label", |text: StringInput, _: Kwargs, _: &State| text.as_str().to_owned());
}

/// Returns the link that dials a number as people write it, or nothing if it has too few digits to be one: `+49 (0)30 123-45 ext. 6` →
/// `tel:+493012345`.
fn tel(phone: &str) -> String {
    let phone = clean::bare(phone).trim();
    let is_international = phone.starts_with('+') || phone.starts_with("00");
    // "(0)" is the trunk prefix, dialled only inside the country.
    let phone = if is_international {
        phone.replacen("(0)", "", 1)
    } else {
        phone.to_owned()
    };
    let digits: String = phone
        .chars()
        .take_while(|c| !c.is_alphabetic() && *c != '#')
        .filter(char::is_ascii_digit)
        .collect();
    match digits.len() {
        // E.164 allows fifteen digits; a few more leave room for 00 in front.
        3..=18 if phone.starts_with('+') => format!("tel:+{digits}"),
        3..=18 => format!("tel:{digits}"),
        _ => String::new(),
    }
}

/// Returns the link that writes to an address, or nothing if it has no two sides of an `@`. All but the letters of plain addresses is percent-encoded, so that an address cannot smuggle
/// in `?bcc=`.
fn mailto(address: &str) -> String {
    let address = clean::without_ascii_domain(clean::bare(address));
    if !address
        .trim()
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
    {
        return String::new();
    }
    let mut link = String::from("mailto:");
    for byte in address.trim().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'@' | b'.' | b'-' | b'_' | b'~' | b'+' => link.push(char::from(byte)),
            _ => link.push_str(&format!("%{byte:02X}")),
        }
    }
    link
}

/// `cut(length = 280)`: at most so many characters, cut between words.
fn cut(text: StringInput, kwargs: Kwargs, _: &State) -> TeraResult<String> {
    Ok(clean::cut(text.as_str(), kwargs.must_get::<usize>("length")?).into_owned())
}

/// Shows line breaks in HTML: escapes the text and puts `<br>` between its lines. Elsewhere it changes nothing.
fn breaks(text: StringInput, _: Kwargs, state: &State) -> TeraResult<Value> {
    if !state.autoescaping_enabled() {
        return Ok(Value::from(text.as_str()));
    }
    let escaped = if text.is_safe() {
        text.as_str().to_owned()
    } else {
        state.escape(text.as_str())?
    };
    Ok(Value::safe_string(&escaped.replace('\n', "<br>")))
}

/// Marks text as somebody else's words in plain text: `> ` before each line, so that it cannot pass for a line of ours.
fn quote(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_as_people_write_it_becomes_one_that_dials() {
        let cases = [
            ("+49 (0)30 123-45", "tel:+493012345"),
            ("0049 (0)30/12345", "tel:00493012345"),
            ("(030) 12 34 56", "tel:030123456"),
            ("+1 (425) 555-0100 ext. 12", "tel:+14255550100"),
            ("425.555.0100 x7", "tel:4255550100"),
            ("+1 425 555 0100#9", "tel:+14255550100"),
            ("call me", ""),
            ("12", ""),
            ("99999999999999999999", ""),
            ("+4930;isub=1\"><script>", "tel:+4930"),
        ];
        for (phone, link) in cases {
            assert_eq!(tel(phone), link, "{phone:?}");
        }
    }

    #[test]
    fn an_address_cannot_add_headers_to_a_mail_link() {
        let cases = [
            ("kim+crm@contoso.example", "mailto:kim+crm@contoso.example"),
            (
                "a@b.example?bcc=c@d.example&body=x",
                "mailto:a@b.example%3Fbcc%3Dc@d.example%26body%3Dx",
            ),
            ("jörg@bücher.example", "mailto:j%C3%B6rg@b%C3%BCcher.example"),
            ("a,b@c.example", "mailto:a%2Cb@c.example"),
            ("n/a", ""),
            ("@contoso", ""),
        ];
        for (address, link) in cases {
            assert_eq!(mailto(address), link);
        }
    }
}
