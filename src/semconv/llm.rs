//! The `llm` vocabulary: names of the widespread hand-written instrumentation that this proxy replaces.
//!
//! `llm.model` and the label `model` are the requested model. Lengths are Unicode code points of content, summed over
//! choices. Labels of metrics are `model`, `upstream`, and what tells the samples of one metric apart. No label tells
//! operations apart, so requests, errors and times are those of inference calls only: a server that tokenizes for the model
//! it serves would spoil its latencies. Tokens add up over all calls that report them, as their cost does.

use super::facets::{push_model, push_told, push_upstream};
use super::gen_ai::push_error;
use super::metric::{Kind, Metric, Record, buckets, counter};
use super::own::cost::picodollars;
use super::own::push_source;
use super::{Attribute, Attributes, Facets, Labels, Vocabulary};
use crate::exchange::{End, Exchange, Operation, Price};

/// What the names of attributes of a prompt's variables begin with.
pub const PROMPT_VARIABLES: &str = "llm.prompt.variables.";

const TOKEN_TYPE: &str = "token.type";
const TOOL_NAME: &str = "tool.name";

static REQUEST_DURATION: Metric = Metric {
    name: "llm.request.duration",
    unit: "s",
    description: "Time from the last byte of the prompt to the last token, or to the end where no token came; of calls that did not fail.",
    kind: Kind::Histogram(buckets::WHOLE),
    exemplars: true,
};
static FIRST_TOKEN_LATENCY: Metric = Metric {
    name: "llm.stream.first_token_latency",
    unit: "s",
    description: "Time from the last byte of the prompt to the first event with generated output.",
    kind: Kind::Histogram(buckets::WAIT),
    exemplars: true,
};
static TOKENS_PROMPT: Metric = counter(
    "llm.tokens.prompt",
    "{token}",
    "Prompt tokens, as reported; llm.tokens.total has them too.",
);
static TOKENS_COMPLETION: Metric = counter(
    "llm.tokens.completion",
    "{token}",
    "Completion tokens, as reported; llm.tokens.total has them too.",
);
static TOKENS_TOTAL: Metric = counter(
    "llm.tokens.total",
    "{token}",
    "Tokens by type, as reported.",
);
static COST: Metric = Metric {
    kind: Kind::Cost,
    ..counter(
        "llm.tokens.cost",
        "{USD}",
        "What tokens cost by the price catalogue, as far as their number is reported; searches and the like are of no type.",
    )
};
static REQUESTS: Metric = counter("llm.requests", "{request}", "Inference calls.");
static ERRORS: Metric = counter("llm.errors", "{request}", "Inference calls that failed.");
static TOOL_CALLS: Metric = counter(
    "gen_ai.tool.calls",
    "{call}",
    "Tool calls that models asked for.",
);
static TOOL_DURATION: Metric = Metric {
    name: "llm.tool.call.duration",
    unit: "s",
    description: "Time from the end of a tool call's arguments to the request that brings its result: an upper bound seen from the wire.",
    kind: Kind::Histogram(buckets::TOOL),
    exemplars: true,
};
static ERROR_RATE: Metric = Metric {
    name: "llm.error.rate",
    unit: "1",
    description: "Share of inference calls that failed, rate limits included, over a sliding window.",
    kind: Kind::WindowMean,
    exemplars: false,
};

static METRICS: [&Metric; 11] = [
    &REQUEST_DURATION,
    &FIRST_TOKEN_LATENCY,
    &TOKENS_PROMPT,
    &TOKENS_COMPLETION,
    &TOKENS_TOTAL,
    &COST,
    &REQUESTS,
    &ERRORS,
    &TOOL_CALLS,
    &TOOL_DURATION,
    &ERROR_RATE,
];

/// The vocabulary `llm`.
pub struct Llm;

