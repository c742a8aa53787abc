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
mod erase;
mod explain;
mod export;
mod import;
mod leads;
mod mails;
mod page;
mod partner_report;
mod partners;
mod rejected;
mod reload;
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
mod verify;
mod walk;

use std::future::ready;
use std::process::ExitCode;

use futures_util::future::LocalBoxFuture;

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

/// Begins a command. Each is boxed: as one future, all of them were one function of 160 kB, compiled twice.
fn dispatch(command: Command, ctx: &Context) -> LocalBoxFuture<'_, Result<Exit, Failure>> {
    use args::delivery::{Bounces, Deliveries, Digest, Suppressions};
    use args::leads::{Leads, Rejected};
    use args::partners::{Actions, Partners};
    use args::setup::{Config, Token};
    use args::template::Template;
    match command {
        Command::Demo(args) => begin(args, ctx, demo::demo),
        Command::Import(args) => begin(args, ctx, import::import),
        Command::Work(args) => begin(args, ctx, run::work),
        Command::Serve(args) => begin(args, ctx, serve::serve),
        Command::Explain(args) => begin(args, ctx, explain::explain),
        Command::Status(args) => begin(args, ctx, status::status),
        Command::Audit(args) => begin(args, ctx, audit::audit),
        Command::Doctor(args) => begin(args, ctx, doctor::doctor),
        Command::Verify(args) => begin(args, ctx, verify::verify),
        Command::Report(args) => begin(args, ctx, partner_report::report),
        Command::Leads(Leads::List(args)) => begin(*args, ctx, leads::list),
        Command::Leads(Leads::Show(args)) => begin(args, ctx, leads::show),
        Command::Leads(Leads::Accept(args)) => begin(args, ctx, leads::accept),
        Command::Leads(Leads::Decline(args)) => begin(args, ctx, leads::decline),
        Command::Leads(Leads::Won(args)) => begin(args, ctx, leads::won),
        Command::Leads(Leads::Lost(args)) => begin(args, ctx, leads::lost),
        Command::Leads(Leads::Edit(args)) => begin(args, ctx, leads::edit),
        Command::Leads(Leads::Favourite(args)) => begin(args, ctx, leads::favourite),
        Command::Leads(Leads::Unfavourite(args)) => begin(args, ctx, leads::unfavourite),
        Command::Leads(Leads::Export(args)) => begin(*args, ctx, export::export),
        Command::Leads(Leads::History(args)) => begin(args, ctx, leads::history),
        Command::Erase(args) => begin(args, ctx, erase::erase),
        Command::Rejected(Rejected::List(args)) => begin(args, ctx, rejected::list),
        Command::Rejected(Rejected::Show(args)) => begin(args, ctx, rejected::show),
        Command::Rejected(Rejected::Retry(args)) => begin(args, ctx, rejected::retry),
        Command::Rejected(Rejected::Discard(args)) => begin(args, ctx, rejected::discard),
        Command::Partners(Partners::Import(args)) => begin(args, ctx, partners::import),
        Command::Partners(Partners::List(args)) => begin(args, ctx, roster::list),
        Command::Partners(Partners::Show(args)) => begin(args, ctx, roster::show),
        Command::Partners(Partners::SetPreferredEmail(args)) => begin(args, ctx, partners::set_preferred_email),
        Command::Partners(Partners::ClearPreferredEmail(args)) => begin(args, ctx, partners::clear_preferred_email),
        Command::Partners(Partners::Resubscribe(args)) => begin(args, ctx, partners::resubscribe),
        Command::Digest(Digest::List(args)) => begin(args, ctx, digests::list),
        Command::Digest(Digest::Preview(args)) => begin(args, ctx, digests::preview),
        Command::Digest(Digest::Run(args)) => begin(args, ctx, digests::run),
        Command::Deliveries(Deliveries::List(args)) => begin(args, ctx, mails::list),
        Command::Deliveries(Deliveries::Show(args)) => begin(args, ctx, mails::show),
        Command::Deliveries(Deliveries::Retry(args)) => begin(args, ctx, deliveries::retry),
        Command::Deliveries(Deliveries::Cancel(args)) => begin(args, ctx, deliveries::cancel),
        Command::Suppressions(Suppressions::List(args)) => begin(args, ctx, suppressions::list),
        Command::Suppressions(Suppressions::Add(args)) => begin(args, ctx, suppressions::add),
        Command::Suppressions(Suppressions::Remove(args)) => begin(args, ctx, suppressions::remove),
        Command::Bounces(Bounces::Import(args)) => begin(args, ctx, bounces::import),
        Command::Bounces(Bounces::List(args)) => begin(args, ctx, bounces::list),
        Command::Bounces(Bounces::Show(args)) => begin(args, ctx, bounces::show),
        Command::Actions(Actions::List(args)) => begin(args, ctx, actions::list),
        Command::Template(Template::List(args)) => Box::pin(ready(template::list(&args, ctx))),
        Command::Template(Template::Check(args)) => begin(args, ctx, template::check),
        Command::Template(Template::Vars(args)) => Box::pin(ready(template::vars(&args, ctx))),
        Command::Template(Template::Preview(args)) => begin(args, ctx, template::preview::preview),
        Command::Template(Template::Diff(args)) => begin(args, ctx, template::diff::diff),
        Command::Template(Template::SendTest(args)) => begin(args, ctx, template::send::send_test),
        Command::Template(Template::ExportDefaults(args)) => Box::pin(ready(template::export_defaults(&args, ctx))),
        Command::Migrate(args) => begin(args, ctx, run::migrate),
        Command::Config(Config::Check(args)) => Box::pin(ready(config::check(&args, ctx))),
        Command::Config(Config::Show(args)) => Box::pin(ready(config::show(&args, ctx))),
        Command::Token(Token::New(args)) => Box::pin(ready(token::new(&args, ctx))),
        Command::Completions(args) => Box::pin(ready(shell::completions(&args, ctx))),
        Command::Man(args) => Box::pin(ready(shell::man(&args, ctx))),
    }
}

fn begin<'a, A: 'a>(
    args: A,
    ctx: &'a Context,
    command: impl AsyncFnOnce(&A, &Context) -> Result<Exit, Failure> + 'a,
) -> LocalBoxFuture<'a, Result<Exit, Failure>> {
    Box::pin(async move { command(&args, ctx).await })
}
