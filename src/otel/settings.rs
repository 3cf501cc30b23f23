//! The standard `OTEL_*` variables as one checked value.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use opentelemetry_sdk::trace::Sampler;

use super::env::{Error, Names, Reader, Warning, pairs, percent_decode};
use super::propagation::Propagator;
use super::resource;
use crate::outbound::{self, BadVariable, ForwardProxy, proxy_for};

/// What the `OTEL_*` variables say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Attributes of the resource, complete: with a service name, a version and an instance id.
    pub resource: Vec<(String, String)>,
    /// Where spans go, or why nowhere.
    pub traces: Result<Otlp, NotPushed>,
    /// Where metrics are pushed, or why nowhere.
    pub metrics: Result<Otlp, NotPushed>,
    /// Where log records go, or why nowhere. There are some only where content goes into events.
    pub logs: Result<Otlp, NotPushed>,
    /// How log records are batched (`OTEL_BLRP_*`).
    pub log_batch: Batch,
    /// How often metrics are pushed (`OTEL_METRIC_EXPORT_INTERVAL`). Default 60 s.
    pub metric_interval: Duration,
    /// How spans are batched (`OTEL_BSP_*`).
    pub batch: Batch,
    /// `OTEL_TRACES_SAMPLER` and its argument. Default `parentbased_always_on`.
    pub sampler: Sampler,
    /// Whether that keeps a share of the traces that begin here, and the others are gone before an exchange has begun.
    pub samples_share: bool,
    /// In which formats a client's context is read and ours goes upstream, in the order of `OTEL_PROPAGATORS`. Default W3C
    /// Trace Context; none where every exchange is a trace of its own.
    pub propagators: Vec<Propagator>,
    /// Values that the specification allows and that do nothing here.
    pub warnings: Vec<Warning>,
}

/// Why a signal is not pushed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPushed {
    /// Nothing is pushed.
    #[error("OTEL_SDK_DISABLED is true")]
    Disabled,
    /// The signal's exporter is another one, or none.
    #[error("{variable} is {value}")]
    Exporter {
        /// The variable that names it.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// It is to be pushed, and nothing says whither.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is not set")]
    NoEndpoint,
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
    /// By which proxy the receiver is reached; `None` for direct connections.
    pub proxy: Option<ForwardProxy>,
    /// Whether metrics are pushed as totals or as differences.
    pub temporality: Temporality,
    /// Which buckets distributions are pushed with (`OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`); `None` where that
    /// is not said.
    pub buckets: Option<Buckets>,
    /// How its variables are spelled.
    pub variables: Variables,
}

/// How the variables of a signal are spelled, for those who tell people to change one: the signal's own form where that is set,
/// or where the endpoint is the signal's own, which the others have nothing to do with; else the form that all signals share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    prefix: &'static str,
    /// What is set in the signal's own form.
    own: Vec<&'static str>,
}

impl Variables {
    fn of(reader: &Reader<impl Fn(&str) -> Option<String>>, prefix: &'static str) -> Self {
        let is_own = |name: &&str| reader.text(&format!("{prefix}{name}")).is_some();
        let own = SPELLED_TWICE.into_iter().filter(is_own).collect();
        Self { prefix, own }
    }

    /// The whole name of one, such as `PROTOCOL`.
    #[must_use]
    pub fn spelled(&self, name: &str) -> String {
        let is_own = self.own.contains(&name) || self.own.contains(&ENDPOINT);
        let prefix = if is_own { self.prefix } else { COMMON };
        format!("{prefix}{name}")
    }
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

impl fmt::Display for Protocol {
    /// As `OTEL_EXPORTER_OTLP_PROTOCOL` spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        })
    }
}

/// What numbers a receiver wants to be pushed (`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`).
///
/// <https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/#additional-environment-variable-configuration>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temporality {
    /// Totals.
    #[default]
    Cumulative,
    /// Differences since the last push.
    Delta,
    /// Differences of what is recorded, totals of what is observed.
    LowMemory,
}

/// Over which buckets distributions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Buckets {
    /// Those of the metric, with bounds that are known beforehand.
    #[default]
    Explicit,
    /// Those of each series, which grow by a factor and adapt to its samples.
    Exponential,
}

/// PEM files for exporting over TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The only authorities to trust; `None` for the system's.
    pub certificate: Option<PathBuf>,
    /// Our own certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How spans are batched (`OTEL_BSP_*`), or log records (`OTEL_BLRP_*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Most that wait (`…_MAX_QUEUE_SIZE`). Default 2,048.
    pub queue: usize,
    /// Most of one export (`…_MAX_EXPORT_BATCH_SIZE`). Default 512.
    pub size: usize,
    /// Longest time that one waits (`…_SCHEDULE_DELAY`). Default 5 s for spans, 1 s for log records.
    pub delay: Duration,
    /// Longest time one export may take (`…_EXPORT_TIMEOUT`). Default 30 s.
    pub timeout: Duration,
}

