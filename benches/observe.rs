//! What observing costs, apart from passing bytes on: one exchange after another is shown to an observer whose sinks
//! are those of production (metrics, spans up to the bytes of an export, the live page), but for the sending.
//!
//! `cargo bench --bench observe` prints a Markdown table: CPU time, allocations and bytes allocated for each unary
//! exchange and for each chunk of a stream, over all threads. Allocations do not depend on the machine. A second table
//! has what thousands of series cost: memory for each, and the CPU time of one scrape and of one push. `-- unary` or
//! `-- stream` and a number do that many of one kind and nothing else, for callgrind; `-- series` and a number make
//! series of that many models and scrape them.
#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

use std::alloc::System;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::Sampler;
use prost::Message as _;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use streamgauge::message::{Fields, Target};
use streamgauge::observe::{Observe, ObserveConfig};
use streamgauge::otel::{Batch, Buckets, Propagator, Spans, Temporality, Tracing};
use streamgauge::pipeline::{Pipeline, PipelineConfig};
use streamgauge::semconv;
use streamgauge::sink::Sink;
use streamgauge::sink::live::Live;
use streamgauge::sink::metrics::{Metrics, MetricsConfig, Pushing};
use streamgauge::sink::traces::{Traces, TracesConfig};
use streamgauge::tap::{
    Close, Closing, Event, Forwarded, Instant, Open, RequestHead, UpstreamName, Verdict, Why,
};

mod support;

use support::chat::{self, Answer};
use support::cpu::{self, Cpu};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Chunks of one stream.
const CHUNKS: usize = 1000;
/// Exchanges in flight at once, fewer than would overflow the queue of spans.
const AT_ONCE: usize = 64;

/// Longer than a run takes.
const HOUR: Duration = Duration::from_secs(3600);

/// The observer and what it reports to.
struct Rig {
    observe: Observe,
    metrics: Arc<Metrics>,
    /// The requests that are pushed.
    pushed: Receiver<Bytes>,
    traces: Arc<Traces>,
    upstream: Arc<UpstreamName>,
    fields: Fields,
}

impl Rig {
    /// Pushes metrics every so often.
    fn new(push_interval: Duration) -> Self {
        let resource = Resource::builder().with_service_name("bench").build();
        let (tell, pushed) = channel();
        let pushing = Pushing {
            interval: push_interval,
            temporality: Temporality::Cumulative,
            buckets: Buckets::Explicit,
            export: move |request: Bytes| {
                tell.send(request)?;
                Ok(0)
            },
        };
        let config = MetricsConfig {
            label_values: 10_000,
            ..MetricsConfig::default()
        };
        let metrics = Arc::new(Metrics::pushing(&config, resource.clone(), pushing));
        let vocabularies = semconv::all_named(semconv::DEFAULTS);
        let config = TracesConfig {
            vocabularies,
            spans: Spans::default(),
            tools: streamgauge::otel::ToolSpans::default(),
            batching: Batch {
                queue: 2048,
                size: 512,
                delay: Duration::from_secs(5),
                timeout: Duration::from_secs(30),
            },
        };
        let export = |request| {
            std::hint::black_box(request);
            Ok(0)
        };
        let traces = Arc::new(Traces::new(config, &resource, export));
        let sinks: Vec<Arc<dyn Sink>> = vec![
            Arc::clone(&metrics) as _,
            Arc::clone(&traces) as _,
            Arc::new(Live::default()),
        ];
        let pipeline = Arc::new(Pipeline::new(&PipelineConfig::default(), sinks));
        let tracing = Tracing::new(Sampler::AlwaysOn, vec![Propagator::TraceContext]);
        let fields = chat::Request::new(Answer::Unary).headers().into_iter();
        Self {
            observe: Observe::new(
                ObserveConfig::default(),
                pipeline,
                Some(Box::new(tracing)),
                true,
            ),
            metrics,
            pushed,
            traces,
            upstream: Arc::new(UpstreamName {
                origin: "http://127.0.0.1:9000".into(),
                name: "default".into(),
                provider: Some("openai".into()),
                address: "127.0.0.1".into(),
                port: 9000,
            }),
            fields: fields.collect(),
        }
    }

