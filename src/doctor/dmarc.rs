//! What mailboxes are to do with mail that nothing vouches for, and whether something vouches for ours (DMARC: RFC 9989, which replaces RFC 7489).
//!
//! Which names belong to one organization is found by walking up the DNS (RFC 9989 §4.10), not by a list that others keep. Receivers that still go by
//! RFC 7489 use the list; the two differ where a public suffix publishes a record.
//! **Not here:** whether SPF or DKIM pass: [`spf`](crate::doctor::spf) and [`dkim`](crate::doctor::dkim) say so.

use crate::dns::answers::{Answers, Question};
use crate::doctor::text::{cut, tags, unanswered};
use crate::doctor::{Area, Check};

/// Labels that the walk goes on with after a longer name (RFC 9989 §4.10): eight questions at most.
const LABELS_WALKED_MAX: usize = 7;

/// What becomes of mail that does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    None,
    /// It is put aside.
    Quarantine,
    /// It is refused.
    Reject,
}

/// Whether a domain is one below which others have theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suffix {
    /// `psd=y`.
    Yes,
    /// `psd=n`: it is an organization's.
    No,
    /// The walk decides.
    #[default]
    Unknown,
}

/// A record, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// `p=`; none where it is missing or wrong.
    pub policy: Option<Policy>,
    /// `sp=`, for the names below.
    pub below: Option<Policy>,
    /// `adkim=s`.
    pub dkim_is_strict: bool,
    /// `aspf=s`.
    pub spf_is_strict: bool,
    /// `psd=`.
    pub suffix: Suffix,
    /// `t=y`: the policy is not to be applied yet.
    pub is_test: bool,
    /// `rua=` names somebody.
    pub reports: bool,
    /// What is passed over, since it is wrong.
    pub faults: Vec<String>,
}

impl Policy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    fn read(text: &str) -> Option<Self> {
        let all = [Self::None, Self::Quarantine, Self::Reject];
        all.into_iter().find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
    }
}

/// Tells whether a text is a DMARC record: its version stands first, as it is.
pub fn is_dmarc(text: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    first
        .split_once('=')
        .is_some_and(|(tag, version)| tag.trim() == "v" && version.trim() == "DMARC1")
}

/// Reads a record. What is wrong in it is passed over, as receivers do, and told.
pub fn parse(text: &str) -> Record {
    let mut record = Record::default();
    // A piece that is no tag spoils itself only.
    for piece in text.split(';').skip(1) {
        let (tag, value) = match tags(piece).map(|tags| tags.first().copied()) {
            Ok(Some(tag)) => tag,
            Ok(None) => continue,
            Err(wrong) => {
                record.faults.push(wrong);
                continue;
            }
        };
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        let is_right = match tag {
            "p" => {
                record.policy = Policy::read(value);
                record.policy.is_some()
            }
            "sp" => {
                record.below = Policy::read(value);
                record.below.is_some()
            }
            "np" => Policy::read(value).is_some(),
            "adkim" | "aspf" => {
                let strict = if tag == "adkim" {
                    &mut record.dkim_is_strict
                } else {
                    &mut record.spf_is_strict
                };
                *strict = is("s");
                is("r") || is("s")
            }
            "psd" => {
                record.suffix = if is("y") {
                    Suffix::Yes
                } else if is("n") {
                    Suffix::No
                } else {
                    Suffix::Unknown
                };
                is("y") || is("n") || is("u")
            }
            "t" => {
                record.is_test = is("y");
                is("y") || is("n")
            }
            "rua" => {
                record.reports = value.split(',').any(|uri| uri.trim().contains(':'));
                record.reports
            }
            // Of reports, or of RFC 7489, or of later times.
            _ => true,
        };
        if !is_right {
            record.faults.push(format!("{tag}={} is nothing that DMARC knows", cut(value)));
        }
    }
    record
}

/// A record that the walk found, and where.
struct Step {
    domain: String,
    record: Record,
}

