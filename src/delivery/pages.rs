//! Writes the pages that links in mails lead to, by the settings and templates that mails are written by.

use crate::app::from_mail::Question;
use crate::app::unsubscribe::Subscription;
use crate::delivery::compose::Composer;
use crate::lead::{Lead, Stage};
use crate::link::masked;
use crate::template::{Error, LeadView, Page, PageView, Portal, RenderedPage, Typed};
use crate::time::Timestamp;

/// What the page to unsubscribe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsubscribe {
    /// Asks, or says that it is done, whichever is so.
    AsItIs,
    /// Mails come again.
    Again,
}

/// What the page to answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Asks, with what was typed before and what is wrong with it; or says that it is too late.
    Ask {
        /// What was typed.
        typed: Typed,
        /// What is wrong.
        problem: Option<&'static str>,
    },
    /// Accepted or declined.
    Answered,
    /// Sent on, to the address that was typed.
    SentOn(Typed),
}

impl Composer {
    /// Writes the page to unsubscribe. `reader` are the languages that its reader prefers.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn unsubscribe_page(&self, subscription: &Subscription, said: Unsubscribe, reader: &[&str]) -> Result<RenderedPage, Error> {
        let this = self.of_programme(subscription.programme.as_deref());
        let view = PageView {
            portal: Some(this.portal()),
            state: match said {
                Unsubscribe::AsItIs if subscription.is_opted_out => "done",
                Unsubscribe::AsItIs => "ask",
                Unsubscribe::Again => "again",
            },
            partner: Some(subscription.partner.clone()),
            address: masked(subscription.address.as_str()),
            ..PageView::default()
        };
        this.page(Page::Unsubscribe, Some(&subscription.language), reader, &view)
    }

    /// Writes the page to answer a lead, as it is at `now`.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn answer_page(&self, now: Timestamp, question: &Question, said: &Answer, reader: &[&str]) -> Result<RenderedPage, Error> {
        let programme = question.partner.as_ref().and_then(|partner| partner.programme.as_deref());
        let this = self.of_programme(programme);
        let wanted = this.languages(Some(&question.language), reader);
        let language = this.templates().language_for(&wanted).to_owned();
        let formats = this.templates().formats(&language);
        let lead = &question.lead;
        let mut view = PageView {
            portal: Some(this.portal()),
            address: masked(question.address.as_str()),
            purpose: question.purpose.as_str(),
            lead: Some(this.lead_view(lead, now, question.zone, formats)),
            ..PageView::default()
        };
        match said {
            Answer::Ask { typed, problem } if lead.is_unanswered_at(now) => {
                view.state = "ask";
                view.typed = typed.clone();
                view.problem = *problem;
            }
            Answer::Ask { .. } => {
                view.state = "late";
                view.stage = stage_word(lead, now);
                view.since = formats.instant(lead.stage_since_at(now), question.zone);
            }
            Answer::Answered => view.state = "answered",
            Answer::SentOn(typed) => {
                view.state = "sent_on";
                view.typed = typed.clone();
            }
        }
        if view.state != "ask" {
            view.lead = view.lead.map(named_only);
        }
        this.page(Page::Answer, Some(&question.language), reader, &view)
    }

    /// Writes the page that a link gets which was not made here; it does not say whose it is.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn nowhere_page(&self, reader: &[&str]) -> Result<RenderedPage, Error> {
        self.page(Page::Nowhere, None, reader, &PageView::default())
    }

    fn page(&self, page: Page, mail: Option<&str>, reader: &[&str], view: &PageView) -> Result<RenderedPage, Error> {
        self.templates().render_page(page, &self.languages(mail, reader), view)
    }

    /// The mail's language, else the reader's, else the configured one.
    fn languages<'a>(&'a self, mail: Option<&'a str>, reader: &[&'a str]) -> Vec<&'a str> {
        let configured = self.settings().mail.locale.as_str();
        mail.into_iter().chain(reader.iter().copied()).chain([configured]).collect()
    }

    /// Returns the portal as its mails and pages name it.
    pub fn portal(&self) -> Portal {
        let portal = &self.settings().portal;
        Portal {
            name: portal.name.clone(),
            url: portal.url.clone(),
        }
    }
}

/// What is left to see of a lead where nothing is to be done: whoever has the link for a year needs no more.
fn named_only(lead: LeadView) -> LeadView {
    LeadView {
        id: lead.id,
        customer: lead.customer,
        deal: lead.deal,
        link: lead.link,
        ..LeadView::default()
    }
}

fn stage_word(lead: &Lead, now: Timestamp) -> &'static str {
    match lead.stage_at(now) {
        // It never had to be answered.
        Stage::Received => "none",
        stage => stage.as_str(),
    }
}
