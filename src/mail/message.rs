//! Turns an [`Outgoing`] into the bytes of a mail (RFC 5322, MIME), and derives its Message-ID.
//!
//! **Invariant:** the same input gives the same bytes. Date and Message-ID are given, boundaries are derived from the Message-ID.
//! **Invariant:** no text that came from outside can end a header: what people read is cleaned, what machines read is refused.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{
    ContentDisposition, ContentType, Date, From, Header, HeaderName, HeaderValue, Headers, ReplyTo, Subject, To,
};
use lettre::message::{Mailbox, Mailboxes, SinglePart};

use crate::mail::encode::put_text;
use crate::outbox::Kind;
use crate::outbox::mark::message_mark;
use crate::partner::EmailAddress;
use crate::time::Timestamp;

/// Subjects are cut here: the longest that a mailbox still shows in full is far shorter, and one word of this length still fits a line.
const SUBJECT_CHARS_MAX: usize = 255;

/// Display names and file names are cut here, for the same reason.
const NAME_CHARS_MAX: usize = 120;

/// The longest line that mail carries, without its CRLF (RFC 5322 §2.1.1).
pub(super) const LINE_BYTES_MAX: usize = 998;

/// The longest subject, or address, that fits the line that its header begins, of 78 characters at best (RFC 5322 §2.1.1).
const PLAIN_SUBJECT_BYTES_MAX: usize = 78 - "Subject: ".len();

/// What Exchange must not answer automatically. `All` would also silence its non-delivery reports, and those must come.
const SUPPRESSED_RESPONSES: &str = "DR, RN, NRN, OOF, AutoReply";

/// What all mails of one sender begin with: checked and written down once.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// `From`, `Reply-To` and `List-Id`, each with its CRLF.
    headers: Vec<u8>,
}

/// One mail to one address, rendered and ready to be written down.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Goes into `X-Posthorn-Kind`.
    pub kind: Kind,
    /// The delivery's, without angle brackets; see [`message_id`].
    pub message_id: String,
    /// Goes into `Date`; between 1970 and 9999.
    pub date: Timestamp,
    /// To whom.
    pub to: EmailAddress,
    /// His name, where it is known.
    pub to_name: Option<String>,
    /// One line; control characters become spaces.
    pub subject: String,
    /// The HTML alternative.
    pub html: String,
    /// The plain-text alternative.
    pub text: String,
    /// BCP 47 tag of the template's language.
    pub language: String,
    /// Message-IDs of the thread, oldest first, without angle brackets.
    pub references: Vec<String>,
    /// The Message-ID that this one follows, without angle brackets.
    pub in_reply_to: Option<String>,
    /// Where a POST unsubscribes (RFC 8058).
    pub unsubscribe_url: Option<String>,
    /// What hangs below the text.
    pub attachments: Vec<Attachment>,
    /// Further headers, name and value.
    pub extra_headers: Vec<(&'static str, String)>,
}

/// A file that goes with a mail.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// As the reader sees it.
    pub file_name: String,
    /// Such as `text/csv; charset=utf-8`.
    pub content_type: String,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field holds what cannot stand in a header.
    #[error("{field}: {value:?} is not {expected}")]
    Field {
        /// The field of [`Outgoing`], or the header's name.
        field: &'static str,
        /// What it holds, cut at 80 characters.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A line came out longer than mail carries.
    #[error("line {line} of the message has {n_bytes} bytes; mail carries 998 at most")]
    LineTooLong {
        /// Counted from 1.
        line: usize,
        /// Without its CRLF.
        n_bytes: usize,
    },
}

