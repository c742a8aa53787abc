//! Claims what is due: deliveries to try again, and notices, which are resolved to addresses here and nowhere earlier (architecture, 2 and 8).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::json;

use tracing::Instrument;

use crate::app::fire::close_early;
use crate::app::known::{Known, zone_of};
use crate::app::new_lead::join_digests;
use crate::app::record::{facts, outcome};
use crate::app::resolve::{Fate, Plan, Read, needs_telling, plan_by};
use crate::app::tick::join_reminders;
use crate::app::{Error, Rules, about_lead, about_partner};
use crate::lead::{Lead, LeadId};
use crate::link;
use crate::outbox::Kind;
use crate::outbox::delivery::{self, Event, next};
use crate::outbox::notice::{self, State};
use crate::partner::{EmailAddress, Partner, PartnerId, Zone};
use crate::policy::channel::Channel;
use crate::store::deliveries::{Delivery, NewDelivery, claim_deliveries, find_told, insert_deliveries, record_outcomes};
use crate::store::history::{Entry, insert_history};
use crate::store::leads::{StateChange, find_leads, list_mailed_on_day, update_states};
use crate::store::links::newest_key;
use crate::store::notices::{Finish, claim_notices, find_notices, finish_notices, reopen_notices};
use crate::store::suppressions::find_among;
use crate::store::workers::is_ended;
use crate::store::{Store, Tx, digests, retried};
use crate::time::Timestamp;

/// Leads that a digest names as mailed singly that day: a reminder, not a second list.
const MAILED_LISTED_MAX: i64 = 20;

/// Digests and other gathered notices of one claim: each has up to hundreds of leads, which are in memory until its mails are written.
const GATHERED_MAX: usize = 8;

/// The epoch of no worker: for deliveries that are rolled back.
const NOBODY: i64 = 0;

/// A delivery with all that its mail says: what `delivery` renders and sends.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The claimed delivery.
    pub delivery: Delivery,
    /// The leads that it tells of, as they are; gathered kinds: those that still need telling.
    pub leads: Vec<Lead>,
    /// A digest's leads that were mailed singly to this address that day.
    pub mailed: Vec<Lead>,
    /// The receiving partner; for a decline, the one that declined.
    pub partner: Option<Partner>,
    /// The names of the leads' partners, for a sender who is told of leads of others.
    pub partner_names: HashMap<PartnerId, String>,
    /// The zone in which instants are told.
    pub zone: Zone,
    /// Deliveries by which this address was told of these leads before.
    pub thread: Vec<i64>,
    /// The key that signs the links in its mail; `None` where mails have none (`http.public_url` is not set).
    pub link_key: Option<link::Key>,
}

/// What a claim brought.
#[derive(Debug, Default)]
pub struct Claimed {
    /// To be rendered and sent.
    pub letters: Vec<Letter>,
    /// Notices and deliveries that were touched; 0 while some are due means that another worker holds their partners.
    pub n_touched: usize,
    /// Since when the longest waiting notice of a single has been due; `None` where there is none, or none was looked for.
    pub oldest_single: Option<Timestamp>,
    /// The worker's lease was ended, so it gets nothing: what it holds was taken back while it stood still.
    pub is_over: bool,
}

/// How much a claim takes.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Deliveries and notices, at most.
    pub limit: usize,
    /// Since when singles are due that it looks for. What was due before is passed over: whoever knows that there is nothing need not read again and
    /// again what an index keeps of mails that are out, for as long as anybody might still see them (PostgreSQL, under an old snapshot).
    pub from: Timestamp,
}

/// All that is due.
impl From<usize> for Wanted {
    fn from(limit: usize) -> Self {
        Self {
            limit,
            from: Timestamp::from_millis(i64::MIN),
        }
    }
}

/// Claims deliveries for the worker `owner`: `wanted` is how many at most, or a [`Wanted`].
///
/// # Errors
/// The database cannot record it; then nothing was claimed.
pub async fn claim(store: &Store, now: Timestamp, rules: &Rules, owner: i64, wanted: impl Into<Wanted>) -> Result<Claimed, Error> {
    let wanted = wanted.into();
    let span = tracing::info_span!("app.claim", limit = wanted.limit);
    Ok(retried(|| claim_once(store, now, rules, owner, wanted)).instrument(span).await?)
}

