//! Takes leads in from a file or standard input.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::app::mail_count::MailCount;
use crate::app::take_in::{Origin, Outcome};
use crate::cli::args::leads::Import;
use crate::cli::args::values::Input;
use crate::cli::ask::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::count as said;
use crate::cli::report::{Report, name, open};
use crate::cli::session::Session;
use crate::intake::batch::{self, Counts, Flow, take_in_all};
use crate::intake::file::{self, Records};

/// `import`
pub(crate) async fn import(args: &Import, ctx: &Context) -> Result<Exit, Failure> {
    // A mistyped name makes no database; and a pipe is waited for when everything else is known to be right.
    let opened = match &args.file {
        Input::File(_) => Some(open(&args.file, file::Input::Leads)?),
        Input::Stdin => None,
    };
    let session = Session::open_or_make(ctx).await?;
    let exit = import_into(&session, args, ctx, opened).await;
    session.store.close().await;
    exit
}

async fn import_into(session: &Session, args: &Import, ctx: &Context, opened: Option<(Records, Flow)>) -> Result<Exit, Failure> {
    let origin = Arc::new(Origin {
        source: name(&args.file),
        partner: args.partner.clone(),
        is_quiet: args.no_notify,
    });
    let (records, flow) = match opened {
        Some(opened) => opened,
        None => open(&args.file, file::Input::Leads)?,
    };
    if flow == Flow::File && !args.no_notify && !args.yes {
        confirm_mails(session, args, ctx, &origin).await?;
    }

    let bar = bar(args, ctx, flow);
    let mut report = Report::new(&ctx.out);
    let mut counts = Counts::default();
    let mut batches = batch::leads(records, flow, &origin, ctx.clock).map_err(no_thread)?;
    let (store, rules) = (&session.store, &session.rules);
    let ended = take_in_all(&mut batches, store, ctx.clock, rules, &mut counts, |taken, consumed_bytes| {
        bar.set_position(consumed_bytes);
        for one in taken {
            if let Outcome::Rejected(faults) = &one.outcome {
                bar.suspend(|| report.refuse(one.line, faults));
            }
        }
    })
    .await;
    bar.finish_and_clear();
    let Counts {
        n_new,
        n_updated,
        n_unchanged,
        n_rejected,
    } = counts;
    let exit = report.end(
        &origin.source,
        &[("new", n_new), ("updated", n_updated), ("unchanged", n_unchanged)],
    );
    ended.map_err(|error| match error {
        batch::Error::File(error) => error.into(),
        batch::Error::App(error) => told_again(error.into()),
    })?;
    if n_rejected > 0 {
        ctx.out
            .note("next: `posthorn rejected list` shows what was refused; `posthorn rejected retry ID --with FILE` takes it in corrected");
    } else if n_new > 0 && !args.no_notify {
        ctx.out
            .note("next: `posthorn work --until-idle` mails what is due, `posthorn serve` goes on doing so");
    }
    Ok(exit)
}

/// Counts the mails that the file would cause in a pass of its own, and asks where that is more than is sent unasked (`R-BACKFILL`).
async fn confirm_mails(session: &Session, args: &Import, ctx: &Context, origin: &Arc<Origin>) -> Result<(), Failure> {
    let (records, flow) = open(&args.file, file::Input::Leads)?;
    let mut batches = batch::leads(records, flow, origin, ctx.clock).map_err(no_thread)?;
    let mut count = MailCount::default();
    // A file that is wrong further down is told so when it is taken in; what comes before that is taken in, and so is counted.
    while let Ok(Some(batch)) = batches.next().await {
        count.add(&session.store, ctx.now(), &session.rules, origin, batch).await?;
    }
    let (n_mails, n_unasked) = (count.n_mails(), session.rules.policy.confirm_above);
    if n_mails <= u64::from(n_unasked) {
        return Ok(());
    }
    confirm(
        &format!(
            "send {} (more than policy.confirm_above, {n_unasked})",
            said(i64::try_from(n_mails).unwrap_or(i64::MAX), "mail", "mails")
        ),
        false,
    )
}

fn bar(args: &Import, ctx: &Context, flow: Flow) -> ProgressBar {
    let n_bytes = match &args.file {
        Input::File(path) if flow == Flow::File => path.metadata().map(|of| of.len()).ok(),
        Input::File(_) | Input::Stdin => None,
    };
    let (Some(n_bytes), true) = (n_bytes, stderr().is_terminal() && !ctx.out.is_quiet()) else {
        return ProgressBar::hidden();
    };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes} of {total_bytes}, {eta} to go");
    ProgressBar::new(n_bytes)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(name(&args.file))
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::unavailable(format_args!("cannot start a thread: {error}"))
}

/// Says what is to be done when the database went away half-way.
fn told_again(failure: Failure) -> Failure {
    Failure {
        message: format!(
            "{}; what was taken in stays so, and importing the same again takes in the rest",
            failure.message
        ),
        ..failure
    }
}
