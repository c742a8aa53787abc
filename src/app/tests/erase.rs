//! Erasing the personal data of leads (`R-ERASE`).

use std::time::Duration;

use crate::app::answer::{Action as Answer, Terms};
use crate::app::bounce::{Incoming, take_in};
use crate::app::erase::{BATCH_MAX, Wish, erase, erase_due, next_due};
use crate::app::leads;
use crate::app::record::{Tried, TryResult, give_back, record};
use crate::app::take_in::Outcome;
use crate::app::testing::records::{Lead, lead, partner};
use crate::app::testing::{OWNER, Portal, at, both, refused, tried};
use crate::lead::{LeadId, Stage};
use crate::outbox::bounce::{Action, Recipient, Report, Sort};
use crate::outbox::mark::Marks;
use crate::outbox::reply::parse_enhanced;
use crate::outbox::{Reply, Stage as SmtpStage};
use crate::store::deliveries::{Filter, list_deliveries};
use crate::store::kept::{Packed, list_kept};
use crate::store::testing::read;
use crate::store::workers::insert_worker;

const CREATED: &str = "2026-03-02T08:00:00Z";
const LATER: &str = "2026-03-03T08:00:00Z";
const EXPIRY: &str = "2026-03-16T08:00:00Z";

/// What of an ordinary lead names or describes its customer.
const PERSONAL: [&str; 9] = [
    "Byron",
    "ada@fabrikam",
    "496 0000",
    "Market Street",
    "LS1 4AP",
    "Leeds",
    "Please call",
    "Deal L",
    "Customer L",
];

/// Fails where a text column of the database names the customer.
#[track_caller]
fn check_gone(texts: &[String], why: &str) {
    for text in texts {
        let found: Vec<&&str> = PERSONAL.iter().filter(|personal| text.contains(**personal)).collect();
        assert!(found.is_empty(), "{why}: {found:?} in {text}");
    }
}

/// Returns every text of the tables that hold leads and what was done about them.
async fn texts(portal: &Portal) -> Vec<String> {
    let mut texts = Vec::new();
    for columns in [
        "lead: id, customer, deal, record, answer",
        "lead_facet: customer, words, contact_words",
        "notice: subject, reason, forward",
        "delivery: address, name, reason",
        "attempt: relay, detail",
        "item: title, text",
        "history: address, event, actor, detail",
        "rejected: record, record_hash, faults",
        "suppression: address, detail",
        "address_fault: address",
        "bounce: address, said, reason, raw",
    ] {
        let (table, columns) = columns.split_once(": ").expect("a table and its columns");
        for column in columns.split(", ") {
            let rows = read(&portal.store, &format!("select coalesce({column}, '') from {table}")).await;
            texts.extend(rows.into_iter().flatten().map(|text| format!("{table}.{column}: {text}")));
        }
    }
    texts
}

fn decline() -> Answer {
    Answer::Decline {
        reason: "Byron was rude".into(),
        notes: Some("Ada Byron shouted".into()),
        notify_customer: true,
    }
}

