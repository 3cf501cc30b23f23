//! Flags, environment, file and defaults become one checked [`Config`].
//!
//! Precedence: flag, environment, file, default. Each layer owns the struct of what it can be told; this one fills
//! them in, reports everything that is wrong at once, and writes the result back as TOML. It knows nothing of
//! sockets, tasks or telemetry.
//!
//! - `settings`, `upstream`, `route`: one row for each key, with how it is read and how it is written
//! - `value`, `units`, `write`: from raw values to typed ones, and back
//! - `document`: walks a TOML table by those rows
//! - `syntax`: says what is no TOML
//! - `environment`: variables, and which of them are none of ours
//! - `file`, `load`, `render`: the ways through

mod document;
mod environment;
mod file;
mod load;
mod problem;
mod render;
mod route;
mod settings;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod units;
mod upstream;
mod value;
mod write;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::admin::AdminConfig;
use crate::allow::{Hosts, Patterns};
use crate::log::LogConfig;
use crate::memory::Memory;
use crate::observe::ObserveConfig;
use crate::otel::{Buckets, Spans, ToolSpans};
use crate::pipeline::PipelineConfig;
use crate::proxy::ProxyConfig;
use crate::semconv;
use crate::serve::TlsConfig;

pub use crate::semconv::names as vocabularies;
pub use environment::Environment;
pub use load::{Flags, Loaded, load};
pub use problem::{Invalid, Place, Problem};
pub use render::Entry;
pub use source::{Source, Sources};
pub use syntax::of_prices as wrong_prices;
pub use units::{parse_address, parse_duration};

/// Everything the process can be told, checked and complete.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Where `/metrics`, health and the live page are served. Default `127.0.0.1:9464`.
    pub admin: SocketAddr,
    /// Who may see what is there, and how much of it is kept.
    pub admin_config: AdminConfig,
    /// Hosts that requests to the admin port may be for. Default loopback names and IP addresses.
    pub admin_hosts: Hosts,
    /// Certificate and key of the client-facing listener; `None` for plain TCP.
    pub tls: Option<TlsConfig>,
    /// Longest wait of a client's connection for a request; `None` for no limit. Default 75 s.
    pub client_idle: Option<Duration>,
    /// The byte path.
    pub proxy: ProxyConfig,
    /// The observer.
    pub observe: ObserveConfig,
    /// What happens to finished exchanges.
    pub pipeline: PipelineConfig,
    /// What is exported, and how.
    pub telemetry: TelemetryConfig,
    /// Where something is kept for the next start; `None`: nowhere. Default `None`.
    pub folder: Option<PathBuf>,
    /// Longest time streams in flight may take to finish at shutdown. Default 10 min.
    pub drain: Duration,
    /// The log.
    pub log: LogConfig,
    /// Where each setting comes from.
    pub sources: Sources,
}

impl Default for Config {
    fn default() -> Self {
        let memory = Memory::default();
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            admin: (Ipv4Addr::LOCALHOST, 9464).into(),
            admin_config: AdminConfig::default(),
            admin_hosts: Hosts::NamedOrOwn(Patterns::default()),
            tls: None,
            client_idle: Some(Duration::from_secs(75)),
            proxy: ProxyConfig {
                memory: memory.clone(),
                ..ProxyConfig::default()
            },
            pipeline: PipelineConfig {
                memory: memory.clone(),
                ..PipelineConfig::default()
            },
            observe: ObserveConfig {
                memory,
                ..ObserveConfig::default()
            },
            telemetry: TelemetryConfig::default(),
            folder: None,
            drain: Duration::from_secs(600),
            log: LogConfig::default(),
            sources: Sources::default(),
        }
    }
}

/// What is exported. Exporters follow the standard `OTEL_*` variables.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Vocabularies of spans by name, in order; each is one of [`semconv::names`]. Default `gen_ai`, `gen_ai_2025`, `llm`.
    pub vocabularies: Vec<String>,
    /// Those of metrics; each is one of [`semconv::names_with_metrics`]. Default `llm`, `gen_ai_2025`.
    pub metrics: Vec<String>,
    /// Over which buckets distributions are told to a scraper that knows both kinds, and pushed unless the standard variable says
    /// otherwise. Default explicit.
    pub histograms: Buckets,
    /// Which spans a call to a model has. Default both.
    pub spans: Spans,
    /// What the spans of waits for tools are called. Default [`ToolSpans::ToolWait`].
    pub tools: ToolSpans,
    /// Whether our trace context goes upstream. Default true.
    pub propagate: bool,
    /// Attributes of calls that are labels of their tokens and costs, too, by name. Default none.
    pub labels: Vec<String>,
    /// Whether each call tells which key it was made with, by a fingerprint. Default true.
    pub key_fingerprint: bool,
    /// Different values an attribute may have in metrics before the rest fold into `_other`. Default 100.
    pub label_values: usize,
    /// Window of `llm.error.rate`. Default 5 min.
    pub error_window: Duration,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            vocabularies: semconv::DEFAULTS.map(String::from).into(),
            metrics: semconv::DEFAULT_METRICS.map(String::from).into(),
            histograms: Buckets::default(),
            spans: Spans::default(),
            tools: ToolSpans::default(),
            propagate: true,
            labels: Vec::new(),
            key_fingerprint: true,
            label_values: 100,
            error_window: Duration::from_secs(300),
        }
    }
}
