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

mod document;
mod goals;
mod open_loop;
mod peers;
mod picture;
mod relay;
mod report;
mod run;
mod series;
#[path = "../support/mod.rs"]
mod support;
mod watch;
mod work;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use peers::{MEASURED, PEERS, Peer, Running, Site};
use report::Report;
use run::Run;
use support::otlp::Receiver;
use support::pacer::Command;
use support::process::free_address;
use support::upstream::{CHUNKS_PER_WRITE, Upstream};
use work::{Case, Extent, Figures, Work};

/// Compares what peers cost for the same work.
#[derive(Parser)]
struct Options {
    /// One short round: enough to see that all works, too little to quote.
    #[arg(long)]
    quick: bool,
    /// Only these works.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Work>,
    /// Only the works that a goal is set for.
    #[arg(long, conflicts_with = "only")]
    goals: bool,
    /// Only these peers; else all that are installed.
    #[arg(long, value_delimiter = ',')]
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

    fn cases(&self) -> Vec<Case> {
        let works = match self.only.as_slice() {
            [] if self.goals => &goals::WORKS,
            [] => Work::value_variants(),
            only => only,
        };
        let extent = self.extent();
        works.iter().flat_map(|work| work.cases(&extent)).collect()
    }

    fn peers(&self) -> Result<Vec<&'static dyn Peer>, String> {
        if self.peers.is_empty() {
            return Ok(PEERS
                .into_iter()
                .filter(|peer| peer.is_installed())
                .collect());
        }
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
    if let [listen, upstream] = options.relay[..] {
        relay::serve(listen, upstream)?;
    }
    if let (Some(from), Some(svg)) = (&options.from, &options.svg) {
        let document = serde_json::from_str(&fs::read_to_string(from)?)?;
        fs::write(svg, picture::of(&document))?;
        return Ok(ExitCode::SUCCESS);
    }
    let peers = options.peers()?;
    let rounds = if options.quick { 1 } else { options.rounds };
    let bench = Bench::new(options.extent(), options.chunks_per_write)?;
    let (report, failed) = bench.rounds(&peers, &options.cases(), rounds);
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

/// What has failed, by peer and case.
type Failed = BTreeMap<(&'static str, Case), String>;

/// What all runs have in common.
struct Bench {
    runtime: tokio::runtime::Runtime,
    upstream: Upstream,
    collector: Receiver,
    folder: PathBuf,
    extent: Extent,
}

impl Bench {
    fn new(extent: Extent, chunks_per_write: u64) -> io::Result<Self> {
        raise_file_limit();
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            upstream: Upstream::start(chunks_per_write)?,
            collector: Receiver::start()?,
            folder: std::env::temp_dir().join(format!("streamgauge-load-{}", process::id())),
            extent,
        })
    }

    /// Every case with every peer, round by round; a peer that fails a case is left out of it from there on.
    fn rounds(
        &self,
        peers: &[&'static dyn Peer],
        cases: &[Case],
        rounds: usize,
    ) -> (Report, Failed) {
        let mut report = Report::new(peers.iter().map(|peer| peer.name()).collect());
        let mut failed = Failed::new();
        for round in 0..rounds {
            for case in cases {
                eprintln!("round {} of {rounds}: {case:?}", round + 1);
                // Each peer is first in turn, so that none always finds the machine as another left it.
                for turn in 0..peers.len() {
                    let place = (round + turn) % peers.len();
                    let peer = peers[place];
                    if failed.contains_key(&(peer.name(), *case)) {
                        continue;
                    }
                    match self.run(peer, *case) {
                        Ok(figures) => report.add(place, figures),
                        Err(error) => {
                            let failure = format!("{} failed at {case:?}: {error}", peer.name());
                            eprintln!("{failure}");
                            failed.insert((peer.name(), *case), failure);
                        }
                    }
                }
            }
        }
        report.finish();
        (report, failed)
    }

    /// One case with a freshly started peer.
    fn run(&self, peer: &dyn Peer, case: Case) -> io::Result<Figures> {
        let site = Site {
            upstream: self.upstream.address,
            collector: self.collector.address,
            admin: free_address()?,
            folder: self.folder.join(peer.name()),
            cores: case.cores,
            many_series: case.work == Work::Series,
        };
        let running = Running::start(peer, &site)?;
        let before = self.collector.received().0;
        let run = Run {
            peer: &running,
            pacer: &self.upstream.pacer,
            extent: &self.extent,
            calls: Cell::new(0),
        };
        let figures = self.runtime.block_on(run.figures(case));
        // Streams of a run that has failed are no concern of the next one.
        drop(self.upstream.pacer.send(Command::End));
        let mut figures = figures?;
        let calls = run.calls.get();
        // An exporter pushes what it still has when its process ends.
        drop(running);
        let spans = self.collector.received().0 - before;
        if case.work == Work::Unary && spans > 0 {
            figures.push((
                "spans received per unary request".to_owned(),
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

/// Both ends of 5,000 streams are open files of this process, and those of a proxy inherit its limit. Where it cannot be
/// raised, the work that needs it says so.
fn raise_file_limit() {
    drop(
        process::Command::new("prlimit")
            .args(["--pid", &process::id().to_string(), "--nofile=20000:"])
            .stderr(process::Stdio::null())
            .status(),
    );
}
