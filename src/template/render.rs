//! Renders one mail, and says where in which file it could not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use tera::{Context, ErrorKind, Value};

use crate::outbox::Kind;
use crate::template::error::Error;
use crate::template::flat::Flat;
use crate::template::lex::Place;
use crate::template::load::{Language, Set};
use crate::template::near::hint;
use crate::template::view::View;
use crate::template::{clean, filters, plain};

/// What a part has at most, but for long digests: the engine would begin with far less, and copy what it has again and again.
const PART_BYTES: usize = 16 * 1024;

/// Gmail shows 102 kB of a mail's HTML and hides the rest, and with it the footer and the link to unsubscribe. A list that would make a mail
/// longer than this is shortened; the margin is for what is counted otherwise there.
const HTML_BYTES_MAX: usize = 100_000;

/// So many leads of a list are shown in full, the rest in short: who wants all of fifty cards opens the portal.
pub(crate) const FULL_MAX: usize = 8;

/// No mail says so much; a template that writes more is stopped.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

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
    /// How many of the view's `leads` it lists: fewer than there are where the mail would have become too long.
    pub n_listed: usize,
    /// Whether the plain text was made from the HTML, since its own template says nothing.
    pub is_text_derived: bool,
}

impl Set {
    /// Renders a mail in `language`, or where that is not there, in the one that [`Set::language_for`] takes instead. A mail that would be
    /// longer than mailboxes show lists fewer leads in full, then fewer at all. A mail whose template for plain text says nothing gets what its
    /// HTML says.
    ///
    /// # Errors
    /// A template prints what the view does not have, or its subject is empty: the template's fault, which the sample did not show.
    pub fn render(&self, kind: Kind, language: &str, view: &View) -> Result<Rendered, Error> {
        let name = self.language_for(&[language]);
        let (mut view, mut n_full) = (Cow::Borrowed(view), FULL_MAX);
        loop {
            let Language {
                brand_value, mentioned, ..
            } = &*self.languages[name];
            let context = || context(&mentioned[&kind], name, brand_value, kind, &view, n_full);
            let context = clean::in_direction(direction(name).0, context);
            let html = self.part(name, &format!("{kind}.html"), &context)?;
            if html.len() > HTML_BYTES_MAX && shorten(kind, &mut view, &mut n_full, html.len()) {
                continue;
            }
            let subject = clean::subject(&self.part(name, &format!("{kind}.subject"), &context)?);
            if subject.is_empty() {
                let file = self.languages[name].origins[&format!("{kind}.subject")].to_string();
                return Err(Error::EmptySubject { file, kind });
            }
            let mut text = plain::tidy(&self.part(name, &format!("{kind}.txt"), &context)?);
            let is_text_derived = text.is_empty();
            if is_text_derived {
                text = plain::of_html(&html);
            }
            return Ok(Rendered {
                subject,
                html,
                text,
                language: name.to_owned(),
                n_listed: view.leads.len(),
                is_text_derived,
            });
        }
    }

    fn part(&self, language: &str, file: &str, context: &Context) -> Result<String, Error> {
        let language = &self.languages[language];
        let mut written = Bounded(Vec::with_capacity(PART_BYTES));
        let rendered = language.engine.render_to(file, context, &mut written);
        if written.0.len() >= PART_BYTES_MAX {
            return Err(Error::Template {
                place: file.to_owned(),
                message: format!("writes more than {} MiB, which no mail says", PART_BYTES_MAX / 1024 / 1024),
            });
        }
        rendered.map_err(|error| Error::from_flat(&error, &language.flat, file))?;
        Ok(String::from_utf8(written.0).expect("templates and values are text"))
    }
}

/// Makes a list shorter whose mail has `n_bytes` of HTML: first what is shown in full, then what is listed. Tells whether there was anything
/// to shorten.
fn shorten(kind: Kind, view: &mut Cow<'_, View>, n_full: &mut usize, n_bytes: usize) -> bool {
    if *n_full > 0 && matches!(kind, Kind::Digest | Kind::Reminder) {
        *n_full /= 2;
        return true;
    }
    let n_listed = view.leads.len();
    if n_listed <= 1 {
        return false;
    }
    let view = view.to_mut();
    let fits = n_listed * HTML_BYTES_MAX / n_bytes;
    view.leads.truncate(fits.clamp(1, n_listed - 1));
    view.n_listed = view.leads.len();
    view.n_more = view.n_leads.saturating_sub(view.n_listed);
    view.has_attachment = kind == Kind::Digest;
    true
}

