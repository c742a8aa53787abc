//! Lists the partners and where their mail goes, and shows one.

use crate::app::explain::{PartnerStory, when};
use crate::app::roster::{self, ListedPartner};
use crate::cli::args::partners::{PartnersList, PartnersShow};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::{Page, count};
use crate::cli::session::Session;
use crate::cli::walk::walk;
use crate::partner::Partner;
use crate::partner::record::Mailbox;
use crate::settings::Settings;

/// `partners list`
pub(crate) async fn list(args: &PartnersList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let listed = walk(None, async |cursor, limit| {
        roster::page(&session.store, &session.rules, None, args.unroutable, cursor, limit).await
    })
    .await;
    session.store.close().await;
    let listed = listed?;
    let mut columns = vec![
        Column::text("ID", |partner: &ListedPartner| partner.id.as_str().to_owned()),
        Column::text("NAME", |partner: &ListedPartner| partner.name.clone().unwrap_or_default()),
        Column::text("MAIL", |partner: &ListedPartner| match partner.is_known {
            true => partner.told.in_words(),
            false => "goes nowhere: leads of it came in, but no record of it".to_owned(),
        }),
    ];
    // A column for what nobody has only takes room.
    if listed.iter().any(|partner| partner.programme.is_some()) {
        let programme = Column::text("PROGRAMME", |partner: &ListedPartner| partner.programme.clone().unwrap_or_default());
        columns.insert(2, programme);
    }
    let none = if args.unroutable {
        "every partner has an address"
    } else {
        "no partner is known here; `posthorn partners import` brings them in"
    };
    ctx.out.list(&listed, &columns, none);
    Ok(Exit::Done)
}

/// `partners show`
pub(crate) async fn show(args: &PartnersShow, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let found = roster::show(&session.store, session.now, &session.rules, &args.id).await;
    session.store.close().await;
    let (shown, story) = found?;
    ctx.out.one(&shown, |shown| page(&story, &shown.record, ctx.settings()));
    Ok(Exit::Done)
}

fn page(story: &PartnerStory, record: &Partner, settings: &Settings) -> String {
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
    if let Some(name) = &record.programme {
        page.field("programme", programme(name, settings));
    }
    page.field("locale", record.locale.as_deref().unwrap_or("(default)"));
    let limits = record.programme.as_deref().and_then(|name| settings.policy.programmes.get(name));
    let default = |is_own: bool, is_programmes: bool| match (is_own, is_programmes) {
        (true, _) => "",
        (false, true) => " (its programme's)",
        (false, false) => " (default)",
    };
    page.field(
        "timeZone",
        format_args!("{}{}", story.time_zone, default(record.time_zone.is_some(), false)),
    );
    page.field(
        "digestCron",
        format_args!(
            "{}{}",
            story.digest_cron,
            default(
                record.digest_cron.is_some(),
                limits.is_some_and(|limits| limits.digest_cron.is_some())
            )
        ),
    );
    page.field(
        "threshold",
        format_args!(
            "{} of a day singly{}",
            count(i64::from(story.threshold), "lead", "leads"),
            default(
                record.digest_threshold.is_some(),
                limits.is_some_and(|limits| limits.digest_threshold.is_some())
            )
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

/// Says what belonging to a programme means for a partner's mail.
pub(super) fn programme(name: &str, settings: &Settings) -> String {
    match settings.programmes.contains_key(name) {
        true => format!("{name}: its mail is from {}", settings.of_programme(name).mail.from),
        false => format!("{name}, which is not configured (any more): its mail is as without a programme"),
    }
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
