//! `/v1/leads`: looking at leads. Bringing them is `intake`, answering them `answers`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::explain::{Decision, LeadStory, explain_lead};
use crate::app::leads::{self, Filter};
use crate::app::page::Page;
use crate::clock::wall_now;
use crate::http::extract::{Json, Path, Query, Tagged};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::schema::LeadResource;
use crate::http::{Caller, Site};
use crate::lead::{LeadId, Stage};
use crate::time::Timestamp;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(explain))
        .routes(routes!(history))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only this partner's.
    #[param(min_length = 1)]
    partner: Option<String>,
    /// Only those that stand so: a status (`New`, `Active`, `Closed`) or a substatus (`Received`, `Accepted`, `Won`, `Lost`, `Declined`, `Expired`),
    /// in any case; several with commas between.
    #[param(
        pattern = "^(?i:New|Active|Closed|Received|Accepted|Won|Lost|Declined|Expired)(,(?i:New|Active|Closed|Received|Accepted|Won|Lost|Declined|Expired))*$"
    )]
    status: Option<String>,
    /// Only those created then or later.
    created_from: Option<Timestamp>,
    /// Only those created before that.
    created_before: Option<Timestamp>,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    cursor: Option<String>,
}

/// Lists leads.
///
/// As they are now, the newest first. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/leads", operation_id = "listLeads", tag = "leads", params(Wanted),
    responses((status = 200, description = "A page of leads", body = List<LeadResource>), Refusals))]
async fn list(State(site): State<Site>, caller: Caller, here: Here, Query(wanted): Query<Wanted>) -> Result<Json<List<Value>>, Problem> {
    caller.may_look()?;
    let partner = super::partner_of(&caller, wanted.partner)?;
    let filter = Filter {
        partner,
        stages: stages(wanted.status.as_deref())?,
        created_from: wanted.created_from,
        created_before: wanted.created_before,
    };
    let now = site.now();
    let page = leads::page(&site.store, now, &filter, cursor(wanted.cursor).as_ref(), limit(wanted.limit)?).await?;
    let shown = Page {
        value: leads::shown(&page.value, now),
        next: page.next,
    };
    Ok(Json(List::new(shown, &here)))
}

fn stages(status: Option<&str>) -> Result<Vec<Stage>, Problem> {
    let mut stages = Vec::new();
    for word in status.into_iter().flat_map(|words| words.split(',')) {
        let meant = Stage::from_wire(word.trim());
        if meant.is_empty() {
            return Err(Problem::wrong_parameter(
                "status",
                format_args!("{word:?} is not one of New, Active, Closed, Received, Accepted, Won, Lost, Declined, Expired"),
            ));
        }
        stages.extend(meant);
    }
    Ok(stages)
}

/// Shows a lead.
///
/// The referral resource as it is now, unknown fields included. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/leads/{id}", operation_id = "getLead", tag = "leads", params(("id" = LeadId, Path, description = "The lead")),
    responses(
        (status = 200, description = "The lead", body = LeadResource, headers(("ETag" = String, description = "For If-Match"))),
        Refusals
    ))]
async fn show(State(site): State<Site>, caller: Caller, Path(id): Path<String>) -> Result<Tagged<Value>, Problem> {
    caller.may_look()?;
    let lead = leads::find(&site.store, &LeadId::new(id), caller.partner()).await?;
    Ok(Tagged {
        tag: lead.tag(),
        value: lead.show(site.now()),
    })
}

/// Explains a lead.
///
/// Who was told what, when and why, or why nobody was. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/leads/{id}/explain", operation_id = "explainLead", tag = "leads", params(("id" = LeadId, Path, description = "The lead")),
    responses((status = 200, description = "Its story", body = LeadStory), Refusals))]
async fn explain(State(site): State<Site>, caller: Caller, Path(id): Path<String>) -> Result<Json<LeadStory>, Problem> {
    caller.may_look()?;
    let story = explain_lead(
        &site.store,
        site.now(),
        wall_now(),
        &site.rules(),
        &LeadId::new(id),
        caller.partner(),
    )
    .await?;
    Ok(Json(story))
}

/// What was decided about a lead.
#[derive(Debug, Serialize, ToSchema)]
struct History {
    /// The decisions, oldest first.
    value: Vec<Decision>,
}

/// Lists what was decided about a lead.
///
/// Oldest first, each with its rule. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/leads/{id}/history", operation_id = "listLeadHistory", tag = "leads", params(("id" = LeadId, Path, description = "The lead")),
    responses((status = 200, description = "Its history", body = History), Refusals))]
async fn history(State(site): State<Site>, caller: Caller, Path(id): Path<String>) -> Result<Json<History>, Problem> {
    caller.may_look()?;
    let value = leads::history(&site.store, &LeadId::new(id), caller.partner()).await?;
    Ok(Json(History { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_means_its_stages() {
        for (status, expected) in [
            (None, vec![]),
            (Some("new"), vec![Stage::Received]),
            (Some("Won,Lost"), vec![Stage::Won, Stage::Lost]),
            (Some("Closed"), vec![Stage::Won, Stage::Lost, Stage::Declined, Stage::Expired]),
        ] {
            assert_eq!(stages(status).expect("words of the wire"), expected, "{status:?}");
        }
        for wrong in ["", "Lots", "New,", "New;Active"] {
            assert_eq!(stages(Some(wrong)).expect_err(wrong).status(), 400);
        }
    }
}
