//! Resolves notices to addresses, as partners, opt-outs and suppressions stand at this moment (`R-RECIPIENT`, `R-DIGEST`).
//!
//! Used by the claim that sends, and by the dry run and the preview that do not: so that all three say the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::app::fire::NOTHING_LEFT;
use crate::app::known::Known;
use crate::app::{Rules, lead_desk};
use crate::lead::show::usable_contacts;
use crate::lead::{Lead, LeadId};
use crate::outbox::Kind;
use crate::outbox::delivery::State;
use crate::partner::record::Mailbox;
use crate::partner::{EmailAddress, PartnerId};
use crate::policy::recipient::{Recipients, Silence, languages};
use crate::store::deliveries::list_of_notices;
use crate::store::leads::{find_leads, list_of_digests, list_of_notices as list_gathered};
use crate::store::notices::Notice;
use crate::store::suppressions::find_among;
use crate::store::{Error, Tx};
use crate::time::Timestamp;

/// What is to be sent of a notice, and why nothing else.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The notice.
    pub notice: Notice,
    /// One message an address.
    pub letters: Vec<Planned>,
    /// Who would be told and does not want to be.
    pub silenced: Vec<(EmailAddress, Silence)>,
    /// Addresses passed over since they cannot be reached.
    pub suppressed: Vec<EmailAddress>,
    /// Leads of a gathered notice that have no address of their own while others do.
    pub unrouted: Vec<LeadId>,
    /// Leads of a gathered notice whose every address does not want mail, and why.
    pub unheard: Vec<(LeadId, String)>,
    /// Leads of a digest or reminder that is resolved again whose addresses have all had their mail of it, without them.
    pub left_out: Vec<LeadId>,
    /// Whether a delivery of the notice has arrived before, or still can.
    pub is_told_before: bool,
    /// What that comes to.
    pub fate: Fate,
}

/// One message of a notice.
#[derive(Clone, Debug)]
pub struct Planned {
    /// To whom.
    pub mailbox: Mailbox,
    /// The languages to try, best first (`R-LOCALE`); the sender picks the first that there are templates for.
    pub language: String,
    /// Gathered kinds: the leads that concern this address.
    pub leads: Vec<LeadId>,
}

/// What a notice comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Somebody is told.
    Told,
    /// All who would be told do not want to be.
    OnlySilenced(String),
    /// Its subject needs no telling any more.
    NothingLeft(String),
    /// Nobody can be reached.
    Unroutable(String),
}

/// What was read of leads and partners, for whoever goes on with them in the same transaction.
#[derive(Default)]
pub(super) struct Read {
    pub(super) leads: HashMap<LeadId, Lead>,
    pub(super) known: Known,
}

/// What the notices are about: read in one go.
struct Subjects {
    leads: HashMap<LeadId, Lead>,
    of_digests: HashMap<i64, Vec<Lead>>,
    gathered: HashMap<i64, Vec<Lead>>,
    known: Known,
    /// Suppressed ones among the addresses that stand in no partner's record.
    suppressed: HashSet<EmailAddress>,
    /// By notice that is resolved again: what became of its deliveries.
    tried: HashMap<i64, TriedBefore>,
}

/// What became of the deliveries of a notice that is resolved again.
#[derive(Default)]
struct TriedBefore {
    /// Addresses that were tried and failed.
    failed: HashSet<EmailAddress>,
    /// The other addresses, which get no second mail of the notice, with the leads of theirs.
    had: HashMap<EmailAddress, Vec<LeadId>>,
    /// Whether one of those has arrived or still can.
    is_told: bool,
}

/// Plans what is to be sent of these notices.
///
/// # Errors
/// The database cannot be read.
pub async fn plan(tx: &mut Tx, now: Timestamp, rules: &Rules, notices: Vec<Notice>) -> Result<Vec<Plan>, Error> {
    Ok(plan_by(tx, now, rules, notices).await?.0)
}