impl Letterhead {
    /// Takes the sender and where answers go, such as `leads@portal.example` or `Portal <leads@portal.example>`, and the list's id, such as
    /// `leads.portal.example`, with or without angle brackets.
    ///
    /// # Errors
    /// [`Error::Field`] when one of them cannot stand in a header.
    pub fn new(from: &str, reply_to: Option<&str>, list_id: Option<&str>) -> Result<Self, Error> {
        let mut people = Headers::new();
        people.set(From::from(Mailboxes::from(parse_mailbox("from", from)?)));
        if let Some(reply_to) = reply_to {
            people.set(ReplyTo::from(Mailboxes::from(parse_mailbox("reply_to", reply_to)?)));
        }
        let mut headers = people.to_string().into_bytes();
        if let Some(list_id) = list_id {
            let bare = list_id.trim_start_matches('<').trim_end_matches('>');
            let bare = checked_token("list_id", bare, "a list id such as leads.portal.example")?;
            put(&mut headers, "List-Id", &["<", bare, ">"]);
        }
        Ok(Self { headers })
    }
}

/// Derives the Message-ID of a delivery, without angle brackets, by a keyed hash: the same for every repeat, and nobody without the key can
/// forge a bounce that names it.
///
/// `domain` is the domain of the sender's address ([`domain_of`]).
pub fn message_id(key: &[u8], delivery_id: i64, domain: &str) -> String {
    format!("{}@{domain}", message_mark(key, delivery_id))
}

/// Returns the domain of a sender such as `Portal <leads@portal.example>`, IDNA-encoded; none where it is no address.
pub fn domain_of(mailbox: &str) -> Option<String> {
    parse_mailbox("from", mailbox).ok().map(|m| m.email.domain().to_owned())
}

/// Writes the mail down: CRLF line ends, 7-bit unless an address itself is not ASCII, ending in CRLF.
///
/// Words that need encoding or folding are put into headers by lettre, which knows how; the rest is written as it stands. Lettre's own builder took
/// 100,000 instructions a mail beside those for the two texts, and its headers still 40,000.
///
/// # Errors
/// [`Error::Field`] when a field cannot stand in a header. What comes from records (subject, names) is cleaned instead and never the cause.
pub fn build(letterhead: &Letterhead, mail: &Outgoing) -> Result<Vec<u8>, Error> {
    let n_attached: usize = mail.attachments.iter().map(|attachment| attachment.bytes.len() * 3 / 2).sum();
    let mut out = Vec::with_capacity(2048 + (mail.html.len() + mail.text.len()) * 5 / 4 + n_attached);
    put_words(&mut out, Date::from(date(mail.date)?));
    out.extend_from_slice(&letterhead.headers);
    put_to(&mut out, mail)?;
    put_subject(&mut out, &mail.subject);
    put(&mut out, "Message-ID", &["<", checked_id("message_id", &mail.message_id)?, ">"]);
    thread(&mut out, mail)?;
    machine_headers(&mut out, mail)?;
    put(&mut out, "MIME-Version", &["1.0"]);
    body(&mut out, mail)?;
    check_lines(&out)?;
    Ok(out)
}

fn put_to(out: &mut Vec<u8>, mail: &Outgoing) -> Result<(), Error> {
    let name = mail.to_name.as_deref().and_then(clean_name);
    if name.is_none() && is_plain_address(mail.to.as_str()) {
        put(out, "To", &[mail.to.as_str()]);
    } else {
        put_words(out, To::from(Mailboxes::from(Mailbox::new(name, address("to", mail.to.as_str())?))));
    }
    Ok(())
}

fn put_subject(out: &mut Vec<u8>, subject: &str) {
    let subject = clean(subject, SUBJECT_CHARS_MAX);
    if subject.len() <= PLAIN_SUBJECT_BYTES_MAX && subject.bytes().all(|b| matches!(b, b' '..=b'~')) {
        put(out, "Subject", &[&subject]);
    } else {
        put_words(out, Subject::from(subject));
    }
}

