//! Asks the DNS for what is published of the sender, and has it judged.

use crate::delivery::signing;
use crate::dns::Resolver;
use crate::dns::answers::{Answer, Answers, Question};
use crate::doctor::dmarc::Sender;
use crate::doctor::probe::{Asked, Seen};
use crate::doctor::probe_relay::addresses_of;
use crate::doctor::report::{Area, Check};
use crate::doctor::{dkim, dmarc, mailbox, spf};
use crate::partner::EmailAddress;
use crate::settings::Transport;

const AREA: Area = Area::Dns;

/// Questions that are asked in all: ten look-ups of SPF with ten exchangers each, two walks of eight, and what else there is.
const QUESTIONS_MAX: usize = 200;

pub(super) async fn look(asked: &Asked<'_>, resolver: &Resolver) -> Seen {
    let settings = asked.settings();
    let is_smtp = settings.mail.transport == Transport::Smtp;
    if !is_smtp && settings.dkim.domain.is_none() {
        let found = "Not looked at: mail goes into a Maildir, and nothing is signed.";
        return vec![Check::passed_over(AREA, "dns", found)].into();
    }
    let from = ascii(settings.mail.from.domain());
    let envelope = ascii(
        settings
            .mail
            .envelope_from
            .as_ref()
            .map_or(settings.mail.from.domain(), EmailAddress::domain),
    );
    let dkim_domain = settings.dkim.domain.as_deref().map(ascii);
    let mut desk = Desk {
        resolver,
        known: Answers::default(),
        n_asked: 0,
    };

    let mut checks = vec![desk.settle("spf", |known| spf::judge(&envelope, known)).await];
    if resolver.is_away() {
        let found = format!("Not looked at: no resolver answers ({}).", resolver.shown());
        let advice = "See that this machine reaches the DNS, or name a resolver with --resolver ADDRESS:PORT.";
        return vec![Check::not_checked(AREA, "dns", found, advice)].into();
    }
    for relay in settings.smtp.relays.iter().filter(|_| is_smtp) {
        let shown = format!("{}:{}", relay.host, relay.port);
        if let Ok(addresses) = addresses_of(relay).await {
            checks.push(
                desk.settle("spf.relay", |known| spf::judge_relay(&envelope, &shown, &addresses, known))
                    .await,
            );
        }
    }
    checks.push(look_at_key(asked, &mut desk).await);
    let sender = Sender {
        from: &from,
        dkim: dkim_domain.as_deref(),
        envelope: &envelope,
    };
    checks.extend(desk.settle_all("dmarc", |known| dmarc::judge(sender, known).map(Vec::from)).await);
    let nobody = "nobody can answer a mail";
    // Answers go to reply_to, where it is set.
    match &settings.mail.reply_to {
        Some(reply_to) => {
            let domain = ascii(reply_to.domain());
            checks.push(
                desk.settle("mx.reply_to", |known| {
                    mailbox::judge("mx.reply_to", "mail.reply_to", &domain, nobody, known)
                })
                .await,
            );
        }
        None => checks.push(
            desk.settle("mx.from", |known| mailbox::judge("mx.from", "mail.from", &from, nobody, known))
                .await,
        ),
    }
    if envelope != from || settings.mail.reply_to.is_some() {
        let lost = "no bounce comes back";
        let judge = |known: &Answers| mailbox::judge("mx.bounce", "mail.envelope_from", &envelope, lost, known);
        checks.push(desk.settle("mx.bounce", judge).await);
    }
    checks.into()
}

async fn look_at_key(asked: &Asked<'_>, desk: &mut Desk<'_>) -> Check {
    match signing::signer(&asked.settings().dkim) {
        Ok(Some(signer)) => {
            let (name, expected) = signer.record();
            desk.settle("dkim", |known| dkim::judge(&name, &expected, known)).await
        }
        Ok(None) => Check::not_checked(
            AREA,
            "dkim",
            "posthorn signs nothing ([dkim] is not set); whether the relay does cannot be seen from here.",
            "Send a mail to a mailbox elsewhere and look for dkim=pass in its Authentication-Results; if it is not there, sign: docs/guides/sign-mail.md.",
        ),
        Err(_) => Check::passed_over(AREA, "dkim", "Not looked at: the key that mails are signed with cannot be read."),
    }
}

/// Asks what the judges want to know.
struct Desk<'a> {
    resolver: &'a Resolver,
    known: Answers,
    n_asked: usize,
}

impl Desk<'_> {
    async fn settle(&mut self, name: &'static str, judge: impl Fn(&Answers) -> Result<Check, Question>) -> Check {
        let mut checks = self.settle_all(name, |known| judge(known).map(|check| vec![check])).await;
        checks.pop().expect("a judge says something")
    }

    async fn settle_all(&mut self, name: &'static str, judge: impl Fn(&Answers) -> Result<Vec<Check>, Question>) -> Vec<Check> {
        loop {
            let question = match judge(&self.known) {
                Ok(checks) => return checks,
                Err(question) => question,
            };
            if self.n_asked >= QUESTIONS_MAX {
                let found = format!("Given up after {QUESTIONS_MAX} questions to the DNS: the records lead too far.");
                return vec![Check::not_checked(AREA, name, found, "Make the SPF record name fewer others.")];
            }
            self.n_asked += 1;
            let answer: Answer = self.resolver.ask(&question).await;
            self.known.learn(question, answer);
        }
    }
}

fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}
