//! Who receives leads, and at which address.

use serde_json::json;

use crate::app::partners::{BATCH_MAX, Put, put, set_preferred_email as set_preferred};
use crate::app::suppress;
use crate::cli::args::partners::{ClearPreferredEmail, PartnersImport, Resubscribe, SetPreferredEmail};
use crate::cli::args::values::Input;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::report::{Report, name, open};
use crate::cli::session::Session;
use crate::fault::Fault;
use crate::intake::batch::{Batches, Flow};
use crate::intake::file::{self, Item, Records};
use crate::partner::record::Mailbox;
use crate::partner::{Partner, PartnerId};
use crate::tag::IfMatch;

/// `partners import`
pub(crate) async fn import(args: &PartnersImport, ctx: &Context) -> Result<Exit, Failure> {
    // As for leads: a mistyped name makes no database.
    let opened = match &args.file {
        Input::File(_) => Some(open(&args.file, file::Input::Partners)?),
        Input::Stdin => None,
    };
    let session = Session::open_or_make(ctx).await?;
    let exit = import_into(&session, args, ctx, opened).await;
    session.store.close().await;
    exit
}

/// `partners set-preferred-email`
pub(crate) async fn set_preferred_email(args: &SetPreferredEmail, ctx: &Context) -> Result<Exit, Failure> {
    let mailbox = Mailbox {
        name: None,
        email: args.address.clone(),
        locale: args.locale.clone(),
        disable_notifications: false,
    };
    prefer(&args.id, Some(mailbox), ctx).await?;
    ctx.out
        .line(format_args!("Mail about leads of {} goes to {} alone.", args.id, args.address));
    Ok(Exit::Done)
}

/// `partners clear-preferred-email`
pub(crate) async fn clear_preferred_email(args: &ClearPreferredEmail, ctx: &Context) -> Result<Exit, Failure> {
    prefer(&args.id, None, ctx).await?;
    ctx.out.line(format_args!(
        "{} has no preferred e-mail any more; its profile contacts and admins count again.",
        args.id
    ));
    Ok(Exit::Done)
}

/// `partners resubscribe`
pub(crate) async fn resubscribe(args: &Resubscribe, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    suppress::resubscribe(&session.store, session.now, &session.rules, &args.id, &args.address, None).await?;
    session.store.close().await;
    ctx.out
        .json(&json!({ "partnerId": args.id, "email": args.address, "subscribed": true }));
    ctx.out
        .line(format_args!("{} is mailed about leads of {} again.", args.address, args.id));
    Ok(Exit::Done)
}

/// A partner record as it came, and the line on which it stands.
type Read = (u64, Result<Partner, Vec<Fault>>);

fn read(item: Item) -> Read {
    (item.line, item.content.map_err(|fault| vec![fault]).and_then(Partner::parse))
}

async fn import_into(session: &Session, args: &PartnersImport, ctx: &Context, opened: Option<(Records, Flow)>) -> Result<Exit, Failure> {
    let (records, flow) = match opened {
        Some(opened) => opened,
        None => open(&args.file, file::Input::Partners)?,
    };
    let started = Batches::start(records, flow, BATCH_MAX, read);
    let mut batches = started.map_err(|error| Failure::unavailable(format_args!("cannot start a thread: {error}")))?;
    let mut report = Report::new(&ctx.out);
    let mut counts = [("new", 0), ("replaced", 0), ("unchanged", 0)];
    let ended = put_all(session, ctx, &mut batches, &mut report, &mut counts).await;
    let exit = report.end(&name(&args.file), &counts);
    ended?;
    if exit == Exit::Done {
        ctx.out.note("next: `posthorn partners list` shows where their mail goes");
    } else {
        ctx.out
            .note("next: correct what was refused and import the file again; the other records are in, and stay as they are");
    }
    Ok(exit)
}

async fn put_all(
    session: &Session,
    ctx: &Context,
    batches: &mut Batches<Read>,
    report: &mut Report<'_>,
    counts: &mut [(&str, u64); 3],
) -> Result<(), Failure> {
    while let Some(batch) = batches.next().await? {
        let mut partners = Vec::with_capacity(batch.len());
        for (line, parsed) in batch {
            match parsed {
                Ok(partner) => match session.rules.policy.programme_fault(&partner) {
                    None => partners.push(partner),
                    Some(fault) => report.refuse(line, &[fault]),
                },
                Err(faults) => report.refuse(line, &faults),
            }
        }
        for answer in put(&session.store, ctx.now(), &session.rules, &partners, None).await? {
            let place = match answer {
                Put::New => 0,
                Put::Replaced => 1,
                Put::Unchanged => 2,
            };
            counts[place].1 += 1;
        }
    }
    Ok(())
}

async fn prefer(id: &PartnerId, preferred: Option<Mailbox>, ctx: &Context) -> Result<(), Failure> {
    let session = Session::open(ctx).await?;
    let now = json!({ "id": id, "preferredEmails": preferred.iter().collect::<Vec<_>>() });
    set_preferred(&session.store, session.now, &session.rules, id, preferred, &IfMatch::Unsaid, None).await?;
    session.store.close().await;
    ctx.out.json(&now);
    Ok(())
}
