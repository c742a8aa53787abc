//! What `template check` finds: faults that stop mails, and what is worth a look.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::outbox::Kind;
use crate::settings::Branding;
use crate::template::brand::{BrandView, Look};
use crate::template::contract::{self, Holds, Variable};
use crate::template::contrast::faint;
use crate::template::load::{KINDS, Set};
use crate::template::near::hint;
use crate::template::render::{FULL_MAX, direction};
use crate::template::sample::sample;
use crate::template::spam::traits;
use crate::template::support::{BORNE, dropped};
use crate::template::view::View;

/// Gmail shows so much of a mail and hides the rest, and with it the footer.
const CLIPPED_BYTES: usize = 102 * 1024;

/// What a check found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What must be mended; `file:line:column: what`.
    pub faults: Vec<String>,
    /// What is worth a look.
    pub warnings: Vec<String>,
    /// CSS and HTML that big mail programs drop (`display:flex`), each with the programs; beside what the built-in templates use, too.
    pub dropped: BTreeMap<String, &'static str>,
    /// Each language.
    pub languages: Vec<LanguageReport>,
    /// How many real leads were tried beside the samples.
    pub leads: usize,
    /// What the templates are known by, where a delivery tells which ones wrote it; none while there are faults.
    pub digest: Option<String>,
}

/// What a check found in a language.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LanguageReport {
    /// Its tag.
    pub language: String,
    /// Texts that it takes from another language.
    pub gaps: Vec<String>,
    /// The largest mail of each kind.
    pub sizes: Vec<Size>,
}

/// How large a kind's mail becomes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Size {
    /// The kind.
    pub kind: &'static str,
    /// The HTML of the longest sample.
    pub html_bytes: usize,
}

/// Checks the templates of a look, over the built-in ones. Returns them, too, where mails can be written from them.
pub fn check(look: impl Into<Look>) -> (Report, Option<Set>) {
    let mut report = Report::default();
    let set = match Set::load_all(look) {
        Ok((set, faults)) => {
            // A shared file's fault is found in each language.
            for fault in faults {
                note(&mut report.faults, fault.to_string());
            }
            set
        }
        Err(fault) => {
            report.faults.push(fault.to_string());
            return (report, None);
        }
    };
    if !report.faults.is_empty() {
        return (report, None);
    }
    report.digest = Some(set.digest().to_string());
    for language in set.languages() {
        let mut sizes = Vec::new();
        for kind in KINDS {
            let tried = set
                .samples(kind, language)
                .map(|sample| report.try_view(&set, kind, language, sample.name, &sample.view));
            sizes.push(Size {
                kind: kind.as_str(),
                html_bytes: tried.into_iter().max().unwrap_or(0),
            });
            for found in unsaid(&set, kind, language) {
                note(&mut report.warnings, format!("{kind}, {language}: {found}"));
            }
        }
        report.languages.push(LanguageReport {
            language: language.to_owned(),
            gaps: set.gaps(language).to_vec(),
            sizes,
        });
    }
    (report, Some(set))
}

impl Report {
    /// Renders a view, notes what is wrong with the mail, and returns the size of its HTML. `name`: what is told of the view.
    pub fn try_view(&mut self, set: &Set, kind: Kind, language: &str, name: &str, view: &View) -> usize {
        let place = format!("{kind}, {language}");
        let mail = match set.render(kind, language, view) {
            Ok(mail) => mail,
            Err(fault) => {
                note(&mut self.faults, format!("{fault} ({place}, {name})"));
                return 0;
            }
        };
        for link in malformed_links(&mail.html) {
            note(
                &mut self.warnings,
                format!("{place}: \"{link}\" is no link that mail programs open"),
            );
        }
        if mail.is_text_derived {
            let found =
                format!("{place}: {kind}.txt says nothing, so the plain text is what the HTML says; a template of its own reads better");
            note(&mut self.warnings, found);
        }
        let unsubscribe = view.unsubscribe_url.as_deref();
        let found = traits(&mail.subject, &mail.html, &mail.text, unsubscribe);
        for found in found.into_iter().chain(faint(&mail.html)) {
            note(&mut self.warnings, format!("{place}: {found}"));
        }
        self.dropped.extend(
            dropped(&mail.html)
                .into_iter()
                .filter(|(what, _)| !BORNE.iter().any(|(borne, _)| borne == what)),
        );
        let n_bytes = mail.html.len();
        if n_bytes > CLIPPED_BYTES {
            let found = format!("{place}: {n_bytes} bytes of HTML; Gmail cuts what is longer than {CLIPPED_BYTES}");
            note(&mut self.warnings, found);
        }
        n_bytes
    }
}

