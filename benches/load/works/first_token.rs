//! Streamed requests that come whether or not earlier ones were answered: when does the first token arrive?

use super::{Doing, Reach, Size, Work};
use crate::open_loop::{self, Rate};
use crate::run::{Run, micros};
use crate::support::chat::Answer;
use crate::support::figure;

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
    rate: Rate::OFTEN,
    times: &[TTFT_P50, TTFT_P99],
};

/// 50 a second, so that each request finds the peer at rest.
pub(crate) const RARE: FirstToken = FirstToken {
    name: "rare",
    rate: Rate::RARE,
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
            let request = run.request(Answer::Unpaced(8));
            let address = run.peer.address;
            let sorted = open_loop::first_tokens(address, request, self.rate, run.extent).await?;
            let figure = |(name, per_mille): (&&str, _)| {
                let time = micros(figure::per_mille(&sorted, per_mille));
                ((*name).to_owned(), time)
            };
            Ok(self.times.iter().zip([500, 990]).map(figure).collect())
        })
    }
}
