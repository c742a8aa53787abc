//! The SMTP client: one kept connection to a relay, many mails, each reply typed by the stage that it answers.
//!
//! Words and replies are lettre's (`AsyncSmtpConnection`); the stream below is [`Turn`]. What lettre's transport does not do is done here:
//! where the relay offers PIPELINING, `MAIL`, `RCPT` and `DATA` in one packet, and with the final dot of the mail before (RFC 2920 §3.1: one round trip a
//! mail); a connection that outlives a refused recipient; a timeout per stage.
//!
//! | what happens | stage | reply | `in_doubt` | connection |
//! |---|---|---|---|---|
//! | a refusal | its own | yes | no | goes on, but after 421 |
//! | no answer, or the connection ends, before the mail is out | its own | no | no | over |
//! | the same once the final dot has left us | final dot | no | **yes** | over |
//! | the relay ended a kept connection in the meantime | `MAIL`, cause `Stale` | no | no | over |
//!
//! What was asked for the next mail when the connection ended is `Stale`: its mail was never begun.
//!
//! "Has left us" means: is with the operating system. Whether it crossed the wire cannot be known, so a cut in the last packet is in doubt, too.
//!
//! Every step passes through [`Connection::hear`], once per stage, and has a kill point before and after it (`fault_point`).

use std::future::Future;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Auth, Data, Ehlo, Mail, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter, RcptParameter};
use lettre::transport::smtp::response::Response;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fault_point::hit;
use crate::mail::answer::{Offers, of_network, of_smtp, to_reply, unexpected};
use crate::mail::relay::is_one_word;
use crate::mail::stream::Turn;
use crate::mail::{Cause, Failed, Relay, Timeouts, Tls, message};
use crate::outbox::{Reply, Stage};
use crate::partner::EmailAddress;

/// Whom a mail is for, as the relay is told.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Where bounces go; empty for nowhere.
    pub from: &'a str,
    /// Who gets it.
    pub to: &'a EmailAddress,
    /// By which a report names the mail (ENVID, RFC 3461 §4.4): the left side of its Message-ID.
    pub id: Option<&'a str>,
}

/// An open conversation with a relay. One mail at a time; keep it for the next.
pub struct Connection {
    smtp: AsyncSmtpConnection,
    turn: Turn,
    offers: Offers,
    /// What it said to `EHLO`, the last time that it was asked.
    greeting: String,
    timeouts: Timeouts,
    notify_success: bool,
    /// Mails begun; the connection is a kept one from the second on.
    n_begun: u64,
    /// Whom the commands are for that left with the last mail, and whose answers are still to come.
    asked_for: Option<EmailAddress>,
    /// Nothing can be said any more, or nobody knows what an answer would answer.
    is_over: bool,
}

impl Connection {
    /// Connects, greets, encrypts and logs in, as the relay's settings demand.
    ///
    /// # Errors
    /// Any stage up to `Auth`, never in doubt. All are the relay's matter or the network's, no mail's.
    pub async fn open(relay: &Relay) -> Result<Self, Failed> {
        let limits = relay.timeouts;
        if !is_one_word(&relay.hello_name) {
            let detail = format!("{:?} is no name to say EHLO with", relay.hello_name);
            return Err(Failed::new(Stage::Ehlo, Cause::NotOffered, detail));
        }
        let hello = ClientId::Domain(relay.hello_name.clone());

        let tcp = within(
            Stage::Connect,
            limits.connect,
            TcpStream::connect((relay.host.as_str(), relay.port)),
        )
        .await?;
        let tcp = tcp.map_err(|e| Failed::new(Stage::Connect, Cause::Unreachable, format!("cannot reach {relay}: {e}")))?;
        hit("smtp.connect.after");
        let turn = Turn::over(tcp, relay.tls != Tls::None).map_err(|e| of_network(Stage::Connect, &e))?;
        if relay.tls == Tls::Implicit {
            encrypt(relay, &turn).await?;
        }

        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(turn.clone()), &hello);
        let smtp = within(Stage::Ehlo, limits.ehlo, greeted)
            .await
            .and_then(|r| r.map_err(|e| of_smtp(Stage::Ehlo, &e)));
        // Before the first turn is out, it was the greeting that went wrong.
        let smtp = smtp.map_err(|failed| {
            if turn.n_turns() == 0 {
                Failed {
                    stage: Stage::Connect,
                    ..failed
                }
            } else {
                failed
            }
        })?;

