//! A lead as the store keeps it, and what it *is* at an instant: a function of its row and `now` (domain.md, Time).
//!
//! **Invariant:** boundaries are inclusive and written here once: at exactly 72 h a lead is cooled, at exactly its expiry it is expired.
//! The clock (`app::tick`) only writes down what these functions say.

use serde_json::{Map, Value};

use crate::lead::LeadId;
use crate::lead::kind::Kind;
use crate::lead::stage::Stage;
use crate::lead::values::{EmailValidity, PhoneValidity};
use crate::partner::PartnerId;
use crate::policy::channel::Channel;
use crate::tag::tag_of;
use crate::time::{LocalDay, Timestamp};

/// A lead's row.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Order of intake: batch, then created, then id (`R-CHANNEL`). 0 before it is stored.
    pub seq: i64,
    /// Its identity (`R-INTAKE`).
    pub id: LeadId,
    /// The partner that it reached.
    pub partner_id: PartnerId,
    /// `createdDateTime`; for a marketplace lead, its receipt.
    pub created_at: Timestamp,
    /// When it was first taken in.
    pub received_at: Timestamp,
    /// Nanoseconds of `updatedDateTime`; a record that is not newer changes nothing.
    pub version: i64,
    /// What sort of lead it is.
    pub kind: Kind,
    /// The stage as last written; see [`Lead::stage_at`].
    pub stage: Stage,
    /// Since when.
    pub stage_since: Timestamp,
    /// When it expires unanswered; `None` where that cannot be.
    pub expires_at: Option<Timestamp>,
    /// When its urgency ends; `None` where it never was urgent.
    pub cool_at: Option<Timestamp>,
    /// Whether the cooling is written down.
    pub is_cooled: bool,
    /// When it is marked as expiring; `None` where it is not to be.
    pub remind_at: Option<Timestamp>,
    /// Whether the mark is written down.
    pub is_expiring: bool,
    /// When an informational lead is archived.
    pub archive_at: Option<Timestamp>,
    /// Whether that is written down.
    pub is_archived: bool,
    /// How it reaches its partner; `None` while that is undecided or where nobody is told.
    pub channel: Option<Channel>,
    /// The partner's day on which it was counted.
    pub day: Option<LocalDay>,
    /// Its number on that day.
    pub day_number: Option<i64>,
    /// The digest that it waits in or went out with.
    pub digest_id: Option<i64>,
    /// Taken in as history, or with `--no-notify`: nobody is told of anything (`R-BACKFILL`).
    pub is_quiet: bool,
    /// The customer's name.
    pub customer: String,
    /// The deal's name.
    pub deal: Option<String>,
    /// The business-profile location that it targets.
    pub location: Option<String>,
    /// The partner that sent it (`inviteContext.invitedBy`).
    pub sender_id: Option<PartnerId>,
    /// The referral resource as kept, as JSON text.
    pub record: String,
    /// What the partner said of it when he answered, as JSON text (`R-ACCEPT`).
    pub answer: Option<String>,
    /// Marked by a user of the partner (`R-TABS`).
    pub is_favourite: bool,
    /// What posthorn found out about the customer's e-mail; `None` where the record says itself, or nobody asks (`R-VERIFY`).
    pub email_validity: Option<EmailValidity>,
    /// Likewise of the phone.
    pub phone_validity: Option<PhoneValidity>,
    /// When the e-mail's domain is to be looked up; `None` where it is not, or not any more.
    pub verify_at: Option<Timestamp>,
    /// When its personal data was erased (`R-ERASE`).
    pub erased_at: Option<Timestamp>,
}

/// How a lead looks to its partner (`R-URGENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The flame: the customer asked to be contacted.
    Urgent,
    /// The flame has gone out: still active.
    Cooled,
}

impl Urgency {
    /// Returns the word that items and leads show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Cooled => "cooled",
        }
    }
}

/// What time alone has made of a lead and nobody has written down yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueSteps {
    /// Its urgency has ended.
    pub cool: bool,
    /// It is to be marked as expiring.
    pub mark_expiring: bool,
    /// It has expired.
    pub expire: bool,
    /// It is to be archived.
    pub archive: bool,
}

impl Lead {
    /// Tells whether its personal data was erased (`R-ERASE`): nothing moves it any more.
    pub fn is_erased(&self) -> bool {
        self.erased_at.is_some()
    }

