//! What is found out about customers' e-mail and phone, by whom it is asked, and when that counts (`R-VERIFY`).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::erase::{Wish, erase};
use crate::app::testing::records::{Lead as Described, lead};
use crate::app::testing::{Portal, at, both};
use crate::app::verify::{Due, Mail, Verified, claim, record};
use crate::lead::LeadId;
use crate::lead::spam::SpamDomains;
use crate::store::verify::count_waiting;

const MORNING: &str = "2026-03-02T08:00:00.000Z";
const NOON: &str = "2026-03-02T12:00:00.000Z";

fn offer_of(id: &str, email: &str) -> Described {
    offer_with(id, email, "")
}

fn offer_with(id: &str, email: &str, phone: &str) -> Described {
    let person = json!({"firstName": "Ada", "email": email, "phoneNumber": phone});
    lead(id).offer("ContactMe").with("customerProfile.team", json!([person]))
}

/// What lists and pages show of a lead: its e-mail, its phone, and when it is looked at again.
async fn shown(portal: &Portal, id: &str) -> String {
    let lead = portal.lead(id).await;
    let shown = lead.show(at(NOON));
    let word = |key: &str| shown[key].as_str().unwrap_or("-").to_owned();
    let due = lead.verify_at.map_or("-".to_owned(), |at| at.to_string());
    format!("{} {} {due}", word("emailValidity"), word("phoneValidity"))
}

async fn take(portal: &Portal, now: &str) -> Vec<Due> {
    claim(&portal.store, at(now), &portal.rules, 100).await.expect("a claim").0
}

async fn write(portal: &Portal, now: &str, due: &[Due], answers: &[(&str, Mail)]) -> Verified {
    let answers: HashMap<String, Mail> = answers.iter().map(|(domain, mail)| ((*domain).to_owned(), mail.clone())).collect();
    record(&portal.store, at(now), &portal.rules, due, &answers)
        .await
        .expect("it is recorded")
}

/// Asks for all that is due, once, with these answers.
async fn ask(portal: &Portal, now: &str, answers: &[(&str, Mail)]) -> Verified {
    let due = take(portal, now).await;
    write(portal, now, &due, answers).await
}

async fn told(portal: &Portal, id: &str) -> Vec<String> {
    let story = portal.story(id).await;
    story.into_iter().filter(|told| told.starts_with("R-VERIFY")).collect()
}

async fn facets(portal: &Portal) -> Vec<String> {
    crate::store::testing::read(
        &portal.store,
        "select l.id || ' ' || coalesce(f.email_validity, '-') || ' ' || coalesce(f.phone_validity, '-') from lead l join lead_facet f on f.seq = l.seq order by l.id",
    )
    .await
    .concat()
}

/// `R-VERIFY`: at intake, what needs nobody; the rest waits for the DNS, and lists find it meanwhile.
#[test]
fn at_intake_syntax_lists_and_numbering_plans_decide() {
    both(async |mut portal| {
        portal.rules.spam_domains = SpamDomains::new(["casino.example"], []);
        portal
            .import(
                MORNING,
                [
                    offer_with("ask", "ada@fabrikam.example", "0113 496 0000"),
                    offer_with("list", "ada@mailinator.com", "12"),
                    offer_of("own", "ada@win.casino.example"),
                    offer_of("syntax", "ada@fabrikam"),
                    lead("none").offer("ContactMe").with("customerProfile.team", json!([])),
                    offer_of("said", "ada@mailinator.com")
                        .with("emailValidity", "Valid")
                        .with("phoneValidity", "Unknown"),
                    lead("profile").location("hq"),
                    lead("plain"),
                ],
            )
            .await;
        let mut found = Vec::new();
        for id in ["ask", "list", "own", "syntax", "none", "said", "profile", "plain"] {
            found.push(format!("{id}: {}", shown(&portal, id).await));
        }
        assert_eq!(
            found,
            [
                "ask: Unknown Valid 2026-03-02T08:00:00.000Z",
                "list: Spam Invalid -",
                "own: Spam Unknown -",
                "syntax: Invalid Unknown -",
                "none: Unknown Unknown -",
                "said: Valid Unknown -",
                "profile: - - -",
                "plain: - - -",
            ]
        );
        assert_eq!(
            facets(&portal).await,
            [
                "ask Unknown Valid",
                "list Spam Invalid",
                "none Unknown Unknown",
                "own Spam Unknown",
                "plain - -",
                "profile - -",
                "said Valid Unknown",
                "syntax Invalid Unknown",
            ]
        );
        assert_eq!(
            told(&portal, "list").await,
            [
                "R-VERIFY its record does not say: its e-mail is Spam, since its domain is on the lists of disposable and spam domains; \
              its phone is Invalid by the numbering plan of its country"
            ]
        );
        assert_eq!(told(&portal, "none").await, [""; 0], "nothing has become known");
        assert_eq!(told(&portal, "said").await, [""; 0]);
    });
}

