//! Reads what comes to where bounces go: a report of what became of a mail (RFC 3464, RFC 6533), an automatic answer, a complaint, or something else.
//!
//! In: the bytes of a mail, from anybody. Out: a [`Report`]; what cannot be read is missing from it, and nothing is guessed from prose. Beside the
//! standard two forms are read that name recipient and code in a way meant for programs: qmail's (QSBMF), and Exim's `X-Failed-Recipients`.
//!
//! **Invariants:** every input gives a report, in time and memory linear in its length. A report that a mail merely carries along, as somebody's
//! forwarded bounce does, is not the mail's own.
//! **Not here:** whether a word is believed (`app::bounce`), and what follows from it (`outbox`).

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders};

use crate::outbox::bounce::{Action, Recipient, Report, Sort, xtext};
use crate::outbox::reply::{Reply, parse_enhanced};

/// Recipients of one report that are read: a mail of posthorn's has one, which a list behind it may turn into several.
const RECIPIENTS_MAX: usize = 100;
/// Addresses of a header that are looked at.
const ADDRESSES_MAX: usize = 100;
/// Characters of a field that are kept: a diagnostic is a sentence or two.
const FIELD_CHARS_MAX: usize = 500;

/// The headers that tell to whom a mail came, as mailboxes write them: Postfix, qmail, Exim, Dovecot, fetchmail, and the sender's own.
const CAME_TO: &[&str] = &[
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "X-Envelope-To",
    "X-Delivered-To",
    "X-RCPT-To",
    "To",
    "Cc",
    "Return-Path",
];

/// Reads a mail.
pub fn read(raw: &[u8]) -> Report {
    let Some(message) = MessageParser::default().parse(raw) else {
        return Report::default();
    };
    let mut report = Report {
        message_id: message.message_id().map(cut),
        came_to: headers(&message, CAME_TO)
            .flat_map(|value| addresses_in(&value))
            .take(ADDRESSES_MAX)
            .collect(),
        ..Report::default()
    };
    for part in &message.parts {
        match media_type(part).as_str() {
            "message/delivery-status" | "message/global-delivery-status" => {
                report.sort = Sort::Report;
                read_status(&String::from_utf8_lossy(part.contents()), &mut report);
            }
            "message/feedback-report" => report.sort = Sort::Complaint,
            "text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers" => {
                if let Some(original) = MessageParser::default().parse_headers(part.contents()) {
                    read_original(&original, &mut report);
                }
            }
            _ => {
                if let Some(original) = part.message() {
                    read_original(original, &mut report);
                }
            }
        }
    }
    if report.sort == Sort::Other {
        let text = message.body_text(0).unwrap_or_default();
        if text.starts_with("Hi. This is the") {
            read_qsbmf(&text, &mut report);
        } else if let Some(failed) = headers(&message, &["X-Failed-Recipients"]).next() {
            read_failed(&failed, &text, &mut report);
        } else if is_automatic(&message) {
            report.sort = Sort::AutoReply;
        } else if headers(&message, &["Return-Path"]).any(|value| value.trim() == "<>") {
            // Nobody waits for an answer to it, as to a report (RFC 5321 §4.5.5); what it reports, only people can read.
            report.sort = Sort::Report;
        }
    }
    report
}

fn media_type(part: &MessagePart<'_>) -> String {
    let Some(kind) = part.content_type() else { return String::new() };
    format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase()
}

/// Returns the values of headers as they stand, in the order of `names`, unfolded.
fn headers<'a>(message: &'a Message<'_>, names: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    names.iter().flat_map(move |name| {
        let of_name = message.headers_raw().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

/// Lists what looks like an address in a header.
fn addresses_in(value: &str) -> Vec<String> {
    let words = value.split(|c: char| c.is_whitespace() || "<>,;:\"()".contains(c));
    words.filter(|word| word.contains('@')).map(cut).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(FIELD_CHARS_MAX).collect()
}

