//! `leads export`: what a list shows, as a file for spreadsheets (`R-EXPORT`).

use std::io::{self, Write};
use std::path::Path;

use crate::app::leads;
use crate::app::page::{Cursor, LIMIT_MAX};
use crate::cli::args::leads::{Format, LeadsExport};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::page::count;
use crate::cli::session::Session;
use crate::export::xlsx::Book;
use crate::export::{csv, row};
use crate::lead::Lead;

/// `leads export`
pub(crate) async fn export(args: &LeadsExport, ctx: &Context) -> Result<Exit, Failure> {
    let format = format(args)?;
    let session = Session::open(ctx).await?;
    let written = match &args.out {
        None => {
            let n_leads = write(args, format, &session, &mut Stdout(ctx)).await;
            ctx.out.flush();
            n_leads
        }
        Some(path) => to_file(args, format, &session, path).await,
    };
    session.store.close().await;
    let n_leads = written?;
    if let Some(path) = &args.out {
        ctx.out
            .note(format_args!("{} written to {}", count(n_leads, "lead", "leads"), path.display()));
    }
    Ok(Exit::Done)
}

/// Writes to standard output by the door that knows of readers who go away.
struct Stdout<'a>(&'a Context);

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.out.bytes(bytes);
        if self.0.out.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the format that is meant: named, or by the file's ending.
fn format(args: &LeadsExport) -> Result<Format, Failure> {
    let ending = args.out.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
    match (args.format, ending) {
        (Some(format), _) => Ok(format),
        (None, Some(ending)) if ending.eq_ignore_ascii_case("xlsx") => Ok(Format::Xlsx),
        (None, Some(ending)) if ending.eq_ignore_ascii_case("csv") => Ok(Format::Csv),
        (None, None) => Ok(Format::Csv),
        (None, Some(ending)) => Err(Failure::usage(format!(
            "a file that ends in .{ending} says no format; name it, such as --format csv"
        ))),
    }
}

/// Writes a file that is there whole or not at all.
async fn to_file(args: &LeadsExport, format: Format, session: &Session, path: &Path) -> Result<i64, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::input(format!("{} cannot be written: {error}", path.display()));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| wrong(&error))?;
    let n_leads = write(args, format, session, &mut file).await?;
    file.persist(path).map_err(|error| wrong(&error.error))?;
    Ok(n_leads)
}

async fn write(args: &LeadsExport, format: Format, session: &Session, to: &mut (impl Write + Send)) -> Result<i64, Failure> {
    let now = session.now;
    let unwritten = |error: &dyn std::fmt::Display| Failure::input(format!("the export cannot be written: {error}"));
    match format {
        Format::Csv => {
            to.write_all(&csv::head()).map_err(|error| unwritten(&error))?;
            for_each_page(args, session, |leads| {
                let rows = csv::rows(leads.iter().map(|lead| row(lead, now)));
                to.write_all(&rows).map_err(|error| unwritten(&error))
            })
            .await
        }
        Format::Xlsx => {
            let mut book = Book::new().map_err(|error| unwritten(&error))?;
            let n_leads = for_each_page(args, session, |leads| {
                let mut rows = leads.iter().map(|lead| row(lead, now));
                rows.try_for_each(|row| book.push(row)).map_err(|error| unwritten(&error))
            })
            .await?;
            book.save(to).map_err(|error| unwritten(&error))?;
            Ok(n_leads)
        }
    }
}

/// Reads the leads page by page; returns how many there were.
async fn for_each_page(
    args: &LeadsExport,
    session: &Session,
    mut each: impl FnMut(&[Lead]) -> Result<(), Failure>,
) -> Result<i64, Failure> {
    let filter = super::leads::filter(&args.filter);
    let mut cursor: Option<Cursor> = None;
    let mut n_leads = 0;
    loop {
        let page = leads::page(&session.store, session.now, &filter, cursor.as_ref(), LIMIT_MAX).await?;
        n_leads += page.value.len() as i64;
        each(&page.value)?;
        cursor = page.next;
        if cursor.is_none() {
            return Ok(n_leads);
        }
    }
}
