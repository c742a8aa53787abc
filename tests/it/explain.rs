//! `explain`: why somebody was mailed, or was not, in a sentence at the top and with every fact below it.

use posthorn::app::answer::{Action, Terms};
use posthorn::app::record::TryResult;
use posthorn::outbox::{Reply, Stage};
use serde_json::json;

use crate::support::inside::Inside;
use crate::support::posthorn::{Posthorn, both};
use crate::support::records::{lead, partner};

const MONDAY: &str = "2026-03-02T09:00:00.000Z";

/// Returns the page's first sentence, unwrapped.
#[track_caller]
fn verdict(posthorn: &Posthorn, what: &str) -> String {
    let page = posthorn.ok(&["explain", what]);
    for line in page.lines() {
        assert!(
            line.chars().count() <= 80 || !line.trim().contains(' '),
            "wider than a terminal: {line}"
        );
    }
    page.split("\n\n").next().unwrap_or_default().replace('\n', " ")
}

#[track_caller]
fn check(posthorn: &Posthorn, verdicts: &[(&str, &str)]) {
    for (what, expected) in verdicts {
        assert_eq!(verdict(posthorn, what), *expected, "{what}");
    }
}

/// `R-KIND`, `R-CHANNEL`, `R-RECIPIENT`, `R-BACKFILL`, `R-STAGES`: every way in which a lead is mailed, waits or is excused says so.
#[test]
fn a_lead_says_in_one_sentence_who_was_told_or_why_nobody_was() {
    both(|posthorn| {
        let mut inside = Inside::new(posthorn, MONDAY);
        inside.partners([
            partner("contoso")
                .zone("Europe/Berlin")
                .no_admins()
                .preferred("ada@contoso.example"),
            partner("silent").no_admins().preferred_silenced("ada@silent.example"),
            partner("nowhere").no_admins(),
            partner("bouncing"),
            partner("picky").threshold(0),
        ]);
        inside.leads([
            lead("mailed"),
            lead("answered").created("2026-03-02T08:30:00Z"),
            lead("silenced").partner("silent"),
            lead("held").partner("nowhere"),
            lead("stranger").partner("unknown"),
            lead("bounces").partner("bouncing"),
            lead("doubt"),
            lead("late"),
            lead("deferred").partner("picky"),
            lead("offer").offer("GetItNow"),
            lead("co-sell").with("type", "Shared"),
        ]);
        inside.quiet_leads([lead("quiet"), lead("won").status("Closed", "Won")]);
        inside.accept("answered");
        check(
            posthorn,
            &[(
                "mailed",
                "Not mailed yet: it has been due since 2026-03-02 09:00 UTC (10:00 Europe/Berlin), and goes out to ada@contoso.example when a \
                 worker runs (`posthorn serve`, or `posthorn work --until-idle`); none is alive.",
            )],
        );
        for letter in inside.claim() {
            let result = match letter.delivery.lead_id.as_ref().map_or("", |id| id.as_str()) {
                "bounces" => TryResult::Refused(Stage::RcptTo, Reply::new(550, "5.1.1 no such user")),
                "doubt" => TryResult::ReplyLost("timed out after 30 s".into()),
                "late" => TryResult::Refused(Stage::Data, Reply::new(451, "4.3.0 try later")),
                _ => TryResult::Accepted(Some(Reply::new(250, "2.0.0 queued as 4F1"))),
            };
            inside.outcome(letter, result);
        }
        inside.claim();
        check(
            posthorn,
            &[
                (
                    "mailed",
                    "Mailed to ada@contoso.example on 2026-03-02 09:00 UTC (10:00 Europe/Berlin).",
                ),
                ("answered", "Nobody was mailed: the lead was answered before it was mailed."),
                ("silenced", "Nobody was mailed: ada@silent.example has disableNotifications set."),
                (
                    "held",
                    "Nobody was mailed: the partner nowhere has no address (unroutable); it still shows in the Action Center, and is mailed as soon \
                     as there is an address.",
                ),
                (
                    "stranger",
                    "Nobody was mailed: the partner unknown is not known here (unroutable); it still shows in the Action Center, and is mailed as soon \
                     as there is an address.",
                ),
                (
                    "bounces",
                    "Could not be delivered. admin@bouncing.example: failed (refused at RCPT: 550 5.1.1 no such user).",
                ),
                (
                    "doubt",
                    "Handed over for ada@contoso.example, and no reply came, so that it is in doubt whether it arrived; it is sent once more, with the \
                     same Message-ID, at 2026-03-02 09:15 UTC (10:15 Europe/Berlin).",
                ),
                ("deferred", "Waits for the digest due 2026-03-02 17:00 UTC."),
                ("offer", "Nobody was mailed: it is informational: nobody has to answer it."),
                (
                    "co-sell",
                    "Nobody was mailed: it is a co-sell or outgoing lead, which is kept and never notified.",
                ),
                ("quiet", "Nobody was mailed: it came with --no-notify."),
                ("won", "Nobody was mailed: it arrives as Closed/Won, so it is history."),
            ],
        );
        let late = verdict(posthorn, "late");
        assert!(
            late.starts_with("Not mailed yet: the mail to ada@contoso.example is tried again at 2026-03-02 09:"),
            "{late}"
        );
        assert!(
            late.contains("after 1 attempt so far; the last one: refused at DATA: 451 4.3.0 try later."),
            "{late}"
        );

        let story = posthorn.ok(&["explain", "mailed"]);
        let words = story.split_whitespace().collect::<Vec<_>>().join(" ");
        for told in [
            "[R-CHANNEL]",
            "lead goes to ada@contoso.example",
            "mx.example:587",
            "250 2.0.0 queued as 4F1",
            "item-",
            "expires unless",
        ] {
            assert!(words.contains(told), "{told}\n{story}");
        }
        inside.at(posthorn, "2026-03-02T17:00:00.000Z").fire().send(&[]);
        check(
            posthorn,
            &[("deferred", "Mailed to admin@picky.example on 2026-03-02 17:00 UTC, in the digest.")],
        );
        inside.at(posthorn, "2026-03-16T08:00:00.000Z").tick();
        check(
            posthorn,
            &[(
                "held",
                "Nobody was mailed: the partner nowhere had no address (unroutable) until the lead expired; it showed in the Action Center.",
            )],
        );
    });
}

