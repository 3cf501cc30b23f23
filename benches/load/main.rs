//! The same work direct, through nginx and through streamgauge, in turn, in one run: what does each cost?
//!
//! `cargo bench --bench load -- --help` tells what can be chosen, `benches/README.md` what the figures mean. No figure
//! is asserted: one over budget is printed as such. What a client receives is compared with what was sent, and a peer
//! that fails in that ends with an error.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the tables are what the bench is for"
)]

mod client;
mod otlp;
mod peers;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod work;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use otlp::Receiver;
use peers::{PEERS, Peer, Running, Site};
use report::Report;
use support::upstream::{CHUNKS_PER_WRITE, Upstream};
use work::{Extent, Figures, Run, Work};

/// Compares what peers cost for the same work.
#[derive(Parser)]
struct Options {
    /// One short round: enough to see that all works, too little to quote.
    #[arg(long)]
    quick: bool,
    /// Only these works.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Work>,
    /// Only these peers.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "direct,nginx,streamgauge"
    )]
    peers: Vec<String>,
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
    #[arg(long, default_value_t = 1000)]
    open: usize,
    /// Chunks that the upstream puts into one write where it sends as fast as it can.
    #[arg(long, default_value_t = CHUNKS_PER_WRITE)]
    chunks_per_write: u64,
    /// Also writes every value to this file.
    #[arg(long)]
    json: Option<PathBuf>,
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
            open: self.open,
        }
    }

    fn works(&self) -> Vec<Work> {
        if self.only.is_empty() {
            Work::value_variants().to_vec()
        } else {
            self.only.clone()
        }
    }

    fn peers(&self) -> Result<Vec<&'static dyn Peer>, String> {
        let named = |name: &String| {
            let known = || PEERS.map(Peer::name).join(", ");
            PEERS
                .into_iter()
                .find(|peer| peer.name() == name)
                .ok_or_else(|| format!("no peer is called {name:?}, only {}", known()))
        };
        self.peers.iter().map(named).collect()
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let peers = options.peers()?;
    let rounds = if options.quick { 1 } else { options.rounds };
    let bench = Bench::new(options.extent(), options.chunks_per_write)?;
    let mut report = Report::new(peers.iter().map(|peer| peer.name()).collect());
    let mut failed = BTreeMap::new();
    for round in 0..rounds {
        for work in options.works() {
            eprintln!("round {} of {rounds}: {work:?}", round + 1);
            // Each peer is first in turn, so that none always finds the machine as another left it.
            for turn in 0..peers.len() {
                let peer = (round + turn) % peers.len();
                if failed.contains_key(&peer) {
                    continue;
                }
                match bench.run(peers[peer], work) {
                    Ok(figures) => report.add(peer, figures),
                    Err(error) => {
                        let failure = format!(
                            "{} failed at {work:?}, and is left out from there on: {error}",
                            peers[peer].name()
                        );
                        eprintln!("{failure}");
                        failed.insert(peer, failure);
                    }
                }
            }
        }
    }
    report.finish();
    println!("{}", report.markdown());
    let (spans, metric_exports) = bench.collector.received();
    println!("\nThe OTLP receiver got {spans} spans and {metric_exports} exports of metrics.");
    for failure in failed.values() {
        println!("{failure}");
    }
    if let Some(file) = &options.json {
        let document = document(&report, &bench, rounds);
        fs::write(file, serde_json::to_string_pretty(&document)?)?;
    }
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What all runs have in common.
struct Bench {
    runtime: tokio::runtime::Runtime,
    upstream: Upstream,
    collector: Receiver,
    folder: PathBuf,
    extent: Extent,
    chunks_per_write: u64,
}

impl Bench {
    fn new(extent: Extent, chunks_per_write: u64) -> io::Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            upstream: Upstream::start(chunks_per_write)?,
            collector: Receiver::start()?,
            folder: std::env::temp_dir().join(format!("streamgauge-load-{}", std::process::id())),
            extent,
            chunks_per_write,
        })
    }

    /// One work with a freshly started peer.
    fn run(&self, peer: &dyn Peer, work: Work) -> io::Result<Figures> {
        let site = Site {
            upstream: self.upstream.address,
            collector: self.collector.address,
            folder: self.folder.join(peer.name()),
        };
        let running = Running::start(peer, &site)?;
        let before = self.collector.received().0;
        let run = Run {
            peer: &running,
            pacer: &self.upstream.pacer,
            extent: self.extent,
            calls: Cell::new(0),
        };
        let mut figures = self.runtime.block_on(run.figures(work))?;
        let calls = run.calls.get();
        // An exporter pushes what it still has when its process ends.
        drop(running);
        let spans = self.collector.received().0 - before;
        if work == Work::Unary && spans > 0 {
            figures.push((
                "spans received per unary request",
                spans as f64 / calls as f64,
            ));
        }
        Ok(figures)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What is left of it is in the system's folder for such things.
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The report with what a reader needs to judge it.
fn document(report: &Report, bench: &Bench, rounds: usize) -> Value {
    let seconds = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_secs());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "unix_time": seconds,
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": kernel.trim(),
        "rounds": rounds,
        "seconds": bench.extent.window.as_secs_f64(),
        "paced_streams": bench.extent.streams,
        "chunks_per_write": bench.chunks_per_write,
        "open_streams": bench.extent.open,
        "report": report.json(),
    })
}
