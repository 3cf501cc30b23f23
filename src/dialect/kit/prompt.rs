//! Shows what a request gives the model to read: chat messages and their parts, and texts that are no messages.

use super::media;
use crate::dialect::part::{
    CallPart, Message, Part, Place, PromptKind, Role, Tools, Visitor, Words,
};
use crate::parse::json::{self, Kind, Value};

/// Shows the messages of a chat, OpenAI's or Ollama's, where that is what `messages` is.
pub(in crate::dialect) fn messages(
    messages: Option<Value<'_>>,
    kind: PromptKind,
    prompt: &mut dyn Visitor,
) {
    if let Some(messages) = messages.filter(|messages| messages.kind() == Kind::Array) {
        prompt.prompt(kind);
        let mut messages = messages.elements();
        while let Some((item, found)) = messages.next_selecting(MESSAGE) {
            message(item, found, prompt);
        }
    }
}

/// The members of a message that are read.
const MESSAGE: [&str; 10] = [
    "role",
    "name",
    "content",
    "refusal",
    "tool_call_id",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "thinking",
    "images",
];

/// Shows the tools on offer. `client_types` are those that the client runs, where there are others.
pub(in crate::dialect) fn tools(
    definitions: Option<Value<'_>>,
    client_types: Option<&'static [&'static str]>,
    prompt: &mut dyn Visitor,
) {
    if let Some(definitions) = definitions.filter(|tools| !tools.is_null()) {
        let tools = Tools {
            definitions,
            client_types,
        };
        prompt.part(Place::said_by(Role::System), &Part::Tools(tools));
    }
}

/// Shows the texts in those of some members that are there: each a text or several, or the tokens of them.
pub(in crate::dialect) fn texts<'a>(
    members: impl IntoIterator<Item = Option<Value<'a>>>,
    kind: PromptKind,
    prompt: &mut dyn Visitor,
) -> bool {
    let there = members.into_iter().flatten().filter(|it| !it.is_null());
    let mut any = false;
    for member in there {
        if !std::mem::replace(&mut any, true) {
            prompt.prompt(kind);
        }
        text_or_tokens(member, LISTS_MAX, prompt);
    }
    any
}

/// Most lists that lie in each other: of several texts, each as its tokens.
const LISTS_MAX: u8 = 2;

fn text_or_tokens(value: Value<'_>, lists: u8, prompt: &mut dyn Visitor) {
    let place = Place::said_by(Role::User);
    if value.kind() != Kind::Array || lists == 0 {
        return part(value, place, prompt);
    }
    let mut elements = value.elements().peekable();
    match elements.peek().map(|first| first.kind()) {
        Some(Kind::Number) => prompt.part(place, &Part::Tokens(value)),
        _ => elements.for_each(|element| text_or_tokens(element, lists - 1, prompt)),
    }
}

/// Shows one text, if it is there.
pub(in crate::dialect) fn text<'a>(
    text: Option<Value<'a>>,
    kind: fn(Words<'a>) -> Part<'a>,
    place: Place,
    prompt: &mut dyn Visitor,
) {
    match text.map(|text| (text, text.as_text())) {
        Some((_, Some(text))) => prompt.part(place, &kind(text.into())),
        Some((other, None)) if !other.is_null() => prompt.part(place, &Part::Other(other)),
        _ => {}
    }
}

fn message<'a>(
    item: Value<'a>,
    found: [Option<Value<'a>>; MESSAGE.len()],
    prompt: &mut dyn Visitor,
) {
    let [
        role,
        name,
        content,
        refusal,
        result_of,
        calls,
        function,
        reasoning,
        thinking,
        images,
    ] = found;
    let role = role_of(role);
    let place = Place::said_by(role);
    prompt.message(&Message {
        role,
        name: words(name),
        id: None,
        item,
    });
    if role == Role::Tool {
        prompt.part(place, &Part::ToolResult(words(result_of)));
    }
    each_text(reasoning.or(thinking), Part::Reasoning, place, prompt);
    if let Some(content) = content {
        self::content(content, place, prompt);
    }
    text(refusal, Part::Refusal, place, prompt);
    for (number, call) in calls.into_iter().flat_map(Value::elements).enumerate() {
        let [id, function, custom] = call.select(["id", "function", "custom"]);
        if let Some(function) = function.or(custom) {
            tool_call(number, id, function, place, prompt);
        }
    }
    if let Some(function) = function.filter(|function| !function.is_null()) {
        tool_call(0, None, function, place, prompt);
    }
    // As Ollama has them: beside the content.
    for image in images.into_iter().flat_map(Value::elements) {
        prompt.part(place, &Part::Binary(media::image(image)));
    }
}