/// Takes what tells whose mail came back, from the mail or its headers.
fn read_original(original: &Message<'_>, report: &mut Report) {
    if report.original_id.is_none() {
        report.original_id = original.message_id().map(cut);
        report.original_to = headers(original, &["To"])
            .flat_map(|value| addresses_in(&value))
            .take(ADDRESSES_MAX)
            .collect();
    }
}

/// Reads the machine's part of a report (RFC 3464 §2): fields in groups with blank lines between, the first about the mail, the others about a recipient.
fn read_status(text: &str, report: &mut Report) {
    for group in groups(text) {
        let field = |name: &str| {
            let found = group.iter().find(|(of, _)| of.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        if let Some(id) = field("Original-Envelope-Id") {
            report.envelope_id = Some(xtext(id).unwrap_or_else(|| id.to_owned()));
        }
        if let Some(reporter) = field("Reporting-MTA") {
            report.reporter = Some(behind_type(reporter).to_owned());
        }
        let recipient = Recipient {
            original: field("Original-Recipient").map(address),
            last: field("Final-Recipient").map(address),
            action: field("Action").and_then(action),
            // Some write a comment behind it: `5.1.1 (bad destination mailbox address)`.
            status: field("Status").and_then(|status| status.split([' ', '(']).next().and_then(parse_enhanced)),
            diagnostic: field("Diagnostic-Code").map(|words| behind_type(words).to_owned()),
            remote: field("Remote-MTA").map(|remote| behind_type(remote).to_owned()),
        };
        if (recipient.original.is_some() || recipient.last.is_some()) && report.recipients.len() < RECIPIENTS_MAX {
            report.recipients.push(recipient);
        }
    }
}

/// Splits fields into groups, and puts folded lines together.
fn groups(text: &str) -> Vec<Vec<(String, String)>> {
    let mut groups: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines().take(RECIPIENTS_MAX * 20) {
        let group = groups.last_mut().expect("there is one from the beginning");
        if line.trim().is_empty() {
            if !group.is_empty() {
                groups.push(Vec::new());
            }
        } else if line.starts_with([' ', '\t'])
            && let Some((_, value)) = group.last_mut()
        {
            *value = cut(&format!("{value} {}", line.trim()));
        } else if let Some((name, value)) = line.split_once(':') {
            group.push((name.trim().to_owned(), cut(value.trim())));
        }
    }
    groups
}

/// Returns what stands behind a field's type: `dns; mx.example`, `smtp;550 5.1.1 …`.
fn behind_type(value: &str) -> &str {
    let is_type = |kind: &str| !kind.is_empty() && kind.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match value.split_once(';') {
        Some((kind, rest)) if is_type(kind) => rest.trim(),
        _ => value.trim(),
    }
}

/// Returns an address without type, angle brackets and comment; of the type `utf-8` decoded (RFC 6533 §3).
fn address(value: &str) -> String {
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let rest = behind_type(value);
    let bare = match (rest.find('<'), rest.rfind('>')) {
        (Some(from), Some(to)) if from < to => &rest[from + 1..to],
        // An address in quotation marks may hold a blank; a comment follows one that does not.
        _ if !rest.starts_with('"') => rest.split_whitespace().next().unwrap_or_default(),
        _ => rest,
    };
    if kind == "utf-8" { unicode(bare) } else { bare.to_owned() }
}

/// Decodes `\x{…}`, by which an address of the type `utf-8` travels in ASCII (RFC 6533 §3).
fn unicode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\\x{") {
        decoded.push_str(before);
        let point = behind
            .split_once('}')
            .and_then(|(digits, after)| Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, after)));
        let Some((c, after)) = point else { return text.to_owned() };
        decoded.push(c);
        rest = after;
    }
    decoded.push_str(rest);
    decoded
}

fn action(value: &str) -> Option<Action> {
    // Sendmail writes a comment behind it: `delayed (will retry)`.
    let word = value.split([' ', '(']).next().unwrap_or_default().to_ascii_lowercase();
    Some(match word.as_str() {
        "failed" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ => return None,
    })
}

