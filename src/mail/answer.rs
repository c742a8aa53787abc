//! What a relay says: its offers, its replies, and its silence, in our words.

use std::io;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::response::Response;

use crate::mail::{Cause, Failed};
use crate::outbox::{Reply, Stage};

/// What is kept of a reply's text. RFC 5321 allows 512 bytes a line; the first lines say why, the rest is advertising.
const REPLY_CHARS_MAX: usize = 1_000;

/// What the relay offers in its answer to `EHLO`, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub(super) pipelining: bool,
    pub(super) starttls: bool,
    pub(super) eight_bit: bool,
    pub(super) smtputf8: bool,
    /// None where it is not offered, or offered without a limit.
    pub(super) size_max: Option<u64>,
    pub(super) auth_plain: bool,
    pub(super) auth_login: bool,
    pub(super) auth_xoauth2: bool,
    pub(super) dsn: bool,
}

impl Offers {
    /// Reads the answer's lines. Lettre reads them too, but does not tell of PIPELINING and SIZE.
    pub(super) fn parse(answer: &str) -> Self {
        let mut offers = Self::default();
        // Greeting and answer may stand together here where a relay did not wait its turn; the last answer's first line is its name.
        for line in answer.lines().filter_map(|line| line.get(4..)) {
            // `AUTH=PLAIN LOGIN` is how it was written before RFC 4954, and some still do.
            let line = line.to_ascii_uppercase().replace("AUTH=", "AUTH ");
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("STARTTLS") => offers.starttls = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("DSN") => offers.dsn = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("SIZE") => offers.size_max = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0),
                Some("AUTH") => {
                    for mechanism in words {
                        offers.auth_plain |= mechanism == "PLAIN";
                        offers.auth_login |= mechanism == "LOGIN";
                        offers.auth_xoauth2 |= mechanism == "XOAUTH2";
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

/// Takes apart what lettre makes of a negative reply or of none.
pub(super) fn of_smtp(stage: Stage, error: &SmtpError) -> Failed {
    let source = std::error::Error::source(error);
    if let Some(code) = error.status() {
        return Failed::refused(stage, reply(code.into(), &source.map(ToString::to_string).unwrap_or_default()));
    }
    if let Some(error) = source.and_then(|e| e.downcast_ref::<io::Error>()) {
        return of_network(stage, error);
    }
    match source.map(ToString::to_string).unwrap_or_default().as_str() {
        // Lettre's word for the end of the stream.
        "incomplete response" => Failed::new(stage, Cause::Closed, "relay closed the connection"),
        what => Failed::new(
            stage,
            Cause::Garbled,
            format!(
                "relay's answer is no SMTP: {}",
                what.chars().take(80).collect::<String>().escape_debug()
            ),
        ),
    }
}

pub(super) fn of_network(stage: Stage, error: &io::Error) -> Failed {
    match Cause::of_io(error) {
        Cause::Closed => Failed::new(stage, Cause::Closed, format!("relay closed the connection ({error})")),
        cause => Failed::new(stage, cause, format!("network: {error}")),
    }
}

/// A positive answer to another question: nobody knows any more which answer answers what.
pub(super) fn unexpected(stage: Stage, reply: Reply) -> Failed {
    Failed::new(stage, Cause::Garbled, format!("relay answered {}, which does not fit", reply.code))
}

pub(super) fn to_reply(response: &Response) -> Reply {
    reply(response.code().into(), &response.message().collect::<Vec<_>>().join(" "))
}

fn reply(code: u16, text: &str) -> Reply {
    let text: String = text
        .chars()
        .take(REPLY_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    Reply {
        code,
        enhanced: enhanced(code, &text),
        text,
    }
}

/// Reads the enhanced code (RFC 3463) that a text begins with; one of another class than the code's is noise.
fn enhanced(code: u16, text: &str) -> Option<(u8, u16, u16)> {
    let mut parts = text.split_ascii_whitespace().next()?.splitn(3, '.');
    let class: u8 = parts.next()?.parse().ok()?;
    let (subject, detail) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (u16::from(class) == code / 100).then_some((class, subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_any_case_and_spelling() {
        for (answer, expected) in [
            ("220 hi\r\n250 relay\r\n", Offers::default()),
            (
                "250-relay\r\n250-pipelining\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-StartTLS\r\n250-DSN\r\n250 AUTH LOGIN PLAIN XOAUTH2\r\n",
                Offers {
                    pipelining: true,
                    starttls: true,
                    eight_bit: true,
                    smtputf8: true,
                    size_max: Some(1000),
                    auth_plain: true,
                    auth_login: true,
                    auth_xoauth2: true,
                    dsn: true,
                },
            ),
            (
                "250-relay\r\n250-SIZE\r\n250 AUTH=LOGIN\r\n",
                Offers {
                    auth_login: true,
                    ..Offers::default()
                },
            ),
            ("250-relay\r\n250-SIZE 0\r\n250\r\n", Offers::default()),
        ] {
            assert_eq!(Offers::parse(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn the_enhanced_code_is_read_from_the_text() {
        for (code, text, expected) in [
            (550, "5.1.1 no such user", Some((5, 1, 1))),
            (451, "4.7.500 later", Some((4, 7, 500))),
            (550, "5.1.1", Some((5, 1, 1))),
            (550, "4.1.1 of another class", None),
            (550, "5.1 too short", None),
            (550, "no such user", None),
            (550, "", None),
        ] {
            assert_eq!(enhanced(code, text), expected, "{code} {text}");
        }
    }
}