/// `R-VERIFY`: what the DNS says is written once, found by lists, and told by the history, without anybody's domain.
#[test]
fn what_the_dns_says_becomes_the_validity() {
    both(async |portal| {
        let leads = [
            ("yes", "ada@fabrikam.example"),
            ("no", "ada@gone.example"),
            ("late", "ada@slow.example"),
        ];
        portal.import(MORNING, leads.map(|(id, email)| offer_of(id, email))).await;
        let due = take(&portal, NOON).await;
        let domains: Vec<&str> = due.iter().filter_map(Due::mail_domain).collect();
        assert_eq!(domains.len(), 3, "{domains:?}");
        assert!(take(&portal, NOON).await.is_empty(), "what one has taken, no other takes");
        let answers = [
            ("fabrikam.example", Mail::Taken),
            ("gone.example", Mail::NotTaken("it says so itself (RFC 7505)")),
            ("slow.example", Mail::Unanswered),
        ];
        let verified = write(&portal, NOON, &due, &answers).await;
        let expected = Verified {
            valid: 1,
            invalid: 1,
            later: 1,
            ..Verified::default()
        };
        assert_eq!(verified, expected);
        assert_eq!(shown(&portal, "yes").await, "Valid Unknown -");
        assert_eq!(shown(&portal, "no").await, "Invalid Unknown -");
        assert_eq!(shown(&portal, "late").await, "Unknown Unknown 2026-03-02T12:05:00.000Z");
        assert_eq!(
            facets(&portal).await,
            ["late Unknown Unknown", "no Invalid Unknown", "yes Valid Unknown"]
        );
        assert_eq!(
            told(&portal, "yes").await,
            ["R-VERIFY its record does not say: its e-mail is Valid, since its domain takes mail"]
        );
        assert_eq!(
            told(&portal, "no").await,
            ["R-VERIFY its record does not say: its e-mail is Invalid, since its domain takes no mail: it says so itself (RFC 7505)"]
        );
        assert!(
            take(&portal, "2026-03-02T12:04:59.999Z").await.is_empty(),
            "only what waits is asked for again, and not before"
        );
        assert_eq!(take(&portal, "2026-03-02T12:05:00.000Z").await.len(), 1);
    });
}

/// `R-VERIFY`: ten tries without an answer, with growing waits; a try that was not made does not count.
#[test]
fn a_domain_that_nobody_answers_for_is_given_up() {
    both(async |portal| {
        portal.import(MORNING, [offer_of("L1", "ada@slow.example")]).await;
        let mut waits = Vec::new();
        let mut now = at(MORNING);
        for turn in 0.. {
            let not_asked = turn == 3;
            let answers: &[(&str, Mail)] = if not_asked { &[] } else { &[("slow.example", Mail::Unanswered)] };
            ask(&portal, &now.to_string(), answers).await;
            let Some(next) = portal.lead("L1").await.verify_at else { break };
            waits.push(next.since(now).as_secs() / 60);
            now = next;
        }
        assert_eq!(waits, [5, 10, 20, 5, 40, 80, 160, 320, 640, 720]);
        assert_eq!(shown(&portal, "L1").await, "Unknown Unknown -");
        assert_eq!(
            told(&portal, "L1").await,
            ["R-VERIFY its record does not say: its e-mail is Unknown, since the DNS gave no answer in 10 tries, and is not asked again"]
        );
        // Newer content of another address begins anew.
        portal
            .import(
                "2026-03-05T08:00:00Z",
                [offer_of("L1", "ada@other.example").updated("2026-03-05T07:00:00Z")],
            )
            .await;
        ask(&portal, "2026-03-05T08:00:00.000Z", &[("other.example", Mail::Unanswered)]).await;
        assert_eq!(shown(&portal, "L1").await, "Unknown Unknown 2026-03-05T08:05:00.000Z");
    });
}

