//! Posts the newest state of action items to the Action Center, one post an item at a time (`R-ACTION`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::action_center::{PostFailed, Poster};
use crate::app::Rules;
use crate::app::feed::ShownItem;
use crate::clock::{Next, wall_now};
use crate::delivery::Error;
use crate::settings::{Mode, Settings, secret};
use crate::store::items::{Item, claim_items, next_post, record_post_failed, record_posted, release_items};
use crate::store::{Store, retried};
use crate::time::Timestamp;

/// Posts under way at once: an Action Center is a web application, not a relay.
const POSTS_MAX: i64 = 8;
/// How long a worker waits when all that is due is with others.
const CONTENDED_WAIT: Duration = Duration::from_millis(250);
/// How long a post may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The Action Center's half of a worker process.
pub struct Posts {
    store: Store,
    rules: Arc<Rules>,
    poster: Option<Arc<Poster>>,
    epoch: i64,
}

impl Posts {
    /// Sets it up. Without `action_center.url`, or in a mode other than live, nothing is posted.
    ///
    /// # Errors
    /// The secret cannot be read, or the URL or secret is wrong.
    pub fn new(store: &Store, rules: &Arc<Rules>, settings: &Settings, epoch: i64) -> Result<Self, Error> {
        let poster = match &settings.action_center.url {
            Some(url) if settings.mode == Mode::Live => {
                let secret = match &settings.action_center.secret_file {
                    Some(path) => Some(secret::read(path)?),
                    None => None,
                };
                Some(Arc::new(Poster::new(url, secret.as_ref(), TIMEOUT)?))
            }
            Some(_) | None => None,
        };
        Ok(Self {
            store: store.clone(),
            rules: Arc::clone(rules),
            poster,
            epoch,
        })
    }

    /// Goes on under another lease.
    pub fn go_on_under(&mut self, epoch: i64) {
        self.epoch = epoch;
    }

    /// Posts a few items whose newest state is due.
    ///
    /// # Errors
    /// The database cannot be read or written; what was posted is posted again, with the same webhook id.
    pub async fn turn(&mut self, now: Timestamp) -> Result<Next, Error> {
        let Some(poster) = &self.poster else { return Ok(Next::WhenWoken) };
        let mut tx = self.store.begin().await?;
        let items = claim_items(&mut tx, now, self.epoch, wall_now(), POSTS_MAX).await?;
        if items.is_empty() {
            let next = next_post(&mut tx).await?;
            // Due and not claimed: another worker posts it, or did when it died.
            let soon = |at| if at <= now { now.plus(CONTENDED_WAIT) } else { at };
            return Ok(next.map_or(Next::WhenWoken, |at| Next::At(soon(at))));
        }
        tx.commit().await?;
        let mut under_way = JoinSet::new();
        for item in items {
            let poster = Arc::clone(poster);
            under_way.spawn(async move {
                // Signed by the real clock, under --now too: a receiver takes no post that is older than minutes.
                let sent = poster.post(&webhook_id(&item), wall_now(), &body(now, &item)).await;
                (item, sent)
            });
        }
        let mut done = Vec::new();
        while let Some(one) = under_way.join_next().await {
            done.push(one.expect("a post's task neither panics nor is aborted"));
        }
        retried(|| record(&self.store, now, &self.rules, self.epoch, &done)).await?;
        Ok(Next::Now)
    }

    /// Gives back what was claimed and not posted.
    ///
    /// # Errors
    /// The database cannot be written; then others take over when the lease is over.
    pub async fn end(self) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        release_items(&mut tx, self.epoch).await?;
        Ok(tx.commit().await?)
    }
}

async fn record(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    epoch: i64,
    done: &[(Item, Result<(), PostFailed>)],
) -> Result<(), crate::store::Error> {
    let mut tx = store.begin().await?;
    for (item, sent) in done {
        match sent {
            Ok(()) => record_posted(&mut tx, item.seq, item.version, epoch).await?,
            Err(failed) => {
                tracing::warn!(
                    item_id = item.seq,
                    status = failed.status,
                    "action item not posted: {}",
                    failed.detail
                );
                let attempt = u32::try_from(item.post_attempt).unwrap_or(u32::MAX).saturating_add(1);
                // A refusal is tried again, too, but rarely: it is mended by people.
                let wait = if failed.is_transient {
                    rules.retry.backoff(attempt, 0.5)
                } else {
                    rules.retry.wait_max
                };
                record_post_failed(&mut tx, item.seq, now.plus(wait), epoch, item.version).await?;
            }
        }
    }
    tx.commit().await
}

/// Names one version of one item: a receiver that gets it twice knows it by this.
fn webhook_id(item: &Item) -> String {
    format!("item-{}-{}", item.seq, item.version)
}

fn body(now: Timestamp, item: &Item) -> Vec<u8> {
    json!({ "type": "action_item.changed", "timestamp": now, "data": ShownItem::from(item) })
        .to_string()
        .into_bytes()
}