/// Plans likewise, and returns what the plans were made by.
pub(super) async fn plan_by(tx: &mut Tx, now: Timestamp, rules: &Rules, notices: Vec<Notice>) -> Result<(Vec<Plan>, Read), Error> {
    let subjects = read_subjects(tx, rules, &notices).await?;
    let plans = notices.into_iter().map(|notice| plan_one(now, rules, notice, &subjects)).collect();
    let gathered = subjects.of_digests.into_values().chain(subjects.gathered.into_values()).flatten();
    let mut leads = subjects.leads;
    leads.extend(gathered.map(|lead| (lead.id.clone(), lead)));
    let known = subjects.known;
    Ok((plans, Read { leads, known }))
}

async fn read_subjects(tx: &mut Tx, rules: &Rules, notices: &[Notice]) -> Result<Subjects, Error> {
    let of_kind = |kind: Kind| notices.iter().filter(move |notice| notice.kind == kind);
    let leads = find_leads(tx, notices.iter().filter_map(|notice| notice.lead_id.as_ref())).await?;
    let digests: Vec<i64> = of_kind(Kind::Digest).filter_map(|notice| notice.digest_id).collect();
    let mut of_digests: HashMap<i64, Vec<Lead>> = HashMap::new();
    if !digests.is_empty() {
        for lead in list_of_digests(tx, &digests).await? {
            of_digests.entry(lead.digest_id.unwrap_or_default()).or_default().push(lead);
        }
    }
    let reminders: Vec<i64> = of_kind(Kind::Reminder).map(|notice| notice.id).collect();
    let expiries: Vec<i64> = of_kind(Kind::Expiry).map(|notice| notice.id).collect();
    let gathered = list_gathered(tx, &reminders, &expiries).await?;
    let partners: BTreeSet<PartnerId> = notices.iter().map(|notice| notice.partner_id.clone()).collect();
    let mut known = Known::default();
    known.read_more(tx, &partners).await?;
    let customers = of_kind(Kind::Decline)
        .flat_map(|notice| customers_of(&leads, notice))
        .map(|mailbox| mailbox.email);
    let colleagues = notices
        .iter()
        .filter_map(|notice| notice.forward.as_ref())
        .map(|forward| forward.address.clone());
    let others: Vec<EmailAddress> = customers.chain(colleagues).chain(rules.lead_desk.clone()).collect();
    let suppressed = find_among(tx, &others).await?;
    let mut tried: HashMap<i64, TriedBefore> = HashMap::new();
    let reopened: Vec<i64> = notices.iter().filter(|notice| notice.is_reopened).map(|notice| notice.id).collect();
    if !reopened.is_empty() {
        for delivery in list_of_notices(tx, &reopened).await? {
            let before = tried.entry(delivery.notice_id).or_default();
            match delivery.state {
                State::Failed | State::Suppressed => {
                    before.failed.insert(delivery.address);
                    continue;
                }
                State::Queued | State::Sending | State::InDoubt | State::Sent => before.is_told = true,
                State::Cancelled => {}
            }
            before.had.insert(delivery.address, delivery.leads);
        }
    }
    Ok(Subjects {
        leads,
        of_digests,
        gathered,
        known,
        suppressed,
        tried,
    })
}

fn plan_one(now: Timestamp, rules: &Rules, notice: Notice, subjects: &Subjects) -> Plan {
    let mut plan = Plan {
        letters: Vec::new(),
        silenced: Vec::new(),
        suppressed: Vec::new(),
        unrouted: Vec::new(),
        unheard: Vec::new(),
        left_out: Vec::new(),
        is_told_before: subjects.tried.get(&notice.id).is_some_and(|before| before.is_told),
        fate: Fate::Told,
        notice,
    };
    match plan.notice.kind {
        Kind::Lead if plan.notice.forward.is_some() => plan_forward(now, subjects, &mut plan),
        Kind::Lead => plan_lead(now, rules, subjects, &mut plan),
        Kind::Digest => {
            let leads = plan.notice.digest_id.and_then(|id| subjects.of_digests.get(&id));
            plan_gathered(now, rules, subjects, leads.map_or(&[], Vec::as_slice), &mut plan);
        }
        Kind::Reminder => {
            let leads = subjects.gathered.get(&plan.notice.id).map_or(&[][..], Vec::as_slice);
            plan_gathered(now, rules, subjects, leads, &mut plan);
        }
        Kind::Expiry => plan_expiry(now, rules, subjects, &mut plan),
        Kind::Decline => plan_decline(rules, subjects, &mut plan),
    }
    plan
}

