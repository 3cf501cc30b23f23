//! Where spans and metrics go, by the standard variables: protocols, compression, headers, endpoints, resource.

use crate::support::admin::until;
use crate::support::client::send;
use crate::support::collector::{Collector, Mode};
use crate::support::file::File;
use crate::support::gauge::{DONE, FINISH, Gauge, USAGE, chat, delta, stream};
use crate::support::otlp::{Attributes as _, Received};
use crate::support::process::Program;
use crate::support::tls::{Certificate, Terminator};

async fn call(gauge: &Gauge) {
    let hello = delta(r#"{"content":"hello"}"#);
    let answer = stream([hello.as_str(), FINISH, USAGE, DONE]);
    assert_eq!(gauge.call(chat(), answer).await.got.status(), 200);
}

/// Waits until the two spans and the metrics of one call have arrived.
async fn arrived(collector: &Collector) -> Received {
    let both = |received: &Received| {
        received.spans.len() == 2 && received.point("llm.requests", &[("model", "m")]).is_some()
    };
    collector.wait_for("two spans and a metric", both).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_carry_spans_and_metrics_with_headers_and_compression() {
    let grpc = "/opentelemetry.proto.collector";
    for (protocol, paths, coding) in [
        (
            "grpc",
            [
                format!("{grpc}.trace.v1.TraceService/Export"),
                format!("{grpc}.metrics.v1.MetricsService/Export"),
            ],
            "grpc-encoding",
        ),
        (
            "http/protobuf",
            ["/v1/traces".into(), "/v1/metrics".into()],
            "content-encoding",
        ),
    ] {
        for (compression, coded) in [("gzip", Some("gzip")), ("none", None)] {
            let gauge = Gauge::with(|program| {
                program
                    .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                    .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
                    .env(
                        "OTEL_EXPORTER_OTLP_HEADERS",
                        "authorization=Bearer%20x,x-tenant=a",
                    )
                    .env("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-tenant=b")
            })
            .await;
            call(&gauge).await;
            let received = arrived(&gauge.collector).await;
            for (path, tenant, credential) in
                [(&paths[0], "a", Some("Bearer x")), (&paths[1], "b", None)]
            {
                let request = received
                    .requests
                    .iter()
                    .find(|request| request.path == *path);
                let request = request.unwrap_or_else(|| panic!("nothing came to {path}"));
                assert_eq!(request.header("x-tenant"), Some(tenant), "{protocol}");
                assert_eq!(request.header("authorization"), credential, "{protocol}");
                assert_eq!(request.header(coding), coded, "{protocol} {compression}");
            }
            assert!(
                received.span("chat m").is_some()
                    && received.span("POST /v1/chat/completions").is_some()
            );
        }
    }
}

/// A proxy that exports by TLS, and takes a receiver's word only from this authority.
async fn trusting(authority: &File, receiver: &Terminator, protocol: &str) -> Gauge {
    let endpoint = format!("https://{}", receiver.address);
    Gauge::with(|program| {
        program
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.path())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_go_over_tls_to_a_receiver_whose_authority_is_named() {
    let certificate = Certificate::new();
    let authority = File::new("collector.crt", &certificate.certificate_pem);
    for (protocol, http) in [("grpc", "h2"), ("http/protobuf", "http/1.1")] {
        let collector = Collector::start().await;
        let tls = Terminator::start(&certificate, &[http], collector.address()).await;
        let gauge = trusting(&authority, &tls, protocol).await;
        call(&gauge).await;
        let received = arrived(&collector).await;
        assert!(received.span("chat m").is_some(), "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_an_unknown_authority_gets_nothing() {
    let certificate = Certificate::new();
    let other = File::new("other-collector.crt", Certificate::new().certificate_pem);
    for (protocol, http) in [("grpc", "h2"), ("http/protobuf", "http/1.1")] {
        let collector = Collector::start().await;
        let tls = Terminator::start(&certificate, &[http], collector.address()).await;
        let gauge = trusting(&other, &tls, protocol).await;
        call(&gauge).await;
        gauge
            .server
            .process
            .message("spans were not exported")
            .await;
        assert!(collector.received().requests.is_empty(), "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signal_can_have_its_own_endpoint_and_protocol() {
    let metrics = Collector::start().await;
    let gauge = Gauge::with(|program| {
        program
            .env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
            .env(
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                format!("{}/v1/metrics", metrics.endpoint()),
            )
    })
    .await;
    call(&gauge).await;
    gauge.received(2).await;
    metrics.point("llm.requests", &[("model", "m")]).await;
    assert!(gauge.collector.received().points.is_empty());
    assert!(metrics.received().spans.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_can_be_turned_off() {
    let without = |name: &'static str| move |program: Program| program.env(name, "none");
    let gauge = Gauge::with(without("OTEL_TRACES_EXPORTER")).await;
    call(&gauge).await;
    gauge
        .collector
        .point("llm.requests", &[("model", "m")])
        .await;
    gauge.server.process.terminate().await;
    gauge.server.process.message("stopped").await;
    assert!(gauge.collector.received().spans.is_empty());

    let gauge = Gauge::with(without("OTEL_METRICS_EXPORTER")).await;
    call(&gauge).await;
    gauge.received(2).await;
    gauge.settled(1).await;
    gauge.server.process.terminate().await;
    gauge.server.process.message("stopped").await;
    assert!(gauge.collector.received().points.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_under_the_resource_of_the_process() {
    let gauge = Gauge::with(|program| {
        program.env("OTEL_SERVICE_NAME", "edge").env(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other,deployment.environment.name=prod,team=a%20b",
        )
    })
    .await;
    call(&gauge).await;
    let received = arrived(&gauge.collector).await;
    let of_span = &received.spans[0].resource;
    let id = of_span.text("service.instance.id").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    for resource in [of_span, &received.points[0].resource] {
        let mut attributes: Vec<String> = resource
            .attributes()
            .iter()
            .filter(|attribute| !attribute.key.starts_with("telemetry.sdk."))
            .map(|attribute| format!("{}={}", attribute.key, resource.shown(&attribute.key)))
            .collect();
        attributes.sort();
        assert_eq!(
            attributes,
            [
                "deployment.environment.name=prod".to_owned(),
                "deployment.environment=prod".to_owned(),
                format!("service.instance.id={id}"),
                "service.name=edge".to_owned(),
                format!("service.version={}", env!("CARGO_PKG_VERSION")),
                "team=a b".to_owned(),
            ]
        );
        assert_eq!(resource.text("telemetry.sdk.language"), Some("rust"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_delays_no_call() {
    let gauge = Gauge::start().await;
    gauge.collector.set_mode(Mode::Hang);
    for _ in 0..3 {
        call(&gauge).await;
    }
    gauge.settled(3).await;
    let health = format!(
        "GET /readyz HTTP/1.1\r\nhost: {}\r\n\r\n",
        gauge.server.admin
    );
    assert_eq!(send(gauge.server.admin, health).await.status(), 200);
    gauge.collector.set_mode(Mode::Accept);
}

/// Waits until a count of the process's own health is more than zero.
async fn counted(gauge: &Gauge, name: &str, labels: &[(&str, &str)]) {
    let what = format!("{name} {labels:?}");
    until(&what, async || {
        let count = gauge.server.metric(name, labels).await?;
        (count > 0.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_counted_as_a_failure_and_gets_no_credential() {
    for protocol in ["grpc", "http/protobuf"] {
        let gauge = Gauge::with(|program| {
            program
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
        })
        .await;
        gauge.collector.set_mode(Mode::Redirect);
        call(&gauge).await;
        let failures = "streamgauge_export_failures_total";
        for signal in ["traces", "metrics"] {
            counted(&gauge, failures, &[("signal", signal)]).await;
        }
        let dropped = "streamgauge_telemetry_dropped_total";
        counted(&gauge, dropped, &[("kind", "span")]).await;
        counted(&gauge, dropped, &[("kind", "point")]).await;
        let received = gauge.collector.received();
        assert!(received.spans.is_empty() && received.points.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_rejects_is_counted_as_dropped() {
    for protocol in ["grpc", "http/protobuf"] {
        let gauge =
            Gauge::with(|program| program.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)).await;
        gauge.collector.set_mode(Mode::Reject(1));
        call(&gauge).await;
        let dropped = "streamgauge_telemetry_dropped_total";
        counted(&gauge, dropped, &[("kind", "span")]).await;
        counted(&gauge, dropped, &[("kind", "point")]).await;
        let told = "the OTLP receiver rejected part of an export";
        let line = gauge.server.process.message(told).await;
        assert_eq!(line["reason"], "rejected by the test");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_a_request_under_way_are_told_of_at_the_end() {
    let mut gauge = Gauge::start().await;
    gauge.collector.set_mode(Mode::Hang);
    call(&gauge).await;
    gauge.collector.requests(1).await;
    gauge.settled(1).await;
    gauge.server.process.terminate().await;
    gauge.server.process.exit().await;
    let log = gauge.server.process.stderr().text();
    let told = "the last spans were not exported before the shutdown deadline";
    let line = log.lines().find(|line| line.contains(told));
    assert!(
        line.is_some_and(|line| line.contains("\"unexported\":2")),
        "{log}"
    );
}
