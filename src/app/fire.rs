//! Closes digests: when their fire comes, or early by hand (`R-DIGEST`). A dry run is the same code, rolled back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use tracing::Instrument;

use crate::app::explain::Silenced;
use crate::app::known::Known;
use crate::app::resolve::{Fate, Plan, plan};
use crate::app::{Error, Rules, about_partner};
use crate::outbox::Kind;
use crate::partner::PartnerId;
use crate::store::digests::{Closing, Digest, close_digests, find_collecting, list_collecting, list_due};
use crate::store::history::insert_history;
use crate::store::leads::count_unanswered_of_digests;
use crate::store::notices::{NewNotice, Notice, insert_notices, list_of_digests};
use crate::store::partners::lock_partners;
use crate::store::{Store, Tx, retried};
use crate::time::Timestamp;

/// Why a closed digest sends no mail.
pub(super) const NOTHING_LEFT: &str = "none of its leads is still unanswered";

/// Digests a transaction closes at most.
pub const BATCH_MAX: i64 = 200;

/// Closes digests whose fire has come, and returns how many were due: [`BATCH_MAX`] of them means that there may be more.
///
/// # Errors
/// The database cannot record it; then nothing was closed.
pub async fn fire(store: &Store, now: Timestamp, rules: &Rules) -> Result<usize, Error> {
    let span = tracing::info_span!("app.fire");
    Ok(retried(|| fire_once(store, now, rules)).instrument(span).await?)
}

async fn fire_once(store: &Store, now: Timestamp, rules: &Rules) -> Result<usize, crate::store::Error> {
    let mut tx = store.begin().await?;
    let due = list_due(&mut tx, now, BATCH_MAX).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let partners: BTreeSet<PartnerId> = due.iter().map(|digest| digest.partner_id.clone()).collect();
    lock_partners(&mut tx, &partners).await?;
    // Somebody else may have closed or moved one before the lock was had.
    let digests: Vec<Digest> = find_collecting(&mut tx, &partners)
        .await?
        .into_iter()
        .filter(|digest| digest.due_at <= now)
        .collect();
    close(&mut tx, now, &digests, "fire", None, rules).await?;
    tx.commit().await?;
    Ok(due.len())
}

/// Closes collecting digests of locked partners; one with nothing left to say sends nothing, and its row says so.
async fn close(
    tx: &mut Tx,
    now: Timestamp,
    digests: &[Digest],
    by: &'static str,
    who: Option<&str>,
    rules: &Rules,
) -> Result<HashMap<i64, i64>, crate::store::Error> {
    let counts = count_unanswered_of_digests(tx, now, &digests.iter().map(|digest| digest.id).collect::<Vec<_>>()).await?;
    let mut known = Known::default();
    known
        .read_more(tx, &digests.iter().map(|digest| digest.partner_id.clone()).collect())
        .await?;
    let (mut closings, mut notices, mut history) = (Vec::new(), Vec::new(), Vec::new());
    for digest in digests {
        let n_leads = counts.get(&digest.id).copied().unwrap_or(0);
        let day = known.zone(&digest.partner_id, &rules.policy).day_of(now);
        closings.push(Closing {
            id: digest.id,
            by,
            day,
            n_leads,
        });
        let how = if by == "fire" { "its fire came" } else { "it was run by hand" };
        let event = match n_leads {
            0 => format!(
                "digest {} closed, since {how}; none of its leads is still unanswered, so no mail goes out",
                digest.id
            ),
            1 => format!("digest {} closed, since {how}; 1 unanswered lead goes out", digest.id),
            n => format!("digest {} closed, since {how}; {n} unanswered leads go out", digest.id),
        };
        let detail = json!({ "digestId": digest.id, "dueDateTime": digest.due_at, "leads": n_leads });
        let mut entry = about_partner(now, &digest.partner_id, "R-DIGEST", event, detail);
        entry.actor = who.map(str::to_owned);
        history.push(entry);
        if n_leads > 0 {
            notices.push(NewNotice {
                kind: Kind::Digest,
                subject: digest.id.to_string(),
                partner_id: digest.partner_id.clone(),
                lead_id: None,
                digest_id: Some(digest.id),
                due_at: now,
            });
        }
    }
    close_digests(tx, now, &closings).await?;
    insert_notices(tx, now, &notices).await?;
    insert_history(tx, &history).await?;
    Ok(counts)
}

/// What a digest run does, or would do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// Whether it was only tried, and taken back.
    pub dry_run: bool,
    /// How many mails follow.
    pub mails: usize,
    /// What it does for each partner.
    pub value: Vec<Run>,
}

/// What a digest run does for one partner.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Whose digest.
    pub partner_id: PartnerId,
    /// Which; `None`: nothing was waiting.
    pub digest_id: Option<i64>,
    /// Unanswered leads in it.
    pub leads: i64,
    /// The mails that follow.
    pub mails: Vec<RunMail>,
    /// Addresses that do not want mail, and why.
    pub silenced: Vec<Silenced>,
    /// Addresses that cannot be reached.
    pub suppressed: Vec<String>,
    /// Why there is no mail, where there is none.
    pub no_mail: Option<String>,
}

/// A mail that a digest run causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunMail {
    /// Where it goes.
    pub address: String,
    /// How many leads it lists.
    pub leads: usize,
}

