//! From a finished exchange to the spans an exporter is given.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchConfigBuilder, SpanData};

use super::*;
use crate::exchange::{End, Failure};
use crate::semconv::sample;

const MINUTE: Duration = Duration::from_secs(60);

/// Hands on what it is given; can wait for leave first, or fail.
#[derive(Debug)]
struct Fake {
    spans: Sender<Vec<SpanData>>,
    leave: Option<Mutex<Receiver<()>>>,
    fail: bool,
}

impl SpanExporter for Fake {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let _ = self.spans.send(batch);
        if let Some(leave) = &self.leave {
            let _ = leave.lock().unwrap().recv();
        }
        if self.fail {
            Err(OTelSdkError::InternalFailure("refused".into()))
        } else {
            Ok(())
        }
    }
}

fn traces(queue: usize, exporter: Fake) -> Traces {
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(queue)
        .with_max_export_batch_size(2)
        .with_scheduled_delay(MINUTE)
        .build();
    let vocabularies = semconv::DEFAULTS
        .into_iter()
        .filter_map(semconv::named)
        .collect();
    let resource = Resource::builder_empty().build();
    Traces::new(
        Config {
            vocabularies,
            queue,
            batch,
        },
        &resource,
        exporter,
    )
}

/// The spans of one exchange, as exported.
fn spans(exchange: Exchange) -> Vec<SpanData> {
    let (send, receive) = channel();
    let traces = traces(
        100,
        Fake {
            spans: send,
            leave: None,
            fail: false,
        },
    );
    traces.finished(ExchangeId(1), &Arc::new(exchange));
    traces.flush(MINUTE);
    drop(traces);
    receive.iter().flatten().collect()
}

fn value(span: &SpanData, key: &str) -> Option<String> {
    let attribute = span
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key);
    attribute.map(|attribute| attribute.value.as_str().into_owned())
}

#[test]
fn a_call_is_a_server_span_with_a_client_child() {
    let exchange = sample::streamed();
    let [inference, server] = spans(exchange.clone()).try_into().unwrap();
    let trace_id = TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);

    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!(server.span_kind, SpanKind::Server);
    assert_eq!(server.span_context.trace_id(), trace_id);
    assert_eq!(server.span_context.span_id(), SpanId::from(1));
    assert_eq!(server.span_context.trace_state().header(), "vendor=1");
    assert_eq!(server.parent_span_id, SpanId::from(0xb7ad_6b71_6920_3331));
    assert!(server.parent_span_is_remote);
    assert_eq!(server.start_time, exchange.started_at);

    assert_eq!(inference.name, "chat gpt-4o");
    assert_eq!(inference.span_kind, SpanKind::Client);
    assert_eq!(inference.span_context.trace_id(), trace_id);
    assert_eq!(inference.span_context.span_id(), SpanId::from(2));
    assert_eq!(inference.parent_span_id, SpanId::from(1));
    assert!(!inference.parent_span_is_remote);
    assert_eq!(
        inference.start_time,
        exchange.started_at + Duration::from_millis(11)
    );
    assert_eq!(
        inference.end_time,
        exchange.started_at + Duration::from_millis(2110)
    );
    assert_eq!(
        (&server.status, &inference.status),
        (&Status::Unset, &Status::Unset)
    );
}

#[test]
fn facts_of_the_call_stand_on_the_inference_span_only() {
    let [inference, server] = spans(sample::streamed()).try_into().unwrap();
    let is_fact = |key: &str| {
        key.starts_with("gen_ai.") || key.starts_with("llm.") || key.starts_with("openai.")
    };
    assert!(
        inference
            .attributes
            .iter()
            .any(|attribute| is_fact(attribute.key.as_str()))
    );
    assert!(
        !server
            .attributes
            .iter()
            .any(|attribute| is_fact(attribute.key.as_str()))
    );
    assert_eq!(
        value(&inference, "llm.response.chunk_count").as_deref(),
        Some("5")
    );
    assert_eq!(
        value(&server, "http.response.status_code").as_deref(),
        Some("200")
    );
}

#[test]
fn first_token_and_stalls_are_events() {
    let exchange = sample::streamed();
    let [inference, server] = spans(exchange.clone()).try_into().unwrap();
    let events: Vec<_> = inference
        .events
        .iter()
        .map(|event| (event.name.as_ref(), event.timestamp))
        .collect();
    let at = |ms| exchange.started_at + Duration::from_millis(ms);
    assert_eq!(events, [("first_token", at(60)), ("stall", at(2100))]);
    assert!(server.events.is_empty());
    let [unary, _] = spans(sample::unary()).try_into().unwrap();
    assert!(unary.events.is_empty());
}

#[test]
fn what_is_no_inference_is_one_span() {
    let [server] = spans(sample::plain()).try_into().unwrap();
    assert_eq!(
        (server.name.as_ref(), server.span_kind),
        ("GET", SpanKind::Server)
    );
}

