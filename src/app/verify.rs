//! Determines a customer's e-mail and phone validity where the record does not say it (`R-VERIFY`): at once what needs nobody, later what the DNS knows.
//!
//! A lead whose mail domain is to be asked for is due at its `verify_at`. Whoever asks takes it ([`claim`]), asks without holding anything, and writes
//! down what was answered ([`record`]), unless newer content has come in between.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::app::{Error, Rules, about_lead};
use crate::lead::validity::{Determined, determine, looks_at_phone};
use crate::lead::values::{EmailValidity, PhoneValidity};
use crate::lead::{Lead, OneOf, phone};
use crate::partner::PartnerId;
use crate::store::history::{Entry, insert_history};
use crate::store::leads::find_leads_by_seq;
use crate::store::partners::lock_partners;
use crate::store::verify::{claim_due, next_due, record_found};
use crate::store::{Store, retried};
use crate::telemetry;
use crate::time::Timestamp;

/// Leads that are looked at together: so many domains are asked for within a minute or two, even if each is slow.
pub const BATCH_MAX: i64 = 100;
/// After this a batch that was begun is one whose process died: longer than the slowest one takes.
const ABANDONED_AFTER: Duration = Duration::from_secs(600);
/// After so many tries without an answer nobody asks any more: with the waits between, that is after a day and a half.
const TRIES_MAX: i64 = 10;
/// The wait after the first of them; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(300);
/// The longest.
const WAIT_MAX: Duration = Duration::from_secs(12 * 3600);

/// The numbering plans, brought into memory by whoever first needs them, beside what else goes on.
static PHONES: OnceCell<()> = OnceCell::const_new();

/// What the DNS says of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// Mail to it goes somewhere.
    Taken,
    /// It does not; why, as the end of a sentence.
    NotTaken(&'static str),
    /// It gave no answer that one could go by.
    Unanswered,
}

/// A lead that was taken, to be looked at.
#[derive(Clone, Debug)]
pub struct Due {
    lead: Lead,
    attempt: i64,
    determined: Determined,
}

impl Due {
    /// Returns the domain that is to be asked for.
    pub fn mail_domain(&self) -> Option<&str> {
        self.determined.mail_domain.as_deref()
    }
}

/// What came of leads that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Leads with an e-mail that is valid.
    pub valid: u64,
    /// That is not.
    pub invalid: u64,
    /// Of a domain that is known for spam.
    pub spam: u64,
    /// Of which that is not known, nor will be: there is no e-mail, nobody is to ask, or nobody answered in all tries.
    pub unknown: u64,
    /// That are asked for again later.
    pub later: u64,
    /// Of which there is nothing to find out (any more): newer content came, the record says it itself, it was erased.
    pub passed_over: u64,
}

impl Verified {
    /// Adds what came of others.
    pub fn add(&mut self, other: Self) {
        self.valid += other.valid;
        self.invalid += other.invalid;
        self.spam += other.spam;
        self.unknown += other.unknown;
        self.later += other.later;
        self.passed_over += other.passed_over;
    }

    /// Returns how many leads were looked at.
    pub fn n_leads(&self) -> u64 {
        self.valid + self.invalid + self.spam + self.unknown + self.later + self.passed_over
    }

    fn count(&mut self, lead: &Lead) {
        let count = match (lead.verify_at, lead.email_validity) {
            (Some(_), _) => &mut self.later,
            (None, None) => &mut self.passed_over,
            (None, Some(EmailValidity::Valid)) => &mut self.valid,
            (None, Some(EmailValidity::Invalid)) => &mut self.invalid,
            (None, Some(EmailValidity::Spam)) => &mut self.spam,
            (None, Some(EmailValidity::Unknown)) => &mut self.unknown,
        };
        *count += 1;
    }
}

/// Brings the numbering plans into memory where one of these records is the first to need them. They take 70 ms: no time to hold a lock.
pub(super) async fn make_ready<'a>(records: impl IntoIterator<Item = &'a Map<String, Value>>) {
    if !PHONES.initialized() && records.into_iter().any(looks_at_phone) {
        PHONES
            .get_or_init(async || {
                // One that panics leaves it to the first number.
                tokio::task::spawn_blocking(phone::make_ready).await.ok();
            })
            .await;
    }
}

