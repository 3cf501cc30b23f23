//! Variables in, settings or mistakes out.

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<Error>> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
    Settings::from_env(|name| find(name).map(|(_, value)| (*value).to_owned()))
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    read(variables).unwrap()
}

fn mistakes(variables: &[(&str, &str)]) -> Vec<String> {
    read(variables)
        .unwrap_err()
        .iter()
        .map(Error::to_string)
        .collect()
}

#[test]
fn without_an_endpoint_nothing_is_pushed() {
    let settings = settings(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", " "),
    ]);
    assert_eq!((settings.traces, settings.metrics), (None, None));
    assert!(settings.propagate);
    assert_eq!(settings.metric_interval, Duration::from_secs(60));
    assert_eq!((settings.batch.queue, settings.batch.size), (2_048, 512));
}

#[test]
fn the_common_endpoint_gets_each_signals_path() {
    for base in ["http://collector:4318", "http://collector:4318/"] {
        let settings = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)]);
        let (traces, metrics) = (settings.traces.unwrap(), settings.metrics.unwrap());
        assert_eq!(traces.endpoint, "http://collector:4318/v1/traces");
        assert_eq!(metrics.endpoint, "http://collector:4318/v1/metrics");
        assert_eq!(traces.protocol, Protocol::HttpProtobuf);
    }
}

#[test]
fn a_signals_own_endpoint_stands_as_it_is() {
    let settings = settings(&[(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://phoenix:6006/in",
    )]);
    assert_eq!(settings.traces.unwrap().endpoint, "http://phoenix:6006/in");
    assert_eq!(settings.metrics, None);
}

#[test]
fn grpc_has_no_path_and_may_leave_the_scheme_to_insecure() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let endpoint = |variables: &[(&str, &str)]| settings(variables).traces.unwrap().endpoint;
    let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
    assert_eq!(endpoint(&[grpc, (name, "http://c:4317")]), "http://c:4317");
    assert_eq!(endpoint(&[grpc, (name, "c:4317")]), "https://c:4317");
    assert_eq!(
        endpoint(&[
            grpc,
            (name, "c:4317"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true")
        ]),
        "http://c:4317"
    );
}

#[test]
fn a_signals_own_variable_wins() {
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "700"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20x,team=a",
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/ca.pem"),
    ]);
    let (traces, metrics) = (settings.traces.unwrap(), settings.metrics.unwrap());
    assert_eq!(
        (traces.timeout, metrics.timeout),
        (Duration::from_secs(5), Duration::from_millis(700))
    );
    assert_eq!((traces.gzip, metrics.gzip), (false, true));
    assert_eq!(
        (traces.temporality, metrics.temporality),
        (Temporality::Cumulative, Temporality::Delta)
    );
    assert_eq!(
        (traces.tls.certificate, metrics.tls.certificate),
        (None, Some("/ca.pem".into()))
    );
    assert_eq!(metrics.headers.len(), 2);
}

#[test]
fn a_signal_can_be_turned_off() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    let no_metrics = settings(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]);
    assert_eq!(
        (no_metrics.traces.is_some(), no_metrics.metrics.is_some()),
        (true, false)
    );
    let disabled = settings(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]);
    assert_eq!((disabled.traces, disabled.metrics), (None, None));
}

#[test]
fn propagation_needs_tracecontext() {
    for (value, propagate) in [
        ("baggage", false),
        ("none", false),
        ("baggage, tracecontext", true),
    ] {
        assert_eq!(
            settings(&[("OTEL_PROPAGATORS", value)]).propagate,
            propagate,
            "{value}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_what_would_be_right() {
    let mistakes = mistakes(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
    ]);
    let has = |text: &str| {
        assert!(
            mistakes.iter().any(|mistake| mistake == text),
            "{text}: {mistakes:#?}"
        )
    };
    has(
        "OTEL_EXPORTER_OTLP_ENDPOINT is \"collector:4318\": expected a URL such as http://collector:4318",
    );
    has("OTEL_EXPORTER_OTLP_PROTOCOL is \"http/json\": expected grpc or http/protobuf");
    has("OTEL_TRACES_EXPORTER is \"console\": expected otlp or none");
    has("OTEL_METRIC_EXPORT_INTERVAL is \"10s\": expected milliseconds, a whole number above 0");
    has(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is \"200\": expected at most OTEL_BSP_MAX_QUEUE_SIZE, which is 100",
    );
    has("OTEL_TRACES_SAMPLER_ARG is \"1.5\": expected a number from 0 to 1");
    has("OTEL_PROPAGATORS is \"b3\": expected tracecontext, baggage or none");
    for start in ["OTEL_TRACES_SAMPLER is", "OTEL_RESOURCE_ATTRIBUTES is"] {
        assert!(
            mistakes.iter().any(|mistake| mistake.starts_with(start)),
            "{start}"
        );
    }
}

#[test]
fn a_mistake_in_a_common_variable_is_told_once() {
    let mistakes = mistakes(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "udp")]);
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
}

#[test]
fn a_client_certificate_needs_its_key() {
    let mistakes = mistakes(&[("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key.pem")]);
    assert!(
        mistakes[0].contains("both a client certificate and a client key"),
        "{mistakes:?}"
    );
}

#[test]
fn a_credential_is_never_shown() {
    let secret = "authorization=s3cret";
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", secret),
    ]);
    assert!(!format!("{settings:?}").contains("s3cret"));
    let mistakes = mistakes(&[("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")]);
    assert!(
        mistakes[0].starts_with("OTEL_EXPORTER_OTLP_HEADERS is malformed: expected"),
        "{mistakes:?}"
    );
}

#[test]
fn an_endpoint_is_shown_without_what_may_be_a_credential() {
    for (endpoint, shown) in [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        (
            "https://user:pass@collector/a",
            "https://collector/a/v1/traces",
        ),
        ("https://k@[::1]:4318", "https://[::1]:4318/v1/traces"),
    ] {
        let settings = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert_eq!(settings.traces.unwrap().shown_endpoint(), shown);
    }
    let own = "http://collector/v1/traces?key=a#b";
    let settings = settings(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own)]);
    let shown = settings.traces.unwrap().shown_endpoint();
    assert_eq!(shown, "http://collector/v1/traces");
    let wrong = mistakes(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://user:pass@collector")]);
    assert!(!wrong.concat().contains("pass"), "{wrong:?}");
}
