//! `serve`: takes in what comes over HTTP, mails what is due and moves what time moves, until it is stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::audit::audit;
use crate::app::{self, Rules, database, links};
use crate::cli::args::setup::Serve;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::reload::TemplateWatch;
use crate::cli::session::{Session, fresh_key};
use crate::clock::{Clock, Next, wall_now};
use crate::delivery;
use crate::delivery::bounce::Inbox;
use crate::delivery::compose::Composer;
use crate::delivery::lease::Lease;
use crate::delivery::post::Posts;
use crate::delivery::worker::{GRACE_AFTER_ERROR, Worker};
use crate::http::auth::Doors;
use crate::http::listen::{Limits, Listener};
use crate::http::{self, Current, Site};
use crate::intake::fetch::Fetches;
use crate::intake::gather::gather;
use crate::intake::nats::Feed;
use crate::settings::{self, Settings};
use crate::store::Store;
use crate::verify::Verifier;
use crate::{telemetry, timers};

/// How long `serve` sleeps at most: so soon it sees what another process has brought, by six look-ups of an index.
const POLL: Duration = Duration::from_millis(500);
/// When `serve` first closes the books: not while everything else begins.
const FIRST_AUDIT: Duration = Duration::from_secs(60);
/// How often it does then. A million leads take some twenty seconds of one reader.
const AUDIT_EVERY: Duration = Duration::from_secs(3600);
/// How often `serve` looks into the Maildir that bounces come to, which take minutes on their way, and whether templates have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often it forgets what was kept for long enough, which is days.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// How long a loop waits after the database was away.
const PAUSE: Duration = Duration::from_secs(2);

