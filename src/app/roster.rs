//! The partners as they are listed and shown: who each is, and where its mail goes. Changing one is `partners`.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::explain::{AtLocation, DigestFacts, PartnerStory, Since, WhoIsTold, partner_story, who_is_told};
use crate::app::page::{Cursor, LIMIT_MAX, Page, key_or};
use crate::app::{Error, Rules};
use crate::partner::{Partner, PartnerId};
use crate::store::leads::list_held_partners;
use crate::store::partners::{find_partners, list_partners};
use crate::store::{Store, Tx};
use crate::time::Timestamp;

const LIST: &str = "partners";

/// Partners that are read at a time where most are passed over.
const READ_AT_A_TIME: usize = 500;
/// Times that a page reads on, looking for partners without an address; a page may so be short, and still have a next one.
const READS_MAX: usize = 10;
/// Partners with leads that wait and no record; more is an import that was forgotten.
const UNKNOWN_MAX: i64 = 10_000;

/// A partner as it is listed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedPartner {
    /// Its id.
    pub id: PartnerId,
    /// Its name.
    pub name: Option<String>,
    /// The programme that its record names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programme: Option<String>,
    /// Whether a record of it was taken in.
    pub is_known: bool,
    /// Whether nobody of it can be mailed.
    pub is_unroutable: bool,
    /// Who is told of its leads.
    #[serde(flatten)]
    pub told: WhoIsTold,
}

/// A partner as it is shown: the record as it is kept, and beside it what posthorn makes of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownPartner {
    /// The record.
    #[serde(flatten)]
    pub record: Partner,
    /// What posthorn makes of it.
    pub posthorn: PartnerFacts,
}

/// What posthorn makes of a partner's record.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerFacts {
    /// Who is told of its leads.
    pub told: WhoIsTold,
    /// Who is told of leads that target a location of its own, where that differs.
    pub locations: Vec<AtLocation>,
    /// Whether nobody of it can be mailed.
    pub unroutable: bool,
    /// The local day.
    pub day: String,
    /// Contact leads counted on it so far.
    pub day_count: i64,
    /// How many of a day are mailed singly.
    pub digest_threshold: u32,
    /// When digests fire.
    pub digest_cron: String,
    /// In which zone.
    pub time_zone: String,
    /// The digest that collects.
    pub digest: Option<DigestFacts>,
    /// Unanswered leads in it.
    pub digest_leads: i64,
    /// Leads that wait for an address.
    pub held_leads: i64,
    /// Addresses that have unsubscribed, and since when.
    pub opt_outs: Vec<Since>,
    /// Addresses of its record that cannot be reached, since when and why.
    pub suppressed: Vec<Since>,
}

