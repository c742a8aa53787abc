//! `digest`, `deliveries`, `suppressions` and `bounces`: what goes out, what does not, and what comes back.

use clap::{Subcommand, ValueEnum};

use crate::cli::args::values::{Input, lead_id, other_id, partner_id, rows_max};
use crate::lead::LeadId;
use crate::partner::{EmailAddress, PartnerId};

/// `digest …`.
#[derive(Debug, Subcommand)]
pub enum Digest {
    List(DigestList),
    Preview(DigestPreview),
    Run(DigestRun),
}

/// `digest list`: lists digests.
#[derive(Debug, clap::Args)]
#[command(about = "Lists digests: those that collect leads, and those that are closed")]
#[command(after_help = "\
Examples:
  posthorn digest list
  posthorn digest list --partner contoso")]
pub struct DigestList {
    /// Only this partner's
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: Option<PartnerId>,
    /// At most so many; all where it is not said
    #[arg(long, value_name = "N", value_parser = rows_max)]
    pub limit: Option<u32>,
}

/// `digest preview`: shows a digest as it would be mailed.
#[derive(Debug, clap::Args)]
#[command(about = "Shows a partner's digest as it would be mailed now")]
#[command(after_help = "\
Examples:
  posthorn digest preview contoso
  posthorn digest preview contoso --html")]
pub struct DigestPreview {
    /// The partner
    #[arg(value_name = "PARTNER", value_parser = partner_id)]
    pub partner: PartnerId,
    /// Show the HTML, not the plain text
    #[arg(long)]
    pub html: bool,
}

/// `digest run`: sends digests early.
#[derive(Debug, clap::Args)]
#[command(about = "Closes digests now instead of at their time, and queues their mails")]
#[command(after_help = "\
Examples:
  posthorn digest run --partner contoso
  posthorn digest run --all --dry-run    See who would be mailed.
  posthorn digest run --all --yes")]
#[command(group = clap::ArgGroup::new("which").args(["partner", "all"]).required(true))]
pub struct DigestRun {
    /// For these partners
    #[arg(long, value_name = "ID", num_args = 1.., value_parser = partner_id)]
    pub partner: Vec<PartnerId>,
    /// For every partner whose digest has leads
    #[arg(long)]
    pub all: bool,
    /// Do it all, show it, and take it back
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask, however many partners and mails it concerns
    #[arg(short, long)]
    pub yes: bool,
}

/// `deliveries …`.
#[derive(Debug, Subcommand)]
pub enum Deliveries {
    List(DeliveriesList),
    Show(DeliveriesShow),
    Retry(DeliveriesRetry),
    Cancel(DeliveriesCancel),
}

/// The state of a delivery, as `--state` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum State {
    /// Waits to be sent, or to be tried again
    Queued,
    /// Is being handed over
    Sending,
    /// Was handed over, and the relay's answer never came
    InDoubt,
    /// Was taken by the relay
    Sent,
    /// Was refused for good, or given up
    Failed,
    /// Was not needed any more
    Cancelled,
    /// Was held back: the address cannot be reached
    Suppressed,
}

/// `deliveries list`: lists mails.
#[derive(Debug, clap::Args)]
#[command(about = "Lists mails, latest first")]
#[command(after_help = "\
Examples:
  posthorn deliveries list --state failed
  posthorn deliveries list --lead L1
  posthorn deliveries list --partner contoso --state queued,in_doubt")]
pub struct DeliveriesList {
    /// Only those in this state; several with commas between
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    pub state: Vec<State>,
    /// Only those about this lead
    #[arg(long, value_name = "ID", value_parser = lead_id)]
    pub lead: Option<LeadId>,
    /// Only those to this partner
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: Option<PartnerId>,
    /// At most so many; all where it is not said
    #[arg(long, value_name = "N", value_parser = rows_max)]
    pub limit: Option<u32>,
}

/// `deliveries show`: shows a mail.
#[derive(Debug, clap::Args)]
#[command(about = "Shows a mail: whom it is for, why, and every attempt to hand it over")]
#[command(after_help = "\
Examples:
  posthorn deliveries show 42
  posthorn deliveries show 42 --mail > 42.eml    What exactly they got.")]
pub struct DeliveriesShow {
    /// The mail, as `deliveries list` names it
    #[arg(value_name = "ID", value_parser = other_id)]
    pub id: String,
    /// Write the mail itself, byte for byte as it was handed over (mail.keep_sent)
    #[arg(long)]
    pub mail: bool,
}

