//! What the templates of each kind may say: names, types, meaning. The one source for the check, for `template vars` and for the reference.
//!
//! A test compares it with what the views hand over.

use crate::outbox::Kind;
use crate::template::filters;
use crate::template::page::Page;

/// A name that a template may use.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// As a template writes it.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether it may be missing (`none`), and wants an `{% if … %}` around it.
    pub is_optional: bool,
    /// In the words of whoever edits templates.
    pub meaning: &'static str,
}

/// What a variable holds.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// Text on one line.
    Text,
    /// Text that may have several lines.
    Lines,
    /// A web address.
    Link,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Something with fields.
    Fields(&'static [Variable]),
    /// A list of such.
    List(&'static [Variable]),
}

impl Holds {
    /// Returns its name as the reference writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Lines => "lines",
            Self::Link => "link",
            Self::Number => "number",
            Self::Flag => "true/false",
            Self::OneOf(_) => "word",
            Self::Fields(_) => "fields",
            Self::List(_) => "list",
        }
    }
}

const fn always(name: &'static str, holds: Holds, meaning: &'static str) -> Variable {
    Variable {
        name,
        holds,
        is_optional: false,
        meaning,
    }
}

const fn maybe(name: &'static str, holds: Holds, meaning: &'static str) -> Variable {
    Variable {
        name,
        holds,
        is_optional: true,
        meaning,
    }
}

use Holds::{Fields, Flag, Lines, Link, List, Number, OneOf, Text};

const PORTAL: &[Variable] = &[
    always("name", Text, "the portal's name (`portal.name`)"),
    always("url", Link, "its front page (`portal.url`)"),
];

const BRAND: &[Variable] = &[
    maybe("logo", Link, "the picture at the head of a mail"),
    maybe(
        "logo_alt",
        Text,
        "what stands for it where pictures are not shown; the portal's name where it is not set",
    ),
    always("logo_width", Number, "how wide it is shown, in pixels"),
    always("accent", Text, "the colour of buttons, such as `#1f5fbf`"),
    always("accent_text", Text, "the colour of what is written on them"),
    always("accent_dark", Text, "the colour of buttons in dark mode"),
    always("link", Text, "the colour of links"),
    always("link_dark", Text, "the colour of links in dark mode"),
    always("background", Text, "the colour around the card"),
    always("background_dark", Text, "the colour around the card in dark mode"),
    maybe("footer", Lines, "what stands at the end of each mail and page"),
];

const RECIPIENT: &[Variable] = &[
    maybe("name", Text, "the name of whoever gets the mail"),
    always("address", Text, "the address that the mail goes to"),
];

const PARTNER: &[Variable] = &[
    always("id", Text, "the partner's organizationId"),
    always("name", Text, "its name, or its id where it has none"),
];

const CONTACT: &[Variable] = &[
    maybe("name", Text, "first and last name"),
    maybe(
        "email",
        Text,
        "as written in the record, a domain in other letters followed by its ASCII form; `| mailto` makes the link to write to it",
    ),
    maybe("phone", Text, "as written in the record; `| tel` makes the link that dials it"),
];

const ANSWERS: &[Variable] = &[
    always("accept", Link, "the page to accept the lead"),
    always("decline", Link, "the page to decline it"),
    always("forward", Link, "the page to send it on to a colleague"),
];

const URGENCY: Holds = OneOf(&["urgent", "cooled"]);

const LEAD: &[Variable] = &[
    always("id", Text, "the lead's id"),
    always("customer", Text, "the customer's name"),
    maybe("deal", Text, "the deal's name"),
    maybe("partner", Text, "the partner that received the lead; named in expiry mails"),
    maybe(
        "urgency",
        URGENCY,
        "the customer asked to be contacted directly: urgent for 72 hours, cooled after that",
    ),
    always("created", Text, "when the lead came, in the reader's words and zone"),
    always("due", Text, "when it expires or expired, in the reader's words and zone"),
    always(
        "days_left",
        Number,
        "days until then, begun ones counted: 1 within the last 24 hours, 0 when it is over",
    ),
    always("link", Link, "the lead in the portal (`portal.lead_url`)"),
    maybe(
        "contact",
        Fields(CONTACT),
        "whom to contact at the customer; missing where it is hidden",
    ),
    maybe("notes", Lines, "what the customer or the sender wrote"),
    maybe("country", Text, "the customer's country"),
    maybe(
        "source",
        Text,
        "referralSource as on the wire: AppSource, AzureMarketplace, AzurePortal",
    ),
    maybe(
        "call_to_action",
        Text,
        "callToAction as on the wire: GetItNow, FreeTrial, TestDrive, ContactMe",
    ),
    maybe(
        "value",
        Text,
        "the deal's value with its currency, as the reader's language writes it",
    ),
    always("is_spam", Flag, "the lead is flagged as likely spam"),
    maybe(
        "answers",
        Fields(ANSWERS),
        "the pages where the reader answers; missing without `mail.answer_links`",
    ),
];