/// `serve`
pub(crate) async fn serve(_args: &Serve, ctx: &Context) -> Result<Exit, Failure> {
    if let Clock::Fixed(_) = ctx.clock {
        return Err(Failure::usage("`serve` runs on the real clock; `work --until-idle` takes --now"));
    }
    let signals = Signals::listen()?;
    let settings = ctx.settings();
    // A port that somebody else has is found before anything is begun.
    let listener = open_port(settings).await?;
    let public = open_public_port(settings).await?;
    let session = Session::open_to_send(ctx).await?;
    let lease = Lease::begin(&session.store, settings.database.url.expose(), &settings.worker).await?;
    let key = session.identity.message_id_key.clone();
    let templates = TemplateWatch::new(settings.template_folders());
    let current = Current {
        rules: Arc::new(session.rules.clone()),
        composer: Arc::new(Composer::new(settings, &key)?),
        doors: Arc::new(Doors::new(&settings.http)),
        template_fault: None,
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
        &stop.child_token(),
    )?;
    let (epochs, epoch) = watch::channel(lease.epoch);
    let posts = Posts::new(&session.store, &current.rules, settings, lease.epoch)?;
    let fetches = Fetches::new(&session.store, settings).map_err(Failure::input)?;
    let (reloaded, current) = watch::channel(current);
    let (wake, woken) = watch::channel(());
    let pace = Pace {
        clock: ctx.clock,
        stop: stop.clone(),
        woken,
    };
    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    tasks.spawn(run_wakeups(session.store.clone(), pace.clone(), wake.clone()));
    tasks.spawn(run_audits(session.store.clone(), pace.clone()));
    let (intake, gatherer) = gather();
    let site = Site {
        store: session.store.clone(),
        clock: ctx.clock,
        current: current.clone(),
        settings: Arc::new(settings.clone()),
        wake: wake.clone(),
        intake,
        streams: Arc::new(Semaphore::new(http::STREAMS_READ_MAX)),
        stop: stop.clone(),
    };
    if let Some(feed) = Feed::new(&settings.nats) {
        let (store, clock, rules) = (session.store.clone(), ctx.clock, current.clone());
        let (wake, stop) = (wake.clone(), stop.clone());
        tasks.spawn(async move {
            feed.run(store, clock, move || Arc::clone(&rules.borrow().rules), wake, stop).await;
            Ok(())
        });
    }
    if let Some((listener, address)) = public {
        let (router, limits, stop) = (http::public::router(site.clone()), limits(settings), stop.clone());
        tracing::info!(address = %address, "listening to the public");
        tasks.spawn(async move {
            listener.serve(router, limits, stop).await;
            Ok(())
        });
    }
    if let Some((listener, address)) = listener {
        let rules = current.clone();
        // It ends when the last handler that may bring something has.
        let gathering = gatherer.run(
            session.store.clone(),
            ctx.clock,
            move || Arc::clone(&rules.borrow().rules),
            wake.clone(),
        );
        tasks.spawn(async move {
            gathering.await;
            Ok(())
        });
        let (router, limits, stop) = (http::router(site), limits(settings), stop.clone());
        tracing::info!(address = %address, tls = settings.http.certificate_file.is_some(), "listening");
        tasks.spawn(async move {
            listener.serve(router, limits, stop).await;
            Ok(())
        });
    }
    tracing::info!(mode = %settings.mode, epoch = lease.epoch, database = settings.database.url.masked(), "serving");
    _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    tasks.spawn(run_timers(session.store.clone(), pace.unwoken(), current.clone()));
    tasks.spawn(run_worker(
        session.store.clone(),
        pace.clone(),
        worker,
        lease,
        epochs,
        current.clone(),
        settings.clone(),
    ));
    tasks.spawn(run_fetches(pace.clone(), fetches, current.clone()));
    tasks.spawn(run_verifier(
        pace.clone(),
        Verifier::new(&session.store, settings, stop.clone()),
        current.clone(),
    ));
    tasks.spawn(run_bounces(
        session.store.clone(),
        pace.clone(),
        settings.bounces.maildir.as_deref().map(Inbox::new),
        current.clone(),
        wake.clone(),
    ));
    tasks.spawn(run_posts(pace, posts, epoch));
    let config = ctx.loaded.file().map(PathBuf::from);
    let ended = watch_signals(
        signals,
        &session.store,
        ctx.clock,
        settings,
        config,
        key,
        templates,
        &reloaded,
        &mut tasks,
    )
    .await;
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
    mut templates: TemplateWatch,
    reloaded: &watch::Sender<Current>,
    tasks: &mut JoinSet<Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut watchdog = tokio::time::interval(watchdog_interval());
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Each of these may be dropped at its await: nothing is lost with it.
        tokio::select! {
            _ = signals.term.recv() => return Ok(()),
            _ = signals.int.recv() => return Ok(()),
            _ = signals.hup.recv() => {
                if let Some(loaded) = reload(store, clock, started_with, config.as_deref(), &key, reloaded).await {
                    templates = loaded;
                }
            }
            // Only the tick is dropped: a look that was begun goes on to its end.
            _ = look.tick() => templates.look(&key, reloaded).await,
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
) -> Option<TemplateWatch> {
    let settings = match settings::load(config) {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            tracing::error!("configuration not reloaded, the old one stays in force: {error}");
            return None;
        }
    };
    if settings.mode != started_with.mode
        || settings.database.url != started_with.database.url
        || settings.mail.transport != started_with.mail.transport
        || settings.worker.in_doubt != started_with.worker.in_doubt
    {
        tracing::error!("configuration not reloaded: mode, database, transport and worker.in_doubt need a restart");
        return None;
    }
    let templates = TemplateWatch::new(settings.template_folders());
    let composer = match Composer::new(&settings, key) {
        Ok(composer) => Arc::new(composer),
        Err(error) => {
            tracing::error!("configuration not reloaded, the old one stays in force: {error}");
            return None;
        }
    };
    let rules = Arc::new(Rules::from_settings(&settings));
    if let Err(error) = database::apply_settings(store, clock.now(), &rules).await {
        tracing::error!("configuration not reloaded: {error}");
        return None;
    }
    let doors = Arc::new(Doors::new(&settings.http));
    reloaded.send_replace(Current {
        rules,
        composer,
        doors,
        template_fault: None,
    });
    telemetry::templates_reloaded(None);
    let waiting = needs_restart(started_with, &settings);
    if waiting.is_empty() {
        tracing::info!("configuration reloaded");
    } else {
        tracing::warn!("configuration reloaded, but for {}: a restart takes them over", waiting.join(", "));
    }
    Some(templates)
}

