//! The pages that links in mails lead to: to unsubscribe, to answer a lead, and the one that a wrong link gets.
//!
//! `unsubscribe.page.html`, `answer.page.html` and `nowhere.page.html`, with `page.html` around them. They hold no script and load nothing; their one `<style>` is let in by its hash, so it must be the same for every reader.

use serde::Serialize;
use tera::Context;

use crate::template::clean;
use crate::template::error::Error;
use crate::template::formats::Formats;
use crate::template::load::{DEFAULT_LANGUAGE, Set};
use crate::template::render::direction;
use crate::template::sample::sample_in;
use crate::template::view::{LeadView, Portal};

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Where mails are unsubscribed from, and subscribed to again (`R-OPTOUT`).
    Unsubscribe,
    /// Where a lead is accepted, declined or sent on.
    Answer,
    /// Where a link leads that was not made here.
    Nowhere,
}

/// What a page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedPage {
    /// The whole page.
    pub html: String,
    /// The language that it is in, as its folder is named.
    pub language: String,
    /// What stands between `<style>` and `</style>`.
    pub style: String,
}

/// Everything that a page can mention; what one has no use for stays at its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PageView {
    /// The partner portal; `None` where the page must not tell whose it is.
    pub portal: Option<Portal>,
    /// unsubscribe: `ask`, `done`, `again`. answer: `ask`, `answered`, `sent_on`, `late`.
    pub state: &'static str,
    /// unsubscribe: whose leads.
    #[serde(serialize_with = "clean::maybe_line", skip_serializing_if = "clean::is_nothing")]
    pub partner: Option<String>,
    /// The address that the mail went to, partly hidden.
    #[serde(serialize_with = "clean::line")]
    pub address: String,
    /// answer: `accept`, `decline`, `forward`.
    pub purpose: &'static str,
    /// answer: the lead as it is.
    pub lead: Option<LeadView>,
    /// answer, late: `accepted`, `declined`, `won`, `lost`, `expired`, or `none` where it never needed an answer.
    pub stage: &'static str,
    /// answer, late: since when, by [`Formats::instant`].
    pub since: String,
    /// answer: what is wrong with what was typed: `reason_missing`, `address_wrong`, `told_already`, `unreachable`, `too_often`, `read_missing`, `unclear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<&'static str>,
    /// answer: what was typed, to be mended rather than typed again.
    pub typed: Typed,
}

/// What somebody typed into a form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Typed {
    /// accept: what the partner calls the deal.
    pub deal_name: String,
    /// accept, decline: notes.
    pub notes: String,
    /// decline: why.
    pub reason: String,
    /// forward: to whom.
    pub address: String,
    /// forward: his name.
    pub name: String,
    /// accept: whether the box is ticked that says that the lead was read and is accepted.
    pub is_read: bool,
    /// accept: for which partner, as the box says; not typed, but confirmed.
    pub accepted_for: String,
}

#[derive(Serialize)]
struct Scope<'a> {
    language: &'a str,
    direction: &'a str,
    start_side: &'a str,
    end_side: &'a str,
    #[serde(flatten)]
    view: &'a PageView,
}

impl Page {
    /// Every page.
    pub const ALL: [Self; 3] = [Self::Unsubscribe, Self::Answer, Self::Nowhere];

    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Unsubscribe => "unsubscribe.page.html",
            Self::Answer => "answer.page.html",
            Self::Nowhere => "nowhere.page.html",
        }
    }

    /// Returns the views that each template must render: every state, and much as well as little to say.
    pub(crate) fn samples(self, formats: &Formats) -> Vec<PageView> {
        let mail = sample_in(crate::outbox::Kind::Lead, formats);
        let base = PageView {
            portal: Some(mail.portal),
            partner: Some("Fabrikam Consulting".to_owned()),
            address: "k•••@fabrikam.example".to_owned(),
            typed: Typed {
                address: "robin@fabrikam.example".to_owned(),
                accepted_for: "Fabrikam Consulting".to_owned(),
                ..Typed::default()
            },
            ..PageView::default()
        };
        let states = |states: &[&'static str]| states.iter().map(|state| PageView { state, ..base.clone() }).collect::<Vec<_>>();
        match self {
            Self::Nowhere => vec![PageView::default()],
            Self::Unsubscribe => states(&["ask", "done", "again"]),
            Self::Answer => {
                let bare = LeadView {
                    customer: "Litware".to_owned(),
                    due: mail.lead.as_ref().map(|lead| lead.due.clone()).unwrap_or_default(),
                    days_left: 1,
                    link: "https://portal.example/leads/9d11".to_owned(),
                    ..LeadView::default()
                };
                let mut views = Vec::new();
                for purpose in ["accept", "decline", "forward"] {
                    for state in ["ask", "answered", "sent_on", "late"] {
                        for lead in [mail.lead.clone(), Some(bare.clone())] {
                            views.push(PageView {
                                state,
                                purpose,
                                lead,
                                stage: "accepted",
                                since: mail.lead.as_ref().map(|lead| lead.created.clone()).unwrap_or_default(),
                                ..base.clone()
                            });
                        }
                    }
                }
                let problems = [
                    "reason_missing",
                    "address_wrong",
                    "told_already",
                    "unreachable",
                    "too_often",
                    "read_missing",
                    "unclear",
                ];
                let full = views[0].clone();
                views.extend(problems.map(|problem| PageView {
                    problem: Some(problem),
                    purpose: match problem {
                        "reason_missing" => "decline",
                        "read_missing" => "accept",
                        _ => "forward",
                    },
                    ..full.clone()
                }));
                let stages = ["declined", "won", "lost", "expired", "none"];
                views.extend(stages.map(|stage| PageView {
                    state: "late",
                    stage,
                    ..full.clone()
                }));
                views
            }
        }
    }
}

