//! The members of a chat or text completion that are known: of the API reference, and of servers that add their own.
//!
//! A member with a quirk is one that the reference does not have. The tables are sorted by name.

use crate::dialect::unknown::Known;
use crate::exchange::Quirk::{
    self, CachedElsewhere, ChoiceFilter, Images, MoreUsage, OpaqueState, OwnMembers, PromptFilter,
    PromptProgress, Reasoning, UsageInChoice,
};

/// Beside `choices`.
pub(super) const ENVELOPE: &[Known] = &[
    ("__verbose", Some(OwnMembers)),
    ("base_resp", Some(OwnMembers)),
    ("choices", None),
    ("citations", Some(OwnMembers)),
    ("content", Some(OwnMembers)),
    ("created", None),
    ("error", None),
    ("id", None),
    ("images", Some(OwnMembers)),
    ("input_sensitive", Some(OwnMembers)),
    ("input_sensitive_type", Some(OwnMembers)),
    ("kv_transfer_params", Some(OwnMembers)),
    ("lastOne", Some(OwnMembers)),
    ("metadata", Some(OwnMembers)),
    ("metrics", Some(OwnMembers)),
    ("model", None),
    ("model_info", Some(OwnMembers)),
    ("nvext", Some(OwnMembers)),
    ("obfuscation", None),
    ("object", None),
    ("output_sensitive", Some(OwnMembers)),
    ("output_sensitive_int", Some(OwnMembers)),
    ("output_sensitive_type", Some(OwnMembers)),
    ("prompt_annotations", Some(PromptFilter)),
    ("prompt_filter_results", Some(PromptFilter)),
    ("prompt_logprobs", Some(OwnMembers)),
    ("prompt_progress", Some(PromptProgress)),
    ("prompt_token_ids", Some(OwnMembers)),
    ("provider", Some(OwnMembers)),
    ("related_questions", Some(OwnMembers)),
    ("request_id", Some(OwnMembers)),
    ("runtime", Some(OwnMembers)),
    ("search_results", Some(OwnMembers)),
    ("service_tier", None),
    ("stats", Some(OwnMembers)),
    ("system_fingerprint", None),
    ("time_info", Some(OwnMembers)),
    ("timings", Some(OwnMembers)),
    ("usage", None),
    ("usage_breakdown", Some(OwnMembers)),
    ("web_search", Some(OwnMembers)),
    ("x_groq", Some(OwnMembers)),
];

/// Of a choice.
pub(super) const CHOICE: &[Known] = &[
    ("content_filter_offsets", Some(ChoiceFilter)),
    ("content_filter_result", Some(ChoiceFilter)),
    ("content_filter_results", Some(ChoiceFilter)),
    ("delta", None),
    ("error", Some(OwnMembers)),
    ("finish_reason", None),
    ("hidden_states", Some(OwnMembers)),
    ("index", None),
    ("logprobs", None),
    ("matched_stop", Some(OwnMembers)),
    ("message", None),
    ("native_finish_reason", Some(OwnMembers)),
    ("prompt_logprobs", Some(OwnMembers)),
    ("prompt_token_ids", Some(OwnMembers)),
    ("routed_experts", Some(OwnMembers)),
    ("seed", Some(OwnMembers)),
    ("stop_reason", Some(OwnMembers)),
    ("text", None),
    ("token_ids", Some(OwnMembers)),
    ("usage", Some(UsageInChoice)),
];

/// Of a message, or of the delta of one.
pub(super) const MESSAGE: &[Known] = &[
    ("annotations", None),
    ("audio", None),
    ("channel", Some(OwnMembers)),
    ("citations", Some(OwnMembers)),
    ("content", None),
    ("context", Some(OwnMembers)),
    ("encrypted_content", Some(OpaqueState)),
    ("executed_tools", Some(OwnMembers)),
    ("extra_content", Some(OpaqueState)),
    ("function_call", None),
    ("images", Some(Images)),
    ("name", Some(OwnMembers)),
    ("provider_specific_fields", Some(OwnMembers)),
    ("reasoning", Some(Reasoning)),
    ("reasoning_content", Some(Reasoning)),
    ("reasoning_details", Some(Reasoning)),
    ("reasoning_signature", Some(OpaqueState)),
    ("refusal", None),
    ("role", None),
    ("signature", Some(OpaqueState)),
    ("thinking", Some(Reasoning)),
    ("thinking_blocks", Some(Reasoning)),
    ("thought_signature", Some(OpaqueState)),
    ("tool_calls", None),
];

