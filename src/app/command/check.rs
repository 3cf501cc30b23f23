//! `check`: whether a configuration is right, what it comes to, and whither telemetry goes.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::bail;

use super::probe::probe;
use crate::admin::Access;
use crate::app::attribution::OwnFolder;
use crate::app::{attribution, gauge, prompts};
use crate::cli::CheckArgs;
use crate::config::{self, Config, Environment, Flags, Loaded};
use crate::disk::EXPECTED_FOLDER;
use crate::otel::{NotPushed, Otlp};
use crate::otlp::{Signal, hint_of_endpoint};
use crate::sink::costs;

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
    let mut odd = try_kept(&config, &mut told)?;
    if let Some(why) = gauge::joins_nothing(&config, &settings) {
        let joined = "calls are not joined to one trace (conversations.traces)";
        writeln!(told, "warning: {joined}: {why}")?;
        odd += 1;
    }
    odd += try_costs(&config, &mut told)?;
    if let Some(warning) = Access::of(&config.admin_config, config.admin).warning() {
        writeln!(told, "warning: admin = {}: {warning}", config.admin)?;
        odd += 1;
    }
    if args.probe {
        // What is wrong with an endpoint is then told with what answers there.
        odd += probe(config.proxy.upstreams, &settings, has_events)?;
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

/// Tries where something is to be kept, and leaves nothing there: folders, the secret that may be in one, and the settings of a
/// bucket. Warns of a folder that another process has, and says how many warnings that were.
///
/// # Errors
/// Each that cannot be made or written to, a secret that cannot be read, and wrong settings: the proxy would not start.
fn try_kept(config: &Config, told: &mut impl io::Write) -> anyhow::Result<usize> {
    let taken = OwnFolder::is_taken(config);
    let taken_wrong = taken.as_ref().err();
    let taken_wrong = taken_wrong.map(|error| format!("{error:#}; {EXPECTED_FOLDER}"));
    let others = [
        prompts::try_store(config).err(),
        attribution::try_secret(config).err(),
    ];
    let others = others
        .into_iter()
        .flatten()
        .map(|error| format!("{error:#}"));
    let wrong: Vec<String> = taken_wrong.into_iter().chain(others).collect();
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let is_taken = taken?;
    if is_taken {
        let folder = config.folder.as_deref().unwrap_or(Path::new("")).display();
        writeln!(
            told,
            "warning: state.folder = {folder}: another process uses it: a second one keeps neither costs nor the history there; stop \
             that one first, or give each its own folder"
        )?;
    }
    Ok(is_taken.into())
}

/// Reads the sums of costs that are kept, and warns where they cannot be read. Says how many warnings that were.
fn try_costs(config: &Config, told: &mut impl io::Write) -> io::Result<usize> {
    let folder = config.folder.as_deref();
    let Some((file, error)) = folder.and_then(costs::unreadable) else {
        return Ok(0);
    };
    writeln!(
        told,
        "warning: {}: the sums of costs cannot be read ({error}): at the start the file is renamed, and they begin anew; repair it, \
         or have this user read it, to keep them",
        file.display()
    )?;
    Ok(1)
}

/// Where a signal goes and how, or why nowhere.
fn whither(pushed: &Result<Otlp, NotPushed>) -> String {
    match pushed {
        Ok(otlp) => format!("{} ({})", otlp.shown_endpoint(), otlp.protocol),
        Err(why) => format!("not pushed: {why}"),
    }
}
