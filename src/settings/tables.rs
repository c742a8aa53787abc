//! The tables of the configuration, one struct each: what a key means, its default, and what it allows.
//!
//! The prose for operators stands in `config/posthorn.toml`; a test holds the two together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, fs};

use crate::partner::EmailAddress;
use crate::policy::Policy;
use crate::settings::http::Http;
use crate::settings::keys::{Table, Visitor};
use crate::settings::programmes::{Branding, PROGRAMMES_MAX, Programme, is_programme_name};
use crate::settings::values::{
    has_id, is_domain, is_language, is_nats_address, is_nats_name, is_nats_subject, is_one_of_each, is_return_address, is_selector,
    is_web_address, is_within,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything that can be set. `Settings::default()` is what runs where no file and no variable says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What may leave: everything, everything to one address, or nothing.
    pub mode: Mode,
    /// The partner portal that mails speak for.
    pub portal: Portal,
    /// Where posthorn keeps what it knows.
    pub database: Database,
    /// What mails say of themselves, and by which way they leave.
    pub mail: Mail,
    /// The relays of the transport `smtp`.
    pub smtp: Smtp,
    /// How mails are signed.
    pub dkim: Dkim,
    /// What decisions read. Its `locale` is `mail.locale`, its `programmes` are the limits of `programmes`.
    pub policy: Policy,
    /// Where action items are posted.
    pub action_center: ActionCenter,
    /// The JetStream stream that leads come from.
    pub nats: Nats,
    /// Where posthorn listens, and who may speak to it.
    pub http: Http,
    /// Where bounces come from, and how long they are kept.
    pub bounces: Bounces,
    /// How customers' e-mail and phone are looked at.
    pub verify: Verify,
    /// How the worker paces itself.
    pub worker: Worker,
    /// Where mail templates are overridden, and how mails look.
    pub templates: Templates,
    /// What holds otherwise for the partners of a programme, by its name.
    pub programmes: BTreeMap<String, Programme>,
    /// What `serve` writes to its log.
    pub log: Log,
}

impl Table for Settings {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("mode", &mut self.mode);
        v.table("portal", &mut self.portal);
        v.table("database", &mut self.database);
        v.table("mail", &mut self.mail);
        v.table("smtp", &mut self.smtp);
        v.table("dkim", &mut self.dkim);
        v.table("policy", &mut self.policy);
        v.table("action_center", &mut self.action_center);
        v.table("nats", &mut self.nats);
        v.table("http", &mut self.http);
        v.table("bounces", &mut self.bounces);
        v.table("verify", &mut self.verify);
        v.table("worker", &mut self.worker);
        v.table("templates", &mut self.templates);
        v.tables("programmes", &mut self.programmes, PROGRAMMES_MAX, is_programme_name);
        v.table("log", &mut self.log);
        self.policy.locale.clone_from(&self.mail.locale);
        let limits = self.programmes.iter().map(|(name, programme)| (name.clone(), programme.limits()));
        self.policy.programmes = limits.collect();
    }
}

/// What may leave posthorn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Mail goes to whom it is for.
    #[default]
    Live,
    /// Every mail goes to `mail.redirect_to`.
    Redirect,
    /// Nothing leaves.
    Dry,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Redirect => "redirect",
            Self::Dry => "dry",
        })
    }
}

/// Table `portal`.
#[derive(Clone, Debug)]
pub struct Portal {
    /// Its name, in greetings and footers.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The deep link of a lead; `{id}` stands for its id.
    pub lead_url: String,
    /// Who hears of an expired lead that has no reachable sending partner (`R-EXPIRY`).
    pub lead_desk: Option<EmailAddress>,
    /// Below which address the resources lie that the portal's webhook names; unset: they are not fetched.
    pub resource_url: Option<String>,
    /// The file that holds the bearer token for them.
    pub resource_token_file: Option<PathBuf>,
}

/// The portal of a configuration that names none: a name that RFC 2606 keeps free, so that nothing real is ever addressed.
pub(crate) const EXAMPLE_URL: &str = "https://portal.example";
pub(crate) const EXAMPLE_FROM: &str = "Partner portal <leads@portal.example>";

impl Default for Portal {
    fn default() -> Self {
        Self {
            name: "Partner portal".into(),
            url: EXAMPLE_URL.into(),
            lead_url: format!("{EXAMPLE_URL}/leads/{{id}}"),
            lead_desk: None,
            resource_url: None,
            resource_token_file: None,
        }
    }
}

