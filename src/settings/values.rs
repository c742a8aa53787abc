//! The types that a key may have: how each is read, what its refusal says, how it is shown.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::NaiveDate;
use toml::Value;

use crate::outbox::mark::{MARK_CHARS_MAX, PLACE};
use crate::outbox::pace::Rate;
use crate::partner::{EmailAddress, Zone};
use crate::policy::Rung;
use crate::policy::schedule::Cron;
use crate::settings::keys::Setting;
use crate::settings::secret::mask_url;
use crate::settings::span;
use crate::settings::tables::{DatabaseUrl, InDoubt, Level, LogFormat, Mode, Sender, Tls, Transport};

/// Characters of a value that an error repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// Returns a value as the file would write it, cut so that an error stays a line.
pub(crate) fn found(value: &Value) -> String {
    let text = match value {
        // TOML writes a text with quotation marks in it between apostrophes; an error quotes every text alike.
        Value::String(text) => format!("{text:?}"),
        Value::Table(_) => "a table".into(),
        Value::Array(entries) if entries.iter().any(Value::is_table) => "a list of tables".into(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

pub(crate) fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("{} is not a text; put it between quotation marks", found(value)))
}

impl Setting for String {
    fn read(value: &Value) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.clone()))
    }
}

impl Setting for bool {
    fn read(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("{} is not true or false", found(value)))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Boolean(*self))
    }
}

fn whole<T: TryFrom<i64> + PartialOrd + fmt::Display>(value: &Value, range: &RangeInclusive<T>) -> Result<T, String> {
    let number = value
        .as_integer()
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| range.contains(number));
    number.ok_or_else(|| format!("{} is not a whole number from {} to {}", found(value), range.start(), range.end()))
}

impl Setting for u32 {
    fn read(value: &Value) -> Result<Self, String> {
        whole(value, &(0..=Self::MAX))
    }

    fn read_within(value: &Value, range: &RangeInclusive<Self>) -> Result<Self, String> {
        whole(value, range)
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Integer(i64::from(*self)))
    }
}

impl Setting for u16 {
    fn read(value: &Value) -> Result<Self, String> {
        whole(value, &(0..=Self::MAX))
    }

    fn read_within(value: &Value, range: &RangeInclusive<Self>) -> Result<Self, String> {
        whole(value, range)
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Integer(i64::from(*self)))
    }
}

impl Setting for Duration {
    fn read(value: &Value) -> Result<Self, String> {
        if value.is_integer() {
            return Err(format!("{} has no unit; write a text such as \"{} s\"", found(value), found(value)));
        }
        span::parse(text(value)?)
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(span::show(*self)))
    }
}

impl Setting for Rate {
    fn read(value: &Value) -> Result<Self, String> {
        if value.is_integer() {
            return Err(format!("{} does not say in how long; write \"{}/s\"", found(value), found(value)));
        }
        text(value)?.parse().map_err(|wrong: <Rate as FromStr>::Err| wrong.to_string())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

impl Setting for NaiveDate {
    fn read(value: &Value) -> Result<Self, String> {
        // TOML has days of its own, with and without quotation marks around them.
        let written = value.as_datetime().map(ToString::to_string);
        let text = written.as_deref().map_or_else(|| text(value), Ok)?;
        text.parse()
            .map_err(|_| format!("{} is not a day such as 2027-01-31", found(value)))
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

impl Setting for Vec<u32> {
    fn read(value: &Value) -> Result<Self, String> {
        let entries = value
            .as_array()
            .ok_or_else(|| format!("{} is not a list of whole numbers such as [50, 100, 500]", found(value)))?;
        entries.iter().map(|entry| whole(entry, &(1..=COUNT_MAX))).collect()
    }

    fn show(&self) -> Option<Value> {
        let entries: Vec<Value> = self.iter().map(|n| Value::Integer(i64::from(*n))).collect();
        (!entries.is_empty()).then_some(Value::Array(entries))
    }
}

impl Setting for Vec<String> {
    fn read(value: &Value) -> Result<Self, String> {
        let entries = value
            .as_array()
            .ok_or_else(|| format!("{} is not a list of texts such as [\"contoso.com\", \"contoso.net\"]", found(value)))?;
        entries.iter().map(String::read).collect()
    }

    fn show(&self) -> Option<Value> {
        let entries: Vec<Value> = self.iter().cloned().map(Value::String).collect();
        (!entries.is_empty()).then_some(Value::Array(entries))
    }
}

/// The greatest number of mails that a limit may name.
pub(crate) const COUNT_MAX: u32 = 100_000_000;

/// Refuses what is out of bounds, where something is set at all.
pub(crate) fn is_within<T: Setting + PartialOrd + Copy>(value: Option<T>, range: &RangeInclusive<T>) -> Result<(), String> {
    let out = value.filter(|value| !range.contains(value)).and_then(|value| value.show());
    let shown = |value: &T| value.show().map_or_else(String::new, |value| value.to_string());
    out.map_or(Ok(()), |out| {
        Err(format!(
            "{out} is out of bounds; allowed is {} to {}",
            shown(range.start()),
            shown(range.end())
        ))
    })
}

impl Setting for PathBuf {
    fn read(value: &Value) -> Result<Self, String> {
        match text(value)? {
            "" => Err("\"\" is not a path".into()),
            path => Ok(path.into()),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.display().to_string()))
    }
}

/// An empty text unsets, so that the environment can take back what the file says.
impl<T: Setting> Setting for Option<T> {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("") => Ok(None),
            _ => T::read(value).map(Some),
        }
    }

    fn show(&self) -> Option<Value> {
        self.as_ref().and_then(Setting::show)
    }
}

impl Setting for EmailAddress {
    fn read(value: &Value) -> Result<Self, String> {
        text(value)?
            .parse()
            .map_err(|wrong: crate::partner::address::NotAnAddress| wrong.to_string())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

impl Setting for Sender {
    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value)?;
        let wrong = || {
            format!(
                "{} is not a sender; write ada@example.com or \"Ada Lovelace <ada@example.com>\"",
                found(value)
            )
        };
        text.parse().map(Sender).map_err(|_| wrong())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
}

impl Setting for Cron {
    fn read(value: &Value) -> Result<Self, String> {
        text(value)?.parse().map_err(|wrong: <Cron as FromStr>::Err| wrong.to_string())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.as_str().into()))
    }
}

