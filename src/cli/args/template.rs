//! Commands for whoever edits what mails say and how they look.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::args::values::lead_id;
use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::partner::EmailAddress;

/// `template …`.
#[derive(Debug, Subcommand)]
pub enum Template {
    List(TemplateList),
    Check(TemplateCheck),
    Vars(TemplateVars),
    Preview(TemplatePreview),
    Diff(TemplateDiff),
    SendTest(TemplateSendTest),
    ExportDefaults(TemplateExport),
}

/// `template list`: says what is written from which file.
#[derive(Debug, clap::Args)]
#[command(about = "Lists kinds of mail, languages, and the file that each part comes from")]
#[command(after_help = "\
Examples:
  posthorn template list
  posthorn template list --dir my-templates
  posthorn template list --programme gold")]
pub struct TemplateList {
    /// The programme whose mails they are; as without one where it is not said
    #[arg(long, value_name = "NAME")]
    pub programme: Option<String>,
    /// The folder of templates; templates.dir, or that of the programme, where it is not said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `template check`: finds what is wrong.
#[derive(Debug, clap::Args)]
#[command(about = "Checks every kind of mail in every language, and says what is wrong where")]
#[command(after_help = "\
Examples:
  posthorn template check
  posthorn template check --dir my-templates --leads 100")]
pub struct TemplateCheck {
    /// How many of the newest leads to try beside the samples; 0: none
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub leads: u32,
    /// The programme whose mails they are; as without one where it is not said
    #[arg(long, value_name = "NAME")]
    pub programme: Option<String>,
    /// The folder of templates; templates.dir, or that of the programme, where it is not said
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
#[command(about = "Shows a mail of a kind: of sample data, of a stored lead, or of data of your own")]
#[command(after_help = "\
Examples:
  posthorn template preview lead
  posthorn template preview digest --lang de --format html --out digest.html
  posthorn template preview lead --lead L1
  posthorn template preview lead --programme gold --format html
  posthorn template preview lead --data lead.json --format eml --out lead.eml
  posthorn template preview --serve    All of them in the browser, live.")]
pub struct TemplatePreview {
    /// lead, digest, reminder, expiry or decline
    #[arg(value_name = "KIND")]
    pub kind: Option<Kind>,
    /// The language; the reader's or mail.locale where it is not said
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Which sample
    #[arg(long, value_enum, default_value_t = Which::Full, value_name = "SAMPLE")]
    pub sample: Which,
    /// Tell of this lead instead
    #[arg(long, value_name = "ID", value_parser = lead_id, conflicts_with_all = ["data", "sample"])]
    pub lead: Option<LeadId>,
    /// Values that replace those of the sample, named as `template vars` does
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// What to show
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub format: Format,
    /// Write it there instead of showing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The programme whose mails they are; as without one where it is not said
    #[arg(long, value_name = "NAME")]
    pub programme: Option<String>,
    /// The folder of templates; templates.dir, or that of the programme, where it is not said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Show all kinds and languages in the browser, anew whenever a file changes
    #[arg(long, conflicts_with_all = ["kind", "lang", "sample", "lead", "data", "out"])]
    pub serve: bool,
    /// Where --serve listens on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 8026)]
    pub port: u16,
}

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// Everything that there is to say
    Full,
    /// As little as a record may have
    Empty,
    /// Every list and text as long as it becomes
    Longest,
    /// A lead that was urgent
    Cooled,
    /// Words chosen to break out of where they stand
    Hostile,
    /// Hebrew and Arabic
    RightToLeft,
}

impl Which {
    /// Returns the sample's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Empty => "empty",
            Self::Longest => "longest",
            Self::Cooled => "cooled",
            Self::Hostile => "hostile",
            Self::RightToLeft => "right-to-left",
        }
    }
}

/// `template diff`: shows what a change changes.
#[derive(Debug, clap::Args)]
#[command(about = "Shows what changed templates would alter in the mails of the newest leads")]
#[command(after_help = "\
Examples:
  posthorn template diff lead --against built-in
  posthorn template diff digest --dir new-templates --against my-templates
  posthorn template diff lead --programme gold --dir new-gold --against gold
  posthorn template diff lead --against built-in --leads 100 --html")]
pub struct TemplateDiff {
    /// lead, digest, reminder, expiry or decline
    #[arg(value_name = "KIND")]
    pub kind: Kind,
    /// The templates before: a folder, or built-in
    #[arg(long, value_name = "DIR", default_value = "built-in")]
    pub against: String,
    /// The templates after; templates.dir, or that of the programme, where it is not said
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The programme whose mails they are; both folders are then of its own
    #[arg(long, value_name = "NAME")]
    pub programme: Option<String>,
    /// How many leads to look at
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub leads: u32,
    /// The language; each reader's where it is not said
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Compare the HTML instead of the text
    #[arg(long)]
    pub html: bool,
}

/// `template send-test`: sends a mail.
#[derive(Debug, clap::Args)]
#[command(about = "Sends one mail, made of sample data, the way that all mails go")]
#[command(after_help = "\
Examples:
  posthorn template send-test lead kim@fabrikam.example
  posthorn template send-test digest kim@fabrikam.example --lang de")]
pub struct TemplateSendTest {
    /// lead, digest, reminder, expiry or decline
    #[arg(value_name = "KIND")]
    pub kind: Kind,
    /// To whom; in mode redirect it goes where everything goes
    #[arg(value_name = "ADDRESS")]
    pub address: EmailAddress,
    /// The language; mail.locale where it is not said
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// The programme whose mails they are; as without one where it is not said
    #[arg(long, value_name = "NAME")]
    pub programme: Option<String>,
    /// The folder of templates; templates.dir, or that of the programme, where it is not said
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
