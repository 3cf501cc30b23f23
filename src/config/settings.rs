//! Every key outside `[[upstream]]` and `[[route]]`: one row each, the only place that spells it.
//!
//! Loader, environment and [`Config::to_toml`] all follow these rows, in this order; keys of one table stand together.

use std::sync::Arc;

use tracing::level_filters::LevelFilter;

use super::Config;
use super::document::Setting;
use super::units::{write_duration, write_size};
use super::value::{Raw, set};
use super::write::{quote, word, write_content, write_limit, write_list};
use crate::allow::{Hosts, Patterns};
use crate::log::{AccessLines, LogFormat};
use crate::memory::Memory;
use crate::otel::{Buckets, Spans, ToolSpans};
use crate::pipeline::{ErrorMessages, EstimateTokens, OfParent, Traces};
use crate::proxy::trace_context::BodyContext;
use crate::redact::Detector;
use crate::semconv;

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

const LEVELS: &[(&str, LevelFilter)] = &[
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

const ACCESS: &[(&str, AccessLines)] = &[
    ("off", AccessLines::Off),
    ("errors", AccessLines::Errors),
    ("all", AccessLines::All),
];

const ESTIMATES: &[(&str, EstimateTokens)] = &[
    ("own", EstimateTokens::Own),
    ("standard", EstimateTokens::Standard),
    ("off", EstimateTokens::Off),
];

const ERROR_MESSAGES: &[(&str, ErrorMessages)] = &[
    ("redacted", ErrorMessages::Redacted),
    ("off", ErrorMessages::Off),
];

const BODY_CONTEXTS: &[(&str, BodyContext)] = &[
    ("off", BodyContext::Off),
    ("held", BodyContext::Held),
    ("all", BodyContext::All),
];

const SPANS: &[(&str, Spans)] = &[
    ("server+client", Spans::ServerAndClient),
    ("client", Spans::Client),
];

const HISTOGRAMS: &[(&str, Buckets)] = &[
    ("explicit", Buckets::Explicit),
    ("exponential", Buckets::Exponential),
];

const PARENTS: &[(&str, OfParent)] =
    &[("respect", OfParent::Respect), ("ignore", OfParent::Ignore)];

const TRACES: &[(&str, Traces)] = &[("linked", Traces::Linked), ("joined", Traces::Joined)];

const TOOLS: &[(&str, ToolSpans)] = &[
    ("tool_wait", ToolSpans::ToolWait),
    ("execute_tool", ToolSpans::ExecuteTool),
    ("off", ToolSpans::Off),
];

/// Keys that are read apart, by `upstream` and `route`.
pub(super) const APART: &[&str] = &["upstream", "route"];

pub(super) const SETTINGS: &[Setting<Config>] = &[
    Setting {
        path: "prices",
        read: |raw, config| {
            let prices = &mut config.pipeline.prices;
            let (file, own) = raw.prices()?;
            (prices.file, prices.own) = (Some(file), own.into());
            Ok(())
        },
        write: |config| {
            let file = config.pipeline.prices.file.as_ref();
            file.map(|file| quote(file.display()))
        },
    },
    Setting {
        path: "listen",
        read: |raw, config| set(&mut config.listen, raw.address()),
        write: |config| Some(quote(config.listen)),
    },
    Setting {
        path: "admin",
        read: |raw, config| set(&mut config.admin, raw.address()),
        // As `admin.address`: one file cannot have both.
        write: |_| None,
    },
    Setting {
        path: "content",
        read: |raw, config| {
            let content = Arc::make_mut(&mut config.observe.content);
            set(&mut content.default, raw.content())
        },
        write: |config| Some(write_content(config.observe.content.default)),
    },
    Setting {
        path: "admin.address",
        read: |raw, config| set(&mut config.admin, raw.address()),
        write: |config| Some(quote(config.admin)),
    },
    Setting {
        path: "admin.token",
        read: |raw, config| set(&mut config.admin_config.token, raw.token()),
        write: |config| {
            let token = config.admin_config.token.as_ref();
            Some(quote(token.map_or("", |_| "***")))
        },
    },
    Setting {
        path: "admin.open",
        read: |raw, config| set(&mut config.admin_config.open, raw.boolean()),
        write: |config| Some(config.admin_config.open.to_string()),
    },
    Setting {
        path: "admin.open_metrics",
        read: |raw, config| set(&mut config.admin_config.open_metrics, raw.boolean()),
        write: |config| Some(config.admin_config.open_metrics.to_string()),
    },
    Setting {
        path: "admin.trace_url",
        read: |raw, config| set(&mut config.admin_config.trace_url, raw.trace_url()),
        write: |config| {
            let url = config.admin_config.trace_url.as_deref();
            Some(quote(url.unwrap_or_default()))
        },
    },
    Setting {
        path: "admin.history",
        read: |raw, config| set(&mut config.admin_config.history.exchanges, raw.count()),
        write: |config| Some(config.admin_config.history.exchanges.to_string()),
    },
    Setting {
        path: "admin.history_bytes",
        read: |raw, config| set(&mut config.admin_config.history.bytes, raw.positive_size()),
        write: |config| Some(quote(write_size(config.admin_config.history.bytes))),
    },
    Setting {
        path: "admin.keep",
        read: |raw, config| set(&mut config.admin_config.kept.age, raw.limit()),
        write: |config| Some(write_limit(config.admin_config.kept.age)),
    },
    Setting {
        path: "admin.keep_bytes",
        read: |raw, config| {
            let bytes = raw.positive_size()?;
            config.admin_config.kept.bytes = bytes as u64;
            Ok(())
        },
        write: |config| {
            let bytes = usize::try_from(config.admin_config.kept.bytes);
            Some(quote(write_size(bytes.unwrap_or(usize::MAX))))
        },
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
        path: "allow.origins",
        read: |raw, config| set(&mut config.proxy.allowed_origins, raw.origins()),
        write: |config| Some(write_list(config.proxy.allowed_origins.iter())),
    },
    Setting {
        path: "allow.hosts",
        read: |raw, config| {
            let hosts = raw.hosts()?;
            config.proxy.allowed_hosts = match hosts.is_empty() {
                true => Hosts::Any,
                false => Hosts::Named(hosts),
            };
            Ok(())
        },
        write: |config| Some(write_hosts(&config.proxy.allowed_hosts)),
    },
    Setting {
        path: "allow.admin_hosts",
        read: |raw, config| set(&mut config.admin_hosts, raw.hosts().map(Hosts::NamedOrOwn)),
        write: |config| Some(write_hosts(&config.admin_hosts)),
    },
    Setting {
        path: "limits.inspect_bytes",
        read: |raw, config| {
            config.proxy.inspect_bytes = raw.positive_size()?;
            config.observe.inspect_bytes = config.proxy.inspect_bytes;
            Ok(())
        },
        write: |config| Some(quote(write_size(config.proxy.inspect_bytes))),
    },
    Setting {
        path: "limits.memory",
        read: |raw, config| {
            let memory = Memory::new(raw.positive_size()?);
            config.observe.memory = memory.clone();
            config.pipeline.memory = memory.clone();
            config.proxy.memory = memory;
            Ok(())
        },
        write: |config| Some(quote(write_size(config.proxy.memory.most()))),
    },
    Setting {
        path: "limits.client_idle",
        read: |raw, config| set(&mut config.client_idle, raw.limit()),
        write: |config| Some(write_limit(config.client_idle)),
    },
    Setting {
        path: "limits.client_body",
        read: |raw, config| set(&mut config.proxy.client_body, raw.limit()),
        write: |config| Some(write_limit(config.proxy.client_body)),
    },
    Setting {
        path: "limits.drained_calls",
        read: |raw, config| set(&mut config.proxy.drained_calls, raw.positive_count()),
        write: |config| Some(config.proxy.drained_calls.to_string()),
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
        path: "usage.recheck",
        read: |raw, config| set(&mut config.proxy.recheck_usage, raw.limit()),
        write: |config| Some(write_limit(config.proxy.recheck_usage)),
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
        path: "telemetry.metrics",
        read: |raw, config| {
            let known: Vec<_> = semconv::names_with_metrics().collect();
            set(&mut config.telemetry.metrics, raw.words(&known))
        },
        write: |config| Some(write_list(&config.telemetry.metrics)),
    },
    Setting {
        path: "telemetry.histograms",
        read: |raw, config| set(&mut config.telemetry.histograms, raw.word(HISTOGRAMS)),
        write: |config| word(HISTOGRAMS, config.telemetry.histograms),
    },
    Setting {
        path: "telemetry.spans",
        read: |raw, config| set(&mut config.telemetry.spans, raw.word(SPANS)),
        write: |config| word(SPANS, config.telemetry.spans),
    },
    Setting {
        path: "telemetry.propagate",
        read: |raw, config| set(&mut config.telemetry.propagate, raw.boolean()),
        write: |config| Some(config.telemetry.propagate.to_string()),
    },
    Setting {
        path: "telemetry.body_context",
        read: |raw, config| set(&mut config.proxy.body_context, raw.word(BODY_CONTEXTS)),
        write: |config| word(BODY_CONTEXTS, config.proxy.body_context),
    },
    Setting {
        path: "telemetry.attributes",
        read: |raw, config| set(&mut config.observe.annotations, raw.annotations()),
        write: |config| Some(write_list(&config.observe.annotations)),
    },
    Setting {
        path: "telemetry.labels",
        read: |raw, config| set(&mut config.telemetry.labels, raw.labels()),
        write: |config| Some(write_list(&config.telemetry.labels)),
    },
    Setting {
        path: "telemetry.key_fingerprint",
        read: |raw, config| set(&mut config.telemetry.key_fingerprint, raw.boolean()),
        write: |config| Some(config.telemetry.key_fingerprint.to_string()),
    },
    Setting {
        path: "telemetry.key_secret",
        read: |raw, config| set(&mut config.observe.key_secret, raw.key_secret()),
        write: |config| {
            let secret = config.observe.key_secret.as_ref();
            Some(quote(secret.map_or("", |_| "***")))
        },
    },
    Setting {
        path: "telemetry.conversation",
        read: |raw, config| set(&mut config.observe.conversations, raw.sources()),
        write: |config| Some(write_list(&config.observe.conversations)),
    },
    Setting {
        path: "telemetry.prompt_template",
        read: |raw, config| set(&mut config.observe.templates, raw.sources()),
        write: |config| Some(write_list(&config.observe.templates)),
    },
    Setting {
        path: "telemetry.prompt_version",
        read: |raw, config| set(&mut config.observe.template_versions, raw.sources()),
        write: |config| Some(write_list(&config.observe.template_versions)),
    },
    Setting {
        path: "telemetry.prompt_variables",
        read: |raw, config| set(&mut config.observe.template_variables, raw.boolean()),
        write: |config| Some(config.observe.template_variables.to_string()),
    },
    Setting {
        path: "telemetry.error_window",
        read: |raw, config| set(&mut config.telemetry.error_window, raw.span()),
        write: |config| Some(quote(write_duration(config.telemetry.error_window))),
    },
    Setting {
        path: "telemetry.estimate_tokens",
        read: |raw, config| set(&mut config.pipeline.estimate_tokens, raw.word(ESTIMATES)),
        write: |config| word(ESTIMATES, config.pipeline.estimate_tokens),
    },
    Setting {
        path: "telemetry.check_estimates",
        read: |raw, config| set(&mut config.pipeline.check_estimates, raw.count()),
        write: |config| Some(config.pipeline.check_estimates.to_string()),
    },
    Setting {
        path: "telemetry.content_bytes",
        read: |raw, config| {
            let content = Arc::make_mut(&mut config.observe.content);
            set(&mut content.shown_bytes, raw.positive_size())
        },
        write: |config| Some(quote(write_size(config.observe.content.shown_bytes))),
    },
    Setting {
        path: "telemetry.error_messages",
        read: |raw, config| {
            let redact = &mut config.pipeline.redact;
            set(&mut redact.error_messages, raw.word(ERROR_MESSAGES))
        },
        write: |config| word(ERROR_MESSAGES, config.pipeline.redact.error_messages),
    },
    Setting {
        path: "redact.detectors",
        read: |raw, config| {
            let known = Detector::ALL.map(Detector::name);
            let words = raw.words(&known)?;
            let on = |detector: &Detector| words.iter().any(|word| *word == detector.name());
            config.pipeline.redact.policy.detectors =
                Detector::ALL.into_iter().filter(on).collect();
            Ok(())
        },
        write: |config| {
            let detectors = config.pipeline.redact.policy.detectors.iter();
            Some(write_list(detectors.map(|detector| detector.name())))
        },
    },
    Setting {
        path: "redact.always",
        read: |raw, config| set(&mut config.pipeline.redact.always, raw.boolean()),
        write: |config| Some(config.pipeline.redact.always.to_string()),
    },
    Setting {
        path: "redact.max_bytes",
        read: |raw, config| {
            set(
                &mut config.pipeline.redact.policy.max_bytes,
                raw.positive_size(),
            )
        },
        write: |config| Some(quote(write_size(config.pipeline.redact.policy.max_bytes))),
    },
    Setting {
        path: "redact.patterns.*",
        read: |raw, config| {
            let patterns = &mut config.pipeline.redact.policy.patterns;
            patterns.push(raw.pattern(patterns.len())?);
            Ok(())
        },
        write: |config| {
            let patterns = config.pipeline.redact.policy.patterns.iter();
            let entries: Vec<String> = patterns
                .map(|pattern| format!("{} = {}", pattern.name(), quote(pattern.pattern())))
                .collect();
            (!entries.is_empty()).then(|| format!("{{ {} }}", entries.join(", ")))
        },
    },
    Setting {
        path: "conversations.enabled",
        read: |raw, config| set(&mut config.pipeline.conversations, raw.boolean()),
        write: |config| Some(config.pipeline.conversations.to_string()),
    },
    Setting {
        path: "conversations.traces",
        read: |raw, config| set(&mut config.pipeline.correlate.traces, raw.word(TRACES)),
        write: |config| word(TRACES, config.pipeline.correlate.traces),
    },
    Setting {
        path: "conversations.ttl",
        read: |raw, config| set(&mut config.pipeline.correlate.bounds.ttl, raw.span()),
        write: |config| Some(quote(write_duration(config.pipeline.correlate.bounds.ttl))),
    },
    Setting {
        path: "conversations.turns",
        read: |raw, config| {
            set(
                &mut config.pipeline.correlate.bounds.turns,
                raw.positive_count(),
            )
        },
        write: |config| Some(config.pipeline.correlate.bounds.turns.to_string()),
    },
    Setting {
        path: "conversations.memory",
        read: |raw, config| {
            set(
                &mut config.pipeline.correlate.bounds.bytes,
                raw.positive_size(),
            )
        },
        write: |config| Some(quote(write_size(config.pipeline.correlate.bounds.bytes))),
    },
    Setting {
        path: "conversations.repeated_calls",
        read: |raw, config| {
            let thresholds = &mut config.pipeline.correlate.thresholds;
            set(&mut thresholds.repeated_calls, raw.positive_count())
        },
        write: |config| {
            let thresholds = &config.pipeline.correlate.thresholds;
            Some(thresholds.repeated_calls.to_string())
        },
    },
    Setting {
        path: "conversations.without_progress",
        read: |raw, config| {
            let thresholds = &mut config.pipeline.correlate.thresholds;
            set(&mut thresholds.without_progress, raw.positive_count())
        },
        write: |config| {
            let thresholds = &config.pipeline.correlate.thresholds;
            Some(thresholds.without_progress.to_string())
        },
    },
    Setting {
        path: "conversations.history_bytes",
        read: |raw, config| {
            let thresholds = &mut config.pipeline.correlate.thresholds;
            set(&mut thresholds.history_bytes, raw.positive_size())
        },
        write: |config| {
            let thresholds = &config.pipeline.correlate.thresholds;
            Some(quote(write_size(thresholds.history_bytes)))
        },
    },
    Setting {
        path: "state.redis",
        read: |raw, config| set(&mut config.pipeline.state.redis, raw.redis()),
        write: |config| {
            let redis = config.pipeline.state.redis.as_ref();
            Some(redis.map_or_else(|| quote(""), quote))
        },
    },
    Setting {
        path: "state.timeout",
        read: |raw, config| set(&mut config.pipeline.state.timeout, raw.span()),
        write: |config| Some(quote(write_duration(config.pipeline.state.timeout))),
    },
    Setting {
        path: "state.folder",
        read: |raw, config| set(&mut config.folder, raw.folder()),
        write: |config| {
            let folder = config.folder.as_ref();
            Some(folder.map_or_else(|| quote(""), |folder| quote(folder.display())))
        },
    },
    Setting {
        path: "store.url",
        read: |raw, config| set(&mut config.pipeline.store.location, raw.store()),
        write: |config| {
            let location = config.pipeline.store.location.as_ref();
            Some(location.map_or_else(|| quote(""), quote))
        },
    },
    Setting {
        path: "store.endpoint",
        read: |raw, config| set(&mut config.pipeline.store.endpoint, raw.endpoint()),
        write: |config| {
            let endpoint = config.pipeline.store.endpoint.as_ref();
            Some(endpoint.map_or_else(|| quote(""), quote))
        },
    },
    Setting {
        path: "store.options.*",
        read: |raw, config| {
            config.pipeline.store.options.0.push(raw.cloud_option()?);
            Ok(())
        },
        write: |config| {
            let options = config.pipeline.store.options.0.iter();
            let entries: Vec<String> = options
                .map(|(name, value)| format!("{name} = {}", quote(value)))
                .collect();
            (!entries.is_empty()).then(|| format!("{{ {} }}", entries.join(", ")))
        },
    },
    Setting {
        path: "store.keep",
        read: |raw, config| set(&mut config.pipeline.store.keep, raw.limit()),
        write: |config| Some(write_limit(config.pipeline.store.keep)),
    },
    Setting {
        path: "store.link",
        read: |raw, config| set(&mut config.pipeline.store.link, raw.link()),
        write: |config| {
            let link = config.pipeline.store.link.as_ref();
            Some(link.map_or_else(|| quote(""), quote))
        },
    },
    Setting {
        path: "store.queue_bytes",
        read: |raw, config| set(&mut config.pipeline.store.queue_bytes, raw.positive_size()),
        write: |config| Some(quote(write_size(config.pipeline.store.queue_bytes))),
    },
    Setting {
        path: "store.timeout",
        read: |raw, config| set(&mut config.pipeline.store.timeout, raw.span()),
        write: |config| Some(quote(write_duration(config.pipeline.store.timeout))),
    },
    Setting {
        path: "sampling.share",
        read: |raw, config| set(&mut config.pipeline.sampling.share, raw.share()),
        write: |config| Some(format!("{:?}", config.pipeline.sampling.share)),
    },
    Setting {
        path: "sampling.slow",
        read: |raw, config| set(&mut config.pipeline.sampling.slow, raw.limit()),
        write: |config| Some(write_limit(config.pipeline.sampling.slow)),
    },
    Setting {
        path: "sampling.slow_quantile",
        read: |raw, config| {
            let sampling = &mut config.pipeline.sampling;
            set(&mut sampling.slow_quantile, raw.or_off(Raw::share))
        },
        write: |config| {
            let quantile = config.pipeline.sampling.slow_quantile;
            Some(quantile.map_or_else(|| quote("off"), |share| format!("{share:?}")))
        },
    },
    Setting {
        path: "sampling.expensive_usd",
        read: |raw, config| {
            let sampling = &mut config.pipeline.sampling;
            set(&mut sampling.expensive_usd, raw.or_off(Raw::usd))
        },
        write: |config| {
            let bound = config.pipeline.sampling.expensive_usd;
            Some(bound.map_or_else(|| quote("off"), |usd| usd.to_string()))
        },
    },
    Setting {
        path: "sampling.parent",
        read: |raw, config| set(&mut config.pipeline.sampling.parent, raw.word(PARENTS)),
        write: |config| word(PARENTS, config.pipeline.sampling.parent),
    },
    Setting {
        path: "tools.span",
        read: |raw, config| set(&mut config.telemetry.tools, raw.word(TOOLS)),
        write: |config| word(TOOLS, config.telemetry.tools),
    },
    Setting {
        path: "observe.stall_threshold",
        read: |raw, config| set(&mut config.observe.stall_threshold, raw.span()),
        write: |config| Some(quote(write_duration(config.observe.stall_threshold))),
    },
    Setting {
        path: "observe.queue_bytes",
        read: |raw, config| set(&mut config.observe.queue_bytes, raw.positive_size()),
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
    Setting {
        path: "log.access",
        read: |raw, config| set(&mut config.log.access, raw.word(ACCESS)),
        write: |config| word(ACCESS, config.log.access),
    },
];

fn write_hosts(hosts: &Hosts) -> String {
    match hosts {
        Hosts::Any => write_list(Patterns::default().iter()),
        Hosts::Named(names) | Hosts::NamedOrOwn(names) => write_list(names.iter()),
    }
}

/// The environment variable that speaks for a key: `STREAMGAUGE_`, then the path in upper case with `_` for `.`.
pub(super) fn variable(path: &str) -> String {
    format!("STREAMGAUGE_{}", path.to_uppercase().replace('.', "_"))
}
