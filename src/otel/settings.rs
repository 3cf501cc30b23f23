//! The standard `OTEL_*` variables as one checked value.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::Sampler;

use super::env::{Error, Reader, pairs, percent_decode};
use super::resource;

/// What the `OTEL_*` variables say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Attributes of the resource, complete: with a service name, a version and an instance id.
    pub resource: Vec<(String, String)>,
    /// Where spans go; `None` without an endpoint, with `OTEL_TRACES_EXPORTER=none` or `OTEL_SDK_DISABLED=true`.
    pub traces: Option<Otlp>,
    /// Where metrics are pushed; `None` likewise.
    pub metrics: Option<Otlp>,
    /// How often metrics are pushed (`OTEL_METRIC_EXPORT_INTERVAL`). Default 60 s.
    pub metric_interval: Duration,
    /// How spans are batched (`OTEL_BSP_*`).
    pub batch: Batch,
    /// `OTEL_TRACES_SAMPLER` and its argument. Default `parentbased_always_on`.
    pub sampler: Sampler,
    /// Whether `OTEL_PROPAGATORS` has `tracecontext`, as it has by default: then a client's context is our parent and
    /// ours goes upstream.
    pub propagate: bool,
}

/// Where one signal goes, and how.
#[derive(Clone, PartialEq)]
pub struct Otlp {
    /// Complete URL; for HTTP with the signal's path.
    pub endpoint: String,
    /// How it is spoken. Default `http/protobuf`, as the specification has it.
    pub protocol: Protocol,
    /// Headers, values still percent-encoded; may hold credentials.
    pub headers: Vec<(String, String)>,
    /// Longest time one export may take. Default 10 s.
    pub timeout: Duration,
    /// Whether bodies are compressed with gzip.
    pub gzip: bool,
    /// Certificates.
    pub tls: Tls,
    /// Whether metrics are pushed as totals or as differences.
    pub temporality: Temporality,
}

impl Otlp {
    /// The endpoint as it may be shown to people: without credentials, and without a query, where keys stand too.
    #[must_use]
    pub fn shown_endpoint(&self) -> String {
        let url = self.endpoint.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}{path}")
    }
}

/// How OTLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, in protobuf.
    HttpProtobuf,
}

/// PEM files for exporting over TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The only authorities to trust; `None` for the system's.
    pub certificate: Option<PathBuf>,
    /// Our own certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How spans are batched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Most spans that wait (`OTEL_BSP_MAX_QUEUE_SIZE`). Default 2,048.
    pub queue: usize,
    /// Most spans of one export (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`). Default 512.
    pub size: usize,
    /// Longest time a span waits (`OTEL_BSP_SCHEDULE_DELAY`). Default 5 s.
    pub delay: Duration,
    /// Longest time one export may take (`OTEL_BSP_EXPORT_TIMEOUT`). Default 30 s.
    pub timeout: Duration,
}

impl fmt::Debug for Otlp {
    /// Without the values of headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Otlp")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("headers", &headers)
            .field("gzip", &self.gzip)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the variables through `lookup`.
    ///
    /// # Errors
    /// Every variable whose value cannot be used.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Error>> {
        let mut reader = Reader::new(lookup);
        let disabled = reader.flag(&["OTEL_SDK_DISABLED"]);
        let traces = otlp(&mut reader, &TRACES).filter(|_| !disabled);
        let metrics = otlp(&mut reader, &METRICS).filter(|_| !disabled);
        let interval = reader.millis(&["OTEL_METRIC_EXPORT_INTERVAL"]);
        let settings = Self {
            resource: resource::read(&mut reader),
            traces,
            metrics,
            metric_interval: interval.unwrap_or(Duration::from_secs(60)),
            batch: batch(&mut reader),
            sampler: sampler(&mut reader),
            propagate: propagators(&mut reader),
        };
        if reader.errors.is_empty() {
            Ok(settings)
        } else {
            Err(reader.errors)
        }
    }
}

