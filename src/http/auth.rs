//! Who asks, and what he may: bearer tokens (RFC 6750), of which only the SHA-256 is known here.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::wall_now;
use crate::http::Site;
use crate::http::problem::Problem;
use crate::partner::PartnerId;
use crate::settings::{Http, Scope, Token};
use crate::time::Timestamp;

/// Who made a request, and what he may.
#[derive(Clone, Debug)]
pub struct Caller {
    name: String,
    scopes: Vec<Scope>,
    partner: Option<PartnerId>,
    actor: Option<String>,
}

impl Caller {
    /// Refuses whoever has none of the scopes.
    ///
    /// # Errors
    /// 403.
    pub fn may(&self, any_of: &[Scope]) -> Result<(), Problem> {
        if self.scopes.iter().any(|scope| any_of.contains(scope)) {
            Ok(())
        } else {
            Err(Problem::forbidden())
        }
    }

    /// Refuses whoever may not read everything: `read` and `ops`.
    ///
    /// # Errors
    /// 403.
    pub fn may_read(&self) -> Result<(), Problem> {
        self.may(&[Scope::Read, Scope::Ops])
    }

    /// Refuses whoever may not read what the portal shows its users: `portal`, `read` and `ops`.
    ///
    /// # Errors
    /// 403.
    pub fn may_look(&self) -> Result<(), Problem> {
        self.may(&[Scope::Portal, Scope::Read, Scope::Ops])
    }

    /// Refuses whoever is limited to one partner: what is asked concerns all.
    ///
    /// # Errors
    /// 403.
    pub fn unlimited(&self) -> Result<(), Problem> {
        if self.partner.is_none() {
            Ok(())
        } else {
            Err(Problem::forbidden())
        }
    }

    /// Tells whether what is this partner's is hidden from the caller: it answers as if it did not exist.
    pub fn is_stranger_to(&self, partner: &PartnerId) -> bool {
        self.partner.as_ref().is_some_and(|mine| mine != partner)
    }

    /// Returns the one partner that the caller is limited to.
    pub fn partner(&self) -> Option<&PartnerId> {
        self.partner.as_ref()
    }

    /// Returns the *who* of what the caller does: the user that the portal names, else the token's name.
    pub fn who(&self) -> &str {
        self.actor.as_deref().unwrap_or(&self.name)
    }

    /// Returns the token's name: for the log, and for what one token must not see of another.
    pub fn token_name(&self) -> &str {
        &self.name
    }
}

/// Characters of a `Posthorn-Actor` at most.
const ACTOR_CHARS_MAX: usize = 200;
const ACTOR: &str = "posthorn-actor";

/// The tokens that open something.
#[derive(Debug)]
pub struct Doors {
    tokens: Vec<Token>,
}

impl Doors {
    /// Takes the tokens from the settings.
    pub fn new(http: &Http) -> Self {
        Self {
            tokens: http.tokens.clone(),
        }
    }

    /// Finds out who sent a request.
    fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Result<Caller, Problem> {
        if self.tokens.is_empty() {
            return local(headers);
        }
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, secret) = sent.and_then(|sent| sent.split_once(' ')).ok_or_else(Problem::no_token)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::no_token());
        }
        let hash: [u8; 32] = Sha256::digest(secret.trim().as_bytes()).into();
        // All are compared, each in constant time: how long it takes tells nothing of which one was near.
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.sha256.0.ct_eq(&hash)) && token.expires.is_none_or(|end| now < end) {
                found = Some(token);
            }
        }
        let token = found.ok_or_else(Problem::no_token)?;
        // Only the portal knows who its users are; from anybody else the header says nothing.
        let actor = if token.scopes.contains(&Scope::Portal) {
            actor(headers)?
        } else {
            None
        };
        Ok(Caller {
            name: token.name.clone(),
            scopes: token.scopes.clone(),
            partner: token.partner.clone(),
            actor,
        })
    }
}

/// Returns the caller of a posthorn without tokens, which listens on its own machine only: he may do everything. A page in a browser of that
/// machine may nothing, whichever name it has found for the address.
fn local(headers: &HeaderMap) -> Result<Caller, Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let is_local =
        name.is_empty() || name == "localhost" || name.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback()) || name == "[::1]";
    // Nor whoever comes through a proxy, which makes this machine's address everybody's.
    let is_forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"]
        .iter()
        .any(|name| headers.contains_key(*name));
    if !is_local || is_forwarded || headers.contains_key(header::ORIGIN) {
        return Err(Problem::forbidden());
    }
    Ok(Caller {
        name: "local".to_owned(),
        scopes: vec![Scope::Intake, Scope::Portal, Scope::Ops, Scope::Read],
        partner: None,
        actor: actor(headers)?,
    })
}

