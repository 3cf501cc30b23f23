//! The log: one line at start that says what listens where and exports whither, then problems; and nowhere, neither in
//! it nor in anything else that leaves the process sideways, a body or a credential.

mod calls;
mod credentials;

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::support::http1::{Message, chunk};
use crate::support::process::{Program, Server};
use crate::support::scene::{EDITED, END, STREAM, Scene, UNEDITED, chat};
use crate::support::{client, file};

#[tokio::test]
async fn one_line_at_start_says_what_listens_where_and_exports_whither() {
    let scene = Scene::start().await;
    let log = scene.server.process.stderr();
    assert_eq!(log.lines.len(), 1, "{}", log.text());
    let line: Value = serde_json::from_str(&log.lines[0]).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["proxy"], scene.server.proxy.to_string());
    assert_eq!(line["admin"], scene.server.admin.to_string());
    assert_eq!(
        line["upstreams"],
        format!("default={} (direct)", scene.upstream.base_url())
    );
    let collector = scene.collector.endpoint();
    assert_eq!(line["traces"], format!("{collector}/v1/traces (direct)"));
    assert_eq!(line["metrics"], format!("{collector}/v1/metrics (direct)"));
}

#[tokio::test]
async fn the_line_names_a_signals_own_target_and_what_is_not_pushed() {
    let scene = Scene::with("", |program| {
        program
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("OTEL_METRICS_EXPORTER", "none")
    })
    .await;
    let line = scene.server.process.message("listening").await;
    let target = format!("{} (direct)", scene.collector.endpoint());
    assert_eq!(line["traces"], target);
    assert_eq!(line["metrics"], "not pushed: OTEL_METRICS_EXPORTER is none");
}

#[tokio::test]
async fn a_propagator_that_is_not_spoken_is_told_of_and_stops_nothing() {
    let scene = Scene::with("", |program| program.env("OTEL_PROPAGATORS", "ottrace")).await;
    let text = "OTEL_PROPAGATORS has \"ottrace\": it is neither read nor written here; such headers pass as the client sent them";
    let line = scene.server.process.message(text).await;
    assert_eq!(line["level"], "WARN");
}

#[tokio::test]
async fn the_line_is_for_people_where_the_log_is_text() {
    let process = Program::serve("http://127.0.0.1:9/v1")
        .env("STREAMGAUGE_LOG_FORMAT", "text")
        .start();
    let log = process
        .wait_for("a line", |log| !log.lines.is_empty())
        .await;
    let line = &log.lines[0];
    for part in [
        " INFO streamgauge",
        "listening",
        "proxy=127.0.0.1:",
        "admin=127.0.0.1:",
        "upstreams=\"default=http://127.0.0.1:9/v1 (direct)\"",
        "traces=\"not pushed: OTEL_EXPORTER_OTLP_ENDPOINT is not set\"",
    ] {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
    assert!(
        !line.contains('\u{1b}'),
        "no colours where no terminal is: {line:?}"
    );
}

#[tokio::test]
async fn an_upstream_that_does_not_take_the_edit_is_told_of_once() {
    let scene = Scene::start().await;
    let closing = STREAM.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    for attempts in [["400 Bad Request", "200 OK"].as_slice(), &["200 OK"]] {
        let mut client = scene.client().await;
        client.write(chat(EDITED)).await;
        for status in attempts {
            let mut served = scene.upstream.accept().await;
            served.read_request().await;
            let head = closing.replace("200 OK", status);
            served
                .write([head.as_bytes(), &chunk(END), &chunk("")].concat())
                .await;
        }
        assert_eq!(client.read_response().await.status(), 200);
    }
    let process = &scene.server.process;
    // The answer may be there before the line is.
    let log = process.wait_for("a line", |log| log.lines.len() > 1).await;
    assert_eq!(log.lines.len(), 2, "{}", log.text());
    let line: Value = serde_json::from_str(&log.lines[1]).unwrap();
    assert_eq!(
        (&line["level"], &line["upstream"]),
        (&"INFO".into(), &"default".into())
    );
}

/// What no output may carry.
const SECRET: &str = "hush-4711";

/// A request that has the secret wherever a credential or content can stand.
fn secretive() -> Vec<u8> {
    let body = format!(
        r#"{{"model":"m","stream":true,"user":"u","messages":[{{"role":"user","content":"{SECRET}"}}],
            "tools":[{{"type":"function","function":{{"name":"f","description":"{SECRET}"}}}}],
            "metadata":{{"a":"{SECRET}"}},"unknown":"{SECRET}"}}"#
    );
    let query = [
        "key",
        "api-key",
        "api_key",
        "token",
        "access_token",
        "sig",
        "code",
        "password",
        "Secret",
    ];
    let query = query.map(|name| format!("{name}={SECRET}")).join("&");
    let headers = [
        "authorization: Bearer",
        "proxy-authorization: Basic",
        "api-key:",
        "x-api-key:",
        "x-goog-api-key:",
        "cookie: session=",
        "baggage: user=",
        "idempotency-key:",
        "openai-organization:",
        "x-anything:",
        "referer: http://a/?",
    ];
    let headers = headers
        .map(|header| format!("{header} {SECRET}\r\n"))
        .concat();
    format!(
        "POST /v1/chat/completions?{query} HTTP/1.1\r\nhost: a\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A response that has the secret wherever content or a credential can stand.
fn confiding() -> Vec<u8> {
    let event =
        |delta: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{delta}}}}}]}}\n\n");
    let events = [
        event(&format!("\"content\":\"{SECRET}\"")),
        event(&format!("\"reasoning_content\":\"{SECRET}\"")),
        event(&format!("\"refusal\":\"{SECRET}\"")),
        event(&format!(
            "\"tool_calls\":[{{\"index\":0,\"id\":\"c\",\"function\":{{\"name\":\"f\",\"arguments\":\"{SECRET}\"}}}}]"
        )),
        format!("data: {SECRET} is no JSON\n\n"),
        END.to_owned(),
    ];
    let head = STREAM.replace(
        "\r\n\r\n",
        &format!("\r\nset-cookie: {SECRET}\r\nx-anything: {SECRET}\r\nconnection: close\r\n\r\n"),
    );
    [head.into_bytes(), chunk(events.concat()), chunk("")].concat()
}

