//! The admin listener alone, in the test's own process.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use streamgauge::admin::{self, Access, AdminConfig, Facts};
use streamgauge::allow::Hosts;
use streamgauge::otel::{Spans, ToolSpans};
use streamgauge::semconv;
use streamgauge::sink::costs::{Costs, CostsConfig};
use streamgauge::sink::live::Live;
use streamgauge::sink::metrics::Scrape;
use streamgauge::sink::{ExchangeId, Progress, Sink as _};
use streamgauge::view::{Choices, SpanChoice};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running listener, and what it shows.
#[derive(Debug)]
pub(crate) struct Admin {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The exchanges that it shows.
    pub(crate) live: Arc<Live>,
    /// What a look finds in flight.
    pub(crate) in_flight: Arc<Mutex<Vec<u64>>>,
    /// Whether it says that it is ready.
    pub(crate) ready: Arc<AtomicBool>,
    /// Until when it is said that exchanges were lost, in ms since 1970.
    pub(crate) lost_until_ms: Arc<AtomicU64>,
    /// Stops it.
    pub(crate) stop: oneshot::Sender<()>,
    /// Resolves when it has stopped.
    pub(crate) served: JoinHandle<()>,
}

/// A stream that has come so far.
fn progress(id: u64) -> Progress<'static> {
    Progress {
        id: ExchangeId(id),
        method: "POST",
        path: "/v1/chat/completions",
        model: Some("m"),
        upstream: Some("main"),
        received: Instant::now(),
        answered: true,
        chunks: Some(7),
        time_to_first_token: Some(Duration::from_millis(5)),
        last_output: None,
    }
}

/// One whose metrics say what was accepted.
pub(crate) async fn admin() -> Admin {
    admin_rendering(Arc::new(|accept| {
        let accept = accept.unwrap_or("nothing");
        Scrape {
            content_type: "text/plain; of=tests",
            pieces: vec![format!("# asked for {accept}\n").into()],
        }
    }))
    .await
}

/// One whose metrics are made like this.
pub(crate) async fn admin_rendering(metrics: Arc<admin::Metrics>) -> Admin {
    start(metrics, AdminConfig::default(), None).await
}

/// One that is told this, and takes itself for a listener at another address.
pub(crate) async fn admin_with(config: AdminConfig, shown_as: Option<SocketAddr>) -> Admin {
    let metrics = Arc::new(|_: Option<&str>| Scrape {
        content_type: "text/plain",
        pieces: Vec::new(),
    });
    start(metrics, config, shown_as).await
}

async fn start(
    metrics: Arc<admin::Metrics>,
    config: AdminConfig,
    shown_as: Option<SocketAddr>,
) -> Admin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let live = Arc::new(Live::new(config.history));
    let ready = Arc::new(AtomicBool::new(true));
    let in_flight = Arc::<Mutex<Vec<u64>>>::default();
    let (looking, flying) = (Arc::clone(&live), Arc::clone(&in_flight));
    let counted = Arc::clone(&in_flight);
    let look = move || {
        let (looking, flying) = (Arc::clone(&looking), Arc::clone(&flying));
        let look = async move {
            for id in flying.lock().unwrap().iter().copied() {
                looking.in_flight(&progress(id));
            }
        };
        Box::pin(look) as Pin<Box<dyn Future<Output = ()> + Send>>
    };
    let lost_until_ms = Arc::<AtomicU64>::default();
    let lost = Arc::clone(&lost_until_ms);
    let state = admin::AdminState {
        live: Arc::clone(&live),
        costs: Arc::new(Costs::new(&CostsConfig::default())),
        look: Arc::new(look),
        in_flight: Arc::new(move || counted.lock().unwrap().len() as u64),
        lost_until_ms: Arc::new(move || lost.load(Ordering::Relaxed)),
        metrics,
        about: Arc::new(Facts::default),
        ready: Arc::clone(&ready),
        hosts: Arc::new(Hosts::NamedOrOwn(["metrics.test"].into_iter().collect())),
        access: Access::of(&config, shown_as.unwrap_or(address)),
        open_metrics: config.open_metrics,
        choices: Arc::new(Choices {
            spans: SpanChoice {
                vocabularies: semconv::all_named(["llm"]),
                spans: Spans::default(),
                tools: ToolSpans::default(),
            },
            trace_url: config.trace_url,
            base_url: OnceLock::new(),
        }),
        stall: Duration::from_secs(1),
        started_at: SystemTime::now(),
    };
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        stopped.await.ok();
    };
    let served = tokio::spawn(admin::serve(listener, state, shutdown));
    Admin {
        address,
        live,
        in_flight,
        ready,
        lost_until_ms,
        stop,
        served,
    }
}
