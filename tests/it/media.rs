//! Images and sound: what their calls say on the wire comes out as attributes, and their forms pass whole, however large.

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::support::client::{self, post};
use crate::support::gauge::{Gauge, STREAM_HEAD, json, lines, with_headers};
use crate::support::http1::chunk;
use crate::support::otlp::Span;

/// The attributes of an inference span, less those that every span of a scripted upstream has.
fn said(span: &Span) -> Vec<String> {
    const ALWAYS: [&str; 4] = [
        "gen_ai.provider.name=",
        "server.address=",
        "server.port=",
        "streamgauge.upstream.name=",
    ];
    let mut lines = lines(span);
    let all = lines.len();
    lines.retain(|line| !ALWAYS.iter().any(|known| line.starts_with(known)));
    assert_eq!(all - lines.len(), ALWAYS.len());
    lines
}

/// Names of a span's events.
fn events(span: &Span) -> Vec<&str> {
    let events = span.proto.events.iter();
    events.map(|event| event.name.as_str()).collect()
}

/// The body of a stream of these events, each named by its type.
fn body(events: &[(&str, &str)]) -> String {
    let event = |(kind, members): &(&str, &str)| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{members}}}\n\n")
    };
    let events: String = events.iter().map(event).collect();
    format!(": keepalive\n\n{events}")
}

/// A stream of these events, in chunks that keep no event apart.
fn stream(events: &[(&str, &str)]) -> Vec<u8> {
    in_chunks(STREAM_HEAD, body(events).as_bytes().chunks(1000))
}

/// A response in these chunks.
fn in_chunks<'a>(head: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let pieces = pieces.into_iter().flat_map(chunk);
    head.bytes().chain(pieces).chain(chunk("")).collect()
}

const BOUNDARY: &str = "----WebKitFormBoundary7MA4";

/// A form with a file between its fields.
fn form(before: &[(&str, &str)], file: &[u8], after: &[(&str, &str)]) -> Vec<u8> {
    let field = |(name, value): &(&str, &str)| {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
        .into_bytes()
    };
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model.wav\"\r\n\
         Content-Type: audio/wav\r\n\r\n"
    );
    let mut body: Vec<u8> = before.iter().flat_map(field).collect();
    body.extend(head.bytes());
    body.extend(file);
    body.extend(b"\r\n");
    body.extend(after.iter().flat_map(field));
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

