//! What a programme sets for the partners that belong to it: between a partner's own setting and the configured default.

use crate::fault::Fault;
use crate::partner::Partner;
use crate::policy::Policy;
use crate::policy::schedule::Cron;

/// So many programmes an error names.
const NAMED_MAX: usize = 10;

/// The limits of a programme; what it leaves out is as without one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Leads of a partner's day that are mailed singly (`R-CHANNEL`).
    pub digest_threshold: Option<u32>,
    /// When digests fire, in the partner's zone (`R-DIGEST`).
    pub digest_cron: Option<Cron>,
    /// Whether urgent leads are mailed singly whatever the count.
    pub urgent_singly: Option<bool>,
}

impl Policy {
    /// Returns the partner's digest cron: its own, else its programme's, else the default (`R-DIGEST`).
    pub fn digest_cron_of<'a>(&'a self, partner: Option<&'a Partner>) -> &'a Cron {
        self.resolve(
            partner,
            |partner| partner.digest_cron.as_ref(),
            |limits| limits.digest_cron.as_ref(),
        )
        .unwrap_or(&self.digest_cron)
    }

    /// Returns how many leads of its day are mailed singly: by the partner's own word, else its programme's, else the default (`R-CHANNEL`).
    pub fn digest_threshold_of(&self, partner: Option<&Partner>) -> u32 {
        self.resolve(partner, |partner| partner.digest_threshold, |limits| limits.digest_threshold)
            .unwrap_or(self.digest_threshold)
    }

    /// Returns whether its urgent leads are mailed singly: by the partner's own word, else its programme's, else the default (`R-CHANNEL`).
    pub fn urgent_singly_of(&self, partner: Option<&Partner>) -> bool {
        self.resolve(partner, |partner| partner.urgent_singly, |limits| limits.urgent_singly)
            .unwrap_or(self.urgent_singly)
    }

    /// Finds fault with a partner's programme, where it names one that is not configured.
    pub fn programme_fault(&self, partner: &Partner) -> Option<Fault> {
        let name = partner.programme.as_deref().filter(|name| !self.programmes.contains_key(*name))?;
        Some(Fault::wrong("programme", &name.into(), self.programmes_in_words(name)))
    }

    /// Names the programmes there are, that which was probably meant first: "is not …".
    pub fn programmes_in_words(&self, meant: &str) -> String {
        let mut names: Vec<&str> = self.programmes.keys().map(String::as_str).collect();
        let meant = meant.to_lowercase();
        // The one that shares most of its beginning; a stable sort leaves the others by name.
        let shared = |name: &str| name.chars().zip(meant.chars()).take_while(|(one, other)| one == other).count();
        names.sort_by_key(|name| std::cmp::Reverse(shared(name)));
        let n_more = names.len().saturating_sub(NAMED_MAX);
        names.truncate(NAMED_MAX);
        match (names.is_empty(), n_more) {
            (true, _) => "a programme: the configuration has none, leave it out".to_owned(),
            (false, 0) => format!("one of the programmes {}", names.join(", ")),
            (false, n) => format!("one of the programmes {} and {n} more", names.join(", ")),
        }
    }

    /// Returns the partner's programme; none where its record names none, or one that is not configured (any more).
    pub fn programme_of<'a>(&self, partner: Option<&'a Partner>) -> Option<&'a str> {
        partner?.programme.as_deref().filter(|name| self.programmes.contains_key(*name))
    }

    fn resolve<'a, T>(
        &'a self,
        partner: Option<&'a Partner>,
        own: impl Fn(&'a Partner) -> Option<T>,
        limit: impl Fn(&'a Limits) -> Option<T>,
    ) -> Option<T> {
        let programme = || self.programmes.get(partner?.programme.as_deref()?);
        partner.and_then(own).or_else(|| programme().and_then(limit))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_partners_own_word_stands_above_its_programmes_and_that_above_the_default() {
        let mut policy = Policy::default();
        let limits = Limits {
            digest_threshold: Some(3),
            digest_cron: "0 9 * * *".parse().ok(),
            urgent_singly: Some(true),
        };
        policy.programmes.insert("gold".into(), limits);
        policy.programmes.insert("bare".into(), Limits::default());
        for (record, threshold, cron, urgent_singly, programme) in [
            (json!({"id": "p"}), 10, "0 17 * * *", false, None),
            (json!({"id": "p", "programme": "gold"}), 3, "0 9 * * *", true, Some("gold")),
            (json!({"id": "p", "programme": "bare"}), 10, "0 17 * * *", false, Some("bare")),
            (json!({"id": "p", "programme": "gone"}), 10, "0 17 * * *", false, None),
            (
                json!({"id": "p", "programme": "gold", "digestThreshold": 0, "digestCron": "0 6 * * *", "urgentSingly": false}),
                0,
                "0 6 * * *",
                false,
                Some("gold"),
            ),
        ] {
            let partner = Partner::parse(record.clone()).expect("no faults");
            let partner = Some(&partner);
            let found = (
                policy.digest_threshold_of(partner),
                policy.digest_cron_of(partner).as_str(),
                policy.urgent_singly_of(partner),
                policy.programme_of(partner),
            );
            assert_eq!(found, (threshold, cron, urgent_singly, programme), "{record}");
        }
        let gold = Partner::parse(json!({"id": "p", "programme": "Golden"})).expect("no faults");
        let fault = policy.programme_fault(&gold).map(|fault| fault.to_string());
        assert_eq!(
            fault.as_deref(),
            Some(r#"programme: "Golden" is not one of the programmes gold, bare"#)
        );
        assert_eq!(policy.digest_threshold_of(None), 10, "a partner of which no record is known");
    }
}
