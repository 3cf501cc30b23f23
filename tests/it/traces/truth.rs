//! The numbers are true: times lie where the wire put them, counts are those that were sent, and nothing odd on the wire
//! stops the reading. Durations themselves are never compared with a wish, only with bounds that the test itself made.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::client::{connect, get, post};
use crate::support::gauge::{
    DONE, FINISH, Gauge, STREAM_HEAD, USAGE, chat, delta, event, json, stream,
};
use crate::support::http1::{Connection, chunk};
use crate::support::otlp::{Attributes as _, Span};

const HELLO: &str = r#"{"content":"hello"}"#;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// Writes a chunk, waits until the client has it, and returns the instants before and after.
async fn pass(served: &mut Connection, caller: &mut Connection, bytes: &[u8]) -> (u64, u64) {
    let before = now();
    served.write(chunk(bytes)).await;
    assert_eq!(caller.read_chunk().await.data, bytes);
    (before, now())
}

async fn pass_event(served: &mut Connection, caller: &mut Connection, data: &str) -> (u64, u64) {
    pass(served, caller, format!("data: {data}\n\n").as_bytes()).await
}

/// Ends a stream in good order.
async fn finish(served: &mut Connection, caller: &mut Connection) {
    for data in [FINISH, USAGE, DONE] {
        pass_event(served, caller, data).await;
    }
    served.write(chunk("")).await;
    assert!(caller.read_chunk().await.is_last);
}

fn event_time(span: &Span, name: &str) -> u64 {
    span.event(name).unwrap().time_unix_nano
}

