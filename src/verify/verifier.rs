//! Takes leads that are due, asks for their domains, and has written down what was found.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use crate::app::verify::{BATCH_MAX, Due, Verified, claim, record};
use crate::app::{self, Rules};
use crate::clock::Next;
use crate::dns::default_servers;
use crate::settings::Settings;
use crate::store::Store;
use crate::time::Timestamp;
use crate::verify::ask::Desk;

/// Looks at leads that are due.
pub struct Verifier {
    store: Store,
    desk: Desk,
    stop: CancellationToken,
}

impl Verifier {
    /// Sets it up; it asks `verify.nameserver`, else the system's. Once `stop` says so, it asks no more, and puts back what it has taken.
    pub fn new(store: &Store, settings: &Settings, stop: CancellationToken) -> Self {
        let servers = settings.verify.nameserver.map_or_else(default_servers, |server| vec![server]);
        Self {
            store: store.clone(),
            desk: Desk::new(servers),
            stop,
        }
    }

    /// Looks at one batch of what is due, and says when it is next needed.
    ///
    /// # Errors
    /// The database cannot be read or written; what was taken is due again after a while.
    pub async fn turn(&mut self, now: Timestamp, rules: &Rules) -> Result<Next, app::Error> {
        match self.look(now, rules, BATCH_MAX).await? {
            Ok(_) => Ok(Next::Now),
            Err(next) => Ok(next.map_or(Next::WhenWoken, Next::At)),
        }
    }

    /// Looks at up to `limit` leads that are due, and says what came of them; where none is due, when the next one will be.
    ///
    /// # Errors
    /// As [`Verifier::turn`].
    pub async fn look(&mut self, now: Timestamp, rules: &Rules, limit: i64) -> Result<Result<Verified, Option<Timestamp>>, app::Error> {
        let (due, next) = claim(&self.store, now, rules, limit.min(BATCH_MAX)).await?;
        if due.is_empty() {
            return Ok(Err(next));
        }
        let domains: BTreeSet<&str> = due.iter().filter_map(Due::mail_domain).filter(|_| rules.asks_dns).collect();
        // Questions may be dropped at any await: whoever has no answer asks again later.
        let answers = tokio::select! {
            answers = self.desk.ask(now, domains) => answers,
            () = self.stop.cancelled() => Default::default(),
        };
        record(&self.store, now, rules, &due, &answers).await.map(Ok)
    }
}
