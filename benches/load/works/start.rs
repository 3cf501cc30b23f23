//! From the start of the process to the first byte that it has served, and the memory that it holds when at rest then.

use super::{Doing, Reach, Size, Work};
use crate::run::{Run, mib, millis};
use crate::support::process::Process;

/// From the start of the process.
pub(crate) const FIRST_BYTE: &str = "start until the first byte is served, ms";
/// Resident memory of all the peer's processes.
pub(crate) const MEMORY_IDLE: &str = "memory when idle, MiB";

/// The work.
pub(crate) struct Start;

impl Work for Start {
    fn name(&self) -> &'static str {
        "start"
    }

    fn reach(&self) -> Reach {
        Reach::Http1Clients
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            let Some(Process {
                started, start_up, ..
            }) = &run.peer.process
            else {
                return Ok(Vec::new());
            };
            run.until_it_serves().await?;
            let first_byte = started.elapsed();
            tokio::time::sleep(run.extent.warm_up).await;
            Ok(vec![
                ("start until it listens, ms".to_owned(), millis(*start_up)),
                (FIRST_BYTE.to_owned(), millis(first_byte)),
                (MEMORY_IDLE.to_owned(), mib(run.resident_bytes())),
            ])
        })
    }
}
