//! Makes a bearer token: shown once, and kept nowhere but as its SHA-256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cli::args::setup::{Scope as Wanted, TokenNew};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::fresh_key;
use crate::settings::{Scope, TokenHash};

/// What a token begins with, so that a leaked one is found by whoever looks for such.
const PREFIX: &str = "posthorn_";

/// `token new`
pub(crate) fn new(args: &TokenNew, ctx: &Context) -> Result<Exit, Failure> {
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(fresh_key()?));
    let hash = TokenHash(Sha256::digest(token.as_bytes()).into());
    let scopes: Vec<&str> = args.scopes.iter().map(|wanted| scope(*wanted).as_str()).collect();
    ctx.out.json(&json!({
        "name": args.name,
        "token": token,
        "sha256": hash.to_string(),
        "scopes": scopes,
        "partner": args.partner,
        "expires": args.expires,
    }));
    let mut entry = toml::Table::new();
    entry.insert("name".into(), args.name.as_str().into());
    entry.insert("sha256".into(), hash.to_string().into());
    entry.insert("scopes".into(), scopes.into());
    if let Some(partner) = &args.partner {
        entry.insert("partner".into(), partner.as_str().into());
    }
    if let Some(expires) = args.expires {
        entry.insert("expires".into(), expires.to_string().into());
    }
    ctx.out.line(&token);
    ctx.out.note("");
    ctx.out
        .note("Hand it to whoever is to use it: it is shown this once. Into the configuration, then restart posthorn:");
    ctx.out.note("");
    ctx.out.note(format_args!("[[http.tokens]]\n{}", entry.to_string().trim_end()));
    Ok(Exit::Done)
}

fn scope(wanted: Wanted) -> Scope {
    match wanted {
        Wanted::Intake => Scope::Intake,
        Wanted::Portal => Scope::Portal,
        Wanted::Ops => Scope::Ops,
        Wanted::Read => Scope::Read,
    }
}
