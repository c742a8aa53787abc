//! Addresses that are not mailed any more.

use crate::app::suppress::{self, Suppress};
use crate::app::suppressions::{self, ListedSuppression};
use crate::cli::args::delivery::{SuppressionsAdd, SuppressionsList, SuppressionsRemove};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::session::Session;
use crate::cli::walk::walk;

/// `suppressions list`
pub(crate) async fn list(_: &SuppressionsList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let listed = walk(None, async |cursor, limit| suppressions::page(&session.store, cursor, limit).await).await;
    session.store.close().await;
    let columns = [
        Column::text("ADDRESS", |one: &ListedSuppression| one.address.to_string()),
        Column::text("SINCE", |one: &ListedSuppression| one.created_date_time.to_string()),
        Column::text("REASON", |one: &ListedSuppression| one.reason.clone()),
        Column::text("DETAIL", |one: &ListedSuppression| one.detail.clone()),
    ];
    ctx.out.list(&listed?, &columns, "no address is suppressed");
    Ok(Exit::Done)
}

/// `suppressions add`
pub(crate) async fn add(args: &SuppressionsAdd, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let answer = ListedSuppression::by_hand(args.address.clone(), args.reason.clone(), None, session.now);
    suppress::add(&session.store, session.now, &session.rules, Suppress::from(&answer)).await?;
    session.store.close().await;
    ctx.out.one(&answer, |one| format!("{} is not mailed any more.", one.address));
    Ok(Exit::Done)
}

/// `suppressions remove`
pub(crate) async fn remove(args: &SuppressionsRemove, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let n_queued = suppress::lift(&session.store, session.now, &session.rules, &args.address, None).await?;
    session.store.close().await;
    ctx.out
        .json(&serde_json::json!({ "address": args.address, "suppressed": false, "mailsQueued": n_queued }));
    let kept = match n_queued {
        0 => "no mail that is still of use was kept back".to_owned(),
        1 => "1 mail that was kept back is queued".to_owned(),
        n => format!("{n} mails that were kept back are queued"),
    };
    ctx.out.line(format_args!("{} is mailed again; {kept}.", args.address));
    Ok(Exit::Done)
}
