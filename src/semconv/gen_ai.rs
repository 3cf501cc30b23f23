//! OpenTelemetry GenAI conventions as they stand: `gen_ai`.
//!
//! Follows open-telemetry/semantic-conventions-genai at 6fd0d763 (2026-10-09, schema gen-ai-dev/1.42.0-dev), the client
//! inference span and the `gen_ai.client.inference.*` metrics; of calls in which no text is generated the duration is
//! `gen_ai.client.operation.duration`, and there is no token metric. `openai.*` stands on spans wherever the wire carries it;
//! on metrics only for the provider `openai`, as the conventions ask. What the generations before have in common with this
//! one is here, for [`gen_ai_2025`](super::gen_ai_2025) and [`gen_ai_2024`](super::gen_ai_2024) to share.

use super::metric::{Kind, Metric, Record, Sample, buckets};
use super::operation;
use super::own::push_source;
use super::{Attribute, Attributes, Facets, Labels, Vocabulary};
use crate::exchange::{Exchange, OutputType, Request, Usage};

/// Key that every GenAI span carries.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// `error.type`, the same value on spans and metrics.
pub const ERROR_TYPE: &str = "error.type";
/// Upstream host.
pub const SERVER_ADDRESS: &str = "server.address";
/// Upstream port.
pub const SERVER_PORT: &str = "server.port";

/// The provider, under the name it has had since v1.37.0.
pub(super) const PROVIDER_NAME: &str = "gen_ai.provider.name";
const REQUEST_MODEL: &str = "gen_ai.request.model";
const RESPONSE_MODEL: &str = "gen_ai.response.model";
const RESPONSE_SERVICE_TIER: &str = "openai.response.service_tier";
const RESPONSE_SYSTEM_FINGERPRINT: &str = "openai.response.system_fingerprint";
const TOKEN_MODALITY: &str = "gen_ai.token.modality";

