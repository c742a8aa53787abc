//! What a bounce says of a mail, and what that is worth: whose word it is, what happened, whether the address is dead (`R-RECIPIENT`).
//!
//! In: a [`Report`], as `mail` reads it from the bytes (RFC 3464, RFC 6533). Out: per recipient a [`Class`] and the [`Event`] of its delivery.
//!
//! **Invariants:** what contradicts itself, or says nothing of a recipient, is [no class](Recipient::class) and changes nothing. A refusal by policy
//! (5.7.x) never makes an address dead, whatever stands beside it.
//! **Not here:** which delivery it is about (`app::bounce`, by `mark`), what becomes of the delivery (`delivery`).

use crate::outbox::delivery::Event;
use crate::outbox::reply::{Enhanced, Reply, Verdict, is_dead_address};
use crate::partner::EmailAddress;
use crate::time::Timestamp;

/// A mail that came to where bounces go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What sort of mail it is.
    pub sort: Sort,
    /// Its own Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// Every address in the headers that tell to whom it came, as written.
    pub came_to: Vec<String>,
    /// The envelope id of the mail that it is about (RFC 3464 §2.2.1), decoded.
    pub envelope_id: Option<String>,
    /// The Message-ID of the mail that it brings back, without angle brackets.
    pub original_id: Option<String>,
    /// The recipients in the headers of the mail that it brings back.
    pub original_to: Vec<String>,
    /// Who reports (RFC 3464 §2.2.2).
    pub reporter: Option<String>,
    /// What it says of each recipient.
    pub recipients: Vec<Recipient>,
}

/// The sorts of mail that come to where bounces go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// A report of what became of a mail.
    Report,
    /// An answer that no person wrote: out of office, a challenge, a receipt.
    AutoReply,
    /// A recipient has called a mail spam (RFC 5965).
    Complaint,
    /// Anything else.
    #[default]
    Other,
}

/// What a bounce says of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// To whom the mail was addressed (Original-Recipient), without its type.
    pub original: Option<String>,
    /// To whom it was to go at last (Final-Recipient), without its type.
    pub last: Option<String>,
    /// What happened.
    pub action: Option<Action>,
    /// Why, as a code.
    pub status: Option<Enhanced>,
    /// The other side's own words (Diagnostic-Code), without their type.
    pub diagnostic: Option<String>,
    /// Who said them (Remote-MTA).
    pub remote: Option<String>,
}

/// What happened to a mail (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was given up.
    Failed,
    /// It is still tried.
    Delayed,
    /// It lies in the mailbox.
    Delivered,
    /// It went on to where no report comes from.
    Relayed,
    /// It went on to several.
    Expanded,
}

/// What a bounce comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It arrived.
    Delivered,
    /// It went on to several.
    Expanded,
    /// It went on to where no report comes from.
    Relayed,
    /// It is still tried.
    Delayed,
    /// It was given up, for a reason that passes (4.x.x).
    Soft,
    /// It was refused for good.
    Hard,
}

impl Sort {
    /// Returns the word that the database and lists know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::AutoReply => "auto_reply",
            Self::Complaint => "complaint",
            Self::Other => "other",
        }
    }
}

impl Class {
    /// Every class, the best first.
    pub const ALL: [Self; 6] = [
        Self::Delivered,
        Self::Expanded,
        Self::Relayed,
        Self::Delayed,
        Self::Soft,
        Self::Hard,
    ];

    /// Returns the word that the database and lists know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expanded => "expanded",
            Self::Relayed => "relayed",
            Self::Delayed => "delayed",
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

impl Recipient {
    /// Says what it comes to; `None` where it says too little, or contradicts itself.
    pub fn class(&self) -> Option<Class> {
        let class = self.status.map(|(class, ..)| class);
        match (self.action, class) {
            (Some(Action::Failed), Some(4)) => Some(Class::Soft),
            (Some(Action::Failed), Some(5) | None) => Some(Class::Hard),
            (Some(Action::Delayed), _) => Some(Class::Delayed),
            (Some(Action::Delivered), Some(2) | None) => Some(Class::Delivered),
            (Some(Action::Relayed), Some(2) | None) => Some(Class::Relayed),
            (Some(Action::Expanded), Some(2) | None) => Some(Class::Expanded),
            // Without the field that RFC 3464 demands, a code of refusal is clear all the same.
            (None, Some(4)) => Some(Class::Soft),
            (None, Some(5)) => Some(Class::Hard),
            (Some(Action::Failed | Action::Delivered | Action::Relayed | Action::Expanded) | None, _) => None,
        }
    }

    /// Returns the reply that the other side gave, where its words are one.
    fn reply(&self) -> Option<Reply> {
        let (code, text) = self.diagnostic.as_deref()?.split_at_checked(3)?;
        let code: u16 = code.parse().ok().filter(|code| (200..600).contains(code))?;
        let is_reply = text.is_empty() || text.starts_with([' ', '-']);
        is_reply.then(|| Reply::new(code, text.trim_start_matches([' ', '-'])))
    }

