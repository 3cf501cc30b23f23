//! The second listener: health, metrics, the live page, and the API behind it. The proxy's port owns no path of its own.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 for as long as the process lives |
//! | `/readyz` | 200, or 503 while it drains |
//! | `/metrics` | what the metrics sink renders for the scraper's `Accept` |
//! | `/` | a page that shows what is in flight and what ended lately |
//! | `/api/…` | the same as JSON; `docs/api.md` and `/api/openapi.json` describe it |
//!
//! It knows the sinks it shows, and nothing of the proxy. The page is static files without any from elsewhere, so that its content
//! security policy can forbid everything else.

mod access;
mod api;
mod config;
mod files;
mod guard;
mod listen;
pub mod query;
mod scrape;
mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::allow::Hosts;
use crate::sink::costs::Costs;
use crate::sink::live::Live;
use crate::sink::metrics::Scrape;
use crate::view::Choices;

pub use access::Access;
pub use api::{ConfigEntry, Exporter, Facts, QueueFacts, UpstreamFacts, VERSION_HEADER, openapi};
pub use config::{AdminConfig, KeptConfig, Token};

/// Renders metrics for a scraper's `Accept` header. May block.
pub type Metrics = dyn Fn(Option<&str>) -> Scrape + Send + Sync;

/// Has what is in flight shown to the sinks; resolves when that is done.
pub type Look = dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// What the process says of itself. May block.
pub type About = dyn Fn() -> Facts + Send + Sync;

/// What the listener shows.
#[derive(Clone)]
pub struct AdminState {
    /// The exchanges.
    pub live: Arc<Live>,
    /// What calls cost.
    pub costs: Arc<Costs>,
    /// Has those in flight shown to `live`.
    pub look: Arc<Look>,
    /// How many those are, without a look.
    pub in_flight: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Until when exchanges are missing that were lost before they came to `live`, in ms since 1970; 0 where none was.
    pub lost_until_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The process itself.
    pub about: Arc<About>,
    /// True until the process begins to drain.
    pub ready: Arc<AtomicBool>,
    /// Hosts that a request may be for.
    pub hosts: Arc<Hosts>,
    /// Who may see exchanges and the process.
    pub access: Access,
    /// Whether `/metrics` is for all.
    pub open_metrics: bool,
    /// What of an exchange's details is not its own.
    pub choices: Arc<Choices>,
    /// A stream whose output stands still for longer is stalled.
    pub stall: Duration,
    /// When the process began.
    pub started_at: SystemTime,
}

/// Serves until `shutdown` is done and the answers begun by then are given; streams of events end. Dropping the future cuts them off.
pub async fn serve(listener: TcpListener, state: AdminState, shutdown: impl Future<Output = ()>) {
    let hosts = Arc::clone(&state.hosts);
    let (stop, stopping) = watch::channel(false);
    let shutdown = async move {
        shutdown.await;
        stop.send_replace(true);
    };
    let routes = routes(state, stopping);
    listen::serve(listener, guard::around(routes, hosts), shutdown).await;
}

fn routes(state: AdminState, stopping: watch::Receiver<bool>) -> Router {
    let scrapes = Arc::<scrape::Scrapes>::default();
    let for_some = from_fn_with_state(state.access.clone(), access::allowed);
    let metrics = get(move |state, headers| scrape::show(state, headers, Arc::clone(&scrapes)));
    let metrics = match state.open_metrics {
        true => metrics,
        false => metrics.route_layer(for_some.clone()),
    };
    Router::new()
        .merge(files::routes())
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", metrics)
        .nest("/api", api::routes(stopping).layer(for_some))
        .with_state(state)
}

async fn readyz(State(state): State<AdminState>) -> (StatusCode, &'static str) {
    if state.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}
