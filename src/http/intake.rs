//! Leads in: one, a list, NDJSON of any length, CloudEvents, the portal's webhook. Each record is answered after its commit.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::request_key::{Begun, Key, begin, finish, give_back};
use crate::app::resource;
use crate::app::take_in::{BATCH_MAX, Incoming, Origin, Outcome, Taken};
use crate::fault::Fault;
use crate::http::extract::{Json, Path};
use crate::http::problem::{At, Problem};
use crate::http::{BODY_BYTES_MAX, Caller, REQUEST_TIME_MAX, Site};
use crate::intake::batch::incoming;
use crate::intake::body::{self, Sent, recognise};
use crate::intake::file::Item;
use crate::intake::gather::NotTakenIn;
use crate::intake::lines::Lines;
use crate::lead::LeadId;
use crate::partner::PartnerId;
use crate::policy::action::deep_link;
use crate::settings::Scope;

/// Bytes of a stream that make a batch: two hundred clients that send at once hold 50 MB at most, and ordinarily a tenth of that.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// How long a stream may pause within a batch: longer than a network needs, shorter than anybody waits for an answer.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// Characters of an Idempotency-Key at most.
const KEY_CHARS_MAX: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(post_leads))
        .routes(routes!(post_marketplace_leads))
}

/// What became of a record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RecordAnswer {
    /// Line of the NDJSON, or place in the list, counted from 1.
    line: u64,
    /// The lead, where the record could be read.
    id: Option<LeadId>,
    /// `new`, `updated`, `unchanged` or `rejected`.
    #[schema(example = "new")]
    outcome: &'static str,
    /// Every fault of a rejected record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<At>,
}

/// What became of the records of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListAnswer {
    /// In the order of the list.
    value: Vec<RecordAnswer>,
    /// How many are new leads.
    new: usize,
    /// How many brought newer content of leads that were here.
    updated: usize,
    /// How many were not newer than what was here.
    unchanged: usize,
    /// How many could not be taken in; they are kept under `/v1/rejected`.
    rejected: usize,
}

/// What became of one record, or of each of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum OneOrList {
    One(RecordAnswer),
    List(ListAnswer),
}

impl From<Taken> for RecordAnswer {
    fn from(taken: Taken) -> Self {
        let errors = match &taken.outcome {
            Outcome::Rejected(faults) => faults.iter().map(At::from).collect(),
            Outcome::New | Outcome::Updated | Outcome::Unchanged => Vec::new(),
        };
        Self {
            line: taken.line,
            id: taken.id,
            outcome: match taken.outcome {
                Outcome::New => "new",
                Outcome::Updated => "updated",
                Outcome::Unchanged => "unchanged",
                Outcome::Rejected(_) => "rejected",
            },
            errors,
        }
    }
}