/// Of a tool call, or of a fragment of one.
pub(super) const CALL: &[Known] = &[
    ("custom", None),
    ("extra_content", Some(OpaqueState)),
    ("function", None),
    ("id", None),
    ("index", None),
    ("provider_specific_fields", Some(OwnMembers)),
    ("thought_signature", Some(OpaqueState)),
    ("type", None),
];

/// Of usage.
pub(super) const USAGE: &[Known] = &[
    ("cache_creation_input_tokens", Some(CachedElsewhere)),
    ("cache_read_input_tokens", Some(CachedElsewhere)),
    ("cached_tokens", Some(CachedElsewhere)),
    ("citation_tokens", Some(MoreUsage)),
    ("completion_time", Some(MoreUsage)),
    ("completion_tokens", None),
    ("completion_tokens_details", None),
    ("cost", Some(MoreUsage)),
    ("cost_details", Some(MoreUsage)),
    ("cost_in_usd_ticks", Some(MoreUsage)),
    ("input_tokens", Some(MoreUsage)),
    ("input_tokens_details", Some(MoreUsage)),
    ("is_byok", Some(MoreUsage)),
    ("num_search_queries", Some(MoreUsage)),
    ("num_sources_used", Some(MoreUsage)),
    ("output_tokens", Some(MoreUsage)),
    ("output_tokens_details", Some(MoreUsage)),
    ("prompt_audio_seconds", Some(MoreUsage)),
    ("prompt_cache_hit_tokens", Some(CachedElsewhere)),
    ("prompt_cache_miss_tokens", Some(CachedElsewhere)),
    ("prompt_time", Some(MoreUsage)),
    ("prompt_tokens", None),
    ("prompt_tokens_details", None),
    ("queue_time", Some(MoreUsage)),
    ("reasoning_tokens", Some(MoreUsage)),
    ("search_context_size", Some(MoreUsage)),
    ("server_tool_use", Some(MoreUsage)),
    ("total_characters", Some(MoreUsage)),
    ("total_time", Some(MoreUsage)),
    ("total_tokens", None),
];

/// Of the details of usage, for input and output.
pub(super) const DETAILS: &[Known] = &[
    ("accepted_prediction_tokens", None),
    ("audio_tokens", None),
    ("cache_creation_tokens", Some(MoreUsage)),
    ("cache_write_tokens", None),
    ("cached_tokens", None),
    ("image_tokens", Some(MoreUsage)),
    ("reasoning_tokens", None),
    ("rejected_prediction_tokens", None),
    ("text_tokens", Some(MoreUsage)),
    ("video_tokens", Some(MoreUsage)),
];

/// What is known of a finish reason; `Err` where nothing is.
pub(super) fn finish_reason(reason: &str) -> Result<Option<Quirk>, ()> {
    /// Those of the reference.
    const LISTED: [&str; 5] = [
        "content_filter",
        "function_call",
        "length",
        "stop",
        "tool_calls",
    ];
    /// Those of DeepSeek, OpenRouter, Zhipu, TGI, Gemini, Mistral, vLLM and SGLang.
    const OTHERS: [&str; 16] = [
        "MAX_TOKENS",
        "SAFETY",
        "STOP",
        "abort",
        "end_turn",
        "eos",
        "eos_token",
        "error",
        "insufficient_system_resource",
        "max_tokens",
        "model_length",
        "network_error",
        "repetition",
        "sensitive",
        "stop_sequence",
        "tool_use",
    ];
    match reason {
        "" | "null" => Ok(Some(Quirk::EmptyFinish)),
        _ if LISTED.contains(&reason) => Ok(None),
        _ if OTHERS.contains(&reason) => Ok(Some(Quirk::UnlistedFinish)),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_by_name() {
        for table in [ENVELOPE, CHOICE, MESSAGE, CALL, USAGE, DETAILS] {
            assert!(table.is_sorted_by(|one, next| one.0 < next.0), "{table:?}");
        }
    }
}