static DURATION: Metric = Metric {
    name: "gen_ai.client.inference.duration",
    unit: "s",
    description: "Duration of an inference call, from its issue to the upstream until the response has ended.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
/// Shared with the generations before, where it is recorded for every call.
pub(super) static OPERATION_DURATION: Metric = Metric {
    name: "gen_ai.client.operation.duration",
    unit: "s",
    description: "Duration of an operation, from its issue to the upstream until the response has ended.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static TIME_TO_FIRST_CHUNK: Metric = Metric {
    name: "gen_ai.client.inference.time_to_first_chunk",
    unit: "s",
    description: "Time from sending a streamed request to the upstream until its first event arrived.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static TIME_PER_OUTPUT_CHUNK: Metric = Metric {
    name: "gen_ai.client.inference.time_per_output_chunk",
    unit: "s",
    description: "Time between two consecutive events with generated output of a stream.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static OPERATION_INPUT_TOKENS: Metric = Metric {
    name: "gen_ai.client.inference.operation.input_tokens",
    unit: "{token}",
    description: "Input tokens of one call, as reported.",
    kind: Kind::IntHistogram(buckets::GEN_AI_TOKENS),
    exemplars: false,
};
static OPERATION_OUTPUT_TOKENS: Metric = Metric {
    name: "gen_ai.client.inference.operation.output_tokens",
    unit: "{token}",
    description: "Output tokens of one call, as reported.",
    kind: Kind::IntHistogram(buckets::GEN_AI_TOKENS),
    exemplars: false,
};
static USAGE_INPUT: Metric = tokens(
    "gen_ai.client.inference.usage.input_tokens",
    "Input tokens, as reported, cached ones included.",
);
static USAGE_OUTPUT: Metric = tokens(
    "gen_ai.client.inference.usage.output_tokens",
    "Output tokens, as reported, reasoning included.",
);
static USAGE_CACHE_READ: Metric = tokens(
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "Input tokens read from a cache, a subset of the input tokens.",
);
static USAGE_CACHE_WRITE: Metric = tokens(
    "gen_ai.client.inference.usage.cache_write.input_tokens",
    "Input tokens written to a cache, a subset of the input tokens.",
);
static USAGE_REASONING: Metric = tokens(
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    "Output tokens spent on reasoning, a subset of the output tokens.",
);

static METRICS: [&Metric; 11] = [
    &DURATION,
    &OPERATION_DURATION,
    &TIME_TO_FIRST_CHUNK,
    &TIME_PER_OUTPUT_CHUNK,
    &USAGE_INPUT,
    &USAGE_OUTPUT,
    &USAGE_CACHE_READ,
    &USAGE_CACHE_WRITE,
    &USAGE_REASONING,
    &OPERATION_INPUT_TOKENS,
    &OPERATION_OUTPUT_TOKENS,
];

const fn tokens(name: &'static str, description: &'static str) -> Metric {
    Metric {
        name,
        unit: "{token}",
        description,
        kind: Kind::Counter,
        exemplars: false,
    }
}

/// The vocabulary `gen_ai`.
pub struct GenAi;

impl Vocabulary for GenAi {
    fn name(&self) -> &'static str {
        "gen_ai"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        &METRICS
    }

    fn inference<'a>(&self, exchange: &'a Exchange, span: &mut Attributes<'a>) {
        shared(exchange, span);
        stored(exchange, span);
        let usage = &exchange.usage;
        span.put_some(
            "gen_ai.request.reasoning.level",
            exchange.request.reasoning_level.as_deref(),
        );
        span.put_some("gen_ai.retrieval.top_k", exchange.request.result_limit);
        span.put_some(
            "gen_ai.usage.cache_write.input_tokens",
            usage.cache_write_input_tokens,
        );
        span.put_some("gen_ai.usage.audio.input_tokens", usage.audio_input_tokens);
        span.put_some(
            "gen_ai.usage.audio.output_tokens",
            usage.audio_output_tokens,
        );
        span.put_some("gen_ai.usage.text.input_tokens", usage.text_input_tokens);
        span.put_some("gen_ai.usage.text.output_tokens", usage.text_output_tokens);
        span.put_some("gen_ai.usage.image.input_tokens", usage.image_input_tokens);
        span.put_some(
            "gen_ai.usage.image.output_tokens",
            usage.image_output_tokens,
        );
    }

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        let Some((call, _)) = exchange.inference() else {
            return;
        };
        let duration = exchange.times.end - exchange.issued();
        if !call.is_inference() {
            // The oldest generation spoken records what several have in common.
            if !record.hears("gen_ai_2025") && !record.hears("gen_ai_2024") {
                record.record(&OUTCOME, None, &[Some(OPERATION_DURATION.sample(duration))]);
            }
            return;
        }
        record.record(&OUTCOME, None, &[Some(DURATION.sample(duration))]);
        record.record(
            &BASE,
            None,
            &chunk_times(exchange, &TIME_TO_FIRST_CHUNK, &TIME_PER_OUTPUT_CHUNK),
        );
        record_usage(&exchange.usage, record);
        record.record(
            &TOKENS,
            None,
            &[
                exchange
                    .usage
                    .input_tokens
                    .map(|count| OPERATION_INPUT_TOKENS.sample(count)),
                exchange
                    .usage
                    .output_tokens
                    .map(|count| OPERATION_OUTPUT_TOKENS.sample(count)),
            ],
        );
    }
}

/// Span attributes that did not change since 2025; put once, by whichever vocabulary comes first.
pub(super) fn shared<'a>(exchange: &'a Exchange, span: &mut Attributes<'a>) {
    unchanged(exchange, span);
    let Some((call, upstream)) = exchange.inference() else {
        return;
    };
    if span.has(PROVIDER_NAME) {
        return;
    }
    let (request, response, usage) = (&exchange.request, &exchange.response, &exchange.usage);
    span.put(PROVIDER_NAME, &*upstream.provider);
    let streams = request.stream.filter(|stream| *stream);
    span.put_some("gen_ai.request.stream", streams);
    span.put_some("openai.api.type", operation::openai_api_type(call));
    span.put_some("openai.request.service_tier", chosen_tier(request));
    span.put_some("gen_ai.embeddings.dimension.count", request.dimensions);
    span.put_some("gen_ai.data_source.id", request.data_source.as_deref());
    span.put_some(RESPONSE_SERVICE_TIER, response.service_tier.as_deref());
    span.put_some(
        RESPONSE_SYSTEM_FINGERPRINT,
        response.system_fingerprint.as_deref(),
    );
    span.put_some(
        "gen_ai.response.time_to_first_chunk",
        exchange.time_to_first_chunk(),
    );
    span.put_some(
        "gen_ai.usage.cache_read.input_tokens",
        usage.cache_read_input_tokens,
    );
    span.put_some(
        "gen_ai.usage.reasoning.output_tokens",
        usage.reasoning_output_tokens,
    );
}

