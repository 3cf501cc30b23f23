//! The rounds: every case with every peer, each run with a freshly started one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use crate::peers::{DIRECT, Links, Peer, Running, Site};
use crate::report::Report;
use crate::run::Run;
use crate::support::link::{ClientSide, Link};
use crate::support::otlp::Receiver;
use crate::support::pacer::Command;
use crate::support::process::free_address;
use crate::support::secure;
use crate::support::upstreams::Upstreams;
use crate::works::{Case, Extent, Figures};

/// What has failed, by peer and the case's place in the list.
pub(crate) type Failed = BTreeMap<(&'static str, usize), String>;

/// What all runs have in common.
pub(crate) struct Bench {
    runtime: tokio::runtime::Runtime,
    upstreams: Upstreams,
    /// Where a peer may push its telemetry.
    pub(crate) collector: Receiver,
    folder: PathBuf,
    /// How much of each work is done.
    pub(crate) extent: Extent,
}

impl Bench {
    /// Starts the upstreams, and what else all peers share.
    ///
    /// # Errors
    ///
    /// Whatever keeps one of them from starting.
    pub(crate) fn new(extent: Extent, chunks_per_write: u64) -> io::Result<Self> {
        raise_file_limit();
        let folder = std::env::temp_dir().join(format!("streamgauge-load-{}", process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            upstreams: Upstreams::start(chunks_per_write, &folder)?,
            collector: Receiver::start()?,
            folder,
            extent,
        })
    }

    /// Every case with every peer, round by round; a peer that fails a case is left out of it from there on.
    pub(crate) fn rounds(
        &self,
        mut report: Report,
        peers: &[&'static dyn Peer],
        cases: &[Case],
        rounds: usize,
    ) -> (Report, Failed) {
        let mut failed = Failed::new();
        for round in 0..rounds {
            for (number, case) in cases.iter().enumerate() {
                eprintln!("round {} of {rounds}: {case}", round + 1);
                // Each peer is first in turn, so that none always finds the machine as another left it.
                for turn in 0..peers.len() {
                    let place = (round + turn) % peers.len();
                    let peer = peers[place];
                    if failed.contains_key(&(peer.name(), number)) || !takes_part(peer, case.link) {
                        continue;
                    }
                    match self.run(peer, *case) {
                        Ok(figures) => report.add(place, figures),
                        Err(error) => {
                            let failure = format!("{} failed at {case}: {error}", peer.name());
                            eprintln!("{failure}");
                            failed.insert((peer.name(), number), failure);
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
        fits(case)?;
        // What nobody stands between has no link but the plain one.
        let link = if peer.name() == DIRECT {
            Link::Plain
        } else {
            case.link
        };
        let upstream = self.upstreams.of(link.upstream());
        let site = Site {
            link,
            upstream: upstream.address,
            certificate: self.upstreams.certificate_file.clone(),
            key: self.upstreams.key_file.clone(),
            collector: self.collector.address,
            admin: free_address()?,
            folder: self.folder.join(peer.name()),
            cores: case.size.cores,
            streams: case.size.streams,
            many_series: case.work.has_many_series(),
        };
        let running = Running::start(peer, &site)?;
        let before = (self.collector.received().0, upstream.counts.came());
        let run = Run {
            peer: &running,
            link,
            tls: Arc::new(self.upstreams.certificate.client(secure::HTTP2)?),
            pacer: &upstream.pacer,
            extent: &self.extent,
            ended: Cell::new(0),
        };
        let figures = self.runtime.block_on(async {
            if running.manner.serves_late {
                run.until_it_serves().await?;
            }
            case.work.figures(&run, case.size).await
        });
        // Streams of a run that has failed are no concern of the next one.
        drop(upstream.pacer.send(Command::End));
        let mut figures = figures?;
        let calls = run.ended.get();
        let came = upstream.counts.came().since(before.1);
        let http2 = peer.manner().links == Links::Http2Upstream;
        came.by(link, http2)?;
        // An exporter pushes what it still has when its process ends.
        drop(running);
        let spans = self.collector.received().0 - before.0;
        if case.work.counts_by_call() {
            let per_call = |count: u64| count as f64 / calls as f64;
            figures.push((
                "upstream connections per 1,000 unary requests".to_owned(),
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

/// Whether a peer is measured over a link; what there is without a peer stands beside each.
fn takes_part(peer: &dyn Peer, link: Link) -> bool {
    link == Link::Plain || peer.name() == DIRECT || peer.manner().links != Links::None
}

/// Whether this process, and one of a proxy, may have as many open files as the streams of a case take.
///
/// # Errors
///
/// It may not.
fn fits(case: Case) -> io::Result<()> {
    /// What there is beside connections of streams.
    const OTHERS: usize = 100;
    let streams = case.size.streams;
    let ends = match case.link.client() {
        ClientSide::Http1 => 2 * streams,
        // Its connections are shared.
        ClientSide::Http2 | ClientSide::Http2Tls => streams + streams / 50,
    };
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(usize::MAX);
    if ends + OTHERS <= limit {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{streams} streams take {} open files, and the limit is {limit}",
        ends + OTHERS
    )))
}

/// Both ends of each stream are open files of this process, and those of a proxy inherit its limit: 10,000 streams take
/// more than 20,000 of either. Who may raise the hard limit has it raised; see [`fits`] for who may not.
fn raise_file_limit() {
    let raised = |limits: &str| {
        let status = process::Command::new("prlimit")
            .args(["--pid", &process::id().to_string()])
            .arg(format!("--nofile={limits}"))
            .stderr(process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    // Soft and hard limit, or the soft one alone; the first that can be had.
    let _ = ["65536:65536", "65536:", "20000:"].into_iter().any(raised);
}