/// Who says an item, by its member `role`.
pub(in crate::dialect) fn role_of(role: Option<Value<'_>>) -> Role {
    let role = role.and_then(Value::as_text);
    role.map_or(Role::Other, |role| Role::named(&role.decode()))
}

/// A text that is not empty.
pub(in crate::dialect) fn words(member: Option<Value<'_>>) -> Option<Words<'_>> {
    let text = member?.as_text().filter(|text| !text.is_empty())?;
    Some(text.into())
}

fn tool_call(
    number: usize,
    id: Option<Value<'_>>,
    function: Value<'_>,
    place: Place,
    prompt: &mut dyn Visitor,
) {
    let [name, arguments, input] = function.select(["name", "arguments", "input"]);
    let arguments = arguments.or(input).filter(|arguments| !arguments.is_null());
    let call = CallPart {
        number: number as u64,
        id: words(id),
        name: words(name),
        arguments: arguments.map(Words::of_json),
        again: false,
    };
    prompt.part(place, &Part::ToolCall(call));
}

/// Shows what a message says: a text, or a list of parts.
pub(in crate::dialect) fn content(content: Value<'_>, place: Place, prompt: &mut dyn Visitor) {
    match content.kind() {
        Kind::Null => {}
        Kind::Array => {
            let mut parts = content.elements();
            while let Some((part, found)) = parts.next_selecting(PART) {
                show_part(part, found, place, prompt);
            }
        }
        _ => part(content, place, prompt),
    }
}

/// Types of parts that hold reasoning beside the answer.
const REASONING: [&str; 3] = ["reasoning", "reasoning_text", "thinking"];

/// The members of a part of a message that are read.
const PART: [&str; 4] = ["type", "text", "refusal", "thinking"];

/// Shows a part of a message: a text, an object that holds one, or something else.
pub(in crate::dialect) fn part(part: Value<'_>, place: Place, prompt: &mut dyn Visitor) {
    show_part(part, part.select(PART), place, prompt);
}

fn show_part<'a>(
    part: Value<'a>,
    [kind, text, refusal, thinking]: [Option<Value<'a>>; PART.len()],
    place: Place,
    prompt: &mut dyn Visitor,
) {
    if let Some(text) = part.as_text() {
        return prompt.part(place, &Part::Text(text.into()));
    }
    if let Some(text) = text.and_then(Value::as_text) {
        let kind = kind
            .and_then(Value::as_text)
            .filter(|kind| !kind.is("text"));
        let is_reasoning = kind.is_some_and(|kind| REASONING.iter().any(|name| kind.is(name)));
        let part = if is_reasoning {
            Part::Reasoning
        } else {
            Part::Text
        };
        prompt.part(place, &part(text.into()));
    } else if let Some(refusal) = refusal.and_then(Value::as_text) {
        prompt.part(place, &Part::Refusal(refusal.into()));
    } else if thinking.is_some() {
        // Mistral's.
        each_text(thinking, Part::Reasoning, place, prompt);
    } else {
        let kind = kind.and_then(Value::as_text);
        let kind = kind.map(json::Text::decode).unwrap_or_default();
        let binary = media::binary(&kind, part);
        prompt.part(place, &binary.map_or(Part::Other(part), Part::Binary));
    }
}

/// Shows a text, or the texts of a list of parts that hold one.
pub(in crate::dialect) fn each_text<'a>(
    texts: Option<Value<'a>>,
    kind: fn(Words<'a>) -> Part<'a>,
    place: Place,
    prompt: &mut dyn Visitor,
) {
    let Some(texts) = texts else { return };
    if texts.kind() == Kind::Array {
        for part in texts.elements() {
            let inner = part.get("text");
            text(Some(inner.unwrap_or(part)), kind, place, prompt);
        }
    } else {
        text(Some(texts), kind, place, prompt);
    }
}
