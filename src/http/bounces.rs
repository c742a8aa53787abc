//! `/v1/bounces`: what came back of mails.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::bounce::STATES;
use crate::app::bounces::{self, ListedBounce, ShownBounce, TakenBounce};
use crate::delivery::bounce::{Raw, take_in_raw};
use crate::http::extract::{Json, Path, Query, body_refused};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};
use crate::settings::Scope;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(list, bring)).routes(routes!(show))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those in this state: `matched`, `unmatched`, `ignored`.
    #[param(pattern = "^(matched|unmatched|ignored)$")]
    state: Option<String>,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    cursor: Option<String>,
}

/// Lists what came to where bounces go.
///
/// The latest first; what matched no mail is kept for `bounces.keep`. Scopes: ops, read.
#[utoipa::path(get, path = "/bounces", operation_id = "listBounces", tag = "bounces", params(Wanted),
    responses((status = 200, description = "A page of them", body = List<ListedBounce>), Refusals))]
async fn list(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<ListedBounce>>, Problem> {
    caller.may_read()?;
    caller.unlimited()?;
    if let Some(state) = wanted.state.as_deref().filter(|state| !STATES.contains(state)) {
        let told = format!("{state:?} is not one of {}", STATES.join(", "));
        return Err(Problem::wrong_parameter("state", told));
    }
    let limit = limit(wanted.limit)?;
    let page = bounces::page(&site.store, wanted.state.as_deref(), cursor(wanted.cursor).as_ref(), limit).await?;
    Ok(Json(List::new(page, &here)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Brought {
    /// To whom it came (its envelope's recipient), where the mail server says so; without it, the headers are asked.
    #[param(min_length = 1, max_length = 320)]
    recipient: Option<String>,
}

/// Takes in a mail that came to where bounces go.
///
/// As it came, headers and all (RFC 5322). It is believed where it bears a mark that only this database can have made; whatever it is, the answer says
/// what followed, and the same again changes nothing. Scopes: ops, intake.
#[utoipa::path(post, path = "/bounces", operation_id = "bringBounce", tag = "bounces", params(Brought),
    request_body(content = String, content_type = "message/rfc822", description = "The mail, a mebibyte at most"),
    responses((status = 200, description = "What followed", body = TakenBounce), Refusals))]
async fn bring(
    State(site): State<Site>,
    caller: Caller,
    Query(brought): Query<Brought>,
    headers: HeaderMap,
    body: Result<axum::body::Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<TakenBounce>, Problem> {
    caller.may(&[Scope::Ops, Scope::Intake])?;
    caller.unlimited()?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind
        .unwrap_or("message/rfc822")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if !["message/rfc822", "message/global", "application/octet-stream"].contains(&essence.as_str()) {
        return Err(Problem::wrong_type(format_args!(
            "{essence} is not read here; send the mail as it came, as message/rfc822"
        )));
    }
    let bytes = body.map_err(|rejection| body_refused(&rejection))?;
    if bytes.is_empty() {
        return Err(Problem::unreadable("the body is empty; send the mail as it came"));
    }
    let raw = Raw {
        source: "http",
        recipient: brought.recipient.as_deref(),
        bytes: &bytes,
    };
    let composer = site.composer();
    let taken = take_in_raw(&site.store, site.now(), &site.rules(), composer.marks(), raw).await?;
    Ok(Json(taken.into()))
}

/// Shows what came to where bounces go.
///
/// With the mail itself, where it is kept. Scopes: ops, read.
#[utoipa::path(get, path = "/bounces/{id}", operation_id = "getBounce", tag = "bounces", params(("id" = i64, Path, description = "Which")),
    responses((status = 200, description = "It", body = ShownBounce), Refusals))]
async fn show(State(site): State<Site>, caller: Caller, Path(id): Path<i64>) -> Result<Json<ShownBounce>, Problem> {
    caller.may_read()?;
    caller.unlimited()?;
    Ok(Json(bounces::show(&site.store, id).await?))
}
