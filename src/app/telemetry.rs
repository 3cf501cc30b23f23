//! What is exported: the sinks, the identity of traces, and the process's own health.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Context as _;

use crate::config::TelemetryConfig;
use crate::exchange::Trace;
use crate::message::Fields;
use crate::observe::Tracer;
use crate::otel::{self, Batch, Carrier, Otlp, Settings, Tracing};
use crate::otlp::{BuildError, Sender, Signal};
use crate::pipeline::{Books, Remembered};
use crate::semconv::{self, own};
use crate::serve::{Reason, RefusedConnections};
use crate::sink::events::Events;
use crate::sink::metrics::{Metrics, MetricsConfig, Pushing};
use crate::sink::traces::{Traces, TracesConfig};
use crate::state::StateBooks;
use crate::store::StoreBooks;
use crate::tap::{CarriedContext, Counters, TraceHeaders, W3cHeaders};

/// What the process exports.
pub(super) struct Telemetry {
    /// Always there: `/metrics` needs it.
    pub(super) metrics: Arc<Metrics>,
    /// `None` when traces are off.
    pub(super) traces: Option<Arc<Traces>>,
    /// `None` where no content goes into events, and where these go nowhere.
    pub(super) events: Option<Arc<Events>>,
    /// Gives each exchange its trace; `None` when traces are off.
    pub(super) tracer: Option<Box<dyn Tracer>>,
    /// Whether our trace context goes upstream.
    pub(super) propagate: bool,
}

impl Telemetry {
    /// Builds exporters and sinks. Opens no connection.
    ///
    /// # Errors
    /// When an exporter cannot be built.
    pub(super) fn build(
        config: &TelemetryConfig,
        settings: &Settings,
        upstreams: Vec<String>,
        labels: Vec<&'static str>,
        has_events: bool,
    ) -> anyhow::Result<Self> {
        let [spans, metrics, logs] =
            senders(settings, has_events).context("cannot set up the OTLP exporters")?;
        let resource = otel::resource(&settings.resource);
        let tracing = spans
            .is_some()
            .then(|| Tracing::new(settings.sampler.clone(), settings.propagators.clone()));
        let metrics_config = MetricsConfig {
            vocabularies: semconv::all_named(&config.metrics),
            label_values: config.label_values,
            error_window: config.error_window,
            labels,
            upstreams,
            buckets: config.histograms,
        };
        let metrics = match metrics.zip(settings.metrics.as_ref().ok()) {
            None => Metrics::new(&metrics_config, resource.clone()),
            Some((sender, otlp)) => {
                let pushing = Pushing {
                    interval: settings.metric_interval,
                    temporality: otlp.temporality,
                    buckets: otlp.buckets.unwrap_or(config.histograms),
                    export: move |request| Ok(sender.send(request)?),
                };
                Metrics::pushing(&metrics_config, resource.clone(), pushing)
            }
        };
        let traces = spans.map(|sender| {
            let config = TracesConfig {
                vocabularies: semconv::all_named(&config.vocabularies),
                spans: config.spans,
                tools: config.tools,
                batching: settings.batch.clone(),
            };
            let export = move |request| Ok(sender.send(request)?);
            Arc::new(Traces::new(config, &resource, export))
        });
        let events = logs.map(|sender| {
            let export = move |request| Ok(sender.send(request)?);
            Arc::new(Events::new(&settings.log_batch, &resource, export))
        });
        let propagate = config.propagate && tracing.as_ref().is_some_and(Tracing::propagates);
        Ok(Self {
            metrics: Arc::new(metrics),
            traces,
            events,
            tracer: tracing.map(|tracing| Box::new(tracing) as Box<dyn Tracer>),
            propagate,
        })
    }
}

/// Where spans go, where metrics are pushed, and where log records go if there are any; `None` for what is not sent. gRPC wants
/// a tokio runtime of several threads: those that export wait for it.
fn senders(settings: &Settings, has_events: bool) -> Result<[Option<Sender>; 3], BuildError> {
    // Batching knows no limit of its own for an export, so the sender keeps the stricter of the two.
    let batched = |otlp: &Otlp, batch: &Batch| Otlp {
        timeout: otlp.timeout.min(batch.timeout),
        ..otlp.clone()
    };
    let traces = settings.traces.as_ref().ok();
    let traces = traces.map(|otlp| batched(otlp, &settings.batch));
    if let (true, Err(why)) = (has_events, &settings.logs) {
        tracing::warn!(%why, "content that is to go into events goes nowhere");
    }
    let logs = settings.logs.as_ref().ok().filter(|_| has_events);
    let logs = logs.map(|otlp| batched(otlp, &settings.log_batch));
    let sender =
        |otlp: Option<&Otlp>, signal| otlp.map(|otlp| Sender::new(otlp, signal)).transpose();
    Ok([
        sender(traces.as_ref(), Signal::Traces)?,
        sender(settings.metrics.as_ref().ok(), Signal::Metrics)?,
        sender(logs.as_ref(), Signal::Logs)?,
    ])
}