/// Takes leads in.
///
/// One record (a referral resource, or a CloudEvent around one) is answered by its status. A list (of 1,000 records at most), the list envelope and a CloudEvents batch are
/// answered record by record, NDJSON line by line, each after its commit; a record that is wrong keeps no other from coming in, and is kept under
/// `/v1/rejected`. The portal's webhook event (`EventName`, `ResourceUri`) is answered 202: the resource that it names is fetched.
#[utoipa::path(
    post,
    path = "/leads",
    operation_id = "postLeads",
    tag = "leads",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key is done once, and answered the same, for 24 hours (JSON bodies)")),
    request_body(
        description = "Leads, in any of these forms; a record may have 1 MiB",
        content((Value = "application/json"), (Value = "application/cloudevents+json"), (Value = "application/cloudevents-batch+json"), (String = "application/x-ndjson"))
    ),
    responses(
        (status = 200, description = "Updated or unchanged; of a list, what became of each record", content((OneOrList = "application/json"), (String = "application/x-ndjson"))),
        (status = 201, description = "A new lead", body = RecordAnswer, headers(("Location" = String, description = "Where it is"))),
        (status = 202, description = "A webhook event, whose resource is fetched", body = Value),
        (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database is away; send it again: what has an id or a key is not taken in twice", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn post_leads(State(site): State<Site>, caller: Caller, request: Request) -> Result<Response, Problem> {
    caller.may(&[Scope::Intake])?;
    let limit = caller.partner().cloned();
    take(site, caller, None, limit, request).await
}

/// Takes marketplace leads of a partner in.
///
/// As `POST /v1/leads`, for records in the marketplace's form, which name no partner.
#[utoipa::path(
    post,
    path = "/partners/{id}/marketplace-leads",
    operation_id = "postMarketplaceLeads",
    tag = "leads",
    params(
        ("id" = PartnerId, Path, description = "The partner that receives them"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the same body the same leads, whenever it is sent")
    ),
    request_body(description = "Marketplace leads", content((Value = "application/json"), (Value = "application/cloudevents+json"), (Value = "application/cloudevents-batch+json"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, description = "Updated or unchanged; of a list, what became of each record", content((OneOrList = "application/json"), (String = "application/x-ndjson"))),
        (status = 201, description = "A new lead", body = RecordAnswer, headers(("Location" = String, description = "Where it is"))),
        (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database is away; send it again: what has an id or a key is not taken in twice", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn post_marketplace_leads(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(&[Scope::Intake])?;
    let partner = PartnerId::new(id);
    if caller.is_stranger_to(&partner) {
        return Err(Problem::not_found("there is no such partner for this token"));
    }
    take(site, caller, Some(partner.clone()), Some(partner), request).await
}

/// One delivery of records, and by whom.
struct Delivery {
    site: Site,
    /// Where its records come from.
    source: String,
    /// The partner that the path names.
    partner: Option<PartnerId>,
    /// The only partner whose leads may come.
    limit: Option<PartnerId>,
}

async fn take(
    site: Site,
    caller: Caller,
    partner: Option<PartnerId>,
    limit: Option<PartnerId>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = idempotency_key(&parts.headers)?;
    if parts
        .headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
    {
        return Err(Problem::wrong_type("a compressed body is not read here; send it as it is"));
    }
    let delivery = Delivery {
        source: match (&partner, &key) {
            // Records have ids of their own; the same wrong record sent again is the same rejected one.
            (None, _) => format!("http {}", caller.token_name()),
            // Where a marketplace lead stood is a part of who it is: the caller's key, else this receipt.
            (Some(_), Some(key)) => format!("http {} {key}", caller.token_name()),
            (Some(_), None) => format!("http {} {}", caller.token_name(), receipt()),
        },
        partner,
        limit,
        site,
    };
    match essence(&parts.headers).as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            take_stream(delivery, body).await
        }
        "application/json" | "application/cloudevents+json" | "application/cloudevents-batch+json" | "" => {
            let read = timeout(REQUEST_TIME_MAX, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
            let bytes = read
                .map_err(|_| Problem::unreadable("the body took too long"))?
                .map_err(|_| Problem::too_large("a body has a mebibyte at most; post many leads as application/x-ndjson"))?;
            let Some(key) = key else {
                return take_json(&delivery, &parts.headers, &bytes).await;
            };
            let fingerprint = fingerprint(parts.uri.path(), caller.partner(), &bytes);
            // In a task of its own: a client that goes away must not leave its key half-done.
            let done = tokio::spawn(async move {
                let key = Key {
                    caller: caller.token_name(),
                    key: &key,
                    fingerprint: &fingerprint,
                };
                once(&delivery, key, &parts.headers, &bytes).await
            });
            done.await.unwrap_or_else(|_| Err(Problem::internal()))
        }
        other => Err(Problem::wrong_type(format_args!(
            "{other} is not read here; send application/json, application/x-ndjson or application/cloudevents+json"
        ))),
    }
}

/// Does what the key stands for, unless it was done (draft-ietf-httpapi-idempotency-key-header).
async fn once(delivery: &Delivery, key: Key<'_>, headers: &HeaderMap, bytes: &[u8]) -> Result<Response, Problem> {
    let store = &delivery.site.store;
    match begin(store, delivery.site.now(), key).await? {
        Begun::New => {}
        Begun::Answered { status, answer } => return Ok(replayed(status, answer)),
        Begun::UnderWay => {
            let told = "the first request with this Idempotency-Key is still under way";
            return Err(Problem::in_the_way(told).to_be_tried_again());
        }
        Begun::Different => {
            return Err(Problem::wrong_content(
                "this Idempotency-Key came with another body or path before; a new request needs a new key",
            ));
        }
    }
    let response = match take_json(delivery, headers, bytes).await {
        Ok(response) => response,
        Err(problem) if problem.status().is_server_error() => {
            // Where the database is away, the key is free again when its time is over.
            give_back(store, key).await.ok();
            return Err(problem);
        }
        Err(problem) => problem.into_response(),
    };
    let (parts, body) = response.into_parts();
    let answer = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&answer).into_owned();
    finish(store, key, parts.status.as_u16(), &text).await?;
    Ok(Response::from_parts(parts, Body::from(answer)))
}

fn replayed(status: u16, answer: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let kind = if status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
    let told: Value = serde_json::from_str(&answer).unwrap_or_default();
    let mut response = (status, headers, answer).into_response();
    if status == StatusCode::CREATED {
        locate(&mut response, told["id"].as_str());
    }
    response
}

async fn take_json(delivery: &Delivery, headers: &HeaderMap, bytes: &[u8]) -> Result<Response, Problem> {
    let item = Item::from_json(1, bytes);
    let value = item
        .content
        .map_err(|wrong| Problem::unreadable(format_args!("the body is not {}", wrong.expected)))?;
    if body::n_records(&value) > BATCH_MAX {
        return Err(Problem::too_large(format_args!(
            "a list has {BATCH_MAX} records at most; post more as application/x-ndjson, of which any number is taken"
        )));
    }
    let recognised = match binary_attributes(headers) {
        Some(attributes) => body::binary_event(&attributes, value).map(body::Body::One),
        None => recognise(value),
    };
    match recognised.map_err(|fault| Problem::faults(&[fault]))? {
        body::Body::One(sent) => {
            let taken = delivery.take_in(vec![sent]).await?;
            let taken = taken.into_iter().next().ok_or_else(Problem::internal)?;
            one_answer(taken)
        }
        body::Body::Many(all) => many_answer(delivery, all).await,
        body::Body::Event(event) => delivery.note(event).await,
    }
}

fn one_answer(taken: Taken) -> Result<Response, Problem> {
    if let Outcome::Rejected(faults) = &taken.outcome {
        return Err(Problem::faults(faults));
    }
    let id = taken.id.clone();
    let is_new = taken.outcome == Outcome::New;
    let mut response = Json(OneOrList::One(taken.into())).into_response();
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
        locate(&mut response, id.as_ref().map(LeadId::as_str));
    }
    Ok(response)
}

/// Says where a new lead is.
fn locate(response: &mut Response, id: Option<&str>) {
    let place = id.map(|id| deep_link("/v1/leads/{id}", id));
    if let Some(place) = place.and_then(|place| HeaderValue::try_from(place).ok()) {
        response.headers_mut().insert(header::LOCATION, place);
    }
}

async fn many_answer(delivery: &Delivery, all: Vec<Sent>) -> Result<Response, Problem> {
    let taken = delivery.take_in(all).await?;
    let value: Vec<RecordAnswer> = taken.into_iter().map(RecordAnswer::from).collect();
    let count = |outcome: &str| value.iter().filter(|one: &&RecordAnswer| one.outcome == outcome).count();
    let (new, updated, unchanged, rejected) = (count("new"), count("updated"), count("unchanged"), count("rejected"));
    Ok(Json(OneOrList::List(ListAnswer {
        value,
        new,
        updated,
        unchanged,
        rejected,
    }))
    .into_response())
}

impl Delivery {
    /// Takes records in and answers each, in their order.
    async fn take_in(&self, batch: Vec<Sent>) -> Result<Vec<Taken>, Problem> {
        let origin = Arc::new(self.origin(self.source.clone()));
        let batch = batch.into_iter().map(|sent| match sent.event {
            None => self.read(sent.item, &origin),
            Some(event) => self.read(sent.item, &Arc::new(self.origin(format!("event {event}")))),
        });
        let batch: Vec<Incoming> = batch.collect();
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.site.intake.take_in(batch).await?)
    }

    fn origin(&self, source: String) -> Origin {
        Origin {
            source,
            partner: self.partner.clone(),
            is_quiet: false,
        }
    }

    /// Reads a record, and refuses one of a partner that the caller may not speak for.
    fn read(&self, item: Item, origin: &Arc<Origin>) -> Incoming {
        let mut read = incoming(self.site.now(), item, origin);
        if let (Some(limit), Ok(record)) = (&self.limit, &read.parsed)
            && record.partner_id != *limit
        {
            let found = Value::from(record.partner_id.as_str());
            read.parsed = Err(vec![Fault::wrong(
                "organizationId",
                &found,
                format!("{limit}, the only partner here"),
            )]);
        }
        read
    }

    /// Notes that something has happened to a resource.
    async fn note(&self, event: body::ThinEvent) -> Result<Response, Problem> {
        // What it names may be anybody's lead, and is fetched with the portal's own token.
        if self.limit.is_some() || self.partner.is_some() {
            return Err(Problem::forbidden());
        }
        if event.name == body::TEST_EVENT {
            return Ok(Json(serde_json::json!({ "event": event.name, "outcome": "received" })).into_response());
        }
        // Noted by its address, and fetched once for any number of events.
        resource::note(&self.site.store, self.site.now(), &event.uri, &event.name).await?;
        let outcome = if self.site.settings.portal.resource_url.is_some() {
            "is fetched"
        } else {
            "known, not fetched"
        };
        let answer = serde_json::json!({ "event": event.name, "resource": event.uri, "outcome": outcome });
        Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
    }
}