impl Vocabulary for Llm {
    fn name(&self) -> &'static str {
        "llm"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        &METRICS
    }

    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        let (request, response, usage) = (&exchange.request, &exchange.response, &exchange.usage);
        span.put_some("llm.model", request.model.as_deref());
        span.put_some("llm.prompt.length", request.prompt_chars);
        span.put_some("llm.prompt.template", exchange.template_name());
        span.put_some("llm.prompt.template.version", exchange.template_version());
        span.put_some("llm.response.model", response.model.as_deref());
        span.put_some("llm.response.usage.prompt_tokens", usage.input_tokens);
        span.put_some("llm.response.usage.completion_tokens", usage.output_tokens);
        span.put_some("llm.response.usage.total_tokens", usage.total_tokens);
        span.put_some(
            "llm.response.finish_reason",
            exchange.finish_reasons().next(),
        );
        span.put_some("llm.response.chunk_count", exchange.flow.chunks);
        span.put_some("llm.response.full_length", response.content_chars);
        let latency = exchange
            .time_to_first_token()
            .map(|time| time.as_secs_f64() * 1000.0);
        span.put_some("llm.response.first_token_latency_ms", latency);
    }

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        let Some((operation, _)) = exchange.model_call() else {
            return;
        };
        let of_inference = |sample| operation.generates_text().then_some(sample);
        let usage = &exchange.usage;
        let failed = if exchange.failure.is_some() { 1.0 } else { 0.0 };
        let (input, output) = (
            exchange.reported_input_tokens(),
            exchange.reported_output_tokens(),
        );
        record.record(
            &BASE,
            None,
            &[
                of_inference(REQUESTS.sample(1_u64)),
                of_inference(ERROR_RATE.sample(failed)),
                duration(exchange)
                    .map(|time| REQUEST_DURATION.sample(time))
                    .and_then(of_inference),
                exchange
                    .time_to_first_token()
                    .map(|time| FIRST_TOKEN_LATENCY.sample(time))
                    .and_then(of_inference),
            ],
        );
        record.record(
            &OF_TOKENS,
            None,
            &[
                input.map(|count| TOKENS_PROMPT.sample(count)),
                output.map(|count| TOKENS_COMPLETION.sample(count)),
            ],
        );
        if usage.estimate.is_there() {
            let input = usage.input_tokens.map(|count| TOKENS_PROMPT.sample(count));
            let output = usage
                .output_tokens
                .map(|count| TOKENS_COMPLETION.sample(count));
            record.record(&BY_SOURCE, None, &[input, output]);
        }
        record_each(exchange, record);
        if let Some(cost) = exchange.price.as_ref().and_then(Price::reported) {
            let sample = |amount| picodollars(amount).map(|amount| COST.sample(amount));
            record.record(&PROMPT, None, &[sample(cost.input)]);
            record.record(&COMPLETION, None, &[sample(cost.output)]);
            record.record(&OF_TOKENS, None, &[sample(cost.other())]);
        }
        let error = exchange.failure.as_ref().map(|_| ERRORS.sample(1_u64));
        record.record(&OUTCOME, None, &[error.and_then(of_inference)]);
    }
}

static BASE: Labels = Labels(push_base);
/// Those of tokens and of what they cost, for whoever shares out a bill.
static OF_TOKENS: Labels = Labels(push_of_tokens);
static BY_SOURCE: Labels = Labels(|facets, labels| {
    push_of_tokens(facets, labels);
    push_source(facets, labels);
});
static PROMPT: Labels = Labels(|facets, labels| {
    push_of_tokens(facets, labels);
    labels.push((TOKEN_TYPE, "prompt".into()));
    push_source(facets, labels);
});
static COMPLETION: Labels = Labels(|facets, labels| {
    push_of_tokens(facets, labels);
    labels.push((TOKEN_TYPE, "completion".into()));
    push_source(facets, labels);
});
static OUTCOME: Labels = Labels(|facets, labels| {
    push_base(facets, labels);
    push_error(facets, labels);
});

fn push_of_tokens<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    push_base(facets, labels);
    push_told(facets, labels);
}

fn push_base<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    push_model(facets, labels);
    push_upstream(facets, labels);
}

/// Tokens by type and calls by tool, each with one label more.
fn record_each(exchange: &Exchange, record: &mut dyn Record) {
    let usage = &exchange.usage;
    for (labels, count) in [
        (&PROMPT, usage.input_tokens),
        (&COMPLETION, usage.output_tokens),
    ] {
        let Some(count) = count else { continue };
        record.record(labels, None, &[Some(TOKENS_TOTAL.sample(count))]);
    }
    // A fetched response asked for its tools before, however often it is fetched.
    let asked = exchange.operation.is_some_and(Operation::generates_text);
    for operation in exchange
        .response
        .client_calls()
        .filter(|operation| asked && !operation.name.is_empty())
    {
        let facets = Facets::of(exchange);
        let mut labels = BASE.of(&facets, None);
        labels.push((TOOL_NAME, (&operation.name).into()));
        record.record_under(&labels, &[Some(TOOL_CALLS.sample(1_u64))]);
    }
    let waits = exchange.conversation.iter().flat_map(|place| &place.waits);
    for wait in waits.filter(|wait| !wait.name.is_empty()) {
        let facets = Facets::of(exchange);
        let mut labels = BASE.of(&facets, None);
        labels.push((TOOL_NAME, (&wait.name).into()));
        record.record_under(&labels, &[Some(TOOL_DURATION.sample(wait.lasted))]);
    }
}

/// From prompt receipt to the last token; to the end where the call was left, or was no stream. A call that failed has no
/// last token, and its time would stand among those of good ones.
fn duration(exchange: &Exchange) -> Option<std::time::Duration> {
    if exchange.failure.is_some() {
        return None;
    }
    let whole = exchange.response.streamed && exchange.end != End::ClientLeft;
    let last = exchange
        .times
        .last_token
        .filter(|_| whole)
        .unwrap_or(exchange.times.end);
    Some(last.saturating_sub(exchange.times.request_end.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
