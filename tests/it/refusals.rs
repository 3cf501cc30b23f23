//! What is refused is reported: each reason is in the metrics, and in the log at a limited rate, with the peer and with
//! nothing of what came.

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;

use crate::support::client::{connect, get, send};
use crate::support::file::File;
use crate::support::gauge::{SERVER, lines};
use crate::support::http1::chunk;
use crate::support::process::{Program, Server};
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, chat};
use crate::support::tls::Certificate;

/// Stands in what is refused, and may stand nowhere else.
const SECRET: &str = "hush-4711";

const DURATION: &str = "http_server_request_duration_seconds_count";
const CONNECTIONS: &str = "streamgauge_connections_refused_total";

/// The lines of the log with this message and reason.
fn logged(server: &Server, message: &str, reason: &str) -> Vec<Value> {
    let log = server.process.stderr();
    let lines = log.lines.iter().map(|line| serde_json::from_str(line));
    let lines = lines.filter_map(|line: serde_json::Result<Value>| line.ok());
    lines
        .filter(|line| line["message"] == message && line["reason"] == reason)
        .collect()
}

/// Waits for the only line of the log with this message and reason.
async fn line(server: &Server, message: &str, reason: &str) -> Value {
    let is_there = |_: &_| !logged(server, message, reason).is_empty();
    server.process.wait_for(reason, is_there).await;
    let mut lines = logged(server, message, reason);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines.remove(0);
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(line["held_back"], 0, "{line}");
    let peer = line["peer"].as_str().unwrap();
    assert!(peer.starts_with("127.0.0.1:"), "{line}");
    line
}

fn assert_silent(server: &Server) {
    let log = server.process.stderr().text();
    assert!(!log.contains(SECRET), "{log}");
}

