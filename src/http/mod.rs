//! The portal's side: what programs ask and tell posthorn over HTTP, and the little that strangers may reach.
//!
//! A handler parses, calls one use case of `app`, and maps its answer. Every refusal is a [`Problem`]; who may do what stands in [`Caller`].
//!
//! **Invariants:** no SQL and no decision here; a request is bounded in size and time; a door that is not open says no more than that.
//! **Not here:** reading records (`intake`), shapes of answers (beside their use cases in `app`).

pub mod auth;
pub mod extract;
pub mod listen;
pub mod problem;
pub mod public;

mod actions;
mod answers;
mod bounces;
mod deliveries;
mod digests;
mod erase;
mod explain;
mod exports;
mod health;
mod intake;
mod leads;
mod list;
mod partners;
mod rejected;
mod reports;
mod schema;
mod status;
mod suppressions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::IntoResponse;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::app::Rules;
use crate::clock::Clock;
use crate::delivery::compose::Composer;
use crate::http::auth::Doors;
use crate::http::problem::Problem;
use crate::intake::gather::Intake;
use crate::partner::PartnerId;
use crate::settings::Settings;
use crate::store::Store;
use crate::time::Timestamp;

pub use auth::Caller;

/// Bytes of an ordinary request's body at most: a record may have a mebibyte.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Streams whose records are in memory at once: a record takes ten times its text, so that 200 streams of a hundred records took 180 MiB. Sixteen fill a
/// commit and more.
pub const STREAMS_READ_MAX: usize = 16;
/// How long an ordinary request may take in all.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);

/// What a running `serve` works by; replaced whole when it is told to reload.
#[derive(Clone)]
pub struct Current {
    /// What the operator has set, as far as use cases read it.
    pub rules: Arc<Rules>,
    /// Templates, and what mails say of themselves.
    pub composer: Arc<Composer>,
    /// Who may speak to `http.listen`.
    pub doors: Arc<Doors>,
    /// Why the templates that have changed are not in force.
    pub template_fault: Option<Arc<str>>,
}

/// What every handler has at hand.
#[derive(Clone)]
pub struct Site {
    /// The lead store.
    pub store: Store,
    /// The machine's clock.
    pub clock: Clock,
    /// Rules and templates in force.
    pub current: watch::Receiver<Current>,
    /// The settings that `serve` was started with.
    pub settings: Arc<Settings>,
    /// Tells workers that there may be something to do.
    pub wake: watch::Sender<()>,
    /// The way in for leads.
    pub intake: Intake,
    /// A permit for each stream whose records are read and not yet answered.
    pub streams: Arc<Semaphore>,
    /// It is time to stop: what goes on for long ends where it can be gone on with.
    pub stop: CancellationToken,
}

impl Site {
    /// Returns the instant of a request.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.current.borrow().rules)
    }

    /// Returns the templates in force.
    pub fn composer(&self) -> Arc<Composer> {
        Arc::clone(&self.current.borrow().composer)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "posthorn",
        description = "Leads in, the right people told: the API beside a partner portal. Errors are problem details (RFC 9457); \
                       instants are RFC 3339 in UTC; lists are pages with `nextLink`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Security),
    security(("token" = []))
)]
struct Description;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token made by `posthorn token new`; none is needed on a machine's own address where none is set.",
            ))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Returns the resources with their description, not yet guarded: one line for each file of the room.
fn resources() -> OpenApiRouter<Site> {
    let bounded = OpenApiRouter::new()
        .merge(leads::routes())
        .merge(answers::routes())
        .merge(erase::routes())
        .merge(partners::routes())
        .merge(actions::routes())
        .merge(digests::routes())
        .merge(deliveries::routes())
        .merge(suppressions::routes())
        .merge(bounces::routes())
        .merge(rejected::routes())
        .merge(explain::routes())
        .merge(status::routes())
        .merge(reports::routes())
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIME_MAX));
    // Leads may come and go in any number and for any time: `intake` and `exports` bound each piece.
    let v1 = bounded.merge(intake::routes()).merge(exports::routes());
    OpenApiRouter::with_openapi(Description::openapi())
        .nest("/v1", v1)
        .merge(health::guarded())
}

/// Returns the description of the API (OpenAPI 3.1), as `/openapi.json` serves it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    resources().into_openapi()
}

/// Returns everything that `http.listen` serves.
pub fn router(site: Site) -> Router {
    let (resources, description) = resources().split_for_parts();
    let text: Arc<str> = description.to_json().expect("a description is plain data").into();
    let described = move || {
        let text = Arc::clone(&text);
        async move { ([("content-type", "application/json")], text.to_string()).into_response() }
    };
    Router::new()
        .merge(resources)
        .layer(middleware::from_fn_with_state(site.clone(), auth::wake_after_change))
        .layer(middleware::from_fn_with_state(site.clone(), auth::guard))
        // Not guarded: a probe and a client generator have no token.
        .merge(health::open())
        .route("/openapi.json", axum::routing::get(described))
        .fallback(|| async { Problem::no_such_path() })
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .layer(middleware::from_fn(problem::rewrite_bare))
        .layer(middleware::from_fn(echo_request_id))
        .layer(CatchPanicLayer::custom(|_| Problem::internal().into_response()))
        .with_state(site)
}

/// Returns the partner whose rows are wanted: the one that is named, which a limited caller must be, else the one that he is limited to.
fn partner_of(caller: &Caller, named: Option<String>) -> Result<Option<PartnerId>, Problem> {
    match named {
        Some(id) if id.is_empty() => Err(Problem::wrong_parameter("partner", "no partner is named so; leave it out for all")),
        Some(id) => partners::own(caller, id).map(Some),
        None => Ok(caller.partner().cloned()),
    }
}

/// Characters of a `client-request-id` that are echoed and logged.
const REQUEST_ID_CHARS_MAX: usize = 128;
static REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// Hands `client-request-id` back and puts it into the log, so that a request can be followed from the portal to here.
async fn echo_request_id(request: axum::extract::Request, next: middleware::Next) -> axum::response::Response {
    use tracing::Instrument;
    let id: Option<HeaderValue> = request.headers().get(&REQUEST_ID).cloned();
    let id = id.filter(|id| id.len() <= REQUEST_ID_CHARS_MAX);
    let shown = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let method = request.method().clone();
    let path = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let span = tracing::info_span!("http.request", method = %method, path = path.as_deref().unwrap_or("-"), client_request_id = shown);
    let began = std::time::Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.in_scope(|| crate::telemetry::request_answered(path.as_deref().unwrap_or("-"), status.as_u16(), began.elapsed()));
    if let Some(id) = id {
        response.headers_mut().insert(&REQUEST_ID, id);
    }
    response
}
