//! `/v1/digests`: which collect, what they say, and sending them early (`R-DIGEST`).

use std::collections::BTreeSet;

use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::digests::{self, ListedDigest};
use crate::app::fire::{Runs, list_waiting, run as close};
use crate::delivery::preview::{Error as PreviewError, Preview, preview as preview_of};
use crate::http::auth::Ops;
use crate::http::extract::{Json, Query};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::partners::own;
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};
use crate::partner::PartnerId;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(preview))
        .routes(routes!(run))
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

/// Lists digests.
///
/// The latest first. Scopes: ops, read.
#[utoipa::path(get, path = "/digests", operation_id = "listDigests", tag = "digests", params(Wanted),
    responses((status = 200, description = "A page of digests", body = List<ListedDigest>), Refusals))]
async fn list(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<ListedDigest>>, Problem> {
    caller.may_read()?;
    let partner = super::partner_of(&caller, wanted.partner)?;
    let limit = limit(wanted.limit)?;
    let page = digests::page(&site.store, site.now(), partner.as_ref(), cursor(wanted.cursor).as_ref(), limit).await?;
    Ok(Json(List::new(page, &here)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The partner.
    #[param(min_length = 1)]
    partner: String,
}

/// Previews a partner's digest.
///
/// As it would be mailed now, rendered; nothing is changed. Scopes: ops, read.
#[utoipa::path(get, path = "/digests/preview", operation_id = "previewDigest", tag = "digests", params(Whose),
    responses((status = 200, description = "The mails that it would be", body = Preview), Refusals))]
async fn preview(State(site): State<Site>, caller: Caller, Query(wanted): Query<Whose>) -> Result<Json<Preview>, Problem> {
    caller.may_read()?;
    let partner = super::partner_of(&caller, Some(wanted.partner))?.ok_or_else(Problem::internal)?;
    match preview_of(&site.store, site.now(), &site.rules(), &site.composer(), &partner).await {
        Ok(preview) => Ok(Json(preview)),
        Err(PreviewError::App(error)) => Err(error.into()),
        Err(PreviewError::Unwritable(why)) => Err(Problem::in_the_way(why)),
    }
}

/// Which digests to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    /// Those of these partners.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["contoso"]))]
    partners: Vec<PartnerId>,
    /// Those of every partner whose digest has leads.
    #[serde(default)]
    all: bool,
    /// Do it all, tell it, and take it back.
    #[serde(default)]
    dry_run: bool,
}

/// Closes digests now instead of at their time.
///
/// Takes either `partners` or `all`. Scope: ops.
#[utoipa::path(post, path = "/digests/run", operation_id = "runDigests", tag = "digests", request_body = Wish,
    responses((status = 200, description = "What it did, or would do", body = Runs), Refusals))]
async fn run(State(site): State<Site>, Ops(caller): Ops, Json(wish): Json<Wish>) -> Result<Json<Runs>, Problem> {
    let partners: BTreeSet<PartnerId> = match (wish.all, wish.partners.is_empty()) {
        (true, true) => {
            let waiting = list_waiting(&site.store).await?;
            waiting.into_iter().filter(|id| !caller.is_stranger_to(id)).collect()
        }
        (false, false) => {
            let named = wish.partners.into_iter().map(|id| own(&caller, id.as_str().to_owned()));
            named.collect::<Result<_, _>>()?
        }
        (true, false) | (false, true) => {
            return Err(Problem::wrong_at("/partners", "say either which partners, or all"));
        }
    };
    let runs = close(&site.store, site.now(), &site.rules(), &partners, wish.dry_run, Some(caller.who())).await?;
    Ok(Json(runs))
}