/// Makes the counts of the layers observable as metrics.
pub(super) fn watch(
    metrics: &Arc<Metrics>,
    traces: Option<&Traces>,
    counters: &Arc<Counters>,
    books: &Arc<Books>,
    is_shared: bool,
) {
    let count = |read: fn(&Counters) -> u64| {
        let counters = Arc::clone(counters);
        move || read(&counters)
    };
    let dropped = |kind| [(own::KIND, kind)];
    metrics.observe(&own::IN_FLIGHT, &[], count(Counters::in_flight));
    metrics.observe(
        &own::OBSERVER_QUEUE,
        &[],
        count(|counters| counters.queued.load(Relaxed)),
    );
    metrics.observe(
        &own::TELEMETRY_DROPPED,
        &dropped("frame"),
        count(|counters| counters.missed.load(Relaxed)),
    );
    metrics.observe(&own::TELEMETRY_DROPPED, &dropped("exchange"), {
        let (counters, books) = (Arc::clone(counters), Arc::clone(books));
        move || counters.abandoned.load(Relaxed) + books.dropped.load(Relaxed)
    });
    let lost = |kind, read: fn(&Books) -> u64| {
        let books = Arc::clone(books);
        metrics.observe(&own::TELEMETRY_DROPPED, &dropped(kind), move || {
            read(&books)
        });
    };
    lost("stage", |books| books.failed_stages.load(Relaxed));
    lost("sink", |books| books.failed_sinks.load(Relaxed));
    watch_conversations(metrics, books, is_shared);
    if is_shared {
        watch_state(metrics, &books.state);
    }
    if let Some(traces) = traces {
        let health = traces.health();
        metrics.observe(&own::TELEMETRY_DROPPED, &dropped("span"), move || {
            health.dropped()
        });
        let health = traces.health();
        metrics.observe(
            &own::EXPORT_FAILURES,
            &[(own::SIGNAL, "traces")],
            move || health.export_failures(),
        );
    }
    // The sink keeps the callback, so a strong reference would keep the sink.
    let pushed = |read: fn(&Metrics) -> u64| {
        let metrics = Arc::downgrade(metrics);
        move || metrics.upgrade().map_or(0, |metrics| read(&metrics))
    };
    metrics.observe(
        &own::EXPORT_FAILURES,
        &[(own::SIGNAL, "metrics")],
        pushed(Metrics::export_failures),
    );
    metrics.observe(
        &own::TELEMETRY_DROPPED,
        &dropped("point"),
        pushed(Metrics::lost_points),
    );
}

/// The same of the events with content.
pub(super) fn watch_events(metrics: &Metrics, events: &Events) {
    let queue = events.queue();
    metrics.observe(
        &own::TELEMETRY_DROPPED,
        &[(own::KIND, "event")],
        move || queue.dropped(),
    );
    let queue = events.queue();
    metrics.observe(&own::EXPORT_FAILURES, &[(own::SIGNAL, "logs")], move || {
        queue.failures()
    });
}

/// The same of the store of prompts.
pub(super) fn watch_store(metrics: &Metrics, books: &Arc<StoreBooks>) {
    let count = |read: fn(&StoreBooks) -> u64| {
        let books = Arc::clone(books);
        move || read(&books)
    };
    let result = |result: &'static str, read: fn(&StoreBooks) -> u64| {
        metrics.observe(&own::STORE_OBJECTS, &[(own::RESULT, result)], count(read));
    };
    result("stored", |books| books.stored.load(Relaxed));
    result("known", |books| books.known.load(Relaxed));
    result("failed", |books| books.failed.load(Relaxed));
    result("dropped", |books| books.dropped.load(Relaxed));
    let errors = count(|books| books.errors.load(Relaxed));
    metrics.observe(&own::STORE_ERRORS, &[], errors);
    let lost = count(|books| books.failed.load(Relaxed) + books.dropped.load(Relaxed));
    metrics.observe(&own::TELEMETRY_DROPPED, &[(own::KIND, "object")], lost);
}

