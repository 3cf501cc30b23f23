//! What is known of the Responses API: types of events, states, reasons, and the members of usage.
//!
//! One with a quirk is one that the reference does not have. The tables are sorted by name.

use crate::dialect::kit::unknown::Known;
use crate::exchange::Quirk::{CachedElsewhere, KeepAliveData, MoreUsage, UnlistedFinish};

/// Types of events.
pub(in crate::dialect) const EVENTS: &[Known] = &[
    // Of the provider's, on long waits.
    ("keepalive", Some(KeepAliveData)),
    ("response.audio.delta", None),
    ("response.audio.done", None),
    ("response.audio.transcript.delta", None),
    ("response.audio.transcript.done", None),
    ("response.cancelled", None),
    ("response.code_interpreter_call.completed", None),
    ("response.code_interpreter_call.in_progress", None),
    ("response.code_interpreter_call.interpreting", None),
    ("response.code_interpreter_call_code.delta", None),
    ("response.code_interpreter_call_code.done", None),
    ("response.compaction.compacting", None),
    ("response.completed", None),
    ("response.content_part.added", None),
    ("response.content_part.done", None),
    ("response.created", None),
    ("response.custom_tool_call_input.delta", None),
    ("response.custom_tool_call_input.done", None),
    ("response.done", None),
    ("response.failed", None),
    ("response.file_search_call.completed", None),
    ("response.file_search_call.in_progress", None),
    ("response.file_search_call.searching", None),
    ("response.function_call_arguments.delta", None),
    ("response.function_call_arguments.done", None),
    ("response.image_generation_call.completed", None),
    ("response.image_generation_call.generating", None),
    ("response.image_generation_call.in_progress", None),
    ("response.image_generation_call.partial_image", None),
    ("response.in_progress", None),
    ("response.incomplete", None),
    ("response.mcp_call.completed", None),
    ("response.mcp_call.failed", None),
    ("response.mcp_call.in_progress", None),
    ("response.mcp_call_arguments.delta", None),
    ("response.mcp_call_arguments.done", None),
    ("response.mcp_list_tools.completed", None),
    ("response.mcp_list_tools.failed", None),
    ("response.mcp_list_tools.in_progress", None),
    ("response.output_item.added", None),
    ("response.output_item.done", None),
    ("response.output_text.annotation.added", None),
    ("response.output_text.delta", None),
    ("response.output_text.done", None),
    ("response.queued", None),
    ("response.reasoning_part.added", None),
    ("response.reasoning_part.done", None),
    ("response.reasoning_summary_part.added", None),
    ("response.reasoning_summary_part.done", None),
    ("response.reasoning_summary_text.delta", None),
    ("response.reasoning_summary_text.done", None),
    ("response.reasoning_text.delta", None),
    ("response.reasoning_text.done", None),
    ("response.refusal.delta", None),
    ("response.refusal.done", None),
    ("response.shell_call_command.added", None),
    ("response.shell_call_command.delta", None),
    ("response.shell_call_command.done", None),
    ("response.shell_call_output_content.delta", None),
    ("response.shell_call_output_content.done", None),
    ("response.steer.accepted", None),
    ("response.steer.failed", None),
    ("response.steer.pending", None),
    ("response.web_search_call.completed", None),
    ("response.web_search_call.in_progress", None),
    ("response.web_search_call.searching", None),
];

/// States of a response.
pub(super) const STATES: &[Known] = &[
    ("cancelled", None),
    ("completed", None),
    ("failed", None),
    ("in_progress", None),
    ("incomplete", None),
    ("queued", None),
];

/// Why a response is incomplete.
pub(super) const REASONS: &[Known] = &[
    ("content_filter", None),
    ("length", Some(UnlistedFinish)),
    ("max_output_tokens", None),
    ("max_tokens", Some(UnlistedFinish)),
    ("max_tool_calls", Some(UnlistedFinish)),
    ("steered", None),
];

/// Of usage; the names of chat come from relays.
pub(super) const USAGE: &[Known] = &[
    ("cached_tokens", Some(CachedElsewhere)),
    ("completion_tokens", Some(MoreUsage)),
    ("completion_tokens_details", Some(MoreUsage)),
    ("cost", Some(MoreUsage)),
    ("cost_details", Some(MoreUsage)),
    ("cost_in_usd_ticks", Some(MoreUsage)),
    ("input_tokens", None),
    ("input_tokens_details", None),
    ("is_byok", Some(MoreUsage)),
    ("num_server_side_tools_used", Some(MoreUsage)),
    ("num_sources_used", Some(MoreUsage)),
    ("output_tokens", None),
    ("output_tokens_details", None),
    ("prompt_cache_hit_tokens", Some(CachedElsewhere)),
    ("prompt_cache_miss_tokens", Some(CachedElsewhere)),
    ("prompt_tokens", Some(MoreUsage)),
    ("prompt_tokens_details", Some(MoreUsage)),
    ("total_tokens", None),
];

/// Of the details of usage, for input and output; those of turns are vLLM's.
pub(super) const DETAILS: &[Known] = &[
    ("audio_tokens", Some(MoreUsage)),
    ("cache_write_tokens", None),
    ("cached_tokens", None),
    ("cached_tokens_per_turn", Some(MoreUsage)),
    ("image_tokens", Some(MoreUsage)),
    ("input_tokens_per_turn", Some(MoreUsage)),
    ("output_tokens_per_turn", Some(MoreUsage)),
    ("reasoning_tokens", None),
    ("text_tokens", Some(MoreUsage)),
    ("tool_output_tokens", Some(MoreUsage)),
    ("tool_output_tokens_per_turn", Some(MoreUsage)),
];
