//! The wiring: sinks, observer, proxy and listeners, put together at start and taken down in order at the end.
//!
//! The only room that knows every other. It parses nothing.

mod attribution;
#[cfg(feature = "cli")]
mod command;
mod facts;
mod gauge;
mod process;
mod prompts;
mod telemetry;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::admin;
use crate::allow::Hosts;
use crate::config::{Config, Environment};
use crate::otel::{NotPushed, Otlp};
use crate::outbound::ForwardProxy;
use crate::outbound::{KEEPALIVE, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES};
use crate::proxy::Proxy;
use crate::serve::{self, RefusedConnections, ServeConfig};
use crate::sink::Deadline;
use crate::upstream::UpstreamConfig;

pub use gauge::Gauge;

#[cfg(feature = "cli")]
pub use command::run;

/// Longest time for what is observed to be delivered and handed on, once the streams are over.
const FLUSH: Duration = Duration::from_secs(5);

/// The same where somebody will not wait: enough for the log, and for a receiver of telemetry that is there.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Longest time for answers of the admin port to be read once everything else is over.
const LAST_ANSWERS: Duration = Duration::from_millis(250);

/// A running proxy.
pub struct Running {
    /// Where clients connect.
    pub proxy: SocketAddr,
    /// Where metrics, health and the live page are.
    pub admin: SocketAddr,
    /// What measures.
    pub gauge: Gauge,
    ready: Arc<AtomicBool>,
    drain: Duration,
    /// What clients are shown, to be read again; `None` without TLS.
    pub certificate: Option<Arc<serve::Certificate>>,
    refused: Arc<RefusedConnections>,
    stop_proxy: oneshot::Sender<()>,
    stop_admin: oneshot::Sender<()>,
    proxy_task: JoinHandle<()>,
    admin_task: JoinHandle<()>,
}

/// Puts a configuration to work.
///
/// # Errors
/// When an address is taken, a file cannot be read, or an exporter cannot be built. Everything wrong with the `OTEL_*`
/// variables is reported at once.
pub async fn start(config: Config, environment: &Environment) -> anyhow::Result<Running> {
    let settings = gauge::settings(environment)?;
    let (listen, admin, drain) = (config.listen, config.admin, config.drain);
    let (admin_hosts, admin_config) = (config.admin_hosts.clone(), config.admin_config.clone());
    let (stall, started_at) = (config.observe.stall_threshold, SystemTime::now());
    let (tls_files, upstreams) = (config.tls.clone(), shown(&config.proxy.upstreams));
    let idle = config.client_idle;
    let logs = match config.observe.content.has_events() {
        true => target(&settings.logs),
        false => "not pushed: content has no events".to_owned(),
    };
    let gauge = Gauge::with_settings(config, &settings)?;
    let certificate = tls_files.map(serve::Certificate::of).transpose()?;
    let certificate = certificate.map(Arc::new);
    let tls = certificate.clone().map(serve::acceptor);
    let proxy_listener = bind(listen, "listen").await?;
    let admin_listener = bind(admin, "admin").await?;
    let (proxy_address, admin_address) =
        (proxy_listener.local_addr()?, admin_listener.local_addr()?);

    let refused = Arc::new(RefusedConnections::default());
    telemetry::watch_refused(&gauge.metrics, &refused);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let ready = Arc::new(AtomicBool::new(true));
    let base_url = format!("{scheme}://{}/v1", to_open(proxy_address));
    let _ = gauge.choices.base_url.set(base_url);
    let access = admin::Access::of(&admin_config, admin_address);
    if let Some(closed) = access.warning() {
        tracing::warn!(admin = %admin_address, "{closed}");
    }
    let shown = ShownByAdmin {
        ready: Arc::clone(&ready),
        hosts: Arc::new(admin_hosts),
        access,
        open_metrics: admin_config.open_metrics,
        stall,
        started_at,
    };
    let state = shown.with(&gauge);
    let (stop_admin, admin_stopped) = oneshot::channel::<()>();
    let admin_stopped = async {
        let _ = admin_stopped.await;
    };
    let admin_task = tokio::spawn(admin::serve(admin_listener, state, admin_stopped));
    let (stop_proxy, stopped) = oneshot::channel();
    let proxy = Arc::clone(&gauge.proxy);
    let clients = ServeConfig { tls, idle };
    let proxy_task = tokio::spawn(serve_proxy(
        proxy_listener,
        proxy,
        clients,
        Arc::clone(&refused),
        stopped,
    ));
    tracing::info!(
        proxy = %proxy_address,
        admin = %admin_address,
        %upstreams,
        traces = target(&settings.traces),
        metrics = target(&settings.metrics),
        logs,
        "listening"
    );
    Ok(Running {
        proxy: proxy_address,
        admin: admin_address,
        gauge,
        ready,
        drain,
        certificate,
        refused,
        stop_proxy,
        stop_admin,
        proxy_task,
        admin_task,
    })
}