/// Names the settings that have changed and are read at the start only.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let changed = [
        ("smtp.relays", old.smtp.relays != new.smtp.relays),
        ("smtp.rate", old.smtp.rate != new.smtp.rate),
        ("smtp.domains", old.smtp.domains != new.smtp.domains),
        ("smtp.notify_success", old.smtp.notify_success != new.smtp.notify_success),
        ("http.listen", old.http.listen != new.http.listen),
        ("http.public_listen", old.http.public_listen != new.http.public_listen),
        ("http.certificate_file", old.http.certificate_file != new.http.certificate_file),
        ("http.key_file", old.http.key_file != new.http.key_file),
        ("http.max_connections", old.http.max_connections != new.http.max_connections),
        ("http.patience", old.http.patience != new.http.patience),
        ("http.ready_within", old.http.ready_within != new.http.ready_within),
        ("bounces.maildir", old.bounces.maildir != new.bounces.maildir),
        ("verify.nameserver", old.verify.nameserver != new.verify.nameserver),
        ("portal.resource_url", old.portal.resource_url != new.portal.resource_url),
        (
            "portal.resource_token_file",
            old.portal.resource_token_file != new.portal.resource_token_file,
        ),
    ];
    changed
        .into_iter()
        .filter(|(_, is_changed)| *is_changed)
        .map(|(key, _)| key)
        .collect()
}

/// Opens `http.listen`.
async fn open_port(settings: &Settings) -> Result<Option<(Listener, std::net::SocketAddr)>, Failure> {
    let Some(at) = settings.http.listen else { return Ok(None) };
    open(at, tls(settings)?, "http.listen").await.map(Some)
}

/// Opens `http.public_listen`. TLS is the business of whatever stands before it: the world reaches it by another name and port.
async fn open_public_port(settings: &Settings) -> Result<Option<(Listener, std::net::SocketAddr)>, Failure> {
    let Some(at) = settings.http.public_listen else { return Ok(None) };
    open(at, None, "http.public_listen").await.map(Some)
}

async fn open(
    at: std::net::SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    key: &str,
) -> Result<(Listener, std::net::SocketAddr), Failure> {
    let opened = Listener::open(at, tls).await.and_then(|listener| {
        let address = listener.address()?;
        Ok((listener, address))
    });
    opened.map_err(|error| {
        Failure::unavailable(format_args!(
            "cannot listen on {at}: {error}; {key} names another port, or \"\" for none"
        ))
    })
}