impl Table for Portal {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("name", &mut self.name);
        v.checked("url", &mut self.url, |url| is_web_address(url));
        v.checked("lead_url", &mut self.lead_url, |url| is_web_address(url).and_then(|()| has_id(url)));
        v.key("lead_desk", &mut self.lead_desk);
        v.checked("resource_url", &mut self.resource_url, |url| {
            url.as_deref().map_or(Ok(()), is_web_address)
        });
        v.key("resource_token_file", &mut self.resource_token_file);
    }
}

/// Table `database`.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which database.
    pub url: DatabaseUrl,
    /// Connections kept at most; on SQLite these are readers, beside the one writer.
    pub max_connections: u32,
}

/// The address of a database; its `Debug` and [`DatabaseUrl::masked`] hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub(crate) String);

impl Default for Database {
    fn default() -> Self {
        // Eight: as many as the worker has mails under way, so that recording never waits for a connection.
        Self {
            url: DatabaseUrl("sqlite:posthorn.db".into()),
            max_connections: 8,
        }
    }
}

impl Table for Database {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("url", &mut self.url);
        v.bounded("max_connections", &mut self.max_connections, 2..=200);
    }
}

/// Table `mail`.
#[derive(Clone, Debug)]
pub struct Mail {
    /// By which way mail leaves.
    pub transport: Transport,
    /// Who mails come from.
    pub from: Sender,
    /// Where answers go.
    pub reply_to: Option<Sender>,
    /// The envelope's sender, to which bounces come back; `from`'s address where unset. `{id}` in it stands for a mark of the mail (VERP).
    pub envelope_from: Option<EmailAddress>,
    /// The Maildir of the transport `maildir`.
    pub maildir: PathBuf,
    /// Where mode `redirect` sends everything.
    pub redirect_to: Option<EmailAddress>,
    /// The language where neither contact nor partner names one (`R-LOCALE`).
    pub locale: String,
    /// Whether mails about leads carry links to accept, decline or send on.
    pub answer_links: bool,
    /// How long the bytes of what was handed over are kept; zero: they are not.
    pub keep_sent: Duration,
}

/// By which way mail leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Into files.
    #[default]
    Maildir,
    /// To the relays of table `smtp`.
    Smtp,
}

/// A sender as a header names it: an address, perhaps with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(pub(crate) lettre::message::Mailbox);

impl Sender {
    /// Returns the bare address.
    pub fn address(&self) -> &str {
        self.0.email.as_ref()
    }

    /// Returns the name beside it.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Returns what stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            transport: Transport::Maildir,
            from: Sender(EXAMPLE_FROM.parse().expect("the default sender is one of the tests' cases")),
            reply_to: None,
            envelope_from: None,
            maildir: "mail/".into(),
            redirect_to: None,
            locale: "en".into(),
            answer_links: false,
            keep_sent: Duration::ZERO,
        }
    }
}

impl Table for Mail {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("transport", &mut self.transport);
        v.key("from", &mut self.from);
        v.key("reply_to", &mut self.reply_to);
        v.checked("envelope_from", &mut self.envelope_from, |address| {
            address.as_ref().map_or(Ok(()), is_return_address)
        });
        v.key("maildir", &mut self.maildir);
        v.key("redirect_to", &mut self.redirect_to);
        v.checked("locale", &mut self.locale, |tag| is_language(tag));
        v.key("answer_links", &mut self.answer_links);
        v.bounded("keep_sent", &mut self.keep_sent, Duration::ZERO..=365 * DAY);
    }
}

pub use crate::settings::smtp::{Domain, Relay, Smtp, Tls};

/// Table `dkim`: all three keys are set, or none.
#[derive(Clone, Debug, Default)]
pub struct Dkim {
    /// Whose signature it is (`d=`).
    pub domain: Option<String>,
    /// Which of the domain's keys (`s=`).
    pub selector: Option<String>,
    /// The file that holds the private key (PEM).
    pub key_file: Option<PathBuf>,
}

impl Table for Dkim {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.checked("domain", &mut self.domain, |domain| domain.as_deref().map_or(Ok(()), is_domain));
        v.checked("selector", &mut self.selector, |selector| {
            selector.as_deref().map_or(Ok(()), is_selector)
        });
        v.key("key_file", &mut self.key_file);
    }
}

