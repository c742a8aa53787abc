//! What mails say and look like: lists, checks and shows templates, and writes the built-in ones out.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::args::template::{Format, TemplateCheck, TemplateExport, TemplateList, TemplatePreview, TemplateVars};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::Page;
use crate::delivery::compose::{letterhead, sender_domain};
use crate::mail::{self, Outgoing};
use crate::outbox::Kind;
use crate::template::check::{self, Report};
use crate::template::contract::{self, Holds, Variable};
use crate::template::{Rendered, Set, View, built_in_files, sample};

/// Where the templates are read from: what is asked for, else what is set.
fn folder<'a>(dir: &'a Option<PathBuf>, ctx: &'a Context) -> Option<&'a Path> {
    dir.as_deref().or(ctx.settings().templates.dir.as_deref())
}

/// A part of a mail and where it comes from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    kind: &'static str,
    language: String,
    file: String,
    from: String,
    is_built_in: bool,
}

/// `template list`
pub(crate) fn list(args: &TemplateList, ctx: &Context) -> Result<Exit, Failure> {
    let set = Set::load(folder(&args.dir, ctx))?;
    let mut listed = Vec::new();
    for kind in Kind::ALL {
        for language in set.languages() {
            for (file, from) in set.files(language, kind) {
                listed.push(Listed {
                    kind: kind.as_str(),
                    language: language.to_owned(),
                    file,
                    is_built_in: from.starts_with("built-in "),
                    from: from.to_string(),
                });
            }
        }
    }
    let columns = [
        Column::text("KIND", |listed: &Listed| listed.kind.to_owned()),
        Column::text("LANGUAGE", |listed: &Listed| listed.language.clone()),
        Column::text("FILE", |listed: &Listed| listed.file.clone()),
        Column::text("FROM", |listed: &Listed| listed.from.clone()),
    ];
    ctx.out.list(&listed, &columns, "there is no template");
    Ok(Exit::Done)
}

/// `template check`
pub(crate) fn check(args: &TemplateCheck, ctx: &Context) -> Result<Exit, Failure> {
    let (report, _) = check::check(folder(&args.dir, ctx));
    ctx.out.one(&report, report_page);
    for fault in &report.faults {
        ctx.out.complain(fault);
    }
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::Input })
}

fn report_page(report: &Report) -> String {
    let mut page = Page::default();
    if !report.faults.is_empty() {
        let n = report.faults.len();
        page.say(format_args!(
            "{n} {} to mend; mails cannot be written from these templates.",
            if n == 1 { "fault" } else { "faults" }
        ));
        return page.end();
    }
    page.say(format_args!(
        "{} kinds of mail in {} render from every sample.",
        Kind::ALL.len(),
        report
            .languages
            .iter()
            .map(|language| language.language.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    ));
    for language in &report.languages {
        page.heading(format_args!("{}:", language.language));
        for size in &language.sizes {
            page.fact(format_args!("{}: at most {} bytes of HTML", size.kind, size.html_bytes));
        }
        if !language.gaps.is_empty() {
            page.fact(format_args!(
                "texts that it takes from another language: {}",
                language.gaps.join(", ")
            ));
        }
    }
    for warning in &report.warnings {
        page.heading(warning);
    }
    page.end()
}

/// A name of the contract.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Var {
    name: String,
    r#type: String,
    optional: bool,
    meaning: &'static str,
    example: Value,
}

/// `template vars`
pub(crate) fn vars(args: &TemplateVars, ctx: &Context) -> Result<Exit, Failure> {
    let example = check::example(args.kind, "en");
    let mut vars = Vec::new();
    list_vars("", contract::of_mail(args.kind), &example, &mut vars);
    let columns = [
        Column::text("NAME", |var: &Var| var.name.clone()),
        Column::text("TYPE", |var: &Var| {
            let maybe = if var.optional { ", may be missing" } else { "" };
            format!("{}{maybe}", var.r#type)
        }),
        Column::text("EXAMPLE", |var: &Var| match &var.example {
            Value::Null => String::new(),
            Value::String(text) => text.replace('\n', " "),
            other => other.to_string(),
        }),
        Column::text("MEANING", |var: &Var| var.meaning.to_owned()),
    ];
    ctx.out.list(&vars, &columns, "there is no such name");
    Ok(Exit::Done)
}

fn list_vars(prefix: &str, variables: &[Variable], example: &Value, vars: &mut Vec<Var>) {
    for variable in variables {
        let value = example.get(variable.name).cloned().unwrap_or_default();
        let name = format!("{prefix}{}", variable.name);
        let (inner, inside) = match variable.holds {
            Holds::Fields(fields) => (Some((fields, format!("{name}."))), value.clone()),
            Holds::List(fields) => (Some((fields, format!("{name}[]."))), value.get(0).cloned().unwrap_or_default()),
            _ => (None, Value::Null),
        };
        vars.push(Var {
            r#type: match variable.holds {
                Holds::OneOf(words) => words.join(" | "),
                holds => holds.name().to_owned(),
            },
            name,
            optional: variable.is_optional,
            meaning: variable.meaning,
            example: if inner.is_some() { Value::Null } else { value },
        });
        if let Some((fields, prefix)) = inner {
            list_vars(&prefix, fields, &inside, vars);
        }
    }
}

