//! A chat message, or the delta of one: the text and tool calls a model generated.

use super::tool_calls::ToolCalls;
use crate::dialect::member::{self, add, typed};
use crate::dialect::{Facts, Output};
use crate::exchange::Problems;
use crate::json::{Kind, Value};

/// Reasoning goes by several names: `reasoning_content` (DeepSeek, SGLang, Qwen), `reasoning` (vLLM, Ollama, OpenRouter),
/// `reasoning_details` (OpenRouter), `thinking` and `thinking_blocks` (relays).
pub(super) const REASONING: [&str; 5] = [
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_details",
    "thinking_blocks",
];

/// Reads the message or delta of the choice `index`.
pub(in crate::dialect) fn read(
    message: Value<'_>,
    index: u64,
    tool_calls: &mut ToolCalls,
    facts: &mut Facts,
) -> Output {
    let [
        content,
        refusal,
        calls,
        function,
        audio,
        images,
        annotations,
        reasoning @ ..,
    ] = message.select([
        "content",
        "refusal",
        "tool_calls",
        "function_call",
        "audio",
        "images",
        "annotations",
        REASONING[0],
        REASONING[1],
        REASONING[2],
        REASONING[3],
        REASONING[4],
    ]);
    let mut output = Output::default();
    if let Some(content) = content {
        output |= read_content(content, facts);
    }
    output |= read_reasoning(reasoning, facts);
    if let Some(refusal) = typed(refusal, &mut facts.problems, Value::as_text) {
        output.other |= add(&mut facts.response.refusal_chars, refusal.chars());
    }
    if let Some(calls) = calls {
        output.tool_call |= tool_calls.read(calls, index, facts);
    }
    if let Some(function) = typed(function, &mut facts.problems, member::object) {
        output.tool_call |= tool_calls.read_legacy(function, index, facts);
    }
    output.audio |= audio.is_some_and(has_audio);
    let lists = [images, annotations].into_iter().flatten();
    output.other |= lists
        .into_iter()
        .any(|list| list.elements().next().is_some());
    output
}

/// Content as a string or, at Mistral, as an array of typed parts, reasoning among them.
fn read_content(content: Value<'_>, facts: &mut Facts) -> Output {
    let mut output = Output::default();
    let response = &mut facts.response;
    match content.kind() {
        Kind::Null => {}
        Kind::String => {
            let chars = content.as_text().map_or(0, |text| text.chars());
            output.content = add(&mut response.content_chars, chars);
        }
        Kind::Array => {
            for part in content.elements() {
                let [text, thinking, refusal] = part.select(["text", "thinking", "refusal"]);
                if let Some(text) = text {
                    output.content |= add(&mut response.content_chars, text_chars(text));
                }
                if let Some(thinking) = thinking {
                    output.reasoning |= add(&mut response.reasoning_chars, text_chars(thinking));
                }
                if let Some(refusal) = refusal {
                    output.other |= add(&mut response.refusal_chars, text_chars(refusal));
                }
            }
        }
        _ => facts.problems.mistyped += 1,
    }
    output
}

/// Where a message has more than one member of [`REASONING`] they say the same, so the longest counts.
fn read_reasoning(named: [Option<Value<'_>>; 5], facts: &mut Facts) -> Output {
    let mut longest = None;
    for member in named {
        longest = longest.max(typed_text_chars(member, &mut facts.problems));
    }
    Output {
        reasoning: longest.is_some_and(|chars| add(&mut facts.response.reasoning_chars, chars)),
        ..Output::default()
    }
}

fn typed_text_chars(member: Option<Value<'_>>, problems: &mut Problems) -> Option<u64> {
    typed(member, problems, |value| match value.kind() {
        Kind::String | Kind::Array | Kind::Object => Some(text_chars(value)),
        _ => None,
    })
}

/// Code points of a text, of a part that holds one, or of a list of such parts.
fn text_chars(value: Value<'_>) -> u64 {
    let part_chars = |part: Value<'_>| match part.as_text() {
        Some(text) => text.chars(),
        None => {
            let texts = part.select(["text", "thinking", "summary", "content"]);
            let texts = texts.into_iter().flatten();
            texts
                .filter_map(Value::as_text)
                .map(|text| text.chars())
                .sum()
        }
    };
    match value.kind() {
        Kind::Array => value.elements().map(part_chars).sum(),
        _ => part_chars(value),
    }
}

/// Whether an audio member brings sound or its transcript, and not only its id or expiry.
fn has_audio(audio: Value<'_>) -> bool {
    let texts = audio.select(["data", "transcript"]);
    let mut texts = texts.into_iter().flatten().filter_map(Value::as_text);
    texts.any(|text| !text.is_empty())
}
