//! The works: what can be asked of a peer, in how many cases, and what their figures are called.

use std::time::Duration;

use crate::link::Link;
use crate::support::cpu;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Work {
    /// 1 KB requests with one JSON answer, 32 clients, each as fast as it is answered.
    Unary,
    /// The same, but no two requests ask the same.
    Differing,
    /// Streamed requests at 500 a second, come what may: when does the first token arrive?
    Ttft,
    /// The same at 50 a second, so that each request finds the peer at rest.
    Rare,
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
    /// From the start of the process to the first byte that it has served.
    Start,
    /// Paced streams in growing number, on one core and on two.
    Scale,
    /// Paced streams while thousands of series are exported and scraped.
    Series,
    /// Paced streams while the live page is open.
    Watched,
}

/// How much of it.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// Before anything is measured.
    pub(crate) warm_up: Duration,
    /// What is measured.
    pub(crate) window: Duration,
    /// Paced streams.
    pub(crate) streams: usize,
    /// Open streams whose memory is measured.
    pub(crate) open: Vec<usize>,
    /// Paced streams whose cost is to grow in proportion.
    pub(crate) scale: Vec<usize>,
}

/// A work with what may differ from one run of it to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    /// The work.
    pub(crate) work: Work,
    /// What is spoken on either side of the peer.
    pub(crate) link: Link,
    /// Streams at once, where the work has streams.
    pub(crate) streams: usize,
    /// CPUs that the peer may use.
    pub(crate) cores: usize,
}

impl Work {
    /// All cases of this work over a link.
    pub(crate) fn cases(self, link: Link, extent: &Extent) -> Vec<Case> {
        let all = cpu::allowed().len().max(1);
        let case = |streams: &usize, cores| Case {
            work: self,
            link,
            streams: *streams,
            cores,
        };
        match self {
            Self::Memory => extent.open.iter().map(|open| case(open, all)).collect(),
            Self::Scale => {
                let streams = |cores| extent.scale.iter().map(move |streams| case(streams, cores));
                (1..=all.min(2)).flat_map(streams).collect()
            }
            _ => vec![case(&extent.streams, all)],
        }
    }
}

/// Figures of one run, by name.
pub(crate) type Figures = Vec<(String, f64)>;

/// Names of figures that others are made from.
pub(crate) const DELAY_P50: &str = "delay per paced chunk p50, µs";
/// See [`DELAY_P50`].
pub(crate) const DELAY_P99: &str = "delay per paced chunk p99, µs";
/// See [`DELAY_P50`].
pub(crate) const TTFT_P50: &str = "time to first token p50, µs";
/// See [`DELAY_P50`].
pub(crate) const TTFT_P99: &str = "time to first token p99, µs";
/// See [`DELAY_P50`]; of [`Work::Rare`].
pub(crate) const RARE_P50: &str = "time to first token at 50 requests/s p50, µs";
/// See [`RARE_P50`].
pub(crate) const RARE_P99: &str = "time to first token at 50 requests/s p99, µs";
/// CPU time of the peer's processes.
pub(crate) const CPU_UNARY: &str = "CPU per unary request, µs";
/// See [`CPU_UNARY`]; of [`Work::Differing`].
pub(crate) const CPU_DIFFERING: &str = "CPU per unary request that differs, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_PACED: &str = "CPU per paced chunk, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_BURSTS: &str = "CPU per chunk in bursts of 10, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_UNPACED: &str = "CPU per unpaced chunk, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_PROMPT: &str = "CPU per 1 MB prompt, µs";
/// Resident memory of all the peer's processes.
pub(crate) const MEMORY_IDLE: &str = "memory when idle, MiB";
/// From the start of the process.
pub(crate) const FIRST_BYTE: &str = "start until the first byte is served, ms";
/// CPU time of a chunk in [`Work::Scale`]; see [`scaled`].
pub(crate) const CPU_SCALED: &str = "CPU per chunk, µs";

/// Connections that the upstream has got in [`Work::Unary`].
pub(crate) const CONNECTIONS: &str = "upstream connections per 1,000 unary requests";

/// What one run brought beyond a direct one of the same round.
pub(crate) fn added(figure: &str) -> String {
    format!("added {figure}")
}

/// Resident memory that comes with each of so many open streams.
pub(crate) fn memory_per_stream(streams: usize) -> String {
    format!("memory per stream of {streams} open, KiB")
}

/// A figure of [`Work::Scale`].
pub(crate) fn scaled(figure: &str, streams: usize, cores: usize) -> String {
    let s = |count| if count == 1 { "" } else { "s" };
    format!(
        "{streams} stream{} on {cores} core{}: {figure}",
        s(streams),
        s(cores)
    )
}