impl Setting for Zone {
    fn read(value: &Value) -> Result<Self, String> {
        text(value)?.parse().map_err(|wrong: <Zone as FromStr>::Err| wrong.to_string())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.name().into()))
    }
}

impl Setting for DatabaseUrl {
    fn read(value: &Value) -> Result<Self, String> {
        let url = text(value)?;
        let place = url.strip_prefix("sqlite:").map(|place| place.strip_prefix("//").unwrap_or(place));
        match place {
            Some("") => Err(format!("{url:?} names no file; write \"sqlite:posthorn.db\"")),
            Some(place) if place.contains(":memory:") || place.contains("mode=memory") => {
                Err(format!("{url:?} would forget all leads at the end; write \"sqlite:posthorn.db\""))
            }
            Some(_) => Ok(Self(url.into())),
            None if url.starts_with("postgres://") || url.starts_with("postgresql://") => Ok(Self(url.into())),
            None => Err(format!(
                "{:?} is not a database; write \"sqlite:posthorn.db\" or \"postgres://user:password@host/database\"",
                mask_url(url)
            )),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::String(self.masked()))
    }
}

/// A type of a few named values. The first list is what a refusal names.
pub(crate) trait Words: Copy + PartialEq + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Words> Setting for T {
    fn read(value: &Value) -> Result<Self, String> {
        let known = T::WORDS.iter().find(|(word, _)| value.as_str() == Some(word));
        known.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = T::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("{} is not one of {}", found(value), words.join(", "))
        })
    }

    fn show(&self) -> Option<Value> {
        let known = T::WORDS.iter().find(|(_, value)| value == self);
        known.map(|(word, _)| Value::String((*word).into()))
    }
}

impl Words for Mode {
    const WORDS: &'static [(&'static str, Self)] = &[("live", Self::Live), ("redirect", Self::Redirect), ("dry", Self::Dry)];
}

impl Words for Transport {
    const WORDS: &'static [(&'static str, Self)] = &[("maildir", Self::Maildir), ("smtp", Self::Smtp)];
}

impl Words for Tls {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("required", Self::Required),
        ("implicit", Self::Implicit),
        ("opportunistic", Self::Opportunistic),
        ("none", Self::None),
    ];
}

impl Words for InDoubt {
    const WORDS: &'static [(&'static str, Self)] = &[("resend", Self::Resend), ("hold", Self::Hold)];
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Words for Level {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl Words for Rung {
    const WORDS: &'static [(&'static str, Self)] = &[("preferred", Self::Preferred), ("profile", Self::Profile), ("admins", Self::Admins)];
}

impl Setting for Vec<Rung> {
    fn read(value: &Value) -> Result<Self, String> {
        let entries = value
            .as_array()
            .ok_or_else(|| format!("{} is not a list such as [\"preferred\", \"admins\"]", found(value)))?;
        entries.iter().map(Rung::read).collect()
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.iter().filter_map(Setting::show).collect()))
    }
}

