//! `/v1/explain` and `/v1/audit`: why somebody was mailed or was not, and the proof that nothing was lost.

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::audit::audit as close_books;
use crate::app::explain::{Stories, explain as tell};
use crate::clock::wall_now;
use crate::http::extract::{Json, Query};
use crate::http::problem::{Problem, Refusals};
use crate::http::schema::Books;
use crate::http::{Caller, Site};

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(explain)).routes(routes!(audit))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// A lead's id, a partner's id or an e-mail address.
    #[param(min_length = 1, example = "contoso")]
    what: String,
}

/// Explains a lead, a partner or an address.
///
/// Everything that is known of it. Scopes: ops, read.
#[utoipa::path(get, path = "/explain", operation_id = "explain", tag = "operations", params(Wanted),
    responses((status = 200, description = "What is known", body = Stories), Refusals))]
async fn explain(State(site): State<Site>, caller: Caller, Query(wanted): Query<Wanted>) -> Result<Json<Stories>, Problem> {
    caller.may_read()?;
    if wanted.what.is_empty() {
        return Err(Problem::wrong_parameter(
            "what",
            "nothing is named so; name a lead, a partner or an address",
        ));
    }
    let stories = tell(&site.store, site.now(), wall_now(), &site.rules(), &wanted.what, caller.partner()).await;
    if stories.is_err() && wanted.what.contains('@') {
        // An address may be several partners': what is known of it is not one partner's to hear.
        caller.unlimited()?;
    }
    Ok(Json(stories?))
}

/// Closes the books.
///
/// Every contact lead is mailed, waiting or excused, every notice has its deliveries, every closed digest is accounted for; `value` names what is in
/// none of these, and is empty. Scopes: ops, read.
#[utoipa::path(get, path = "/audit", operation_id = "audit", tag = "operations",
    responses((status = 200, description = "The books", body = Books), Refusals))]
async fn audit(State(site): State<Site>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.may_read()?;
    caller.unlimited()?;
    let books = close_books(&site.store, site.now(), wall_now()).await?;
    Ok(Json(books.to_json()))
}
