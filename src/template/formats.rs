//! Writes instants, counts and amounts as the readers of a language do, from the data in its folder: `formats.toml`.
//!
//! ```toml
//! instant = "{weekday}, {day}. {month} {year} um {hour24}:{minute} ({zone})"
//! weekdays = ["Mo.", "Di.", …]          # Monday first
//! decimal = ","
//! group = "."                           # between groups of three digits
//! amount = "{amount}\u00A0{currency}"
//! [currencies]
//! EUR = "€"
//! [zones]
//! "Central European Time" = "Mitteleuropäische Zeit"
//! ```
//!
//! In: the files of a language and of those above it. Out: [`Formats`]. The built-in files are Unicode CLDR's, written by
//! `tests/data/cldr.mjs`. The data is in the folder rather than in a crate, so that a language is a folder that anybody can add; the crates that
//! carry all of CLDR would take longer to compile than the rest of this room. Which zones have a name in common is the same for all languages:
//! `zones.tsv`, by the same program.
//!
//! **Invariants:** an instant is cut to the minute, so that a deadline is never shown later than it is. What stands in a right-to-left
//! language and is not written in it, a zone's name by IANA, is isolated.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::Number;

use crate::partner::Zone;
use crate::template::clean;
use crate::template::error::Error;
use crate::template::lex::Place;
use crate::template::load::DEFAULT_LANGUAGE;
use crate::template::near::hint;
use crate::template::render::direction;
use crate::template::sources::{FORMATS, built_in_files};
use crate::time::Timestamp;

/// What a language's `formats.toml` says; what it leaves out comes from the language above it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Table {
    instant: Option<String>,
    weekdays: Option<[String; 7]>,
    months: Option<[String; 12]>,
    periods: Option<[String; 2]>,
    digits: Option<String>,
    decimal: Option<String>,
    group: Option<String>,
    group_from: Option<usize>,
    amount: Option<String>,
    currencies: Option<BTreeMap<String, String>>,
    zones: Option<BTreeMap<String, String>>,
}

/// What the times of zones are called in English, and which zones have which of these names.
struct ZoneNames {
    english: Vec<&'static str>,
    of_zones: HashMap<Tz, usize>,
}

static ZONE_NAMES: LazyLock<ZoneNames> = LazyLock::new(|| {
    let mut names = ZoneNames {
        english: Vec::new(),
        of_zones: HashMap::new(),
    };
    for (name, zones) in include_str!("zones.tsv").lines().filter_map(|line| line.split_once('\t')) {
        // A newer list of zones may have some that this program does not know.
        let known = zones.split(' ').filter_map(|zone| zone.parse().ok());
        names.of_zones.extend(known.map(|zone: Tz| (zone, names.english.len())));
        names.english.push(name);
    }
    names
});

/// What an instant's pattern may name.
const INSTANT: [&str; 10] = [
    "weekday", "day", "month", "year", "hour", "hour24", "hour12", "minute", "period", "zone",
];

/// What an amount's pattern may name.
const AMOUNT: [&str; 2] = ["amount", "currency"];

/// Reads a file of formats.
///
/// # Errors
/// It is no TOML, has a name that is not known, or a pattern that is none; with its place.
pub(crate) fn read(file: &Arc<str>, text: &str) -> Result<Table, Error> {
    let at = |at: usize| Place::start_of(file).after(&text[..at]);
    let table: Table = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        Error::at(&at(start), error.message().to_owned())
    })?;
    for (name, pattern, known) in [("instant", &table.instant, &INSTANT[..]), ("amount", &table.amount, &AMOUNT[..])] {
        if let Some(found) = pattern.as_deref().and_then(|pattern| pattern_fault(pattern, known)) {
            let line = text.lines().take_while(|line| !line.trim_start().starts_with(name));
            let start = line.map(|line| line.len() + 1).sum::<usize>().min(text.len());
            return Err(Error::at(&at(start), found));
        }
    }
    let mut zones = table.zones.iter().flatten().map(|(name, _)| name.as_str());
    if let Some(unknown) = zones.find(|name| !ZONE_NAMES.english.contains(name)) {
        let start = text.find(&format!("\"{unknown}\"")).unwrap_or(0);
        let known = hint(unknown, ZONE_NAMES.english.iter().copied());
        return Err(Error::at(&at(start), format!("\"{unknown}\" is no zone's name in English{known}")));
    }
    if table.digits.as_deref().is_some_and(|digits| digits.chars().count() != 10) {
        return Err(Error::at(&at(0), "\"digits\" has not ten characters, from 0 to 9".to_owned()));
    }
    Ok(table)
}

