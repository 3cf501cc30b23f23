//! What a request of the Responses API asks for.

use crate::dialect::member::{self, decode, keep, keep_str, typed};
use crate::dialect::openai::{length, request};
use crate::dialect::typed::type_of;
use crate::exchange::{Problems, Request};
use crate::json::{Kind, Value};

/// Reads the query of a fetch: whether it streams, and after which event.
pub(super) fn read_query(query: &str, request: &mut Request) {
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "stream" => request.stream = value.parse().ok(),
            "starting_after" => request.stream_cursor = Some(keep_str(value)),
            _ => {}
        }
    }
}

/// Reads the body of a create.
pub(super) fn read(body: &[u8], request: &mut Request, problems: &mut Problems) {
    let text = decode(body);
    let found = member::members(&text, MEMBERS, problems);
    let Some(
        [
            input,
            instructions,
            prompt,
            previous,
            conversation,
            model @ ..,
        ],
    ) = found
    else {
        return;
    };
    let prompt = [input, instructions, prompt, previous, conversation];
    read_prompt(prompt, request, problems);
    read_model(model, request, problems);
}

/// The members that are read: of the prompt, then of the model.
const MEMBERS: [&str; 14] = [
    "input",
    "instructions",
    "prompt",
    "previous_response_id",
    "conversation",
    "model",
    "stream",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_k",
    "reasoning",
    "service_tier",
    "text",
];

/// The model and how it is to answer.
fn read_model(found: [Option<Value<'_>>; 9], request: &mut Request, problems: &mut Problems) {
    let [
        model,
        stream,
        limit,
        temperature,
        top_p,
        top_k,
        reasoning,
        tier,
        text,
    ] = found;
    request.stream = typed(stream, problems, Value::as_bool);
    request.max_tokens = typed(limit, problems, Value::as_i64);
    request.temperature = typed(temperature, problems, Value::as_f64);
    request.top_p = typed(top_p, problems, Value::as_f64);
    request.top_k = typed(top_k, problems, Value::as_i64);
    let mut inside = |member, name| typed(member, problems, member::object)?.get(name);
    let (effort, format) = (inside(reasoning, "effort"), inside(text, "format"));
    request.output_type = request::format_type(format, problems);
    let mut text = |member| typed(member, problems, Value::as_text).map(keep);
    request.model = text(model);
    request.service_tier = text(tier);
    request.reasoning_level = text(effort);
}

/// What the model is to answer to.
fn read_prompt(found: [Option<Value<'_>>; 5], request: &mut Request, problems: &mut Problems) {
    let [input, instructions, prompt, previous, conversation] = found;
    request.prompt_chars = prompt_chars(input, instructions);
    request.compacted = input.is_some_and(|input| {
        let mut items = input.elements();
        items.any(|item| type_of(item) == "compaction")
    });
    request.conversation_id = conversation_id(conversation, problems);
    let template = typed(prompt, problems, member::object);
    let [name, version] = template.map_or([None; 2], |it| it.select(["id", "version"]));
    let mut text = |member| typed(member, problems, Value::as_text).map(keep);
    request.previous_response_id = text(previous);
    request.prompt_name = text(name);
    request.prompt_version = text(version);
}

/// The id of a `conversation`: a string, or an object that has one.
pub(super) fn conversation_id(
    conversation: Option<Value<'_>>,
    problems: &mut Problems,
) -> Option<String> {
    let id = typed(conversation, problems, |conversation| {
        match conversation.kind() {
            Kind::Object => conversation.get("id")?.as_text(),
            _ => conversation.as_text(),
        }
    });
    id.filter(|id| !id.is_empty()).map(keep)
}

/// Code points of the instructions, and of the input: a text, or the texts in its messages and tool results.
fn prompt_chars(input: Option<Value<'_>>, instructions: Option<Value<'_>>) -> Option<u64> {
    let input = input.and_then(|input| match input.kind() {
        Kind::String => length::texts(input),
        Kind::Array => Some(input.elements().map(item_chars).sum()),
        _ => None,
    });
    let instructions = instructions.and_then(Value::as_text);
    let instructions = instructions.map(|text| text.chars());
    match (input, instructions) {
        (None, None) => None,
        (input, instructions) => Some(input.unwrap_or_default() + instructions.unwrap_or_default()),
    }
}

fn item_chars(item: Value<'_>) -> u64 {
    let texts = item.select(["content", "output"]).into_iter().flatten();
    texts.filter_map(length::texts).sum()
}