/// Determines what can be determined at once of a lead with new content, and says whether the DNS is to be asked. Returns why, for the history.
pub(super) fn look_at(now: Timestamp, lead: &mut Lead, record: &Map<String, Value>, rules: &Rules) -> Option<Entry> {
    let found = determine(record, &rules.spam_domains);
    let before = (lead.email_validity, lead.phone_validity);
    (lead.email_validity, lead.phone_validity) = (found.email, found.phone);
    lead.verify_at = found.mail_domain.filter(|_| rules.asks_dns).map(|_| now);
    entry(now, lead, before, None)
}

/// Takes up to `limit` leads that are due; where none is, says when the next one will be.
///
/// # Errors
/// The database cannot record it.
pub async fn claim(store: &Store, now: Timestamp, rules: &Rules, limit: i64) -> Result<(Vec<Due>, Option<Timestamp>), Error> {
    let mut tx = store.read().await?;
    let next = next_due(&mut tx).await?;
    drop(tx);
    if next.is_none_or(|at| at > now) {
        return Ok((Vec::new(), next));
    }
    let mut tx = store.begin().await?;
    let taken = claim_due(&mut tx, now, now.plus(ABANDONED_AFTER), limit).await?;
    let leads = find_leads_by_seq(&mut tx, &taken.iter().map(|one| one.seq).collect::<Vec<_>>()).await?;
    tx.commit().await?;
    let attempts: HashMap<i64, i64> = taken.iter().map(|one| (one.seq, one.verify_attempt)).collect();
    let records: Vec<Map<String, Value>> = leads.iter().map(Lead::record_json).collect();
    make_ready(&records).await;
    let due = leads.into_iter().zip(records).map(|(lead, record)| Due {
        attempt: attempts.get(&lead.seq).copied().unwrap_or_default(),
        determined: determine(&record, &rules.spam_domains),
        lead,
    });
    Ok((due.collect(), None))
}

/// Writes down what was found out about leads that were taken. A domain that is not among the answers was not asked for, and that is no try.
///
/// # Errors
/// The database cannot record it; then they are due again after a while.
pub async fn record(store: &Store, now: Timestamp, rules: &Rules, due: &[Due], answers: &HashMap<String, Mail>) -> Result<Verified, Error> {
    let verified = retried(|| record_once(store, now, rules, due, answers)).await?;
    telemetry::leads_verified(&[
        ("valid", verified.valid),
        ("invalid", verified.invalid),
        ("spam", verified.spam),
        ("unknown", verified.unknown),
        ("later", verified.later),
    ]);
    Ok(verified)
}

async fn record_once(
    store: &Store,
    now: Timestamp,
    rules: &Rules,
    due: &[Due],
    answers: &HashMap<String, Mail>,
) -> Result<Verified, crate::store::Error> {
    let mut tx = store.begin().await?;
    let partners: BTreeSet<PartnerId> = due.iter().map(|due| due.lead.partner_id.clone()).collect();
    lock_partners(&mut tx, &partners).await?;
    let seqs: Vec<i64> = due.iter().map(|due| due.lead.seq).collect();
    let mut leads: HashMap<i64, Lead> = find_leads_by_seq(&mut tx, &seqs)
        .await?
        .into_iter()
        .map(|lead| (lead.seq, lead))
        .collect();
    let (mut found, mut history) = (Vec::with_capacity(due.len()), Vec::new());
    let mut verified = Verified::default();
    for due in due {
        let lead = leads.remove(&due.lead.seq);
        let is_as_taken = |lead: &Lead| lead.version == due.lead.version && lead.verify_at.is_some() && !lead.is_erased();
        let Some(mut lead) = lead.filter(is_as_taken) else {
            verified.passed_over += 1;
            continue;
        };
        let (attempt, entry) = settle(now, &mut lead, due, rules, answers);
        history.extend(entry);
        verified.count(&lead);
        found.push((lead, attempt));
    }
    record_found(&mut tx, &found).await?;
    insert_history(&mut tx, &history).await?;
    tx.commit().await?;
    Ok(verified)
}