/// Refuses an empty ladder, and a rung that stands in it twice.
pub(crate) fn is_one_of_each(rungs: &[Rung]) -> Result<(), String> {
    if rungs.is_empty() {
        return Err("[] would leave every lead unroutable; name at least one of \"preferred\", \"profile\", \"admins\"".into());
    }
    let twice = rungs.iter().enumerate().find(|(i, rung)| rungs[..*i].contains(rung));
    match twice.and_then(|(_, rung)| rung.show()) {
        Some(rung) => Err(format!("{} stands in it twice; name each rung once", found(&rung))),
        None => Ok(()),
    }
}

/// Refuses what is not the address of a page or an endpoint.
pub(crate) fn is_web_address(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !url.contains(|c: char| c.is_whitespace() || c.is_control()) => Ok(()),
        _ => Err(format!(
            "{} is not a web address such as \"https://portal.example/leads\"",
            found(&Value::String(url.into()))
        )),
    }
}

/// Refuses what is no address of a NATS server. A password in it would be shown with it.
pub(crate) fn is_nats_address(url: &str) -> Result<(), String> {
    let told = found(&Value::String(url.into()));
    let rest = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
    match rest {
        Some(rest) if rest.contains('@') => Err(format!(
            "{told} names an account; it goes into nats.username and nats.password_file"
        )),
        Some(rest) if !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') => Ok(()),
        _ => Err(format!(
            "{told} is not an address such as \"nats://nats.example:4222\" or \"tls://nats.example:4222\""
        )),
    }
}

/// Refuses what NATS does not take as the name of a stream or consumer.
pub(crate) fn is_nats_name(name: &str) -> Result<(), String> {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    is_name
        .then_some(())
        .ok_or_else(|| format!("{} is not a name of letters, digits, - and _", found(&Value::String(name.into()))))
}

/// Refuses what is no subject of NATS.
pub(crate) fn is_nats_subject(subject: &str) -> Result<(), String> {
    let tokens: Vec<&str> = subject.split('.').collect();
    let is_token = |(at, token): (usize, &&str)| match *token {
        "" => false,
        ">" => at + 1 == tokens.len(),
        token => token == "*" || !token.contains(|c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>'),
    };
    tokens
        .iter()
        .enumerate()
        .all(is_token)
        .then_some(())
        .ok_or_else(|| format!("{} is not a subject such as \"leads.>\"", found(&Value::String(subject.into()))))
}

/// Refuses a deep link that would lead to the same page for every lead.
pub(crate) fn has_id(url: &str) -> Result<(), String> {
    if url.contains("{id}") {
        return Ok(());
    }
    Err(format!(
        "{} has no {{id}} where the lead's id belongs; write \"https://portal.example/leads/{{id}}\"",
        found(&Value::String(url.into()))
    ))
}

/// Refuses a return address whose place for a mail's mark is somewhere else than in one spot before the `@`, or leaves no room for it.
pub(crate) fn is_return_address(address: &EmailAddress) -> Result<(), String> {
    let (local, domain) = address.as_str().rsplit_once('@').unwrap_or((address.as_str(), ""));
    // 64 is what RFC 5321 §4.5.3.1.1 allows before the `@`.
    let has_room = local.len() + MARK_CHARS_MAX <= 64 + PLACE.len();
    match local.matches(PLACE).count() {
        0 if !domain.contains(['{', '}']) => Ok(()),
        1 if has_room => Ok(()),
        1 => Err(format!(
            "{} leaves no room for a mark of {MARK_CHARS_MAX} characters; write a shorter one, such as \"bounces+{PLACE}@example.org\"",
            found(&Value::String(address.to_string()))
        )),
        _ => Err(format!(
            "{} has {PLACE} more than once; write \"bounces+{PLACE}@example.org\"",
            found(&Value::String(address.to_string()))
        )),
    }
}

/// Refuses what cannot be a domain of one's own in the DNS.
pub(crate) fn is_domain(domain: &str) -> Result<(), String> {
    let ascii = idna::domain_to_ascii(domain).unwrap_or_default();
    if ascii.contains('.') && has_dns_labels(&ascii) {
        return Ok(());
    }
    Err(format!(
        "{} is not a domain such as \"contoso.com\"",
        found(&Value::String(domain.into()))
    ))
}

/// Refuses what cannot stand before `._domainkey` (RFC 6376 §3.1).
pub(crate) fn is_selector(selector: &str) -> Result<(), String> {
    if has_dns_labels(selector) {
        return Ok(());
    }
    Err(format!(
        "{} is not a selector such as \"posthorn-2026\": letters, digits, hyphens and dots",
        found(&Value::String(selector.into()))
    ))
}

fn has_dns_labels(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Refuses what cannot be a BCP 47 language tag.
pub(crate) fn is_language(tag: &str) -> Result<(), String> {
    let mut parts = tag.split('-');
    let is_right = parts
        .next()
        .is_some_and(|language| (2..=3).contains(&language.len()) && language.chars().all(|c| c.is_ascii_alphabetic()))
        && parts.all(|part| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()));
    if is_right {
        Ok(())
    } else {
        Err(format!("{tag:?} is not a language tag such as \"en\" or \"de-AT\""))
    }
}

/// Returns the known word that `typed` was probably meant to be: it begins like it, or at most a third of it is different.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let longer = known
        .clone()
        .find(|word| typed.len() > 3 && word.to_lowercase().starts_with(&typed));
    let near = known
        .map(|word| (distance(&typed, &word.to_lowercase()), word))
        .min_by_key(|(distance, _)| *distance);
    let near = near.filter(|(distance, word)| *distance <= word.chars().count().max(3) / 3);
    near.map(|(_, word)| word).or(longer)
}