/// Tells whether an address is of those that need neither quotes nor encoding, and break nothing: almost all.
fn is_plain_address(address: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-');
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(is_plain) && !word.starts_with('.') && !word.ends_with('.') && !word.contains("..")
    };
    address.len() <= PLAIN_SUBJECT_BYTES_MAX
        && address
            .split_once('@')
            .is_some_and(|(local, domain)| is_word(local) && is_word(domain))
}

/// Writes a header as lettre encodes and folds it.
fn put_words(out: &mut Vec<u8>, header: impl Header) {
    let mut headers = Headers::new();
    headers.set(header);
    out.extend_from_slice(headers.to_string().as_bytes());
}

/// Writes a header as it stands. Only for values that were checked character by character: lettre would fold a long id onto a line of its own, and some
/// mailboxes do not find it there.
fn put(out: &mut Vec<u8>, name: &str, value: &[&str]) {
    for part in [name, ": "].iter().chain(value).chain(&["\r\n"]) {
        out.extend_from_slice(part.as_bytes());
    }
}

/// `In-Reply-To` and `References`: what makes a reminder stand below the mail that it follows.
fn thread(out: &mut Vec<u8>, mail: &Outgoing) -> Result<(), Error> {
    if let Some(parent) = &mail.in_reply_to {
        put(out, "In-Reply-To", &["<", checked_id("in_reply_to", parent)?, ">"]);
    }
    if !mail.references.is_empty() {
        let ids: Vec<String> = mail
            .references
            .iter()
            .map(|id| Ok(format!("<{}>", checked_id("references", id)?)))
            .collect::<Result<_, Error>>()?;
        put(out, "References", &[&ids.join("\r\n ")]);
    }
    Ok(())
}

/// The headers that programs read.
fn machine_headers(out: &mut Vec<u8>, mail: &Outgoing) -> Result<(), Error> {
    if mail.language.is_empty() || !mail.language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(wrong("language", &mail.language, "a language tag such as de-AT"));
    }
    put(out, "Content-Language", &[&mail.language]);
    put(out, "Auto-Submitted", &["auto-generated"]);
    put(out, "X-Auto-Response-Suppress", &[SUPPRESSED_RESPONSES]);
    put(out, "X-Posthorn-Kind", &[mail.kind.as_str()]);
    if let Some(url) = &mail.unsubscribe_url {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(wrong("unsubscribe_url", url, "an http or https URL"));
        }
        let url = checked_token("unsubscribe_url", url, "an http or https URL")?;
        put(out, "List-Unsubscribe", &["<", url, ">"]);
        // RFC 8058 knows one-click over https alone.
        if url.starts_with("https://") {
            put(out, "List-Unsubscribe-Post", &["List-Unsubscribe=One-Click"]);
        }
    }
    for (name, value) in &mail.extra_headers {
        let header = HeaderName::new_from_ascii((*name).to_owned()).map_err(|_| wrong("extra_headers", name, "the name of a header"))?;
        if !name.bytes().all(|b| b.is_ascii_graphic()) || header == "Bcc" {
            return Err(wrong("extra_headers", name, "the name of a header that posthorn writes"));
        }
        let mut headers = Headers::new();
        headers.insert_raw(HeaderValue::new(header, clean(value, SUBJECT_CHARS_MAX)));
        out.extend_from_slice(headers.to_string().as_bytes());
    }
    Ok(())
}

/// Writes the parts, from the `Content-Type` that announces them on.
fn body(out: &mut Vec<u8>, mail: &Outgoing) -> Result<(), Error> {
    if mail.attachments.is_empty() {
        alternatives(out, mail);
        return Ok(());
    }
    let mixed = boundary(&mail.message_id, "mixed");
    put(out, "Content-Type", &["multipart/mixed;\r\n boundary=\"", &mixed, "\""]);
    put_line(out, &["\r\n--", &mixed]);
    alternatives(out, mail);
    for attachment in &mail.attachments {
        put_line(out, &["--", &mixed]);
        out.extend_from_slice(&attached(attachment)?.formatted());
    }
    put_line(out, &["--", &mixed, "--"]);
    Ok(())
}

