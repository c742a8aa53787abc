//! Refusals as problem details (RFC 9457): a stable `type` for each cause, and where it is about content, a pointer to each fault.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::app;
use crate::fault::Fault;

/// Why a request was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Stays the same for the same cause.
    #[serde(rename = "type")]
    #[schema(example = "urn:posthorn:problem:wrong-content")]
    kind: String,
    /// The cause in a few words.
    #[schema(example = "wrong content")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong, what would be right.
    #[schema(example = "the value is not one that this field may have")]
    detail: String,
    /// Every fault of the content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<At>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// One fault of a content.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct At {
    /// Where (RFC 6901); empty for the content as a whole.
    #[schema(example = "/customerProfile/team/0/email")]
    pub pointer: String,
    /// What was found, and what would be right.
    #[schema(example = "\"ada\" is not an e-mail address")]
    pub detail: String,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &'static str, detail: impl fmt::Display) -> Self {
        Self {
            kind: format!("urn:posthorn:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.to_string(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// 400: it cannot be read at all.
    pub fn unreadable(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unreadable", "unreadable request", detail)
    }

    /// 400 about one parameter of the query.
    pub fn wrong_parameter(name: &str, detail: impl fmt::Display) -> Self {
        let at = At {
            pointer: format!("/{name}"),
            detail: detail.to_string(),
        };
        Self {
            errors: vec![at],
            ..Self::unreadable("a parameter has a fault")
        }
    }

    /// 401: no token, or one that opens nothing.
    pub fn no_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "no-token",
            "a token is needed",
            "send Authorization: Bearer with a token that is valid here",
        )
    }

    /// 403: the token does not open this door.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "not allowed", "this token does not open this")
    }

    /// 404: there is no such thing, or not for this token.
    pub fn not_found(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "not found", detail)
    }

    /// 404: the path is none of ours.
    pub fn no_such_path() -> Self {
        Self::not_found("nothing is served here; /openapi.json names what is")
    }

    /// 405: the path has other methods.
    pub fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong-method",
            "method not allowed",
            "this path has other methods; /openapi.json names them",
        )
    }

    /// 409: the state is in the way.
    pub fn in_the_way(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, "state", "the state forbids it", detail)
    }

    /// 412: somebody has changed it since.
    pub fn stale(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", "changed since it was read", detail)
    }

    /// 413: more than is read.
    pub fn too_large(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "too large", detail)
    }

    /// 415: a content type that is not read here.
    pub fn wrong_type(detail: impl fmt::Display) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-type",
            "content type not read here",
            detail,
        )
    }

    /// 422: it can be read, and is wrong.
    pub fn wrong_content(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong-content", "wrong content", detail)
    }

    /// 422 with every fault of a record.
    pub fn faults(faults: &[Fault]) -> Self {
        let detail = if faults.len() == 1 {
            "the content has a fault"
        } else {
            "the content has faults"
        };
        Self {
            errors: faults.iter().map(At::from).collect(),
            ..Self::wrong_content(detail)
        }
    }

    /// 422 about one field.
    pub fn wrong_at(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        let at = At {
            pointer: pointer.into(),
            detail: detail.to_string(),
        };
        Self {
            errors: vec![at],
            ..Self::wrong_content("the content has a fault")
        }
    }

    /// 503: the database is away, or too much is under way.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        Self {
            retry_after: Some(RETRY_AFTER_SECONDS),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "not available now", detail)
        }
    }

    /// 500: a fault of ours.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "a fault of posthorn",
            "this should not happen; the log has more",
        )
    }

    /// Says that the same may go well in a moment.
    #[must_use]
    pub fn to_be_tried_again(self) -> Self {
        Self {
            retry_after: Some(RETRY_AFTER_SECONDS),
            ..self
        }
    }

    /// Returns its HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The refusals that any request may meet, for the description of the API.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let problem = |description: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = ResponseBuilder::new()
                .description(description)
                .content("application/problem+json", content);
            RefOr::T(response.build())
        };
        BTreeMap::from([
            ("4XX".to_owned(), problem("Refused: nothing was changed")),
            (
                "503".to_owned(),
                problem("The database is away, or it took too long; to be tried again"),
            ),
        ])
    }
}

/// Soon enough for a restart of the database, late enough not to storm it.
const RETRY_AFTER_SECONDS: u32 = 5;

impl From<&Fault> for At {
    fn from(fault: &Fault) -> Self {
        let whole = fault.to_string();
        let told = whole
            .strip_prefix(&fault.path)
            .map_or(whole.as_str(), |rest| rest.trim_start_matches(": "));
        Self {
            pointer: pointer(&fault.path),
            detail: told.to_owned(),
        }
    }
}

impl From<app::Wrong> for At {
    fn from(wrong: app::Wrong) -> Self {
        Self {
            pointer: wrong.pointer,
            detail: wrong.detail,
        }
    }
}

/// Returns the JSON pointer of a field path: `customerProfile.team[0].email` is `/customerProfile/team/0/email`.
pub fn pointer(path: &str) -> String {
    let parts = path
        .split(['.', '['])
        .map(|part| part.trim_end_matches(']'))
        .filter(|part| !part.is_empty());
    parts
        .map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")))
        .collect()
}

impl From<app::Error> for Problem {
    fn from(error: app::Error) -> Self {
        match error {
            // The way out that the command line has is none here.
            app::Error::NotFound(missing) => Self::not_found(missing.text),
            app::Error::Refused(detail) => Self::in_the_way(detail),
            app::Error::Stale(detail) => Self::stale(detail),
            app::Error::Input(wrongs) => Self {
                errors: wrongs.into_iter().map(At::from).collect(),
                ..Self::wrong_content("the content has a fault")
            },
            app::Error::Store(error) => {
                // What went wrong inside is for the log.
                tracing::error!("request not answered: {error}");
                Self::unavailable("posthorn cannot reach its database; try again")
            }
        }
    }
}

impl From<crate::store::Error> for Problem {
    fn from(error: crate::store::Error) -> Self {
        app::Error::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_string(&self).expect("a problem is plain data");
        let mut response = (self.status(), text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Gives refusals that a layer made, bare, the form of all others.
pub(super) async fn rewrite_bare(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let is_ours = |response: &Response| {
        let kind = response.headers().get(header::CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/"))
    };
    match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE if !is_ours(&response) => {
            Problem::too_large("a body of this path has a mebibyte at most; post many leads as NDJSON").into_response()
        }
        StatusCode::SERVICE_UNAVAILABLE if !is_ours(&response) => {
            Problem::unavailable("the request took too long; try again").into_response()
        }
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_path_becomes_a_json_pointer() {
        for (path, expected) in [
            ("", ""),
            ("id", "/id"),
            ("customerProfile.team[0].email", "/customerProfile/team/0/email"),
            ("[3].id", "/3/id"),
        ] {
            assert_eq!(pointer(path), expected, "{path}");
        }
    }

    #[test]
    fn a_fault_is_told_without_its_path() {
        let at = At::from(&Fault::wrong("callToAction", &"Contact".into(), "one of GetItNow, FreeTrial"));
        assert_eq!(at.pointer, "/callToAction");
        assert_eq!(at.detail, "\"Contact\" is not one of GetItNow, FreeTrial");
    }
}
