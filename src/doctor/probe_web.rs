//! Looks at what is reached by HTTP: the pages for strangers, and the Action Center. Nothing is posted.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::DATE;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};

use crate::action_center::Poster;
use crate::clock::wall_now;
use crate::doctor::probe::{Asked, OtherClock, Seen, off_ms, sentence, without_number};
use crate::doctor::report::{Area, Check};
use crate::settings::{Transport, secret};
use crate::time::Timestamp;

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

pub(super) async fn look_at_pages(asked: &Asked<'_>) -> Seen {
    const AREA: Area = Area::PublicPages;
    let settings = asked.settings();
    let mut seen = Seen::default();
    let Some(url) = &settings.http.public_url else {
        let found = "http.public_url is not set: mails carry no link to unsubscribe, which large mailboxes demand of whoever sends much (RFC 8058).";
        let advice = "Set http.public_url and http.public_listen; config/posthorn.toml says how.";
        return vec![Check::warning(AREA, "unsubscribe", found, advice)].into();
    };
    if settings.dkim.domain.is_none() && settings.mail.transport == Transport::Smtp {
        let found = "List-Unsubscribe-Post leaves here unsigned: mailboxes take the one click only where a signature covers it (RFC 8058, section 4).";
        let advice = "Sign here ([dkim]; docs/guides/sign-mail.md), or see that the relay's signature covers List-Unsubscribe and List-Unsubscribe-Post.";
        seen.checks.push(Check::warning(AREA, "unsubscribe", found, advice));
    } else if url.starts_with("https://") {
        let found = "Mails carry List-Unsubscribe with one click (RFC 8058), and the signature covers it.";
        seen.checks.push(Check::ok(AREA, "unsubscribe", found));
    }
    let address = format!("{}/u/doctor", url.trim_end_matches('/'));
    let Some(parsed) = Url::parse(&address).ok().filter(|parsed| asked.is_online || is_local(parsed)) else {
        let found = format!("{url} was not asked whether it answers: it lies elsewhere.");
        seen.checks
            .push(Check::not_checked(AREA, "pages", found, "Ask it with `posthorn doctor --online`."));
        return seen;
    };
    seen.checks.push(match ask(Method::GET, parsed).await {
        Err(why) => Check::wrong(
            AREA,
            "pages",
            format!("{url} does not answer: {why}."),
            "Start `posthorn serve`; if it runs, see that http.public_listen is set and that your proxy leads there.",
        ),
        Ok(answer) => {
            seen.clocks.extend(clock_of(&answer, "the server of http.public_url"));
            judge_page(url, &answer)
        }
    });
    seen
}

/// A link that nobody has leads to a page of posthorn's that says so, with headers that no other server sets together.
fn judge_page(url: &str, answer: &Answered) -> Check {
    const AREA: Area = Area::PublicPages;
    let status = answer.response.status();
    let has = |name: &str, value: &str| {
        answer
            .response
            .headers()
            .get(name)
            .is_some_and(|found| found.as_bytes() == value.as_bytes())
    };
    if status.as_u16() == 404 && has("x-robots-tag", "noindex, nofollow") && has("referrer-policy", "no-referrer") {
        return Check::ok(AREA, "pages", format!("{url} answers, and it is posthorn that does."));
    }
    let lead = "See that your proxy leads /u/ and /a/ to http.public_listen, unchanged.";
    let what = if status.is_server_error() {
        "what is behind it does not answer"
    } else {
        "somebody else than posthorn does"
    };
    Check::wrong(AREA, "pages", format!("{url} answers {status}: {what}."), lead)
}

pub(super) async fn look_at_actions(asked: &Asked<'_>) -> Seen {
    const AREA: Area = Area::ActionCenter;
    const NAME: &str = "action_center";
    let settings = &asked.settings().action_center;
    let (Some(url), Some(secret_file)) = (&settings.url, &settings.secret_file) else {
        return vec![Check::passed_over(
            AREA,
            NAME,
            "No Action Center is set (action_center.url): items are kept, and posted nowhere.",
        )]
        .into();
    };
    let poster = match secret::read(secret_file) {
        Ok(secret) => Poster::new(url, Some(&secret), ANSWER_TIME_MAX).map(|_| ()),
        // That the file is not there is told where secrets are.
        Err(_) => Ok(()),
    };
    if let Err(wrong) = poster {
        let advice = "Put the secret that the portal gave you into action_center.secret_file: whsec_ and what follows.";
        return vec![Check::wrong(AREA, NAME, sentence(wrong), advice)].into();
    }
    let parsed = match Url::parse(url) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            return vec![Check::wrong(
                AREA,
                NAME,
                sentence(format!("action_center.url: {wrong}")),
                "Correct it.",
            )]
            .into();
        }
    };
    // The address may carry a token: its host says enough.
    let shown = parsed.host_str().unwrap_or_default().to_owned();
    let mut seen = Seen::default();
    match ask(Method::HEAD, parsed).await {
        Err(why) => {
            let found = format!("The Action Center ({shown}) does not answer: {why}.");
            seen.checks.push(Check::wrong(
                AREA,
                NAME,
                found,
                "See that action_center.url is right, and that this machine reaches it; items wait meanwhile.",
            ));
        }
        Ok(answer) => {
            seen.clocks.extend(clock_of(&answer, "the Action Center"));
            let status = answer.response.status();
            seen.checks.push(if status.is_server_error() || status.as_u16() == 404 {
                let found =
                    format!("The Action Center ({shown}) is reached and answers {status} to a question that changes nothing (HEAD).");
                Check::warning(
                    AREA,
                    NAME,
                    found,
                    "See that the path of action_center.url is right; some servers know no HEAD, and take the posts all the same.",
                )
            } else {
                Check::ok(
                    AREA,
                    NAME,
                    format!("The Action Center ({shown}) is reached, and posts to it are signed."),
                )
            });
        }
    }
    seen
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An answer, and when the question was begun.
struct Answered {
    before: Timestamp,
    response: Response,
}

/// Asks once; redirects are an answer. The text of an error names no address, which may carry a token.
async fn ask(method: Method, url: Url) -> Result<Answered, String> {
    let before = wall_now();
    // Reqwest panics without a provider; whoever comes first installs it.
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = Client::builder()
        .redirect(Policy::none())
        .timeout(ANSWER_TIME_MAX)
        .user_agent(concat!("posthorn/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())?;
    let answer = client.request(method, url).send().await;
    answer.map(|response| Answered { before, response }).map_err(|error| {
        if error.is_timeout() {
            return format!("no answer within {} s", ANSWER_TIME_MAX.as_secs());
        }
        let mut innermost: &dyn std::error::Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        without_number(&innermost.to_string()).to_owned()
    })
}

fn clock_of(answered: &Answered, whose: &str) -> Option<OtherClock> {
    let date = answered.response.headers().get(DATE)?.to_str().ok()?;
    let theirs = chrono::DateTime::parse_from_rfc2822(date).ok()?.timestamp_millis();
    Some(OtherClock {
        whose: whose.to_owned(),
        off_ms: off_ms(answered.before, wall_now(), theirs, 1000),
        judges_leases: false,
    })
}
