//! What no key can be asked alone: settings that need, or contradict, each other; and what is allowed, but was hardly meant.

use crate::partner::EmailAddress;
use crate::settings::http::{Http, TokenHash};
use crate::settings::programmes::Branding;
use crate::settings::read::{Fault, Origins};
use crate::settings::tables::{Dkim, EXAMPLE_FROM, EXAMPLE_URL, Mode, Relay, Settings, Tls, Transport};
use crate::settings::values::is_domain;

/// Returns the faults of settings that are each right by themselves.
pub(crate) fn check(settings: &Settings, origins: &Origins) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |key: &str, message: &str| faults.push(origins.fault(key, message));
    if settings.mode == Mode::Redirect && settings.mail.redirect_to.is_none() {
        fault("mode", "\"redirect\" needs mail.redirect_to, the address that gets every mail");
    }
    if settings.mail.transport == Transport::Smtp && settings.smtp.relays.is_empty() {
        fault(
            "mail.transport",
            "\"smtp\" needs a relay; write [[smtp.relays]] and host = \"mail.example\" below",
        );
    }
    for (i, relay) in settings.smtp.relays.iter().enumerate() {
        let key = |name: &str| format!("smtp.relays[{i}]{name}");
        if relay.host.is_empty() || relay.host.contains(|c: char| c.is_whitespace() || "/:@".contains(c)) && !is_ip6(&relay.host) {
            let said = if relay.host.is_empty() {
                "is missing".into()
            } else {
                format!("{:?} is not a host", relay.host)
            };
            fault(
                &key(".host"),
                &format!("{said}; write its name or address, such as host = \"mail.example\", and the port apart"),
            );
        }
        check_login(relay, &key, &mut fault);
        match (&relay.certificate_file, &relay.key_file) {
            (Some(_), None) => fault(&key(".certificate_file"), "needs key_file, the private key that belongs to it"),
            (None, Some(_)) => fault(&key(".key_file"), "needs certificate_file, the certificate that it belongs to"),
            _ => (),
        }
        match (relay.warm_up.is_empty(), relay.warm_up_from) {
            (false, None) => fault(
                &key(".warm_up"),
                "needs warm_up_from, the day of its first limit, such as 2027-01-31",
            ),
            (true, Some(_)) => fault(
                &key(".warm_up_from"),
                "needs warm_up, the limits of its days, such as [50, 100, 500]",
            ),
            _ => (),
        }
        if settings.smtp.relays[..i]
            .iter()
            .any(|other| (&other.host, other.port) == (&relay.host, relay.port))
        {
            fault(&key(""), "is the same host and port as a relay above it; name each relay once");
        }
    }
    for (i, domain) in settings.smtp.domains.iter().enumerate() {
        let key = |name: &str| format!("smtp.domains[{i}]{name}");
        if domain.domain != "*" && is_domain(&domain.domain).is_err() {
            fault(
                &key(".domain"),
                "is missing or no domain; write one such as \"contoso.com\", or \"*\" for each that has no entry of its own",
            );
        }
        if domain.rate.is_none() && domain.connections.is_none() {
            fault(&key(""), "limits nothing; set rate or connections");
        }
        if settings.smtp.domains[..i]
            .iter()
            .any(|other| ascii(&other.domain) == ascii(&domain.domain))
        {
            fault(&key(".domain"), "stands in the list twice; name each domain once");
        }
    }
    check_dkim(&settings.dkim, &mut fault);
    match (&settings.action_center.url, &settings.action_center.secret_file) {
        (Some(_), None) => fault("action_center.url", "needs action_center.secret_file: every post is signed"),
        (None, Some(_)) => fault("action_center.secret_file", "needs action_center.url: without it nothing is posted"),
        _ => (),
    }
    let nats = &settings.nats;
    match (&nats.username, &nats.password_file) {
        (Some(_), None) => fault("nats.username", "needs nats.password_file"),
        (None, Some(_)) => fault("nats.password_file", "needs nats.username, whose password it holds"),
        _ => (),
    }
    if settings.mail.answer_links && settings.http.public_url.is_none() {
        fault(
            "mail.answer_links",
            "needs http.public_url, the address under which the world reaches http.public_listen",
        );
    }
    if settings.portal.resource_token_file.is_some() && settings.portal.resource_url.is_none() {
        fault(
            "portal.resource_token_file",
            "needs portal.resource_url: without it nothing is fetched",
        );
    }
    check_http(&settings.http, &mut fault);
    faults
}