/// `R-VERIFY`, `R-INTAKE`: an answer about content that has been replaced meanwhile counts for nothing.
#[test]
fn an_answer_to_content_that_is_gone_is_not_written() {
    both(async |portal| {
        portal
            .import(MORNING, ["said", "other", "same"].map(|id| offer_of(id, "ada@fabrikam.example")))
            .await;
        let due = take(&portal, NOON).await;
        let newer = |id: &str, email: &str| offer_of(id, email).updated("2026-03-02T11:00:00Z");
        portal
            .import(
                NOON,
                [
                    newer("said", "ada@fabrikam.example").with("emailValidity", "Spam"),
                    newer("other", "eve@gone.example"),
                ],
            )
            .await;
        let verified = write(&portal, NOON, &due, &[("fabrikam.example", Mail::Taken)]).await;
        assert_eq!((verified.valid, verified.passed_over), (1, 2));
        assert_eq!(shown(&portal, "said").await, "Spam Unknown -");
        assert_eq!(shown(&portal, "other").await, "Unknown Unknown 2026-03-02T12:00:00.000Z");
        assert_eq!(shown(&portal, "same").await, "Valid Unknown -");
        let spam_again = write(&portal, NOON, &due, &[("fabrikam.example", Mail::NotTaken("late"))]).await;
        assert_eq!(spam_again.passed_over, 3, "whoever comes late changes nothing");
        assert_eq!(shown(&portal, "same").await, "Valid Unknown -");
    });
}

/// `R-VERIFY`, `R-ERASE`: nobody looks at a lead that was erased, whoever was about to.
#[test]
fn an_erased_lead_is_not_looked_at() {
    both(async |portal| {
        portal
            .import(MORNING, ["taken", "due"].map(|id| offer_of(id, "ada@fabrikam.example")))
            .await;
        let due = claim(&portal.store, at(NOON), &portal.rules, 1).await.expect("a claim").0;
        let wish = Wish { by: None, reason: None };
        for id in ["taken", "due"] {
            let erased = erase(&portal.store, at(NOON), &portal.rules, &LeadId::new(id), wish).await;
            erased.expect("it is erased");
        }
        let verified = write(&portal, NOON, &due, &[("fabrikam.example", Mail::Taken)]).await;
        assert_eq!((verified.passed_over, verified.n_leads()), (1, 1));
        let late = "2026-03-03T12:00:00.000Z";
        portal.import(late, [offer_of("due", "ada@mailinator.com").updated(late)]).await;
        assert!(take(&portal, late).await.is_empty());
        for id in ["taken", "due"] {
            assert!(told(&portal, id).await.is_empty(), "{id}");
        }
    });
}

/// `R-VERIFY`: newer content is looked at anew, but the DNS is asked again only for another domain.
#[test]
fn newer_content_is_looked_at_anew() {
    both(async |portal| {
        let first = offer_with("L1", "ada@fabrikam.example", "12");
        portal.import(MORNING, [first.clone()]).await;
        ask(&portal, MORNING, &[("fabrikam.example", Mail::Taken)]).await;
        assert_eq!(shown(&portal, "L1").await, "Valid Invalid -");
        let of = |email: &str| offer_with("L1", email, "0113 496 0000");
        let phone = of("ada@fabrikam.example");
        let steps: [(Described, &str, &str); 5] = [
            (phone.clone(), "Valid Valid -", "the same domain: what the DNS said still counts"),
            (of("ada@other.example"), "Unknown Valid due", "another domain"),
            (of("ada@mailinator.com"), "Spam Valid -", "a listed one"),
            (
                phone.clone().with("emailValidity", "Invalid").with("phoneValidity", "Unknown"),
                "Invalid Unknown -",
                "the record says it",
            ),
            (phone.location("hq"), "- - -", "no offer lead any more"),
        ];
        for ((record, expected, why), minute) in steps.into_iter().zip(1..) {
            let now = format!("2026-03-02T09:{minute:02}:00.000Z");
            portal.import(&now, [record.updated(&now)]).await;
            assert_eq!(shown(&portal, "L1").await, expected.replace("due", &now), "{why}");
        }
    });
}

