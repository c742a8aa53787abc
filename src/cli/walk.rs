//! Walks the pages of a list to its end, or as far as was asked for.

use crate::app;
use crate::app::page::{Cursor, LIMIT_MAX, Page};

/// Returns the rows of all pages, `limit` at most.
pub(crate) async fn walk<T>(
    limit: Option<u32>,
    page: impl AsyncFn(Option<&Cursor>, usize) -> Result<Page<T>, app::Error>,
) -> Result<Vec<T>, app::Error> {
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    let mut rows = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let read = page(cursor.as_ref(), LIMIT_MAX.min(limit - rows.len())).await?;
        rows.extend(read.value);
        cursor = read.next;
        if cursor.is_none() || rows.len() >= limit {
            return Ok(rows);
        }
    }
}
