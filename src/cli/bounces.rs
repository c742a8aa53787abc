//! What came back of mails.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::app::bounces::{self, ListedBounce, ShownBounce, TakenBounce};
use crate::app::explain::when;
use crate::cli::args::delivery::{BounceState, BouncesImport, BouncesList, BouncesShow};
use crate::cli::args::values::Input;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::page::Page;
use crate::cli::session::Session;
use crate::cli::walk::walk;
use crate::delivery::bounce::{Raw, read_file, read_up_to, take_in_raw};
use crate::delivery::compose::marks;
use crate::outbox::mark::Marks;
use crate::partner::Zone;

/// `bounces import`
pub(crate) async fn import(args: &BouncesImport, ctx: &Context) -> Result<Exit, Failure> {
    let mails = Mails::find(&args.input)?;
    let session = Session::open(ctx).await?;
    let marks = marks(ctx.settings(), &session.identity.message_id_key);
    let mut import = Import {
        ctx,
        recipient: args.recipient.as_deref(),
        taken: Vec::new(),
        n_refused: 0,
        is_next_told: false,
    };
    match mails {
        Mails::Standard(bytes) => import.one(&session, &marks, "-", &bytes).await?,
        Mails::Files(files) => {
            for file in files {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                match read_file(&file).await {
                    Ok(bytes) => import.one(&session, &marks, &name, &bytes).await?,
                    Err(error) => import.refuse(format_args!("{}: {error}", file.display())),
                }
            }
        }
    }
    session.store.close().await;
    Ok(import.end())
}

/// What an input holds.
enum Mails {
    /// The one mail of standard input.
    Standard(Vec<u8>),
    /// The files of a Maildir, or one.
    Files(Vec<PathBuf>),
}

impl Mails {
    fn find(input: &Input) -> Result<Self, Failure> {
        let path = match input {
            Input::Stdin => {
                let bytes = read_up_to(io::stdin().lock()).map_err(|error| Failure::input(format_args!("standard input: {error}")))?;
                if bytes.is_empty() {
                    return Err(Failure::input("standard input: found nothing; expected a mail"));
                }
                return Ok(Self::Standard(bytes));
            }
            Input::File(path) => path,
        };
        let cannot = |error: io::Error| Failure::input(format_args!("{}: {error}", path.display()));
        let about = std::fs::metadata(path).map_err(cannot)?;
        if !about.is_dir() {
            if about.len() == 0 {
                return Err(Failure::input(format_args!("{}: found nothing; expected a mail", path.display())));
            }
            return Ok(Self::Files(vec![path.clone()]));
        }
        let mut files = Vec::new();
        let mut is_maildir = false;
        for folder in ["new", "cur"].map(|name| path.join(name)).iter().filter(|folder| folder.is_dir()) {
            is_maildir = true;
            files.extend(mails_in(folder).map_err(cannot)?);
        }
        if !is_maildir {
            return Err(Failure::input(format_args!(
                "{}: is a folder and no Maildir; expected new/ and cur/ in it, or a file with one mail",
                path.display()
            )));
        }
        files.sort();
        Ok(Self::Files(files))
    }
}

fn mails_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Bounces that are taken in one by one.
struct Import<'a> {
    ctx: &'a Context,
    recipient: Option<&'a str>,
    taken: Vec<TakenBounce>,
    n_refused: u64,
    /// Whether somebody else is to be mailed now.
    is_next_told: bool,
}

impl Import<'_> {
    async fn one(&mut self, session: &Session, marks: &Marks, source: &str, bytes: &[u8]) -> Result<(), Failure> {
        let raw = Raw {
            source,
            recipient: self.recipient,
            bytes,
        };
        let taken = take_in_raw(&session.store, session.now, &session.rules, marks, raw).await?;
        let taken = TakenBounce::from(taken);
        let told = told(source, &taken);
        let is_hard = taken.listed.state == "matched" && taken.listed.class.as_deref() == Some("hard");
        self.is_next_told |= is_hard && !taken.is_repeat;
        if taken.listed.state == "unmatched" {
            self.refuse(told);
        } else {
            self.ctx.out.line(told);
        }
        if self.ctx.out.is_json() {
            self.taken.push(taken);
        }
        Ok(())
    }

    fn refuse(&mut self, told: impl std::fmt::Display) {
        self.n_refused += 1;
        self.ctx.out.complain(told);
    }

    fn end(self) -> Exit {
        self.ctx.out.json(&json!({ "value": self.taken }));
        if self.is_next_told {
            self.ctx
                .out
                .note("next: `posthorn work --until-idle` mails the next address; a running `posthorn serve` does so by itself");
        }
        if self.n_refused == 0 {
            return Exit::Done;
        }
        self.ctx
            .out
            .note("next: `posthorn bounces list --state unmatched` lists them, `posthorn bounces show ID` shows one");
        Exit::InPart
    }
}

