//! Who may send for a domain (SPF, RFC 7208): reads the record as a receiver does, follows what it names, and says what is wrong with it.
//!
//! In: a domain, and what the DNS is known to say. Out: a [`Policy`], or the verdict on an address; or the question that has to be asked first.
//!
//! Looking at a record as a whole follows every term, as the worst mail would: a receiver stops at the first term that matches.
//! **Not here:** macros (`%{i}`), which depend on the mail: such a term is counted and not followed.

use core::net::IpAddr;

use crate::dns::answers::{Answers, Question};
use crate::doctor::spf_record::{Mechanism, Record, has_macro, is_spf, parse};
use crate::doctor::text::{cut, unanswered};
use crate::doctor::{Area, Check};

/// Terms that ask the DNS, over all records together: at the eleventh a receiver gives up (RFC 7208 §4.6.4).
pub const LOOKUPS_MAX: usize = 10;
/// Look-ups that find nothing: at the third a receiver gives up (RFC 7208 §4.6.4).
pub const VOIDS_MAX: usize = 2;
/// Names of one MX that a receiver looks at (RFC 7208 §4.6.4).
const EXCHANGES_MAX: usize = 10;
/// Terms that are followed, so that a record that includes itself ends, and one that is over the limit is told by how much.
const FOLLOWED_MAX: usize = 40;

/// What a record says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may send.
    Pass,
    /// It may not: `-all`.
    Fail,
    /// It probably may not: `~all`.
    SoftFail,
    /// Nothing is said: `?all`, or the record has no end.
    Neutral,
    /// There is no record.
    None,
    /// The record cannot be used, and so passes nobody.
    PermError,
    /// The DNS does not answer, or it depends on the mail.
    Unknown,
}

/// A domain's policy, followed to all of its ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The record; none where there is none.
    pub record: Option<String>,
    /// Terms that ask the DNS, over all records together.
    pub n_lookups: usize,
    /// How many of them find nothing.
    pub n_voids: usize,
    /// What becomes of an address that nothing names.
    pub end: Option<Verdict>,
    /// Why a receiver cannot use it, as sentences without a full stop.
    pub faults: Vec<String>,
    /// What is hardly meant.
    pub notes: Vec<String>,
    /// What could not be asked.
    pub unanswered: Vec<String>,
}

/// Returns the policy of a domain.
///
/// # Errors
/// The question that has to be asked first.
pub fn policy(domain: &str, known: &Answers) -> Result<Policy, Question> {
    let mut walk = Walk::new(known, None);
    let end = walk.visit(domain, Role::Own)?;
    let mut policy = walk.policy;
    policy.end = policy.record.is_some().then_some(end);
    if policy.n_lookups > LOOKUPS_MAX {
        policy.faults.push(format!(
            "it takes {}{} look-ups to follow, and receivers stop at {LOOKUPS_MAX}",
            policy.n_lookups,
            if policy.n_lookups >= FOLLOWED_MAX { " or more" } else { "" }
        ));
    }
    if policy.n_voids > VOIDS_MAX {
        policy.faults.push(format!(
            "{} of the names in it do not exist, and receivers stop at the third",
            policy.n_voids
        ));
    }
    Ok(policy)
}

/// Returns what a domain's policy says of an address.
///
/// # Errors
/// The question that has to be asked first.
pub fn verdict(domain: &str, address: IpAddr, known: &Answers) -> Result<Verdict, Question> {
    let mut walk = Walk::new(known, Some(address));
    let verdict = walk.visit(domain, Role::Own)?;
    let is_over = walk.policy.n_lookups > LOOKUPS_MAX || walk.policy.n_voids > VOIDS_MAX || !walk.policy.faults.is_empty();
    Ok(if is_over { Verdict::PermError } else { verdict })
}