/// A way to bring leads into a state; each takes the portal to `LATER` or to its expiry.
async fn bring(portal: &mut Portal, state: &str) -> &'static str {
    let ready = || [partner("contoso").threshold(1), partner("sender")];
    let told = |id: &str| lead(id).created(CREATED).invited_by("sender");
    match state {
        "held" => {
            portal.partners(CREATED, [partner("contoso").no_admins()]).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            LATER
        }
        "parked" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.partners(CREATED, [partner("contoso").no_admins().threshold(1)]).await;
            portal.work(CREATED).await;
            LATER
        }
        "waiting" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            CREATED
        }
        "mailed" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.work(CREATED).await;
            portal.work("2026-03-02T17:00:00Z").await;
            LATER
        }
        "digest closed" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.work(CREATED).await;
            portal.fire("2026-03-02T17:00:00Z").await;
            "2026-03-02T17:00:00Z"
        }
        "claimed" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.claim(CREATED).await;
            CREATED
        }
        "retried" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.fire("2026-03-02T17:00:00Z").await;
            for letter in portal.claim("2026-03-02T17:00:00Z").await {
                portal
                    .record("2026-03-02T17:00:00Z", &letter, refused(450, "4.2.0 Ada Byron may come later"))
                    .await;
            }
            "2026-03-02T17:00:00Z"
        }
        "in doubt" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            for letter in portal.claim(CREATED).await {
                portal.record(CREATED, &letter, TryResult::ReplyLost("Byron".into())).await;
            }
            CREATED
        }
        "accepted" | "won" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.work(CREATED).await;
            let terms = Terms {
                deal_name: Some("For Ada Byron".into()),
                notes: Some("Ada Byron is nice".into()),
                ..Terms::default()
            };
            for id in ["L1", "L2"] {
                portal.answer(LATER, id, Answer::Accept(terms.clone())).await.expect("it fits");
                if state == "won" {
                    portal.answer(LATER, id, Answer::Won(Terms::default())).await.expect("it fits");
                }
            }
            LATER
        }
        "declined" | "decline mailed" | "decline refused" | "decline claimed" | "decline retried" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.work(CREATED).await;
            for id in ["L1", "L2"] {
                portal.answer(LATER, id, decline()).await.expect("it fits");
            }
            match state {
                "decline mailed" => drop(portal.send(LATER).await),
                "decline claimed" => drop(portal.claim(LATER).await),
                "decline retried" => {
                    for letter in portal.claim(LATER).await {
                        portal.record(LATER, &letter, refused(450, "4.2.0 Ada Byron may come later")).await;
                    }
                }
                "decline refused" => {
                    for letter in portal.claim(LATER).await {
                        portal
                            .record(LATER, &letter, refused(550, "5.1.1 no ada@fabrikam.example here"))
                            .await;
                    }
                }
                _ => {}
            }
            LATER
        }
        "expired" | "expiry mailed" => {
            portal.rules.policy.remind_by_mail = true;
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            portal.work(CREATED).await;
            portal.work("2026-03-02T17:00:00Z").await;
            portal.work("2026-03-13T08:00:00Z").await;
            portal.work("2026-03-14T00:00:00Z").await;
            portal.tick(EXPIRY).await;
            if state == "expiry mailed" {
                portal.work("2026-03-16T09:00:00Z").await;
            }
            "2026-03-16T09:00:00Z"
        }
        "expiry unwritten" => {
            portal.partners(CREATED, ready()).await;
            portal.import(CREATED, [told("L1"), told("L2")]).await;
            EXPIRY
        }
        "quiet" => {
            portal.partners(CREATED, ready()).await;
            portal.import_quiet(CREATED, [told("L1"), told("L2")]).await;
            LATER
        }
        "informational" => {
            portal
                .import(CREATED, [told("L1").offer("GetItNow"), told("L2").offer("FreeTrial")])
                .await;
            LATER
        }
        other => panic!("there is no state {other}"),
    }
}

const STATES: [&str; 20] = [
    "held",
    "parked",
    "waiting",
    "mailed",
    "digest closed",
    "claimed",
    "retried",
    "in doubt",
    "accepted",
    "won",
    "declined",
    "decline mailed",
    "decline refused",
    "decline claimed",
    "decline retried",
    "expired",
    "expiry mailed",
    "expiry unwritten",
    "quiet",
    "informational",
];

