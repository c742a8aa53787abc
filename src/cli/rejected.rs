//! Records that could not be taken in.

use serde_json::{Value, json};

use crate::app;
use crate::app::rejected::{self, ListedRejected, OPEN, ShownRejected, TAKEN_IN};
use crate::app::take_in::Outcome;
use crate::cli::args::leads::{RejectedDiscard, RejectedList, RejectedRetry, RejectedShow};
use crate::cli::args::values::Input;
use crate::cli::ask::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Column;
use crate::cli::report::open;
use crate::cli::session::Session;
use crate::cli::walk::walk;
use crate::intake::again::take_in_again;
use crate::intake::file::{self, Item};
use crate::store::rejected::{Rejected, count_open, list_open};

/// Records that are read at a time: each may be a megabyte.
const PAGE: i64 = 20;

/// `rejected list`
pub(crate) async fn list(args: &RejectedList, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let listed = walk(None, async |cursor, limit| {
        rejected::page(&session.store, args.partner.as_ref(), cursor, limit).await
    })
    .await;
    session.store.close().await;
    let listed = listed?;
    let columns = [
        Column::number("ID", |one: &ListedRejected| one.id.to_string()),
        Column::text("RECEIVED", |one: &ListedRejected| one.received_date_time.to_string()),
        Column::text("FROM", |one: &ListedRejected| format!("{}:{}", one.source, one.line)),
        Column::number("FAULTS", |one: &ListedRejected| one.faults.len().to_string()),
        Column::text("FIRST FAULT", |one: &ListedRejected| {
            one.faults.first().cloned().unwrap_or_default()
        }),
    ];
    ctx.out.list(&listed, &columns, "no record waits to be corrected");
    if !listed.is_empty() && !ctx.out.is_json() {
        ctx.out
            .note("next: `posthorn rejected show ID` shows a record, `posthorn rejected retry ID --with FILE` takes a corrected one in");
    }
    Ok(Exit::Done)
}

/// `rejected show`
pub(crate) async fn show(args: &RejectedShow, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let shown = match args.id.parse() {
        Ok(id) => rejected::show(&session.store, session.now, id, None).await,
        Err(_) => Err(rejected::unknown(&args.id)),
    };
    session.store.close().await;
    ctx.out.one(&shown?, page);
    Ok(Exit::Done)
}

fn page(shown: &ShownRejected) -> String {
    let ListedRejected {
        id,
        received_date_time,
        source,
        line,
        partner_id,
        faults,
    } = &shown.listed;
    let mut page = vec![format!(
        "Record {id}, {}: {source}:{line}, received {received_date_time}",
        in_words(&shown.state)
    )];
    page.extend(partner_id.as_ref().map(|id| format!("Its partner is {id}.")));
    page.extend(shown.no_notify.then(|| "It came with --no-notify.".to_owned()));
    page.push(String::new());
    page.extend(faults.iter().cloned());
    page.push(String::new());
    page.push(match &shown.record {
        Value::String(text) => text.clone(),
        json => serde_json::to_string_pretty(json).expect("JSON that was read can be written"),
    });
    page.join("\n")
}

fn in_words(state: &str) -> &str {
    match state {
        OPEN => "waiting",
        TAKEN_IN => "taken in since",
        other => other,
    }
}

/// `rejected retry`
pub(crate) async fn retry(args: &RejectedRetry, ctx: &Context) -> Result<Exit, Failure> {
    let corrected = match (&args.with, args.ids.as_slice()) {
        (None, _) => None,
        (Some(input), [_]) => Some(only_record(input)?),
        (Some(_), _) => return Err(Failure::usage("--with stands in for one record, and several are named")),
    };
    let session = Session::open(ctx).await?;
    let mut retried = Retried {
        ctx,
        answers: Vec::new(),
        n_refused: 0,
    };
    if args.all {
        let mut after = 0;
        while let Some(page) = next_page(&session, &mut after).await? {
            for rejected in page {
                retried.one(&session, &rejected, None).await?;
            }
        }
    } else {
        // All are looked up first: a mistyped id stops the command before anything is done.
        for id in &args.ids {
            find_open(&session, id).await?;
        }
        for id in &args.ids {
            let rejected = find_open(&session, id).await?;
            retried.one(&session, &rejected, corrected.clone()).await?;
        }
    }
    session.store.close().await;
    Ok(retried.end())
}

/// What came of records that were tried again.
struct Retried<'a> {
    ctx: &'a Context,
    answers: Vec<Value>,
    n_refused: u64,
}

