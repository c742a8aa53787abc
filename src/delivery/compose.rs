//! Composes the mail of a letter: what the template may say, the headers, the attachment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::Rules;
use crate::app::claim::Letter;
use crate::delivery::told::Told;
use crate::delivery::{Error, signing};
use crate::lead::Lead;
use crate::lead::model::Urgency;
use crate::link::{Claim, Purpose};
use crate::mail::{self, Attachment, Letterhead, Outgoing, Signer};
use crate::outbox::Kind;
use crate::outbox::mark::Marks;
use crate::partner::{EmailAddress, Zone};
use crate::policy::action::deep_link;
use crate::policy::digest;
use crate::settings::{Mode, Settings};
use crate::template::{AnswersView, Formats, LeadView, PartnerView, Portal, Recipient, Set, Sets, View, days_left, digest_csv};
use crate::time::Timestamp;

/// Writes mails, all by the same settings and templates.
#[derive(Debug)]
pub struct Composer {
    templates: Arc<Set>,
    letterhead: Letterhead,
    signer: Option<Signer>,
    settings: Settings,
    marks: Marks,
    pub(super) message_id_domain: String,
    rules: Rules,
    /// The envelope's sender, where it is not the one that all mails have.
    return_to: Option<String>,
    /// Who writes to the partners of a programme, by its name.
    programmes: BTreeMap<String, Composer>,
}

/// A mail ready to be handed over.
#[derive(Clone, Debug)]
pub struct Composed {
    /// Whose mail it is.
    pub delivery_id: i64,
    /// The envelope's recipient: the delivery's address, or where mode `redirect` sends everything.
    pub to: EmailAddress,
    /// The envelope's sender, where each mail has its own (VERP).
    pub return_to: Option<String>,
    /// Without angle brackets.
    pub message_id: String,
    /// The mail as bytes.
    pub bytes: Vec<u8>,
}

/// Why there is no mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMail {
    /// Its leads need no telling any more.
    NothingLeft,
    /// Template or header failed.
    Unwritable(String),
}

/// Makes the marks of a database's mails, as the settings want them.
pub fn marks(settings: &Settings, message_id_key: &[u8]) -> Marks {
    Marks::new(message_id_key, settings.mail.envelope_from.as_ref().map(EmailAddress::as_str))
}

impl Composer {
    /// Loads the templates and the key of the signature, and takes the settings.
    ///
    /// # Errors
    /// A template or the key is wrong.
    pub fn new(settings: &Settings, message_id_key: &[u8]) -> Result<Self, Error> {
        let Sets { general, programmes } = Sets::load(settings)?;
        let mut composer = Self::with_templates(settings, message_id_key, general)?;
        for (name, templates) in programmes {
            let mut own = Self::with_templates(&settings.of_programme(&name), message_id_key, templates)?;
            // A mail may refer to one of before its partner's programme, or sender, was another.
            own.message_id_domain.clone_from(&composer.message_id_domain);
            own.return_to = return_to(settings, own.settings());
            composer.programmes.insert(name, own);
        }
        Ok(composer)
    }

    /// Takes templates that are loaded already, for the partners of every programme; else as [`Composer::new`].
    ///
    /// # Errors
    /// The key is wrong.
    pub fn with_templates(settings: &Settings, message_id_key: &[u8], templates: impl Into<Arc<Set>>) -> Result<Self, Error> {
        Ok(Self {
            letterhead: letterhead(settings)?,
            templates: templates.into(),
            signer: signing::signer(&settings.dkim)?,
            settings: settings.clone(),
            rules: Rules::from_settings(settings),
            marks: marks(settings, message_id_key),
            message_id_domain: sender_domain(settings),
            return_to: None,
            programmes: BTreeMap::new(),
        })
    }

    /// Returns the settings that it writes by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells whether what was handed over is kept (`mail.keep_sent`).
    pub fn keeps_sent(&self) -> bool {
        !self.settings.mail.keep_sent.is_zero()
    }

    /// Returns the templates that it writes from.
    pub fn templates(&self) -> &Set {
        &self.templates
    }

    /// Returns who writes to the partners of a programme; itself where there is none of that name.
    pub fn of_programme(&self, name: Option<&str>) -> &Self {
        name.and_then(|name| self.programmes.get(name)).unwrap_or(self)
    }

    /// Returns who writes a letter, by the programme of its partner.
    pub fn of_letter(&self, letter: &Letter) -> &Self {
        self.of_programme(letter.partner.as_ref().and_then(|partner| partner.programme.as_deref()))
    }

    /// Returns the Message-ID of a delivery, without angle brackets.
    pub fn message_id(&self, delivery_id: i64) -> String {
        format!("{}@{}", self.marks.message(delivery_id), self.message_id_domain)
    }

