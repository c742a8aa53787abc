//! `/v1/rejected`: records that could not be taken in (`R-INTAKE`).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::rejected::{self, ListedRejected, ShownRejected};
use crate::app::take_in::Outcome;
use crate::http::auth::Ops;
use crate::http::extract::{Json, JsonOrNothing, Path, Query};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::schema::LeadResource;
use crate::http::{Caller, Site};
use crate::intake::again::take_in_again;
use crate::intake::file::Item;
use crate::lead::LeadId;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only this partner's.
    #[param(min_length = 1)]
    partner: Option<String>,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    cursor: Option<String>,
}

/// Lists the records that could not be taken in.
///
/// The longest waiting first. With `partner` a page may be short, or empty, and still have a `nextLink`. Scopes: ops, read.
#[utoipa::path(get, path = "/rejected", operation_id = "listRejected", tag = "rejected", params(Wanted),
    responses((status = 200, description = "A page of records", body = List<ListedRejected>), Refusals))]
async fn list(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<ListedRejected>>, Problem> {
    caller.may_read()?;
    let partner = super::partner_of(&caller, wanted.partner)?;
    let limit = limit(wanted.limit)?;
    let page = rejected::page(&site.store, partner.as_ref(), cursor(wanted.cursor).as_ref(), limit).await?;
    Ok(Json(List::new(page, &here)))
}

/// Shows a record and everything that is wrong with it.
///
/// Scopes: ops, read.
#[utoipa::path(get, path = "/rejected/{id}", operation_id = "getRejected", tag = "rejected", params(("id" = i64, Path, description = "The record")),
    responses((status = 200, description = "The record", body = ShownRejected), Refusals))]
async fn show(State(site): State<Site>, caller: Caller, Path(id): Path<i64>) -> Result<Json<ShownRejected>, Problem> {
    caller.may_read()?;
    Ok(Json(rejected::show(&site.store, site.now(), id, caller.partner()).await?))
}

/// A record in its place.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Corrected {
    /// Taken in instead; left out: the record as it came.
    #[schema(value_type = Option<LeadResource>)]
    record: Option<Value>,
}

/// What became of a record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TakenIn {
    /// The record.
    id: i64,
    /// `new`, `updated` or `unchanged`.
    outcome: &'static str,
    /// The lead that it is.
    lead_id: Option<LeadId>,
}

/// Takes a record in once more, perhaps corrected.
///
/// Scope: ops.
#[utoipa::path(post, path = "/rejected/{id}/retry", operation_id = "retryRejected", tag = "rejected", params(("id" = i64, Path, description = "The record")),
    request_body(content = Option<Corrected>, description = "The record, corrected"),
    responses((status = 200, description = "It is taken in", body = TakenIn), Refusals))]
async fn retry(
    State(site): State<Site>,
    Ops(caller): Ops,
    Path(id): Path<i64>,
    JsonOrNothing(corrected): JsonOrNothing<Option<Corrected>>,
) -> Result<Json<TakenIn>, Problem> {
    let found = rejected::find_open(&site.store, id, caller.partner()).await?;
    let corrected = corrected.unwrap_or_default().record;
    let item = corrected.as_ref().map(|record| Item::from_json(1, record.to_string().as_bytes()));
    if let Some(limit) = caller.partner()
        && let Some(said) = corrected
            .as_ref()
            .and_then(|record| record.get("organizationId"))
            .and_then(Value::as_str)
        && said != limit.as_str()
    {
        return Err(Problem::wrong_at(
            "/record/organizationId",
            format_args!("{said:?} is not {limit}, the only partner here"),
        ));
    }
    let taken = take_in_again(&site.store, site.now(), &site.rules(), &found, item).await?;
    let outcome = match &taken.outcome {
        Outcome::New => "new",
        Outcome::Updated => "updated",
        Outcome::Unchanged => "unchanged",
        Outcome::Rejected(faults) => return Err(Problem::faults(faults)),
    };
    Ok(Json(TakenIn {
        id,
        outcome,
        lead_id: taken.id,
    }))
}

/// Drops a record that will never be taken in.
///
/// Scope: ops.
#[utoipa::path(post, path = "/rejected/{id}/discard", operation_id = "discardRejected", tag = "rejected", params(("id" = i64, Path, description = "The record")),
    responses((status = 200, description = "It is dropped", body = ShownRejected), Refusals))]
async fn discard(State(site): State<Site>, Ops(caller): Ops, Path(id): Path<i64>) -> Result<Json<ShownRejected>, Problem> {
    Ok(Json(rejected::discard(&site.store, site.now(), id, caller.partner()).await?))
}
