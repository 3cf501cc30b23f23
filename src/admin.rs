//! The second listener: health, metrics and the live page. The proxy's port owns no path of its own.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 for as long as the process lives |
//! | `/readyz` | 200, or 503 while it drains |
//! | `/metrics` | what the metrics sink renders for the scraper's `Accept` |
//! | `/` | a page that shows what is in flight and what ended lately |
//! | `/api/exchanges` | the same as JSON; durations in milliseconds |
//!
//! It knows the sinks it shows, and nothing of the proxy. The page is three static files without any from elsewhere,
//! so that its content security policy can forbid everything else.

mod scrape;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Request, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::sink::live::{InFlight, Live, Row};
use crate::sink::metrics::Scrape;

/// Renders metrics for a scraper's `Accept` header. May block.
pub type Metrics = dyn Fn(Option<&str>) -> Scrape + Send + Sync;

/// What the listener shows.
#[derive(Clone)]
pub struct State {
    /// What a client would set as `OPENAI_BASE_URL`; the page shows it to those who look for it.
    pub base_url: String,
    /// The exchanges.
    pub live: Arc<Live>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// True until the process begins to drain.
    pub ready: Arc<AtomicBool>,
}

/// Sent with every answer: no sniffing, no framing, nothing loaded from elsewhere, nothing kept.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
];

/// Serves until `shutdown` is done and the answers begun by then are given.
///
/// # Errors
///
/// Where the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(state))
        .with_graceful_shutdown(shutdown)
        .await
}

fn router(state: State) -> Router {
    // Scrapers take turns, so that however many there are take no more than one core.
    let turn = Arc::new(Mutex::new(()));
    Router::new()
        .route(
            "/",
            get(|| file("text/html", include_str!("admin/page.html"))),
        )
        .route(
            "/page.css",
            get(|| file("text/css", include_str!("admin/page.css"))),
        )
        .route(
            "/page.js",
            get(|| file("text/javascript", include_str!("admin/page.js"))),
        )
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(move |state, headers| metrics(state, headers, Arc::clone(&turn))),
        )
        .route("/api/exchanges", get(exchanges))
        .layer(middleware::from_fn(secure))
        .with_state(state)
}

async fn secure(request: Request<axum::body::Body>, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().extend(SECURITY);
    response
}

async fn file(kind: &str, content: &'static str) -> impl IntoResponse + use<> {
    (
        [(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"))],
        content,
    )
}

async fn readyz(Shared(state): Shared<State>) -> (StatusCode, &'static str) {
    if state.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}

/// Rendered on a thread of its own: thousands of series take milliseconds, and the proxy's listener accepts on this one.
async fn metrics(
    Shared(state): Shared<State>,
    headers: HeaderMap,
    turn: Arc<Mutex<()>>,
) -> Response {
    let _turn = turn.lock().await;
    let render = move || {
        let accept = headers.get(header::ACCEPT);
        (state.metrics)(accept.and_then(|value| value.to_str().ok()))
    };
    match tokio::task::spawn_blocking(render).await {
        Ok(scrape) => {
            let head = [(header::CONTENT_TYPE, scrape.content_type)];
            (head, scrape::body(scrape.pieces)).into_response()
        }
        // The process is about to end.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn exchanges(Shared(state): Shared<State>) -> impl IntoResponse {
    let snapshot = state.live.snapshot();
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
        "age_ms": milliseconds(exchange.age),
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
        "path": row.path,
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
    })
}

/// Milliseconds to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
