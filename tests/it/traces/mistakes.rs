//! Mistakes in the settings of the export: the log names the URL, the likely cause and what to change.

use crate::support::collector::{Collector, Mode, Speaks};
use crate::support::file::File;
use crate::support::gauge::{DONE, FINISH, Gauge, USAGE, chat, delta, stream};
use crate::support::tls::{Certificate, Terminator};

/// A proxy with these variables, after a call.
async fn called(variables: &[(&str, &str)]) -> Gauge {
    let gauge = Gauge::with(|mut program| {
        for (name, value) in variables {
            program = program.env(name, value);
        }
        program
    })
    .await;
    let hello = delta(r#"{"content":"hello"}"#);
    gauge
        .call(chat(), stream([hello.as_str(), FINISH, USAGE, DONE]))
        .await;
    gauge
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SPANS: &str = "spans were not exported";
const METRICS: &str = "metrics were not exported";

/// Waits until the log says that an export failed, and checks that it names the URL and the remedy.
async fn assert_told(gauge: &Gauge, message: &str, url: &str, remedy: &str) {
    let line = gauge.server.process.message(message).await;
    let error = line["error"].as_str().unwrap();
    let begin = format!("the OTLP receiver at {url} ");
    assert!(error.starts_with(&begin), "{begin:?}: {error}");
    assert!(error.contains(remedy), "{remedy:?}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_to_a_port_for_grpc_and_grpc_to_a_port_for_http() {
    for (speaks, spoken, other) in [
        (Speaks::Http2, "http/protobuf", "grpc"),
        (Speaks::Http1, "grpc", "http/protobuf"),
    ] {
        let collector = Collector::speaking(speaks).await;
        let endpoint = collector.endpoint();
        let gauge = called(&[(ENDPOINT, &endpoint), (PROTOCOL, spoken)]).await;
        let remedy = format!("set {PROTOCOL}={other}");
        for (message, path) in [(SPANS, "/v1/traces"), (METRICS, "/v1/metrics")] {
            let path = if spoken == "grpc" { "/" } else { path };
            let url = format!("{endpoint}{path}");
            assert_told(&gauge, message, url.trim_end_matches('/'), &remedy).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_to_a_store_of_traces_alone() {
    for (protocol, status, path) in [
        ("http/protobuf", 404, "/v1/metrics"),
        ("http/protobuf", 405, "/v1/metrics"),
        ("grpc", 200, ""),
    ] {
        let collector = Collector::start().await;
        collector.set_mode(Mode::NoMetrics(status));
        let gauge = called(&[(ENDPOINT, &collector.endpoint()), (PROTOCOL, protocol)]).await;
        let url = format!("{}{path}", collector.endpoint());
        assert_told(&gauge, METRICS, &url, "set OTEL_METRICS_EXPORTER=none").await;
        collector.spans(2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_plain_port() {
    for (speaks, protocol, path) in [
        (Speaks::Http1, "http/protobuf", "/v1/traces"),
        (Speaks::Http2, "grpc", ""),
    ] {
        let collector = Collector::speaking(speaks).await;
        let endpoint = collector.endpoint().replace("http:", "https:");
        let gauge = called(&[(ENDPOINT, &endpoint), (PROTOCOL, protocol)]).await;
        let url = format!("{endpoint}{path}");
        assert_told(&gauge, SPANS, &url, "begin the endpoint with http://").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tls_to_a_port_for_tls() {
    let certificate = Certificate::new();
    for (protocol, path) in [("http/protobuf", "/v1/traces"), ("grpc", "")] {
        let collector = Collector::start().await;
        let http = ["h2", "http/1.1"];
        let tls = Terminator::start(&certificate, &http, collector.address()).await;
        let endpoint = format!("http://{}", tls.address);
        let gauge = called(&[(ENDPOINT, &endpoint), (PROTOCOL, protocol)]).await;
        let url = format!("{endpoint}{path}");
        assert_told(&gauge, SPANS, &url, "begin the endpoint with https://").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority() {
    let certificate = Certificate::new();
    let other = File::new("another.crt", Certificate::new().certificate_pem);
    for (protocol, http, path) in [
        ("grpc", "h2", ""),
        ("http/protobuf", "http/1.1", "/v1/traces"),
    ] {
        let collector = Collector::start().await;
        let tls = Terminator::start(&certificate, &[http], collector.address()).await;
        let endpoint = format!("https://{}", tls.address);
        let authority = "OTEL_EXPORTER_OTLP_CERTIFICATE";
        let gauge = called(&[
            (ENDPOINT, &endpoint),
            (PROTOCOL, protocol),
            (authority, other.name()),
        ])
        .await;
        let url = format!("{endpoint}{path}");
        assert_told(&gauge, SPANS, &url, &format!("set {authority}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_ends_in_the_path_of_a_signal() {
    let collector = Collector::start().await;
    let endpoint = format!("{}/v1/traces", collector.endpoint());
    let gauge = called(&[(ENDPOINT, &endpoint)]).await;
    let remedy = format!("{ENDPOINT}, which should not end in /v1/traces itself");
    for (message, path) in [(SPANS, "/v1/traces"), (METRICS, "/v1/metrics")] {
        assert_told(&gauge, message, &format!("{endpoint}{path}"), &remedy).await;
    }
}
