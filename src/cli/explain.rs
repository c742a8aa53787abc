//! Tells why somebody was mailed, or was not.

use crate::app::explain::{
    AddressStory, Decision, LeadStory, Mail, Next, PartnerStory, RejectedStory, ResourceStory, Stories, Told, WhoIsTold, explain as tell,
    for_people, when,
};
use crate::cli::args::leads::Explain;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::{Page, count};
use crate::cli::roster::programme;
use crate::cli::session::Session;
use crate::clock::wall_now;
use crate::outbox::delivery::WAITS;
use crate::partner::Zone;
use crate::settings::Settings;
use crate::time::Timestamp;

/// `explain`
pub(crate) async fn explain(args: &Explain, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let stories = tell(&session.store, session.now, wall_now(), &session.rules, &args.what, None).await;
    session.store.close().await;
    ctx.out.one(&stories?, |stories| {
        page(stories, &args.what, &session.identity.mode, session.now, ctx.settings())
    });
    Ok(Exit::Done)
}

fn page(stories: &Stories, what: &str, mode: &str, now: Timestamp, settings: &Settings) -> String {
    let mut page = Page::default();
    if stories.lead.is_some() && stories.partner.is_some() {
        page.say(format_args!("{what} is a lead and a partner; the lead first."));
        page.heading(format_args!("Lead {what}"));
    }
    if let Some(lead) = &stories.lead {
        tell_lead(&mut page, lead, now);
    }
    if let Some(partner) = &stories.partner {
        if stories.lead.is_some() {
            page.heading(format_args!("Partner {what}"));
        }
        tell_partner(&mut page, partner, settings);
    }
    if let Some(address) = &stories.address {
        tell_address(&mut page, address);
    }
    if !stories.rejected.is_empty() {
        let is_lead = stories.lead.is_some();
        tell_rejected(&mut page, &stories.rejected, what, is_lead);
    }
    if !stories.resources.is_empty() {
        tell_resources(&mut page, &stories.resources, what, stories.lead.is_some());
    }
    match mode {
        "dry" => page.heading("The database is in mode dry: mails are rendered, and nothing leaves."),
        "redirect" => page.heading("The database is in mode redirect: every mail goes to mail.redirect_to instead."),
        _ => {}
    }
    page.end()
}

fn tell_lead(page: &mut Page, lead: &LeadStory, now: Timestamp) {
    let at = |instant: Timestamp| when(instant, lead.zone);
    page.say(&lead.verdict);
    page.heading("What it is");
    page.field("lead", &lead.id);
    let deal = lead.deal.as_ref().map(|deal| format!(": {deal}")).unwrap_or_default();
    page.field("customer", format_args!("{}{deal}", lead.customer));
    page.field("partner", named(lead.partner_id.as_str(), lead.partner_name.as_deref()));
    if let Some(sender) = &lead.sender_id {
        page.field("sent by", format_args!("the partner {sender}"));
    }
    page.field("kind", lead.kind);
    // An informational lead has no stages (R-STAGES).
    if lead.kind == "informational" {
        page.field("stage", "none, since nobody has to answer it");
    } else {
        page.field("stage", format_args!("{} since {}", lead.stage, at(lead.stage_since)));
    }
    if let Some(urgency) = lead.urgency {
        page.field("urgency", urgency);
    }
    page.field("created", at(lead.created_date_time));
    page.field("came in", at(lead.received_date_time));
    if let Some(expires) = lead.expires_date_time {
        let note = if lead.expiring { " (soon)" } else { "" };
        let is_unanswered = lead.stage == "New/Received" && lead.erased_date_time.is_none();
        let word = match lead.stage.as_str() {
            "Closed/Expired" => "expired",
            _ if is_unanswered && expires > now => "expires",
            // It was answered in time.
            _ => "due",
        };
        page.field(word, format_args!("{}{note}", at(expires)));
    }
    if let Some(erased) = lead.erased_date_time {
        page.field("erased", at(erased));
    }
    if let (Some(day), Some(number)) = (&lead.day, lead.day_number) {
        page.field(
            "counted",
            format_args!("number {number} of the partner's {day} ({})", lead.time_zone),
        );
    }
    tell_decisions(page, "How it was decided", &lead.decisions, lead.zone);
    if !lead.told.is_empty() {
        page.heading("Who was told");
    }
    for told in &lead.told {
        tell_notice(page, told, lead.zone);
    }
    if let Some(digest) = &lead.digest {
        page.heading("Digest");
        let closed = digest.closed_date_time.map(|closed| {
            let how = if digest.closed_by.as_deref() == Some("manual") {
                "by hand"
            } else {
                "by its fire"
            };
            let n = digest
                .leads
                .map(|n| format!(", with {}", count(n, "unanswered lead", "unanswered leads")));
            format!("; closed on {} {how}{}", at(closed), n.unwrap_or_default())
        });
        let due = if digest.due_date_time > now { "due" } else { "was due" };
        page.fact(format_args!(
            "digest {}, {due} {}{}",
            digest.id,
            at(digest.due_date_time),
            closed.unwrap_or_default()
        ));
    }
    page.heading("Action Center");
    match &lead.item {
        Some(item) => page.fact(format_args!(
            "{}, version {}, {}: \"{}\": {}",
            item.id, item.version, item.state, item.title, item.text
        )),
        None => page.fact("nothing was posted for it"),
    }
    tell_next(page, &lead.next, lead.zone);
}

