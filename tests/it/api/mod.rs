//! What the portal's systems do over HTTP, over real sockets: `serve` runs, a client asks.

mod actions;
mod answers;
mod doors;
mod lists;
mod operations;
mod partners;
mod schema;

use serde_json::Value;

use crate::doors::{token, with_tokens};
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, ndjson};
use crate::support::web::Web;

/// An instant so many minutes ago: `serve` runs on the machine's clock.
pub fn ago(minutes: i64) -> String {
    let at = chrono::Utc::now() - chrono::TimeDelta::minutes(minutes);
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A lead that came just now.
pub fn fresh(id: &str) -> Lead {
    lead(id).created(&ago(10))
}

/// Runs a test against a server with an operator's token for everything, on both engines.
pub fn served(test: impl Fn(&Posthorn, &Web)) {
    both(|posthorn| {
        let (secret, entry) = token(
            posthorn,
            &[
                "--name", "all", "--scope", "intake", "--scope", "portal", "--scope", "ops", "--scope", "read",
            ],
        );
        with_tokens(posthorn, &[entry]);
        let web = Web::start(posthorn);
        web.with_token(&secret);
        test(posthorn, &web);
        web.stop();
    });
}

/// Posts leads, all of which must be taken in.
#[track_caller]
pub fn bring<I: IntoIterator>(web: &Web, leads: I)
where
    Value: From<I::Item>,
{
    let headers = [("content-type", "application/x-ndjson")];
    let answer = web.send("POST", "/v1/leads", &headers, Some(ndjson(leads))).expect(200);
    for line in answer.text.lines() {
        assert!(line.contains("\"outcome\":\"new\""), "{line}");
    }
}

/// Puts a partner.
#[track_caller]
pub fn put_partner(web: &Web, record: impl Into<Value>) {
    let record: Value = record.into();
    let id = record["id"].as_str().expect("an id").to_owned();
    let answer = web.put(&format!("/v1/partners/{id}"), &record);
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
}

/// Walks a list to its end and returns the values of one field.
#[track_caller]
pub fn walk(web: &Web, first: &str, field: &str) -> Vec<String> {
    let (mut values, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let page = web.get_json(&path);
        let rows = page["value"].as_array().expect("a list");
        values.extend(
            rows.iter()
                .map(|row| row[field].as_str().map_or_else(|| row[field].to_string(), str::to_owned)),
        );
        next = page["nextLink"].as_str().map(str::to_owned);
        assert!(values.len() < 10_000, "{first} has no end");
    }
    values
}
