//! The proxy with everything that measures it, and no listener: what an application mounts, and what `serve` listens for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;

use super::attribution::OwnFolder;
use super::facts::{Settled, Watched};
use super::telemetry::{self, Telemetry};
use super::{attribution, process, prompts};
use crate::admin::{About, AdminConfig};
use crate::config::{Config, Environment};
use crate::conversation::Joins;
use crate::log::LogConfig;
use crate::observe::{Observe, Undrained};
use crate::otel::{self, Settings, Spans};
use crate::pipeline::{Books, Pipeline, PriceConfig, Traces};
use crate::proxy::Proxy;
use crate::semconv;
use crate::serve::ProxyService;
use crate::sink::access::AccessLog;
use crate::sink::costs::Costs;
use crate::sink::failures::FailuresLog;
use crate::sink::live::{KeptHistory, Live, Snapshot};
use crate::sink::metrics::Metrics;
use crate::sink::rejections::RejectionsLog;
use crate::sink::store::Prompts;
use crate::sink::unknowns::UnknownsLog;
use crate::sink::{Deadline, Sink};
use crate::store::Store;
use crate::tap::Counters;
use crate::view::{Choices, SpanChoice};

/// A proxy that measures what passes through it.
pub struct Gauge {
    /// What is in flight and what ended lately.
    pub live: Arc<Live>,
    /// How many exchanges there were and are.
    pub counters: Arc<Counters>,
    /// What calls cost, hour by hour.
    pub costs: Arc<Costs>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    pub(super) proxy: Arc<Proxy>,
    /// What the process says of itself.
    pub(super) about: Arc<About>,
    /// What of an exchange's details is not its own.
    pub(super) choices: Arc<Choices>,
    /// What calls are priced by; its [`renew`](PriceConfig::renew) reads the user's own prices again.
    pub prices: PriceConfig,
    observe: Arc<Observe>,
    /// What was lost before it came to `live`.
    pub(super) books: Arc<Books>,
    /// Given up last: until then something may be written there.
    _folder: Option<OwnFolder>,
}

impl Gauge {
    /// Puts a configuration to work, all but its addresses, its TLS and its log, which are the listener's and the
    /// application's. Telemetry is exported as the `OTEL_*` variables of the environment say. Must be called within a tokio
    /// runtime where they ask for gRPC.
    ///
    /// # Errors
    /// When an upstream or an exporter cannot be set up. Everything wrong with the `OTEL_*` variables is reported at once.
    pub fn new(config: Config, environment: &Environment) -> anyhow::Result<Self> {
        Self::with_settings(config, &settings(environment)?)
    }

    pub(super) fn with_settings(mut config: Config, settings: &Settings) -> anyhow::Result<Self> {
        // Every TLS client and server of the process uses the same provider; a second call finds it in place.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        if is_sampled_twice(&config, settings) {
            tracing::warn!(
                "OTEL_TRACES_SAMPLER and sampling.share both keep a share: the shares multiply, and failed calls may be lost"
            );
        }
        if let Some(why) = joins_nothing(&config, settings) {
            tracing::warn!(
                why,
                "calls are not joined to one trace (conversations.traces)"
            );
        }
        config.pipeline.sampling.after_share = settings.samples_share;
        let folder = OwnFolder::take(&config)?;
        let costs = attribution::costs(&config, folder.as_ref());
        config.observe.key_secret = attribution::key_secret(&config)?;
        let (settled, choices) = (Settled::of(&config, settings), choices(&config));
        let upstreams = config.proxy.upstreams.iter();
        let upstreams = upstreams.map(|upstream| upstream.name.to_string());
        let store = prompts::store(&config)?;
        let has_events = config.observe.content.has_events();
        let labels = costs.labels.clone();
        let upstreams = upstreams.collect();
        let mut telemetry =
            Telemetry::build(&config.telemetry, settings, upstreams, labels, has_events)?;
        config.pipeline.correlate.joins = Joins {
            one_span: config.telemetry.spans == Spans::Client,
            propagates: telemetry.propagate,
        };
        let costs = Arc::new(Costs::new(&costs));
        let live = Arc::new(live(&config, folder.as_ref(), &choices));
        let pipeline = Arc::new(Pipeline::new(
            &config.pipeline,
            sinks(&telemetry, &live, &costs, store.as_ref(), config.log),
        ));
        let observe = Observe::new(
            config.observe,
            Arc::clone(&pipeline),
            telemetry.tracer.take(),
            telemetry.propagate,
        );
        let ours = config.proxy.credentials();
        let observe = Arc::new(observe.hiding(ours.filter_map(|value| value.to_str().ok())));
        let counters = observe.counters();
        let traces = telemetry.traces.as_deref();
        process::watch(&telemetry.metrics);
        telemetry::watch(
            &telemetry.metrics,
            traces,
            &counters,
            &pipeline.books(),
            pipeline.shares_state(),
        );
        if let Some(events) = &telemetry.events {
            telemetry::watch_events(&telemetry.metrics, events);
        }
        if let Some(store) = &store {
            telemetry::watch_store(&telemetry.metrics, &store.books());
        }
        let about = Watched::new(settled, &telemetry, &counters, &pipeline, &live).about();
        let proxy = Proxy::new(config.proxy, observe.clone());
        Ok(Self {
            about,
            choices,
            live,
            costs,
            counters,
            metrics: Arc::clone(&telemetry.metrics),
            proxy: Arc::new(proxy.context("cannot set up the upstreams")?),
            prices: config.pipeline.prices,
            observe,
            books: pipeline.books(),
            _folder: folder,
        })
    }

    /// The proxy, to be mounted in an application: as the fallback of an axum router, for instance.
    #[must_use]
    pub fn service(&self) -> ProxyService {
        ProxyService::new(Arc::clone(&self.proxy))
    }

    /// What is in flight now, each as far as it has come.
    pub async fn snapshot(&self) -> Snapshot {
        self.live.snapshot(self.observe.look()).await
    }

    /// Has what is in flight shown to the live view.
    pub(super) fn look(&self) -> Arc<crate::admin::Look> {
        let observe = Arc::clone(&self.observe);
        Arc::new(move || {
            let observe = Arc::clone(&observe);
            Box::pin(async move { observe.look().await })
        })
    }

    /// Waits until every exchange is over and delivered, and hands on what telemetry is queued. Measures nothing that comes
    /// after.
    ///
    /// # Errors
    /// What was left when the time was over.
    pub async fn drained(&self, within: Duration) -> Result<(), Undrained> {
        let drained = self.drained_by(within.into()).await;
        self.last_words(Duration::ZERO).await;
        drained
    }

    /// Has what was late and is lost told, after this time at the latest: the last thing before the process ends.
    pub(super) async fn last_words(&self, within: Duration) {
        let observe = Arc::clone(&self.observe);
        // Where a sink panics it has been told already.
        let _ = tokio::task::spawn_blocking(move || observe.last_words(within)).await;
    }

    /// As [`drained`](Self::drained), where it is known why there is no more time.
    pub(super) async fn drained_by(&self, deadline: Deadline) -> Result<(), Undrained> {
        let observe = Arc::clone(&self.observe);
        let drained = tokio::task::spawn_blocking(move || observe.drained(deadline));
        drained
            .await
            .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }
}

