//! The story of a partner: who is told of its leads now, what it got, what waits, and so why it got no mail.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Rules;
use crate::app::explain::lead::DigestFacts;
use crate::app::explain::told::{Mail, mails};
use crate::app::explain::{Decision, and, when};
use crate::app::known::{Known, cron_of};
use crate::lead::Lead;
use crate::partner::{Partner, PartnerId, Zone};
use crate::policy::Rung;
use crate::policy::channel::Channel;
use crate::policy::recipient::Recipients;
use crate::store::deliveries::{Filter, list_deliveries};
use crate::store::digests::find_collecting;
use crate::store::history::list_of_partner as list_history;
use crate::store::leads::{count_day, count_held_of, count_unanswered_of_digests, list_latest_of_partner};
use crate::store::notices::{count_pending_of, list_parked_of};
use crate::store::suppressions::{find_suppression, list_opt_outs_of_partner};
use crate::store::{Error, Tx};
use crate::time::Timestamp;

/// Mails, leads and decisions that a story lists.
const LISTED_MAX: i64 = 10;
/// Parked notices that a story lists.
const PARKED_MAX: i64 = 100;

/// Everything about one partner.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerStory {
    /// Why this partner gets mail, or none, in a sentence or two.
    pub verdict: String,
    /// Its id.
    pub id: PartnerId,
    /// Its record; `None` where it is known by its leads alone.
    pub record: Option<Partner>,
    /// Who is told of its leads now.
    pub told: WhoIsTold,
    /// Who is told of leads that target a location of its own, where that differs.
    pub locations: Vec<AtLocation>,
    /// The local day.
    pub day: String,
    /// Contact leads counted on it so far.
    pub day_count: i64,
    /// How many of a day are mailed singly.
    pub threshold: u32,
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
    /// Notices that wait to be taken up.
    pub pending_notices: i64,
    /// Notices without an address.
    pub parked: Vec<Parked>,
    /// The latest leads.
    pub leads: Vec<LeadLine>,
    /// The latest mails.
    pub deliveries: Vec<Mail>,
    /// Addresses that have unsubscribed, and since when.
    pub opt_outs: Vec<Since>,
    /// Addresses of its record that cannot be reached, since when and why.
    pub suppressed: Vec<Since>,
    /// The latest decisions about the partner itself, oldest first.
    pub decisions: Vec<Decision>,
    /// The zone itself, for whoever lays the story out.
    #[serde(skip)]
    pub zone: Zone,
}

/// Who is told, by which rung, and who is not.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhoIsTold {
    /// The rung of `R-RECIPIENT` that decides; `None` = nobody has an address.
    pub rung: Option<Rung>,
    /// Who is mailed.
    pub told: Vec<Recipient>,
    /// Who would be, and does not want to be: address and reason.
    pub silenced: Vec<Silenced>,
    /// Addresses passed over since they cannot be reached.
    pub suppressed: Vec<String>,
}

/// Somebody who is mailed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// Where.
    pub address: String,
    /// His name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// His language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// An address that does not want mail.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Silenced {
    /// Which.
    pub address: String,
    /// `has unsubscribed` or `has disableNotifications set`.
    pub why: &'static str,
}

/// Who is told of leads that target one location.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AtLocation {
    /// The location.
    pub location: String,
    /// Who.
    pub told: WhoIsTold,
}

/// A notice that nobody can be told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// Its row.
    pub notice_id: i64,
    /// What it says.
    pub kind: &'static str,
    /// What it is about.
    pub subject: String,
    /// Why.
    pub reason: Option<String>,
}

/// A lead in one line.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeadLine {
    /// Its id.
    pub id: String,
    /// When it came in.
    pub received_date_time: Timestamp,
    /// What sort of lead it is.
    pub kind: &'static str,
    /// Its stage.
    pub stage: String,
    /// How it is told.
    pub channel: Option<&'static str>,
}

/// An address, and since when something is so.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Since {
    /// Which.
    pub address: String,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<&Recipients> for WhoIsTold {
    fn from(recipients: &Recipients) -> Self {
        let told = recipients.told.iter().map(|mailbox| Recipient {
            address: mailbox.email.to_string(),
            name: mailbox.name.clone(),
            locale: mailbox.locale.clone(),
        });
        let silenced = recipients.silenced.iter().map(|(address, why)| Silenced {
            address: address.to_string(),
            why: why.as_str(),
        });
        Self {
            rung: recipients.rung,
            told: told.collect(),
            silenced: silenced.collect(),
            suppressed: recipients.suppressed.iter().map(ToString::to_string).collect(),
        }
    }
}

