//! What an operator may do about a mail.

use serde_json::json;

use crate::app::{self, record};
use crate::cli::args::delivery::{DeliveriesCancel, DeliveriesRetry};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::outbox::delivery::Event;

/// `deliveries retry`
pub(crate) async fn retry(args: &DeliveriesRetry, ctx: &Context) -> Result<Exit, Failure> {
    by_hand(&args.ids, Event::OpsRetry, ctx).await
}

/// `deliveries cancel`
pub(crate) async fn cancel(args: &DeliveriesCancel, ctx: &Context) -> Result<Exit, Failure> {
    by_hand(&args.ids, Event::OpsCancel, ctx).await
}

/// Does the same to each mail; one that is refused keeps no other from it.
async fn by_hand(ids: &[String], event: Event, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut done = Vec::new();
    let mut refused: Vec<Failure> = Vec::new();
    for id in ids {
        match one_by_hand(&session, id, event).await {
            Ok(state) => {
                ctx.out.line(format_args!("Mail {id} is {state} now."));
                done.push(json!({ "id": id.parse::<i64>().ok(), "state": state }));
            }
            Err(app::Error::Store(error)) => return Err(error.into()),
            Err(error) => refused.push(error.into()),
        }
    }
    session.store.close().await;
    if done.is_empty() {
        let told: Vec<String> = refused.into_iter().map(|failure| failure.message).collect();
        return Err(Failure::forbidden(told.join("\n")));
    }
    ctx.out.json(&json!({ "value": done }));
    for failure in &refused {
        ctx.out.complain(failure);
    }
    if refused.is_empty() {
        ctx.out.note("next: `posthorn work --until-idle` does what is due");
        return Ok(Exit::Done);
    }
    Ok(Exit::InPart)
}

async fn one_by_hand(session: &Session, id: &str, event: Event) -> Result<&'static str, app::Error> {
    let Ok(id) = id.parse() else {
        return Err(app::mails::unknown(id));
    };
    let state = record::by_hand(&session.store, session.now, &session.rules, id, event, None).await?;
    Ok(state.as_str())
}