fn pattern_fault(pattern: &str, known: &[&str]) -> Option<String> {
    let names: Vec<Part> = parts(pattern);
    let mut unknown = names.iter().filter_map(|part| match part {
        Part::Name(name) if !known.contains(&name.as_str()) => Some(name),
        _ => None,
    });
    let name = unknown.next()?;
    Some(format!(
        "\"{{{name}}}\" is not known here{}; there are {}",
        hint(name, known.iter().copied()),
        known.join(", ")
    ))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some((text, behind)) = rest.split_once('{') {
        let Some((name, behind)) = behind.split_once('}') else { break };
        parts.push(Part::Text(text.to_owned()));
        parts.push(Part::Name(name.to_owned()));
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts.retain(|part| *part != Part::Text(String::new()));
    parts
}

/// How a language writes instants, counts and amounts.
#[derive(Clone, Debug)]
pub struct Formats {
    instant: Vec<Part>,
    weekdays: [String; 7],
    months: [String; 12],
    periods: [String; 2],
    digits: Option<Vec<char>>,
    decimal: String,
    group: String,
    group_from: usize,
    amount: Vec<Part>,
    currencies: BTreeMap<String, String>,
    /// In the order of [`ZONE_NAMES`]; empty where the language has none.
    zones: Vec<Option<String>>,
    is_right_to_left: bool,
    /// What the language itself does not say.
    gaps: Vec<&'static str>,
}

/// Takes the first table that says something; `own`: how many of them are the language's own.
macro_rules! first {
    ($tables:ident, $own:ident, $gaps:ident, $field:ident) => {{
        if !$tables.iter().take($own).any(|table| table.$field.is_some()) {
            $gaps.push(concat!("formats.", stringify!($field)));
        }
        $tables.iter().find_map(|table| table.$field.clone()).unwrap_or_default()
    }};
}

impl Formats {
    /// Puts together what the tables of a language and of those above it say; `own`: how many of them are its own, so that no gap is one that
    /// its parent fills.
    pub(crate) fn new(tables: &[&Table], own: usize, is_right_to_left: bool) -> Self {
        let mut gaps = Vec::new();
        // Those that a language need not have come with the pattern that asks for them, and from nowhere else.
        let with_instant = tables.iter().find(|table| table.instant.is_some());
        let with_number = tables.iter().find(|table| table.decimal.is_some());
        Self {
            instant: parts(&first!(tables, own, gaps, instant)),
            weekdays: first!(tables, own, gaps, weekdays),
            months: first!(tables, own, gaps, months),
            periods: with_instant.and_then(|table| table.periods.clone()).unwrap_or_default(),
            digits: with_number
                .and_then(|table| table.digits.as_ref())
                .map(|digits| digits.chars().collect()),
            decimal: first!(tables, own, gaps, decimal),
            group: first!(tables, own, gaps, group),
            group_from: with_number.and_then(|table| table.group_from).unwrap_or(4),
            amount: parts(&first!(tables, own, gaps, amount)),
            currencies: first!(tables, own, gaps, currencies),
            zones: with_instant
                .and_then(|table| table.zones.as_ref())
                .map(in_order)
                .unwrap_or_default(),
            is_right_to_left,
            gaps,
        }
    }

    /// Returns how a built-in language writes, English where it is none: for samples that belong to no set.
    pub(crate) fn built_in(language: &str) -> &'static Self {
        static BUILT_IN: LazyLock<BTreeMap<String, Formats>> = LazyLock::new(|| {
            let folders = built_in_files().filter(|(path, _)| path.ends_with(FORMATS));
            let tables: BTreeMap<String, Table> = folders
                .filter_map(|(path, text)| Some((clean::primary(path.parent()?.to_str()?), toml::from_str(text).ok()?)))
                .collect();
            let english = tables.get(DEFAULT_LANGUAGE).cloned().unwrap_or_default();
            let made = tables.iter().map(|(language, table)| {
                let is_right_to_left = direction(language).0 == "rtl";
                (language.clone(), Formats::new(&[table, &english], 1, is_right_to_left))
            });
            made.collect()
        });
        static NONE: LazyLock<Formats> = LazyLock::new(|| Formats::new(&[&Table::default()], 1, false));
        let found = BUILT_IN.get(&clean::primary(language)).or_else(|| BUILT_IN.get(DEFAULT_LANGUAGE));
        found.unwrap_or(&NONE)
    }

    /// Returns what comes from another language, as `formats.months`.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = &'static str> {
        self.gaps.iter().copied()
    }

    /// Returns what readers call the time of a zone, where the language has a name for it.
    fn zone_name(&self, zone: Zone) -> Option<&str> {
        self.zones.get(*ZONE_NAMES.of_zones.get(&zone.0)?)?.as_deref()
    }

    /// Returns an instant to the minute (cut, so that a deadline is never shown later than it is), in `zone`, which it names.
    pub fn instant(&self, at: Timestamp, zone: Zone) -> String {
        let local = at.to_utc().with_timezone(&zone.0);
        let mut text = String::with_capacity(64);
        for part in &self.instant {
            // Writing to a string does not fail.
            let name = match part {
                Part::Text(words) => {
                    text.push_str(words);
                    continue;
                }
                Part::Name(name) => name.as_str(),
            };
            let start = text.len();
            _ = match name {
                "weekday" => text.write_str(&self.weekdays[local.weekday().num_days_from_monday() as usize]),
                "month" => text.write_str(&self.months[local.month0() as usize]),
                "period" => text.write_str(&self.periods[usize::from(local.hour12().0)]),
                "zone" => match self.zone_name(zone) {
                    Some(name) => text.write_str(name),
                    None if self.is_right_to_left => write!(text, "\u{2066}{}\u{2069}", zone.0.name()),
                    None => text.write_str(zone.0.name()),
                },
                "day" => write!(text, "{}", local.day()),
                "year" => write!(text, "{}", local.year()),
                "hour" => write!(text, "{}", local.hour()),
                "hour24" => write!(text, "{:02}", local.hour()),
                "hour12" => write!(text, "{}", local.hour12().1),
                "minute" => write!(text, "{:02}", local.minute()),
                _ => Ok(()),
            };
            if self.digits.is_some() && !matches!(name, "zone" | "weekday" | "month" | "period") {
                let written = self.in_own_digits(&text[start..]);
                text.replace_range(start.., &written);
            }
        }
        text
    }

    /// Returns a whole number, grouped.
    pub fn count(&self, n: u64) -> String {
        self.in_own_digits(&self.grouped(&n.to_string()))
    }

    /// Returns an amount of money: rounded to the currency's minor unit (ISO 4217), without it where the amount is whole, and with the sign that
    /// readers of the language know, else the code. A currency that is no code stands behind as it is written.
    pub fn amount(&self, value: &Number, currency: &str) -> String {
        let currency = currency.trim();
        let code = currency.to_ascii_uppercase();
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let (whole, fraction) = rounded(value, minor_digits(&code));
        let mut number = self.grouped(&whole);
        if !fraction.is_empty() {
            number.push_str(&self.decimal);
            number.push_str(&fraction);
        }
        let number = self.in_own_digits(&number);
        if currency.is_empty() {
            return number;
        }
        if !is_code {
            return format!("{number}\u{a0}{currency}");
        }
        let sign = self.currencies.get(&code).unwrap_or(&code);
        let mut text = String::with_capacity(number.len() + 8);
        for (n, part) in self.amount.iter().enumerate() {
            match part {
                Part::Text(words) => text.push_str(words),
                Part::Name(name) if name == "amount" => text.push_str(&number),
                Part::Name(_) => {
                    text.push_str(sign);
                    // CLDR's currencySpacing: letters do not touch digits.
                    let touches = matches!(self.amount.get(n + 1), Some(Part::Name(_)));
                    if touches && sign.ends_with(char::is_alphabetic) {
                        text.push('\u{a0}');
                    }
                }
            }
        }
        text
    }

    /// Puts the sign between groups of three digits.
    fn grouped(&self, digits: &str) -> String {
        if digits.len() < self.group_from.max(4) {
            return digits.to_owned();
        }
        let mut text = String::with_capacity(digits.len() * 2);
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                text.push_str(&self.group);
            }
            text.push(digit);
        }
        text
    }

    fn in_own_digits(&self, text: &str) -> String {
        let Some(digits) = &self.digits else { return text.to_owned() };
        let own = |c: char| c.to_digit(10).and_then(|n| digits.get(n as usize)).copied().unwrap_or(c);
        text.chars().map(own).collect()
    }
}