/// `template preview`
pub(crate) fn preview(args: &TemplatePreview, ctx: &Context) -> Result<Exit, Failure> {
    let set = Set::load(folder(&args.dir, ctx))?;
    let wanted = args.lang.clone().unwrap_or_else(|| ctx.settings().mail.locale.clone());
    let language = set.language_for(&[&wanted]).to_owned();
    if let Some(lang) = &args.lang
        && !lang
            .replace('_', "-")
            .to_ascii_lowercase()
            .starts_with(&language.to_ascii_lowercase())
    {
        ctx.out
            .note(format_args!("there is no language \"{lang}\": shown in \"{language}\""));
    }
    let view = view(args, &language)?;
    let rendered = set.render(args.kind, &language, &view)?;
    let shown = match args.format {
        Format::Text => format!("Subject: {}\n\n{}", rendered.subject, rendered.text),
        Format::Html => rendered.html.clone(),
        Format::Eml => eml(args.kind, rendered, &view, ctx)?,
    };
    match &args.out {
        Some(file) => {
            std::fs::write(file, shown).map_err(|error| Failure::input(format_args!("{}: cannot be written: {error}", file.display())))?;
            ctx.out.note(format_args!("written to {}", file.display()));
        }
        None => ctx.out.raw(&shown),
    }
    Ok(Exit::Done)
}

fn view(args: &TemplatePreview, language: &str) -> Result<View, Failure> {
    let view = sample(args.kind, language);
    let Some(file) = &args.data else { return Ok(view) };
    let wrong = |what: String| Failure::input(format_args!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let data: Map<String, Value> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    check::with_data(args.kind, &view, data).map_err(wrong)
}

/// The mail as it would be handed over, but for what only a delivery has.
fn eml(kind: Kind, rendered: Rendered, view: &View, ctx: &Context) -> Result<String, Failure> {
    let settings = ctx.settings();
    let domain = sender_domain(settings);
    let to = view
        .recipient
        .address
        .parse()
        .map_err(|error| Failure::input(format_args!("recipient.address: {error}")))?;
    let outgoing = Outgoing {
        kind,
        message_id: format!("preview@{domain}"),
        date: ctx.now(),
        to,
        to_name: view.recipient.name.clone(),
        subject: rendered.subject,
        html: rendered.html,
        text: rendered.text,
        language: rendered.language,
        references: Vec::new(),
        in_reply_to: None,
        unsubscribe_url: view.unsubscribe_url.clone(),
        attachments: Vec::new(),
        extra_headers: Vec::new(),
    };
    let letterhead = letterhead(settings).map_err(Failure::input)?;
    let bytes = mail::build(&letterhead, &outgoing).map_err(Failure::input)?;
    String::from_utf8(bytes).map_err(Failure::input)
}

/// `template export-defaults`
pub(crate) fn export_defaults(args: &TemplateExport, ctx: &Context) -> Result<Exit, Failure> {
    let wrong = |path: &Path, error: std::io::Error| Failure::input(format_args!("{}: cannot be written: {error}", path.display()));
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for (path, text) in built_in_files() {
        let to = args.dir.join(path);
        if to.exists() {
            kept.push(to);
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
        }
        std::fs::write(&to, text).map_err(|error| wrong(&to, error))?;
        written.push(to);
    }
    ctx.out.json(&json!({ "written": written, "kept": kept }));
    for path in &written {
        ctx.out.line(path.display());
    }
    for path in &kept {
        ctx.out
            .note(format_args!("{} is there already, and was not touched", path.display()));
    }
    ctx.out.note(format_args!(
        "next: keep what you change, delete the rest, and set templates.dir = {:?}",
        args.dir.display().to_string()
    ));
    Ok(if kept.is_empty() { Exit::Done } else { Exit::InPart })
}
