//! Whether a domain takes mail, as a sender finds out (RFC 5321 §5.1): by its MX, else by its own address.

use crate::dns::answers::{Answers, Question};

/// Exchangers of which one has to exist. A sender tries at least two (RFC 5321 §5.1); a list of strangers' making is not followed to its end.
const EXCHANGES_MAX: usize = 5;

/// What is known of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Mail to it goes somewhere.
    Taken,
    /// It goes nowhere; why, as the end of a sentence.
    NotTaken(&'static str),
    /// The DNS gave no answer that one could go by.
    Unanswered,
}

/// Says whether mail to a domain goes anywhere.
///
/// # Errors
/// The question that has to be asked first.
pub fn judge(domain: &str, known: &Answers) -> Result<Verdict, Question> {
    let Ok(exchanges) = known.exchanges(domain)? else {
        return Ok(Verdict::Unanswered);
    };
    if exchanges.is_empty() {
        return Ok(match known.addresses(domain)? {
            Ok([]) => Verdict::NotTaken("it has neither MX nor address, or does not exist"),
            Ok(_) => Verdict::Taken,
            Err(_) => Verdict::Unanswered,
        });
    }
    let mut sorted: Vec<&(u16, String)> = exchanges.iter().filter(|(_, exchange)| !exchange.is_empty()).collect();
    if sorted.is_empty() {
        return Ok(Verdict::NotTaken("it says so itself (RFC 7505)"));
    }
    sorted.sort();
    let mut verdict = Verdict::NotTaken("the hosts of its MX do not exist");
    for (_, exchange) in sorted.into_iter().take(EXCHANGES_MAX) {
        match known.addresses(exchange)? {
            Ok([]) => {}
            Ok(_) => return Ok(Verdict::Taken),
            Err(_) => verdict = Verdict::Unanswered,
        }
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::answers::testing::{settle, zone};

    /// `R-VERIFY`
    #[test]
    fn a_domain_takes_mail_by_mx_else_by_its_address_else_not_at_all() {
        use Verdict::{NotTaken, Taken, Unanswered};
        let nothing = NotTaken("it has neither MX nor address, or does not exist");
        let no_hosts = NotTaken("the hosts of its MX do not exist");
        for (lines, expected, why) in [
            ("a.example MX 10 mx.example\nmx.example A 192.0.2.1", Taken, "an MX"),
            ("a.example MX 10 mx.example\nmx.example AAAA 2001:db8::1", Taken, "over IPv6"),
            (
                "a.example MX 20 mx.example\na.example MX 10 gone.example\nmx.example A 192.0.2.1",
                Taken,
                "the second MX",
            ),
            ("a.example A 192.0.2.1", Taken, "no MX, but an address"),
            ("a.example MX 0 .", NotTaken("it says so itself (RFC 7505)"), "a null MX"),
            (
                "a.example MX 0 .\na.example A 192.0.2.1",
                NotTaken("it says so itself (RFC 7505)"),
                "its address does not count then",
            ),
            (
                "a.example MX 0 .\na.example MX 5 mx.example\nmx.example A 192.0.2.1",
                Taken,
                "a null MX beside others is none",
            ),
            ("", nothing, "no such name"),
            ("a.example TXT hello", nothing, "a name without either"),
            (
                "a.example MX 10 gone.example\na.example A 192.0.2.1",
                no_hosts,
                "an MX that leads nowhere: its address does not count",
            ),
            ("a.example SERVFAIL", Unanswered, "a failure is no answer"),
            (
                "a.example MX 10 mx.example\nmx.example SERVFAIL",
                Unanswered,
                "nor is one of its host",
            ),
            (
                "a.example MX 10 gone.example\na.example MX 20 mx.example\nmx.example SERVFAIL",
                Unanswered,
                "one may exist",
            ),
            (
                "a.example MX 10 mx.example\na.example MX 20 b.example\nmx.example SERVFAIL\nb.example A 192.0.2.1",
                Taken,
                "one does",
            ),
        ] {
            assert_eq!(settle(zone(lines), |known| judge("a.example", known)), expected, "{why}: {lines}");
        }
        let many: Vec<String> = (0..9).map(|n| format!("a.example MX {n} gone{n}.example")).collect();
        assert_eq!(settle(zone(&many.join("\n")), |known| judge("a.example", known)), no_hosts);
    }
}