/// The request that a form is the body of.
fn post_form(path: &str, form: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: streamgauge.test\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {}\r\n\r\n",
        form.len()
    );
    [head.as_bytes(), form].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_image_has_every_attribute_that_its_wire_carries() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/images/generations",
        r#"{"model":"gpt-image-1","prompt":"Grüße","n":2,"stream":true,"partial_images":1,"size":"1024x1024"}"#,
    );
    // Larger than the buffers on the way, and in one line.
    let image = format!("\"b64_json\":\"{}\"", "iVBO".repeat(1 << 19));
    let usage = r#""usage":{"total_tokens":120,"input_tokens":20,"output_tokens":100,"input_tokens_details":{"text_tokens":12,"image_tokens":8}}"#;
    let last = format!("{image},{usage}");
    let sent = [
        ("image_generation.partial_image", image.as_str()),
        ("image_generation.completed", &last),
    ];
    let call = gauge.call(request, stream(&sent)).await;
    assert!(call.got.text() == body(&sent), "the bytes differ");
    let (inference, server) = gauge.spans().await;
    assert_eq!(inference.name(), "image_generation gpt-image-1");
    assert_eq!(server.name(), "POST /v1/images/generations");
    assert_eq!(
        said(&inference),
        [
            "gen_ai.operation.name=image_generation",
            "gen_ai.output.type=image",
            "gen_ai.request.choice.count=2",
            "gen_ai.request.model=gpt-image-1",
            "gen_ai.request.stream=true",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.image.input_tokens=8",
            "gen_ai.usage.input_tokens=20",
            "gen_ai.usage.output_tokens=100",
            "gen_ai.usage.text.input_tokens=12",
            "llm.model=gpt-image-1",
            "llm.prompt.length=5",
            "llm.response.chunk_count=2",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.usage.completion_tokens=100",
            "llm.response.usage.prompt_tokens=20",
            "llm.response.usage.total_tokens=120",
            "streamgauge.chunks=2",
            "streamgauge.end=done",
            "streamgauge.events=2",
            "streamgauge.gap.max=TIME",
            "streamgauge.gap.p99=TIME",
            "streamgauge.stalls=0",
            "streamgauge.time_per_output_token=TIME",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=reported",
        ]
    );
    assert_eq!(events(&inference), ["first_token"]);
    assert_eq!(inference.status(), StatusCode::Unset);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_known_by_the_fields_of_its_form() {
    let gauge = Gauge::start().await;
    let form = form(
        &[("model", "gpt-image-1")],
        b"\x89PNG",
        &[("prompt", "a hat"), ("n", "1")],
    );
    // More than is held of an answer, and all of it in a list.
    let image = "iVBO".repeat(3 << 20);
    let body = format!(
        r#"{{"created":1,"data":[{{"b64_json":"{image}"}}],"usage":{{"input_tokens":7,"output_tokens":9,"total_tokens":16}}}}"#
    );
    let answer = json(200, &body);
    let call = gauge
        .call(post_form("/v1/images/edits", &form), answer)
        .await;
    assert_eq!(call.seen.body, form);
    assert!(call.got.text() == body, "the bytes differ");
    let (inference, server) = gauge.spans().await;
    assert_eq!(server.name(), "POST /v1/images/edits");
    assert_eq!(
        said(&inference),
        [
            "gen_ai.operation.name=image_generation",
            "gen_ai.output.type=image",
            "gen_ai.request.model=gpt-image-1",
            "gen_ai.usage.input_tokens=7",
            "gen_ai.usage.output_tokens=9",
            "llm.model=gpt-image-1",
            "llm.prompt.length=5",
            "llm.response.usage.completion_tokens=9",
            "llm.response.usage.prompt_tokens=7",
            "llm.response.usage.total_tokens=16",
            "streamgauge.end=done",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=reported",
        ]
    );
}