/// Span attributes that did not change since 2024; put once, by whichever vocabulary comes first.
pub(super) fn unchanged<'a>(exchange: &'a Exchange, span: &mut Attributes<'a>) {
    let Some((call, upstream)) = exchange.inference() else {
        return;
    };
    if span.has(OPERATION_NAME) {
        return;
    }
    span.put(OPERATION_NAME, operation::name(call));
    span.put_some(REQUEST_MODEL, exchange.request.model.as_deref());
    span.put(SERVER_ADDRESS, &*upstream.address);
    span.put(SERVER_PORT, upstream.port);
    unchanged_request(&exchange.request, span);
    unchanged_response(exchange, span);
    span.put_some(
        ERROR_TYPE,
        exchange.failure.as_ref().map(|failure| &failure.kind),
    );
}

fn unchanged_request<'a>(request: &'a Request, span: &mut Attributes<'a>) {
    span.put_some("gen_ai.request.max_tokens", request.max_tokens);
    span.put_some(
        "gen_ai.request.choice.count",
        request.choice_count.filter(|count| *count != 1),
    );
    span.put_some("gen_ai.request.temperature", request.temperature);
    span.put_some("gen_ai.request.top_p", request.top_p);
    span.put_some("gen_ai.request.top_k", request.top_k);
    span.put_some(
        "gen_ai.request.frequency_penalty",
        request.frequency_penalty,
    );
    span.put_some("gen_ai.request.presence_penalty", request.presence_penalty);
    let stop = request.stop_sequences.as_ref();
    span.put_some(
        "gen_ai.request.stop_sequences",
        stop.map(|stop| stop.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    span.put_some("gen_ai.request.seed", request.seed);
    span.put_some("gen_ai.output.type", request.output_type.map(output_type));
    let format = request.encoding_format.as_deref();
    span.put_some(
        "gen_ai.request.encoding_formats",
        format.map(|format| vec![format]),
    );
}

/// The service tier, where the request chose one.
pub(super) fn chosen_tier(request: &Request) -> Option<&str> {
    let tier = request.service_tier.as_deref();
    tier.filter(|tier| *tier != "auto")
}

fn unchanged_response<'a>(exchange: &'a Exchange, span: &mut Attributes<'a>) {
    let (response, usage) = (&exchange.response, &exchange.usage);
    span.put_some("gen_ai.response.id", response.id.as_deref());
    span.put_some("gen_ai.conversation.id", exchange.conversation_id());
    span.put_some(RESPONSE_MODEL, response.model.as_deref());
    span.put_some("gen_ai.response.finish_reasons", exchange.finish_reasons());
    span.put_some("gen_ai.usage.input_tokens", usage.input_tokens);
    span.put_some("gen_ai.usage.output_tokens", usage.output_tokens);
}

/// What the provider keeps: conversations, responses, templates.
fn stored<'a>(exchange: &'a Exchange, span: &mut Attributes<'a>) {
    let (request, response) = (&exchange.request, &exchange.response);
    let compacted = request.compacted || response.compacted;
    span.put_some("gen_ai.conversation.compacted", compacted.then_some(true));
    span.put_some(
        "gen_ai.request.previous_response.id",
        request.previous_response_id.as_deref(),
    );
    span.put_some("gen_ai.prompt.name", request.prompt_name.as_deref());
    span.put_some("gen_ai.prompt.version", request.prompt_version.as_deref());
    span.put_some(
        "gen_ai.request.stream_cursor",
        request.stream_cursor.as_deref(),
    );
    let status = response.status.as_deref();
    span.put_some(
        "gen_ai.response.status",
        status.filter(|_| exchange.generates_elsewhere()),
    );
}

const fn output_type(kind: OutputType) -> &'static str {
    match kind {
        OutputType::Text => "text",
        OutputType::Json => "json",
        OutputType::Speech => "speech",
        OutputType::Image => "image",
    }
}

