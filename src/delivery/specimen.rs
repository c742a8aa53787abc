//! Mails to look at: what one would say, and one that is sent to whoever wants to see it in his own mailbox.

use crate::app::claim::Letter;
use crate::delivery::compose::{Composer, NoMail};
use crate::delivery::relay_of;
use crate::lead::Lead;
use crate::mail::{Connection, Failed, Maildir, Outgoing, Relay};
use crate::outbox::{Kind, Reply};
use crate::partner::EmailAddress;
use crate::settings::{Mode, Settings, Transport, secret};
use crate::template::{Rendered, View};
use crate::time::Timestamp;

/// A mail that tells of nothing real.
#[derive(Clone, Debug)]
pub struct Specimen {
    /// Where it goes.
    pub to: EmailAddress,
    /// Without angle brackets.
    pub message_id: String,
    /// The mail as bytes.
    pub bytes: Vec<u8>,
}

impl Composer {
    /// Returns what the template would see of a letter when it is due, in `language`.
    pub fn view_of(&self, letter: &Letter, language: &str) -> View {
        let leads: Vec<&Lead> = letter.leads.iter().collect();
        self.view(letter, &leads, letter.delivery.due_at, language).0
    }

    /// Makes a mail of rendered words, as it would be handed over. In mode `redirect` it goes where everything goes.
    ///
    /// # Errors
    /// The mail cannot be written.
    pub fn specimen(&self, kind: Kind, now: Timestamp, to: &EmailAddress, view: &View, rendered: Rendered) -> Result<Specimen, NoMail> {
        // No delivery's: it has no number to derive from.
        let message_id = format!("specimen-{kind}-{}@{}", now.as_millis(), self.message_id_domain);
        let (to, subject) = self.redirected(to, rendered.subject);
        let outgoing = Outgoing {
            kind,
            message_id: message_id.clone(),
            date: now,
            to: to.clone(),
            to_name: view.recipient.name.clone(),
            subject,
            html: rendered.html,
            text: rendered.text,
            language: rendered.language,
            in_reply_to: None,
            references: Vec::new(),
            unsubscribe_url: view.unsubscribe_url.clone(),
            attachments: Vec::new(),
            extra_headers: Vec::new(),
        };
        let bytes = self.written(&outgoing)?;
        Ok(Specimen { to, message_id, bytes })
    }
}

/// Why a specimen was not sent.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// The relay's password cannot be read.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// The Maildir or no relay takes it; who was asked, and each answer.
    #[error("{0}")]
    Refused(String),
}

/// Hands a specimen over, past the outbox: to the first relay that takes it, in the order of the settings. Returns in words what came of it.
///
/// # Errors
/// It cannot be handed over.
pub async fn send(settings: &Settings, mail: &Specimen) -> Result<String, NotSent> {
    if settings.mode == Mode::Dry {
        return Ok("mode is dry: it was written, and nothing left".to_owned());
    }
    let not_taken = |who: &str, why: &dyn std::fmt::Display| format!("{who} did not take it: {why}");
    if settings.mail.transport == Transport::Maildir {
        let maildir = Maildir::new(&settings.mail.maildir);
        let folder = settings.mail.maildir.display().to_string();
        let refused = |failed: &dyn std::fmt::Display| NotSent::Refused(not_taken(&folder, failed));
        maildir
            .deliver(&mail.message_id, mail.bytes.clone())
            .await
            .map_err(|failed| refused(&failed))?;
        maildir.sync().await.map_err(|failed| refused(&failed))?;
        return Ok(format!("it lies in {folder}"));
    }
    let mut answers = Vec::new();
    for configured in &settings.smtp.relays {
        let relay = relay_of(configured)?;
        match hand_over(settings, &relay, mail).await {
            Ok(reply) => return Ok(format!("{relay} took it: {reply}")),
            Err(failed) => answers.push(not_taken(&relay.to_string(), &failed)),
        }
    }
    Err(NotSent::Refused(answers.join("; ")))
}

/// Asks one relay, at a connection of its own.
async fn hand_over(settings: &Settings, relay: &Relay, mail: &Specimen) -> Result<Reply, Failed> {
    let from = settings
        .mail
        .envelope_from
        .as_ref()
        .map_or(settings.mail.from.address(), EmailAddress::as_str);
    let mut connection = Connection::open(relay).await?;
    let reply = connection.send(from, &mail.to, &mail.bytes).await;
    connection.close().await;
    reply
}
