//! Finds text that is hard to read: less contrast to its ground than WCAG 2.2 §1.4.3 asks for, 4.5, or 3 where it is large.
//!
//! In: a mail's HTML, of which inline colours and `bgcolor` count. Out: what is faint. Text that is not shown is not judged, and neither is
//! colour that cannot be read as one (a gradient, a name of the rarer kind).
//!
//! **Not here:** what `<style>` makes of it, as in dark mode; pictures and text over pictures.

use std::collections::BTreeSet;

use crate::settings::Colour;
use crate::template::markup::{Piece, attribute, declarations, is_void, pieces};

const RATIO_MIN: f64 = 4.5;
const RATIO_MIN_LARGE: f64 = 3.0;
/// 18 pt; 14 pt where it is bold (WCAG 2.2, "large scale").
const LARGE_PX: f64 = 24.0;
const LARGE_BOLD_PX: f64 = 18.66;
/// What a mail program without a say takes.
const INK: Colour = Colour::rgb(0, 0, 0);
const PAPER: Colour = Colour::rgb(255, 255, 255);
const LINK: Colour = Colour::rgb(0, 0, 238);
const SHOWN_CHARS: usize = 30;

/// What holds for the text inside an element; a colour is `None` where it is not known.
#[derive(Clone, Copy)]
struct Look {
    ink: Option<Colour>,
    ground: Option<Colour>,
    size: f64,
    is_bold: bool,
    is_hidden: bool,
}

/// Returns each pair of colours that is too faint for its text, with an example of the text.
pub(crate) fn faint(html: &str) -> Vec<String> {
    let mut open: Vec<(&str, Look)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let outermost = Look {
        ink: Some(INK),
        ground: Some(PAPER),
        size: 16.0,
        is_bold: false,
        is_hidden: false,
    };
    for piece in pieces(html) {
        let look = open.last().map_or(outermost, |(_, look)| *look);
        match piece {
            Piece::Open { name, .. } if is_void(name) || ["style", "script"].contains(&name) => {}
            Piece::Open { name, attributes } => open.push((name, look.inside(name, attributes))),
            Piece::Close(name) => {
                if let Some(at) = open.iter().rposition(|(open, _)| *open == name) {
                    open.truncate(at);
                }
            }
            Piece::Text(text) => {
                let text = text.trim();
                let (Some(ink), Some(ground)) = (look.ink, look.ground) else {
                    continue;
                };
                let ratio = ink.contrast(ground);
                let wanted = look.ratio_min();
                // What is written as a blank is no text.
                let is_text = text.replace("&nbsp;", "").replace("&#8202;", "").chars().any(char::is_alphanumeric);
                if is_text && !look.is_hidden && ratio < wanted && seen.insert((ink, ground)) {
                    let text: String = text.chars().take(SHOWN_CHARS).collect();
                    found.push(format!(
                        "\"{text}\" is {ink} on {ground}, a contrast of {ratio:.2}; {wanted} is the least that most can read"
                    ));
                }
            }
        }
    }
    found
}

impl Look {
    fn inside(mut self, name: &str, attributes: &str) -> Self {
        match name {
            "a" if attribute(attributes, "href").is_some() => self.ink = Some(LINK),
            "b" | "strong" | "th" | "h1" | "h2" | "h3" | "h4" => self.is_bold = true,
            "head" | "title" => self.is_hidden = true,
            _ => {}
        }
        if let Some(value) = attribute(attributes, "bgcolor") {
            self.ground = colour(value);
        }
        for (property, value) in declarations(attribute(attributes, "style").unwrap_or_default()) {
            match property {
                "color" if value != "inherit" => self.ink = colour(value),
                "background-color" | "background" if !["transparent", "none", "inherit"].contains(&value) => {
                    self.ground = value.split_whitespace().next().and_then(colour);
                }
                "font-size" => self.size = value.strip_suffix("px").and_then(|px| px.parse().ok()).unwrap_or(self.size),
                "font-weight" => self.is_bold = value == "bold" || value.parse::<u16>().is_ok_and(|weight| weight >= 700),
                "display" if value == "none" => self.is_hidden = true,
                "visibility" if value == "hidden" => self.is_hidden = true,
                _ => {}
            }
        }
        self
    }

    fn ratio_min(&self) -> f64 {
        let is_large = self.size >= LARGE_PX || (self.is_bold && self.size >= LARGE_BOLD_PX);
        if is_large { RATIO_MIN_LARGE } else { RATIO_MIN }
    }
}

/// Reads `#fff`, `#ffffff`, `rgb(255, 255, 255)` and the names that people write.
fn colour(value: &str) -> Option<Colour> {
    let value = value.trim().to_ascii_lowercase();
    if let Some(digits) = value.strip_prefix('#') {
        let read = |text: &str| u8::from_str_radix(text, 16).ok();
        return match (digits.is_ascii(), digits.len()) {
            (true, 6) => Some(Colour::rgb(read(&digits[..2])?, read(&digits[2..4])?, read(&digits[4..])?)),
            (true, 3) => Some(Colour::rgb(
                read(&digits[..1])? * 17,
                read(&digits[1..2])? * 17,
                read(&digits[2..])? * 17,
            )),
            _ => None,
        };
    }
    if let Some(numbers) = value.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) {
        let mut numbers = numbers.split(',').map(|number| number.trim().parse().ok());
        return Some(Colour::rgb(numbers.next()??, numbers.next()??, numbers.next()??));
    }
    let [red, green, blue] = match value.as_str() {
        "black" => [0; 3],
        "white" => [255; 3],
        "gray" | "grey" => [128; 3],
        "silver" => [192; 3],
        "lightgray" | "lightgrey" => [211; 3],
        "red" => [255, 0, 0],
        "green" => [0, 128, 0],
        "blue" => [0, 0, 255],
        "yellow" => [255, 255, 0],
        "orange" => [255, 165, 0],
        _ => return None,
    };
    Some(Colour::rgb(red, green, blue))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ratios_are_those_of_wcag() {
        for (a, b, expected) in [
            ("#000", "#fff", 21.0),
            ("#777777", "white", 4.48),
            ("rgb(118, 118, 118)", "#ffffff", 4.54),
        ] {
            let ratio = colour(a).unwrap().contrast(colour(b).unwrap());
            assert!((ratio - expected).abs() < 0.01, "{a} on {b}: {ratio}");
        }
    }

    #[test]
    fn faint_text_is_found_on_the_ground_that_it_stands_on() {
        let html = "<body style=\"background-color:#123\"><table bgcolor=\"#ffffff\"><tr><td style=\"color:#777\">grey</td>\
                    <td style=\"color:#777;font-size:24px\">large</td><td style=\"color:#767676\">fine</td></tr></table>\
                    <p>black</p><div style=\"display:none;color:#123\">hidden</div><a href=\"x\">link</a>\
                    <p style=\"background:url(x.png);color:#123\">unknown</p></body>";
        let found = faint(html);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("\"grey\" is #777777 on #ffffff, a contrast of 4.48; 4.5"),
            "{found:?}"
        );
        assert!(
            found[1].contains("\"black\"") && found[2].contains("\"link\" is #0000ee on #112233"),
            "{found:?}"
        );
    }

    proptest! {
        #[test]
        fn a_ratio_does_not_depend_on_the_order(a: [u8; 3], b: [u8; 3]) {
            let (a, b) = (Colour::rgb(a[0], a[1], a[2]), Colour::rgb(b[0], b[1], b[2]));
            let there = a.contrast(b);
            prop_assert!((1.0..=21.001).contains(&there) && (there - b.contrast(a)).abs() < 1e-9);
        }
    }
}
