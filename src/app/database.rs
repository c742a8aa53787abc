//! What is true of the whole database: its mode, whether it is a rehearsal, the key of its Message-IDs, the settings that its rows were worked out with.

use std::collections::{BTreeSet, HashMap};

use crate::app::known::{Known, cron_of, zone_of};
use crate::app::release::release;
use crate::app::{Error, Rules, lead_desk};
use crate::outbox::mark::hex;
use crate::partner::{Partner, PartnerId};
use crate::store::digests::{list_collecting, move_digests};
use crate::store::leads::list_held_partners;
use crate::store::meta::{DIGEST_DEFAULTS, MESSAGE_ID_KEY, MODE, REHEARSAL, find_meta, has_leads, make_meta, put_meta};
use crate::store::notices::{list_parked_partners, unpark_expiries};
use crate::store::partners::{find_partners, lock_partners};
use crate::store::workers::list_live;
use crate::store::{Store, Tx, items};
use crate::time::Timestamp;

/// Digests that are moved in one transaction when the default cron or zone changes.
const MOVE_MAX: i64 = 500;

/// Partners that are looked at when the settings may have given them an address; so many without one are an incident, and the rest follows later.
const RELEASED_MAX: i64 = 10_000;

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The mode in force: `live`, `redirect`, `dry`.
    pub mode: String,
    /// Whether `--now` may be anything.
    pub is_rehearsal: bool,
    /// The key from which Message-IDs derive.
    pub message_id_key: Vec<u8>,
}

/// Makes what a new database needs, and returns what it says of itself. `fresh_key` is used where it has no key yet.
///
/// # Errors
/// The database cannot be written.
pub async fn identify(store: &Store, rules: &Rules, configured_mode: &str, fresh_key: &[u8]) -> Result<Identity, Error> {
    let mut tx = store.read().await?;
    if let Some(identity) = read_identity(&mut tx).await? {
        return Ok(identity);
    }
    drop(tx);
    let mut tx = store.begin().await?;
    make_meta(&mut tx, MODE, configured_mode).await?;
    make_meta(&mut tx, MESSAGE_ID_KEY, &hex(fresh_key)).await?;
    make_meta(&mut tx, REHEARSAL, "no").await?;
    // Known from the first digest on, so that a default that changes before the first worker runs moves it, too.
    make_meta(&mut tx, DIGEST_DEFAULTS, &digest_defaults(rules)).await?;
    let identity = read_identity(&mut tx).await?.expect("it was made a line above");
    tx.commit().await?;
    Ok(identity)
}

/// Returns what the database says of itself; `None` where no command has worked on it yet. Writes nothing.
///
/// # Errors
/// The database cannot be read.
pub async fn find_identity(store: &Store) -> Result<Option<Identity>, Error> {
    read_identity(&mut store.read().await?).await
}

async fn read_identity(tx: &mut Tx) -> Result<Option<Identity>, Error> {
    let (Some(mode), Some(key), Some(rehearsal)) = (
        find_meta(tx, MODE).await?,
        find_meta(tx, MESSAGE_ID_KEY).await?,
        find_meta(tx, REHEARSAL).await?,
    ) else {
        return Ok(None);
    };
    Ok(Some(Identity {
        mode,
        is_rehearsal: rehearsal == "yes",
        message_id_key: unhex(&key),
    }))
}

/// Marks the database as a rehearsal: `--now` may be anything from here on.
///
/// # Errors
/// It holds leads that came in on the real clock, or it cannot be written.
pub async fn make_rehearsal(store: &Store) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    let is_one = find_meta(&mut tx, REHEARSAL).await?.is_some_and(|rehearsal| rehearsal == "yes");
    if !is_one && has_leads(&mut tx).await? {
        return Err(Error::Refused(
            "the database holds leads that are no rehearsal, and cannot become one; set database.url to a new one".to_owned(),
        ));
    }
    put_meta(&mut tx, REHEARSAL, "yes").await?;
    Ok(tx.commit().await?)
}

/// Brings the database's mode to the configured one. A change to `live` lets mail out, and so has to be confirmed.
///
/// # Errors
/// The change to `live` was not confirmed, or the database cannot be written.
pub async fn change_mode(store: &Store, identity: &mut Identity, configured_mode: &str, is_confirmed: bool) -> Result<(), Error> {
    if identity.mode == configured_mode {
        return Ok(());
    }
    if configured_mode == "live" && !is_confirmed {
        return Err(Error::Refused(format!(
            "the database is in mode {} and the configuration says live: mail would go out to partners; if that is meant, run `posthorn migrate --yes`",
            identity.mode
        )));
    }
    let mut tx = store.begin().await?;
    put_meta(&mut tx, MODE, configured_mode).await?;
    tx.commit().await?;
    configured_mode.clone_into(&mut identity.mode);
    Ok(())
}

