//! The log on standard error: text or JSON lines, by `tracing`.
//!
//! It decides form and level only; what is logged is said where it happens. A body or a credential is never logged.
//! The levels come as a plain list of targets: a filter language would bring a regex engine for one setting.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

/// What the log can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How a line looks. Default text.
    pub format: Format,
    /// Least severe level of ours that is written; libraries write warnings and errors at most. Default `info`.
    pub level: LevelFilter,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            format: Format::Text,
            level: LevelFilter::INFO,
        }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured on a terminal, unless `NO_COLOR` is set.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log of this process.
///
/// # Errors
///
/// When a log was started before.
pub fn start(config: Config) -> Result<(), SetGlobalDefaultError> {
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match config.format {
        Format::Text => layer.with_ansi(colours()).boxed(),
        Format::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    tracing::subscriber::set_global_default(
        registry().with(layer.with_filter(targets(config.level))),
    )
}

fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Ours at `level`; hyper, h2, the OpenTelemetry SDK and every other library at warnings, which their finer levels
/// would drown.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // The SDK tells of every failed export; ours are counted, and told at a limited rate.
        .with_target("opentelemetry", LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), level)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_fine_level_opens_our_own_targets_only() {
        let targets = targets(LevelFilter::TRACE);
        assert!(targets.would_enable("streamgauge::proxy", &Level::TRACE));
        assert!(!targets.would_enable("opentelemetry_sdk", &Level::ERROR));
        for library in ["hyper", "h2::codec", "rustls"] {
            assert!(targets.would_enable(library, &Level::WARN), "{library}");
            assert!(!targets.would_enable(library, &Level::INFO), "{library}");
        }
    }

    #[test]
    fn a_coarse_level_holds_for_libraries_too() {
        let targets = targets(LevelFilter::ERROR);
        assert!(targets.would_enable("hyper", &Level::ERROR));
        assert!(!targets.would_enable("hyper", &Level::WARN));
        assert!(!targets.would_enable("streamgauge", &Level::WARN));
    }
}
