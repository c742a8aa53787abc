//! Lists mails, and shows one with every attempt to hand it over.

use serde::Serialize;
use serde_json::{Value, json};

use crate::app::explain::{Mail, deliveries_about, mail_of, when};
use crate::cli::args::delivery::{DeliveriesList, DeliveriesShow, State as Wanted};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::{Page, count};
use crate::cli::session::Session;
use crate::lead::LeadId;
use crate::mail::{domain_of, message_id};
use crate::outbox::delivery::State;
use crate::partner::Zone;
use crate::store::Tx;
use crate::store::deliveries::{Delivery, Filter, list_deliveries, list_of_ids};
use crate::store::leads::find_lead;
use crate::time::Timestamp;

/// Mails that are read at a time.
const PAGE: i64 = 1000;

/// A mail as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: i64,
    kind: &'static str,
    state: &'static str,
    address: String,
    partner_id: String,
    lead_id: Option<String>,
    lead_ids: Vec<LeadId>,
    attempts: u32,
    created_date_time: Timestamp,
    next_date_time: Option<Timestamp>,
    finished_date_time: Option<Timestamp>,
    message_id: String,
    reason: Option<String>,
}

/// Derives Message-IDs as the worker does.
struct Names {
    key: Vec<u8>,
    domain: String,
}

impl Names {
    fn new(ctx: &Context, session: &Session) -> Self {
        let from = &ctx.settings().mail.from;
        Self {
            key: session.identity.message_id_key.clone(),
            domain: domain_of(from.address()).unwrap_or_else(|| from.domain().to_owned()),
        }
    }

    fn message_id(&self, delivery: i64) -> String {
        message_id(&self.key, delivery, &self.domain)
    }
}

/// `deliveries list`
pub(crate) async fn list(args: &DeliveriesList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut tx = session.store.snapshot().await?;
    let found = read(&mut tx, args).await;
    drop(tx);
    session.store.close().await;
    let names = Names::new(ctx, &session);
    let listed: Vec<Listed> = found?.into_iter().map(|delivery| listed(delivery, &names)).collect();
    let columns = [
        Column::number("ID", |mail: &Listed| mail.id.to_string()),
        Column::text("KIND", |mail: &Listed| mail.kind.to_owned()),
        Column::text("STATE", |mail: &Listed| mail.state.to_owned()),
        Column::text("ADDRESS", |mail: &Listed| mail.address.clone()),
        Column::text("PARTNER", |mail: &Listed| mail.partner_id.clone()),
        Column::text("LEAD", |mail: &Listed| match &mail.lead_id {
            Some(id) => id.clone(),
            None => count(i64::try_from(mail.lead_ids.len()).unwrap_or(i64::MAX), "lead", "leads"),
        }),
        Column::number("TRIES", |mail: &Listed| mail.attempts.to_string()),
        Column::text("WHEN", |mail: &Listed| {
            let at = mail.finished_date_time.or(mail.next_date_time).unwrap_or(mail.created_date_time);
            at.to_string()
        }),
        Column::text("REASON", |mail: &Listed| mail.reason.clone().unwrap_or_default()),
    ];
    ctx.out.list(&listed, &columns, "no such mail");
    Ok(Exit::Done)
}

async fn read(tx: &mut Tx, args: &DeliveriesList) -> Result<Vec<Delivery>, Failure> {
    let limit = args.limit.map_or(usize::MAX, |limit| limit as usize);
    if let Some(id) = &args.lead {
        return of_lead(tx, id, args, limit).await;
    }
    let filter = Filter {
        states: args.state.iter().copied().map(state).collect(),
        partner_id: args.partner.clone(),
        ..Filter::default()
    };
    let mut found: Vec<Delivery> = Vec::new();
    while found.len() < limit {
        let room = PAGE.min(i64::try_from(limit - found.len()).unwrap_or(PAGE));
        let page = list_deliveries(tx, &filter, found.last().map_or(i64::MAX, |last| last.id), room).await?;
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    Ok(found)
}

/// A lead's mails: those about it alone, and the gathered ones that name it.
async fn of_lead(tx: &mut Tx, id: &LeadId, args: &DeliveriesList, limit: usize) -> Result<Vec<Delivery>, Failure> {
    let Some(lead) = find_lead(tx, id).await? else {
        return Err(Failure::forbidden(format_args!(
            "there is no lead {id}; `posthorn explain {id}` looks for it among the rejected records"
        )));
    };
    let ids: Vec<i64> = deliveries_about(tx, &lead).await?.into_iter().collect();
    let mut found = list_of_ids(tx, &ids).await?;
    let states: Vec<State> = args.state.iter().copied().map(state).collect();
    found.retain(|delivery| states.is_empty() || states.contains(&delivery.state));
    found.retain(|delivery| args.partner.as_ref().is_none_or(|partner| delivery.partner_id == *partner));
    found.reverse();
    found.truncate(limit);
    Ok(found)
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

fn listed(delivery: Delivery, names: &Names) -> Listed {
    let next = delivery.next_at();
    Listed {
        id: delivery.id,
        kind: delivery.kind.as_str(),
        state: delivery.state.as_str(),
        address: delivery.address.to_string(),
        partner_id: delivery.partner_id.as_str().to_owned(),
        lead_id: delivery.lead_id.map(|id| id.as_str().to_owned()),
        lead_ids: delivery.leads,
        attempts: delivery.attempt,
        created_date_time: delivery.created_at,
        next_date_time: next,
        finished_date_time: delivery.finished_at,
        message_id: names.message_id(delivery.id),
        reason: delivery.reason,
    }
}

/// `deliveries show`
pub(crate) async fn show(args: &DeliveriesShow, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut tx = session.store.snapshot().await?;
    let mail = match args.id.parse() {
        Ok(id) => mail_of(&mut tx, id).await?,
        Err(_) => None,
    };
    drop(tx);
    session.store.close().await;
    let Some(mail) = mail else {
        return Err(Failure::forbidden(format_args!(
            "there is no delivery {}; `posthorn deliveries list` names them",
            args.id
        )));
    };
    let message_id = Names::new(ctx, &session).message_id(mail.id);
    let mut answer = json!(mail);
    answer["messageId"] = Value::from(message_id.as_str());
    ctx.out.one(&answer, |_| page(&mail, &message_id));
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
    if mail.is_repeat {
        page.field("repeat", "it may have arrived before; a repeat bears the same Message-ID");
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
    }
    page.end()
}
