//! All kinds of mail in all languages on one page of the browser, on phone and desktop, light and dark, drawn anew whenever a file changes.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::outbox::Kind;
use crate::template::{Look, Set, fingerprint, samples};

const PAGE: &str = include_str!("serve.html");

/// How a template asks for dark mode: the page shows both ways, whatever the machine is set to.
const ASKS_FOR_DARK: &str = "@media (prefers-color-scheme: dark)";

/// What is shown.
struct Shown {
    look: Look,
    fingerprint: u64,
    /// The last set without faults.
    set: Set,
    faults: Vec<String>,
}

type Shared = Arc<Mutex<Shown>>;

/// `template preview --serve`
pub(super) async fn serve(look: Look, port: u16, ctx: &Context) -> Result<Exit, Failure> {
    let shown = Shown {
        fingerprint: fingerprint(look.folders.iter().map(PathBuf::as_path)),
        // A folder that is wrong from the start shows its faults over the built-in mails.
        set: Set::load(None)?,
        faults: Vec::new(),
        look,
    };
    let shared = Arc::new(Mutex::new(shown));
    lock(&shared).load();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener =
        listener.map_err(|error| Failure::unavailable(format_args!("cannot listen on 127.0.0.1:{port}: {error}; try --port")))?;
    let address = listener.local_addr().map_err(Failure::unavailable)?;
    ctx.out.line(format_args!("http://{address}/"));
    ctx.out.flush();
    ctx.out
        .note("open it in a browser; it follows every change of a file. Ctrl-C ends it");
    let stop = async {
        // Where Ctrl-C cannot be heard, it ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    axum::serve(listener, router(shared))
        .with_graceful_shutdown(stop)
        .await
        .map_err(Failure::unavailable)?;
    Ok(Exit::Done)
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/state", get(state))
        .route("/mail/{kind}/{language}/{sample}", get(mail))
        .with_state(shared)
}

fn lock(shared: &Shared) -> MutexGuard<'_, Shown> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    fn load(&mut self) {
        match Set::load_all(self.look.clone()) {
            Ok((set, faults)) if faults.is_empty() => {
                self.set = set;
                self.faults.clear();
            }
            Ok((_, faults)) => self.faults = faults.iter().map(ToString::to_string).collect(),
            Err(fault) => self.faults = vec![fault.to_string()],
        }
        self.faults.dedup();
    }

    fn look_again(&mut self) {
        let fingerprint = fingerprint(self.look.folders.iter().map(PathBuf::as_path));
        if fingerprint != self.fingerprint {
            self.fingerprint = fingerprint;
            self.load();
        }
    }
}

async fn state(State(shared): State<Shared>) -> Json<Value> {
    // A load takes some 40 ms, for one person who has just saved a file.
    let mut shown = lock(&shared);
    shown.look_again();
    let names: Vec<&str> = samples(Kind::Lead, "en").iter().map(|sample| sample.name).collect();
    Json(json!({
        "version": shown.fingerprint.to_string(),
        "faults": shown.faults,
        "kinds": Kind::ALL.map(Kind::as_str),
        "languages": shown.set.languages().collect::<Vec<_>>(),
        "samples": names,
    }))
}

#[derive(Deserialize)]
struct Shade {
    #[serde(default)]
    format: String,
    #[serde(default)]
    look: String,
}

async fn mail(
    State(shared): State<Shared>,
    Path((kind, language, sample)): Path<(String, String, String)>,
    Query(look): Query<Shade>,
) -> Response {
    let Ok(kind) = kind.parse::<Kind>() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let shown = lock(&shared);
    let Some(sample) = shown.set.samples(kind, &language).into_iter().find(|one| one.name == sample) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mail = match shown.set.render(kind, &language, &sample.view) {
        Ok(mail) => mail,
        Err(fault) => return (StatusCode::UNPROCESSABLE_ENTITY, fault.to_string()).into_response(),
    };
    if look.format == "text" {
        let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
        return (plain, format!("Subject: {}\n\n{}", mail.subject, mail.text)).into_response();
    }
    let asked = if look.look == "dark" { "@media all" } else { "@media not all" };
    Html(mail.html.replace(ASKS_FOR_DARK, asked)).into_response()
}
