//! The exchanges in flight and those that ended lately, as JSON. Durations are in milliseconds.

use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::AdminState;
use crate::sink::live::{InFlight, Row};

pub(super) async fn show(State(state): State<AdminState>) -> impl IntoResponse {
    let snapshot = state.live.snapshot((state.look)()).await;
    let body = json!({
        "base_url": state.base_url,
        "ready": state.ready.load(Ordering::Relaxed),
        "in_flight_count": snapshot.in_flight_count,
        "in_flight": snapshot.in_flight.iter().map(in_flight).collect::<Vec<_>>(),
        "finished_count": snapshot.finished_count,
        "recent": snapshot.recent.iter().map(finished).collect::<Vec<_>>(),
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
}

fn in_flight(exchange: &InFlight) -> Value {
    json!({
        "id": exchange.id.0,
        "method": exchange.method,
        "path": exchange.path,
        "model": exchange.model,
        "upstream": exchange.upstream,
        "age_ms": milliseconds(exchange.age),
        "answered": exchange.answered,
        "chunks": exchange.chunks,
        "time_to_first_token_ms": exchange.time_to_first_token.map(milliseconds),
        "since_last_output_ms": exchange.since_last_output.map(milliseconds),
    })
}

fn finished(row: &Row) -> Value {
    let started_at = row
        .started_at
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    json!({
        "sequence": row.sequence,
        "started_at_ms": started_at.as_millis() as u64,
        "method": row.method,
        "path": *row.path,
        "model": row.model,
        "upstream": row.upstream.as_deref(),
        "status": row.status,
        "end": row.end.as_str(),
        "error": row.error,
        "streamed": row.streamed,
        "time_to_first_token_ms": row.time_to_first_token.map(milliseconds),
        "time_per_output_token_ms": row.time_per_output_token.map(milliseconds),
        "duration_ms": milliseconds(row.duration),
        "chunks": row.chunks,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "tool_calls": row.tool_calls,
        "conversation": row.conversation.map(|id| format!("{id:032x}")),
        "turn": row.turn,
    })
}

/// Milliseconds to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
