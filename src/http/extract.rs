//! The parts of a request, whose refusals are problems as all others are.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

/// The values in a path.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// The parameters behind the question mark; a type with `deny_unknown_fields` refuses those it does not know.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// A JSON body, read or answered.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(wrong)) => Err(Problem::not_found(format_args!(
                "there is nothing under this path: {}",
                wrong.body_text()
            ))),
            Err(_) => Err(Problem::internal()),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(wrong)) => Err(Problem::unreadable(wrong.body_text())),
            Err(_) => Err(Problem::internal()),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let essence = kind
            .unwrap_or("application/json")
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(Problem::wrong_type(format_args!(
                "{essence} is not read here; send application/json"
            )));
        }
        let bytes = match axum::body::Bytes::from_request(request, state).await {
            Ok(bytes) => bytes,
            Err(rejection) => return Err(body_refused(&rejection)),
        };
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|wrong| json_refused(&wrong))?;
        reader
            .end()
            .map_err(|wrong| Problem::unreadable(format_args!("after the JSON value: {wrong}")))?;
        Ok(Self(value))
    }
}

/// Says why a body could not be read.
pub fn body_refused(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large("a body of this path has a mebibyte at most");
    }
    Problem::unreadable("the body broke off")
}

/// Says where a JSON body is wrong: as text, or at which field.
fn json_refused(wrong: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = wrong.path().to_string();
    let inner = wrong.inner();
    if !inner.is_data() {
        return Problem::unreadable(format_args!("the body is not JSON: {inner}"));
    }
    let path = if path == "." { "" } else { path.as_str() };
    // The place in the text says less than the pointer.
    let told = inner.to_string();
    let told = told.rsplit_once(" at line ").map_or(told.as_str(), |(told, _)| told);
    Problem::wrong_at(super::problem::pointer(path), told)
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}
