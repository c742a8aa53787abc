//! Addresses that are not mailed any more.

use serde::Serialize;

use crate::app::suppress::{self, Suppress};
use crate::cli::args::delivery::{SuppressionsAdd, SuppressionsList, SuppressionsRemove};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::session::Session;
use crate::partner::EmailAddress;
use crate::store::suppressions::{Suppression, list_suppressions};
use crate::time::Timestamp;

/// Addresses that are read at a time.
const PAGE: i64 = 1000;

/// An address as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    address: EmailAddress,
    reason: String,
    detail: String,
    actor: Option<String>,
    created_date_time: Timestamp,
}

/// `suppressions list`
pub(crate) async fn list(_: &SuppressionsList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut listed: Vec<Listed> = Vec::new();
    let mut tx = session.store.read().await?;
    loop {
        let after = listed.last().map_or("", |last| last.address.as_str());
        let page = list_suppressions(&mut tx, after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(Listed::from));
    }
    drop(tx);
    session.store.close().await;
    let columns = [
        Column::text("ADDRESS", |one: &Listed| one.address.to_string()),
        Column::text("SINCE", |one: &Listed| one.created_date_time.to_string()),
        Column::text("REASON", |one: &Listed| one.reason.clone()),
        Column::text("DETAIL", |one: &Listed| one.detail.clone()),
    ];
    ctx.out.list(&listed, &columns, "no address is suppressed");
    Ok(Exit::Done)
}

/// `suppressions add`
pub(crate) async fn add(args: &SuppressionsAdd, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let suppress = Suppress {
        address: args.address.clone(),
        reason: "by hand".to_owned(),
        detail: args.reason.clone().unwrap_or_else(|| "no reason was given".to_owned()),
        actor: None,
    };
    let answer = Listed {
        address: suppress.address.clone(),
        reason: suppress.reason.clone(),
        detail: suppress.detail.clone(),
        actor: None,
        created_date_time: session.now,
    };
    suppress::add(&session.store, session.now, &session.rules, suppress).await?;
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

impl From<Suppression> for Listed {
    fn from(of: Suppression) -> Self {
        Self {
            address: of.address,
            reason: of.reason,
            detail: of.detail,
            actor: of.actor,
            created_date_time: of.created_at,
        }
    }
}
