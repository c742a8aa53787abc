//! Takes in together what comes at the same time: a commit costs the same for one lead as for a thousand, so requests that wait for one are served by
//! the next one, all at once. A lone request waits for nobody.
//!
//! **Invariant:** whoever asked hears of his records after their commit, and not before. At most one batch is being committed, and at most
//! [`WAITING_MAX`] requests wait; one more waits in its own connection, and so its client does.

use tokio::sync::{mpsc, oneshot, watch};

use crate::app::take_in::{BATCH_MAX, Incoming, Taken, take_in};
use crate::app::{self, Rules};
use crate::clock::Clock;
use crate::store::Store;

/// Requests that wait for the next commit: as many as connections are served at once by default.
const WAITING_MAX: usize = 512;

/// Records of one request.
struct Request {
    batch: Vec<Incoming>,
    answer: oneshot::Sender<Result<Vec<Taken>, app::Error>>,
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
#[error("the records could not be taken in; nothing of them was lost or kept, send them again")]
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
        self.requests.send(Request { batch, answer }).await.map_err(|_| NotTakenIn)?;
        match answered.await {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(error)) => {
                tracing::error!("records not taken in: {error}");
                Err(NotTakenIn)
            }
            Err(_) => Err(NotTakenIn),
        }
    }
}

impl Gatherer {
    /// Commits what comes, batch by batch, until nobody can send any more. `rules` are asked anew for each; `wake` tells timers and workers.
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
            commit(&store, clock, &rules(), &mut requests).await;
            wake.send_replace(());
        }
    }
}

/// Commits the requests as one, or where that fails, each by itself: one that the database cannot take must not take the others with it.
async fn commit(store: &Store, clock: Clock, rules: &Rules, requests: &mut Vec<Request>) {
    let sizes: Vec<usize> = requests.iter().map(|request| request.batch.len()).collect();
    let mut all: Vec<Incoming> = requests.iter_mut().flat_map(|request| std::mem::take(&mut request.batch)).collect();
    let mut answers = requests.drain(..).map(|request| request.answer);
    match take_in(store, clock.now(), rules, &all).await {
        Ok(mut taken) => {
            for (n, answer) in sizes.into_iter().zip(answers) {
                let rest = taken.split_off(n.min(taken.len()));
                // Whoever has gone away finds his records taken in when he asks again.
                answer.send(Ok(std::mem::replace(&mut taken, rest))).ok();
            }
        }
        Err(error) if sizes.len() == 1 => {
            if let Some(answer) = answers.next() {
                answer.send(Err(error)).ok();
            }
        }
        Err(_) => {
            for (n, answer) in sizes.into_iter().zip(answers) {
                let rest = all.split_off(n.min(all.len()));
                let own = std::mem::replace(&mut all, rest);
                answer.send(take_in(store, clock.now(), rules, &own).await).ok();
            }
        }
    }
}
