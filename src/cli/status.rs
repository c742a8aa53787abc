//! Says how it is: what waits, what is late, and what needs somebody. The container's health check: it writes nothing, and fails exactly if the
//! database cannot be read.

use crate::app::Rules;
use crate::app::explain::when;
use crate::app::status::{PartnerCount, Relay, Status, status as ask};
use crate::cli::args::setup;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::{Page, count};
use crate::clock::wall_now;
use crate::partner::Zone;
use crate::store::{Missing, Store};
use crate::template::Sets;

/// `status`
pub(crate) async fn status(_: &setup::Status, ctx: &Context) -> Result<Exit, Failure> {
    let settings = ctx.settings();
    // No session: that would bring the database to the configured mode, and this only looks.
    let store = Store::open(settings.database.url.expose(), settings.database.max_connections, Missing::Refuse).await?;
    let rules = Rules::from_settings(settings);
    let configured = settings.mode.to_string();
    let status = ask(&store, ctx.now(), wall_now(), &rules, &configured).await;
    store.close().await;
    let status = status.map(|status| Status {
        // Looked at here and now: whether a worker uses them or still those from before, they want mending.
        template_fault: settings
            .template_folders()
            .next()
            .and_then(|_| Sets::load(settings).err())
            .map(|fault| fault.to_string()),
        ..status
    });
    let fetches = settings.portal.resource_url.is_some();
    ctx.out
        .one(&status?, |status| page(status, &configured, rules.posts_items, fetches));
    Ok(Exit::Done)
}

fn page(status: &Status, configured: &str, posts_items: bool, fetches: bool) -> String {
    let mut page = Page::default();
    let rehearsal = if status.rehearsal { ", a rehearsal" } else { "" };
    let differs = if status.mode == configured {
        String::new()
    } else {
        format!("; the configuration says {configured}")
    };
    page.say(format_args!("Mode {}{rehearsal}{differs}, on {}.", status.mode, status.engine));
    match status.workers.as_slice() {
        [] => page.say("No worker is alive: nothing goes out until `posthorn serve` or `work` runs."),
        workers => {
            for worker in workers {
                let since = when(worker.started_date_time, Zone::UTC);
                page.say(format_args!("Worker {} ({}) is alive since {since}.", worker.epoch, worker.name));
            }
        }
    }
    match &status.next_due {
        None => page.say("Nothing is due, as things stand."),
        Some(next) if next.date_time <= status.date_time => {
            page.say(format_args!("Due since {}: {}.", when(next.date_time, Zone::UTC), next.what));
        }
        Some(next) => page.say(format_args!("Next due {}: {}.", when(next.date_time, Zone::UTC), next.what)),
    }
    page.heading("What waits");
    if status.backlog.is_empty() {
        page.fact("nothing waits to be mailed");
    }
    for kind in &status.backlog {
        let oldest = kind.oldest_due_seconds.map(|age| format!(", the oldest for {}", age_in_words(age)));
        page.field(
            &kind.kind,
            format_args!(
                "{} pending, {} to be tried again; {} due{}",
                kind.pending,
                kind.queued,
                kind.due,
                oldest.unwrap_or_default()
            ),
        );
    }
    if posts_items || status.items_to_post > 0 {
        page.field("items", format_args!("{} to be posted", status.items_to_post));
    }
    if status.to_verify > 0 {
        let leads = count(
            status.to_verify,
            "lead, of which the mail domain is",
            "leads, of which the mail domains are",
        );
        page.field(
            "verify",
            format_args!("{leads} to be asked for: `serve` does, or `posthorn verify`"),
        );
    }
    if status.waiting > 0 {
        let waiting = count(status.waiting, "mail waits", "mails wait");
        page.field("waiting", format_args!("{waiting} for a relay or for the pace"));
    }
    if !status.relays.is_empty() {
        page.heading("Relays");
    }
    for relay in &status.relays {
        page.field(&relay.relay, relay_in_words(relay, &status.relays));
    }
    page.heading("Mails");
    if status.deliveries.is_empty() {
        page.fact("none yet");
    }
    for (state, n) in &status.deliveries {
        page.field(&state.replace('_', " "), n);
    }
    needs(&mut page, status, fetches);
    page.end()
}

