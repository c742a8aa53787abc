//! Digests: which collect, what they say, and sending them early.

use std::collections::BTreeSet;

use crate::app::digests::{self, ListedDigest};
use crate::app::fire::{Run, Runs, list_waiting, run as close};
use crate::cli::args::delivery::{DigestList, DigestPreview, DigestRun};
use crate::cli::ask::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::{Page, count};
use crate::cli::session::Session;
use crate::cli::walk::walk;
use crate::delivery::compose::Composer;
use crate::delivery::preview::{Error as PreviewError, PreviewedMail, preview as preview_of};
use crate::partner::PartnerId;
use crate::settings::{Dkim, Settings};

/// `digest list`
pub(crate) async fn list(args: &DigestList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let listed = walk(args.limit, async |cursor, limit| {
        digests::page(&session.store, session.now, args.partner.as_ref(), cursor, limit).await
    })
    .await;
    session.store.close().await;
    let columns = [
        Column::number("ID", |digest: &ListedDigest| digest.id.to_string()),
        Column::text("PARTNER", |digest: &ListedDigest| digest.partner_id.clone()),
        Column::text("STATE", |digest: &ListedDigest| digest.state.to_owned()),
        Column::text("DUE", |digest: &ListedDigest| digest.due_date_time.to_string()),
        Column::text("CLOSED", |digest: &ListedDigest| {
            let by = if digest.closed_by.as_deref() == Some("manual") {
                " by hand"
            } else {
                ""
            };
            digest.closed_date_time.map(|at| format!("{at}{by}")).unwrap_or_default()
        }),
        Column::number("LEADS", |digest: &ListedDigest| digest.leads.to_string()),
        Column::text("MAIL", |digest: &ListedDigest| {
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

/// `digest run`
pub(crate) async fn run(args: &DigestRun, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let partners: BTreeSet<PartnerId> = if args.all {
        list_waiting(&session.store).await?
    } else {
        args.partner.iter().cloned().collect()
    };
    let close = async |dry_run: bool| close(&session.store, session.now, &session.rules, &partners, dry_run, None).await;
    if !args.dry_run && !args.yes {
        let (n_mails, n_digests) = sums(&close(true).await?);
        let n_unasked = i64::from(session.rules.policy.confirm_above);
        if (partners.len() > 1 && n_digests > 0) || n_mails > n_unasked {
            let digests = count(n_digests, "digest", "digests");
            confirm(&format!("close {digests} and send {}", count(n_mails, "mail", "mails")), false)?;
        }
    }
    let runs = close(args.dry_run).await;
    session.store.close().await;
    let runs = runs?;
    ctx.out.one(&runs, runs_page);
    if !args.dry_run && sums(&runs).0 > 0 {
        ctx.out
            .note("next: `posthorn work --until-idle` mails what is due, unless `posthorn serve` runs");
    }
    Ok(Exit::Done)
}

/// Returns how many mails follow, and how many digests close.
fn sums(runs: &Runs) -> (i64, i64) {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    (number(runs.mails), number(runs.n_digests()))
}

fn runs_page(runs: &Runs) -> String {
    let mut page = Page::default();
    for run in &runs.value {
        say_run(&mut page, run);
    }
    let (n_mails, n_digests) = sums(runs);
    let (mails, digests) = (count(n_mails, "mail", "mails"), count(n_digests, "digest", "digests"));
    if runs.dry_run {
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
        Some(id) => format!("digest {id}, {}", count(run.leads, "unanswered lead", "unanswered leads")),
        None => "no digest".to_owned(),
    };
    page.say(format_args!("{}: {what}", run.partner_id));
    for mail in &run.mails {
        let n_leads = i64::try_from(mail.leads).unwrap_or(i64::MAX);
        page.fact(format_args!("mail to {}: {}", mail.address, count(n_leads, "lead", "leads")));
    }
    for one in &run.silenced {
        page.fact(format_args!("silenced: {} {}", one.address, one.why));
    }
    for address in &run.suppressed {
        page.fact(format_args!("suppressed: {address}"));
    }
    if let Some(why) = &run.no_mail {
        page.fact(format_args!("no mail: {why}"));
    }
}

/// `digest preview`
pub(crate) async fn preview(args: &DigestPreview, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let answer = previewed(args, ctx, &session).await;
    session.store.close().await;
    answer
}

async fn previewed(args: &DigestPreview, ctx: &Context, session: &Session) -> Result<Exit, Failure> {
    // A preview leaves nobody, and whoever looks at it need not be allowed to read the key.
    let unsigned = Settings {
        dkim: Dkim::default(),
        ..ctx.settings().clone()
    };
    let composer = Composer::new(&unsigned, &session.identity.message_id_key)?;
    let preview = match preview_of(&session.store, session.now, &session.rules, &composer, &args.partner).await {
        Ok(preview) => preview,
        Err(PreviewError::App(error)) => return Err(error.into()),
        Err(PreviewError::Unwritable(why)) => return Err(Failure::input(why)),
    };
    ctx.out.json(&preview);
    for mail in &preview.value {
        show(ctx, mail, args.html);
    }
    for one in &preview.run.silenced {
        ctx.out.note(format_args!("{} {} and gets none", one.address, one.why));
    }
    for address in &preview.run.suppressed {
        ctx.out.note(format_args!("{address} is suppressed and gets none"));
    }
    if let Some(why) = &preview.run.no_mail {
        ctx.out.note(format_args!("no digest would be mailed: {why}"));
    }
    Ok(Exit::Done)
}

fn show(ctx: &Context, preview: &PreviewedMail, is_html: bool) {
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
