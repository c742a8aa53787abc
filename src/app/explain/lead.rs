//! The story of a lead: what it is, who was told or why nobody was, and what happens next.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::bounce;
use crate::app::explain::told::{Mail, Told, deliveries_of, tell};
use crate::app::explain::{Decision, Next, SENDER_IS_TOLD, and, decisions, when};
use crate::app::feed::{ShownItem, as_of};
use crate::app::fire::NOTHING_LEFT;
use crate::app::known::Known;
use crate::app::{Rules, lead_desk};
use crate::lead::kind::Kind;
use crate::lead::{Lead, Stage};
use crate::outbox::Kind as NoticeKind;
use crate::outbox::delivery::{InDoubt, WAITS};
use crate::partner::{PartnerId, Zone};
use crate::policy::channel::Channel;
use crate::policy::recipient::Recipients;
use crate::store::digests::{Digest, find_digests};
use crate::store::history::list_of_lead as list_history;
use crate::store::items::find_of_lead as find_item;
use crate::store::leads::find_gathering;
use crate::store::notices::{Notice, find_notices, list_of_digests, list_of_lead};
use crate::store::relays::rests_until;
use crate::store::workers::list_live;
use crate::store::{Error, Tx};
use crate::time::Timestamp;

/// Everything about one lead.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeadStory {
    /// Who was told, or why nobody was, in one sentence.
    pub verdict: String,
    /// Its id.
    pub id: String,
    /// The partner that it reached.
    pub partner_id: PartnerId,
    /// The partner's name.
    pub partner_name: Option<String>,
    /// The customer, as it may be shown.
    pub customer: String,
    /// The deal.
    pub deal: Option<String>,
    /// `contact`, `informational`, `shared`, `test`.
    pub kind: &'static str,
    /// `New/Received` and so on.
    pub stage: String,
    /// Since when.
    pub stage_since: Timestamp,
    /// `urgent`, `cooled` or nothing.
    pub urgency: Option<&'static str>,
    /// Whether it expires soon.
    pub expiring: bool,
    /// `single`, `digest`, `held` or nothing.
    pub channel: Option<&'static str>,
    /// The partner's day on which it was counted, and its number on it.
    pub day: Option<String>,
    /// See `day`.
    pub day_number: Option<i64>,
    /// Whether it came in as history.
    pub quiet: bool,
    /// When the customer sent it.
    pub created_date_time: Timestamp,
    /// When it came in here.
    pub received_date_time: Timestamp,
    /// When its personal data was erased.
    pub erased_date_time: Option<Timestamp>,
    /// When it expires, or did.
    pub expires_date_time: Option<Timestamp>,
    /// Who sent it; nothing where the reader is the receiving partner.
    pub sender_id: Option<PartnerId>,
    /// The zone of the partner's days.
    pub time_zone: String,
    /// How it was decided, oldest first.
    pub decisions: Vec<Decision>,
    /// Notices about it, with their mails.
    pub told: Vec<Told>,
    /// The digest that it waits in or went out with.
    pub digest: Option<DigestFacts>,
    /// Its item in the Action Center.
    pub item: Option<ShownItem>,
    /// What happens next.
    pub next: Vec<Next>,
    /// The zone itself, for whoever lays the story out.
    #[serde(skip)]
    pub zone: Zone,
}

/// A digest.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DigestFacts {
    /// Its row.
    pub id: i64,
    /// `collecting` or `closed`.
    pub state: &'static str,
    /// When it fires.
    pub due_date_time: Timestamp,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_date_time: Option<Timestamp>,
    /// `fire` or `manual`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// Unanswered leads at its closing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads: Option<i64>,
}

impl From<&Digest> for DigestFacts {
    fn from(digest: &Digest) -> Self {
        Self {
            id: digest.id,
            state: if digest.is_collecting { "collecting" } else { "closed" },
            due_date_time: digest.due_at,
            closed_date_time: digest.closed_at,
            closed_by: digest.closed_by.clone(),
            leads: digest.n_leads,
        }
    }
}

