//! Decides what a record that is not here yet becomes: its sort, its stage, its instants, its channel (`R-KIND`, `R-BACKFILL`, `R-CHANNEL`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::app::known::Known;
use crate::app::take_in::Origin;
use crate::app::verify::look_at;
use crate::app::{Rules, about_lead};
use crate::lead::kind::{Kind, decide_kind};
use crate::lead::model::Urgency;
use crate::lead::values::TargetKind;
use crate::lead::{Lead, Record, Stage};
use crate::outbox::Kind as NoticeKind;
use crate::partner::EmailAddress;
use crate::policy::channel::{Channel, decide_channel};
use crate::policy::due::{Facts, archive_at, instants};
use crate::store::history::Entry;
use crate::store::notices::NewNotice;
use crate::store::{Tx, digests};
use crate::time::Timestamp;

/// A new lead, and what was decided about it.
pub(super) struct New {
    /// The lead as it is stored.
    pub(super) lead: Lead,
    /// Who would be mailed, were it mailed now.
    pub(super) told: Vec<EmailAddress>,
    /// Why, for the history.
    pub(super) entry: Entry,
    /// What was found out about its e-mail and phone, likewise.
    pub(super) verified: Option<Entry>,
}

/// Decides what a record that is not here yet becomes. Counts it on its partner's day where it is one to be told of.
pub(super) fn decide_new(now: Timestamp, record: &Record, known: &mut Known, rules: &Rules, origin: &Origin) -> New {
    let policy = &rules.policy;
    let (kind, why_kind) = decide_kind(record);
    let expires_at = record.expires_at.unwrap_or_else(|| record.created_at.plus(policy.expire_after));
    let arrives_expired = kind == Kind::Contact && record.stage == Stage::Received && now >= expires_at;
    let arrives_archived = kind == Kind::Informational && now >= archive_at(record.created_at, policy);
    let stage = if arrives_expired { Stage::Expired } else { record.stage };
    let is_quiet = origin.is_quiet || stage != Stage::Received || arrives_archived;
    let is_urgent = record.consent_to_contact;
    let times = instants(
        now,
        &Facts {
            kind,
            stage,
            created_at: record.created_at,
            expires_at: record.expires_at,
            is_urgent,
            is_quiet,
        },
        policy,
    );
    let mut lead = Lead {
        seq: 0,
        id: record.id.clone(),
        partner_id: record.partner_id.clone(),
        created_at: record.created_at,
        received_at: now,
        version: record.version,
        kind,
        stage,
        stage_since: stage_since(now, record, stage, expires_at),
        expires_at: times.expires_at,
        cool_at: times.cool_at,
        is_cooled: false,
        remind_at: times.remind_at,
        is_expiring: false,
        archive_at: times.archive_at,
        is_archived: arrives_archived,
        channel: None,
        day: None,
        day_number: None,
        digest_id: None,
        is_quiet,
        customer: record.customer.clone(),
        deal: record.deal.clone(),
        location: location_of(record),
        sender_id: record.invited_by.as_ref().and_then(|by| by.id.clone()),
        record: Value::Object(record.json.clone()).to_string(),
        answer: None,
        is_favourite: false,
        email_validity: None,
        phone_validity: None,
        verify_at: None,
        erased_at: None,
    };
    if stage != Stage::Received {
        lead.cool_until(record.accepted_at.unwrap_or(lead.stage_since).min(lead.stage_since));
    }
    let is_told = kind == Kind::Contact && !is_quiet;
    let recipients = if is_told {
        known.resolve(&lead.partner_id, lead.location.as_deref(), policy)
    } else {
        Default::default()
    };
    if is_told {
        place(now, &mut lead, recipients.is_unroutable(), known, rules);
    }
    let entry = why_new(
        now,
        &lead,
        why_kind,
        arrives_expired,
        arrives_archived,
        origin.is_quiet,
        known,
        rules,
    );
    let verified = look_at(now, &mut lead, &record.json, rules);
    New {
        lead,
        told: recipients.told.into_iter().map(|mailbox| mailbox.email).collect(),
        entry,
        verified,
    }
}

/// Counts a lead on its partner's day and decides its channel; without an address it is held, uncounted (`R-CHANNEL`).
pub(super) fn place(now: Timestamp, lead: &mut Lead, is_unroutable: bool, known: &mut Known, rules: &Rules) {
    if is_unroutable {
        lead.channel = Some(Channel::Held);
        return;
    }
    let (day, number) = known.count(&lead.partner_id);
    let partner = known.partner(&lead.partner_id);
    let threshold = rules.policy.digest_threshold_of(partner);
    let urgent_singly = rules.policy.urgent_singly_of(partner);
    lead.day = Some(day);
    lead.day_number = Some(number);
    // One that comes after its 72 hours has cooled, whether or not the clock has written that down.
    let is_urgent = lead.urgency_at(now) == Some(Urgency::Urgent);
    lead.channel = Some(decide_channel(number, threshold, is_urgent, urgent_singly));
}

fn stage_since(now: Timestamp, record: &Record, stage: Stage, expires_at: Timestamp) -> Timestamp {
    let version_at = Timestamp::from_millis(record.version.div_euclid(1_000_000));
    match stage {
        Stage::Received => record.created_at,
        Stage::Accepted => record.accepted_at.unwrap_or(version_at).min(now),
        Stage::Expired => expires_at.min(now),
        Stage::Won | Stage::Lost | Stage::Declined => version_at.min(now),
    }
}

