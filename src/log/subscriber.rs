//! The log of a process: what writes the lines, and which.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use super::panic;
use super::text::TextFields;
use super::{ACCESS, LogConfig, LogFormat};
use crate::background::{Background, Plan, Work};

/// How lines are written. A reader that does not read holds up this thread alone; lines beyond the bound are dropped.
const PLAN: Plan = Plan {
    name: "log",
    bound: 1024,
    linger: Duration::ZERO,
    enough: 1,
    idle: None,
};

static LINES: OnceLock<Background<Line>> = OnceLock::new();

/// Says why the process fails: in the log, or on standard error as it is where there is no log yet.
pub fn failed(error: &str) {
    if tracing::dispatcher::has_been_set() {
        // Where in the program this stands says nothing of what has failed.
        tracing::error!(target: env!("CARGO_CRATE_NAME"), error, "stopped");
    } else {
        // With standard error gone there is nobody left to tell; the status still speaks.
        let _ = writeln!(io::stderr(), "{error}");
    }
}

/// Has a panic written as a line of the log: the standard library's own words are no JSON, and wait for whoever reads. They may also
/// quote what was being read.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
        tracing::error!(
            target: env!("CARGO_CRATE_NAME"),
            panic = %panic::told(panic.payload()),
            at = panic.location().map(tracing::field::display),
            thread = thread::current().name(),
            backtrace = backtrace.as_ref().map(tracing::field::display),
            "a thread panicked"
        );
    }));
}

/// Starts the log of this process. Panics go there, too.
///
/// # Errors
///
/// When a log was started before.
pub fn start(config: LogConfig) -> Result<(), SetGlobalDefaultError> {
    let lines = LINES.get_or_init(|| Background::start(PLAN, Writing));
    let layer = fmt::layer().with_writer(Lines(lines));
    let layer = match config.format {
        LogFormat::Text => layer.with_ansi(colours()).fmt_fields(TextFields).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    tracing::subscriber::set_global_default(
        registry().with(layer.with_filter(targets(config.level))),
    )?;
    log_panics();
    Ok(())
}

/// Lines that were dropped so far, because nobody read those before them.
#[must_use]
pub fn dropped() -> u64 {
    LINES.get().map_or(0, Background::dropped)
}

/// Writes what is left and ends the log, within this time.
pub fn end(within: Duration) {
    if let Some(lines) = LINES.get() {
        lines.end(within);
    }
}

type Line = Box<[u8]>;

/// What the thread of the log does.
struct Writing;

impl Work for Writing {
    type Job = Line;

    fn run(&mut self, line: Line) {
        // There is nobody left to tell.
        let _ = io::stderr().write_all(&line);
    }
}

/// The way to that thread.
#[derive(Clone, Copy)]
struct Lines(&'static Background<Line>);

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Write for Lines {
    /// Takes a whole line: so they come.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // One that is dropped is counted there.
        let _ = self.0.submit(line.into());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
        .with_target(ACCESS, LevelFilter::INFO)
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
        assert!(targets.would_enable(ACCESS, &Level::INFO));
    }
}
