//! `check`: whether a configuration is right, what it comes to, and whither telemetry goes.

use std::io::{self, Write as _};

use super::probe::probe;
use crate::app::gauge;
use crate::cli::CheckArgs;
use crate::config::{self, Environment, Flags, Loaded};
use crate::otel::{NotPushed, Otlp};
use crate::otlp::{Signal, hint_of_endpoint};

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let flags = Flags::from(&args.sources);
    let Loaded { config, warnings } = config::load(&flags, &environment)?;
    let mut told = io::stderr();
    let settings = gauge::settings(&environment)?;
    let warnings = warnings.iter().map(ToString::to_string);
    for warning in warnings.chain(settings.warnings.iter().map(ToString::to_string)) {
        writeln!(told, "warning: {warning}")?;
    }
    if gauge::is_sampled_twice(&config, &settings) {
        let both = "OTEL_TRACES_SAMPLER and sampling.share both keep a share: the shares multiply, and failed calls may be lost";
        writeln!(told, "warning: {both}")?;
    }
    io::stdout().write_all(config.to_toml().as_bytes())?;
    let (traces, metrics) = (&settings.traces, &settings.metrics);
    writeln!(told, "traces: {}", whither(traces))?;
    writeln!(
        told,
        "metrics: {}; /metrics at {}",
        whither(metrics),
        config.admin
    )?;
    let has_events = config.observe.content.has_events();
    if has_events {
        writeln!(told, "logs: {}", whither(&settings.logs))?;
    }
    let mut odd = 0;
    if args.probe {
        // What is wrong with an endpoint is then told with what answers there.
        odd = probe(config.proxy.upstreams, &settings, has_events)?;
    } else {
        let signals = [
            (Signal::Traces, traces),
            (Signal::Metrics, metrics),
            (Signal::Logs, &settings.logs),
        ];
        let used = signals.len() - usize::from(!has_events);
        for (signal, pushed) in signals.into_iter().take(used) {
            let hint = pushed.as_ref().ok();
            if let Some(hint) = hint.and_then(|otlp| hint_of_endpoint(otlp, signal)) {
                writeln!(told, "warning: {}: {hint}", signal.name())?;
            }
        }
    }
    match odd {
        0 => writeln!(told, "ok")?,
        1 => writeln!(told, "ok, but for the warning above")?,
        odd => writeln!(told, "ok, but for the {odd} warnings above")?,
    }
    Ok(())
}

/// Where a signal goes and how, or why nowhere.
fn whither(pushed: &Result<Otlp, NotPushed>) -> String {
    match pushed {
        Ok(otlp) => format!("{} ({})", otlp.shown_endpoint(), otlp.protocol),
        Err(why) => format!("not pushed: {why}"),
    }
}