/// Returns the notices about a lead, those that gather it included.
async fn notices_about(tx: &mut Tx, lead: &Lead) -> Result<Vec<Notice>, Error> {
    let mut notices = list_of_lead(tx, &lead.id).await?;
    if let Some(digest) = lead.digest_id {
        notices.extend(list_of_digests(tx, &[digest]).await?);
    }
    let gathering = find_gathering(tx, &lead.id).await?;
    notices.extend(find_notices(tx, &gathering).await?);
    notices.sort_by_key(|notice| notice.id);
    Ok(notices)
}

/// Returns the ids of all mails that name a lead, gathered ones included.
///
/// # Errors
/// The database cannot be read.
pub async fn deliveries_about(tx: &mut Tx, lead: &Lead) -> Result<BTreeSet<i64>, Error> {
    let notices = notices_about(tx, lead).await?;
    let deliveries = deliveries_of(tx, &notices, Some(&lead.id)).await?;
    Ok(deliveries.iter().map(|delivery| delivery.id).collect())
}

/// What the verdict is passed on.
struct Case<'a> {
    now: Timestamp,
    rules: &'a Rules,
    lead: &'a Lead,
    zone: Zone,
    told: &'a [Told],
    digest: Option<&'a Digest>,
    decisions: &'a [Decision],
    recipients: &'a Recipients,
    is_partner_known: bool,
    /// Whether the reader is the partner, whom others' names and addresses do not concern.
    is_limited: bool,
    has_worker: bool,
    /// Until when no worker may ask any relay.
    rest: Option<Timestamp>,
}

/// Tells the story of a lead; to `limit` only what that partner was told, and not what its sender, the lead desk and the customer were.
pub(super) async fn story(
    tx: &mut Tx,
    now: Timestamp,
    wall_now: Timestamp,
    rules: &Rules,
    lead: Lead,
    limit: Option<&PartnerId>,
) -> Result<LeadStory, Error> {
    let mut known = Known::default();
    let mut partners = BTreeSet::from([lead.partner_id.clone()]);
    partners.extend(lead.sender_id.clone());
    known.read_more(tx, &partners).await?;
    let zone = known.zone(&lead.partner_id, &rules.policy);
    let recipients = known.resolve(&lead.partner_id, lead.location.as_deref(), &rules.policy);
    let decisions = decisions(list_history(tx, &lead.id).await?, limit);
    let mut notices = notices_about(tx, &lead).await?;
    if let Some(partner) = limit {
        // A decline is the partner's notice, and the customer's mail.
        notices.retain(|notice| notice.partner_id == *partner && notice.kind != NoticeKind::Decline);
    }
    let told = tell(tx, now, rules, notices, Some(&lead)).await?;
    let digest = match lead.digest_id {
        Some(id) => find_digests(tx, &[id]).await?.remove(&id),
        None => None,
    };
    let item = match find_item(tx, &lead.id).await? {
        Some(item) => as_of(tx, now, rules, &[item]).await?.into_iter().next(),
        None => None,
    };
    let case = Case {
        now,
        rules,
        lead: &lead,
        zone,
        told: &told,
        digest: digest.as_ref(),
        decisions: &decisions,
        recipients: &recipients,
        is_partner_known: known.partner(&lead.partner_id).is_some(),
        is_limited: limit.is_some(),
        has_worker: !list_live(tx, wall_now).await?.is_empty(),
        rest: rests_until(tx, now, wall_now).await?,
    };
    let (verdict, next) = (case.verdict(), case.next(&known));
    Ok(LeadStory {
        verdict,
        next,
        id: lead.id.as_str().to_owned(),
        partner_name: known.partner(&lead.partner_id).and_then(|partner| partner.name.clone()),
        customer: lead.shown_customer(now),
        deal: lead.deal.clone(),
        kind: lead.kind.as_str(),
        stage: lead.stage_at(now).to_string(),
        stage_since: lead.stage_since_at(now),
        urgency: lead.urgency_at(now).map(|urgency| urgency.as_str()),
        expiring: lead.is_expiring_at(now),
        channel: lead.channel.map(Channel::as_str),
        day: lead.day.map(|day| day.to_string()),
        day_number: lead.day_number,
        quiet: lead.is_quiet,
        created_date_time: lead.created_at,
        received_date_time: lead.received_at,
        erased_date_time: lead.erased_at,
        expires_date_time: lead.expires_at,
        sender_id: lead.sender_id.clone().filter(|_| limit.is_none()),
        time_zone: zone.name().to_owned(),
        item,
        digest: digest.as_ref().map(DigestFacts::from),
        partner_id: lead.partner_id,
        decisions,
        told,
        zone,
    })
}

