//! Posts an action item to the portal's Action Center, signed.
//!
//! One call is one try: the order of posts, retries and the newest state only are the delivery room's.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::SecretString;

use crate::time::Timestamp;
use crate::webhook::{BadSecret, Signer};

/// What is read of an answer, so that its connection can be kept; of a longer one the connection is dropped. Nobody reads what it says.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Posts to one URL.
#[derive(Clone, Debug)]
pub struct Poster {
    client: Client,
    url: Url,
    signer: Option<Signer>,
}

/// Why a poster cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a URL that one can post to.
    #[error("{0:?} is not an http or https URL")]
    Url(String),
    /// The secret is none.
    #[error(transparent)]
    Secret(#[from] BadSecret),
    /// The system's certificates cannot be read, for one.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// A post that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PostFailed {
    /// What the Action Center answered, where it did.
    pub status: Option<u16>,
    /// What happened; says nothing of the item.
    pub detail: String,
    /// Whether the same post may succeed later.
    pub is_transient: bool,
}

impl Poster {
    /// Prepares posting to `url`, signed where there is a secret. `timeout` bounds a whole try.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(url: &str, secret: Option<&SecretString>, timeout: Duration) -> Result<Self, Error> {
        // Reqwest panics without a provider; whoever comes first installs it.
        rustls::crypto::ring::default_provider().install_default().ok();
        let parsed = Url::parse(url)
            .ok()
            .filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        let url = parsed.ok_or_else(|| Error::Url(url.chars().take(80).collect()))?;
        let signer = secret.map(Signer::new).transpose()?;
        // A redirected post would turn into a GET, or carry the item to somebody whom nobody named.
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(timeout)
            .user_agent(concat!("posthorn/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::Client)?;
        Ok(Self { client, url, signer })
    }

    /// Posts `body`, a JSON text, as the event `webhook_id`: the same id for each try, so that the receiver can tell a repeat.
    ///
    /// # Errors
    /// [`PostFailed::is_transient`]: no answer, 5xx, 408, 425 or 429. Anything else is a verdict, a redirect included.
    pub async fn post(&self, webhook_id: &str, now: Timestamp, body: &[u8]) -> Result<(), PostFailed> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_vec());
        if let Some(signer) = &self.signer {
            let signed = signer.sign(now, webhook_id, body);
            request = request
                .header("webhook-timestamp", signed.timestamp)
                .header("webhook-signature", signed.signature);
        }
        let answer = request.header("webhook-id", webhook_id).send().await.map_err(|e| unanswered(&e))?;
        let status = answer.status();
        drain(answer).await;
        if status.is_success() {
            return Ok(());
        }
        let detail = format!(
            "the Action Center answered {status}{}",
            if status.is_redirection() {
                "; redirects are not followed"
            } else {
                ""
            }
        );
        Err(PostFailed {
            status: Some(status.as_u16()),
            detail,
            is_transient: is_transient(status),
        })
    }
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

async fn drain(mut answer: Response) {
    let mut n_bytes = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        n_bytes += chunk.len();
        if n_bytes > ANSWER_BYTES_MAX {
            return;
        }
    }
}

/// Says what went wrong without the URL, which may carry a token.
fn unanswered(error: &reqwest::Error) -> PostFailed {
    let what = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        format!("the Action Center cannot be reached: {}", innermost(error))
    } else {
        format!("the connection to the Action Center broke: {}", innermost(error))
    };
    PostFailed {
        status: None,
        detail: what,
        is_transient: true,
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
