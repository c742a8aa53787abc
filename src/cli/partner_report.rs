//! `report`: what became of each partner's leads, and who shows no sign of life.

use crate::app::report::{PartnerReport, Span, page};
use crate::cli::args::partners::Report;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::session::Session;
use crate::cli::walk::walk;

/// `report`
pub(crate) async fn report(args: &Report, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let span = Span::new(session.now, args.created_from, args.created_before);
    let found = walk(None, async |cursor, limit| {
        page(&session.store, session.now, span, args.partner.as_ref(), cursor, limit).await
    })
    .await;
    session.store.close().await;
    let mut partners = found?;
    if args.silent {
        partners.retain(|partner| !partner.proof_of_life);
    }
    let columns = [
        Column::text("PARTNER", |partner: &PartnerReport| partner.partner_id.as_str().to_owned()),
        Column::number("LEADS", |partner: &PartnerReport| partner.leads.to_string()),
        Column::number("WAITING", |partner: &PartnerReport| partner.waiting.to_string()),
        Column::number("ACCEPTED", |partner: &PartnerReport| partner.accepted.to_string()),
        Column::number("WON", |partner: &PartnerReport| partner.won.to_string()),
        Column::number("DECLINED", |partner: &PartnerReport| partner.declined.to_string()),
        Column::number("EXPIRED", |partner: &PartnerReport| partner.expired.to_string()),
        Column::text("NO PROOF OF LIFE", why),
    ];
    let none = if args.silent {
        "every partner shows a sign of life"
    } else {
        "no partner is known here; `posthorn partners import` brings them in"
    };
    ctx.out.list(&partners, &columns, none);
    Ok(Exit::Done)
}

/// Says why nothing tells that somebody reads a partner's mail; nothing where something does.
fn why(partner: &PartnerReport) -> String {
    let bounced: Vec<&str> = partner.bounced.iter().map(|address| address.as_str()).collect();
    match (partner.proof_of_life, bounced.is_empty()) {
        (true, _) => String::new(),
        (false, false) => format!("cannot be reached: {}", bounced.join(", ")),
        (false, true) => "let every lead expire".to_owned(),
    }
}
