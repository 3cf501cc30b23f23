//! Memory over the course of a load: before it, under it, some seconds after it, and how it grows meanwhile.

use std::io;
use std::time::Duration;

use super::{Doing, Size, Work};
use crate::run::{Run, mib};
use crate::support::chat::Answer;

/// Clients that each send the next request when the last is answered.
const CLIENTS: usize = 32;
/// Times the usual window: a slope needs more of it than a rate.
const WINDOWS: u32 = 5;
/// Between two looks at the memory.
const STEP: Duration = Duration::from_millis(100);

/// The work.
pub(crate) struct Loaded;

impl Work for Loaded {
    fn name(&self) -> &'static str {
        "loaded"
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            if run.peer.process.is_none() {
                return Ok(Vec::new());
            }
            let before = run.resident_at_rest().await?;
            let clients = run.clients(run.request(Answer::Unary), CLIENTS).await?;
            tokio::time::sleep(run.extent.warm_up).await;
            let course = course(run, run.extent.window * WINDOWS).await?;
            let under = course.last().copied().unwrap_or_default();
            run.stop(clients).await?;
            tokio::time::sleep(5 * run.extent.warm_up).await;
            let after = run.resident_bytes();
            let figure = |name: &str, value| (name.to_owned(), value);
            Ok(vec![
                figure("memory before load, MiB", mib(before)),
                figure("memory under load, MiB", mib(under)),
                figure("memory some seconds after load, MiB", mib(after)),
                figure(
                    "growth of memory by an hour of load, MiB",
                    per_hour(&course),
                ),
            ])
        })
    }
}

/// Resident memory, step by step, for so long.
async fn course(run: &Run<'_>, window: Duration) -> io::Result<Vec<u64>> {
    let steps = window.as_millis() / STEP.as_millis();
    let mut course = Vec::new();
    for _ in 0..steps {
        tokio::time::sleep(STEP).await;
        course.push(run.resident_bytes());
    }
    Ok(course)
}

/// The mean of the second half less that of the first, which lie half the time apart, as MiB an hour.
fn per_hour(course: &[u64]) -> f64 {
    let half = course.len() / 2;
    let mean = |part: &[u64]| part.iter().map(|bytes| mib(*bytes)).sum::<f64>() / half as f64;
    let apart = STEP.as_secs_f64() * half as f64;
    match half {
        0 => 0.0,
        _ => (mean(&course[course.len() - half..]) - mean(&course[..half])) / apart * 3600.0,
    }
}
