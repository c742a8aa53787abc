//! Renders one mail, and says where in which file it could not.

use std::collections::BTreeMap;

use tera::{Context, ErrorKind};

use crate::outbox::Kind;
use crate::template::error::Error;
use crate::template::flat::Flat;
use crate::template::lex::Place;
use crate::template::load::Set;
use crate::template::near::hint;
use crate::template::view::View;
use crate::template::{clean, filters, plain};

/// What a part has at most, but for long digests: the engine would begin with far less, and copy what it has again and again.
const PART_BYTES: usize = 16 * 1024;

/// A mail's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line of at most 200 characters, without control characters.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain-text part: LF, wrapped, without runs of blank lines.
    pub text: String,
    /// The language that it is in, as its folder is named.
    pub language: String,
}

impl Set {
    /// Renders a mail in `language`, or where that is not there, in the one that [`Set::language_for`] takes instead.
    ///
    /// # Errors
    /// A template prints what the view does not have, or its subject is empty: the template's fault, which the sample did not show.
    pub fn render(&self, kind: Kind, language: &str, view: &View) -> Result<Rendered, Error> {
        let name = self.language_for(&[language]);
        let language = &self.languages[name];
        let context = context(name, kind, view).map_err(|error| Error::from_flat(&error, &language.flat, ""))?;
        let part = |part: &str| {
            let file = format!("{kind}.{part}");
            let mut written = Vec::with_capacity(PART_BYTES);
            language
                .engine
                .render_to(&file, &context, &mut written)
                .map_err(|error| Error::from_flat(&error, &language.flat, &file))?;
            Ok(String::from_utf8(written).expect("templates and values are text"))
        };
        let subject = clean::one_line(&part("subject")?).into_owned();
        if subject.is_empty() {
            let file = language.origins[&format!("{kind}.subject")].to_string();
            return Err(Error::EmptySubject { file, kind });
        }
        Ok(Rendered {
            subject,
            html: plain::compact(&part("html")?),
            text: plain::tidy(&part("txt")?),
            language: name.to_owned(),
        })
    }
}

/// Returns what a template sees: the view's fields, and `language`, `direction` with its sides, and `kind`.
fn context(language: &str, kind: Kind, view: &View) -> Result<Context, tera::Error> {
    let mut context = Context::from_serialize(view)?;
    context.insert("language", language);
    let (direction, start_side, end_side) = direction(language);
    context.insert("direction", direction);
    context.insert("start_side", start_side);
    context.insert("end_side", end_side);
    context.insert("kind", kind.as_str());
    Ok(context)
}

/// Returns the direction in which a language is written, and where its lines begin and end.
pub(crate) fn direction(language: &str) -> (&'static str, &'static str, &'static str) {
    match clean::primary(language).as_str() {
        "ar" | "dv" | "fa" | "he" | "ku" | "ps" | "ur" | "yi" => ("rtl", "right", "left"),
        _ => ("ltr", "left", "right"),
    }
}

impl Error {
    /// Says what the engine says of a file, with the name that the operator knows it by. `places`: where each text begins.
    pub(crate) fn from_engine(error: &tera::Error, places: &BTreeMap<String, Place>) -> Self {
        let start = |name: &str| places.get(name).cloned().unwrap_or_else(|| Place::start_of(&name.into()));
        let (name, at, message) = read(error);
        let mut place = start(&name);
        if let Some((line, column, _)) = at {
            place = Place {
                line: place.line + line - 1,
                column: if line == 1 { place.column + column - 1 } else { column },
                ..place
            };
        }
        Self::at(&place, with_hint(in_our_style(&message), places.keys().map(String::as_str)))
    }

