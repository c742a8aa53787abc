//! Whose fault a refusal is: nobody's for long, the relay's, the address's or the message's.
//!
//! A reply means something only beside the stage at which it came: `554` to the connection says that the relay does not want us, to
//! RCPT that this address is refused, after the final dot that this message is.
//!
//! **Not here:** what follows from it for the delivery (`delivery`), and the fault that shows only over many replies, nearly all of a
//! relay's last RCPTs refused for different domains (the delivery room sees them).

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;

/// Where in an SMTP conversation a reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The greeting.
    Connect,
    /// EHLO or HELO, before and after TLS.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH and its challenges.
    Auth,
    /// MAIL FROM.
    MailFrom,
    /// RCPT TO.
    RcptTo,
    /// DATA, before the message.
    Data,
    /// The final dot, after the message.
    FinalDot,
}

/// An SMTP reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The enhanced status code (RFC 3463), if the text has one of the code's class.
    pub enhanced: Option<Enhanced>,
    /// The text behind the digits, its lines joined by a blank.
    pub text: String,
}

/// An enhanced status code, such as 5.1.1: class, subject, detail (RFC 3463).
pub type Enhanced = (u8, u16, u16);

/// Whose fault a reply says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Accepted,
    /// It may pass: try again later.
    Transient,
    /// The relay refuses us, or does not speak SMTP: no delivery's fault.
    Relay,
    /// The address is refused.
    Address {
        /// Whether the enhanced code says that nothing can ever reach it.
        suppress: bool,
        /// A 550, 551 or 553 without an enhanced code: it suppresses when one like it was seen at least a day ago.
        bare: bool,
    },
    /// The message is refused, whoever gets it.
    Message,
}

impl Stage {
    /// Every stage, in the order of a conversation.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Ehlo,
        Self::StartTls,
        Self::Auth,
        Self::MailFrom,
        Self::RcptTo,
        Self::Data,
        Self::FinalDot,
    ];

    /// Returns the stage as it is written in the database and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Ehlo => "ehlo",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::MailFrom => "mail",
            Self::RcptTo => "rcpt",
            Self::Data => "data",
            Self::FinalDot => "final_dot",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }
}

impl fmt::Display for Stage {
    /// Writes the stage as a sentence names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::MailFrom => "MAIL",
            Self::RcptTo => "RCPT",
            Self::Data => "DATA",
            Self::FinalDot => "final dot",
        })
    }
}

