//! Plays six months of a portal in a rehearsal database, by the very commands that people type.
//!
//! The data lies in `config/demo/` and is compiled in, so that the demo runs from any folder, with nothing installed and no network. Configuration and
//! environment are left alone on purpose: a demo must not find the real database.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use mail_parser::{MessageParser, MimeHeaders};

use crate::cli::args::setup::Demo;
use crate::cli::args::{self};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::clock::Clock;
use crate::partner::PartnerId;
use crate::policy::channel::Channel;
use crate::settings::{Environment, load_from};
use crate::store::{history, leads, partners};
use crate::time::Timestamp;

/// Partners and leads of the demo.
static DATA: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/demo");

/// Columns that a terminal has at least.
const WIDTH: usize = 80;
/// Partners and leads that the demo has at most.
const PAGE: i64 = 1000;

/// `demo`
pub(crate) async fn demo(args: &Demo, ctx: &Context) -> Result<Exit, Failure> {
    let folder = make_folder(args.folder.as_deref())?;
    let mut stage = Stage {
        folder,
        seen: BTreeSet::new(),
        n_mails: 0,
    };
    stage.set_up()?;
    let shown = stage.folder.display().to_string();
    ctx.out.line(format!("posthorn demo: six months of a partner portal, in {shown}/"));
    ctx.out
        .line("Each line that begins with $ is a command that you can type yourself.");

    stage.scene(ctx, "Monday 2 March 2026, 09:00 in Berlin: partners and leads come in");
    let monday = "2026-03-02T08:00:00Z";
    stage.run(ctx, monday, &["partners", "import", "partners.json"]).await?;
    stage.run(ctx, monday, &["import", "leads.ndjson"]).await?;
    stage
        .run(ctx, monday, &["import", "--partner", "orchard", "marketplace.ndjson"])
        .await?;
    stage.run(ctx, monday, &["rejected", "list"]).await?;
    stage.who_is_told(ctx, monday).await?;
    stage.work(ctx, monday).await?;

    stage.scene(ctx, "The same day, 17:00 in Berlin: the digest fires");
    stage.work(ctx, "2026-03-02T16:00:00Z").await?;
    stage.show_newest(ctx, "digest")?;

    stage.scene(ctx, "Tuesday 3 March, 10:00 in Berlin: a partner answers two of its leads");
    let tuesday = "2026-03-03T09:00:00Z";
    stage
        .run(
            ctx,
            tuesday,
            &[
                "leads",
                "accept",
                "ref-10403",
                "--deal-name",
                "Zählerdaten Uferstadt",
                "--value",
                "48000",
                "--currency",
                "EUR",
                "--by",
                "jule",
            ],
        )
        .await?;
    stage
        .run(
            ctx,
            tuesday,
            &[
                "leads",
                "decline",
                "ref-10404",
                "--reason",
                "no capacity this quarter",
                "--by",
                "jule",
            ],
        )
        .await?;
    ctx.out
        .line("The customer of the declined lead is asked to choose another partner:");
    stage.work(ctx, tuesday).await?;

    stage.scene(ctx, "Thursday 5 March, 15:00 UTC: 72 hours on, and a short deadline has passed");
    let thursday = "2026-03-05T15:00:00Z";
    stage.work(ctx, thursday).await?;
    ctx.out
        .line("Senders, or the lead desk, hear of an expired lead when the hour is over:");
    stage.work(ctx, "2026-03-05T16:00:00Z").await?;
    stage.run(ctx, thursday, &["actions", "list", "--partner", "bluepeak"]).await?;

    stage.scene(ctx, "Monday 16 March, 12:00 UTC: nobody answered the rest within 14 days");
    stage.work(ctx, "2026-03-16T12:00:00Z").await?;
    stage.work(ctx, "2026-03-16T13:00:00Z").await?;
    stage.show_newest(ctx, "expiry")?;

    stage.scene(ctx, "Wednesday 2 September: informational leads are archived after six months");
    let september = "2026-09-02T08:00:00Z";
    stage.work(ctx, september).await?;
    stage.run(ctx, september, &["explain", "ref-10412"]).await?;
    stage.run(ctx, september, &["audit"]).await?;

    stage.farewell(ctx);
    Ok(Exit::Done)
}

/// The demo's folder, and what of its mails has been shown.
struct Stage {
    folder: PathBuf,
    seen: BTreeSet<PathBuf>,
    n_mails: usize,
}