impl Retried<'_> {
    async fn one(&mut self, session: &Session, rejected: &Rejected, corrected: Option<Item>) -> Result<(), Failure> {
        let out = &self.ctx.out;
        let taken = take_in_again(&session.store, self.ctx.now(), &session.rules, rejected, corrected).await?;
        let outcome = match &taken.outcome {
            Outcome::New => "new",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Rejected(_) => "rejected",
        };
        let mut answer = json!({ "id": rejected.id, "outcome": outcome, "leadId": taken.id });
        if let Outcome::Rejected(faults) = &taken.outcome {
            self.n_refused += 1;
            for fault in faults {
                out.complain(format_args!("record {}: {fault}", rejected.id));
            }
            answer["faults"] = faults.iter().map(ToString::to_string).collect();
        }
        let lead = taken.id.map(|id| id.to_string()).unwrap_or_default();
        match taken.outcome {
            Outcome::New => out.line(format_args!("Record {} is taken in as lead {lead}.", rejected.id)),
            Outcome::Updated => out.line(format_args!("Record {} is taken in: lead {lead} has newer content.", rejected.id)),
            Outcome::Unchanged => out.line(format_args!(
                "Record {} says nothing new of lead {lead}, and is done with.",
                rejected.id
            )),
            Outcome::Rejected(_) => {}
        }
        if out.is_json() {
            self.answers.push(answer);
        }
        Ok(())
    }

    fn end(self) -> Exit {
        self.ctx.out.json(&json!({ "value": self.answers }));
        if self.n_refused == 0 {
            return Exit::Done;
        }
        self.ctx
            .out
            .note("next: `posthorn rejected show ID` shows a record, `posthorn rejected retry ID --with FILE` takes a corrected one in");
        Exit::InPart
    }
}

/// Reads the one record of a file.
fn only_record(input: &Input) -> Result<Item, Failure> {
    let (mut records, _) = open(input, file::Input::Leads)?;
    let name = records.name().to_owned();
    let only = records.next().transpose()?;
    match (only, records.next().transpose()?) {
        (Some(item), None) => Ok(item),
        (None, _) => Err(Failure::input(format_args!("{name}: found no record; expected one"))),
        (Some(_), Some(_)) => Err(Failure::input(format_args!("{name}: found several records; expected one"))),
    }
}

/// `rejected discard`
pub(crate) async fn discard(args: &RejectedDiscard, ctx: &Context) -> Result<Exit, Failure> {
    let session = Session::open(ctx).await?;
    let n_discarded = if args.all {
        discard_all(&session, args.yes).await?
    } else {
        let mut ids = Vec::with_capacity(args.ids.len());
        for id in &args.ids {
            ids.push(find_open(&session, id).await?.id);
        }
        rejected::discard_all(&session.store, &ids).await?
    };
    session.store.close().await;
    ctx.out.json(&json!({ "discarded": n_discarded }));
    ctx.out.line(match n_discarded {
        1 => "1 record is discarded.".to_owned(),
        n => format!("{n} records are discarded."),
    });
    Ok(Exit::Done)
}

async fn discard_all(session: &Session, yes: bool) -> Result<u64, Failure> {
    let mut tx = session.store.read().await?;
    let n_open = count_open(&mut tx).await?;
    drop(tx);
    match n_open {
        0 => return Ok(0),
        1 => confirm("discard 1 record for good", yes)?,
        n => confirm(&format!("discard {n} records for good"), yes)?,
    }
    let (mut after, mut n_discarded) = (0, 0);
    while let Some(page) = next_page(session, &mut after).await? {
        let ids: Vec<i64> = page.iter().map(|one| one.id).collect();
        n_discarded += rejected::discard_all(&session.store, &ids).await?;
    }
    Ok(n_discarded)
}

/// Returns the next open records; `None` behind the last one.
async fn next_page(session: &Session, after: &mut i64) -> Result<Option<Vec<Rejected>>, Failure> {
    let mut tx = session.store.read().await?;
    let page = list_open(&mut tx, *after, PAGE).await?;
    let Some(last) = page.last() else { return Ok(None) };
    *after = last.id;
    Ok(Some(page))
}

/// Returns a record that waits to be corrected.
async fn find_open(session: &Session, id: &str) -> Result<Rejected, app::Error> {
    match id.parse() {
        Ok(id) => rejected::find_open(&session.store, id, None).await,
        Err(_) => Err(rejected::unknown(id)),
    }
}
