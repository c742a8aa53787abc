//! Real leads to try templates with: what the database holds, looked at and left alone.

use crate::app::specimen;
use crate::app::{Rules, claim::Letter};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::delivery::compose::Composer;
use crate::lead::LeadId;
use crate::outbox::Kind;
use crate::settings::{Dkim, Settings};
use crate::store::{Missing, Store};
use crate::template::Set;

/// Makes who writes mails from these templates, for mails that nobody gets: whoever looks need not be allowed to read the signing key.
pub(super) fn composer(settings: &Settings, set: Set) -> Result<Composer, Failure> {
    let unsigned = Settings {
        dkim: Dkim::default(),
        ..settings.clone()
    };
    Ok(Composer::with_templates(&unsigned, &[], set)?)
}

/// Returns the letter of a kind that would tell of a lead.
pub(super) async fn letter(ctx: &Context, kind: Kind, id: &LeadId) -> Result<Letter, Failure> {
    let (store, rules) = open(ctx).await?;
    let letter = specimen::of_lead(&store, &rules, kind, id).await;
    store.close().await;
    Ok(letter?)
}

/// Returns the letters of a kind that would tell of the newest leads.
pub(super) async fn letters(ctx: &Context, kind: Kind, limit: usize) -> Result<Vec<Letter>, Failure> {
    let (store, rules) = open(ctx).await?;
    let letters = specimen::of_newest(&store, ctx.now(), &rules, kind, limit).await;
    store.close().await;
    Ok(letters?)
}

/// No session: that would bring the database to the configured mode, and this only looks.
async fn open(ctx: &Context) -> Result<(Store, Rules), Failure> {
    let settings = ctx.settings();
    let store = Store::open(settings.database.url.expose(), settings.database.max_connections, Missing::Refuse).await?;
    Ok((store, Rules::from_settings(settings)))
}