/// `R-VERIFY`, `R-EXPIRY`: of contact data that an expired lead does not take back nothing is found out, and what was found out before stays.
#[test]
fn an_expired_lead_keeps_what_was_found_out() {
    both(async |portal| {
        let record = offer_with("L1", "ada@mailinator.com", "12");
        portal.import(MORNING, [record.clone()]).await;
        let late = "2026-03-20T08:00:00.000Z";
        portal.tick(late).await;
        portal
            .import(late, [record.contact("eve@fabrikam.example", "en").updated(late)])
            .await;
        assert_eq!(shown(&portal, "L1").await, "Spam Invalid -");
    });
}

/// `R-VERIFY`: without `verify.mx` nobody is asked, whatever waits from before.
#[test]
fn nobody_is_asked_where_that_is_not_wanted() {
    both(async |mut portal| {
        portal.import(MORNING, [offer_of("before", "ada@fabrikam.example")]).await;
        portal.rules.asks_dns = false;
        portal.import(MORNING, [offer_of("since", "ada@fabrikam.example")]).await;
        assert_eq!(shown(&portal, "since").await, "Unknown Unknown -");
        let verified = ask(&portal, NOON, &[]).await;
        assert_eq!((verified.unknown, verified.n_leads()), (1, 1));
        assert_eq!(shown(&portal, "before").await, "Unknown Unknown -");
        let mut tx = portal.store.read().await.expect("a transaction");
        assert_eq!(count_waiting(&mut tx).await.expect("a count"), 0);
    });
}

/// `R-VERIFY`: leads that were here before anybody looked at e-mail and phone are looked at whole, once they are due.
#[test]
fn leads_from_before_are_looked_at_whole() {
    both(async |portal| {
        portal
            .import(
                MORNING,
                [
                    offer_with("spam", "ada@mailinator.com", "12"),
                    offer_with("ask", "ada@fabrikam.example", "12"),
                    lead("profile").location("hq"),
                ],
            )
            .await;
        let migration = include_str!("../../../migrations/sqlite/0014_verify.sql");
        assert_eq!(migration, include_str!("../../../migrations/postgres/0014_verify.sql"));
        let at = migration.find("update lead").expect("it makes leads due");
        let before = "update lead set email_validity = null, phone_validity = null, verify_at = null";
        crate::store::testing::execute(&portal.store, before).await;
        crate::store::testing::execute(&portal.store, &migration[at..]).await;
        let verified = ask(&portal, NOON, &[("fabrikam.example", Mail::Taken)]).await;
        assert_eq!((verified.spam, verified.valid, verified.n_leads()), (1, 1, 2));
        assert_eq!(shown(&portal, "spam").await, "Spam Invalid -");
        assert_eq!(shown(&portal, "ask").await, "Valid Invalid -");
        assert_eq!(shown(&portal, "profile").await, "- - -");
    });
}

/// A lead that is moved, answered or updated while others take and record: nothing is lost, and nobody waits for ever.
#[test]
fn looking_at_leads_goes_beside_everything_else() {
    both(async |portal| {
        let portal = Arc::new(portal);
        let ids: Vec<String> = (0..40).map(|n| format!("L{n:02}")).collect();
        portal
            .import(MORNING, ids.iter().map(|id| offer_of(id, "ada@fabrikam.example")))
            .await;
        let looking = async {
            loop {
                let due = claim(&portal.store, at(NOON), &portal.rules, 7).await.expect("a claim").0;
                if due.is_empty() {
                    break;
                }
                let answers = [("fabrikam.example", Mail::Taken), ("other.example", Mail::NotTaken("gone"))];
                write(&portal, NOON, &due, &answers).await;
            }
        };
        let answering = async {
            for id in &ids {
                portal.accept(NOON, id).await;
            }
        };
        let updating = async {
            for id in ids.iter().rev() {
                let newer: Value = offer_of(id, "ada@other.example").updated("2026-03-02T11:00:00Z").into();
                portal.import(NOON, [newer]).await;
            }
        };
        tokio::join!(looking, answering, updating);
        ask(&portal, NOON, &[("other.example", Mail::NotTaken("gone"))]).await;
        for id in &ids {
            assert_eq!(shown(&portal, id).await, "Invalid Unknown -", "{id}: the newest content counts");
            assert_eq!(portal.lead(id).await.stage, crate::lead::Stage::Accepted);
        }
    });
}
