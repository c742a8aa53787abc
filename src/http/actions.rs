//! `/v1/partners/{id}/actions`: the feed of a partner's Action Center (`R-ACTION`).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::feed::{self, ShownItem};
use crate::http::extract::{Json, Path, Query};
use crate::http::list::{Here, cursor, limit};
use crate::http::partners::own;
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};
use crate::partner::PartnerId;
use crate::settings::Scope;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(post_archive, put_archive))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only what has changed since: 0 for all, then the `since` of the answer before.
    #[param(minimum = 0)]
    since: Option<i64>,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`. Not with `since`.
    cursor: Option<String>,
}

/// Action items of a partner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Feed {
    /// The items: with `since` in the order of their last change, else the latest change first.
    value: Vec<ShownItem>,
    /// The address of the next page, relative to this one's; none behind the last row.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
    /// With `since`: what to ask for the next time.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
}

/// Lists a partner's action items.
///
/// To keep up with them, ask with `since=0`, follow `nextLink` to the end, and from time to time ask again with the `since` that was answered last:
/// each item that has changed comes up once, as it is then, and none is missed. Without `since`: all, latest change first. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/partners/{id}/actions", operation_id = "listActions", tag = "actions",
    params(("id" = PartnerId, Path, description = "The partner"), Wanted),
    responses((status = 200, description = "A page of items", body = Feed), Refusals))]
async fn list(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Feed>, Problem> {
    caller.may_look()?;
    let id = own(&caller, id)?;
    let limit = limit(wanted.limit)?;
    let Some(since) = wanted.since else {
        let page = feed::page(&site.store, site.now(), &site.rules(), &id, cursor(wanted.cursor).as_ref(), limit).await?;
        return Ok(Json(Feed {
            value: page.value,
            next_link: page.next.map(|next| here.with("cursor", next.as_str())),
            since: None,
        }));
    };
    if wanted.cursor.is_some() {
        return Err(Problem::wrong_parameter(
            "cursor",
            "a cursor does not go with since, which says where the page begins",
        ));
    }
    if since < 0 {
        return Err(Problem::wrong_parameter(
            "since",
            format_args!("{since} is not 0, nor a since that was answered"),
        ));
    }
    let changes = feed::changes(&site.store, site.now(), &site.rules(), &id, since, limit).await?;
    Ok(Json(Feed {
        next_link: changes.has_more.then(|| here.with("since", &changes.since.to_string())),
        value: changes.value,
        since: Some(changes.since),
    }))
}

/// Archives an action item for a user.
///
/// It stays archived, whatever becomes of its lead. Scope: portal.
#[utoipa::path(post, path = "/partners/{id}/actions/{item}/archive", operation_id = "archiveAction", tag = "actions",
    params(("id" = PartnerId, Path, description = "The partner"), ("item" = String, Path, description = "The item", example = "item-17")),
    responses((status = 200, description = "The item as it is then", body = ShownItem), Refusals))]
async fn post_archive(site: State<Site>, caller: Caller, path: Path<(String, String)>) -> Result<Json<ShownItem>, Problem> {
    archive(site, caller, path).await
}

/// Archives an action item for a user; as POST.
#[utoipa::path(put, path = "/partners/{id}/actions/{item}/archive", operation_id = "putActionArchive", tag = "actions",
    params(("id" = PartnerId, Path, description = "The partner"), ("item" = String, Path, description = "The item", example = "item-17")),
    responses((status = 200, description = "The item as it is then", body = ShownItem), Refusals))]
async fn put_archive(site: State<Site>, caller: Caller, path: Path<(String, String)>) -> Result<Json<ShownItem>, Problem> {
    archive(site, caller, path).await
}

async fn archive(State(site): State<Site>, caller: Caller, Path((id, item)): Path<(String, String)>) -> Result<Json<ShownItem>, Problem> {
    caller.may(&[Scope::Portal])?;
    let id = own(&caller, id)?;
    let archived = feed::archive(&site.store, site.now(), &site.rules(), &id, &item, Some(caller.who())).await?;
    Ok(Json(archived))
}
