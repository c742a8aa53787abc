//! Whether a domain takes mail: an address that nobody can answer, or to which no bounce can come back, is told.

use crate::dns::answers::{Answers, Question};
use crate::doctor::text::unanswered;
use crate::doctor::{Area, Check};

/// Says whether mail to a domain arrives anywhere. `what` names the setting, such as `mail.from`; `lost` says what is lost where it does not.
///
/// # Errors
/// The question that has to be asked first.
pub fn judge(name: &'static str, what: &str, domain: &str, lost: &str, known: &Answers) -> Result<Check, Question> {
    let exchanges = match known.exchanges(domain)? {
        Ok(exchanges) => exchanges,
        Err(why) => return Ok(unanswered(name, &format!("Where mail to {domain} goes cannot be looked up"), why)),
    };
    let advice = format!("Set {what} to an address of a domain that takes mail, or publish an MX record at {domain}.");
    if exchanges.iter().any(|(_, exchange)| exchange.is_empty()) {
        let found = format!(
            "{domain}, the domain of {what}, says that it takes no mail (RFC 7505): {lost}, and some mailboxes refuse mail from it."
        );
        return Ok(Check::wrong(Area::Dns, name, found, advice));
    }
    // The most preferred one that exists will do; that a second one is missing is for others to find.
    let mut sorted: Vec<&(u16, String)> = exchanges.iter().collect();
    sorted.sort();
    for (_, exchange) in &sorted {
        if !matches!(known.addresses(exchange)?, Ok([])) {
            return Ok(Check::ok(
                Area::Dns,
                name,
                format!("Mail to {domain}, the domain of {what}, goes to {exchange}."),
            ));
        }
    }
    if let Some((_, exchange)) = sorted.first() {
        let found = format!("Mail to {domain}, the domain of {what}, goes to {exchange}, which does not exist: {lost}.");
        return Ok(Check::wrong(Area::Dns, name, found, advice));
    }
    // Without an MX the domain's own address takes its mail (RFC 5321 §5.1).
    Ok(match known.addresses(domain)? {
        Ok([]) => Check::wrong(
            Area::Dns,
            name,
            format!("{domain}, the domain of {what}, has neither MX nor address: {lost}, and many mailboxes refuse mail from it."),
            advice,
        ),
        Ok(_) => Check::warning(
            Area::Dns,
            name,
            format!("{domain}, the domain of {what}, has no MX; mail to it goes to its own address, where a web server may be."),
            advice,
        ),
        Err(why) => unanswered(name, &format!("Where mail to {domain} goes cannot be looked up"), why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::answers::testing::{settle, zone};

    #[test]
    fn a_domain_takes_mail_by_mx_else_by_its_address_else_not_at_all() {
        for (lines, state, part) in [
            (
                "contoso.com MX 20 b.example\ncontoso.com MX 10 a.example\na.example A 192.0.2.1",
                "ok",
                "goes to a.example",
            ),
            (
                "contoso.com MX 20 b.example\ncontoso.com MX 10 a.example\nb.example AAAA 2001:db8::1",
                "ok",
                "goes to b.example",
            ),
            ("contoso.com MX 10 a.example", "wrong", "a.example, which does not exist"),
            ("contoso.com MX 10 a.example\na.example SERVFAIL", "ok", "goes to a.example"),
            ("contoso.com MX 0 .", "wrong", "takes no mail (RFC 7505)"),
            ("contoso.com A 192.0.2.1", "warning", "has no MX"),
            ("", "wrong", "neither MX nor address: nobody can answer"),
            ("contoso.com SERVFAIL", "not checked", "SERVFAIL"),
        ] {
            let check = settle(zone(lines), |known| {
                judge("mx.from", "mail.from", "contoso.com", "nobody can answer", known)
            });
            assert_eq!(check.state.as_str(), state, "{lines}: {}", check.found);
            assert!(check.found.contains(part), "{lines}: {}", check.found);
            assert_eq!(check.advice.is_some(), state != "ok", "{lines}");
        }
    }
}