    /// Shows one exchange as the byte path does.
    fn exchange(&self, work: &Work) {
        let at = Instant::now();
        let opened = self.observe.open(&Arc::new(RequestHead {
            received: at,
            received_at: SystemTime::now(),
            method: Method::POST,
            target: Target::of_path("/v1/chat/completions".into()),
            version: Version::HTTP_11,
            fields: self.fields.clone(),
            scheme: "http",
            peer: Some(([127, 0, 0, 1], 40_000).into()),
        }));
        let tap = opened.tap;
        tap.show_request(at, &work.request);
        tap.show(Event::RequestEnd(at, work.request.len() as u64));
        tap.show(Event::Forwarded(Forwarded {
            at,
            upstream: Arc::clone(&self.upstream),
            route: None,
            target: Box::new(Target::of_path("/v1/chat/completions".into())),
            why: Why::First,
            usage_asked: work.frames.len() > 1,
        }));
        tap.show(Event::Sent { at, attempt: 0 });
        tap.show(Event::ResponseHead {
            at,
            status: StatusCode::OK,
            fields: Fields::default(),
        });
        for (frame, bytes) in (0..).zip(&work.frames) {
            tap.show_response(at + Duration::from_millis(frame), bytes);
        }
        tap.close(Closing {
            at: at + Duration::from_millis(work.frames.len() as u64),
            close: Close::Complete,
            status: Some(StatusCode::OK),
            response_bytes: 1000,
            held: Duration::from_micros(20),
            verdict: Some(Verdict::Equal),
            moved: Vec::new(),
            aftermath: None,
        });
    }

    /// One unary exchange of each of so many models.
    fn models(&self, models: u32) {
        for model in 1..=models {
            let request = chat::Request::new(Answer::Unary).with_model(model);
            let work = Work {
                request: request.body().into(),
                ..Work::unary()
            };
            self.run(&work, 1);
        }
    }

