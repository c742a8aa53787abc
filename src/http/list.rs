//! Lists in pages: `value`, and `nextLink` where there is more.

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::page::{Cursor, LIMIT_MAX, Page};
use crate::http::problem::Problem;

/// Rows of a page where the caller does not say.
const LIMIT: usize = 50;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The rows.
    pub value: Vec<T>,
    /// The address of the next page, relative to this one's; none behind the last row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_link: Option<String>,
}

/// The parameters of a list that knows no filter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Rows of a page at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<usize>,
    /// Where the page begins; taken from `nextLink`.
    pub cursor: Option<String>,
}

/// The address that was asked for: what `nextLink` is made of.
#[derive(Debug)]
pub struct Here(axum::http::Uri);

impl<S: Send + Sync> FromRequestParts<S> for Here {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, state).await?;
        Ok(Self(uri))
    }
}

impl Here {
    /// Returns this address with another value of one parameter.
    pub fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.query().unwrap_or_default().split('&').filter(|pair| {
            let key = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && key != name
        });
        let pairs: Vec<String> = kept.map(str::to_owned).chain([format!("{name}={value}")]).collect();
        format!("{}?{}", self.0.path(), pairs.join("&"))
    }
}

/// Returns how many rows the caller wants.
///
/// # Errors
/// 400, if it is none, or more than a page takes.
pub fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        other => Err(Problem::wrong_parameter(
            "limit",
            format_args!("{other} is not a number from 1 to {LIMIT_MAX}"),
        )),
    }
}

/// Returns where the caller wants the page to begin.
pub fn cursor(text: Option<String>) -> Option<Cursor> {
    text.map(Cursor::new)
}

impl<T> List<T> {
    /// Makes an answer of a page.
    pub fn new(page: Page<T>, here: &Here) -> Self {
        Self {
            next_link: page.next.map(|next| here.with("cursor", next.as_str())),
            value: page.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_for_as_this_one_was() {
        for (here, next) in [
            ("/v1/leads", "/v1/leads?cursor=new"),
            ("/v1/leads?limit=2&partner=a%26b", "/v1/leads?limit=2&partner=a%26b&cursor=new"),
            ("/v1/leads?cursor=old&limit=2", "/v1/leads?limit=2&cursor=new"),
        ] {
            assert_eq!(Here(here.parse().expect("a literal")).with("cursor", "new"), next, "{here}");
        }
    }

    #[test]
    fn a_page_is_bounded() {
        assert_eq!(limit(None).ok(), Some(50));
        assert_eq!(limit(Some(200)).ok(), Some(200));
        for wrong in [0, 201, usize::MAX] {
            assert_eq!(limit(Some(wrong)).expect_err("out of bounds").status(), 400);
        }
    }
}
