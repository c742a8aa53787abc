//! posthorn from inside, beside the binary: use cases and raw SQL on an installation's database, for states that commands alone reach only by accident.
#![allow(dead_code, reason = "verbs wait here for the test that needs them")]

use std::collections::BTreeSet;
use std::time::Duration;

use posthorn::app::claim::{Letter, claim};
use posthorn::app::record::{Tried, TryResult, record};
use posthorn::app::take_in::{Incoming, Origin, Outcome, take_in};
use posthorn::app::{Rules, answer, fire, partners, tick};
use posthorn::clock::wall_now;
use posthorn::lead::record::{Source, parse};
use posthorn::lead::{Lead, LeadId};
use posthorn::outbox::{Reply, Stage};
use posthorn::partner::{Partner, PartnerId};
use posthorn::settings::Settings;
use posthorn::store::Store;
use posthorn::store::workers::insert_worker;
use posthorn::time::Timestamp;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use super::posthorn::Posthorn;

/// How long the test's worker lives: longer than any test.
const LEASE: Duration = Duration::from_secs(3600);

/// The library at work on an installation's database.
pub struct Inside {
    pub runtime: Runtime,
    pub store: Store,
    pub rules: Rules,
    pub now: Timestamp,
    pub worker: i64,
    url: String,
}

impl Inside {
    /// Makes the installation's database and goes to work on it at `now`.
    pub fn new(posthorn: &Posthorn, now: &str) -> Self {
        posthorn.unmigrated().at(now);
        let url = posthorn.database_url();
        let runtime = Runtime::new().expect("threads can be had");
        let (store, worker) = runtime.block_on(async {
            let store = Store::open_and_migrate(&url, 4).await.expect("the database can be used");
            let mut tx = store.begin().await.expect("it can be written");
            // Dead on arrival, and not ended: a live one would forbid `--now`. Outcomes ask who owns a delivery, not whether he lives.
            let worker = insert_worker(&mut tx, "test", wall_now(), Timestamp::from_millis(1), false).await;
            tx.commit().await.expect("it can be written");
            (store, worker.expect("a worker can be entered"))
        });
        Self {
            runtime,
            store,
            rules: Rules::from_settings(&Settings::default()),
            now: now.parse().expect("a literal instant"),
            worker,
            url,
        }
    }

    /// Sets the time for the library and for later commands.
    pub fn at(&mut self, posthorn: &Posthorn, now: &str) -> &mut Self {
        posthorn.at(now);
        self.now = now.parse().expect("a literal instant");
        self
    }

    /// Takes partner records in.
    #[track_caller]
    pub fn partners<I: IntoIterator>(&self, records: I) -> &Self
    where
        Value: From<I::Item>,
    {
        let records: Vec<Partner> = records
            .into_iter()
            .map(|one| Partner::parse(Value::from(one)).expect("a good record"))
            .collect();
        let put = partners::put(&self.store, self.now, &self.rules, &records, None);
        self.runtime.block_on(put).expect("partners are written");
        self
    }

    /// Takes leads in; all of them must be new or newer.
    #[track_caller]
    pub fn leads<I: IntoIterator>(&self, records: I) -> &Self
    where
        Value: From<I::Item>,
    {
        self.take(records, false)
    }

    /// Takes leads in with `--no-notify`.
    #[track_caller]
    pub fn quiet_leads<I: IntoIterator>(&self, records: I) -> &Self
    where
        Value: From<I::Item>,
    {
        self.take(records, true)
    }

    #[track_caller]
    fn take<I: IntoIterator>(&self, records: I, is_quiet: bool) -> &Self
    where
        Value: From<I::Item>,
    {
        let origin = std::sync::Arc::new(Origin {
            source: "leads.ndjson".into(),
            partner: None,
            is_quiet,
        });
        let source = Source {
            partner: None,
            place: "leads.ndjson:1",
            received_at: self.now,
        };
        let records = records.into_iter().map(Value::from).enumerate();
        let batch: Vec<Incoming> = records
            .map(|(line, value)| Incoming {
                origin: std::sync::Arc::clone(&origin),
                line: line as u64 + 1,
                text: value.to_string(),
                parsed: parse(value, &source),
            })
            .collect();
        let taken = take_in(&self.store, self.now, &self.rules, &batch);
        for taken in self.runtime.block_on(taken).expect("leads are taken in") {
            assert!(
                matches!(taken.outcome, Outcome::New | Outcome::Updated | Outcome::Rejected(_)),
                "{taken:?}"
            );
        }
        self
    }