/// R-ERASE: whatever has become of a lead, nothing of its customer is left, nobody is told any more, and the books are in order, then and later.
#[test]
fn a_lead_in_any_state_is_erased_whole() {
    for state in STATES {
        both(async |mut portal| {
            let mut tx = portal.store.begin().await.expect("a transaction");
            insert_worker(&mut tx, "worker", at(CREATED), at("2027-01-01T00:00:00Z"), false)
                .await
                .expect("a worker");
            tx.commit().await.expect("a commit");
            let now = bring(&mut portal, state).await;
            for id in ["L1", "L2"] {
                let before = portal.lead(id).await;
                let erased = portal.erase(now, id).await;
                assert_eq!(
                    (erased.stage, erased.stage_since),
                    (before.stage_at(at(now)), before.stage_since_at(at(now))),
                    "{state}"
                );
                assert_eq!(portal.lead(id).await.erased_at, Some(at(now)), "{state}");
                assert!(
                    portal
                        .story(id)
                        .await
                        .iter()
                        .any(|line| line.starts_with("R-ERASE its personal data was erased")),
                    "{state}"
                );
            }
            check_gone(&texts(&portal).await, state);
            for waiting in [
                "select subject from notice where lead_id is not null and state in ('pending', 'parked')",
                "select kind from delivery where lead_id is not null and state in ('queued', 'in_doubt')",
            ] {
                assert_eq!(read(&portal.store, waiting).await.concat(), Vec::<String>::new(), "{state}");
            }
            portal.audit_is_clean(now, state).await;
            for item in portal.items("contoso").await.into_values() {
                assert_eq!((item.state.as_str(), item.title.as_str()), ("withdrawn", "Erased lead"), "{state}");
            }
            give_back(&portal.store, at(now), &portal.rules, OWNER)
                .await
                .expect("its worker gives back what it holds");
            portal.partners("2026-03-20T00:00:00Z", [partner("contoso")]).await;
            for later in ["2026-03-20T00:00:00Z", "2026-03-20T17:00:00Z", "2026-10-01T00:00:00Z"] {
                let mails = portal.work(later).await;
                assert!(mails.is_empty(), "{state} at {later}: {mails:#?}");
                portal.audit_is_clean(later, state).await;
            }
            check_gone(&texts(&portal).await, state);
        });
    }
}

/// R-ERASE: a digest, a reminder and an expiry mail go on without the lead that was erased.
#[test]
fn what_is_gathered_goes_without_the_erased_lead() {
    both(async |mut portal| {
        portal.rules.policy.remind_by_mail = true;
        portal.partners(CREATED, [partner("contoso").threshold(1), partner("sender")]).await;
        let ids = ["L1", "L2", "L3", "L4", "L5", "L6"];
        portal
            .import(CREATED, ids.map(|id| lead(id).created(CREATED).invited_by("sender")))
            .await;
        portal.work(CREATED).await;
        portal.erase(CREATED, "L2").await;
        assert_eq!(portal.lead("L2").await.digest_id, None);
        portal.fire("2026-03-02T17:00:00Z").await;
        portal.erase("2026-03-02T17:00:00Z", "L3").await;
        let digest = portal.claim("2026-03-02T17:00:00Z").await.remove(0);
        assert_eq!(
            digest.leads.iter().map(|lead| lead.id.as_str()).collect::<Vec<_>>(),
            ["L4", "L5", "L6"]
        );
        assert_eq!(digest.mailed.len(), 1, "L1 was mailed singly that day");
        portal.record("2026-03-02T17:00:00Z", &digest, refused(450, "4.2.0 later")).await;
        portal.erase("2026-03-02T18:00:00Z", "L1").await;
        let again = portal.claim("2026-03-03T18:00:00Z").await.remove(0);
        assert_eq!((again.leads.len(), again.mailed.len()), (3, 0), "{:?}", again.mailed);
        let thanks = TryResult::Accepted(Some(Reply::new(250, "2.0.0 ok")));
        portal.record("2026-03-03T18:00:00Z", &again, thanks).await;
        let said = read(&portal.store, "select detail from attempt order by id").await.concat();
        assert_eq!(
            said,
            ["(erased)", "(erased)", "accepted: 250 2.0.0 ok"],
            "of L1 alone, of the digest's first attempt, and of its second, which told of no lead that is erased"
        );
        portal.tick("2026-03-13T08:00:00Z").await;
        portal.erase("2026-03-13T09:00:00Z", "L4").await;
        assert_eq!(
            portal.work("2026-03-14T00:00:00Z").await,
            ["reminder to admin@contoso.example: L5 L6"]
        );
        portal.tick(EXPIRY).await;
        portal.erase(EXPIRY, "L5").await;
        assert_eq!(portal.work("2026-03-16T09:00:00Z").await, ["expiry to admin@sender.example: L6"]);
        portal.audit_is_clean("2026-03-16T09:00:00Z", "after all").await;
    });
}