/// Tells whether a worker is alive. Leases run on the real clock.
///
/// # Errors
/// The database cannot be read.
pub async fn has_live_worker(store: &Store, wall_now: Timestamp) -> Result<bool, Error> {
    let mut tx = store.read().await?;
    Ok(!list_live(&mut tx, wall_now).await?.is_empty())
}

/// Brings rows in line with settings that have changed since they were written: the default cron or zone moves collecting digests (`R-DIGEST`), a lead
/// desk makes its parked notices due, a rung that gives partners an address releases what waits for one, an Action Center gets the open items.
///
/// # Errors
/// The database cannot be written.
pub async fn apply_settings(store: &Store, now: Timestamp, rules: &Rules) -> Result<(), Error> {
    let defaults = digest_defaults(rules);
    let mut tx = store.read().await?;
    let before = find_meta(&mut tx, DIGEST_DEFAULTS).await?;
    drop(tx);
    if before.as_deref() != Some(defaults.as_str()) {
        if before.is_some() {
            move_default_digests(store, now, rules).await?;
        }
        let mut tx = store.begin().await?;
        put_meta(&mut tx, DIGEST_DEFAULTS, &defaults).await?;
        tx.commit().await?;
    }
    let mut tx = store.begin().await?;
    if rules.lead_desk.is_some() {
        unpark_expiries(&mut tx, now).await?;
    }
    if rules.posts_items {
        items::post_all(&mut tx, now).await?;
    }
    tx.commit().await?;
    release_reachable(store, now, rules).await
}

/// Releases what waits for partners that have an address under the rungs as they are set now (`R-RECIPIENT`).
async fn release_reachable(store: &Store, now: Timestamp, rules: &Rules) -> Result<(), Error> {
    let mut tx = store.read().await?;
    let mut waiting = list_held_partners(&mut tx, RELEASED_MAX).await?;
    waiting.extend(list_parked_partners(&mut tx, RELEASED_MAX).await?);
    let waiting: BTreeSet<PartnerId> = waiting.into_iter().map(|(id, _)| id).filter(|id| *id != lead_desk()).collect();
    let mut known = Known::default();
    known.read_more(&mut tx, &waiting).await?;
    drop(tx);
    let is_reachable = |id: &&PartnerId| {
        let locations = known.partner(id).into_iter().flat_map(|partner| &partner.locations);
        std::iter::once(None)
            .chain(locations.map(|location| Some(location.id.as_str())))
            .any(|location| !known.resolve(id, location, &rules.policy).is_unroutable())
    };
    let reachable: Vec<&PartnerId> = waiting.iter().filter(is_reachable).collect();
    for some in reachable.chunks(MOVE_MAX as usize) {
        let some: BTreeSet<PartnerId> = some.iter().map(|id| (*id).clone()).collect();
        let mut tx = store.begin().await?;
        lock_partners(&mut tx, &some).await?;
        release(&mut tx, now, rules, &some).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Writes down when digests fire where no partner says otherwise; a change of it moves them.
fn digest_defaults(rules: &Rules) -> String {
    let mut defaults = format!("{} {}", rules.policy.digest_cron, rules.policy.time_zone);
    for (name, limits) in &rules.policy.programmes {
        if let Some(cron) = &limits.digest_cron {
            defaults.push_str(&format!("; {name}: {cron}"));
        }
    }
    defaults
}

/// Moves the collecting digests of partners without a cron or zone of their own to the next fire of the defaults.
async fn move_default_digests(store: &Store, now: Timestamp, rules: &Rules) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let mut tx = store.begin().await?;
        let page = list_collecting(&mut tx, &after, MOVE_MAX).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.partner_id.as_str().to_owned();
        let ids = page.iter().map(|digest| digest.partner_id.clone()).collect();
        lock_partners(&mut tx, &ids).await?;
        let partners: HashMap<PartnerId, Partner> = find_partners(&mut tx, &ids).await?;
        let mut moves = Vec::new();
        // One whose fire has come already is not moved past it: the fire is made up.
        for digest in page.into_iter().filter(|digest| digest.due_at > now) {
            let partner = partners.get(&digest.partner_id);
            let has_own = partner.is_some_and(|partner| partner.digest_cron.is_some() && partner.time_zone.is_some());
            if !has_own {
                moves.push((
                    digest.id,
                    cron_of(partner, &rules.policy).next_fire(zone_of(partner, &rules.policy), now),
                ));
            }
        }
        move_digests(&mut tx, &moves).await?;
        tx.commit().await?;
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