    /// Closes the digests whose fire has come.
    #[track_caller]
    pub fn fire(&self) -> &Self {
        self.runtime
            .block_on(fire::fire(&self.store, self.now, &self.rules))
            .expect("digests close");
        self
    }

    /// Closes a partner's digest early.
    #[track_caller]
    pub fn run_digest(&self, partner: &str) -> &Self {
        let partners = BTreeSet::from([PartnerId::new(partner)]);
        let run = fire::run(&self.store, self.now, &self.rules, &partners, false, None);
        self.runtime.block_on(run).expect("the digest closes");
        self
    }

    /// Writes down what time has made of leads.
    #[track_caller]
    pub fn tick(&self) -> &Self {
        self.runtime
            .block_on(tick::tick(&self.store, self.now, &self.rules))
            .expect("the clock ticks");
        self
    }

    /// Answers a lead.
    #[track_caller]
    pub fn answer(&self, lead: &str, action: &answer::Action) -> Lead {
        let lead = LeadId::new(lead);
        let answered = answer::answer(
            &self.store,
            self.now,
            &self.rules,
            &lead,
            action,
            &posthorn::tag::IfMatch::Unsaid,
            Some("ada"),
        );
        self.runtime.block_on(answered).expect("the lead is answered")
    }

    /// Accepts a lead.
    #[track_caller]
    pub fn accept(&self, lead: &str) -> &Self {
        self.answer(lead, &answer::Action::Accept(answer::Terms::default()));
        self
    }

    /// Claims what is due, and leaves it being sent.
    #[track_caller]
    pub fn claim(&self) -> Vec<Letter> {
        let claimed = claim(&self.store, self.now, &self.rules, self.worker, 1000);
        self.runtime.block_on(claimed).expect("a claim").letters
    }

    /// Sends what is due; whatever is to `bounces` is refused with 550 5.1.1.
    #[track_caller]
    pub fn send(&self, bounces: &[&str]) -> &Self {
        loop {
            let letters = self.claim();
            if letters.is_empty() {
                return self;
            }
            for letter in letters {
                let result = if bounces.contains(&letter.delivery.address.as_str()) {
                    TryResult::Refused(Stage::RcptTo, Reply::new(550, "5.1.1 no such user"))
                } else {
                    TryResult::Accepted(Some(Reply::new(250, "2.0.0 queued as 4F1")))
                };
                self.outcome(letter, result);
            }
        }
    }

    /// Records what came of handing a mail over.
    #[track_caller]
    pub fn outcome(&self, letter: Letter, result: TryResult) -> &Self {
        let tried = [Tried {
            delivery: letter.delivery,
            at: self.now,
            relay: "mx.example:587".into(),
            result,
            jitter: 0.5,
            arrived_at: None,
            templates: None,
            mail: None,
        }];
        let recorded = record(&self.store, self.now, &self.rules, self.worker, &tried);
        assert_eq!(self.runtime.block_on(recorded).expect("it is recorded").n_recorded, 1);
        self
    }

    /// Runs a statement on the database, past everything that guards it; returns how many rows it changed.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> u64 {
        let statement = AssertSqlSafe(statement.to_owned());
        let done = self.runtime.block_on(async {
            if self.url.starts_with("postgres") {
                let mut connection = PgConnection::connect(&self.url).await?;
                let done = sqlx::query(statement).execute(&mut connection).await?.rows_affected();
                connection.close().await.map(|()| done)
            } else {
                let mut connection = SqliteConnection::connect(&self.url).await?;
                let done = sqlx::query(statement).execute(&mut connection).await?.rows_affected();
                connection.close().await.map(|()| done)
            }
        });
        done.expect("the statement runs")
    }
}
