//! Digests: which collect, what they say, and sending them early.

use std::collections::{BTreeSet, HashMap};

use mail_parser::{MessageParser, MimeHeaders};
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::Error;
use crate::app::claim::{Letter, preview_digest};
use crate::app::fire::{Run, list_waiting, run as close};
use crate::cli::args::delivery::{DigestList, DigestPreview, DigestRun};
use crate::cli::ask::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::{Page, count};
use crate::cli::session::Session;
use crate::delivery::compose::{Composer, NoMail};
use crate::partner::PartnerId;
use crate::store::Tx;
use crate::store::digests::{Digest, list_digests};
use crate::store::leads::count_unanswered_of_digests;
use crate::store::notices::{Notice, list_of_digests};
use crate::time::Timestamp;

/// Digests that are read at a time.
const PAGE: i64 = 1000;

/// A digest as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: i64,
    partner_id: String,
    state: &'static str,
    due_date_time: Timestamp,
    opened_date_time: Timestamp,
    closed_date_time: Option<Timestamp>,
    closed_by: Option<String>,
    /// Unanswered ones: now while it collects, else at its closing.
    leads: i64,
    /// State of the notice that mails it.
    notice: Option<String>,
    reason: Option<String>,
}

/// `digest list`
pub(crate) async fn list(args: &DigestList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let mut tx = session.store.snapshot().await?;
    let listed = read(&mut tx, session.now, args).await;
    drop(tx);
    session.store.close().await;
    let columns = [
        Column::number("ID", |digest: &Listed| digest.id.to_string()),
        Column::text("PARTNER", |digest: &Listed| digest.partner_id.clone()),
        Column::text("STATE", |digest: &Listed| digest.state.to_owned()),
        Column::text("DUE", |digest: &Listed| digest.due_date_time.to_string()),
        Column::text("CLOSED", |digest: &Listed| {
            let by = if digest.closed_by.as_deref() == Some("manual") {
                " by hand"
            } else {
                ""
            };
            digest.closed_date_time.map(|at| format!("{at}{by}")).unwrap_or_default()
        }),
        Column::number("LEADS", |digest: &Listed| digest.leads.to_string()),
        Column::text("MAIL", |digest: &Listed| {
            let reason = digest.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            match &digest.notice {
                Some(state) => format!("{state}{reason}"),
                None if digest.state == "closed" => "nothing to send".to_owned(),
                None => String::new(),
            }
        }),
    ];
    ctx.out.list(&listed?, &columns, "no digest was ever opened");
    Ok(Exit::Done)
}

async fn read(tx: &mut Tx, now: Timestamp, args: &DigestList) -> Result<Vec<Listed>, Failure> {
    let limit = args.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut listed: Vec<Listed> = Vec::new();
    while listed.len() < limit {
        let room = PAGE.min(i64::try_from(limit - listed.len()).unwrap_or(PAGE));
        let before = listed.last().map_or(i64::MAX, |last| last.id);
        let page = list_digests(tx, args.partner.as_ref(), before, room).await?;
        if page.is_empty() {
            break;
        }
        let ids: Vec<i64> = page.iter().map(|digest| digest.id).collect();
        let counts = count_unanswered_of_digests(tx, now, &ids).await?;
        let notices: HashMap<i64, Notice> = list_of_digests(tx, &ids)
            .await?
            .into_iter()
            .filter_map(|notice| notice.digest_id.map(|id| (id, notice)))
            .collect();
        listed.extend(page.into_iter().map(|digest| {
            let n_leads = counts.get(&digest.id).copied().unwrap_or(0);
            let notice = notices.get(&digest.id);
            as_listed(digest, n_leads, notice)
        }));
    }
    Ok(listed)
}

fn as_listed(digest: Digest, n_unanswered: i64, notice: Option<&Notice>) -> Listed {
    Listed {
        id: digest.id,
        partner_id: digest.partner_id.as_str().to_owned(),
        state: if digest.is_collecting { "collecting" } else { "closed" },
        due_date_time: digest.due_at,
        opened_date_time: digest.opened_at,
        closed_date_time: digest.closed_at,
        closed_by: digest.closed_by,
        leads: digest.n_leads.unwrap_or(n_unanswered),
        notice: notice.map(|notice| notice.state.clone()),
        reason: notice.and_then(|notice| notice.reason.clone()),
    }
}

/// `digest run`
pub(crate) async fn run(args: &DigestRun, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let partners: BTreeSet<PartnerId> = if args.all {
        list_waiting(&session.store).await?
    } else {
        args.partner.iter().cloned().collect()
    };
    let close = async |dry_run: bool| close(&session.store, session.now, &session.rules, &partners, dry_run).await;
    if !args.dry_run && partners.len() > 1 && !args.yes {
        let (n_mails, n_digests) = sums(&close(true).await?);
        if n_digests > 0 {
            let digests = count(n_digests, "digest", "digests");
            confirm(&format!("close {digests} and send {}", count(n_mails, "mail", "mails")), false)?;
        }
    }
    let runs = close(args.dry_run).await;
    session.store.close().await;
    let runs = runs?;
    ctx.out.one(&as_json(&runs, args.dry_run), |_| runs_page(&runs, args.dry_run));
    if !args.dry_run && sums(&runs).0 > 0 {
        ctx.out
            .note("next: `posthorn work --until-idle` mails what is due, unless `posthorn serve` runs");
    }
    Ok(Exit::Done)
}

/// Returns how many mails follow, and how many digests close.
fn sums(runs: &[Run]) -> (i64, i64) {
    let n_mails: usize = runs.iter().map(|run| run.mails.len()).sum();
    let n_digests = runs.iter().filter(|run| run.digest_id.is_some()).count();
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    (number(n_mails), number(n_digests))
}

