//! What is told of endpoints and answers.

use std::time::Duration;

use super::*;
use crate::otel::{Settings, Temporality, Tls, Variables};

fn otlp(endpoint: &str, protocol: Protocol) -> Otlp {
    Otlp {
        variables: Variables::default(),
        proxy: None,
        endpoint: endpoint.to_owned(),
        protocol,
        headers: Vec::new(),
        timeout: Duration::ZERO,
        gzip: false,
        tls: Tls::default(),
        temporality: Temporality::Cumulative,
        buckets: None,
    }
}

fn assert_hint(hint: Option<String>, part: &str) {
    let hint = hint.unwrap_or_default();
    assert!(hint.contains(part), "{part:?} is not in {hint:?}");
}

#[test]
fn an_endpoint_shows_what_is_wrong_with_it() {
    let http = Protocol::HttpProtobuf;
    for (endpoint, protocol, part) in [
        (
            "http://c:4317/v1/traces",
            http,
            "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        ),
        (
            "http://c:4318",
            Protocol::Grpc,
            "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        ),
        (
            "http://c/in/v1/traces/v1/traces",
            http,
            "should not end in /v1/traces itself",
        ),
        (
            "http://c/v1/metrics/v1/traces?a=b",
            http,
            "should not end in /v1/metrics itself",
        ),
        (
            "http://c:6006/v1/traces",
            Protocol::Grpc,
            "no use for the path /v1/traces",
        ),
    ] {
        assert_hint(of_endpoint(&otlp(endpoint, protocol), Signal::Traces), part);
    }
    for (endpoint, protocol) in [
        ("http://c:4318/v1/traces", http),
        ("https://cloud.example/api/otel/v1/traces", http),
        ("http://c/v1/traces", http),
        ("http://c:4317", Protocol::Grpc),
        ("https://c:4317/", Protocol::Grpc),
    ] {
        let hint = of_endpoint(&otlp(endpoint, protocol), Signal::Traces);
        assert_eq!(hint, None, "{endpoint}");
    }
}

#[test]
fn an_answer_shows_what_is_wrong() {
    let http = |path: &str| otlp(&format!("http://c:6006{path}"), Protocol::HttpProtobuf);
    let grpc = otlp("http://c:6006", Protocol::Grpc);
    let metrics = http("/v1/metrics");
    for (otlp, fault, part) in [
        (
            &metrics,
            Fault::Status(404),
            "set OTEL_METRICS_EXPORTER=none",
        ),
        (
            &metrics,
            Fault::Status(405),
            "set OTEL_METRICS_EXPORTER=none",
        ),
        (
            &grpc,
            Fault::Code(Code::Unimplemented),
            "set OTEL_METRICS_EXPORTER=none",
        ),
        (
            &grpc,
            Fault::Status(404),
            "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        ),
        (
            &metrics,
            Fault::Status(501),
            "set OTEL_METRICS_EXPORTER=none",
        ),
        (&grpc, Fault::Status(401), "OTEL_EXPORTER_OTLP_HEADERS"),
        (&grpc, Fault::Status(403), "OTEL_EXPORTER_OTLP_HEADERS"),
        (
            &grpc,
            Fault::Code(Code::Unauthenticated),
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (
            &http("/"),
            Fault::Status(405),
            "OTEL_EXPORTER_OTLP_ENDPOINT is used as it stands",
        ),
    ] {
        assert_hint(of_fault(otlp, Signal::Metrics, &fault), part);
    }
    assert_eq!(
        of_fault(&metrics, Signal::Metrics, &Fault::Status(500)),
        None
    );
}

#[test]
fn a_symptom_is_that_of_the_innermost_cause() {
    let broken = io::Error::new(
        io::ErrorKind::InvalidData,
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
    );
    assert_eq!(Symptom::of(&broken), Symptom::Tls(Trouble::NoTls));
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert_eq!(Symptom::of(&io::Error::other(refused)), Symptom::Refused);
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(Symptom::of(&reset), Symptom::Unknown);
}

#[test]
fn what_stands_in_the_way_of_a_connection_is_said_with_what_to_change() {
    let otlp = otlp("https://c:443/v1/traces", Protocol::HttpProtobuf);
    for (symptom, part) in [
        (Symptom::Refused, "nothing listens there"),
        (Symptom::UnknownHost, "cannot be resolved"),
        (
            Symptom::Tls(Trouble::Expired),
            "its certificate has expired: renew it",
        ),
        (
            Symptom::Tls(Trouble::WrongName),
            "use a name of its certificate in OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            Symptom::Tls(Trouble::UnknownIssuer),
            "set OTEL_EXPORTER_OTLP_CERTIFICATE to a PEM file",
        ),
        (
            Symptom::Tls(Trouble::ClientCertificateMissing),
            "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ),
    ] {
        let cause = String::new();
        let fault = Fault::NoAnswer { cause, symptom };
        assert_hint(of_fault(&otlp, Signal::Traces, &fault), part);
    }
}

/// The settings of traces by these variables.
fn set(variables: &[(&str, &str)]) -> Otlp {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::from_env(lookup).unwrap().traces.unwrap()
}

#[test]
fn a_hint_names_the_form_of_a_variable_that_is_set() {
    const COMMON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    const OWN: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318");
    for (variables, named) in [
        (
            &[COMMON, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..],
            "set OTEL_EXPORTER_OTLP_PROTOCOL=",
        ),
        (
            &[COMMON, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")],
            "set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=",
        ),
        (
            &[OWN, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=",
        ),
    ] {
        assert_hint(of_endpoint(&set(variables), Signal::Traces), named);
    }
    let own = set(&[COMMON, ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b")]);
    let refused = of_fault(&own, Signal::Traces, &Fault::Status(401));
    assert_hint(refused, "check OTEL_EXPORTER_OTLP_TRACES_HEADERS");
}