fn plan_lead(now: Timestamp, rules: &Rules, subjects: &Subjects, plan: &mut Plan) {
    let lead = plan.notice.lead_id.as_ref().and_then(|id| subjects.leads.get(id));
    let Some(lead) = lead.filter(|lead| lead.is_unanswered_at(now)) else {
        plan.fate = Fate::NothingLeft(nothing_left(plan.notice.kind).to_owned());
        return;
    };
    let recipients = resolve_again(subjects, &plan.notice, lead.location.as_deref(), rules);
    plan.letters = letters(&recipients, &plan.notice.partner_id, subjects, rules, |_| Vec::new());
    plan.fate = fate(&recipients, &plan.notice.partner_id);
    plan.silenced = recipients.silenced;
    plan.suppressed = recipients.suppressed;
}

/// A lead that was sent on goes to that one address or to nobody: whoever sent it on has it.
fn plan_forward(now: Timestamp, subjects: &Subjects, plan: &mut Plan) {
    let lead = plan.notice.lead_id.as_ref().and_then(|id| subjects.leads.get(id));
    let (Some(_), Some(forward)) = (lead.filter(|lead| lead.is_unanswered_at(now)), plan.notice.forward.clone()) else {
        plan.fate = Fate::NothingLeft(nothing_left(plan.notice.kind).to_owned());
        return;
    };
    let has_failed = subjects
        .tried
        .get(&plan.notice.id)
        .is_some_and(|before| before.failed.contains(&forward.address));
    if has_failed || subjects.suppressed.contains(&forward.address) {
        plan.fate = Fate::NothingLeft(format!("{}, to whom it was sent on, cannot be reached", forward.address));
        return;
    }
    if let Some(silence) = subjects.known.silence_of(&plan.notice.partner_id, &forward.address) {
        plan.fate = Fate::OnlySilenced(format!("{} {}", forward.address, silence.as_str()));
        plan.silenced = vec![(forward.address, silence)];
        return;
    }
    plan.letters = vec![Planned {
        mailbox: Mailbox {
            name: forward.name,
            email: forward.address,
            locale: None,
            disable_notifications: false,
        },
        language: forward.language,
        leads: Vec::new(),
    }];
}

/// Tells whether a mail that is written now is to name a lead. A reminder names none whose expiry was moved away after it was marked (`R-SYNC`): it is
/// marked and reminded of when that one is near. None names a lead that was erased (`R-ERASE`).
pub(super) fn needs_telling(kind: Kind, lead: &Lead, now: Timestamp) -> bool {
    match kind {
        Kind::Lead | Kind::Digest => lead.is_unanswered_at(now),
        Kind::Reminder => lead.is_unanswered_at(now) && lead.is_expiring_at(now),
        Kind::Expiry | Kind::Decline => !lead.is_erased(),
    }
}

/// Says why a notice has nothing left to tell of, when it is planned and when its mail is written.
pub fn nothing_left(kind: Kind) -> &'static str {
    match kind {
        Kind::Lead => "the lead needs no answer any more",
        Kind::Digest => NOTHING_LEFT,
        Kind::Reminder => "none of its leads is still unanswered and about to expire",
        Kind::Expiry | Kind::Decline => "its lead was erased",
    }
}

