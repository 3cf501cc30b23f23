//! Flags, environment, file and defaults become one checked [`Config`].
//!
//! Precedence: flag, environment, file, default. Each layer owns the struct of what it can be told; this one fills
//! them in, reports everything that is wrong at once, and writes the result back as TOML. It knows nothing of
//! sockets, tasks or telemetry.
//!
//! - `settings`, `upstream`, `route`: one row for each key, with how it is read and how it is written
//! - `value`, `units`: from raw values to typed ones
//! - `document`: walks a TOML table by those rows
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
#[cfg(test)]
mod tests;
mod units;
mod upstream;
mod value;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::{log, observe, proxy, semconv};

pub use crate::semconv::names as vocabularies;
pub use environment::Environment;
pub use load::{Flags, load};
pub use problem::{Invalid, Place, Problem};
pub use units::parse_duration;

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
    pub log: log::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            admin: (Ipv4Addr::LOCALHOST, 9464).into(),
            tls: None,
            proxy: proxy::config::Config::default(),
            observe: observe::Config::default(),
            telemetry: Telemetry::default(),
            drain: Duration::from_secs(600),
            log: log::Config::default(),
        }
    }
}

/// PEM files of the client-facing listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// What is exported. Exporters follow the standard `OTEL_*` variables.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Vocabularies by name, in order; each is one of [`semconv::names`]. Default `gen_ai`, `gen_ai_2025`, `llm`.
    pub vocabularies: Vec<String>,
    /// Whether our trace context goes upstream. Default true.
    pub propagate: bool,
    /// Different values an attribute may have in metrics before the rest fold into `_other`. Default 200.
    pub label_values: usize,
    /// Window of `llm.error.rate`. Default 5 min.
    pub error_window: Duration,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            vocabularies: semconv::DEFAULTS.map(String::from).into(),
            propagate: true,
            label_values: 200,
            error_window: Duration::from_secs(300),
        }
    }
}
