//! `/v1/deliveries`: mails, and what was tried with each.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::kept;
use crate::app::mails::{self, Filter, ListedMail, MessageIds, ShownMail};
use crate::app::record::by_hand;
use crate::http::extract::{Json, Path, Query};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};
use crate::lead::LeadId;
use crate::outbox::delivery::{Event, State as Standing};
use crate::settings::Scope;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(show_mail))
        .routes(routes!(retry))
        .routes(routes!(cancel))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those in this state: `queued`, `sending`, `in_doubt`, `sent`, `failed`, `cancelled`, `suppressed`; several with commas between.
    #[param(
        pattern = "^(queued|sending|in_doubt|sent|failed|cancelled|suppressed)(,(queued|sending|in_doubt|sent|failed|cancelled|suppressed))*$"
    )]
    state: Option<String>,
    /// Only those about this lead, also among others.
    #[param(min_length = 1)]
    lead: Option<String>,
    /// Only those to this partner.
    #[param(min_length = 1)]
    partner: Option<String>,
    /// Only those to this address.
    address: Option<String>,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    cursor: Option<String>,
}

/// Lists mails.
///
/// The latest first. Scopes: ops, read.
#[utoipa::path(get, path = "/deliveries", operation_id = "listDeliveries", tag = "deliveries", params(Wanted),
    responses((status = 200, description = "A page of mails", body = List<ListedMail>), Refusals))]
async fn list(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<ListedMail>>, Problem> {
    caller.may_read()?;
    let address = wanted.address.as_deref().map(str::parse).transpose();
    let filter = Filter {
        states: states(wanted.state.as_deref())?,
        partner: super::partner_of(&caller, wanted.partner)?,
        lead: wanted.lead.map(LeadId::new),
        address: address.map_err(|wrong| Problem::wrong_parameter("address", wrong))?,
    };
    let limit = limit(wanted.limit)?;
    let page = mails::page(&site.store, &filter, &*message_ids(&site), cursor(wanted.cursor).as_ref(), limit).await?;
    Ok(Json(List::new(page, &here)))
}

fn states(words: Option<&str>) -> Result<Vec<Standing>, Problem> {
    let words = words.into_iter().flat_map(|words| words.split(','));
    let states = words.map(|word| {
        Standing::parse(word.trim()).ok_or_else(|| {
            Problem::wrong_parameter(
                "state",
                format_args!("{word:?} is not one of queued, sending, in_doubt, sent, failed, cancelled, suppressed"),
            )
        })
    });
    states.collect()
}

fn message_ids(site: &Site) -> Box<MessageIds> {
    let composer = site.composer();
    Box::new(move |delivery| composer.message_id(delivery))
}

/// Shows a mail with every attempt to hand it over.
///
/// Scopes: ops, read.
#[utoipa::path(get, path = "/deliveries/{id}", operation_id = "getDelivery", tag = "deliveries", params(("id" = i64, Path, description = "The mail")),
    responses((status = 200, description = "The mail", body = ShownMail), Refusals))]
async fn show(State(site): State<Site>, caller: Caller, Path(id): Path<i64>) -> Result<Json<ShownMail>, Problem> {
    caller.may_read()?;
    Ok(Json(mail(&site, &caller, id).await?))
}

async fn mail(site: &Site, caller: &Caller, id: i64) -> Result<ShownMail, Problem> {
    let shown = mails::show(&site.store, site.now(), &site.rules(), id, &*message_ids(site)).await?;
    if caller.is_stranger_to(&shown.mail.partner_id) {
        return Err(mails::unknown(id).into());
    }
    Ok(shown)
}

/// Gives a mail byte for byte, as it was handed over.
///
/// Where it is kept (`mail.keep_sent`); `kept` of the delivery says so. It holds links by which its reader answers. Scope: ops.
#[utoipa::path(get, path = "/deliveries/{id}/mail", operation_id = "getDeliveryMail", tag = "deliveries",
    params(("id" = i64, Path, description = "The mail")),
    responses((status = 200, description = "The mail (RFC 5322)", body = String, content_type = "message/rfc822"), Refusals))]
async fn show_mail(State(site): State<Site>, caller: Caller, Path(id): Path<i64>) -> Result<impl IntoResponse, Problem> {
    caller.may(&[Scope::Ops])?;
    mail(&site, &caller, id).await?;
    let mail = kept::mail(&site.store, site.now(), &site.rules(), id).await?;
    Ok(([(header::CONTENT_TYPE, "message/rfc822")], mail.bytes))
}

/// What became of a mail.
#[derive(Debug, Serialize, ToSchema)]
struct Moved {
    /// The mail.
    id: i64,
    /// Where it stands now.
    #[schema(example = "queued")]
    state: &'static str,
}

/// Tries a mail again that has failed or is in doubt.
///
/// Scope: ops.
#[utoipa::path(post, path = "/deliveries/{id}/retry", operation_id = "retryDelivery", tag = "deliveries", params(("id" = i64, Path, description = "The mail")),
    responses((status = 200, description = "It is queued", body = Moved), Refusals))]
async fn retry(State(site): State<Site>, caller: Caller, Path(id): Path<i64>) -> Result<Json<Moved>, Problem> {
    intervene(&site, &caller, id, Event::OpsRetry).await
}

/// Stops a mail that is not sent yet, or is in doubt.
///
/// Scope: ops.
#[utoipa::path(post, path = "/deliveries/{id}/cancel", operation_id = "cancelDelivery", tag = "deliveries", params(("id" = i64, Path, description = "The mail")),
    responses((status = 200, description = "It is stopped", body = Moved), Refusals))]
async fn cancel(State(site): State<Site>, caller: Caller, Path(id): Path<i64>) -> Result<Json<Moved>, Problem> {
    intervene(&site, &caller, id, Event::OpsCancel).await
}

async fn intervene(site: &Site, caller: &Caller, id: i64, event: Event) -> Result<Json<Moved>, Problem> {
    caller.may(&[Scope::Ops])?;
    mail(site, caller, id).await?;
    let state = by_hand(&site.store, site.now(), &site.rules(), id, event, Some(caller.who())).await?;
    Ok(Json(Moved { id, state: state.as_str() }))
}
