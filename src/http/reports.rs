//! `/v1/report`

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::report::{PartnerReport, Span, page};
use crate::http::extract::{Json, Query};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};
use crate::time::Timestamp;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(get))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only this partner.
    #[param(min_length = 1)]
    partner: Option<String>,
    /// Of leads created then or later; 30 days before the end where it is not said.
    created_from: Option<Timestamp>,
    /// Of leads created before that; now where it is not said.
    created_before: Option<Timestamp>,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    cursor: Option<String>,
}

/// Tells what became of each partner's leads, and who shows no sign of life.
///
/// By partner; of leads of the last 30 days, unless another span is named. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/report", operation_id = "getReport", tag = "operations", params(Wanted),
    responses((status = 200, description = "A page of partners", body = List<PartnerReport>), Refusals))]
async fn get(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<PartnerReport>>, Problem> {
    caller.may_look()?;
    let partner = super::partner_of(&caller, wanted.partner)?;
    let now = site.now();
    let span = Span::new(now, wanted.created_from, wanted.created_before);
    let limit = limit(wanted.limit)?;
    let page = page(&site.store, now, span, partner.as_ref(), cursor(wanted.cursor).as_ref(), limit).await?;
    Ok(Json(List::new(page, &here)))
}