    /// Returns the three digits of the reply that the other side gave.
    pub fn code(&self) -> Option<u16> {
        self.reply().map(|reply| reply.code)
    }

    /// Returns the event that this is for its delivery, where it is one. `bare_seen_at` is when a bare refusal of the address was first seen.
    pub fn event(&self, now: Timestamp, bare_seen_at: Option<Timestamp>) -> Option<Event> {
        Some(match self.class()? {
            Class::Delivered | Class::Relayed | Class::Expanded => Event::DsnDelivered,
            Class::Delayed | Class::Soft => Event::DsnPending,
            Class::Hard => match Event::of(now, self.verdict(), bare_seen_at) {
                Event::AddressFault { suppress } => Event::DsnFailed { suppress },
                _ => Event::DsnFailed { suppress: false },
            },
        })
    }

    /// Whether it is a 550, 551 or 553 that says nothing more: two of them, a day apart, suppress the address.
    pub fn is_bare_refusal(&self) -> bool {
        self.class() == Some(Class::Hard) && matches!(self.verdict(), Verdict::Address { bare: true, .. })
    }

    /// Judges a refusal. What the other side said is nearer to the cause than the reporter's code, unless it says no more than "refused".
    fn verdict(&self) -> Verdict {
        let reply = self.reply();
        let said = reply.as_ref().and_then(|reply| reply.enhanced);
        let is_policy = |code: Option<Enhanced>| matches!(code, Some((_, 7, _)));
        let code = said.filter(is_telling).or(self.status.filter(is_telling));
        Verdict::Address {
            suppress: code.is_some_and(is_dead_address) && !is_policy(said) && !is_policy(self.status),
            bare: code.is_none() && said.is_none() && reply.is_some_and(|reply| matches!(reply.code, 550 | 551 | 553)),
        }
    }

    /// Says it in the other side's words, or by its code.
    pub fn said(&self) -> String {
        let status = self.status.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}"));
        let has_code = self.reply().is_some_and(|reply| reply.enhanced.is_some());
        let tells_more = self.status.is_some_and(|status| is_telling(&status)) && !has_code;
        match (&self.diagnostic, status) {
            (Some(words), Some(status)) if tells_more && !words.contains(&status) => format!("{words} ({status})"),
            (Some(words), _) => words.clone(),
            (None, Some(status)) => status,
            (None, None) => "no reason is given".to_owned(),
        }
    }

    /// Says of whom it speaks, for people.
    pub fn names(&self) -> &str {
        self.original.as_deref().or(self.last.as_deref()).unwrap_or("nobody")
    }

    /// Tells whether it speaks of `address`: as the one that the mail was addressed to, whatever it was rewritten to later; where it names none, as the
    /// one that the mail was to go to.
    pub fn is_of(&self, address: &EmailAddress) -> bool {
        let named = self.original.as_deref().or(self.last.as_deref());
        named.is_some_and(|named| addresses_of(named).contains(address))
    }

    /// Returns the addresses that it may be about.
    pub fn addresses(&self) -> Vec<EmailAddress> {
        self.original
            .iter()
            .chain(&self.last)
            .flat_map(|named| addresses_of(named))
            .collect()
    }
}

/// Whether a code says more than its class.
fn is_telling((_, subject, detail): &Enhanced) -> bool {
    (*subject, *detail) != (0, 0)
}

/// Reads an address as a report has it. Some write it as xtext (RFC 3461 §4) although RFC 3464 §2.3.1 has it decoded.
fn addresses_of(text: &str) -> Vec<EmailAddress> {
    let mut found: Vec<EmailAddress> = text.parse().into_iter().collect();
    found.extend(xtext(text).and_then(|decoded| decoded.parse().ok()));
    found.dedup();
    found
}

