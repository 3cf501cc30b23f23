//! Exchanges in flight: `/api/in-flight`.

use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::asked::Asked;
use super::{Wrong, as_json};
use crate::admin::AdminState;
use crate::sink::live::InFlight;
use crate::view::{ms, shown};

shown! {
    /// Exchanges in flight.
    pub(super) struct InFlightList {
        /// How many there are, shown or not.
        pub(super) count: u64,
        /// The oldest, at most 200, oldest first.
        pub(super) exchanges: Vec<InFlightRow>,
    }
}

shown! {
    /// An exchange in flight.
    pub(super) struct InFlightRow {
        /// Its identity while it is in flight; it is another one when it has ended.
        pub(super) id: u64,
        /// Request method.
        pub(super) method: String,
        /// Request path without the query, cut where it is long.
        pub(super) path: String,
        /// The requested model; `null` until the request was read.
        pub(super) model: Option<String>,
        /// Name of the upstream; `null` until there is one.
        pub(super) upstream: Option<String>,
        /// For how long it has been in flight.
        pub(super) age_ms: f64,
        /// How far it is: `waiting` for the upstream, `answered`, `generating`, or `stalled` for longer than `observe.stall_threshold`.
        pub(super) state: String,
        /// Events with output so far; `null` where it is not known to be a stream.
        pub(super) chunks: Option<u64>,
        /// From the request's last byte to the first output.
        pub(super) time_to_first_token_ms: Option<f64>,
        /// How long ago output came last.
        pub(super) since_last_output_ms: Option<f64>,
    }
}

pub(super) async fn show(State(state): State<AdminState>, uri: Uri) -> Result<Response, Wrong> {
    Asked::of(&uri, &[])?;
    Ok(as_json(&list(&state).await))
}

/// Those in flight now.
pub(super) async fn list(state: &AdminState) -> InFlightList {
    let snapshot = state.live.snapshot((state.look)()).await;
    let shown = snapshot.in_flight.iter().map(|one| row(one, state.stall));
    InFlightList {
        count: snapshot.in_flight_count as u64,
        exchanges: shown.collect(),
    }
}

fn row(one: &InFlight, stall: Duration) -> InFlightRow {
    InFlightRow {
        id: one.id.0,
        method: one.method.to_string(),
        path: one.path.to_string(),
        model: one.model.as_deref().map(str::to_owned),
        upstream: one.upstream.as_deref().map(str::to_owned),
        age_ms: ms(one.age),
        state: how_far(one, stall).to_owned(),
        chunks: one.chunks,
        time_to_first_token_ms: one.time_to_first_token.map(ms),
        since_last_output_ms: one.since_last_output.map(ms),
    }
}

fn how_far(one: &InFlight, stall: Duration) -> &'static str {
    match one.since_last_output {
        _ if !one.answered => "waiting",
        Some(since) if since > stall => "stalled",
        Some(_) => "generating",
        None => "answered",
    }
}
