//! `demo`: the proxy, a simulated upstream and sample traffic in one process.

use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tracing::level_filters::LevelFilter;

use super::block_on;
use super::signals::Signals;
use crate::app;
use crate::cli::DemoArgs;
use crate::config::{Environment, Flags};
use crate::demo::{self, Site};
use crate::log::{self, LogConfig};
use crate::prices::Catalogue;
use crate::proxy::ProxyConfig;
use crate::simulate::{Simulator, SimulatorConfig};
use crate::upstream::UpstreamConfig;

/// What the simulated models cost, unless there is a file of prices.
const PRICES: &str = include_str!("../../demo/prices.toml");

pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let mut config = super::load(&Flags::from(args), &environment)?.config;
    if config.pipeline.prices.file.is_none() {
        config.pipeline.prices.own = Catalogue::bundled().read_own(PRICES)?.into();
    }
    log::start(LogConfig {
        // Some of the sample traffic fails, which is no news.
        level: config.log.level.min(LevelFilter::ERROR),
        ..config.log
    })?;
    let is_chosen =
        |flag: Option<&String>, variable| flag.is_some() || environment.get(variable).is_some();
    block_on(Runtime::new()?, async {
        let mut out = io::stdout();
        let mut signals = Signals::listen()?;
        let upstream = Simulator::new(SimulatorConfig::default()).start().await?;
        // Whoever has said where means it; the usual places are as good as any other.
        if !is_chosen(args.listen.as_ref(), "STREAMGAUGE_LISTEN") {
            config.listen = demo::free_address(config.listen, &mut out)?;
        }
        if !is_chosen(args.admin.as_ref(), "STREAMGAUGE_ADMIN") {
            config.admin = demo::free_address(config.admin, &mut out)?;
        }
        config.proxy = ProxyConfig {
            upstreams: vec![UpstreamConfig::new(
                "simulated",
                upstream.base_url().parse()?,
            )],
            ..config.proxy
        };
        let running = app::start(config, &environment).await?;
        let site = Site {
            proxy: app::to_open(running.proxy),
            admin: app::to_open(running.admin),
            live: Arc::clone(&running.gauge.live),
            counters: Arc::clone(&running.gauge.counters),
        };
        match demo::run(&site, args.duration, signals.next(), &mut out).await {
            // Whoever read the output has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            outcome => outcome?,
        }
        running.shutdown(signals.next()).await
    })
}
