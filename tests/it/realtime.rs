//! Realtime sessions through the real program: every frame passes as it is, and of each response there is a span inside the
//! session's, with the times, tokens and calls that the events tell of.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::support::gauge::{CLIENT, Gauge, SERVER, json, lines, with_headers};
use crate::support::otlp::{Attributes as _, Received, Span};
use crate::support::process::Program;
use crate::support::websocket::{DEFLATE, Session, frame};
use crate::support::{client, within};

const TARGET: &str = "/v1/realtime?model=gpt-realtime";

const SESSION: &str = r#"{"type":"session.created","event_id":"e","session":{"id":"sess_1","model":"gpt-realtime-2025-08-28","output_modalities":["audio"],"max_output_tokens":"inf"}}"#;

fn created(id: &str) -> String {
    format!(r#"{{"type":"response.created","response":{{"id":"{id}","status":"in_progress"}}}}"#)
}

fn delta(id: &str, kind: &str, delta: &str) -> String {
    format!(
        r#"{{"type":"response.{kind}.delta","response_id":"{id}","item_id":"i","delta":"{delta}"}}"#
    )
}

fn done(id: &str, status: &str) -> String {
    format!(
        r#"{{"type":"response.done","response":{{"id":"{id}","status":"{status}","usage":{{"total_tokens":150,
        "input_tokens":120,"output_tokens":30,"input_token_details":{{"text_tokens":20,"audio_tokens":100,"cached_tokens":64}},
        "output_token_details":{{"text_tokens":6,"audio_tokens":24}}}}}}}}"#
    )
    .replace('\n', "")
}