/// Each address gets exactly the leads that it would have been mailed singly (`R-DIGEST`, `R-REMIND`).
fn plan_gathered(now: Timestamp, rules: &Rules, subjects: &Subjects, leads: &[Lead], plan: &mut Plan) {
    let open: Vec<&Lead> = leads.iter().filter(|lead| needs_telling(plan.notice.kind, lead, now)).collect();
    if open.is_empty() {
        plan.fate = Fate::NothingLeft(nothing_left(plan.notice.kind).to_owned());
        return;
    }
    let mut by_address: BTreeMap<EmailAddress, (Planned, usize)> = BTreeMap::new();
    let mut fates = Vec::new();
    for lead in open {
        let recipients = resolve_again(subjects, &plan.notice, lead.location.as_deref(), rules);
        if recipients.is_unroutable() {
            plan.unrouted.push(lead.id.clone());
        }
        let letters = letters(&recipients, &plan.notice.partner_id, subjects, rules, |_| Vec::new());
        let had = subjects.tried.get(&plan.notice.id).map(|before| &before.had);
        let hears = |letter: &Planned| {
            had.and_then(|had| had.get(&letter.mailbox.email))
                .is_none_or(|leads| leads.contains(&lead.id))
        };
        if !letters.is_empty() && !letters.iter().any(hears) {
            plan.left_out.push(lead.id.clone());
        }
        for letter in letters {
            let order = by_address.len();
            let (planned, _) = by_address.entry(letter.mailbox.email.clone()).or_insert((letter, order));
            planned.leads.push(lead.id.clone());
        }
        let fate = fate(&recipients, &plan.notice.partner_id);
        if let Fate::OnlySilenced(why) = &fate {
            plan.unheard.push((lead.id.clone(), why.clone()));
        }
        fates.push(fate);
        for silenced in recipients.silenced {
            if !plan.silenced.contains(&silenced) {
                plan.silenced.push(silenced);
            }
        }
        for address in recipients.suppressed {
            if !plan.suppressed.contains(&address) {
                plan.suppressed.push(address);
            }
        }
    }
    plan.letters = by_address.into_values().map(|(planned, _)| planned).collect();
    let told = fates.iter().position(|fate| *fate == Fate::Told);
    let silenced = fates.iter().position(|fate| matches!(fate, Fate::OnlySilenced(_)));
    plan.fate = fates.swap_remove(told.or(silenced).unwrap_or(0));
}

fn plan_expiry(now: Timestamp, rules: &Rules, subjects: &Subjects, plan: &mut Plan) {
    let leads: Vec<LeadId> = subjects
        .gathered
        .get(&plan.notice.id)
        .into_iter()
        .flatten()
        .filter(|lead| needs_telling(Kind::Expiry, lead, now))
        .map(|lead| lead.id.clone())
        .collect();
    if leads.is_empty() {
        plan.fate = Fate::NothingLeft(nothing_left(Kind::Expiry).to_owned());
        return;
    }
    if plan.notice.partner_id != lead_desk() {
        let recipients = resolve_again(subjects, &plan.notice, None, rules);
        if !recipients.is_unroutable() {
            plan.letters = letters(&recipients, &plan.notice.partner_id, subjects, rules, |_| leads.clone());
            plan.fate = fate(&recipients, &plan.notice.partner_id);
            plan.silenced = recipients.silenced;
            return;
        }
        plan.suppressed = recipients.suppressed;
    }
    // The sender has no address (any more): the lead desk hears of it.
    let Some(address) = &rules.lead_desk else {
        plan.fate =
            Fate::Unroutable("portal.lead_desk is not set, so nobody hears of leads that expired without a reachable sender".to_owned());
        return;
    };
    let has_failed = subjects
        .tried
        .get(&plan.notice.id)
        .is_some_and(|before| before.failed.contains(address));
    if has_failed || subjects.suppressed.contains(address) {
        plan.fate = Fate::Unroutable("the lead desk's address cannot be reached".to_owned());
        return;
    }
    let mailbox = Mailbox {
        name: None,
        email: address.clone(),
        locale: None,
        disable_notifications: false,
    };
    plan.letters = vec![Planned {
        mailbox,
        language: rules.policy.locale.clone(),
        leads,
    }];
}