impl Stage {
    /// Writes the data and a configuration that keeps everything within the folder.
    fn set_up(&self) -> Result<(), Failure> {
        for file in DATA.files() {
            self.write(&self.folder.join(file.path()), file.contents())?;
        }
        let here = fs::canonicalize(&self.folder).map_err(|error| cannot("find", &self.folder, &error))?;
        let quoted = |name: &str| toml::Value::String(here.join(name).display().to_string()).to_string();
        let database = toml::Value::String(format!("sqlite:{}", here.join("posthorn.db").display()));
        let config = format!(
            "# Made by `posthorn demo`: everything stays in this folder.\n\
             [portal]\nname = \"Demo portal\"\nlead_desk = \"lead-desk@portal.example\"\n\n\
             [database]\nurl = {database}\n\n[mail]\nfrom = \"Demo portal <leads@portal.example>\"\nmaildir = {}\n\n\
             # No name server is asked for the domains of made-up people.\n[verify]\nmx = false\n",
            quoted("maildir")
        );
        self.write(&self.folder.join("posthorn.toml"), config.as_bytes())?;
        let mails = self.folder.join("mails");
        fs::create_dir(&mails).map_err(|error| cannot("make", &mails, &error))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        fs::write(path, bytes).map_err(|error| cannot("write", path, &error))
    }

    fn scene(&self, ctx: &Context, title: &str) {
        ctx.out.line(format!("\n== {title}"));
    }

    /// Runs a command as it would be typed within the folder, and shows it.
    async fn run(&self, ctx: &Context, now: &str, words: &[&str]) -> Result<(), Failure> {
        let shown: Vec<String> = words
            .iter()
            .map(|word| {
                if word.contains(' ') {
                    format!("\"{word}\"")
                } else {
                    (*word).to_owned()
                }
            })
            .collect();
        ctx.out.line(format!(
            "\n{}",
            wrapped(&format!("$ posthorn --now {now} {}", shown.join(" ")), "    ")
        ));
        let in_folder: Vec<String> = words
            .iter()
            .map(|word| match DATA.contains(word) {
                true => self.folder.join(word).display().to_string(),
                false => (*word).to_owned(),
            })
            .collect();
        let line = ["posthorn".to_owned(), "--now".to_owned(), now.to_owned()]
            .into_iter()
            .chain(in_folder);
        let parsed = args::parse(line).map_err(|error| Failure::usage(error.render()))?;
        let inner = self.context(now, ctx.out.is_json())?;
        ctx.out.finish()?;
        // The demo is a command that runs commands; the box ends the recursion of types.
        Box::pin(super::dispatch(parsed.command, &inner)).await?;
        inner.out.finish()
    }

    fn context(&self, now: &str, is_json: bool) -> Result<Context, Failure> {
        let nothing = Environment::new(std::iter::empty());
        Ok(Context {
            loaded: load_from(Some(&self.folder.join("posthorn.toml")), &nothing, &[])?,
            fault: None,
            clock: Clock::Fixed(now.parse::<Timestamp>().map_err(Failure::usage)?),
            out: Output::to_stdout(is_json, true),
        })
    }

    /// Says how each lead reaches its partner, and why some are mailed to nobody.
    async fn who_is_told(&self, ctx: &Context, now: &str) -> Result<(), Failure> {
        let inner = self.context(now, false)?;
        let session = Session::open(&inner).await?;
        let mut tx = session.store.read().await?;
        let mut ids: Vec<PartnerId> = partners::list_partners(&mut tx, "", PAGE)
            .await?
            .into_iter()
            .map(|partner| partner.id)
            .collect();
        ids.sort();
        ctx.out.line("\nHow they reach their partners:");
        let mut others = Vec::new();
        for id in ids {
            let of_partner = leads::list_of_partner(&mut tx, &id, 0, PAGE).await?;
            let count = |channel| of_partner.iter().filter(|lead| lead.channel == Some(channel)).count();
            let (singles, deferred) = (count(Channel::Single), count(Channel::Digest));
            ctx.out
                .line(format!("  {id:<12} {singles:>2} mailed singly, {deferred} wait for the digest"));
            others.extend(
                of_partner
                    .into_iter()
                    .filter(|lead| !matches!(lead.channel, Some(Channel::Single | Channel::Digest))),
            );
        }
        ctx.out.line("\nWho is not mailed, and why:");
        for lead in others {
            let why = history::list_of_lead(&mut tx, &lead.id)
                .await?
                .into_iter()
                .next()
                .map(|entry| entry.event)
                .unwrap_or_default();
            ctx.out.line(wrapped(&format!("  {} {why}", lead.id), "            "));
        }
        drop(tx);
        session.store.close().await;
        Ok(())
    }

