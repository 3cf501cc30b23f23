//! Large prompts, as an agent sends them with pictures or whole files: what memory is left behind?

use super::{Doing, Size, Work};
use crate::run::{Run, mib};
use crate::support::chat::Answer;

/// How many.
const PROMPTS: u64 = 60;
/// How large each of them is.
const BYTES: usize = 6 << 20;
/// How many at a time.
const CLIENTS: usize = 4;

/// Resident memory after them, over that at rest before.
pub(crate) const TIMES_IDLE: &str = "memory after 60 prompts of 6 MiB, × idle";

/// The work.
pub(crate) struct Large;

impl Work for Large {
    fn name(&self) -> &'static str {
        "large"
    }

    fn figures<'a>(&'a self, run: &'a Run<'a>, _: Size) -> Doing<'a> {
        Box::pin(async move {
            if run.peer.process.is_none() {
                return Ok(Vec::new());
            }
            let idle = run.resident_at_rest().await?;
            let prompt = run.request(Answer::Unpaced(8)).with_prompt(BYTES);
            run.calls(prompt, CLIENTS, PROMPTS).await?;
            tokio::time::sleep(2 * run.extent.warm_up).await;
            let after = run.resident_bytes();
            Ok(vec![
                (
                    "memory after 60 prompts of 6 MiB, MiB".to_owned(),
                    mib(after),
                ),
                (TIMES_IDLE.to_owned(), after as f64 / idle.max(1) as f64),
            ])
        })
    }
}