/// What is written, up to a bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > PART_BYTES_MAX {
            self.0.resize(PART_BYTES_MAX, b' ');
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns what a template sees: what is mentioned of the view, and of what is so for each mail in that language. Nothing else, since all of it
/// has to be made, and a name is looked up among all that are there.
fn context(mentioned: &[&'static str], language: &str, brand: &Value, kind: Kind, view: &View, n_full: usize) -> Context {
    let mut context = Context::new();
    let (direction, start_side, end_side) = direction(language);
    for &name in mentioned {
        match name {
            "language" => context.insert(name, language),
            "direction" => context.insert(name, direction),
            "start_side" => context.insert(name, start_side),
            "end_side" => context.insert(name, end_side),
            "kind" => context.insert(name, kind.as_str()),
            "n_full" => context.insert(name, &n_full),
            "brand" => context.insert_value(name, brand.clone()),
            "portal" => context.insert(name, &view.portal),
            "recipient" => context.insert(name, &view.recipient),
            "partner" => context.insert(name, &view.partner),
            "lead" => context.insert(name, &view.lead),
            "leads" => context.insert(name, &view.leads),
            "mailed" => context.insert(name, &view.mailed),
            "n_leads" => context.insert(name, &view.n_leads),
            "n_urgent" => context.insert(name, &view.n_urgent),
            "n_listed" => context.insert(name, &view.n_listed),
            "n_more" => context.insert(name, &view.n_more),
            "has_attachment" => context.insert(name, &view.has_attachment),
            "unsubscribe_url" => insert_text(&mut context, name, view.unsubscribe_url.as_deref().map(clean::without_blanks)),
            "forwarded_by" => insert_text(&mut context, name, view.forwarded_by.as_deref().map(clean::name)),
            // The contract's test finds a name that is missing here.
            _ => {}
        }
    }
    context
}

/// Hands over text of which something is left; what is missing is not there.
fn insert_text(context: &mut Context, name: &'static str, text: Option<Cow<'_, str>>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        context.insert(name, &text);
    }
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
        hint(name, filters::names())
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
    use crate::template::contract;
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
        for language in set.languages() {
            for kind in KINDS {
                let mail = set.render(kind, language, &sample(kind, language)).unwrap();
                insta::assert_snapshot!(format!("{language}-{kind}"), format!("{}\n\n{}", mail.subject, mail.text));
            }
        }
        for kind in [Kind::Lead, Kind::Digest] {
            let mail = set.render(kind, "en", &samples(kind, "en")[1].view).unwrap();
            insta::assert_snapshot!(format!("en-{kind}-bare"), format!("{}\n\n{}", mail.subject, mail.text));
        }
    }

    #[test]
    fn a_template_sees_each_name_of_its_contract() {
        for kind in KINDS {
            let mut view = sample(kind, "en");
            view.unsubscribe_url = Some("https://portal.example/u/x".to_owned());
            view.forwarded_by = Some("kim@fabrikam.example".to_owned());
            let names: Vec<&str> = contract::of_mail(kind).iter().map(|variable| variable.name).collect();
            let context = context(&names, "en", &set().languages["en"].brand_value, kind, &view, FULL_MAX);
            for name in names {
                assert!(context.contains_key(name), "{kind}: {name}");
            }
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
            // Those whose words stand in a mail as they are: not cut, not escaped.
            let plain = |kind| {
                let all = samples(kind, language).into_iter();
                let mut views: Vec<View> = all
                    .filter(|one| ["full", "empty", "cooled"].contains(&one.name))
                    .map(|one| one.view)
                    .collect();
                let mut long = views[0].clone();
                long.leads = long.leads.iter().cloned().cycle().take(30).collect();
                long.n_listed = long.leads.len();
                views.push(long);
                views.into_iter().map(move |view| (kind, view))
            };
            for (kind, view) in KINDS.into_iter().flat_map(plain) {
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
        for (language, kind) in set()
            .languages()
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
        for (language, kind) in set.languages().flat_map(|language| KINDS.map(|kind| (language, kind))) {
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
        assert_eq!(mail.n_listed, 100, "ordinary leads are all listed");
        // With names that fill their lines a hundred do not fit: the rest is counted, and in the CSV.
        for lead in &mut view.leads {
            lead.customer = "Vereinigte \"Norddeutsche\" & Co. ".repeat(6);
            lead.deal = Some("Einführung <einer> Auftragssteuerung ".repeat(5));
        }
        (view.n_leads, view.n_listed, view.n_more, view.has_attachment) = (100, 100, 0, false);
        let mail = render(Kind::Digest, "de", &view);
        assert!(
            mail.html.len() <= 100_000 && mail.n_listed < 100,
            "{} bytes, {}",
            mail.html.len(),
            mail.n_listed
        );
        let n_more = 100 - mail.n_listed;
        for body in [&mail.html, &mail.text.replace('\n', " ")] {
            assert!(
                body.contains(&format!("die ersten {}; {n_more} weitere Leads", mail.n_listed)),
                "{body}"
            );
            assert!(body.contains("CSV-Datei enthält alle 100"), "{body}");
        }
    }

    #[test]
    fn a_template_that_never_comes_to_an_end_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let loops = format!(
            "{{% for a in leads %}}{{% for b in leads %}}{}{{% endfor %}}{{% endfor %}}",
            "x".repeat(500)
        );
        std::fs::write(folder.path().join("digest.txt"), loops).unwrap();
        let set = Set::load_all(Some(folder.path())).unwrap().0;
        let mut view = sample(Kind::Digest, "en");
        view.leads = view.leads.iter().cloned().cycle().take(100).collect();
        let error = set.render(Kind::Digest, "en", &view).unwrap_err().to_string();
        assert_eq!(error, "digest.txt: writes more than 4 MiB, which no mail says");
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

    /// R-LOCALE
    #[test]
    fn no_mail_shows_a_key_or_a_tag_of_a_template_whatever_it_counts() {
        for language in set().languages() {
            for kind in KINDS {
                let all = samples(kind, language).into_iter().filter(|sample| sample.name != "hostile");
                let mut views: Vec<View> = all.map(|sample| sample.view).collect();
                // Each plural form that there is.
                views.extend([0, 1, 2, 3, 11, 100, 1_234, 1_000_000].map(|n| {
                    let mut view = sample(kind, language);
                    (view.n_leads, view.n_more, view.n_urgent) = (n, n, n);
                    let leads = view.lead.iter_mut().chain(&mut view.leads).chain(&mut view.mailed);
                    leads.for_each(|lead| lead.days_left = i64::try_from(n).unwrap());
                    view
                }));
                for view in views {
                    let mail = render(kind, language, &view);
                    for part in [&mail.subject, &mail.text, &mail.html] {
                        let is_left = ["{{", "}}", "{%", "%}", " t.", ">t."].iter().any(|tag| part.contains(tag));
                        assert!(!is_left, "{language}/{kind}: {part}");
                    }
                    let n_open = mail.text.matches('\u{2068}').count() + mail.text.matches('\u{2066}').count();
                    assert_eq!(
                        n_open,
                        mail.text.matches('\u{2069}').count(),
                        "{language}/{kind}: each isolate ends"
                    );
                }
            }
        }
        let mut view = sample(Kind::Digest, "en");
        view.n_leads = 1_234;
        for (language, n) in [
            ("en", "1,234"),
            ("de", "1.234"),
            ("fr", "1\u{202F}234"),
            ("es", "1234"),
            ("ar", "1,234"),
        ] {
            assert!(render(Kind::Digest, language, &view).subject.starts_with(n), "{language}");
        }
    }

    #[test]
    fn html_says_its_language_and_hides_a_preview_line() {
        for (language, preview) in [
            ("en", "🔥 Urgent: contact"),
            ("de", "🔥 Dringend: Bitte"),
            ("fr", "🔥 Urgent\u{202F}: contactez"),
            ("es", "🔥 Urgente: póngase"),
            ("ar", "🔥 عاجل: يُرجى"),
        ] {
            let html = render(Kind::Lead, language, &sample(Kind::Lead, language)).html;
            assert!(
                html.starts_with(&format!(
                    "<!doctype html><html lang=\"{language}\" dir=\"{}\"",
                    direction(language).0
                )),
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