/// `R-DIGEST`: what is answered or expires between a digest's closing and its mail is in none, whether others of it go out or not.
#[test]
fn a_lead_that_its_digest_went_out_without_says_why() {
    both(|posthorn| {
        let mut inside = Inside::new(posthorn, MONDAY);
        inside.partners([partner("picky").threshold(0), partner("done").threshold(0)]);
        inside.leads([
            lead("answered").partner("picky"),
            lead("expired").partner("picky").expires("2026-03-02T17:00:00Z"),
            lead("left").partner("picky"),
            lead("alone").partner("done"),
        ]);
        inside
            .at(posthorn, "2026-03-02T16:59:00.000Z")
            .run_digest("picky")
            .run_digest("done");
        inside.accept("answered").accept("alone");
        inside.at(posthorn, "2026-03-02T17:00:00.000Z").send(&[]);
        check(
            posthorn,
            &[
                ("answered", "Nobody was mailed: it was answered before its digest went out."),
                ("expired", "Nobody was mailed: it expired before its digest went out."),
                ("left", "Mailed to admin@picky.example on 2026-03-02 17:00 UTC, in the digest."),
                ("alone", "Nobody was mailed: it was answered before its digest went out."),
            ],
        );
    });
}

/// `R-DIGEST`: a digest that is tried again names only what is still unanswered then, and nobody is said to have been told of the rest.
#[test]
fn a_lead_that_was_answered_before_its_digest_was_tried_again_was_not_mailed() {
    both(|posthorn| {
        let mut inside = Inside::new(posthorn, MONDAY);
        inside.partners([partner("picky").threshold(0)]);
        inside.leads(["accepted", "won", "expired", "told", "left"].map(|id| {
            let expires = if id == "expired" {
                "2026-03-02T17:20:00Z"
            } else {
                "2026-03-09T09:00:00Z"
            };
            lead(id).partner("picky").expires(expires)
        }));
        inside.at(posthorn, "2026-03-02T17:00:00.000Z").fire();
        for letter in inside.claim() {
            inside.outcome(letter, TryResult::Refused(Stage::Data, Reply::new(451, "4.3.0 try later")));
        }
        inside.at(posthorn, "2026-03-02T17:00:01.000Z").accept("accepted").accept("won");
        let answered = ("accepted", "Nobody was mailed: it was answered before its digest went out.");
        check(posthorn, &[answered]);
        inside.at(posthorn, "2026-03-02T17:30:00.000Z").send(&[]);
        inside.at(posthorn, "2026-03-02T17:40:00.000Z").accept("told");
        inside.answer("won", &Action::Won(Terms::default()));
        let told = "Mailed to admin@picky.example on 2026-03-02 17:30 UTC, in the digest.";
        check(
            posthorn,
            &[
                answered,
                ("won", "Nobody was mailed: it was answered before its digest went out."),
                ("expired", "Nobody was mailed: it expired before its digest went out."),
                ("told", told),
                ("left", told),
            ],
        );
    });
}

