//! Asks the DNS for many domains, a few at a time, and remembers for a while what it said.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;

use crate::app::verify::Mail;
use crate::dns::Resolver;
use crate::dns::answers::Answers;
use crate::time::Timestamp;
use crate::verify::judge::{Verdict, judge};

/// Domains that are asked for at once: resolvers are somebody else's, and one packet each is what they are made for.
const AT_ONCE: usize = 8;
/// Where so many domains and no other got no answer, the resolver is away, and the rest of the batch is not asked for.
const UNANSWERED_MAX: usize = 8;
/// How long a verdict is remembered: as long as most MX records may be.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Verdicts that are remembered, of some 100 bytes each.
const KEPT_MAX: usize = 10_000;

/// Asks, and remembers.
pub(super) struct Desk {
    resolver: Resolver,
    kept: HashMap<String, (Timestamp, Mail)>,
}

impl Desk {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            resolver: Resolver::patient(servers),
            kept: HashMap::new(),
        }
    }

    /// Says of each domain whether it takes mail. One that is missing in the answer was not asked for, since nobody answers.
    pub(super) async fn ask(&mut self, now: Timestamp, domains: BTreeSet<&str>) -> HashMap<String, Mail> {
        let mut answers = HashMap::new();
        let mut wanted = Vec::new();
        for domain in domains {
            match self.kept.get(domain).filter(|(at, _)| now.since(*at) < KEPT_FOR) {
                Some((_, mail)) => _ = answers.insert(domain.to_owned(), mail.clone()),
                None => wanted.push(domain.to_owned()),
            }
        }
        let (n_answered, n_unanswered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (resolver, answered, unanswered) = (&self.resolver, &n_answered, &n_unanswered);
        let asked = iter(wanted).map(|domain| async move {
            if answered.load(Ordering::Relaxed) == 0 && unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX {
                return None;
            }
            let mail = look_up(resolver, &domain).await;
            let count = if mail == Mail::Unanswered { unanswered } else { answered };
            count.fetch_add(1, Ordering::Relaxed);
            Some((domain, mail))
        });
        let asked: Vec<Option<(String, Mail)>> = asked.buffer_unordered(AT_ONCE).collect().await;
        let asked: Vec<(String, Mail)> = asked.into_iter().flatten().collect();
        if self.kept.len() + asked.len() > KEPT_MAX {
            self.kept.clear();
        }
        for (domain, mail) in asked {
            if mail != Mail::Unanswered {
                self.kept.insert(domain.clone(), (now, mail.clone()));
            }
            answers.insert(domain, mail);
        }
        answers
    }
}

async fn look_up(resolver: &Resolver, domain: &str) -> Mail {
    let mut known = Answers::default();
    loop {
        let question = match judge(domain, &known) {
            Ok(Verdict::Taken) => return Mail::Taken,
            Ok(Verdict::NotTaken(why)) => return Mail::NotTaken(why),
            Ok(Verdict::Unanswered) => return Mail::Unanswered,
            Err(question) => question,
        };
        let answer = resolver.ask(&question).await;
        known.learn(question, answer);
    }
}