async fn claim_once(store: &Store, now: Timestamp, rules: &Rules, owner: i64, wanted: Wanted) -> Result<Claimed, crate::store::Error> {
    let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
    let mut tx = store.begin().await?;
    let queued = claim_deliveries(&mut tx, now, owner, limit).await?;
    let mut n_touched = queued.len();
    let mut deliveries = drop_unwanted(&mut tx, now, rules, owner, queued).await?;
    let room = limit - n_touched as i64;
    let (mut notices, mut oldest_single) = (Vec::new(), None);
    if room > 0 {
        let due = claim_notices(&mut tx, now, room, wanted.from).await?;
        (notices, oldest_single) = (due.notices, due.oldest_single);
    }
    // The others stay pending, and are locked no longer than this transaction takes.
    let mut n_gathered = 0;
    notices.retain(|notice| {
        n_gathered += usize::from(notice.lead_id.is_none());
        notice.lead_id.is_some() || n_gathered <= GATHERED_MAX
    });
    let mut read = Read::default();
    if !notices.is_empty() {
        n_touched += notices.len();
        let plans;
        (plans, read) = plan_by(&mut tx, now, rules, notices).await?;
        deliveries.extend(write_plans(&mut tx, now, rules, owner, plans, &read.known).await?);
    }
    if n_touched == 0 {
        return Ok(Claimed::default());
    }
    // Not before: only now is what was taken back from it, and claimed here once more, known to be committed together with its end.
    if is_ended(&mut tx, owner).await? {
        tx.rollback().await?;
        return Ok(Claimed {
            is_over: true,
            ..Claimed::default()
        });
    }
    let mut letters = read_letters(&mut tx, now, rules, deliveries, read).await?;
    if rules.public_url.is_some() {
        sign(&mut letters, newest_key(&mut tx).await?.map(|newest| newest.key).as_ref());
    }
    tx.commit().await?;
    Ok(Claimed {
        letters,
        n_touched,
        oldest_single,
        is_over: false,
    })
}

/// Returns the letters that a digest run would send to a partner now: the claim's own code, rolled back.
///
/// # Errors
/// The database cannot be read.
pub async fn preview_digest(store: &Store, now: Timestamp, rules: &Rules, partner: &PartnerId) -> Result<Vec<Letter>, Error> {
    let mut tx = store.begin().await?;
    let partners = BTreeSet::from([partner.clone()]);
    let notices = close_early(&mut tx, now, rules, &partners).await?;
    let (plans, read) = plan_by(&mut tx, now, rules, notices).await?;
    let made = write_plans(&mut tx, now, rules, NOBODY, plans, &read.known).await?;
    let mut letters = read_letters(&mut tx, now, rules, made, read).await?;
    tx.rollback().await?;
    // A delivery that is rolled back leaves its number to another one: a link that is only shown must not open that.
    if rules.public_url.is_some() {
        sign(&mut letters, Some(&link::Key::for_show()));
    }
    Ok(letters)
}

fn sign(letters: &mut [Letter], key: Option<&link::Key>) {
    for letter in letters {
        letter.link_key = key.cloned();
    }
}

/// Sorts out deliveries whose address was suppressed or silenced while they waited, and returns the others. The notices of suppressed ones are resolved
/// once more, by this very claim.
async fn drop_unwanted(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    owner: i64,
    queued: Vec<Delivery>,
) -> Result<Vec<Delivery>, crate::store::Error> {
    if queued.is_empty() {
        return Ok(queued);
    }
    let suppressed = find_among(tx, queued.iter().map(|delivery| &delivery.address)).await?;
    let mut known = Known::default();
    known
        .read_more(tx, &queued.iter().map(|delivery| delivery.partner_id.clone()).collect())
        .await?;
    let (mut wanted, mut dropped, mut again) = (Vec::new(), Vec::new(), BTreeSet::new());
    for delivery in queued {
        // A customer is no address of the partner that declined.
        let silence = (delivery.kind != Kind::Decline)
            .then(|| known.silence_of(&delivery.partner_id, &delivery.address))
            .flatten();
        let (event, why) = match silence {
            _ if suppressed.contains(&delivery.address) => (Event::AddressSuppressed, "the address is suppressed"),
            Some(silence) => (Event::AddressSilenced, silence.as_str()),
            None => {
                wanted.push(delivery);
                continue;
            }
        };
        let next = next(now, delivery::State::Queued, event, &facts(&delivery, rules, 0.5))
            .expect("a queued delivery takes what its address becomes");
        if next.resolves_again {
            again.insert(delivery.notice_id);
        }
        dropped.push(outcome(now, &delivery, &next, Some(why.to_owned()), event));
    }
    record_outcomes(tx, now, owner, &dropped).await?;
    reopen_notices(tx, now, &again).await?;
    Ok(wanted)
}

