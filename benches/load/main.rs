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
mod link;
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
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use link::{Link, UpstreamSide};
use peers::{DIRECT, Links, MEASURED, PEERS, Peer, Running, Site};
use report::Report;
use run::Run;
use support::otlp::Receiver;
use support::pacer::Command;
use support::process::free_address;
use support::secure::{self, Certificate};
use support::upstream::{CHUNKS_PER_WRITE, Came, Upstream};
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

    fn cases(&self) -> Vec<Case> {
        let works = match self.only.as_slice() {
            [] if self.goals => &goals::WORKS,
            [] => Work::value_variants(),
            only => only,
        };
        let extent = self.extent();
        let over = |work: &Work| {
            let (work, extent) = (*work, &extent);
            let links = self.link.iter().filter(move |link| link.does(work));
            links.flat_map(move |link| work.cases(*link, extent))
        };
        works.iter().flat_map(over).collect()
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
    let report = Report::new(
        peers.iter().map(|peer| peer.name()).collect(),
        options.link.clone(),
    );
    let (report, failed) = bench.rounds(report, &peers, &options.cases(), rounds);
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
    /// Without TLS, with it, and with HTTP/2 on top.
    upstreams: [Upstream; 3],
    certificate: Certificate,
    collector: Receiver,
    folder: PathBuf,
    extent: Extent,
}

impl Bench {
    fn new(extent: Extent, chunks_per_write: u64) -> io::Result<Self> {
        raise_file_limit();
        let certificate = Certificate::new()?;
        let http1 = certificate.server(&[secure::HTTP1])?;
        let http2 = certificate.server(&[secure::HTTP2, secure::HTTP1])?;
        let bench = Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            upstreams: [
                Upstream::start(chunks_per_write)?,
                Upstream::start_secure(chunks_per_write, http1)?,
                Upstream::start_secure(chunks_per_write, http2)?,
            ],
            certificate,
            collector: Receiver::start()?,
            folder: std::env::temp_dir().join(format!("streamgauge-load-{}", process::id())),
            extent,
        };
        fs::create_dir_all(&bench.folder)?;
        fs::write(
            bench.folder.join(CERTIFICATE),
            &bench.certificate.certificate_pem,
        )?;
        fs::write(bench.folder.join(KEY), &bench.certificate.key_pem)?;
        Ok(bench)
    }

    fn upstream(&self, side: UpstreamSide) -> &Upstream {
        let [plain, tls, http2] = &self.upstreams;
        match side {
            UpstreamSide::Plain => plain,
            UpstreamSide::Tls => tls,
            UpstreamSide::Http2 => http2,
        }
    }

    /// Every case with every peer, round by round; a peer that fails a case is left out of it from there on.
    fn rounds(
        &self,
        mut report: Report,
        peers: &[&'static dyn Peer],
        cases: &[Case],
        rounds: usize,
    ) -> (Report, Failed) {
        let mut failed = Failed::new();
        for round in 0..rounds {
            for case in cases {
                eprintln!("round {} of {rounds}: {case:?}", round + 1);
                // Each peer is first in turn, so that none always finds the machine as another left it.
                for turn in 0..peers.len() {
                    let place = (round + turn) % peers.len();
                    let peer = peers[place];
                    if failed.contains_key(&(peer.name(), *case)) || !takes_part(peer, case.link) {
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
        // What nobody stands between has no link but the plain one.
        let link = if peer.name() == DIRECT {
            Link::Plain
        } else {
            case.link
        };
        let upstream = self.upstream(link.upstream());
        let site = Site {
            link,
            upstream: upstream.address,
            certificate: self.folder.join(CERTIFICATE),
            key: self.folder.join(KEY),
            collector: self.collector.address,
            admin: free_address()?,
            folder: self.folder.join(peer.name()),
            cores: case.cores,
            many_series: case.work == Work::Series,
        };
        let running = Running::start(peer, &site)?;
        let before = (self.collector.received().0, upstream.counts.came());
        let run = Run {
            peer: &running,
            link,
            tls: Arc::new(self.certificate.client(secure::HTTP2)?),
            pacer: &upstream.pacer,
            extent: &self.extent,
            calls: Cell::new(0),
        };
        let figures = self.runtime.block_on(run.figures(case));
        // Streams of a run that has failed are no concern of the next one.
        drop(upstream.pacer.send(Command::End));
        let mut figures = figures?;
        let calls = run.calls.get();
        let came = upstream.counts.came().since(before.1);
        spoke(peer, link, came)?;
        // An exporter pushes what it still has when its process ends.
        drop(running);
        let spans = self.collector.received().0 - before.0;
        if case.work == Work::Unary {
            let per_call = |count: u64| count as f64 / calls as f64;
            figures.push((
                work::CONNECTIONS.to_owned(),
                1000.0 * per_call(came.connections),
            ));
            if spans > 0 {
                figures.push((
                    "spans received per unary request".to_owned(),
                    per_call(spans),
                ));
            }
        }
        let named = |(name, value): (String, f64)| (case.link.named(&name), value);
        Ok(figures.into_iter().map(named).collect())
    }
}

/// Names of files that all peers share.
const CERTIFICATE: &str = "tls.crt";
/// See [`CERTIFICATE`].
const KEY: &str = "tls.key";

/// Whether a peer is measured over a link; what there is without a peer stands beside each.
fn takes_part(peer: &dyn Peer, link: Link) -> bool {
    link == Link::Plain || peer.name() == DIRECT || peer.manner().links != Links::None
}

/// A figure of HTTP/2 is of nothing else, nor is one of HTTP/1.1.
///
/// # Errors
///
/// The peer has asked by the other.
fn spoke(peer: &dyn Peer, link: Link, came: Came) -> io::Result<()> {
    let http2 =
        link.upstream() == UpstreamSide::Http2 && peer.manner().links == Links::Http2Upstream;
    let (wrong, version) = if http2 {
        (came.http1, "HTTP/1.1")
    } else {
        (came.http2, "HTTP/2")
    };
    if wrong == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the upstream was asked {wrong} times by {version}, which is not what {} is about",
        link.name()
    )))
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