/// Refuses an account without what proves it, and the other way round.
fn check_login(relay: &Relay, key: &impl Fn(&str) -> String, fault: &mut impl FnMut(&str, &str)) {
    match (&relay.username, &relay.password_file, &relay.token_file) {
        (_, Some(_), Some(_)) => fault(&key(".token_file"), "goes without password_file: one of the two proves the account"),
        (Some(_), None, None) => fault(&key(".username"), "needs password_file, the file that holds its password"),
        (None, Some(_), None) => fault(&key(".password_file"), "needs username, the account whose password it is"),
        (None, None, Some(_)) => fault(&key(".token_file"), "needs username, the account that the token is for"),
        _ => (),
    }
}

/// Refuses a signature of which only a part is set.
fn check_dkim(dkim: &Dkim, fault: &mut impl FnMut(&str, &str)) {
    let keys = [
        ("dkim.domain", dkim.domain.is_some()),
        ("dkim.selector", dkim.selector.is_some()),
        ("dkim.key_file", dkim.key_file.is_some()),
    ];
    let named = |wanted: bool| keys.iter().filter(move |(_, is_set)| *is_set == wanted).map(|(key, _)| *key);
    let missing: Vec<&str> = named(false).collect();
    if let Some(first) = named(true).next().filter(|_| !missing.is_empty()) {
        fault(
            first,
            &format!(
                "needs {}: mails are signed where all three are set; set all, or none",
                missing.join(" and ")
            ),
        );
    }
}

fn check_http(http: &Http, fault: &mut impl FnMut(&str, &str)) {
    match (&http.certificate_file, &http.key_file) {
        (Some(_), None) => fault("http.certificate_file", "needs http.key_file, the private key that belongs to it"),
        (None, Some(_)) => fault("http.key_file", "needs http.certificate_file, the certificate that it belongs to"),
        _ => (),
    }
    // Whoever reaches the port could send mail to everybody's partners.
    if http.tokens.is_empty() && http.listen.is_some_and(|at| !at.ip().is_loopback()) {
        fault(
            "http.listen",
            "is open to other machines, and no token is set: `posthorn token new` makes one, or listen on 127.0.0.1",
        );
    }
    if http.public_listen.is_some() && http.public_url.is_none() {
        fault(
            "http.public_listen",
            "needs http.public_url, the address under which the world reaches it",
        );
    }
    if http.public_listen.is_some() && http.public_listen == http.listen && http.listen.is_some_and(|at| at.port() != 0) {
        fault(
            "http.public_listen",
            "is the same as http.listen: strangers get a port of their own, behind which there is nothing else",
        );
    }
    for (i, token) in http.tokens.iter().enumerate() {
        let key = |name: &str| format!("http.tokens[{i}].{name}");
        if token.name.trim().is_empty() {
            fault(&key("name"), "is missing; say who uses the token, such as name = \"portal\"");
        }
        if token.sha256 == TokenHash::default() {
            fault(&key("sha256"), "is missing; `posthorn token new` writes the whole entry");
        }
        if token.scopes.is_empty() {
            fault(
                &key("scopes"),
                "is missing; name at least one of \"intake\", \"portal\", \"ops\", \"read\"",
            );
        }
    }
}

