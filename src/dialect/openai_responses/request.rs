//! What a request of the Responses API asks for.

use super::prompt;
use crate::dialect::kit::cache::CacheParameters;
use crate::dialect::kit::forced::{self, forced_tool};
use crate::dialect::kit::member::{self, decode, keep, keep_str, typed};
use crate::dialect::kit::sampling::format_type;
use crate::dialect::kit::typed::type_of;
use crate::dialect::part::Visitor;
use crate::exchange::{Problems, Request};
use crate::parse::json::{Kind, Selection, Value};

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
pub(super) fn read(
    body: &[u8],
    request: &mut Request,
    problems: &mut Problems,
    visitor: &mut dyn Visitor,
) {
    let text = decode(body);
    let mut cache = CacheParameters::none();
    let mut offered = Selection::of(forced::MEMBERS);
    let found = member::members_and_all(&text, MEMBERS, problems, |key, value| {
        cache.note(key, value);
        offered.note(key, value);
    });
    let Some(
        [
            input,
            instructions,
            prompt,
            previous,
            conversation,
            tools,
            model @ ..,
        ],
    ) = found
    else {
        return;
    };
    let held = [prompt, previous, conversation];
    cache.show(visitor);
    request.forced_tool = forced_tool(offered.found);
    prompt::show([instructions, input, tools], held, visitor);
    read_prompt(input, held, request, problems);
    read_model(model, request, problems);
}

/// The members that are read: of the prompt, then of the model.
const MEMBERS: [&str; 15] = [
    "input",
    "instructions",
    "prompt",
    "previous_response_id",
    "conversation",
    "tools",
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
    request.output_type = format_type(format, problems);
    let mut text = |member| typed(member, problems, Value::as_text).map(keep);
    request.model = text(model);
    request.service_tier = text(tier);
    request.reasoning_level = text(effort);
}

/// What the model is to answer to.
fn read_prompt(
    input: Option<Value<'_>>,
    [prompt, previous, conversation]: [Option<Value<'_>>; 3],
    request: &mut Request,
    problems: &mut Problems,
) {
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
