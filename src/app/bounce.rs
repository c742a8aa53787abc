//! Takes in what came to where bounces go: finds the mail that it speaks of, believes it or not, and does what follows (`R-RECIPIENT`).
//!
//! A bounce that bears no mark of this database's, or speaks of another recipient than the mail's (`bounce_match`), changes nothing; it is kept for a
//! while and listed. So is what is no report: automatic answers, complaints, mail of people.
//!
//! **Invariants:** the same bounce again changes nothing, however it comes; one that nothing came of may come again. What a bounce does is written in the
//! transaction that writes the bounce down.
//! **Not here:** reading mail (`mail::dsn`), what a class does to a delivery (`outbox`).

use std::collections::BTreeSet;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::app::bounce_match::{believed, find};
use crate::app::record::{facts, outcome};
use crate::app::suppress::{self, Suppress};
use crate::app::{Error, Rules, about_partner};
use crate::lead::erase::ERASED;
use crate::outbox::Kind;
use crate::outbox::bounce::{Class, Recipient, Report, Sort};
use crate::outbox::delivery::{Event, Next, next};
use crate::outbox::mark::Marks;
use crate::store::attempts::{Attempt, insert_attempts};
use crate::store::bounces::{Bounce, find_same, forget_all_but, forget_bounces, insert_bounce, settle_bounce};
use crate::store::deliveries::{Delivery, move_deliveries};
use crate::store::history::insert_history;
use crate::store::notices::reopen_notices;
use crate::store::suppressions::note_faults;
use crate::store::{Store, Tx, retried};
use crate::telemetry;
use crate::time::Timestamp;

/// Bytes of a mail that are kept: the report comes before what it brings back, and a person sees by them what it is.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// Mails kept at most, of those that matched nothing and of those that are no report: 128 MiB, however much a stranger sends.
const KEPT_MAX: i64 = 1000;
/// How often a bounce is judged anew when its delivery moves meanwhile.
const TRIES_MAX: u32 = 5;

/// The stage of the attempt that a bounce is written down as.
pub const STAGE: &str = "bounce";

/// A mail that came.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// File name, or the way it came.
    pub source: &'a str,
    /// Its envelope's recipient, where whoever brings it knows.
    pub recipient: Option<&'a str>,
    /// The mail.
    pub raw: &'a [u8],
    /// What it says.
    pub report: Report,
}

/// What came of a mail.
#[derive(Clone, Debug)]
pub struct Taken {
    /// As it is kept.
    pub bounce: Bounce,
    /// Whether the same was taken in before, so that nothing was done now.
    pub is_repeat: bool,
}

/// What is to be done about a mail.
struct Judged {
    bounce: Bounce,
    /// What it does, where it is believed.
    effect: Option<(Delivery, Recipient, Class)>,
}

/// Takes a mail in at `now`.
///
/// # Errors
/// The database cannot record it; then nothing was, and the same may come again.
pub async fn take_in(store: &Store, now: Timestamp, rules: &Rules, marks: &Marks, incoming: &Incoming<'_>) -> Result<Taken, Error> {
    for _ in 0..TRIES_MAX {
        let taken = retried(|| take_in_once(store, now, rules, marks, incoming)).await?;
        if let Some(taken) = taken {
            let class = taken.bounce.class.as_deref().filter(|_| taken.bounce.state == MATCHED);
            telemetry::bounce_taken_in(class.unwrap_or(&taken.bounce.sort), &taken.bounce.state, taken.is_repeat);
            return Ok(taken);
        }
    }
    Err(Error::Refused(
        "the mail that it is about moves all the time; bring it again".to_owned(),
    ))
}

const MATCHED: &str = "matched";
const UNMATCHED: &str = "unmatched";
const IGNORED: &str = "ignored";

/// The states of what is kept.
pub const STATES: [&str; 3] = [MATCHED, UNMATCHED, IGNORED];