fn number(span: &Span, key: &str) -> f64 {
    span.double(key)
        .unwrap_or_else(|| panic!("there is no {key}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_token_is_dated_between_its_writing_and_its_arrival() {
    let gauge = Gauge::start().await;
    let before_all = now();
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    caller.read_head().await;
    pass(&mut served, &mut caller, b": keep-alive\n\n").await;
    pass_event(
        &mut served,
        &mut caller,
        &delta(r#"{"role":"assistant","content":""}"#),
    )
    .await;
    let (written, arrived) = pass_event(&mut served, &mut caller, &delta(HELLO)).await;
    finish(&mut served, &mut caller).await;
    let (inference, server) = gauge.spans().await;

    let first = event_time(&inference, "first_token");
    assert!(
        written <= first && first <= arrived,
        "{written} {first} {arrived}"
    );
    let (outer, inner) = (&server.proto, &inference.proto);
    let instants = [
        before_all,
        outer.start_time_unix_nano,
        inner.start_time_unix_nano,
        first,
        inner.end_time_unix_nano,
        outer.end_time_unix_nano,
    ];
    assert!(instants.is_sorted(), "{instants:?}");
    let whole = (outer.end_time_unix_nano - outer.start_time_unix_nano) as f64 / 1e9;
    let latency = number(&inference, "llm.response.first_token_latency_ms") / 1e3;
    assert!((latency - number(&inference, "streamgauge.time_to_first_token")).abs() < 1e-9);
    assert!(latency <= whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_firsts_are_kept_apart_and_come_in_the_order_of_the_wire() {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    caller.read_head().await;
    pass(&mut served, &mut caller, b": keep-alive\n\n").await;
    let tool = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#;
    for text in [
        r#"{"role":"assistant"}"#,
        r#"{"reasoning":"hm"}"#,
        HELLO,
        tool,
    ] {
        pass_event(&mut served, &mut caller, &delta(text)).await;
    }
    finish(&mut served, &mut caller).await;
    let (inference, _) = gauge.spans().await;
    let first = |what| number(&inference, &format!("streamgauge.time_to_first_{what}"));
    let times = [
        number(&inference, "streamgauge.time_to_response_head"),
        first("byte"),
        first("event"),
        first("reasoning"),
        first("content"),
        first("tool_call"),
    ];
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    assert_eq!(first("token"), first("reasoning"));
    // From sending, which is later than the end of the request.
    assert!(number(&inference, "gen_ai.response.time_to_first_chunk") <= first("event"));
}

/// What the admin port shows of exchanges in flight.
async fn in_flight(gauge: &Gauge) -> serde_json::Value {
    let page = get(gauge.server.admin, "/api/in-flight").await;
    serde_json::from_slice(&page.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_in_flight_shows_how_far_it_has_come() {
    let gauge = Gauge::start().await;
    let only = async || {
        let page = in_flight(&gauge).await;
        assert_eq!(page["count"], 1, "{page}");
        page["exchanges"][0].clone()
    };
    let mut caller = connect(gauge.server.proxy).await;
    caller.write(chat()).await;
    let mut served = gauge.upstream.accept().await;
    served.read_request().await;
    let waiting = only().await;
    assert_eq!(waiting["model"], "m");
    assert_eq!(waiting["upstream"], "default");
    assert_eq!(waiting["state"], "waiting");
    assert!(waiting["time_to_first_token_ms"].is_null(), "{waiting}");
    served.write(STREAM_HEAD).await;
    caller.read_head().await;
    pass_event(&mut served, &mut caller, &delta(HELLO)).await;
    let generating = only().await;
    assert_eq!(generating["state"], "generating");
    assert_eq!(generating["chunks"], 1);
    assert!(
        generating["time_to_first_token_ms"].is_number(),
        "{generating}"
    );
    assert!(
        generating["since_last_output_ms"].is_number(),
        "{generating}"
    );
    finish(&mut served, &mut caller).await;
    gauge.settled(1).await;
    let page = in_flight(&gauge).await;
    assert_eq!(page["count"], 0, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_count_from_the_last_byte_of_the_request() {
    const PAUSE: Duration = Duration::from_millis(30);
    let gauge = Gauge::start().await;
    let request = chat();
    let (half, rest) = request.split_at(request.len() - 9);
    let mut caller = connect(gauge.server.proxy).await;
    caller.write(half).await;
    // The exchange begins when its head has been parsed, and the body must be late only after that.
    while in_flight(&gauge).await["count"] != 1 {}
    // Not waiting for anything: this is the time that must not be counted.
    tokio::time::sleep(PAUSE).await;
    caller.write(rest).await;
    let mut served = gauge.upstream.accept().await;
    served.read_request().await;
    served.write(STREAM_HEAD).await;
    caller.read_head().await;
    pass_event(&mut served, &mut caller, &delta(HELLO)).await;
    finish(&mut served, &mut caller).await;
    let (inference, server) = gauge.spans().await;
    let start = server.proto.start_time_unix_nano;
    let until_token = Duration::from_nanos(event_time(&inference, "first_token") - start);
    let counted = Duration::from_secs_f64(number(&inference, "streamgauge.time_to_first_token"));
    assert!(
        until_token >= counted + PAUSE,
        "{until_token:?} {counted:?}"
    );
    let issued = Duration::from_nanos(inference.proto.start_time_unix_nano - start);
    assert!(issued >= PAUSE, "{issued:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_an_event_at_the_moment_the_stream_goes_on() {
    const PAUSE: Duration = Duration::from_millis(20);
    let gauge =
        Gauge::with(|program| program.env("STREAMGAUGE_OBSERVE_STALL_THRESHOLD", "20ms")).await;
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    caller.read_head().await;
    pass_event(&mut served, &mut caller, &delta(HELLO)).await;
    // Not waiting for anything: this is the stall.
    tokio::time::sleep(PAUSE + Duration::from_millis(1)).await;
    let (written, arrived) = pass_event(&mut served, &mut caller, &delta(HELLO)).await;
    finish(&mut served, &mut caller).await;
    let (inference, _) = gauge.spans().await;
    let at = event_time(&inference, "stall");
    assert!(written <= at && at <= arrived);
    let gap = inference
        .event("stall")
        .unwrap()
        .double("streamgauge.stall.duration");
    assert_eq!(gap, inference.double("streamgauge.gap.max"));
    assert!(gap.is_some_and(|gap| gap >= PAUSE.as_secs_f64()));
    assert_eq!(inference.int("streamgauge.stalls"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_its_blank_line_is_dated_by_its_bytes() {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    caller.read_head().await;
    let last = delta(HELLO).replace("null}", "\"stop\"}");
    let bytes = format!("data: {last}");
    let (written, arrived) = pass(&mut served, &mut caller, bytes.as_bytes()).await;
    served.write(chunk("")).await;
    caller.read_chunk().await;
    let (inference, _) = gauge.spans().await;
    let first = event_time(&inference, "first_token");
    assert!(
        written <= first && first <= arrived,
        "{written} {first} {arrived}"
    );
    assert_eq!(
        inference.text("streamgauge.end"),
        Some("finish_without_done")
    );
}

/// The inference span of a stream of exactly these chunks, which must reach the client as they are.
async fn stream_of<'b>(gauge: &Gauge, chunks: impl IntoIterator<Item = &'b [u8]>) -> Span {
    let chunks: Vec<&[u8]> = chunks.into_iter().collect();
    let mut answer = STREAM_HEAD.as_bytes().to_vec();
    answer.extend(chunks.iter().flat_map(chunk));
    answer.extend(chunk(""));
    let call = gauge.call(chat(), answer).await;
    assert_eq!(call.got.body, chunks.concat());
    gauge.spans().await.0
}

/// The same of whole events.
async fn events_of(gauge: &Gauge, events: &[&str]) -> Span {
    let framed: Vec<String> = events
        .iter()
        .map(|data| format!("data: {data}\n\n"))
        .collect();
    stream_of(gauge, framed.iter().map(String::as_bytes)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_is_counted_and_the_next_is_read() {
    let gauge = Gauge::start().await;
    let events = [
        "{\"choices\":[{",
        &delta(HELLO),
        "\u{7}",
        FINISH,
        USAGE,
        DONE,
    ];
    let span = events_of(&gauge, &events).await;
    assert_eq!(span.int("streamgauge.problems.malformed"), Some(2));
    assert_eq!(
        (
            span.int("streamgauge.events"),
            span.int("streamgauge.chunks")
        ),
        (Some(6), Some(1))
    );
    assert_eq!(span.int("gen_ai.usage.output_tokens"), Some(4));
    assert_eq!(span.text("streamgauge.end"), Some("done"));
    assert_eq!(span.attribute("streamgauge.partial"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_another_type_are_absent_and_cost_no_other() {
    let gauge = Gauge::start().await;
    let events = [
        r#"{"id":7,"model":null,"choices":null}"#,
        r#"{"id":"c-1","model":"m-1","choices":[{"index":"x","delta":{"content":5,"reasoning":"hm"},"finish_reason":""}]}"#,
        r#"{"choices":[{"delta":null,"finish_reason":"null"},7]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"eos_token"}],"usage":{"prompt_tokens":"12","completion_tokens":-1,"total_tokens":12.0}}"#,
        DONE,
    ];
    let span = events_of(&gauge, &events).await;
    assert_eq!(span.text("gen_ai.response.id"), Some("c-1"));
    assert_eq!(
        span.texts("gen_ai.response.finish_reasons"),
        Some(vec!["eos_token"])
    );
    assert_eq!(span.int("gen_ai.usage.input_tokens"), Some(12));
    assert_eq!(span.int("llm.response.usage.total_tokens"), Some(12));
    assert_eq!(span.attribute("gen_ai.usage.output_tokens"), None);
    assert_eq!(
        span.text("streamgauge.usage.source"),
        Some("reported_partial")
    );
    // The id, an index, a content, a choice, a count.
    assert_eq!(span.int("streamgauge.problems.mistyped"), Some(5));
    assert_eq!(span.int("streamgauge.chunks"), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_beyond_the_bound_passes_and_is_counted_unread() {
    let gauge =
        Gauge::with(|program| program.env("STREAMGAUGE_LIMITS_INSPECT_BYTES", "4096")).await;
    let long = delta(&format!(r#"{{"content":"{}"}}"#, "x".repeat(100_000)));
    let span = events_of(&gauge, &[&long, &delta(HELLO), FINISH, USAGE, DONE]).await;
    assert_eq!(span.int("streamgauge.problems.oversized"), Some(1));
    assert_eq!(span.boolean("streamgauge.partial"), Some(true));
    assert_eq!(
        (
            span.int("streamgauge.events"),
            span.int("streamgauge.chunks")
        ),
        (Some(5), Some(1))
    );
    assert_eq!(span.int("llm.response.full_length"), Some(5));
    assert_eq!(span.int("gen_ai.usage.output_tokens"), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_usage_wins_field_by_field_and_nothing_is_summed() {
    let gauge = Gauge::start().await;
    let usage =
        |members: &str| delta(HELLO).replace("}]}", &format!("}}],\"usage\":{{{members}}}}}"));
    let events = [
        &usage(
            r#""prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":3}"#,
        ),
        &usage(r#""prompt_tokens":9,"completion_tokens":2,"total_tokens":11"#),
        &usage(r#""completion_tokens":3"#),
        &usage(r#""prompt_tokens":0,"completion_tokens":0,"total_tokens":0"#),
        FINISH,
        DONE,
    ];
    let span = events_of(&gauge, &events).await;
    let counts = ["input_tokens", "output_tokens", "cache_read.input_tokens"]
        .map(|what| span.int(&format!("gen_ai.usage.{what}")));
    assert_eq!(counts, [Some(9), Some(3), Some(3)]);
    assert_eq!(span.int("llm.response.usage.total_tokens"), Some(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_counted_and_not_frames() {
    let gauge = Gauge::start().await;
    let two = format!("data: {0}\n\ndata: {0}\n\n", delta(HELLO));
    let third = format!("data: {}\r\n\r\n", delta(r#"{"content":"né"}"#));
    // The cut goes through the two bytes of the last letter.
    let (head, tail) = third.as_bytes().split_at(third.find('é').unwrap() + 1);
    let end = format!(": ping\n\ndata: {FINISH}\n\ndata:{DONE}\n\n");
    let span = stream_of(&gauge, [two.as_bytes(), head, tail, end.as_bytes()]).await;
    assert_eq!(
        (
            span.int("streamgauge.events"),
            span.int("streamgauge.chunks")
        ),
        (Some(5), Some(3))
    );
    assert_eq!(span.int("llm.response.full_length"), Some(12));
    assert_eq!(span.attribute("streamgauge.problems.malformed"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_frame_have_no_time_between_them() {
    let gauge = Gauge::start().await;
    let all = format!(
        "data: {0}\n\ndata: {0}\n\ndata: {FINISH}\n\ndata: {DONE}\n\n",
        delta(HELLO)
    );
    let span = stream_of(&gauge, [all.as_bytes()]).await;
    assert_eq!(span.double("streamgauge.gap.max"), Some(0.0));
    assert_eq!(span.double("streamgauge.gap.p99"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_says_whether_it_is_a_stream() {
    let events = [delta(HELLO).as_str(), FINISH, USAGE, DONE]
        .map(event)
        .concat();
    let unlabelled = [
        STREAM_HEAD
            .replace("text/event-stream", "application/json")
            .as_bytes(),
        &events,
        &chunk(""),
    ]
    .concat();
    let whole = r#"{"id":"c-1","model":"m-1","choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}]}"#;
    let mislabelled = String::from_utf8(json(200, whole))
        .unwrap()
        .replace("application/json", "text/event-stream");
    let plain = post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#);
    for (request, answer, chunks) in [
        (plain, unlabelled, Some(1)),
        (chat(), mislabelled.into_bytes(), None),
    ] {
        let gauge = Gauge::start().await;
        gauge.call(request, answer).await;
        let (span, _) = gauge.spans().await;
        assert_eq!(span.int("streamgauge.chunks"), chunks);
        assert_eq!(span.int("llm.response.full_length"), Some(5));
        assert_eq!(span.text("streamgauge.end"), Some("done"));
        assert_eq!(
            span.attribute("gen_ai.response.time_to_first_chunk")
                .is_some(),
            chunks.is_some()
        );
        assert_eq!(span.event("first_token").is_some(), chunks.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_many_small_pieces_gives_the_same_facts() {
    let gauge = Gauge::start().await;
    let whole: String = [delta(HELLO).as_str(), FINISH, USAGE, DONE]
        .map(|data| format!("data: {data}\n\n"))
        .concat();
    let span = stream_of(&gauge, whole.as_bytes().chunks(1)).await;
    assert_eq!(
        (
            span.int("streamgauge.events"),
            span.int("streamgauge.chunks")
        ),
        (Some(4), Some(1))
    );
    assert_eq!(span.int("gen_ai.usage.input_tokens"), Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_request_is_over_has_no_time_since_its_end() {
    let gauge = Gauge::start().await;
    // A coded body is not read ahead, so the upstream gets it while it still comes.
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-encoding: x\r\ncontent-length: 9\r\n\r\nab";
    let mut caller = connect(gauge.server.proxy).await;
    caller.write(head).await;
    let mut served = gauge.upstream.accept().await;
    served.read_through(b"ab").await;
    let hello = delta(HELLO);
    served.write(stream([hello.as_str(), FINISH, DONE])).await;
    let got = caller.read_response().await;
    assert_eq!(got.status(), 200);
    drop(caller);
    let (span, _) = gauge.spans().await;
    assert_eq!(span.int("streamgauge.chunks"), Some(1));
    for key in [
        "streamgauge.time_to_first_token",
        "llm.response.first_token_latency_ms",
        "streamgauge.time_to_response_head",
    ] {
        assert_eq!(span.attribute(key), None, "{key}");
    }
}
