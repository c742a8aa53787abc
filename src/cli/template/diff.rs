//! Shows what a changed set of templates would alter in real mails.

use serde::Serialize;
use similar::TextDiff;

use crate::cli::args::template::TemplateDiff;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::count;
use crate::cli::template::{preview, real, settings};
use crate::delivery::compose::Composer;
use crate::template::{Error, Look, Rendered, Set, View};

/// Lines around a change that are shown with it.
const CONTEXT_LINES: usize = 2;

/// What a changed set would alter.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// How many mails were looked at.
    mails: i64,
    /// Those that would read differently.
    changed: Vec<Changed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    /// Which mail: of which lead, or of which sample.
    mail: String,
    /// In which language it is written.
    language: String,
    /// As a unified diff.
    diff: String,
}

/// `template diff`
pub(crate) async fn diff(args: &TemplateDiff, ctx: &Context) -> Result<Exit, Failure> {
    let programme = args.programme.as_deref();
    let ours = settings(&args.dir, programme, ctx)?;
    // Words and looks are compared, not what is configured: that is the same on both sides.
    let before = match args.against.as_str() {
        "built-in" => Look {
            branding: ours.templates.branding.clone(),
            ..Look::default()
        },
        folder => Look::from(&settings(&Some(folder.into()), programme, ctx)?.templates),
    };
    let (before, after) = (Set::load(before)?, Set::load(&ours.templates)?);
    let composer = real::composer(&ours, after)?;
    let mails = mails(args, &composer, ctx).await?;
    let mut report = Report {
        mails: i64::try_from(mails.len()).unwrap_or(i64::MAX),
        changed: Vec::new(),
    };
    for (mail, language, view) in mails {
        let now = composer.templates().render(args.kind, &language, &view);
        let then = before.render(args.kind, &language, &view);
        let diff = change(&then, &now, args.html);
        if !diff.is_empty() {
            report.changed.push(Changed { mail, language, diff });
        }
    }
    if ctx.out.is_json() {
        ctx.out.json(&report);
    } else {
        ctx.out.raw(&page(&report));
    }
    ctx.out.note(format_args!(
        "{} of {} would read differently",
        report.changed.len(),
        count(report.mails, "mail", "mails")
    ));
    Ok(Exit::Done)
}

fn page(report: &Report) -> String {
    let shown = report
        .changed
        .iter()
        .map(|one| format!("--- {0}, before\n+++ {0}, after\n{1}", one.mail, one.diff));
    shown.collect()
}

/// The mails of the newest leads, or where there are none those of the samples.
async fn mails(args: &TemplateDiff, composer: &Composer, ctx: &Context) -> Result<Vec<(String, String, View)>, Failure> {
    let (set, wanted) = (composer.templates(), args.lang.as_deref());
    let letters = real::letters(ctx, args.kind, args.leads as usize).await.unwrap_or_else(|failure| {
        ctx.out.note(format_args!("no leads are looked at: {}", failure.message));
        Vec::new()
    });
    if letters.is_empty() {
        let language = preview::language(set, wanted.unwrap_or(&ctx.settings().mail.locale), ctx);
        let all = set.samples(args.kind, &language).into_iter();
        return Ok(all
            .map(|mut sample| {
                if args.programme.is_some() {
                    sample.view.portal = composer.portal();
                }
                (format!("sample {}", sample.name), language.clone(), sample.view)
            })
            .collect());
    }
    Ok(letters
        .iter()
        .map(|letter| {
            let language = set.language_for(&[wanted.unwrap_or(&letter.delivery.language)]).to_owned();
            let name = letter.leads.first().map(|lead| format!("lead {}", lead.id)).unwrap_or_default();
            let view = composer.view_of(letter, &language);
            (name, language, view)
        })
        .collect())
}

/// Returns what differs, as a unified diff; nothing where nothing does.
fn change(before: &Result<Rendered, Error>, after: &Result<Rendered, Error>, is_html: bool) -> String {
    let shown = |mail: &Result<Rendered, Error>| match mail {
        Ok(mail) if is_html => format!("Subject: {}\n\n{}", mail.subject, broken(&mail.html)),
        Ok(mail) => format!("Subject: {}\n\n{}", mail.subject, mail.text),
        Err(fault) => format!("No mail can be written: {fault}\n"),
    };
    let (before, after) = (shown(before), shown(after));
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(&before, &after);
    diff.unified_diff().context_radius(CONTEXT_LINES).to_string()
}

/// Breaks HTML before each element, so that a difference is a line and not a page.
fn broken(html: &str) -> String {
    html.replace('<', "\n<").replace("\n\n", "\n")
}