/// What the admin port shows beside the gauge.
struct ShownByAdmin {
    ready: Arc<AtomicBool>,
    hosts: Arc<Hosts>,
    access: admin::Access,
    open_metrics: bool,
    stall: Duration,
    started_at: SystemTime,
}

impl ShownByAdmin {
    fn with(self, gauge: &Gauge) -> admin::AdminState {
        let (metrics, counters) = (Arc::clone(&gauge.metrics), Arc::clone(&gauge.counters));
        let (books, taps) = (Arc::clone(&gauge.books), Arc::clone(&counters));
        let lost_until_ms = move || {
            let abandoned = taps.abandoned_until_ms.load(Ordering::Relaxed);
            abandoned.max(books.dropped_until_ms.load(Ordering::Relaxed))
        };
        admin::AdminState {
            live: Arc::clone(&gauge.live),
            costs: Arc::clone(&gauge.costs),
            look: gauge.look(),
            in_flight: Arc::new(move || counters.in_flight()),
            lost_until_ms: Arc::new(lost_until_ms),
            metrics: Arc::new(move |accept| metrics.render(accept)),
            about: Arc::clone(&gauge.about),
            choices: Arc::clone(&gauge.choices),
            ready: self.ready,
            hosts: self.hosts,
            access: self.access,
            open_metrics: self.open_metrics,
            stall: self.stall,
            started_at: self.started_at,
        }
    }
}

async fn serve_proxy(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    clients: ServeConfig,
    refused: Arc<RefusedConnections>,
    stopped: oneshot::Receiver<()>,
) {
    let stopped = async {
        // A sender that is gone means the same as one that has sent.
        let _ = stopped.await;
    };
    if let Err(error) = serve::serve(listener, proxy, clients, refused, stopped).await {
        tracing::error!(%error, "cannot start the threads of the proxy");
    }
}

/// Where requests go, for the log.
fn shown(upstreams: &[UpstreamConfig]) -> String {
    let shown: Vec<String> = upstreams
        .iter()
        .map(|upstream| {
            let (name, url) = (&upstream.name, &upstream.url);
            format!("{name}={url} ({})", way(upstream.via.proxy()))
        })
        .collect();
    shown.join(" ")
}

/// How connections are made, for the log.
fn way(proxy: Option<&ForwardProxy>) -> String {
    proxy.map_or_else(|| "direct".to_owned(), |proxy| format!("by {proxy}"))
}

/// Where a signal goes, or why nowhere, for the log.
fn target(pushed: &Result<Otlp, NotPushed>) -> String {
    match pushed {
        Ok(otlp) => format!("{} ({})", otlp.shown_endpoint(), way(otlp.proxy.as_ref())),
        Err(why) => format!("not pushed: {why}"),
    }
}

/// By which address this machine reaches a listener: that of all addresses is none to connect to.
fn to_open(listener: SocketAddr) -> SocketAddr {
    let host = match listener.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    (host, listener.port()).into()
}

