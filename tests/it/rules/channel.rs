//! How a lead reaches its partner: singly, or in the digest.

use super::{linked, n_mails};
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{Lead, lead, partner};

/// `R-CHANNEL`: ten mails and a digest of two, whatever is repeated, updated and answered elsewhere in between.
#[test]
fn twelve_leads_of_a_day_are_ten_mails_and_a_digest_of_two() {
    both(|posthorn| {
        posthorn.at("2026-03-02T08:00:00Z").partner_records([partner("contoso")]);
        let leads: Vec<Lead> = (1..=12).map(|n| lead(&format!("L{n:02}"))).collect();
        posthorn.leads(leads[..7].to_vec()).leads(leads[..7].to_vec()).work();
        posthorn.at("2026-03-02T09:00:00Z");
        posthorn.leads(leads[..9].iter().map(|lead| lead.clone().updated("2026-03-02T08:30:00Z")));
        posthorn.leads([leads[0].clone().updated("2026-03-02T08:40:00Z").status("Closed", "Won")]);
        posthorn.work().leads(leads.clone()).work().work();
        assert_eq!(posthorn.mails_of("lead").len(), 10);
        assert_eq!(posthorn.mails_of("digest").len(), 0);
        posthorn.at("2026-03-02T16:59:59.999Z").work();
        assert_eq!(posthorn.mails_of("digest").len(), 0, "a millisecond before the fire");
        posthorn.at("2026-03-02T17:00:00.000Z").work().work();
        let digests = posthorn.mails_of("digest");
        assert_eq!(digests.len(), 1);
        assert_eq!(linked(&digests[0])[..2], ["L11", "L12"], "{}", digests[0].text);
        posthorn.at("2026-03-03T17:00:00.000Z").work();
        assert_eq!(posthorn.mails().len(), 11, "the next day has nothing to say");
    });
}

/// `R-CHANNEL`: the day is the partner's own, whatever the clocks of its zone do on it.
#[test]
fn a_day_ends_at_the_partners_midnight_also_when_the_clocks_change() {
    both(|posthorn| {
        for (zone, start, end, why) in [
            (
                "America/New_York",
                "2026-03-08T05:00:00.000Z",
                "2026-03-09T04:00:00.000Z",
                "23 hours",
            ),
            ("Europe/Berlin", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z", "23 hours"),
            (
                "Australia/Lord_Howe",
                "2026-04-04T13:00:00.000Z",
                "2026-04-05T13:30:00.000Z",
                "24.5 hours",
            ),
            (
                "Asia/Kathmandu",
                "2026-05-01T18:15:00.000Z",
                "2026-05-02T18:15:00.000Z",
                "no change, odd offset",
            ),
            (
                "Australia/Lord_Howe",
                "2026-10-03T13:30:00.000Z",
                "2026-10-04T13:00:00.000Z",
                "23.5 hours",
            ),
            ("Europe/Berlin", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z", "25 hours"),
            (
                "America/New_York",
                "2026-11-01T04:00:00.000Z",
                "2026-11-02T05:00:00.000Z",
                "25 hours",
            ),
        ] {
            let id = format!("{}-{}", zone.replace('/', "-").to_lowercase().replace('_', "-"), &start[5..7]);
            let to = format!("admin@{id}.example");
            let leads = |numbers: std::ops::Range<u32>, created: &str| {
                let of = |n| lead(&format!("{id}-{n}")).partner(&id).created(created);
                numbers.map(of).collect::<Vec<Lead>>()
            };
            let before = |at: &str| {
                let at: chrono::DateTime<chrono::Utc> = at.parse().expect("a literal");
                (at - chrono::TimeDelta::milliseconds(1)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
            };
            let eve = before(start);
            posthorn.at(&eve).partner_records([partner(&id).zone(zone).cron("0 12 * * *")]);
            posthorn.leads(leads(0..10, &eve)).leads(leads(10..11, &eve)).work();
            assert_eq!(n_mails(posthorn, "lead", &to), 10, "{zone} {why}: the day before is full");
            posthorn.at(start).leads(leads(20..30, start)).work();
            assert_eq!(n_mails(posthorn, "lead", &to), 20, "{zone} {why}: a new day at 00:00:00.000");
            let late = before(end);
            posthorn.at(&late).leads(leads(30..31, &late)).work();
            assert_eq!(n_mails(posthorn, "lead", &to), 20, "{zone} {why}: the eleventh at 23:59:59.999");
            posthorn.at(end).leads(leads(31..32, end)).work();
            assert_eq!(n_mails(posthorn, "lead", &to), 21, "{zone} {why}: the next at 00:00:00.000");
            assert_eq!(n_mails(posthorn, "digest", &to), 1, "{zone} {why}: the eve's, at noon");
        }
    });
}

/// `R-CHANNEL`: batch, then `createdDateTime`, then id.
#[test]
fn leads_of_a_batch_are_counted_in_the_order_of_their_creation() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(2)]);
        posthorn.leads([
            lead("D").created("2026-03-02T09:00:00Z"),
            lead("B").created("2026-03-02T08:00:00.001Z"),
            lead("C").created("2026-03-02T08:00:00.001Z"),
            lead("A").created("2026-03-02T08:00:00.002Z"),
        ]);
        posthorn.leads([lead("E").created("2026-03-02T07:00:00Z")]).work();
        let mut singles: Vec<String> = posthorn.mails_of("lead").iter().flat_map(linked).collect();
        singles.sort();
        assert_eq!(singles, ["B", "C"], "E is older, and came in a later batch");
        posthorn.at("2026-03-02T17:00:00Z").work();
        assert_eq!(linked(&posthorn.mails_of("digest")[0])[..3], ["D", "A", "E"], "newest first");
    });
}

