//! Takes in together what comes at the same time: a commit costs the same for one lead as for a thousand, so requests that wait for one are served by
//! the next one, all at once. A lone request waits for nobody.
//!
//! **Invariant:** whoever asked hears of his records after their commit, and not before. At most one batch is being committed, and at most
//! `WAITING_MAX` requests wait; one more waits in its own connection, and so its client does.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::app::take_in::{BATCH_MAX, Incoming, Taken, take_in};
use crate::app::{self, Rules};
use crate::clock::Clock;
use crate::store::Store;

/// How long a request waits for its commit: longer than a database takes to fail over a connection, shorter than a client's patience.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Requests that wait for the next commit: as many as connections are served at once by default.
const WAITING_MAX: usize = 512;

/// Records of one request.
struct Request {
    batch: Vec<Incoming>,
    answer: oneshot::Sender<Result<Vec<Taken>, NotTakenIn>>,
}

/// The way in for requests.
#[derive(Clone)]
pub struct Intake {
    requests: mpsc::Sender<Request>,
}

/// The other end: commits what has come.
pub struct Gatherer {
    requests: mpsc::Receiver<Request>,
}

/// The database could not record it, or this process is about to end; the log says which.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the records could not be taken in now; send them again: what has an id or came with an Idempotency-Key is not taken in twice")]
pub struct NotTakenIn;

/// Makes both ends.
pub fn gather() -> (Intake, Gatherer) {
    let (sender, requests) = mpsc::channel(WAITING_MAX);
    (Intake { requests: sender }, Gatherer { requests })
}

impl Intake {
    /// Takes records in, a thousand at most, and returns what became of each once it is committed.
    ///
    /// # Errors
    /// They could not be recorded.
    pub async fn take_in(&self, batch: Vec<Incoming>) -> Result<Vec<Taken>, NotTakenIn> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.requests.send(Request { batch, answer }).await.ok()?;
            answered.await.ok()
        };
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Some(Ok(taken))) => Ok(taken),
            Ok(Some(Err(_)) | None) | Err(_) => Err(NotTakenIn),
        }
    }
}

impl Gatherer {
    /// Commits what comes, batch by batch, until nobody can send any more. `rules` are asked anew for each; `wake` tells workers.
    pub async fn run(mut self, store: Store, clock: Clock, rules: impl Fn() -> std::sync::Arc<Rules>, wake: watch::Sender<()>) {
        let mut requests = Vec::new();
        loop {
            let Some(first) = self.requests.recv().await else { return };
            let mut n_records = first.batch.len();
            requests.push(first);
            while n_records < BATCH_MAX {
                let Ok(next) = self.requests.try_recv() else { break };
                n_records += next.batch.len();
                requests.push(next);
            }
            // Whoever has gone away asks again.
            requests.retain(|request| !request.answer.is_closed());
            if !requests.is_empty() {
                commit(&store, clock, &rules(), &mut requests).await;
                wake.send_replace(());
            }
        }
    }
}

/// Commits the requests as one. Where one of them holds what the database cannot take, each is tried by itself, so that it takes no other with it; where
/// the database is away, all are told so at once.
async fn commit(store: &Store, clock: Clock, rules: &Rules, requests: &mut Vec<Request>) {
    let sizes: Vec<usize> = requests.iter().map(|request| request.batch.len()).collect();
    let mut all: Vec<Incoming> = requests.iter_mut().flat_map(|request| std::mem::take(&mut request.batch)).collect();
    let answers = requests.drain(..).map(|request| request.answer);
    match take_in(store, clock.now(), rules, &all).await {
        Ok(mut taken) => {
            for (n, answer) in sizes.into_iter().zip(answers) {
                let rest = taken.split_off(n.min(taken.len()));
                // Whoever has gone away finds his records taken in when he asks again.
                answer.send(Ok(std::mem::replace(&mut taken, rest))).ok();
            }
        }
        Err(app::Error::Store(error)) if error.is_of_content() && sizes.len() > 1 => {
            for (n, answer) in sizes.into_iter().zip(answers) {
                let rest = all.split_off(n.min(all.len()));
                let own = std::mem::replace(&mut all, rest);
                let taken = take_in(store, clock.now(), rules, &own).await;
                answer.send(taken.map_err(|error| not_taken_in(&error))).ok();
            }
        }
        Err(error) => {
            let told = not_taken_in(&error);
            for answer in answers {
                answer.send(Err(told)).ok();
            }
        }
    }
}

/// What went wrong inside is for the log.
fn not_taken_in(error: &app::Error) -> NotTakenIn {
    tracing::error!("records not taken in: {error}");
    NotTakenIn
}
