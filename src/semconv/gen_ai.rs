//! OpenTelemetry GenAI conventions as they stand: `gen_ai`.
//!
//! Follows open-telemetry/semantic-conventions-genai v0.1.0, its first release (core conventions v1.45.0): the client
//! inference span and the `gen_ai.client.inference.*` metrics, the embeddings span and the `gen_ai.client.embeddings.*` metrics;
//! of other calls in which no text is generated the duration is `gen_ai.client.operation.duration`, and there is no token
//! metric. `openai.*` stands on spans wherever the wire carries it;
//! on metrics the tier only, for the provider `openai`. What the generations before have in common with this
//! one is here, for [`gen_ai_2025`](super::gen_ai_2025) and [`gen_ai_2024`](super::gen_ai_2024) to share.

use super::facets::{RESPONSE_MODEL, RESPONSE_SYSTEM_FINGERPRINT, push_model, push_upstream};
use super::metric::{Kind, Metric, Record, Sample, buckets};
use super::own::push_source;
use super::{Attribute, Attributes, Facets, Labels, Vocabulary};
use super::{content, operation, provider};
use crate::exchange::{Exchange, OutputType, Request, Usage};

/// Key that every GenAI span carries.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// `error.type`, the same value on spans and metrics.
pub const ERROR_TYPE: &str = "error.type";
/// The event with what was said in an inference.
pub const DETAILS_EVENT: &str = "gen_ai.client.inference.operation.details";
/// Upstream host.
pub const SERVER_ADDRESS: &str = "server.address";
/// Upstream port.
pub const SERVER_PORT: &str = "server.port";

/// The provider, under the name it has had since v1.37.0.
pub(super) const PROVIDER_NAME: &str = "gen_ai.provider.name";
const REQUEST_MODEL: &str = "gen_ai.request.model";
const RESPONSE_SERVICE_TIER: &str = "openai.response.service_tier";
const TOKEN_MODALITY: &str = "gen_ai.token.modality";