/// Says how the record of the envelope's sender stands.
///
/// # Errors
/// The question that has to be asked first.
pub fn judge(domain: &str, known: &Answers) -> Result<Check, Question> {
    let policy = policy(domain, known)?;
    let Some(record) = &policy.record else {
        return Ok(without_policy(domain, &policy));
    };
    let shown = format!("SPF of {domain} is {:?}", cut(record));
    if let Some(fault) = policy.faults.first() {
        let more = more(policy.faults.len());
        let advice = if policy.n_lookups > LOOKUPS_MAX {
            "Take out what no longer sends for you, or name networks (ip4:, ip6:) in place of includes.".to_owned()
        } else {
            format!("Correct the TXT record of {domain}: as it is, SPF passes for nobody.")
        };
        return Ok(Check::wrong(Area::Dns, "spf", format!("{shown}: {fault}{more}."), advice));
    }
    if let Some(why) = policy.unanswered.first() {
        let found = format!("{shown}, but it cannot be followed to its end: the DNS answers {why}.");
        return Ok(Check::warning(
            Area::Dns,
            "spf",
            found,
            "Ask again later; if it stays so, tell whoever runs that name's DNS.",
        ));
    }
    let end = match policy.end {
        Some(Verdict::Pass) => {
            let advice = format!("End the record of {domain} with ~all or -all in place of +all.");
            return Ok(Check::wrong(
                Area::Dns,
                "spf",
                format!("{shown}, which lets everybody send for it."),
                advice,
            ));
        }
        Some(Verdict::Neutral) => {
            let advice = format!("End the record of {domain} with ~all, or with -all once you know all that send for it.");
            return Ok(Check::warning(
                Area::Dns,
                "spf",
                format!("{shown}, which does not say that nobody else may send."),
                advice,
            ));
        }
        Some(Verdict::Fail | Verdict::SoftFail) => "nobody else may send",
        _ => "what becomes of others depends on the mail",
    };
    if let Some(note) = policy.notes.first() {
        let more = more(policy.notes.len());
        let advice = format!("Tidy up the TXT record of {domain}.");
        return Ok(Check::warning(Area::Dns, "spf", format!("{shown}: {note}{more}."), advice));
    }
    let n = policy.n_lookups;
    let found = format!("{shown}: {end}; it takes {n} of the {LOOKUPS_MAX} look-ups that are allowed.");
    Ok(Check::ok(Area::Dns, "spf", found))
}

fn without_policy(domain: &str, policy: &Policy) -> Check {
    if let Some(fault) = policy.faults.first() {
        let advice = format!("Make one record of them: keep one v=spf1 among the TXT records of {domain}, with the terms of all.");
        return Check::wrong(Area::Dns, "spf", format!("{fault}."), advice);
    }
    if let Some(why) = policy.unanswered.first() {
        return unanswered("spf", "SPF cannot be looked up", why);
    }
    Check::warning(
        Area::Dns,
        "spf",
        format!("{domain}, to which bounces go, has no SPF record: nothing says who may send for it."),
        format!(
            "Publish a TXT record at {domain}, such as \"v=spf1 include:<your relay's provider> ~all\"; the provider says what to include. \
             A relay that puts a sender of its own into the envelope needs none."
        ),
    )
}

fn more(n: usize) -> String {
    if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() }
}

/// Says whether a relay's address may send for the envelope's sender.
///
/// # Errors
/// The question that has to be asked first.
pub fn judge_relay(domain: &str, relay: &str, addresses: &[IpAddr], known: &Answers) -> Result<Check, Question> {
    const NAME: &str = "spf.relay";
    let look = "Send a mail to a mailbox elsewhere and look for spf=pass in its Authentication-Results.";
    let Some(address) = addresses.iter().find(|address| is_public(**address)) else {
        let found = format!("The relay {relay} has no public address, so that it cannot be seen from where its mail goes out.");
        return Ok(Check::not_checked(Area::Dns, NAME, found, look));
    };
    Ok(match verdict(domain, *address, known)? {
        Verdict::Pass => Check::ok(
            Area::Dns,
            NAME,
            format!("The relay {relay} ({address}) may send for {domain}; whether it sends on from there is its own affair."),
        ),
        verdict => {
            let why = match verdict {
                Verdict::None => "there is no SPF record",
                Verdict::PermError => "the SPF record is wrong",
                Verdict::Unknown => "it depends on the mail, or the DNS does not answer",
                _ => "the SPF record does not name it",
            };
            let found = format!(
                "It is not known that the relay {relay} ({address}) may send for {domain}: {why}; relays often send on from other addresses."
            );
            Check::not_checked(Area::Dns, NAME, found, look)
        }
    })
}

