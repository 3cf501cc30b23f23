//! Types of the events of a response that are known of the Realtime API, in its present names and those of its beta.

use crate::dialect::kit::unknown::Known;

/// Sorted; `response.created`, by which a response begins, is none of those that go on with one.
pub(super) const EVENTS: &[Known] = &[
    ("response.audio.delta", None),
    ("response.audio.done", None),
    ("response.audio_transcript.delta", None),
    ("response.audio_transcript.done", None),
    ("response.cancelled", None),
    ("response.content_part.added", None),
    ("response.content_part.done", None),
    ("response.done", None),
    ("response.function_call_arguments.delta", None),
    ("response.function_call_arguments.done", None),
    ("response.mcp_call.completed", None),
    ("response.mcp_call.failed", None),
    ("response.mcp_call.in_progress", None),
    ("response.mcp_call_arguments.delta", None),
    ("response.mcp_call_arguments.done", None),
    ("response.output_audio.delta", None),
    ("response.output_audio.done", None),
    ("response.output_audio_transcript.delta", None),
    ("response.output_audio_transcript.done", None),
    ("response.output_item.added", None),
    ("response.output_item.done", None),
    ("response.output_text.delta", None),
    ("response.output_text.done", None),
    ("response.text.delta", None),
    ("response.text.done", None),
];