/// A response with text and a function call, asked for by the client.
async fn respond(session: &mut Session, id: &str) {
    session.client(r#"{"type":"response.create"}"#).await;
    session.server(&created(id)).await;
    session.server(&delta(id, "output_text", "Hello")).await;
    let call = r#"{"id":"fc","type":"function_call","name":"get_weather","call_id":"call_1"}"#;
    session
        .server(&format!(
            r#"{{"type":"response.output_item.added","response_id":"{id}","item":{call}}}"#
        ))
        .await;
    session
        .server(&format!(
            r#"{{"type":"response.function_call_arguments.delta","response_id":"{id}","item_id":"fc","delta":"{{}}"}}"#
        ))
        .await;
    session.server(&done(id, "completed")).await;
}

/// The spans of responses, in the order in which they were reported.
fn responses(received: &Received) -> Vec<&Span> {
    let spans = received.spans.iter();
    spans.filter(|span| span.proto.kind == CLIENT).collect()
}

/// The SERVER span.
fn server(received: &Received) -> &Span {
    let mut spans = received.spans.iter();
    spans.find(|span| span.proto.kind == SERVER).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_response_has_a_span_inside_the_sessions() {
    let gauge = Gauge::start().await;
    let mut session = Session::open(&gauge, TARGET, "").await;
    session.server(SESSION).await;
    for id in ["resp_1", "resp_2"] {
        respond(&mut session, id).await;
    }
    // The session goes on, and its responses are reported already.
    let received = gauge.received(2).await;
    assert!(received.spans.iter().all(|span| span.proto.kind == CLIENT));
    let context = session.asked.header("traceparent").unwrap().to_owned();
    session.client_closes(1000).await;

    let received = gauge.received(3).await;
    let server = server(&received);
    assert_eq!(server.name(), "GET /v1/realtime");
    assert_eq!(server.int("http.response.status_code"), Some(101));
    assert_eq!(server.text("streamgauge.end"), Some("done"));
    assert_eq!(context.split('-').nth(2).unwrap(), server.span_id());
    let spans = responses(&received);
    assert_eq!(received.children(server).len(), 2);
    assert_ne!(spans[0].span_id(), spans[1].span_id());
    let port = gauge.upstream.address().port();
    for (span, id) in spans.iter().zip(["resp_1", "resp_2"]) {
        assert_eq!(span.name(), "chat gpt-realtime");
        assert_eq!(span.trace_id(), server.trace_id());
        assert_eq!(span.status(), StatusCode::Unset);
        assert!(span.event("first_token").is_some());
        let expected = [
            "gen_ai.operation.name=chat",
            "gen_ai.output.type=speech",
            "gen_ai.provider.name=openai",
            "gen_ai.request.model=gpt-realtime",
            "gen_ai.request.stream=true",
            "gen_ai.response.finish_reasons=[\"stop\"]",
            &format!("gen_ai.response.id={id}"),
            "gen_ai.response.model=gpt-realtime-2025-08-28",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.audio.input_tokens=100",
            "gen_ai.usage.audio.output_tokens=24",
            "gen_ai.usage.cache_read.input_tokens=64",
            "gen_ai.usage.input_tokens=120",
            "gen_ai.usage.output_tokens=30",
            "gen_ai.usage.text.input_tokens=20",
            "gen_ai.usage.text.output_tokens=6",
            "llm.model=gpt-realtime",
            "llm.response.chunk_count=3",
            "llm.response.finish_reason=stop",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.full_length=5",
            "llm.response.model=gpt-realtime-2025-08-28",
            "llm.response.usage.completion_tokens=30",
            "llm.response.usage.prompt_tokens=120",
            "llm.response.usage.total_tokens=150",
            "server.address=127.0.0.1",
            &format!("server.port={port}"),
            "streamgauge.chunks=3",
            "streamgauge.end=done",
            "streamgauge.events=5",
            "streamgauge.gap.max=TIME",
            "streamgauge.gap.p99=TIME",
            "streamgauge.stalls=0",
            "streamgauge.time_per_output_token=TIME",
            "streamgauge.time_to_first_content=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_first_tool_call=TIME",
            "streamgauge.tool_calls=1",
            "streamgauge.upstream.name=default",
            "streamgauge.usage.source=reported",
        ];
        assert_eq!(lines(span), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_the_responses_and_the_session_once() {
    let both = |program: Program| program.env("STREAMGAUGE_TELEMETRY_METRICS", "gen_ai,llm");
    let gauge = Gauge::with(both).await;
    let mut session = Session::open(&gauge, TARGET, "").await;
    let mut bytes = 0;
    for id in ["resp_1", "resp_2"] {
        respond(&mut session, id).await;
        bytes += frame(1, done(id, "completed").as_bytes(), None).len() as u64;
    }
    session.client_closes(1000).await;
    gauge.settled(3).await;
    let metric =
        async |name: &str, labels: &[(&str, &str)]| gauge.server.metric(name, labels).await;
    let tokens = "gen_ai_client_inference_usage_output_tokens_total";
    for (modality, count) in [("audio", 48.0), ("text", 12.0), ("unknown", f64::NAN)] {
        let counted = metric(tokens, &[("gen_ai_token_modality", modality)]).await;
        assert_eq!(
            counted,
            Some(count).filter(|count| !count.is_nan()),
            "{modality}"
        );
    }
    for (name, labels, count) in [
        ("llm_requests_total", &[][..], 2.0),
        (
            "gen_ai_tool_calls_total",
            &[("tool_name", "get_weather")],
            2.0,
        ),
        ("gen_ai_client_inference_duration_seconds_count", &[], 2.0),
        (
            "streamgauge_time_to_first_seconds_count",
            &[("first", "content")],
            2.0,
        ),
        ("http_server_request_duration_seconds_count", &[], 1.0),
        ("streamgauge_overhead_duration_seconds_count", &[], 1.0),
        (
            "streamgauge_usage_calls_total",
            &[("streamgauge_usage_source", "reported")],
            2.0,
        ),
    ] {
        assert_eq!(metric(name, labels).await, Some(count), "{name}");
    }
    let passed = metric("streamgauge_response_bytes_total", &[]).await;
    assert!(
        passed.unwrap() > bytes as f64,
        "{passed:?} of more than {bytes}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_that_the_server_answers_counts_from_its_end() {
    let gauge = Gauge::start().await;
    let mut session = Session::open(&gauge, TARGET, "").await;
    let pause = Duration::from_millis(120);
    session
        .server(r#"{"type":"input_audio_buffer.speech_stopped"}"#)
        .await;
    tokio::time::sleep(pause).await;
    session.server(&created("r")).await;
    session
        .server(&delta("r", "output_audio_transcript", "Hi"))
        .await;
    tokio::time::sleep(pause).await;
    session.server(&delta("r", "output_audio", "AAAA")).await;
    session.server(&done("r", "cancelled")).await;
    session.server(&created("unasked")).await;
    session.server(&done("unasked", "completed")).await;
    let received = gauge.received(2).await;
    let spans = responses(&received);
    let (answer, unasked) = (spans[0], spans[1]);
    let time = |first: &str| {
        answer
            .double(&format!("streamgauge.time_to_first_{first}"))
            .unwrap()
    };
    assert!(time("event") >= 0.12, "{}", time("event"));
    assert!(time("content") < time("audio"));
    assert!(time("audio") >= 0.24, "{}", time("audio"));
    assert_eq!(
        answer.texts("gen_ai.response.finish_reasons"),
        Some(vec!["cancelled"])
    );
    assert_eq!(answer.status(), StatusCode::Unset);
    // Nobody was seen to ask, so it counts from its own beginning.
    assert_eq!(unasked.double("streamgauge.time_to_first_event"), Some(0.0));
    let start = |span: &Span| span.proto.start_time_unix_nano;
    assert!(start(unasked) - start(answer) >= 240_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_are_read_and_pass_as_they_are() {
    let gauge = Gauge::start().await;
    let mut session = Session::open(&gauge, TARGET, DEFLATE).await;
    session.server(SESSION).await;
    for id in ["resp_1", "resp_2", "resp_3"] {
        respond(&mut session, id).await;
    }
    let received = gauge.received(3).await;
    let ids = responses(&received)
        .into_iter()
        .map(|span| span.text("gen_ai.response.id"));
    assert!(ids.eq(["resp_1", "resp_2", "resp_3"].map(Some)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_fails_is_an_error_of_its_own_span() {
    let gauge = Gauge::start().await;
    let mut session = Session::open(&gauge, TARGET, "").await;
    session.client(r#"{"type":"response.create"}"#).await;
    session.server(&created("r")).await;
    session
        .server(r#"{"type":"response.done","response":{"id":"r","status":"failed","status_details":{"type":"failed","error":{"type":"server_error","code":"overloaded","message":"Try later"}}}}"#)
        .await;
    session.client_closes(1000).await;
    let received = gauge.received(2).await;
    let failed = responses(&received)[0];
    assert_eq!(failed.status(), StatusCode::Error);
    assert_eq!(failed.text("error.type"), Some("overloaded"));
    assert_eq!(failed.text("streamgauge.end"), Some("error_event"));
    assert_eq!(server(&received).status(), StatusCode::Unset);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_a_session_says_how_a_response_in_progress_ended() {
    for (close, end, error) in [
        ("client closes", "client_left", None),
        ("client aborts", "client_left", None),
        ("server closes", "cut", Some("stream_truncated")),
    ] {
        let gauge = Gauge::start().await;
        let mut session = Session::open(&gauge, TARGET, "").await;
        session.client(r#"{"type":"response.create"}"#).await;
        session.server(&created("r")).await;
        session.server(&delta("r", "output_text", "Hel")).await;
        match close {
            "client closes" => session.client_closes(1001).await,
            "client aborts" => session.client_aborts().await,
            _ => session.server_closes(1011).await,
        }
        let received = gauge.received(2).await;
        let left = responses(&received)[0];
        assert_eq!(left.text("streamgauge.end"), Some(end), "{close}");
        assert_eq!(left.text("error.type"), error, "{close}");
        assert_eq!(
            left.text("streamgauge.usage.source"),
            Some("missing"),
            "{close}"
        );
        assert_eq!(
            server(&received).text("streamgauge.end"),
            Some("done"),
            "{close}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_cut_off_at_the_end_of_the_process_is_reported() {
    let config = crate::support::file::File::new("config.toml", "[shutdown]\ndrain = \"100ms\"\n");
    let mut gauge = Gauge::with(|program| program.args(["-c", config.name()])).await;
    let mut session = Session::open(&gauge, TARGET, "").await;
    session.client(r#"{"type":"response.create"}"#).await;
    session.server(&created("r")).await;
    gauge.server.process.terminate().await;
    let (mut client, mut served) = session.into_ends();
    client.closed().await;
    served.closed().await;
    assert_eq!(gauge.server.process.exit().await.code(), Some(1));
    let received = gauge.received(2).await;
    for span in &received.spans {
        assert_eq!(span.text("error.type"), Some("shutdown"), "{}", span.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_passes_and_is_counted() {
    let gauge = Gauge::start().await;
    let mut session = Session::open(&gauge, TARGET, "").await;
    session.server("not json").await;
    let (mut client, mut served) = session.into_ends();
    let garbage = [0x7f; 5000];
    served.write(garbage).await;
    assert_eq!(client.read_exact(garbage.len()).await, garbage);
    client.write(garbage).await;
    assert_eq!(served.read_exact(garbage.len()).await, garbage);
    client.close().await;
    served.close().await;
    for kind in ["malformed", "undecodable"] {
        let labels = [("kind", kind)];
        let counted = "streamgauge_observation_problems_total";
        gauge
            .server
            .metric_where(counted, &labels, |count| count == 1.0)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_on_the_path_is_left_unread() {
    let gauge = Gauge::start().await;
    let ask =
        "GET /v1/realtime HTTP/1.1\r\nHost: me\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
    let (mut client, mut served) = gauge.open(ask).await;
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
    served.write(switch).await;
    client.read_head().await;
    let event = frame(1, created("r").as_bytes(), None);
    served.write(&event).await;
    assert_eq!(client.read_exact(event.len()).await, event);
    served.close().await;
    client.close().await;
    assert_eq!(gauge.server_span().await.name(), "GET /v1/realtime");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_responses_api_over_websocket_has_a_span_for_each_response() {
    let gauge = Gauge::start().await;
    let mut session = Session::open(&gauge, "/v1/responses", "").await;
    session
        .client(r#"{"type":"response.create","model":"gpt-5.2","input":"Hi"}"#)
        .await;
    session.server(r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","model":"gpt-5.2"}}"#).await;
    session
        .server(r#"{"type":"response.output_text.delta","item_id":"m","delta":"Hi"}"#)
        .await;
    session.server(r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","model":"gpt-5.2","usage":{"input_tokens":3,"output_tokens":1,"total_tokens":4}}}"#).await;
    let received = gauge.received(1).await;
    let span = responses(&received)[0];
    assert_eq!(span.name(), "chat gpt-5.2");
    assert_eq!(span.text("openai.api.type"), Some("responses"));
    assert_eq!(span.int("gen_ai.usage.output_tokens"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn call_set_up_passes_as_plain_http() {
    let gauge = Gauge::start().await;
    let offer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n";
    let length = offer.len();
    let call = gauge
        .call(
            format!("POST /v1/realtime/calls HTTP/1.1\r\nHost: me\r\ncontent-type: application/sdp\r\ncontent-length: {length}\r\n\r\n{offer}"),
            "HTTP/1.1 201 Created\r\nlocation: /v1/realtime/calls/rtc_1\r\ncontent-type: application/sdp\r\nconnection: close\r\ncontent-length: 5\r\n\r\nv=0\r\n",
        )
        .await;
    assert_eq!((call.seen.text(), call.got.text()), (offer, "v=0\r\n"));
    assert_eq!(call.got.status(), 201);
    assert_eq!(
        call.got.header("location"),
        Some("/v1/realtime/calls/rtc_1")
    );
    let secret = client::post("/v1/realtime/client_secrets", r#"{"session":{}}"#);
    let secret = with_headers(&secret, "authorization: Bearer sk-1\r\n");
    let call = gauge.call(secret, json(200, r#"{"value":"ek_1"}"#)).await;
    assert_eq!(call.got.text(), r#"{"value":"ek_1"}"#);
    let received = gauge.received(2).await;
    let names: Vec<&str> = received.spans.iter().map(Span::name).collect();
    assert_eq!(names, ["POST", "POST"], "no call to a model");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_of_a_long_session_has_a_span_of_its_own() {
    let gauge = Gauge::start().await;
    let mut session = Session::open(&gauge, TARGET, "").await;
    let sessions = async {
        for number in 0..300 {
            respond(&mut session, &format!("resp_{number}")).await;
        }
    };
    within("300 responses", sessions).await;
    gauge.settled(300).await;
    let received = gauge.received(300).await;
    let mut ids: Vec<String> = received.spans.iter().map(Span::span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}
