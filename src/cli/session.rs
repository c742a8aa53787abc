//! Opens the database for a command: the right one, of the right schema, in the right mode, at an instant that it may have.

use crate::app::{self, Rules, database, links};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::clock::{Clock, wall_now};
use crate::delivery::signing;
use crate::mail::Signer;
use crate::settings::{Fault, Mode, Transport};
use crate::store::workers::is_embedded_locked;
use crate::store::{self, Missing, Store, sqlite_path};
use crate::time::Timestamp;

/// Bytes of a Message-ID key: as many as the hash has.
const KEY_BYTES: usize = 32;

/// The database as a command works with it.
pub(crate) struct Session {
    /// The lead store.
    pub(crate) store: Store,
    /// What the operator has set.
    pub(crate) rules: Rules,
    /// What the database says of itself.
    pub(crate) identity: database::Identity,
    /// The command's instant.
    pub(crate) now: Timestamp,
}

impl Session {
    /// Opens the database for a command that needs its tables to be there.
    pub(crate) async fn open(ctx: &Context) -> Result<Self, Failure> {
        Self::begin(ctx, Missing::Refuse).await
    }

    /// Opens the database for a command that makes a missing SQLite one: `import`, `partners import`, and those that send.
    pub(crate) async fn open_or_make(ctx: &Context) -> Result<Self, Failure> {
        Self::begin(ctx, Missing::Create).await
    }

    /// Opens the database for a command that sends: one that is not live while the configuration says so is refused.
    pub(crate) async fn open_to_send(ctx: &Context) -> Result<Self, Failure> {
        // Before a database is made or a lease begun: a key that does not sign is found at once, and with its place.
        signer(ctx)?;
        let mut session = Self::open_or_make(ctx).await?;
        let mode = ctx.settings().mode.to_string();
        database::change_mode(&session.store, &mut session.identity, &mode, false).await?;
        links::keep_keys(&session.store, session.now, &fresh_key()?).await?;
        Ok(session)
    }

    async fn begin(ctx: &Context, missing: Missing) -> Result<Self, Failure> {
        let database = &ctx.settings().database;
        let store = Store::open(database.url.expose(), database.max_connections, missing).await?;
        Self::with_store(ctx, store, false).await
    }

    /// Goes on with an open database: gives it an identity, brings it to the configured mode, and checks `--now`.
    pub(crate) async fn with_store(ctx: &Context, store: Store, is_live_confirmed: bool) -> Result<Self, Failure> {
        let settings = ctx.settings();
        let mode = settings.mode.to_string();
        let rules = Rules::from_settings(settings);
        let mut identity = database::identify(&store, &rules, &mode, &fresh_key()?).await?;
        // Away from live at once; to live only where that is confirmed, or where it is told to whoever wants to send.
        if settings.mode != Mode::Live || is_live_confirmed {
            database::change_mode(&store, &mut identity, &mode, is_live_confirmed).await?;
        }
        if let Clock::Fixed(_) = ctx.clock {
            Self::check_now(ctx, &store, &identity).await?;
        }
        Ok(Self {
            store,
            rules,
            identity,
            now: ctx.now(),
        })
    }

    /// Refuses `--now` where mail could reach somebody at an instant that is none (architecture, 11).
    async fn check_now(ctx: &Context, store: &Store, identity: &database::Identity) -> Result<(), Failure> {
        if identity.is_rehearsal {
            return Ok(());
        }
        let settings = ctx.settings();
        let reaches_nobody = settings.mail.transport == Transport::Maildir || settings.mode != Mode::Live;
        if !reaches_nobody {
            return Err(Failure::forbidden(
                "--now is refused: this database is no rehearsal, and its mail reaches people; make one with `posthorn migrate --rehearsal`, \
                 or set mode to redirect or dry, or mail.transport to maildir",
            ));
        }
        // The embedded database's worker holds a file, which goes with its process; a lease in the table may outlive it.
        let is_live = match sqlite_path(settings.database.url.expose()) {
            Some(path) => is_embedded_locked(path)?,
            None => database::has_live_worker(store, wall_now()).await?,
        };
        if is_live {
            return Err(Failure::forbidden(
                "--now is refused while a worker is live on this database; stop `posthorn serve` first",
            ));
        }
        Ok(())
    }
}

/// Reads the key that mails are signed with, if they are to be.
pub(crate) fn signer(ctx: &Context) -> Result<Option<Signer>, Fault> {
    signing::signer(&ctx.settings().dkim).map_err(|wrong| ctx.loaded.fault("dkim.key_file", wrong.to_string()))
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::input(fault)
    }
}

/// Returns a random key for a database that has none yet.
pub(crate) fn fresh_key() -> Result<[u8; KEY_BYTES], Failure> {
    let mut key = [0; KEY_BYTES];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random
        .fill(&mut key)
        .map_err(|_| Failure::unavailable("this system gives no random bytes"))?;
    Ok(key)
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        if error.is_refused() {
            Self::forbidden(error)
        } else {
            Self::unavailable(error)
        }
    }
}

impl From<app::Error> for Failure {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Store(error) => error.into(),
            app::Error::NotFound(_) | app::Error::Refused(_) | app::Error::Stale(_) => Self::forbidden(error),
            app::Error::Input(_) => Self::usage(error),
        }
    }
}
