//! `streamgauge explain`, through the real program: each form of capture, what is left out, and what cannot be read.

mod conversations;
mod transcripts;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::file::File;
use crate::support::otlp::Attributes as _;
use crate::support::scene::{Scene, UNEDITED};

const KEY: &str = "sk-proj-0123456789abcdef";
const REQUEST: &str =
    r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str = concat!(
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-2024-08-06\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"He\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2,\"total_tokens\":10}}\n\n",
    "data: [DONE]\n\n",
);

/// Runs `explain` on a capture that comes by standard input.
fn explain(capture: &[u8], arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .env_clear()
        .args(["explain", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A capture that is too large is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(capture);
    child.wait_with_output().unwrap()
}

/// The exchanges of a capture that can be read.
fn exchanges(capture: impl AsRef<[u8]>, arguments: &[&str]) -> Vec<Value> {
    let output = explain(capture.as_ref(), &[arguments, &["--json"]].concat());
    assert_eq!(stderr(&output), "");
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    explained["exchanges"].as_array().unwrap().clone()
}

/// The only exchange of a capture.
fn exchange(capture: impl AsRef<[u8]>) -> Value {
    let [exchange] = exchanges(capture, &[]).try_into().unwrap();
    exchange
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn attribute<'a>(exchange: &'a Value, span: usize, key: &str) -> &'a Value {
    &exchange["spans"][span]["attributes"][key]
}

fn metrics(exchange: &Value) -> Vec<&Value> {
    exchange["metrics"].as_array().unwrap().iter().collect()
}

/// What every form of the same call comes to.
fn assert_is_the_call(exchange: &Value) {
    assert_eq!(exchange["spans"][0]["kind"], "SERVER", "{exchange:#}");
    assert_eq!(
        attribute(exchange, 1, "gen_ai.response.model"),
        "gpt-4o-2024-08-06"
    );
    assert_eq!(attribute(exchange, 1, "gen_ai.usage.input_tokens"), 8);
    assert_eq!(attribute(exchange, 1, "gen_ai.usage.output_tokens"), 2);
    assert_eq!(attribute(exchange, 1, "llm.response.full_length"), 5);
    assert_eq!(attribute(exchange, 1, "streamgauge.end"), "done");
    assert_eq!(exchange["problems"], json!({}));
}

/// A request and its response; `fields` come on top of the response's.
fn raw(fields: &str, body: &[u8]) -> Vec<u8> {
    let length = REQUEST.len();
    let mut capture = format!(
        "POST /v1/chat/completions?api-key={KEY} HTTP/1.1\r\nHost: api.openai.com\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Length: {length}\r\n\r\n{REQUEST}\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{fields}\r\n"
    )
    .into_bytes();
    capture.extend_from_slice(body);
    capture
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in body.chunks(100) {
        coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn har(entries: &Value) -> String {
    json!({ "log": { "version": "1.2", "entries": entries } }).to_string()
}

fn entry() -> Value {
    json!({
        "request": {
            "method": "POST", "url": "https://api.openai.com/v1/chat/completions", "httpVersion": "h2",
            "headers": [{"name": ":path", "value": "/"}, {"name": "authorization", "value": format!("Bearer {KEY}")}],
            "postData": {"mimeType": "application/json", "text": REQUEST},
        },
        "response": {
            "status": 200, "httpVersion": "h2", "bodySize": 300,
            "headers": [{"name": "content-encoding", "value": "br"}],
            "content": {"size": STREAM.len(), "mimeType": "text/event-stream",
                        "text": STANDARD.encode(STREAM), "encoding": "base64"},
        },
        "timings": {"blocked": -1, "send": 100, "wait": 400, "receive": 500},
    })
}

/// An entry of a chat that began so many milliseconds after another, and took half a second.
fn turn(millis: u32, messages: &[Value], answer: &Value) -> Value {
    let request = json!({"model": "gpt-4o", "messages": messages}).to_string();
    let reason = if answer["tool_calls"].is_null() {
        "stop"
    } else {
        "tool_calls"
    };
    let answer = json!({
        "id": format!("c-{millis}"), "object": "chat.completion", "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": answer, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    });
    json!({
        "startedDateTime": format!("2026-11-29T12:30:{:02}.{:03}+02:00", millis / 1000, millis % 1000),
        "request": {
            "method": "POST", "url": "https://api.openai.com/v1/chat/completions", "httpVersion": "h2",
            "headers": [], "postData": {"mimeType": "application/json", "text": request},
        },
        "response": {
            "status": 200, "httpVersion": "h2", "headers": [],
            "content": {"mimeType": "application/json", "text": answer.to_string()},
        },
        "timings": {"send": 100, "wait": 400, "receive": 0},
    })
}

#[test]
fn the_spans_are_those_that_the_configuration_asks_for() {
    let file = File::new("spans.toml", "[telemetry]\nspans = \"client\"\n");
    let [exchange] = exchanges(raw("", STREAM.as_bytes()), &["-c", file.name()])
        .try_into()
        .unwrap();
    let kinds: Vec<_> = exchange["spans"].as_array().unwrap().iter().collect();
    assert_eq!(kinds.len(), 1, "{exchange:#}");
    assert_eq!(exchange["spans"][0]["kind"], "CLIENT");
    assert_eq!(attribute(&exchange, 0, "http.response.status_code"), 200);
}

#[test]
fn a_request_and_its_response_are_read_as_raw_http() {
    let exchange = exchange(raw("", STREAM.as_bytes()));
    assert_is_the_call(&exchange);
    assert_eq!(attribute(&exchange, 1, "gen_ai.request.model"), "gpt-4o");
    assert_eq!(
        attribute(&exchange, 0, "http.request.body.size"),
        REQUEST.len()
    );
    assert_eq!(
        attribute(&exchange, 0, "streamgauge.response.bytes"),
        STREAM.len()
    );
    assert_eq!(exchange["warnings"], json!([]));
}

#[test]
fn line_feeds_alone_and_lengths_that_are_off_are_read_all_the_same() {
    let capture = String::from_utf8(raw("", STREAM.as_bytes())).unwrap();
    let edited = capture
        .replace("\r\n", "\n")
        .replace("\"Hi\"", "\"Hi there\"");
    let exchange = exchange(edited);
    assert_is_the_call(&exchange);
    assert_eq!(attribute(&exchange, 1, "llm.prompt.length"), 8);
    let warning = exchange["warnings"][0].as_str().unwrap();
    assert!(warning.contains("Content-Length"), "{warning}");
}

#[test]
fn chunks_and_content_codings_are_undone() {
    let body = STREAM.as_bytes();
    let cases = [
        ("Transfer-Encoding: chunked\r\n", chunked(body)),
        ("Content-Encoding: gzip\r\n", gzip(body)),
        (
            "Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n",
            chunked(&gzip(body)),
        ),
    ];
    for (fields, coded) in cases {
        assert_is_the_call(&exchange(raw(fields, &coded)));
        // curl has undone them, and prints the fields all the same.
        assert_is_the_call(&exchange(raw(fields, body)));
    }
}

#[test]
fn a_response_alone_is_told_by_its_shape_or_by_the_path_given() {
    let capture =
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200 \r\ncontent-type: x\r\n\r\n{STREAM}");
    let exchange = exchange(&capture);
    assert_is_the_call(&exchange);
    assert_eq!(
        attribute(&exchange, 0, "http.request.body.size"),
        &Value::Null
    );
    let warnings = exchange["warnings"].to_string();
    assert!(warnings.contains("by its shape"), "{warnings}");

    let told = exchanges(&capture, &["--path", "/v1/completions"]);
    assert_eq!(attribute(&told[0], 0, "http.route"), "/v1/completions");
    let warnings = told[0]["warnings"].to_string();
    assert!(warnings.contains("--path"), "{warnings}");
}

#[test]
fn the_destination_of_a_response_alone_is_assumed_only_where_no_flag_gives_it() {
    let response = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        STREAM.as_bytes(),
    ]
    .concat();
    for (arguments, is_assumed) in [
        (&[][..], true),
        (&["--upstream", "http://vllm:8000/v1"], false),
    ] {
        let told = exchanges(&response, arguments);
        let warnings = told[0]["warnings"].to_string();
        assert_eq!(
            warnings.contains("is assumed"),
            is_assumed,
            "{arguments:?} {warnings}"
        );
    }
}

#[test]
fn a_response_alone_says_nothing_of_what_was_asked() {
    let response = format!("HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n{STREAM}");
    let output = explain(response.as_bytes(), &[]);
    assert!(!stdout(&output).contains("A-15"), "{}", stdout(&output));
    let unasked = REQUEST.replace(",\"stream\":true", "");
    let length = unasked.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\nHost: a\nContent-Length: {length}\n\n{unasked}"
    );
    let output = explain(format!("{request}{response}").as_bytes(), &[]);
    assert!(stdout(&output).contains("A-15"), "{}", stdout(&output));
}

#[test]
fn every_entry_of_a_har_is_explained_with_the_times_it_has() {
    let page = json!({
        "request": {"method": "GET", "url": "https://example.com/", "headers": []},
        "response": {"status": 0, "headers": [], "content": {}},
    });
    let [call, page] = exchanges(har(&json!([entry(), page])), &[])
        .try_into()
        .unwrap();
    assert_is_the_call(&call);
    assert_eq!(call["title"], "entry 1 of 2");
    assert_eq!(attribute(&call, 0, "streamgauge.response.bytes"), 300);
    assert_eq!(attribute(&call, 0, "url.scheme"), "https");
    assert_eq!(
        attribute(&call, 1, "streamgauge.time_to_response_head"),
        0.4
    );
    let duration = metrics(&call)
        .into_iter()
        .find(|sample| sample["name"] == "gen_ai.client.operation.duration");
    assert_eq!(duration.unwrap()["value"], 0.9);
    assert_eq!(attribute(&page, 0, "streamgauge.end"), "client_left");
    assert!(page["warnings"].to_string().contains("no response"));
}

#[test]
fn times_that_a_capture_does_not_have_are_absent() {
    let without_times = exchange(raw("", STREAM.as_bytes()));
    for sample in metrics(&without_times) {
        assert_ne!(sample["unit"], "s", "{sample}");
    }
    let mut with_times = exchanges(har(&json!([entry()])), &[]);
    for exchange in [without_times, with_times.remove(0)] {
        for unknown in [
            "overhead",
            "first_token",
            "first_byte",
            "per_output_token",
            "gap",
            "stall",
            "scheme\":\"http\"",
        ] {
            let text = exchange.to_string();
            assert!(!text.contains(unknown), "{unknown} in {exchange:#}");
        }
    }
}

#[test]
fn no_credential_of_a_capture_is_printed() {
    let refused = format!("{{\"error\":{{\"message\":\"no such key: {KEY}\",\"type\":\"auth\"}}}}");
    let capture = raw(
        "Set-Cookie: session=abcdefgh12345; path=/\r\n",
        refused.as_bytes(),
    );
    let capture = String::from_utf8(capture)
        .unwrap()
        .replace("200 OK", "401 No");
    for arguments in [&[][..], &["--json"]] {
        let output = explain(capture.as_bytes(), arguments);
        let text = stdout(&output);
        assert!(
            !text.contains(KEY) && !text.contains("abcdefgh12345"),
            "{text}"
        );
        assert!(text.contains("no such key: REDACTED"), "{text}");
        assert!(text.contains("api-key=REDACTED"), "{text}");
    }
    for broken in [
        format!("GET / HTTP/1.1\nAuthorization {KEY}\n\n"),
        format!("{{\"log\":{{\"entries\":[{{\"request\":{{\"url\":\"{KEY} \"}}}}]}}}}"),
        format!("curl -H 'Authorization: Bearer {KEY}'"),
    ] {
        let output = explain(broken.as_bytes(), &[]);
        assert_eq!(output.status.code(), Some(1), "{broken}");
        assert!(!stderr(&output).contains(KEY), "{}", stderr(&output));
    }
}

#[test]
fn a_response_that_breaks_off_is_shown_as_one() {
    let exchange = exchange(raw("Content-Length: 9999\r\n", STREAM.as_bytes()));
    assert_eq!(attribute(&exchange, 1, "streamgauge.end"), "cut");
    assert_eq!(
        exchange["spans"][1]["error"],
        "the capture ends before the response does"
    );
    assert!(
        exchange["warnings"]
            .to_string()
            .contains("Content-Length is 9999")
    );
}

#[test]
fn what_could_not_be_read_is_said() {
    let exchange = exchange(raw("", b"data: {\"choices\":7}\n\ndata: {no json\n\n"));
    assert_eq!(exchange["problems"], json!({"malformed": 1, "mistyped": 1}));
    let output = explain(&raw("", b"data: {no json\n\n"), &[]);
    assert!(stdout(&output).contains("not readable: 1 malformed"));
}

#[test]
fn a_stream_that_was_not_asked_for_usage_is_told_of() {
    let stream = STREAM.replace("\"usage\"", "\"other\"");
    let warnings = exchange(raw("", stream.as_bytes()))["warnings"].to_string();
    assert!(warnings.contains("usage.inject"), "{warnings}");
}

#[test]
fn tokens_are_counted_that_nobody_reported_unless_it_is_turned_off() {
    let stream = STREAM.replace("\"usage\"", "\"other\"");
    let capture = raw("", stream.as_bytes());
    let counts = |exchange: &Value| {
        let attribute = |key| attribute(exchange, 1, key).clone();
        [
            attribute("streamgauge.usage.source"),
            attribute("streamgauge.usage.estimated.input_tokens"),
            attribute("streamgauge.usage.estimated.output_tokens"),
        ]
    };
    // One token of text in a message, with what frames it.
    let estimated = [json!("estimated"), json!(1 + 4 + 3), json!(1)];
    assert_eq!(counts(&exchange(&capture)), estimated);
    let file = File::new("off.toml", "[telemetry]\nestimate_tokens = 'off'\n");
    let [off] = exchanges(&capture, &["-c", file.path().to_str().unwrap()])
        .try_into()
        .unwrap();
    assert_eq!(counts(&off), [json!("missing"), json!(null), json!(null)]);
}

#[tokio::test]
async fn what_is_explained_is_what_is_exported() {
    assert_explained_as_exported(STREAM).await;
    assert_explained_as_exported(&STREAM.replace("\"usage\"", "\"other\"")).await;
}

/// Sends a call that is answered by this stream, and explains the same.
async fn assert_explained_as_exported(stream: &str) {
    let scene = Scene::start().await;
    let (host, length) = (scene.upstream.address(), UNEDITED.len());
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{UNEDITED}"
    );
    let length = stream.len();
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{stream}"
    );
    let (mut client, mut served) = scene.call(request.as_bytes()).await;
    served.write(&response).await;
    client.read_response().await;
    let (server, inference) = scene.spans().await;
    let explained = exchange([request, response].concat());
    for (at, exported) in [server, inference].iter().enumerate() {
        let attributes = explained["spans"][at]["attributes"].as_object().unwrap();
        assert!(attributes.len() > 8, "{explained:#}");
        assert_eq!(explained["spans"][at]["name"], exported.name());
        for (key, value) in attributes {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Array(texts) => {
                    let texts: Vec<_> = texts.iter().filter_map(Value::as_str).collect();
                    format!("{texts:?}")
                }
                value => value.to_string(),
            };
            assert_eq!(exported.shown(key), value, "{key}");
        }
    }
}