/// R-ERASE: neither the mails that told of it are kept, be they its own, gathered, or a digest that named it as mailed singly, nor what was said of them;
/// of others' mails both stay.
#[test]
fn kept_mails_and_replies_go_with_the_lead_of_which_they_tell() {
    both(async |mut portal| {
        portal.rules.keep_sent = Duration::from_secs(30 * 86_400);
        portal.partners(CREATED, [partner("contoso").threshold(1), partner("other")]).await;
        let leads = [lead("L1"), lead("L2"), lead("L3").partner("other")].map(|lead| lead.created(CREATED));
        portal.import(CREATED, leads).await;
        portal.fire("2026-03-02T17:00:00Z").await;
        let mut ids = Vec::new();
        for letter in portal.claim("2026-03-02T17:00:00Z").await {
            let done = Tried {
                mail: Some(Packed::of(b"mail")),
                ..tried(
                    "2026-03-02T17:00:00Z",
                    &letter,
                    TryResult::Accepted(Some(Reply::new(250, "2.0.0 ok"))),
                )
            };
            ids.push(letter.delivery.id);
            record(&portal.store, at("2026-03-02T17:00:00Z"), &portal.rules, OWNER, &[done])
                .await
                .expect("it is recorded");
        }
        assert_eq!(ids.len(), 3, "two singles and a digest");
        let left = async |portal: &Portal| {
            let mut tx = portal.store.read().await.expect("a transaction");
            let kept = list_kept(&mut tx, &ids).await.expect("a read").len();
            let mails = list_deliveries(&mut tx, &Filter::default(), i64::MAX, 10).await.expect("a read");
            let said = mails.iter().filter(|mail| mail.reason.as_deref() == Some("accepted: 250 2.0.0 ok"));
            (kept, said.count())
        };
        assert_eq!(left(&portal).await, (3, 3));
        portal.erase("2026-03-02T18:00:00Z", "L1").await;
        assert_eq!(left(&portal).await, (1, 1), "its own and the digest of its day, which names it");
        let attempts = read(&portal.store, "select detail from attempt order by id").await.concat();
        assert_eq!(attempts.iter().filter(|detail| *detail == "(erased)").count(), 2, "{attempts:?}");
    });
}

/// R-ERASE: a mail that a worker has claimed may go; what comes of it is recorded without what was said, and the mail is not kept.
#[test]
fn what_comes_of_a_claimed_mail_later_is_recorded_without_its_words() {
    both(async |mut portal| {
        portal.rules.keep_sent = Duration::from_secs(30 * 86_400);
        portal.partners(CREATED, [partner("contoso")]).await;
        portal.import(CREATED, [lead("L1"), lead("L2")]).await;
        portal.answer(LATER, "L2", decline()).await.expect("it fits");
        let letters = portal.claim(LATER).await;
        assert_eq!(letters.len(), 2, "a lead mail and a decline");
        for id in ["L1", "L2"] {
            portal.erase(LATER, id).await;
        }
        for letter in &letters {
            let result = if letter.delivery.lead_id == Some(LeadId::new("L1")) {
                TryResult::Accepted(Some(Reply::new(250, "2.0.0 thanks for Byron")))
            } else {
                TryResult::Refused(SmtpStage::RcptTo, Reply::new(550, "no ada@fabrikam.example here"))
            };
            let done = Tried {
                mail: Some(Packed::of(b"Byron")),
                ..tried(LATER, letter, result)
            };
            let recorded = record(&portal.store, at(LATER), &portal.rules, OWNER, &[done]).await;
            assert_eq!(recorded.expect("it is recorded").n_recorded, 1);
        }
        check_gone(&texts(&portal).await, "claimed");
        assert_eq!(read(&portal.store, "select 'a mail' from kept_mail").await.len(), 0);
        portal.audit_is_clean(LATER, "claimed").await;
    });
}