/// Everything that leaves the process but for the answers it passes on.
async fn sideways(scene: &Scene) -> String {
    let Scene {
        server, collector, ..
    } = scene;
    let received = collector.received();
    assert!(!received.spans.is_empty() && !received.points.is_empty());
    let log = server.process.stderr();
    assert!(!log.lines.is_empty());
    format!(
        "{}\n{}\n{}\n{:?}\n{:?}",
        log.text(),
        server.exposition().await,
        server.exchanges().await,
        received.spans,
        received.points
    )
}

fn assert_silent(what: &str, text: &str) {
    if let Some(at) = text.find(SECRET) {
        let from = text[..at]
            .char_indices()
            .rev()
            .nth(200)
            .map_or(0, |(from, _)| from);
        panic!("{what} tells a secret: {}", &text[from..at + SECRET.len()]);
    }
}

/// Everything is logged, and everything exported soon.
fn talkative(program: Program) -> Program {
    program
        .env("STREAMGAUGE_LOG_LEVEL", "trace")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "20")
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            format!("authorization=Bearer%20{SECRET}"),
        )
        .env("UPSTREAM_KEY", SECRET)
}

const KEYED: &str = "[[upstream]]\nname = \"default\"\nurl = \"http://a/v1\"\n";

#[tokio::test]
async fn what_an_upstream_sends_for_the_first_time_is_told_once_with_its_shape_and_no_value() {
    let odd = "data: {\"choices\":[],\"weather\":{\"wind\":\"secret\"}}\n\n";
    let line = told_once(&chat(UNEDITED), &format!("{odd}{END}")).await;
    assert_eq!(line["kind"], "unknown_member");
    assert_eq!(line["shape"], "weather: {wind: string}");
}