impl fmt::Debug for Otlp {
    /// Without the values of headers, and what else may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Otlp")
            .field("endpoint", &self.shown_endpoint())
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
        let enabled = |pushed| {
            if disabled {
                Err(NotPushed::Disabled)
            } else {
                pushed
            }
        };
        let traces = enabled(otlp(&mut reader, &TRACES));
        let metrics = enabled(otlp(&mut reader, &METRICS));
        let logs = enabled(otlp(&mut reader, &LOGS));
        let interval = reader.millis(&["OTEL_METRIC_EXPORT_INTERVAL"]);
        let (sampler, samples_share) = sampler(&mut reader);
        let mut settings = Self {
            resource: resource::read(&mut reader),
            traces,
            metrics,
            metric_interval: interval.unwrap_or(Duration::from_secs(60)),
            logs,
            log_batch: batch(&mut reader, &LOG_BATCH),
            batch: batch(&mut reader, &SPAN_BATCH),
            sampler,
            samples_share,
            propagators: propagators(&mut reader),
            warnings: Vec::new(),
        };
        settings.warnings = std::mem::take(&mut reader.warnings);
        if reader.errors.is_empty() {
            Ok(settings)
        } else {
            Err(reader.errors)
        }
    }
}

/// The names of the variables that are read here: where none is set, each is asked for.
#[must_use]
pub fn variables() -> BTreeSet<String> {
    let asked = RefCell::new(BTreeSet::new());
    // Nothing is set, so nothing can be wrong.
    let _ = Settings::from_env(|name| {
        asked.borrow_mut().insert(name.to_owned());
        None
    });
    asked.into_inner()
}

/// How one signal's variables are spelled.
struct Signal {
    exporter: &'static str,
    exporters: Names,
    prefix: &'static str,
    path: &'static str,
    /// Spans have none, nor the next.
    temporality: Option<&'static str>,
    buckets: Option<&'static str>,
}

const TRACES: Signal = Signal {
    exporter: "OTEL_TRACES_EXPORTER",
    exporters: Names {
        used: &["otlp", "none"],
        others: &["console", "logging", "zipkin", "jaeger"],
        instead: "there is no such exporter here: spans are exported where it names otlp",
    },
    prefix: "OTEL_EXPORTER_OTLP_TRACES_",
    path: "/v1/traces",
    temporality: None,
    buckets: None,
};
const METRICS: Signal = Signal {
    exporter: "OTEL_METRICS_EXPORTER",
    exporters: Names {
        // The admin port serves `/metrics` in any case.
        used: &["otlp", "prometheus", "none"],
        others: &["console", "logging"],
        instead: "there is no such exporter here: metrics are pushed where it names otlp, and read from /metrics in any case",
    },
    prefix: "OTEL_EXPORTER_OTLP_METRICS_",
    path: "/v1/metrics",
    temporality: Some("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"),
    buckets: Some("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"),
};

const LOGS: Signal = Signal {
    exporter: "OTEL_LOGS_EXPORTER",
    exporters: Names {
        used: &["otlp", "none"],
        others: &["console", "logging"],
        instead: "there is no such exporter here: events are exported where it names otlp",
    },
    prefix: "OTEL_EXPORTER_OTLP_LOGS_",
    path: "/v1/logs",
    temporality: None,
    buckets: None,
};

const PROTOCOLS: Names = Names {
    used: &["grpc", "http/protobuf"],
    others: &["http/json"],
    instead: "it is not spoken here; http/protobuf is, to the same endpoint",
};
const PROPAGATORS: Names = Names {
    used: &[
        "tracecontext",
        "baggage",
        "b3",
        "b3multi",
        "jaeger",
        "xray",
        "none",
    ],
    others: &["ottrace"],
    instead: "it is neither read nor written here; such headers pass as the client sent them",
};
const SAMPLERS: Names = Names {
    used: &[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ],
    others: &["jaeger_remote", "parentbased_jaeger_remote", "xray"],
    instead: "there is no such sampler here; parentbased_always_on decides",
};

/// What all signals share.
const COMMON: &str = "OTEL_EXPORTER_OTLP_";
const ENDPOINT: &str = "ENDPOINT";
/// Variables that a signal can have for itself, and that somebody may be told to change.
const SPELLED_TWICE: [&str; 7] = [
    ENDPOINT,
    "PROTOCOL",
    "HEADERS",
    "INSECURE",
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
];