/// Labels that every GenAI metric carries.
pub(super) static BASE: Labels = Labels(push_base);
/// Those of a duration.
pub(super) static OUTCOME: Labels = Labels(|facets, labels| {
    push_base(facets, labels);
    push_error(facets, labels);
    push_openai(facets, labels);
});
/// Those of numbers of tokens.
pub(super) static TOKENS: Labels = Labels(|facets, labels| {
    push_base(facets, labels);
    push_openai(facets, labels);
    push_source(facets, labels);
});

/// Adds what every GenAI metric carries.
pub(super) fn push_base<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let (Some(call), Some(upstream)) = (facets.call, &facets.upstream) else {
        return;
    };
    labels.push((OPERATION_NAME, operation::name(call).into()));
    labels.push((PROVIDER_NAME, (&*upstream.provider).into()));
    let model = facets.request_model.as_deref();
    labels.extend(model.map(|model| (REQUEST_MODEL, model.into())));
    let model = facets.response_model.as_deref();
    labels.extend(model.map(|model| (RESPONSE_MODEL, model.into())));
    labels.push((SERVER_ADDRESS, (&*upstream.address).into()));
    labels.push((SERVER_PORT, upstream.port.into()));
}

/// Adds `error.type` where the call failed.
pub(super) fn push_error<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let kind = facets.failure.as_deref();
    labels.extend(kind.map(|kind| (ERROR_TYPE, kind.into())));
}

/// Adds service tier and fingerprint where the provider is `openai`.
pub(super) fn push_openai<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let tier = facets.service_tier.as_deref();
    labels.extend(tier.map(|tier| (RESPONSE_SERVICE_TIER, tier.into())));
    let fingerprint = facets.system_fingerprint.as_deref();
    labels.extend(fingerprint.map(|print| (RESPONSE_SYSTEM_FINGERPRINT, print.into())));
}

/// First-chunk time and the gaps between output events, as samples of the two metrics given.
pub(super) fn chunk_times(
    exchange: &Exchange,
    first: &'static Metric,
    gap: &'static Metric,
) -> Vec<Option<Sample>> {
    let gaps = exchange
        .flow
        .gaps
        .iter()
        .map(|(width, times)| Some(gap.sample_times(*width, *times)));
    let first = exchange
        .time_to_first_chunk()
        .map(|time| first.sample(time));
    first.map(Some).into_iter().chain(gaps).collect()
}

/// Usage by modality: what the provider broke down under its name, the rest as `unknown`.
fn record_usage(usage: &Usage, record: &mut dyn Record) {
    let modalities = [
        ("text", usage.text_input_tokens, usage.text_output_tokens),
        ("image", usage.image_input_tokens, usage.image_output_tokens),
        ("audio", usage.audio_input_tokens, usage.audio_output_tokens),
    ];
    let (mut input, mut output) = (usage.input_tokens, usage.output_tokens);
    for (modality, part_in, part_out) in modalities {
        let samples = [
            take(&mut input, part_in, &USAGE_INPUT),
            take(&mut output, part_out, &USAGE_OUTPUT),
        ];
        record.record(&TOKENS, Some((TOKEN_MODALITY, modality)), &samples);
    }
    record.record(
        &TOKENS,
        Some((TOKEN_MODALITY, "unknown")),
        &[
            input.map(|count| USAGE_INPUT.sample(count)),
            output.map(|count| USAGE_OUTPUT.sample(count)),
            usage
                .cache_read_input_tokens
                .map(|count| USAGE_CACHE_READ.sample(count)),
            usage
                .cache_write_input_tokens
                .map(|count| USAGE_CACHE_WRITE.sample(count)),
            usage
                .reasoning_output_tokens
                .map(|count| USAGE_REASONING.sample(count)),
        ],
    );
}

/// Takes a modality's part out of the total. `None`, and nothing taken, where it is zero or more than there is; the
/// total itself becomes `None` when nothing is left of it, so that a full breakdown has no empty rest.
fn take(total: &mut Option<u64>, part: Option<u64>, metric: &'static Metric) -> Option<Sample> {
    let part = part.filter(|part| *part > 0)?;
    let rest = total.as_ref()?.checked_sub(part)?;
    *total = (rest > 0).then_some(rest);
    Some(metric.sample(part))
}

#[cfg(test)]
mod tests;
