//! From a finished exchange to the spans an exporter is given.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;

use super::*;
use crate::exchange::{End, Failure, ToldUpstream};
use crate::semconv::{own, sample};

const MINUTE: Duration = Duration::from_secs(60);

/// Hands on what it is given; can wait for leave first, or fail.
struct Fake {
    spans: Sender<Vec<Span>>,
    leave: Option<Receiver<()>>,
    fail: bool,
    rejected: u64,
}

impl Fake {
    /// Takes everything at once.
    const fn new(spans: Sender<Vec<Span>>) -> Self {
        Self {
            spans,
            leave: None,
            fail: false,
            rejected: 0,
        }
    }

    fn export(&self, request: &[u8]) -> Exported {
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        let scopes = request
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans);
        let _ = self
            .spans
            .send(scopes.flat_map(|scope| scope.spans).collect());
        if let Some(leave) = &self.leave {
            let _ = leave.recv();
        }
        if self.fail {
            Err("refused".into())
        } else {
            Ok(self.rejected)
        }
    }
}

fn traces(queue: usize, exporter: Fake) -> Traces {
    let batching = Batch {
        queue,
        size: 2,
        delay: MINUTE,
        timeout: MINUTE,
    };
    with_batching(batching, Spans::default(), exporter)
}

fn with_batching(batching: Batch, spans: Spans, exporter: Fake) -> Traces {
    let vocabularies = semconv::DEFAULTS
        .into_iter()
        .filter_map(semconv::named)
        .collect();
    let config = TracesConfig {
        vocabularies,
        spans,
        tools: crate::otel::ToolSpans::default(),
        batching,
    };
    let resource = Resource::builder_empty().build();
    Traces::new(config, &resource, move |request| exporter.export(&request))
}

/// The spans of one exchange, as exported.
fn spans(exchange: Exchange) -> Vec<Span> {
    spans_of(exchange, Spans::default())
}

/// The same of those that there are to be.
fn spans_of(exchange: Exchange, which: Spans) -> Vec<Span> {
    let (send, receive) = channel();
    let batching = Batch {
        queue: 100,
        size: 2,
        delay: MINUTE,
        timeout: MINUTE,
    };
    let fake = Fake::new(send);
    let traces = with_batching(batching, which, fake);
    traces.finished(ExchangeId(1), &Arc::new(exchange));
    traces.flush(MINUTE.into());
    receive.iter().flatten().collect()
}

