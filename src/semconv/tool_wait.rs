//! Names of what is inferred of a tool's run: from the end of a call's arguments to the arrival of the request with its result.
//!
//! `execute_tool`, the conventions' own name of a tool's run, belongs to the application that runs it, and knows how long it took.
//! What is seen from the wire is an upper bound.

use super::{Attributes, gen_ai};
use crate::exchange::{ToolKind, ToolWait};

const OPERATION: &str = "execute_tool";

/// The name of its span, in parts.
#[must_use]
pub fn span_name(wait: &ToolWait, as_execution: bool) -> [&str; 3] {
    let what = if as_execution { OPERATION } else { "tool_wait" };
    [what, " ", &wait.name]
}

/// Its attributes.
pub fn attributes(wait: &ToolWait, as_execution: bool, span: &mut Attributes<'_>) {
    if as_execution {
        span.put(gen_ai::OPERATION_NAME, OPERATION);
    }
    span.put("gen_ai.tool.name", &*wait.name);
    span.put_some("gen_ai.tool.call.id", wait.call_id.as_deref());
    let kind = match wait.kind {
        ToolKind::Extension => "extension",
        ToolKind::Datastore => "datastore",
        ToolKind::Function | ToolKind::Custom => "function",
    };
    span.put("gen_ai.tool.type", kind);
    span.put(
        "gen_ai.tool.call.duration_ms",
        wait.lasted.as_secs_f64() * 1000.0,
    );
    span.put("streamgauge.inferred", true);
}