/// Returns the records at a domain and above it, nearest first. `unanswered` gets what could not be asked.
fn walk(domain: &str, known: &Answers, unanswered: &mut Vec<String>) -> Result<Vec<Step>, Question> {
    let labels: Vec<&str> = domain.split('.').collect();
    let mut steps = Vec::new();
    let mut n = labels.len();
    while n > 0 {
        let domain = labels[labels.len() - n..].join(".");
        let name = format!("_dmarc.{domain}");
        match known.texts(&name)? {
            Ok(texts) => {
                let mut records = texts.iter().filter(|text| is_dmarc(text));
                // Several are none (RFC 9989 §4.10).
                if let (Some(text), None) = (records.next(), records.next()) {
                    let record = parse(text);
                    let is_end = record.suffix != Suffix::Unknown;
                    steps.push(Step { domain, record });
                    if is_end {
                        break;
                    }
                }
            }
            Err(why) => unanswered.push(format!("{why} for {name}")),
        }
        n = if n > LABELS_WALKED_MAX + 1 { LABELS_WALKED_MAX } else { n - 1 };
    }
    Ok(steps)
}

/// Returns the organizational domain (RFC 9989 §4.10.2).
fn organizational(domain: &str, steps: &[Step]) -> String {
    for step in steps {
        match step.record.suffix {
            Suffix::No => return step.domain.clone(),
            Suffix::Yes if step.domain != domain => {
                let n = step.domain.split('.').count() + 1;
                let labels: Vec<&str> = domain.split('.').collect();
                return labels[labels.len().saturating_sub(n)..].join(".");
            }
            Suffix::Yes | Suffix::Unknown => {}
        }
    }
    steps.last().map_or_else(|| domain.to_owned(), |step| step.domain.clone())
}

/// Whose domains a mail bears, in lower case and ASCII.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Behind the `@` of `From`.
    pub from: &'a str,
    /// `d=` of the signature, where posthorn signs.
    pub dkim: Option<&'a str>,
    /// Behind the `@` of the envelope's sender.
    pub envelope: &'a str,
}

/// Says what the policy is, and whether something that counts for `From` vouches for a mail.
///
/// # Errors
/// The question that has to be asked first.
pub fn judge(sender: Sender<'_>, known: &Answers) -> Result<[Check; 2], Question> {
    let mut missing = Vec::new();
    let steps = walk(sender.from, known, &mut missing)?;
    let organization = organizational(sender.from, &steps);
    // The sender's own record, else its organization's, else its public suffix's (RFC 9989 §4.10.1).
    let applies = steps
        .iter()
        .find(|step| step.domain == sender.from)
        .or_else(|| steps.iter().find(|step| step.domain == organization))
        .or_else(|| steps.iter().find(|step| step.record.suffix == Suffix::Yes));
    let policy = judge_policy(sender.from, applies, &missing, known)?;
    let default = Record::default();
    let record = applies.map_or(&default, |step| &step.record);
    let belongs = |domain: &str, is_strict: bool| -> Result<bool, Question> {
        if domain == sender.from || is_strict {
            return Ok(domain == sender.from);
        }
        Ok(organizational(domain, &walk(domain, known, &mut Vec::new())?) == organization)
    };
    let dkim = match sender.dkim {
        Some(domain) => Some(belongs(domain, record.dkim_is_strict)?),
        None => None,
    };
    let spf = belongs(sender.envelope, record.spf_is_strict)?;
    let is_enforced = applies
        .and_then(|step| in_force(sender.from, step))
        .is_some_and(|policy| policy != Policy::None);
    Ok([policy, judge_alignment(sender, record, dkim, spf, is_enforced)])
}

/// Returns the policy for a domain of a record that stands there or above.
fn in_force(from: &str, step: &Step) -> Option<Policy> {
    let record = &step.record;
    let is_below = step.domain != from;
    let policy = record.below.filter(|_| is_below).or(record.policy);
    // With somebody to report to, a record without a policy counts as none (RFC 9989 §4.7).
    policy.or(record.reports.then_some(Policy::None))
}