/// Finds what a mail about leads does not say of one, though it has to, in HTML and plain text alike (`R-WHO-MAILS`).
fn unsaid(set: &Set, kind: Kind, language: &str) -> Vec<String> {
    let mut marked = set.sample(kind, language);
    let told = match kind {
        Kind::Lead => marked.lead.as_mut(),
        Kind::Digest | Kind::Reminder => marked.leads.first_mut(),
        Kind::Expiry | Kind::Decline => None,
    };
    let Some(lead) = told else { return Vec::new() };
    let marks = [
        ("customer", "its customer", "qzcustomer"),
        ("deal", "its deal", "qzdeal"),
        ("due", "when it is due", "qzdue"),
        ("link", "where it is opened", "https://qzlink.example/"),
    ];
    [lead.customer, lead.due, lead.link] = [marks[0].2, marks[2].2, marks[3].2].map(str::to_owned);
    lead.deal = Some(marks[1].2.to_owned());
    let is_urgent = lead.urgency.is_some();
    // What cannot be rendered is told elsewhere.
    let Ok(mail) = set.render(kind, language, &marked) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let parts = [("HTML", &mail.html), ("plain text", &mail.text)];
    for (part, words) in parts {
        for (variable, what, mark) in marks {
            if !words.contains(mark) {
                found.push(format!("its {part} does not say of a lead {what} (lead.{variable})"));
            }
        }
    }
    if let Some(lead) = marked.lead.as_mut().or(marked.leads.first_mut()) {
        lead.urgency = None;
    }
    if let (Ok(calm), true) = (set.render(kind, language, &marked), is_urgent) {
        for ((part, words), calm) in parts.into_iter().zip([&calm.html, &calm.text]) {
            if words == calm {
                found.push(format!("its {part} does not say of a lead that it is urgent (lead.urgency)"));
            }
        }
    }
    found
}

fn note(notes: &mut Vec<String>, text: String) {
    if !notes.contains(&text) {
        notes.push(text);
    }
}

fn malformed_links(html: &str) -> Vec<&str> {
    html.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| {
            let is_known = ["https://", "http://", "mailto:", "tel:"]
                .iter()
                .any(|scheme| link.len() > scheme.len() && link.starts_with(scheme));
            !is_known || link.contains(char::is_whitespace)
        })
        .collect()
}

/// Returns what a template of that kind sees of its sample.
pub fn example(kind: Kind, language: &str) -> Value {
    let mut value = serde_json::to_value(sample(kind, language)).unwrap_or_default();
    let (direction, start_side, end_side) = direction(language);
    for (name, text) in [
        ("language", language),
        ("kind", kind.as_str()),
        ("direction", direction),
        ("start_side", start_side),
        ("end_side", end_side),
    ] {
        value[name] = text.into();
    }
    value["brand"] = serde_json::to_value(BrandView::new(&Branding::default(), language)).unwrap_or_default();
    value["n_full"] = FULL_MAX.into();
    value
}

