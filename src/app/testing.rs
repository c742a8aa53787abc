//! A small portal for tests of the use cases, on both engines: its verbs are the operator's, its instants literals.

#[path = "../../tests/it/support/records.rs"]
pub(crate) mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::app::answer::{Action, Terms, answer};
use crate::app::audit::audit;
use crate::app::claim::{Letter, claim};
use crate::app::erase::{Wish, erase};
use crate::app::fire::{Run, fire, run};
use crate::app::partners::put;
use crate::app::record::{Tried, TryResult, record, recover};
use crate::app::take_in::{Incoming, Origin, Outcome, Taken, take_in};
use crate::app::tick::tick;
use crate::app::{Error, Rules};
use crate::lead::record::{Source, parse};
use crate::lead::{Lead, LeadId};
use crate::outbox::delivery::InDoubt;
use crate::outbox::retry::Retry;
use crate::outbox::{Reply, Stage};
use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::policy::Policy;
use crate::store::digests::{Digest, list_digests};
use crate::store::history::list_of_lead;
use crate::store::items::{Item, list_items};
use crate::store::leads::{find_lead, list_of_partner};
use crate::store::{Store, notices, testing};
use crate::tag::IfMatch;
use crate::time::Timestamp;

/// The worker of these tests.
pub(crate) const OWNER: i64 = 1;

/// A portal with its database.
#[derive(Clone)]
pub(crate) struct Portal {
    pub(crate) store: Store,
    pub(crate) rules: Rules,
}

/// Runs a test on both engines, with the default rules and a lead desk.
#[track_caller]
pub(crate) fn both(test: impl AsyncFn(Portal)) {
    testing::both(async |store| test(Portal::new(store)).await);
}

