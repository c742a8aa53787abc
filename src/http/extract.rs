//! The parts of a request, whose refusals are problems as all others are.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::clean::{clean_text, without_bom};
use crate::http::problem::Problem;
use crate::tag;

/// The values in a path.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// The parameters behind the question mark; a type with `deny_unknown_fields` refuses those it does not know.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// A JSON body that may be left out, which says nothing.
#[derive(Debug)]
pub struct JsonOrNothing<T>(pub T);

/// A JSON body that changes another one's fields (RFC 7396).
#[derive(Debug)]
pub struct Patch<T> {
    /// What they are to say.
    pub fields: T,
    /// Those to take away: null, or a list of nothing.
    pub cleared: BTreeSet<String>,
}

/// What the caller has seen (`If-Match`).
#[derive(Debug)]
pub struct IfMatch(pub tag::IfMatch);

/// An answer with its tag (`ETag`).
#[derive(Debug)]
pub struct Tagged<T> {
    /// Without quotation marks.
    pub tag: String,
    /// The answer.
    pub value: T,
}

/// U+0000 as it travels in an address.
const NUL: &str = "%00";

/// A JSON body, read or answered.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // No id has it, and no database takes it.
        if parts.uri.path().contains(NUL) {
            return Err(Problem::not_found("there is nothing under this path"));
        }
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(wrong)) => Err(Problem::not_found(nothing_there(&wrong.body_text()))),
            Err(_) => Err(Problem::internal()),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains(NUL)) {
            return Err(Problem::unreadable("a parameter holds U+0000"));
        }
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(wrong)) => Err(query_refused(&wrong.body_text())),
            Err(_) => Err(Problem::internal()),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(read_json(&json_body(request, state).await?)?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Patch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = json_body(request, state).await?;
        let fields = read_json(&bytes)?;
        let said: Map<String, Value> = read_json(&bytes)?;
        let is_cleared = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        let cleared = said
            .into_iter()
            .filter(|(_, value)| is_cleared(value))
            .map(|(key, _)| key)
            .collect();
        Ok(Self { fields, cleared })
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = match Bytes::from_request(Request::new(body), state).await {
            Ok(bytes) if bytes.is_empty() => return Ok(Self(T::default())),
            Ok(bytes) => bytes,
            Err(rejection) => return Err(body_refused(&rejection)),
        };
        let again = Request::from_parts(parts, axum::body::Body::from(bytes));
        Ok(Self(Json::from_request(again, state).await?.0))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Several headers are one list (RFC 9110 §5.3).
        let sent: Vec<&str> = parts
            .headers
            .get_all(header::IF_MATCH)
            .iter()
            .map(|value| value.to_str().unwrap_or_default())
            .collect();
        if sent.is_empty() {
            return Ok(Self(tag::IfMatch::Unsaid));
        }
        let seen = tag::IfMatch::parse(&sent.join(","));
        let wrong =
            || Problem::unreadable("If-Match takes ETags, in quotation marks as they were answered and with commas between them, or *");
        seen.map(Self).ok_or_else(wrong)
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let tag = HeaderValue::try_from(format!("\"{}\"", self.tag)).expect("a tag is hexadecimal");
        ([(header::ETAG, tag)], Json(self.value)).into_response()
    }
}

/// Returns the body of a request that says it is JSON, or does not say.
async fn json_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
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
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| body_refused(&rejection))
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|wrong| Problem::unreadable(format_args!("the body is not UTF-8: {wrong}")))?;
    let cleaned = clean_text(without_bom(text));
    // A list would be read as an object's values in order, and `[]` as an object that says nothing.
    if cleaned.trim_start().starts_with('[') {
        return Err(Problem::wrong_at("", "the body is a list; an object is wanted: { … }"));
    }
    let mut reader = serde_json::Deserializer::from_str(&cleaned);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|wrong| json_refused(&wrong))?;
    reader
        .end()
        .map_err(|wrong| Problem::unreadable(format_args!("after the JSON value: {wrong}")))?;
    Ok(value)
}

/// Says why there is nothing under a path: ``Invalid URL: Cannot parse `zz` to a `i64` ``.
fn nothing_there(told: &str) -> String {
    match told.split('`').nth(1).filter(|_| told.contains("`i64`")) {
        Some(part) => format!("there is nothing under this path: ids here are whole numbers, and {part:?} is none"),
        None => format!("there is nothing under this path: {told}"),
    }
}

/// Says which parameter is wrong: `limit: invalid digit found in string`, `unknown field \`x\`, expected …`.
fn query_refused(told: &str) -> Problem {
    let told = told.strip_prefix("Failed to deserialize query string: ").unwrap_or(told);
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let named = told.split_once(": ").filter(|(name, _)| is_name(name));
    let (name, detail) = named.unwrap_or_else(|| (told.split('`').nth(1).unwrap_or_default(), told));
    let detail = detail
        .replace("unknown field", "unknown parameter")
        .replace("missing field", "missing parameter")
        .replace("duplicate field", "more than one parameter")
        .replace("invalid digit found in string", "not a whole number, 0 or more")
        .replace("provided string was not `true` or `false`", "neither true nor false");
    Problem::wrong_parameter(name, detail)
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
    let mut pointer = super::problem::pointer(path);
    if let Some(missing) = told.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        pointer = format!("{pointer}/{missing}");
    }
    Problem::wrong_at(pointer, in_words_of_json(told))
}

/// Says what is wrong in words of JSON, not of Rust: `invalid type: map, expected a sequence`, `…, expected struct Terms`.
fn in_words_of_json(told: &str) -> String {
    let Some((found, expected)) = told.rsplit_once(", expected ") else {
        return told.to_owned();
    };
    let found = match found.strip_prefix("invalid type: ") {
        Some("map") => "invalid type: an object",
        Some("sequence") => "invalid type: a list",
        _ => found,
    };
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    };
    format!("{found}, expected {expected}")
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}