fn choices(config: &Config) -> Arc<Choices> {
    let telemetry = &config.telemetry;
    let vocabularies = semconv::all_named(&telemetry.vocabularies);
    Arc::new(Choices {
        spans: SpanChoice {
            vocabularies: vocabularies.into_iter().chain(semconv::ALWAYS).collect(),
            spans: telemetry.spans,
            tools: telemetry.tools,
        },
        trace_url: config.admin_config.trace_url.clone(),
        base_url: OnceLock::new(),
    })
}

/// The history, which outlives the process where there is a folder and nobody has turned it off.
fn live(config: &Config, folder: Option<&OwnFolder>, choices: &Arc<Choices>) -> Live {
    let AdminConfig { history, kept, .. } = &config.admin_config;
    match (folder, kept.age) {
        (Some(folder), Some(age)) => {
            let store = KeptHistory {
                folder: folder.path.clone(),
                age,
                bytes: kept.bytes,
                choices: Arc::clone(choices),
            };
            Live::keeping(*history, store)
        }
        _ => Live::new(*history),
    }
}

/// What the `OTEL_*` variables say.
///
/// # Errors
/// Everything wrong with them, at once.
pub(super) fn settings(environment: &Environment) -> anyhow::Result<Settings> {
    Settings::from_env(|name| environment.get(name).map(str::to_owned)).map_err(in_one)
}

/// Whether a share of the traces is kept at the head of a request and another at its end, which is no error, and was most likely not
/// meant.
pub(super) const fn is_sampled_twice(config: &Config, settings: &Settings) -> bool {
    config.pipeline.sampling.share < 1.0 && settings.samples_share
}

/// Why no calls are joined to one trace where they are to be, which is no error, and was most likely not meant.
pub(super) fn joins_nothing(config: &Config, settings: &Settings) -> Option<String> {
    if config.pipeline.correlate.traces != Traces::Joined {
        return None;
    }
    if !config.pipeline.conversations {
        return Some("conversations.enabled is false".to_owned());
    }
    let why = settings.traces.as_ref().err()?;
    Some(format!("traces are not pushed: {why}"))
}

fn in_one(errors: Vec<otel::Error>) -> anyhow::Error {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(errors.join("\n"))
}

fn sinks(
    telemetry: &Telemetry,
    live: &Arc<Live>,
    costs: &Arc<Costs>,
    store: Option<&Arc<Store>>,
    log: LogConfig,
) -> Vec<Arc<dyn Sink>> {
    let traces = telemetry
        .traces
        .clone()
        .map(|traces| traces as Arc<dyn Sink>);
    let always: [Arc<dyn Sink>; 7] = [
        costs.clone(),
        telemetry.metrics.clone(),
        live.clone(),
        Arc::new(UnknownsLog::default()),
        Arc::new(RejectionsLog::default()),
        Arc::new(FailuresLog::default()),
        Arc::new(AccessLog::of(log.access)),
    ];
    let events = telemetry.events.clone();
    let events = events.map(|events| events as Arc<dyn Sink>);
    let prompts = store.map(|store| Arc::new(Prompts::new(Arc::clone(store))) as Arc<dyn Sink>);
    #[cfg(feature = "fault-injection")]
    let prompts = prompts
        .into_iter()
        .chain([Arc::new(crate::sink::fault::FaultSink) as Arc<dyn Sink>]);
    let optional = traces.into_iter().chain(events).chain(prompts);
    optional.chain(always).collect()
}