/// Table `policy`; the struct is the core's, its `locale` comes from `mail.locale`.
impl Table for Policy {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.bounded("digest_threshold", &mut self.digest_threshold, 0..=1_000_000);
        v.key("digest_cron", &mut self.digest_cron);
        v.key("time_zone", &mut self.time_zone);
        v.key("urgent_singly", &mut self.urgent_singly);
        // A listed lead takes about 500 bytes of HTML: a thousand are half a megabyte, past which mailboxes clip or refuse.
        v.bounded("digest_max_listed", &mut self.digest_max_listed, 1..=1000);
        v.key("digest_includes_mailed", &mut self.digest_includes_mailed);
        v.bounded("confirm_above", &mut self.confirm_above, 0..=1_000_000_000);
        v.checked("recipient_rungs", &mut self.recipient_rungs, |rungs| is_one_of_each(rungs));
        v.bounded("urgent_for", &mut self.urgent_for, Duration::ZERO..=365 * DAY);
        v.bounded("expire_after", &mut self.expire_after, HOUR..=3650 * DAY);
        v.bounded("remind_before", &mut self.remind_before, Duration::ZERO..=365 * DAY);
        v.key("remind_by_mail", &mut self.remind_by_mail);
        v.bounded("archive_after_months", &mut self.archive_after_months, 1..=1200);
        v.checked("erase_after", &mut self.erase_after, |span| {
            is_within(*span, &(HOUR..=36_500 * DAY))
        });
    }
}

/// Table `action_center`.
#[derive(Clone, Debug, Default)]
pub struct ActionCenter {
    /// Where items are posted; unset: nowhere, `actions list` has them all the same.
    pub url: Option<String>,
    /// The file that holds the key by which posts are signed (Standard Webhooks).
    pub secret_file: Option<PathBuf>,
}

impl Table for ActionCenter {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.checked("url", &mut self.url, |url| url.as_deref().map_or(Ok(()), is_web_address));
        v.key("secret_file", &mut self.secret_file);
    }
}

/// Table `nats`.
#[derive(Clone, Debug)]
pub struct Nats {
    /// The server that leads come from; unset: none do.
    pub url: Option<String>,
    /// The JetStream stream; made where there is none.
    pub stream: String,
    /// The durable consumer that all workers share; made where there is none.
    pub consumer: String,
    /// Which of the stream's messages are leads, and what a stream that is made takes.
    pub subject: String,
    /// The account; it goes with `password_file`.
    pub username: Option<String>,
    /// The file that holds its password.
    pub password_file: Option<PathBuf>,
    /// The file that holds a token, where the server wants one.
    pub token_file: Option<PathBuf>,
    /// The authority that the server's certificate is checked against, in PEM; beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: None,
            stream: "LEADS".into(),
            consumer: "posthorn".into(),
            subject: "leads.>".into(),
            username: None,
            password_file: None,
            token_file: None,
            ca_file: None,
        }
    }
}

impl Table for Nats {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.checked("url", &mut self.url, |url| url.as_deref().map_or(Ok(()), is_nats_address));
        v.checked("stream", &mut self.stream, |name| is_nats_name(name));
        v.checked("consumer", &mut self.consumer, |name| is_nats_name(name));
        v.checked("subject", &mut self.subject, |subject| is_nats_subject(subject));
        v.key("username", &mut self.username);
        v.key("password_file", &mut self.password_file);
        v.key("token_file", &mut self.token_file);
        v.key("ca_file", &mut self.ca_file);
    }
}

/// Table `bounces`.
#[derive(Clone, Debug)]
pub struct Bounces {
    /// A Maildir that `serve` takes bounces from; unset: none.
    pub maildir: Option<PathBuf>,
    /// How long that is kept which matched no mail.
    pub keep: Duration,
}

impl Default for Bounces {
    fn default() -> Self {
        // A month: somebody looks at the list within it, and what came holds names and addresses of people.
        Self {
            maildir: None,
            keep: 30 * DAY,
        }
    }
}

impl Table for Bounces {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("maildir", &mut self.maildir);
        v.bounded("keep", &mut self.keep, HOUR..=365 * DAY);
    }
}

