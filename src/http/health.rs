//! For whoever watches over posthorn: whether it runs, whether it works, and by how much.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use utoipa_axum::router::OpenApiRouter;

use crate::http::Site;

/// Returns what needs no token.
pub(super) fn open() -> Router<Site> {
    Router::new()
        .route("/healthz", routing::get(live))
        .route("/readyz", routing::get(ready))
}

/// Returns what needs one.
pub(super) fn guarded() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
}

/// The process runs and answers.
async fn live() -> &'static str {
    "ok\n"
}

/// It can record what comes in.
async fn ready(State(site): State<Site>) -> Response {
    match site.store.begin().await {
        Ok(tx) => {
            drop(tx);
            "ok\n".into_response()
        }
        Err(error) => {
            tracing::error!("not ready: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be written\n").into_response()
        }
    }
}
