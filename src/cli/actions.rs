//! What the Action Center was told.

use std::collections::BTreeSet;

use crate::app::feed::ShownItem;
use crate::cli::args::partners::ActionsList;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::session::Session;
use crate::store::Tx;
use crate::store::items::{Item, list_items};
use crate::store::partners::find_partners;

/// Items that are read at a time.
const PAGE: i64 = 1000;

/// `actions list`
pub(crate) async fn list(args: &ActionsList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut tx = session.store.snapshot().await?;
    let shown = read(&mut tx, args).await;
    drop(tx);
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

async fn read(tx: &mut Tx, args: &ActionsList) -> Result<Vec<ShownItem>, Failure> {
    let mut shown = Vec::new();
    let mut before = (i64::MAX, i64::MAX);
    loop {
        let page: Vec<Item> = list_items(tx, &args.partner, before, PAGE).await?;
        let Some(last) = page.last() else { break };
        before = (last.changed_at, last.seq);
        shown.extend(page.iter().map(ShownItem::from));
    }
    if shown.is_empty() && find_partners(tx, &BTreeSet::from([args.partner.clone()])).await?.is_empty() {
        return Err(Failure::forbidden(format_args!(
            "no partner {} is known here; `posthorn partners list` names them",
            args.partner
        )));
    }
    Ok(shown)
}
