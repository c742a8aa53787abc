//! `/v1/leads/export.…`: what a list shows, as a file for spreadsheets (`R-EXPORT`).

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::leads::{self, Filter};
use crate::app::page::{Cursor, LIMIT_MAX, Page};
use crate::export::xlsx::Book;
use crate::export::{csv, row};
use crate::http::extract::Query;
use crate::http::leads::Wanted;
use crate::http::problem::{Problem, Refusals};
use crate::http::{Caller, Site};
use crate::lead::Lead;
use crate::time::Timestamp;

pub(super) fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new().routes(routes!(as_csv)).routes(routes!(as_xlsx))
}

/// Exports leads as CSV.
///
/// All that the filters find, however many; UTF-8 with a byte-order mark (RFC 4180). No cell becomes a formula. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/leads/export.csv", operation_id = "exportLeadsAsCsv", tag = "leads", params(Wanted),
    responses((status = 200, description = "The leads", content_type = "text/csv", body = String), Refusals))]
async fn as_csv(State(site): State<Site>, caller: Caller, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    let export = Export::begin(site, &caller, wanted)?;
    // What the database refuses is told while there is still a status to tell it by.
    let first = export.page(None).await?;
    let now = export.now;
    let head = stream::iter([Ok(Bytes::from(csv::head()))]);
    let pages = stream::try_unfold(Some((export, first)), async |rest| {
        let Some((export, page)) = rest else { return Ok(None) };
        let rows = csv::rows(page.value.iter().map(|lead| row(lead, export.now)));
        let next = match page.next {
            None => None,
            // A file that is cut off is an answer that ends in the middle, not one that looks whole.
            Some(cursor) => {
                let page = export.page(Some(&cursor)).await.map_err(io::Error::other)?;
                Some((export, page))
            }
        };
        Ok::<_, io::Error>(Some((Bytes::from(rows), next)))
    });
    let body = Body::from_stream(futures_util::StreamExt::chain(head, pages));
    Ok(file(body, "text/csv; charset=utf-8", now, "csv"))
}

/// Exports leads as a workbook.
///
/// All that the filters find, however many, a million a sheet. Texts are typed as such, so none is a formula. Scopes: portal, ops, read.
#[utoipa::path(get, path = "/leads/export.xlsx", operation_id = "exportLeadsAsWorkbook", tag = "leads", params(Wanted),
    responses((status = 200, description = "The leads", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", body = Vec<u8>), Refusals))]
async fn as_xlsx(State(site): State<Site>, caller: Caller, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    let export = Export::begin(site, &caller, wanted)?;
    let now = export.now;
    let mut book = Book::new().map_err(unwritten)?;
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = export.page(cursor.as_ref()).await?;
        let pushed = tokio::task::spawn_blocking(move || {
            page.value.iter().try_for_each(|lead| book.push(row(lead, now)))?;
            Ok((book, page.next))
        });
        (book, cursor) = pushed
            .await
            .map_err(unwritten)?
            .map_err(|error: rust_xlsxwriter::XlsxError| unwritten(error))?;
        if cursor.is_none() {
            break;
        }
    }
    let saved = tokio::task::spawn_blocking(move || -> Result<std::fs::File, Problem> {
        let mut file = tempfile::tempfile().map_err(unwritten)?;
        book.save(&mut file).map_err(unwritten)?;
        io::Seek::rewind(&mut file).map_err(unwritten)?;
        Ok(file)
    });
    let saved = saved.await.map_err(unwritten)??;
    let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(saved)));
    Ok(file(
        body,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        now,
        "xlsx",
    ))
}

/// What is exported, as it is at one instant.
struct Export {
    site: Site,
    filter: Filter,
    now: Timestamp,
}

impl Export {
    fn begin(site: Site, caller: &Caller, wanted: Wanted) -> Result<Self, Problem> {
        caller.may_look()?;
        wanted.is_whole()?;
        let (filter, now) = (wanted.filter(caller)?, site.now());
        Ok(Self { site, filter, now })
    }

    async fn page(&self, cursor: Option<&Cursor>) -> Result<Page<Lead>, crate::app::Error> {
        leads::page(&self.site.store, self.now, &self.filter, cursor, LIMIT_MAX).await
    }
}

fn file(body: Body, kind: &'static str, now: Timestamp, ending: &str) -> Response {
    let day = now.to_string();
    let named = format!(
        "attachment; filename=\"leads-{}.{ending}\"",
        day.split('T').next().unwrap_or_default()
    );
    (
        [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, named)],
        body,
    )
        .into_response()
}

fn unwritten(error: impl std::fmt::Display) -> Problem {
    tracing::error!("the export cannot be written to a temporary file: {error}");
    Problem::internal()
}
