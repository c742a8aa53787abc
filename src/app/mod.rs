//! The use cases, one a file: lock, read, decide, write, commit. Each is a function of the store and `now`.
//!
//! **Invariants:** whoever decides for partners locks them first, and reads what depends on the lock in a later statement. A fact and the notices that
//! it causes are written in one transaction. One `now` a transaction. Every decision is written to the history with its rule and inputs.
//! **Not here:** SQL (`store`), rules (`lead`, `partner`, `policy`, `outbox`), sending (`delivery`).

pub mod answer;
pub mod audit;
pub mod bounce;
mod bounce_match;
pub mod bounces;
pub mod claim;
pub mod database;
pub mod digests;
pub mod erase;
pub mod erratum;
pub mod explain;
pub mod favourite;
pub mod feed;
pub mod fire;
pub mod forward;
pub mod from_mail;
pub mod gauges;
pub mod kept;
pub mod known;
pub mod leads;
pub mod links;
pub mod mail_count;
pub mod mails;
mod new_lead;
pub mod page;
pub mod partners;
pub mod record;
pub mod rejected;
pub mod release;
pub mod report;
pub mod request_key;
pub mod resolve;
pub mod resource;
pub mod roster;
pub mod specimen;
pub mod status;
pub mod suppress;
pub mod suppressions;
mod sync;
pub mod take_in;
pub mod tick;
pub mod unsubscribe;
pub mod verify;
pub mod withdraw;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use erratum::{Error, NotFound, Wrong};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lead::Lead;
use crate::lead::spam::SpamDomains;
use crate::outbox::delivery::InDoubt;
use crate::outbox::pace::Limits;
use crate::outbox::retry::Retry;
use crate::partner::{EmailAddress, Partner, PartnerId};
use crate::policy::recipient::languages;
use crate::policy::{Policy, action};
use crate::settings::{Programme, Settings};
use crate::store::history::Entry;
use crate::store::items::{NewItem, lead_subject};
use crate::time::Timestamp;

/// What the operator has set, as far as use cases read it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The rules' parameters.
    pub policy: Policy,
    /// `portal.url`
    pub portal_url: String,
    /// `portal.lead_url`, with `{id}`.
    pub lead_url: String,
    /// What the programmes lead to instead, by their names.
    pub programme_links: BTreeMap<String, Links>,
    /// `portal.lead_desk`
    pub lead_desk: Option<EmailAddress>,
    /// Whether items are posted to an Action Center.
    pub posts_items: bool,
    /// `worker.in_doubt`
    pub in_doubt: InDoubt,
    /// The waiting times.
    pub retry: Retry,
    /// `http.public_url`, without a slash at its end: what links in mails begin with.
    pub public_url: Option<String>,
    /// `mail.answer_links`
    pub answer_links: bool,
    /// `bounces.keep`
    pub keep_bounces: Duration,
    /// `mail.keep_sent`; nothing is kept where it is zero.
    pub keep_sent: Duration,
    /// What limits the relays by the hour and the day, by host and port.
    pub relays: Vec<(String, Limits)>,
    /// `verify.mx`
    pub asks_dns: bool,
    /// The built-in list of disposable and spam domains, with what `verify` adds to it and takes off it.
    pub spam_domains: SpamDomains,
}

impl Rules {
    /// Takes from the settings what use cases read.
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            policy: settings.policy.clone(),
            portal_url: settings.portal.url.clone(),
            lead_url: settings.portal.lead_url.clone(),
            programme_links: settings
                .programmes
                .iter()
                .map(|(name, programme)| (name.clone(), Links::of(programme)))
                .collect(),
            lead_desk: settings.portal.lead_desk.clone(),
            posts_items: settings.action_center.url.is_some(),
            in_doubt: settings.worker.in_doubt,
            public_url: settings.http.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            answer_links: settings.mail.answer_links,
            keep_bounces: settings.bounces.keep,
            keep_sent: settings.mail.keep_sent,
            relays: settings.smtp.relays.iter().map(|relay| (relay.name(), relay.limits())).collect(),
            asks_dns: settings.verify.mx,
            spam_domains: SpamDomains::new(
                settings.verify.spam_domains(),
                settings.verify.allowed_domains.iter().map(String::as_str),
            ),
            retry: Retry {
                give_up_after: settings.smtp.give_up_after,
                resend_after: settings.worker.resend_after,
                ..Retry::default()
            },
        }
    }
}

/// Where a programme's partners find the portal, where that is elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// `programmes.NAME.portal_url`
    pub portal_url: Option<String>,
    /// `programmes.NAME.lead_url`, with `{id}`.
    pub lead_url: Option<String>,
}

impl Links {
    fn of(programme: &Programme) -> Self {
        Self {
            portal_url: programme.portal_url.clone(),
            lead_url: programme.lead_url.clone(),
        }
    }
}

impl Rules {
    /// Returns the front page of the portal for a partner.
    fn portal_url_of(&self, partner: Option<&Partner>) -> &str {
        let own = self.links_of(partner).and_then(|links| links.portal_url.as_deref());
        own.unwrap_or(&self.portal_url)
    }

    /// Returns the deep link for a partner's leads, with `{id}`.
    fn lead_url_of(&self, partner: Option<&Partner>) -> &str {
        let own = self.links_of(partner).and_then(|links| links.lead_url.as_deref());
        own.unwrap_or(&self.lead_url)
    }

    fn links_of(&self, partner: Option<&Partner>) -> Option<&Links> {
        self.programme_links.get(partner?.programme.as_deref()?)
    }
}

/// Returns the receiver that stands for the lead desk where a notice wants a partner.
pub fn lead_desk() -> PartnerId {
    PartnerId::new("")
}

/// Returns the item of a lead as it is at `now`.
fn lead_item(lead: &Lead, now: Timestamp, partner: Option<&Partner>, rules: &Rules) -> NewItem {
    let languages = languages(None, partner, &rules.policy.locale);
    NewItem {
        subject: lead_subject(&lead.id),
        partner_id: lead.partner_id.clone(),
        lead_id: Some(lead.id.clone()),
        content: action::lead_item(lead, now, &languages, rules.lead_url_of(partner)),
    }
}

/// Returns a history entry about a lead.
fn about_lead(now: Timestamp, lead: &Lead, rule: &str, event: impl Into<String>, detail: serde_json::Value) -> Entry {
    Entry {
        at: now,
        partner_id: lead.partner_id.clone(),
        lead_id: Some(lead.id.clone()),
        address: None,
        rule: rule.to_owned(),
        event: event.into(),
        actor: None,
        detail,
    }
}

/// Returns a history entry about a partner.
fn about_partner(now: Timestamp, partner: &PartnerId, rule: &str, event: impl Into<String>, detail: serde_json::Value) -> Entry {
    Entry {
        at: now,
        partner_id: partner.clone(),
        lead_id: None,
        address: None,
        rule: rule.to_owned(),
        event: event.into(),
        actor: None,
        detail,
    }
}
