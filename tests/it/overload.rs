//! Telemetry never fails, delays or alters a call: whatever becomes of a collector or of a queue, the client gets its
//! bytes, and what was lost is counted.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::support::admin::until;
use crate::support::client::post;
use crate::support::collector::Mode;
use crate::support::http1::chunk;
use crate::support::otlp::Attributes as _;
use crate::support::process::{Program, Server};
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, USAGE, chat};

/// Spans of a call.
const SPANS: f64 = 2.0;

/// Makes streamed calls, one after another, and checks every byte of each.
async fn calls(scene: &Scene, count: usize) {
    let closing = STREAM.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    for _ in 0..count {
        let (mut client, mut served) = scene.call(&chat(EDITED)).await;
        let events = [chunk(TOKEN), chunk(END), chunk(USAGE), chunk("")].concat();
        served.write([closing.as_bytes(), &events].concat()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), [TOKEN, END].concat());
    }
}

/// A scene whose exporters are in a hurry and have little room.
async fn hurried(protocol: &str) -> Scene {
    Scene::with("", |program| hurry(program, protocol)).await
}

fn hurry(program: Program, protocol: &str) -> Program {
    program
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "20")
}

/// How many spans were lost.
async fn dropped(server: &Server) -> f64 {
    let spans = [("kind", "span")];
    server
        .metric("streamgauge_telemetry_dropped_total", &spans)
        .await
        .unwrap()
}

/// Exports of both signals have failed a number of times.
async fn failures(server: &Server, count: f64) {
    for signal in ["traces", "metrics"] {
        let labels = [("signal", signal)];
        let name = "streamgauge_export_failures_total";
        server
            .metric_where(name, &labels, |failures| failures >= count)
            .await;
    }
}

/// No kind of trouble fills the log.
async fn assert_quiet(server: &Server) {
    let process = &server.process;
    let log = process.wait_for("trouble", |log| log.lines.len() > 1).await;
    let mut lines: HashMap<String, usize> = HashMap::new();
    for line in &log.lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *lines.entry(line["message"].to_string()).or_default() += 1;
    }
    assert!(lines.values().all(|count| *count == 1), "{}", log.text());
}

