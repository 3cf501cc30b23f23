//! A chat message, or the delta of one: the text and tool calls a model generated.

use super::tool_calls::ToolCalls;
use crate::dialect::member::{self, add, typed};
use crate::dialect::{Facts, Generated, Output};
use crate::exchange::Problems;
use crate::json::{Kind, Text, Value};

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
        output |= read_content(content, index, facts);
    }
    output |= read_reasoning(reasoning, index, facts);
    if let Some(refusal) = typed(refusal, &mut facts.problems, Value::as_text) {
        facts.generated.push(index, refusal);
        output.other |= add(&mut facts.response.refusal_chars, refusal.chars());
    }
    if let Some(calls) = calls {
        output.tool_call |= tool_calls.read(calls, index, facts);
    }
    if let Some(function) = typed(function, &mut facts.problems, member::object) {
        output.tool_call |= tool_calls.read_legacy(function, index, facts);
    }
    let has_any = |list: Value<'_>| list.elements().next().is_some();
    let (sound, picture) = (audio.is_some_and(has_audio), images.is_some_and(has_any));
    if sound || picture {
        // How many tokens these have, their size does not tell.
        facts.generated.give_up();
    }
    output.audio |= sound;
    output.other |= picture || annotations.is_some_and(has_any);
    output
}

/// Content as a string or, at Mistral, as an array of typed parts, reasoning among them.
fn read_content(content: Value<'_>, index: u64, facts: &mut Facts) -> Output {
    let mut output = Output::default();
    let (response, generated) = (&mut facts.response, &mut facts.generated);
    match content.kind() {
        Kind::Null => {}
        Kind::String => {
            output.content = note(content, index, &mut response.content_chars, generated);
        }
        Kind::Array => {
            for part in content.elements() {
                let [text, thinking, refusal] = part.select(["text", "thinking", "refusal"]);
                if let Some(text) = text {
                    output.content |= note(text, index, &mut response.content_chars, generated);
                }
                if let Some(thinking) = thinking {
                    let length = &mut response.reasoning_chars;
                    output.reasoning |= note(thinking, index, length, generated);
                }
                if let Some(refusal) = refusal {
                    output.other |= note(refusal, index, &mut response.refusal_chars, generated);
                }
            }
        }
        _ => facts.problems.mistyped += 1,
    }
    output
}

/// Where a message has more than one member of [`REASONING`] they say the same, so the longest counts.
fn read_reasoning(named: [Option<Value<'_>>; 5], index: u64, facts: &mut Facts) -> Output {
    let mut longest: Option<(u64, Value<'_>)> = None;
    for member in named {
        let chars = typed_text_chars(member, &mut facts.problems);
        if chars > longest.map(|(chars, _)| chars) {
            longest = chars.zip(member);
        }
    }
    let length = &mut facts.response.reasoning_chars;
    Output {
        reasoning: longest.is_some_and(|(_, text)| note(text, index, length, &mut facts.generated)),
        ..Output::default()
    }
}

/// Adds a text, or a list of parts that hold one, to a length and to what the choice `index` generated; says whether there
/// was any.
fn note(value: Value<'_>, index: u64, length: &mut Option<u64>, generated: &mut Generated) -> bool {
    let mut chars = 0;
    each_text(value, &mut |text| {
        chars += text.chars();
        generated.push(index, text);
    });
    add(length, chars)
}

fn typed_text_chars(member: Option<Value<'_>>, problems: &mut Problems) -> Option<u64> {
    typed(member, problems, |value| match value.kind() {
        Kind::String | Kind::Array | Kind::Object => Some(text_chars(value)),
        _ => None,
    })
}

/// Code points of a text, of a part that holds one, or of a list of such parts.
fn text_chars(value: Value<'_>) -> u64 {
    let mut chars = 0;
    each_text(value, &mut |text| chars += text.chars());
    chars
}

/// Shows a text, those of a part that holds some, or those of a list of such parts.
fn each_text(value: Value<'_>, show: &mut impl FnMut(Text<'_>)) {
    let mut show_part = |part: Value<'_>| match part.as_text() {
        Some(text) => show(text),
        None => {
            let texts = part.select(["text", "thinking", "summary", "content"]);
            let texts = texts.into_iter().flatten().filter_map(Value::as_text);
            texts.for_each(&mut *show);
        }
    };
    match value.kind() {
        Kind::Array => value.elements().for_each(show_part),
        _ => show_part(value),
    }
}

/// Whether an audio member brings sound or its transcript, and not only its id or expiry.
fn has_audio(audio: Value<'_>) -> bool {
    let texts = audio.select(["data", "transcript"]);
    let mut texts = texts.into_iter().flatten().filter_map(Value::as_text);
    texts.any(|text| !text.is_empty())
}
