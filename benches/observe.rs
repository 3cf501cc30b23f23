//! What observing costs, apart from passing bytes on: one exchange after another is shown to an observer whose sinks
//! are those of production (metrics, spans up to the bytes of an export, the live page), but for the sending.
//!
//! `cargo bench --bench observe` prints a Markdown table: CPU time, allocations and bytes allocated for each unary
//! exchange and for each chunk of a stream, over all threads. Allocations do not depend on the machine. `-- unary` or
//! `-- stream` and a number do that many of one kind and nothing else, for callgrind.
#![expect(clippy::print_stdout, reason = "the table is what the bench is for")]

use std::alloc::System;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode, Uri, Version};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::Sampler;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use streamgauge::exchange::Trace;
use streamgauge::message::Fields;
use streamgauge::observe::{BeginTrace, Config, Observe};
use streamgauge::otel::Tracing;
use streamgauge::semconv;
use streamgauge::sink::Sink;
use streamgauge::sink::live::Live;
use streamgauge::sink::metrics::{self, Metrics};
use streamgauge::sink::traces::{self, Batching, Traces};
use streamgauge::tee::{Close, Closing, Event, Instant, Open, RequestHead, UpstreamName, Verdict};

mod support;

use support::chat::{self, Answer};
use support::cpu::Cpu;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Chunks of one stream.
const CHUNKS: usize = 1000;
/// Exchanges in flight at once, fewer than would overflow the queue of spans.
const AT_ONCE: usize = 64;

/// The observer and what it reports to.
struct Rig {
    observe: Observe,
    traces: Arc<Traces>,
    upstream: Arc<UpstreamName>,
    fields: Fields,
}

impl Rig {
    fn new() -> Self {
        let resource = Resource::builder().with_service_name("bench").build();
        let metrics = Arc::new(Metrics::new(&metrics::Config::default(), resource.clone()));
        let vocabularies = semconv::DEFAULTS
            .into_iter()
            .filter_map(semconv::named)
            .collect();
        let config = traces::Config {
            vocabularies,
            batching: Batching {
                queue: 2048,
                size: 512,
                delay: Duration::from_secs(5),
            },
        };
        let export = |request| {
            std::hint::black_box(request);
            Ok(())
        };
        let traces = Arc::new(Traces::new(config, &resource, export));
        let sinks: [Arc<dyn Sink>; 3] =
            [metrics, Arc::clone(&traces) as _, Arc::new(Live::default())];
        let tracing = Tracing::new(Sampler::AlwaysOn, true);
        let begin: Box<BeginTrace> = Box::new(move |_| {
            let context = tracing.begin("server", None, None);
            Some(Trace {
                trace_id: context.trace_id,
                parent_span_id: context.parent_span_id,
                server_span_id: context.server_span_id,
                client_span_id: context.client_span_id,
                sampled: context.sampled,
                tracestate: context.tracestate,
            })
        });
        let fields = chat::Request::new(Answer::Unary).headers().into_iter();
        Self {
            observe: Observe::new(Config::default(), Arc::new(sinks), begin, true),
            traces,
            upstream: Arc::new(UpstreamName {
                name: "default".into(),
                provider: "openai".into(),
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
            uri: Uri::from_static("/v1/chat/completions"),
            version: Version::HTTP_11,
            fields: self.fields.clone(),
            scheme: "http",
            peer: Some(([127, 0, 0, 1], 40_000).into()),
        }));
        let tap = opened.tap;
        tap.show_request(at, &work.request);
        tap.show(Event::RequestEnd(at, work.request.len() as u64));
        tap.show(Event::Forwarded {
            at,
            upstream: Arc::clone(&self.upstream),
            uri: Box::new(Uri::from_static(
                "http://127.0.0.1:9000/v1/chat/completions",
            )),
            usage_asked: work.frames.len() > 1,
        });
        tap.show(Event::Sent(at));
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
        });
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
    let rig = Rig::new();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if let [kind, count] = arguments.as_slice() {
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
    println!("\n{} spans dropped", rig.traces.dropped());
    Ok(())
}
