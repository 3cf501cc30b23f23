//! The second listener: health, metrics and the live page. The proxy's port owns no path of its own.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 for as long as the process lives |
//! | `/readyz` | 200, or 503 while it drains |
//! | `/metrics` | what the metrics sink renders for the scraper's `Accept` |
//! | `/` | a page that shows what is in flight and what ended lately |
//! | `/api/exchanges` | the same as JSON; durations in milliseconds |
//! | `/api/costs` | sums of costs and tokens by hour, as JSON or CSV |
//!
//! It knows the sinks it shows, and nothing of the proxy. The page is three static files without any from elsewhere,
//! so that its content security policy can forbid everything else.

mod costs;
mod exchanges;
mod guard;
mod listen;
mod scrape;
mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::allow::Hosts;
use crate::sink::costs::Costs;
use crate::sink::live::Live;
use crate::sink::metrics::Scrape;

/// Renders metrics for a scraper's `Accept` header. May block.
pub type Metrics = dyn Fn(Option<&str>) -> Scrape + Send + Sync;

/// Has what is in flight shown to the sinks; resolves when that is done.
pub type Look = dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// What the listener shows.
#[derive(Clone)]
pub struct AdminState {
    /// What a client would set as `OPENAI_BASE_URL`; the page shows it to those who look for it.
    pub base_url: String,
    /// The exchanges.
    pub live: Arc<Live>,
    /// What calls cost.
    pub costs: Arc<Costs>,
    /// Has those in flight shown to `live`.
    pub look: Arc<Look>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// True until the process begins to drain.
    pub ready: Arc<AtomicBool>,
    /// Hosts that a request may be for.
    pub hosts: Arc<Hosts>,
}

/// Serves until `shutdown` is done and the answers begun by then are given. Dropping the future cuts them off.
pub async fn serve(listener: TcpListener, state: AdminState, shutdown: impl Future<Output = ()>) {
    let hosts = Arc::clone(&state.hosts);
    listen::serve(listener, guard::around(routes(state), hosts), shutdown).await;
}

fn routes(state: AdminState) -> Router {
    let scrapes = Arc::<scrape::Scrapes>::default();
    Router::new()
        .route("/", get(|| file("text/html", include_str!("page.html"))))
        .route(
            "/page.css",
            get(|| file("text/css", include_str!("page.css"))),
        )
        .route(
            "/page.js",
            get(|| file("text/javascript", include_str!("page.js"))),
        )
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(move |state, headers| scrape::show(state, headers, Arc::clone(&scrapes))),
        )
        .route("/api/exchanges", get(exchanges::show))
        .route("/api/costs", get(costs::show))
        .with_state(state)
}

async fn file(kind: &str, content: &'static str) -> impl IntoResponse + use<> {
    (
        [(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"))],
        content,
    )
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, &'static str) {
    if state.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}
