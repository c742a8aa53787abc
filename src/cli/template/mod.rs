//! What mails say and look like: lists, checks and shows templates, and writes the built-in ones out.

pub(crate) mod diff;
pub(crate) mod preview;
mod real;
pub(crate) mod send;
mod serve;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::args::template::{TemplateCheck, TemplateExport, TemplateList, TemplateVars};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::{Page, count};
use crate::outbox::Kind;
use crate::settings::Settings;
use crate::template::check::{self, Report};
use crate::template::contract::{self, Holds, Variable};
use crate::template::{Look, Set, built_in_files};

/// Returns the settings by which mails are written: those of a programme where one is asked for, with the folder that is asked for.
fn settings(dir: &Option<PathBuf>, programme: Option<&str>, ctx: &Context) -> Result<Settings, Failure> {
    let Some(name) = programme else {
        let mut settings = ctx.settings().clone();
        settings.templates.dir = dir.clone().or(settings.templates.dir);
        return Ok(settings);
    };
    if let Some(unknown) = ctx.settings().unknown_programme(name) {
        return Err(Failure::usage(format_args!("--programme {unknown}")));
    }
    let mut settings = ctx.settings().of_programme(name);
    settings.templates.programme_dir = dir.clone().or(settings.templates.programme_dir);
    Ok(settings)
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
    let set = Set::load(&settings(&args.dir, args.programme.as_deref(), ctx)?.templates)?;
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
pub(crate) async fn check(args: &TemplateCheck, ctx: &Context) -> Result<Exit, Failure> {
    let wanted = settings(&args.dir, args.programme.as_deref(), ctx)?;
    let (mut report, set) = check::check(&wanted.templates);
    if let Some(set) = set {
        try_leads(&mut report, set, &wanted, args.leads as usize, ctx).await?;
    }
    if args.programme.is_none() && args.dir.is_none() {
        check_programmes(&mut report, ctx);
    }
    ctx.out.one(&report, report_page);
    for fault in &report.faults {
        ctx.out.complain(fault);
    }
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::Input })
}

/// Tries every programme's templates on the samples, where it has a folder or a look of its own. What is wrong with all sets is told once.
fn check_programmes(report: &mut Report, ctx: &Context) {
    for name in ctx.settings().programmes.keys() {
        let own = ctx.settings().of_programme(name).templates;
        if Look::from(&own) == Look::from(&ctx.settings().templates) {
            continue;
        }
        let (found, _) = check::check(&own);
        let said = |texts: Vec<String>, known: &[String]| -> Vec<String> {
            let new = texts.into_iter().filter(|text| !known.contains(text));
            new.map(|text| format!("programme {name}: {text}")).collect()
        };
        let (faults, warnings) = (said(found.faults, &report.faults), said(found.warnings, &report.warnings));
        report.faults.extend(faults);
        report.warnings.extend(warnings);
    }
}

/// Tries the newest leads, each in the language of its reader.
async fn try_leads(report: &mut Report, set: Set, settings: &Settings, n: usize, ctx: &Context) -> Result<(), Failure> {
    if n == 0 {
        return Ok(());
    }
    let composer = real::composer(settings, set)?;
    for kind in Kind::ALL {
        let letters = match real::letters(ctx, kind, n).await {
            Ok(letters) => letters,
            Err(failure) => {
                ctx.out.note(format_args!("only samples were tried: {}", failure.message));
                return Ok(());
            }
        };
        for letter in &letters {
            let language = composer.templates().language_for(&[&letter.delivery.language]).to_owned();
            let view = composer.view_of(letter, &language);
            let name = letter.leads.first().map(|lead| format!("lead {}", lead.id)).unwrap_or_default();
            report.try_view(composer.templates(), kind, &language, &name, &view);
        }
        report.leads = letters.len();
    }
    Ok(())
}

fn report_page(report: &Report) -> String {
    let mut page = Page::default();
    if !report.faults.is_empty() {
        let faults = count(i64::try_from(report.faults.len()).unwrap_or(i64::MAX), "fault", "faults");
        // What only a real lead shows is no reason to refuse the whole set.
        let what = match report.digest {
            None => "no mail is written from these templates",
            Some(_) => "mails of leads like these cannot be written",
        };
        page.say(format_args!("{faults} to mend; {what}."));
        return page.end();
    }
    let languages: Vec<&str> = report.languages.iter().map(|language| language.language.as_str()).collect();
    let leads = match report.leads {
        0 => String::new(),
        n => format!(", and from {n} of the newest leads"),
    };
    page.say(format_args!(
        "{} kinds of mail in {} render from every sample{leads}.",
        Kind::ALL.len(),
        languages.join(", "),
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
    if !report.dropped.is_empty() {
        page.heading("Mail programs drop what follows; a mail must read well without it:");
    }
    for (what, programs) in &report.dropped {
        page.fact(format_args!("{what}: {programs}"));
    }
    if let Some(digest) = &report.digest {
        page.heading(format_args!(
            "Their digest is {digest}; `posthorn deliveries show` tells by it which templates wrote a mail."
        ));
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
