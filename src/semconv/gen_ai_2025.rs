//! OpenTelemetry GenAI conventions v1.37.0 to v1.41.0: `gen_ai_2025`.
//!
//! What most dashboards in use read: `gen_ai.client.token.usage`, `gen_ai.client.operation.*` and `gen_ai.server.*`. Span
//! attributes that did not change are [`gen_ai`](super::gen_ai)'s. The server metrics are measured at the proxy, from the
//! last byte of the request, which is as near as a proxy comes to the server's own reading.
//!
//! What [`llm`](super::llm) measures under names of its own is left to it where it records too: the duration of a request at
//! the proxy, and the times to its first chunk and token. So is the time between chunks, which the time per output token says
//! again of a model. Every histogram costs a model some seventeen series.

use rust_decimal::prelude::ToPrimitive as _;

use super::gen_ai::{
    BASE, FAILURE, OPERATION_DURATION, OUTCOME, TOKENS, record_chunk_times, shared,
};
use super::metric::{Kind, Metric, Record, buckets};
use super::{Attributes, Labels, Vocabulary};
use crate::exchange::{End, Exchange, Operation, Price};

static TOKEN_USAGE: Metric = Metric {
    name: "gen_ai.client.token.usage",
    unit: "{token}",
    description: "Input and output tokens of one call, as reported; its sum is that of llm.tokens.total.",
    kind: Kind::Histogram(buckets::GEN_AI_TOKENS),
    exemplars: false,
};
static TIME_TO_FIRST_CHUNK: Metric = Metric {
    name: "gen_ai.client.operation.time_to_first_chunk",
    unit: "s",
    description: "Time from sending a streamed request to the upstream until its first event arrived.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static TIME_PER_OUTPUT_CHUNK: Metric = Metric {
    name: "gen_ai.client.operation.time_per_output_chunk",
    unit: "s",
    description: "Time between two consecutive events with generated output of a stream.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static SERVER_REQUEST_DURATION: Metric = Metric {
    name: "gen_ai.server.request.duration",
    unit: "s",
    description: "Time from the last byte of the request until the response has ended, at the proxy.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static TIME_TO_FIRST_TOKEN: Metric = Metric {
    name: "gen_ai.server.time_to_first_token",
    unit: "s",
    description: "Time from the last byte of the request to the first event with generated output, at the proxy.",
    kind: Kind::Histogram(buckets::SERVER_FIRST_TOKEN),
    exemplars: true,
};
static TIME_PER_OUTPUT_TOKEN: Metric = Metric {
    name: "gen_ai.server.time_per_output_token",
    unit: "s",
    description: "Mean time per output token after the first: (request duration - time to first token) / (tokens - 1).",
    kind: Kind::Histogram(buckets::SERVER_OUTPUT_TOKEN),
    exemplars: true,
};

static METRICS: [&Metric; 7] = [
    &TOKEN_USAGE,
    &OPERATION_DURATION,
    &SERVER_REQUEST_DURATION,
    &TIME_TO_FIRST_TOKEN,
    &TIME_PER_OUTPUT_TOKEN,
    &TIME_TO_FIRST_CHUNK,
    &TIME_PER_OUTPUT_CHUNK,
];

/// Those that there were in 2024 already.
pub(super) static SINCE_2024: &[&Metric] = METRICS.split_at(5).0;

/// Whose metrics are not repeated.
const LLM: &str = "llm";
const TOKEN_TYPE: &str = "gen_ai.token.type";

/// The vocabulary `gen_ai_2025`.
pub struct GenAi2025;

impl Vocabulary for GenAi2025 {
    fn name(&self) -> &'static str {
        "gen_ai_2025"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        &METRICS
    }

    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        shared(exchange, span);
        span.put_once(
            "gen_ai.usage.cache_creation.input_tokens",
            exchange.usage.cache_write_input_tokens,
        );
        // No convention has it; OpenLIT and LiteLLM call it so, and Langfuse reads it.
        let cost = exchange.price.as_ref().and_then(Price::reported);
        span.put_some(
            "gen_ai.usage.cost",
            cost.and_then(|cost| cost.total.to_f64()),
        );
    }

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        let Some((operation, _)) = exchange.model_call() else {
            return;
        };
        // The oldest generation spoken records what several have in common.
        let shared = !record.includes("gen_ai_2024");
        if shared {
            record_tokens_and_durations(exchange, &SETS, record);
        }
        if operation.generates_text() && !record.includes(LLM) {
            let (first, gap) = (&TIME_TO_FIRST_CHUNK, &TIME_PER_OUTPUT_CHUNK);
            record_chunk_times(exchange, first, gap, record);
        }
        if shared {
            record_server_times(exchange, &BASE, record);
        }
    }
}

/// The sets of labels of the metrics since 2024, which generations fill differently.
pub(super) struct Sets {
    /// Of numbers of tokens.
    pub(super) tokens: &'static Labels,
    /// Of the server's duration.
    pub(super) server: &'static Labels,
    /// Of the operation's duration.
    pub(super) operation: &'static Labels,
}

static SETS: Sets = Sets {
    tokens: &TOKENS,
    server: &FAILURE,
    operation: &OUTCOME,
};

/// Records those of the metrics since 2024 that have labels beyond what all carry.
pub(super) fn record_tokens_and_durations(
    exchange: &Exchange,
    sets: &Sets,
    record: &mut dyn Record,
) {
    for (kind, count) in [
        ("input", exchange.usage.input_tokens),
        ("output", exchange.usage.output_tokens),
    ] {
        let Some(count) = count else { continue };
        let samples = [Some(TOKEN_USAGE.sample(count))];
        record.record(sets.tokens, Some((TOKEN_TYPE, kind)), &samples);
    }
    let inference = exchange.operation.is_some_and(Operation::generates_text);
    if inference && !record.includes(LLM) {
        let duration = SERVER_REQUEST_DURATION.sample(server_duration(exchange));
        record.record(sets.server, None, &[Some(duration)]);
    }
    let duration = OPERATION_DURATION.sample(exchange.call_end() - exchange.issued());
    record.record(sets.operation, None, &[Some(duration)]);
}

/// Records those of the metrics since 2024 that have no further attributes: the server's times, where all went well.
pub(super) fn record_server_times(
    exchange: &Exchange,
    labels: &'static Labels,
    record: &mut dyn Record,
) {
    let inference = exchange.operation.is_some_and(Operation::generates_text);
    if !inference || exchange.failure.is_some() || exchange.end == End::ClientLeft {
        return;
    }
    let first = exchange.time_to_first_token();
    let first = first.filter(|_| !record.includes(LLM));
    let samples = [
        first.map(|time| TIME_TO_FIRST_TOKEN.sample(time)),
        server_time_per_output_token(exchange).map(|time| TIME_PER_OUTPUT_TOKEN.sample(time)),
    ];
    record.record(labels, None, &samples);
}

fn server_duration(exchange: &Exchange) -> std::time::Duration {
    exchange
        .times
        .end
        .saturating_sub(exchange.times.request_end.unwrap_or_default())
}

/// Its own definition, which unlike the span's counts to the end of the request rather than to the last token. What was not
/// seen was over before the first token, and is no decoding either.
fn server_time_per_output_token(exchange: &Exchange) -> Option<std::time::Duration> {
    let decoding = server_duration(exchange).checked_sub(exchange.time_to_first_token()?)?;
    let steps = exchange
        .seen_output_tokens()?
        .checked_sub(1)
        .filter(|steps| *steps > 0)?;
    Some(decoding.div_f64(steps as f64))
}

#[cfg(test)]
mod tests;