impl From<NotTakenIn> for Problem {
    fn from(error: NotTakenIn) -> Self {
        Self::unavailable(error)
    }
}

/// An NDJSON that is being read and answered.
struct Answering {
    delivery: Delivery,
    body: axum::body::BodyDataStream,
    lines: Lines,
    items: Vec<Item>,
    is_at_end: bool,
    /// Held while records of it are in memory.
    permit: Option<OwnedSemaphorePermit>,
}

async fn take_stream(delivery: Delivery, body: Body) -> Result<Response, Problem> {
    let mut answering = Answering {
        delivery,
        body: body.into_data_stream(),
        lines: Lines::default(),
        items: Vec::new(),
        is_at_end: false,
        permit: None,
    };
    // What goes wrong with the first batch still has a status of its own.
    let first = answering.next().await?;
    let rest = stream::unfold(Some(answering), |answering| async {
        let mut answering = answering?;
        match answering.next().await {
            Ok(Some(answers)) => Some((Ok::<_, std::convert::Infallible>(answers), Some(answering))),
            Ok(None) => None,
            Err(problem) => {
                let mut line = serde_json::to_vec(&problem).unwrap_or_default();
                line.push(b'\n');
                Some((Ok(Bytes::from(line)), None))
            }
        }
    });
    let answers = stream::iter(first.map(Ok)).chain(rest);
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))];
    Ok((headers, Body::from_stream(answers)).into_response())
}

