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
    let unset = || Err(NotPushed::NoEndpoint);
    assert_eq!((settings.traces, settings.metrics), (unset(), unset()));
    assert_eq!(settings.propagators, [Propagator::TraceContext]);
    assert_eq!(settings.metric_interval, Duration::from_secs(60));
    assert_eq!((settings.batch.queue, settings.batch.size), (2_048, 512));
    assert_eq!(settings.logs, unset());
    assert_eq!(settings.log_batch.delay, Duration::from_secs(1));
}

#[test]
fn logs_have_variables_of_their_own() {
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:4318/in"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "7"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
    ]);
    assert_eq!(settings.logs.unwrap().endpoint, "http://logs:4318/in");
    assert_eq!((settings.log_batch.queue, settings.log_batch.size), (7, 7));
    assert_eq!(settings.log_batch.delay, Duration::from_millis(20));
    assert_eq!(settings.batch.queue, 2_048);
    let none = self::settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    assert!(none.logs.is_err() && none.traces.is_ok());
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
fn a_signals_path_goes_before_the_query_of_the_common_endpoint() {
    for (base, endpoint) in [
        ("http://c:4318?key=a/b", "http://c:4318/v1/traces?key=a/b"),
        ("http://c/in/?a=b&c", "http://c/in/v1/traces?a=b&c"),
        ("http://c/in#part", "http://c/in/v1/traces#part"),
    ] {
        let settings = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)]);
        assert_eq!(settings.traces.unwrap().endpoint, endpoint);
    }
}

#[test]
fn a_signals_own_endpoint_stands_as_it_is() {
    let settings = settings(&[(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://phoenix:6006/in",
    )]);
    assert_eq!(settings.traces.unwrap().endpoint, "http://phoenix:6006/in");
    assert_eq!(settings.metrics, Err(NotPushed::NoEndpoint));
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
fn the_buckets_of_pushed_histograms_are_said_for_metrics_only() {
    let said = |value| {
        settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                value,
            ),
        ])
    };
    for (value, buckets) in [
        ("", None),
        ("explicit_bucket_histogram", Some(Buckets::Explicit)),
        (
            "BASE2_exponential_bucket_histogram",
            Some(Buckets::Exponential),
        ),
    ] {
        let settings = said(value);
        assert_eq!(settings.metrics.unwrap().buckets, buckets, "{value}");
        assert_eq!(settings.traces.unwrap().buckets, None, "{value}");
    }
    let variable = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let errors = read(&[(variable, "exponential")]).unwrap_err();
    assert!(errors[0].to_string().contains(variable), "{errors:?}");
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
    assert!(no_metrics.traces.is_ok());
    let why = no_metrics.metrics.unwrap_err();
    assert_eq!(why.to_string(), "OTEL_METRICS_EXPORTER is none");
    let disabled = settings(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]);
    let off = || Err(NotPushed::Disabled);
    assert_eq!((disabled.traces, disabled.metrics), (off(), off()));
}

#[test]
fn exporters_come_in_lists_and_prometheus_is_always_there() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    for (value, pushed) in [
        ("otlp", true),
        ("otlp,prometheus", true),
        (" prometheus , otlp,", true),
        ("prometheus", false),
        ("prometheus,none", false),
    ] {
        let settings = settings(&[endpoint, ("OTEL_METRICS_EXPORTER", value)]);
        assert_eq!(settings.metrics.is_ok(), pushed, "{value}");
        assert_eq!(settings.warnings, [], "{value}");
    }
}

#[test]
fn a_valid_value_that_does_nothing_here_is_told_of_and_stops_nothing() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    let told = |variable: &str, value: &str, of: &[&str]| {
        let settings = settings(&[endpoint, (variable, value)]);
        let warned: Vec<_> = settings.warnings.iter().map(|it| &*it.value).collect();
        assert_eq!(warned, of, "{variable}={value}");
        let shown = settings.warnings[0].to_string();
        let begins = format!("{variable} has {:?}: ", of[0]);
        assert!(shown.starts_with(&begins), "{shown}");
        settings
    };
    let exporter = "OTEL_TRACES_EXPORTER";
    assert!(told(exporter, "console", &["console"]).traces.is_err());
    let both = told(exporter, "otlp,console,zipkin", &["console", "zipkin"]);
    assert!(both.traces.is_ok() && both.metrics.is_ok());
    let propagators = "OTEL_PROPAGATORS";
    let ot = told(propagators, "ottrace", &["ottrace"]);
    assert_eq!(ot.propagators, []);
    let ot = told(propagators, "tracecontext,ottrace", &["ottrace"]);
    assert_eq!(ot.propagators, [Propagator::TraceContext]);
    let json = told("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", &["http/json"]);
    assert_eq!(json.traces.unwrap().protocol, Protocol::HttpProtobuf);
    let remote = told("OTEL_TRACES_SAMPLER", "jaeger_remote", &["jaeger_remote"]);
    assert!(matches!(remote.sampler, Sampler::ParentBased(_)));
}

#[test]
fn propagators_are_kept_in_their_order() {
    use Propagator::{B3, B3Multi, Jaeger, TraceContext, XRay};
    for (value, propagators) in [
        ("baggage", &[][..]),
        ("none", &[]),
        ("baggage, tracecontext", &[TraceContext]),
        ("xray,tracecontext,b3", &[XRay, TraceContext, B3]),
        ("b3multi,jaeger", &[B3Multi, Jaeger]),
    ] {
        let settings = settings(&[("OTEL_PROPAGATORS", value)]);
        assert_eq!(settings.propagators, propagators, "{value}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_what_would_be_right() {
    let mistakes = mistakes(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp"),
        ("OTEL_TRACES_EXPORTER", "otlp,file"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_PROPAGATORS", "b4"),
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
    has("OTEL_EXPORTER_OTLP_PROTOCOL is \"udp\": expected grpc or http/protobuf");
    has("OTEL_TRACES_EXPORTER is \"file\": expected otlp or none");
    has("OTEL_METRIC_EXPORT_INTERVAL is \"10s\": expected milliseconds, a whole number above 0");
    has(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is \"200\": expected at most OTEL_BSP_MAX_QUEUE_SIZE, which is 100",
    );
    has("OTEL_TRACES_SAMPLER_ARG is \"1.5\": expected a number from 0 to 1");
    has(
        "OTEL_PROPAGATORS is \"b4\": expected tracecontext, baggage, b3, b3multi, jaeger, xray or none",
    );
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
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://me:s3cret@c:4318?key=s3cret",
        ),
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
