//! `posthorn::action_center`'s poster against a receiver that does as it is told.

use std::time::Duration;

use posthorn::action_center::{PostFailed, Poster};
use posthorn::clock::wall_now;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::support::http::Receiver;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ITEM: &[u8] = r#"{"id":"item_1","title":"Müller"}"#.as_bytes();

fn poster(receiver: &Receiver) -> Poster {
    let secret = SecretString::from(SECRET.to_owned());
    Poster::new(&receiver.url("/actions?tenant=1"), Some(&secret), Duration::from_secs(20)).unwrap()
}

async fn post(poster: &Poster) -> Result<(), PostFailed> {
    poster.post("item_1_v3", wall_now(), ITEM).await
}

#[tokio::test]
async fn a_post_arrives_signed_as_a_library_that_is_not_ours_demands() {
    let receiver = Receiver::start();
    post(&poster(&receiver)).await.unwrap();
    let [got] = receiver.posts().try_into().unwrap();
    assert_eq!(
        (got.method.as_str(), got.path.as_str(), got.body.as_slice()),
        ("POST", "/actions?tenant=1", ITEM)
    );
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("webhook-id"), Some("item_1_v3"));
    assert!(got.header("user-agent").unwrap().starts_with("posthorn/"));
    let mut headers = HeaderMap::new();
    for (name, value) in &got.headers {
        headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&got.body, &headers).unwrap();
}

#[tokio::test]
async fn without_a_secret_it_goes_unsigned() {
    let receiver = Receiver::start();
    let poster = Poster::new(&receiver.url("/"), None, Duration::from_secs(20)).unwrap();
    post(&poster).await.unwrap();
    assert_eq!(receiver.posts()[0].header("webhook-signature"), None);
}

#[tokio::test]
async fn an_answer_says_whether_trying_again_may_help() {
    let receiver = Receiver::start();
    let poster = poster(&receiver);
    for (answer, status, is_transient) in [
        ("500 Internal Server Error", 500, true),
        ("503 Service Unavailable", 503, true),
        ("429 Too Many Requests", 429, true),
        ("408 Request Timeout", 408, true),
        ("400 Bad Request", 400, false),
        ("401 Unauthorized", 401, false),
        ("404 Not Found", 404, false),
        ("410 Gone", 410, false),
        ("302 Found\r\nlocation: /elsewhere", 302, false),
    ] {
        receiver.answer(answer);
        let failed = post(&poster).await.unwrap_err();
        assert_eq!(
            (failed.status, failed.is_transient),
            (Some(status), is_transient),
            "{answer}: {failed}"
        );
    }
    assert!(
        receiver.posts().iter().all(|got| got.path == "/actions?tenant=1"),
        "a redirect was followed"
    );
    post(&poster).await.unwrap();
}

#[tokio::test]
async fn no_answer_is_transient_and_tells_nothing_of_the_url() {
    let receiver = Receiver::start();
    receiver.cut();
    let cut = post(&poster(&receiver)).await.unwrap_err();
    receiver.delay(Duration::from_millis(500));
    let impatient = Poster::new(&receiver.url("/actions?token=s3cret"), None, Duration::from_millis(50)).unwrap();
    let late = post(&impatient).await.unwrap_err();
    let nobody = Poster::new("http://127.0.0.1:9/actions?token=s3cret", None, Duration::from_secs(20)).unwrap();
    let unreachable = post(&nobody).await.unwrap_err();
    for failed in [cut, late, unreachable] {
        assert!(failed.is_transient && failed.status.is_none(), "{failed}");
        assert!(!failed.detail.contains("s3cret"), "{failed}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let receiver = Receiver::start();
    receiver.flood();
    tokio::time::timeout(Duration::from_secs(10), post(&poster(&receiver)))
        .await
        .unwrap()
        .unwrap();
}

#[test]
fn wrong_settings_are_told() {
    let long = Duration::from_secs(20);
    for url in ["", "portal.example", "ftp://portal.example/", "mailto:a@b.example"] {
        let error = Poster::new(url, None, long).unwrap_err();
        assert_eq!(error.to_string(), format!("{url:?} is not an http or https URL"));
    }
    let error = Poster::new(
        "https://portal.example/",
        Some(&SecretString::from("whsec_c2hvcnQ=".to_owned())),
        long,
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "the webhook secret has 5 bytes; 24 to 64 are allowed");
}
