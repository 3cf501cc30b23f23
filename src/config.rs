//! Flags, environment, file and defaults become one checked [`Config`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::{observe, proxy};

/// Everything the process can be told, checked and complete.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Where `/metrics`, health and the live page are served. Default `127.0.0.1:9464`.
    pub admin: SocketAddr,
    /// Certificate and key of the client-facing listener; `None` for plain TCP.
    pub tls: Option<Tls>,
    /// The byte path.
    pub proxy: proxy::config::Config,
    /// The observer.
    pub observe: observe::Config,
    /// What is exported, and how.
    pub telemetry: Telemetry,
    /// Longest time streams in flight may take to finish at shutdown. Default 10 min.
    pub drain: Duration,
    /// The log.
    pub log: Log,
}

/// PEM files of the client-facing listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// What is exported. Exporters follow the standard `OTEL_*` variables.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Vocabularies by name, in order. Default `gen_ai`, `gen_ai_2025`, `llm`.
    pub vocabularies: Vec<String>,
    /// Whether our trace context goes upstream. Default true.
    pub propagate: bool,
    /// Different values an attribute may have in metrics before the rest fold into `_other`. Default 200.
    pub label_values: usize,
    /// Window of `llm.error.rate`. Default 5 min.
    pub error_window: Duration,
}

/// The log on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// One JSON object a line rather than text. Default false.
    pub json: bool,
    /// Least severe level that is written: `error`, `warn`, `info`, `debug`, `trace`. Default `info`.
    pub level: String,
}
