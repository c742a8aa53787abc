//! What strangers may reach: the pages that links in mails lead to, on a listener of their own (`http.public_listen`).
//!
//! A link in a mail is followed by its reader, by scanners of mail servers and by whoever it was sent on to. So looking (GET, HEAD) changes nothing;
//! only a form that was sent from the page, or a mail program's one click (RFC 8058), does.
//!
//! A page about a mail is in the mail's language; where that has no pages, and on the page of a wrong link, it is in the first of the reader's
//! languages (`Accept-Language`) that has, else in that of `mail.locale`, else in English.
//!
//! **Invariants:** everything else is the same bare 404, whatever is wrong with a link; no page loads anything, runs a script, is kept or is listed.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Form, FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::forward::Forwarded;
use crate::app::from_mail::{self, Question, Replied, Reply};
use crate::app::{self, unsubscribe};
use crate::clean::without_nul;
use crate::delivery::pages::{Answer, Unsubscribe};
use crate::http::Site;
use crate::link::Purpose;
use crate::partner::EmailAddress;
use crate::template::{self, RenderedPage, Typed};

/// Bytes of a form at most: the notes have 3,000 characters, of three bytes, each written as three.
const FORM_BYTES_MAX: usize = 32 * 1024;
/// How long a request may take in all.
const REQUEST_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(20);
/// Characters of a one-line field, of a name in one, and of notes; what the page allows, too.
const LINE_CHARS_MAX: usize = 200;
const NOTES_CHARS_MAX: usize = 3000;
/// Languages of a reader that are looked at.
const LANGUAGES_MAX: usize = 8;

/// Returns everything that `http.public_listen` serves.
pub fn router(site: Site) -> Router {
    Router::new()
        .route("/u/{token}", get(look_at_subscription).post(change_subscription))
        .route("/a/{token}", get(look_at_lead).post(answer_lead))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIME_MAX))
        .layer(middleware::from_fn_with_state(site.clone(), crate::http::auth::wake_after_change))
        .layer(middleware::map_response(with_manners))
        .layer(CatchPanicLayer::custom(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
        .with_state(site)
}

/// The token of a link; empty, which opens nothing, where what stands in its place is no text (`/u/%ff`): a wrong link like all others.
struct Token(String);

impl<S: Send + Sync> FromRequestParts<S> for Token {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let found = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(found.map(|Path(token)| token).unwrap_or_default()))
    }
}

/// What a form sends, and a mail program's one click.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sent {
    #[serde(rename = "List-Unsubscribe")]
    one_click: String,
    #[serde(rename = "do")]
    wish: String,
    deal_name: String,
    notes: String,
    reason: String,
    address: String,
    name: String,
    /// The box of the accept page: sent only where it is ticked.
    read: String,
}

/// Why there is no page.
enum Refused {
    /// The link is none of ours.
    Nowhere,
    /// What came cannot be read, or says nothing that is known here.
    Unclear,
    /// It came from another site.
    Foreign,
    /// More than a form has.
    TooLarge,
    /// The database is away, or a template is wrong: the log has it.
    Broken,
}

async fn look_at_subscription(State(site): State<Site>, Token(token): Token, headers: HeaderMap) -> Response {
    let reader = Reader::of(&headers);
    let looked = unsubscribe::look(&site.store, site.now(), &token).await;
    let page = looked
        .map_err(Refused::from)
        .and_then(|found| reader.subscription(&site, &found, Unsubscribe::AsItIs));
    reader.answer(&site, page.map(|page| (StatusCode::OK, page)))
}

async fn change_subscription(State(site): State<Site>, Token(token): Token, request: Request) -> Response {
    let reader = Reader::of(request.headers());
    match changed(&site, &reader, &token, request).await {
        Ok(Changed::OneClick) => (StatusCode::OK, "unsubscribed\n").into_response(),
        Ok(Changed::Page(page)) => reader.answer(&site, Ok((StatusCode::OK, page))),
        Ok(Changed::Nothing(page)) => reader.answer(&site, Ok((StatusCode::BAD_REQUEST, page))),
        Err(refused) => reader.answer(&site, Err(refused)),
    }
}

