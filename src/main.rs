//! The `streamgauge` program: flags in, exit status out.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use streamgauge::cli::{Cli, Command, DemoArgs, ExplainArgs, ServeArgs, SimulateArgs, SourceArgs};
use streamgauge::config::{self, Environment, Flags};
use streamgauge::simulate::{self, Simulator};
use streamgauge::{app, demo, explain, log, proxy, semconv};
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
        Command::Explain(args) => explain(&args),
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

fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let config = config::load(&Flags::from(args), &Environment::of_process())?;
    let names = match args.vocabulary.as_slice() {
        [] => &config.telemetry.vocabularies,
        named => named,
    };
    let options = explain::Options {
        vocabularies: names
            .iter()
            .filter_map(|name| semconv::named(name))
            .collect(),
        path: args.path.clone(),
        upstreams: config.proxy.upstreams,
        inject_usage: config.proxy.inject_usage,
        observe: config.observe,
    };
    let file = args.capture.display();
    let capture = read_capture(&args.capture).with_context(|| file.to_string())?;
    let explanations = explain::explain(&capture, &options)
        .map_err(|unreadable| anyhow::anyhow!("{file}:{unreadable}"))?;
    let text = if args.json {
        format!("{:#}\n", explain::to_json(&explanations))
    } else {
        let texts: Vec<String> = explanations.iter().map(ToString::to_string).collect();
        texts.join("\n")
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// One byte more than may be read shows that there is too much.
fn read_capture(path: &Path) -> io::Result<Vec<u8>> {
    let most = explain::CAPTURE_BYTES_MAX as u64 + 1;
    let mut capture = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut capture)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut capture)?;
    }
    Ok(capture)
}

fn check(sources: &SourceArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let config = config::load(&sources.into(), &environment)?;
    app::exports(&environment)?;
    io::stdout().write_all(config.to_toml().as_bytes())?;
    writeln!(io::stderr(), "ok")?;
    Ok(())
}
