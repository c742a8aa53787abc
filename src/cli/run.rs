//! Commands that move things on: `work`, `serve`, `migrate`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::{Rules, database};
use crate::cli::args::setup::{Migrate, Serve, Work};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::Session;
use crate::clock::{Clock, Next};
use crate::delivery::compose::Composer;
use crate::delivery::lease::Lease;
use crate::delivery::post::Posts;
use crate::delivery::worker::Worker;
use crate::delivery::{self};
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::time::Timestamp;
use crate::timers;

/// How long `serve` sleeps at most: so soon it sees what another process has brought, by four look-ups of an index.
const POLL: Duration = Duration::from_millis(500);
/// How long a loop waits after the database was away.
const PAUSE: Duration = Duration::from_secs(2);

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
    let mut lease = Lease::begin(&session.store, settings.database.url.expose(), settings.worker.lease).await?;
    let rules = Arc::new(session.rules.clone());
    let composer = Arc::new(Composer::new(settings, &session.identity.message_id_key)?);
    database::apply_settings(&session.store, now, &rules).await?;
    let mut worker = Worker::new(&session.store, &rules, &composer, settings, Clock::Fixed(now), &lease, &stop)?;
    let mut posts = Posts::new(&session.store, &rules, settings, lease.epoch)?;
    loop {
        lease.keep(&session.store).await?;
        // What time moves comes first: an expired lead is not mailed.
        if worker.is_idle() && is_due(now, timers::turn(&session.store, now, &rules).await?) {
            continue;
        }
        if is_due(now, worker.turn(now).await?) || is_due(now, posts.turn(now).await?) {
            continue;
        }
        break;
    }
    let n_handled = worker.n_recorded();
    worker.drain(settings.worker.drain).await?;
    posts.end().await?;
    lease.end(&session.store).await?;
    Ok(n_handled)
}

fn is_due(now: Timestamp, next: Next) -> bool {
    match next {
        Next::Now => true,
        Next::At(at) => at <= now,
        Next::WhenWoken => false,
    }
}

/// What a running `serve` works by; replaced whole when it is told to reload.
#[derive(Clone)]
struct Current {
    rules: Arc<Rules>,
    composer: Arc<Composer>,
}

/// `serve`
pub(crate) async fn serve(_args: &Serve, ctx: &Context) -> Result<Exit, Failure> {
    if let Clock::Fixed(_) = ctx.clock {
        return Err(Failure::usage("`serve` runs on the real clock; `work --until-idle` takes --now"));
    }
    let signals = Signals::listen()?;
    let settings = ctx.settings();
    let session = Session::open_to_send(ctx).await?;
    let lease = Lease::begin(&session.store, settings.database.url.expose(), settings.worker.lease).await?;
    let key = session.identity.message_id_key.clone();
    let current = Current {
        rules: Arc::new(session.rules.clone()),
        composer: Arc::new(Composer::new(settings, &key)?),
    };
    database::apply_settings(&session.store, ctx.now(), &current.rules).await?;
    let stop = CancellationToken::new();
    let worker = Worker::new(
        &session.store,
        &current.rules,
        &current.composer,
        settings,
        ctx.clock,
        &lease,
        &stop,
    )?;
    let posts = Posts::new(&session.store, &current.rules, settings, lease.epoch)?;
    let (reloaded, current) = watch::channel(current);
    tracing::info!(mode = %settings.mode, epoch = lease.epoch, database = settings.database.url.masked(), "serving");
    _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    tasks.spawn(run_timers(session.store.clone(), ctx.clock, current.clone(), stop.clone()));
    tasks.spawn(run_worker(
        session.store.clone(),
        ctx.clock,
        worker,
        lease,
        current.clone(),
        stop.clone(),
        settings.worker.drain,
    ));
    tasks.spawn(run_posts(ctx.clock, posts, stop.clone()));
    let config = ctx.loaded.file().map(PathBuf::from);
    let ended = watch_signals(signals, &session.store, ctx.clock, settings, config, key, &reloaded, &mut tasks).await;
    _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop.cancel();
    let mut answer = ended;
    while let Some(done) = tasks.join_next().await {
        answer = answer.and(joined(done));
    }
    session.store.close().await;
    tracing::info!("stopped");
    answer.map(|()| Exit::Done)
}

fn joined(done: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    done.unwrap_or_else(|error| {
        Err(Failure::unavailable(format_args!(
            "a part of the worker ended unexpectedly: {error}"
        )))
    })
}

/// The signals that `serve` answers. Listened for before anything else: one that comes while it starts would end it where it stands.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::unavailable(format_args!("cannot listen for signals: {error}")));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }
}