/// Returns a language's names of zones in the order of [`ZONE_NAMES`].
fn in_order(zones: &BTreeMap<String, String>) -> Vec<Option<String>> {
    ZONE_NAMES.english.iter().map(|name| zones.get(*name).cloned()).collect()
}

/// Returns the digits of a value, rounded half away from zero to `n_minor` digits behind the point, and none there where it is whole.
fn rounded(value: &Number, n_minor: usize) -> (String, String) {
    let mut text = value.to_string();
    if text.contains(['e', 'E']) {
        text = format!("{:.4}", value.as_f64().unwrap_or_default());
    }
    let text = text.trim_start_matches('-');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(n_minor).collect();
    let mut digits: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    if fraction.as_bytes().get(n_minor).is_some_and(|digit| *digit >= b'5') {
        let mut at = digits.len();
        loop {
            if at == 0 {
                digits.insert(0, b'1');
                break;
            }
            at -= 1;
            if digits[at] < b'9' {
                digits[at] += 1;
                break;
            }
            digits[at] = b'0';
        }
    }
    let minor = digits.split_off(digits.len() - n_minor);
    let written = |digits: Vec<u8>| digits.into_iter().map(char::from).collect::<String>();
    let minor = if minor.iter().all(|digit| *digit == b'0') {
        Vec::new()
    } else {
        minor
    };
    (written(digits), written(minor))
}

