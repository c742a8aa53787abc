//! Shows a digest as it would be mailed: closed, resolved and composed by the very code that does it, and taken back.

use std::collections::BTreeSet;

use mail_parser::{MessageParser, MimeHeaders};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::claim::{Letter, preview_digest};
use crate::app::fire::{Run, run};
use crate::app::{self, Rules};
use crate::delivery::compose::{Composer, NoMail};
use crate::lead::Lead;
use crate::partner::PartnerId;
use crate::policy::digest;
use crate::store::Store;
use crate::time::Timestamp;

/// A digest as it would be mailed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// What a run would do.
    #[serde(flatten)]
    pub run: Run,
    /// The mails.
    pub value: Vec<PreviewedMail>,
}

/// A mail that a digest would be.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewedMail {
    /// Where it would go.
    pub address: String,
    /// Its language.
    pub language: String,
    /// One line.
    pub subject: String,
    /// The leads that it tells of, in its order.
    pub leads: Vec<String>,
    /// The plain text.
    pub text: String,
    /// The HTML.
    pub html: String,
    /// The names of what is attached.
    pub attachments: Vec<String>,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The use case refused it.
    #[error(transparent)]
    App(#[from] app::Error),
    /// A template failed.
    #[error("{0}")]
    Unwritable(String),
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::App(error.into())
    }
}

/// Shows a partner's digest as it would be mailed at `now`. Changes nothing.
///
/// # Errors
/// The partner is unknown, a template fails, or the database cannot be used.
pub async fn preview(store: &Store, now: Timestamp, rules: &Rules, composer: &Composer, partner: &PartnerId) -> Result<Preview, Error> {
    // The dry run says who is passed over, and refuses an unknown partner.
    let runs = run(store, now, rules, &BTreeSet::from([partner.clone()]), true, None).await?;
    let run = runs.value.into_iter().next().expect("a run answers for each partner");
    let mut value = Vec::new();
    for letter in preview_digest(store, now, rules, partner).await? {
        value.extend(compose(composer, &letter, now)?);
    }
    Ok(Preview { run, value })
}

fn compose(composer: &Composer, letter: &Letter, now: Timestamp) -> Result<Option<PreviewedMail>, Error> {
    let composed = match composer.compose(letter, now) {
        Ok(composed) => composed,
        Err(NoMail::NothingLeft) => return Ok(None),
        Err(NoMail::Unwritable(why)) => return Err(Error::Unwritable(why)),
    };
    // Taken apart again as a mailbox does, so that what is shown is what would arrive.
    let message = MessageParser::default().parse(&composed.bytes);
    let message = message.ok_or_else(|| Error::Unwritable("the mail that was composed cannot be read".to_owned()))?;
    let mut leads: Vec<&Lead> = letter.leads.iter().collect();
    digest::sort(&mut leads, now);
    let attachments = message
        .attachments()
        .filter_map(|part| part.attachment_name().map(str::to_owned))
        .collect();
    Ok(Some(PreviewedMail {
        address: letter.delivery.address.to_string(),
        language: letter.delivery.language.clone(),
        subject: message.subject().unwrap_or_default().to_owned(),
        leads: leads.into_iter().map(|lead| lead.id.as_str().to_owned()).collect(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        html: message.body_html(0).unwrap_or_default().into_owned(),
        attachments,
    }))
}