/// The same of what is remembered of conversations. Whether a call had a result is not known where another process may have
/// seen it.
fn watch_conversations(metrics: &Metrics, books: &Arc<Books>, is_shared: bool) {
    let remembered = |read: fn(&Remembered) -> u64| {
        let books = Arc::clone(books);
        move || read(&books.remembered)
    };
    let turns = remembered(|remembered| remembered.turns.load(Relaxed));
    metrics.observe(&own::REMEMBERED_TURNS, &[], turns);
    let bytes = remembered(|remembered| remembered.bytes.load(Relaxed));
    metrics.observe(&own::REMEMBERED_BYTES, &[], bytes);
    let unanswered = remembered(|remembered| remembered.unanswered_calls.load(Relaxed));
    if !is_shared {
        metrics.observe(&own::UNANSWERED_CALLS, &[], unanswered);
    }
    let expired = remembered(|remembered| remembered.expired.load(Relaxed));
    metrics.observe(&own::FORGOTTEN_TURNS, &[(own::REASON, "expired")], expired);
    let crowded_out = remembered(|remembered| remembered.crowded_out.load(Relaxed));
    let labels = [(own::REASON, "crowded_out")];
    metrics.observe(&own::FORGOTTEN_TURNS, &labels, crowded_out);
}

/// The same of the server by which it is shared.
fn watch_state(metrics: &Metrics, books: &Arc<StateBooks>) {
    let count = |read: fn(&StateBooks) -> u64| {
        let books = Arc::clone(books);
        move || read(&books)
    };
    let available = count(|books| books.available.load(Relaxed));
    metrics.observe(&own::STATE_AVAILABLE, &[], available);
    let connects = count(|books| books.connect_errors.load(Relaxed));
    let reads = count(|books| books.read_errors.load(Relaxed));
    let writes = count(|books| books.write_errors.load(Relaxed));
    let operation = |name| [(own::OPERATION, name)];
    metrics.observe(&own::STATE_ERRORS, &operation("connect"), connects);
    metrics.observe(&own::STATE_ERRORS, &operation("read"), reads);
    metrics.observe(&own::STATE_ERRORS, &operation("write"), writes);
    let unread = count(|books| books.unread.load(Relaxed));
    let unwritten = count(|books| books.unwritten.load(Relaxed));
    metrics.observe(&own::STATE_UNSHARED, &operation("read"), unread);
    metrics.observe(&own::STATE_UNSHARED, &operation("write"), unwritten);
}

/// The same of the connections that a listener refuses.
pub(super) fn watch_refused(metrics: &Metrics, refused: &Arc<RefusedConnections>) {
    for reason in Reason::ALL {
        let refused = Arc::clone(refused);
        let labels = [(own::REASON, reason.as_str())];
        metrics.observe(&own::CONNECTIONS_REFUSED, &labels, move || {
            refused.count(reason)
        });
    }
}

impl Tracer for Tracing {
    fn begin(&self, fields: &Fields) -> Trace {
        Self::begin(self, fields)
    }

    fn join(&self, trace: &mut Trace, context: &CarriedContext) -> bool {
        Self::join(self, trace, context)
    }

    fn headers(&self, trace: &Trace, span_id: u64) -> TraceHeaders {
        let others = self.inject(trace, span_id);
        let w3c = self.speaks_w3c().then(|| W3cHeaders {
            traceparent: trace.traceparent(span_id),
            keep_tracestate: trace.parent_span_id.is_some(),
        });
        TraceHeaders { w3c, others }
    }
}

impl Carrier for Fields {
    fn only(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let only = values.next().filter(|_| values.next().is_none());
        only.and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All fields of the name as one (W3C Trace Context §3.3.1.2).
    fn joined(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.texts(name).collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

impl Carrier for CarriedContext {
    fn only(&self, name: &str) -> Option<&str> {
        let mut values = self
            .0
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let only = values.next().filter(|_| values.next().is_none());
        only.map(|(_, value)| value.as_str())
    }

    fn joined(&self, name: &str) -> Option<String> {
        self.only(name).map(str::to_owned)
    }
}
