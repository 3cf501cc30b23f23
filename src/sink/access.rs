//! The access log: a line for each exchange, or for each that failed. The others have one at the level `debug`.
//!
//! It is written when an exchange is over, off the byte path. No body, no query and no credential is in it.

use std::sync::Arc;
use std::time::Duration;

use super::{ExchangeId, Sink};
use crate::exchange::Exchange;
use crate::log::AccessLines;

/// Writes the access log.
#[derive(Debug)]
pub struct AccessLog(AccessLines);

impl AccessLog {
    /// A log of these lines.
    #[must_use]
    pub const fn of(lines: AccessLines) -> Self {
        Self(lines)
    }

    fn has(&self, exchange: &Exchange) -> bool {
        match self.0 {
            AccessLines::Off => false,
            AccessLines::Errors => exchange.failure.is_some(),
            AccessLines::All => true,
        }
    }
}

impl Sink for AccessLog {
    fn name(&self) -> &'static str {
        "access"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        match self.has(exchange) {
            true => access(exchange),
            false => debug(exchange),
        }
    }
}

fn access(exchange: &Exchange) {
    let http = &exchange.http;
    let (input, output) = (
        exchange.reported_input_tokens(),
        exchange.reported_output_tokens(),
    );
    let estimate = exchange.usage.estimate;
    let place = exchange.conversation.as_deref();
    tracing::info!(
        target: crate::log::ACCESS,
        method = &*http.method,
        path = &*http.path,
        route = http.route,
        upstream = exchange.upstream.as_ref().map(|upstream| &*upstream.name),
        model = exchange.request.model.as_deref(),
        status = http.status,
        ttft_ms = exchange.time_to_first_token().map(milliseconds),
        duration_ms = milliseconds(exchange.times.end),
        input_tokens = input,
        output_tokens = output,
        estimated_input_tokens = estimate.input_tokens.filter(|_| input.is_none()),
        estimated_output_tokens = estimate.output_tokens.filter(|_| output.is_none()),
        end = exchange.end.as_str(),
        error_type = exchange.failure.as_ref().map(|failure| failure.kind.as_str()),
        peer = http.peer.map(tracing::field::display),
        conversation = place.map(|place| format!("{:032x}", place.id)),
        turn = place.map(|place| place.turn),
        trace_id = exchange.trace_id().map(|id| format!("{id:032x}")),
        "access"
    );
}

/// What an engineer looks for who follows one call through the log.
fn debug(exchange: &Exchange) {
    let http = &exchange.http;
    let attempts = &exchange.attempts;
    let waited: Duration = attempts.iter().filter_map(|attempt| attempt.waited).sum();
    tracing::debug!(
        peer = http.peer.map(tracing::field::display),
        method = &*http.method,
        path = &*http.path,
        upstream = exchange.upstream.as_ref().map(|upstream| &*upstream.name),
        status = http.status,
        duration_ms = milliseconds(exchange.times.end),
        end = exchange.end.as_str(),
        error_type = exchange
            .failure
            .as_ref()
            .map(|failure| failure.kind.as_str()),
        attempts = attempts.len(),
        waited_ms = milliseconds(waited),
        usage_asked = exchange.request.usage_injected,
        malformed = exchange.problems.malformed,
        trace_id = exchange.trace_id().map(|id| format!("{id:032x}")),
        "a call ended"
    );
}

/// In whole microseconds, without what a binary fraction adds to them.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_no_more_digits_than_they_need() {
        for (micros, shown) in [
            (12_300, "12.3"),
            (1, "0.001"),
            (0, "0"),
            (70_000_001, "70000.001"),
        ] {
            assert_eq!(
                milliseconds(Duration::from_micros(micros)).to_string(),
                shown
            );
        }
        assert_eq!(
            milliseconds(Duration::from_nanos(12_300_001)).to_string(),
            "12.3"
        );
    }
}
