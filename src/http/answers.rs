//! `/v1/leads/{id}/…`: a partner's answers to a lead (`R-STAGES`, `R-ACCEPT`, `R-DECLINE`).

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Number, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app;
use crate::app::answer::{Action, Terms, answer, upper_case};
use crate::app::leads;
use crate::http::auth::Portal;
use crate::http::extract::{IfMatch, Json, JsonOrNothing, Patch, Path, Tagged};
use crate::http::problem::{Problem, Refusals};
use crate::http::schema::LeadResource;
use crate::http::{Caller, Site};
use crate::lead::LeadId;
use crate::tag;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(accept))
        .routes(routes!(decline))
        .routes(routes!(won))
        .routes(routes!(lost))
        .routes(routes!(edit))
        .routes(routes!(favourite))
        .routes(routes!(unfavourite))
}

/// Why a lead is declined.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Declined {
    /// Why; never told to the customer.
    #[schema(min_length = 1, pattern = "\\S", example = "no capacity")]
    reason: String,
    /// Never told to the customer either.
    notes: Option<String>,
    /// Whether the customer is asked to choose another partner.
    #[serde(default = "yes")]
    #[schema(default = true)]
    notify_customer: bool,
}

/// How a deal ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Outcome {
    /// The final value; never without a currency.
    #[schema(value_type = Option<f64>, minimum = 0, example = 13000)]
    deal_value: Option<Number>,
    /// ISO 4217.
    #[serde(deserialize_with = "upper_case")]
    #[schema(pattern = "^[A-Za-z]{3}$", example = "EUR")]
    currency: Option<String>,
    /// Why it ended so.
    notes: Option<String>,
}

fn yes() -> bool {
    true
}

impl From<Outcome> for Terms {
    fn from(outcome: Outcome) -> Self {
        Self {
            deal_value: outcome.deal_value,
            currency: outcome.currency,
            notes: outcome.notes,
            ..Self::default()
        }
    }
}

/// Accepts a lead.
///
/// With the deal's terms, all of which may be left out and edited later. Scope: portal.
#[utoipa::path(post, path = "/leads/{id}/accept", operation_id = "acceptLead", tag = "answers",
    params(("id" = LeadId, Path, description = "The lead"), ("If-Match" = Option<String>, Header, description = "The ETag of what was seen, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    request_body(content = Option<Terms>, description = "The deal's terms"),
    responses((status = 200, description = "The lead as it is then", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn accept(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    JsonOrNothing(terms): JsonOrNothing<Option<Terms>>,
) -> Result<Tagged<Value>, Problem> {
    say(&site, &caller, id, &Action::Accept(terms.unwrap_or_default()), tag).await
}

/// Declines a lead.
///
/// The customer is asked to choose another partner, unless nobody wants that. Scope: portal.
#[utoipa::path(post, path = "/leads/{id}/decline", operation_id = "declineLead", tag = "answers",
    params(("id" = LeadId, Path, description = "The lead"), ("If-Match" = Option<String>, Header, description = "The ETag of what was seen, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    request_body = Declined,
    responses((status = 200, description = "The lead as it is then", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn decline(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    Json(declined): Json<Declined>,
) -> Result<Tagged<Value>, Problem> {
    let action = Action::Decline {
        reason: declined.reason,
        notes: declined.notes,
        notify_customer: declined.notify_customer,
    };
    say(&site, &caller, id, &action, tag).await
}

/// Closes an accepted lead as won.
///
/// Scope: portal.
#[utoipa::path(post, path = "/leads/{id}/won", operation_id = "winLead", tag = "answers",
    params(("id" = LeadId, Path, description = "The lead"), ("If-Match" = Option<String>, Header, description = "The ETag of what was seen, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    request_body(content = Option<Outcome>, description = "The final value, and why"),
    responses((status = 200, description = "The lead as it is then", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn won(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    JsonOrNothing(outcome): JsonOrNothing<Option<Outcome>>,
) -> Result<Tagged<Value>, Problem> {
    say(&site, &caller, id, &Action::Won(outcome.unwrap_or_default().into()), tag).await
}

/// Closes an accepted lead as lost.
///
/// Scope: portal.
#[utoipa::path(post, path = "/leads/{id}/lost", operation_id = "loseLead", tag = "answers",
    params(("id" = LeadId, Path, description = "The lead"), ("If-Match" = Option<String>, Header, description = "The ETag of what was seen, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    request_body(content = Option<Outcome>, description = "The final value, and why"),
    responses((status = 200, description = "The lead as it is then", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn lost(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    JsonOrNothing(outcome): JsonOrNothing<Option<Outcome>>,
) -> Result<Tagged<Value>, Problem> {
    say(&site, &caller, id, &Action::Lost(outcome.unwrap_or_default().into()), tag).await
}

/// Edits the terms of an accepted lead.
///
/// What is left out stays as it is; null or an empty list takes it away (RFC 7396). Scope: portal.
#[utoipa::path(patch, path = "/leads/{id}", operation_id = "editLead", tag = "answers",
    params(("id" = LeadId, Path, description = "The lead"), ("If-Match" = Option<String>, Header, description = "The ETag of what was seen, or several, or *", pattern = "^([*]|(W/)?\"[!#-~]*\"(, *(W/)?\"[!#-~]*\")*)$")),
    request_body = Terms,
    responses((status = 200, description = "The lead as it is then", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn edit(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    IfMatch(tag): IfMatch,
    Patch { fields, cleared }: Patch<Terms>,
) -> Result<Tagged<Value>, Problem> {
    let terms = Terms { cleared, ..fields };
    say(&site, &caller, id, &Action::Edit(terms), tag).await
}

/// Marks a lead as a favourite.
///
/// One that is marked stays so. Scope: portal.
#[utoipa::path(post, path = "/leads/{id}/favourite", operation_id = "markLead", tag = "answers", params(("id" = LeadId, Path, description = "The lead")),
    responses((status = 200, description = "The lead as it is then", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn favourite(State(site): State<Site>, Portal(caller): Portal, Path(id): Path<String>) -> Result<Tagged<Value>, Problem> {
    mark(&site, &caller, id, true).await
}

/// Takes the mark of a favourite away.
///
/// Scope: portal.
#[utoipa::path(post, path = "/leads/{id}/unfavourite", operation_id = "unmarkLead", tag = "answers", params(("id" = LeadId, Path, description = "The lead")),
    responses((status = 200, description = "The lead as it is then", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn unfavourite(State(site): State<Site>, Portal(caller): Portal, Path(id): Path<String>) -> Result<Tagged<Value>, Problem> {
    mark(&site, &caller, id, false).await
}

async fn mark(site: &Site, caller: &Caller, id: String, is_favourite: bool) -> Result<Tagged<Value>, Problem> {
    let id = LeadId::new(id);
    leads::find(&site.store, &id, caller.partner()).await?;
    let now = site.now();
    let lead = app::favourite::favourite(&site.store, now, &id, is_favourite, Some(caller.who())).await?;
    Ok(Tagged {
        tag: lead.tag(),
        value: lead.show(now),
    })
}

async fn say(site: &Site, caller: &Caller, id: String, action: &Action, tag: tag::IfMatch) -> Result<Tagged<Value>, Problem> {
    let id = LeadId::new(id);
    // A lead stays its partner's for good: whose it is needs no lock.
    leads::find(&site.store, &id, caller.partner()).await?;
    let now = site.now();
    let lead = answer(&site.store, now, &site.rules(), &id, action, &tag, Some(caller.who())).await?;
    Ok(Tagged {
        tag: lead.tag(),
        value: lead.show(now),
    })
}