/// Puts values of a file over those of a view.
///
/// # Errors
/// A name is none of the contract, or a value is of another type.
pub fn with_data(kind: Kind, view: &View, data: Map<String, Value>) -> Result<View, String> {
    if data.contains_key("brand") {
        return Err("\"brand\" is no data: templates.branding sets it, or the branding of a programme".to_owned());
    }
    check_names("", contract::of_mail(kind), &data)?;
    let mut value = serde_json::to_value(view).map_err(|error| error.to_string())?;
    merge(&mut value, Value::Object(data));
    serde_path_to_error::deserialize(value).map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

fn check_names(prefix: &str, variables: &[Variable], data: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in data {
        let Some(variable) = variables.iter().find(|variable| variable.name == name) else {
            let known = variables.iter().map(|variable| variable.name);
            return Err(format!("\"{prefix}{name}\" is not known{}", hint(name, known)));
        };
        match (variable.holds, value) {
            (Holds::Fields(fields), Value::Object(inner)) => check_names(&format!("{prefix}{name}."), fields, inner)?,
            (Holds::List(fields), Value::Array(items)) => {
                for inner in items.iter().filter_map(Value::as_object) {
                    check_names(&format!("{prefix}{name}[]."), fields, inner)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_built_in_templates_pass_without_a_remark() {
        let report = check(None).0;
        assert_eq!((report.faults, report.warnings), (Vec::<String>::new(), Vec::new()));
        assert_eq!(report.dropped, BTreeMap::new());
        for language in report.languages {
            assert_eq!(language.gaps, [""; 0]);
        }
    }

    #[test]
    fn what_is_worth_a_look_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("footer.txt"), "").unwrap();
        for file in ["reminder.mjml", "reminder.txt"] {
            let layout = file.replace("reminder", "layout");
            let text = format!("{{% extends \"{layout}\" %}}{{% block content %}}{{% endblock %}}");
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        std::fs::write(folder.path().join("lead.txt"), "{% if lead.deal %}{% endif %}").unwrap();
        std::fs::write(
            folder.path().join("decline.mjml"),
            "<mjml><mj-body><mj-section><mj-column><mj-text color=\"#999999\"><p style=\"display:flex\">pale</p></mj-text><mj-button href=\"www.portal.example\">{{ t.decline.find }}</mj-button>\
             <mj-text>{% for i in [1,2,3] %}"
                .to_owned()
                + &"a long text ".repeat(3000)
                + "{% endfor %}</mj-text></mj-column></mj-section></mj-body></mjml>",
        )
        .unwrap();
        std::fs::create_dir(folder.path().join("nl")).unwrap();
        std::fs::write(folder.path().join("nl/messages.toml"), "hello = \"Dag,\"").unwrap();
        let report = check(Some(folder.path())).0;
        assert_eq!(report.faults, [""; 0]);
        let has = |text: &str| report.warnings.iter().any(|warning| warning.contains(text));
        assert!(has("lead, en: lead.txt says nothing"), "{:?}", report.warnings);
        for part in ["HTML", "plain text"] {
            for what in [
                "its customer (lead.customer)",
                "its deal (lead.deal)",
                "when it is due (lead.due)",
                "where it is opened (lead.link)",
                "that it is urgent (lead.urgency)",
            ] {
                let told = format!("reminder, fr: its {part} does not say of a lead {what}");
                assert!(has(&told), "{told} is not in {:?}", report.warnings);
            }
        }
        assert!(!has("digest, fr: its HTML does not say"), "{:?}", report.warnings);
        assert!(
            has("decline, en: \"pale\" is #999999 on #ffffff, a contrast of 2.85; 4.5"),
            "{:?}",
            report.warnings
        );
        assert!(
            has("digest, en: its plain text has no link to unsubscribe"),
            "{:?}",
            report.warnings
        );
        assert_eq!(report.dropped["display:flex"], "Outlook (Windows)");
        assert!(
            has("decline, de: \"www.portal.example\" is no link that mail programs open"),
            "{:?}",
            report.warnings
        );
        assert!(has("bytes of HTML; Gmail cuts what is longer than 104448"), "{:?}", report.warnings);
        let dutch = report.languages.iter().find(|language| language.language == "nl").unwrap();
        assert!(dutch.gaps.contains(&"lead.intro".to_owned()) && !dutch.gaps.contains(&"hello".to_owned()));
    }

    #[test]
    fn data_of_ones_own_goes_over_the_sample_and_is_checked_like_a_template() {
        let view = sample(Kind::Lead, "en");
        let with = |data: Value| with_data(Kind::Lead, &view, data.as_object().unwrap().clone());
        let mine = with(json!({ "lead": { "customer": "Tailspin Toys", "urgency": null, "contact": { "phone": null } } })).unwrap();
        let lead = mine.lead.unwrap();
        assert_eq!((lead.customer.as_str(), lead.urgency), ("Tailspin Toys", None));
        let contact = lead.contact.unwrap();
        assert_eq!((contact.name.as_deref(), contact.phone), (Some("Robin Counts"), None));
        for (data, fault) in [
            (json!({ "laed": {} }), "\"laed\" is not known; did you mean \"lead\"?"),
            (
                json!({ "lead": { "custmer": "x" } }),
                "\"lead.custmer\" is not known; did you mean \"customer\"?",
            ),
            (
                json!({ "lead": { "days_left": "two" } }),
                "lead.days_left: invalid type: string \"two\", expected i64",
            ),
            (
                json!({ "lead": { "urgency": "very" } }),
                "lead.urgency: \"very\" is not one of urgent, cooled",
            ),
        ] {
            assert_eq!(with(data).unwrap_err(), fault);
        }
    }
}
