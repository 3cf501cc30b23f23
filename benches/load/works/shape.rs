//! The shape by which other proxies say what they add: streams of 64 chunks, one every 20 ms, of which a hundred are open at
//! a time. When does the first token arrive, and how far apart are the frames?

use std::time::Duration;

use super::{Doing, Extent, Reach, Size, Work};
use crate::open_loop::{self, From, Gaps, Rate};
use crate::run::{Run, percentiles};
use crate::support::chat::Answer;

/// Chunks of a stream.
const CHUNKS: u64 = 64;
/// One stream from its first chunk to its last.
const LASTS: Duration = Duration::from_millis(20 * CHUNKS);
/// Streams that are open at a time.
const OPEN: u32 = 100;

/// From the client's write to the first chunk with text, and from one read with a chunk to the next.
const TIMES: [&str; 4] = [
    "time to first token of streams of 64 p50, µs",
    "time to first token of streams of 64 p99, µs",
    "time between frames p50, µs",
    "time between frames p99, µs",
];

/// The work.
pub(crate) struct Shape;

impl Work for Shape {
    fn name(&self) -> &'static str {
        "shape"
    }

    fn reach(&self) -> Reach {
        Reach::Plain
    }

    fn beside_direct(&self) -> &'static [&'static str] {
        &TIMES
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            let rate = Rate {
                // A peer that could not keep up gets fewer streams, not slower ones.
                interval: LASTS / OPEN * run.peer.manner.slowed,
                gaps: Gaps::Even,
                from: From::Write,
                requests: 50,
                connections: 200,
            };
            let extent = Extent {
                // As many are open as shall be once the first have ended.
                warm_up: run.extent.warm_up.max(LASTS),
                ..run.extent.clone()
            };
            let request = run.request(Answer::Timed(CHUNKS));
            let times = open_loop::times(run.peer.address, request, rate, &extent).await?;
            let times = times.of_one_that_kept_up(rate)?;
            let mut figures = percentiles(&TIMES[..2], &times.first);
            figures.extend(percentiles(&TIMES[2..], &times.between));
            Ok(figures)
        })
    }
}
