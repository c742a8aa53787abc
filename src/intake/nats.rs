//! Takes leads from a NATS JetStream stream, by a durable pull consumer: many workers share it, each message is one's.
//!
//! A message is acknowledged when its records are committed, the rejected ones among them. Whatever is not acknowledged comes again, and changes nothing where
//! it had been taken in (`R-INTAKE`). While the database is away nothing is acknowledged, so the stream keeps it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, AckKind, Message, stream};
use async_nats::{Client, ConnectOptions};
use futures_util::{FutureExt, StreamExt};
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::take_in::{BATCH_MAX, Incoming, Origin, Outcome, take_in};
use crate::app::{self, Rules, resource};
use crate::clock::Clock;
use crate::intake::body::{Body, Sent, TEST_EVENT, ThinEvent, recognise};
use crate::intake::file::Item;
use crate::lead::record::{Source, parse};
use crate::partner::PartnerId;
use crate::settings;
use crate::settings::secret;
use crate::store::Store;

/// Messages that are asked for at once. A message is a megabyte at most by NATS' own default.
const MESSAGES_MAX: usize = 200;
/// After this a message that was handed out and not acknowledged is handed out again: longer than a database takes to fail over.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// How long the server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long it waits after the server or the database was away.
const PAUSE: Duration = Duration::from_secs(5);
/// The header that names the partner of marketplace leads, which name none themselves.
const PARTNER: &str = "Posthorn-Partner";
/// The header by which a publisher marks a message that it may send twice.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// Why no leads come from the stream at the moment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached, refuses us, or has no JetStream.
    #[error("{url}: {detail}")]
    Unreachable {
        /// Where it is.
        url: String,
        /// What is wrong.
        detail: String,
    },
    /// A password or token cannot be read.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// The records could not be recorded.
    #[error(transparent)]
    App(#[from] app::Error),
}

/// The stream that leads come from.
pub struct Feed {
    url: String,
    settings: settings::Nats,
}

/// How many messages wait, as the consumer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Not handed out yet.
    pub n_pending: u64,
    /// Handed out, and not acknowledged.
    pub n_unacknowledged: u64,
}

impl Feed {
    /// Returns the stream that the settings name; `None` where they name no server.
    pub fn new(settings: &settings::Nats) -> Option<Self> {
        Some(Self {
            url: settings.url.clone()?,
            settings: settings.clone(),
        })
    }

    /// Takes in what comes until it is told to stop. `rules` are asked anew for each batch; `wake` tells workers.
    pub async fn run(self, store: Store, clock: Clock, rules: impl Fn() -> Arc<Rules>, wake: watch::Sender<()>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let Err(error) = self.listen(&store, clock, &rules, &wake, &stop).await else {
                return;
            };
            tracing::error!("no leads come from NATS, next try in {} s: {error}", PAUSE.as_secs());
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Asks the server how many messages wait, and makes nothing; `None` where the stream or our consumer is not there yet.
    ///
    /// # Errors
    /// It cannot be reached, or refuses us.
    pub async fn waiting(&self) -> Result<Option<Waiting>, Error> {
        let context = jetstream::new(self.connect().await?);
        let stream = match context.get_stream(&self.settings.stream).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => return Ok(None),
            Err(error) => return Err(self.unreachable(error)),
        };
        let Ok(mut consumer) = stream.get_consumer::<pull::Config>(&self.settings.consumer).await else {
            return Ok(None);
        };
        let info = consumer.info().await.map_err(|error| self.unreachable(error))?;
        Ok(Some(Waiting {
            n_pending: info.num_pending,
            n_unacknowledged: info.num_ack_pending as u64,
        }))
    }