    /// Works off what is due, and shows the mails that it made.
    async fn work(&mut self, ctx: &Context, now: &str) -> Result<(), Failure> {
        self.run(ctx, now, &["work", "--until-idle"]).await?;
        let inbox = self.folder.join("maildir").join("new");
        let Ok(files) = fs::read_dir(&inbox) else { return Ok(()) };
        let new: BTreeSet<PathBuf> = files
            .flatten()
            .map(|file| file.path())
            .filter(|path| !self.seen.contains(path))
            .collect();
        let mut mails = Vec::new();
        for path in new {
            let bytes = fs::read(&path).map_err(|error| cannot("read", &path, &error))?;
            mails.push(Mail::read(&bytes));
            self.seen.insert(path);
        }
        mails.sort_by(|a, b| (&a.kind, &a.to, &a.subject).cmp(&(&b.kind, &b.to, &b.subject)));
        for mail in mails {
            self.n_mails += 1;
            let stem = format!("{:03}-{}-{}", self.n_mails, mail.kind, mail.to.replace('@', "-at-"));
            self.write(&self.folder.join("mails").join(format!("{stem}.eml")), &mail.bytes)?;
            self.write(&self.folder.join("mails").join(format!("{stem}.html")), mail.html.as_bytes())?;
            self.write(&self.folder.join("mails").join(format!("{stem}.txt")), mail.text.as_bytes())?;
            ctx.out.line(cut(&format!("  {:<8} {:<34} {}", mail.kind, mail.to, mail.subject)));
        }
        Ok(())
    }

    /// Shows the plain text of the newest mail of a kind.
    fn show_newest(&self, ctx: &Context, kind: &str) -> Result<(), Failure> {
        let folder = self.folder.join("mails");
        let files = fs::read_dir(&folder).map_err(|error| cannot("read", &folder, &error))?;
        let of_kind = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(&format!("-{kind}-")))
        };
        let texts = files
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|end| end == "txt"));
        let Some(newest) = texts.filter(of_kind).max() else { return Ok(()) };
        let text = fs::read_to_string(&newest).map_err(|error| cannot("read", &newest, &error))?;
        ctx.out.line(format!("\n{} says:", newest.display()));
        for line in text.lines() {
            ctx.out.line(format!("  | {line}"));
        }
        Ok(())
    }

    fn farewell(&self, ctx: &Context) {
        let folder = self.folder.display();
        ctx.out.line(format!(
            "\n== That was it: {} mails, all in {folder}/mails/ as .eml, .html and .txt",
            self.n_mails
        ));
        ctx.out.line("Go on from here:");
        ctx.out.line(format!("  export POSTHORN_CONFIG={folder}/posthorn.toml"));
        ctx.out
            .line("  posthorn explain ref-10424           # why did this one get no mail?");
        ctx.out.line("  posthorn explain bluepeak            # a partner's whole story");
        ctx.out.line("  posthorn leads show ref-10412");
        ctx.out.line("  posthorn deliveries list");
        ctx.out.line("  posthorn rejected show 1");
        ctx.out
            .line("  posthorn --now 2026-09-02T09:00:00Z partners set-preferred-email \\");
        ctx.out.line("    harbour hello@harbour.example");
    }
}

/// A mail as it lies in the Maildir.
struct Mail {
    kind: String,
    to: String,
    subject: String,
    html: String,
    text: String,
    bytes: Vec<u8>,
}

impl Mail {
    fn read(bytes: &[u8]) -> Self {
        let parsed = MessageParser::default().parse(bytes).unwrap_or_default();
        let kind = parsed.header_raw("X-Posthorn-Kind").unwrap_or_default().trim().to_owned();
        let to = parsed
            .to()
            .and_then(|to| to.first())
            .and_then(|to| to.address())
            .unwrap_or_default()
            .to_owned();
        debug_assert!(parsed.content_type().is_some(), "posthorn writes MIME");
        Self {
            kind,
            to,
            subject: parsed.subject().unwrap_or_default().to_owned(),
            html: parsed.body_html(0).unwrap_or_default().into_owned(),
            text: parsed.body_text(0).unwrap_or_default().into_owned(),
            bytes: bytes.to_vec(),
        }
    }
}

/// Makes the folder that was named, or a new one.
fn make_folder(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(folder) = named {
        return match fs::create_dir(folder) {
            Ok(()) => Ok(folder.to_owned()),
            Err(error) => Err(cannot("make", folder, &error)),
        };
    }
    for n in 1.. {
        let folder = PathBuf::from(if n == 1 {
            "posthorn-demo".to_owned()
        } else {
            format!("posthorn-demo-{n}")
        });
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot("make", &folder, &error)),
        }
    }
    Err(Failure::unavailable("every name for the demo's folder is taken"))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::unavailable(format_args!("cannot {what} {}: {error}", path.display()))
}

/// Breaks a line at blanks so that it fits the terminal.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    let lead: String = text.chars().take_while(|c| *c == ' ').collect();
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        let is_empty = last.trim().is_empty();
        if !is_empty && last.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{indent}{word}"));
        } else {
            let gap = if is_empty { &lead } else { " " };
            last.push_str(gap);
            last.push_str(word);
        }
    }
    lines.join("\n")
}

/// Cuts a line so that it fits the terminal.
fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let kept: String = text.chars().take(WIDTH - 1).collect();
    format!("{kept}…")
}
