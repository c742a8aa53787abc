//! Lists mails, and shows one with every attempt to hand it over.

use crate::app::explain::{Mail, when};
use crate::app::kept;
use crate::app::mails::{self, Filter, ListedMail, MessageIds};
use crate::cli::args::delivery::{DeliveriesList, DeliveriesShow, State as Wanted};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::{Page, count};
use crate::cli::session::Session;
use crate::cli::walk::walk;
use crate::lead::LeadId;
use crate::mail::{domain_of, message_id};
use crate::outbox::delivery::State;
use crate::partner::Zone;
use crate::time::Timestamp;

/// Derives Message-IDs as the worker does.
fn message_ids(ctx: &Context, session: &Session) -> Box<MessageIds> {
    let from = &ctx.settings().mail.from;
    let key = session.identity.message_id_key.clone();
    let domain = domain_of(from.address()).unwrap_or_else(|| from.domain().to_owned());
    Box::new(move |delivery| message_id(&key, delivery, &domain))
}

/// `deliveries list`
pub(crate) async fn list(args: &DeliveriesList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let filter = Filter {
        states: args.state.iter().copied().map(state).collect(),
        partner: args.partner.clone(),
        lead: args.lead.clone(),
        address: None,
    };
    let message_ids = message_ids(ctx, &session);
    let listed = walk(args.limit, async |cursor, limit| {
        mails::page(&session.store, &filter, &*message_ids, cursor, limit).await
    })
    .await;
    session.store.close().await;
    let columns = [
        Column::number("ID", |mail: &ListedMail| mail.id.to_string()),
        Column::text("KIND", |mail: &ListedMail| mail.kind.to_owned()),
        Column::text("STATE", |mail: &ListedMail| mail.state.to_owned()),
        Column::text("ADDRESS", |mail: &ListedMail| mail.address.clone()),
        Column::text("PARTNER", |mail: &ListedMail| mail.partner_id.clone()),
        Column::text("LEAD", |mail: &ListedMail| match &mail.lead_id {
            Some(id) => id.clone(),
            None => count(i64::try_from(mail.lead_ids.len()).unwrap_or(i64::MAX), "lead", "leads"),
        }),
        Column::number("TRIES", |mail: &ListedMail| mail.attempts.to_string()),
        Column::text("WHEN", |mail: &ListedMail| {
            let at = mail.finished_date_time.or(mail.next_date_time).unwrap_or(mail.created_date_time);
            at.to_string()
        }),
        Column::text("REASON", |mail: &ListedMail| mail.reason.clone().unwrap_or_default()),
    ];
    ctx.out.list(&listed?, &columns, "no such mail");
    Ok(Exit::Done)
}

fn state(wanted: Wanted) -> State {
    match wanted {
        Wanted::Queued => State::Queued,
        Wanted::Sending => State::Sending,
        Wanted::InDoubt => State::InDoubt,
        Wanted::Sent => State::Sent,
        Wanted::Failed => State::Failed,
        Wanted::Cancelled => State::Cancelled,
        Wanted::Suppressed => State::Suppressed,
    }
}

/// `deliveries show`
pub(crate) async fn show(args: &DeliveriesShow, ctx: &Context) -> Result<Exit, Failure> {
    let id = args.id.parse().map_err(|_| mails::unknown(&args.id))?;
    let session = Session::open(ctx).await?;
    let message_ids = message_ids(ctx, &session);
    let (store, now, rules) = (&session.store, session.now, &session.rules);
    if args.mail {
        let mail = kept::mail(store, now, rules, id).await;
        session.store.close().await;
        let mail = mail?;
        ctx.out.json(&mail.kept);
        if !ctx.out.is_json() {
            ctx.out.bytes(&mail.bytes);
        }
        return Ok(Exit::Done);
    }
    let shown = mails::show(store, now, rules, id, &*message_ids).await;
    session.store.close().await;
    ctx.out.one(&shown?, |shown| page(&shown.mail, &shown.message_id));
    Ok(Exit::Done)
}

fn page(mail: &Mail, message_id: &str) -> String {
    let mut page = Page::default();
    let at = |instant: Timestamp| when(instant, Zone::UTC);
    let reason = mail.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    page.say(format_args!(
        "Mail {} to {} is {}{reason}.",
        mail.id,
        mail.address,
        mail.state.replace('_', " ")
    ));
    page.heading("What it is");
    page.field("kind", mail.kind);
    let partner = mail.partner_id.as_str();
    page.field("partner", if partner.is_empty() { "(the lead desk)" } else { partner });
    let leads: Vec<&str> = mail.lead_id.iter().chain(&mail.lead_ids).map(LeadId::as_str).collect();
    page.field("leads", leads.join(", "));
    page.field("made", at(mail.created_date_time));
    if let Some(next) = mail.next_date_time {
        page.field("next try", at(next));
    }
    if let Some(finished) = mail.finished_date_time {
        page.field("finished", at(finished));
    }
    page.field("Message-ID", message_id);
    if let Some(by) = &mail.forwarded_by {
        page.field("sent on by", by);
    }
    if mail.is_repeat {
        page.field("repeat", "it may have arrived before; a repeat bears the same Message-ID");
    }
    if let Some(kept) = &mail.kept {
        page.field(
            "kept",
            format_args!(
                "{} bytes as handed over, until {}: `posthorn deliveries show {} --mail`",
                kept.bytes,
                at(kept.until_date_time),
                mail.id
            ),
        );
    }
    page.heading(format_args!("What was tried ({} counted)", mail.attempt));
    if mail.attempts.is_empty() {
        page.fact("nothing was handed over yet");
    }
    for attempt in &mail.attempts {
        page.fact(format_args!(
            "{}  {}, {}: {}",
            at(attempt.date_time),
            attempt.relay,
            attempt.outcome,
            attempt.detail
        ));
        if let Some(templates) = &attempt.templates {
            page.detail(format_args!("written from the templates {templates}"));
        }
    }
    page.end()
}