    fn unreachable(&self, detail: impl std::fmt::Display) -> Error {
        Error::Unreachable {
            url: self.url.clone(),
            detail: detail.to_string(),
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut options = ConnectOptions::new().name("posthorn").connection_timeout(ANSWER_WITHIN);
        if let (Some(user), Some(file)) = (&self.settings.username, &self.settings.password_file) {
            options = options.user_and_password(user.clone(), secret::read(file)?.expose_secret().to_owned());
        }
        if let Some(file) = &self.settings.token_file {
            options = options.token(secret::read(file)?.expose_secret().to_owned());
        }
        if let Some(file) = &self.settings.ca_file {
            options = options.add_root_certificates(file.clone());
        }
        options.connect(&self.url).await.map_err(|error| self.unreachable(error))
    }

    /// Returns our consumer of the stream; either is made where there is none.
    async fn consumer(&self, client: &Client) -> Result<PullConsumer, Error> {
        let context = jetstream::new(client.clone());
        let settings = &self.settings;
        let stream = context.get_or_create_stream(stream::Config {
            name: settings.stream.clone(),
            subjects: vec![settings.subject.clone()],
            ..stream::Config::default()
        });
        let stream = stream.await.map_err(|error| self.unreachable(error))?;
        let consumer = stream.get_or_create_consumer(
            &settings.consumer,
            pull::Config {
                durable_name: Some(settings.consumer.clone()),
                ack_policy: AckPolicy::Explicit,
                ack_wait: ACK_WAIT,
                filter_subject: settings.subject.clone(),
                ..pull::Config::default()
            },
        );
        consumer.await.map_err(|error| self.unreachable(error))
    }

    /// Takes in what comes, until it is told to stop. What was handed out and is not taken in is given back, so that it comes again at once.
    async fn listen(
        &self,
        store: &Store,
        clock: Clock,
        rules: &impl Fn() -> Arc<Rules>,
        wake: &watch::Sender<()>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let ready = async {
            let client = self.connect().await?;
            Ok::<_, Error>((self.consumer(&client).await?, client))
        };
        let (consumer, client) = tokio::select! {
            ready = ready => ready?,
            () = stop.cancelled() => return Ok(()),
        };
        tracing::info!(
            url = self.url,
            stream = self.settings.stream,
            consumer = self.settings.consumer,
            "taking leads from NATS"
        );
        let messages = consumer.stream().max_messages_per_batch(MESSAGES_MAX).messages().await;
        // Whatever has come while the last batch was committed makes the next one.
        let mut batches = messages.map_err(|error| self.unreachable(error))?.ready_chunks(MESSAGES_MAX);
        let ended = loop {
            let batch = tokio::select! {
                batch = batches.next() => batch,
                () = stop.cancelled() => break Ok(()),
            };
            let Some(batch) = batch else {
                break Err(self.unreachable("the server ended the consumer"));
            };
            let (mut messages, mut fault) = (Vec::with_capacity(batch.len()), None);
            for one in batch {
                match one {
                    Ok(message) => messages.push(message),
                    Err(error) => fault = Some(error),
                }
            }
            let taken = take_in_messages(store, clock, &rules(), &self.settings.stream, messages).await;
            wake.send_replace(());
            // Without it an acknowledgement waits for whatever is sent next; one that is lost costs a message that comes once more.
            timeout(ANSWER_WITHIN, client.flush()).await.ok();
            if let Err(error) = taken {
                break Err(error.into());
            }
            if let Some(fault) = fault {
                break Err(self.unreachable(fault));
            }
        };
        while let Some(Some(rest)) = batches.next().now_or_never() {
            give_back(rest.iter().flatten()).await;
        }
        timeout(ANSWER_WITHIN, client.flush()).await.ok();
        ended
    }
}

/// Has messages handed out again, after a moment.
async fn give_back<'a>(messages: impl Iterator<Item = &'a Message>) {
    for message in messages {
        answer(message, AckKind::Nak(Some(PAUSE))).await;
    }
}

/// A message with what it brings.
struct Brought {
    message: Message,
    records: Vec<Incoming>,
    event: Option<ThinEvent>,
    /// The database cannot take it: it stays in the stream.
    is_left: bool,
}