fn otlp(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    signal: &Signal,
) -> Result<Otlp, NotPushed> {
    let exporters = reader.names(signal.exporter, &signal.exporters);
    let own = |name: &str| format!("{}{name}", signal.prefix);
    let common = |name: &str| format!("{COMMON}{name}");
    let protocol = match reader.name(&[&own("PROTOCOL"), &common("PROTOCOL")], &PROTOCOLS) {
        Some("grpc") => Protocol::Grpc,
        _ => Protocol::HttpProtobuf,
    };
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
    let buckets = buckets(reader, signal);
    let insecure = reader.flag(&[&own("INSECURE"), &common("INSECURE")]);
    let endpoint = endpoint(reader, signal, protocol, insecure);
    if exporters.is_some_and(|exporters| !exporters.contains(&"otlp")) {
        return Err(NotPushed::Exporter {
            variable: signal.exporter,
            // As it stands there: what is no exporter here is not among those.
            value: reader.text(signal.exporter).unwrap_or_default(),
        });
    }
    let endpoint = endpoint.ok_or(NotPushed::NoEndpoint)?;
    let proxy = proxy(reader, &endpoint);
    Ok(Otlp {
        endpoint,
        protocol,
        headers,
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
        gzip: gzip.unwrap_or(false),
        tls,
        proxy,
        temporality,
        buckets,
        variables: Variables::of(reader, signal.prefix),
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
        let (base, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
        url = [base.trim_end_matches('/'), signal.path, rest].concat();
    }
    Some(url)
}

/// The proxy by which an endpoint is reached, by the variables that other programs read too.
fn proxy(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    endpoint: &str,
) -> Option<ForwardProxy> {
    let url = endpoint.parse().ok()?;
    match proxy_for(&url, |name| reader.text(name)) {
        Ok(proxy) => proxy,
        Err(BadVariable { variable }) => {
            reader.wrong_secret(variable, outbound::EXPECTED);
            None
        }
    }
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

fn buckets(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    signal: &Signal,
) -> Option<Buckets> {
    reader.parsed(
        &[signal.buckets?],
        "explicit_bucket_histogram or base2_exponential_bucket_histogram",
        |value| match value.to_ascii_lowercase().as_str() {
            "explicit_bucket_histogram" => Some(Buckets::Explicit),
            "base2_exponential_bucket_histogram" => Some(Buckets::Exponential),
            _ => None,
        },
    )
}

/// How the variables of a batching are spelled, and how long an item waits by default.
struct Batching {
    queue: &'static str,
    size: &'static str,
    delay: &'static str,
    timeout: &'static str,
    usual_delay: Duration,
}

const SPAN_BATCH: Batching = Batching {
    queue: "OTEL_BSP_MAX_QUEUE_SIZE",
    size: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    delay: "OTEL_BSP_SCHEDULE_DELAY",
    timeout: "OTEL_BSP_EXPORT_TIMEOUT",
    usual_delay: Duration::from_secs(5),
};
const LOG_BATCH: Batching = Batching {
    queue: "OTEL_BLRP_MAX_QUEUE_SIZE",
    size: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    delay: "OTEL_BLRP_SCHEDULE_DELAY",
    timeout: "OTEL_BLRP_EXPORT_TIMEOUT",
    usual_delay: Duration::from_secs(1),
};

fn batch(reader: &mut Reader<impl Fn(&str) -> Option<String>>, variables: &Batching) -> Batch {
    let queue = reader.count(variables.queue).unwrap_or(2_048);
    let size = reader.count(variables.size);
    if let Some(size) = size.filter(|size| *size > queue) {
        reader.wrong(
            variables.size,
            &size.to_string(),
            format_args!("at most {}, which is {queue}", variables.queue),
        );
    }
    Batch {
        queue,
        size: size.unwrap_or(512).min(queue),
        delay: reader
            .millis(&[variables.delay])
            .unwrap_or(variables.usual_delay),
        timeout: reader
            .millis(&[variables.timeout])
            .unwrap_or(Duration::from_secs(30)),
    }
}

/// The sampler, and whether it keeps a share.
fn sampler(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> (Sampler, bool) {
    let ratio = |value: &str| {
        value
            .parse::<f64>()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio))
    };
    let ratio = reader
        .parsed(&["OTEL_TRACES_SAMPLER_ARG"], "a number from 0 to 1", ratio)
        .unwrap_or(1.0);
    let name = reader
        .name(&["OTEL_TRACES_SAMPLER"], &SAMPLERS)
        .unwrap_or("parentbased_always_on");
    let (parent_based, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, name),
    };
    let root = match root {
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio),
        _ => Sampler::AlwaysOn,
    };
    let samples_share = matches!(root, Sampler::TraceIdRatioBased(share) if share < 1.0);
    let sampler = match parent_based {
        true => Sampler::ParentBased(Box::new(root)),
        false => root,
    };
    (sampler, samples_share)
}

/// Those that carry a trace. Baggage passes as any header does, named or not.
fn propagators(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> Vec<Propagator> {
    let names = reader.names("OTEL_PROPAGATORS", &PROPAGATORS);
    let names = names.unwrap_or_else(|| vec!["tracecontext"]);
    let carries_trace = |name| {
        Some(match name {
            "tracecontext" => Propagator::TraceContext,
            "b3" => Propagator::B3,
            "b3multi" => Propagator::B3Multi,
            "jaeger" => Propagator::Jaeger,
            "xray" => Propagator::XRay,
            _ => return None,
        })
    };
    names.into_iter().filter_map(carries_trace).collect()
}

#[cfg(test)]
mod tests;