fn named(id: &str, name: Option<&str>) -> String {
    match name {
        Some(name) if name != id => format!("{id} ({name})"),
        Some(_) | None => id.to_owned(),
    }
}

fn tell_decisions(page: &mut Page, title: &str, decisions: &[Decision], zone: Zone) {
    if decisions.is_empty() {
        return;
    }
    page.heading(title);
    for decision in decisions {
        page.fact(format_args!(
            "{}  [{}] {}",
            when(decision.date_time, zone),
            decision.rule,
            for_people(&decision.event, zone)
        ));
    }
}

fn tell_notice(page: &mut Page, told: &Told, zone: Zone) {
    let receiver = if told.partner_id.as_str().is_empty() {
        "the lead desk".to_owned()
    } else {
        format!("partner {}", told.partner_id)
    };
    let of = if told.kind == crate::outbox::Kind::Decline {
        String::from(" to the customer")
    } else {
        format!(" to {receiver}")
    };
    let due = if told.state == "pending" {
        format!(", due {}", when(told.due_date_time, zone))
    } else {
        String::new()
    };
    let reason = told.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    page.fact(format_args!(
        "{} notice {}{of}: {}{due}{reason}",
        told.kind, told.notice_id, told.state
    ));
    for mail in &told.deliveries {
        tell_mail(page, mail, zone);
    }
}

fn tell_mail(page: &mut Page, mail: &Mail, zone: Zone) {
    let finished = mail
        .finished_date_time
        .map(|at| format!(" on {}", when(at, zone)))
        .unwrap_or_default();
    let next = mail
        .next_date_time
        .map(|at| format!(", next try at {}", when(at, zone)))
        .unwrap_or_default();
    let repeat = if mail.is_repeat { " (perhaps a repeat)" } else { "" };
    let sent_on = mail
        .forwarded_by
        .as_ref()
        .map(|by| format!(", sent on by {by}"))
        .unwrap_or_default();
    let waits = mail.reason.as_deref().is_some_and(|reason| reason.starts_with(WAITS));
    let reason = if mail.attempts.is_empty() || waits {
        mail.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
    } else {
        String::new()
    };
    page.detail(format_args!(
        "mail {} to {}{sent_on}: {}{finished}{next}{repeat}{reason}",
        mail.id,
        mail.address,
        mail.state.replace('_', " ")
    ));
    if let Some(kept) = &mail.kept {
        page.deep(format_args!(
            "`posthorn deliveries show {} --mail` shows what went, until {}",
            mail.id,
            when(kept.until_date_time, zone)
        ));
    }
    for attempt in &mail.attempts {
        page.deep(format_args!(
            "{}  {}: {}",
            when(attempt.date_time, zone),
            attempt.relay,
            attempt.detail
        ));
    }
}

fn tell_next(page: &mut Page, next: &[Next], zone: Zone) {
    page.heading("What happens next");
    if next.is_empty() {
        page.fact("nothing by itself");
    }
    for step in next {
        match step.date_time {
            Some(at) => page.fact(format_args!("{}: {}", when(at, zone), step.what)),
            None => page.fact(&step.what),
        }
    }
}

