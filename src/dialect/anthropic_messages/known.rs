//! What is known of Messages: types of events, reasons to stop, and the members of usage.
//!
//! One with a quirk is one that the reference does not have. The tables are sorted by name.

use crate::dialect::kit::unknown::Known;
use crate::exchange::Quirk::{
    CachedElsewhere, EmptyFinish, MoreUsage, UnlistedFinish, WholeMessage,
};

/// Types of events.
pub(super) const EVENTS: &[Known] = &[
    ("content_block_delta", None),
    ("content_block_start", None),
    ("content_block_stop", None),
    ("message", Some(WholeMessage)),
    ("message_delta", None),
    ("message_start", None),
    ("message_stop", None),
    ("ping", None),
];

/// Reasons to stop; those of chat come from relays.
pub(super) const REASONS: &[Known] = &[
    ("", Some(EmptyFinish)),
    ("content_filter", Some(UnlistedFinish)),
    ("end_turn", None),
    ("length", Some(UnlistedFinish)),
    ("max_tokens", None),
    ("model_context_window_exceeded", None),
    ("null", Some(EmptyFinish)),
    ("pause_turn", None),
    ("refusal", None),
    ("stop", Some(UnlistedFinish)),
    ("stop_sequence", None),
    ("tool_calls", Some(UnlistedFinish)),
    ("tool_use", None),
];

/// Of usage; the names of chat come from relays.
pub(super) const USAGE: &[Known] = &[
    ("cache_creation", None),
    ("cache_creation_input_tokens", None),
    ("cache_read_input_tokens", None),
    ("cached_tokens", Some(CachedElsewhere)),
    ("completion_tokens", Some(MoreUsage)),
    ("completion_tokens_details", Some(MoreUsage)),
    ("cost", Some(MoreUsage)),
    ("cost_details", Some(MoreUsage)),
    ("inference_geo", None),
    ("input_tokens", None),
    ("input_tokens_details", Some(MoreUsage)),
    ("is_byok", Some(MoreUsage)),
    ("iterations", None),
    ("output_tokens", None),
    ("output_tokens_details", None),
    ("prompt_cache_hit_tokens", Some(CachedElsewhere)),
    ("prompt_cache_miss_tokens", Some(CachedElsewhere)),
    ("prompt_tokens", Some(MoreUsage)),
    ("prompt_tokens_details", Some(CachedElsewhere)),
    ("reasoning_tokens", Some(MoreUsage)),
    ("server_tool_use", None),
    ("service_tier", None),
    ("speed", None),
    ("total_tokens", Some(MoreUsage)),
];

/// Of the details of its output tokens.
pub(super) const DETAILS: &[Known] = &[
    ("reasoning_tokens", Some(MoreUsage)),
    ("thinking_tokens", None),
];
