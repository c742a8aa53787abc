//! What the Action Center was told.

use crate::app::feed::{self, ShownItem};
use crate::cli::args::partners::ActionsList;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::session::Session;
use crate::cli::walk::walk;

/// `actions list`
pub(crate) async fn list(args: &ActionsList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let shown = walk(None, async |cursor, limit| {
        feed::page(&session.store, session.now, &session.rules, &args.partner, cursor, limit).await
    })
    .await;
    session.store.close().await;
    let columns = [
        Column::text("ID", |item: &ShownItem| item.id.clone()),
        Column::number("VERSION", |item: &ShownItem| item.version.to_string()),
        Column::text("STATE", |item: &ShownItem| {
            let archived = if item.archived { ", archived" } else { "" };
            format!("{}{archived}", item.state)
        }),
        Column::text("URGENCY", |item: &ShownItem| {
            let expiring = item.expiring.then_some("expiring");
            let words: Vec<&str> = item.urgency.as_deref().into_iter().chain(expiring).collect();
            words.join(", ")
        }),
        Column::text("CATEGORY", |item: &ShownItem| item.category.clone()),
        Column::text("DUE", |item: &ShownItem| {
            item.due_date_time.map(|at| at.to_string()).unwrap_or_default()
        }),
        Column::text("LEAD", |item: &ShownItem| item.lead_id.clone().unwrap_or_default()),
        Column::text("TITLE", |item: &ShownItem| item.title.clone()),
        Column::text("TEXT", |item: &ShownItem| item.text.clone()),
    ];
    ctx.out
        .list(&shown?, &columns, "the Action Center was told nothing for this partner");
    Ok(Exit::Done)
}
