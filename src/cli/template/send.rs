//! Sends one mail of a kind to somebody who wants to see it in his own mailbox.

use crate::cli::args::template::TemplateSendTest;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::{fresh_key, signer};
use crate::cli::template::{preview, settings};
use crate::clock::Clock;
use crate::delivery::compose::Composer;
use crate::delivery::specimen::{NotSent, send};
use crate::settings::{Mode, Transport};
use crate::template::Set;

/// `template send-test`
pub(crate) async fn send_test(args: &TemplateSendTest, ctx: &Context) -> Result<Exit, Failure> {
    signer(ctx)?;
    let settings = &settings(&args.dir, args.programme.as_deref(), ctx)?;
    if matches!(ctx.clock, Clock::Fixed(_)) && settings.mode == Mode::Live && settings.mail.transport == Transport::Smtp {
        return Err(Failure::forbidden(
            "--now is refused: this mail reaches somebody, and would bear a wrong date",
        ));
    }
    let composer = Composer::with_templates(settings, &fresh_key()?, Set::load(&settings.templates)?)?;
    let set = composer.templates();
    let language = preview::language(set, args.lang.as_deref().unwrap_or(&settings.mail.locale), ctx);
    let mut view = set.sample(args.kind, &language);
    view.recipient.address = args.address.to_string();
    if args.programme.is_some() {
        view.portal = composer.portal();
    }
    // Its links would be somebody's, and this mail is nobody's.
    view.unsubscribe_url = None;
    let rendered = set.render(args.kind, &language, &view)?;
    let mail = composer
        .specimen(args.kind, ctx.now(), &args.address, &view, rendered)
        .map_err(preview::unwritable)?;
    let said = send(settings, &mail).await.map_err(|error| match error {
        NotSent::Secret(error) => error.into(),
        NotSent::Refused(answers) => Failure::unavailable(answers),
    })?;
    let answer = serde_json::json!({ "address": mail.to, "messageId": mail.message_id, "said": said });
    ctx.out.one(&answer, |_| {
        format!("A {} mail, made of sample data, for {}: {said}.", args.kind, mail.to)
    });
    Ok(Exit::Done)
}