/// Decodes xtext: `+` and two hexadecimal digits stand for a character (RFC 3461 §4).
pub fn xtext(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first != b'+' {
            bytes.push(*first);
            rest = behind;
            continue;
        }
        let digit = |at: usize| behind.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::reply::parse_enhanced;

    fn recipient(action: Option<Action>, status: &str, diagnostic: &str) -> Recipient {
        Recipient {
            action,
            status: parse_enhanced(status),
            diagnostic: (!diagnostic.is_empty()).then(|| diagnostic.to_owned()),
            ..Recipient::default()
        }
    }

    /// R-RECIPIENT: a hard bounce suppresses by 5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10, 5.2.1, or a bare 550, 551 or 553 twice a day apart; never by 5.7.x.
    #[test]
    fn a_refusal_suppresses_only_where_it_says_that_the_address_is_dead() {
        let failed = Some(Action::Failed);
        let dead = Event::DsnFailed { suppress: true };
        let alive = Event::DsnFailed { suppress: false };
        for (action, status, diagnostic, first, later, why) in [
            (failed, "5.1.1", "550 5.1.1 no such user", dead, dead, "the table's first"),
            (failed, "5.1.2", "", dead, dead, "by its status alone"),
            (
                failed,
                "5.1.10",
                "550 5.1.10 RESOLVER.ADR.RecipientNotFound",
                dead,
                dead,
                "Exchange",
            ),
            (failed, "5.2.1", "550-5.2.1 The account is disabled", dead, dead, "disabled"),
            (failed, "5.2.2", "552 5.2.2 mailbox full", alive, alive, "the mailbox is there"),
            (
                failed,
                "5.4.4",
                "",
                alive,
                alive,
                "Postfix: no such host may be a fault of its own DNS",
            ),
            (failed, "5.7.1", "550 5.7.1 blocked", alive, alive, "policy"),
            (
                failed,
                "5.1.1",
                "550 5.7.1 blocked",
                alive,
                alive,
                "policy, and a reporter's own code",
            ),
            (failed, "5.7.1", "550 5.1.1 blocked", alive, alive, "policy, the other way round"),
            (failed, "5.0.0", "550 5.1.1 no such user", dead, dead, "Exim's status says nothing"),
            (failed, "5.1.1", "550 5.0.0 refused", dead, dead, "the other side says nothing"),
            (
                failed,
                "5.1.1",
                "550 5.2.2 over quota",
                alive,
                alive,
                "the other side is nearer to it",
            ),
            (failed, "5.0.0", "550 unknown", alive, dead, "bare"),
            (failed, "", "553 sorry", alive, dead, "bare, no status"),
            (failed, "5.0.0", "554 no", alive, alive, "554 may mean anything"),
            (failed, "5.0.0", "unknown user", alive, alive, "prose"),
            (None, "5.1.1", "", dead, dead, "no action"),
            (
                failed,
                "4.4.7",
                "delivery time expired",
                Event::DsnPending,
                Event::DsnPending,
                "soft",
            ),
            (
                Some(Action::Delayed),
                "4.4.1",
                "",
                Event::DsnPending,
                Event::DsnPending,
                "still tried",
            ),
            (
                Some(Action::Delivered),
                "2.0.0",
                "",
                Event::DsnDelivered,
                Event::DsnDelivered,
                "arrived",
            ),
            (
                Some(Action::Relayed),
                "2.0.0",
                "",
                Event::DsnDelivered,
                Event::DsnDelivered,
                "went on",
            ),
            (Some(Action::Expanded), "", "", Event::DsnDelivered, Event::DsnDelivered, "went on"),
        ] {
            let recipient = recipient(action, status, diagnostic);
            let now: Timestamp = "2026-03-03T09:00:00Z".parse().expect("a literal");
            let seen = "2026-03-02T09:00:00Z".parse().ok();
            assert_eq!(recipient.event(now, Some(now)), Some(first), "{why}");
            assert_eq!(recipient.event(now, seen), Some(later), "{why}, a day later");
        }
    }

    #[test]
    fn what_contradicts_itself_or_says_nothing_is_no_word() {
        for (action, status, why) in [
            (Some(Action::Failed), "2.0.0", "failed, and all is well"),
            (Some(Action::Delivered), "5.1.1", "delivered, and refused"),
            (None, "2.0.0", "no action, no refusal"),
            (None, "", "nothing"),
        ] {
            assert_eq!(recipient(action, status, "").class(), None, "{why}");
        }
    }

    #[test]
    fn an_address_is_known_as_it_was_mailed_however_it_is_written() {
        let kim: EmailAddress = "kim+leads@contoso.example".parse().expect("a literal");
        let of = |original: &str, last: &str| Recipient {
            original: (!original.is_empty()).then(|| original.to_owned()),
            last: (!last.is_empty()).then(|| last.to_owned()),
            ..Recipient::default()
        };
        for (original, last, expected, why) in [
            ("", "kim+leads@contoso.example", true, "as it is"),
            ("", "KIM+leads@CONTOSO.example", true, "any case"),
            ("", "kim+2Bleads@contoso.example", true, "xtext"),
            ("", "kim@elsewhere.example", false, "another one, and nothing says why"),
            (
                "kim+leads@contoso.example",
                "kim@elsewhere.example",
                true,
                "rewritten, and it says so",
            ),
            (
                "eve@contoso.example",
                "kim+leads@contoso.example",
                false,
                "of another mail's recipient",
            ),
            ("", "", false, "nobody"),
        ] {
            assert_eq!(of(original, last).is_of(&kim), expected, "{why}");
        }
    }

    #[test]
    fn xtext_is_decoded() {
        for (text, decoded) in [
            ("9f3c", Some("9f3c")),
            ("a+2Bb+3D", Some("a+b=")),
            ("a+2", None),
            ("a+zz", None),
            ("+C3", None),
        ] {
            assert_eq!(xtext(text).as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn it_is_told_in_the_other_sides_words() {
        for (status, diagnostic, said) in [
            ("5.1.1", "550 5.1.1 no such user", "550 5.1.1 no such user"),
            ("5.4.4", "host not found", "host not found (5.4.4)"),
            ("5.0.0", "550 5.1.1 no such user", "550 5.1.1 no such user"),
            ("5.0.0", "550 no", "550 no"),
            ("5.1.1", "", "5.1.1"),
            ("", "", "no reason is given"),
        ] {
            assert_eq!(recipient(None, status, diagnostic).said(), said);
        }
    }
}