/// Reads a literal instant.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Reads a literal address.
pub(crate) fn address(text: &str) -> EmailAddress {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Reads a literal zone.
pub(crate) fn zone(text: &str) -> crate::partner::Zone {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The default rules, with a lead desk.
pub(crate) fn rules() -> Rules {
    Rules {
        policy: Policy::default(),
        portal_url: "https://portal.example".into(),
        lead_url: "https://portal.example/leads/{id}".into(),
        programme_links: std::collections::BTreeMap::new(),
        lead_desk: Some(address("desk@portal.example")),
        posts_items: false,
        in_doubt: InDoubt::Resend,
        retry: Retry::default(),
        public_url: Some("https://mail.portal.example".into()),
        answer_links: true,
        keep_bounces: std::time::Duration::from_secs(30 * 24 * 3600),
        keep_sent: std::time::Duration::ZERO,
        relays: Vec::new(),
        asks_dns: true,
        spam_domains: crate::lead::spam::SpamDomains::default(),
    }
}

impl Portal {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, rules: rules() }
    }

    /// Puts partner records.
    pub(crate) async fn partners<T: Into<Value>>(&self, now: &str, partners: impl IntoIterator<Item = T>) {
        let partners: Vec<Partner> = partners
            .into_iter()
            .map(|partner| Partner::parse(partner.into()).expect("a described partner has no faults"))
            .collect();
        put(&self.store, at(now), &self.rules, &partners, None)
            .await
            .expect("partners are written");
    }

    /// Takes records in, as one batch.
    pub(crate) async fn import<T: Into<Value>>(&self, now: &str, records: impl IntoIterator<Item = T>) -> Vec<Outcome> {
        self.import_as(now, false, records)
            .await
            .into_iter()
            .map(|taken| taken.outcome)
            .collect()
    }

    /// Takes records in of which nobody is told.
    pub(crate) async fn import_quiet<T: Into<Value>>(&self, now: &str, records: impl IntoIterator<Item = T>) -> Vec<Outcome> {
        self.import_as(now, true, records)
            .await
            .into_iter()
            .map(|taken| taken.outcome)
            .collect()
    }

    async fn import_as<T: Into<Value>>(&self, now: &str, is_quiet: bool, records: impl IntoIterator<Item = T>) -> Vec<Taken> {
        let origin = Arc::new(Origin {
            source: "leads.ndjson".into(),
            partner: Some(PartnerId::new("contoso")),
            is_quiet,
        });
        let batch = incoming(at(now), &origin, records.into_iter().map(Into::into));
        take_in(&self.store, at(now), &self.rules, &batch)
            .await
            .expect("records are taken in")
    }

    /// Takes `n` ordinary leads of `contoso` in, as `L01` and so on, starting from `from`.
    pub(crate) async fn import_leads(&self, now: &str, from: usize, n: usize) {
        let leads = (from..from + n).map(|number| records::lead(&format!("L{number:02}")).created(now));
        let outcomes = self.import(now, leads).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::New), "{outcomes:?}");
    }

    /// Lets time move leads, until nothing is due.
    pub(crate) async fn tick(&self, now: &str) -> usize {
        let mut n_moved = 0;
        loop {
            match tick(&self.store, at(now), &self.rules).await.expect("time passes") {
                0 => return n_moved,
                n => n_moved += n,
            }
        }
    }

    /// Closes the digests whose fire has come.
    pub(crate) async fn fire(&self, now: &str) -> usize {
        fire(&self.store, at(now), &self.rules).await.expect("digests are closed")
    }

    /// Runs a partner's digest by hand.
    pub(crate) async fn run(&self, now: &str, partner: &str, dry_run: bool) -> Run {
        let ids = BTreeSet::from([PartnerId::new(partner)]);
        run(&self.store, at(now), &self.rules, &ids, dry_run, None)
            .await
            .expect("a digest is run")
            .value
            .remove(0)
    }

    /// Claims all that is due.
    pub(crate) async fn claim(&self, now: &str) -> Vec<Letter> {
        let mut letters = Vec::new();
        loop {
            let claimed = claim(&self.store, at(now), &self.rules, OWNER, 100).await.expect("a claim");
            if claimed.n_touched == 0 {
                return letters;
            }
            letters.extend(claimed.letters);
        }
    }

    /// Does all that is due at `now`, with a relay that takes everything: what a worker does. Returns the mails, sorted.
    pub(crate) async fn work(&self, now: &str) -> Vec<String> {
        self.tick(now).await;
        self.fire(now).await;
        self.send(now).await
    }

    /// Sends what is due, with a relay that takes everything. Returns the mails as `kind to address: leads`, sorted.
    pub(crate) async fn send(&self, now: &str) -> Vec<String> {
        let letters = self.claim(now).await;
        let tried: Vec<Tried> = letters.iter().map(|letter| tried(now, letter, accepted(letter))).collect();
        record(&self.store, at(now), &self.rules, OWNER, &tried)
            .await
            .expect("outcomes are recorded");
        let mut mails: Vec<String> = letters.iter().filter(|letter| !letter.leads.is_empty()).map(shown).collect();
        mails.sort();
        mails
    }

    /// Records what came of one letter.
    pub(crate) async fn record(&self, now: &str, letter: &Letter, result: TryResult) {
        let recorded = record(&self.store, at(now), &self.rules, OWNER, &[tried(now, letter, result)])
            .await
            .expect("it is recorded");
        assert_eq!(recorded.n_recorded, 1);
    }

    /// The relay says that there is no such mailbox.
    pub(crate) async fn bounce(&self, now: &str, letter: &Letter) {
        self.record(now, letter, refused(550, "5.1.1 no such user")).await;
    }

    pub(crate) async fn recover(&self, now: &str) -> usize {
        recover(&self.store, at(now), at(now), &self.rules).await.expect("a recovery")
    }

    pub(crate) async fn answer(&self, now: &str, id: &str, action: Action) -> Result<Lead, Error> {
        answer(&self.store, at(now), &self.rules, &LeadId::new(id), &action, &IfMatch::Unsaid, None).await
    }

    /// Erases a lead on request.
    pub(crate) async fn erase(&self, now: &str, id: &str) -> Lead {
        erase(&self.store, at(now), &self.rules, &LeadId::new(id), Wish::default())
            .await
            .expect("it can be erased")
    }

    /// Closes the books, and says what fits nowhere: nothing.
    pub(crate) async fn audit_is_clean(&self, now: &str, why: &str) {
        let audit = audit(&self.store, at(now), at(now)).await.expect("the books are closed");
        assert_eq!(audit.n_orphans, 0, "{why}: {:#?}", audit.orphans);
    }

    pub(crate) async fn accept(&self, now: &str, id: &str) {
        self.answer(now, id, Action::Accept(Terms::default()))
            .await
            .expect("it can be accepted");
    }

    pub(crate) async fn lead(&self, id: &str) -> Lead {
        let mut tx = self.store.read().await.expect("a transaction");
        find_lead(&mut tx, &LeadId::new(id))
            .await
            .expect("a read")
            .unwrap_or_else(|| panic!("there is no lead {id}"))
    }

    pub(crate) async fn leads_of(&self, partner: &str) -> Vec<Lead> {
        let mut tx = self.store.read().await.expect("a transaction");
        list_of_partner(&mut tx, &PartnerId::new(partner), 0, 100_000)
            .await
            .expect("a read")
    }

    /// How each lead of a partner is told: `L01 single 2026-03-02 #1`.
    pub(crate) async fn channels(&self, partner: &str) -> Vec<String> {
        self.leads_of(partner).await.iter().map(channel).collect()
    }

    /// The digests of a partner, the oldest first.
    pub(crate) async fn digests(&self, partner: &str) -> Vec<Digest> {
        let mut tx = self.store.read().await.expect("a transaction");
        let mut digests = list_digests(&mut tx, Some(&PartnerId::new(partner)), i64::MAX, 1000)
            .await
            .expect("a read");
        digests.reverse();
        digests
    }

    /// The items of a partner by subject.
    pub(crate) async fn items(&self, partner: &str) -> BTreeMap<String, Item> {
        let mut tx = self.store.read().await.expect("a transaction");
        let items = list_items(&mut tx, &PartnerId::new(partner), (i64::MAX, i64::MAX), 1000)
            .await
            .expect("a read");
        items.into_iter().map(|item| (item.subject.clone(), item)).collect()
    }

    /// The notices by kind and state: `lead done` → 10.
    pub(crate) async fn notices(&self) -> BTreeMap<String, i64> {
        let mut tx = self.store.read().await.expect("a transaction");
        let counts = notices::count_by_state(&mut tx).await.expect("a read");
        counts.into_iter().map(|(kind, state, n)| (format!("{kind} {state}"), n)).collect()
    }

    /// What was decided about a lead: `R-CHANNEL taken in as …`.
    pub(crate) async fn story(&self, id: &str) -> Vec<String> {
        let mut tx = self.store.read().await.expect("a transaction");
        let entries = list_of_lead(&mut tx, &LeadId::new(id)).await.expect("a read");
        entries.into_iter().map(|entry| format!("{} {}", entry.rule, entry.event)).collect()
    }
}