const SPEECH: &str = r#"{"model":"tts-1","voice":"alloy","input":"Grüße"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn speech_has_a_first_sound_but_no_events() {
    let gauge = Gauge::start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    // It begins as a comment of a stream of events would.
    let sound: [&[u8]; 3] = [b":\x00\xff\xfe", b"\x00\x01data: ", b"\n\n[DONE]"];
    let request = post("/v1/audio/speech", SPEECH);
    let call = gauge.call(request, in_chunks(head, sound)).await;
    assert_eq!(call.got.body, sound.concat());
    let (inference, server) = gauge.spans().await;
    assert_eq!(inference.name(), "speech tts-1");
    assert_eq!(server.name(), "POST /v1/audio/speech");
    assert_eq!(
        said(&inference),
        [
            "gen_ai.operation.name=speech",
            "gen_ai.output.type=speech",
            "gen_ai.request.model=tts-1",
            "llm.model=tts-1",
            "llm.prompt.length=5",
            "llm.response.first_token_latency_ms=TIME",
            "streamgauge.end=done",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_response_head=TIME",
        ]
    );
    assert_eq!(events(&inference), ["first_token"]);
    let first = gauge
        .collector
        .point("streamgauge.time_to_first", &[("first", "token")])
        .await;
    assert_eq!(first.count, 1);
    let received = gauge.collector.received();
    assert!(received.point("streamgauge.chunks", &[]).is_none());
    assert!(received.point("streamgauge.stalls", &[]).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_the_client_does_not_wait_for_is_left() {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(post("/v1/audio/speech", SPEECH)).await;
    served
        .write("HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    served.write(chunk("ID3")).await;
    caller.read_head().await;
    caller.read_chunk().await;
    caller.close().await;
    let (inference, _) = gauge.spans().await;
    let said = said(&inference);
    assert!(
        said.contains(&"streamgauge.end=client_left".to_owned()),
        "{said:?}"
    );
    assert!(
        said.contains(&"streamgauge.time_to_first_token=TIME".to_owned()),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_by_events_is_a_stream() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/audio/speech",
        r#"{"model":"gpt-4o-mini-tts","voice":"alloy","input":"hi","stream_format":"sse"}"#,
    );
    let answer = stream(&[
        ("speech.audio.delta", r#""audio":"SUQz""#),
        ("speech.audio.delta", r#""audio":"BAAA""#),
        (
            "speech.audio.done",
            r#""usage":{"input_tokens":14,"output_tokens":101,"total_tokens":115}"#,
        ),
    ]);
    gauge.call(request, answer).await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        said(&inference),
        [
            "gen_ai.operation.name=speech",
            "gen_ai.output.type=speech",
            "gen_ai.request.model=gpt-4o-mini-tts",
            "gen_ai.request.stream=true",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.input_tokens=14",
            "gen_ai.usage.output_tokens=101",
            "llm.model=gpt-4o-mini-tts",
            "llm.prompt.length=2",
            "llm.response.chunk_count=2",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.usage.completion_tokens=101",
            "llm.response.usage.prompt_tokens=14",
            "llm.response.usage.total_tokens=115",
            "streamgauge.chunks=2",
            "streamgauge.end=done",
            "streamgauge.events=3",
            "streamgauge.gap.max=TIME",
            "streamgauge.gap.p99=TIME",
            "streamgauge.stalls=0",
            "streamgauge.time_to_first_audio=TIME",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=reported",
        ]
    );
}

/// A transcription's form around a file of so many bytes, full of what may begin a delimiter.
fn transcription(file: usize) -> Vec<u8> {
    let piece = [b"\r\n----WebKit\r".as_slice(), &[7; 1000]].concat();
    form(
        &[("model", "gpt-4o-transcribe"), ("language", "de")],
        &piece.repeat(file / piece.len()),
        &[
            ("response_format", "json"),
            ("stream", "true"),
            ("prompt", "Grüße"),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_transcript_has_every_attribute_that_its_wire_carries() {
    let gauge = Gauge::start().await;
    let form = transcription(200_000);
    let request = post_form("/v1/audio/transcriptions", &form);
    let usage = r#""usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":5,"total_tokens":19}"#;
    let answer = stream(&[
        ("transcript.text.delta", r#""delta":"Né""#),
        ("transcript.text.done", &format!(r#""text":"Né",{usage}"#)),
    ]);
    let call = gauge.call(request, answer).await;
    assert!(call.seen.body == form, "the bytes differ");
    let (inference, server) = gauge.spans().await;
    assert_eq!(inference.name(), "transcription gpt-4o-transcribe");
    assert_eq!(server.name(), "POST /v1/audio/transcriptions");
    assert_eq!(
        said(&inference),
        [
            "gen_ai.operation.name=transcription",
            "gen_ai.output.type=json",
            "gen_ai.request.model=gpt-4o-transcribe",
            "gen_ai.request.stream=true",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.audio.input_tokens=10",
            "gen_ai.usage.input_tokens=14",
            "gen_ai.usage.output_tokens=5",
            "gen_ai.usage.text.input_tokens=4",
            "llm.model=gpt-4o-transcribe",
            "llm.prompt.length=5",
            "llm.response.chunk_count=1",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.full_length=2",
            "llm.response.usage.completion_tokens=5",
            "llm.response.usage.prompt_tokens=14",
            "llm.response.usage.total_tokens=19",
            "streamgauge.chunks=1",
            "streamgauge.end=done",
            "streamgauge.events=2",
            "streamgauge.stalls=0",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_content=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=reported",
        ]
    );
}

/// Bytes of the file of a large upload, which may cost the proxy less than half of that in memory.
const LARGE: usize = 30 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_form_passes_whole_and_is_read_without_being_held() {
    let gauge = Gauge::with(|program| {
        program
            .env("STREAMGAUGE_OBSERVE_QUEUE_BYTES", "2097152")
            .env("STREAMGAUGE_LIMITS_INSPECT_BYTES", "1048576")
    })
    .await;
    let form = transcription(LARGE);
    let request = post_form("/v1/audio/transcriptions", &form);
    let before = gauge.server.process.memory_peak();
    let call = gauge.call(request, json(200, r#"{"text":"hi"}"#)).await;
    assert!(call.seen.body == form, "the bytes differ");
    let (inference, server) = gauge.spans().await;
    let grown = gauge.server.process.memory_peak() - before;
    assert!(grown < LARGE / 2, "{grown} bytes more");
    assert_eq!(inference.name(), "transcription gpt-4o-transcribe");
    let size = format!("http.request.body.size={}", form.len());
    assert!(lines(&server).contains(&size));
    let said = said(&inference);
    // Where the observer cannot keep up, frames that passed unseen are all that is counted.
    let fault = |line: &String| line.contains("oversized") || line.contains("malformed");
    assert!(!said.iter().any(fault), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_in_seconds_of_sound_is_usage() {
    let gauge = Gauge::start().await;
    let form = form(
        &[],
        b"RIFF",
        &[("model", "whisper-1"), ("temperature", "0.2")],
    );
    let answer = json(
        200,
        r#"{"task":"translate","duration":8.4,"text":"hello","usage":{"type":"duration","seconds":9}}"#,
    );
    gauge
        .call(post_form("/v1/audio/translations", &form), answer)
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        said(&inference),
        [
            "gen_ai.operation.name=translation",
            "gen_ai.request.model=whisper-1",
            "gen_ai.request.temperature=0.2",
            "llm.model=whisper-1",
            "llm.response.full_length=5",
            "streamgauge.end=done",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.audio.input_duration=9.0",
            "streamgauge.usage.source=reported",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coded_form_passes_as_it_is_and_is_read() {
    let gauge = Gauge::start().await;
    let form = form(
        &[("model", "whisper-1")],
        b"RIFF",
        &[("response_format", "srt")],
    );
    let coded = zstd::encode_all(&*form, 1).unwrap();
    let request = with_headers(
        &post_form("/v1/audio/transcriptions", &coded),
        "content-encoding: zstd\r\n",
    );
    let answer = json(200, "1\n00:00:00,000 --> 00:00:01,500\nhello\n");
    let call = gauge.call(request, answer).await;
    assert_eq!(call.seen.body, coded);
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        said(&inference),
        [
            "gen_ai.operation.name=transcription",
            "gen_ai.output.type=text",
            "gen_ai.request.model=whisper-1",
            "llm.model=whisper-1",
            "streamgauge.end=done",
            r#"streamgauge.quirks=["L-05"]"#,
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=missing",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_the_client_breaks_off_says_what_had_come() {
    let gauge = Gauge::start().await;
    let form = form(&[("model", "whisper-1")], &[0; 4096], &[]);
    let request = post_form("/v1/audio/transcriptions", &form);
    let mut caller = client::connect(gauge.server.proxy).await;
    caller.write(&request[..request.len() - 2048]).await;
    let mut served = gauge.upstream.accept().await;
    served.read_head().await;
    caller.close().await;
    let (inference, _) = gauge.spans().await;
    let said = said(&inference);
    assert!(
        said.contains(&"gen_ai.request.model=whisper-1".to_owned()),
        "{said:?}"
    );
    assert!(
        said.contains(&"streamgauge.problems.malformed=1".to_owned()),
        "{said:?}"
    );
}
