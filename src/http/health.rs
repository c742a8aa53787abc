//! For whoever watches over posthorn: whether it runs, whether it works, and by how much.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use tokio::sync::Mutex;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::gauges::{gauges, ready as is_ready};
use crate::http::problem::Problem;
use crate::http::{Caller, Site};
use crate::telemetry::metrics::{CONTENT_TYPE, render, set_gauges};

/// For how long an answer of `/readyz` holds: whoever has no token cannot make the database busy.
const HOLDS_FOR: Duration = Duration::from_secs(2);
/// How long `/readyz` waits for the database: below the patience of a probe.
const ASKED_FOR: Duration = Duration::from_secs(4);

/// The last answer of `/readyz`, and when it was found.
type Last = Arc<Mutex<Option<(Instant, Result<(), String>)>>>;

/// Returns what needs no token.
pub(super) fn open() -> Router<Site> {
    let last: Last = Arc::default();
    let ready = move |State(site): State<Site>| ready(site, Arc::clone(&last));
    Router::new()
        .route("/healthz", routing::get(live))
        .route("/readyz", routing::get(ready))
}

/// Returns what needs one.
pub(super) fn guarded() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// The process runs and answers.
async fn live() -> &'static str {
    "ok\n"
}

/// It can record what comes in, and does what is due.
async fn ready(site: Site, last: Last) -> Response {
    let mut last = last.lock().await;
    let found = match &*last {
        Some((at, found)) if at.elapsed() < HOLDS_FOR => found.clone(),
        _ => {
            let asked = tokio::time::timeout(ASKED_FOR, is_ready(&site.store, site.now(), site.settings.http.ready_within)).await;
            let found = match asked {
                Ok(Ok(())) => Ok(()),
                Ok(Err(why)) => Err(why.to_string()),
                Err(_) => Err("the database does not answer".to_owned()),
            };
            if let Err(why) = &found {
                tracing::warn!("not ready: {why}");
            }
            *last = Some((Instant::now(), found.clone()));
            found
        }
    };
    match found {
        Ok(()) => "ok\n".into_response(),
        // Why stands in the log: a probe needs no more.
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

/// Tells how it is, in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "operations",
    responses(
        (status = 200, description = "The metrics", body = String, content_type = "text/plain"),
        (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database is away", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn metrics(State(site): State<Site>, caller: Caller) -> Result<Response, Problem> {
    caller.may_read()?;
    caller.unlimited()?;
    set_gauges(&gauges(&site.store, site.now()).await?);
    let kind = [(header::CONTENT_TYPE, CONTENT_TYPE)];
    Ok((kind, render()).into_response())
}
