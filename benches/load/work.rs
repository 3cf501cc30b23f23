//! The works: what is asked of a peer, for how long, and which figures come of it.

use std::cell::Cell;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::client::Clients;
use crate::peers::Running;
use crate::support::chat::{Answer, Request};
use crate::support::cpu::{self, Cpu};
use crate::support::figure;
use crate::support::pacer::{Command, Pace};
use crate::support::wire::bad;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Work {
    /// 1 KB requests with one JSON answer, 32 clients, each as fast as it is answered.
    Unary,
    /// Long streams, one chunk every 20 ms each, that do not ask for usage.
    Paced,
    /// The same, ten streams at a time: the timers of most servers tick in milliseconds.
    Bursts,
    /// Streams of 1,024 chunks as fast as they go, 8 at once, that do not ask for usage.
    Unpaced,
    /// The same, asking for usage: nothing is to be added or taken out.
    Asked,
    /// 1 MB prompts answered by a short stream, 4 clients.
    Prompt,
    /// Open streams on which little happens: one chunk a second.
    Memory,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Before anything is measured.
    pub(crate) warm_up: Duration,
    /// What is measured.
    pub(crate) window: Duration,
    /// Paced streams.
    pub(crate) streams: usize,
    /// Open streams whose memory is measured.
    pub(crate) open: usize,
}

/// Figures of one run, by name.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// Names of figures that others are made from.
pub(crate) const DELAY_P50: &str = "delay per paced chunk p50, µs";
/// See [`DELAY_P50`].
pub(crate) const DELAY_P99: &str = "delay per paced chunk p99, µs";
/// CPU time of the peer's processes.
pub(crate) const CPU_UNARY: &str = "CPU per unary request, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_PACED: &str = "CPU per paced chunk, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_BURSTS: &str = "CPU per chunk in bursts of 10, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_UNPACED: &str = "CPU per unpaced chunk, µs";
/// Resident memory that comes with each open stream.
pub(crate) const MEMORY: &str = "memory per open stream, KiB";

const BURSTS: Pace = Pace {
    burst: 10,
    ..Pace::EVEN
};
const IDLE: Pace = Pace {
    interval: Duration::from_secs(1),
    burst: 1,
};
/// Long enough for the cost of a chunk to outweigh that of a request.
const CHUNKS: u64 = 1024;

/// One run of a work against a peer that has just been started.
pub(crate) struct Run<'a> {
    /// The peer.
    pub(crate) peer: &'a Running,
    /// The upstream's pacer.
    pub(crate) pacer: &'a Sender<Command>,
    /// How much.
    pub(crate) extent: Extent,
    /// Calls that have ended so far, measured or not.
    pub(crate) calls: Cell<u64>,
}