/// How one signal's variables are spelled.
struct Signal {
    exporter: &'static str,
    prefix: &'static str,
    path: &'static str,
    /// Spans have none.
    temporality: Option<&'static str>,
}

const TRACES: Signal = Signal {
    exporter: "OTEL_TRACES_EXPORTER",
    prefix: "OTEL_EXPORTER_OTLP_TRACES_",
    path: "/v1/traces",
    temporality: None,
};
const METRICS: Signal = Signal {
    exporter: "OTEL_METRICS_EXPORTER",
    prefix: "OTEL_EXPORTER_OTLP_METRICS_",
    path: "/v1/metrics",
    temporality: Some("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"),
};

/// What all signals share.
const COMMON: &str = "OTEL_EXPORTER_OTLP_";

fn otlp(reader: &mut Reader<impl Fn(&str) -> Option<String>>, signal: &Signal) -> Option<Otlp> {
    let exporter = reader.parsed(&[signal.exporter], "otlp or none", |value| match value {
        "otlp" => Some(true),
        "none" => Some(false),
        _ => None,
    });
    let own = |name: &str| format!("{}{name}", signal.prefix);
    let common = |name: &str| format!("{COMMON}{name}");
    let protocol = reader.parsed(
        &[&own("PROTOCOL"), &common("PROTOCOL")],
        "grpc or http/protobuf",
        |value| match value {
            "grpc" => Some(Protocol::Grpc),
            "http/protobuf" => Some(Protocol::HttpProtobuf),
            _ => None,
        },
    );
    let protocol = protocol.unwrap_or(Protocol::HttpProtobuf);
    let gzip = reader.parsed(
        &[&own("COMPRESSION"), &common("COMPRESSION")],
        "gzip or none",
        |value| match value {
            "gzip" => Some(true),
            "none" => Some(false),
            _ => None,
        },
    );
    let timeout = reader.millis(&[&own("TIMEOUT"), &common("TIMEOUT")]);
    let headers = headers(reader, &[&own("HEADERS"), &common("HEADERS")]);
    let tls = tls(reader, &own, &common);
    let temporality = temporality(reader, signal);
    let insecure = reader.flag(&[&own("INSECURE"), &common("INSECURE")]);
    let endpoint = endpoint(reader, signal, protocol, insecure)?;
    exporter.unwrap_or(true).then(|| Otlp {
        endpoint,
        protocol,
        headers,
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
        gzip: gzip.unwrap_or(false),
        tls,
        temporality,
    })
}

/// A signal's own endpoint as it stands; the common one with the signal's path, where HTTP is spoken.
fn endpoint(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    signal: &Signal,
    protocol: Protocol,
    insecure: bool,
) -> Option<String> {
    let (own, common) = (
        format!("{}ENDPOINT", signal.prefix),
        format!("{COMMON}ENDPOINT"),
    );
    let (variable, value) = reader.first(&[&own, &common])?;
    let mut url = value.clone();
    if protocol == Protocol::Grpc && !url.contains("://") {
        url.insert_str(0, if insecure { "http://" } else { "https://" });
    }
    let scheme = url
        .parse::<Uri>()
        .ok()
        .and_then(|uri| uri.host().and(uri.scheme_str()).map(str::to_owned));
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        let expected = "a URL such as http://collector:4318";
        match value.contains('@') {
            true => reader.wrong_secret(variable, expected),
            false => reader.wrong(variable, &value, expected),
        }
        return None;
    }
    if variable == common && protocol == Protocol::HttpProtobuf {
        url.truncate(url.trim_end_matches('/').len());
        url.push_str(signal.path);
    }
    Some(url)
}

fn headers(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    variables: &[&str],
) -> Vec<(String, String)> {
    let Some((variable, value)) = reader.first(variables) else {
        return Vec::new();
    };
    let valid = |(name, value): &(String, String)| {
        let value = percent_decode(value).and_then(|value| http::HeaderValue::try_from(value).ok());
        name.parse::<http::HeaderName>().is_ok() && value.is_some()
    };
    let headers = pairs(&value).filter(|headers| headers.iter().all(valid));
    if headers.is_none() {
        reader.wrong_secret(
            variable,
            "name=value pairs with commas between them, values percent-encoded",
        );
    }
    headers.unwrap_or_default()
}

