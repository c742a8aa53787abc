//! Whether the configuration is right, what it means, and what is in force.

use serde_json::{Map, Value, json};

use crate::cli::args::setup::{ConfigCheck, ConfigShow};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::signer;
use crate::settings::{Mode, Settings, Transport};
use crate::time::Timestamp;

/// `config check`; a wrong configuration was refused before this is called.
pub(crate) fn check(_: &ConfigCheck, ctx: &Context) -> Result<Exit, Failure> {
    let mut missing: Vec<String> = ctx.loaded.missing_files().iter().map(ToString::to_string).collect();
    let record = match signer(ctx) {
        Ok(signer) => signer.map(|signer| signer.record()),
        Err(fault) => {
            missing.push(fault.to_string());
            None
        }
    };
    if !missing.is_empty() {
        return Err(Failure::input(missing.join("\n")));
    }
    let (file, notes) = (ctx.loaded.file(), ctx.loaded.notes());
    let dkim = record.as_ref().map(|(name, text)| json!({ "record": name, "text": text }));
    ctx.out
        .json(&json!({ "file": file, "isRight": true, "notes": notes, "dkim": dkim }));
    match file {
        Some(file) => ctx.out.line(format_args!("{} is right.", file.display())),
        None => ctx.out.line("There is no configuration file; the defaults are in force."),
    }
    for line in meaning(ctx.settings(), ctx.now()) {
        ctx.out.line(line);
    }
    if let Some((name, text)) = record {
        ctx.out.line("Mails are signed (DKIM). In the DNS the key is the TXT record");
        ctx.out.line(format_args!("  {name}\n  {text}"));
    }
    for note in notes {
        ctx.out.line(format_args!("Note: {note}."));
    }
    Ok(Exit::Done)
}

/// Says in words what is set, for somebody who wonders whether it is what he meant.
fn meaning(settings: &Settings, now: Timestamp) -> Vec<String> {
    let Settings { mail, policy, .. } = settings;
    let way = match mail.transport {
        Transport::Maildir => format!("is written to the Maildir {}", mail.maildir.display()),
        Transport::Smtp => {
            let relays: Vec<String> = settings
                .smtp
                .relays
                .iter()
                .map(|relay| format!("{}:{}", relay.host, relay.port))
                .collect();
            format!("is handed to {}", relays.join(", else "))
        }
    };
    let mode = match (settings.mode, &mail.redirect_to) {
        (Mode::Live, _) => format!("Mode live: mail {way}."),
        (Mode::Redirect, Some(address)) => format!("Mode redirect: mail {way}, all of it addressed to {address}."),
        (Mode::Redirect, None) => format!("Mode redirect: mail {way}."),
        (Mode::Dry, _) => "Mode dry: nothing leaves.".into(),
    };
    let digest = match policy.digest_threshold {
        0 => "A partner's leads all wait for its digest".into(),
        1 => "A partner's first lead of a day is mailed at once, the rest wait for its digest".into(),
        n => format!("A partner's first {n} leads of a day are mailed at once, the rest wait for its digest"),
    };
    let (cron, zone) = (policy.digest_cron.as_str(), policy.time_zone.name());
    let next = policy.time_zone.local(policy.digest_cron.next_fire(policy.time_zone, now));
    let next = format!("The next fire in {zone} is on {}.", next.format("%A, %-d %B %Y, at %H:%M"));
    vec![
        mode,
        format!("The database is {}.", settings.database.url),
        format!("{digest}, which fires at {cron:?} in {zone}."),
        next,
    ]
}

/// `config show`
pub(crate) fn show(_: &ConfigShow, ctx: &Context) -> Result<Exit, Failure> {
    ctx.out.json(&as_json(ctx));
    let mut table = "";
    let rows = ctx.loaded.rows();
    for (row, place) in &rows {
        let (of, key) = row.key.split_once('.').unwrap_or(("", &row.key));
        if of != table {
            table = of;
            ctx.out.line(format_args!("\n[{table}]"));
        }
        let setting = match &row.value {
            Some(value) => format!("{key} = {value}"),
            None => format!("# {key} is unset"),
        };
        ctx.out.line(format_args!("{setting:<47} # {place}"));
    }
    Ok(Exit::Done)
}

fn as_json(ctx: &Context) -> Value {
    let mut root = Value::Object(Map::new());
    for (row, _) in ctx.loaded.rows() {
        // No name has a dot in it: each stands between a table and what is in it.
        let at = row.key.split('.').fold(&mut root, |table, name| &mut table[name]);
        *at = json!(row.value);
    }
    root
}