/// `None` where its delivery has moved since it was read.
async fn take_in_once(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    marks: &Marks,
    incoming: &Incoming<'_>,
) -> Result<Option<Taken>, crate::store::Error> {
    let mut tx = store.begin().await?;
    let same = find_same(&mut tx, &identity(incoming)).await?;
    if let Some(bounce) = same.clone().filter(|same| same.state != UNMATCHED) {
        return Ok(Some(Taken { bounce, is_repeat: true }));
    }
    let Judged { mut bounce, effect } = judge(&mut tx, now, marks, incoming).await?;
    if let Some((delivery, recipient, class)) = &effect {
        let Some(reason) = apply(&mut tx, now, rules, delivery, recipient, *class, &incoming.report).await? else {
            return Ok(None);
        };
        bounce.reason = reason;
    }
    let written = match same {
        // It came before, when nothing could be made of it: perhaps before its return address was configured.
        Some(same) if effect.is_some() => {
            bounce.id = same.id;
            settle_bounce(&mut tx, &bounce).await?.then_some(bounce)
        }
        Some(same) => {
            return Ok(Some(Taken {
                bounce: same,
                is_repeat: true,
            }));
        }
        None => insert_bounce(&mut tx, &bounce).await?,
    };
    // Somebody else brought the same at this moment: he has done it all.
    let Some(bounce) = written else { return Ok(None) };
    forget_in(&mut tx, now, rules).await?;
    tx.commit().await?;
    Ok(Some(Taken { bounce, is_repeat: false }))
}

/// Forgets what has been kept for long enough.
///
/// # Errors
/// The database cannot record it.
pub async fn forget(store: &Store, now: Timestamp, rules: &Rules) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    forget_in(&mut tx, now, rules).await?;
    Ok(tx.commit().await?)
}

async fn forget_in(tx: &mut Tx, now: Timestamp, rules: &Rules) -> Result<(), crate::store::Error> {
    forget_bounces(tx, now.minus(rules.keep_bounces)).await?;
    for state in [UNMATCHED, IGNORED] {
        forget_all_but(tx, state, KEPT_MAX).await?;
    }
    Ok(())
}