/// Says what came of a mail, in a line.
fn told(source: &str, taken: &TakenBounce) -> String {
    let TakenBounce { listed, is_repeat } = taken;
    let what = match (&listed.class, listed.state.as_str()) {
        (Some(class), "matched") => {
            let mail = listed.delivery_id.map(|id| format!("mail {id} to ")).unwrap_or_default();
            let address = listed.address.as_deref().unwrap_or_default();
            format!("{class}: {mail}{address}: {}; {}", listed.said, listed.outcome)
        }
        (_, "unmatched") => format!("not matched: {}", listed.outcome),
        _ => listed.outcome.clone(),
    };
    let repeat = if *is_repeat { "was taken in before; " } else { "" };
    format!("{source}: {repeat}{what}")
}

/// `bounces list`
pub(crate) async fn list(args: &BouncesList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let state = args.state.map(BounceState::as_str);
    let listed = walk(args.limit, async |cursor, limit| {
        bounces::page(&session.store, state, cursor, limit).await
    })
    .await;
    session.store.close().await;
    let columns = [
        Column::number("ID", |one: &ListedBounce| one.id.to_string()),
        Column::text("RECEIVED", |one: &ListedBounce| one.received_date_time.to_string()),
        Column::text("STATE", |one: &ListedBounce| one.state.clone()),
        Column::text("WHAT", |one: &ListedBounce| one.class.clone().unwrap_or_else(|| one.sort.clone())),
        Column::number("MAIL", |one: &ListedBounce| {
            one.delivery_id.map(|id| id.to_string()).unwrap_or_default()
        }),
        Column::text("ADDRESS", |one: &ListedBounce| one.address.clone().unwrap_or_default()),
        Column::text("SAID", |one: &ListedBounce| one.said.clone()),
        Column::text("OUTCOME", |one: &ListedBounce| one.outcome.clone()),
    ];
    ctx.out.list(&listed?, &columns, "nothing came back");
    Ok(Exit::Done)
}

/// `bounces show`
pub(crate) async fn show(args: &BouncesShow, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let shown = match args.id.parse() {
        Ok(id) => bounces::show(&session.store, id).await,
        Err(_) => Err(bounces::unknown(&args.id)),
    };
    session.store.close().await;
    ctx.out.one(&shown?, page);
    Ok(Exit::Done)
}

fn page(shown: &ShownBounce) -> String {
    let ListedBounce {
        id,
        received_date_time,
        source,
        sort,
        state,
        class,
        delivery_id,
        matched_by,
        address,
        said,
        outcome,
    } = &shown.listed;
    let mut page = Page::default();
    page.say(format_args!("Bounce {id} is {state}: {outcome}."));
    page.heading("What it is");
    page.field("came", format_args!("{}, {source}", when(*received_date_time, Zone::UTC)));
    page.field("what", class.as_ref().unwrap_or(sort).replace('_', " "));
    if let Some(address) = address {
        page.field("speaks of", address);
    }
    if !said.is_empty() {
        page.field("says", said);
    }
    if let Some(mail) = delivery_id {
        let by = matched_by.as_deref().unwrap_or_default().replace('_', " ");
        page.field(
            "about",
            format_args!("mail {mail}, by its {by} (`posthorn deliveries show {mail}`)"),
        );
    }
    let page = page.end();
    match &shown.raw {
        // Its control characters are not this terminal's.
        Some(raw) => format!("{page}\n\nThe mail\n\n{}", printable(raw).trim_end()),
        None => page,
    }
}

fn printable(raw: &str) -> String {
    raw.chars()
        .filter(|c| *c != '\r')
        .map(|c| {
            if c.is_control() && !matches!(c, '\n' | '\t') {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
