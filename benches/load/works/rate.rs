//! How many unary requests a second can come before the latency of one in a hundred is too long? Requests leave when they
//! are due, at rates that are doubled until the widest bound is missed, and then narrowed down for each bound.

use std::io;
use std::time::Duration;

use super::{Doing, Extent, Reach, Size, Work};
use crate::open_loop::{self, From, Gaps, Rate as Pace};
use crate::run::Run;
use crate::support::chat::Answer;
use crate::support::figure;

/// Bounds of the latency's p99, in milliseconds.
const BOUNDS: [u32; 4] = [1, 5, 10, 50];
/// Requests a second to begin with; a bound that no rate keeps has a figure of 0.
const LEAST: f64 = 32.0;
/// More than the client itself can send.
const MOST: f64 = 200_000.0;
/// A rate that is kept and one that is not lie no further apart than this in the end.
const CLOSE: f64 = 1.1;

/// The highest rate at which a bound is kept.
pub(crate) fn within(bound_ms: u32) -> String {
    format!("unary requests/s with a p99 of at most {bound_ms} ms")
}

/// The work.
pub(crate) struct Rate;

impl Work for Rate {
    fn name(&self) -> &'static str {
        "rate"
    }

    fn reach(&self) -> Reach {
        Reach::Http1Clients
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            let mut search = Search {
                run,
                found: Vec::new(),
            };
            search.widen().await?;
            for bound in BOUNDS {
                search.narrow(bound).await?;
            }
            let figure = |bound| (within(bound), search.around(bound).0);
            Ok(BOUNDS.into_iter().map(figure).collect())
        })
    }
}

/// The rates that were tried.
struct Search<'a> {
    run: &'a Run<'a>,
    /// Each with the p99 of its latency, in milliseconds: endless where the peer did not keep up.
    found: Vec<(f64, f64)>,
}

impl Search<'_> {
    /// Doubles the rate until the widest bound is missed.
    async fn widen(&mut self) -> io::Result<()> {
        let mut rate = LEAST;
        while rate < MOST && self.keeps(rate, BOUNDS[BOUNDS.len() - 1]).await? {
            rate *= 2.0;
        }
        Ok(())
    }

    /// Halves the way between the rates around a bound until they are close.
    async fn narrow(&mut self, bound: u32) -> io::Result<()> {
        loop {
            let (kept, passed) = self.around(bound);
            if kept <= 0.0 || passed / kept <= CLOSE || passed.is_infinite() {
                return Ok(());
            }
            self.keeps((kept * passed).sqrt(), bound).await?;
        }
    }

    /// The highest rate that keeps a bound, and the lowest above it that does not. At lower ones, where a hundred requests are
    /// all there are, a single one may have missed it.
    fn around(&self, bound: u32) -> (f64, f64) {
        let keeps = |p99: f64| p99 <= f64::from(bound);
        let found = self.found.iter();
        let kept = found.clone().filter(|(_, p99)| keeps(*p99));
        let kept = kept.map(|(rate, _)| *rate).fold(0.0, f64::max);
        let passed = found.filter(|(rate, p99)| *rate > kept && !keeps(*p99));
        (
            kept,
            passed.map(|(rate, _)| *rate).fold(f64::INFINITY, f64::min),
        )
    }

    /// Whether a rate keeps a bound. One that does not is tried once more, as the machine may have had other work.
    async fn keeps(&mut self, rate: f64, bound: u32) -> io::Result<bool> {
        let mut p99 = self.p99(rate).await?;
        if p99 > f64::from(bound) {
            p99 = p99.min(self.p99(rate).await?);
        }
        self.found.push((rate, p99));
        Ok(p99 <= f64::from(bound))
    }

    /// The p99 of the latency at a rate, in milliseconds.
    async fn p99(&self, rate: f64) -> io::Result<f64> {
        /// Long enough for a hundred requests at most rates.
        const WINDOW: Duration = Duration::from_secs(1);
        let pace = Pace {
            interval: Duration::from_secs_f64(1.0 / rate),
            gaps: Gaps::Random,
            from: From::Due,
            requests: 100,
            // As many as come in a tenth of a second.
            connections: (rate as usize / 10).clamp(64, 4096),
        };
        let extent = Extent {
            warm_up: Duration::from_millis(300),
            window: self.run.extent.window.min(WINDOW),
            ..self.run.extent.clone()
        };
        let request = self.run.request(Answer::Unary);
        let times = open_loop::times(self.run.peer.address, request, pace, &extent).await?;
        if !times.kept_up {
            return Ok(f64::INFINITY);
        }
        Ok(figure::per_mille(&times.whole, 990) as f64 / 1e6)
    }
}