    /// Returns the marks by which its mails are known again.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Composes the mail of a letter at `now`: from the sender, with the look and within the limits of its partner's programme.
    ///
    /// # Errors
    /// There is nothing left to say, or the mail cannot be written.
    pub fn compose(&self, letter: &Letter, now: Timestamp) -> Result<Composed, NoMail> {
        if letter.leads.is_empty() {
            return Err(NoMail::NothingLeft);
        }
        self.of_letter(letter).write(letter, now)
    }

    fn write(&self, letter: &Letter, now: Timestamp) -> Result<Composed, NoMail> {
        let delivery = &letter.delivery;
        let language = self
            .templates
            .language_for(&[&delivery.language, &self.settings.mail.locale])
            .to_owned();
        let mut leads: Vec<&Lead> = letter.leads.iter().collect();
        if matches!(delivery.kind, Kind::Digest | Kind::Reminder) {
            digest::sort(&mut leads, now);
        }
        let (view, unlisted) = self.view(letter, &leads, now, &language);
        let unwritable = |error: String| NoMail::Unwritable(error);
        let rendered = self
            .templates
            .render(delivery.kind, &language, &view)
            .map_err(|error| unwritable(error.to_string()))?;
        let attachment = (delivery.kind == Kind::Digest && rendered.n_listed < leads.len()).then(|| Attachment {
            file_name: "leads.csv".to_owned(),
            content_type: "text/csv; charset=utf-8".to_owned(),
            bytes: digest_csv(view.leads.iter().chain(&unlisted)),
        });
        let message_id = self.message_id(delivery.id);
        let thread: Vec<String> = letter.thread.iter().map(|id| self.message_id(*id)).collect();
        let (to, subject) = self.redirected(&delivery.address, rendered.subject);
        let outgoing = Outgoing {
            kind: delivery.kind,
            message_id: message_id.clone(),
            // When the delivery was made, not when it is tried: a repeat bears the same bytes where nothing else has changed.
            date: delivery.created_at,
            to: to.clone(),
            to_name: delivery.name.clone(),
            subject,
            html: rendered.html,
            text: rendered.text,
            language: rendered.language,
            in_reply_to: thread.last().cloned(),
            references: thread,
            unsubscribe_url: view.unsubscribe_url.clone(),
            attachments: attachment.into_iter().collect(),
            extra_headers: Vec::new(),
        };
        let bytes = self.written(&outgoing)?;
        Ok(Composed {
            delivery_id: delivery.id,
            to,
            return_to: self.marks.return_address(delivery.id).or_else(|| self.return_to.clone()),
            message_id,
            bytes,
        })
    }

    /// Writes a mail out, and signs it.
    pub(super) fn written(&self, outgoing: &Outgoing) -> Result<Vec<u8>, NoMail> {
        let mut bytes = mail::build(&self.letterhead, outgoing).map_err(|error| NoMail::Unwritable(error.to_string()))?;
        if let Some(signer) = &self.signer {
            signing::sign(signer, &mut bytes).map_err(NoMail::Unwritable)?;
        }
        Ok(bytes)
    }

    /// In mode `redirect` every mail goes to one address, and its subject says whom it was for.
    pub(super) fn redirected(&self, address: &EmailAddress, subject: String) -> (EmailAddress, String) {
        match (self.settings.mode, &self.settings.mail.redirect_to) {
            (Mode::Redirect, Some(to)) => (to.clone(), format!("[for {address}] {subject}")),
            _ => (address.clone(), subject),
        }
    }

    /// Returns what the template may say, and the leads that it is not to list (`R-DIGEST`).
    pub(super) fn view(&self, letter: &Letter, leads: &[&Lead], now: Timestamp, language: &str) -> (View, Vec<LeadView>) {
        let delivery = &letter.delivery;
        let formats = self.templates.formats(language);
        let show = |lead: &Lead| LeadView {
            partner: letter.partner_names.get(&lead.partner_id).cloned(),
            answers: self.answers(letter, lead),
            ..self.lead_view(lead, now, letter.zone, formats)
        };
        let is_single = matches!(delivery.kind, Kind::Lead | Kind::Decline);
        let n_listed = match delivery.kind {
            Kind::Digest => digest::n_listed(leads.len(), self.settings.policy.digest_max_listed),
            Kind::Lead | Kind::Reminder | Kind::Expiry | Kind::Decline => leads.len(),
        };
        let mut shown: Vec<LeadView> = leads.iter().copied().map(show).collect();
        let unlisted = shown.split_off(n_listed);
        let lead = is_single.then(|| shown.drain(..).next()).flatten();
        let partner = letter.partner.as_ref().map(|partner| PartnerView {
            id: partner.id.to_string(),
            name: partner.name.clone().unwrap_or_else(|| partner.id.to_string()),
        });
        let view = View {
            portal: Portal {
                name: self.settings.portal.name.clone(),
                url: self.settings.portal.url.clone(),
            },
            recipient: Recipient {
                name: delivery.name.clone(),
                address: delivery.address.to_string(),
            },
            partner: partner.or_else(|| decliner(letter)),
            lead,
            mailed: letter
                .mailed
                .iter()
                .filter(|lead| !leads.iter().any(|other| other.id == lead.id))
                .map(show)
                .collect(),
            n_leads: leads.len(),
            n_urgent: leads.iter().filter(|lead| lead.urgency_at(now) == Some(Urgency::Urgent)).count(),
            n_listed,
            n_more: leads.len() - n_listed,
            has_attachment: !unlisted.is_empty(),
            unsubscribe_url: self.unsubscribe_url(letter),
            forwarded_by: delivery.forwarded_by.as_ref().map(ToString::to_string),
            leads: shown,
        };
        (view, unlisted)
    }