/// Table `verify`.
#[derive(Clone, Debug)]
pub struct Verify {
    /// Whether the DNS is asked for the domains of customers' e-mail addresses.
    pub mx: bool,
    /// Which server is asked; unset: the system's.
    pub nameserver: Option<SocketAddr>,
    /// Domains that are known for spam, beside the built-in list.
    pub spam_domains: Vec<String>,
    /// A file with more of them, one a line.
    pub spam_domains_file: Option<PathBuf>,
    /// Domains that are not, whatever lists say.
    pub allowed_domains: Vec<String>,
    /// What stands in `spam_domains_file`; read with the configuration, and set by no key.
    pub listed: Vec<String>,
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            mx: true,
            nameserver: None,
            spam_domains: Vec::new(),
            spam_domains_file: None,
            allowed_domains: Vec::new(),
            listed: Vec::new(),
        }
    }
}

impl Table for Verify {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("mx", &mut self.mx);
        v.key("nameserver", &mut self.nameserver);
        v.checked("spam_domains", &mut self.spam_domains, |domains| are_domains(domains));
        v.key("spam_domains_file", &mut self.spam_domains_file);
        v.checked("allowed_domains", &mut self.allowed_domains, |domains| are_domains(domains));
    }
}

impl Verify {
    /// Returns all domains that the operator knows for spam.
    pub fn spam_domains(&self) -> impl Iterator<Item = &str> {
        self.spam_domains.iter().chain(&self.listed).map(String::as_str)
    }

    /// Reads `spam_domains_file`.
    pub(crate) fn read_file(&mut self) -> Result<(), String> {
        let Some(file) = &self.spam_domains_file else { return Ok(()) };
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        self.listed.clear();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            is_domain(line).map_err(|wrong| format!("{}:{number}: {wrong}", file.display()))?;
            self.listed.push(line.to_owned());
        }
        Ok(())
    }
}

fn are_domains(domains: &[String]) -> Result<(), String> {
    domains.iter().try_for_each(|domain| is_domain(domain))
}

/// Table `worker`.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Mails under way at once, over all relays.
    pub connections: u32,
    /// Deliveries claimed at once at most.
    pub batch: u32,
    /// How long a worker's claim outlives its last sign of life.
    pub lease: Duration,
    /// How long `serve` waits for conversations to end when it is stopped.
    pub drain: Duration,
    /// What becomes of a mail whose final reply never came.
    pub in_doubt: InDoubt,
    /// When a mail in doubt is sent again.
    pub resend_after: Duration,
}

pub use crate::outbox::delivery::InDoubt;

impl Default for Worker {
    fn default() -> Self {
        Self {
            connections: 8,
            // Five hundred mails of 9 kB are 4.5 MB in memory, and keep eight connections busy for longer than a claim takes.
            batch: 500,
            lease: 15 * SECOND,
            // Below the 90 s after which systemd kills what it stops.
            drain: 30 * SECOND,
            in_doubt: InDoubt::Resend,
            resend_after: 15 * MINUTE,
        }
    }
}

impl Table for Worker {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.bounded("connections", &mut self.connections, 1..=200);
        v.bounded("batch", &mut self.batch, 1..=10_000);
        v.bounded("lease", &mut self.lease, SECOND..=10 * MINUTE);
        v.bounded("drain", &mut self.drain, Duration::ZERO..=10 * MINUTE);
        v.key("in_doubt", &mut self.in_doubt);
        v.bounded("resend_after", &mut self.resend_after, Duration::ZERO..=7 * DAY);
    }
}

/// Table `templates`.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    /// A folder whose files take the place of the built-in ones of the same name.
    pub dir: Option<PathBuf>,
    /// The folder over that one; set by [`Settings::of_programme`], and by no key.
    pub programme_dir: Option<PathBuf>,
    /// How mails look.
    pub branding: Branding,
}

impl Table for Templates {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("dir", &mut self.dir);
        v.table("branding", &mut self.branding);
    }
}

/// Table `log`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Down to which weight `serve` writes.
    pub level: Level,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The weight of a log line, heaviest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A person must act.
    Error,
    /// Degraded, heals by itself.
    Warn,
    /// Start, stop, one line a batch, each failure.
    #[default]
    Info,
    /// Each delivery and decision.
    Debug,
    /// The wire.
    Trace,
}

impl Table for Log {
    fn visit<V: Visitor>(&mut self, v: &mut V) {
        v.key("format", &mut self.format);
        v.key("level", &mut self.level);
    }
}
