//! `import`, `leads`, `rejected` and `explain`: what comes in, and what became of it.

use std::path::PathBuf;

use clap::Subcommand;

use crate::app::leads::Order;
use crate::cli::args::answers::{Accept, By, Decline, Edit, Lost, Won};
use crate::cli::args::values::{Input, Standing, kind, lead_id, other_id, partner_id, rows_max};
use crate::lead::LeadId;
use crate::lead::kind::Kind;
use crate::lead::values::{CallToAction, EmailValidity, Origin, PhoneValidity, Quality, ReferralSource, Tab};
use crate::partner::PartnerId;
use crate::time::Timestamp;

/// `import`: takes leads in.
#[derive(Debug, clap::Args)]
#[command(about = "Takes leads in from NDJSON, JSON or CSV, whichever the file holds")]
#[command(after_help = "\
Examples:
  posthorn import leads.ndjson
  posthorn import --partner contoso marketplace.json
  posthorn import --no-notify last-year.csv
  zcat leads.ndjson.gz | posthorn import -")]
pub struct Import {
    /// The file; - is standard input, which never asks
    #[arg(value_name = "FILE")]
    pub file: Input,
    /// Whose leads they are, where the records do not say (marketplace leads)
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: Option<PartnerId>,
    /// Keep them without mailing, counting or reminding anybody
    #[arg(long)]
    pub no_notify: bool,
    /// Do not ask, however many mails it causes
    #[arg(short, long)]
    pub yes: bool,
}

/// `leads …`.
#[derive(Debug, Subcommand)]
pub enum Leads {
    List(Box<LeadsList>),
    Show(LeadsShow),
    Accept(Accept),
    Decline(Decline),
    Won(Won),
    Lost(Lost),
    Edit(Edit),
    Favourite(LeadsMark),
    Unfavourite(LeadsUnmark),
    History(LeadsHistory),
    Export(Box<LeadsExport>),
}

/// `leads list`: lists leads as they are now.
#[derive(Debug, clap::Args)]
#[command(about = "Lists leads as they are now, the newest first")]
#[command(after_help = "\
Examples:
  posthorn leads list --partner contoso --status New
  posthorn leads list --tab Qualified --country DE --sort customer
  posthorn leads list --search \"cloud migration\" --limit 20 --json")]
pub struct LeadsList {
    #[command(flatten)]
    pub filter: LeadFilter,
    /// At most so many; all where it is not said
    #[arg(long, value_name = "N", value_parser = rows_max)]
    pub limit: Option<u32>,
}

/// Which leads, and in which order (`R-FILTER`). Where several values fit, they stand with commas between; names are read in any case.
#[derive(Debug, clap::Args)]
pub struct LeadFilter {
    /// Only this partner's
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: Option<PartnerId>,
    /// Only those on this tab: Marketplace, Qualified or Favourites
    #[arg(long, value_delimiter = ',', value_name = "TAB")]
    pub tab: Vec<Tab>,
    /// Only those that stand so: New, Active, Closed, or Received, Accepted, Won, Lost, Declined, Expired; several with commas between
    #[arg(long, value_delimiter = ',', value_name = "STATUS")]
    pub status: Vec<Standing>,
    /// Only such leads: Profile or Offer, by the page that they came from
    #[arg(long = "type", value_delimiter = ',', value_name = "TYPE")]
    pub origin: Vec<Origin>,
    /// Only such leads: contact, informational, shared or test
    #[arg(long, value_delimiter = ',', value_name = "KIND", value_parser = kind)]
    pub kind: Vec<Kind>,
    /// Only these: GetItNow, FreeTrial, TestDrive, ContactMe
    #[arg(long, value_delimiter = ',', value_name = "ACTION")]
    pub call_to_action: Vec<CallToAction>,
    /// Only from these countries, by code such as DE, DEU, USA
    #[arg(long, value_delimiter = ',', value_name = "COUNTRY")]
    pub country: Vec<String>,
    /// Only of customers whose name holds this
    #[arg(long, value_name = "TEXT")]
    pub customer: Option<String>,
    /// Only from these: AppSource, AzureMarketplace, AzurePortal
    #[arg(long, value_delimiter = ',', value_name = "SOURCE")]
    pub source: Vec<ReferralSource>,
    /// Only those of this quality: High, Low
    #[arg(long, value_delimiter = ',', value_name = "QUALITY")]
    pub quality: Vec<Quality>,
    /// Only those with such an e-mail: Valid, Invalid, Spam, Unknown
    #[arg(long, value_delimiter = ',', value_name = "VALIDITY")]
    pub email_validity: Vec<EmailValidity>,
    /// Only those with such a phone: Valid, Invalid, Unknown
    #[arg(long, value_delimiter = ',', value_name = "VALIDITY")]
    pub phone_validity: Vec<PhoneValidity>,
    /// Only those that hold each of these words: id, customer, people, deal, notes, place, offer
    #[arg(long, value_name = "WORDS")]
    pub search: Option<String>,
    /// Only those created then or later
    #[arg(long, value_name = "RFC3339")]
    pub created_from: Option<Timestamp>,
    /// Only those created before that
    #[arg(long, value_name = "RFC3339")]
    pub created_before: Option<Timestamp>,
    /// By created, customer, emailValidity or phoneValidity; the other way round with - before it
    #[arg(long, value_name = "ORDER", default_value = "-created", allow_hyphen_values = true)]
    pub sort: Order,
}

/// `leads show`: shows a lead as it is now.
#[derive(Debug, clap::Args)]
#[command(about = "Shows a lead as it is now")]
#[command(after_help = "\
Examples:
  posthorn leads show L1
  posthorn leads show L1 --json")]
