//! Streamed requests that come whether or not earlier ones were answered: when does the first token arrive?

use std::time::Duration;

use super::{Doing, Reach, Size, Work};
use crate::open_loop::{self, From, Gaps, Rate};
use crate::run::{Run, percentiles};
use crate::support::chat::Answer;

/// From the client's write to the first chunk with text.
pub(crate) const TTFT_P50: &str = "time to first token p50, µs";
/// See [`TTFT_P50`].
pub(crate) const TTFT_P99: &str = "time to first token p99, µs";

/// One such work.
pub(crate) struct FirstToken {
    name: &'static str,
    rate: Rate,
    /// The figures p50 and p99.
    times: &'static [&'static str; 2],
}

/// 500 a second.
pub(crate) const TTFT: FirstToken = FirstToken {
    name: "ttft",
    rate: Rate {
        interval: Duration::from_millis(2),
        gaps: Gaps::Random,
        from: From::Write,
        requests: 2_000,
        connections: 256,
    },
    times: &[TTFT_P50, TTFT_P99],
};

/// 50 a second: so rare that each finds every thread at rest, and every cache cold.
pub(crate) const RARE: FirstToken = FirstToken {
    name: "rare",
    rate: Rate {
        interval: Duration::from_millis(20),
        requests: 300,
        connections: 16,
        ..TTFT.rate
    },
    times: &[
        "time to first token at 50 requests/s p50, µs",
        "time to first token at 50 requests/s p99, µs",
    ],
};

impl Work for FirstToken {
    fn name(&self) -> &'static str {
        self.name
    }

    fn reach(&self) -> Reach {
        Reach::Http1Clients
    }

    fn beside_direct(&self) -> &'static [&'static str] {
        self.times
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            let (request, rate) = (run.request(Answer::Unpaced(8)), self.rate);
            let times = open_loop::times(run.peer.address, request, rate, run.extent).await?;
            let times = times.of_one_that_kept_up(rate)?;
            Ok(percentiles(self.times, &times.first))
        })
    }
}
