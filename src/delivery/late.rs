//! Answers that come late: a relay that says 250 after the time for it settles a mail in doubt.
//!
//! **Invariant:** at most [`LISTENERS_MAX`] conversations are listened to, each for at most [`LISTEN_MAX`], and never beyond the moment at which its mail
//! is sent again.
//! **Not here:** what a late answer makes of its delivery (`app::record`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::mail::Connection;
use crate::outbox::Reply;

/// How long is listened beyond `smtp.relays.mail_timeout`: a content filter that needs more than ten minutes for a mail mostly ends within five more.
const LISTEN_MAX: Duration = Duration::from_secs(300);
/// Conversations that are listened to at once: two for each of a worker's usual connections.
const LISTENERS_MAX: usize = 16;

/// Those that listen.
pub(super) struct Late {
    limit: Duration,
    listeners: Mutex<JoinSet<Option<(i64, String, Reply)>>>,
    heard: Mutex<Vec<(i64, String, Reply)>>,
}

impl Late {
    pub(super) fn new(resend_after: Duration) -> Self {
        Self {
            limit: LISTEN_MAX.min(resend_after),
            listeners: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// Listens on for the answer to a delivery's mail.
    pub(super) fn listen(&self, delivery_id: i64, relay: String, connection: Connection) {
        let mut listeners = lock(&self.listeners);
        while listeners.try_join_next().is_some_and(|ended| self.keep(ended)) {}
        if listeners.len() < LISTENERS_MAX && !self.limit.is_zero() {
            let limit = self.limit;
            listeners.spawn(async move { Some((delivery_id, relay, connection.listen(limit).await?)) });
        }
    }

    fn keep(&self, ended: Result<Option<(i64, String, Reply)>, tokio::task::JoinError>) -> bool {
        if let Ok(Some(heard)) = ended {
            lock(&self.heard).push(heard);
        }
        true
    }

    /// Whether an answer is waited for, or was heard and not taken.
    pub(super) fn is_listening(&self) -> bool {
        !lock(&self.listeners).is_empty() || !lock(&self.heard).is_empty()
    }

    /// Takes what was heard: delivery, relay and reply.
    pub(super) fn take(&self) -> Vec<(i64, String, Reply)> {
        let mut listeners = lock(&self.listeners);
        while listeners.try_join_next().is_some_and(|ended| self.keep(ended)) {}
        std::mem::take(&mut *lock(&self.heard))
    }

    /// Puts back what could not be recorded yet.
    pub(super) fn put_back(&self, heard: Vec<(i64, String, Reply)>) {
        lock(&self.heard).extend(heard);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