/// Waits until it is told to stop, or one of the tasks ends; reloads when it is told to, and tells systemd that it is alive.
#[expect(clippy::too_many_arguments, reason = "what a reload takes")]
async fn watch_signals(
    mut signals: Signals,
    store: &Store,
    clock: Clock,
    started_with: &Settings,
    config: Option<PathBuf>,
    key: Vec<u8>,
    reloaded: &watch::Sender<Current>,
    tasks: &mut JoinSet<Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut watchdog = tokio::time::interval(watchdog_interval());
    loop {
        // Each of these may be dropped at its await: nothing is lost with it.
        tokio::select! {
            _ = signals.term.recv() => return Ok(()),
            _ = signals.int.recv() => return Ok(()),
            _ = signals.hup.recv() => reload(store, clock, started_with, config.as_deref(), &key, reloaded).await,
            _ = watchdog.tick() => { _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]); }
            Some(done) = tasks.join_next() => return joined(done),
        }
    }
}

/// Half of what systemd allows between two signs of life.
fn watchdog_interval() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_secs(60), |allowed| allowed / 2)
}

/// Takes over a changed configuration: policy, portal, mail texts and templates at once; what is wrong leaves everything as it was, loudly.
async fn reload(
    store: &Store,
    clock: Clock,
    started_with: &Settings,
    config: Option<&std::path::Path>,
    key: &[u8],
    reloaded: &watch::Sender<Current>,
) {
    let settings = match settings::load(config) {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            tracing::error!("configuration not reloaded, the old one stays in force: {error}");
            return;
        }
    };
    if settings.mode != started_with.mode
        || settings.database.url != started_with.database.url
        || settings.mail.transport != started_with.mail.transport
    {
        tracing::error!("configuration not reloaded: mode, database and transport need a restart");
        return;
    }
    let composer = match Composer::new(&settings, key) {
        Ok(composer) => Arc::new(composer),
        Err(error) => {
            tracing::error!("configuration not reloaded, the old templates stay in force: {error}");
            return;
        }
    };
    let rules = Arc::new(Rules::from_settings(&settings));
    if let Err(error) = database::apply_settings(store, clock.now(), &rules).await {
        tracing::error!("configuration not reloaded: {error}");
        return;
    }
    reloaded.send_replace(Current { rules, composer });
    tracing::info!("configuration reloaded");
}

async fn run_timers(store: Store, clock: Clock, current: watch::Receiver<Current>, stop: CancellationToken) -> Result<(), Failure> {
    while !stop.is_cancelled() {
        let rules = Arc::clone(&current.borrow().rules);
        let next = timers::turn(&store, clock.now(), &rules).await;
        rest(clock, or_pause(next.map_err(Failure::from), &stop).await, &stop).await;
    }
    Ok(())
}

async fn run_worker(
    store: Store,
    clock: Clock,
    mut worker: Worker,
    mut lease: Lease,
    mut current: watch::Receiver<Current>,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), Failure> {
    while !stop.is_cancelled() {
        lease.keep(&store).await?;
        if current.has_changed().unwrap_or(false) {
            let now = current.borrow_and_update().clone();
            worker.reload(&now.rules, &now.composer);
        }
        let next = worker.turn(clock.now()).await;
        rest(clock, or_pause(next.map_err(Failure::from), &stop).await, &stop).await;
    }
    worker.drain(drain).await?;
    Ok(lease.end(&store).await?)
}

async fn run_posts(clock: Clock, mut posts: Posts, stop: CancellationToken) -> Result<(), Failure> {
    while !stop.is_cancelled() {
        let next = posts.turn(clock.now()).await;
        rest(clock, or_pause(next.map_err(Failure::from), &stop).await, &stop).await;
    }
    Ok(posts.end().await?)
}

/// A database that is away for a moment is a later turn, not an end.
async fn or_pause(turn: Result<Next, Failure>, stop: &CancellationToken) -> Next {
    match turn {
        Ok(next) => next,
        Err(failure) => {
            tracing::error!("turn failed, next try in {} s: {failure}", PAUSE.as_secs());
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => (),
                () = stop.cancelled() => (),
            }
            Next::Now
        }
    }
}

/// Sleeps until the next turn is needed, or until it is told to stop. Another process may bring something sooner than is known here.
async fn rest(clock: Clock, next: Next, stop: &CancellationToken) {
    let wait = match next {
        Next::Now => return,
        Next::At(at) => at.since(clock.now()).min(POLL),
        Next::WhenWoken => POLL,
    };
    // Both may be dropped at their await.
    tokio::select! {
        () = tokio::time::sleep(wait) => (),
        () = stop.cancelled() => (),
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
            delivery::Error::Template(_) | delivery::Error::Secret(_) | delivery::Error::Post(_) => Self::input(error),
            delivery::Error::LeaseLost { .. } => Self::unavailable(error),
        }
    }
}

impl From<crate::template::Error> for Failure {
    fn from(error: crate::template::Error) -> Self {
        Self::input(error)
    }
}