fn actor(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(ACTOR) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default().trim();
    if text.is_empty() || text.chars().count() > ACTOR_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(Problem::unreadable(format_args!(
            "Posthorn-Actor names the user who acts, in 1 to {ACTOR_CHARS_MAX} characters of UTF-8"
        )));
    }
    Ok(Some(text.to_owned()))
}

/// Lets through whoever has a token, and notes who he is.
pub(super) async fn guard(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let doors = Arc::clone(&site.current.borrow().doors);
    match doors.caller(request.headers(), wall_now()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Wakes workers when something was changed.
pub(super) async fn wake_after_change(State(site): State<Site>, request: Request, next: Next) -> Response {
    let may_change = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let response = next.run(request).await;
    if may_change && response.status().is_success() {
        site.wake.send_replace(());
    }
    response
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Behind the guard there is one; a route that was put before it by mistake is closed.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::no_token)
    }
}

/// A caller with the scope `portal`. It stands before the body: whoever may not do it is told so, and not what is wrong with what he sent.
#[derive(Debug)]
pub struct Portal(pub Caller);

/// A caller with the scope `ops`, likewise.
#[derive(Debug)]
pub struct Ops(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Portal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.may(&[Scope::Portal])?;
        Ok(Self(caller))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ops {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.may(&[Scope::Ops])?;
        Ok(Self(caller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TokenHash;

    fn doors(tokens: &[(&str, &[Scope], Option<&str>)]) -> Doors {
        let token = |(secret, scopes, expires): &(&str, &[Scope], Option<&str>)| Token {
            name: format!("for {secret}"),
            sha256: TokenHash(Sha256::digest(secret.as_bytes()).into()),
            scopes: scopes.to_vec(),
            partner: None,
            expires: expires.map(|at| at.parse().expect("a literal")),
        };
        Doors {
            tokens: tokens.iter().map(token).collect(),
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().expect("a literal")))
            .collect()
    }

    #[test]
    fn a_token_opens_until_it_expires() {
        let doors = doors(&[
            ("one", &[Scope::Intake], None),
            ("two", &[Scope::Read], Some("2027-01-01T00:00:00Z")),
        ]);
        let now: Timestamp = "2026-12-31T23:59:59.999Z".parse().expect("a literal");
        let later: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a literal");
        for (sent, at, name) in [
            ("Bearer one", now, Some("for one")),
            ("bearer one", now, Some("for one")),
            ("Bearer two", now, Some("for two")),
            ("Bearer two", later, None),
            ("Bearer three", now, None),
            ("Basic one", now, None),
            ("one", now, None),
            ("Bearer ", now, None),
        ] {
            let found = doors.caller(&headers(&[("authorization", sent)]), at);
            assert_eq!(found.ok().map(|caller| caller.name), name.map(str::to_owned), "{sent} at {at}");
        }
        assert_eq!(doors.caller(&HeaderMap::new(), now).expect_err("no token").status(), 401);
    }

    #[test]
    fn only_the_portal_says_who_acts() {
        let doors = doors(&[("portal", &[Scope::Portal], None), ("ops", &[Scope::Ops], None)]);
        let now = Timestamp::from_millis(0);
        let who = |token: &str| {
            let sent = headers(&[("authorization", &format!("Bearer {token}")), ("posthorn-actor", "ada@contoso.com")]);
            doors.caller(&sent, now).expect("a known token").who().to_owned()
        };
        assert_eq!(who("portal"), "ada@contoso.com");
        assert_eq!(who("ops"), "for ops");
    }

    #[test]
    fn without_tokens_a_page_in_a_browser_may_nothing() {
        let doors = doors(&[]);
        for (sent, is_let_in) in [
            (&[("host", "127.0.0.1:8025")][..], true),
            (&[("host", "localhost:8025")], true),
            (&[("host", "[::1]:8025")], true),
            (&[("host", "[::1]")], true),
            (&[("host", "rebound.example:8025")], false),
            (&[("host", "127.0.0.1:8025"), ("origin", "https://evil.example")], false),
        ] {
            assert_eq!(
                doors.caller(&headers(sent), Timestamp::from_millis(0)).is_ok(),
                is_let_in,
                "{sent:?}"
            );
        }
    }
}