    /// Tells whether nobody has answered it and time still moves it, as far as that is written.
    fn is_open(&self) -> bool {
        self.stage == Stage::Received && !self.is_erased()
    }

    /// Returns the stage at `now`: an unanswered lead whose expiry has come is expired, whether or not that is written.
    pub fn stage_at(&self, now: Timestamp) -> Stage {
        match self.expires_at {
            Some(expires_at) if self.is_open() && now >= expires_at => Stage::Expired,
            _ => self.stage,
        }
    }

    /// Returns since when the lead has stood in [`Lead::stage_at`].
    pub fn stage_since_at(&self, now: Timestamp) -> Timestamp {
        match self.expires_at {
            Some(expires_at) if self.is_open() && now >= expires_at => expires_at,
            _ => self.stage_since,
        }
    }

    /// Returns when the partner accepted the lead, as its answer says; `None` where he did not say so here.
    pub fn accepted_at(&self) -> Option<Timestamp> {
        let answer: Map<String, Value> = serde_json::from_str(self.answer.as_deref()?).ok()?;
        answer.get("acceptedDateTime")?.as_str()?.parse().ok()
    }

    /// Tells whether somebody still has to answer the lead at `now`.
    pub fn is_unanswered_at(&self, now: Timestamp) -> bool {
        self.kind == Kind::Contact && self.is_open() && self.stage_at(now) == Stage::Received
    }

    /// Returns the urgency at `now`. An answer before the end of the 72 hours freezes it (`R-URGENT`): whoever writes the answer writes
    /// [`Lead::cool_until`] with it, and nothing that becomes of the deal later changes it.
    pub fn urgency_at(&self, now: Timestamp) -> Option<Urgency> {
        let cool_at = self.cool_at?;
        let has_cooled = self.is_open() && self.expires_at.map_or(now, |expires_at| now.min(expires_at)) >= cool_at;
        Some(if self.is_cooled || has_cooled {
            Urgency::Cooled
        } else {
            Urgency::Urgent
        })
    }

    /// Writes down whether the lead had cooled when it was answered, at `answered_at`.
    pub fn cool_until(&mut self, answered_at: Timestamp) {
        self.is_cooled |= self.cool_at.is_some_and(|cool_at| answered_at >= cool_at);
    }

    /// Tells whether the lead is marked as expiring at `now` (`R-REMIND`).
    pub fn is_expiring_at(&self, now: Timestamp) -> bool {
        self.is_open() && self.stage_at(now) == Stage::Received && (self.is_expiring || self.remind_at.is_some_and(|at| now >= at))
    }

    /// Tells whether an informational lead is archived at `now` (`R-STAGES`).
    pub fn is_archived_at(&self, now: Timestamp) -> bool {
        self.is_archived || !self.is_erased() && self.archive_at.is_some_and(|at| now >= at)
    }

    /// Tells whether the customer's contact data is hidden at `now` (`R-EXPIRY`).
    pub fn is_contact_hidden_at(&self, now: Timestamp) -> bool {
        self.stage_at(now) == Stage::Expired
    }

    /// Returns what has become true by `now` and is not written down.
    pub fn due_steps(&self, now: Timestamp) -> DueSteps {
        let unanswered = self.is_open();
        let reached = |at: Option<Timestamp>| at.is_some_and(|at| now >= at);
        let expire = unanswered && reached(self.expires_at);
        DueSteps {
            cool: unanswered && !self.is_cooled && reached(self.cool_at) && self.cool_at <= self.expires_at.or(self.cool_at),
            mark_expiring: unanswered && !expire && !self.is_expiring && reached(self.remind_at),
            expire,
            archive: !self.is_archived && !self.is_erased() && reached(self.archive_at),
        }
    }

    /// Returns the next instant at which time alone moves this lead; `None` where it never will.
    pub fn next_due_at(&self) -> Option<Timestamp> {
        let mut next = self.archive_at.filter(|_| !self.is_archived && !self.is_erased());
        if self.is_open() {
            let cool = self.cool_at.filter(|_| !self.is_cooled);
            let remind = self.remind_at.filter(|_| !self.is_expiring);
            next = [next, cool, remind, self.expires_at].into_iter().flatten().min();
        }
        next
    }