impl WhoIsTold {
    /// Says who is told, in a sentence without its full stop: `goes to ada@contoso.example (preferred e-mail)`.
    pub fn in_words(&self) -> String {
        let rung = self.rung.map(rung_in_words).unwrap_or_default();
        let told: Vec<String> = self.told.iter().map(|one| one.address.clone()).collect();
        let silenced: Vec<String> = self.silenced.iter().map(|one| format!("{} {}", one.address, one.why)).collect();
        let mut sentence = match (self.rung, told.is_empty()) {
            (None, _) if self.suppressed.is_empty() => "goes nowhere: there is no address (unroutable)".to_owned(),
            (None, _) => "goes nowhere: no address can be reached (unroutable)".to_owned(),
            (Some(_), true) => format!(
                "goes nowhere: {} ({rung}), and a silenced address is not replaced by another",
                and(&silenced)
            ),
            (Some(_), false) => format!("goes to {} ({rung})", and(&told)),
        };
        if !told.is_empty() && !silenced.is_empty() {
            sentence.push_str(&format!("; {}", silenced.join("; ")));
        }
        if !self.suppressed.is_empty() {
            sentence.push_str(&format!("; suppressed: {}", self.suppressed.join(", ")));
        }
        sentence
    }
}

/// Names a rung for people.
fn rung_in_words(rung: Rung) -> &'static str {
    match rung {
        Rung::Preferred => "preferred e-mail",
        Rung::Profile => "contacts of the business profile",
        Rung::Admins => "referral admins",
    }
}

/// Says who is told of a partner's leads now.
///
/// # Errors
/// The database cannot be read.
pub async fn who_is_told(tx: &mut Tx, rules: &Rules, ids: &BTreeSet<PartnerId>) -> Result<Vec<(PartnerId, WhoIsTold)>, Error> {
    let mut known = Known::default();
    known.read_more(tx, ids).await?;
    let told = |id: &PartnerId| WhoIsTold::from(&known.resolve(id, None, &rules.policy));
    Ok(ids.iter().map(|id| (id.clone(), told(id))).collect())
}

/// Tells the story of a partner; `None` where neither a record nor a lead of it ever came in.
///
/// # Errors
/// The database cannot be read.
pub async fn story(tx: &mut Tx, now: Timestamp, rules: &Rules, id: &PartnerId) -> Result<Option<PartnerStory>, Error> {
    let mut known = Known::default();
    let ids = BTreeSet::from([id.clone()]);
    known.read_more(tx, &ids).await?;
    let leads = list_latest_of_partner(tx, id, LISTED_MAX).await?;
    let filter = Filter {
        partner_id: Some(id.clone()),
        ..Filter::default()
    };
    let record = known.partner(id).cloned();
    if id.as_str().is_empty() || (record.is_none() && leads.is_empty()) {
        return Ok(None);
    }
    let policy = &rules.policy;
    let zone = known.zone(id, policy);
    let recipients = known.resolve(id, None, policy);
    let told = WhoIsTold::from(&recipients);
    let digest = find_collecting(tx, &ids).await?.pop();
    let digest_leads = match &digest {
        Some(digest) => count_unanswered_of_digests(tx, now, &[digest.id])
            .await?
            .remove(&digest.id)
            .unwrap_or(0),
        None => 0,
    };
    let day = zone.day_of(now);
    let latest = list_deliveries(tx, &filter, i64::MAX, LISTED_MAX).await?;
    let mut story = PartnerStory {
        verdict: String::new(),
        locations: at_locations(&known, id, record.as_ref(), &told, rules),
        day: day.to_string(),
        day_count: count_day(tx, id, day).await?,
        threshold: policy.digest_threshold_of(record.as_ref()),
        digest_cron: cron_of(record.as_ref(), policy).to_string(),
        time_zone: zone.name().to_owned(),
        digest: digest.as_ref().map(DigestFacts::from),
        digest_leads,
        held_leads: count_held_of(tx, id).await?,
        pending_notices: count_pending_of(tx, id).await?,
        parked: parked(tx, id).await?,
        leads: leads.iter().map(|lead| line(now, lead)).collect(),
        deliveries: mails(tx, now, rules, latest).await?.into_iter().map(|(_, mail)| mail).collect(),
        opt_outs: opt_outs(tx, id).await?,
        suppressed: suppressed(tx, record.as_ref()).await?,
        decisions: decisions(tx, id).await?,
        id: id.clone(),
        record,
        told,
        zone,
    };
    story.verdict = story.judge(now);
    Ok(Some(story))
}

fn at_locations(known: &Known, id: &PartnerId, record: Option<&Partner>, general: &WhoIsTold, rules: &Rules) -> Vec<AtLocation> {
    let locations = record.into_iter().flat_map(|partner| &partner.locations);
    let each = locations.map(|location| AtLocation {
        location: location.id.clone(),
        told: WhoIsTold::from(&known.resolve(id, Some(&location.id), &rules.policy)),
    });
    each.filter(|at| at.told != *general).collect()
}