fn value(span: &Span, key: &str) -> Option<String> {
    let mut attributes = span.attributes.iter();
    let attribute = attributes.find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

/// An id of a span as it is written.
fn id(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// A time of an exchange as it is written.
fn at(exchange: &Exchange, ms: u64) -> u64 {
    let time = exchange.started_at + Duration::from_millis(ms);
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

fn unset() -> Option<Status> {
    Some(Status::default())
}

fn error(message: &str) -> Option<Status> {
    Some(Status {
        code: StatusCode::Error.into(),
        message: message.to_owned(),
    })
}

fn parent_is_remote(span: &Span) -> bool {
    assert_eq!(
        span.flags & 0x101,
        0x101,
        "sampled, and known to be remote or not"
    );
    span.flags & 0x200 != 0
}

#[test]
fn a_call_is_a_server_span_with_a_client_child() {
    let exchange = sample::streamed();
    let [inference, server] = spans(exchange.clone()).try_into().unwrap();
    let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();

    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!(server.kind(), SpanKind::Server);
    assert_eq!(server.trace_id, trace_id);
    assert_eq!(server.span_id, id(1));
    assert_eq!(server.trace_state, "vendor=1");
    assert_eq!(server.parent_span_id, id(0xb7ad_6b71_6920_3331));
    assert!(parent_is_remote(&server));
    assert_eq!(server.start_time_unix_nano, at(&exchange, 0));

    assert_eq!(inference.name, "chat gpt-4o");
    assert_eq!(inference.kind(), SpanKind::Client);
    assert_eq!(inference.trace_id, trace_id);
    assert_eq!(inference.span_id, id(2));
    assert_eq!(inference.parent_span_id, id(1));
    assert!(!parent_is_remote(&inference));
    assert_eq!(inference.start_time_unix_nano, at(&exchange, 11));
    assert_eq!(inference.end_time_unix_nano, at(&exchange, 2110));
    assert_eq!((server.status, inference.status), (unset(), unset()));
}

#[test]
fn an_inference_alone_takes_the_place_of_the_server_span_and_its_facts() {
    let exchange = sample::streamed();
    let [beside, server] = spans(exchange.clone()).try_into().unwrap();
    let [alone] = spans_of(exchange, Spans::Client).try_into().unwrap();
    assert_eq!(alone.kind(), SpanKind::Client);
    assert_eq!(alone.span_id, beside.span_id);
    assert_eq!(alone.parent_span_id, server.parent_span_id);
    assert!(parent_is_remote(&alone));
    // Those of the proxy as a server have no place beside the upstream's.
    let of_proxy = |key: &str| {
        ["server.", "network.", "url.scheme"]
            .iter()
            .any(|begin| key.starts_with(begin))
    };
    let mut expected = beside.attributes.clone();
    for attribute in server.attributes {
        if !of_proxy(&attribute.key) && value(&beside, &attribute.key).is_none() {
            expected.push(attribute);
        }
    }
    assert_eq!(alone.attributes, expected);
    assert!(value(&alone, "http.route").is_some());
}

#[test]
fn an_inference_alone_at_the_root_has_no_parent() {
    let mut exchange = sample::repeated();
    if let Some(trace) = &mut exchange.trace {
        trace.parent_span_id = None;
    }
    let [first, second, alone] = spans_of(exchange, Spans::Client).try_into().unwrap();
    assert!(alone.parent_span_id.is_empty() && !parent_is_remote(&alone));
    for attempt in [first, second] {
        assert_eq!(attempt.parent_span_id, alone.span_id);
    }
}

#[test]
fn what_has_no_inference_span_of_its_own_keeps_the_server_span() {
    let [server] = spans_of(sample::plain(), Spans::Client).try_into().unwrap();
    assert_eq!(server.kind(), SpanKind::Server);
    // The session's exchange has it.
    let mut response = sample::streamed();
    response.of_session = true;
    let [of_session] = spans_of(response, Spans::Client).try_into().unwrap();
    assert_eq!(of_session.parent_span_id, id(1));
    assert_eq!(value(&of_session, "http.route"), None);
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
            .any(|attribute| is_fact(&attribute.key))
    );
    assert!(
        !server
            .attributes
            .iter()
            .any(|attribute| is_fact(&attribute.key))
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
        .map(|event| (event.name.as_str(), event.time_unix_nano))
        .collect();
    let at = |ms| at(&exchange, ms);
    assert_eq!(events, [("first_token", at(60)), ("stall", at(2100))]);
    assert_eq!(inference.events[1].attributes[0].key, own::STALL_DURATION);
    assert!(server.events.is_empty());
    let [unary, _] = spans(sample::unary()).try_into().unwrap();
    assert!(unary.events.is_empty());
}

#[test]
fn what_is_no_inference_is_one_span() {
    let [server] = spans(sample::plain()).try_into().unwrap();
    assert_eq!(
        (server.name.as_ref(), server.kind()),
        ("GET", SpanKind::Server)
    );
}

#[test]
fn more_than_one_attempt_makes_a_span_of_each_under_the_inference() {
    let exchange = sample::repeated();
    let [first, second, inference, server] = spans(exchange.clone()).try_into().unwrap();
    assert_eq!(inference.parent_span_id, server.span_id);
    for span in [&first, &second] {
        assert_eq!(
            (span.name.as_ref(), span.kind()),
            ("POST", SpanKind::Client)
        );
        assert_eq!(span.parent_span_id, inference.span_id);
        assert_eq!(
            value(span, "url.full").as_deref(),
            Some("https://api.openai.com/v1/chat/completions")
        );
    }
    assert_ne!(first.span_id, second.span_id);
    let times = |span: &Span| (span.start_time_unix_nano, span.end_time_unix_nano);
    let at = |ms| at(&exchange, ms);
    assert_eq!(times(&first), (at(11), at(24)));
    assert_eq!(times(&second), (at(25), at(2110)));
    assert_eq!([first.status, second.status], [error(""), unset()]);
}

#[test]
fn a_root_has_no_parent() {
    let mut exchange = sample::plain();
    if let Some(trace) = &mut exchange.trace {
        trace.parent_span_id = None;
    }
    let [server] = spans(exchange).try_into().unwrap();
    assert!(server.parent_span_id.is_empty() && !parent_is_remote(&server));
}

#[test]
fn an_http_error_fails_the_inference_and_a_4xx_not_the_server() {
    let [inference, server] = spans(sample::rate_limited()).try_into().unwrap();
    assert_eq!(inference.status, error("slow down"));
    assert_eq!(
        value(&inference, "error.type").as_deref(),
        Some("rate_limit_exceeded")
    );
    assert_eq!(
        (server.status.clone(), value(&server, "error.type")),
        (unset(), None)
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
            error(""),
            "a description does not repeat the type"
        );
        server.status
    };
    assert_eq!(failed(End::ErrorEvent, Some(200)), unset());
    assert_eq!(failed(End::Cut, Some(200)), error(""));
    assert_eq!(failed(End::Timeout, Some(504)), error(""));
    assert_eq!(failed(End::Refused, Some(502)), error(""));
    assert_eq!(failed(End::Done, Some(500)), error(""));
}

#[test]
fn a_client_that_left_is_no_error() {
    let [inference, server] = spans(sample::client_left()).try_into().unwrap();
    for span in [inference, server] {
        assert_eq!(
            (span.status.clone(), value(&span, "error.type")),
            (unset(), None)
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
            leave: Some(wait),
            ..Fake::new(send)
        },
    );
    let exchange = Arc::new(sample::streamed());
    traces.finished(ExchangeId(0), &exchange);
    let first = receive.recv_timeout(MINUTE).unwrap();
    // The exporter is held with two spans; six more find room, the rest do not.
    for id in 1..10 {
        traces.finished(ExchangeId(id), &exchange);
    }
    assert_eq!((traces.queue.unexported(), traces.dropped()), (8, 12));
    drop(leave);
    traces.flush(MINUTE.into());
    let (dropped, waiting) = (traces.dropped(), traces.queue.unexported());
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
            fail: true,
            ..Fake::new(send)
        },
    );
    traces.finished(ExchangeId(1), &Arc::new(sample::streamed()));
    traces.flush(MINUTE.into());
    assert_eq!((traces.export_failures(), traces.dropped()), (1, 2));
    assert_eq!(
        (traces.health().export_failures(), traces.health().dropped()),
        (1, 2)
    );
}

