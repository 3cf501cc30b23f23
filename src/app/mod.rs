//! The wiring: sinks, observer, proxy and listeners, put together at start and taken down in order at the end.
//!
//! The only file that knows every room. It parses nothing.

mod signals;
mod telemetry;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::admin;
use crate::config::{Config, Environment};
use crate::observe::Observe;
use crate::otel::{self, Otlp, Settings};
use crate::proxy::config::Upstream;
use crate::proxy::{Proxy, listen};
use crate::sink::Sink;
use crate::sink::live::Live;
use crate::sink::news::News;
use crate::tee::Counters;

use telemetry::Telemetry;

pub use signals::Signals;

/// Finished exchanges that the live page shows.
const RECENT: usize = 200;
/// Longest time for observers to finish and sinks to flush, once the streams are over.
const FLUSH: Duration = Duration::from_secs(5);

/// Serves until the first SIGTERM or SIGINT, then drains; a second one ends it at once.
///
/// # Errors
/// When the configuration cannot be put to work, or streams were cut off at the end of the drain.
pub async fn serve(config: Config, environment: &Environment) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be listened for")?;
    let running = start(config, environment).await?;
    signals.next().await;
    running.shutdown(signals.next()).await
}

/// A running proxy.
pub struct Running {
    /// Where clients connect.
    pub proxy: SocketAddr,
    /// Where metrics, health and the live page are.
    pub admin: SocketAddr,
    /// What is in flight and what ended lately.
    pub live: Arc<Live>,
    ready: Arc<AtomicBool>,
    drain: Duration,
    counters: Arc<Counters>,
    estimating: Arc<AtomicU64>,
    sinks: Arc<[Arc<dyn Sink>]>,
    stop_proxy: oneshot::Sender<()>,
    proxy_task: JoinHandle<()>,
    admin_task: JoinHandle<()>,
}

/// Puts a configuration to work.
///
/// # Errors
/// When an address is taken, a file cannot be read, or an exporter cannot be built. Everything wrong with the `OTEL_*`
/// variables is said at once.
pub async fn start(config: Config, environment: &Environment) -> anyhow::Result<Running> {
    // Every TLS client and server of the process uses the same provider; a second call finds it in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = exports(environment)?;
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let proxy_listener = bind(config.listen, "listen").await?;
    let admin_listener = bind(config.admin, "admin").await?;
    let (proxy_address, admin_address) =
        (proxy_listener.local_addr()?, admin_listener.local_addr()?);

    let telemetry = Telemetry::build(&config.telemetry, &settings)?;
    let live = Arc::new(Live::new(RECENT));
    let sinks = sinks(&telemetry, &live);
    let metrics = Arc::clone(&telemetry.metrics);
    let observe = Observe::new(
        config.observe,
        Arc::clone(&sinks),
        telemetry.begin_trace,
        telemetry.propagate,
    );
    let ours = config.proxy.credentials();
    let observe = observe.hiding(ours.filter_map(|value| value.to_str().ok()));
    let (counters, estimating) = (observe.counters(), observe.estimating());
    telemetry::watch(&metrics, telemetry.traces.as_deref(), &counters);
    let upstreams = shown(&config.proxy.upstreams);
    let proxy = Arc::new(
        Proxy::new(config.proxy, Arc::new(observe)).context("the upstreams cannot be set up")?,
    );

    let scheme = if tls.is_some() { "https" } else { "http" };
    let base_url = format!("{scheme}://{proxy_address}/v1");
    let ready = Arc::new(AtomicBool::new(true));
    let state = admin::State {
        base_url,
        live: Arc::clone(&live),
        metrics: Arc::new(move |accept| metrics.render(accept)),
        ready: Arc::clone(&ready),
    };
    let admin_task = tokio::spawn(serve_admin(admin_listener, state));
    let (stop_proxy, stopped) = oneshot::channel();
    let proxy_task = tokio::spawn(serve_proxy(proxy_listener, proxy, tls, stopped));
    tracing::info!(
        proxy = %proxy_address,
        admin = %admin_address,
        %upstreams,
        traces = target(settings.traces.as_ref()),
        metrics = target(settings.metrics.as_ref()),
        "listening"
    );
    Ok(Running {
        proxy: proxy_address,
        admin: admin_address,
        live,
        ready,
        drain: config.drain,
        counters,
        estimating,
        sinks,
        stop_proxy,
        proxy_task,
        admin_task,
    })
}