/// R-SYNC, R-ERASE: an erased lead takes nothing back, neither from a newer record nor from one that is rejected; it stays one lead, and follows what the
/// portal decides.
#[test]
fn an_erased_lead_takes_no_contact_data_back() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso")]).await;
        portal.import(CREATED, [lead("L1").created(CREATED)]).await;
        let wrong = || lead("L1").created(CREATED).with("callToAction", "Call Ada Byron");
        assert!(matches!(portal.import(CREATED, [wrong()]).await[..], [Outcome::Rejected(_)]));
        portal.erase(LATER, "L1").await;
        check_gone(&texts(&portal).await, "erased");
        let update = |updated: &str| -> Lead { lead("L1").created(CREATED).updated(updated).expires("2026-05-01T00:00:00Z") };
        assert_eq!(portal.import(LATER, [lead("L1").created(CREATED)]).await, [Outcome::Unchanged]);
        assert_eq!(portal.import(LATER, [update(LATER)]).await, [Outcome::Updated]);
        assert_eq!(portal.import(LATER, [update(LATER)]).await, [Outcome::Unchanged]);
        assert_eq!(portal.lead("L1").await.expires_at, Some(at(EXPIRY)));
        let accepted = update("2026-03-04T00:00:00Z").status("Active", "Accepted");
        assert_eq!(portal.import("2026-03-04T00:00:00Z", [accepted]).await, [Outcome::Updated]);
        assert_eq!(portal.lead("L1").await.stage, Stage::Accepted);
        assert!(
            matches!(portal.import(LATER, [wrong()]).await[..], [Outcome::Rejected(_)]),
            "its faults are told"
        );
        let elsewhere = update("2026-03-05T00:00:00Z").partner("fabrikam");
        assert!(matches!(portal.import(LATER, [elsewhere]).await[..], [Outcome::Rejected(_)]));
        check_gone(&texts(&portal).await, "brought again");
        assert_eq!(portal.leads_of("contoso").await.len(), 1);
        portal.audit_is_clean("2026-03-05T00:00:00Z", "brought again").await;
    });
}

/// R-ERASE, R-STAGES
#[test]
fn an_erased_lead_takes_no_answer_and_is_erased_once() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso")]).await;
        portal.import(CREATED, [lead("L1").created(CREATED)]).await;
        let wish = Wish {
            by: Some("ops"),
            reason: Some("asked for"),
        };
        let id = LeadId::new("L1");
        erase(&portal.store, at(LATER), &portal.rules, &id, wish)
            .await
            .expect("it is there");
        let story = portal.story("L1").await;
        assert_eq!(
            story.last().map(String::as_str),
            Some("R-ERASE its personal data was erased on request by ops: asked for")
        );
        let again = portal.erase("2026-03-04T08:00:00Z", "L1").await;
        assert_eq!((again.erased_at, portal.story("L1").await.len()), (Some(at(LATER)), story.len()));
        for action in [Answer::Accept(Terms::default()), decline(), Answer::Edit(Terms::default())] {
            let error = portal.answer(LATER, "L1", action).await.expect_err("it is erased");
            assert!(
                error.to_string().starts_with("lead L1 was erased at 2026-03-03T08:00:00.000Z"),
                "{error}"
            );
        }
        let missing = erase(&portal.store, at(LATER), &portal.rules, &LeadId::new("L9"), wish).await;
        assert_eq!(missing.expect_err("there is none").to_string(), "there is no lead L9");
    });
}