/// Two copies of a mail have the same Message-ID, whatever way they came; one without any is itself.
fn identity(incoming: &Incoming<'_>) -> String {
    let hash = match &incoming.report.message_id {
        Some(id) => Sha256::new().chain_update(b"message-id ").chain_update(id).finalize(),
        None => Sha256::new().chain_update(b"mail ").chain_update(incoming.raw).finalize(),
    };
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decides whose mail it is about, and whether it is believed.
async fn judge(tx: &mut Tx, now: Timestamp, marks: &Marks, incoming: &Incoming<'_>) -> Result<Judged, crate::store::Error> {
    let report = &incoming.report;
    let first = report.recipients.first();
    let mut bounce = Bounce {
        id: 0,
        received_at: now.as_millis(),
        source: plain(incoming.source),
        identity: identity(incoming),
        sort: report.sort.as_str().to_owned(),
        state: UNMATCHED.to_owned(),
        class: first.and_then(Recipient::class).map(|class| class.as_str().to_owned()),
        delivery_id: None,
        matched_by: None,
        address: first.map(|recipient| plain(recipient.names())),
        said: first.map(|recipient| plain(&recipient.said())).unwrap_or_default(),
        reason: String::new(),
        raw: Some(kept(incoming.raw)),
    };
    let (found, is_forged) = find(tx, marks, incoming.recipient, report).await?;
    if let Some(found) = &found {
        bounce.delivery_id = Some(found.delivery.id);
        bounce.matched_by = Some(found.by.to_owned());
    }
    if report.sort != Sort::Report {
        IGNORED.clone_into(&mut bounce.state);
        bounce.reason = match report.sort {
            Sort::AutoReply => "an automatic answer: it changes nothing",
            Sort::Complaint => {
                "a complaint: it changes nothing by itself; `posthorn suppressions add ADDRESS` stops mail to whoever does not want any"
            }
            Sort::Report | Sort::Other => "no report of what became of a mail: it changes nothing",
        }
        .to_owned();
        return Ok(Judged { bounce, effect: None });
    }
    let Some(found) = found else {
        bounce.reason = if is_forged {
            "its return address bears a mark that this database has not made: forged, altered, or of another database"
        } else {
            "it bears no mark of a mail that this database has sent"
        }
        .to_owned();
        return Ok(Judged { bounce, effect: None });
    };
    if found.delivery.is_erased {
        // What becomes of a mail that told of an erased lead is recorded, and not what was said of it (`R-ERASE`).
        (bounce.address, bounce.raw) = (None, None);
        ERASED.clone_into(&mut bounce.said);
        if found.delivery.kind == Kind::Decline {
            IGNORED.clone_into(&mut bounce.state);
            "its lead was erased: it changes nothing".clone_into(&mut bounce.reason);
            return Ok(Judged { bounce, effect: None });
        }
    }
    match believed(&found.delivery, report) {
        Ok((recipient, class)) => {
            MATCHED.clone_into(&mut bounce.state);
            bounce.class = Some(class.as_str().to_owned());
            bounce.address = Some(found.delivery.address.as_str().to_owned());
            if !found.delivery.is_erased {
                bounce.said = plain(&recipient.said());
            }
            bounce.raw = None;
            let effect = Some((found.delivery, recipient, class));
            Ok(Judged { bounce, effect })
        }
        Err(_) if found.delivery.is_erased => {
            "it is not believed".clone_into(&mut bounce.reason);
            Ok(Judged { bounce, effect: None })
        }
        Err(why) => {
            bounce.reason = why;
            Ok(Judged { bounce, effect: None })
        }
    }
}

/// Does what a bounce says of a mail, and returns what that was; `None` where the mail has moved meanwhile.
async fn apply(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    delivery: &Delivery,
    recipient: &Recipient,
    class: Class,
    report: &Report,
) -> Result<Option<String>, crate::store::Error> {
    let first_seen = if recipient.is_bare_refusal() {
        let seen = note_faults(tx, now, std::slice::from_ref(&delivery.address)).await?;
        seen.into_iter().next().map(|(_, at)| at)
    } else {
        None
    };
    let event = recipient.event(now, first_seen).expect("what has a class is an event");
    let next = next(now, delivery.state, event, &facts(delivery, rules, 0.5)).expect("a delivery takes a bounce in every state");
    let said = if delivery.is_erased {
        ERASED.to_owned()
    } else {
        plain(&recipient.said())
    };
    let what = in_words(class, &said);
    if !next.is_unchanged() {
        let moved = outcome(now, delivery, &next, Some(what.clone()), event);
        if move_deliveries(tx, now, &[(delivery.state, moved)]).await?.is_empty() {
            return Ok(None);
        }
    }
    let asked = recipient
        .remote
        .as_ref()
        .or(report.reporter.as_ref())
        .filter(|_| !delivery.is_erased);
    let suppressed = if next.suppresses { "; the address is suppressed" } else { "" };
    let attempt = Attempt {
        delivery_id: delivery.id,
        at: now,
        relay: asked.map_or_else(|| "a bounce".to_owned(), |host| plain(host)),
        stage: STAGE.to_owned(),
        code: recipient.code(),
        outcome: class.as_str().to_owned(),
        detail: format!("{what}{suppressed}"),
        templates: None,
    };
    insert_attempts(tx, &[attempt]).await?;
    let followed = followed(delivery, &next, event);
    let mut entry = about_partner(
        now,
        &delivery.partner_id,
        "R-RECIPIENT",
        format!("the {} mail to {} {what}; {followed}", delivery.kind, delivery.address),
        json!({ "kind": delivery.kind.as_str(), "deliveryId": delivery.id, "class": class.as_str() }),
    );
    entry.lead_id.clone_from(&delivery.lead_id);
    entry.address = Some(delivery.address.clone());
    insert_history(tx, &[entry]).await?;
    if next.suppresses {
        let dead = Suppress {
            address: delivery.address.clone(),
            reason: "hard bounce".to_owned(),
            detail: what,
            actor: None,
        };
        suppress::apply(tx, now, rules, &[dead]).await?;
    }
    if next.resolves_again {
        reopen_notices(tx, now, &BTreeSet::from([delivery.notice_id])).await?;
    }
    Ok(Some(followed))
}

/// Says what happened to a mail, as the rest of a sentence about it.
fn in_words(class: Class, said: &str) -> String {
    match class {
        Class::Hard => format!("came back: {said}"),
        Class::Soft => format!("came back, for a reason that passes: {said}"),
        Class::Delayed => format!("is delayed, and still tried: {said}"),
        Class::Delivered => "was delivered, says its report".to_owned(),
        Class::Relayed => "was passed on to where no report comes from".to_owned(),
        Class::Expanded => "was passed on to several".to_owned(),
    }
}

/// Says what followed.
fn followed(delivery: &Delivery, next: &Next, event: Event) -> String {
    let suppressed = if next.suppresses { "the address is suppressed" } else { "" };
    let state = match event {
        Event::DsnDelivered if !next.is_unchanged() => format!("the mail is {} now", next.state),
        _ if next.resolves_again => "the next address is told instead, where there is one".to_owned(),
        _ => format!("the mail stays {}", delivery.state.to_string().replace('_', " ")),
    };
    let parts = [suppressed, state.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", and ")
}

/// Makes one line of what came from outside: no control characters, no more than a field holds.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

/// Cuts a mail to what is kept. PostgreSQL keeps no U+0000, and neither engine text that is no UTF-8.
fn kept(raw: &[u8]) -> String {
    let cut = &raw[..raw.len().min(KEPT_BYTES_MAX)];
    let text = String::from_utf8_lossy(cut).replace('\0', "");
    if raw.len() > cut.len() {
        return format!("{text}\n[cut here: the mail has {} bytes]\n", raw.len());
    }
    text
}
