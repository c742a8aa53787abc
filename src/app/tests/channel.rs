//! Single or digest: the partner's day, its count, and what waits for an address (`R-CHANNEL`).

use crate::app::testing::records::{lead, partner};
use crate::app::testing::{both, zone};
use crate::policy::channel::Channel;

/// R-CHANNEL, R-DIGEST, R-WHO-MAILS: the first ten are mailed singly, the rest together at the fire.
#[test]
fn of_twelve_leads_of_a_day_ten_are_mailed_singly_and_two_in_the_digest() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        portal.import_leads("2026-03-02T09:00:00Z", 1, 12).await;
        let singles: Vec<String> = (1..=10).map(|n| format!("lead to admin@contoso.example: L{n:02}")).collect();
        assert_eq!(portal.work("2026-03-02T09:00:00Z").await, singles);
        assert_eq!(portal.work("2026-03-02T16:59:59.999Z").await, [""; 0]);
        assert_eq!(
            portal.work("2026-03-02T17:00:00Z").await,
            ["digest to admin@contoso.example: L11 L12"]
        );
        assert_eq!(portal.work("2026-03-03T17:00:00Z").await, [""; 0]);
        let channels = portal.channels("contoso").await;
        assert_eq!(
            channels[9..],
            [
                "L10 single 2026-03-02 #10",
                "L11 digest 2026-03-02 #11",
                "L12 digest 2026-03-02 #12"
            ]
        );
    });
}

