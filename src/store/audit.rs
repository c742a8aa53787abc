//! The books of the house, closed in SQL: every contact lead, notice, delivery, digest and item falls into one class, and `orphan…` is what fits nowhere.
//!
//! **Invariant:** a class is a word of a bounded list (`app::audit` says each in words), so that a million leads are summed up in constant memory.
//! All statements of one audit read one snapshot.

use crate::store::engine::{Arg, Sql, Tx, args, row};
use crate::store::error::Error;
use crate::time::Timestamp;

pub(super) const ALL: &[&Sql] = &[
    &COUNT_LEADS,
    &LIST_LEADS,
    &COUNT_NOTICES,
    &LIST_NOTICES,
    &COUNT_DELIVERIES,
    &LIST_DELIVERIES,
    &COUNT_DIGESTS,
    &LIST_DIGESTS,
    &COUNT_ITEMS,
    &LIST_ITEMS,
    &COUNT_GATHERED,
    &LIST_GATHERED,
];

/// How a history entry begins that says of a lead that no mail of its digest names it: all of its addresses are silenced.
pub const NAMED_IN_NO_MAIL: &str = "is named in no mail";

/// How many things fall into one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The class's word, such as `waiting.digest` or `orphan.no_notice`; of notices, deliveries and digests that are in order, the state.
    pub class: String,
    /// How many.
    pub n: i64,
}
row!(Class: class, n);

/// Something that fits nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// A lead's id, or a row's number.
    pub id: String,
    /// Whose.
    pub partner_id: String,
    /// Why it fits nowhere.
    pub class: String,
}
row!(Orphan: id, partner_id, class);

/// One of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Book {
    /// Leads; those that are no contact leads are `other.…`.
    Leads,
    /// Notices of every kind.
    Notices,
    /// Deliveries of every kind.
    Deliveries,
    /// Digests.
    Digests,
    /// Action items of contact leads.
    Items,
    /// Leads that a reminder or an expiry notice gathers.
    Gathered,
}

impl Book {
    /// Every book.
    pub const ALL: [Self; 6] = [
        Self::Leads,
        Self::Notices,
        Self::Deliveries,
        Self::Digests,
        Self::Items,
        Self::Gathered,
    ];

    fn statements(self) -> (&'static Sql, &'static Sql) {
        match self {
            Self::Leads => (&COUNT_LEADS, &LIST_LEADS),
            Self::Notices => (&COUNT_NOTICES, &LIST_NOTICES),
            Self::Deliveries => (&COUNT_DELIVERIES, &LIST_DELIVERIES),
            Self::Digests => (&COUNT_DIGESTS, &LIST_DIGESTS),
            Self::Items => (&COUNT_ITEMS, &LIST_ITEMS),
            Self::Gathered => (&COUNT_GATHERED, &LIST_GATHERED),
        }
    }
}

/// Counts a book by class at `now`; `wall_now` tells which workers live.
pub async fn count(tx: &mut Tx, book: Book, now: Timestamp, wall_now: Timestamp) -> Result<Vec<Class>, Error> {
    tx.fetch_all(book.statements().0, instants(book, now, wall_now)).await
}

/// Lists what fits nowhere in a book, up to `limit`.
pub async fn list_orphans(tx: &mut Tx, book: Book, now: Timestamp, wall_now: Timestamp, limit: i64) -> Result<Vec<Orphan>, Error> {
    let mut args = instants(book, now, wall_now);
    args.push(limit.into());
    tx.fetch_all(book.statements().1, args).await
}

fn instants(book: Book, now: Timestamp, wall_now: Timestamp) -> Vec<Arg> {
    match book {
        Book::Items => args![now],
        Book::Deliveries => args![wall_now],
        Book::Leads | Book::Notices | Book::Digests | Book::Gathered => args![],
    }
}

/// Makes the two statements of a book from the one text that sorts it into `(id, partner_id, class)`: the sums, and the orphans.
macro_rules! book {
    ($count:ident = $count_name:literal, $list:ident = $list_name:literal, $limit:literal: $sqlite:expr, $postgres:expr) => {
        const $count: Sql = Sql {
            name: $count_name,
            sqlite: concat!(
                "/* ",
                $count_name,
                " */ ",
                $sqlite,
                " select class, count(*) as n from sorted where class is not null group by class order by class"
            ),
            postgres: concat!(
                "/* ",
                $count_name,
                " */ ",
                $postgres,
                " select class, count(*) as n from sorted where class is not null group by class order by class"
            ),
        };
        const $list: Sql = Sql {
            name: $list_name,
            sqlite: concat!(
                "/* ",
                $list_name,
                " */ ",
                $sqlite,
                " select id, partner_id, class from sorted where class like 'orphan%' order by id limit ",
                $limit
            ),
            postgres: concat!(
                "/* ",
                $list_name,
                " */ ",
                $postgres,
                " select id, partner_id, class from sorted where class like 'orphan%' order by id limit ",
                $limit
            ),
        };
    };
}

