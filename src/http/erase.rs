//! `/v1/leads/{id}/erase`: erases the personal data of a lead (`R-ERASE`).

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::erase::{Wish, erase as erase_one};
use crate::app::leads;
use crate::http::Site;
use crate::http::auth::Portal;
use crate::http::extract::{JsonOrNothing, Path, Tagged};
use crate::http::problem::{Problem, Refusals};
use crate::http::schema::LeadResource;
use crate::lead::LeadId;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(erase))
}

/// Who wants a lead erased, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Erasure {
    /// Who; the caller where nobody is named.
    by: Option<String>,
    /// Why. It stands in the history, so it is to name no customer.
    #[schema(example = "the customer asked for it")]
    reason: Option<String>,
}

/// Erases the personal data of a lead.
///
/// For good: what counts stays, and its history. One that is erased already stays as it is. Scope: portal.
#[utoipa::path(post, path = "/leads/{id}/erase", operation_id = "eraseLead", tag = "leads",
    params(("id" = LeadId, Path, description = "The lead")),
    request_body(content = Option<Erasure>, description = "Who wants it, and why"),
    responses((status = 200, description = "What is left of the lead", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))), Refusals))]
async fn erase(
    State(site): State<Site>,
    Portal(caller): Portal,
    Path(id): Path<String>,
    JsonOrNothing(erasure): JsonOrNothing<Option<Erasure>>,
) -> Result<Tagged<Value>, Problem> {
    let id = LeadId::new(id);
    // A lead stays its partner's for good: whose it is needs no lock.
    leads::find(&site.store, &id, caller.partner()).await?;
    let now = site.now();
    let erasure = erasure.unwrap_or_default();
    let wish = Wish {
        by: Some(erasure.by.as_deref().unwrap_or(caller.who())),
        reason: erasure.reason.as_deref(),
    };
    let lead = erase_one(&site.store, now, &site.rules(), &id, wish).await?;
    Ok(Tagged {
        tag: lead.tag(),
        value: lead.show(now),
    })
}