impl Reply {
    /// Takes a reply's digits and its text; reads the enhanced code from the text.
    ///
    /// ```
    /// use posthorn::outbox::reply::Reply;
    /// assert_eq!(Reply::new(550, "5.1.1 <ada@example.com>: unknown user").enhanced, Some((5, 1, 1)));
    /// assert_eq!(Reply::new(550, "sorry, no mailbox here by that name. (#5.1.1)").enhanced, Some((5, 1, 1)));
    /// assert_eq!(Reply::new(550, "192.0.2.5 is listed, see 5.1.1.example").enhanced, None);
    /// ```
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        let enhanced = enhanced_in(&text).find(|(class, ..)| u16::from(*class) == code / 100);
        Self { code, enhanced, text }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// Lists what looks like an enhanced code. RFC 2034 wants it first; qmail and Exchange write `(#5.1.1)` or `[5.1.1]` at the end.
fn enhanced_in(text: &str) -> impl Iterator<Item = Enhanced> {
    // A code stands for itself: what is part of a longer number, version, address or name is none.
    text.split(|c: char| c.is_whitespace() || "()[]<>#;:,-".contains(c))
        .filter_map(|word| parse_enhanced(word.trim_end_matches('.')))
}

/// Reads `5.1.1`: the class one digit (2, 4, 5), the others one to three.
pub fn parse_enhanced(text: &str) -> Option<Enhanced> {
    let number = |part: &str| {
        let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { part.parse::<u16>().ok() } else { None }
    };
    let mut parts = text.split('.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    if !["2", "4", "5"].contains(&class) || parts.next().is_some() {
        return None;
    }
    Some((class.parse().ok()?, number(subject)?, number(detail)?))
}

/// Whether an enhanced code says that nothing can ever reach the address: it, its domain or its syntax is bad, it has moved, its domain
/// takes no mail (RFC 7505), or it is disabled. A reply's or a bounce's (`R-RECIPIENT`).
pub fn is_dead_address(enhanced: Enhanced) -> bool {
    matches!(enhanced, (5, 1, 1 | 2 | 3 | 6 | 10) | (5, 2, 1))
}

/// Says whose fault `reply` is, given the `stage` at which it came.
pub fn classify(stage: Stage, reply: &Reply) -> Verdict {
    match reply.code {
        200..300 => match stage {
            Stage::Connect | Stage::Ehlo | Stage::StartTls | Stage::Auth | Stage::MailFrom | Stage::RcptTo | Stage::FinalDot => {
                Verdict::Accepted
            }
            // A relay that answers DATA with anything but 354 would take the message for commands.
            Stage::Data => Verdict::Relay,
        },
        300..400 => match stage {
            Stage::Auth | Stage::Data => Verdict::Accepted,
            Stage::Connect | Stage::Ehlo | Stage::StartTls | Stage::MailFrom | Stage::RcptTo | Stage::FinalDot => Verdict::Relay,
        },
        // 421 may come at any time and means that the relay closes the connection; like any 4yz it passes (RFC 5321 §4.2.1).
        400..500 => Verdict::Transient,
        500..600 => refused(stage, reply),
        // Whatever it is, it is not SMTP. No delivery is to blame, and a person has to look at what listens there.
        _ => Verdict::Relay,
    }
}

fn refused(stage: Stage, reply: &Reply) -> Verdict {
    match stage {
        Stage::Connect | Stage::Ehlo | Stage::StartTls | Stage::Auth | Stage::MailFrom => Verdict::Relay,
        Stage::RcptTo => match (reply.code, reply.enhanced) {
            // Command unknown, out of order, or "authenticate first": said of the command, whatever the address.
            (500 | 502 | 503 | 530, _) => Verdict::Relay,
            (_, Some(enhanced)) => Verdict::Address {
                suppress: is_dead_address(enhanced),
                bare: false,
            },
            (code, None) => Verdict::Address {
                suppress: false,
                bare: matches!(code, 550 | 551 | 553),
            },
        },
        Stage::Data | Stage::FinalDot => Verdict::Message,
    }
}

/// How far apart two bare refusals are at least, for the second one to suppress: one bad hour of a relay costs nobody the address.
pub const BARE_REFUSALS_APART: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a bare refusal suppresses the address now, given when the first one was seen.
pub fn is_second_bare_refusal(now: Timestamp, first_seen_at: Option<Timestamp>) -> bool {
    first_seen_at.is_some_and(|first| now.since(first) >= BARE_REFUSALS_APART)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: Verdict = Verdict::Address {
        suppress: true,
        bare: false,
    };
    const ALIVE: Verdict = Verdict::Address {
        suppress: false,
        bare: false,
    };
    const BARE: Verdict = Verdict::Address {
        suppress: false,
        bare: true,
    };

    /// R-RECIPIENT: only what says that the address itself is dead suppresses it.
    #[test]
    fn a_reply_says_whose_fault_it_is_by_its_stage() {
        use Stage::*;
        let cases = [
            (Connect, 220, "mail.example ESMTP Postfix (Debian/GNU)", Verdict::Accepted),
            (
                Connect,
                554,
                "5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.example",
                Verdict::Relay,
            ),
            (Connect, 521, "mail.example does not accept mail (see RFC7504)", Verdict::Relay),
            (
                Connect,
                421,
                "4.7.0 mail.example Error: too many connections from 192.0.2.7",
                Verdict::Transient,
            ),
            (Connect, 554, "No SMTP service here", Verdict::Relay),
            (Ehlo, 250, "mail.example PIPELINING 8BITMIME", Verdict::Accepted),
            (
                Ehlo,
                504,
                "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
                Verdict::Relay,
            ),
            (Ehlo, 421, "4.3.2 Service shutting down", Verdict::Transient),
            (StartTls, 220, "2.0.0 Ready to start TLS", Verdict::Accepted),
            (StartTls, 454, "4.7.0 TLS not available due to local problem", Verdict::Transient),
            (StartTls, 502, "5.5.1 Error: command not implemented", Verdict::Relay),
            (Auth, 334, "VXNlcm5hbWU6", Verdict::Accepted),
            (Auth, 235, "2.7.0 Authentication successful", Verdict::Accepted),
            (Auth, 535, "5.7.8 Error: authentication failed", Verdict::Relay),
            (
                Auth,
                535,
                "5.7.139 Authentication unsuccessful, the user credentials were incorrect",
                Verdict::Relay,
            ),
            (Auth, 454, "4.7.0 Temporary authentication failure", Verdict::Transient),
            (MailFrom, 250, "2.1.0 Ok", Verdict::Accepted),
            (MailFrom, 530, "5.7.57 Client not authenticated to send mail", Verdict::Relay),
            (
                MailFrom,
                553,
                "5.7.1 <leads@portal.example>: Sender address rejected: not owned by user",
                Verdict::Relay,
            ),
            (MailFrom, 552, "5.3.4 Message size exceeds fixed limit", Verdict::Relay),
            (MailFrom, 452, "4.3.1 Insufficient system storage", Verdict::Transient),
            (RcptTo, 250, "2.1.5 Ok", Verdict::Accepted),
            (RcptTo, 251, "User not local; will forward to <ada@example.org>", Verdict::Accepted),
            (
                RcptTo,
                450,
                "4.2.0 <ada@example.com>: Recipient address rejected: Greylisted, see http://postgrey.example",
                Verdict::Transient,
            ),
            (RcptTo, 451, "4.7.1 Please try again later", Verdict::Transient),
            (
                RcptTo,
                452,
                "4.2.2 The email account that you tried to reach is over quota",
                Verdict::Transient,
            ),
            (
                RcptTo,
                421,
                "4.7.28 Our system has detected an unusual rate of unsolicited mail",
                Verdict::Transient,
            ),
            (
                RcptTo,
                550,
                "5.1.1 <ada@example.com>: Recipient address rejected: User unknown in local recipient table",
                DEAD,
            ),
            (
                RcptTo,
                550,
                "5.1.1 The email account that you tried to reach does not exist. https://support.example/?p=NoSuchUser",
                DEAD,
            ),
            (
                RcptTo,
                550,
                "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
                DEAD,
            ),
            (RcptTo, 550, "5.1.2 Host unknown (Domain name not found)", DEAD),
            (RcptTo, 501, "5.1.3 Bad recipient address syntax", DEAD),
            (RcptTo, 551, "5.1.6 User has moved to <ada@example.org>", DEAD),
            (RcptTo, 556, "5.1.10 Recipient address has null MX", DEAD),
            (RcptTo, 550, "5.2.1 The email account that you tried to reach is disabled", DEAD),
            (RcptTo, 550, "sorry, no mailbox here by that name. (#5.1.1)", DEAD),
            (RcptTo, 550, "Requested action not taken: mailbox unavailable [5.1.1]", DEAD),
            (RcptTo, 554, "5.7.1 <ada@example.com>: Relay access denied", ALIVE),
            (
                RcptTo,
                553,
                "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
                ALIVE,
            ),
            (RcptTo, 550, "5.7.1 Service unavailable, Client host [192.0.2.7] blocked", ALIVE),
            (RcptTo, 552, "5.2.2 Mailbox full", ALIVE),
            (RcptTo, 550, "5.4.1 Recipient address rejected: Access denied", ALIVE),
            (RcptTo, 550, "No such user here", BARE),
            (RcptTo, 551, "User not local; please try <ada@example.org>", BARE),
            (RcptTo, 553, "Requested action not taken: mailbox name not allowed", BARE),
            (RcptTo, 550, "4.2.1 The mailbox is temporarily disabled", BARE),
            (RcptTo, 554, "Transaction failed", ALIVE),
            (RcptTo, 503, "5.5.1 Error: need MAIL command", Verdict::Relay),
            (RcptTo, 530, "5.7.0 Must issue a STARTTLS command first", Verdict::Relay),
            (Data, 354, "End data with <CR><LF>.<CR><LF>", Verdict::Accepted),
            (Data, 250, "Ok", Verdict::Relay),
            (Data, 451, "4.3.0 Queue file write error", Verdict::Transient),
            (Data, 554, "5.5.1 Error: no valid recipients", Verdict::Message),
            (FinalDot, 250, "2.0.0 Ok: queued as 4F1A2B3C4D", Verdict::Accepted),
            (
                FinalDot,
                554,
                "5.7.1 Message rejected as spam by Content Filtering",
                Verdict::Message,
            ),
            (FinalDot, 552, "5.3.4 Message size exceeds fixed limit", Verdict::Message),
            (FinalDot, 550, "5.1.1 User unknown", Verdict::Message),
            (FinalDot, 421, "4.4.2 mail.example Error: timeout exceeded", Verdict::Transient),
            (FinalDot, 354, "go on", Verdict::Relay),
            (Connect, 0, "", Verdict::Relay),
            (Ehlo, 199, "HTTP/1.1 ?", Verdict::Relay),
            (RcptTo, 999, "what", Verdict::Relay),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .map(|(stage, code, text, expected)| (stage, code, text, classify(stage, &Reply::new(code, text)), expected))
            .filter(|(.., found, expected)| found != expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn an_enhanced_code_is_found_wherever_servers_write_it() {
        for (code, text, expected) in [
            (550, "5.1.1 unknown", Some((5, 1, 1))),
            (550, "#5.1.0 Address rejected.", Some((5, 1, 0))),
            (550, "User unknown (in reply to RCPT): 5.1.1.", Some((5, 1, 1))),
            (550, "smtp;550 5.7.606 Access denied, banned sending IP", Some((5, 7, 606))),
            (550, "5.1.1-first 5.1.1 second", Some((5, 1, 1))),
            (450, "4.7.1 for 5.1.1 see below", Some((4, 7, 1))),
            (550, "4.7.1 is not of this class, 5.7.1 is", Some((5, 7, 1))),
            (550, "host 5.1.1.10 says no", None),
            (550, "version 15.1.1", None),
            (550, "5.1", None),
            (550, "5.1234.1", None),
            (550, "", None),
        ] {
            assert_eq!(Reply::new(code, text).enhanced, expected, "{code} {text}");
        }
    }

    /// R-RECIPIENT: a bare refusal suppresses at the second time, a day apart.
    #[test]
    fn a_bare_refusal_suppresses_only_when_it_was_there_a_day_ago() {
        let now: Timestamp = "2026-03-02T12:00:00Z".parse().expect("an instant");
        let second = |first: &str| is_second_bare_refusal(now, first.parse().ok());
        assert!(!is_second_bare_refusal(now, None));
        assert!(!second("2026-03-01T12:00:00.001Z"));
        assert!(second("2026-03-01T12:00:00.000Z"));
        assert!(second("2026-02-01T12:00:00.000Z"));
    }

    #[test]
    fn a_stage_reads_as_it_is_written() {
        for stage in Stage::ALL {
            assert_eq!(Stage::parse(stage.as_str()), Some(stage));
        }
        assert_eq!(Stage::parse("quit"), None);
    }
}
