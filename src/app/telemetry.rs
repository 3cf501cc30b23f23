//! What is exported: the sinks, the identity of traces, and the process's own health.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Context as _;

use crate::config;
use crate::exchange::Trace;
use crate::message::Fields;
use crate::observe::BeginTrace;
use crate::otel::{self, Settings, Tracing};
use crate::semconv::{self, own};
use crate::sink::metrics::{self, Metrics, Pushing};
use crate::sink::traces::{self, Batching, Traces};
use crate::tee::Counters;

/// Name of the SERVER span as far as the sampler can know it, before anything was read.
const SPAN_NAME: &str = "server";

/// What the process exports.
pub(super) struct Telemetry {
    /// Always there: `/metrics` needs it.
    pub(super) metrics: Arc<Metrics>,
    /// `None` when traces are off.
    pub(super) traces: Option<Arc<Traces>>,
    /// Gives each exchange its trace.
    pub(super) begin_trace: Box<BeginTrace>,
    /// Whether our trace context goes upstream.
    pub(super) propagate: bool,
}

impl Telemetry {
    /// Builds exporters and sinks. Opens no connection.
    ///
    /// # Errors
    /// When an exporter cannot be built.
    pub(super) fn build(config: &config::Telemetry, settings: &Settings) -> anyhow::Result<Self> {
        let otel = otel::build(settings).context("the OTLP exporters cannot be built")?;
        let vocabularies: Vec<_> = config
            .vocabularies
            .iter()
            .filter_map(|name| semconv::named(name))
            .collect();
        let metrics_config = metrics::Config {
            vocabularies: vocabularies.clone(),
            label_values: config.label_values,
            error_window: config.error_window,
        };
        let metrics = match otel.metrics.zip(settings.metrics.as_ref()) {
            None => Metrics::new(&metrics_config, otel.resource.clone()),
            Some((sender, otlp)) => {
                let pushing = Pushing {
                    interval: settings.metric_interval,
                    temporality: otlp.temporality,
                    export: move |request| Ok(sender.send(request)?),
                };
                Metrics::pushing(&metrics_config, otel.resource.clone(), pushing)
            }
        };
        let traces = otel.spans.map(|sender| {
            let batching = Batching {
                queue: settings.batch.queue,
                size: settings.batch.size,
                delay: settings.batch.delay,
            };
            let config = traces::Config {
                vocabularies,
                batching,
            };
            let export = move |request| Ok(sender.send(request)?);
            Arc::new(Traces::new(config, &otel.resource, export))
        });
        let propagate = config.propagate && otel.tracing.as_ref().is_some_and(Tracing::propagates);
        Ok(Self {
            metrics: Arc::new(metrics),
            traces,
            begin_trace: begin_trace(otel.tracing),
            propagate,
        })
    }
}

/// Makes the counts of the layers observable as metrics.
pub(super) fn watch(metrics: &Arc<Metrics>, traces: Option<&Traces>, counters: &Arc<Counters>) {
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
    metrics.observe(
        &own::TELEMETRY_DROPPED,
        &dropped("exchange"),
        count(|counters| counters.abandoned.load(Relaxed)),
    );
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
    let pushed = Arc::downgrade(metrics);
    metrics.observe(
        &own::EXPORT_FAILURES,
        &[(own::SIGNAL, "metrics")],
        move || {
            pushed
                .upgrade()
                .map_or(0, |metrics| metrics.export_failures())
        },
    );
}

fn begin_trace(tracing: Option<Tracing>) -> Box<BeginTrace> {
    let Some(tracing) = tracing else {
        return Box::new(|_| None);
    };
    Box::new(move |fields| {
        let mut parents = fields.all("traceparent");
        let parent = parents.next().filter(|_| parents.next().is_none());
        let parent = parent.and_then(|value| std::str::from_utf8(value).ok());
        // It says nothing without the parent it came with.
        let tracestate = parent.and_then(|_| tracestate(fields));
        let context = tracing.begin(SPAN_NAME, parent, tracestate.as_deref());
        Some(Trace {
            trace_id: context.trace_id,
            parent_span_id: context.parent_span_id,
            server_span_id: context.server_span_id,
            client_span_id: context.client_span_id,
            sampled: context.sampled,
            tracestate: context.tracestate,
        })
    })
}

/// All `tracestate` fields as one (W3C Trace Context §3.3.1.2).
fn tracestate(fields: &Fields) -> Option<String> {
    let states: Vec<&str> = fields.texts("tracestate").collect();
    (!states.is_empty()).then(|| states.join(","))
}