fn alternatives(out: &mut Vec<u8>, mail: &Outgoing) {
    let boundary = boundary(&mail.message_id, "alternative");
    put(out, "Content-Type", &["multipart/alternative;\r\n boundary=\"", &boundary, "\""]);
    out.extend_from_slice(b"\r\n");
    for (content_type, text) in [("text/plain; charset=utf-8", &mail.text), ("text/html; charset=utf-8", &mail.html)] {
        put_line(out, &["--", &boundary]);
        put(out, "Content-Type", &[content_type]);
        put_text(out, text);
    }
    put_line(out, &["--", &boundary, "--"]);
}

fn put_line(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts.iter().chain(&["\r\n"]) {
        out.extend_from_slice(part.as_bytes());
    }
}

fn attached(attachment: &Attachment) -> Result<SinglePart, Error> {
    let content_type = ContentType::parse(&attachment.content_type).map_err(|_| {
        wrong(
            "content_type",
            &attachment.content_type,
            "a media type such as text/csv; charset=utf-8",
        )
    })?;
    let name = clean_name(&attachment.file_name).unwrap_or_else(|| "attachment".to_owned());
    Ok(SinglePart::builder()
        .header(ContentDisposition::attachment(&name))
        .header(content_type)
        .body(attachment.bytes.clone()))
}

/// A boundary that is the same for the same mail. `=_` cannot stand in quoted-printable or base64 (RFC 2045 §6.7), and the rest, of the Message-ID, is
/// not known to whoever wrote the lead.
fn boundary(message_id: &str, part: &str) -> String {
    let unguessable = message_id.bytes().filter(u8::is_ascii_alphanumeric).take(32).map(char::from);
    ["=_", part, "_"].concat().chars().chain(unguessable).collect()
}

fn date(at: Timestamp) -> Result<std::time::SystemTime, Error> {
    /// The last second of 9999, which RFC 5322 dates still hold.
    const LAST_MS: u64 = 253_402_300_799_999;
    match u64::try_from(at.as_millis()) {
        Ok(ms) if ms <= LAST_MS => Ok(UNIX_EPOCH + Duration::from_millis(ms)),
        _ => Err(wrong(
            "date",
            &at.as_millis().to_string(),
            "an instant between 1970 and 9999, in milliseconds",
        )),
    }
}

fn parse_mailbox(field: &'static str, text: &str) -> Result<Mailbox, Error> {
    let expected = "an address such as leads@portal.example or Portal <leads@portal.example>";
    if text.chars().any(char::is_control) {
        return Err(wrong(field, text, expected));
    }
    let parsed: Mailbox = text.trim().parse().map_err(|_| wrong(field, text, expected))?;
    Ok(Mailbox::new(
        parsed.name.as_deref().and_then(clean_name),
        address(field, parsed.email.as_ref())?,
    ))
}

/// Reads an address for a header or an envelope, its domain IDNA-encoded.
pub(super) fn address(field: &'static str, text: &str) -> Result<lettre::Address, Error> {
    let expected = "an e-mail address";
    let (local, domain) = text.rsplit_once('@').ok_or_else(|| wrong(field, text, expected))?;
    let domain = if domain.starts_with('[') {
        domain.to_owned()
    } else {
        idna::domain_to_ascii(domain).map_err(|_| wrong(field, text, expected))?
    };
    lettre::Address::new(local, domain).map_err(|_| wrong(field, text, expected))
}

fn checked_id<'a>(field: &'static str, id: &'a str) -> Result<&'a str, Error> {
    let expected = "a message id without its angle brackets";
    if !id.contains('@') {
        return Err(wrong(field, id, expected));
    }
    checked_token(field, id, expected)
}

