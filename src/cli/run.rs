//! Commands that move things on and end: `work`, `migrate`.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{Rules, database};
use crate::cli::args::setup::{Migrate, Work};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::clock::{Clock, Next};
use crate::delivery::compose::Composer;
use crate::delivery::lease::Lease;
use crate::delivery::post::Posts;
use crate::delivery::worker::{GRACE_AFTER_ERROR, Worker};
use crate::delivery::{self};
use crate::intake::fetch::Fetches;
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::time::Timestamp;
use crate::timers;

/// `work --until-idle`
pub(crate) async fn work(args: &Work, ctx: &Context) -> Result<Exit, Failure> {
    if !args.until_idle {
        return Err(Failure::usage(
            "`work` does what is due and ends: say `work --until-idle`; `posthorn serve` works on until it is stopped",
        ));
    }
    let session = Session::open_to_send(ctx).await?;
    let n_sent = work_until_idle(ctx.settings(), &session).await?;
    session.store.close().await;
    let mode = match ctx.settings().mode {
        settings::Mode::Live => String::new(),
        mode => format!(" (mode {mode})"),
    };
    ctx.out.one(
        &serde_json::json!({ "recorded": n_sent, "mode": ctx.settings().mode.to_string() }),
        |_| {
            format!(
                "idle at {}: {n_sent} {} handled{mode}",
                session.now,
                if n_sent == 1 { "delivery" } else { "deliveries" }
            )
        },
    );
    Ok(Exit::Done)
}

/// Does all that is due at the session's instant, and returns how many deliveries were handled.
pub(crate) async fn work_until_idle(settings: &Settings, session: &Session) -> Result<u64, Failure> {
    let now = session.now;
    let stop = CancellationToken::new();
    let mut lease = Lease::begin(&session.store, settings.database.url.expose(), &settings.worker).await?;
    let rules = Arc::new(session.rules.clone());
    let composer = Arc::new(Composer::new(settings, &session.identity.message_id_key)?);
    database::apply_settings(&session.store, now, &rules).await?;
    let mut worker = Worker::new(&session.store, &rules, &composer, settings, Clock::Fixed(now), &lease, &stop)?;
    let mut posts = Posts::new(&session.store, &rules, settings, lease.epoch)?;
    let mut fetches = Fetches::new(&session.store, settings).map_err(Failure::input)?;
    let ended = take_turns(session, &rules, &mut lease, &mut worker, &mut posts, &mut fetches).await;
    let n_handled = worker.n_recorded();
    let drain = settings.worker.drain;
    let grace = if ended.is_ok() { drain } else { drain.min(GRACE_AFTER_ERROR) };
    // Whatever fails first, the rest is still given back as far as it can be.
    let drained = worker.drain(&mut lease, grace).await;
    let posted = posts.end().await;
    let given_back = lease.end(&session.store).await;
    ended?;
    drained.and(posted).and(given_back)?;
    Ok(n_handled)
}

/// Takes turns until nothing is due any more.
async fn take_turns(
    session: &Session,
    rules: &Arc<Rules>,
    lease: &mut Lease,
    worker: &mut Worker,
    posts: &mut Posts,
    fetches: &mut Fetches,
) -> Result<(), Failure> {
    let now = session.now;
    // What comes in meanwhile is claimed when it is its turn.
    let (_, mut never_woken) = watch::channel(());
    loop {
        lease.keep(&session.store).await?;
        if is_due(now, fetches.turn(now, rules).await?) {
            continue;
        }
        // What time moves comes first: an expired lead is not mailed.
        if worker.is_idle() && is_due(now, timers::turn(&session.store, now, rules).await?) {
            continue;
        }
        if is_due(now, worker.turn(now, &mut never_woken).await?) || is_due(now, posts.turn(now).await?) {
            continue;
        }
        return Ok(());
    }
}

fn is_due(now: Timestamp, next: Next) -> bool {
    match next {
        Next::Now => true,
        Next::At(at) => at <= now,
        Next::WhenWoken => false,
    }
}

/// `migrate`
pub(crate) async fn migrate(args: &Migrate, ctx: &Context) -> Result<Exit, Failure> {
    let database = &ctx.settings().database;
    let store = Store::open_and_migrate(database.url.expose(), database.max_connections).await?;
    if args.rehearsal {
        database::make_rehearsal(&store).await?;
    }
    let session = Session::with_store(ctx, store, args.yes).await?;
    let what = if session.identity.is_rehearsal {
        " (a rehearsal: --now may be anything)"
    } else {
        ""
    };
    ctx.out.one(
        &serde_json::json!({ "database": database.url.masked(), "mode": session.identity.mode, "rehearsal": session.identity.is_rehearsal }),
        |_| format!("{} is up to date, mode {}{what}", database.url.masked(), session.identity.mode),
    );
    session.store.close().await;
    Ok(Exit::Done)
}

impl From<delivery::Error> for Failure {
    fn from(error: delivery::Error) -> Self {
        match error {
            delivery::Error::App(error) => error.into(),
            delivery::Error::Template(_)
            | delivery::Error::Letterhead(_)
            | delivery::Error::Secret(_)
            | delivery::Error::Dkim(_)
            | delivery::Error::Post(_) => Self::input(error),
            delivery::Error::LeaseLost { .. } => Self::unavailable(error),
        }
    }
}

impl From<crate::template::Error> for Failure {
    fn from(error: crate::template::Error) -> Self {
        Self::input(error)
    }
}