fn judge_policy(from: &str, applies: Option<&Step>, missing: &[String], known: &Answers) -> Result<Check, Question> {
    const NAME: &str = "dmarc";
    let example = format!("\"v=DMARC1; p=none; rua=mailto:postmaster@{from}\"");
    let Some(step) = applies else {
        if let Some(why) = missing.first() {
            return Ok(unanswered(NAME, "DMARC cannot be looked up", why));
        }
        let own = format!("_dmarc.{from}");
        let n = known
            .texts(&own)?
            .map_or(0, |texts| texts.iter().filter(|text| is_dmarc(text)).count());
        if n > 1 {
            let found = format!("{own} has {n} DMARC records, and mailboxes then take none.");
            return Ok(Check::wrong(Area::Dns, NAME, found, format!("Leave one DMARC record at {own}.")));
        }
        let found = format!("Neither {from} nor a domain above it has a DMARC record, which large mailboxes demand of whoever sends much.");
        let advice = format!("Publish a TXT record at {own}, such as {example}: it changes nothing yet, and brings reports.");
        return Ok(Check::warning(Area::Dns, NAME, found, advice));
    };
    let name = format!("_dmarc.{}", step.domain);
    let Some(policy) = in_force(from, step) else {
        let found = format!("The DMARC record at {name} has no p= that is one, and counts as none.");
        return Ok(Check::wrong(
            Area::Dns,
            NAME,
            found,
            format!("Write p=none, p=quarantine or p=reject into it, as in {example}."),
        ));
    };
    let shown = format!("The DMARC policy for {from} is {} (record at {name})", policy.as_str());
    if let Some(fault) = step.record.faults.first() {
        return Ok(Check::warning(
            Area::Dns,
            NAME,
            format!("{shown}, but a part of the record is passed over: {fault}."),
            format!("Correct the TXT record {name}."),
        ));
    }
    let means = match policy {
        Policy::None => "mail that does not pass is treated like any other",
        Policy::Quarantine => "mail that does not pass is put aside",
        Policy::Reject => "mail that does not pass is refused",
    };
    if policy == Policy::None && !step.record.reports {
        let advice = format!("Add rua=mailto: and an address to {name}: mailboxes then report what passes and what does not.");
        return Ok(Check::warning(
            Area::Dns,
            NAME,
            format!("{shown}: {means}, and nobody is told."),
            advice,
        ));
    }
    let test = if step.record.is_test { "; t=y: it is not applied yet" } else { "" };
    Ok(Check::ok(Area::Dns, NAME, format!("{shown}: {means}{test}.")))
}