/// Reads records as the way in does.
pub(crate) fn incoming(now: Timestamp, origin: &Arc<Origin>, records: impl IntoIterator<Item = Value>) -> Vec<Incoming> {
    let numbered = records.into_iter().zip(1_u64..);
    numbered
        .map(|(record, line)| {
            let place = format!("{}:{line}", origin.source);
            let source = Source {
                partner: origin.partner.as_ref(),
                place: &place,
                received_at: now,
            };
            Incoming {
                origin: Arc::clone(origin),
                line,
                text: record.to_string(),
                parsed: parse(record, &source),
            }
        })
        .collect()
}

/// An outcome of handing a letter over at `now`.
pub(crate) fn tried(now: &str, letter: &Letter, result: TryResult) -> Tried {
    Tried {
        delivery: letter.delivery.clone(),
        at: at(now),
        relay: "relay.example:25".into(),
        result,
        arrived_at: None,
        templates: None,
        mail: None,
        jitter: 0.5,
    }
}

fn accepted(letter: &Letter) -> TryResult {
    match letter.leads.is_empty() {
        true => TryResult::NothingLeft("nothing is left to say".into()),
        false => TryResult::Accepted(None),
    }
}

/// The relay refuses the recipient.
pub(crate) fn refused(code: u16, text: &str) -> TryResult {
    TryResult::Refused(Stage::RcptTo, Reply::new(code, text))
}

/// Returns a letter as `kind to address: leads`.
pub(crate) fn shown(letter: &Letter) -> String {
    let leads: Vec<&str> = letter.leads.iter().map(|lead| lead.id.as_str()).collect();
    format!("{} to {}: {}", letter.delivery.kind, letter.delivery.address, leads.join(" "))
}

/// Returns how a lead is told: `L01 single 2026-03-02 #1`.
pub(crate) fn channel(lead: &Lead) -> String {
    let channel = lead.channel.map_or("-", crate::policy::channel::Channel::as_str);
    match (lead.day, lead.day_number) {
        (Some(day), Some(number)) => format!("{} {channel} {day} #{number}", lead.id),
        _ => format!("{} {channel}", lead.id),
    }
}
