//! `partners` and `actions`: who receives leads, and what his bell shows.

use clap::Subcommand;

use crate::cli::args::values::{Input, partner_id};
use crate::partner::{EmailAddress, PartnerId};
use crate::time::Timestamp;

/// `partners …`.
#[derive(Debug, Subcommand)]
pub enum Partners {
    Import(PartnersImport),
    List(PartnersList),
    Show(PartnersShow),
    SetPreferredEmail(SetPreferredEmail),
    ClearPreferredEmail(ClearPreferredEmail),
    Resubscribe(Resubscribe),
}

/// `partners import`: takes partner records in.
#[derive(Debug, clap::Args)]
#[command(about = "Takes partner records in from NDJSON or JSON; each replaces the one before")]
#[command(after_help = "\
Examples:
  posthorn partners import partners.json
  posthorn partners import - < partners.ndjson")]
pub struct PartnersImport {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub file: Input,
}

/// `partners list`: lists the partners.
#[derive(Debug, clap::Args)]
#[command(about = "Lists the partners, and where their mail goes")]
#[command(after_help = "\
Examples:
  posthorn partners list
  posthorn partners list --unroutable")]
pub struct PartnersList {
    /// Only those that have no address
    #[arg(long)]
    pub unroutable: bool,
}

/// `partners show`: shows a partner.
#[derive(Debug, clap::Args)]
#[command(about = "Shows a partner: its record, its addresses, its day")]
#[command(after_help = "\
Examples:
  posthorn partners show contoso")]
pub struct PartnersShow {
    /// The partner
    #[arg(value_name = "ID", value_parser = partner_id)]
    pub id: PartnerId,
}

/// `partners set-preferred-email`: sets the address that comes before all others.
#[derive(Debug, clap::Args)]
#[command(about = "Sets the address that alone gets a partner's mail")]
#[command(after_help = "\
Examples:
  posthorn partners set-preferred-email contoso leads@contoso.com --locale de")]
pub struct SetPreferredEmail {
    /// The partner
    #[arg(value_name = "ID", value_parser = partner_id)]
    pub id: PartnerId,
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: EmailAddress,
    /// Its language, such as en or de-AT
    #[arg(long, value_name = "TAG")]
    pub locale: Option<String>,
}

/// `partners clear-preferred-email`: takes that address back.
#[derive(Debug, clap::Args)]
#[command(about = "Takes the preferred address back: profile contacts and admins count again")]
#[command(after_help = "\
Examples:
  posthorn partners clear-preferred-email contoso")]
pub struct ClearPreferredEmail {
    /// The partner
    #[arg(value_name = "ID", value_parser = partner_id)]
    pub id: PartnerId,
}

/// `partners resubscribe`: lifts an opt-out.
#[derive(Debug, clap::Args)]
#[command(about = "Lifts the opt-out of an address that wants a partner's mail again")]
#[command(after_help = "\
Examples:
  posthorn partners resubscribe contoso ada@contoso.com")]
pub struct Resubscribe {
    /// The partner
    #[arg(value_name = "ID", value_parser = partner_id)]
    pub id: PartnerId,
    /// The address
    #[arg(value_name = "ADDRESS")]
    pub address: EmailAddress,
}

/// `actions …`.
#[derive(Debug, Subcommand)]
pub enum Actions {
    List(ActionsList),
}

/// `actions list`: lists a partner's action items.
#[derive(Debug, clap::Args)]
#[command(about = "Lists a partner's action items in every state, latest change first")]
#[command(after_help = "\
Examples:
  posthorn actions list --partner contoso
  posthorn actions list --partner contoso --json")]
pub struct ActionsList {
    /// The partner
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: PartnerId,
}

/// `report`: tells what became of each partner's leads.
#[derive(Debug, clap::Args)]
#[command(about = "Tells what became of each partner's leads, and who shows no sign of life")]
#[command(after_help = "\
Examples:
  posthorn report
  posthorn report --silent
  posthorn report --partner contoso --created-from 2026-01-01T00:00:00Z --json")]
pub struct Report {
    /// Only this partner
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: Option<PartnerId>,
    /// Of leads created then or later; 30 days before the end where it is not said
    #[arg(long, value_name = "RFC3339")]
    pub created_from: Option<Timestamp>,
    /// Of leads created before that; now where it is not said
    #[arg(long, value_name = "RFC3339")]
    pub created_before: Option<Timestamp>,
    /// Only partners whose addresses bounced, or who let every lead expire
    #[arg(long)]
    pub silent: bool,
}