// A lead that a reader sent on was told before: that mail counts for nothing here, and stands in the books of notices and deliveries.
// Of the mails that name a lead, the one that came furthest: told by its rank. 60 and more: sent; 50 and more: under way; else it came to nothing.
// Then, from the surest answer down: mailed, waiting, excused; what is left is an orphan.
macro_rules! leads {
    ($unpacked:literal, $answer:literal, $finished:literal) => {
        concat!(
            "with told as (
  select lead_id, max(reached) as reached from (
    select delivery.lead_id, ", reached!(), " as reached from delivery where delivery.kind = 'lead' and delivery.forwarded_by is null
    union all
    select one.value as lead_id, ", reached!(), " as reached from delivery, ", $unpacked, " where delivery.kind = 'digest'
  ) as named
  group by lead_id
), sorted as (
  select lead.id, lead.partner_id, case
    when lead.kind <> 'contact' then 'other.' || lead.kind
    when told.reached = 61 then 'mailed.single'
    when told.reached = 60 then 'mailed.digest'
    when lead.channel is null and lead.is_quiet then 'excused.quiet'
    when lead.channel is null and ", open!(), " then 'orphan.undecided'
    when lead.channel is null then ", left!(), "
    when lead.channel = 'held' and ", open!(), " then 'waiting.held'
    when lead.channel = 'held' then ", left!(), "
    when lead.channel = 'digest' and lead.digest_id is null and ", open!(), " then 'orphan.in_no_digest'
    when lead.channel = 'digest' and lead.digest_id is null then ", left!(), "
    when lead.channel = 'digest' and digest.id is null then 'orphan.no_digest'
    when digest.state = 'collecting' and ", open!(), " then 'waiting.digest'
    when digest.state = 'collecting' then ", left!(), "
    when digest.n_leads = 0 and notice.id is null and (lead.stage <> 'received' or lead.expires_at <= digest.closed_at
      or lead.erased_at <= digest.closed_at) then ", left!(), "
    when notice.id is null then 'orphan.no_notice'
    when notice.state = 'pending' then 'waiting.due'
    when notice.state = 'parked' then 'waiting.parked'
    when told.reached = 52 then 'waiting.sending'
    when told.reached = 51 then 'waiting.queued'
    when told.reached = 50 then 'waiting.in_doubt'
    when notice.state = 'cancelled' and ", open!(), " then 'excused.by_ops'
    when notice.state = 'cancelled' then ", left!(), "
    when told.reached = 23 then 'excused.dry'
    when told.reached = 22 then 'excused.by_ops'
    when told.reached = 21 then ", left!(), "
    when told.reached = 12 then 'excused.suppressed'
    when told.reached = 11 then 'excused.failed'
    when notice.reason like '%disableNotifications%' or notice.reason like '%has unsubscribed%' then 'excused.silenced'
    when notice.reason is not null then ", left!(), "
    when notice.kind = 'lead' then 'orphan.no_delivery'
    when (lead.stage <> 'received' and lead.stage_since <= notice.finished_at) or lead.expires_at <= notice.finished_at
      or lead.erased_at <= notice.finished_at then ", left!(), "
    when lead.stage in ('won', 'lost') and ", $answer, "->>'acceptedDateTime' <= ", $finished, " then ", left!(), "
    when exists (select 1 from history where history.lead_id = lead.id and history.event like 'is named in no mail%') then 'excused.silenced'
    else 'orphan.left_out' end as class
  from lead
  left join told on told.lead_id = lead.id
  left join digest on digest.id = lead.digest_id and lead.channel = 'digest'
  left join notice on notice.kind = case lead.channel when 'single' then 'lead' when 'digest' then 'digest' end
    and notice.subject = case lead.channel when 'single' then lead.id when 'digest' then cast(lead.digest_id as text) end
)"
        )
    };
}
macro_rules! reached {
    () => {
        "case delivery.state
      when 'sent' then case delivery.kind when 'lead' then 61 else 60 end
      when 'sending' then 52 when 'queued' then 51 when 'in_doubt' then 50
      when 'cancelled' then case when delivery.reason like 'mode dry%' then 23 when delivery.reason like '%by ops%' then 22 else 21 end
      when 'suppressed' then 12 else 11 end"
    };
}
/// Whether a lead is still to be answered, as far as that is written.
macro_rules! open {
    () => {
        "lead.stage = 'received' and lead.erased_at is null"
    };
}
/// Why a lead needs no telling any more.
macro_rules! left {
    () => {
        "case lead.stage when 'received' then case when lead.erased_at is null then 'excused.nothing_left' else 'excused.erased' end when 'expired' then 'excused.expired' else 'excused.answered' end"
    };
}