async fn serve_proxy(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    tls: Option<TlsAcceptor>,
    stopped: oneshot::Receiver<()>,
) {
    let stopped = async {
        // A sender that is gone means the same as one that has sent.
        let _ = stopped.await;
    };
    if let Err(error) = listen::serve(listener, proxy, tls, stopped).await {
        tracing::error!(%error, "the proxy's threads cannot be started");
    }
}

async fn serve_admin(listener: TcpListener, state: admin::State) {
    if let Err(error) = admin::serve(listener, state, std::future::pending()).await {
        tracing::error!(%error, "the admin listener failed");
    }
}

/// Where requests go, for the log.
fn shown(upstreams: &[Upstream]) -> String {
    let shown: Vec<String> = upstreams
        .iter()
        .map(|upstream| format!("{}={}", upstream.name, upstream.url))
        .collect();
    shown.join(" ")
}

/// What the `OTEL_*` variables say.
///
/// # Errors
/// Everything wrong with them, at once.
pub fn exports(environment: &Environment) -> anyhow::Result<Settings> {
    Settings::from_env(|name| environment.get(name).map(str::to_owned)).map_err(in_one)
}

/// Waits until every exchange is over and has reached the sinks.
async fn settled(counters: &Counters, estimating: &AtomicU64) {
    let waiting = || estimating.load(Ordering::Relaxed);
    let all = async {
        while counters.in_flight() + counters.unsettled() + waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(FLUSH, all).await.is_err() {
        tracing::warn!(
            in_flight = counters.in_flight(),
            unobserved = counters.unsettled(),
            estimating = waiting(),
            "the last exchanges were not observed in time"
        );
    }
}

/// Hands on what telemetry is queued. Sinks flush side by side, off the runtime's threads.
async fn flush(sinks: &Arc<[Arc<dyn Sink>]>) {
    let flushing: Vec<_> = sinks
        .iter()
        .cloned()
        .map(|sink| tokio::task::spawn_blocking(move || sink.flush(FLUSH)))
        .collect();
    for sink in flushing {
        if let Err(error) = sink.await {
            tracing::error!(%error, "a sink failed to flush");
        }
    }
}

fn sinks(telemetry: &Telemetry, live: &Arc<Live>) -> Arc<[Arc<dyn Sink>]> {
    let traces = telemetry
        .traces
        .clone()
        .map(|traces| traces as Arc<dyn Sink>);
    let news = Arc::new(News::default());
    let always: [Arc<dyn Sink>; 3] = [telemetry.metrics.clone(), live.clone(), news];
    traces.into_iter().chain(always).collect()
}

/// Where a signal goes, for the log.
fn target(otlp: Option<&Otlp>) -> String {
    otlp.map_or_else(
        || "not pushed: no OTLP endpoint is set, or it is turned off".to_owned(),
        Otlp::shown_endpoint,
    )
}

fn in_one(errors: Vec<otel::Error>) -> anyhow::Error {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(errors.join("\n"))
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key} = {address}: cannot listen there"))
}

impl Running {
    /// Stops taking connections, lets streams in flight finish within the drain limit, and hands on what telemetry is
    /// queued; all of it only until `now` resolves.
    ///
    /// # Errors
    /// When streams were cut off, or `now` came first.
    pub async fn shutdown(self, now: impl Future<Output = ()>) -> anyhow::Result<()> {
        let counters = Arc::clone(&self.counters);
        tokio::select! {
            outcome = self.drain() => outcome,
            () = now => {
                anyhow::bail!("stopped at once with {} exchanges in flight", counters.in_flight())
            }
        }
    }

    async fn drain(self) -> anyhow::Result<()> {
        self.ready.store(false, Ordering::Relaxed);
        let in_flight = self.counters.in_flight();
        tracing::info!(in_flight, drain = ?self.drain, "shutting down: streams in flight may finish");
        let _ = self.stop_proxy.send(());
        let mut proxy_task = self.proxy_task;
        let drained = tokio::time::timeout(self.drain, &mut proxy_task).await;
        let mut cut_off = 0;
        if drained.is_err() {
            cut_off = self.counters.in_flight();
            self.counters.cutting_off.store(true, Ordering::Relaxed);
            proxy_task.abort();
        }
        settled(&self.counters, &self.estimating).await;
        flush(&self.sinks).await;
        self.admin_task.abort();
        let limit = self.drain;
        anyhow::ensure!(
            cut_off == 0,
            "{cut_off} exchanges were still in flight after {limit:?} and were cut off"
        );
        tracing::info!("stopped");
        Ok(())
    }
}
