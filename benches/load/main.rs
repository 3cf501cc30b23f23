//! The same work direct, through nginx, through streamgauge and through other proxies, in turn, in one run: what does
//! each cost?
//!
//! `cargo bench --bench load -- --help` tells what can be chosen, `benches/README.md` what the figures mean. No figure
//! is asserted: a goal that is missed is printed as such. What a client receives is compared with what was sent, and a
//! peer that fails in that ends with an error.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the tables are what the bench is for"
)]

mod bench;
mod document;
mod goals;
mod open_loop;
mod peers;
mod picture;
mod report;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod works;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use bench::Bench;
use peers::{MEASURED, PEERS, Peer, relay};
use report::Report;
use support::link::Link;
use support::upstream::CHUNKS_PER_WRITE;
use works::{Extent, WORKS, Work};

/// Compares what peers cost for the same work.
#[derive(Parser)]
struct Options {
    /// One short round: enough to see that all works, too little to quote.
    #[arg(long)]
    quick: bool,
    /// Only these works.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(WORKS.map(Work::name)))]
    only: Vec<String>,
    /// Only the works that a goal is set for.
    #[arg(long, conflicts_with = "only")]
    goals: bool,
    /// Only these peers; else all that are installed.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(PEERS.map(Peer::name)))]
    peers: Vec<String>,
    /// What is spoken on either side of a peer.
    #[arg(long, value_delimiter = ',', default_value = "plain")]
    link: Vec<Link>,
    /// Rounds; each does every work once with every peer.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds measured of each work.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Paced streams.
    #[arg(long, default_value_t = 200)]
    streams: usize,
    /// Open streams whose memory is measured.
    #[arg(long, value_delimiter = ',', default_value = "1000,5000")]
    open: Vec<usize>,
    /// Paced streams whose cost is to grow in proportion.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000,5000")]
    scale: Vec<usize>,
    /// Chunks that the upstream puts into one write where it sends as fast as it can.
    #[arg(long, default_value_t = CHUNKS_PER_WRITE)]
    chunks_per_write: u64,
    /// Also writes every value to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Also draws the goals to this file.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Measures nothing: draws what an earlier run has written by `--json`.
    #[arg(long, requires = "svg")]
    from: Option<PathBuf>,
    /// Measures nothing: passes on bytes between an address to listen on and another, as one of the peers.
    #[arg(long, num_args = 2, hide = true)]
    relay: Vec<SocketAddr>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn extent(&self) -> Extent {
        let (warm_up, window) = if self.quick {
            (0.3, 0.7)
        } else {
            (1.0, self.seconds)
        };
        Extent {
            warm_up: Duration::from_secs_f64(warm_up),
            window: Duration::from_secs_f64(window),
            streams: self.streams,
            open: self.open.clone(),
            scale: self.scale.clone(),
        }
    }

    fn works(&self) -> Vec<&'static dyn Work> {
        match self.only.as_slice() {
            [] if self.goals => goals::works(),
            [] => WORKS.to_vec(),
            only => {
                let named = |name| WORKS.into_iter().find(|work| work.name() == name);
                only.iter().filter_map(named).collect()
            }
        }
    }

    fn peers(&self) -> Vec<&'static dyn Peer> {
        if self.peers.is_empty() {
            let installed = PEERS.into_iter().filter(|peer| peer.is_installed());
            return installed.collect();
        }
        let named = |name| PEERS.into_iter().find(|peer| peer.name() == name);
        self.peers.iter().filter_map(named).collect()
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    if let [listen, upstream] = options.relay[..] {
        relay::serve(listen, upstream)?;
    }
    if let (Some(from), Some(svg)) = (&options.from, &options.svg) {
        let document = serde_json::from_str(&fs::read_to_string(from)?)?;
        fs::write(svg, picture::of(&document))?;
        return Ok(ExitCode::SUCCESS);
    }
    let peers = options.peers();
    let rounds = if options.quick { 1 } else { options.rounds };
    let bench = Bench::new(options.extent(), options.chunks_per_write)?;
    let report = Report::new(
        peers.iter().map(|peer| peer.name()).collect(),
        options.link.clone(),
    );
    let cases = works::cases(&options.works(), &options.link, &bench.extent);
    let (report, failed) = bench.rounds(report, &peers, &cases, rounds);
    println!("{}\n\n{}", goals::markdown(&report), report.markdown());
    let (spans, metric_exports) = bench.collector.received();
    println!("\nThe OTLP receiver got {spans} spans and {metric_exports} exports of metrics.");
    for failure in failed.values() {
        println!("{failure}");
    }
    let chunks_per_write = options.chunks_per_write;
    let document = document::of(&report, &peers, &bench.extent, rounds, chunks_per_write);
    if let Some(file) = &options.json {
        fs::write(file, format!("{document:#}\n"))?;
    }
    if let Some(file) = &options.svg {
        fs::write(file, picture::of(&document))?;
    }
    // What other proxies cannot do is no failure of this one.
    Ok(if failed.keys().any(|(peer, _)| *peer == MEASURED) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