book!(COUNT_LEADS = "audit.count_leads", LIST_LEADS = "audit.list_leads", "$1":
    leads!("json_each(delivery.leads) as one", "lead.answer", "strftime('%Y-%m-%dT%H:%M:%fZ', notice.finished_at / 1000.0, 'unixepoch')"),
    leads!("json_array_elements_text(delivery.leads::json) as one(value)", "lead.answer::json",
      "to_char(to_timestamp(notice.finished_at / 1000.0) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"));

// A hard failure reopens a notice, so one that was reopened had a delivery once.
macro_rules! notices {
    () => {
        "with sorted as (
  select cast(notice.id as text) as id, notice.partner_id, case
    when notice.kind in ('lead', 'decline') and lead.id is null then 'orphan.no_lead'
    when notice.kind = 'digest' and digest.id is null then 'orphan.no_digest'
    when notice.kind = 'digest' and digest.state = 'collecting' then 'orphan.digest_open'
    when notice.state = 'cancelled' and notice.reason is null then 'orphan.no_reason'
    when (notice.is_reopened or notice.state = 'undeliverable' or (notice.state = 'done' and notice.reason is null))
      and delivered.notice_id is null then 'orphan.no_delivery'
    else notice.state end as class
  from notice
  left join digest on digest.id = notice.digest_id
  left join lead on lead.id = notice.lead_id
  left join (select delivery.notice_id from delivery group by delivery.notice_id) as delivered on delivered.notice_id = notice.id
)"
    };
}
book!(COUNT_NOTICES = "audit.count_notices", LIST_NOTICES = "audit.list_notices", "$1": notices!(), notices!());

macro_rules! deliveries {
    () => {
        "with sorted as (
  select cast(delivery.id as text) as id, delivery.partner_id, case
    when notice.id is null then 'orphan.no_notice'
    when delivery.state = 'sending' and worker.epoch is null then 'orphan.no_owner'
    when delivery.state = 'sending' and worker.alive_until < $1 then 'sending.dead'
    else delivery.state end as class
  from delivery
  left join notice on notice.id = delivery.notice_id
  left join worker on worker.epoch = delivery.owner
)"
    };
}
book!(COUNT_DELIVERIES = "audit.count_deliveries", LIST_DELIVERIES = "audit.list_deliveries", "$2": deliveries!(), deliveries!());

macro_rules! digests {
    () => {
        "with sorted as (
  select cast(digest.id as text) as id, digest.partner_id, case
    when digest.state = 'collecting' then 'collecting'
    when digest.n_leads is null then 'orphan.not_counted'
    when digest.n_leads = 0 and mailed.n is null then 'closed.empty'
    when digest.n_leads = 0 then 'orphan.mail_for_nothing'
    when mailed.n = 1 then 'closed.mailed'
    when mailed.n is null then 'orphan.no_notice'
    else 'orphan.two_notices' end as class
  from digest
  left join (select notice.digest_id, count(*) as n from notice where notice.digest_id is not null group by notice.digest_id) as mailed
    on mailed.digest_id = digest.id
)"
    };
}
book!(COUNT_DIGESTS = "audit.count_digests", LIST_DIGESTS = "audit.list_digests", "$1": digests!(), digests!());

// A lead that expired and whose expiry is not written down yet is the clock's business.
macro_rules! items {
    () => {
        concat!(
            "with sorted as (
  select lead.id, lead.partner_id, case
    when ",
            open!(),
            " and lead.expires_at <= $1 then null
    when ",
            open!(),
            " and item.seq is null then 'orphan.no_item'
    when ",
            open!(),
            " and item.state <> 'open' then 'orphan.item_settled'
    when ",
            open!(),
            " then 'open'
    when item.state = 'open' then 'orphan.item_open'
    else item.state end as class
  from lead
  left join item on item.subject = 'lead ' || lead.id
  where lead.kind = 'contact'
)"
        )
    };
}
book!(COUNT_ITEMS = "audit.count_items", LIST_ITEMS = "audit.list_items", "$2": items!(), items!());

macro_rules! gathered {
    () => {
        "with sorted as (
  select lead.id, lead.partner_id, case when notice.id is null then 'orphan.no_reminder' else 'reminder' end as class
  from lead left join notice on notice.id = lead.reminder_id and notice.kind = 'reminder' where lead.reminder_id is not null
  union all
  select lead.id, lead.partner_id, case when notice.id is null then 'orphan.no_expiry' else 'expiry' end as class
  from lead left join notice on notice.id = lead.expiry_id and notice.kind = 'expiry' where lead.expiry_id is not null
)"
    };
}
book!(COUNT_GATHERED = "audit.count_gathered", LIST_GATHERED = "audit.list_gathered", "$1": gathered!(), gathered!());