impl Set {
    /// Renders a page in the first of the `wanted` languages that is there, else in English.
    ///
    /// # Errors
    /// A template prints what the view does not have: the template's fault, which the samples did not show.
    pub fn render_page(&self, page: Page, wanted: &[&str], view: &PageView) -> Result<RenderedPage, Error> {
        let name = self.page_language(wanted);
        let language = &self.languages[name];
        let (direction, start_side, end_side) = direction(name);
        let scope = Scope {
            language: name,
            direction,
            start_side,
            end_side,
            view,
        };
        let mut context = clean::in_direction(direction, || Context::from_serialize(&scope))
            .map_err(|error| Error::from_flat(&error, &language.flat, page.file()))?;
        context.insert_value("brand", language.brand_value.clone());
        let html = language
            .engine
            .render(page.file(), &context)
            .map_err(|error| Error::from_flat(&error, &language.flat, page.file()))?;
        let html = without_blank_lines(&html);
        Ok(RenderedPage {
            style: style_of(&html).to_owned(),
            html,
            language: name.to_owned(),
        })
    }

    fn page_language(&self, wanted: &[&str]) -> &str {
        let found = wanted.iter().find_map(|wanted| {
            let name = self.language_for(&[*wanted]);
            let is_wanted = clean::primary(name) == clean::primary(wanted);
            is_wanted.then_some(name)
        });
        found.unwrap_or(DEFAULT_LANGUAGE)
    }
}

/// What conditions leave behind goes; blank lines that somebody typed into a text field stay.
fn without_blank_lines(html: &str) -> String {
    let mut in_field = false;
    let mut kept = String::with_capacity(html.len());
    for line in html.lines() {
        if !in_field && line.trim().is_empty() {
            continue;
        }
        if line.contains("<textarea") {
            in_field = true;
        }
        if line.contains("</textarea>") {
            in_field = false;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

fn style_of(html: &str) -> &str {
    let inside = html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    inside.map_or("", |(style, _)| style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::load::built_in;

    fn set() -> &'static Set {
        built_in()
    }

    fn render(page: Page, language: &str, view: &PageView) -> String {
        set()
            .render_page(page, &[language], view)
            .unwrap_or_else(|error| panic!("{error}"))
            .html
    }

    /// Without head and style, which are the same everywhere.
    fn body(html: &str) -> &str {
        html.split_once("<body>")
            .and_then(|(_, rest)| rest.split_once("</body>"))
            .map_or("", |(body, _)| body)
    }

    /// R-OPTOUT
    #[test]
    fn each_page_reads_well_in_each_language() {
        for language in set().languages() {
            for page in Page::ALL {
                let mut shown = Vec::new();
                for view in page.samples(set().formats(language)) {
                    let text = body(&render(page, language, &view)).trim().to_owned();
                    if !shown.contains(&text) {
                        shown.push(text);
                    }
                }
                let name = page.file().trim_end_matches(".page.html");
                insta::assert_snapshot!(format!("page-{language}-{name}"), shown.join("\n\n=====\n\n"));
            }
        }
    }

    #[test]
    fn a_page_loads_nothing_and_runs_nothing() {
        for language in set().languages() {
            let direction = direction(language).0;
            for page in Page::ALL {
                for view in page.samples(set().formats(language)) {
                    let rendered = set().render_page(page, &[language], &view).expect("it renders");
                    for forbidden in [
                        "<script",
                        "<img",
                        "<link",
                        " style=",
                        " src=",
                        "javascript:",
                        "@import",
                        "url(",
                        " onclick",
                    ] {
                        assert!(!rendered.html.contains(forbidden), "{page:?}: {forbidden}");
                    }
                    assert_eq!(rendered.html.matches("<style>").count(), 1, "{page:?}");
                    assert!(rendered.style.contains("prefers-color-scheme: dark"), "{page:?}");
                    assert!(
                        rendered
                            .html
                            .starts_with(&format!("<!doctype html>\n<html lang=\"{language}\" dir=\"{direction}\">"))
                    );
                }
            }
        }
    }

    #[test]
    fn what_strangers_wrote_stays_text() {
        let evil = "\"><script>alert(1)</script>{{ portal.name }}";
        let mut view = Page::Answer.samples(set().formats("en")).swap_remove(0);
        if let Some(lead) = &mut view.lead {
            (lead.customer, lead.notes) = (evil.to_owned(), Some(evil.to_owned()));
        }
        view.typed = Typed {
            deal_name: evil.to_owned(),
            notes: format!("a\n\nb</textarea>{evil}"),
            ..Typed::default()
        };
        let html = render(Page::Answer, "en", &view);
        assert!(!html.contains("<script") && html.matches("</textarea>").count() == 1, "{html}");
        assert!(html.contains("a\n\nb&lt;/textarea&gt;"), "{html}");
    }

    /// R-LOCALE
    #[test]
    fn a_page_is_in_the_mails_language_else_the_readers_else_english() {
        let set = set();
        for (wanted, language) in [
            (&["de-AT", "en"][..], "de"),
            (&["it", "de"], "de"),
            (&["it", "nl"], "en"),
            (&["fr-CA", "de"], "fr"),
            (&["en", "de"], "en"),
            (&[], "en"),
        ] {
            let rendered = set.render_page(Page::Nowhere, wanted, &PageView::default()).expect("it renders");
            assert_eq!(rendered.language, language, "{wanted:?}");
        }
    }
}