enum Changed {
    /// A mail program did it, and reads no page.
    OneClick,
    /// A reader did.
    Page(RenderedPage),
    /// What was sent names nothing that can be done; the page says what can.
    Nothing(RenderedPage),
}

async fn changed(site: &Site, reader: &Reader, token: &str, request: Request) -> Result<Changed, Refused> {
    let (now, rules) = (site.now(), site.rules());
    let sent = match read(request).await {
        // What cannot be read says nothing that is known here.
        Err(Refused::Unclear) => Sent::default(),
        read => read?,
    };
    if sent.one_click == "One-Click" {
        unsubscribe::unsubscribe(&site.store, now, &rules, token).await?;
        return Ok(Changed::OneClick);
    }
    let (found, said) = match sent.wish.as_str() {
        "unsubscribe" => {
            let found = unsubscribe::unsubscribe(&site.store, now, &rules, token).await?;
            (found, Unsubscribe::AsItIs)
        }
        "resubscribe" => {
            let found = unsubscribe::subscribe_again(&site.store, now, &rules, token).await?;
            (found, Unsubscribe::Again)
        }
        _ => {
            let found = unsubscribe::look(&site.store, now, token).await?;
            return reader.subscription(site, &found, Unsubscribe::AsItIs).map(Changed::Nothing);
        }
    };
    reader.subscription(site, &found, said).map(Changed::Page)
}

async fn look_at_lead(State(site): State<Site>, Token(token): Token, headers: HeaderMap) -> Response {
    let reader = Reader::of(&headers);
    let looked = from_mail::look(&site.store, site.now(), &site.rules(), &token).await;
    let page = looked
        .map_err(Refused::from)
        .and_then(|question| reader.lead(&site, &question, &ask(&question, &Typed::default(), None)));
    reader.answer(&site, page.map(|page| (StatusCode::OK, page)))
}

async fn answer_lead(State(site): State<Site>, Token(token): Token, request: Request) -> Response {
    let reader = Reader::of(request.headers());
    let answered = answered(&site, &reader, &token, request).await;
    reader.answer(&site, answered)
}

async fn answered(site: &Site, reader: &Reader, token: &str, request: Request) -> Result<(StatusCode, RenderedPage), Refused> {
    let (now, rules) = (site.now(), site.rules());
    // Whether the link is ours is asked first: who has none is told nothing else.
    let question = from_mail::look(&site.store, now, &rules, token).await?;
    let sent = read(request).await?;
    // The button says what it does: a post without it was not made on the page.
    let is_meant = sent.wish == question.purpose.as_str();
    let typed = Typed::from(sent);
    let again = |question: &Question, status, typed: &Typed, problem| {
        reader
            .lead(site, question, &ask(question, typed, problem))
            .map(|page| (status, page))
    };
    if !question.lead.is_unanswered_at(now) {
        return again(&question, StatusCode::CONFLICT, &typed, None);
    }
    if !is_meant {
        return again(&question, StatusCode::BAD_REQUEST, &typed, Some("unclear"));
    }
    let reply = match reply(question.purpose, &typed) {
        Ok(reply) => reply,
        Err(problem) => return again(&question, StatusCode::UNPROCESSABLE_ENTITY, &typed, Some(problem)),
    };
    let (question, replied) = from_mail::reply(&site.store, now, &rules, token, reply).await?;
    let problem = match replied {
        Replied::Answered => return Ok((StatusCode::OK, reader.lead(site, &question, &Answer::Answered)?)),
        Replied::Forwarded(Forwarded::Queued) => return Ok((StatusCode::OK, reader.lead(site, &question, &Answer::SentOn(typed))?)),
        Replied::TooLate => None,
        Replied::Forwarded(Forwarded::ToldAlready) => Some("told_already"),
        Replied::Forwarded(Forwarded::Unreachable) => Some("unreachable"),
        Replied::Forwarded(Forwarded::TooOften) => Some("too_often"),
    };
    again(&question, StatusCode::CONFLICT, &typed, problem)
}