/// Makes the deliveries of the plans and finishes their notices.
async fn write_plans(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    owner: i64,
    plans: Vec<Plan>,
    known: &Known,
) -> Result<Vec<Delivery>, crate::store::Error> {
    let (mut new, mut finished, mut history, mut unrouted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut left_out, mut unreminded) = (Vec::new(), Vec::new());
    for plan in plans {
        match plan.notice.kind {
            Kind::Reminder => unreminded.extend(plan.left_out.iter().cloned()),
            Kind::Lead | Kind::Digest | Kind::Expiry | Kind::Decline => left_out.extend(plan.left_out.iter().cloned()),
        }
        if matches!(plan.fate, Fate::Told | Fate::OnlySilenced(_)) {
            unrouted.extend(plan.unrouted.iter().cloned());
        }
        for letter in &plan.letters {
            new.push(NewDelivery {
                notice_id: plan.notice.id,
                kind: plan.notice.kind,
                partner_id: plan.notice.partner_id.clone(),
                lead_id: plan.notice.lead_id.clone(),
                leads: letter.leads.clone(),
                address: letter.mailbox.email.clone(),
                name: letter.mailbox.name.clone(),
                language: letter.language.clone(),
                forwarded_by: plan.notice.forward.as_ref().map(|forward| forward.by.clone()),
            });
        }
        finished.push(finish(&plan));
        history.extend(why(now, &plan));
        history.extend(plan.unheard.iter().map(|(lead, why)| unheard(now, &plan, lead, why)));
    }
    let made = insert_deliveries(tx, now, owner, &new).await?;
    finish_notices(tx, now, &finished).await?;
    hold_again(tx, now, &unrouted, &mut history).await?;
    wait_again(tx, now, rules, &left_out, known, &mut history).await?;
    remind_again(tx, now, rules, &unreminded, known, &mut history).await?;
    insert_history(tx, &history).await?;
    Ok(made)
}

/// Says what becomes of a planned notice (`outbox::notice` has the whole table).
fn finish(plan: &Plan) -> Finish {
    let (event, reason) = match &plan.fate {
        Fate::Told => (
            notice::Event::Resolved {
                n_new: u32::try_from(plan.letters.len()).unwrap_or(u32::MAX),
            },
            None,
        ),
        Fate::OnlySilenced(why) => (notice::Event::OnlySilenced, Some(why.clone())),
        Fate::NothingLeft(why) => (notice::Event::NothingLeft, Some(why.clone())),
        Fate::Unroutable(why) if plan.is_told_before => (notice::Event::Resolved { n_new: 0 }, Some(why.clone())),
        Fate::Unroutable(why) if plan.notice.is_reopened => (notice::Event::NobodyLeft, Some(why.clone())),
        Fate::Unroutable(why) => (notice::Event::Unroutable, Some(why.clone())),
    };
    let state = notice::next(State::Pending, event).expect("a pending notice takes every answer of its resolution");
    Finish {
        id: plan.notice.id,
        state: state.as_str(),
        reason,
    }
}

/// Says who is told, and why nobody else, in plain words.
fn why(now: Timestamp, plan: &Plan) -> Option<Entry> {
    let mut sentences = Vec::new();
    match &plan.fate {
        Fate::Told => {
            let told: Vec<&str> = plan.letters.iter().map(|letter| letter.mailbox.email.as_str()).collect();
            sentences.push(format!("{} goes to {}", plan.notice.kind, told.join(", ")));
            for (address, silence) in &plan.silenced {
                sentences.push(format!("{address} {} and gets none", silence.as_str()));
            }
            if !plan.suppressed.is_empty() {
                let passed: Vec<&str> = plan.suppressed.iter().map(EmailAddress::as_str).collect();
                sentences.push(format!("passed over as suppressed: {}", passed.join(", ")));
            }
        }
        Fate::OnlySilenced(why) => sentences.push(format!("no {} mail goes out: {why}", plan.notice.kind)),
        Fate::NothingLeft(why) => sentences.push(format!("no {} mail goes out: {why}", plan.notice.kind)),
        Fate::Unroutable(why) => sentences.push(format!("no {} mail can go out: {why}", plan.notice.kind)),
    }
    let detail = json!({
        "noticeId": plan.notice.id,
        "kind": plan.notice.kind.as_str(),
        "told": plan.letters.iter().map(|letter| letter.mailbox.email.as_str()).collect::<Vec<_>>(),
    });
    let mut entry = about_partner(now, &plan.notice.partner_id, "R-RECIPIENT", sentences.join("; "), detail);
    entry.lead_id.clone_from(&plan.notice.lead_id);
    Some(entry)
}