        hit("smtp.ehlo.after");

        let greeting = turn.heard();
        let offers = Offers::parse(&greeting);
        let mut this = Self {
            smtp,
            turn,
            offers,
            greeting,
            timeouts: limits,
            notify_success: relay.notify_success,
            n_begun: 0,
            asked_for: None,
            is_over: false,
        };
        match relay.tls {
            Tls::Required if !this.offers.starttls => {
                let detail = format!("{relay} does not offer STARTTLS, and its tls is \"required\"");
                return Err(Failed::new(Stage::StartTls, Cause::NotOffered, detail));
            }
            Tls::Required => this.start_tls(relay, hello).await?,
            Tls::Opportunistic if this.offers.starttls => this.start_tls(relay, hello).await?,
            Tls::Opportunistic | Tls::Implicit | Tls::None => {}
        }
        if let Some(username) = &relay.username {
            this.log_in(relay, username).await?;
        }
        this.turn.forget_heard();
        Ok(this)
    }

    /// Hands over one mail to one address. `envelope_from` is where bounces go; empty for nowhere.
    ///
    /// # Errors
    /// Those of [`Connection::send_before`].
    pub async fn send(&mut self, envelope_from: &str, to: &EmailAddress, bytes: &[u8]) -> Result<Reply, Failed> {
        let envelope = Envelope {
            from: envelope_from,
            to,
            id: None,
        };
        self.send_before(envelope, bytes, None).await
    }

    /// Hands over one mail and, where the relay offers PIPELINING, asks in the same packet for the `next` one, which has to be sent next over
    /// this connection, or this connection closed by dropping it.
    ///
    /// Three refusals are made on the relay's behalf, with the reply that it would give: an address that is none (553 5.1.3) or that needs SMTPUTF8
    /// where that is not offered (553 5.6.7), both at `RCPT`; a mail above the SIZE that the relay announced (552 5.3.4), at `DATA`. Asked, some relays
    /// refuse these at `MAIL`, where a refusal means the relay itself.
    ///
    /// # Errors
    /// See the table above, all about this mail; the next one's are told when it is sent. On [`Failed::is_stale`] open another connection and send at
    /// once; it is no attempt.
    pub async fn send_before(
        &mut self,
        envelope: Envelope<'_>,
        bytes: &[u8],
        next: Option<(Envelope<'_>, &[u8])>,
    ) -> Result<Reply, Failed> {
        let is_kept = self.n_begun > 0;
        self.n_begun += 1;
        let offered = match self.asked_for.take() {
            Some(asked_for) => {
                assert!(asked_for == *envelope.to, "what was asked for is sent");
                self.hear_offer([None, None, None]).await
            }
            None => self.offer(self.commands(&envelope, bytes)?).await,
        };
        match offered {
            Err(failed) if is_kept && self.is_over && failed.stage == Stage::MailFrom => Err(Failed {
                reply: None,
                cause: Cause::Stale,
                detail: format!("the kept connection had ended: {}", failed.detail),
                ..failed
            }),
            Err(failed) => Err(failed),
            Ok(()) => self.deliver(bytes, next).await,
        }
    }

    /// Listens on, after the answer to a final dot did not come in time, and returns it if it comes all the same and the mail was taken.
    pub async fn listen(mut self, limit: Duration) -> Option<Reply> {
        let answer = timeout(limit, self.smtp.read_response()).await.ok()?.ok()?;
        let reply = to_reply(&answer);
        (reply.code / 100 == 2).then_some(reply)
    }

    /// Tells whether the relay has been asked for a mail that was not sent yet.
    pub fn is_asked(&self) -> bool {
        self.asked_for.is_some()
    }

    /// Tells whether another mail may be tried: nothing went wrong that ends a conversation, and the relay has not ended it meanwhile.
    /// A relay that does so just now is found out by [`Connection::send`] (`Stale`).
    pub fn is_usable(&self) -> bool {
        !self.is_over && (self.asked_for.is_some() || self.turn.is_quiet())
    }

    /// Tells whether the conversation is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.turn.is_encrypted()
    }

    /// Returns what the relay offers, in upper case and with its parameters, such as `SIZE 10485760`.
    pub fn extensions(&self) -> Vec<String> {
        // The greeting of the connection (220) may stand before, and the first line says who answers.
        let lines = self.greeting.lines().filter(|line| line.starts_with("250"));
        lines
            .skip(1)
            .filter_map(|line| line.get(4..))
            .map(str::to_ascii_uppercase)
            .collect()
    }

    /// Returns the relay's certificate (DER), where the conversation is encrypted.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.turn.certificate()
    }

    /// Says goodbye, and does not wait long for an answer.
    pub async fn close(mut self) {
        if !self.is_over && self.asked_for.is_none() {
            // Every mail's fate is known by now; two seconds are courtesy.
            timeout(Duration::from_secs(2), self.smtp.quit()).await.ok();
        }
    }

    async fn start_tls(&mut self, relay: &Relay, hello: ClientId) -> Result<(), Failed> {
        match self.hear(Stage::StartTls, Some(Starttls.to_string())).await {
            // "TLS not available due to temporary reason" leaves the conversation as it was.
            Err(failed) if failed.reply.is_some() && !self.is_over && relay.tls == Tls::Opportunistic => return Ok(()),
            answer => answer?,
        };
        encrypt(relay, &self.turn).await?;
        // What the relay offered before is hearsay (RFC 3207 §4.2).
        self.hear(Stage::StartTls, Some(Ehlo::new(hello).to_string())).await?;
        self.greeting = self.turn.heard();
        self.offers = Offers::parse(&self.greeting);
        Ok(())
    }

    async fn log_in(&mut self, relay: &Relay, username: &str) -> Result<(), Failed> {
        let refuse = |detail: &str| Err(Failed::new(Stage::Auth, Cause::NotOffered, detail));
        if relay.tls == Tls::Opportunistic && !self.turn.is_encrypted() {
            return refuse(
                "the relay does not offer STARTTLS, and a password is not sent in plain; set tls to \"required\", or \"none\" if that is meant",
            );
        }
        let (secret, is_token) = relay.secret()?;
        let mechanism = match self.offers {
            Offers { auth_xoauth2: true, .. } if is_token => Mechanism::Xoauth2,
            _ if is_token => return refuse("the relay does not offer AUTH XOAUTH2 here, and a token_file is set"),
            Offers { auth_plain: true, .. } => Mechanism::Plain,
            Offers { auth_login: true, .. } => Mechanism::Login,
            _ => return refuse("the relay offers neither AUTH PLAIN nor AUTH LOGIN here, and a username is set"),
        };
        let credentials = Credentials::new(username.to_owned(), secret.expose_secret().to_owned());
        let smtp = &mut self.smtp;
        let dialogue = async {
            let mut answer = smtp.command(Auth::new(mechanism, credentials.clone(), None)?).await?;
            // LOGIN asks twice; whoever asks more often is no SMTP server.
            for _ in 0..2 {
                if u16::from(answer.code()) == 334 && is_token {
                    // The challenge says in JSON why the token is refused; an empty line asks for the refusal itself.
                    answer = smtp.command("\r\n").await?;
                } else if u16::from(answer.code()) == 334 {
                    answer = smtp
                        .command(Auth::new_from_response(mechanism, credentials.clone(), &answer)?)
                        .await?;
                }
            }
            Ok(answer)
        };
        let answer = within(Stage::Auth, self.timeouts.auth, dialogue)
            .await?
            .map_err(|e| of_smtp(Stage::Auth, &e))?;
        let reply = to_reply(&answer);
        if reply.code / 100 == 2 {
            Ok(())
        } else {
            Err(unexpected(Stage::Auth, reply))
        }
    }

    /// Writes the three commands, or refuses on the relay's behalf.
    fn commands(&self, envelope: &Envelope<'_>, bytes: &[u8]) -> Result<[String; 3], Failed> {
        let (envelope_from, to) = (envelope.from, envelope.to);
        let recipient = message::address("to", to.as_str()).map_err(|_| {
            Failed::refused(
                Stage::RcptTo,
                Reply {
                    code: 553,
                    enhanced: Some((5, 1, 3)),
                    text: "not an address (posthorn)".to_owned(),
                },
            )
        })?;
        let sender = match envelope_from {
            "" => None,
            text => {
                let wrong = |_| Failed::new(Stage::MailFrom, Cause::NotOffered, "the envelope's sender is no e-mail address");
                Some(message::address("envelope_from", text).map_err(wrong)?)
            }
        };
        let needs_utf8 = !to.as_str().is_ascii() || !envelope_from.is_ascii();
        if needs_utf8 && !self.offers.smtputf8 {
            let text = "the address needs SMTPUTF8, which the relay does not offer (posthorn)".to_owned();
            return Err(Failed::refused(
                Stage::RcptTo,
                Reply {
                    code: 553,
                    enhanced: Some((5, 6, 7)),
                    text,
                },
            ));
        }
        if let Some(max) = self.offers.size_max.filter(|max| bytes.len() as u64 > *max) {
            let text = format!("the mail has {} bytes, and the relay takes {max} (posthorn)", bytes.len());
            return Err(Failed::refused(
                Stage::Data,
                Reply {
                    code: 552,
                    enhanced: Some((5, 3, 4)),
                    text,
                },
            ));
        }
        let mut parameters = Vec::new();
        if needs_utf8 {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        // Our mails are 7-bit but for the headers of such an address; a relay with SMTPUTF8 has 8BITMIME (RFC 6531 §3.1).
        if self.offers.eight_bit && !bytes.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let mut wishes = Vec::new();
        if self.offers.dsn {
            parameters.extend(envelope.id.filter(|id| is_envid(id)).map(|id| mail_parameter("ENVID", id)));
            parameters.push(mail_parameter("RET", "HDRS"));
            let notify = if self.notify_success {
                "SUCCESS,FAILURE,DELAY"
            } else {
                "FAILURE,DELAY"
            };
            wishes.push(rcpt_parameter("NOTIFY", notify));
            // Of an address in UTF-8 the report names what the relay knows (RFC 6533 would want a form of its own).
            if to.as_str().is_ascii() && to.as_str().len() <= ORCPT_BYTES_MAX {
                wishes.push(rcpt_parameter("ORCPT", &format!("rfc822;{to}")));
            }
        }
        Ok([
            Mail::new(sender, parameters).to_string(),
            Rcpt::new(recipient, wishes).to_string(),
            Data.to_string(),
        ])
    }

    /// Gets the relay to the point where it wants the mail, or the conversation back to where it began.
    async fn offer(&mut self, commands: [String; 3]) -> Result<(), Failed> {
        let [mail, rcpt, data] = commands;
        if self.offers.pipelining {
            self.hear_offer([Some(mail + &rcpt + &data), None, None]).await
        } else {
            self.hear_offer([Some(mail), Some(rcpt), Some(data)]).await
        }
    }

    /// Says what is still to be said of the three commands, and hears the answers to all of them.
    async fn hear_offer(&mut self, words: [Option<String>; 3]) -> Result<(), Failed> {
        let mut refusal = None;
        let mut wants_mail = false;
        for (stage, words) in [Stage::MailFrom, Stage::RcptTo, Stage::Data].into_iter().zip(words) {
            match self.hear(stage, words).await {
                Ok(_) => wants_mail = stage == Stage::Data,
                Err(failed) => {
                    refusal.get_or_insert(failed);
                    if self.is_over || !self.offers.pipelining {
                        break;
                    }
                }
            }
        }
        match refusal {
            None => Ok(()),
            Some(refusal) => {
                self.start_over(wants_mail).await;
                Err(refusal)
            }
        }
    }

    /// Ends a transaction that was refused in part, so that the connection serves the next mail.
    async fn start_over(&mut self, wants_mail: bool) {
        if wants_mail && !self.is_over {
            // Pipelined, and DATA was answered 354 although nobody is left to receive: an empty mail to nobody (RFC 2920 §3.1).
            self.hear(Stage::FinalDot, Some(".\r\n".to_owned())).await.ok();
        }
        if !self.is_over && self.hear(Stage::MailFrom, Some(Rset.to_string())).await.is_err() {
            self.is_over = true;
        }
    }

    async fn deliver(&mut self, bytes: &[u8], next: Option<(Envelope<'_>, &[u8])>) -> Result<Reply, Failed> {
        let next = next.filter(|_| self.offers.pipelining).and_then(|(envelope, bytes)| {
            // What would be refused here is refused when it is sent.
            let commands = self.commands(&envelope, bytes).ok()?;
            Some((envelope.to, commands))
        });
        let (smtp, turn) = (&mut self.smtp, &self.turn);
        let dialogue = async {
            turn.write_mail(bytes).await.map_err(|e| of_network(Stage::FinalDot, &e))?;
            if let Some((_, commands)) = &next {
                turn.say(&commands.concat());
            }
            Ok(smtp.read_response().await)
        };
        let answer = within(Stage::FinalDot, self.timeouts.final_dot, dialogue).await.flatten();
        hit("smtp.dot.after");
        let reply = self.judge(Stage::FinalDot, answer);
        if !self.is_over {
            self.asked_for = next.map(|(to, _)| to.clone());
        }
        reply.map_err(|failed| {
            let in_doubt = failed.reply.is_none() && self.turn.is_dot_sent();
            Failed { in_doubt, ..failed }
        })
    }

    /// Says `words`, where there are any, and waits for the answer that belongs to `stage`.
    async fn hear(&mut self, stage: Stage, words: Option<String>) -> Result<Reply, Failed> {
        let limit = match stage {
            Stage::Connect | Stage::Ehlo => self.timeouts.ehlo,
            Stage::StartTls => self.timeouts.start_tls,
            Stage::Auth => self.timeouts.auth,
            Stage::MailFrom => self.timeouts.mail_from,
            Stage::RcptTo => self.timeouts.rcpt_to,
            Stage::Data => self.timeouts.data,
            Stage::FinalDot => self.timeouts.final_dot,
        };
        let (before, after) = kill_points(stage);
        hit(before);
        let answer = match words {
            Some(words) => within(stage, limit, self.smtp.command(words)).await,
            None => within(stage, limit, self.smtp.read_response()).await,
        };
        hit(after);
        self.judge(stage, answer)
    }

    /// Sorts an answer, and notes whether the conversation can go on.
    fn judge(&mut self, stage: Stage, answer: Result<Result<Response, SmtpError>, Failed>) -> Result<Reply, Failed> {
        let failed = match answer {
            Ok(Ok(response)) => {
                let reply = to_reply(&response);
                let is_expected = if stage == Stage::Data {
                    reply.code == 354
                } else {
                    reply.code / 100 == 2
                };
                if is_expected {
                    return Ok(reply);
                }
                unexpected(stage, reply)
            }
            Ok(Err(error)) => of_smtp(stage, &error),
            Err(timed_out) => timed_out,
        };
        // 421 announces that the relay hangs up (RFC 5321 §3.8).
        self.is_over |= failed.reply.as_ref().is_none_or(|reply| reply.code == 421);
        Err(failed)
    }
}

/// The longest ENVID and ORCPT that a relay has to take (RFC 3461 §4.4, §4.2); a longer address than any there is leaves its parameter out.
const ENVID_BYTES_MAX: usize = 100;
const ORCPT_BYTES_MAX: usize = 320;

fn is_envid(id: &str) -> bool {
    (1..=ENVID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Writes a parameter; its value is encoded as xtext (RFC 3461 §4).
fn mail_parameter(keyword: &str, value: &str) -> MailParameter {
    MailParameter::Other {
        keyword: keyword.to_owned(),
        value: Some(value.to_owned()),
    }
}

fn rcpt_parameter(keyword: &str, value: &str) -> RcptParameter {
    RcptParameter::Other {
        keyword: keyword.to_owned(),
        value: Some(value.to_owned()),
    }
}

/// Names the kill points before and after a stage; those around the mail itself are in [`Connection::deliver`] and [`Turn`].
fn kill_points(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Connect | Stage::Ehlo => ("smtp.ehlo.before", "smtp.ehlo.after"),
        Stage::StartTls => ("smtp.starttls.before", "smtp.starttls.after"),
        Stage::Auth => ("smtp.auth.before", "smtp.auth.after"),
        Stage::MailFrom => ("smtp.mail.before", "smtp.mail.after"),
        Stage::RcptTo => ("smtp.rcpt.before", "smtp.rcpt.after"),
        Stage::Data => ("smtp.data.before", "smtp.data.after"),
        Stage::FinalDot => ("smtp.nobody.before", "smtp.nobody.after"),
    }
}

async fn encrypt(relay: &Relay, turn: &Turn) -> Result<(), Failed> {
    let (config, name) = (relay.tls_config()?, relay.server_name()?);
    within(Stage::StartTls, relay.timeouts.start_tls, turn.start_tls(config, name))
        .await?
        .map_err(|e| {
            let cause = if e.kind() == io::ErrorKind::InvalidData {
                Cause::Tls
            } else {
                Cause::of_io(&e)
            };
            Failed::new(Stage::StartTls, cause, format!("cannot encrypt the connection: {e}"))
        })
}

async fn within<T>(stage: Stage, limit: Duration, work: impl Future<Output = T>) -> Result<T, Failed> {
    let late = |_| Failed::new(stage, Cause::TimedOut, format!("no answer within {limit:?}"));
    timeout(limit, work).await.map_err(late)
}