/// Returns a page of partners by id; with `only` at most that one, with `unroutable` only those that have no address, those among them of which leads came in but no record.
///
/// # Errors
/// The cursor is none of this list, or the database cannot be read.
pub async fn page(
    store: &Store,
    rules: &Rules,
    only: Option<&PartnerId>,
    unroutable: bool,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page<ListedPartner>, Error> {
    let limit = limit.clamp(1, LIMIT_MAX);
    let mut after: String = key_or(cursor, LIST, String::new())?;
    let mut tx = store.snapshot().await?;
    if let Some(only) = only {
        let found = find_partners(&mut tx, [only]).await?.into_values().collect();
        let value = known_partners(&mut tx, rules, found, unroutable).await?;
        return Ok(Page { value, next: None });
    }
    let mut unknown = if unroutable {
        unknown_partners(&mut tx, rules).await?
    } else {
        Vec::new()
    };
    unknown.retain(|partner| partner.id.as_str() > after.as_str());
    let mut listed: Vec<ListedPartner> = Vec::new();
    // Beyond what was read of the known ones, an unknown one must wait for its place.
    let mut is_through = false;
    let n_read = if unroutable { READ_AT_A_TIME } else { limit + 1 };
    for _ in 0..READS_MAX {
        let found = list_partners(&mut tx, &after, n_read as i64).await?;
        is_through = found.len() < n_read;
        if let Some(last) = found.last() {
            last.id.as_str().clone_into(&mut after);
        }
        listed.extend(known_partners(&mut tx, rules, found, unroutable).await?);
        if is_through || listed.len() > limit {
            break;
        }
    }
    listed.extend(unknown.into_iter().filter(|one| is_through || one.id.as_str() <= after.as_str()));
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let next = match listed.last() {
        Some(last) if has_more => Some(Cursor::behind(LIST, &last.id)),
        Some(_) | None => (!is_through).then(|| Cursor::behind(LIST, &after)),
    };
    Ok(Page { value: listed, next })
}

async fn known_partners(tx: &mut Tx, rules: &Rules, found: Vec<Partner>, unroutable: bool) -> Result<Vec<ListedPartner>, Error> {
    let ids: BTreeSet<PartnerId> = found.iter().map(|partner| partner.id.clone()).collect();
    let mut told: HashMap<PartnerId, WhoIsTold> = who_is_told(tx, rules, &ids).await?.into_iter().collect();
    let mut listed = Vec::new();
    for partner in found {
        let Some(told) = told.remove(&partner.id) else { continue };
        if !unroutable || told.rung.is_none() {
            listed.push(ListedPartner {
                id: partner.id,
                name: partner.name,
                programme: partner.programme,
                is_known: true,
                is_unroutable: told.rung.is_none(),
                told,
            });
        }
    }
    Ok(listed)
}

/// Partners whose leads wait for a record of them.
async fn unknown_partners(tx: &mut Tx, rules: &Rules) -> Result<Vec<ListedPartner>, Error> {
    let waiting: BTreeSet<PartnerId> = list_held_partners(tx, UNKNOWN_MAX).await?.into_iter().map(|(id, _)| id).collect();
    let known = find_partners(tx, &waiting).await?;
    let ids: BTreeSet<PartnerId> = waiting.into_iter().filter(|id| !known.contains_key(id)).collect();
    let told = who_is_told(tx, rules, &ids).await?;
    let listed = told.into_iter().map(|(id, told)| ListedPartner {
        id,
        name: None,
        programme: None,
        is_known: false,
        is_unroutable: true,
        told,
    });
    Ok(listed.collect())
}

/// Shows a partner at `now`, and returns the story that it was taken from beside it.
///
/// # Errors
/// No record of it was taken in, or the database cannot be read.
pub async fn show(store: &Store, now: Timestamp, rules: &Rules, id: &PartnerId) -> Result<(ShownPartner, PartnerStory), Error> {
    let mut tx = store.snapshot().await?;
    let story = partner_story(&mut tx, now, rules, id).await?;
    let found = story.and_then(|story| story.record.clone().map(|record| (story, record)));
    let Some((story, record)) = found else {
        return Err(Error::not_found_try(
            format!("no partner {id} is known here"),
            format!("`posthorn partners list` names them, `posthorn explain {id}` looks further"),
        ));
    };
    let shown = ShownPartner {
        record,
        posthorn: PartnerFacts::from(&story),
    };
    Ok((shown, story))
}

/// Says that there is no such partner.
pub fn unknown(id: &PartnerId) -> Error {
    Error::not_found_try(format!("no partner {id} is known here"), "`posthorn partners list` names them")
}

impl From<&PartnerStory> for PartnerFacts {
    fn from(story: &PartnerStory) -> Self {
        Self {
            told: story.told.clone(),
            locations: story.locations.clone(),
            unroutable: story.told.rung.is_none(),
            day: story.day.clone(),
            day_count: story.day_count,
            digest_threshold: story.threshold,
            digest_cron: story.digest_cron.clone(),
            time_zone: story.time_zone.clone(),
            digest: story.digest.clone(),
            digest_leads: story.digest_leads,
            held_leads: story.held_leads,
            opt_outs: story.opt_outs.clone(),
            suppressed: story.suppressed.clone(),
        }
    }
}
