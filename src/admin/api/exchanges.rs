//! Exchanges that have ended: `/api/exchanges`, and everything about one, `/api/exchanges/{id}`.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;

use super::asked::{Asked, number};
use super::{Wrong, as_json, worked_out};
use crate::admin::AdminState;
use crate::admin::query::Query;
use crate::sink::live::Live;
use crate::view::{Detail, Entry, Row, shown};

/// Exchanges of a page, where nothing else is asked for.
pub(super) const LIMIT: usize = 100;
/// Most exchanges of a page.
pub(super) const LIMIT_MAX: usize = 1_000;

shown! {
    /// Exchanges that have ended, newest first.
    pub(super) struct ExchangeList<'e> {
        /// Exchanges that have ended, and of before a restart those that were kept.
        pub(super) total: u64,
        /// Exchanges that are kept, whether they are asked for or not.
        pub(super) kept: u64,
        /// One page of those that are asked for.
        pub(super) exchanges: Vec<Row<'e>>,
        /// The `before` of the next page; `null` at the end.
        pub(super) next: Option<u64>,
    }
}

pub(super) async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Wrong> {
    let asked = Asked::of(&uri, &["q", "limit", "before"])?;
    let (query, limit) = (asked.query()?, asked.limit(LIMIT, LIMIT_MAX)?);
    let before = asked.id("before")?.unwrap_or(u64::MAX);
    worked_out(move || page(&state.live, &query, limit, before)).await
}

fn page(live: &Live, query: &Query, limit: usize, before: u64) -> Response {
    let kept = live.kept();
    let found = live
        .before(before)
        .filter(|entry| query.takes(&entry.row()));
    // One more than a page tells whether there is another.
    let mut found: Vec<Entry> = found.take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    as_json(&ExchangeList {
        total: kept.total,
        kept: kept.entries as u64,
        exchanges: found.iter().map(Entry::row).collect(),
        next: found.last().filter(|_| more).map(|entry| entry.id),
    })
}

pub(super) async fn one(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Wrong> {
    Asked::of(&uri, &[])?;
    let id = number(&id).ok_or_else(|| Wrong::not_found("an exchange has a number"))?;
    worked_out(move || detail(&state, id)).await?
}

fn detail(state: &AdminState, id: u64) -> Result<Response, Wrong> {
    let entry = state.live.get(id);
    if let Some(exchange) = entry.as_ref().and_then(Entry::exchange) {
        return Ok(as_json(&Detail::of(id, exchange, &state.choices)));
    }
    let kept = state.live.kept_detail(id);
    let kept =
        kept.ok_or_else(|| Wrong::not_found(format!("exchange {id} is not kept (any more)")))?;
    Ok(as_json(&kept))
}
