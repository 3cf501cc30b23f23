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

use super::gen_ai::{self, PROVIDER_NAME, base};
use super::gen_ai_2025::{PushOpenai, SINCE_2024, record_tokens_and_durations, server_times};
use super::metric::{Metric, Record};
use super::{Attribute, Attributes, Vocabulary};
use crate::exchange::Exchange;

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

    fn inference<'a>(&self, exchange: &'a Exchange, span: &mut Attributes<'a>) {
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
        let Some(mut attributes) = base(exchange) else {
            return;
        };
        let newer = record.hears("gen_ai") || record.hears("gen_ai_2025");
        if !newer {
            attributes.retain(|(key, _)| *key != PROVIDER_NAME);
        }
        attributes.extend(system(exchange).map(|system| (SYSTEM, system.into())));
        let push_openai: PushOpenai = if newer {
            push_openai_of_both
        } else {
            push_openai
        };
        record_tokens_and_durations(exchange, &mut attributes, push_openai, record);
        record.record(&attributes, &server_times(exchange));
    }
}

/// Span attributes under the names that [`traceloop`](super::traceloop) has kept too.
pub(super) fn renamed<'a>(exchange: &'a Exchange, span: &mut Attributes<'a>) {
    let usage = &exchange.usage;
    span.put_once(SYSTEM, system(exchange));
    span.put_once("gen_ai.usage.prompt_tokens", usage.input_tokens);
    span.put_once("gen_ai.usage.completion_tokens", usage.output_tokens);
    let fingerprint = exchange.response.system_fingerprint.as_deref();
    span.put_once(RESPONSE_SYSTEM_FINGERPRINT, fingerprint);
}

/// The provider as it was called then.
fn system(exchange: &Exchange) -> Option<&str> {
    let provider = &*exchange.upstream.as_ref()?.provider;
    Some(match provider {
        "azure.ai.openai" => "az.ai.openai",
        "azure.ai.inference" => "az.ai.inference",
        "gcp.vertex_ai" => "vertex_ai",
        "gcp.gemini" => "gemini",
        "x_ai" => "xai",
        unchanged => unchanged,
    })
}

/// Adds service tier and fingerprint where the provider is `openai`.
fn push_openai<'a>(attributes: &mut Vec<Attribute<'a>>, exchange: &'a Exchange) {
    if system(exchange) == Some("openai") {
        let response = &exchange.response;
        let tier = response.service_tier.as_deref();
        attributes.extend(tier.map(|tier| (RESPONSE_SERVICE_TIER, tier.into())));
        let fingerprint = response.system_fingerprint.as_deref();
        attributes.extend(fingerprint.map(|print| (RESPONSE_SYSTEM_FINGERPRINT, print.into())));
    }
}

/// The same under both generations' names.
fn push_openai_of_both<'a>(attributes: &mut Vec<Attribute<'a>>, exchange: &'a Exchange) {
    push_openai(attributes, exchange);
    gen_ai::push_openai(attributes, exchange);
}

#[cfg(test)]
mod tests;