impl Answering {
    /// Reads the next batch, takes it in, and returns a line of answer for each of its records; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        self.read().await?;
        if self.items.is_empty() {
            return Ok(None);
        }
        let rest = self.items.split_off(self.items.len().min(BATCH_MAX));
        let batch = std::mem::replace(&mut self.items, rest);
        let batch = batch.into_iter().map(|item| Sent { item, event: None }).collect();
        let mut answers = Vec::new();
        for taken in self.delivery.take_in(batch).await? {
            serde_json::to_writer(&mut answers, &RecordAnswer::from(taken)).map_err(|_| Problem::internal())?;
            answers.push(b'\n');
        }
        if self.items.is_empty() {
            self.permit = None;
        }
        Ok(Some(answers.into()))
    }

    /// Reads until a batch is full, the client pauses, or nothing more comes.
    async fn read(&mut self) -> Result<(), Problem> {
        let mut n_bytes = 0;
        while !self.is_at_end && self.items.len() < BATCH_MAX && (self.items.is_empty() || n_bytes < BATCH_BYTES_MAX) {
            let next = if self.items.is_empty() {
                // Whoever has not sent a whole record yet holds up nobody.
                self.permit = None;
                let site = &self.delivery.site;
                // Each may be dropped at its await: a piece that was not read is not answered, and so is sent again.
                tokio::select! {
                    next = timeout(site.settings.http.patience, self.body.next()) => {
                        next.map_err(|_| Problem::unreadable("the body paused for too long; what was answered is taken in"))?
                    }
                    () = site.stop.cancelled() => {
                        return Err(Problem::unavailable("posthorn is stopping; what was answered is taken in, send the rest again"));
                    }
                }
            } else {
                match timeout(PAUSE_MAX, self.body.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                }
            };
            match next {
                Some(Ok(bytes)) => {
                    if self.permit.is_none() {
                        // Only now: a stream that pauses keeps no other from being read.
                        self.permit = Arc::clone(&self.delivery.site.streams).acquire_owned().await.ok();
                    }
                    n_bytes += bytes.len();
                    self.lines.push(&bytes, &mut self.items);
                }
                // The client has gone, or is too slow: its last line has no end, and is no record.
                Some(Err(_)) if self.items.is_empty() => return Err(Problem::unreadable("the body broke off")),
                Some(Err(_)) => self.is_at_end = true,
                None => {
                    self.is_at_end = true;
                    self.lines.end(&mut self.items);
                }
            }
        }
        Ok(())
    }
}

/// Returns the media type without its parameters; empty where none is said.
fn essence(headers: &HeaderMap) -> String {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns the attributes of a CloudEvent in binary mode (CloudEvents 1.0, HTTP binding), if it is one.
fn binary_attributes(headers: &HeaderMap) -> Option<Map<String, Value>> {
    headers.get("ce-specversion")?;
    let attributes = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("ce-")?;
        Some((name.to_owned(), Value::from(value.to_str().ok()?)))
    });
    Some(attributes.collect())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    // The draft writes it as a structured field, between quotation marks; most clients leave them out.
    let key = value.to_str().unwrap_or_default().trim().trim_matches('"');
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        return Err(Problem::unreadable(format_args!(
            "Idempotency-Key has 1 to {KEY_CHARS_MAX} visible characters of ASCII"
        )));
    }
    Ok(Some(key.to_owned()))
}

/// Two tokens of one name may be limited to different partners: neither is answered what was meant for the other.
fn fingerprint(path: &str, limit: Option<&PartnerId>, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(path);
    hash.update([0]);
    hash.update(limit.map_or("", PartnerId::as_str));
    hash.update([0]);
    hash.update(body);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a name for a request that has none of its own.
fn receipt() -> String {
    let mut bytes = [0; 12];
    // Without random bytes two receipts of a millisecond would be one; TLS would not work either.
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