/// Returns the business-profile location that a record targets.
pub(super) fn location_of(record: &Record) -> Option<String> {
    let target = record
        .targets
        .iter()
        .find(|target| target.kind == TargetKind::BusinessProfileLocation);
    target.map(|target| target.id.clone())
}

/// Says how a lead is told, in plain words.
pub(super) fn why_channel(lead: &Lead, known: &Known, rules: &Rules, due_at: Option<Timestamp>) -> String {
    let zone = known.zone(&lead.partner_id, &rules.policy);
    match (lead.channel, lead.day, lead.day_number) {
        (Some(Channel::Held), ..) if known.partner(&lead.partner_id).is_none() => {
            format!(
                "the partner {} is not known here, so nobody can be mailed; it waits until the partner has an address",
                lead.partner_id
            )
        }
        (Some(Channel::Held), ..) => {
            format!(
                "the partner {} has no address that can be reached; it waits until there is one",
                lead.partner_id
            )
        }
        (Some(Channel::Single), Some(day), Some(number)) => {
            format!("it is number {number} of the partner's {day} ({zone}), so it is mailed singly, at once")
        }
        (Some(Channel::Digest), Some(day), Some(number)) => {
            let due = due_at.map(|at| format!(", due {at}")).unwrap_or_default();
            format!("it is number {number} of the partner's {day} ({zone}), so it waits for the digest{due}")
        }
        _ => "nobody is mailed".to_owned(),
    }
}

#[expect(clippy::too_many_arguments, reason = "the facts of one sentence")]
fn why_new(
    now: Timestamp,
    lead: &Lead,
    why_kind: &str,
    arrives_expired: bool,
    arrives_archived: bool,
    no_notify: bool,
    known: &Known,
    rules: &Rules,
) -> Entry {
    let due_at = (lead.channel == Some(Channel::Digest)).then(|| known.next_fire(&lead.partner_id, now, &rules.policy));
    let (rule, rest) = match lead.kind {
        Kind::Shared => ("R-KIND", "it is kept, and nobody is told".to_owned()),
        Kind::Test => ("R-KIND", "it is a test lead: kept, and nobody is told".to_owned()),
        Kind::Informational => ("R-KIND", "nobody has to answer it, so nobody is mailed".to_owned()),
        Kind::Contact if arrives_expired => (
            "R-BACKFILL",
            "it arrives past its expiry, so it is history: nobody is told".to_owned(),
        ),
        Kind::Contact if lead.stage != Stage::Received => (
            "R-BACKFILL",
            format!("it arrives as {}, so it is history: nobody is told", lead.stage),
        ),
        Kind::Contact if no_notify => ("R-BACKFILL", "it came with --no-notify, so nobody is mailed".to_owned()),
        Kind::Contact => ("R-CHANNEL", why_channel(lead, known, rules, due_at)),
    };
    let archived = if arrives_archived {
        "; it is older than the archive's age, so it is archived at once"
    } else {
        ""
    };
    let event = format!("taken in as {}, since {why_kind}; {rest}{archived}", lead.kind.described());
    let detail = json!({
        "kind": lead.kind.as_str(),
        "stage": lead.stage.as_str(),
        "channel": lead.channel.map(Channel::as_str),
        "day": lead.day.map(|day| day.to_string()),
        "dayNumber": lead.day_number,
        "digestDueDateTime": due_at,
        "expiresDateTime": lead.expires_at,
        "urgentUntilDateTime": lead.cool_at,
        "quiet": lead.is_quiet,
    });
    about_lead(now, lead, rule, event, detail)
}

/// Returns the notices of leads that are mailed singly.
pub(super) fn single_notices(now: Timestamp, leads: &[Lead]) -> Vec<NewNotice> {
    let singles = leads.iter().filter(|lead| lead.channel == Some(Channel::Single));
    singles
        .map(|lead| NewNotice {
            kind: NoticeKind::Lead,
            subject: lead.id.as_str().to_owned(),
            partner_id: lead.partner_id.clone(),
            lead_id: Some(lead.id.clone()),
            digest_id: None,
            due_at: now,
        })
        .collect()
}

/// Puts the deferred leads into their partners' collecting digests; the first one opens it, due at the next fire (`R-DIGEST`).
pub(super) async fn join_digests(
    tx: &mut Tx,
    now: Timestamp,
    leads: &mut [Lead],
    known: &Known,
    rules: &Rules,
) -> Result<(), crate::store::Error> {
    let mut due = BTreeMap::new();
    for lead in leads.iter().filter(|lead| lead.channel == Some(Channel::Digest)) {
        due.entry(lead.partner_id.clone())
            .or_insert_with(|| known.next_fire(&lead.partner_id, now, &rules.policy));
    }
    let digests = digests::open_digests(tx, now, &due.into_iter().collect::<Vec<_>>()).await?;
    for lead in leads.iter_mut().filter(|lead| lead.channel == Some(Channel::Digest)) {
        lead.digest_id = digests.get(&lead.partner_id).copied();
    }
    Ok(())
}