/// Takes in what messages bring, and acknowledges them. Where the database is away, all are given back.
async fn take_in_messages(store: &Store, clock: Clock, rules: &Rules, stream: &str, batch: Vec<Message>) -> Result<(), app::Error> {
    let mut brought: Vec<Brought> = batch.into_iter().map(|message| read(clock, stream, message)).collect();
    let taken = take_in_brought(store, clock, rules, &mut brought).await;
    for one in &brought {
        let how = match &taken {
            Err(_) => AckKind::Nak(Some(PAUSE)),
            Ok(()) if one.is_left => AckKind::Nak(Some(ACK_WAIT)),
            Ok(()) => AckKind::Ack,
        };
        answer(&one.message, how).await;
    }
    taken
}

/// Takes in what messages bring. Where one of them holds what the database cannot take, each is tried by itself, so that it takes no other with it.
async fn take_in_brought(store: &Store, clock: Clock, rules: &Rules, brought: &mut [Brought]) -> Result<(), app::Error> {
    let together: Vec<Incoming> = brought.iter().flat_map(|one| one.records.clone()).collect();
    match commit(store, clock, rules, &together).await {
        Ok(()) => {}
        Err(app::Error::Store(error)) if error.is_of_content() => {
            for one in brought.iter_mut() {
                match commit(store, clock, rules, &one.records).await {
                    Err(app::Error::Store(error)) if error.is_of_content() => {
                        tracing::error!("a message of {} is left in the stream: {error}", one.message.subject);
                        one.is_left = true;
                    }
                    other => other?,
                }
            }
        }
        Err(error) => return Err(error),
    }
    let events = brought.iter().filter_map(|one| one.event.as_ref());
    for event in events.filter(|event| event.name != TEST_EVENT) {
        resource::note(store, clock.now(), &event.uri, &event.name).await?;
    }
    Ok(())
}

async fn commit(store: &Store, clock: Clock, rules: &Rules, records: &[Incoming]) -> Result<(), app::Error> {
    for some in records.chunks(BATCH_MAX) {
        let taken = take_in(store, clock.now(), rules, some).await?;
        let n_rejected = taken.iter().filter(|one| matches!(one.outcome, Outcome::Rejected(_))).count();
        if n_rejected > 0 {
            // Not why: a fault quotes the record, and that is the customer's.
            tracing::warn!(n_rejected, "records from NATS were rejected: `posthorn rejected list` has them");
        }
    }
    Ok(())
}

/// Answers a message. Where the server does not hear of it, it hands the message out again.
async fn answer(message: &Message, how: AckKind) {
    if let Err(error) = message.ack_with(how).await {
        tracing::warn!("a message was not acknowledged, and comes once more: {error}");
    }
}

fn read(clock: Clock, stream: &str, message: Message) -> Brought {
    let sequence = message.info().map_or(0, |info| info.stream_sequence);
    let header = |name: &str| message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned());
    let message_id = header(MESSAGE_ID);
    let origin = Arc::new(Origin {
        source: format!("NATS {stream} {sequence}"),
        partner: header(PARTNER).map(PartnerId::new),
        is_quiet: false,
    });
    let item = Item::from_json(1, &message.payload);
    let text = item.text.clone();
    let recognised = item.content.and_then(recognise);
    let (sent, event) = match recognised {
        Ok(Body::One(sent)) => (vec![sent], None),
        Ok(Body::Many(all)) => (all, None),
        Ok(Body::Event(event)) => (Vec::new(), Some(event)),
        Err(fault) => {
            let item = Item {
                line: 1,
                text,
                content: Err(fault),
            };
            (vec![Sent { item, event: None }], None)
        }
    };
    let records = sent.into_iter().map(|Sent { item, event }| {
        // What a publisher may send twice bears its mark; otherwise its place in the stream is what tells two alike apart.
        let mark = event.or_else(|| message_id.clone()).unwrap_or_else(|| origin.source.clone());
        let place = format!("{mark}:{}", item.line);
        let source = Source {
            partner: origin.partner.as_ref(),
            place: &place,
            received_at: clock.now(),
        };
        let parsed = item.content.map_err(|fault| vec![fault]).and_then(|value| parse(value, &source));
        Incoming {
            origin: Arc::clone(&origin),
            line: item.line,
            text: item.text,
            parsed,
        }
    });
    let records = records.collect();
    Brought {
        message,
        records,
        event,
        is_left: false,
    }
}