const TYPED: &[Variable] = &[
    always("deal_name", Text, "accept: what the partner calls the deal"),
    always("notes", Lines, "accept, decline: notes"),
    always("reason", Text, "decline: why"),
    always("address", Text, "forward: to whom"),
    always("name", Text, "forward: the name of whoever gets it"),
    always("is_read", Flag, "accept: the box is ticked"),
    always("accepted_for", Text, "accept: for which partner, as the box says"),
];

const LANGUAGE: Variable = always("language", Text, "the language of the mail: `en`, `de`, `pt-BR`");
const DIRECTION: Variable = always(
    "direction",
    OneOf(&["ltr", "rtl"]),
    "the direction in which that language is written",
);
const START: Variable = always(
    "start_side",
    OneOf(&["left", "right"]),
    "the side where lines of that language begin",
);
const END: Variable = always("end_side", OneOf(&["left", "right"]), "the side where they end");
const KIND: Variable = always("kind", Text, "lead, digest, reminder, expiry or decline");
const PORTAL_VARIABLE: Variable = always("portal", Fields(PORTAL), "the partner portal");
const BRAND_VARIABLE: Variable = always(
    "brand",
    Fields(BRAND),
    "the look (`templates.branding`, or that of the partner's programme)",
);
const RECIPIENT_VARIABLE: Variable = always("recipient", Fields(RECIPIENT), "to whom this one message goes");
const UNSUBSCRIBE: Variable = maybe("unsubscribe_url", Link, "where the reader unsubscribes");
const RECEIVER: Variable = maybe("partner", Fields(PARTNER), "the partner that received the leads");

const FORWARDED: Variable = maybe("forwarded_by", Text, "lead: the address of whoever sent the lead on to the reader");

const N_LEADS: Variable = always("n_leads", Number, "how many leads there are, listed or not");
const N_LISTED: Variable = always("n_listed", Number, "how many are listed: the length of `leads`");
const N_FULL: Variable = always(
    "n_full",
    Number,
    "how many of the listed ones are to be shown in full, the rest in short",
);
const N_MORE: Variable = always("n_more", Number, "how many are not listed");
const N_URGENT: Variable = always("n_urgent", Number, "how many of all leads are urgent");

const MAIL_LEAD: &[Variable] = &[
    LANGUAGE,
    DIRECTION,
    START,
    END,
    KIND,
    BRAND_VARIABLE,
    PORTAL_VARIABLE,
    RECIPIENT_VARIABLE,
    RECEIVER,
    always("lead", Fields(LEAD), "the lead"),
    FORWARDED,
    UNSUBSCRIBE,
];

const MAIL_DIGEST: &[Variable] = &[
    LANGUAGE,
    DIRECTION,
    START,
    END,
    KIND,
    BRAND_VARIABLE,
    PORTAL_VARIABLE,
    RECIPIENT_VARIABLE,
    RECEIVER,
    always("leads", List(LEAD), "the leads that are listed, urgent first, then newest"),
    always("mailed", List(LEAD), "leads mailed singly today and still unanswered"),
    N_LEADS,
    N_URGENT,
    N_LISTED,
    N_FULL,
    N_MORE,
    always("has_attachment", Flag, "a CSV of all leads is attached"),
    FORWARDED,
    UNSUBSCRIBE,
];

