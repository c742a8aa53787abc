//! Leads: one row each, moved only under their partner's lock (`store::partners`).

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::lead::kind::Kind;
use crate::lead::values::{EmailValidity, PhoneValidity};
use crate::lead::{Lead, LeadId, OneOf, Stage};
use crate::partner::PartnerId;
use crate::policy::channel::Channel;
use crate::store::engine::{Sql, Tx, args, row, rows, sql};
use crate::store::error::Error;
use crate::store::facets::put_facets;
use crate::time::{LocalDay, Timestamp};

pub(super) const ALL: &[&Sql] = &[
    &FIND,
    &FIND_BY_SEQ,
    &INSERT,
    &UPDATE_STATE,
    &UPDATE_CONTENT,
    &DUE,
    &NEXT_DUE,
    &HELD,
    &OF_DIGESTS,
    &OF_REMINDERS,
    &OF_EXPIRIES,
    &COUNT_DAY,
    &OF_PARTNER,
    &COUNT_HELD,
    &MAILED_ON_DAY,
    &COUNT_UNANSWERED,
    &GATHERING,
    &LATEST_OF_PARTNER,
    &COUNT_HELD_OF,
    &HELD_PARTNERS,
    &MARK,
    &OUTCOMES,
    &TO_ERASE,
    &NEXT_TO_ERASE,
    &ERASE,
    &ERASED_AMONG,
    &GATHERING_OF,
];

/// A lead that time moves, before its partner is locked.
#[derive(Debug)]
pub struct Due {
    /// Its row.
    pub seq: i64,
    /// The partner to lock.
    pub partner_id: String,
}
row!(Due: seq, partner_id);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LeadRow {
    seq: i64,
    id: String,
    partner_id: String,
    created_at: i64,
    received_at: i64,
    version: i64,
    kind: String,
    stage: String,
    stage_since: i64,
    expires_at: Option<i64>,
    cool_at: Option<i64>,
    is_cooled: bool,
    remind_at: Option<i64>,
    is_expiring: bool,
    archive_at: Option<i64>,
    is_archived: bool,
    next_due_at: Option<i64>,
    channel: Option<String>,
    day: Option<String>,
    day_number: Option<i64>,
    digest_id: Option<i64>,
    is_quiet: bool,
    customer: String,
    deal: Option<String>,
    location: Option<String>,
    sender_id: Option<String>,
    record: String,
    answer: Option<String>,
    is_favourite: bool,
    email_validity: Option<String>,
    phone_validity: Option<String>,
    verify_at: Option<i64>,
    erased_at: Option<i64>,
}
row!(LeadRow:
    seq, id, partner_id, created_at, received_at, version, kind, stage, stage_since, expires_at, cool_at, is_cooled, remind_at,
    is_expiring, archive_at, is_archived, next_due_at, channel, day, day_number, digest_id, is_quiet, customer, deal, location,
    sender_id, record, answer, is_favourite, email_validity, phone_validity, verify_at, erased_at
);

macro_rules! columns {
    () => {
        "lead.seq, lead.id, lead.partner_id, lead.created_at, lead.received_at, lead.version, lead.kind, lead.stage, lead.stage_since, lead.expires_at,
  lead.cool_at, lead.is_cooled, lead.remind_at, lead.is_expiring, lead.archive_at, lead.is_archived, lead.next_due_at, lead.channel, lead.day,
  lead.day_number, lead.digest_id, lead.is_quiet, lead.customer, lead.deal, lead.location, lead.sender_id, lead.record, lead.answer,
  lead.is_favourite, lead.email_validity, lead.phone_validity, lead.verify_at, lead.erased_at"
    };
}
macro_rules! packed {
    () => {
        sql!(@pack seq bigint, id text, partner_id text, created_at bigint, received_at bigint, version bigint, kind text, stage text, stage_since bigint,
            expires_at bigint, cool_at bigint, is_cooled boolean, remind_at bigint, is_expiring boolean, archive_at bigint, is_archived boolean,
            next_due_at bigint, channel text, day text, day_number bigint, digest_id bigint, is_quiet boolean, customer text, deal text, location text,
            sender_id text, record text, answer text, is_favourite boolean, email_validity text, phone_validity text, verify_at bigint, erased_at bigint)
    };
}
// `sql!` takes literals; the column list is spelled through this door so that it stands once.
macro_rules! select_leads {
    ($name:literal: $sqlite:literal, $postgres:literal) => {
        Sql {
            name: $name,
            sqlite: concat!(
                "/* ",
                $name,
                " */ ",
                packed!(),
                " from (select ",
                columns!(),
                " from ",
                $sqlite,
                ")"
            ),
            postgres: concat!("/* ", $name, " */ select ", columns!(), " from ", $postgres),
        }
    };
}