pub struct LeadsShow {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
}

/// `leads favourite`: marks a lead as a favourite of its partner.
#[derive(Debug, clap::Args)]
#[command(about = "Marks a lead as a favourite of its partner")]
#[command(after_help = "\
Examples:
  posthorn leads favourite L1 --by ada
  posthorn leads list --partner contoso --tab Favourites")]
pub struct LeadsMark {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
    /// Who says so.
    #[command(flatten)]
    pub by: By,
}

/// `leads unfavourite`: takes that mark away.
#[derive(Debug, clap::Args)]
#[command(about = "Takes the mark of a favourite away from a lead")]
#[command(after_help = "\
Examples:
  posthorn leads unfavourite L1 --by ada")]
pub struct LeadsUnmark {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
    /// Who says so.
    #[command(flatten)]
    pub by: By,
}

/// `leads export`: writes what a list shows as a file for spreadsheets.
#[derive(Debug, clap::Args)]
#[command(about = "Writes leads as they are now as a file for spreadsheets: CSV or XLSX")]
#[command(after_help = "\
Examples:
  posthorn leads export --out leads.xlsx
  posthorn leads export --partner contoso --status Won --out won.csv
  posthorn leads export --country DE > leads.csv")]
pub struct LeadsExport {
    #[command(flatten)]
    pub filter: LeadFilter,
    /// Write to this file; to standard output where it is not said
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The format; by the file's ending where it is not said, else csv
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
}

/// A format that spreadsheets read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values, in UTF-8
    Csv,
    /// A workbook
    Xlsx,
}

/// `leads history`: lists what was decided about a lead.
#[derive(Debug, clap::Args)]
#[command(about = "Lists what was decided about a lead, and by which rule")]
#[command(after_help = "\
Examples:
  posthorn leads history L1
  posthorn leads history L1 --json")]
pub struct LeadsHistory {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
}

/// `verify`: asks the DNS for customers' mail domains.
#[derive(Debug, clap::Args)]
#[command(about = "Finds out which customers' e-mail addresses can be right, by their domains")]
#[command(after_help = "\
Asks the DNS, once for each domain; `serve` does so by itself, `work` does not.

Examples:
  posthorn verify
  posthorn verify --limit 1000 --json")]
pub struct Verify {
    /// Look at so many leads at most; at all that are due where it is not said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

/// `erase`: erases the personal data of leads.
#[derive(Debug, clap::Args)]
#[command(about = "Erases the personal data of leads; counts and history stay")]
#[command(after_help = "\
Examples:
  posthorn erase L1
  posthorn erase L1 L2 --by ada --reason \"the customer asked for it\" --yes")]
pub struct Erase {
    /// The leads
    #[arg(value_name = "LEAD", required = true, value_parser = lead_id)]
    pub ids: Vec<LeadId>,
    /// Who wants it; stands in the history
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
    /// Why; stands in the history, so name no customer
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `rejected …`.
#[derive(Debug, Subcommand)]
pub enum Rejected {
    List(RejectedList),
    Show(RejectedShow),
    Retry(RejectedRetry),
    Discard(RejectedDiscard),
}

/// `rejected list`: lists the records that could not be taken in.
#[derive(Debug, clap::Args)]
#[command(about = "Lists the records that could not be taken in")]
#[command(after_help = "\
Examples:
  posthorn rejected list
  posthorn rejected list --partner contoso --json")]
pub struct RejectedList {
    /// Only this partner's
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: Option<PartnerId>,
}

/// `rejected show`: shows a record and what is wrong with it.
#[derive(Debug, clap::Args)]
#[command(about = "Shows a record and everything that is wrong with it")]
#[command(after_help = "\
Examples:
  posthorn rejected show 17")]
pub struct RejectedShow {
    /// The record, as `rejected list` names it
    #[arg(value_name = "ID", value_parser = other_id)]
    pub id: String,
}

/// `rejected retry`: takes records in once more.
#[derive(Debug, clap::Args)]
#[command(about = "Takes records in once more, perhaps corrected")]
#[command(after_help = "\
Examples:
  posthorn rejected retry 17
  posthorn rejected retry 17 --with corrected.json
  posthorn rejected retry --all")]
#[command(group = clap::ArgGroup::new("which").args(["ids", "all"]).required(true))]
pub struct RejectedRetry {
    /// The records, as `rejected list` names them
    #[arg(value_name = "ID", value_parser = other_id)]
    pub ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Take this in instead; for one record
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub with: Option<Input>,
}

/// `rejected discard`: drops records.
#[derive(Debug, clap::Args)]
#[command(about = "Drops records that will never be taken in")]
#[command(after_help = "\
Examples:
  posthorn rejected discard 17 18
  posthorn rejected discard --all --yes")]
#[command(group = clap::ArgGroup::new("which").args(["ids", "all"]).required(true))]
pub struct RejectedDiscard {
    /// The records, as `rejected list` names them
    #[arg(value_name = "ID", value_parser = other_id)]
    pub ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `explain`: tells the whole story.
#[derive(Debug, clap::Args)]
#[command(about = "Tells why somebody was mailed, or was not")]
#[command(after_help = "\
Examples:
  posthorn explain L1                 A lead: who was told what, when and why.
  posthorn explain contoso            A partner: where its mail goes, and when.
  posthorn explain ada@contoso.com    An address: what it got, and what not.")]
pub struct Explain {
    /// A lead's id, a partner's id or an e-mail address
    #[arg(value_name = "LEAD|PARTNER|ADDRESS", value_parser = other_id)]
    pub what: String,
}