    /// Says what the engine says of a flat template, with the place where it was written. `file`: what was rendered, if anything was.
    pub(crate) fn from_flat(error: &tera::Error, flat: &BTreeMap<String, Flat>, file: &str) -> Self {
        let (name, at, message) = read(error);
        let name = if name.is_empty() { file.to_owned() } else { name };
        let place = flat.get(&name).and_then(|flat| {
            let (line, column, byte) = at?;
            let byte = byte.unwrap_or_else(|| offset(&flat.text, line, column));
            flat.place_of(byte)
        });
        match place {
            Some(place) => Self::at(&place, in_our_style(&message)),
            None => Self::Template {
                place: if name.is_empty() { "templates".to_owned() } else { name },
                message: in_our_style(&message),
            },
        }
    }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let within = text[start..].char_indices().nth(column.saturating_sub(1)).map_or(0, |(at, _)| at);
    start + within
}

/// A line and a column, both from 1, and the byte where that is known.
type At = (usize, usize, Option<usize>);

/// Reads what the engine has to say: of which template, where in it, and what.
fn read(error: &tera::Error) -> (String, Option<At>, String) {
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let span = report.span();
            let at = (span.start_line, span.start_col + 1, Some(span.range.start));
            (report.filename().to_owned(), Some(at), report.message().to_owned())
        }
        ErrorKind::MissingParent { current, parent } => (current.clone(), None, format!("extends \"{parent}\", which is not there")),
        ErrorKind::CircularExtend {
            tpl,
            inheritance_chain: chain,
        }
        | ErrorKind::CircularInclude { tpl, include_chain: chain } => {
            (tpl.clone(), None, format!("leads back to itself: {}", chain.join(" → ")))
        }
        // Unknown filters, tests, functions and includes come as finished reports, several in one text: the first one's place is read back.
        kind => {
            let text = kind.to_string();
            let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let place = text.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
            let mut parts = place.unwrap_or_default().rsplitn(3, ':');
            let column = parts.next().and_then(|column| column.parse().ok());
            let line = parts.next().and_then(|line| line.parse().ok());
            let name = parts.next().unwrap_or_default().to_owned();
            (name, line.zip(column).map(|(line, column)| (line, column, None)), message)
        }
    }
}

/// Adds what was meant, where the engine only says that a name is unknown.
fn with_hint<'a>(message: String, files: impl Iterator<Item = &'a str>) -> String {
    let name = message.split('"').nth(1).unwrap_or_default();
    let hint = if message.starts_with("unknown filter") {
        hint(name, filters::KNOWN)
    } else if message.starts_with("unknown template") || message.starts_with("extends ") {
        hint(name, files)
    } else {
        String::new()
    };
    message + &hint
}