/// How many digits a currency has behind the point (ISO 4217, list one of 2024-06-25).
fn minor_digits(code: &str) -> usize {
    match code {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF"
        | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::load::built_in;

    const EXAMPLES: &str = include_str!("../../tests/data/cldr.csv");

    fn formats(text: &str) -> Formats {
        let own = read(&"formats.toml".into(), text).unwrap_or_else(|error| panic!("{error}"));
        let english = read(&"en".into(), include_str!("../../templates/en/formats.toml")).unwrap();
        Formats::new(&[&own, &english], 1, false)
    }

    /// Against what Node's Intl, another implementation with the whole of CLDR, makes of them.
    #[test]
    fn instants_counts_and_amounts_are_written_as_cldr_has_them() {
        let mut n_compared = 0;
        let named = |formats: &Formats, language: &str, zone: Zone| match formats.zone_name(zone) {
            Some(name) => name.to_owned(),
            None if language == "ar" => format!("\u{2066}{}\u{2069}", zone.0.name()),
            None => zone.0.name().to_owned(),
        };
        for row in csv::Reader::from_reader(EXAMPLES.as_bytes()).records() {
            let row = row.unwrap();
            let [language, what, value, with, expected] = [0, 1, 2, 3, 4].map(|n| &row[n]);
            if what == "plural" {
                continue;
            }
            let formats = built_in().formats(language);
            let (written, expected) = match what {
                "instant" => {
                    let zone = Zone(with.parse().unwrap());
                    let named = named(formats, language, zone);
                    (formats.instant(value.parse().unwrap(), zone), format!("{expected} ({named})"))
                }
                "zone" => {
                    let zone = Zone(with.parse().unwrap());
                    (formats.zone_name(zone).unwrap_or_default().to_owned(), expected.to_owned())
                }
                "count" => (formats.count(value.parse().unwrap()), expected.to_owned()),
                _ => (formats.amount(&value.parse().unwrap(), with), expected.to_owned()),
            };
            assert_eq!(written, expected, "{language} {what} {value} {with}");
            n_compared += 1;
        }
        assert!(n_compared > 200, "{n_compared}");
    }

    /// The deadline is the reader's: he is told in his words which clock it is by, and never in those of another language.
    #[test]
    fn a_zone_without_a_name_in_the_language_is_written_as_iana_does() {
        let at = "2026-03-02T16:05:00Z".parse().unwrap();
        let zone = |name: &str| Zone(name.parse().unwrap());
        let own = formats("instant = \"{hour24}:{minute} ({zone})\"\n[zones]\n\"Central European Time\" = \"Midden-Europese tijd\"\n");
        for (formats, name, expected) in [
            (&own, "Europe/Berlin", "17:05 (Midden-Europese tijd)"),
            (&own, "America/New_York", "11:05 (America/New_York)"),
            (
                &formats("decimal = \".\""),
                "Europe/Berlin",
                "Mon, 2 March 2026 at 17:05 (Central European Time)",
            ),
            (
                &formats("instant = \"{hour24}:{minute} ({zone})\""),
                "Europe/Berlin",
                "17:05 (Europe/Berlin)",
            ),
        ] {
            assert_eq!(formats.instant(at, zone(name)), expected, "{name}");
        }
        let unknown = read(
            &"formats.toml".into(),
            "decimal = \",\"\n[zones]\n\"Central European Tim\" = \"x\"\n",
        )
        .unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "formats.toml:3:1: \"Central European Tim\" is no zone's name in English; did you mean \"Central European Time\"?"
        );
    }

    /// Every name that is a zone's has its word in each language that is built in.
    #[test]
    fn each_built_in_language_names_the_same_zones() {
        assert!(ZONE_NAMES.of_zones.len() > 400, "{}", ZONE_NAMES.of_zones.len());
        for language in built_in().languages() {
            let zones = &built_in().formats(language).zones;
            assert_eq!(zones.iter().flatten().count(), ZONE_NAMES.english.len(), "{language}");
        }
    }

    #[test]
    fn a_language_may_have_its_own_digits_and_takes_the_rest_from_above() {
        let own = formats("decimal = \"٫\"\ngroup = \"٬\"\ndigits = \"۰۱۲۳۴۵۶۷۸۹\"\namount = \"{currency} {amount}\"\n");
        assert_eq!(own.count(1_234_567), "۱٬۲۳۴٬۵۶۷");
        assert_eq!(own.amount(&"1234.5".parse().unwrap(), "EUR"), "€ ۱٬۲۳۴٫۵۰");
        let at = "2026-03-02T16:00:00Z".parse().unwrap();
        assert_eq!(own.instant(at, Zone(chrono_tz::UTC)), "Mon, ۲ March ۲۰۲۶ at ۱۶:۰۰ (UTC)");
        assert_eq!(
            own.gaps().collect::<Vec<_>>(),
            ["formats.instant", "formats.weekdays", "formats.months", "formats.currencies"]
        );
    }

    #[test]
    fn money_of_any_size_and_any_currency_is_written() {
        let cases = [
            ("50000", "doubloons", "50,000\u{a0}doubloons"),
            ("12.5", "eur", "€12.50"),
            ("12.5", "", "12.50"),
            ("0.995", "EUR", "€1"),
            ("99999.999", "USD", "US$100,000"),
            ("1234567890123.45", "EUR", "€1,234,567,890,123.45"),
            ("18446744073709551615", "JPY", "JP¥18,446,744,073,709,551,615"),
            ("1e21", "EUR", "€1,000,000,000,000,000,000,000"),
            ("1e-9", "EUR", "€0"),
            ("0.00005", "CLF", "CLF\u{a0}0.0001"),
        ];
        for (value, currency, expected) in cases {
            assert_eq!(
                formats("").amount(&value.parse().unwrap(), currency),
                expected,
                "{value} {currency}"
            );
        }
    }

    #[test]
    fn what_is_wrong_in_a_file_of_formats_is_told_with_its_place() {
        let cases = [
            (
                "# x\ninstant = \"{day} {mont}\"",
                "f:2:1: \"{mont}\" is not known here; did you mean \"month\"?; there are weekday, day, month, year, hour, hour24, hour12, minute, period, zone",
            ),
            ("\nmonths = [\"a\"]", "f:2:10: invalid length 1, expected an array of length 12"),
            ("digits = \"012\"", "f:1:1: \"digits\" has not ten characters, from 0 to 9"),
            ("amount = 5", "f:1:10: invalid type: integer `5`, expected a string"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(&"f".into(), text).unwrap_err().to_string(), expected);
        }
        let unknown = read(&"f".into(), "week = []").unwrap_err().to_string();
        assert!(
            unknown.starts_with("f:1:1: unknown field `week`, expected one of `instant`"),
            "{unknown}"
        );
    }
}
