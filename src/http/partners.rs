//! `/v1/partners`: who receives leads, and at which address.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::explain::{PartnerStory, explain_partner};
use crate::app::partners::{Put, put_one, set_preferred_email};
use crate::app::roster::{self, ListedPartner, ShownPartner};
use crate::app::suppress;
use crate::http::auth::Portal;
use crate::http::extract::{IfMatch, Json, Path, Query, Tagged};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::schema::PartnerRecord;
use crate::http::{Caller, Site};
use crate::partner::record::Mailbox;
use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::tag;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, replace))
        .routes(routes!(set_preferred, clear_preferred))
        .routes(routes!(resubscribe))
        .routes(routes!(explain))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those that have no address, also those of which leads came and no record.
    #[serde(default)]
    #[param(default = false)]
    unroutable: bool,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    cursor: Option<String>,
}

/// Lists partners.
///
/// By id, with where their mail goes. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/partners", operation_id = "listPartners", tag = "partners", params(Wanted),
    responses((status = 200, description = "A page of partners", body = List<ListedPartner>), Refusals))]
async fn list(
    State(site): State<Site>,
    caller: Caller,
    here: Here,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<ListedPartner>>, Problem> {
    caller.may_look()?;
    let limit = limit(wanted.limit)?;
    let only = caller.partner();
    let page = roster::page(
        &site.store,
        &site.rules(),
        only,
        wanted.unroutable,
        cursor(wanted.cursor).as_ref(),
        limit,
    )
    .await?;
    Ok(Json(List::new(page, &here)))
}

/// Shows a partner.
///
/// Its record, and what posthorn makes of it. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/partners/{id}", operation_id = "getPartner", tag = "partners", params(("id" = PartnerId, Path, description = "The partner")),
    responses((status = 200, description = "The partner", body = ShownPartner, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn show(State(site): State<Site>, caller: Caller, Path(id): Path<String>) -> Result<Tagged<ShownPartner>, Problem> {
    caller.may_look()?;
    let id = own(&caller, id)?;
    shown(&site, &id).await
}

/// Replaces a partner's record.
///
/// What it leaves out takes the configured default. Scope: portal.
#[utoipa::path(put, path = "/partners/{id}", operation_id = "putPartner", tag = "partners",
    params(("id" = PartnerId, Path, description = "The partner"), ("If-Match" = Option<String>, Header, description = "The ETag of what was seen, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    request_body = PartnerRecord,
    responses(
        (status = 200, description = "Its record was replaced, or says what was known", body = ShownPartner, headers(("ETag" = String, description = "For If-Match"))),
        (status = 201, description = "It became known", body = ShownPartner, headers(("ETag" = String, description = "For If-Match"))),
        Refusals
    ))]
async fn replace(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    Json(mut record): Json<Value>,
) -> Result<Response, Problem> {
    let id = own(&caller, id)?;
    if let Some(record) = record.as_object_mut() {
        record.entry("id").or_insert_with(|| id.as_str().into());
    }
    let partner = Partner::parse(record).map_err(|faults| Problem::faults(&faults))?;
    if let Some(fault) = site.rules().policy.programme_fault(&partner) {
        return Err(Problem::faults(&[fault]));
    }
    if partner.id != id {
        return Err(Problem::wrong_at(
            "/id",
            format_args!("{:?} is not {:?}, the partner of the path", partner.id.as_str(), id.as_str()),
        ));
    }
    let put = put_one(&site.store, site.now(), &site.rules(), &partner, &tag, Some(caller.who())).await?;
    let mut response = shown(&site, &id).await?.into_response();
    if put == Put::New {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

async fn shown(site: &Site, id: &PartnerId) -> Result<Tagged<ShownPartner>, Problem> {
    let (shown, _) = roster::show(&site.store, site.now(), &site.rules(), id).await?;
    Ok(Tagged {
        tag: shown.record.tag(),
        value: shown,
    })
}

/// An address that a user of the partner chose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Preferred {
    /// Where mail goes.
    #[schema(format = Email, example = "leads@contoso.com")]
    email: String,
    /// Shown in the greeting.
    name: Option<String>,
    /// Its language.
    #[schema(example = "de-AT")]
    locale: Option<String>,
    /// Silences this address for good.
    #[serde(default)]
    #[schema(default = false)]
    disable_notifications: bool,
}

/// A partner's preferred e-mails.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PreferredEmails {
    /// The partner.
    id: PartnerId,
    /// They alone get its mail; none: profile contacts and admins count.
    preferred_emails: Vec<Mailbox>,
}

/// Sets the address that alone gets a partner's mail.
///
/// Scope: portal.
#[utoipa::path(put, path = "/partners/{id}/preferred-email", operation_id = "setPreferredEmail", tag = "partners",
    params(("id" = PartnerId, Path, description = "The partner"), ("If-Match" = Option<String>, Header, description = "The partner's ETag, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    request_body = Preferred,
    responses((status = 200, description = "Done", body = PreferredEmails, headers(("ETag" = String, description = "The partner's"))), Refusals))]
async fn set_preferred(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    Json(preferred): Json<Preferred>,
) -> Result<Tagged<PreferredEmails>, Problem> {
    let mailbox = Mailbox {
        email: address(&preferred.email)?,
        name: preferred.name,
        locale: preferred.locale,
        disable_notifications: preferred.disable_notifications,
    };
    prefer(&site, &caller, id, Some(mailbox), tag).await
}

/// Takes the preferred address back.
///
/// Profile contacts and admins count again. Scope: portal.
#[utoipa::path(delete, path = "/partners/{id}/preferred-email", operation_id = "clearPreferredEmail", tag = "partners",
    params(("id" = PartnerId, Path, description = "The partner"), ("If-Match" = Option<String>, Header, description = "The partner's ETag, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    responses((status = 200, description = "Done", body = PreferredEmails, headers(("ETag" = String, description = "The partner's"))), Refusals))]
async fn clear_preferred(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
) -> Result<Tagged<PreferredEmails>, Problem> {
    prefer(&site, &caller, id, None, tag).await
}

async fn prefer(
    site: &Site,
    caller: &Caller,
    id: String,
    mailbox: Option<Mailbox>,
    tag: tag::IfMatch,
) -> Result<Tagged<PreferredEmails>, Problem> {
    let id = own(caller, id)?;
    let rules = site.rules();
    let partner = set_preferred_email(&site.store, site.now(), &rules, &id, mailbox, &tag, Some(caller.who())).await?;
    Ok(Tagged {
        tag: partner.tag(),
        value: PreferredEmails {
            id,
            preferred_emails: partner.preferred_emails,
        },
    })
}

/// An address of a partner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resubscribe {
    /// The address that wants mail again.
    #[schema(format = Email, example = "ada@contoso.com")]
    email: String,
}

/// That an address is mailed again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Subscribed {
    /// The partner.
    partner_id: PartnerId,
    /// The address.
    email: EmailAddress,
    /// Whether it is mailed about the partner's leads.
    subscribed: bool,
}

/// Lifts the opt-out of an address.
///
/// Scope: portal.
#[utoipa::path(post, path = "/partners/{id}/resubscribe", operation_id = "resubscribe", tag = "partners",
    params(("id" = PartnerId, Path, description = "The partner")), request_body = Resubscribe,
    responses((status = 200, description = "It is mailed again", body = Subscribed), Refusals))]
async fn resubscribe(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    Json(wanted): Json<Resubscribe>,
) -> Result<Json<Subscribed>, Problem> {
    let partner_id = own(&caller, id)?;
    let email = address(&wanted.email)?;
    suppress::resubscribe(&site.store, site.now(), &site.rules(), &partner_id, &email, Some(caller.who())).await?;
    Ok(Json(Subscribed {
        partner_id,
        email,
        subscribed: true,
    }))
}

/// Explains a partner.
///
/// Who is told of its leads, what it got, and what waits. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/partners/{id}/explain", operation_id = "explainPartner", tag = "partners", params(("id" = PartnerId, Path, description = "The partner")),
    responses((status = 200, description = "Its story", body = PartnerStory), Refusals))]
async fn explain(State(site): State<Site>, caller: Caller, Path(id): Path<String>) -> Result<Json<PartnerStory>, Problem> {
    caller.may_look()?;
    let id = own(&caller, id)?;
    Ok(Json(explain_partner(&site.store, site.now(), &site.rules(), &id).await?))
}

/// Returns the partner of a path; one that the caller is a stranger to answers as if it were not there.
pub(super) fn own(caller: &Caller, id: String) -> Result<PartnerId, Problem> {
    let id = PartnerId::new(id);
    if caller.is_stranger_to(&id) {
        return Err(roster::unknown(&id).into());
    }
    Ok(id)
}

fn address(text: &str) -> Result<EmailAddress, Problem> {
    text.parse().map_err(|wrong| Problem::wrong_at("/email", wrong))
}
