//! Lists the partners and where their mail goes, and shows one.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use serde_json::{Value, json};

use crate::app::explain::{PartnerStory, WhoIsTold, partner_story, when, who_is_told};
use crate::cli::args::partners::{PartnersList, PartnersShow};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::{Page, count};
use crate::cli::session::Session;
use crate::partner::record::Mailbox;
use crate::partner::{Partner, PartnerId};
use crate::store::Tx;
use crate::store::leads::list_held_partners;
use crate::store::partners::{find_partners, list_partners};

/// Partners that are read at a time.
const PAGE: i64 = 500;
/// Partners with leads that wait and no record; more is an import that was forgotten.
const UNKNOWN_MAX: i64 = 10_000;

/// A partner as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: PartnerId,
    name: Option<String>,
    /// Whether a record of it was imported.
    is_known: bool,
    is_unroutable: bool,
    #[serde(flatten)]
    told: WhoIsTold,
}

/// `partners list`
pub(crate) async fn list(args: &PartnersList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut tx = session.store.snapshot().await?;
    let listed = read(&mut tx, &session, args).await;
    drop(tx);
    session.store.close().await;
    let columns = [
        Column::text("ID", |partner: &Listed| partner.id.as_str().to_owned()),
        Column::text("NAME", |partner: &Listed| partner.name.clone().unwrap_or_default()),
        Column::text("MAIL", |partner: &Listed| match partner.is_known {
            true => partner.told.in_words(),
            false => "goes nowhere: leads of it came in, but no record of it".to_owned(),
        }),
    ];
    let none = if args.unroutable {
        "every partner has an address"
    } else {
        "no partner is known here; `posthorn partners import` brings them in"
    };
    ctx.out.list(&listed?, &columns, none);
    Ok(Exit::Done)
}

async fn read(tx: &mut Tx, session: &Session, args: &PartnersList) -> Result<Vec<Listed>, Failure> {
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let page = list_partners(tx, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        last.id.as_str().clone_into(&mut after);
        let ids: BTreeSet<PartnerId> = page.iter().map(|partner| partner.id.clone()).collect();
        let mut told: HashMap<PartnerId, WhoIsTold> = who_is_told(tx, &session.rules, &ids).await?.into_iter().collect();
        for partner in page {
            let Some(told) = told.remove(&partner.id) else { continue };
            if !args.unroutable || told.rung.is_none() {
                listed.push(Listed {
                    id: partner.id,
                    name: partner.name,
                    is_known: true,
                    is_unroutable: told.rung.is_none(),
                    told,
                });
            }
        }
    }
    if args.unroutable {
        listed.extend(unknown(tx, session).await?);
        listed.sort_by(|a, b| a.id.cmp(&b.id));
    }
    Ok(listed)
}

/// Partners whose leads wait for a record of them.
async fn unknown(tx: &mut Tx, session: &Session) -> Result<Vec<Listed>, Failure> {
    let waiting: BTreeSet<PartnerId> = list_held_partners(tx, UNKNOWN_MAX).await?.into_iter().map(|(id, _)| id).collect();
    let known = find_partners(tx, &waiting).await?;
    let ids: BTreeSet<PartnerId> = waiting.into_iter().filter(|id| !known.contains_key(id)).collect();
    let told = who_is_told(tx, &session.rules, &ids).await?;
    Ok(told
        .into_iter()
        .map(|(id, told)| Listed {
            id,
            name: None,
            is_known: false,
            is_unroutable: true,
            told,
        })
        .collect())
}

/// `partners show`
pub(crate) async fn show(args: &PartnersShow, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut tx = session.store.snapshot().await?;
    let story = partner_story(&mut tx, session.now, &session.rules, &args.id).await?;
    drop(tx);
    session.store.close().await;
    let found = story.and_then(|story| story.record.clone().map(|record| (story, record)));
    let Some((story, record)) = found else {
        return Err(Failure::forbidden(format_args!(
            "no partner {0} is known here; `posthorn partners list` names them, `posthorn explain {0}` looks further",
            args.id
        )));
    };
    ctx.out.one(&as_json(&story, &record), |_| page(&story, &record));
    Ok(Exit::Done)
}

/// The record as it is kept, and beside it what posthorn makes of it.
fn as_json(story: &PartnerStory, record: &Partner) -> Value {
    let mut answer = json!(record);
    answer["posthorn"] = json!({
        "told": story.told,
        "locations": story.locations,
        "unroutable": story.told.rung.is_none(),
        "day": story.day,
        "dayCount": story.day_count,
        "digestThreshold": story.threshold,
        "digestCron": story.digest_cron,
        "timeZone": story.time_zone,
        "digest": story.digest,
        "digestLeads": story.digest_leads,
        "heldLeads": story.held_leads,
        "optOuts": story.opt_outs,
        "suppressed": story.suppressed,
    });
    answer
}

fn page(story: &PartnerStory, record: &Partner) -> String {
    let mut page = Page::default();
    page.say(format_args!("Mail about leads of {} {}.", story.id, story.told.in_words()));
    for at in &story.locations {
        page.say(format_args!("For the location {} it {}.", at.location, at.told.in_words()));
    }
    page.heading("Record");
    page.field("id", &record.id);
    if let Some(name) = &record.name {
        page.field("name", name);
    }
    page.field("locale", record.locale.as_deref().unwrap_or("(default)"));
    let default = |is_own: bool| if is_own { "" } else { " (default)" };
    page.field(
        "timeZone",
        format_args!("{}{}", story.time_zone, default(record.time_zone.is_some())),
    );
    page.field(
        "digestCron",
        format_args!("{}{}", story.digest_cron, default(record.digest_cron.is_some())),
    );
    page.field(
        "threshold",
        format_args!(
            "{} of a day singly{}",
            count(i64::from(story.threshold), "lead", "leads"),
            default(record.digest_threshold.is_some())
        ),
    );
    for mailbox in &record.preferred_emails {
        page.field("preferred", line(mailbox));
    }
    for location in &record.locations {
        let primary = if location.primary { ", primary" } else { "" };
        page.field("location", format_args!("{}{primary}", location.id));
        for mailbox in &location.contacts {
            page.field("  contact", line(mailbox));
        }
    }
    for mailbox in &record.admins {
        page.field("admin", line(mailbox));
    }
    page.heading("Today");
    page.fact(format_args!("{} counted on {}", count(story.day_count, "lead", "leads"), story.day));
    match &story.digest {
        Some(digest) => page.fact(format_args!(
            "digest {} collects: {}, due {}",
            digest.id,
            count(story.digest_leads, "unanswered lead", "unanswered leads"),
            when(digest.due_date_time, story.zone)
        )),
        None => page.fact("no lead waits for a digest"),
    }
    if story.held_leads > 0 {
        page.fact(format_args!(
            "{} for an address",
            count(story.held_leads, "lead waits", "leads wait")
        ));
    }
    page.end()
}

fn line(mailbox: &Mailbox) -> String {
    let mut line = mailbox.email.to_string();
    if let Some(name) = &mailbox.name {
        line.push_str(&format!(" ({name})"));
    }
    if let Some(locale) = &mailbox.locale {
        line.push_str(&format!(", {locale}"));
    }
    if mailbox.disable_notifications {
        line.push_str(", disableNotifications");
    }
    line
}