fn is_ip6(host: &str) -> bool {
    host.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Returns what is allowed, but was hardly meant, in sentences for `config check`.
pub(crate) fn notes(settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    let portal = &settings.portal;
    let reaches_people = settings.mail.transport == Transport::Smtp && settings.mode != Mode::Dry;
    if reaches_people && settings.mail.from.to_string() == EXAMPLE_FROM {
        notes.push(format!(
            "mail.from is not set: mails would come from {EXAMPLE_FROM}, and be refused or ignored"
        ));
    }
    if reaches_people && portal.lead_url.starts_with(EXAMPLE_URL) {
        notes.push(format!(
            "portal.lead_url is not set: the links in mails would lead to {EXAMPLE_URL}, and so nowhere"
        ));
    }
    if portal.lead_desk.is_none() {
        notes.push(
            "portal.lead_desk is not set: when a lead without a reachable sending partner expires, nobody is told; `status` counts them"
                .into(),
        );
    }
    if settings.http.public_url.as_deref().is_some_and(|url| !url.starts_with("https://")) {
        notes.push("http.public_url does not begin with https://: mail programs then offer no button to unsubscribe (RFC 8058)".into());
    }
    notes.extend(note_of_alignment(settings, "mail.from"));
    notes.extend(settings.templates.branding.hard_to_read("templates.branding"));
    for (name, programme) in &settings.programmes {
        let own = settings.of_programme(name);
        if programme.from.is_some() {
            notes.extend(note_of_alignment(&own, &format!("programmes.{name}.from")));
        }
        if programme.branding != Branding::default() {
            notes.extend(own.templates.branding.hard_to_read(&format!("programmes.{name}.branding")));
        }
    }
    for relay in &settings.smtp.relays {
        notes.extend(note_of(relay));
    }
    if settings.policy.remind_before >= settings.policy.expire_after {
        notes
            .push("policy.remind_before is not shorter than policy.expire_after: only leads with an expiry of their own are marked".into());
    }
    notes
}

/// Something has to vouch for the domain that the reader sees: the signature, or the envelope's sender (RFC 9989, DMARC). Which names belong to one
/// organization is said by the DNS, and `doctor` asks it; names that do not even end alike cannot.
fn note_of_alignment(settings: &Settings, key: &str) -> Option<String> {
    let mail = &settings.mail;
    let from = ascii(mail.from.domain());
    let envelope = ascii(mail.envelope_from.as_ref().map_or(mail.from.domain(), EmailAddress::domain));
    let domain = settings.dkim.domain.as_deref().map(ascii);
    let bounces = format!("the envelope's sender (mail.envelope_from) is of {envelope}");
    match &domain {
        Some(domain) if may_belong_together(&from, domain) => None,
        Some(domain) if may_belong_together(&from, &envelope) => Some(format!(
            "{key} is of {from} and dkim.domain is {domain}: they do not belong together, and DMARC passes over the signature (RFC 9989)"
        )),
        Some(domain) => Some(format!(
            "{key} is of {from}, dkim.domain is {domain}, and {bounces}: neither belongs with {key}, and DMARC fails (RFC 9989)"
        )),
        None if may_belong_together(&from, &envelope) => None,
        None => Some(format!(
            "{key} is of {from} and {bounces}: they do not belong together, and DMARC fails unless the relay signs for {from} (RFC 9989)"
        )),
    }
}

/// Tells whether two names may be of one organization: one is the other or below it, or the last two labels are the same.
fn may_belong_together(one: &str, other: &str) -> bool {
    let is_below = |name: &str, above: &str| name.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let end = |name: &str| name.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    is_below(one, other) || is_below(other, one) || end(one) == end(other)
}

fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

fn note_of(relay: &Relay) -> Option<String> {
    let Relay { host, port, .. } = relay;
    match relay.tls {
        Tls::None | Tls::Opportunistic if relay.username.is_some() => Some(format!(
            "relay {host}:{port} may be sent its password in the clear; tls = \"required\" forbids that"
        )),
        Tls::Required | Tls::Opportunistic if *port == 465 => Some(format!(
            "relay {host}:{port} probably speaks TLS from the first byte; that is tls = \"implicit\""
        )),
        _ => None,
    }
}
