//! Replaces partner records, and does what follows: digests move with cron and zone, held leads are released, items are settled.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::json;

use crate::app::known::{cron_of, zone_of};
use crate::app::release::release;
use crate::app::suppress::unreachable_subject;
use crate::app::{Error, Rules, about_partner};
use crate::partner::record::Mailbox;
use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::policy::action;
use crate::policy::recipient::languages;
use crate::store::digests::{find_collecting, move_digests};
use crate::store::history::insert_history;
use crate::store::items::{NewItem, put_items, settle_items};
use crate::store::partners::{find_address_books, find_partners, lock_partners};
use crate::store::{self, Store, Tx, retried};
use crate::tag::IfMatch;
use crate::time::Timestamp;

/// Partners a transaction takes in at most.
pub const BATCH_MAX: usize = 500;

/// What became of a partner record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The partner was not known.
    New,
    /// Its record was replaced.
    Replaced,
    /// It says what was known.
    Unchanged,
}

/// Replaces these partners' records; of two records of one partner the later one stands. Returns what became of each.
///
/// # Errors
/// The database cannot record it; then none was replaced.
pub async fn put(store: &Store, now: Timestamp, rules: &Rules, partners: &[Partner], by: Option<&str>) -> Result<Vec<Put>, Error> {
    Ok(retried(|| put_once(store, now, rules, partners, by)).await?)
}

async fn put_once(store: &Store, now: Timestamp, rules: &Rules, partners: &[Partner], by: Option<&str>) -> Result<Vec<Put>, store::Error> {
    let ids: BTreeSet<PartnerId> = partners.iter().map(|partner| partner.id.clone()).collect();
    let mut tx = store.begin().await?;
    lock_partners(&mut tx, &ids).await?;
    let before = find_partners(&mut tx, &ids).await?;
    let mut after: BTreeMap<PartnerId, Partner> = BTreeMap::new();
    let mut answers = Vec::with_capacity(partners.len());
    for partner in partners {
        answers.push(match after.get(&partner.id).or_else(|| before.get(&partner.id)) {
            None => Put::New,
            Some(known) if known == partner => Put::Unchanged,
            Some(_) => Put::Replaced,
        });
        after.insert(partner.id.clone(), partner.clone());
    }
    after.retain(|id, partner| before.get(id) != Some(partner));
    write(&mut tx, now, rules, &before, after.into_values().collect(), by).await?;
    tx.commit().await?;
    Ok(answers)
}

/// Replaces one partner's record; with tags ([`Partner::tag`]) only if the record is still the one that whoever writes has seen.
///
/// # Errors
/// The record has changed or is not there, or the database cannot record it; then it was not replaced.
pub async fn put_one(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    partner: &Partner,
    if_match: &IfMatch,
    by: Option<&str>,
) -> Result<Put, Error> {
    let mut tx = store.begin().await?;
    let ids = BTreeSet::from([partner.id.clone()]);
    if !if_match.fits(None) && find_partners(&mut tx, &ids).await?.is_empty() {
        return Err(stale(&partner.id));
    }
    lock_partners(&mut tx, &ids).await?;
    let before = find_partners(&mut tx, &ids).await?;
    let known = before.get(&partner.id);
    demand_seen(&partner.id, known, if_match)?;
    let answer = match known {
        None => Put::New,
        Some(known) if known == partner => return Ok(Put::Unchanged),
        Some(_) => Put::Replaced,
    };
    write(&mut tx, now, rules, &before, vec![partner.clone()], by).await?;
    tx.commit().await?;
    Ok(answer)
}

fn demand_seen(id: &PartnerId, known: Option<&Partner>, if_match: &IfMatch) -> Result<(), Error> {
    if if_match.fits(known.map(Partner::tag).as_deref()) {
        return Ok(());
    }
    Err(stale(id))
}

fn stale(id: &PartnerId) -> Error {
    Error::Stale(format!(
        "the record of partner {id} has changed since it was read; read it again, and write over what it says then"
    ))
}