/// Tells whether the world can be reached from an address: not a private, local or otherwise reserved one.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || is_shared
                || first >= 240)
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}

/// How a record came to be looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Own,
    Included,
    Redirected,
}

struct Walk<'a> {
    known: &'a Answers,
    /// Whom it is about; nobody where the record as a whole is looked at: nothing matches, and every term is followed.
    address: Option<IpAddr>,
    policy: Policy,
}

impl<'a> Walk<'a> {
    fn new(known: &'a Answers, address: Option<IpAddr>) -> Self {
        Self {
            known,
            address,
            policy: Policy::default(),
        }
    }

    /// Goes through the record of a domain; returns what it says of the address, or of one that nothing names.
    fn visit(&mut self, domain: &str, role: Role) -> Result<Verdict, Question> {
        let texts = match self.known.texts(domain)? {
            Ok(texts) => texts,
            Err(why) => {
                self.policy.unanswered.push(format!("{why} for {domain}"));
                return Ok(Verdict::Unknown);
            }
        };
        let records: Vec<&String> = texts.iter().filter(|text| is_spf(text)).collect();
        let record = match records.as_slice() {
            [] => return Ok(self.without_record(domain, texts.is_empty(), role)),
            [record] => *record,
            several => {
                return Ok(self.fault(format!("{domain} has {} SPF records, and only one is allowed", several.len())));
            }
        };
        if role == Role::Own {
            self.policy.record = Some(record.clone());
        }
        let of = if role == Role::Own { String::new() } else { format!("{domain}: ") };
        let Record { terms, redirect, notes } = match parse(record) {
            Ok(record) => record,
            Err(wrong) => return Ok(self.fault(format!("{of}{wrong}"))),
        };
        self.policy.notes.extend(notes.into_iter().map(|note| format!("{of}{note}")));
        for term in &terms {
            if self.policy.n_lookups >= FOLLOWED_MAX {
                return Ok(Verdict::PermError);
            }
            match self.matches(domain, &term.mechanism)? {
                Some(true) => return Ok(term.verdict),
                Some(false) => {}
                None if self.address.is_some() => return Ok(Verdict::Unknown),
                None => {}
            }
        }
        match redirect {
            Some(target) if has_macro(&target) => {
                self.policy.n_lookups += 1;
                Ok(Verdict::Unknown)
            }
            Some(target) => {
                self.policy.n_lookups += 1;
                self.visit(&target, Role::Redirected)
            }
            None => Ok(Verdict::Neutral),
        }
    }

    /// No record is no fault where one is looked for; where another one sends there, it is (RFC 7208 §5.2, §6.1).
    fn without_record(&mut self, domain: &str, is_void: bool, role: Role) -> Verdict {
        if is_void && role != Role::Own {
            self.policy.n_voids += 1;
        }
        match role {
            Role::Own => Verdict::None,
            Role::Included => self.fault(format!("include:{domain} leads to no SPF record")),
            Role::Redirected => self.fault(format!("redirect={domain} leads to no SPF record")),
        }
    }

    fn fault(&mut self, fault: String) -> Verdict {
        self.policy.faults.push(fault);
        Verdict::PermError
    }