/// R-CHANNEL: a day is the partner's own, from its first to its last millisecond, also where a DST change makes it 23, 24½ or 25 hours long.
#[test]
fn a_lead_a_millisecond_later_belongs_to_the_next_day() {
    let cases = [
        ("UTC", "2026-03-02", "2026-03-02T23:59:59.999Z", "2026-03-03", "plain"),
        ("Asia/Kolkata", "2026-03-02", "2026-03-02T18:29:59.999Z", "2026-03-03", "no DST"),
        (
            "Pacific/Kiritimati",
            "2026-03-02",
            "2026-03-02T09:59:59.999Z",
            "2026-03-03",
            "furthest east",
        ),
        (
            "Europe/Berlin",
            "2026-03-28",
            "2026-03-28T22:59:59.999Z",
            "2026-03-29",
            "into the short day",
        ),
        (
            "Europe/Berlin",
            "2026-03-29",
            "2026-03-29T21:59:59.999Z",
            "2026-03-30",
            "out of the short day",
        ),
        (
            "Europe/Berlin",
            "2026-10-24",
            "2026-10-24T21:59:59.999Z",
            "2026-10-25",
            "into the long day",
        ),
        (
            "Europe/Berlin",
            "2026-10-25",
            "2026-10-25T22:59:59.999Z",
            "2026-10-26",
            "out of the long day",
        ),
        (
            "America/New_York",
            "2026-03-08",
            "2026-03-09T03:59:59.999Z",
            "2026-03-09",
            "out of the short day",
        ),
        (
            "America/New_York",
            "2026-11-01",
            "2026-11-02T04:59:59.999Z",
            "2026-11-02",
            "out of the long day",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-05",
            "2026-04-05T13:29:59.999Z",
            "2026-04-06",
            "half an hour longer",
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-04",
            "2026-10-04T12:59:59.999Z",
            "2026-10-05",
            "half an hour shorter",
        ),
        (
            "Africa/Cairo",
            "2026-04-23",
            "2026-04-23T21:59:59.999Z",
            "2026-04-24",
            "midnight is skipped",
        ),
    ];
    both(async |portal| {
        let mut wrong = Vec::new();
        for (index, (name, day, last, next_day, why)) in cases.into_iter().enumerate() {
            let id = format!("partner-{index}");
            portal.partners("2026-01-01T00:00:00Z", [partner(&id).zone(name)]).await;
            let lead = |number: usize| {
                lead(&format!("{id}-L{number:02}"))
                    .partner(&id)
                    .created(&format!("{day}T00:00:00Z"))
            };
            let last_at = crate::app::testing::at(last);
            let (an_hour_before, first) = (
                last_at.minus(std::time::Duration::from_secs(3600)),
                last_at.plus(std::time::Duration::from_millis(1)),
            );
            // In between: the same again, newer content, and an answer. None of it counts.
            portal.import(&an_hour_before.to_string(), (1..=10).map(lead)).await;
            portal.import(&an_hour_before.to_string(), (1..=10).map(lead)).await;
            portal
                .import(
                    last,
                    [
                        lead(1).updated(last).customer("Adatum"),
                        lead(2).updated(last).status("Active", "Accepted"),
                    ],
                )
                .await;
            portal.accept(last, &format!("{id}-L03")).await;
            portal.import(last, [lead(11)]).await;
            portal.import(&first.to_string(), [lead(12)]).await;
            let channels = portal.channels(&id).await;
            let expected = [format!("{id}-L11 digest {day} #11"), format!("{id}-L12 single {next_day} #1")];
            if channels[10..] != expected {
                wrong.push(format!("{name} {day}, {why}: {:?}", &channels[10..]));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// R-CHANNEL: the number follows the batch, then `createdDateTime`, then the id.
#[test]
fn within_a_batch_the_older_lead_is_counted_first() {
    both(async |portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso")]).await;
        let batch = [
            lead("c").created("2026-03-02T07:00:00Z"),
            lead("b").created("2026-03-02T07:00:00Z"),
            lead("a").created("2026-03-02T07:30:00Z"),
        ];
        portal.import("2026-03-02T09:00:00Z", batch).await;
        portal
            .import("2026-03-02T09:00:00Z", [lead("d").created("2026-03-01T07:00:00Z")])
            .await;
        let numbers: Vec<String> = portal.channels("contoso").await;
        assert_eq!(
            numbers,
            [
                "b single 2026-03-02 #1",
                "c single 2026-03-02 #2",
                "a single 2026-03-02 #3",
                "d single 2026-03-02 #4"
            ]
        );
    });
}

/// R-CHANNEL: 0 = digest only; `urgent_singly` mails urgent leads singly whatever the count; a partner's own setting goes first.
#[test]
fn threshold_and_urgent_singly_are_the_partners_or_the_configured_ones() {
    both(async |mut portal| {
        portal
            .partners(
                "2026-03-02T08:00:00Z",
                [
                    partner("zero").threshold(0),
                    partner("zero-urgent").threshold(0).with("urgentSingly", true),
                    partner("one").threshold(1),
                    partner("default"),
                ],
            )
            .await;
        portal.rules.policy.digest_threshold = 2;
        let leads = |id: &str| {
            let named = |name: &str| lead(&format!("{id}-{name}")).partner(id).created("2026-03-02T09:00:00Z");
            [named("1"), named("2").urgent(), named("3")]
        };
        for id in ["zero", "zero-urgent", "one", "default"] {
            portal.import("2026-03-02T09:00:00Z", leads(id)).await;
        }
        for (id, expected) in [
            ("zero", [Channel::Digest, Channel::Digest, Channel::Digest]),
            ("zero-urgent", [Channel::Digest, Channel::Single, Channel::Digest]),
            ("one", [Channel::Single, Channel::Digest, Channel::Digest]),
            ("default", [Channel::Single, Channel::Single, Channel::Digest]),
        ] {
            let channels: Vec<_> = portal.leads_of(id).await.into_iter().map(|lead| lead.channel).collect();
            assert_eq!(channels, expected.map(Some), "{id}");
        }
    });
}

/// R-CHANNEL: what is decided stays decided when settings change.
#[test]
fn a_changed_setting_moves_no_lead_that_is_decided() {
    both(async |mut portal| {
        portal.partners("2026-03-02T08:00:00Z", [partner("contoso").threshold(2)]).await;
        portal.import_leads("2026-03-02T09:00:00Z", 1, 3).await;
        let before = portal.channels("contoso").await;
        let expires_at = portal.lead("L01").await.expires_at;
        portal.rules.policy.digest_threshold = 0;
        portal.rules.policy.expire_after = std::time::Duration::from_secs(3600);
        portal
            .partners("2026-03-02T09:30:00Z", [partner("contoso").threshold(10).zone("Asia/Kolkata")])
            .await;
        crate::app::database::apply_settings(&portal.store, crate::app::testing::at("2026-03-02T09:30:00Z"), &portal.rules)
            .await
            .expect("settings are applied");
        assert_eq!(portal.channels("contoso").await, before);
        assert_eq!(portal.lead("L01").await.expires_at, expires_at);
        portal.import_leads("2026-03-02T09:40:00Z", 4, 1).await;
        assert_eq!(
            portal.channels("contoso").await[3],
            "L04 single 2026-03-02 #4",
            "the new threshold, the same day's count"
        );
    });
}

/// R-CHANNEL, R-RECIPIENT: leads of a partner without an address are counted on the day on which it gets one, in the order of intake.
#[test]
fn held_leads_are_counted_on_the_day_their_partner_becomes_routable() {
    both(async |portal| {
        portal.partners("2026-03-01T08:00:00Z", [partner("silent").no_admins()]).await;
        let unknown = |n: usize| lead(&format!("U{n:02}")).partner("unknown").created("2026-03-02T09:00:00Z");
        let silent = |n: usize| lead(&format!("S{n:02}")).partner("silent").created("2026-03-02T09:00:00Z");
        // Newest first within the file; the second batch is older still.
        portal.import("2026-03-02T09:00:00Z", (3..=12).rev().map(unknown)).await;
        portal
            .import("2026-03-02T10:00:00Z", (1..=2).map(|n| unknown(n).created("2026-03-01T09:00:00Z")))
            .await;
        portal.import("2026-03-02T10:00:00Z", [silent(1), silent(2)]).await;
        assert_eq!(portal.channels("unknown").await[0], "U03 held");
        assert_eq!(
            portal.items("unknown").await.len(),
            12,
            "unroutable leads still have their action items"
        );
        assert_eq!(portal.work("2026-03-02T17:00:00Z").await, [""; 0]);
        portal.accept("2026-03-02T18:00:00Z", "S01").await;

        portal
            .partners(
                "2026-03-03T08:00:00Z",
                [partner("unknown"), partner("silent").no_admins().preferred("p@silent.example")],
            )
            .await;
        let channels = portal.channels("unknown").await;
        assert_eq!(channels[0], "U03 single 2026-03-03 #1");
        assert_eq!(
            channels[9..],
            [
                "U12 single 2026-03-03 #10",
                "U01 digest 2026-03-03 #11",
                "U02 digest 2026-03-03 #12"
            ]
        );
        assert_eq!(
            portal.channels("silent").await,
            ["S01 -", "S02 single 2026-03-03 #1"],
            "an answered lead is told to nobody"
        );
        let mails = portal.work("2026-03-03T08:00:00Z").await;
        assert_eq!(mails.len(), 11);
        assert_eq!(mails[10], "lead to p@silent.example: S02");
        portal
            .partners("2026-03-03T09:00:00Z", [partner("unknown").admin("second@unknown.example")])
            .await;
        assert_eq!(
            portal.work("2026-03-03T09:00:00Z").await,
            [""; 0],
            "a second change releases nothing twice"
        );
    });
}

/// R-CHANNEL: a partner that changes its zone may come back to a day that was counted before.
#[test]
fn a_day_that_comes_again_goes_on_counting() {
    both(async |portal| {
        portal
            .partners("2026-03-01T08:00:00Z", [partner("contoso").zone("Pacific/Kiritimati")])
            .await;
        portal.import_leads("2026-03-02T09:59:00Z", 1, 2).await;
        portal.import_leads("2026-03-02T10:01:00Z", 3, 1).await;
        portal.partners("2026-03-02T10:02:00Z", [partner("contoso").zone("UTC")]).await;
        portal.import_leads("2026-03-02T10:03:00Z", 4, 1).await;
        assert_eq!(
            portal.channels("contoso").await,
            [
                "L01 single 2026-03-02 #1",
                "L02 single 2026-03-02 #2",
                "L03 single 2026-03-03 #1",
                "L04 single 2026-03-02 #3"
            ]
        );
        assert_eq!(
            zone("UTC").day_of(crate::app::testing::at("2026-03-02T10:03:00Z")).to_string(),
            "2026-03-02"
        );
    });
}