impl Run<'_> {
    /// Does the work.
    ///
    /// # Errors
    ///
    /// The peer fails a call, or what a client received is not what the upstream sent.
    pub(crate) async fn figures(&self, work: Work) -> io::Result<Figures> {
        let chunks = Request::new(Answer::Unpaced(CHUNKS));
        let prompt = Request::new(Answer::Unpaced(8)).with_prompt(1_000_000);
        match work {
            Work::Unary => {
                let seen = self.closed_loop(Request::new(Answer::Unary), 32).await?;
                Ok(seen.figures("unary requests/s", CPU_UNARY, seen.calls))
            }
            Work::Unpaced => {
                let seen = self.closed_loop(chunks, 8).await?;
                Ok(seen.figures("unpaced chunks/s", CPU_UNPACED, seen.chunks))
            }
            Work::Asked => {
                let seen = self.closed_loop(chunks.asking_usage(), 8).await?;
                Ok(seen.figures(
                    "chunks/s, usage asked",
                    "CPU per unpaced chunk, usage asked, µs",
                    seen.chunks,
                ))
            }
            Work::Prompt => {
                let seen = self.closed_loop(prompt, 4).await?;
                Ok(seen.figures("1 MB prompts/s", "CPU per 1 MB prompt, µs", seen.calls))
            }
            Work::Paced => {
                let (mut figures, delays) =
                    self.paced(Pace::EVEN, "paced chunks/s", CPU_PACED).await?;
                figures.push((DELAY_P50, micros(figure::per_mille(&delays, 500))));
                figures.push((DELAY_P99, micros(figure::per_mille(&delays, 990))));
                Ok(figures)
            }
            Work::Bursts => Ok(self
                .paced(BURSTS, "chunks/s in bursts of 10", CPU_BURSTS)
                .await?
                .0),
            Work::Memory => self.memory().await,
        }
    }

    async fn closed_loop(&self, request: Request, clients: usize) -> io::Result<Seen> {
        let clients = Clients::start(self.peer.address, request, clients).await;
        tokio::time::sleep(self.extent.warm_up).await;
        let seen = self.window(&clients).await;
        self.calls.set(self.calls.get() + clients.stop().await?);
        Ok(seen)
    }

    /// Notes what is done, and what it costs the peer, in the time that is measured.
    async fn window(&self, clients: &Clients) -> Seen {
        let counts = &clients.counts;
        let processes = self.peer.processes();
        let (cpu, calls, chunks) = (
            Cpu::of(&processes),
            counts.calls.load(Relaxed),
            counts.chunks.load(Relaxed),
        );
        let began = Instant::now();
        tokio::time::sleep(self.extent.window).await;
        Seen {
            seconds: began.elapsed().as_secs_f64(),
            calls: counts.calls.load(Relaxed) - calls,
            chunks: counts.chunks.load(Relaxed) - chunks,
            cpu_ns: (!processes.is_empty()).then(|| Cpu::of(&processes).since(&cpu)),
        }
    }

    /// Rate, cost, and the delays in order of size.
    async fn paced(
        &self,
        pace: Pace,
        rate: &'static str,
        cost: &'static str,
    ) -> io::Result<(Figures, Vec<u64>)> {
        let clients = self.open(pace, self.extent.streams).await?;
        tokio::time::sleep(self.extent.warm_up).await;
        clients.counts.noting.store(true, Relaxed);
        let seen = self.window(&clients).await;
        clients.counts.noting.store(false, Relaxed);
        let delays = clients.counts.sorted_delays();
        self.close(clients).await?;
        Ok((seen.figures(rate, cost, seen.chunks), delays))
    }

    async fn memory(&self) -> io::Result<Figures> {
        if self.peer.processes().is_empty() {
            return Ok(Vec::new());
        }
        // A peer may listen before all its processes are there.
        tokio::time::sleep(self.extent.warm_up).await;
        let idle = self.resident_bytes();
        // Code and buffers that the first calls bring in belong to no stream.
        self.closed_loop(Request::new(Answer::Unary), 4).await?;
        let before = self.resident_bytes();
        let clients = self.open(IDLE, self.extent.open).await?;
        tokio::time::sleep(2 * IDLE.interval).await;
        let growth = self.resident_bytes().saturating_sub(before);
        self.close(clients).await?;
        Ok(vec![
            (MEMORY, growth as f64 / 1024.0 / self.extent.open as f64),
            ("memory when idle, MiB", idle as f64 / f64::from(1 << 20)),
            (
                "start until it listens, ms",
                self.peer.start_up.as_secs_f64() * 1000.0,
            ),
        ])
    }

    fn resident_bytes(&self) -> u64 {
        cpu::resident_bytes(&self.peer.processes())
    }

    async fn open(&self, pace: Pace, streams: usize) -> io::Result<Clients> {
        self.pacer
            .send(Command::Pace(pace))
            .map_err(|_| bad("the pacer has ended"))?;
        let mut clients =
            Clients::start(self.peer.address, Request::new(Answer::Paced), streams).await;
        clients.opened(streams as u64).await?;
        Ok(clients)
    }

    async fn close(&self, clients: Clients) -> io::Result<()> {
        self.pacer
            .send(Command::End)
            .map_err(|_| bad("the pacer has ended"))?;
        self.calls.set(self.calls.get() + clients.stop().await?);
        Ok(())
    }
}

/// What happened in the time that was measured.
struct Seen {
    seconds: f64,
    calls: u64,
    chunks: u64,
    cpu_ns: Option<u64>,
}

impl Seen {
    /// So many units a second, and the CPU time of each.
    fn figures(&self, rate: &'static str, cost: &'static str, units: u64) -> Figures {
        let units = units as f64;
        let mut figures = vec![(rate, units / self.seconds)];
        figures.extend(self.cpu_ns.map(|ns| (cost, ns as f64 / 1000.0 / units)));
        figures
    }
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}