pub(super) use {columns, packed, select_leads};

const FIND: Sql = select_leads!("leads.find":
    "(select value->>'id' as id from jsonb_each($1)) as r cross join lead on lead.id = r.id",
    "json_to_recordset($1::json) as r(id text) join lead on lead.id = r.id");

/// Returns the leads with these ids; an unknown id has none.
pub async fn find_leads<'a>(tx: &mut Tx, ids: impl IntoIterator<Item = &'a LeadId>) -> Result<HashMap<LeadId, Lead>, Error> {
    let wanted: Vec<Id<'_>> = ids.into_iter().map(|id| Id { id: id.as_str() }).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<LeadRow> = tx.fetch_packed(&FIND, args![rows(&wanted)]).await?;
    found
        .into_iter()
        .map(|row| Lead::try_from(row).map(|lead| (lead.id.clone(), lead)))
        .collect()
}

/// Returns one lead.
pub async fn find_lead(tx: &mut Tx, id: &LeadId) -> Result<Option<Lead>, Error> {
    Ok(find_leads(tx, [id]).await?.into_values().next())
}

const FIND_BY_SEQ: Sql = select_leads!("leads.find_by_seq":
    "(select value->>'seq' as seq from jsonb_each($1)) as r cross join lead on lead.seq = r.seq",
    "json_to_recordset($1::json) as r(seq bigint) join lead on lead.seq = r.seq");

/// Returns the leads of these rows, in the order of intake.
pub async fn find_leads_by_seq(tx: &mut Tx, seqs: &[i64]) -> Result<Vec<Lead>, Error> {
    let wanted: Vec<Seq> = seqs.iter().map(|&seq| Seq { seq }).collect();
    sorted(tx.fetch_packed(&FIND_BY_SEQ, args![rows(&wanted)]).await?)
}

const INSERT: Sql = sql!("leads.insert":
    "insert into lead (id, partner_id, created_at, received_at, version, kind, stage, stage_since, expires_at, cool_at, is_cooled, remind_at, is_expiring,
  archive_at, is_archived, next_due_at, channel, day, day_number, digest_id, is_quiet, customer, deal, location, sender_id, record, answer, is_favourite,
  email_validity, phone_validity, verify_at, erased_at)
select r.id, r.partner_id, r.created_at, r.received_at, r.version, r.kind, r.stage, r.stage_since, r.expires_at, r.cool_at, r.is_cooled, r.remind_at,
  r.is_expiring, r.archive_at, r.is_archived, r.next_due_at, r.channel, r.day, r.day_number, r.digest_id, r.is_quiet, r.customer, r.deal, r.location,
  r.sender_id, r.record, r.answer, r.is_favourite, r.email_validity, r.phone_validity, r.verify_at, r.erased_at
from " (seq bigint, id text, partner_id text, created_at bigint, received_at bigint, version bigint, kind text, stage text, stage_since bigint,
        expires_at bigint, cool_at bigint, is_cooled boolean, remind_at bigint, is_expiring boolean, archive_at bigint, is_archived boolean,
        next_due_at bigint, channel text, day text, day_number bigint, digest_id bigint, is_quiet boolean, customer text, deal text, location text,
        sender_id text, record text, answer text, is_favourite boolean, email_validity text, phone_validity text, verify_at bigint, erased_at bigint)
    " order by r.seq");

/// Stores new leads in the order given, which is the order of intake. Their ids are known to be new: the partner's lock is held.
pub async fn insert_leads(tx: &mut Tx, leads: &[Lead]) -> Result<(), Error> {
    let new: Vec<LeadRow> = leads
        .iter()
        .enumerate()
        .map(|(index, lead)| LeadRow {
            seq: index as i64,
            ..LeadRow::from(lead)
        })
        .collect();
    if !new.is_empty() {
        tx.execute(&INSERT, args![rows(&new)]).await?;
        put_facets(tx, leads).await?;
    }
    Ok(())
}

