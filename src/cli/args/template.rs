//! Commands for whoever edits what mails say and how they look.

use std::path::PathBuf;

use clap::Subcommand;

use crate::outbox::Kind;

/// `template …`.
#[derive(Debug, Subcommand)]
pub enum Template {
    List(TemplateList),
    Check(TemplateCheck),
    Vars(TemplateVars),
    Preview(TemplatePreview),
    ExportDefaults(TemplateExport),
}

/// `template list`: says what is written from which file.
#[derive(Debug, clap::Args)]
#[command(about = "Lists kinds of mail, languages, and the file that each part comes from")]
#[command(after_help = "\
Examples:
  posthorn template list
  posthorn template list --dir my-templates")]
pub struct TemplateList {
    /// The folder of templates; templates.dir where it is not said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `template check`: finds what is wrong.
#[derive(Debug, clap::Args)]
#[command(about = "Checks every kind of mail in every language, and says what is wrong where")]
#[command(after_help = "\
Examples:
  posthorn template check
  posthorn template check --dir my-templates")]
pub struct TemplateCheck {
    /// The folder of templates; templates.dir where it is not said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `template vars`: says what a template may say.
#[derive(Debug, clap::Args)]
#[command(about = "Lists what the templates of a kind of mail may say, with types and examples")]
#[command(after_help = "\
Examples:
  posthorn template vars lead
  posthorn template vars digest --json")]
pub struct TemplateVars {
    /// lead, digest, reminder, expiry or decline
    #[arg(value_name = "KIND")]
    pub kind: Kind,
}

/// `template preview`: shows a mail.
#[derive(Debug, clap::Args)]
#[command(about = "Shows a mail of a kind, with sample data or data of your own")]
#[command(after_help = "\
Examples:
  posthorn template preview lead
  posthorn template preview digest --lang de --format html --out digest.html
  posthorn template preview lead --data lead.json --format eml --out lead.eml")]
pub struct TemplatePreview {
    /// lead, digest, reminder, expiry or decline
    #[arg(value_name = "KIND")]
    pub kind: Kind,
    /// The language; mail.locale where it is not said
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Values that replace those of the sample, named as `template vars` does
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// What to show
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub format: Format,
    /// Write it there instead of showing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The folder of templates; templates.dir where it is not said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How a preview is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Subject and plain text
    Text,
    /// The HTML part
    Html,
    /// The whole mail, as it would be handed over
    Eml,
}

/// `template export-defaults`: writes the built-in templates out.
#[derive(Debug, clap::Args)]
#[command(about = "Writes the built-in templates into a folder, to be edited there")]
#[command(after_help = "\
Keep only the files that you change: what the folder lacks stays built in,
and gets better with the next version.

Examples:
  posthorn template export-defaults my-templates")]
pub struct TemplateExport {
    /// The folder; files that are there are not touched
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
