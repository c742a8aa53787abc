//! What became of each partner's leads in a span of time, and which partners show no sign that anybody reads their mail.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Error;
use crate::app::page::{Cursor, LIMIT_MAX, Page, key_or, one_more};
use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::store::Store;
use crate::store::leads::{Outcomes, count_outcomes};
use crate::store::partners::{find_address_books, find_partners, list_partners};
use crate::time::Timestamp;

const LIST: &str = "report";

/// The span of a report where nobody says another one: 30 days.
const SPAN: Duration = Duration::from_secs(30 * 86_400);

/// Of which leads a report tells.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Those created then or later.
    pub from: Timestamp,
    /// Those created before that.
    pub before: Timestamp,
}

impl Span {
    /// Returns the span that is meant: the 30 days before its end, which is now, where nobody says otherwise.
    pub fn new(now: Timestamp, from: Option<Timestamp>, before: Option<Timestamp>) -> Self {
        let before = before.unwrap_or(now);
        Self {
            from: from.unwrap_or_else(|| before.minus(SPAN)),
            before,
        }
    }
}

/// What became of a partner's leads. Counted are contact leads that somebody was to be told of, as they stand now.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerReport {
    /// The partner.
    pub partner_id: PartnerId,
    /// Its name.
    pub partner_name: Option<String>,
    /// All of them.
    pub leads: i64,
    /// Unanswered, and not expired.
    pub waiting: i64,
    /// Accepted, won or lost.
    pub accepted: i64,
    /// Of these, those that were won.
    pub won: i64,
    /// Declined.
    pub declined: i64,
    /// Expired: nobody answered.
    pub expired: i64,
    /// Addresses of its record that cannot be reached.
    pub bounced: Vec<EmailAddress>,
    /// Whether anything says that somebody reads its mail: false where an address bounced, or leads expired and none was answered.
    pub proof_of_life: bool,
}

impl PartnerReport {
    fn new(partner: Partner, counted: Outcomes, mut bounced: Vec<EmailAddress>) -> Self {
        bounced.sort();
        let n_answered = counted.n_accepted + counted.n_declined;
        Self {
            partner_id: partner.id,
            partner_name: partner.name,
            leads: counted.n_waiting + n_answered + counted.n_expired + counted.n_erased,
            waiting: counted.n_waiting,
            accepted: counted.n_accepted,
            won: counted.n_won,
            declined: counted.n_declined,
            expired: counted.n_expired,
            proof_of_life: bounced.is_empty() && (counted.n_expired == 0 || n_answered > 0),
            bounced,
        }
    }
}

/// Returns a page of partners by id; with `only` at most that one.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(
    store: &Store,
    now: Timestamp,
    span: Span,
    only: Option<&PartnerId>,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page<PartnerReport>, Error> {
    let after: String = key_or(cursor, LIST, String::new())?;
    let mut tx = store.snapshot().await?;
    let partners = match only {
        Some(only) => find_partners(&mut tx, [only]).await?.into_values().collect(),
        None => list_partners(&mut tx, &after, one_more(limit)).await?,
    };
    let page = Page::cut(partners, limit.clamp(1, LIMIT_MAX), |partner: &Partner| {
        Cursor::behind(LIST, &partner.id.as_str())
    });
    let ids = || page.value.iter().map(|partner| &partner.id);
    let mut counted: HashMap<PartnerId, Outcomes> = count_outcomes(&mut tx, now, span.from, span.before, ids()).await?;
    let mut books = find_address_books(&mut tx, ids()).await?;
    let value = page.value.into_iter().map(|partner| {
        let bounced = books.remove(&partner.id).unwrap_or_default().suppressed.into_iter().collect();
        let counted = counted.remove(&partner.id).unwrap_or_default();
        PartnerReport::new(partner, counted, bounced)
    });
    Ok(Page {
        value: value.collect(),
        next: page.next,
    })
}