fn line(now: Timestamp, lead: &Lead) -> LeadLine {
    LeadLine {
        id: lead.id.as_str().to_owned(),
        received_date_time: lead.received_at,
        kind: lead.kind.as_str(),
        stage: lead.stage_at(now).to_string(),
        channel: lead.channel.map(Channel::as_str),
    }
}

async fn parked(tx: &mut Tx, id: &PartnerId) -> Result<Vec<Parked>, Error> {
    let notices = list_parked_of(tx, id, PARKED_MAX).await?;
    Ok(notices
        .into_iter()
        .map(|notice| Parked {
            notice_id: notice.id,
            kind: notice.kind.as_str(),
            subject: notice.subject,
            reason: notice.reason,
        })
        .collect())
}

async fn opt_outs(tx: &mut Tx, id: &PartnerId) -> Result<Vec<Since>, Error> {
    let outs = list_opt_outs_of_partner(tx, id).await?;
    Ok(outs
        .into_iter()
        .map(|out| Since {
            address: out.address.to_string(),
            since: out.at,
            reason: out.delivery_id.map(|id| format!("by mail {id}")),
        })
        .collect())
}

async fn suppressed(tx: &mut Tx, record: Option<&Partner>) -> Result<Vec<Since>, Error> {
    let addresses: BTreeSet<_> = record
        .into_iter()
        .flat_map(Partner::mailboxes)
        .map(|mailbox| mailbox.email.clone())
        .collect();
    let mut found = Vec::new();
    for address in addresses {
        if let Some(suppression) = find_suppression(tx, &address).await? {
            found.push(Since {
                address: address.to_string(),
                since: suppression.created_at,
                reason: Some(format!("{}: {}", suppression.reason, suppression.detail)),
            });
        }
    }
    Ok(found)
}

async fn decisions(tx: &mut Tx, id: &PartnerId) -> Result<Vec<Decision>, Error> {
    let mut entries = list_history(tx, id, LISTED_MAX).await?;
    entries.reverse();
    Ok(entries.into_iter().map(Decision::from).collect())
}

impl PartnerStory {
    /// Answers "why did this partner get no mail?" in a few sentences.
    fn judge(&self, now: Timestamp) -> String {
        let mut sentences = Vec::new();
        if self.record.is_none() {
            sentences.push(format!(
                "Nothing is mailed to {}: leads of it came in, but no record of it (`posthorn partners import`), so it has no address.",
                self.id
            ));
        } else {
            sentences.push(format!("Mail about leads of {} {}.", self.id, self.told.in_words()));
        }
        sentences.push(self.last_mail());
        sentences.extend(self.what_waits(now));
        sentences.join(" ")
    }

    fn last_mail(&self) -> String {
        let at = |mail: &Mail| mail.finished_date_time.map(|at| when(at, self.zone)).unwrap_or_default();
        let sent = self.deliveries.iter().find(|mail| mail.state == "sent");
        match (sent, self.deliveries.first(), self.leads.first()) {
            (Some(mail), ..) => format!("The last mail ({}) was sent to {} on {}.", mail.kind, mail.address, at(mail)),
            (None, Some(mail), _) => {
                let reason = mail.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!(
                    "None of its latest mails was sent; the last one, to {}, is {}{reason}.",
                    mail.address,
                    mail.state.replace('_', " ")
                )
            }
            (None, None, Some(_)) => "No mail was ever made for it.".to_owned(),
            (None, None, None) => "No lead of it ever came in, so there was nothing to mail.".to_owned(),
        }
    }

    fn what_waits(&self, now: Timestamp) -> Vec<String> {
        let mut waits = Vec::new();
        if self.held_leads > 0 {
            waits.push(format!("{} for it to have an address.", wait(self.held_leads, "lead")));
        }
        if !self.parked.is_empty() {
            let n = i64::try_from(self.parked.len()).unwrap_or(i64::MAX);
            waits.push(format!("{} parked until it has an address.", is(n, "notice")));
        }
        if self.pending_notices > 0 {
            waits.push(format!("{} for a worker.", wait(self.pending_notices, "notice")));
        }
        if let Some(digest) = &self.digest {
            let due = when(digest.due_date_time, self.zone);
            let due = if digest.due_date_time > now {
                format!("the digest due {due}")
            } else {
                format!("the digest, which has been due since {due}")
            };
            waits.push(format!("{} for {due}.", wait(self.digest_leads, "unanswered lead")));
        }
        waits
    }
}

fn wait(n: i64, what: &str) -> String {
    if n == 1 {
        format!("1 {what} waits")
    } else {
        format!("{n} {what}s wait")
    }
}

fn is(n: i64, what: &str) -> String {
    if n == 1 {
        format!("1 {what} is")
    } else {
        format!("{n} {what}s are")
    }
}
