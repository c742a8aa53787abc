//! Proves conservation: every contact lead that ever came in is mailed, waiting, or excused with a reason; every notice has its deliveries; every closed
//! digest is accounted for; every unanswered lead has its action item. What is none of these is an orphan, and there must be none after any crash.
//!
//! **Not here:** the sorting, which is SQL (`store::audit`), so that a million leads cost seconds and no memory.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::Error;
use crate::store::Store;
use crate::store::audit::{Book, Class, Orphan, count, list_orphans};
use crate::store::rejected::count_open;
use crate::time::Timestamp;

/// Orphans that are listed by name; the rest is counted.
pub const LISTED_MAX: i64 = 100;

/// The closed books.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Contact leads.
    pub n_contact: i64,
    /// Leads of which nobody is told, whatever happens, by kind.
    pub others: Vec<Sum>,
    /// Contact leads that were mailed, by channel.
    pub mailed: Vec<Sum>,
    /// Contact leads that wait, by what for.
    pub waiting: Vec<Sum>,
    /// Contact leads of which nobody is told, by reason.
    pub excused: Vec<Sum>,
    /// Notices by state.
    pub notices: Vec<Sum>,
    /// Deliveries by state.
    pub deliveries: Vec<Sum>,
    /// Digests by state.
    pub digests: Vec<Sum>,
    /// Action items of contact leads by state.
    pub items: Vec<Sum>,
    /// Rejected records that nobody has dealt with.
    pub n_rejected: i64,
    /// How many orphans there are.
    pub n_orphans: i64,
    /// The first of them.
    pub orphans: Vec<Lost>,
}

/// How many things are of one sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The sort, as JSON names it.
    pub word: String,
    /// The sort, for people.
    pub text: String,
    /// How many.
    pub n: i64,
}

/// Something that fits nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// `lead`, `notice`, `delivery`, `digest` or `item`.
    pub what: &'static str,
    /// Its id.
    pub id: String,
    /// Whose.
    pub partner_id: String,
    /// Why it fits nowhere.
    pub why: String,
}

/// Closes the books at `now`; `wall_now` tells which workers live.
///
/// # Errors
/// The database cannot be read.
pub async fn audit(store: &Store, now: Timestamp, wall_now: Timestamp) -> Result<Audit, Error> {
    let mut tx = store.snapshot().await?;
    let mut audit = Audit {
        n_rejected: count_open(&mut tx).await?,
        ..Audit::default()
    };
    for book in Book::ALL {
        let mut has_orphans = false;
        for class in count(&mut tx, book, now, wall_now).await? {
            if book == Book::Leads && !class.class.starts_with("other") {
                audit.n_contact += class.n;
            }
            if class.class.starts_with("orphan") {
                audit.n_orphans += class.n;
                has_orphans = true;
            } else {
                audit.add(book, class);
            }
        }
        let room = LISTED_MAX - i64::try_from(audit.orphans.len()).unwrap_or(LISTED_MAX);
        if has_orphans && room > 0 {
            let orphans = list_orphans(&mut tx, book, now, wall_now, room).await?;
            audit.orphans.extend(orphans.into_iter().map(|orphan| lost(book, orphan)));
        }
    }
    Ok(audit)
}

impl Audit {
    fn add(&mut self, book: Book, class: Class) {
        let sums = match (book, class.class.split_once('.').map(|(head, _)| head)) {
            (Book::Leads, Some("mailed")) => &mut self.mailed,
            (Book::Leads, Some("other")) => &mut self.others,
            (Book::Leads, Some("waiting")) => &mut self.waiting,
            (Book::Leads, _) => &mut self.excused,
            (Book::Notices, _) => &mut self.notices,
            (Book::Deliveries, _) => &mut self.deliveries,
            (Book::Digests, _) => &mut self.digests,
            (Book::Items, _) => &mut self.items,
            // Told of in the sums of notices.
            (Book::Gathered, _) => return,
        };
        sums.push(Sum::from(class));
    }

    /// Returns the number of contact leads that are in order.
    pub fn n_accounted(&self) -> i64 {
        let sums = [&self.mailed, &self.waiting, &self.excused];
        sums.into_iter().flatten().map(|sum| sum.n).sum()
    }

