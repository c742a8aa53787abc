//! Erases the personal data of leads.

use serde_json::{Value, json};

use crate::app::erase::{Wish, erase as erase_one};
use crate::app::{self};
use crate::cli::args::leads::Erase;
use crate::cli::ask::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;

/// `erase`: each lead on its own; an unknown one keeps no other from it.
pub(crate) async fn erase(args: &Erase, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    match args.ids.as_slice() {
        [id] => confirm(&format!("erase the personal data of lead {id} for good"), args.yes)?,
        ids => confirm(&format!("erase the personal data of {} leads for good", ids.len()), args.yes)?,
    }
    let wish = Wish {
        by: args.by.as_deref(),
        reason: args.reason.as_deref(),
    };
    let mut erased: Vec<Value> = Vec::new();
    let mut refused: Vec<Failure> = Vec::new();
    for id in &args.ids {
        match erase_one(&session.store, session.now, &session.rules, id, wish).await {
            Ok(lead) => {
                ctx.out.line(format_args!("The personal data of lead {id} is erased."));
                erased.push(lead.show(session.now));
            }
            Err(app::Error::Store(error)) => return Err(error.into()),
            Err(error) => refused.push(error.into()),
        }
    }
    session.store.close().await;
    if erased.is_empty() {
        let told: Vec<String> = refused.into_iter().map(|failure| failure.message).collect();
        return Err(Failure::forbidden(told.join("\n")));
    }
    ctx.out.json(&json!({ "value": erased }));
    for failure in &refused {
        ctx.out.complain(failure);
    }
    if refused.is_empty() {
        ctx.out.note("next: backups, and mails in mailboxes, are for you to see to");
        return Ok(Exit::Done);
    }
    Ok(Exit::InPart)
}
