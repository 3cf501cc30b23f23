//! What the log says of calls: of those that fail at an upstream, and of all where an access log is asked for.

use serde_json::Value;

use super::SECRET;
use crate::support::http1::chunk;
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, chat};

const FAILED: &str = "a call to the upstream failed";
const WELL: &str = "the upstream answers again";

async fn answered(scene: &Scene, answer: &str) {
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served.write(answer).await;
    client.read_response().await;
}

#[tokio::test]
async fn failing_calls_are_logged_once_a_minute_for_each_kind_and_so_is_that_they_end() {
    let scene = Scene::start().await;
    let body = format!(r#"{{"error":{{"code":"busy","message":"{SECRET}"}}}}"#);
    let length = body.len();
    let busy = format!(
        "HTTP/1.1 503 Busy\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    for _ in 0..3 {
        answered(&scene, &busy).await;
    }
    let limited = "HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n";
    answered(&scene, limited).await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_head().await;
    served.close().await;
    client.read_to_end().await;
    scene.server.finished(5).await;
    let (mut client, mut served) = scene.call(&chat(EDITED)).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN), &chunk(END), &chunk("")].concat())
        .await;
    client.read_response().await;
    let well = scene.server.process.message(WELL).await;
    assert_eq!(
        (&well["level"], &well["failed"]),
        (&"INFO".into(), &5.into())
    );
    let log = scene.server.process.stderr();
    let failed: Vec<Value> = log.messages(FAILED).collect();
    let kinds: Vec<_> = failed.iter().map(|line| line["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [Some("503"), Some("429"), Some("stream_truncated")],
        "{failed:?}"
    );
    let url = format!("{}/chat/completions", scene.upstream.base_url());
    for line in &failed {
        assert_eq!(
            (&line["level"], &line["upstream"], &line["url"]),
            (&"WARN".into(), &"default".into(), &Value::from(&*url))
        );
    }
    assert_eq!(failed[0]["error_type"], "busy");
    assert!(!log.text().contains(SECRET));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_logged_with_what_to_do() {
    let scene = Scene::towards("http://127.0.0.1:9/v1", "").await;
    let mut client = scene.client().await;
    client.write(chat(EDITED)).await;
    assert_eq!(client.read_response().await.status(), 502);
    let line = scene.server.process.message(FAILED).await;
    assert_eq!(line["kind"], "connection_refused");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("check that it is running"), "{error}");
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_call_or_for_each_that_failed() {
    for (access, statuses, end) in [
        ("all", &[200, 503][..], "done"),
        ("errors", &[503], "http_error"),
    ] {
        let scene = Scene::configured(&format!("log.access = \"{access}\"")).await;
        let (mut client, mut served) = scene.call(&chat(EDITED)).await;
        served
            .write([STREAM.as_bytes(), &chunk(TOKEN), &chunk(END), &chunk("")].concat())
            .await;
        client.read_response().await;
        answered(&scene, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        scene
            .server
            .process
            .message_where("access", |line| line["status"] == 503)
            .await;
        let log = scene.server.process.stderr();
        let lines: Vec<Value> = log.messages("access").collect();
        let found: Vec<_> = lines
            .iter()
            .map(|line| line["status"].as_u64().unwrap())
            .collect();
        assert_eq!(found, statuses);
        let line = &lines[0];
        for name in ["timestamp", "duration_ms", "peer", "trace_id"] {
            assert!(!line[name].is_null(), "{name} in {line}");
        }
        for (name, value) in [
            ("method", "POST"),
            ("path", "/v1/chat/completions"),
            ("route", "/v1/chat/completions"),
            ("upstream", "default"),
            ("model", "m"),
            ("end", end),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
        if access == "all" {
            assert!(line["ttft_ms"].is_number(), "{line}");
        }
        // The live page, and its JSON, have the same.
        let rows = scene.server.finished(2).await;
        let row = rows
            .iter()
            .find(|row| row["status"] == line["status"])
            .unwrap();
        let conversation = line["conversation"].as_str().unwrap();
        assert_eq!((conversation.len(), &line["turn"]), (32, &1.into()));
        for name in ["conversation", "turn"] {
            assert_eq!(row[name], line[name], "{name}");
        }
    }
}

#[tokio::test]
async fn failures_and_rejections_that_were_held_back_are_told_of_at_the_end() {
    let mut scene = Scene::configured("allow.hosts = [\"streamgauge.test\"]").await;
    for _ in 0..3 {
        answered(&scene, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        let answer = crate::support::client::get(scene.server.proxy, "/v1/models").await;
        assert_eq!(
            answer.header("x-streamgauge-error"),
            Some("host_not_allowed")
        );
    }
    scene.server.process.terminate().await;
    scene.server.process.exit().await;
    let log = scene.server.process.stderr();
    let only = |message: &str| {
        let lines: Vec<Value> = log.messages(message).collect();
        assert_eq!(lines.len(), 1, "{}", log.text());
        lines[0].clone()
    };
    let more = only("more calls to the upstream failed, before the shutdown");
    assert_eq!(
        (&more["upstream"], &more["kind"], &more["held_back"]),
        (&"default".into(), &"503".into(), &2.into())
    );
    let more = only("more requests were rejected, before the shutdown");
    assert_eq!(
        (&more["reason"], &more["held_back"]),
        (&"host_not_allowed".into(), &2.into())
    );
}

#[tokio::test]
async fn an_access_line_without_traces_has_the_trace_of_the_client_and_tokens_of_who_left() {
    let server = |program: crate::support::process::Program| {
        program
            .env("STREAMGAUGE_LOG_ACCESS", "all")
            .env("OTEL_TRACES_EXPORTER", "none")
    };
    let scene = Scene::with("", server).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("traceparent: 00-{trace}-b7ad6b7169203331-01\r\n");
    let request = crate::support::gauge::with_headers(&chat(EDITED), &parent);
    let (mut client, mut served) = scene.call(&request).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_head().await;
    client.read_chunk().await;
    client.close().await;
    let line = scene.server.process.message("access").await;
    assert_eq!(
        (&line["trace_id"], &line["end"]),
        (&trace.into(), &"client_left".into())
    );
    assert_eq!(line["estimated_output_tokens"], 1, "{line}");
    assert!(line["output_tokens"].is_null(), "{line}");
    let digits = line["duration_ms"].to_string();
    let fraction = digits.split('.').nth(1).unwrap_or_default();
    assert!(fraction.len() <= 3, "{digits}");
}

#[tokio::test]
async fn the_level_debug_shows_the_way_of_a_call() {
    let scene = Scene::with("", |program| program.args(["--log-level", "debug"])).await;
    for _ in 0..2 {
        answered(&scene, "HTTP/1.1 204 No Content\r\n\r\n").await;
    }
    let process = &scene.server.process;
    let accepted = process.message("accepted a connection of a client").await;
    let sent = process.message("a request goes to the upstream").await;
    assert_eq!(
        (&sent["upstream"], &sent["peer"]),
        (&"default".into(), &accepted["peer"])
    );
    process.message("connected to the upstream").await;
    let ended = process.message("a call ended").await;
    assert_eq!(
        (&ended["status"], &ended["attempts"]),
        (&204.into(), &1.into())
    );
    assert_eq!(ended["level"], "DEBUG");
}

#[tokio::test]
async fn that_names_fold_is_said_once_with_the_label_and_the_setting() {
    let scene = Scene::configured("limits.label_values = 2").await;
    for model in ["a", "b", "c", "d"] {
        let (mut client, mut served) = scene
            .call(&chat(&EDITED.replace("\"m\"", &format!("{model:?}"))))
            .await;
        served
            .write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
            .await;
        client.read_response().await;
    }
    scene.server.finished(4).await;
    let folds = "a label of metrics has as many values as it may have (limits.label_values); further values become _other";
    let log = scene.server.process.stderr();
    let labels: Vec<_> = log
        .messages(folds)
        .map(|line| line["label"].clone())
        .collect();
    assert!(
        labels.contains(&"gen_ai.request.model".into()),
        "{}",
        log.text()
    );
    let times = labels.iter().filter(|label| **label == labels[0]).count();
    assert_eq!(times, 1, "{labels:?}");
}

#[tokio::test]
async fn signals_that_ask_for_nothing_are_logged_and_end_nothing() {
    let scene = Scene::start().await;
    for signal in ["HUP", "USR1"] {
        scene.server.process.signal(signal).await;
        let name = format!("SIG{signal}");
        let ignored = "ignored a signal: the configuration is read at start only; restart streamgauge to apply changes";
        scene
            .server
            .process
            .message_where(ignored, |line| line["signal"] == name)
            .await;
    }
    answered(&scene, "HTTP/1.1 204 No Content\r\n\r\n").await;
}

#[tokio::test]
async fn exports_that_failed_and_had_no_line_are_told_of_at_the_end() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let mut scene = Scene::with("", |program| {
        program
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "20")
    })
    .await;
    let failures = "streamgauge_export_failures_total";
    for failed in [1.0, 2.0] {
        answered(&scene, "HTTP/1.1 204 No Content\r\n\r\n").await;
        for signal in ["traces", "metrics"] {
            let labels = [("signal", signal)];
            scene
                .server
                .metric_where(failures, &labels, |count| count >= failed)
                .await;
        }
    }
    scene.server.process.terminate().await;
    assert!(scene.server.process.exit().await.success());
    let log = scene.server.process.stderr();
    let more: Vec<Value> = log
        .messages("more lines were held back, before the end")
        .collect();
    for line in ["spans were not exported", "metrics were not exported"] {
        let more = more.iter().find(|more| more["line"] == line);
        let held_back = more.and_then(|more| more["held_back"].as_u64());
        assert!(held_back >= Some(1), "{line}: {}", log.text());
    }
}
