//! Looks at each relay as far as a mail would come: name, TCP, TLS, EHLO, AUTH. Then it says goodbye; no mail is begun.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::clock::wall_now;
use crate::delivery::relay_of;
use crate::doctor::der::not_after;
use crate::doctor::probe::{Asked, Seen, sentence, without_number};
use crate::doctor::report::{Area, Check};
use crate::mail::{Cause, Connection, Failed, Timeouts};
use crate::outbox::Stage;
use crate::settings::{Relay, Tls, Transport};

const AREA: Area = Area::Relays;

/// How long each stage may take: an operator waits for it. The worker is more patient.
const STAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// Days before its end from which a certificate is told of: those that are renewed by themselves are renewed a month before.
const CERTIFICATE_DAYS_MIN: i64 = 14;
/// A digest of a hundred leads has 60 kB, and one with a list attached may have some hundred: what takes less than this refuses some.
const SIZE_MIN: u64 = 1 << 20;

pub(super) async fn look(asked: &Asked<'_>) -> Seen {
    let settings = asked.settings();
    if settings.mail.transport == Transport::Maildir {
        let found = format!(
            "No relay is used: mail goes into the Maildir {} (mail.transport).",
            settings.mail.maildir.display()
        );
        return vec![Check::passed_over(AREA, "relay.reach", found)].into();
    }
    let mut checks = Vec::new();
    for relay in &settings.smtp.relays {
        checks.extend(look_at(relay).await);
    }
    checks.into()
}