/// Why nothing listens at the address that was given here, and what chooses another.
fn cannot_listen(given: &str, error: &io::Error, other: &str) -> anyhow::Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "it is in use by another process".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have it".to_owned(),
        _ => error.to_string(),
    };
    anyhow::anyhow!(
        "{given}: cannot listen on this address, because {why}; {other} chooses another"
    )
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let other = format!("--{key} or STREAMGAUGE_{}", key.to_uppercase());
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| cannot_listen(&format!("{key} = {address}"), &error, &other))?;
    // What is accepted has it from the listener. A client that is gone without a word is noticed by it alone.
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    SockRef::from(&listener)
        .set_tcp_keepalive(&keepalive)
        .with_context(|| format!("{key} = {address}: cannot turn on TCP keep-alive"))?;
    Ok(listener)
}

impl Running {
    /// Stops taking connections, lets streams in flight finish within the drain limit, and hands on what telemetry is
    /// queued. Once `now` resolves streams are cut off, and there is no time left but for what is said of them.
    ///
    /// # Errors
    /// When streams were cut off, or `now` came first.
    pub async fn shutdown(self, now: impl Future<Output = ()>) -> anyhow::Result<()> {
        self.ready.store(false, Ordering::Relaxed);
        let counters = Arc::clone(&self.gauge.counters);
        let in_flight = counters.in_flight();
        match self.drain {
            Duration::ZERO => tracing::info!(
                in_flight,
                "shutting down: streams in flight are cut off at once, since shutdown.drain is 0s"
            ),
            drain => tracing::info!(
                in_flight,
                ?drain,
                "shutting down: waiting for streams in flight to finish; a second signal stops at once"
            ),
        }
        let _ = self.stop_proxy.send(());
        let (mut proxy_task, limit, mut now) = (self.proxy_task, self.drain, pin!(now));
        let ending = tokio::select! {
            drained = tokio::time::timeout(limit, &mut proxy_task) => match drained {
                Ok(_) => Ending::Drained,
                Err(_) => Ending::Late(counters.in_flight()),
            },
            () = &mut now => Ending::Stopped(counters.in_flight()),
        };
        if ending != Ending::Drained {
            counters.cutting_off.store(true, Ordering::Relaxed);
            proxy_task.abort();
        }
        self.refused.end();
        let ending = match ending {
            Ending::Stopped(_) => {
                // What is left undone was asked for.
                let _ = self.gauge.drained_by(Deadline::hurried(LAST_WORDS)).await;
                ending
            }
            _ => tokio::select! {
                flushed = self.gauge.drained_by(FLUSH.into()) => {
                    if let Err(undrained) = flushed {
                        tracing::warn!("{undrained}");
                    }
                    ending
                }
                () = now => Ending::Stopped(match ending {
                    Ending::Late(cut_off) => cut_off,
                    _ => counters.in_flight(),
                }),
            },
        };
        stop_admin(self.stop_admin, self.admin_task).await;
        if !matches!(ending, Ending::Stopped(_)) {
            self.gauge.last_words(LAST_WORDS).await;
        }
        match ending {
            // Where no time was given nobody was waited for, and nobody need have been there.
            Ending::Drained | Ending::Late(0) => {
                tracing::info!("stopped");
                Ok(())
            }
            Ending::Late(cut_off) if limit.is_zero() => anyhow::bail!(
                "exchanges in flight were cut off at once, since shutdown.drain is 0s: {cut_off}"
            ),
            Ending::Late(cut_off) => anyhow::bail!(
                "exchanges still in flight after {limit:?} (shutdown.drain) were cut off: {cut_off}"
            ),
            Ending::Stopped(0) => anyhow::bail!(
                "stopped by a second signal: no exchange was cut off, and telemetry that was not exported yet may be lost"
            ),
            Ending::Stopped(cut_off) => anyhow::bail!(
                "stopped by a second signal: exchanges in flight were cut off: {cut_off}"
            ),
        }
    }
}

/// Ends streams of events and answers under way, and does not wait long for those who read them.
async fn stop_admin(stop: oneshot::Sender<()>, task: JoinHandle<()>) {
    let _ = stop.send(());
    let aborting = task.abort_handle();
    if tokio::time::timeout(LAST_ANSWERS, task).await.is_err() {
        aborting.abort();
    }
}

/// How the streams in flight ended at a shutdown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// By themselves.
    Drained,
    /// So many were cut off when the drain limit was over.
    Late(u64),
    /// So many were cut off when somebody would not wait.
    Stopped(u64),
}
