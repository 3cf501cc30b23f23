//! What became of an exchange, where its numbers come from, and what was found wrong with it, as counters.

use super::{
    BASE, CALL, DECISION, END, ESTIMATED_INPUT, ESTIMATED_OUTPUT, EXCHANGES, INTEGRITY, KIND,
    MEMBER, OBSERVATION_PROBLEMS, PARTIAL_EXCHANGES, QUIRK, QUIRKS, RESULT, SAMPLING, USAGE_CALLS,
    USAGE_MOVED, USAGE_SOURCE, problems, source,
};
use crate::exchange::Exchange;
use crate::semconv::metric::Record;

/// How it ended, whether its spans are kept, and who counted its tokens.
pub(super) fn record(exchange: &Exchange, record: &mut dyn Record) {
    let end = (END, exchange.end.as_str());
    record.record(&CALL, Some(end), &[Some(EXCHANGES.sample(1_u64))]);
    let partial = exchange.problems.is_partial();
    let partial = partial.then(|| PARTIAL_EXCHANGES.sample(1_u64));
    record.record(&BASE, None, &[partial]);
    if let Some(sampling) = exchange.sampling {
        let by = (DECISION, sampling.as_str());
        record.record(&BASE, Some(by), &[Some(SAMPLING.sample(1_u64))]);
    }
    if let Some(from) = exchange.usage_source() {
        let by = (USAGE_SOURCE, source(from));
        record.record(&BASE, Some(by), &[Some(USAGE_CALLS.sample(1_u64))]);
    }
    let estimate = exchange.usage.estimate;
    if estimate.is_there() {
        let samples = [
            estimate
                .input_tokens
                .map(|count| ESTIMATED_INPUT.sample(count)),
            estimate
                .output_tokens
                .map(|count| ESTIMATED_OUTPUT.sample(count)),
        ];
        record.record(&BASE, None, &samples);
    }
}

/// What the comparison of the bytes says, what the edit took along, and what was misread or odd.
pub(super) fn record_faults(exchange: &Exchange, record: &mut dyn Record) {
    if let Some(result) = exchange.integrity {
        let by = (RESULT, result.as_str());
        record.record(&BASE, Some(by), &[Some(INTEGRITY.sample(1_u64))]);
    }
    for member in &exchange.moved {
        let samples = [Some(USAGE_MOVED.sample(1_u64))];
        record.record(&BASE, Some((MEMBER, member)), &samples);
    }
    for (problem, count) in problems(exchange) {
        let samples = [Some(OBSERVATION_PROBLEMS.sample(count))];
        record.record(&BASE, Some((KIND, problem.kind)), &samples);
    }
    for quirk in exchange.quirks.iter() {
        let by = (QUIRK, quirk.id());
        record.record(&BASE, Some(by), &[Some(QUIRKS.sample(1_u64))]);
    }
}
