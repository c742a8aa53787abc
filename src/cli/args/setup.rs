//! Commands that run posthorn, set it up, and ask how it is.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::args::values::partner_id;
use crate::partner::PartnerId;
use crate::time::Timestamp;

/// `demo`: plays six months on data of its own.
#[derive(Debug, clap::Args)]
#[command(about = "Plays six months of a portal on data of its own; needs nothing installed")]
#[command(after_help = "\
Examples:
  posthorn demo
  posthorn demo posthorn-demo")]
pub struct Demo {
    /// The folder to make; a new one where none is named
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

/// `work`: does what is due, then ends.
#[derive(Debug, clap::Args)]
#[command(about = "Does all that is due, then ends")]
#[command(after_help = "\
Examples:
  posthorn work --until-idle
  posthorn work --until-idle --now 2026-03-02T17:00:00Z    In a rehearsal.")]
pub struct Work {
    /// End when nothing is due any more
    #[arg(long, required = true)]
    pub until_idle: bool,
}

/// `serve`: does what is due, when it is due.
#[derive(Debug, clap::Args)]
#[command(about = "Mails and moves on whatever is due until it is stopped (SIGTERM)")]
#[command(after_help = "\
Examples:
  posthorn serve
  posthorn --config /etc/posthorn/posthorn.toml serve")]
pub struct Serve {}

/// `status`: says how it is.
#[derive(Debug, clap::Args)]
#[command(about = "Says what waits, what is late, and what needs somebody")]
#[command(after_help = "\
Examples:
  posthorn status
  posthorn status --json")]
pub struct Status {}

/// `audit`: proves that nothing was lost.
#[derive(Debug, clap::Args)]
#[command(about = "Proves that every lead is mailed, waiting, or excused with a reason")]
#[command(after_help = "\
Examples:
  posthorn audit
  posthorn audit --json")]
pub struct Audit {}

/// `doctor`: looks at everything that has to be right.
#[derive(Debug, clap::Args)]
#[command(about = "Looks at all that has to be right for mail to arrive, and says what to do")]
#[command(after_help = "\
Sends no mail and changes nothing; a running `posthorn serve` goes on.
Exit code 1 if something is wrong; 3 and 4 if configuration or database are.

Examples:
  posthorn doctor
  posthorn doctor --online
  posthorn doctor --resolver 127.0.0.1:5353 --json")]
pub struct Doctor {
    /// Ask http.public_url, too, where it is not on this machine
    #[arg(long)]
    pub online: bool,
    /// Ask this resolver, not the system's; more than one may be given
    #[arg(long = "resolver", value_name = "ADDRESS:PORT")]
    pub resolvers: Vec<SocketAddr>,
}

/// `migrate`: makes the database, or brings it up to date.
#[derive(Debug, clap::Args)]
#[command(about = "Makes the database, or brings it up to date")]
#[command(after_help = "\
Examples:
  posthorn migrate
  posthorn migrate --rehearsal")]
pub struct Migrate {
    /// Make a database in which --now is allowed; never for real leads
    #[arg(long)]
    pub rehearsal: bool,
    /// Confirm that a database in mode dry or redirect becomes live, as the configuration says
    #[arg(long)]
    pub yes: bool,
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub enum Config {
    Check(ConfigCheck),
    Show(ConfigShow),
}

/// `config check`: says whether the configuration is right.
#[derive(Debug, clap::Args)]
#[command(about = "Says whether the configuration is right, and what it means")]
#[command(after_help = "\
Examples:
  posthorn config check
  posthorn --config new.toml config check")]
pub struct ConfigCheck {}

/// `config show`: shows the configuration in force.
#[derive(Debug, clap::Args)]
#[command(about = "Shows every setting in force, and where it was set; passwords are masked")]
#[command(after_help = "\
Examples:
  posthorn config show
  posthorn config show --json")]
pub struct ConfigShow {}

/// `token …`.
#[derive(Debug, Subcommand)]
pub enum Token {
    New(TokenNew),
}

/// `token new`: makes a token.
#[derive(Debug, clap::Args)]
#[command(about = "Makes a bearer token for the HTTP API, and says what to write into the configuration")]
#[command(after_help = "\
The token is shown once; only its SHA-256 goes into the configuration.

Examples:
  posthorn token new --name portal --scope intake --scope portal
  posthorn token new --name contoso --scope portal --partner contoso
  posthorn token new --name grafana --scope read --expires 2027-12-31T00:00:00Z")]
pub struct TokenNew {
    /// Who will use it
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// What it opens; more than one may be given
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_enum)]
    pub scopes: Vec<Scope>,
    /// Limit it to this partner's leads
    #[arg(long, value_name = "ID", value_parser = partner_id)]
    pub partner: Option<PartnerId>,
    /// From when on it opens nothing
    #[arg(long, value_name = "RFC3339")]
    pub expires: Option<Timestamp>,
}

/// What a token opens.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Scope {
    /// Bringing leads and bounces
    Intake,
    /// Partners, answers, the Action Center feed
    Portal,
    /// Digests, deliveries, suppressions, rejected records; and reading everything
    Ops,
    /// Reading everything
    Read,
}

/// `completions`: completes commands in a shell.
#[derive(Debug, clap::Args)]
#[command(about = "Writes the script that completes commands in your shell")]
#[command(after_help = "\
Examples:
  posthorn completions bash > /etc/bash_completion.d/posthorn
  posthorn completions zsh > ~/.zfunc/_posthorn")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}

/// `man`: writes the manual.
#[derive(Debug, clap::Args)]
#[command(about = "Writes the manual page, or with --dir one for each command")]
#[command(after_help = "\
Examples:
  posthorn man > posthorn.1
  posthorn man --dir /usr/local/share/man/man1")]
pub struct Man {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}
