//! The log on standard error: text or JSON lines, by `tracing`.
//!
//! It decides form and level only; what is logged is said where it happens. A body or a credential is never logged.
//! Whoever logs never waits: a thread of its own writes, and what nobody reads is dropped and counted.
//! The levels come as a plain list of targets: a filter language would bring a regex engine for one setting.

mod limit;
#[cfg(feature = "cli")]
mod panic;
#[cfg(feature = "cli")]
mod subscriber;
#[cfg(feature = "cli")]
mod text;

use tracing::level_filters::LevelFilter;

pub use limit::{LogLimit, LogLimits};
#[cfg(feature = "cli")]
pub use subscriber::{dropped, end, failed, start};
#[cfg(all(test, feature = "cli"))]
pub(crate) use text::tests::written;

/// Target of the lines of the access log. They are written whatever the level: they are asked for by a setting of their own.
pub const ACCESS: &str = "streamgauge::access";

/// What the log can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How a line looks. Default text.
    pub format: LogFormat,
    /// Least severe level of ours that is written; libraries write warnings and errors at most. Default `info`.
    pub level: LevelFilter,
    /// Which exchanges have a line of their own. Default none.
    pub access: AccessLines,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: LevelFilter::INFO,
            access: AccessLines::Off,
        }
    }
}

/// Which exchanges have a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLines {
    /// None.
    Off,
    /// Those that failed, but for a client that left.
    Errors,
    /// All.
    All,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal, unless `NO_COLOR` is set.
    Text,
    /// One JSON object a line.
    Json,
}
