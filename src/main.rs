//! The `streamgauge` program: flags in, exit status out.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use streamgauge::cli::{Cli, Command, DemoArgs, ServeArgs, SimulateArgs, SourceArgs};
use streamgauge::config::{self, Environment, Flags};
use streamgauge::simulate::{self, Simulator};
use streamgauge::{app, demo, log, proxy};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tracing::level_filters::LevelFilter;

/// A request and its telemetry allocate some hundred times, mostly on one thread to be freed on another. With the
/// system's allocator a request costs a fifth more, a chunk a sixth.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve(&args),
        Command::Demo(args) => demo(&args),
        Command::Simulate(args) => simulate(&args),
        Command::Check(args) => check(&args.sources),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody left to tell; the status still speaks.
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let config = config::load(&Flags::from(&args.sources), &environment)?;
    log::start(config.log)?;
    // Connections are served on threads of their own.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    run(runtime, app::serve(config, &environment))
}

/// Runs to the end, and then waits for no thread: an exporter that hangs must not hold up the end of the process.
fn run(runtime: Runtime, task: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let outcome = runtime.block_on(task);
    runtime.shutdown_background();
    outcome
}

fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let mut config = config::load(&Flags::from(args), &environment)?;
    log::start(log::Config {
        level: config.log.level.min(LevelFilter::WARN),
        ..config.log
    })?;
    run(Runtime::new()?, async {
        let mut out = io::stdout();
        let mut signals = app::Signals::listen()?;
        let upstream = Simulator::new(simulate::Config::default()).start().await?;
        config.listen = demo::free_address(config.listen, &mut out)?;
        config.admin = demo::free_address(config.admin, &mut out)?;
        config.proxy = proxy::config::Config {
            upstreams: vec![proxy::config::Upstream::new(
                "simulated",
                upstream.base_url().parse()?,
            )],
            ..config.proxy
        };
        let running = app::start(config, &environment).await?;
        let site = demo::Site {
            proxy: running.proxy,
            admin: running.admin,
            live: Arc::clone(&running.live),
        };
        match demo::run(&site, args.duration, signals.next(), &mut out).await {
            // Whoever read the output has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            outcome => outcome?,
        }
        running.shutdown(signals.next()).await
    })
}

fn simulate(args: &SimulateArgs) -> anyhow::Result<()> {
    run(Runtime::new()?, async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("--listen {}: cannot listen there", args.listen))?;
        let mut signals = app::Signals::listen()?;
        writeln!(
            io::stdout(),
            "simulated upstream: http://{}/v1",
            listener.local_addr()?
        )?;
        let simulator = Simulator::new(simulate::Config::default());
        simulator.serve(listener, signals.next()).await;
        Ok(())
    })
}

fn check(sources: &SourceArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let config = config::load(&sources.into(), &environment)?;
    app::exports(&environment)?;
    io::stdout().write_all(config.to_toml().as_bytes())?;
    writeln!(io::stderr(), "ok")?;
    Ok(())
}