impl Case<'_> {
    /// Says in one sentence who was told of the lead, or why nobody was.
    fn verdict(&self) -> String {
        let told = self.who_was_told();
        match self.lead.erased_at {
            Some(at) => format!("{told} Its personal data was erased on {}.", self.when(at)),
            None => told,
        }
    }

    fn who_was_told(&self) -> String {
        let about: Vec<&Told> = self
            .told
            .iter()
            .filter(|told| matches!(told.kind, NoticeKind::Lead | NoticeKind::Digest))
            .collect();
        let mails: Vec<&Mail> = about.iter().flat_map(|told| &told.deliveries).collect();
        if let Some(verdict) = self.mailed(&mails) {
            return verdict;
        }
        if let Some(verdict) = self.under_way(&mails) {
            return verdict;
        }
        match about.iter().rfind(|told| matches!(told.state.as_str(), "pending" | "parked")) {
            Some(told) if told.state == "pending" => return self.pending(told),
            Some(told) => {
                return self.nobody(&format!(
                    "{} (unroutable); {}",
                    self.reason(told, "the partner has no address"),
                    self.still_in_the_action_center()
                ));
            }
            None => {}
        }
        if !mails.is_empty() {
            return self.failed(&mails);
        }
        self.untold(&about)
    }

    fn when(&self, at: Timestamp) -> String {
        when(at, self.zone)
    }

    fn mailed(&self, mails: &[&Mail]) -> Option<String> {
        let sent: Vec<&&Mail> = mails.iter().filter(|mail| mail.state == "sent").collect();
        let first = sent.iter().filter_map(|mail| mail.finished_date_time).min()?;
        let addresses: Vec<String> = sent.iter().map(|mail| mail.address.to_string()).collect();
        let way = if sent.iter().any(|mail| mail.kind == NoticeKind::Digest) {
            ", in the digest"
        } else {
            ""
        };
        let mut verdict = format!("Mailed to {} on {}{way}", and(&addresses), self.when(first));
        let not: Vec<String> = mails
            .iter()
            .filter_map(|mail| match (self.bounced(mail), mail.state) {
                (Some(bounced), _) => Some(format!("{} {bounced}", mail.address)),
                (None, "sent") => None,
                (None, _) => Some(format!("{} is {}", mail.address, told_state(mail))),
            })
            .collect();
        if !not.is_empty() {
            verdict.push_str(&format!("; the mail to {}", not.join(", that to ")));
        }
        Some(verdict + ".")
    }

    /// Says of a mail that came back, or is late on its way, what its bounce said, as the rest of a sentence.
    fn bounced(&self, mail: &Mail) -> Option<String> {
        let bounce = mail.attempts.iter().rfind(|attempt| attempt.stage == bounce::STAGE)?;
        let said = bounce.detail.split_once(": ").map_or(bounce.detail.as_str(), |(_, said)| said);
        let on = self.when(bounce.date_time);
        match bounce.outcome.as_str() {
            "hard" => Some(format!("came back on {on}: {said}")),
            "soft" => Some(format!("came back on {on}, for a reason that passes: {said}")),
            "delayed" => Some(format!("is late, says a report of {on}: {said}")),
            _ => None,
        }
    }

    fn under_way(&self, mails: &[&Mail]) -> Option<String> {
        let mail = mails.iter().find(|mail| matches!(mail.state, "in_doubt" | "sending" | "queued"))?;
        let to = &mail.address;
        let last = mail.attempts.last();
        Some(match (mail.state, mail.next_date_time) {
            ("in_doubt", next) => {
                let then = match (next, self.rules.in_doubt) {
                    (Some(at), InDoubt::Resend) => format!("it is sent once more, with the same Message-ID, at {}", self.when(at)),
                    (None, _) | (_, InDoubt::Hold) => format!(
                        "it stays so until ops decide: `posthorn deliveries retry {0}` or `cancel {0}`",
                        mail.id
                    ),
                };
                format!("Handed over for {to}, and no reply came, so that it is in doubt whether it arrived; {then}.")
            }
            ("sending", _) => format!("Is being handed over to {to} right now."),
            (_, next) => {
                let at = next.map(|at| format!(" at {}", self.when(at))).unwrap_or_default();
                let why = last
                    .map(|attempt| format!("; the last one: {}", attempt.detail))
                    .unwrap_or_default();
                if let Some(waits) = mail.reason.as_deref().filter(|reason| reason.starts_with(WAITS)) {
                    let until = next.map(|at| format!(" until {}", self.when(at))).unwrap_or_default();
                    return Some(format!(
                        "Not mailed yet: the mail to {to} {waits},{until}, after {} so far{why}.",
                        attempts(mail.attempt)
                    ));
                }
                format!(
                    "Not mailed yet: the mail to {to} is tried again{at}, after {} so far{why}.",
                    attempts(mail.attempt)
                )
            }
        })
    }

    fn pending(&self, told: &Told) -> String {
        let whom = if self.recipients.told.is_empty() {
            String::new()
        } else {
            let names: Vec<String> = self.recipients.told.iter().map(|mailbox| mailbox.email.to_string()).collect();
            format!(" to {}", and(&names))
        };
        let when = if told.due_date_time > self.now {
            format!("it goes out{whom} at {}", self.when(told.due_date_time))
        } else if let Some(rest) = &self.rest {
            format!(
                "it has been due since {}, and goes out{whom} when a relay may be asked again, at {} at the earliest; `posthorn status` says why",
                self.when(told.due_date_time),
                self.when(*rest)
            )
        } else if self.has_worker {
            format!(
                "it has been due since {}, and goes out{whom} as soon as a worker takes it up",
                self.when(told.due_date_time)
            )
        } else {
            format!(
                "it has been due since {}, and goes out{whom} when a worker runs (`posthorn serve`, or `posthorn work --until-idle`); none is alive",
                self.when(told.due_date_time)
            )
        };
        format!("Not mailed yet: {when}.")
    }

    /// Every mail about it came to nothing.
    fn failed(&self, mails: &[&Mail]) -> String {
        let each: Vec<String> = mails
            .iter()
            .map(|mail| match self.bounced(mail) {
                Some(bounced) => format!("The mail to {} {bounced}", mail.address),
                None => format!("{}: {}", mail.address, told_state(mail)),
            })
            .collect();
        let what = if mails.iter().any(|mail| mail.state == "failed") {
            "Could not be delivered"
        } else {
            "Was not mailed"
        };
        format!("{what}. {}.", each.join("; "))
    }

    /// No mail was ever made for it.
    fn untold(&self, about: &[&Told]) -> String {
        let lead = self.lead;
        match lead.kind {
            Kind::Test => return self.nobody("it is a test lead"),
            Kind::Shared => return self.nobody("it is a co-sell or outgoing lead, which is kept and never notified"),
            Kind::Informational => return self.nobody("it is informational: nobody has to answer it"),
            Kind::Contact => {}
        }
        if let Some(told) = about.last() {
            let unheard = self.decisions.iter().rev().find_map(|decision| {
                let rest = decision.event.strip_prefix(crate::store::audit::NAMED_IN_NO_MAIL)?;
                Some(rest.split_once(": ").map_or(rest, |(_, why)| why).to_owned())
            });
            let reason = told.reason.clone().or(unheard).filter(|reason| reason != NOTHING_LEFT);
            return self.nobody(&match reason {
                Some(reason) => reason,
                // The others of its digest may have gone out, or not been answered either: what became of this one says more.
                None if told.kind == NoticeKind::Digest && !lead.is_unanswered_at(self.now) => self.left_its_digest(),
                None => "its notice is done, and gives no reason; `posthorn audit` looks for such".to_owned(),
            });
        }
        if lead.is_quiet {
            return self.nobody(&self.why_quiet());
        }
        match (lead.channel, self.digest) {
            (Some(Channel::Digest), Some(digest)) if digest.is_collecting => self.waits_for(digest),
            (Some(Channel::Digest), Some(_)) => self.nobody("when its digest closed, it needed no answer any more"),
            (Some(Channel::Held), _) if lead.is_unanswered_at(self.now) => self.held(),
            (Some(Channel::Digest), None) if !lead.is_unanswered_at(self.now) => self.nobody(&self.left_its_digest()),
            (None | Some(Channel::Held), _) if !lead.is_unanswered_at(self.now) => self.nobody(&format!(
                "the partner {} had no address (unroutable) until the lead {}; it showed in the Action Center",
                lead.partner_id,
                self.how_it_ended()
            )),
            _ => self.nobody("nothing says why; `posthorn audit` looks for such leads"),
        }
    }

    fn left_its_digest(&self) -> String {
        format!("it {} before its digest went out", self.how_it_ended())
    }

    fn how_it_ended(&self) -> &'static str {
        match self.lead.stage_at(self.now) {
            Stage::Expired => "expired",
            Stage::Received => "was erased",
            Stage::Accepted | Stage::Won | Stage::Lost | Stage::Declined => "was answered",
        }
    }

    fn waits_for(&self, digest: &Digest) -> String {
        if digest.due_at > self.now {
            return format!("Waits for the digest due {}.", self.when(digest.due_at));
        }
        let worker = if self.has_worker { "" } else { "; none is alive" };
        format!(
            "Waits for the digest, which has been due since {} and goes out as soon as a worker runs{worker}.",
            self.when(digest.due_at)
        )
    }

    fn held(&self) -> String {
        let partner = &self.lead.partner_id;
        let why = if !self.is_partner_known {
            format!("the partner {partner} is not known here")
        } else if !self.recipients.is_unroutable() {
            format!("the partner {partner} had no address; it has one now, and the lead is released when the partner's record next changes")
        } else if self.recipients.suppressed.is_empty() {
            format!("the partner {partner} has no address")
        } else {
            let all: Vec<String> = self.recipients.suppressed.iter().map(ToString::to_string).collect();
            format!(
                "none of the partner {partner}'s addresses can be reached, as {} suppressed",
                is_or_are(&all)
            )
        };
        self.nobody(&format!("{why} (unroutable); {}", self.still_in_the_action_center()))
    }

    fn still_in_the_action_center(&self) -> &'static str {
        "it still shows in the Action Center, and is mailed as soon as there is an address"
    }

    fn reason<'a>(&self, told: &'a Told, otherwise: &'a str) -> &'a str {
        told.reason.as_deref().unwrap_or(otherwise)
    }

    fn nobody(&self, why: &str) -> String {
        format!("Nobody was mailed: {why}.")
    }

    /// Returns why a lead was taken in as history, as it was said then.
    fn why_quiet(&self) -> String {
        let said = self.decisions.iter().find(|decision| decision.rule == "R-BACKFILL");
        let why = said.and_then(|decision| decision.event.split_once("; ")).map(|(_, why)| {
            let ends = [", so nobody is mailed", ": nobody is told"];
            let cut = ends.iter().filter_map(|end| why.find(end)).min();
            why[..cut.unwrap_or(why.len())].to_owned()
        });
        why.unwrap_or_else(|| "it came in as history".to_owned())
    }

    /// Says what happens next to the lead, soonest first.
    fn next(&self, known: &Known) -> Vec<Next> {
        let lead = self.lead;
        if lead.is_erased() {
            return Vec::new();
        }
        let mut next = Vec::new();
        let mut add = |at: Option<Timestamp>, what: String| next.push(Next { date_time: at, what });
        for told in self.told {
            for mail in &told.deliveries {
                if let Some(at) = mail.next_date_time {
                    let what = if mail.state == "in_doubt" {
                        "is sent once more"
                    } else {
                        "is tried again"
                    };
                    add(Some(at), format!("the {} mail to {} {what}", mail.kind, mail.address));
                }
            }
            match told.state.as_str() {
                "pending" => add(Some(told.due_date_time), format!("the {} mail goes out", told.kind)),
                "parked" if told.partner_id == lead_desk() => add(None, "the expiry mail goes out once portal.lead_desk is set".to_owned()),
                "parked" => add(
                    None,
                    format!(
                        "the {} mail goes out as soon as the partner {} has an address",
                        told.kind, told.partner_id
                    ),
                ),
                _ => {}
            }
        }
        if let Some(digest) = self.digest.filter(|digest| digest.is_collecting) {
            add(
                Some(digest.due_at),
                "the digest fires, and names this lead if nobody has answered it by then".to_owned(),
            );
        }
        if lead.is_unanswered_at(self.now) {
            self.unanswered(known, &mut add);
        } else if lead.due_steps(self.now).expire {
            add(Some(self.now), "the clock writes down that it has expired".to_owned());
        }
        if let Some(at) = lead.archive_at.filter(|at| *at > self.now) {
            add(Some(at), "it is archived".to_owned());
        }
        if lead.kind == Kind::Contact && lead.stage_at(self.now) == Stage::Accepted {
            add(None, "nothing by itself: the partner reports it won or lost".to_owned());
        }
        next.sort_by_key(|step| (step.date_time.is_none(), step.date_time));
        next
    }

    fn unanswered(&self, known: &Known, add: &mut impl FnMut(Option<Timestamp>, String)) {
        let lead = self.lead;
        if lead.channel == Some(Channel::Held) {
            let how = match known.partner(&lead.partner_id) {
                Some(_) => format!("posthorn partners set-preferred-email {} ADDRESS", lead.partner_id),
                None => "posthorn partners import FILE".to_owned(),
            };
            add(
                None,
                format!("it is counted and mailed as soon as the partner has an address: `{how}`"),
            );
        }
        if let Some(at) = lead.cool_at.filter(|at| *at > self.now && !lead.is_cooled) {
            add(Some(at), "it cools: it is no longer urgent, and still active".to_owned());
        }
        if let Some(at) = lead.remind_at.filter(|at| *at > self.now && !lead.is_expiring) {
            let is_mailed = self.rules.policy.remind_by_mail && matches!(lead.channel, Some(Channel::Single | Channel::Digest));
            let mailed = if is_mailed {
                ", and a reminder is mailed when that day is over"
            } else {
                "; no reminder is mailed"
            };
            add(Some(at), format!("it is marked as expiring in the Action Center{mailed}"));
        }
        if let Some(at) = lead.expires_at {
            add(Some(at), format!("it expires unless somebody answers it; {}", self.sender(known)));
        }
    }

    fn sender(&self, known: &Known) -> String {
        if self.lead.is_quiet {
            return "its sender is not told, since it came in as history".to_owned();
        }
        if self.is_limited {
            return SENDER_IS_TOLD.to_owned();
        }
        let desk = match &self.rules.lead_desk {
            Some(address) => format!("the lead desk ({address}) is told"),
            None => "the lead desk would be told, and none is set (portal.lead_desk)".to_owned(),
        };
        match &self.lead.sender_id {
            Some(id) if !known.resolve(id, None, &self.rules.policy).is_unroutable() => format!("its sender, the partner {id}, is told"),
            Some(id) => format!("its sender, the partner {id}, is unknown or has no address, so {desk}"),
            None => format!("it has no sending partner, so {desk}"),
        }
    }
}

fn told_state(mail: &Mail) -> String {
    let state = mail.state.replace('_', " ");
    match &mail.reason {
        Some(reason) => format!("{state} ({reason})"),
        None => state,
    }
}

pub(super) fn attempts(n: u32) -> String {
    match n {
        0 => "no attempt".to_owned(),
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    }
}

fn is_or_are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", and(names))
}
