//! The commands of the program: each puts together the rooms that it takes, runs them to the end, and prints what they say.

mod check;
mod cost;
mod demo;
mod explain;
mod healthcheck;
mod probe;
mod prompt;
mod redact;
mod signals;
mod texts;
mod top;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

use crate::app::gauge;
use crate::cli::{Command, ServeArgs, SimulateArgs};
use crate::config::{self, Environment, Flags, Loaded};
use crate::log;
use crate::semconv::own;
use crate::simulate::{Simulator, SimulatorConfig};

use signals::Signals;

/// Longest time for the last lines of the log to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Does what the command line says, and says why it failed.
///
/// # Errors
/// When a value is wrong, an address is taken, a file cannot be read or written, or streams were cut off at the end.
pub fn run(command: &Command) -> anyhow::Result<()> {
    let outcome = match command {
        Command::Serve(args) => serve(args),
        Command::Demo(args) => demo::demo(args),
        Command::Simulate(args) => simulate(args),
        Command::Explain(args) => explain::explain(args),
        Command::Cost(args) => cost::cost(args),
        Command::Redact(args) => redact::redact(args),
        Command::Prompt(args) => prompt::prompt(args),
        Command::Check(args) => check::check(args),
        Command::Healthcheck(args) => healthcheck::healthcheck(args),
        Command::Top(args) => top::top(args),
        Command::Completions(args) => texts::completions(args),
        Command::Man(args) => texts::man(args),
    };
    if let Err(error) = &outcome {
        log::failed(&format!("{error:#}"));
    }
    log::end(LAST_WORDS);
    outcome
}

/// Reads the configuration, and where it is wrong the `OTEL_*` variables too, so that all that is wrong is told at once.
fn load(flags: &Flags, environment: &Environment) -> anyhow::Result<Loaded> {
    let invalid = match config::load(flags, environment) {
        Ok(loaded) => return Ok(loaded),
        Err(invalid) => invalid.to_string(),
    };
    let settings = gauge::settings(environment).err();
    let settings = settings.map(|error| error.to_string()).unwrap_or_default();
    // The variables of a forward proxy are read by both.
    let is_told = |line: &&str| {
        let variable = line.split(' ').next().unwrap_or_default();
        let told = format!("{variable}:");
        invalid.lines().any(|line| line.starts_with(&told))
    };
    let further = settings.lines().filter(|line| !is_told(line));
    let all: Vec<&str> = invalid.lines().chain(further).collect();
    anyhow::bail!("{}", all.join("\n"))
}

/// Serves until the first SIGTERM or SIGINT, then drains; a second one ends it at once.
fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let Loaded { config, warnings } = load(&Flags::from(&args.sources), &environment)?;
    log::start(config.log)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    // Connections are served on threads of their own.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    block_on(runtime, async {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let running = super::start(config, &environment).await?;
        let (gauge, certificate) = (&running.gauge, running.certificate.clone());
        let prices = gauge.prices.clone();
        signals.renew(Arc::clone(&gauge.proxy), certificate, prices);
        let metrics = &running.gauge.metrics;
        metrics.observe(&own::TELEMETRY_DROPPED, &[(own::KIND, "log")], log::dropped);
        signals.next().await;
        running.shutdown(signals.next()).await
    })
}

/// Runs to the end, and then waits for no thread: an exporter that hangs must not hold up the end of the process.
fn block_on<T>(
    runtime: Runtime,
    task: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let outcome = runtime.block_on(task);
    runtime.shutdown_background();
    outcome
}

fn simulate(args: &SimulateArgs) -> anyhow::Result<()> {
    block_on(Runtime::new()?, async {
        let listener = TcpListener::bind(args.listen).await;
        let given = format!("--listen {}", args.listen);
        let listener =
            listener.map_err(|error| super::cannot_listen(&given, &error, "--listen"))?;
        let mut signals = Signals::listen()?;
        writeln!(
            io::stdout(),
            "simulated upstream: http://{}/v1",
            super::to_open(listener.local_addr()?)
        )?;
        let simulator = Simulator::new(SimulatorConfig::default());
        simulator.serve(listener, signals.next()).await;
        Ok(())
    })
}