/// Lets through what cannot end a header, a line or a pair of angle brackets.
fn checked_token<'a>(field: &'static str, text: &'a str, expected: &'static str) -> Result<&'a str, Error> {
    let is_fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
    if is_fine { Ok(text) } else { Err(wrong(field, text, expected)) }
}

/// Makes one line of a text that people wrote: runs of control characters and line ends become one space, `=?` cannot pose as an encoded
/// word, and it ends at `chars_max`.
fn clean(text: &str, chars_max: usize) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            ' '
        } else {
            c
        };
        match c {
            ' ' if line.ends_with(' ') => {}
            '?' if line.ends_with('=') => line.push_str(" ?"),
            c => line.push(c),
        }
    }
    let line = line.trim();
    if line.chars().count() <= chars_max {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(chars_max - 1).collect();
    cut.push('…');
    cut
}

fn clean_name(name: &str) -> Option<String> {
    let name = clean(name, NAME_CHARS_MAX);
    (!name.is_empty()).then_some(name)
}

/// Checks what the wire demands of every line. A bare CR or LF would be our own fault, and dangerous (SMTP smuggling), hence the assertion.
fn check_lines(bytes: &[u8]) -> Result<(), Error> {
    let (mut start, mut n_lines) = (0, 0);
    for end in memchr::memchr_iter(b'\n', bytes) {
        n_lines += 1;
        assert!(
            end > start && bytes[end - 1] == b'\r',
            "line {n_lines} of a built message ends in CRLF"
        );
        let n_bytes = end - 1 - start;
        if n_bytes > LINE_BYTES_MAX {
            return Err(Error::LineTooLong { line: n_lines, n_bytes });
        }
        start = end + 1;
    }
    assert!(start == bytes.len(), "a built message ends in CRLF");
    assert!(
        memchr::memchr_iter(b'\r', bytes).count() == n_lines,
        "no CR stands alone in a built message"
    );
    Ok(())
}