    /// Tells whether a mechanism matches the address; `None` where that cannot be known.
    fn matches(&mut self, domain: &str, mechanism: &Mechanism) -> Result<Option<bool>, Question> {
        let own = |target: &Option<String>| target.clone().unwrap_or_else(|| domain.to_owned());
        match mechanism {
            Mechanism::All => Ok(Some(true)),
            Mechanism::Ip4(network, length) => Ok(Some(self.is_in(IpAddr::V4(*network), *length, *length))),
            Mechanism::Ip6(network, length) => Ok(Some(self.is_in(IpAddr::V6(*network), *length, *length))),
            Mechanism::Include(target) => {
                self.policy.n_lookups += 1;
                if has_macro(target) {
                    return Ok(None);
                }
                // Where the record as a whole is looked at, what an included one says at its end is none of ours.
                Ok(match self.visit(target, Role::Included)? {
                    Verdict::Pass => Some(self.address.is_some()),
                    Verdict::Unknown => None,
                    Verdict::Fail | Verdict::SoftFail | Verdict::Neutral | Verdict::None | Verdict::PermError => Some(false),
                })
            }
            Mechanism::A(target, v4, v6) => {
                self.policy.n_lookups += 1;
                let target = own(target);
                if has_macro(&target) {
                    return Ok(None);
                }
                self.has_address(&target, *v4, *v6, true)
            }
            Mechanism::Mx(target, v4, v6) => {
                self.policy.n_lookups += 1;
                let target = own(target);
                if has_macro(&target) {
                    return Ok(None);
                }
                self.has_exchange(&target, *v4, *v6)
            }
            // What they match depends on the mail.
            Mechanism::Ptr | Mechanism::Exists(_) => {
                self.policy.n_lookups += 1;
                Ok(None)
            }
        }
    }

    fn has_exchange(&mut self, target: &str, v4: u8, v6: u8) -> Result<Option<bool>, Question> {
        let exchanges = match self.known.exchanges(target)? {
            Ok(exchanges) => exchanges,
            Err(why) => {
                self.policy.unanswered.push(format!("{why} for {target}"));
                return Ok(None);
            }
        };
        if exchanges.is_empty() {
            self.policy.n_voids += 1;
        }
        if exchanges.len() > EXCHANGES_MAX {
            self.fault(format!(
                "mx:{target} has {} names, and receivers stop at {EXCHANGES_MAX}",
                exchanges.len()
            ));
            return Ok(Some(false));
        }
        let mut is_known = true;
        for (_, name) in exchanges.iter().filter(|(_, name)| !name.is_empty()) {
            match self.has_address(name, v4, v6, false)? {
                Some(true) => return Ok(Some(true)),
                Some(false) => {}
                None => is_known = false,
            }
        }
        Ok(is_known.then_some(false))
    }

    fn has_address(&mut self, name: &str, v4: u8, v6: u8, counts_void: bool) -> Result<Option<bool>, Question> {
        let addresses = match self.known.addresses(name)? {
            Ok(addresses) => addresses,
            Err(why) => {
                self.policy.unanswered.push(format!("{why} for {name}"));
                return Ok(None);
            }
        };
        if addresses.is_empty() && counts_void {
            self.policy.n_voids += 1;
        }
        Ok(Some(addresses.iter().any(|network| self.is_in(*network, v4, v6))))
    }