/// Reads the certificate of `http.listen`.
fn tls(settings: &Settings) -> Result<Option<Arc<rustls::ServerConfig>>, Failure> {
    let (Some(certificate), Some(key)) = (&settings.http.certificate_file, &settings.http.key_file) else {
        return Ok(None);
    };
    let wrong = |path: &std::path::Path, why: &dyn std::fmt::Display| Failure::input(format_args!("cannot use {}: {why}", path.display()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"it holds no certificate in PEM"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, private);
    let mut config = config.map_err(|error| wrong(key, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        connections: settings.http.max_connections,
        patience: settings.http.patience,
        grace: settings.worker.drain,
    }
}

/// When a loop goes on.
#[derive(Clone)]
struct Pace {
    clock: Clock,
    stop: CancellationToken,
    /// Something has come in by this process.
    woken: watch::Receiver<()>,
}

impl Pace {
    /// Goes on by time alone: for what a lead that comes in need not wait for.
    fn unwoken(&self) -> Self {
        Self {
            woken: watch::channel(()).1,
            ..self.clone()
        }
    }

    /// A database that is away for a moment is a later turn, not an end.
    async fn or_pause(&self, turn: Result<Next, Failure>) -> Next {
        match turn {
            Ok(next) => next,
            Err(failure) => {
                tracing::error!("turn failed, next try in {} s: {failure}", PAUSE.as_secs());
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => (),
                    () = self.stop.cancelled() => (),
                }
                Next::Now
            }
        }
    }

    /// Sleeps until the next turn is needed, or until it is told to stop. Another process may bring something sooner than is known here.
    async fn rest(&mut self, next: Next) {
        let wait = match next {
            Next::Now => return,
            Next::At(at) => at.since(self.clock.now()).min(POLL),
            Next::WhenWoken => POLL,
        };
        // Each may be dropped at its await.
        tokio::select! {
            () = tokio::time::sleep(wait) => (),
            // Nobody listens any more, or nobody ever did: then only time goes on.
            Ok(()) = self.woken.changed() => (),
            () = self.stop.cancelled() => (),
        }
    }
}

async fn run_timers(store: Store, mut pace: Pace, current: watch::Receiver<Current>) -> Result<(), Failure> {
    let mut keep_keys_at = pace.clock.now();
    while !pace.stop.is_cancelled() {
        let rules = Arc::clone(&current.borrow().rules);
        // A server runs for longer than a key signs. Where that cannot be written now, it is at the next turn: the old key goes on signing.
        if pace.clock.now() >= keep_keys_at {
            match links::keep_keys(&store, pace.clock.now(), &fresh_key()?).await {
                Ok(at) => keep_keys_at = at,
                Err(error) => tracing::error!("link key not kept, next try at once: {error}"),
            }
        }
        let next = timers::turn(&store, pace.clock.now(), &rules).await;
        let next = pace.or_pause(next.map_err(Failure::from)).await;
        pace.rest(next).await;
    }
    Ok(())
}

/// Works until it is told to stop. Where the lease runs out (the database was away for longer, or the machine stood still), another worker takes
/// the former one's place as soon as it can; what listens goes on meanwhile.
async fn run_worker(
    store: Store,
    mut pace: Pace,
    mut worker: Worker,
    mut lease: Lease,
    epochs: watch::Sender<i64>,
    mut current: watch::Receiver<Current>,
    settings: Settings,
) -> Result<(), Failure> {
    let drain = settings.worker.drain;
    loop {
        let ended = keep_working(&store, &mut pace, &mut worker, &mut lease, &mut current).await;
        if let Err(lost) = &ended {
            tracing::error!("the worker ended, another one takes its place when the database is there: {lost}");
            // What is out is written down then, if nobody has taken it over; nothing more is handed over under a lease that is past.
            wait_for(&store, &pace).await;
        }
        let grace = if ended.is_ok() { drain } else { drain.min(GRACE_AFTER_ERROR) };
        let drained = worker.drain(&mut lease, grace).await;
        if pace.stop.is_cancelled() {
            let given_back = lease.end(&store).await;
            return Ok(ended.and(drained).and(given_back)?);
        }
        worker = loop {
            match begin_again(&store, &pace, &mut lease, &current, &settings).await {
                Ok(worker) => break worker,
                Err(_) if pace.stop.is_cancelled() => return Ok(ended?),
                again => _ = pace.or_pause(again.map(|_| Next::Now)).await,
            }
        };
        epochs.send_replace(lease.epoch);
        tracing::info!(epoch = lease.epoch, "working again");
    }
}

/// Takes turns until it is told to stop.
async fn keep_working(
    store: &Store,
    pace: &mut Pace,
    worker: &mut Worker,
    lease: &mut Lease,
    current: &mut watch::Receiver<Current>,
) -> Result<(), delivery::Error> {
    while !pace.stop.is_cancelled() {
        lease.keep(store).await?;
        if current.has_changed().unwrap_or(false) {
            let now = current.borrow_and_update().clone();
            worker.reload(&now.rules, &now.composer);
        }
        let next = worker.turn(pace.clock.now(), &mut pace.woken).await;
        let next = pace.or_pause(next.map_err(Failure::from)).await;
        pace.rest(next).await;
    }
    Ok(())
}

/// Waits until the database can be written, or until it is told to stop.
async fn wait_for(store: &Store, pace: &Pace) {
    while !pace.stop.is_cancelled() {
        let written = async { store.begin().await?.rollback().await };
        let written: Result<(), crate::store::Error> = written.await;
        if written.is_ok() {
            return;
        }
        // Both may be dropped at their await.
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => (),
            () = pace.stop.cancelled() => (),
        }
    }
}

/// Sets a worker up under a new lease.
async fn begin_again(
    store: &Store,
    pace: &Pace,
    lease: &mut Lease,
    current: &watch::Receiver<Current>,
    settings: &Settings,
) -> Result<Worker, Failure> {
    lease.begin_again(store, settings.worker.in_doubt).await?;
    let Current { rules, composer, .. } = current.borrow().clone();
    let stop = pace.stop.child_token();
    Ok(Worker::new(store, &rules, &composer, settings, pace.clock, lease, &stop)?)
}

