//! `check`: whether a configuration is right, what it comes to, and whither telemetry goes.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::iter;
use std::path::Path;

use anyhow::bail;

use super::probe::probe;
use crate::admin::Access;
use crate::app::attribution::OwnFolder;
use crate::app::{attribution, gauge, prompts};
use crate::cli::CheckArgs;
use crate::config::{Config, Environment, Flags, Loaded};
use crate::disk::EXPECTED_FOLDER;
use crate::otel::{NotPushed, Otlp};
use crate::otlp::{Signal, hint_of_endpoint};
use crate::serve;
use crate::sink::costs;

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let flags = Flags::from(&args.sources);
    let Loaded { config, warnings } = super::load(&flags, &environment)?;
    let mut told = Told::default();
    let settings = match gauge::settings(&environment) {
        Ok(settings) => settings,
        Err(error) => {
            // What comes later is wrong all the same.
            let kept = try_kept(&config, &mut told).err();
            let wrong = iter::once(error).chain(kept);
            let wrong: Vec<String> = wrong.map(|error| format!("{error:#}")).collect();
            bail!("{}", wrong.join("\n"));
        }
    };
    for warning in &warnings {
        told.warn(warning)?;
    }
    for warning in &settings.warnings {
        told.warn(warning)?;
    }
    if gauge::is_sampled_twice(&config, &settings) {
        told.warn(&"OTEL_TRACES_SAMPLER and sampling.share both keep a share: the shares multiply, and failed calls may be lost")?;
    }
    io::stdout().write_all(config.to_toml().as_bytes())?;
    let (traces, metrics) = (&settings.traces, &settings.metrics);
    told.line(&format_args!("traces: {}", whither(traces)))?;
    let metrics_to = whither(metrics);
    told.line(&format_args!(
        "metrics: {metrics_to}; /metrics at {}",
        config.admin
    ))?;
    let has_events = config.observe.content.has_events();
    if has_events {
        told.line(&format_args!("logs: {}", whither(&settings.logs)))?;
    }
    try_kept(&config, &mut told)?;
    if let Some(why) = gauge::joins_nothing(&config, &settings) {
        let joined = "calls are not joined to one trace (conversations.traces)";
        told.warn(&format_args!("{joined}: {why}"))?;
    }
    try_costs(&config, &mut told)?;
    if let Some(warning) = Access::of(&config.admin_config, config.admin).warning() {
        told.warn(&format_args!("admin = {}: {warning}", config.admin))?;
    }
    if args.probe {
        // What is wrong with an endpoint is then told with what answers there.
        told.warnings += probe(config.proxy.upstreams, &settings, has_events)?;
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
                told.warn(&format_args!("{}: {hint}", signal.name()))?;
            }
        }
    }
    match told.warnings {
        0 => told.line(&"ok")?,
        1 => told.line(&"ok, but for the warning above")?,
        all => told.line(&format_args!("ok, but for the {all} warnings above"))?,
    }
    Ok(())
}

/// What is told on standard error, and how many warnings are among it.
#[derive(Default)]
struct Told {
    warnings: usize,
}

impl Told {
    fn line(&mut self, line: &dyn Display) -> io::Result<()> {
        writeln!(io::stderr(), "{line}")
    }

    fn warn(&mut self, warning: &dyn Display) -> io::Result<()> {
        self.warnings += 1;
        self.line(&format_args!("warning: {warning}"))
    }
}

/// Tries where something is to be kept, and leaves nothing there: folders, the secret that may be in one, and the settings of a
/// bucket; and reads what clients by TLS are shown. Warns of a folder that another process has.
///
/// # Errors
/// Each that cannot be made or written to, a secret or a certificate that cannot be read, and wrong settings: the proxy would not
/// start.
fn try_kept(config: &Config, told: &mut Told) -> anyhow::Result<()> {
    let taken = OwnFolder::is_taken(config);
    let taken_wrong = taken.as_ref().err();
    let taken_wrong = taken_wrong.map(|error| format!("{error:#}; {EXPECTED_FOLDER}"));
    let others = [
        prompts::try_store(config).err(),
        attribution::try_secret(config).err(),
        try_certificate(config).err(),
    ];
    let others = others
        .into_iter()
        .flatten()
        .map(|error| format!("{error:#}"));
    let wrong: Vec<String> = taken_wrong.into_iter().chain(others).collect();
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    if taken? {
        let folder = config.folder.as_deref().unwrap_or(Path::new("")).display();
        told.warn(&format_args!(
            "state.folder = {folder}: another process uses it: a second one keeps neither costs nor the history there; stop \
             that one first, or give each its own folder"
        ))?;
    }
    Ok(())
}

fn try_certificate(config: &Config) -> anyhow::Result<()> {
    let files = config.tls.clone();
    files.map(serve::Certificate::of).transpose()?;
    Ok(())
}

/// Reads the sums of costs that are kept, and warns where they cannot be read.
fn try_costs(config: &Config, told: &mut Told) -> io::Result<()> {
    let folder = config.folder.as_deref();
    let Some((file, error)) = folder.and_then(costs::unreadable) else {
        return Ok(());
    };
    told.warn(&format_args!(
        "{}: the sums of costs cannot be read ({error}): at the start the file is renamed, and they begin anew; repair it, or have \
         this user read it, to keep them",
        file.display()
    ))
}

/// Where a signal goes and how, or why nowhere.
fn whither(pushed: &Result<Otlp, NotPushed>) -> String {
    match pushed {
        Ok(otlp) => format!("{} ({})", otlp.shown_endpoint(), otlp.protocol),
        Err(why) => format!("not pushed: {why}"),
    }
}