/// `deliveries retry`: tries mails again.
#[derive(Debug, clap::Args)]
#[command(about = "Tries mails again that have failed or are in doubt")]
#[command(after_help = "\
Examples:
  posthorn deliveries retry 42 43")]
pub struct DeliveriesRetry {
    /// The mails, as `deliveries list` names them
    #[arg(value_name = "ID", required = true, value_parser = other_id)]
    pub ids: Vec<String>,
}

/// `deliveries cancel`: stops mails.
#[derive(Debug, clap::Args)]
#[command(about = "Stops mails that are not sent yet, or are in doubt")]
#[command(after_help = "\
Examples:
  posthorn deliveries cancel 42 43")]
pub struct DeliveriesCancel {
    /// The mails, as `deliveries list` names them
    #[arg(value_name = "ID", required = true, value_parser = other_id)]
    pub ids: Vec<String>,
}

/// `suppressions …`.
#[derive(Debug, Subcommand)]
pub enum Suppressions {
    List(SuppressionsList),
    Add(SuppressionsAdd),
    Remove(SuppressionsRemove),
}

/// `suppressions list`: lists suppressed addresses.
#[derive(Debug, clap::Args)]
#[command(about = "Lists the addresses that are not mailed any more, and why")]
#[command(after_help = "\
Examples:
  posthorn suppressions list
  posthorn suppressions list --json")]
pub struct SuppressionsList {}

/// `suppressions add`: suppresses an address.
#[derive(Debug, clap::Args)]
#[command(about = "Stops all mail to an address; the next one of its partner takes its place")]
#[command(after_help = "\
Examples:
  posthorn suppressions add ada@contoso.com --reason \"left the company\"")]
pub struct SuppressionsAdd {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: EmailAddress,
    /// Why; `suppressions list` and `explain` show it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `suppressions remove`: mails an address again.
#[derive(Debug, clap::Args)]
#[command(about = "Mails an address again, also what waited for it and is still of use")]
#[command(after_help = "\
Examples:
  posthorn suppressions remove ada@contoso.com")]
pub struct SuppressionsRemove {
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: EmailAddress,
}

/// `bounces …`.
#[derive(Debug, Subcommand)]
pub enum Bounces {
    Import(BouncesImport),
    List(BouncesList),
    Show(BouncesShow),
}

/// `bounces import`: takes bounces in.
#[derive(Debug, clap::Args)]
#[command(about = "Takes in mail that came back, and does what follows from it")]
#[command(after_help = "\
Examples:
  posthorn bounces import bounce.eml
  posthorn bounces import /var/mail/bounces    A Maildir; it is left as it is.
  posthorn bounces import - < bounce.eml       From a mail server's pipe.")]
pub struct BouncesImport {
    /// A file with one mail, a Maildir, or - for standard input
    #[arg(value_name = "FILE|MAILDIR")]
    pub input: Input,
    /// To whom it came, where the mail server says so; else its headers do
    #[arg(long, value_name = "ADDRESS")]
    pub recipient: Option<String>,
}

/// What became of what came, as `--state` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BounceState {
    /// It was about a mail, and did what follows
    Matched,
    /// It is a report, and about no mail as far as is believed
    Unmatched,
    /// It is no report: an automatic answer, a complaint, a letter
    Ignored,
}

impl BounceState {
    /// Returns the word that the database knows it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Unmatched => "unmatched",
            Self::Ignored => "ignored",
        }
    }
}

/// `bounces list`: lists bounces.
#[derive(Debug, clap::Args)]
#[command(about = "Lists what came back, latest first")]
#[command(after_help = "\
Examples:
  posthorn bounces list
  posthorn bounces list --state unmatched")]
pub struct BouncesList {
    /// Only those in this state
    #[arg(long, value_enum, value_name = "STATE")]
    pub state: Option<BounceState>,
    /// At most so many; all where it is not said
    #[arg(long, value_name = "N", value_parser = rows_max)]
    pub limit: Option<u32>,
}

/// `bounces show`: shows a bounce.
#[derive(Debug, clap::Args)]
#[command(about = "Shows what came back, what followed, and the mail where it is kept")]
#[command(after_help = "\
Examples:
  posthorn bounces show 7")]
pub struct BouncesShow {
    /// Which, as `bounces list` names it
    #[arg(value_name = "ID", value_parser = other_id)]
    pub id: String,
}