    /// Does so many exchanges and waits until all are settled.
    fn run(&self, work: &Work, exchanges: usize) {
        for done in 0..exchanges {
            self.exchange(work);
            if done % AT_ONCE == AT_ONCE - 1 || done + 1 == exchanges {
                let counters = self.observe.counters();
                while counters.settled.load(Relaxed) < counters.opened.load(Relaxed) {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
        }
    }
}

/// One exchange's bytes.
struct Work {
    request: Bytes,
    frames: Vec<Bytes>,
}

impl Work {
    fn unary() -> Self {
        Self {
            request: chat::Request::new(Answer::Unary).body().into(),
            frames: vec![Bytes::from_static(chat::COMPLETION.as_bytes())],
        }
    }

    fn stream() -> Self {
        let text = (0..CHUNKS).map(|_| chat::CHUNK);
        let events =
            [chat::ROLE]
                .into_iter()
                .chain(text)
                .chain([chat::FINISH, chat::USAGE, chat::DONE]);
        Self {
            request: chat::Request::new(Answer::Paced).body().into(),
            frames: events
                .map(|event| Bytes::from_static(event.as_bytes()))
                .collect(),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let rig = Rig::new(HOUR);
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if let [kind, count] = arguments.as_slice() {
        if kind == "series" {
            let models = count.parse()?;
            series(&rig, models)?;
            return pushes(models);
        }
        let work = if kind == "unary" {
            Work::unary()
        } else {
            Work::stream()
        };
        rig.run(&work, count.parse()?);
        println!("{} spans dropped", rig.traces.dropped());
        return Ok(());
    }
    println!("| | CPU, µs | allocations | KiB allocated |\n|---|---:|---:|---:|");
    for (name, work, exchanges, of) in [
        ("unary exchange", Work::unary(), 20_000, 1),
        ("chunk of a stream", Work::stream(), 200, CHUNKS),
    ] {
        rig.run(&work, exchanges / 10);
        let (cpu, heap) = (Cpu::of(&[std::process::id()]), Region::new(ALLOCATOR));
        rig.run(&work, exchanges);
        let (ns, heap) = (Cpu::of(&[std::process::id()]).since(&cpu), heap.change());
        let each = |count: f64| count / (exchanges * of) as f64;
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} |",
            each(ns as f64 / 1000.0),
            each((heap.allocations + heap.reallocations) as f64),
            each(heap.bytes_allocated as f64 / 1024.0),
        );
    }
    println!("\n{} spans dropped\n", rig.traces.dropped());
    drop(rig);
    let models = 1_000;
    series(&Rig::new(HOUR), models)?;
    pushes(models)
}

/// Prints what the series of so many models cost.
fn series(rig: &Rig, models: u32) -> Result<(), Box<dyn Error>> {
    const SCRAPES: usize = 10;
    // What is made once, whatever the number of models.
    rig.run(&Work::unary(), AT_ONCE);
    let (before, heap) = (lines(rig), Region::new(ALLOCATOR));
    rig.models(models);
    let heap = heap.change();
    let found = lines(rig);
    let held = heap.bytes_allocated.saturating_sub(heap.bytes_deallocated) as f64;
    let millis = |ns: u64, of: usize| ns as f64 / 1e6 / of as f64;
    println!("| of {found} series on /metrics | |\n|---|---:|");
    println!(
        "| bytes held for each | {:.0} |",
        held / (found - before) as f64
    );
    for (name, accept) in [
        ("OpenMetrics", Some("application/openmetrics-text")),
        ("classic format", None),
    ] {
        let cpu = Cpu::of(&[std::process::id()]);
        for _ in 0..SCRAPES {
            std::hint::black_box(rig.metrics.render(accept));
        }
        let ns = Cpu::of(&[std::process::id()]).since(&cpu);
        println!(
            "| CPU of a scrape, {name}, ms | {:.2} |",
            millis(ns, SCRAPES)
        );
    }
    Ok(())
}

/// Prints what a push of the series of so many models costs.
fn pushes(models: u32) -> Result<(), Box<dyn Error>> {
    const PUSHES: usize = 10;
    let rig = Rig::new(Duration::from_millis(20));
    let thread = cpu::named("metrics").ok_or("no thread pushes metrics")?;
    // One model's series fit into a request; one may have begun before they were there.
    rig.models(1);
    rig.pushed.try_iter().for_each(drop);
    rig.pushed.recv()?;
    let first = first_metric(&rig.pushed.recv()?)?;
    rig.models(models);
    // A push has several requests, of which the first has the first metric. One may have begun before the last model was
    // there.
    let next_push = || -> Result<usize, Box<dyn Error>> {
        let mut bytes = 0;
        loop {
            let request = rig.pushed.recv()?;
            bytes += request.len();
            if first_metric(&request)? == first {
                return Ok(bytes);
            }
        }
    };
    next_push()?;
    next_push()?;
    let (before, mut bytes) = (cpu::on_cpu(&thread)?, 0);
    for _ in 0..PUSHES {
        bytes = next_push()?;
    }
    let ns = cpu::on_cpu(&thread)? - before;
    let millis = ns as f64 / 1e6 / PUSHES as f64;
    println!(
        "| CPU of a push, ms | {millis:.2} |\n| KiB of a push | {} |",
        bytes / 1024
    );
    Ok(())
}

/// Name of the first metric of a request.
fn first_metric(request: &[u8]) -> Result<Option<String>, Box<dyn Error>> {
    let request = ExportMetricsServiceRequest::decode(request)?;
    let resources = request.resource_metrics.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_metrics);
    let mut metrics = scopes.flat_map(|scope| scope.metrics);
    Ok(metrics.next().map(|metric| metric.name))
}

/// Lines of a scrape that are no comments.
fn lines(rig: &Rig) -> usize {
    let text = String::from_utf8(rig.metrics.render(None).pieces.concat()).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).count()
}