/// Says what of a mail counts for the domain that its reader sees. `dkim`: whether the signature's domain does; `spf`: whether the envelope's.
fn judge_alignment(sender: Sender<'_>, record: &Record, dkim: Option<bool>, spf: bool, is_enforced: bool) -> Check {
    const NAME: &str = "alignment";
    let Sender { from, envelope, .. } = sender;
    let domain = sender.dkim.unwrap_or_default();
    let strictly = |is_strict: bool| if is_strict { ", which has to be the same" } else { "" };
    let signature = format!(
        "the signature is of {domain}{}",
        strictly(record.dkim_is_strict && dkim == Some(false))
    );
    let bounces = format!("the envelope's sender is of {envelope}{}", strictly(record.spf_is_strict && !spf));
    match (dkim, spf) {
        (Some(true), true) => Check::ok(
            Area::Dns,
            NAME,
            format!("The signature ({domain}) and the envelope ({envelope}) belong with From ({from}): DMARC passes by DKIM, and by SPF."),
        ),
        (Some(true), false) => Check::ok(
            Area::Dns,
            NAME,
            format!(
                "The signature ({domain}) belongs with From ({from}): DMARC passes by DKIM. {}, so that SPF does not count for it.",
                capital(&bounces)
            ),
        ),
        (None, true) => Check::ok(
            Area::Dns,
            NAME,
            format!(
                "The envelope ({envelope}) belongs with From ({from}): DMARC passes by SPF, where the relay keeps the envelope, and nobody forwards the mail."
            ),
        ),
        (Some(false), true) => Check::warning(
            Area::Dns,
            NAME,
            format!("From is of {from}, and {signature}: DMARC passes by SPF alone, and fails for mail that is forwarded."),
            format!("Sign for {from}: set dkim.domain to it and publish the key there."),
        ),
        (Some(false), false) => {
            let found = format!("Nothing vouches for From ({from}): {signature}, and {bounces}.");
            let advice = format!("Sign for {from}: set dkim.domain to it and publish the key there (docs/guides/sign-mail.md).");
            if is_enforced {
                Check::wrong(
                    Area::Dns,
                    NAME,
                    format!("{found} DMARC fails, and mails are refused or put aside."),
                    advice,
                )
            } else {
                Check::warning(Area::Dns, NAME, format!("{found} DMARC fails."), advice)
            }
        }
        // A relay may sign: that cannot be seen from here.
        (None, false) => Check::warning(
            Area::Dns,
            NAME,
            format!("posthorn signs nothing, and {bounces}: unless the relay signs for From ({from}), DMARC fails."),
            format!("Sign for {from} ([dkim]; docs/guides/sign-mail.md), or set mail.envelope_from to an address of that domain."),
        ),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::answers::testing::{settle, zone};

    fn organization_of(domain: &str, lines: &str) -> String {
        settle(zone(lines), |known| {
            Ok(organizational(domain, &walk(domain, known, &mut Vec::new())?))
        })
    }

    /// RFC 9989 §4.10.2 and its appendix B.
    #[test]
    fn the_organization_is_found_by_walking_up() {
        for (domain, lines, expected) in [
            ("contoso.com", "", "contoso.com"),
            ("a.mail.contoso.com", "_dmarc.contoso.com TXT v=DMARC1; p=none", "contoso.com"),
            (
                "a.mail.contoso.com",
                "_dmarc.contoso.com TXT v=DMARC1; p=none\n_dmarc.mail.contoso.com TXT v=DMARC1; p=none",
                "contoso.com",
            ),
            (
                "a.mail.contoso.com",
                "_dmarc.contoso.com TXT v=DMARC1; p=none\n_dmarc.mail.contoso.com TXT v=DMARC1; p=none; psd=n",
                "mail.contoso.com",
            ),
            (
                "a.contoso.gov.example",
                "_dmarc.gov.example TXT v=DMARC1; p=reject; psd=y",
                "contoso.gov.example",
            ),
            ("gov.example", "_dmarc.gov.example TXT v=DMARC1; p=reject; psd=y", "gov.example"),
            (
                "contoso.com",
                "_dmarc.contoso.com TXT v=DMARC1; p=none\n_dmarc.contoso.com TXT v=DMARC1; p=reject",
                "contoso.com",
            ),
            // Eight labels or more: the own name, then the last seven.
            (
                "a.b.c.d.e.f.g.h.contoso.com",
                "_dmarc.b.c.d.e.f.g.h.contoso.com TXT v=DMARC1; p=none",
                "a.b.c.d.e.f.g.h.contoso.com",
            ),
            (
                "a.b.c.d.e.f.g.h.contoso.com",
                "_dmarc.d.e.f.g.h.contoso.com TXT v=DMARC1; p=none",
                "d.e.f.g.h.contoso.com",
            ),
        ] {
            assert_eq!(organization_of(domain, lines), expected, "{domain}\n{lines}");
        }
    }

    #[test]
    fn records_as_found_in_the_wild_are_read() {
        for (text, policy, below, is_strict, n_faults) in [
            ("v=DMARC1; p=none", Some(Policy::None), None, false, 0),
            (
                "v=DMARC1;p=reject;sp=quarantine;adkim=s;aspf=s;pct=100;rua=mailto:d@c.example,mailto:e@c.example;fo=1",
                Some(Policy::Reject),
                Some(Policy::Quarantine),
                true,
                0,
            ),
            ("v = DMARC1 ; P=REJECT", None, None, false, 0),
            ("v=DMARC1; p=REJECT; ri=86400;", Some(Policy::Reject), None, false, 0),
            ("v=DMARC1; p=monitor", None, None, false, 1),
            ("v=DMARC1; p=none; rua=postmaster@contoso.com", Some(Policy::None), None, false, 1),
            ("v=DMARC1; p=none; nonsense; adkim=strict", Some(Policy::None), None, false, 2),
            ("v=DMARC1", None, None, false, 0),
        ] {
            assert!(is_dmarc(text), "{text}");
            let record = parse(text);
            assert_eq!(
                (record.policy, record.below, record.dkim_is_strict, record.faults.len()),
                (policy, below, is_strict, n_faults),
                "{text}: {record:?}"
            );
        }
        for text in [
            "v=dmarc1; p=none",
            "v=DMARC2; p=none",
            "p=none; v=DMARC1",
            "v=spf1 -all",
            "",
            "\"v=DMARC1; p=none\"",
        ] {
            assert!(!is_dmarc(text), "{text}");
        }
    }

    #[test]
    fn a_sentence_says_what_the_policy_is_and_whether_something_vouches_for_the_sender() {
        let reject = "_dmarc.contoso.com TXT v=DMARC1; p=reject; rua=mailto:d@contoso.com";
        let judged = |(lines, from, dkim, envelope): (&str, &str, Option<&str>, &str)| {
            let sender = Sender { from, dkim, envelope };
            let checks = settle(zone(lines), |known| judge(sender, known));
            checks
                .map(|check| format!("{}: {} | {}\n", check.state.as_str(), check.found, check.advice.unwrap_or_default()))
                .concat()
        };
        let (own, mail) = ("contoso.com", "mail.contoso.com");
        let strict = format!("{reject}; adkim=s; aspf=s");
        let all: Vec<String> = [
            (reject, own, Some(own), own),
            (reject, mail, Some(own), "bounce.contoso.com"),
            (reject, own, Some(own), "bounce.relay.example"),
            (reject, own, None, own),
            (reject, own, None, "relay.example"),
            (reject, own, Some("relay.example"), own),
            (reject, own, Some("relay.example"), "relay.example"),
            (&strict, own, Some(mail), own),
            (&strict, own, Some(mail), mail),
            ("", own, None, "relay.example"),
            ("_dmarc.contoso.com TXT v=DMARC1; p=none", mail, Some(own), own),
            (
                "_dmarc.contoso.com TXT v=DMARC1; p=reject; sp=none; rua=mailto:d@contoso.com; t=y",
                mail,
                Some(mail),
                own,
            ),
            ("_dmarc.contoso.com TXT v=DMARC1; p=monitor", own, Some(own), own),
            ("_dmarc.contoso.com TXT v=DMARC1; p=none; rua=d@contoso.com", own, Some(own), own),
            (
                "_dmarc.contoso.com TXT v=DMARC1; p=none\n_dmarc.contoso.com TXT v=DMARC1; p=reject",
                own,
                Some(own),
                own,
            ),
            ("_dmarc.contoso.com SERVFAIL", own, Some(own), own),
        ]
        .map(judged)
        .to_vec();
        insta::assert_snapshot!("dmarc", all.join("\n"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "v=DMARC1;\\PC{0,120}", domain in "[a-z]{1,3}(\\.[a-z]{1,3}){0,12}") {
            parse(&text);
            let lines = format!("_dmarc.{domain} TXT {}", text.replace('\n', " "));
            let organization = organization_of(&domain, &lines);
            prop_assert!(domain.ends_with(&organization));
        }

        #[test]
        fn a_walk_asks_eight_questions_at_most(domain in "[a-z](\\.[a-z]){0,60}") {
            let n = std::cell::Cell::new(0);
            let counting = |_: &Question| { n.set(n.get() + 1); crate::dns::answers::Answer::Nothing };
            settle(counting, |known| Ok(walk(&domain, known, &mut Vec::new())?.len()));
            prop_assert!(n.get() <= 8);
        }
    }
}
