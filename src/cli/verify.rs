//! Finds out whether customers' e-mail addresses can be right, as far as that is to be asked for (`R-VERIFY`).

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::verify::{BATCH_MAX, Verified};
use crate::cli::args::leads;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::{Page, count};
use crate::cli::session::Session;
use crate::verify::Verifier;

/// `verify`
pub(crate) async fn verify(args: &leads::Verify, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut verifier = Verifier::new(&session.store, ctx.settings(), CancellationToken::new());
    let mut verified = Verified::default();
    let next = loop {
        let left = args.limit.map_or(i64::MAX, |limit| {
            i64::from(limit) - i64::try_from(verified.n_leads()).unwrap_or(i64::MAX)
        });
        if left <= 0 {
            break None;
        }
        match verifier.look(session.now, &session.rules, left.min(BATCH_MAX)).await? {
            Ok(batch) => verified.add(batch),
            Err(next) => break next,
        }
    };
    session.store.close().await;
    let shown = json!({
        "valid": verified.valid,
        "invalid": verified.invalid,
        "spam": verified.spam,
        "unknown": verified.unknown,
        "later": verified.later,
        "passedOver": verified.passed_over,
        "nextDueDateTime": next,
        "asksDns": session.rules.asks_dns,
    });
    ctx.out.one(&shown, |_| page(&verified));
    if !session.rules.asks_dns {
        ctx.out.note("verify.mx is false: no domain was asked for".to_owned());
    }
    if let Some(next) = next {
        ctx.out
            .note(format!("next: `posthorn verify`, or a running `serve`, asks again at {next}"));
    }
    Ok(Exit::Done)
}

fn page(verified: &Verified) -> String {
    let mut page = Page::default();
    let n_leads = i64::try_from(verified.n_leads()).unwrap_or(i64::MAX);
    page.say(format_args!("{} looked at.", count(n_leads, "lead was", "leads were")));
    for (name, n) in [
        ("valid", verified.valid),
        ("invalid", verified.invalid),
        ("spam", verified.spam),
        ("unknown", verified.unknown),
        ("later", verified.later),
        ("passed over", verified.passed_over),
    ] {
        if n > 0 {
            page.field(name, n);
        }
    }
    page.end()
}