/// Hears of work that other processes bring. While it cannot, everything is only seen a little later.
async fn run_wakeups(store: Store, pace: Pace, wake: watch::Sender<()>) -> Result<(), Failure> {
    while !pace.stop.is_cancelled() {
        let listening = async {
            let mut wakeups = store.wakeups().await?;
            loop {
                wakeups.next().await?;
                wake.send_replace(());
            }
        };
        // All may be dropped at their await: what is missed while nobody listens is seen by the next look.
        let ended: Result<(), crate::store::Error> = tokio::select! {
            ended = listening => ended,
            () = pace.stop.cancelled() => return Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!("work of other processes is not heard of for a while: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => (),
            () = pace.stop.cancelled() => (),
        }
    }
    Ok(())
}

/// Closes the books now and then: what got lost is found by a metric before anybody asks.
async fn run_audits(store: Store, pace: Pace) -> Result<(), Failure> {
    let mut wait = FIRST_AUDIT;
    loop {
        // Both may be dropped at their await.
        tokio::select! {
            () = tokio::time::sleep(wait) => (),
            () = pace.stop.cancelled() => return Ok(()),
        }
        wait = AUDIT_EVERY;
        let began = std::time::Instant::now();
        let now = pace.clock.now();
        tokio::select! {
            // It only reads.
            audited = audit(&store, now, wall_now()) => match audited {
                Ok(audit) => telemetry::audited(audit.n_orphans, now, began.elapsed()),
                Err(error) => tracing::warn!("not audited: {error}"),
            },
            () = pace.stop.cancelled() => return Ok(()),
        }
    }
}

async fn run_fetches(mut pace: Pace, mut fetches: Fetches, current: watch::Receiver<Current>) -> Result<(), Failure> {
    while !pace.stop.is_cancelled() {
        let rules = Arc::clone(&current.borrow().rules);
        let next = fetches.turn(pace.clock.now(), &rules).await;
        let next = pace.or_pause(next.map_err(Failure::from)).await;
        pace.rest(next).await;
    }
    Ok(())
}

/// Looks at customers' e-mail addresses. A loop of its own: nothing else waits for the DNS.
async fn run_verifier(mut pace: Pace, mut verifier: Verifier, current: watch::Receiver<Current>) -> Result<(), Failure> {
    while !pace.stop.is_cancelled() {
        let rules = Arc::clone(&current.borrow().rules);
        let next = verifier.turn(pace.clock.now(), &rules).await;
        let next = pace.or_pause(next.map_err(Failure::from)).await;
        pace.rest(next).await;
    }
    Ok(())
}

/// Looks into the Maildir that bounces come to, and now and then forgets what was kept for long enough.
async fn run_bounces(
    store: Store,
    pace: Pace,
    mut inbox: Option<Inbox>,
    current: watch::Receiver<Current>,
    wake: watch::Sender<()>,
) -> Result<(), Failure> {
    let mut forget_at = pace.clock.now();
    while !pace.stop.is_cancelled() {
        let now = pace.clock.now();
        let Current { rules, composer, .. } = current.borrow().clone();
        if now >= forget_at {
            match app::bounce::forget(&store, now, &rules).await {
                Ok(()) => forget_at = now.plus(FORGET_EVERY),
                Err(error) => tracing::warn!("bounces not forgotten, next try in {} s: {error}", LOOK_EVERY.as_secs()),
            }
        }
        let taken = match &mut inbox {
            Some(inbox) => inbox.turn(&store, now, &rules, composer.marks()).await,
            None => Ok(0),
        };
        match taken {
            Ok(0) => {}
            // There may be more.
            Ok(_) => {
                wake.send_replace(());
                continue;
            }
            Err(error) => tracing::error!("bounces not taken in, next try in {} s: {error}", LOOK_EVERY.as_secs()),
        }
        // Both may be dropped at their await.
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => (),
            () = pace.stop.cancelled() => (),
        }
    }
    Ok(())
}

async fn run_posts(mut pace: Pace, mut posts: Posts, epoch: watch::Receiver<i64>) -> Result<(), Failure> {
    while !pace.stop.is_cancelled() {
        posts.go_on_under(*epoch.borrow());
        let next = posts.turn(pace.clock.now()).await;
        let next = pace.or_pause(next.map_err(Failure::from)).await;
        pace.rest(next).await;
    }
    Ok(posts.end().await?)
}
