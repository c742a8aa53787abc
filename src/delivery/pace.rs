//! The paces of a worker: `smtp.rate`, that of each relay, and those of recipients' domains. They run on the real clock, under `--now` too: a relay
//! counts the mails that it gets.
//!
//! A mail that exceeds its domain's pace goes back to the queue with a time of its own, and holds up nobody; one that exceeds a pace of all waits where
//! it is, as all the others do.
//!
//! **Not here:** the arithmetic (`outbox::pace`), limits by the hour and day (`delivery::relays`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::wall_now;
use crate::outbox::pace::{Bucket, Queue, Rate};
use crate::settings::Smtp;
use crate::time::Timestamp;

/// How many mails of a rate are claimed at once, in seconds' worth: what came later and is more urgent waits behind them.
const CLAIMED_SECONDS: f64 = 2.0;
/// Domains that are remembered under `*`; when there are more, those that nobody uses are forgotten.
const DOMAINS_MAX: usize = 10_000;

/// What limits how fast mails go, whichever relay they take.
pub(super) struct Paces {
    all: Option<Mutex<Bucket>>,
    rate: Option<Rate>,
    configured: HashMap<String, Pace>,
    any: Option<Pace>,
    queues: Arc<Queues>,
}

/// By domain.
type Queues = Mutex<HashMap<String, Queue>>;

#[derive(Clone, Copy)]
struct Pace {
    rate: Option<Rate>,
    n_at_once: Option<u32>,
}

/// A mail under way; dropped, it leaves room for another one of its domain.
pub(super) struct Pass {
    queue: Option<(Arc<Queues>, String)>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some((queues, domain)) = &self.queue
            && let Some(queue) = lock(queues).get_mut(domain)
        {
            queue.leave();
        }
    }
}

impl Paces {
    pub(super) fn new(now: Timestamp, smtp: &Smtp) -> Self {
        let mut configured = HashMap::new();
        for one in &smtp.domains {
            let domain = idna::domain_to_ascii(&one.domain).unwrap_or_else(|_| one.domain.to_lowercase());
            let pace = Pace {
                rate: one.rate,
                n_at_once: one.connections,
            };
            configured.insert(domain, pace);
        }
        let any = configured.remove("*");
        Self {
            all: smtp.rate.map(|rate| Mutex::new(Bucket::new(now, rate))),
            rate: smtp.rate,
            configured,
            any,
            queues: Arc::default(),
        }
    }

    /// Whether anything is limited.
    pub(super) fn is_set(&self) -> bool {
        self.all.is_some() || !self.configured.is_empty() || self.any.is_some()
    }

    /// Returns how many mails are worth claiming at once under `smtp.rate`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is at most 100,000 a second, and not negative"
    )]
    pub(super) fn n_at_once(&self) -> Option<usize> {
        self.rate.map(|rate| (rate.per_second() * CLAIMED_SECONDS).ceil() as usize)
    }

    /// Lets a mail to a domain go.
    ///
    /// # Errors
    /// How long it has to wait, and why.
    pub(super) fn enter(&self, now: Timestamp, domain: &str) -> Result<Pass, (Duration, String)> {
        let Some(pace) = self.configured.get(domain).copied().or(self.any) else {
            return Ok(Pass { queue: None });
        };
        let mut queues = lock(&self.queues);
        if queues.len() >= DOMAINS_MAX && !queues.contains_key(domain) {
            queues.retain(|_, queue| !queue.is_idle(now));
        }
        let queue = queues
            .entry(domain.to_owned())
            .or_insert_with(|| Queue::new(now, pace.rate, pace.n_at_once));
        match queue.enter(now) {
            Ok(()) => Ok(Pass {
                queue: Some((Arc::clone(&self.queues), domain.to_owned())),
            }),
            Err(until) => Err((until.since(now), format!("the pace of {domain} (smtp.domains)"))),
        }
    }

    /// Waits for a mail's share of `smtp.rate`; tells whether it came before the worker stops.
    pub(super) async fn wait(&self, stop: &CancellationToken) -> bool {
        match &self.all {
            Some(bucket) => wait_for(bucket, stop).await,
            None => true,
        }
    }
}

/// Waits for a mail's share of a rate; tells whether it came before the worker stops.
pub(super) async fn wait_for(bucket: &Mutex<Bucket>, stop: &CancellationToken) -> bool {
    loop {
        let Err(wait) = lock(bucket).take(wall_now()) else { return true };
        // Each may be dropped at its await.
        tokio::select! {
            () = tokio::time::sleep(wait) => (),
            () = stop.cancelled() => return false,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