static DURATION: Metric = Metric {
    name: "gen_ai.client.inference.duration",
    unit: "s",
    description: "Duration of an inference call, from its issue to the upstream until the response has ended.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static EMBEDDINGS_DURATION: Metric = Metric {
    name: "gen_ai.client.embeddings.duration",
    unit: "s",
    description: "Duration of an embeddings call, from its issue to the upstream until the response has ended.",
    kind: Kind::Histogram(buckets::GEN_AI_DURATION),
    exemplars: true,
};
static EMBEDDINGS_INPUT_TOKENS: Metric = Metric {
    name: "gen_ai.client.embeddings.operation.input_tokens",
    unit: "{token}",
    description: "Input tokens of one embeddings call, as reported.",
    kind: Kind::Histogram(buckets::GEN_AI_TOKENS),
    exemplars: false,
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
    kind: Kind::Histogram(buckets::GEN_AI_TOKENS),
    exemplars: false,
};
static OPERATION_OUTPUT_TOKENS: Metric = Metric {
    name: "gen_ai.client.inference.operation.output_tokens",
    unit: "{token}",
    description: "Output tokens of one call, as reported.",
    kind: Kind::Histogram(buckets::GEN_AI_TOKENS),
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

static METRICS: [&Metric; 13] = [
    &DURATION,
    &EMBEDDINGS_DURATION,
    &EMBEDDINGS_INPUT_TOKENS,
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

    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
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
        span.put_some(
            "gen_ai.usage.text.cache_read.input_tokens",
            usage.text_cache_read_input_tokens,
        );
        span.put_some(
            "gen_ai.usage.image.cache_read.input_tokens",
            usage.image_cache_read_input_tokens,
        );
        span.put_some(
            "gen_ai.usage.audio.cache_read.input_tokens",
            usage.audio_cache_read_input_tokens,
        );
    }

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        let Some((operation, _)) = exchange.model_call() else {
            return;
        };
        let duration = exchange.call_end() - exchange.issued();
        if operation.is_embeddings() {
            record.record(
                &FAILURE,
                None,
                &[Some(EMBEDDINGS_DURATION.sample(duration))],
            );
            let input = exchange.usage.input_tokens;
            let input = input.map(|count| EMBEDDINGS_INPUT_TOKENS.sample(count));
            record.record(&EMBEDDINGS_TOKENS, None, &[input]);
            return;
        }
        if !operation.generates_text() {
            // The oldest generation spoken records what several have in common.
            if !record.includes("gen_ai_2025") && !record.includes("gen_ai_2024") {
                record.record(&OUTCOME, None, &[Some(OPERATION_DURATION.sample(duration))]);
            }
            return;
        }
        record.record(&OUTCOME, None, &[Some(DURATION.sample(duration))]);
        record_chunk_times(
            exchange,
            &TIME_TO_FIRST_CHUNK,
            &TIME_PER_OUTPUT_CHUNK,
            record,
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
pub(super) fn shared(exchange: &Exchange, span: &mut Attributes<'_>) {
    unchanged(exchange, span);
    let Some((operation, upstream)) = exchange.model_call() else {
        return;
    };
    if !span.is_new(PROVIDER_NAME) {
        return;
    }
    let (request, response, usage) = (&exchange.request, &exchange.response, &exchange.usage);
    span.put(PROVIDER_NAME, provider::name(upstream));
    let streams = request.stream.filter(|stream| *stream);
    span.put_some("gen_ai.request.stream", streams);
    span.put_some("openai.api.type", operation::openai_api_type(operation));
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
    content::put(exchange, span);
}

/// Span attributes that did not change since 2024; put once, by whichever vocabulary comes first.
pub(super) fn unchanged(exchange: &Exchange, span: &mut Attributes<'_>) {
    let Some((operation, _)) = exchange.model_call() else {
        return;
    };
    if !span.is_new(OPERATION_NAME) {
        return;
    }
    span.put(OPERATION_NAME, operation::name(operation));
    span.put_some(REQUEST_MODEL, exchange.request.model.as_deref());
    if let Some(endpoint) = &exchange.endpoint {
        span.put(SERVER_ADDRESS, &*endpoint.address);
        span.put(SERVER_PORT, endpoint.port);
    }
    unchanged_request(&exchange.request, span);
    unchanged_response(exchange, span);
    let failure = exchange.failure.as_ref();
    span.put_once(ERROR_TYPE, failure.map(|failure| &failure.kind));
}

fn unchanged_request(request: &Request, span: &mut Attributes<'_>) {
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
    let stop = request.stop_sequences.as_deref().map(texts);
    span.put_some("gen_ai.request.stop_sequences", stop.as_deref());
    span.put_some("gen_ai.request.seed", request.seed);
    span.put_some("gen_ai.output.type", request.output_type.map(output_type));
    if let Some(format) = request.encoding_format.as_deref() {
        span.put("gen_ai.request.encoding_formats", &[format][..]);
    }
}

/// Texts as the value of an attribute has them.
pub(super) fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The service tier, where the request chose one.
pub(super) fn chosen_tier(request: &Request) -> Option<&str> {
    let tier = request.service_tier.as_deref();
    tier.filter(|tier| *tier != "auto")
}

fn unchanged_response(exchange: &Exchange, span: &mut Attributes<'_>) {
    let (response, usage) = (&exchange.response, &exchange.usage);
    span.put_some("gen_ai.response.id", response.id.as_deref());
    span.put_some("gen_ai.conversation.id", exchange.conversation_id());
    span.put_some(RESPONSE_MODEL, response.model.as_deref());
    span.put_list("gen_ai.response.finish_reasons", exchange.finish_reasons());
    span.put_some("gen_ai.usage.input_tokens", usage.input_tokens);
    span.put_some("gen_ai.usage.output_tokens", usage.output_tokens);
}

/// What the provider keeps: conversations, responses, templates.
fn stored(exchange: &Exchange, span: &mut Attributes<'_>) {
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
/// Those of a duration that is not OpenAI's to add to.
pub(super) static FAILURE: Labels = Labels(|facets, labels| {
    push_base(facets, labels);
    push_error(facets, labels);
});
/// Those of numbers of tokens that are not OpenAI's to add to either.
static EMBEDDINGS_TOKENS: Labels = Labels(|facets, labels| {
    push_base(facets, labels);
    push_source(facets, labels);
});
/// Those of numbers of tokens.
pub(super) static TOKENS: Labels = Labels(|facets, labels| {
    push_base(facets, labels);
    push_openai(facets, labels);
    push_source(facets, labels);
});

/// Adds what every GenAI metric carries.
pub(super) fn push_base<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let (Some(operation), Some(upstream)) = (facets.operation, &facets.upstream) else {
        return;
    };
    labels.push((OPERATION_NAME, operation::name(operation).into()));
    labels.push((PROVIDER_NAME, provider::name(upstream).into()));
    let model = facets.request_model.as_deref();
    labels.extend(model.map(|model| (REQUEST_MODEL, model.into())));
    let model = facets.response_model.as_deref();
    labels.extend(model.map(|model| (RESPONSE_MODEL, model.into())));
    if let Some(endpoint) = &facets.endpoint {
        labels.push((SERVER_ADDRESS, (&*endpoint.address).into()));
        labels.push((SERVER_PORT, endpoint.port.into()));
    }
    push_upstream(facets, labels);
    push_model(facets, labels);
}

/// Adds `error.type` where the call failed.
pub(super) fn push_error<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let kind = facets.failure.as_deref();
    labels.extend(kind.map(|kind| (ERROR_TYPE, kind.into())));
}

/// Adds the service tier where the provider is `openai`.
pub(super) fn push_openai<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let tier = facets.service_tier.as_deref();
    labels.extend(tier.map(|tier| (RESPONSE_SERVICE_TIER, tier.into())));
}

