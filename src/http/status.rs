//! `/v1/status`

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::status::{Status, status};
use crate::clock::wall_now;
use crate::http::extract::Json;
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(get))
}

/// Says what waits, what is late, and what needs somebody.
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "getStatus",
    tag = "operations",
    responses((status = 200, description = "How it is", body = Status), Refusals)
)]
async fn get(State(site): State<Site>, caller: Caller) -> Result<Json<Status>, Problem> {
    caller.may_read()?;
    caller.unlimited()?;
    let mode = site.settings.mode.to_string();
    let mut status = status(&site.store, site.now(), wall_now(), &site.rules(), &mode).await?;
    status.template_fault = site.current.borrow().template_fault.as_deref().map(str::to_owned);
    Ok(Json(status))
}
