//! An axum application with routes of its own that serves streamgauge as its fallback.
//!
//! `cargo run --example embed` reads the same variables and, by `STREAMGAUGE_CONFIG`, the same file as `streamgauge serve`, and
//! exports to where the `OTEL_*` variables say. Every request that the application has no route for goes to the upstream and
//! is measured. The listeners are the application's: of `listen`, `admin`, `tls`, `log` and `shutdown` it uses only `listen`. It
//! has no log until it installs a subscriber of `tracing`.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use streamgauge::app::Gauge;
use streamgauge::config::{self, Environment, Flags};
use tokio::net::TcpListener;

/// How long the last telemetry may take to leave.
const DRAIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::of_process();
    let config = config::load(&Flags::default(), &environment)?.config;
    let listener = TcpListener::bind(config.listen).await?;
    let gauge = Gauge::new(config, &environment)?;
    // With the client's address, which telemetry has then too.
    let service = application(&gauge).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async {
            // Without signals there is no end but the process's own.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    gauge.drained(DRAIN).await?;
    Ok(())
}

/// The application.
pub(crate) fn application(gauge: &Gauge) -> Router {
    let metrics = Arc::clone(&gauge.metrics);
    Router::new()
        .route("/hello", get(async || "hello from the application\n"))
        .route(
            "/metrics",
            get(move || async move { metrics.render(None).pieces.concat() }),
        )
        .fallback_service(gauge.service())
}