fn wrong(field: &'static str, value: &str, expected: &'static str) -> Error {
    Error::Field {
        field,
        value: value.chars().take(80).collect(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders, PartType};

    use super::*;

    fn mail() -> Outgoing {
        Outgoing {
            kind: Kind::Lead,
            message_id: "0123456789abcdef0123456789abcdef@portal.example".into(),
            date: "2026-03-02T09:15:00.500Z".parse().unwrap(),
            to: "ada@contoso.example".parse().unwrap(),
            to_name: Some("Ada Lovelace".into()),
            subject: "New lead: Fabrikam".into(),
            html: "<p>A lead.</p>\n".into(),
            text: "A lead.\n".into(),
            language: "en".into(),
            references: vec![],
            in_reply_to: None,
            unsubscribe_url: Some("https://portal.example/u/abc".into()),
            attachments: vec![],
            extra_headers: vec![],
        }
    }

    fn letterhead() -> Letterhead {
        Letterhead::new("Portal Leads <leads@portal.example>", None, Some("leads.portal.example")).unwrap()
    }

    fn text_of(mail: &Outgoing) -> String {
        String::from_utf8(built(mail).unwrap()).unwrap()
    }

    fn built(mail: &Outgoing) -> Result<Vec<u8>, Error> {
        build(&letterhead(), mail)
    }

    #[test]
    fn a_plain_lead_mail_looks_like_this() {
        insta::assert_snapshot!(text_of(&mail()).replace('\r', ""));
    }

    #[test]
    fn a_digest_with_everything_looks_like_this() {
        let mail = Outgoing {
            kind: Kind::Digest,
            to_name: Some("Zoë \"Ace\" Groß, Ltd.".into()),
            subject: "🔥 12 neue Leads für Müller & Söhne: der älteste läuft in drei Tagen ab, bitte antworten".into(),
            html: "<p>Grüße – 📬</p>".into(),
            text: "Grüße – 📬\n".into(),
            language: "de-AT".into(),
            references: (0..4).map(|n| format!("{n:032x}@portal.example")).collect(),
            in_reply_to: Some(format!("{:032x}@portal.example", 3)),
            attachments: vec![Attachment {
                file_name: "Übersicht März.csv".into(),
                content_type: "text/csv; charset=utf-8".into(),
                bytes: "id,Kunde\r\n1,Müller\r\n".into(),
            }],
            extra_headers: vec![("X-Posthorn-Redirected-From", "ada@contoso.example".into())],
            ..mail()
        };
        let letterhead = Letterhead::new(
            "Jörg's Portal <leads@bücher.example>",
            Some("desk@portal.example"),
            Some("<leads.portal.example>"),
        );
        let text = String::from_utf8(build(&letterhead.unwrap(), &mail).unwrap()).unwrap();
        insta::assert_snapshot!(text.replace('\r', ""));
    }

    #[test]
    fn the_same_mail_is_the_same_bytes() {
        let one = Outgoing {
            attachments: vec![Attachment {
                file_name: "a.csv".into(),
                content_type: "text/csv".into(),
                bytes: vec![b'x'; 500],
            }],
            ..mail()
        };
        assert_eq!(built(&one).unwrap(), built(&one.clone()).unwrap());
        assert_ne!(
            built(&one).unwrap(),
            built(&Outgoing {
                message_id: "other@portal.example".into(),
                ..one
            })
            .unwrap()
        );
    }

    /// What is written comes back out of somebody else's parser, however it had to be encoded.
    #[test]
    fn a_parser_that_is_not_ours_reads_back_what_was_written() {
        let long = "a".repeat(5_000);
        for (name, subject, text) in [
            ("Ada Lovelace", "New lead", "plain\nlines\n"),
            ("Zoë Groß", "📬🔥 Müller", "Grüße\n"),
            ("李 小龍", "新しいリード 北京", "新しいリード\n"),
            (
                "O'Neil \\ \"Ace\", Ltd. <x@y>",
                "\"quotes\" (and) <brackets>; a, b",
                ".\n..\n.leading dots\n",
            ),
            ("محمد", "عميل جديد", &long),
            ("Tab", &"word ".repeat(40), "trailing space \n\n\n\nFrom here on\n"),
        ] {
            let mail = Outgoing {
                to_name: Some(name.into()),
                subject: subject.into(),
                text: text.into(),
                html: format!("<p>{text}</p>"),
                ..mail()
            };
            let bytes = built(&mail).unwrap();
            assert!(bytes.is_ascii(), "{name}");
            let parsed = MessageParser::default().parse(&bytes).unwrap();
            assert_eq!(parsed.subject().unwrap(), subject.trim(), "{name}");
            let to = parsed.to().unwrap().first().unwrap();
            assert_eq!((to.name(), to.address()), (Some(name), Some("ada@contoso.example")));
            assert_eq!(
                parsed.body_text(0).unwrap().replace("\r\n", "\n").trim_end(),
                text.trim_end(),
                "{name}"
            );
            assert_eq!(
                parsed.body_html(0).unwrap().replace("\r\n", "\n").trim_end(),
                format!("<p>{text}</p>").trim_end(),
                "{name}"
            );
            assert_eq!(parsed.message_id(), Some(mail.message_id.as_str()));
            assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-03-02T09:15:00Z");
        }
    }

    #[test]
    fn a_large_attachment_comes_through_whole() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 31 % 251) as u8).collect();
        let mail = Outgoing {
            attachments: vec![Attachment {
                file_name: "leads.csv".into(),
                content_type: "text/csv; charset=utf-8".into(),
                bytes: bytes.clone(),
            }],
            ..mail()
        };
        let built = built(&mail).unwrap();
        let parsed = MessageParser::default().parse(&built).unwrap();
        let attachment = parsed.attachment(0).unwrap();
        assert_eq!(attachment.attachment_name(), Some("leads.csv"));
        match &attachment.body {
            PartType::Text(text) => assert_eq!(text.as_bytes(), String::from_utf8_lossy(&bytes).as_bytes()),
            PartType::Binary(binary) => assert_eq!(binary.as_ref(), bytes),
            other => panic!("an attachment parsed as {other:?}"),
        }
    }

    /// No field opens a line of its own: what people write is cleaned, what machines read is refused.
    #[test]
    fn no_field_can_add_a_header() {
        let evil = "x\r\nBcc: eve@evil.example\r\n\r\nbody\u{2028}\u{0}";
        let mail_with = |change: &dyn Fn(&mut Outgoing)| {
            let mut mail = mail();
            change(&mut mail);
            mail
        };
        let cleaned: [(&str, Outgoing); 4] = [
            ("to_name", mail_with(&|m| m.to_name = Some(evil.into()))),
            ("subject", mail_with(&|m| m.subject = evil.into())),
            ("extra_headers", mail_with(&|m| m.extra_headers = vec![("X-Note", evil.into())])),
            ("file_name", {
                mail_with(&|m| {
                    m.attachments = vec![Attachment {
                        file_name: evil.into(),
                        content_type: "text/csv".into(),
                        bytes: vec![],
                    }]
                })
            }),
        ];
        for (field, mail) in cleaned {
            let text = text_of(&mail);
            assert!(
                !text
                    .lines()
                    .any(|line| line.to_ascii_lowercase().starts_with("bcc:") || line == "body"),
                "{field}:\n{text}"
            );
            assert!(MessageParser::default().parse(text.as_bytes()).unwrap().bcc().is_none(), "{field}");
        }
        let refused: [(&str, Outgoing); 8] = [
            ("message_id", mail_with(&|m| m.message_id = format!("a@b{evil}"))),
            ("message_id", mail_with(&|m| m.message_id = "no-domain".into())),
            ("to", mail_with(&|m| m.to = EmailAddress::from_stored(format!("a@b.example{evil}")))),
            ("language", mail_with(&|m| m.language = evil.into())),
            ("references", mail_with(&|m| m.references = vec!["a@b> <c@d".into()])),
            (
                "unsubscribe_url",
                mail_with(&|m| m.unsubscribe_url = Some(format!("https://x/{evil}"))),
            ),
            (
                "unsubscribe_url",
                mail_with(&|m| m.unsubscribe_url = Some("mailto:a@b.example".into())),
            ),
            (
                "extra_headers",
                mail_with(&|m| m.extra_headers = vec![("Bcc", "eve@evil.example".into())]),
            ),
        ];
        for (expected, mail) in refused {
            match built(&mail) {
                Err(Error::Field { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {:?}", other.map(|b| String::from_utf8_lossy(&b).into_owned())),
            }
        }
        for (expected, from, reply_to, list_id) in [
            ("from", format!("a@b.example{evil}"), None, None),
            ("from", "nobody".into(), None, None),
            ("reply_to", "a@b.example".into(), Some(evil), None),
            ("list_id", "a@b.example".into(), None, Some(evil)),
        ] {
            match Letterhead::new(&from, reply_to, list_id) {
                Err(Error::Field { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    /// An address that is written as it stands is one that lettre would write so, too.
    #[test]
    fn only_plain_addresses_are_written_as_they_stand() {
        for (address, is_plain) in [
            ("ada@contoso.example", true),
            ("ada.lovelace+leads@mail-1.contoso.example", true),
            ("\"ada l\"@contoso.example", false),
            ("o'brien@contoso.example", false),
            ("ä@contoso.example", false),
            (".ada@contoso.example", false),
            ("ada..l@contoso.example", false),
            ("ada@b@contoso.example", false),
            ("ada", false),
            ("ada@", false),
            ("ada@contoso.example\r\nBcc: eve@evil.example", false),
        ] {
            assert_eq!(is_plain_address(address), is_plain, "{address:?}");
            if is_plain {
                let plain = text_of(&Outgoing {
                    to: EmailAddress::from_stored(address.into()),
                    to_name: None,
                    ..mail()
                });
                let mut headers = Headers::new();
                headers.set(To::from(Mailboxes::from(Mailbox::new(
                    None,
                    super::address("to", address).unwrap(),
                ))));
                assert!(plain.contains(&headers.to_string()), "{plain}");
            }
        }
    }

    #[test]
    fn no_bare_line_end_reaches_the_wire() {
        let text = text_of(&Outgoing {
            text: "one\r.\rtwo\n.\nthree\r\n.\r\n\u{0}\u{7}four".into(),
            ..mail()
        });
        let without_pairs = text.replace("\r\n", "");
        assert!(!without_pairs.contains(['\r', '\n']), "{text:?}");
    }

    #[test]
    fn a_text_cannot_pose_as_an_encoded_word() {
        let mail = Outgoing {
            subject: "=?utf-8?q?Your_account?=".into(),
            to_name: Some("=?utf-8?q?Boss?=".into()),
            ..mail()
        };
        let bytes = built(&mail).unwrap();
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert!(!parsed.subject().unwrap().contains("Your account"), "{:?}", parsed.subject());
        assert_ne!(parsed.to().unwrap().first().unwrap().name(), Some("Boss"));
    }

    #[test]
    fn overlong_text_is_cut_and_an_overlong_url_is_told() {
        let subject = text_of(&Outgoing {
            subject: "x".repeat(10_000),
            ..mail()
        });
        assert!(subject.len() < 3_000, "{subject}");
        let url = format!("https://portal.example/{}", "x".repeat(2_000));
        assert!(matches!(
            built(&Outgoing {
                unsubscribe_url: Some(url),
                ..mail()
            }),
            Err(Error::LineTooLong { .. })
        ));
    }

    #[test]
    fn a_date_outside_of_what_mail_knows_is_refused() {
        for (ms, is_fine) in [(-1, false), (0, true), (253_402_300_799_999, true), (253_402_300_800_000, false)] {
            assert_eq!(
                built(&Outgoing {
                    date: Timestamp::from_millis(ms),
                    ..mail()
                })
                .is_ok(),
                is_fine,
                "{ms}"
            );
        }
    }

    #[test]
    fn one_click_is_offered_over_https_alone() {
        assert!(text_of(&mail()).contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
        let plain = text_of(&Outgoing {
            unsubscribe_url: Some("http://127.0.0.1/u/abc".into()),
            ..mail()
        });
        assert!(
            plain.contains("List-Unsubscribe: <http://127.0.0.1/u/abc>\r\n") && !plain.contains("List-Unsubscribe-Post"),
            "{plain}"
        );
        assert!(
            !text_of(&Outgoing {
                unsubscribe_url: None,
                ..mail()
            })
            .contains("List-Unsubscribe")
        );
    }

    /// Pins the derivation: a change would give mails that are already out another name, and their bounces would match nothing.
    #[test]
    fn a_message_id_depends_on_key_and_delivery_alone() {
        let id = message_id(b"key", 17, "portal.example");
        assert_eq!(id, message_id(b"key", 17, "portal.example"));
        assert_eq!(id.len(), 32 + 1 + "portal.example".len());
        assert_ne!(id, message_id(b"key", 18, "portal.example"));
        assert_ne!(id, message_id(b"another", 17, "portal.example"));
        insta::assert_snapshot!(id);
    }

    #[test]
    fn the_domain_of_a_sender_is_ascii() {
        for (from, domain) in [
            ("leads@portal.example", Some("portal.example")),
            ("Jörg <leads@Bücher.example>", Some("xn--bcher-kva.example")),
            ("posthorn@localhost", Some("localhost")),
            ("nobody", None),
        ] {
            assert_eq!(domain_of(from).as_deref(), domain, "{from}");
        }
    }
}