/// R-ERASE: `policy.erase_after`, to the millisecond; what somebody has to answer, or is at work on, stays.
#[test]
fn the_clock_erases_what_has_been_closed_for_long_enough() {
    both(async |mut portal| {
        portal.partners(CREATED, [partner("contoso")]).await;
        let leads = ["received", "accepted", "won", "declined", "expired", "informational", "shared"].map(|id| {
            let lead = lead(id).created(CREATED).expires("2027-01-01T00:00:00Z");
            match id {
                "informational" => lead.offer("GetItNow"),
                "shared" => lead.with("type", "Shared"),
                "expired" => lead.expires(LATER),
                _ => lead,
            }
        });
        portal.import(CREATED, leads).await;
        portal.tick(LATER).await;
        for id in ["accepted", "won"] {
            portal.accept(LATER, id).await;
        }
        portal.answer(LATER, "won", Answer::Won(Terms::default())).await.expect("it fits");
        portal.answer(LATER, "declined", decline()).await.expect("it fits");

        let due = async |portal: &Portal| {
            let mut tx = portal.store.read().await.expect("a transaction");
            next_due(&mut tx, &portal.rules).await.expect("a read")
        };
        let turn = async |portal: &Portal, now: &str| erase_due(&portal.store, at(now), &portal.rules).await.expect("a turn");
        assert_eq!(
            (due(&portal).await, turn(&portal, "2036-01-01T00:00:00Z").await),
            (None, 0),
            "unset"
        );
        portal.rules.policy.erase_after = Some(Duration::from_secs(10 * 86_400));
        for (now, n_erased, next) in [
            ("2026-03-12T07:59:59.999Z", 0, Some("2026-03-12T08:00:00Z")),
            ("2026-03-12T08:00:00.000Z", 2, Some("2026-03-13T08:00:00Z")),
            ("2026-03-13T07:59:59.999Z", 0, Some("2026-03-13T08:00:00Z")),
            ("2026-03-13T08:00:00.000Z", 3, None),
            ("2026-12-01T00:00:00.000Z", 0, None),
        ] {
            assert_eq!((turn(&portal, now).await, due(&portal).await), (n_erased, next.map(at)), "{now}");
        }
        for lead in portal.leads_of("contoso").await {
            assert_eq!(
                lead.is_erased(),
                !["received", "accepted"].contains(&lead.id.as_str()),
                "{}",
                lead.id
            );
        }
        let told = portal.story("won").await.pop().expect("a last entry");
        assert!(
            told.contains("policy.erase_after is over") && told.contains(LATER.trim_end_matches('Z')),
            "{told}"
        );
        portal.audit_is_clean("2026-12-01T00:00:00Z", "by the clock").await;
    });
}

/// R-ERASE: a batch at a time, as everything that the clock does.
#[test]
fn the_clock_erases_a_batch_in_one_transaction() {
    both(async |mut portal| {
        portal.rules.policy.erase_after = Some(Duration::from_secs(86_400));
        let n = usize::try_from(BATCH_MAX).expect("a small number") + 1;
        let leads = (0..n).map(|number| lead(&format!("L{number}")).created(CREATED).offer("GetItNow"));
        portal.import(CREATED, leads).await;
        let turn = async || erase_due(&portal.store, at(LATER), &portal.rules).await.expect("a turn");
        assert_eq!((turn().await, turn().await, turn().await), (n - 1, 1, 0));
        check_gone(&texts(&portal).await, "batch");
    });
}