const MAIL_REMINDER: &[Variable] = &[
    LANGUAGE,
    DIRECTION,
    START,
    END,
    KIND,
    BRAND_VARIABLE,
    PORTAL_VARIABLE,
    RECIPIENT_VARIABLE,
    RECEIVER,
    always("leads", List(LEAD), "the leads that expire soon, urgent first, then newest"),
    N_LEADS,
    N_URGENT,
    N_LISTED,
    N_FULL,
    N_MORE,
    FORWARDED,
    UNSUBSCRIBE,
];

const MAIL_EXPIRY: &[Variable] = &[
    LANGUAGE,
    DIRECTION,
    START,
    END,
    KIND,
    BRAND_VARIABLE,
    PORTAL_VARIABLE,
    RECIPIENT_VARIABLE,
    maybe(
        "partner",
        Fields(PARTNER),
        "the partner that sent the leads; missing for the lead desk",
    ),
    always("leads", List(LEAD), "the leads that expired, without contact data and notes"),
    N_LEADS,
    N_LISTED,
    N_MORE,
];

const MAIL_DECLINE: &[Variable] = &[
    LANGUAGE,
    DIRECTION,
    START,
    END,
    KIND,
    BRAND_VARIABLE,
    PORTAL_VARIABLE,
    RECIPIENT_VARIABLE,
    maybe("partner", Fields(PARTNER), "the partner that declined"),
    always("lead", Fields(LEAD), "the customer's request, without contact data and notes"),
];

const PAGE: &[Variable] = &[
    LANGUAGE,
    DIRECTION,
    START,
    END,
    BRAND_VARIABLE,
    maybe(
        "portal",
        Fields(PORTAL),
        "the partner portal; missing where the page must not tell whose it is",
    ),
    always(
        "state",
        OneOf(&["ask", "done", "again", "answered", "sent_on", "late"]),
        "unsubscribe: ask, done, again; answer: ask, answered, sent_on, late",
    ),
    maybe("partner", Text, "unsubscribe: whose leads"),
    always("address", Text, "the address that the mail went to, partly hidden"),
    always("purpose", OneOf(&["accept", "decline", "forward"]), "answer: what the link is for"),
    maybe("lead", Fields(LEAD), "answer: the lead as it is"),
    always(
        "stage",
        OneOf(&["accepted", "declined", "won", "lost", "expired", "none"]),
        "answer, late: what became of the lead; none where it never needed an answer",
    ),
    always("since", Text, "answer, late: since when"),
    maybe(
        "problem",
        OneOf(&[
            "reason_missing",
            "address_wrong",
            "told_already",
            "unreachable",
            "too_often",
            "read_missing",
            "unclear",
        ]),
        "answer: what is wrong with what was typed",
    ),
    always(
        "typed",
        Fields(TYPED),
        "answer: what was typed, to be mended rather than typed again",
    ),
];

/// Returns what the templates of a kind of mail may say.
pub fn of_mail(kind: Kind) -> &'static [Variable] {
    match kind {
        Kind::Lead => MAIL_LEAD,
        Kind::Digest => MAIL_DIGEST,
        Kind::Reminder => MAIL_REMINDER,
        Kind::Expiry => MAIL_EXPIRY,
        Kind::Decline => MAIL_DECLINE,
    }
}

/// Returns what the template of a page may say.
pub(crate) fn of_page(_page: Page) -> &'static [Variable] {
    PAGE
}

/// Returns the contract of all kinds as `docs/reference/templates.md` has it.
pub fn reference() -> String {
    let mut page = String::from(
        "# Templates\n\nWhat the templates of each kind of mail may say. Rendered from the code by `cargo xtask reference`; \
         `posthorn template vars KIND` prints it with examples.\nHow templates are changed, and what the files are: \
         [the guide](../guides/templates.md).\n\nA name with `?` may be missing: put `{% if … %}` around it. `[]` is a list: `{% for lead in leads %}`.\n",
    );
    for kind in Kind::ALL {
        page.push_str(&format!("\n## {kind}\n\n| name | type | what it is |\n|---|---|---|\n"));
        list("", of_mail(kind), &mut page);
    }
    page.push_str(
        "\n## Pages\n\nThe pages that links in mails lead to: `unsubscribe.page.html`, `answer.page.html`, `nowhere.page.html`.\n\n",
    );
    page.push_str("| name | type | what it is |\n|---|---|---|\n");
    list("", PAGE, &mut page);
    page.push_str("\n## Filters\n\nA filter stands behind a value: `{{ lead.notes | cut(length=280) | breaks }}`.\n\n| filter | what it gives |\n|---|---|\n");
    for (name, what) in filters::FILTERS {
        page.push_str(&format!("| `{name}` | {} |\n", what.replace('|', "\\|")));
    }
    page
}