/// Records the time to the first chunk, and the gaps between output events.
pub(super) fn record_chunk_times(
    exchange: &Exchange,
    first: &'static Metric,
    gap: &'static Metric,
    record: &mut dyn Record,
) {
    let time = exchange.time_to_first_chunk();
    let sample = time.map(|time| first.sample(time));
    record.record(&BASE, None, &[sample]);
    for (width, times) in &exchange.flow.gaps {
        record.record(&BASE, None, &[Some(gap.sample_times(*width, *times))]);
    }
}

/// Usage by modality: what the provider broke down under its name, the rest as `unknown`.
fn record_usage(usage: &Usage, record: &mut dyn Record) {
    let modalities = [
        (
            "text",
            usage.text_input_tokens,
            usage.text_output_tokens,
            usage.text_cache_read_input_tokens,
        ),
        (
            "image",
            usage.image_input_tokens,
            usage.image_output_tokens,
            usage.image_cache_read_input_tokens,
        ),
        (
            "audio",
            usage.audio_input_tokens,
            usage.audio_output_tokens,
            usage.audio_cache_read_input_tokens,
        ),
    ];
    let (mut input, mut output) = (usage.input_tokens, usage.output_tokens);
    let mut cached = usage.cache_read_input_tokens;
    for (modality, part_in, part_out, part_cached) in modalities {
        let samples = [
            take(&mut input, part_in, &USAGE_INPUT),
            take(&mut output, part_out, &USAGE_OUTPUT),
            take(&mut cached, part_cached, &USAGE_CACHE_READ),
        ];
        record.record(&TOKENS, Some((TOKEN_MODALITY, modality)), &samples);
    }
    record.record(
        &TOKENS,
        Some((TOKEN_MODALITY, "unknown")),
        &[
            input.map(|count| USAGE_INPUT.sample(count)),
            output.map(|count| USAGE_OUTPUT.sample(count)),
            cached.map(|count| USAGE_CACHE_READ.sample(count)),
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
