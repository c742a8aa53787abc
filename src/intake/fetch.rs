//! Fetches the resources that the portal's webhook named, where the configuration says from where and with which token.
//!
//! **Invariant:** nothing is fetched from anywhere but below `portal.resource_url`: an event is only as good as whoever sent it, and the token goes to the
//! portal alone.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use crate::app::resource::{Fetched, claim, record};
use crate::app::take_in::{Origin, Outcome, take_in};
use crate::app::{self, Rules};
use crate::clock::Next;
use crate::intake::batch::incoming;
use crate::intake::file::{Item, RECORD_BYTES_MAX};
use crate::settings::{Settings, secret};
use crate::store::Store;
use crate::store::resources::Resource;
use crate::time::Timestamp;

/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Fetches resources.
pub struct Fetches {
    store: Store,
    fetcher: Option<Fetcher>,
}

#[derive(Clone)]
struct Fetcher {
    client: Client,
    base: Arc<str>,
    token_file: Option<Arc<std::path::Path>>,
}

/// Why it cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct Error(#[source] reqwest::Error);

impl Fetches {
    /// Sets it up. Without `portal.resource_url` nothing is fetched.
    ///
    /// # Errors
    /// The system's certificates cannot be read, for one.
    pub fn new(store: &Store, settings: &Settings) -> Result<Self, Error> {
        let portal = &settings.portal;
        let fetcher = match &portal.resource_url {
            None => None,
            Some(base) => {
                rustls::crypto::ring::default_provider().install_default().ok();
                // A redirect would carry the token to somebody whom nobody named.
                let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
                let client = client.user_agent(concat!("posthorn/", env!("CARGO_PKG_VERSION"))).build();
                Some(Fetcher {
                    client: client.map_err(Error)?,
                    base: base.trim_end_matches('/').into(),
                    token_file: portal.resource_token_file.as_deref().map(Arc::from),
                })
            }
        };
        Ok(Self {
            store: store.clone(),
            fetcher,
        })
    }

    /// Fetches a few resources that are due, and takes them in.
    ///
    /// # Errors
    /// The database cannot be read or written; what was fetched is fetched again, which changes nothing.
    pub async fn turn(&mut self, now: Timestamp, rules: &Rules) -> Result<Next, app::Error> {
        let Some(fetcher) = &self.fetcher else { return Ok(Next::WhenWoken) };
        let (claimed, next) = claim(&self.store, now).await?;
        if claimed.is_empty() {
            return Ok(next.map_or(Next::WhenWoken, Next::At));
        }
        let mut under_way = JoinSet::new();
        for resource in claimed {
            let fetcher = fetcher.clone();
            under_way.spawn(async move {
                let content = fetcher.fetch(&resource.uri).await;
                (resource, content)
            });
        }
        let mut fetched = Vec::new();
        while let Some(done) = under_way.join_next().await {
            let (resource, content) = done.expect("a fetch's task neither panics nor is aborted");
            let how = match content {
                Ok(bytes) => self.take_in(now, rules, &resource, &bytes).await?,
                Err(how) => how,
            };
            if let Fetched::Later(detail) | Fetched::Failed(detail) = &how {
                tracing::warn!(
                    event = resource.event_name,
                    attempt = resource.attempt,
                    "resource not fetched: {detail}"
                );
            }
            fetched.push((resource, how));
        }
        record(&self.store, now, rules, &fetched).await?;
        Ok(Next::Now)
    }

    async fn take_in(&self, now: Timestamp, rules: &Rules, resource: &Resource, bytes: &[u8]) -> Result<Fetched, app::Error> {
        let origin = Arc::new(Origin {
            source: format!("webhook {}", resource.uri),
            partner: None,
            is_quiet: false,
        });
        let batch = [incoming(now, Item::from_json(1, bytes), &origin)];
        let taken = take_in(&self.store, now, rules, &batch).await?;
        let told = match taken.first().map(|one| &one.outcome) {
            Some(Outcome::New) => "it is a new lead",
            Some(Outcome::Updated) => "it brought newer content",
            Some(Outcome::Unchanged) | None => "it was not newer than what is here",
            Some(Outcome::Rejected(_)) => "its record was rejected; `posthorn rejected list` shows why",
        };
        Ok(Fetched::TakenIn(told.to_owned()))
    }
}

impl Fetcher {
    async fn fetch(&self, uri: &str) -> Result<Vec<u8>, Fetched> {
        if !is_below(&self.base, uri) {
            return Err(Fetched::Failed(format!(
                "it is not below portal.resource_url ({}), and so is not fetched",
                secret::mask_web_address(&self.base)
            )));
        }
        let mut request = self.client.get(uri).header(reqwest::header::ACCEPT, "application/json");
        if let Some(file) = &self.token_file {
            // Read at each fetch: tokens of such APIs live for an hour, and something else renews the file.
            let token = secret::read(file).map_err(|error| Fetched::Later(error.to_string()))?;
            request = request.bearer_auth(token.expose_secret());
        }
        let mut answer = request.send().await.map_err(|error| Fetched::Later(unanswered(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            let told = format!("the portal answered {status}");
            return Err(match status {
                StatusCode::NOT_FOUND | StatusCode::GONE => Fetched::Failed(told),
                // A token that has expired is renewed by somebody, and the rest by time.
                _ => Fetched::Later(told),
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| Fetched::Later(unanswered(&error)))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > RECORD_BYTES_MAX {
                return Err(Fetched::Failed("the portal's answer is larger than 1 MiB".to_owned()));
            }
        }
        Ok(bytes)
    }
}

/// Says whether an address lies below a base: the same scheme, host and port, and a path that goes on at a slash, without going up again.
fn is_below(base: &str, uri: &str) -> bool {
    let (Ok(base), Ok(parsed)) = (reqwest::Url::parse(base), reqwest::Url::parse(uri)) else {
        return false;
    };
    let path = base.path().trim_end_matches('/');
    // Parsed addresses have no `..` left in them, but for one behind a slash that is written otherwise.
    let written = parsed.path().to_ascii_lowercase();
    !written.contains("%2f")
        && !written.contains("%5c")
        && base.origin() == parsed.origin()
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

/// Says what went wrong without the address.
fn unanswered(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "the portal did not answer in time"
    } else if error.is_connect() {
        "the portal cannot be reached"
    } else {
        "the connection to the portal broke"
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_nowhere_but_to_the_portal() {
        let base = "https://api.portal.example/v1/referrals";
        for (uri, expected) in [
            ("https://api.portal.example/v1/referrals/L1", true),
            ("https://api.portal.example/v1/referrals/L1?x=1", true),
            ("https://api.portal.example/v1/referrals-of-others/L1", false),
            ("https://api.portal.example/v1/referrals/../secrets", false),
            ("https://api.portal.example/v1/referrals/%2e%2e/secrets", false),
            ("https://api.portal.example/v1/referrals/..%2Fsecrets", false),
            ("https://api.portal.example/v1/referrals/..%5csecrets", false),
            ("https://api.portal.example.evil.example/v1/referrals/L1", false),
            ("https://api.portal.example@evil.example/v1/referrals/L1", false),
            ("https://user:hush@api.portal.example/v1/referrals/L1", false),
            ("http://api.portal.example/v1/referrals/L1", false),
            ("https://api.portal.example:8443/v1/referrals/L1", false),
            ("file:///etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(is_below(base, uri), expected, "{uri}");
        }
    }
}