/// Returns the addresses of a relay, as the worker would find them.
pub(super) async fn addresses_of(relay: &Relay) -> Result<Vec<IpAddr>, String> {
    match timeout(STAGE_TIME_MAX, lookup_host((relay.host.as_str(), relay.port))).await {
        Ok(Ok(found)) => Ok(found.map(|address: SocketAddr| address.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", STAGE_TIME_MAX.as_secs())),
    }
}

async fn look_at(configured: &Relay) -> Vec<Check> {
    let shown = format!("{}:{}", configured.host, configured.port);
    let addresses = match addresses_of(configured).await {
        Ok(addresses) if !addresses.is_empty() => addresses,
        found => {
            let why = found.err().map(|why| format!(" ({why})")).unwrap_or_default();
            let found = format!("The name of the relay {} has no address{why}.", configured.host);
            return vec![Check::wrong(
                AREA,
                "relay.reach",
                found,
                "Correct its host in smtp.relays, or see that this machine reaches its DNS.",
            )];
        }
    };
    let mut relay = match relay_of(configured) {
        Ok(relay) => relay,
        // That the file is not there is told where secrets are.
        Err(_) => {
            return vec![Check::passed_over(
                AREA,
                "relay.login",
                format!("The relay {shown} is not asked: a file that it needs cannot be read."),
            )];
        }
    };
    relay.timeouts = Timeouts {
        connect: STAGE_TIME_MAX,
        ehlo: STAGE_TIME_MAX,
        start_tls: STAGE_TIME_MAX,
        auth: STAGE_TIME_MAX,
        ..Timeouts::default()
    };
    let connection = match Connection::open(&relay).await {
        Ok(connection) => connection,
        Err(failed) => return vec![judge_failure(configured, &shown, &failed)],
    };
    let at = addresses.first().map(|address| format!(" ({address})")).unwrap_or_default();
    let mut checks = vec![judge_encryption(configured, &format!("{shown}{at}"), &connection)];
    checks.push(match &configured.username {
        Some(username) => Check::ok(AREA, "relay.login", format!("The relay {shown} takes the login of {username:?}.")),
        None => Check::ok(AREA, "relay.login", format!("The relay {shown} is used without a login.")),
    });
    checks.push(judge_extensions(&shown, &connection.extensions()));
    connection.close().await;
    checks
}

fn judge_encryption(configured: &Relay, shown: &str, connection: &Connection) -> Check {
    const NAME: &str = "relay.reach";
    let is_local = configured.host == "localhost" || configured.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let days = connection
        .certificate()
        .and_then(|certificate| not_after(&certificate))
        .map(|until| (until - wall_now().as_millis() / 1000).div_euclid(24 * 3600));
    match (configured.tls, days) {
        (Tls::Required | Tls::Implicit, Some(days)) => {
            let how = if configured.tls == Tls::Implicit {
                "TLS from the first byte"
            } else {
                "STARTTLS"
            };
            let found = format!("The relay {shown} is reached by {how}; its certificate is valid for its name, for another {days} days.");
            if days < CERTIFICATE_DAYS_MIN {
                return Check::warning(
                    AREA,
                    NAME,
                    found,
                    "Tell whoever runs the relay: on the day after, no mail goes out.",
                );
            }
            Check::ok(AREA, NAME, found)
        }
        (Tls::Opportunistic, Some(_)) => Check::warning(
            AREA,
            NAME,
            format!("The relay {shown} is reached and encrypts, but nobody asks who it is (tls = \"opportunistic\")."),
            "Set tls = \"required\" if its certificate is valid: it is then verified.",
        ),
        _ if is_local => Check::ok(AREA, NAME, format!("The relay {shown} is reached, in the clear, on this machine.")),
        _ => Check::warning(
            AREA,
            NAME,
            format!("The relay {shown} is reached in the clear: whoever is on the way reads all mails."),
            "Set tls = \"required\" if the relay offers STARTTLS.",
        ),
    }
}

/// Says what the relay offers, and what it means where something is missing.
fn judge_extensions(shown: &str, extensions: &[String]) -> Check {
    const NAME: &str = "relay.extensions";
    let find = |name: &str| extensions.iter().find(|line| line.split(' ').next() == Some(name));
    let mut offered = Vec::new();
    let mut missing = Vec::new();
    for (name, without) in [
        ("PIPELINING", "each mail takes four round trips in place of one"),
        ("8BITMIME", ""),
        ("SMTPUTF8", "addresses with other letters than a to z before the @ cannot be mailed"),
        ("DSN", "it says nothing when a mail has arrived"),
    ] {
        match (find(name).is_some(), without) {
            (true, _) => offered.push(name.to_owned()),
            (false, "") => {}
            (false, without) => missing.push(format!("without {name} {without}")),
        }
    }
    let size: Option<u64> = find("SIZE")
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .filter(|size| *size > 0);
    if let Some(size) = size {
        offered.push(format!(
            "mails of up to {}",
            if size < 1 << 20 {
                format!("{} KiB", size >> 10)
            } else {
                format!("{} MiB", size >> 20)
            }
        ));
    }
    let offers = if offered.is_empty() {
        "none of the extensions that posthorn uses".into()
    } else {
        offered.join(", ")
    };
    let lacks = if missing.is_empty() {
        String::new()
    } else {
        format!("; {}", missing.join("; "))
    };
    let found = format!("The relay {shown} offers {offers}{lacks}.");
    if size.is_some_and(|size| size < SIZE_MIN) {
        return Check::warning(
            AREA,
            NAME,
            found,
            "Ask whoever runs the relay for 1 MiB at least, or lower policy.digest_max_listed: large digests are refused.",
        );
    }
    Check::ok(AREA, NAME, found)
}

fn judge_failure(configured: &Relay, shown: &str, failed: &Failed) -> Check {
    let port = configured.port;
    let said = failed
        .reply
        .as_ref()
        .map(|reply| format!("it answers {} {}", reply.code, reply.text));
    let detail = failed.detail.trim_start_matches(&format!("cannot reach {shown}: "));
    let what = said.unwrap_or_else(|| without_number(detail).to_owned());
    let wrong = |name, found: String, advice: String| Check::wrong(AREA, name, sentence(found), advice);
    match (failed.stage, failed.cause) {
        (Stage::Connect, Cause::Unreachable | Cause::TimedOut) => wrong(
            "relay.reach",
            format!("The relay {shown} cannot be reached: {what}"),
            format!("See that it runs, and that no firewall keeps this machine from its port {port}; many networks close 25."),
        ),
        (Stage::Connect | Stage::Ehlo, Cause::Refused) => wrong(
            "relay.reach",
            format!("The relay {shown} refuses this machine: {what}"),
            "Ask whoever runs it to take mail from this machine.".into(),
        ),
        (Stage::Connect | Stage::Ehlo, _) => wrong(
            "relay.reach",
            format!("At {shown} something listens that does not greet as a relay does: {what}"),
            match (configured.tls, port) {
                (Tls::Implicit, _) => "See that the port speaks TLS from the first byte; on 587 that is tls = \"required\".".into(),
                (_, 465) => "Set tls = \"implicit\": this port speaks TLS from the first byte.".into(),
                _ => "See that host and port are a relay's; one that speaks TLS from the first byte wants tls = \"implicit\".".into(),
            },
        ),
        (Stage::StartTls, Cause::NotOffered) => wrong(
            "relay.tls",
            format!("The relay {shown} does not offer STARTTLS, and its tls is \"required\": nothing is sent"),
            "Use the port on which it encrypts (587, or 465 with tls = \"implicit\"); tls = \"none\" only for a relay on this machine."
                .into(),
        ),
        (Stage::StartTls, _) => wrong(
            "relay.tls",
            format!("The connection to the relay {shown} cannot be encrypted: {what}"),
            format!(
                "Its certificate has to be valid today, for the name {:?}, and by an authority that this machine trusts (ca-certificates).",
                configured.host
            ),
        ),
        (Stage::Auth, Cause::Refused) => wrong(
            "relay.login",
            format!(
                "The relay {shown} refuses the login of {:?}: {what}",
                configured.username.as_deref().unwrap_or_default()
            ),
            "Correct username, or what is in password_file or token_file.".into(),
        ),
        (Stage::Auth, _) => wrong(
            "relay.login",
            format!("The login at the relay {shown} is not possible: {what}"),
            "See which ways to log in it offers, and whether it offers them only after STARTTLS.".into(),
        ),
        _ => wrong(
            "relay.reach",
            format!("The relay {shown} cannot be used: {what}"),
            "Ask whoever runs it.".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_missing_extension_means_is_said() {
        let judged = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let check = judge_extensions("relay.example:587", &lines);
            format!("{}: {}", check.state.as_str(), check.found)
        };
        assert_eq!(
            judged(&["PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8", "DSN"]),
            "ok: The relay relay.example:587 offers PIPELINING, 8BITMIME, SMTPUTF8, DSN, mails of up to 10 MiB."
        );
        assert_eq!(
            judged(&["SIZE 524288", "AUTH PLAIN"]),
            "warning: The relay relay.example:587 offers mails of up to 512 KiB; without PIPELINING each mail takes four round trips in place of one; \
             without SMTPUTF8 addresses with other letters than a to z before the @ cannot be mailed; without DSN it says nothing when a mail has arrived."
        );
        assert!(judged(&[]).starts_with("ok: The relay relay.example:587 offers none of the extensions"));
    }
}