fn list(prefix: &str, variables: &[Variable], page: &mut String) {
    for variable in variables {
        let optional = if variable.is_optional { "?" } else { "" };
        let (ending, inner) = match variable.holds {
            Holds::Fields(fields) => ("", fields),
            Holds::List(fields) => ("[]", fields),
            _ => ("", &[][..]),
        };
        let name = format!("{prefix}{}{ending}", variable.name);
        let holds = match variable.holds {
            Holds::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            holds => holds.name().to_owned(),
        };
        let meaning = variable.meaning.replace('|', "\\|");
        page.push_str(&format!("| `{name}{optional}` | {holds} | {meaning} |\n"));
        list(&format!("{name}."), inner, page);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::template::check::example;
    use crate::template::page::PageView;
    use crate::template::sample::{sample, samples};

    /// Finds where a value and what the contract says of it differ.
    fn differences(path: &str, variables: &[Variable], value: &Value, found: &mut Vec<String>) {
        for variable in variables {
            let path = format!("{path}.{}", variable.name);
            let Some(value) = value.get(variable.name) else {
                if !variable.is_optional {
                    found.push(format!("{path} is not handed over"));
                }
                continue;
            };
            let is_right = match (variable.holds, value) {
                (_, Value::Null) => variable.is_optional,
                (Text | Lines | Link, value) => value.is_string(),
                (Number, value) => value.is_i64(),
                (Flag, value) => value.is_boolean(),
                // A page that has no use for a word leaves it empty.
                (OneOf(words), Value::String(word)) => word.is_empty() || words.contains(&word.as_str()),
                (Fields(fields), Value::Object(_)) => {
                    differences(&path, fields, value, found);
                    true
                }
                (List(fields), Value::Array(items)) => {
                    for item in items {
                        differences(&path, fields, item, found);
                    }
                    true
                }
                _ => false,
            };
            if !is_right {
                found.push(format!("{path} is {value}, not {}", variable.holds.name()));
            }
        }
        let known: BTreeSet<&str> = variables.iter().map(|variable| variable.name).collect();
        if !path.contains('.') {
            return; // a view has fields that other kinds use
        }
        for name in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if !known.contains(name.as_str()) {
                found.push(format!("{path}.{name} is handed over, and not in the contract"));
            }
        }
    }

    #[test]
    fn the_contract_says_what_views_hand_over() {
        let mut found = Vec::new();
        for kind in Kind::ALL {
            for sample in samples(kind, "en") {
                let mut value = example(kind, "en");
                for (name, field) in serde_json::to_value(sample.view).unwrap().as_object().unwrap() {
                    value[name] = field.clone();
                }
                differences(kind.as_str(), of_mail(kind), &value, &mut found);
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn no_field_of_a_view_is_left_out() {
        let known: BTreeSet<&str> = Kind::ALL.into_iter().flat_map(of_mail).map(|variable| variable.name).collect();
        let view = serde_json::to_value(sample(Kind::Lead, "en")).unwrap();
        for name in view.as_object().unwrap().keys() {
            assert!(known.contains(name.as_str()), "{name} is in no contract");
        }
        let page: BTreeSet<&str> = PAGE.iter().map(|variable| variable.name).collect();
        for name in serde_json::to_value(PageView::default()).unwrap().as_object().unwrap().keys() {
            assert!(page.contains(name.as_str()), "{name} is not in the contract of pages");
        }
        for view in Page::ALL
            .into_iter()
            .flat_map(|page| page.samples(crate::template::load::built_in().formats("en")))
        {
            let mut found = Vec::new();
            let mut value = serde_json::to_value(view).unwrap();
            for name in ["language", "direction", "start_side", "end_side", "brand"] {
                value[name] = example(Kind::Lead, "en")[name].clone();
            }
            differences("page", PAGE, &value, &mut found);
            assert!(found.is_empty(), "{}", found.join("\n"));
        }
    }
}
