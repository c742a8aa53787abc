//! The lists of disposable and spam domains (`R-VERIFY`): the one that is built in, and what the operator adds to it or takes off it.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Where it comes from, and by which licence, stands at its head.
const BUILT_IN: &str = include_str!("spam_domains.txt");

/// 8,335 domains: read in a millisecond, once, by whoever first asks.
static LISTED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| BUILT_IN.lines().filter(|line| !line.starts_with('#')).collect());

/// Tells which domains are known for disposable addresses or spam.
#[derive(Clone, Debug, Default)]
pub struct SpamDomains {
    more: HashSet<String>,
    allowed: HashSet<String>,
}

impl SpamDomains {
    /// Adds domains to the built-in list, and takes others off it. Of both for the same domain, `allowed` counts.
    pub fn new<'a>(more: impl IntoIterator<Item = &'a str>, allowed: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            more: more.into_iter().map(ascii).collect(),
            allowed: allowed.into_iter().map(ascii).collect(),
        }
    }

    /// Tells whether mail addresses of a domain, written as [`EmailAddress`](crate::partner::EmailAddress) does, are spam: whatever stands nearest above
    /// it on the lists decides.
    ///
    /// ```
    /// use posthorn::lead::spam::SpamDomains;
    /// let lists = SpamDomains::new(["casino.example"], ["honest.casino.example"]);
    /// assert!(lists.is_listed("mailinator.com"));
    /// assert!(lists.is_listed("eu.casino.example"));
    /// assert!(!lists.is_listed("mail.honest.casino.example"));
    /// ```
    pub fn is_listed(&self, domain: &str) -> bool {
        let mut rest = Some(domain);
        while let Some(name) = rest {
            if self.allowed.contains(name) {
                return false;
            }
            if self.more.contains(name) || LISTED.contains(name) {
                return true;
            }
            rest = name.split_once('.').map(|(_, parent)| parent);
        }
        false
    }
}

fn ascii(domain: &str) -> String {
    let domain = domain.trim_end_matches('.');
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `R-VERIFY`
    #[test]
    fn the_nearest_entry_of_the_lists_decides() {
        let lists = SpamDomains::new(
            ["Spam.Example", "b\u{fc}cher.example.", "deep.good.example", "both.example"],
            ["mailinator.com", "good.example", "both.example"],
        );
        for (domain, expected, why) in [
            ("guerrillamail.com", true, "built in"),
            ("x.guerrillamail.com", true, "below it"),
            ("notguerrillamail.com", false, "another one that ends alike"),
            ("com", false, "above it"),
            ("mailinator.com", false, "taken off"),
            ("x.mailinator.com", false, "below what was taken off"),
            ("spam.example", true, "added, in any case"),
            ("a.b.spam.example", true, "below it"),
            ("xn--bcher-kva.example", true, "added in its own letters"),
            ("good.example", false, "allowed"),
            ("deep.good.example", true, "added below what is allowed"),
            ("both.example", false, "added and allowed"),
            ("example", false, "nowhere"),
            ("", false, "no domain"),
        ] {
            assert_eq!(lists.is_listed(domain), expected, "{domain}: {why}");
        }
    }

    #[test]
    fn the_built_in_list_is_sorted_and_holds_what_addresses_are_compared_with() {
        let domains: Vec<&str> = BUILT_IN.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(domains.len(), 8335);
        assert!(domains.is_sorted_by(|a, b| a < b));
        for domain in domains {
            let address: Result<crate::partner::EmailAddress, _> = format!("a@{domain}").parse();
            assert_eq!(address.map(|address| address.domain().to_owned()).as_deref(), Ok(domain));
        }
        for real in [
            "gmail.com",
            "outlook.com",
            "gmx.de",
            "web.de",
            "qq.com",
            "icloud.com",
            "yahoo.com",
            "protonmail.com",
        ] {
            assert!(!SpamDomains::default().is_listed(real), "{real} is no disposable one");
        }
    }
}
