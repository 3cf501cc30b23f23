//! Every key outside `[[upstream]]` and `[[route]]`: one row each, the only place that spells it.
//!
//! Loader, environment and [`Config::to_toml`] all follow these rows, in this order; keys of one table stand together.

use tracing::level_filters::LevelFilter;

use super::Config;
use super::document::Setting;
use super::render::{quote, write_list};
use super::units::{write_duration, write_size};
use super::value::set;
use crate::log::Format;
use crate::semconv;

const FORMATS: &[(&str, Format)] = &[("text", Format::Text), ("json", Format::Json)];

const LEVELS: &[(&str, LevelFilter)] = &[
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Keys that are read apart, by `upstream` and `route`.
pub(super) const APART: &[&str] = &["upstream", "route"];

pub(super) const SETTINGS: &[Setting<Config>] = &[
    Setting {
        path: "listen",
        read: |raw, config| set(&mut config.listen, raw.address()),
        write: |config| Some(quote(config.listen)),
    },
    Setting {
        path: "admin",
        read: |raw, config| set(&mut config.admin, raw.address()),
        write: |config| Some(quote(config.admin)),
    },
    Setting {
        path: "tls.certificate",
        read: |raw, config| {
            set(
                &mut config.tls.get_or_insert_default().certificate,
                raw.path(),
            )
        },
        write: |config| {
            config
                .tls
                .as_ref()
                .map(|tls| quote(tls.certificate.display()))
        },
    },
    Setting {
        path: "tls.key",
        read: |raw, config| set(&mut config.tls.get_or_insert_default().key, raw.path()),
        write: |config| config.tls.as_ref().map(|tls| quote(tls.key.display())),
    },
    Setting {
        path: "limits.inspect_bytes",
        read: |raw, config| {
            config.proxy.inspect_bytes = raw.size()?;
            config.observe.inspect_bytes = config.proxy.inspect_bytes;
            Ok(())
        },
        write: |config| Some(quote(write_size(config.proxy.inspect_bytes))),
    },
    Setting {
        path: "limits.label_values",
        read: |raw, config| set(&mut config.telemetry.label_values, raw.count()),
        write: |config| Some(config.telemetry.label_values.to_string()),
    },
    Setting {
        path: "usage.inject",
        read: |raw, config| set(&mut config.proxy.inject_usage, raw.boolean()),
        write: |config| Some(config.proxy.inject_usage.to_string()),
    },
    Setting {
        path: "shutdown.drain",
        read: |raw, config| set(&mut config.drain, raw.duration()),
        write: |config| Some(quote(write_duration(config.drain))),
    },
    Setting {
        path: "telemetry.vocabulary",
        read: |raw, config| {
            let known: Vec<_> = semconv::names().collect();
            set(&mut config.telemetry.vocabularies, raw.words(&known))
        },
        write: |config| Some(write_list(&config.telemetry.vocabularies)),
    },
    Setting {
        path: "telemetry.propagate",
        read: |raw, config| set(&mut config.telemetry.propagate, raw.boolean()),
        write: |config| Some(config.telemetry.propagate.to_string()),
    },
    Setting {
        path: "telemetry.error_window",
        read: |raw, config| set(&mut config.telemetry.error_window, raw.span()),
        write: |config| Some(quote(write_duration(config.telemetry.error_window))),
    },
    Setting {
        path: "telemetry.estimate_tokens",
        read: |raw, config| set(&mut config.observe.estimate_tokens, raw.boolean()),
        write: |config| Some(config.observe.estimate_tokens.to_string()),
    },
    Setting {
        path: "observe.stall_threshold",
        read: |raw, config| set(&mut config.observe.stall_threshold, raw.span()),
        write: |config| Some(quote(write_duration(config.observe.stall_threshold))),
    },
    Setting {
        path: "observe.queue_bytes",
        read: |raw, config| set(&mut config.observe.queue_bytes, raw.size()),
        write: |config| Some(quote(write_size(config.observe.queue_bytes))),
    },
    Setting {
        path: "log.format",
        read: |raw, config| set(&mut config.log.format, raw.word(FORMATS)),
        write: |config| word(FORMATS, config.log.format),
    },
    Setting {
        path: "log.level",
        read: |raw, config| set(&mut config.log.level, raw.word(LEVELS)),
        write: |config| word(LEVELS, config.log.level),
    },
];

/// Writes a value as the word it was read from.
pub(super) fn word<T: PartialEq>(words: &[(&str, T)], value: T) -> Option<String> {
    words
        .iter()
        .find(|(_, known)| *known == value)
        .map(|(word, _)| quote(word))
}

/// The environment variable that speaks for a key: `STREAMGAUGE_`, then the path in upper case with `_` for `.`.
pub(super) fn variable(path: &str) -> String {
    format!("STREAMGAUGE_{}", path.to_uppercase().replace('.', "_"))
}