/// R-ERASE: that mail to a customer came back is forgotten with his last lead, unless a partner has that address or somebody stopped it by hand.
#[test]
fn what_is_known_of_a_customers_address_goes_with_his_last_lead() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso")]).await;
        let with = |id: &str, email: &str| lead(id).created(CREATED).contact(email, "en");
        portal
            .import(
                CREATED,
                [
                    with("L1", "twice@fabrikam.example"),
                    with("L2", "twice@fabrikam.example"),
                    with("L3", "admin@contoso.example"),
                ],
            )
            .await;
        for id in ["L1", "L2", "L3"] {
            portal.answer(LATER, id, decline()).await.expect("it fits");
        }
        for letter in portal.claim(LATER).await {
            portal.bounce(LATER, &letter).await;
        }
        let suppressed = async || {
            read(&portal.store, "select address from suppression order by address")
                .await
                .concat()
        };
        assert_eq!(suppressed().await, ["admin@contoso.example", "twice@fabrikam.example"]);
        portal.erase(LATER, "L1").await;
        portal.erase(LATER, "L3").await;
        assert_eq!(
            suppressed().await,
            ["admin@contoso.example", "twice@fabrikam.example"],
            "in use elsewhere"
        );
        portal.erase(LATER, "L2").await;
        assert_eq!(suppressed().await, ["admin@contoso.example"]);
        let left = texts(&portal).await;
        assert!(left.iter().all(|text| !text.contains("twice@")), "{left:#?}");
    });
}

/// R-ERASE: a bounce that comes later changes what it may, and brings nothing back; one of a mail to a customer changes nothing.
#[test]
fn a_bounce_that_comes_later_brings_nothing_back() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso").admin("kim@contoso.example")]).await;
        portal.import(CREATED, [lead("L1").created(CREATED)]).await;
        portal.work(CREATED).await;
        portal.answer(LATER, "L1", decline()).await.expect("it fits");
        portal.work(LATER).await;
        portal.erase(LATER, "L1").await;
        let marks = Marks::new(&[7; 32], Some("bounces+{id}@portal.example"));
        for (delivery, to, state) in [
            (1, "admin@contoso.example", "matched"),
            (2, "someone.else@byron.example", "unmatched"),
            (3, "ada@fabrikam.example", "ignored"),
        ] {
            let report = Report {
                sort: Sort::Report,
                message_id: Some(format!("{delivery}@mx.example")),
                came_to: marks.return_address(delivery).into_iter().collect(),
                recipients: vec![Recipient {
                    last: Some(to.to_owned()),
                    action: Some(Action::Failed),
                    status: parse_enhanced("5.1.1"),
                    diagnostic: Some("550 5.1.1 no Ada Byron, ada@fabrikam.example, here".to_owned()),
                    remote: Some("mx.Byron.example".to_owned()),
                    ..Recipient::default()
                }],
                ..Report::default()
            };
            let incoming = Incoming {
                source: "test",
                recipient: None,
                raw: b"Ada Byron, ada@fabrikam.example",
                report,
            };
            let taken = take_in(&portal.store, at(LATER), &portal.rules, &marks, &incoming).await;
            assert_eq!(taken.expect("it is taken in").bounce.state, state, "{to}");
        }
        check_gone(&texts(&portal).await, "bounced");
        let suppressed = read(&portal.store, "select address from suppression").await.concat();
        assert_eq!(suppressed, ["admin@contoso.example"]);
        portal.audit_is_clean(LATER, "bounced").await;
    });
}

/// R-ERASE: a tombstone is listed where it stood when it was erased, whatever its expiry was.
#[test]
fn a_tombstone_is_listed_where_it_stood() {
    both(async |portal| {
        portal.partners(CREATED, [partner("contoso")]).await;
        portal.import(CREATED, [lead("L1").created(CREATED)]).await;
        portal.erase(LATER, "L1").await;
        for (stage, search, n) in [
            (Stage::Received, None, 1),
            (Stage::Expired, None, 0),
            (Stage::Received, Some("L1"), 1),
            (Stage::Received, Some("Byron"), 0),
        ] {
            let filter = leads::Filter {
                stages: vec![stage],
                search: search.map(str::to_owned),
                ..leads::Filter::default()
            };
            let page = leads::page(&portal.store, at("2026-05-01T00:00:00Z"), &filter, None, 10).await;
            assert_eq!(page.expect("a page").value.len(), n, "{stage} {search:?}");
        }
    });
}