/// `R-CHANNEL`: 0 = digest only, 1, and the urgent ones singly where set.
#[test]
fn the_threshold_and_urgent_singly_are_each_partners_own() {
    both(|posthorn| {
        posthorn.at("2026-03-02T10:00:00Z");
        posthorn.setting("policy.digest_threshold", "1");
        posthorn.partner_records([
            partner("zero").threshold(0),
            partner("default"),
            partner("flame").threshold(0).with("urgentSingly", true),
        ]);
        for id in ["zero", "default", "flame"] {
            posthorn.leads([
                lead(&format!("{id}-1")).partner(id).created("2026-03-02T08:00:00Z"),
                lead(&format!("{id}-2")).partner(id).created("2026-03-02T08:01:00Z").urgent(),
                lead(&format!("{id}-3")).partner(id).created("2026-02-27T10:00:00.000Z").urgent(),
            ]);
        }
        posthorn.work();
        let singles = |id: &str| -> Vec<String> {
            let mails = posthorn
                .mails_of("lead")
                .into_iter()
                .filter(|mail| mail.to == format!("admin@{id}.example"));
            let mut ids: Vec<String> = mails.flat_map(|mail| linked(&mail)).collect();
            ids.sort();
            ids
        };
        assert!(singles("zero").is_empty());
        assert_eq!(singles("default"), ["default-3"], "the oldest is the first");
        assert_eq!(singles("flame"), ["flame-2"], "flame-3 has cooled before it came");
    });
}

/// `R-CHANNEL`: what is decided stays decided when settings change.
#[test]
fn a_changed_threshold_moves_no_lead_that_is_here() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(0)]);
        posthorn.leads([lead("A"), lead("B")]);
        posthorn.partner_records([partner("contoso").threshold(3)]).work();
        assert!(posthorn.mails().is_empty());
        posthorn.leads([lead("C"), lead("D")]).work();
        let singles: Vec<String> = posthorn.mails_of("lead").iter().flat_map(linked).collect();
        assert_eq!(singles, ["C"], "the third of the day is mailed, the fourth waits");
        posthorn.partner_records([partner("contoso").threshold(0)]).work();
        posthorn.at("2026-03-02T17:00:00Z").work();
        let digest = &posthorn.mails_of("digest")[0];
        let mut ids = linked(digest);
        ids.truncate(3);
        ids.sort();
        assert_eq!(ids, ["A", "B", "D"], "{}", digest.text);
    });
}