    fn is_in(&self, network: IpAddr, v4: u8, v6: u8) -> bool {
        match (self.address.map(|address| address.to_canonical()), network) {
            (Some(IpAddr::V4(address)), IpAddr::V4(network)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(v4)).unwrap_or(0);
                address.to_bits() & mask == network.to_bits() & mask
            }
            (Some(IpAddr::V6(address)), IpAddr::V6(network)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(v6)).unwrap_or(0);
                address.to_bits() & mask == network.to_bits() & mask
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::dns::answers::testing::{settle, zone};

    fn policy_of(domain: &str, lines: &str) -> Policy {
        settle(zone(lines), |known| policy(domain, known))
    }

    #[test]
    fn records_as_found_in_the_wild_are_read_as_receivers_read_them() {
        let zone = "
            _spf.google.com TXT v=spf1 include:_netblocks.google.com ~all
            _netblocks.google.com TXT v=spf1 ip4:35.190.247.0/24 ip6:2001:4860:4000::/36 ~all
            spf.protection.outlook.com TXT v=spf1 ip4:40.92.0.0/15 -all
            mx.contoso.com A 192.0.2.9
            contoso.com A 192.0.2.8
            contoso.com MX 10 mx.contoso.com";
        // Record, look-ups, voids, the end, a part of the fault.
        for (record, n_lookups, n_voids, end, fault) in [
            ("v=spf1 -all", 0, 0, Verdict::Fail, ""),
            ("v=spf1", 0, 0, Verdict::Neutral, ""),
            ("V=SPF1 IP4:192.0.2.0/24 ~ALL", 0, 0, Verdict::SoftFail, ""),
            ("v=spf1 include:_spf.google.com ~all", 2, 0, Verdict::SoftFail, ""),
            ("v=spf1 include:spf.protection.outlook.com mx a -all", 3, 0, Verdict::Fail, ""),
            ("v=spf1 redirect=_spf.google.com", 2, 0, Verdict::SoftFail, ""),
            (
                "v=spf1 a:gone.example mx:gone.example exists:gone.example -all",
                3,
                2,
                Verdict::Fail,
                "",
            ),
            ("v=spf1 exists:%{i}._spf.contoso.com ?all", 1, 0, Verdict::Neutral, ""),
            ("v=spf1 a/24//64 mx:contoso.com/28 +all", 2, 0, Verdict::Pass, ""),
            ("v=spf1  ip6:2001:db8::/32   -all ", 0, 0, Verdict::Fail, ""),
            (
                "v=spf1 ip4:192.0.2.1 exp=explain.contoso.com unknown-modifier=x -all",
                0,
                0,
                Verdict::Fail,
                "",
            ),
            ("v=spf1 ipv4:192.0.2.1 -all", 0, 0, Verdict::PermError, "it is written ip4:"),
            ("v=spf1 ip4:192.0.2.1/33 -all", 0, 0, Verdict::PermError, "up to /32"),
            ("v=spf1 ip4:192.0.2.300 -all", 0, 0, Verdict::PermError, "names no address"),
            ("v=spf1 ip4: 192.0.2.1 -all", 0, 0, Verdict::PermError, "names no address"),
            (
                "v=spf1 include: _spf.google.com -all",
                0,
                0,
                Verdict::PermError,
                "does a blank stand behind it?",
            ),
            ("v=spf1 mx -all;", 0, 0, Verdict::PermError, "\"-all;\" is nothing that SPF knows"),
            ("v=spf1 \u{2013}all", 0, 0, Verdict::PermError, "nothing that SPF knows"),
            (
                "v=spf1 192.0.2.1 -all",
                0,
                0,
                Verdict::PermError,
                "\"192.0.2.1\" is nothing that SPF knows",
            ),
            ("v=spf1 redirect=a.example redirect=b.example", 0, 0, Verdict::PermError, "twice"),
            (
                "v=spf1 include:gone.example -all",
                1,
                1,
                Verdict::Fail,
                "include:gone.example leads to no SPF record",
            ),
            (
                "v=spf1 redirect=contoso.example",
                1,
                1,
                Verdict::PermError,
                "redirect=contoso.example leads to no SPF record",
            ),
        ] {
            let policy = policy_of("contoso.com", &format!("contoso.com TXT {record}\n{zone}"));
            assert_eq!(
                (policy.n_lookups, policy.n_voids, policy.end),
                (n_lookups, n_voids, Some(end)),
                "{record}: {policy:?}"
            );
            let told = policy.faults.join("; ");
            assert!(
                if fault.is_empty() { told.is_empty() } else { told.contains(fault) },
                "{record}: {told}"
            );
        }
    }

    #[test]
    fn there_is_one_record_or_none_and_other_texts_do_not_count() {
        let none = policy_of(
            "contoso.com",
            "contoso.com TXT google-site-verification=x\ncontoso.com TXT v=spf10 -all",
        );
        assert_eq!((none.record, none.end, none.faults.len()), (None, None, 0));
        let two = policy_of("contoso.com", "contoso.com TXT v=spf1 -all\ncontoso.com TXT v=spf1 mx ~all");
        assert_eq!(two.faults, ["contoso.com has 2 SPF records, and only one is allowed"]);
    }

    /// RFC 7208 §4.6.4.
    #[test]
    fn the_eleventh_lookup_and_the_third_void_are_one_too_many() {
        let nested = |n: usize| -> String {
            let all = (0..n).map(|i| format!("h{i}.example A 192.0.2.1\nn{i}.example TXT v=spf1 a:h{i}.example -all\n"));
            all.collect()
        };
        // An include and the `a` within it are two look-ups.
        for (n, more, is_over) in [(5, "", false), (5, " a:h0.example", true)] {
            let includes: String = (0..n).map(|i| format!(" include:n{i}.example")).collect();
            let policy = policy_of(
                "contoso.com",
                &format!("contoso.com TXT v=spf1{includes}{more} -all\n{}", nested(n)),
            );
            assert_eq!(policy.n_lookups, 2 * n + usize::from(is_over));
            assert_eq!(!policy.faults.is_empty(), is_over, "{policy:?}");
        }
        for (n, is_over) in [(2, false), (3, true)] {
            let voids: String = (0..n).map(|i| format!(" a:gone{i}.example")).collect();
            let policy = policy_of("contoso.com", &format!("contoso.com TXT v=spf1{voids} -all"));
            assert_eq!(!policy.faults.is_empty(), is_over, "{policy:?}");
        }
        let itself = policy_of("contoso.com", "contoso.com TXT v=spf1 include:contoso.com -all");
        assert!(itself.faults[0].contains("or more look-ups"), "{itself:?}");
    }

    #[test]
    fn what_is_hardly_meant_is_noted() {
        let notes = |record: &str| policy_of("contoso.com", &format!("contoso.com TXT {record}")).notes.join("; ");
        assert!(notes("v=spf1 -all include:x.example").contains("stands behind all"));
        assert!(notes("v=spf1 ptr -all").contains("ptr"));
        assert!(notes("v=spf1 redirect=x.example -all").contains("redirect= is passed over"));
        assert!(notes("v=spf1 include=x.example -all").contains("written with a colon, include:"));
        assert_eq!(notes("v=spf1 mx -all"), "");
    }

    #[test]
    fn an_address_is_judged_by_the_first_term_that_matches() {
        let lines = "
            contoso.com TXT v=spf1 ip4:192.0.2.0/29 -ip4:192.0.2.8 a:web.contoso.com/30 mx include:sub.example ip6:2001:db8::/32 ~all
            web.contoso.com A 198.51.100.4
            contoso.com MX 10 mx.contoso.com
            mx.contoso.com A 203.0.113.5
            mx.contoso.com AAAA 2001:db9::1
            sub.example TXT v=spf1 ip4:203.0.113.99 -all
            macro.example TXT v=spf1 exists:%{i}.list.example -all
            broken.example TXT v=spf1 ip4:192.0.2.1 nonsense -all
            away.example SERVFAIL";
        for (domain, address, expected) in [
            ("contoso.com", "192.0.2.7", Verdict::Pass),
            ("contoso.com", "192.0.2.8", Verdict::Fail),
            ("contoso.com", "192.0.2.9", Verdict::SoftFail),
            ("contoso.com", "198.51.100.7", Verdict::Pass),
            ("contoso.com", "198.51.100.8", Verdict::SoftFail),
            ("contoso.com", "203.0.113.5", Verdict::Pass),
            ("contoso.com", "2001:db9::1", Verdict::Pass),
            ("contoso.com", "203.0.113.99", Verdict::Pass),
            ("contoso.com", "2001:db8:1::1", Verdict::Pass),
            ("contoso.com", "::ffff:192.0.2.7", Verdict::Pass),
            ("none.example", "192.0.2.7", Verdict::None),
            ("macro.example", "192.0.2.7", Verdict::Unknown),
            ("broken.example", "192.0.2.1", Verdict::PermError),
            ("away.example", "192.0.2.1", Verdict::Unknown),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            let found = settle(zone(lines), |known| verdict(domain, address, known));
            assert_eq!(found, expected, "{domain} {address}");
        }
    }

    #[test]
    fn a_sentence_says_what_was_found_and_one_what_to_do() {
        let judged = |lines: &str| {
            let check = settle(zone(lines), |known| judge("contoso.com", known));
            format!("{}: {} | {}", check.state.as_str(), check.found, check.advice.unwrap_or_default())
        };
        let all: Vec<String> = [
            "contoso.com TXT v=spf1 ip4:192.0.2.0/24 -all",
            "contoso.com TXT v=spf1 include:_spf.example ~all\n_spf.example TXT v=spf1 ip4:192.0.2.1 -all",
            "",
            "contoso.com SERVFAIL",
            "contoso.com TXT v=spf1 -all\ncontoso.com TXT v=spf1 ~all",
            "contoso.com TXT v=spf1 include:_spf.example ~all",
            "contoso.com TXT v=spf1 include:_spf.example ~all\n_spf.example SERVFAIL",
            "contoso.com TXT v=spf1 ip4:192.0.2.1",
            "contoso.com TXT v=spf1 +all",
            "contoso.com TXT v=spf1 ptr -all",
            "contoso.com TXT v=spf1 include:contoso.com -all",
        ]
        .map(judged)
        .to_vec();
        insta::assert_snapshot!("spf", all.join("\n"));
    }

    #[test]
    fn a_relay_is_told_of_as_far_as_it_can_be_seen() {
        let judged = |address: &str| {
            let addresses = [address.parse().expect("an address")];
            let lines = "contoso.com TXT v=spf1 ip4:203.0.113.0/24 ~all";
            let check = settle(zone(lines), |known| judge_relay("contoso.com", "relay.example", &addresses, known));
            (check.state.as_str(), check.found)
        };
        assert_eq!(judged("203.0.113.5").0, "ok");
        for (address, part) in [
            ("198.51.100.1", "does not name it"),
            ("127.0.0.1", "no public address"),
            ("10.1.2.3", "no public address"),
            ("100.64.0.1", "no public address"),
            ("fd00::1", "no public address"),
            ("::ffff:192.168.0.1", "no public address"),
        ] {
            let (state, found) = judged(address);
            assert_eq!(state, "not checked", "{address}");
            assert!(found.contains(part), "{address}: {found}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_go_on_for_ever(record in "v=spf1( [ -~]{0,30}){0,12}", other in "\\PC{0,60}") {
            let lines = |question: &Question| {
                if question.name == "contoso.com" {
                    crate::dns::answers::Answer::Texts(vec![record.clone(), other.clone()])
                } else {
                    crate::dns::answers::Answer::Texts(vec![record.clone()])
                }
            };
            let policy = settle(lines, |known| policy("contoso.com", known));
            prop_assert!(policy.n_lookups <= 2 * FOLLOWED_MAX);
        }

        #[test]
        fn what_a_record_names_passes_and_its_neighbour_does_not(address in any::<u32>(), length in 1_u8..=32) {
            let network = Ipv4Addr::from_bits(address);
            let lines = format!("contoso.com TXT v=spf1 ip4:{network}/{length} -all");
            let ask = |bits: u32| settle(zone(&lines), |known| verdict("contoso.com", IpAddr::V4(Ipv4Addr::from_bits(bits)), known));
            prop_assert_eq!(ask(address), Verdict::Pass);
            // The last bit of the prefix turned.
            prop_assert_eq!(ask(address ^ (1 << (32 - length))), Verdict::Fail);
        }
    }
}