/// Reads qmail's form: a paragraph a recipient that begins `<address>:`, then one that begins with a hyphen, then the mail
/// (<http://cr.yp.to/proto/qsbmf.txt>). It is sent when a mail is given up, and for nothing else.
fn read_qsbmf(text: &str, report: &mut Report) {
    let text = text.replace("\r\n", "\n");
    let mut rest = text.as_str();
    while let Some((paragraph, behind)) = rest.split_once("\n\n") {
        rest = behind.trim_start_matches('\n');
        if paragraph.starts_with('-') {
            if let Some(original) = MessageParser::default().parse_headers(rest.as_bytes()) {
                read_original(&original, report);
            }
            break;
        }
        let Some((named, words)) = paragraph.strip_prefix('<').and_then(|rest| rest.split_once(">:")) else {
            continue;
        };
        if report.recipients.len() < RECIPIENTS_MAX {
            report.sort = Sort::Report;
            report.recipients.push(failed(named, words));
        }
    }
}

/// Reads Exim's header of failed recipients, and for one of them the reply in the text.
fn read_failed(failed_recipients: &str, text: &str, report: &mut Report) {
    report.sort = Sort::Report;
    let named = addresses_in(failed_recipients);
    for address in named.iter().take(RECIPIENTS_MAX) {
        // Whose the reply is stands in prose, unless there is one recipient.
        let words = if named.len() == 1 { reply_line(text) } else { None };
        report.recipients.push(failed(address, words.unwrap_or_default()));
    }
    let copy = text
        .split("------ This is a copy of ")
        .nth(1)
        .and_then(|copy| copy.split_once("------"));
    if let Some((_, original)) = copy
        && let Some(original) = MessageParser::default().parse_headers(original.trim_start().as_bytes())
    {
        read_original(&original, report);
    }
}

/// Returns the reply that a text repeats: three digits and an enhanced code of their class, side by side.
fn reply_line(text: &str) -> Option<&str> {
    let before_copy = text.split("------ This is a copy of ").next().unwrap_or_default();
    before_copy.lines().find_map(|line| {
        line.match_indices(['4', '5']).find_map(|(at, _)| {
            let is_start = line[..at].ends_with([' ', ':', '\t']) || at == 0;
            let rest = &line[at..];
            let (code, enhanced) = (rest.get(..3)?, rest.get(4..)?.split(' ').next()?);
            let is_reply = is_start && code.bytes().all(|byte| byte.is_ascii_digit()) && parse_enhanced(enhanced).is_some();
            is_reply.then_some(rest)
        })
    })
}

/// Makes a recipient that failed by what was said of him.
fn failed(address: &str, words: &str) -> Recipient {
    let words = cut(&words.split_whitespace().collect::<Vec<_>>().join(" "));
    let reply = Reply::new(500, words.as_str());
    let soft = || Reply::new(400, words.as_str()).enhanced;
    Recipient {
        last: Some(cut(address)),
        action: Some(Action::Failed),
        status: reply.enhanced.or_else(soft),
        diagnostic: (!words.is_empty()).then_some(words),
        ..Recipient::default()
    }
}