/// Writes changed partners and what follows. They are locked.
async fn write(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    before: &HashMap<PartnerId, Partner>,
    changed: Vec<Partner>,
    by: Option<&str>,
) -> Result<(), store::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    store::partners::put_partners(tx, now, &changed).await?;
    let ids: BTreeSet<PartnerId> = changed.iter().map(|partner| partner.id.clone()).collect();
    let by_id: HashMap<&PartnerId, &Partner> = changed.iter().map(|partner| (&partner.id, partner)).collect();

    let mut moves = Vec::new();
    // One whose fire has come already is not moved past it: the fire is made up.
    for digest in find_collecting(tx, &ids).await?.into_iter().filter(|digest| digest.due_at > now) {
        let (old, new) = (before.get(&digest.partner_id), by_id.get(&digest.partner_id).copied());
        let schedule = |partner| (cron_of(partner, &rules.policy).clone(), zone_of(partner, &rules.policy));
        if schedule(old) != schedule(new) {
            let (cron, zone) = schedule(new);
            moves.push((digest.id, cron.next_fire(zone, now)));
        }
    }
    move_digests(tx, &moves).await?;
    tell_of_addresses(tx, now, rules, before, &changed).await?;
    let mut entries = Vec::with_capacity(changed.len());
    for partner in &changed {
        let addresses = partner.mailboxes().map(|mailbox| &mailbox.email).collect::<HashSet<_>>().len();
        let what = if before.contains_key(&partner.id) {
            "its record was replaced"
        } else {
            "it became known"
        };
        let n = match addresses {
            0 => "no address".to_owned(),
            1 => "1 address".to_owned(),
            n => format!("{n} addresses"),
        };
        let mut entry = about_partner(now, &partner.id, "R-RECIPIENT", format!("{what}; it has {n}"), json!({}));
        entry.actor = by.map(str::to_owned);
        entries.push(entry);
    }
    insert_history(tx, &entries).await?;
    release(tx, now, rules, &ids).await?;
    Ok(())
}

/// Tells the partners of addresses in their records that cannot be reached, and settles what was told of addresses that are gone.
async fn tell_of_addresses(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    before: &HashMap<PartnerId, Partner>,
    changed: &[Partner],
) -> Result<(), store::Error> {
    let books = find_address_books(tx, changed.iter().map(|partner| &partner.id)).await?;
    let (mut gone, mut items) = (Vec::new(), Vec::new());
    for partner in changed {
        let here: HashSet<&EmailAddress> = partner.mailboxes().map(|mailbox| &mailbox.email).collect();
        let old = before
            .get(&partner.id)
            .into_iter()
            .flat_map(Partner::mailboxes)
            .map(|mailbox| &mailbox.email);
        gone.extend(
            old.filter(|address| !here.contains(address))
                .map(|address| unreachable_subject(&partner.id, address)),
        );
        let suppressed = books.get(&partner.id).into_iter().flat_map(|book| &book.suppressed);
        for address in suppressed.filter(|address| here.contains(address)) {
            let is_preferred = partner.preferred_emails.iter().any(|mailbox| mailbox.email == *address);
            let languages = languages(None, Some(partner), &rules.policy.locale);
            items.push(NewItem {
                subject: unreachable_subject(&partner.id, address),
                partner_id: partner.id.clone(),
                lead_id: None,
                content: action::unreachable_item(address, is_preferred, &languages, rules.portal_url_of(Some(partner))),
            });
        }
    }
    // In one order at every run.
    items.sort_by(|one, other| one.subject.cmp(&other.subject));
    settle_items(tx, now, &gone, rules.posts_items).await?;
    put_items(tx, now, &items, rules.posts_items).await
}

/// Sets a partner's one preferred e-mail, or clears all of them (`None`), and returns the record as it is then.
///
/// # Errors
/// The partner is unknown, its record has changed, or the database cannot record it.
pub async fn set_preferred_email(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    id: &PartnerId,
    preferred: Option<Mailbox>,
    if_match: &IfMatch,
    by: Option<&str>,
) -> Result<Partner, Error> {
    let unknown = || {
        Error::not_found_try(
            format!("no partner {id} is known here"),
            "`posthorn partners import` brings partners in",
        )
    };
    let mut tx = store.begin().await?;
    let ids = BTreeSet::from([id.clone()]);
    lock_partners(&mut tx, &ids).await?;
    let before = find_partners(&mut tx, &ids).await?;
    let mut partner = before.get(id).cloned().ok_or_else(unknown)?;
    demand_seen(id, before.get(id), if_match)?;
    partner.preferred_emails = preferred.into_iter().collect();
    write(&mut tx, now, rules, &before, vec![partner.clone()], by).await?;
    tx.commit().await?;
    Ok(partner)
}
