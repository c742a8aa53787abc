//! `/v1/leads`: looking at leads. Bringing them is `intake`, answering them `answers`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::explain::{Decision, LeadStory, explain_lead};
use crate::app::leads::{self, Filter, Order};
use crate::app::page::Page;
use crate::clock::wall_now;
use crate::http::extract::{Json, Path, Query, Tagged};
use crate::http::list::{Here, List, cursor, limit};
use crate::http::problem::{Problem, Refusals};
use crate::http::schema::LeadResource;
use crate::http::{Caller, Site};
use crate::lead::kind::Kind;
use crate::lead::{LeadId, OneOf, Stage};
use crate::time::Timestamp;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(explain))
        .routes(routes!(history))
}

/// Which leads, and in which order (`R-FILTER`).
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only this partner's.
    #[param(min_length = 1)]
    partner: Option<String>,
    /// Only those on these tabs: `Marketplace`, `Qualified`, `Favourites`; here and below in any case, several with commas between.
    tab: Option<String>,
    /// Only those that stand so: a status (`New`, `Active`, `Closed`) or a substatus (`Received`, `Accepted`, `Won`, `Lost`, `Declined`, `Expired`),
    /// in any case; several with commas between.
    #[param(
        pattern = "^(?i:New|Active|Closed|Received|Accepted|Won|Lost|Declined|Expired)(,(?i:New|Active|Closed|Received|Accepted|Won|Lost|Declined|Expired))*$"
    )]
    status: Option<String>,
    /// Only such leads, by the page that they came from: `Profile`, `Offer`.
    r#type: Option<String>,
    /// Only such leads: `contact`, `informational`, `shared`, `test`.
    kind: Option<String>,
    /// Only these: `GetItNow`, `FreeTrial`, `TestDrive`, `ContactMe`.
    call_to_action: Option<String>,
    /// Only from these countries, by code of two or three letters.
    country: Option<String>,
    /// Only of customers whose name holds this, whatever its case and accents.
    customer: Option<String>,
    /// Only from these: `AppSource`, `AzureMarketplace`, `AzurePortal`.
    source: Option<String>,
    /// Only those of this quality: `High`, `Low`.
    quality: Option<String>,
    /// Only those with such an e-mail: `Valid`, `Invalid`, `Spam`, `Unknown`.
    email_validity: Option<String>,
    /// Only those with such a phone: `Valid`, `Invalid`, `Unknown`.
    phone_validity: Option<String>,
    /// Only those that hold each of these words: id, customer, people, deal, notes, place, offer.
    search: Option<String>,
    /// Only those created then or later.
    created_from: Option<Timestamp>,
    /// Only those created before that.
    created_before: Option<Timestamp>,
    /// By `created`, `customer`, `emailValidity` or `phoneValidity`, the other way round with `-` before it.
    #[param(pattern = "^-?(?i:created|customer|emailValidity|phoneValidity)$", default = "-created")]
    sort: Option<String>,
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    cursor: Option<String>,
}

impl Wanted {
    /// Refuses what only a page has.
    pub(super) fn is_whole(&self) -> Result<(), Problem> {
        let name = match (self.limit, &self.cursor) {
            (Some(_), _) => "limit",
            (None, Some(_)) => "cursor",
            (None, None) => return Ok(()),
        };
        Err(Problem::wrong_parameter(name, "an export is not read by the page; leave it out"))
    }

    /// Returns the filter that is meant, of the caller's own partner where he has one.
    pub(super) fn filter(self, caller: &Caller) -> Result<Filter, Problem> {
        Ok(Filter {
            partner: super::partner_of(caller, self.partner)?,
            stages: stages(self.status.as_deref())?,
            kinds: words("kind", self.kind.as_deref(), "contact, informational, shared, test", |word| {
                Kind::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
            })?,
            tabs: values("tab", self.tab.as_deref())?,
            origins: values("type", self.r#type.as_deref())?,
            calls_to_action: values("callToAction", self.call_to_action.as_deref())?,
            countries: words("country", self.country.as_deref(), "a country", |word| {
                (!word.is_empty()).then(|| word.to_owned())
            })?,
            sources: values("source", self.source.as_deref())?,
            qualities: values("quality", self.quality.as_deref())?,
            email_validities: values("emailValidity", self.email_validity.as_deref())?,
            phone_validities: values("phoneValidity", self.phone_validity.as_deref())?,
            customer: self.customer,
            search: self.search,
            created_from: self.created_from,
            created_before: self.created_before,
            order: match self.sort {
                None => Order::default(),
                Some(text) => text
                    .parse()
                    .map_err(|wrong: String| Problem::wrong_parameter("sort", format_args!("{wrong}")))?,
            },
        })
    }
}

/// Reads the words of a list with commas between.
fn words<T>(name: &str, text: Option<&str>, expected: &str, find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Problem> {
    let read =
        |word: &str| find(word.trim()).ok_or_else(|| Problem::wrong_parameter(name, format_args!("{word:?} is not one of {expected}")));
    text.into_iter().flat_map(|words| words.split(',')).map(read).collect()
}

fn values<T: OneOf>(name: &str, text: Option<&str>) -> Result<Vec<T>, Problem> {
    words(name, text, T::expected().trim_start_matches("one of "), T::find)
}

/// Lists leads.
///
/// As they are now, the newest first. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/leads", operation_id = "listLeads", tag = "leads", params(Wanted),
    responses((status = 200, description = "A page of leads", body = List<LeadResource>), Refusals))]
async fn list(State(site): State<Site>, caller: Caller, here: Here, Query(wanted): Query<Wanted>) -> Result<Json<List<Value>>, Problem> {
    caller.may_look()?;
    let (from, limit) = (cursor(wanted.cursor.clone()), limit(wanted.limit)?);
    let filter = wanted.filter(&caller)?;
    let now = site.now();
    let page = leads::page(&site.store, now, &filter, from.as_ref(), limit).await?;
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