fn tell_partner(page: &mut Page, partner: &PartnerStory, settings: &Settings) {
    let at = |instant: Timestamp| when(instant, partner.zone);
    page.say(&partner.verdict);
    page.heading("What it is");
    let name = partner.record.as_ref().and_then(|record| record.name.as_deref());
    page.field("partner", named(partner.id.as_str(), name));
    if let Some(name) = partner.record.as_ref().and_then(|record| record.programme.as_deref()) {
        page.field("programme", programme(name, settings));
    }
    if let Some(locale) = partner.record.as_ref().and_then(|record| record.locale.as_deref()) {
        page.field("language", locale);
    }
    page.field(
        "digest",
        format_args!("fires at \"{}\" in {}", partner.digest_cron, partner.time_zone),
    );
    page.field(
        "today",
        format_args!(
            "{} counted on {}; {} of a day are mailed singly",
            count(partner.day_count, "lead", "leads"),
            partner.day,
            partner.threshold
        ),
    );
    page.heading("Who is told now");
    tell_who(page, &partner.told);
    for at in &partner.locations {
        page.fact(format_args!("leads for the location {}: mail {}", at.location, at.told.in_words()));
    }
    for since in &partner.opt_outs {
        let how = since.reason.as_ref().map(|how| format!(", {how}")).unwrap_or_default();
        page.fact(format_args!("{} unsubscribed on {}{how}", since.address, at(since.since)));
    }
    for since in &partner.suppressed {
        let why = since.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        page.fact(format_args!("{} is suppressed since {}{why}", since.address, at(since.since)));
    }
    if partner.digest.is_some() || partner.held_leads > 0 || !partner.parked.is_empty() || partner.pending_notices > 0 {
        page.heading("What waits");
    }
    if let Some(digest) = &partner.digest {
        let leads = count(partner.digest_leads, "unanswered lead", "unanswered leads");
        page.fact(format_args!("digest {}: {leads}, due {}", digest.id, at(digest.due_date_time)));
    }
    if partner.held_leads > 0 {
        page.fact(format_args!(
            "{} for an address",
            count(partner.held_leads, "lead waits", "leads wait")
        ));
    }
    if partner.pending_notices > 0 {
        page.fact(format_args!(
            "{} for a worker",
            count(partner.pending_notices, "notice waits", "notices wait")
        ));
    }
    for parked in &partner.parked {
        let why = parked.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        page.fact(format_args!(
            "parked {} notice {} ({}){why}",
            parked.kind, parked.notice_id, parked.subject
        ));
    }
    if !partner.leads.is_empty() {
        page.heading("Latest leads");
    }
    for lead in &partner.leads {
        let channel = match lead.channel {
            Some("single") => ", for a mail of its own",
            Some("digest") => ", for the digest",
            Some("held") => ", waits for an address",
            Some(_) | None => "",
        };
        page.fact(format_args!(
            "{}  {} ({}, {}{channel})",
            at(lead.received_date_time),
            lead.id,
            lead.kind,
            lead.stage
        ));
    }
    tell_mails(page, &partner.deliveries, partner.zone);
    tell_decisions(page, "What was decided", &partner.decisions, partner.zone);
}

fn tell_who(page: &mut Page, told: &WhoIsTold) {
    page.fact(format_args!("mail {}", told.in_words()));
}

fn tell_mails(page: &mut Page, mails: &[Mail], zone: Zone) {
    if mails.is_empty() {
        return;
    }
    page.heading("Latest mails");
    for mail in mails {
        let finished = mail
            .finished_date_time
            .or(mail.next_date_time)
            .map(|at| format!(" {}", when(at, zone)));
        let reason = mail.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        page.fact(format_args!(
            "mail {} ({}) to {}: {}{}{reason}",
            mail.id,
            mail.kind,
            mail.address,
            mail.state.replace('_', " "),
            finished.unwrap_or_default()
        ));
    }
}

fn tell_address(page: &mut Page, address: &AddressStory) {
    page.say(&address.verdict);
    page.heading("What it is");
    page.field("address", &address.address);
    if let Some(suppression) = &address.suppression {
        let by = suppression.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        page.field(
            "suppressed",
            format_args!("since {}{by}: {}", when(suppression.since, Zone::UTC), suppression.reason),
        );
        page.field("", &suppression.detail);
    }
    for used in &address.partners {
        let not = if used.is_mailed { "" } else { "not mailed: " };
        page.field("partner", format_args!("{}: {not}{}", used.partner_id, used.why));
    }
    for out in &address.opt_outs {
        let by = out.delivery_id.map(|id| format!(", by mail {id}")).unwrap_or_default();
        page.field(
            "opted out",
            format_args!("of mail for {} on {}{by}", out.partner_id, when(out.since, Zone::UTC)),
        );
    }
    tell_mails(page, &address.deliveries, Zone::UTC);
    tell_decisions(page, "What was decided", &address.decisions, Zone::UTC);
}

fn tell_resources(page: &mut Page, resources: &[ResourceStory], what: &str, is_lead: bool) {
    if is_lead {
        page.heading("Webhook");
    } else {
        page.say(format_args!(
            "There is no lead {what} yet: the portal's webhook named it without its content, and so nobody was told of it."
        ));
    }
    for resource in resources {
        let known = when(resource.known_date_time, Zone::UTC);
        page.fact(format_args!("{} on {known}: {}", resource.event, resource.uri));
        let detail = resource.detail.as_deref().unwrap_or("not tried yet");
        match (resource.state.as_str(), resource.next_date_time) {
            ("known", _) if resource.attempts == 0 => {
                page.detail("known, not fetched: a worker fetches it where portal.resource_url says from where")
            }
            ("known", Some(next)) => page.detail(format_args!(
                "known, not fetched after {}: {detail}; next try {}",
                count(resource.attempts, "try", "tries"),
                when(next, Zone::UTC)
            )),
            (state, _) => page.detail(format_args!("{state}: {detail}")),
        }
    }
}

fn tell_rejected(page: &mut Page, rejected: &[RejectedStory], what: &str, is_lead: bool) {
    if is_lead {
        page.heading("A record of it was rejected");
    } else {
        page.say(format_args!(
            "There is no lead {what}: a record that names it was rejected, and so nobody was told of it."
        ));
    }
    for record in rejected {
        page.fact(format_args!(
            "rejected at import on {}: line {} of {}",
            when(record.received_date_time, Zone::UTC),
            record.line,
            record.source
        ));
        for fault in &record.faults {
            page.detail(fault);
        }
        page.detail(format_args!("see `posthorn rejected show {}`", record.id));
    }
}
