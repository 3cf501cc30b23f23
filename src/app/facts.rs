//! What the process says of itself on the admin port.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::process;
use super::telemetry::Telemetry;
use crate::admin::{About, ConfigEntry, Exporter, Facts, QueueFacts, UpstreamFacts};
use crate::config::Config;
use crate::otel::{NotPushed, Otlp, Settings};
use crate::otlp::Outcomes;
use crate::otlp::queue::Queue;
use crate::pipeline::Pipeline;
use crate::sink::live::Live;
use crate::sink::metrics::Metrics;
use crate::sink::traces;
use crate::tap::Counters;

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    upstreams: Vec<UpstreamFacts>,
    config: Vec<ConfigEntry>,
    /// Where traces, metrics and logs go.
    targets: [Option<String>; 3],
    /// Most spans and log records that wait.
    bounds: [usize; 2],
}

impl Settled {
    /// By the configuration and the `OTEL_*` variables.
    pub(super) fn of(config: &Config, settings: &Settings) -> Self {
        let upstreams = config.proxy.upstreams.iter().map(|upstream| UpstreamFacts {
            name: upstream.name.to_string(),
            url: upstream.url.to_string(),
            provider: upstream.provider.as_deref().map(str::to_owned),
        });
        let entries = config.entries().into_iter().map(|entry| ConfigEntry {
            key: entry.key,
            value: entry.value,
            source: entry
                .source
                .map_or("file", |source| source.as_str())
                .to_owned(),
        });
        let target = |pushed: &Result<Otlp, NotPushed>| {
            let otlp = pushed.as_ref().ok()?;
            Some(otlp.shown_endpoint())
        };
        Self {
            upstreams: upstreams.collect(),
            config: entries.collect(),
            targets: [&settings.traces, &settings.metrics, &settings.logs].map(target),
            bounds: [settings.batch.queue, settings.log_batch.queue],
        }
    }
}

/// What all of it is read from.
pub(super) struct Watched {
    settled: Settled,
    counters: Arc<Counters>,
    pipeline: Arc<Pipeline>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    traces: Option<traces::Health>,
    events: Option<Queue>,
}

impl Watched {
    pub(super) fn new(
        settled: Settled,
        telemetry: &Telemetry,
        counters: &Arc<Counters>,
        pipeline: &Arc<Pipeline>,
        live: &Arc<Live>,
    ) -> Self {
        Self {
            settled,
            counters: Arc::clone(counters),
            pipeline: Arc::clone(pipeline),
            live: Arc::clone(live),
            metrics: Arc::clone(&telemetry.metrics),
            traces: telemetry.traces.as_ref().map(|traces| traces.health()),
            events: telemetry.events.as_ref().map(|events| events.queue()),
        }
    }

    /// Reads it whenever somebody asks.
    pub(super) fn about(self) -> Arc<About> {
        Arc::new(move || Facts {
            memory_bytes: process::resident_memory(),
            threads: process::threads(),
            exporters: self.exporters(),
            queues: self.queues(),
            upstreams: self.settled.upstreams.clone(),
            config: self.settled.config.clone(),
        })
    }

    fn exporters(&self) -> Vec<Exporter> {
        let traces = self.traces.as_ref();
        let events = self.events.as_ref();
        let pushed = self.metrics.outcomes();
        let [to_traces, to_metrics, to_logs] = &self.settled.targets;
        vec![
            exporter(
                "traces",
                to_traces,
                traces.map(|it| (it.outcomes(), it.dropped())),
            ),
            exporter(
                "metrics",
                to_metrics,
                pushed.map(|it| (it, self.metrics.lost_points())),
            ),
            exporter(
                "logs",
                to_logs,
                events.map(|it| (it.outcomes(), it.dropped())),
            ),
        ]
    }

    fn queues(&self) -> Vec<QueueFacts> {
        let queue = |name: &str, waiting: u64, bound: Option<usize>, dropped: u64| QueueFacts {
            name: name.to_owned(),
            waiting,
            bound: bound.map(|bound| bound as u64),
            dropped,
        };
        let [spans, records] = self.settled.bounds;
        let books = self.pipeline.books();
        let exchanges = self.pipeline.waiting() as u64;
        let counters = &self.counters;
        let mut queues = vec![
            queue(
                "frames",
                counters.queued.load(Relaxed),
                None,
                counters.missed.load(Relaxed),
            ),
            queue(
                "exchanges",
                exchanges,
                Some(Pipeline::BOUND),
                books.dropped.load(Relaxed),
            ),
        ];
        if let Some(traces) = &self.traces {
            queues.push(queue(
                "spans",
                traces.waiting() as u64,
                Some(spans),
                traces.dropped(),
            ));
        }
        if let Some(events) = &self.events {
            let waiting = events.unexported() as u64;
            queues.push(queue(
                "log records",
                waiting,
                Some(records),
                events.dropped(),
            ));
        }
        if let Some(store) = self.live.store_queue() {
            queues.push(QueueFacts {
                name: "history (KiB)".to_owned(),
                waiting: store.waiting,
                bound: Some(store.bound),
                dropped: store.dropped,
            });
        }
        queues
    }
}

fn exporter(signal: &str, url: &Option<String>, does: Option<(Arc<Outcomes>, u64)>) -> Exporter {
    let Some((outcomes, dropped)) = does else {
        return Exporter {
            signal: signal.to_owned(),
            url: None,
            state: "off".to_owned(),
            exported: 0,
            failed: 0,
            dropped: 0,
            last_error: None,
        };
    };
    let (is_failing, last_error) = outcomes.last();
    Exporter {
        signal: signal.to_owned(),
        url: url.clone(),
        state: if is_failing { "failing" } else { "ok" }.to_owned(),
        exported: outcomes.items(),
        failed: outcomes.failures(),
        dropped,
        last_error,
    }
}