/// `R-RECIPIENT`, `R-OPTOUT`: a partner and an address say where mail goes, and why it does not.
#[test]
fn a_partner_and_an_address_say_why_they_get_no_mail() {
    both(|posthorn| {
        let inside = Inside::new(posthorn, MONDAY);
        inside.partners([
            partner("contoso").preferred("ada@contoso.example"),
            partner("nowhere").no_admins(),
            partner("bouncing"),
        ]);
        inside.leads((1..=12).map(|i| lead(&format!("L{i}"))));
        inside.leads([
            lead("B").partner("bouncing"),
            lead("H").partner("nowhere"),
            lead("contoso"),
            lead("S").partner("stranger"),
        ]);
        inside.send(&["admin@bouncing.example"]);
        check(
            posthorn,
            &[
                (
                    "nowhere",
                    "Mail about leads of nowhere goes nowhere: there is no address (unroutable). No mail was ever made for it. 1 lead waits for it \
                     to have an address.",
                ),
                (
                    "bouncing",
                    "Mail about leads of bouncing goes nowhere: no address can be reached (unroutable); suppressed: admin@bouncing.example. None of \
                     its latest mails was sent; the last one, to admin@bouncing.example, is failed: refused at RCPT: 550 5.1.1 no such user.",
                ),
                (
                    "stranger",
                    "Nothing is mailed to stranger: leads of it came in, but no record of it (`posthorn partners import`), so it has no address. No \
                     mail was ever made for it. 1 lead waits for it to have an address.",
                ),
                (
                    "ADA@contoso.example",
                    "For the partner contoso, ada@contoso.example is mailed about its leads, as preferred e-mail. The last mail (lead) was sent on \
                     2026-03-02 09:00 UTC.",
                ),
                (
                    "admin@contoso.example",
                    "For the partner contoso, admin@contoso.example is not mailed about its leads: the partner's preferred e-mail is mailed alone, \
                     before all others. Nothing was ever mailed to it.",
                ),
                (
                    "admin@bouncing.example",
                    "No mail goes to admin@bouncing.example: it is suppressed since 2026-03-02 09:00 UTC (hard bounce): refused at RCPT: 550 5.1.1 \
                     no such user. None of its latest mails was sent; the last one is failed.",
                ),
                ("contoso", "contoso is a lead and a partner; the lead first."),
            ],
        );
        let both = posthorn.json(&["explain", "contoso"]);
        assert!(
            both["partner"]["verdict"]
                .as_str()
                .is_some_and(|said| said.contains("3 unanswered leads wait for the digest due")),
            "{both:#}"
        );
        assert_eq!(
            (
                &both["lead"]["channel"],
                &both["partner"]["told"]["rung"],
                &both["partner"]["digestLeads"]
            ),
            (&json!("digest"), &json!("preferred"), &json!(3))
        );
        assert_eq!(both["lead"]["next"].as_array().map(Vec::len), Some(3), "{both:#}");
    });
}

/// `R-INTAKE`: what was rejected is found by its id, and what never came is said to be unknown.
#[test]
fn an_id_that_is_no_lead_is_looked_for_among_the_rejected() {
    let posthorn = Posthorn::sqlite();
    let inside = Inside::new(&posthorn, MONDAY);
    inside.leads([lead("good"), lead("bad").with("callToAction", "Contact")]);
    let page = posthorn.ok(&["explain", "bad"]);
    assert!(
        page.contains("line 2 of leads.ndjson") && page.contains("callToAction: \"Contact\" is not one of"),
        "{page}"
    );
    assert_eq!(posthorn.json(&["explain", "bad"])["rejected"][0]["line"], 2);
    assert!(
        posthorn
            .refused(5, &["explain", "ba"])
            .contains("there is no lead and no partner ba")
    );
    assert!(
        posthorn
            .refused(5, &["explain", "a@b.example"])
            .contains("no partner's record names a@b.example")
    );
}
