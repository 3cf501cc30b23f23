//! In the test build a stage that fails on a call of a certain model, and says in its panic all that it knows, to show that the log does
//! not.

use super::{Finished, Stage};

pub(super) struct FaultStage;

impl Stage for FaultStage {
    fn name(&self) -> &'static str {
        "fault"
    }

    fn run(&mut self, finished: &mut Finished) {
        let exchange = &*finished.exchange;
        let model = exchange.request.model.as_deref();
        if model.is_some_and(|model| model.contains("fail-in-a-stage")) {
            #[expect(clippy::panic, reason = "this is what it is for")]
            std::panic::panic_any(format!("cannot read {exchange:?}"));
        }
    }
}
