//! OpenTelemetry GenAI conventions up to v1.36.0: `gen_ai_2024`.
//!
//! What instrumentations emit that were never told to do otherwise: `gen_ai.system`, with the values it had then, and
//! `gen_ai.openai.*`. Names that were given up before v1.36.0 (`gen_ai.usage.prompt_tokens`, `gen_ai.openai.request.seed`)
//! stand beside those that took their place, since readers of that time know one or the other. The format of
//! `gen_ai.openai.request.response_format` is not kept apart by kind, so that one is absent. Attributes and metrics that
//! did not change are [`gen_ai`]'s and [`gen_ai_2025`](super::gen_ai_2025)'s.
//!
//! A metric that newer generations have too is recorded once, here: where one of them is spoken as well its samples carry
//! the attributes of both, so that the queries of both find them and no sum is doubled.

use super::gen_ai::{self, PROVIDER_NAME, push_error};
use super::gen_ai_2025::{SINCE_2024, Sets, record_server_times, record_tokens_and_durations};
use super::metric::{Metric, Record};
use super::own::push_source;
use super::provider;
use super::{Attribute, Attributes, Facets, Labels, Vocabulary};
use crate::exchange::{Exchange, Upstream};

const SYSTEM: &str = "gen_ai.system";
const RESPONSE_SERVICE_TIER: &str = "gen_ai.openai.response.service_tier";
const RESPONSE_SYSTEM_FINGERPRINT: &str = "gen_ai.openai.response.system_fingerprint";

/// The vocabulary `gen_ai_2024`.
pub struct GenAi2024;

impl Vocabulary for GenAi2024 {
    fn name(&self) -> &'static str {
        "gen_ai_2024"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        SINCE_2024
    }

    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        gen_ai::unchanged(exchange, span);
        renamed(exchange, span);
        let (request, response) = (&exchange.request, &exchange.response);
        span.put_some("gen_ai.openai.request.seed", request.seed);
        span.put_some(
            "gen_ai.openai.request.service_tier",
            gen_ai::chosen_tier(request),
        );
        span.put_some(RESPONSE_SERVICE_TIER, response.service_tier.as_deref());
    }

    fn samples(&self, exchange: &Exchange, record: &mut dyn Record) {
        if exchange.model_call().is_none() {
            return;
        }
        let newer = record.includes("gen_ai") || record.includes("gen_ai_2025");
        let (base, sets) = if newer {
            (&BASE_OF_BOTH, &SETS_OF_BOTH)
        } else {
            (&BASE, &SETS)
        };
        record_tokens_and_durations(exchange, sets, record);
        record_server_times(exchange, base, record);
    }
}

static BASE: Labels = Labels(push_base);
static SETS: Sets = Sets {
    tokens: &Labels(|facets, labels| {
        push_base(facets, labels);
        push_openai(facets, labels);
        push_source(facets, labels);
    }),
    server: &Labels(|facets, labels| {
        push_base(facets, labels);
        push_error(facets, labels);
    }),
    operation: &Labels(|facets, labels| {
        push_base(facets, labels);
        push_error(facets, labels);
        push_openai(facets, labels);
    }),
};

/// What has the labels of this generation and of the newer ones.
static BASE_OF_BOTH: Labels = Labels(push_base_of_both);
static SETS_OF_BOTH: Sets = Sets {
    tokens: &Labels(|facets, labels| {
        push_base_of_both(facets, labels);
        push_openai_of_both(facets, labels);
        push_source(facets, labels);
    }),
    server: &Labels(|facets, labels| {
        push_base_of_both(facets, labels);
        push_error(facets, labels);
    }),
    operation: &Labels(|facets, labels| {
        push_base_of_both(facets, labels);
        push_error(facets, labels);
        push_openai_of_both(facets, labels);
    }),
};

fn push_base_of_both<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    gen_ai::push_base(facets, labels);
    let upstream = facets.upstream.as_deref();
    labels.extend(upstream.map(|upstream| (SYSTEM, system(upstream).into())));
}

fn push_base<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    push_base_of_both(facets, labels);
    labels.retain(|(key, _)| *key != PROVIDER_NAME);
}

/// Span attributes under the names that [`traceloop`](super::traceloop) has kept too.
pub(super) fn renamed(exchange: &Exchange, span: &mut Attributes<'_>) {
    let usage = &exchange.usage;
    span.put_once(SYSTEM, exchange.upstream.as_ref().map(system));
    span.put_once("gen_ai.usage.prompt_tokens", usage.input_tokens);
    span.put_once("gen_ai.usage.completion_tokens", usage.output_tokens);
    let fingerprint = exchange.response.system_fingerprint.as_deref();
    span.put_once(RESPONSE_SYSTEM_FINGERPRINT, fingerprint);
}

/// The provider as it was called then.
fn system(upstream: &Upstream) -> &str {
    match provider::name(upstream) {
        "azure.ai.openai" => "az.ai.openai",
        "azure.ai.inference" => "az.ai.inference",
        "gcp.vertex_ai" => "vertex_ai",
        "gcp.gemini" => "gemini",
        "x_ai" => "xai",
        unchanged => unchanged,
    }
}

/// Adds the service tier where the provider is `openai`.
fn push_openai<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    let tier = facets.service_tier.as_deref();
    labels.extend(tier.map(|tier| (RESPONSE_SERVICE_TIER, tier.into())));
}

/// The same under both generations' names.
fn push_openai_of_both<'f>(facets: &'f Facets<'_>, labels: &mut Vec<Attribute<'f>>) {
    push_openai(facets, labels);
    gen_ai::push_openai(facets, labels);
}

#[cfg(test)]
mod tests;