/// Says how a worker finds a relay; which worker, where several do.
fn relay_in_words(relay: &Relay, all: &[Relay]) -> String {
    let mut words = match (relay.state.as_str(), relay.is_live) {
        ("closed", true) => "is asked".to_owned(),
        ("closed", false) => "was asked by the last worker".to_owned(),
        ("open", _) => "is left alone".to_owned(),
        (_, _) => "is tried by one mail".to_owned(),
    };
    words.push_str(&format!(" since {}", when(relay.since_date_time, Zone::UTC)));
    if all.iter().any(|other| other.relay == relay.relay && other.worker != relay.worker) {
        words.push_str(&format!(" by worker {}", relay.worker));
    }
    if let Some(why) = &relay.why {
        words.push_str(&format!(": {why}"));
    }
    let next = relay.next_try_date_time.map(|next| when(next, Zone::UTC));
    if let Some(next) = next.as_ref().filter(|_| relay.state == "open") {
        words.push_str(&format!("; next try {next}"));
    }
    let limits = [
        ("this hour", relay.sent_this_hour, relay.per_hour),
        ("today", relay.sent_today, relay.per_day),
    ];
    for (span, sent, limit) in limits {
        if let (Some(sent), Some(limit)) = (sent, limit) {
            words.push_str(&format!("; {sent} of {limit} sent {span}"));
        }
    }
    if let Some(day) = relay.warm_up_day {
        words.push_str(&format!(" (day {day} of its warm-up)"));
    }
    if let Some(next) = next.filter(|_| relay.state == "closed") {
        words.push_str(&format!("; full until {next}"));
    }
    words
}

/// What somebody has to look at.
fn needs(page: &mut Page, status: &Status, fetches: bool) {
    let mut needed = Vec::new();
    if let Some(fault) = &status.template_fault {
        needed.push(format!(
            "the templates are wrong: {fault}; `posthorn template check` lists all that is, and a running `serve` writes from those before"
        ));
    }
    if status.in_doubt > 0 {
        needed.push(format!(
            "{} in doubt: `posthorn deliveries list --state in_doubt`",
            count(status.in_doubt, "mail is", "mails are")
        ));
    }
    if status.parked > 0 {
        needed.push(format!(
            "{} parked, since {} no address: {}",
            count(status.parked, "notice is", "notices are"),
            if status.parked == 1 {
                "its partner has"
            } else {
                "their partners have"
            },
            partners(&status.parked_partners)
        ));
    }
    if status.parked_for_lead_desk > 0 {
        let why = if status.has_lead_desk {
            "its address cannot be reached, or a worker has yet to run"
        } else {
            "portal.lead_desk is not set"
        };
        needed.push(format!(
            "{} for the lead desk: {why}",
            count(status.parked_for_lead_desk, "notice is parked", "notices are parked")
        ));
    }
    if status.held_leads > 0 {
        needed.push(format!(
            "{} for {} to have an address: {}",
            count(status.held_leads, "lead waits", "leads wait"),
            if status.held_leads == 1 { "its partner" } else { "their partners" },
            partners(&status.held_partners)
        ));
    }
    if status.undeliverable > 0 {
        needed.push(format!(
            "{} undeliverable: `posthorn deliveries list --state failed,suppressed`",
            count(status.undeliverable, "notice is", "notices are")
        ));
    }
    if status.rejected_open > 0 {
        needed.push(format!(
            "{} rejected: `posthorn rejected list`",
            count(status.rejected_open, "record is", "records are")
        ));
    }
    if status.known_not_fetched > 0 {
        needed.push(format!(
            "{} known from the portal's webhook and not fetched{}",
            count(status.known_not_fetched, "lead is", "leads are"),
            if fetches { "" } else { ": portal.resource_url is not set" }
        ));
    }
    if status.suppressions > 0 {
        needed.push(format!(
            "{} suppressed: `posthorn suppressions list`",
            count(status.suppressions, "address is", "addresses are")
        ));
    }
    page.heading("What needs somebody");
    if needed.is_empty() {
        page.fact("nothing");
    }
    for need in needed {
        page.fact(need);
    }
}

fn partners(counts: &[PartnerCount]) -> String {
    let named: Vec<String> = counts.iter().map(|one| format!("{} ({})", one.partner_id, one.n)).collect();
    named.join(", ")
}

fn age_in_words(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