/// Says of a lead that nobody heard of it, though others of its digest went out: `audit` excuses it by this entry.
fn unheard(now: Timestamp, plan: &Plan, lead: &LeadId, why: &str) -> Entry {
    let event = match plan.notice.kind {
        Kind::Digest => format!("{} of its digest: {why}", crate::store::audit::NAMED_IN_NO_MAIL),
        Kind::Lead | Kind::Reminder | Kind::Expiry | Kind::Decline => format!("is named in no {}: {why}", plan.notice.kind),
    };
    let detail = json!({ "noticeId": plan.notice.id });
    let mut entry = about_partner(now, &plan.notice.partner_id, "R-RECIPIENT", event, detail);
    entry.lead_id = Some(lead.clone());
    entry
}

/// Leads of a digest that have no address of their own, while others of it do, wait again for one: the digest must not swallow them.
async fn hold_again(tx: &mut Tx, now: Timestamp, ids: &[LeadId], history: &mut Vec<Entry>) -> Result<(), crate::store::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut leads: Vec<Lead> = find_leads(tx, ids)
        .await?
        .into_values()
        .filter(|lead| lead.channel == Some(Channel::Digest))
        .collect();
    leads.sort_by_key(|lead| lead.seq);
    for lead in &mut leads {
        lead.channel = Some(Channel::Held);
        lead.digest_id = None;
        history.push(about_lead(
            now,
            lead,
            "R-RECIPIENT",
            "has no address of its own, unlike its digest; it waits until there is one",
            json!({}),
        ));
    }
    update_states(tx, &leads.iter().map(|lead| StateChange::new(lead, lead.stage)).collect::<Vec<_>>()).await
}

/// Leads whose address failed, while the next one has had its mail of their digest without them, wait for the next digest: nobody would hear of them.
async fn wait_again(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    ids: &[LeadId],
    known: &Known,
    history: &mut Vec<Entry>,
) -> Result<(), crate::store::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut leads: Vec<Lead> = find_leads(tx, ids).await?.into_values().collect();
    leads.retain(|lead| lead.channel == Some(Channel::Digest));
    leads.sort_by_key(|lead| lead.seq);
    join_digests(tx, now, &mut leads, known, rules).await?;
    let event = "goes with the next digest: its address failed, and the one that stands in had its mail of this one before";
    history.extend(
        leads
            .iter()
            .map(|lead| about_lead(now, lead, "R-RECIPIENT", event, json!({ "digestId": lead.digest_id }))),
    );
    update_states(tx, &leads.iter().map(|lead| StateChange::new(lead, lead.stage)).collect::<Vec<_>>()).await
}

/// Leads whose address failed, while the next one has had its reminder of that day without them, are reminded of with the day that is not over yet.
async fn remind_again(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    ids: &[LeadId],
    known: &Known,
    history: &mut Vec<Entry>,
) -> Result<(), crate::store::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut leads: Vec<Lead> = find_leads(tx, ids).await?.into_values().collect();
    leads.sort_by_key(|lead| lead.seq);
    let reminders = join_reminders(tx, now, &leads, known, rules).await?;
    let event = "is reminded of with the next day: its address failed, and the one that stands in had its reminder of this one before";
    history.extend(leads.iter().map(|lead| about_lead(now, lead, "R-REMIND", event, json!({}))));
    let changes: Vec<StateChange<'_>> = leads
        .iter()
        .map(|lead| StateChange {
            reminder_id: reminders.get(&lead.partner_id).copied(),
            ..StateChange::new(lead, lead.stage)
        })
        .collect();
    update_states(tx, &changes).await
}