#[tokio::test]
async fn an_event_of_a_type_that_is_not_known_is_told_once_by_its_type() {
    let sung = "event: response.sung\ndata: {\"type\":\"response.sung\",\"song\":\"secret\"}\n\n";
    let done = "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n";
    let request = client::post("/v1/responses", r#"{"model":"m","stream":true}"#);
    let line = told_once(&request, &format!("{sung}{sung}{done}")).await;
    assert_eq!(line["kind"], "unknown_event");
    assert_eq!(line["shape"], "response.sung");
}

/// Has a request answered twice by this stream, and gives the one line that tells of it, which keeps its `secret`.
async fn told_once(request: &[u8], stream: &str) -> Value {
    let scene = Scene::start().await;
    for _ in 0..2 {
        let (mut client, mut served) = scene.call(request).await;
        let body = [chunk(stream), chunk("")].concat();
        served.write([STREAM.as_bytes(), &body].concat()).await;
        client.read_response().await;
    }
    scene.server.finished(2).await;
    let told = "the upstream sent data of an unknown kind; it was passed on unchanged";
    let line = scene.server.process.message(told).await;
    assert_eq!(line["upstream"], "default");
    let log = scene.server.process.stderr();
    assert_eq!(log.text().matches(told).count(), 1, "{}", log.text());
    assert!(!log.text().contains("secret"), "{}", log.text());
    line
}

#[tokio::test]
async fn no_output_carries_a_body_or_a_credential() {
    let config = format!(
        "{KEYED}key = {{ env = \"UPSTREAM_KEY\" }}\nheaders = {{ x-token = \"{SECRET}\" }}\ntimeouts = {{ idle = \"100ms\" }}\n"
    );
    let scene = Scene::with(&config, talkative).await;

    // It passes: what is hidden from the books has to reach the upstream and the client.
    let mut client = scene.client().await;
    client.write(secretive()).await;
    let mut served = scene.upstream.accept().await;
    let request = served.read_request().await;
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {SECRET}"))
    );
    assert_eq!(request.header("x-token"), Some(SECRET));
    served.write(confiding()).await;
    assert!(client.read_response().await.text().contains(SECRET));

    // The upstream speaks no HTTP, breaks off, falls silent; the client leaves, and sends what is no HTTP.
    for garbage in [
        format!("{SECRET}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n"),
    ] {
        let (mut client, mut served) = scene.call(&secretive()).await;
        served.write(garbage).await;
        served.close().await;
        assert_own("an answer of ours", &client.read_response().await);
    }
    let (mut client, mut served) = scene.call(&secretive()).await;
    let broken = confiding();
    served.write(&broken[..broken.len() - 5]).await;
    served.close().await;
    client.read_to_end().await;
    let (mut client, mut served) = scene.call(&secretive()).await;
    served.write(STREAM).await;
    client.read_to_end().await;
    let (client, mut served) = scene.call(&secretive()).await;
    client.reset();
    served.closed().await;
    let mut client = scene.client().await;
    let head =
        format!("POST /v1/files HTTP/1.1\r\nx-a: {SECRET}\r\ntransfer-encoding: chunked\r\n\r\n");
    client.write(format!("{head}{SECRET}\r\n")).await;
    assert_own("an answer of ours", &client.read_response().await);
    let mut client = scene.client().await;
    client.write(format!("{SECRET} {SECRET}\r\n\r\n")).await;
    let (answer, _) = client.read_to_end().await;
    assert_silent("an answer to no HTTP", &String::from_utf8(answer).unwrap());

    scene.server.finished(7).await;
    scene.collector.spans(12).await;
    scene
        .collector
        .point(
            "streamgauge.exchanges",
            &[("streamgauge.end", "client_left")],
        )
        .await;
    let text = sideways(&scene).await;
    assert_silent("an output", &text);
    assert!(
        text.contains("api_key=REDACTED"),
        "the query is exported without its keys"
    );
}

fn assert_own(what: &str, answer: &Message) {
    assert!(
        answer.header("x-streamgauge-error").is_some(),
        "{what}: {}",
        answer.text()
    );
    let head = String::from_utf8(answer.head.clone()).unwrap();
    assert_silent(what, &[&head, answer.text()].concat());
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_makes_nothing_known() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/v1", socket.local_addr().unwrap());
    let config = file::File::new(
        "config.toml",
        format!("{KEYED}key = {{ env = \"UPSTREAM_KEY\" }}\n"),
    );
    let program = Program::serve(&url).args(["-c", config.name()]);
    let server = talkative(program).listen().await;
    let answer = client::send(server.proxy, secretive()).await;
    assert_own("an answer of ours", &answer);
    server.finished(1).await;
    assert_silent("the log", &server.process.stderr().text());
    assert_silent("the page", &server.exchanges().await.to_string());
}

#[tokio::test]
async fn a_collectors_url_is_told_without_its_credentials() {
    for protocol in ["grpc", "http/protobuf"] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let program = Program::serve("http://127.0.0.1:9/v1")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://user:{SECRET}@{address}"),
            )
            .env("OTEL_BSP_SCHEDULE_DELAY", "5");
        let server: Server = talkative(program).listen().await;
        client::send(server.proxy, secretive()).await;
        let failed = server.process.message("spans were not exported").await;
        let log = server.process.stderr().text();
        assert_silent("the log", &log);
        assert!(failed["error"].is_string());
        let line = server.process.message("listening").await;
        assert!(
            line["traces"]
                .as_str()
                .unwrap()
                .contains(&address.to_string()),
            "{line}"
        );
    }
}
