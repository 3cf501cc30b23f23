//! The process itself: which build it is, and what the operating system says of it.
//!
//! `process.*` are named so that Prometheus spells them as its client libraries do (`process_cpu_seconds_total`), since that is
//! what dashboards of processes read.

use super::health::health;
use crate::semconv::{Kind, Metric};

/// Always 1; its labels say which build runs. Registered by the application.
pub static BUILD_INFO: Metric = health(
    "streamgauge.build.info",
    "{build}",
    "Always 1, by version.",
    Kind::ObservedGauge,
);
/// The version, on [`BUILD_INFO`].
pub const VERSION: &str = "version";

/// Time on a processor, by the kernel and the program. Registered by the application, as the next are.
pub static CPU: Metric = health(
    "process.cpu",
    "s",
    "Time that the process spent on processors, in user and in system mode.",
    Kind::ObservedSeconds,
);
/// Memory that is in use.
pub static RESIDENT_MEMORY: Metric = health(
    "process.resident_memory",
    "By",
    "Memory of the process that is in RAM.",
    Kind::ObservedGauge,
);
/// Address space.
pub static VIRTUAL_MEMORY: Metric = health(
    "process.virtual_memory",
    "By",
    "Address space of the process.",
    Kind::ObservedGauge,
);
/// File descriptors in use.
pub static OPEN_FDS: Metric = health(
    "process.open_fds",
    "{descriptor}",
    "File descriptors that the process has open; each connection takes one.",
    Kind::ObservedGauge,
);
/// File descriptors that there may be.
pub static MAX_FDS: Metric = health(
    "process.max_fds",
    "{descriptor}",
    "File descriptors that the process may have open.",
    Kind::ObservedGauge,
);
/// Threads.
pub static THREADS: Metric = health(
    "process.threads",
    "{thread}",
    "Threads of the process.",
    Kind::ObservedGauge,
);
/// When it began.
pub static START_TIME: Metric = health(
    "process.start_time",
    "s",
    "When the process began, in seconds since 1970.",
    Kind::ObservedGauge,
);
