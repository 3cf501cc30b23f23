//! What a request for a message gives the model to read.

use crate::dialect::kit::{media, prompt};
use crate::dialect::part::{CallPart, Message, Part, Place, PromptKind, Role, Visitor, Words};
use crate::parse::json::{Kind, Text, Value};

/// Types of the tools that the client runs; its own may have none.
const CLIENT_TOOLS: &[&str] = &["", "custom"];

/// Shows what the system says, the messages, and the tools.
pub(super) fn show(
    [system, messages, tools, servers]: [Option<Value<'_>>; 4],
    visitor: &mut dyn Visitor,
) {
    let Some(messages) = messages.filter(|messages| messages.kind() == Kind::Array) else {
        return;
    };
    visitor.prompt(PromptKind::Messages);
    if let Some(system) = system.filter(|system| !system.is_null()) {
        show_message(Role::System, system, Some(system), visitor);
    }
    let mut messages = messages.elements();
    while let Some((message, found)) = messages.next_selecting(["role", "content"]) {
        let [role, content] = found;
        show_message(prompt::role_of(role), message, content, visitor);
    }
    prompt::tools(tools, Some(CLIENT_TOOLS), visitor);
    if servers.is_some_and(|servers| servers.elements().next().is_some()) {
        // The definitions of their tools are fetched by the provider.
        visitor.part(Place::said_by(Role::System), &Part::Hidden);
    }
}

fn show_message(
    role: Role,
    item: Value<'_>,
    content: Option<Value<'_>>,
    visitor: &mut dyn Visitor,
) {
    visitor.message(&Message {
        role,
        name: None,
        id: None,
        item,
    });
    let place = Place::said_by(role);
    match content {
        Some(content) => show_content(content, place, visitor),
        None => visitor.part(place, &Part::Other(item)),
    }
}

/// Shows a text, or a list of blocks.
fn show_content(content: Value<'_>, place: Place, visitor: &mut dyn Visitor) {
    match content.kind() {
        Kind::Array => {
            let mut blocks = content.elements();
            let mut number = 0;
            while let Some((block, found)) = blocks.next_selecting(BLOCK) {
                show_block((number, block), found, place, visitor);
                number += 1;
            }
        }
        _ => prompt::content(content, place, visitor),
    }
}

/// The members of a block that are read.
const BLOCK: [&str; 8] = [
    "type",
    "text",
    "thinking",
    "content",
    "id",
    "name",
    "input",
    "tool_use_id",
];

fn show_block<'a>(
    (number, block): (u64, Value<'a>),
    [kind, text, thinking, content, id, name, input, result_of]: [Option<Value<'a>>; BLOCK.len()],
    place: Place,
    visitor: &mut dyn Visitor,
) {
    let kind = kind.and_then(Value::as_text);
    match &*kind.map(Text::decode).unwrap_or_default() {
        "thinking" => prompt::text(thinking, Part::Reasoning, place, visitor),
        "redacted_thinking" => visitor.part(place, &Part::Hidden),
        "tool_use" => {
            let call = CallPart {
                number,
                id: prompt::words(id),
                name: prompt::words(name),
                arguments: input.map(Words::of_json),
                again: false,
            };
            visitor.part(place, &Part::ToolCall(call));
        }
        // None lies in another.
        "tool_result" if place.role != Role::Tool => {
            let place = Place::said_by(Role::Tool);
            visitor.part(place, &Part::ToolResult(prompt::words(result_of)));
            // One without content only says that the tool ran.
            if let Some(content) = content {
                show_content(content, place, visitor);
            }
        }
        "text" if text.is_some() => prompt::text(text, Part::Text, place, visitor),
        kind => {
            let binary = media::binary(kind, block);
            visitor.part(place, &binary.map_or(Part::Other(block), Part::Binary));
            // Of what is not known some may be text, such as what a tool of the provider's found.
            prompt::text(text, Part::Inner, place, visitor);
            let inner = content.into_iter().flat_map(Value::elements);
            inner.for_each(|block| prompt::text(block.get("text"), Part::Inner, place, visitor));
        }
    }
}
