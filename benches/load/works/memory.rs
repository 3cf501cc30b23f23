//! Open streams on which little happens, one chunk a second: what memory does each hold?

use std::time::Duration;

use super::{Doing, Extent, Size, Work};
use crate::run::{Run, kib};
use crate::support::pacer::Pace;

const IDLE: Pace = Pace {
    interval: Duration::from_secs(1),
    burst: 1,
};

/// Resident memory that comes with each of so many open streams.
pub(crate) fn per_stream(streams: usize) -> String {
    format!("memory per stream of {streams} open, KiB")
}

/// The work.
pub(crate) struct Memory;

impl Work for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn sizes(&self, extent: &Extent) -> Vec<Size> {
        extent.open.iter().copied().map(Size::of).collect()
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, Size { streams, .. }: Size) -> Doing<'a> {
        Box::pin(async move {
            if run.peer.process.is_none() {
                return Ok(Vec::new());
            }
            let before = run.resident_after_calls().await?;
            let clients = run.open(IDLE, streams).await?;
            tokio::time::sleep(2 * IDLE.interval).await;
            let growth = run.resident_bytes().saturating_sub(before);
            run.close(clients).await?;
            Ok(vec![(per_stream(streams), kib(growth, streams))])
        })
    }
}