#[test]
fn vocabularies_are_those_of_the_flag_else_of_the_configuration() {
    let capture = raw("", STREAM.as_bytes());
    let names = |exchange: &Value| exchange["spans"][1]["attributes"].to_string();
    let llm = exchanges(&capture, &["--vocabulary", "llm"]);
    assert!(!names(&llm[0]).contains("gen_ai.") && names(&llm[0]).contains("llm."));

    let file = File::new(
        "explain.toml",
        "[telemetry]\nvocabulary = ['gen_ai']\n[[upstream]]\nname = 'mine'\nurl = 'https://api.openai.com/v1'\n",
    );
    let configured = exchanges(&capture, &["-c", file.path().to_str().unwrap()]);
    assert!(names(&configured[0]).contains("gen_ai.") && !names(&configured[0]).contains("llm."));
    assert_eq!(
        attribute(&configured[0], 1, "streamgauge.upstream.name"),
        "mine"
    );

    let unknown = explain(&capture, &["--vocabulary", "esperanto"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        stderr(&unknown).contains("gen_ai_2025"),
        "{}",
        stderr(&unknown)
    );
}

#[test]
fn a_call_to_a_server_that_nobody_knows_has_no_price_whatever_upstream_is_configured() {
    for (upstream, host) in [
        (
            "url = 'http://127.0.0.1:9000/v1'\nprovider = 'openai'",
            "127.0.0.1:8000",
        ),
        ("url = 'https://api.openai.com/v1'", "127.0.0.1:8000"),
        ("url = 'https://api.openai.com/v1'", "api.openai.com:8000"),
    ] {
        let file = File::new(
            "explain-elsewhere.toml",
            format!("[[upstream]]\nname = 'a'\n{upstream}\n"),
        );
        let capture = String::from_utf8(raw("", STREAM.as_bytes())).unwrap();
        let capture = capture.replace("Host: api.openai.com", &format!("Host: {host}"));
        let explained = &exchanges(capture, &["-c", file.path().to_str().unwrap()])[0];
        let is_openai = host.starts_with("api.openai.com");
        let said = |key| attribute(explained, 1, key);
        let provider = if is_openai { "openai" } else { "_OTHER" };
        assert_eq!(said("gen_ai.provider.name"), provider);
        assert_eq!(said("streamgauge.cost.usd").is_null(), !is_openai);
        let why = if is_openai {
            Value::Null
        } else {
            "provider".into()
        };
        assert_eq!(said("streamgauge.cost.unpriced"), &why);
    }
}

#[test]
fn an_upstream_that_is_known_by_an_address_of_ipv6_has_the_price_of_its_provider() {
    let file = File::new(
        "explain-ipv6.toml",
        "[[upstream]]\nname = 'a'\nurl = 'http://[::1]:9000/v1'\nprovider = 'openai'\n",
    );
    let capture = String::from_utf8(raw("", STREAM.as_bytes())).unwrap();
    let capture = capture.replace("Host: api.openai.com", "Host: [::1]:9000");
    let explained = &exchanges(capture, &["-c", file.path().to_str().unwrap()])[0];
    let price = attribute(explained, 1, "streamgauge.cost.price");
    assert_eq!(price, "openai/gpt-4o");
}

#[test]
fn text_is_aligned_and_steers_no_terminal() {
    let body = br#"{"object":"chat.completion","model":"m\u001b[2J","choices":[]}"#;
    let capture = File::new("capture.http", raw("", body));
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .env_clear()
        .arg("explain")
        .arg(capture.path())
        .output()
        .unwrap();
    let text = stdout(&output);
    assert!(
        text.starts_with("POST /v1/chat/completions: 200, done\n"),
        "{text}"
    );
    assert!(
        text.contains("\n  gen_ai.response.model            m\\u{1b}[2J\n"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn samples_of_the_same_attributes_stand_in_one_block() {
    let usage = r#"{"object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
    let capture = File::new("capture.http", raw("", usage.as_bytes()));
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .env_clear()
        .arg("explain")
        .arg(capture.path())
        .output()
        .unwrap();
    let text = stdout(&output);
    let mut blocks: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("metrics{"))
        .collect();
    let count = blocks.len();
    blocks.sort_unstable();
    blocks.dedup();
    assert!(count > 1 && blocks.len() == count, "{text}");
}

#[test]
fn what_cannot_be_read_is_named_with_its_place_and_what_would_be_right() {
    let line = |capture: &str| {
        let output = explain(capture.as_bytes(), &[]);
        assert_eq!(
            (output.status.code(), stdout(&output)),
            (Some(1), ""),
            "{capture}"
        );
        stderr(&output).trim_end().to_owned()
    };
    for (capture, error) in [
        (
            "\n",
            "-: the capture is empty: expected raw HTTP, HAR, or the output of curl -i or curl -v",
        ),
        (
            "HTTP/1.1 200 OK\nDate\n\n",
            "-:2: expected a header field, `Name: value`, or an empty line before the body",
        ),
        ("{\n\"log\":,}", "-:2: not valid JSON: expected a value"),
        (
            "{\"choices\":[]}",
            "-: JSON without `log.entries`: expected HAR, or a response with its head, such as the output of curl -i",
        ),
        (
            r#"{"log":{"entries":[{"request":{"method":"GET"}}]}}"#,
            "-: log.entries[0]: expected a URL in `request.url`",
        ),
    ] {
        assert_eq!(line(capture), error);
    }
    assert!(line("hello").starts_with("-:1: expected a request line such as"));
    assert!(
        line(&" ".repeat((64 << 20) + 1))
            .starts_with("-: the capture is too large: expected at most 64 MiB")
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .env_clear()
        .args(["explain", "/no/such/capture"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("/no/such/capture: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn interim_responses_are_passed_over_wherever_they_stand() {
    let (head, body) = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\n",
        REQUEST,
    );
    let length = body.len();
    let asks = format!("{head}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
    let goes_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{STREAM}");
    for capture in [
        format!("{asks}{goes_on}{body}{answer}"),
        format!("{asks}{body}{goes_on}{answer}"),
        format!("{asks}{goes_on}{body}\r\n{hints}\r\n{hints}{answer}"),
        format!("{asks}{body}{goes_on}\r\n{answer}").replace("\r\n", "\n"),
    ] {
        let exchange = exchange(&capture);
        assert_eq!(
            attribute(&exchange, 1, "streamgauge.end"),
            "done",
            "{capture}"
        );
        assert_eq!(attribute(&exchange, 1, "gen_ai.request.model"), "gpt-4o");
        assert_eq!(attribute(&exchange, 1, "gen_ai.usage.output_tokens"), 2);
        assert_eq!(attribute(&exchange, 0, "http.response.status_code"), 200);
    }
    let unanswered = exchange(format!("{asks}{goes_on}{body}{hints}"));
    assert_eq!(attribute(&unanswered, 0, "streamgauge.end"), "client_left");
    assert!(unanswered["warnings"].to_string().contains("no response"));
}

#[test]
fn a_body_that_was_not_saved_is_said_to_be_unknown_and_not_empty() {
    let saved = |content: Value, status: u16| {
        let mut entry = entry();
        entry["response"] = json!({
            "status": status, "headers": [{"name": "content-type", "value": "text/event-stream"}],
            "bodySize": -1, "content": content,
        });
        let [exchange] = exchanges(har(&json!([entry])), &[]).try_into().unwrap();
        exchange
    };
    for content in [
        json!({"size": 0, "mimeType": "text/event-stream"}),
        json!({"mimeType": "text/event-stream"}),
        json!({"size": 812}),
        json!({"size": 812, "text": ""}),
    ] {
        let exchange = saved(content, 200);
        let summary = exchange["summary"].as_str().unwrap();
        assert!(summary.ends_with(": 200, body not saved"), "{summary}");
        assert!(
            exchange["warnings"]
                .to_string()
                .contains("no response body")
        );
        assert_eq!(exchange["problems"], json!({}));
        for span in exchange["spans"].as_array().unwrap() {
            assert_eq!(span["error"], Value::Null, "{span:#}");
            assert_eq!(span["attributes"].get("streamgauge.end"), None, "{span:#}");
            assert_eq!(span["attributes"].get("error.type"), None, "{span:#}");
        }
        let errors = |sample: &&Value| sample["name"].as_str().unwrap().contains("error");
        assert_eq!(metrics(&exchange).into_iter().find(errors), None);
    }
    for (content, status) in [
        (json!({"size": 0, "text": ""}), 200),
        (json!({"size": 0}), 204),
    ] {
        let exchange = saved(content, status);
        assert!(
            !exchange["warnings"]
                .to_string()
                .contains("no response body")
        );
    }
}

#[test]
fn a_price_is_worked_out_line_by_line() {
    let user = json!({"role": "user", "content": "How deep?"});
    let done = json!({"role": "assistant", "content": "Three metres."});
    let capture = har(&json!([turn(0, &[user], &done)]));
    let one = exchange(&capture);
    let usd: f64 = one["price"]["usd"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        Some(usd),
        attribute(&one, 1, "streamgauge.cost.usd").as_f64()
    );
    let text = explain(capture.as_bytes(), &[]);
    let text = stdout(&text);
    let (_, price) = text.split_once("\nprice\n").unwrap();
    let lines: Vec<&str> = price.lines().take(4).collect();
    assert!(lines[0].starts_with("  gpt-4o of openai"), "{price}");
    assert!(
        lines[1].starts_with("  input_tokens ") && lines[1].contains(" 1000 x "),
        "{price}"
    );
    assert!(
        lines[2].starts_with("  output_tokens ") && lines[2].contains(" 100 x "),
        "{price}"
    );
    assert!(lines[3].starts_with("  total "), "{price}");
}