/// Reads all that the mails of these deliveries say, as far as it was not read for their plans.
async fn read_letters(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    deliveries: Vec<Delivery>,
    read: Read,
) -> Result<Vec<Letter>, crate::store::Error> {
    let Read { mut leads, mut known } = read;
    let wanted: HashSet<&LeadId> = deliveries
        .iter()
        .flat_map(|delivery| delivery.lead_id.iter().chain(&delivery.leads))
        .filter(|id| !leads.contains_key(*id))
        .collect();
    let missing = find_leads(tx, wanted).await?;
    leads.extend(missing);
    let partners: BTreeSet<PartnerId> = deliveries
        .iter()
        .map(|delivery| delivery.partner_id.clone())
        .chain(leads.values().map(|lead| lead.partner_id.clone()))
        .collect();
    known.read_more(tx, &partners).await?;
    let mailed = read_mailed(tx, rules, &deliveries).await?;
    let threads = read_threads(tx, &deliveries, &leads).await?;
    // A lead goes into its letter as it is, but where several tell of it: a digest's hundred are some hundred kilobytes.
    let mut seen = HashSet::new();
    let ids = deliveries
        .iter()
        .flat_map(|delivery| delivery.lead_id.iter().chain(&delivery.leads));
    let shared: HashSet<LeadId> = ids.filter(|id| !seen.insert(*id)).cloned().collect();
    let mut letters = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let about: Vec<Lead> = delivery
            .lead_id
            .iter()
            .chain(&delivery.leads)
            .filter_map(|id| {
                if shared.contains(id) {
                    leads.get(id).cloned()
                } else {
                    leads.remove(id)
                }
            })
            .collect();
        let still = |lead: &Lead| needs_telling(delivery.kind, lead, now);
        let partner = known.partner(&delivery.partner_id).cloned();
        let names = about.iter().map(|lead| {
            let named = known.partner(&lead.partner_id).and_then(|partner| partner.name.clone());
            (lead.partner_id.clone(), named.unwrap_or_else(|| name_in_record(lead)))
        });
        letters.push(Letter {
            partner_names: names.collect(),
            zone: zone_of(partner.as_ref(), &rules.policy),
            mailed: mailed.get(&delivery.id).cloned().unwrap_or_default(),
            thread: threads.get(&delivery.id).cloned().unwrap_or_default(),
            leads: about.into_iter().filter(still).collect(),
            partner,
            delivery,
            link_key: None,
        });
    }
    Ok(letters)
}

fn name_in_record(lead: &Lead) -> String {
    let named = lead
        .record_json()
        .get("organizationName")
        .and_then(|name| name.as_str().map(str::to_owned));
    named.unwrap_or_else(|| lead.partner_id.as_str().to_owned())
}

/// Reads, for each digest, the leads that were mailed singly to its address on its day.
async fn read_mailed(tx: &mut Tx, rules: &Rules, deliveries: &[Delivery]) -> Result<HashMap<i64, Vec<Lead>>, crate::store::Error> {
    let mut mailed = HashMap::new();
    let notices: Vec<i64> = deliveries.iter().filter(|d| d.kind == Kind::Digest).map(|d| d.notice_id).collect();
    if notices.is_empty() || !rules.policy.digest_includes_mailed {
        return Ok(mailed);
    }
    let digest_of: BTreeMap<i64, i64> = find_notices(tx, &notices)
        .await?
        .into_iter()
        .filter_map(|notice| notice.digest_id.map(|digest| (notice.id, digest)))
        .collect();
    let digests = digests::find_digests(tx, &digest_of.values().copied().collect::<Vec<_>>()).await?;
    for delivery in deliveries {
        let day = digest_of
            .get(&delivery.notice_id)
            .and_then(|id| digests.get(id))
            .and_then(|digest| digest.day);
        if let Some(day) = day {
            let leads = list_mailed_on_day(tx, &delivery.partner_id, day, delivery.address.as_str(), MAILED_LISTED_MAX).await?;
            mailed.insert(delivery.id, leads);
        }
    }
    Ok(mailed)
}

/// Reads the mails by which each reminder's address was told of its leads before.
async fn read_threads(
    tx: &mut Tx,
    deliveries: &[Delivery],
    leads: &HashMap<LeadId, Lead>,
) -> Result<HashMap<i64, Vec<i64>>, crate::store::Error> {
    let mut pairs = Vec::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.kind == Kind::Reminder) {
        for id in &delivery.leads {
            let digest_id = leads.get(id).and_then(|lead| lead.digest_id);
            pairs.push((id.clone(), digest_id, delivery.address.clone()));
        }
    }
    let told = find_told(tx, &pairs).await?;
    let mut threads: HashMap<i64, Vec<i64>> = HashMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.kind == Kind::Reminder) {
        let before: BTreeSet<i64> = told
            .iter()
            .filter(|(lead, address, _)| *address == delivery.address && delivery.leads.contains(lead))
            .map(|(_, _, id)| *id)
            .collect();
        threads.insert(delivery.id, before.into_iter().collect());
    }
    Ok(threads)
}