/// Tells whether no person wrote a mail (RFC 3834 §5, and what was in use before it).
fn is_automatic(message: &Message<'_>) -> bool {
    let is_submitted_so = headers(message, &["Auto-Submitted"]).any(|value| !value.to_ascii_lowercase().starts_with("no"));
    let is_precedence = headers(message, &["Precedence", "X-Precedence"]).any(|value| value.eq_ignore_ascii_case("auto_reply"));
    let marks = [
        "X-Autoreply",
        "X-Autorespond",
        "X-AutoReply-From",
        "X-Mail-Autoreply",
        "X-Autogenerated",
    ];
    let is_receipt = message
        .root_part()
        .content_type()
        .and_then(|kind| kind.attribute("report-type"))
        .is_some_and(|kind| kind.eq_ignore_ascii_case("disposition-notification"));
    is_submitted_so || is_precedence || is_receipt || headers(message, &marks).next().is_some()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// Writes a report down as the files beside the mails have it.
    fn shown(report: &Report) -> String {
        let mut lines = format!("sort: {}\n", report.sort.as_str());
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                _ = writeln!(lines, "{name}: {value}");
            }
        };
        line("message-id", report.message_id.as_deref().unwrap_or_default());
        line("came to", &report.came_to.join(" "));
        line("envelope id", report.envelope_id.as_deref().unwrap_or_default());
        line("original id", report.original_id.as_deref().unwrap_or_default());
        line("original to", &report.original_to.join(" "));
        line("reporter", report.reporter.as_deref().unwrap_or_default());
        for recipient in &report.recipients {
            let class = recipient.class().map_or("unclear", |class| class.as_str());
            line("\nclass", class);
            line("original", recipient.original.as_deref().unwrap_or_default());
            line("last", recipient.last.as_deref().unwrap_or_default());
            line("remote", recipient.remote.as_deref().unwrap_or_default());
            line("said", &recipient.said());
        }
        lines
    }

    /// Each `NAME.eml` of `tests/data/bounces` has its reading beside it in `NAME.txt`; `POSTHORN_UPDATE_BOUNCES=1` writes those that are missing.
    #[test]
    fn every_mail_of_the_collection_is_read_as_it_says_beside_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bounces");
        let mut mails: Vec<_> = fs::read_dir(&folder)
            .expect("the collection is there")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "eml"))
            .collect();
        mails.sort();
        assert!(mails.len() >= 20, "{} mails", mails.len());
        let mut wrong = Vec::new();
        for path in mails {
            let raw = fs::read(&path).expect("a mail");
            let expected_at = path.with_extension("txt");
            let report = shown(&read(&raw));
            if !expected_at.exists() && std::env::var_os("POSTHORN_UPDATE_BOUNCES").is_some() {
                fs::write(&expected_at, &report).expect("it is written");
            }
            let expected = fs::read_to_string(&expected_at).unwrap_or_default();
            if report != expected {
                wrong.push(format!("{}\nread:\n{report}\nexpected:\n{expected}", path.display()));
            }
            // Mailboxes keep it with bare line feeds, as the collection does; over the wire it comes otherwise.
            let wire = String::from_utf8_lossy(&raw).replace('\n', "\r\n");
            assert_eq!(shown(&read(wire.as_bytes())), report, "{} as it travels", path.display());
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    }

    #[test]
    fn an_address_is_read_however_it_is_dressed() {
        for (value, expected) in [
            ("rfc822; kim@contoso.example", "kim@contoso.example"),
            ("RFC822;<kim@contoso.example>", "kim@contoso.example"),
            ("rfc822; kim@contoso.example (Kim)", "kim@contoso.example"),
            ("rfc822;\"kim l\"@contoso.example", "\"kim l\"@contoso.example"),
            ("kim@contoso.example", "kim@contoso.example"),
            ("utf-8; k\\x{FC}m@b\\x{FC}cher.example", "küm@bücher.example"),
            ("utf-8; k\\x{ZZ}m@contoso.example", "k\\x{ZZ}m@contoso.example"),
            ("utf-8; küm@contoso.example", "küm@contoso.example"),
        ] {
            assert_eq!(address(value), expected, "{value}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever comes is read, and says nothing of anybody unless it has a part for it.
        #[test]
        fn nothing_that_comes_stops_the_reader(raw in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(read(&raw).recipients.len() <= RECIPIENTS_MAX);
        }

        #[test]
        fn a_report_that_is_cut_or_broken_is_read_as_far_as_it_goes(cut_at in 0..4000_usize, flip in 0..4000_usize) {
            let mut raw = include_bytes!("../../tests/data/bounces/postfix-unknown-user.eml").to_vec();
            raw.truncate(cut_at);
            if let Some(byte) = raw.get_mut(flip) {
                *byte ^= 0x55;
            }
            prop_assert!(read(&raw).recipients.len() <= 1);
        }
    }
}
