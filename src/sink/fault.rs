//! In the test build a sink that fails on a call of a certain model, and says in its panic all that it knows, to show that the log does not.

use std::sync::Arc;

use super::{ExchangeId, Sink};
use crate::exchange::Exchange;

/// The sink that fails.
#[derive(Debug)]
pub struct FaultSink;

impl Sink for FaultSink {
    fn name(&self) -> &'static str {
        "fault"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let model = exchange.request.model.as_deref();
        if model.is_some_and(|model| model.contains("fail-in-a-sink")) {
            #[expect(clippy::panic, reason = "this is what it is for")]
            std::panic::panic_any(format!("cannot read {exchange:?}"));
        }
    }
}
