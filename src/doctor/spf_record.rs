//! Reads an SPF record as text (RFC 7208 §4.5, §4.6, §12): its terms in order, what it sends on to, and what in it is hardly meant.
//!
//! **Not here:** what the terms mean for an address, and what they lead to: [`spf`](crate::doctor::spf) follows them.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::doctor::spf::Verdict;
use crate::doctor::text::cut;

/// One record, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) terms: Vec<Term>,
    pub(super) redirect: Option<String>,
    /// What is hardly meant.
    pub(super) notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) verdict: Verdict,
    pub(super) mechanism: Mechanism,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(String),
    /// The domain, where it is not the record's own, and the lengths of the prefixes.
    A(Option<String>, u8, u8),
    Mx(Option<String>, u8, u8),
    Ptr,
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(String),
}

/// Tells whether a text is meant as an SPF record (RFC 7208 §4.5): the version, then a blank or the end.
pub(super) fn is_spf(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

/// Tells whether a name is made of the mail.
pub(super) fn has_macro(domain: &str) -> bool {
    domain.contains('%')
}

/// Reads a record. A fault makes all of it void to a receiver.
pub(super) fn parse(text: &str) -> Result<Record, String> {
    let mut record = Record {
        terms: Vec::new(),
        redirect: None,
        notes: Vec::new(),
    };
    let mut is_ended = false;
    for word in text.split(' ').skip(1).filter(|word| !word.is_empty()) {
        if let Some((name, value)) = modifier(word) {
            match name.as_str() {
                "redirect" if record.redirect.is_some() => return Err("redirect= stands in it twice".into()),
                "redirect" => record.redirect = Some(domain(word, value)?),
                "include" | "a" | "mx" | "ip4" | "ip6" | "exists" | "ptr" | "all" => {
                    record
                        .notes
                        .push(format!("{:?} is passed over; it is written with a colon, {name}:", cut(word)));
                }
                // An explanation, and what a later version may bring, decide nothing.
                _ => {}
            }
            continue;
        }
        let term = term(word)?;
        if is_ended {
            record.notes.push(format!("{:?} stands behind all, and is passed over", cut(word)));
            continue;
        }
        if matches!(term.mechanism, Mechanism::Ptr) {
            record
                .notes
                .push("ptr is slow and not to be used (RFC 7208 §5.5); some receivers pass it over".into());
        }
        is_ended = term.mechanism == Mechanism::All;
        record.terms.push(term);
    }
    if is_ended && record.redirect.take().is_some() {
        record.notes.push("redirect= is passed over, since all stands there, too".into());
    }
    Ok(record)
}

/// Splits `name=value`; a mechanism has no `=` before its `:` or `/`.
fn modifier(word: &str) -> Option<(String, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name =
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    is_name.then(|| (name.to_ascii_lowercase(), value))
}

fn term(word: &str) -> Result<Term, String> {
    let (verdict, rest) = match word.split_at_checked(1) {
        Some(("+", rest)) => (Verdict::Pass, rest),
        Some(("-", rest)) => (Verdict::Fail, rest),
        Some(("~", rest)) => (Verdict::SoftFail, rest),
        Some(("?", rest)) => (Verdict::Neutral, rest),
        _ => (Verdict::Pass, word),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, argument) = (rest[..end].to_ascii_lowercase(), &rest[end..]);
    let named = argument.strip_prefix(':');
    let mechanism = match name.as_str() {
        "all" if argument.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(domain(word, named.unwrap_or_default())?),
        "exists" => Mechanism::Exists(domain(word, named.unwrap_or_default())?),
        "ptr" => {
            if let Some(named) = named {
                domain(word, named)?;
            }
            Mechanism::Ptr
        }
        "a" | "mx" => {
            let (target, v4, v6) = with_lengths(word, argument)?;
            if name == "a" {
                Mechanism::A(target, v4, v6)
            } else {
                Mechanism::Mx(target, v4, v6)
            }
        }
        "ip4" => {
            let (network, length) = network(word, named.unwrap_or_default(), 32)?;
            Mechanism::Ip4(network, length)
        }
        "ip6" => {
            let (network, length) = network(word, named.unwrap_or_default(), 128)?;
            Mechanism::Ip6(network, length)
        }
        "ipv4" | "ip" => return Err(format!("{:?} is nothing that SPF knows; it is written ip4:", cut(word))),
        "ipv6" => return Err(format!("{:?} is nothing that SPF knows; it is written ip6:", cut(word))),
        _ => return Err(format!("{:?} is nothing that SPF knows", cut(word))),
    };
    Ok(Term { verdict, mechanism })
}

fn domain(word: &str, text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 253;
    // A macro may be anything, a plain name has labels.
    let has_labels = || text.trim_end_matches('.').split('.').all(|label| (1..=63).contains(&label.len()));
    if is_name && (has_macro(text) || has_labels()) {
        return Ok(text.trim_end_matches('.').to_ascii_lowercase());
    }
    Err(if text.is_empty() {
        format!("{:?} names no domain; does a blank stand behind it?", cut(word))
    } else {
        format!("{:?} names no domain", cut(word))
    })
}

/// Reads `:domain/24//64`, each part of which may be missing.
fn with_lengths(word: &str, argument: &str) -> Result<(Option<String>, u8, u8), String> {
    let end = argument.find('/').unwrap_or(argument.len());
    let target = match argument[..end].strip_prefix(':') {
        Some(target) => Some(domain(word, target)?),
        None => None,
    };
    let (v4, v6) = match argument[end..].split_once("//") {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (&argument[end..], None),
    };
    let v4 = v4.strip_prefix('/').map_or(Ok(32), |text| length(word, text, 32))?;
    let v6 = v6.map_or(Ok(128), |text| length(word, text, 128))?;
    Ok((target, v4, v6))
}

fn network<T: std::str::FromStr>(word: &str, text: &str, length_max: u8) -> Result<(T, u8), String> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address = address.parse().map_err(|_| format!("{:?} names no address", cut(word)))?;
    Ok((address, bits.map_or(Ok(length_max), |bits| length(word, bits, length_max))?))
}

fn length(word: &str, text: &str, length_max: u8) -> Result<u8, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|length| is_number && *length <= length_max);
    length.ok_or_else(|| format!("{:?} has a prefix that is none; it goes up to /{length_max}", cut(word)))
}