/// A change of a lead's state, with the stage that it leaves.
#[derive(Debug)]
pub struct StateChange<'a> {
    /// The lead as it is from now on.
    pub lead: &'a Lead,
    /// The stage in which it was read.
    pub was: Stage,
    /// The notice that gathers its reminder, once there is one.
    pub reminder_id: Option<i64>,
    /// The notice that gathers its expiry, once there is one.
    pub expiry_id: Option<i64>,
}

impl<'a> StateChange<'a> {
    /// A change that concerns no gathered notice.
    pub fn new(lead: &'a Lead, was: Stage) -> Self {
        Self {
            lead,
            was,
            reminder_id: None,
            expiry_id: None,
        }
    }
}

#[derive(Serialize)]
struct StateRow<'a> {
    seq: i64,
    was: &'static str,
    stage: &'static str,
    stage_since: i64,
    expires_at: Option<i64>,
    cool_at: Option<i64>,
    is_cooled: bool,
    remind_at: Option<i64>,
    is_expiring: bool,
    is_archived: bool,
    next_due_at: Option<i64>,
    channel: Option<&'static str>,
    day: Option<String>,
    day_number: Option<i64>,
    digest_id: Option<i64>,
    reminder_id: Option<i64>,
    expiry_id: Option<i64>,
    answer: Option<&'a str>,
}

const UPDATE_STATE: Sql = sql!("leads.update_state":
    "update lead
set stage = r.stage, stage_since = r.stage_since, expires_at = r.expires_at, cool_at = r.cool_at, is_cooled = r.is_cooled, remind_at = r.remind_at,
  is_expiring = r.is_expiring, is_archived = r.is_archived, next_due_at = r.next_due_at, channel = r.channel, day = r.day, day_number = r.day_number,
  digest_id = r.digest_id, reminder_id = coalesce(r.reminder_id, lead.reminder_id), expiry_id = coalesce(r.expiry_id, lead.expiry_id), answer = r.answer
from " (seq bigint, was text, stage text, stage_since bigint, expires_at bigint, cool_at bigint, is_cooled boolean, remind_at bigint,
        is_expiring boolean, is_archived boolean, next_due_at bigint, channel text, day text, day_number bigint, digest_id bigint,
        reminder_id bigint, expiry_id bigint, answer text)
    " where lead.seq = r.seq and lead.stage = r.was");

/// Writes what leads have become. Each is read and written under its partner's lock, so each must still be in the stage that it leaves.
pub async fn update_states(tx: &mut Tx, changes: &[StateChange<'_>]) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let changed: Vec<StateRow<'_>> = changes.iter().map(state_row).collect();
    let n_rows = tx.execute(&UPDATE_STATE, args![rows(&changed)]).await?;
    assert_eq!(n_rows, changed.len() as u64, "a lead changed its stage without its partner's lock");
    Ok(())
}

fn state_row<'a>(change: &StateChange<'a>) -> StateRow<'a> {
    let lead = change.lead;
    StateRow {
        seq: lead.seq,
        was: change.was.as_str(),
        stage: lead.stage.as_str(),
        stage_since: lead.stage_since.as_millis(),
        expires_at: lead.expires_at.map(Timestamp::as_millis),
        cool_at: lead.cool_at.map(Timestamp::as_millis),
        is_cooled: lead.is_cooled,
        remind_at: lead.remind_at.map(Timestamp::as_millis),
        is_expiring: lead.is_expiring,
        is_archived: lead.is_archived,
        next_due_at: lead.next_due_at().map(Timestamp::as_millis),
        channel: lead.channel.map(Channel::as_str),
        day: lead.day.map(|day| day.to_string()),
        day_number: lead.day_number,
        digest_id: lead.digest_id,
        reminder_id: change.reminder_id,
        expiry_id: change.expiry_id,
        answer: lead.answer.as_deref(),
    }
}

#[derive(Serialize)]
struct ContentRow<'a> {
    seq: i64,
    version: i64,
    customer: &'a str,
    deal: Option<&'a str>,
    location: Option<&'a str>,
    sender_id: Option<&'a str>,
    record: &'a str,
    email_validity: Option<&'static str>,
    phone_validity: Option<&'static str>,
    verify_at: Option<i64>,
}