/// `R-CHANNEL`, `R-KIND`, `R-BACKFILL`: only contact leads that somebody is told of count.
#[test]
fn what_is_not_mailed_is_not_counted() {
    both(|posthorn| {
        posthorn
            .at("2026-03-02T10:00:00Z")
            .partner_records([partner("contoso").threshold(1)]);
        posthorn.leads([
            lead("info").offer("GetItNow"),
            lead("shared").with("type", "Shared"),
            lead("outgoing").with("direction", "Outgoing"),
            lead("accepted").status("Active", "Accepted"),
            lead("won").status("Closed", "Won"),
            lead("late").created("2026-02-01T00:00:00Z"),
            lead("exactly").created("2026-02-16T10:00:00.000Z"),
            lead("expired").expires("2026-03-02T10:00:00.000Z"),
        ]);
        let quiet = posthorn.file("quiet.ndjson", &crate::support::records::ndjson([lead("quiet")]));
        posthorn.ok(&["import", "--no-notify", &quiet]);
        posthorn.work();
        assert!(posthorn.mails().is_empty());
        posthorn.leads([lead("A"), lead("B")]).work();
        assert_eq!(posthorn.mails_of("lead").iter().flat_map(linked).collect::<Vec<_>>(), ["A"]);
    });
}

/// `R-CHANNEL`: leads of an unknown or unroutable partner are counted on the day on which that changes.
#[test]
fn held_leads_are_counted_on_the_day_their_partner_becomes_routable() {
    both(|posthorn| {
        let leads = |id: &str| -> Vec<Lead> {
            let of = |n| lead(&format!("{id}-{n}")).partner(id).created(&format!("2026-03-02T08:0{n}:00Z"));
            (0..4).map(of).collect()
        };
        posthorn.setting("policy.digest_threshold", "2");
        posthorn.at("2026-03-02T10:00:00Z").partner_records([partner("mute").no_admins()]);
        posthorn.leads(leads("mute")).leads(leads("stranger")).work();
        assert!(posthorn.mails().is_empty());
        posthorn
            .at("2026-03-03T10:00:00Z")
            .leads([lead("mute-9").partner("mute").created("2026-03-03T09:00:00Z")])
            .work();
        posthorn.partner_records([partner("mute"), partner("stranger")]).work();
        posthorn
            .leads([lead("stranger-9").partner("stranger").created("2026-03-03T09:00:00Z")])
            .work();
        let singles = |id: &str| -> Vec<String> {
            let mails = posthorn
                .mails_of("lead")
                .into_iter()
                .filter(|mail| mail.to == format!("admin@{id}.example"));
            let mut ids: Vec<String> = mails.flat_map(|mail| linked(&mail)).collect();
            ids.sort();
            ids
        };
        assert_eq!(singles("mute"), ["mute-0", "mute-1"], "in the order in which they came");
        assert_eq!(singles("stranger"), ["stranger-0", "stranger-1"]);
        posthorn.at("2026-03-03T17:00:00Z").work();
        let digests = posthorn.mails_of("digest");
        let listed: Vec<Vec<String>> = digests.iter().map(|mail| linked(mail)[..3].to_vec()).collect();
        assert_eq!(listed, [["mute-9", "mute-3", "mute-2"], ["stranger-9", "stranger-3", "stranger-2"]]);
    });
}

/// `R-CHANNEL`: a partner that moves to another zone and back finds its days as they were.
#[test]
fn a_change_of_zone_neither_empties_nor_doubles_a_day() {
    both(|posthorn| {
        let contoso = |zone: &str| partner("contoso").threshold(2).zone(zone);
        let n = |posthorn: &Posthorn| posthorn.work().mails_of("lead").len();
        posthorn.at("2026-03-02T13:00:00Z").partner_records([contoso("UTC")]);
        posthorn.leads([lead("A"), lead("B"), lead("C")]);
        assert_eq!(n(posthorn), 2);
        posthorn.partner_records([contoso("Pacific/Auckland")]).leads([lead("D")]);
        assert_eq!(n(posthorn), 3, "in Auckland it is the 3rd");
        posthorn.partner_records([contoso("UTC")]).leads([lead("E")]);
        assert_eq!(n(posthorn), 3, "the 2nd is full already");
        posthorn
            .partner_records([contoso("Pacific/Auckland")])
            .leads([lead("F"), lead("G")]);
        assert_eq!(n(posthorn), 4, "one more of Auckland's 3rd");
    });
}