/// Lays what was found out over a lead; returns the tries that it has taken, and what is to be told of it.
fn settle(now: Timestamp, lead: &mut Lead, due: &Due, rules: &Rules, answers: &HashMap<String, Mail>) -> (i64, Option<Entry>) {
    let before = (lead.email_validity, lead.phone_validity);
    (lead.email_validity, lead.phone_validity) = (due.determined.email, due.determined.phone);
    lead.verify_at = None;
    let Some(domain) = due.mail_domain().filter(|_| rules.asks_dns) else {
        return (due.attempt, entry(now, lead, before, None));
    };
    let answer = answers.get(domain);
    match answer {
        Some(Mail::Taken) => lead.email_validity = Some(EmailValidity::Valid),
        Some(Mail::NotTaken(_)) => lead.email_validity = Some(EmailValidity::Invalid),
        Some(Mail::Unanswered) if due.attempt + 1 >= TRIES_MAX => {}
        Some(Mail::Unanswered) => {
            lead.verify_at = Some(now.plus(wait(due.attempt + 1)));
            return (due.attempt + 1, entry(now, lead, before, None));
        }
        None => {
            lead.verify_at = Some(now.plus(FIRST_WAIT));
            return (due.attempt, entry(now, lead, before, None));
        }
    }
    (due.attempt + 1, entry(now, lead, before, answer))
}

/// Returns how long to wait after the `attempt`-th try (the first is 1).
fn wait(attempt: i64) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(u32::MAX);
    let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
    FIRST_WAIT.saturating_mul(factor).min(WAIT_MAX)
}

/// Tells the history what has become known of a lead; nothing where that is nothing new. Nobody's domain is named: the history outlives personal data.
fn entry(now: Timestamp, lead: &Lead, before: (Option<EmailValidity>, Option<PhoneValidity>), answer: Option<&Mail>) -> Option<Entry> {
    let mut told = Vec::new();
    let is_given_up = answer == Some(&Mail::Unanswered);
    if let Some(email) = lead.email_validity.filter(|email| Some(*email) != before.0 || is_given_up) {
        let why = match (email, answer) {
            (EmailValidity::Unknown, Some(_)) => format!("the DNS gave no answer in {TRIES_MAX} tries, and is not asked again"),
            (EmailValidity::Unknown, None) => String::new(),
            (EmailValidity::Spam, _) => "its domain is on the lists of disposable and spam domains".to_owned(),
            (EmailValidity::Valid, _) => "its domain takes mail".to_owned(),
            (EmailValidity::Invalid, Some(Mail::NotTaken(why))) => format!("its domain takes no mail: {why}"),
            (EmailValidity::Invalid, _) => "it is no address that mail can be sent to".to_owned(),
        };
        if !why.is_empty() {
            told.push(format!("its e-mail is {email}, since {why}"));
        }
    }
    if let Some(phone) = lead
        .phone_validity
        .filter(|phone| Some(*phone) != before.1 && *phone != PhoneValidity::Unknown)
    {
        told.push(format!("its phone is {phone} by the numbering plan of its country"));
    }
    let detail = json!({
        "emailValidity": lead.email_validity.map(OneOf::as_str),
        "phoneValidity": lead.phone_validity.map(OneOf::as_str),
    });
    (!told.is_empty()).then(|| {
        about_lead(
            now,
            lead,
            "R-VERIFY",
            format!("its record does not say: {}", told.join("; ")),
            detail,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `R-VERIFY`
    #[test]
    fn the_waits_between_tries_grow_and_end() {
        let minutes: Vec<u64> = (1..=TRIES_MAX).map(|attempt| wait(attempt).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 320, 640, 720, 720]);
        assert_eq!(wait(i64::MAX), WAIT_MAX);
    }
}
