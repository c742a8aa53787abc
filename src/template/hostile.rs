//! Tries the templates with texts that were collected to break programs: the Big List of Naughty Strings (MIT), and samples of Unicode's own
//! tests of bidirectional text and of emoji (tests/data/hostile).

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Mutex;

    use unicode_bidi::BidiInfo;

    use crate::mail::{Attachment, Letterhead, Outgoing, build};
    use crate::outbox::Kind;
    use crate::partner::EmailAddress;
    use crate::template::load::{KINDS, built_in};
    use crate::template::sample::sample;
    use crate::template::view::{ContactView, LeadView, View};
    use crate::template::{Rendered, clean, digest_csv};

    fn naughty() -> Vec<String> {
        serde_json::from_str(include_str!("../../tests/data/hostile/blns.json")).unwrap()
    }

    /// Reads lines of code points.
    fn code_points(file: &str) -> Vec<String> {
        let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let point = |point: &str| char::from_u32(u32::from_str_radix(point, 16).unwrap()).unwrap();
        lines.map(|line| line.split_whitespace().map(point).collect()).collect()
    }

    fn bidi() -> Vec<String> {
        code_points(include_str!("../../tests/data/hostile/bidi.txt"))
    }

    fn emoji() -> Vec<String> {
        code_points(include_str!("../../tests/data/hostile/emoji.txt"))
    }

    /// A view in which a stranger's text stands wherever one can put it.
    fn view_of(kind: Kind, language: &str, text: &str) -> View {
        let some = || Some(text.to_owned());
        let mut view = sample(kind, language);
        let shown = view.lead.clone().or(view.leads.first().cloned()).unwrap_or_default();
        let lead = LeadView {
            customer: text.to_owned(),
            deal: some(),
            partner: some(),
            contact: Some(ContactView {
                name: some(),
                email: some(),
                phone: some(),
            }),
            notes: some(),
            country: some(),
            source: some(),
            call_to_action: some(),
            value: some(),
            ..shown
        };
        view.recipient.name = some();
        if view.lead.is_some() {
            view.lead = Some(lead);
        } else {
            (view.leads, view.n_leads, view.n_listed, view.n_more) = (vec![lead.clone()], 1, 1, 0);
            view.mailed = if kind == Kind::Digest { vec![lead] } else { Vec::new() };
        }
        view
    }

    fn render(kind: Kind, language: &str, view: &View) -> Rendered {
        built_in().render(kind, language, view).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The elements of a document in their order, without the line breaks and links that depend on what a text holds; and all links.
    fn elements(html: &str) -> (Vec<&str>, BTreeSet<&str>) {
        let mut tags = Vec::new();
        let mut links = BTreeSet::new();
        for part in html.split('<').skip(1) {
            let tag = part.split('>').next().unwrap();
            let name = tag.split([' ', '\n', '/']).find(|name| !name.is_empty()).unwrap_or_default();
            if let Some((_, rest)) = tag.split_once("href=\"") {
                links.insert(rest.split('"').next().unwrap());
            }
            if !matches!(name, "br" | "a") {
                tags.push(name);
            }
        }
        (tags, links)
    }

    /// Every text stands in the mail as text: it adds no element, opens no other link, and no template's tag is read from it.
    fn check_html(kind: Kind, language: &str, text: &str, mail: &Rendered) {
        let is_there = !clean::one_line(text).is_empty();
        static HARMLESS: Mutex<BTreeMap<(Kind, String, bool), Rendered>> = Mutex::new(BTreeMap::new());
        let mut harmless = HARMLESS.lock().unwrap();
        let harmless = harmless.entry((kind, language.to_owned(), is_there)).or_insert_with(|| {
            let text = if is_there { "harmless" } else { "" };
            render(kind, language, &view_of(kind, language, text))
        });
        let ((tags, links), (expected, _)) = (elements(&mail.html), elements(&harmless.html));
        assert_eq!(tags, expected, "{kind}, {language}: {text:?}");
        for link in links {
            assert!(
                ["https://", "mailto:", "tel:"].iter().any(|scheme| link.starts_with(scheme)) && !link.contains(char::is_whitespace),
                "{kind}, {language}: {text:?} makes the link {link:?}"
            );
            if let Some(address) = link.strip_prefix("mailto:") {
                assert!(!address.contains(['?', '&', ',', ';']), "{text:?} makes the link {link:?}");
            }
        }
    }

    /// The headers of a mail without a thread and without a link to unsubscribe.
    const HEADERS: [&str; 11] = [
        "Date",
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Content-Language",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "X-Posthorn-Kind",
        "MIME-Version",
        "Content-Type",
    ];

    /// The mail has the headers that it would have anyway, and its parts say what was rendered.
    fn check_mail(kind: Kind, text: &str, view: &View, mail: &Rendered) {
        let csv = digest_csv(view.lead.iter().chain(&view.leads));
        let written = |mail: &Rendered| {
            let letterhead = Letterhead::new("Portal <leads@portal.example>", None, None).unwrap();
            let outgoing = Outgoing {
                kind,
                message_id: "m1@portal.example".to_owned(),
                date: "2026-03-02T16:00:00Z".parse().unwrap(),
                to: EmailAddress::from_stored("kim@fabrikam.example".to_owned()),
                to_name: Some(text.to_owned()),
                subject: mail.subject.clone(),
                html: mail.html.clone(),
                text: mail.text.clone(),
                language: mail.language.clone(),
                references: Vec::new(),
                in_reply_to: None,
                unsubscribe_url: None,
                attachments: vec![Attachment {
                    file_name: "leads.csv".to_owned(),
                    content_type: "text/csv; charset=utf-8".to_owned(),
                    bytes: csv.clone(),
                }],
                extra_headers: Vec::new(),
            };
            build(&letterhead, &outgoing).unwrap_or_else(|error| panic!("{error}: {text:?}"))
        };
        let names = |bytes: &[u8]| -> Vec<String> {
            let head = String::from_utf8_lossy(bytes);
            let head = head.split("\r\n\r\n").next().unwrap();
            let lines = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
            lines.map(|line| line.split(':').next().unwrap().to_owned()).collect()
        };
        let bytes = written(mail);
        assert_eq!(names(&bytes), HEADERS, "{text:?}");
        let parsed = mail_parser::MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(parsed.subject().unwrap_or_default().trim(), mail.subject, "{text:?}");
        let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
        assert_eq!(lines(&parsed.body_html(0).unwrap()), lines(&mail.html), "{text:?}");
        assert_eq!(lines(&parsed.body_text(0).unwrap()), lines(&mail.text), "{text:?}");
        check_csv(text, &csv);
    }

    /// No cell is a formula, and each row is one row.
    fn check_csv(text: &str, csv: &[u8]) {
        let csv = csv.strip_prefix(b"\xEF\xBB\xBF").unwrap();
        for row in csv::Reader::from_reader(csv).records() {
            let row = row.unwrap_or_else(|error| panic!("{error}: {text:?}"));
            assert!(
                row.iter()
                    .all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])),
                "{text:?} becomes {row:?}"
            );
            assert_eq!(
                row[1].trim_start_matches('\''),
                clean::one_line(text).trim_start_matches('\''),
                "{text:?}"
            );
        }
    }

    #[test]
    fn no_naughty_string_becomes_anything_but_text() {
        for (n, text) in naughty().iter().enumerate() {
            let language = ["en", "de", "fr", "es", "ar"][n % 5];
            for kind in KINDS {
                let view = view_of(kind, language, text);
                let mail = render(kind, language, &view);
                check_html(kind, language, text, &mail);
                if matches!(kind, Kind::Lead | Kind::Digest) {
                    check_mail(kind, text, &view, &mail);
                }
            }
        }
    }

    #[test]
    fn bidirectional_text_and_emoji_go_through_a_mail_and_come_back() {
        for (n, text) in bidi().iter().chain(&emoji()).enumerate() {
            let language = ["en", "ar"][n % 2];
            let view = view_of(Kind::Lead, language, text);
            let mail = render(Kind::Lead, language, &view);
            check_html(Kind::Lead, language, text, &mail);
            check_mail(Kind::Lead, text, &view, &mail);
        }
    }

    #[test]
    fn emoji_are_left_as_they_are() {
        for text in emoji() {
            assert_eq!(clean::one_line(&text), text);
            assert_eq!(clean::many_lines(&format!("a {text} b")), format!("a {text} b"));
        }
    }

    /// Returns a line as it is seen, from left to right (UAX 9, by a crate of its own).
    fn seen(line: &str) -> String {
        let info = BidiInfo::new(line, None);
        let paragraph = &info.paragraphs[0];
        let seen = info.reorder_line(paragraph, paragraph.range.clone());
        seen.chars().filter(|c| !matches!(c, '\u{2066}'..='\u{2069}')).collect()
    }

    /// A lead's words may be written in any direction, and stay where they stand between ours.
    #[test]
    fn no_text_reorders_the_words_around_it() {
        let mut texts = bidi();
        texts.extend(naughty());
        texts.retain(|text| !clean::one_line(text).is_empty() && clean::one_line(text).chars().count() < 60);
        assert!(texts.len() > 500);
        for text in texts {
            let mut view = sample(Kind::Lead, "en");
            let lead = view.lead.as_mut().unwrap();
            (lead.customer, lead.deal) = (text.clone(), Some("Our deal".to_owned()));
            let subject = seen(&render(Kind::Lead, "en", &view).subject);
            assert!(
                subject.starts_with("Urgent lead: ") && subject.ends_with(" – Our deal"),
                "{text:?} is seen as {subject:?}"
            );
            let reversed = |words: &str| words.chars().rev().collect::<String>();
            let subject = seen(&render(Kind::Lead, "ar", &view).subject);
            assert!(
                subject.starts_with("Our deal – ") && subject.ends_with(&reversed("طلب عاجل: ")),
                "{text:?} is seen as {subject:?}"
            );
        }
    }
}