#[tokio::test]
async fn a_collector_that_refuses_or_hangs_costs_nothing_but_counted_drops() {
    for protocol in ["grpc", "http/protobuf"] {
        for mode in [Mode::Refuse, Mode::Hang] {
            let scene = hurried(protocol).await;
            scene.collector.set_mode(mode);
            calls(&scene, 10).await;
            let all = 10.0 * SPANS;
            let lost = async || (dropped(&scene.server).await == all).then_some(());
            until("every span to be counted as lost", lost).await;
            failures(&scene.server, 2.0).await;
            assert_eq!(scene.collector.received().spans.len(), 0);
            assert_quiet(&scene.server).await;
        }
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_nothing_but_counted_drops() {
    for protocol in ["grpc", "http/protobuf"] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let nowhere = format!("http://{}", socket.local_addr().unwrap());
        let scene = Scene::with("", |program| {
            hurry(program, protocol).env("OTEL_EXPORTER_OTLP_ENDPOINT", nowhere)
        })
        .await;
        calls(&scene, 10).await;
        let all = 10.0 * SPANS;
        let lost = async || (dropped(&scene.server).await == all).then_some(());
        until("every span to be counted as lost", lost).await;
        failures(&scene.server, 2.0).await;
        assert_quiet(&scene.server).await;
    }
}

#[tokio::test]
async fn every_span_is_exported_or_counted_as_dropped() {
    for protocol in ["grpc", "http/protobuf"] {
        // No export times out: one that does and arrives all the same is on both sides of the books.
        let scene = Scene::with("", |program| {
            hurry(program, protocol).env("OTEL_EXPORTER_OTLP_TIMEOUT", "30000")
        })
        .await;
        scene
            .collector
            .set_mode(Mode::Slow(Duration::from_millis(500)));
        // How many it takes until the queue is full depends on the machine.
        let mut made = 0.0;
        while dropped(&scene.server).await == 0.0 {
            calls(&scene, 10).await;
            made += 10.0;
        }
        let all = made * SPANS;
        let settled = async || {
            let exported = scene.collector.received().spans.len() as f64;
            let lost = dropped(&scene.server).await;
            assert!(
                exported + lost <= all,
                "{exported} exported and {lost} dropped of {all}"
            );
            (exported + lost == all).then_some((exported, lost))
        };
        let (exported, lost) = until("exported + dropped to be all", settled).await;
        assert!(
            exported > 0.0 && lost > 0.0,
            "{exported} exported, {lost} dropped"
        );
    }
}

#[tokio::test]
async fn a_collector_that_comes_back_is_served_again() {
    let scene = hurried("grpc").await;
    scene.collector.set_mode(Mode::Refuse);
    calls(&scene, 3).await;
    failures(&scene.server, 1.0).await;
    scene.collector.set_mode(Mode::Accept);
    let came = async || {
        calls(&scene, 1).await;
        (!scene.collector.received().spans.is_empty()).then_some(())
    };
    until("spans again", came).await;
    scene
        .collector
        .point("streamgauge.export.failures", &[("signal", "traces")])
        .await;
}

#[tokio::test]
async fn frames_beyond_the_bound_pass_unseen_and_are_counted() {
    let scene = Scene::configured("[observe]\nqueue_bytes = 4\n").await;
    calls(&scene, 1).await;
    assert_eq!(scene.server.finished(1).await[0]["end"], "done");
    let frames = [("kind", "frame")];
    let missed = scene
        .server
        .metric("streamgauge_telemetry_dropped_total", &frames)
        .await
        .unwrap();
    assert!(missed >= 2.0, "a frame each way at least, not {missed}");
    let partial = scene
        .server
        .metric("streamgauge_exchanges_partial_total", &[])
        .await;
    assert_eq!(partial, Some(1.0));
    let spans = scene.collector.spans(2).await;
    let inference = spans
        .iter()
        .find(|span| span.boolean("streamgauge.partial").is_some())
        .unwrap();
    assert_eq!(inference.boolean("streamgauge.partial"), Some(true));
    assert_eq!(
        inference.int("streamgauge.problems.missed_frames"),
        Some(missed as i64)
    );
    // What was not seen is absent, not zero.
    assert_eq!(inference.int("gen_ai.usage.output_tokens"), None);
    assert_eq!(inference.text("gen_ai.request.model"), None);
}

#[tokio::test]
async fn a_hostile_client_cannot_blow_up_the_metrics() {
    const MANY: usize = 300;
    let scene = Scene::start().await;
    for n in 0..MANY {
        let body = format!(r#"{{"model":"asked-{n}","service_tier":"tier-{n}","messages":[]}}"#);
        let (mut client, mut served) = scene.call(&post("/v1/chat/completions", &body)).await;
        let body = format!(
            r#"{{"error":{{"code":"code-{n}","type":"type-{n}"}},"model":"answered-{n}"}}"#
        );
        let length = body.len();
        served
            .write(format!(
                "HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
            .await;
        assert_eq!(client.read_response().await.text(), body);

        let odd = format!(
            "METHOD{n} /path-{n}?query-{n} HTTP/1.1\r\nhost: host-{n}.test\r\nuser-agent: agent-{n}\r\n\r\n"
        );
        let (mut client, mut served) = scene.call(odd.as_bytes()).await;
        served
            .write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .await;
        assert_eq!(client.read_response().await.status(), 200);
    }
    scene.server.finished(2 * MANY as u64).await;
    let mut values: HashMap<String, HashSet<String>> = HashMap::new();
    for sample in scene.server.samples().await {
        for (key, value) in sample.labels {
            values.entry(key).or_default().insert(value);
        }
    }
    for (key, values) in &values {
        assert!(values.len() <= 101, "{key} has {} values", values.len());
    }
    let models = &values["gen_ai_request_model"];
    assert_eq!(models.len(), 101);
    assert!(models.contains("_other"));

    let spans = scene.collector.spans(3 * MANY).await;
    let kept: HashSet<_> = spans
        .iter()
        .filter_map(|span| span.text("gen_ai.request.model"))
        .collect();
    assert_eq!(kept.len(), MANY);
}
