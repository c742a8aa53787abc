//! Shows a mail: of the sample, of a stored lead, or of somebody's own data.

use std::path::Path;

use serde_json::{Map, Value};

use crate::app::claim::Letter;
use crate::cli::args::template::{Format, TemplatePreview};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::template::{real, serve, settings};
use crate::delivery::compose::{Composer, NoMail};
use crate::outbox::Kind;
use crate::template::{Look, Set, View, check};

/// `template preview`
pub(crate) async fn preview(args: &TemplatePreview, ctx: &Context) -> Result<Exit, Failure> {
    if args.serve {
        let settings = settings(&args.dir, args.programme.as_deref(), ctx)?;
        return serve::serve(Look::from(&settings.templates), args.port, ctx).await;
    }
    let kind = args
        .kind
        .ok_or_else(|| Failure::usage("name the kind of mail to show, or --serve them all"))?;
    let letter = match &args.lead {
        Some(id) => Some(real::letter(ctx, kind, id).await?),
        None => None,
    };
    // A lead's mail looks as its partner's do.
    let partner = letter.as_ref().and_then(|letter| letter.partner.as_ref());
    let programme = args.programme.as_deref().or(ctx.settings().policy.programme_of(partner));
    let settings = settings(&args.dir, programme, ctx)?;
    let composer = real::composer(&settings, Set::load(&settings.templates)?)?;
    let (view, language) = subject(args, kind, &composer, letter, ctx)?;
    let rendered = composer.templates().render(kind, &language, &view)?;
    let shown = match args.format {
        Format::Text => format!("Subject: {}\n\n{}", rendered.subject, rendered.text),
        Format::Html => rendered.html,
        Format::Eml => {
            let to = view.recipient.address.parse();
            let to = to.map_err(|error| Failure::input(format_args!("recipient.address: {error}")))?;
            let mail = composer.specimen(kind, ctx.now(), &to, &view, rendered).map_err(unwritable)?;
            String::from_utf8(mail.bytes).map_err(Failure::input)?
        }
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

/// A mail that cannot be written is the template's fault, or the data's.
pub(super) fn unwritable(why: NoMail) -> Failure {
    match why {
        NoMail::NothingLeft => Failure::input("there is nothing to say"),
        NoMail::Unwritable(why) => Failure::input(why),
    }
}

/// Returns what the mail says, and in which language.
fn subject(
    args: &TemplatePreview,
    kind: Kind,
    composer: &Composer,
    letter: Option<Letter>,
    ctx: &Context,
) -> Result<(View, String), Failure> {
    let locale = ctx.settings().mail.locale.as_str();
    let wanted = args
        .lang
        .as_deref()
        .or(letter.as_ref().map(|letter| letter.delivery.language.as_str()));
    let language = language(composer.templates(), wanted.unwrap_or(locale), ctx);
    if let Some(letter) = letter {
        let view = composer.view_of(&letter, &language);
        return Ok((view, language));
    }
    let sample = composer
        .templates()
        .samples(kind, &language)
        .into_iter()
        .find(|sample| sample.name == args.sample.as_str());
    let mut view = sample.map(|sample| sample.view).unwrap_or_default();
    if args.programme.is_some() {
        view.portal = composer.portal();
    }
    match &args.data {
        Some(file) => Ok((with_data(kind, &view, file)?, language)),
        None => Ok((view, language)),
    }
}

/// Returns the language that stands in for the wanted one, and says so where it is another.
pub(super) fn language(set: &Set, wanted: &str, ctx: &Context) -> String {
    let language = set.language_for(&[wanted]).to_owned();
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    if primary(wanted) != primary(&language) {
        ctx.out
            .note(format_args!("there is no language \"{wanted}\": \"{language}\" stands in"));
    }
    language
}

fn with_data(kind: Kind, view: &View, file: &Path) -> Result<View, Failure> {
    let wrong = |what: String| Failure::input(format_args!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let data: Map<String, Value> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    check::with_data(kind, view, data).map_err(wrong)
}