    /// Returns the tag of what people have made of this lead: another one after newer content, an answer, an edit or its expiry. It is a function of what
    /// is stored, not of `now`, and says nothing of what the clock alone writes down (urgency, reminder, digest): nobody's edit is stale for that.
    pub fn tag(&self) -> String {
        let expires_at = self.expires_at.map(Timestamp::as_millis);
        let parts = (
            self.id.as_str(),
            self.version,
            self.stage.as_str(),
            self.stage_since.as_millis(),
            expires_at,
            &self.record,
            &self.answer,
        );
        tag_of(&serde_json::to_vec(&parts).expect("numbers and texts"))
    }

    /// Returns the kept record as a JSON object; an empty one where the text is none.
    pub fn record_json(&self) -> Map<String, Value> {
        serde_json::from_str(&self.record).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    pub(crate) fn lead_at(created: &str) -> Lead {
        let created_at: Timestamp = created.parse().expect("a literal");
        Lead {
            seq: 1,
            id: LeadId::new("L1"),
            partner_id: PartnerId::new("contoso"),
            created_at,
            received_at: created_at,
            version: 0,
            kind: Kind::Contact,
            stage: Stage::Received,
            stage_since: created_at,
            expires_at: Some(created_at.plus(Duration::from_secs(14 * 86_400))),
            cool_at: Some(created_at.plus(Duration::from_secs(72 * 3600))),
            is_cooled: false,
            remind_at: Some(created_at.plus(Duration::from_secs(11 * 86_400))),
            is_expiring: false,
            archive_at: None,
            is_archived: false,
            channel: None,
            day: None,
            day_number: None,
            digest_id: None,
            is_quiet: false,
            customer: "Fabrikam".into(),
            deal: None,
            location: None,
            sender_id: None,
            record: "{}".into(),
            answer: None,
            is_favourite: false,
            email_validity: None,
            phone_validity: None,
            verify_at: None,
            erased_at: None,
        }
    }

    /// `R-URGENT`, `R-EXPIRY`, `R-REMIND`: one millisecond before, at, and after each boundary.
    #[test]
    fn boundaries_are_inclusive_to_the_millisecond() {
        let lead = lead_at("2026-03-02T00:00:00.000Z");
        for (now, urgency, expiring, stage, why) in [
            (
                "2026-03-04T23:59:59.999Z",
                Urgency::Urgent,
                false,
                Stage::Received,
                "72 h less 1 ms",
            ),
            ("2026-03-05T00:00:00.000Z", Urgency::Cooled, false, Stage::Received, "72 h"),
            (
                "2026-03-12T23:59:59.999Z",
                Urgency::Cooled,
                false,
                Stage::Received,
                "11 d less 1 ms",
            ),
            ("2026-03-13T00:00:00.000Z", Urgency::Cooled, true, Stage::Received, "11 d"),
            ("2026-03-15T23:59:59.999Z", Urgency::Cooled, true, Stage::Received, "14 d less 1 ms"),
            ("2026-03-16T00:00:00.000Z", Urgency::Cooled, false, Stage::Expired, "14 d"),
        ] {
            let now = now.parse().expect("a literal");
            assert_eq!(lead.urgency_at(now), Some(urgency), "{why}");
            assert_eq!(lead.is_expiring_at(now), expiring, "{why}");
            assert_eq!(lead.stage_at(now), stage, "{why}");
            assert_eq!(lead.due_steps(now).expire, stage == Stage::Expired, "{why}");
        }
    }

    /// `R-URGENT`
    #[test]
    fn an_answer_within_72_hours_keeps_the_flame() {
        let mut lead = lead_at("2026-03-02T00:00:00.000Z");
        lead.stage = Stage::Accepted;
        lead.stage_since = "2026-03-03T00:00:00.000Z".parse().expect("a literal");
        let much_later = "2026-05-01T00:00:00.000Z".parse().expect("a literal");
        assert_eq!(lead.urgency_at(much_later), Some(Urgency::Urgent));
        (lead.stage, lead.stage_since) = (Stage::Won, much_later);
        assert_eq!(lead.urgency_at(much_later), Some(Urgency::Urgent), "won long after it was accepted");
        assert_eq!(lead.next_due_at(), None);
        assert_eq!(lead.due_steps(much_later), DueSteps::default());
    }

    /// What is due is due exactly when `next_due_at` says so.
    #[test]
    fn nothing_is_due_before_the_next_due_instant() {
        let lead = lead_at("2026-03-02T00:00:00.000Z");
        let next = lead.next_due_at().expect("it is unanswered");
        assert_eq!(lead.due_steps(next.minus(Duration::from_millis(1))), DueSteps::default());
        assert_ne!(lead.due_steps(next), DueSteps::default());
    }
}
