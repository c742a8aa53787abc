//! What a digest says: who comes first, and where it is cut (`R-DIGEST`).

use std::borrow::Borrow;

use crate::lead::model::{Lead, Urgency};
use crate::time::Timestamp;

/// Puts a digest's leads in order: urgent first, then newest.
pub fn sort<L: Borrow<Lead>>(leads: &mut [L], now: Timestamp) {
    leads.sort_by(|a, b| {
        let (a, b): (&Lead, &Lead) = (a.borrow(), b.borrow());
        let calm = |lead: &Lead| lead.urgency_at(now) != Some(Urgency::Urgent);
        calm(a)
            .cmp(&calm(b))
            .then(b.created_at.cmp(&a.created_at))
            .then_with(|| a.id.cmp(&b.id))
    });
}

/// Returns how many of `n_leads` are listed; the rest is counted, and all are attached.
pub fn n_listed(n_leads: usize, max_listed: u32) -> usize {
    n_leads.min(max_listed as usize)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::lead::LeadId;
    use crate::lead::model::tests::lead_at;

    fn lead(index: usize, hours: u8, is_urgent: bool) -> Lead {
        let created_at = lead_at("2026-03-02T00:00:00.000Z")
            .created_at
            .plus(Duration::from_secs(u64::from(hours) * 3600));
        Lead {
            id: LeadId::new(format!("L{index:02}")),
            created_at,
            cool_at: is_urgent.then(|| created_at.plus(Duration::from_secs(72 * 3600))),
            ..lead_at("2026-03-02T00:00:00.000Z")
        }
    }

    /// R-DIGEST: urgent first, then newest; a lead that has cooled is not urgent any more.
    #[test]
    fn urgent_leads_come_first_and_then_the_newest() {
        let mut leads =
            [(5, false), (1, true), (0, true), (9, false), (70, true)].map(|(hours, is_urgent)| lead(usize::from(hours), hours, is_urgent));
        sort(&mut leads, "2026-03-05T00:30:00.000Z".parse().expect("a literal"));
        let ids: Vec<&str> = leads.iter().map(|lead| lead.id.as_str()).collect();
        assert_eq!(ids, ["L70", "L01", "L09", "L05", "L00"], "L00 has cooled half an hour ago");
    }

    /// R-DIGEST: the first hundred are listed, the rest is counted.
    #[test]
    fn a_digest_is_cut_after_its_limit() {
        for (n_leads, expected) in [(0, 0), (99, 99), (100, 100), (101, 100)] {
            assert_eq!(n_listed(n_leads, 100), expected, "{n_leads}");
        }
    }

    proptest! {
        /// R-DIGEST: the order is total: however the leads came in, they are listed alike.
        #[test]
        fn the_order_does_not_depend_on_how_the_leads_came(
            facts in prop::collection::vec((0..100_u8, any::<bool>()), 0..20), hours in 0..200_u8, seed in any::<u64>(),
        ) {
            let now = lead_at("2026-03-02T00:00:00.000Z").created_at.plus(Duration::from_secs(u64::from(hours) * 3600));
            let mut leads: Vec<Lead> = facts.into_iter().enumerate().map(|(index, (hours, is_urgent))| lead(index, hours, is_urgent)).collect();
            let mut shuffled = leads.clone();
            shuffled.sort_by_key(|lead| lead.id.as_str().bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)));
            sort(&mut leads, now);
            sort(&mut shuffled, now);
            let ids = |leads: &[Lead]| leads.iter().map(|lead| lead.id.clone()).collect::<Vec<_>>();
            prop_assert_eq!(ids(&leads), ids(&shuffled));
        }
    }
}