/// Counts the insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_its_word_and_nonsense_none() {
        let known = ["from", "reply_to", "envelope_from", "maildir", "redirect_to", "locale", "transport"];
        for (typed, meant) in [
            ("form", Some("from")),
            ("From", Some("from")),
            ("replyto", Some("reply_to")),
            ("reply-to", Some("reply_to")),
            ("transprot", Some("transport")),
            ("mail_dir", Some("maildir")),
            ("colour", None),
            ("x", None),
            ("envelope", Some("envelope_from")),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), meant, "{typed}");
        }
    }

    #[test]
    fn a_value_in_an_error_is_cut_and_stays_one_line() {
        let long = found(&Value::String("ä\n".repeat(100)));
        assert!(!long.contains('\n') && long.chars().count() == SHOWN_CHARS_MAX + 1, "{long}");
        assert_eq!(found(&Value::String("say \"hi\"".into())), r#""say \"hi\"""#);
    }

    #[test]
    fn a_database_url_is_one_of_two_engines() {
        for (url, is_right) in [
            ("sqlite:posthorn.db", true),
            ("sqlite:///var/lib/posthorn/posthorn.db", true),
            ("sqlite://posthorn.db", true),
            ("postgres://posthorn@localhost/posthorn", true),
            ("postgresql:///posthorn?host=/run/postgresql", true),
            ("sqlite:", false),
            ("sqlite::memory:", false),
            ("mysql://root:hush@localhost/x", false),
            ("posthorn.db", false),
        ] {
            let read = DatabaseUrl::read(&Value::String(url.into()));
            assert_eq!(read.is_ok(), is_right, "{url}");
            assert!(!format!("{read:?}").contains("hush"), "{read:?}");
        }
    }

    #[test]
    fn a_return_address_has_one_place_for_a_mark_and_room_for_it() {
        for (address, is_right) in [
            ("bounces@example.org", true),
            ("bounces+{id}@example.org", true),
            ("{id}@bounces.example.org", true),
            ("bounces-of-the-partner-portal+{id}@example.org", false),
            ("{id}+{id}@example.org", false),
        ] {
            let address: EmailAddress = address.parse().expect("an address");
            assert_eq!(is_return_address(&address).is_ok(), is_right, "{address}");
        }
    }

    #[test]
    fn a_domain_and_a_selector_are_names_of_the_dns() {
        let long = "a".repeat(64);
        for (name, is_domain_right, is_selector_right) in [
            ("contoso.com", true, true),
            ("Mail.Contoso.com", true, true),
            ("bücher.example", true, false),
            ("contoso", false, true),
            ("posthorn-2026", false, true),
            ("2026.posthorn", true, true),
            ("", false, false),
            ("contoso.com.", false, false),
            (".contoso.com", false, false),
            ("contoso..com", false, false),
            ("-a.example", false, false),
            ("a b.example", false, false),
            ("a;d=b.example", false, false),
            ("leads@contoso.com", false, false),
            (&format!("{long}.example"), false, false),
        ] {
            assert_eq!(is_domain(name).is_ok(), is_domain_right, "domain {name:?}");
            assert_eq!(is_selector(name).is_ok(), is_selector_right, "selector {name:?}");
        }
    }

    #[test]
    fn a_language_tag_is_checked_by_its_form() {
        for (tag, is_right) in [
            ("en", true),
            ("de-AT", true),
            ("zh-Hant-TW", true),
            ("english", false),
            ("", false),
            ("de_AT", false),
            ("d", false),
        ] {
            assert_eq!(is_language(tag).is_ok(), is_right, "{tag}");
        }
    }
}
