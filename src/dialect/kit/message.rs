//! A chat message, or the delta of one: the text and tool calls a model generated.

use crate::dialect::contract::{Facts, Output};
use crate::dialect::kit::media;
use crate::dialect::kit::member::{self, typed};
use crate::dialect::kit::tool_calls::ToolCalls;
use crate::dialect::part::{Binary, Medium, Part, Source, Words};
use crate::exchange::Problems;
use crate::parse::json::{Kind, Text, Value};

/// Reasoning goes by several names: `reasoning_content` (DeepSeek, SGLang, Qwen), `reasoning` (vLLM, Ollama, OpenRouter),
/// `reasoning_text` and `cot_summary` (GitHub Copilot), `reasoning_details` (OpenRouter), `thinking`, `thinking_content` and
/// `thinking_blocks` (LiteLLM and other relays).
pub(in crate::dialect) const REASONING: [&str; 8] = [
    "reasoning_content",
    "reasoning",
    "reasoning_text",
    "thinking",
    "thinking_content",
    "cot_summary",
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
        REASONING[5],
        REASONING[6],
        REASONING[7],
    ]);
    let mut output = Output::default();
    output |= read_reasoning(reasoning, index, facts);
    if let Some(content) = content {
        output |= read_content(content, index, facts);
    }
    if let Some(refusal) = typed(refusal, &mut facts.problems, Value::as_text) {
        output.other |= facts.say(index, Part::Refusal, refusal);
    }
    if let Some(calls) = calls {
        output.tool_call |= tool_calls.read(calls, index, facts);
    }
    if let Some(function) = typed(function, &mut facts.problems, member::object) {
        output.tool_call |= tool_calls.read_legacy(function, index, facts);
    }
    output.audio |= audio.is_some_and(|audio| read_audio(audio, index, facts));
    output.other |= images.is_some_and(|images| read_images(images, index, facts));
    output.other |= annotations.is_some_and(|list| list.elements().next().is_some());
    output
}

/// Content as a string or, at Mistral, as an array of typed parts, reasoning among them.
fn read_content(content: Value<'_>, index: u64, facts: &mut Facts) -> Output {
    let mut output = Output::default();
    match content.kind() {
        Kind::Null => {}
        Kind::String => output.content = note(content, index, Part::Text, facts),
        Kind::Array => {
            for part in content.elements() {
                let [text, thinking, refusal] = part.select(["text", "thinking", "refusal"]);
                if let Some(text) = text {
                    output.content |= note(text, index, Part::Text, facts);
                }
                if let Some(thinking) = thinking {
                    output.reasoning |= note(thinking, index, Part::Reasoning, facts);
                }
                if let Some(refusal) = refusal {
                    output.other |= note(refusal, index, Part::Refusal, facts);
                }
            }
        }
        _ => facts.problems.mistyped += 1,
    }
    output
}

/// Where a message has more than one member of [`REASONING`] they say the same, so the longest counts.
fn read_reasoning(
    named: [Option<Value<'_>>; REASONING.len()],
    index: u64,
    facts: &mut Facts,
) -> Output {
    let mut longest: Option<(u64, Value<'_>)> = None;
    for member in named {
        let chars = typed_text_chars(member, &mut facts.problems);
        if chars > longest.map(|(chars, _)| chars) {
            longest = chars.zip(member);
        }
    }
    Output {
        reasoning: longest.is_some_and(|(_, text)| note(text, index, Part::Reasoning, facts)),
        ..Output::default()
    }
}

/// Shows the text of the choice `index`, or those of a list of parts that hold one; says whether there was any.
fn note<'a>(
    value: Value<'a>,
    index: u64,
    kind: fn(Words<'a>) -> Part<'a>,
    facts: &mut Facts,
) -> bool {
    let (mut any, mut shown) = (false, false);
    each_text(value, &mut |text| {
        any |= facts.say(index, kind, text);
        shown = true;
    });
    if !shown {
        // None is a length too.
        facts.say(index, kind, Words::NONE);
    }
    any
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
fn each_text<'a>(value: Value<'a>, show: &mut impl FnMut(Text<'a>)) {
    let mut show_part = |part: Value<'a>| match part.as_text() {
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

/// Shows the sound that an audio member brings, or of which it has the transcript; says whether there was any, and not only
/// its id or expiry.
fn read_audio(audio: Value<'_>, index: u64, facts: &mut Facts) -> bool {
    let texts = audio.select(["data", "transcript"]);
    let [data, transcript] = texts.map(|member| member?.as_text().filter(|text| !text.is_empty()));
    let any = data.or(transcript).is_some();
    if any {
        let sound = Binary {
            medium: Medium::Audio,
            source: data.map_or(Source::Unknown, |data| Source::Inline(data.into())),
            format: None,
        };
        facts.show(index, &Part::Binary(sound));
    }
    any
}

/// Shows the images of a list; says whether there was any.
fn read_images(images: Value<'_>, index: u64, facts: &mut Facts) -> bool {
    let mut any = false;
    for image in images.elements() {
        let image = image.get("image_url").unwrap_or(image);
        facts.show(index, &Part::Binary(media::image(image)));
        any = true;
    }
    any
}
