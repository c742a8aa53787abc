//! The command line: a file per group of commands, each a thin layer over one use case.
//!
//! In: words and flags ([`args`]). Out: results on standard output, all else on standard error ([`output`]), an exit code ([`exit`]).
//!
//! **Invariants:** only this room writes to standard output; a failure is told once, here, and its code comes from one table.
//! **Not here:** decisions and SQL; a command parses, calls one use case, and shows the answer.

pub mod args;
pub mod ask;
pub mod context;
pub mod exit;
pub mod output;

mod actions;
mod audit;
mod bounces;
mod config;
mod deliveries;
mod demo;
mod digests;
mod doctor;
mod explain;
mod import;
mod leads;
mod mails;
mod page;
mod partners;
mod rejected;
mod report;
mod roster;
mod run;
mod serve;
mod session;
mod shell;
mod status;
mod suppressions;
mod template;
mod token;
mod walk;

use std::process::ExitCode;

use crate::cli::args::{Args, Command, Global};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::telemetry;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // TLS has no provider of its own; the second call of a process is refused, and changes nothing.
    rustls::crypto::ring::default_provider().install_default().ok();
    let args = match args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(told) => {
            // Help and version are "errors" that exit 0; clap knows which stream is theirs.
            _ = told.print();
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    match run(args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(&failure);
            failure.exit.into()
        }
    }
}

fn tell(failure: &Failure) {
    use std::io::Write;
    for line in failure.message.lines() {
        // There is nowhere left to tell that standard error is gone.
        _ = writeln!(std::io::stderr(), "posthorn: {line}");
    }
}

fn run(args: Args) -> Result<Exit, Failure> {
    let Args { global, command } = args;
    let ctx = match &command {
        Command::Demo(_) | Command::Completions(_) | Command::Man(_) | Command::Token(_) => Context::without_settings(&global),
        Command::Doctor(_) => Context::load_partly(&global),
        _ => Context::load(&global)?,
    };
    telemetry::start(ctx.settings().log.format, level(&global, &command, &ctx));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::unavailable(format_args!("cannot start threads: {error}")))?;
    let exit = runtime.block_on(dispatch(command, &ctx));
    // What was answered before a failure is still an answer.
    let written = ctx.out.finish();
    let exit = exit?;
    written.map(|()| exit)
}

/// `serve` is watched by its log; other commands answer by their result, and log only what is wrong.
fn level(global: &Global, command: &Command, ctx: &Context) -> telemetry::Level {
    let usual = match command {
        Command::Serve(_) => ctx.settings().log.level,
        _ => telemetry::Level::Warn,
    };
    telemetry::level(usual, global.quiet, global.verbose)
}

async fn dispatch(command: Command, ctx: &Context) -> Result<Exit, Failure> {
    use args::delivery::{Bounces, Deliveries, Digest, Suppressions};
    use args::leads::{Leads, Rejected};
    use args::partners::{Actions, Partners};
    use args::setup::{Config, Token};
    use args::template::Template;
    match command {
        Command::Demo(args) => demo::demo(&args, ctx).await,
        Command::Import(args) => import::import(&args, ctx).await,
        Command::Work(args) => run::work(&args, ctx).await,
        Command::Serve(args) => serve::serve(&args, ctx).await,
        Command::Explain(args) => explain::explain(&args, ctx).await,
        Command::Status(args) => status::status(&args, ctx).await,
        Command::Audit(args) => audit::audit(&args, ctx).await,
        Command::Doctor(args) => doctor::doctor(&args, ctx).await,
        Command::Leads(Leads::List(args)) => leads::list(&args, ctx).await,
        Command::Leads(Leads::Show(args)) => leads::show(&args, ctx).await,
        Command::Leads(Leads::Accept(args)) => leads::accept(&args, ctx).await,
        Command::Leads(Leads::Decline(args)) => leads::decline(&args, ctx).await,
        Command::Leads(Leads::Won(args)) => leads::won(&args, ctx).await,
        Command::Leads(Leads::Lost(args)) => leads::lost(&args, ctx).await,
        Command::Leads(Leads::Edit(args)) => leads::edit(&args, ctx).await,
        Command::Leads(Leads::History(args)) => leads::history(&args, ctx).await,
        Command::Rejected(Rejected::List(args)) => rejected::list(&args, ctx).await,
        Command::Rejected(Rejected::Show(args)) => rejected::show(&args, ctx).await,
        Command::Rejected(Rejected::Retry(args)) => rejected::retry(&args, ctx).await,
        Command::Rejected(Rejected::Discard(args)) => rejected::discard(&args, ctx).await,
        Command::Partners(Partners::Import(args)) => partners::import(&args, ctx).await,
        Command::Partners(Partners::List(args)) => roster::list(&args, ctx).await,
        Command::Partners(Partners::Show(args)) => roster::show(&args, ctx).await,
        Command::Partners(Partners::SetPreferredEmail(args)) => partners::set_preferred_email(&args, ctx).await,
        Command::Partners(Partners::ClearPreferredEmail(args)) => partners::clear_preferred_email(&args, ctx).await,
        Command::Partners(Partners::Resubscribe(args)) => partners::resubscribe(&args, ctx).await,
        Command::Digest(Digest::List(args)) => digests::list(&args, ctx).await,
        Command::Digest(Digest::Preview(args)) => digests::preview(&args, ctx).await,
        Command::Digest(Digest::Run(args)) => digests::run(&args, ctx).await,
        Command::Deliveries(Deliveries::List(args)) => mails::list(&args, ctx).await,
        Command::Deliveries(Deliveries::Show(args)) => mails::show(&args, ctx).await,
        Command::Deliveries(Deliveries::Retry(args)) => deliveries::retry(&args, ctx).await,
        Command::Deliveries(Deliveries::Cancel(args)) => deliveries::cancel(&args, ctx).await,
        Command::Suppressions(Suppressions::List(args)) => suppressions::list(&args, ctx).await,
        Command::Suppressions(Suppressions::Add(args)) => suppressions::add(&args, ctx).await,
        Command::Suppressions(Suppressions::Remove(args)) => suppressions::remove(&args, ctx).await,
        Command::Bounces(Bounces::Import(args)) => bounces::import(&args, ctx).await,
        Command::Bounces(Bounces::List(args)) => bounces::list(&args, ctx).await,
        Command::Bounces(Bounces::Show(args)) => bounces::show(&args, ctx).await,
        Command::Actions(Actions::List(args)) => actions::list(&args, ctx).await,
        Command::Template(Template::List(args)) => template::list(&args, ctx),
        Command::Template(Template::Check(args)) => template::check(&args, ctx),
        Command::Template(Template::Vars(args)) => template::vars(&args, ctx),
        Command::Template(Template::Preview(args)) => template::preview(&args, ctx),
        Command::Template(Template::ExportDefaults(args)) => template::export_defaults(&args, ctx),
        Command::Migrate(args) => run::migrate(&args, ctx).await,
        Command::Config(Config::Check(args)) => config::check(&args, ctx),
        Command::Config(Config::Show(args)) => config::show(&args, ctx),
        Command::Token(Token::New(args)) => token::new(&args, ctx),
        Command::Completions(args) => shell::completions(&args, ctx),
        Command::Man(args) => shell::man(&args, ctx),
    }
}