fn as_json(runs: &[Run], dry_run: bool) -> Value {
    let each = runs.iter().map(|run| {
        let mails: Vec<Value> = run
            .mails
            .iter()
            .map(|(address, n_leads)| json!({ "address": address, "leads": n_leads }))
            .collect();
        let silenced: Vec<Value> = run
            .silenced
            .iter()
            .map(|(address, why)| json!({ "address": address, "why": why }))
            .collect();
        json!({
            "partnerId": run.partner_id,
            "digestId": run.digest_id,
            "leads": run.n_leads,
            "mails": mails,
            "silenced": silenced,
            "suppressed": run.suppressed,
            "noMail": run.no_mail,
        })
    });
    json!({ "dryRun": dry_run, "mails": sums(runs).0, "value": each.collect::<Vec<_>>() })
}

fn runs_page(runs: &[Run], dry_run: bool) -> String {
    let mut page = Page::default();
    for run in runs {
        say_run(&mut page, run);
    }
    let (n_mails, n_digests) = sums(runs);
    let (mails, digests) = (count(n_mails, "mail", "mails"), count(n_digests, "digest", "digests"));
    if dry_run {
        page.say(format_args!(
            "A run would close {digests} and send {mails}. Nothing was changed; without --dry-run it is done."
        ));
    } else {
        page.say(format_args!("{digests} closed, {mails} to send."));
    }
    page.end()
}

fn say_run(page: &mut Page, run: &Run) {
    let what = match run.digest_id {
        Some(id) => format!("digest {id}, {}", count(run.n_leads, "unanswered lead", "unanswered leads")),
        None => "no digest".to_owned(),
    };
    page.say(format_args!("{}: {what}", run.partner_id));
    for (address, n_leads) in &run.mails {
        let n_leads = i64::try_from(*n_leads).unwrap_or(i64::MAX);
        page.fact(format_args!("mail to {address}: {}", count(n_leads, "lead", "leads")));
    }
    for (address, why) in &run.silenced {
        page.fact(format_args!("silenced: {address} {why}"));
    }
    for address in &run.suppressed {
        page.fact(format_args!("suppressed: {address}"));
    }
    if let Some(why) = &run.no_mail {
        page.fact(format_args!("no mail: {why}"));
    }
}

/// A mail that a digest would be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    address: String,
    language: String,
    subject: String,
    leads: Vec<String>,
    text: String,
    html: String,
    attachments: Vec<String>,
}

/// `digest preview`
pub(crate) async fn preview(args: &DigestPreview, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let answer = previewed(args, ctx, &session).await;
    session.store.close().await;
    answer
}

async fn previewed(args: &DigestPreview, ctx: &Context, session: &Session) -> Result<Exit, Failure> {
    // The dry run says who is passed over, and refuses an unknown partner.
    let partners = BTreeSet::from([args.partner.clone()]);
    let runs = close(&session.store, session.now, &session.rules, &partners, true).await?;
    let letters = preview_digest(&session.store, session.now, &session.rules, &args.partner).await?;
    let composer = Composer::new(ctx.settings(), &session.identity.message_id_key).map_err(Failure::input)?;
    let mut previews = Vec::with_capacity(letters.len());
    for letter in &letters {
        previews.extend(compose(&composer, letter, session.now)?);
    }
    let mut answer = as_json(&runs, true)["value"][0].clone();
    answer["value"] = json!(previews);
    ctx.out.json(&answer);
    for preview in &previews {
        show(ctx, preview, args.html);
    }
    for run in &runs {
        for (address, why) in &run.silenced {
            ctx.out.note(format_args!("{address} {why} and gets none"));
        }
        for address in &run.suppressed {
            ctx.out.note(format_args!("{address} is suppressed and gets none"));
        }
        if let Some(why) = &run.no_mail {
            ctx.out.note(format_args!("no digest would be mailed: {why}"));
        }
    }
    Ok(Exit::Done)
}

fn compose(composer: &Composer, letter: &Letter, now: Timestamp) -> Result<Option<Preview>, Failure> {
    let composed = match composer.compose(letter, now) {
        Ok(composed) => composed,
        Err(NoMail::NothingLeft) => return Ok(None),
        Err(NoMail::Unwritable(why)) => return Err(Failure::input(why)),
    };
    // Taken apart again as a mailbox does, so that what is shown is what would arrive.
    let message = MessageParser::default().parse(&composed.bytes);
    let message = message.ok_or_else(|| Error::Input("the mail that was composed cannot be read".to_owned()))?;
    let attachments = message
        .attachments()
        .filter_map(|part| part.attachment_name().map(str::to_owned))
        .collect();
    Ok(Some(Preview {
        address: letter.delivery.address.to_string(),
        language: letter.delivery.language.clone(),
        subject: message.subject().unwrap_or_default().to_owned(),
        leads: letter.leads.iter().map(|lead| lead.id.as_str().to_owned()).collect(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        html: message.body_html(0).unwrap_or_default().into_owned(),
        attachments,
    }))
}

fn show(ctx: &Context, preview: &Preview, is_html: bool) {
    if ctx.out.is_json() {
        return;
    }
    if is_html {
        ctx.out.raw(&preview.html);
        return;
    }
    ctx.out.line(format_args!("To: {}", preview.address));
    ctx.out.line(format_args!("Subject: {}", preview.subject));
    for name in &preview.attachments {
        ctx.out.line(format_args!("Attachment: {name}"));
    }
    ctx.out.line("");
    ctx.out.line(preview.text.replace("\r\n", "\n").trim_end());
    ctx.out.line("");
}