const UPDATE_CONTENT: Sql = sql!("leads.update_content":
    "update lead
set version = r.version, customer = r.customer, deal = r.deal, location = r.location, sender_id = r.sender_id, record = r.record,
  email_validity = r.email_validity, phone_validity = r.phone_validity, verify_at = r.verify_at, verify_attempt = 0
from " (seq bigint, version bigint, customer text, deal text, location text, sender_id text, record text, email_validity text, phone_validity text,
        verify_at bigint) " where lead.seq = r.seq and lead.version < r.version");

/// Writes newer content of leads that are here already (`R-INTAKE`).
pub async fn update_contents(tx: &mut Tx, leads: &[&Lead]) -> Result<(), Error> {
    if leads.is_empty() {
        return Ok(());
    }
    let newer: Vec<ContentRow<'_>> = leads
        .iter()
        .map(|lead| ContentRow {
            seq: lead.seq,
            version: lead.version,
            customer: &lead.customer,
            deal: lead.deal.as_deref(),
            location: lead.location.as_deref(),
            sender_id: lead.sender_id.as_ref().map(PartnerId::as_str),
            record: &lead.record,
            email_validity: lead.email_validity.map(OneOf::as_str),
            phone_validity: lead.phone_validity.map(OneOf::as_str),
            verify_at: lead.verify_at.map(Timestamp::as_millis),
        })
        .collect();
    tx.execute(&UPDATE_CONTENT, args![rows(&newer)]).await?;
    put_facets(tx, leads.iter().copied()).await
}

const DUE: Sql = sql!("leads.due":
    "select seq, partner_id from lead where next_due_at is not null and next_due_at <= $1 order by next_due_at, seq limit $2");

/// Lists the leads that time has moved by `now`, longest overdue first.
pub async fn list_due(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<Due>, Error> {
    tx.fetch_all(&DUE, args![now, limit]).await
}

const NEXT_DUE: Sql = sql!("leads.next_due": "select min(next_due_at) as n from lead where next_due_at is not null");

/// Returns when time moves the next lead.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_DUE, args![]).await
}

const HELD: Sql = select_leads!("leads.held":
    "(select value->>'id' as id from jsonb_each($1)) as r cross join lead on lead.partner_id = r.id where lead.channel = 'held' order by lead.seq limit $2",
    "json_to_recordset($1::json) as r(id text) join lead on lead.partner_id = r.id where lead.channel = 'held' order by lead.seq limit $2");

/// Lists the leads of these partners that wait for an address, in the order of intake.
pub async fn list_held(tx: &mut Tx, partners: &[PartnerId], limit: i64) -> Result<Vec<Lead>, Error> {
    sorted(
        tx.fetch_packed(&HELD, args![super::id_rows(partners.iter().map(PartnerId::as_str)), limit])
            .await?,
    )
}

const OF_DIGESTS: Sql = select_leads!("leads.of_digests":
    "(select value->>'id' as id from jsonb_each($1)) as r cross join lead on lead.digest_id = r.id",
    "json_to_recordset($1::json) as r(id bigint) join lead on lead.digest_id = r.id");

/// Lists the leads of these digests.
pub async fn list_of_digests(tx: &mut Tx, digests: &[i64]) -> Result<Vec<Lead>, Error> {
    sorted(tx.fetch_packed(&OF_DIGESTS, args![super::number_rows(digests)]).await?)
}

struct DigestCount {
    digest_id: i64,
    n: i64,
}
row!(DigestCount: digest_id, n);