/// Waits until one rejected request is counted under these labels.
async fn counted(server: &Server, reason: &str, status: &str, method: &str) {
    let labels = [
        ("error_type", reason),
        ("http_response_status_code", status),
        ("http_request_method", method),
    ];
    server
        .metric_where(DURATION, &labels, |count| count == 1.0)
        .await;
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_counted_and_logged() {
    let fields: String = (0..300).map(|n| format!("x-{n}: {SECRET}\r\n")).collect();
    let cases = [
        (
            format!("GET /v1/{SECRET} HTTP/1.1\r\n{SECRET}\r\n\r\n"),
            "400",
            "bad_request",
            "_OTHER",
        ),
        (
            format!("GET /v1/{SECRET} HTTP/1.1\r\nhost: me\r\n{fields}\r\n"),
            "431",
            "head_too_large",
            "_OTHER",
        ),
        // Its head could be read, and says of its body what two readers could take in two ways.
        (
            format!(
                "POST /v1/x HTTP/1.1\r\nhost: me\r\nx: {SECRET}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
            ),
            "400",
            "bad_request",
            "POST",
        ),
    ];
    for (request, status, reason, method) in cases {
        let server = Program::serve("http://127.0.0.1:9/v1").listen().await;
        let answer = send(server.proxy, &request).await;
        assert_eq!(answer.status().to_string(), status);
        assert_eq!(answer.header("x-streamgauge-error"), Some(reason));
        counted(&server, reason, status, method).await;
        line(&server, "a request was rejected", reason).await;
        assert_silent(&server);
        let row = server.finished(1).await.remove(0);
        assert_eq!(
            (&row["end"], &row["error"]),
            (&"rejected".into(), &reason.into())
        );
    }
}

#[tokio::test]
async fn of_a_head_that_cannot_be_read_the_span_says_what_is_known() {
    let scene = Scene::start().await;
    send(scene.server.proxy, "\x16\x03\x01\x02\r\n\r\n").await;
    let span = scene.collector.span_of_kind(SERVER).await;
    assert_eq!((span.name(), span.status()), ("HTTP", StatusCode::Unset));
    let known: Vec<String> = lines(&span)
        .into_iter()
        .filter(|line| !line.starts_with("network.peer.port="))
        .collect();
    assert_eq!(
        known,
        [
            "client.address=127.0.0.1",
            "error.type=bad_request",
            "http.request.method=_OTHER",
            "http.response.status_code=400",
            "network.peer.address=127.0.0.1",
            "streamgauge.end=rejected",
            "streamgauge.response.bytes=0",
            "url.scheme=http",
        ]
    );
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_counted_and_logged() {
    let scene = Scene::start().await;
    // A stream in flight keeps the process and its admin port, while it is to stop and waits for heads no longer.
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_head().await;
    // A whole request before it, so that it is known to have been read.
    let whole = "GET /v1/x HTTP/1.1\r\nhost: me\r\n\r\n";
    let (mut slow, mut other) = scene
        .call(format!("{whole}GET /v1/{SECRET} HTTP/1.1\r\nhost").as_bytes())
        .await;
    other.write("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(slow.read_response().await.status(), 204);
    scene.server.process.terminate().await;
    let answer = slow.read_response().await;
    assert_eq!(
        (answer.status(), answer.header("x-streamgauge-error")),
        (408, Some("head_timeout"))
    );
    counted(&scene.server, "head_timeout", "408", "_OTHER").await;
    line(&scene.server, "a request was rejected", "head_timeout").await;
    assert_silent(&scene.server);
    let waited = [("error_type", "head_timeout")];
    let waited = scene
        .server
        .metric("http_server_request_duration_seconds_sum", &waited)
        .await;
    // As long as the client was waited for, and not as long as it took to say so.
    assert!(waited >= Some(0.9), "{waited:?}");
    served.write([chunk(END), chunk("")].concat()).await;
}

#[tokio::test]
async fn requests_rejected_for_the_same_reason_are_logged_once_a_minute() {
    let server = Program::serve("http://127.0.0.1:9/v1").listen().await;
    for _ in 0..3 {
        send(server.proxy, "no request\r\n\r\n").await;
    }
    send(server.proxy, "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n").await;
    let labels = [("error_type", "bad_request")];
    server
        .metric_where(DURATION, &labels, |count| count == 3.0)
        .await;
    counted(&server, "method_not_allowed", "405", "CONNECT").await;
    for reason in ["bad_request", "method_not_allowed"] {
        line(&server, "a request was rejected", reason).await;
    }
}

#[tokio::test]
async fn a_connection_without_tls_is_counted_and_logged_where_tls_is_due() {
    let certificate = Certificate::new();
    let pem = File::new("refused.crt", &certificate.certificate_pem);
    let key = File::new("refused.key", &certificate.key_pem);
    let config = format!(
        "[tls]\ncertificate = '{}'\nkey = '{}'\n",
        pem.name(),
        key.name()
    );
    let config = File::new("refused.toml", config);
    let mut server = Program::serve("http://127.0.0.1:9/v1")
        .args(["-c", config.name()])
        .listen()
        .await;
    // What only looks for an open port is refused nothing.
    connect(server.proxy).await.close().await;
    certificate.connect(server.proxy, &["http/1.1"]).await;
    let mut plain = connect(server.proxy).await;
    plain.write(format!("GET /{SECRET} HTTP/1.1\r\n\r\n")).await;
    plain.read_to_end().await;
    let labels = [("reason", "tls_handshake")];
    server
        .metric_where(CONNECTIONS, &labels, |count| count == 1.0)
        .await;
    line(&server, "a connection was refused", "tls_handshake").await;
    // One that begins well and breaks off.
    let mut half = connect(server.proxy).await;
    half.write([0x16, 3, 1, 2, 0]).await;
    half.close().await;
    server
        .metric_where(CONNECTIONS, &labels, |count| count == 2.0)
        .await;
    assert_silent(&server);
    for reason in ["setup", "tls_timeout", "http2_protocol"] {
        let none = server.metric(CONNECTIONS, &[("reason", reason)]).await;
        assert_eq!(none, Some(0.0), "{reason}");
    }
    // The second had no line within the minute.
    server.process.terminate().await;
    let more = "more connections were refused, before the shutdown";
    let more = server.process.message(more).await;
    assert_eq!(
        (&more["reason"], &more["held_back"]),
        (&"tls_handshake".into(), &1.into())
    );
    assert!(server.process.exit().await.success());
}

#[tokio::test]
async fn a_connection_that_breaks_the_rules_of_http_2_is_counted_and_logged() {
    let server = Program::serve("http://127.0.0.1:9/v1").listen().await;
    // A client that begins well and leaves is refused nothing.
    let mut good = connect(server.proxy).await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    good.write([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat())
        .await;
    good.read_exact(settings.len()).await;
    good.close().await;
    let mut bad = connect(server.proxy).await;
    bad.write(format!("PRI * HTTP/2.0\r\n\r\n{SECRET}\r\n\r\n"))
        .await;
    bad.read_to_end().await;
    let labels = [("reason", "http2_protocol")];
    server
        .metric_where(CONNECTIONS, &labels, |count| count == 1.0)
        .await;
    line(&server, "a connection was refused", "http2_protocol").await;
    assert_silent(&server);
    assert_eq!(get(server.admin, "/healthz").await.status(), 200);
}
