//! What a partner answers to a lead: taken in the same words by several commands.

use crate::cli::args::values::{Amount, Currency, Person, day, lead_id};
use crate::lead::LeadId;
use crate::time::LocalDay;

/// `leads accept`: accepts a lead for its partner.
#[derive(Debug, clap::Args)]
#[command(about = "Accepts a lead for its partner")]
#[command(after_help = "\
Examples:
  posthorn leads accept L1 --deal-name \"CRM for 40 seats\" --by ada
  posthorn leads accept L1 --value 12500.50 --currency EUR --closing 2026-12-31")]
pub struct Accept {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
    /// What the deal is.
    #[command(flatten)]
    pub terms: Terms,
    /// Who says so.
    #[command(flatten)]
    pub by: By,
}

/// `leads edit`: changes what was said when the lead was accepted.
#[derive(Debug, clap::Args)]
#[command(about = "Changes what was said when a lead was accepted")]
#[command(after_help = "\
Examples:
  posthorn leads edit L1 --closing 2027-01-31 --by ada
  posthorn leads edit L1 --team \"Ada Lovelace, ada@contoso.com\"")]
pub struct Edit {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
    /// What changes; what is not named stays.
    #[command(flatten)]
    pub terms: Terms,
    /// Who says so.
    #[command(flatten)]
    pub by: By,
}

/// `leads decline`: declines a lead for its partner.
#[derive(Debug, clap::Args)]
#[command(about = "Declines a lead for its partner, and asks the customer to choose another")]
#[command(after_help = "\
Examples:
  posthorn leads decline L1 --reason \"No capacity\" --by ada
  posthorn leads decline L1 --reason Spam --no-customer-mail")]
pub struct Decline {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
    /// Why; the customer is not told
    #[arg(long)]
    pub reason: String,
    /// More about it; the customer is not told
    #[arg(long, value_name = "TEXT")]
    pub notes: Option<String>,
    /// Send the customer no mail
    #[arg(long)]
    pub no_customer_mail: bool,
    /// Who says so.
    #[command(flatten)]
    pub by: By,
}

/// `leads won`: closes an accepted lead as won.
#[derive(Debug, clap::Args)]
#[command(about = "Closes an accepted lead as won")]
#[command(after_help = "\
Examples:
  posthorn leads won L1 --value 12000 --currency EUR --by ada")]
pub struct Won {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
    /// How it ended.
    #[command(flatten)]
    pub outcome: Outcome,
    /// Who says so.
    #[command(flatten)]
    pub by: By,
}

/// `leads lost`: closes an accepted lead as lost.
#[derive(Debug, clap::Args)]
#[command(about = "Closes an accepted lead as lost")]
#[command(after_help = "\
Examples:
  posthorn leads lost L1 --notes \"Chose another product\" --by ada")]
pub struct Lost {
    /// The lead
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub id: LeadId,
    /// How it ended.
    #[command(flatten)]
    pub outcome: Outcome,
    /// Who says so.
    #[command(flatten)]
    pub by: By,
}

/// What a deal is (`R-ACCEPT`).
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Terms {
    /// Name of the deal
    #[arg(long, value_name = "NAME")]
    pub deal_name: Option<String>,
    /// Estimated value, such as 12500.50
    #[arg(long, value_name = "AMOUNT", requires = "currency", allow_negative_numbers = true)]
    pub value: Option<Amount>,
    /// Its currency, such as EUR
    #[arg(long, value_name = "CODE", requires = "value")]
    pub currency: Option<Currency>,
    /// Estimated closing date, such as 2026-12-31
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub closing: Option<LocalDay>,
    /// Notes
    #[arg(long, value_name = "TEXT")]
    pub notes: Option<String>,
    /// A team member; may be repeated
    #[arg(long, value_name = "NAME, PHONE, E-MAIL")]
    pub team: Vec<Person>,
    /// A colleague; may be repeated
    #[arg(long, value_name = "NAME, PHONE, E-MAIL")]
    pub colleague: Vec<Person>,
    /// Id of the deal in the partner's CRM
    #[arg(long, value_name = "ID")]
    pub crm_id: Option<String>,
    /// Id of the campaign
    #[arg(long, value_name = "ID")]
    pub campaign_id: Option<String>,
}

/// How a deal ended (`R-ACCEPT`).
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Outcome {
    /// Final value, such as 12500.50
    #[arg(long, value_name = "AMOUNT", requires = "currency", allow_negative_numbers = true)]
    pub value: Option<Amount>,
    /// Its currency, such as EUR
    #[arg(long, value_name = "CODE", requires = "value")]
    pub currency: Option<Currency>,
    /// Why it ended so
    #[arg(long, value_name = "TEXT")]
    pub notes: Option<String>,
}

/// Who answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct By {
    /// Who says so; kept in the lead's history
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}