/// Lower case at the start, straight quotes, no full stop, and a way out where the engine knows none.
fn in_our_style(message: &str) -> String {
    let message = message
        .trim()
        .trim_end_matches('.')
        .replace('`', "\"")
        .replace(". Available", "; available");
    let mut chars = message.chars();
    let mut styled: String = chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect());
    if styled.starts_with("field ") && styled.ends_with(" is not defined") {
        styled.push_str("; what it belongs to may be missing: put {% if … %} around it");
    }
    styled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::load::{KINDS, built_in};
    use crate::template::sample::{sample, samples};
    use crate::template::view::{ContactView, LeadView};

    fn set() -> &'static Set {
        built_in()
    }

    fn render(kind: Kind, language: &str, view: &View) -> Rendered {
        set().render(kind, language, view).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What people read, reviewed as prose: src/template/snapshots.
    #[test]
    fn each_kind_reads_well_in_each_language() {
        let set = set();
        for language in ["en", "de"] {
            for kind in KINDS {
                let mail = set.render(kind, language, &sample(kind, language)).unwrap();
                insta::assert_snapshot!(format!("{language}-{kind}"), format!("{}\n\n{}", mail.subject, mail.text));
            }
        }
        for kind in [Kind::Lead, Kind::Digest] {
            let mail = set.render(kind, "en", &samples(kind, "en")[1]).unwrap();
            insta::assert_snapshot!(format!("en-{kind}-bare"), format!("{}\n\n{}", mail.subject, mail.text));
        }
    }

    /// R-WHO-MAILS.
    #[test]
    fn a_mail_names_its_leads_and_warns_of_them_in_html_and_text_alike() {
        let set = set();
        for (language, urgent, cooled, warning) in [
            (
                "en",
                "Urgent: contact the customer as soon as possible",
                "Still active: if you are interested",
                "identity behind a lead is not verified",
            ),
            (
                "de",
                "Dringend: Bitte nehmen Sie so bald wie möglich",
                "Weiterhin aktiv: Nehmen Sie bei Interesse",
                "Identität hinter einem Lead ist nicht überprüft",
            ),
        ] {
            for (kind, view) in KINDS.into_iter().flat_map(|kind| samples(kind, language).map(|view| (kind, view))) {
                let mail = set.render(kind, language, &view).unwrap();
                // Wrapped text is compared with its lines joined.
                let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
                for body in [&mail.html, &text] {
                    assert!(body.contains(warning), "{language}/{kind}: {body}");
                    for lead in view.lead.iter().chain(&view.leads).chain(&view.mailed) {
                        assert!(body.contains(&lead.customer), "{language}/{kind}: {body}");
                        assert!(
                            lead.deal.as_ref().is_none_or(|deal| body.contains(deal)),
                            "{language}/{kind}: {body}"
                        );
                        if kind == Kind::Decline {
                            continue; // the customer has no use for the partner's deadline and link
                        }
                        assert!(body.contains(&lead.due) && body.contains(&lead.link), "{language}/{kind}: {body}");
                        let urgency = match (kind, lead.urgency) {
                            (Kind::Expiry, _) | (_, None) => "",
                            (_, Some("urgent")) => urgent,
                            (_, Some(_)) => cooled,
                        };
                        assert!(body.contains(urgency), "{language}/{kind}: {body}");
                    }
                }
            }
        }
    }

    /// R-EXPIRY, R-DECLINE, R-OPTOUT: whatever the view holds.
    #[test]
    fn notices_to_senders_and_customers_carry_no_contact_data_no_notes_and_no_unsubscribe_link() {
        let lead = sample(Kind::Lead, "en");
        for (language, kind) in ["en", "de"]
            .into_iter()
            .flat_map(|language| [Kind::Expiry, Kind::Decline].map(|kind| (language, kind)))
        {
            let mut view = sample(kind, language);
            view.unsubscribe_url = lead.unsubscribe_url.clone();
            (view.lead, view.leads) = (lead.lead.clone(), vec![lead.lead.clone().unwrap()]);
            let mail = render(
                kind,
                language,
                &View {
                    recipient: lead.recipient.clone(),
                    ..view
                },
            );
            for secret in ["Robin", "robin@", "901820", "branch offices on servers", "/u/c2FtcGxl"] {
                assert!(
                    !mail.html.contains(secret) && !mail.text.contains(secret),
                    "{language}/{kind} shows {secret:?}"
                );
            }
        }
    }

    #[test]
    fn text_from_a_lead_stays_text() {
        let evil = "<script>alert(1)</script>{{ portal.name }}{% raw %}\"'&\r\nBcc: x@evil.example\u{202E}\u{0}";
        let some = || Some(evil.to_owned());
        let lead = LeadView {
            customer: evil.to_owned(),
            deal: some(),
            urgency: Some("urgent"),
            link: "https://portal.example/leads/\"><script>".to_owned(),
            contact: Some(ContactView {
                name: some(),
                email: Some("a@b.example?bcc=c@d.example\"><script>".to_owned()),
                phone: some(),
            }),
            notes: Some(format!("{evil}\nOpen lead:       https://evil.example/")),
            country: some(),
            source: some(),
            call_to_action: some(),
            value: some(),
            ..LeadView::default()
        };
        let set = set();
        for (language, kind) in ["en", "de"].into_iter().flat_map(|language| KINDS.map(|kind| (language, kind))) {
            let mut view = sample(kind, language);
            view.recipient.name = some();
            view.partner.as_mut().unwrap().name = evil.to_owned();
            (view.lead, view.mailed) = (Some(lead.clone()), vec![lead.clone()]);
            (view.leads, view.n_leads, view.n_listed) = (vec![lead.clone(); 14], 14, 14);
            let mail = set.render(kind, language, &view).unwrap();
            assert!(
                !mail.html.contains("<script") && mail.html.contains("&lt;script&gt;alert(1)"),
                "{kind}: {}",
                mail.html
            );
            assert!(mail.html.contains("{{ portal.name }}{% raw %}"), "{kind}: shown as written");
            for link in mail
                .html
                .split("href=\"mailto:")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap())
            {
                assert_eq!(
                    link, "a@b.example%3Fbcc%3Dc@d.example%22%3E%3Cscript%3E",
                    "{kind}: no header smuggled into a link"
                );
            }
            assert!(!mail.subject.contains(['\r', '\n', '\0', '\u{202E}']), "{kind}: {:?}", mail.subject);
            assert!(!mail.text.contains(['\r', '\0', '\u{202E}']));
            // Long names wrap, so a line may begin in the middle of one; but none of their own begins a paragraph or a list of facts.
            let joined = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let n_within = joined.matches("\"'& Bcc:").count() + joined.matches("\"'& > Bcc:").count();
            assert_eq!(joined.matches("Bcc:").count(), n_within, "{}", mail.text);
            assert!(
                !mail.text.contains("\n\nBcc:") && !mail.text.lines().any(|line| line.starts_with("Open lead:       https://evil")),
                "{}",
                mail.text
            );
        }
        let mail = set
            .render(
                Kind::Lead,
                "en",
                &View {
                    lead: Some(lead),
                    ..sample(Kind::Lead, "en")
                },
            )
            .unwrap();
        assert!(mail.text.contains("\n> Open lead:"), "notes are quoted: {}", mail.text);
    }

    /// R-DIGEST. Gmail cuts what is longer than 102 kB, and with it the footer.
    #[test]
    fn a_digest_of_a_hundred_leads_stays_below_what_mailboxes_cut() {
        let mut view = sample(Kind::Digest, "de");
        view.leads = view.leads.iter().cloned().cycle().take(100).collect();
        for lead in &mut view.leads {
            lead.customer = "Vereinigte Norddeutsche Maschinenbau Holding GmbH & Co. KG".to_owned();
            lead.deal = Some("Einführung einer durchgängigen Auftragssteuerung über drei Werke".to_owned());
            lead.link = "https://partner.portal.example/referrals/leads/9d0f1c9e-6a8e-4c3e-8f57-0f6f5a1f9a11?tab=marketplace".to_owned();
        }
        (view.n_leads, view.n_listed, view.n_more) = (144, 100, 44);
        let mail = render(Kind::Digest, "de", &view);
        assert!(mail.html.len() < 100_000, "{} bytes", mail.html.len());
    }

    #[test]
    fn a_subject_is_one_line_of_bounded_length() {
        let mut view = sample(Kind::Lead, "en");
        let lead = view.lead.as_mut().unwrap();
        lead.customer = "Contoso ".repeat(500);
        lead.deal = Some("\n\nDeal".to_owned());
        let subject = render(Kind::Lead, "en", &view).subject;
        assert!(
            subject.starts_with("Urgent lead: Contoso Contoso") && subject.chars().count() <= 200,
            "{subject}"
        );
    }

    #[test]
    fn html_says_its_language_and_hides_a_preview_line() {
        for (language, preview) in [("en", "🔥 Urgent: contact"), ("de", "🔥 Dringend: Bitte")] {
            let html = render(Kind::Lead, language, &sample(Kind::Lead, language)).html;
            assert!(
                html.starts_with(&format!("<!doctype html><html lang=\"{language}\" dir=\"ltr\"")),
                "{html}"
            );
            let hidden = html.split("display:none").nth(1).unwrap().split("</div>").next().unwrap();
            assert!(hidden.contains(preview), "{hidden}");
            assert!(
                html.contains("href=\"tel:+4930901820") && html.contains("href=\"mailto:robin@contoso.example\""),
                "{html}"
            );
        }
    }
}
