//! Clients that each send the next request when the last one is answered: what does one cost?

use super::{Doing, Reach, Size, Work};
use crate::run::Run;
use crate::support::chat::{Answer, Request};

/// CPU time of the peer's processes.
pub(crate) const CPU_UNARY: &str = "CPU per unary request, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_UNPACED: &str = "CPU per unpaced chunk, µs";
/// See [`CPU_UNARY`].
pub(crate) const CPU_PROMPT: &str = "CPU per 1 MB prompt, µs";

/// Long enough for the cost of a chunk to outweigh that of a request.
const CHUNKS: u64 = 1024;

/// One such work.
pub(crate) struct ClosedLoop {
    name: &'static str,
    clients: usize,
    answer: Answer,
    /// What is asked, made of the usual request.
    asking: fn(Request) -> Request,
    unit: Unit,
    /// The figure of units a second.
    rate: &'static str,
    /// The figure of what each costs.
    cost: &'static str,
    reach: Reach,
    counts_by_call: bool,
}

/// What costs are shared out over.
enum Unit {
    Call,
    Chunk,
}

/// 1 KB requests with one JSON answer, 32 clients.
pub(crate) const UNARY: ClosedLoop = ClosedLoop {
    name: "unary",
    clients: 32,
    answer: Answer::Unary,
    asking: |request| request,
    unit: Unit::Call,
    rate: "unary requests/s",
    cost: CPU_UNARY,
    reach: Reach::All,
    counts_by_call: true,
};

/// The same, but no two requests ask the same.
pub(crate) const DIFFERING: ClosedLoop = ClosedLoop {
    name: "differing",
    asking: Request::differing,
    rate: "differing unary requests/s",
    cost: "CPU per unary request that differs, µs",
    reach: Reach::Http1Clients,
    counts_by_call: false,
    ..UNARY
};

/// Streams of 1,024 chunks as fast as they go, 8 at once, that do not ask for usage.
pub(crate) const UNPACED: ClosedLoop = ClosedLoop {
    name: "unpaced",
    clients: 8,
    answer: Answer::Unpaced(CHUNKS),
    unit: Unit::Chunk,
    rate: "unpaced chunks/s",
    cost: CPU_UNPACED,
    counts_by_call: false,
    ..UNARY
};

/// The same, asking for usage: nothing is to be added or taken out.
pub(crate) const ASKED: ClosedLoop = ClosedLoop {
    name: "asked",
    asking: Request::asking_usage,
    rate: "chunks/s, usage asked",
    cost: "CPU per unpaced chunk, usage asked, µs",
    ..UNPACED
};

/// 1 MB prompts answered by a short stream, 4 clients.
pub(crate) const PROMPT: ClosedLoop = ClosedLoop {
    name: "prompt",
    clients: 4,
    answer: Answer::Unpaced(8),
    asking: |request| request.with_prompt(1_000_000),
    rate: "1 MB prompts/s",
    cost: CPU_PROMPT,
    counts_by_call: false,
    ..UNARY
};

impl Work for ClosedLoop {
    fn name(&self) -> &'static str {
        self.name
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn counts_by_call(&self) -> bool {
        self.counts_by_call
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            let request = (self.asking)(run.request(self.answer));
            let seen = run.closed_loop(request, self.clients).await?;
            let units = match self.unit {
                Unit::Call => seen.calls,
                Unit::Chunk => seen.chunks,
            };
            Ok(seen.figures(self.rate, self.cost, units))
        })
    }
}