#[test]
fn more_than_one_attempt_makes_a_span_of_each_under_the_inference() {
    let exchange = sample::repeated();
    let [first, second, inference, server] = spans(exchange.clone()).try_into().unwrap();
    assert_eq!(inference.parent_span_id, server.span_context.span_id());
    for span in [&first, &second] {
        assert_eq!(
            (span.name.as_ref(), &span.span_kind),
            ("POST", &SpanKind::Client)
        );
        assert_eq!(span.parent_span_id, inference.span_context.span_id());
        assert_eq!(
            value(span, "url.full").as_deref(),
            Some("https://api.openai.com/v1/chat/completions")
        );
    }
    assert_ne!(first.span_context.span_id(), second.span_context.span_id());
    assert_eq!(
        [first.status, second.status],
        [Status::error(""), Status::Unset]
    );
    let at = |ms| exchange.started_at + Duration::from_millis(ms);
    assert_eq!((first.start_time, first.end_time), (at(11), at(24)));
    assert_eq!((second.start_time, second.end_time), (at(25), at(2110)));
}

#[test]
fn a_root_has_no_parent() {
    let mut exchange = sample::plain();
    if let Some(trace) = &mut exchange.trace {
        trace.parent_span_id = None;
    }
    let [server] = spans(exchange).try_into().unwrap();
    assert_eq!(
        (server.parent_span_id, server.parent_span_is_remote),
        (SpanId::INVALID, false)
    );
}

#[test]
fn an_http_error_fails_the_inference_and_a_4xx_not_the_server() {
    let [inference, server] = spans(sample::rate_limited()).try_into().unwrap();
    assert_eq!(inference.status, Status::error("slow down"));
    assert_eq!(
        value(&inference, "error.type").as_deref(),
        Some("rate_limit_exceeded")
    );
    assert_eq!(
        (server.status.clone(), value(&server, "error.type")),
        (Status::Unset, None)
    );
}

#[test]
fn each_way_to_end_has_its_status() {
    let failed = |end, status| {
        let mut exchange = sample::streamed();
        exchange.end = end;
        exchange.http.status = status;
        exchange.failure = Some(Failure {
            kind: "why".into(),
            message: "why".into(),
        });
        let [inference, server] = spans(exchange).try_into().unwrap();
        assert_eq!(
            inference.status,
            Status::error(""),
            "a description does not repeat the type"
        );
        server.status
    };
    assert_eq!(failed(End::ErrorEvent, Some(200)), Status::Unset);
    assert_eq!(failed(End::Cut, Some(200)), Status::error(""));
    assert_eq!(failed(End::Timeout, Some(504)), Status::error(""));
    assert_eq!(failed(End::Refused, Some(502)), Status::error(""));
    assert_eq!(failed(End::Done, Some(500)), Status::error(""));
}

#[test]
fn a_client_that_left_is_no_error() {
    let [inference, server] = spans(sample::client_left()).try_into().unwrap();
    for span in [inference, server] {
        assert_eq!(
            (span.status.clone(), value(&span, "error.type")),
            (Status::Unset, None)
        );
        assert_eq!(
            value(&span, "streamgauge.end").as_deref(),
            Some("client_left")
        );
    }
}

#[test]
fn an_unsampled_exchange_has_no_spans() {
    let mut exchange = sample::streamed();
    if let Some(trace) = &mut exchange.trace {
        trace.sampled = false;
    }
    assert!(spans(exchange).is_empty());
}

#[test]
fn every_span_is_exported_or_counted_as_dropped() {
    let (send, receive) = channel();
    let (leave, wait) = channel();
    let traces = traces(
        6,
        Fake {
            spans: send,
            leave: Some(Mutex::new(wait)),
            fail: false,
        },
    );
    let exchange = Arc::new(sample::streamed());
    traces.finished(ExchangeId(0), &exchange);
    let first = receive.recv_timeout(MINUTE).unwrap();
    // The exporter is held with two spans; six more find room, the rest do not.
    for id in 1..10 {
        traces.finished(ExchangeId(id), &exchange);
    }
    assert_eq!((traces.queue.waiting(), traces.dropped()), (6, 12));
    drop(leave);
    traces.flush(MINUTE);
    let (dropped, waiting) = (traces.dropped(), traces.queue.waiting());
    drop(traces);
    let exported = first.len() + receive.iter().flatten().count();
    assert_eq!((exported, dropped, waiting), (8, 12, 0));
}

#[test]
fn a_failed_export_is_counted_with_its_spans() {
    let (send, _receive) = channel();
    let traces = traces(
        100,
        Fake {
            spans: send,
            leave: None,
            fail: true,
        },
    );
    traces.finished(ExchangeId(1), &Arc::new(sample::streamed()));
    traces.flush(MINUTE);
    assert_eq!((traces.export_failures(), traces.dropped()), (1, 2));
    assert_eq!(
        (traces.health().export_failures(), traces.health().dropped()),
        (1, 2)
    );
}
