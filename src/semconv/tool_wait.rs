//! Names of what is inferred of a tool's run: from the end of a call's arguments to the arrival of the request with its result.
//!
//! `execute_tool`, the conventions' own name of a tool's run, belongs to the application that runs it, and knows how long it took.
//! What is seen from the wire is an upper bound.

use super::content::Room;
use super::{Attributes, gen_ai};
use crate::exchange::{Content, ContentPart, ToolKind, ToolWait};

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

/// Most characters of a result that are shown.
const RESULT_CHARS: usize = 500;

/// What the tool was called with, and what it said, where the exchange that brought the result shows its content: its request
/// has both.
pub fn content(wait: &ToolWait, content: &Content, span: &mut Attributes<'_>) {
    let Some(call_id) = wait.call_id.as_deref() else {
        return;
    };
    let mut called = false;
    for part in content.input.iter().flat_map(|message| &message.parts) {
        match part {
            ContentPart::ToolCall { id, arguments, .. }
                if id.as_deref() == Some(call_id) && !called =>
            {
                called = true;
                let arguments = Room::of(content.shown_bytes).cut(arguments);
                span.put("gen_ai.tool.call.arguments", arguments);
            }
            ContentPart::ToolCallResponse { id, response } if id.as_deref() == Some(call_id) => {
                span.put("gen_ai.tool.call.result", result(response));
                return;
            }
            _ => {}
        }
    }
}

fn result(response: &str) -> String {
    match response.char_indices().nth(RESULT_CHARS) {
        None => response.to_owned(),
        Some((end, _)) => {
            let all = response.chars().count();
            format!(
                "{}[cut: {RESULT_CHARS} of {all} characters]",
                &response[..end]
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_cut_at_500_characters_and_says_so() {
        assert_eq!(result(&"é".repeat(500)), "é".repeat(500));
        let cut = result(&"é".repeat(501));
        assert_eq!(cut, "é".repeat(500) + "[cut: 500 of 501 characters]");
    }
}
