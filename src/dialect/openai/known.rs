//! The members of a chat or text completion that are known: of the API reference, and of servers that add their own.
//!
//! A member with a quirk is one that the reference does not have; `Err` is one that nobody is known to send. The compiler
//! tells names apart by their lengths first, where a table takes five instructions for each name in it.

use crate::exchange::Quirk::{
    self, CachedElsewhere, ChoiceFilter, Images, MoreUsage, OpaqueState, OwnMembers, PromptFilter,
    PromptProgress, Reasoning, UsageInChoice,
};

/// Beside `choices`.
pub(super) fn envelope(name: &str) -> Result<Option<Quirk>, ()> {
    match name {
        "choices" | "created" | "error" | "id" | "model" | "obfuscation" | "object"
        | "service_tier" | "system_fingerprint" | "usage" => Ok(None),
        "__verbose"
        | "base_resp"
        | "citations"
        | "content"
        | "copilot_annotations"
        | "copilot_usage"
        | "ec_transfer_params"
        | "images"
        | "input_sensitive"
        | "input_sensitive_type"
        | "kv_transfer_params"
        | "lastOne"
        | "metadata"
        | "metrics"
        | "model_info"
        | "nvext"
        | "output_sensitive"
        | "output_sensitive_int"
        | "output_sensitive_type"
        | "prompt_logprobs"
        | "prompt_text"
        | "prompt_token_ids"
        | "provider"
        | "provider_specific_fields"
        | "related_questions"
        | "request_id"
        | "runtime"
        | "search_results"
        | "sglext"
        | "stats"
        | "stream_options"
        | "time_info"
        | "timings"
        | "usage_breakdown"
        | "vertex_ai_citation_metadata"
        | "vertex_ai_grounding_metadata"
        | "vertex_ai_safety_results"
        | "vertex_ai_url_context_metadata"
        | "web_search"
        | "x_groq" => Ok(Some(OwnMembers)),
        "prompt_annotations" | "prompt_filter_results" => Ok(Some(PromptFilter)),
        "prompt_progress" => Ok(Some(PromptProgress)),
        _ => Err(()),
    }
}

/// Of a choice.
pub(super) fn choice(name: &str) -> Result<Option<Quirk>, ()> {
    match name {
        "delta" | "finish_reason" | "index" | "logprobs" | "message" | "text" => Ok(None),
        "content_filter_offsets" | "content_filter_result" | "content_filter_results" => {
            Ok(Some(ChoiceFilter))
        }
        "enhancements"
        | "error"
        | "hidden_states"
        | "matched_stop"
        | "meta_info"
        | "native_finish_reason"
        | "output_ids"
        | "output_token_logprobs"
        | "prompt_logprobs"
        | "prompt_token_ids"
        | "provider_specific_fields"
        | "routed_experts"
        | "seed"
        | "stop_reason"
        | "token_ids" => Ok(Some(OwnMembers)),
        "usage" => Ok(Some(UsageInChoice)),
        _ => Err(()),
    }
}

/// Of a message, or of the delta of one.
pub(super) fn message(name: &str) -> Result<Option<Quirk>, ()> {
    match name {
        "annotations" | "audio" | "content" | "function_call" | "refusal" | "role"
        | "tool_calls" => Ok(None),
        "images" => Ok(Some(Images)),
        "encrypted_content"
        | "cot_id"
        | "extra_content"
        | "reasoning_opaque"
        | "reasoning_signature"
        | "signature"
        | "thought_signature" => Ok(Some(OpaqueState)),
        "channel"
        | "citations"
        | "context"
        | "executed_tools"
        | "name"
        | "provider_specific_fields"
        | "reasoning_items" => Ok(Some(OwnMembers)),
        "cot_summary" | "reasoning" | "reasoning_content" | "reasoning_details"
        | "reasoning_text" | "thinking" | "thinking_blocks" | "thinking_content" => {
            Ok(Some(Reasoning))
        }
        _ => Err(()),
    }
}

/// Of a tool call, or of a fragment of one.
pub(super) fn call(name: &str) -> Result<Option<Quirk>, ()> {
    match name {
        "custom" | "function" | "id" | "index" | "type" => Ok(None),
        "extra_content" | "thought_signature" => Ok(Some(OpaqueState)),
        "provider_specific_fields" => Ok(Some(OwnMembers)),
        _ => Err(()),
    }
}

/// Of usage.
pub(super) fn usage(name: &str) -> Result<Option<Quirk>, ()> {
    match name {
        "completion_tokens"
        | "completion_tokens_details"
        | "prompt_tokens"
        | "prompt_tokens_details"
        | "total_tokens" => Ok(None),
        "cache_creation_input_tokens"
        | "cache_creation"
        | "cache_creation_tokens"
        | "cache_read_input_tokens"
        | "cache_read_tokens"
        | "cache_write_tokens"
        | "cached_tokens"
        | "prompt_cache_hit_tokens"
        | "prompt_cache_miss_tokens" => Ok(Some(CachedElsewhere)),
        "citation_tokens"
        | "completion_time"
        | "cost"
        | "cost_details"
        | "cost_in_usd_ticks"
        | "inference_geo"
        | "input_tokens"
        | "input_tokens_details"
        | "is_byok"
        | "iterations"
        | "num_search_queries"
        | "num_sources_used"
        | "output_tokens"
        | "output_tokens_details"
        | "prompt_audio_seconds"
        | "prompt_time"
        | "queue_time"
        | "reasoning_tokens"
        | "search_context_size"
        | "server_tool_use"
        | "service_tier"
        | "speed"
        | "thinking_tokens"
        | "total_characters"
        | "total_time" => Ok(Some(MoreUsage)),
        _ => Err(()),
    }
}

/// Of the details of usage, for input and output.
pub(super) fn details(name: &str) -> Result<Option<Quirk>, ()> {
    match name {
        "accepted_prediction_tokens"
        | "audio_tokens"
        | "cache_write_tokens"
        | "cached_tokens"
        | "reasoning_tokens"
        | "rejected_prediction_tokens" => Ok(None),
        "audio_length_seconds"
        | "cache_creation_input_tokens"
        | "cache_creation_token_details"
        | "cache_creation_tokens"
        | "character_count"
        | "google_maps_grounding_requests"
        | "image_count"
        | "image_tokens"
        | "text_tokens"
        | "thinking_tokens"
        | "tool_use_tokens"
        | "video_length_seconds"
        | "video_tokens"
        | "web_search_requests" => Ok(Some(MoreUsage)),
        _ => Err(()),
    }
}

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
    /// Those of DeepSeek, OpenRouter, Zhipu, TGI, Gemini, Mistral, vLLM, SGLang and lmdeploy.
    const OTHERS: [&str; 20] = [
        "MALFORMED_FUNCTION_CALL",
        "MAX_TOKENS",
        "RECITATION",
        "SAFETY",
        "STOP",
        "abort",
        "end_turn",
        "eos",
        "eos_token",
        "error",
        "insufficient_system_resource",
        "max_tokens",
        "model_context_window_exceeded",
        "model_length",
        "network_error",
        "parse_error",
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
