//! Conversations: `/api/conversations`, and one of them turn by turn, `/api/conversations/{id}`.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;

use super::asked::Asked;
use super::{Wrong, as_json, worked_out};
use crate::admin::AdminState;
use crate::view::{ConversationDetail, Conversations, Cursor, Id};

/// Conversations of a page, where nothing else is asked for.
pub(super) const LIMIT: usize = 50;
/// Most conversations of a page.
pub(super) const LIMIT_MAX: usize = 500;

pub(super) async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Wrong> {
    let asked = Asked::of(&uri, &["limit", "before"])?;
    let limit = asked.limit(LIMIT, LIMIT_MAX)?;
    let before: Option<Cursor> = asked.value("before", "expected the next of the page before")?;
    worked_out(move || as_json(&Conversations::page(&state.live.all(), limit, before))).await
}

pub(super) async fn one(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Wrong> {
    Asked::of(&uri, &[])?;
    let id: Id = id
        .parse()
        .map_err(|no_id| Wrong::not_found(format!("{no_id}")))?;
    worked_out(move || {
        let entries = state.live.all();
        let shown = ConversationDetail::among(&entries, id);
        let shown = shown.ok_or_else(|| {
            Wrong::not_found(format!("nothing of conversation {id} is kept (any more)"))
        });
        shown.map(|shown| as_json(&shown))
    })
    .await?
}