impl Runs {
    /// Returns how many digests close.
    pub fn n_digests(&self) -> usize {
        self.value.iter().filter(|run| run.digest_id.is_some()).count()
    }
}

/// Closes the digests of these partners early, or only says what that would do (`dry_run`): the same code, rolled back.
///
/// # Errors
/// A partner is unknown, or the database cannot record it.
pub async fn run(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    partners: &BTreeSet<PartnerId>,
    dry_run: bool,
    by: Option<&str>,
) -> Result<Runs, Error> {
    let mut tx = store.read().await?;
    let known = crate::store::partners::find_partners(&mut tx, partners).await?;
    let waiting: BTreeSet<PartnerId> = find_collecting(&mut tx, partners)
        .await?
        .into_iter()
        .map(|digest| digest.partner_id)
        .collect();
    if let Some(unknown) = partners.iter().find(|id| !known.contains_key(*id) && !waiting.contains(*id)) {
        return Err(crate::app::roster::unknown(unknown));
    }
    drop(tx);
    let mut runs = Vec::new();
    let all: Vec<&PartnerId> = partners.iter().collect();
    for some in all.chunks(BATCH_MAX as usize) {
        let some: BTreeSet<PartnerId> = some.iter().map(|id| (*id).clone()).collect();
        runs.extend(retried(|| run_once(store, now, rules, &some, dry_run, by)).await?);
    }
    Ok(Runs {
        dry_run,
        mails: runs.iter().map(|run| run.mails.len()).sum(),
        value: runs,
    })
}

/// Returns the partners that have leads waiting for a digest.
///
/// # Errors
/// The database cannot be read.
pub async fn list_waiting(store: &Store) -> Result<BTreeSet<PartnerId>, Error> {
    let mut tx = store.read().await?;
    let mut partners = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = list_collecting(&mut tx, &after, BATCH_MAX).await?;
        let Some(last) = page.last() else { return Ok(partners) };
        after = last.partner_id.as_str().to_owned();
        partners.extend(page.into_iter().map(|digest| digest.partner_id));
    }
}

/// Closes the collecting digests of these partners as a manual run does, and returns the notices that follow. The transaction is the caller's.
pub(super) async fn close_early(
    tx: &mut Tx,
    now: Timestamp,
    rules: &Rules,
    partners: &BTreeSet<PartnerId>,
) -> Result<Vec<Notice>, crate::store::Error> {
    lock_partners(tx, partners).await?;
    let digests = find_collecting(tx, partners).await?;
    close(tx, now, &digests, "manual", None, rules).await?;
    list_of_digests(tx, &digests.iter().map(|digest| digest.id).collect::<Vec<_>>()).await
}

async fn run_once(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    partners: &BTreeSet<PartnerId>,
    dry_run: bool,
    by: Option<&str>,
) -> Result<Vec<Run>, crate::store::Error> {
    let mut tx = store.begin().await?;
    lock_partners(&mut tx, partners).await?;
    let digests = find_collecting(&mut tx, partners).await?;
    let counts = close(&mut tx, now, &digests, "manual", by, rules).await?;
    let notices = list_of_digests(&mut tx, &digests.iter().map(|digest| digest.id).collect::<Vec<_>>()).await?;
    let mut plans: BTreeMap<i64, Plan> = BTreeMap::new();
    for plan in plan(&mut tx, now, rules, notices).await? {
        plans.insert(plan.notice.digest_id.unwrap_or_default(), plan);
    }
    if dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
    }
    let by_partner: HashMap<&PartnerId, &Digest> = digests.iter().map(|digest| (&digest.partner_id, digest)).collect();
    Ok(partners
        .iter()
        .map(|id| match by_partner.get(id) {
            Some(digest) => report(digest, counts.get(&digest.id).copied().unwrap_or(0), plans.remove(&digest.id)),
            None => Run {
                partner_id: id.clone(),
                digest_id: None,
                leads: 0,
                mails: Vec::new(),
                silenced: Vec::new(),
                suppressed: Vec::new(),
                no_mail: Some("no lead waits for a digest".to_owned()),
            },
        })
        .collect())
}

fn report(digest: &Digest, n_leads: i64, plan: Option<Plan>) -> Run {
    let mut run = Run {
        partner_id: digest.partner_id.clone(),
        digest_id: Some(digest.id),
        leads: n_leads,
        mails: Vec::new(),
        silenced: Vec::new(),
        suppressed: Vec::new(),
        no_mail: None,
    };
    let Some(plan) = plan else {
        run.no_mail = Some(NOTHING_LEFT.to_owned());
        return run;
    };
    run.mails = plan
        .letters
        .iter()
        .map(|letter| RunMail {
            address: letter.mailbox.email.to_string(),
            leads: letter.leads.len(),
        })
        .collect();
    run.silenced = plan
        .silenced
        .iter()
        .map(|(address, silence)| Silenced {
            address: address.to_string(),
            why: silence.as_str(),
        })
        .collect();
    run.suppressed = plan.suppressed.iter().map(ToString::to_string).collect();
    run.no_mail = match plan.fate {
        Fate::Told => None,
        Fate::OnlySilenced(why) | Fate::NothingLeft(why) | Fate::Unroutable(why) => Some(why),
    };
    run
}