fn tls(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    own: &impl Fn(&str) -> String,
    common: &impl Fn(&str) -> String,
) -> Tls {
    let authority = [own("CERTIFICATE"), common("CERTIFICATE")];
    let certificate = reader.first(&[&authority[0], &authority[1]]);
    let names = [
        own("CLIENT_CERTIFICATE"),
        common("CLIENT_CERTIFICATE"),
        own("CLIENT_KEY"),
        common("CLIENT_KEY"),
    ];
    let client = match (
        reader.first(&[&names[0], &names[1]]),
        reader.first(&[&names[2], &names[3]]),
    ) {
        (Some((_, certificate)), Some((_, key))) => Some((certificate.into(), key.into())),
        (Some((variable, path)), None) | (None, Some((variable, path))) => {
            reader.wrong(
                variable,
                &path,
                "both a client certificate and a client key, or neither",
            );
            None
        }
        (None, None) => None,
    };
    Tls {
        certificate: certificate.map(|(_, path)| path.into()),
        client,
    }
}

fn temporality(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    signal: &Signal,
) -> Temporality {
    let Some(variable) = signal.temporality else {
        return Temporality::default();
    };
    let preference =
        reader.parsed(
            &[variable],
            "cumulative, delta or lowmemory",
            |value| match value.to_ascii_lowercase().as_str() {
                "cumulative" => Some(Temporality::Cumulative),
                "delta" => Some(Temporality::Delta),
                "lowmemory" => Some(Temporality::LowMemory),
                _ => None,
            },
        );
    preference.unwrap_or_default()
}

fn batch(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> Batch {
    const SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    let queue = reader.count("OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(2_048);
    let size = reader.count(SIZE);
    if let Some(size) = size.filter(|size| *size > queue) {
        reader.wrong(
            SIZE,
            &size.to_string(),
            format_args!("at most OTEL_BSP_MAX_QUEUE_SIZE, which is {queue}"),
        );
    }
    Batch {
        queue,
        size: size.unwrap_or(512).min(queue),
        delay: reader
            .millis(&["OTEL_BSP_SCHEDULE_DELAY"])
            .unwrap_or(Duration::from_secs(5)),
        timeout: reader
            .millis(&["OTEL_BSP_EXPORT_TIMEOUT"])
            .unwrap_or(Duration::from_secs(30)),
    }
}

fn sampler(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> Sampler {
    let ratio = |value: &str| {
        value
            .parse::<f64>()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio))
    };
    let ratio = reader
        .parsed(&["OTEL_TRACES_SAMPLER_ARG"], "a number from 0 to 1", ratio)
        .unwrap_or(1.0);
    let expected = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
                    parentbased_traceidratio";
    let sampler = reader.parsed(&["OTEL_TRACES_SAMPLER"], expected, |value| {
        let (parent_based, root) = match value.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, value),
        };
        let root = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(ratio),
            _ => return None,
        };
        Some(if parent_based {
            Sampler::ParentBased(Box::new(root))
        } else {
            root
        })
    });
    sampler.unwrap_or_else(|| Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
}

/// Whether trace context is propagated. Baggage passes as any header does, named or not.
fn propagators(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> bool {
    let propagate = reader.parsed(
        &["OTEL_PROPAGATORS"],
        "tracecontext, baggage or none",
        |value| {
            let names: Vec<_> = value.split(',').map(str::trim).collect();
            let known = names
                .iter()
                .all(|name| ["tracecontext", "baggage", "none"].contains(name));
            known.then(|| names.contains(&"tracecontext"))
        },
    );
    propagate.unwrap_or(true)
}

#[cfg(test)]
mod tests;