/// The first customer contact whose address can be reached hears of it, unless he does not want to (`R-DECLINE`): one that is suppressed, or that this
/// notice has tried in vain, counts as absent, as everywhere.
fn plan_decline(rules: &Rules, subjects: &Subjects, plan: &mut Plan) {
    let contacts = customers_of(&subjects.leads, &plan.notice);
    let failed = subjects.tried.get(&plan.notice.id).map(|before| &before.failed);
    let is_reachable =
        |mailbox: &&Mailbox| !subjects.suppressed.contains(&mailbox.email) && failed.is_none_or(|failed| !failed.contains(&mailbox.email));
    let Some(mailbox) = contacts.iter().find(is_reachable).cloned() else {
        let why = match contacts.len() {
            0 => "the customer has no address that mail can be sent to",
            1 => "the customer's address cannot be reached",
            _ => "none of the customer's addresses can be reached",
        };
        plan.fate = Fate::NothingLeft(why.to_owned());
        return;
    };
    if mailbox.disable_notifications {
        plan.fate = Fate::NothingLeft("the customer's contact has disableNotifications set".to_owned());
        return;
    }
    let language = language_of(mailbox.locale.as_deref(), &plan.notice.partner_id, subjects, rules);
    plan.letters = vec![Planned {
        mailbox,
        language,
        leads: Vec::new(),
    }];
}

/// Returns the customer's contacts with an address that can be written to.
fn customers_of(leads: &HashMap<LeadId, Lead>, notice: &Notice) -> Vec<Mailbox> {
    let lead = notice.lead_id.as_ref().and_then(|id| leads.get(id));
    lead.map(|lead| usable_contacts(&lead.record_json()).collect()).unwrap_or_default()
}

/// Resolves a notice's recipients; what it has tried in vain counts as absent.
fn resolve_again(subjects: &Subjects, notice: &Notice, location: Option<&str>, rules: &Rules) -> Recipients {
    let none = HashSet::new();
    let failed = subjects.tried.get(&notice.id).map_or(&none, |before| &before.failed);
    subjects.known.resolve_without(&notice.partner_id, location, &rules.policy, failed)
}

fn fate(recipients: &Recipients, partner: &PartnerId) -> Fate {
    if recipients.is_unroutable() {
        let why = match recipients.suppressed.as_slice() {
            [] => format!("the partner {partner} has no address"),
            all => format!("none of the partner {partner}'s addresses can be reached: {}", join(all)),
        };
        return Fate::Unroutable(why);
    }
    if recipients.told.is_empty() {
        let why: Vec<String> = recipients
            .silenced
            .iter()
            .map(|(address, silence)| format!("{address} {}", silence.as_str()))
            .collect();
        return Fate::OnlySilenced(why.join("; "));
    }
    Fate::Told
}

fn letters(
    recipients: &Recipients,
    partner: &PartnerId,
    subjects: &Subjects,
    rules: &Rules,
    leads: impl Fn(&Mailbox) -> Vec<LeadId>,
) -> Vec<Planned> {
    recipients
        .told
        .iter()
        .map(|mailbox| Planned {
            language: language_of(mailbox.locale.as_deref(), partner, subjects, rules),
            leads: leads(mailbox),
            mailbox: mailbox.clone(),
        })
        .collect()
}

/// Returns the wanted language, before it is known which ones there are templates for (`R-LOCALE`).
fn language_of(contact: Option<&str>, partner: &PartnerId, subjects: &Subjects, rules: &Rules) -> String {
    let wanted = languages(contact, subjects.known.partner(partner), &rules.policy.locale);
    wanted
        .first()
        .map_or_else(|| rules.policy.locale.clone(), |language| (*language).to_owned())
}

fn join(addresses: &[EmailAddress]) -> String {
    addresses.iter().map(EmailAddress::as_str).collect::<Vec<_>>().join(", ")
}