    /// Returns the books as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "leads": {
                "total": self.n_contact + total(&self.others),
                "contact": self.n_contact,
                "others": map(&self.others),
                "mailed": map(&self.mailed),
                "waiting": map(&self.waiting),
                "excused": map(&self.excused),
            },
            "notices": map(&self.notices),
            "deliveries": map(&self.deliveries),
            "digests": map(&self.digests),
            "items": map(&self.items),
            "rejectedOpen": self.n_rejected,
            "orphans": self.n_orphans,
            "value": self.orphans,
        })
    }
}

/// Returns how many things some sums count.
pub fn total(sums: &[Sum]) -> i64 {
    sums.iter().map(|sum| sum.n).sum()
}

fn map(sums: &[Sum]) -> Value {
    Value::Object(sums.iter().map(|sum| (sum.word.clone(), sum.n.into())).collect::<Map<_, _>>())
}

impl From<Class> for Sum {
    fn from(class: Class) -> Self {
        let word = class.class.split_once('.').map_or(class.class.as_str(), |(_, word)| word);
        Self {
            word: camel(word),
            text: in_words(&class.class).to_owned(),
            n: class.n,
        }
    }
}

/// Returns `in_doubt` as `inDoubt`.
fn camel(word: &str) -> String {
    let mut parts = word.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut text, part| {
        let (head, tail) = part.split_at(part.len().min(1));
        text.push_str(&head.to_uppercase());
        text.push_str(tail);
        text
    })
}

fn lost(book: Book, orphan: Orphan) -> Lost {
    let what = match book {
        Book::Leads | Book::Gathered => "lead",
        Book::Notices => "notice",
        Book::Deliveries => "delivery",
        Book::Digests => "digest",
        Book::Items => "item",
    };
    Lost {
        what,
        why: in_words(&orphan.class).to_owned(),
        id: orphan.id,
        partner_id: orphan.partner_id,
    }
}

/// Says a class of `store::audit` in words.
fn in_words(class: &str) -> &str {
    match class {
        "other.informational" => "informational",
        "other.shared" => "shared: outgoing or co-sell",
        "other.test" => "test",
        "mailed.single" => "singly",
        "mailed.digest" => "in a digest",
        "waiting.due" => "for a worker to take it up",
        "waiting.queued" => "in the queue, to be tried (again)",
        "waiting.sending" => "being handed over",
        "waiting.in_doubt" => "in doubt: handed over, and no reply came",
        "waiting.digest" => "for its partner's digest",
        "waiting.parked" | "waiting.held" => "for its partner to have an address (unroutable)",
        "excused.quiet" => "came in as history, or with --no-notify",
        "excused.answered" => "answered before it was mailed",
        "excused.erased" => "erased before it was mailed",
        "excused.expired" => "expired before it was mailed",
        "excused.nothing_left" => "needed no telling any more when its mail was written",
        "excused.silenced" => "all of its addresses have opted out or are silenced",
        "excused.dry" => "mode dry: rendered, and not sent",
        "excused.by_ops" => "stopped by ops",
        "excused.suppressed" => "undeliverable: its addresses are suppressed",
        "excused.failed" => "undeliverable: its mails failed for good",
        "sending.dead" => "sending (its worker has died; taken back at the next pass)",
        "in_doubt" => "in doubt",
        "closed.empty" => "closed, nothing left to say",
        "closed.mailed" => "closed, with their notice",
        "orphan.undecided" => "nobody has decided how it is told",
        "orphan.in_no_digest" => "it waits for a digest, and is in none",
        "orphan.no_digest" => "its digest is not there",
        "orphan.no_notice" => "there is no notice for it",
        "orphan.no_delivery" => "its notice is done, and has neither a delivery nor a reason",
        "orphan.left_out" => "its digest went out without it",
        "orphan.no_lead" => "its lead is not there",
        "orphan.digest_open" => "its digest is not closed",
        "orphan.no_reason" => "it was cancelled without a reason",
        "orphan.no_owner" => "it is being sent by nobody",
        "orphan.not_counted" => "it was closed uncounted",
        "orphan.mail_for_nothing" => "it had nothing to say, and has a notice",
        "orphan.two_notices" => "it has more than one notice",
        "orphan.no_item" => "its lead is unanswered and has no action item",
        "orphan.item_settled" => "its lead is unanswered and its action item is not open",
        "orphan.item_open" => "its lead is answered and its action item is still open",
        "orphan.no_reminder" => "the notice that gathers its reminder is not there",
        "orphan.no_expiry" => "the notice that gathers its expiry is not there",
        other => other.strip_prefix("other.").unwrap_or(other),
    }
}