/// Asks, with what was typed before and what is wrong with it, and names for whom a lead is accepted.
fn ask(question: &Question, typed: &Typed, problem: Option<&'static str>) -> Answer {
    let name = question.partner.as_ref().and_then(|partner| partner.name.clone());
    Answer::Ask {
        typed: Typed {
            accepted_for: name.unwrap_or_else(|| question.lead.partner_id.to_string()),
            ..typed.clone()
        },
        problem,
    }
}

/// Returns what somebody says by a form, or what is wrong with it.
fn reply(purpose: Purpose, typed: &Typed) -> Result<Reply, &'static str> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match purpose {
        // Scanners send forms, too; a box that must be ticked is ticked by whoever reads it.
        Purpose::Accept if !typed.is_read => Err("read_missing"),
        Purpose::Accept => Ok(Reply::Accept {
            deal_name: some(&typed.deal_name),
            notes: some(&typed.notes),
        }),
        Purpose::Decline => Ok(Reply::Decline {
            reason: some(&typed.reason).ok_or("reason_missing")?,
            notes: some(&typed.notes),
        }),
        Purpose::Forward => Ok(Reply::Forward {
            address: typed.address.parse::<EmailAddress>().map_err(|_| "address_wrong")?,
            name: some(&typed.name),
        }),
        Purpose::Unsubscribe => Err("unclear"),
    }
}

async fn nowhere(State(site): State<Site>, headers: HeaderMap) -> Response {
    Reader::of(&headers).answer(&site, Err(Refused::Nowhere))
}

/// Reads a form, or a mail program's one click, which may come as `multipart/form-data` too (RFC 8058 §3.1).
async fn read(request: Request) -> Result<Sent, Refused> {
    if is_foreign(request.headers()) {
        return Err(Refused::Foreign);
    }
    if is_multipart(request.headers()) {
        let body = Bytes::from_request(request, &())
            .await
            .map_err(|rejection| refusal(rejection.status()))?;
        let body = String::from_utf8_lossy(&body);
        let is_one_click = body.contains("name=\"List-Unsubscribe\"") && body.lines().any(|line| line.trim() == "One-Click");
        return Ok(Sent {
            one_click: if is_one_click { "One-Click".to_owned() } else { String::new() },
            ..Sent::default()
        });
    }
    let form = Form::<Sent>::from_request(request, &()).await;
    form.map(|Form(sent)| sent).map_err(|rejection| refusal(rejection.status()))
}

/// A mail program says nothing of this; a browser says where a form stood. Only our own page has one that is meant.
fn is_foreign(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().starts_with("multipart/form-data"))
}

fn refusal(status: StatusCode) -> Refused {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Refused::TooLarge
    } else {
        Refused::Unclear
    }
}

/// Who reads a page, as far as his browser says.
struct Reader {
    languages: Vec<String>,
}

impl Reader {
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Self {
            languages: languages(accepted.unwrap_or_default()),
        }
    }

    fn languages(&self) -> Vec<&str> {
        self.languages.iter().map(String::as_str).collect()
    }

    fn subscription(&self, site: &Site, found: &unsubscribe::Subscription, said: Unsubscribe) -> Result<RenderedPage, Refused> {
        Ok(site.composer().unsubscribe_page(found, said, &self.languages())?)
    }

    fn lead(&self, site: &Site, question: &Question, said: &Answer) -> Result<RenderedPage, Refused> {
        Ok(site.composer().answer_page(site.now(), question, said, &self.languages())?)
    }

    fn answer(&self, site: &Site, page: Result<(StatusCode, RenderedPage), Refused>) -> Response {
        match page {
            Ok((status, page)) => shown(status, &page),
            Err(Refused::Nowhere) => match site.composer().nowhere_page(&self.languages()) {
                Ok(page) => shown(StatusCode::NOT_FOUND, &page),
                Err(error) => plain(Refused::from(error).status()),
            },
            Err(refused) => plain(refused.status()),
        }
    }
}

