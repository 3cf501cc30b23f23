//! Paced streams in growing number, on one core and on two: a chunk every 20 ms each, or as many a second over all as two
//! cores can do.

use std::time::Duration;

use super::{Doing, Extent, Size, Work};
use crate::run::{Run, kib};
use crate::support::pacer::Pace;

/// CPU time of a chunk; see [`scaled`].
pub(crate) const CPU_SCALED: &str = "CPU per chunk, µs";

/// Most chunks a second over all streams: what two cores can do with the least able of the quick peers.
const MOST_CHUNKS: u32 = 10_000;

/// A figure of this work.
pub(crate) fn scaled(figure: &str, streams: usize, cores: usize) -> String {
    let s = |count| if count == 1 { "" } else { "s" };
    format!(
        "{streams} stream{} on {cores} core{}: {figure}",
        s(streams),
        s(cores)
    )
}

/// The work.
pub(crate) struct Scale;

impl Work for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn sizes(&self, extent: &Extent) -> Vec<Size> {
        let on = |cores| {
            let streams = extent.scale.iter();
            streams.map(move |&streams| Size { streams, cores })
        };
        (1..=Size::of(1).cores.min(2)).flat_map(on).collect()
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, Size { streams, cores }: Size) -> Doing<'a> {
        Box::pin(async move {
            let many = u32::try_from(streams).unwrap_or(u32::MAX);
            let pace = Pace {
                interval: Pace::EVEN
                    .interval
                    .max(Duration::from_secs(1) * many / MOST_CHUNKS),
                ..Pace::EVEN
            };
            let before = run.resident_after_calls().await?;
            let paced = run.paced(pace, streams).await?;
            let growth = paced.resident_bytes.saturating_sub(before);
            let mut figures = vec![
                ("delay p50, µs", paced.delay(500)),
                ("delay p99, µs", paced.delay(990)),
            ];
            if let Some(cpu) = paced.seen.cpu_micros(paced.seen.chunks) {
                figures.push((CPU_SCALED, cpu));
                figures.push(("memory per stream, KiB", kib(growth, streams)));
            }
            let named = |(name, value)| (scaled(name, streams, cores), value);
            Ok(figures.into_iter().map(named).collect())
        })
    }
}
