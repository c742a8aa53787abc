//! An e-mail address as posthorn compares and writes it (`R-RECIPIENT`): lower-cased, its domain IDNA-encoded.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An address that can be written into an envelope; two spellings of one mailbox are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// Why a text is not an address that mail can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an e-mail address such as ada@example.com")]
pub struct NotAnAddress(pub String);

impl EmailAddress {
    /// Takes over an address that the store kept.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether only a relay that offers SMTPUTF8 (RFC 6531) can take mail for this address: its local part is not ASCII, and no
    /// encoding of it is the same mailbox.
    pub fn needs_smtputf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// Returns what stands behind the last `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let wrong = || NotAnAddress(text.chars().take(80).collect());
        let trimmed = text.trim();
        let (local, domain) = trimmed.rsplit_once('@').ok_or_else(wrong)?;
        let domain = idna::domain_to_ascii_strict(domain.strip_suffix('.').unwrap_or(domain)).map_err(|_| wrong())?;
        let joined = format!("{}@{}", local.to_lowercase(), domain);
        // A bare host name or an address literal is legal mail, and never a partner's mailbox.
        let has_dot = domain
            .rsplit_once('.')
            .is_some_and(|(_, top)| !top.bytes().all(|byte| byte.is_ascii_digit()));
        if local.is_empty() || !has_dot || joined.len() > 254 || joined.parse::<lettre::Address>().is_err() {
            return Err(wrong());
        }
        Ok(Self(joined))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `R-RECIPIENT`: two spellings of one mailbox are equal.
    #[test]
    fn an_address_is_compared_lower_cased_and_idna_encoded() {
        for (text, address) in [
            ("ada@example.com", "ada@example.com"),
            (" Ada.Lovelace@EXAMPLE.com\n", "ada.lovelace@example.com"),
            ("ada@b\u{fc}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@B\u{dc}CHER.example", "ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("ada@example.com.", "ada@example.com"),
            ("ada+leads@example.com", "ada+leads@example.com"),
            ("\"ada l\"@example.com", "\"ada l\"@example.com"),
            ("o'brien@example.co.uk", "o'brien@example.co.uk"),
            ("\u{c4}@b\u{fc}cher.example", "\u{e4}@xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse().as_ref().map(EmailAddress::as_str), Ok(address), "{text:?}");
        }
    }

    #[test]
    fn what_no_mail_can_be_sent_to_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_domain = format!("a@{}.example", vec!["b".repeat(60); 5].join("."));
        let label = format!("a@{}.example", "b".repeat(64));
        let mut refused = Vec::new();
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "ada@.",
            "ada@example..com",
            "ada@.example.com",
            "ada@example.com..",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "ada@exa mple.com",
            "ada lovelace@example.com",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada\r\n@example.com",
            "ada\0@example.com",
            "Ada <ada@example.com>",
            "<ada@example.com>",
            "ada@example.com, eve@example.com",
            "ada@example.com;eve@example.com",
            "ada@eve@example.com",
            ".ada@example.com",
            "ada.@example.com",
            "ada..l@example.com",
            "mailto:ada@example.com",
            "\"Ada Lovelace\" <ada@example.com>",
            "ada@-example.com",
            "ada@exa_mple.com",
            &long_local,
            &long_domain,
            &label,
        ] {
            refused.push((text, text.parse::<EmailAddress>().is_err()));
        }
        refused.retain(|(_, is_refused)| !is_refused);
        assert_eq!(refused, []);
    }

    #[test]
    fn an_address_of_254_characters_is_the_longest() {
        // 64 characters before the @, and labels of 63 at most behind it.
        let of_length = |length: usize| {
            let labels = ["b".repeat(63), "c".repeat(63), "d".repeat(length - 64 - 1 - 64 - 64 - 4)];
            format!("{}@{}.com", "a".repeat(64), labels.join("."))
        };
        assert_eq!(of_length(254).len(), 254);
        assert!(of_length(254).parse::<EmailAddress>().is_ok());
        assert!(of_length(255).parse::<EmailAddress>().is_err());
    }

    #[test]
    fn an_address_outside_of_ascii_before_the_at_sign_says_so() {
        for (text, needs) in [("\u{e4}@example.com", true), ("ada@b\u{fc}cher.example", false)] {
            assert_eq!(
                text.parse::<EmailAddress>().map(|address| address.needs_smtputf8()),
                Ok(needs),
                "{text}"
            );
        }
    }
}
