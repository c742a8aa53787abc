//! `/v1/suppressions`: addresses that are not mailed any more.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::suppress::{self, Suppress};
use crate::app::suppressions::{self, ListedSuppression};
use crate::http::auth::Ops;
use crate::http::extract::{Json, Path, Query};
use crate::http::list::{Here, List, Paging, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};
use crate::partner::EmailAddress;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(lift))
}

/// Lists suppressed addresses.
///
/// In their order. Scopes: ops, read.
#[utoipa::path(get, path = "/suppressions", operation_id = "listSuppressions", tag = "suppressions", params(Paging),
    responses((status = 200, description = "A page of addresses", body = List<ListedSuppression>), Refusals))]
async fn list(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Query(wanted): Query<Paging>,
) -> Result<Json<List<ListedSuppression>>, Problem> {
    caller.may_read()?;
    caller.unlimited()?;
    let limit = limit(wanted.limit)?;
    let page = suppressions::page(&site.store, cursor(wanted.cursor).as_ref(), limit).await?;
    Ok(Json(List::new(page, &here)))
}

/// An address to be suppressed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    /// The address.
    #[schema(format = Email, example = "ada@contoso.com")]
    address: String,
    /// Why.
    #[schema(example = "left the company")]
    reason: Option<String>,
}

/// Stops all mail to an address.
///
/// The next address of its partner takes its place. Scope: ops.
#[utoipa::path(post, path = "/suppressions", operation_id = "addSuppression", tag = "suppressions", request_body = Wish,
    responses((status = 201, description = "It is not mailed any more", body = ListedSuppression), Refusals))]
async fn add(State(site): State<Site>, Ops(caller): Ops, Json(wish): Json<Wish>) -> Result<(StatusCode, Json<ListedSuppression>), Problem> {
    caller.unlimited()?;
    let address: EmailAddress = wish.address.parse().map_err(|wrong| Problem::wrong_at("/address", wrong))?;
    let now = site.now();
    let suppressed = ListedSuppression::by_hand(address, wish.reason, Some(caller.who().to_owned()), now);
    suppress::add(&site.store, now, &site.rules(), Suppress::from(&suppressed)).await?;
    Ok((StatusCode::CREATED, Json(suppressed)))
}

/// That an address is mailed again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Lifted {
    /// The address.
    address: EmailAddress,
    /// Whether it is still suppressed.
    suppressed: bool,
    /// Mails that were kept back and go out now.
    mails_queued: usize,
}

/// Mails an address again.
///
/// Also what waited for it and is still of use. Scope: ops.
#[utoipa::path(delete, path = "/suppressions/{address}", operation_id = "liftSuppression", tag = "suppressions",
    params(("address" = String, Path, description = "The address", example = "ada@contoso.com")),
    responses((status = 200, description = "It is mailed again", body = Lifted), Refusals))]
async fn lift(State(site): State<Site>, Ops(caller): Ops, Path(address): Path<String>) -> Result<Json<Lifted>, Problem> {
    caller.unlimited()?;
    // What is no address is suppressed by nobody.
    let address: EmailAddress = address.parse().map_err(Problem::not_found)?;
    let mails_queued = suppress::lift(&site.store, site.now(), &site.rules(), &address, Some(caller.who())).await?;
    Ok(Json(Lifted {
        address,
        suppressed: false,
        mails_queued,
    }))
}