/// Returns the languages that a reader prefers, best first (RFC 9110 §12.5.4).
fn languages(accepted: &str) -> Vec<String> {
    let mut weighed: Vec<(u16, String)> = Vec::new();
    for entry in accepted.split(',').take(LANGUAGES_MAX) {
        let mut parts = entry.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(Some(1.0), |q| q.parse::<f32>().ok());
        let is_tag = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if let Some(weight) = weight.filter(|weight| is_tag && *weight > 0.0 && *weight <= 1.0) {
            weighed.push(((weight * 1000.0) as u16, tag.to_owned()));
        }
    }
    weighed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    weighed.into_iter().map(|(_, tag)| tag).collect()
}

/// Answers with a page, whose one style is let in by its hash and nothing else at all.
fn shown(status: StatusCode, page: &RenderedPage) -> Response {
    let style = STANDARD.encode(Sha256::digest(page.style.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_LANGUAGE, page.language.clone()),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (status, headers, page.html.clone()).into_response()
}

fn plain(status: StatusCode) -> Response {
    (
        status,
        format!("{}\n", status.canonical_reason().unwrap_or_default().to_lowercase()),
    )
        .into_response()
}

/// Puts on every answer what keeps it out of caches, lists, frames and other sites' logs. A page that says of itself what it lets in keeps that.
async fn with_manners(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex, nofollow"),
    );
    response
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Nowhere => StatusCode::NOT_FOUND,
            Self::Unclear => StatusCode::BAD_REQUEST,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<app::Error> for Refused {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::NotFound(_) => Self::Nowhere,
            app::Error::Refused(_) | app::Error::Input(_) => Self::Unclear,
            error => {
                tracing::error!("page not answered: {error}");
                Self::Broken
            }
        }
    }
}

impl From<template::Error> for Refused {
    fn from(error: template::Error) -> Self {
        tracing::error!("page not written: {error}");
        Self::Broken
    }
}

impl From<Sent> for Typed {
    fn from(sent: Sent) -> Self {
        let line = |text: &str| kept(text, LINE_CHARS_MAX, |c| c.is_control());
        Self {
            deal_name: line(&sent.deal_name),
            notes: kept(&sent.notes.replace("\r\n", "\n"), NOTES_CHARS_MAX, |c| c.is_control() && c != '\n'),
            reason: line(&sent.reason),
            address: line(&sent.address),
            name: line(&sent.name),
            is_read: sent.read == "yes",
            accepted_for: String::new(),
        }
    }
}

/// Returns what is kept of a field: no more than the page allows, and no control characters.
fn kept(text: &str, chars_max: usize, is_dropped: impl Fn(char) -> bool) -> String {
    let text: String = without_nul(text).chars().filter(|c| !is_dropped(*c)).take(chars_max).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-LOCALE
    #[test]
    fn a_readers_languages_are_tried_in_his_order() {
        for (accepted, expected) in [
            ("de-AT,de;q=0.9,en;q=0.8", &["de-AT", "de", "en"][..]),
            ("en;q=0.5, de", &["de", "en"]),
            ("*", &[]),
            ("de;q=0", &[]),
            ("", &[]),
            ("../../etc, de;q=nonsense, fr;q=0.1", &["fr"]),
        ] {
            assert_eq!(languages(accepted), expected, "{accepted}");
        }
        assert!(languages(&"en,".repeat(10_000)).len() <= LANGUAGES_MAX);
    }

    #[test]
    fn what_is_typed_is_cut_to_what_a_record_may_hold() {
        let typed = Typed::from(Sent {
            reason: " no\r\n capacity\0 ".to_owned(),
            notes: "one\r\n\r\ntwo\u{7}\n".to_owned(),
            deal_name: "ä".repeat(5000),
            ..Sent::default()
        });
        assert_eq!((typed.reason.as_str(), typed.notes.as_str()), ("no capacity", "one\n\ntwo"));
        assert_eq!(typed.deal_name.chars().count(), LINE_CHARS_MAX);
    }
}