    /// Returns where its reader unsubscribes, in mails that he has a say in (`R-OPTOUT`).
    fn unsubscribe_url(&self, letter: &Letter) -> Option<String> {
        let has_say = !letter.delivery.kind.is_transactional();
        has_say.then(|| self.link(letter, "u", Purpose::Unsubscribe, 0)).flatten()
    }

    /// Returns where its reader answers a lead, where that is wanted.
    fn answers(&self, letter: &Letter, lead: &Lead) -> Option<AnswersView> {
        let delivery = &letter.delivery;
        let position = match delivery.kind {
            Kind::Lead => 0,
            Kind::Digest | Kind::Reminder => delivery.leads.iter().position(|id| *id == lead.id)?,
            Kind::Expiry | Kind::Decline => return None,
        };
        let position = u16::try_from(position).ok().filter(|_| self.rules.answer_links)?;
        let link = |purpose| self.link(letter, "a", purpose, position);
        Some(AnswersView {
            accept: link(Purpose::Accept)?,
            decline: link(Purpose::Decline)?,
            forward: link(Purpose::Forward)?,
        })
    }

    fn link(&self, letter: &Letter, path: &str, purpose: Purpose, position: u16) -> Option<String> {
        let (base, key) = (self.rules.public_url.as_ref()?, letter.link_key.as_ref()?);
        let claim = Claim {
            purpose,
            delivery_id: letter.delivery.id,
            position,
        };
        Some(format!("{base}/{path}/{}", key.sign(&claim)))
    }

    /// Returns what mails and pages say of a lead; who it went to and how it is answered is for the caller to add.
    pub(super) fn lead_view(&self, lead: &Lead, now: Timestamp, zone: Zone, formats: &Formats) -> LeadView {
        let told = Told::read(&lead.record);
        let is_hidden = lead.is_contact_hidden_at(now);
        let due_at = lead.expires_at;
        LeadView {
            id: lead.id.to_string(),
            customer: lead.shown_customer(now),
            deal: lead.deal.clone(),
            partner: None,
            urgency: lead.urgency_at(now).map(Urgency::as_str),
            created: formats.instant(lead.created_at, zone),
            due: due_at.map(|at| formats.instant(at, zone)).unwrap_or_default(),
            days_left: due_at.map_or(0, |at| days_left(now, at)),
            link: deep_link(&self.settings.portal.lead_url, lead.id.as_str()),
            contact: told.contact().filter(|_| !is_hidden),
            notes: told.notes().filter(|_| !is_hidden),
            country: told.country(),
            source: told.source(),
            call_to_action: told.call_to_action(),
            value: told.value(formats),
            is_spam: told.is_spam(lead.email_validity),
            answers: None,
        }
    }
}

/// Returns what all mails begin with.
///
/// # Errors
/// The sender, or where answers go, cannot stand in a header.
pub fn letterhead(settings: &Settings) -> Result<Letterhead, mail::Error> {
    let reply_to = settings.mail.reply_to.as_ref().map(ToString::to_string);
    let list_id = format!("leads.{}", sender_domain(settings));
    Letterhead::new(&settings.mail.from.to_string(), reply_to.as_deref(), Some(&list_id))
}

/// Returns the domain that mails come from, IDNA-encoded: Message-IDs and the list's id end in it.
pub fn sender_domain(settings: &Settings) -> String {
    let from = &settings.mail.from;
    mail::domain_of(from.address()).unwrap_or_else(|| from.domain().to_owned())
}

/// Returns the envelope's sender of a programme with a sender of its own, where none is set for all: bounces come back to whom the mail is from.
fn return_to(all: &Settings, own: &Settings) -> Option<String> {
    if own.mail.envelope_from.is_some() || own.mail.from == all.mail.from {
        return None;
    }
    // In ASCII (IDNA), as the header has it.
    let address: Option<EmailAddress> = own.mail.from.address().parse().ok();
    Some(address.map_or_else(|| own.mail.from.address().to_owned(), |address| address.as_str().to_owned()))
}

/// Names the partner that declined, where its record is not known here.
fn decliner(letter: &Letter) -> Option<PartnerView> {
    let lead = letter.leads.first().filter(|_| letter.delivery.kind == Kind::Decline)?;
    let name = letter
        .partner_names
        .get(&lead.partner_id)
        .cloned()
        .unwrap_or_else(|| lead.partner_id.to_string());
    Some(PartnerView {
        id: lead.partner_id.to_string(),
        name,
    })
}