const COUNT_UNANSWERED: Sql = sql!("leads.count_unanswered":
    "select lead.digest_id, count(*) as n from " (id bigint) " join lead on lead.digest_id = r.id
where lead.stage = 'received' and lead.erased_at is null and (lead.expires_at is null or lead.expires_at > $2) group by lead.digest_id");

/// Counts, by digest, the leads that are still unanswered at `now`.
pub async fn count_unanswered_of_digests(tx: &mut Tx, now: Timestamp, digests: &[i64]) -> Result<HashMap<i64, i64>, Error> {
    let found: Vec<DigestCount> = tx.fetch_all(&COUNT_UNANSWERED, args![super::number_rows(digests), now]).await?;
    Ok(found.into_iter().map(|row| (row.digest_id, row.n)).collect())
}

/// Lists the leads that these notices gather, each with its notice.
pub async fn list_of_notices(tx: &mut Tx, reminders: &[i64], expiries: &[i64]) -> Result<HashMap<i64, Vec<Lead>>, Error> {
    let mut gathered: HashMap<i64, Vec<Lead>> = HashMap::new();
    for (sql, notices) in [(&OF_REMINDERS, reminders), (&OF_EXPIRIES, expiries)] {
        for &notice in notices {
            let leads = sorted(tx.fetch_packed(sql, args![super::number_rows(&[notice])]).await?)?;
            gathered.insert(notice, leads);
        }
    }
    Ok(gathered)
}

const OF_REMINDERS: Sql = select_leads!("leads.of_reminders":
    "(select value->>'id' as id from jsonb_each($1)) as r cross join lead on lead.reminder_id = r.id",
    "json_to_recordset($1::json) as r(id bigint) join lead on lead.reminder_id = r.id");

const OF_EXPIRIES: Sql = select_leads!("leads.of_expiries":
    "(select value->>'id' as id from jsonb_each($1)) as r cross join lead on lead.expiry_id = r.id",
    "json_to_recordset($1::json) as r(id bigint) join lead on lead.expiry_id = r.id");

const COUNT_DAY: Sql = sql!("leads.count_day": "select count(*) as n from lead where partner_id = $1 and day = $2");

/// Counts the leads that were counted on a partner's day.
pub async fn count_day(tx: &mut Tx, partner: &PartnerId, day: LocalDay) -> Result<i64, Error> {
    tx.count(&COUNT_DAY, args![partner.as_str(), day.to_string()]).await
}

const MAILED_ON_DAY: Sql = select_leads!("leads.mailed_on_day":
    "lead where lead.partner_id = $1 and lead.day = $2 and lead.channel = 'single' and lead.stage = 'received' and lead.erased_at is null
  and exists (select 1 from delivery
  where delivery.lead_id = lead.id and delivery.address = $3 and delivery.kind = 'lead' and delivery.state = 'sent') order by lead.seq limit $4",
    "lead where lead.partner_id = $1 and lead.day = $2 and lead.channel = 'single' and lead.stage = 'received' and lead.erased_at is null
  and exists (select 1 from delivery
  where delivery.lead_id = lead.id and delivery.address = $3 and delivery.kind = 'lead' and delivery.state = 'sent') order by lead.seq limit $4");

/// Lists the unanswered leads that were mailed singly to `address` on a partner's day (`R-DIGEST`).
pub async fn list_mailed_on_day(tx: &mut Tx, partner: &PartnerId, day: LocalDay, address: &str, limit: i64) -> Result<Vec<Lead>, Error> {
    sorted(
        tx.fetch_packed(&MAILED_ON_DAY, args![partner.as_str(), day.to_string(), address, limit])
            .await?,
    )
}

const OF_PARTNER: Sql = select_leads!("leads.of_partner":
    "lead where lead.partner_id = $1 and lead.seq > $2 order by lead.seq limit $3",
    "lead where lead.partner_id = $1 and lead.seq > $2 order by lead.seq limit $3");

/// Lists a partner's leads in the order of intake, from after `seq`.
pub async fn list_of_partner(tx: &mut Tx, partner: &PartnerId, after_seq: i64, limit: i64) -> Result<Vec<Lead>, Error> {
    sorted(tx.fetch_packed(&OF_PARTNER, args![partner.as_str(), after_seq, limit]).await?)
}

const COUNT_HELD: Sql = sql!("leads.count_held": "select count(*) as n from lead where channel = 'held' and stage = 'received'");

/// Counts the unanswered leads that wait for their partner to have an address.
pub async fn count_held(tx: &mut Tx) -> Result<i64, Error> {
    tx.count(&COUNT_HELD, args![]).await
}

struct GatheringRow {
    reminder_id: Option<i64>,
    expiry_id: Option<i64>,
}
row!(GatheringRow: reminder_id, expiry_id);

const GATHERING: Sql = sql!("leads.gathering": "select reminder_id, expiry_id from lead where id = $1");

/// Returns the notices that gather a lead's reminder and its expiry.
pub async fn find_gathering(tx: &mut Tx, lead: &LeadId) -> Result<Vec<i64>, Error> {
    let found: Option<GatheringRow> = tx.fetch_optional(&GATHERING, args![lead.as_str()]).await?;
    Ok(found
        .into_iter()
        .flat_map(|row| [row.reminder_id, row.expiry_id])
        .flatten()
        .collect())
}

const LATEST_OF_PARTNER: Sql = select_leads!("leads.latest_of_partner":
    "lead where lead.partner_id = $1 order by lead.seq desc limit $2",
    "lead where lead.partner_id = $1 order by lead.seq desc limit $2");

/// Lists a partner's leads, the latest first.
pub async fn list_latest_of_partner(tx: &mut Tx, partner: &PartnerId, limit: i64) -> Result<Vec<Lead>, Error> {
    let mut leads = sorted(tx.fetch_packed(&LATEST_OF_PARTNER, args![partner.as_str(), limit]).await?)?;
    leads.reverse();
    Ok(leads)
}

const COUNT_HELD_OF: Sql =
    sql!("leads.count_held_of": "select count(*) as n from lead where partner_id = $1 and channel = 'held' and stage = 'received'");

/// Counts a partner's leads that wait for it to have an address.
pub async fn count_held_of(tx: &mut Tx, partner: &PartnerId) -> Result<i64, Error> {
    tx.count(&COUNT_HELD_OF, args![partner.as_str()]).await
}

struct PartnerCount {
    partner_id: String,
    n: i64,
}
row!(PartnerCount: partner_id, n);

const HELD_PARTNERS: Sql = sql!("leads.held_partners":
    "select partner_id, count(*) as n from lead where channel = 'held' and stage = 'received' group by partner_id order by n desc, partner_id limit $1");

/// Lists the partners whose leads wait for an address, and how many each has; most first.
pub async fn list_held_partners(tx: &mut Tx, limit: i64) -> Result<Vec<(PartnerId, i64)>, Error> {
    let found: Vec<PartnerCount> = tx.fetch_all(&HELD_PARTNERS, args![limit]).await?;
    Ok(found.into_iter().map(|row| (PartnerId::new(row.partner_id), row.n)).collect())
}

/// How many of a partner's leads came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Unanswered, and not expired.
    pub n_waiting: i64,
    /// Accepted, won or lost.
    pub n_accepted: i64,
    /// Of these, won.
    pub n_won: i64,
    /// Declined.
    pub n_declined: i64,
    /// Expired.
    pub n_expired: i64,
    /// Erased before anybody answered, and before they expired.
    pub n_erased: i64,
}

struct OutcomesRow {
    partner_id: String,
    n_waiting: i64,
    n_accepted: i64,
    n_won: i64,
    n_declined: i64,
    n_expired: i64,
    n_erased: i64,
}
row!(OutcomesRow: partner_id, n_waiting, n_accepted, n_won, n_declined, n_expired, n_erased);

// An unanswered lead whose expiry has come is expired, whether or not that is written (`Lead::stage_at`).
const OUTCOMES: Sql = sql!("leads.outcomes":
    "select lead.partner_id,
  count(*) filter (where lead.stage = 'received' and lead.erased_at is null and (lead.expires_at is null or lead.expires_at > $2)) as n_waiting,
  count(*) filter (where lead.stage = 'accepted' or lead.stage = 'won' or lead.stage = 'lost') as n_accepted,
  count(*) filter (where lead.stage = 'won') as n_won,
  count(*) filter (where lead.stage = 'declined') as n_declined,
  count(*) filter (where lead.stage = 'expired' or lead.stage = 'received' and lead.erased_at is null and lead.expires_at <= $2) as n_expired,
  count(*) filter (where lead.stage = 'received' and lead.erased_at is not null) as n_erased
from " (id text) " join lead on lead.partner_id = r.id and lead.created_at >= $3 and lead.created_at < $4
where lead.kind = 'contact' and not lead.is_quiet group by lead.partner_id");

/// Counts what became of the contact leads of these partners that were created in a span of time and of which somebody was to be told; of a partner
/// without any nothing is said.
pub async fn count_outcomes<'a>(
    tx: &mut Tx,
    now: Timestamp,
    from: Timestamp,
    before: Timestamp,
    partners: impl IntoIterator<Item = &'a PartnerId>,
) -> Result<HashMap<PartnerId, Outcomes>, Error> {
    let wanted = super::id_rows(partners.into_iter().map(PartnerId::as_str));
    let found: Vec<OutcomesRow> = tx.fetch_all(&OUTCOMES, args![wanted, now, from, before]).await?;
    let counted = found.into_iter().map(|row| {
        let outcomes = Outcomes {
            n_waiting: row.n_waiting,
            n_accepted: row.n_accepted,
            n_won: row.n_won,
            n_declined: row.n_declined,
            n_expired: row.n_expired,
            n_erased: row.n_erased,
        };
        (PartnerId::new(row.partner_id), outcomes)
    });
    Ok(counted.collect())
}

const MARK: Sql = sql!("leads.mark": "update lead set is_favourite = $2 where id = $1 and is_favourite <> $2");

/// Marks a lead as a favourite, or takes the mark away; tells whether that changed anything.
pub async fn mark_favourite(tx: &mut Tx, id: &LeadId, is_favourite: bool) -> Result<bool, Error> {
    Ok(tx.execute(&MARK, args![id.as_str(), is_favourite]).await? > 0)
}

const TO_ERASE: Sql = sql!("leads.to_erase":
    "select seq, partner_id from lead
where erased_at is null and (kind <> 'contact' or stage <> 'received' and stage <> 'accepted') and stage_since <= $1 order by stage_since, seq limit $2");

/// Lists the leads that nobody has to answer any more and that have stood so since `until` or longer, the oldest first.
pub async fn list_to_erase(tx: &mut Tx, until: Timestamp, limit: i64) -> Result<Vec<Due>, Error> {
    tx.fetch_all(&TO_ERASE, args![until, limit]).await
}

const NEXT_TO_ERASE: Sql = sql!("leads.next_to_erase":
    "select min(stage_since) as n from lead where erased_at is null and (kind <> 'contact' or stage <> 'received' and stage <> 'accepted')");

/// Returns since when the first of them has stood so.
pub async fn next_to_erase(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    super::instant(tx, &NEXT_TO_ERASE, args![]).await
}

#[derive(Serialize)]
struct ErasedRow<'a> {
    seq: i64,
    customer: &'a str,
    deal: Option<&'a str>,
    record: &'a str,
    erased_at: Option<i64>,
}

const ERASE: Sql = sql!("leads.erase":
    "update lead set customer = r.customer, deal = r.deal, record = r.record, verify_at = null, erased_at = r.erased_at
from " (seq bigint, customer text, deal text, record text, erased_at bigint) " where lead.seq = r.seq and lead.erased_at is null");

/// Writes what is left of erased leads (`R-ERASE`); how they stand is written by [`update_states`].
pub async fn erase_leads(tx: &mut Tx, leads: &[Lead]) -> Result<(), Error> {
    let erased: Vec<ErasedRow<'_>> = leads
        .iter()
        .map(|lead| ErasedRow {
            seq: lead.seq,
            customer: &lead.customer,
            deal: lead.deal.as_deref(),
            record: &lead.record,
            erased_at: lead.erased_at.map(Timestamp::as_millis),
        })
        .collect();
    let n_rows = tx.execute(&ERASE, args![rows(&erased)]).await?;
    assert_eq!(n_rows, erased.len() as u64, "a lead was erased without its partner's lock");
    put_facets(tx, leads).await
}

struct ErasedId {
    id: String,
}
row!(ErasedId: id);

const ERASED_AMONG: Sql = sql!("leads.erased_among":
    "select lead.id from " (id text) " " ["cross" | ""] " join lead on lead.id = r.id where lead.erased_at is not null");

/// Returns those of these leads that are erased.
pub async fn find_erased_among<'a>(tx: &mut Tx, ids: impl IntoIterator<Item = &'a LeadId>) -> Result<HashSet<LeadId>, Error> {
    let ids: Vec<&str> = ids.into_iter().map(LeadId::as_str).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<ErasedId> = tx.fetch_all(&ERASED_AMONG, args![super::id_rows(ids)]).await?;
    Ok(found.into_iter().map(|row| LeadId::new(row.id)).collect())
}

const GATHERING_OF: Sql = sql!("leads.gathering_of":
    "select reminder_id, expiry_id from " (id bigint) " " ["cross" | ""] " join lead on lead.seq = r.id");

/// Returns the notices that gather the reminders and expiries of the leads of these rows.
pub async fn find_gathering_of(tx: &mut Tx, seqs: &[i64]) -> Result<BTreeSet<i64>, Error> {
    let found: Vec<GatheringRow> = tx.fetch_all(&GATHERING_OF, args![super::number_rows(seqs)]).await?;
    let notices = found.into_iter().flat_map(|row| [row.reminder_id, row.expiry_id]);
    Ok(notices.flatten().collect())
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Seq {
    seq: i64,
}

pub(super) fn sorted(found: Vec<LeadRow>) -> Result<Vec<Lead>, Error> {
    let mut leads = found.into_iter().map(Lead::try_from).collect::<Result<Vec<_>, _>>()?;
    leads.sort_by_key(|lead| lead.seq);
    Ok(leads)
}

impl From<&Lead> for LeadRow {
    fn from(lead: &Lead) -> Self {
        Self {
            seq: lead.seq,
            id: lead.id.as_str().to_owned(),
            partner_id: lead.partner_id.as_str().to_owned(),
            created_at: lead.created_at.as_millis(),
            received_at: lead.received_at.as_millis(),
            version: lead.version,
            kind: lead.kind.as_str().to_owned(),
            stage: lead.stage.as_str().to_owned(),
            stage_since: lead.stage_since.as_millis(),
            expires_at: lead.expires_at.map(Timestamp::as_millis),
            cool_at: lead.cool_at.map(Timestamp::as_millis),
            is_cooled: lead.is_cooled,
            remind_at: lead.remind_at.map(Timestamp::as_millis),
            is_expiring: lead.is_expiring,
            archive_at: lead.archive_at.map(Timestamp::as_millis),
            is_archived: lead.is_archived,
            next_due_at: lead.next_due_at().map(Timestamp::as_millis),
            channel: lead.channel.map(|channel| channel.as_str().to_owned()),
            day: lead.day.map(|day| day.to_string()),
            day_number: lead.day_number,
            digest_id: lead.digest_id,
            is_quiet: lead.is_quiet,
            customer: lead.customer.clone(),
            deal: lead.deal.clone(),
            location: lead.location.clone(),
            sender_id: lead.sender_id.as_ref().map(|id| id.as_str().to_owned()),
            record: lead.record.clone(),
            answer: lead.answer.clone(),
            is_favourite: lead.is_favourite,
            email_validity: lead.email_validity.map(|found| found.as_str().to_owned()),
            phone_validity: lead.phone_validity.map(|found| found.as_str().to_owned()),
            verify_at: lead.verify_at.map(Timestamp::as_millis),
            erased_at: lead.erased_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<LeadRow> for Lead {
    type Error = Error;

    fn try_from(row: LeadRow) -> Result<Self, Error> {
        let corrupt = |column, value: &str| Error::Corrupt {
            table: "lead",
            id: row.id.clone(),
            column,
            value: value.to_owned(),
        };
        let kind = Kind::from_stored(&row.kind).ok_or_else(|| corrupt("kind", &row.kind))?;
        let stage = Stage::from_stored(&row.stage).ok_or_else(|| corrupt("stage", &row.stage))?;
        let channel = match &row.channel {
            None => None,
            Some(word) => Some(Channel::from_stored(word).ok_or_else(|| corrupt("channel", word))?),
        };
        let day = match &row.day {
            None => None,
            Some(text) => Some(LocalDay::parse(text).ok_or_else(|| corrupt("day", text))?),
        };
        Ok(Self {
            seq: row.seq,
            id: LeadId::new(row.id),
            partner_id: PartnerId::new(row.partner_id),
            created_at: Timestamp::from_millis(row.created_at),
            received_at: Timestamp::from_millis(row.received_at),
            version: row.version,
            kind,
            stage,
            stage_since: Timestamp::from_millis(row.stage_since),
            expires_at: row.expires_at.map(Timestamp::from_millis),
            cool_at: row.cool_at.map(Timestamp::from_millis),
            is_cooled: row.is_cooled,
            remind_at: row.remind_at.map(Timestamp::from_millis),
            is_expiring: row.is_expiring,
            archive_at: row.archive_at.map(Timestamp::from_millis),
            is_archived: row.is_archived,
            channel,
            day,
            day_number: row.day_number,
            digest_id: row.digest_id,
            is_quiet: row.is_quiet,
            customer: row.customer,
            deal: row.deal,
            location: row.location,
            sender_id: row.sender_id.map(PartnerId::new),
            record: row.record,
            answer: row.answer,
            is_favourite: row.is_favourite,
            email_validity: row.email_validity.as_deref().and_then(EmailValidity::find),
            phone_validity: row.phone_validity.as_deref().and_then(PhoneValidity::find),
            verify_at: row.verify_at.map(Timestamp::from_millis),
            erased_at: row.erased_at.map(Timestamp::from_millis),
        })
    }
}