#[test]
fn spans_that_a_receiver_rejected_are_counted_as_dropped_and_not_as_a_failure() {
    let (send, _receive) = channel();
    let traces = traces(
        100,
        Fake {
            rejected: 1,
            ..Fake::new(send)
        },
    );
    traces.finished(ExchangeId(1), &Arc::new(sample::streamed()));
    traces.flush(MINUTE.into());
    let counted = (
        traces.dropped(),
        traces.export_failures(),
        traces.queue.unexported(),
    );
    assert_eq!(counted, (1, 0, 0));
}

#[test]
fn a_span_waits_for_others_no_longer_than_it_may() {
    let (send, receive) = channel();
    let fake = Fake::new(send);
    let batching = Batch {
        queue: 100,
        size: 100,
        delay: Duration::from_millis(1),
        timeout: MINUTE,
    };
    let traces = with_batching(batching, Spans::default(), fake);
    for _ in 0..2 {
        traces.finished(ExchangeId(1), &Arc::new(sample::plain()));
        assert_eq!(receive.recv_timeout(MINUTE).unwrap().len(), 1);
    }
    traces.flush(MINUTE.into());
    assert_eq!(traces.queue.unexported(), 0);
}

#[test]
fn a_span_after_the_end_is_dropped() {
    let (send, receive) = channel();
    let traces = traces(100, Fake::new(send));
    traces.flush(MINUTE.into());
    traces.finished(ExchangeId(1), &Arc::new(sample::plain()));
    assert_eq!((traces.dropped(), traces.queue.unexported()), (1, 0));
    assert_eq!(receive.iter().count(), 0);
}

#[test]
fn a_request_names_resource_and_scope() {
    let resource = Resource::builder_empty().with_service_name("edge").build();
    let request = Envelope::new(&resource).around(&[]);
    let request = ExportTraceServiceRequest::decode(&*request).unwrap();
    let [of] = request.resource_spans.try_into().unwrap();
    assert_eq!(of.resource.unwrap().attributes[0].key, "service.name");
    let scope = of.scope_spans[0].scope.clone().unwrap();
    assert_eq!(
        (scope.name.as_str(), scope.version.as_str()),
        ("streamgauge", env!("CARGO_PKG_VERSION"))
    );
}

/// A call in the trace of an earlier one, which went upstream in another.
fn joined(mut exchange: Exchange) -> Exchange {
    let trace = exchange.trace.as_mut().unwrap();
    trace.parent_is_ours = true;
    trace.told_upstream = Some(Box::new(ToldUpstream {
        trace_id: 7,
        flags: 2,
    }));
    exchange
}

#[test]
fn what_joined_a_trace_is_linked_to_the_context_that_went_upstream() {
    let mut mistaken = sample::repeated();
    (mistaken.operation, mistaken.mistaken) = (None, true);
    let called = spans(joined(sample::repeated()));
    let alone = spans_of(joined(sample::streamed()), Spans::Client);
    for spans in [called, alone, spans(joined(mistaken))] {
        for span in spans {
            assert!(!parent_is_remote(&span), "{}", span.name);
            // The one whose context it was.
            if span.span_id != id(2) {
                assert!(span.links.is_empty(), "{}", span.name);
                continue;
            }
            let [link] = &span.links[..] else {
                panic!("{} links", span.links.len())
            };
            assert_eq!(link.trace_id, 7_u128.to_be_bytes());
            assert_eq!(link.span_id, span.span_id);
            assert_eq!(link.flags, 0x102);
            let [of] = &link.attributes[..] else {
                panic!("{} attributes", link.attributes.len())
            };
            assert_eq!(of.key, "streamgauge.link");
            assert_eq!(
                of.value.as_ref().unwrap().value,
                Some(any_value::Value::StringValue("upstream".to_owned()))
            );
        }
    }
}
