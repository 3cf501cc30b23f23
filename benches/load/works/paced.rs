//! Long streams, one chunk every 20 ms each, that do not ask for usage: what does a chunk cost, and how late is it?

use super::{Doing, Figures, Size, Work};
use crate::run::Run;
use crate::support::pacer::Pace;

/// From the upstream's write to the client's read.
pub(crate) const DELAY_P50: &str = "delay per paced chunk p50, µs";
/// See [`DELAY_P50`].
pub(crate) const DELAY_P99: &str = "delay per paced chunk p99, µs";
/// CPU time of the peer's processes.
pub(crate) const CPU_PACED: &str = "CPU per paced chunk, µs";

/// One such work.
pub(crate) struct PacedStreams {
    name: &'static str,
    pace: Pace,
    /// The figure of chunks a second.
    rate: &'static str,
    /// The figure of what each costs.
    cost: &'static str,
    /// The figures p50 and p99 of the delay, where it has any.
    delays: &'static [&'static str],
}

/// Evenly spread.
pub(crate) const PACED: PacedStreams = PacedStreams {
    name: "paced",
    pace: Pace::EVEN,
    rate: "paced chunks/s",
    cost: CPU_PACED,
    delays: &[DELAY_P50, DELAY_P99],
};

/// The same, ten streams at a time: the timers of most servers tick in milliseconds.
pub(crate) const BURSTS: PacedStreams = PacedStreams {
    name: "bursts",
    pace: Pace {
        burst: 10,
        ..Pace::EVEN
    },
    rate: "chunks/s in bursts of 10",
    cost: "CPU per chunk in bursts of 10, µs",
    delays: &[],
};

impl Work for PacedStreams {
    fn name(&self) -> &'static str {
        self.name
    }

    fn beside_direct(&self) -> &'static [&'static str] {
        self.delays
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, size: Size) -> Doing<'a> {
        Box::pin(async move {
            let paced = run.paced(self.pace, size.streams).await?;
            let mut figures = paced.seen.figures(self.rate, self.cost, paced.seen.chunks);
            let delays = self.delays.iter().zip([500, 990]);
            figures.extend(
                delays.map(|(name, per_mille)| ((*name).to_owned(), paced.delay(per_mille))),
            );
            Ok(figures)
        })
    }
}

/// The same streams while something else goes on, which their figures begin with.
///
/// # Errors
///
/// As of [`Doing`].
pub(super) async fn figures_of(
    run: &Run<'_>,
    of: &str,
    streams: usize,
) -> std::io::Result<Figures> {
    let paced = run.paced(Pace::EVEN, streams).await?;
    let cpu = paced.seen.cpu_micros(paced.seen.chunks).unwrap_or_default();
    Ok(vec![
        (format!("{of}: {CPU_PACED}"), cpu),
        (format!("{of}: {DELAY_P50}"), paced.delay(500)),
        (format!("{of}: {DELAY_P99}"), paced.delay(990)),
    ])
}
